//! `docker locket plan`: what an apply would do.

use std::process::ExitCode;

use clap::Args;
use locket_crds::api::PlanView;

use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::generate::is_gateless;
use crate::output::lines;
use crate::project;

/// The exit code for "there are changes", with `--detailed-exitcode`.
const CHANGES: u8 = 3;

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Exit with 3 when something would be done
    #[arg(long)]
    detailed_exitcode: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// An error in the compose files; nothing was applied yet and no files are here.
pub async fn run(args: PlanArgs, cx: &Context) -> Result<ExitCode> {
    let (project, spec) = wanted(cx, &args.compose).await?;
    let access = cx.access(&project::base(cx, &args.compose)).await?;
    let plan = access.plan(&project, spec).await?;
    if args.json {
        let text = serde_json::to_string_pretty(&plan);
        cx.term.out(
            text.map_err(|e| CommandError::internal("the plan cannot be written").because(e))?,
        );
    } else {
        cx.term.out(text(&plan));
    }
    let changes = args.detailed_exitcode && !plan.is_empty();
    Ok(if changes {
        ExitCode::from(CHANGES)
    } else {
        ExitCode::SUCCESS
    })
}

/// The project that is meant, and what its files say; without files, or with labels instead of a gate, what was applied last.
pub(super) async fn wanted(
    cx: &Context,
    flags: &ComposeFlags,
) -> Result<(
    locket_crds::id::ProjectName,
    Option<locket_crds::spec::ProjectSpec>,
)> {
    if project::files(cx, flags)?.is_none() {
        return Ok((project::needed(cx, flags).await?, None));
    }
    let loaded = project::load(cx, flags).await?;
    let spec = loaded.spec(cx.term.color())?.clone();
    let project = spec.project.clone();
    // What is handed over would win over the labels for ever.
    Ok((project, (!is_gateless(&loaded.extras)).then_some(spec)))
}

fn text(plan: &PlanView) -> String {
    let mut out = Vec::new();
    let mut part = |title: &str, all: &[String]| {
        if !all.is_empty() {
            out.push(title.to_owned());
            out.extend(all.iter().map(|line| format!("  {}", lines(line))));
        }
    };
    part("now:", &plan.now);
    part("later:", &plan.later);
    part("problems:", &plan.problems);
    if out.is_empty() {
        out.push("nothing to do".to_owned());
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_line_a_step() {
        let plan = PlanView {
            now: vec!["publish api".into()],
            later: vec!["restart api".into()],
            problems: Vec::new(),
        };
        assert_eq!(text(&plan), "now:\n  publish api\nlater:\n  restart api");
        assert_eq!(text(&PlanView::default()), "nothing to do");
        let stuck = PlanView {
            problems: vec!["api: local:a: there is no secret".into()],
            ..PlanView::default()
        };
        assert_eq!(
            text(&stuck),
            "problems:\n  api: local:a: there is no secret"
        );
    }
}
