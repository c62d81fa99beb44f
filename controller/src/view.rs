//! What a pass tells: the planner's report, the sources and the history, in the words of the API.

mod history;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use locket_core::memory::Event;
use locket_core::report::{Condition, ConditionKind, ServiceReport};
use locket_core::{Action, ContainerState, Desired, Later, Rendered, Time};
use locket_crds::api;
use locket_crds::id::{ServiceName, SourceName};
use locket_crds::reference::SecretRef;
use tokio::time::Instant;

pub use history::{events, explain, word};

use crate::metrics::Tally;
use crate::project::{Look, Project};
use crate::resolve::explained;
use crate::spec::Compiled;

/// How a project stands, as of its last pass.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Counts passes; a later view has a higher one.
    pub pass: u64,
    /// What people see.
    pub status: Option<api::ProjectStatus>,
    /// What was wanted.
    pub desired: Option<Arc<Desired>>,
    /// What has happened, oldest first.
    pub history: Arc<VecDeque<Event>>,
    /// The number of each.
    pub numbers: Arc<Vec<u64>>,
    /// Where each service's delivery stands.
    pub delivery: BTreeMap<ServiceName, Delivery>,
    /// What would be done, or was.
    pub plan: api::PlanView,
    /// Steps that were run in this pass, one line each.
    pub done: Vec<String>,
    /// Nothing is left to be done, and nothing is under way.
    pub settled: bool,
    /// Why the last pass could not do its work.
    pub error: Option<String>,
    /// Somebody else writes to the project.
    pub held: Option<String>,
    /// When a pass last did its work, on the engine's clock.
    pub looked: Option<Time>,
    /// When what each service has was published.
    pub published: BTreeMap<ServiceName, Time>,
    /// What was done so far.
    pub tally: Tally,
}

impl View {
    /// What has happened, oldest first, each with its number.
    fn events(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.numbers.iter().copied().zip(self.history.iter())
    }
}

/// Where the delivery to a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Its volume is not there: it was not asked for.
    Absent,
    /// It is on its way.
    Pending,
    /// Complete, with this sequence number.
    Complete(u64),
    /// It cannot be delivered now; the last good generation's sequence number, 0 for none.
    Failed {
        /// A bounded word.
        reason: String,
        /// For people.
        message: String,
        /// What is there.
        last: u64,
    },
}

impl Delivery {
    /// A failure of its source or its volume, while there is something to go on with: nothing that others should not start for.
    pub fn can_wait(&self) -> bool {
        matches!(self, Self::Failed { reason, last, .. } if *last > 0 && matches!(reason.as_str(), "Unavailable" | "Throttled" | "Unauthenticated" | "Denied" | "NotGranted" | "Refused"))
    }
}

fn stamp(time: Time) -> api::Timestamp {
    api::Timestamp(time.0 / 1_000_000)
}

/// Numbers events in the order in which they are shown, over all projects. Their own time is not enough: what happened first in
/// one project may be shown last, and clocks are set back.
#[derive(Default)]
pub struct Numbers(AtomicU64);

impl Numbers {
    /// What was shown before keeps its number. What is shown the first time by this process gets the microseconds of its time, so
    /// that numbers mean about the same after a restart; what happens from then on gets one that is higher than all before.
    fn number(&self, events: &Arc<VecDeque<Event>>, before: &View) -> Arc<Vec<u64>> {
        if Arc::ptr_eq(events, &before.history) {
            return Arc::clone(&before.numbers);
        }
        let is_first = before.pass == 0;
        let one = |event: &Event| {
            let time = event.last.0 / 1000;
            match before.events().find(|(_, it)| *it == event) {
                Some((number, _)) => number,
                None if is_first => {
                    self.0.fetch_max(time, Relaxed);
                    time
                }
                None => {
                    let next = |last: u64| Some(time.max(last + 1));
                    let last = self.0.fetch_update(Relaxed, Relaxed, next);
                    time.max(last.unwrap_or(time) + 1)
                }
            }
        };
        Arc::new(events.iter().map(one).collect())
    }
}

