//! The planner: desired × observed × memory × policy × now → plan, report, new memory. Pure: no I/O, no clock, no value.
//!
//! Start with [`plan()`]: it is the list of what a pass decides, in order. [`model`] has the words, [`memory`] what is
//! remembered between passes, [`lint()`] what is true of every plan.
//!
//! A pass is a function of what it is given: it never counts on having seen the pass before,
//! and nothing that it plans waits. Waiting is [`Planned::wake_at`] and another pass.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod accept;
mod act;
mod deliver;
mod generation;
mod hook;
mod intent;
pub mod lint;
pub mod memory;
pub mod model;
mod needs;
mod order;
mod pass;
mod plan;
pub mod report;
mod sight;
mod text;
mod validate;

pub use lint::lint;
pub use memory::Memory;
pub use model::*;
pub use needs::{Needs, needs};
pub use plan::{Cause, Later, Planned, Reason, Step, plan};
pub use report::{Report, ServiceReport};
pub use validate::{Asked, Problem, assemble};
