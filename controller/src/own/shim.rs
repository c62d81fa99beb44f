//! The volume with the shim for containers that are made before anybody can prepare a volume of their own project: those of
//! `docker run`, and of compose where it does not call the gate. One an engine; the program is replaced by rename.

use locket_delivery::protocol::{Request, Response};
use locket_engine::RestartPolicy;

use super::image::Binary;
use super::{Error, ROLE, locked_down, mount};
use crate::Host;
use crate::session::{self, Session};

/// The volume's name. In it the shim has the same path as in a project volume.
pub const VOLUME: &str = "locket-shim";
/// What the name of a container begins with that is there while the program is written; a number follows, so that two who
/// write at once have one each. It idles as an anchor does, and is written to in the same way.
const NAME: &str = "locket-shim-";
const COMMAND: &str = "anchor";
/// Those who write at once, and what those have left that were killed.
const MOST: u32 = 16;

/// Why the shim is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum NotInstalled {
    /// Volume or container cannot be brought about.
    #[error("the volume {VOLUME} cannot be made")]
    Own(#[from] Error),
    /// The session failed.
    #[error("the shim cannot be written")]
    Session(#[from] session::Error),
    /// Our own program cannot be read.
    #[error("the shim cannot be read")]
    Program(#[from] std::io::Error),
}

/// Writes this program to where a session's container has the shim, if it is not there already. One of another version stays,
/// unless that digest is to be replaced.
///
/// # Errors
/// When the program cannot be read, or the session is lost.
pub(crate) async fn install(
    binary: &Binary,
    session: &Session,
    replace: impl Fn(&[u8; 32]) -> bool,
) -> Result<(), NotInstalled> {
    let sha256 = binary.sha256();
    match session.call(&Request::ShimDigest).await? {
        Response::ShimDigest(Some(there)) if there == sha256 || !replace(&there) => return Ok(()),
        _ => {}
    }
    let install = Request::InstallShim {
        bytes: binary.read()?.into(),
        sha256,
    };
    let answer = session.call(&install).await;
    drop(install);
    // The program was in memory, in frames as well: a controller would weigh twice as much from its first project on.
    locket_delivery::session::return_memory();
    Ok(answer.map(drop)?)
}

/// Makes sure that the volume is there with a shim in it: this program's, if it is to `replace` another version's.
/// A container takes the new one at its next start.
///
/// # Errors
/// When the engine refuses, or something else has our names.
pub async fn prepare(host: &Host, replace: bool) -> Result<(), NotInstalled> {
    host.binary.suits(&host.engine).map_err(NotInstalled::Own)?;
    let labels = [(ROLE.to_owned(), "shim".to_owned())].into();
    let none = Default::default();
    // The one of this name that is there, if there is one.
    let volume = host.engine.create_volume(VOLUME, &none, &labels).await;
    let volume = volume.map_err(Error::from)?;
    if volume.labels.get(ROLE).is_none_or(|role| role != "shim") {
        return Err(NotInstalled::Own(Error::Foreign {
            what: format!("volume {VOLUME}"),
            why: "it does not say so".to_owned(),
        }));
    }
    let id = container(host).await?;
    let installed = async {
        host.engine.start(&id).await.map_err(Error::from)?;
        let session = Session::open(&host.engine, &id).await?;
        install(&host.binary, &session, |_| replace).await
    };
    let installed = installed.await;
    let removed = host.engine.remove(&id, true).await;
    installed.and(removed.map_err(|e| NotInstalled::Own(e.into())))
}

async fn container(host: &Host) -> Result<String, Error> {
    let image = host.ensure_image().await?;
    let mut number = 1;
    loop {
        let spec = locked_down(
            format!("{NAME}{number}"),
            &image,
            "shim",
            COMMAND,
            vec![mount(VOLUME, "/p")],
            RestartPolicy::No,
        );
        match host.engine.create(&spec).await {
            Err(e) if e.is_conflict() && number < MOST => number += 1,
            made => return Ok(made?),
        }
    }
}
