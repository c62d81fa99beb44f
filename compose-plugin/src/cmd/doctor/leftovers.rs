//! Our own objects on the engine: anchors in use, and what is left of projects and versions that are gone.

use std::collections::BTreeSet;

use locket_controller::leftovers::{Serving, Stranger, Survey};
use locket_controller::own::anchor::Volumes;
use locket_crds::doctor::Finding;

use super::finding::{Findings, note, ok, warning};
use super::patient::Patient;

/// The check `anchors`.
pub async fn anchors(it: &Patient<'_>) -> Findings {
    let survey = it.survey().await?;
    Ok(serve(&survey.serving, &survey.strangers))
}

pub(super) fn serve(all: &[Serving], strangers: &[Stranger]) -> Vec<Finding> {
    let mut out = Vec::new();
    for it in all {
        let Serving { name, project, .. } = it;
        // Of two anchors of a project one is about to go.
        let is_replaced = all
            .iter()
            .any(|o| o.project == *project && o.name != *name && o.running);
        if !it.running && !is_replaced {
            out.push(warning(
                format!("{name} does not run, so nothing keeps the secrets of project {project} in memory"),
                format!("`docker start {name}`, then `docker locket apply -p {project}`"),
            ));
        } else if !it.is_current && !is_replaced {
            out.push(note(
                format!("{name} runs another version of locket"),
                format!("`docker compose up -d` in the project's folder, or `docker locket apply -p {project}`, replaces it; nothing is restarted"),
            ));
        }
    }
    for it in strangers {
        if let Some(project) = &it.serves {
            out.push(note(
                format!("{} is not this program's anchor: {}", it.name, it.why),
                format!("`docker locket apply -p {project}` makes one beside it, and removes it if it is of another version; `docker rm -f {}` if it is nobody's", it.name),
            ));
        }
    }
    if out.is_empty() {
        let projects: BTreeSet<_> = all.iter().map(|it| &it.project).collect();
        out.push(ok(match projects.len() {
            0 => "no project with secrets has containers".to_owned(),
            1 => "the anchor of 1 project serves".to_owned(),
            n => format!("the anchors of {n} projects serve"),
        }));
    }
    out
}

/// The check `leftovers`.
pub async fn leftovers(it: &Patient<'_>) -> Findings {
    Ok(left(&*it.survey().await?))
}

pub(super) fn left(it: &Survey) -> Vec<Finding> {
    let mut out: Vec<Finding> = it
        .leftovers
        .iter()
        .map(|it| Finding {
            fixable: true,
            ..note(
                format!("{it}: {}", it.why),
                "`docker locket doctor --fix` removes it",
            )
        })
        .collect();
    for it in it.strangers.iter().filter(|it| it.serves.is_none()) {
        let remove = match it.kind {
            "image" => "rmi",
            _ => "rm -f",
        };
        out.push(note(
            format!(
                "{} {} looks like locket's, and is left alone: {}",
                it.kind, it.name, it.why
            ),
            format!("`docker {remove} {}`, if you know it", it.name),
        ));
    }
    if out.is_empty() {
        out.push(ok("nothing is left over"));
    }
    out
}

/// The check `remembered`.
pub async fn remembered(it: &Patient<'_>) -> Findings {
    Ok(kept(&it.survey().await?.remembered))
}

pub(super) fn kept(all: &[Volumes]) -> Vec<Finding> {
    if all.is_empty() {
        return vec![ok("every project that is remembered has containers")];
    }
    let one = |it: &Volumes| {
        let names: Vec<&str> = std::iter::once(&it.project_volume)
            .chain(it.services.values())
            .map(String::as_str)
            .collect();
        note(
            format!(
                "project {} has no containers; {} remembers what was applied, paused and done",
                it.project, it.project_volume
            ),
            format!(
                "nothing, if it comes back; else `docker volume rm {}`",
                names.join(" ")
            ),
        )
    };
    all.iter().map(one).collect()
}
