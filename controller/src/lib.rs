//! The process: load, observe, resolve, apply, report, API.

pub mod access;
mod background;
mod host;
mod link;
mod observe;
pub mod own;
mod owners;
mod project;
mod resolve;
mod session;
pub mod sources;
mod spec;
mod tracker;
mod view;

pub use host::Host;
