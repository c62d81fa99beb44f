//! Of locket.yaml.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::project::{OnChangeForms, Reference};
use super::source::{Credential, Duration, Source, SourceForms};
use crate::config::SCHEMES;

/// locket.yaml: what a host allows, and how it logs in.
///
/// Example: `{ sources: { bao: { type: openbao, url: "https://bao.internal:8200" } }, grants: [{ project: shop, references: ["bao:kv/shop/"] }] }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::schema) struct Config {
    /// Sources that projects may name.
    ///
    /// Example: `sources: { bao: { type: openbao, url: "https://bao.internal:8200" } }`
    sources: Option<BTreeMap<String, SourceForms>>,
    /// For projects that do not say, and how long locket itself waits.
    ///
    /// Example: `defaults: { on_change: restart, gate_timeout: 2m }`
    defaults: Option<HostDefaults>,
    /// How much is kept.
    ///
    /// Example: `limits: { value: 64KiB }`
    limits: Option<Limits>,
    /// What the controller reads for whom.
    ///
    /// Example: `grants: [{ project: shop, references: ["bao:kv/shop/"] }]`
    grants: Option<Vec<Grant>>,
    /// Where the controller takes signed hints and shows its metrics; without it, nowhere.
    ///
    /// Example: `listen: { address: "127.0.0.1:9480", metrics: true }`
    listen: Option<Listen>,
}

/// For projects that do not say, and how long locket itself waits.
///
/// Example: `{ on_change: restart, gate_timeout: 2m }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct HostDefaults {
    /// What happens to containers when a value changes; default `auto`.
    ///
    /// Example: `on_change: restart`
    on_change: Option<OnChangeForms>,
    /// Quiet time after a change before anything is disrupted; default `2s`.
    ///
    /// Example: `settle: 2s`
    settle: Option<Duration>,
    /// Least time between two restarts for changed values; default `1m`.
    ///
    /// Example: `restart_every: 1m`
    restart_every: Option<Duration>,
    /// How often sources are asked for changes; default `60s`.
    ///
    /// Example: `refresh: 60s`
    refresh: Option<Duration>,
    /// One batch of questions to a backend, for sources that do not say; default `10s`.
    ///
    /// Example: `backend_timeout: 10s`
    backend_timeout: Option<Duration>,
    /// The gate of `docker compose up`; default `60s`.
    ///
    /// Example: `gate_timeout: 2m`
    gate_timeout: Option<Duration>,
    /// How long compose must have left a project alone before anything of it is disrupted; default `5s`.
    ///
    /// Example: `quiet: 5s`
    quiet: Option<Duration>,
}

/// How much is kept.
///
/// Example: `{ value: 1MiB }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limits {
    /// Bytes of one value; default `1MiB`.
    ///
    /// Example: `value: 64KiB`
    value: Option<Size>,
}

/// A number, or one with `KiB` or `MiB`.
///
/// Example: `64KiB`
#[derive(JsonSchema)]
#[serde(untagged)]
enum Size {
    Number(u64),
    #[schemars(extend(
        "pattern" = "^[0-9]+ *(KiB|MiB)$",
        "patternErrorMessage" = "write a number of bytes, or one with its unit: `64KiB`, `1MiB`"
    ))]
    Text(String),
}

/// What the controller reads for a project.
///
/// Example: `{ project: shop, references: ["bao:kv/shop/"] }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// The project, or `*` for all.
    ///
    /// Example: `project: shop`
    project: String,
    /// Sources of the host by name, or sources exactly as a compose file defines them.
    ///
    /// Example: `sources: [bao]`
    sources: Option<Vec<AllowedForms>>,
    /// References of the host's sources: one path, or all that begin so when it ends in `/` or `*`.
    ///
    /// Example: `references: ["bao:kv/shop/", "bao:kv/common/smtp#password"]`
    references: Option<Vec<Reference>>,
}

/// A source of this file by its name, or one exactly as a compose file defines it.
///
/// Example: `bao`
#[derive(JsonSchema)]
#[serde(untagged)]
enum AllowedForms {
    Named(String),
    Own(Box<Source>),
}

