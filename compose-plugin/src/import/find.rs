//! Which values of a project look like secrets. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::compose::variables_of;
use locket_crds::likeness::likeness;
use locket_crds::yaml::Node;

use super::dotenv;
use super::model::{Model, Origin, Service, Value};
use super::peer::{self, Provider};
use super::places::{Texts, line};
use super::reference::{Foreign, Tool, foreign};

/// What a candidate is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A variable with a value.
    Value,
    /// A secret of compose's.
    Secret,
    /// A variable with a reference of another tool.
    Reference(Tool),
    /// A variable that this provider service of the other locket gives.
    Provided(String),
}

/// Something that could be moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The service that has it.
    pub service: String,
    /// The variable, or the name of a secret of compose's.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it is written, one of the places.
    pub place: String,
    /// Why it looks like a secret.
    pub why: String,
}

impl Candidate {
    /// Whether its value is at hand, and must not be shown.
    pub fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Value | Kind::Secret)
    }
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What can be moved.
    pub candidates: Vec<Candidate>,
    /// What cannot, and why, one sentence each.
    pub notes: Vec<String>,
    /// Provider services of the other locket.
    pub providers: BTreeMap<String, Provider>,
    /// DSO has something in the project that cannot be moved, so its labels stay.
    pub dso_stays: bool,
}

impl Found {
    /// The provider services that are taken over: those of which nothing is left out. `notes`: why others are not.
    pub fn taken_over(
        &self,
        skipped: &BTreeSet<usize>,
        notes: &mut Vec<String>,
    ) -> BTreeMap<String, Provider> {
        let mut out = self.providers.clone();
        for it in skipped.iter().map(|n| &self.candidates[*n]) {
            if let Kind::Provided(of) = &it.kind
                && out.remove(of).is_some()
            {
                notes.push(format!(
                    "the provider service {of} stays as it is, because {} of {} does",
                    it.name, it.service
                ));
            }
        }
        out
    }

    /// Whether the labels of DSO go: nothing of it is left then. `notes`: that they stay because of what is left out.
    pub fn frees_labels(&self, skipped: &BTreeSet<usize>, notes: &mut Vec<String>) -> bool {
        let all = self.candidates.iter().enumerate();
        let dso = all.filter(|(_, it)| it.kind == Kind::Reference(Tool::Dso));
        let (left, moved): (Vec<_>, Vec<_>) = dso.partition(|(n, _)| skipped.contains(n));
        if !left.is_empty() && !moved.is_empty() {
            notes.push(LABELS_STAY.to_owned());
        }
        left.is_empty() && !moved.is_empty() && !self.dso_stays
    }
}

/// Why labels stay.
pub const LABELS_STAY: &str = "the labels of DSO stay, because a secret of DSO's does";

/// The text of a value, if it is one.
pub fn text(value: &Value) -> &str {
    std::str::from_utf8(value.expose()).unwrap_or_default()
}

/// Looks at every service. `given`: variables that x-locket gives it already, and the path of its volume.
pub fn find(
    model: &Model,
    texts: &Texts,
    trees: &[Node],
    given: &dyn Fn(&str, &str) -> bool,
) -> Found {
    let mut out = Found::default();
    // Those of a container that goes go with it.
    let stays = |(_, it): &(&String, &Service)| !peer::is_sidecar(it);
    for (service, it) in model.services.iter().filter(stays) {
        for (name, value) in &it.environment {
            if given(service, name) {
                continue;
            }
            let written = it.written.get(name).and_then(Option::as_deref);
            let (kind, why) = match refers(it, name, value) {
                Some(Ok(tool)) => (Kind::Reference(tool), format!("a reference of {tool}")),
                Some(Err(why)) => {
                    out.notes.push(format!("{name} of {service} stays: {why}"));
                    out.dso_stays |= text(value).trim().starts_with("dso");
                    continue;
                }
                None => {
                    let Some(why) = likeness(name, text(value))
                        .map(|it| it.to_string())
                        .or_else(|| part(model, written, value))
                    else {
                        continue;
                    };
                    (Kind::Value, why)
                }
            };
            let Some(place) = place(texts, trees, service, name) else {
                out.notes.push(format!(
                    "{name} of {service} looks like a secret, and is written in no file that is here"
                ));
                continue;
            };
            out.candidates.push(Candidate {
                service: service.clone(),
                name: name.clone(),
                kind,
                place,
                why,
            });
        }
        secrets(model, texts, trees, service, &mut out);
    }
    provided(model, texts, trees, given, &mut out);
    dso(model, &mut out);
    out
}

