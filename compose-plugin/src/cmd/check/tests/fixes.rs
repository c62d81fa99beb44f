//! `--fix`: what it changes, and what it leaves alone.

use expect_test::expect;

use super::*;

fn fixed(text: &str) -> Result<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let flags = ComposeFlags::default();
    let env = BTreeMap::new();
    let files = files::find(&flags, &env, dir.path()).unwrap();
    let request = Request {
        flags: &flags,
        files: &files,
        profiles: Profiles::All,
    };
    let found = examined(dir.path());
    let again = |texts| compose::of_texts(texts, &request, &env).loaded.diagnostics;
    let changes = fix::changes(&found.problems, &found.loaded, again)?;
    let out = changes
        .iter()
        .map(|it| it.diff("compose.yaml", false))
        .collect();
    write_all(&changes)?;
    // What is repaired is repaired once.
    let found = examined(dir.path());
    let again = fix::changes(&found.problems, &found.loaded, again)?;
    assert!(again.is_empty(), "{again:?}");
    Ok(out)
}

#[test]
fn names_with_one_near_match_are_replaced_and_templates_are_quoted() {
    let text = r#"name: p   # comment
x-locket:
  secrets: { db_password: local:db, 'tls': local:tls }   # kept
services:
  api:
    x-locket:
      secrts: [ db_pasword,  "tsl" ]   # two
      env:
        A: "x {{ db_passwrd | urlencode }}"
        B: boa:kv/x#y
  web:
    x-locket: { env: { C: "{{ tls }}" }, secrets: [{ source: db_pasword, mode: 0400 }] }
"#;
    expect![[r#"
        --- compose.yaml
        +++ compose.yaml
        @@ -7 +7 @@ services: api: x-locket:
        -      secrts: [ db_pasword,  "tsl" ]   # two
        +      secrets: [ db_password,  "tls" ]   # two
        @@ -9,2 +9,2 @@ services: api: x-locket: env:
        -        A: "x {{ db_passwrd | urlencode }}"
        -        B: boa:kv/x#y
        +        A: "x {{ db_password | urlencode }}"
        +        B: bao:kv/x#y
        @@ -12 +12 @@ services: web:
        -    x-locket: { env: { C: "{{ tls }}" }, secrets: [{ source: db_pasword, mode: 0400 }] }
        +    x-locket: { env: { C: "{{ tls }}" }, secrets: [{ source: db_password, mode: 0400 }] }
    "#]]
    .assert_eq(&fixed(text).unwrap());
}

#[test]
fn what_stands_around_a_template_is_the_users_own_text() {
    let text = "x-locket:\n  secrets: { api: local:api }\nservices:\n  a: { x-locket: { env: { U: \"ap={{ ap }}\" } } }\n";
    expect![[r#"
        --- compose.yaml
        +++ compose.yaml
        @@ -4 +4 @@ services:
        -  a: { x-locket: { env: { U: "ap={{ ap }}" } } }
        +  a: { x-locket: { env: { U: "ap={{ api }}" } } }
    "#]]
    .assert_eq(&fixed(text).unwrap());
}

#[test]
fn templates_without_quotes_are_quoted() {
    let text = "services:\n  api:\n    x-locket:\n      env: { A: {{ local:a }}, B: {{ local:b | default(\"x\") }} }\r\n      templates:\n        - content: {{ local:a | trim }}  # here\n          target: t\n";
    expect![[r#"
        --- compose.yaml
        +++ compose.yaml
        @@ -4 +4 @@ services: api: x-locket:
        -      env: { A: {{ local:a }}, B: {{ local:b | default("x") }} }
        +      env: { A: "{{ local:a }}", B: '{{ local:b | default("x") }}' }
        @@ -6 +6 @@ services: api: x-locket: templates:
        -        - content: {{ local:a | trim }}  # here
        +        - content: "{{ local:a | trim }}"  # here
    "#]]
    .assert_eq(&fixed(text).unwrap());
}

#[test]
fn what_is_not_certain_is_left_alone() {
    for text in [
        // Two are near.
        "x-locket:\n  secrets: { db1: local:a, db2: local:b }\nservices:\n  api: { x-locket: [db3, db1, db2] }\n",
        // Nothing is near.
        "x-locket:\n  secrets: { db1: local:a }\nservices:\n  api: { x-locket: [password, db1] }\n",
        // Twice on one line, and which one is meant is not known.
        "x-locket:\n  secrets: { name: local:a }\nservices:\n  api:\n    x-locket:\n      secrets:\n        - { target: nmae, source: nmae }\n        - name\n",
        // Not a template alone.
        "services:\n  api:\n    x-locket:\n      env: { A: {{ local:a }}/x }\n",
    ] {
        assert_eq!(fixed(text).unwrap_or_default(), "", "{text}");
    }
}

#[test]
fn a_generated_file_is_not_repaired() {
    let text = format!("{GENERATED}\nservices:\n  api:\n    x-locket: {{ secrts: [local:a] }}\n");
    assert_eq!(fixed(&text).unwrap(), "");
}
