//! The planner: desired × observed × memory × policy × now → plan, report, new memory. Pure: no I/O, no clock, no value.
//!
//! Start with [`plan`]'s module once it is there; [`model`] has the words.
#![deny(missing_docs)]

pub mod model;
