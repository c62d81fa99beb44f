//! How a command ends badly: whose problem it is, why, and what to do about it.

use std::fmt;

/// The result of a command.
pub type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Whose problem it is; the exit code says so too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user can do something about it: exit code 1.
    User,
    /// We have failed: exit code 2.
    Internal,
}

/// The error of a command. Printed once, at the edge: `error: <message>: <causes>`, then the hints.
#[derive(Debug)]
pub struct CommandError {
    /// Whose problem it is.
    pub kind: Kind,
    /// What is wrong; a clause, or whole diagnostics when `rendered`.
    pub message: String,
    /// The message is a text of several lines that is printed as it is.
    pub rendered: bool,
    /// What lies behind it.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// What to do about it, one sentence each.
    pub hints: Vec<String>,
}

impl CommandError {
    /// The user's problem.
    pub fn user(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::User,
            message: message.into(),
            rendered: false,
            source: None,
            hints: Vec::new(),
        }
    }

    /// Ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Internal,
            ..Self::user(message)
        }
    }

    /// Diagnostics that were made into text already.
    pub fn diagnostics(text: String) -> Self {
        Self {
            rendered: true,
            ..Self::user(text)
        }
    }

    /// Adds what lies behind it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The message and its causes in one line, for protocols that have only one.
    pub fn one_line(&self) -> String {
        let (first, more) = self.message.split_once('\n').unwrap_or((&self.message, ""));
        // What is announced by a colon does not follow here.
        let first = if more.is_empty() {
            first
        } else {
            first.trim_end_matches(':')
        };
        let mut line = first.to_owned();
        let mut cause = self.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(it) = cause {
            line.push_str(": ");
            line.push_str(&it.to_string());
            cause = it.source();
        }
        line.replace(['\n', '\r'], " ")
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<locket_controller::access::Error> for CommandError {
    fn from(e: locket_controller::access::Error) -> Self {
        let kind = if e.reason == "Internal" {
            Kind::Internal
        } else {
            Kind::User
        };
        Self {
            kind,
            message: e.message,
            rendered: false,
            source: e.source,
            hints: e.hints,
        }
    }
}
