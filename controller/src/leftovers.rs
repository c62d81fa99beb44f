//! What locket has left behind on the engine: of projects that are gone, and of versions that were replaced.
//!
//! Start with [`survey`]; it changes nothing. What [`remove`] takes is ours by name, layer, command and mounts, never by a label
//! alone, and belongs to no project that has a container. It never takes what is remembered: a project's volume, the store, its key.

mod removal;

use std::collections::BTreeSet;
use std::time::Duration;

use locket_crds::id::ProjectName;
use locket_engine::{Container, ContainerSummary, Status, Time, Volume};

use crate::own::anchor::{self, COMPOSE_PROJECT, Volumes};
use crate::own::image::PROGRAM;
use crate::own::{self, PROJECT, ROLE, store};
use crate::{Host, observe, owners};

pub use removal::{Error, remove};

/// A younger anchor or volume may be that of an `up` whose containers are still to come.
const YOUNG: Duration = Duration::from_secs(10);

/// Something of ours that nobody needs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub object: Object,
    /// Its name, or its id where it has none.
    pub name: String,
    /// Why nobody needs it, one clause.
    pub why: String,
}

/// What a leftover is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The anchors of a project without containers.
    Anchor(ProjectName),
    /// A container that ended, or was never started: its id.
    Container(String),
    /// A container of ours that idles, and that nobody comes back to: its id.
    Writer(String),
    /// A service's volume whose project volume is gone.
    Volume,
    /// An image of ours that no container uses.
    Image,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.object {
            Object::Anchor(_) | Object::Container(_) | Object::Writer(_) => "container",
            Object::Volume => "volume",
            Object::Image => "image",
        };
        write!(f, "{word} {}", self.name)
    }
}

/// Something that passes for ours, and cannot be proven to be: another version's, or somebody's. It is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// `container` or `image`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What gives it away.
    pub why: &'static str,
    /// The project that it claims to serve, where that has containers: then it is no leftover.
    pub serves: Option<ProjectName>,
}

/// The anchor of a project that has containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The project.
    pub project: ProjectName,
    /// The anchor's name.
    pub name: String,
    /// It runs.
    pub running: bool,
    /// Its program is this one.
    pub is_current: bool,
    /// When it was started, on the engine's clock.
    pub started_at: Option<Time>,
}

/// What there is of ours, and what of it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What can be removed, in the order in which that is possible.
    pub leftovers: Vec<Leftover>,
    /// What looks like ours.
    pub strangers: Vec<Stranger>,
    /// Projects without containers about which something is remembered.
    pub remembered: Vec<Volumes>,
    /// Anchors in use.
    pub serving: Vec<Serving>,
}

/// What the engine shows, once.
struct Seen {
    containers: Vec<ContainerSummary>,
    volumes: Vec<Volume>,
    /// Layers of programs that are known to be ours: this one's, and those of the store's containers.
    layers: Vec<String>,
    now: Option<Time>,
}

/// Looks at everything that carries our labels or names. Changes nothing.
///
/// # Errors
/// When the engine does not answer.
pub async fn survey(host: &Host) -> Result<Survey, own::Error> {
    let mut seen = Seen {
        containers: host.engine.containers(&[]).await?,
        volumes: host.engine.volumes(&[COMPOSE_PROJECT]).await?,
        layers: vec![host.binary.layer().to_owned()],
        now: host.engine.info().await?.system_time,
    };
    let mut out = Survey::default();
    let mut going: Vec<Container> = Vec::new();
    // First, because they tell which other programs are ours.
    let stores = stores(host, &mut seen, &mut out, &mut going).await?;
    anchors(host, &seen, &mut out, &mut going).await?;
    out.leftovers.extend(stores);
    accounts(host, &seen, &mut out, &mut going).await?;
    for it in own::shim::left(host, seen.now).await? {
        out.leftovers.push(Leftover {
            object: Object::Writer(it.id.clone()),
            name: it.name.clone(),
            why: "made to write the shim, whose maker was interrupted".into(),
        });
        going.push(it);
    }
    for (project, volume) in Volumes::orphans(&seen.volumes) {
        if !seen.lives(&project) && !is_young(volume.created_at, seen.now) {
            let why = format!("project {project} is gone, and the volume is empty without it");
            out.leftovers.push(Leftover {
                object: Object::Volume,
                name: volume.name.clone(),
                why,
            });
        }
    }
    images(host, &seen, &mut out, &going).await?;
    out.remembered = Volumes::all(&host.engine)
        .await?
        .into_iter()
        .filter(|it| !seen.lives(&it.project))
        .collect();
    Ok(out)
}

/// Whether a project has a container among these, in whatever state, or one that somebody has made for it without compose.
fn lives(containers: &[ContainerSummary], project: &ProjectName) -> bool {
    let says = |it: &ContainerSummary, label: &str| {
        it.labels.get(label).is_some_and(|p| p == project.as_str())
    };
    let is_anchor = |it: &ContainerSummary| role(it) == Some("anchor");
    containers.iter().any(|it| {
        says(it, COMPOSE_PROJECT)
            || (says(it, PROJECT) && !is_anchor(it))
            || observe::project_of(&it.labels).as_ref() == Some(project)
    })
}

impl Seen {
    fn lives(&self, project: &ProjectName) -> bool {
        lives(&self.containers, project)
    }

    fn with_role<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a ContainerSummary> {
        let mut all = self.containers.iter();
        std::iter::from_fn(move || all.by_ref().find(|it| role(it) == Some(wanted)))
    }
}

fn role(it: &ContainerSummary) -> Option<&str> {
    it.labels.get(ROLE).map(String::as_str)
}

