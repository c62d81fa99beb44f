//! One project, from pass to pass. Everything in here can be lost: the next pass reads what matters from the engine.

mod apply;
mod heed;
mod release;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use locket_core::memory::Phase;
use locket_core::{
    Action, ContainerId, Memory, Observed, Planned, Policy, Rendered, Time, needs, plan,
};
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::reference::SecretRef;
use locket_engine::{Container, InspectCache};
use locket_provider::SecretVersion;
use tokio::time::Instant;

use crate::Host;
use crate::background::{Background, Wake};
use crate::inbox::Inbox;
use crate::labelled::Labels;
use crate::link::{self, Lease, Link, Switches};
use crate::metrics::{Metrics, Tally};
use crate::observe::{self, ImageLabels, Logs};
use crate::own::anchor;
use crate::owners::Owners;
use crate::resolve::{Order, Workbench};
use crate::session::Session;
use crate::sources::{Answers, Sources};
use crate::spec::{Applied, Compiled};
use crate::tracker::Tracker;

/// How often delivered files are looked at without a hint.
const VERIFY_EVERY: Duration = Duration::from_secs(60);
/// So much earlier they are looked at by a pass that something else has asked for, such as the poll of every minute.
const VERIFY_SLACK: Duration = Duration::from_secs(15);
/// How long a signal through the shim may take.
const SIGNAL: Duration = Duration::from_secs(5);
/// A project without containers and without an open gate is released after this time.
const RELEASE_AFTER: Duration = Duration::from_secs(60);
/// After `down` nothing is brought back for so long, unless a gate opens: compose is still removing things.
const RELEASED_FOR: Duration = Duration::from_secs(15);
/// How soon a project is looked at again whose lease somebody else has.
const HELD_RETRY: Duration = Duration::from_secs(1);
/// The longest pause between two tries of a step that fails.
const FAILED_RETRY: Duration = Duration::from_secs(60);

/// What all projects share.
pub struct Shared {
    /// This process is about to end: what was begun is brought to its end, nothing else is begun.
    pub draining: AtomicBool,
    /// The engine, and our program.
    pub host: Arc<Host>,
    /// Where values come from.
    pub sources: Sources,
    /// One inspect a container incarnation.
    pub cache: Arc<InspectCache>,
    /// Labels that containers have from their images.
    pub image_labels: ImageLabels,
    /// Numbers of named owners.
    pub owners: Owners,
    /// How others reach the holder of our leases.
    pub holder: String,
    /// What is counted.
    pub metrics: Metrics,
}

impl Shared {
    /// The containers of a project.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn containers(
        &self,
        project: &ProjectName,
    ) -> Result<Vec<Arc<Container>>, locket_engine::Error> {
        let known = (&*self.cache, &self.image_labels);
        observe::containers(&self.host.engine, known, project).await
    }
}

/// How far a pass goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is made and nothing is changed; the plan says that nobody acts.
    Look,
    /// Nothing is made and nothing is changed; the plan is what would be done.
    Forecast,
    /// Deliver only.
    Deliver,
    /// Deliver, and do to containers what has to be done.
    Act,
}

impl Mode {
    /// True if nothing is made and nothing is changed.
    fn only_looks(self) -> bool {
        matches!(self, Self::Look | Self::Forecast)
    }
}

