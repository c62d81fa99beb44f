//! The shapes of what users write. Nothing is ever read into these types; their comments are what editors show.

#![allow(dead_code, reason = "only the shape of these types is used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::compose::{KINDS, SIGNALS};
use crate::config::SCHEMES;

/// The x-locket nodes of a compose file.
#[derive(JsonSchema)]
pub(super) struct ComposeFile {
    #[serde(rename = "x-locket")]
    x_locket: Option<Project>,
    services: Option<BTreeMap<String, ComposeService>>,
}

/// A service of the compose file.
#[derive(JsonSchema)]
struct ComposeService {
    #[serde(rename = "x-locket")]
    x_locket: Option<ServiceForms>,
}

/// Where the project's secrets are, and what they are called.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Project {
    /// Where secrets live, by a name of your choice.
    sources: Option<BTreeMap<String, SourceForms>>,
    /// The catalogue: name → reference.
    secrets: Option<BTreeMap<String, SecretForms>>,
    /// For services that do not say.
    defaults: Option<Defaults>,
    /// What `x-locket` of a service would say, for override files that may not touch the services.
    services: Option<BTreeMap<String, ServiceForms>>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum SourceForms {
    /// The type; everything else is in the host's configuration.
    Short(Kind),
    Long(Box<Source>),
}

/// The type of a source.
#[derive(JsonSchema)]
#[schemars(transparent, extend("enum" = kinds()))]
struct Kind(String);

fn kinds() -> Vec<&'static str> {
    KINDS.iter().copied().chain(["bao", "op"]).collect()
}

/// A source with everything that is needed to use it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Source {
    r#type: Kind,
    /// Where the server is, without user, password or query.
    #[schemars(regex(pattern = r"^https?://[^@?#\s]+$"))]
    url: Option<String>,
    /// The namespace of OpenBao or Vault.
    namespace: Option<String>,
    auth: Option<Auth>,
    /// A PEM file with the authority to trust instead of the system's.
    ca: Option<String>,
    /// The directory of a source of type `file`.
    root: Option<String>,
    /// How often it is asked for changes; default `60s`.
    refresh: Option<Duration>,
    /// How long one call may take; default `10s`.
    timeout: Option<Duration>,
}

/// How to log in: one of `token` and `approle`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Auth {
    token: Option<Credential>,
    approle: Option<AppRole>,
}

/// AppRole of OpenBao or Vault.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct AppRole {
    /// Not secret.
    role_id: String,
    secret_id: Credential,
    /// Where the method is mounted; default `approle`.
    mount: Option<String>,
}

/// Where a credential is: it is never written down.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Credential {
    /// A file of the machine that logs in.
    file: Option<String>,
    /// A variable of the process that logs in.
    env: Option<String>,
}

/// `<source>:<path>#<field>?version=N`, or a vendor's own string: `op://vault/item/field`.
#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = "^[A-Za-z][A-Za-z0-9_-]*:."))]
struct Reference(String);

/// A name of the catalogue, or a reference.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Operand(String);

/// A number with its unit: `500ms`, `30s`, `1m30s`.
#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^(0|([0-9]+(\.[0-9]+)?(h|m|s|ms|us))+)$"))]
struct Duration(String);

#[derive(JsonSchema)]
#[serde(untagged)]
enum SecretForms {
    Short(Reference),
    Long(Secret),
}

/// A secret with more to say.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secret {
    r#ref: Reference,
    /// File → field, for a secret that is delivered as a directory of files.
    fields: Option<BTreeMap<String, String>>,
    /// Whether an empty value is a value; usually it is an error.
    allow_empty: Option<bool>,
    /// How often it is asked for changes.
    refresh: Option<Duration>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum ServiceForms {
    /// The secrets that the service gets as files.
    Short(Vec<FileForms>),
    Long(Box<Service>),
}

