//! The long-running controller: everything that happens becomes a hint, and hints become passes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use locket_crds::config::HostConfig;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::spec::Credential;
use locket_engine::watcher::{Action, Event};
use locket_provider::SecretValue;
use locket_runtime::{Config, Controller, Trigger};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::Host;
use crate::api;
pub use crate::listen::Clock;
use crate::listen::Listener;
use crate::observe;
use crate::own::PROJECT;
use crate::own::anchor::COMPOSE_PROJECT;
use crate::project::Shared;
use crate::service::{Passes, Role, Service};
use crate::sources::{Authority, OpenStore, Sources, Watches};

/// How long a stop waits for restarts that were begun: the longest grace period that is usual, and a start.
const FINISH: Duration = Duration::from_secs(45);
/// The pause before a lost subscription is made anew.
const RECONNECT: Duration = Duration::from_secs(2);
/// How often everything is looked at without a hint.
const RESYNC: Duration = Duration::from_secs(600);
/// How often a listener is tried that is not as configured.
const RELISTEN: Duration = Duration::from_secs(30);

/// Where the host configuration comes from.
pub trait Configure: Send + Sync {
    /// Reads it anew. The text of an error is for people.
    fn load(&self) -> BoxFuture<'_, Result<HostConfig, String>>;
    /// Reads a credential that the configuration names. The text of an error is for people.
    fn read<'a>(&'a self, credential: &'a Credential)
    -> BoxFuture<'a, Result<SecretValue, String>>;
    /// Hints that the built-in store may have changed; `true` where it may have been the configuration beside it.
    fn changes(&self) -> BoxStream<'static, bool>;
}

/// What a controller is run with.
pub struct Settings {
    /// The engine, and the program that runs in containers.
    pub host: Arc<Host>,
    /// Makes stores.
    pub opener: Arc<dyn OpenStore>,
    /// The host configuration.
    pub configure: Arc<dyn Configure>,
    /// Where the API is served; its file's owner and mode say who may ask.
    pub listener: UnixListener,
    /// How others reach this controller: the text that the holder of a lease shows.
    pub holder: String,
    /// The version of this program.
    pub version: String,
    /// Seed of the jitter.
    pub seed: u64,
    /// Seconds since 1970, to judge the age of what was signed.
    pub clock: Clock,
}

/// Runs until `stop` is ready, then ends gracefully: no container is touched, leases are given back.
///
/// # Errors
/// When the engine does not answer at the start, or the host configuration cannot be read.
pub async fn run(
    settings: Settings,
    stop: impl Future<Output = ()>,
) -> Result<(), crate::access::Error> {
    let config = settings.configure.load().await;
    let config = config.map_err(|why| {
        crate::access::Error::new(
            "Invalid",
            format!("the host configuration cannot be used: {why}"),
        )
    })?;
    let sources = Sources::new(settings.opener, Authority::Host(Arc::new(config)));
    let shared = Shared {
        draining: false.into(),
        host: settings.host,
        sources,
        cache: Arc::default(),
        image_labels: Default::default(),
        owners: Default::default(),
        holder: settings.holder,
        metrics: Default::default(),
    };
    let service = Service::new(Arc::new(shared), Role::Controller, &settings.version).await;
    let service =
        service.map_err(|e| crate::access::Error::unavailable("the engine does not answer", e))?;
    let (controller, handle) =
        Controller::new(Passes(Arc::clone(&service)), Config::new(settings.seed));
    service.attach(handle);
    let mut listener = Listener::new(
        Arc::clone(&service),
        Arc::clone(&settings.configure),
        settings.clock,
    );
    // Nobody goes without secrets because nobody can call.
    let look_again = keep_listening(&mut listener, &service).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(follow_engine(Arc::clone(&service)));
    tasks.spawn(follow_configuration(
        Arc::clone(&service),
        settings.configure,
        listener,
        look_again,
    ));
    tasks.spawn(follow_sources(Arc::clone(&service)));
    tasks.spawn(resync(Arc::clone(&service)));
    let router = api::router(Arc::clone(&service));
    tasks.spawn(async move {
        let listener = settings.listener.tap_io(|_| {});
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!(
                error = &e as &dyn std::error::Error,
                "The API is not served any more"
            );
        }
    });
    tracing::info!(version = settings.version, "Started");
    let draining = Arc::clone(&service);
    let stop = async move {
        stop.await;
        // A container that we have stopped is started again before we go.
        draining.finish(FINISH).await;
    };
    let stopped = tokio::select! {
        stopped = controller.run(stop) => stopped,
        // None of them ends by itself: a controller that hears nothing any more must not look alive.
        ended = tasks.join_next() => {
            tracing::error!(?ended, "A task of the controller has ended");
            return Err(crate::access::Error::new("Internal", "a task of the controller has ended"));
        }
    };
    if !stopped.cut_off.is_empty() {
        tracing::warn!(projects = ?stopped.cut_off, "Passes were cut off");
    }
    tasks.shutdown().await;
    tracing::info!("Stopped");
    Ok(())
}

