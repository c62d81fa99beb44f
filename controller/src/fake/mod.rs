//! A compose project on a fake engine, a backend in memory, and somebody who looks after it or nobody.
//!
//! Start with [`World`]; [`World::beside`] makes more projects on the same engine. Everything of the product is real: the service and its passes, the client of the engine, the anchor's
//! session, the layout on the volumes. Not real are the engine ([`locket_engine::fake`]), the backend, compose (`compose.rs`:
//! its calls), and the programs in the containers (`programs.rs`: the shim by its rules, and a few tools). Time is tokio's, and
//! is meant to be paused. For tests: a panic is the report.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "for tests, whose report is a panic, and whose programs write files"
)]

mod backend;
mod compose;
pub(crate) mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_crds::api;
use locket_crds::compose::{ModelInput, compile};
use locket_crds::id::ProjectName;
use locket_crds::spec::ProjectSpec;
use locket_crds::text::Text;
use locket_engine::fake::{App, AppView, Fake, FakeImage};
use locket_engine::{Container, Engine, Failpoints};
use locket_runtime::{Config, Controller, Trigger};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub use backend::{Backend, Reads};
pub use compose::Runs;
pub use programs::app;

use crate::Host;
use crate::mutex::lock;
use crate::own::image::Binary;
use crate::own::shim;
use crate::project::Shared;
use crate::service::{Passes, Role, Service};
use crate::sources::{Authority, Sources};
use backend::Opener;

/// See the module. It is one project; what is not its own it shares with those [beside](World::beside) it.
pub struct World {
    /// The engine as a test sees it.
    pub fake: Fake,
    /// A client of it.
    pub engine: Engine,
    /// What every source is.
    pub backend: Arc<Backend>,
    controller: Arc<Mutex<Option<Someone>>>,
    project: String,
    text: String,
    spec: ProjectSpec,
    runs: BTreeMap<String, Runs>,
    /// No gate is called: containers carry in labels what they ask for.
    labels: bool,
}

/// A second controller.
pub struct Another {
    _runs: Someone,
}

/// Who looks after projects, as a process: it is killed when it is dropped.
struct Someone {
    service: Arc<Service>,
    runner: Option<Arc<Runner>>,
}

struct Runner(JoinHandle<()>);

impl Drop for Runner {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl World {
    /// Nobody looks after anything; nothing is there yet. `text` is the compose file without its name, as
    /// `docker compose config` would print it.
    pub async fn alone(project: &str, text: &str) -> Self {
        let fake = Fake::new();
        fake.on_exec(Arc::new(|fake, call| programs::exec(fake, call).boxed()));
        let engine = fake.spared().connect().await.unwrap();
        let world = Self {
            fake,
            engine,
            backend: Arc::default(),
            controller: Arc::default(),
            project: project.to_owned(),
            text: text.to_owned(),
            spec: compiled(project, text),
            runs: BTreeMap::new(),
            labels: false,
        };
        world.pull().await;
        world
    }

    /// Another project on the same engine, with the same backend, whose controller is the same.
    pub async fn beside(&self, project: &str, text: &str) -> Self {
        let world = Self {
            fake: self.fake.clone(),
            engine: self.engine.clone(),
            backend: Arc::clone(&self.backend),
            controller: Arc::clone(&self.controller),
            project: project.to_owned(),
            text: text.to_owned(),
            spec: compiled(project, text),
            runs: BTreeMap::new(),
            labels: false,
        };
        world.pull().await;
        world
    }

    /// Makes the images that are not there; their application reads nothing.
    async fn pull(&self) {
        for image in self.images() {
            if self.engine.image(&image).await.unwrap().is_none() {
                self.fake.add_image(&image, FakeImage::default());
                let idle = programs::app(App::default());
                self.fake.set_program(&image, idle.program());
            }
        }
    }

    /// The same with a controller, as project `shop`.
    pub async fn new(text: &str) -> Self {
        let mut world = Self::alone("shop", text).await;
        world.start_controller().await;
        world
    }

