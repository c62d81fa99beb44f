//! A value that does not work, a hook that fails, a user who stops something meanwhile.

use crate::worlds::{Hand, Needs, Service, Stack, World};

pub fn a_value_that_makes_a_service_unhealthy_is_rolled_back<W: World>() {
    let app = Service {
        name: "app",
        gets: "{ secrets: [key], on_change: { action: restart, timeout: 10s } }",
        check: &["grep", "-qv", "wrong", "/run/secrets/key"],
        ..Service::default()
    };
    let user = Service {
        name: "user",
        after: &[("app", Needs::HealthyAndRestart)],
        ..Service::default()
    };
    let mut w = W::new("picky", &Stack::new(&["key"], vec![app, user]));
    let (good, wrong, better) = (w.value("good"), w.value("wrong"), w.value("better"));
    w.store("key", &good);
    w.start_controller();
    w.up();
    w.until_healthy("app");
    w.ready();
    let user = w.container("user");

    w.store("key", &wrong);
    let message = w.eventually(90, "it is rolled back", |w| {
        let (status, reason, message) = w.condition(Some("app"), "RolledOut")?;
        (!status && reason == "RolledBack").then_some(message)
    });
    assert!(
        !message.is_empty() && !message.contains('\n'),
        "one line says why: {message}"
    );
    w.eventually(60, "the old value serves again", |w| {
        let serves = w.container("app").health == "healthy";
        (serves && w.file("app", "key")? == good).then_some(())
    });
    let served = w.container("app");
    w.holds(8, "it is not tried again", |w| w.container("app") == served);
    assert_eq!(w.starts("app"), 3, "the wrong one, and back");
    assert_eq!(w.container("user"), user, "the order stopped");

    w.store("key", &better);
    w.eventually(60, "another value is tried", |w| {
        (w.file("app", "key")? == better).then_some(())
    });
    w.ready();
    assert_ne!(w.container("app"), served);
    w.finish();
}

pub fn while_a_hook_fails_its_dependants_keep_the_old_generation<W: World>() {
    let db = Service {
        name: "db",
        gets: "{ secrets: [key], on_change: { exec: [cp, /run/secrets/key, /state/willing/rotated] } }",
        has_state: true,
        ..Service::default()
    };
    let api = Service {
        name: "api",
        after: &[("db", Needs::Started)],
        gets: "{ env: { KEY: key } }",
        ..Service::default()
    };
    let mut w = W::new("hook", &Stack::new(&["key"], vec![db, api]));
    let (old, new) = (w.value("old"), w.value("new"));
    w.store("key", &old);
    w.start_controller();
    w.up();
    w.until_env("api", "KEY", &old);
    w.ready();
    let (db, api) = (w.container("db"), w.container("api"));

    w.store("key", &new);
    w.eventually(60, "the condition says that the hook fails", |w| {
        let (status, reason, _) = w.condition(Some("db"), "RolledOut")?;
        (!status && reason == "HookFailed").then_some(())
    });
    assert_eq!(w.container("api"), api);
    // Even a crash-restart of the dependant must come up with what the database knows.
    w.by_hand(Hand::Restart, "api");
    w.until_env("api", "KEY", &old);

    assert_eq!(w.exec("db", &["mkdir", "/state/willing"]).0, 0);
    w.refresh();
    w.until_env("api", "KEY", &new);
    w.ready();
    assert_eq!(w.container("db"), db, "a hook restarts nothing");
    assert_eq!(w.exec("db", &["cat", "/state/willing/rotated"]).1, new);
    w.finish();
}

pub fn what_a_user_stops_during_a_rotation_stays_stopped<W: World>() {
    let first = Service {
        name: "first",
        gets: "{ env: { KEY: key } }",
        check: &["true"],
        ..Service::default()
    };
    let second = Service {
        name: "second",
        after: &[("first", Needs::Healthy)],
        gets: "{ env: { KEY: key } }",
        ..Service::default()
    };
    let mut w = W::new("stopped", &Stack::new(&["key"], vec![first, second]));
    let (old, new) = (w.value("old"), w.value("new"));
    w.store("key", &old);
    w.start_controller();
    w.up();
    w.until_env("second", "KEY", &old);
    w.ready();
    let first = w.container("first");
    w.store("key", &new);
    w.eventually(60, "the rotation has begun", |w| {
        (w.container("first") != first).then_some(())
    });
    w.by_hand(Hand::Stop, "second");
    w.until_env("first", "KEY", &new);
    w.until_healthy("first");
    w.holds(8, "it stays stopped", |w| !w.container("second").running);
    w.by_hand(Hand::Start, "second");
    w.until_env("second", "KEY", &new);
    w.ready();
    w.finish();
}
