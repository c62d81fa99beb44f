use std::collections::BTreeMap;

use expect_test::expect;

use super::*;
use crate::labels::{name_of, project_of};
use crate::spec::{Origin, ServiceSpec};

const SHOP: &str = r#"
name: shop
x-locket:
  defaults: { settle: 0s, refresh: 90s, on_change: restart }
  sources:
    bao: { type: openbao, url: "https://bao:8200", ca: /etc/ca.pem, namespace: shop, timeout: 3s, auth: { approle: { role_id: r, secret_id: { file: /s }, mount: m } } }
    token: { type: vault, url: "https://vault", auth: { token: { env: TOKEN } } }
    op: 1password
  secrets:
    db: { ref: local:db, allow_empty: true, refresh: 5s }
    tls: { ref: "bao:kv/tls", fields: { tls.crt: certificate, tls.key: key } }
    other: local:other
services:
  api:
    x-locket:
      path: /etc/app
      secrets: [db, { source: tls, target: tls, mode: 0440, uid: service, gid: 7 }, { source: "op://a/b c/d", target: x, update: inplace, uid: www }]
      env: { URL: "x://{{ db | urlencode }}@$$HOME $${x}", KEY: "token:kv/x#y" }
      templates: [{ content: "a\n  \"{{ other }}\" $$1 é\u2028\n", target: t.conf, mode: 0400, update: rename }]
      on_change: { exec: [a, "b $$c"], timeout: 1m30s, stable: 5s, settle: 100us, restart_every: 1h }
  web: { x-locket: { secrets: [db], on_change: "signal:HUP" } }
  bare: {}
"#;

fn spec(text: &str) -> ProjectSpec {
    let sources = [Text::new("compose.yaml", text)];
    let input = ModelInput {
        model_yaml: text,
        sources: &sources,
        working_dir: "/w",
        read_template: &|_| Err("none".into()),
    };
    let (spec, problems) = compile(&input);
    spec.unwrap_or_else(|| panic!("{problems:?}"))
}

/// Without the places where things were written.
fn placeless(mut it: ProjectSpec) -> ProjectSpec {
    let nowhere = Origin::default;
    it.sources.values_mut().for_each(|s| s.origin = nowhere());
    it.secrets.values_mut().for_each(|s| s.origin = nowhere());
    let clear = |it: &mut ServiceSpec| {
        it.origin = nowhere();
        it.secrets.iter_mut().for_each(|g| g.origin = nowhere());
        it.templates.iter_mut().for_each(|g| g.origin = nowhere());
        it.env.values_mut().for_each(|g| g.origin = nowhere());
    };
    it.services.values_mut().for_each(clear);
    (it.working_dir, it.files, it.model) = Default::default();
    it
}

fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn one<'a>(service: &str, labels: &'a BTreeMap<String, String>) -> Labelled<'a> {
    Labelled {
        container: "c",
        service: service.into(),
        labels,
        model: ComposeService::default(),
    }
}

