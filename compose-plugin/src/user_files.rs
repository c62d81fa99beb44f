//! The one module that writes the user's own files.
//!
//! # Guarantees
//! - A file is replaced as a whole: written beside, synced, renamed. Its mode stays, and its owner where that is allowed;
//!   a symbolic link stays one.
//! - Nothing is written over a file that has changed since it was read, that nobody may write, or that has another name: a file
//!   that takes its place would leave the old text under that one.
#![expect(
    clippy::disallowed_methods,
    reason = "the module of the plugin that writes the user's own files"
)]

mod diff;
mod original;

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{CommandError, Result};

pub use original::{Original, remove};

/// A file as it is and as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its text; `None`: it is not there.
    pub before: Option<String>,
    /// Its text afterwards.
    pub after: String,
}

impl Change {
    /// A change of what is there now.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn of(path: &Path, after: String) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            before: read(path)?,
            after,
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.before.as_deref() == Some(self.after.as_str())
    }

    /// The lines that go and come, under this name, as `diff -U0` shows them. Lines that stay are not shown: they may
    /// hold what is nobody's business.
    pub fn diff(&self, name: &str, color: bool) -> String {
        diff::unified(name, self.before.as_deref(), &self.after, color)
    }

    /// Takes it back, as far as that can be done.
    fn undo(&self) -> io::Result<()> {
        match &self.before {
            Some(text) => replace(&self.path, text),
            None => fs::remove_file(&self.path),
        }
    }
}

/// Makes all of these changes, or none: everything is on the disk before the first file is another.
///
/// # Errors
/// The user's problem: a file has changed meanwhile, or may not be written.
pub fn write_all<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Result<()> {
    let changes: Vec<&Change> = changes.into_iter().filter(|c| !c.is_empty()).collect();
    let mut aside = Vec::new();
    for change in &changes {
        let new = Aside::new(&change.path, change.after.as_bytes(), None);
        aside.push(new.map_err(|e| failed(change, e))?);
    }
    for change in &changes {
        if read(&change.path)? != change.before {
            return Err(CommandError::user(format!(
                "{} has changed meanwhile; nothing was written",
                change.path.display()
            )));
        }
    }
    take_places(&changes, aside)
}

/// Each new text takes the place of its file; after a failure those that have done so already go back.
fn take_places(changes: &[&Change], aside: Vec<Aside>) -> Result<()> {
    for (done, (change, aside)) in changes.iter().zip(aside).enumerate() {
        if let Err(e) = aside.take_place() {
            let error = failed(change, e);
            let kept = changes[..done].iter().filter(|c| c.undo().is_err());
            return Err(kept.fold(error, |error, c| {
                error.hint(format!("{} was changed and stays so", c.path.display()))
            }));
        }
    }
    Ok(())
}

fn failed(change: &Change, e: io::Error) -> CommandError {
    CommandError::user(format!("{} cannot be written", change.path.display())).because(e)
}

/// The text of a file; `None` if it is not there.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(CommandError::user(format!("{} cannot be read", path.display())).because(e)),
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    Aside::new(path, text.as_bytes(), None)?.take_place()
}

/// The new text of a file, on the disk beside it. It goes when this is dropped, unless it has taken the file's place.
struct Aside {
    path: PathBuf,
    aside: PathBuf,
}

impl Aside {
    /// `mode`, `uid` and `gid`: those of the file that is there, unless they are said.
    fn new(path: &Path, bytes: &[u8], said: Option<(u32, u32, u32)>) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let there = fs::metadata(&path).ok();
        if said.is_none() {
            there.as_ref().map_or(Ok(()), may_be_replaced)?;
        }
        let old = there.map(|m| (m.mode() & 0o7777, m.uid(), m.gid()));
        let old = said.or(old);
        let aside = path.with_file_name(format!("{}{}", aside_prefix(&path), std::process::id()));
        if let Some(dir) = aside.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        // From here on it is ours to remove.
        let it = Self { path, aside };
        file.write_all(bytes)?;
        if let Some((_, uid, gid)) = old {
            // Only root can give a file away; for everybody else the new file is theirs, as with any editor.
            let _ = std::os::unix::fs::fchown(&file, Some(uid), Some(gid));
        }
        let mode = old.map_or(0o644, |(mode, ..)| mode);
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        Ok(it)
    }

    fn take_place(self) -> io::Result<()> {
        fs::rename(&self.aside, &self.path)?;
        // Until its directory is on the disk too, a file that has lost a value may come back without it.
        match self.path.parent() {
            Some(dir) => fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Whether another file may take this one's place. Root may do everything, and asks all the same.
fn may_be_replaced(it: &fs::Metadata) -> io::Result<()> {
    let denied = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if it.mode() & 0o222 == 0 {
        return denied("it is read-only");
    }
    if it.nlink() > 1 {
        return denied("it has another name (a hard link), which would keep the old text");
    }
    Ok(())
}

/// How a file is called that is being written beside another; the number of the process follows.
fn aside_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.locket-")
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename it is not there any more.
        let _ = fs::remove_file(&self.aside);
    }
}

