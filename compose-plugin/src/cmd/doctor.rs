//! `docker locket doctor`: looks at everything that locket depends on, and tells what is wrong and its cure.
//!
//! A check is one function and one row in [`CHECKS`]. It gathers facts, and a pure function of these facts gives the findings,
//! which is what tests compare. A check that cannot look says so ([`Unseen`]); one that hangs is ended.

mod controller;
mod engine;
mod files;
mod finding;
mod fix;
mod leftovers;
mod machine;
mod patient;
mod plugin;
mod sources;
mod store;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use locket_crds::doctor::{Diagnosis, Finding, Level, VERSION as FORMAT};

use crate::compose::ComposeFlags;
use crate::context::{Context, VERSION};
use crate::error::{CommandError, Result};
use crate::output::lines;
use finding::{Findings, Unseen};
use patient::Patient;

/// How long one check may take: a backend's own time, and that of a container that is started first.
const LIMIT: Duration = Duration::from_secs(20);

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Remove what projects and versions that are gone have left behind, after a question
    #[arg(long)]
    fix: bool,
    /// Remove it without asking
    #[arg(short, long, requires = "fix")]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One thing that is looked at.
struct Check {
    name: &'static str,
    /// What for, as docs/reference/doctor.md says it.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of the page"))]
    about: &'static str,
    run: for<'a, 'c> fn(&'a Patient<'c>) -> LocalBoxFuture<'a, Findings>,
}

/// All checks, in the order in which they are told.
const CHECKS: [Check; 18] = [
    Check {
        name: "engine",
        about: "an engine answers, and it is Docker Engine 26 or newer",
        run: |it| engine::reach(it).boxed_local(),
    },
    Check {
        name: "socket",
        about: "the engine's socket: it is there, this user may use it, not everybody may",
        run: |it| files::socket(it).boxed_local(),
    },
    Check {
        name: "context",
        about: "`DOCKER_HOST` and the current docker context mean the same engine",
        run: |it| files::context(it).boxed_local(),
    },
    Check {
        name: "platform",
        about: "this program runs in the engine's containers",
        run: |it| engine::platform(it).boxed_local(),
    },
    Check {
        name: "isolation",
        about: "a rootless engine, remapped users, Docker Desktop: what is different there",
        run: |it| engine::isolation(it).boxed_local(),
    },
    Check {
        name: "settings",
        about: "the engine's storage, log driver and `live-restore`",
        run: |it| engine::settings(it).boxed_local(),
    },
    Check {
        name: "init",
        about: "the engine has the program for `init: true`, in whose place the shim is started",
        run: |it| engine::init(it).boxed_local(),
    },
    Check {
        name: "kernel",
        about: "the kernel of the engine's machine can keep a tmpfs out of swap (`noswap`, Linux 6.3)",
        run: |it| machine::kernel(it).boxed_local(),
    },
    Check {
        name: "swap",
        about: "the engine's machine does not swap to a disk, where secrets could end up",
        run: |it| machine::swap(it).boxed_local(),
    },
    Check {
        name: "clock",
        about: "the engine's clock, this machine's, and a clock that was set back",
        run: |it| machine::clock(it).boxed_local(),
    },
    Check {
        name: "compose",
        about: "Docker Compose 2.36 or newer is a plugin of the docker CLI",
        run: |it| plugin::compose(it).boxed_local(),
    },
    Check {
        name: "plugin",
        about: "`docker locket` is this program: found, executable, not hidden by an older copy",
        run: |it| plugin::plugin(it).boxed_local(),
    },
    Check {
        name: "controller",
        about: "a controller answers, is healthy, and is of this version",
        run: |it| controller::controller(it).boxed_local(),
    },
    Check {
        name: "anchors",
        about: "the anchors of projects in use run, and run this program",
        run: |it| leftovers::anchors(it).boxed_local(),
    },
    Check {
        name: "store",
        about: "the built-in store can be read; where its key is; a backup",
        run: |it| store::store(it).boxed_local(),
    },
    Check {
        name: "sources",
        about: "the backends of this folder's project and of the host configuration answer, and are granted",
        run: |it| sources::sources(it).boxed_local(),
    },
    Check {
        name: "leftovers",
        about: "what projects and versions that are gone have left on the engine; `--fix` removes it",
        run: |it| leftovers::leftovers(it).boxed_local(),
    },
    Check {
        name: "remembered",
        about: "what is remembered about projects without containers; never removed by `--fix`",
        run: |it| leftovers::remembered(it).boxed_local(),
    },
];

