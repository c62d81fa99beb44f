//! What a compose project asks for: `x-locket` and what we read of the compose model beside it.
//!
//! The gate hands a [`ProjectSpec`] over as JSON; it is kept in the project volume.
//! It holds references, template texts and names, never a value, and of interpolation only what ended in a url, path or reference.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{ProjectName, SecretName, ServiceName, SourceName};
use crate::reference::SecretRef;
use crate::template::Template;

/// Where something was written. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The compose file as it was named, or `label` for a container label.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column in characters, from 1; 0 when unknown.
    pub column: u32,
}

/// One compose project, normalised: short forms are gone, names are not yet looked up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectSpec {
    /// Version of this structure; 1.
    pub version: u32,
    /// The compose project.
    pub project: ProjectName,
    /// The project directory on the client, for `status` and relative paths.
    pub working_dir: String,
    /// The compose files, in compose's order.
    pub files: Vec<String>,
    /// `x-locket.defaults`.
    pub defaults: Defaults,
    /// `x-locket.sources`.
    pub sources: BTreeMap<SourceName, SourceSpec>,
    /// `x-locket.secrets`: the catalogue.
    pub secrets: BTreeMap<SecretName, SecretSpec>,
    /// Services that use secrets.
    pub services: BTreeMap<ServiceName, ServiceSpec>,
    /// What we read of every service of the model, with or without secrets.
    pub model: BTreeMap<ServiceName, ComposeService>,
}

/// `x-locket.defaults`; what is absent comes from the host configuration, then from the built-in defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Defaults {
    /// Action for services that do not say.
    pub on_change: Option<OnChange>,
    /// Quiet time after a change before anything is disrupted; default 2 s.
    pub settle: Option<Duration>,
    /// Least time between two restarts of one service for changed values; default 60 s.
    pub restart_every: Option<Duration>,
    /// Poll interval; default 60 s.
    pub refresh: Option<Duration>,
}

/// One entry of `x-locket.sources`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// `local`, `file`, `env`, `openbao`, `vault`, `1password`, …
    pub kind: String,
    /// Base URL; no userinfo, no query.
    pub url: Option<String>,
    /// Vault namespace.
    pub namespace: Option<String>,
    /// How to log in; `None` means: the host configuration's source of the same name.
    pub auth: Option<AuthSpec>,
    /// Path of a PEM file with the CA to trust instead of the system's.
    pub ca: Option<String>,
    /// Root directory of a `file` source.
    pub root: Option<String>,
    /// Poll interval of this source.
    pub refresh: Option<Duration>,
    /// Deadline of one backend call; default 10 s.
    pub timeout: Option<Duration>,
    /// Where it was written.
    pub origin: Origin,
}

impl SourceSpec {
    /// A source of which only the type is known.
    pub fn of_kind(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            url: None,
            namespace: None,
            auth: None,
            ca: None,
            root: None,
            refresh: None,
            timeout: None,
            origin: Origin::default(),
        }
    }

    /// True for the short form: only a type, everything else is the host's.
    pub fn is_host_name(&self) -> bool {
        self.url.is_none()
            && self.auth.is_none()
            && self.root.is_none()
            && self.ca.is_none()
            && self.namespace.is_none()
    }
}

/// Authentication of a source. Secret parts are only ever named, never written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthSpec {
    /// A ready token.
    Token(Credential),
    /// Vault AppRole, <https://openbao.org/api-docs/auth/approle/>.
    Approle {
        /// The role id; not secret.
        role_id: String,
        /// The secret id.
        secret_id: Credential,
        /// Mount of the auth method; default `approle`.
        mount: Option<String>,
    },
}

/// Where a credential is read from. There is no variant for a literal, on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A file; a trailing newline is not part of the credential.
    File(String),
    /// An environment variable of the process that logs in.
    Env(String),
}

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretSpec {
    /// The secret; its field is left out when `fields` is used.
    pub reference: SecretRef,
    /// File name → field, for a secret that is a directory of files; empty for a single value.
    pub fields: BTreeMap<String, String>,
    /// Whether an empty value is a value.
    pub allow_empty: bool,
    /// Poll interval of this secret.
    pub refresh: Option<Duration>,
    /// Where it was written.
    pub origin: Origin,
}

/// What one service is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Absolute path in the container where the service's volume is mounted; default `/run/secrets`.
    pub path: String,
    /// Files that are a secret, byte for byte.
    pub secrets: Vec<FileGrant>,
    /// Environment variables, by name.
    pub env: BTreeMap<String, EnvGrant>,
    /// Files that are rendered.
    pub templates: Vec<TemplateGrant>,
    /// What happens when a value changes; `None`: the default.
    pub on_change: Option<OnChange>,
    /// Where it was written.
    pub origin: Origin,
}

impl ServiceSpec {
    /// The default of [`ServiceSpec::path`].
    pub const PATH: &str = "/run/secrets";

