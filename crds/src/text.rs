//! A file that a user wrote, read once for all who look at it.

use crate::compose::pairs;
use crate::diag::SourceMap;
use crate::yaml::{self, Node, YamlError};

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
