//! Why something could not be rendered, in words that hold no value.

use std::borrow::Cow;
use std::ops::Range;

use locket_crds::spec::Origin;

/// One problem of one item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    /// Where the item was asked for.
    pub origin: Origin,
    /// The expression, in bytes of the template's text; `None` for a plain secret or the whole item.
    pub at: Option<Range<usize>>,
    /// The kind of problem.
    pub reason: Reason,
    /// One lower-case clause: item, expression or secret, and what is wrong. Never a value, a part of one, or its length.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// The kind of a problem; a bounded word for conditions and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No value was given for a reference.
    Missing,
    /// A value is empty and may not be.
    EmptyValue,
    /// A filter or a place needs UTF-8 text.
    NotText,
    /// A file, a variable or the whole service is over a limit.
    TooLarge,
    /// The filters of the service are too much work.
    TooMuchWork,
    /// A variable would hold a NUL.
    NulInEnv,
    /// A value is not what a filter works on.
    FilterFailed,
    /// A filter whose result changes with time, where only stable ones are allowed.
    OneShotOnly,
}

impl Reason {
    /// The reason as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::EmptyValue => "EmptyValue",
            Self::NotText => "NotText",
            Self::TooLarge => "TooLarge",
            Self::TooMuchWork => "TooMuchWork",
            Self::NulInEnv => "NulInEnv",
            Self::FilterFailed => "FilterFailed",
            Self::OneShotOnly => "OneShotOnly",
        }
    }
}

/// A problem that does not know its item yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) message: Cow<'static, str>,
    pub(crate) help: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
            help: None,
        }
    }

    /// A value that is not what the filter works on.
    pub(crate) fn failed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::FilterFailed, message)
    }

    pub(crate) fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }
}
