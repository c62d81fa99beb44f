//! References to secrets: `<source>:<path>#<field>?version=N`, and the vendors' own strings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::SourceName;

/// A parsed reference. `Display` gives back what the user wrote; equality and order are those of the parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef {
    source: SourceName,
    path: String,
    field: Option<String>,
    version: Option<String>,
    text: String,
}

impl SecretRef {
    /// The source: what stands before the first colon, or the vendor's scheme (`op`, `bao`, `bws`, …).
    pub fn source(&self) -> &SourceName {
        &self.source
    }
    /// The path at the source, unescaped.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The field of the secret, if one is named.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
    /// The pinned version, if one is named.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
    /// The same secret with another field.
    #[must_use]
    pub fn with_field(&self, field: &str) -> Self {
        let mut it = self.clone();
        it.field = Some(field.to_owned());
        it
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<SecretRef> for String {
    fn from(it: SecretRef) -> Self {
        it.text
    }
}

impl TryFrom<String> for SecretRef {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReferenceError {
    /// One lower-case clause.
    pub message: String,
    /// Byte offset in the text.
    pub at: usize,
    /// What to do.
    pub help: Option<String>,
}

impl FromStr for SecretRef {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, rest) = text.split_once(':').ok_or_else(|| ReferenceError {
            message: "not a reference".into(),
            at: 0,
            help: None,
        })?;
        let (path, field) = match rest.split_once('#') {
            Some((p, f)) => (p, Some(f.to_owned())),
            None => (rest, None),
        };
        Ok(Self {
            source: source.into(),
            path: path.to_owned(),
            field,
            version: None,
            text: text.to_owned(),
        })
    }
}
