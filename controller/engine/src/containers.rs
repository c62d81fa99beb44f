//! Containers: what the engine says of them, and the steps that change their state.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{
    KillContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    RenameContainerOptions, StartContainerOptions,
};
use serde::{Deserialize, Deserializer};

use crate::client::{DEADLINE, Engine, found};
use crate::error::{Kind, Result};
use crate::http::object;
use crate::time::{Time, parse_rfc3339};

/// What a stop may take beyond its grace period.
const STOP_SLACK: Duration = Duration::from_secs(20);

/// The engine's own grace period when neither caller nor container names one.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// A container as lists show it: no start time, no health, no user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// The full id.
    pub id: String,
    /// The name, without the leading slash.
    pub name: String,
    /// The id of its image.
    pub image_id: String,
    /// Labels of the container, which include those of its image.
    pub labels: BTreeMap<String, String>,
    /// What it is doing.
    pub state: Status,
}

/// `State.Status` of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the engine's own words")]
pub enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    /// Reads the engine's word for it.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "created" => Status::Created,
            "running" => Status::Running,
            "paused" => Status::Paused,
            "restarting" => Status::Restarting,
            "removing" => Status::Removing,
            "exited" => Status::Exited,
            "dead" => Status::Dead,
            _ => return None,
        })
    }
}

/// `State.Health.Status` of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the engine's own words")]
pub enum Health {
    #[default]
    #[serde(alias = "")]
    None,
    Starting,
    Healthy,
    Unhealthy,
}

/// A container as one inspect shows it. Its environment is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The full id.
    pub id: String,
    /// The name, without the leading slash.
    pub name: String,
    /// The image as it was named at creation: `shop/api:2`.
    pub image: String,
    /// The id of the image.
    pub image_id: String,
    /// Labels of the container, which include those of its image.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Option<Time>,
    /// What it is doing, since when, and how it ended last.
    pub state: ContainerState,
    /// `USER`, in the container's words: `1000:1000`, `www-data`, or empty for root.
    pub user: String,
    /// Its host name.
    pub hostname: String,
    /// The entrypoint, after the image's has been taken over.
    pub entrypoint: Vec<String>,
    /// The command, after the image's has been taken over.
    pub cmd: Vec<String>,
    /// The engine's init program is PID 1; `None` leaves it to the daemon's configuration.
    pub init: Option<bool>,
    /// Everything that is mounted, sorted by target.
    pub mounts: Vec<Mount>,
    /// `bridge`, a network's name, `host`, `none`, `container:ID`.
    pub network_mode: String,
    /// Empty, `host`, `container:ID`.
    pub pid_mode: String,
    /// `private`, `shareable`, `host`, `container:ID`.
    pub ipc_mode: String,
    /// Its healthcheck, own or the image's; `None` if it has none or it is switched off.
    pub healthcheck: Option<Healthcheck>,
    /// Its own grace period for a stop; `None` is the engine's 10 s.
    pub stop_grace: Option<Duration>,
    /// Its own stop signal; `None` is SIGTERM.
    pub stop_signal: Option<String>,
    /// Removed by the engine when it stops (`--rm`).
    pub auto_remove: bool,
    /// What the engine does when it ends by itself.
    pub restart_policy: RestartPolicy,
    /// Its root filesystem is read-only.
    pub read_only: bool,
    /// It runs with all capabilities.
    pub privileged: bool,
}

