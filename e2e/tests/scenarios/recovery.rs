//! Restarts, reboots and removals by hand: an application never runs without its secrets.

use locket_e2e::{Project, Run, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    restart: always
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { secrets: [key], env: { KEY: key } }
"#;

fn project(scenario: &str) -> (Project, String) {
    let mut p = Project::new(scenario, COMPOSE);
    let key = p.canary("key");
    p.store("key", &key);
    (p, key)
}

/// Ends everything that holds the tmpfs, as a reboot does, and starts the application alone.
fn as_after_a_reboot(p: &Project) {
    let app = p.container("app").id;
    let anchors: Vec<String> = p.anchors().into_iter().map(|a| a.id).collect();
    p.docker(&["stop", "-t", "0", &app]).ok();
    for anchor in &anchors {
        p.docker(&["stop", "-t", "0", anchor]).ok();
    }
    p.docker(&["start", &app]).ok();
}

#[test]
fn after_a_reboot_without_a_controller_the_app_waits_and_apply_helps() {
    let (p, key) = project("reboot-alone");
    p.up(&[]);
    as_after_a_reboot(&p);
    let it = p.container("app");
    holds(3, "it runs, but the application does not", || {
        p.container("app").running() && it.env("KEY").is_none()
    });
    assert_eq!(it.read("/run/secrets/key"), None);
    p.locket(&["apply"]).ok();
    let env = eventually(10, "the application has taken over", || {
        p.container("app").env("KEY")
    });
    assert_eq!(env, key.as_bytes());
    assert_eq!(p.container("app"), it, "it needed no restart");
    p.finish();
}

#[test]
fn after_a_reboot_a_controller_heals_alone() {
    let (p, key) = project("reboot");
    p.up(&[]);
    let controller = p.controller(&[]);
    p.ready();
    as_after_a_reboot(&p);
    let it = p.container("app");
    let env = eventually(30, "the application has taken over", || it.env("KEY"));
    assert_eq!(env, key.as_bytes());
    p.ready();
    assert_eq!(
        p.container("app"),
        it,
        "it waited in the gate, so it needed no restart"
    );
    controller.stop();
    p.finish();
}

#[test]
fn a_removed_anchor_comes_back_and_nothing_restarts() {
    let (mut p, key) = project("anchor");
    p.up(&[]);
    let controller = p.controller(&[]);
    p.ready();
    let (app, anchor) = (p.container("app"), p.anchors().remove(0));
    p.docker(&["rm", "-f", &anchor.id]).ok();
    eventually(30, "another anchor runs", || {
        let now = p.anchors();
        now.iter()
            .any(|a| a.running() && a.id != anchor.id)
            .then_some(())
    });
    p.ready();
    assert_eq!(p.container("app"), app);
    assert_eq!(app.read("/run/secrets/key").unwrap(), key.as_bytes());
    let new = p.canary("new");
    p.store("key", &new);
    eventually(30, "a change still arrives", || {
        (p.container("app").env("KEY")? == new.as_bytes()).then_some(())
    });
    controller.stop();
    p.finish();
}

#[test]
fn a_restart_by_hand_needs_nothing_and_causes_nothing() {
    let (mut p, key) = project("by-hand");
    p.up(&[]);
    let controller = p.controller(&[]);
    p.ready();
    let id = p.container("app").id;
    p.docker(&["restart", "-t", "0", &id]).ok();
    let it = p.container("app");
    assert_eq!(
        eventually(10, "the application has taken over", || it.env("KEY")),
        key.as_bytes()
    );
    holds(5, "it is not restarted again", || p.container("app") == it);

    // The controller is gone while the value changes and while somebody restarts: nothing is missed, nothing is doubled.
    controller.kill();
    let new = p.canary("new");
    p.store("key", &new);
    let controller = p.controller(&[]);
    let changed = eventually(30, "the change arrives", || {
        let now = p.container("app");
        (now.env("KEY")? == new.as_bytes()).then_some(now)
    });
    p.ready();
    controller.kill();
    let again = p.controller(&[]);
    p.ready();
    holds(5, "a controller that starts restarts nothing", || {
        p.container("app") == changed
    });
    again.stop();
    p.finish();
}

#[test]
fn drift_of_a_delivered_file_is_repaired_without_a_restart() {
    let (p, key) = project("drift");
    p.up(&[]);
    let controller = p.controller(&[]);
    p.ready();
    let app = p.container("app");
    let volume = app.inspect["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["Destination"] == "/run/secrets")
        .unwrap()["Name"]
        .clone();
    let mount = format!("{}:/v", volume.as_str().unwrap());
    let spoil = "echo spoilt >\"$(readlink -f /v/key)\"";
    p.docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        &mount,
        "locket-test/busybox",
        "sh",
        "-c",
        spoil,
    ])
    .ok();
    assert_eq!(app.read("/run/secrets/key").unwrap(), b"spoilt\n");
    p.locket(&["refresh"]).ok();
    eventually(30, "the file is as it was", || {
        (app.read("/run/secrets/key")? == key.as_bytes()).then_some(())
    });
    p.ready();
    assert_eq!(p.container("app"), app);
    controller.stop();
    p.finish();
}

#[test]
fn an_engine_that_restarts_brings_everything_back() {
    let Some(setup) = std::env::var_os("LOCKET_TEST_RESTART") else {
        eprintln!("not run: the engine was not started by `make setup`, so no test restarts it");
        return;
    };
    let (p, key) = project("engine");
    p.up(&[]);
    let controller = p.controller(&[]);
    p.ready();
    let out = std::process::Command::new(setup)
        .arg("restart")
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let env = eventually(60, "the application runs with its secret", || {
        p.container("app").env("KEY")
    });
    assert_eq!(env, key.as_bytes());
    p.ready();
    let it = p.container("app");
    holds(3, "it is not restarted for it", || p.container("app") == it);
    controller.stop();
    p.finish();
}

/// The volumes of locket are what `docker volume prune` must not take while a project is up.
#[test]
fn a_prune_takes_nothing_of_ours() {
    let (p, key) = project("prune");
    p.up(&[]);
    let label = format!("label=com.docker.compose.project={}", p.name());
    let listed = |p: &Project| -> Run { p.docker(&["volume", "ls", "-q", "--filter", &label]) };
    let before = listed(&p).ok().text();
    // Only this project's: other people's volumes are none of a test's business.
    p.docker(&["volume", "prune", "-af", "--filter", &label])
        .ok();
    assert_eq!(listed(&p).ok().text(), before);
    assert_eq!(
        p.container("app").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    p.finish();
}
