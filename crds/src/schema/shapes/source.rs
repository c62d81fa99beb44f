//! Of a source, which x-locket and locket.yaml share.

use schemars::JsonSchema;

use crate::words::kinds;

/// A source: its type, or a mapping with everything that is needed to use it.
///
/// Example: `{ type: openbao, url: "https://bao.internal:8200" }`
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum SourceForms {
    Short(Kind),
    Long(Box<Source>),
}

/// The type of a source. Alone it means that everything else is in the host's configuration.
///
/// Example: `openbao`
#[derive(JsonSchema)]
#[schemars(transparent, extend("enum" = kinds().collect::<Vec<_>>()))]
pub(super) struct Kind(String);

/// A source with everything that is needed to use it.
///
/// Example: `{ type: vault, url: "https://vault.internal:8200", auth: { token: { file: /etc/locket/token } } }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// Which backend it is.
    ///
    /// Example: `type: openbao`
    r#type: Kind,
    /// Where the server is, without user, password or query.
    ///
    /// Example: `url: "https://bao.internal:8200"`
    #[schemars(
        regex(pattern = r"^(https?://[^@?#\s]+|.*\$.*)$"),
        extend("patternErrorMessage" = "write `https://host:port`, without user, password or query")
    )]
    url: Option<String>,
    /// The namespace of OpenBao or Vault.
    ///
    /// Example: `namespace: team-a`
    namespace: Option<String>,
    /// How to log in.
    ///
    /// Example: `auth: { token: { file: /etc/locket/token } }`
    auth: Option<Auth>,
    /// A PEM file with the authority to trust instead of the system's.
    ///
    /// Example: `ca: /etc/locket/bao-ca.pem`
    ca: Option<String>,
    /// The directory of a source of type `file`.
    ///
    /// Example: `root: /srv/secrets`
    root: Option<String>,
    /// How often it is asked for changes; default `60s`.
    ///
    /// Example: `refresh: 5m`
    refresh: Option<Duration>,
    /// How long one call may take; default `10s`.
    ///
    /// Example: `timeout: 10s`
    timeout: Option<Duration>,
}

/// How to log in: one of `token` and `approle`.
///
/// Example: `{ approle: { role_id: 7f3c, secret_id: { file: /etc/locket/secret_id } } }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Auth {
    /// A token, by where it is.
    ///
    /// Example: `token: { file: /etc/locket/token }`
    token: Option<Credential>,
    /// AppRole of OpenBao or Vault.
    ///
    /// Example: `approle: { role_id: 7f3c, secret_id: { file: /etc/locket/secret_id } }`
    approle: Option<AppRole>,
}

/// AppRole of OpenBao or Vault.
///
/// Example: `{ role_id: 7f3c, secret_id: { file: /etc/locket/secret_id } }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct AppRole {
    /// The role's id. It is not secret.
    ///
    /// Example: `role_id: 7f3c`
    role_id: String,
    /// The role's secret, by where it is.
    ///
    /// Example: `secret_id: { file: /etc/locket/secret_id }`
    secret_id: Credential,
    /// Where the method is mounted; default `approle`.
    ///
    /// Example: `mount: approle`
    mount: Option<String>,
}

/// Where a credential is: it is never written down.
///
/// Example: `{ file: /etc/locket/token }`
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct Credential {
    /// A file of the machine that logs in.
    ///
    /// Example: `file: /etc/locket/token`
    file: Option<String>,
    /// A variable of the process that logs in.
    ///
    /// Example: `env: BAO_TOKEN`
    env: Option<String>,
}

/// A number with its unit.
///
/// Example: `1m30s`
#[derive(JsonSchema)]
#[schemars(transparent, extend(
    "type" = ["string", "integer"],
    "if" = { "type": "integer" },
    "then" = { "enum": [0], "errorMessage": "write a number with its unit: `500ms`, `30s`, `1m30s`" },
    "pattern" = r"^(0|([0-9]+(\.[0-9]+)?(h|m|s|ms|us))+|.*\$.*)$",
    "patternErrorMessage" = "write a number with its unit: `500ms`, `30s`, `1m30s`"
))]
pub(super) struct Duration(String);
