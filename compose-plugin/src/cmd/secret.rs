//! `docker locket secret`: the built-in store by hand.

mod name;
mod set;
mod transfer;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use locket_provider::SecretValue;
use locket_providers::local::{Info, Name};

use self::name::Folder;
pub use self::name::is_local;
use crate::config::store_error;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::output::table;
use crate::project::ProjectFlag;

/// Arguments of `secret`.
#[derive(Debug, Clone, Args)]
pub struct SecretArgs {
    #[command(flatten)]
    project: ProjectFlag,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Set a value: asked for without echo, from standard input, or from a file
    Set(set::SetArgs),
    /// Print a value, byte for byte
    Get {
        /// NAME in a project's folder, else PROJECT/NAME or /NAME
        name: String,
        /// An older version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// List names, never values
    #[command(visible_alias = "ls")]
    List {
        /// Those of all projects
        #[arg(short, long)]
        all: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret and its history
    Rm {
        /// NAME in a project's folder, else PROJECT/NAME or /NAME
        #[arg(required = true)]
        name: Vec<String>,
        /// Remove it even if this folder's project uses it
        #[arg(short, long)]
        yes: bool,
    },
    /// List the versions that are kept
    History {
        /// NAME in a project's folder, else PROJECT/NAME or /NAME
        name: String,
    },
    /// Set an older value again, as a new version
    Rollback {
        /// NAME in a project's folder, else PROJECT/NAME or /NAME
        name: String,
        /// The version; by default the one before the current
        #[arg(long, value_name = "N")]
        to: Option<u64>,
    },
    /// Write the whole store to standard output, encrypted (age)
    Export(transfer::ExportArgs),
    /// Add an exported store to this one
    Import(transfer::ImportArgs),
}

/// Runs it.
///
/// # Errors
/// The user's problem: a bad name, no such secret, a store that cannot be opened.
pub async fn run(args: SecretArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    match args.command {
        Command::Set(set) => set::run(set, &flags, cx).await?,
        Command::Get { name, version } => {
            let name = Folder::read(cx, &flags, &name).await?.resolve(&name)?.name;
            let found = cx
                .store()
                .await?
                .get(name.as_str(), version)
                .await
                .map_err(store_error)?;
            show(cx, &found.value);
        }
        Command::List { all, json } => list(cx, &flags, all, json).await?,
        Command::Rm { name, yes } => {
            for given in name {
                let folder = Folder::read(cx, &flags, &given).await?;
                let name = folder.resolve(&given)?.name;
                if !yes && folder.uses(&name) {
                    let what = format!(
                        "{name} is used by this project, whose services would get nothing new"
                    );
                    if !cx.term.is_tty() {
                        let e = CommandError::user(format!("{what}; nothing was removed"));
                        return Err(e.hint("say `--yes` to remove it with its history"));
                    }
                    if !cx
                        .term
                        .confirm(&format!("{what}. Remove it with its history?"))
                    {
                        return Err(CommandError::user("nothing was removed"));
                    }
                }
                cx.store()
                    .await?
                    .remove(name.as_str())
                    .await
                    .map_err(store_error)?;
                cx.term.info(format_args!("{name} is removed"));
            }
        }
        Command::History { name } => {
            let name = Folder::read(cx, &flags, &name).await?.resolve(&name)?.name;
            let history = cx
                .store()
                .await?
                .history(name.as_str())
                .await
                .map_err(store_error)?;
            let rows: Vec<_> = history
                .iter()
                .map(|it| vec![it.version.to_string(), it.time.clone(), it.size.to_string()])
                .collect();
            cx.term.out(table(&["VERSION", "SET", "BYTES"], &rows));
        }
        Command::Rollback { name, to } => {
            let name = Folder::read(cx, &flags, &name).await?.resolve(&name)?.name;
            let store = cx.store().await?;
            let before = store.history(name.as_str()).await.map_err(store_error)?;
            let info = store
                .rollback(name.as_str(), to)
                .await
                .map_err(store_error)?;
            changed(cx, &name, before.first(), &info);
        }
        Command::Export(args) => transfer::export(args, cx).await?,
        Command::Import(args) => transfer::import(args, cx).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what became of a secret.
fn changed(cx: &Context, name: &Name, before: Option<&Info>, now: &Info) {
    match before {
        Some(before) if before.mark() == now.mark() => {
            cx.term.info(format_args!(
                "{name} has this value already (version {})",
                now.version
            ));
        }
        _ => cx
            .term
            .info(format_args!("{name} is set (version {})", now.version)),
    }
}

/// Byte for byte; on a terminal the prompt that follows gets a line of its own.
fn show(cx: &Context, value: &SecretValue) {
    cx.term.bytes(value.expose());
    if cx.term.shows() && !value.expose().ends_with(b"\n") {
        cx.term.bytes(b"\n");
    }
}

async fn list(
    cx: &Context,
    flags: &crate::compose::ComposeFlags,
    all: bool,
    json: bool,
) -> Result<()> {
    let project = if all {
        None
    } else {
        crate::project::name(cx, flags).await?
    };
    let found = cx.store().await?.list("").await.map_err(store_error)?;
    // A project sees its own and those that belong to none.
    let shown = |name: &str| match (&project, name.split_once('/')) {
        (Some(project), Some((owner, _))) => owner.is_empty() || owner == project.as_str(),
        _ => true,
    };
    let found: Vec<_> = found.into_iter().filter(|it| shown(&it.name)).collect();
    if json {
        let text = serde_json::to_string_pretty(&found);
        cx.term.out(text.map_err(|e| {
            crate::error::CommandError::internal("the list cannot be written").because(e)
        })?);
        return Ok(());
    }
    if found.is_empty() {
        cx.term
            .info("no secrets yet: `docker locket secret set NAME`");
        return Ok(());
    }
    let rows: Vec<_> = found
        .iter()
        .map(|it| {
            vec![
                it.name.clone(),
                it.current.version.to_string(),
                it.current.time.clone(),
                it.versions.to_string(),
            ]
        })
        .collect();
    cx.term
        .out(table(&["NAME", "VERSION", "SET", "KEPT"], &rows));
    Ok(())
}
