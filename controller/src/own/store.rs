//! The store container: the only place where the volume `locket-state` is opened.
//!
//! It is started when somebody needs it and ends itself some seconds after the last session.

use locket_engine::{Container, ExecSpec, ExecStream, RestartPolicy};

use super::anchor::COMPOSE_PROJECT;
use super::image::PROGRAM;
use super::{Error, ROLE, foreign, locked_down, mount};
use crate::Host;

/// The volume with store, key, host configuration and grants.
pub const VOLUME: &str = "locket-state";
/// A volume for the key alone, made by whoever wants it elsewhere: in memory, on a token, over a network.
pub const KEY_VOLUME: &str = "locket-key";
/// The container's name, followed by the beginning of its program's digest: two versions do not stand in each other's way.
/// Their sessions see each other's changes, because each watches the file.
const NAME: &str = "locket-store-";
const COMMAND: &str = "store";

/// Opens a session with the store, starting its container where needed.
///
/// # Errors
/// When the engine is of another architecture, it refuses, or a foreign container has the name.
pub async fn open(host: &Host) -> Result<ExecStream, Error> {
    let engine = &host.engine;
    host.binary.suits(engine)?;
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

/// Name of the container that runs the program of this layer, without a key of its own.
fn name(layer: &str) -> String {
    let digest = layer.trim_start_matches("sha256:");
    format!("{NAME}{}", digest.get(..12).unwrap_or(digest))
}

/// Whether this is a store's container of some version, and of which layer: the name says which program is in it, its image has
/// just that, and it does what ours does.
///
/// # Errors
/// When the engine does not answer.
pub(crate) async fn layer_of(host: &Host, it: &Container) -> Result<Option<String>, Error> {
    let image = host.engine.image(&it.image_id).await?;
    let layers = image.map(|it| it.layers).unwrap_or_default();
    let [layer] = layers.as_slice() else {
        return Ok(None);
    };
    let own = name(layer);
    let is_named = it.name == own || it.name.strip_suffix("-key") == Some(own.as_str());
    let mounts = it.mounts.iter().all(|m| {
        let place = (m.source.as_str(), m.target.as_str());
        m.kind == "volume" && matches!(place, (VOLUME, "/s") | (KEY_VOLUME, "/k"))
    });
    let does = it.entrypoint == [PROGRAM] && it.cmd == [COMMAND] && it.network_mode == "none";
    Ok((is_named && does && mounts && !it.mounts.is_empty()).then(|| layer.clone()))
}

async fn running(host: &Host) -> Result<String, Error> {
    let engine = &host.engine;
    let mut name = name(host.binary.layer());
    let mut mounts = vec![mount(VOLUME, "/s")];
    let key = engine.volume(KEY_VOLUME).await?;
    // One of compose's is some project's: it must not bring a key along for the secrets of all.
    if key.is_some_and(|it| !it.labels.contains_key(COMPOSE_PROJECT)) {
        name.push_str("-key");
        mounts.push(mount(KEY_VOLUME, "/k"));
    }
    let count = mounts.len();
    let is_ours = |target: &str| ["/s", "/k"][..count].contains(&target);
    if let Some(it) = engine.inspect(&name).await? {
        match foreign(engine, &host.binary, &[], &it, COMMAND, is_ours).await? {
            Ok(_) => {
                engine.start(&it.id).await?;
                return Ok(it.id);
            }
            Err(why) => {
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
        mounts,
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

#[cfg(test)]
mod tests {
    use locket_engine::fake::Fake;

    use super::*;
    use crate::own::image::Binary;

    #[tokio::test]
    async fn on_an_engine_of_another_architecture_nothing_is_made() {
        let engine = Fake::new().connect().await.unwrap();
        let mut program = crate::fake::programs::binary();
        // AArch64, where the fake engine is of x86-64.
        program[18] = 183;
        let host = Host::new(engine.clone(), Binary::new(program).unwrap(), "test");
        let refused = open(&host).await.map(drop).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the engine is linux/amd64, this program is linux/arm64: give the program for linux/amd64 with --image FILE"
        );
        assert_eq!(host.ensure_image().await.unwrap_err().to_string(), refused);
        assert!(engine.volumes(&[]).await.unwrap().is_empty());
        assert!(engine.containers(&[]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_key_is_mounted_from_a_volume_of_its_own_but_from_no_project_s() {
        let fake = Fake::new();
        let engine = fake.connect().await.unwrap();
        let binary = Binary::new(crate::fake::programs::binary()).unwrap();
        let host = Host::new(engine.clone(), binary, "test");
        let targets = async || {
            let id = running(&host).await.unwrap();
            let it = engine.inspect(&id).await.unwrap().unwrap();
            let mut targets: Vec<String> = it.mounts.into_iter().map(|m| m.target).collect();
            targets.sort();
            targets
        };
        assert_eq!(targets().await, ["/s"]);
        let none = Default::default();
        let project = [(COMPOSE_PROJECT.to_owned(), "evil".to_owned())].into();
        engine
            .create_volume(KEY_VOLUME, &none, &project)
            .await
            .unwrap();
        assert_eq!(targets().await, ["/s"]);
        engine.remove_volume(KEY_VOLUME, true).await.unwrap();
        engine
            .create_volume(KEY_VOLUME, &none, &none)
            .await
            .unwrap();
        assert_eq!(targets().await, ["/k", "/s"]);
    }
}
