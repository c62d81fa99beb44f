//! A compose project on a fake engine, a backend in memory, and somebody who looks after it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_crds::api::{self, ApplyMode, ApplyRequest, Progress};
use locket_crds::compose::{ModelInput, compile};
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{ProjectSpec, SourceSpec};
use locket_delivery::clock::Stamp;
use locket_delivery::protocol::{frame, frame_length};
use locket_delivery::session::{Roots, Services, Session};
use locket_engine::fake::{App, AppView, ExecCall, Fake, FakeImage};
use locket_engine::{Container, CreateContainer, Engine, NewMount};
use locket_provider::{
    Capabilities, Error, ErrorKind, Fetched, SecretStore, SecretValue, SecretVersion,
};
use locket_runtime::{Config, Controller};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::Host;
use crate::own::image::Binary;
use crate::project::Shared;
use crate::service::{Passes, Role, Service};
use crate::sources::{Authority, OpenStore, Sources};

pub const PROJECT: &str = "shop";

/// Secrets with a version each; counts what it is asked.
#[derive(Default)]
pub struct Backend {
    pub secrets: Mutex<BTreeMap<String, (u64, Vec<u8>)>>,
    pub down: Mutex<Option<ErrorKind>>,
    pub fetches: Mutex<Vec<usize>>,
}

impl Backend {
    pub fn set(&self, name: &str, value: &str) {
        let mut secrets = self.secrets.lock().unwrap();
        let it = secrets.entry(name.to_owned()).or_default();
        *it = (it.0 + 1, value.as_bytes().to_vec());
    }

    pub fn fetched(&self) -> usize {
        self.fetches.lock().unwrap().len()
    }

    fn one(&self, reference: &SecretRef) -> Result<(u64, Vec<u8>), Error> {
        if let Some(kind) = *self.down.lock().unwrap() {
            return Err(Error::new(kind, "the backend says no"));
        }
        let secrets = self.secrets.lock().unwrap();
        let found = secrets.get(reference.path()).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such secret"))
    }
}

struct Opened(Arc<Backend>);

impl SecretStore for Opened {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            versions: true,
            watch: false,
        }
    }

    fn versions<'a>(
        &'a self,
        refs: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>> {
        let version = |r| Ok(SecretVersion(self.0.one(r)?.0.to_string()));
        async move { refs.iter().map(version).collect() }.boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        self.0.fetches.lock().unwrap().push(refs.len());
        let fetch = |r| {
            let (version, value) = self.0.one(r)?;
            Ok(Fetched {
                value: SecretValue::new(value),
                version: SecretVersion(version.to_string()),
            })
        };
        async move { refs.iter().map(fetch).collect() }.boxed()
    }
}

struct Opener(Arc<Backend>);

impl OpenStore for Opener {
    fn open(
        &self,
        _: &ProjectName,
        _: &SourceName,
        _: &SourceSpec,
    ) -> Result<Arc<dyn SecretStore>, Error> {
        Ok(Arc::new(Opened(Arc::clone(&self.0))))
    }
}

pub struct World {
    pub fake: Fake,
    pub engine: Engine,
    pub backend: Arc<Backend>,
    pub service: Arc<Service>,
    text: String,
    runner: tokio::task::JoinHandle<()>,
}

/// A static ELF program of one byte more than its headers.
fn program() -> Vec<u8> {
    let mut it = vec![0_u8; 64 + 56];
    it[..6].copy_from_slice(b"\x7fELF\x02\x01");
    it[18..20].copy_from_slice(&62_u16.to_le_bytes());
    it[32..40].copy_from_slice(&64_u64.to_le_bytes());
    it[54..56].copy_from_slice(&56_u16.to_le_bytes());
    it[56..58].copy_from_slice(&1_u16.to_le_bytes());
    it[64..68].copy_from_slice(&1_u32.to_le_bytes());
    it
}

/// What runs in our own containers and under our shim.
async fn exec(fake: Fake, call: ExecCall) -> i64 {
    match call.argv.get(1).map(String::as_str) {
        Some("anchor-session") => anchor_session(fake, call).await.map_or(1, |()| 0),
        Some("probe") => 3,
        _ => 127,
    }
}

