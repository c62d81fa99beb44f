//! A file as it was before a command changed it, and the way back.
#![expect(
    clippy::disallowed_methods,
    reason = "part of the module that writes the user's own files"
)]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use locket_provider::SecretValue;

use super::{Aside, aside_prefix};
use crate::error::{CommandError, Result};

/// A file with its bytes, which may be a secret.
pub struct Original {
    /// What is in it.
    pub bytes: SecretValue,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Original {
    /// Reads one; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let read = || -> io::Result<Self> {
            let meta = fs::metadata(path)?;
            Ok(Self {
                bytes: SecretValue::new(fs::read(path)?),
                mode: meta.mode() & 0o7777,
                uid: meta.uid(),
                gid: meta.gid(),
            })
        };
        match read() {
            Ok(it) => Ok(Some(it)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(path, "read", e)),
        }
    }

    /// Makes the file this again, as a whole.
    ///
    /// # Errors
    /// It may not be written.
    pub fn put_back(&self, path: &Path) -> Result<()> {
        sweep(path);
        let now = Self::of(path)?;
        if now.is_some_and(|it| it.mode == self.mode && it.bytes.expose() == self.bytes.expose()) {
            return Ok(());
        }
        let owner = Some((self.mode, self.uid, self.gid));
        let aside = Aside::new(path, self.bytes.expose(), owner);
        let done = aside.and_then(Aside::take_place);
        done.map_err(|e| failed(path, "written", e))
    }
}

/// Removes a file, and the directory that was made for it if nothing else is in it. One that is not there is removed already.
///
/// # Errors
/// It may not be removed.
pub fn remove(path: &Path) -> Result<()> {
    sweep(path);
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(path, "removed", e)),
        _ => {}
    }
    let ours = path
        .parent()
        .filter(|dir| dir.file_name().is_some_and(|it| it == ".locket"));
    if let Some(dir) = ours {
        // Whatever else is in it keeps it.
        let _ = fs::remove_dir(dir);
    }
    Ok(())
}

/// Removes what a process that was killed has left beside a file: it may hold a value.
fn sweep(path: &Path) {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let prefix = aside_prefix(&path);
    let entries = path.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let name = entry.file_name();
        let number = name
            .to_string_lossy()
            .strip_prefix(&prefix)
            .map(str::to_owned);
        if number.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit())) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn failed(path: &Path, what: &str, e: io::Error) -> CommandError {
    CommandError::user(format!("{} cannot be {what}", path.display())).because(e)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_comes_back_with_its_bytes_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.bin");
        fs::write(&file, b"\0\xff").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let was = Original::of(&file).unwrap().unwrap();
        // What a killed process has left.
        fs::write(dir.path().join(".key.bin.locket-12"), b"\0\xff").unwrap();
        remove(&file).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Original::of(&file).unwrap().is_none());
        remove(&file).unwrap();
        was.put_back(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"\0\xff");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        was.put_back(&file).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
