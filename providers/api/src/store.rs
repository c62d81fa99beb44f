//! The trait that every backend implements.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use locket_crds::reference::SecretRef;

use crate::{Error, SecretValue, SecretVersion};

/// A value as it was fetched.
pub struct Fetched {
    /// The bytes.
    pub value: SecretValue,
    /// Its version; for backends without one, a keyed hash of the value made by the store.
    pub version: SecretVersion,
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
    fn versions<'a>(
        &'a self,
        refs: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>>;

    /// The value of each reference. References to one path cost one read.
    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>>;

    /// Hints of changes, for stores that push; ends when the subscription is lost.
    fn watch(&self) -> Option<BoxStream<'static, Hint>> {
        None
    }
}
