//! The init that stays: passes signals on, reaps what nobody else waits for, ends as its command ends.
//!
//! It does what the init does that `init: true` would have started. It never holds the variables longer than it takes to start
//! the command.

use std::ffi::{CStr, CString};

use rustix::process::{Pid, WaitOptions, getpgrp, getpid, set_child_subreaper, setpgid, wait};
use rustix::termios::tcsetpgrp;
use rustix::thread::set_name;

use crate::EXIT_NOT_EXECUTABLE;
use crate::args::REAP;
use crate::exec::execve;
use crate::failure::{Failure, say};
use crate::signals::{Inherited, Set, Signal, last_errno};

/// Names this program, whatever became of the file that it was started from.
const ITSELF: &CStr = c"/proc/self/exe";
/// What `ps` shows, instead of the last part of [`ITSELF`].
const NAME: &CStr = c"docker-init";

/// Starts this program anew with `env`, so that anybody who may look at PID 1 can tell its generation. Comes back only when it
/// cannot.
pub(crate) fn again(own_name: &CStr, command: &[CString], env: &[&CStr], signals: &Inherited) {
    let mut args = vec![own_name, REAP, c"--"];
    args.extend(command.iter().map(CString::as_c_str));
    signals.restore();
    let errno = execve(ITSELF, &args, env);
    signals.after_failed_exec();
    // The command is what matters; only `probe` will not know.
    say(&format!("the generation cannot be told later: {errno}"));
}

/// Has `start` become the command in a child, and returns the command's exit code when that has ended: 128 + n for signal n.
///
/// `start` comes back only with the reason why it could not. Here it is dropped, and wiped, as soon as the child is there.
pub(crate) fn supervise(
    start: impl FnOnce(&Inherited) -> Failure,
    mut signals: Inherited,
) -> Result<u8, Failure> {
    // A name and a role that cannot be had change nothing about the command.
    let _ = set_name(NAME);
    if getpid() != Pid::INIT {
        // PID 1 is somebody else's, so orphans would go there.
        let _ = set_child_subreaper(Some(getpid()));
    }
    let forwarded = Set::forwarded();
    forwarded.block();
    // Taking the terminal from the background stops a process unless it ignores that. A SIGCHLD that is ignored would take the
    // exit codes with it.
    signals.ignore(libc::SIGTTIN);
    signals.ignore(libc::SIGTTOU);
    signals.default(libc::SIGCHLD);

    // SAFETY: there is no other thread whose locks the child could find taken.
    let child = match unsafe { libc::fork() } {
        0 => in_child(start, &signals),
        pid => Pid::from_raw(pid).filter(|_| pid > 0),
    };
    let Some(child) = child else {
        let errno = last_errno();
        return Err(Failure::new(
            EXIT_NOT_EXECUTABLE,
            format!("the command cannot be started: {errno}"),
        ));
    };
    drop(start);
    loop {
        match forwarded.wait() {
            libc::SIGCHLD => {
                if let Some(code) = reap(child) {
                    return Ok(code);
                }
            }
            signal => forward(signal, child),
        }
    }
}

/// The child's way to the command: a process group of its own, in the foreground if there is a terminal.
fn in_child(start: impl FnOnce(&Inherited) -> Failure, signals: &Inherited) -> ! {
    let _ = setpgid(None, None);
    // Mostly there is no terminal.
    let _ = tcsetpgrp(std::io::stdin(), getpgrp());
    let failure = start(signals);
    say(&failure.message);
    // SAFETY: always safe. Not by way of the runtime: what is to be done at an exit is the parent's.
    unsafe { libc::_exit(failure.code.into()) }
}

fn forward(signal: Signal, child: Pid) {
    // SAFETY: the child has not been waited for, so the number is still its own.
    unsafe { libc::kill(child.as_raw_pid(), signal) };
}

/// Takes in everything that has ended; the exit code when the child is among it.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            let signalled = status.terminating_signal().map(|n| 128 + n);
            code = status.exit_status().or(signalled);
        }
    }
    code.map(|code| code as u8)
}
