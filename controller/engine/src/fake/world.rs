//! The state of a fake engine and its transitions. Nothing here waits or speaks HTTP.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::app::{App, AppView, Process, Program};
use super::exec::Exec;
use super::volumes::Volume;
use super::wire::Refusal;
use super::{FakeImage, Glance, Shared};
use crate::containers::{Health, Healthcheck, Status};
use crate::time::{Time, format_rfc3339};

/// The engine's grace period where nobody names one.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) root: TempDir,
    pub(crate) clock: Clock,
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// By id.
    pub(crate) images: BTreeMap<String, Image>,
    /// By full tag.
    pub(crate) programs: BTreeMap<String, Program>,
    pub(crate) execs: HashMap<String, Exec>,
    pub(super) events: VecDeque<Value>,
    pub(crate) journal: Vec<String>,
    pub(super) listeners: Vec<mpsc::UnboundedSender<Value>>,
    ids: u64,
}

pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) tags: Vec<String>,
    pub(crate) image: FakeImage,
}

pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image_id: String,
    /// The body of the create request, which inspect gives back.
    pub(crate) asked: Value,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    healthcheck: Option<Value>,
    stop_signal: Option<String>,
    mounts: Vec<MountAt>,
    pub(crate) policy: (String, u64),
    pub(crate) status: Status,
    created_at: Time,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    started: Instant,
    exit_code: i64,
    health: Health,
    restarts: u64,
    pid: u64,
    /// Somebody asked for its end: `unless-stopped` heeds it after a restart of the engine.
    stopped_by_hand: bool,
    /// By a request that was made in an earlier run.
    stopped_late: bool,
    /// Its restart policy sits out the next exit.
    ends_for_good: bool,
    incarnation: u64,
    signals: mpsc::UnboundedSender<String>,
    task: Option<AbortHandle>,
    /// Counts ends.
    ended: watch::Sender<u64>,
    pub(crate) view: AppView,
}

struct MountAt {
    target: String,
    kind: String,
    /// Of a volume.
    name: Option<String>,
    /// The directory of this machine, without the subpath.
    dir: PathBuf,
    subpath: String,
    rw: bool,
}

impl Container {
    pub(crate) fn runs(&self) -> bool {
        self.status == Status::Running
    }

    pub(crate) fn on_end(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Mount points and their directories.
    pub(crate) fn dirs(&self) -> BTreeMap<String, PathBuf> {
        let mounts = self.mounts.iter();
        mounts
            .map(|m| (m.target.clone(), m.dir.join(&m.subpath)))
            .collect()
    }

    pub(crate) fn uses(&self, volume: &str) -> bool {
        self.mounts
            .iter()
            .any(|m| m.name.as_deref() == Some(volume))
    }
}

/// In memory where that can be: state files are synced, which on a disk is most of what a test takes.
fn root() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .expect("a test machine has a temporary directory")
}

impl World {
    pub(crate) fn new() -> Self {
        World {
            root: root(),
            clock: Clock::new(),
            containers: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            programs: BTreeMap::new(),
            execs: HashMap::new(),
            events: VecDeque::new(),
            journal: Vec::new(),
            listeners: Vec::new(),
            ids: 0,
        }
    }

    pub(crate) fn next_id(&mut self, kind: &str) -> String {
        self.ids += 1;
        digest(&(kind, self.ids))
    }

    /// The id of a container by id, id prefix or name.
    pub(crate) fn find(&self, key: &str) -> Option<String> {
        let by_name = self.containers.values().find(|c| c.name == key);
        let by_id = || {
            self.containers
                .values()
                .find(|c| !key.is_empty() && c.id.starts_with(key))
        };
        by_name.or_else(by_id).map(|c| c.id.clone())
    }

    /// The same, as the engine says it when there is none.
    pub(crate) fn named(&mut self, key: &str) -> Result<&mut Container, Refusal> {
        let id = self
            .find(key)
            .ok_or_else(|| Refusal::not_found("container", key))?;
        self.containers
            .get_mut(&id)
            .ok_or_else(|| Refusal::not_found("container", key))
    }

    // Images.

