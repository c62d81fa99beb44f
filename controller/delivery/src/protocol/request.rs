//! What the client asks.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::generation::{Fingerprint, Generation};
use crate::wire::{Encode, Malformed, Sink, Source};

/// The tag of a batch.
const BATCH: u8 = 18;

/// A question of the client. A `term` is what [`crate::protocol::Response::Granted`] gave; an older one is refused.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// The first of a session.
    Hello {
        /// What the client speaks.
        protocol: u16,
    },
    /// Shows that the client lives; answered by `Pong`.
    Ping,
    /// Which services' volumes are mounted.
    Volumes,
    /// Take the lease. Asked again by its holder: the same term, new text.
    Acquire {
        /// How to reach this holder, for others.
        holder: String,
    },
    /// Give the lease back.
    Release,
    /// The generation log of a service.
    Log {
        /// Which service.
        service: String,
    },
    /// Publish a generation.
    Publish {
        /// For which service.
        service: String,
        /// The writer's term.
        term: u64,
        /// Sequence number that must be the current one; 0 for none.
        expect: u64,
        /// What to publish.
        generation: Generation,
        /// What the client thinks that it is; must agree.
        fingerprint: Fingerprint,
    },
    /// Publish the content of a kept generation again, as a new one.
    Restore {
        /// For which service.
        service: String,
        /// The writer's term.
        term: u64,
        /// Whose content.
        seq: u64,
        /// Sequence number that must be the current one.
        expect: u64,
    },
    /// Compare what is visible with the log.
    Verify {
        /// Which service.
        service: String,
    },
    /// Remove generations, with their log entries, that are neither current nor named.
    Prune {
        /// Of which service.
        service: String,
        /// The writer's term.
        term: u64,
        /// Sequence numbers to keep.
        keep: Vec<u64>,
    },
    /// Remove everything from a service's volume.
    Clear {
        /// Of which service.
        service: String,
        /// The writer's term.
        term: u64,
    },
    /// The project's key; made at first use.
    Key,
    /// Read a state file.
    ReadState {
        /// Its name: see [`crate::layout::is_state_name`].
        name: String,
    },
    /// Replace a state file.
    WriteState {
        /// Its name.
        name: String,
        /// The writer's term.
        term: u64,
        /// Its new content.
        bytes: Vec<u8>,
        /// On disk when answered. If not, it is lost with the machine, as every generation is: for what only a publish follows.
        durable: bool,
    },
    /// Replace the shim program; used from the next start of each container on.
    InstallShim {
        /// The program.
        bytes: Vec<u8>,
        /// Its SHA-256.
        sha256: [u8; 32],
    },
    /// SHA-256 of the installed shim.
    ShimDigest,
    /// Compute the fingerprints of the log anew from the kept generations; needed when the key is new, nothing otherwise.
    Recompute {
        /// Of which service.
        service: String,
    },
    /// Do these in order, up to the first that is refused: one way there and back for all. No batch is in a batch.
    Batch(Vec<Request>),
}

