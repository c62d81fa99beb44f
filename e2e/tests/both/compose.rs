//! Plain docker compose agrees with us before, during and after.

use crate::worlds::{Compose, Found, Hand, Needs, Service, Stack, World};

const ALL: [&str; 3] = ["api", "worker", "plain"];

fn up<W: World>(scenario: &str) -> (W, String) {
    let using = |name, gets| Service {
        name,
        gets,
        ..Service::default()
    };
    let services = vec![
        using("api", "{ secrets: [key], env: { KEY: key } }"),
        using("worker", "[other]"),
        using("plain", ""),
    ];
    let mut w = W::new(scenario, &Stack::new(&["key", "other"], services));
    let (key, other) = (w.value("key"), w.value("other"));
    w.store("key", &key);
    w.store("other", &other);
    w.up();
    w.until_env("api", "KEY", &key);
    (w, key)
}

fn all(w: &impl World) -> [Found; 3] {
    ALL.map(|service| w.container(service))
}

pub fn an_unchanged_up_changes_nothing<W: World>() {
    let (mut w, _) = up::<W>("up-twice");
    let (before, anchors) = (all(&w), w.anchors());
    assert_eq!(anchors.len(), 1);
    w.up();
    w.up();
    assert_eq!(all(&w), before);
    w.start_controller();
    w.ready();
    w.up();
    w.ready();
    assert_eq!(all(&w), before);
    assert_eq!(w.anchors(), anchors);
    w.finish();
}

pub fn stop_start_and_restart_keep_the_secrets<W: World>() {
    let (mut w, key) = up::<W>("stop-start");
    for with_controller in [false, true] {
        if with_controller {
            w.start_controller();
            w.ready();
        }
        w.compose(Compose::Stop);
        assert!(all(&w).iter().all(|it| !it.running));
        for verb in [Compose::Start, Compose::Restart] {
            w.compose(verb);
            w.until_env("api", "KEY", &key);
            assert_eq!(w.file("api", "key").as_ref(), Some(&key), "{verb:?}");
        }
        let after = all(&w);
        w.holds(3, "nothing is restarted for it", |w| all(w) == after);
    }
    assert_eq!(w.starts("api"), 5);
    w.finish();
}

pub fn what_is_removed_by_hand_comes_back_with_up<W: World>() {
    let (mut w, key) = up::<W>("removed");
    w.start_controller();
    w.ready();
    let worker = w.container("worker");
    w.by_hand(Hand::Remove, "api");
    w.holds(3, "nobody brings back what a user has removed", |w| {
        w.find("api").is_none()
    });
    w.up();
    w.until_env("api", "KEY", &key);
    w.ready();
    assert_eq!(w.container("worker"), worker);
    assert_eq!(w.starts("api"), 1);
    w.finish();
}

pub fn down_leaves_nothing_behind<W: World>() {
    for with_controller in [false, true] {
        let (mut w, key) = up::<W>("down");
        if with_controller {
            w.start_controller();
            w.ready();
        }
        w.compose(Compose::Down);
        assert_eq!(w.left(), Vec::<String>::new());
        w.holds(3, "nothing is brought back", |w| w.left().is_empty());
        // The project comes back as if it were new.
        w.up();
        w.until_env("api", "KEY", &key);
        w.finish();
    }
}

/// The fake's compose is a model of the real one: what it asks of an engine is recorded here from both.
pub fn compose_asks_the_engine_for_this<W: World>() {
    let first = Service {
        name: "first",
        gets: "[key]",
        check: &["true"],
        ..Service::default()
    };
    let second = Service {
        name: "second",
        // Without `restart: true` compose restarts the two in any order.
        after: &[("first", Needs::HealthyAndRestart)],
        gets: "[key]",
        ..Service::default()
    };
    let mut w = W::new("calls", &Stack::new(&["key"], vec![first, second]));
    let key = w.value("key");
    w.store("key", &key);
    let made = [
        "create a volume",
        "create a volume",
        "create a volume",
        "create the anchor",
        "create first",
        "create second",
        "start first",
        "start second",
    ];
    assert_eq!(w.changes(W::up), made, "up");
    assert_eq!(w.changes(W::up), [""; 0], "up again");
    let stop = ["stop second", "stop first"];
    assert_eq!(w.changes(|w| w.compose(Compose::Stop)), stop);
    let start = ["start first", "start second"];
    assert_eq!(w.changes(|w| w.compose(Compose::Start)), start);
    w.compose(Compose::Stop);
    assert_eq!(w.changes(W::up), start, "up after a stop");
    let restart = ["restart first", "restart second"];
    assert_eq!(w.changes(|w| w.compose(Compose::Restart)), restart);
    let remove = ["stop second", "remove second"];
    assert_eq!(w.changes(|w| w.by_hand(Hand::Remove, "second")), remove);
    assert_eq!(w.changes(W::up), ["create second", "start second"]);
    let down = [
        "stop second",
        "remove second",
        "stop first",
        "remove first",
        "remove the anchor",
        "remove volume locket",
        "remove volume locket-first",
        "remove volume locket-second",
    ];
    assert_eq!(w.changes(|w| w.compose(Compose::Down)), down);
    w.finish();
}
