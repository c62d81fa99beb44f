//! What the session answers.

use std::fmt;

use zeroize::Zeroizing;

use crate::clock::Stamp;
use crate::log::Entry;
use crate::wire::{Encode, Malformed, Sink, Source};

/// The tag of a batch.
const BATCH: u8 = 13;

/// An answer of the session.
#[derive(Debug, PartialEq)]
pub enum Response {
    /// To `Hello`, whatever the client speaks.
    Hello {
        /// What the session speaks.
        protocol: u16,
        /// The clocks of the engine's machine.
        now: Stamp,
    },
    /// To `Ping`.
    Pong {
        /// The clocks of the engine's machine.
        now: Stamp,
    },
    /// To `Volumes`: the services whose volume is mounted and a tmpfs, sorted.
    Volumes {
        /// Their names.
        services: Vec<String>,
    },
    /// To `Acquire`: the lease is this session's until it ends.
    Granted {
        /// Rises with every new holder.
        term: u64,
    },
    /// To `Acquire`: somebody else has it.
    Held {
        /// How the holder says that it is reached.
        holder: String,
        /// Its term.
        term: u64,
    },
    /// To `Release`, `Prune`, `Clear`, `WriteState`, `InstallShim`, `Recompute`.
    Done,
    /// To `Log`: oldest first, the last one is the current generation.
    Log {
        /// The entries.
        entries: Vec<Entry>,
        /// False when the fingerprints were made with another key than the project's present one: ask to `Recompute`.
        key_matches: bool,
    },
    /// To `Publish`, `Restore`: the new entry of the log.
    Published(Entry),
    /// To `Verify`.
    Verified(Verdict),
    /// To `Key`.
    Key {
        /// The key.
        key: Key,
        /// True when it was made by this request.
        new: bool,
    },
    /// To `ReadState`; `None` when there is no such file.
    State(Option<Vec<u8>>),
    /// To `ShimDigest`; `None` when none is installed.
    ShimDigest(Option<[u8; 32]>),
    /// To anything: it was not done.
    Refused(Refusal),
    /// To `Batch`: one answer to each that was tried; only the last can be a refusal.
    Batch(Vec<Response>),
}

/// The project's key. Zeroed when dropped, never shown.
#[derive(PartialEq)]
pub struct Key(pub Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How what is visible compares with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was published last.
    Intact,
    /// It is not; what differs, as far as it can be told.
    Drifted(Vec<String>),
    /// Nothing was published.
    Empty,
}

/// Why something was not done. Its text holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// One lower-case clause.
    pub message: String,
}

/// The kind of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Somebody has taken the lease since.
    OldTerm,
    /// Somebody has published since.
    Conflict {
        /// The current sequence number; 0 for none.
        current: u64,
    },
    /// No volume of that service is mounted.
    NotMounted,
    /// The request makes no sense, and will not the next time.
    Invalid,
    /// The volume is full; the old generation stays.
    NoSpace,
    /// The machine failed us.
    Io,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, message)
    }

    pub(crate) fn io(doing: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let kind = match error.kind() {
            StorageFull | QuotaExceeded => RefusalKind::NoSpace,
            _ => RefusalKind::Io,
        };
        Self::new(kind, format!("{doing} failed: {error}"))
    }
}

