//! A restart under way: stop, start, see that it is good. Each pass takes it one step further, from what is observed.
//!
//! Flow: `Stopping` → `Starting` → `Verifying` → closed; or → `Failed` → `Stopping` or `Starting` with the last good content.
//! What somebody else has stopped, started or removed meanwhile is theirs: the intent is closed and nothing is done.

use std::time::Duration;

use locket_crds::id::ServiceName;

use crate::accept::stable;
use crate::act::{Restart, freeze};
use crate::memory::{Event, EventKind, Failure, Intent, Own, Phase};
use crate::model::{Action, ContainerState, Health, ObservedContainer, Operation, Time};
use crate::pass::{Pass, REFUSED_CAP};
use crate::plan::{Cause, Reason};

/// The engine's own grace period.
const GRACE: Duration = Duration::from_secs(10);
/// A stop may take this much longer than its grace period.
const SLACK: Duration = Duration::from_secs(10);
/// That somebody stopped a container is heard a moment later than that it has ended.
const HEARSAY: Duration = Duration::from_secs(2);
/// A stop of somebody else is waited for so long at least: how long they give it is not heard.
const PATIENCE: Duration = Duration::from_secs(60);
/// A start that the engine has refused so often in a row counts as content that does not come up.
const START_TRIES: u32 = 6;

/// Decides on a restart. An earlier try on the same run of the container keeps its time, so that its stop is known as ours.
pub(crate) fn open(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    restart: &Restart,
) {
    let started_at = container.started_at.unwrap_or_default();
    let before = pass
        .memory
        .intent(&container.id)
        .filter(|i| i.phase == Phase::Stopping && i.started_at == started_at);
    let refused = before.and_then(|i| i.refused.clone());
    let (at, tries) = before.map_or((pass.now, 0), |i| (i.at, i.tries));
    let grace = grace(pass, service, container);
    let intent = Intent {
        started_at,
        at,
        deadline: pass.now.after(grace + SLACK),
        acknowledged: false,
        phase: Phase::Stopping,
        from: restart.from,
        to: pass.current(service).map(|p| p.fingerprint),
        rollback: restart.rollback,
        tries: tries + 1,
        cause: restart.cause.text.clone(),
        refused,
    };
    pass.wake_at(intent.deadline);
    pass.set_intent(&container.id, Some(intent));
    let action = Action::Stop {
        container: container.id.clone(),
        grace,
    };
    pass.step(action, service, Some(container), restart.cause.clone());
}

fn grace(pass: &Pass, service: &ServiceName, container: &ObservedContainer) -> Duration {
    let of_model = pass.model(service).and_then(|m| m.stop_grace);
    container.stop_grace.or(of_model).unwrap_or(GRACE)
}

/// Until when a stop that was asked for may still happen, where none is known to be under way.
pub(crate) fn may_stop_until(
    pass: &Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    intent: &Intent,
) -> Option<Time> {
    let at_most = grace(pass, service, container) + SLACK;
    let until = pass.still_to_come(intent.deadline, at_most);
    until.filter(|_| intent.refused.is_none())
}

/// Somebody but us has told this run of the container to end.
fn is_touched(container: &ObservedContainer) -> bool {
    let told = |at: &Time| container.started_at.is_none_or(|began| *at >= began);
    container.touched.as_ref().is_some_and(told)
}

/// Why, and until when, a container is left to somebody who has told it to end, where it has not ended yet. A stop of ours would join theirs, and a start of ours
/// would undo it.
pub(crate) fn leaving(
    pass: &Pass,
    service: &ServiceName,
    container: &ObservedContainer,
) -> Option<(Cause, Time)> {
    let touched = container.touched.filter(|_| is_touched(container))?;
    let patience = PATIENCE.max(grace(pass, service, container) + SLACK);
    let until = pass.holds(touched, patience)?;
    let text = format!("somebody is stopping {}", container.name);
    Some((Cause::new(Reason::StoppedByUser, text), until))
}

