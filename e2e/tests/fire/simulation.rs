//! Thousands of schedules: seeded, under a paused clock, on the fake engine. In each, values change while calls fail, events are lost,
//! doubled and late, the engine and controllers go and come, people and compose act on the same containers, and clocks are set.
//! What must always hold is looked at after every step; in the end everything must be as it should be, without a human.
//!
//! A schedule that fails prints its seed and its trace; `LOCKET_SEED=17 cargo nextest run -p locket-e2e --test fire one_schedule`
//! runs it again. `LOCKET_SCHEDULES` is their number, 1,000 if nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use locket_controller::fake::{Another, Runs, World};
use locket_engine::fake::{App, EventFault, Fault, Glance};
use locket_engine::{CreateContainer, Healthcheck, RestartPolicy, Status};
use locket_provider::ErrorKind;
use tokio::time::{Instant, sleep};

/// So many tests share the schedules, and the cores.
const PARTS: u64 = 16;

const HEAD: &str = r#"
x-locket:
  defaults: { settle: 100ms, restart_every: 0s, refresh: 15s }
  secrets: { key: local:key, other: local:other }
services:
  locket: { provider: { type: locket } }
"#;

/// What can be up.
struct Shape {
    text: &'static str,
    /// The files that each service is given.
    files: &'static [(&'static str, &'static [&'static str])],
    /// Who may be restarted for a new value of `key`, and of `other`.
    restarts: [&'static [&'static str]; 2],
}

const SHAPES: [Shape; 4] = [
    Shape {
        text: "  api: { image: app, depends_on: [locket], x-locket: { secrets: [key], env: { KEY: key } } }
  mailer: { image: app, depends_on: [locket], x-locket: [other] }",
        files: &[("api", &["key"]), ("mailer", &["other"])],
        restarts: [&["api"], &["mailer"]],
    },
    Shape {
        text: "  db: { image: app, depends_on: [locket], x-locket: [key] }
  api: { image: app, depends_on: [locket, db], x-locket: [key, other] }",
        files: &[("db", &["key"]), ("api", &["key", "other"])],
        restarts: [&["db", "api"], &["api"]],
    },
    // `db` is told by a hook before the others get a new value.
    Shape {
        text: "  db: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: { exec: [cp, /run/secrets/key, /state/key] } } }
  api: { image: app, depends_on: [locket, db], x-locket: [key] }",
        files: &[("db", &["key"]), ("api", &["key"])],
        restarts: [&["api"], &[]],
    },
    Shape {
        text: "  api: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: 'signal:SIGHUP' } }
  mailer: { image: app, depends_on: { locket: { condition: service_started }, api: { condition: service_started, restart: true } }, x-locket: [other] }",
        files: &[("api", &["key"]), ("mailer", &["other"])],
        restarts: [&[], &["mailer"]],
    },
];

/// An event comes so much late at most, milliseconds.
const DELAY: u64 = 30_000;

/// A container that has nothing to do with us.
const BYSTANDER: &str = "bystander";

/// A schedule under way.
struct Run {
    world: World,
    rng: Rng,
    trace: Arc<Mutex<Vec<String>>>,
    another: Option<Another>,
    services: Vec<String>,
    /// Values that each secret has had.
    values: BTreeMap<&'static str, Vec<String>>,
    /// Services that a user has stopped, and nobody has started since.
    stopped: BTreeSet<String>,
    /// The same where nobody can tell the user's stop from a controller's: they may be started again, or left alone.
    unclear: BTreeSet<String>,
    /// The latest time that the engine's clock has shown before it was set back.
    latest: locket_engine::Time,
    /// How often each service may have been started, at most.
    most: BTreeMap<String, u32>,
    offset: i64,
    /// When all events were heard that were made late; `None` while more may be.
    deaf_until: Option<Instant>,
    shape: &'static Shape,
}

