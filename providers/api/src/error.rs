//! Errors of a store, in the words that decide what to do next.

use std::time::Duration;

/// Longest text of an error, in characters.
const LONGEST: usize = 400;

/// What a backend said, in the words that decide what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such secret or field. Terminal until something changes.
    NotFound,
    /// Logged in, but not allowed.
    Denied,
    /// Not logged in, or the credential is wrong.
    Unauthenticated,
    /// Too many requests; the backend's own `Retry-After`, if it gave one.
    Throttled {
        /// How long to stay away.
        after: Option<Duration>,
    },
    /// Down, sealed, too slow, or talking nonsense; try again.
    Unavailable,
    /// The reference or the configuration makes no sense for this backend.
    Invalid,
}

impl ErrorKind {
    /// A bounded word for conditions, logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::Denied => "Denied",
            Self::Unauthenticated => "Unauthenticated",
            Self::Throttled { .. } => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::Invalid => "Invalid",
        }
    }
}

/// An error of a store. Its text never holds a value, a response body or a control character.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    /// One lower-case clause, printable characters only.
    pub message: String,
    /// What the user can do.
    pub help: Option<String>,
}

impl Error {
    /// Makes an error; what is not printable in the message is replaced, what is too long is cut.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: printable(message.as_ref()),
            help: None,
        }
    }
    /// Adds what the user can do, cleaned in the same way.
    #[must_use]
    pub fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(printable(help.as_ref()));
        self
    }
}

/// At most 400 characters of a text, with U+FFFD for whatever a terminal might obey: control characters, line and
/// paragraph separators, and the marks that turn the direction of writing.
pub fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if obeyed(c) { '\u{fffd}' } else { c })
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_cannot_steer_a_terminal() {
        let e = Error::new(ErrorKind::Denied, "a\u{1b}[2Jb\r\n\u{9b}c\u{202e}d").help("\u{7}x");
        assert_eq!(
            e.to_string(),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}d"
        );
        assert_eq!(e.help.as_deref(), Some("\u{fffd}x"));
        assert_eq!(
            Error::new(ErrorKind::Invalid, "ä".repeat(1000))
                .message
                .chars()
                .count(),
            LONGEST
        );
    }
}
