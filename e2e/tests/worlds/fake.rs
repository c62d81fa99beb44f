//! The fake engine, with the controller in this process, on a paused clock: an hour passes at once.

use std::collections::BTreeMap;
use std::time::Duration;

use locket_controller::fake::{Runs, World as Inner};
use locket_engine::{Container, ExecSpec, Health, Healthcheck, RestartPolicy, Status};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use crate::worlds::{Compose, Found, Hand, Stack, World, changes};

/// How much longer than asked something must hold: it costs nothing here.
const LONGER: Duration = Duration::from_secs(600);

pub struct FakeWorld {
    inner: Inner,
    project: String,
    values: u32,
    // Last, so that everything else is dropped before it.
    runtime: Runtime,
}

impl FakeWorld {
    fn run<T>(&self, it: impl Future<Output = T>) -> T {
        self.runtime.block_on(it)
    }

    /// Lets time pass until the engine was called so often, or for ten seconds.
    pub fn pass_calls(&self, calls: usize) {
        let count = || self.inner.fake.requests().len();
        self.run(async {
            let (until, deadline) = (count() + calls, Instant::now() + Duration::from_secs(10));
            while count() < until && Instant::now() < deadline {
                // A turn of the other tasks each, so that not many calls are made before the next look.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                    if count() >= until {
                        return;
                    }
                }
                // What computes on another thread holds the clock, and ends the wait.
                sleep(Duration::from_millis(10)).await;
            }
        });
    }

    /// The names of all containers, by id.
    fn names(&self) -> BTreeMap<String, String> {
        let all = self.run(self.inner.engine.containers(&[])).unwrap();
        all.into_iter().map(|it| (it.id, it.name)).collect()
    }

    async fn anchors_now(&self) -> Vec<Container> {
        let mut all = Vec::new();
        for name in self.inner.anchors().await {
            all.extend(self.inner.engine.inspect(&name).await.unwrap());
        }
        all
    }
}

