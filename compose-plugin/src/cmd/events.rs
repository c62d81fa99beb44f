//! `docker locket events`: what has happened.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use locket_crds::api::{Event, EventKind};

use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::output::lines;
use crate::project::{self, ProjectFlag};

/// How long one question of `--follow` waits for an answer.
const WAIT: Duration = Duration::from_secs(30);
/// Between two questions that are answered at once, without an event; without a controller between any two.
const PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    #[command(flatten)]
    project: ProjectFlag,
    /// Those of all projects
    #[arg(short, long)]
    all: bool,
    /// Go on with what happens from now on
    #[arg(short = 'F', long)]
    follow: bool,
    /// As JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The engine does not answer, or knows nothing of a project that was named.
pub async fn run(args: EventsArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = if args.all {
        None
    } else {
        project::name(cx, &flags).await?
    };
    let access = cx.access(&project::base(cx, &flags)).await?;
    // Whoever follows may be there first.
    if !args.all && !args.follow && flags.project_name.is_some() {
        project::named(&flags, &access.status(project.as_ref()).await?)?;
    }
    let mut after = 0;
    let mut wait = Duration::ZERO;
    loop {
        let events = access.events(project.as_ref(), after, wait).await?;
        for event in &events {
            cx.term
                .out(if args.json { json(event)? } else { text(event) });
            after = after.max(event.seq);
        }
        if !args.follow || cx.term.closed() {
            return Ok(ExitCode::SUCCESS);
        }
        if events.is_empty() || access.controller().is_none() {
            // Who waits there need not wait here; who answers at once must not be asked without end. Without a controller
            // a question is a pass of our own.
            tokio::time::sleep(PAUSE).await;
        }
        wait = WAIT;
    }
}

fn json(event: &Event) -> Result<String> {
    serde_json::to_string(event)
        .map_err(|e| CommandError::internal("the event cannot be written").because(e))
}

fn text(it: &Event) -> String {
    let kind = match it.kind {
        EventKind::Normal => "Normal",
        EventKind::Warning => "Warning",
    };
    let service = it
        .service
        .as_ref()
        .map(|s| format!("/{s}"))
        .unwrap_or_default();
    let count = if it.count > 1 {
        format!(" (×{})", it.count)
    } else {
        String::new()
    };
    format!(
        "{}  {kind:7}  {}{service}  {}: {}{count}",
        it.last,
        it.project,
        it.reason,
        lines(&it.message)
    )
}

#[cfg(test)]
mod tests {
    use locket_crds::api::Timestamp;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let it = Event {
            seq: 4,
            project: "shop".into(),
            service: Some("api".into()),
            kind: EventKind::Warning,
            reason: "HookFailed".into(),
            message: "exit 1\u{7}".into(),
            count: 3,
            first: Timestamp(0),
            last: Timestamp(1000),
        };
        assert_eq!(
            text(&it),
            "1970-01-01T00:00:01.000Z  Warning  shop/api  HookFailed: exit 1\u{fffd} (×3)"
        );
    }
}