/// Whether a variable is a reference that can be moved; why it cannot.
fn refers(it: &Service, name: &str, value: &Value) -> Option<Result<Tool, String>> {
    let found = match foreign(text(value))? {
        Ok(it) => it,
        Err(why) => return Some(Err(format!("it is a reference of another tool, but {why}"))),
    };
    let written = it.written.get(name).and_then(Option::as_deref);
    // What compose puts into the text may be a value, and changes without anybody looking here.
    let fixed = written.is_some_and(|it| variables_of(it).is_empty());
    Some(match found.unreadable() {
        Some(kind) => Err(format!(
            "it is a reference of {}, and this version cannot read from {kind} yet",
            found.tool()
        )),
        None if !fixed && !found.is_whole() => Err(
            "there is more in it than references, from variables of compose's or an env file"
                .to_owned(),
        ),
        None => Ok(found.tool()),
    })
}

/// What provider services of the other locket give.
fn provided(
    model: &Model,
    texts: &Texts,
    trees: &[Node],
    given: &dyn Fn(&str, &str) -> bool,
    out: &mut Found,
) {
    let (providers, notes) = peer::providers(model, texts, trees);
    out.notes.extend(notes);
    for (name, it) in &providers {
        for service in &it.dependants {
            for variable in it.env.keys().filter(|variable| !given(service, variable)) {
                out.candidates.push(Candidate {
                    service: service.clone(),
                    name: variable.clone(),
                    kind: Kind::Provided(name.clone()),
                    place: it.place.clone(),
                    why: format!("a reference of {}, given by {name}", Tool::Locket),
                });
            }
        }
    }
    out.providers = providers;
}

/// What only the files of DSO know.
fn dso(model: &Model, out: &mut Found) {
    for (name, _) in model
        .services
        .iter()
        .filter(|(_, it)| peer::has_mappings(it))
    {
        out.dso_stays = true;
        out.notes.push(format!(
            "{name} has secrets that only dso.yaml names: docs/guides/migrating.md tells how they move"
        ));
    }
}

/// The reference of a variable of a service, whoever's it is.
pub fn reference(it: &Service, name: &str) -> Option<Foreign> {
    foreign(text(it.environment.get(name)?))?.ok()
}

/// A value that a secret variable is a part of.
fn part(model: &Model, written: Option<&str>, value: &Value) -> Option<String> {
    let (before, name, after) = dotenv::single(written?)?;
    if before.is_empty() && after.is_empty() || value.is_empty() {
        return None;
    }
    likeness(name, text(model.variables.get(name)?))?;
    Some(format!("{name} is a part of it"))
}

/// One place of a variable, as people are told.
fn place(texts: &Texts, trees: &[Node], service: &str, name: &str) -> Option<String> {
    if let Some(found) = texts.variable(trees, service, name).last() {
        return Some(texts.shown(found));
    }
    let files = texts
        .env
        .iter()
        .rev()
        .filter(|it| it.services.contains(service));
    files
        .filter_map(|it| {
            let all = dotenv::settings(&it.text.before, it.raw).ok()?;
            let found = all.iter().rfind(|s| s.name == name)?;
            Some(format!(
                "{}:{}",
                it.text.name,
                line(&it.text.before, found.at.start)
            ))
        })
        .next()
}

/// Compose's own secrets of a service: all of them, or none, because ours are mounted in their place.
fn secrets(model: &Model, texts: &Texts, trees: &[Node], service: &str, out: &mut Found) {
    let it = &model.services[service];
    let written = texts.grants(trees, service);
    let mut all = Vec::new();
    let mut stays = BTreeSet::new();
    for grant in &it.secrets {
        let name = &grant.source;
        let place = written
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, it)| texts.shown(it));
        let origin = model.secrets.get(name);
        let why_not = match (origin, grant.below(), &place) {
            (_, None, _) => Some("is mounted outside of /run/secrets"),
            (_, _, None) => Some("is written in no file that is here"),
            (None | Some(Origin::Elsewhere), ..) => Some("has no value here"),
            (Some(Origin::Variable(variable)), ..)
                if model.variables.get(variable).is_none_or(|it| it.is_empty()) =>
            {
                Some("is empty")
            }
            _ => None,
        };
        if let Some(why) = why_not {
            stays.insert(format!("the secret {name} of {service} {why}"));
        }
        let why = match origin {
            Some(Origin::Variable(variable)) => format!("compose's secret, from {variable}"),
            _ => "compose's secret, a file".to_owned(),
        };
        all.push(Candidate {
            service: service.to_owned(),
            name: name.clone(),
            kind: Kind::Secret,
            place: place.unwrap_or_default(),
            why,
        });
    }
    if stays.is_empty() {
        out.candidates.extend(all);
    } else {
        let all: Vec<String> = stays.into_iter().collect();
        out.notes.push(format!(
            "{}: compose's secrets of {service} stay as they are",
            all.join(", ")
        ));
    }
}