    pub(crate) fn add_image(&mut self, tag: &str, mut image: FakeImage) -> String {
        let tag = full_tag(tag);
        if image.layers.is_empty() {
            image.layers = vec![format!("sha256:{}", digest(&tag))];
        }
        let id = format!("sha256:{}", self.next_id("image"));
        self.untag(&tag);
        self.images.insert(
            id.clone(),
            Image {
                id: id.clone(),
                tags: vec![tag],
                image,
            },
        );
        id
    }

    pub(crate) fn untag(&mut self, tag: &str) {
        for image in self.images.values_mut() {
            image.tags.retain(|t| t != tag);
        }
    }

    pub(crate) fn image(&self, name: &str) -> Option<&Image> {
        let tag = full_tag(name);
        self.images
            .get(name)
            .or_else(|| self.images.values().find(|i| i.tags.contains(&tag)))
    }

    // Containers.

    pub(crate) fn create(&mut self, name: &str, asked: Value) -> Result<String, Refusal> {
        let reference = text(&asked, "/Image");
        let (image_id, image) = match self.image(&reference) {
            Some(found) => (found.id.clone(), found.image.clone()),
            None => {
                let tag = full_tag(&reference);
                return Err(Refusal(404, format!("No such image: {tag}")));
            }
        };
        if let Some(other) = self.containers.values().find(|c| c.name == name) {
            return Err(name_taken(name, &other.id));
        }
        let id = self.next_id("container");
        let mounts = self.resolve_mounts(&id, &asked)?;
        let mut labels = image.labels;
        labels.extend(string_map(asked.pointer("/Labels")));
        let own_user = text(&asked, "/User");
        let entrypoint = list(&asked, "/Entrypoint");
        // A new entrypoint without a command switches the image's command off.
        let cmd = list(&asked, "/Cmd").unwrap_or_else(|| match entrypoint {
            Some(_) => Vec::new(),
            None => image.cmd,
        });
        let healthcheck = match asked.pointer("/Healthcheck") {
            Some(Value::Object(own)) => Some(Value::Object(own.clone())),
            _ => image.healthcheck.map(|h| {
                json!({
                    "Test": h.test,
                    "Interval": nanos(h.interval),
                    "Timeout": nanos(h.timeout),
                    "StartPeriod": nanos(h.start_period),
                    "Retries": h.retries,
                })
            }),
        };
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            image_id,
            labels,
            user: if own_user.is_empty() {
                image.user
            } else {
                own_user
            },
            entrypoint: entrypoint.unwrap_or(image.entrypoint),
            cmd,
            healthcheck,
            stop_signal: Some(text(&asked, "/StopSignal"))
                .filter(|s| !s.is_empty())
                .or(image.stop_signal),
            mounts,
            policy: policy_of(asked.pointer("/HostConfig/RestartPolicy")),
            status: Status::Created,
            created_at: self.clock.now(),
            started_at: None,
            finished_at: None,
            started: Instant::now(),
            exit_code: 0,
            health: Health::None,
            restarts: 0,
            pid: 0,
            stopped_by_hand: false,
            stopped_late: false,
            ends_for_good: false,
            incarnation: 0,
            signals: mpsc::unbounded_channel().0,
            task: None,
            ended: watch::Sender::new(0),
            view: AppView::default(),
            asked,
        };
        self.containers.insert(id.clone(), container);
        self.tell(&id, "create", json!({}));
        Ok(id)
    }

    fn resolve_mounts(&mut self, id: &str, asked: &Value) -> Result<Vec<MountAt>, Refusal> {
        let mut mounts = Vec::new();
        let specs = asked
            .pointer("/HostConfig/Mounts")
            .and_then(Value::as_array);
        for (n, spec) in specs.cloned().unwrap_or_default().iter().enumerate() {
            let (kind, source) = (text(spec, "/Type"), text(spec, "/Source"));
            let io = |e: std::io::Error| Refusal(500, e.to_string());
            let dir = match kind.as_str() {
                "volume" => {
                    self.create_volume(&source, BTreeMap::new(), BTreeMap::new())
                        .map_err(io)?;
                    self.volumes[&source].dir.clone()
                }
                "bind" if Path::new(&source).exists() => PathBuf::from(&source),
                "bind" => {
                    let message = format!("bind source path does not exist: {source}");
                    return Err(Refusal(400, message));
                }
                _ => {
                    let dir = self.root.path().join("tmpfs").join(format!("{id}-{n}"));
                    std::fs::create_dir_all(&dir).map_err(io)?;
                    dir
                }
            };
            mounts.push(MountAt {
                target: text(spec, "/Target"),
                name: (kind == "volume").then_some(source),
                kind,
                dir,
                subpath: text(spec, "/VolumeOptions/Subpath"),
                rw: spec.pointer("/ReadOnly") != Some(&Value::Bool(true)),
            });
        }
        Ok(mounts)
    }

    /// Makes a container run: its program, the process for it, and which incarnation it is.
    pub(crate) fn begin(
        &mut self,
        key: &str,
        shared: &Arc<Shared>,
    ) -> Result<(Program, Process, u64), Refusal> {
        let now = self.clock.now();
        self.ids += 1;
        let pid = 1000 + self.ids;
        let container = self.named(key)?;
        if container.runs() {
            return Err(Refusal(304, String::new()));
        }
        let unreachable = container
            .mounts
            .iter()
            .find(|m| !m.dir.join(&m.subpath).exists());
        if let Some(mount) = unreachable {
            let path = mount.dir.join(&mount.subpath);
            let message = format!(
                "cannot access path {}: no such file or directory",
                path.display()
            );
            container.status = match container.started_at {
                Some(_) => Status::Exited,
                None => Status::Created,
            };
            container.exit_code = 128;
            return Err(Refusal(404, message));
        }
        let (sender, signals) = mpsc::unbounded_channel();
        let by_policy = container.status == Status::Restarting;
        container.restarts = if by_policy { container.restarts + 1 } else { 0 };
        container.incarnation += 1;
        container.status = Status::Running;
        container.started_at = Some(now);
        container.started = Instant::now();
        container.exit_code = 0;
        container.health = match container.healthcheck {
            Some(_) => Health::Starting,
            None => Health::None,
        };
        container.pid = pid;
        container.stopped_by_hand = false;
        container.stopped_late = false;
        container.ends_for_good = false;
        container.signals = sender;
        container.view.starts += 1;
        container.view.ready = false;
        container.view.env.clear();
        let process = Process {
            id: container.id.clone(),
            name: container.name.clone(),
            labels: container.labels.clone(),
            argv: [container.entrypoint.clone(), container.cmd.clone()].concat(),
            env: list(&container.asked, "/Env").unwrap_or_default(),
            user: container.user.clone(),
            healthcheck: container.healthcheck.as_ref().and_then(healthcheck_of),
            mounts: container.dirs(),
            signals,
            start: container.view.starts,
            incarnation: container.incarnation,
            shared: Arc::downgrade(shared),
        };
        let (id, image_id) = (container.id.clone(), container.image_id.clone());
        self.tell(&id, "start", json!({}));
        let incarnation = process.incarnation;
        Ok((self.program(&image_id), process, incarnation))
    }

    fn program(&self, image_id: &str) -> Program {
        let tags = self
            .images
            .get(image_id)
            .map(|i| i.tags.as_slice())
            .unwrap_or_default();
        let program = tags.iter().find_map(|tag| self.programs.get(tag)).cloned();
        program.unwrap_or_else(|| App::default().program())
    }

    pub(crate) fn attach(&mut self, id: &str, task: AbortHandle) {
        if let Some(container) = self.containers.get_mut(id) {
            container.task = Some(task);
        }
    }

    /// Notes the end of a container's process. Returns when its policy starts it again.
    pub(crate) fn finish(
        &mut self,
        id: &str,
        incarnation: Option<u64>,
        code: i64,
    ) -> Option<Duration> {
        let now = self.clock.now();
        let container = self.containers.get_mut(id)?;
        let current = incarnation.is_none_or(|i| i == container.incarnation);
        if !container.runs() || !current {
            return None;
        }
        let again = !container.ends_for_good
            && match container.policy.0.as_str() {
                "always" | "unless-stopped" => true,
                "on-failure" => {
                    let most = container.policy.1;
                    code != 0 && (most == 0 || container.restarts < most)
                }
                _ => false,
            };
        // The engine doubles the pause each time, and begins anew after ten good seconds.
        let restarts = match container.started.elapsed() > Duration::from_secs(10) {
            true => 0,
            false => container.restarts.min(10),
        };
        let pause = Duration::from_millis(100 << restarts).min(Duration::from_secs(60));
        container.end(now, code);
        if again {
            container.status = Status::Restarting;
        }
        let remove =
            !again && container.asked.pointer("/HostConfig/AutoRemove") == Some(&Value::Bool(true));
        self.release_mounts(id);
        self.tell(id, "die", json!({ "exitCode": code.to_string() }));
        if remove {
            self.destroy(id);
        }
        again.then_some(pause)
    }

    /// Empties what the container was the last to use.
    fn release_mounts(&mut self, id: &str) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        for mount in &container.mounts {
            let empties = match &mount.name {
                Some(volume) => {
                    let in_use = self.containers.values().any(|c| c.runs() && c.uses(volume));
                    !in_use && self.volumes.get(volume).is_some_and(Volume::is_tmpfs)
                }
                None => mount.kind == "tmpfs",
            };
            if empties {
                empty_dir(&mount.dir);
            }
        }
    }

    pub(crate) fn is_restarting(&self, id: &str) -> bool {
        self.containers
            .get(id)
            .is_some_and(|c| c.status == Status::Restarting)
    }

    /// The container and its run that a request wants to stop.
    pub(crate) fn run_to_stop(&self, request: &str) -> Option<(String, u64)> {
        let rest = request.strip_prefix("POST /containers/")?;
        let (id, _) = rest.split_once("/stop")?;
        Some((id.to_owned(), self.containers.get(id)?.incarnation))
    }

    /// Such a request gets through only now.
    pub(crate) fn note_late_stop(&mut self, id: &str, run: u64) {
        if let Some(container) = self.containers.get_mut(id) {
            container.stopped_late |= container.runs() && container.incarnation != run;
        }
    }

    pub(crate) fn glance(&mut self, key: &str) -> Option<Glance> {
        let container = self.named(key).ok()?;
        Some(Glance {
            id: container.id.clone(),
            status: container.status,
            stopped_late: container.stopped_late,
        })
    }

    /// What a stop needs: a watch on the end, the signal, the grace period. `None`: it is stopped.
    #[allow(
        clippy::type_complexity,
        reason = "one caller, one line away from its parts"
    )]
    pub(crate) fn ask_to_stop(
        &mut self,
        id: &str,
    ) -> Result<Option<(watch::Receiver<u64>, String, Duration)>, Refusal> {
        let container = self.named(id)?;
        if container.status == Status::Restarting {
            container.status = Status::Exited;
            container.stopped_by_hand = true;
            return Ok(None);
        }
        if !container.runs() {
            return Ok(None);
        }
        container.ends_for_good = true;
        container.stopped_by_hand = true;
        let signal = container
            .stop_signal
            .clone()
            .unwrap_or_else(|| "SIGTERM".to_owned());
        let grace = container
            .asked
            .pointer("/StopTimeout")
            .and_then(Value::as_u64);
        let grace = grace.map_or(GRACE, Duration::from_secs);
        Ok(Some((container.on_end(), signal_name(&signal), grace)))
    }

    pub(crate) fn note_stopped(&mut self, id: &str) {
        self.tell(id, "stop", json!({}));
    }

    /// Delivers a signal to the process, as one of the container's own processes does.
    pub(crate) fn signal_from_inside(&mut self, id: &str, signal: &str) -> bool {
        let sent = self
            .containers
            .get(id)
            .map(|c| c.signals.send(signal.to_owned()));
        matches!(sent, Some(Ok(())))
    }

    /// Delivers a signal to the process, and draws the engine's conclusions from it.
    pub(crate) fn note_signal(&mut self, id: &str, signal: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        // Seen on 28.5.2: without a stop signal of its own, any signal counts as the wish to end.
        let is_stop = container
            .stop_signal
            .as_ref()
            .is_none_or(|stop| signal_name(stop) == signal);
        container.ends_for_good |= is_stop || signal == "SIGKILL";
        container.stopped_by_hand = true;
        if signal != "SIGKILL" {
            // Nobody listens any more: it is about to end anyway.
            let _ = container.signals.send(signal.to_owned());
        }
        self.tell(
            id,
            "kill",
            json!({ "signal": signal_number(signal).to_string() }),
        );
    }

    pub(crate) fn set_health(&mut self, id: &str, incarnation: u64, health: Health) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let applies = container.runs() && container.incarnation == incarnation;
        if !applies || container.healthcheck.is_none() || container.health == health {
            return;
        }
        container.health = health;
        self.tell(
            id,
            &format!("health_status: {}", health_word(health)),
            json!({}),
        );
    }

    pub(crate) fn rename(&mut self, key: &str, name: &str) -> Result<(), Refusal> {
        if let Some(other) = self.containers.values().find(|c| c.name == name) {
            return Err(name_taken(name, &other.id));
        }
        let container = self.named(key)?;
        let id = container.id.clone();
        let old = std::mem::replace(&mut container.name, name.to_owned());
        self.tell(&id, "rename", json!({ "oldName": format!("/{old}") }));
        Ok(())
    }

    pub(crate) fn destroy(&mut self, id: &str) {
        self.tell(id, "destroy", json!({}));
        self.containers.remove(id);
    }

    // The engine itself.

    /// Everything ends at once, unseen.
    pub(crate) fn power_off(&mut self) {
        let now = self.clock.now();
        let running: Vec<_> = self
            .containers
            .values()
            .filter(|c| c.runs())
            .map(|c| c.id.clone())
            .collect();
        for container in self.containers.values_mut() {
            if container.runs() || container.status == Status::Restarting {
                container.end(now, 137);
            }
        }
        for id in running {
            self.release_mounts(&id);
        }
        self.events.clear();
        self.execs.clear();
        self.forget_volumes();
    }

    /// What starts with the engine.
    pub(crate) fn to_boot(&self) -> Vec<String> {
        let boots = |c: &&Container| match c.policy.0.as_str() {
            "always" => c.started_at.is_some(),
            "unless-stopped" => c.started_at.is_some() && !c.stopped_by_hand,
            "on-failure" => !c.stopped_by_hand && c.exit_code != 0,
            _ => false,
        };
        self.containers
            .values()
            .filter(boots)
            .map(|c| c.id.clone())
            .collect()
    }

    // What inspect says.

    pub(crate) fn container_json(&self, id: &str) -> Option<Value> {
        let c = self.containers.get(id)?;
        let mounts: Vec<_> = c
            .mounts
            .iter()
            .map(|m| {
                json!({
                    "Type": m.kind,
                    "Name": m.name.clone().unwrap_or_default(),
                    "Source": if m.kind == "tmpfs" { Path::new("") } else { m.dir.as_path() },
                    "Destination": m.target,
                    "RW": m.rw,
                })
            })
            .collect();
        let mut host = c.asked["HostConfig"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        host.insert(
            "RestartPolicy".into(),
            json!({ "Name": c.policy.0, "MaximumRetryCount": c.policy.1 }),
        );
        let mut state = json!({
            "Status": status_word(c.status),
            "Running": c.runs(),
            "OOMKilled": false,
            "Pid": c.pid,
            "ExitCode": c.exit_code,
            "StartedAt": format_rfc3339(c.started_at),
            "FinishedAt": format_rfc3339(c.finished_at),
        });
        if c.healthcheck.is_some() {
            state["Health"] =
                json!({ "Status": health_word(c.health), "FailingStreak": 0, "Log": [] });
        }
        Some(json!({
            "Id": c.id,
            "Name": format!("/{}", c.name),
            "Image": c.image_id,
            "Created": format_rfc3339(Some(c.created_at)),
            "RestartCount": c.restarts,
            "State": state,
            "HostConfig": host,
            "Mounts": mounts,
            "Config": {
                "Hostname": c.id[..12],
                "User": c.user,
                "Image": c.asked["Image"],
                "Entrypoint": c.entrypoint,
                "Cmd": c.cmd,
                "Env": c.asked["Env"],
                "Labels": c.labels,
                "Healthcheck": c.healthcheck,
                "StopSignal": c.stop_signal,
                "StopTimeout": c.asked["StopTimeout"],
            },
        }))
    }
}

