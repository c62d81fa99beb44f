//! The anchor: one idle container a project, which keeps the services' tmpfs volumes alive and takes the bytes in.
//!
//! It is replaced make-before-break: `n+1` mounts everything before `n` goes, so no volume is ever without a user.

use std::collections::BTreeMap;

use locket_crds::id::{ProjectName, ServiceName};
use locket_engine::{Container, Engine, Mount, RestartPolicy, Volume};

use super::image::Binary;
use super::{Error, PROJECT, ROLE, locked_down, verify};

/// Compose's label on everything of a project.
pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Compose's label with a volume's key in the model.
const COMPOSE_VOLUME: &str = "com.docker.compose.volume";
/// Key of the project volume in the generated file; services' volumes are `locket-<service>`.
const KEY: &str = "locket";
/// The command that the anchor idles in.
const COMMAND: &str = "anchor";
/// The built-in store's volume; every anchor holds its empty subpath, so that a prune never finds it unused.
const KEEP: &str = "keep";

/// The volumes of a project that are ours, as they are on the engine now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volumes {
    /// The project.
    pub project: ProjectName,
    /// Engine name of the project volume.
    pub project_volume: String,
    /// Engine names of the services' tmpfs volumes.
    pub services: BTreeMap<ServiceName, String>,
}

impl Volumes {
    /// Looks for them; `None` when the project has no project volume.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn find(engine: &Engine, project: &ProjectName) -> Result<Option<Self>, Error> {
        let all = engine.volumes(&[&format!("{COMPOSE_PROJECT}={project}")]).await?;
        Ok(Self::among(project, &all))
    }

    /// Every project on the engine that has a project volume.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn all(engine: &Engine) -> Result<Vec<Self>, Error> {
        let all = engine.volumes(&[COMPOSE_PROJECT]).await?;
        let mut by_project: BTreeMap<ProjectName, Vec<Volume>> = BTreeMap::new();
        for volume in all {
            if let Some(project) = volume.labels.get(COMPOSE_PROJECT) {
                by_project.entry(project.as_str().into()).or_default().push(volume);
            }
        }
        Ok(by_project.iter().filter_map(|(project, volumes)| Self::among(project, volumes)).collect())
    }

    fn among(project: &ProjectName, all: &[Volume]) -> Option<Self> {
        let mut project_volume = None;
        let mut services = BTreeMap::new();
        for volume in all {
            let Some(key) = volume.labels.get(COMPOSE_VOLUME) else { continue };
            let tmpfs = volume.driver == "local" && volume.options.get("type").is_some_and(|t| t == "tmpfs");
            if key == KEY && !tmpfs {
                project_volume = Some(volume.name.clone());
            } else if let Some(service) = key.strip_prefix("locket-").filter(|_| tmpfs) {
                services.insert(service.into(), volume.name.clone());
            }
        }
        Some(Self { project: project.clone(), project_volume: project_volume?, services })
    }

    fn mounts(&self, store: Option<&str>) -> Vec<Mount> {
        let mut mounts = vec![Mount::volume(&self.project_volume, "/p")];
        mounts.extend(self.services.iter().map(|(service, name)| Mount::volume(name, &format!("/v/{service}"))));
        mounts.extend(store.map(|name| Mount::volume(name, "/keep").subpath(KEEP).read_only()));
        mounts
    }
}

/// A running anchor that passed the test, and those that it replaces.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// The container.
    pub id: String,
    /// Its number; it rises with every replacement.
    pub number: u64,
    /// What it mounts.
    pub volumes: Volumes,
    /// Anchors of ours that may go once this one's session has shown every volume.
    superseded: Vec<String>,
    /// Containers with our label or name that are not ours; for a condition.
    pub foreign: Vec<String>,
}

/// Name of the `number`th anchor of a project.
fn name(project: &ProjectName, number: u64) -> String {
    format!("locket-anchor-{project}-{number}")
}

