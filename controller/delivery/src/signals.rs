//! Signals that are waited for instead of handled: no code runs in between other code.

use std::io;
use std::mem::MaybeUninit;

pub use libc::{SIGCHLD, SIGINT, SIGTERM};

/// Signals that are blocked in the thread that made this, and in the threads and programs that it starts, until it is dropped.
pub struct Signals {
    set: libc::sigset_t,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks signals, so that they stay pending until [`Signals::wait`].
    ///
    /// # Errors
    /// `InvalidInput` for a number that is no signal.
    pub fn block(signals: &[i32]) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set that it is given a valid pointer to.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: initialised in the line above.
        let mut set = unsafe { set.assume_init() };
        for signal in signals {
            // SAFETY: the set is valid; a number that is no signal is refused.
            if unsafe { libc::sigaddset(&raw mut set, *signal) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: both point to valid sets; the second is written when 0 is returned.
        let code =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        // SAFETY: the call that writes it has succeeded.
        let before = unsafe { before.assume_init() };
        Ok(Self { set, before })
    }

    /// Waits for one of them.
    ///
    /// # Errors
    /// Never in practice.
    pub fn wait(&self) -> io::Result<i32> {
        let mut signal = 0;
        // SAFETY: the set was made by `block`, the number is ours to write.
        match unsafe { libc::sigwait(&raw const self.set, &raw mut signal) } {
            0 => Ok(signal),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: the set is what `block` was given; the old mask is not asked for.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            )
        };
    }
}

/// Takes leave of every child that has ended; one SIGCHLD may stand for many.
pub fn reap() {
    use rustix::process::{WaitOptions, wait};
    while let Ok(Some(_)) | Err(rustix::io::Errno::INTR) = wait(WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    use super::*;

    fn send(thread: libc::pthread_t, signal: i32) {
        // SAFETY: the thread has not been joined yet.
        assert_eq!(unsafe { libc::pthread_kill(thread, signal) }, 0);
    }

    #[test]
    fn a_blocked_signal_waits_to_be_waited_for() {
        let signals = Signals::block(&[libc::SIGUSR1]).unwrap();
        // SAFETY: has no precondition.
        send(unsafe { libc::pthread_self() }, libc::SIGUSR1);
        assert_eq!(signals.wait().unwrap(), libc::SIGUSR1);
        assert!(Signals::block(&[9999]).is_err());
    }

    /// One test, because it takes leave of every child of this process.
    #[test]
    fn the_anchor_reaps_and_ends_when_told() {
        use std::os::unix::thread::JoinHandleExt as _;
        // Inherited by the thread, so that no signal finds it unprepared.
        let _blocked = Signals::block(&[SIGCHLD, SIGTERM]).unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )
        .unwrap();
        reap();
        assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));

        let anchor = thread::spawn(crate::anchor::idle);
        send(anchor.as_pthread_t(), SIGCHLD);
        send(anchor.as_pthread_t(), SIGTERM);
        let code = anchor.join().unwrap();
        assert_eq!(
            format!("{code:?}"),
            format!("{:?}", std::process::ExitCode::SUCCESS)
        );
    }
}
