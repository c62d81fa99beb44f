//! `locket.*` labels: what a service's `x-locket` says, for containers that compose did not make, or files that nobody may
//! extend. `x-locket` wins; see docs/reference/labels.md.
//!
//! People write words (`locket.secrets`, …); programs write all of it into one label, `locket.spec`.

mod said;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use crate::compose::{Scope, env_variable, on_change, secret, secrets, service_path, template};
use crate::diag::{Code, Diagnostic, Place};
use crate::id::{ProjectName, SecretName, ServiceName};
use crate::names::{is_local, suggest};
use crate::read::{Cursor, Reading};
use crate::spec::{
    EnvGrant, FileGrant, FileMode, OnChange, Origin, ProjectSpec, SecretSpec, ServiceSpec,
    TemplateGrant,
};
use crate::template::is_name;
use crate::yaml::{self, Entry, Node, Tag, Value};

pub use said::{Labelled, Said, conflicts, empty, said};
pub use write::write;

/// What all of our labels begin with.
pub const PREFIX: &str = "locket.";

/// Labels of our own objects; on a service they are refused.
pub const RESERVED: [&str; 4] = [
    "locket.name",
    "locket.project",
    "locket.role",
    "locket.version",
];

/// The name under which a container is looked after that compose did not make. It makes it one of ours.
pub const NAME: &str = "locket.name";

/// All that a service asks for, as [`write`] writes it. Beside it no other label says anything.
pub const SPEC: &str = "locket.spec";

/// The key of a compose file under which services are.
const SPEC_SERVICES: &str = "services";

/// What the project of a container begins with that compose did not make. Compose allows no dot in a project's name.
const RUN: &str = "run.";

/// The project of a container with this [`NAME`]; it is the project's only service. `None` if that cannot be its name.
pub fn project_of(name: &str) -> Option<ProjectName> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (begins && is_local(name) && name.len() <= 64).then(|| format!("{RUN}{name}").into())
}

/// The [`NAME`] of the containers of a project that is none of compose's.
pub fn name_of(project: &ProjectName) -> Option<&str> {
    let name = project.as_str().strip_prefix(RUN)?;
    project_of(name).map(|_| name)
}

const WHOLE: [&str; 3] = ["locket.on_change", "locket.path", "locket.secrets"];
const BEGINS: [&str; 3] = ["locket.env.", "locket.secret.", "locket.template."];

/// True for a label that asks for something. What else begins as ours do may be somebody's own, and makes nobody ours.
pub fn asks(label: &str) -> bool {
    let begins = |it: &&str| label.starts_with(it);
    label == SPEC || WHOLE.contains(&label) || BEGINS.iter().any(begins)
}

/// What the labels of one service say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Labels {
    /// `locket.path`.
    pub path: Option<String>,
    /// `locket.secrets`.
    pub secrets: Vec<FileGrant>,
    /// `locket.env.<NAME>`.
    pub env: BTreeMap<String, EnvGrant>,
    /// `locket.template.<target>`.
    pub templates: Vec<TemplateGrant>,
    /// `locket.on_change`.
    pub on_change: Option<OnChange>,
    /// `locket.secret.<name>`: entries of the project's catalogue.
    pub catalogue: BTreeMap<SecretName, SecretSpec>,
    /// Where they are.
    pub origin: Origin,
}

/// A label that says something else than `x-locket`, which wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The service with the label.
    pub service: ServiceName,
    /// The label.
    pub label: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the label {} of {} says something else than x-locket, which wins",
            self.label, self.service
        )
    }
}

/// Reads the labels of a container; those of others are passed over. `sources` are the names of the project's sources.
///
/// Problems have the file `label <name>` and no line.
pub fn read<'a>(
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    sources: &[&str],
) -> (Labels, Vec<Diagnostic>) {
    let none = |value| Node {
        value,
        defined: 0..0,
        used: 0..0,
        tag: Tag::None,
    };
    let entry = |(key, text): (&str, &str)| Entry {
        key: Some(key.to_owned()),
        at: 0..0,
        node: none(Value::Str(text.to_owned())),
    };
    let node = none(Value::Map(labels.into_iter().map(entry).collect()));
    let reading = Reading::plain(&[]);
    let scope = Scope {
        sources: sources.iter().map(|s| (*s).to_owned()).collect(),
        read_template: &|_| Err("a label cannot name a file".to_owned()),
    };
    let at = Cursor::new(
        &reading,
        &node,
        Vec::new(),
        Place::from(Origin {
            file: "label".into(),
            ..Origin::default()
        }),
    );
    let found = read_at(&at, &scope);
    (found, reading.problems())
}