    /// Where it and its parts were written.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        let files = self.secrets.iter().map(|it| &it.origin);
        let templates = self.templates.iter().map(|it| &it.origin);
        let env = self.env.values().map(|it| &it.origin);
        files.chain(templates).chain(env).chain([&self.origin])
    }

    /// One that is given nothing.
    pub fn empty() -> Self {
        Self {
            path: Self::PATH.to_owned(),
            secrets: Vec::new(),
            env: BTreeMap::new(),
            templates: Vec::new(),
            on_change: None,
            origin: Origin::default(),
        }
    }
}

/// A secret named by the catalogue, or referred to in place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// A name of the catalogue.
    Name(SecretName),
    /// An inline reference.
    Ref(SecretRef),
}

/// How a file is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileMode {
    /// Owner; default root.
    pub uid: Option<Owner>,
    /// Group; default root.
    pub gid: Option<Owner>,
    /// Permission bits; default 0444.
    pub mode: Option<u32>,
    /// How the file is replaced.
    pub update: Update,
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A number.
    Id(u32),
    /// A name, looked up in the service's own image.
    Name(String),
    /// The user (or its primary group) that the service runs as.
    Service,
}

/// How a delivered file is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// All files of the generation at once, by one symlink swap.
    #[default]
    Swap,
    /// This file by rename over the old one.
    Rename,
    /// This file overwritten in place, same inode.
    Inplace,
}

/// One entry of a service's `secrets`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileGrant {
    /// The secret.
    pub source: Operand,
    /// Relative path under the service's `path`; a directory for a secret with `fields`.
    pub target: String,
    /// Owner, mode, update.
    pub file: FileMode,
    /// Where it was written.
    pub origin: Origin,
}

/// One entry of a service's `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvGrant {
    /// The value.
    pub value: EnvValue,
    /// Way of delivery.
    pub via: Via,
    /// Where it was written.
    pub origin: Origin,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    /// A secret as it is.
    Secret(Operand),
    /// A text with `{{ … }}` in it.
    Template(Template),
}

/// The way in which an environment variable is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// By the shim: not visible in `docker inspect`.
    #[default]
    Shim,
    /// By the provider protocol's `setenv`: visible in `docker inspect`, prefixed by compose.
    Compose,
}

/// One rendered file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateGrant {
    /// The text.
    pub content: Template,
    /// The file that the text came from; `None` for `content:`.
    pub source: Option<String>,
    /// Relative path under the service's `path`.
    pub target: String,
    /// Owner, mode, update.
    pub file: FileMode,
    /// Where it was written.
    pub origin: Origin,
}

/// What happens to a service's containers when what they use has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnChange {
    /// The action.
    pub action: ChangeAction,
    /// How long a restarted container may take to become healthy; default 60 s, plus start period and interval of its healthcheck.
    pub timeout: Option<Duration>,
    /// How long a container without a healthcheck must run to count as good; default 10 s.
    pub stable: Option<Duration>,
    /// As in [`Defaults`].
    pub settle: Option<Duration>,
    /// As in [`Defaults`].
    pub restart_every: Option<Duration>,
}

/// The action of [`OnChange`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// By the written table: bytes, targets or keys changed: restart; mode or owner only: nothing.
    Auto,
    /// Deliver only.
    None,
    /// Send a signal (name without `SIG`, upper case).
    Signal(String),
    /// Run a command (argv) in the service's own container.
    Exec(Vec<String>),
    /// Stop, then start.
    Restart,
    /// Parsed; answered with a condition for now.
    Recreate,
    /// Parsed; answered with a condition for now.
    Rollout,
}

/// What we read of one service of the compose model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ComposeService {
    /// Image name.
    pub image: Option<String>,
    /// `user:`.
    pub user: Option<String>,
    /// `depends_on`.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// Services whose namespaces or volumes this one joins (`network_mode: service:x`, `ipc`, `pid`, `volumes_from`).
    pub joins: Vec<ServiceName>,
    /// `stop_grace_period`; engine default 10 s.
    pub stop_grace: Option<Duration>,
    /// `profiles`.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// `init: true`.
    pub init: bool,
    /// `provider.type`, for a provider service.
    pub provider: Option<String>,
    /// Mounts: target → (volume name in the model, subpath).
    pub mounts: BTreeMap<String, Mount>,
    /// Where compose puts the service's own `secrets` and `configs`; absolute paths.
    #[serde(default)]
    pub own_files: Vec<String>,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dependency {
    /// `service_started`, `service_healthy`, `service_completed_successfully`.
    pub condition: String,
    /// `restart: true`.
    pub restart: bool,
    /// `required`.
    pub required: bool,
}

/// One mount of the model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mount {
    /// `volume`, `bind`, `tmpfs`, …
    pub kind: String,
    /// The volume's key in the model, or the host path.
    pub source: String,
    /// `volume.subpath`.
    pub subpath: Option<String>,
    /// `read_only`.
    pub read_only: bool,
}
