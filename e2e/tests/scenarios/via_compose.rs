//! Variables that compose itself sets (`via: compose`): for services that cannot run under the shim. No controller runs here.
//! No twin on the fake engine: all of it is about what compose makes of what the gate says.

use locket_e2e::Project;

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  api:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { env: { KEY: { secret: key, via: compose } } }
"#;

#[test]
fn a_project_with_nothing_else_gets_its_variable_and_keeps_its_container() {
    let mut p = Project::new("via-compose", COMPOSE);
    // It is meant to be seen, in `inspect` and on the engine's disk, so it is no canary.
    p.store_in_the_open("key", "plain");
    p.locket(&["generate", "--check"]).ok();
    let said = p.compose(&["up", "-d"]).ok().all();
    assert!(said.contains("warning") && said.contains("KEY"), "{said}");
    let before = p.container("api");
    let env = before.inspect["Config"]["Env"].to_string();
    assert!(env.contains("\"LOCKET_KEY=plain\""), "{env}");
    assert!(p.anchors().is_empty(), "there is nothing to keep mounted");

    p.compose(&["up", "-d"]).ok();
    assert_eq!(
        p.container("api"),
        before,
        "an unchanged up changes nothing"
    );

    p.store_in_the_open("key", "other");
    p.compose(&["up", "-d"]).ok();
    let env = p.container("api").inspect["Config"]["Env"].to_string();
    assert!(env.contains("\"LOCKET_KEY=other\""), "{env}");
    p.compose(&["down", "-v"]).ok();
    p.finish();
}
