//! What is and why: conditions for every service and the project, and what must be kept.

use std::collections::BTreeMap;

use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::spec::ChangeAction;

use crate::act::outdated;
use crate::generation::Start;
use crate::memory::{Change, EventKind, Failure, Phase};
use crate::model::{ContainerId, ContainerState, Health, ObservedContainer, Rendered, Time};
use crate::pass::Pass;
use crate::plan::{Later, Reason};
use crate::{act, hook};

/// Everything that `status` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Per service that gets something.
    pub services: BTreeMap<ServiceName, ServiceReport>,
    /// Of the project: a type is `True` if it is for all services (`Stale`, `Drifted`, `Paused`: for any).
    pub conditions: Vec<Condition>,
    /// Sequence numbers per service that must stay readable: current, last good, and what a living container may have started with.
    pub keep: BTreeMap<ServiceName, Vec<u64>>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceReport {
    /// One of each type, in a fixed order.
    pub conditions: Vec<Condition>,
    /// The current generation's sequence number; 0 for none.
    pub generation: u64,
    /// Its fingerprint.
    pub fingerprint: Option<Fingerprint>,
    /// When it was published, on the engine's clock.
    pub published: Option<Time>,
    /// Its containers.
    pub containers: Vec<ContainerReport>,
}

/// One container of a service that gets something.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerReport {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ContainerState,
    /// The generation that it started with; `None` if unknown, or if it does not run.
    pub started_with: Option<u64>,
    /// Why it does not run with what it should, if it does not.
    pub outdated: Option<String>,
    /// It mounts our volume; one that does not gets nothing and is never touched.
    pub has_volume: bool,
}

/// A condition, as of this pass; the time of the last transition is added where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: bool,
    /// A bounded word.
    pub reason: String,
    /// For people; may be empty.
    pub message: String,
}

/// The types of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "described in the user's reference; the words are the API"
)]
pub enum ConditionKind {
    SourceReady,
    Resolved,
    Delivered,
    RolledOut,
    Ready,
    Stale,
    Drifted,
    Paused,
}

impl Report {
    /// A service's condition.
    pub fn condition(&self, service: &ServiceName, kind: ConditionKind) -> Option<&Condition> {
        self.services
            .get(service)?
            .conditions
            .iter()
            .find(|c| c.kind == kind)
    }
}

pub(crate) fn report(pass: &Pass) -> Report {
    let mut held: BTreeMap<&ServiceName, Vec<&Later>> = BTreeMap::new();
    pass.later
        .iter()
        .for_each(|l| held.entry(&l.service).or_default().push(l));
    // Containers that do not mount our volume are left out of the pass; here they are named.
    let mut bare: BTreeMap<&ServiceName, Vec<_>> = BTreeMap::new();
    for it in pass
        .observed
        .containers
        .iter()
        .filter(|it| !it.has_volume && !it.oneoff)
    {
        bare.entry(&it.service).or_default().push(it);
    }
    let mut out = Report::default();
    for service in pass.desired.services.keys() {
        let containers = containers(pass, service, bare.get(service).map_or(&[], Vec::as_slice));
        let conditions = conditions(
            pass,
            service,
            &containers,
            held.get(service).map_or(&[], Vec::as_slice),
        );
        let current = pass.current(service);
        let (generation, fingerprint) =
            (current.map_or(0, |p| p.seq), current.map(|p| p.fingerprint));
        out.keep.insert(service.clone(), keep(pass, service));
        out.services.insert(
            service.clone(),
            ServiceReport {
                conditions,
                generation,
                fingerprint,
                published: current.map(|p| p.at),
                containers,
            },
        );
    }
    out.conditions = of_project(&out);
    // A service that gets nothing, and follows another's restart, has no conditions of its own.
    let others = pass.order.sequence.iter().copied();
    let followers = others.filter(|s| !pass.desired.services.contains_key(*s));
    for (service, (reason, text)) in followers.filter_map(|s| Some((s, under_way(pass, s)?))) {
        for it in out.conditions.iter_mut().filter(|c| {
            matches!(c.kind, ConditionKind::RolledOut | ConditionKind::Ready) && c.status
        }) {
            (it.status, it.reason) = (false, reason.to_string());
            it.message = format!("{service}: {text}");
        }
    }
    out
}

