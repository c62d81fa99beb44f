//! `docker locket check`: what the gate would say of the compose files, with the lines that it is about.

use std::process::ExitCode;

use clap::Args;

use crate::compose::{self, ComposeFlags, Profiles, Request, files};
use crate::context::Context;
use crate::docker::Docker;
use crate::error::{CommandError, Result};
use crate::generate::sufficient;

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    compose: ComposeFlags,
}

/// Runs it.
///
/// # Errors
/// The user's problem: an error in the files. Warnings are told and are none.
pub async fn run(args: CheckArgs, cx: &Context) -> Result<ExitCode> {
    let docker = Docker::new(&cx.globals, &cx.env, &cx.dir);
    docker.require_compose().await?;
    let files = files::find(&args.compose, &cx.env, &cx.dir)?;
    let request = Request {
        flags: &args.compose,
        files: &files,
        profiles: Profiles::All,
    };
    let loaded = compose::load(&docker, &request).await?;
    let text = loaded.text(cx.term.color());
    if loaded.failed() {
        return Err(CommandError::diagnostics(text));
    }
    if !text.is_empty() {
        cx.term.out(text.trim_end());
    }
    let spec = loaded.spec(cx.term.color())?;
    let missing = sufficient(spec, &loaded.extras);
    for it in &missing {
        cx.term.warn(it);
    }
    match missing.is_empty() {
        true => cx.term.info(format!(
            "{} of {} services use secrets; all is well",
            spec.services.len(),
            spec.model.len()
        )),
        false => cx
            .term
            .warn("the project is not complete: run `docker locket generate`"),
    }
    Ok(ExitCode::SUCCESS)
}