/// A directory that only we can look into, with one file in it; both go when this is dropped.
#[derive(Debug)]
pub struct Private {
    dir: PathBuf,
    file: PathBuf,
}

impl Private {
    /// Makes it under a directory for temporary things.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(under: &Path, name: &str, text: &str) -> Result<Self> {
        let failed = |e: io::Error| {
            CommandError::user(format!("no file can be made in {}", under.display())).because(e)
        };
        for attempt in 0..1000 {
            let dir = under.join(format!("locket-{}-{attempt}", std::process::id()));
            match std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
                .create(&dir)
            {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(failed(e)),
            }
            let it = Self {
                file: dir.join(name),
                dir,
            };
            replace(&it.file, text).map_err(failed)?;
            return Ok(it);
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_dir(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_link_of_a_file_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (
            dir.path().join("real.yaml"),
            dir.path().join("compose.yaml"),
        );
        fs::write(&file, "a\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        write_all([&Change::of(&link, "b\n".to_owned()).unwrap()]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "b\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_file_that_has_changed_meanwhile_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        let change = Change::of(&file, "ours\n".to_owned()).unwrap();
        fs::write(&file, "theirs\n").unwrap();
        assert!(
            write_all([&change])
                .unwrap_err()
                .message
                .contains("has changed meanwhile")
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs\n");
    }

    #[test]
    fn several_files_change_together_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "a").unwrap();
        let of = |name: &str| Change::of(&path(name), "new".to_owned()).unwrap();
        let (a, b) = (of("a"), of("b"));
        // Found out before anything is changed.
        let missing = Change {
            before: Some(String::new()),
            ..of("c")
        };
        assert!(write_all([&a, &b, &missing]).is_err());
        let names = || fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(
            (names(), fs::read_to_string(path("a")).unwrap()),
            (1, "a".into())
        );
        write_all([&a, &b]).unwrap();
        assert_eq!(fs::read_to_string(path("b")).unwrap(), "new");
        fs::remove_file(path("b")).unwrap();
        // Found out in the middle: the text of the second is gone before it takes its place.
        let a = Change::of(&path("a"), "newer".to_owned()).unwrap();
        let aside = |it: &Change| Aside::new(&it.path, it.after.as_bytes(), None).unwrap();
        let both = vec![aside(&a), aside(&b)];
        fs::remove_file(&both[1].aside).unwrap();
        let e = take_places(&[&a, &b], both).unwrap_err();
        assert!(e.message.contains("/b cannot be written"), "{e:?}");
        assert_eq!(
            (names(), fs::read_to_string(path("a")).unwrap()),
            (1, "new".into())
        );
    }

    #[test]
    fn a_file_that_is_read_only_or_has_another_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("f"), "a").unwrap();
        fs::hard_link(path("f"), path("g")).unwrap();
        let change = Change::of(&path("f"), "b".to_owned()).unwrap();
        let e = write_all([&change]).unwrap_err();
        assert!(e.one_line().contains("another name"), "{}", e.one_line());
        fs::remove_file(path("g")).unwrap();
        fs::set_permissions(path("f"), Permissions::from_mode(0o444)).unwrap();
        let e = write_all([&change]).unwrap_err();
        assert!(e.one_line().contains("read-only"), "{}", e.one_line());
        assert_eq!(fs::read_to_string(path("f")).unwrap(), "a");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_private_file_is_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let it = Private::new(dir.path(), "x.yaml", "text").unwrap();
        assert_eq!(fs::metadata(&it.dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(it.file()).unwrap(), "text");
        drop(it);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
