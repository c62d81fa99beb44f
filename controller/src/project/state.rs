//! What is remembered about a project on the engine: read through its link, and written there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use locket_crds::id::ServiceName;
use locket_crds::spec::ProjectSpec;
use locket_engine::Container;

use super::{Error, Mode, Project, Shared};
use crate::link::{self, Lease, Link, Switches};
use crate::observe;
use crate::own::anchor;
use crate::spec::Applied;

impl Project {
    /// Opens the way in where there is none, or where it does not lead to all volumes any more.
    /// `seen` are its volumes as this pass has seen them; they are looked for if it has not.
    pub(super) async fn open_link(
        &mut self,
        shared: &Shared,
        mode: Mode,
        seen: Option<Result<Option<anchor::Volumes>, crate::own::Error>>,
    ) -> Result<(), Error> {
        if let Some(link) = &self.link {
            let volumes = match seen {
                Some(seen) => seen,
                None => anchor::Volumes::find(&shared.host.engine, &self.name).await,
            };
            let volumes = volumes.map_err(|source| self.own(source))?;
            if !link.session.is_lost() && volumes.as_ref() == Some(&link.volumes) {
                if mode.only_looks() {
                    // Somebody else writes.
                    self.load().await?;
                }
                return Ok(());
            }
            self.link = None;
        }
        let opened = match mode {
            Mode::Look | Mode::Forecast => Link::look(&shared.host, &self.name).await?,
            Mode::Deliver | Mode::Act => {
                Link::open(&shared.host, &self.name, &shared.holder).await?
            }
        };
        let Some(link) = opened else { return Ok(()) };
        let reads = link.term().is_some() || mode.only_looks();
        (self.verified, self.refused) = (None, BTreeMap::new());
        self.inbox.uses_anchor(&link.session.anchor);
        self.link = Some(link);
        if reads {
            self.load().await?;
        }
        Ok(())
    }

    /// Reads what is written down about the project.
    async fn load(&mut self) -> Result<(), Error> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        if !self.supposed {
            let mut applied = link.spec().await?;
            if let Some(applied) = &mut applied {
                // The project volume is the project's to write: whose grants count is not.
                applied.spec.project = self.name.clone();
            }
            if applied != self.applied {
                (self.applied, self.compiled) = (applied, None);
            }
        }
        self.memory = link.memory().await?;
        self.switches = link.switches().await?;
        Ok(())
    }

    /// Makes this what is wanted from now on; written down before anything follows from it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn set_spec(
        &mut self,
        mut spec: ProjectSpec,
        kept: BTreeSet<ServiceName>,
    ) -> Result<(), Error> {
        spec.project = self.name.clone();
        self.write_applied(spec, kept, None).await
    }

    pub(super) async fn write_applied(
        &mut self,
        spec: ProjectSpec,
        kept: BTreeSet<ServiceName>,
        labels: Option<BTreeMap<ServiceName, String>>,
    ) -> Result<(), Error> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let before = self.applied.as_ref();
        let unchanged = before.is_some_and(|a| a.spec == spec && a.labels == labels);
        // Also when nothing has changed: `status` compares the time with the user's files.
        let applied = Applied {
            spec,
            kept,
            labels,
            at: link.clock().await?.realtime,
        };
        link.write_spec(&applied).await?;
        self.applied = Some(applied);
        self.failures = 0;
        if !unchanged {
            self.compiled = None;
        }
        Ok(())
    }

    pub(super) fn own(&self, source: crate::own::Error) -> link::Error {
        link::Error::Own {
            project: self.name.clone(),
            source,
        }
    }

    /// Services that a partial spec left out go with their last container.
    pub(super) async fn drop_kept(&mut self, containers: &[Arc<Container>]) -> Result<(), Error> {
        let (Some(applied), Some(link)) = (&self.applied, &self.link) else {
            return Ok(());
        };
        let gone = |name: &ServiceName| containers.iter().all(|c| observe::service_of(c) != *name);
        let gone: Vec<&ServiceName> = applied.kept.iter().filter(|n| gone(n)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut left = applied.clone();
        for name in gone {
            left.kept.remove(name);
            left.spec.services.remove(name);
            left.spec.model.remove(name);
        }
        link.write_spec(&left).await?;
        (self.applied, self.compiled) = (Some(left), None);
        Ok(())
    }

    /// Takes a spec for a look only: nothing is written.
    pub fn suppose(&mut self, mut spec: ProjectSpec) {
        spec.project = self.name.clone();
        self.applied = Some(Applied {
            spec,
            at: 0,
            kept: BTreeSet::new(),
            labels: None,
        });
        (self.supposed, self.compiled) = (true, None);
    }

    /// Switches pause on or off; kept on the engine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn pause(&mut self, paused: bool) -> Result<(), Error> {
        let switches = Switches { paused };
        if let Some(link) = &self.link {
            link.write_switches(&switches).await?;
        }
        self.switches = switches;
        Ok(())
    }

    /// Opens the way in, so that something can be written; whether the lease is ours, or whose it is.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn enter(&mut self, shared: &Shared) -> Result<Option<Lease>, Error> {
        self.open_link(shared, Mode::Act, None).await?;
        let lease = self.link.as_ref().map(|l| l.lease.clone());
        if matches!(lease, Some(Lease::Held(_))) {
            self.link = None;
        }
        Ok(lease)
    }
}
