//! The way into a project: its anchor, a session, the lease, and the state that is kept in the project volume.

use std::sync::Arc;

use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::spec::ProjectSpec;
use locket_core::Memory;
use locket_delivery::protocol::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::Host;
use crate::own::anchor::{self, Anchor, Volumes};
use crate::session::{self, Session};

/// State file with the applied spec.
const SPEC: &str = "spec.json";
/// State file with the planner's memory.
const MEMORY: &str = "memory.json";
/// State file with the layer digests that anchors of this project were made from.
const LAYERS: &str = "layers.json";

/// Why there is no way into a project.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our own objects could not be brought about.
    #[error("the anchor of project {project} cannot be made")]
    Own {
        /// The project.
        project: ProjectName,
        /// Why.
        #[source]
        source: crate::own::Error,
    },
    /// The session failed.
    #[error("the anchor of project {project} does not serve")]
    Session {
        /// The project.
        project: ProjectName,
        /// Why.
        #[source]
        source: session::Error,
    },
    /// A state file of the project volume makes no sense.
    #[error("{file} in the project volume of {project} cannot be read: {why}")]
    State {
        /// The project.
        project: ProjectName,
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Who may write to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// We, with this term.
    Ours(u64),
    /// Somebody else, who said how to reach them.
    Held(String),
}

/// An open way into a project.
pub struct Link {
    project: ProjectName,
    /// The anchor.
    pub anchor: Anchor,
    /// The session in it.
    pub session: Arc<Session>,
    /// Who may write.
    pub lease: Lease,
}

impl Link {
    /// Opens the way, making or replacing the anchor as needed; `None` when the project has no project volume.
    ///
    /// Whoever holds the lease is asked first: an anchor in use by another writer is not replaced under its hands.
    ///
    /// # Errors
    /// When the engine refuses, or the anchor does not serve.
    pub async fn open(host: &Host, project: &ProjectName, holder: &str) -> Result<Option<Self>, Error> {
        let own = |source| Error::Own { project: project.clone(), source };
        let lost = |source| Error::Session { project: project.clone(), source };
        let Some(volumes) = Volumes::find(&host.engine, project).await.map_err(own)? else { return Ok(None) };
        let mut layers = Vec::new();
        if let Some(current) = anchor::running(&host.engine, &host.binary, project).await.map_err(own)? {
            let session = Session::open(&host.engine, &current.id).await.map_err(lost)?;
            match acquire(&session, holder).await.map_err(lost)? {
                held @ Lease::Held(_) => {
                    return Ok(Some(Self { project: project.clone(), anchor: current, session: Arc::new(session), lease: held }));
                }
                Lease::Ours(_) if current.volumes == volumes => {
                    let lease = Lease::Ours(current_term(&session, holder).await.map_err(lost)?);
                    let link = Self { project: project.clone(), anchor: current, session: Arc::new(session), lease };
                    link.settle_in(host).await?;
                    return Ok(Some(link));
                }
                Lease::Ours(_) => layers = read::<Vec<String>>(&session, project, LAYERS).await?.unwrap_or_default(),
            }
        }
        let image = host.ensure_image().await.map_err(own)?;
        let mut anchor = anchor::ensure(&host.engine, &host.binary, &image, volumes, &layers).await.map_err(own)?;
        let session = Session::open(&host.engine, &anchor.id).await.map_err(lost)?;
        let lease = acquire(&session, holder).await.map_err(lost)?;
        let mut link = Self { project: project.clone(), anchor: anchor.clone(), session: Arc::new(session), lease };
        link.check_mounts().await?;
        anchor.retire_superseded(&host.engine).await.map_err(own)?;
        link.anchor = anchor;
        link.settle_in(host).await?;
        Ok(Some(link))
    }
}

async fn acquire(session: &Session, holder: &str) -> Result<Lease, session::Error> {
    match session.call(&Request::Acquire { holder: holder.to_owned() }).await? {
        Response::Granted { term } => Ok(Lease::Ours(term)),
        Response::Held { holder, .. } => Ok(Lease::Held(holder)),
        _ => Err(session::Error::Nonsense("neither granted nor held")),
    }
}
