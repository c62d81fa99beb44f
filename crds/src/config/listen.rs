//! `listen`: where the controller takes signed hints and shows its metrics. Off without it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::signature::{self, Signature};
use crate::compose::{credential, only, path, source_name};
use crate::diag::Code;
use crate::id::SourceName;
use crate::read::Cursor;
use crate::spec::Credential;
use crate::yaml::Value;

/// The listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// Address and port; loopback if there is no TLS.
    pub address: SocketAddr,
    /// The server's certificate.
    pub tls: Option<Tls>,
    /// Who may see the metrics; `None`: nobody.
    pub metrics: Option<Metrics>,
    /// Who may push, by the name of the source that is to be asked.
    pub hooks: BTreeMap<SourceName, Hook>,
}

/// PEM files of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and what leads to its authority.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

/// Who may see the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metrics {
    /// Whoever can connect.
    Anyone,
    /// Whoever brings this as a bearer token.
    Token(Credential),
}

/// One sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// What both sides know.
    pub secret: Credential,
    /// How it signs.
    pub signature: Signature,
}

impl Listen {
    /// The files that it needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let tls = self.tls.iter().flat_map(|it| [&*it.cert, &*it.key]);
        tls.chain(self.credentials().filter_map(|it| match it {
            Credential::File(path) => Some(path.as_str()),
            Credential::Env(_) => None,
        }))
    }

    /// The credentials that others know, too.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        let token = self.metrics.iter().filter_map(|it| match it {
            Metrics::Token(token) => Some(token),
            Metrics::Anyone => None,
        });
        token.chain(self.hooks.values().map(|it| &it.secret))
    }
}

pub(super) fn read(at: &Cursor<'_>) -> Option<Listen> {
    only(at, &["address", "hooks", "metrics", "tls"], None);
    let tls = at.get("tls").map(|it| tls(&it));
    let metrics = at.get("metrics").and_then(|it| metrics(&it));
    let mut hooks = BTreeMap::new();
    for (name, it) in at.get("hooks").iter().flat_map(Cursor::entries) {
        hooks.extend(source_name(&it, name).zip(hook(&it)));
    }
    Some(Listen {
        address: address(&at.need("address")?, tls.is_some())?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        metrics,
        hooks,
    })
}

fn address(at: &Cursor<'_>, has_tls: bool) -> Option<SocketAddr> {
    let text = at.text()?;
    let wrong = |message: String, help: &str| {
        at.say(at.problem(Code::InvalidValue, message).help(help));
        None
    };
    match text.parse::<SocketAddr>() {
        Ok(it) if it.port() == 0 => wrong(
            format!("{} has no port", at.shown()),
            "write address and port: `127.0.0.1:9480`",
        ),
        Ok(it) if !has_tls && !it.ip().to_canonical().is_loopback() => wrong(
            format!(
                "{} can be reached from elsewhere and there is no `tls`",
                at.shown()
            ),
            "name a certificate: `tls: { cert: /path, key: /path }`; or listen at 127.0.0.1, behind a proxy that has one",
        ),
        Ok(it) => Some(it),
        Err(_) => wrong(
            format!("{} is no address with a port", at.shown()),
            "write `127.0.0.1:9480`, or `[::1]:9480`",
        ),
    }
}

fn tls(at: &Cursor<'_>) -> Option<Tls> {
    only(at, &["cert", "key"], None);
    let cert = at.need("cert").and_then(|it| path(&it, None));
    let key = at.need("key").and_then(|it| key(&it));
    Some(Tls {
        cert: cert?,
        key: key?,
    })
}

/// The path of a private key. What is no path may be the key itself.
fn key(at: &Cursor<'_>) -> Option<String> {
    match &at.node.value {
        Value::Str(text) if text.starts_with('/') => Some(text.clone()),
        _ => {
            let it = at.problem(Code::InvalidValue, "`key` is not an absolute path");
            at.say(it.mask().mask_all(at.scalars()));
            None
        }
    }
}

fn metrics(at: &Cursor<'_>) -> Option<Metrics> {
    if let Value::Map(_) = at.node.value {
        only(at, &["token"], None);
        let token = credential(&at.need("token")?, None)?;
        return Some(Metrics::Token(token));
    }
    at.bool()?.then_some(Metrics::Anyone)
}

fn hook(at: &Cursor<'_>) -> Option<Hook> {
    only(at, &["secret", "signature"], None);
    let secret = at.need("secret").and_then(|it| credential(&it, None));
    let signature = match at.get("signature") {
        Some(it) => signature::read(&it),
        None => Signature::named("locket"),
    };
    Some(Hook {
        secret: secret?,
        signature: signature?,
    })
}

#[cfg(test)]
mod tests;
