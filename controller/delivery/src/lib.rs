//! How bytes come into a service's volume, and what is kept beside them.
//!
//! The client speaks [`protocol`] over one exec stream to the anchor, where [`session::serve`] answers; [`anchor::idle`] is what
//! runs there beside it.
//! [`volume::Volume`] is a service's tmpfs: generations, published by one symlink swap, and their log.
//! [`project::Project`] is the project volume: lease, key, state, the shim program.
//! [`layout`] says which names mean what; the shim reads by the same rules.
//!
//! Sync, Linux only, no dependency on the rest of the house. What a volume holds is treated as hostile: every path is opened
//! beneath a directory handle and no link is followed.
#![deny(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "tests damage files behind our back"
    )
)]

pub mod anchor;
pub mod clock;
mod dir;
#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
pub mod generation;
pub mod layout;
pub mod log;
pub mod project;
pub mod protocol;
pub mod session;
pub mod signals;
pub mod volume;
mod wire;
