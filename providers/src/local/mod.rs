//! The built-in store: an age file, the program that serves it, and the client that asks it.
//!
//! Data goes one way: [`client`] (anywhere) → frames of [`wire`] → [`session`] (in the container `locket-store-…`)
//! → [`file`] → `store.age`. [`document`] is the plaintext and knows the rules: names, versions, history.
//!
//! Invariants: nothing is written unless the present file could be read with the present key;
//! a mark ([`document::Info::mark`]) is never given to two different values.

pub mod client;
pub mod document;
mod error;
pub mod file;
#[cfg(test)]
#[path = "../../fuzz/local.rs"]
mod fuzz;
mod name;
pub mod session;
mod store;
mod time;
mod wire;

pub use client::{Change, Connect, LocalClient, Pipes};
pub use document::{Info, Listed};
pub use error::Error;
pub use name::Name;
pub use store::LocalStore;
pub use wire::{ConfigFile, Lock};
