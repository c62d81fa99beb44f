//! What other tools have left in the files and nobody needs any more: options of their provider services, labels, paths of
//! their files.

use std::collections::{BTreeMap, BTreeSet};

use super::{ROUNDS, Round, Variable, Work};
use crate::error::Result;
use crate::import::edit::Edits;
use crate::import::names;
use crate::import::peer::{DSO, OURS};
use crate::import::reference::Foreign;

impl Work<'_> {
    /// A variable that shall become the path of a file, where its place does not allow it; or a path that others with the same
    /// line would have elsewhere.
    pub(super) fn no_file(&self) -> Option<Round> {
        let is_path = |it: &Variable| {
            matches!(
                self.request.refers(it),
                Some(Foreign::Dso { file: true, .. })
            )
        };
        let all = self.request.variables.iter().filter(|it| is_path(it));
        let mut stays = Vec::new();
        for variable in all {
            let path = |it: &Variable| self.file_path(&it.0, &it.1);
            let why = match self.files.get(variable) {
                None => "it is written in several places, or in none that is here",
                Some(place) => {
                    let same = self.files.iter().filter(|(_, it)| *it == place);
                    let paths: BTreeSet<String> = same.map(|(it, _)| path(it)).collect();
                    if paths.len() == 1 {
                        continue;
                    }
                    "services with the same line would have its file in different places"
                }
            };
            stays.push((variable.clone(), why.to_owned()));
        }
        (!stays.is_empty()).then_some(Round::Stays(stays))
    }

    /// The variable that names the file.
    pub(super) fn file_variable(&self, variable: &Variable) -> String {
        match self.request.refers(variable) {
            Some(_) => variable.1.clone(),
            None => format!("{}_FILE", variable.1),
        }
    }

    /// The name of the file: DSO's path, or the variable where another file of the service is called so.
    pub(super) fn file_target(&self, service: &str, variable: &str) -> String {
        let it = (service.to_owned(), variable.to_owned());
        let Some(Foreign::Dso { path, .. }) = self.request.refers(&it) else {
            return names::kebab(variable);
        };
        let name = self.dso_hint(&path);
        let other = self.request.model.services[service]
            .environment
            .keys()
            .filter_map(|it| self.request.refers(&(service.to_owned(), it.clone())))
            .any(|it| matches!(it, Foreign::Dso { path: other, .. } if other != path && self.dso_hint(&other) == name));
        if other { names::kebab(variable) } else { name }
    }

    /// What a secret of DSO's is called: without a project that is this one.
    pub(super) fn dso_hint(&self, path: &str) -> String {
        let own = path.strip_prefix(&self.request.project);
        names::kebab(own.and_then(|it| it.strip_prefix('/')).unwrap_or(path))
    }

    /// DSO's name of a secret: of one name alone the project is compose's.
    pub(super) fn dso_name(&self, path: &str) -> String {
        match path.contains('/') {
            true => path.to_owned(),
            false => format!("{}/{path}", self.request.project),
        }
    }

    /// Whether a variable has its new value already.
    pub(super) fn is_renamed(&self, variable: &Variable) -> bool {
        let done = self
            .files
            .get(variable)
            .is_some_and(|it| it.at == usize::MAX);
        done && self.request.refers(variable).is_some()
    }

    /// Takes out what only the other tools read.
    pub(super) fn others(&mut self) -> Result<()> {
        for _ in 0..ROUNDS {
            let trees = self.texts.trees()?;
            let mut edits: BTreeMap<usize, Edits> = BTreeMap::new();
            for service in self.request.providers.keys() {
                for (entry, place) in self.texts.options(&trees, service) {
                    if !entry.key.as_deref().is_some_and(|it| OURS.contains(&it)) {
                        edits.entry(place.text).or_default().keys.insert(place.at);
                    }
                }
            }
            let services = self
                .request
                .model
                .services
                .keys()
                .filter(|_| self.request.labels);
            for place in services.flat_map(|it| self.texts.labels(&trees, it, DSO)) {
                let own = edits.entry(place.text).or_default();
                if place.item {
                    own.items.insert(place.at);
                } else {
                    own.keys.insert(place.at);
                }
            }
            if edits.is_empty() {
                break;
            }
            self.apply(edits)?;
        }
        Ok(())
    }
}