/// Takes an open intent one step further.
pub(crate) fn advance(pass: &mut Pass, service: &ServiceName, container: &ObservedContainer) {
    let Some(mut intent) = pass.memory.intent(&container.id).cloned() else {
        return;
    };
    if intent.phase == Phase::Stopping {
        match after_stop(pass, container, &intent) {
            Stopped::NotYet => return,
            Stopped::ByUs => (intent.phase, intent.refused) = (Phase::Starting, None),
            Stopped::BySomebodyElse => return leave(pass, service, container, &intent),
        }
        // The acknowledgement of the stop is in memory before the start.
        pass.set_intent(&container.id, Some(intent.clone()));
    }
    if intent.phase == Phase::Starting {
        // Another run than the one that was stopped: whether it began later is a matter of clocks, which are stepped.
        let begun = container.started_at.filter(|s| *s != intent.started_at);
        let Some(since) = begun else {
            return start(pass, service, container, intent);
        };
        (intent.phase, intent.refused) = (Phase::Verifying { since }, None);
        know_start(pass, service, container, &intent);
        pass.service(service).restarts += 1;
        pass.set_intent(&container.id, Some(intent.clone()));
    }
    if let Phase::Verifying { since } = intent.phase {
        match verdict(pass, service, container, since) {
            Verdict::Good(how) => {
                close(pass, service, container, &intent, EventKind::Restarted, how)
            }
            Verdict::Bad(why) => return fail(pass, service, container, intent, &why),
            Verdict::Theirs => leave(pass, service, container, &intent),
            Verdict::Wait(until, what) => {
                let what = format!("{}: {what}", container.name);
                pass.hold(
                    service,
                    "verify",
                    Cause::new(Reason::Verifying, what),
                    Some(until),
                );
            }
        }
        return;
    }
    if intent.phase == Phase::Failed {
        put_back(pass, service, container, intent);
    }
}

enum Stopped {
    NotYet,
    ByUs,
    BySomebodyElse,
}

fn after_stop(pass: &mut Pass, container: &ObservedContainer, intent: &Intent) -> Stopped {
    let same_run = container.started_at == Some(intent.started_at);
    let in_time = |f: &Time| (intent.at..=intent.deadline).contains(f);
    match container.state {
        // Somebody was faster: what runs now is judged anew.
        _ if !same_run => Stopped::BySomebodyElse,
        // Whose stop it was is told by the answer of ours, which no clock can get wrong.
        ContainerState::Exited | ContainerState::Dead | ContainerState::Created
            if container.operation == Some(Operation::Stopping) =>
        {
            Stopped::NotYet
        }
        // If it still runs and no call is under way, `act` decides anew; the intent stays, for its time.
        ContainerState::Running => Stopped::NotYet,
        ContainerState::Exited | ContainerState::Dead | ContainerState::Created
            if intent.acknowledged || container.finished_at.as_ref().is_some_and(in_time) =>
        {
            Stopped::ByUs
        }
        ContainerState::Exited | ContainerState::Dead | ContainerState::Created => {
            Stopped::BySomebodyElse
        }
        _ if pass.now > intent.deadline => Stopped::BySomebodyElse,
        _ => {
            pass.wake_at(intent.deadline.after(Duration::from_nanos(1)));
            Stopped::NotYet
        }
    }
}

fn start(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    mut intent: Intent,
) {
    if container.operation == Some(Operation::Starting)
        || container.state == ContainerState::Running
    {
        return;
    }
    let what = format!("start {}", container.name);
    // What we have stopped is started, even if the project has been paused since.
    if !pass.policy.act {
        let cause = Cause::new(Reason::NoController, "no controller acts on this project");
        return pass.hold(service, what, cause, None);
    }
    let current = pass.current(service).map(|p| p.fingerprint);
    if intent.refused.is_some() && current != intent.to {
        // Other content came meanwhile, and that has not been tried yet.
        (intent.to, intent.rollback, intent.refused) = (current, false, None);
        pass.set_intent(&container.id, Some(intent.clone()));
    }
    if let Some(refused) = intent.refused.clone() {
        let hopeless = refused.since.after(timeout(pass, service));
        if !refused.told && (refused.times >= START_TRIES || pass.now >= hopeless) {
            return give_up(pass, service, container, intent, &refused.message);
        }
        if pass
            .still_to_come(refused.not_before, REFUSED_CAP)
            .is_some()
        {
            let until = if refused.told {
                refused.not_before
            } else {
                refused.not_before.min(hopeless)
            };
            let cause = Cause::new(Reason::StartFailed, refused.message);
            return pass.hold(service, what, cause, Some(until));
        }
    }
    let cause = Cause::new(Reason::RestartUnderWay, intent.cause.clone());
    pass.step(
        Action::Start {
            container: container.id.clone(),
        },
        service,
        Some(container),
        cause,
    );
}

/// The engine does not start it: that counts like a run that went badly. If there is nothing to put back, it is still what we
/// have stopped, so it is tried for ever.
fn give_up(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    mut intent: Intent,
    message: &str,
) {
    let why = format!("could not be started ({message})");
    if has_older(pass, service, &intent) {
        intent.refused = None;
        return fail(pass, service, container, intent, &why);
    }
    let before = pass.service(service).failure.clone();
    let text = blame(pass, service, container, &intent, &why);
    // That it cannot be started is said for as long as it is so; that other content was rejected stays true.
    if let Some(rejected) = before.filter(|f| f.rejected && intent.rollback) {
        pass.service(service).failure = Some(rejected);
    }
    note(
        pass,
        service,
        container,
        &intent,
        EventKind::RestartFailed,
        &text,
    );
    if let Some(refused) = &mut intent.refused {
        refused.told = true;
    }
    pass.set_intent(&container.id, Some(intent.clone()));
    start(pass, service, container, intent);
}

