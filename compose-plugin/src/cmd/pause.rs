//! `docker locket pause` and `resume`: leaves a project as it is.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::error::Result;
use crate::project::{self, ProjectFlag};

/// Arguments of `pause` and `resume`.
#[derive(Debug, Clone, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    project: ProjectFlag,
}

/// Runs it.
///
/// # Errors
/// There is no such project.
pub async fn run(args: PauseArgs, paused: bool, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = project::needed(cx, &flags).await?;
    cx.access(&project::base(cx, &flags))
        .await?
        .pause(&project, paused)
        .await?;
    match paused {
        true => cx.term.info(format_args!(
            "{project} is paused: nothing new is delivered, nothing is restarted"
        )),
        false => cx.term.info(format_args!("{project} goes on")),
    }
    Ok(ExitCode::SUCCESS)
}
