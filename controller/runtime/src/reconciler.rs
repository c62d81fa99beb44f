//! The words between a controller and its reconciler: request in, outcome out.

use std::borrow::Cow;
use std::time::Duration;

/// Brings the world of one key to its desired state.
pub trait Reconciler<K>: Send + Sync + 'static {
    /// Runs one pass.
    ///
    /// # Guarantees
    /// Never called for a key whose last pass has not ended. A panic is caught and counts as [`Retry::Backoff`].
    ///
    /// # Cancel safety
    /// Dropped in the middle only when the controller's drain time is over; the next process must be able to go on from there.
    fn reconcile(&self, request: Request<K>) -> impl Future<Output = Outcome> + Send;
}

/// What to look at, and who wants it. Two requests are equal if their keys are.
#[derive(Debug, Clone)]
pub struct Request<K> {
    /// The key.
    pub key: K,
    /// The strongest of the hints that were merged into this request; for logs and `explain`, never for decisions.
    pub trigger: Trigger,
}

impl<K: PartialEq> PartialEq for Request<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for Request<K> {}

impl<K: std::hash::Hash> std::hash::Hash for Request<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// Why a key was enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Who goes first.
    pub priority: Priority,
    /// A few words for people, for example `apply` or `container died`.
    pub reason: Cow<'static, str>,
}

/// Who goes first among keys that are due; `User` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The periodic look at everything.
    Resync,
    /// Something was seen to change, or a time has come.
    Change,
    /// A backend or the API says so.
    Push,
    /// A person waits for it.
    User,
}

impl Priority {
    /// The priority as a bounded word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resync => "resync",
            Self::Change => "change",
            Self::Push => "push",
            Self::User => "user",
        }
    }
}

impl Trigger {
    /// A person waits for it.
    pub fn user(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Priority::User, reason)
    }
    /// A backend or the API says so.
    pub fn push(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Priority::Push, reason)
    }
    /// Something was seen to change, or a time has come.
    pub fn change(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Priority::Change, reason)
    }
    /// The periodic look at everything.
    pub fn resync(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Priority::Resync, reason)
    }
    fn new(priority: Priority, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            priority,
            reason: reason.into(),
        }
    }
}

/// How a pass ended. Only a failure has a retry rate: a pass that wants to look again says when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The pass did what it could; the failures of the key are forgotten.
    Done(Requeue),
    /// The pass could not do its work.
    Failed(Retry),
}

/// When a key that is done comes again without a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// Not before something asks for it.
    AwaitChange,
    /// After this time at the latest; zero means at once, behind the keys that are due.
    After(Duration),
}

/// When a key that failed comes again without a hint. A hint always brings it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Never: trying again cannot help until something changes.
    Terminal,
    /// After the next delay of the key's own backoff.
    Backoff,
    /// After exactly this time (a backend's `Retry-After`); does not count for the backoff.
    After(Duration),
}
