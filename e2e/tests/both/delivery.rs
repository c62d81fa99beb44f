//! The first delivery.

use crate::worlds::{Service, Stack, World};

fn stack() -> Stack {
    let api = Service {
        name: "api",
        gets: "{ secrets: [key], env: { KEY: key, URL: 'http://{{ key }}@db' } }",
        ..Service::default()
    };
    let worker = Service {
        name: "worker",
        gets: "[other]",
        ..Service::default()
    };
    let plain = Service {
        name: "plain",
        ..Service::default()
    };
    Stack::new(&["key", "other"], vec![api, worker, plain])
}

pub fn files_and_variables_are_there_before_the_application<W: World>() {
    let mut w = W::new("first", &stack());
    let (key, other) = (w.value("key"), w.value("other"));
    w.store("key", &key);
    w.store("other", &other);
    w.up();
    w.until_env("api", "KEY", &key);
    w.until_env("api", "URL", &format!("http://{key}@db"));
    w.until_env("api", "LOCKET_GENERATION", "1");
    assert_eq!(w.file("api", "key").as_ref(), Some(&key));
    assert_eq!(w.file("worker", "other").as_ref(), Some(&other));
    assert_eq!(w.file("worker", "key"), None, "each gets its own only");
    assert_eq!(w.env("plain", "LOCKET_GENERATION"), None);
    for service in ["api", "worker", "plain"] {
        w.eventually(20, "the application runs", |w| {
            (w.starts(service) > 0).then_some(())
        });
        assert_eq!(w.starts(service), 1, "{service}");
    }
    w.finish();
}

pub fn what_cannot_be_resolved_starts_nothing<W: World>() {
    let mut w = W::new("unresolved", &stack());
    let (key, other) = (w.value("key"), w.value("other"));
    w.store("other", &other);
    assert!(!w.try_up(), "a secret is missing");
    assert!(w.find("api").is_none(), "it is not even made");
    w.store("key", &key);
    w.up();
    w.until_env("api", "KEY", &key);
    w.finish();
}

pub fn without_a_controller_up_delivers_and_apply_acts<W: World>() {
    let mut w = W::new("one-pass", &stack());
    let (key, other, new) = (w.value("key"), w.value("other"), w.value("new"));
    w.store("key", &key);
    w.store("other", &other);
    w.up();
    let (api, worker) = (w.container("api"), w.container("worker"));
    w.until_env("api", "KEY", &key);
    w.store("key", &new);
    w.up();
    assert_eq!(w.container("api"), api, "the gate restarts nothing");
    assert_eq!(w.env("api", "KEY"), Some(key));
    assert_eq!(w.file("api", "key").as_ref(), Some(&new), "but it delivers");
    w.apply();
    w.until_env("api", "KEY", &new);
    assert_eq!(w.starts("api"), 2);
    assert_eq!(w.container("worker"), worker, "only where it must");
    w.finish();
}
