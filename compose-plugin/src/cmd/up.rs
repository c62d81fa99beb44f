//! `docker locket up`: `docker compose up` with what `generate` would add, for those who want no generated file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::generate::warn;
use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::docker::Docker;
use crate::error::Result;
use crate::generate::document;
use crate::generate::prepare::{Options, prepare};
use crate::user_files::Private;

/// Arguments of `up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Arguments of `docker compose up`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    args: Vec<String>,
}

/// Runs it. The additions are a file in a private directory, because the gate reads them too, in a process of its own;
/// it is gone when compose is.
///
/// # Errors
/// As `generate`; compose's own failure is its exit code.
pub async fn run(args: UpArgs, cx: &Context) -> Result<ExitCode> {
    let docker = Docker::new(&cx.globals, &cx.env, &cx.dir);
    let options = Options {
        in_memory: true,
        ..Options::default()
    };
    let prepared = prepare(
        &docker,
        &args.compose,
        &cx.env,
        &cx.dir,
        options,
        cx.term.color(),
    )
    .await?;
    warn(&prepared, cx);
    let under = ["XDG_RUNTIME_DIR", "TMPDIR"]
        .iter()
        .find_map(|name| cx.env.get(*name).filter(|dir| !dir.is_empty()));
    let under = under.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let private = Private::new(
        &under,
        "compose.locket.yaml",
        &document::render(&prepared.additions),
    )?;
    let mut files = prepared.loaded.files;
    files.paths.push(private.file().to_owned());
    let (docker, mut words) = docker.compose(&args.compose, &files);
    words.push("up".to_owned());
    words.extend(args.args);
    Ok(ExitCode::from(docker.attached(&words).await?))
}
