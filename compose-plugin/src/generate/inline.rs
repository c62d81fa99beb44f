//! The additions as edits of the user's own file, for those who want no second file (`generate --inline`).

use locket_crds::yaml::{Node, Value};

use super::edit::{Doc, EditError, alias, flow_with, is_own};
use super::own::proven;
use super::scalar::scalar;
use super::{INIT, Service, document, volume_of};

const AFTER: [&str; 4] = ["depends_on", "image", "build", "container_name"];

/// The text in which a service has all that it needs. What is there already stays.
///
/// # Errors
/// It does not define the service, or does so in an unusual way.
pub fn with_service(text: &str, name: &str, it: &Service) -> Result<String, EditError> {
    let mut text = text.to_owned();
    // Each goes to the top, so the last one comes first.
    for (target, mount) in [it.path.as_str(), INIT]
        .into_iter()
        .zip(document::mounts(name, it).into_iter().rev())
    {
        text = with_mount(&text, name, target, &mount)?;
    }
    if let Some(check) = &it.check {
        text = with_check(&text, name, &document::test(check))?;
    }
    if let Some(shim) = &it.shim {
        text = with_variable(&text, name, &document::shim_value(shim))?;
    }
    text = with_key(&text, name, "init", "true", |node| {
        node.value == Value::Bool(true)
    })?;
    with_volumes(&text, name)
}

/// Sets a key of a service.
fn with_key(
    text: &str,
    name: &str,
    key: &str,
    value: &str,
    there: impl Fn(&Node) -> bool,
) -> Result<String, EditError> {
    let doc = Doc::new(text)?;
    let service = doc.find(&["services", name])?;
    let after = match service.node.entry(key) {
        Some(it) if there(&it.node) => return Ok(text.to_owned()),
        Some(it) if alias(service).is_none() && is_own(&service.node, it) => doc.set(it, value)?,
        _ => doc.add_key(service, key, value, &AFTER)?,
    };
    proven(text, after, key, |root| {
        there(root.get("services")?.get(name)?.get(key)?).then_some(())
    })
}

fn with_mount(text: &str, name: &str, target: &str, mount: &str) -> Result<String, EditError> {
    let mounted = |node: &Node| match &node.value {
        Value::List(all) => all
            .iter()
            .any(|it| it.get("target").and_then(Node::as_str) == Some(target)),
        _ => false,
    };
    let doc = Doc::new(text)?;
    let service = doc.find(&["services", name])?;
    let after = match service.node.entry("volumes") {
        Some(it) if mounted(&it.node) => return Ok(text.to_owned()),
        None => doc.add_list(service, "volumes", &[mount.to_owned()], &AFTER)?,
        Some(it) if alias(service).is_some() || !is_own(&service.node, it) => {
            let value = flow_with(&it.node, mount, ("", "")).ok_or(EditError::Unreadable)?;
            doc.add_key(service, "volumes", &value, &AFTER)?
        }
        Some(it) if alias(it).is_some() => doc.set(
            it,
            &flow_with(&it.node, mount, ("", "")).ok_or(EditError::Unreadable)?,
        )?,
        Some(it) => doc.add_item(it, mount)?,
    };
    proven(text, after, "volumes", |root| {
        mounted(root.get("services")?.get(name)?.get("volumes")?).then_some(())
    })
}

