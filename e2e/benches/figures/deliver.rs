//! From the controller's hint to bytes in a container, and to a container that was restarted with them.
//!
//! The hint is the moment at which the controller has read the store's word that something has changed; its debug log says when.
//! The end is seen by this program, which reads the file through the root of the container's own process.

use std::path::Path;
use std::time::{Duration, SystemTime};

use locket_e2e::{Container, Controller, Project, eventually};
use locket_engine::{Endpoint, Engine, ExecSpec};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Runtime;

use crate::watch::{appears, inside};
use locket_e2e::table::{Samples, Table, ms, ratio};

/// What the controller logs when it has a hint.
const HINT: &str = "The store has changed";
/// A container that has just started is given a second to read what it starts with; until then nothing new is published.
const YOUNG: Duration = Duration::from_millis(1200);
/// Bytes of a value.
const VALUE: usize = 32;

const FILES: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { token: "local:token" }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    tmpfs: [/bare]
    depends_on: [locket]
    x-locket: { secrets: [token], on_change: none }
"#;

/// Its first act is to show what it started with.
const RESTARTED: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { token: "local:token" }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sh, -c, "cat /run/secrets/token >/out/new && mv /out/new /out/seen; exec sleep 86400"]
    stop_signal: SIGKILL
    volumes: ["./out:/out"]
    depends_on: [locket]
    x-locket: { secrets: [token], on_change: { action: restart, stable: 0s } }
"#;

/// A runtime and a client of the engine, for what is measured without the product.
pub struct Bare {
    runtime: Runtime,
    engine: Engine,
}

impl Bare {
    pub fn connect() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let socket = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = socket
            .strip_prefix("unix://")
            .unwrap_or("/var/run/docker.sock");
        let endpoint = Endpoint::Unix(socket.into());
        let engine = runtime.block_on(Engine::connect(endpoint)).unwrap();
        Self { runtime, engine }
    }

    /// One exec that writes what it is given to a file.
    fn exec_writes(&self, id: &str, path: &str, bytes: &[u8]) {
        let spec = ExecSpec {
            argv: ["sh", "-c", &format!("cat >{path}")]
                .map(str::to_owned)
                .to_vec(),
            ..ExecSpec::default()
        };
        self.runtime.block_on(async {
            let mut stream = self.engine.exec(id, &spec).await.unwrap();
            stream.input.write_all(bytes).await.unwrap();
            stream.input.shutdown().await.unwrap();
            stream.handle.wait().await.unwrap();
        });
    }

    fn stop_and_start(&self, id: &str) {
        self.runtime.block_on(async {
            self.engine.stop(id, None).await.unwrap();
            self.engine.start(id).await.unwrap();
        });
    }
}

fn pid(it: &Container) -> u64 {
    it.inspect["State"]["Pid"].as_u64().unwrap()
}

/// When the controller had its first hint since then.
fn hint(controller: &Controller, since: SystemTime) -> Duration {
    let since = of_day(since);
    eventually(5, "the hint is in the log", || {
        let log = controller.log();
        let mut all = log.lines().filter(|l| l.contains(HINT)).map(|l| {
            let time = l.get(11..26)?;
            let mut parts = time.split(':').map(|p| p.parse::<f64>().ok());
            let mut next = || parts.next().flatten();
            let seconds = next()? * 3600.0 + next()? * 60.0 + next()?;
            Some(Duration::from_secs_f64(seconds))
        });
        all.find_map(|at| at.filter(|at| *at >= since))
    })
}

/// The time of the day; whoever measures around midnight measures again.
fn of_day(at: SystemTime) -> Duration {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let nanos = u64::try_from(since.as_nanos()).unwrap() % 86_400_000_000_000;
    Duration::from_nanos(nanos)
}

/// Sets a value; gives when the command began, when the hint was there, and when the file had it.
fn set(project: &Project, controller: &Controller, value: &str, file: &Path) -> [Duration; 3] {
    let begun = SystemTime::now();
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| appears(file, value.as_bytes()));
        project
            .locket(&["secret", "set", "token"])
            .stdin(value)
            .ok();
        reader.join().unwrap()
    });
    [of_day(begun), hint(controller, begun), of_day(seen)]
}

