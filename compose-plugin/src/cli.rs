//! The command line: what there is, and how a command ends.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cmd::{
    apply, check, controller, doctor, events, explain, generate, init, lsp, pause, plan, refresh,
    run_args, schema, secret, status, trust, up, wait,
};
use crate::context::{Context, Surroundings, VERSION};
use crate::endpoint::GlobalFlags;
use crate::error::{CommandError, Kind, Result};

/// Secrets for Docker Compose: which service gets which secret, and containers that stay in agreement with that
#[derive(Debug, Parser)]
#[command(
    name = "locket",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// The program for containers, where the engine's architecture is another than this machine's
    #[arg(long, global = true, value_name = "FILE")]
    image: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a compose project one of locket's: gate, mounts, schema line
    Init(init::InitArgs),
    /// Write what the project's services need for their secrets to arrive
    Generate(generate::GenerateArgs),
    /// Look for mistakes in the compose files
    Check(check::CheckArgs),
    /// Print the flags of `docker run` for a container that is to be looked after
    RunArgs(run_args::RunArgs),
    /// `docker compose up` with what `generate` would write, in memory
    Up(up::UpArgs),
    /// Set, list and back up secrets of the built-in encrypted store
    Secret(secret::SecretArgs),
    /// How projects stand: conditions, containers, sources, what waits
    Status(status::StatusArgs),
    /// Why a service is as it is: what it is given, what was done to it and why
    Explain(explain::ExplainArgs),
    /// What has happened
    Events(events::EventsArgs),
    /// Wait until a condition holds
    Wait(wait::WaitArgs),
    /// What would change, what would restart, in which order, and why
    Plan(plan::PlanArgs),
    /// Deliver, and restart what has to be restarted
    Apply(apply::ApplyArgs),
    /// Ask backends again at once
    Refresh(refresh::RefreshArgs),
    /// Leave a project as it is: nothing new is delivered, nothing is restarted
    Pause(pause::PauseArgs),
    /// Let a paused project go on
    Resume(pause::PauseArgs),
    /// Grant the controller what the project asks for
    Trust(trust::TrustArgs),
    /// Run, install and look at the controller
    Controller(controller::ControllerArgs),
    /// Look at everything that locket depends on, and tell what is wrong and its cure
    Doctor(doctor::DoctorArgs),
    /// A language server for editors, on standard input and output: problems, names, places
    Lsp(lsp::LspArgs),
    /// Print the JSON Schema of x-locket, of compose files or of locket.yaml
    Schema(schema::SchemaArgs),
    /// Print the version
    Version,
}

/// Runs the command line. `plugin`: the docker CLI has started us, and its own flags and our name come first.
pub fn main(plugin: bool, words: Vec<String>, surroundings: Surroundings) -> ExitCode {
    let (globals, rest) = GlobalFlags::take(&words);
    let rest = match rest.split_first() {
        Some((first, rest)) if first == "locket" => rest,
        _ => rest,
    };
    // The docker CLI takes its own flags after a plugin's name, too.
    let (more, rest) = GlobalFlags::take(rest);
    let name = if plugin { "docker locket" } else { "locket" };
    let argv = std::iter::once(name.to_owned()).chain(rest.iter().cloned());
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(e) => {
            // Nobody may be listening any more.
            let _ = e.print();
            // Whoever runs `check` in a script takes 1 for problems in the files.
            let unusable = if rest.first().is_some_and(|it| it == "check") {
                2
            } else {
                1
            };
            return if e.use_stderr() {
                ExitCode::from(unusable)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let cx = Context::new(surroundings, more.or(&globals), cli.image);
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(e) => {
            cx.term
                .error(&CommandError::internal("no threads can be started").because(e));
            return ExitCode::from(2);
        }
    };
    let work = std::panic::AssertUnwindSafe(|| runtime.block_on(run(cli.command, &cx)));
    // The place was told when it happened.
    let end = std::panic::catch_unwind(work)
        .unwrap_or_else(|_| Err(CommandError::internal("locket has failed")));
    // A prompt or a read that nobody answers any more must not keep the process.
    runtime.shutdown_background();
    match end {
        Ok(code) => code,
        Err(e) => {
            cx.term.error(&e);
            ExitCode::from(match e.kind {
                Kind::User => 1,
                Kind::Internal => 2,
            })
        }
    }
}

/// One thread will do for a command; the controller has two, so that a slow pass delays no answer.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    use tokio::runtime::Builder;
    match command {
        Command::Controller(args) if args.is_run() => Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build(),
        _ => Builder::new_current_thread().enable_all().build(),
    }
}

async fn run(command: Command, cx: &Context) -> Result<ExitCode> {
    match command {
        Command::Init(args) => init::run(args, cx).await,
        Command::Generate(args) => generate::run(args, cx).await,
        Command::RunArgs(args) => run_args::run(args, cx).await,
        Command::Check(args) => check::run(args, cx).await,
        Command::Up(args) => up::run(args, cx).await,
        Command::Secret(args) => secret::run(args, cx).await,
        Command::Status(args) => status::run(args, cx).await,
        Command::Explain(args) => explain::run(args, cx).await,
        Command::Events(args) => events::run(args, cx).await,
        Command::Wait(args) => wait::run(args, cx).await,
        Command::Plan(args) => plan::run(args, cx).await,
        Command::Apply(args) => apply::run(args, cx).await,
        Command::Refresh(args) => refresh::run(args, cx).await,
        Command::Pause(args) => pause::run(args, true, cx).await,
        Command::Resume(args) => pause::run(args, false, cx).await,
        Command::Trust(args) => trust::run(args, cx).await,
        Command::Controller(args) => controller::run(args, cx).await,
        Command::Doctor(args) => doctor::run(args, cx).await,
        Command::Lsp(args) => lsp::run(args, cx).await,
        Command::Schema(args) => schema::run(args, cx).await,
        Command::Version => {
            cx.term.out(format!("locket {VERSION}"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
