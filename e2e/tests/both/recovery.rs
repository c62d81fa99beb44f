//! Restarts, reboots and removals by hand: an application never runs without its secrets.

use crate::worlds::{Hand, Service, Stack, World};

fn up<W: World>(scenario: &str, with_controller: bool) -> (W, String) {
    let app = Service {
        name: "app",
        gets: "{ secrets: [key], env: { KEY: key } }",
        always: true,
        ..Service::default()
    };
    let mut w = W::new(scenario, &Stack::new(&["key"], vec![app]));
    let key = w.value("key");
    w.store("key", &key);
    w.up();
    if with_controller {
        w.start_controller();
        w.ready();
    }
    w.until_env("app", "KEY", &key);
    (w, key)
}

/// Ends everything that holds the tmpfs, as a reboot does, and starts the application alone.
fn as_after_a_reboot(w: &impl World) {
    w.by_hand(Hand::Stop, "app");
    w.stop_anchors();
    w.by_hand(Hand::Start, "app");
}

pub fn after_a_reboot_without_a_controller_the_application_waits_and_apply_helps<W: World>() {
    let (w, key) = up::<W>("reboot-alone", false);
    as_after_a_reboot(&w);
    let it = w.container("app");
    // Less than the two minutes after which the shim gives up.
    for _ in 0..3 {
        w.pass_time(1000);
        assert!(w.container("app").running && w.env("app", "KEY").is_none());
    }
    assert_eq!(w.file("app", "key"), None);
    w.apply();
    w.until_env("app", "KEY", &key);
    assert_eq!(w.container("app"), it, "it needed no restart");
    w.finish();
}

pub fn after_a_reboot_a_controller_heals_alone<W: World>() {
    let (w, key) = up::<W>("reboot", true);
    as_after_a_reboot(&w);
    let it = w.container("app");
    w.until_env("app", "KEY", &key);
    w.ready();
    assert_eq!(w.container("app"), it, "it waited, so it needed no restart");
    w.finish();
}

pub fn a_removed_anchor_is_replaced_and_nothing_restarts<W: World>() {
    let (mut w, _) = up::<W>("anchor", true);
    let (app, new) = (w.container("app"), w.value("new"));
    w.remove_anchors();
    w.eventually(30, "another anchor runs", |w| {
        (w.anchors().len() == 1).then_some(())
    });
    w.ready();
    assert_eq!(w.container("app"), app);
    w.store("key", &new);
    w.until_env("app", "KEY", &new);
    w.ready();
    assert_eq!(w.starts("app"), 2);
    w.finish();
}

pub fn a_restart_by_hand_needs_nothing_and_causes_nothing<W: World>() {
    let (w, key) = up::<W>("by-hand", true);
    w.by_hand(Hand::Restart, "app");
    let it = w.container("app");
    w.until_env("app", "KEY", &key);
    w.holds(5, "it is not restarted again", |w| w.container("app") == it);
    assert_eq!(w.starts("app"), 2);
    w.finish();
}

pub fn drift_is_repaired_without_a_restart<W: World>() {
    let (w, key) = up::<W>("drift", true);
    let app = w.container("app");
    w.spoil("app", "key", "spoilt");
    assert_eq!(w.file("app", "key").as_deref(), Some("spoilt"));
    w.refresh();
    w.eventually(30, "the file is as it was", |w| {
        (w.file("app", "key")? == key).then_some(())
    });
    w.ready();
    assert_eq!(w.container("app"), app);
    w.finish();
}

pub fn an_engine_that_restarts_without_a_controller_starts_nothing_without_its_secrets<W: World>() {
    let (w, key) = up::<W>("engine-alone", false);
    w.restart_engine();
    w.eventually(30, "the application is started", |w| {
        w.container("app").running.then_some(())
    });
    let it = w.container("app");
    for _ in 0..3 {
        w.pass_time(1000);
        assert!(w.container("app").running && w.env("app", "KEY").is_none());
    }
    w.apply();
    w.until_env("app", "KEY", &key);
    assert_eq!(w.container("app"), it, "it needed no restart");
    w.finish();
}

pub fn an_engine_that_restarts_brings_everything_back<W: World>() {
    let (w, key) = up::<W>("engine", true);
    w.restart_engine();
    w.until_env("app", "KEY", &key);
    w.ready();
    let it = w.container("app");
    w.holds(3, "it is not restarted for it", |w| {
        w.container("app") == it
    });
    w.finish();
}