/// Makes a view of what a pass saw; `before` gives the times of the last transitions.
pub fn view(project: &Project, look: &Look, before: &View, numbers: &Numbers) -> View {
    let now = look.now;
    let mut view = View {
        pass: before.pass + 1,
        numbers: numbers.number(&project.memory.events, before),
        history: Arc::clone(&project.memory.events),
        done: look.done.clone(),
        looked: Some(now),
        tally: project.tally.clone(),
        ..View::default()
    };
    let Some(compiled) = &project.compiled else {
        return view;
    };
    let old = before.status.as_ref();
    let report = &look.planned.report;
    let mut services = Vec::new();
    for (name, report) in &report.services {
        let mut conditions = report.conditions.clone();
        if let Some(what) = project.refusal(name) {
            refused(&mut conditions, what);
        }
        let old = old
            .and_then(|o| o.services.iter().find(|s| s.service == *name))
            .map_or(&[][..], |s| &s.conditions);
        let published = report.published.map(|at| (name.clone(), at));
        view.published.extend(published);
        services.push(service(name, report, dated(&conditions, old, now)));
        view.delivery
            .insert(name.clone(), delivery(name, report, look, project));
    }
    for (name, why) in &compiled.broken {
        let said = OF_BROKEN.map(|(kind, status)| Condition {
            kind,
            status,
            reason: "Invalid".into(),
            message: why.clone(),
        });
        let old = old
            .and_then(|o| o.services.iter().find(|s| s.service == *name))
            .map_or(&[][..], |s| &s.conditions);
        services.push(api::ServiceStatus {
            service: name.clone(),
            generation: 0,
            fingerprint: None,
            conditions: dated(&said, old, now),
            containers: Vec::new(),
        });
        view.delivery.insert(
            name.clone(),
            Delivery::Failed {
                reason: "Invalid".into(),
                message: why.clone(),
                last: 0,
            },
        );
    }
    let mut conditions = report.conditions.clone();
    let sources = sources(project, compiled, now);
    if let Some(bad) = sources.iter().find(|s| !s.ready) {
        let message = format!("{}: {}", bad.source, bad.message);
        set(
            &mut conditions,
            ConditionKind::SourceReady,
            false,
            &bad.reason,
            &message,
        );
        set(
            &mut conditions,
            ConditionKind::Ready,
            false,
            &bad.reason,
            &message,
        );
    }
    if let Some((name, why)) = project.refused().next() {
        refused(&mut conditions, &format!("{name}: {why}"));
    } else if let Some((name, why)) = compiled.broken.iter().next() {
        set(
            &mut conditions,
            ConditionKind::Ready,
            false,
            "Invalid",
            &format!("{name}: {why}"),
        );
    }
    if let Some(it) = project.link().and_then(|l| l.foreign.first()) {
        let message = format!(
            "container {} passes for the anchor, and gets nothing: {}",
            it.name, it.why
        );
        set(
            &mut conditions,
            ConditionKind::Drifted,
            true,
            "ForeignAnchor",
            &message,
        );
    }
    if let Some(message) = project.conflicts().first() {
        set(
            &mut conditions,
            ConditionKind::Drifted,
            true,
            "LabelConflict",
            message,
        );
    }
    if project.switches.paused {
        set(&mut conditions, ConditionKind::Paused, true, "ByUser", "");
    }
    let applied = project.applied.as_ref();
    // What is remembered is written down already, and no other pass comes for it.
    let is_left = |step: &locket_core::Step| step.action != Action::Remember;
    view.settled = !look.planned.now.iter().any(is_left) && !project.background.is_busy();
    view.status = Some(api::ProjectStatus {
        project: project.name().clone(),
        working_dir: applied
            .map(|a| a.spec.working_dir.clone())
            .unwrap_or_default(),
        applied: applied.map(|a| api::Timestamp(a.at / 1_000_000)),
        conditions: dated(&conditions, old.map_or(&[], |o| &o.conditions), now),
        services,
        sources,
        waiting: look.planned.later.iter().map(waiting).collect(),
    });
    view.plan = api::PlanView {
        now: look
            .planned
            .now
            .iter()
            .filter(|s| s.action != Action::Remember)
            .map(ToString::to_string)
            .collect(),
        later: look.planned.later.iter().map(ToString::to_string).collect(),
        problems: problems(project, look),
    };
    view.desired = Some(Arc::clone(&compiled.desired));
    view
}

