//! Compose's provider protocol: `docker compose up` and `down` call us for the service `provider: { type: locket }`.
//!
//! Start with [`main`]. The protocol is <https://github.com/docker/compose/blob/main/docs/extension.md>.
//!
//! # Guarantees
//! - Nothing but JSON lines on standard output: anything else makes compose give up.
//! - One line for what is wrong, the cause first: compose shows no more.
//! - `setenv` only for variables that ask for it by `via: compose`, and never on `down`, which compose does not survive.

mod args;
mod lines;
mod up;

use std::process::ExitCode;

use args::{Args, Command};
use lines::Lines;

use crate::context::{Context, Surroundings};
use crate::endpoint::{Parent, ancestors};
use crate::error::{CommandError, Kind, Result};

/// Answers one call of compose. `words` begin with `compose`.
pub fn main(words: Vec<String>, surroundings: Surroundings) -> ExitCode {
    let mut lines = Lines::new(std::io::stdout());
    let args = match Args::parse(&words) {
        Ok(args) => args,
        Err(why) => {
            lines.error(&why);
            return ExitCode::from(1);
        }
    };
    match args.command {
        Command::Metadata => {
            lines.raw(&args::metadata());
            return ExitCode::SUCCESS;
        }
        // Whoever stops a project wants to start it again: nothing is let go of.
        Command::Stop => return ExitCode::SUCCESS,
        Command::Up | Command::Down => {}
    }
    let parent = Parent::nearest(&ancestors());
    let globals = parent
        .as_ref()
        .map(|it| it.globals.clone())
        .unwrap_or_default();
    let cx = Context::new(surroundings, globals, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let end = match runtime {
        Ok(runtime) => {
            let work = std::panic::AssertUnwindSafe(|| {
                runtime.block_on(answer(&args, parent, &cx, &mut lines))
            });
            // What a panic says is not for compose; that there was one is.
            let end = std::panic::catch_unwind(work);
            runtime.shutdown_background();
            end.unwrap_or_else(|_| {
                Err(CommandError::internal(
                    "locket has failed; please report this",
                ))
            })
        }
        Err(e) => Err(CommandError::internal("no threads can be started").because(e)),
    };
    let Err(e) = end else {
        return ExitCode::SUCCESS;
    };
    lines.error(&one_line(&e));
    ExitCode::from(match e.kind {
        Kind::User => 1,
        Kind::Internal => 2,
    })
}

async fn answer(
    args: &Args,
    parent: Option<Parent>,
    cx: &Context,
    lines: &mut Lines<impl std::io::Write + Send>,
) -> Result<()> {
    match args.command {
        Command::Down => down(args, cx).await,
        _ => up::run(args, parent, cx, lines).await,
    }
}

/// Lets go of the volumes, so that `down -v` can remove them.
async fn down(args: &Args, cx: &Context) -> Result<()> {
    // Neither the host configuration nor the store has a part in it: a mistake there must not keep a project from ending.
    cx.any_controller()
        .await?
        .release(&args.project.as_str().into())
        .await?;
    Ok(())
}

/// The error and, since there is no second line, the first thing to do about it.
fn one_line(e: &CommandError) -> String {
    let line = e.one_line();
    // Lines to be pasted into a file are of no use in the middle of another one.
    match e.hints.first().and_then(|hint| hint.lines().next()) {
        Some(hint) => format!("{line} ({})", hint.trim_end_matches(':')),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let e = CommandError::user("a:\nb").because("c\nd");
        let e = e.hint("do e, or add:\nf: g");
        assert_eq!(one_line(&e), "a: c d (do e, or add)");
    }
}
