//! Docker Compose, as the calls that it makes to an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_crds::api::{self, ApplyMode, ApplyRequest, Progress};
use locket_crds::id::ServiceName;
use locket_crds::labels;
use locket_crds::spec::{ComposeService, ProjectSpec};
use locket_engine::{CreateContainer, Health, Healthcheck, NewMount, RestartPolicy, Status};
use tokio::time::sleep;

use super::World;
use crate::access::Error;
use crate::own::shim;

/// What of a service matters to an engine and not to us, so that the model does not have it.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    /// `healthcheck`
    pub healthcheck: Option<Healthcheck>,
    /// `tmpfs`
    pub tmpfs: Vec<String>,
    /// `restart`
    pub restart: RestartPolicy,
    /// `stop_signal`
    pub stop_signal: Option<String>,
    /// `stop_grace_period`, in seconds
    pub stop_timeout: Option<u32>,
}

impl World {
    fn label(&self, key: &str, value: &str) -> [(String, String); 2] {
        [
            ("com.docker.compose.project".into(), self.project.clone()),
            (format!("com.docker.compose.{key}"), value.into()),
        ]
    }

    fn volume(&self, key: &str) -> String {
        format!("{}_{key}", self.project)
    }

    /// Makes the volumes that are not there.
    pub async fn volumes(&self) {
        let none = BTreeMap::new();
        let tmpfs = crate::own::anchor::tmpfs_options();
        let own = (!self.labels).then(|| ("locket".to_owned(), &none));
        let spec = self.spec();
        let services = spec.services.keys();
        for (key, options) in own
            .into_iter()
            .chain(services.map(|s| (format!("locket-{s}"), &tmpfs)))
        {
            let name = self.volume(&key);
            if self.engine.volume(&name).await.unwrap().is_none() {
                let labels = match labels::name_of(&self.name()) {
                    Some(_) => BTreeMap::new(),
                    None => self.label("volume", &key).into(),
                };
                self.engine
                    .create_volume(&name, options, &labels)
                    .await
                    .unwrap();
            }
        }
    }

    /// What the gate asks for.
    ///
    /// # Errors
    /// As [`crate::access::Access::apply`].
    pub async fn gate(&self) -> Result<api::Applied, Error> {
        let request = ApplyRequest {
            spec: Some(self.spec.clone()),
            mode: ApplyMode::Deliver,
        };
        self.apply_request(request).await
    }

    /// `docker locket apply`
    ///
    /// # Errors
    /// As [`crate::access::Access::apply`].
    pub async fn apply(&self) -> Result<api::Applied, Error> {
        let request = ApplyRequest {
            spec: None,
            mode: ApplyMode::Act,
        };
        self.apply_request(request).await
    }

