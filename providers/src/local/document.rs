//! The plaintext of the store, and the rules of names, versions and history. No I/O, no clock.
//!
//! ```json
//! { "format": "locket-store", "version": 1,
//!   "secrets": { "shop/smtp": { "last": 2, "versions": [
//!       { "version": 1, "time": "2026-11-24T15:00:00.000Z", "text": "hunter2" },
//!       { "version": 2, "time": "2026-11-24T16:00:00.000Z", "base64": "AP8=" } ] } } }
//! ```
//!
//! `versions` is sorted, the last one counts; a value that is UTF-8 is `text`, any other is `base64`.
//! A removed secret keeps `last`, so that a number is never given twice.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use locket_provider::SecretVersion;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Error, Name};

/// Largest value in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// Versions that are kept of one secret, the current one included.
pub const HISTORY: usize = 10;

/// Highest number of a version that is believed: what every reader of JSON holds exactly, and nobody sets as many values.
const LAST: u64 = 1 << 53;

const FORMAT: &str = "locket-store";
const VERSION: u32 = 1;

/// All secrets of one engine.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    format: String,
    version: u32,
    secrets: BTreeMap<Name, Secret>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    last: u64,
    versions: Vec<Version>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    version: u64,
    time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<Zeroizing<String>>,
}

/// One version of a secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Rising from 1, never given twice.
    pub version: u64,
    /// When it was set: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// Bytes of the value.
    pub size: usize,
}

impl Info {
    /// The mark of this version. Number and time together: a store that was made anew, or put back from a backup,
    /// gives the same numbers to other values.
    pub fn mark(&self) -> SecretVersion {
        SecretVersion(format!("{}@{}", self.version, self.time))
    }
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Full name.
    pub name: String,
    /// The current version.
    pub current: Info,
    /// How many versions are kept.
    pub versions: usize,
}

impl Version {
    fn new(version: u64, time: &str, value: &[u8]) -> Self {
        let (text, base64) = match std::str::from_utf8(value) {
            Ok(text) => (Some(Zeroizing::new(text.to_owned())), None),
            Err(_) => (None, Some(Zeroizing::new(BASE64.encode(value)))),
        };
        Self {
            version,
            time: time.to_owned(),
            text,
            base64,
        }
    }

    /// `None` when the file was edited into something that is no value.
    fn value(&self) -> Option<Zeroizing<Vec<u8>>> {
        match (&self.text, &self.base64) {
            (Some(text), None) => Some(Zeroizing::new(text.as_bytes().to_vec())),
            (None, Some(base64)) => BASE64.decode(base64.as_bytes()).ok().map(Zeroizing::new),
            _ => None,
        }
    }

    fn info(&self) -> Info {
        let size = match (&self.text, &self.base64) {
            (Some(text), _) => text.len(),
            (None, Some(b)) => b.len() / 4 * 3 - b.bytes().rev().take_while(|b| *b == b'=').count(),
            (None, None) => 0,
        };
        Info {
            version: self.version,
            time: self.time.clone(),
            size,
        }
    }
}

impl Default for Document {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            secrets: BTreeMap::new(),
        }
    }
}

impl Document {
    /// Reads the JSON above.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Newer`], both about `what`.
    pub fn from_json(json: &[u8], what: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        // The parser's own message may quote what it read: it is dropped.
        let damaged = |_| Error::Damaged {
            what: what.to_owned(),
        };
        let head: Head = serde_json::from_slice(json).map_err(damaged)?;
        if head.format == FORMAT && head.version > VERSION {
            return Err(Error::Newer {
                what: what.to_owned(),
            });
        }
        let it: Self = serde_json::from_slice(json).map_err(damaged)?;
        let sound = |s: &Secret| {
            s.last <= LAST
                && s.versions.iter().all(|v| v.value().is_some())
                && s.versions.windows(2).all(|w| w[0].version < w[1].version)
                && s.versions.last().is_none_or(|v| v.version <= s.last)
        };
        if it.format != FORMAT || it.version != VERSION || !it.secrets.values().all(sound) {
            return Err(Error::Damaged {
                what: what.to_owned(),
            });
        }
        Ok(it)
    }

    fn secret(&self, name: &Name) -> Result<&Secret, Error> {
        let found = self.secrets.get(name).filter(|s| !s.versions.is_empty());
        found.ok_or_else(|| Error::NotFound {
            name: name.to_string(),
        })
    }