/// What is wrong with the spec, and what keeps services from their secrets; also those whose volumes are not there yet.
fn problems(project: &Project, look: &Look) -> Vec<String> {
    let (Some(compiled), Some(applied)) = (&project.compiled, &project.applied) else {
        return Vec::new();
    };
    let seen = project.tracker.seen();
    let unresolved = compiled
        .desired
        .services
        .iter()
        .filter_map(|(name, wanted)| {
            if let Some(Rendered::Failed { message, .. }) = look.rendered.get(name) {
                return Some(format!("{name}: {message}"));
            }
            let failed = |r: &SecretRef| {
                let problem = seen.get(r)?.answer.as_ref().err()?;
                Some(explained(&applied.spec, &wanted.items, r, problem))
            };
            let why = wanted.references.iter().find_map(failed)?;
            Some(format!("{name}: {why}"))
        });
    let refused = project.refused().map(|(s, why)| format!("{s}: {why}"));
    compiled
        .problems
        .iter()
        .cloned()
        .chain(unresolved)
        .chain(refused)
        .collect()
}

/// The conditions of a service whose spec has an error.
const OF_BROKEN: [(ConditionKind, bool); 8] = [
    (ConditionKind::SourceReady, true),
    (ConditionKind::Resolved, false),
    (ConditionKind::Delivered, false),
    (ConditionKind::RolledOut, false),
    (ConditionKind::Ready, false),
    (ConditionKind::Stale, false),
    (ConditionKind::Drifted, false),
    (ConditionKind::Paused, false),
];

/// What is left to say when somebody else writes to the project: what was seen last, which may be out of date.
pub fn held(before: &View, holder: String) -> View {
    let mut view = View {
        pass: before.pass + 1,
        settled: false,
        ..before.clone()
    };
    for it in view.status.iter_mut().flat_map(|s| &mut s.conditions) {
        if it.kind == api::ConditionKind::Ready {
            it.status = false;
            it.reason = "HeldByAnother".to_owned();
            it.message = format!("{holder} works on the project");
        }
    }
    view.held = Some(holder);
    view
}

/// Why nothing can be delivered says more than what the planner makes of it.
fn refused(all: &mut [Condition], why: &str) {
    let bad =
        |c: &&mut Condition| matches!(c.kind, ConditionKind::Delivered | ConditionKind::Ready);
    for it in all.iter_mut().filter(bad) {
        (it.status, it.reason, it.message) = (false, "Refused".to_owned(), why.to_owned());
    }
}

fn set(all: &mut [Condition], kind: ConditionKind, status: bool, reason: &str, message: &str) {
    if let Some(it) = all
        .iter_mut()
        .find(|c| c.kind == kind && c.status != status)
    {
        *it = Condition {
            kind,
            status,
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
    }
}

fn kind(it: ConditionKind) -> api::ConditionKind {
    match it {
        ConditionKind::SourceReady => api::ConditionKind::SourceReady,
        ConditionKind::Resolved => api::ConditionKind::Resolved,
        ConditionKind::Delivered => api::ConditionKind::Delivered,
        ConditionKind::RolledOut => api::ConditionKind::RolledOut,
        ConditionKind::Ready => api::ConditionKind::Ready,
        ConditionKind::Stale => api::ConditionKind::Stale,
        ConditionKind::Drifted => api::ConditionKind::Drifted,
        ConditionKind::Paused => api::ConditionKind::Paused,
    }
}

fn dated(all: &[Condition], old: &[api::Condition], now: Time) -> Vec<api::Condition> {
    let one = |it: &Condition| {
        let kind = kind(it.kind);
        let since = old
            .iter()
            .find(|o| o.kind == kind && o.status == it.status)
            .map(|o| o.last_transition);
        api::Condition {
            kind,
            status: it.status,
            reason: it.reason.clone(),
            message: it.message.clone(),
            last_transition: since.unwrap_or(stamp(now)),
        }
    };
    all.iter().map(one).collect()
}

/// The engine's own word.
fn state(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Removing => "removing",
        ContainerState::Exited => "exited",
        ContainerState::Dead => "dead",
    }
}

fn service(
    name: &ServiceName,
    report: &ServiceReport,
    conditions: Vec<api::Condition>,
) -> api::ServiceStatus {
    let container = |c: &locket_core::report::ContainerReport| api::ContainerStatus {
        id: c.id.0.clone(),
        name: c.name.clone(),
        state: state(c.state).to_owned(),
        started_with: c.started_with,
        outdated: c.outdated.clone(),
        has_volume: c.has_volume,
    };
    api::ServiceStatus {
        service: name.clone(),
        generation: report.generation,
        fingerprint: report.fingerprint,
        conditions,
        containers: report.containers.iter().map(container).collect(),
    }
}