/// The `State` of an inspect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerState {
    /// What it is doing.
    pub status: Status,
    /// `StartedAt` of the latest start, which with the id names an incarnation; `None`: never.
    pub started_at: Option<Time>,
    /// `FinishedAt` of the latest end; `None`: never.
    pub finished_at: Option<Time>,
    /// Of the latest end; 0 while it runs.
    pub exit_code: i64,
    /// The healthcheck's word.
    pub health: Health,
    /// How often the restart policy has started it since somebody last did.
    pub restart_count: u64,
    /// PID on the engine's machine; 0 if it does not run.
    pub pid: u64,
    /// It ended because its memory did.
    pub oom_killed: bool,
}

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// Path in the container.
    pub target: String,
    /// `volume`, `bind`, `tmpfs`, `image`, `npipe`, `cluster`.
    pub kind: String,
    /// The volume's name, or the host path of a bind; empty for a tmpfs.
    pub source: String,
    /// The part of a volume that is mounted, if not all of it.
    pub subpath: Option<String>,
    /// Writable.
    pub rw: bool,
}

/// How an image or a container is asked for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["CMD", program, …]` or `["CMD-SHELL", line]`.
    pub test: Vec<String>,
    /// Time between two checks; zero is the engine's 30 s.
    pub interval: Duration,
    /// Time that one check may take; zero is the engine's 30 s.
    pub timeout: Duration,
    /// Time after the start in which failures do not count.
    pub start_period: Duration,
    /// Failures in a row that make it unhealthy; zero is the engine's 3.
    pub retries: u64,
}

/// What the engine does when a container ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Starts it again, also after a restart of the engine.
    Always,
    /// Starts it again, unless somebody stopped it.
    UnlessStopped,
    /// Starts it again after a failure, at most so often (0: without end).
    OnFailure(u32),
}

impl RestartPolicy {
    fn of(name: &str, retries: i64) -> Self {
        match name {
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => RestartPolicy::OnFailure(u32::try_from(retries).unwrap_or(0)),
            _ => RestartPolicy::No,
        }
    }

    pub(crate) fn to_model(self) -> bollard::models::RestartPolicy {
        use bollard::models::RestartPolicyNameEnum as Name;
        let (name, retries) = match self {
            RestartPolicy::No => (Name::NO, 0),
            RestartPolicy::Always => (Name::ALWAYS, 0),
            RestartPolicy::UnlessStopped => (Name::UNLESS_STOPPED, 0),
            RestartPolicy::OnFailure(retries) => (Name::ON_FAILURE, i64::from(retries)),
        };
        bollard::models::RestartPolicy {
            name: Some(name),
            maximum_retry_count: Some(retries),
        }
    }
}

/// What a stop found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// It ran, and this call ended it.
    Stopped,
    /// It did not run.
    AlreadyStopped,
}

