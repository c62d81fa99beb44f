//! A value that does not work, a hook that fails, a user who stops something meanwhile.

use locket_e2e::{Project, eventually, holds};

const PICKY: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    healthcheck: { test: [CMD-SHELL, "! grep -q bad /run/secrets/key"], interval: 1s, retries: 2 }
    x-locket: { secrets: [key], on_change: { action: restart, timeout: 10s } }
  user:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: { locket: { condition: service_started }, app: { condition: service_healthy, restart: true } }
"#;

#[test]
fn a_value_that_makes_a_service_unhealthy_is_rolled_back() {
    let mut p = Project::new("picky", PICKY);
    let good = p.canary("good");
    p.store("key", &good);
    let controller = p.controller(&[]);
    p.up(&["--wait"]);
    p.ready();
    let user = p.container("user");

    let bad = format!("bad-{}", p.canary("bad"));
    p.store("key", &bad);
    let (_, reason, message) = eventually(90, "it is rolled back", || {
        p.condition(Some("app"), "RolledOut")
            .filter(|(status, reason, _)| !status && reason == "RolledBack")
    });
    assert!(
        !message.is_empty() && !message.contains('\n'),
        "{reason}: one line says why: {message}"
    );
    eventually(60, "the old value serves again", || {
        let it = p.container("app");
        (it.health() == "healthy" && it.read("/run/secrets/key")? == good.as_bytes()).then_some(())
    });
    let served = p.container("app");
    holds(8, "the bad value is not tried again", || {
        p.container("app") == served
    });
    assert_eq!(
        p.container("user"),
        user,
        "the order stopped: its dependant was not restarted"
    );

    let better = p.canary("better");
    p.store("key", &better);
    eventually(60, "another value is tried", || {
        (p.container("app").read("/run/secrets/key")? == better.as_bytes()).then_some(())
    });
    p.ready();
    assert_ne!(p.container("app"), served);
    controller.stop();
    p.finish();
}

const HOOK: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  db:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    tmpfs: [/state]
    depends_on: [locket]
    x-locket:
      secrets: [key]
      on_change: { exec: [sh, -c, "test -e /state/willing && cp /run/secrets/key /state/rotated"] }
  api:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket, db]
    x-locket: { env: { KEY: key } }
"#;

#[test]
fn while_a_hook_fails_its_dependants_keep_the_old_generation() {
    let mut p = Project::new("hook", HOOK);
    let old = p.canary("old");
    p.store("key", &old);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let (db, api) = (p.container("db"), p.container("api"));

    let new = p.canary("new");
    p.store("key", &new);
    eventually(60, "the condition says that the hook fails", || {
        let (status, reason, _) = p.condition(Some("db"), "RolledOut")?;
        (!status && reason == "HookFailed").then_some(())
    });
    assert_eq!(p.container("api"), api);
    // Even a crash-restart of the dependant must come up with what the database knows.
    p.docker(&["restart", "-t", "0", &api.id]).ok();
    let restarted = p.container("api");
    assert_eq!(
        eventually(20, "api has taken over", || restarted.env("KEY")),
        old.as_bytes()
    );

    db.exec(&["touch", "/state/willing"]).ok();
    p.locket(&["refresh"]).ok();
    eventually(90, "the hook succeeds and api follows", || {
        (p.container("api").env("KEY")? == new.as_bytes()).then_some(())
    });
    p.ready();
    assert_eq!(p.container("db"), db, "a hook restarts nothing");
    assert_eq!(
        db.exec(&["cat", "/state/rotated"])
            .says_values()
            .ok()
            .stdout,
        new.as_bytes()
    );
    controller.stop();
    p.finish();
}

const CHAIN: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  first:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    healthcheck: { test: [CMD, "true"], interval: 3s }
    x-locket: { env: { KEY: key } }
  second:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: { locket: { condition: service_started }, first: { condition: service_healthy } }
    x-locket: { env: { KEY: key } }
"#;

#[test]
fn what_a_user_stops_during_a_rotation_stays_stopped() {
    let mut p = Project::new("stopped", CHAIN);
    let old = p.canary("old");
    p.store("key", &old);
    let controller = p.controller(&[]);
    p.up(&["--wait"]);
    p.ready();
    let (first, second) = (p.container("first"), p.container("second"));
    let new = p.canary("new");
    p.store("key", &new);
    eventually(60, "the rotation has begun", || {
        (p.container("first") != first).then_some(())
    });
    p.docker(&["stop", "-t", "0", &second.id]).ok();
    eventually(60, "the first one is done", || {
        let it = p.container("first");
        (it.health() == "healthy" && it.env("KEY")? == new.as_bytes()).then_some(())
    });
    holds(8, "it stays stopped", || !p.container("second").running());
    p.docker(&["start", &second.id]).ok();
    let it = p.container("second");
    assert_eq!(
        eventually(20, "it starts with the new value", || it.env("KEY")),
        new.as_bytes()
    );
    controller.stop();
    p.finish();
}
