//! What an import has done, kept as a secret in the store, so that it can be taken back. No backup file exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use locket_provider::{ErrorKind, SecretValue};
use locket_providers::local::LocalClient;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::config::store_error;
use crate::error::{CommandError, Result};
use crate::user_files::{self, Change, Original};

/// The name of the record in a project.
pub const NAME: &str = "locket-import-undo";
/// Version of the record.
const VERSION: u32 = 1;
/// Most bytes of a secret.
const MOST: usize = 1 << 20;

/// The record. It is written before anything is changed, and once more before each further file is.
#[derive(Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Everything was done.
    pub complete: bool,
    files: Vec<File>,
    /// Full names that the import has made in the store.
    secrets: Vec<String>,
    /// Their versions when everything was done.
    #[serde(default)]
    versions: BTreeMap<String, u64>,
    /// The record of the import before, until this one is complete: whoever fails has taken nobody's way back.
    #[serde(default)]
    previous: Option<Box<Record>>,
}

#[derive(Serialize, Deserialize)]
struct File {
    path: PathBuf,
    /// As it was; nothing where there was none.
    before: Option<Before>,
    /// What the import makes of it, one after the other: SHA-256 in hex; nothing where it is removed.
    after: Vec<Option<String>>,
}

#[derive(Serialize, Deserialize)]
struct Before {
    mode: u32,
    uid: u32,
    gid: u32,
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    bytes: SecretValue,
}

fn encode<S: serde::Serializer>(value: &SecretValue, to: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(value.expose()));
    to.serialize_str(&text)
}

fn decode<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SecretValue, D::Error> {
    use base64::Engine as _;
    let text = Zeroizing::new(String::deserialize(from)?);
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
    bytes
        .map(SecretValue::new)
        .map_err(|_| serde::de::Error::custom("no base64"))
}

impl Record {
    /// An empty one, with the full names of secrets that will be made, and the record of the last import, if there was one.
    pub fn new(secrets: Vec<String>, previous: Option<Self>) -> Self {
        Self {
            version: VERSION,
            complete: false,
            files: Vec::new(),
            secrets,
            versions: BTreeMap::new(),
            previous: previous.map(Box::new),
        }
    }

