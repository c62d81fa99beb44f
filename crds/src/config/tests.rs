use expect_test::expect;

use super::*;
use crate::diag::{SourceMap, render_text};
use crate::spec::ChangeAction;

const FULL: &str = r#"
sources:
  bao: { type: openbao, url: "https://bao.internal:8200", auth: { token: { file: /etc/locket/token } }, ca: /etc/ssl/own.pem }
  env: env
  files: { type: file, root: /srv/secrets }
defaults: { on_change: restart, settle: 5s, refresh: 30s, backend_timeout: 3s, quiet: 1s }
limits: { value: 64KiB }
grants:
  - project: shop
    references: ["bao:kv/shop/", "local:/smtp", "env:SHOP_*", "bao:kv/one#a", "op://Shop/"]
  - project: "*"
    sources: [files]
  - project: blog
    sources: [{ type: openbao, url: "https://other:8200/", auth: { approle: { role_id: r, secret_id: { env: ID } } } }]
"#;

fn config(text: &str) -> HostConfig {
    HostConfig::parse("locket.yaml", text).unwrap()
}

/// What a project whose compose file has these `sources` (YAML) is answered: `yes`, `no`, or what is wrong.
fn asks(config: &HostConfig, project: &str, sources: &str, reference: &str) -> String {
    let reference: SecretRef = reference.parse().unwrap();
    let own = HostConfig::parse("x", &format!("sources: {{ {sources} }}"))
        .unwrap()
        .sources;
    match config.meaning(&own, reference.source()) {
        Err(e) => e.to_string(),
        Ok(it) => match config.granted(&project.into(), &reference, &it) {
            Ok(()) => "yes".to_owned(),
            Err(_) => "no".to_owned(),
        },
    }
}

fn granted(config: &HostConfig, project: &str, reference: &str) -> bool {
    asks(config, project, "", reference) == "yes"
}

/// What the name of a reference means where nobody configured it, or as the project's own definition.
fn meaning(reference: &SecretRef, own: Option<&SourceSpec>) -> Meaning {
    let own = own.map(|own| (reference.source().clone(), own.clone()));
    HostConfig::default()
        .meaning(&own.into_iter().collect(), reference.source())
        .unwrap()
}

#[test]
fn everything_can_be_said() {
    let it = config(FULL);
    assert_eq!(
        it.sources
            .keys()
            .map(SourceName::as_str)
            .collect::<Vec<_>>(),
        ["bao", "env", "files"]
    );
    assert_eq!(it.sources["bao"].origin.to_string(), "locket.yaml:3:8");
    assert_eq!(
        it.timeouts,
        Timeouts {
            backend: Duration::from_secs(3),
            gate: Duration::from_secs(60),
            quiet: Duration::from_secs(1)
        }
    );
    assert_eq!(it.limits, Limits { value: 64 << 10 });
    let project = Defaults {
        settle: Some(Duration::ZERO),
        ..Defaults::default()
    };
    let all = it.complete(&project);
    assert_eq!(all.on_change.unwrap().action, ChangeAction::Restart);
    assert_eq!(
        [all.settle, all.refresh, all.restart_every].map(|d| d.unwrap().as_secs()),
        [0, 30, 60]
    );
    assert_eq!(config(""), HostConfig::default());
    assert_eq!(config("# nothing\n"), HostConfig::default());
    // There is no interpolation: a dollar is a dollar.
    assert_eq!(
        config("sources: { f: { type: file, root: '/a$$b' } }").sources["f"]
            .root
            .as_deref(),
        Some("/a$$b")
    );
}

