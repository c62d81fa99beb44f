//! The contract between a user's compose file and locket.
//!
//! Everything here is data and pure functions: no I/O, no clock, no async.
//! Start with [`spec::ProjectSpec`]: what a compose project asks for.
//! [`compile`](compose) makes it from compose files, [`item`] is its resolved form that planner and renderer share.

pub mod id;
pub mod item;
pub mod spec;
pub mod reference;
pub mod template;
