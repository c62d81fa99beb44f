use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::{Expect, expect};
use locket_crds::spec::Origin;
use proptest::prelude::*;

use super::*;

fn values(pairs: &[(&str, &[u8])]) -> BTreeMap<SecretRef, Arc<SecretValue>> {
    let value = |(name, bytes): &(&str, &[u8])| {
        (reference(name), Arc::new(SecretValue::new(bytes.to_vec())))
    };
    pairs.iter().map(value).collect()
}

fn reference(name: &str) -> SecretRef {
    format!("local:{name}").parse().unwrap()
}

fn input(name: &str) -> Input {
    Input {
        reference: reference(name),
        allow_empty: name.starts_with("maybe"),
    }
}

fn item(target: Target, content: Content) -> Item {
    let origin = Origin {
        file: "compose.yaml".into(),
        line: 3,
        column: 5,
    };
    Item {
        target,
        content,
        origin,
    }
}

fn file(path: &str) -> Target {
    Target::File {
        path: path.into(),
        file: FileMode::default(),
    }
}

fn env(key: &str) -> Target {
    Target::Env { key: key.into() }
}

fn compose_env(key: &str) -> Target {
    Target::ComposeEnv { key: key.into() }
}

fn secret(name: &str) -> Content {
    Content::Secret(input(name))
}

/// A template; names are those of its operands.
fn template(text: &str) -> Content {
    let template = Template::parse(text).unwrap();
    let names = template.operands().filter_map(|operand| match operand {
        Operand::Name(name) => Some((name.clone(), input(name.as_str()))),
        Operand::Ref(_) => None,
    });
    let names = names.collect();
    Content::Template { template, names }
}

fn go(items: &[Item], values: &impl Values) -> Result<Rendered, Vec<RenderError>> {
    render(items, values, &Key::new([7; 32]), RenderOptions::default())
}

/// Everything that was rendered, one line each.
fn show(rendered: &Rendered) -> String {
    let line = |kind: &str, name: &str, bytes: &SecretValue| {
        format!(
            "{kind} {name} {:?}\n",
            String::from_utf8_lossy(bytes.expose())
        )
    };
    let files = rendered
        .files
        .iter()
        .map(|f| line("file", &f.path, &f.bytes));
    let env = rendered
        .env
        .iter()
        .map(|(key, value)| line("env", key, value));
    let compose = rendered
        .compose_env
        .iter()
        .map(|(key, value)| line("compose", key, value));
    files.chain(env).chain(compose).collect()
}

fn check(items: &[Item], values: &impl Values, expect: &Expect) {
    let text = match go(items, values) {
        Ok(rendered) => show(&rendered),
        Err(problems) => problems
            .iter()
            .map(|p| {
                format!(
                    "{} {}:{} {p}\n",
                    p.reason.as_str(),
                    p.origin.file,
                    p.origin.line
                )
            })
            .collect(),
    };
    expect.assert_eq(&text);
}