fn with_variable(text: &str, name: &str, value: &str) -> Result<String, EditError> {
    const NAME: &str = "LOCKET_SHIM";
    let set = |node: &Node| match &node.value {
        Value::List(all) => all
            .iter()
            .filter_map(Node::as_str)
            .any(|it| it.starts_with("LOCKET_SHIM=")),
        _ => node.get(NAME).is_some(),
    };
    let doc = Doc::new(text)?;
    let service = doc.find(&["services", name])?;
    let bare = value.trim_matches('"');
    let item = scalar(&format!("{NAME}={bare}"));
    let after = match service.node.entry("environment") {
        Some(it) if set(&it.node) => return Ok(text.to_owned()),
        None => doc.add_key(
            service,
            "environment",
            &format!("{{ {NAME}: {value} }}"),
            &AFTER,
        )?,
        Some(it) if alias(service).is_some() || !is_own(&service.node, it) => {
            let value = flow_with(&it.node, &item, (NAME, value)).ok_or(EditError::Unreadable)?;
            doc.add_key(service, "environment", &value, &AFTER)?
        }
        Some(it) if alias(it).is_some() => doc.set(
            it,
            &flow_with(&it.node, &item, (NAME, value)).ok_or(EditError::Unreadable)?,
        )?,
        Some(it) => match &it.node.value {
            Value::Map(_) => doc.add_key(it, NAME, value, &[])?,
            _ => doc.add_item(it, &item)?,
        },
    };
    proven(text, after, "environment", |root| {
        set(root.get("services")?.get(name)?.get("environment")?).then_some(())
    })
}

fn with_check(text: &str, name: &str, test: &str) -> Result<String, EditError> {
    let wrapped = |node: &Node| match &node.value {
        Value::List(all) => all.iter().filter_map(Node::as_str).any(|it| it == INIT),
        _ => false,
    };
    let doc = Doc::new(text)?;
    let service = doc.find(&["services", name])?;
    let after = match service.node.entry("healthcheck") {
        None => doc.add_key(
            service,
            "healthcheck",
            &format!("{{ test: {test} }}"),
            &AFTER,
        )?,
        Some(it) => {
            let foreign =
                alias(service).is_some() || !is_own(&service.node, it) || alias(it).is_some();
            match it.node.entry("test") {
                Some(own) if wrapped(&own.node) => return Ok(text.to_owned()),
                // Its interval and the like stay; all of it is written out, because it came from elsewhere.
                _ if foreign => {
                    let Value::Map(all) = &it.node.value else {
                        return Err(EditError::Unreadable);
                    };
                    let others = all.iter().filter(|e| e.key.as_deref() != Some("test"));
                    let others = others.filter_map(|e| {
                        Some((scalar(e.key.as_deref()?), super::scalar::flow(&e.node)))
                    });
                    let value = super::scalar::map(
                        std::iter::once(("test".to_owned(), test.to_owned())).chain(others),
                    );
                    match alias(service).is_none() && is_own(&service.node, it) {
                        true => doc.set(it, &value)?,
                        false => doc.add_key(service, "healthcheck", &value, &AFTER)?,
                    }
                }
                Some(own) => doc.set(own, test)?,
                None => doc.add_key(it, "test", test, &[])?,
            }
        }
    };
    proven(text, after, "healthcheck", |root| {
        wrapped(
            root.get("services")?
                .get(name)?
                .get("healthcheck")?
                .get("test")?,
        )
        .then_some(())
    })
}

/// The top-level volumes that a service needs.
fn with_volumes(text: &str, name: &str) -> Result<String, EditError> {
    let mut text = text.to_owned();
    let name = name.to_owned();
    for (key, value) in document::volumes(std::iter::once(&name), document::Program::OfProject)
        .into_iter()
        .rev()
    {
        let plain = if key == scalar(&volume_of(&name)) {
            volume_of(&name)
        } else {
            key.clone()
        };
        let doc = Doc::new(&text)?;
        let after = match doc.root.entry("volumes") {
            Some(it) if it.node.get(&plain).is_some() => continue,
            Some(it) => doc.add_key(it, &key, &value, &[])?,
            None => {
                let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
                let gap = if text.is_empty() || text.ends_with('\n') {
                    ""
                } else {
                    eol
                };
                format!("{text}{gap}volumes:{eol}  {key}: {value}{eol}")
            }
        };
        text = proven(&text, after, "volumes", |root| {
            root.get("volumes")?.get(&plain).map(|_| ())
        })?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
