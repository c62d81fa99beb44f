//! The model from the user's files alone, without compose: includes, `extends`, several files, tags, short forms.
//!
//! Only what locket reads is made as compose makes it. Rules: <https://docs.docker.com/reference/compose-file/merge/>.

use std::collections::{BTreeMap, BTreeSet};

use super::interpolate::{Variables, interpolate};
use crate::diag::Place;
use crate::read::File;
use crate::yaml::{Entry, Node, Tag, Value};

/// Most files that include, and services that extend, one another in a row.
const DEPTH: usize = 16;

/// What is made of the files.
pub(super) struct Merged {
    pub model: Node,
    /// Variables that are not set and have no default.
    pub unset: BTreeSet<String>,
    /// The texts that such variables stand in: what they mean is not known.
    pub unsure: Vec<Place>,
    /// Files that are included or extended, and are not at hand.
    pub absent: BTreeSet<String>,
}

/// Keys of a service that are mappings, also where they are written as lists.
const MAPPINGS: [&str; 6] = [
    "annotations",
    "depends_on",
    "environment",
    "extra_hosts",
    "labels",
    "networks",
];

/// Makes the model of the files with these names.
pub(super) fn merge(files: &[File<'_>], top: &[String], variables: &Variables<'_>) -> Merged {
    let mut it = Merger {
        files: files.iter().map(|file| (file.name, file)).collect(),
        absent: BTreeSet::new(),
    };
    let names: Vec<&str> = top.iter().map(String::as_str).collect();
    let mut model = it.project(&names, DEPTH);
    let (mut unset, mut unsure) = (BTreeSet::new(), Vec::new());
    settle(&mut model, variables, &mut unset);
    for file in files {
        let mut look: Vec<&Node> = file.documents.iter().collect();
        while let Some(node) = look.pop() {
            match &node.value {
                Value::List(all) => look.extend(all),
                Value::Map(all) => look.extend(all.iter().map(|e| &e.node)),
                Value::Str(text) if !interpolate(text, variables).unset.is_empty() => {
                    unsure.push(file.lines.place(file.name, &node.defined));
                }
                _ => {}
            }
        }
    }
    Merged {
        model,
        unset,
        unsure,
        absent: it.absent,
    }
}

/// Gives the model the project's name: what is said outside of the files counts, then the files' own word.
pub(super) fn name(model: &mut Node, named: Option<&str>, otherwise: &str) {
    let own = model.get("name").and_then(Node::as_str);
    let name = named
        .or(own.filter(|it| !it.is_empty()))
        .unwrap_or(otherwise);
    let value = Value::Str(name.to_owned());
    if let Value::Map(all) = &mut model.value {
        all.retain(|e| e.key.as_deref() != Some("name"));
        all.push(Entry {
            key: Some("name".to_owned()),
            at: 0..0,
            node: Node { value, ..empty() },
        });
    }
}

struct Merger<'a> {
    files: BTreeMap<&'a str, &'a File<'a>>,
    absent: BTreeSet<String>,
}

impl<'a> Merger<'a> {
    /// Several files as one model, what they include below it.
    fn project(&mut self, names: &[&str], depth: usize) -> Node {
        let (mut included, mut own) = (empty(), empty());
        for name in names {
            let Some(file) = self.files.get(name).copied() else {
                continue;
            };
            for document in file.documents {
                for paths in includes(document) {
                    let found: Vec<&str> = paths
                        .iter()
                        .filter_map(|path| self.find(file, path))
                        .collect();
                    if depth == 0 || found.is_empty() {
                        continue;
                    }
                    let mut more = self.project(&found, depth - 1);
                    if let Value::Map(all) = &mut more.value {
                        // Compose takes services and what they use, and nothing of the top level's own words.
                        all.retain(|e| {
                            e.key
                                .as_deref()
                                .is_some_and(|key| !key.starts_with("x-") && key != "name")
                        });
                    }
                    included = merged(included, more, &mut Vec::new());
                }
                let mut document = document.clone();
                if let Some(services) = document.get_mut("services")
                    && let Value::Map(all) = &mut services.value
                {
                    for e in all {
                        if let Some(name) = &e.key {
                            e.node = self.service(file, name, &e.node, DEPTH);
                        }
                    }
                }
                own = merged(own, document, &mut Vec::new());
            }
        }
        merged(included, own, &mut Vec::new())
    }

