//! A backend in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::SourceSpec;
use locket_provider::{
    Capabilities, Error, ErrorKind, Fetched, SecretStore, SecretValue, SecretVersion,
};

use crate::mutex::lock;
use crate::sources::OpenStore;

/// Secrets with a version each; counts what it is asked. Every source of every project is this one.
#[derive(Default)]
pub struct Backend {
    secrets: Mutex<BTreeMap<String, (u64, Vec<u8>)>>,
    down: Mutex<Option<ErrorKind>>,
    takes: Mutex<Duration>,
    reads: Mutex<Reads>,
    asked_for: Mutex<BTreeSet<ProjectName>>,
}

/// What it was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Batches of versions.
    pub versions: usize,
    /// Batches of values.
    pub values: usize,
    /// Secrets in the batches of values.
    pub secrets: usize,
    /// Batches that wait for their answer.
    pub now: usize,
    /// The most that ever waited at once.
    pub most: usize,
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

    /// Every answer takes so long from now on.
    pub fn take(&self, time: Duration) {
        *lock(&self.takes) = time;
    }

    /// What it was asked so far.
    pub fn reads(&self) -> Reads {
        *lock(&self.reads)
    }

    /// Counts a batch until it is answered.
    async fn asked(&self, count: impl FnOnce(&mut Reads)) {
        {
            let mut reads = lock(&self.reads);
            count(&mut reads);
            reads.now += 1;
            reads.most = reads.most.max(reads.now);
        }
        // Who gives up does not wait any more.
        let _waits = Waits(self);
        let time = *lock(&self.takes);
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
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

struct Waits<'a>(&'a Backend);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        lock(&self.0.reads).now -= 1;
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
        async move {
            self.0.asked(|it| it.versions += 1).await;
            refs.iter().map(version).collect()
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        let fetch = |r| {
            let (version, value) = self.0.one(r)?;
            Ok(Fetched {
                value: SecretValue::new(value),
                version: SecretVersion(version.to_string()),
            })
        };
        async move {
            let count = |it: &mut Reads| {
                it.values += 1;
                it.secrets += refs.len();
            };
            self.0.asked(count).await;
            refs.iter().map(fetch).collect()
        }
        .boxed()
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