#[test]
fn what_is_written_into_labels_is_read_from_them() {
    let before = spec(SHOP);
    let texts: Vec<_> = ["api", "web"]
        .map(|s| labels(&[(SPEC, &write(&before, &s.into()).unwrap())]))
        .into();
    let all = [one("api", &texts[0]), one("web", &texts[1])];
    let after = said(&"shop".into(), all.clone(), &[]);
    assert_eq!(after.broken, BTreeMap::new());
    assert_eq!(placeless(after.spec.clone()), placeless(before.clone()));
    assert_eq!(resolve(&after.spec).0.len(), 2);
    assert_eq!(conflicts(&before, all, &[]), [""; 0]);
    // A service's label has nothing of the others.
    assert!(!texts[1][SPEC].contains("tls") && !texts[1][SPEC].contains("other"));
    assert!(write(&before, &"bare".into()).is_none());
    expect![[r#"{"services":{"web":{"x-locket":{"on_change":{"signal":"HUP"},"secrets":[{"source":"db","target":"db"}]}}},"x-locket":{"defaults":{"on_change":{"action":"restart"},"refresh":"90000000us","settle":"0us"},"secrets":{"db":{"allow_empty":true,"ref":"local:db","refresh":"5000000us"}}}}"#]].assert_eq(&texts[1][SPEC]);
}

#[test]
fn broken_labels_name_container_and_label_and_leave_other_services_alone() {
    let good = labels(&[("locket.secrets", "db"), ("locket.secret.db", "local:db")]);
    let bad = [
        labels(&[(SPEC, "{")]),
        labels(&[(SPEC, r#"{"services":{"other":{"x-locket":["local:a"]}}}"#)]),
        labels(&[(
            SPEC,
            r#"{"services":{"s":{"x-locket":{"env":{"A":"hunter2 x"}}}}}"#,
        )]),
        labels(&[(SPEC, r#"{"services":{"s":{"x-locket":["nowhere"]}}}"#)]),
        labels(&[("locket.secrest", "db")]),
    ];
    let mut all = String::new();
    for it in &bad {
        let found = said(&"p".into(), [one("s", it), one("good", &good)], &[]);
        assert_eq!(found.spec.services.len(), 1, "{found:?}");
        all += &format!("{}\n", found.broken["s"]);
    }
    assert!(!all.contains("hunter2"));
    expect![[r#"
        container c: label locket.spec:1:1: unclosed bracket '{'
        container c: label locket.spec: it says nothing of service s
        container c: label locket.spec:1:42: this is neither a name of the catalogue nor a reference (write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here)
        container c: label locket.spec:1:31: the catalogue has no secret `nowhere` (`x-locket.secrets` names none; write `<source>:<path>#<field>` or add it there)
        container c: label locket.secrest: there is no label locket.secrest (did you mean `locket.secrets`?)
    "#]].assert_eq(&all);
}

#[test]
fn the_newest_container_of_a_service_counts() {
    let [new, old] = ["local:new", "local:old"]
        .map(|r| labels(&[("locket.secrets", "k"), ("locket.secret.k", r)]));
    let found = said(
        &"p".into(),
        [one("a", &new), one("a", &old), one("b", &old)],
        &[],
    );
    assert_eq!(found.spec.secrets["k"].reference.to_string(), "local:new");
    assert_eq!(found.spec.services.len(), 2);
    // What the host calls a source is one.
    let host = labels(&[("locket.secrets", "corp:kv/x#y")]);
    assert!(!said(&"p".into(), [one("a", &host)], &[]).broken.is_empty());
    assert!(
        said(&"p".into(), [one("a", &host)], &["corp"])
            .broken
            .is_empty()
    );
    // Labels of others, and the name alone, ask for nothing.
    let none = labels(&[(NAME, "a"), ("com.example", "x")]);
    assert!(
        said(&"p".into(), [one("a", &none)], &[])
            .spec
            .services
            .is_empty()
    );
}

#[test]
fn a_label_that_says_something_else_than_x_locket_is_told() {
    let shop = spec(SHOP);
    let tell = |service, text: &BTreeMap<String, String>| {
        conflicts(&shop, [one(service, text)], &[]).concat()
    };
    let other = r#"{"services":{"web":{"x-locket":["local:x"]}}}"#;
    assert!(tell("web", &labels(&[(SPEC, other)])).contains("c: label locket.spec says"));
    let words = labels(&[("locket.secrets", "[{ source: other, target: db }]")]);
    assert!(tell("web", &words).contains("locket.secrets"));
    assert_eq!(tell("web", &labels(&[("locket.secrets", "db")])), "");
}

#[test]
fn the_project_of_a_container_is_none_of_compose_s() {
    for (name, project) in [
        ("web", Some("run.web")),
        ("Web_1.x-y", Some("run.Web_1.x-y")),
        ("", None),
        (".", None),
        ("-a", None),
        ("a/b", None),
        ("a b", None),
        (&"x".repeat(65), None),
    ] {
        assert_eq!(project_of(name).as_ref().map(ProjectName::as_str), project);
    }
    assert_eq!(name_of(&"run.web".into()), Some("web"));
    assert_eq!(name_of(&"web".into()), None);
    assert_eq!(name_of(&"run.".into()), None);
}
