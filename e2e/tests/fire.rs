//! The loop under fire, on the fake engine and a paused clock: what dies at the worst moment, and what happens at once.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fire {
    mod crash;
    mod simulation;
}
