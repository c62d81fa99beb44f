//! What the scenarios share: a compose project on the real engine, a controller, an OpenBao server, the canary search.
//!
//! Start with [`Project`]. Everything here drives the product from outside, by its command line and the docker CLI,
//! and looks at the state of the world, never at calls. A panic is this crate's report.

#![deny(missing_docs)]
#![allow(
    clippy::unwrap_used,
    reason = "a harness of tests: a panic is its report"
)]

pub mod alloc;
mod api;
mod bao;
mod canary;
mod certificates;
mod command;
mod container;
mod controller;
mod crash;
mod fault;
mod project;
mod recorder;
mod second;
pub mod table;
mod tap;
mod wait;
mod way;

pub use bao::Bao;
pub use canary::{Canaries, Hit};
pub use command::{Output, Run};
pub use container::Container;
pub use controller::Controller;
pub use crash::Crash;
pub use fault::{Asked, Fault, FaultProxy};
pub use project::Project;
pub use recorder::Recorder;
pub use second::SecondEngine;
pub use wait::{eventually, holds};
pub use way::Way;

/// The release binary under test, from `LOCKET_BIN`.
///
/// # Panics
/// When it is not set: `make e2e` does that.
pub fn binary() -> std::path::PathBuf {
    let path = std::env::var_os("LOCKET_BIN").map(std::path::PathBuf::from);
    let path = path.expect("LOCKET_BIN names the binary under test: run `make e2e`");
    assert!(
        path.is_absolute() && path.is_file(),
        "LOCKET_BIN={} is not an absolute path of a program",
        path.display()
    );
    path
}
