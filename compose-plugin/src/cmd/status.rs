//! `docker locket status`: how projects stand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use clap::Args;
use locket_crds::api::{
    Condition, ConditionKind, ContainerStatus, ProjectStatus, ServiceStatus, SourceStatus, Status,
    Timestamp,
};
use locket_crds::id::ProjectName;

use super::looks::Looks;
use crate::compose::Files;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::output::{lines, table};
use crate::project::{self, ProjectFlag};
use crate::twin;

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    project: ProjectFlag,
    /// All projects, not only the current folder's
    #[arg(short, long)]
    all: bool,
    /// Show it again whenever it changes
    #[arg(short, long)]
    watch: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The engine does not answer, or knows nothing of a project that was named.
pub async fn run(args: StatusArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = if args.all {
        None
    } else {
        project::name(cx, &flags).await?
    };
    let access = cx.access(&project::base(cx, &flags)).await?;
    let files = project::files(cx, &flags)?;
    // A project that is named need not be this folder's.
    let is_here = !args.all && flags.project_name.is_none();
    let mut looks = Looks::new(&access, project.as_ref());
    let mut shown = None;
    loop {
        let status = access.status(project.as_ref()).await?;
        if !args.all && !args.watch {
            project::named(&flags, &status)?;
        }
        let text = if args.json {
            serde_json::to_string_pretty(&status)
                .map_err(|e| CommandError::internal("the status cannot be written").because(e))?
        } else {
            let mut text = text(
                &status,
                project.as_ref(),
                access.controller().is_some(),
                cx.now(),
            );
            // Files of a project elsewhere are not at hand.
            let here = files.iter();
            let told = here.flat_map(|files| {
                let elsewhere = is_here.then(|| elsewhere(files, project.as_ref()?, &status));
                newer(files, &status).into_iter().chain(elsewhere.flatten())
            });
            for line in told {
                text.push_str("\n\n");
                text.push_str(&lines(&line));
            }
            text
        };
        let still = unmoved(&status, &text);
        if shown.as_ref() != Some(&still) {
            if args.watch && cx.term.shows() && !args.json {
                // Home, then clear what was there.
                cx.term.bytes(b"\x1b[H\x1b[2J");
            }
            cx.term.out(&text);
            shown = Some(still);
        }
        if !args.watch || cx.term.closed() {
            return Ok(ExitCode::SUCCESS);
        }
        looks.next().await?;
    }
}

/// A status without what changes all the time: when a source has answered last.
fn unmoved(status: &Status, text: &str) -> (Status, usize) {
    let mut still = status.clone();
    for source in still.projects.iter_mut().flat_map(|it| &mut it.sources) {
        source.last_contact = None;
    }
    // What is told of files is no part of it, but of the text.
    (still, text.lines().count())
}

/// The compose files of this folder's project that were changed after it was applied: of that nothing is in force yet.
fn newer(files: &Files, status: &Status) -> Option<String> {
    let here = |it: &&ProjectStatus| Path::new(&it.working_dir) == files.project_dir;
    let applied = status.projects.iter().find(here)?.applied?;
    let changed = |path: &&PathBuf| {
        let modified = std::fs::metadata(path)
            .and_then(|meta| meta.modified())
            .ok();
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        since.is_some_and(|at| at.as_millis() > u128::from(applied.0))
    };
    let names: Vec<String> = files
        .paths
        .iter()
        .filter(changed)
        .map(|p| files.name(p))
        .collect();
    let verb = match names.len() {
        0 => return None,
        1 => "is",
        _ => "are",
    };
    Some(format!(
        "{} {verb} newer than what was applied: `docker compose up -d` or `docker locket apply` brings it into force",
        names.join(", ")
    ))
}

