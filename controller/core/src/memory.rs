//! What is remembered about a project between passes: one small file in the project volume.
//!
//! The planner owns its shape. It is written before the steps of the plan that it belongs to,
//! so everything here is either a fact (what was seen, what was acknowledged) or an intent (what is about to be done).
//! Losing it costs at most one restart or one more run of a hook; it holds no value.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::reference::SecretRef;
use serde::{Deserialize, Serialize};

use crate::model::{ContainerId, Time, VersionSeen};

/// Events that are kept for `explain`.
const EVENTS: usize = 256;

/// Everything that is remembered about one project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Version of this structure; 1.
    pub version: u32,
    /// Per service of the model.
    #[serde(default)]
    pub services: BTreeMap<ServiceName, ServiceMemory>,
    /// Per container, by id.
    #[serde(default)]
    pub containers: BTreeMap<ContainerId, ContainerMemory>,
    /// What has happened, oldest first; bounded. Shared: it is most of a memory, and mostly the same in the next one.
    #[serde(default, with = "shared")]
    pub events: Arc<VecDeque<Event>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            version: 1,
            services: BTreeMap::new(),
            containers: BTreeMap::new(),
            events: Arc::default(),
        }
    }
}

/// What is remembered about a service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceMemory {
    /// What the last rendering was made from, and what came out.
    pub rendered: Option<Inputs>,
    /// The last content that all its containers came up with.
    pub accepted: Option<Fingerprint>,
    /// The last content that they did not come up with.
    pub failure: Option<Failure>,
    /// Content that differs only in mode or owner → the content that it is like.
    #[serde(with = "pairs")]
    pub alike: BTreeMap<Fingerprint, Fingerprint>,
    /// The exec hook.
    pub hook: HookMemory,
    /// The last round of restarts.
    pub round: Option<Round>,
    /// Since when a change waits for compose to be quiet.
    pub busy_since: Option<Time>,
    /// How often we have restarted one of its containers; who joins their namespaces must follow.
    pub restarts: u64,
}

impl ServiceMemory {
    /// True for content that was put back and is not tried again.
    pub fn is_rejected(&self, fingerprint: Fingerprint) -> bool {
        self.failure
            .as_ref()
            .is_some_and(|f| f.rejected && f.fingerprint == fingerprint)
    }
}

/// What a generation was rendered from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Digest of the service's items.
    pub digest: u64,
    /// As in [`ObservedService`](crate::model::ObservedService).
    #[serde(default)]
    pub surroundings: String,
    /// Versions of every reference.
    pub versions: BTreeMap<SecretRef, VersionSeen>,
    /// What came out.
    pub fingerprint: Fingerprint,
}

/// Content that containers did not come up with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The content.
    pub fingerprint: Fingerprint,
    /// One line for people.
    pub message: String,
    /// The last good content was put back, and this one is not tried again.
    pub rejected: bool,
    /// When.
    pub at: Time,
}

/// The state of an exec hook. It acts on the service's own state, so it belongs to the service and not to a container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HookMemory {
    /// The content for which it last succeeded, or the first one that was ever delivered.
    pub acknowledged: Option<Fingerprint>,
    /// The content for which it was last begun without a success since.
    pub begun: Option<Fingerprint>,
    /// Failures in a row.
    pub failures: u32,
    /// Not before.
    pub not_before: Option<Time>,
    /// What went wrong last.
    pub message: Option<String>,
}

/// A round of restarts: all replicas of a service, for one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What the containers are restarted for.
    pub want: Print,
    /// When it began.
    pub at: Time,
    /// How often `restart_every` is doubled before the next one.
    pub widen: u32,
}

/// A start fingerprint: one word over a process's own content and the start fingerprints of what it depends on.
/// Only ever compared, within one project.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Print(pub u64);

/// What is remembered about a container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerMemory {
    /// The incarnation that was last seen running.
    pub seen: Option<Incarnation>,
    /// What we are doing to it.
    pub intent: Option<Intent>,
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incarnation {
    /// `State.StartedAt`; with the container's id it names the run.
    pub started_at: Time,
    /// The generation that it started with, once known.
    pub own: Option<Own>,
    /// The start fingerprints of its dependencies that it has been acknowledged with.
    pub dependencies: BTreeMap<ServiceName, Print>,
    /// The content that it was last sent a signal for.
    #[serde(default)]
    pub signalled: Option<Fingerprint>,
    /// The content that a signal is being sent for.
    #[serde(default)]
    pub signalling: Option<Fingerprint>,
}