#[test]
fn what_is_granted() {
    let it = config(FULL);
    for (project, reference, expected) in [
        ("shop", "local:smtp", true),
        ("shop", "local:/smtp", true),
        ("shop", "local:/other", false),
        ("blog", "local:/smtp", false),
        ("shop", "bao:kv/shop/db#password", true),
        ("shop", "bao://kv/shop/db?version=2#password", true),
        ("shop", "bao:kv/shop", false),
        ("shop", "bao:kv/shopping/db", false),
        ("blog", "bao:kv/shop/db", false),
        ("shop", "bao:kv/one#a", true),
        ("shop", "bao:kv/one#a?version=3", true),
        ("shop", "bao:kv/one#ab", false),
        ("shop", "bao:kv/one#b", false),
        ("shop", "bao:kv/one", false),
        ("shop", "env:SHOP_KEY", true),
        ("shop", "env:PATH", false),
        ("shop", "op://Shop/a/b", true),
        ("shop", "op://\"Shop/a\"/b/c", false),
        ("shop", "op://Shopping/a/b", false),
        ("other", "files:x", true),
        ("other", "file:x", false),
    ] {
        assert_eq!(
            granted(&it, project, reference),
            expected,
            "{project} {reference}"
        );
    }
    assert!(
        !granted(
            &config("grants: [{ project: p, references: ['env:A'] }]"),
            "p",
            "env:A"
        ),
        "the environment is closed"
    );
    assert!(
        !granted(
            &config("sources: { local: { type: openbao, url: 'https://x' } }"),
            "p",
            "local:a"
        ),
        "this local is another one"
    );
}

fn source(text: &str) -> SourceSpec {
    config(&format!("sources: {{ own: {text} }}"))
        .sources
        .into_values()
        .next()
        .unwrap()
}

#[test]
fn a_source_of_a_compose_file_is_granted_as_a_whole() {
    let it = config(FULL);
    let asks =
        |project: &str, own: &str| asks(&it, project, &format!("x: {own}"), "x:kv/a") == "yes";
    let same = r#"{ type: openbao, url: "https://other:8200", auth: { approle: { role_id: r, secret_id: { env: ID } } }, refresh: 9s }"#;
    assert!(asks("blog", same));
    assert!(!asks("shop", same));
    for other in [
        same.replace("other:", "evil:"),
        same.replace("env: ID", "file: /etc/shadow"),
        same.replace("openbao", "vault"),
    ] {
        assert!(!asks("blog", &other), "{other}");
    }
    // The name of a granted source of the host grants nothing to a source of the same name.
    let own = "files: { type: file, root: / }";
    assert_eq!(super::tests::asks(&it, "x", own, "files:etc/shadow"), "no");
}

