//! Acts on containers whose start fingerprint is not as it should be: signals, hooks, restarts; dependencies first.

use std::collections::BTreeMap;
use std::time::Duration;

use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::spec::ChangeAction;

use crate::generation::Start;
use crate::memory::{Event, EventKind, Phase, Round, doubled};
use crate::model::{Action, ContainerState, ObservedContainer, Time};
use crate::pass::{Pass, REFUSED_CAP, settle};
use crate::plan::{Cause, Reason};
use crate::sight::{changed_dependencies, wanted_print};
use crate::{hook, intent};

/// However long a value keeps changing, it is acted on after this many settle windows.
const SETTLE_CAP: u32 = 15;
/// However often compose changes containers, a change waits no longer than this (or five times `quiet`, if that is more).
const BUSY_CAP: Duration = Duration::from_secs(60);
/// The widest `restart_every` becomes.
const EVERY_CAP: Duration = Duration::from_secs(3600);

/// Why and from what a container is restarted.
pub(crate) struct Restart {
    pub cause: Cause,
    pub from: Option<Fingerprint>,
    pub rollback: bool,
}

pub(crate) fn act(pass: &mut Pass) {
    // Services that are not done, with what they are at: dependants wait for them.
    let mut busy: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
    for service in pass.order.sequence.clone() {
        for container in pass.of(service).to_vec() {
            intent::advance(pass, service, container);
        }
        hook::run(pass, service);
        signal(pass, service);
        let below = pass
            .order
            .direct(service)
            .iter()
            .find_map(|d| busy.get(d).copied());
        let at_work = restart(pass, service, below);
        note_busy(pass, service, at_work);
        if at_work {
            busy.insert(service, service);
        } else if let Some(below) = below {
            busy.insert(service, below);
        }
    }
}

/// Remembers since when a service's change waits for compose to be quiet, until the change is through.
fn note_busy(pass: &mut Pass, service: &ServiceName, at_work: bool) {
    let busy = pass
        .later
        .iter()
        .any(|l| l.service == *service && l.cause.reason == Reason::ComposeBusy);
    let now = pass.now;
    if busy {
        pass.service(service).busy_since.get_or_insert(now);
    } else if !at_work && let Some(memory) = pass.memory.services.get_mut(service) {
        memory.busy_since = None;
    }
}

/// Why nothing may be disrupted in this project at the moment.
pub(crate) fn freeze(pass: &Pass, service: &ServiceName) -> Option<(Cause, Option<Time>)> {
    if !pass.policy.act {
        return Some((
            Cause::new(Reason::NoController, "no controller acts on this project"),
            None,
        ));
    }
    if pass.observed.paused {
        return Some((Cause::new(Reason::Paused, "the project is paused"), None));
    }
    if pass.observed.gate_open {
        return Some((
            Cause::new(Reason::GateOpen, "compose is bringing the project up"),
            None,
        ));
    }
    let quiet = pass.policy.quiet;
    let until = pass.holds(pass.observed.last_compose_activity?, quiet)?;
    // Somebody may never be quiet: from the first time that it was held, a change waits so long and no longer.
    let cap = BUSY_CAP.max(quiet * 5);
    let since = pass
        .memory
        .services
        .get(service)
        .and_then(|m| m.busy_since)
        .unwrap_or(pass.now);
    // What was made is about to be started, and may join the network of what would be stopped under it.
    let cap = if is_bringing_up(pass) { cap * 2 } else { cap };
    let until = until.min(pass.holds(since, cap)?);
    let text = format!(
        "containers were changed just now; it waits for {} s without a change, and {} s at the most",
        quiet.as_secs(),
        cap.as_secs()
    );
    Some((Cause::new(Reason::ComposeBusy, text), Some(until)))
}

/// Compose has made a container and not started it yet.
fn is_bringing_up(pass: &Pass) -> bool {
    let mut all = pass.observed.containers.iter();
    all.any(|it| !it.oneoff && it.state == ContainerState::Created)
}

/// Why a container does not run with what it should; `None` if it does, or if that is not known yet.
pub(crate) fn outdated(
    pass: &Pass,
    service: &ServiceName,
    container: &ObservedContainer,
) -> Option<Restart> {
    let own = own_change(pass, service, container);
    let ties = changed_dependencies(pass, service, container);
    let from = match pass.starts.get(&container.id) {
        Some(Start::Known(own)) => Some(own.fingerprint),
        _ => None,
    };
    let acts = pass.wanted(service).is_some_and(|s| {
        matches!(
            s.on_change.action,
            ChangeAction::Auto | ChangeAction::Restart
        )
    });
    if let Some(cause) = own.filter(|_| acts) {
        // What is put back was good, and what runs is known to be bad.
        let rollback = from.is_some_and(|f| pass.is_rejected(service, f));
        return Some(Restart {
            cause,
            from,
            rollback,
        });
    }
    let first = ties.first()?;
    let cause = Cause::new(
        Reason::DependencyRestarted,
        format!("{first} was restarted with new content"),
    );
    Some(Restart {
        cause,
        from,
        rollback: false,
    })
}

