//! Labels as what is wanted.

use std::collections::BTreeSet;

use locket_crds::config::HostConfig;
use locket_crds::labels::Said;

use super::{Error, Mode, Project};
use crate::labelled::Labels;

impl Project {
    /// Applies what labels say, where nobody has handed over anything else; what was handed over wins.
    pub(super) async fn heed(
        &mut self,
        labels: &Labels,
        config: &HostConfig,
        mode: Mode,
    ) -> Result<(), Error> {
        self.conflicts.clear();
        let none = labels.are_none();
        match &self.applied {
            Some(it) if it.labels.is_none() => {
                if !none {
                    self.conflicts = labels.conflicts(&it.spec, config);
                }
                return Ok(());
            }
            None if none => return Ok(()),
            // A container that is made anew is gone for a moment; one that is gone for good takes the project along.
            _ if mode.only_looks() || labels.is_empty() => return Ok(()),
            _ => {}
        }
        let Said { spec, broken } = labels.said(&self.name, config);
        let before = self.applied.as_ref();
        if before.is_some_and(|a| a.spec == spec && a.labels.as_ref() == Some(&broken)) {
            return Ok(());
        }
        tracing::info!(project = %self.name, "Labels say what is wanted");
        self.write_applied(spec, BTreeSet::new(), Some(broken))
            .await
    }

    /// What labels say that `x-locket` does not.
    pub fn conflicts(&self) -> &[String] {
        &self.conflicts
    }
}
