use expect_test::expect;
use proptest::prelude::*;

use super::*;

/// One line a node: what it is, where it was defined, and where it is used if that is elsewhere.
fn show(text: &str) -> String {
    fn walk(text: &str, name: &str, node: &Node, depth: usize, out: &mut String) {
        let value = match &node.value {
            Value::Map(_) => "map".to_owned(),
            Value::List(_) => "list".to_owned(),
            other => format!("{other:?}"),
        };
        let used = if node.used == node.defined {
            String::new()
        } else {
            format!(" via {:?}", &text[node.used.clone()])
        };
        let tag = if node.tag == Tag::None {
            String::new()
        } else {
            format!(" {:?}", node.tag)
        };
        *out += &format!(
            "{}{name}: {value} {:?}{used}{tag}\n",
            "  ".repeat(depth),
            &text[node.defined.clone()]
        );
        match &node.value {
            Value::Map(all) => all.iter().for_each(|e| {
                walk(
                    text,
                    e.key.as_deref().unwrap_or("?"),
                    &e.node,
                    depth + 1,
                    out,
                )
            }),
            Value::List(all) => all.iter().for_each(|n| walk(text, "-", n, depth + 1, out)),
            _ => {}
        }
    }
    let mut out = String::new();
    match document(text) {
        Ok(node) => walk(text, ".", &node, 0, &mut out),
        Err(e) => out = format!("{e} {:?} {:?}", e.at, &text[e.at.clone()]),
    }
    out
}

#[test]
fn scalars_are_what_compose_takes_them_for() {
    let text = "[0440, '0440', 440, yes, on, true, True, ~, null, 1.5, 0x1f, '', 2s, 12:30, 1_000, .inf, 99999999999999999999]";
    expect![[r#"
        .: list "["
          -: Int(288) "0440"
          -: Str("0440") "'0440'"
          -: Int(440) "440"
          -: Str("yes") "yes"
          -: Str("on") "on"
          -: Bool(true) "true"
          -: Bool(true) "True"
          -: Null "~"
          -: Null "null"
          -: Float(1.5) "1.5"
          -: Int(31) "0x1f"
          -: Str("") "''"
          -: Str("2s") "2s"
          -: Str("12:30") "12:30"
          -: Int(1000) "1_000"
          -: Float(inf) ".inf"
          -: Float(1e20) "99999999999999999999"
    "#]]
    .assert_eq(&show(text));
}

#[test]
fn a_node_knows_where_it_is_used_and_where_it_was_defined() {
    expect![[r#"
        .: map ""
          a: map "{"
            k: Int(1) "1"
          b: map "{" via "*x"
            k: Int(1) "1" via "*x"
          c: map ""
            own: Str("one\n") "one\n"
            k: Int(1) "1" via "*x"
          d: Null "null" Reset
          e: list "[" Override
          f: Str("it's") "'it''s'"
    "#]]
    .assert_eq(&show("a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  own: |\n    one\nd: !reset null\ne: !override []\nf: !other 'it''s'\n"));
}

#[test]
fn an_unquoted_template_is_a_mapping_as_key() {
    expect![[r#"
        .: map ""
          a: map "{"
            ?: Null ""
    "#]]
    .assert_eq(&show("a: {{ x }}\n"));
}

#[test]
fn errors_say_what_and_where() {
    let bad = [
        "a: [",
        "a: 1\nb:\n  ä: 1\n  ä: 2",
        "\"a\\nb\": 1\n\"a\\nb\": 2",
        "a: {{ x }} b",
        "a: b: c",
        "- a\nb: c",
        "a: *x",
        "ä: 'x",
        "x: ]",
        "a: 1\n---\nb: 2",
        "a: &x [*x]",
        "? [a]\n: 1\n\tb: 2",
    ];
    let all: Vec<String> = bad
        .iter()
        .map(|text| format!("{text:?}: {}\n", show(text)))
        .collect();
    expect![[r#"
        "a: [": unclosed bracket '[' 3..4 "["
        "a: 1\nb:\n  ä: 1\n  ä: 2": the key ä is there twice 18..20 "ä"
        "\"a\\nb\": 1\n\"a\\nb\": 2": the key a\nb is there twice 10..10 ""
        "a: {{ x }} b": while parsing a block mapping, did not find expected key 11..12 "b"
        "a: b: c": mapping values are not allowed in this context 4..5 ":"
        "- a\nb: c": while parsing a block collection, did not find expected '-' indicator 4..5 "b"
        "a: *x": alias references unknown anchor 3..4 "*"
        "ä: 'x": unclosed quote 4..5 "'"
        "x: ]": misplaced bracket 3..4 "]"
        "a: 1\n---\nb: 2": there is more than one document 9..9 ""
        "a: &x [*x]": recursive references require weak recursion types 7..8 "*"
        "? [a]\n: 1\n\tb: 2": while scanning a plain scalar, found a tab 8..9 "1"
    "#]]
    .assert_eq(&all.concat());
}

#[test]
fn no_text_takes_long() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        bomb += &format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 10].join(", ")
        );
    }
    for text in [
        bomb,
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "a:\n ".repeat(50_000),
        "x".repeat(MAX_TEXT + 1),
    ] {
        assert!(documents(&text).is_err());
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ \\n:{}\\[\\]&*!<|>'\"#,a-c0-9?%@~.\\-]{0,60}", any in "\\PC{0,60}") {
        for text in [text, any] {
            if let Err(e) = documents(&text) {
                prop_assert!(text.get(e.at).is_some());
            }
        }
    }

    #[test]
    fn text_that_is_quoted_comes_back(text in "\\PC{0,60}") {
        let yaml = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(document(&yaml).unwrap().value, Value::Str(text));
    }
}

#[test]
fn what_large_projects_have_is_read() {
    let shared = format!(
        "a: &a {{ x: y }}\n{}",
        (0..500).map(|i| format!("k{i}: *a\n")).collect::<String>()
    );
    let deep = format!(
        "{}x",
        (0..90)
            .map(|i| format!("{}k:\n", " ".repeat(i)))
            .collect::<String>()
            .trim_end()
            .to_owned()
            + " "
    );
    let anchors: String = (0..2_000).map(|i| format!("k{i}: &a{i} v\n")).collect();
    let several = "---\na: b\n".repeat(40);
    for text in [&shared, &deep, &anchors, &several] {
        assert!(documents(text).is_ok(), "{}", documents(text).unwrap_err());
    }
    assert_eq!(
        document("a: .inf\nb: 1e400\n")
            .unwrap()
            .get("a")
            .unwrap()
            .value,
        Value::Float(f64::INFINITY)
    );
}

#[test]
fn what_is_too_large_is_told_in_plain_words() {
    let said = |text: &str| documents(text).unwrap_err().message;
    let aliases = format!("a: &a x\nb: [{}]\n", "*a, ".repeat(10_001));
    let deep = format!("{}{}", "[".repeat(97), "]".repeat(97));
    expect_test::expect![[r#"
        there are 10001 aliases, which is more than is read here
        this is nested too deep
        there are 65 documents, which is more than is read here"#]]
    .assert_eq(
        &[aliases, deep, "---\na: b\n".repeat(65)]
            .map(|it| said(&it))
            .join("\n"),
    );
}
