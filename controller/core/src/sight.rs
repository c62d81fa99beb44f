//! Takes every running container down: which generation it started with, which starts of its dependencies it knows.
//!
//! This comes before any step, so that a change can only be one that happened after it.

use std::time::Duration;

use locket_crds::id::ServiceName;

use crate::generation::{Start, started_with};
use crate::memory::{Incarnation, Print};
use crate::model::{Action, ObservedContainer, Time};
use crate::order::{Tie, ties};
use crate::pass::Pass;
use crate::plan::{Cause, Reason};

/// The print of a dependency of which a change was missed; no real print is 0.
const MISSED: Print = Print(0);

pub(crate) fn sight(pass: &mut Pass) {
    for service in pass.order.sequence.clone() {
        for container in pass.running(service).collect::<Vec<_>>() {
            own(pass, service, container);
            dependencies(pass, service, container);
        }
        if let Some(print) = print_of_service(pass, service) {
            pass.prints.insert(service, print);
        }
    }
}

fn own<'a>(pass: &mut Pass<'a>, service: &ServiceName, container: &'a ObservedContainer) {
    let Some(started_at) = container.started_at else {
        return;
    };
    let log = pass
        .wanted(service)
        .and_then(|_| pass.seen(service))
        .map_or(&[][..], |s| &s.log);
    let memory = pass
        .memory
        .containers
        .entry(container.id.clone())
        .or_default();
    let known = memory.seen.as_ref().filter(|s| s.started_at == started_at);
    let start = match known.and_then(|s| s.own) {
        // With a new key the anchor has computed the fingerprints anew; the sequence number still names the same bytes.
        Some(own) => match log.iter().rev().find(|p| p.seq == own.seq) {
            Some(entry) => Start::Known(crate::memory::Own {
                seq: entry.seq,
                fingerprint: entry.fingerprint,
            }),
            None => Start::Known(own),
        },
        None => started_with(log, container, pass.now, pass.observed.boot),
    };
    let own = match start {
        Start::Known(own) => Some(own),
        _ => None,
    };
    if known.is_none_or(|s| s.own != own) {
        let before = memory.seen.take().filter(|s| s.started_at == started_at);
        let mut seen = before.unwrap_or_else(|| Incarnation::new(started_at));
        seen.own = own;
        memory.seen = Some(seen);
    }
    pass.starts.insert(&container.id, start);
    if let Start::Ask(not_before) = start {
        ask(pass, service, container, not_before);
    }
}

/// Asks the process. Even where no answer would lead to an act: until it is known, nothing old is removed.
fn ask(pass: &mut Pass, service: &ServiceName, container: &ObservedContainer, not_before: Time) {
    if pass.wanted(service).is_none() || !pass.policy.act || container.operation.is_some() {
        return;
    }
    let cause = Cause::new(
        Reason::StartAmbiguous,
        "a generation was published just after it started",
    );
    if container.probing {
        return pass.hold(service, format!("probe {}", container.name), cause, None);
    }
    // A clock that was set back must not put the question off for long.
    if not_before > pass.now && not_before.since(pass.now) <= Duration::from_secs(30) {
        return pass.hold(
            service,
            format!("probe {}", container.name),
            cause,
            Some(not_before),
        );
    }
    pass.step(
        Action::Probe {
            container: container.id.clone(),
        },
        service,
        Some(container),
        cause,
    );
}

/// Acknowledges the present starts of the dependencies, once for each run of the container.
fn dependencies(pass: &mut Pass, service: &ServiceName, container: &ObservedContainer) {
    let Some(model) = pass.model(service) else {
        return;
    };
    for (name, tie) in ties(model) {
        let Some(seen) = pass
            .memory
            .containers
            .get(&container.id)
            .and_then(|m| m.seen.as_ref())
        else {
            return;
        };
        let since = seen.started_at;
        if seen.dependencies.contains_key(name) {
            continue;
        }
        let Some(print) = tied(pass, name, tie) else {
            continue;
        };
        let print = if missed(pass, name, since) {
            MISSED
        } else {
            print
        };
        if let Some(seen) = pass.container(&container.id).seen.as_mut() {
            seen.dependencies.insert(name.clone(), print);
        }
    }
}

