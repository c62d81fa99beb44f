//! References to secrets: `<source>:<path>#<field>?version=N`, and the vendors' own strings.
//!
//! ```text
//! reference = source ":" [ "//" ] path [ "#" field ] [ "?" query ]      or the query before the field
//! query     = key "=" value *( "&" key "=" value )
//! ```
//!
//! - `source` is a name of `x-locket.sources`, or a vendor's scheme ([`SCHEMES`]), which stands for the source of that
//!   type when no source has its name.
//! - The two slashes after the colon mean nothing: `bao://kv/db` is `bao:kv/db`.
//! - `%23`, `%3F` and `%25` in path or field are `#`, `?` and `%`; every other `%` is itself.
//! - Of `op://vault/item/[section/]field` the item is the path, what follows is the field. Names may have spaces, and may
//!   stand in double quotes, where `/`, `#` and `?` mean nothing and `\` escapes.
//!   <https://developer.1password.com/docs/cli/secret-reference-syntax/>
//! - No part of a path is `.`, `..` or empty, so a prefix of a path is a prefix of a tree; `local:/name` and
//!   `file:/path` begin with a slash.

mod parse;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::SourceName;

/// Longest reference in bytes.
pub const MAX_LENGTH: usize = 2048;

/// What may stand before the colon without being in `x-locket.sources`: scheme, and the type of source that it means.
pub const SCHEMES: [(&str, &str); 9] = [
    ("bao", "openbao"),
    ("bws", "bws"),
    ("env", "env"),
    ("file", "file"),
    ("infisical", "infisical"),
    ("local", "local"),
    ("op", "1password"),
    ("se", "se"),
    ("vault", "vault"),
];

/// A parsed reference. `Display` gives back what was written; equality, order and hash are those of the parts.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef {
    source: SourceName,
    segments: Vec<String>,
    path: String,
    field: Option<String>,
    version: Option<String>,
    query: BTreeMap<String, String>,
    text: String,
}

impl SecretRef {
    /// The source: what stands before the first colon.
    pub fn source(&self) -> &SourceName {
        &self.source
    }
    /// The path at the source, unescaped.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The parts of the path between slashes, unescaped; one in quotes may have a slash itself. A leading slash of the path is not in them.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }
    /// The field of the secret, if one is named; of `op://` with a section: `section/field`.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
    /// The pinned version, if one is named: the query's `version`.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
    /// The other parameters of the query.
    pub fn query(&self) -> &BTreeMap<String, String> {
        &self.query
    }
    /// The same secret with another field.
    #[must_use]
    pub fn with_field(&self, field: &str) -> Self {
        let mut it = self.clone();
        it.field = Some(field.to_owned());
        it.text = it.canonical();
        it
    }
    /// The parts in their plain order and escaping: what two equal references have in common, and what grants compare.
    pub fn canonical(&self) -> String {
        let mut out = format!("{}:", self.source);
        if self.is_op() {
            out += "//";
            let field = self
                .field
                .iter()
                .flat_map(|f| f.split('/'))
                .map(str::to_owned);
            let names: Vec<String> = self
                .segments
                .iter()
                .cloned()
                .chain(field)
                .map(|s| parse::quoted(&s))
                .collect();
            out += &names.join("/");
        } else {
            out += &parse::escaped(&self.path);
            self.field
                .iter()
                .for_each(|f| out = format!("{out}#{}", parse::escaped(f)));
        }
        let version = self.version.iter().map(|v| ("version", v));
        for (i, (key, value)) in self
            .query
            .iter()
            .map(|(k, v)| (k.as_str(), v))
            .chain(version)
            .enumerate()
        {
            out += &format!("{}{key}={value}", if i == 0 { '?' } else { '&' });
        }
        out
    }

    /// The secret with all its fields and versions; of `op://`, whose items are wide, only without parameters.
    pub(crate) fn widened(&self) -> Self {
        let mut it = Self {
            version: None,
            query: BTreeMap::new(),
            ..self.clone()
        };
        it.field = it.field.filter(|_| self.is_op());
        it.text = it.canonical();
        it
    }

    fn is_op(&self) -> bool {
        self.source.as_str() == "op"
    }

    /// What makes two references one.
    fn parts(&self) -> Parts<'_> {
        (
            &self.source,
            &self.path,
            &self.segments,
            [self.field(), self.version()],
            &self.query,
        )
    }
}

/// Source, path, segments, field and version, parameters.
type Parts<'a> = (
    &'a SourceName,
    &'a str,
    &'a [String],
    [Option<&'a str>; 2],
    &'a BTreeMap<String, String>,
);

impl FromStr for SecretRef {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::reference(text)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl PartialEq for SecretRef {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SecretRef {}

impl PartialOrd for SecretRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SecretRef {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Hash for SecretRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
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
    /// One lower-case clause; it quotes single characters and keys of the text at most.
    pub message: String,
    /// Byte offset in the text.
    pub at: usize,
    /// What to do.
    pub help: Option<String>,
}

/// What stands before the first colon, if it could be a source's name. Text that begins so is meant as a reference.
pub fn source_of(text: &str) -> Option<&str> {
    let (source, _) = text.split_once(':')?;
    parse::is_source_name(source).then_some(source)
}

#[cfg(test)]
mod tests;
