//! Reading a generation's variables from the service's volume.
//!
//! The mount is read-only for the container, but a volume may be shared by mistake: the link's text must be one of ours and no
//! other link is followed.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use locket_delivery::layout::{
    CURRENT, ENV, ENV_LIMIT, HOME, generation_dir, is_variable, parse_current,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// Bytes of all variables: the most that the kernel takes for arguments and environment together (3/4 of `_STK_LIM`),
/// <https://man7.org/linux/man-pages/man2/execve.2.html>.
const WHOLE_LIMIT: u64 = 6 << 20;

/// A generation, as far as the shim needs it.
pub(crate) struct Generation {
    pub(crate) seq: u64,
    pub(crate) variables: Variables,
}

/// Why there is no generation to be had, as a clause for a person.
#[derive(Debug, PartialEq)]
pub(crate) enum Absent {
    /// The volume is not where it should be, or cannot be looked into.
    Volume(Errno),
    /// Nothing has been published.
    Nothing,
    /// What is current is not what we would have written.
    Foreign,
    /// The generation is not there, or not for this user.
    Generation(u64, Errno),
    /// The generation's variables are not as they were written.
    Damaged(u64),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(errno) => write!(f, "the volume cannot be read: {errno}"),
            Self::Nothing => write!(f, "nothing was delivered yet"),
            Self::Foreign => write!(f, "{CURRENT} is not a link that locket made"),
            Self::Generation(seq, errno) => {
                write!(f, "{}/{ENV} cannot be read: {errno}", generation_dir(*seq))
            }
            Self::Damaged(seq) => write!(f, "{}/{ENV} is damaged", generation_dir(*seq)),
        }
    }
}

/// The generation that is current on the volume at `root`.
pub(crate) fn current(root: &Path) -> Result<Generation, Absent> {
    let root = open_root(root)?;
    let link = match readlinkat(&root, CURRENT, Vec::with_capacity(64)) {
        Ok(link) => link,
        Err(Errno::NOENT) => return Err(Absent::Nothing),
        Err(Errno::INVAL) => return Err(Absent::Foreign),
        Err(errno) => return Err(Absent::Volume(errno)),
    };
    let seq = parse_current(link.as_bytes()).ok_or(Absent::Foreign)?;
    read(&root, seq)
}

/// The generation `seq` on the volume at `root`, current or not.
pub(crate) fn numbered(root: &Path, seq: u64) -> Result<Generation, Absent> {
    read(&open_root(root)?, seq)
}

fn open_root(root: &Path) -> Result<OwnedFd, Absent> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, root, flags, Mode::empty()).map_err(Absent::Volume)
}

fn read(root: &OwnedFd, seq: u64) -> Result<Generation, Absent> {
    let bytes = env_file(root, seq)?;
    let variables = Variables::parse(bytes).ok_or(Absent::Damaged(seq))?;
    Ok(Generation { seq, variables })
}

/// The bytes of the generation's variables. A file of a published generation never changes, so a length that does not hold is damage.
fn env_file(root: &OwnedFd, seq: u64) -> Result<Zeroizing<Vec<u8>>, Absent> {
    let absent = |errno| Absent::Generation(seq, errno);
    let dir = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let home = openat(root, HOME, dir, Mode::empty()).map_err(absent)?;
    let home = openat(&home, seq.to_string(), dir, Mode::empty()).map_err(absent)?;
    // Not blocking: what is there may be a pipe that somebody planted.
    let file = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&home, ENV, file, Mode::empty()).map_err(absent)?;
    let stat = fstat(&file).map_err(absent)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size > WHOLE_LIMIT {
        return Err(Absent::Damaged(seq));
    }
    // One buffer of the right size: one that grows would leave copies of values behind.
    let mut bytes = Zeroizing::new(vec![0; size as usize]);
    let whole = File::from(file).read_exact(&mut bytes);
    whole.map_err(|_| Absent::Damaged(seq))?;
    Ok(bytes)
}

/// Variables in the form in which a process is given them. They are wiped when they are dropped.
pub(crate) struct Variables(Zeroizing<Vec<u8>>);

impl Variables {
    /// Takes `KEY=value NUL KEY=value NUL …`; `None` when it is anything else.
    pub(crate) fn parse(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let variables = Self(bytes);
        let is_whole = variables.0.last().is_none_or(|b| *b == 0);
        (is_whole && variables.entries().all(is_entry)).then_some(variables)
    }

    /// `KEY=value` each.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &CStr> {
        let entries = self.0.split_inclusive(|b| *b == 0);
        entries.filter_map(|entry| CStr::from_bytes_with_nul(entry).ok())
    }
}

