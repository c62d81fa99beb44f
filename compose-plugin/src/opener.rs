//! Makes stores out of sources: the one place that brings the controller and concrete backends together.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_controller::own;
use locket_controller::sources::OpenStore;
use locket_controller::{Host, chain};
use locket_crds::config::HostConfig;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::spec::{Credential, SourceSpec};
use locket_provider::{Error, SecretStore, SecretValue};
use locket_providers::local::{Connect, LocalClient, Pipes};
use locket_providers::{Context, Environment, MarkKey, ReadCredential, Servers, Surroundings};

use crate::credentials::Beside;

/// The store's container on the engine, started when somebody asks.
pub struct StoreContainer {
    host: Arc<Host>,
}

impl StoreContainer {
    /// On this engine.
    pub fn new(host: Arc<Host>) -> Self {
        Self { host }
    }
}

impl Connect for StoreContainer {
    fn connect(&self) -> BoxFuture<'_, io::Result<Pipes>> {
        async {
            let stream = own::store::open(&self.host)
                .await
                .map_err(|e| io::Error::other(chain(&e)))?;
            Ok(Pipes {
                input: stream.input,
                output: stream.output,
            })
        }
        .boxed()
    }
}

/// Opens stores in somebody's name.
pub struct Opener {
    local: LocalClient,
    variables: Arc<Environment>,
    roots: Vec<PathBuf>,
    credentials: Arc<dyn ReadCredential>,
    mark_key: MarkKey,
    servers: Servers,
    /// For the controller: what decides whether its environment is anybody's business.
    config: Option<RwLock<Arc<HostConfig>>>,
}

impl Opener {
    /// In the name of the user who runs this process: it may use what they may use anyway.
    pub fn user(
        local: LocalClient,
        variables: Arc<Environment>,
        roots: Vec<PathBuf>,
        mark_key: MarkKey,
    ) -> Self {
        let credentials = Arc::new(Surroundings(Arc::clone(&variables)));
        Self {
            local,
            variables,
            roots,
            credentials,
            mark_key,
            servers: Servers::default(),
            config: None,
        }
    }

    /// In the controller's name: no files but those of configured roots, no variables unless the host allows them.
    pub fn controller(local: LocalClient, variables: Arc<Environment>, mark_key: MarkKey) -> Self {
        let credentials = Arc::new(Beside::new(
            Surroundings(Arc::clone(&variables)),
            local.clone(),
        ));
        let config = Some(RwLock::default());
        Self {
            local,
            variables,
            roots: Vec::new(),
            credentials,
            mark_key,
            servers: Servers::default(),
            config,
        }
    }

    /// Takes the host configuration in force.
    pub fn configure(&self, config: Arc<HostConfig>) {
        if let Some(held) = &self.config {
            *held.write().unwrap_or_else(PoisonError::into_inner) = config;
        }
    }

    /// Reads a credential that the host configuration names.
    ///
    /// # Errors
    /// It is not there.
    pub async fn credential(&self, credential: &Credential) -> Result<SecretValue, Error> {
        self.credentials.read(credential).await
    }

    fn allows_variables(&self) -> bool {
        self.config.as_ref().is_none_or(|config| {
            let config = config.read().unwrap_or_else(PoisonError::into_inner);
            config.sources.values().any(|source| source.kind == "env")
        })
    }
}

impl OpenStore for Opener {
    fn open(
        &self,
        project: &ProjectName,
        _: &SourceName,
        source: &SourceSpec,
    ) -> Result<Arc<dyn SecretStore>, Error> {
        let context = Context {
            project: project.clone(),
            local: self.local.clone(),
            env: self.allows_variables().then(|| Arc::clone(&self.variables)),
            roots: self.roots.clone(),
            credentials: Arc::clone(&self.credentials),
            mark_key: self.mark_key.clone(),
            servers: self.servers.clone(),
        };
        locket_providers::open(source, &context)
    }
}
