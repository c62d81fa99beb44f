//! The process: load, observe, resolve, apply, report, API.
//!
//! Start with [`Project::pass`](project::Project::pass): it is the list of what a pass does. [`service`] is everything that can
//! be asked, [`process`] the long-running controller that turns events into passes, [`access`] the way in for commands.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod access;
mod api;
mod background;
pub mod client;
mod compose_env;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod host;
mod inbox;
mod kept;
pub mod labelled;
pub mod leftovers;
mod link;
mod listen;
mod metrics;
mod mutex;
mod observe;
pub mod own;
mod owners;
pub mod process;
mod project;
mod resolve;
mod service;
mod session;
pub mod sources;
mod spec;
mod tracker;
mod view;

pub use host::Host;
pub use resolve::chain;

#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
#[cfg(test)]
mod tests;
