//! What was heard about a project since its last pass. Hints only: whoever has one leaves it here and never waits for a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use locket_core::{ContainerId, Time};
use locket_crds::id::SourceName;

use crate::mutex::lock;

/// Hints, merged.
#[derive(Debug, Default)]
pub struct Hints {
    /// The last time that somebody but us made, stopped or removed a container.
    pub activity: Option<Time>,
    /// The last time that somebody but us stopped a container, of those that were.
    pub touched: BTreeMap<ContainerId, Time>,
    /// Sources to ask again.
    pub sources: BTreeSet<SourceName>,
    /// Every source is to be asked again.
    pub all_sources: bool,
    /// Delivered files are to be looked at again.
    pub verify: bool,
    /// What was refused before is to be tried again: a user wants it.
    pub retry: bool,
    /// The host configuration has changed.
    pub recompile: bool,
}

/// Where hints wait for the next pass.
#[derive(Debug, Default)]
pub struct Inbox {
    hints: Mutex<Hints>,
    anchor: Mutex<Option<String>>,
}

impl Inbox {
    /// Leaves hints.
    pub fn leave(&self, hint: impl FnOnce(&mut Hints)) {
        hint(&mut lock(&self.hints));
    }

    /// Takes what is there.
    pub fn take(&self) -> Hints {
        std::mem::take(&mut lock(&self.hints))
    }

    /// The project is reached through this anchor from now on, by its container's id.
    pub fn uses_anchor(&self, id: &str) {
        *lock(&self.anchor) = Some(id.to_owned());
    }

    /// True for an event of the anchor that the project is reached through. Those of others are no news: an anchor that does not
    /// come up, again and again, must not be the reason to try the next one at once.
    pub fn is_anchor(&self, id: &str) -> bool {
        lock(&self.anchor).as_deref() == Some(id)
    }
}

impl Hints {
    /// A source, or all of them, is to be asked again.
    pub fn expire(&mut self, source: Option<&SourceName>) {
        match source {
            Some(source) => drop(self.sources.insert(source.clone())),
            None => self.all_sources = true,
        }
    }
}
