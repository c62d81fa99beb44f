//! The provider protocol.

use std::process::ExitCode;

use crate::context::Surroundings;

/// Answers compose.
pub fn main(words: Vec<String>, surroundings: Surroundings) -> ExitCode {
    drop((words, surroundings));
    ExitCode::from(2)
}
