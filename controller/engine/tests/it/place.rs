//! Where a check runs: a fake engine with a little busybox, or the real one with its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use locket_engine::fake::{App, ExecCall, Fake, FakeImage, Process};
use locket_engine::{CreateContainer, Endpoint, Engine, ExecSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const IMAGE: &str = "locket-test/busybox:latest";
pub const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";
const SOCKET: &str = "/var/run/docker.sock";

pub struct Place {
    pub engine: Engine,
    prefix: String,
    containers: AtomicUsize,
}

impl Place {
    pub async fn fake() -> Place {
        let fake = Fake::new();
        fake.add_image(
            IMAGE,
            FakeImage {
                cmd: vec!["sh".into()],
                files: [("/etc/passwd".into(), PASSWD.into())].into(),
                ..FakeImage::default()
            },
        );
        fake.set_program(IMAGE, Arc::new(|process| busybox(process).boxed()));
        fake.on_exec(Arc::new(|_, call| busybox_exec(call).boxed()));
        Place {
            engine: fake.connect().await.unwrap(),
            prefix: "leng".into(),
            containers: AtomicUsize::new(0),
        }
    }

    pub async fn real(check: &str) -> Place {
        let engine = Engine::connect(Endpoint::Unix(SOCKET.into()))
            .await
            .unwrap_or_else(|e| {
                panic!("no engine to test with at {SOCKET}, try `make setup`: {e}")
            });
        let image = engine.image(IMAGE).await.unwrap();
        assert!(image.is_some(), "no image {IMAGE}, try `make setup`");
        let place = Place {
            engine,
            prefix: format!("leng-{}", check.replace('_', "-")),
            containers: AtomicUsize::new(0),
        };
        // Of a run that failed. Images and volumes are made under names that are used again.
        for left in place.engine.containers(&[&place.label()]).await.unwrap() {
            place.engine.remove(&left.id, true).await.unwrap();
        }
        for left in place.engine.volumes(&[&place.label()]).await.unwrap() {
            place.engine.remove_volume(&left.name, true).await.unwrap();
        }
        place
    }

    /// A name that is this check's own.
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// The label on all objects of this check.
    pub fn label(&self) -> String {
        format!("leng.check={}", self.prefix)
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        [("leng.check".into(), self.prefix.clone())].into()
    }

    /// A container that sleeps until it is told to stop.
    pub fn sleeper(&self) -> CreateContainer {
        let n = self.containers.fetch_add(1, Ordering::Relaxed);
        CreateContainer {
            name: self.name(&format!("c{n}")),
            image: IMAGE.into(),
            cmd: Some(vec!["sleep".into(), "1000".into()]),
            labels: self.labels(),
            network_mode: Some("none".into()),
            init: Some(true),
            ..CreateContainer::default()
        }
    }

    pub async fn run(&self, spec: &CreateContainer) -> String {
        let id = self.engine.create(spec).await.unwrap();
        self.engine.start(&id).await.unwrap();
        id
    }

    pub async fn clean(&self, containers: &[&str], volumes: &[&str]) {
        for id in containers {
            self.engine.remove(id, true).await.unwrap();
        }
        for name in volumes {
            self.engine.remove_volume(name, false).await.unwrap();
        }
    }

    /// Runs a program; exit code and stdout.
    pub async fn exec(&self, id: &str, argv: &[&str]) -> (i64, String) {
        let spec = argv_of(argv);
        let output = self
            .engine
            .exec_output(id, &spec, 1 << 20, Duration::from_secs(20))
            .await
            .unwrap();
        (output.code, String::from_utf8(output.stdout).unwrap())
    }

    /// Writes a file of a container through an exec's stdin.
    pub async fn write(&self, id: &str, path: &str, text: &str) {
        let mut tee = self
            .engine
            .exec(id, &argv_of(&["tee", path]))
            .await
            .unwrap();
        tee.input.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(tee.wait().await.unwrap(), 0);
    }
}

pub fn argv_of(argv: &[&str]) -> ExecSpec {
    ExecSpec {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        ..ExecSpec::default()
    }
}

/// As much of busybox as the checks run as PID 1: `sleep` and `false`.
async fn busybox(process: Process) -> i64 {
    let program = process.argv.first().map(String::as_str);
    match program {
        Some("false") => 1,
        _ => {
            // Without an init, PID 1 does not end at SIGTERM unless it says so; sleep does not.
            let stubborn = process.labels.contains_key("stubborn");
            let stop_takes = Duration::from_secs(if stubborn { 3600 } else { 0 });
            let app = App {
                stop_takes,
                ..App::default()
            };
            app.program()(process).await
        }
    }
}

/// As much of busybox as the checks exec.
async fn busybox_exec(mut call: ExecCall) -> i64 {
    let argv: Vec<&str> = call.argv.iter().map(String::as_str).collect();
    let on_host = |path: &str| {
        let (target, dir) = call
            .mounts
            .iter()
            .find(|(target, _)| path.starts_with(*target))
            .unwrap();
        dir.join(
            path.strip_prefix(target.as_str())
                .unwrap()
                .trim_start_matches('/'),
        )
    };
    match argv.as_slice() {
        ["cat"] => {
            let mut chunk = vec![0; 64 << 10];
            while let Ok(n @ 1..) = call.stream.read(&mut chunk).await {
                call.stream.write_all(&chunk[..n]).await.unwrap();
            }
            0
        }
        ["cat", path] => match std::fs::read(on_host(path)) {
            Ok(bytes) => {
                call.stream.write_all(&bytes).await.unwrap();
                0
            }
            Err(_) => 1,
        },
        ["tee", path] => {
            let path = on_host(path);
            let mut bytes = Vec::new();
            call.stream.read_to_end(&mut bytes).await.unwrap();
            std::fs::write(path, bytes).unwrap();
            0
        }
        ["sh", "-c", "echo out; echo err >&2; exit 3"] => {
            call.stream.write_all(b"out\n").await.unwrap();
            call.stderr.send(b"err\n".to_vec()).unwrap();
            3
        }
        _ => 127,
    }
}
