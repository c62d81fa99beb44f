//! Signals: what this process was started with, what it does meanwhile, and putting everything back before a command runs.

use std::io::IsTerminal as _;
use std::mem::{self, MaybeUninit};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::io::Errno;

/// Number of a signal.
pub(crate) type Signal = libc::c_int;

/// What ends a process that waits: what containers are stopped with, and would end one that is not PID 1. The kernel drops these
/// for a PID 1 without handlers. Apache's stop signal tells of a window's size everywhere else, so it counts without a terminal.
pub(crate) fn ending() -> Vec<Signal> {
    let mut signals = vec![
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGPWR,
    ];
    signals.extend(libc::SIGRTMIN()..=libc::SIGRTMAX());
    if !std::io::stdin().is_terminal() {
        signals.push(libc::SIGWINCH);
    }
    signals
}

/// The signal of a name that `on_change` may have.
pub(crate) fn by_name(name: &str) -> Option<Signal> {
    Some(match name {
        "ABRT" => libc::SIGABRT,
        "ALRM" => libc::SIGALRM,
        "CONT" => libc::SIGCONT,
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "PIPE" => libc::SIGPIPE,
        "PWR" => libc::SIGPWR,
        "QUIT" => libc::SIGQUIT,
        "TERM" => libc::SIGTERM,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "WINCH" => libc::SIGWINCH,
        _ => return None,
    })
}

/// Sends PID 1 a signal.
pub(crate) fn send_to_init(signal: Signal) -> std::io::Result<()> {
    // SAFETY: two numbers, no memory.
    match unsafe { libc::kill(1, signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Rust's runtime ignores SIGPIPE before `main`; this is what it was before that.
static INHERITED_PIPE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Runs before the runtime, because nothing can tell afterwards.
// SAFETY: the loader calls every pointer in this section once, before main and with no other thread around; arguments that a
// function does not take are harmless in the C calling convention. The function uses nothing that the runtime sets up.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER_PIPE: extern "C" fn() = {
    extern "C" fn remember() {
        INHERITED_PIPE.store(disposition(libc::SIGPIPE).sa_sigaction, Relaxed);
    }
    remember
};

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct Set(libc::sigset_t);

impl Set {
    pub(crate) fn of(signals: impl IntoIterator<Item = Signal>) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the whole set; sigaddset is given an initialised one.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            Self(set.assume_init())
        }
    }

    /// Every signal but those that a process raises by its own mistake, and those of a terminal that it writes to from behind.
    pub(crate) fn forwarded() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the whole set; sigdelset is given an initialised one.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            for signal in [
                libc::SIGFPE,
                libc::SIGILL,
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGABRT,
                libc::SIGTRAP,
                libc::SIGSYS,
                libc::SIGTTIN,
                libc::SIGTTOU,
            ] {
                libc::sigdelset(set.as_mut_ptr(), signal);
            }
            Self(set.assume_init())
        }
    }

    fn has(&self, signal: Signal) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }

    /// Blocks these, in place of what is blocked now.
    pub(crate) fn block(&self) {
        // SAFETY: the set is initialised and the old one is not asked for. It cannot fail with a valid `how`.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }

    /// Waits for one of these, which must be blocked.
    pub(crate) fn wait(&self) -> Signal {
        loop {
            // SAFETY: the set is initialised; the details are not asked for.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.0, ptr::null_mut()) };
            // Nothing but an interruption (a debugger, a stop) can go wrong.
            if signal > 0 {
                return signal;
            }
        }
    }

    /// One of these that has come already; they must be blocked.
    pub(crate) fn pending(&self) -> Option<Signal> {
        let now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: set and time are initialised; the details are not asked for.
        let signal =
            unsafe { libc::sigtimedwait(&raw const self.0, ptr::null_mut(), &raw const now) };
        (signal > 0).then_some(signal)
    }

    /// A descriptor that can be read as soon as one of these has come; they must be blocked.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Errno> {
        // SAFETY: the set is initialised.
        let fd = unsafe { libc::signalfd(-1, &raw const self.0, libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(last_errno());
        }
        // SAFETY: a new descriptor that nobody else has.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// What the process was started with. Nothing else in this crate changes a mask or a disposition.
pub(crate) struct Inherited {
    mask: Set,
    changed: Vec<(Signal, libc::sigaction)>,
}

impl Inherited {
    pub(crate) fn new() -> Self {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: with no new set it only writes the old one, and cannot fail.
        let mask = unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, ptr::null(), mask.as_mut_ptr());
            mask.assume_init()
        };
        let pipe = with_handler(INHERITED_PIPE.load(Relaxed));
        Self {
            mask: Set(mask),
            changed: vec![(libc::SIGPIPE, pipe)],
        }
    }

    /// Of `signals`, those that would reach this process: neither blocked nor ignored when it was started.
    pub(crate) fn open(&self, signals: &[Signal]) -> Set {
        let open = |s: &Signal| !self.mask.has(*s) && disposition(*s).sa_sigaction != libc::SIG_IGN;
        Set::of(signals.iter().copied().filter(open))
    }

    /// Blocks `signals` in addition to what was blocked from the start.
    pub(crate) fn block_also(&self, signals: &Set) {
        // SAFETY: the set is initialised and the old one is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const signals.0, ptr::null_mut()) };
    }

    /// Ignores a signal from now on.
    pub(crate) fn ignore(&mut self, signal: Signal) {
        self.change(signal, libc::SIG_IGN);
    }

    /// Has the kernel do with a signal what it does by default.
    pub(crate) fn default(&mut self, signal: Signal) {
        self.change(signal, libc::SIG_DFL);
    }

    fn change(&mut self, signal: Signal, handler: libc::sighandler_t) {
        self.changed.push((signal, disposition(signal)));
        set_disposition(signal, &with_handler(handler));
    }

    /// Puts dispositions and mask back, for what is executed next.
    pub(crate) fn restore(&self) {
        for (signal, action) in self.changed.iter().rev() {
            set_disposition(*signal, action);
        }
        self.mask.block();
    }

    /// Undoes [`Inherited::restore`] where nothing could be executed: SIGPIPE is an error of a write again, and no death.
    pub(crate) fn after_failed_exec(&self) {
        set_disposition(libc::SIGPIPE, &with_handler(libc::SIG_IGN));
    }
}

fn with_handler(handler: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask, the default handler.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action
}

fn disposition(signal: Signal) -> libc::sigaction {
    let mut action = with_handler(libc::SIG_DFL);
    // SAFETY: with no new action it only writes the old one.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action
}

fn set_disposition(signal: Signal, action: &libc::sigaction) {
    // SAFETY: the action came from sigaction or is one of ignore and default: no handler of ours is ever installed.
    unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
}

/// The error of the last call into libc.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = Set::of([libc::SIGTERM, libc::SIGRTMIN() + 3]);
        assert!(set.has(libc::SIGTERM) && set.has(libc::SIGRTMIN() + 3));
        assert!(!set.has(libc::SIGINT));
        let all = Set::forwarded();
        assert!(all.has(libc::SIGCHLD) && all.has(libc::SIGWINCH) && all.has(libc::SIGRTMAX()));
        assert!(!all.has(libc::SIGSEGV) && !all.has(libc::SIGTTOU));
    }
}
