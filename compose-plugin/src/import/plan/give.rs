//! What services are given instead of what was taken out, and under which names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use locket_crds::likeness::{format, likeness};

use super::{LEAST, Plan, Work, by_hand};
use crate::error::{CommandError, Result};
use crate::import::dotenv;
use crate::import::find::text;
use crate::import::grants::{Given, Grants};
use crate::import::model::{Grant, Origin, Value};
use crate::import::names::{self, Want};

impl Work<'_> {
    pub(super) fn finish(self, mut notes: Vec<String>) -> Result<Plan> {
        let request = self.request;
        let mut wants = Vec::new();
        let mut ways = Vec::new();
        let mut removes = BTreeSet::new();
        for (service, name) in &request.variables {
            let it = &request.model.services[service];
            let way = self.way(service, name);
            let (variable, value) = match &way {
                Way::Part {
                    variable, value, ..
                } => (variable.as_str(), Arc::clone(value)),
                Way::Whole { variable } => (variable.as_str(), Arc::clone(&it.environment[name])),
                Way::File { variable } => (variable.as_str(), Arc::clone(&it.environment[name])),
            };
            wants.push((service.as_str(), variable.to_owned(), value));
            ways.push((service, name, way));
        }
        let variables = wants.len();
        let mut grants: Vec<(&String, &Grant)> = Vec::new();
        for service in &request.secrets {
            for grant in &request.model.services[service].secrets {
                let value = match &request.model.secrets[&grant.source] {
                    Origin::File(path) => {
                        if self.undefined.contains(&grant.source) {
                            removes.insert(path.clone());
                        }
                        request.files.get(path)
                    }
                    Origin::Variable(name) => request.model.variables.get(name),
                    Origin::Elsewhere => None,
                };
                let value = value.ok_or_else(|| {
                    CommandError::internal(format!("the secret {} has no value", grant.source))
                })?;
                wants.push((service.as_str(), grant.source.clone(), Arc::clone(value)));
                grants.push((service, grant));
            }
        }
        let as_wants: Vec<Want<'_>> = wants
            .iter()
            .map(|(service, variable, value)| Want {
                service,
                variable,
                value,
            })
            .collect();
        let names = names::assign(&as_wants, &request.taken);
        let mut given = Grants::default();
        let mut added = BTreeSet::new();
        for ((service, name, way), secret) in ways.iter().zip(&names) {
            let own = given.services.entry((*service).clone()).or_default();
            match way {
                Way::Part { before, after, .. } => {
                    let text = format!("{before}{{{{ {secret} }}}}{after}");
                    own.env.insert((*name).clone(), text);
                }
                Way::Whole { .. } => drop(own.env.insert((*name).clone(), secret.clone())),
                Way::File { .. } => {
                    let target = names::kebab(name);
                    added.insert((
                        (*service).clone(),
                        format!("{name}_FILE"),
                        self.file_path(service, name),
                    ));
                    own.first_start = true;
                    own.files.push(Given {
                        source: secret.clone(),
                        target,
                        ..Given::default()
                    });
                }
            }
        }
        for ((service, grant), secret) in grants.iter().zip(&names[variables..]) {
            let own = given.services.entry((*service).clone()).or_default();
            own.files.push(Given {
                source: secret.clone(),
                target: grant.below().unwrap_or(&grant.source).to_owned(),
                mode: grant.mode.clone(),
                uid: grant.uid.clone(),
                gid: grant.gid.clone(),
            });
            own.asks = true;
        }
        for (service, own) in &mut given.services {
            own.asks |= !own.env.is_empty();
            if self.path(service) != "/run/secrets" && !request.paths.contains_key(service) {
                own.path = Some(self.path(service).to_owned());
            }
        }
        let values: BTreeMap<String, Value> = names
            .iter()
            .cloned()
            .zip(wants.into_iter().map(|(_, _, value)| value))
            .collect();
        given.secrets = values.keys().cloned().collect();
        let mut texts = self.texts;
        let first = &mut texts.compose[0];
        first.now = given
            .write(&first.now)
            .map_err(|e| by_hand(&first.name, e))?;
        let (removes, left): (Vec<PathBuf>, Vec<PathBuf>) = removes.into_iter().partition(|path| {
            let link = path.symlink_metadata().is_ok_and(|it| it.is_symlink());
            path.starts_with(&request.dir)
                && !link
                && !request.model.uses_path(&path.to_string_lossy())
        });
        notes.extend(self.notes);
        for (name, value) in &values {
            let one = Some(text(value)).filter(|it| it.len() >= LEAST && !it.contains('\n'));
            if let Some(place) = one.and_then(|it| texts.still(it)) {
                notes.push(format!("the value of {name} still stands at {place}"));
            }
        }
        notes.extend(left.iter().map(|path| {
            format!(
                "{} still holds a value, and is not only this project's: remove it yourself",
                path.display()
            )
        }));
        Ok(Plan {
            texts,
            values,
            removes,
            moved: request.variables.clone(),
            added,
            secrets: request.secrets.clone(),
            notes,
        })
    }

    /// How a variable is given.
    fn way(&self, service: &str, name: &str) -> Way {
        let it = &self.request.model.services[service];
        let written = it.written.get(name).and_then(Option::as_deref);
        let single = written.and_then(dotenv::single);
        if self
            .files
            .contains_key(&(service.to_owned(), name.to_owned()))
        {
            let variable =
                single.filter(|(before, _, after)| before.is_empty() && after.is_empty());
            let variable = variable.map_or(name, |(_, it, _)| it).to_owned();
            return Way::File { variable };
        }
        let whole = || Way::Whole {
            variable: name.to_owned(),
        };
        match single {
            Some(("", variable, "")) => Way::Whole {
                variable: variable.to_owned(),
            },
            Some((before, variable, after)) => {
                let value = text(&it.environment[name]);
                let inner = value
                    .strip_prefix(before)
                    .and_then(|it| it.strip_suffix(after));
                let known = self.request.model.variables.get(variable);
                let plain = !before.contains("{{")
                    && !after.contains("{{")
                    && format(&format!("{before}{after}")).is_none();
                match (inner, known) {
                    (Some(inner), Some(known))
                        if plain
                            && !inner.is_empty()
                            && inner.as_bytes() == known.expose()
                            && self.is_part(variable, before, inner, after) =>
                    {
                        Way::Part {
                            before: before.to_owned(),
                            variable: variable.to_owned(),
                            value: Arc::clone(known),
                            after: after.to_owned(),
                        }
                    }
                    _ => whole(),
                }
            }
            None => whole(),
        }
    }

    /// Whether the part is the secret: by its own looks, or because without it the rest is none.
    fn is_part(&self, variable: &str, before: &str, inner: &str, after: &str) -> bool {
        let all = format!("{before}{inner}{after}");
        likeness(variable, inner).is_some() || format(&all).is_some()
    }
}

/// See [`Work::way`].
enum Way {
    Part {
        before: String,
        variable: String,
        value: Value,
        after: String,
    },
    Whole {
        variable: String,
    },
    File {
        variable: String,
    },
}
