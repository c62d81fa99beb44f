//! Our own objects on the engine: the image, the anchors, the store container.
//!
//! An object is ours by its name, its image's layer, its command and its mounts, never by a label alone:
//! labels are anybody's to write. What fails the test never gets a value and is never removed.

pub mod anchor;
pub mod controller;
pub mod image;
pub mod shim;
pub mod store;

use locket_engine::{Container, CreateContainer, Engine, NewMount, RestartPolicy};

use image::Binary;

/// Label with the role of a container of ours (`anchor`, `store`, `controller`, `shim`), or of a volume that we made.
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
    #[error(
        "the engine is {engine}, this program is {ours}: give the program for {engine} with --image FILE"
    )]
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
    /// Somebody has removed a volume of the project while it was to be mounted.
    #[error("volumes of the project were removed just now")]
    Gone,
    /// It was made, but does not run.
    #[error("{what} does not run: {why}")]
    NotRunning {
        /// Which object.
        what: String,
        /// What the engine says.
        why: String,
    },
}

/// A volume, or a part of it, for a container of ours.
fn mount(volume: &str, target: &str) -> NewMount {
    NewMount::Volume {
        source: volume.to_owned(),
        target: target.to_owned(),
        subpath: None,
        read_only: false,
        nocopy: true,
    }
}

/// What all our helper containers have in common: no network, nothing to write to, no right that is not named.
fn locked_down(
    name: String,
    image: &str,
    role: &str,
    command: &str,
    mounts: Vec<NewMount>,
    restart_policy: RestartPolicy,
) -> CreateContainer {
    CreateContainer {
        name,
        image: image.to_owned(),
        cmd: Some(vec![command.to_owned()]),
        labels: [(ROLE.to_owned(), role.to_owned())].into(),
        mounts,
        network_mode: Some("none".to_owned()),
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        cap_add: ["CHOWN", "FOWNER", "DAC_OVERRIDE"]
            .map(str::to_owned)
            .to_vec(),
        no_new_privileges: true,
        pids_limit: Some(64),
        // The default log driver writes what it is given to the engine's disk.
        no_log: true,
        restart_policy,
        ..CreateContainer::default()
    }
}

/// Whether a container is ours, by layer, command and place of its mounts: the layer of its image, or why not.
///
/// `layers` are digests that were recorded when an image of ours was imported; this program's own counts in any case.
async fn foreign(
    engine: &Engine,
    binary: &Binary,
    layers: &[String],
    it: &Container,
    command: &str,
    place: impl Fn(&str) -> bool,
) -> Result<std::result::Result<String, &'static str>, Error> {
    let found = engine
        .image(&it.image_id)
        .await?
        .map(|i| i.layers)
        .unwrap_or_default();
    let known = |layer: &String| layer == binary.layer() || layers.contains(layer);
    let layer = match found.as_slice() {
        [layer] if known(layer) => layer.clone(),
        [_] => return Ok(Err("its image is another version, or not locket's")),
        _ => return Ok(Err("its image is not locket's")),
    };
    if it.entrypoint != [image::PROGRAM] || it.cmd != [command] {
        return Ok(Err("it runs another command"));
    }
    let in_place = |m: &locket_engine::Mount| m.kind == "volume" && place(&m.target);
    if !it.mounts.iter().all(in_place) {
        return Ok(Err("it mounts something else"));
    }
    Ok(Ok(layer))
}
