//! The delivery lane: publishes what was rendered. It never waits for a restart.

use std::time::Duration;

use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::ChangeAction;

use crate::hook;
use crate::memory::{Change, Event, EventKind, Inputs};
use crate::model::{Action, DesiredService, ObservedService, Rendered, Time};
use crate::pass::Pass;
use crate::plan::{Cause, Reason};

/// A process reads what it starts with in this time; a publish meanwhile would make it a question which one it read.
const YOUNG: Duration = Duration::from_secs(1);

pub(crate) fn deliver(pass: &mut Pass) {
    for (service, wanted) in &pass.desired.services {
        match pass.seen(service).filter(|s| s.mounted) {
            Some(seen) => deliver_one(pass, service, wanted, seen),
            // `up` makes it only if somebody asks for its profile, so nothing is due.
            None if pass.is_absent(service)
                && pass.model(service).is_some_and(|m| !m.profiles.is_empty()) => {}
            None => pass.hold(
                service,
                "publish",
                Cause::new(Reason::NotMounted, "its volume is not there"),
                None,
            ),
        }
    }
}

fn deliver_one(
    pass: &mut Pass,
    service: &ServiceName,
    wanted: &DesiredService,
    seen: &ObservedService,
) {
    let Rendered::Ready {
        fingerprint,
        handle,
        metadata_only,
        changed,
        versions,
    } = &seen.rendered
    else {
        return;
    };
    let (fingerprint, current) = (*fingerprint, seen.current());
    let before = pass
        .memory
        .services
        .get(service)
        .and_then(|m| m.rendered.clone());
    let inputs = Inputs {
        digest: wanted.digest,
        surroundings: seen.surroundings.clone(),
        versions: versions.clone(),
        fingerprint,
    };
    let memory = pass.service(service);
    memory
        .failure
        // Without a generation there is nothing better to keep: after a reboot, its last good content is gone too.
        .take_if(|f| f.rejected && (f.fingerprint != fingerprint || current.is_none()));
    if memory.is_rejected(fingerprint) {
        memory.rendered = Some(inputs);
        let cause = Cause::new(
            Reason::Rejected,
            "this content did not come up and is not tried again until it changes",
        );
        return pass.hold(service, "publish", cause, None);
    }
    if seen.intact && current.is_some_and(|p| p.fingerprint == fingerprint) {
        memory.rendered = Some(inputs);
        return;
    }
    let is_drift = current.is_some_and(|p| p.fingerprint == fingerprint);
    if let Some((cause, until)) = held(pass, service, seen) {
        return pass.hold(service, "publish", cause, until);
    }
    let mut changes = changes(before.as_ref(), &inputs, changed);
    if changes.is_empty() {
        changes = pass.memory.undelivered(service, fingerprint);
    }
    let cause = match current {
        None => Cause::new(Reason::FirstDelivery, "there is no generation"),
        Some(_) if is_drift => {
            Cause::new(Reason::FilesDrifted, "files are not as they were published")
        }
        Some(_) if *metadata_only => Cause::new(
            Reason::MetadataChanged,
            "only mode, owner or update mode differ",
        ),
        Some(_) if changes.is_empty() => {
            Cause::new(Reason::ValueChanged, "what it is given has changed")
        }
        Some(_) => {
            let names: Vec<_> = changes.iter().map(|c| c.reference.to_string()).collect();
            Cause::new(
                Reason::ValueChanged,
                format!("{} changed", names.join(", ")),
            )
        }
    };
    note_likeness(pass, service, seen, fingerprint, *metadata_only);
    let now = pass.now;
    let memory = pass.service(service);
    memory.rendered = Some(inputs);
    if matches!(wanted.on_change.action, ChangeAction::Exec(_)) {
        // What a service is given first is what it is made with; there is nothing yet that a hook could change.
        memory
            .hook
            .acknowledged
            .get_or_insert(current.map_or(fingerprint, |p| p.fingerprint));
    }
    pass.record(Event {
        first: now,
        last: now,
        count: 1,
        service: service.clone(),
        container: None,
        kind: EventKind::Delivered,
        from: current.map(|p| p.fingerprint),
        to: Some(fingerprint),
        changed: changes,
        cause: cause.text.clone(),
        result: "published".into(),
    });
    let expect = current.map_or(0, |p| p.seq);
    pass.step(
        Action::Publish {
            service: service.clone(),
            handle: *handle,
            expect,
            fingerprint,
        },
        service,
        None,
        cause,
    );
    pass.publishes(service, fingerprint);
}

/// Why a generation may not be published yet.
fn held(
    pass: &Pass,
    service: &ServiceName,
    seen: &ObservedService,
) -> Option<(Cause, Option<Time>)> {
    // Without a generation nothing runs yet that could be changed, and `up` waits for this one.
    seen.current()?;
    if pass.observed.paused {
        return Some((Cause::new(Reason::Paused, "the project is paused"), None));
    }
    let had_one = |start: Time| seen.log.first().is_some_and(|p| p.at <= start);
    let young = pass.running(service).filter_map(|it| {
        let started = it
            .started_at
            .filter(|s| had_one(*s) && *s <= pass.now && pass.now < s.after(YOUNG))?;
        Some((started, &it.name))
    });
    if let Some((started, name)) = young.max() {
        return Some((
            Cause::new(Reason::JustStarted, format!("{name} has just started")),
            Some(started.after(YOUNG)),
        ));
    }
    let unacknowledged = pass
        .sharing(service)
        .into_iter()
        .find(|d| hook::is_ahead(pass, d))?;
    Some((
        Cause::new(
            Reason::HookPending,
            format!("the hook of {unacknowledged} comes first"),
        ),
        None,
    ))
}

/// Remembers that two contents differ only in mode or owner, for as long as the log knows them.
fn note_likeness(
    pass: &mut Pass,
    service: &ServiceName,
    seen: &ObservedService,
    new: Fingerprint,
    metadata_only: bool,
) {
    let Some(current) = seen.current().map(|p| p.fingerprint) else {
        return;
    };
    let memory = pass.service(service);
    memory
        .alike
        .retain(|from, _| seen.log.iter().any(|p| p.fingerprint == *from));
    let like = memory.alike.get(&current).copied().unwrap_or(current);
    if metadata_only && like != new {
        memory.alike.insert(new, like);
    }
}

fn changes(before: Option<&Inputs>, after: &Inputs, named: &[SecretRef]) -> Vec<Change> {
    let Some(before) = before else {
        return Vec::new();
    };
    let change = |reference: &SecretRef| Change {
        reference: reference.clone(),
        from: before.versions.get(reference).cloned(),
        to: after.versions.get(reference).cloned(),
    };
    if !named.is_empty() {
        return named.iter().map(change).collect();
    }
    after
        .versions
        .keys()
        .map(change)
        .filter(|c| c.from != c.to)
        .collect()
}