impl Container {
    fn end(&mut self, now: Time, code: i64) {
        self.status = Status::Exited;
        self.finished_at = Some(now);
        self.exit_code = code;
        self.pid = 0;
        if self.healthcheck.is_some() {
            self.health = Health::Unhealthy;
        }
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.ended.send_modify(|ends| *ends += 1);
    }
}

/// The engine's clock: tokio's, from the moment of its making on, plus an offset.
pub(crate) struct Clock {
    made_at: Time,
    pub(super) made: Instant,
    offset: i64,
    calls: u64,
}

impl Clock {
    fn new() -> Self {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Clock {
            made_at: nanos(since_1970),
            made: Instant::now(),
            offset: 0,
            calls: 0,
        }
    }

    /// No two moments are equal, so that two starts can be told apart under a paused clock, also after it was set back.
    pub(crate) fn now(&mut self) -> Time {
        self.calls += 1;
        let now = self.made_at + nanos(self.made.elapsed()) + self.calls;
        now.saturating_add_signed(self.offset)
    }

    /// Time since the machine was started: nobody sets that.
    pub(crate) fn uptime(&self) -> Time {
        nanos(self.made.elapsed()) + 1
    }

    pub(crate) fn set_offset(&mut self, offset: i64) {
        self.offset = offset;
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// 64 hexadecimal digits that depend on the input alone.
pub(crate) fn digest(input: &impl Hash) -> String {
    let mut hex = String::new();
    for part in 0..4 {
        let mut hasher = DefaultHasher::new();
        (part, input).hash(&mut hasher);
        hex.push_str(&format!("{:016x}", hasher.finish()));
    }
    hex
}

/// `name` is `name:latest`.
pub(crate) fn full_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.contains(':') || name.starts_with("sha256:") {
        true => name.to_owned(),
        false => format!("{name}:latest"),
    }
}

fn name_taken(name: &str, by: &str) -> Refusal {
    let message = format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    );
    Refusal(409, message)
}

