//! What is there: containers, volumes and logs, as the planner wants to see them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use locket_core::{
    ContainerId, ContainerState, Desired, Health, ObservedContainer, ObservedService, Published,
    Time,
};
use locket_crds::id::{Fingerprint, ProjectName, ServiceName};
use locket_crds::item::{Item, Target};
use locket_crds::labels;
use locket_crds::spec::Owner;
use locket_delivery::clock::Stamp;
use locket_delivery::layout::SHIM_PATH;
use locket_delivery::log::Entry;
use locket_delivery::protocol::{RefusalKind, Request, Response, Verdict};
use locket_engine::{Container, ContainerSummary, Engine, InspectCache, RestartPolicy, Status};

use tokio::time::Instant;

use crate::kept::keep;
use crate::link::{self, Link};
use crate::mutex::lock;
use crate::own::anchor::{COMPOSE_PROJECT, Volumes};
use crate::own::shim;
use crate::session;

/// Compose's label with the service of a container.
const SERVICE: &str = "com.docker.compose.service";
/// Compose's label with the hash of a service's configuration; on containers only.
pub(crate) const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// Compose's label with the number of a replica.
const NUMBER: &str = "com.docker.compose.container-number";
/// Compose's label on containers of `docker compose run`.
pub(crate) const ONEOFF: &str = "com.docker.compose.oneoff";

/// What images say of themselves, as far as it could pass for a word about their containers. Kept: an image never changes.
#[derive(Default)]
pub struct ImageLabels(Mutex<HashMap<String, Arc<BTreeMap<String, String>>>>);

impl ImageLabels {
    /// Nothing for an image that is gone: what its containers have from it cannot be told any more.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn of(
        &self,
        engine: &Engine,
        image: &str,
    ) -> Result<Option<Arc<BTreeMap<String, String>>>, locket_engine::Error> {
        let known = || lock(&self.0);
        if let Some(known) = known().get(image) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(found) = engine.image(image).await? else {
            return Ok(None);
        };
        let counts = |label: &str| label == CONFIG_HASH || label.starts_with(labels::PREFIX);
        let found = found.labels.into_iter().filter(|(label, _)| counts(label));
        let found = Arc::new(found.collect::<BTreeMap<_, _>>());
        keep(&mut known(), image.to_owned(), Arc::clone(&found));
        Ok(Some(found))
    }
}

/// The project that a container belongs to, by its labels alone: compose's, or one of its own.
pub fn project_of(labels: &BTreeMap<String, String>) -> Option<ProjectName> {
    match labels.contains_key(CONFIG_HASH) {
        true => labels.get(COMPOSE_PROJECT).map(|it| it.as_str().into()),
        false => labels
            .get(labels::NAME)
            .and_then(|it| labels::project_of(it)),
    }
}

/// The project's containers, each with its inspect. Those that compose has made, or `docker run` with our label, and no others:
/// images that compose has built carry its labels for project and service too, and whoever makes an image can put any label on it.
///
/// # Errors
/// When the engine does not answer.
pub async fn containers(
    engine: &Engine,
    known: (&InspectCache, &ImageLabels),
    project: &ProjectName,
) -> Result<Vec<Arc<Container>>, locket_engine::Error> {
    let (cache, images) = known;
    let of = |label: &str, value: &str| format!("{label}={value}");
    let (filters, decides) = match labels::name_of(project) {
        Some(name) => (vec![of(labels::NAME, name)], labels::NAME),
        None => (
            vec![
                of(COMPOSE_PROJECT, project.as_str()),
                CONFIG_HASH.to_owned(),
            ],
            CONFIG_HASH,
        ),
    };
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let listed = engine.containers(&filters).await?;
    let look = async |it: &ContainerSummary| {
        let Some(it) = cache.inspect(engine, it).await? else {
            return Ok(None);
        };
        let of_image = images.of(engine, &it.image_id).await?;
        // A container of compose stays what it was; whom a label alone makes one of a project is nobody's.
        let counts = match of_image {
            Some(of_image) => !of_image.contains_key(decides),
            None => decides == CONFIG_HASH,
        };
        Ok::<_, locket_engine::Error>(counts.then_some(it))
    };
    let is_of = |it: &&ContainerSummary| {
        project_of(&it.labels).as_ref() == Some(project) && service_in(&it.labels).is_some()
    };
    let looks = listed.iter().filter(is_of).map(look);
    let mut found = Vec::new();
    for look in join_all(looks).await {
        found.extend(look?);
    }
    Ok(found)
}

fn service_in(labels: &BTreeMap<String, String>) -> Option<ServiceName> {
    let label = match labels.contains_key(CONFIG_HASH) {
        true => SERVICE,
        false => labels::NAME,
    };
    labels.get(label).map(|it| it.as_str().into())
}

