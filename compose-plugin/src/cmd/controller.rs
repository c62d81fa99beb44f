//! `docker locket controller`: the process that keeps containers in agreement.

pub(super) mod container;
mod install;
mod run;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use locket_controller::client::Client;
use locket_controller::own::controller::NAME;
use locket_crds::api::Answerer;
use locket_engine::{Container, Status};

use crate::context::{Context, VERSION, engine_error, socket_path};
use crate::error::{CommandError, Result};
use crate::output::lines;

/// Arguments of `controller`.
#[derive(Debug, Clone, Args)]
pub struct ControllerArgs {
    #[command(subcommand)]
    command: Command,
}

impl ControllerArgs {
    /// Whether this process becomes the controller.
    pub fn is_run(&self) -> bool {
        matches!(self.command, Command::Run(_))
    }
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Be the controller, in the foreground
    Run(run::RunArgs),
    /// Run the controller in a container of its own, for good
    Install(install::InstallArgs),
    /// Remove that container; what was delivered stays
    Uninstall,
    /// Tell whether a controller answers; exit with 1 if none does
    Status {
        /// Ask only the socket on this machine, whatever engine its controller looks after
        #[arg(long, hide = true)]
        here: bool,
    },
    /// The log of the controller's container
    Logs {
        /// Go on with what is logged from now on
        #[arg(short, long)]
        follow: bool,
        /// Only the last lines
        #[arg(short = 'n', long, value_name = "N")]
        tail: Option<u64>,
    },
}

/// Runs it.
///
/// # Errors
/// The engine does not answer or refuses.
pub async fn run(args: ControllerArgs, cx: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Run(args) => run::run(args, cx).await,
        Command::Install(args) => install::install(args, cx).await,
        Command::Uninstall => install::uninstall(cx).await,
        Command::Status { here: true } => here(cx).await,
        Command::Status { here: false } => status(cx).await,
        Command::Logs { follow, tail } => {
            let mut words = vec!["logs".to_owned()];
            words.extend(follow.then(|| "--follow".to_owned()));
            words.extend(tail.map(|n| format!("--tail={n}")));
            words.push(NAME.to_owned());
            Ok(ExitCode::from(cx.docker().attached(&words).await?))
        }
    }
}

/// Asks the socket, and through it whether the engine answers: the controller's own healthcheck, every half minute for ever.
async fn here(cx: &Context) -> Result<ExitCode> {
    let answerer = Client::here(socket_path(&cx.env)).health().await?;
    cx.term.out(lines(&answerer.locket));
    Ok(ExitCode::SUCCESS)
}

/// What there is of a controller.
pub(super) struct Standing {
    /// Who answers, and where.
    pub answers: Option<(Answerer, String)>,
    /// Why its listener is not as configured.
    pub listener_problem: Option<String>,
    /// What has the name of its container.
    pub container: Option<Container>,
}

/// Asks it, over the way that every command takes: an answer is the truth.
///
/// # Errors
/// The engine does not answer.
pub(super) async fn standing(cx: &Context) -> Result<Standing> {
    let access = cx.any_controller().await?;
    let container = cx.host().await?.engine.inspect(NAME).await;
    Ok(Standing {
        answers: access
            .controller()
            .map(|(answerer, place)| (answerer.clone(), place.to_owned())),
        listener_problem: access.listener_problem().await,
        container: container.map_err(engine_error)?,
    })
}

/// What a container does, in the engine's word.
pub(super) fn word(it: Status) -> String {
    format!("{it:?}").to_lowercase()
}

/// What to do about one whose controller does not answer.
pub(super) fn cure(it: Status) -> String {
    match it {
        Status::Restarting => {
            "it ends as soon as it is started: `docker locket controller logs` says why".to_owned()
        }
        _ => format!("`docker start {NAME}`; `docker locket controller logs` may say why it ended"),
    }
}

/// The listener is not as configured.
pub(super) fn unheard(why: &str) -> String {
    format!("the controller's listener is not as configured, so no hook is heard there: {why}")
}

async fn status(cx: &Context) -> Result<ExitCode> {
    let standing = standing(cx).await?;
    let Some((answerer, place)) = &standing.answers else {
        if let Some(it) = &standing.container {
            let e = CommandError::user(format!(
                "no controller answers: the container {NAME} is {}",
                word(it.state.status)
            ));
            return Err(e.hint(cure(it.state.status)));
        }
        let e = CommandError::user("no controller answers");
        return Err(e.hint("`docker locket controller install` makes one; `controller run` is one in the foreground"));
    };
    cx.term.out(format_args!(
        "controller {} answers: {}, engine {}",
        lines(&answerer.locket),
        lines(place),
        lines(&answerer.engine)
    ));
    if let Some(why) = &standing.listener_problem {
        cx.term.warn(format_args!("{}", lines(&unheard(why))));
    }
    if answerer.locket != VERSION {
        cx.term.warn(format_args!("this program is {VERSION}; `docker locket controller install` brings the controller to the same version"));
    }
    Ok(ExitCode::SUCCESS)
}