/// What is said in a folder whose project was applied from another one of the same name.
fn elsewhere(files: &Files, project: &ProjectName, status: &Status) -> Option<String> {
    let it = status.projects.iter().find(|it| it.project == *project)?;
    twin::is_one(&it.working_dir, &files.project_dir).then(|| {
        format!(
            "{project} was applied from {}, not from this folder: for compose both are one project, and the last one counts",
            it.working_dir
        )
    })
}

/// Everything, a paragraph a project.
fn text(status: &Status, asked: Option<&ProjectName>, controller: bool, now: Timestamp) -> String {
    let mut out: Vec<String> = status.projects.iter().map(|it| project(it, now)).collect();
    match asked {
        _ if !out.is_empty() => {}
        Some(name) => out.push(format!("{name} is not known to locket: `docker compose up -d` makes it so, if its compose file asks for secrets")),
        None => out.push("no project on this engine uses locket".to_owned()),
    }
    if !controller {
        out.push("no controller runs: changes arrive by `docker locket apply`, or `docker locket controller install` once".to_owned());
    }
    out.join("\n\n")
}

fn project(it: &ProjectStatus, now: Timestamp) -> String {
    let mut out = vec![format!(
        "{}  {}",
        it.project,
        lines(&summary(&it.conditions))
    )];
    for condition in told(&it.conditions) {
        out.push(format!(
            "  {}",
            lines(&said(condition)).replace('\n', "\n  ")
        ));
    }
    if !it.services.is_empty() {
        out.push(String::new());
        out.push(table(
            &["SERVICE", "GENERATION", "CONTAINER", "RUNS WITH", "STATE"],
            &it.services.iter().flat_map(service).collect::<Vec<_>>(),
        ));
    }
    if !it.sources.is_empty() {
        let rows: Vec<_> = it.sources.iter().map(|s| source(s, now)).collect();
        out.push(String::new());
        out.push(table(&["SOURCE", "TYPE", "LAST ANSWER", "STATE"], &rows));
    }
    if !it.waiting.is_empty() {
        let one = |w: &locket_crds::api::Waiting| {
            let until = w
                .until
                .map(|t| format!(" (until {})", clock(t)))
                .unwrap_or_default();
            vec![
                w.service.to_string(),
                w.what.clone(),
                format!("{}{until}", or(&w.message, &w.reason)),
            ]
        };
        out.push(String::new());
        out.push(table(
            &["WAITS", "WITH", "FOR"],
            &it.waiting.iter().map(one).collect::<Vec<_>>(),
        ));
    }
    out.join("\n")
}

/// `Ready`, or the first thing that keeps it from being so.
fn summary(all: &[Condition]) -> String {
    let ready = all.iter().find(|c| c.kind == ConditionKind::Ready);
    match ready {
        Some(c) if c.status => "Ready".to_owned(),
        Some(c) => format!("not ready: {}", or(&c.reason, "unknown")),
        None => "unknown".to_owned(),
    }
}

/// Conditions that somebody should see: everything that is not well. That all of it is not says something only where nothing
/// else does.
fn told(all: &[Condition]) -> Vec<&Condition> {
    let bad = |c: &&Condition| c.status != c.kind.good();
    let ready = |c: &&Condition| c.kind == ConditionKind::Ready;
    let others: Vec<_> = all.iter().filter(bad).filter(|c| !ready(c)).collect();
    match others.is_empty() {
        true => all.iter().filter(bad).collect(),
        false => others,
    }
}

/// `SourceReady=False/NotGranted: message`.
fn said(c: &Condition) -> String {
    let status = if c.status { "True" } else { "False" };
    let message = if c.message.is_empty() {
        String::new()
    } else {
        format!(": {}", c.message)
    };
    format!("{}={status}/{}{message}", c.kind, c.reason)
}

