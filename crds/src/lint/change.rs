//! What happens on a change, and whether that helps this service.

use super::environment;
use super::{Service, X, place};
use crate::diag::{Code, Diagnostic, Place};
use crate::spec::{ChangeAction, Via};
use crate::yaml::{Node, Value};

/// Image (without registry and tag) → variables that it reads only to make its data directory. Each may also end in `_FILE`.
const FIRST_START: [(&str, &[&str]); 9] = [
    ("postgres", &["POSTGRES_PASSWORD", "POSTGRES_USER"]),
    ("postgis", &["POSTGRES_PASSWORD", "POSTGRES_USER"]),
    ("timescaledb", &["POSTGRES_PASSWORD", "POSTGRES_USER"]),
    ("mysql", &["MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD"]),
    (
        "mariadb",
        &[
            "MARIADB_ROOT_PASSWORD",
            "MARIADB_PASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "MYSQL_PASSWORD",
        ],
    ),
    ("mongo", &["MONGO_INITDB_ROOT_PASSWORD"]),
    (
        "influxdb",
        &[
            "DOCKER_INFLUXDB_INIT_PASSWORD",
            "DOCKER_INFLUXDB_INIT_ADMIN_TOKEN",
        ],
    ),
    ("rabbitmq", &["RABBITMQ_DEFAULT_PASS"]),
    ("neo4j", &["NEO4J_AUTH"]),
];

pub(super) fn look(service: &Service<'_>, out: &mut Vec<Diagnostic>) {
    let own = service.asked.on_change.as_ref();
    let action = own
        .or(service.spec.defaults.on_change.as_ref())
        .map_or(&ChangeAction::Auto, |it| &it.action);
    first_start(service, action, out);
    let at = service.last(&[X, "on_change"]);
    let at = at.map_or_else(
        || Place::from(service.asked.origin.clone()),
        |w| place(&w, &w.node.defined),
    );
    let mut say = |message: String, help: &str| {
        out.push(Diagnostic::new(Code::NoEffect, at.clone(), message).help(help));
    };
    let name = service.name;
    match action {
        ChangeAction::Signal(signal) => {
            let shim = service
                .asked
                .env
                .iter()
                .find(|(_, grant)| grant.via == Via::Shim);
            if let Some((variable, _)) = shim {
                say(
                    format!(
                        "SIG{signal} cannot change `{variable}` of service {name}: a running process keeps its variables"
                    ),
                    "deliver it as a file that the program reads again, or say `restart`",
                );
            }
        }
        ChangeAction::Rollout => {
            if let Some(why) = single(service) {
                say(
                    format!(
                        "service {name} cannot be rolled out: {why}, and two containers at a time need it"
                    ),
                    "remove it, or say `restart`",
                );
            }
        }
        _ => {}
    }
}

/// What only one container of a service can have.
fn single(service: &Service<'_>) -> Option<&'static str> {
    if service.last(&["container_name"]).is_some() {
        return Some("it has a `container_name`");
    }
    let host = service.last(&["network_mode"]);
    if host.is_some_and(|w| w.node.as_str() == Some("host")) {
        return Some("it has the host's network");
    }
    let ports = service.last(&["ports"])?;
    let Value::List(all) = &ports.node.value else {
        return None;
    };
    all.iter()
        .any(is_fixed)
        .then_some("it has a fixed port of the host")
}

/// `"8080:80"`, `"127.0.0.1:8080:80"`, `{ published: "8080" }`; a range leaves room for two.
fn is_fixed(port: &Node) -> bool {
    let fixed = |text: &str| !text.is_empty() && text != "0" && !text.contains(['-', '$']);
    match &port.value {
        Value::Str(text) => {
            let mut parts = text.rsplit(':');
            parts.next();
            parts.next().is_some_and(fixed)
        }
        Value::Map(_) => match port.get("published").map(|it| &it.value) {
            Some(Value::Str(text)) => fixed(text),
            Some(Value::Int(port)) => *port != 0,
            _ => false,
        },
        _ => false,
    }
}

fn first_start(service: &Service<'_>, action: &ChangeAction, out: &mut Vec<Diagnostic>) {
    let restarts = matches!(
        action,
        ChangeAction::Auto | ChangeAction::Restart | ChangeAction::Recreate | ChangeAction::Rollout
    );
    let model = service.spec.model.get(service.name);
    let image = model.and_then(|it| it.image.as_deref()).unwrap_or_default();
    let repository = image.split('@').next().unwrap_or_default();
    let last = repository.rsplit('/').next().unwrap_or_default();
    let base = last.split(':').next().unwrap_or_default();
    let Some((_, variables)) = FIRST_START
        .iter()
        .find(|(known, _)| restarts && *known == base)
    else {
        return;
    };
    let mut say = |name: &str, at: Place| {
        let message = format!(
            "image {base} reads `{name}` at its first start only: a restart of service {} after a change gives it a value that its data do not know",
            service.name
        );
        let help = "change it inside the running service with `on_change: { exec: […] }`, or say `on_change: none`";
        out.push(Diagnostic::new(Code::FirstStart, at, message).help(help));
    };
    for (name, grant) in &service.asked.env {
        if grant.via == Via::Shim && variables.contains(&name.as_str()) {
            say(name, grant.origin.clone().into());
        }
    }
    let below = format!("{}/", service.asked.path.trim_end_matches('/'));
    let files = service.written.iter().filter_map(|w| {
        let node = w.node.get("environment")?;
        Some(environment::of(
            service.name,
            crate::read::Written { node, ..*w },
        ))
    });
    for it in files.flatten() {
        let of = it.name.strip_suffix("_FILE");
        if of.is_some_and(|of| variables.contains(&of)) && it.value.starts_with(&below) {
            say(it.name, it.place.clone());
        }
    }
}
