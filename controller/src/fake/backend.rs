//! A backend in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::SourceSpec;
use locket_provider::{
    Capabilities, Error, ErrorKind, Fetched, SecretStore, SecretValue, SecretVersion,
};

use crate::sources::OpenStore;

/// Secrets with a version each; counts what it is asked. Every source of every project is this one.
#[derive(Default)]
pub struct Backend {
    secrets: Mutex<BTreeMap<String, (u64, Vec<u8>)>>,
    down: Mutex<Option<ErrorKind>>,
    fetches: Mutex<usize>,
    asked_for: Mutex<BTreeSet<ProjectName>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Backend {
    /// Gives a secret a new version with this value.
    pub fn set(&self, name: &str, value: &str) {
        let mut secrets = lock(&self.secrets);
        let it = secrets.entry(name.to_owned()).or_default();
        *it = (it.0 + 1, value.as_bytes().to_vec());
    }

    /// Every question has this answer from now on; `None`: it is up again.
    pub fn fail_with(&self, kind: Option<ErrorKind>) {
        *lock(&self.down) = kind;
    }

    /// How often it was asked for values.
    pub fn fetched(&self) -> usize {
        *lock(&self.fetches)
    }

    /// The projects in whose name it was opened.
    pub fn asked_for(&self) -> BTreeSet<ProjectName> {
        lock(&self.asked_for).clone()
    }

    fn one(&self, reference: &SecretRef) -> Result<(u64, Vec<u8>), Error> {
        if let Some(kind) = *lock(&self.down) {
            return Err(Error::new(kind, "the backend says no"));
        }
        let found = lock(&self.secrets).get(reference.path()).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such secret"))
    }
}

struct Opened(Arc<Backend>);

impl SecretStore for Opened {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            versions: true,
            watch: false,
        }
    }

    fn versions<'a>(
        &'a self,
        refs: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>> {
        let version = |r| Ok(SecretVersion(self.0.one(r)?.0.to_string()));
        async move { refs.iter().map(version).collect() }.boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        *lock(&self.0.fetches) += 1;
        let fetch = |r| {
            let (version, value) = self.0.one(r)?;
            Ok(Fetched {
                value: SecretValue::new(value),
                version: SecretVersion(version.to_string()),
            })
        };
        async move { refs.iter().map(fetch).collect() }.boxed()
    }
}

/// Opens the backend, whatever is asked for.
pub(super) struct Opener(pub(super) Arc<Backend>);

impl OpenStore for Opener {
    fn open(
        &self,
        project: &ProjectName,
        _: &SourceName,
        _: &SourceSpec,
    ) -> Result<Arc<dyn SecretStore>, Error> {
        lock(&self.0.asked_for).insert(project.clone());
        Ok(Arc::new(Opened(Arc::clone(&self.0))))
    }
}