/// Every container that claims to be an anchor of the project, highest number first.
async fn claimants(engine: &Engine, project: &ProjectName) -> Result<Vec<(u64, Container)>, Error> {
    let prefix = format!("locket-anchor-{project}-");
    let mut found = Vec::new();
    for summary in engine.containers(&[&format!("{PROJECT}={project}"), &format!("{ROLE}=anchor")]).await? {
        let Some(number) = summary.name.strip_prefix(&prefix).and_then(|n| n.parse().ok()) else { continue };
        found.extend(engine.inspect(&summary.id).await?.map(|it| (number, it)));
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(found)
}

/// Makes sure that an anchor of ours runs and mounts exactly the project's volumes.
///
/// # Guarantees
/// No volume is without a user at any moment, if it had one before.
///
/// # Errors
/// When the engine refuses, or a name of ours is taken.
pub async fn ensure(engine: &Engine, binary: &Binary, image: &str, volumes: Volumes, known_layers: &[String]) -> Result<Anchor, Error> {
    let store = engine.volume(super::store::VOLUME).await?.filter(|v| v.labels.contains_key(ROLE)).map(|v| v.name);
    let mounts = volumes.mounts(store.as_deref());
    let mut number = 0;
    let (mut superseded, mut foreign, mut current) = (Vec::new(), Vec::new(), None);
    for (n, it) in claimants(engine, &volumes.project).await? {
        number = number.max(n);
        // The mounts of an anchor that is to be replaced are those of another time.
        let ours = verify(engine, binary, known_layers, &it, COMMAND, &own_mounts(&it)).await?;
        let as_wanted = ours.is_ok() && verify(engine, binary, known_layers, &it, COMMAND, &mounts).await?.is_ok();
        match ours {
            Ok(()) if as_wanted && current.is_none() => current = Some((n, it)),
            Ok(()) => superseded.push(it.id),
            Err(_) => foreign.push(it.name),
        }
    }
    let (number, id) = match current {
        Some((n, it)) if it.state.running => (n, it.id),
        Some((n, it)) => {
            engine.start(&it.id).await?;
            (n, it.id)
        }
        None => (number + 1, make(engine, image, &volumes, number + 1, mounts).await?),
    };
    Ok(Anchor { id, number, volumes, superseded, foreign })
}

/// Ours mount the project's volumes at `/p` and below `/v`, and nothing else.
fn own_mounts(it: &Container) -> Vec<Mount> {
    let allowed = |target: &str| target == "/p" || target == "/keep" || target.starts_with("/v/");
    it.mounts.iter().filter(|m| allowed(&m.target)).filter_map(|m| Some(Mount::volume(m.name.as_deref()?, &m.target))).collect()
}

async fn make(engine: &Engine, image: &str, volumes: &Volumes, number: u64, mounts: Vec<Mount>) -> Result<String, Error> {
    let name = name(&volumes.project, number);
    let mut spec = locked_down(name.clone(), image, "anchor", COMMAND, mounts, RestartPolicy::Always);
    spec.labels.insert(PROJECT.to_owned(), volumes.project.to_string());
    let id = match engine.create(&spec).await {
        Ok(id) => id,
        // Another gate or the controller was faster; the next look at it decides whose it is.
        Err(e) if e.is_conflict() => match engine.inspect(&name).await? {
            Some(it) => it.id,
            None => return Err(e.into()),
        },
        Err(e) => return Err(e.into()),
    };
    engine.start(&id).await?;
    Ok(id)
}

impl Anchor {
    /// Removes the anchors that this one has replaced. Call it when every volume has been seen through this one.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn retire_superseded(&mut self, engine: &Engine) -> Result<(), Error> {
        for id in self.superseded.drain(..) {
            engine.remove(&id, true).await?;
        }
        Ok(())
    }
}

/// Removes every anchor of the project that is ours, so that its volumes can be removed. What it held is gone.
///
/// # Errors
/// When the engine refuses.
pub async fn release(engine: &Engine, binary: &Binary, project: &ProjectName, known_layers: &[String]) -> Result<(), Error> {
    for (_, it) in claimants(engine, project).await? {
        if verify(engine, binary, known_layers, &it, COMMAND, &own_mounts(&it)).await?.is_ok() {
            engine.remove(&it.id, true).await?;
        }
    }
    Ok(())
}
