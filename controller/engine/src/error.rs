//! What can go wrong between us and an engine.

/// The result of a call to an engine.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call.
///
/// `Display` is one clause, such as
/// `start container db: no such object (No such container: db)`.
/// It holds names, ids and the engine's own message; no call of this crate carries a secret value,
/// so none can be in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {kind}{}", detail(.message))]
pub struct Error {
    /// The kind of failure, for decisions.
    pub kind: Kind,
    /// The operation, in one clause: `start container db`.
    pub what: String,
    /// What the engine or the transport said; one line, bounded, without control characters.
    /// May be empty.
    pub message: String,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Kind {
    /// No connection to the engine could be made.
    #[error("the engine cannot be reached")]
    Refused,
    /// The object does not exist (404).
    #[error("no such object")]
    NotFound,
    /// The object's state or name forbids it (409).
    #[error("conflict")]
    Conflict,
    /// It is so already (304).
    #[error("nothing to change")]
    NotModified,
    /// The engine answered with another error status.
    #[error("the engine answered {0}")]
    Engine(u16),
    /// The deadline passed. The operation may still happen.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke, or the answer is not what the API promises.
    #[error("broken answer")]
    Protocol,
    /// The engine is older than what is needed.
    #[error("the engine is too old")]
    Unsupported,
    /// The answer is larger than the caller allows.
    #[error("larger than allowed")]
    TooLarge,
}

impl Kind {
    /// A short constant word for metrics and condition reasons.
    pub fn reason(self) -> &'static str {
        match self {
            Kind::Refused => "Unreachable",
            Kind::NotFound => "NotFound",
            Kind::Conflict => "Conflict",
            Kind::NotModified => "NotModified",
            Kind::Engine(_) => "EngineError",
            Kind::Timeout => "Timeout",
            Kind::Protocol => "BrokenAnswer",
            Kind::Unsupported => "EngineTooOld",
            Kind::TooLarge => "TooLarge",
        }
    }

    /// The kind for an HTTP status that is not a success.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            304 => Kind::NotModified,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            other => Kind::Engine(other),
        }
    }
}

impl Error {
    pub(crate) fn new(kind: Kind, what: impl Into<String>, message: impl AsRef<str>) -> Self {
        Error {
            kind,
            what: what.into(),
            message: one_line(message.as_ref()),
        }
    }

    /// No connection could be made; trying again later may help.
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// The object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// The object's state or name forbids the operation.
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// The deadline passed; the operation may still happen.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            Kind::Refused | Kind::Timeout | Kind::Protocol => true,
            Kind::Engine(status) => status >= 500,
            Kind::NotFound
            | Kind::Conflict
            | Kind::NotModified
            | Kind::Unsupported
            | Kind::TooLarge => false,
        }
    }
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({message})")
    }
}

/// Makes foreign text safe to print: first line, no control characters, at most 300 characters.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_clause() {
        let error = Error::new(
            Kind::NotFound,
            "start container db",
            "No such container: db\n",
        );
        assert_eq!(
            error.to_string(),
            "start container db: no such object (No such container: db)"
        );
        let bare = Error::new(Kind::Timeout, "list volumes", "");
        assert_eq!(bare.to_string(), "list volumes: no answer in time");
    }

    #[test]
    fn foreign_text_cannot_reach_a_terminal_raw() {
        let error = Error::new(
            Kind::Engine(500),
            "x",
            format!("\u{1b}[2Jbad{}", "y".repeat(999)),
        );
        assert!(error.message.starts_with("[2Jbad"));
        assert_eq!(error.message.chars().count(), 300);
    }

    #[test]
    fn transient_is_what_time_can_heal() {
        let transient = |kind| Error::new(kind, "x", "").is_transient();
        assert!(transient(Kind::Refused) && transient(Kind::Timeout) && transient(Kind::Protocol));
        assert!(transient(Kind::Engine(503)) && !transient(Kind::Engine(400)));
        assert!(!transient(Kind::NotFound) && !transient(Kind::Conflict));
    }
}