impl Incarnation {
    pub(crate) fn new(started_at: Time) -> Self {
        Self {
            started_at,
            own: None,
            dependencies: BTreeMap::new(),
            signalled: None,
            signalling: None,
        }
    }
}

/// A generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Sequence number.
    pub seq: u64,
    /// Fingerprint.
    pub fingerprint: Fingerprint,
}

/// A restart under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The incarnation that is stopped.
    pub started_at: Time,
    /// When it was decided, on the engine's clock.
    pub at: Time,
    /// A stop that ends later is not known as ours by its time: the grace period and 10 s.
    pub deadline: Time,
    /// The engine has said that our call has stopped it: then no clock need say so.
    #[serde(default)]
    pub acknowledged: bool,
    /// How far it has got.
    pub phase: Phase,
    /// The content that the container ran with, if known.
    pub from: Option<Fingerprint>,
    /// The content that it is to run with; `None` for a service without secrets.
    pub to: Option<Fingerprint>,
    /// It puts the last good content back.
    pub rollback: bool,
    /// Stops that were tried.
    pub tries: u32,
    /// Why.
    pub cause: String,
    /// What the engine refused in this phase, if it did.
    #[serde(default)]
    pub refused: Option<Refused>,
}

/// A step of a restart that the engine does not do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The first time.
    pub since: Time,
    /// How often in a row.
    pub times: u32,
    /// It is not tried again before.
    pub not_before: Time,
    /// The engine's own words.
    pub message: String,
    /// It has been written down as a failure.
    pub told: bool,
}

/// The steps of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A stop is being tried.
    Stopping,
    /// It is stopped, by us; a start is being tried.
    Starting,
    /// It runs; whether it is good is not known yet.
    Verifying {
        /// `State.StartedAt` of the new run.
        since: Time,
    },
    /// It did not come up; other content must be there before it is restarted.
    Failed,
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// First time.
    pub first: Time,
    /// Last time.
    pub last: Time,
    /// How often in a row.
    pub count: u32,
    /// The service.
    pub service: ServiceName,
    /// The container's name, if it is about one.
    pub container: Option<String>,
    /// What was done.
    pub kind: EventKind,
    /// The content before.
    pub from: Option<Fingerprint>,
    /// The content after.
    pub to: Option<Fingerprint>,
    /// Secrets that changed: reference, old and new version.
    pub changed: Vec<Change>,
    /// Why it was done.
    pub cause: String,
    /// What came of it.
    pub result: String,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum EventKind {
    Delivered,
    NotDelivered,
    Restarted,
    RestartFailed,
    RolledBack,
    LeftAlone,
    Signalled,
    HookRan,
    HookFailed,
}

/// One secret that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub reference: SecretRef,
    /// The version before, if known.
    pub from: Option<VersionSeen>,
    /// The version now, if known.
    pub to: Option<VersionSeen>,
}

impl Memory {
    /// Forgets that a service's content was rejected, that its hook failed, and what the engine refused: a user wants it tried
    /// again.
    pub fn retry(&mut self, service: &ServiceName) {
        if let Some(it) = self.services.get_mut(service) {
            it.failure = None;
            it.hook.failures = 0;
            it.hook.not_before = None;
        }
        let intents = self
            .containers
            .values_mut()
            .filter_map(|c| c.intent.as_mut());
        intents.for_each(|i| i.refused = None);
    }