/// A row for each container, or one for a service that has none.
fn service(it: &ServiceStatus) -> Vec<Vec<String>> {
    let generation = if it.generation == 0 {
        "none".to_owned()
    } else {
        it.generation.to_string()
    };
    // Of a message that has several lines the first is enough here: `explain` has the others.
    let first = |c: &Condition| said(c).lines().next().unwrap_or_default().to_owned();
    let worst = told(&it.conditions).into_iter().next();
    let state = worst.map_or_else(|| "Ready".to_owned(), first);
    let row = |container: Option<&ContainerStatus>| {
        let (name, with) = container.map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |c| (c.name.clone(), runs_with(c)),
        );
        let state = match container {
            Some(c) if !matches!(c.state.as_str(), "" | "running") => match worst {
                None => c.state.clone(),
                Some(_) => format!("{}; {state}", c.state),
            },
            Some(ContainerStatus {
                outdated: Some(why),
                ..
            }) => format!("outdated: {why}"),
            _ => state.clone(),
        };
        vec![
            it.service.to_string(),
            generation.clone(),
            name,
            with,
            state,
        ]
    };
    if it.containers.is_empty() {
        vec![row(None)]
    } else {
        it.containers.iter().map(|c| row(Some(c))).collect()
    }
}

fn runs_with(it: &ContainerStatus) -> String {
    match it.started_with {
        _ if !it.has_volume => "no volume".to_owned(),
        Some(generation) => generation.to_string(),
        None => "-".to_owned(),
    }
}

fn source(it: &SourceStatus, now: Timestamp) -> Vec<String> {
    let last = it
        .last_contact
        .map_or_else(|| "never".to_owned(), |then| ago(then, now));
    let first = it.message.lines().next().unwrap_or_default();
    let state = match (it.ready, first.is_empty()) {
        (true, _) => "ready".to_owned(),
        (false, true) => it.reason.clone(),
        (false, false) => format!("{}: {first}", it.reason),
    };
    vec![it.source.to_string(), it.kind.clone(), last, state]
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// The time of day, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).map(|t| format!("{t}Z")).unwrap_or(text)
}

