//! What stores are opened with: everything that comes from outside, given as data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use hmac::{Hmac, Mac};
use locket_crds::id::ProjectName;
use locket_crds::spec::Credential;
use locket_provider::{Error, ErrorKind, SecretValue, SecretVersion};
use sha2::Sha256;

use crate::local::LocalClient;
use crate::slots::Servers;

/// Environment variables, as main took them.
pub type Environment = BTreeMap<String, SecretValue>;

/// Reads credentials and CA files: from the process's own surroundings, or from what was copied beside the store.
pub trait ReadCredential: Send + Sync {
    /// Reads one, byte for byte.
    ///
    /// # Errors
    /// When there is none; the text names file or variable, never its content.
    fn read<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<SecretValue, Error>>;
}

/// Credentials of this process: files as they lie, variables as they were at the start. The files are small and local.
pub struct Surroundings(pub Arc<Environment>);

impl ReadCredential for Surroundings {
    fn read<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<SecretValue, Error>> {
        async move {
            match credential {
                Credential::File(path) => match std::fs::read(path) {
                    Ok(bytes) => Ok(SecretValue::new(bytes)),
                    Err(e) => Err(Error::new(
                        ErrorKind::Unauthenticated,
                        format!("cannot read the credential file {path}: {e}"),
                    )),
                },
                Credential::Env(name) => match self.0.get(name) {
                    Some(value) => Ok(SecretValue::new(value.expose().to_vec())),
                    None => Err(Error::new(
                        ErrorKind::Unauthenticated,
                        format!("the environment variable {name} is not set"),
                    )),
                },
            }
        }
        .boxed()
    }
}

/// What [`crate::open`] needs besides the source's configuration. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The project that asks.
    pub project: ProjectName,
    /// The built-in store.
    pub local: LocalClient,
    /// The variables that `env` references may name; `None`: the host does not allow them.
    pub env: Option<Arc<Environment>>,
    /// Directories that `file` references may name, besides a source's own `root`.
    pub roots: Vec<PathBuf>,
    /// Reader of credentials and CA files.
    pub credentials: Arc<dyn ReadCredential>,
    /// Key of the marks of values that have no version; random, kept at most as long as the marks are.
    pub mark_key: MarkKey,
    /// What is asked of whom right now.
    pub servers: Servers,
}

/// Makes version marks out of values. Equal values have equal marks under one key, and a mark tells nothing else.
#[derive(Clone)]
pub struct MarkKey(Arc<zeroize::Zeroizing<[u8; 32]>>);

impl MarkKey {
    /// Takes 32 random bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Arc::new(key.into()))
    }

    /// The first 16 bytes of HMAC-SHA-256, in hex.
    pub(crate) fn mark(&self, value: &[u8]) -> SecretVersion {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0[..]) else {
            unreachable!("HMAC has refused a key")
        };
        mac.update(value);
        SecretVersion(
            mac.finalize()
                .into_bytes()
                .iter()
                .take(16)
                .map(|b| format!("{b:02x}"))
                .collect(),
        )
    }
}