/// What we have started ourselves read what was there before the start, whatever the clocks say:
/// so an unreadable process is restarted once and not for ever.
fn know_start(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    intent: &Intent,
) {
    let Some(current) = pass
        .current(service)
        .filter(|p| Some(p.fingerprint) == intent.to)
    else {
        return;
    };
    let own = Own {
        seq: current.seq,
        fingerprint: current.fingerprint,
    };
    if let Some(seen) = pass
        .container(&container.id)
        .seen
        .as_mut()
        .filter(|s| Some(s.started_at) == container.started_at)
    {
        seen.own.get_or_insert(own);
    }
}

/// How long a container may take to come up.
fn timeout(pass: &Pass, service: &ServiceName) -> Duration {
    pass.wanted(service)
        .and_then(|s| s.on_change.timeout)
        .unwrap_or(Duration::from_secs(60))
}

enum Verdict {
    Good(&'static str),
    Bad(String),
    Theirs,
    Wait(Time, &'static str),
}

fn verdict(
    pass: &Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    since: Time,
) -> Verdict {
    // What the container has counts, not what the file says: an image brings a check, a new check comes with a recreate.
    let has_check = container.checked_within.is_some();
    let limit = match container.checked_within {
        Some(first) => timeout(pass, service) + first,
        None => stable(pass, service),
    };
    let until = since.after(limit);
    let touched = container.touched.is_some_and(|t| t >= since);
    let again = container.started_at != Some(since);
    // Never for longer than that: the clock may have been set back meanwhile.
    let unheard = container
        .finished_at
        .map(|f| f.after(HEARSAY))
        .filter(|at| pass.now < *at && at.since(pass.now) <= HEARSAY);
    match container.state {
        ContainerState::Running if again && touched => Verdict::Theirs,
        ContainerState::Running if has_check => match container.health {
            Health::Healthy => Verdict::Good("healthy"),
            _ if pass.now >= until => {
                Verdict::Bad(format!("not healthy within {} s", limit.as_secs()))
            }
            _ => Verdict::Wait(until, "waiting for healthy"),
        },
        ContainerState::Running if again => {
            Verdict::Bad(format!("started again within {} s", limit.as_secs()))
        }
        ContainerState::Running => match pass.holds(since, limit) {
            Some(until) => Verdict::Wait(until, "waiting whether it stays up"),
            None => Verdict::Good("running"),
        },
        // Also if nobody has heard of it: the engine itself starts again what ends by itself.
        ContainerState::Exited | ContainerState::Dead if touched || container.kept_up => {
            Verdict::Theirs
        }
        ContainerState::Exited | ContainerState::Dead => match unheard {
            Some(at) => Verdict::Wait(at, "it has ended; somebody may have stopped it"),
            None => Verdict::Bad(format!("exited with code {}", container.exit_code)),
        },
        ContainerState::Restarting if has_check && pass.now < until => {
            Verdict::Wait(until, "waiting for healthy")
        }
        ContainerState::Restarting => Verdict::Bad(format!(
            "exited with code {} and is restarted",
            container.exit_code
        )),
        ContainerState::Paused if pass.now < until => Verdict::Wait(until, "it is paused"),
        ContainerState::Paused | ContainerState::Removing | ContainerState::Created => {
            Verdict::Theirs
        }
    }
}

/// The restart did not come up: if there is older content that did, it is put back; in any case the order stops here.
fn fail(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    mut intent: Intent,
    why: &str,
) {
    let has_older = has_older(pass, service, &intent);
    let message = blame(pass, service, container, &intent, why);
    let kind = EventKind::RestartFailed;
    if !has_older {
        return close(pass, service, container, &intent, kind, &message);
    }
    note(pass, service, container, &intent, kind, &message);
    intent.phase = Phase::Failed;
    intent.cause = format!("{} {why}", container.name);
    put_back(pass, service, container, intent);
}

/// True if there is content to put back that came up once.
fn has_older(pass: &Pass, service: &ServiceName, intent: &Intent) -> bool {
    let accepted = pass.memory.services.get(service).and_then(|m| m.accepted);
    accepted
        .filter(|a| !intent.rollback && Some(*a) != intent.to)
        .is_some_and(|a| {
            pass.seen(service)
                .is_some_and(|s| s.log.iter().any(|p| p.fingerprint == a))
        })
}

/// Writes the failure down; what it says.
fn blame(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    intent: &Intent,
    why: &str,
) -> String {
    let (name, has_older) = (&container.name, has_older(pass, service, intent));
    // What is replaced already is not put back, and nothing would ever lift its rejection.
    let current = pass.current(service).map(|p| p.fingerprint);
    let comes = pass.publishing.get(service).copied().or(current);
    let is_replaced = !intent.rollback && comes != intent.to;
    let message = match (has_older, intent.rollback) {
        _ if is_replaced => format!("{name} {why} with content that has been replaced since"),
        (true, _) => {
            format!("{name} {why} with the new content; the last good content was put back")
        }
        (false, true) => format!("{name} {why}, with the last good content too"),
        (false, false) => {
            format!("{name} {why} with the new content; there is no older good content to put back")
        }
    };
    let now = pass.now;
    if let Some(fingerprint) = intent.to {
        let memory = pass.service(service);
        // The failure of a rollback says more about the first one, it does not replace it.
        let rejected = memory
            .failure
            .as_ref()
            .filter(|f| f.rejected && intent.rollback)
            .map(|f| f.fingerprint);
        memory.failure = Some(Failure {
            fingerprint: rejected.unwrap_or(fingerprint),
            message: message.clone(),
            rejected: has_older && !is_replaced || rejected.is_some(),
            at: now,
        });
    }
    message
}

/// Publishes the last good content again; then this container starts with it. If newer content came, it starts with that.
fn put_back(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    mut intent: Intent,
) {
    pass.set_intent(&container.id, Some(intent.clone()));
    let accepted = pass.memory.services.get(service).and_then(|m| m.accepted);
    let (Some(seen), Some(current)) = (pass.seen(service), pass.current(service)) else {
        return pass.set_intent(&container.id, None);
    };
    if pass.publishing.contains_key(service) {
        return;
    }
    let cause = Cause::new(Reason::BadValue, intent.cause.clone());
    // What a user wants to have tried again meanwhile is not put back: it would be published again, and put back again.
    if Some(current.fingerprint) == intent.to && pass.is_rejected(service, current.fingerprint) {
        let older = accepted.and_then(|a| seen.log.iter().rev().find(|p| p.fingerprint == a));
        let Some(older) = older else {
            return pass.set_intent(&container.id, None);
        };
        let (seq, fingerprint) = (older.seq, older.fingerprint);
        pass.step(
            Action::Restore {
                service: service.clone(),
                seq,
                expect: current.seq,
                fingerprint,
            },
            service,
            None,
            cause,
        );
        return pass.publishes(service, fingerprint);
    }
    let rollback = Some(current.fingerprint) == accepted;
    match container.state {
        ContainerState::Running | ContainerState::Restarting => {
            let held = leaving(pass, service, container).map(|(cause, at)| (cause, Some(at)));
            if let Some((cause, until)) = held.or_else(|| freeze(pass, service)) {
                return pass.hold(service, format!("restart {}", container.name), cause, until);
            }
            open(
                pass,
                service,
                container,
                &Restart {
                    cause,
                    from: intent.to,
                    rollback,
                },
            );
        }
        // The end of the run that we have stopped is ours, whoever has heard of it.
        ContainerState::Exited | ContainerState::Dead
            if is_touched(container) && container.started_at != Some(intent.started_at) =>
        {
            leave(pass, service, container, &intent);
        }
        ContainerState::Exited | ContainerState::Dead => {
            intent.phase = Phase::Starting;
            intent.started_at = container.started_at.unwrap_or_default();
            intent.from = intent.to;
            intent.to = Some(current.fingerprint);
            (intent.rollback, intent.refused) = (rollback, None);
            pass.set_intent(&container.id, Some(intent.clone()));
            start(pass, service, container, intent);
        }
        _ => pass.set_intent(&container.id, None),
    }
}

fn leave(pass: &mut Pass, service: &ServiceName, container: &ObservedContainer, intent: &Intent) {
    close(
        pass,
        service,
        container,
        intent,
        EventKind::LeftAlone,
        "somebody else stopped or started it",
    );
}

fn close(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    intent: &Intent,
    kind: EventKind,
    result: &str,
) {
    let kind = if intent.rollback && kind == EventKind::Restarted {
        EventKind::RolledBack
    } else {
        kind
    };
    note(pass, service, container, intent, kind, result);
    pass.set_intent(&container.id, None);
    // The next one in the order, or the next change, may go on at once.
    let now = pass.now;
    pass.wake_at(now);
}

fn note(
    pass: &mut Pass,
    service: &ServiceName,
    container: &ObservedContainer,
    intent: &Intent,
    kind: EventKind,
    result: &str,
) {
    let now = pass.now;
    let changed = pass.memory.changes(service, intent.from, intent.to);
    pass.record(Event {
        first: intent.at,
        last: now,
        count: 1,
        service: service.clone(),
        container: Some(container.name.clone()),
        kind,
        from: intent.from,
        to: intent.to,
        changed,
        cause: intent.cause.clone(),
        result: result.to_owned(),
    });
}