#[test]
fn items_come_out_sorted_and_byte_exact() {
    let values = values(&[("a", b"x$\n\"\0"), ("b", b"two"), ("maybe", b"")]);
    let items = [
        item(env("Z"), secret("b")),
        item(file("z/b"), secret("a")),
        item(
            file("a"),
            template("one {{ b | upper }} {{ maybe }}{{ local:b | base64 }}\n"),
        ),
        item(compose_env("C"), secret("b")),
        item(env("A"), template("{{ b }}")),
    ];
    check(
        &items,
        &values,
        &expect![[r#"
        file a "one TWO dHdv\n"
        file z/b "x$\n\"\0"
        env A "two"
        env Z "two"
        compose C "two"
    "#]],
    );
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let values = values(&[
        ("empty", b""),
        ("nul", b"CANARY\0"),
        ("binary", b"CANARY\xff"),
        ("text", b"CANARY"),
    ]);
    let items = [
        item(file("a"), secret("nope")),
        item(file("b"), secret("empty")),
        item(env("C"), secret("nul")),
        item(compose_env("D"), secret("binary")),
        item(
            file("e"),
            template(
                "x\n  {{ text | json }} {{ empty | sha256 }}\n{{ binary | sql_quote }} {{ local:nope }}",
            ),
        ),
        item(file("f"), template("{{ text | totp }}")),
        item(file("ok"), secret("text")),
    ];
    check(
        &items,
        &values,
        &expect![[r#"
        Missing compose.yaml:3 file a, `local:nope`: there is no value for it
        EmptyValue compose.yaml:3 file b, `local:empty`: the value is empty
        NulInEnv compose.yaml:3 variable C: the value has a NUL, which no environment variable can hold
        NotText compose.yaml:3 compose variable D: the value is not UTF-8 text, and compose takes nothing else
        FilterFailed compose.yaml:3 file e, line 2, column 3 of the template, `text`: the value is not JSON
        EmptyValue compose.yaml:3 file e, line 2, column 21 of the template, `empty`: the value is empty
        NotText compose.yaml:3 file e, line 3, column 1 of the template, `binary`: the value is not UTF-8 text
        Missing compose.yaml:3 file e, line 3, column 26 of the template, `local:nope`: there is no value for it
        OneShotOnly compose.yaml:3 file f, line 1, column 1 of the template, `text`: totp changes all the time, so it works in one-shot commands only
    "#]],
    );
}

#[test]
fn totp_works_where_a_time_is_given() {
    let values = values(&[("seed", b"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]);
    let options = RenderOptions { now: Some(59) };
    let rendered = render(
        &[item(env("OTP"), template("{{ seed | totp }}"))],
        &values,
        &Key::new([7; 32]),
        options,
    );
    assert_eq!(show(&rendered.ok().unwrap()), "env OTP \"287082\"\n");
}

#[test]
fn limits_hold_to_the_byte() {
    let variable = |len: usize| {
        go(
            &[item(env("KEY"), secret("v"))],
            &values(&[("v", &vec![b'x'; len])]),
        )
        .map_err(|p| p[0].reason)
    };
    assert!(variable(ENV_LIMIT - "KEY=\0".len()).is_ok());
    assert_eq!(
        variable(ENV_LIMIT - "KEY=".len()).err(),
        Some(Reason::TooLarge)
    );

    let values = values(&[
        ("limit", &vec![b'x'; FILE_LIMIT]),
        ("over", &vec![b'x'; FILE_LIMIT + 1]),
        ("one", b"x"),
    ]);
    let reasons = |items: &[Item]| {
        go(items, &values).map_or_else(|p| p.iter().map(|p| p.reason).collect(), |_| vec![])
    };
    assert_eq!(
        reasons(&[
            item(file("a"), secret("limit")),
            item(file("b"), secret("limit"))
        ]),
        []
    );
    assert_eq!(
        reasons(&[item(file("a"), secret("over"))]),
        [Reason::TooLarge]
    );
    assert_eq!(
        reasons(&[item(file("a"), template("{{ limit }}."))]),
        [Reason::TooLarge]
    );
    let three: Vec<_> = (0..3)
        .map(|i| item(file(&i.to_string()), secret("limit")))
        .collect();
    assert_eq!(reasons(&three), [Reason::TooLarge]);
    let small: Vec<_> = (0..=TOTAL_LIMIT / PAGE)
        .map(|i| item(file(&i.to_string()), secret("one")))
        .collect();
    assert_eq!(
        reasons(&small),
        [Reason::TooLarge],
        "small files take whole pages"
    );
    assert_eq!(reasons(&small[1..]), []);
}

#[test]
fn a_service_has_sixteen_password_hashes() {
    let values = values(&[("v", b"password")]);
    let items = |n| {
        (0..n)
            .map(|i| item(file(&i.to_string()), template("{{ v | bcrypt }}")))
            .collect::<Vec<_>>()
    };
    let rendered = go(&items(16), &values).ok().unwrap();
    let hashes: BTreeSet<_> = rendered
        .files
        .iter()
        .map(|f| f.bytes.expose().to_vec())
        .collect();
    assert_eq!(hashes.len(), 16, "every place has its own salt");
    assert_eq!(
        go(&items(17), &values).err().unwrap()[0].reason,
        Reason::TooMuchWork
    );
}

#[test]
fn positions_count_characters_from_one() {
    assert_eq!(position("ab", 0), (1, 1));
    assert_eq!(position("ä\nöü{{", "ä\nöü".len()), (2, 3));
    assert_eq!(position("a", 9), (1, 2));
}

#[test]
fn macs_tell_lists_of_parts_apart() {
    let key = Key::new([7; 32]);
    let macs = [
        key.mac("p", &[b"ab", b"c"]),
        key.mac("p", &[b"a", b"bc"]),
        key.mac("pa", &[b"b", b"c"]),
        Key::new([8; 32]).mac("p", &[b"ab", b"c"]),
    ];
    assert_eq!(macs.iter().collect::<BTreeSet<_>>().len(), macs.len());
}

/// The text of all lines of one kind in an example.
fn lines(example: &str, kind: &str) -> String {
    let lines: Vec<&str> = example
        .lines()
        .filter_map(|line| line.strip_prefix(kind)?.strip_prefix("  "))
        .collect();
    lines.join("\n")
}

/// The reference has every filter, and its examples are true.
#[test]
fn the_reference_is_complete_and_true() {
    let page = include_str!("../../../../docs/reference/templates.md");
    let (_, filters) = page.split_once("## Filters\n").unwrap();
    let mut documented = Vec::new();
    for section in filters.split("\n### ").skip(1) {
        let (name, section) = section.split_once('\n').unwrap();
        documented.push(name);
        let example = section
            .split("```")
            .find_map(|fenced| fenced.strip_prefix("text\n"))
            .unwrap();
        let (value, text, gives) = (
            lines(example, "value"),
            lines(example, "write"),
            lines(example, "gives"),
        );
        assert!(
            text.contains(&format!("| {name}")),
            "the example of {name} does not use it"
        );
        let mut item = item(file("a"), template(&text));
        if let Content::Template { names, .. } = &mut item.content {
            *names = BTreeMap::from([("v".into(), input("v"))]);
        }
        let options = RenderOptions { now: Some(59) };
        let rendered = render(
            &[item],
            &values(&[("v", value.as_bytes())]),
            &Key::new([7; 32]),
            options,
        );
        let rendered = rendered.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let got = std::str::from_utf8(rendered.files[0].bytes.expose()).unwrap();
        match gives.strip_suffix('…') {
            Some(start) => assert!(got.starts_with(start), "{name}: {got}"),
            None => assert_eq!(got, gives, "{name}"),
        }
    }
    let bare = FILTERS
        .iter()
        .map(|filter| filter.split('(').next().unwrap());
    let all: BTreeSet<&str> = bare.chain(["bcrypt", "htpasswd"]).collect();
    assert!(
        documented.iter().copied().eq(all),
        "sorted, each once: {documented:?}"
    );
}

/// Every filter but the two that cost 50 ms a call.
const FILTERS: [&str; 22] = [
    "base64",
    "base64d",
    "json",
    "json_string",
    "yaml_string",
    "urlencode",
    "shell_quote",
    "sql_quote",
    "dotenv_quote",
    "trim",
    "upper",
    "lower",
    "sha256",
    "sha512",
    "hex",
    "indent(3)",
    "default(\"x\")",
    "required",
    "lines",
    "jsonpath(\"$.a\")",
    "pem_normalize",
    "totp",
];

proptest! {
    /// The same in gives the same out, and no error tells anything of a value.
    #[test]
    fn rendering_is_stable_and_silent(
        chains in prop::collection::vec((prop::collection::vec(0..FILTERS.len(), 0..4), 0..4_usize), 1..6),
        tail: Vec<u8>,
    ) {
        let canary = b"kanarienvogel".as_slice();
        let values = values(&[
            ("a", canary),
            ("b", &[canary, &tail].concat()),
            ("c", &[b"{\"a\":\"", canary, b"\"}"].concat()),
            ("d", &[b"-----BEGIN ", canary, b"-----"].concat()),
        ]);
        let items: Vec<_> = chains.iter().enumerate().map(|(i, (chain, name))| {
            let filters: String = chain.iter().map(|f| format!(" | {}", FILTERS[*f])).collect();
            let content = template(&format!("{{{{ {}{filters} }}}}", ["a", "b", "c", "d"][*name]));
            item(if i % 2 == 0 { file(&i.to_string()) } else { env(&format!("K{i}")) }, content)
        }).collect();
        match (go(&items, &values), go(&items, &values)) {
            (Ok(one), Ok(two)) => prop_assert_eq!(show(&one), show(&two)),
            (Err(one), Err(two)) => {
                let text = format!("{one:?}").to_lowercase();
                for form in ["kanarien", "vogel", "6b616e6172", "a2fuyxjpzw"] {
                    prop_assert!(!text.contains(form), "{}", text);
                }
                prop_assert_eq!(one, two);
            }
            _ => prop_assert!(false, "two renderings differ"),
        }
    }
}

#[test]
fn what_takes_its_time_is_known_before() {
    let large = vec![b'x'; 2 << 20];
    let values = values(&[("small", b"x"), ("large", &large)]);
    let slow = |text: &str| is_slow(&[item(env("A"), template(text))], &values);
    assert!(!slow(
        "{{ small | sha256 }} {{ large }} {{ missing | sha256 }}"
    ));
    assert!(slow("{{ small | bcrypt }}"));
    assert!(slow("{{ small | htpasswd('me') }}"));
    assert!(slow("{{ large | sha256 }}"));
    assert!(!is_slow(&[item(env("A"), secret("large"))], &values));
}