impl Response {
    /// The payload of a frame.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.to_bytes()
    }

    /// Reads a payload. Never panics, never allocates more than the payload's length many times over.
    ///
    /// # Errors
    /// When it is not exactly one response.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut s = Source(payload);
        let response = match s.0.first() {
            Some(&BATCH) => {
                s.u8()?;
                Self::Batch(s.list(Self::read)?)
            }
            _ => Self::read(&mut s)?,
        };
        s.end()?;
        Ok(response)
    }

    /// One that is no batch.
    fn read(s: &mut Source<'_>) -> Result<Self, Malformed> {
        Ok(match s.u8()? {
            0 => Self::Hello {
                protocol: s.u16()?,
                now: stamp(s)?,
            },
            1 => Self::Pong { now: stamp(s)? },
            2 => Self::Volumes {
                services: s.list(Source::str)?,
            },
            3 => Self::Granted { term: s.u64()? },
            4 => Self::Held {
                holder: s.str()?,
                term: s.u64()?,
            },
            5 => Self::Done,
            6 => Self::Log {
                entries: s.list(Entry::read)?,
                key_matches: flag(s)?,
            },
            7 => Self::Published(Entry::read(s)?),
            8 => Self::Verified(match s.u8()? {
                0 => Verdict::Intact,
                1 => Verdict::Drifted(s.list(Source::str)?),
                2 => Verdict::Empty,
                _ => return Err(Malformed("a verdict is unknown")),
            }),
            9 => Self::Key {
                key: Key(Zeroizing::new(s.array()?)),
                new: flag(s)?,
            },
            10 => Self::State(match flag(s)? {
                true => Some(s.bytes()?.to_vec()),
                false => None,
            }),
            11 => Self::ShimDigest(match flag(s)? {
                true => Some(s.array()?),
                false => None,
            }),
            12 => {
                let kind = match s.u8()? {
                    0 => RefusalKind::OldTerm,
                    1 => RefusalKind::Conflict { current: s.u64()? },
                    2 => RefusalKind::NotMounted,
                    3 => RefusalKind::Invalid,
                    4 => RefusalKind::NoSpace,
                    5 => RefusalKind::Io,
                    _ => return Err(Malformed("a refusal is unknown")),
                };
                Self::Refused(Refusal {
                    kind,
                    message: s.str()?,
                })
            }
            _ => return Err(Malformed("a response is unknown")),
        })
    }
}

impl Encode for Response {
    fn write(&self, out: &mut impl Sink) {
        match self {
            Self::Hello { protocol, now } => {
                out.u8(0);
                out.u16(*protocol);
                put_stamp(*now, out);
            }
            Self::Pong { now } => {
                out.u8(1);
                put_stamp(*now, out);
            }
            Self::Volumes { services } => {
                out.u8(2);
                put_strings(services, out);
            }
            Self::Granted { term } => {
                out.u8(3);
                out.u64(*term);
            }
            Self::Held { holder, term } => {
                out.u8(4);
                out.str(holder);
                out.u64(*term);
            }
            Self::Done => out.u8(5),
            Self::Log {
                entries,
                key_matches,
            } => {
                out.u8(6);
                out.length(entries.len());
                entries.iter().for_each(|entry| entry.write(out));
                out.u8((*key_matches).into());
            }
            Self::Published(entry) => {
                out.u8(7);
                entry.write(out);
            }
            Self::Verified(verdict) => {
                out.u8(8);
                match verdict {
                    Verdict::Intact => out.u8(0),
                    Verdict::Drifted(paths) => {
                        out.u8(1);
                        put_strings(paths, out);
                    }
                    Verdict::Empty => out.u8(2),
                }
            }
            Self::Key { key, new } => {
                out.u8(9);
                out.raw(&*key.0);
                out.u8((*new).into());
            }
            Self::State(bytes) => {
                out.u8(10);
                out.u8(bytes.is_some().into());
                bytes.iter().for_each(|b| out.bytes(b));
            }
            Self::ShimDigest(digest) => {
                out.u8(11);
                out.u8(digest.is_some().into());
                digest.iter().for_each(|d| out.raw(d));
            }
            Self::Refused(Refusal { kind, message }) => {
                out.u8(12);
                match kind {
                    RefusalKind::OldTerm => out.u8(0),
                    RefusalKind::Conflict { current } => {
                        out.u8(1);
                        out.u64(*current);
                    }
                    RefusalKind::NotMounted => out.u8(2),
                    RefusalKind::Invalid => out.u8(3),
                    RefusalKind::NoSpace => out.u8(4),
                    RefusalKind::Io => out.u8(5),
                }
                out.str(message);
            }
            Self::Batch(responses) => {
                out.u8(BATCH);
                out.length(responses.len());
                responses.iter().for_each(|it| it.write(out));
            }
        }
    }
}

fn put_strings(list: &[String], out: &mut impl Sink) {
    out.length(list.len());
    list.iter().for_each(|text| out.str(text));
}

fn put_stamp(stamp: Stamp, out: &mut impl Sink) {
    out.u64(stamp.realtime);
    out.u64(stamp.boottime);
}

fn stamp(s: &mut Source<'_>) -> Result<Stamp, Malformed> {
    Ok(Stamp {
        realtime: s.u64()?,
        boottime: s.u64()?,
    })
}

fn flag(s: &mut Source<'_>) -> Result<bool, Malformed> {
    match s.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("a flag is neither set nor unset")),
    }
}
