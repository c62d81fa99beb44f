//! What this machine can tell without asking the engine: bytes in a file, and what a process weighs.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

/// Pause between two looks at a file: with the kernel's slack, a change is seen up to 0.2 ms late. A shorter one would take a
/// core from what is measured.
const BETWEEN: Duration = Duration::from_micros(150);
const DEADLINE: Duration = Duration::from_secs(60);

/// A path as a process sees it: through its own root, so through the mounts of its container.
pub fn inside(pid: u64, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root{path}"))
}

/// Reads the file again and again until it has these bytes; gives when it had.
///
/// # Panics
/// When it does not get them in a minute.
pub fn appears(path: &Path, bytes: &[u8]) -> SystemTime {
    let begin = Instant::now();
    loop {
        if fs::read(path).is_ok_and(|found| found == bytes) {
            return SystemTime::now();
        }
        assert!(
            begin.elapsed() < DEADLINE,
            "{} has not changed",
            path.display()
        );
        sleep(BETWEEN);
    }
}

/// What a process weighs, in KiB.
#[derive(Clone, Copy, Default)]
pub struct Weight {
    /// Resident pages of all kinds.
    pub rss: u64,
    /// Those of them that are its own: heap and stacks, without the program file.
    pub anon: u64,
}

/// Nothing for one that is gone.
pub fn weight(pid: u64) -> Weight {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name));
        let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    };
    Weight {
        rss: field("VmRSS:"),
        anon: field("RssAnon:"),
    }
}

/// The time that a process has spent on a processor: all its threads that live.
pub fn cpu(pid: &str) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let nanos = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    let all = tasks.into_iter().flatten().flatten().filter_map(nanos);
    Duration::from_nanos(all.sum())
}

/// The processes of which this one is the parent.
pub fn children(pid: u64) -> Vec<u64> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(|it| parent(*it) == Some(pid)).collect()
}

/// Its parent.
pub fn parent(pid: u64) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    text.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
