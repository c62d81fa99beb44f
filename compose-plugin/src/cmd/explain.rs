//! `docker locket explain SERVICE`: why a service is as it is.

use std::process::ExitCode;

use clap::Args;
use locket_crds::api::{Explain, ExplainAct};

use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::output::{lines, table};
use crate::project::{self, ProjectFlag};

/// Arguments of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The service
    service: String,
    #[command(flatten)]
    project: ProjectFlag,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// There is no such project or service.
pub async fn run(args: ExplainArgs, cx: &Context) -> Result<ExitCode> {
    let flags = args.project.compose();
    let project = project::needed(cx, &flags).await?;
    let access = cx.access(&project::base(cx, &flags)).await?;
    let it = access
        .explain(&project, &args.service.as_str().into())
        .await?;
    if args.json {
        let text = serde_json::to_string_pretty(&it);
        cx.term.out(
            text.map_err(|e| CommandError::internal("the answer cannot be written").because(e))?,
        );
    } else {
        cx.term.out(text(&it));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(it: &Explain) -> String {
    let mut out = Vec::new();
    let generation = match it.service.fingerprint {
        Some(fingerprint) => format!("generation {} ({fingerprint})", it.service.generation),
        None => "no generation yet".to_owned(),
    };
    let name = format!("{}/{}", it.project, it.service.service);
    // A service that is not looked after for its own sake has neither.
    out.push(match it.inputs.is_empty() && it.service.conditions.is_empty() {
        true => format!("{name}  is given nothing; it restarts with services that it depends on with `restart: true`, or whose network, PIDs or IPC it shares"),
        false => format!("{name}  {generation}, on change: {}", lines(&it.on_change)),
    });
    for c in it
        .service
        .conditions
        .iter()
        .filter(|c| c.status != c.kind.good())
    {
        let status = if c.status { "True" } else { "False" };
        out.push(format!(
            "  {}={status}/{}: {}",
            c.kind,
            c.reason,
            lines(&c.message)
        ));
    }
    for c in &it.service.containers {
        let with = c.started_with.map_or_else(
            || "runs with an unknown generation".to_owned(),
            |g| format!("started with generation {g}"),
        );
        let with = if c.has_volume {
            with
        } else {
            "does not mount the service's volume".to_owned()
        };
        let outdated = c
            .outdated
            .as_ref()
            .map(|why| format!(", outdated: {}", lines(why)))
            .unwrap_or_default();
        out.push(format!("  {} {with}{outdated}", lines(&c.name)));
    }
    for w in &it.waiting {
        out.push(format!(
            "  waits with {}: {}",
            w.what,
            lines(if w.message.is_empty() {
                &w.reason
            } else {
                &w.message
            })
        ));
    }
    let inputs: Vec<_> = it
        .inputs
        .iter()
        .map(|i| vec![i.target.clone(), i.references.join(", "), i.origin.clone()])
        .collect();
    out.push(String::new());
    out.push(table(&["IS GIVEN", "FROM", "BECAUSE OF"], &inputs));
    out.push(String::new());
    if it.history.is_empty() {
        out.push("nothing was done to it yet".to_owned());
    } else {
        out.push(table(
            &["TIME", "ACTION", "CONTAINER", "CONTENT", "RESULT", "CAUSE"],
            &it.history.iter().map(act).collect::<Vec<_>>(),
        ));
    }
    out.join("\n")
}

fn act(it: &ExplainAct) -> Vec<String> {
    let change = match (&it.from, &it.to) {
        (Some(from), Some(to)) if from != to => format!("{from} → {to}"),
        (Some(it), _) | (None, Some(it)) => it.to_string(),
        (None, None) => "-".to_owned(),
    };
    let container = it.container.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        it.time.to_string(),
        it.action.clone(),
        container,
        change,
        it.result.clone(),
        it.cause.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use locket_crds::api::{ContainerStatus, ExplainInput, ServiceStatus, Timestamp};
    use locket_crds::id::Fingerprint;

    use super::*;

    #[test]
    fn it_says_what_was_done_and_why() {
        let it = Explain {
            project: "shop".into(),
            service: ServiceStatus {
                service: "api".into(),
                generation: 2,
                fingerprint: Some(Fingerprint([2; 32])),
                conditions: Vec::new(),
                containers: vec![ContainerStatus {
                    state: "running".into(),
                    id: "1".into(),
                    name: "shop-api-1".into(),
                    started_with: Some(2),
                    outdated: None,
                    has_volume: true,
                }],
            },
            on_change: "auto".into(),
            inputs: vec![ExplainInput {
                target: "env KEY".into(),
                references: vec!["local:key".into()],
                origin: "compose.yaml:9:7".into(),
            }],
            waiting: Vec::new(),
            history: vec![ExplainAct {
                time: Timestamp(0),
                action: "restart".into(),
                container: Some("shop-api-1".into()),
                cause: "local:key changed".into(),
                from: Some(Fingerprint([1; 32])),
                to: Some(Fingerprint([2; 32])),
                result: "ok".into(),
            }],
        };
        expect_test::expect![[r#"
            shop/api  generation 2 (020202020202), on change: auto
              shop-api-1 started with generation 2

            IS GIVEN  FROM       BECAUSE OF
            env KEY   local:key  compose.yaml:9:7

            TIME                      ACTION   CONTAINER   CONTENT                      RESULT  CAUSE
            1970-01-01T00:00:00.000Z  restart  shop-api-1  010101010101 → 020202020202  ok      local:key changed"#]]
        .assert_eq(&text(&it));
    }
}
