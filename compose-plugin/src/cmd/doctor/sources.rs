//! The backends: whether those of this folder's project and of the host configuration answer, and what is not granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use locket_controller::sources::{Authority, Problem, Sources};
use locket_crds::api::SourceStatus;
use locket_crds::config::HostConfig;
use locket_crds::doctor::Finding;
use locket_crds::id::SourceName;
use locket_crds::labels;
use locket_crds::reference::{SCHEMES, SecretRef};
use locket_crds::spec::ProjectSpec;

use super::finding::{Findings, Unseen, error, note, ok, warning};
use super::patient::Patient;
use crate::cmd::trust;
use crate::error::CommandError;
use crate::project;

/// What is asked of a backend that this folder's project does not use: a secret that nobody has. "Not there" and "not allowed" are
/// answers.
const PROBE: &str = "locket-doctor/no-such-secret#none";

/// The check `sources`.
pub async fn sources(it: &Patient<'_>) -> Findings {
    it.engine().await?;
    let config = Arc::new(it.cx.host_config().await?);
    let mut out = Vec::new();
    let spec = match read(it).await {
        Ok(Some((spec, used))) => {
            let sources = open(it, &config).await?;
            let answers = sources.versions(&spec, used.iter().cloned()).await;
            out.extend(answered(answers.iter().map(|(r, a)| (r, a.as_ref().err()))));
            let access = it.cx.any_controller().await?;
            if access.controller().is_some() {
                let asked = access.status(Some(&spec.project)).await;
                let status = asked.map_err(CommandError::from)?;
                out.extend(
                    status
                        .projects
                        .iter()
                        .flat_map(|it| to_controller(&it.sources)),
                );
                out.extend(granted(&spec, trust::missing(&config, &spec, &used)?.len()));
            }
            spec
        }
        Ok(None) => nothing(),
        Err(unseen) => {
            out.push(unseen.into());
            nothing()
        }
    };
    let known: BTreeSet<&SourceName> = spec.sources.keys().collect();
    let (folders, probes) = of_host(
        &config,
        |name| known.contains(name),
        |path| Path::new(path).is_dir(),
    );
    out.extend(folders);
    if !probes.is_empty() {
        let sources = open(it, &config).await?;
        let answers = sources.versions(&nothing(), probes).await;
        out.extend(answered(answers.iter().map(|(r, a)| {
            (
                r,
                a.as_ref()
                    .err()
                    .filter(|e| !matches!(e.reason, "NotFound" | "Denied")),
            )
        })));
    }
    if out.is_empty() {
        out.push(ok(
            "no compose project is here, and the host configuration names no backend",
        ));
    }
    Ok(out)
}

/// The project of this folder, and every reference that its services use; nothing where there is none.
async fn read(it: &Patient<'_>) -> Result<Option<(ProjectSpec, BTreeSet<SecretRef>)>, Unseen> {
    if project::files(it.cx, it.flags)?.is_none() {
        return Ok(None);
    }
    let loaded = project::load(it.cx, it.flags).await?;
    let used = project::references(&loaded.items);
    match loaded.spec.clone().filter(|_| !loaded.failed()) {
        Some(spec) => Ok(Some((spec, used))),
        None => Err(Unseen::from_here(
            "the backends of this folder's project were not asked: there are mistakes in its compose files",
            "`docker locket check` shows them",
        )),
    }
}

async fn open(it: &Patient<'_>, config: &Arc<HostConfig>) -> Result<Sources, Unseen> {
    let opener = it.cx.opener(&project::base(it.cx, it.flags)).await?;
    Ok(Sources::new(opener, Authority::User(Arc::clone(config))))
}

/// A project that asks for nothing.
fn nothing() -> ProjectSpec {
    labels::empty(&"locket-doctor".into())
}

