use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::spec::{ChangeAction, EnvValue, Operand, Owner, Update, Via};

const SHOP: &str = r#"
name: shop
x-locket:
  sources:
    bao: { type: openbao, url: "https://bao.internal:8200/", auth: { approle: { role_id: 7f3c, secret_id: { file: ./secret_id } } } }
    op: 1password
  secrets:
    db_password: bao:kv/shop/db#password
    stripe_key: op://Shop/Stripe/api-key
    smtp_password: local:smtp
    tls: { ref: "bao:kv/shop/tls", fields: { tls.crt: certificate, tls.key: private_key }, refresh: 5m }
  defaults: { on_change: auto, settle: 2s, restart_every: 1m }
services:
  locket: { provider: { type: locket } }
  db:
    image: postgres:17
    depends_on: [locket]
    x-locket:
      secrets: [db_password]
      templates: [{ content: "ALTER ROLE postgres PASSWORD {{ db_password | sql_quote }};", target: rotate.sql }]
      on_change: { exec: [psql, -U, postgres, -f, /run/secrets/rotate.sql] }
  api:
    image: shop/api
    user: "1000:1000"
    depends_on: { locket: { condition: service_started, required: true }, db: { condition: service_healthy, restart: true, required: true } }
    x-locket:
      secrets: [{ source: tls, target: tls, mode: 0440, uid: service }]
      env:
        STRIPE_KEY: stripe_key
        DATABASE_URL: "postgres://postgres:{{ db_password | urlencode }}@db/app"
        INLINE: bao:kv/x#y
        SEEN: { secret: smtp_password, via: compose }
      templates: [{ source: ./app.toml.tpl }, { source: ./conf.d/, target: etc, mode: "0400", gid: 10, update: inplace }]
      on_change: { signal: SIGhup, timeout: 30s }
  mailer:
    image: shop/mailer
    x-locket: [smtp_password, "op://Shop/Mail/dkim"]
"#;

#[test]
fn a_path_has_one_spelling() {
    for (written, expected) in [
        ("./secrets", "/home/me/shop/secrets"),
        ("../shared//a/./b/", "/home/me/shared/a/b"),
        ("/srv/x/../y", "/srv/y"),
        ("../../../../..", "/"),
    ] {
        let text = format!(
            "name: p\nx-locket: {{ sources: {{ f: {{ type: file, root: {written} }} }} }}\nservices: {{}}\n"
        );
        let root = good(&text).sources["f"].root.clone();
        assert_eq!(root.as_deref(), Some(expected), "{written}");
    }
}

