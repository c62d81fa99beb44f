//! What is read of a service besides `x-locket`, as `docker compose config` writes it: long forms only.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::ServiceName;
use crate::spec::{ComposeService, Dependency, Mount};
use crate::time::parse_duration;
use crate::yaml::{Node, Value};

/// Where compose puts its own secrets, unless their target is absolute.
const SECRETS: &str = "/run/secrets";

pub(super) fn service(node: &Node) -> ComposeService {
    let text = |key: &str| node.get(key).and_then(scalar);
    ComposeService {
        image: text("image"),
        user: text("user"),
        depends_on: depends_on(node),
        joins: joins(node),
        stop_grace: duration(node, "stop_grace_period"),
        profiles: match node.get("profiles").map(|n| &n.value) {
            Some(Value::List(all)) => all.iter().filter_map(scalar).collect(),
            _ => Vec::new(),
        },
        init: flag(node, "init"),
        provider: node
            .get("provider")
            .and_then(|p| p.get("type"))
            .and_then(scalar),
        mounts: mounts(node),
        own_files: own_files(node),
    }
}

fn depends_on(node: &Node) -> BTreeMap<ServiceName, Dependency> {
    let plain = || Dependency {
        condition: "service_started".into(),
        restart: false,
        required: true,
    };
    match node.get("depends_on").map(|n| &n.value) {
        Some(Value::List(all)) => all
            .iter()
            .filter_map(Node::as_str)
            .map(|name| (name.into(), plain()))
            .collect(),
        Some(Value::Map(all)) => {
            let one = |e: &crate::yaml::Entry| {
                let it = Dependency {
                    condition: e
                        .node
                        .get("condition")
                        .and_then(scalar)
                        .unwrap_or_else(|| plain().condition),
                    restart: flag(&e.node, "restart"),
                    required: e
                        .node
                        .get("required")
                        .is_none_or(|n| n.value != Value::Bool(false)),
                };
                Some((e.key.as_deref()?.into(), it))
            };
            all.iter().filter_map(one).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// `network_mode: service:x` and its like; `volumes_from: [x, x:ro, container:y]`.
fn joins(node: &Node) -> Vec<ServiceName> {
    let spaces = ["network_mode", "ipc", "pid"]
        .into_iter()
        .filter_map(|key| node.get(key)?.as_str()?.strip_prefix("service:"));
    let volumes = items(node, "volumes_from")
        .iter()
        .filter_map(Node::as_str)
        .filter(|v| !v.starts_with("container:"));
    let mut out: Vec<ServiceName> = spaces
        .chain(volumes.map(|v| v.split(':').next().unwrap_or(v)))
        .map(ServiceName::from)
        .collect();
    out.sort();
    out.dedup();
    out
}

fn mounts(node: &Node) -> BTreeMap<String, Mount> {
    let one = |it: &Node| {
        let mount = Mount {
            kind: it.get("type").and_then(scalar)?,
            source: it.get("source").and_then(scalar).unwrap_or_default(),
            subpath: it
                .get("volume")
                .and_then(|v| v.get("subpath"))
                .and_then(scalar),
            read_only: flag(it, "read_only"),
        };
        Some((it.get("target").and_then(scalar)?, mount))
    };
    let tmpfs = |it: &Node| {
        // The options stand behind a colon.
        let target = it.as_str()?.split(':').next()?.to_owned();
        let kind = "tmpfs".to_owned();
        Some((
            target,
            Mount {
                kind,
                ..Mount::default()
            },
        ))
    };
    let short: Vec<Node> = match node.get("tmpfs") {
        Some(it) if it.as_str().is_some() => vec![it.clone()],
        _ => items(node, "tmpfs").to_vec(),
    };
    let volumes = items(node, "volumes").iter().filter_map(one);
    volumes.chain(short.iter().filter_map(tmpfs)).collect()
}

/// Where compose puts the service's own `secrets` and `configs`.
fn own_files(node: &Node) -> Vec<String> {
    let target = |it: &Node, root: &str| {
        let name = it
            .get("target")
            .or(it.get("source"))
            .unwrap_or(it)
            .as_str()?;
        Some(if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("{root}/{name}")
        })
    };
    let secrets = items(node, "secrets")
        .iter()
        .filter_map(|it| target(it, SECRETS));
    let configs = items(node, "configs")
        .iter()
        .filter_map(|it| target(it, ""));
    secrets.chain(configs).collect()
}

fn items<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    match node.get(key).map(|n| &n.value) {
        Some(Value::List(all)) => all,
        _ => &[],
    }
}

fn flag(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|n| n.value == Value::Bool(true))
}

fn duration(node: &Node, key: &str) -> Option<Duration> {
    parse_duration(node.get(key)?.as_str()?)
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(it) => Some(it.to_string()),
        _ => None,
    }
}