/// Runs it.
///
/// # Errors
/// Something was to be removed, and nobody is here to ask. What the checks find is none: see the exit code.
pub async fn run(args: DoctorArgs, cx: &Context) -> Result<ExitCode> {
    let patient = Patient::new(cx, &args.compose);
    let each = CHECKS.iter().map(|check| examine(check, &patient));
    let diagnosis = Diagnosis {
        version: FORMAT,
        locket: VERSION.to_owned(),
        findings: join_all(each).await.into_iter().flatten().collect(),
    };
    if args.json {
        let text = serde_json::to_string_pretty(&diagnosis)
            .map_err(|e| CommandError::internal("the findings cannot be written").because(e))?;
        cx.term.out(text);
    } else {
        let painted = |level: Level, word: &str| cx.term.painted(word, color(level));
        cx.term.out(text(&diagnosis, painted));
    }
    let removed = match args.fix {
        true => fix::fix(&patient, args.yes).await?,
        false => true,
    };
    Ok(match diagnosis.count(Level::Error) {
        0 if removed => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

async fn examine(check: &Check, patient: &Patient<'_>) -> Vec<Finding> {
    let found = tokio::time::timeout(LIMIT, (check.run)(patient)).await;
    let found = found.unwrap_or_else(|_| {
        Err(Unseen::failed(format!(
            "no answer after {} s",
            LIMIT.as_secs()
        )))
    });
    let found = found.unwrap_or_else(|unseen| vec![unseen.into()]);
    let named = |it| Finding {
        check: check.name.to_owned(),
        ..it
    };
    found.into_iter().map(named).collect()
}

/// Code of the colour of a level.
fn color(level: Level) -> &'static str {
    match level {
        Level::Ok => "32",
        Level::Note => "36",
        Level::Warning => "33;1",
        Level::Error => "31;1",
    }
}

/// A line a finding, with its cure below it; then how many there are of what is not well.
fn text(it: &Diagnosis, painted: impl Fn(Level, &str) -> String) -> String {
    let width = CHECKS.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let mut out = Vec::new();
    for it in &it.findings {
        let level = painted(it.level, &format!("{:7}", it.level));
        out.push(format!(
            "{level}  {:width$}  {}",
            it.check,
            lines(&it.message)
        ));
        if let Some(cure) = &it.cure {
            let indent = format!("\n{:1$}", "", width + 13);
            out.push(format!(
                "{:1$}→ {2}",
                "",
                width + 11,
                lines(cure).replace("\n  ", &indent)
            ));
        }
    }
    out.push(String::new());
    out.push(summary(it));
    out.join("\n")
}

/// `1 error, 2 warnings, 3 notes; …`.
fn summary(it: &Diagnosis) -> String {
    let counted = |level: Level| match it.count(level) {
        0 => None,
        1 => Some(format!("1 {level}")),
        n => Some(format!("{n} {level}s")),
    };
    let all = [Level::Error, Level::Warning, Level::Note];
    let counts: Vec<String> = all.into_iter().filter_map(counted).collect();
    let mut out = match counts.is_empty() {
        true => "all is well".to_owned(),
        false => counts.join(", "),
    };
    if it.findings.iter().any(|it| it.fixable) {
        out.push_str("; `docker locket doctor --fix` removes what is left over");
    }
    out
}

#[cfg(test)]
mod tests;
