use expect_test::expect;

use super::*;
use crate::diag::one_line;
use crate::spec::{ChangeAction, EnvValue};
use crate::text::Text;

fn labels(all: &[(&str, &str)]) -> Labels {
    let (found, problems) = read(all.iter().copied(), &["corp"]);
    assert_eq!(problems, []);
    found
}

fn spec() -> ProjectSpec {
    let text = "name: p\nx-locket: { secrets: { db: local:db } }\nservices: { api: { x-locket: { secrets: [db], env: { A: db }, templates: [{ content: x, target: t }], on_change: restart } }, web: {} }";
    let sources = [Text::new("compose.yaml", text)];
    let input = crate::compose::ModelInput {
        model_yaml: text,
        sources: &sources,
        working_dir: "/w",
        read_template: &|_| Err("none".into()),
    };
    crate::compose::compile(&input).0.unwrap()
}

#[test]
fn labels_mean_what_x_locket_means() {
    let it = labels(&[
        ("com.docker.compose.project", "p"),
        ("locket.path", "/etc/app"),
        ("locket.secrets", "db, corp:kv/tls,"),
        ("locket.env.URL", "x://{{ db }}@$HOME"),
        ("locket.env.KEY", "op://a/b/c"),
        ("locket.template.etc/app.conf", "{{ db | json_string }}\n"),
        ("locket.on_change", "signal:HUP"),
        ("locket.secret.db", "local:db"),
    ]);
    let targets: Vec<_> = it
        .secrets
        .iter()
        .map(|g| (g.target.as_str(), g.origin.to_string()))
        .collect();
    assert_eq!(
        targets,
        [
            ("db", "label locket.secrets".to_owned()),
            ("tls", "label locket.secrets".to_owned())
        ]
    );
    assert!(
        matches!(&it.env["URL"].value, EnvValue::Template(t) if t.text() == "x://{{ db }}@$HOME")
    );
    assert_eq!(it.templates[0].target, "etc/app.conf");
    assert_eq!(
        (it.path.as_deref(), it.catalogue.len()),
        (Some("/etc/app"), 1)
    );
    assert_eq!(
        it.on_change.unwrap().action,
        ChangeAction::Signal("HUP".into())
    );
    let long = labels(&[
        (
            "locket.secrets",
            "[{ source: local:x, target: y, mode: 0400 }, z]",
        ),
        ("locket.on_change", "{ exec: [a, \"b $c\"] }"),
    ]);
    assert_eq!(
        (long.secrets.len(), long.secrets[0].file.mode),
        (2, Some(0o400))
    );
    assert_eq!(
        long.on_change.unwrap().action,
        ChangeAction::Exec(vec!["a".into(), "b $c".into()])
    );
    assert_eq!(
        labels(&[]),
        Labels {
            origin: Origin {
                file: "label".into(),
                ..Origin::default()
            },
            ..Labels::default()
        }
    );
}

#[test]
fn what_is_wrong_with_labels_is_told_at_once() {
    let (_, problems) = read(
        [
            ("locket.secrest", "a"),
            ("locket.role", "anchor"),
            ("locket.path", "x"),
            ("locket.secrets", "a b, c"),
            ("locket.env.A", "hunter2 x"),
            ("locket.env.", "a"),
            ("locket.template.t", "{{ a"),
            ("locket.on_change", "{ exec: x }"),
            ("locket.secret.a b", "local:a"),
            ("locket.secret.b", "crop:a"),
        ],
        &["corp"],
    );
    let text: String = problems.iter().map(|d| one_line(d) + "\n").collect();
    assert!(!text.contains("hunter2"));
    expect![[r#"
        label locket.secrest: there is no label locket.secrest (did you mean `locket.secrets`?)
        label locket.role: the label locket.role is locket's own
        label locket.path: `path` is not an absolute directory of the container (write one that the service's volume is mounted at: `/run/secrets`)
        label locket.secrets: this is neither a name of the catalogue nor a reference (write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here)
        label locket.env.A: this is neither a name of the catalogue nor a reference (write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here)
        label locket.env.: there is no label locket.env. (write a name after the last dot)
        label locket.template.t: the expression is not closed (close it with `}}`; a literal `{{` is written `{{ "{{" }}`)
        label locket.on_change: `exec` is text, not a list (there is no shell: write `[command, argument]`, or `[sh, -c, "…"]` where the image has one)
        label locket.secret.a b: the label's end cannot be the name of a secret
        label locket.secret.b: there is no source `crop` (did you mean `corp`?)
    "#]].assert_eq(&text);
}

#[test]
fn what_only_the_labels_say_is_added() {
    let mut it = spec();
    let found = labels(&[
        ("locket.secrets", "new"),
        ("locket.env.B", "new"),
        ("locket.path", "/etc/app"),
        ("locket.secret.new", "local:new"),
        ("locket.template.u", "x"),
    ]);
    assert_eq!(merge(&mut it, &"api".into(), found.clone()), []);
    assert_eq!(merge(&mut it, &"web".into(), found), []);
    let (items, problems) = crate::resolve(&it);
    assert_eq!((items["api"].len(), items["web"].len()), (3 + 3, 3));
    assert_eq!(problems, []);
    assert_eq!(it.services["api"].path, "/etc/app");
    // Nothing to add makes no service.
    let mut it = spec();
    merge(&mut it, &"web".into(), labels(&[]));
    assert!(!it.services.contains_key("web"));
}

#[test]
fn x_locket_wins_and_the_conflict_is_told() {
    let mut it = spec();
    let before = it.clone();
    let found = labels(&[
        ("locket.secrets", "[{ source: local:other, target: db }]"),
        ("locket.env.A", "local:other"),
        ("locket.template.t", "y"),
        ("locket.on_change", "none"),
        ("locket.secret.db", "local:other"),
    ]);
    let conflicts = merge(&mut it, &"api".into(), found);
    assert_eq!(
        conflicts
            .iter()
            .map(|c| c.label.as_str())
            .collect::<Vec<_>>(),
        [
            "locket.secret.db",
            "locket.secrets",
            "locket.env.A",
            "locket.template.t",
            "locket.on_change"
        ]
    );
    assert_eq!(
        conflicts[2].to_string(),
        "the label locket.env.A of api says something else than x-locket, which wins"
    );
    assert_eq!(it, before);
    // Saying the same is no conflict.
    let same = labels(&[
        ("locket.secrets", "db"),
        ("locket.env.A", "db"),
        ("locket.on_change", "restart"),
    ]);
    assert_eq!(merge(&mut it, &"api".into(), same), []);
    assert_eq!(it, before);
}
