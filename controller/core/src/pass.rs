//! What the parts of one pass share: the inputs, indexed once, and the plan as it grows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::spec::{ChangeAction, ComposeService};

use crate::generation::Start;
use crate::hook;
use crate::memory::{
    ContainerMemory, Event, Intent, Memory, Phase, Print, Refused, ServiceMemory, doubled,
};
use crate::model::{
    Action, ContainerId, ContainerState, Desired, DesiredService, Observed, ObservedContainer,
    ObservedService, Operation, Policy, Published, Rendered, StepResult, StopOutcome, Time,
};
use crate::order::{Order, ties};
use crate::plan::{Cause, Later, Step};

/// The longest pause between two tries of what the engine refuses.
pub(crate) const REFUSED_CAP: Duration = Duration::from_secs(60);

/// One pass under way.
pub(crate) struct Pass<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub policy: &'a Policy,
    pub now: Time,
    pub order: Order<'a>,
    /// Containers that may be acted on, by service, lowest number first.
    pub containers: BTreeMap<&'a ServiceName, Vec<&'a ObservedContainer>>,
    pub memory: Memory,
    pub steps: Vec<Step>,
    pub later: Vec<Later>,
    pub wake: Option<Time>,
    /// What every running container started with.
    pub starts: BTreeMap<&'a ContainerId, Start>,
    /// Start fingerprints of services, where all running containers agree.
    pub prints: BTreeMap<&'a ServiceName, Print>,
    /// Services that get a new generation in this very plan.
    pub publishing: BTreeMap<&'a ServiceName, Fingerprint>,
}

impl<'a> Pass<'a> {
    pub fn new(
        desired: &'a Desired,
        observed: &'a Observed,
        memory: &Memory,
        policy: &'a Policy,
        now: Time,
    ) -> Self {
        let mut containers: BTreeMap<&ServiceName, Vec<&ObservedContainer>> = BTreeMap::new();
        for it in observed
            .containers
            .iter()
            .filter(|it| is_ours_to_act_on(desired, it))
        {
            containers.entry(&it.service).or_default().push(it);
        }
        containers
            .values_mut()
            .for_each(|list| list.sort_by_key(|it| (it.number, &it.id)));
        Self {
            desired,
            observed,
            policy,
            now,
            order: Order::new(&desired.model),
            containers,
            memory: memory.clone(),
            steps: Vec::new(),
            later: Vec::new(),
            wake: None,
            starts: BTreeMap::new(),
            prints: BTreeMap::new(),
            publishing: BTreeMap::new(),
        }
    }

    /// Memory of containers and services that are no more.
    pub fn forget_what_is_gone(&mut self) {
        let living: BTreeSet<&ContainerId> = self
            .containers
            .values()
            .flatten()
            .map(|it| &it.id)
            .collect();
        self.memory.containers.retain(|id, _| living.contains(id));
        let desired = self.desired;
        self.memory.services.retain(|name, _| {
            desired.services.contains_key(name) || desired.model.contains_key(name)
        });
    }

    /// Acknowledges what came back since the last pass.
    pub fn take_results(&mut self) {
        for result in &self.observed.results {
            match result {
                StepResult::Stopped { container, outcome } => self.take_stop(container, *outcome),
                StepResult::Refused {
                    container,
                    operation,
                    message,
                } => self.take_refusal(container, *operation, message),
                StepResult::Signalled { container, content } => {
                    self.take_signal(container, *content);
                }
                StepResult::Hook {
                    container,
                    content,
                    exit_code,
                    message,
                } => hook::take(self, container, *content, *exit_code, message),
            }
        }
    }

    /// A stop that stopped nothing is a stop by somebody else; but only on the first try,
    /// because a later one may have come upon our own.
    fn take_stop(&mut self, container: &ContainerId, outcome: StopOutcome) {
        let Some(it) = self.memory.containers.get_mut(container) else {
            return;
        };
        let Some(intent) = it.intent.as_mut().filter(|i| i.phase == Phase::Stopping) else {
            return;
        };
        match outcome {
            StopOutcome::Stopped => intent.acknowledged = true,
            StopOutcome::AlreadyStopped if intent.tries <= 1 => it.intent = None,
            StopOutcome::AlreadyStopped => {}
        }
    }