/// A controller that tells of hints, and holds nothing because somebody (we) has just touched a container.
fn controller(project: &Project) -> Controller {
    project.write("locket.yaml", "defaults: { quiet: 0s }\n");
    let config = project.dir().join("locket.yaml");
    let config = config.to_str().unwrap();
    let level = "info,locket_controller::process=debug";
    project.controller(&["--config", config, "--log-level", level])
}

fn value(kind: &str, n: usize) -> String {
    format!("{kind}-{n:0width$}", width = VALUE - kind.len() - 1)
}

/// Hint → bytes readable in the container.
pub fn files(table: &mut Table, bare: &Bare, samples: usize) {
    let mut project = Project::new("bench-files", FILES);
    project.store("token", "first");
    let controller = controller(&project);
    project.up(&[]);
    project.ready();
    std::thread::sleep(YOUNG);
    let app = project.container("app");
    let (delivered, written) = (
        inside(pid(&app), "/run/secrets/token"),
        inside(pid(&app), "/bare/token"),
    );
    let (mut from_hint, mut from_command) = (Samples::default(), Samples::default());
    let mut exec = Samples::default();
    for n in 0..samples {
        let [begun, hint, seen] = set(&project, &controller, &value("set", n), &delivered);
        from_hint.add(seen - hint);
        from_command.add(seen - begun);
        let bytes = value("bare", n);
        let begun = SystemTime::now();
        let seen = std::thread::scope(|scope| {
            let reader = scope.spawn(|| appears(&written, bytes.as_bytes()));
            bare.exec_writes(&app.id, "/bare/token", bytes.as_bytes());
            reader.join().unwrap()
        });
        exec.add(seen.duration_since(begun).unwrap());
    }
    controller.stop();
    let sixth = from_hint.p99() < exec.median() / 6;
    table.goal(
        "hint → bytes readable in the container",
        "p99 < 5 ms, and under a sixth of the exec below",
        format!("{from_hint}; {} of the exec", ratio(&from_hint, &exec)),
        from_hint.p99() < Duration::from_millis(5) && sixth,
    );
    table.plain(
        "… a bare exec through the engine's API that writes the same bytes",
        exec.to_string(),
    );
    table.plain(
        "… the same from the start of `docker locket secret set`",
        from_command.to_string(),
    );
}

/// Hint → restarted with the new value.
pub fn restarts(table: &mut Table, bare: &Bare, samples: usize) {
    let mut project = Project::new("bench-restart", RESTARTED);
    project.store("token", "first");
    let controller = controller(&project);
    project.up(&[]);
    let app = project.container("app");
    let seen_by_app = project.dir().join("out/seen");
    let (mut from_hint, mut bare_engine) = (Samples::default(), Samples::default());
    let mut current = "first".to_owned();
    for n in 0..samples {
        std::thread::sleep(YOUNG);
        project.ready();
        let _ = std::fs::remove_file(&seen_by_app);
        let begun = SystemTime::now();
        let seen = std::thread::scope(|scope| {
            let reader = scope.spawn(|| appears(&seen_by_app, current.as_bytes()));
            bare.stop_and_start(&app.id);
            reader.join().unwrap()
        });
        bare_engine.add(seen.duration_since(begun).unwrap());

        std::thread::sleep(YOUNG);
        project.ready();
        current = value("set", n);
        let [_, hint, seen] = set(&project, &controller, &current, &seen_by_app);
        from_hint.add(seen - hint);
    }
    controller.stop();
    let more = from_hint.median().saturating_sub(bare_engine.median());
    table.goal(
        "hint → restarted with the new value: its process has read it",
        "the bare stop and start + < 20 ms",
        format!(
            "{from_hint}; + {} in the median, {} of it",
            ms(more),
            ratio(&from_hint, &bare_engine)
        ),
        more < Duration::from_millis(20),
    );
    table.plain(
        "… a bare stop and start of the same container through the engine's API, until its process has read the file",
        bare_engine.to_string(),
    );
}
