//! An open file: its bytes, its owner, what it is.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Gid, Mode, Stat, Uid};
use rustix::io::Errno;

use super::fault;

/// Owner and permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What lies at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: FileType,
    pub(crate) owner: Owner,
    pub(crate) links: u64,
    /// Device and inode.
    pub(crate) inode: (u64, u64),
    /// Last change of the inode, `CLOCK_REALTIME`, nanoseconds; as coarse as the kernel's tick.
    pub(crate) changed: u64,
}

impl Owner {
    pub(crate) fn of_process(mode: u32) -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Self {
            mode,
            uid: uid.as_raw(),
            gid: gid.as_raw(),
        }
    }
}

impl Meta {
    #[allow(
        clippy::useless_conversion,
        reason = "the kernel's types differ between architectures"
    )]
    pub(super) fn new(stat: &Stat) -> Self {
        let seconds = u64::try_from(stat.st_ctime).unwrap_or(0);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            owner: Owner {
                mode: stat.st_mode & 0o7777,
                uid: stat.st_uid,
                gid: stat.st_gid,
            },
            links: stat.st_nlink.into(),
            inode: (stat.st_dev.into(), stat.st_ino.into()),
            changed: seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(stat.st_ctime_nsec.into()),
        }
    }
}

pub(super) fn write_all(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let half = if fault::is_on() {
        bytes.len() / 2
    } else {
        bytes.len()
    };
    let (first, second) = bytes.split_at(half);
    write(file, first)?;
    fault::step()?;
    write(file, second)
}

fn write(file: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Overwrites bytes of a file that was just written.
pub(crate) fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    fault::step()?;
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(n) => {
                bytes = bytes.get(n..).unwrap_or_default();
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Owner first: a change of it takes bits away from the mode.
pub(super) fn give(file: &OwnedFd, owner: Owner) -> io::Result<()> {
    fault::step()?;
    let before = Meta::new(&rustix::fs::fstat(file)?).owner;
    if (before.uid, before.gid) != (owner.uid, owner.gid) {
        rustix::fs::fchown(
            file,
            Some(Uid::from_raw(owner.uid)),
            Some(Gid::from_raw(owner.gid)),
        )?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(owner.mode))?;
    let after = Meta::new(&rustix::fs::fstat(file)?).owner;
    if after != owner {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "owner or mode did not come about",
        ));
    }
    Ok(())
}