impl Run {
    async fn new(seed: u64, trace: Arc<Mutex<Vec<String>>>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let project = rng.usize(..SHAPES.len());
        let shape = &SHAPES[project];
        let text = format!("{HEAD}{}\n", shape.text);
        let mut world = World::alone("shop", &text).await;
        let app = App {
            reload_on: Some("SIGHUP".to_owned()),
            stop_takes: Duration::from_millis(rng.u64(0..9000)),
            ..App::default()
        };
        world.app(&["key", "other"], app);
        let services: Vec<String> = world
            .spec()
            .services
            .keys()
            .map(ToString::to_string)
            .collect();
        for service in &services {
            let reads = if service == "mailer" { "other" } else { "key" };
            let file = format!("/run/secrets/{reads}");
            let healthcheck = Healthcheck {
                test: ["CMD", "grep", "-qv", "bad", &file]
                    .map(str::to_owned)
                    .to_vec(),
                interval: Duration::from_secs(1),
                timeout: Duration::ZERO,
                start_period: Duration::ZERO,
                retries: 2,
            };
            let runs = Runs {
                healthcheck: Some(healthcheck),
                tmpfs: vec!["/state".to_owned()],
                restart: RestartPolicy::UnlessStopped,
                ..Runs::default()
            };
            world.runs(service, runs);
        }
        let most = services.iter().map(|s| (s.clone(), 1)).collect();
        let mut it = Self {
            world,
            rng,
            trace,
            another: None,
            services,
            values: BTreeMap::new(),
            stopped: BTreeSet::new(),
            unclear: BTreeSet::new(),
            latest: locket_engine::Time::default(),
            most,
            offset: 0,
            deaf_until: Some(Instant::now()),
            shape,
        };
        it.note(format!("project {project}"));
        it.set("key", false);
        it.set("other", false);
        let bystander = CreateContainer {
            name: BYSTANDER.to_owned(),
            image: "app".to_owned(),
            ..CreateContainer::default()
        };
        it.world.engine.create(&bystander).await.unwrap();
        it.world.start_controller().await;
        it.world.up().await.unwrap();
        it
    }

    /// Whether `db` is told by a hook, before the others get a new value.
    fn has_hook(&self) -> bool {
        self.shape.text.contains("exec:")
    }

    fn note(&self, what: String) {
        self.world.fake.note(&format!("- {what}"));
    }

    /// Gives a secret a new value. The controller is not told.
    fn set(&mut self, secret: &'static str, is_bad: bool) -> String {
        let values = self.values.entry(secret).or_default();
        let value = format!(
            "{}-{secret}-{}",
            if is_bad { "bad" } else { "good" },
            values.len()
        );
        values.push(value.clone());
        self.world.backend.set(secret, &value);
        // A restart for the value, and one to put the last good one back.
        let restarts = self.shape.restarts[usize::from(secret == "other")];
        for service in restarts {
            *self.most.get_mut(*service).unwrap() += if is_bad { 2 } else { 1 };
        }
        self.note(format!("{secret} = {value}"));
        value
    }

    fn may_start(&mut self, times: u32) {
        self.most.values_mut().for_each(|most| *most += times);
    }

    fn glance(&self, service: &str) -> Glance {
        let name = format!("shop-{service}-1");
        self.world.fake.glance(&name).unwrap()
    }

    fn some_service(&mut self) -> String {
        let n = self.rng.usize(..self.services.len());
        self.services[n].clone()
    }

    /// Everything that happens, and what must come of it.
    async fn all(&mut self) {
        let steps = self.rng.usize(3..12);
        for _ in 0..steps {
            self.step().await;
            self.look();
        }
        self.heal().await;
        self.look_back().await;
    }

