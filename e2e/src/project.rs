//! One compose project of one scenario, from its compose file to its removal.

mod end;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::api;
use crate::canary::Canaries;
use crate::command::{Output, Run, Transcript};
use crate::container::Container;
use crate::controller::Controller;
use crate::crash::Crash;
use crate::recorder::Recorder;
use crate::wait::eventually;
use crate::way::Way;

/// Prefix of all project names; `e2e/setup/setup clean` removes what has it.
const PREFIX: &str = "locket-e2e";
/// Compose's label with the project.
const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Our label with the project, on its anchor.
const LOCKET_PROJECT: &str = "locket.project";

/// A project in a folder of its own. What it made on the engine goes with it, also after a panic.
pub struct Project {
    name: String,
    scenario: String,
    root: TempDir,
    dir: PathBuf,
    canaries: Canaries,
    stored: Vec<String>,
    granted: AtomicBool,
    /// Nothing of it is left on the engine.
    finished: AtomicBool,
    transcript: Transcript,
    began: String,
    recorder: Option<Recorder>,
    way: Way,
}

impl Project {
    /// A folder with this compose file, and a docker configuration in which `docker locket` is the binary under test.
    pub fn new(scenario: &str, compose: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{scenario}-{}-{count}", std::process::id());
        let root = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
        let dir = root.path().join(&name);
        let plugins = root.path().join("docker/cli-plugins");
        fs::create_dir_all(&plugins).unwrap();
        fs::create_dir(&dir).unwrap();
        let transcript = Transcript::default();
        let it = Self {
            scenario: scenario.to_owned(),
            canaries: Canaries::default(),
            stored: Vec::new(),
            granted: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            began: Run::new("date", &transcript).args(["+%s"]).ok().text(),
            name,
            root,
            dir,
            transcript,
            recorder: None,
            way: Way::default(),
        };
        it.installs(&crate::binary());
        it.write("compose.yaml", compose);
        it
    }

    /// From now on `docker locket` is this program.
    pub fn installs(&self, program: &Path) {
        let plugin = self.root.path().join("docker/cli-plugins/docker-locket");
        let _ = fs::remove_file(&plugin);
        std::os::unix::fs::symlink(program, plugin).unwrap();
    }

