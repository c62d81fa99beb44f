//! The past of a project: its events, and why a service is as it is.

use locket_core::memory::{Event, EventKind};
use locket_crds::api;
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::item::{Content, Item, Target};
use locket_crds::spec::{ChangeAction, Operand, Origin};
use locket_crds::template::Part;

use super::{View, stamp};

/// The history of a project as events of the API.
pub fn events(project: &ProjectName, view: &View) -> Vec<api::Event> {
    let one = |(number, e): (u64, &Event)| {
        let (reason, good) = word(e.kind);
        let container = e.container.as_deref().unwrap_or(e.service.as_str());
        // The container is named once, in front.
        let bare = |text: &str| {
            let rest = text.strip_prefix(container);
            let rest = rest.and_then(|rest| rest.strip_prefix(' '));
            rest.unwrap_or(text).to_owned()
        };
        let (cause, result) = (bare(&e.cause), bare(&e.result));
        let message = match (e.kind, &*result) {
            (EventKind::Delivered | EventKind::NotDelivered, _) => {
                format!("{container}: {result}, {cause}")
            }
            (_, "") => format!("{container}: {cause}"),
            (_, result) => format!("{container}: {cause}: {result}"),
        };
        api::Event {
            seq: number,
            project: project.clone(),
            service: Some(e.service.clone()),
            kind: if good {
                api::EventKind::Normal
            } else {
                api::EventKind::Warning
            },
            reason: reason.to_owned(),
            message,
            count: u64::from(e.count),
            first: stamp(e.first),
            last: stamp(e.last),
        }
    };
    view.events().map(one).collect()
}

/// The API's word for it, and whether it is as it should be.
pub fn word(kind: EventKind) -> (&'static str, bool) {
    match kind {
        EventKind::Delivered => ("Published", true),
        EventKind::NotDelivered => ("NotPublished", false),
        EventKind::Restarted => ("Restarted", true),
        EventKind::RestartFailed => ("RestartFailed", false),
        EventKind::RolledBack => ("RolledBack", false),
        EventKind::LeftAlone => ("LeftAlone", true),
        EventKind::Signalled => ("Signalled", true),
        EventKind::HookRan => ("HookRan", true),
        EventKind::HookFailed => ("HookFailed", false),
    }
}

/// Why a service is as it is; `None` when there is no such service.
pub fn explain(view: &View, name: &ServiceName) -> Option<api::Explain> {
    let status = view.status.as_ref()?;
    let given = status.services.iter().find(|s| s.service == *name);
    // One that is given nothing is restarted along with what it depends on, and that has a history too.
    let is_there = || view.desired.as_ref()?.model.get(name).map(|_| ());
    let service = match given {
        Some(it) => it.clone(),
        None => is_there().map(|()| api::ServiceStatus {
            service: name.clone(),
            generation: 0,
            fingerprint: None,
            conditions: Vec::new(),
            containers: Vec::new(),
        })?,
    };
    let wanted = view.desired.as_ref().and_then(|d| d.services.get(name));
    let history = view
        .history
        .iter()
        .rev()
        .filter(|e| e.service == *name)
        .map(act)
        .collect();
    Some(api::Explain {
        project: status.project.clone(),
        on_change: wanted
            .map(|w| action(&w.on_change.action))
            .unwrap_or_default(),
        inputs: wanted.iter().flat_map(|w| &w.items).map(input).collect(),
        waiting: status
            .waiting
            .iter()
            .filter(|w| w.service == *name)
            .cloned()
            .collect(),
        history,
        service,
    })
}

fn act(e: &Event) -> api::ExplainAct {
    let action = match e.kind {
        EventKind::Delivered | EventKind::NotDelivered => "publish",
        EventKind::Restarted | EventKind::RestartFailed => "restart",
        EventKind::RolledBack => "rollback",
        EventKind::LeftAlone => "left alone",
        EventKind::Signalled => "signal",
        EventKind::HookRan | EventKind::HookFailed => "exec",
    };
    let mut cause = e.cause.clone();
    for change in &e.changed {
        let word = |v: &Option<locket_core::VersionSeen>| {
            let version = v.as_ref().map_or("?", |v| v.0.as_str());
            // The built-in store's mark has its time behind the number.
            version.split('@').next().unwrap_or(version).to_owned()
        };
        cause += &format!(
            " ({}: version {} → {})",
            change.reference,
            word(&change.from),
            word(&change.to)
        );
    }
    api::ExplainAct {
        time: stamp(e.last),
        action: action.to_owned(),
        container: e.container.clone(),
        cause,
        from: e.from,
        to: e.to,
        result: if e.result.is_empty() {
            "ok".to_owned()
        } else {
            e.result.clone()
        },
    }
}

/// An action as `on_change` writes it.
fn action(it: &ChangeAction) -> String {
    match it {
        ChangeAction::Auto => "auto".to_owned(),
        ChangeAction::None => "none".to_owned(),
        ChangeAction::Signal(name) => format!("signal:{name}"),
        ChangeAction::Exec(argv) => format!("exec {argv:?}"),
        ChangeAction::Restart => "restart".to_owned(),
        ChangeAction::Recreate => "recreate".to_owned(),
        ChangeAction::Rollout => "rollout".to_owned(),
    }
}

fn input(item: &Item) -> api::ExplainInput {
    let target = match &item.target {
        Target::File { path, .. } => format!("file {path}"),
        Target::Env { key } => format!("env {key}"),
        Target::ComposeEnv { key } => format!("env {key} (through compose)"),
    };
    let references = match &item.content {
        Content::Secret(input) => vec![input.reference.to_string()],
        Content::Template { template, names } => {
            let inline = template.parts().iter().filter_map(|p| match p {
                Part::Expr(e) => match &e.operand {
                    Operand::Ref(r) => Some(r.to_string()),
                    Operand::Name(name) => {
                        names.get(name).map(|i| format!("{name} = {}", i.reference))
                    }
                },
                Part::Text(_) => None,
            });
            inline.collect()
        }
    };
    let origin = match &item.origin {
        Origin { file, line: 0, .. } => file.clone(),
        Origin { file, line, column } => format!("{file}:{line}:{column}"),
    };
    api::ExplainInput {
        target,
        references,
        origin,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use locket_core::Time;

    use super::*;

    #[test]
    fn an_event_names_its_container_once() {
        let event = |kind, cause: &str, result: &str| Event {
            first: Time(0),
            last: Time(0),
            count: 1,
            service: "api".into(),
            container: Some("shop-api-1".to_owned()),
            kind,
            from: None,
            to: None,
            changed: Vec::new(),
            cause: cause.to_owned(),
            result: result.to_owned(),
        };
        let all = [
            event(
                EventKind::RestartFailed,
                "key",
                "shop-api-1 exited with code 1",
            ),
            event(
                EventKind::RolledBack,
                "shop-api-1 exited with code 1",
                "healthy",
            ),
            event(EventKind::LeftAlone, "shop-api-10 was stopped", ""),
        ];
        let view = View {
            history: Arc::new(all.into()),
            numbers: Arc::new(vec![1, 2, 3]),
            ..View::default()
        };
        let told: Vec<String> = events(&"shop".into(), &view)
            .into_iter()
            .map(|it| it.message)
            .collect();
        assert_eq!(
            told,
            [
                "shop-api-1: key: exited with code 1",
                "shop-api-1: exited with code 1: healthy",
                "shop-api-1: shop-api-10 was stopped",
            ]
        );
    }
}