/// The part of [`outdated`] that is the service's own, whatever its action is.
pub(crate) fn own_change(
    pass: &Pass,
    service: &ServiceName,
    container: &ObservedContainer,
) -> Option<Cause> {
    let current = pass.current(service)?;
    match pass.starts.get(&container.id)? {
        Start::Known(own) => {
            let same = pass.effective(service, own.fingerprint)
                == pass.effective(service, current.fingerprint);
            let text = || {
                format!(
                    "it started with generation {}, current is {}",
                    own.seq, current.seq
                )
            };
            (!same).then(|| Cause::new(Reason::ValueChanged, text()))
        }
        Start::Unknown => Some(Cause::new(
            Reason::StartUnknown,
            "what it started with cannot be known",
        )),
        Start::Waiting | Start::Ask(_) => None,
    }
}

fn signal(pass: &mut Pass, service: &ServiceName) {
    let (Some(wanted), Some(current)) = (pass.wanted(service), pass.current(service)) else {
        return;
    };
    let ChangeAction::Signal(signal) = &wanted.on_change.action else {
        return;
    };
    let content = current.fingerprint;
    for container in pass.running(service).collect::<Vec<_>>() {
        let seen = pass
            .memory
            .containers
            .get(&container.id)
            .and_then(|m| m.seen.as_ref());
        let had_content = seen.and_then(|s| s.signalled);
        let had = had_content.map(|had| had == content);
        // One that was signalled has what it was signalled for; one that was not has what it started with.
        let cause = match had {
            Some(true) => continue,
            Some(false) => Cause::new(Reason::ValueChanged, "changed since its last signal"),
            None => match own_change(pass, service, container) {
                Some(cause) => cause,
                None => continue,
            },
        };
        let what = format!("signal {signal} to {}", container.name);
        if let Some((cause, until)) = not_now(pass, service, None) {
            pass.hold(service, what, cause, until);
            continue;
        }
        let now = pass.now;
        let started = pass.starts.get(&container.id).and_then(|s| match s {
            Start::Known(own) => Some(own.fingerprint),
            _ => None,
        });
        let from = had_content.or(started);
        let changed = pass.memory.changes(service, from, Some(content));
        if let Some(seen) = pass.container(&container.id).seen.as_mut() {
            seen.signalling = Some(content);
        }
        pass.record(Event {
            first: now,
            last: now,
            count: 1,
            service: service.clone(),
            container: Some(container.name.clone()),
            kind: EventKind::Signalled,
            from,
            to: Some(content),
            changed,
            cause: cause.text.clone(),
            result: signal.clone(),
        });
        let action = Action::Signal {
            container: container.id.clone(),
            signal: signal.clone(),
            content,
        };
        pass.step(action, service, Some(container), cause);
    }
}

/// Restarts what is outdated, one at a time; true while the service is not done.
fn restart<'a>(pass: &mut Pass<'a>, service: &'a ServiceName, below: Option<&ServiceName>) -> bool {
    let due: Vec<_> = pass
        .running(service)
        .filter_map(|it| Some((it, outdated(pass, service, it)?)))
        .collect();
    drop_idle_intents(pass, service, &due);
    // The stop of the next one waits for the one that is under way; a stop that did not happen is tried again.
    let under_way = pass
        .of(service)
        .iter()
        .copied()
        .find(|it| pass.memory.intent(&it.id).is_some());
    let acts_on_own = pass.wanted(service).is_some_and(|s| {
        matches!(
            s.on_change.action,
            ChangeAction::Auto | ChangeAction::Restart
        )
    });
    let comes = pass.publishing.contains_key(service)
        && acts_on_own
        && pass.running(service).next().is_some();
    for (container, restart) in &due {
        let again = pass
            .memory
            .intent(&container.id)
            .is_some_and(|i| i.phase == Phase::Stopping);
        if container.operation.is_some()
            || pass.stops(&container.id)
            || (under_way == Some(container) && !again)
        {
            continue;
        }
        let what = format!("restart {}", container.name);
        if let Some(first) = under_way.filter(|u| u != container) {
            let cause = Cause::new(
                Reason::WaitsForReplica,
                format!("{} is restarted first", first.name),
            );
            pass.hold(service, what, cause, None);
        } else if let Some((cause, until)) = intent::leaving(pass, service, container) {
            pass.hold(service, what, cause, Some(until));
        } else if let Some((cause, until)) = held(pass, service, restart, below) {
            pass.hold(service, what, cause, until);
        } else if let Some((cause, until)) = refused(pass, container) {
            pass.hold(service, what, cause, Some(until));
        } else if pass.has_intent(service) && !again {
            let cause = Cause::new(
                Reason::WaitsForReplica,
                "another replica is restarted first",
            );
            pass.hold(service, what, cause, None);
        } else {
            begin_round(pass, service);
            intent::open(pass, service, container, restart);
        }
    }
    comes || !due.is_empty() || pass.has_intent(service)
}

