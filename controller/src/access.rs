//! What a command does about a project: through the controller that looks after the engine, or itself when there is none.
//!
//! Both ways give the same answers, because both read the same state: it lies on the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_crds::api;
use locket_crds::config::HostConfig;
use locket_crds::id::{ProjectName, ServiceName, SourceName};
use locket_crds::spec::ProjectSpec;
use locket_runtime::{Config, Controller};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::Host;
use crate::client::{Client, Place};
use crate::process::follow_engine;
use crate::project::Shared;
use crate::service::{Passes, Role, Service};
use crate::sources::{Authority, OpenStore, Sources};

/// Why a request had no answer. Its text holds no value.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// `NotFound`, `Invalid`, `Conflict`, `Timeout`, `Unavailable`, `Internal`, or a condition's reason.
    pub reason: String,
    /// One clause for people.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What lies behind it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// One without a cause.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            hints: Vec::new(),
            source: None,
        }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("NotFound", message)
    }

    pub(crate) fn unavailable(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::new("Unavailable", message)
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What a way in is opened with.
pub struct Options {
    /// The engine, and the program that runs in containers.
    pub host: Arc<Host>,
    /// Where a controller on this machine may listen, nearest first.
    pub sockets: Vec<PathBuf>,
    /// Makes stores, for a pass in the client.
    pub opener: Arc<dyn OpenStore>,
    /// The host configuration, for a pass in the client.
    pub config: Arc<HostConfig>,
    /// The version of this program.
    pub version: String,
    /// The process id of this program: how others name the holder of a lease.
    pub pid: u32,
}

/// The way in.
pub struct Access {
    way: Way,
}

enum Way {
    /// A controller answers.
    There {
        client: Client,
        answerer: api::Answerer,
        place: String,
    },
    /// This process does it itself.
    Here {
        service: Arc<Service>,
        runner: JoinHandle<()>,
    },
}

impl Drop for Access {
    fn drop(&mut self) {
        if let Way::Here { runner, .. } = &self.way {
            runner.abort();
        }
    }
}

impl Access {
    /// Looks for a controller that looks after this engine: at the sockets, then in the container of that name.
    ///
    /// # Errors
    /// When the engine does not answer. That there is no controller is no error.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let lost = |e| Error::unavailable("the engine does not answer", e);
        let engine_id = options.host.engine.info().await.map_err(lost)?.id;
        for place in Place::all(&options.host, options.sockets).await {
            let named = place.to_string();
            let client = Client::new(place, Arc::clone(&options.host));
            match client.answerer().await {
                Ok(answerer) if answerer.engine == engine_id => {
                    return Ok(Self {
                        way: Way::There {
                            client,
                            answerer,
                            place: named,
                        },
                    });
                }
                Ok(_) | Err(_) => {}
            }
        }
        let shared = Shared {
            draining: false.into(),
            host: options.host,
            sources: Sources::new(options.opener, Authority::User(options.config)),
            cache: Arc::default(),
            image_labels: Default::default(),
            owners: Default::default(),
            holder: format!("a command (process {})", options.pid),
            metrics: Default::default(),
        };
        let service = Service::new(Arc::new(shared), Role::Client, &options.version)
            .await
            .map_err(lost)?;
        let (controller, handle) = Controller::new(
            Passes(Arc::clone(&service)),
            Config::new(u64::from(options.pid)),
        );
        service.attach(handle);
        let follow = follow_engine(Arc::clone(&service));
        let runner = tokio::spawn(async move {
            tokio::select! {
                _ = controller.run(std::future::pending()) => {}
                () = follow => {}
            }
        });
        Ok(Self {
            way: Way::Here { service, runner },
        })
    }

    /// The controller that answers, if there is one: its version, and where it runs.
    pub fn controller(&self) -> Option<(&api::Answerer, &str)> {
        match &self.way {
            Way::There {
                answerer, place, ..
            } => Some((answerer, place)),
            Way::Here { .. } => None,
        }
    }

    /// Why the listener of the controller that answers is not as configured, if it says so.
    pub async fn listener_problem(&self) -> Option<String> {
        match &self.way {
            Way::There { client, .. } => client.settings().await.ok()?.listener_problem,
            Way::Here { .. } => None,
        }
    }

    /// How all projects stand, or one of them.
    ///
    /// # Errors
    /// When the engine or the controller does not answer.
    pub async fn status(&self, project: Option<&ProjectName>) -> Result<api::Status, Error> {
        match &self.way {
            Way::There { client, .. } => client.status(project).await,
            Way::Here { service, .. } => service.status(project).await,
        }
    }

    /// Why a service is as it is.
    ///
    /// # Errors
    /// `NotFound` when there is no such project or service.
    pub async fn explain(
        &self,
        project: &ProjectName,
        name: &ServiceName,
    ) -> Result<api::Explain, Error> {
        match &self.way {
            Way::There { client, .. } => client.explain(project, name).await,
            Way::Here { service, .. } => service.explain(project, name).await,
        }
    }

    /// Events after `after` (a sequence number; 0: all that are kept), oldest first. With none to tell, waits up to `wait` for one.
    ///
    /// # Errors
    /// When the engine or the controller does not answer.
    pub async fn events(
        &self,
        project: Option<&ProjectName>,
        after: u64,
        wait: Duration,
    ) -> Result<Vec<api::Event>, Error> {
        match &self.way {
            Way::There { client, .. } => client.events(project, after, wait).await,
            Way::Here { service, .. } => service.events(project, after, wait).await,
        }
    }

    /// What would be done if this were applied (`spec`: `None` means what was applied last). Changes nothing.
    ///
    /// # Errors
    /// `NotFound` when nothing was applied yet and no spec is given.
    pub async fn plan(
        &self,
        project: &ProjectName,
        spec: Option<ProjectSpec>,
    ) -> Result<api::PlanView, Error> {
        match &self.way {
            Way::There { client, .. } => client.plan(project, spec).await,
            Way::Here { service, .. } => service.plan(project, spec).await,
        }
    }

    /// Applies a project and tells what it does meanwhile. Ends when it is delivered (and, with [`api::ApplyMode::Act`], rolled out).
    ///
    /// # Errors
    /// The one line that says what is wrong, with file, line and column where it is known.
    pub async fn apply(
        &self,
        project: &ProjectName,
        request: api::ApplyRequest,
        timeout: Duration,
        mut told: impl FnMut(api::Progress) + Send,
    ) -> Result<api::Applied, Error> {
        match &self.way {
            Way::There { client, .. } => client.apply(project, &request, timeout, &mut told).await,
            Way::Here { service, .. } => service.apply(project, request, timeout, &mut told).await,
        }
    }

    /// The variables that the gate hands to compose (`via: compose`): name and value, sorted by name. They need no volume:
    /// `spec` is what asks for them.
    ///
    /// # Errors
    /// When a value cannot be had, is not granted, or is not text.
    pub async fn compose_env(
        &self,
        project: &ProjectName,
        spec: ProjectSpec,
    ) -> Result<Vec<(String, Zeroizing<Vec<u8>>)>, Error> {
        match &self.way {
            Way::There { client, .. } => client.compose_env(project, &spec).await,
            Way::Here { service, .. } => service.compose_env(spec).await,
        }
    }

    /// Waits, at most so long, until no container is between our stop and our start of it; nothing new is begun from now on.
    /// With a controller there is nothing to wait for: it goes on by itself.
    pub async fn finish(&self, at_most: Duration) {
        if let Way::Here { service, .. } = &self.way {
            service.finish(at_most).await;
        }
    }

    /// Lets go of a project's volumes, so that `docker compose down -v` can remove them. What they held is gone.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn release(&self, project: &ProjectName) -> Result<(), Error> {
        match &self.way {
            Way::There { client, .. } => client.post(project, "release", &()).await,
            Way::Here { service, .. } => service.release(project).await,
        }
    }

    /// Asks backends again at once, looks at delivered files again, and tries what was refused once more.
    ///
    /// # Errors
    /// `Unavailable` when no controller runs: without one there is nobody to ask again.
    pub async fn refresh(
        &self,
        project: Option<&ProjectName>,
        source: Option<&SourceName>,
    ) -> Result<(), Error> {
        match &self.way {
            Way::There { client, .. } => client.refresh(project, source).await,
            Way::Here { .. } => Err(Error::new(
                "Unavailable",
                "no controller runs, so nobody asks again by itself",
            )
            .hint("`docker locket apply` does it once")),
        }
    }

    /// Holds everything that disrupts, or lets it go on. Kept on the engine.
    ///
    /// # Errors
    /// `NotFound` when there is no such project.
    pub async fn pause(&self, project: &ProjectName, paused: bool) -> Result<(), Error> {
        match &self.way {
            Way::There { client, .. } => {
                client
                    .post(project, if paused { "pause" } else { "resume" }, &())
                    .await
            }
            Way::Here { service, .. } => service.pause(project, paused).await,
        }
    }
}
