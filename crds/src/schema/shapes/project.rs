//! Of `x-locket`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::source::{Duration, SourceForms};
use crate::compose::SIGNALS;
use crate::words::{ACTIONS, actions};

/// The x-locket nodes of a compose file.
///
/// Example: `services: { api: { x-locket: [local:db] } }`
#[derive(JsonSchema)]
pub(in crate::schema) struct ComposeFile {
    /// Where the project's secrets are, and what they are called.
    ///
    /// Example: `x-locket: { secrets: { db_password: "bao:kv/shop/db#password" } }`
    #[serde(rename = "x-locket")]
    x_locket: Option<Project>,
    /// The services of the compose file.
    ///
    /// Example: `services: { api: { x-locket: [db_password] } }`
    services: Option<BTreeMap<String, ComposeService>>,
}

/// A service of the compose file.
///
/// Example: `{ x-locket: [db_password] }`
#[derive(JsonSchema)]
struct ComposeService {
    /// What the service gets: a list of secrets as files, or a mapping with more to say.
    ///
    /// Example: `x-locket: { secrets: [db_password], env: { STRIPE_KEY: stripe_key }, on_change: restart }`
    #[serde(rename = "x-locket")]
    x_locket: Option<ServiceForms>,
}

/// Where the project's secrets are, and what they are called.
///
/// Example: `{ sources: { bao: openbao }, secrets: { db_password: "bao:kv/shop/db#password" } }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Project {
    /// Where secrets live, by a name of your choice.
    ///
    /// Example: `sources: { bao: { type: openbao, url: "https://bao.internal:8200" }, op: 1password }`
    #[schemars(extend("propertyNames" = name(SOURCE, "a name has letters, digits, `-` and `_`, and begins with a letter")))]
    sources: Option<BTreeMap<String, SourceForms>>,
    /// The catalogue: name → reference.
    ///
    /// Example: `secrets: { db_password: "bao:kv/shop/db#password", smtp_password: local:smtp }`
    #[schemars(extend("propertyNames" = name(NAME, "a name has letters, digits, `.`, `-` and `_`")))]
    secrets: Option<BTreeMap<String, SecretForms>>,
    /// For services that do not say.
    ///
    /// Example: `defaults: { on_change: restart, settle: 5s }`
    defaults: Option<Defaults>,
    /// What `x-locket` of a service would say, for override files that may not touch the services.
    ///
    /// Example: `services: { api: [db_password] }`
    services: Option<BTreeMap<String, ServiceForms>>,
}

/// As the reader takes names of the catalogue.
const NAME: &str = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$";
/// As the reader takes names of sources.
const SOURCE: &str = "^[A-Za-z][A-Za-z0-9_-]*$";

fn name(pattern: &str, message: &str) -> serde_json::Value {
    serde_json::json!({ "pattern": pattern, "patternErrorMessage": message })
}

/// `<source>:<path>#<field>?version=N`, or a vendor's own string: `op://vault/item/field`.
///
/// Example: `bao:kv/shop/db#password`
#[derive(JsonSchema)]
#[schemars(transparent, extend(
    "pattern" = r"^([A-Za-z][A-Za-z0-9_-]*:.|.*\$)",
    "patternErrorMessage" = "write `<source>:<path>#<field>`; a value is never written down here",
    "defaultSnippets" = [
        { "label": "local:name", "description": "the built-in encrypted store", "body": "local:${1:name}" },
        { "label": "bao:path#field", "description": "OpenBao or Vault", "body": "bao:${1:kv/app}#${2:password}" },
        { "label": "op://vault/item/field", "description": "1Password", "body": "op://${1:vault}/${2:item}/${3:field}" },
    ]
))]
pub(super) struct Reference(String);

/// A name of the catalogue, or a reference.
///
/// Example: `db_password`
#[derive(JsonSchema)]
#[schemars(transparent, extend(
    "pattern" = r"^([A-Za-z0-9_][A-Za-z0-9_.-]*$|[A-Za-z][A-Za-z0-9_-]*:.|.*\$)",
    "patternErrorMessage" = "write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here"
))]
struct Operand(String);

/// A secret: a reference, or a mapping with more to say.
///
/// Example: `bao:kv/shop/db#password`
#[derive(JsonSchema)]
#[serde(untagged)]
enum SecretForms {
    Short(Reference),
    Long(Secret),
}

/// A secret with more to say.
///
/// Example: `{ ref: "bao:kv/shop/tls", fields: { tls.crt: certificate, tls.key: private_key } }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secret {
    /// Which secret it is.
    ///
    /// Example: `ref: "bao:kv/shop/tls"`
    r#ref: Reference,
    /// File → field, for a secret that is delivered as a directory of files.
    ///
    /// Example: `fields: { tls.crt: certificate, tls.key: private_key }`
    fields: Option<BTreeMap<String, String>>,
    /// Whether an empty value is a value; usually it is an error.
    ///
    /// Example: `allow_empty: true`
    allow_empty: Option<bool>,
    /// How often it is asked for changes.
    ///
    /// Example: `refresh: 5m`
    refresh: Option<Duration>,
}