/// The service that a container belongs to.
pub fn service_of(it: &Container) -> ServiceName {
    service_in(&it.labels).unwrap_or_default()
}

/// A container in the planner's words. What we are doing to it, and what it told of itself, is added by the caller.
pub fn container(it: &Container, volumes: Option<&Volumes>) -> ObservedContainer {
    let service = service_of(it);
    let own = volumes.and_then(|v| v.services.get(&service));
    let is_shims = |volume: &String| {
        volume == shim::VOLUME || volumes.is_some_and(|v| v.project_volume == *volume)
    };
    ObservedContainer {
        id: ContainerId(it.id.clone()),
        name: it.name.clone(),
        number: it
            .labels
            .get(NUMBER)
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
        // Whoever stops one of `--rm` removes it.
        oneoff: is_oneoff(it) || it.auto_remove,
        has_volume: own.is_some_and(|name| mounts(it, name)),
        has_shim: it.init == Some(true)
            && it
                .mounts
                .iter()
                .any(|m| m.target == SHIM_PATH && is_shims(&m.source)),
        state: match it.state.status {
            Status::Created => ContainerState::Created,
            Status::Running => ContainerState::Running,
            Status::Paused => ContainerState::Paused,
            Status::Restarting => ContainerState::Restarting,
            Status::Removing => ContainerState::Removing,
            Status::Exited => ContainerState::Exited,
            Status::Dead => ContainerState::Dead,
        },
        started_at: it.state.started_at.map(Time),
        finished_at: it.state.finished_at.map(Time),
        health: match it.state.health {
            locket_engine::Health::None => Health::None,
            locket_engine::Health::Starting => Health::Starting,
            locket_engine::Health::Healthy => Health::Healthy,
            locket_engine::Health::Unhealthy => Health::Unhealthy,
        },
        restart_count: it.state.restart_count,
        exit_code: it.state.exit_code,
        probed: None,
        operation: None,
        probing: false,
        touched: None,
        checked_within: it.healthcheck.as_ref().map(|check| {
            // https://docs.docker.com/reference/dockerfile/#healthcheck
            let interval = match check.interval {
                Duration::ZERO => Duration::from_secs(30),
                own => own,
            };
            check.start_period + interval
        }),
        kept_up: matches!(
            it.restart_policy,
            RestartPolicy::Always | RestartPolicy::UnlessStopped
        ),
        stop_grace: it.stop_grace,
        service,
    }
}

/// The logs of all volumes of a project, and the time on the engine's machine.
pub struct Logs {
    /// By service whose volume is there.
    pub entries: BTreeMap<ServiceName, Vec<Entry>>,
    /// Volumes that cannot be read, and why: whoever can write one can spoil it, and must not hold up the others.
    pub unread: BTreeMap<ServiceName, String>,
    clock: Stamp,
    asked: Instant,
}

impl Logs {
    /// The time on the engine's machine now. Counted from the question, so that nothing that was seen before lies after it.
    pub fn clock(&self) -> Stamp {
        self.clock.after(self.asked.elapsed())
    }
}

/// Reads them; none, and this machine's clock, without a way in.
///
/// # Errors
/// When the session refuses or is lost.
pub async fn logs(link: Option<&Link>, desired: &Desired) -> Result<Logs, link::Error> {
    let asked = Instant::now();
    let mut out = Logs {
        entries: BTreeMap::new(),
        unread: BTreeMap::new(),
        clock: Stamp::default(),
        asked,
    };
    let Some(link) = link else {
        out.clock = locket_delivery::clock::now();
        return Ok(out);
    };
    let mounted = |it: &&ServiceName| link.volumes.services.contains_key(*it);
    let mut services: VecDeque<&ServiceName> = desired.services.keys().filter(mounted).collect();
    let log = |it: &&ServiceName| Request::Log {
        service: it.to_string(),
    };
    // Nothing is asked behind a refusal: then what is left is asked anew.
    loop {
        let requests = services.iter().map(log).chain([Request::Ping]).collect();
        let (_, answers) = link.batch(requests).await?;
        for answer in answers {
            match (answer, services.pop_front()) {
                (Response::Pong { now }, None) => {
                    out.clock = now;
                    return Ok(out);
                }
                (
                    Response::Log {
                        entries,
                        key_matches: true,
                    },
                    Some(service),
                ) => drop(out.entries.insert(service.clone(), entries)),
                (Response::Log { .. }, Some(service)) => match recomputed(link, service).await {
                    Ok(entries) => drop(out.entries.insert(service.clone(), entries)),
                    Err(e) => drop(out.unread.insert(service.clone(), of_volume(e)?)),
                },
                (Response::Refused(it), Some(service)) => {
                    let why = of_volume(link.lost(session::Error::Refused(it)))?;
                    out.unread.insert(service.clone(), why);
                }
                _ => return Err(link.nonsense("something else than a log")),
            }
        }
    }
}