    /// One thing that happens.
    async fn step(&mut self) {
        match self.rng.u32(..100) {
            0..25 => {
                let secret = if self.rng.u32(..4) == 0 {
                    "other"
                } else {
                    "key"
                };
                let is_bad = self.rng.u32(..6) == 0;
                let value = self.set(secret, is_bad);
                // Half of the time nobody says so, and a poll finds it.
                if self.rng.bool() {
                    self.world.store(secret, &value).await;
                }
            }
            25..40 => self.call_fault(),
            40..50 => self.event_fault(),
            50..58 => {
                self.note("the engine's machine restarts".to_owned());
                self.world.fake.go_down();
                sleep(Duration::from_secs(self.rng.u64(0..20))).await;
                self.world.fake.come_up();
                self.may_start(1);
                // The test's own client notices that its connections are gone.
                sleep(Duration::from_millis(1)).await;
            }
            58..62 => {
                self.note("connections break".to_owned());
                self.world.fake.break_connections();
                sleep(Duration::from_millis(1)).await;
            }
            62..70 => {
                self.note("the controller is killed, and another starts".to_owned());
                self.world.kill_controller().await;
                sleep(Duration::from_secs(self.rng.u64(0..20))).await;
                self.world.start_controller().await;
            }
            70..74 => {
                self.another = match self.another.take() {
                    None => {
                        self.note("a second controller starts".to_owned());
                        Some(self.world.another_controller().await)
                    }
                    Some(_) => {
                        self.note("the second controller is killed".to_owned());
                        None
                    }
                };
            }
            74..88 => self.people().await,
            88..94 => {
                let seconds = self.rng.i64(-30..30);
                self.note(format!("the clock is set by {seconds} s"));
                self.latest = self.latest.max(self.world.fake.now());
                self.offset += seconds * 1_000_000_000;
                self.world.fake.set_clock_offset(self.offset);
                // A process whose start cannot be told any more is restarted once.
                self.may_start(1);
            }
            94..97 => self.backend_fault(),
            _ => {
                self.note("refresh".to_owned());
                let _ = self.world.refresh().await;
                // What was rejected is tried once more.
                self.may_start(2);
            }
        }
        let millis = match self.rng.u32(..3) {
            0 => self.rng.u64(..200),
            1 => self.rng.u64(..3000),
            _ => self.rng.u64(..20_000),
        };
        self.note(format!("  {millis} ms pass"));
        sleep(Duration::from_millis(millis)).await;
    }

    fn call_fault(&mut self) {
        let pattern = [
            "/start",
            "/stop",
            "/containers/",
            "/exec",
            "/volumes",
            "GET ",
            "POST ",
        ];
        let pattern = self.rng.choice(pattern).unwrap();
        let fault = match self.rng.u32(..5) {
            0 => Fault::Break,
            1 => Fault::Status(500),
            2 => Fault::LoseAnswer,
            3 => Fault::HalfBody,
            _ => Fault::Delay(Duration::from_millis(self.rng.u64(..15_000))),
        };
        let times = self.rng.usize(1..4);
        self.note(format!("{times} of {pattern} go wrong: {fault:?}"));
        self.world.fake.faults().on(pattern, fault, times);
    }

    fn event_fault(&mut self) {
        let fault = match self.rng.u32(..3) {
            0 => EventFault::Lose,
            1 => EventFault::Double,
            _ => {
                self.deaf_until = None;
                EventFault::Delay(Duration::from_millis(self.rng.u64(..DELAY)))
            }
        };
        let times = self.rng.usize(1..6);
        self.note(format!("{times} events: {fault:?}"));
        self.world.fake.faults().on_event("container", fault, times);
    }

    fn backend_fault(&mut self) {
        let kind = match self.rng.u32(..4) {
            0 => Some(ErrorKind::Unavailable),
            1 => Some(ErrorKind::Denied),
            _ => None,
        };
        let slow = Duration::from_millis(self.rng.u64(..5000));
        self.note(format!("the backend: {kind:?}, answers take {slow:?}"));
        self.world.backend.fail_with(kind);
        self.world.backend.take(slow);
    }

