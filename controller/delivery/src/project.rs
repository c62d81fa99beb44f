//! The project volume: who may write, the key, what is remembered, and the shim program.
//!
//! It is an ordinary volume that outlives everything but `down -v`. Apps see one file of it, the shim; so its locks are out of
//! their reach, while one on a service's own volume would not be.

use std::io;
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::dir::{Dir, Lock, is_absent};
use crate::layout::{SHIM_FILE, is_state_name};
use crate::protocol::{Key, Refusal, RefusalKind};

/// The lock of the one writer. Never replaced, only locked.
const LEASE: &str = "lease";
/// Term and text of the last holder.
const HOLDER: &str = "holder";
/// The lock of whoever is at work on the project's volumes; held for one request.
const WORK: &str = "work";
const KEY: &str = "key";
/// State files.
const STATE: &str = "state";
/// The highest sequence number of each service that was ever used; a cleared volume must not start again at 1.
const SEQ: &str = "seq";
/// Bytes of the text of a holder.
const HOLDER_LIMIT: usize = 4096;
/// Bytes of a state file.
const STATE_LIMIT: usize = 32 << 20;

/// The project volume.
pub struct Project {
    root: Dir,
}

/// The right to write, until it is dropped or its process ends.
pub struct Lease {
    lock: Lock,
    term: u64,
}

/// The answer to who wants the lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is theirs.
    Granted {
        /// Rises with every new holder.
        term: u64,
    },
    /// Somebody else has it.
    Held {
        /// How the holder says that it is reached.
        holder: String,
        /// Its term.
        term: u64,
    },
}

/// Keeps other sessions from the project's volumes while it lives.
pub struct Work {
    _lock: Lock,
}

impl Lease {
    /// Rises with every new holder.
    pub fn term(&self) -> u64 {
        self.term
    }
}