#[test]
fn a_grant_is_for_the_source_that_is_really_opened() {
    let closed = "{}";
    let open = "sources: { env: env, bao: { type: openbao, url: 'https://bao' }, shared: local, files: { type: file, root: /srv } }\n\
                grants: [{ project: shop, references: ['env:*', 'bao:*', 'mine:*', 'local:/*', 'op:*'], sources: [env, bao, local, file, files, mine, op] }]";
    let other = "sources: { local: { type: file, root: /etc }, env: { type: file, root: /etc } }";
    let exact = "sources: { env: env }\n\
                 grants: [{ project: shop, sources: [{ type: env }, { type: local }, { type: file, root: /srv }] }]";
    let refused = |name: &str, kind: &str| {
        format!("source {name} is built in and cannot be of type {kind}, only of type {name}")
    };
    for (host, sources, reference, expected) in [
        // A built-in name is of its own type, whoever opened what.
        (
            open,
            "local: env",
            "local:BAO_TOKEN",
            refused("local", "env"),
        ),
        (
            open,
            "local: file",
            "local:etc/shadow",
            refused("local", "file"),
        ),
        (
            open,
            "local: { type: file, root: / }",
            "local:etc/shadow",
            refused("local", "file"),
        ),
        (
            open,
            "local: { type: env, root: / }",
            "local:A",
            refused("local", "env"),
        ),
        (
            open,
            "local: bao",
            "local:kv/a#b",
            refused("local", "openbao"),
        ),
        (open, "file: env", "file:PATH", refused("file", "env")),
        (open, "env: local", "env:a", refused("env", "local")),
        (
            open,
            "env: { type: vault, url: 'https://x' }",
            "env:a",
            refused("env", "vault"),
        ),
        (
            closed,
            "local: env",
            "local:BAO_TOKEN",
            refused("local", "env"),
        ),
        // Nobody's but the host's: and then it is what the host says.
        (other, "", "local:passwd", "no".to_owned()),
        (
            other,
            "local: local",
            "local:passwd",
            "source local is of type local here and file in the host configuration".to_owned(),
        ),
        (other, "", "env:passwd", "no".to_owned()),
        // The store by another name is the same store.
        (closed, "mine: local", "mine:smtp", "yes".to_owned()),
        (closed, "mine: local", "mine:/smtp", "no".to_owned()),
        (open, "mine: local", "mine:/smtp", "no".to_owned()),
        (exact, "mine: local", "mine:/smtp", "yes".to_owned()),
        (open, "", "shared:smtp", "yes".to_owned()),
        (open, "", "shared:/smtp", "no".to_owned()),
        (
            open,
            "local: { type: local, root: / }",
            "local:/smtp",
            "no".to_owned(),
        ),
        (closed, "local: local", "local:smtp", "yes".to_owned()),
        (open, "local: local", "local:/smtp", "yes".to_owned()),
        // A name of the project's own choice is not covered by what was granted for the name.
        (open, "mine: env", "mine:BAO_TOKEN", "no".to_owned()),
        (
            open,
            "mine: { type: env, refresh: 1s }",
            "mine:BAO_TOKEN",
            "no".to_owned(),
        ),
        (open, "mine: file", "mine:etc/shadow", "no".to_owned()),
        (
            open,
            "mine: { type: file, root: / }",
            "mine:etc/shadow",
            "no".to_owned(),
        ),
        (open, "op: env", "op:A/B", "no".to_owned()),
        (exact, "mine: env", "mine:A", "yes".to_owned()),
        (
            exact,
            "mine: { type: file, root: /srv }",
            "mine:a",
            "yes".to_owned(),
        ),
        (
            exact,
            "mine: { type: file, root: / }",
            "mine:srv/a",
            "no".to_owned(),
        ),
        // A name of the host is the host's, or the project's own as a whole.
        (open, "", "bao:kv/a#b", "yes".to_owned()),
        (open, "bao: bao", "bao:kv/a#b", "yes".to_owned()),
        (
            open,
            "bao: { type: openbao, timeout: 1s }",
            "bao:kv/a#b",
            "yes".to_owned(),
        ),
        (
            open,
            "bao: vault",
            "bao:kv/a#b",
            "source bao is of type vault here and openbao in the host configuration".to_owned(),
        ),
        (
            open,
            "bao: env",
            "bao:A",
            "source bao is of type env here and openbao in the host configuration".to_owned(),
        ),
        (
            open,
            "bao: { type: openbao, url: 'https://evil' }",
            "bao:kv/a#b",
            "no".to_owned(),
        ),
        (
            open,
            "files: { type: file, root: / }",
            "files:a",
            "no".to_owned(),
        ),
        (open, "env: env", "env:A", "yes".to_owned()),
        (
            open,
            "env: { type: env, root: / }",
            "env:A",
            "no".to_owned(),
        ),
        (exact, "", "env:A", "no".to_owned()),
        (closed, "env: env", "env:A", "no".to_owned()),
    ] {
        assert_eq!(
            asks(&config(host), "shop", sources, reference),
            expected,
            "{host}\n{sources}\n{reference}"
        );
    }
    for bad in [
        "mine:../x",
        "mine:a/../../x",
        "mine:/../x",
        "local:..",
        "local:./x",
        "local:a//x",
    ] {
        assert!(bad.parse::<SecretRef>().is_err(), "{bad}");
    }
    // An environment that was opened to nobody by name is closed to exact grants, too.
    let shut = "grants: [{ project: shop, sources: [{ type: env }] }]";
    assert_eq!(asks(&config(shut), "shop", "mine: env", "mine:A"), "no");
    // What over the wire is no type that the parser knows is covered by nothing.
    let alias = SourceSpec::of_kind("bao");
    let own = [("bao".into(), alias)].into();
    assert!(config(open).meaning(&own, &"bao".into()).is_err());
}

#[test]
fn slashes_in_a_field_are_not_those_after_the_source() {
    let it = config("grants: [{ project: p, references: ['bao:kv/x#a:b', 'bao:kv/y#a://b'] }]");
    for (reference, expected) in [
        ("bao:kv/x#a:b", true),
        ("bao:kv/x#a://b", false),
        ("bao:kv/y#a://b", true),
        ("bao:kv/y#a:b", false),
        ("bao:kv/x%23a:b", false),
        ("bao:/kv/x#a:b", false),
        ("bao:kv/x?k=v#a:b", true),
    ] {
        assert_eq!(granted(&it, "p", reference), expected, "{reference}");
    }
}

