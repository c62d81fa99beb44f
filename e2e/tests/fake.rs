//! The scenarios of `both` on the fake engine. They need no engine and no time.
#![allow(clippy::unwrap_used, reason = "tests")]

mod both;
#[path = "worlds/fake.rs"]
mod world;
mod worlds;

mod fake {
    crate::both::all_in!(crate::world::FakeWorld);
}
