//! What `docker locket trust` shows, grants, remembers and takes back, with a controller that it all is about.
//! No twin on the fake engine: it is about the command, its store and what a running controller hears of it. That nothing can be had
//! without a grant is in `threats`, and that a grant restarts nothing in `controller`.

use locket_e2e::{Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s, refresh: 1s }
  sources: { files: { type: file, root: "@ROOT@" } }
  secrets: { key: "files:key", shared: "local:/@NAME@-shared" }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: [key, shared]
"#;

fn project(scenario: &str) -> Project {
    let mut p = Project::new(scenario, "services: {}\n");
    let root = p.values_dir().display().to_string();
    let text = COMPOSE.replace("@ROOT@", &root).replace("@NAME@", p.name());
    p.write("compose.yaml", text);
    for name in ["shared", "more"] {
        let value = p.canary(name);
        p.store(&format!("/{}-{name}", p.name()), value);
    }
    p
}

#[test]
fn what_is_granted_is_shown_and_remembered_and_nothing_else_and_is_taken_back() {
    let mut p = project("trust");
    let other = project("trust-other");
    other.grant();
    let (key, next) = (p.canary("key"), p.canary("next"));
    let file = p.values_dir().join("key");
    std::fs::write(&file, &key).unwrap();
    let root = p.values_dir().display().to_string();
    let (shared, more) = ["shared", "more"]
        .map(|name| format!("local:/{}-{name}", p.name()))
        .into();
    let controller = p.controller(&[]);
    p.locket(&["generate", "--yes"]).ok();
    let listed = || p.locket(&["trust", "--list"]).ok().text();
    let is_listed = |it: &Project| listed().contains(&format!("project: \"{}\"", it.name()));
    let delivered = || p.container("app").read("/run/secrets/key");

    let said = p.compose(&["up", "-d"]).fails().all();
    assert!(said.contains("`docker locket trust` grants it"), "{said}");
    // It shows all that is asked for; nobody is here to agree.
    let shown = p.locket(&["trust"]).fails().all();
    for it in [&root, &shared] {
        assert_eq!(shown.matches(it.as_str()).count(), 1, "{it}: {shown}");
    }
    assert!(shown.contains("`--yes`"), "{shown}");
    assert!(!is_listed(&p), "nothing was agreed to");
    p.compose(&["up", "-d"]).fails();

    p.grant();
    let again = p.locket(&["trust"]).ok().all();
    assert!(
        again.contains("everything that it asks for is granted"),
        "{again}"
    );
    assert!(is_listed(&p) && listed().contains(&shared), "{}", listed());
    p.compose(&["up", "-d"]).ok();
    p.ready();
    assert_eq!(delivered().as_deref(), Some(key.as_bytes()));

    // A compose file that asks for more has that refused, and is asked about that alone.
    let app = p.container("app");
    p.edit(
        "compose.yaml",
        " shared: \"",
        &format!(" more: \"{more}\", shared: \""),
    );
    p.edit("compose.yaml", "[key, shared]", "[key, shared, more]");
    p.locket(&["generate", "--yes"]).ok();
    // What it has been given stays good, so it is no failure.
    let said = p.compose(&["up", "-d"]).ok().all();
    let refused = said.contains(&more) && said.contains("`docker locket trust` grants it");
    assert!(refused && !said.contains(&shared), "{said}");
    let shown = p.locket(&["trust"]).fails().all();
    assert!(shown.contains(&more), "{shown}");
    for known in [&root, &shared] {
        assert!(!shown.contains(known.as_str()), "{known}: {shown}");
    }
    assert_eq!(p.container("app"), app, "it goes on with what it has");
    p.grant();
    p.compose(&["up", "-d"]).ok();
    p.ready();

    // The controller that runs hears of it.
    let app = p.container("app");
    let said = p.locket(&["trust", "--revoke"]).ok().all();
    assert!(said.contains("nothing is granted to"), "{said}");
    assert!(!is_listed(&p) && is_listed(&other), "{}", listed());
    eventually(60, "the controller may not read it any more", || {
        let (status, reason, _) = p.condition(None, "SourceReady")?;
        (!status && reason == "NotGranted").then_some(())
    });
    std::fs::write(&file, &next).unwrap();
    holds(4, "nothing new comes, and nothing is taken away", || {
        delivered().as_deref() == Some(key.as_bytes()) && p.container("app") == app
    });
    p.grant();
    eventually(60, "what is granted anew comes", || {
        (delivered()? == next.as_bytes()).then_some(())
    });
    controller.stop();
    other.finish();
    p.finish();
}