/// Why a pass could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way into the project.
    #[error(transparent)]
    Link(#[from] link::Error),
    /// The engine did not answer.
    #[error("the engine does not answer")]
    Engine(#[from] locket_engine::Error),
    /// Our own objects could not be removed.
    #[error("the project cannot be released")]
    Release(#[source] crate::own::Error),
}

/// How a pass ended.
#[derive(Debug)]
pub enum Passed {
    /// There is nothing to look after: no project volume, or no containers and nobody who waits.
    Absent,
    /// Somebody else writes to the project.
    Held(String),
    /// It was looked at.
    Looked(Box<Look>),
}

/// What one pass saw and did.
#[derive(Debug)]
pub struct Look {
    /// The planner's answer.
    pub planned: Planned,
    /// Steps that were run, one line each.
    pub done: Vec<String>,
    /// Steps that failed, one line each, by service.
    pub failed: Vec<(Option<ServiceName>, String)>,
    /// What rendering gave, by service whose volume is there.
    pub rendered: BTreeMap<ServiceName, Rendered>,
    /// The engine's clock.
    pub now: Time,
    /// When to look again at the latest; `None`: when something happens.
    pub again: Option<Duration>,
}

/// An open gate; closed when it is dropped.
pub struct Gate {
    count: Arc<AtomicUsize>,
    wake: Wake,
}

impl Gate {
    fn new(count: Arc<AtomicUsize>, wake: Wake) -> Self {
        count.fetch_add(1, Relaxed);
        Self { count, wake }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Relaxed);
        (self.wake)();
    }
}

/// What was asked for before it was known whether it is the right question.
struct Guess {
    compiled: Arc<Compiled>,
    session: Arc<Session>,
    answers: Answers<SecretVersion>,
    logs: Result<Logs, link::Error>,
}

impl Guess {
    fn holds(&self, link: Option<&Link>, compiled: &Arc<Compiled>) -> bool {
        Arc::ptr_eq(&self.compiled, compiled)
            && link.is_some_and(|it| Arc::ptr_eq(&it.session, &self.session))
    }
}

/// One project.
pub struct Project {
    name: ProjectName,
    link: Option<Link>,
    pub(crate) applied: Option<Applied>,
    /// The spec is that of a question, and not the one that is written down.
    supposed: bool,
    pub(crate) compiled: Option<Arc<Compiled>>,
    pub(crate) memory: Memory,
    pub(crate) switches: Switches,
    pub(crate) tracker: Tracker,
    workbench: Workbench,
    pub(crate) background: Arc<Background>,
    wake: Wake,
    /// The last time that somebody but us stopped a container.
    touched: BTreeMap<ContainerId, Time>,
    /// What differs from what was published, by service; as of the last look.
    pub(crate) drifted: BTreeMap<ServiceName, Vec<String>>,
    verified: Option<Instant>,
    /// What was heard since the last pass.
    pub(crate) inbox: Arc<Inbox>,
    /// The last time that somebody but us made, stopped or removed a container.
    compose_activity: Option<Time>,
    /// A user wants what was refused to be tried again.
    retry: bool,
    /// Gates that wait right now.
    pub(crate) gates: Arc<AtomicUsize>,
    idle_since: Option<Instant>,
    released: Option<Instant>,
    /// Publishes that the anchor refused, by service.
    refused: BTreeMap<ServiceName, String>,
    /// Volumes that could not be read, by service; as of the last look.
    unread: BTreeMap<ServiceName, String>,
    /// What labels say that the applied `x-locket` does not; as of the last look.
    conflicts: Vec<String>,
    /// Passes in a row in which a step failed.
    failures: u32,
    /// What was done so far.
    pub(crate) tally: Tally,
}

impl Project {
    /// Knows nothing yet. `wake` asks for another pass.
    pub fn new(name: ProjectName, wake: Wake) -> Self {
        Self {
            tracker: Tracker::new(name.clone()),
            name,
            link: None,
            applied: None,
            supposed: false,
            compiled: None,
            memory: Memory::default(),
            switches: Switches::default(),
            workbench: Workbench::default(),
            background: Arc::default(),
            wake,
            touched: BTreeMap::new(),
            drifted: BTreeMap::new(),
            verified: None,
            inbox: Arc::default(),
            compose_activity: None,
            retry: false,
            gates: Arc::default(),
            idle_since: None,
            released: None,
            refused: BTreeMap::new(),
            unread: BTreeMap::new(),
            conflicts: Vec::new(),
            failures: 0,
            tally: Tally::default(),
        }
    }

    /// The project's name.
    pub fn name(&self) -> &ProjectName {
        &self.name
    }

    /// The open way in, if there is one.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Nothing is left to look after, but there is still something to remember about it.
    pub fn is_idle(&self) -> bool {
        let released = self
            .released
            .is_some_and(|at| Instant::now() < at + RELEASED_FOR);
        self.idle_since.is_some() || released
    }

    /// A gate has opened: the project is wanted again, and held as long as the guard lives.
    pub fn open_gate(&mut self) -> Gate {
        self.released = None;
        Gate::new(Arc::clone(&self.gates), Arc::clone(&self.wake))
    }

    /// Takes in what was heard since the last pass.
    fn take_hints(&mut self, now: Instant) {
        let hints = self.inbox.take();
        if hints.activity.is_some() {
            self.compose_activity = self.compose_activity.max(hints.activity);
            self.idle_since = None;
        }
        self.touched.extend(hints.touched);
        if hints.all_sources {
            self.tracker.expire(None, now);
        }
        for source in &hints.sources {
            self.tracker.expire(Some(source), now);
        }
        if hints.verify {
            self.verified = None;
        }
        if hints.recompile {
            self.compiled = None;
        }
        self.retry |= hints.retry;
    }

    /// Runs one pass: looks at everything afresh, decides, and does what is to be done now.
    ///
    /// ```text
    /// load → validate → observe → probe → needs → fetch + render → plan → apply
    /// I/O    pure       I/O       I/O     pure    I/O              pure   I/O
    /// ```
    ///
    /// # Guarantees
    /// Nothing is written without the lease. Nothing follows a memory that could not be written.
    ///
    /// # Cancel safety
    /// Dropped anywhere, the next pass goes on from what is on the engine.
    ///
    /// # Errors
    /// When the engine or the anchor does not answer; the way in is opened anew by the next pass.
    pub async fn pass(&mut self, shared: &Shared, mode: Mode) -> Result<Passed, Error> {
        let result = self.try_pass(shared, mode).await;
        if result.is_err() {
            self.link = None;
        }
        result
    }

    async fn try_pass(&mut self, shared: &Shared, mode: Mode) -> Result<Passed, Error> {
        let now = Instant::now();
        self.take_hints(now);
        let due = self.due(now);
        // Before containers are looked at: one that seems to run while nothing is being done to it does run, or a stop that has
        // ended since would be taken for one that never happened.
        let background = self.background.now();
        // A verdict on a restart must not come from what was seen before an event that never arrived.
        for (id, it) in &self.memory.containers {
            if it.intent.is_some() {
                shared.cache.forget(&id.0);
            }
        }
        // None of these needs the others, and all take their time.
        let volumes = async {
            match &self.link {
                Some(_) => Some(anchor::Volumes::find(&shared.host.engine, &self.name).await),
                None => None,
            }
        };
        let (containers, volumes, guess) = tokio::join!(
            shared.containers(&self.name),
            volumes,
            self.guess(shared, due)
        );
        let containers = containers?;
        if !mode.only_looks() && !self.is_wanted(shared, &containers, now).await? {
            return Ok(Passed::Absent);
        }
        let labels = Labels::read(&shared.host.engine, &shared.image_labels, &containers).await?;
        if !mode.only_looks() && self.link.is_none() && !labels.are_none() {
            let made = anchor::Volumes::make(&shared.host.engine, &self.name).await;
            made.map_err(|source| self.own(source))?;
        }
        // Load.
        match self.open_link(shared, mode, volumes).await {
            Err(Error::Link(link::Error::Busy { holder, .. })) => return Ok(Passed::Held(holder)),
            other => other?,
        }
        if let Some(Link {
            lease: Lease::Held(holder),
            ..
        }) = &self.link
            && !mode.only_looks()
        {
            let holder = holder.clone();
            self.link = None;
            return Ok(Passed::Held(holder));
        }
        if self.link.is_none() && !mode.only_looks() {
            return Ok(Passed::Absent);
        }
        if !mode.only_looks() {
            self.drop_kept(&containers).await?;
        }
        // Validate.
        let config = shared.sources.config();
        self.heed(&labels, &config, mode).await?;
        let Some(applied) = self.applied.clone() else {
            return Ok(Passed::Absent);
        };
        let compiled = match &self.compiled {
            Some(compiled) => Arc::clone(compiled),
            None => Arc::clone(
                self.compiled
                    .insert(Arc::new(Compiled::of(&applied, &config))),
            ),
        };
        let desired = &compiled.desired;
        // Observe.
        let mut observed = Observed {
            gate_open: self.gates.load(Relaxed) > 0,
            last_compose_activity: self.compose_activity,
            paused: self.switches.paused || shared.draining.load(Relaxed),
            ..Observed::default()
        };
        let images = match &self.link {
            Some(link) => {
                let (engine, volumes) = (&shared.host.engine, &link.volumes);
                observe::images(engine, desired, &containers, volumes, observed.gate_open).await?
            }
            None => BTreeMap::new(),
        };
        // Probe.
        let (answers, logs) = match guess.filter(|it| it.holds(self.link.as_ref(), &compiled)) {
            Some(it) => (it.answers, it.logs?),
            None => {
                let due = self.due(now);
                let logs = observe::logs(self.link.as_ref(), &compiled.desired);
                let (answers, logs) = tokio::join!(self.versions(shared, due), logs);
                (answers, logs?)
            }
        };
        self.look_at_volumes(&logs, &images, &mut observed, now)
            .await?;
        let asked = answers.len();
        if !answers.is_empty() {
            // Now, not when the pass began: one that has waited for an answer in vain does not ask again at once.
            self.tracker
                .record(answers, Instant::now(), |r| compiled.refresh_of(r));
        }
        self.tally.versions(self.tracker.seen().len(), asked);
        if std::mem::take(&mut self.retry) {
            self.workbench.clear();
            // Written down with the next change; a crash before that costs the user one more word.
            let services: Vec<ServiceName> = self.memory.services.keys().cloned().collect();
            services.iter().for_each(|name| self.memory.retry(name));
        }
        // Needs, fetch and render.
        let due = needs(
            desired,
            &self.memory,
            &observed.services,
            &self.tracker.versions(),
        )
        .services;
        if let Some(link) = &self.link {
            let order = Order {
                engine: &shared.host.engine,
                owners: &shared.owners,
                sources: &shared.sources,
                spec: &applied.spec,
                desired,
                memory: &self.memory,
                key: &link.key.0,
                images: &images,
                logs: &logs.entries,
                limit: config.limits.value,
                now,
            };
            self.workbench
                .resolve(&order, &mut self.tracker, &due, &mut observed.services)
                .await;
        }
        let clock = logs.clock();
        let engine_now = Time(clock.realtime);
        observed.boot = clock.boottime;
        let volumes = self.link.as_ref().map(|l| &l.volumes);
        observed.results = background.results;
        observed.containers = containers
            .iter()
            .map(|it| observe::container(it, volumes))
            .collect();
        for it in &mut observed.containers {
            it.operation = background.operations.get(&it.id).copied();
            it.probing = self.background.is_probing(&it.id);
            it.probed = self.background.probed(&it.id, it.started_at);
            it.touched = self.touched.get(&it.id).copied();
        }
        // Plan.
        let policy = Policy {
            act: matches!(mode, Mode::Act | Mode::Forecast),
            quiet: config.timeouts.quiet,
            ..Policy::default()
        };
        let planned = plan(desired, &observed, &self.memory, &policy, engine_now);
        // Apply.
        let rendered = observed
            .services
            .iter()
            .map(|(name, it)| (name.clone(), it.rendered.clone()))
            .collect();
        let mut look = Look {
            done: Vec::new(),
            failed: Vec::new(),
            rendered,
            now: engine_now,
            again: None,
            planned,
        };
        if !mode.only_looks() {
            self.apply(shared, &mut look, &observed).await?;
            self.prune(&look, &logs.entries).await?;
        }
        self.failures = if look.failed.is_empty() {
            0
        } else {
            self.failures.saturating_add(1)
        };
        look.again = self.again(&look, mode, now);
        Ok(Passed::Looked(Box::new(look)))
    }

    /// What to ask for, as far as it is known what is wanted.
    fn due(&mut self, now: Instant) -> Vec<SecretRef> {
        let Some(compiled) = &self.compiled else {
            return Vec::new();
        };
        let wanted = compiled.references();
        self.tracker.retain(&wanted);
        self.tracker.due(&wanted, now, |r| compiled.refresh_of(r))
    }

    async fn versions(&self, shared: &Shared, due: Vec<SecretRef>) -> Answers<SecretVersion> {
        match &self.applied {
            Some(applied) if !due.is_empty() => shared.sources.versions(&applied.spec, due).await,
            _ => Answers::new(),
        }
    }

    /// Asks for what a pass needs before it is known whether spec and way in are what they were: mostly they are.
    async fn guess(&self, shared: &Shared, due: Vec<SecretRef>) -> Option<Guess> {
        let (compiled, link) = (self.compiled.as_ref()?, self.link.as_ref()?);
        let logs = observe::logs(Some(link), &compiled.desired);
        let (answers, logs) = tokio::join!(self.versions(shared, due), logs);
        Some(Guess {
            compiled: Arc::clone(compiled),
            session: Arc::clone(&link.session),
            answers,
            logs,
        })
    }

    async fn look_at_volumes(
        &mut self,
        logs: &Logs,
        images: &BTreeMap<ServiceName, String>,
        observed: &mut Observed,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        self.unread.clone_from(&logs.unread);
        let verify = self
            .verified
            .is_none_or(|at| now + VERIFY_SLACK >= at + VERIFY_EVERY);
        for (service, log) in &logs.entries {
            if verify && !log.is_empty() {
                match observe::drift(link, service).await? {
                    Some(what) => drop(self.drifted.insert(service.clone(), what)),
                    None => drop(self.drifted.remove(service)),
                }
            }
            let intact = !self.drifted.contains_key(service);
            // What names of owners mean changes with the image.
            let around = images.get(service).cloned().unwrap_or_default();
            observed
                .services
                .insert(service.clone(), observe::service(log, intact, around));
        }
        if verify {
            self.verified = Some(now);
        }
        Ok(())
    }

    fn again(&self, look: &Look, mode: Mode, now: Instant) -> Option<Duration> {
        if mode.only_looks() {
            return None;
        }
        let acted = look
            .planned
            .now
            .iter()
            .any(|s| s.action != Action::Remember);
        // After a failure the same step comes again: not at once, and what waits for something else does not wait for that.
        let soonest = match self.failures {
            0 if acted => return Some(Duration::ZERO),
            0 => Duration::from_millis(1),
            _ => HELD_RETRY,
        };
        let pause = HELD_RETRY.saturating_mul(1 << self.failures.min(6));
        let retry = (self.failures > 0).then(|| pause.min(FAILED_RETRY));
        let at = look.planned.wake_at.map(|at| at.since(look.now));
        let poll = self
            .tracker
            .next_due()
            .map(|due| due.saturating_duration_since(now));
        let verify = self
            .verified
            .map(|at| (at + VERIFY_EVERY).saturating_duration_since(now));
        // Where nothing is asked for any more, nothing else brings the end about.
        let release = self
            .idle_since
            .map(|since| (since + RELEASE_AFTER).saturating_duration_since(now));
        [at, poll, verify, release, retry]
            .into_iter()
            .flatten()
            .min()
            .map(|d| d.max(soonest))
    }

    /// True while a container is between our stop and our start of it.
    pub fn has_begun(&self) -> bool {
        let half = |m: &locket_core::memory::ContainerMemory| {
            m.intent
                .as_ref()
                .is_some_and(|i| matches!(i.phase, Phase::Stopping | Phase::Starting))
        };
        self.background.is_busy() || self.memory.containers.values().any(half)
    }

    /// Why the anchor does not deliver to services, by service.
    pub fn refused(&self) -> impl Iterator<Item = (&ServiceName, &String)> {
        self.unread.iter().chain(&self.refused)
    }

    /// The same of one service.
    pub fn refusal(&self, service: &ServiceName) -> Option<&String> {
        self.unread
            .get(service)
            .or_else(|| self.refused.get(service))
    }
}