    /// Compose and people act. Their calls do not fail.
    async fn people(&mut self) {
        let service = self.some_service();
        match self.rng.u32(..5) {
            0 => {
                self.note("docker compose up -d".to_owned());
                // It may say no, while its controller cannot do its part; then it has started nothing that was not there.
                if self.world.up().await.is_ok() {
                    self.are_wanted(None);
                }
                self.may_start(1);
            }
            1 => {
                self.note("docker compose restart".to_owned());
                self.world.restart(None).await;
                self.are_wanted(None);
                self.may_start(1);
            }
            2 => {
                self.note(format!("docker restart {service}"));
                self.world.restart(Some(&service)).await;
                self.are_wanted(Some(&service));
                self.may_start(1);
            }
            3 => {
                self.note(format!("docker stop {service}"));
                let it = self.glance(&service);
                let id = it.id;
                // Of one that does not run the engine tells nobody.
                let nothing_to_stop =
                    it.status != Status::Running && !self.stopped.contains(&service);
                // Whoever is not heard cannot be heeded.
                self.world.fake.faults().clear_events();
                // Two who stop at once cannot be told apart; and by a clock that was set back, this was before what came before it.
                let others = self.is_being_restarted(&id);
                let others = others || self.world.fake.now() < self.latest;
                let (before, is_deaf) = (self.world.fake.requests().len(), self.is_deaf());
                self.world.engine.stop(&id, None).await.unwrap();
                let stop = format!("POST /containers/{id}/stop?t=");
                let since = self.world.fake.requests().split_off(before);
                let others = others || is_deaf && since.iter().any(|it| it.starts_with(&stop));
                match others || nothing_to_stop || self.world.fake.now() < self.latest {
                    true => self.unclear.insert(service),
                    false => self.stopped.insert(service),
                };
            }
            _ => {
                self.note(format!("docker start {service}"));
                let id = self.glance(&service).id;
                self.world.engine.start(&id).await.unwrap();
                self.are_wanted(Some(&service));
                self.may_start(1);
            }
        }
    }

    /// True while what happens now may be heard late: events keep their order, so that one that is late holds up others.
    fn is_deaf(&mut self) -> bool {
        let last = Instant::now() + Duration::from_millis(DELAY);
        Instant::now() < *self.deaf_until.get_or_insert(last)
    }

    /// Somebody wants this one to run, or all.
    fn are_wanted(&mut self, which: Option<&String>) {
        let others = |it: &String| which.is_some_and(|which| which != it);
        self.stopped.retain(others);
        self.unclear.retain(others);
    }

    /// True if a controller has asked for a stop of this container, and has not started it since.
    fn is_being_restarted(&self, id: &str) -> bool {
        let all = self.world.fake.requests();
        let last = |what: &str| {
            let call = format!("POST /containers/{id}/{what}?t=");
            let call = if what == "stop" {
                call
            } else {
                format!("POST /containers/{id}/start")
            };
            all.iter().rposition(|it| it.starts_with(&call))
        };
        last("stop") > last("start")
    }

    /// What must hold at any time.
    fn look(&self) {
        for service in &self.services {
            let it = self.glance(service);
            let runs = matches!(it.status, Status::Running | Status::Restarting);
            assert!(
                !(runs && self.stopped.contains(service)),
                "{service} runs, and a user has stopped it"
            );
            let view = self.world.view(service);
            for (path, bytes) in &view.files {
                let name = path.rsplit('/').next().unwrap();
                let known = self.values[name].iter().any(|v| v.as_bytes() == bytes);
                assert!(
                    known,
                    "{service} has read something else than a value from {path}"
                );
            }
            assert!(
                !view.ready || !view.files.is_empty(),
                "{service} runs without its secrets"
            );
            let most = self.most[service];
            assert!(
                view.starts <= most,
                "{service} was started {} times, {most} at most",
                view.starts
            );
            // Files and variables of one start are of one generation.
            if let Some(variable) = view.env.get("KEY").filter(|_| view.ready) {
                let file = view.files.get("/run/secrets/key");
                assert_eq!(
                    file,
                    Some(variable),
                    "{service} has two values of one secret"
                );
            }
            let volume = self
                .world
                .fake
                .volume_dir(&format!("shop_locket-{service}"))
                .unwrap();
            for (name, values) in &self.values {
                if let Ok(text) = std::fs::read_to_string(volume.join(name)) {
                    assert!(values.contains(&text), "{name} of {service} is no value");
                }
            }
        }
    }