fn containers(
    pass: &Pass,
    service: &ServiceName,
    bare: &[&ObservedContainer],
) -> Vec<ContainerReport> {
    let one = |it: &&ObservedContainer| {
        let started_with = match pass.starts.get(&it.id) {
            Some(Start::Known(own)) => Some(own.seq),
            _ => None,
        };
        let runs = !act::is_out_of_reach(it);
        let outdated = outdated(pass, service, it)
            .filter(|_| runs)
            .map(|r| r.cause.text);
        ContainerReport {
            id: it.id.clone(),
            name: it.name.clone(),
            state: it.state,
            started_with,
            outdated,
            has_volume: it.has_volume,
        }
    };
    pass.of(service).iter().chain(bare).map(one).collect()
}

fn conditions(
    pass: &Pass,
    service: &ServiceName,
    containers: &[ContainerReport],
    held: &[&Later],
) -> Vec<Condition> {
    use ConditionKind::{
        Delivered, Drifted, Paused, Ready, Resolved, RolledOut, SourceReady, Stale,
    };
    let yes = |kind| Condition {
        kind,
        status: true,
        reason: "AsExpected".into(),
        message: String::new(),
    };
    let no = |kind| Condition {
        kind,
        status: false,
        reason: "AsExpected".into(),
        message: String::new(),
    };
    let say = |kind, status, reason: String, message: String| Condition {
        kind,
        status,
        reason,
        message,
    };
    if pass.is_absent(service) {
        let absent = |kind| {
            say(
                kind,
                true,
                "NotStarted".into(),
                "it was not part of `up`".into(),
            )
        };
        return vec![
            yes(SourceReady),
            yes(Resolved),
            absent(Delivered),
            absent(RolledOut),
            absent(Ready),
            no(Stale),
            no(Drifted),
            no(Paused),
        ];
    }
    let (mut source, mut resolved, mut stale) = (yes(SourceReady), yes(Resolved), no(Stale));
    let seen = pass.seen(service);
    if let Some(Rendered::Failed { reason, message }) = seen.map(|s| &s.rendered) {
        let at_source = matches!(
            reason.as_str(),
            "Denied" | "Unauthenticated" | "Unavailable" | "Throttled" | "NotGranted"
        );
        let slot = if at_source {
            &mut source
        } else {
            &mut resolved
        };
        *slot = say(slot.kind, false, reason.clone(), message.clone());
        if pass.current(service).is_some() {
            stale = say(
                Stale,
                true,
                reason.clone(),
                "the last good generation stays".into(),
            );
        }
    }
    let delivered = match held.iter().find(|l| l.what == "publish") {
        Some(l) => say(
            Delivered,
            false,
            l.cause.reason.to_string(),
            l.cause.text.clone(),
        ),
        None if pass.publishing.contains_key(service) && !pass.policy.act => say(
            Delivered,
            false,
            Reason::NoController.to_string(),
            "no controller acts on this project".into(),
        ),
        None if pass.publishing.contains_key(service) => say(
            Delivered,
            false,
            "Publishing".into(),
            "it is being published".into(),
        ),
        None if pass.current(service).is_none() => say(
            Delivered,
            false,
            "NoGeneration".into(),
            "nothing was delivered yet".into(),
        ),
        None if !source.status || !resolved.status => say(
            Delivered,
            false,
            "Unresolved".into(),
            "its secrets cannot be read or rendered now".into(),
        ),
        None => yes(Delivered),
    };
    let rolled_out = match rollout(pass, service, containers, held) {
        Some((reason, message)) => say(RolledOut, false, reason, message),
        None => yes(RolledOut),
    };
    let drifted = match seen {
        Some(s) if s.current().is_some() && !s.intact => say(
            Drifted,
            true,
            Reason::FilesDrifted.to_string(),
            "files are not as they were published".into(),
        ),
        _ => no(Drifted),
    };
    let paused = if pass.observed.paused {
        say(Paused, true, "ByUser".into(), String::new())
    } else {
        no(Paused)
    };
    let unwell = pass.of(service).iter().find(|it| {
        it.state == ContainerState::Running
            && matches!(it.health, Health::Starting | Health::Unhealthy)
    });
    let first = [&source, &resolved, &delivered, &rolled_out]
        .into_iter()
        .find(|c| !c.status);
    let ready = match (first, unwell) {
        (Some(c), _) => say(Ready, false, c.reason.clone(), c.message.clone()),
        (None, Some(it)) => say(
            Ready,
            false,
            "NotHealthy".into(),
            format!("{} is not healthy", it.name),
        ),
        (None, None) => yes(Ready),
    };
    vec![
        source, resolved, delivered, rolled_out, ready, stale, drifted, paused,
    ]
}

