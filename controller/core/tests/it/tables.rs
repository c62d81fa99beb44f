//! What is planned, case by case.

mod bad_values;
mod clocks;
mod delivery;
mod dependants;
mod hooks;
mod restarts;
mod starts;
mod stops;

use expect_test::Expect;
use locket_crds::spec::ChangeAction::{self, Auto, Exec};

use crate::sim::*;

#[track_caller]
fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.plan().to_string());
}

#[track_caller]
fn check_story(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.story());
}

fn hook() -> ChangeAction {
    Exec(vec!["psql".into(), "-f".into(), "rotate.sql".into()])
}

/// Up to the moment at which a stop of ours has ended.
fn stopped(w: &mut World) {
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    let planned = w.plan();
    w.apply(planned);
    w.pass_time(secs(3));
    let planned = w.plan();
    w.apply(planned);
    assert_eq!(w.log, ["stop api-1"]);
}