impl Request {
    /// What is asked for, in one word; of a batch, one for each that is in it.
    pub fn name(&self) -> Cow<'static, str> {
        let name = match self {
            Self::Hello { .. } => "hello",
            Self::Ping => "ping",
            Self::Volumes => "volumes",
            Self::Acquire { .. } => "acquire",
            Self::Release => "release",
            Self::Log { .. } => "log",
            Self::Publish { .. } => "publish",
            Self::Restore { .. } => "restore",
            Self::Verify { .. } => "verify",
            Self::Prune { .. } => "prune",
            Self::Clear { .. } => "clear",
            Self::Key => "key",
            Self::ReadState { .. } => "read-state",
            Self::WriteState { .. } => "write-state",
            Self::InstallShim { .. } => "install-shim",
            Self::ShimDigest => "shim-digest",
            Self::Recompute { .. } => "recompute",
            Self::Batch(all) => {
                let names: Vec<_> = all.iter().map(Self::name).collect();
                return names.join("+").into();
            }
        };
        name.into()
    }

    /// The payload of a frame.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.to_bytes()
    }

    /// Reads a payload. Never panics, never allocates more than the payload's length many times over.
    ///
    /// # Errors
    /// When it is not exactly one request.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut s = Source(payload);
        let request = match s.0.first() {
            Some(&BATCH) => {
                s.u8()?;
                Self::Batch(s.list(Self::read)?)
            }
            _ => Self::read(&mut s)?,
        };
        s.end()?;
        Ok(request)
    }

    /// One that is no batch.
    fn read(s: &mut Source<'_>) -> Result<Self, Malformed> {
        Ok(match s.u8()? {
            0 => Self::Hello { protocol: s.u16()? },
            1 => Self::Ping,
            2 => Self::Volumes,
            3 => Self::Acquire { holder: s.str()? },
            4 => Self::Release,
            5 => Self::Log { service: s.str()? },
            6 => Self::Publish {
                service: s.str()?,
                term: s.u64()?,
                expect: s.u64()?,
                generation: Generation::read(s)?,
                fingerprint: s.array()?,
            },
            7 => Self::Restore {
                service: s.str()?,
                term: s.u64()?,
                seq: s.u64()?,
                expect: s.u64()?,
            },
            8 => Self::Verify { service: s.str()? },
            9 => Self::Prune {
                service: s.str()?,
                term: s.u64()?,
                keep: s.list(Source::u64)?,
            },
            10 => Self::Clear {
                service: s.str()?,
                term: s.u64()?,
            },
            11 => Self::Key,
            12 => Self::ReadState { name: s.str()? },
            tag @ (13 | 17) => Self::WriteState {
                name: s.str()?,
                term: s.u64()?,
                bytes: s.bytes()?.to_vec(),
                durable: tag == 13,
            },
            14 => Self::InstallShim {
                bytes: s.bytes()?.to_vec(),
                sha256: s.array()?,
            },
            15 => Self::ShimDigest,
            16 => Self::Recompute { service: s.str()? },
            _ => return Err(Malformed("a request is unknown")),
        })
    }
}

impl Encode for Request {
    fn write(&self, out: &mut impl Sink) {
        match self {
            Self::Hello { protocol } => {
                out.u8(0);
                out.u16(*protocol);
            }
            Self::Ping => out.u8(1),
            Self::Volumes => out.u8(2),
            Self::Acquire { holder } => {
                out.u8(3);
                out.str(holder);
            }
            Self::Release => out.u8(4),
            Self::Log { service } => {
                out.u8(5);
                out.str(service);
            }
            Self::Publish {
                service,
                term,
                expect,
                generation,
                fingerprint,
            } => {
                out.u8(6);
                out.str(service);
                out.u64(*term);
                out.u64(*expect);
                generation.write(out);
                out.raw(fingerprint);
            }
            Self::Restore {
                service,
                term,
                seq,
                expect,
            } => {
                out.u8(7);
                out.str(service);
                out.u64(*term);
                out.u64(*seq);
                out.u64(*expect);
            }
            Self::Verify { service } => {
                out.u8(8);
                out.str(service);
            }
            Self::Prune {
                service,
                term,
                keep,
            } => {
                out.u8(9);
                out.str(service);
                out.u64(*term);
                out.length(keep.len());
                keep.iter().for_each(|seq| out.u64(*seq));
            }
            Self::Clear { service, term } => {
                out.u8(10);
                out.str(service);
                out.u64(*term);
            }
            Self::Key => out.u8(11),
            Self::ReadState { name } => {
                out.u8(12);
                out.str(name);
            }
            Self::WriteState {
                name,
                term,
                bytes,
                durable,
            } => {
                out.u8(if *durable { 13 } else { 17 });
                out.str(name);
                out.u64(*term);
                out.bytes(bytes);
            }
            Self::InstallShim { bytes, sha256 } => {
                out.u8(14);
                out.bytes(bytes);
                out.raw(sha256);
            }
            Self::ShimDigest => out.u8(15),
            Self::Recompute { service } => {
                out.u8(16);
                out.str(service);
            }
            Self::Batch(requests) => {
                out.u8(BATCH);
                out.length(requests.len());
                requests.iter().for_each(|it| it.write(out));
            }
        }
    }
}
