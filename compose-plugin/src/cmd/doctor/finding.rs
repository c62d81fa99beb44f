//! How a check says what it has found, or that it could not look.

use locket_crds::doctor::{Finding, Level};

use crate::error::CommandError;

/// The result of a check: at least one finding.
pub type Findings = Result<Vec<Finding>, Unseen>;

/// As it should be.
pub fn ok(message: impl Into<String>) -> Finding {
    finding(Level::Ok, message.into(), None)
}

/// Worth knowing.
pub fn note(message: impl Into<String>, cure: impl Into<String>) -> Finding {
    finding(Level::Note, message.into(), Some(cure.into()))
}

/// Something does not work as well as it could.
pub fn warning(message: impl Into<String>, cure: impl Into<String>) -> Finding {
    finding(Level::Warning, message.into(), Some(cure.into()))
}

/// Something does not work.
pub fn error(message: impl Into<String>, cure: impl Into<String>) -> Finding {
    finding(Level::Error, message.into(), Some(cure.into()))
}

/// The name of the check is added by whoever runs it.
fn finding(level: Level, message: String, cure: Option<String>) -> Finding {
    Finding {
        check: String::new(),
        level,
        message,
        cure,
        fixable: false,
    }
}

/// Why a check could not look.
#[derive(Debug, Clone)]
pub struct Unseen(Finding);

impl Unseen {
    /// It cannot be seen from here, and somebody else has to look.
    pub fn from_here(why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self(note(why, cure))
    }

    /// Looking has failed.
    pub fn failed(why: impl std::fmt::Display) -> Self {
        Self(warning(
            format!("this could not be looked at: {why}"),
            "see the other findings, then run `docker locket doctor` again",
        ))
    }
}

impl From<Unseen> for Finding {
    fn from(it: Unseen) -> Self {
        it.0
    }
}

impl From<CommandError> for Unseen {
    /// What the command's hints say is the cure.
    fn from(e: CommandError) -> Self {
        match e.hints.is_empty() {
            true => Self::failed(e.one_line()),
            false => Self(warning(
                format!("this could not be looked at: {}", e.one_line()),
                e.hints.join("; "),
            )),
        }
    }
}

impl From<locket_engine::Error> for Unseen {
    fn from(e: locket_engine::Error) -> Self {
        Self::failed(e)
    }
}
