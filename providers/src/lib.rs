//! The secret backends, one module each, behind the port of `locket-provider`.
//!
//! - [`local`]: the built-in encrypted store, and the session through which it is reached.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod local;