/// `12s ago`.
fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.0.saturating_sub(then.0) / 1000;
    match seconds {
        0..=119 => format!("{seconds}s ago"),
        120..=7199 => format!("{}m ago", seconds / 60),
        7200..=172_799 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use locket_crds::api::{VERSION, Waiting};

    use super::*;

    fn condition(kind: ConditionKind, status: bool, reason: &str, message: &str) -> Condition {
        Condition {
            kind,
            status,
            reason: reason.into(),
            message: message.into(),
            last_transition: Timestamp(0),
        }
    }

    fn container(name: &str, with: Option<u64>, outdated: Option<&str>) -> ContainerStatus {
        ContainerStatus {
            id: "1".into(),
            name: name.into(),
            state: if with.is_some() { "running" } else { "exited" }.into(),
            started_with: with,
            outdated: outdated.map(str::to_owned),
            has_volume: true,
        }
    }

    fn shop() -> Status {
        let service = |name: &str, containers| ServiceStatus {
            service: name.into(),
            generation: 3,
            fingerprint: None,
            conditions: vec![condition(ConditionKind::Delivered, true, "Delivered", "")],
            containers,
        };
        let project = ProjectStatus {
            project: "shop".into(),
            working_dir: "/srv/shop".into(),
            applied: Some(Timestamp(0)),
            conditions: vec![
                condition(
                    ConditionKind::SourceReady,
                    false,
                    "NotGranted",
                    "bao:kv/x is not granted\nadd to locket.yaml:\n\ngrants:\n  - project: \"shop\"",
                ),
                condition(ConditionKind::Resolved, true, "Resolved", ""),
                condition(ConditionKind::Ready, false, "SourceReady", ""),
                condition(ConditionKind::Paused, false, "Running", ""),
            ],
            services: vec![
                service(
                    "api",
                    vec![
                        container("shop-api-1", Some(3), None),
                        container("shop-api-2", Some(2), Some("key")),
                    ],
                ),
                service("job", vec![]),
            ],
            sources: vec![
                SourceStatus {
                    source: "local".into(),
                    kind: "local".into(),
                    ready: true,
                    last_contact: Some(Timestamp(88_000)),
                    reason: String::new(),
                    message: String::new(),
                },
                SourceStatus {
                    source: "bao".into(),
                    kind: "openbao".into(),
                    ready: false,
                    last_contact: None,
                    reason: "NotGranted".into(),
                    message: "no\u{1b}[2J".into(),
                },
            ],
            waiting: vec![Waiting {
                service: "api".into(),
                what: "restart".into(),
                reason: "Settling".into(),
                message: "the change settles".into(),
                until: Some(Timestamp(102_000)),
            }],
        };
        Status {
            version: VERSION,
            locket: "0.1.0".into(),
            projects: vec![project],
        }
    }

    #[test]
    fn a_project_is_one_paragraph() {
        expect_test::expect![[r#"
            shop  not ready: SourceReady
              SourceReady=False/NotGranted: bao:kv/x is not granted
                add to locket.yaml:
                
                grants:
                  - project: "shop"

            SERVICE  GENERATION  CONTAINER   RUNS WITH  STATE
            api      3           shop-api-1  3          Ready
            api      3           shop-api-2  2          outdated: key
            job      3           -           -          Ready

            SOURCE  TYPE     LAST ANSWER  STATE
            local   local    12s ago      ready
            bao     openbao  never        NotGranted: no�[2J

            WAITS  WITH     FOR
            api    restart  the change settles (until 00:01:42Z)"#]]
        .assert_eq(&text(&shop(), None, true, Timestamp(100_000)));
    }

    #[test]
    fn files_that_are_newer_than_what_is_in_force_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("compose.yaml");
        std::fs::write(&path, "services: {}\n").unwrap();
        let flags = crate::compose::ComposeFlags::default();
        let files = crate::compose::files::find(&flags, &Default::default(), dir.path()).unwrap();
        let mut status = shop();
        assert_eq!(newer(&files, &status), None, "another folder's project");
        status.projects[0].working_dir = files.project_dir.display().to_string();
        let told = newer(&files, &status).unwrap();
        assert!(told.starts_with("compose.yaml is newer than"), "{told}");
        status.projects[0].applied = Some(Timestamp(u64::MAX));
        assert_eq!(newer(&files, &status), None);
    }

    #[test]
    fn a_folder_s_project_that_was_applied_from_another_one_is_told() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for dir in &dirs {
            std::fs::write(dir.path().join("compose.yaml"), "services: {}\n").unwrap();
        }
        let [here, there] = dirs.each_ref().map(|dir| dir.path().to_str().unwrap());
        let flags = crate::compose::ComposeFlags::default();
        let files = crate::compose::files::find(&flags, &Default::default(), here.as_ref());
        let files = files.unwrap();
        let mut status = shop();
        let name = status.projects[0].project.clone();
        status.projects[0].working_dir = here.to_owned();
        assert_eq!(elsewhere(&files, &name, &status), None);
        status.projects[0].working_dir = there.to_owned();
        let told = elsewhere(&files, &name, &status).unwrap();
        assert!(told.contains(there), "{told}");
        assert_eq!(elsewhere(&files, &"bank".into(), &status), None);
    }

    #[test]
    fn nothing_is_said_so() {
        let none = Status {
            version: VERSION,
            locket: String::new(),
            projects: Vec::new(),
        };
        assert!(
            text(&none, None, false, Timestamp(0))
                .starts_with("no project on this engine uses locket\n\nno controller runs")
        );
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let now = Timestamp(1_000_000_000);
        let told = |seconds: u64| ago(Timestamp(now.0 - seconds * 1000), now);
        assert_eq!(
            [told(0), told(119), told(120), told(7200), told(200_000)],
            ["0s ago", "119s ago", "2m ago", "2h ago", "2d ago"]
        );
        assert_eq!(
            ago(Timestamp(2_000_000_000), now),
            "0s ago",
            "clocks differ"
        );
    }
}
