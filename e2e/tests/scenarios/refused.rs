//! What cannot be right is refused: nothing is delivered, the app keeps running, and one line says where.
//! No twin on the fake engine: it is about the words of a refusal, with file and line.

use locket_e2e::Project;

const COMPOSE: &str = r#"x-locket:
  secrets:
    good: local:good
    other: local:other
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket:
      secrets: [good]
      env: { OTHER: other }
      templates: [{ content: "x={{ good }}", target: x.conf }]
"#;

/// Name, what is changed in the file, what the message must contain (the file and line among it).
const CASES: &[(&str, (&str, &str), &[&str])] = &[
    (
        "bad-reference",
        ("local:other", "\"nowhere:other#x\""),
        &["compose.yaml:4:", "nowhere"],
    ),
    (
        "unknown-name",
        ("OTHER: other", "OTHER: othr"),
        &["compose.yaml:15:", "othr", "other"],
    ),
    (
        "bad-template",
        ("x={{ good }}", "x={{ good | nofilter }}"),
        &["compose.yaml:16:", "nofilter"],
    ),
    (
        "unclosed-template",
        ("x={{ good }}", "x={{ good"),
        &["compose.yaml:16:"],
    ),
    (
        "missing-secret",
        ("local:other", "local:nobody"),
        &["compose.yaml:4:", "nobody"],
    ),
    (
        "unknown-key",
        ("      secrets: [good]", "      secretz: [good]"),
        &["compose.yaml:14:", "secretz"],
    ),
    (
        "way-out",
        ("target: x.conf", "target: ../x.conf"),
        &["compose.yaml:16:"],
    ),
    (
        "interpolated",
        ("x={{ good }}", "x=${HOME}{{ good }}"),
        &["compose.yaml:16:"],
    ),
];

#[test]
fn what_cannot_be_right_is_refused_with_file_and_line() {
    let mut p = Project::new("refused", COMPOSE);
    let (good, other) = (p.canary("good"), p.canary("other"));
    p.store("good", &good);
    p.store("other", &other);
    p.up(&[]);
    let app = p.container("app");
    for (name, (from, to), wanted) in CASES {
        p.edit("compose.yaml", from, to);
        let said = p.compose(&["up", "-d"]).fails().all();
        let line = said.lines().find(|l| wanted.iter().all(|w| l.contains(w)));
        assert!(line.is_some(), "{name}: no line with {wanted:?} in\n{said}");
        let check = p.locket(&["check"]).any();
        if *name != "missing-secret" {
            // Whether a secret exists is for the backend to say, not for the file.
            assert_eq!(check.code, 1, "{name}: {}", check.all());
            assert!(
                wanted.iter().all(|w| check.all().contains(w)),
                "{name}: {}",
                check.all()
            );
        }
        assert_eq!(p.container("app"), app, "{name}: the app keeps running");
        assert_eq!(
            app.read("/run/secrets/good").unwrap(),
            good.as_bytes(),
            "{name}"
        );
        p.write("compose.yaml", COMPOSE);
    }
    p.compose(&["up", "-d"]).ok();
    assert_eq!(p.container("app"), app);
    p.finish();
}

#[test]
fn an_empty_value_and_a_nul_in_env_deliver_nothing() {
    let mut p = Project::new("values", COMPOSE);
    let (good, other) = (p.canary("good"), p.canary("other"));
    p.store("good", &good);
    p.store("other", &other);
    p.up(&[]);
    let app = p.container("app");
    let new = p.canary("new");
    p.store("good", &new);
    for (name, bad, wanted) in [("empty", &b""[..], "empty"), ("nul", b"a\0b", "NUL")] {
        p.store("other", bad);
        let said = p.compose(&["up", "-d"]).fails().all();
        let line = said.lines().find(|l| l.contains("compose.yaml:15:"));
        assert!(line.is_some_and(|l| l.contains(wanted)), "{name}: {said}");
        assert_eq!(p.container("app"), app, "{name}");
        assert_eq!(
            app.read("/run/secrets/good").unwrap(),
            good.as_bytes(),
            "{name}: all or nothing"
        );
    }
    p.store("other", &other);
    p.compose(&["up", "-d"]).ok();
    assert_eq!(app.read("/run/secrets/good").unwrap(), new.as_bytes());
    p.finish();
}

#[test]
fn interpolation_of_env_files_reaches_nothing_of_ours() {
    let text = COMPOSE.replace(
        "command: [sleep, \"86400\"]",
        "command: [sleep, \"86400\"]\n    environment: { USED: \"${USED}\" }",
    );
    let mut p = Project::new("dotenv", &text);
    let (good, other, unused) = (p.canary("good"), p.canary("other"), p.canary("unused"));
    p.store("good", &good);
    p.store("other", &other);
    p.write(".env", format!("UNUSED={unused}\nUSED=plain\n"));
    p.up(&[]);
    let hits = p.search();
    // The user's own file is the only place where it may be.
    assert!(
        hits.iter()
            .all(|h| h.place.ends_with("/.env") || h.place.contains("/proc/")),
        "{hits:#?}"
    );
    p.write(".env", "USED=plain\n");
    p.finish();
}
