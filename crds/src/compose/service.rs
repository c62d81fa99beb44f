//! `x-locket` of one service.

use std::collections::BTreeMap;

use super::values::{
    MODE_KEYS, Scope, env_value, file_mode, on_change, operand, template, template_file,
};
use crate::diag::Code;
use crate::read::Cursor;
use crate::spec::{EnvGrant, FileGrant, FileMode, Operand, ServiceSpec, TemplateGrant, Via};
use crate::yaml::Value;

pub(super) const KEYS: [&str; 5] = ["env", "on_change", "path", "secrets", "templates"];

/// The short form, a list of secrets, or the long one.
pub(super) fn read(at: &Cursor<'_>, scope: &Scope<'_>) -> ServiceSpec {
    let mut out = ServiceSpec {
        origin: at.origin(),
        ..ServiceSpec::empty()
    };
    match at.node.value {
        Value::List(_) => out.secrets = secrets(at, scope),
        Value::Map(_) => {
            at.known(&KEYS);
            out.path = at.get("path").and_then(|it| path(&it)).unwrap_or(out.path);
            out.secrets = at
                .get("secrets")
                .map(|it| secrets(&it, scope))
                .unwrap_or_default();
            out.env = at.get("env").map(|it| env(&it, scope)).unwrap_or_default();
            let all = at.get("templates").map(|it| it.items()).unwrap_or_default();
            out.templates = all.iter().flat_map(|it| templates(it, scope)).collect();
            out.on_change = at.get("on_change").and_then(|it| on_change(&it));
        }
        _ => at.wrong("a list or a mapping"),
    }
    out
}

/// An absolute directory of the container, in its simplest spelling.
pub(crate) fn path(at: &Cursor<'_>) -> Option<String> {
    let path = at.text()?;
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    if !path.starts_with('/')
        || parts.is_empty()
        || parts.contains(&"..")
        || path.contains(char::is_control)
    {
        at.say(
            at.problem(
                Code::InvalidValue,
                "`path` is not an absolute directory of the container",
            )
            .help("write one that the service's volume is mounted at: `/run/secrets`"),
        );
        return None;
    }
    Some(format!("/{}", parts.join("/")))
}

/// A list of names, references and long grants.
pub(crate) fn secrets(at: &Cursor<'_>, scope: &Scope<'_>) -> Vec<FileGrant> {
    at.items()
        .iter()
        .filter_map(|it| secret(it, scope))
        .collect()
}

fn secret(at: &Cursor<'_>, scope: &Scope<'_>) -> Option<FileGrant> {
    let (source, target, file) = match at.node.value {
        Value::Map(_) => {
            at.known(&[&["source", "target"], &MODE_KEYS[..]].concat());
            let target = at.get("target").and_then(|it| it.text());
            let file = file_mode(at);
            (operand(&at.need("source")?, scope)?, target, file)
        }
        _ => (operand(at, scope)?, None, FileMode::default()),
    };
    let target = match (target, &source) {
        (Some(target), _) => target.to_owned(),
        (None, Operand::Name(name)) => name.to_string(),
        (None, Operand::Ref(reference)) => reference.segments().last().cloned().unwrap_or_default(),
    };
    Some(FileGrant {
        source,
        target,
        file,
        origin: at.origin(),
    })
}

fn env(at: &Cursor<'_>, scope: &Scope<'_>) -> BTreeMap<String, EnvGrant> {
    at.entries()
        .into_iter()
        .filter_map(|(name, it)| Some((name.to_owned(), variable(&it, scope)?)))
        .collect()
}

/// One variable.
pub(crate) fn variable(at: &Cursor<'_>, scope: &Scope<'_>) -> Option<EnvGrant> {
    let mut via = Via::default();
    let value = match &at.node.value {
        Value::Map(all) if all.iter().all(|e| e.key.is_some()) => {
            at.known(&["secret", "value", "via"]);
            via = at
                .get("via")
                .and_then(|it| {
                    super::values::choice(&it, [("shim", Via::Shim), ("compose", Via::Compose)])
                })
                .unwrap_or_default();
            match (at.get("value"), at.get("secret")) {
                (Some(it), None) | (None, Some(it)) => env_value(&it, scope),
                _ => {
                    at.say(at.problem(
                        Code::MissingKey,
                        format!("{} needs one of `secret` and `value`", at.name),
                    ));
                    None
                }
            }
        }
        Value::Null => {
            at.wrong("a name, a reference or a template");
            None
        }
        _ => env_value(at, scope),
    };
    Some(EnvGrant {
        value: value?,
        via,
        origin: at.origin(),
    })
}

/// One entry of `templates`: several files for a directory.
fn templates(at: &Cursor<'_>, scope: &Scope<'_>) -> Vec<TemplateGrant> {
    at.known(&[&["content", "source", "target"], &MODE_KEYS[..]].concat());
    let target = at.get("target").and_then(|it| it.text());
    let file = file_mode(at);
    let grant = |content, source, target| TemplateGrant {
        content,
        source,
        target,
        file: file.clone(),
        origin: at.origin(),
    };
    match (at.get("content"), at.get("source")) {
        (Some(content), None) => {
            let text = content
                .own_text()
                .and_then(|text| template(&content, text, scope));
            let target = target.or_else(|| at.need("target").and_then(|it| it.text()));
            text.zip(target)
                .map(|(text, target)| grant(text, None, target.to_owned()))
                .into_iter()
                .collect()
        }
        (None, Some(source)) => {
            let Some(path) = source.text() else {
                return Vec::new();
            };
            let name = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or(path);
            let target = target.unwrap_or_else(|| {
                name.strip_suffix(".tpl")
                    .or(name.strip_suffix(".tmpl"))
                    .unwrap_or(name)
            });
            let all = match (scope.read_template)(path) {
                Ok(all) => all,
                Err(e) => {
                    source.say(source.problem(
                        Code::TemplateFile,
                        format!("the template cannot be read: {e}"),
                    ));
                    return Vec::new();
                }
            };
            if all.is_empty() {
                source.say(source.problem(Code::TemplateFile, "the directory has no files"));
            }
            let one = |(relative, text): &(String, String)| {
                let under = |base: &str| {
                    if relative.is_empty() {
                        base.to_owned()
                    } else {
                        format!("{}/{relative}", base.trim_end_matches('/'))
                    }
                };
                Some(grant(
                    template_file(&source, &under(path), text, scope)?,
                    Some(under(path)),
                    under(target),
                ))
            };
            all.iter().filter_map(one).collect()
        }
        _ => {
            if matches!(at.node.value, Value::Map(_)) {
                at.say(at.problem(
                    Code::MissingKey,
                    "a template needs one of `source` and `content`",
                ));
            }
            Vec::new()
        }
    }
}
