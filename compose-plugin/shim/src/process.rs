//! Asking PID 1 with which generation it started. Its environment says so, if it may be read and is still as it was given.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use locket_delivery::layout::{GENERATION_VARIABLE, parse_seq};
use rustix::fs::readlinkat;
use zeroize::Zeroizing;

/// The init of this PID namespace.
pub(crate) const INIT: &str = "/proc/1";
/// Bytes of the entry that is looked for, at most, and one more: what is cut off there has too many digits to be a number.
const ENTRY_LIMIT: usize = GENERATION_VARIABLE.len() + 1 + 21;

/// The generation that the process started with; `None` when it cannot be told: not readable, overwritten by the process,
/// or a process of another container (a shared PID namespace), which has another volume.
pub(crate) fn started_with(process: &Path) -> Option<u64> {
    if mounts(process)? != mounts(Path::new("/proc/self"))? {
        return None;
    }
    generation(File::open(process.join("environ")).ok()?)
}

/// Names the mount namespace of a process.
fn mounts(process: &Path) -> Option<Vec<u8>> {
    let link = readlinkat(rustix::fs::CWD, process.join("ns/mnt"), Vec::new()).ok()?;
    Some(link.into_bytes())
}

/// The one well-formed `LOCKET_GENERATION`. Two of them are not what the shim left there.
fn generation(mut environ: impl Read) -> Option<u64> {
    // The values of PID 1 come by here: no more of an entry is kept than can be ours.
    let mut chunk = Zeroizing::new([0; 4096]);
    let mut entry = Zeroizing::new(Vec::with_capacity(ENTRY_LIMIT));
    let mut found = Vec::new();
    loop {
        let read = environ.read(&mut *chunk).ok()?;
        if read == 0 {
            break;
        }
        for byte in &chunk[..read] {
            if *byte == 0 {
                let value = entry.strip_prefix(GENERATION_VARIABLE.as_bytes());
                let value = value.and_then(|rest| rest.strip_prefix(b"="));
                found.extend(value.map(parse_seq));
                entry.clear();
            } else if entry.len() < ENTRY_LIMIT {
                entry.push(*byte);
            }
        }
    }
    match found[..] {
        [seq] => seq,
        _ => None,
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "tests start the process that they ask"
)]
pub(crate) mod tests {
    use std::io::Write as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that was started with these variables and runs until its input ends.
    pub(crate) fn started(variables: &[(&str, &str)]) -> Child {
        let mut command = Command::new("cat");
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.envs(variables.iter().copied());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The kernel shows the environment a moment after the parent goes on: wait for an answer.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    pub(crate) fn end(mut child: Child) {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    fn asked(variables: &[(&str, &str)]) -> Option<u64> {
        let child = started(variables);
        let answer = started_with(Path::new(&format!("/proc/{}", child.id())));
        end(child);
        answer
    }

    #[test]
    fn a_process_is_asked_by_its_environment() {
        assert_eq!(asked(&[("LOCKET_GENERATION", "12")]), Some(12));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("LOCKET_GENERATION", "012")]), None);
        assert_eq!(asked(&[("XLOCKET_GENERATION", "12")]), None);
        assert_eq!(started_with(Path::new("/proc/0")), None);
    }

    #[test]
    fn what_is_not_whole_or_not_one_is_unknown() {
        assert_eq!(generation(&b"A=1\0LOCKET_GENERATION=5\0"[..]), Some(5));
        let long = [&b"LOCKET_GENERATION="[..], &[b'1'; 40], b"\0"].concat();
        let far = [&vec![b'x'; 10_000][..], b"\0LOCKET_GENERATION=8\0"].concat();
        assert_eq!(generation(&far[..]), Some(8));
        for bad in [
            &long[..],
            b"",
            b"LOCKET_GENERATION=5",
            b"LOCKET_GENERATION=\0",
            b"LOCKET_GENERATION=x\0",
            b"LOCKET_GENERATION=5\0LOCKET_GENERATION=5\0",
            b"nginx: master process\0\0\0\0",
        ] {
            assert_eq!(generation(bad), None, "{bad:?}");
        }
    }
}