    /// What the engine refuses is tried again, after ever longer pauses: what refuses it (a port, a path) is not ours to mend.
    fn take_refusal(&mut self, container: &ContainerId, operation: Operation, message: &str) {
        let (now, retry) = (self.now, self.policy.engine_retry);
        let Some(intent) = self
            .memory
            .containers
            .get_mut(container)
            .and_then(|it| it.intent.as_mut())
        else {
            return;
        };
        let of_this_phase = matches!(
            (intent.phase, operation),
            (Phase::Stopping, Operation::Stopping) | (Phase::Starting, Operation::Starting)
        );
        if !of_this_phase {
            return;
        }
        let (since, times, told) = intent
            .refused
            .as_ref()
            .map_or((now, 0, false), |r| (r.since, r.times, r.told));
        intent.refused = Some(Refused {
            since,
            times: times.saturating_add(1),
            not_before: now.after(doubled(retry, times, REFUSED_CAP)),
            message: message.to_owned(),
            told,
        });
    }

    /// The incarnation has been marked with what the signal is for. A result that comes again, because it was not heard that the
    /// memory is written, says nothing of the next one.
    fn take_signal(&mut self, container: &ContainerId, content: Fingerprint) {
        let Some(seen) = self
            .memory
            .containers
            .get_mut(container)
            .and_then(|it| it.seen.as_mut())
        else {
            return;
        };
        if seen.signalling == Some(content) {
            seen.signalling = None;
            seen.signalled = Some(content);
        }
    }

