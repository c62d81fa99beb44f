//! The words of the planner: what is wanted, what is there, what is remembered, what is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locket_crds::id::{Fingerprint, ProjectName, ServiceName};
use locket_crds::item::Item;
use locket_crds::reference::SecretRef;
use locket_crds::spec::{ComposeService, OnChange};
use serde::{Deserialize, Serialize};

/// A moment on the engine's clock: nanoseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// This moment plus a span; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The span from an earlier moment to this one; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What a backend calls the version of a secret; where it has none, a keyed hash of the value. Only ever compared and shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionSeen(pub String);

/// Validated intent. Only `validate` makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The project.
    pub project: ProjectName,
    /// Services that get something from us.
    pub services: BTreeMap<ServiceName, DesiredService>,
    /// What we know of every service of the model.
    pub model: BTreeMap<ServiceName, ComposeService>,
}

/// One service that gets something.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredService {
    /// Mount point in the container.
    pub path: String,
    /// Everything it is given.
    pub items: Vec<Item>,
    /// Every reference that its items use.
    pub references: BTreeSet<SecretRef>,
    /// The action, with all defaults applied.
    pub on_change: OnChange,
    /// Digest of `items`; it says that rendering is due, nothing more.
    pub digest: u64,
}

/// Everything that one pass has seen, at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// Per service with secrets.
    pub services: BTreeMap<ServiceName, ObservedService>,
    /// Every container of the project, in any state; one-off containers (`compose run`) included.
    pub containers: Vec<ObservedContainer>,
    /// A gate is open on the project right now (`docker compose up` runs).
    pub gate_open: bool,
    /// The last time that somebody but us created, stopped or removed a container of this project; one-off containers aside.
    pub last_compose_activity: Option<Time>,
    /// The user has paused the project.
    pub paused: bool,
    /// CLOCK_BOOTTIME of the engine's machine at the moment of `now`, nanoseconds; read together with it, by the anchor.
    pub boot: u64,
    /// What came of the steps that have finished since the last pass.
    pub results: Vec<StepResult>,
}

/// What came of a step. A result that is lost (crash) is made up for by what is observed.
#[derive(Debug, Clone, PartialEq)]
pub enum StepResult {
    /// A stop came back.
    Stopped {
        /// Which container.
        container: ContainerId,
        /// What the engine said.
        outcome: StopOutcome,
    },
    /// The engine refused a start or a stop.
    Refused {
        /// Which container.
        container: ContainerId,
        /// What was tried.
        operation: Operation,
        /// The engine's own words, in one clause.
        message: String,
    },
    /// A signal was sent (the engine said 204).
    Signalled {
        /// Which container.
        container: ContainerId,
        /// What it was sent for.
        content: Fingerprint,
    },
    /// A hook came back.
    Hook {
        /// In which container it ran.
        container: ContainerId,
        /// What it was run for.
        content: Fingerprint,
        /// Its exit code; `None` if it could not be run.
        exit_code: Option<i64>,
        /// For people; never the hook's output.
        message: String,
    },
}

/// The engine's answer to a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// 204: this call stopped it.
    Stopped,
    /// 304: it was stopped already.
    AlreadyStopped,
}

/// One service's volume and what was made for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObservedService {
    /// Its volume exists and the anchor mounts it.
    pub mounted: bool,
    /// The generation log, oldest first; the last entry is the current generation.
    pub log: Vec<Published>,
    /// The files of the current generation are as they were published.
    pub intact: bool,
    /// What rendering depends on besides the spec (numbers of the service's user, …), as one word that is only compared.
    pub surroundings: String,
    /// What rendering gave in this pass.
    pub rendered: Rendered,
}

impl ObservedService {
    /// The current generation.
    pub fn current(&self) -> Option<&Published> {
        self.log.last()
    }
}

/// One entry of the generation log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Sequence number, rising.
    pub seq: u64,
    /// Fingerprint of what was published.
    pub fingerprint: Fingerprint,
    /// When, by the engine machine's CLOCK_REALTIME.
    pub at: Time,
    /// When, by its CLOCK_BOOTTIME, nanoseconds.
    pub boot: u64,
}