/// What the service gets.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Service {
    /// Where the service's volume is mounted; default `/run/secrets`.
    #[schemars(regex(pattern = "^/."))]
    path: Option<String>,
    /// Secrets as files.
    secrets: Option<Vec<FileForms>>,
    /// Secrets as environment variables, which `docker inspect` does not show.
    env: Option<BTreeMap<String, EnvForms>>,
    /// Files with secrets in them.
    templates: Option<Vec<Template>>,
    on_change: Option<OnChangeForms>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum FileForms {
    Short(Operand),
    Long(File),
}

/// A secret as a file.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    source: Operand,
    /// The file, relative to `path`; default: the secret's name.
    target: Option<String>,
    uid: Option<Owner>,
    gid: Option<Owner>,
    mode: Option<Mode>,
    update: Option<Update>,
}

/// A number, a name in the service's image, or `service` for the user that the service runs as; default root.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Owner {
    Id(u32),
    Name(String),
}

/// Permission bits in octal: `0440`; default `0444`.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Mode {
    Bits(u32),
    #[schemars(extend("pattern" = "^(0o)?[0-7]{1,4}$"))]
    Text(String),
}

/// How the file is replaced: all files at once (`swap`, the default), by a rename, or in place.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Update {
    Swap,
    Rename,
    Inplace,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum EnvForms {
    /// A name of the catalogue, a reference, or a text with `{{ name | filter }}` in it.
    Short(String),
    Long(Env),
}

/// A variable with more to say.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Env {
    /// A name of the catalogue, or a reference.
    secret: Option<String>,
    /// The same, or a text with `{{ name | filter }}` in it.
    value: Option<String>,
    via: Option<Via>,
}

/// `shim` (the default): `docker inspect` does not show it. `compose`: it does.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Via {
    Shim,
    Compose,
}

/// A file with secrets in it: one of `source` and `content`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Template {
    /// The text: a file, or a directory for all files in it.
    source: Option<String>,
    /// The text itself.
    content: Option<String>,
    /// The file, relative to `path`; default: the name of `source` without `.tpl`.
    target: Option<String>,
    uid: Option<Owner>,
    gid: Option<Owner>,
    mode: Option<Mode>,
    update: Option<Update>,
}

/// What happens to the service's containers when a value changes.
#[derive(JsonSchema)]
#[serde(untagged)]
enum OnChangeForms {
    /// `auto` (the default), `none`, `restart`, `recreate`, `rollout`, or `signal:NAME`.
    Short(Action),
    Long(OnChange),
}

#[derive(JsonSchema)]
#[schemars(transparent, extend("enum" = actions()))]
struct Action(String);

fn actions() -> Vec<String> {
    let words = ["auto", "none", "restart", "recreate", "rollout"].map(str::to_owned);
    words
        .into_iter()
        .chain(SIGNALS.iter().map(|s| format!("signal:{s}")))
        .collect()
}

/// An action with its timing.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnChange {
    /// `auto` (the default), `none`, `restart`, `recreate`, `rollout`.
    action: Option<String>,
    /// Send this signal.
    signal: Option<String>,
    /// Run this command in the service's container: a list of words, no shell.
    #[schemars(length(min = 1))]
    exec: Option<Vec<String>>,
    /// How long a restarted container may take to become healthy; default `60s`, plus start period and interval of its healthcheck.
    timeout: Option<Duration>,
    /// How long a container without a healthcheck must run to count as good; default `10s`.
    stable: Option<Duration>,
    /// Quiet time after a change before anything is disrupted; default `2s`.
    settle: Option<Duration>,
    /// Least time between two restarts for changed values; default `1m`.
    restart_every: Option<Duration>,
}

/// For services that do not say.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Defaults {
    on_change: Option<OnChangeForms>,
    /// Quiet time after a change before anything is disrupted; default `2s`.
    settle: Option<Duration>,
    /// Least time between two restarts for changed values; default `1m`.
    restart_every: Option<Duration>,
    /// How often sources are asked for changes; default `60s`.
    refresh: Option<Duration>,
}

