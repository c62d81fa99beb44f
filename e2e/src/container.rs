//! One container, as the engine and its own processes show it.

use serde_json::Value;

use crate::api;
use crate::command::{Output, Run, Transcript};
use crate::way::Way;

/// A container as it was when it was looked up; ask again for what it is now.
#[derive(Clone)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// When it was started last, as the engine writes it.
    pub started_at: String,
    /// How often the restart policy has started it.
    pub restarts: u64,
    /// The engine's whole answer.
    pub inspect: Value,
    way: Way,
    transcript: Transcript,
}

/// By incarnation: the same container that was not started anew in between.
impl PartialEq for Container {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.started_at) == (&other.id, &other.started_at)
    }
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.id.get(..12).unwrap_or(&self.id);
        write!(f, "{} {id} of {}", self.name(), self.started_at)
    }
}

impl Container {
    pub(crate) fn look_up(id: &str, way: &Way, transcript: &Transcript) -> Option<Self> {
        let said = match way.is_usual() {
            true => api::get(&format!("/containers/{id}/json"), transcript)?,
            false => {
                let inspect = ["inspect", "--type=container", "--format={{json .}}", id];
                way.docker(transcript).args(inspect).any().stdout
            }
        };
        let inspect: Value = serde_json::from_slice(&said).ok()?;
        let text = |pointer: &str| inspect.pointer(pointer).and_then(Value::as_str);
        Some(Self {
            id: text("/Id")?.to_owned(),
            started_at: text("/State/StartedAt")?.to_owned(),
            restarts: inspect["RestartCount"].as_u64().unwrap_or(0),
            way: way.clone(),
            transcript: transcript.clone(),
            inspect,
        })
    }

    /// Its name, without the slash.
    pub fn name(&self) -> &str {
        self.inspect["Name"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches('/')
    }

    /// Its service; empty without compose.
    pub fn service(&self) -> &str {
        let labels = &self.inspect["Config"]["Labels"];
        labels["com.docker.compose.service"]
            .as_str()
            .unwrap_or_default()
    }

    /// Whether it ran when it was looked up.
    pub fn running(&self) -> bool {
        self.inspect["State"]["Running"] == true
    }

    /// Its first process, where that can be seen from here.
    fn pid(&self) -> Option<u64> {
        let pid = self.inspect["State"]["Pid"].as_u64()?;
        // An engine elsewhere counts its own processes.
        let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        group.contains(&self.id).then_some(pid)
    }

    /// `healthy`, `unhealthy`, `starting`, or nothing without a healthcheck.
    pub fn health(&self) -> &str {
        let health = self.inspect.pointer("/State/Health/Status");
        health.and_then(Value::as_str).unwrap_or_default()
    }

    /// Its exit code, when it does not run.
    pub fn exit_code(&self) -> Option<i64> {
        let code = self.inspect["State"]["ExitCode"].as_i64();
        code.filter(|_| !self.running())
    }

    fn exec_as(&self, user: Option<&str>, argv: &[&str]) -> Run {
        let user = user.map(|u| ["-u".to_owned(), u.to_owned()]);
        self.way
            .docker(&self.transcript)
            .args(["exec", "-i"])
            .args(user.into_iter().flatten())
            .args([&self.id])
            .args(argv)
    }

    /// A program in it, as its configured user.
    pub fn exec(&self, argv: &[&str]) -> Run {
        self.exec_as(None, argv)
    }

    /// A file in it, byte for byte; `None` when there is none.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.value(self.exec(&["cat", path]))
    }

    /// The same for whoever looks again and again: it starts nothing where the container's first process can be seen from here, and
    /// it does not ask who may read.
    pub fn peek(&self, path: &str) -> Option<Vec<u8>> {
        match self.pid() {
            Some(pid) => std::fs::read(format!("/proc/{pid}/root{path}")).ok(),
            None => self.read(path),
        }
    }

    /// The same in an image whose only program is the tests' own.
    pub fn read_scratch(&self, path: &str) -> Option<Vec<u8>> {
        self.value(self.exec(&["/app", "cat", path]))
    }

    /// A variable of the application's own process, which `docker exec … env` does not show.
    pub fn env(&self, name: &str) -> Option<Vec<u8>> {
        let here = self
            .pid()
            .and_then(|pid| std::fs::read(format!("/proc/{pid}/environ")).ok());
        let found = match here {
            Some(found) => found,
            // It can be read by the user that PID 1 runs as, who may have been changed by the image itself.
            None => {
                let uid = self.exec(&["stat", "-c", "%u", "/proc/1"]).any().text();
                self.value(self.exec_as(Some(&uid), &["cat", "/proc/1/environ"]))?
            }
        };
        let prefix = format!("{name}=");
        let mut all = found.split(|b| *b == 0);
        all.find_map(|line| line.strip_prefix(prefix.as_bytes()))
            .map(<[u8]>::to_vec)
    }

    /// The same in an image whose only program is the tests' own.
    pub fn env_scratch(&self, name: &str) -> Option<Vec<u8>> {
        self.value(self.exec(&["/app", "environ", name]))
    }

    fn value(&self, run: Run) -> Option<Vec<u8>> {
        let Output { code, stdout, .. } = run.says_values().any();
        (code == 0).then_some(stdout)
    }

    /// What it has written to its log.
    pub fn logs(&self) -> String {
        if self.way.is_usual() {
            let path = format!("/containers/{}/logs?stdout=1&stderr=1", self.id);
            let said = api::get(&path, &self.transcript);
            return api::streams(&said.unwrap_or_default());
        }
        self.way
            .docker(&self.transcript)
            .args(["logs", &self.id])
            .any()
            .all()
    }
}
