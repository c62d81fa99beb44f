//! Which anchor a project is entered through.

use locket_crds::id::ProjectName;
use locket_delivery::protocol::{Request, Response};

use super::programs::Programs;
use super::{Error, Lease, PROGRAMS, read};
use crate::Host;
use crate::own::anchor::{self, Anchor, Claimants, Volumes};
use crate::session::{self, Session};

/// A session through an anchor, and who has the lease.
pub(super) struct Entered {
    pub anchor: Anchor,
    pub session: Session,
    pub lease: Lease,
}

/// An anchor of a newer program that does all that ours would do.
pub(super) struct Newer {
    pub anchor: Anchor,
    pub session: Session,
    /// What claims to be an anchor, with this one among ours.
    pub found: Claimants,
}

impl Entered {
    async fn through(host: &Host, anchor: Anchor, holder: &str) -> Result<Self, session::Error> {
        let session = Session::open(&host.engine, &anchor.id).await?;
        let lease = acquire(&session, holder).await?;
        Ok(Self {
            anchor,
            session,
            lease,
        })
    }
}

/// Goes in through this program's anchor, which is made where it is missing, or mounts something else by now.
pub(super) async fn enter(
    host: &Host,
    project: &ProjectName,
    holder: &str,
    volumes: &Volumes,
    found: &Claimants,
) -> Result<Entered, Error> {
    let own = |source| Error::Own {
        project: project.clone(),
        source,
    };
    let lost = |source| Error::Session {
        project: project.clone(),
        source,
    };
    if let Some(current) = found.ours.iter().find(|it| it.running).cloned() {
        let entered = Entered::through(host, current, holder).await;
        let entered = entered.map_err(lost)?;
        // One that another writer uses is not replaced under its hands.
        if !entered.lease.is_ours() || entered.anchor.fits(volumes) {
            return Ok(entered);
        }
        // Given back at once: that a stream was dropped is noticed some milliseconds later.
        let released = entered.session.call(&Request::Release).await;
        released.map_err(lost)?;
    }
    let anchor = found.ensure(host, volumes).await.map_err(own)?;
    let entered = Entered::through(host, anchor, holder).await.map_err(lost)?;
    let Lease::Held(by) = &entered.lease else {
        return Ok(entered);
    };
    if found.ours.iter().any(|it| it.id == entered.anchor.id) {
        return Ok(entered);
    }
    // Another version of this program looks after the project through an anchor of its own; this one is in the way.
    let busy = Error::Busy {
        project: project.clone(),
        holder: by.clone(),
    };
    let Entered {
        anchor, session, ..
    } = entered;
    drop(session);
    let removed = host.engine.remove(&anchor.id, true).await;
    removed.map_err(|e| own(e.into()))?;
    Err(busy)
}

/// Looks for an anchor of a newer program. Only a session through an anchor of this very program, or one that it knows, can be
/// believed what the project volume remembers. Nothing if it does not speak our protocol: ours takes its place.
pub(super) async fn newer(
    host: &Host,
    project: &ProjectName,
    volumes: &Volumes,
    session: &Session,
) -> Result<Option<Newer>, Error> {
    let programs: Programs = read(session, project, PROGRAMS).await?.unwrap_or_default();
    let found = anchor::find(host, project, &programs.layers()).await;
    let found = found.map_err(|source| Error::Own {
        project: project.clone(),
        source,
    })?;
    let serves =
        |it: &&Anchor| it.running && it.fits(volumes) && programs.is_newer_image(&it.layer, host);
    let Some(anchor) = found.ours.iter().find(serves).cloned() else {
        return Ok(None);
    };
    match Session::open(&host.engine, &anchor.id).await {
        Ok(session) => Ok(Some(Newer {
            anchor,
            session,
            found,
        })),
        Err(session::Error::Protocol { .. }) => Ok(None),
        Err(source) => Err(Error::Session {
            project: project.clone(),
            source,
        }),
    }
}

/// Asks for the lease.
pub(super) async fn acquire(session: &Session, holder: &str) -> Result<Lease, session::Error> {
    let asked = Request::Acquire {
        holder: holder.to_owned(),
    };
    match session.call(&asked).await? {
        Response::Granted { term } => Ok(Lease::Ours(term)),
        Response::Held { holder, .. } => Ok(Lease::Held(holder)),
        _ => Err(session::Error::Nonsense("neither granted nor held")),
    }
}