/// What the engine refused a moment ago is not tried again at once.
fn refused(pass: &Pass, container: &ObservedContainer) -> Option<(Cause, Time)> {
    let refused = pass.memory.intent(&container.id)?.refused.as_ref()?;
    let cause = Cause::new(Reason::StopFailed, refused.message.clone());
    let at = pass.still_to_come(refused.not_before, REFUSED_CAP)?;
    Some((cause, at))
}

/// Closes intents whose stop did not happen and that are not wanted any more. A controller that was killed may have asked for it: for
/// as long as it may take, nobody knows whether it happens.
fn drop_idle_intents(
    pass: &mut Pass,
    service: &ServiceName,
    due: &[(&ObservedContainer, Restart)],
) {
    for container in pass.running(service).collect::<Vec<_>>() {
        let idle = container.operation.is_none()
            && !pass.stops(&container.id)
            && !due.iter().any(|(it, _)| it.id == container.id);
        let intent = pass.memory.intent(&container.id);
        let Some(intent) = intent.filter(|it| idle && it.phase == Phase::Stopping) else {
            continue;
        };
        match intent::may_stop_until(pass, service, container, intent) {
            Some(at) => pass.wake_at(at.after(Duration::from_nanos(1))),
            None => pass.set_intent(&container.id, None),
        }
    }
}

/// Why a restart may not begin yet.
fn held(
    pass: &Pass,
    service: &ServiceName,
    restart: &Restart,
    below: Option<&ServiceName>,
) -> Option<(Cause, Option<Time>)> {
    if let Some(hold) = not_now(pass, service, Some(restart)) {
        return Some(hold);
    }
    if let Some(first) = below {
        return Some((
            Cause::new(Reason::WaitsForDependency, format!("{first} comes first")),
            None,
        ));
    }
    // Putting back what was good is not a change that could come too often.
    if restart.rollback {
        return None;
    }
    let failed = pass.sharing(service).into_iter().find(|d| {
        pass.memory
            .services
            .get(*d)
            .is_some_and(|m| m.failure.is_some())
    });
    if let Some(failed) = failed {
        let cause = Cause::new(
            Reason::DependencyFailed,
            format!("{failed} did not come up with its new content"),
        );
        return Some((cause, None));
    }
    let round = pass
        .memory
        .services
        .get(service)
        .and_then(|m| m.round.as_ref())?;
    if round.want == wanted_print(pass, service) {
        return None;
    }
    let pause = doubled(every(pass, service), round.widen, EVERY_CAP);
    let next = pass.holds(round.at, pause)?;
    let cause = Cause::new(Reason::RestartEvery, "it was restarted not long ago");
    Some((cause, Some(next)))
}

fn every(pass: &Pass, service: &ServiceName) -> Duration {
    pass.wanted(service)
        .and_then(|s| s.on_change.restart_every)
        .unwrap_or(Duration::from_secs(60))
}

/// What holds signals and restarts alike: the project as a whole, and changes that may be followed by more.
fn not_now(
    pass: &Pass,
    service: &ServiceName,
    restart: Option<&Restart>,
) -> Option<(Cause, Option<Time>)> {
    if let Some(frozen) = freeze(pass, service) {
        return Some(frozen);
    }
    if pass.publishing.contains_key(service) {
        return Some((
            Cause::new(Reason::Settling, "a new generation is being published"),
            None,
        ));
    }
    if restart.is_some_and(|r| r.rollback || r.cause.reason == Reason::DependencyRestarted) {
        return None;
    }
    let (wanted, log) = (pass.wanted(service)?, &pass.seen(service)?.log);
    let settle = settle(wanted);
    let last = log.last()?.at;
    // Changes in a row push this out, but only so far: counted from the first that no container has.
    let oldest = pass
        .running(service)
        .filter_map(|it| pass.memory.containers.get(&it.id)?.seen.as_ref()?.own)
        .map(|o| o.seq)
        .min();
    let first = oldest
        .and_then(|seq| log.iter().find(|p| p.seq > seq))
        .map_or(last, |p| p.at);
    let settled = pass
        .holds(last, settle)?
        .min(pass.holds(first, settle * SETTLE_CAP)?);
    let cause = Cause::new(Reason::Settling, "more changes may follow");
    Some((cause, Some(settled)))
}

/// A round is all replicas of a service for one change. Rounds that follow each other soon widen the pause between them.
fn begin_round(pass: &mut Pass, service: &ServiceName) {
    let (want, now, every) = (wanted_print(pass, service), pass.now, every(pass, service));
    let memory = pass.service(service);
    let widen = match &memory.round {
        Some(round) if round.want == want => return,
        Some(round) if now.since(round.at) < doubled(every, round.widen, EVERY_CAP) * 2 => {
            (round.widen + 1).min(16)
        }
        _ => 0,
    };
    memory.round = Some(Round {
        want,
        at: now,
        widen,
    });
}

/// True for a container that we leave as it is because of its state.
pub(crate) fn is_out_of_reach(container: &ObservedContainer) -> bool {
    container.state != ContainerState::Running
}
