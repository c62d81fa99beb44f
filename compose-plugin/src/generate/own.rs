//! The gate and `depends_on`, in the user's own file: an explicit `-f compose.yaml` loads no generated file, and then the
//! gate must be there to refuse.

use locket_crds::yaml::{Node, Value};

use super::edit::{Doc, EditError, alias, flow_with, is_own};
use super::{PROVIDER, scalar};

/// A dependency in the long form.
const STARTED: &str = "{ condition: service_started }";
/// Keys behind which a new one looks natural.
const AFTER: [&str; 3] = ["image", "build", "container_name"];

/// Whether the text defines the service.
pub fn defines(text: &str, service: &str) -> bool {
    Doc::new(text).is_ok_and(|doc| doc.find(&["services", service]).is_ok())
}

/// Whether the text has services at all.
pub fn has_services(text: &str) -> bool {
    Doc::new(text).is_ok_and(|doc| doc.find(&["services"]).is_ok())
}

/// The text with a gate of this name among its services.
///
/// # Errors
/// It has no services, or they are written in an unusual way.
pub fn with_gate(text: &str, gate: &str) -> Result<String, EditError> {
    let doc = Doc::new(text)?;
    let services = doc.find(&["services"])?;
    if services.node.get(gate).is_some() {
        return Ok(text.to_owned());
    }
    let value = format!("{{ provider: {{ type: {PROVIDER} }} }}");
    let after = doc.add_key(services, &scalar::scalar(gate), &value, &[])?;
    let there = |root: &Node| root.get("services")?.get(gate)?.get("provider").map(|_| ());
    proven(text, after, gate, there)
}

/// The text in which a service depends on the gate.
///
/// # Errors
/// It does not define the service, or does so in an unusual way.
pub fn with_dependency(text: &str, service: &str, gate: &str) -> Result<String, EditError> {
    let doc = Doc::new(text)?;
    let entry = doc.find(&["services", service])?;
    let (word, list) = (scalar::scalar(gate), format!("[{}]", scalar::scalar(gate)));
    let after = match entry.node.entry("depends_on") {
        None => doc.add_key(entry, "depends_on", &list, &AFTER)?,
        Some(it) if depends(&it.node, gate) => return Ok(text.to_owned()),
        // What comes from elsewhere belongs to others too, so the service gets a list of its own.
        Some(it) if alias(entry).is_some() || !is_own(&entry.node, it) => {
            let value =
                flow_with(&it.node, &word, (&word, STARTED)).ok_or(EditError::Unreadable)?;
            doc.add_key(entry, "depends_on", &value, &AFTER)?
        }
        Some(it) if alias(it).is_some() => {
            let value =
                flow_with(&it.node, &word, (&word, STARTED)).ok_or(EditError::Unreadable)?;
            doc.set(it, &value)?
        }
        Some(it) => match &it.node.value {
            Value::Map(_) => doc.add_key(it, &word, STARTED, &[])?,
            _ => doc.add_item(it, &word)?,
        },
    };
    proven(text, after, "depends_on", |root| {
        depends(root.get("services")?.get(service)?.get("depends_on")?, gate).then_some(())
    })
}

/// Whether a `depends_on` names the gate.
fn depends(node: &Node, gate: &str) -> bool {
    match &node.value {
        Value::List(all) => all.iter().any(|it| it.as_str() == Some(gate)),
        _ => node.get(gate).is_some(),
    }
}

/// Reads the result once more: an edit that did not do what it should, or did more, is not handed out. `key` is the one
/// that may differ: of the document, of its services, or of one of them.
pub(crate) fn proven(
    before: &str,
    after: String,
    key: &str,
    there: impl Fn(&Node) -> Option<()>,
) -> Result<String, EditError> {
    let doc = Doc::new(&after).map_err(|_| EditError::Failed)?;
    let same = others(&doc.root, key, 0) == others(&Doc::new(before)?.root, key, 0);
    if !same || there(&doc.root).is_none() {
        return Err(EditError::Failed);
    }
    Ok(after)
}

/// Everything but this key, on one line.
fn others(node: &Node, key: &str, depth: usize) -> String {
    let all = match &node.value {
        Value::Map(all) => all.as_slice(),
        // A service that had nothing may have something now.
        Value::Null if depth > 0 => &[],
        _ => return scalar::flow(node),
    };
    let rest = all.iter().filter(|e| e.key.as_deref() != Some(key));
    let one = |e: &locket_crds::yaml::Entry| {
        let name = e.key.as_deref()?;
        let inside = depth == 1 || (depth == 0 && name == "services");
        let value = if inside {
            others(&e.node, key, depth + 1)
        } else {
            scalar::flow(&e.node)
        };
        Some((scalar::scalar(name), value))
    };
    scalar::map(rest.filter_map(one))
}

#[cfg(test)]
mod tests;
