//! The store on disk: an age file (<https://age-encryption.org/v1>) and its key, as `age-keygen` writes one.
//!
//! # Guarantees
//! - A write replaces the file whole or not at all: temporary file, fsync, rename, fsync of the directory.
//! - Writers exclude each other with `flock` on `store.lock`; readers need no lock.
//! - A file that cannot be read, or not with the present key, is never replaced.
#![expect(
    clippy::disallowed_methods,
    reason = "the store is one of the three places that write files"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use age::secrecy::{ExposeSecret, SecretString};
use age::x25519;
use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

use super::document::Document;
use super::time::rfc3339;
use super::{Error, Lock};

/// `log2` of the scrypt cost of a passphrase, as in the stock tool: 256 MiB and about a second.
const SCRYPT_COST: u8 = 18;
/// The highest cost that is accepted in an import: 1 GiB.
const SCRYPT_LIMIT: u8 = 20;

/// The encrypted file and its key. Nothing is opened or made before it is needed.
#[derive(Debug, Clone)]
pub struct StoreFile {
    store: PathBuf,
    key: PathBuf,
    passphrase_cost: u8,
}

impl StoreFile {
    /// `store.age` and `key.txt` in one directory, which must be there.
    pub fn under(root: &Path) -> Self {
        Self {
            store: root.join("store.age"),
            key: root.join("key.txt"),
            passphrase_cost: SCRYPT_COST,
        }
    }

    /// The same with the key elsewhere.
    #[must_use]
    pub fn with_key(self, key: PathBuf) -> Self {
        Self { key, ..self }
    }

    /// The same with another cost of passphrases in exports: `log2` of scrypt's N, 1 to 20, by default 18.
    #[must_use]
    pub fn with_passphrase_cost(self, log2: u8) -> Self {
        Self {
            passphrase_cost: log2.clamp(1, SCRYPT_LIMIT),
            ..self
        }
    }

    /// The path of the encrypted file.
    pub fn path(&self) -> &Path {
        &self.store
    }

    /// Reads everything; a store that was never written is empty.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::KeyMissing`], [`Error::KeyDamaged`], [`Error::WrongKey`], [`Error::Damaged`], [`Error::Newer`].
    pub fn read(&self) -> Result<Document, Error> {
        let Some(sealed) = read_if_there(&self.store)? else {
            return Ok(Document::default());
        };
        let what = self.store.display().to_string();
        let keys = self.keys()?.ok_or_else(|| Error::KeyMissing {
            path: self.key.clone(),
        })?;
        let keys: Vec<&dyn age::Identity> = keys.iter().map(|k| k as &dyn age::Identity).collect();
        Document::from_json(&open(&sealed, &keys, &what)?, &what)
    }

    /// Reads, changes and writes under the lock; makes store and key when there are none.
    /// When `change` fails, nothing is written.
    ///
    /// # Errors
    /// As [`Self::read`], and those of `change`.
    pub fn change<T>(
        &self,
        now: SystemTime,
        change: impl FnOnce(&mut Document, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _lock = self.lock()?;
        let mut document = self.read()?;
        let answer = change(&mut document, &rfc3339(now))?;
        let keys = match self.keys()? {
            Some(keys) => keys,
            None => vec![self.make_key(now)?],
        };
        let recipients: Vec<_> = keys.iter().map(x25519::Identity::to_public).collect();
        let sealed = seal(
            &document,
            recipients.iter().map(|r| r as &dyn age::Recipient),
        )?;
        replace(&self.store, &sealed)?;
        Ok(answer)
    }

    /// The whole store as an age file for somebody else.
    ///
    /// # Errors
    /// As [`Self::read`]; [`Error::Recipient`], [`Error::NoRecipient`].
    pub fn export(&self, lock: &Lock) -> Result<Vec<u8>, Error> {
        let document = self.read()?;
        match lock {
            Lock::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(secret(passphrase));
                recipient.set_work_factor(self.passphrase_cost);
                seal(
                    &document,
                    std::iter::once(&recipient as &dyn age::Recipient),
                )
            }
            Lock::Keys(recipients) => {
                let parse = |r: &String| {
                    r.trim()
                        .parse::<x25519::Recipient>()
                        .map_err(|_| Error::Recipient {
                            recipient: r.clone(),
                        })
                };
                let recipients = recipients
                    .iter()
                    .map(parse)
                    .collect::<Result<Vec<_>, _>>()?;
                seal(
                    &document,
                    recipients.iter().map(|r| r as &dyn age::Recipient),
                )
            }
        }
    }

