//! The process: load, observe, resolve, apply, report, API.

pub mod access;
mod host;
pub mod own;
mod owners;
mod session;
pub mod sources;
mod tracker;

pub use host::Host;
