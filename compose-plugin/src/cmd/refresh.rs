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
/// No controller runs, or it knows nothing of a project that was named.
pub async fn run(args: RefreshArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = if args.all {
        None
    } else {
        project::name(cx, &flags).await?
    };
    let source = args.source.as_deref().map(Into::into);
    let access = cx.access(&project::base(cx, &flags)).await?;
    if !args.all && flags.project_name.is_some() {
        project::named(&flags, &access.status(project.as_ref()).await?)?;
    }
    access.refresh(project.as_ref(), source.as_ref()).await?;
    Ok(ExitCode::SUCCESS)
}
