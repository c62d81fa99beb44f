//! The port to secret backends: [`SecretStore`], and the values that come out of it.
#![deny(missing_docs)]

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use locket_crds::reference::SecretRef;
use zeroize::Zeroizing;

/// The bytes of a secret. It cannot be displayed, serialised or cloned, and is zeroed when dropped.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
    /// The bytes, for the moment of use.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// True for no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The backend's own mark of a version: equal marks mean an equal value. Not secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretVersion(pub String);

/// A value as it was fetched.
pub struct Fetched {
    /// The bytes.
    pub value: SecretValue,
    /// Its version; for backends without one, a keyed hash of the value made by the store.
    pub version: SecretVersion,
}

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
    /// Makes an error; control characters in the message are replaced.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        let message = message.as_ref().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(400).collect();
        Self { kind, message, help: None }
    }
    /// Adds what the user can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What a store can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// [`SecretStore::versions`] is cheaper than a fetch.
    pub versions: bool,
    /// [`SecretStore::watch`] gives hints.
    pub watch: bool,
}

/// Something at the backend may have changed; everything of this store is to be probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint;

/// A secret backend. All methods take a batch, so that a store can share reads, and answer in the order of the batch.
pub trait SecretStore: Send + Sync {
    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// The current version of each reference, without its value where the backend can do that.
    fn versions<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>>;

    /// The value of each reference. References to one path cost one read.
    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>>;

    /// Hints of changes, for stores that push; ends when the subscription is lost.
    fn watch(&self) -> Option<BoxStream<'static, Hint>> {
        None
    }
}
