//! `docker locket apply`: delivers, and does to containers what has to be done.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use locket_crds::api::{ApplyMode, ApplyRequest, Progress};

use super::plan::wanted;
use super::wait::duration;
use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::error::Result;
use crate::output::lines;
use crate::project;

/// Arguments of `apply`.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// How long it may take
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

/// Runs it.
///
/// # Errors
/// What keeps the project from being delivered or rolled out.
pub async fn run(args: ApplyArgs, cx: &Context) -> Result<ExitCode> {
    let (project, spec) = wanted(cx, &args.compose).await?;
    let access = cx.access(&project::base(cx, &args.compose)).await?;
    let request = ApplyRequest {
        spec,
        mode: ApplyMode::Act,
    };
    let applied = access
        .apply(&project, request, args.timeout, |progress| match progress {
            Progress::Info(text) => cx.term.info(lines(&text)),
            Progress::Warning(text) => cx.term.warn(lines(&text)),
            Progress::Done(_) | Progress::Failed(_) => {}
        })
        .await?;
    for (name, why) in &applied.outdated {
        cx.term.warn(format_args!(
            "{} still runs with an old value: {}",
            lines(name),
            lines(why)
        ));
    }
    let services: Vec<&str> = applied
        .delivered
        .iter()
        .map(|(service, _)| service.as_str())
        .collect();
    match services.is_empty() {
        true => cx
            .term
            .info(format_args!("{project}: no service uses a secret")),
        false => cx.term.info(format_args!(
            "{project}: {} as they should be",
            services.join(", ")
        )),
    }
    Ok(ExitCode::SUCCESS)
}
