//! The host configuration: `locket.yaml` and `grants.yaml` of the volume `locket-state`, as one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use locket_controller::process::Configure;
use locket_crds::config::HostConfig;
use locket_crds::diag::render_text;
use locket_crds::spec::Credential;
use locket_provider::SecretValue;
use locket_providers::local::{ConfigFile, LocalClient};

use crate::error::{CommandError, Result};
use crate::opener::Opener;

/// Reads it. `file` stands in for the stored `locket.yaml`.
///
/// # Errors
/// It cannot be read, or something is wrong with it: all diagnostics.
pub async fn read(store: &LocalClient, file: Option<&Path>) -> Result<HostConfig> {
    let host = match file {
        Some(path) => Some((path.display().to_string(), text(path)?)),
        None => stored(store, ConfigFile::Host)
            .await?
            .map(|text| (ConfigFile::Host.file_name().to_owned(), text)),
    };
    with_grants(store, host).await
}

/// The text of a `locket.yaml` of the user's.
///
/// # Errors
/// It cannot be read.
pub fn text(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|e| CommandError::user(format!("{} cannot be read", path.display())).because(e))
}

/// What is in force with this `locket.yaml`, its name and text, if there is one.
///
/// # Errors
/// Something is wrong with it, or with the stored grants: all diagnostics.
pub async fn with_grants(
    store: &LocalClient,
    host: Option<(String, Vec<u8>)>,
) -> Result<HostConfig> {
    let grants = stored(store, ConfigFile::Grants).await?;
    let host = host
        .map(|(name, text)| parse(&name, text))
        .transpose()?
        .unwrap_or_default();
    let grants = grants
        .map(|text| parse(ConfigFile::Grants.file_name(), text))
        .transpose()?;
    Ok(merge(host, grants.unwrap_or_default()))
}

async fn stored(store: &LocalClient, file: ConfigFile) -> Result<Option<Vec<u8>>> {
    store.read_config(file).await.map_err(store_error)
}

/// An answer of the store that is an error.
pub fn store_error(e: locket_provider::Error) -> CommandError {
    let error = CommandError::user(e.message);
    e.help.into_iter().fold(error, CommandError::hint)
}

/// Reads one file's text.
///
/// # Errors
/// All diagnostics, with the lines that they are about.
pub fn parse(name: &str, text: Vec<u8>) -> Result<HostConfig> {
    let text =
        String::from_utf8(text).map_err(|_| CommandError::user(format!("{name} is not UTF-8")))?;
    HostConfig::parse(name, &text).map_err(|problems| {
        let sources = [(name.to_owned(), text)].into_iter().collect();
        CommandError::diagnostics(render_text(&problems, &sources, false))
    })
}

/// What `trust` has added belongs to the host's own; of two sources of one name the host's counts.
fn merge(mut host: HostConfig, grants: HostConfig) -> HostConfig {
    for (name, source) in grants.sources {
        host.sources.entry(name).or_insert(source);
    }
    host.grants.extend(grants.grants);
    host
}

/// Where a controller has its configuration from, and learns that it is another now.
pub struct Reload {
    store: LocalClient,
    file: Option<PathBuf>,
    opener: Arc<Opener>,
}

impl Reload {
    /// `file` stands in for the stored `locket.yaml`; `opener` is told.
    pub fn new(store: LocalClient, file: Option<PathBuf>, opener: Arc<Opener>) -> Self {
        Self {
            store,
            file,
            opener,
        }
    }
}

impl Configure for Reload {
    fn load(&self) -> BoxFuture<'_, Result<HostConfig, String>> {
        async {
            let config = read(&self.store, self.file.as_deref())
                .await
                .map_err(|e| e.one_line())?;
            self.opener.configure(Arc::new(config.clone()));
            Ok(config)
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<SecretValue, String>> {
        async {
            let value = self.opener.credential(credential).await;
            value.map_err(|e| store_error(e).one_line())
        }
        .boxed()
    }

    fn changes(&self) -> BoxStream<'static, bool> {
        // A session that broke off is opened anew, and its first hint says that something may have been missed.
        let sessions =
            futures_util::stream::unfold((self.store.clone(), false), async |(store, again)| {
                if again {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
                Some((store.watch(), (store, true)))
            });
        sessions.flatten().map(|it| it.configuration).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_added_and_the_hosts_sources_count() {
        let host = parse("locket.yaml", b"sources: { bao: { type: openbao, url: \"https://a\" } }\ngrants: [{ project: a, sources: [bao] }]\n".to_vec()).unwrap();
        let added = parse(
            "grants.yaml",
            b"sources: { bao: env, env: env }\ngrants: [{ project: b, sources: [bao] }]\n".to_vec(),
        )
        .unwrap();
        let both = merge(host, added);
        assert_eq!(
            both.sources
                .values()
                .map(|s| s.kind.as_str())
                .collect::<Vec<_>>(),
            ["openbao", "env"]
        );
        assert_eq!(both.grants.len(), 2);
    }

    #[test]
    fn a_broken_file_is_told_with_its_lines() {
        let e = parse("locket.yaml", b"grant: []\n".to_vec()).unwrap_err();
        assert!(
            e.rendered && e.message.contains("locket.yaml:1:1"),
            "{}",
            e.message
        );
    }
}
