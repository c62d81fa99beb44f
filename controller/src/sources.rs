//! From a reference to the store that answers it: which source is meant, who may use it, one store for all its users.

mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use locket_crds::config::HostConfig;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{Origin, ProjectSpec, SourceSpec};
use locket_provider::{Error, ErrorKind, Fetched, SecretStore, SecretVersion};
use tokio::sync::Notify;

use crate::metrics::Calls;
use crate::mutex::lock;

pub use watch::Watches;

/// Makes stores. The one implementation that knows concrete backends is the binary's.
pub trait OpenStore: Send + Sync {
    /// Opens the store of a source, for one project.
    ///
    /// # Errors
    /// When the type is unknown, or the configuration makes no sense; never because a backend is down.
    fn open(
        &self,
        project: &ProjectName,
        name: &SourceName,
        source: &SourceSpec,
    ) -> Result<Arc<dyn SecretStore>, Error>;
}

/// In whose name sources are read.
#[derive(Clone)]
pub enum Authority {
    /// A pass in the client: it uses what its user may use anyway.
    User(Arc<HostConfig>),
    /// The controller: only what the host's configuration grants.
    Host(Arc<HostConfig>),
}

impl Authority {
    fn config(&self) -> &Arc<HostConfig> {
        match self {
            Self::User(config) | Self::Host(config) => config,
        }
    }
}

/// A store that was opened: one for all whose source is the same.
#[derive(Clone)]
struct Opened {
    /// What it was opened with.
    with: SourceSpec,
    id: StoreId,
    store: Arc<dyn SecretStore>,
}

/// Tells one opened store from every other one, also from one that was opened later with the same source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(u64);

/// All sources of all projects.
pub struct Sources {
    opener: Arc<dyn OpenStore>,
    authority: RwLock<Authority>,
    open: Mutex<Open>,
    /// A store was opened or let go.
    news: Notify,
    calls: Calls,
}

/// The stores in use, by user.
#[derive(Default)]
struct Open {
    stores: HashMap<(ProjectName, SourceName), Opened>,
    last: u64,
}

/// Why a reference has no answer. Its text never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Bounded word: [`ErrorKind::reason`], or `NotGranted`.
    pub reason: &'static str,
    /// One lower-case clause.
    pub message: String,
    /// What the user can do.
    pub help: Option<String>,
    /// The backend's wish to be left alone for so long.
    pub retry_after: Option<Duration>,
}

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        let retry_after = match e.kind {
            ErrorKind::Throttled { after } => after,
            _ => None,
        };
        Self {
            reason: e.kind.reason(),
            message: e.message,
            help: e.help,
            retry_after,
        }
    }
}

/// Each reference with the backend's answer.
pub type Answers<T> = BTreeMap<SecretRef, Result<T, Problem>>;

type Answer<T> = (SecretRef, Result<T, Problem>);

/// Answers come in the order of the batch.
fn pair<T>(answers: Vec<Result<T, Error>>, refs: Vec<SecretRef>) -> Vec<Answer<T>> {
    let problem = |a: Result<T, Error>| a.map_err(Problem::from);
    refs.into_iter()
        .zip(answers.into_iter().map(problem))
        .collect()
}

impl Sources {
    /// Nothing is opened before it is needed.
    pub fn new(opener: Arc<dyn OpenStore>, authority: Authority) -> Self {
        Self {
            opener,
            authority: RwLock::new(authority),
            open: Mutex::default(),
            news: Notify::new(),
            calls: Calls::default(),
        }
    }

    /// What was asked of backends.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The host configuration in force.
    pub fn config(&self) -> Arc<HostConfig> {
        Arc::clone(
            self.authority
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .config(),
        )
    }

    /// Takes another host configuration. Stores that it means otherwise are opened anew when they are needed next.
    pub fn reconfigure(&self, config: Arc<HostConfig>) {
        let mut authority = self
            .authority
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *authority = match &*authority {
            Authority::User(_) => Authority::User(config),
            Authority::Host(_) => Authority::Host(config),
        };
    }

    /// The store that serves a reference, if this authority may use it. Asked at every use: a store that is open already is
    /// nobody's right to use it.
    ///
    /// # Errors
    /// `NotGranted` with the lines that would grant it; `Invalid` for a source that makes no sense.
    pub fn store(
        &self,
        spec: &ProjectSpec,
        reference: &SecretRef,
    ) -> Result<Arc<dyn SecretStore>, Problem> {
        let authority = self
            .authority
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.store_for(&authority, spec, reference)
    }

