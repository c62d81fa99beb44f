//! What is true of every plan, whatever it was made from. Tests run it on every plan that they make.

use std::collections::{BTreeMap, BTreeSet};

use crate::memory::Memory;
use crate::model::{Action, ContainerId, ContainerState, Desired, Observed, ObservedContainer};
use crate::order::ties;
use crate::plan::Planned;

/// Finds what is wrong with a plan: one line for each broken rule; empty for every plan that [`plan`](crate::plan()) makes.
pub fn lint(
    desired: &Desired,
    observed: &Observed,
    before: &Memory,
    planned: &Planned,
) -> Vec<String> {
    let containers: BTreeMap<&ContainerId, &ObservedContainer> =
        observed.containers.iter().map(|it| (&it.id, it)).collect();
    let mut out = Vec::new();
    let remembers: Vec<usize> = planned
        .now
        .iter()
        .enumerate()
        .filter(|(_, s)| s.action == Action::Remember)
        .map(|(i, _)| i)
        .collect();
    let due: &[usize] = if planned.memory == *before { &[] } else { &[0] };
    if remembers != due {
        out.push(format!("remember is at {remembers:?}, not at {due:?}"));
    }
    let (mut published, mut stopped) = (BTreeSet::new(), BTreeSet::new());
    for step in &planned.now {
        let mut wrong = |text: &str| out.push(format!("{text}: {step}"));
        match &step.action {
            Action::Remember => {}
            Action::Publish {
                service,
                fingerprint,
                expect,
                ..
            }
            | Action::Restore {
                service,
                fingerprint,
                expect,
                ..
            } => {
                if !published.insert(service) {
                    wrong("two publishes of one service");
                }
                let current = observed
                    .services
                    .get(service)
                    .and_then(|s| s.current())
                    .map_or(0, |p| p.seq);
                if current != *expect {
                    wrong("it expects another generation than the current one");
                }
                if planned
                    .memory
                    .services
                    .get(service)
                    .is_some_and(|m| m.is_rejected(*fingerprint))
                {
                    wrong("a rejected content is published");
                }
            }
            Action::Start { container } => match containers.get(container) {
                Some(it) if it.state == ContainerState::Running => wrong("it runs already"),
                Some(_) if planned.memory.intent(container).is_some() => {}
                _ => wrong("we have not stopped it"),
            },
            Action::Probe { container }
            | Action::Stop { container, .. }
            | Action::Signal { container, .. }
            | Action::Exec { container, .. } => {
                let Some(it) = containers.get(container) else {
                    wrong("no such container");
                    continue;
                };
                let tied = desired
                    .model
                    .get(&it.service)
                    .is_some_and(|m| ties(m).next().is_some());
                let reach = if desired.services.contains_key(&it.service) {
                    it.has_volume
                } else {
                    tied
                };
                let may = matches!(step.action, Action::Stop { .. })
                    && it.state == ContainerState::Restarting;
                if !reach || it.oneoff {
                    wrong("it is not ours to act on");
                }
                if it.state != ContainerState::Running
                    && !(may && planned.memory.intent(container).is_some())
                {
                    wrong("it does not run");
                }
                if matches!(step.action, Action::Stop { .. }) {
                    if planned.memory.intent(container).is_none() {
                        wrong("there is no intent");
                    }
                    if observed.paused || observed.gate_open {
                        wrong("disruption is held");
                    }
                    if !stopped.insert(&it.service) {
                        wrong("two stops of one service");
                    }
                }
            }
        }
    }
    out
}
