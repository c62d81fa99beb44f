//! Our own objects on the engine: the image, the anchors, the store container.
//!
//! An object is ours by its name, its image's layer, its command and its mounts, never by a label alone:
//! labels are anybody's to write. What fails the test never gets a value and is never removed.

pub mod anchor;
pub mod image;
pub mod store;

use locket_engine::{Container, CreateContainer, Engine, Mount, RestartPolicy};

use image::Binary;

/// Label with the role of a container of ours: `anchor`, `store`, `controller`.
pub const ROLE: &str = "locket.role";
/// Label with the compose project that an anchor belongs to. Not compose's own label: that would make it an orphan.
pub const PROJECT: &str = "locket.project";

/// Why our own objects cannot be brought about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine said no.
    #[error("the engine refused")]
    Engine(#[from] locket_engine::Error),
    /// The program cannot be an image.
    #[error("this program cannot run in a container: {0}")]
    Binary(String),
    /// The client's and the engine's architectures differ.
    #[error("the engine is {engine}, this program is {ours}: give the program for {engine} with --image FILE")]
    Architecture {
        /// The engine's `os/arch`.
        engine: String,
        /// Ours.
        ours: String,
    },
    /// Something with our name is there and is not ours.
    #[error("{what} exists and is not locket's ({why}); remove or rename it")]
    Foreign {
        /// What stands in the way.
        what: String,
        /// How it can be told.
        why: String,
    },
    /// It was made, but does not run.
    #[error("{what} does not run: {why}")]
    NotRunning {
        /// Which object.
        what: String,
        /// What the engine says.
        why: String,
    },
}

/// What all our helper containers have in common: no network, nothing to write to, no right that is not named.
fn locked_down(name: String, image: &str, role: &str, command: &str, mounts: Vec<Mount>, restart: RestartPolicy) -> CreateContainer {
    CreateContainer {
        name,
        image: image.to_owned(),
        cmd: vec![command.to_owned()],
        labels: [(ROLE.to_owned(), role.to_owned())].into(),
        mounts,
        network_mode: Some("none".to_owned()),
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        cap_add: ["CHOWN", "FOWNER", "DAC_OVERRIDE"].map(str::to_owned).to_vec(),
        security_opt: vec!["no-new-privileges".to_owned()],
        pids_limit: Some(64),
        // The default log driver writes what it is given to the engine's disk.
        log_driver: Some("none".to_owned()),
        restart_policy: restart,
        ..CreateContainer::default()
    }
}

/// Tells whether a container is the one that we would make, by layer, command and mounts; the reason if it is not.
async fn verify(engine: &Engine, binary: &Binary, known_layers: &[String], it: &Container, command: &str, mounts: &[Mount]) -> Result<Result<(), String>, Error> {
    let layers = engine.image(&it.image_id).await?.map(|i| i.layers).unwrap_or_default();
    let [layer] = layers.as_slice() else { return Ok(Err("its image is not ours".into())) };
    if layer != binary.layer() && !known_layers.contains(layer) {
        return Ok(Err("its image is another version, or not ours".into()));
    }
    if it.entrypoint != [image::PROGRAM] || it.cmd != [command] {
        return Ok(Err("it runs another command".into()));
    }
    let have: Vec<_> = sorted(it.mounts.iter().map(|m| (m.target.clone(), m.name.clone().unwrap_or_default())));
    let want: Vec<_> = sorted(mounts.iter().map(|m| (m.target.clone(), m.source.clone())));
    if have != want {
        return Ok(Err("its mounts are others".into()));
    }
    Ok(Ok(()))
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort();
    all
}