/// Store containers of other versions. One of this version that ended is no leftover: it is started when somebody asks.
async fn stores(
    host: &Host,
    seen: &mut Seen,
    out: &mut Survey,
    going: &mut Vec<Container>,
) -> Result<Vec<Leftover>, own::Error> {
    let ids: Vec<String> = seen.with_role("store").map(|it| it.id.clone()).collect();
    let mut leftovers = Vec::new();
    for id in ids {
        let Some(it) = host.engine.inspect(&id).await? else {
            continue;
        };
        let Some(layer) = store::layer_of(host, &it).await? else {
            out.strangers.push(Stranger {
                kind: "container",
                name: it.name,
                why: "its name, image, command or mounts are not those of a store's container",
                serves: None,
            });
            continue;
        };
        let is_current = layer == host.binary.layer();
        if !seen.layers.contains(&layer) {
            seen.layers.push(layer);
        }
        if !is_current && has_ended(&it) {
            leftovers.push(Leftover {
                object: Object::Container(it.id.clone()),
                name: it.name.clone(),
                why: "the store's container of another version, which ended".into(),
            });
            going.push(it);
        }
    }
    Ok(leftovers)
}

fn has_ended(it: &Container) -> bool {
    matches!(
        it.state.status,
        Status::Created | Status::Exited | Status::Dead
    )
}

/// Anchors: in use, left over, or somebody's.
async fn anchors(
    host: &Host,
    seen: &Seen,
    out: &mut Survey,
    going: &mut Vec<Container>,
) -> Result<(), own::Error> {
    let projects = seen
        .with_role("anchor")
        .filter_map(|it| it.labels.get(PROJECT));
    let projects: BTreeSet<ProjectName> = projects.map(|it| it.as_str().into()).collect();
    for project in projects {
        let lives = seen.lives(&project);
        let found = anchor::find(host, &project, &seen.layers).await?;
        let current = match lives && !found.ours.is_empty() {
            true => anchor::find(host, &project, &[]).await?.ours,
            false => Vec::new(),
        };
        let mut idle: Vec<Container> = Vec::new();
        for ours in &found.ours {
            let Some(it) = host.engine.inspect(&ours.id).await? else {
                continue;
            };
            if lives {
                out.serving.push(Serving {
                    project: project.clone(),
                    running: ours.running,
                    is_current: current.iter().any(|c| c.id == ours.id),
                    started_at: it.state.started_at,
                    name: it.name,
                });
            } else {
                idle.push(it);
            }
        }
        if !idle.is_empty()
            && !idle
                .iter()
                .any(|it| is_young(it.state.started_at.or(it.created_at), seen.now))
        {
            let names: Vec<&str> = idle.iter().map(|it| it.name.as_str()).collect();
            out.leftovers.push(Leftover {
                object: Object::Anchor(project.clone()),
                name: names.join(", "),
                why: format!("the anchor of project {project}, which has no containers"),
            });
            going.extend(idle);
        }
        out.strangers
            .extend(found.foreign.into_iter().map(|it| Stranger {
                kind: "container",
                name: it.name,
                why: it.why,
                serves: lives.then(|| project.clone()),
            }));
    }
    Ok(())
}

/// What is of an unknown age counts as young: a clock that was set back says nothing about it.
fn is_young(begun: Option<Time>, now: Option<Time>) -> bool {
    let age = now.and_then(|now| now.checked_sub(begun?));
    age.is_none_or(|nanos| u128::from(nanos) < YOUNG.as_nanos())
}

/// Containers through which an image was to be read, when somebody was interrupted.
async fn accounts(
    host: &Host,
    seen: &Seen,
    out: &mut Survey,
    going: &mut Vec<Container>,
) -> Result<(), own::Error> {
    for summary in seen.with_role(owners::ROLE) {
        let Some(it) = host.engine.inspect(&summary.id).await? else {
            continue;
        };
        if owners::is_left_behind(&it) {
            out.leftovers.push(Leftover {
                object: Object::Container(it.id.clone()),
                name: it.name.clone(),
                why: "made to read an image's users, and never removed".into(),
            });
            going.push(it);
        }
    }
    Ok(())
}

/// Images of other versions that only what goes uses. One that was never proven to be ours is left alone.
async fn images(
    host: &Host,
    seen: &Seen,
    out: &mut Survey,
    going: &[Container],
) -> Result<(), own::Error> {
    let stays = |it: &&ContainerSummary| going.iter().all(|gone| gone.id != it.id);
    let used: BTreeSet<&str> = seen
        .containers
        .iter()
        .filter(stays)
        .map(|it| it.image_id.as_str())
        .collect();
    let name = host.tag().split(':').next().unwrap_or_default();
    let named = host.engine.images(name).await?;
    // An image that a later import has taken the name of is known by its containers only.
    let mut ids: BTreeSet<String> = going.iter().map(|it| it.image_id.clone()).collect();
    ids.extend(named.into_iter().map(|(id, _)| id));
    for id in ids.iter().filter(|id| !used.contains(id.as_str())) {
        let Some(image) = host.engine.image(id).await? else {
            continue;
        };
        let is_ours = matches!(image.layers.as_slice(), [layer] if seen.layers.contains(layer));
        let is_alike = image.layers.len() == 1 && image.entrypoint == [PROGRAM];
        let tags = image.tags.iter().filter(|tag| *tag != host.tag());
        let tags: Vec<&String> = tags.collect();
        let names: Vec<String> = match image.tags.is_empty() {
            true => vec![id.clone()],
            false => tags.into_iter().cloned().collect(),
        };
        for name in names {
            if is_ours {
                out.leftovers.push(Leftover {
                    object: Object::Image,
                    name,
                    why: "another version's image, which no container needs".into(),
                });
            } else if is_alike {
                out.strangers.push(Stranger {
                    kind: "image",
                    name,
                    why: "no container of ours tells whether it is another version's",
                    serves: None,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
