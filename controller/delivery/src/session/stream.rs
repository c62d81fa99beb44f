//! Frames on two handles, with an end to patience.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::Error;
use crate::protocol::frame_length;

/// A pipe that can be written to takes this much without waiting (`PIPE_BUF`).
const PIECE: usize = 4096;

/// Reads the payload of a frame; `None` when the input ends before one.
pub(crate) fn read_frame(
    input: BorrowedFd<'_>,
    patience: Duration,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let mut prefix = [0; 4];
    match read(input, &mut prefix, patience)? {
        0 => return Ok(None),
        4 => {}
        _ => return Err(Error::Stream(io::ErrorKind::UnexpectedEof.into())),
    }
    let length = frame_length(prefix).map_err(Error::Stream)?;
    let mut payload = Zeroizing::new(vec![0; length]);
    match read(input, &mut payload, patience)? {
        n if n == length => Ok(Some(payload)),
        _ => Err(Error::Stream(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Fills the buffer as far as the input goes. Patience begins anew with every byte.
fn read(input: BorrowedFd<'_>, buffer: &mut [u8], patience: Duration) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        wait(input, PollFlags::IN, patience)?;
        match rustix::io::read(input, rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(e) => return Err(Error::Stream(e.into())),
        }
    }
    Ok(filled)
}

/// Writes all bytes. Patience begins anew with every piece.
pub(super) fn write(
    output: BorrowedFd<'_>,
    mut bytes: &[u8],
    patience: Duration,
) -> Result<(), Error> {
    while !bytes.is_empty() {
        wait(output, PollFlags::OUT, patience)?;
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        match rustix::io::write(output, piece) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(e) => return Err(Error::Stream(e.into())),
        }
    }
    Ok(())
}

/// Waits until a read or a write would not; a handle that has failed does not wait either.
fn wait(fd: BorrowedFd<'_>, what: PollFlags, patience: Duration) -> Result<(), Error> {
    let failed = |e: io::Error| Error::Stream(e);
    let timeout = Timespec::try_from(patience).map_err(|e| failed(io::Error::other(e)))?;
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&timeout)) {
            Ok(0) => return Err(Error::Silent(patience)),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(failed(e.into())),
        }
    }
}
