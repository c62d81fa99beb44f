//! The store container: the only place where the volume `locket-state` is opened.
//!
//! It is started when somebody needs it and ends itself some seconds after the last session.

use locket_engine::{ExecSpec, ExecStream, RestartPolicy};

use super::image::PROGRAM;
use super::{Error, ROLE, foreign, locked_down, mount};
use crate::Host;

/// The volume with store, key, host configuration and grants.
pub const VOLUME: &str = "locket-state";
/// The container's name, followed by the beginning of its program's digest: two versions do not stand in each other's way.
/// Their sessions see each other's changes, because each watches the file.
const NAME: &str = "locket-store-";
const COMMAND: &str = "store";

/// Opens a session with the store, starting its container where needed.
///
/// # Errors
/// When the engine refuses, or a foreign container has the name.
pub async fn open(host: &Host) -> Result<ExecStream, Error> {
    let engine = &host.engine;
    if engine.volume(VOLUME).await?.is_none() {
        let labels = [(ROLE.to_owned(), "store".to_owned())].into();
        engine
            .create_volume(VOLUME, &Default::default(), &labels)
            .await?;
    }
    let session = ExecSpec {
        argv: vec![PROGRAM.to_owned(), "store-session".to_owned()],
        ..ExecSpec::default()
    };
    let mut last = None;
    // It may end itself between our look and our exec: then the next round starts it again.
    for _ in 0..3 {
        let id = running(host).await?;
        match engine.exec(&id, &session).await {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    Err(last.map_or_else(
        || Error::NotRunning {
            what: "the store's container".into(),
            why: "no answer".into(),
        },
        Error::Engine,
    ))
}

async fn running(host: &Host) -> Result<String, Error> {
    let engine = &host.engine;
    let digest = host.binary.layer().trim_start_matches("sha256:");
    let name = format!("{NAME}{}", digest.get(..12).unwrap_or(digest));
    if let Some(it) = engine.inspect(&name).await? {
        match foreign(engine, &host.binary, &[], &it, COMMAND, |target| {
            target == "/s"
        })
        .await?
        {
            None => {
                engine.start(&it.id).await?;
                return Ok(it.id);
            }
            Some(why) => {
                return Err(Error::Foreign {
                    what: format!("container {name}"),
                    why: why.into(),
                });
            }
        }
    }
    let image = host.ensure_image().await?;
    let spec = locked_down(
        name.clone(),
        &image,
        "store",
        COMMAND,
        vec![mount(VOLUME, "/s")],
        RestartPolicy::No,
    );
    let id = match engine.create(&spec).await {
        Ok(id) => id,
        // Somebody else was faster; theirs is as good.
        Err(e) if e.is_conflict() => engine.inspect(&name).await?.map(|it| it.id).ok_or(e)?,
        Err(e) => return Err(e.into()),
    };
    engine.start(&id).await?;
    Ok(id)
}
