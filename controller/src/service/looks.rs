//! What can be asked without changing anything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use locket_crds::api;
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::spec::ProjectSpec;
use tokio::time::Instant;

use super::{Role, Service};
use crate::access::Error;
use crate::project::{Mode, Passed, Project};
use crate::view::{self, View};

impl Service {
    /// As [`crate::access::Access::status`].
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn status(
        self: &Arc<Self>,
        name: Option<&ProjectName>,
    ) -> Result<api::Status, Error> {
        let names = match (name, self.role) {
            (Some(name), _) => vec![name.clone()],
            (None, Role::Controller) => self.known(),
            (None, Role::Client) => self.on_the_engine().await?,
        };
        let mut projects = Vec::new();
        for name in names {
            projects.extend(self.view(&name, None).await?.status.clone());
        }
        Ok(api::Status {
            version: api::VERSION,
            locket: self.version.clone(),
            projects,
        })
    }

    /// Projects of the engine that have a volume of ours.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn on_the_engine(&self) -> Result<Vec<ProjectName>, Error> {
        let all = crate::own::anchor::Volumes::all(&self.shared.host.engine).await;
        Ok(all
            .map_err(|e| Error::unavailable("the engine does not answer", e))?
            .into_iter()
            .map(|v| v.project)
            .collect())
    }

    /// The last view; in the client, and for a project that nobody looks after, a fresh one.
    async fn view(
        self: &Arc<Self>,
        name: &ProjectName,
        spec: Option<ProjectSpec>,
    ) -> Result<Arc<View>, Error> {
        let known = self
            .rooms()
            .get(name)
            .map(|room| Arc::clone(&room.view.borrow()));
        match known {
            Some(view)
                if spec.is_none() && self.role == Role::Controller && view.status.is_some() =>
            {
                Ok(view)
            }
            _ => {
                let mode = match self.role {
                    Role::Controller => Mode::Forecast,
                    Role::Client => Mode::Look,
                };
                self.look(name, spec, mode).await
            }
        }
    }

    /// A pass that changes nothing, in a room of its own.
    async fn look(
        self: &Arc<Self>,
        name: &ProjectName,
        spec: Option<ProjectSpec>,
        mode: Mode,
    ) -> Result<Arc<View>, Error> {
        let mut fresh = Project::new(name.clone(), Arc::new(|| {}));
        let mut kept;
        let project = match (spec, self.role) {
            (Some(spec), _) => {
                fresh.suppose(spec);
                &mut fresh
            }
            // Whoever asks a controller again gets what its own passes have seen.
            (None, Role::Controller) => &mut fresh,
            (None, Role::Client) => {
                kept = self.looked_at.lock().await;
                kept.entry(name.clone()).or_insert(fresh)
            }
        };
        match project.pass(&self.shared, mode).await {
            Ok(Passed::Looked(look)) => Ok(Arc::new(view::view(
                project,
                &look,
                &View::default(),
                &self.numbers,
            ))),
            Ok(Passed::Absent | Passed::Held(_)) => Ok(Arc::default()),
            Err(e) => Err(Error::unavailable("the project cannot be looked at", e)),
        }
    }

    /// As [`crate::access::Access::explain`].
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn explain(
        self: &Arc<Self>,
        name: &ProjectName,
        service: &ServiceName,
    ) -> Result<api::Explain, Error> {
        let view = self.view(name, None).await?;
        view::explain(&view, service).ok_or_else(|| {
            let known: Vec<_> = view
                .desired
                .iter()
                .flat_map(|d| d.model.keys())
                .map(ServiceName::as_str)
                .collect();
            match known.as_slice() {
                [] => Error::not_found(format!("project {name} is not known here"))
                    .hint("`docker compose up` with the gate makes it known"),
                all => Error::not_found(format!("project {name} has no service {service}"))
                    .hint(format!("there is {}", all.join(", "))),
            }
        })
    }

    /// As [`crate::access::Access::events`].
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn events(
        self: &Arc<Self>,
        name: Option<&ProjectName>,
        after: u64,
        wait: Duration,
    ) -> Result<Vec<api::Event>, Error> {
        let until = Instant::now() + wait;
        loop {
            let names = match (name, self.role) {
                (Some(name), _) => vec![name.clone()],
                (None, Role::Controller) => self.known(),
                (None, Role::Client) => self.on_the_engine().await?,
            };
            let mut found = Vec::new();
            let mut changes = Vec::new();
            for name in &names {
                // Subscribed before it is looked at, so that nothing is missed in between.
                changes.extend(self.rooms().get(name).map(|room| room.view.subscribe()));
                let view = self.view(name, None).await?;
                found.extend(
                    view::events(name, &view)
                        .into_iter()
                        .filter(|e| e.seq > after),
                );
            }
            found.sort_by_key(|e| e.seq);
            if !found.is_empty() || Instant::now() >= until {
                return Ok(found);
            }
            let pause =
                tokio::time::sleep_until(until.min(Instant::now() + Duration::from_secs(2)));
            if changes.is_empty() {
                pause.await;
                continue;
            }
            let news = select_all(changes.iter_mut().map(|c| Box::pin(c.changed())));
            tokio::select! { () = pause => {}, _ = news => {} }
        }
    }

    /// As [`crate::access::Access::plan`].
    ///
    /// # Errors
    /// `NotFound` when nothing was applied yet and no spec is given.
    pub async fn plan(
        self: &Arc<Self>,
        name: &ProjectName,
        spec: Option<ProjectSpec>,
    ) -> Result<api::PlanView, Error> {
        let view = self.look(name, spec, Mode::Forecast).await?;
        if view.status.is_none() {
            return Err(
                Error::not_found(format!("nothing was applied for project {name} yet"))
                    .hint("run `docker compose up`, or name the compose file"),
            );
        }
        Ok(view.plan.clone())
    }
}