pub(crate) fn empty_dir(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        // What cannot be removed is found by the test that looks for it.
        let _ = if is_dir {
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        };
    }
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A list of strings; `None` if it is absent or null.
pub(crate) fn list(value: &Value, pointer: &str) -> Option<Vec<String>> {
    let items = value.pointer(pointer)?.as_array()?;
    Some(
        items
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
    )
}

pub(crate) fn string_map(value: Option<&Value>) -> BTreeMap<String, String> {
    let map = value
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    map.into_iter()
        .filter_map(|(k, v)| Some((k, v.as_str()?.to_owned())))
        .collect()
}

/// A healthcheck as it was asked for; `None` when it is switched off.
fn healthcheck_of(asked: &Value) -> Option<Healthcheck> {
    let test = list(asked, "/Test")?;
    let time = |key: &str| Duration::from_nanos(asked[key].as_u64().unwrap_or(0));
    (test.first().is_some_and(|word| word != "NONE")).then(|| Healthcheck {
        test,
        interval: time("Interval"),
        timeout: time("Timeout"),
        start_period: time("StartPeriod"),
        retries: asked["Retries"].as_u64().unwrap_or(0),
    })
}

pub(crate) fn policy_of(value: Option<&Value>) -> (String, u64) {
    let value = value.cloned().unwrap_or_default();
    let name = value["Name"]
        .as_str()
        .filter(|n| !n.is_empty())
        .unwrap_or("no");
    (
        name.to_owned(),
        value["MaximumRetryCount"].as_u64().unwrap_or(0),
    )
}

pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Removing => "removing",
        Status::Exited => "exited",
        Status::Dead => "dead",
    }
}

fn health_word(health: Health) -> &'static str {
    match health {
        Health::None => "none",
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

const SIGNALS: [(&str, u8); 9] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGTERM", 15),
    ("SIGCONT", 18),
    ("SIGWINCH", 28),
];

/// `HUP`, `sighup` and `1` are `SIGHUP`.
pub(crate) fn signal_name(word: &str) -> String {
    let upper = word.to_ascii_uppercase();
    let by_number = SIGNALS
        .iter()
        .find(|(_, number)| number.to_string() == upper);
    match by_number {
        Some((name, _)) => (*name).to_owned(),
        None if upper.starts_with("SIG") => upper,
        None => format!("SIG{upper}"),
    }
}

fn signal_number(name: &str) -> u8 {
    SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(0, |(_, number)| *number)
}
