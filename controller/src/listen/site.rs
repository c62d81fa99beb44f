//! What a configuration becomes: keys that were read, and a certificate that fits its key.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::digest::CtOutput;
use locket_crds::config::{Listen, Metrics, Signature, Tls};
use locket_crds::id::SourceName;
use locket_crds::spec::Credential;
use locket_provider::SecretValue;
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

use super::signature::Verifier;
use crate::process::Configure;

/// See the module.
#[derive(Default)]
pub struct Site {
    pub(super) tls: Option<TlsAcceptor>,
    metrics: Option<Viewers>,
    hooks: BTreeMap<SourceName, Verifier>,
    /// Stands in for a sender that does not exist, so that its refusal takes as long.
    nobody: Option<Verifier>,
}

enum Viewers {
    All,
    /// Those who bring the token with this digest.
    With(CtOutput<Sha256>),
}

impl Site {
    /// Reads what a configuration names.
    ///
    /// # Errors
    /// One clause about what cannot be read, or makes no sense.
    pub async fn new(listen: &Listen, configure: &dyn Configure) -> Result<Self, String> {
        let tls = match &listen.tls {
            Some(tls) => Some(acceptor(tls, configure).await?),
            None => None,
        };
        let metrics = match &listen.metrics {
            None => None,
            Some(Metrics::Anyone) => Some(Viewers::All),
            Some(Metrics::Token(credential)) => {
                let token = read(configure, credential, "the token of metrics").await?;
                let token = line(&token);
                if token.is_empty() {
                    return Err("the token of metrics is empty".to_owned());
                }
                Some(Viewers::With(digest(token)))
            }
        };
        let mut hooks = BTreeMap::new();
        for (name, hook) in &listen.hooks {
            let what = format!("the secret of hook {name}");
            let secret = read(configure, &hook.secret, &what).await?;
            let verifier = Verifier::new(line(&secret), hook.signature.clone());
            hooks.insert(
                name.clone(),
                verifier.map_err(|why| format!("{what} {why}"))?,
            );
        }
        let nobody = Signature::named("locket").and_then(|it| Verifier::new(&[0; 32], it).ok());
        Ok(Self {
            tls,
            metrics,
            hooks,
            nobody,
        })
    }

    /// Whether there are metrics, for whoever may see them.
    pub fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Whether whoever brings this token may see them.
    pub fn shows_metrics(&self, token: Option<&str>) -> bool {
        match (&self.metrics, token) {
            (Some(Viewers::All), _) => true,
            (Some(Viewers::With(expected)), Some(token)) => digest(token.as_bytes()) == *expected,
            _ => false,
        }
    }

    /// Who checks what is pushed for a source; for one that has no hook, who is only as busy as that.
    pub fn verifier(&self, name: &str) -> Result<(&SourceName, &Verifier), Option<&Verifier>> {
        let found = self.hooks.get_key_value(name);
        found.ok_or(self.nobody.as_ref())
    }
}

/// A newline at the end of a file is the editor's.
fn line(value: &SecretValue) -> &[u8] {
    let bytes = value.expose();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Compares in constant time.
fn digest(bytes: &[u8]) -> CtOutput<Sha256> {
    CtOutput::new(Sha256::digest(bytes))
}

async fn read(
    configure: &dyn Configure,
    credential: &Credential,
    what: &str,
) -> Result<SecretValue, String> {
    let value = configure.read(credential).await;
    value.map_err(|why| format!("{what} cannot be read: {why}"))
}

async fn acceptor(tls: &Tls, configure: &dyn Configure) -> Result<TlsAcceptor, String> {
    let file = async |path: &String| {
        let credential = Credential::File(path.clone());
        read(configure, &credential, path).await
    };
    let (cert, key) = (file(&tls.cert).await?, file(&tls.key).await?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert.expose()).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| format!("{} is no certificate in PEM", tls.cert))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose());
    let key = key.map_err(|_| format!("{} is no private key in PEM", tls.key))?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| format!("{} and {} do not go together: {e}", tls.cert, tls.key))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
