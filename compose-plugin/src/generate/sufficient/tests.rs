use expect_test::{Expect, expect};
use locket_crds::compose::{ModelInput, compile};
use locket_crds::text::Text;

use super::*;
use crate::compose::ModelVolume;

const WHOLE: &str = r#"
name: p
services:
  locket: { provider: { type: locket } }
  api:
    image: x
    depends_on: { locket: { condition: service_started } }
    init: true
    volumes:
      - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init } }
      - { type: volume, source: locket-api, target: /run/secrets, read_only: true }
    x-locket: { secrets: ["local:a"] }
  plain: { image: x }
"#;

fn extras() -> ModelExtras {
    let tmpfs = ModelVolume {
        name: "p_locket-api".to_owned(),
        kind: "tmpfs".to_owned(),
        ..ModelVolume::default()
    };
    ModelExtras {
        volumes: [("locket-api".to_owned(), tmpfs)].into(),
        ..ModelExtras::default()
    }
}

fn spec(model: &str) -> ProjectSpec {
    let (spec, problems) = compile(&ModelInput {
        model_yaml: model,
        sources: &[Text::new("compose.yaml", model)],
        working_dir: "/p",
        read_template: &|_| Err("no".to_owned()),
    });
    spec.unwrap_or_else(|| panic!("{problems:?}"))
}

/// What is missing once this is replaced by that.
fn check(from: &str, to: &str, expect: &Expect) {
    assert!(WHOLE.contains(from), "{from}");
    let all = sufficient(&spec(&WHOLE.replacen(from, to, 1)), &extras());
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    expect.assert_eq(&lines.join("\n"));
}

#[test]
fn nothing_is_missing_in_a_whole_project() {
    check("name", "name", &expect![""]);
    // Other words for the same.
    check(
        "read_only: true }\n    x-locket",
        "read_only: true, volume: {} }\n    x-locket",
        &expect![""],
    );
    // A service that waits for one that waits for the gate is fine.
    check(
        "depends_on: { locket: {",
        "depends_on: { plain: {",
        &expect![[r#"service api does not depend on locket"#]],
    );
    let model = WHOLE
        .replace("depends_on: { locket: {", "depends_on: { plain: {")
        .replace(
            "plain: { image: x }",
            "plain: { image: x, depends_on: [locket] }",
        );
    assert_eq!(sufficient(&spec(&model), &extras()), []);
}

#[test]
fn each_part_is_missed() {
    check(
        "    init: true\n",
        "",
        &expect![[r#"service api has no `init: true`"#]],
    );
    check(
        "{ type: locket }",
        "{ type: other }",
        &expect![[r#"no service has `provider: { type: locket }`"#]],
    );
    check(
        "shim/docker-init }",
        "other }",
        &expect![[r#"service api has no shim at /sbin/docker-init"#]],
    );
    check(
        "source: locket-api",
        "source: other",
        &expect![[r#"service api has no secrets volume at /run/secrets"#]],
    );
    check(
        "target: /run/secrets, read_only: true",
        "target: /run/secrets",
        &expect![[r#"service api has no secrets volume at /run/secrets"#]],
    );
    check(
        "secrets: [\"local:a\"]",
        "secrets: [\"local:a\"], path: /etc/app",
        &expect![[r#"
            service api has no secrets volume at /etc/app
            service api does not tell its shim of /etc/app in LOCKET_SHIM"#]],
    );
}

#[test]
fn a_volume_on_a_disk_is_refused() {
    let mut extras = extras();
    extras
        .volumes
        .insert("locket-api".to_owned(), ModelVolume::default());
    let all = sufficient(&spec(WHOLE), &extras);
    assert_eq!(
        all[0].to_string(),
        "service api has volume locket-api that is not a tmpfs"
    );
    let told = refusal(&all, Some("compose.override.yaml"))
        .unwrap()
        .one_line();
    assert!(told.contains("add `-f compose.override.yaml`"), "{told}");
    let error = refusal(&all, None).unwrap();
    assert_eq!(
        error.one_line(),
        "service api has volume locket-api that is not a tmpfs: run `docker locket generate`"
    );
    assert!(refusal(&[], None).is_none());
}

#[test]
fn env_by_way_of_compose_needs_the_gate_but_no_volume() {
    let model = "name: p\nservices:\n  api: { image: x, x-locket: { env: { A: { secret: \"local:a\", via: compose } } } }\n";
    let all = sufficient(&spec(model), &ModelExtras::default());
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    expect![[r#"no service has `provider: { type: locket }`"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn nothing_else_may_be_mounted_in_our_place() {
    let said = |from: &str, to: &str| {
        let lines = crate::compose::overlaps(&spec(&WHOLE.replacen(from, to, 1)));
        lines
            .iter()
            .map(|d| d.message.clone())
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(said("name", "name"), "");
    let own = "      - { type: bind, source: /x, target: /run/secrets/x }\n    x-locket";
    expect!["service api mounts something of its own at /run/secrets/x"]
        .assert_eq(&said("    x-locket", own));
    expect!["service api mounts something of its own at /run/secrets"]
        .assert_eq(&said("source: locket-api", "source: mine"));
    let tmpfs = "    tmpfs: [\"/run/secrets:size=1m\"]\n    x-locket";
    expect!["service api mounts something of its own at /run/secrets"]
        .assert_eq(&said("    x-locket", tmpfs));
    expect!["the path of service api would hide /sbin/docker-init"]
        .assert_eq(&said("    x-locket: {", "    x-locket: { path: /sbin,"));
    expect!["service api mounts something of its own at /sbin/docker-init"]
        .assert_eq(&said("source: locket,", "source: tini,"));
}
