//! The program that Docker starts as PID 1 of a container with secrets: `/sbin/docker-init -- CMD ARGS…`.
//!
//! It waits until a generation is current on the service's volume, gives its variables to the command, and becomes the command.
//! From then on nothing of ours runs in the container, unless `init=reap` asked for an init that stays.
//! The same program is what health checks and `docker exec` go through (`with-env`), and what tells with which generation
//! PID 1 started (`probe`).
//!
//! [`main`] is the way in. It runs as whatever user the image names, on a read-only root, maybe without any other program:
//! it writes nothing, links nothing at run time and starts no thread. No message holds a value.
//!
//! ```text
//! docker-init -- CMD ARGS…            wait, set the variables, become CMD
//! docker-init with-env -- CMD ARGS…   the variables that PID 1 has, no waiting
//! docker-init probe                   print the generation of PID 1
//! docker-init signal HUP              send PID 1 a signal
//!
//! LOCKET_SHIM="path=/etc/app;init=reap;wait=120s"
//! ```
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod args;
mod config;
mod environ;
mod exec;
mod failure;
#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
mod gate;
mod process;
mod reap;
mod run;
mod signals;
mod volume;

use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of `probe` when the generation of PID 1 cannot be told.
pub const EXIT_UNKNOWN: u8 = 3;
/// Exit code for arguments or a `LOCKET_SHIM` that make no sense (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;
/// Exit code when there is no generation, for `run` after the whole wait (`EX_TEMPFAIL`: a restart policy may try again).
pub const EXIT_NO_GENERATION: u8 = 75;
/// Exit code for a command that is there but cannot be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// Exit code for a command that is not there.
pub const EXIT_NOT_FOUND: u8 = 127;

/// Runs as `docker-init`. `argv` is the whole argument vector, with the program's own name in front.
///
/// Where a command is executed it does not return. It returns the exit code of a failure (what went wrong is on stderr, in one
/// line), of `probe`, of the reaping init (the command's own, or 128 + n when signal n ended it), and 128 + n when signal n came
/// while it waited.
///
/// # Assumptions
/// The process has no other thread and has changed no signal besides what Rust's runtime does before `main`.
pub fn main(argv: Vec<OsString>) -> ExitCode {
    match run::run(argv) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure::say(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}
