//! Values that are written in a project's files move into the built-in store (`init --import`).
//!
//! Data goes one way: [`model`] and [`places`] say what there is, [`find`] what looks like a secret, [`plan`] what becomes
//! of the texts, and `cmd/import.rs` writes. [`undo`] keeps what was there.
//!
//! Invariant: a value is in the user's files, in the store, or in memory that is wiped. It is in no message and no other file.

mod aside;
mod dotenv;
mod edit;
pub mod find;
mod grants;
mod images;
pub mod mask;
pub mod model;
pub mod names;
pub mod peer;
pub mod places;
pub mod plan;
pub mod reference;
pub mod undo;

#[cfg(test)]
mod tests;
