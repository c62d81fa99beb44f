//! OpenBao and Vault: the KV engine, versions 1 and 2, at any mount.
//!
//! `bao:kv/shop/db#password` is the field `password` of the secret `shop/db` at the mount `kv`; `?version=N` pins a
//! version of KV 2. API: <https://openbao.org/api-docs/secret/kv/>.
//!
//! [`api`] speaks to the server, with the token of [`auth`]; [`mount`] finds out where the mount ends and the path begins.

mod api;
mod auth;
#[cfg(test)]
#[path = "../../fuzz/openbao.rs"]
mod fuzz;
mod mount;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use locket_crds::reference::SecretRef;
use locket_crds::spec::SourceSpec;
use locket_provider::{Capabilities, Error, ErrorKind, Fetched, SecretStore, SecretVersion};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::context::{Context, MarkKey};
use crate::fields::Fields;
use api::Api;
use mount::{Engine, Mounts, Place};

/// Requests of one batch that are under way at once.
const CONCURRENT: usize = 8;

/// One server and one login.
pub struct OpenBao {
    api: Api,
    mounts: Mounts,
    key: MarkKey,
    /// What all projects ask of the server, whatever their login.
    slots: Arc<Semaphore>,
}

/// What costs one read: a path, and for KV 2 the version that is pinned.
type Spot<'a> = (&'a str, Option<&'a str>);

/// A secret as it was read.
struct Secret {
    fields: Fields,
    /// `None` for KV 1, which knows no versions.
    version: Option<SecretVersion>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct KvTwo {
    data: Option<Fields>,
    metadata: Option<OneVersion>,
}

#[derive(Deserialize)]
struct OneVersion {
    version: u64,
    created_time: String,
}

#[derive(Deserialize)]
struct Metadata {
    current_version: u64,
    versions: BTreeMap<u64, State>,
}

#[derive(Deserialize)]
struct State {
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

/// Number and time: a secret whose metadata was deleted begins again at 1.
fn mark(version: u64, created: &str) -> SecretVersion {
    SecretVersion(format!("{version}@{created}"))
}

impl OpenBao {
    /// A store for a source of type `openbao` or `vault`; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the configuration is not complete or makes no sense.
    pub fn new(source: &SourceSpec, context: &Context) -> Result<Self, Error> {
        let api = Api::new(source, context)?;
        Ok(Self {
            slots: context.servers.slots(&api.origin()),
            api,
            mounts: Mounts::default(),
            key: context.mark_key.clone(),
        })
    }

    /// When a batch that begins now has ended, whatever its size: the time of one exchange, and a little more, so that an
    /// exchange which takes all of it (a login above all) ends by itself and can tell why.
    fn until(&self) -> Instant {
        Instant::now() + self.api.deadline + self.api.deadline / 8
    }

    async fn read(&self, (path, version): Spot<'_>) -> Result<Secret, Error> {
        let place = self.mounts.find(&self.api, path).await?;
        let read = match place.engine {
            Engine::One if version.is_some() => Err(Error::new(
                ErrorKind::Invalid,
                format!("{path} is in a KV 1 engine, which has no versions"),
            )),
            Engine::One => self.read_one(&place, path).await,
            Engine::Two => self.read_two(&place, path, version).await,
            // Without the right to look at mounts: the first segment, and version 2 first.
            Engine::Unknown => match self.read_two(&place, path, version).await {
                Err(e)
                    if version.is_none()
                        && matches!(e.kind, ErrorKind::NotFound | ErrorKind::Denied) =>
                {
                    self.read_one(&place, path).await.map_err(|_| e)
                }
                other => other,
            },
        };
        self.forget_if_gone(&place, &read);
        read
    }

    async fn read_one(&self, place: &Place, path: &str) -> Result<Secret, Error> {
        let body = self.api.get(&place.path(None), &[], path).await?;
        let it: Data<Fields> = api::parse(&body, path)?;
        Ok(Secret {
            fields: it.data,
            version: None,
        })
    }

    async fn read_two(
        &self,
        place: &Place,
        path: &str,
        version: Option<&str>,
    ) -> Result<Secret, Error> {
        let query: Vec<_> = version.map(|v| ("version", v)).into_iter().collect();
        let body = self
            .api
            .get(&place.path(Some("data")), &query, path)
            .await?;
        let it: Data<KvTwo> = api::parse(&body, path)?;
        match it.data {
            KvTwo {
                data: Some(fields),
                metadata: Some(m),
            } => Ok(Secret {
                fields,
                version: Some(mark(m.version, &m.created_time)),
            }),
            _ => Err(deleted(path)),
        }
    }

    /// The version without the value; `None` where that is not to be had.
    async fn probe(&self, (path, version): Spot<'_>) -> Result<Option<SecretVersion>, Error> {
        let place = self.mounts.find(&self.api, path).await?;
        if place.engine != Engine::Two {
            return Ok(None);
        }
        let body = match self.api.get(&place.path(Some("metadata")), &[], path).await {
            // Many policies give `data/` alone.
            Err(e) if e.kind == ErrorKind::Denied => return Ok(None),
            other => other,
        };
        self.forget_if_gone(&place, &body);
        let it: Data<Metadata> = api::parse(&body?, path)?;
        let wanted = match version {
            None => it.data.current_version,
            Some(v) => pinned(v)?,
        };
        match it.data.versions.get(&wanted) {
            // A time in the future is an appointment (`delete_version_after`), which only a read can judge.
            Some(s) if !s.deletion_time.is_empty() && !s.destroyed => Ok(None),
            Some(s) if !s.destroyed => Ok(Some(mark(wanted, &s.created_time))),
            _ => Err(deleted(path)),
        }
    }

