//! The canary search that ends every scenario finds what lies about.
//! No twin on the fake engine: it is about where a real engine and its programs write.

use locket_e2e::Project;

const COMPOSE: &str = r#"
services:
  leaky:
    image: locket-test/busybox
    pull_policy: never
    stop_signal: SIGKILL
    init: true
    command: [sh, -c, 'echo "log: $$CANARY"; echo "$$CANARY" | base64 >/file; sleep 86400']
    environment: [CANARY]
"#;

#[test]
fn a_planted_value_is_found_wherever_the_engine_keeps_it() {
    let mut p = Project::new("search", COMPOSE);
    let value = p.canary("planted");
    p.compose(&["up", "-d"]).env("CANARY", &value).ok();
    p.write("note.txt", hex::encode(&value));
    locket_e2e::eventually(10, "the container has said it", || {
        p.container("leaky").logs().contains("log: ").then_some(())
    });
    let hits = p.search();
    for (form, place) in [
        ("raw", "docker inspect of container"),
        ("raw", "docker logs"),
        ("raw", "docker exec"),
        ("raw", "config.v2.json"),
        ("raw", "-json.log"),
        ("base64", "/file"),
        ("hex", "note.txt"),
        ("raw", "what was printed"),
    ] {
        let found = hits
            .iter()
            .any(|h| h.form == form && h.place.contains(place));
        assert!(found, "no {form} in {place}: {hits:#?}");
    }
}
