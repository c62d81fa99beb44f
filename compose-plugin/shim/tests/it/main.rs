//! The program as Docker runs it, on a directory in place of the volume. Needs no root; where there is some, or user namespaces
//! for everybody, it is PID 1 as well.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests write volumes by hand, start processes and wait for a state"
)]

mod boot;
mod command;
mod namespace;
mod reaping;
mod shim;