    /// What was never ours was never touched, and what we wrote down and say has no value in it.
    async fn look_back(&self) {
        let id = self.world.fake.glance(BYSTANDER).unwrap().id;
        let touched = |it: &&String| it.contains(&id) && !it.starts_with("GET ");
        let all = self.world.fake.requests();
        assert_eq!(all.iter().find(touched), None, "the bystander was touched");

        let mut said = self.world.report().await;
        said += &format!("{:?}", self.world.events().await);
        let mut open = vec![self.world.fake.volume_dir("shop_locket").unwrap()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => open.push(path),
                    false => said += &String::from_utf8_lossy(&std::fs::read(path).unwrap()),
                }
            }
        }
        for value in self.values.values().flatten() {
            assert!(
                !said.contains(value.as_str()),
                "{value} was written down or said"
            );
        }
    }

    /// Everything works again, and nobody does anything any more: in the end everything is as it should be, and stays so.
    async fn heal(&mut self) {
        self.another = None;
        self.world.fake.faults().clear();
        self.world.backend.fail_with(None);
        self.world.backend.take(Duration::ZERO);
        // Half of the time nothing new comes, which would cover up what was lost before. Where a database has rejected its last
        // value, nobody goes on who has the same one.
        let is_rejected = self.values["key"].last().unwrap().starts_with("bad");
        if is_rejected || self.rng.bool() {
            self.set("key", false);
        }
        self.note("everything works again".to_owned());
        // The longest of all waits is that for a retry.
        let deadline = Instant::now() + Duration::from_secs(1200);
        loop {
            sleep(Duration::from_secs(10)).await;
            match self.missing().await {
                None => break,
                Some(what) => assert!(Instant::now() < deadline, "{what}"),
            }
        }
        sleep(Duration::from_secs(20)).await;
        self.look();
        if let Some(what) = self.missing().await {
            panic!("it does not stay so: {what}");
        }
    }

    /// True if nobody can tell whether this is down for a user's stop or a controller's.
    fn is_unclear(&self, service: &str) -> bool {
        self.unclear.contains(service) || self.glance(service).stopped_late
    }

    /// True if it is said that the last good content was put back.
    async fn is_rolled_back(&self, service: &str) -> bool {
        let status = self.world.status().await;
        let services = status.into_iter().flat_map(|it| it.services);
        let mut own = services.filter(|it| it.service.as_str() == service);
        own.any(|it| it.conditions.iter().any(|it| it.reason == "RolledBack"))
    }

    /// What is not as it should be in the end.
    async fn missing(&self) -> Option<String> {
        for service in &self.services {
            if self.stopped.contains(service) {
                continue;
            }
            let it = self.glance(service);
            if it.status != Status::Running {
                if self.is_unclear(service) {
                    continue;
                }
                let acts = self.world.explain(service).await.unwrap().history;
                // Whose stop it was is told by the engine's answer, or else by the clock. With neither it counts as a user's.
                let left = acts.iter().find(|act| act.container.is_some());
                if self.offset != 0 && left.is_some_and(|act| act.action == "left alone") {
                    continue;
                }
                let acts: Vec<String> = acts.iter().map(|act| format!("{act:?}")).collect();
                return Some(format!(
                    "{service} does not run; latest first:\n{}",
                    acts.join("\n")
                ));
            }
            // Nobody gets ahead of a database that cannot be told.
            let waits = self.has_hook() && (self.stopped.contains("db") || self.is_unclear("db"));
            if waits {
                continue;
            }
            let volume = format!("shop_locket-{service}");
            let volume = self.world.fake.volume_dir(&volume).unwrap();
            let view = self.world.view(service);
            let given = self.shape.files.iter().find(|it| it.0 == service).unwrap();
            for secret in given.1 {
                let wanted = self.values[secret].last().unwrap();
                let Ok(text) = std::fs::read_to_string(volume.join(secret)) else {
                    return Some(format!("{service} has no {secret} in its volume"));
                };
                // What is rejected is followed by something else in the end, or stays away.
                if wanted.starts_with("bad") {
                    if text == *wanted && self.is_rolled_back(service).await {
                        return Some(format!("{service} was rolled back, and has {text}"));
                    }
                    continue;
                }
                if text != *wanted {
                    return Some(format!("{service} has {text} in its volume"));
                }
                // A hook tells `db` without a restart.
                let is_told = self.has_hook() && service == "db";
                let file = format!("/run/secrets/{secret}");
                if !is_told && view.files.get(&file).map(Vec::as_slice) != Some(wanted.as_bytes()) {
                    return Some(format!("{service} does not run with {wanted}"));
                }
            }
        }
        let others = self.values["other"].last().unwrap().starts_with("bad");
        let mut is_over = !self.stopped.is_empty() || others;
        for service in &self.services {
            is_over |= self.is_unclear(service);
        }
        let is_over = is_over || self.world.is_ready().await;
        if is_over {
            return None;
        }
        let status = self.world.status().await?;
        Some(format!("not ready: {status:#?}"))
    }
}

