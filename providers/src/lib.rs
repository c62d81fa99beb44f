//! The secret backends, one module each, behind the port of `locket-provider`.
//!
//! Start with [`open`]: it makes a store out of a source's configuration and a [`Context`].
//!
//! - [`local`]: the built-in encrypted store, and the session through which it is reached.
//! - [`file`], [`env`]: what lies around the process.
//! - [`openbao`]: OpenBao and Vault.
//! - `http` is the only module that builds an HTTP client.
//!
//! Invariant: time, environment and randomness come in through [`Context`]; no module reads them itself, except the
//! clock of a token's age and the store's own process ([`local::session`]).

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod context;
pub mod env;
mod fields;
pub mod file;
mod hold;
mod http;
pub mod local;
pub mod openbao;
mod slots;

use std::path::PathBuf;
use std::sync::Arc;

use locket_crds::spec::SourceSpec;
use locket_provider::{Error, ErrorKind, SecretStore};

pub use context::{Context, Environment, MarkKey, ReadCredential, Surroundings};
pub use slots::Servers;

/// Types that are known and come in a later version, so that a typing error is told from patience.
const LATER: [&str; 12] = [
    "1password",
    "aws-secrets-manager",
    "aws-ssm",
    "azure-key-vault",
    "bws",
    "doppler",
    "exec",
    "gcp-secret-manager",
    "infisical",
    "op",
    "se",
    "sops",
];

/// Whether a type of source is known by name, and cannot be read in this version.
pub fn is_later(kind: &str) -> bool {
    LATER.contains(&kind)
}

/// Opens the store of a source. Nothing is sent and nothing is read.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a type that is unknown or a configuration that makes no sense,
/// [`ErrorKind::Denied`] for `env` where the host does not allow it. Never because a backend is down.
pub fn open(source: &SourceSpec, context: &Context) -> Result<Arc<dyn SecretStore>, Error> {
    match source.kind.as_str() {
        "local" => Ok(Arc::new(local::LocalStore::new(
            context.local.clone(),
            context.project.clone(),
        ))),
        "file" => {
            let own = source.root.as_ref().map(|root| vec![PathBuf::from(root)]);
            Ok(Arc::new(file::FileStore::new(
                own.unwrap_or_else(|| context.roots.clone()),
            )?))
        }
        "env" => match &context.env {
            Some(env) => Ok(Arc::new(env::EnvStore::new(
                env.clone(),
                context.mark_key.clone(),
            ))),
            None => {
                let e = Error::new(
                    ErrorKind::Denied,
                    "the host does not allow environment variables as secrets",
                );
                Err(e.help("a source of type `env` in locket.yaml allows them"))
            }
        },
        "openbao" | "vault" | "bao" => openbao::open(source, context),
        later if LATER.contains(&later) => Err(Error::new(
            ErrorKind::Invalid,
            format!("sources of type {later} are not in this version yet"),
        )),
        other => {
            let e = Error::new(
                ErrorKind::Invalid,
                format!("there is no source type {other}"),
            );
            Err(e.help("this version has local, file, env, openbao and vault"))
        }
    }
}