    /// The volume did not take what was written down as its next delivery.
    pub fn not_delivered(&mut self, service: &ServiceName, why: &str) {
        let events = Arc::make_mut(&mut self.events);
        let Some(last) = events
            .iter()
            .rposition(|e| e.service == *service && e.kind == EventKind::Delivered)
        else {
            return;
        };
        let mut event = events[last].clone();
        match &mut events[last].count {
            1 => drop(events.remove(last)),
            // The same content was published before.
            more => *more -= 1,
        }
        if event.from.is_none()
            && let Some(it) = self.services.get_mut(service)
        {
            // Nothing was made with it, so it is not what a hook begins with.
            it.hook.acknowledged = None;
        }
        event.kind = EventKind::NotDelivered;
        (event.first, event.count) = (event.last, 1);
        event.result = why.to_owned();
        self.record(event);
    }

    /// The changes in a content that could not be delivered when it was rendered.
    pub(crate) fn undelivered(&self, service: &ServiceName, content: Fingerprint) -> Vec<Change> {
        let last = self.events.iter().rfind(|e| e.service == *service);
        last.filter(|e| e.kind == EventKind::NotDelivered && e.to == Some(content))
            .map_or_else(Vec::new, |e| e.changed.clone())
    }

    /// The open intent on a container.
    pub fn intent(&self, container: &ContainerId) -> Option<&Intent> {
        self.containers.get(container)?.intent.as_ref()
    }

    /// The secrets that changed between two contents of a service, by the deliveries that are written down. Where the first is
    /// not known, those of the last delivery.
    pub(crate) fn changes(
        &self,
        service: &ServiceName,
        from: Option<Fingerprint>,
        to: Option<Fingerprint>,
    ) -> Vec<Change> {
        let Some(to) = to.filter(|to| from != Some(*to)) else {
            return Vec::new();
        };
        if let Some(changes) = self.delivered(service, from, to) {
            return changes;
        }
        // Put back: the same way, backwards.
        let back = from.and_then(|from| self.delivered(service, Some(to), from));
        let turn = |c: Change| Change {
            from: c.to,
            to: c.from,
            ..c
        };
        back.into_iter().flatten().map(turn).collect()
    }

    fn delivered(
        &self,
        service: &ServiceName,
        from: Option<Fingerprint>,
        to: Fingerprint,
    ) -> Option<Vec<Change>> {
        let mut found: BTreeMap<&SecretRef, Change> = BTreeMap::new();
        let mut content = to;
        for event in self.events.iter().rev() {
            if event.service != *service
                || event.kind != EventKind::Delivered
                || event.to != Some(content)
                || event.from == event.to
            {
                continue;
            }
            for change in &event.changed {
                let known = found.get(&change.reference).and_then(|c| c.to.clone());
                let whole = Change {
                    to: known.or(change.to.clone()),
                    ..change.clone()
                };
                found.insert(&change.reference, whole);
            }
            content = event.from?;
            if from.is_none_or(|from| from == content) {
                let differs = |c: &Change| c.from != c.to;
                return Some(found.into_values().filter(differs).collect());
            }
        }
        None
    }

    /// Writes an event down; the same thing again in a row is counted, the oldest goes when there are too many.
    pub(crate) fn record(&mut self, event: Event) {
        let events = Arc::make_mut(&mut self.events);
        if let Some(last) = events.iter_mut().rev().find(|e| e.service == event.service)
            && (last.kind, last.to, &last.container, &last.result)
                == (event.kind, event.to, &event.container, &event.result)
        {
            last.last = event.last;
            last.count += 1;
            return;
        }
        if events.len() >= EVENTS {
            events.pop_front();
        }
        events.push_back(event);
    }
}

/// The longest pause between two rounds of restarts and between two runs of a failing hook grows by doubling.
pub(crate) fn doubled(base: Duration, times: u32, cap: Duration) -> Duration {
    base.saturating_mul(1 << times.min(20)).min(cap.max(base))
}

/// A map as a list of pairs: the keys of a JSON object are text.
mod pairs {
    use std::collections::BTreeMap;

    use locket_crds::id::Fingerprint;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<Fingerprint, Fingerprint>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<BTreeMap<Fingerprint, Fingerprint>, D::Error> {
        Ok(Vec::<(Fingerprint, Fingerprint)>::deserialize(d)?
            .into_iter()
            .collect())
    }
}

/// What is shared in memory is written like what is not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(it: &Arc<T>, s: S) -> Result<S::Ok, S::Error> {
        it.as_ref().serialize(s)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(d).map(Arc::new)
    }
}
