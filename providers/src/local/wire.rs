//! What client and session say to each other.
//!
//! A frame is `u32` (big endian: bytes that follow), `u32` (bytes of the head), the head as JSON, then blobs one after
//! another, whose lengths the head gives. Values are only ever in blobs. The session begins with a [`Reply::Hello`];
//! a request has an id that its reply repeats; id 0 is the session's own.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use locket_provider::ErrorKind;

use super::document::{Info, Listed};

/// Version of this protocol.
pub(super) const PROTOCOL: u32 = 1;
/// Largest frame in bytes: an export of a large store fits.
pub(super) const MAX_FRAME: usize = 256 << 20;

/// How an export is locked.
pub enum Lock {
    /// To export: age recipients (`age1…`). To import: lines of an age key file.
    Keys(Vec<String>),
    /// A passphrase.
    Passphrase(Zeroizing<String>),
}

/// A file of the host's configuration, kept beside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigFile {
    /// `locket.yaml`.
    Host,
    /// `grants.yaml`: what `docker locket trust` adds.
    Grants,
}

impl ConfigFile {
    /// Its name in the volume.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Host => "locket.yaml",
            Self::Grants => "grants.yaml",
        }
    }
}

/// What tells one text of a file from another. A file that is not there counts as an empty one.
pub(super) fn digest(text: &[u8]) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// A name and, for an older value, its version.
pub(super) type Wanted = (String, Option<u64>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Request {
    Get {
        wanted: Vec<Wanted>,
    },
    Versions {
        wanted: Vec<Wanted>,
    },
    /// Blob: the value.
    Set {
        name: String,
    },
    Remove {
        name: String,
    },
    List {
        prefix: String,
    },
    History {
        name: String,
    },
    Rollback {
        name: String,
        to: Option<u64>,
    },
    /// Blobs: the passphrase, or one for each recipient.
    Export {
        passphrase: bool,
    },
    /// Blobs: the file, then the passphrase, or one for each line of the key file.
    Import {
        passphrase: bool,
    },
    ReadConfig {
        file: ConfigFile,
    },
    /// Blob: the text. A session that does not know `over` writes as if it were not there.
    WriteConfig {
        file: ConfigFile,
        /// [`digest`] of what the writer has read: over anything else nothing is written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<String>,
    },
    ReadFile {
        name: String,
    },
    /// Blob: the bytes.
    WriteFile {
        name: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(super) enum Reply {
    Hello {
        protocol: u32,
    },
    /// Store or configuration are not what they were.
    Changed {
        configuration: bool,
    },
    /// Blobs: one value for each `Ok`, in order. Also the answer about versions, then without blobs.
    Versions {
        versions: Vec<Result<Info, Fault>>,
    },
    Info {
        info: Info,
    },
    List {
        list: Vec<Listed>,
    },
    History {
        history: Vec<Info>,
    },
    Names {
        names: Vec<String>,
    },
    /// Blob: the bytes, if there is such a file.
    Bytes {
        found: bool,
    },
    Done,
    /// Nothing was written: what is there is not what the writer has read.
    Outdated,
    Failed {
        fault: Fault,
    },
}

/// An error on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fault {
    kind: String,
    message: String,
    help: Option<String>,
}

impl From<super::Error> for Fault {
    fn from(e: super::Error) -> Self {
        Self {
            kind: e.kind().reason().to_owned(),
            message: e.to_string(),
            help: e.help().map(str::to_owned),
        }
    }
}

impl From<Fault> for locket_provider::Error {
    fn from(it: Fault) -> Self {
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::Denied,
            ErrorKind::Unauthenticated,
            ErrorKind::Invalid,
        ];
        let kind = kinds
            .into_iter()
            .find(|k| k.reason() == it.kind)
            .unwrap_or(ErrorKind::Unavailable);
        let error = Self::new(kind, it.message);
        match it.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// A head with its blobs. Zeroed when dropped.
pub(super) struct Frame<T> {
    pub(super) id: u64,
    pub(super) body: T,
    pub(super) blobs: Vec<Zeroizing<Vec<u8>>>,
}

#[derive(Serialize, Deserialize)]
struct Head<T> {
    id: u64,
    blobs: Vec<usize>,
    body: T,
}

impl<T: Serialize> Frame<T> {
    /// The bytes, length first.
    pub(super) fn encode(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let head = serde_json::to_vec(&Head {
            id: self.id,
            blobs: self.blobs.iter().map(|b| b.len()).collect(),
            body: &self.body,
        })?;
        let length = 4 + head.len() + self.blobs.iter().map(|b| b.len()).sum::<usize>();
        if length > MAX_FRAME {
            return Err(io::Error::other("a frame is too large"));
        }
        // Exact capacity: a vector that grows leaves copies of values behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 + length));
        // Both are at most MAX_FRAME, which fits.
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        bytes.extend_from_slice(&(head.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&head);
        self.blobs.iter().for_each(|b| bytes.extend_from_slice(b));
        Ok(bytes)
    }
}

impl<T: DeserializeOwned> Frame<T> {
    /// Reads what follows the length.
    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "a frame is malformed");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(broken)?;
        let (head, mut rest) = rest
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(broken)?;
        let head: Head<T> = serde_json::from_slice(head).map_err(|_| broken())?;
        let mut blobs = Vec::with_capacity(head.blobs.len());
        for length in head.blobs {
            let (blob, after) = rest.split_at_checked(length).ok_or_else(broken)?;
            blobs.push(Zeroizing::new(blob.to_vec()));
            rest = after;
        }
        Ok(Self {
            id: head.id,
            body: head.body,
            blobs,
        })
    }
}

/// The length of the frame that a prefix announces.
pub(super) fn length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length > MAX_FRAME {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is too large",
        ))
    } else {
        Ok(length)
    }
}

