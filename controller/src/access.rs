//! What a command does about a project: through the controller that looks after the engine, or itself when there is none.
//!
//! Both ways give the same answers, because both read the same state: it lies on the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_crds::api;
use locket_crds::config::HostConfig;
use locket_crds::id::{ProjectName, ServiceName, SourceName};

use crate::host::Host;
use crate::sources::OpenStore;

/// Why a request had no answer. Its text holds no value.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// `NotFound`, `Invalid`, `Conflict`, `Unavailable`, `Internal`.
    pub reason: String,
    /// One clause for people.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What lies behind it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a way in is opened with.
pub struct Options {
    /// The engine, and the program that runs in containers.
    pub host: Arc<Host>,
    /// Where a controller on this machine would listen.
    pub socket: PathBuf,
    /// Makes stores, for a pass in the client.
    pub opener: Arc<dyn OpenStore>,
    /// The host configuration, for a pass in the client.
    pub config: Arc<HostConfig>,
}

/// The way in.
pub struct Access {
    options: Options,
}

impl Access {
    /// Looks for a controller that looks after this engine: at the socket, then in the container of that name.
    ///
    /// # Errors
    /// When the engine does not answer. That there is no controller is no error.
    pub async fn open(options: Options) -> Result<Self, Error> {
        Ok(Self { options })
    }

    /// The controller that answers, if there is one: its version, and where it runs.
    pub fn controller(&self) -> Option<(&api::Answerer, &str)> {
        None
    }

    /// How all projects stand, or one of them.
    ///
    /// # Errors
    /// When the engine or the controller does not answer.
    pub async fn status(&self, project: Option<&ProjectName>) -> Result<api::Status, Error> {
        unreachable!("{project:?} {:?}", self.options.socket)
    }

    /// Why a service is as it is.
    ///
    /// # Errors
    /// `NotFound` when there is no such project or service.
    pub async fn explain(
        &self,
        project: &ProjectName,
        service: &ServiceName,
    ) -> Result<api::Explain, Error> {
        unreachable!("{project} {service}")
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
        unreachable!("{project:?} {after} {wait:?}")
    }

    /// What would be done if this were applied (`spec`: `None` means what was applied last). Changes nothing.
    ///
    /// # Errors
    /// `NotFound` when nothing was applied yet and no spec is given.
    pub async fn plan(
        &self,
        project: &ProjectName,
        spec: Option<locket_crds::spec::ProjectSpec>,
    ) -> Result<api::PlanView, Error> {
        unreachable!("{project} {}", spec.is_some())
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
        told(api::Progress::Info(format!(
            "{project} {} {timeout:?}",
            request.spec.is_some()
        )));
        Ok(api::Applied::default())
    }

    /// The variables that the gate hands to compose (`via: compose`): name and value, sorted by name.
    ///
    /// # Errors
    /// As [`Access::apply`].
    pub async fn compose_env(
        &self,
        project: &ProjectName,
    ) -> Result<Vec<(String, zeroize::Zeroizing<Vec<u8>>)>, Error> {
        unreachable!("{project}")
    }

    /// Lets go of a project's volumes, so that `docker compose down -v` can remove them. What they held is gone.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn release(&self, project: &ProjectName) -> Result<(), Error> {
        unreachable!("{project}")
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
        unreachable!("{project:?} {source:?}")
    }

    /// Holds everything that disrupts, or lets it go on. Kept on the engine.
    ///
    /// # Errors
    /// `NotFound` when there is no such project.
    pub async fn pause(&self, project: &ProjectName, paused: bool) -> Result<(), Error> {
        unreachable!("{project} {paused}")
    }
}