#[test]
fn the_lines_that_are_missing_grant_what_was_asked() {
    let own = source(
        r#"{ type: openbao, url: "https://x:1", namespace: n, auth: { approle: { role_id: "r\"", secret_id: { file: /s }, mount: m } }, ca: /ca, root: /r }"#,
    );
    let token = source(r#"{ type: openbao, url: "https://x:1", auth: { token: { env: T } } }"#);
    let all = [
        ("bao:kv/shop/db#password?version=3", None),
        ("local:/smtp", None),
        ("env:STRIPE_KEY", None),
        ("op://\"a/b?\"/c/d?attribute=otp", None),
        ("bao:kv/st*r/*", None),
        ("bao:kv/a%23b", None),
        ("own:kv/a", Some(&own)),
        ("own:kv/a", Some(&token)),
    ];
    let mut out = String::new();
    for (reference, own) in all {
        let project = ProjectName::from("shop");
        let reference: SecretRef = reference.parse().unwrap();
        let own = &meaning(&reference, own);
        let missing = HostConfig::default()
            .granted(&project, &reference, own)
            .unwrap_err()
            .to_string();
        let lines = missing.split_once("\n\n").unwrap().1;
        let with =
            HostConfig::parse("locket.yaml", lines).unwrap_or_else(|e| panic!("{lines}{e:?}"));
        // What is opened is the host's now.
        let now = match own.by {
            DefinedBy::Project => own.clone(),
            _ => with.meaning(&BTreeMap::new(), reference.source()).unwrap(),
        };
        let own = &now;
        assert!(with.granted(&project, &reference, own).is_ok(), "{lines}");
        assert!(with.granted(&"other".into(), &reference, own).is_err());
        out += lines;
    }
    expect![[r#"
        grants:
          - project: "shop"
            references: ["bao:kv/shop/db"]
        grants:
          - project: "shop"
            references: ["local:/smtp"]
        sources:
          env: env

        grants:
          - project: "shop"
            references: ["env:STRIPE_KEY"]
        grants:
          - project: "shop"
            references: ["op://\"a/b?\"/c/d"]
        grants:
          - project: "shop"
            references: ["bao:kv/st%2Ar/%2A"]
        grants:
          - project: "shop"
            references: ["bao:kv/a%23b"]
        grants:
          - project: "shop"
            sources: [{ type: openbao, url: "https://x:1", namespace: "n", auth: { approle: { role_id: "r\"", secret_id: { file: "/s" }, mount: "m" } }, ca: "/ca", root: "/r" }]
        grants:
          - project: "shop"
            sources: [{ type: openbao, url: "https://x:1", auth: { token: { env: "T" } } }]
    "#]].assert_eq(&out);
    // Of a grant for a closed environment only the opening is missing.
    let it = config("grants: [{ project: shop, references: ['env:A'] }]");
    let reference = "env:A".parse().unwrap();
    let missing = it
        .granted(&"shop".into(), &reference, &meaning(&reference, None))
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        "`docker locket trust` grants it, or add to locket.yaml:\n\nsources:\n  env: env\n"
    );
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let text = r#"source: {}
sources:
  a: { type: openbao, auth: { token: hunter2 }, ca: own.pem }
defaults: { on_chnage: auto, quiet: soon, settle: 5 }
limits: { value: 1GB, events: 5 }
grants:
  - sources: [a]
  - project: p
  - { project: p, references: [5, "kv/x", "bao:", "bao:*/x"], sources: [{ url: x }] }
"#;
    let problems = HostConfig::parse("locket.yaml", text).unwrap_err();
    let sources: SourceMap = [("locket.yaml".to_owned(), text.to_owned())]
        .into_iter()
        .collect();
    expect![[r#"
        error[L003 unknown-key]: this file has no key `source`
         --> locket.yaml:1:1
          |
        1 | source: {}
          | ^^^^^^
          |
          = help: did you mean `sources`?

        error[L014 written-credential]: `token` is written down here
         --> locket.yaml:3:38
          |
        3 |   a: { type: openbao, auth: { token: ******* }, ca: own.pem }
          |                                      ^^^^^^^
          |
          = help: name where it is: `{ file: /path }` or `{ env: NAME }`

        error[L005 invalid-value]: `ca` is not an absolute path
         --> locket.yaml:3:53
          |
        3 |   a: { type: openbao, auth: { token: ******* }, ca: own.pem }
          |                                                     ^^^^^^^

        error[L003 unknown-key]: `defaults` has no key `on_chnage`
         --> locket.yaml:4:13
          |
        4 | defaults: { on_chnage: auto, quiet: soon, settle: 5 }
          |             ^^^^^^^^^
          |
          = help: did you mean `on_change`?

        error[L005 invalid-value]: `soon` is not a duration
         --> locket.yaml:4:37
          |
        4 | defaults: { on_chnage: auto, quiet: soon, settle: 5 }
          |                                     ^^^^
          |
          = help: write a number with its unit: `500ms`, `30s`, `1m30s`

        error[L005 invalid-value]: `5` is not a duration
         --> locket.yaml:4:51
          |
        4 | defaults: { on_chnage: auto, quiet: soon, settle: 5 }
          |                                                   ^
          |
          = help: write a number with its unit: `500ms`, `30s`, `1m30s`

        error[L005 invalid-value]: `1GB` is not a size
         --> locket.yaml:5:18
          |
        5 | limits: { value: 1GB, events: 5 }
          |                  ^^^
          |
          = help: write a number, or one with `KiB` or `MiB`

        error[L003 unknown-key]: `limits` has no key `events`
         --> locket.yaml:5:23
          |
        5 | limits: { value: 1GB, events: 5 }
          |                       ^^^^^^
          |
          = help: there is value

        error[L006 missing-key]: an entry of `grants` has no `project`
         --> locket.yaml:7:5
          |
        7 |   - sources: [a]
          |     ^

        error[L006 missing-key]: the grant grants nothing
         --> locket.yaml:8:5
          |
        8 |   - project: p
          |     ^
          |
          = help: name `sources` or `references`

        error[L004 wrong-type]: an entry of `references` is a number, not text
         --> locket.yaml:9:32
          |
        9 |   - { project: p, references: [5, "kv/x", "bao:", "bao:*/x"], sources: [{ url: x }] }
          |                                ^
          |
          = help: write it in quotes

        error[L005 invalid-value]: `"kv/x"` is neither a reference nor the beginning of one
         --> locket.yaml:9:35
          |
        9 |   - { project: p, references: [5, "kv/x", "bao:", "bao:*/x"], sources: [{ url: x }] }
          |                                   ^^^^^^
          |
          = help: write `bao:kv/shop/db`, `bao:kv/shop/` or `env:SHOP_*`

        error[L005 invalid-value]: `"bao:"` is neither a reference nor the beginning of one
         --> locket.yaml:9:43
          |
        9 |   - { project: p, references: [5, "kv/x", "bao:", "bao:*/x"], sources: [{ url: x }] }
          |                                           ^^^^^^
          |
          = help: write `bao:kv/shop/db`, `bao:kv/shop/` or `env:SHOP_*`

        error[L005 invalid-value]: `"bao:*/x"` is neither a reference nor the beginning of one
         --> locket.yaml:9:51
          |
        9 |   - { project: p, references: [5, "kv/x", "bao:", "bao:*/x"], sources: [{ url: x }] }
          |                                                   ^^^^^^^^^
          |
          = help: write `bao:kv/shop/db`, `bao:kv/shop/` or `env:SHOP_*`

        error[L006 missing-key]: an entry of `sources` has no `type`
         --> locket.yaml:9:73
          |
        9 |   - { project: p, references: [5, "kv/x", "bao:", "bao:*/x"], sources: [{ url: x }] }
          |                                                                         ^
    "#]]
    .assert_eq(&render_text(&problems, &sources, false));
    assert!(HostConfig::parse("locket.yaml", "a: 1\n---\nb: 1").is_err());
    assert!(HostConfig::parse("locket.yaml", "[").is_err());
    assert!(HostConfig::parse("locket.yaml", "text").is_err());
}
