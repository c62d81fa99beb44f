//! Where variables and secrets of a project are written: its compose files, what they include and extend, and its env files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use locket_crds::compose::variables_of;
use locket_crds::yaml::{self, Entry, Node, Value as Yaml};

use super::aside::Aside;
use super::dotenv;
use super::model::{Model, scalar};
use crate::compose::Files;
use crate::compose::files::clean;
use crate::error::{CommandError, Result};
use crate::user_files;

/// Most files that compose files may include or extend.
const MAX_FILES: usize = 256;

/// A file of the user's, and what becomes of it.
#[derive(Clone)]
pub struct Text {
    /// Absolute.
    pub path: PathBuf,
    /// How it is named to people.
    pub name: String,
    /// As it is.
    pub before: String,
    /// As it shall be.
    pub now: String,
}

/// An env file.
#[derive(Clone)]
pub struct EnvText {
    /// The file.
    pub text: Text,
    /// `format: raw`.
    pub raw: bool,
    /// Services that have it as an `env_file`.
    pub services: BTreeSet<String>,
    /// Compose takes variables of interpolation from it.
    pub interpolates: bool,
}

/// All of them.
#[derive(Clone)]
pub struct Texts {
    /// Compose files; the project's own first, in compose's order.
    pub compose: Vec<Text>,
    /// Those whose services are the project's; others are only extended.
    roots: BTreeSet<usize>,
    /// Env files, each once.
    pub env: Vec<EnvText>,
    /// What is only looked at.
    pub aside: Vec<Aside>,
}

/// A place where a variable of a service, or a secret of compose's, is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which compose file.
    pub text: usize,
    /// The byte where the key or the item begins.
    pub at: usize,
    /// It is an item of a list.
    pub item: bool,
    /// The value as it is written, before interpolation; `None`: that of the environment.
    pub written: Option<String>,
}

