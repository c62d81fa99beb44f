//! Making a container.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount as MountModel,
    MountTmpfsOptions, MountType, MountVolumeOptions,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use crate::client::Engine;
use crate::containers::{Healthcheck, RestartPolicy};
use crate::error::Result;

/// A container to be made. `Default` is an ordinary container without a name or an image; what is
/// empty or `None` is left to the image or the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateContainer {
    /// Its name.
    pub name: String,
    /// The image, by name or id. Never pulled.
    pub image: String,
    /// Replaces the image's command.
    pub cmd: Option<Vec<String>>,
    /// Replaces the image's entrypoint; an empty list switches it off.
    pub entrypoint: Option<Vec<String>>,
    /// `1000:1000`.
    pub user: Option<String>,
    /// `KEY=value`. It is written to the engine's disk and shown by inspect: never a secret.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What to mount.
    pub mounts: Vec<NewMount>,
    /// `none`, `host`, a network's name, `container:ID`.
    pub network_mode: Option<String>,
    /// Makes the root filesystem read-only.
    pub read_only: bool,
    /// `ALL`.
    pub cap_drop: Vec<String>,
    /// `CHOWN`.
    pub cap_add: Vec<String>,
    /// The most processes and threads.
    pub pids_limit: Option<i64>,
    /// Log driver `none`: what it prints is kept nowhere.
    pub no_log: bool,
    /// Log driver `json-file` with three files of at most so many bytes each.
    pub log_size: Option<u64>,
    /// What the engine does when it ends by itself.
    pub restart_policy: RestartPolicy,
    /// Replaces the image's healthcheck.
    pub healthcheck: Option<Healthcheck>,
    /// Runs the engine's init program as PID 1.
    pub init: Option<bool>,
    /// `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and SIGKILL.
    pub stop_timeout: Option<u32>,
    /// No gaining of privileges through set-user-id programs.
    pub no_new_privileges: bool,
    /// Further groups, by name or number.
    pub group_add: Vec<String>,
}

/// Something to mount into a new container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewMount {
    /// A named volume, which the engine makes if it is not there.
    Volume {
        /// Its name.
        source: String,
        /// Absolute path in the container.
        target: String,
        /// Only this part of it, which must exist when the container starts.
        subpath: Option<String>,
        /// Not writable.
        read_only: bool,
        /// Do not copy the image's files at `target` into an empty volume.
        nocopy: bool,
    },
    /// A path of the engine's machine.
    Bind {
        /// Absolute path on the engine's machine; it must exist.
        source: String,
        /// Absolute path in the container.
        target: String,
        /// Not writable.
        read_only: bool,
    },
    /// Memory of this container alone.
    Tmpfs {
        /// Absolute path in the container.
        target: String,
        /// The most bytes; `None` is half of the machine's memory.
        size: Option<i64>,
        /// Mode of its root directory.
        mode: Option<u32>,
    },
}

impl Engine {
    /// Makes a container and does not start it. Returns its id.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) if the image is not on the engine,
    /// [`Kind::Conflict`](crate::Kind::Conflict) if the name is taken.
    pub async fn create(&self, spec: &CreateContainer) -> Result<String> {
        let options = CreateContainerOptionsBuilder::new()
            .name(&spec.name)
            .build();
        let create = self.docker.create_container(Some(options), spec.body());
        let made = self
            .call(format!("create container {}", spec.name), create)
            .await?;
        Ok(made.id)
    }
}

impl CreateContainer {
    fn body(&self) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: self.cmd.clone(),
            entrypoint: self.entrypoint.clone(),
            user: self.user.clone(),
            env: some(&self.env),
            labels: Some(self.labels.clone().into_iter().collect::<HashMap<_, _>>()),
            healthcheck: self.healthcheck.as_ref().map(Healthcheck::to_model),
            stop_signal: self.stop_signal.clone(),
            stop_timeout: self.stop_timeout.map(i64::from),
            host_config: Some(HostConfig {
                mounts: Some(self.mounts.iter().map(NewMount::to_model).collect()),
                network_mode: self.network_mode.clone(),
                readonly_rootfs: Some(self.read_only),
                cap_drop: some(&self.cap_drop),
                cap_add: some(&self.cap_add),
                pids_limit: self.pids_limit,
                log_config: self.log_config(),
                restart_policy: Some(self.restart_policy.to_model()),
                init: self.init,
                security_opt: self
                    .no_new_privileges
                    .then(|| vec!["no-new-privileges:true".to_owned()]),
                group_add: some(&self.group_add),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

impl CreateContainer {
    fn log_config(&self) -> Option<HostConfigLogConfig> {
        let driver = |name: &str, options| HostConfigLogConfig {
            typ: Some(name.to_owned()),
            config: options,
        };
        if self.no_log {
            return Some(driver("none", None));
        }
        let options = |size: u64| {
            let pairs = [("max-size", size.to_string()), ("max-file", "3".to_owned())];
            pairs.map(|(key, value)| (key.to_owned(), value)).into()
        };
        self.log_size
            .map(|size| driver("json-file", Some(options(size))))
    }
}

fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

impl Healthcheck {
    fn to_model(&self) -> HealthConfig {
        let nanos = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        HealthConfig {
            test: Some(self.test.clone()),
            interval: Some(nanos(self.interval)),
            timeout: Some(nanos(self.timeout)),
            start_period: Some(nanos(self.start_period)),
            retries: Some(i64::try_from(self.retries).unwrap_or(i64::MAX)),
            ..HealthConfig::default()
        }
    }
}

impl NewMount {
    fn to_model(&self) -> MountModel {
        match self.clone() {
            NewMount::Volume {
                source,
                target,
                subpath,
                read_only,
                nocopy,
            } => MountModel {
                typ: Some(MountType::VOLUME),
                source: Some(source),
                target: Some(target),
                read_only: Some(read_only),
                volume_options: Some(MountVolumeOptions {
                    no_copy: Some(nocopy),
                    subpath,
                    ..MountVolumeOptions::default()
                }),
                ..MountModel::default()
            },
            NewMount::Bind {
                source,
                target,
                read_only,
            } => MountModel {
                typ: Some(MountType::BIND),
                source: Some(source),
                target: Some(target),
                read_only: Some(read_only),
                ..MountModel::default()
            },
            NewMount::Tmpfs { target, size, mode } => MountModel {
                typ: Some(MountType::TMPFS),
                target: Some(target),
                tmpfs_options: Some(MountTmpfsOptions {
                    size_bytes: size,
                    mode: mode.map(i64::from),
                    options: None,
                }),
                ..MountModel::default()
            },
        }
    }
}