/// The dependency started later than its dependant, and in between its content had changed.
fn missed(pass: &Pass, dependency: &ServiceName, since: Time) -> bool {
    let Some(log) = pass
        .wanted(dependency)
        .and_then(|_| pass.seen(dependency))
        .map(|s| &s.log)
    else {
        return false;
    };
    let Some(last) = pass
        .running(dependency)
        .filter_map(|c| c.started_at)
        .max()
        .filter(|s| *s > since)
    else {
        return false;
    };
    let at = |time: Time| {
        log[..log.partition_point(|p| p.at <= time)]
            .last()
            .map(|p| pass.effective(dependency, p.fingerprint))
    };
    at(since).is_some_and(|then| at(last) != Some(then))
}

/// A dependency's print as its dependant sees it.
fn tied(pass: &Pass, dependency: &ServiceName, tie: Tie) -> Option<Print> {
    let print = *pass.prints.get(dependency)?;
    Some(match tie {
        Tie::Restart => print,
        // The namespace is a new one after each of our restarts, even if the content is the old one again.
        Tie::Joins => fold(
            print,
            &pass
                .memory
                .services
                .get(dependency)
                .map_or(0, |m| m.restarts)
                .to_le_bytes(),
        ),
    })
}

/// The ties of a container whose dependencies have started anew with something else since.
pub(crate) fn changed_dependencies<'a>(
    pass: &Pass<'a>,
    service: &ServiceName,
    container: &ObservedContainer,
) -> Vec<&'a ServiceName> {
    let seen = pass
        .memory
        .containers
        .get(&container.id)
        .and_then(|m| m.seen.as_ref());
    let (Some(model), Some(seen)) = (pass.model(service), seen) else {
        return Vec::new();
    };
    let differs = |(name, tie): &(&ServiceName, Tie)| {
        tied(pass, name, *tie).is_some_and(|now| {
            seen.dependencies
                .get(*name)
                .is_some_and(|then| *then != now)
        })
    };
    ties(model).filter(differs).map(|(name, _)| name).collect()
}

/// The start fingerprint that the containers of a service should have.
pub(crate) fn wanted_print(pass: &Pass, service: &ServiceName) -> Print {
    let own = pass
        .current(service)
        .map(|p| pass.effective(service, p.fingerprint));
    let mut print = fold(EMPTY, own.as_ref().map_or(&[][..], |f| &f.0));
    for (name, tie) in pass.model(service).into_iter().flat_map(ties) {
        let dependency = tied(pass, name, tie).unwrap_or(MISSED);
        print = fold(
            fold(print, name.as_str().as_bytes()),
            &dependency.0.to_le_bytes(),
        );
    }
    print
}

fn print_of_service(pass: &Pass, service: &ServiceName) -> Option<Print> {
    let untracked = pass.wanted(service).is_none()
        && pass.model(service).is_none_or(|m| ties(m).next().is_none());
    if untracked {
        return Some(EMPTY);
    }
    let mut prints = pass.running(service).map(|it| print_of(pass, service, it));
    let first = prints.next()??;
    prints.all(|p| p == Some(first)).then_some(first)
}

fn print_of(pass: &Pass, service: &ServiceName, container: &ObservedContainer) -> Option<Print> {
    let seen = pass.memory.containers.get(&container.id)?.seen.as_ref()?;
    let own = match pass.starts.get(&container.id)? {
        Start::Known(own) => Some(pass.effective(service, own.fingerprint)),
        // It has not read anything yet: what it will read is no change.
        Start::Waiting if pass.wanted(service).is_some() => return None,
        Start::Waiting => None,
        Start::Ask(_) | Start::Unknown => return None,
    };
    let print = fold(EMPTY, own.as_ref().map_or(&[][..], |f| &f.0));
    Some(seen.dependencies.iter().fold(print, |p, (name, d)| {
        fold(fold(p, name.as_str().as_bytes()), &d.0.to_le_bytes())
    }))
}

const EMPTY: Print = Print(0xcbf2_9ce4_8422_2325);

fn fold(print: Print, bytes: &[u8]) -> Print {
    // A length in front keeps two lists apart that only break differently.
    let framed = (bytes.len() as u64).to_le_bytes();
    Print(fnv(print.0, framed.iter().chain(bytes)).max(1))
}

/// FNV-1a, 64 bits: stable over releases, unlike the standard library's hasher. Its inputs are keyed hashes and names.
pub(crate) fn fnv<'a>(seed: u64, bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(seed, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
