//! Templates and values in, the files and variables of one service out.
//!
//! Pure: no I/O, no clock, no randomness. The same items, values and key give the same bytes, also for filters with a salt.
//! Start with [`render`]. What each filter does is written in `docs/reference/templates.md`, whose examples are tests here.
//!
//! Everything between a value and its place is zeroed when dropped, and no error holds a value or a part of one.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod error;
mod expression;
mod filter;
#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
mod limits;
mod render;
mod values;

pub use error::{Reason, RenderError};
pub use limits::{BCRYPT_COST, BCRYPT_LIMIT, ENV_LIMIT, FILE_LIMIT, TOTAL_LIMIT, WORK_LIMIT};
pub use render::{Key, RenderOptions, Rendered, RenderedFile, is_slow, render};
pub use values::Values;