/// Why a service's containers do not all run with what they should.
fn rollout(
    pass: &Pass,
    service: &ServiceName,
    containers: &[ContainerReport],
    held: &[&Later],
) -> Option<(String, String)> {
    let memory = pass.memory.services.get(service);
    let said = |l: &Later| {
        (
            l.cause.reason.to_string(),
            format!("{}: {}", l.what, l.cause.text),
        )
    };
    let under_way = under_way(pass, service);
    // A container that is down says more than why it was taken down.
    if let Some((reason @ Reason::StartFailed, text)) = &under_way {
        return Some((reason.to_string(), text.clone()));
    }
    if let Some(failure) = memory.and_then(|m| m.failure.as_ref()) {
        let reason = if failure.rejected {
            "RolledBack"
        } else {
            "NotHealthy"
        };
        let mut message = failure.message.clone();
        let others = ahead(pass, service, failure);
        if failure.rejected && !others.is_empty() {
            message.push_str(&format!(
                "; still with the new value: {}",
                others.join(", ")
            ));
        }
        return Some((reason.into(), message));
    }
    if hook::is_due(pass, service) {
        let hook = memory.map(|m| &m.hook).filter(|h| h.failures > 0);
        let message = |h: &crate::memory::HookMemory| h.message.clone().unwrap_or_default();
        return Some(hook.map_or_else(
            || {
                (
                    Reason::HookPending.to_string(),
                    held.iter()
                        .find(|l| l.what == "hook")
                        .map_or(String::new(), |l| l.cause.text.clone()),
                )
            },
            |h| (Reason::HookFailed.to_string(), message(h)),
        ));
    }
    if let Some(bare) = containers.iter().find(|c| !c.has_volume) {
        return Some((
            Reason::NotMounted.to_string(),
            format!("{} does not mount the service's volume", bare.name),
        ));
    }
    if let Some(l) = held.iter().find(|l| l.what != "publish") {
        return Some(said(l));
    }
    if let Some((reason, text)) = under_way {
        return Some((reason.to_string(), text));
    }
    if let Some((c, why)) = containers
        .iter()
        .find_map(|c| Some((c, c.outdated.as_ref()?)))
    {
        return Some(("RollingOut".into(), format!("{}: {why}", c.name)));
    }
    let action = &pass.wanted(service)?.on_change.action;
    let unsupported = matches!(action, ChangeAction::Recreate | ChangeAction::Rollout);
    let behind = pass
        .running(service)
        .find(|it| unsupported && act::own_change(pass, service, it).is_some())?;
    let text = format!(
        "{} runs with an old value; recreate and rollout are not done yet",
        behind.name
    );
    Some((Reason::NotSupportedYet.to_string(), text))
}

/// Services that have a secret in the version with which this one did not come up: both are not the same any more, and only a
/// person can say which of the two is right.
fn ahead<'a>(pass: &'a Pass, service: &ServiceName, failure: &Failure) -> Vec<&'a str> {
    // One that was tried again was rendered from the same versions: nothing had changed then.
    let delivered = pass.memory.events.iter().rfind(|it| {
        it.service == *service
            && it.kind == EventKind::Delivered
            && it.to == Some(failure.fingerprint)
            && !it.changed.is_empty()
    });
    let changes = delivered.map_or(&[][..], |it| &it.changed);
    let has_one = |other: &&ServiceName| {
        let rendered = pass.memory.services.get(*other);
        rendered
            .and_then(|it| it.rendered.as_ref())
            .is_some_and(|it| {
                let is_there = pass
                    .current(other)
                    .is_some_and(|current| current.fingerprint == it.fingerprint);
                let same =
                    |c: &Change| c.to.is_some() && it.versions.get(&c.reference) == c.to.as_ref();
                is_there && changes.iter().any(same)
            })
    };
    let others = pass.desired.services.keys().filter(|it| *it != service);
    others.filter(has_one).map(|it| it.as_str()).collect()
}

