//! The anchor's first process. It keeps the volumes mounted by being there, and does nothing else.

use std::io;
use std::process::ExitCode;

use crate::signals::{SIGCHLD, SIGINT, SIGTERM, Signals, reap};

/// Waits for SIGTERM or SIGINT. Sessions that were orphaned are reaped meanwhile.
///
/// Call it from a process with one thread: signals to others would not be seen.
pub fn idle() -> ExitCode {
    match wait_for_end() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn wait_for_end() -> io::Result<()> {
    // The first process of a container is sent no signal that it does not wait for or handle, so these would be lost.
    let signals = Signals::block(&[SIGCHLD, SIGTERM, SIGINT])?;
    loop {
        match signals.wait()? {
            SIGCHLD => reap(),
            _ => return Ok(()),
        }
    }
}
