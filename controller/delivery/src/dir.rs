//! Files beneath a directory handle. No path leads out of it and no link is ever followed, whatever the directory holds.
//!
//! Each call that changes something is one step of a crash test (see `fault`).

#[cfg(test)]
pub(crate) mod fault;
#[cfg(not(test))]
mod fault;
mod file;

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RawDir, RenameFlags,
    ResolveFlags,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub(crate) use file::{Meta, Owner, write_at};
use file::{give, write_all};

/// An open directory.
pub(crate) struct Dir(OwnedFd);

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// A pipe that was planted must not make us wait.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
/// No tree of ours has more in it. What is left is removed by the next call.
const AT_ONCE: u64 = 1 << 18;
/// No file of ours is larger; what is was not written by us.
const READ_LIMIT: u64 = 64 << 20;

impl Dir {
    /// Opens a directory by a path that is trusted.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, DIRECTORY, Mode::empty())?))
    }

    fn resolve(
        &self,
        path: impl rustix::path::Arg + Copy,
        flags: OFlags,
        mode: u32,
    ) -> io::Result<OwnedFd> {
        loop {
            // EAGAIN: something was renamed meanwhile and the kernel could not rule out that the path leads outside.
            match rustix::fs::openat2(&self.0, path, flags, Mode::from_raw_mode(mode), BENEATH) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Runs a call that takes one name only in the directory that holds it.
    fn at<T>(
        &self,
        path: &str,
        call: impl FnOnce(BorrowedFd<'_>, &str) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        match split(path) {
            (Some(parent), leaf) => Ok(call(self.dir(parent)?.0.as_fd(), leaf)?),
            (None, leaf) => Ok(call(self.0.as_fd(), leaf)?),
        }
    }

    /// Opens a directory below.
    pub(crate) fn dir(&self, path: &str) -> io::Result<Self> {
        self.resolve(path, DIRECTORY, 0).map(Self)
    }

    /// Makes a directory.
    pub(crate) fn make_dir(&self, path: &str, mode: u32) -> io::Result<Self> {
        fault::step()?;
        self.at(path, |dir, leaf| rustix::fs::mkdirat(dir, leaf, Mode::RWXU))?;
        let made = self.dir(path)?;
        // Not the mode of mkdir, which the umask cuts down.
        rustix::fs::fchmod(&made.0, Mode::from_raw_mode(mode))?;
        Ok(made)
    }

    /// Opens a directory that is made if it is missing, and sees to its mode: whoever made it may have died before.
    pub(crate) fn ensure_dir(&self, path: &str, mode: u32) -> io::Result<Self> {
        let dir = match self.dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return self.make_dir(path, mode),
            other => other?,
        };
        if Meta::new(&rustix::fs::fstat(&dir.0)?).owner.mode != mode {
            fault::step()?;
            rustix::fs::fchmod(&dir.0, Mode::from_raw_mode(mode))?;
        }
        Ok(dir)
    }

    /// The same, and its name is on disk afterwards.
    pub(crate) fn ensure_durable_dir(&self, path: &str, mode: u32) -> io::Result<()> {
        if self.meta(path)?.is_none() {
            self.make_dir(path, mode)?;
            rustix::fs::fsync(&self.0)?;
        }
        self.ensure_dir(path, mode).map(drop)
    }

    /// What lies at a path; `None` for nothing.
    pub(crate) fn meta(&self, path: &str) -> io::Result<Option<Meta>> {
        match self.at(path, |dir, leaf| {
            rustix::fs::statat(dir, leaf, AtFlags::SYMLINK_NOFOLLOW)
        }) {
            Ok(stat) => Ok(Some(Meta::new(&stat))),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The text of a symbolic link; `None` for anything else.
    pub(crate) fn link_text(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match self.at(path, |dir, leaf| {
            rustix::fs::readlinkat(dir, leaf, Vec::new())
        }) {
            Ok(text) => Ok(Some(text.into_bytes())),
            Err(e) if is_absent(&e) || e.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens a file to read it. That sockets and devices do not open is no reason to fail: they are nothing of ours.
    fn open_to_read(&self, path: &str) -> io::Result<OwnedFd> {
        self.resolve(path, OFlags::RDONLY | FILE, 0).or_else(|e| {
            let is_file = |m: Meta| m.kind == FileType::RegularFile;
            match self.meta(path)?.is_some_and(is_file) {
                true => Err(e),
                false => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }

    /// Content and owner of a regular file; `NotFound` for anything else.
    pub(crate) fn read(&self, path: &str) -> io::Result<(Zeroizing<Vec<u8>>, Owner)> {
        let file = self.open_to_read(path)?;
        let stat = rustix::fs::fstat(&file)?;
        let meta = Meta::new(&stat);
        if meta.kind != FileType::RegularFile {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > READ_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // One buffer in its final size: a secret that grows leaves copies behind. A file that changes meanwhile is cut off.
        let mut bytes = Zeroizing::new(vec![0; size as usize]);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::read(&file, rest) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        bytes.truncate(filled);
        Ok((bytes, meta.owner))
    }

    /// Writes a file that is not there yet, with its final owner and mode, and looks whether they have come about.
    pub(crate) fn create(&self, path: &str, bytes: &[u8], owner: Owner) -> io::Result<OwnedFd> {
        fault::step()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | FILE;
        let file = self.resolve(path, flags, 0o600)?;
        write_all(&file, bytes)?;
        give(&file, owner)?;
        Ok(file)
    }

    /// Makes sure that a file can be overwritten with that many bytes. Changes nothing that can be seen.
    pub(crate) fn reserve(&self, path: &str, length: usize) -> io::Result<()> {
        fault::step()?;
        let file = self.resolve(path, OFlags::WRONLY | FILE, 0)?;
        if length == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length as u64) {
            // Not a tmpfs then, and no promise about its space.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Overwrites a regular file: the same inode.
    pub(crate) fn overwrite(&self, path: &str, bytes: &[u8], owner: Owner) -> io::Result<()> {
        fault::step()?;
        let file = self.resolve(path, OFlags::WRONLY | FILE, 0)?;
        // The stricter of old and new is not known; nobody but root and the new owner while the bytes change.
        if Meta::new(&rustix::fs::fstat(&file)?).owner != owner {
            give(
                &file,
                Owner {
                    mode: owner.mode & 0o700,
                    ..owner
                },
            )?;
        }
        write_all(&file, bytes)?;
        rustix::fs::ftruncate(&file, bytes.len() as u64)?;
        give(&file, owner)
    }

    /// Replaces a file by rename; with `durable` it is on disk afterwards.
    pub(crate) fn replace(
        &self,
        path: &str,
        bytes: &[u8],
        mode: u32,
        durable: bool,
    ) -> io::Result<()> {
        let (parent, leaf) = split(path);
        let parent = parent.map(|it| self.dir(it)).transpose()?;
        let dir = parent.as_ref().unwrap_or(self);
        let aside = format!(".{leaf}.new");
        dir.remove(&aside)?;
        let owner = Owner::of_process(mode);
        let file = dir.create(&aside, bytes, owner)?;
        if durable {
            rustix::fs::fsync(&file)?;
        }
        dir.rename(&aside, leaf)?;
        if durable {
            rustix::fs::fsync(&dir.0)?;
        }
        Ok(())
    }

    fn open_lock(&self, path: &str) -> io::Result<OwnedFd> {
        self.resolve(path, OFlags::RDWR | OFlags::CREATE | FILE, 0o600)
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink(&self, text: &str, path: &str) -> io::Result<()> {
        fault::step()?;
        self.at(path, |dir, leaf| rustix::fs::symlinkat(text, dir, leaf))
    }

    /// Makes a second name for a file.
    pub(crate) fn link(&self, from: &str, to: &str) -> io::Result<()> {
        fault::step()?;
        self.both(from, to, |a, from, b, to| {
            rustix::fs::linkat(a, from, b, to, AtFlags::empty())
        })
    }

    /// Renames over whatever is at `to` (not a directory).
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fault::step()?;
        self.both(from, to, |a, from, b, to| {
            rustix::fs::renameat(a, from, b, to)
        })
    }

    fn both(
        &self,
        from: &str,
        to: &str,
        call: impl FnOnce(BorrowedFd<'_>, &str, BorrowedFd<'_>, &str) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        let (parent, leaf) = split(to);
        if split(from).0 == parent {
            return self.at(from, |dir, from| call(dir, from, dir, leaf));
        }
        let mut result = Ok(());
        self.at(from, |a, from| {
            result = self.at(to, |b, to| call(a, from, b, to));
            Ok(())
        })?;
        result
    }

    /// Removes what is at a path, with all that is below it. Nothing there is fine.
    pub(crate) fn remove(&self, path: &str) -> io::Result<()> {
        fault::step()?;
        let (parent, leaf) = split(path);
        let leaf = CString::new(leaf)?;
        match parent.map(|it| self.dir(it)).transpose() {
            Ok(parent) => parent.as_ref().unwrap_or(self).remove_entry(&leaf),
            Err(e) if is_absent(&e) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Removes what has this name. A tree is emptied from its top, with what lies deeper brought up into it: no depth that
    /// somebody builds takes more than two handles, or any stack. Nor does anybody keep us here by making more all the time.
    fn remove_entry(&self, leaf: &CStr) -> io::Result<()> {
        if self.unlink(leaf)? {
            return Ok(());
        }
        let tree = Self(self.resolve(leaf, DIRECTORY, 0)?);
        let mut seen = 0;
        loop {
            let names = tree.entries()?;
            if names.is_empty() {
                return Ok(rustix::fs::unlinkat(&self.0, leaf, AtFlags::REMOVEDIR)?);
            }
            for name in names {
                if !tree.unlink(&name)? {
                    tree.flatten(&name, &mut seen)?;
                }
                seen += 1;
            }
            if seen > AT_ONCE {
                return Err(io::Error::other("more lies there than is removed at once"));
            }
        }
    }

    /// Removes a directory below, and brings its own directories up beside it.
    fn flatten(&self, name: &CStr, seen: &mut u64) -> io::Result<()> {
        let below = Self(self.resolve(name, DIRECTORY, 0)?);
        for inner in below.entries()? {
            *seen += 1;
            if below.unlink(&inner)? {
                continue;
            }
            // A name that is there already is passed by, and counts.
            loop {
                let up = CString::new(format!("{seen}.up"))?;
                let kept = RenameFlags::NOREPLACE;
                match rustix::fs::renameat_with(&below.0, &inner, &self.0, &up, kept) {
                    Err(Errno::EXIST) => *seen += 1,
                    other => break other?,
                }
            }
        }
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes what is no directory, or is not there; false for a directory.
    fn unlink(&self, name: &CStr) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR | Errno::PERM) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a directory if nothing is in it.
    pub(crate) fn remove_if_empty(&self, path: &str) -> io::Result<()> {
        fault::step()?;
        match self.at(path, |dir, leaf| {
            rustix::fs::unlinkat(dir, leaf, AtFlags::REMOVEDIR)
        }) {
            Err(e) if is_absent(&e) || e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => other,
        }
    }

    fn entries(&self) -> io::Result<Vec<CString>> {
        Self(rustix::fs::openat(&self.0, c".", DIRECTORY, Mode::empty())?).into_entries()
    }

    /// The same of a handle that nobody has read from yet, and nobody does again.
    fn into_entries(self) -> io::Result<Vec<CString>> {
        let mut buffer = Vec::with_capacity(8192);
        let mut dir = RawDir::new(self.0, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = dir.next() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        Ok(names)
    }

    /// The names in this directory that are UTF-8 text, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        self.entries().map(as_text)
    }

    /// The names in the directory at a path that are UTF-8 text, sorted.
    pub(crate) fn names_in(&self, path: &str) -> io::Result<Vec<String>> {
        self.dir(path)?.into_entries().map(as_text)
    }

    /// Removes everything in this directory.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        for name in self.entries()? {
            fault::step()?;
            self.remove_entry(&name)?;
        }
        Ok(())
    }

    /// SHA-256 of a regular file, read in small pieces; `NotFound` for anything else.
    pub(crate) fn digest(&self, path: &str) -> io::Result<[u8; 32]> {
        let file = self.open_to_read(path)?;
        if Meta::new(&rustix::fs::fstat(&file)?).kind != FileType::RegularFile {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut hash = Sha256::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match rustix::io::read(&file, &mut piece[..]) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(n) => hash.update(piece.get(..n).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Takes the lock on a file, which is made if it is missing. Waits for whoever has it.
    pub(crate) fn lock(&self, path: &str) -> io::Result<Lock> {
        let held = self.open_lock(path)?;
        loop {
            match rustix::fs::flock(&held, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        }
        Ok(Lock { held })
    }

    /// Takes the lock on a file if nobody has it.
    pub(crate) fn try_lock(&self, path: &str) -> io::Result<Option<Lock>> {
        let held = self.open_lock(path)?;
        match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { held })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// True while the path still leads to the file that was locked.
    pub(crate) fn is_locked_by(&self, path: &str, lock: &Lock) -> io::Result<bool> {
        let held = Meta::new(&rustix::fs::fstat(&lock.held)?);
        Ok(self.meta(path)?.is_some_and(|m| m.inode == held.inode))
    }

    /// Gives the directory itself its owner and mode, if it has others.
    pub(crate) fn restore(&self, owner: Owner) -> io::Result<()> {
        match Meta::new(&rustix::fs::fstat(&self.0)?).owner == owner {
            true => Ok(()),
            false => give(&self.0, owner),
        }
    }

    /// True when the directory lies in memory: tmpfs or ramfs.
    pub(crate) fn is_in_memory(&self) -> io::Result<bool> {
        // <https://man7.org/linux/man-pages/man2/statfs.2.html>
        const TMPFS: u64 = 0x0102_1994;
        const RAMFS: u64 = 0x8584_58f6;
        let kind = rustix::fs::fstatfs(&self.0)?.f_type as u64;
        Ok(matches!(kind, TMPFS | RAMFS))
    }
}

/// The directory that a path names, if it names one, and the last name.
fn split(path: &str) -> (Option<&str>, &str) {
    path.rsplit_once('/')
        .map_or((None, path), |(parent, leaf)| (Some(parent), leaf))
}

fn as_text(names: Vec<CString>) -> Vec<String> {
    let mut names: Vec<String> = names
        .into_iter()
        .filter_map(|n| n.into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// A lock on a file. It goes with the handle that it was taken on.
pub(crate) struct Lock {
    held: OwnedFd,
}

/// Nothing is there, or something on the way is no directory of ours, or what is there is larger than any file of ours.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
        || matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge
        )
}
