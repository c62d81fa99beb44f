//! The model before interpolation: healthchecks are wrapped from it, so that their `$` survive.

use std::collections::BTreeMap;

use locket_crds::yaml::{self, Node, Value};

use super::Request;
use crate::docker::Docker;
use crate::error::{CommandError, Result};

/// The uninterpolated model, as far as it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw {
    /// The services, by name.
    pub services: BTreeMap<String, RawService>,
}

/// One service of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawService {
    /// `healthcheck.test` with compose's `$` in it: `[CMD, …]` or `[CMD-SHELL, text]`; empty if it has none.
    pub test: Vec<String>,
    /// `healthcheck.disable`, or a test of `NONE`.
    pub unchecked: bool,
    /// `environment.LOCKET_SHIM`.
    pub shim: Option<String>,
}

/// Asks compose for the model before interpolation, with the services of all profiles.
///
/// # Errors
/// Compose's own, for files that it has read before.
pub async fn raw(docker: &Docker, request: &Request<'_>) -> Result<Raw> {
    let (docker, mut args) = docker.compose(request.flags, request.files);
    args.push("--profile=*".to_owned());
    args.extend(
        [
            "config",
            "--no-interpolate",
            "--no-env-resolution",
            "--no-normalize",
            "--no-consistency",
        ]
        .map(str::to_owned),
    );
    let output = docker.output(&args).await?;
    if !output.status.success() {
        return Err(CommandError::user("compose refuses the project").because(output.reason()));
    }
    read(output.text()?).ok_or_else(|| {
        CommandError::internal("the output of `docker compose config` cannot be read")
    })
}

fn read(text: &str) -> Option<Raw> {
    let model = yaml::document(text).ok()?;
    let Some(Value::Map(all)) = model.get("services").map(|n| &n.value) else {
        return Some(Raw::default());
    };
    let services = all
        .iter()
        .filter_map(|e| Some((e.key.clone()?, service(&e.node))))
        .collect();
    Some(Raw { services })
}

fn service(node: &Node) -> RawService {
    let check = node.get("healthcheck");
    let test: Vec<String> = match check.and_then(|c| c.get("test")).map(|n| &n.value) {
        Some(Value::Str(text)) if text == "NONE" => vec![text.clone()],
        Some(Value::Str(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
        Some(Value::List(all)) => all.iter().filter_map(text).collect(),
        _ => Vec::new(),
    };
    let disabled = check
        .and_then(|c| c.get("disable"))
        .is_some_and(|d| d.value == Value::Bool(true));
    let unchecked = disabled || test.first().is_some_and(|w| w == "NONE");
    RawService {
        test: if unchecked { Vec::new() } else { test },
        unchecked,
        shim: shim(node),
    }
}

fn shim(node: &Node) -> Option<String> {
    let environment = node.get("environment")?;
    match &environment.value {
        Value::List(all) => all
            .iter()
            .filter_map(Node::as_str)
            .find_map(|v| v.strip_prefix("LOCKET_SHIM="))
            .map(str::to_owned),
        _ => environment.get("LOCKET_SHIM")?.as_str().map(str::to_owned),
    }
}

/// A word of a command; numbers and booleans are what they are written as.
fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(it) => Some(it.to_string()),
        Value::Float(it) => Some(it.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_of_a_healthcheck_stay_as_they_are_written() {
        let model = "services:\n  a:\n    healthcheck:\n      test: psql \"$$X\" ${HOME}\n  b:\n    healthcheck:\n      test: [CMD, x, $$b]\n  c:\n    healthcheck: { disable: true }\n  d: { environment: { LOCKET_SHIM: init=reap } }\n";
        let raw = read(model).unwrap();
        assert_eq!(
            raw.services["a"].test,
            ["CMD-SHELL", "psql \"$$X\" ${HOME}"]
        );
        assert_eq!(raw.services["b"].test, ["CMD", "x", "$$b"]);
        assert!(raw.services["c"].unchecked);
        assert_eq!(raw.services["d"].shim.as_deref(), Some("init=reap"));
    }
}
