//! `docker locket generate`: mounts, `init`, healthchecks in a file of their own; gate and `depends_on` in the user's.

use std::process::ExitCode;

use clap::Args;
use locket_controller::own::shim;

use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::docker::Docker;
use crate::error::{CommandError, Result};
use crate::generate::document;
use crate::generate::prepare::{Options, Prepared, prepare};
use crate::output::lines;
use crate::user_files::{Change, write_all};

/// Arguments of `generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Add what is missing in the compose file without asking
    #[arg(short, long)]
    yes: bool,
    /// Write nothing; exit with 1 and say what differs, if anything does
    #[arg(long, conflicts_with_all = ["yes", "inline"])]
    check: bool,
    /// Add all lines to the compose file itself instead of a file beside it
    #[arg(long)]
    inline: bool,
    /// For compose without this plugin: put what services ask for into labels, so that no gate is needed
    #[arg(long, conflicts_with = "inline")]
    labels: bool,
}

/// Runs it.
///
/// # Errors
/// The user's problem: see [`prepare`]; with `--check`, a difference.
pub async fn run(args: GenerateArgs, cx: &Context) -> Result<ExitCode> {
    let docker = Docker::new(&cx.globals, &cx.env, &cx.dir);
    let options = Options {
        inline: args.inline,
        labels: args.labels,
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
    if args.check {
        return check(&prepared, cx);
    }
    warn(&prepared, cx);
    write(&prepared, &[], args.yes, cx)?;
    if args.labels {
        prepare_shim(cx).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the volume with the shim on the engine here, if there is one. It may be another engine that compose will run on.
pub(super) async fn prepare_shim(cx: &Context) {
    let prepared = async {
        let host = cx.host().await?;
        let prepared = shim::prepare(&host, shim::Other::Keep).await;
        prepared.map_err(|e| CommandError::user("the engine refused").because(e))
    };
    if let Err(e) = prepared.await {
        cx.term.warn(format_args!(
            "{}; `docker locket controller install` makes the volume {} too",
            lines(&e.one_line()),
            shim::VOLUME
        ));
    }
}

/// Shows the warnings of the project.
pub(super) fn warn(prepared: &Prepared, cx: &Context) {
    if !prepared.loaded.diagnostics.is_empty() {
        // They say themselves that they are warnings.
        cx.term
            .info(prepared.loaded.text(cx.term.color()).trim_end());
    }
}

/// Shows what changes in the user's own files, asks, and writes everything or nothing. `more` are files of ours.
pub(super) fn write(prepared: &Prepared, more: &[Change], yes: bool, cx: &Context) -> Result<()> {
    let names = |all: &[Change]| -> Vec<String> {
        all.iter()
            .map(|c| prepared.loaded.files.name(&c.path))
            .collect()
    };
    if !prepared.own.is_empty() {
        for change in &prepared.own {
            let name = prepared.loaded.files.name(&change.path);
            cx.term.info(change.diff(&name, cx.term.color()).trim_end());
        }
        let changed = names(&prepared.own).join(" and ");
        if !yes && !cx.term.is_tty() {
            return Err(CommandError::user(format!(
                "the lines above are missing in {changed}, and nobody is here to ask"
            ))
            .hint("say `--yes` to have them added"));
        }
        if !yes && !cx.term.confirm(&format!("Change {changed}?")) {
            return Err(CommandError::user("nothing was written"));
        }
    }
    let generated = generated(prepared, more);
    write_all(prepared.own.iter().chain(&generated))?;
    tell(
        prepared,
        [names(&prepared.own), names(&generated)].concat(),
        cx,
    );
    Ok(())
}

/// The files of ours that are to be written.
pub(super) fn generated(prepared: &Prepared, more: &[Change]) -> Vec<Change> {
    let differs = |c: &&Change| {
        c.before
            .as_ref()
            .is_none_or(|before| !document::same(before, &c.after))
    };
    let generated = prepared.generated.iter().filter(differs);
    let more = more.iter().filter(|c| !c.is_empty());
    generated.chain(more).cloned().collect()
}

/// Says what was written, and what is left to do.
pub(super) fn tell(prepared: &Prepared, written: Vec<String>, cx: &Context) {
    match written {
        all if all.is_empty()
            && prepared.generated.is_none()
            && prepared
                .loaded
                .spec
                .as_ref()
                .is_some_and(|s| s.services.is_empty()) =>
        {
            cx.term
                .info("no service uses a secret: nothing to generate");
        }
        all if all.is_empty() => cx.term.info("everything is there already"),
        all => cx.term.info(format!("wrote {}", all.join(", "))),
    }
    for image in &prepared.unknown_images {
        cx.term.info(format!("image {image} is not here: if it has a healthcheck that needs a secret, generate again once it is"));
    }
    for note in &prepared.notes {
        cx.term.warn(note);
    }
}

fn check(prepared: &Prepared, cx: &Context) -> Result<ExitCode> {
    let mut differing = Vec::new();
    for change in prepared.own.iter().chain(&prepared.generated) {
        let same = change
            .before
            .as_ref()
            .is_some_and(|before| document::same(before, &change.after));
        if !same {
            let name = prepared.loaded.files.name(&change.path);
            cx.term.out(change.diff(&name, cx.term.color()).trim_end());
            differing.push(name);
        }
    }
    if let Some(generated) = prepared
        .generated
        .as_ref()
        .filter(|_| prepared.unread && differing.is_empty())
    {
        differing.push(format!(
            "{} (compose does not read it)",
            prepared.loaded.files.name(&generated.path)
        ));
    }
    if differing.is_empty() {
        cx.term.info("everything is there");
        return Ok(ExitCode::SUCCESS);
    }
    let verb = if differing.len() == 1 {
        "differs"
    } else {
        "differ"
    };
    Err(CommandError::user(format!(
        "{} {verb} from what the project needs",
        differing.join(", ")
    ))
    .hint("run `docker locket generate`"))
}
