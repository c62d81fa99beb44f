//! What happens to the engine itself, and to everything on it at once.
//! No twin on the fake engine: `recovery` has what it can do; this is about dockerd's own ways to end, and to tidy up.

use locket_e2e::{Project, SecondEngine, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  # One that it finds running after its own kill -9, dockerd stops as a user would: `unless-stopped` would stay down.
  restart: always
  command: [sleep, "86400"]
  stop_signal: SIGKILL
  depends_on: [locket]
services:
  locket: { provider: { type: locket } }
  app:
    <<: *app
    x-locket: { secrets: [key], env: { KEY: key }, on_change: { action: restart, stable: 500ms } }
  file:
    <<: *app
    x-locket: { secrets: [key], on_change: none }
"#;

/// The engine of the tests, which goes back to its ways when this ends.
struct Engine(String);

impl Engine {
    /// `e2e/run` leaves these scenarios out, and says so, where the engine is somebody else's.
    fn ours() -> Self {
        Self(std::env::var("LOCKET_TEST_RESTART").expect(
            "LOCKET_TEST_RESTART names what restarts the engine that `make setup` has started",
        ))
    }

    fn restarts(&self, p: &Project, words: &[&str]) {
        p.program(&self.0, &[&["restart"], words].concat()).ok();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = std::process::Command::new(&self.0).arg("restart").output();
    }
}

fn rotates(p: &mut Project) {
    let value = p.canary("next");
    p.store("key", &value);
    eventually(40, "both have the new value", || {
        let file = p.container("file").read("/run/secrets/key")?;
        let env = p.container("app").env("KEY")?;
        (file == value.as_bytes() && env == value.as_bytes()).then_some(())
    });
    p.ready();
}

#[test]
fn an_engine_that_restarts_after_kill_9_brings_everything_back() {
    let mut p = Project::new("engine-killed", COMPOSE);
    let engine = Engine::ours();
    let key = p.canary("key");
    p.store("key", &key);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    engine.restarts(&p, &["KILL"]);
    eventually(60, "the application runs with its secret", || {
        (p.container("app").env("KEY")? == key.as_bytes()).then_some(())
    });
    p.ready();
    assert_eq!(p.anchors().iter().filter(|it| it.running()).count(), 1);
    let it = p.container("app");
    holds(3, "it is not restarted for it", || p.container("app") == it);
    rotates(&mut p);
    controller.stop();
    p.finish();
}

#[test]
fn an_engine_that_restarts_with_live_restore_disturbs_nobody() {
    let mut p = Project::new("live-restore", COMPOSE);
    let engine = Engine::ours();
    engine.restarts(&p, &["TERM", "--live-restore"]);
    let key = p.canary("key");
    p.store("key", &key);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let begun = |p: &Project| {
        let all = ["app", "file"].map(|it| p.container(it)).into_iter();
        let all = all.chain(p.anchors());
        all.map(|it| (it.id, it.started_at)).collect::<Vec<_>>()
    };
    for signal in ["TERM", "KILL"] {
        let before = begun(&p);
        engine.restarts(&p, &[signal, "--live-restore"]);
        p.ready();
        holds(3, "nobody was restarted", || begun(&p) == before);
        rotates(&mut p);
    }
    p.compose(&["down", "-v"]).ok();
    controller.stop();
    p.finish();
}

#[test]
fn a_service_that_is_added_leaves_the_files_of_one_that_is_stopped() {
    let mut p = Project::new("added", COMPOSE);
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let anchor = p.anchors().remove(0).id;
    p.compose(&["stop"]).ok();
    let look = |p: &Project| {
        let list = "cat /v/key; find /v | sort | xargs stat -c '%n %i %Z'";
        p.in_volume("file", list).says_values().ok().text()
    };
    let before = look(&p);
    assert!(before.contains(&key));
    let more = "  more:\n    <<: *app\n    x-locket: [key]\n";
    let text = std::fs::read_to_string(p.dir().join("compose.yaml")).unwrap();
    p.write("compose.yaml", text + more);
    p.up(&["more"]);
    assert_eq!(
        p.container("more").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    let anchors: Vec<_> = p.anchors().into_iter().map(|it| it.id).collect();
    assert!(anchors.len() == 1 && anchors[0] != anchor, "{anchors:?}");
    assert_eq!(look(&p), before, "not a file was written again");
    assert!(!p.container("file").running() && !p.container("app").running());
    // It is still its own: nothing had to be delivered for it to start.
    p.docker(&["start", &p.container("file").id]).ok();
    let read = p.container("file").read("/run/secrets/key");
    assert_eq!(read.unwrap(), key.as_bytes());
    p.finish();
}

#[test]
fn a_prune_of_the_whole_engine_takes_nothing_that_is_needed() {
    let engine = SecondEngine::start(&["locket-test/busybox"]);
    let mut p = Project::new("pruned", COMPOSE);
    p.goes(engine.by_flags());
    let key = p.canary("key");
    p.store("key", &key);
    let socket = engine.socket().display().to_string();
    p.locket(&["controller", "install", "--socket", &socket])
        .ok();
    p.up(&[]);
    p.ready();
    let prune = |p: &Project| {
        p.docker(&["system", "prune", "-af", "--volumes"]).ok();
        p.docker(&["volume", "prune", "-af"]).ok();
    };
    prune(&p);
    rotates(&mut p);
    let kept = p.canary("kept");
    p.store("kept", &kept);
    // Between two lives of its container nobody but the anchors holds the store.
    p.locket(&["controller", "uninstall"]).ok();
    prune(&p);
    let get = p.locket(&["secret", "get", "kept"]).says_values().ok();
    assert_eq!(get.text(), kept, "the store is the same");
    let other = p.canary("other");
    p.store("key", &other);
    p.locket(&["apply"]).ok();
    let now = p.container("file").read("/run/secrets/key");
    assert_eq!(now.unwrap(), other.as_bytes());
    p.finish();
}