/// What rendering gave. The bytes stay outside of the planner; the handle names them.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Rendered {
    /// Not asked for: nothing has changed that could change it.
    #[default]
    Unchanged,
    /// Complete and valid.
    Ready {
        /// What it would be published as.
        fingerprint: Fingerprint,
        /// Names the bytes for the executor.
        handle: u64,
        /// True when only mode, owner or update mode differ from the current generation, bytes and targets do not.
        metadata_only: bool,
        /// References whose value differs from the last published ones; for causes. May be empty when unknown.
        changed: Vec<SecretRef>,
        /// The versions that it was rendered from.
        versions: BTreeMap<SecretRef, VersionSeen>,
    },
    /// Something is wrong; nothing may be delivered.
    Failed {
        /// Bounded word: `NotFound`, `Denied`, `Unavailable`, `Invalid`, `EmptyValue`, `NotGranted`, `TemplateError`, …
        reason: String,
        /// For people, with file:line:column.
        message: String,
    },
}

/// A container's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub String);

/// One container of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without the slash.
    pub name: String,
    /// Its service.
    pub service: ServiceName,
    /// `com.docker.compose.container-number`.
    pub number: u32,
    /// Made by `docker compose run`.
    pub oneoff: bool,
    /// Mounts our volume of its service.
    pub has_volume: bool,
    /// Runs under our shim.
    pub has_shim: bool,
    /// What it is doing.
    pub state: ContainerState,
    /// `State.StartedAt`; `None` if it never started.
    pub started_at: Option<Time>,
    /// `State.FinishedAt`.
    pub finished_at: Option<Time>,
    /// Its healthcheck's word.
    pub health: Health,
    /// How long after a start its healthcheck may have nothing to say: its start period and the time to its first check.
    /// `None` if it has no healthcheck, its own or its image's.
    pub checked_within: Option<Duration>,
    /// `RestartCount`.
    pub restart_count: u64,
    /// `State.ExitCode`.
    pub exit_code: i64,
    /// The answer of the last `Probe` of this incarnation, if one was made.
    pub probed: Option<Probed>,
    /// A long engine call of ours that is still under way on it.
    pub operation: Option<Operation>,
    /// It is being asked which generation it started with.
    pub probing: bool,
    /// The last time that somebody but us stopped it.
    pub touched: Option<Time>,
    /// Its restart policy keeps it up whatever its exit code is (`always`, `unless-stopped`): where it is down, somebody has stopped it.
    pub kept_up: bool,
    /// Its own grace period for a stop; `None` is the engine's 10 s.
    pub stop_grace: Option<Duration>,
}

/// `State.Status` of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the engine's own words")]
pub enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// `State.Health.Status` of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the engine's own words")]
pub enum Health {
    None,
    Starting,
    Healthy,
    Unhealthy,
}

/// What the process itself said about the generation it started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// `LOCKET_GENERATION`.
    Seq(u64),
    /// It could not be read.
    Unknown,
}

/// A long engine call of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A stop that waits for the grace period.
    Stopping,
    /// A start.
    Starting,
    /// An exec hook.
    Hook,
}

/// Knobs that are not part of the spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// A controller acts; a gate alone only delivers.
    pub act: bool,
    /// Quiet time after compose's last activity before anything is disrupted; default 5 s.
    pub quiet: Duration,
    /// First retry of a failing hook; doubles up to five minutes. Default 2 s.
    pub hook_retry: Duration,
    /// First retry of a start or a stop that the engine refused; doubles up to one minute. Default 1 s.
    pub engine_retry: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            act: true,
            quiet: Duration::from_secs(5),
            hook_retry: Duration::from_secs(2),
            engine_retry: Duration::from_secs(1),
        }
    }
}

/// One effect: one engine or anchor call. None of them waits for a later state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write the new memory to the project volume. Always first; nothing follows it if it fails.
    Remember,
    /// Publish a rendered generation, if the sequence number is still `expect`.
    Publish {
        /// For which service.
        service: ServiceName,
        /// The rendered bytes.
        handle: u64,
        /// The current sequence number; 0 for none.
        expect: u64,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// Publish the content of an older generation again, as a new one.
    Restore {
        /// For which service.
        service: ServiceName,
        /// Whose content.
        seq: u64,
        /// The current sequence number.
        expect: u64,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// Ask the process which generation it started with.
    Probe {
        /// Which container.
        container: ContainerId,
    },
    /// Stop with the container's own grace period.
    Stop {
        /// Which container.
        container: ContainerId,
        /// The grace period.
        grace: Duration,
    },
    /// Start.
    Start {
        /// Which container.
        container: ContainerId,
    },
    /// Send a signal.
    Signal {
        /// Which container.
        container: ContainerId,
        /// Name without `SIG`.
        signal: String,
        /// What is current.
        content: Fingerprint,
    },
    /// Run the hook.
    Exec {
        /// Which container.
        container: ContainerId,
        /// The command.
        argv: Vec<String>,
        /// What is current.
        content: Fingerprint,
        /// One that takes longer has failed.
        timeout: Duration,
    },
}
