//! Exec hooks: at least once for every content, in one container, before the dependants get theirs.

use std::time::Duration;

use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::spec::ChangeAction;

use crate::memory::{Event, EventKind, HookMemory, doubled};
use crate::model::{Action, ContainerId, Health, ObservedContainer, Operation, Rendered};
use crate::pass::{Pass, settle};
use crate::plan::{Cause, Reason};

/// The longest pause between two tries.
const RETRY_CAP: Duration = Duration::from_secs(300);
/// How long a hook may take if nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait for a container's health before looking again.
const HEALTH_POLL: Duration = Duration::from_secs(2);

fn argv<'a>(pass: &Pass<'a>, service: &ServiceName) -> Option<&'a [String]> {
    match &pass.wanted(service)?.on_change.action {
        ChangeAction::Exec(argv) => Some(argv),
        _ => None,
    }
}

fn memory<'b>(pass: &'b Pass, service: &ServiceName) -> Option<&'b HookMemory> {
    Some(&pass.memory.services.get(service)?.hook)
}

/// True if the hook has not succeeded for this content since it was last begun for anything.
fn is_due_for(memory: Option<&HookMemory>, content: Fingerprint) -> bool {
    let Some(HookMemory {
        acknowledged: Some(acknowledged),
        begun,
        ..
    }) = memory
    else {
        return false;
    };
    *acknowledged != content || begun.is_some()
}

/// True while a service's own state is behind what it is to be given, so that its dependants must not be ahead.
pub(crate) fn is_ahead(pass: &Pass, service: &ServiceName) -> bool {
    let Some(seen) = pass
        .seen(service)
        .filter(|s| s.mounted && argv(pass, service).is_some())
    else {
        return false;
    };
    let failed = matches!(seen.rendered, Rendered::Failed { .. });
    failed
        || pass
            .target(service)
            .is_some_and(|content| is_due_for(memory(pass, service), content))
}

/// True while the hook is due for what has been delivered.
pub(crate) fn is_due(pass: &Pass, service: &ServiceName) -> bool {
    argv(pass, service).is_some()
        && pass
            .current(service)
            .is_some_and(|p| is_due_for(memory(pass, service), p.fingerprint))
}

/// Acknowledges a hook that came back. A result comes again where it was not heard that the memory is written; by then the next
/// one may have been begun there, and that has not run.
pub(crate) fn take(
    pass: &mut Pass,
    container: &ContainerId,
    content: Fingerprint,
    exit_code: Option<i64>,
    message: &str,
) {
    let Some(it) = pass
        .observed
        .containers
        .iter()
        .find(|it| it.id == *container)
    else {
        return;
    };
    let (now, retry) = (pass.now, pass.policy.hook_retry);
    let hook = &mut pass.service(&it.service).hook;
    if hook.begun != Some(content) {
        return;
    }
    let from = hook.acknowledged;
    let (kind, result) = match exit_code {
        Some(0) => {
            *hook = HookMemory {
                acknowledged: Some(content),
                ..HookMemory::default()
            };
            (EventKind::HookRan, "succeeded".to_owned())
        }
        code => {
            let what = code.map_or_else(
                || "could not be run".to_owned(),
                |c| format!("exit code {c}"),
            );
            let text = match code {
                _ if message.is_empty() => what,
                // Why there is no code is all that can be said.
                None => message.to_owned(),
                Some(_) => format!("{what}: {message}"),
            };
            hook.not_before = Some(now.after(doubled(retry, hook.failures, RETRY_CAP)));
            hook.failures = hook.failures.saturating_add(1);
            hook.message = Some(text.clone());
            (EventKind::HookFailed, text)
        }
    };
    let changed = pass.memory.changes(&it.service, from, Some(content));
    pass.record(Event {
        first: now,
        last: now,
        count: 1,
        service: it.service.clone(),
        container: Some(it.name.clone()),
        kind,
        from,
        to: Some(content),
        changed,
        cause: "content changed".into(),
        result,
    });
}

/// Begins the hook if it is due and may run.
pub(crate) fn run(pass: &mut Pass, service: &ServiceName) {
    let (Some(argv), Some(wanted), Some(current)) = (
        argv(pass, service),
        pass.wanted(service),
        pass.current(service),
    ) else {
        return;
    };
    // A hook that is new in the spec begins with what is there.
    pass.service(service)
        .hook
        .acknowledged
        .get_or_insert(current.fingerprint);
    if !is_due(pass, service) || pass.publishing.contains_key(service) {
        return;
    }
    if !pass.policy.act {
        return pass.hold(
            service,
            "hook",
            Cause::new(Reason::NoController, "no controller acts on this project"),
            None,
        );
    }
    if pass.observed.paused {
        return pass.hold(
            service,
            "hook",
            Cause::new(Reason::Paused, "the project is paused"),
            None,
        );
    }
    if pass
        .of(service)
        .iter()
        .any(|it| it.operation == Some(Operation::Hook))
    {
        return pass.hold(
            service,
            "hook",
            Cause::new(Reason::HookRunning, "it runs"),
            None,
        );
    }
    // One that is being stopped would take the hook with it.
    let is_restarted =
        |it: &ObservedContainer| it.operation.is_some() || pass.memory.intent(&it.id).is_some();
    let Some(container) = pass.running(service).find(|it| !is_restarted(it)) else {
        let cause = match pass.of(service).iter().find(|it| is_restarted(it)) {
            Some(it) => Cause::new(
                Reason::HookPending,
                format!("{} is being restarted", it.name),
            ),
            None => Cause::new(Reason::NoRunningContainer, "no container of it runs"),
        };
        return pass.hold(service, "hook", cause, None);
    };
    let settled = pass.holds(current.at, settle(wanted));
    let memory = pass.service(service).hook.clone();
    if memory.failures == 0 && settled.is_some() {
        let cause = Cause::new(Reason::Settling, "more changes may follow");
        return pass.hold(service, "hook", cause, settled);
    }
    // A failure counts for what it was tried with; new content is tried at once.
    if let Some(at) = memory
        .not_before
        .and_then(|at| pass.still_to_come(at, RETRY_CAP))
        .filter(|_| memory.begun == Some(current.fingerprint))
    {
        let text = memory.message.unwrap_or_default();
        return pass.hold(
            service,
            "hook",
            Cause::new(Reason::HookFailed, text),
            Some(at),
        );
    }
    if container.health == Health::Starting {
        let at = pass.now.after(HEALTH_POLL);
        let cause = Cause::new(
            Reason::HookPending,
            format!("{} is starting", container.name),
        );
        return pass.hold(service, "hook", cause, Some(at));
    }
    pass.service(service).hook.begun = Some(current.fingerprint);
    let action = Action::Exec {
        container: container.id.clone(),
        argv: argv.to_vec(),
        content: current.fingerprint,
        timeout: wanted.on_change.timeout.unwrap_or(TIMEOUT),
    };
    pass.step(
        action,
        service,
        Some(container),
        Cause::new(Reason::HookDue, "its content changed"),
    );
}
