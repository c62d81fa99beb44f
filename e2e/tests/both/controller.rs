//! A controller comes and goes, also in the middle of its work: no change is missed, none is acted on twice.

use crate::worlds::{Needs, Service, Stack, World};

fn up<W: World>(scenario: &str, with_controller: bool) -> W {
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
    let mut w = W::new(scenario, &Stack::new(&["key"], vec![first, second]));
    let key = w.value("key");
    w.store("key", &key);
    if with_controller {
        w.start_controller();
    }
    w.up();
    w.until_env("first", "KEY", &key);
    w.until_env("second", "KEY", &key);
    if with_controller {
        w.ready();
    }
    w
}

fn starts(w: &impl World) -> (usize, usize) {
    (w.starts("first"), w.starts("second"))
}

pub fn a_controller_that_starts_misses_and_doubles_nothing<W: World>() {
    let mut w = up::<W>("between", true);
    let before = (w.container("first"), w.container("second"));
    w.kill_controller();
    w.start_controller();
    w.ready();
    w.holds(3, "nothing is restarted for it", |w| {
        (w.container("first"), w.container("second")) == before
    });
    // A change while nobody looks.
    w.kill_controller();
    let new = w.value("new");
    w.store("key", &new);
    w.start_controller();
    w.until_env("second", "KEY", &new);
    w.ready();
    assert_eq!(w.env("first", "KEY"), Some(new));
    assert_eq!(starts(&w), (2, 2));
    w.kill_controller();
    w.start_controller();
    w.ready();
    w.holds(3, "one more restarts nothing", |w| starts(w) == (2, 2));
    w.finish();
}

pub fn a_controller_that_is_killed_in_the_middle_misses_and_doubles_nothing<W: World>() {
    let mut w = up::<W>("middle", true);
    // From before the first step to after the last one.
    for (round, millis) in [0, 100, 400, 900, 1600, 2500].into_iter().enumerate() {
        let wait = |w: &W| w.pass_time(millis);
        killed_in_a_change(&mut w, wait, round + 2, &format!("{millis} ms"));
    }
    w.finish();
}

/// Changes the value, kills the controller after some waiting, and starts another. Both services must have been started so often.
fn killed_in_a_change<W: World>(w: &mut W, wait: impl FnOnce(&W), so_often: usize, what: &str) {
    let new = w.value("new");
    w.store("key", &new);
    wait(w);
    w.kill_controller();
    w.start_controller();
    w.until_env("first", "KEY", &new);
    w.until_env("second", "KEY", &new);
    w.ready();
    assert_eq!(starts(w), (so_often, so_often), "killed after {what}");
}

pub fn a_controller_that_comes_later_changes_nothing<W: World>() {
    let mut w = up::<W>("later", false);
    let before = (w.container("first"), w.container("second"));
    w.start_controller();
    w.ready();
    w.holds(3, "nothing is restarted for it", |w| {
        (w.container("first"), w.container("second")) == before
    });
    let new = w.value("new");
    w.store("key", &new);
    w.until_env("second", "KEY", &new);
    w.ready();
    assert_eq!(starts(&w), (2, 2));
    w.finish();
}

/// As above, once after each of these numbers of calls to the engine, which only the fake one can count.
#[allow(
    dead_code,
    reason = "this module is part of two programs; the real engine's does not call it"
)]
pub fn killed_after_calls<W: World>(calls: impl Iterator<Item = usize>, wait: impl Fn(&W, usize)) {
    let mut w = up::<W>("calls", true);
    for (round, calls) in calls.enumerate() {
        let what = format!("{calls} calls");
        killed_in_a_change(&mut w, |w| wait(w, calls), round + 2, &what);
    }
    w.finish();
}