/// The engine's events. Each is a hint: the pass looks for itself. In a client too: what it has seen of containers must not grow old.
pub(crate) async fn follow_engine(service: Arc<Service>) {
    let (made, names) = mpsc::unbounded_channel();
    tokio::join!(
        follow_events(&service, made),
        follow_volumes(&service, names)
    );
}

fn ask(service: &Service, project: &ProjectName, trigger: Trigger) {
    if service.is_mine(project) {
        service.enqueue(project, trigger);
    }
}

/// Whose the volumes are that were made: their events do not say it. Asked aside, so that no event waits for an answer.
async fn follow_volumes(service: &Service, mut names: mpsc::UnboundedReceiver<String>) {
    while let Some(name) = names.recv().await {
        let volume = service.shared().host.engine.volume(&name).await;
        let volume = volume.ok().flatten();
        if let Some(project) = volume.as_ref().and_then(|v| v.labels.get(COMPOSE_PROJECT)) {
            ask(
                service,
                &project.as_str().into(),
                Trigger::change("volume created"),
            );
        }
    }
}

async fn follow_events(service: &Arc<Service>, made: mpsc::UnboundedSender<String>) {
    let shared = Arc::clone(service.shared());
    let mut events = shared.host.engine.events();
    let mut listed: BTreeSet<ProjectName> = BTreeSet::new();
    let ask = |project: &ProjectName, trigger: Trigger| ask(service, project, trigger);
    while let Some(event) = events.next().await {
        shared.cache.observe(&event);
        match event {
            Event::Init => listed.clear(),
            Event::Lost => {}
            Event::InitApply(it) => listed.extend(observe::project_of(&it.labels)),
            Event::InitDone => {
                listed.extend(service.known());
                listed.extend(service.on_the_engine().await.unwrap_or_default());
                for project in &listed {
                    ask(project, Trigger::resync("relist"));
                }
            }
            Event::Container(it) => {
                let project = observe::project_of(&it.attributes).filter(|p| service.is_mine(p));
                let anchors = it.attributes.get(PROJECT).map(|p| p.as_str().into());
                if let Some(project) = project {
                    service.saw(&project, &it);
                } else if let Some(project) = anchors
                    && service.uses_anchor(&project, &it.id)
                {
                    ask(&project, Trigger::change("anchor event"));
                }
            }
            Event::Volume(it) => match it.action {
                // The receiver ends after this.
                Action::Create => drop(made.send(it.name)),
                _ => service
                    .known()
                    .iter()
                    .for_each(|p| ask(p, Trigger::change("volume removed"))),
            },
        }
    }
}

/// The host configuration lies in the store's volume, so the store's own hints tell of both.
pub(crate) async fn follow_configuration(
    service: Arc<Service>,
    configure: Arc<dyn Configure>,
    mut listener: Listener,
    mut look_again: Instant,
) {
    let local = SourceName::from("local");
    let mut changes = configure.changes();
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            // Files that it names may be others by now: a certificate was renewed.
            () = tokio::time::sleep_until(look_again) => {
                look_again = keep_listening(&mut listener, &service).await;
                continue;
            }
        };
        let Some(configuration) = change else {
            // The store's container has gone; the next look starts it again.
            tokio::time::sleep(RECONNECT).await;
            changes = configure.changes();
            continue;
        };
        // The bench counts from here.
        tracing::debug!("The store has changed");
        service.hint(None, Some(&local), &Trigger::push("the store has changed"));
        if !configuration {
            continue;
        }
        match configure.load().await {
            Ok(config) => {
                service.reconfigure(Arc::new(config));
                look_again = keep_listening(&mut listener, &service).await;
            }
            Err(error) => tracing::error!(
                error,
                "The host configuration cannot be used; the last good one stays"
            ),
        }
    }
}

/// Sees to it that the listener is as configured; gives when to do so again. Why it is not is said once for each reason.
pub(crate) async fn keep_listening(listener: &mut Listener, service: &Service) -> Instant {
    let problem = listener.follow().await.err();
    if let Some(error) = problem
        .as_ref()
        .filter(|it| service.listener_problem().as_ref() != Some(it))
    {
        tracing::error!(
            error,
            "The listener cannot be as configured; the last good one stays, if there is one"
        );
    }
    let pause = if problem.is_some() { RELISTEN } else { RESYNC };
    service.tell_listener_problem(problem);
    Instant::now() + pause
}

/// Sources that push: files that are watched, and what more comes.
async fn follow_sources(service: Arc<Service>) {
    let shared = Arc::clone(service.shared());
    let mut watches = Watches::default();
    loop {
        for (project, source) in watches.next(&shared.sources).await {
            let trigger = Trigger::push("the source has changed");
            service.hint(Some(&project), Some(&source), &trigger);
        }
    }
}

pub(crate) async fn resync(service: Arc<Service>) {
    let mut every = tokio::time::interval(RESYNC);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // A way to the engine that died without a word tells of nothing any more: what was seen does not count for ever.
        service.shared().cache.clear();
        let mut all: BTreeSet<ProjectName> = service.known().into_iter().collect();
        all.extend(service.on_the_engine().await.unwrap_or_default());
        all.iter()
            .for_each(|project| service.enqueue(project, Trigger::resync("resync")));
    }
}
