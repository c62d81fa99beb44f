//! The planner against a simulated world: tables of plans, and laws.
#![allow(clippy::unwrap_used, reason = "tests")]

mod laws;
mod sim;
mod tables;
