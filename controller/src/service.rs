//! Everything that can be asked of who looks after projects: passes, status, apply. The API is this over HTTP;
//! a command without a controller is this in the client.

mod apply;
mod looks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use locket_core::Time;
use locket_crds::api;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::spec::ProjectSpec;
use locket_engine::watcher::{Action, ContainerEvent};
use locket_runtime::{Handle, Outcome, Reconciler, Request, Requeue, Retry, Stats, Trigger};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::access::Error;
use crate::background::Background;
use crate::inbox::{Hints, Inbox};
use crate::link::Lease;
use crate::metrics::PassOutcome;
use crate::mutex::lock;
use crate::project::{Mode, Passed, Project, Shared};
use crate::resolve::chain;
use crate::view::{self, Numbers, View};
use crate::{compose_env, observe};

/// How long a request waits for a pass that runs. A pass waits for a backend at most twice.
const PATIENCE: Duration = Duration::from_secs(40);

/// Events of containers come in bursts, five for a restart and thousands for a large project: so long they are gathered for one pass.
/// Nothing is delivered for them that has not been delivered, and our own operations ask for a pass when they end.
const GATHER: Duration = Duration::from_millis(10);

/// How long the engine may take to say that it is there.
pub(crate) const HEALTH: Duration = Duration::from_secs(5);

/// Who looks after projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All of the engine's projects, for ever.
    Controller,
    /// One project, for one command.
    Client,
}

/// A project and what was last seen of it.
struct Room {
    /// Held for a whole pass: whoever only has a hint leaves it in the inbox.
    project: tokio::sync::Mutex<Project>,
    view: watch::Sender<Arc<View>>,
    mode: Mutex<Mode>,
    inbox: Arc<Inbox>,
    background: Arc<Background>,
}

/// See the module.
pub struct Service {
    shared: Arc<Shared>,
    role: Role,
    version: String,
    engine_id: String,
    rooms: Mutex<BTreeMap<ProjectName, Arc<Room>>>,
    handle: OnceLock<Handle<ProjectName>>,
    /// Projects that are only looked at; kept, so that a command that looks often asks backends as rarely as a controller does.
    looked_at: tokio::sync::Mutex<BTreeMap<ProjectName, Project>>,
    numbers: Numbers,
    /// Why the listener is not as configured.
    listener_problem: Mutex<Option<String>>,
}

/// Runs the passes of a service.
pub struct Passes(pub Arc<Service>);

impl Reconciler<ProjectName> for Passes {
    async fn reconcile(&self, request: Request<ProjectName>) -> Outcome {
        self.0.reconcile(&request.key).await
    }
}

