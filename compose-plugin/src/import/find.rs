//! Which values of a project look like secrets. Nothing is decided here.

use std::collections::BTreeSet;

use locket_crds::likeness::likeness;
use locket_crds::yaml::Node;

use super::dotenv;
use super::model::{Model, Origin, Value};
use super::places::{Texts, line};

/// Something that could be moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The service that has it.
    pub service: String,
    /// The variable, or the name of a secret of compose's.
    pub name: String,
    /// It is a secret of compose's.
    pub secret: bool,
    /// Where it is written, one of the places.
    pub place: String,
    /// Why it looks like a secret.
    pub why: String,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What can be moved.
    pub candidates: Vec<Candidate>,
    /// What cannot, and why, one sentence each.
    pub notes: Vec<String>,
}

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
    for (service, it) in &model.services {
        for (name, value) in &it.environment {
            if given(service, name) {
                continue;
            }
            let written = it.written.get(name).and_then(Option::as_deref);
            let Some(why) = likeness(name, text(value))
                .map(|it| it.to_string())
                .or_else(|| part(model, written, value))
            else {
                continue;
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
                secret: false,
                place,
                why,
            });
        }
        secrets(model, texts, trees, service, &mut out);
    }
    out
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
            secret: true,
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
