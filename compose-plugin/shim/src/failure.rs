//! How the shim ends when it cannot go on, and how it speaks.

use std::io::Write as _;

/// An exit code and one line for a person. The line never holds a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(crate::EXIT_USAGE, message)
    }
}

/// Writes one line to stderr. A stderr that nobody reads is no reason to fail.
pub(crate) fn say(message: &str) {
    let _ = std::io::stderr().write_all(format!("locket: {message}\n").as_bytes());
}
