//! The loop under fire, on the fake engine and a paused clock: what dies at the worst moment, and what happens at once.
#![allow(clippy::unwrap_used, reason = "tests")]

use locket_e2e::alloc::Counting;

/// What is held must not grow.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

mod fire {
    mod crash;
    mod scale;
    mod simulation;
    mod week;
    mod work;
}