    fn version(&self, name: &Name, version: Option<u64>) -> Result<&Version, Error> {
        let versions = &self.secret(name)?.versions;
        let found = match version {
            None => versions.last(),
            Some(n) => versions.iter().find(|v| v.version == n),
        };
        found.ok_or_else(|| Error::NoVersion {
            name: name.to_string(),
            version: version.map_or_else(String::new, |n| n.to_string()),
        })
    }

    /// The value of the current or of one version.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoVersion`].
    pub fn get(
        &self,
        name: &Name,
        version: Option<u64>,
    ) -> Result<(Zeroizing<Vec<u8>>, Info), Error> {
        let it = self.version(name, version)?;
        let value = it.value().ok_or_else(|| Error::Damaged {
            what: format!("secret {name}"),
        })?;
        Ok((value, it.info()))
    }

    /// What [`Self::get`] would give, without the value.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn info(&self, name: &Name, version: Option<u64>) -> Result<Info, Error> {
        Ok(self.version(name, version)?.info())
    }

    /// Adds a version. The value that is there already is not set again: its version stays.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn set(&mut self, name: &Name, value: &[u8], now: &str) -> Result<Info, Error> {
        if value.len() > MAX_VALUE {
            return Err(Error::TooLarge { size: value.len() });
        }
        let secret = self.secrets.entry(name.clone()).or_insert(Secret {
            last: 0,
            versions: vec![],
        });
        if let Some(current) = secret
            .versions
            .last()
            .filter(|v| v.value().is_some_and(|v| *v == value))
        {
            return Ok(current.info());
        }
        secret.last += 1;
        let version = Version::new(secret.last, now, value);
        let info = version.info();
        secret.versions.push(version);
        secret.trim();
        Ok(info)
    }

    /// Forgets all values of a secret.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&mut self, name: &Name) -> Result<(), Error> {
        self.secret(name)?;
        if let Some(secret) = self.secrets.get_mut(name) {
            secret.versions.clear();
        }
        Ok(())
    }

    /// All secrets whose full name starts with `prefix`, sorted by name.
    pub fn list(&self, prefix: &str) -> Vec<Listed> {
        let named = self
            .secrets
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(prefix));
        let listed = named.filter_map(|(name, s)| {
            let current = s.versions.last()?.info();
            Some(Listed {
                name: name.to_string(),
                current,
                versions: s.versions.len(),
            })
        });
        listed.collect()
    }

    /// The versions that are kept, the newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn history(&self, name: &Name) -> Result<Vec<Info>, Error> {
        Ok(self
            .secret(name)?
            .versions
            .iter()
            .rev()
            .map(Version::info)
            .collect())
    }

    /// Sets the value of an older version (by default the one before the current) as a new version.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoVersion`].
    pub fn rollback(&mut self, name: &Name, to: Option<u64>, now: &str) -> Result<Info, Error> {
        let versions = &self.secret(name)?.versions;
        let before = versions.iter().rev().nth(1).map(|v| v.version);
        let to = to.or(before).ok_or_else(|| Error::NoVersion {
            name: name.to_string(),
            version: "before the current one".to_owned(),
        })?;
        let (value, _) = self.get(name, Some(to))?;
        self.set(name, &value, now)
    }

    /// Takes over another document: unknown secrets with their history, of known ones the current value as a new version.
    /// Nothing is removed. Returns the names that have another value than before, sorted.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn merge(&mut self, other: Self, now: &str) -> Result<Vec<String>, Error> {
        let mut changed = Vec::new();
        for (name, theirs) in other.secrets {
            let Some(current) = theirs.versions.last().and_then(Version::value) else {
                continue;
            };
            if let Some(large) = theirs
                .versions
                .iter()
                .map(|v| v.info().size)
                .find(|size| *size > MAX_VALUE)
            {
                return Err(Error::TooLarge { size: large });
            }
            let before = self.info(&name, None).ok().map(|i| i.mark());
            if self.secrets.contains_key(&name) {
                self.set(&name, &current, now)?;
            } else {
                self.secrets.entry(name.clone()).or_insert(theirs).trim();
            }
            if self.info(&name, None).ok().map(|i| i.mark()) != before {
                changed.push(name.to_string());
            }
        }
        Ok(changed)
    }
}

impl Secret {
    fn trim(&mut self) {
        let excess = self.versions.len().saturating_sub(HISTORY);
        self.versions.drain(..excess);
    }
}