    pub fn model(&self, service: &ServiceName) -> Option<&'a ComposeService> {
        self.desired.model.get(service)
    }

    pub fn seen(&self, service: &ServiceName) -> Option<&'a ObservedService> {
        self.observed.services.get(service)
    }

    /// True for a service of which nothing is on the engine: no volume and no container. It was not part of `up`.
    pub fn is_absent(&self, service: &ServiceName) -> bool {
        self.seen(service).is_none_or(|s| !s.mounted)
            && !self
                .observed
                .containers
                .iter()
                .any(|it| it.service == *service && !it.oneoff)
    }

    pub fn wanted(&self, service: &ServiceName) -> Option<&'a DesiredService> {
        self.desired.services.get(service)
    }

    pub fn current(&self, service: &ServiceName) -> Option<&'a Published> {
        self.wanted(service)?;
        self.seen(service)?.current()
    }

    /// The content that a service is to have: the rendered one if there is one and it is not refused, else what is there.
    pub fn target(&self, service: &ServiceName) -> Option<Fingerprint> {
        match self.seen(service).map(|s| &s.rendered) {
            Some(Rendered::Ready { fingerprint, .. })
                if !self.is_rejected(service, *fingerprint) =>
            {
                Some(*fingerprint)
            }
            _ => self.current(service).map(|p| p.fingerprint),
        }
    }

    pub fn is_rejected(&self, service: &ServiceName, fingerprint: Fingerprint) -> bool {
        self.memory
            .services
            .get(service)
            .is_some_and(|m| m.is_rejected(fingerprint))
    }

    /// The fingerprint as far as it matters to a process: under `auto`, mode, owner and update mode do not.
    pub fn effective(&self, service: &ServiceName, fingerprint: Fingerprint) -> Fingerprint {
        let auto = self
            .wanted(service)
            .is_some_and(|s| s.on_change.action == ChangeAction::Auto);
        let memory = self.memory.services.get(service).filter(|_| auto);
        memory
            .and_then(|m| m.alike.get(&fingerprint).copied())
            .unwrap_or(fingerprint)
    }

    /// Notes that this plan gives the service a new generation.
    pub fn publishes(&mut self, service: &ServiceName, fingerprint: Fingerprint) {
        if let Some((name, _)) = self.desired.services.get_key_value(service) {
            self.publishing.insert(name, fingerprint);
        }
    }

    pub fn of(&self, service: &ServiceName) -> &[&'a ObservedContainer] {
        self.containers.get(service).map_or(&[], Vec::as_slice)
    }

    pub fn running(&self, service: &ServiceName) -> impl Iterator<Item = &'a ObservedContainer> {
        self.of(service)
            .iter()
            .copied()
            .filter(|it| it.state == ContainerState::Running)
    }

    pub fn service(&mut self, service: &ServiceName) -> &mut ServiceMemory {
        self.memory.services.entry(service.clone()).or_default()
    }

    pub fn container(&mut self, container: &ContainerId) -> &mut ContainerMemory {
        self.memory.containers.entry(container.clone()).or_default()
    }

    pub fn has_intent(&self, service: &ServiceName) -> bool {
        self.of(service)
            .iter()
            .any(|it| self.memory.intent(&it.id).is_some())
    }

    /// True if this plan stops the container already.
    pub fn stops(&self, container: &ContainerId) -> bool {
        self.steps
            .iter()
            .rev()
            .any(|s| matches!(&s.action, Action::Stop { container: c, .. } if c == container))
    }

    pub fn set_intent(&mut self, container: &ContainerId, intent: Option<Intent>) {
        self.container(container).intent = intent;
    }

    /// When a pause that began then is over; nothing if it is. One that begins later than now is, too: the clock was set back, and
    /// nothing is held for as long as that.
    pub fn holds(&self, since: Time, pause: Duration) -> Option<Time> {
        let until = since.after(pause);
        (since <= self.now && self.now < until).then_some(until)
    }

    /// A moment that has not come yet, if it is no farther than it can be by a clock that was not set back.
    pub fn still_to_come(&self, at: Time, at_most: Duration) -> Option<Time> {
        (self.now < at && at.since(self.now) <= at_most).then_some(at)
    }

    pub fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }

    pub fn step(
        &mut self,
        action: Action,
        service: &ServiceName,
        container: Option<&ObservedContainer>,
        cause: Cause,
    ) {
        let container = container.map(|it| it.name.clone());
        self.steps.push(Step {
            action,
            service: Some(service.clone()),
            container,
            cause,
        });
    }

    /// Notes what is held; if it is known until when, that is when to look again.
    pub fn hold(
        &mut self,
        service: &ServiceName,
        what: impl Into<String>,
        cause: Cause,
        until: Option<Time>,
    ) {
        if let Some(at) = until {
            self.wake_at(at);
        }
        self.later.push(Later {
            service: service.clone(),
            what: what.into(),
            cause,
            at: until,
        });
    }

    pub fn record(&mut self, event: Event) {
        self.memory.record(event);
    }

    /// Everything that a service depends on and shares a secret with.
    pub fn sharing(&self, service: &ServiceName) -> Vec<&'a ServiceName> {
        let Some(own) = self.wanted(service) else {
            return Vec::new();
        };
        let shares = |d: &&ServiceName| {
            self.wanted(d)
                .is_some_and(|s| !s.references.is_disjoint(&own.references))
        };
        self.order.all(service).into_iter().filter(shares).collect()
    }
}

/// A container is acted on if its service gets something and it mounts what we fill,
/// or if the model ties its service to another one's restarts.
fn is_ours_to_act_on(desired: &Desired, it: &ObservedContainer) -> bool {
    if it.oneoff {
        return false;
    }
    if desired.services.contains_key(&it.service) {
        return it.has_volume;
    }
    desired
        .model
        .get(&it.service)
        .is_some_and(|m| m.provider.is_none() && ties(m).next().is_some())
}

/// The quiet time after a change, with its default.
pub(crate) fn settle(service: &DesiredService) -> Duration {
    service.on_change.settle.unwrap_or(Duration::from_secs(2))
}
