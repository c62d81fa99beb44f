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
    proven(after, there)
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
    proven(after, |root| {
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

/// Reads the result once more: an edit that did not do what it should is not handed out.
pub(super) fn proven(
    text: String,
    there: impl Fn(&Node) -> Option<()>,
) -> Result<String, EditError> {
    let found = Doc::new(&text).ok().and_then(|doc| there(&doc.root));
    found.map(|()| text).ok_or(EditError::Unreadable)
}

#[cfg(test)]
mod tests;
