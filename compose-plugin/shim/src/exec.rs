//! Becoming another program, as `execvp` does it in the init that we stand in for.

use std::ffi::{CStr, CString};
use std::ptr;

use rustix::io::Errno;

use crate::environ;
use crate::failure::Failure;
use crate::signals::{Inherited, last_errno};
use crate::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND};

/// Where programs are looked for without a PATH; glibc's.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";
/// What executes a file that the kernel does not know how to, <https://man7.org/linux/man-pages/man3/exec.3.html>.
const SHELL: &CStr = c"/bin/sh";

/// Becomes `command` with exactly this environment, and with the signals that were inherited. A name without a slash is looked
/// for on the PATH of that environment.
///
/// Comes back only with the reason why it could not.
pub(crate) fn become_command(command: &[CString], env: &[&CStr], signals: &Inherited) -> Failure {
    let args: Vec<&CStr> = command.iter().map(CString::as_c_str).collect();
    let Some(program) = args.first() else {
        return Failure::usage("there is no command to run");
    };
    let path = environ::get(env.iter().copied(), "PATH").unwrap_or(DEFAULT_PATH);
    signals.restore();
    let errno = search(program, path, |file| execute(file, &args, env));
    signals.after_failed_exec();
    let code = match errno {
        Errno::NOENT | Errno::NOTDIR => EXIT_NOT_FOUND,
        _ => EXIT_NOT_EXECUTABLE,
    };
    let program = program.to_string_lossy();
    Failure::new(code, format!("exec {program:?} failed: {errno}"))
}

/// Tries where `program` may be, in order, and says what stands against it. `attempt` comes back only when it has failed.
fn search(program: &CStr, path: &[u8], mut attempt: impl FnMut(&CStr) -> Errno) -> Errno {
    let name = program.to_bytes();
    if name.is_empty() {
        return Errno::NOENT;
    }
    if name.contains(&b'/') {
        return attempt(program);
    }
    let mut result = Errno::NOENT;
    for dir in path.split(|b| *b == b':') {
        // An empty place is the working directory.
        let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
        let Ok(file) = CString::new([dir, slash, name].concat()) else {
            continue;
        };
        match attempt(&file) {
            // A file that may not be executed is told of only if no other place has a better one.
            Errno::ACCESS => result = Errno::ACCESS,
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT => {}
            errno => return errno,
        }
    }
    result
}

/// One file, by a shell if the kernel knows no better.
fn execute(file: &CStr, args: &[&CStr], env: &[&CStr]) -> Errno {
    let errno = execve(file, args, env);
    if errno != Errno::NOEXEC {
        return errno;
    }
    let rest = args.get(1..).unwrap_or_default();
    let args = [&[SHELL, file], rest].concat();
    match execve(SHELL, &args, env) {
        // No shell: then it is the file that cannot be executed, not the shell that is missing.
        Errno::NOENT => Errno::NOEXEC,
        errno => errno,
    }
}

/// The system call. Comes back only when it has failed.
pub(crate) fn execve(file: &CStr, args: &[&CStr], env: &[&CStr]) -> Errno {
    let pointers = |list: &[&CStr]| -> Vec<*const libc::c_char> {
        let all = list.iter().map(|entry| entry.as_ptr());
        all.chain([ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both lists end with a null pointer, and all strings outlive the call.
    unsafe { libc::execve(file.as_ptr(), args.as_ptr(), env.as_ptr()) };
    last_errno()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(program: &CStr, path: &str, errnos: &[Errno]) -> (Vec<String>, Errno) {
        let mut left = errnos.iter();
        let mut tried = Vec::new();
        let errno = search(program, path.as_bytes(), |file| {
            tried.push(file.to_str().unwrap().to_owned());
            *left.next().unwrap_or(&Errno::NOENT)
        });
        (tried, errno)
    }

    #[test]
    fn a_name_with_a_slash_is_a_file() {
        let it = tried(c"./a", "/x:/y", &[Errno::ACCESS]);
        assert_eq!(it, (vec!["./a".into()], Errno::ACCESS));
        assert_eq!(tried(c"", "/x", &[]), (vec![], Errno::NOENT));
    }

    #[test]
    fn every_place_is_tried_in_order_and_the_working_directory_where_it_is_named() {
        let it = tried(c"a", "/x::/y/", &[]);
        assert_eq!(
            it,
            (
                ["/x/a", "a", "/y//a"].map(String::from).into(),
                Errno::NOENT
            )
        );
    }

    #[test]
    fn a_refusal_is_remembered_and_any_other_error_ends_the_search() {
        let (places, errno) = tried(c"a", "/x:/y:/z", &[Errno::ACCESS, Errno::NOTDIR]);
        assert_eq!((places.len(), errno), (3, Errno::ACCESS));
        let (places, errno) = tried(c"a", "/x:/y:/z", &[Errno::NOENT, Errno::TOOBIG]);
        assert_eq!((places.len(), errno), (2, Errno::TOOBIG));
    }
}