impl Service {
    /// Looks after nothing yet.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn new(
        shared: Arc<Shared>,
        role: Role,
        version: &str,
    ) -> Result<Arc<Self>, locket_engine::Error> {
        let engine_id = shared.host.engine.info().await?.id;
        Ok(Arc::new(Self {
            shared,
            role,
            version: version.to_owned(),
            engine_id,
            rooms: Mutex::default(),
            handle: OnceLock::new(),
            looked_at: Default::default(),
            numbers: Numbers::default(),
            listener_problem: Mutex::default(),
        }))
    }

    /// Takes the handle through which passes are asked for.
    pub fn attach(&self, handle: Handle<ProjectName>) {
        let _ = self.handle.set(handle);
    }

    /// Whether events of a project are this service's business.
    pub fn is_mine(&self, name: &ProjectName) -> bool {
        self.role == Role::Controller || self.rooms().contains_key(name)
    }

    /// What all projects share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Why the listener is not as configured, if it is not.
    pub fn listener_problem(&self) -> Option<String> {
        lock(&self.listener_problem).clone()
    }

    /// Keeps the reason, for whoever asks.
    pub(crate) fn tell_listener_problem(&self, problem: Option<String>) {
        *lock(&self.listener_problem) = problem;
    }

    /// Who answers.
    pub fn answerer(&self) -> api::Answerer {
        api::Answerer {
            version: api::VERSION,
            locket: self.version.clone(),
            engine: self.engine_id.clone(),
        }
    }

    /// Who answers, if the engine answers too: without it nothing is looked after.
    ///
    /// # Errors
    /// When the engine does not answer in time.
    pub async fn health(&self) -> Result<api::Answerer, Error> {
        let asked = tokio::time::timeout(HEALTH, self.shared.host.engine.version()).await;
        match asked {
            Ok(Ok(_)) => Ok(self.answerer()),
            Ok(Err(e)) => Err(Error::unavailable("the engine does not answer", e)),
            Err(_) => Err(Error::new("Timeout", "the engine does not answer")),
        }
    }

    /// Asks for a pass.
    pub fn enqueue(&self, project: &ProjectName, trigger: Trigger) {
        if let Some(handle) = self.handle.get() {
            handle.enqueue(project.clone(), trigger);
        }
    }

    fn rooms(&self) -> std::sync::MutexGuard<'_, BTreeMap<ProjectName, Arc<Room>>> {
        // Each change is one insert or remove, so a panic elsewhere leaves nothing half done.
        lock(&self.rooms)
    }

    /// Every project that is known.
    pub fn known(&self) -> Vec<ProjectName> {
        self.rooms().keys().cloned().collect()
    }

    /// What was last seen of every project that is known.
    pub(crate) fn views(&self) -> Vec<(ProjectName, Arc<View>)> {
        let rooms = self.rooms();
        let one = |(name, room): (&ProjectName, &Arc<Room>)| {
            (name.clone(), Arc::clone(&room.view.borrow()))
        };
        rooms.iter().map(one).collect()
    }

    /// What the queue does right now.
    pub(crate) fn queue(&self) -> Stats {
        self.handle.get().map(Handle::stats).unwrap_or_default()
    }

    fn room(self: &Arc<Self>, name: &ProjectName) -> Arc<Room> {
        let mut rooms = self.rooms();
        let make = || {
            let (service, key) = (Arc::downgrade(self), name.clone());
            let wake = Arc::new(move || {
                if let Some(service) = service.upgrade() {
                    service.enqueue(&key, Trigger::change("an operation has ended"));
                }
            });
            let mode = if self.role == Role::Controller {
                Mode::Act
            } else {
                Mode::Deliver
            };
            let project = Project::new(name.clone(), wake);
            Arc::new(Room {
                inbox: Arc::clone(&project.inbox),
                background: Arc::clone(&project.background),
                project: tokio::sync::Mutex::new(project),
                view: watch::Sender::default(),
                mode: Mutex::new(mode),
            })
        };
        Arc::clone(rooms.entry(name.clone()).or_insert_with(make))
    }

    async fn reconcile(self: &Arc<Self>, name: &ProjectName) -> Outcome {
        let room = self.room(name);
        let mut project = room.project.lock().await;
        let mode = room.mode();
        let begin = Instant::now();
        let passed = project.pass(&self.shared, mode).await;
        let outcome = match &passed {
            Ok(Passed::Absent) => PassOutcome::Absent,
            Ok(Passed::Held(_)) => PassOutcome::Held,
            Ok(Passed::Looked(_)) => PassOutcome::Looked,
            Err(_) => PassOutcome::Failed,
        };
        self.shared.metrics.passed(begin, outcome);
        match passed {
            Ok(Passed::Absent) => {
                room.show(|before| View {
                    pass: before.pass + 1,
                    settled: true,
                    ..View::default()
                });
                if project.is_idle() {
                    return Outcome::Done(Requeue::After(Duration::from_secs(20)));
                }
                // Forgotten, unless somebody waits in it.
                drop(project);
                let mut rooms = self.rooms();
                if Arc::strong_count(&room) <= 2 {
                    rooms.remove(name);
                }
                Outcome::Done(Requeue::AwaitChange)
            }
            Ok(Passed::Held(holder)) => {
                room.show(|before| view::held(before, holder));
                Outcome::Done(Requeue::After(Duration::from_secs(1)))
            }
            Ok(Passed::Looked(look)) => {
                room.show(|before| view::view(&project, &look, before, &self.numbers));
                Outcome::Done(look.again.map_or(Requeue::AwaitChange, Requeue::After))
            }
            Err(e) => {
                let why = chain(&e);
                tracing::warn!(error = why, "Pass failed");
                room.show(|before| View {
                    pass: before.pass + 1,
                    error: Some(why),
                    ..before.clone()
                });
                Outcome::Failed(Retry::Backoff)
            }
        }
    }

    /// Something has happened to a container of a project. Waits for nothing.
    pub fn saw(self: &Arc<Self>, name: &ProjectName, event: &ContainerEvent) {
        let room = self.room(name);
        let container = locket_core::ContainerId(event.id.clone());
        let at = Time(event.time);
        // One-off containers are `docker compose run`, by cron perhaps: what they do is of no concern to the services.
        let oneoff = event.attributes.get(observe::ONEOFF);
        let counts = !oneoff.is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if counts && !room.background.is_ours(&container, event.action, at) {
            let disturbs = matches!(
                event.action,
                Action::Create | Action::Stop | Action::Destroy | Action::Rename
            );
            room.inbox.leave(|h| {
                // A signal is heard when the stop begins, which may take its grace period.
                if disturbs || is_stop(event) {
                    h.activity = h.activity.max(Some(at));
                }
                if is_stop(event) {
                    h.touched.insert(container, at);
                }
            });
        }
        let trigger = Trigger::change("container event");
        if let Some(handle) = self.handle.get() {
            handle.enqueue_after(name.clone(), trigger, GATHER);
        }
    }

    /// True if this container is the anchor that a project is reached through.
    pub fn uses_anchor(&self, name: &ProjectName, id: &str) -> bool {
        self.rooms()
            .get(name)
            .is_some_and(|room| room.inbox.is_anchor(id))
    }

    /// Leaves a hint for every project that is known, or for one; false when that one is not.
    fn leave(
        self: &Arc<Self>,
        name: Option<&ProjectName>,
        trigger: &Trigger,
        hint: impl Fn(&mut Hints),
    ) -> bool {
        let rooms = self.rooms().clone();
        let meant = |it: &&ProjectName| name.is_none_or(|name| name == *it);
        for name in rooms.keys().filter(meant) {
            rooms[name].inbox.leave(&hint);
            self.enqueue(name, trigger.clone());
        }
        name.is_none_or(|name| rooms.contains_key(name))
    }

    /// Something at a source may have changed. `None` is every source, or every project.
    pub fn hint(
        self: &Arc<Self>,
        name: Option<&ProjectName>,
        source: Option<&SourceName>,
        trigger: &Trigger,
    ) {
        self.leave(name, trigger, |h| h.expire(source));
    }

    /// The host configuration has changed.
    pub fn reconfigure(self: &Arc<Self>, config: Arc<locket_crds::config::HostConfig>) {
        if *self.shared.sources.config() == *config {
            return;
        }
        self.shared.sources.reconfigure(config);
        let trigger = Trigger::user("the host configuration has changed");
        self.leave(None, &trigger, |h| {
            h.recompile = true;
            h.all_sources = true;
        });
    }

    /// Waits until no container of a project is between our stop and our start of it. Nothing new is begun from now on.
    pub async fn finish(self: &Arc<Self>, at_most: Duration) {
        self.shared.draining.store(true, Relaxed);
        let until = Instant::now() + at_most;
        let rooms: Vec<_> = self.rooms().clone().into_iter().collect();
        for (name, room) in rooms {
            while let Ok(project) = room.enter(until).await {
                if !project.has_begun() {
                    break;
                }
                drop(project);
                self.enqueue(&name, Trigger::user("finish"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                if Instant::now() > until {
                    tracing::warn!(project = %name, "A restart is left half done; the next pass goes on with it");
                    return;
                }
            }
        }
    }

    /// As [`crate::access::Access::compose_env`].
    ///
    /// # Errors
    /// As there.
    pub async fn compose_env(
        &self,
        spec: ProjectSpec,
    ) -> Result<Vec<(String, Zeroizing<Vec<u8>>)>, Error> {
        compose_env::values(&self.shared, &spec).await
    }

    /// As [`crate::access::Access::release`].
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn release(self: &Arc<Self>, name: &ProjectName) -> Result<(), Error> {
        let room = self.room(name);
        let mut project = room.enter(Instant::now() + PATIENCE).await?;
        project
            .release(&self.shared)
            .await
            .map_err(|e| Error::unavailable("the project cannot be released", e))
    }

    /// As [`crate::access::Access::refresh`].
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn refresh(
        self: &Arc<Self>,
        name: Option<&ProjectName>,
        source: Option<&SourceName>,
    ) -> Result<(), Error> {
        if let Some(source) = source {
            self.is_asked(name, source)?;
        }
        let known = self.leave(name, &Trigger::user("refresh"), |h| {
            h.expire(source);
            h.verify = true;
            h.retry = true;
        });
        match name.filter(|_| !known) {
            Some(name) => Err(Error::not_found(format!(
                "project {name} is not known here"
            ))),
            None => Ok(()),
        }
    }

    /// An error for a source of which it is known that nobody there asks it.
    fn is_asked(&self, name: Option<&ProjectName>, source: &SourceName) -> Result<(), Error> {
        let rooms = self.rooms();
        let meant = rooms
            .iter()
            .filter(|(n, _)| name.is_none_or(|name| name == *n));
        let mut asked: BTreeSet<SourceName> = BTreeSet::new();
        for (_, room) in meant {
            // Before its first pass a project may ask anybody.
            let Some(desired) = room.view.borrow().desired.clone() else {
                return Ok(());
            };
            let all = desired.services.values().flat_map(|s| &s.references);
            asked.extend(all.map(|r| r.source().clone()));
        }
        if asked.is_empty() || asked.contains(source) {
            return Ok(());
        }
        let names: Vec<&str> = asked.iter().map(SourceName::as_str).collect();
        let e = Error::not_found(format!("nothing is asked of a source {source} here"));
        Err(e.hint(format!("there is {}", names.join(", "))))
    }

    /// As [`crate::access::Access::pause`].
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn pause(self: &Arc<Self>, name: &ProjectName, paused: bool) -> Result<(), Error> {
        let room = self.room(name);
        let mut project = room.enter(Instant::now() + PATIENCE).await?;
        let lease = project
            .enter(&self.shared)
            .await
            .map_err(|e| Error::unavailable("there is no way into the project", e))?;
        match lease {
            Some(Lease::Ours(_)) => project
                .pause(paused)
                .await
                .map_err(|e| Error::unavailable("it cannot be written down", e))?,
            Some(Lease::Held(holder)) => {
                return Err(Error::new(
                    "Conflict",
                    format!("project {name} is being worked on by {holder}"),
                ));
            }
            None => {
                return Err(Error::not_found(format!(
                    "project {name} is not on this engine"
                )));
            }
        }
        drop(project);
        self.enqueue(name, Trigger::user(if paused { "pause" } else { "resume" }));
        Ok(())
    }
}

impl Room {
    /// Waits for the pass that runs, at most until then.
    async fn enter(&self, until: Instant) -> Result<tokio::sync::MutexGuard<'_, Project>, Error> {
        let entered = timeout_at(until, self.project.lock()).await;
        entered.map_err(|_| {
            Error::new(
                "Timeout",
                "a pass over the project does not come to its end",
            )
            .hint("a backend or the engine does not answer; `docker locket status` may say which")
        })
    }

    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }

    fn show(&self, make: impl FnOnce(&View) -> View) {
        self.view.send_modify(|it| *it = Arc::new(make(it)));
    }
}

/// True when somebody wants a container to end. The signal is heard before the end, and so before a pass looks at what came of
/// it; HUP, USR1 and USR2 are what programs are told to read their files again with.
fn is_stop(event: &ContainerEvent) -> bool {
    match event.action {
        Action::Stop => true,
        Action::Kill => {
            let signal = event.attributes.get("signal").map(String::as_str);
            !matches!(signal, Some("1" | "10" | "12"))
        }
        _ => false,
    }
}