/// Why an anchor did not do something with one volume, if it is about what lies there and nothing else.
///
/// # Errors
/// With any other error.
pub fn of_volume(e: link::Error) -> Result<String, link::Error> {
    match e {
        link::Error::Session {
            source: session::Error::Refused(it),
            ..
        } if matches!(it.kind, RefusalKind::Io | RefusalKind::NoSpace) => {
            Ok(format!("its volume is spoilt: {}", it.message))
        }
        e => Err(e),
    }
}

/// A log that was made with another key than the present one, made anew.
async fn recomputed(link: &Link, service: &ServiceName) -> Result<Vec<Entry>, link::Error> {
    let service = service.to_string();
    let requests = vec![
        Request::Recompute {
            service: service.clone(),
        },
        Request::Log { service },
    ];
    match link.batch(requests).await?.1.pop() {
        Some(Response::Log {
            entries,
            key_matches: true,
        }) => Ok(entries),
        Some(Response::Refused(it)) => Err(link.lost(session::Error::Refused(it))),
        _ => Err(link.nonsense("something else than a log")),
    }
}

/// Compares what is visible with the log; what differs, if anything does.
///
/// # Errors
/// When the session refuses or is lost.
pub async fn drift(link: &Link, service: &ServiceName) -> Result<Option<Vec<String>>, link::Error> {
    let verify = Request::Verify {
        service: service.to_string(),
    };
    match link.call(&verify).await {
        Ok(Response::Verified(Verdict::Intact | Verdict::Empty)) => Ok(None),
        Ok(Response::Verified(Verdict::Drifted(what))) => Ok(Some(what)),
        Ok(_) => Err(link.nonsense("something else than a verdict")),
        // What cannot be compared is published anew.
        Err(e) => of_volume(e).map(|why| Some(vec![why])),
    }
}

/// A service in the planner's words, before anything was rendered.
pub fn service(log: &[Entry], intact: bool, surroundings: String) -> ObservedService {
    let published = |e: &Entry| Published {
        seq: e.seq,
        fingerprint: Fingerprint(e.fingerprint),
        at: Time(e.at.realtime),
        boot: e.at.boottime,
    };
    ObservedService {
        mounted: true,
        log: log.iter().map(published).collect(),
        intact,
        surroundings,
        rendered: Default::default(),
    }
}

/// Whether the files of a service name their owner, so that its image has to say who that is.
fn names_owners(items: &[Item]) -> bool {
    let is_name = |o: &Option<Owner>| matches!(o, Some(Owner::Name(_) | Owner::Service));
    items.iter().any(|item| match &item.target {
        Target::File { file, .. } => is_name(&file.uid) || is_name(&file.gid),
        Target::Env { .. } | Target::ComposeEnv { .. } => false,
    })
}

/// The images, by id or name, that say who the owners are that files name: what the containers of a service run; while a gate is
/// open, what compose is about to run.
///
/// # Errors
/// When the engine does not answer.
pub async fn images(
    engine: &Engine,
    desired: &Desired,
    containers: &[Arc<Container>],
    volumes: &Volumes,
    gate_open: bool,
) -> Result<BTreeMap<ServiceName, String>, locket_engine::Error> {
    let mut images = BTreeMap::new();
    for (service, wanted) in &desired.services {
        let Some(volume) = volumes.services.get(service) else {
            continue;
        };
        if !names_owners(&wanted.items) {
            continue;
        }
        let model = desired.model.get(service).and_then(|m| m.image.clone());
        // What compose builds for a service that names no image has a name of its own.
        let named = model.unwrap_or_else(|| format!("{}-{service}", desired.project));
        let runs = containers
            .iter()
            .filter(|it| service_of(it) == *service && mounts(it, volume) && !is_oneoff(it))
            .max_by_key(|it| (it.state.status == Status::Running, it.state.started_at))
            .map(|it| it.image_id.clone());
        let image = match runs {
            Some(id) if !gate_open => id,
            runs => match engine.image(&named).await? {
                Some(found) => found.id,
                None => runs.unwrap_or(named),
            },
        };
        images.insert(service.clone(), image);
    }
    Ok(images)
}

fn mounts(it: &Container, volume: &str) -> bool {
    let is_it = |m: &locket_engine::Mount| m.kind == "volume" && m.source == volume;
    it.mounts.iter().any(is_it)
}

pub(crate) fn is_oneoff(it: &Container) -> bool {
    let label = it.labels.get(ONEOFF);
    label.is_some_and(|v| v.eq_ignore_ascii_case("true"))
}