    /// From now on nobody hands over what is asked for: it stands in labels, and the shim comes from the engine's own volume.
    /// In a project that stands for one container `up` is `docker run`.
    pub async fn by_labels(&mut self) {
        let binary = Binary::new(programs::binary()).unwrap();
        let host = Host::new(self.engine.clone(), binary, "test");
        shim::prepare(&host, shim::Other::Replace).await.unwrap();
        self.labels = true;
    }

    fn images(&self) -> BTreeSet<String> {
        let services = self.spec.model.values();
        services.filter_map(|s| s.image.clone()).collect()
    }

    async fn open(&self, role: Role) -> Someone {
        self.open_with(role, self.connect().await).await
    }

    /// A client with an engine that may be away: whoever is started again and again comes up in the end.
    async fn connect(&self) -> Engine {
        loop {
            match self.fake.connect().await {
                Ok(engine) => return engine,
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Boxed, so that a controller is compiled here and not in every test program.
    fn open_with(&self, role: Role, engine: Engine) -> BoxFuture<'_, Someone> {
        async move {
            let authority = match role {
                Role::Controller => Authority::Host(Arc::default()),
                Role::Client => Authority::User(Arc::default()),
            };
            let binary = Binary::new(programs::binary()).unwrap();
            let shared = Shared {
                draining: false.into(),
                host: Arc::new(Host::new(engine, binary, "test")),
                sources: Sources::new(Arc::new(Opener(Arc::clone(&self.backend))), authority),
                cache: Arc::default(),
                image_labels: Default::default(),
                owners: Default::default(),
                holder: "a test".into(),
                metrics: Default::default(),
            };
            let service = Service::new(Arc::new(shared), role, "test").await.unwrap();
            let (controller, handle) = Controller::new(Passes(Arc::clone(&service)), Config::new(1));
            service.attach(handle);
            let followed = (role == Role::Controller).then(|| Arc::clone(&service));
            let runner = tokio::spawn(async move {
                let follow = async {
                    match followed {
                        Some(service) => {
                            let resync = crate::process::resync(Arc::clone(&service));
                            tokio::join!(crate::process::follow_engine(service), resync);
                        }
                        None => std::future::pending().await,
                    }
                };
                tokio::select! { biased; _ = controller.run(std::future::pending()) => {}, () = follow => {} }
            });
            Someone {
                service,
                runner: Some(Arc::new(Runner(runner))),
            }
        }
        .boxed()
    }

    /// A controller starts.
    pub async fn start_controller(&mut self) {
        let it = self.open(Role::Controller).await;
        *lock(&self.controller) = Some(it);
    }

    /// A controller starts that tells where it is, and may end there.
    pub async fn start_controller_with(&mut self, failpoints: Failpoints) {
        let engine = self.connect().await.with_failpoints(failpoints);
        let it = self.open_with(Role::Controller, engine).await;
        *lock(&self.controller) = Some(it);
    }

    /// Somebody starts another one beside it; it lives as long as what this returns.
    pub async fn another_controller(&self) -> Another {
        Another {
            _runs: self.open(Role::Controller).await,
        }
    }

    /// The controller is killed.
    pub async fn kill_controller(&mut self) {
        let killed = lock(&self.controller).take().and_then(|it| it.runner);
        if let Some(mut runner) = killed.and_then(Arc::into_inner) {
            runner.0.abort();
            let _ = (&mut runner.0).await;
        }
    }

    /// The controller, or a command that does it itself.
    async fn someone(&self) -> Someone {
        match self.known() {
            Some(service) => Someone {
                service,
                runner: None,
            },
            None => self.open(Role::Client).await,
        }
    }

    fn known(&self) -> Option<Arc<Service>> {
        let controller = lock(&self.controller);
        controller.as_ref().map(|it| Arc::clone(&it.service))
    }

    /// The controller, from within.
    #[cfg(test)]
    pub(crate) fn service(&self) -> Arc<Service> {
        self.known().unwrap()
    }

    pub(crate) fn name(&self) -> ProjectName {
        self.project.as_str().into()
    }

    /// What the compose file asks for.
    pub fn spec(&self) -> &ProjectSpec {
        &self.spec
    }

    /// Edits the compose file.
    pub fn edit(&mut self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from} is not in it");
        self.text = self.text.replace(from, to);
        self.spec = compiled(&self.project, &self.text);
    }

    /// The same compose file in another directory.
    pub fn move_to(&mut self, dir: &str) {
        self.spec.working_dir = dir.to_owned();
    }

    /// Says what compose tells the engine about a service besides what we read of it.
    pub fn runs(&mut self, service: &str, runs: Runs) {
        self.runs.insert(service.to_owned(), runs);
    }

    /// What runs in the containers from their next start on: reads these files of its secrets, once a generation is there.
    pub fn app(&self, reads: &[&str], app: App) {
        let path = |name: &&str| format!("/run/secrets/{name}");
        let app = programs::app(App {
            reads: reads.iter().map(path).collect(),
            ..app
        });
        for image in self.images() {
            self.fake.set_program(&image, app.clone().program());
        }
    }

    /// Puts a value into the built-in store, which tells the controller.
    pub async fn store(&self, name: &str, value: &str) {
        self.backend.set(name, value);
        if let Some(service) = self.known() {
            let local = "local".into();
            let trigger = Trigger::push("the store has changed");
            service.hint(None, Some(&local), &trigger);
        }
    }

    async fn find(&self, name: &str) -> Option<Container> {
        self.engine.inspect(name).await.unwrap()
    }

    /// What a pass takes for the project's containers, by name.
    pub async fn taken_for_ours(&self) -> Vec<String> {
        let shared = Arc::clone(self.someone().await.service.shared());
        let found = shared.containers(&self.name()).await;
        found.unwrap().iter().map(|it| it.name.clone()).collect()
    }

    /// The first container of a service.
    ///
    /// # Panics
    /// When there is none.
    pub async fn container(&self, service: &str) -> Container {
        let name = compose::container_name(&self.project, service, 1);
        let found = self.find(&name).await;
        found.unwrap_or_else(|| panic!("there is no container {name}"))
    }

    /// What the application in a service's first container has seen.
    pub fn view(&self, service: &str) -> AppView {
        let name = compose::container_name(&self.project, service, 1);
        self.fake.view(&name).unwrap_or_default()
    }

    /// What the application has read of a secret.
    pub fn has(&self, service: &str, name: &str) -> String {
        let view = self.view(service);
        let bytes = view.files.get(&format!("/run/secrets/{name}"));
        bytes.map_or_else(String::new, |b| String::from_utf8_lossy(b).into_owned())
    }

    /// The names of the project's anchors, running or not.
    pub async fn anchors(&self) -> Vec<String> {
        let project = format!("locket.project={}", self.project);
        let all = self.engine.containers(&[&project]).await.unwrap();
        all.into_iter().map(|it| it.name).collect()
    }

    /// How the project stands; nothing when nobody knows it.
    pub async fn status(&self) -> Option<api::ProjectStatus> {
        let someone = self.someone().await;
        let mut all = someone.service.status(Some(&self.name())).await.unwrap();
        all.projects.pop()
    }

    /// A condition of the project, or of one of its services.
    pub async fn condition(
        &self,
        service: Option<&str>,
        kind: api::ConditionKind,
    ) -> Option<api::Condition> {
        let status = self.status().await?;
        let all = match service {
            None => status.conditions,
            Some(name) => {
                let mut services = status.services.into_iter();
                services.find(|s| s.service.as_str() == name)?.conditions
            }
        };
        all.into_iter().find(|c| c.kind == kind)
    }

    /// What the controller's healthcheck asks.
    ///
    /// # Errors
    /// When it is not well.
    pub async fn health(&self) -> Result<api::Answerer, crate::access::Error> {
        self.someone().await.service.health().await
    }

    /// `docker locket refresh`
    ///
    /// # Errors
    /// As [`crate::access::Access::refresh`].
    pub async fn refresh(&self) -> Result<(), crate::access::Error> {
        let someone = self.someone().await;
        someone.service.refresh(Some(&self.name()), None).await
    }

    /// `docker locket refresh --source NAME`
    ///
    /// # Errors
    /// As [`crate::access::Access::refresh`].
    pub async fn refresh_source(&self, source: &str) -> Result<(), crate::access::Error> {
        let someone = self.someone().await;
        let source = source.into();
        someone
            .service
            .refresh(Some(&self.name()), Some(&source))
            .await
    }

    /// `docker locket pause`, or `resume`.
    ///
    /// # Errors
    /// As [`crate::access::Access::pause`].
    pub async fn pause(&self, paused: bool) -> Result<(), crate::access::Error> {
        let someone = self.someone().await;
        someone.service.pause(&self.name(), paused).await
    }

    /// What the gate does at `docker compose down`.
    ///
    /// # Errors
    /// As [`crate::access::Access::release`].
    pub async fn release(&self) -> Result<(), crate::access::Error> {
        let someone = self.someone().await;
        someone.service.release(&self.name()).await
    }

    /// Waits for a state, with a deadline on the paused clock.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(600);
        while !holds(self).await {
            if Instant::now() > deadline {
                panic!("never: {what}\n{}", self.report().await);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// `docker locket explain`
    ///
    /// # Errors
    /// As [`crate::access::Access::explain`].
    pub async fn explain(&self, service: &str) -> Result<api::Explain, crate::access::Error> {
        let someone = self.someone().await;
        someone.service.explain(&self.name(), &service.into()).await
    }

    /// `docker locket events`
    ///
    /// # Errors
    /// As [`crate::access::Access::events`].
    pub async fn events(&self) -> Result<Vec<api::Event>, crate::access::Error> {
        let someone = self.someone().await;
        let name = self.name();
        someone.service.events(Some(&name), 0, Duration::ZERO).await
    }

    /// `docker locket plan`
    ///
    /// # Errors
    /// As [`crate::access::Access::plan`].
    pub async fn plan(&self) -> Result<api::PlanView, crate::access::Error> {
        let someone = self.someone().await;
        let spec = Some(self.spec.clone());
        someone.service.plan(&self.name(), spec).await
    }

    /// What `GET /metrics` answers.
    pub async fn metrics(&self) -> String {
        crate::metrics::scrape::text(&self.someone().await.service)
    }

    /// How the project stands, for a person who asks why a test failed.
    pub async fn report(&self) -> String {
        serde_json::to_string_pretty(&self.status().await).unwrap()
    }

    /// Whether everything is delivered and runs with what it should, and nothing waits.
    pub async fn is_ready(&self) -> bool {
        let Some(status) = self.status().await else {
            return false;
        };
        let ready = |c: &api::Condition| c.kind == api::ConditionKind::Ready && c.status;
        status.conditions.iter().any(ready) && status.waiting.is_empty()
    }

    /// Waits until nothing is left to be done: everything is as it should be, or a bad value was put back, or the project is gone.
    pub async fn at_rest(&self) {
        let rests = async |it: &Self| {
            let Some(status) = it.status().await else {
                let volume = format!("{}_locket", it.project);
                return it.engine.volume(&volume).await.unwrap().is_none();
            };
            let put_back = |c: &api::Condition| c.reason == "RolledBack" && !c.status;
            let waits = |w: &api::Waiting| w.reason != "Rejected";
            it.is_ready().await
                || status.conditions.iter().any(put_back) && !status.waiting.iter().any(waits)
        };
        self.until("nothing is left to be done", rests).await;
    }

    /// Waits for that.
    pub async fn ready(&self) {
        self.until("everything is ready", Self::is_ready).await;
    }
}

fn compiled(project: &str, text: &str) -> ProjectSpec {
    let text = format!("name: {project}\n{text}");
    let sources = [Text::new("compose.yaml", text.as_str())];
    let (spec, problems) = compile(&ModelInput {
        model_yaml: &text,
        sources: &sources,
        working_dir: "/project",
        read_template: &|_| Err("no files here".into()),
    });
    spec.unwrap_or_else(|| panic!("{problems:#?}"))
}