/// A finding a source: the first thing that is wrong with it. A secret that is missing is no fault of its source.
pub(super) fn answered<'a>(
    all: impl Iterator<Item = (&'a SecretRef, Option<&'a Problem>)>,
) -> Vec<Finding> {
    let mut by_source: BTreeMap<&SourceName, (usize, Option<&Problem>)> = BTreeMap::new();
    for (reference, problem) in all {
        let it = by_source.entry(reference.source()).or_default();
        it.0 += 1;
        let worse = |a: &Problem, b: &Problem| weight(a) > weight(b);
        if let Some(problem) = problem.filter(|it| weight(it) > 0)
            && it.1.is_none_or(|known| worse(problem, known))
        {
            it.1 = Some(problem);
        }
    }
    let one = |(name, (asked, problem)): (&SourceName, (usize, Option<&Problem>))| match problem {
        None => ok(format!("source {name} answers ({asked} asked)")),
        Some(it) => {
            let message = format!("source {name}: {}", it.message);
            let cure = it
                .help
                .clone()
                .unwrap_or_else(|| cure(it.reason).to_owned());
            match it.reason {
                "Denied" | "Throttled" => warning(message, cure),
                _ => error(message, cure),
            }
        }
    };
    by_source.into_iter().map(one).collect()
}

/// What says more about the source than about one of its secrets.
fn weight(it: &Problem) -> u8 {
    match it.reason {
        "NotFound" => 0,
        "Denied" | "Throttled" => 1,
        "Invalid" => 2,
        _ => 3,
    }
}

fn cure(reason: &str) -> &'static str {
    match reason {
        "Denied" => "give the credential the right to read it, at the backend",
        "Throttled" => {
            "wait, or ask the backend's operator for a higher limit; `refresh:` of the source asks less often"
        }
        "Unauthenticated" => "renew the credential that `auth` of the source names",
        "Invalid" => "correct the source: docs/reference/x-locket.md",
        _ => {
            "see whether its `url` can be reached from this machine: `docker locket doctor` asks with your network"
        }
    }
}

/// What a source has answered the controller last, whose credentials and network are its own. What is well there needs no line.
pub(super) fn to_controller(all: &[SourceStatus]) -> Vec<Finding> {
    let one = |it: &SourceStatus| {
        // The others are about a secret, or about a grant, which has its own finding.
        let about_source = matches!(
            it.reason.as_str(),
            "Denied" | "Throttled" | "Unauthenticated" | "Unavailable"
        );
        (!it.ready && about_source).then(|| {
            error(
                format!("source {}, asked by the controller: {}", it.source, it.message),
                "see that its credential is where the controller runs, and that its `url` is reached from there; \
                 `docker locket refresh` asks again",
            )
        })
    };
    all.iter().filter_map(one).collect()
}

/// What the controller may not read.
pub(super) fn granted(spec: &ProjectSpec, missing: usize) -> Option<Finding> {
    let more = if missing == 1 {
        "grant is"
    } else {
        "grants are"
    };
    (missing > 0).then(|| {
        warning(
            format!("the controller may not read all that project {} asks for: {missing} {more} missing", spec.project),
            "`docker locket trust` shows and grants it",
        )
    })
}

/// The host configuration's own: findings about folders and hooks, and what to ask of the backends. `is_project` tells names that the
/// compose file has defined itself, which mean something else here.
pub(super) fn of_host(
    config: &HostConfig,
    is_project: impl Fn(&SourceName) -> bool,
    is_folder: impl Fn(&str) -> bool,
) -> (Vec<Finding>, Vec<SecretRef>) {
    let (mut out, mut probes) = (Vec::new(), Vec::new());
    for (name, source) in config.sources.iter().filter(|(name, _)| !is_project(name)) {
        match (source.kind.as_str(), &source.root) {
            ("file", Some(root)) if !is_folder(root) => out.push(note(
                format!("source {name} of the host configuration: the folder {root} is not on this machine"),
                "make it, if a controller is to run here; correct `root` in locket.yaml otherwise",
            )),
            ("openbao" | "vault", _) => probes.extend(format!("{name}:{PROBE}").parse::<SecretRef>()),
            _ => {}
        }
    }
    let hooks = config.listen.iter().flat_map(|it| it.hooks.keys());
    let nobody = |name: &&SourceName| {
        let is_scheme = SCHEMES.iter().any(|it| it.0 == name.as_str());
        !is_scheme && !config.sources.contains_key(*name) && !is_project(name)
    };
    out.extend(hooks.filter(nobody).map(|name| {
        note(
            format!("hooks for {name} are listened to, and no source is called so here"),
            "correct its name under `listen.hooks` of locket.yaml, unless a project in another folder has such a source",
        )
    }));
    (out, probes)
}