/// What the service gets: a list of secrets as files, or a mapping with more to say.
///
/// Example: `[db_password]`
#[derive(JsonSchema)]
#[serde(untagged)]
enum ServiceForms {
    Short(Vec<FileForms>),
    Long(Box<Service>),
}

/// What the service gets.
///
/// Example: `{ secrets: [db_password], on_change: restart }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Service {
    /// Where the service's volume is mounted; default `/run/secrets`.
    ///
    /// Example: `path: /run/secrets`
    #[schemars(
        regex(pattern = r"^(/.|.*\$)"),
        extend("patternErrorMessage" = "write an absolute directory of the container: `/run/secrets`")
    )]
    path: Option<String>,
    /// Secrets as files.
    ///
    /// Example: `secrets: [db_password, { source: tls, target: tls, mode: "0440", uid: service }]`
    secrets: Option<Vec<FileForms>>,
    /// Secrets as environment variables, which `docker inspect` does not show.
    ///
    /// Example: `env: { STRIPE_KEY: stripe_key, DATABASE_URL: "postgres://app:{{ db_password | urlencode }}@db/app" }`
    env: Option<BTreeMap<String, EnvForms>>,
    /// Files with secrets in them.
    ///
    /// Example: `templates: [{ source: ./config.toml.tpl, target: config.toml }]`
    templates: Option<Vec<Template>>,
    /// What happens to the service's containers when a value changes; default `auto`.
    ///
    /// Example: `on_change: restart`
    on_change: Option<OnChangeForms>,
}

/// A secret as a file: its name or reference, or a mapping with more to say.
///
/// Example: `db_password`
#[derive(JsonSchema)]
#[serde(untagged)]
enum FileForms {
    Short(Operand),
    Long(File),
}

/// A secret as a file.
///
/// Example: `{ source: tls, target: tls, mode: "0440", uid: service }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// Which secret: a name of the catalogue, or a reference.
    ///
    /// Example: `source: db_password`
    source: Operand,
    /// The file, relative to `path`; default: the secret's name.
    ///
    /// Example: `target: db/password`
    target: Option<String>,
    /// The file's owner; default root.
    ///
    /// Example: `uid: service`
    uid: Option<Owner>,
    /// The file's group; default root.
    ///
    /// Example: `gid: 1000`
    gid: Option<Owner>,
    /// Permission bits in octal; default `0444`.
    ///
    /// Example: `mode: 0440`
    mode: Option<Mode>,
    /// How the file is replaced; default `swap`.
    ///
    /// Example: `update: rename`
    update: Option<Update>,
}

/// A number, a name in the service's image, or `service` for the user that the service runs as.
///
/// Example: `service`
#[derive(JsonSchema)]
#[serde(untagged)]
enum Owner {
    Id(#[schemars(range(max = u32::MAX))] u32),
    #[schemars(extend(
        "pattern" = "^([0-9]+|[A-Za-z_][A-Za-z0-9_.-]*)$",
        "patternErrorMessage" = "write a number, a name, or `service` for the service's own user",
        "defaultSnippets" = [{ "label": "service", "body": "service" }]
    ))]
    Name(String),
}

/// Permission bits in octal, with a zero in front.
///
/// Example: `0440`
#[derive(JsonSchema)]
#[serde(untagged)]
enum Mode {
    // As an editor reads it, which takes the zero in front for nothing.
    Bits(#[schemars(range(max = 777))] u32),
    #[schemars(extend(
        "pattern" = "^(0o)?0*[0-7]{1,3}$",
        "patternErrorMessage" = "write three octal digits with a zero in front: `0440`"
    ))]
    Text(String),
}

/// How the file is replaced: all files at once (`swap`), by a rename, or in place.
///
/// Example: `swap`
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Update {
    Swap,
    Rename,
    Inplace,
}

/// A variable: a name of the catalogue, a reference or a text with `{{ name | filter }}` in it, or a mapping with more to say.
///
/// Example: `"postgres://app:{{ db_password | urlencode }}@db/app"`
#[derive(JsonSchema)]
#[serde(untagged)]
enum EnvForms {
    Short(EnvText),
    Long(Env),
}

/// A name of the catalogue, a reference, or a text with `{{ name | filter }}` in it.
///
/// Example: `"{{ db_password | urlencode }}"`
#[derive(JsonSchema)]
#[schemars(transparent, extend("defaultSnippets" = expressions()))]
struct EnvText(String);

/// An expression with each filter, for an editor to offer.
fn expressions() -> Vec<serde_json::Value> {
    let of = |filter: String| {
        // In a snippet `${1:…}` is a field to fill in.
        serde_json::json!({
            "label": format!("{{{{ name | {filter} }}}}"),
            "body": format!("{{{{ ${{1:name}} | {filter} }}}}"),
        })
    };
    crate::template::filters().map(of).collect()
}