impl Engine {
    /// Lists containers in every state that carry all of these labels (`key` or `key=value`),
    /// sorted by name.
    pub async fn containers(&self, labels: &[&str]) -> Result<Vec<ContainerSummary>> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&label_filter(labels))
            .build();
        let list = self
            .call(
                "list containers",
                self.docker.list_containers(Some(options)),
            )
            .await?;
        let mut containers: Vec<_> = list.into_iter().filter_map(summary).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Looks at one container, by id or name; `None` if there is none.
    pub async fn inspect(&self, id: &str) -> Result<Option<Container>> {
        let what = format!("inspect container {id}");
        // Not bollard's: its model would take the environment in.
        let said = self.within(DEADLINE, &what, async {
            let path = format!("/containers/{}/json", object(id, &what)?);
            self.http.get::<Inspected>(&path, &what).await
        });
        Ok(found(said.await)?.map(Container::from))
    }

    /// Starts a container. One that runs already is left alone, and that is no error.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such container, and also if the subpath of one of its
    /// volume mounts does not exist.
    pub async fn start(&self, id: &str) -> Result<()> {
        let what = format!("start container {id}");
        let id = object(id, &what)?;
        let start = self
            .docker
            .start_container(id, None::<StartContainerOptions>);
        self.call(what, start).await
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace` (default: the container's
    /// own). Returns when it has ended.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after the grace period plus 20 s. `None` counts as 10 s here, so name the
    /// container's own period if it is longer.
    pub async fn stop(&self, id: &str, grace: Option<Duration>) -> Result<StopOutcome> {
        let what = format!("stop container {id}");
        // Not bollard's: it does not tell 204 from 304.
        let mut path = format!("/containers/{}/stop", object(id, &what)?);
        if let Some(grace) = grace {
            path.push_str(&format!("?t={}", grace.as_secs()));
        }
        let deadline = grace.unwrap_or(DEFAULT_GRACE) + STOP_SLACK;
        match self
            .within(deadline, &what, self.http.post(&path, &what))
            .await
        {
            Ok(()) => Ok(StopOutcome::Stopped),
            Err(error) if error.kind == Kind::NotModified => Ok(StopOutcome::AlreadyStopped),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal (`HUP`, `SIGUSR1`, `9`) to a container's PID 1.
    ///
    /// Trap (seen on Engine 28.5.2): for a container without a stop signal of its own, or if the
    /// signal is that stop signal, the engine takes *any* signal for the wish to end it: at its
    /// next exit the restart policy does nothing. Running `kill` inside does not have that effect.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it does not run.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        let what = format!("send {signal} to container {id}");
        let id = object(id, &what)?;
        let kill = self.docker.kill_container(id, Some(options));
        self.call(what, kill).await
    }

    /// Removes a container and its anonymous volumes. One that is gone is no error.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it runs and `force` is not set.
    pub async fn remove(&self, id: &str, force: bool) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new()
            .v(true)
            .force(force)
            .build();
        let what = format!("remove container {id}");
        let id = object(id, &what)?;
        let remove = self.docker.remove_container(id, Some(options));
        found(self.call(what, remove).await).map(Option::unwrap_or_default)
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the name is taken.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let options = RenameContainerOptions {
            name: name.to_owned(),
        };
        let what = format!("rename container {id} to {name}");
        let id = object(id, &what)?;
        let rename = self.docker.rename_container(id, options);
        self.call(what, rename).await
    }

    /// Sets what the engine does when a container ends by itself.
    pub async fn update_restart_policy(&self, id: &str, policy: RestartPolicy) -> Result<()> {
        let body = ContainerUpdateBody {
            restart_policy: Some(policy.to_model()),
            ..ContainerUpdateBody::default()
        };
        let what = format!("set the restart policy of container {id}");
        let id = object(id, &what)?;
        let update = self.docker.update_container(id, body);
        self.call(what, update).await
    }
}

/// The engine's filter for "carries all of these labels".
pub(crate) fn label_filter(labels: &[&str]) -> std::collections::HashMap<String, Vec<String>> {
    let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
    match labels.is_empty() {
        true => Default::default(),
        false => [("label".to_owned(), labels)].into(),
    }
}

/// A list's entry; `None` for one that has no id or is in a state that we do not know.
fn summary(said: bollard::models::ContainerSummary) -> Option<ContainerSummary> {
    Some(ContainerSummary {
        id: said.id?,
        name: plain_name(said.names.unwrap_or_default()),
        image_id: said.image_id.unwrap_or_default(),
        labels: said.labels.unwrap_or_default().into_iter().collect(),
        state: Status::parse(said.state?.as_ref())?,
    })
}

/// Of `/web` and `/other/alias` (a legacy link) the container's own name is the one with one slash.
fn plain_name(names: Vec<String>) -> String {
    let own = names
        .iter()
        .find_map(|n| n.strip_prefix('/').filter(|rest| !rest.contains('/')));
    own.or(names.first().map(String::as_str))
        .unwrap_or_default()
        .to_owned()
}

/// `GET /containers/ID/json`, as far as it is read. There is no field for `Config.Env`: what has
/// no field is skipped over.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    image: String,
    #[serde(default)]
    created: String,
    state: InspectedState,
    #[serde(default)]
    restart_count: u64,
    config: InspectedConfig,
    #[serde(default)]
    host_config: InspectedHost,
    #[serde(default, deserialize_with = "null_is_default")]
    mounts: Vec<MountPoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: Status,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    pid: u64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    health: InspectedHealth,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct InspectedHealth {
    status: Health,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct InspectedConfig {
    hostname: String,
    user: String,
    image: String,
    #[serde(deserialize_with = "null_is_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
    healthcheck: Option<InspectedHealthcheck>,
    stop_signal: Option<String>,
    stop_timeout: Option<u64>,
}

/// Durations are nanoseconds.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InspectedHealthcheck {
    #[serde(deserialize_with = "null_is_default")]
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    retries: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct InspectedHost {
    init: Option<bool>,
    network_mode: String,
    pid_mode: String,
    ipc_mode: String,
    auto_remove: bool,
    readonly_rootfs: bool,
    privileged: bool,
    restart_policy: InspectedPolicy,
    #[serde(deserialize_with = "null_is_default")]
    mounts: Vec<MountSpec>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct InspectedPolicy {
    name: String,
    maximum_retry_count: i64,
}

/// What was asked for: the only place where a subpath is told.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct MountSpec {
    target: String,
    volume_options: Option<MountSpecVolume>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct MountSpecVolume {
    subpath: Option<String>,
}

/// What came of it, images' own volumes and the short syntax included.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct MountPoint {
    #[serde(rename = "Type")]
    kind: String,
    name: String,
    source: String,
    destination: String,
    #[serde(rename = "RW")]
    rw: bool,
}

/// Go writes `null` for an empty list or map.
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<Inspected> for Container {
    fn from(said: Inspected) -> Self {
        let Inspected {
            config,
            host_config: host,
            state,
            ..
        } = said;
        let mut mounts: Vec<_> = said
            .mounts
            .into_iter()
            .map(|point| Mount {
                subpath: subpath_of(&host.mounts, &point.destination),
                target: point.destination,
                source: match point.name.is_empty() {
                    true => point.source,
                    false => point.name,
                },
                kind: point.kind,
                rw: point.rw,
            })
            .collect();
        mounts.sort();
        Container {
            id: said.id,
            name: plain_name(vec![said.name]),
            image: config.image,
            image_id: said.image,
            labels: config.labels,
            created_at: parse_rfc3339(&said.created),
            state: ContainerState {
                status: state.status,
                started_at: parse_rfc3339(&state.started_at),
                finished_at: parse_rfc3339(&state.finished_at),
                exit_code: state.exit_code,
                health: state.health.status,
                restart_count: said.restart_count,
                pid: state.pid,
                oom_killed: state.oom_killed,
            },
            user: config.user,
            hostname: config.hostname,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
            init: host.init,
            mounts,
            network_mode: host.network_mode,
            pid_mode: host.pid_mode,
            ipc_mode: host.ipc_mode,
            healthcheck: config.healthcheck.and_then(InspectedHealthcheck::active),
            stop_grace: config.stop_timeout.map(Duration::from_secs),
            stop_signal: config.stop_signal.filter(|s| !s.is_empty()),
            auto_remove: host.auto_remove,
            restart_policy: RestartPolicy::of(
                &host.restart_policy.name,
                host.restart_policy.maximum_retry_count,
            ),
            read_only: host.readonly_rootfs,
            privileged: host.privileged,
        }
    }
}

fn subpath_of(asked: &[MountSpec], target: &str) -> Option<String> {
    let spec = asked.iter().find(|spec| spec.target == target)?;
    let subpath = spec.volume_options.as_ref()?.subpath.clone()?;
    (!subpath.is_empty()).then_some(subpath)
}

impl InspectedHealthcheck {
    pub(crate) fn active(self) -> Option<Healthcheck> {
        match self.test.first().map(String::as_str) {
            None | Some("NONE") => None,
            Some(_) => Some(Healthcheck {
                test: self.test,
                interval: Duration::from_nanos(self.interval),
                timeout: Duration::from_nanos(self.timeout),
                start_period: Duration::from_nanos(self.start_period),
                retries: self.retries,
            }),
        }
    }
}