/// locket.yaml: what a host allows, and how it logs in.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Sources that projects may name.
    sources: Option<BTreeMap<String, SourceForms>>,
    defaults: Option<HostDefaults>,
    limits: Option<Limits>,
    /// What the controller reads for whom.
    grants: Option<Vec<Grant>>,
    listen: Option<Listen>,
}

/// For projects that do not say, and how long locket itself waits.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct HostDefaults {
    on_change: Option<OnChangeForms>,
    /// Quiet time after a change before anything is disrupted; default `2s`.
    settle: Option<Duration>,
    /// Least time between two restarts for changed values; default `1m`.
    restart_every: Option<Duration>,
    /// How often sources are asked for changes; default `60s`.
    refresh: Option<Duration>,
    /// One batch of questions to a backend, for sources that do not say; default `10s`.
    backend_timeout: Option<Duration>,
    /// The gate of `docker compose up`; default `60s`.
    gate_timeout: Option<Duration>,
    /// How long compose must have left a project alone before anything of it is disrupted; default `5s`.
    quiet: Option<Duration>,
}

/// How much is kept.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limits {
    /// Bytes of one value; default `1MiB`.
    value: Option<Size>,
}

/// A number, or one with `KiB` or `MiB`.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Size {
    Number(u64),
    #[schemars(extend("pattern" = "^[0-9]+ *(KiB|MiB)$"))]
    Text(String),
}

/// What the controller reads for a project.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// The project, or `*` for all.
    project: String,
    /// Sources of the host by name, or sources exactly as a compose file defines them.
    sources: Option<Vec<AllowedForms>>,
    /// References of the host's sources: one path, or all that begin so when it ends in `/` or `*`.
    references: Option<Vec<Reference>>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum AllowedForms {
    /// The name of a source of this file.
    Named(String),
    Own(Box<Source>),
}

/// Where the controller takes signed hints and shows its metrics; without it, nowhere.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Listen {
    /// Address and port, `127.0.0.1:9480`. Without `tls` only loopback.
    #[schemars(regex(pattern = r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]+$"))]
    address: String,
    tls: Option<Tls>,
    metrics: Option<MetricsForms>,
    /// Who may push, by the name of the source that is to be asked.
    hooks: Option<BTreeMap<String, Hook>>,
}

/// PEM files of the listener.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tls {
    /// The certificate and what leads to its authority.
    #[schemars(regex(pattern = "^/"))]
    cert: String,
    /// Its private key.
    #[schemars(regex(pattern = "^/"))]
    key: String,
}

/// Whether `GET /metrics` answers; default `false`.
#[derive(JsonSchema)]
#[serde(untagged)]
enum MetricsForms {
    Anyone(bool),
    /// Only whoever brings this as a bearer token.
    Token(MetricsToken),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct MetricsToken {
    token: Credential,
}

/// Who may push for a source.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hook {
    secret: Credential,
    signature: Option<SignatureForms>,
}

/// How requests are signed: a name, or spelled out; default `locket`.
#[derive(JsonSchema)]
#[serde(untagged)]
enum SignatureForms {
    Named(Scheme),
    Long(Signature),
}

#[derive(JsonSchema)]
#[schemars(transparent, extend("enum" = SCHEMES))]
struct Scheme(String);

/// HMAC-SHA256.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The header that holds the signature.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]+$"))]
    header: String,
    /// What stands before the signature in it: `sha256=`.
    prefix: Option<String>,
    encoding: Option<Encoding>,
    timestamp: Option<Timestamp>,
    /// What is signed; default `{body}`, with a timestamp `{timestamp}.{body}`. `{x-some-header}` is a header.
    content: Option<String>,
    /// How old a signed request may be; default `5m`, at most `15m`.
    tolerance: Option<Duration>,
}

/// How the bytes of a signature are written; default `hex`.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Hex,
    Base64,
}

/// Where the time of the signature is, in seconds since 1970: one of `header` and `part`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Timestamp {
    /// A header of its own.
    header: Option<String>,
    /// What stands before it beside the signature: `t=`.
    part: Option<String>,
}