/// Reads one frame; `None` at the end of the stream.
pub(super) fn read<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<Option<Frame<T>>> {
    let mut prefix = [0; 4];
    match input.read_exact(&mut prefix) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = Zeroizing::new(vec![0; length(prefix)?]);
    input.read_exact(&mut bytes)?;
    Frame::decode(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let blobs = vec![Zeroizing::new(vec![]), Zeroizing::new(vec![0, 255, 10])];
        let frame = Frame {
            id: 7,
            body: Request::Set {
                name: "shop/db".into(),
            },
            blobs,
        };
        let bytes = frame.encode().unwrap();
        let read = read::<Request>(&mut &bytes[..]).unwrap().unwrap();
        assert_eq!((read.id, read.blobs), (7, frame.blobs));
        assert!(matches!(read.body, Request::Set { name } if name == "shop/db"));
    }

    #[test]
    fn programs_of_other_versions_read_each_other_s_requests() {
        let read = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        let older = read(r#"{"op":"write_config","file":"grants"}"#);
        assert!(matches!(older, Request::WriteConfig { over: None, .. }));
        let newer = read(r#"{"op":"write_config","file":"grants","unheard":"of"}"#);
        assert!(matches!(newer, Request::WriteConfig { .. }));
        let plain = Request::WriteConfig {
            file: ConfigFile::Host,
            over: None,
        };
        assert_eq!(
            serde_json::to_string(&plain).unwrap(),
            r#"{"op":"write_config","file":"host"}"#
        );
    }

    #[test]
    fn a_broken_frame_is_an_error_and_no_panic() {
        let whole = Frame {
            id: 1,
            body: Request::List {
                prefix: String::new(),
            },
            blobs: vec![Zeroizing::new(vec![1])],
        }
        .encode()
        .unwrap();
        for cut in 4..whole.len() {
            assert!(Frame::<Request>::decode(&whole[4..cut]).is_err(), "{cut}");
        }
        assert!(read::<Request>(&mut &[0xff; 8][..]).is_err());
        assert!(read::<Request>(&mut &[][..]).unwrap().is_none());
    }
}
