//! From what was asked for to what is wanted: the only place that makes a [`Desired`].

use std::collections::BTreeMap;

use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::item::Item;
use locket_crds::spec::{ChangeAction, ComposeService, Defaults, OnChange};

use crate::model::{Desired, DesiredService};
use crate::order::Order;
use crate::sight::fnv;

/// What one service asks for, with every name looked up.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Mount point in the container.
    pub path: String,
    /// Everything that it is given.
    pub items: Vec<Item>,
    /// Its own `on_change`.
    pub on_change: Option<OnChange>,
}

/// Something that is wrong with what was asked for, or that will not do what it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whose.
    pub service: ServiceName,
    /// A bounded word, as in a condition's reason.
    pub reason: &'static str,
    /// One clause for people.
    pub message: String,
}

/// Puts a project together from its resolved services. Collects all problems; what it makes can be planned in any case.
///
/// `defaults` are the project's, already completed by the host's.
pub fn assemble(
    project: ProjectName,
    model: BTreeMap<ServiceName, ComposeService>,
    asked: BTreeMap<ServiceName, Asked>,
    defaults: &Defaults,
) -> (Desired, Vec<Problem>) {
    let mut problems = Vec::new();
    for name in Order::new(&model).cycle {
        let message = "it is on or behind a cycle of dependencies; no order can be kept".to_owned();
        problems.push(Problem {
            service: name.clone(),
            reason: "DependencyCycle",
            message,
        });
    }
    let services: BTreeMap<_, _> = asked
        .into_iter()
        .map(|(name, it)| (name, desire(it, defaults)))
        .collect();
    for (name, service) in &services {
        let mut say = |reason, message: &str| {
            problems.push(Problem {
                service: name.clone(),
                reason,
                message: message.to_owned(),
            });
        };
        match model.get(name) {
            None => say("UnknownService", "the model has no such service"),
            Some(it) if it.provider.is_some() => say(
                "ProviderService",
                "a provider service has no containers to give secrets to",
            ),
            Some(_) => {}
        }
        match &service.on_change.action {
            ChangeAction::Recreate | ChangeAction::Rollout => {
                say(
                    "NotSupportedYet",
                    "recreate and rollout are not done yet: its files are delivered, nothing is restarted",
                );
            }
            ChangeAction::Exec(argv) if argv.is_empty() => {
                say("EmptyHook", "the hook has no command")
            }
            ChangeAction::Signal(_) if has_env(service) => {
                say(
                    "EnvNeedsRestart",
                    "a signal does not change the environment of a running process",
                );
            }
            _ => {}
        }
    }
    (
        Desired {
            project,
            services,
            model,
        },
        problems,
    )
}

fn has_env(service: &DesiredService) -> bool {
    service
        .items
        .iter()
        .any(|i| matches!(i.target, locket_crds::item::Target::Env { .. }))
}

fn desire(asked: Asked, defaults: &Defaults) -> DesiredService {
    let own = asked.on_change.or_else(|| defaults.on_change.clone());
    let auto = OnChange {
        action: ChangeAction::Auto,
        timeout: None,
        stable: None,
        settle: None,
        restart_every: None,
    };
    let mut on_change = own.unwrap_or(auto);
    on_change.settle = on_change.settle.or(defaults.settle);
    on_change.restart_every = on_change.restart_every.or(defaults.restart_every);
    let references = asked
        .items
        .iter()
        .flat_map(|i| i.content.references())
        .cloned()
        .collect();
    // Origins are in it: a moved line is rendered once more, and then its problems name the right place.
    let digest =
        serde_json::to_vec(&asked.items).map_or(0, |json| fnv(0xcbf2_9ce4_8422_2325, json.iter()));
    DesiredService {
        path: asked.path,
        items: asked.items,
        references,
        on_change,
        digest,
    }
}

#[cfg(test)]
mod tests {
    use locket_crds::item::{Content, Input, Target};
    use locket_crds::spec::{Dependency, Origin};
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn item(reference: &str) -> Item {
        let input = Input {
            reference: reference.parse().unwrap(),
            allow_empty: false,
        };
        Item {
            target: Target::Env { key: "A".into() },
            content: Content::Secret(input),
            origin: Origin::default(),
        }
    }

    fn asked(action: ChangeAction) -> Asked {
        let on_change = OnChange {
            action,
            timeout: None,
            stable: None,
            settle: None,
            restart_every: None,
        };
        Asked {
            path: "/run/secrets".into(),
            items: vec![item("local:a")],
            on_change: Some(on_change),
        }
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let mut model: BTreeMap<ServiceName, ComposeService> = BTreeMap::new();
        for (name, on) in [("a", "b"), ("b", "a"), ("c", "a"), ("d", "d2"), ("d2", "x")] {
            let service = model.entry(name.into()).or_default();
            service.depends_on.insert(on.into(), Dependency::default());
        }
        model.entry("gate".into()).or_default().provider = Some("locket".into());
        let services = BTreeMap::from([
            ("a".into(), asked(ChangeAction::Rollout)),
            ("c".into(), asked(ChangeAction::Signal("HUP".into()))),
            ("d".into(), asked(ChangeAction::Exec(vec![]))),
            ("gate".into(), asked(ChangeAction::Auto)),
            ("nobody".into(), asked(ChangeAction::Auto)),
        ]);
        let (_, problems) = assemble("p".into(), model, services, &Defaults::default());
        let text: Vec<_> = problems
            .iter()
            .map(|p| format!("{} {}", p.service, p.reason))
            .collect();
        assert_eq!(
            text,
            [
                "a DependencyCycle",
                "b DependencyCycle",
                "c DependencyCycle",
                "a NotSupportedYet",
                "c EnvNeedsRestart",
                "d EmptyHook",
                "gate ProviderService",
                "nobody UnknownService"
            ]
        );
    }

    #[test]
    fn defaults_fill_what_is_not_said_and_the_digest_follows_the_items() {
        let defaults = Defaults {
            settle: Some(Duration::from_secs(9)),
            ..Defaults::default()
        };
        let make = |reference: &str| {
            let mut it = asked(ChangeAction::Restart);
            it.items = vec![item(reference)];
            let model = BTreeMap::from([("a".into(), ComposeService::default())]);
            let (desired, problems) = assemble(
                "p".into(),
                model,
                BTreeMap::from([("a".into(), it)]),
                &defaults,
            );
            assert!(problems.is_empty());
            desired.services.into_values().next().unwrap()
        };
        let (one, other) = (make("local:a"), make("local:b"));
        assert_eq!(one.on_change.settle, Some(Duration::from_secs(9)));
        assert_eq!(one.references, BTreeSet::from(["local:a".parse().unwrap()]));
        assert_eq!(one.digest, make("local:a").digest);
        assert_ne!(one.digest, other.digest);
    }
}
