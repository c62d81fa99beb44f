//! What is there: containers, volumes and logs, as the planner wants to see them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use locket_core::{
    ContainerId, ContainerState, Desired, Health, ObservedContainer, ObservedService, Published,
    Time,
};
use locket_crds::id::{Fingerprint, ProjectName, ServiceName};
use locket_crds::item::{Item, Target};
use locket_crds::spec::Owner;
use locket_delivery::clock::Stamp;
use locket_delivery::layout::SHIM_PATH;
use locket_delivery::log::Entry;
use locket_delivery::protocol::{Request, Response, Verdict};
use locket_engine::{Container, ContainerSummary, Engine, InspectCache, Status};

use crate::link::{self, Link};
use crate::own::anchor::{COMPOSE_PROJECT, Volumes};
use crate::session;

/// Compose's label with the service of a container.
const SERVICE: &str = "com.docker.compose.service";
/// Compose's label with the number of a replica.
const NUMBER: &str = "com.docker.compose.container-number";
/// Compose's label on containers of `docker compose run`.
pub(crate) const ONEOFF: &str = "com.docker.compose.oneoff";

/// The project's containers, each with its inspect.
///
/// # Errors
/// When the engine does not answer.
pub async fn containers(
    engine: &Engine,
    cache: &InspectCache,
    project: &ProjectName,
) -> Result<Vec<Arc<Container>>, locket_engine::Error> {
    let listed = engine
        .containers(&[&format!("{COMPOSE_PROJECT}={project}")])
        .await?;
    let looks = listed
        .iter()
        .filter(|it| it.labels.contains_key(SERVICE))
        .map(|it: &ContainerSummary| cache.inspect(engine, it));
    let mut found = Vec::new();
    for look in join_all(looks).await {
        found.extend(look?);
    }
    Ok(found)
}

/// The service that a container belongs to.
pub fn service_of(it: &Container) -> ServiceName {
    it.labels
        .get(SERVICE)
        .map_or_else(ServiceName::default, |s| s.as_str().into())
}

/// A container in the planner's words. What we are doing to it, and what it told of itself, is added by the caller.
pub fn container(it: &Container, volumes: Option<&Volumes>) -> ObservedContainer {
    let service = service_of(it);
    let own = volumes.and_then(|v| v.services.get(&service));
    let shim = volumes.map(|v| &v.project_volume);
    ObservedContainer {
        id: ContainerId(it.id.clone()),
        name: it.name.clone(),
        number: it
            .labels
            .get(NUMBER)
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
        oneoff: it
            .labels
            .get(ONEOFF)
            .is_some_and(|v| v.eq_ignore_ascii_case("true")),
        has_volume: own.is_some_and(|name| {
            it.mounts
                .iter()
                .any(|m| m.kind == "volume" && m.source == *name)
        }),
        has_shim: it.init == Some(true)
            && it
                .mounts
                .iter()
                .any(|m| m.target == SHIM_PATH && Some(&m.source) == shim),
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
        stop_grace: it.stop_grace,
        service,
    }
}

/// The logs of these services, and the time on the engine's machine when all of them had been read.
///
/// # Errors
/// When the session refuses or is lost.
pub async fn logs<'a>(
    link: &Link,
    services: impl Iterator<Item = &'a ServiceName>,
) -> Result<(BTreeMap<ServiceName, Vec<Entry>>, Stamp), link::Error> {
    let services: Vec<&ServiceName> = services.collect();
    let log = |it: &&ServiceName| Request::Log {
        service: it.to_string(),
    };
    let requests = services.iter().map(log).chain([Request::Ping]).collect();
    let (_, answers) = link.batch(requests).await?;
    let mut answers = answers.into_iter();
    let mut logs = BTreeMap::new();
    for (service, answer) in services.into_iter().zip(answers.by_ref()) {
        let entries = match answer {
            Response::Log {
                entries,
                key_matches: true,
            } => entries,
            Response::Log { .. } => recomputed(link, service).await?,
            Response::Refused(it) => return Err(link.lost(session::Error::Refused(it))),
            _ => return Err(link.nonsense("something else than a log")),
        };
        logs.insert(service.clone(), entries);
    }
    match answers.next() {
        Some(Response::Pong { now }) => Ok((logs, now)),
        _ => Err(link.nonsense("something else than a pong")),
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
    match link
        .call(&Request::Verify {
            service: service.to_string(),
        })
        .await?
    {
        Response::Verified(Verdict::Intact | Verdict::Empty) => Ok(None),
        Response::Verified(Verdict::Drifted(what)) => Ok(Some(what)),
        _ => Err(link.nonsense("something else than a verdict")),
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

/// What names of owners mean may change with the image: the images of the containers of services whose files name one, as
/// one word each.
pub fn surroundings(
    desired: &Desired,
    containers: &[Arc<Container>],
) -> BTreeMap<ServiceName, String> {
    let is_name = |o: &Option<Owner>| matches!(o, Some(Owner::Name(_) | Owner::Service));
    let names = |item: &Item| match &item.target {
        Target::File { file, .. } => is_name(&file.uid) || is_name(&file.gid),
        Target::Env { .. } | Target::ComposeEnv { .. } => false,
    };
    let mut images: BTreeMap<ServiceName, BTreeSet<&str>> = BTreeMap::new();
    for it in containers {
        let service = service_of(it);
        let wanted = desired.services.get(&service);
        if wanted.is_some_and(|w| w.items.iter().any(names)) {
            images.entry(service).or_default().insert(&it.image_id);
        }
    }
    let word = |all: BTreeSet<&str>| all.into_iter().collect::<Vec<_>>().join(" ");
    images
        .into_iter()
        .map(|(service, all)| (service, word(all)))
        .collect()
}
