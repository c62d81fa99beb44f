use expect_test::expect;

use super::*;
use crate::compose::{ModelInput, compile};
use crate::diag::one_line;
use crate::text::Text;

/// Compiles a text without problems, and resolves it.
fn resolved(text: &str) -> (BTreeMap<ServiceName, Vec<Item>>, String) {
    let sources = [Text::new("compose.yaml", text)];
    let input = ModelInput {
        model_yaml: text,
        sources: &sources,
        working_dir: "/w",
        read_template: &|_| Err("none".into()),
    };
    let (spec, problems) = compile(&input);
    assert_eq!(problems, []);
    let (items, problems) = resolve(&spec.unwrap());
    (
        items,
        problems
            .iter()
            .map(|d| format!("{}: {}\n", d.code.slug(), one_line(d)))
            .collect(),
    )
}

fn show(items: &[Item]) -> String {
    let input = |i: &Input| {
        format!(
            "{}{}",
            i.reference,
            if i.allow_empty { " or empty" } else { "" }
        )
    };
    let one = |item: &Item| {
        let target = match &item.target {
            Target::File { path, file } => format!("file {path} {:?}", file.mode),
            Target::Env { key } => format!("env {key}"),
            Target::ComposeEnv { key } => format!("compose env {key}"),
        };
        let content = match &item.content {
            Content::Secret(i) => input(i),
            Content::Template { template, names } => format!(
                "{:?} {:?}",
                template.text(),
                names
                    .iter()
                    .map(|(n, i)| format!("{n}={}", input(i)))
                    .collect::<Vec<_>>()
            ),
        };
        format!("{target}: {content} ({})\n", item.origin)
    };
    items.iter().map(one).collect()
}

