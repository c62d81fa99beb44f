//! What the labels of a project's containers say together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Labels, NAME, SPEC, merge, read, write};
use crate::compose::{ModelInput, compile};
use crate::diag::{Diagnostic, refused};
use crate::id::{ProjectName, ServiceName};
use crate::resolve::resolve;
use crate::spec::{ComposeService, Defaults, ProjectSpec};
use crate::text::Text;

/// One container of a project.
#[derive(Debug, Clone)]
pub struct Labelled<'a> {
    /// Its name.
    pub container: &'a str,
    /// The service that it belongs to.
    pub service: ServiceName,
    /// Its own labels: those that it has from its image are not among them.
    pub labels: &'a BTreeMap<String, String>,
    /// What else is known of the service.
    pub model: ComposeService,
}

/// What labels say.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// What is wanted. Services whose labels are broken are not among its services.
    pub spec: ProjectSpec,
    /// What is wrong, by service: container and label come first.
    pub broken: BTreeMap<ServiceName, String>,
}

/// Reads the labels of all containers of a project, the newest first: of several containers of one service the newest counts,
/// as does its word where services disagree about a name. `sources` are the host's.
pub fn said<'a>(
    project: &ProjectName,
    containers: impl IntoIterator<Item = Labelled<'a>>,
    sources: &[&str],
) -> Said {
    let mut out = Said {
        spec: empty(project),
        broken: BTreeMap::new(),
    };
    for it in containers {
        let (service, container) = (it.service.clone(), it.container);
        if out.spec.model.contains_key(&service) {
            continue;
        }
        out.spec.model.insert(service.clone(), it.model.clone());
        match of_container(&it, sources) {
            Ok(own) => add(&mut out.spec, own),
            Err(why) => drop(
                out.broken
                    .insert(service, format!("container {container}: {why}")),
            ),
        }
    }
    out
}

/// A project that asks for nothing.
pub fn empty(project: &ProjectName) -> ProjectSpec {
    ProjectSpec {
        version: 1,
        project: project.clone(),
        working_dir: String::new(),
        files: Vec::new(),
        defaults: Defaults::default(),
        sources: BTreeMap::new(),
        secrets: BTreeMap::new(),
        services: BTreeMap::new(),
        model: BTreeMap::new(),
    }
}

fn of_container(it: &Labelled<'_>, sources: &[&str]) -> Result<ProjectSpec, String> {
    if let Some(text) = it.labels.get(SPEC) {
        return of_text(text, &it.service);
    }
    let (found, problems) = words(it.labels, sources);
    refused(&problems)?;
    let mut spec = empty(&ProjectName::default());
    merge(&mut spec, &it.service, found);
    Ok(spec)
}

/// The labels that people write.
fn words(labels: &BTreeMap<String, String>, sources: &[&str]) -> (Labels, Vec<Diagnostic>) {
    let all = labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    read(all.filter(|(label, _)| *label != NAME), sources)
}

/// A `locket.spec`. What it says of other services is none of this container's business.
fn of_text(text: &str, service: &ServiceName) -> Result<ProjectSpec, String> {
    let file = format!("label {SPEC}");
    let input = ModelInput {
        model_yaml: text,
        sources: &[Text::new(&file, text)],
        working_dir: "/",
        read_template: &|_| Err("a label cannot name a file".to_owned()),
    };
    let (spec, problems) = compile(&input);
    refused(&problems)?;
    let mut spec = spec.ok_or_else(|| format!("{file}: it cannot be read"))?;
    spec.services.retain(|name, _| name == service);
    if spec.services.is_empty() {
        return Err(format!("{file}: it says nothing of service {service}"));
    }
    refused(&resolve(&spec).1)?;
    Ok(spec)
}

/// What is there already is newer.
fn add(spec: &mut ProjectSpec, older: ProjectSpec) {
    spec.services.extend(older.services);
    for (name, it) in older.secrets {
        spec.secrets.entry(name).or_insert(it);
    }
    for (name, it) in older.sources {
        spec.sources.entry(name).or_insert(it);
    }
    let (own, older) = (&mut spec.defaults, older.defaults);
    own.on_change = own.on_change.take().or(older.on_change);
    own.settle = own.settle.or(older.settle);
    own.restart_every = own.restart_every.or(older.restart_every);
    own.refresh = own.refresh.or(older.refresh);
}

/// What labels say that `x-locket` does not, which wins: one clause for each service.
pub fn conflicts<'a>(
    spec: &ProjectSpec,
    containers: impl IntoIterator<Item = Labelled<'a>>,
    sources: &[&str],
) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let newest = containers
        .into_iter()
        .filter(|it| seen.insert(it.service.clone()));
    let one = |it: Labelled<'_>| {
        let container = it.container;
        let other = |label: &str| {
            format!(
                "container {container}: label {label} says something else than x-locket, which wins"
            )
        };
        if let Some(text) = it.labels.get(SPEC) {
            return match of_text(text, &it.service) {
                Ok(own) if write(&own, &it.service) == write(spec, &it.service) => None,
                Ok(_) => Some(other(SPEC)),
                Err(why) => Some(format!("container {container}: {why}")),
            };
        }
        let (found, _) = words(it.labels, sources);
        let conflict = merge(&mut spec.clone(), &it.service, found)
            .into_iter()
            .next();
        conflict.map(|it| other(&it.label))
    };
    newest.filter_map(one).collect()
}

#[cfg(test)]
mod tests;