impl Project {
    /// Opens the volume that is mounted at a path.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Dir::open(path)?,
        })
    }

    /// Waits until no other session is at work.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub fn work(&self) -> Result<Work, Refusal> {
        let lock = self
            .root
            .lock(WORK)
            .map_err(|e| Refusal::io("waiting for other sessions", &e))?;
        Ok(Work { _lock: lock })
    }

    /// Takes the lease if nobody has it, or keeps the one that the caller has, with new text. Never waits for a holder.
    ///
    /// # Errors
    /// `Invalid` for too long a text; `Io`, `NoSpace`: nothing was granted.
    pub fn acquire(
        &self,
        _: &Work,
        lease: &mut Option<Lease>,
        holder: &str,
    ) -> Result<Acquired, Refusal> {
        if holder.len() > HOLDER_LIMIT {
            return Err(Refusal::invalid("the holder's text is larger than 4 KiB"));
        }
        let mut acquire = || {
            let (last, last_holder) = self.holder()?;
            // One that does not count any more is given back first, or it would keep ourselves out.
            let had = lease.take_if(|it| !self.is_current(it, last));
            drop(had);
            let term = match lease {
                Some(it) if (it.term, holder) == (last, &last_holder) => {
                    return Ok(Acquired::Granted { term: last });
                }
                Some(it) => it.term,
                None => last.saturating_add(1),
            };
            let lock = match lease {
                Some(_) => None,
                None => match self.root.try_lock(LEASE)? {
                    None => {
                        return Ok(Acquired::Held {
                            holder: last_holder,
                            term: last,
                        });
                    }
                    lock => lock,
                },
            };
            // On disk before it is used: a term is never given twice.
            self.root
                .replace(HOLDER, format!("{term}\n{holder}").as_bytes(), 0o600, true)?;
            if let Some(lock) = lock {
                *lease = Some(Lease { lock, term });
            }
            Ok(Acquired::Granted { term })
        };
        acquire().map_err(|e: io::Error| Refusal::io("taking the lease", &e))
    }

    /// Lets through who writes with the term of a lease that it has, and that nobody has taken since.
    ///
    /// # Errors
    /// `OldTerm`.
    pub fn check(&self, lease: Option<&Lease>, term: u64) -> Result<(), Refusal> {
        let old = |why: String| Refusal::new(RefusalKind::OldTerm, why);
        let Some(lease) = lease.filter(|lease| lease.term == term) else {
            return Err(old(format!("term {term} is not this session's")));
        };
        let (last, _) = self
            .holder()
            .map_err(|e| Refusal::io("reading the term", &e))?;
        match self.is_current(lease, last) {
            true => Ok(()),
            false => Err(old(format!("term {term} is over, {last} is the last one"))),
        }
    }

    /// A lock on a file that was replaced keeps nobody out.
    fn is_current(&self, lease: &Lease, last: u64) -> bool {
        lease.term == last && self.root.is_locked_by(LEASE, &lease.lock).unwrap_or(false)
    }

    fn holder(&self) -> io::Result<(u64, String)> {
        let text = self.read(HOLDER)?;
        let parsed = text.as_deref().and_then(|bytes| {
            let (term, holder) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
            Some((term.parse().ok()?, holder.to_owned()))
        });
        // The lock keeps others out, the term only tells one holder from the next: a damaged file is no reason to stand still.
        Ok(parsed.unwrap_or_default())
    }

    /// The key, and whether it was made now.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub fn key(&self, _: &Work) -> Result<(Key, bool), Refusal> {
        let key = || {
            let mut key = Zeroizing::new([0; 32]);
            if let Some(bytes) = self.read(KEY)?.filter(|bytes| bytes.len() == key.len()) {
                key.copy_from_slice(&bytes);
                return Ok((Key(key), false));
            }
            // One call gives so few bytes whole.
            getrandom(&mut key[..], GetRandomFlags::empty())?;
            self.root.replace(KEY, &key[..], 0o600, true)?;
            Ok((Key(key), true))
        };
        key().map_err(|e: io::Error| Refusal::io("reading the key", &e))
    }

    /// A state file; `None` when there is none of that name.
    ///
    /// # Errors
    /// `Invalid` for a name that is none, `Io`.
    pub fn state(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let (path, soon) = (state_path(name)?, soon_path(name));
        let read = || {
            let durable = self.read(&path)?;
            let soon = self.read(&soon)?;
            let newer = soon.and_then(|it| newer(&it, durable.as_deref().map(Vec::as_slice)));
            Ok(newer.or(durable.map(|mut bytes| std::mem::take(&mut *bytes))))
        };
        read().map_err(|e: io::Error| Refusal::io("reading the state", &e))
    }

    /// Replaces a state file. With `durable` it is on disk afterwards. Without, every reader has the new content from now on, but
    /// it is lost with the machine, as all generations are: enough for what only a publish follows, and without its wait for a disk.
    ///
    /// # Crashes
    /// What is not durable lies beside the file. It counts if it is whole and follows the very content that the file has,
    /// so neither a torn one nor one that is left from before the last durable write is ever read.
    ///
    /// # Errors
    /// `Invalid` for a name that is none or too many bytes, `Io`, `NoSpace`.
    pub fn write_state(
        &self,
        _: &Work,
        name: &str,
        bytes: &[u8],
        durable: bool,
    ) -> Result<(), Refusal> {
        let (path, soon) = (state_path(name)?, soon_path(name));
        if bytes.len() > STATE_LIMIT {
            return Err(Refusal::invalid("the state is larger than 32 MiB"));
        }
        let write = || {
            self.root.ensure_durable_dir(STATE, 0o700)?;
            if durable {
                self.root.replace(&path, bytes, 0o600, true)?;
                return self.root.remove(&soon);
            }
            let before = self.read(&path)?;
            let before = before.as_deref().map(Vec::as_slice);
            let all = [&link(before, bytes), bytes].concat();
            self.root.replace(&soon, &all, 0o600, false)
        };
        write().map_err(|e: io::Error| Refusal::io("writing the state", &e))
    }

    /// Replaces the shim program unless it is that one already.
    ///
    /// # Errors
    /// `Invalid` when the digest is not the program's, `Io`, `NoSpace`.
    pub fn install_shim(
        &self,
        work: &Work,
        bytes: &[u8],
        sha256: &[u8; 32],
    ) -> Result<(), Refusal> {
        if <[u8; 32]>::from(Sha256::digest(bytes)) != *sha256 {
            return Err(Refusal::invalid("the digest is not the program's"));
        }
        if self.shim_digest(work)? == Some(*sha256) {
            return Ok(());
        }
        let install = || {
            let dir = SHIM_FILE.split('/').next().unwrap_or(SHIM_FILE);
            self.root.ensure_durable_dir(dir, 0o755)?;
            self.root.replace(SHIM_FILE, bytes, 0o755, true)
        };
        install().map_err(|e: io::Error| Refusal::io("installing the shim", &e))
    }

    /// SHA-256 of the shim program; `None` when there is none that could be started.
    ///
    /// # Errors
    /// `Io`.
    pub fn shim_digest(&self, _: &Work) -> Result<Option<[u8; 32]>, Refusal> {
        let digest = || match self.root.meta(SHIM_FILE)? {
            Some(meta) if meta.owner.mode == 0o755 => match self.root.digest(SHIM_FILE) {
                Err(e) if is_absent(&e) => Ok(None),
                other => other.map(Some),
            },
            _ => Ok(None),
        };
        digest().map_err(|e: io::Error| Refusal::io("reading the shim", &e))
    }

    /// The highest sequence number that was used for a service; 0 for none.
    ///
    /// # Errors
    /// `Io`.
    pub fn sequence(&self, _: &Work, service: &str) -> Result<u64, Refusal> {
        let bytes = self
            .read(&seq_path(service))
            .map_err(|e| Refusal::io("reading a sequence number", &e))?;
        let number = bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
        // Not on disk when the machine went down: then no process lives that could have started with a number.
        Ok(number.unwrap_or(0))
    }

    /// Remembers a sequence number for as long as the machine is up.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub fn remember_sequence(&self, _: &Work, service: &str, seq: u64) -> Result<(), Refusal> {
        let write = || {
            self.root.ensure_dir(SEQ, 0o700)?;
            self.root
                .replace(&seq_path(service), seq.to_string().as_bytes(), 0o600, false)
        };
        write().map_err(|e: io::Error| Refusal::io("remembering a sequence number", &e))
    }

    fn read(&self, path: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match self.root.read(path) {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn state_path(name: &str) -> Result<String, Refusal> {
    match is_state_name(name) {
        true => Ok(format!("{STATE}/{name}")),
        false => Err(Refusal::invalid(format!(
            "{name:?} is no name for a state file"
        ))),
    }
}

/// No state name begins with a dot.
fn soon_path(name: &str) -> String {
    format!("{STATE}/.{name}.soon")
}

/// Ties content that is not durable to what it follows, and tells whether it is whole.
fn link(before: Option<&[u8]>, bytes: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update([u8::from(before.is_some())]);
    digest.update(Sha256::digest(before.unwrap_or_default()));
    digest.update(bytes);
    digest.finalize().into()
}

/// The content of what lies beside a file, if it counts.
fn newer(soon: &[u8], durable: Option<&[u8]>) -> Option<Vec<u8>> {
    let (tie, bytes) = soon.split_first_chunk()?;
    (*tie == link(durable, bytes)).then(|| bytes.to_vec())
}

/// The ending keeps a service's file apart from another's that is being written, `.NAME.n.new`.
fn seq_path(service: &str) -> String {
    format!("{SEQ}/{service}.n")
}

#[cfg(test)]
mod tests;
