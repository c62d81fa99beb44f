//! The scenarios of `both` on the fake engine. They need no engine and no time.
#![allow(clippy::unwrap_used, reason = "tests")]

mod both;
#[path = "worlds/fake.rs"]
mod world;
mod worlds;

mod fake {
    crate::both::all_in!(crate::world::FakeWorld);
}

/// Only here can the controller be killed after any of its calls to the engine.
#[test]
fn a_controller_that_is_killed_after_any_call_misses_and_doubles_nothing() {
    // A change takes two dozen, most of them while the first service is not healthy yet.
    both::controller::killed_after_calls(0..26, world::FakeWorld::pass_calls);
}
