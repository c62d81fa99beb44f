//! The boot gate: a reboot starts containers before anything could fill their tmpfs, so the first thing is to wait.
#![allow(
    clippy::disallowed_methods,
    reason = "the clock of this program is read here and nowhere else"
)]

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, read};

use crate::EXIT_NO_GENERATION;
use crate::config::Config;
use crate::failure::{Failure, say};
use crate::signals::{Set, Signal};
use crate::volume::{Absent, Generation, current};

/// A wait shorter than this is not worth a word: `up` delivers within it.
const QUIET: Duration = Duration::from_secs(2);
/// The first and the longest pause between two looks. Looks go on beside the watch, which a user may have run out of
/// and which does not see a mount that comes later.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// How a wait went.
pub(crate) enum Outcome {
    /// A generation is current.
    Ready(Generation),
    /// This signal came first.
    Signalled(Signal),
}

/// Waits for a generation, at most as long as the configuration says. `ending` must be blocked.
pub(crate) fn pass(config: &Config, ending: &Set) -> Result<Outcome, Failure> {
    let since = Instant::now();
    let deadline = since + config.wait;
    let (mut pause, mut told) = (PAUSE.0, false);
    let mut waker = None;
    loop {
        if let Some(signal) = ending.pending() {
            return Ok(Outcome::Signalled(signal));
        }
        let absent = match current(&config.path) {
            Ok(generation) => return Ok(Outcome::Ready(generation)),
            Err(absent) => absent,
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(timed_out(config, &absent));
        }
        if !told && now >= since + QUIET {
            told = true;
            let (path, wait) = (config.path.display(), config.wait.as_secs());
            say(&format!(
                "waiting for secrets in {path}, {wait} s at most: {absent}"
            ));
        }
        if waker.is_none() {
            // Made only now, so that a start with everything in place does not pay for it. Look once more before the first
            // pause: what came before the watch was set has woken nobody.
            waker = Some(Waker::new(&config.path, ending));
            continue;
        }
        if let Some(waker) = &waker {
            waker.pause(pause.min(deadline - now));
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

fn timed_out(config: &Config, absent: &Absent) -> Failure {
    let (path, wait) = (config.path.display(), config.wait.as_secs_f64());
    Failure::new(
        EXIT_NO_GENERATION,
        format!("no secrets in {path} after {wait} s: {absent}"),
    )
}

/// What ends a pause early: a signal, or a change of names on the volume. Either may be missing.
struct Waker {
    signals: Option<OwnedFd>,
    names: Option<OwnedFd>,
}

impl Waker {
    fn new(root: &Path, ending: &Set) -> Self {
        Self {
            signals: ending.descriptor().ok(),
            names: watch(root).ok(),
        }
    }

    fn pause(&self, longest: Duration) {
        let fds = [&self.signals, &self.names];
        let readable = |fd| PollFd::new(fd, PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = fds.into_iter().flatten().map(readable).collect();
        let longest = Timespec {
            tv_sec: longest.as_secs() as i64,
            tv_nsec: longest.subsec_nanos().into(),
        };
        // An interruption only means to look earlier.
        let _ = poll(&mut fds, Some(&longest));
        // What happened is read from the volume itself. The signal stays where it is until it is asked for.
        if let Some(names) = &self.names {
            let mut events = [0; 1024];
            while read(names, &mut events).is_ok_and(|n| n > 0) {}
        }
    }
}

/// Watches for the one name that decides, which comes by rename.
fn watch(root: &Path) -> Result<OwnedFd, Errno> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let names = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
    inotify::add_watch(&watch, root, names)?;
    Ok(watch)
}
