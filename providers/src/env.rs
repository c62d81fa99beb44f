//! Environment variables of the process that resolves: `env:NAME`.
//!
//! They are given as data by main and do not change while it runs.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use locket_crds::reference::SecretRef;
use locket_provider::{
    Capabilities, Error, ErrorKind, Fetched, SecretStore, SecretValue, SecretVersion,
};

use crate::context::{Environment, MarkKey};

/// The variables that may be read.
pub struct EnvStore {
    env: Arc<Environment>,
    key: MarkKey,
}

impl EnvStore {
    /// A store over these variables; whether there is one is the host configuration's decision.
    pub fn new(env: Arc<Environment>, key: MarkKey) -> Self {
        Self { env, key }
    }

    fn value(&self, reference: &SecretRef) -> Result<&SecretValue, Error> {
        if reference.field().is_some() || reference.version().is_some() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{reference} names a field or version, a variable has none"),
            ));
        }
        let found = self.env.get(reference.path());
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the environment variable {} is not set", reference.path()),
            )
        })
    }
}

impl SecretStore for EnvStore {
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
        async {
            refs.iter()
                .map(|r| Ok(self.key.mark(self.value(r)?.expose())))
                .collect()
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        let fetch = |r| {
            let value = self.value(r)?;
            Ok(Fetched {
                version: self.key.mark(value.expose()),
                value: SecretValue::new(value.expose().to_vec()),
            })
        };
        async move { refs.iter().map(fetch).collect() }.boxed()
    }
}
