//! Takes a leftover away, unless it has come into use.

use locket_crds::id::ProjectName;

use super::{Leftover, Object};
use crate::link::{self, Lease, Link};
use crate::own::anchor;
use crate::{Host, own};

/// Why a leftover was not removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not answer, or refuses.
    #[error(transparent)]
    Own(#[from] own::Error),
    /// There is no way into the project.
    #[error(transparent)]
    Link(#[from] link::Error),
    /// Somebody works on the project.
    #[error("{0} works on the project")]
    Busy(String),
    /// The project has containers now.
    #[error("the project has containers now")]
    Alive,
}

impl From<locket_engine::Error> for Error {
    fn from(e: locket_engine::Error) -> Self {
        Self::Own(e.into())
    }
}

/// Removes one. `holder` is how this process names itself to others.
///
/// # Guarantees
/// What has come into use since the survey stays: a project with containers, a project that somebody works on, a container that
/// runs, a volume or an image with a user.
///
/// # Errors
/// It is in use, or the engine refuses.
pub async fn remove(host: &Host, it: &Leftover, holder: &str) -> Result<(), Error> {
    let engine = &host.engine;
    match &it.object {
        Object::Anchor(project) => release(host, project, holder).await,
        Object::Container(id) => Ok(engine.remove(id, false).await?),
        Object::Writer(id) => Ok(engine.remove(id, true).await?),
        Object::Volume => Ok(engine.remove_volume(&it.name, false).await?),
        Object::Image => Ok(engine.remove_image(&it.name).await?),
    }
}

/// Lets go of a project's volumes. Whoever works on the project has its lease, so that is asked for first.
async fn release(host: &Host, project: &ProjectName, holder: &str) -> Result<(), Error> {
    let link = Link::open(host, project, holder).await?;
    if let Some(Lease::Held(by)) = link.as_ref().map(|it| &it.lease) {
        return Err(Error::Busy(by.clone()));
    }
    let mut layers = Vec::new();
    if let Some(link) = &link {
        layers.clone_from(&link.layers);
    }
    // From here on a gate waits for us, and makes an anchor of its own when we are gone.
    if super::lives(&host.engine.containers(&[]).await?, project) {
        return Err(Error::Alive);
    }
    let found = anchor::find(host, project, &layers).await?;
    found.retire(host, None).await?;
    Ok(())
}
