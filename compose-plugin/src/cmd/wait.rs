//! `docker locket wait`: until a condition holds.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use locket_crds::api::{Condition, ConditionKind, Status};
use locket_crds::names::nearest;
use locket_crds::time::parse_duration;

use super::looks::Looks;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::output::lines;
use crate::project::{self, ProjectFlag};

/// Arguments of `wait`.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// A service; without one, the whole project
    service: Option<String>,
    /// A condition, with its status or reason: Ready, RolledOut=False, RolledOut=RolledBack
    #[arg(long = "for", value_name = "CONDITION", default_value = "Ready", value_parser = Wanted::parse)]
    wanted: Wanted,
    /// How long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    project: ProjectFlag,
}

/// Reads a duration of the command line.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write it like 90s, 5m or 1h30m".to_owned())
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    kind: ConditionKind,
    is: Is,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Is {
    Status(bool),
    Reason(String),
}

impl Wanted {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value)));
        let kind = ConditionKind::ALL
            .into_iter()
            .find(|kind| kind.to_string().eq_ignore_ascii_case(name));
        let names = || ConditionKind::ALL.map(|kind| kind.to_string()).join(", ");
        let kind = kind.ok_or_else(|| format!("the conditions are {}", names()))?;
        let is = match value.map(str::to_ascii_lowercase).as_deref() {
            None => Is::Status(kind.good()),
            Some("true") => Is::Status(true),
            Some("false") => Is::Status(false),
            Some(_) => Is::Reason(value.unwrap_or_default().to_owned()),
        };
        Ok(Self { kind, is })
    }

    fn holds(&self, all: &[Condition]) -> bool {
        all.iter()
            .filter(|c| c.kind == self.kind)
            .any(|c| match &self.is {
                Is::Status(status) => c.status == *status,
                Is::Reason(reason) => c.reason.eq_ignore_ascii_case(reason),
            })
    }
}

/// Runs it.
///
/// # Errors
/// It does not hold in time (what stands in the way is told), or the project has no such service.
pub async fn run(args: WaitArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = project::needed(cx, &flags).await?;
    let access = cx.access(&project::base(cx, &flags)).await?;
    let mut last = Vec::new();
    let mut looks = Looks::new(&access, Some(&project));
    let look = async {
        loop {
            let status = access.status(Some(&project)).await?;
            if let Some(service) = &args.service {
                is_there(service, &status)?;
            }
            last = conditions(&status, args.service.as_deref());
            if args.wanted.holds(&last) {
                return Ok::<_, CommandError>(());
            }
            looks.next().await?;
        }
    };
    match tokio::time::timeout(args.timeout, look).await {
        Ok(end) => end.map(|()| ExitCode::SUCCESS),
        Err(_) => Err(late(&args, &last, project.as_str())),
    }
}

/// A project that is not known yet may come; one that is known will not get another service by waiting.
fn is_there(service: &str, status: &Status) -> Result<()> {
    let Some(project) = status.projects.first() else {
        return Ok(());
    };
    let names: Vec<_> = project
        .services
        .iter()
        .map(|s| s.service.as_str())
        .collect();
    if names.is_empty() || names.contains(&service) {
        return Ok(());
    }
    let e = CommandError::user(format!(
        "project {} gives nothing to a service {service}",
        project.project
    ));
    Err(match nearest(service, names.iter().copied()) {
        Some(near) => e.hint(format!("did you mean `{near}`?")),
        None => e.hint(format!("there is {}", names.join(", "))),
    })
}

fn conditions(status: &Status, service: Option<&str>) -> Vec<Condition> {
    let Some(project) = status.projects.first() else {
        return Vec::new();
    };
    match service {
        None => project.conditions.clone(),
        Some(name) => project
            .services
            .iter()
            .find(|s| s.service.as_str() == name)
            .map(|s| s.conditions.clone())
            .unwrap_or_default(),
    }
}

fn late(args: &WaitArgs, last: &[Condition], project: &str) -> CommandError {
    let what = args.service.as_ref().map_or_else(
        || project.to_owned(),
        |service| format!("{project}/{service}"),
    );
    let e = CommandError::user(format!(
        "{} of {what} is not so after {} s",
        args.wanted.kind,
        args.timeout.as_secs()
    ));
    if last.is_empty() {
        return e.hint("locket knows nothing of it yet: `docker compose up -d` or `docker locket apply` tells it");
    }
    last.iter()
        .filter(|c| c.status != c.kind.good())
        .fold(e, |e, c| {
            e.hint(lines(&format!("{} is {}: {}", c.kind, c.reason, c.message)))
        })
}

#[cfg(test)]
mod tests {
    use locket_crds::api::{ProjectStatus, ServiceStatus, Timestamp, VERSION};

    use super::*;

    #[test]
    fn nobody_waits_for_a_service_that_is_given_nothing() {
        let service = |name: &str| ServiceStatus {
            service: name.into(),
            generation: 1,
            fingerprint: None,
            conditions: Vec::new(),
            containers: Vec::new(),
        };
        let project = ProjectStatus {
            project: "shop".into(),
            working_dir: "/srv/shop".into(),
            applied: None,
            conditions: Vec::new(),
            services: vec![service("api"), service("mailer")],
            sources: Vec::new(),
            waiting: Vec::new(),
        };
        let mut status = Status {
            version: VERSION,
            locket: String::new(),
            projects: vec![project],
        };
        assert!(is_there("api", &status).is_ok());
        let hints = |name| is_there(name, &status).unwrap_err().hints;
        assert_eq!(hints("mialer"), ["did you mean `mailer`?"]);
        assert_eq!(hints("db"), ["there is api, mailer"]);
        // It may come yet.
        status.projects.clear();
        assert!(is_there("db", &status).is_ok());
    }

    #[test]
    fn a_condition_is_named_with_status_or_reason() {
        let of = |kind, status, reason: &str| Condition {
            kind,
            status,
            reason: reason.into(),
            message: String::new(),
            last_transition: Timestamp(0),
        };
        let all = [
            of(ConditionKind::Ready, false, "HookFailed"),
            of(ConditionKind::Stale, false, "Fresh"),
        ];
        let holds = |text: &str| Wanted::parse(text).unwrap().holds(&all);
        assert!(
            !holds("Ready")
                && holds("ready=false")
                && !holds("Ready=True")
                && holds("Ready=HookFailed")
        );
        assert!(holds("Stale"), "the good status of Stale is False");
        assert!(!holds("Paused"), "nothing is known of it");
        assert!(Wanted::parse("Nice").unwrap_err().contains("RolledOut"));
    }
}
