//! Which engine is meant: flags, then the environment, then the docker CLI's configuration, in the docker CLI's own order.
//!
//! A unix socket is used as it is; for everything else `docker … system dial-stdio` makes the connections, because the
//! docker CLI knows contexts, ssh and TLS already.

mod parent;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use locket_engine::Endpoint;
use serde::Deserialize;

use crate::docker;
use crate::error::{CommandError, Result};

pub use parent::{Parent, ancestors};

/// Where an engine listens when nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The docker CLI's global flags, which come before the command: `docker --context X locket status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlobalFlags {
    /// `--config`: the docker CLI's configuration directory.
    pub config: Option<String>,
    /// `-c`, `--context`.
    pub context: Option<String>,
    /// `-H`, `--host`.
    pub host: Option<String>,
    /// `-l`, `--log-level`.
    pub log_level: Option<String>,
    /// `-D`, `--debug`.
    pub debug: bool,
    /// `--tls`, `--tlsverify` and their files, spelled `--name=value`.
    pub tls: Vec<String>,
}

impl GlobalFlags {
    /// Takes the flags off the front of an argument list (without the program's name); returns them and the rest,
    /// which begins with the first word that is none of them.
    pub fn take(args: &[String]) -> (Self, &[String]) {
        let mut it = Self::default();
        let mut rest = args;
        while let Some((first, after)) = rest.split_first() {
            let Some(used) = it.one(first, after.first()) else {
                break;
            };
            rest = &rest[used.min(rest.len())..];
        }
        (it, rest)
    }

    /// Reads one flag; returns how many words it took.
    fn one(&mut self, word: &str, next: Option<&String>) -> Option<usize> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            match name {
                "debug" => self.debug = value != Some("false"),
                "tls" | "tlsverify" => self
                    .tls
                    .push(format!("--{name}={}", value.unwrap_or("true"))),
                "config" | "context" | "host" | "log-level" | "tlscacert" | "tlscert"
                | "tlskey" => {
                    let found = value.map(str::to_owned).or(next.cloned())?;
                    self.set(name, found);
                    return Some(if value.is_some() { 1 } else { 2 });
                }
                _ => return None,
            }
            return Some(1);
        }
        let short = word.strip_prefix('-')?;
        let name = match short.chars().next()? {
            'D' if short == "D" => {
                self.debug = true;
                return Some(1);
            }
            'c' => "context",
            'H' => "host",
            'l' => "log-level",
            _ => return None,
        };
        let attached = short[1..].trim_start_matches('=');
        let (value, used) = match attached {
            "" => (next.cloned()?, 2),
            value => (value.to_owned(), 1),
        };
        self.set(name, value);
        Some(used)
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "config" => self.config = Some(value),
            "context" => self.context = Some(value),
            "host" => self.host = Some(value),
            "log-level" => self.log_level = Some(value),
            _ => self.tls.push(format!("--{name}={value}")),
        }
    }

    /// The same flags for another run of the docker CLI.
    pub fn args(&self) -> Vec<String> {
        let pairs = [
            ("--config", &self.config),
            ("--context", &self.context),
            ("--host", &self.host),
            ("--log-level", &self.log_level),
        ];
        let mut out = Vec::new();
        for (name, value) in pairs {
            out.extend(value.iter().map(|value| format!("{name}={value}")));
        }
        if self.debug {
            out.push("--debug".to_owned());
        }
        out.extend(self.tls.iter().cloned());
        out
    }

    /// These flags, and where they are silent, those of another command line.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        // A host and a context exclude each other, so they are taken together.
        if self.context.is_none() && self.host.is_none() {
            self.context.clone_from(&other.context);
            self.host.clone_from(&other.host);
        }
        self.config = self.config.or_else(|| other.config.clone());
        self.log_level = self.log_level.or_else(|| other.log_level.clone());
        self.debug |= other.debug;
        if self.tls.is_empty() {
            self.tls.clone_from(&other.tls);
        }
        self
    }

    fn wants_tls(&self) -> bool {
        self.tls.iter().any(|flag| !flag.ends_with("=false"))
    }
}