/// Where the controller takes signed hints and shows its metrics; without it, nowhere.
///
/// Example: `{ address: "127.0.0.1:9480", metrics: true }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Listen {
    /// Address and port, `127.0.0.1:9480`. Without `tls` only loopback.
    ///
    /// Example: `address: "127.0.0.1:9480"`
    #[schemars(
        regex(pattern = r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]+$"),
        extend("patternErrorMessage" = "write an address and a port: `127.0.0.1:9480`")
    )]
    address: String,
    /// PEM files of the listener.
    ///
    /// Example: `tls: { cert: /etc/locket/tls.crt, key: /etc/locket/tls.key }`
    tls: Option<Tls>,
    /// Whether `GET /metrics` answers, and whom; default `false`.
    ///
    /// Example: `metrics: { token: { file: /etc/locket/metrics } }`
    metrics: Option<MetricsForms>,
    /// Who may push, by the name of the source that is to be asked.
    ///
    /// Example: `hooks: { bao: { secret: { file: /etc/locket/hook } } }`
    hooks: Option<BTreeMap<String, Hook>>,
}

/// PEM files of the listener.
///
/// Example: `{ cert: /etc/locket/tls.crt, key: /etc/locket/tls.key }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tls {
    /// The certificate and what leads to its authority.
    ///
    /// Example: `cert: /etc/locket/tls.crt`
    #[schemars(regex(pattern = "^/"), extend("patternErrorMessage" = "write an absolute path"))]
    cert: String,
    /// Its private key.
    ///
    /// Example: `key: /etc/locket/tls.key`
    #[schemars(regex(pattern = "^/"), extend("patternErrorMessage" = "write an absolute path"))]
    key: String,
}

/// Whether `GET /metrics` answers; default `false`.
///
/// Example: `true`
#[derive(JsonSchema)]
#[serde(untagged)]
enum MetricsForms {
    Anyone(bool),
    Token(MetricsToken),
}

/// Only whoever brings this as a bearer token.
///
/// Example: `{ token: { file: /etc/locket/metrics } }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct MetricsToken {
    /// The token, by where it is.
    ///
    /// Example: `token: { file: /etc/locket/metrics }`
    token: Credential,
}

/// Who may push for a source.
///
/// Example: `{ secret: { file: /etc/locket/hook }, signature: github }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hook {
    /// The key of the signature, by where it is.
    ///
    /// Example: `secret: { file: /etc/locket/hook }`
    secret: Credential,
    /// How requests are signed; default `locket`.
    ///
    /// Example: `signature: github`
    signature: Option<SignatureForms>,
}

/// How requests are signed: a name, or spelled out; default `locket`.
///
/// Example: `github`
#[derive(JsonSchema)]
#[serde(untagged)]
enum SignatureForms {
    Named(Scheme),
    Long(Signature),
}

/// How requests are signed, by the name of who signs so.
///
/// Example: `github`
#[derive(JsonSchema)]
#[schemars(transparent, extend("enum" = SCHEMES))]
struct Scheme(String);

/// HMAC-SHA256.
///
/// Example: `{ header: X-Signature, prefix: "sha256=", encoding: hex }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The header that holds the signature.
    ///
    /// Example: `header: X-Hub-Signature-256`
    #[schemars(
        regex(pattern = "^[A-Za-z0-9_-]+$"),
        extend("patternErrorMessage" = "write the name of a header: `X-Signature`")
    )]
    header: String,
    /// What stands before the signature in it: `sha256=`.
    ///
    /// Example: `prefix: "sha256="`
    prefix: Option<String>,
    /// How the bytes are written; default `hex`.
    ///
    /// Example: `encoding: base64`
    encoding: Option<Encoding>,
    /// Where the time of the signature is, if it is signed too.
    ///
    /// Example: `timestamp: { header: X-Timestamp }`
    timestamp: Option<Timestamp>,
    /// What is signed; default `{body}`, with a timestamp `{timestamp}.{body}`. `{x-some-header}` is a header.
    ///
    /// Example: `content: "{timestamp}.{body}"`
    content: Option<String>,
    /// How old a signed request may be; default `5m`, at most `15m`.
    ///
    /// Example: `tolerance: 5m`
    tolerance: Option<Duration>,
}

/// How the bytes of a signature are written; default `hex`.
///
/// Example: `hex`
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Hex,
    Base64,
}

/// Where the time of the signature is, in seconds since 1970: one of `header` and `part`.
///
/// Example: `{ part: "t=" }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Timestamp {
    /// A header of its own.
    ///
    /// Example: `header: X-Timestamp`
    header: Option<String>,
    /// What stands before it beside the signature: `t=`.
    ///
    /// Example: `part: "t="`
    part: Option<String>,
}