    /// A mount may have been made anew, as another version.
    fn forget_if_gone<T>(&self, place: &Place, read: &Result<T, Error>) {
        if read.as_ref().is_err_and(|e| e.kind == ErrorKind::NotFound) {
            self.mounts.forget(place);
        }
    }

    fn mark_of(&self, secret: &Secret, r: &SecretRef) -> Result<SecretVersion, Error> {
        match &secret.version {
            Some(version) => Ok(version.clone()),
            None => Ok(self.key.mark(field(&secret.fields, r)?.expose())),
        }
    }
}

/// Every spot once: one request, whatever the number of its references.
fn spots(refs: &[SecretRef]) -> BTreeSet<Spot<'_>> {
    refs.iter()
        .filter(|r| sensible(r).is_ok())
        .map(spot)
        .collect()
}

/// The answers that come before `until`, of which some are awaited at a time.
async fn all<'a, T>(
    slots: &Semaphore,
    asked: Vec<BoxFuture<'a, (Spot<'a>, T)>>,
    until: Instant,
) -> BTreeMap<Spot<'a>, T> {
    let mut answers = BTreeMap::new();
    let asked: Vec<_> = asked.into_iter().map(|it| in_slot(slots, it)).collect();
    let mut coming = futures_util::stream::iter(asked).buffer_unordered(CONCURRENT);
    while let Ok(Some((spot, answer))) = tokio::time::timeout_at(until, coming.next()).await {
        answers.insert(spot, answer);
    }
    answers
}

async fn in_slot<T>(slots: &Semaphore, asked: BoxFuture<'_, T>) -> T {
    // It is never closed.
    let _slot = slots.acquire().await;
    asked.await
}

fn spot(r: &SecretRef) -> Spot<'_> {
    (r.path().trim_matches('/'), r.version())
}

fn pinned(version: &str) -> Result<u64, Error> {
    version.parse().map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            format!("{version} is not a version: a number is"),
        )
    })
}

fn sensible(r: &SecretRef) -> Result<(), Error> {
    r.version().map_or(Ok(0), pinned).map(drop)
}

fn deleted(path: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the current or pinned version of {path} is deleted"),
    )
}

fn field(fields: &Fields, r: &SecretRef) -> Result<locket_provider::SecretValue, Error> {
    match r.field() {
        Some(name) => fields.get(name, r.path()),
        None => Err(
            Error::new(ErrorKind::Invalid, format!("{r} does not say which field"))
                .help(format!("add #field; {}", fields.names())),
        ),
    }
}

/// The answer for one reference out of the answers for spots.
fn answer<T, U>(
    answers: &BTreeMap<Spot<'_>, Result<T, Error>>,
    r: &SecretRef,
    pick: impl FnOnce(&T) -> Result<U, Error>,
) -> Result<U, Error> {
    sensible(r)?;
    match answers.get(&spot(r)) {
        Some(Ok(it)) => pick(it),
        Some(Err(e)) => Err(e.clone()),
        None => Err(Error::new(
            ErrorKind::Unavailable,
            format!("{r}: no answer within the source's timeout"),
        )),
    }
}

impl SecretStore for OpenBao {
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
        async move {
            let until = self.until();
            let probed = all(
                &self.slots,
                spots(refs)
                    .into_iter()
                    .map(|s| async move { (s, self.probe(s).await) }.boxed())
                    .collect(),
                until,
            )
            .await;
            // What could not be probed is read.
            let rest: Vec<_> = refs
                .iter()
                .filter(|r| matches!(probed.get(&spot(r)), Some(Ok(None))))
                .cloned()
                .collect();
            let read = all(
                &self.slots,
                spots(&rest)
                    .into_iter()
                    .map(|s| async move { (s, self.read(s).await) }.boxed())
                    .collect(),
                until,
            )
            .await;
            let version = |r| {
                let known = answer(&probed, r, |v| Ok(v.clone()))?;
                known.map_or_else(|| answer(&read, r, |secret| self.mark_of(secret, r)), Ok)
            };
            refs.iter().map(version).collect()
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        async move {
            let until = self.until();
            let read = all(
                &self.slots,
                spots(refs)
                    .into_iter()
                    .map(|s| async move { (s, self.read(s).await) }.boxed())
                    .collect(),
                until,
            )
            .await;
            let fetched = |r| {
                answer(&read, r, |secret| {
                    Ok(Fetched {
                        value: field(&secret.fields, r)?,
                        version: self.mark_of(secret, r)?,
                    })
                })
            };
            refs.iter().map(fetched).collect()
        }
        .boxed()
    }
}

/// Opens a store, as the factory wants it.
pub(crate) fn open(source: &SourceSpec, context: &Context) -> Result<Arc<dyn SecretStore>, Error> {
    Ok(Arc::new(OpenBao::new(source, context)?))
}