async fn anchor_session(fake: Fake, mut call: ExecCall) -> std::io::Result<()> {
    let services: BTreeMap<String, PathBuf> = call
        .mounts
        .iter()
        .filter_map(|(target, dir)| Some((target.strip_prefix("/v/")?.to_owned(), dir.clone())))
        .collect();
    let roots = Roots {
        project: call.mounts["/p"].clone(),
        services: Services::Each(services),
        any_filesystem: true,
    };
    let clock = move || {
        let now = fake.now();
        Stamp {
            realtime: now,
            boottime: now,
        }
    };
    let mut session = Session::open(&roots, Box::new(clock))?;
    loop {
        let mut length = [0; 4];
        let read = tokio::time::timeout(session.silence(), call.stream.read_exact(&mut length));
        if !matches!(read.await, Ok(Ok(_))) {
            return Ok(());
        }
        let mut payload = Zeroizing::new(vec![0; frame_length(length)?]);
        call.stream.read_exact(&mut payload).await?;
        let answer = session.answer(payload).map_err(std::io::Error::other)?;
        call.stream.write_all(&frame(&answer)).await?;
    }
}

impl World {
    /// Somebody looks after everything; nothing is there yet.
    pub async fn new(text: &str) -> Self {
        if std::env::var_os("LOCKET_TEST_LOG").is_some() {
            let _ = tracing_subscriber::fmt()
                .without_time()
                .with_ansi(false)
                .with_target(false)
                .with_test_writer()
                .with_env_filter("locket=debug")
                .try_init();
        }
        let fake = Fake::new();
        let handler = fake.clone();
        fake.on_exec(Arc::new(move |call| exec(handler.clone(), call).boxed()));
        fake.add_image("app", FakeImage::default());
        let engine = fake.connect().await.unwrap();
        let backend = Arc::new(Backend::default());
        let (service, runner) = Self::controller(&engine, &backend).await;
        Self {
            fake,
            engine,
            backend,
            service,
            text: text.to_owned(),
            runner,
        }
    }

    async fn controller(
        engine: &Engine,
        backend: &Arc<Backend>,
    ) -> (Arc<Service>, tokio::task::JoinHandle<()>) {
        let binary = Binary::new(program()).unwrap();
        let shared = Shared {
            host: Arc::new(Host::new(engine.clone(), binary, "test")),
            sources: Sources::new(
                Arc::new(Opener(Arc::clone(backend))),
                Authority::Host(Arc::default()),
            ),
            cache: Arc::default(),
            owners: Default::default(),
            holder: "a test".into(),
        };
        let service = Service::new(Arc::new(shared), Role::Controller, "test").await;
        let service = service.unwrap();
        let (controller, handle) = Controller::new(Passes(Arc::clone(&service)), Config::new(1));
        service.attach(handle);
        let follow = crate::process::follow_engine(Arc::clone(&service));
        let runner = tokio::spawn(async move {
            tokio::select! { _ = controller.run(std::future::pending()) => {}, () = follow => {} }
        });
        (service, runner)
    }

    /// The controller is killed, and another one starts.
    pub async fn restart_controller(&mut self) {
        self.runner.abort();
        let _ = (&mut self.runner).await;
        (self.service, self.runner) = Self::controller(&self.engine, &self.backend).await;
    }

    pub fn spec(&self) -> ProjectSpec {
        let text = format!("name: {PROJECT}\n{}", self.text);
        let sources = [("compose.yaml".to_owned(), text.clone())];
        let (spec, problems) = compile(&ModelInput {
            model_yaml: &text,
            sources: &sources,
            working_dir: "/shop",
            read_template: &|_| Err("no files here".into()),
        });
        spec.unwrap_or_else(|| panic!("{problems:#?}"))
    }

    fn volume(key: &str) -> String {
        format!("{PROJECT}_{key}")
    }

    /// Makes the volumes, as `docker compose up` does before it asks the gate.
    pub async fn volumes(&self) {
        let label = |key: &str| -> BTreeMap<String, String> {
            let project = ("com.docker.compose.project".into(), PROJECT.into());
            [project, ("com.docker.compose.volume".into(), key.into())].into()
        };
        let spec = self.spec();
        let none = BTreeMap::new();
        self.engine
            .create_volume(&Self::volume("locket"), &none, &label("locket"))
            .await
            .unwrap();
        let tmpfs: BTreeMap<String, String> = [
            ("type".into(), "tmpfs".into()),
            ("device".into(), "tmpfs".into()),
        ]
        .into();
        for service in spec.services.keys() {
            let key = format!("locket-{service}");
            self.engine
                .create_volume(&Self::volume(&key), &tmpfs, &label(&key))
                .await
                .unwrap();
        }
    }

