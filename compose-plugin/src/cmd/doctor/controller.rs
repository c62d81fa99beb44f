//! The controller: whether one answers, and how it stands.

use locket_controller::client::Place;
use locket_controller::own::controller::NAME;
use locket_crds::doctor::Finding;
use locket_engine::{Container, Health, Status};

use super::finding::{Findings, error, note, ok, warning};
use super::patient::Patient;
use crate::cmd::controller::{container, cure, standing, unheard, word};
use crate::context::{VERSION, sockets};

/// The check `controller`.
pub async fn controller(it: &Patient<'_>) -> Findings {
    let engine = it.engine().await?;
    let standing = standing(it.cx).await?;
    let listening = Place::all(&engine.host, sockets(&it.cx.env)).await;
    let answers = standing.answers.as_ref();
    let answers = answers.map(|(who, place)| (who.locket.as_str(), place.as_str()));
    let container = standing.container.as_ref().map(Contained::from);
    let mut out = vec![stands(answers, container.as_ref())];
    if let Some(why) = &standing.listener_problem {
        out.push(warning(
            unheard(why),
            "mend `listen` in locket.yaml, or what it needs; it is tried again twice a minute",
        ));
    }
    if answers.is_some() && listening.len() > 1 {
        let all: Vec<String> = listening.iter().map(ToString::to_string).collect();
        out.push(note(
            format!("more than one controller listens: {}", all.join(", ")),
            "fine if they look after different engines; else end one of them",
        ));
    }
    Ok(out)
}

/// What the container of the controller's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contained {
    pub is_ours: bool,
    pub is_unhealthy: bool,
    pub status: Status,
}

impl From<&Container> for Contained {
    fn from(it: &Container) -> Self {
        Self {
            is_ours: container::is_ours(it),
            is_unhealthy: it.state.health == Health::Unhealthy,
            status: it.state.status,
        }
    }
}

/// `answers`: the version of the controller that answers, and where it is.
pub(super) fn stands(answers: Option<(&str, &str)>, container: Option<&Contained>) -> Finding {
    match (answers, container) {
        (_, Some(it)) if !it.is_ours => error(
            format!("container {NAME} exists and is not locket's"),
            "remove or rename it",
        ),
        (Some((version, place)), _) if version != VERSION => warning(
            format!("the controller ({place}) is version {version}, this program is {VERSION}"),
            "`docker locket controller install` brings it to this version; a `controller run` is to be started anew",
        ),
        (Some((_, place)), Some(it)) if it.is_unhealthy => warning(
            format!("the controller answers ({place}), but its container is unhealthy"),
            "`docker locket controller logs` says why",
        ),
        (Some((version, place)), _) => {
            ok(format!("a controller answers: {place}, version {version}"))
        }
        (None, Some(it)) if it.status == Status::Running => error(
            format!("container {NAME} runs, but its controller does not answer for this engine"),
            "`docker locket controller logs` says why; `docker locket controller install` makes it anew",
        ),
        (None, Some(it)) => warning(
            format!(
                "container {NAME} is {}: no change reaches a container by itself, and after a reboot nobody delivers",
                word(it.status)
            ),
            cure(it.status),
        ),
        (None, None) => note(
            "no controller runs: changes, and what a reboot has emptied, arrive by `docker locket apply` only",
            "`docker locket controller install`",
        ),
    }
}