/// A restart that is not over: until then it is not known what came of it.
fn under_way(pass: &Pass, service: &ServiceName) -> Option<(Reason, String)> {
    let (container, intent) = pass
        .of(service)
        .iter()
        .find_map(|it| Some((it, pass.memory.intent(&it.id)?)))?;
    let (reason, text) = match (&intent.refused, intent.phase) {
        (Some(refused), Phase::Stopping) => (Reason::StopFailed, &refused.message),
        (Some(refused), _) => (Reason::StartFailed, &refused.message),
        (None, _) => (Reason::RestartUnderWay, &intent.cause),
    };
    Some((reason, format!("{}: {text}", container.name)))
}

/// So many generations are kept for a container that cannot tell which it has: as many as fit into a volume at their largest.
const UNKNOWN_KEPT: usize = 3;

fn keep(pass: &Pass, service: &ServiceName) -> Vec<u64> {
    let Some(log) = pass.seen(service).map(|s| &s.log) else {
        return Vec::new();
    };
    let accepted = pass.memory.services.get(service).and_then(|m| m.accepted);
    let starts: Vec<_> = pass
        .running(service)
        .map(|it| (it, pass.starts.get(&it.id)))
        .collect();
    // Until a container has been asked, everything is kept. The answer takes seconds.
    let is_open =
        |start: Option<&Start>| matches!(start, Some(Start::Ask(_) | Start::Waiting) | None);
    if starts.iter().any(|(_, start)| is_open(*start)) {
        return log.iter().map(|p| p.seq).collect();
    }
    // One that cannot tell may have an old one, and its healthcheck reads it through the shim. That must not fill the volume.
    let cannot_tell = |(it, start): &(&ObservedContainer, Option<&Start>)| {
        it.has_shim && matches!(start, Some(Start::Unknown))
    };
    let newest = match starts.iter().any(cannot_tell) {
        true => UNKNOWN_KEPT,
        false => 1,
    };
    let newest: Vec<u64> = log.iter().rev().take(newest).map(|p| p.seq).collect();
    let used = |seq: u64| {
        starts
            .iter()
            .any(|(_, s)| matches!(s, Some(Start::Known(own)) if own.seq == seq))
    };
    let good = log
        .iter()
        .rev()
        .find(|p| Some(p.fingerprint) == accepted)
        .map(|p| p.seq);
    log.iter()
        .map(|p| p.seq)
        .filter(|seq| used(*seq) || Some(*seq) == good || newest.contains(seq))
        .collect()
}

/// Whether a service only waits for what another one, or the next moment, brings.
fn follows(reason: &str) -> bool {
    let all = [
        Reason::WaitsForDependency,
        Reason::DependencyFailed,
        Reason::RestartUnderWay,
    ];
    all.iter().any(|it| it.to_string() == reason) || reason == "Publishing"
}

fn of_project(report: &Report) -> Vec<Condition> {
    use ConditionKind::{
        Delivered, Drifted, Paused, Ready, Resolved, RolledOut, SourceReady, Stale,
    };
    let one = |kind| {
        let bad = matches!(kind, Stale | Drifted | Paused);
        let of_services = report.services.iter().filter_map(|(name, s)| {
            let mut all = s.conditions.iter();
            Some((name, all.find(|c| c.kind == kind && c.status == bad)?))
        });
        // The first that is not there because of another one.
        let found = of_services.min_by_key(|(_, c)| follows(&c.reason));
        match found {
            Some((name, c)) if kind != Paused => {
                let message = if c.message.is_empty() {
                    name.to_string()
                } else {
                    format!("{name}: {}", c.message)
                };
                Condition {
                    message,
                    ..c.clone()
                }
            }
            Some((_, c)) => c.clone(),
            None => Condition {
                kind,
                status: !bad,
                reason: "AsExpected".into(),
                message: String::new(),
            },
        }
    };
    [
        SourceReady,
        Resolved,
        Delivered,
        RolledOut,
        Ready,
        Stale,
        Drifted,
        Paused,
    ]
    .map(one)
    .to_vec()
}
