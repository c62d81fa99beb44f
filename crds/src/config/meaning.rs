//! What a source's name means for a project, and who says so: the one decision on which grants rest.

use std::collections::BTreeMap;
use std::fmt;

use super::HostConfig;
use crate::id::SourceName;
use crate::reference::{SCHEMES, SecretRef};
use crate::spec::SourceSpec;

/// Names that mean the same in every compose file: each is also the type of its source.
pub const BUILT_IN: [&str; 3] = ["env", "file", "local"];

/// The source that will really be opened for a name, and who defined it.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// The definition, whole: nothing is merged into it.
    pub source: SourceSpec,
    /// Whose it is.
    pub by: DefinedBy,
}

/// Who says what a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinedBy {
    /// The host configuration, under this name: grants for the name count.
    Host,
    /// Locket: a built-in name or a vendor's scheme, which means its own type and nothing else. Grants for the name count.
    Scheme,
    /// The project's compose file: only a grant of exactly this definition counts.
    Project,
}

impl Meaning {
    /// True for the project's own names in the built-in store, under whatever name the source goes: the store that is
    /// opened is the project's, and what does not begin with a slash is in it.
    pub(super) fn is_own(&self, reference: &SecretRef) -> bool {
        self.source.kind == "local" && !reference.path().starts_with('/')
    }
}

/// A definition of a compose file that contradicts what its name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    name: SourceName,
    here: String,
    /// The type that the name has, and whether the host says so.
    there: (String, bool),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, here, there } = self;
        match there {
            (kind, true) => write!(
                f,
                "source {name} is of type {here} here and {kind} in the host configuration"
            ),
            (kind, false) => write!(
                f,
                "source {name} is built in and cannot be of type {here}, only of type {kind}"
            ),
        }
    }
}

impl std::error::Error for Contradiction {}

impl HostConfig {
    /// What a name means for a project whose compose file defines `own`: the compose file's definition if it says more
    /// than a type, else the host's, else what the name itself stands for.
    ///
    /// # Errors
    /// When the compose file gives a built-in name, or a name of the host, another type.
    pub fn meaning(
        &self,
        own: &BTreeMap<SourceName, SourceSpec>,
        name: &SourceName,
    ) -> Result<Meaning, Contradiction> {
        let mean = |source: &SourceSpec, by| {
            let source = source.clone();
            Ok(Meaning { source, by })
        };
        let contradiction = |here: &SourceSpec, kind: &str, host| {
            Err(Contradiction {
                name: name.clone(),
                here: here.kind.clone(),
                there: (kind.to_owned(), host),
            })
        };
        let host = self.sources.get(name);
        let stands_for = SCHEMES.iter().find(|s| s.0 == name.as_str()).map(|s| s.1);
        match own.get(name) {
            // The parser refuses this; what comes over the wire has not met it.
            Some(own) if is_redefined(name.as_str(), &own.kind) => {
                contradiction(own, name.as_str(), false)
            }
            Some(own) if !own.is_host_name() => mean(own, DefinedBy::Project),
            Some(own) => match host {
                Some(host) if host.kind == own.kind => mean(host, DefinedBy::Host),
                Some(host) => contradiction(own, &host.kind, true),
                None if stands_for == Some(own.kind.as_str()) => mean(own, DefinedBy::Scheme),
                // A name of the project's own choice: a grant for the name was not given for this.
                None => mean(own, DefinedBy::Project),
            },
            None => match host {
                Some(host) => mean(host, DefinedBy::Host),
                None => mean(
                    &SourceSpec::of_kind(stands_for.unwrap_or(name.as_str())),
                    DefinedBy::Scheme,
                ),
            },
        }
    }
}

/// True if a compose file that says so gives a built-in name another type.
pub(crate) fn is_redefined(name: &str, kind: &str) -> bool {
    BUILT_IN.contains(&name) && kind != name
}