impl World for FakeWorld {
    fn new(scenario: &str, stack: &Stack) -> Self {
        if std::env::var_os("LOCKET_TEST_LOG").is_some() {
            let _ = tracing_subscriber::fmt()
                .without_time()
                .with_ansi(false)
                .with_target(false)
                .with_test_writer()
                .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
                .try_init();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let mut inner = runtime.block_on(Inner::alone(scenario, &stack.compose()));
        for service in &stack.services {
            let healthcheck = (!service.check.is_empty()).then(|| Healthcheck {
                test: service.test(),
                interval: Duration::from_secs(1),
                timeout: Duration::ZERO,
                start_period: Duration::ZERO,
                retries: 2,
            });
            let runs = Runs {
                healthcheck,
                tmpfs: service
                    .has_state
                    .then(|| "/state".to_owned())
                    .into_iter()
                    .collect(),
                restart: match service.always {
                    true => RestartPolicy::Always,
                    false => RestartPolicy::No,
                },
                stop_signal: Some("SIGKILL".to_owned()),
                ..Runs::default()
            };
            inner.runs(service.name, runs);
        }
        Self {
            inner,
            project: scenario.to_owned(),
            values: 0,
            runtime,
        }
    }

    fn value(&mut self, name: &str) -> String {
        self.values += 1;
        format!("{name}-{}", self.values)
    }

    fn store(&mut self, name: &str, value: &str) {
        self.run(self.inner.store(name, value));
    }

    fn try_up(&mut self) -> bool {
        match self.run(self.inner.up()) {
            Ok(()) => true,
            Err(e) => {
                eprintln!("{e}");
                false
            }
        }
    }

    fn compose(&mut self, what: Compose) {
        match what {
            Compose::Stop => self.run(self.inner.stop()),
            Compose::Start => self.run(self.inner.start()),
            Compose::Restart => self.run(self.inner.restart(None)),
            Compose::Down => self.run(self.inner.down()).unwrap(),
        }
    }

    fn by_hand(&self, what: Hand, service: &str) {
        let id = self.container(service).id;
        let engine = &self.inner.engine;
        match what {
            Hand::Stop => drop(self.run(engine.stop(&id, Some(Duration::ZERO))).unwrap()),
            Hand::Start => self.run(engine.start(&id)).unwrap(),
            Hand::Restart => self.run(self.inner.restart(Some(service))),
            Hand::Remove => self.run(self.inner.rm(service)),
        }
    }

    fn stop_anchors(&self) {
        self.run(async {
            for it in self.anchors_now().await {
                self.inner
                    .engine
                    .stop(&it.id, Some(Duration::ZERO))
                    .await
                    .unwrap();
            }
        });
    }

    fn remove_anchors(&self) {
        self.run(async {
            for it in self.anchors_now().await {
                self.inner.engine.remove(&it.id, true).await.unwrap();
            }
        });
    }

    fn restart_engine(&self) {
        self.run(async {
            self.inner.fake.restart_engine();
            // The test's own client notices that its idle connections are gone.
            sleep(Duration::from_millis(1)).await;
        });
    }

    fn start_controller(&mut self) {
        self.runtime.block_on(self.inner.start_controller());
    }

    fn kill_controller(&mut self) {
        self.runtime.block_on(self.inner.kill_controller());
    }

    fn apply(&self) {
        self.run(self.inner.apply()).unwrap();
    }

    fn refresh(&self) {
        self.run(self.inner.refresh()).unwrap();
    }

    fn find(&self, service: &str) -> Option<Found> {
        let name = format!("{}-{service}-1", self.project);
        let it = self.run(self.inner.engine.inspect(&name)).unwrap()?;
        let health = match it.state.health {
            Health::None => "",
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        };
        Some(Found {
            id: it.id,
            started_at: format!("{:?}", it.state.started_at),
            running: it.state.status == Status::Running,
            health: health.to_owned(),
        })
    }

    fn starts(&self, service: &str) -> usize {
        self.inner.view(service).starts as usize
    }

    fn env(&self, service: &str, name: &str) -> Option<String> {
        let running = self.find(service)?.running;
        let view = self.inner.view(service);
        let value = view.env.get(name).filter(|_| running && view.ready)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    fn exec(&self, service: &str, argv: &[&str]) -> (i64, String) {
        let id = self.container(service).id;
        let spec = ExecSpec {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            ..ExecSpec::default()
        };
        let limit = Duration::from_secs(10);
        match self.run(self.inner.engine.exec_output(&id, &spec, 1 << 20, limit)) {
            Ok(out) => (out.code, String::from_utf8_lossy(&out.stdout).into_owned()),
            // As the docker CLI says it of a container that does not run.
            Err(_) => (1, String::new()),
        }
    }

    fn spoil(&self, service: &str, file: &str, text: &str) {
        let volume = format!("{}_locket-{service}", self.project);
        let dir = self.inner.fake.volume_dir(&volume).unwrap();
        let target = std::fs::canonicalize(dir.join(file)).unwrap();
        std::fs::remove_file(&target).unwrap();
        std::fs::write(target, text).unwrap();
    }

    fn anchors(&self) -> Vec<String> {
        let all = self.run(self.anchors_now());
        let running = all
            .into_iter()
            .filter(|it| it.state.status == Status::Running);
        running.map(|it| it.name).collect()
    }

    fn left(&self) -> Vec<String> {
        let project = format!("com.docker.compose.project={}", self.project);
        let engine = &self.inner.engine;
        let mut all = self.run(self.inner.anchors());
        let containers = self.run(engine.containers(&[&project])).unwrap();
        all.extend(containers.into_iter().map(|it| it.name));
        let volumes = self.run(engine.volumes(&[&project])).unwrap();
        all.extend(volumes.into_iter().map(|it| it.name));
        all
    }

    fn condition(&self, service: Option<&str>, kind: &str) -> Option<(bool, String, String)> {
        let kind = serde_json::from_value(kind.into()).unwrap();
        let it = self.run(self.inner.condition(service, kind))?;
        Some((it.status, it.reason, it.message))
    }

    fn ready(&self) {
        self.run(self.inner.ready());
    }

    fn eventually<T>(
        &self,
        seconds: u64,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        let begin = self.run(async { Instant::now() });
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let passed = self.run(async { begin.elapsed() });
            if passed > Duration::from_secs(seconds) {
                panic!(
                    "not within {seconds} s: {what}\n{}",
                    self.run(self.inner.report())
                );
            }
            self.pass_time(50);
        }
    }

    fn holds(&self, seconds: u64, what: &str, mut look: impl FnMut(&Self) -> bool) {
        let steps = [
            (Duration::from_millis(200), Duration::from_secs(seconds)),
            (Duration::from_secs(5), LONGER),
        ];
        for (step, long) in steps {
            for n in 0..long.as_millis() / step.as_millis() {
                assert!(
                    look(self),
                    "did not hold after {n} steps of {step:?}: {what}"
                );
                self.run(async { sleep(step).await });
            }
        }
    }

    fn pass_time(&self, millis: u64) {
        self.run(async { sleep(Duration::from_millis(millis)).await });
    }

    fn changes(&mut self, run: impl FnOnce(&mut Self)) -> Vec<String> {
        let before = self.inner.fake.requests().len();
        let mut names = self.names();
        run(self);
        names.extend(self.names());
        changes(&self.inner.fake.requests()[before..], &names, &self.project)
    }

    fn finish(self) {}
}