    fn store_for(
        &self,
        authority: &Authority,
        spec: &ProjectSpec,
        reference: &SecretRef,
    ) -> Result<Arc<dyn SecretStore>, Problem> {
        let name = reference.source();
        let meaning = authority.config().meaning(&spec.sources, name);
        let meaning = meaning.map_err(|e| Error::new(ErrorKind::Invalid, e.to_string()))?;
        if let Authority::Host(config) = authority {
            config
                .granted(&spec.project, reference, &meaning)
                .map_err(|missing| Problem {
                    reason: "NotGranted",
                    message: format!("{reference} is not granted to project {}", spec.project),
                    help: Some(missing.to_string()),
                    retry_after: None,
                })?;
        }
        let source = Self::essence(authority.config(), meaning.source);
        let key = (spec.project.clone(), name.clone());
        let mut open = lock(&self.open);
        if let Some(it) = open.stores.get(&key).filter(|it| it.with == source) {
            return Ok(Arc::clone(&it.store));
        }
        let same = |(user, it): (&(ProjectName, SourceName), &Opened)| {
            let shared = !is_personal(&source) || user.0 == spec.project;
            (shared && it.with == source).then(|| it.clone())
        };
        let found = open.stores.iter().find_map(same);
        let it = match found {
            Some(it) => it,
            None => {
                let store = self.opener.open(&spec.project, name, &source)?;
                open.last += 1;
                Opened {
                    with: source,
                    id: StoreId(open.last),
                    store,
                }
            }
        };
        let store = Arc::clone(&it.store);
        open.stores.insert(key, it);
        self.news.notify_one();
        Ok(store)
    }

    /// What a store is opened with: all that makes a difference to it, and nothing else, so that equal sources share one.
    fn essence(config: &HostConfig, source: SourceSpec) -> SourceSpec {
        SourceSpec {
            timeout: source.timeout.or(Some(config.timeouts.backend)),
            refresh: None,
            origin: Origin::default(),
            ..source
        }
    }

    /// The versions of many references: one batch a source, all sources at once.
    pub async fn versions(
        &self,
        spec: &ProjectSpec,
        refs: impl IntoIterator<Item = SecretRef>,
    ) -> Answers<SecretVersion> {
        let ask = |store: Arc<dyn SecretStore>, refs: Vec<SecretRef>| {
            async move { pair(store.versions(&refs).await, refs) }.boxed()
        };
        self.batch("versions", spec, refs, ask).await
    }

    /// The values of many references: one batch a source, all sources at once.
    pub async fn fetch(
        &self,
        spec: &ProjectSpec,
        refs: impl IntoIterator<Item = SecretRef>,
    ) -> Answers<Fetched> {
        let ask = |store: Arc<dyn SecretStore>, refs: Vec<SecretRef>| {
            async move { pair(store.fetch(&refs).await, refs) }.boxed()
        };
        self.batch("values", spec, refs, ask).await
    }

    async fn batch<T>(
        &self,
        operation: &'static str,
        spec: &ProjectSpec,
        refs: impl IntoIterator<Item = SecretRef>,
        ask: impl Fn(Arc<dyn SecretStore>, Vec<SecretRef>) -> BoxFuture<'static, Vec<Answer<T>>>,
    ) -> Answers<T> {
        let mut answers = Answers::new();
        let mut batches: BTreeMap<SourceName, (Arc<dyn SecretStore>, Vec<SecretRef>)> =
            BTreeMap::new();
        // One configuration for the whole batch: a store is never asked with what another one granted.
        let authority = self
            .authority
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for reference in refs {
            match self.store_for(&authority, spec, &reference) {
                Ok(store) => {
                    let batch = batches.entry(reference.source().clone());
                    batch
                        .or_insert_with(|| (store, Vec::new()))
                        .1
                        .push(reference);
                }
                Err(e) => {
                    answers.insert(reference, Err(e));
                }
            }
        }
        let asked = batches.into_iter().map(|(source, (store, refs))| {
            let call = self.calls.begin(&source, operation);
            let answer = ask(store, refs);
            async move {
                let answers = answer.await;
                let problems = answers.iter().filter_map(|(_, it)| it.as_ref().err());
                call.end(problems.map(|it| it.reason));
                answers
            }
        });
        let all = join_all(asked).await;
        answers.extend(all.into_iter().flatten());
        answers
    }

    /// Every store that is open and pushes hints, once. The built-in store under its own name is not among them: its hints
    /// come with the configuration's.
    pub fn watchable(&self) -> BTreeMap<StoreId, Arc<dyn SecretStore>> {
        let open = lock(&self.open);
        open.stores
            .iter()
            .filter(|((_, name), it)| !(name.as_str() == "local" && it.with.kind == "local"))
            .filter(|(_, it)| it.store.capabilities().watch)
            .map(|(_, it)| (it.id, Arc::clone(&it.store)))
            .collect()
    }

    /// Who uses a store right now, and under which name.
    pub fn users(&self, id: StoreId) -> Vec<(ProjectName, SourceName)> {
        let open = lock(&self.open);
        let of = open.stores.iter().filter(|(_, it)| it.id == id);
        of.map(|(user, _)| user.clone()).collect()
    }

    /// Waits until a store was opened or let go.
    pub async fn opened(&self) {
        self.news.notified().await;
    }

    /// Forgets the stores of a project; those that others use, too, stay open for them.
    pub fn forget(&self, project: &ProjectName) {
        lock(&self.open).stores.retain(|(p, _), _| p != project);
        self.news.notify_one();
    }
}

/// True for a source that means something else in each project.
fn is_personal(source: &SourceSpec) -> bool {
    source.kind == "local"
}

#[cfg(test)]
mod tests;
