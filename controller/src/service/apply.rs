//! An apply: the spec is handed over, and the passes are followed until its end can be told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use locket_crds::api::{self, ApplyMode, ApplyRequest, Progress};
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::spec::ProjectSpec;
use locket_runtime::Trigger;
use tokio::time::{Instant, timeout_at};

use super::{Role, Room, Service};
use crate::access::Error;
use crate::link::{self, Lease};
use crate::mutex::lock;
use crate::observe;
use crate::project::{self, Mode, Project};
use crate::spec::merge;
use crate::view::{Delivery, View};

impl Service {
    /// As [`crate::access::Access::apply`].
    ///
    /// # Errors
    /// As there.
    pub async fn apply(
        self: &Arc<Self>,
        name: &ProjectName,
        request: ApplyRequest,
        timeout: Duration,
        told: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<api::Applied, Error> {
        let until = Instant::now() + timeout;
        let asked = request
            .spec
            .as_ref()
            .map(|s| s.services.keys().cloned().collect::<BTreeSet<_>>());
        let room = self.room(name);
        let mut views = room.view.subscribe();
        let gate = match request.mode {
            ApplyMode::Deliver => Some(room.enter(until).await?.open_gate()),
            ApplyMode::Act => None,
        };
        if self.role == Role::Client {
            *lock(&room.mode) = match request.mode {
                ApplyMode::Deliver => Mode::Deliver,
                ApplyMode::Act => Mode::Act,
            };
        }
        let moved_from = self.hand_over(name, &room, request, until, told).await?;
        let start = views.borrow_and_update().pass;
        self.enqueue(name, Trigger::user("apply"));
        let mut waits: Option<String> = None;
        loop {
            let Ok(changed) = timeout_at(until, views.changed()).await else {
                let why = waits.unwrap_or_else(|| "no pass has ended".to_owned());
                return Err(Error::new(
                    "Timeout",
                    format!("not done after {} s: {why}", timeout.as_secs()),
                )
                .hint("`docker locket status` says more"));
            };
            if changed.is_err() {
                return Err(Error::new(
                    "Internal",
                    "nobody looks after the project any more",
                ));
            }
            let view = Arc::clone(&views.borrow_and_update());
            if view.pass <= start {
                continue;
            }
            view.done
                .iter()
                .for_each(|step| told(Progress::Info(step.clone())));
            match verdict(&view, asked.as_ref(), gate.is_some()) {
                Verdict::Wait(why) => {
                    if waits.as_ref() != Some(&why) {
                        told(Progress::Info(why.clone()));
                    }
                    waits = Some(why);
                }
                Verdict::Bad(error) => return Err(error),
                Verdict::Good(mut applied, warnings) => {
                    warnings
                        .into_iter()
                        .for_each(|w| told(Progress::Warning(w)));
                    applied.controller = self.role == Role::Controller;
                    applied.moved_from = moved_from;
                    return Ok(applied);
                }
            }
        }
    }

    /// Writes the spec down; waits for whoever has the lease. Says which directory the project was applied from until now, if it
    /// is another one.
    async fn hand_over(
        self: &Arc<Self>,
        name: &ProjectName,
        room: &Arc<Room>,
        request: ApplyRequest,
        until: Instant,
        told: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Option<String>, Error> {
        let mut said = false;
        loop {
            let mut project = room.enter(until).await?;
            let mut pause = Duration::from_millis(200);
            let lease = match project.enter(&self.shared).await {
                // Of another version: the holder all the same. Each try makes an anchor in vain, so there are fewer.
                Err(project::Error::Link(link::Error::Busy { holder, .. })) => {
                    pause = Duration::from_secs(2);
                    Some(Lease::Held(holder))
                }
                other => {
                    other.map_err(|e| Error::unavailable("there is no way into the project", e))?
                }
            };
            match lease {
                Some(Lease::Ours(_)) => {
                    let moved_from = request.spec.as_ref().and_then(|new| {
                        let old = &project.applied.as_ref()?.spec.working_dir;
                        (*old != new.working_dir).then(|| old.clone())
                    });
                    if let Some(spec) = request.spec.clone() {
                        self.write_down(name, &mut project, spec).await?;
                    }
                    if project.applied.is_none() {
                        return Err(Error::not_found(format!(
                            "nothing was applied for project {name} yet"
                        ))
                        .hint("run `docker compose up`"));
                    }
                    room.inbox.leave(|h| {
                        h.all_sources = true;
                        h.verify = true;
                        h.retry |= request.mode == ApplyMode::Act;
                    });
                    return Ok(moved_from);
                }
                Some(Lease::Held(holder)) if Instant::now() >= until => {
                    return Err(Error::new(
                        "Conflict",
                        format!("project {name} is being worked on by {holder}"),
                    )
                    .hint("wait until it is done"));
                }
                Some(Lease::Held(holder)) => {
                    drop(project);
                    if !std::mem::replace(&mut said, true) {
                        told(Progress::Info(format!("waiting for {holder}")));
                    }
                    tokio::time::sleep(pause).await;
                }
                None => {
                    return Err(Error::not_found(format!(
                        "project {name} has no volume of locket's on this engine"
                    ))
                    .hint(
                        "`docker locket generate` adds it to the project; then `docker compose up`",
                    ));
                }
            }
        }
    }

    /// Replaces the applied spec; a service that the new one leaves out stays while it has containers.
    async fn write_down(
        &self,
        name: &ProjectName,
        project: &mut Project,
        spec: ProjectSpec,
    ) -> Result<(), Error> {
        let (spec, kept) = match &project.applied {
            Some(old) => {
                let found = self.shared.containers(name).await;
                let found =
                    found.map_err(|e| Error::unavailable("the engine does not answer", e))?;
                let services: Vec<ServiceName> =
                    found.iter().map(|c| observe::service_of(c)).collect();
                merge(&old.spec, spec, |service| services.contains(service))
            }
            None => (spec, BTreeSet::new()),
        };
        let written = project.set_spec(spec, kept).await;
        written.map_err(|e| Error::unavailable("the spec cannot be written", e))?;
        // What failed before was asked for in other words.
        if let Some(handle) = self.handle.get() {
            handle.reset(name);
        }
        Ok(())
    }
}

enum Verdict {
    Wait(String),
    Bad(Error),
    Good(api::Applied, Vec<String>),
}

/// Whether an apply is done, as far as this view tells.
fn verdict(view: &View, asked: Option<&BTreeSet<ServiceName>>, gate: bool) -> Verdict {
    if let Some(why) = &view.error {
        return Verdict::Wait(why.clone());
    }
    if let Some(holder) = &view.held {
        return Verdict::Wait(format!("waiting for {holder}"));
    }
    let Some(status) = &view.status else {
        return Verdict::Wait("waiting for the project's containers".to_owned());
    };
    let (mut applied, mut warnings, mut pending) =
        (api::Applied::default(), Vec::new(), Vec::new());
    let mut bad: Vec<(&str, String)> = Vec::new();
    for (service, delivery) in &view.delivery {
        // What an earlier spec asked for is nothing that this one can fail of.
        if asked.is_some_and(|asked| !asked.contains(service)) {
            continue;
        }
        match delivery {
            Delivery::Absent => {}
            Delivery::Pending => pending.push(service.as_str()),
            Delivery::Complete(seq) => applied.delivered.push((service.clone(), *seq)),
            Delivery::Failed { message, last, .. } if delivery.can_wait() => {
                warnings.push(format!(
                    "{service} keeps its last good generation {last}: {message}"
                ));
                applied.delivered.push((service.clone(), *last));
            }
            Delivery::Failed {
                reason,
                message,
                last: 0,
            } => bad.push((reason, format!("{service} gets nothing: {message}"))),
            Delivery::Failed {
                reason,
                message,
                last,
            } => bad.push((
                reason,
                format!("{service} gets nothing new, generation {last} stays: {message}"),
            )),
        }
    }
    if let Some((reason, first)) = bad.first() {
        let e = Error::new(*reason, first);
        return Verdict::Bad(match bad.len() - 1 {
            0 => e,
            n => e.hint(format!("{n} more: `docker locket plan` names all")),
        });
    }
    if !pending.is_empty() {
        return Verdict::Wait(format!("delivering to {}", pending.join(", ")));
    }
    for service in &status.services {
        let outdated = service
            .containers
            .iter()
            .filter_map(|c| Some((c.name.clone(), c.outdated.clone()?)));
        applied.outdated.extend(outdated);
    }
    if gate {
        return Verdict::Good(applied, warnings);
    }
    let open = |s: &api::ServiceStatus| {
        let it = s
            .conditions
            .iter()
            .find(|c| c.kind == api::ConditionKind::RolledOut && !c.status)?;
        Some((it.reason.clone(), format!("{}: {}", s.service, it.message)))
    };
    let open: Vec<(String, String)> = status.services.iter().filter_map(open).collect();
    // Others wait for what has come to a bad end, so that is looked for first.
    if let Some((reason, message)) = open.iter().find(|(reason, _)| is_final(reason)) {
        return Verdict::Bad(Error::new(reason, message));
    }
    if let Some((_, message)) = open.into_iter().next() {
        return Verdict::Wait(message);
    }
    match view.settled {
        true => Verdict::Good(applied, warnings),
        false => Verdict::Wait("waiting for the last steps".to_owned()),
    }
}

/// A reason for which waiting any longer does not help.
fn is_final(reason: &str) -> bool {
    matches!(
        reason,
        "RolledBack" | "NotHealthy" | "HookFailed" | "NotSupportedYet" | "NotMounted" | "Paused"
    )
}
