//! Values in compose's own `environment:`.

use super::{looks, place, under};
use crate::diag::{Code, Diagnostic, Place};
use crate::likeness::named;
use crate::names::is_local;
use crate::read::Written;
use crate::reference::{SecretRef, source_of};
use crate::spec::ProjectSpec;
use crate::yaml::Value;

/// One variable of a service, as it is written.
pub(super) struct Variable<'a> {
    service: &'a str,
    pub name: &'a str,
    pub value: &'a str,
    /// Where the value is.
    pub place: Place,
}

/// Schemes that stand for nothing but a secret.
const SCHEMES: [&str; 4] = ["dso://", "dsofile://", "op://", "se://"];

/// All variables of all services, file by file.
pub(super) fn all<'a>(written: &[Written<'a>]) -> Vec<Variable<'a>> {
    each(written, &[&["environment"]])
}

/// Whatever has a name and a value in a service, and may not be shown.
pub(super) fn hidden<'a>(written: &[Written<'a>]) -> impl Iterator<Item = Variable<'a>> {
    let all = each(
        written,
        &[&["environment"], &["build", "args"], &["labels"]],
    );
    all.into_iter().filter(Variable::is_hidden)
}

fn each<'a>(written: &[Written<'a>], sections: &[&[&str]]) -> Vec<Variable<'a>> {
    let mut out = Vec::new();
    for root in written {
        for services in under(&[*root], "services") {
            let Value::Map(entries) = &services.node.value else {
                continue;
            };
            for entry in entries {
                let Some(service) = entry.key.as_deref() else {
                    continue;
                };
                let at =
                    |path: &&[&str]| path.iter().try_fold(&entry.node, |node, key| node.get(key));
                for node in sections.iter().filter_map(at) {
                    out.extend(of(service, Written { node, ..*root }));
                }
            }
        }
    }
    out
}

/// The variables of one `environment:`.
pub(super) fn of<'a>(service: &'a str, all: Written<'a>) -> Vec<Variable<'a>> {
    match &all.node.value {
        Value::Map(entries) => {
            let one = |e: &'a crate::yaml::Entry| {
                let raw = all.file.text.get(e.node.defined.clone())?;
                Some(Variable {
                    service,
                    name: e.key.as_deref()?,
                    value: match &e.node.value {
                        Value::Str(text) => text,
                        Value::Int(_) | Value::Float(_) => raw.trim(),
                        _ => return None,
                    },
                    place: place(&all, &e.node.defined),
                })
            };
            entries.iter().filter_map(one).collect()
        }
        _ => Vec::new(),
    }
}

impl Variable<'_> {
    /// What makes it look like a secret.
    pub fn secret(&self) -> Option<&'static str> {
        let (default, value) = (looks::default(self.value), self.literal());
        if let Some(kind) = looks::format(value) {
            return Some(kind);
        }
        let literal = looks::is_literal(self.name, value) && !self.refers(None);
        // A default is often there for a first try, and a word such as `postgres`.
        let meant = default.is_none_or(looks::is_chosen);
        (named(self.name).is_some() && literal && meant).then_some("a secret, by its name")
    }

    /// The value, or what stands in for it if it is a variable alone.
    pub fn literal(&self) -> &str {
        looks::default(self.value).unwrap_or(self.value)
    }

    /// Whether no snippet may show it: more than is worth a warning.
    fn is_hidden(&self) -> bool {
        let default = looks::default(self.value).is_some_and(|it| !it.is_empty());
        self.secret().is_some() || default && named(self.name).is_some()
    }

    pub fn problem(&self, spec: Option<&ProjectSpec>) -> Option<Diagnostic> {
        let (name, service) = (self.name, self.service);
        if self.refers(spec) {
            let message = format!(
                "`{name}` of service {service} would start as the text that stands here, which is a reference"
            );
            let it = Diagnostic::new(Code::PlainReference, self.place.clone(), message);
            return Some(it.help("move the variable to `x-locket.env` of the service"));
        }
        let kind = self.secret()?;
        let message = format!(
            "the value of `{name}` in service {service} looks like {kind}, and whoever can read this file has it"
        );
        let it = Diagnostic::new(Code::PlainSecret, self.place.clone(), message);
        Some(
            it.help(format!(
                "`docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow {}`",
                Code::PlainSecret.number()
            ))
            .mask(),
        )
    }

    /// Whether the value is a reference or a template, which mean nothing to compose.
    fn refers(&self, spec: Option<&ProjectSpec>) -> bool {
        let value = self.value.trim();
        if SCHEMES.iter().any(|it| value.starts_with(it)) {
            return true;
        }
        let inner = value
            .strip_prefix("{{")
            .and_then(|it| it.split_once("}}"))
            .map(|it| it.0.split('|').next().unwrap_or_default().trim());
        if let (Some(inner), Some(spec)) = (inner, spec) {
            return spec.secrets.contains_key(inner);
        }
        let Some(source) = source_of(value) else {
            return false;
        };
        let own = spec.is_some_and(|it| it.sources.contains_key(source));
        // What begins with a scheme of URLs is a URL.
        let known = own || matches!(source, "bao" | "bws" | "local" | "vault");
        let plain = !value[source.len() + 1..].starts_with("//");
        let Ok(reference) = value.parse::<SecretRef>() else {
            return false;
        };
        let named = match source {
            "local" => is_local(reference.path()),
            "bws" => true,
            _ => reference.field().is_some(),
        };
        known && plain && named
    }
}
