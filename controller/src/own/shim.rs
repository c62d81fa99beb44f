//! The volume with the shim for containers that are made before anybody can prepare a volume of their own project: those of
//! `docker run`, and of compose where it does not call the gate. One an engine; the program is replaced by rename.

use std::time::Duration;

use locket_delivery::protocol::{Request, Response};
use locket_engine::{Container, RestartPolicy, Time};

use super::image::Binary;
use super::{Error, ROLE, foreign, locked_down, mount};
use crate::Host;
use crate::session::{self, Session};

/// The volume's name. In it the shim has the same path as in a project volume.
pub const VOLUME: &str = "locket-shim";
/// What the name of a container begins with that is there while the program is written; a number follows, so that two who
/// write at once have one each. It idles as an anchor does, and is written to in the same way.
const NAME: &str = "locket-shim-";
const COMMAND: &str = "anchor";
/// Those who write at once.
const MOST: u32 = 16;
/// Nobody writes for longer: what is older was left by somebody who was killed.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// [`ROLE`] of the volume, and of the containers.
const SHIM: &str = "shim";
/// Where a session finds the volume.
const PLACE: &str = "/p";

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

/// What becomes of a shim of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// It stays.
    Keep,
    /// This program takes its place.
    Replace,
}

/// Makes sure that the volume is there with a shim in it. A container takes a new one at its next start.
///
/// # Errors
/// When the engine refuses, or something else has our names.
pub async fn prepare(host: &Host, other: Other) -> Result<(), NotInstalled> {
    host.binary.suits(&host.engine).map_err(NotInstalled::Own)?;
    let labels = [(ROLE.to_owned(), SHIM.to_owned())].into();
    let none = Default::default();
    // The one of this name that is there, if there is one.
    let volume = host.engine.create_volume(VOLUME, &none, &labels).await;
    let volume = volume.map_err(Error::from)?;
    if volume.labels.get(ROLE).is_none_or(|role| role != SHIM) {
        return Err(NotInstalled::Own(Error::Foreign {
            what: format!("volume {VOLUME}"),
            why: "it does not say so".to_owned(),
        }));
    }
    let id = container(host).await?;
    let installed = async {
        host.engine.start(&id).await.map_err(Error::from)?;
        let session = Session::open(&host.engine, &id).await?;
        install(&host.binary, &session, |_| other == Other::Replace).await
    };
    let installed = installed.await;
    let removed = host.engine.remove(&id, true).await;
    installed.and(removed.map_err(|e| NotInstalled::Own(e.into())))
}

/// Removes what those have left who were killed while they wrote.
async fn sweep(host: &Host) -> Result<(), Error> {
    let now = host.engine.info().await?.system_time;
    for it in left(host, now).await? {
        host.engine.remove(&it.id, true).await?;
    }
    Ok(())
}

/// What those have left who were killed while they wrote.
///
/// # Errors
/// When the engine does not answer.
pub(crate) async fn left(host: &Host, now: Option<Time>) -> Result<Vec<Container>, Error> {
    let label = format!("{ROLE}={SHIM}");
    let mut out = Vec::new();
    for found in host.engine.containers(&[&label]).await? {
        let Some(it) = host.engine.inspect(&found.id).await? else {
            continue;
        };
        let age = now
            .zip(it.created_at)
            .map(|(now, at)| now.saturating_sub(at));
        let is_left = age.is_some_and(|nanos| Duration::from_nanos(nanos) > WRITTEN_WITHIN);
        let is_place = |target: &str| target == PLACE;
        if is_left
            && it.name.starts_with(NAME)
            && foreign(&host.engine, &host.binary, &[], &it, COMMAND, is_place)
                .await?
                .is_ok()
        {
            out.push(it);
        }
    }
    Ok(out)
}

async fn container(host: &Host) -> Result<String, Error> {
    let image = host.ensure_image().await?;
    sweep(host).await?;
    let mut number = 1;
    loop {
        let spec = locked_down(
            format!("{NAME}{number}"),
            &image,
            SHIM,
            COMMAND,
            vec![mount(VOLUME, PLACE)],
            RestartPolicy::No,
        );
        match host.engine.create(&spec).await {
            Err(e) if e.is_conflict() && number < MOST => number += 1,
            made => return Ok(made?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::World;
    use crate::leftovers;
    use crate::own::image::Binary;

    #[tokio::test(start_paused = true)]
    async fn what_a_killed_one_has_left_is_removed_and_nobody_else_s_work_is() {
        let world = World::alone("shop", "services: {}").await;
        let binary = Binary::new(crate::fake::programs::binary()).unwrap();
        let host = Host::new(world.engine.clone(), binary, "test");
        let names = async || {
            let label = format!("{ROLE}={SHIM}");
            let all = world.engine.containers(&[&label]).await.unwrap();
            all.into_iter().map(|it| it.name).collect::<Vec<_>>()
        };
        prepare(&host, Other::Keep).await.unwrap();
        let id = container(&host).await.unwrap();
        world.engine.start(&id).await.unwrap();
        prepare(&host, Other::Keep).await.unwrap();
        assert_eq!(names().await, ["locket-shim-1"], "it may still be at work");
        let found = async || leftovers::survey(&host).await.unwrap().leftovers;
        assert_eq!(found().await, []);
        let wait = WRITTEN_WITHIN + Duration::from_secs(1);
        tokio::time::sleep(wait).await;
        let told = found().await;
        assert_eq!(told[0].to_string(), "container locket-shim-1");
        leftovers::remove(&host, &told[0], "a test").await.unwrap();
        assert_eq!(names().await, [""; 0]);
        let id = container(&host).await.unwrap();
        world.engine.start(&id).await.unwrap();
        tokio::time::sleep(wait).await;
        prepare(&host, Other::Keep).await.unwrap();
        assert_eq!(names().await, [""; 0]);
    }
}
