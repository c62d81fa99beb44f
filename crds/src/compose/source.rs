//! One entry of `sources`, in `x-locket` and in locket.yaml alike.

use crate::diag::{Code, Diagnostic};
use crate::names::suggest;
use crate::read::Cursor;
use crate::spec::{AuthSpec, Credential, SourceSpec};
use crate::yaml::Value;

/// The types of sources; those that no provider serves yet are its to refuse.
pub(crate) const KINDS: [&str; 15] = [
    "1password",
    "aws-secrets-manager",
    "aws-ssm",
    "azure-key-vault",
    "bws",
    "doppler",
    "env",
    "exec",
    "file",
    "gcp-secret-manager",
    "infisical",
    "local",
    "openbao",
    "se",
    "vault",
];

pub(super) const KEYS: [&str; 8] = [
    "auth",
    "ca",
    "namespace",
    "refresh",
    "root",
    "timeout",
    "type",
    "url",
];

/// Reads a source: a type, or a mapping. Relative paths are those of `base`; without it they are refused.
pub(crate) fn source(at: &Cursor<'_>, base: Option<&str>) -> Option<SourceSpec> {
    let mut it = SourceSpec {
        origin: at.origin(),
        ..SourceSpec::of_kind("")
    };
    if let Value::Str(_) = at.node.value {
        it.kind = kind(at)?;
        return Some(it);
    }
    at.known(&KEYS);
    it.kind = kind(&at.need("type")?)?;
    it.url = at.get("url").and_then(|u| url(&u));
    it.namespace = at
        .get("namespace")
        .and_then(|n| n.text())
        .map(str::to_owned);
    it.auth = at.get("auth").and_then(|a| auth(&a, base));
    it.ca = at.get("ca").and_then(|p| path(&p, base));
    it.root = at.get("root").and_then(|p| path(&p, base));
    it.refresh = at.get("refresh").and_then(|d| d.duration());
    it.timeout = at.get("timeout").and_then(|d| d.duration());
    Some(it)
}

fn kind(at: &Cursor<'_>) -> Option<String> {
    let kind = at.own_text()?;
    let found = match kind {
        "bao" => "openbao",
        "op" | "onepassword" => "1password",
        other => KINDS.into_iter().find(|k| *k == other).unwrap_or_default(),
    };
    if found.is_empty() {
        at.say(
            at.problem(
                Code::InvalidValue,
                format!("there is no type of source {}", at.shown()),
            )
            .maybe_help(suggest(kind, KINDS)),
        );
        return None;
    }
    Some(found.to_owned())
}

/// A base URL without anything that could be a credential.
fn url(at: &Cursor<'_>) -> Option<String> {
    let url = at.text()?;
    let wrong = |message: &str, help: &str| {
        at.say(at.problem(Code::Url, message).help(help).mask());
        None
    };
    let Some((_, rest)) = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
    else {
        return wrong(
            "the url does not begin with https:// or http://",
            "write `https://host:port`",
        );
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if rest.contains('@') {
        return wrong(
            "the url has a user or password",
            "name the credential in `auth`, as a file or a variable",
        );
    }
    if rest.contains(['?', '#']) {
        return wrong("the url has a query", "write only where the server is");
    }
    if host.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong(
            "the url has no host, or white space in it",
            "write `https://host:port`",
        );
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn auth(at: &Cursor<'_>, base: Option<&str>) -> Option<AuthSpec> {
    let methods: Vec<_> = at
        .entries()
        .into_iter()
        .filter(|(_, it)| it.node.value != Value::Null)
        .collect();
    let (name, it) = match methods.as_slice() {
        [method] => method,
        all => {
            let message = if all.is_empty() {
                "`auth` has no method"
            } else {
                "`auth` has more than one method"
            };
            at.say(
                at.problem(Code::MissingKey, message)
                    .help("write one of `token:` and `approle:`")
                    .mask_all(at.scalars()),
            );
            return None;
        }
    };
    match *name {
        "token" => credential(it, base).map(AuthSpec::Token),
        "approle" => {
            only(it, &["mount", "role_id", "secret_id"], None);
            let mount = it
                .get("mount")
                .and_then(|m| m.own_text())
                .map(str::to_owned);
            let role_id = it.need("role_id").and_then(|r| r.own_text());
            let secret_id = it.need("secret_id").and_then(|s| credential(&s, base));
            Some(AuthSpec::Approle {
                role_id: role_id?.to_owned(),
                secret_id: secret_id?,
                mount,
            })
        }
        _ => {
            only(at, &["approle", "token"], None);
            None
        }
    }
}

/// Tells of keys that do not exist, and hides what stands there: it may be a credential.
pub(crate) fn only(at: &Cursor<'_>, keys: &[&'static str], help: Option<&str>) {
    for (key, it) in at
        .entries()
        .into_iter()
        .filter(|(key, _)| !keys.contains(key))
    {
        let found = Diagnostic::new(
            Code::UnknownKey,
            at.key_place(key),
            format!("{} has no key `{key}`", at.name),
        );
        let help = help
            .map(str::to_owned)
            .or_else(|| suggest(key, keys.iter().copied()));
        at.say(found.maybe_help(help).mask_all(it.scalars()));
    }
}

/// A credential is only ever named.
pub(crate) fn credential(at: &Cursor<'_>, base: Option<&str>) -> Option<Credential> {
    const HELP: &str = "name where it is: `{ file: /path }` or `{ env: NAME }`";
    if !matches!(at.node.value, Value::Map(_)) {
        let it = at.problem(
            Code::WrittenCredential,
            format!("{} is written down here", at.name),
        );
        at.say(it.help(HELP).mask().mask_all(at.scalars()));
        return None;
    }
    only(at, &["env", "file"], Some(HELP));
    match (at.get("file"), at.get("env")) {
        (Some(file), None) => file
            .own_text()
            .and_then(|_| path(&file, base))
            .map(Credential::File),
        (None, Some(env)) => env.own_text().map(|name| Credential::Env(name.to_owned())),
        (None, None) if !at.entries().is_empty() => None,
        _ => {
            at.say(
                at.problem(Code::MissingKey, format!("{} names no one place", at.name))
                    .help(HELP),
            );
            None
        }
    }
}

/// A path of the host, made absolute.
pub(crate) fn path(at: &Cursor<'_>, base: Option<&str>) -> Option<String> {
    let path = at.text()?;
    if path.starts_with('/') {
        return Some(clean(path));
    }
    let Some(base) = base.filter(|_| !path.is_empty()) else {
        at.say(at.problem(
            Code::InvalidValue,
            format!("{} is not an absolute path", at.name),
        ));
        return None;
    };
    Some(clean(&format!("{base}/{path}")))
}

/// A path without `.` and `..`, as compose and the engine make it: what is mounted under one spelling is opened under it.
fn clean(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(out.pop()),
            it => out.push(it),
        }
    }
    format!("/{}", out.join("/"))
}
