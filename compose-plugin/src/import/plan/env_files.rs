//! Lines of env files, and variables of the file that compose interpolates from.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::compose::variables_of;
use locket_crds::likeness::likeness;

use super::{Round, Variable, Work};
use crate::error::{CommandError, Result};
use crate::import::dotenv;
use crate::import::find::text;
use crate::import::model::Origin;
use crate::import::places::{EnvText, line};

impl Work<'_> {
    /// Takes the lines of env files out, but those of the file that compose interpolates from.
    pub(super) fn env_files(&mut self) -> Result<Option<Round>> {
        let mut owners = BTreeSet::new();
        for n in 0..self.texts.env.len() {
            let it = &self.texts.env[n];
            let mut gone = Vec::new();
            for setting in settings(it)? {
                let moved = it.services.iter().any(|service| {
                    self.request
                        .variables
                        .contains(&(service.clone(), setting.name.clone()))
                });
                if moved {
                    owners.extend(self.env_owners(n, &setting.name));
                    gone.push(setting);
                }
            }
            if self.texts.env[n].interpolates {
                continue;
            }
            for setting in &gone {
                let it = &self.texts.env[n];
                let written = (!setting.bare && !setting.literal)
                    .then(|| it.text.now[setting.value.clone()].to_owned());
                if !setting.literal {
                    self.note(&written, &setting.name);
                }
            }
            without(&mut self.texts.env[n].text.now, &gone);
            if let Some(stays) = self.needed_within(n, &gone)? {
                return Ok(Some(stays));
            }
        }
        Ok(self.besides(owners))
    }

    /// A variable that went out of an env file, and that another one there refers to.
    fn needed_within(&self, file: usize, gone: &[dotenv::Setting]) -> Result<Option<Round>> {
        let it = &self.texts.env[file];
        for rest in settings(it)?.iter().filter(|s| !s.literal) {
            let used = variables_of(&it.text.now[rest.value.clone()]);
            let Some(needed) = gone.iter().find(|s| used.contains(&s.name)) else {
                continue;
            };
            let why = format!("{} in {} needs it too", rest.name, it.text.name);
            let all = self.request.variables.iter().filter(|v| v.1 == needed.name);
            return Ok(Some(Round::Stays(
                all.map(|v| (v.clone(), why.clone())).collect(),
            )));
        }
        Ok(None)
    }

    /// The services that have a variable from this env file.
    fn env_owners(&self, file: usize, name: &str) -> BTreeSet<Variable> {
        let it = &self.texts.env[file];
        let has = |service: &&String| {
            let it = &self.request.model.services[*service];
            !it.written.contains_key(name)
                && it.environment.get(name).is_some_and(|it| !it.is_empty())
        };
        it.services
            .iter()
            .filter(has)
            .map(|it| (it.clone(), name.to_owned()))
            .collect()
    }

    /// Takes variables out of the file that compose interpolates from, where nothing needs them any more.
    pub(super) fn interpolated(&mut self) -> Result<Option<Round>> {
        let Some(n) = self.texts.env.iter().position(|it| it.interpolates) else {
            return Ok(None);
        };
        let trees = self.texts.trees()?;
        let mut wanted: BTreeSet<String> = self
            .taken_out
            .iter()
            .flat_map(|it| variables_of(it))
            .collect();
        let it = &self.texts.env[n];
        let all = settings(it)?.into_iter().map(|s| s.name);
        wanted.extend(all.filter(|name| self.has_own(n, name)));
        let mut done = BTreeSet::new();
        // One may need another that goes as well: what is needed still is looked at again.
        let mut needed: BTreeMap<String, String> = BTreeMap::new();
        while let Some(name) = wanted.pop_first() {
            let it = &self.texts.env[n];
            let gone: Vec<dotenv::Setting> = settings(it)?
                .into_iter()
                .filter(|s| s.name == name)
                .collect();
            let first = gone.first().filter(|_| done.insert(name.clone()));
            let Some(first) = first.filter(|_| self.has_own(n, &name) || self.is_secret(&name))
            else {
                continue;
            };
            let owners = self.env_owners(n, &name);
            if let Some((service, _)) = owners.iter().find(|it| self.request.skip.contains(it)) {
                let place = format!("{}:{}", it.text.name, line(&it.text.now, first.at.start));
                self.notes
                    .insert(format!("{name} stays in {place}: {service} keeps it"));
                continue;
            }
            let mut rest = self.texts.clone();
            without(&mut rest.env[n].text.now, &gone);
            if let Some(place) = rest.use_of(&trees, &name) {
                needed.insert(name, place);
                continue;
            }
            if let Some(round) = self.besides(owners) {
                return Ok(Some(round));
            }
            for s in gone.iter().filter(|s| !s.literal) {
                wanted.extend(variables_of(&self.texts.env[n].text.now[s.value.clone()]));
            }
            self.texts = rest;
            for (name, _) in std::mem::take(&mut needed) {
                done.remove(&name);
                wanted.insert(name);
            }
        }
        for (name, place) in needed {
            if self.has_own(n, &name) {
                let why = format!("{place} needs it too");
                let all = self.request.variables.iter().filter(|it| it.1 == name);
                return Ok(Some(Round::Stays(
                    all.map(|it| (it.clone(), why.clone())).collect(),
                )));
            }
            self.notes.insert(format!(
                "{name} stays in {}: {place} needs it too",
                self.texts.env[n].text.name
            ));
        }
        Ok(None)
    }

    /// Whether a service that has this env file has the variable from it, and loses it.
    fn has_own(&self, file: usize, name: &str) -> bool {
        let mut services = self.texts.env[file].services.iter();
        services.any(|service| {
            self.request
                .variables
                .contains(&(service.clone(), name.to_owned()))
        })
    }

    /// Whether a variable of interpolation is a secret: by its looks, or because its value is one that is moved.
    fn is_secret(&self, name: &str) -> bool {
        let model = self.request.model;
        let Some(value) = model.variables.get(name) else {
            // Another value counts, from the environment of who runs compose.
            return likeness(name, "a value").is_some();
        };
        let moved = self.request.variables.iter().any(|(service, variable)| {
            let it = model.services[service].environment.get(variable);
            it.is_some_and(|it| it.expose() == value.expose())
        });
        let secret = model.secrets.iter().any(|(of, origin)| {
            self.undefined.contains(of) && *origin == Origin::Variable(name.to_owned())
        });
        moved || secret || likeness(name, text(value)).is_some()
    }
}

fn settings(it: &EnvText) -> Result<Vec<dotenv::Setting>> {
    dotenv::settings(&it.text.now, it.raw).map_err(|line| {
        CommandError::user(format!(
            "{}:{line} is written in a way that is not edited automatically",
            it.text.name
        ))
        .hint("write it as NAME=value, or leave the variables of this file out with `--skip`")
    })
}

fn without(text: &mut String, gone: &[dotenv::Setting]) {
    for it in gone.iter().rev() {
        text.replace_range(it.at.clone(), "");
    }
}