#[test]
fn the_example_of_the_design_means_what_it_says() {
    let spec = good(SHOP);
    assert_eq!(
        (spec.project.as_str(), spec.working_dir.as_str()),
        ("shop", "/home/me/shop")
    );
    expect![[r#"
        {
          "bao": {
            "kind": "openbao",
            "url": "https://bao.internal:8200",
            "namespace": null,
            "auth": {
              "approle": {
                "role_id": "7f3c",
                "secret_id": {
                  "file": "/home/me/shop/secret_id"
                },
                "mount": null
              }
            },
            "ca": null,
            "root": null,
            "refresh": null,
            "timeout": null,
            "origin": {
              "file": "compose.yaml",
              "line": 5,
              "column": 10
            }
          },
          "op": {
            "kind": "1password",
            "url": null,
            "namespace": null,
            "auth": null,
            "ca": null,
            "root": null,
            "refresh": null,
            "timeout": null,
            "origin": {
              "file": "compose.yaml",
              "line": 6,
              "column": 9
            }
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&spec.sources).unwrap());
    let api = &spec.services["api"];
    assert_eq!(api.secrets[0].file.uid, Some(Owner::Service));
    assert_eq!(api.secrets[0].file.mode, Some(0o440));
    assert_eq!(api.secrets[0].origin.to_string(), "compose.yaml:27:17");
    assert_eq!(
        api.env["STRIPE_KEY"].value,
        EnvValue::Secret(Operand::Name("stripe_key".into()))
    );
    assert!(
        matches!(&api.env["DATABASE_URL"].value, EnvValue::Template(t) if t.operands().count() == 1)
    );
    assert!(matches!(
        &api.env["INLINE"].value,
        EnvValue::Secret(Operand::Ref(_))
    ));
    assert_eq!(api.env["SEEN"].via, Via::Compose);
    let templates: Vec<_> = api
        .templates
        .iter()
        .map(|t| {
            (
                t.target.as_str(),
                t.source.as_deref(),
                t.file.mode,
                t.file.update,
            )
        })
        .collect();
    assert_eq!(
        templates,
        [
            ("app.toml", Some("./app.toml.tpl"), None, Update::Swap),
            (
                "etc/a.conf",
                Some("./conf.d/a.conf"),
                Some(0o400),
                Update::Inplace
            ),
            (
                "etc/sub/b.conf",
                Some("./conf.d/sub/b.conf"),
                Some(0o400),
                Update::Inplace
            ),
        ]
    );
    assert_eq!(
        api.on_change.as_ref().unwrap().action,
        ChangeAction::Signal("HUP".into())
    );
    assert_eq!(
        spec.services["db"].on_change.as_ref().unwrap().action,
        ChangeAction::Exec(
            ["psql", "-U", "postgres", "-f", "/run/secrets/rotate.sql"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    let targets: Vec<_> = spec.services["mailer"]
        .secrets
        .iter()
        .map(|g| g.target.as_str())
        .collect();
    assert_eq!(targets, ["smtp_password", "Mail"]);
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ProjectSpec>(&json).unwrap(), spec);
    let (items, problems) = crate::resolve(&spec);
    assert_eq!(items["api"].len(), 2 + 3 + 4);
    assert!(problems.iter().all(|d| !d.is_error()), "{problems:?}");
}

/// What Compose 2.40.3 printed for a file with most forms of what is read.
const PRINTED: &str = r#"
name: shop
services:
  api:
    configs:
      - source: cc
        target: /run/secrets/x
    depends_on:
      db:
        condition: service_started
        required: true
    environment:
      A: canaryx
    healthcheck:
      test:
        - CMD
        - x
      interval: 5s
      start_period: 1h0m0s
    image: x
    init: true
    network_mode: service:db
    secrets:
      - source: foo
        target: /run/secrets/foo
      - source: foo
        target: bar
    stop_grace_period: 1m30s
    user: "1000"
    volumes:
      - type: bind
        source: /tmp/x
        target: /y
        read_only: true
        bind:
          create_host_path: true
      - type: volume
        source: v
        target: /run/secrets
        read_only: true
        volume:
          nocopy: true
          subpath: a/b
  db:
    depends_on:
      gate2:
        condition: service_started
        restart: true
        required: true
    healthcheck:
      disable: true
    image: "y"
    pid: service:gate2
    volumes_from:
      - gate2
  gate:
    provider:
      type: locket
      options:
        file:
          - x
  gate2:
    healthcheck:
      test: ["NONE"]
    image: x
"#;

#[test]
fn of_the_model_only_what_is_needed_is_kept() {
    let (spec, problems) = compile_model(PRINTED, &[]);
    assert_eq!(problems, "");
    let model = spec.unwrap().model;
    assert!(!format!("{model:?}").contains("canary"));
    expect![[r#"
        {
            "api": ComposeService {
                image: Some(
                    "x",
                ),
                user: Some(
                    "1000",
                ),
                depends_on: {
                    "db": Dependency {
                        condition: "service_started",
                        restart: false,
                        required: true,
                    },
                },
                joins: [
                    "db",
                ],
                stop_grace: Some(
                    90s,
                ),
                profiles: [],
                init: true,
                provider: None,
                mounts: {
                    "/run/secrets": Mount {
                        kind: "volume",
                        source: "v",
                        subpath: Some(
                            "a/b",
                        ),
                        read_only: true,
                    },
                    "/y": Mount {
                        kind: "bind",
                        source: "/tmp/x",
                        subpath: None,
                        read_only: true,
                    },
                },
                own_files: [
                    "/run/secrets/foo",
                    "/run/secrets/bar",
                    "/run/secrets/x",
                ],
            },
            "db": ComposeService {
                image: Some(
                    "y",
                ),
                user: None,
                depends_on: {
                    "gate2": Dependency {
                        condition: "service_started",
                        restart: true,
                        required: true,
                    },
                },
                joins: [
                    "gate2",
                ],
                stop_grace: None,
                profiles: [],
                init: false,
                provider: None,
                mounts: {},
                own_files: [],
            },
            "gate": ComposeService {
                image: None,
                user: None,
                depends_on: {},
                joins: [],
                stop_grace: None,
                profiles: [],
                init: false,
                provider: Some(
                    "locket",
                ),
                mounts: {},
                own_files: [],
            },
            "gate2": ComposeService {
                image: Some(
                    "x",
                ),
                user: None,
                depends_on: {},
                joins: [],
                stop_grace: None,
                profiles: [],
                init: false,
                provider: None,
                mounts: {},
                own_files: [],
            },
        }"#]]
    .assert_eq(&format!("{model:#?}"));
}

#[test]
fn nothing_that_was_interpolated_elsewhere_gets_into_the_spec() {
    let text = "name: p\nx-locket:\n  sources: { bao: { type: openbao, url: 'https://${HOST}:1', root: '${DIR}' } }\n  secrets: { a: 'bao:kv/${ENV}/db#x' }\nx-other: ${CANARY}\nservices:\n  api:\n    image: x\n    environment: { A: '${CANARY}' }\n    command: [run, '${CANARY}']\n    labels: { other: '${CANARY}' }\n    build: { args: { X: '${CANARY}' } }\n    x-locket: { secrets: [a] }\n    x-more: ${CANARY}\n    healthcheck: { test: [CMD, '${CANARY}'] }\n    hostname: ${CANARY}\n    env_file: ${CANARY}\nsecrets: { s: { environment: '${CANARY}' } }\n";
    let (spec, problems) = compile_with(
        &[("compose.yaml", text)],
        &[
            ("CANARY", "hunter2"),
            ("HOST", "host"),
            ("DIR", "/dir"),
            ("ENV", "prod"),
        ],
    );
    assert_eq!(problems, "");
    let json = serde_json::to_string(&spec.unwrap()).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
    // What may be interpolated is.
    assert!(json.contains("https://host:1") && json.contains("bao:kv/prod/db#x"));
}

#[test]
fn positions_follow_overrides_merges_and_extends() {
    let base = "x-a: &a { secrets: [one] }\nx-locket:\n  secrets: { one: local:one, two: local:two }\nservices:\n  base:\n    x-locket:\n      env: { A: one }\n  api:\n    extends: { service: base }\n    x-locket:\n      secrets: [one]\n  web:\n    x-locket: *a\n";
    let over = "services:\n  api:\n    x-locket:\n      secrets: [two]\n      env: { B: two }\n";
    let model = "name: p\nx-locket: { secrets: { one: local:one, two: local:two } }\nservices:\n  api: { x-locket: { secrets: [one, two], env: { A: one, B: two } } }\n  web: { x-locket: { secrets: [one] } }\n";
    let (spec, problems) = compile_model(model, &[("compose.yaml", base), ("over.yaml", over)]);
    assert_eq!(problems, "");
    let spec = spec.unwrap();
    let api = &spec.services["api"];
    let places: Vec<_> = api
        .secrets
        .iter()
        .map(|g| &g.origin)
        .chain(api.env.values().map(|g| &g.origin))
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        places,
        [
            "compose.yaml:11:17",
            "over.yaml:4:17",
            "compose.yaml:7:17",
            "over.yaml:5:17"
        ]
    );
    assert_eq!(
        spec.services["web"].secrets[0].origin.to_string(),
        "compose.yaml:1:21"
    );
}

#[test]
fn an_override_file_may_speak_for_a_service() {
    let spec = good(
        "name: p\nx-locket:\n  secrets: { a: local:a, b: local:b }\n  services:\n    api: { env: { B: b }, secrets: [b], path: /etc/app/ }\nservices:\n  api: { x-locket: [a] }\n  web: {}\n",
    );
    let api = &spec.services["api"];
    assert_eq!(
        (api.secrets.len(), api.env.len(), api.path.as_str()),
        (2, 1, "/etc/app")
    );
    assert!(!spec.services.contains_key("web"));
}

#[test]
fn on_change_has_many_spellings() {
    let all = [
        "none",
        "auto",
        "restart",
        "recreate",
        "rollout",
        "signal:HUP",
        "{ signal: usr1 }",
        "{ action: signal, signal: HUP }",
        "{ exec: [a, b] }",
        "{ action: restart, timeout: 1m30s, stable: 0s, settle: 500ms, restart_every: 1h }",
        "{ settle: 3s }",
    ];
    let show = |text: &&str| {
        let spec = good(&format!(
            "name: p\nservices: {{ api: {{ x-locket: {{ on_change: {text} }} }} }}"
        ));
        let it = spec.services["api"].on_change.clone().unwrap();
        let times = [
            ("timeout", it.timeout),
            ("stable", it.stable),
            ("settle", it.settle),
            ("restart_every", it.restart_every),
        ];
        let times: String = times
            .iter()
            .filter_map(|(name, t)| Some(format!(" {name}={:?}", (*t)?)))
            .collect();
        format!("{text:<40} {:?}{times}\n", it.action)
    };
    expect![[r#"
        none                                     None
        auto                                     Auto
        restart                                  Restart
        recreate                                 Recreate
        rollout                                  Rollout
        signal:HUP                               Signal("HUP")
        { signal: usr1 }                         Signal("USR1")
        { action: signal, signal: HUP }          Signal("HUP")
        { exec: [a, b] }                         Exec(["a", "b"])
        { action: restart, timeout: 1m30s, stable: 0s, settle: 500ms, restart_every: 1h } Restart timeout=90s stable=0ns settle=500ms restart_every=3600s
        { settle: 3s }                           Auto settle=3s
    "#]].assert_eq(&all.iter().map(show).collect::<String>());
}

#[test]
fn a_dollar_that_is_doubled_is_one() {
    let spec = good(
        "name: p\nservices: { api: { x-locket: { env: { A: \"{{ local:a }}$$x\" }, templates: [{ content: \"$$5\", target: t }] } } }",
    );
    let api = &spec.services["api"];
    assert!(matches!(&api.env["A"].value, EnvValue::Template(t) if t.text() == "{{ local:a }}$x"));
    assert_eq!(api.templates[0].content.text(), "$5");
}

#[test]
fn files_that_are_included_or_extended_can_be_found() {
    let text = "include:\n  - a.yaml\n  - { path: [b.yaml, c.yaml] }\n  - path: d.yaml\nservices:\n  x: { extends: { file: e.yaml, service: y } }\n  z: { extends: x }\n";
    assert_eq!(
        referenced_files(&Text::new("compose.yaml", text)),
        ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"]
    );
    assert_eq!(
        referenced_files(&Text::new("compose.yaml", ": [")),
        Vec::<String>::new()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_text_panics(lines in proptest::collection::vec("( ){0,4}(x-locket|services|api|secrets|env|a|templates|content|on_change|sources|path): ?(\\[a, \\{source: b\\}\\]|\\{\\{ a \\}\\}|\"\\{\\{ a \\}\\}\"|local:a|\\$\\{X\\}|\\{a: b\\}|~|0440|&x|\\*x)?", 0..12)) {
        let text = lines.join("\n");
        let _ = compile_with(&[("compose.yaml", &text)], &[]);
        let _ = check_sources(&[Text::new("compose.yaml", text)]);
    }
}

#[test]
fn a_service_whose_profile_is_off_is_known() {
    let text = "name: p\nx-locket: { services: { debug: [local:a], api: [local:a] } }\nservices: { api: {}, debug: { profiles: [debug] } }\n";
    let model = "name: p\nx-locket: { services: { debug: [local:a], api: [local:a] } }\nservices: { api: {} }\n";
    let (spec, problems) = compile_model(model, &[("compose.yaml", text)]);
    assert_eq!(problems, "");
    let spec = spec.unwrap();
    let all: Vec<&str> = spec.services.keys().map(ServiceName::as_str).collect();
    assert_eq!(all, ["api"]);
    let (_, problems) = compile_model(model, &[("compose.yaml", model)]);
    assert!(problems.contains("no service debug"), "{problems}");
}