impl Texts {
    /// Reads the compose files. What is remote, or named by a variable, is not at hand.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn read(files: &Files) -> Result<Self> {
        let mut out = Self {
            compose: Vec::new(),
            roots: BTreeSet::new(),
            env: Vec::new(),
            aside: Vec::new(),
        };
        for path in &files.paths {
            out.add(files, path, true)?;
        }
        let mut next = 0;
        while next < out.compose.len() && out.compose.len() < MAX_FILES {
            let from = out.compose[next].path.clone();
            let Ok(root) = yaml::document(&out.compose[next].before) else {
                next += 1;
                continue;
            };
            let dir = from.parent().unwrap_or(Path::new("/"));
            if out.roots.contains(&next) {
                for name in included(&root) {
                    out.add(files, &clean(&dir.join(name)), true)?;
                }
                out.aside.extend(Aside::of_includes(files, &root, dir));
            }
            for (_, service) in services(&root) {
                if let Some(name) = extended(service).and_then(|(file, _)| file) {
                    out.add(files, &clean(&dir.join(name)), false)?;
                }
            }
            next += 1;
        }
        let others = Aside::in_folder(files);
        let known = |it: &Aside| out.compose.iter().any(|text| text.name == it.name);
        let others: Vec<Aside> = others.into_iter().filter(|it| !known(it)).collect();
        out.aside.extend(others);
        Ok(out)
    }

    /// Adds the env files that the model names, and the one of the project.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn add_env(&mut self, files: &Files, model: &Model) -> Result<()> {
        let mut wanted: BTreeMap<PathBuf, (bool, BTreeSet<String>)> = BTreeMap::new();
        for (name, service) in &model.services {
            for it in &service.env_files {
                let entry = wanted.entry(it.path.clone()).or_default();
                entry.0 |= it.raw;
                entry.1.insert(name.clone());
            }
        }
        wanted.entry(files.env_file.clone()).or_default();
        for (path, (raw, services)) in wanted {
            // One that need not be there may be missing.
            let Some(before) = user_files::read(&path)? else {
                continue;
            };
            let text = Text {
                name: files.name(&path),
                now: before.clone(),
                before,
                path,
            };
            self.env.push(EnvText {
                interpolates: text.path == files.env_file,
                text,
                raw,
                services,
            });
        }
        Ok(())
    }

    fn add(&mut self, files: &Files, path: &Path, root: bool) -> Result<()> {
        let known = self.compose.iter().position(|it| it.path == path);
        let at = match known {
            Some(at) => at,
            None => {
                let Some(before) = user_files::read(path).or_else(|e| {
                    // Only the project's own must be readable.
                    if files.paths.iter().any(|it| it == path) {
                        Err(e)
                    } else {
                        Ok(None)
                    }
                })?
                else {
                    return Ok(());
                };
                self.compose.push(Text {
                    path: path.to_owned(),
                    name: files.name(path),
                    now: before.clone(),
                    before,
                });
                self.compose.len() - 1
            }
        };
        if root {
            self.roots.insert(at);
        }
        Ok(())
    }

    /// The trees of the compose files as they are now.
    ///
    /// # Errors
    /// One is no YAML of one document; its name.
    pub fn trees(&self) -> Result<Vec<Node>> {
        let one = |it: &Text| {
            yaml::document(&it.now)
                .map_err(|e| CommandError::user(format!("{} cannot be read", it.name)).because(e))
        };
        self.compose.iter().map(one).collect()
    }

    /// What defines a service: files, and the names that it has in them, with what it extends.
    pub fn definitions(&self, trees: &[Node], service: &str) -> Vec<(usize, String)> {
        let mut out = Vec::new();
        for at in &self.roots {
            self.define(trees, *at, service, &mut out);
        }
        out
    }

    fn define(&self, trees: &[Node], at: usize, name: &str, out: &mut Vec<(usize, String)>) {
        let Some(service) = trees[at].get("services").and_then(|all| all.get(name)) else {
            return;
        };
        if out.iter().any(|(text, of)| *text == at && of == name) {
            return;
        }
        out.push((at, name.to_owned()));
        if let Some((file, base)) = extended(service) {
            let dir = self.compose[at].path.parent().unwrap_or(Path::new("/"));
            let from = match file {
                Some(file) => {
                    let path = clean(&dir.join(file));
                    self.compose.iter().position(|it| it.path == path)
                }
                None => Some(at),
            };
            if let Some(from) = from {
                self.define(trees, from, &base, out);
            }
        }
    }

    /// Everything that a service's `environment` says about a variable.
    pub fn variable(&self, trees: &[Node], service: &str, variable: &str) -> Vec<Place> {
        let mut out = Vec::new();
        for (text, name) in self.definitions(trees, service) {
            let Some(node) = under(&trees[text], &name, "environment") else {
                continue;
            };
            match &node.value {
                Yaml::Map(all) => out.extend(
                    all.iter()
                        .filter(|e| e.key.as_deref() == Some(variable))
                        .map(|e| Place {
                            text,
                            at: e.at.start,
                            item: false,
                            written: scalar(&e.node),
                        }),
                ),
                Yaml::List(all) => out.extend(all.iter().filter_map(|it| {
                    let written = it.as_str()?;
                    let (name, value) = match written.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (written, None),
                    };
                    (name == variable).then_some(Place {
                        text,
                        at: it.defined.start,
                        item: true,
                        written: value,
                    })
                })),
                _ => {}
            }
        }
        out
    }

    /// Labels of a service whose names begin so.
    pub fn labels(&self, trees: &[Node], service: &str, prefix: &str) -> Vec<Place> {
        let mut out = Vec::new();
        for (text, name) in self.definitions(trees, service) {
            let mut add = |at: usize, item: bool, key: Option<&str>| {
                if key.is_some_and(|it| it.starts_with(prefix)) {
                    out.push(Place {
                        text,
                        at,
                        item,
                        written: None,
                    });
                }
            };
            match under(&trees[text], &name, "labels").map(|it| &it.value) {
                Some(Yaml::Map(all)) => all
                    .iter()
                    .for_each(|e| add(e.at.start, false, e.key.as_deref())),
                Some(Yaml::List(all)) => all
                    .iter()
                    .for_each(|it| add(it.defined.start, true, it.as_str())),
                _ => {}
            }
        }
        out
    }

    /// Where options of a service's provider are written, by name, and their values as they are written.
    pub fn options<'t>(&self, trees: &'t [Node], service: &str) -> Vec<(&'t Entry, Place)> {
        let mut out = Vec::new();
        for (text, name) in self.definitions(trees, service) {
            let options = under(&trees[text], &name, "provider").and_then(|it| it.get("options"));
            if let Some(Yaml::Map(all)) = options.map(|it| &it.value) {
                let place = |e: &Entry| Place {
                    text,
                    at: e.at.start,
                    item: false,
                    written: scalar(&e.node),
                };
                out.extend(all.iter().map(|e| (e, place(e))));
            }
        }
        out
    }

    /// Everything that a service's `secrets` says, by the secret's name.
    pub fn grants(&self, trees: &[Node], service: &str) -> Vec<(String, Place)> {
        let mut out = Vec::new();
        for (text, name) in self.definitions(trees, service) {
            let Some(Yaml::List(all)) = under(&trees[text], &name, "secrets").map(|it| &it.value)
            else {
                continue;
            };
            for it in all {
                let source = it.as_str().or_else(|| it.get("source")?.as_str());
                let place = Place {
                    text,
                    at: it.defined.start,
                    item: true,
                    written: None,
                };
                out.extend(source.map(|it| (it.to_owned(), place)));
            }
        }
        out
    }

    /// Where the top-level `secrets` define one.
    pub fn secret(&self, trees: &[Node], name: &str) -> Vec<Place> {
        let one = |text: &usize| {
            let at = trees[*text].get("secrets")?.entry(name)?.at.start;
            Some(Place {
                text: *text,
                at,
                item: false,
                written: None,
            })
        };
        self.roots.iter().filter_map(one).collect()
    }

    /// Where a variable of interpolation is still used: `file:line`, or the file alone.
    pub fn use_of(&self, trees: &[Node], variable: &str) -> Option<String> {
        for (text, tree) in self.compose.iter().zip(trees) {
            if let Some(at) = used_in(tree, variable) {
                return Some(format!("{}:{}", text.name, line(&text.now, at)));
            }
        }
        for it in &self.env {
            let all = dotenv::settings(&it.text.now, it.raw).unwrap_or_default();
            let uses = |s: &dotenv::Setting| {
                !s.literal && variables_of(&it.text.now[s.value.clone()]).contains(variable)
                    || s.bare && s.name == variable
            };
            if let Some(found) = all.iter().find(|s| uses(s)) {
                return Some(format!(
                    "{}:{}",
                    it.text.name,
                    line(&it.text.now, found.at.start)
                ));
            }
        }
        None
    }

    /// Where a text of one line still stands, in a comment for example: `file:line`.
    pub fn still(&self, value: &str) -> Option<String> {
        let env = self.env.iter().map(|it| &it.text);
        let all = self.compose.iter().chain(env);
        let own = all.map(|it| (&it.name, &it.now));
        let others = self.aside.iter().map(|it| (&it.name, &it.text));
        own.chain(others).find_map(|(name, text)| {
            let at = text.find(value)?;
            Some(format!("{name}:{}", line(text, at)))
        })
    }

    /// The variables that compose could take from the project's file and cannot any more.
    pub fn gone(&self) -> BTreeSet<String> {
        let names = |text: &str, raw| -> BTreeSet<String> {
            let all = dotenv::settings(text, raw).unwrap_or_default();
            all.into_iter().map(|it| it.name).collect()
        };
        let env = self.env.iter().filter(|it| it.interpolates);
        env.flat_map(|it| &names(&it.text.before, it.raw) - &names(&it.text.now, it.raw))
            .collect()
    }

    /// How a place is shown.
    pub fn shown(&self, place: &Place) -> String {
        let text = &self.compose[place.text];
        format!("{}:{}", text.name, line(&text.before, place.at))
    }
}