/// The engine that flags, environment and the docker CLI's configuration mean.
///
/// # Errors
/// The user's problem: a context that is not there, flags that exclude each other, a configuration that cannot be read.
pub fn choose(flags: &GlobalFlags, env: &BTreeMap<String, String>) -> Result<Endpoint> {
    if flags.context.is_some() && flags.host.is_some() {
        return Err(CommandError::user(
            "`--context` and `--host` exclude each other",
        ));
    }
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).cloned();
    let context = match (&flags.context, &flags.host) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(_)) => None,
        (None, None) if set("DOCKER_HOST").is_some() => None,
        (None, None) => match set("DOCKER_CONTEXT") {
            Some(name) => Some(name),
            None => current_context(&config_dir(flags, env))?,
        },
    };
    let tls =
        flags.wants_tls() || set("DOCKER_TLS_VERIFY").is_some() || set("DOCKER_TLS").is_some();
    let host = match context.as_deref() {
        None | Some("default") => {
            let host = flags.host.clone().or_else(|| set("DOCKER_HOST"));
            // With TLS and no host the docker CLI speaks TCP, so it is the one to ask.
            host.or_else(|| (!tls).then(|| format!("unix://{DEFAULT_SOCKET}")))
        }
        Some(name) => Some(host_of(&config_dir(flags, env), name)?),
    };
    if let Some(path) = host
        .as_deref()
        .and_then(|h| h.strip_prefix("unix://"))
        .filter(|p| !p.is_empty())
    {
        return Ok(Endpoint::Unix(PathBuf::from(path)));
    }
    let mut command = vec![docker::program(env)];
    command.extend(flags.args().into_iter().map(OsString::from));
    command.extend(["system", "dial-stdio"].map(OsString::from));
    Ok(Endpoint::DialStdio { command })
}

/// The context that would count if `DOCKER_HOST` did not: its name and its engine; `None` where both mean the same engine.
pub fn overridden(flags: &GlobalFlags, env: &BTreeMap<String, String>) -> Option<(String, String)> {
    if flags.context.is_some() || flags.host.is_some() {
        return None;
    }
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).cloned();
    let host = set("DOCKER_HOST")?;
    let config = config_dir(flags, env);
    let name = match set("DOCKER_CONTEXT") {
        Some(name) => name,
        None => current_context(&config).ok()??,
    };
    if name == "default" {
        return None;
    }
    let there = host_of(&config, &name).ok()?;
    (there != host).then_some((name, there))
}

/// `--config`, `DOCKER_CONFIG`, or `~/.docker`.
pub fn config_dir(flags: &GlobalFlags, env: &BTreeMap<String, String>) -> PathBuf {
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty());
    match flags.config.as_ref().or_else(|| set("DOCKER_CONFIG")) {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(set("HOME").map_or("", String::as_str)).join(".docker"),
    }
}

fn current_context(config: &Path) -> Result<Option<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        current_context: Option<String>,
    }
    let path = config.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(&path, e)),
    };
    // The file may hold credentials: of an error only the position is told.
    let config: Config = serde_json::from_slice(&text).map_err(|e| broken(&path, &e))?;
    Ok(config.current_context.filter(|name| !name.is_empty()))
}

/// The host of a context. Its folder is named after a hash of the name; the name itself is in the file.
fn host_of(config: &Path, name: &str) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Meta {
        name: String,
        #[serde(default)]
        endpoints: BTreeMap<String, Docker>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Docker {
        host: Option<String>,
    }
    let folder = config.join("contexts/meta");
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path().join("meta.json");
        let Ok(text) = std::fs::read(&path) else {
            continue;
        };
        let meta: Meta = serde_json::from_slice(&text).map_err(|e| broken(&path, &e))?;
        if meta.name == name {
            let docker = meta.endpoints.get("docker").and_then(|d| d.host.clone());
            return docker.ok_or_else(|| {
                CommandError::user(format!("the docker context `{name}` names no engine"))
            });
        }
    }
    Err(
        CommandError::user(format!("there is no docker context `{name}`"))
            .hint("`docker context ls` lists them"),
    )
}

fn unreadable(path: &Path, e: std::io::Error) -> CommandError {
    CommandError::user(format!("{} cannot be read", path.display())).because(e)
}

fn broken(path: &Path, e: &serde_json::Error) -> CommandError {
    CommandError::user(format!(
        "{}:{}:{} is not what the docker CLI writes",
        path.display(),
        e.line(),
        e.column()
    ))
}

#[cfg(test)]
mod tests;
