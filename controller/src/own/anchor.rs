//! The anchor: one idle container a project, which keeps the services' tmpfs volumes alive and takes the bytes in.
//!
//! It is replaced make-before-break: `n+1` mounts everything before `n` goes, so no volume is ever without a user.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::labels;
use locket_engine::{Container, Engine, NewMount, RestartPolicy, Status, Volume};

use super::{Error, PROJECT, ROLE, foreign, locked_down, mount};
use crate::Host;

/// Compose's label on everything of a project.
pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Compose's label with a volume's key in the model.
const COMPOSE_VOLUME: &str = "com.docker.compose.volume";
/// Options of a service's tmpfs volume. Frozen: with others compose would want to make every such volume anew.
pub const TMPFS: &str = "size=64m,mode=0755,nosuid,nodev,noexec";
/// Key of the project volume in the generated file; services' volumes are `locket-<service>`.
const KEY: &str = "locket";
/// [`ROLE`] of a project volume that we have made ourselves.
const PROJECT_VOLUME: &str = "project";
/// The command that the anchor idles in.
const COMMAND: &str = "anchor";
/// The built-in store's volume; every anchor holds its empty subpath, so that a prune never finds it unused.
const KEEP: &str = "keep";
/// Where it is mounted.
const KEEP_AT: &str = "/keep";

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
        if let Some(name) = labels::name_of(project) {
            return Self::of_container(engine, project, name).await;
        }
        let all = engine
            .volumes(&[&format!("{COMPOSE_PROJECT}={project}")])
            .await?;
        Ok(Self::among(project, &all))
    }

    /// Every project on the engine that has a project volume.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn all(engine: &Engine) -> Result<Vec<Self>, Error> {
        let all = engine.volumes(&[COMPOSE_PROJECT]).await?;
        let made = engine
            .volumes(&[&format!("{ROLE}={PROJECT_VOLUME}")])
            .await?;
        let mut by_project: BTreeMap<ProjectName, Vec<Volume>> = BTreeMap::new();
        for volume in all {
            if let Some(project) = volume.labels.get(COMPOSE_PROJECT) {
                by_project
                    .entry(project.as_str().into())
                    .or_default()
                    .push(volume);
            }
        }
        let mut found: Vec<Self> = by_project
            .iter()
            .filter_map(|(project, volumes)| Self::among(project, volumes))
            .collect();
        for volume in made {
            let project = volume.labels.get(PROJECT).map(|p| p.as_str().into());
            if let Some(project) = project.filter(|p| labels::name_of(p).is_some()) {
                found.extend(Self::find(engine, &project).await?);
            }
        }
        Ok(found)
    }

    /// Those of a container that compose did not make. `docker run` makes the tmpfs volume, so they are told by their names.
    async fn of_container(
        engine: &Engine,
        project: &ProjectName,
        name: &str,
    ) -> Result<Option<Self>, Error> {
        let project_volume = volume_name(project, KEY);
        if !is_made(engine, project).await? {
            return Ok(None);
        }
        let own = volume_of(project, &name.into());
        let found = engine.volume(&own).await?.filter(is_tmpfs);
        Ok(Some(Self {
            project: project.clone(),
            project_volume,
            services: found.map(|_| (name.into(), own)).into_iter().collect(),
        }))
    }

    /// Makes the project volume, where nobody else has: compose makes only volumes that a service mounts, and `docker run` none
    /// but its own.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn make(engine: &Engine, project: &ProjectName) -> Result<(), Error> {
        let mut labels = BTreeMap::from([
            (ROLE.to_owned(), PROJECT_VOLUME.to_owned()),
            (PROJECT.to_owned(), project.to_string()),
        ]);
        if labels::name_of(project).is_none() {
            labels.insert(COMPOSE_PROJECT.to_owned(), project.to_string());
            labels.insert(COMPOSE_VOLUME.to_owned(), KEY.to_owned());
        }
        let (name, none) = (volume_name(project, KEY), BTreeMap::new());
        let made = engine.create_volume(&name, &none, &labels).await;
        Ok(made.map(drop)?)
    }

    /// Removes the volumes of a project whose project volume we have made: compose's `down -v` has found the others in use. They
    /// are empty without an anchor. What somebody uses stays.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn remove(engine: &Engine, project: &ProjectName) -> Result<(), Error> {
        if !is_made(engine, project).await? {
            return Ok(());
        }
        let found = Self::find(engine, project).await?;
        let services = found.into_iter().flat_map(|it| it.services.into_values());
        // The project volume last: without it nobody would come for the others.
        for volume in services.chain([volume_name(project, KEY)]) {
            match engine.remove_volume(&volume, false).await {
                Err(e) if !e.is_conflict() => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn among(project: &ProjectName, all: &[Volume]) -> Option<Self> {
        let mut project_volume = None;
        let mut services = BTreeMap::new();
        for volume in all {
            let Some(key) = volume.labels.get(COMPOSE_VOLUME) else {
                continue;
            };
            let tmpfs = is_tmpfs(volume);
            if key == KEY && !tmpfs {
                project_volume = Some(volume.name.clone());
            } else if let Some(service) = key.strip_prefix("locket-").filter(|_| tmpfs) {
                services.insert(service.into(), volume.name.clone());
            }
        }
        Some(Self {
            project: project.clone(),
            project_volume: project_volume?,
            services,
        })
    }

    /// Services' volumes whose project volume is gone: nothing is remembered about them, and without a user they hold nothing.
    pub(crate) fn orphans(all: &[Volume]) -> Vec<(ProjectName, &Volume)> {
        let of = |volume: &Volume| volume.labels.get(COMPOSE_PROJECT).cloned();
        let has_project = |project: &str| {
            let all = all.iter().filter(|it| of(it).as_deref() == Some(project));
            let all: Vec<Volume> = all.cloned().collect();
            Self::among(&project.into(), &all).is_some()
        };
        let mut out = Vec::new();
        for volume in all.iter().filter(|it| it.options == tmpfs_options()) {
            let key = volume.labels.get(COMPOSE_VOLUME);
            let is_service = key.is_some_and(|key| key.starts_with("locket-"));
            if let Some(project) = of(volume).filter(|it| is_service && !has_project(it)) {
                out.push((project.into(), volume));
            }
        }
        out
    }

    /// Proves that a container which was made for them mounts them. For a volume that somebody has removed since they were looked
    /// for (`down -v`), the engine has made another one of that name: without labels, on a disk, and in the way of compose's next
    /// `up`. It goes again, with the container.
    async fn are_still_there(&self, engine: &Engine, container: &str) -> Result<(), Error> {
        let now = Self::find(engine, &self.project).await?;
        let there: BTreeSet<String> =
            now.map_or_else(BTreeSet::new, |it| it.targets().into_values().collect());
        let gone: Vec<String> = self
            .targets()
            .into_values()
            .filter(|it| !there.contains(it))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        engine.remove(container, true).await?;
        for name in gone {
            let made = engine.volume(&name).await?;
            if made.is_some_and(|it| it.labels.is_empty() && it.options.is_empty()) {
                engine.remove_volume(&name, false).await?;
            }
        }
        Err(Error::Gone)
    }

    /// Target and volume of everything that an anchor mounts for the project.
    fn targets(&self) -> BTreeMap<String, String> {
        let services = self
            .services
            .iter()
            .map(|(service, name)| (format!("/v/{service}"), name.clone()));
        services
            .chain([("/p".to_owned(), self.project_volume.clone())])
            .collect()
    }
}

/// The options of a service's volume, as `generate` writes them.
pub(crate) fn tmpfs_options() -> BTreeMap<String, String> {
    [("type", "tmpfs"), ("device", "tmpfs"), ("o", TMPFS)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn is_tmpfs(it: &Volume) -> bool {
    it.driver == "local" && it.options.get("type").is_some_and(|t| t == "tmpfs")
}

/// As compose names a volume of a project.
fn volume_name(project: &ProjectName, key: &str) -> String {
    format!("{project}_{key}")
}

/// The tmpfs volume of a service of a project that is none of compose's.
pub fn volume_of(project: &ProjectName, service: &ServiceName) -> String {
    volume_name(project, &format!("{KEY}-{service}"))
}

/// Whether we have made the project volume ourselves: it has the name that we give it, and our labels.
///
/// # Errors
/// When the engine does not answer.
pub async fn is_made(engine: &Engine, project: &ProjectName) -> Result<bool, Error> {
    let volume = engine.volume(&volume_name(project, KEY)).await?;
    Ok(volume.is_some_and(|it| {
        let is = |label: &str, value: &str| it.labels.get(label).is_some_and(|v| v == value);
        is(ROLE, PROJECT_VOLUME) && is(PROJECT, project.as_str())
    }))
}

/// An anchor of ours.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// The container.
    pub id: String,
    /// Its number; it rises with every replacement.
    pub number: u64,
    /// It runs.
    pub running: bool,
    /// The layer of its image: which program it is.
    pub(crate) layer: String,
    /// Target and volume of what it mounts.
    mounts: BTreeMap<String, String>,
}

/// A container that passes for an anchor and is none that this program knows: another version's, or somebody's.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The container.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What gives it away.
    pub why: &'static str,
    /// It runs.
    pub running: bool,
}

/// What claims to be an anchor of a project.
#[derive(Debug, Clone, Default)]
pub struct Claimants {
    /// Ours, the highest number first.
    pub ours: Vec<Anchor>,
    /// The others; they never get a value and are never removed.
    pub foreign: Vec<Foreign>,
    /// The highest number in use.
    highest: u64,
}

impl Anchor {
    /// True when it mounts exactly what the project has. The store's volume may come later: that replaces no anchor.
    pub fn fits(&self, volumes: &Volumes) -> bool {
        let own = self.mounts.iter().filter(|(target, _)| *target != KEEP_AT);
        own.eq(&volumes.targets())
    }
}

/// Digits of the number of an anchor, at most: so the next number is one, too.
const DIGITS: usize = 12;
/// Names that are tried where somebody else has the first ones.
const TRIES: u64 = 100;

/// Name of the `number`th anchor of a project.
fn name(project: &ProjectName, number: u64) -> String {
    format!("locket-anchor-{project}-{number}")
}

/// Looks for everything that claims to be an anchor of the project. `layers` are those that are known to be ours.
///
/// # Errors
/// When the engine does not answer.
pub async fn find(
    host: &Host,
    project: &ProjectName,
    layers: &[String],
) -> Result<Claimants, Error> {
    let prefix = name(project, 0);
    let prefix = prefix.trim_end_matches('0');
    let place = |target: &str| target == "/p" || target == KEEP_AT || target.starts_with("/v/");
    let mut found = Claimants::default();
    for summary in host
        .engine
        .containers(&[&format!("{PROJECT}={project}"), &format!("{ROLE}=anchor")])
        .await?
    {
        let number = summary.name.strip_prefix(prefix);
        let Some(number) = number
            .filter(|digits| digits.len() <= DIGITS)
            .and_then(|digits| digits.parse().ok())
        else {
            continue;
        };
        let Some(it) = host.engine.inspect(&summary.id).await? else {
            continue;
        };
        found.highest = found.highest.max(number);
        match foreign(&host.engine, &host.binary, layers, &it, COMMAND, place).await? {
            Ok(layer) => found.ours.push(Anchor {
                number,
                layer,
                running: it.state.status == Status::Running,
                mounts: mounts(&it),
                id: it.id,
            }),
            Err(why) => found.foreign.push(Foreign {
                running: it.state.status == Status::Running,
                id: it.id,
                name: it.name,
                why,
            }),
        }
    }
    found.ours.sort_by_key(|it| std::cmp::Reverse(it.number));
    Ok(found)
}

fn mounts(it: &Container) -> BTreeMap<String, String> {
    it.mounts
        .iter()
        .map(|m| (m.target.clone(), m.source.clone()))
        .collect()
}

impl Claimants {
    /// A running anchor that fits: one of ours, started where needed, else a new one beside those that are there.
    ///
    /// # Guarantees
    /// Nothing is removed: no volume is without a user at any moment, if it had one before.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn ensure(&self, host: &Host, volumes: &Volumes) -> Result<Anchor, Error> {
        if let Some(it) = self.ours.iter().find(|it| it.fits(volumes)) {
            host.engine.start(&it.id).await?;
            return Ok(Anchor {
                running: true,
                ..it.clone()
            });
        }
        let store = host
            .engine
            .volume(super::store::VOLUME)
            .await?
            .filter(|v| v.labels.contains_key(ROLE));
        match self.make(host, volumes, store.is_some()).await {
            // The store's volume is new and its folders are not made yet: the next anchor will keep it.
            Err(Error::Engine(e)) if store.is_some() && e.is_not_found() => {
                self.make(host, volumes, false).await
            }
            other => other,
        }
    }

    async fn make(&self, host: &Host, volumes: &Volumes, keep: bool) -> Result<Anchor, Error> {
        let image = host.ensure_image().await?;
        let mut all: Vec<NewMount> = volumes
            .targets()
            .iter()
            .map(|(target, volume)| mount(volume, target))
            .collect();
        if keep {
            all.push(NewMount::Volume {
                source: super::store::VOLUME.to_owned(),
                target: KEEP_AT.to_owned(),
                subpath: Some(KEEP.to_owned()),
                read_only: true,
                nocopy: true,
            });
        }
        let mut number = self.highest + 1;
        let mut spec = locked_down(
            name(&volumes.project, number),
            &image,
            "anchor",
            COMMAND,
            all,
            RestartPolicy::Always,
        );
        spec.labels
            .insert(PROJECT.to_owned(), volumes.project.to_string());
        let id = loop {
            match host.engine.create(&spec).await {
                Ok(id) => {
                    volumes.are_still_there(&host.engine, &id).await?;
                    break id;
                }
                // Another gate or the controller was faster; the next look at it decides whose it is.
                Err(e) if e.is_conflict() => {
                    let found = find(host, &volumes.project, &[]).await?;
                    if let Some(it) = found.ours.into_iter().find(|it| it.fits(volumes)) {
                        break it.id;
                    }
                    // Something that does not even pass for an anchor has the name.
                    number += 1;
                    if number > self.highest + TRIES {
                        return Err(e.into());
                    }
                    spec.name = name(&volumes.project, number);
                }
                Err(e) => return Err(e.into()),
            }
        };
        if let Err(e) = host.engine.start(&id).await {
            // One that cannot start must not be in the way of the next.
            host.engine.remove(&id, true).await?;
            return Err(e.into());
        }
        Ok(Anchor {
            id,
            number,
            running: true,
            layer: host.binary.layer().to_owned(),
            mounts: volumes.targets(),
        })
    }

    /// Removes our anchors, except one. Call it when every volume has been seen through that one.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn retire(&self, host: &Host, except: Option<&Anchor>) -> Result<(), Error> {
        for it in self
            .ours
            .iter()
            .filter(|it| except.is_none_or(|e| e.id != it.id))
        {
            host.engine.remove(&it.id, true).await?;
        }
        Ok(())
    }
}
