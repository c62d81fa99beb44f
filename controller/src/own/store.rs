//! The store container: the only place where the volume `locket-state` is opened.
//!
//! It is started when somebody needs it and ends itself some seconds after the last session.

use locket_engine::{Engine, ExecSpec, ExecStream, Mount, RestartPolicy};

use super::image::{Binary, PROGRAM};
use super::{Error, ROLE, locked_down, verify};

/// The volume with store, key, host configuration and grants.
pub const VOLUME: &str = "locket-state";
/// The container's name: one store an engine.
const NAME: &str = "locket-store";
const COMMAND: &str = "store";

/// Opens a session with the store, starting its container where needed.
///
/// # Errors
/// When the engine refuses, or a foreign container has the name.
pub async fn open(engine: &Engine, binary: &Binary, image: &str, known_layers: &[String]) -> Result<ExecStream, Error> {
    if engine.volume(VOLUME).await?.is_none() {
        engine.create_volume(VOLUME, &Default::default(), &[(ROLE.to_owned(), "store".to_owned())].into()).await?;
    }
    let session = ExecSpec { argv: vec![PROGRAM.to_owned(), "store-session".to_owned()], ..ExecSpec::default() };
    let mut last = None;
    // It may end itself between our look and our exec: then the next round starts it again.
    for _ in 0..3 {
        let id = running(engine, binary, image, known_layers).await?;
        match engine.exec(&id, &session).await {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    Err(last.map_or_else(|| Error::NotRunning { what: NAME.into(), why: "no answer".into() }, Error::Engine))
}

async fn running(engine: &Engine, binary: &Binary, image: &str, known_layers: &[String]) -> Result<String, Error> {
    let mounts = vec![Mount::volume(VOLUME, "/s")];
    if let Some(it) = engine.inspect(NAME).await? {
        match verify(engine, binary, known_layers, &it, COMMAND, &mounts).await? {
            Ok(()) if it.state.running => return Ok(it.id),
            Ok(()) => {
                engine.start(&it.id).await?;
                return Ok(it.id);
            }
            // Another version of ours that has ended itself holds nothing: the volume is what matters.
            Err(_) if !it.state.running && it.labels.get(ROLE).is_some_and(|r| r == "store") => engine.remove(&it.id, true).await?,
            Err(why) => return Err(Error::Foreign { what: format!("container {NAME}"), why }),
        }
    }
    let spec = locked_down(NAME.to_owned(), image, "store", COMMAND, mounts, RestartPolicy::No);
    let id = match engine.create(&spec).await {
        Ok(id) => id,
        Err(e) if e.is_conflict() => engine.inspect(NAME).await?.map(|it| it.id).ok_or(e)?,
        Err(e) => return Err(e.into()),
    };
    engine.start(&id).await?;
    Ok(id)
}