    /// The file that another one names, by the name that it has here.
    fn find(&mut self, from: &File<'_>, path: &str) -> Option<&'a str> {
        let name = beside(from.name, path);
        let found = self.files.get_key_value(name.as_str()).map(|it| *it.0);
        if found.is_none() {
            self.absent.insert(path.to_owned());
        }
        found
    }

    /// A service of one document of a file, with what it extends below it.
    fn service(&mut self, file: &File<'a>, name: &str, own: &Node, depth: usize) -> Node {
        let mut own = own.clone();
        long(&mut own);
        let Some(extends) = own.get("extends").cloned().filter(|_| depth > 0) else {
            return own;
        };
        let named = extends.get("service").and_then(Node::as_str);
        let Some(base) = extends.as_str().or(named) else {
            return own;
        };
        let from = match extends.get("file").and_then(Node::as_str) {
            Some(path) => {
                let name = self.find(file, path);
                name.and_then(|name| self.files.get(name).copied())
            }
            None => Some(file),
        };
        let found = from.and_then(|from| {
            let mut all = from.documents.iter();
            let it = all.find_map(|it| it.get("services")?.get(base))?;
            Some(self.service(from, base, it, depth - 1))
        });
        match found {
            Some(base) => merged(base, own, &mut vec!["services".into(), name.into()]),
            None => own,
        }
    }
}

/// What each entry of `include` brings: one file, or several that are merged.
fn includes(document: &Node) -> Vec<Vec<String>> {
    let Some(Value::List(all)) = document.get("include").map(|it| &it.value) else {
        return Vec::new();
    };
    let paths = |it: &Node| match &it.get("path").unwrap_or(it).value {
        Value::Str(path) => vec![path.clone()],
        Value::List(all) => all
            .iter()
            .filter_map(Node::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    all.iter().map(paths).collect()
}

/// A path that a file names, as a name among the files.
fn beside(from: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    parts.extend(path.split('/').filter(|part| !matches!(*part, "." | "")));
    parts.join("/")
}

fn empty() -> Node {
    Node {
        value: Value::Map(Vec::new()),
        defined: 0..0,
        used: 0..0,
        tag: Tag::None,
    }
}

/// Short forms of a service as long ones.
fn long(service: &mut Node) {
    for key in MAPPINGS {
        if let Some(node) = service.get_mut(key)
            && let Value::List(all) = &node.value
        {
            let entry = |it: &Node| {
                let text = it.as_str()?;
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key, Value::Str(value.to_owned())),
                    None => (text, Value::Null),
                };
                Some(Entry {
                    key: Some(key.to_owned()),
                    at: it.defined.clone(),
                    node: Node {
                        value,
                        ..it.clone()
                    },
                })
            };
            node.value = Value::Map(all.iter().filter_map(entry).collect());
        }
    }
    if let Some(volumes) = service.get_mut("volumes")
        && let Value::List(all) = &mut volumes.value
    {
        all.iter_mut().for_each(mount);
    }
}

/// `source:target:options`, or a target alone, as a mapping.
fn mount(node: &mut Node) {
    let Some(text) = node.as_str() else { return };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] => (*source, *target, ""),
        [source, target, options, ..] => (*source, *target, *options),
        [] => return,
    };
    let kind = if source.starts_with(['.', '/', '~', '$']) {
        "bind"
    } else {
        "volume"
    };
    let read_only = options.split(',').any(|it| it == "ro");
    let entry = |key: &str, value: Value| Entry {
        key: Some(key.to_owned()),
        at: node.defined.clone(),
        node: Node {
            value,
            ..node.clone()
        },
    };
    let text = |it: &str| Value::Str(it.to_owned());
    let all = vec![
        entry("type", text(kind)),
        entry("source", text(source)),
        entry("target", text(target)),
        entry("read_only", Value::Bool(read_only)),
    ];
    node.value = Value::Map(all);
}

/// One value over another; `path` are the keys that lead to them.
fn merged(under: Node, over: Node, path: &mut Vec<String>) -> Node {
    if over.tag != Tag::None {
        return over;
    }
    let value = match (under.value, over.value) {
        (Value::Map(mut under), Value::Map(over)) => {
            for e in over {
                let Some(key) = e.key.clone() else { continue };
                match under.iter_mut().find(|it| it.key.as_ref() == Some(&key)) {
                    Some(own) => {
                        path.push(key);
                        let below = std::mem::replace(&mut own.node, empty());
                        own.node = merged(below, e.node, path);
                        path.pop();
                    }
                    None => under.push(e),
                }
            }
            Value::Map(under)
        }
        (Value::List(_), Value::List(over)) if is_replaced(path) => Value::List(over),
        (Value::List(mut under), Value::List(over)) => {
            let target = |it: &Node| it.get("target").and_then(Node::as_str).map(str::to_owned);
            for it in over {
                let own = target(&it)
                    .and_then(|to| under.iter().position(|u| target(u).as_ref() == Some(&to)));
                match own.filter(|_| path.last().is_some_and(|key| key == "volumes")) {
                    Some(at) => under[at] = it,
                    None => under.push(it),
                }
            }
            Value::List(under)
        }
        (under, Value::Null) => under,
        (_, over) => over,
    };
    Node {
        value,
        ..over_span(over.defined, over.used)
    }
}

fn over_span(defined: std::ops::Range<usize>, used: std::ops::Range<usize>) -> Node {
    Node {
        defined,
        used,
        ..empty()
    }
}

/// Lists that compose does not add up.
fn is_replaced(path: &[String]) -> bool {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        keys.as_slice(),
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"]
    )
}

/// Drops what is reset, and interpolates what is left.
fn settle(node: &mut Node, variables: &Variables<'_>, unset: &mut BTreeSet<String>) {
    match &mut node.value {
        Value::Str(text) if text.contains('$') => {
            let it = interpolate(text, variables);
            unset.extend(it.unset);
            node.value = match it.text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::Str(it.text),
            };
        }
        Value::List(all) => {
            all.retain(|it| it.tag != Tag::Reset);
            all.iter_mut().for_each(|it| settle(it, variables, unset));
        }
        Value::Map(all) => {
            all.retain(|e| e.node.tag != Tag::Reset);
            all.iter_mut()
                .for_each(|e| settle(&mut e.node, variables, unset));
        }
        _ => {}
    }
}
