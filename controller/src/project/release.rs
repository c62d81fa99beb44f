//! The end of a project: when nobody needs it any more, and what is let go.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use locket_engine::Container;
use tokio::time::Instant;

use super::{Error, Project, RELEASE_AFTER, RELEASED_FOR, Shared};
use crate::link::Link;
use crate::own::anchor;

impl Project {
    /// Whether there is anything to look after. One that is not needed any more is let go.
    pub(super) async fn is_wanted(
        &mut self,
        shared: &Shared,
        containers: &[Arc<Container>],
        now: Instant,
    ) -> Result<bool, Error> {
        if self.gates.load(Relaxed) > 0 {
            self.idle_since = None;
            return Ok(true);
        }
        if self.released.is_some_and(|at| now < at + RELEASED_FOR) {
            return Ok(false);
        }
        if !containers.is_empty() {
            (self.idle_since, self.released) = (None, None);
            return Ok(true);
        }
        if self.link.is_none() {
            // Somebody else's gate, or what a killed one has left, has its time too.
            let left = anchor::find(&shared.host, &self.name, &[]);
            let left = left.await.map_err(Error::Release)?;
            let made = anchor::is_made(&shared.host.engine, &self.name);
            if left.ours.is_empty()
                && left.foreign.is_empty()
                && !made.await.map_err(Error::Release)?
            {
                return Ok(false);
            }
        }
        let since = *self.idle_since.get_or_insert(now);
        if now < since + RELEASE_AFTER {
            return Ok(self.link.is_some());
        }
        self.release(shared).await?;
        // What compose has made is compose's to remove; nobody else would come for what it has not.
        let removed = anchor::Volumes::remove(&shared.host.engine, &self.name).await;
        removed.map_err(Error::Release)?;
        // No `down` is at work whose end would have to be waited for.
        self.released = None;
        Ok(false)
    }

    /// Lets go of the volumes. What they held is gone.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn release(&mut self, shared: &Shared) -> Result<(), Error> {
        let link = self.link.take();
        (self.idle_since, self.released) = (None, Some(Instant::now()));
        let find = async |layers: &[String]| {
            let found = anchor::find(&shared.host, &self.name, layers).await;
            found.map_err(Error::Release)
        };
        let mut found = find(link.as_ref().map_or(&[][..], |l| &l.layers)).await?;
        if link.is_none() && !found.foreign.is_empty() {
            // One of another version: the project volume knows whether it is ours, and is read through one of this version.
            if let Some(link) = Link::open(&shared.host, &self.name, &shared.holder).await? {
                found = find(&link.layers).await?;
            }
        }
        drop(link);
        found
            .retire(&shared.host, None)
            .await
            .map_err(Error::Release)?;
        shared.sources.forget(&self.name);
        tracing::info!(project = %self.name, "Released");
        Ok(())
    }
}
