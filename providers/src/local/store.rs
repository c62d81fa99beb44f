//! The built-in store as a [`SecretStore`] of one project.

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{BoxStream, StreamExt as _};
use locket_crds::id::ProjectName;
use locket_crds::reference::SecretRef;
use locket_provider::{Capabilities, Error, ErrorKind, Fetched, Hint, SecretStore, SecretVersion};

use super::wire::Wanted;
use super::{LocalClient, Name};

/// `local:smtp` is `<project>/smtp`, `local:/smtp` is global.
pub struct LocalStore {
    client: LocalClient,
    project: ProjectName,
}

impl LocalStore {
    /// The store as the project sees it.
    pub fn new(client: LocalClient, project: ProjectName) -> Self {
        Self { client, project }
    }

    fn wanted(&self, reference: &SecretRef) -> Result<Wanted, Error> {
        if reference.field().is_some() {
            let e = Error::new(
                ErrorKind::Invalid,
                format!("{reference} names a field, a secret of the local store has none"),
            );
            return Err(e.help("set each part as a secret of its own"));
        }
        let version = match reference.version().map(str::parse) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("{reference} names a version that is not a number"),
                ));
            }
        };
        Ok((
            Name::in_project(self.project.as_str(), reference.path())?.into(),
            version,
        ))
    }

    /// Asks for the references that make sense, and puts the answers where they belong.
    async fn ask<T>(
        &self,
        refs: &[SecretRef],
        ask: impl AsyncFnOnce(Vec<Wanted>) -> Result<Vec<Result<T, Error>>, Error>,
    ) -> Vec<Result<T, Error>> {
        let read: Vec<_> = refs.iter().map(|r| self.wanted(r)).collect();
        let wanted: Vec<_> = read
            .iter()
            .filter_map(|w| w.as_ref().ok().cloned())
            .collect();
        let mut answers = match ask(wanted).await {
            Ok(answers) => Ok(answers.into_iter()),
            Err(e) => Err(e),
        };
        let next = |_| match &mut answers {
            Ok(answers) => answers.next().unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "the local store gave too few answers",
                ))
            }),
            Err(e) => Err(e.clone()),
        };
        let mut next = next;
        read.into_iter().map(|it| it.and_then(&mut next)).collect()
    }
}

impl SecretStore for LocalStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            versions: true,
            watch: true,
        }
    }

    fn versions<'a>(
        &'a self,
        refs: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>> {
        let ask = async |wanted| {
            Ok(self
                .client
                .versions(wanted)
                .await?
                .into_iter()
                .map(|v| v.map(|v| v.mark()))
                .collect())
        };
        self.ask(refs, ask).boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        self.ask(refs, async |wanted| self.client.get_all(wanted).await)
            .boxed()
    }

    fn watch(&self) -> Option<BoxStream<'static, Hint>> {
        Some(self.client.watch().map(|_| Hint).boxed())
    }
}
