//! `docker locket refresh`: asks backends again at once.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::error::Result;
use crate::project::{self, ProjectFlag};

/// Arguments of `refresh`.
#[derive(Debug, Clone, Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    project: ProjectFlag,
    /// Of all projects
    #[arg(short, long)]
    all: bool,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

/// Runs it.
///
/// # Errors
/// No controller runs.
pub async fn run(args: RefreshArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = if args.all {
        None
    } else {
        project::name(cx, &flags).await?
    };
    let source = args.source.as_deref().map(Into::into);
    cx.access(&project::base(cx, &flags))
        .await?
        .refresh(project.as_ref(), source.as_ref())
        .await?;
    Ok(ExitCode::SUCCESS)
}
