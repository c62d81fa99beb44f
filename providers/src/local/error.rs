//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;

use locket_provider::ErrorKind;

use super::document::MAX_VALUE;

/// An error of the built-in store; no variant can hold a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such secret, or it was removed.
    #[error("there is no secret {name} in the local store")]
    NotFound {
        /// The full name.
        name: String,
    },
    /// The secret has no such version (any more).
    #[error("secret {name} has no version {version}")]
    NoVersion {
        /// The full name.
        name: String,
        /// The version that was asked for.
        version: String,
    },
    /// Not a name.
    #[error("{name:?} is not a name of the local store")]
    Name {
        /// What was given.
        name: String,
    },
    /// Belongs to another project.
    #[error("secret {name} belongs to another project than {project}")]
    Foreign {
        /// The full name.
        name: String,
        /// The project that asked.
        project: String,
    },
    /// More bytes than a secret may have.
    #[error("the value has {size} bytes, a secret has at most {MAX_VALUE}")]
    TooLarge {
        /// Bytes.
        size: usize,
    },
    /// The file system refused.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// Verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store is there, its key is not.
    #[error("the key {path} of the local store is missing", path = path.display())]
    KeyMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The key file holds no key.
    #[error("{path} is not an age key file", path = path.display())]
    KeyDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The file is encrypted to another key or passphrase.
    #[error("{what} cannot be opened with this key")]
    WrongKey {
        /// Which file.
        what: String,
    },
    /// The file is not what was written.
    #[error("{what} is damaged")]
    Damaged {
        /// Which file.
        what: String,
    },
    /// Made by a later version of this program.
    #[error("{what} was written by a newer locket")]
    Newer {
        /// Which file.
        what: String,
    },
    /// An export to nobody.
    #[error("{recipient:?} is not an age recipient")]
    Recipient {
        /// What was given; a public key is not secret.
        recipient: String,
    },
    /// Neither key nor passphrase was given.
    #[error("a file is exported to at least one recipient or under a passphrase")]
    NoRecipient,
}

impl Error {
    /// What it means to the user of the port.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoVersion { .. } => ErrorKind::NotFound,
            Self::Foreign { .. } => ErrorKind::Denied,
            Self::KeyMissing { .. } | Self::KeyDamaged { .. } | Self::WrongKey { .. } => {
                ErrorKind::Unauthenticated
            }
            Self::Io { .. } | Self::Damaged { .. } => ErrorKind::Unavailable,
            Self::Name { .. }
            | Self::TooLarge { .. }
            | Self::Newer { .. }
            | Self::Recipient { .. }
            | Self::NoRecipient => ErrorKind::Invalid,
        }
    }

    /// What the user can do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => Some("set it with `docker locket secret set`"),
            Self::NoVersion { .. } => {
                Some("`docker locket secret history` lists the versions that are kept")
            }
            Self::Name { .. } => Some(
                "a name is <project>/<name> or /<name>, of letters, digits, dot, dash and underscore",
            ),
            Self::Foreign { .. } => {
                Some("a secret that several projects use is a global one: local:/<name>")
            }
            Self::KeyMissing { .. } | Self::KeyDamaged { .. } | Self::WrongKey { .. } => {
                Some("put the key that the store was made with back; nothing was changed")
            }
            Self::Damaged { .. } => Some("restore the file from a backup; nothing was changed"),
            Self::Newer { .. } => Some("use that version of locket; nothing was changed"),
            Self::Recipient { .. } => Some("a recipient is what `age-keygen -y` prints: age1…"),
            Self::TooLarge { .. } | Self::Io { .. } | Self::NoRecipient => None,
        }
    }
}

impl From<Error> for locket_provider::Error {
    fn from(e: Error) -> Self {
        let it = Self::new(e.kind(), e.to_string());
        match e.help() {
            Some(help) => it.help(help),
            None => it,
        }
    }
}
