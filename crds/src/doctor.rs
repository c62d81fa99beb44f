//! What `docker locket doctor --json` prints.
//!
//! New fields may appear within one [`VERSION`]; a field never changes its meaning.

use serde::{Deserialize, Serialize};

/// Version of these structures.
pub const VERSION: u32 = 1;

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// [`VERSION`].
    pub version: u32,
    /// The version of the program that has looked.
    pub locket: String,
    /// What it has found: at least one finding a check, in the order of the checks.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// How many findings are of this level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|it| it.level == level).count()
    }
}

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name of the check; docs/reference/doctor.md lists them.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// What was found, one clause.
    pub message: String,
    /// What to do about it; there is one for every level but `ok`.
    pub cure: Option<String>,
    /// `--fix` does it.
    pub fixable: bool,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; everything works.
    Note,
    /// Something does not work as well as it could, or will not one day.
    Warning,
    /// Something does not work.
    Error,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
