use expect_test::expect;

use super::*;

fn at(file: &str, line: u32, column: u32, width: u32) -> Place {
    Place {
        origin: Origin {
            file: file.into(),
            line,
            column,
        },
        width,
    }
}

fn sources() -> SourceMap {
    let text = "x-locket:\n  sources:\n    bao: { type: openbao, auth: { token: hunter2-ä } }\n  secrets:\n    db: boa:kv/x#y\n    ü: |\n      line one\n      line two\n";
    [("compose.yaml".to_owned(), text.to_owned())]
        .into_iter()
        .collect()
}

#[test]
fn a_problem_is_shown_with_its_line_its_other_places_and_its_help() {
    let all = [
        Diagnostic::new(
            Code::UnknownSource,
            at("compose.yaml", 5, 9, 3),
            "there is no source boa",
        )
        .help("did you mean `bao`?")
        .label(at("compose.yaml", 3, 5, 3), "this is one")
        .note("sources are looked up by name"),
        Diagnostic::new(
            Code::UnusedSecret,
            at("other.yaml", 7, 2, 3),
            "nobody uses it",
        ),
        Diagnostic::new(
            Code::Syntax,
            Origin {
                file: "other.yaml".into(),
                ..Origin::default()
            },
            "the line is unknown",
        ),
    ];
    expect![[r#"
        error[L021 unknown-source]: there is no source boa
         --> compose.yaml:3:5
          |
        3 |     bao: { type: openbao, auth: { token: hunter2-ä } }
          |     --- this is one
          |
         ::: compose.yaml:5:9
          |
        5 |     db: boa:kv/x#y
          |         ^^^
          |
          = help: did you mean `bao`?
          = note: sources are looked up by name

        warning[L041 unused-secret]: nobody uses it
        --> other.yaml:7:2

        error[L001 syntax]: the line is unknown
        --> other.yaml
    "#]]
    .assert_eq(&render_text(&all, &sources(), false));
    assert_eq!(
        one_line(&all[0]),
        "compose.yaml:5:9: there is no source boa (did you mean `bao`?)"
    );
    assert_eq!(one_line(&all[2]), "other.yaml: the line is unknown");
}

#[test]
fn what_is_masked_for_one_problem_is_masked_for_all() {
    let all = [
        Diagnostic::new(
            Code::UnknownKey,
            at("compose.yaml", 3, 28, 4),
            "another problem of the line",
        ),
        Diagnostic::new(
            Code::WrittenCredential,
            at("compose.yaml", 3, 42, 9),
            "a credential is written down",
        )
        .mask(),
        Diagnostic::new(
            Code::WrittenCredential,
            at("compose.yaml", 7, 7, 23),
            "over two lines",
        )
        .mask(),
        Diagnostic::new(
            Code::UnknownKey,
            at("compose.yaml", 8, 7, 4),
            "the second one",
        ),
    ];
    let text = render_text(&all, &sources(), false);
    expect![[r#"
        error[L003 unknown-key]: another problem of the line
         --> compose.yaml:3:28
          |
        3 |     bao: { type: openbao, auth: { token: ********* } }
          |                            ^^^^

        error[L014 written-credential]: a credential is written down
         --> compose.yaml:3:42
          |
        3 |     bao: { type: openbao, auth: { token: ********* } }
          |                                          ^^^^^^^^^

        error[L014 written-credential]: over two lines
         --> compose.yaml:7:7
          |
        7 |       ********
          |       ^^^^^^^^

        error[L003 unknown-key]: the second one
         --> compose.yaml:8:7
          |
        8 | **************
          |       ^^^^
    "#]]
    .assert_eq(&text);
    assert!(!text.contains("hunter2") && !render_text(&all, &sources(), true).contains("hunter2"));
}

#[test]
fn nothing_reaches_a_terminal_that_could_drive_it() {
    let file: SourceMap = [(
        "a\u{1b}[0m".to_owned(),
        "\u{1b}]0;x\u{7}: \u{202e}y\r\n".to_owned(),
    )]
    .into_iter()
    .collect();
    let it = Diagnostic::new(
        Code::Syntax,
        at("a\u{1b}[0m", 1, 3, 2),
        "bad\u{1b}[2J\nthing",
    )
    .help("do\u{7} it");
    let text = render_text(std::slice::from_ref(&it), &file, false) + &one_line(&it);
    assert!(
        !text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{text:?}"
    );
    assert_eq!(one_line(&it).lines().count(), 1);
}

#[test]
fn places_outside_of_a_text_do_no_harm() {
    for (line, column, width) in [
        (0, 0, 0),
        (1, 99, 99),
        (9, 1, 1),
        (99, 99, 99),
        (3, 1, u32::MAX),
        (u32::MAX, u32::MAX, u32::MAX),
    ] {
        let it = Diagnostic::new(Code::Syntax, at("compose.yaml", line, column, width), "x")
            .label(at("compose.yaml", line, column, width), "y");
        for it in [it.clone(), it.mask()] {
            assert!(render_text(&[it], &sources(), false).contains("error[L001 syntax]: x"));
        }
    }
    assert_eq!(render_text(&[], &sources(), false), "");
}

#[test]
fn codes_are_unique() {
    let mut all: Vec<_> = Code::ALL
        .iter()
        .flat_map(|c| [c.number(), c.slug()])
        .collect();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn lines_and_columns_count_characters_from_one() {
    let lines = Lines::new("aä\n\nb");
    let all: Vec<_> = [0, 1, 3, 4, 5, 6, 99].map(|at| lines.position(at)).to_vec();
    assert_eq!(
        all,
        [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 1)]
    );
}

#[test]
fn the_reference_page_is_what_the_program_says() {
    expect_test::expect_file!["../../../docs/reference/diagnostics.md"].assert_eq(&page());
}

#[test]
fn every_code_is_explained() {
    for code in Code::ALL {
        let it = code.explanation();
        for text in [it.cause, it.cure, it.bad, it.good] {
            assert!(!text.is_empty(), "{code}");
        }
    }
}