    fn apply_request(&self, request: ApplyRequest) -> BoxFuture<'_, Result<api::Applied, Error>> {
        async move {
            let mut told = |_: Progress| {};
            let someone = self.someone().await;
            someone
                .service
                .apply(&self.name(), request, Duration::from_secs(60), &mut told)
                .await
        }
        .boxed()
    }

    /// `docker compose up -d`: volumes; in the order of the dependencies the gate and what is missing; then the starts.
    ///
    /// # Errors
    /// What the gate says no with. Nothing that depends on it was made then.
    pub async fn up(&self) -> Result<(), Error> {
        let spec = self.spec();
        let all: Vec<&str> = spec.model.keys().map(ServiceName::as_str).collect();
        self.up_of(&all).await
    }

    /// `docker compose up -d SERVICE…`, with nothing that they depend on besides the gate.
    ///
    /// # Errors
    /// As [`World::up`].
    pub async fn up_of(&self, services: &[&str]) -> Result<(), Error> {
        self.volumes().await;
        let spec = self.spec();
        let meant = |name: &ServiceName| services.contains(&name.as_str());
        for (name, service) in in_order(spec) {
            if !meant(name) && service.provider.is_none() {
                continue;
            }
            if service.provider.is_some() {
                self.gate().await?;
            } else if self
                .find(&container_name(&self.project, name, 1))
                .await
                .is_none()
            {
                self.create(name.as_str(), 1).await;
            }
        }
        self.start_of(meant).await;
        Ok(())
    }

    /// `docker compose start`: in the order of the dependencies, each when its own are as they should be.
    pub async fn start(&self) {
        self.start_of(|_| true).await;
    }

    async fn start_of(&self, meant: impl Fn(&ServiceName) -> bool) {
        let spec = self.spec();
        for (name, service) in containers_in_order(spec) {
            if !meant(name) {
                continue;
            }
            for (on, how) in &service.depends_on {
                if how.condition == "service_healthy" {
                    self.wait_healthy(on).await;
                }
            }
            let it = self.container(name.as_str()).await;
            if it.state.status != Status::Running {
                self.engine.start(&it.id).await.unwrap();
            }
        }
    }

    /// `docker compose stop`: who depends on something first.
    pub async fn stop(&self) {
        let spec = self.spec();
        for (name, _) in containers_in_order(spec).into_iter().rev() {
            let id = self.container(name.as_str()).await.id;
            self.engine.stop(&id, None).await.unwrap();
        }
    }

    /// `docker compose restart`, or `docker restart` of one container.
    pub async fn restart(&self, only: Option<&str>) {
        let spec = self.spec();
        for (name, _) in containers_in_order(spec) {
            if only.is_none_or(|only| only == name.as_str()) {
                let id = self.container(name.as_str()).await.id;
                let path = format!("containers/{id}/restart");
                let status = self.fake.request("POST", &path).await.unwrap();
                assert_eq!(status, 204, "{name}");
            }
        }
    }

    /// `docker compose rm --stop --force SERVICE`
    pub async fn rm(&self, service: &str) {
        if let Some(it) = self.find(&container_name(&self.project, service, 1)).await {
            self.engine.stop(&it.id, None).await.unwrap();
            self.engine.remove(&it.id, true).await.unwrap();
        }
    }

    /// `docker compose down -v`: containers, who depends on something first, then the gate; then the volumes.
    ///
    /// # Errors
    /// When the gate cannot let go, or something else uses a volume still.
    pub async fn down(&self) -> Result<(), Error> {
        let spec = self.spec();
        for (name, service) in in_order(spec).into_iter().rev() {
            match service.provider {
                Some(_) => self.release().await?,
                None => self.rm(name.as_str()).await,
            }
        }
        let keys = spec.services.keys().map(|s| format!("locket-{s}"));
        for key in keys.chain(["locket".to_owned()]) {
            let removed = self.engine.remove_volume(&self.volume(&key), false).await;
            removed.map_err(|e| Error::unavailable("a volume cannot be removed", e))?;
        }
        Ok(())
    }

    /// Makes a container and starts it, as `docker compose up --scale` does.
    pub async fn add(&self, service: &str, number: u32) {
        let id = self.create(service, number).await;
        self.engine.start(&id).await.unwrap();
    }

    /// `docker compose run -d SERVICE`: its id.
    pub async fn run(&self, service: &str) -> String {
        let name = format!("{}-{service}-run-1", self.project);
        let id = self.create_as(service, 1, name, "True").await;
        self.engine.start(&id).await.unwrap();
        id
    }

    async fn create(&self, service: &str, number: u32) -> String {
        let name = container_name(&self.project, service, number);
        self.create_as(service, number, name, "False").await
    }

    async fn create_as(&self, service: &str, number: u32, name: String, oneoff: &str) -> String {
        let spec = self.spec();
        let mut mounts = Vec::new();
        if let Some(asked) = spec.services.get(service) {
            mounts.push(NewMount::Volume {
                source: match self.labels {
                    true => shim::VOLUME.to_owned(),
                    false => self.volume("locket"),
                },
                target: "/sbin/docker-init".into(),
                subpath: Some("shim/docker-init".into()),
                read_only: true,
                nocopy: true,
            });
            mounts.push(NewMount::Volume {
                source: self.volume(&format!("locket-{service}")),
                target: asked.path.clone(),
                subpath: None,
                read_only: true,
                nocopy: true,
            });
        }
        let runs = self.runs.get(service).cloned().unwrap_or_default();
        mounts.extend(runs.tmpfs.into_iter().map(|target| NewMount::Tmpfs {
            target,
            size: None,
            mode: None,
        }));
        let mut labels: BTreeMap<String, String> = self.label("service", service).into();
        labels.extend(self.label("container-number", &number.to_string()));
        labels.extend(self.label("oneoff", oneoff));
        labels.extend(self.label("config-hash", "of this service"));
        if let Some(name) = labels::name_of(&self.name()) {
            labels = [(labels::NAME.to_owned(), name.to_owned())].into();
        }
        if self.labels {
            let text = labels::write(spec, &service.into());
            labels.extend(text.map(|text| (labels::SPEC.to_owned(), text)));
        }
        let image = spec.model[service].image.clone();
        let create = CreateContainer {
            name,
            image: image.unwrap(),
            labels,
            mounts,
            init: Some(true),
            healthcheck: runs.healthcheck,
            restart_policy: runs.restart,
            stop_signal: runs.stop_signal,
            stop_timeout: runs.stop_timeout,
            ..CreateContainer::default()
        };
        self.engine.create(&create).await.unwrap()
    }

    async fn wait_healthy(&self, service: &ServiceName) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(600);
        while self.container(service.as_str()).await.state.health != Health::Healthy {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{service} is never healthy"
            );
            sleep(Duration::from_millis(500)).await;
        }
    }
}

pub(super) fn container_name(
    project: &str,
    service: impl std::fmt::Display,
    number: u32,
) -> String {
    format!("{project}-{service}-{number}")
}

/// Services, each after what it depends on.
fn in_order(spec: &ProjectSpec) -> Vec<(&ServiceName, &ComposeService)> {
    let (mut done, mut order) = (BTreeSet::new(), Vec::new());
    while order.len() < spec.model.len() {
        let before = order.len();
        for (name, service) in &spec.model {
            let ready = service.depends_on.keys().all(|on| done.contains(on));
            if ready && done.insert(name) {
                order.push((name, service));
            }
        }
        assert!(
            order.len() > before,
            "services depend on each other in a circle"
        );
    }
    order
}

fn containers_in_order(spec: &ProjectSpec) -> Vec<(&ServiceName, &ComposeService)> {
    let mut all = in_order(spec);
    all.retain(|(_, service)| service.provider.is_none());
    all
}