/// A variable with more to say: one of `secret` and `value`.
///
/// Example: `{ secret: stripe_key, via: shim }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["secret"] },
    "then" = { "properties": { "value": false } },
    "else" = { "required": ["value"] }
))]
struct Env {
    /// A name of the catalogue, or a reference.
    ///
    /// Example: `secret: stripe_key`
    secret: Option<String>,
    /// The same, or a text with `{{ name | filter }}` in it.
    ///
    /// Example: `value: "{{ stripe_key | trim }}"`
    value: Option<EnvText>,
    /// How it gets there; default `shim`.
    ///
    /// Example: `via: compose`
    via: Option<Via>,
}

/// `shim`: `docker inspect` does not show it. `compose`: it does.
///
/// Example: `shim`
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Via {
    Shim,
    Compose,
}

/// A file with secrets in it: one of `source` and `content`.
///
/// Example: `{ content: "password = {{ db_password | json_string }}", target: app.toml }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["content"] },
    "then" = { "properties": { "source": false }, "required": ["target"] },
    "else" = { "required": ["source"] }
))]
struct Template {
    /// The text: a file, or a directory for all files in it.
    ///
    /// Example: `source: ./config.toml.tpl`
    source: Option<String>,
    /// The text itself.
    ///
    /// Example: `content: "password = {{ db_password | json_string }}"`
    content: Option<EnvText>,
    /// The file, relative to `path`; default: the name of `source` without `.tpl`.
    ///
    /// Example: `target: config.toml`
    target: Option<String>,
    /// The file's owner; default root.
    ///
    /// Example: `uid: service`
    uid: Option<Owner>,
    /// The file's group; default root.
    ///
    /// Example: `gid: 1000`
    gid: Option<Owner>,
    /// Permission bits in octal; default `0444`.
    ///
    /// Example: `mode: 0440`
    mode: Option<Mode>,
    /// How the file is replaced; default `swap`.
    ///
    /// Example: `update: rename`
    update: Option<Update>,
}

/// What happens to the service's containers when a value changes: an action, or a mapping with its timing.
///
/// Example: `restart`
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum OnChangeForms {
    Short(Action),
    Long(OnChange),
}

/// `auto`, `none`, `restart`, `recreate`, `rollout`, or `signal:NAME`.
///
/// Example: `signal:HUP`
#[derive(JsonSchema)]
#[schemars(transparent, extend("enum" = spellings()))]
pub(super) struct Action(String);

/// An action with its timing: one of `action`, `signal` and `exec`, or none of them for `auto`.
///
/// Example: `{ exec: [psql, -U, postgres, -f, /run/secrets/rotate.sql], timeout: 30s }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["exec"] },
    "then" = { "properties": { "signal": false, "action": { "enum": ["exec"] } } },
    "else" = {
        "if": { "required": ["signal"] },
        "then": { "properties": { "action": { "enum": ["signal"] } } },
        "else": { "properties": { "action": { "enum": ACTIONS } } }
    }
))]
pub(super) struct OnChange {
    /// `auto` (the default), `none`, `restart`, `recreate`, `rollout`; `signal` and `exec` beside the key of that name.
    ///
    /// Example: `action: restart`
    #[schemars(extend("defaultSnippets" = words()))]
    action: Option<String>,
    /// Send this signal.
    ///
    /// Example: `signal: HUP`
    #[schemars(extend("enum" = signals()))]
    signal: Option<String>,
    /// Run this command in the service's container: a list of words, no shell.
    ///
    /// Example: `exec: [nginx, -s, reload]`
    #[schemars(length(min = 1))]
    exec: Option<Vec<String>>,
    /// How long a restarted container may take to become healthy; default `60s`, plus start period and interval of its healthcheck.
    ///
    /// Example: `timeout: 60s`
    timeout: Option<Duration>,
    /// How long a container without a healthcheck must run to count as good; default `10s`.
    ///
    /// Example: `stable: 10s`
    stable: Option<Duration>,
    /// Quiet time after a change before anything is disrupted; default `2s`.
    ///
    /// Example: `settle: 2s`
    settle: Option<Duration>,
    /// Least time between two restarts for changed values; default `1m`.
    ///
    /// Example: `restart_every: 1m`
    restart_every: Option<Duration>,
}

/// The short actions, and signals by their long names too.
fn spellings() -> Vec<String> {
    let long = SIGNALS.iter().map(|it| format!("signal:SIG{it}"));
    actions().into_iter().chain(long).collect()
}

/// For an editor to offer: which ones fit is said beside the properties.
fn words() -> Vec<serde_json::Value> {
    let all = ACTIONS.into_iter();
    all.map(|it| serde_json::json!({ "label": it, "body": it }))
        .collect()
}

fn signals() -> Vec<String> {
    let long = SIGNALS.iter().map(|s| format!("SIG{s}"));
    SIGNALS
        .iter()
        .map(|s| (*s).to_owned())
        .chain(long)
        .collect()
}

/// For services that do not say.
///
/// Example: `{ on_change: restart, settle: 5s }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Defaults {
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
}
