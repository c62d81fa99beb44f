//! What a service is given, with every name looked up: the form that planner and renderer share.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::SecretName;
use crate::reference::SecretRef;
use crate::spec::{FileMode, Operand, Origin};
use crate::template::Template;

/// One file or variable of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Where it goes.
    pub target: Target,
    /// What it is made of.
    pub content: Content,
    /// Where it was asked for.
    pub origin: Origin,
}

/// Where an item goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A file, by its path relative to the service's `path`.
    File {
        /// Relative path; no `..`, no leading slash, not below `.locket`.
        path: String,
        /// Owner, mode, update.
        file: FileMode,
    },
    /// An environment variable set by the shim.
    Env {
        /// Its name.
        key: String,
    },
    /// An environment variable handed to compose by the gate (opt-in).
    ComposeEnv {
        /// Its name.
        key: String,
    },
}

/// What an item is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The secret's bytes.
    Secret(Input),
    /// A template and what its names mean.
    Template {
        /// The parsed text.
        template: Template,
        /// Every catalogue name that the template uses.
        names: BTreeMap<SecretName, Input>,
    },
}

impl Content {
    /// Every reference that it is made from.
    pub fn references(&self) -> BTreeSet<&SecretRef> {
        match self {
            Self::Secret(input) => BTreeSet::from([&input.reference]),
            Self::Template { template, names } => {
                let inline = template.operands().filter_map(|it| match it {
                    Operand::Ref(reference) => Some(reference),
                    Operand::Name(_) => None,
                });
                inline
                    .chain(names.values().map(|it| &it.reference))
                    .collect()
            }
        }
    }
}

/// A secret as an input of rendering.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    /// The reference, complete with its field.
    pub reference: SecretRef,
    /// Whether an empty value is a value.
    pub allow_empty: bool,
}