/// The line of a byte, from 1.
pub fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

fn under<'a>(tree: &'a Node, service: &str, key: &str) -> Option<&'a Node> {
    tree.get("services")?.get(service)?.get(key)
}

fn services(root: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let all = match root.get("services").map(|it| &it.value) {
        Some(Yaml::Map(all)) => all.as_slice(),
        _ => &[],
    };
    all.iter()
        .filter_map(|e| Some((e.key.as_deref()?, &e.node)))
}

fn included(root: &Node) -> Vec<String> {
    let Some(Yaml::List(all)) = root.get("include").map(|it| &it.value) else {
        return Vec::new();
    };
    let one = |it: &Node| match &it.get("path").unwrap_or(it).value {
        Yaml::Str(path) => vec![path.clone()],
        Yaml::List(all) => all
            .iter()
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    all.iter().flat_map(one).collect()
}

/// The file, if it is another, and the service that one extends.
fn extended(service: &Node) -> Option<(Option<String>, String)> {
    let it = service.get("extends")?;
    match it.as_str() {
        Some(name) => Some((None, name.to_owned())),
        None => {
            let file = it.get("file").and_then(Node::as_str).map(str::to_owned);
            Some((file, it.get("service")?.as_str()?.to_owned()))
        }
    }
}

/// A scalar that refers to the variable, or that is its name alone, as in `environment: [NAME]` and `secrets: { x: { environment: NAME } }`.
fn used_in(node: &Node, variable: &str) -> Option<usize> {
    match &node.value {
        Yaml::Str(text) => {
            let used = text == variable || variables_of(text).contains(variable);
            used.then_some(node.used.start)
        }
        Yaml::List(all) => all.iter().find_map(|it| used_in(it, variable)),
        Yaml::Map(all) => all.iter().find_map(|e| {
            let key = e.key.as_deref().unwrap_or_default();
            let passed = key == variable && e.node.value == Yaml::Null;
            let used = passed || variables_of(key).contains(variable);
            used.then_some(e.at.start)
                .or_else(|| used_in(&e.node, variable))
        }),
        _ => None,
    }
}
