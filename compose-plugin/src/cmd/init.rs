//! `docker locket init`: a compose project becomes one of ours, in one step.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::generate::{warn, write};
use super::{import, schema};
use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::docker::Docker;
use crate::error::Result;
use crate::generate::prepare::{Options, Prepared, prepare};
use crate::user_files::{self, Change};

/// The schema, from the project directory.
const SCHEMA: &str = ".locket/compose.schema.json";
/// How an editor's YAML server is told of a schema.
const MODELINE: &str = "# yaml-language-server:";

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Change the files without asking
    #[arg(short, long)]
    yes: bool,
    /// Add all lines to the compose file itself instead of a file beside it
    #[arg(long)]
    inline: bool,
    /// Move values that look like secrets from the project's files into the built-in store, and take references of DSO and of the other locket over; values that only DSO has are left to you: at the end the command for each is printed (`docker dso secret get … | docker locket secret set …`)
    #[arg(long)]
    import: bool,
    /// With --import: leave VARIABLE or SERVICE.VARIABLE where it is; may be given several times
    #[arg(long, value_name = "NAME", requires = "import")]
    skip: Vec<String>,
    /// With --import: references to this folder of OpenBao or Vault instead of the built-in store, such as bao:kv/shop. Files change once the values are there; before that the command for each is printed
    #[arg(long, value_name = "SOURCE:FOLDER", requires = "import")]
    vault: Option<String>,
    /// With --vault: write the value of this secret to standard output, for a pipe
    #[arg(long, value_name = "NAME", requires = "vault")]
    value: Option<String>,
    /// Take the last import back: files and modes as they were, its secrets removed
    #[arg(long, conflicts_with_all = ["import", "inline"])]
    undo: bool,
}

/// Runs it.
///
/// # Errors
/// As `generate`.
pub async fn run(args: InitArgs, cx: &Context) -> Result<ExitCode> {
    if args.undo {
        return import::undo(&args.compose, args.yes, cx).await;
    }
    if args.import {
        let options = import::Options {
            skip: args.skip,
            yes: args.yes,
            inline: args.inline,
            vault: args.vault,
            value: args.value,
        };
        return import::run(&args.compose, options, cx).await;
    }
    init(&args.compose, args.inline, args.yes, cx).await
}

/// Gate, mounts and schema line.
pub(super) async fn init(
    flags: &ComposeFlags,
    inline: bool,
    yes: bool,
    cx: &Context,
) -> Result<ExitCode> {
    let (prepared, schema) = prepared(flags, inline, cx).await?;
    warn(&prepared, cx);
    write(&prepared, std::slice::from_ref(&schema), yes, cx)?;
    Ok(ExitCode::SUCCESS)
}

/// What `init` would write: changes of the project, and the schema file.
pub(super) async fn prepared(
    flags: &ComposeFlags,
    inline: bool,
    cx: &Context,
) -> Result<(Prepared, Change)> {
    let docker = Docker::new(&cx.globals, &cx.env, &cx.dir);
    let options = Options {
        inline,
        always_gate: true,
        ..Options::default()
    };
    let mut prepared = prepare(&docker, flags, &cx.env, &cx.dir, options, cx.term.color()).await?;
    let schema = add_modeline(&mut prepared)?;
    Ok((prepared, schema))
}

/// Puts the schema's line on top of the first compose file; returns the schema file.
fn add_modeline(prepared: &mut Prepared) -> Result<Change> {
    let files = &prepared.loaded.files;
    let path = files.project_dir.join(SCHEMA);
    let first = &files.paths[0];
    let at = match prepared.own.iter().position(|c| &c.path == first) {
        Some(at) => at,
        None => {
            let text = user_files::read(first)?.unwrap_or_default();
            prepared.own.insert(
                0,
                Change {
                    path: first.clone(),
                    before: Some(text.clone()),
                    after: text,
                },
            );
            0
        }
    };
    let change = &mut prepared.own[at];
    change.after = with_modeline(&change.after, &shown(first, &path));
    prepared.own.retain(|c| !c.is_empty());
    Change::of(&path, schema::pretty(schema::COMPOSE) + "\n")
}

/// The schema's path as the compose file names it.
fn shown(compose: &Path, schema: &Path) -> String {
    let dir = compose.parent().unwrap_or(Path::new("/"));
    schema
        .strip_prefix(dir)
        .unwrap_or(schema)
        .display()
        .to_string()
}

fn with_modeline(text: &str, schema: &str) -> String {
    // A byte order mark is one at the beginning only.
    let rest = text.trim_start_matches('\u{feff}');
    let mark = &text[..text.len() - rest.len()];
    if rest.lines().any(|l| l.starts_with(MODELINE)) {
        return text.to_owned();
    }
    let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
    format!("{mark}{MODELINE} $schema={schema}{eol}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_added_once() {
        let once = with_modeline("services: {}\r\n", SCHEMA);
        assert_eq!(
            once,
            "# yaml-language-server: $schema=.locket/compose.schema.json\r\nservices: {}\r\n"
        );
        assert_eq!(with_modeline(&once, SCHEMA), once);
        let marked = with_modeline("\u{feff}services: {}\n", SCHEMA);
        assert!(marked.starts_with("\u{feff}# yaml-language-server"));
        assert!(marked.ends_with("\nservices: {}\n"));
        assert_eq!(
            shown(Path::new("/p/c.yaml"), Path::new("/p/.locket/x")),
            ".locket/x"
        );
        assert_eq!(
            shown(Path::new("/p/a/c.yaml"), Path::new("/p/.locket/x")),
            "/p/.locket/x"
        );
    }
}
