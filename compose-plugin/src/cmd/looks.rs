//! When a command looks again.

use std::time::Duration;

use locket_controller::access::Access;
use locket_crds::id::ProjectName;

use crate::error::Result;

/// Between two looks, at most; at least if each of them is a pass of our own, which asks the engine and maybe backends.
const LOOK: Duration = Duration::from_secs(1);

/// The moments to look again: when a controller tells of an event, and after a second in any case.
pub struct Looks<'a> {
    access: &'a Access,
    project: Option<&'a ProjectName>,
    /// The last event that is known; `None` before the first question.
    seen: Option<u64>,
}

impl<'a> Looks<'a> {
    /// At one project, or at all.
    pub fn new(access: &'a Access, project: Option<&'a ProjectName>) -> Self {
        Self {
            access,
            project,
            seen: None,
        }
    }

    /// Waits for the next one.
    ///
    /// # Errors
    /// The controller does not answer any more.
    pub async fn next(&mut self) -> Result<()> {
        if self.access.controller().is_none() {
            tokio::time::sleep(LOOK).await;
            return Ok(());
        }
        let (after, wait) = match self.seen {
            Some(seen) => (seen, LOOK),
            // What has happened before is in the first look already.
            None => (0, Duration::ZERO),
        };
        let begun = tokio::time::Instant::now();
        let events = self.access.events(self.project, after, wait).await?;
        self.seen = events.iter().map(|e| e.seq).max().max(Some(after));
        if events.is_empty() && begun.elapsed() < wait {
            // It does not wait: it must not be asked without end.
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