/// Reads a mapping of labels.
pub(crate) fn read_at(all: &Cursor<'_>, scope: &Scope<'_>) -> Labels {
    let mut out = Labels {
        origin: all.origin(),
        ..Labels::default()
    };
    for (label, it) in all.entries() {
        let it = it.named_by_label(label);
        if !label.starts_with(PREFIX) {
            continue;
        }
        let rest = |prefix: &str| label.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        if RESERVED.contains(&label) {
            it.say(it.problem(Code::Reserved, format!("the label {label} is locket's own")));
        } else if label == SPEC {
            // Generated from what is read here.
        } else if label == "locket.path" {
            out.path = service_path(&it);
        } else if label == "locket.secrets" {
            out.secrets = structured(&it, |it| secrets(it, scope));
        } else if label == "locket.on_change" {
            out.on_change = structured(&it, |it| on_change(it).into_iter().collect()).pop();
        } else if let Some(name) = rest("locket.env.") {
            out.env
                .extend(env_variable(&it, scope).map(|grant| (name.to_owned(), grant)));
        } else if let Some(target) = rest("locket.template.") {
            let content = it.own_text().and_then(|text| template(&it, text, scope));
            let grant = |content| TemplateGrant {
                content,
                source: None,
                target: target.to_owned(),
                file: FileMode::default(),
                origin: it.origin(),
            };
            out.templates.extend(content.map(grant));
        } else if let Some(name) = rest("locket.secret.") {
            if is_name(name) {
                out.catalogue
                    .extend(secret(&it, scope).map(|s| (SecretName::from(name), s)));
            } else {
                it.say(it.problem(
                    Code::InvalidValue,
                    "the label's end cannot be the name of a secret",
                ));
            }
        } else {
            let bare = BEGINS
                .contains(&label)
                .then(|| "write a name after the last dot".to_owned());
            let help = bare.or_else(|| suggest(label, WHOLE.into_iter().chain(BEGINS)));
            it.say(
                it.problem(Code::UnknownLabel, format!("there is no label {label}"))
                    .maybe_help(help),
            );
        }
    }
    out
}

/// Reads a label that is a list or a mapping in YAML, or names with commas between them, or a word.
fn structured<T>(at: &Cursor<'_>, read: impl Fn(&Cursor<'_>) -> Vec<T>) -> Vec<T> {
    let Some(text) = at.own_text() else {
        return Vec::new();
    };
    let node = if text.trim_start().starts_with(['[', '{']) {
        match yaml::document(text) {
            Ok(node) => node,
            Err(e) => {
                at.say(at.problem(Code::Syntax, e.message));
                return Vec::new();
            }
        }
    } else {
        let plain = |text: &str| Node {
            value: Value::Str(text.to_owned()),
            defined: 0..0,
            used: 0..0,
            tag: Tag::None,
        };
        match at.name.trim_matches('`') {
            "locket.secrets" => {
                let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
                Node {
                    value: Value::List(names.map(plain).collect()),
                    ..plain("")
                }
            }
            _ => plain(text.trim()),
        }
    };
    // The text was judged as a whole, and all of it has the label's place.
    let reading = Reading::plain(&[]);
    let found = read(
        &Cursor::new(&reading, &node, Vec::new(), at.place())
            .named_by_label(at.name.trim_matches('`')),
    );
    reading.problems().into_iter().for_each(|it| at.say(it));
    found
}

/// Adds what the labels of a service say to what its project says. Where both say something, `x-locket` stays.
pub fn merge(spec: &mut ProjectSpec, service: &ServiceName, labels: Labels) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let mut conflict = |label: String| {
        conflicts.push(Conflict {
            service: service.clone(),
            label,
        })
    };
    for (name, entry) in labels.catalogue {
        match spec.secrets.get(&name) {
            None => drop(spec.secrets.insert(name, entry)),
            Some(own) if own.reference == entry.reference && own.fields == entry.fields => {}
            Some(_) => conflict(format!("locket.secret.{name}")),
        }
    }
    if labels.path.is_none()
        && labels.secrets.is_empty()
        && labels.env.is_empty()
        && labels.templates.is_empty()
        && labels.on_change.is_none()
    {
        return conflicts;
    }
    let own = spec
        .services
        .entry(service.clone())
        .or_insert_with(|| ServiceSpec {
            origin: labels.origin,
            ..ServiceSpec::empty()
        });
    match labels.path {
        Some(path) if own.path == ServiceSpec::PATH => own.path = path,
        Some(path) if own.path != path => conflict("locket.path".to_owned()),
        _ => {}
    }
    for grant in labels.secrets {
        match own.secrets.iter().find(|g| g.target == grant.target) {
            None => own.secrets.push(grant),
            Some(g) if g.source == grant.source && g.file == grant.file => {}
            Some(_) => conflict("locket.secrets".to_owned()),
        }
    }
    for (name, grant) in labels.env {
        match own.env.get(&name) {
            None => drop(own.env.insert(name, grant)),
            Some(g) if g.value == grant.value && g.via == grant.via => {}
            Some(_) => conflict(format!("locket.env.{name}")),
        }
    }
    for grant in labels.templates {
        match own.templates.iter().find(|g| g.target == grant.target) {
            None => own.templates.push(grant),
            Some(g) if g.content == grant.content => {}
            Some(_) => conflict(format!("locket.template.{}", grant.target)),
        }
    }
    match (&own.on_change, labels.on_change) {
        (None, Some(it)) => own.on_change = Some(it),
        (Some(a), Some(b)) if *a != b => conflict("locket.on_change".to_owned()),
        _ => {}
    }
    conflicts
}

#[cfg(test)]
mod tests;