    /// Merges an export in ([`Document::merge`]); keys are the lines of an age key file.
    /// Returns the names that have another value now.
    ///
    /// # Errors
    /// As [`Self::change`]; [`Error::WrongKey`] and [`Error::Damaged`] for the import.
    pub fn import(
        &self,
        sealed: &[u8],
        lock: &Lock,
        now: SystemTime,
    ) -> Result<Vec<String>, Error> {
        let what = "the import";
        let json = match lock {
            Lock::Passphrase(passphrase) => {
                let mut identity = age::scrypt::Identity::new(secret(passphrase));
                identity.set_max_work_factor(SCRYPT_LIMIT);
                open(sealed, &[&identity], what)?
            }
            Lock::Keys(lines) => {
                let keys = parse_keys(&lines.join("\n")).ok_or_else(|| Error::WrongKey {
                    what: what.to_owned(),
                })?;
                let keys: Vec<&dyn age::Identity> =
                    keys.iter().map(|k| k as &dyn age::Identity).collect();
                open(sealed, &keys, what)?
            }
        };
        let imported = Document::from_json(&json, what)?;
        self.change(now, |document, now| document.merge(imported, now))
    }

    /// Excludes other writers until it is dropped.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.store.with_extension("lock");
        let open = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let locked = open.and_then(|file| {
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        });
        locked.map_err(|source| Error::Io {
            what: "lock",
            path,
            source,
        })
    }

    fn keys(&self) -> Result<Option<Vec<x25519::Identity>>, Error> {
        let Some(text) = read_if_there(&self.key)? else {
            return Ok(None);
        };
        let keys = std::str::from_utf8(&text).ok().and_then(parse_keys);
        keys.map(Some).ok_or_else(|| Error::KeyDamaged {
            path: self.key.clone(),
        })
    }

    fn make_key(&self, now: SystemTime) -> Result<x25519::Identity, Error> {
        let key = x25519::Identity::generate();
        let (secret, public) = (key.to_string(), key.to_public());
        let text = Zeroizing::new(format!(
            "# created: {}\n# public key: {public}\n{}\n",
            rfc3339(now),
            secret.expose_secret()
        ));
        replace(&self.key, text.as_bytes())?;
        Ok(key)
    }
}

/// The keys of an age key file: one a line, `#` begins a comment. `None` if there is none, or a line is no key.
pub(super) fn parse_keys(text: &str) -> Option<Vec<x25519::Identity>> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let keys: Vec<_> = lines.map(|l| l.parse().ok()).collect::<Option<_>>()?;
    (!keys.is_empty()).then_some(keys)
}

fn secret(passphrase: &Zeroizing<String>) -> SecretString {
    SecretString::from(passphrase.as_str().to_owned())
}

pub(super) fn open(
    sealed: &[u8],
    keys: &[&dyn age::Identity],
    what: &str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    use age::DecryptError as E;
    let explain = |e| match e {
        E::NoMatchingKeys | E::DecryptionFailed | E::KeyDecryptionFailed => Error::WrongKey {
            what: what.to_owned(),
        },
        _ => Error::Damaged {
            what: what.to_owned(),
        },
    };
    let mut reader = age::Decryptor::new(sealed)
        .and_then(|d| d.decrypt(keys.iter().copied()))
        .map_err(explain)?;
    // The plaintext is shorter than the file: the buffer is never moved, so no copy is left behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain).map_err(|_| Error::Damaged {
        what: what.to_owned(),
    })?;
    Ok(plain)
}

pub(super) fn seal<'a>(
    document: &Document,
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
) -> Result<Vec<u8>, Error> {
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| Error::NoRecipient)?;
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut out| {
        // Straight into the cipher: the plaintext is never whole in memory.
        serde_json::to_writer(&mut out, document)?;
        out.write_all(b"\n")?;
        out.finish()?;
        Ok(())
    });
    written.map_err(|source| Error::Io {
        what: "encrypt",
        path: PathBuf::from("the store"),
        source,
    })?;
    Ok(sealed)
}

/// The bytes of a file, or `None` if there is no such file.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn read_if_there(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            what: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces a file (mode 0600), whole or not at all; it is on the disk when this returns. One writer at a time.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let dir = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = dir.join(name);
    let write = || {
        // What a crash has left.
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| Error::Io {
        what: "write",
        path: path.to_owned(),
        source,
    })
}