    /// What the gate asks for.
    pub async fn gate(&self) -> Result<api::Applied, crate::access::Error> {
        let request = ApplyRequest {
            spec: Some(self.spec()),
            mode: ApplyMode::Deliver,
        };
        let project = PROJECT.into();
        let mut told = |_: Progress| {};
        self.service
            .apply(&project, request, Duration::from_secs(60), &mut told)
            .await
    }

    /// `docker compose up -d`: volumes, gate, containers.
    pub async fn up(&self) {
        self.volumes().await;
        self.gate().await.unwrap();
        for (name, service) in &self.spec().model {
            if service.provider.is_some() {
                continue;
            }
            self.create(name.as_str(), 1).await;
        }
    }

    /// Makes and starts a container as compose does.
    pub async fn create(&self, service: &str, number: u32) {
        let spec = self.spec();
        let mut mounts = Vec::new();
        if let Some(asked) = spec.services.get(service) {
            mounts.push(NewMount::Volume {
                source: Self::volume("locket"),
                target: "/sbin/docker-init".into(),
                subpath: Some("shim/docker-init".into()),
                read_only: true,
                nocopy: true,
            });
            mounts.push(NewMount::Volume {
                source: Self::volume(&format!("locket-{service}")),
                target: asked.path.clone(),
                subpath: None,
                read_only: true,
                nocopy: true,
            });
        }
        let label = |key: &str, value: String| (format!("com.docker.compose.{key}"), value);
        let create = CreateContainer {
            name: format!("{PROJECT}-{service}-{number}"),
            image: "app".into(),
            labels: [
                label("project", PROJECT.into()),
                label("service", service.into()),
                label("container-number", number.to_string()),
                label("oneoff", "False".into()),
            ]
            .into(),
            mounts,
            init: Some(true),
            ..CreateContainer::default()
        };
        let id = self.engine.create(&create).await.unwrap();
        self.engine.start(&id).await.unwrap();
    }

    /// What runs in the containers: reads these files of its secrets, once a generation is there.
    pub fn app(&self, reads: &[&str], app: App) {
        let reads = reads
            .iter()
            .map(|name| format!("/run/secrets/{name}"))
            .collect();
        let waits_for = Some("/run/secrets/..data".into());
        self.fake.set_program(
            "app",
            App {
                reads,
                waits_for,
                ..app
            }
            .program(),
        );
    }

    pub async fn container(&self, service: &str) -> Container {
        let name = format!("{PROJECT}-{service}-1");
        self.engine.inspect(&name).await.unwrap().unwrap()
    }

    pub fn view(&self, service: &str) -> AppView {
        self.fake.view(&format!("{PROJECT}-{service}-1")).unwrap()
    }

    /// What the application has read of a secret.
    pub fn has(&self, service: &str, name: &str) -> String {
        let view = self.view(service);
        let bytes = view.files.get(&format!("/run/secrets/{name}"));
        bytes.map_or_else(String::new, |b| String::from_utf8_lossy(b).into_owned())
    }

    pub async fn status(&self) -> api::ProjectStatus {
        let project = PROJECT.into();
        let mut all = self.service.status(Some(&project)).await.unwrap().projects;
        all.pop().unwrap()
    }

    pub async fn condition(
        &self,
        service: Option<&str>,
        kind: api::ConditionKind,
    ) -> api::Condition {
        let status = self.status().await;
        let all = match service {
            None => status.conditions,
            Some(name) => {
                let mut services = status.services.into_iter();
                services
                    .find(|s| s.service.as_str() == name)
                    .unwrap()
                    .conditions
            }
        };
        all.into_iter().find(|c| c.kind == kind).unwrap()
    }

    /// Waits for a state, with a deadline on the paused clock.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(600);
        while !holds(self).await {
            if Instant::now() > deadline {
                let status = self.service.status(None).await.unwrap();
                panic!(
                    "never: {what}\n{}",
                    serde_json::to_string_pretty(&status).unwrap()
                );
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn ready(&self) {
        let ready = async |w: &Self| {
            w.condition(None, api::ConditionKind::Ready).await.status && w.is_quiet().await
        };
        self.until("everything is ready", ready).await;
    }

    async fn is_quiet(&self) -> bool {
        self.status().await.waiting.is_empty()
    }
}