fn is_entry(entry: &CStr) -> bool {
    let bytes = entry.to_bytes();
    let at = bytes.iter().position(|b| *b == b'=').unwrap_or(0);
    let name = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
    is_variable(name) && entry.count_bytes() < ENV_LIMIT
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "tests write volumes by hand, as delivery would"
)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn volume(seq: u64, env: &[u8]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(generation_dir(seq));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(ENV), env).unwrap();
        symlink(generation_dir(seq), root.path().join(CURRENT)).unwrap();
        root
    }

    fn absent(root: &Path) -> Absent {
        current(root).map(|g| g.seq).unwrap_err()
    }

    #[test]
    fn what_is_current_is_read() {
        let root = volume(17, b"A=1\0B=x=\n \xff\0C=\0");
        let it = current(root.path()).unwrap();
        assert_eq!(it.seq, 17);
        let entries: Vec<&CStr> = it.variables.entries().collect();
        assert_eq!(entries, [c"A=1", c"B=x=\n \xff", c"C="]);
        assert_eq!(numbered(root.path(), 17).unwrap().seq, 17);
        let none = volume(1, b"");
        assert_eq!(current(none.path()).unwrap().variables.entries().count(), 0);
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(absent(root.path()), Absent::Nothing);
        assert_eq!(
            absent(&root.path().join("no")),
            Absent::Volume(Errno::NOENT)
        );
        symlink(".locket/3", root.path().join(CURRENT)).unwrap();
        assert_eq!(absent(root.path()), Absent::Generation(3, Errno::NOENT));
        let other = volume(4, b"");
        assert_eq!(
            numbered(other.path(), 3).map(|g| g.seq).unwrap_err(),
            Absent::Generation(3, Errno::NOENT)
        );
    }

    #[test]
    fn only_links_that_we_make_are_followed() {
        for text in [
            ".locket/07",
            "../.locket/7",
            "/.locket/7",
            ".locket/7/../7",
            "elsewhere",
        ] {
            let root = volume(7, b"");
            fs::remove_file(root.path().join(CURRENT)).unwrap();
            symlink(text, root.path().join(CURRENT)).unwrap();
            assert_eq!(absent(root.path()), Absent::Foreign, "{text}");
        }
        let root = volume(7, b"");
        fs::remove_file(root.path().join(CURRENT)).unwrap();
        fs::create_dir(root.path().join(CURRENT)).unwrap();
        assert_eq!(absent(root.path()), Absent::Foreign);

        // A link in place of the home, the generation or its variables.
        let aside = volume(7, b"A=1\0");
        let at = |root: &tempfile::TempDir, path: &str| root.path().join(path);
        for (name, errno) in [
            (".locket", Errno::NOTDIR),
            (".locket/7", Errno::NOTDIR),
            (".locket/7/env", Errno::LOOP),
        ] {
            let root = volume(7, b"A=1\0");
            fs::rename(at(&root, name), at(&root, "moved")).unwrap();
            symlink(at(&aside, name), at(&root, name)).unwrap();
            assert_eq!(absent(root.path()), Absent::Generation(7, errno), "{name}");
        }
    }

    #[test]
    fn a_pipe_or_a_directory_in_place_of_the_variables_does_not_hold_it_up() {
        let root = volume(7, b"");
        let env = root.path().join(".locket/7/env");
        fs::remove_file(&env).unwrap();
        fs::create_dir(&env).unwrap();
        assert_eq!(absent(root.path()), Absent::Damaged(7));
        fs::remove_dir(&env).unwrap();
        let fifo = (FileType::Fifo, Mode::from_raw_mode(0o644));
        rustix::fs::mknodat(CWD, &env, fifo.0, fifo.1, 0).unwrap();
        assert_eq!(absent(root.path()), Absent::Damaged(7));
    }

    #[test]
    fn variables_are_whole_or_refused() {
        let ok = |bytes: &[u8]| Variables::parse(Zeroizing::new(bytes.to_vec())).is_some();
        let sized = |n: usize| [b"A=", &vec![b'x'; n - 3][..], b"\0"].concat();
        assert!(ok(b"") && ok(b"A=\0") && ok(b"A=1\0A=2\0"));
        assert!(ok(&sized(ENV_LIMIT)) && !ok(&sized(ENV_LIMIT + 1)));
        for bad in [
            &b"A=1"[..],
            b"A\0",
            b"=1\0",
            b"\0",
            b"A=1\0\0",
            b"\xff=1\0",
            b"LOCKET_SHIM=x\0",
            b"LOCKET_GENERATION=1\0",
        ] {
            assert!(!ok(bad), "{bad:?}");
        }
        let root = volume(9, b"SECRET=canary");
        let said = format!("{} {:?}", absent(root.path()), absent(root.path()));
        assert_eq!(said, ".locket/9/env is damaged Damaged(9)");
    }
}
