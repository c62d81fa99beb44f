//! A value changes: who uses it follows, once and in order.

use crate::worlds::{Needs, Service, Stack, World};

pub fn one_change_restarts_who_uses_it_once_and_nobody_else<W: World>() {
    let using = |name, gets| Service {
        name,
        gets,
        ..Service::default()
    };
    let stack = Stack::new(
        &["key", "other"],
        vec![
            using("api", "{ env: { KEY: key } }"),
            using("reader", "{ secrets: [key], on_change: none }"),
            using("mailer", "{ env: { OTHER: other } }"),
        ],
    );
    let mut w = W::new("one-change", &stack);
    let (key, other, new) = (w.value("key"), w.value("other"), w.value("new"));
    w.store("key", &key);
    w.store("other", &other);
    w.start_controller();
    w.up();
    w.ready();
    let (api, reader, mailer) = (
        w.container("api"),
        w.container("reader"),
        w.container("mailer"),
    );
    w.store("key", &new);
    w.until_env("api", "KEY", &new);
    w.ready();
    let now = w.container("api");
    assert_eq!(now.id, api.id, "a restart keeps the container");
    assert_eq!(w.env("api", "LOCKET_GENERATION").as_deref(), Some("2"));
    assert_eq!(w.file("reader", "key"), Some(new));
    assert_eq!(w.container("reader"), reader, "it reads for itself");
    assert_eq!(w.container("mailer"), mailer, "it does not use it");
    w.holds(4, "it is not restarted again", |w| {
        w.container("api") == now
    });
    assert_eq!(w.starts("api"), 2, "once");
    w.finish();
}

pub fn many_changes_in_the_settle_window_cause_one_restart<W: World>() {
    let app = Service {
        name: "app",
        gets: "{ env: { A: a, B: b } }",
        ..Service::default()
    };
    let stack = Stack {
        defaults: "{ settle: 3s, restart_every: 0s }",
        ..Stack::new(&["a", "b"], vec![app])
    };
    let mut w = W::new("burst", &stack);
    let (a, b) = (w.value("a"), w.value("b"));
    w.store("a", &a);
    w.store("b", &b);
    w.start_controller();
    w.up();
    w.ready();
    let mut last = (a, b);
    for _ in 0..3 {
        last = (w.value("a"), w.value("b"));
        w.store("a", &last.0);
        w.store("b", &last.1);
    }
    w.until_env("app", "A", &last.0);
    assert_eq!(w.env("app", "B").as_ref(), Some(&last.1));
    w.ready();
    let after = w.container("app");
    w.holds(4, "it is not restarted again", |w| {
        w.container("app") == after
    });
    assert_eq!(w.starts("app"), 2);
    // Setting the value that is there already is no change.
    w.store("a", &last.0);
    w.holds(4, "an equal value restarts nothing", |w| {
        w.container("app") == after
    });
    w.finish();
}

fn chain(second: &'static [(&'static str, Needs)], gets: &'static str) -> Stack {
    let first = Service {
        name: "first",
        gets: "{ env: { KEY: key } }",
        check: &["true"],
        ..Service::default()
    };
    let second = Service {
        name: "second",
        after: second,
        gets,
        ..Service::default()
    };
    Stack::new(&["key"], vec![first, second])
}

pub fn the_second_restarts_when_the_first_is_healthy<W: World>() {
    let mut w = W::new(
        "order",
        &chain(&[("first", Needs::Healthy)], "{ env: { KEY: key } }"),
    );
    let (key, new) = (w.value("key"), w.value("new"));
    w.store("key", &key);
    w.start_controller();
    w.up();
    w.until_env("second", "KEY", &key);
    w.ready();
    let (first, second) = (w.container("first"), w.container("second"));
    w.store("key", &new);
    w.eventually(60, "the first one runs anew", |w| {
        // Looked at in this order: the second must not be ahead of what is seen of the first.
        let after = w.container("second");
        let it = w.container("first");
        assert!(
            after == second || it.health == "healthy",
            "{after:?} before {it:?}"
        );
        (it != first && it.health == "healthy").then_some(())
    });
    w.until_env("second", "KEY", &new);
    w.ready();
    assert_eq!((w.starts("first"), w.starts("second")), (2, 2));
    w.finish();
}

pub fn a_restart_takes_along_who_asked_for_it<W: World>() {
    let mut w = W::new("along", &chain(&[("first", Needs::HealthyAndRestart)], ""));
    let (key, new) = (w.value("key"), w.value("new"));
    w.store("key", &key);
    w.start_controller();
    w.up();
    w.ready();
    let second = w.container("second");
    w.store("key", &new);
    w.until_env("first", "KEY", &new);
    w.eventually(60, "the second one is restarted too", |w| {
        let now = w.container("second");
        (now != second && now.running).then_some(())
    });
    w.ready();
    assert_eq!((w.starts("first"), w.starts("second")), (2, 2));
    w.finish();
}

pub fn a_hook_runs_before_its_dependants_restart<W: World>() {
    let db = Service {
        name: "db",
        gets: "{ secrets: [key], on_change: { exec: [cp, /run/secrets/key, /state/rotated] } }",
        has_state: true,
        ..Service::default()
    };
    let api = Service {
        name: "api",
        after: &[("db", Needs::Started)],
        gets: "{ env: { KEY: key } }",
        ..Service::default()
    };
    let mut w = W::new("hook-first", &Stack::new(&["key"], vec![db, api]));
    let (key, new) = (w.value("key"), w.value("new"));
    w.store("key", &key);
    w.start_controller();
    w.up();
    w.until_env("api", "KEY", &key);
    w.ready();
    let (db, api) = (w.container("db"), w.container("api"));
    w.store("key", &new);
    w.eventually(60, "api runs anew", |w| {
        let now = w.container("api");
        let rotated = w.exec("db", &["cat", "/state/rotated"]).1;
        assert!(now == api || rotated == new, "api is ahead of its database");
        (now != api).then_some(())
    });
    w.until_env("api", "KEY", &new);
    w.ready();
    assert_eq!(w.container("db"), db, "a hook restarts nothing");
    assert_eq!(w.starts("api"), 2);
    w.finish();
}
