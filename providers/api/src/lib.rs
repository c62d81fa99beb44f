//! The port to secret backends: [`SecretStore`], and the values that come out of it.
//!
//! A backend is a type that implements [`SecretStore`] and passes the suite in `contract` (feature `contract`).
//! Invariant: neither [`SecretValue`] nor [`Error`] can bring a value into a log, an error or a terminal.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod store;
mod value;

pub use error::{Error, ErrorKind, printable};
pub use store::{Capabilities, Fetched, Hint, SecretStore};
pub use value::{SecretValue, SecretVersion};
