//! A file that a user wrote, read once for all who look at it.

use std::ops::Range;

use crate::diag::{Lines, Place, SourceMap};
use crate::yaml::{self, Entry, Node, Value, YamlError};

/// A file's name, its text, and the trees in it.
#[derive(Debug, Clone)]
pub struct Text {
    name: String,
    text: String,
    documents: Result<Vec<Node>, YamlError>,
}

impl Text {
    /// Reads a text. `name` is how messages call the file: its path, relative to the project directory.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, text) = (name.into(), text.into());
        let mut documents = yaml::documents(&text);
        for it in documents.iter_mut().flatten() {
            pairs(it, &text);
        }
        Self {
            name,
            text,
            documents,
        }
    }

    /// The same text of a file that is called otherwise.
    #[must_use]
    pub fn renamed(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its documents; none where it is not YAML. The lists `NAME=value` that services may write for labels and variables are
    /// mappings there.
    pub fn documents(&self) -> &[Node] {
        self.documents.as_deref().unwrap_or_default()
    }

    /// The place of some bytes of it. For one place: each counts the lines anew.
    pub fn place(&self, bytes: &Range<usize>) -> Place {
        Lines::new(&self.text).place(&self.name, bytes)
    }

    /// Why it is not YAML.
    pub fn error(&self) -> Option<&YamlError> {
        self.documents.as_ref().err()
    }
}

impl<'a> FromIterator<&'a Text> for SourceMap {
    fn from_iter<I: IntoIterator<Item = &'a Text>>(all: I) -> Self {
        let both = |it: &Text| (it.name.clone(), it.text.clone());
        all.into_iter().map(both).collect()
    }
}

/// Makes mappings of the lists `NAME=value` that services may write for labels and variables.
fn pairs(document: &mut Node, text: &str) {
    let services = document.get_mut("services").map(|it| &mut it.value);
    let Some(Value::Map(services)) = services else {
        return;
    };
    for service in services {
        for key in ["environment", "labels"] {
            let Some(node) = service.node.get_mut(key) else {
                continue;
            };
            if let Value::List(all) = &node.value {
                node.value = Value::Map(all.iter().filter_map(|it| pair(it, text)).collect());
            }
        }
    }
}

/// `NAME=value` as an entry; where escapes or folding hide the value, both have the place of the whole.
fn pair(item: &Node, text: &str) -> Option<Entry> {
    let (key, value) = match item.as_str()?.split_once('=') {
        Some((key, value)) => (key, Value::Str(value.to_owned())),
        None => (item.as_str()?, Value::Null),
    };
    let whole = item.defined.clone();
    let raw = text.get(whole.clone()).unwrap_or_default();
    let start = usize::from(raw.starts_with(['"', '\'']));
    let own = item.as_str().unwrap_or_default();
    let (at, defined) = match raw.get(start..).is_some_and(|rest| rest.starts_with(own)) {
        true => {
            let (from, end) = (whole.start + start, whole.start + start + own.len());
            let middle = from + key.len();
            (from..middle, (middle + 1).min(end)..end)
        }
        false => (whole.clone(), whole.clone()),
    };
    let used = match item.used == item.defined {
        true => defined.clone(),
        false => item.used.clone(),
    };
    let node = Node {
        value,
        defined,
        used,
        tag: item.tag,
    };
    Some(Entry {
        key: Some(key.to_owned()),
        at,
        node,
    })
}
