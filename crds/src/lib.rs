//! The contract between a user's compose file and locket.
//!
//! Everything here is data and pure functions: no I/O, no clock, no async.
//! Start with [`spec::ProjectSpec`]: what a compose project asks for.
//! `compose::compile` makes it from compose files, [`item`] is its resolved form that planner and renderer share.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod api;
pub mod compose;
pub mod config;
pub mod diag;
pub mod doctor;
#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
pub mod id;
pub mod item;
pub mod labels;
pub mod likeness;
pub mod lint;
pub mod names;
mod read;
pub mod reference;
pub mod resolve;
pub mod schema;
pub mod spec;
pub mod template;
pub mod text;
pub mod time;
pub mod words;
pub mod yaml;

pub use resolve::resolve;