#[test]
fn names_become_references_and_fields_become_files() {
    let (items, problems) = resolved(
        "name: p
x-locket:
  secrets:
    db: bao:kv/db#password
    tls: { ref: bao:kv/tls?version=2, fields: { tls.crt: certificate, tls.key: private_key } }
    maybe: { ref: local:maybe, allow_empty: true }
services:
  api:
    x-locket:
      secrets: [db, { source: tls, target: certs/, mode: 0400 }, bao:kv/shop/inline#x]
      env:
        URL: \"x://{{ db | urlencode }}@{{ maybe }}{{ op://a/b/c }}\"
        MAYBE: maybe
        SEEN: { secret: db, via: compose }
      templates: [{ content: plain, target: etc/app.conf }]
",
    );
    expect![[r#"
        file db None: bao:kv/db#password (compose.yaml:10:17)
        file certs/tls.crt Some(256): bao:kv/tls#certificate?version=2 (compose.yaml:10:21)
        file certs/tls.key Some(256): bao:kv/tls#private_key?version=2 (compose.yaml:10:21)
        file inline None: bao:kv/shop/inline#x (compose.yaml:10:66)
        file etc/app.conf None: "plain" [] (compose.yaml:15:19)
        env MAYBE: local:maybe or empty (compose.yaml:13:16)
        compose env SEEN: bao:kv/db#password (compose.yaml:14:15)
        env URL: "x://{{ db | urlencode }}@{{ maybe }}{{ op://a/b/c }}" ["db=bao:kv/db#password", "maybe=local:maybe or empty"] (compose.yaml:12:14)
    "#]].assert_eq(&show(&items["api"]));
    expect![[r#"
        visible: compose.yaml:14:15: SEEN will be visible in `docker inspect` (leave `via: compose` out if the shim can be used)
    "#]].assert_eq(&problems);
}

#[test]
fn all_problems_of_all_services_are_found() {
    let (items, problems) = resolved(
        "name: p
x-locket:
  sources: { corp: openbao }
  secrets:
    db: bao:kv/db#password
    tls: { ref: bao:kv/tls, fields: { tls.crt: certificate } }
    unused: local:unused
    typo: bao:kv/x?verison=2#y
    uuid: bws:1234
    fine: corp:kv/x
    item: op://a/b/c?attribute=otp
services:
  names:
    x-locket:
      secrets: [bd, typo, uuid, fine, item]
      env: { A: nobody, B: tls, C: \"{{ tls }} {{ bd }}\", D: \"{{ db | totp }}\", E: \"local:x?a=b\" }
  keys:
    x-locket:
      env: { 'A=B': db, LOCKET_GENERATION: db, 'A-B': db, '1A': db, '': db, OK_1: db }
  targets:
    x-locket:
      secrets:
        - { source: db, target: /etc/passwd }
        - { source: db, target: ../x }
        - { source: db, target: a//b }
        - { source: db, target: .locket/x }
        - { source: db, target: ..data }
        - { source: db, target: \"a\\nb\" }
        - { source: db, target: '' }
        - { source: db, target: one }
        - { source: db, target: one }
        - { source: db, target: one/two }
        - { source: db, target: three/four/five }
        - { source: db, target: three }
        - { source: db, target: three/four-five }
  overlap:
    secrets: [{ source: x, target: /run/secrets/x }]
    x-locket: [db]
  apart:
    secrets: [{ source: x, target: y }]
    x-locket: { path: /run/secrets-of-mine, secrets: [db] }
",
    );
    expect![[r#"
        unused-secret: compose.yaml:7:13: no service uses `unused`
        reference: compose.yaml:8:11: a source of type openbao knows no parameter `verison` (did you mean `version`?)
        reference: compose.yaml:9:11: what follows `bws:` is not a UUID (write the id of the secret: `bws:be8e0ad8-d545-4017-a55a-b02f014d4158`)
        unknown-name: compose.yaml:15:17: the catalogue has no secret `bd` (did you mean `db`?)
        unknown-name: compose.yaml:16:17: the catalogue has no secret `nobody` (there is db, fine, item, tls, typo, unused, uuid)
        many-fields: compose.yaml:16:28: `tls` is a directory of files, not one value (name one field: `bao:kv/tls#certificate`)
        unknown-name: compose.yaml:16:36: the catalogue has no secret `bd` (did you mean `db`?)
        many-fields: compose.yaml:16:36: `tls` is a directory of files, not one value (name one field: `bao:kv/tls#certificate`)
        totp: compose.yaml:16:61: `totp` changes all the time, and so would what is delivered (use it in one-shot commands; a service gets the secret itself)
        reference: compose.yaml:16:83: a source of type local knows no parameter `a`
        env-name: compose.yaml:19:21: `A=B` cannot be the name of a variable
        reserved: compose.yaml:19:44: LOCKET_GENERATION is not for others: variables that begin with LOCKET_ are locket's own
        unportable-env-name: compose.yaml:19:55: `A-B` is a name that shells cannot use (use letters, digits and `_`, and begin with a letter)
        unportable-env-name: compose.yaml:19:65: `1A` is a name that shells cannot use (use letters, digits and `_`, and begin with a letter)
        env-name: compose.yaml:19:73: `` cannot be the name of a variable
        target: compose.yaml:23:11: the target `/etc/passwd` is absolute (write a relative path, below the service's `path`)
        target: compose.yaml:24:11: the target `../x` has a part that is empty, `.` or `..` (write a relative path, below the service's `path`)
        target: compose.yaml:25:11: the target `a//b` has a part that is empty, `.` or `..` (write a relative path, below the service's `path`)
        reserved: compose.yaml:26:11: the target `.locket/x` lies where locket keeps its own files (write a relative path, below the service's `path`)
        reserved: compose.yaml:27:11: the target `..data` lies where locket keeps its own files (write a relative path, below the service's `path`)
        target: compose.yaml:28:11: the target `a\nb` has a control character, or is too long (write a relative path, below the service's `path`)
        target: compose.yaml:29:11: the target `` is empty (write a relative path, below the service's `path`)
        target-conflict: compose.yaml:31:11: two files have the target `one` (give one of them another `target`)
        target-conflict: compose.yaml:32:11: one of the targets `one/two` and `one` lies in the other (give one of them another `target`)
        target-conflict: compose.yaml:34:11: one of the targets `three` and `three/four/five` lies in the other (give one of them another `target`)
        overlap: compose.yaml:38:15: compose's own /run/secrets/x of service overlap would lie in /run/secrets (give the service another `path`, for example `/run/locket`)
    "#]].assert_eq(&problems);
    let left: Vec<_> = items
        .iter()
        .map(|(name, items)| format!("{name} {}", items.len()))
        .collect();
    expect!["apart 1"].assert_eq(&left.join(", "));
}

#[test]
fn an_empty_catalogue_says_so() {
    let (_, problems) = resolved("name: p\nservices: { api: { x-locket: [db] } }");
    expect![[r#"
        unknown-name: compose.yaml:2:31: the catalogue has no secret `db` (`x-locket.secrets` names none; write `<source>:<path>#<field>` or add it there)
    "#]].assert_eq(&problems);
}

#[test]
fn what_compose_is_handed_has_one_namespace_and_no_hashes() {
    let (items, problems) = resolved(
        "name: p
x-locket:
  secrets: { a: local:a, b: local:b }
services:
  one:
    x-locket:
      env:
        SAME: { secret: a, via: compose }
        OTHER: { secret: a, via: compose }
  two:
    x-locket:
      env:
        SAME: { secret: a, via: compose }
        OTHER: { secret: b, via: compose }
  three:
    x-locket:
      env:
        HASH: { secret: \"{{ a | htpasswd(\\\"u\\\") }}\", via: compose }
        FINE: \"{{ a | bcrypt }}\"
",
    );
    let errors: String = problems
        .lines()
        .filter(|l| !l.starts_with("visible:"))
        .map(|l| format!("{l}\n"))
        .collect();
    expect![[r#"
        env-conflict: compose.yaml:14:16: two services hand compose OTHER, with different values (give one of them another name)
        visible-hash: compose.yaml:18:15: HASH is a password hash, and its salt would be no secret (leave `via: compose` out, or deliver it as a file)
    "#]].assert_eq(&errors);
    assert_eq!(
        items.keys().map(|s| s.as_str()).collect::<Vec<_>>(),
        ["one"]
    );
}

#[test]
fn a_target_is_as_long_as_can_be_delivered() {
    let path = |parts: usize| vec!["x".repeat(127); parts].join("/");
    let of = |path: &str| {
        let text = format!(
            "name: p\nx-locket: {{ secrets: {{ a: local:a }} }}\nservices: {{ api: {{ x-locket: {{ secrets: [{{ source: a, target: {path} }}] }} }} }}"
        );
        resolved(&text).1
    };
    assert_eq!(of(&path(16)), "", "2,047 bytes");
    assert!(of(&path(17)).contains("too long"));
}

#[test]
fn a_name_of_the_built_in_store_is_judged_before_the_store_is_asked() {
    let (_, problems) = resolved(
        "name: p
services:
  api:
    x-locket:
      env: { A: \"local:a b\", B: local:shop/x, C: local:p/x, D: local:/x, E: local:a.b_c-1 }
",
    );
    expect![[r#"
        reference: compose.yaml:5:17: `a b` is no name in the built-in store (a name has letters, digits, `.`, `_` and `-`)
        reference: compose.yaml:5:33: `shop/x` belongs to another project (write `local:x` for this project's own, `local:/x` for one that all may share)
    "#]].assert_eq(&problems);
}