/// What has led to a failure is told.
impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("LOCKET_TEST_LOG").is_some() {
            *self.trace.lock().unwrap() = self.world.fake.journal();
        }
    }
}

/// A directory of the engine that it ran on.
async fn schedule(seed: u64, trace: Arc<Mutex<Vec<String>>>) -> PathBuf {
    let mut run = Run::new(seed, trace).await;
    run.all().await;
    run.world.fake.volume_dir("shop_locket").unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

fn one(seed: u64) {
    if std::env::var_os("LOCKET_TEST_LOG").is_some() {
        let _ = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_test_writer()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .try_init();
    }
    let trace: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = std::panic::catch_unwind({
        let trace = Arc::clone(&trace);
        move || {
            let runtime = runtime();
            // Debug builds make large futures.
            let directory = runtime.block_on(Box::pin(schedule(seed, trace)));
            drop(runtime);
            assert!(!directory.exists(), "something holds the engine");
        }
    });
    let trace = trace.lock().unwrap().join("\n  ");
    if told.is_err() {
        panic!("LOCKET_SEED={seed}\n  {trace}");
    } else if !trace.is_empty() {
        println!("{trace}");
    }
}

fn part(part: u64) {
    let all: u64 = std::env::var("LOCKET_SCHEDULES").map_or(1000, |n| n.parse().unwrap());
    for seed in (part..all).step_by(usize::try_from(PARTS).unwrap()) {
        one(seed);
    }
}

#[test]
fn one_schedule() {
    one(std::env::var("LOCKET_SEED").map_or(1, |seed| seed.parse().unwrap()));
}

/// A seed that fails must fail again for whoever looks into it.
#[test]
fn a_seed_is_a_schedule() {
    for seed in 0..20 {
        let journal = || {
            let trace: Arc<Mutex<Vec<String>>> = Arc::default();
            let runtime = runtime();
            runtime.block_on(Box::pin(async {
                let mut run = Run::new(seed, Arc::clone(&trace)).await;
                run.all().await;
                run.world.fake.journal()
            }))
        };
        let (first, second) = (journal(), journal());
        let differ = first.iter().zip(&second).position(|(a, b)| a != b);
        let from = differ
            .unwrap_or(first.len().min(second.len()))
            .saturating_sub(5);
        assert_eq!(first[from..], second[from..], "seed {seed}");
    }
}

/// One test each, so that several run at once, and none is long enough to look as if it hung.
macro_rules! parts {
    ($($name:ident = $part:literal),* $(,)?) => { $(
        #[test]
        fn $name() {
            part($part);
        }
    )* };
}

parts! {
    schedules_01 = 0, schedules_02 = 1, schedules_03 = 2, schedules_04 = 3,
    schedules_05 = 4, schedules_06 = 5, schedules_07 = 6, schedules_08 = 7,
    schedules_09 = 8, schedules_10 = 9, schedules_11 = 10, schedules_12 = 11,
    schedules_13 = 12, schedules_14 = 13, schedules_15 = 14, schedules_16 = 15,
}
