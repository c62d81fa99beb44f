//! A command without a controller ends between our stop and our start of a container. No twin on the fake engine: it is about
//! processes and signals.

use locket_e2e::Project;

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  slow:
    image: locket-test/busybox
    pull_policy: never
    command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"]
    stop_grace_period: 8s
    depends_on: [locket]
    x-locket: [key]
"#;

#[test]
fn a_container_that_apply_has_stopped_runs_again_when_apply_has_ended() {
    let mut p = Project::new("interrupt", COMPOSE);
    let (old, new) = (p.canary("old"), p.canary("new"));
    p.store("key", &old);
    p.up(&[]);
    let before = p.container("slow").inspect["State"]["StartedAt"].clone();
    p.store("key", &new);
    let said = p.locket(&["apply", "--timeout", "5s"]).fails().all();
    assert!(said.contains("brought to its end"), "{said}");
    let it = p.container("slow");
    assert_eq!(it.inspect["State"]["Status"], "running");
    assert_ne!(it.inspect["State"]["StartedAt"], before, "it was restarted");
    p.finish();
}