    /// The project's name, which compose takes from the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The project's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file into the project's folder.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.dir.join(path), text).unwrap();
    }

    /// Replaces something in a file of the project's folder.
    ///
    /// # Panics
    /// When it is not there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.dir.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, text.replace(from, to));
    }

    /// Moves the project's folder.
    pub fn moved(&mut self, to: &str) {
        let to = self.root.path().join(to);
        fs::rename(&self.dir, &to).unwrap();
        self.dir = to;
    }

    /// Copies the project's folder, and works in the copy from now on. The name of the folder is the same, and so is that of the
    /// project. Returns the first one.
    pub fn copied(&mut self) -> PathBuf {
        let to = self.root.path().join("copy").join(&self.name);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&self.dir).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        std::mem::replace(&mut self.dir, to)
    }

    /// Removes the files of the project; its folder stays, empty.
    pub fn deleted(&self) {
        fs::remove_dir_all(&self.dir).unwrap();
        fs::create_dir(&self.dir).unwrap();
    }

    /// `docker compose -p NAME …` where no file of the project is.
    pub fn without_files(&self, args: &[&str]) -> Output {
        let elsewhere = tempfile::tempdir().unwrap();
        let name = ["compose", "-p", &self.name];
        self.docker(&[&name, args].concat())
            .dir(elsewhere.path())
            .any()
    }

    /// A folder for values that lie in files on purpose (a `file` source): the canary search leaves it out.
    pub fn values_dir(&self) -> PathBuf {
        let dir = self.root.path().join("values");
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// A fresh random value, which from now on must not be found anywhere.
    pub fn canary(&mut self, name: &str) -> String {
        let random = fs::File::open("/dev/urandom").and_then(|mut f| {
            let mut bytes = [0_u8; 16];
            std::io::Read::read_exact(&mut f, &mut bytes).map(|()| bytes)
        });
        let value = format!("canary-{}", hex::encode(random.unwrap()));
        self.guard(name, value.as_bytes());
        value
    }

    /// Makes a value one that must not be found anywhere.
    pub fn guard(&mut self, name: &str, value: &[u8]) {
        self.canaries.add(name, value);
    }

    /// Where its controller listens, and its programs look for one.
    pub fn socket(&self) -> PathBuf {
        self.root.path().join("controller.sock")
    }

    fn environment(&self) -> Vec<(String, String)> {
        let path = |p: &str| self.root.path().join(p).display().to_string();
        let recorder = self.recorder.iter();
        let host = recorder.map(|it| ("DOCKER_HOST".to_owned(), it.host()));
        let own = [
            ("DOCKER_CONFIG".to_owned(), path("docker")),
            (
                "LOCKET_SOCKET".to_owned(),
                self.socket().display().to_string(),
            ),
            ("NO_COLOR".to_owned(), "1".to_owned()),
        ];
        own.into_iter().chain(host).collect()
    }

    /// From now on everything that the docker CLI asks of the engine is written down.
    pub fn record(&mut self) {
        self.recorder = Some(Recorder::start(self.root.path()));
    }

    /// The same, and the engine passes for one of the other architecture that locket knows.
    pub fn record_disguised(&mut self) {
        self.recorder = Some(Recorder::disguised(self.root.path()));
    }

    /// What was written down, `METHOD /path?query` each; from now on nothing is.
    pub fn recorded(&mut self) -> Vec<String> {
        let recorder = self.recorder.take();
        recorder.map(|it| it.take()).unwrap_or_default()
    }

    /// From now on this is the way to the engine, for programs and for whoever looks.
    pub fn goes(&mut self, way: Way) {
        // The docker CLI has its contexts in its configuration.
        let config = self.root.path().join("docker").display().to_string();
        self.way = way.env("DOCKER_CONFIG", config);
    }

    fn docker_for(&self, transcript: &Transcript) -> Run {
        self.at_home(self.way.docker(transcript).dir(&self.dir))
    }

    /// With the environment of the project.
    fn at_home(&self, run: Run) -> Run {
        let environment = self.environment();
        environment
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value))
    }

    /// `docker …` in the project's folder.
    pub fn docker(&self, args: &[&str]) -> Run {
        self.docker_for(&self.transcript).args(args)
    }

    /// `docker compose …` in the project's folder.
    pub fn compose(&self, args: &[&str]) -> Run {
        self.docker(&[&["compose", "--progress", "plain"], args].concat())
    }

    /// `docker locket …` in the project's folder.
    pub fn locket(&self, args: &[&str]) -> Run {
        self.docker(&[&["locket"], args].concat())
    }

    /// The same for what scenarios say all the time: the plugin as docker starts it, without docker.
    fn plugin(&self, args: &[&str]) -> Run {
        if !self.way.is_usual() {
            return self.locket(args);
        }
        let plugin = self.root.path().join("docker/cli-plugins/docker-locket");
        let run = Run::new(plugin, &self.transcript);
        self.at_home(run.args(["locket"]).args(args).dir(&self.dir))
    }

    /// Puts a value into the built-in store, and guards it.
    pub fn store(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.guard(name, value.as_ref());
        self.store_in_the_open(name, value);
    }

    /// The same for a value that may be seen.
    pub fn store_in_the_open(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if !self.stored.iter().any(|s| s == name) {
            self.stored.push(name.to_owned());
        }
        let empty: &[&str] = match value.as_ref() {
            [] => &["--allow-empty"],
            _ => &[],
        };
        self.plugin(&[&["secret", "set", name], empty].concat())
            .stdin(value)
            .ok();
    }

    /// `docker locket generate --yes`, then `docker compose up -d` with these arguments.
    pub fn up(&self, args: &[&str]) -> Output {
        self.locket(&["generate", "--yes"]).ok();
        self.compose(&[&["up", "-d"], args].concat()).ok()
    }

    /// A shell's script in the project's folder, with the docker configuration of the project.
    pub fn shell(&self, script: &str, args: &[&str]) -> Run {
        self.at_home(self.program("sh", &[&["-c", script, "sh"], args].concat()))
    }

    /// A shell's script as root in a container of its own, which has a service's volume at `/v` for writing.
    pub fn in_volume(&self, service: &str, script: &str) -> Run {
        let volume = format!("{}_locket-{service}:/v", self.name);
        let run = ["run", "--rm", "--network", "none", "-v", &volume];
        let program = ["locket-test/busybox", "sh", "-c", script];
        self.docker(&[&run[..], &program].concat())
    }

    /// Any other program in the project's folder.
    pub fn program(&self, program: &str, args: &[&str]) -> Run {
        Run::new(program, &self.transcript)
            .args(args)
            .dir(&self.dir)
    }

    /// Grants the project's sources on this engine, as its operator would.
    pub fn grant(&self) {
        self.locket(&["trust", "--yes"]).ok();
        self.granted.store(true, Ordering::Relaxed);
    }

    /// A controller on this machine, once it answers.
    pub fn controller(&self, args: &[&str]) -> Controller {
        self.controller_in(args, &self.environment())
    }

    /// The same, with whose crash in mind: it asks the engine through that socket.
    pub fn controller_through(&self, crash: &Crash) -> Controller {
        let host = ("DOCKER_HOST".to_owned(), crash.host());
        self.controller_in(&[], &[&self.environment()[..], &[host]].concat())
    }

    fn controller_in(&self, args: &[&str], environment: &[(String, String)]) -> Controller {
        let it = Controller::start(self.root.path(), &self.way, args, environment);
        eventually(20, "the controller answers", || {
            (self.plugin(&["controller", "status"]).any().code == 0).then_some(())
        });
        it
    }

    /// A socket to the engine for a program that is to be killed.
    pub fn crash(&self) -> Crash {
        Crash::start(self.root.path())
    }

    /// The containers of a service, sorted by name, stopped ones too.
    pub fn containers(&self, service: &str) -> Vec<Container> {
        let service = ("com.docker.compose.service", service);
        self.listed(&[(COMPOSE_PROJECT, &self.name), service])
    }

    /// The containers of all services.
    pub fn everybody(&self) -> Vec<Container> {
        self.listed(&[(COMPOSE_PROJECT, &self.name)])
    }

    /// The only container of a service.
    ///
    /// # Panics
    /// When there is none or several.
    pub fn container(&self, service: &str) -> Container {
        let mut all = self.containers(service);
        assert_eq!(all.len(), 1, "containers of {service}: {all:?}");
        all.remove(0)
    }

    /// The container of a name, whoever made it.
    pub fn named(&self, name: &str) -> Option<Container> {
        Container::look_up(name, &self.way, &self.transcript)
    }

    /// The project's anchors.
    pub fn anchors(&self) -> Vec<Container> {
        self.listed(&[(LOCKET_PROJECT, &self.name)])
    }

    fn listed(&self, labels: &[(&str, &str)]) -> Vec<Container> {
        let ids = self.ids(labels);
        let found = ids
            .iter()
            .filter_map(|id| Container::look_up(id, &self.way, &self.transcript));
        let mut all: Vec<_> = found.collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    fn ids(&self, labels: &[(&str, &str)]) -> Vec<String> {
        if self.way.is_usual() {
            let filters = api::with_labels(labels);
            let path = format!("/containers/json?all=1&filters={filters}");
            let said = api::get(&path, &self.transcript).expect("the engine answers");
            let all: Vec<Value> = serde_json::from_slice(&said).unwrap();
            let ids = all.iter().filter_map(|it| it["Id"].as_str());
            return ids.map(str::to_owned).collect();
        }
        let filters = labels
            .iter()
            .flat_map(|(key, value)| ["--filter".to_owned(), format!("label={key}={value}")]);
        let list = self.docker(&["ps", "-aq", "--no-trunc"]).args(filters);
        list.ok().text().lines().map(str::to_owned).collect()
    }

    /// The project in `docker locket status --json`; nothing when it is not there.
    pub fn status(&self) -> Option<Value> {
        self.status_of(&self.name)
    }

    /// Another project there.
    fn status_of(&self, project: &str) -> Option<Value> {
        let out = self.plugin(&["status", "-p", project, "--json"]).any();
        let all: Value = serde_json::from_slice(&out.stdout).ok()?;
        let projects = all["projects"].as_array()?;
        projects.iter().find(|p| p["project"] == project).cloned()
    }

    /// A condition of the project, or of one of its services: (status, reason, message).
    pub fn condition(&self, service: Option<&str>, kind: &str) -> Option<(bool, String, String)> {
        condition_in(&self.status()?, service, kind)
    }

    /// A condition of another project.
    pub fn condition_of(&self, project: &str, kind: &str) -> Option<(bool, String, String)> {
        condition_in(&self.status_of(project)?, None, kind)
    }

    /// Waits until everything is delivered and runs with what it should.
    pub fn ready(&self) {
        self.plugin(&["wait", "--for=Ready", "--timeout", "60s"])
            .ok();
    }
}

fn condition_in(
    project: &Value,
    service: Option<&str>,
    kind: &str,
) -> Option<(bool, String, String)> {
    let holder = match service {
        None => project,
        Some(name) => {
            let services = project["services"].as_array()?;
            services.iter().find(|s| s["service"] == name)?
        }
    };
    let all = holder["conditions"].as_array()?;
    let it = all.iter().find(|c| c["type"] == kind)?;
    let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
    Some((it["status"].as_bool()?, text("reason"), text("message")))
}
