//! `docker locket apply`: delivers, and does to containers what has to be done.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use locket_crds::api::{ApplyMode, ApplyRequest, Progress};
use locket_crds::spec::ProjectSpec;

use super::plan::wanted;
use super::wait::duration;
use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::output::lines;
use crate::project;
use crate::signals;
use crate::twin;

/// Arguments of `apply`.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// How long it may take
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

/// The grace period of a container that says nothing.
const GRACE: Duration = Duration::from_secs(10);
/// What the start after a stop may take, and an engine that has much to do.
const SLACK: Duration = Duration::from_secs(30);
/// A wait that is shorter is not worth a word.
const SHORT: Duration = Duration::from_millis(300);

/// Runs it.
///
/// # Errors
/// What keeps the project from being delivered or rolled out.
pub async fn run(args: ApplyArgs, cx: &Context) -> Result<ExitCode> {
    let (project, spec) = wanted(cx, &args.compose).await?;
    let base = project::base(cx, &args.compose);
    let access = cx.access(&base).await?;
    let spec_grace = spec.as_ref().map(longest_grace);
    let request = ApplyRequest {
        spec,
        mode: ApplyMode::Act,
    };
    let at_most = patience(spec_grace);
    let interrupted = signals::ending(&cx.env)?;
    let end = {
        let steps = cx.term.steps();
        let work = access.apply(&project, request, args.timeout, |progress| match progress {
            Progress::Info(text) => steps.step(lines(&text)),
            Progress::Warning(text) => steps.warn(lines(&text)),
            Progress::Done(_) | Progress::Failed(_) => {}
        });
        tokio::select! {
            end = work => end.map_err(CommandError::from),
            () = interrupted => Err(CommandError::user("interrupted before everything was done")),
        }
    };
    let applied = match end {
        Ok(applied) => applied,
        Err(e) if access.controller().is_some() => {
            return Err(e.hint("the controller goes on with it"));
        }
        // A container that was stopped would stay so: nobody else starts it again.
        Err(e) => {
            told_if_long(access.finish(at_most), || {
                cx.term
                    .warn("not everything is done; what was begun is brought to its end");
            })
            .await;
            return Err(e);
        }
    };
    for (name, why) in &applied.outdated {
        cx.term.warn(format_args!(
            "{} still runs with an old value: {}",
            lines(name),
            lines(why)
        ));
    }
    if let Some(it) = twin::replaced(applied.moved_from.as_deref(), &base) {
        cx.term.warn(lines(&it));
    }
    let services: Vec<&str> = applied
        .delivered
        .iter()
        .map(|(service, _)| service.as_str())
        .collect();
    match services.is_empty() {
        true => cx
            .term
            .info(format_args!("{project}: no service uses a secret")),
        false => cx.term.info(format_args!(
            "{project}: all is as it should be ({})",
            services.join(", ")
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// The longest time that a service of the project asks for between stop signal and end.
fn longest_grace(spec: &ProjectSpec) -> Duration {
    let said = spec.model.values().filter_map(|it| it.stop_grace);
    said.max().unwrap_or_default().max(GRACE)
}

/// How long a stop of ours and the start after it may take. Without a spec nobody knows what the containers ask for.
fn patience(grace: Option<Duration>) -> Duration {
    grace.unwrap_or(6 * GRACE) + SLACK
}

/// Waits, and says so if that takes long enough for somebody to wonder.
async fn told_if_long(work: impl Future<Output = ()>, tell: impl FnOnce()) {
    let mut work = std::pin::pin!(work);
    if tokio::time::timeout(SHORT, &mut work).await.is_err() {
        tell();
        work.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_long_wait_is_told() {
        for (wait, expected) in [(Duration::ZERO, false), (2 * SHORT, true)] {
            let (mut told, mut done) = (false, false);
            let work = async {
                tokio::time::sleep(wait).await;
                done = true;
            };
            told_if_long(work, || told = true).await;
            assert_eq!((told, done), (expected, true));
        }
    }

    #[test]
    fn it_waits_as_long_as_the_slowest_service_may_take() {
        assert_eq!(
            patience(Some(Duration::from_secs(90))),
            Duration::from_secs(120)
        );
        assert_eq!(patience(None), Duration::from_secs(90));
    }
}