    /// Everything was done.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn finish(&mut self, store: &LocalClient, project: &str) -> Result<()> {
        for name in &self.secrets {
            let history = store.history(name).await.map_err(store_error)?;
            if let Some(it) = history.first() {
                self.versions.insert(name.clone(), it.version);
            }
        }
        (self.complete, self.previous) = (true, None);
        self.write(store, project).await
    }

    /// Full names of secrets that somebody has set after the import was complete: their values are nowhere else.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn set_since(&self, store: &LocalClient) -> Result<Vec<String>> {
        let mut out = Vec::new();
        for (name, version) in &self.versions {
            let history = match store.history(name).await {
                Err(e) if e.kind == ErrorKind::NotFound => continue,
                it => it.map_err(store_error)?,
            };
            if history.first().is_some_and(|it| it.version > *version) {
                out.push(name.clone());
            }
        }
        Ok(out)
    }

    /// The one of a project; nothing where no import was.
    ///
    /// # Errors
    /// The store cannot be read, or a newer locket has written it.
    pub async fn read(store: &LocalClient, project: &str) -> Result<Option<Self>> {
        let fetched = match store.get(&full_name(project), None).await {
            Ok(it) => it,
            Err(e) if e.kind == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(store_error(e)),
        };
        let record: Option<Self> = serde_json::from_slice(fetched.value.expose()).ok();
        match record.filter(|it| it.version == VERSION) {
            Some(it) => Ok(Some(it)),
            None => Err(
                CommandError::user("what the last import has done cannot be read")
                    .hint("use the locket that did it, or a newer one"),
            ),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// It is too large for the store, or the store cannot be written.
    pub async fn write(&self, store: &LocalClient, project: &str) -> Result<()> {
        let unwritable =
            |e| CommandError::internal("the record of the import cannot be written").because(e);
        // The size is known first, so that no copy stays behind in a buffer that grows.
        let mut count = Count(0);
        serde_json::to_writer(&mut count, self).map_err(unwritable)?;
        if count.0 > MOST {
            return Err(CommandError::user("the files that would change have more than the store takes, so that they could not be brought back")
                .hint("leave large ones out with `--skip`"));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(count.0));
        serde_json::to_writer(&mut *bytes, self).map_err(unwritable)?;
        let value = SecretValue::new(std::mem::take(&mut *bytes));
        store
            .set(&full_name(project), &value)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    /// Takes up a change that is going to be made.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn add(&mut self, change: &Change) -> Result<()> {
        let hash = hash(change.after.as_bytes());
        self.will_be(&change.path, Some(hash))
    }

    /// Takes up a file that is going to be removed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn add_removal(&mut self, path: &Path) -> Result<()> {
        self.will_be(path, None)
    }

    fn will_be(&mut self, path: &Path, state: Option<String>) -> Result<()> {
        if let Some(it) = self.files.iter_mut().find(|it| it.path == path) {
            it.after.push(state);
            return Ok(());
        }
        let before = Original::of(path)?.map(|it| Before {
            mode: it.mode,
            uid: it.uid,
            gid: it.gid,
            bytes: it.bytes,
        });
        self.files.push(File {
            path: path.to_owned(),
            before,
            after: vec![state],
        });
        Ok(())
    }

    /// The files that are neither what they were nor what the import has made of them.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn foreign(&self) -> Result<Vec<PathBuf>> {
        let mut out = Vec::new();
        for it in &self.files {
            let now = Original::of(&it.path)?.map(|it| hash(it.bytes.expose()));
            let was = it.before.as_ref().map(|it| hash(it.bytes.expose()));
            if now != was && !it.after.contains(&now) {
                out.push(it.path.clone());
            }
        }
        Ok(out)
    }

    /// Makes everything what it was, and forgets the secrets and the record; secrets that were set since stay. Doing it again is no
    /// mistake.
    ///
    /// # Errors
    /// A file may not be written, or the store cannot be. A file that somebody else has changed is left as it is; then the
    /// secrets stay too, because it may refer to them.
    pub async fn restore(&self, store: &LocalClient, project: &str) -> Result<()> {
        let foreign = self.foreign()?;
        for it in self.files.iter().filter(|it| !foreign.contains(&it.path)) {
            match &it.before {
                Some(before) => {
                    let original = Original {
                        bytes: SecretValue::new(before.bytes.expose().to_vec()),
                        mode: before.mode,
                        uid: before.uid,
                        gid: before.gid,
                    };
                    original.put_back(&it.path)?;
                }
                None => user_files::remove(&it.path)?,
            }
        }
        if let Some(path) = foreign.first() {
            return Err(CommandError::user(format!(
                "{} was changed by somebody else",
                path.display()
            )));
        }
        let newer = self.set_since(store).await?;
        let own = full_name(project);
        let mut gone: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        gone.retain(|name| !newer.iter().any(|it| it == name));
        match &self.previous {
            Some(it) => it.write(store, project).await?,
            None => gone.push(&own),
        }
        for name in gone {
            match store.remove(name).await {
                Err(e) if e.kind != ErrorKind::NotFound => return Err(store_error(e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// How many files there are.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|it| it.path.as_path())
    }
}

/// The record's name in the store.
fn full_name(project: &str) -> String {
    format!("{project}/{NAME}")
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_neither_old_nor_ours_is_foreign() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), "canary").unwrap();
        std::fs::write(path("key"), b"canary\0\xff").unwrap();
        let change = |name: &str, after: &str| Change::of(&path(name), after.to_owned()).unwrap();
        let mut record = Record::new(vec!["shop/a".to_owned()], None);
        record.add(&change("a", "one")).unwrap();
        record.add(&change("new", "made")).unwrap();
        record.add_removal(&path("key")).unwrap();
        record.add(&change("a", "two")).unwrap();
        let json = serde_json::to_string(&record).unwrap();
        assert!(!json.contains("canary"), "bytes are in base64");
        let record: Record = serde_json::from_str(&json).unwrap();
        // As it was, and at every step in between.
        assert!(record.foreign().unwrap().is_empty());
        for text in ["one", "two"] {
            std::fs::write(path("a"), text).unwrap();
            assert!(record.foreign().unwrap().is_empty(), "{text}");
        }
        std::fs::write(path("new"), "made").unwrap();
        std::fs::remove_file(path("key")).unwrap();
        assert!(record.foreign().unwrap().is_empty());
        std::fs::write(path("new"), "mine").unwrap();
        std::fs::write(path("key"), "mine").unwrap();
        assert_eq!(record.foreign().unwrap(), [path("new"), path("key")]);
    }
}