fn delivery(
    name: &ServiceName,
    report: &ServiceReport,
    look: &Look,
    project: &Project,
) -> Delivery {
    if let Some(Rendered::Failed { reason, message }) = look.rendered.get(name) {
        return Delivery::Failed {
            reason: reason.clone(),
            message: message.clone(),
            last: report.generation,
        };
    }
    if let Some(message) = project.refusal(name) {
        return Delivery::Failed {
            reason: "Refused".into(),
            message: message.clone(),
            last: report.generation,
        };
    }
    if !look.rendered.contains_key(name) {
        return Delivery::Absent;
    }
    let publishes = |a: &Action| matches!(a, Action::Publish { service, .. } | Action::Restore { service, .. } if service == name);
    // Held for a moment that is known, which comes soon; what is held by a pause or by another service's hook may last.
    let comes_soon = |it: &Later| it.service == *name && it.what == "publish" && it.at.is_some();
    match report.generation {
        0 => Delivery::Pending,
        _ if look.planned.now.iter().any(|s| publishes(&s.action)) => Delivery::Pending,
        _ if look.planned.later.iter().any(comes_soon) => Delivery::Pending,
        seq => Delivery::Complete(seq),
    }
}

fn sources(project: &Project, compiled: &Compiled, now: Time) -> Vec<api::SourceStatus> {
    let instant = Instant::now();
    let one = |(name, contact): (&SourceName, &crate::tracker::Contact)| {
        let problem = contact.problem.as_ref();
        let help = problem
            .and_then(|p| p.help.as_ref())
            .map(|h| format!("; {h}"))
            .unwrap_or_default();
        api::SourceStatus {
            source: name.clone(),
            kind: compiled.type_of(name),
            ready: problem.is_none(),
            last_contact: contact.ok.map(|at| {
                let age = instant.saturating_duration_since(at);
                stamp(Time(now.0.saturating_sub(
                    u64::try_from(age.as_nanos()).unwrap_or(u64::MAX),
                )))
            }),
            reason: problem.map(|p| p.reason.to_owned()).unwrap_or_default(),
            message: problem
                .map(|p| format!("{}{help}", p.message))
                .unwrap_or_default(),
        }
    };
    project.tracker.contacts().iter().map(one).collect()
}

fn waiting(it: &Later) -> api::Waiting {
    api::Waiting {
        service: it.service.clone(),
        what: it.what.clone(),
        reason: it.cause.reason.to_string(),
        message: it.cause.text.clone(),
        until: it.at.map(stamp),
    }
}

#[cfg(test)]
mod tests {
    use locket_core::memory::EventKind;

    use super::*;

    fn event(at: u64) -> Event {
        Event {
            first: Time(at * 1000),
            last: Time(at * 1000),
            count: 1,
            service: "api".into(),
            container: None,
            kind: EventKind::Delivered,
            from: None,
            to: None,
            changed: Vec::new(),
            cause: String::new(),
            result: String::new(),
        }
    }

    /// Shows these events after those, and gives their numbers.
    fn show(numbers: &Numbers, view: &mut View, times: &[u64]) -> Vec<u64> {
        let history = Arc::new(times.iter().copied().map(event).collect());
        *view = View {
            pass: view.pass + 1,
            numbers: numbers.number(&history, view),
            history,
            ..View::default()
        };
        view.numbers.to_vec()
    }

    #[test]
    fn what_is_shown_later_has_a_higher_number_whatever_the_clock_says() {
        let numbers = Numbers::default();
        let (mut a, mut b) = (View::default(), View::default());
        assert_eq!(show(&numbers, &mut a, &[10, 20]), [10, 20]);
        assert_eq!(show(&numbers, &mut b, &[15]), [15], "an old one is no news");
        assert_eq!(show(&numbers, &mut b, &[15, 100]), [15, 100]);
        // It happened before what the other project has shown.
        assert_eq!(show(&numbers, &mut a, &[10, 20, 90]), [10, 20, 101]);
        // The clock was set back, and the oldest was dropped from the history.
        assert_eq!(show(&numbers, &mut a, &[20, 90, 5]), [20, 101, 102]);
        assert_eq!(show(&numbers, &mut b, &[15, 100, 300]), [15, 100, 300]);
    }
}
