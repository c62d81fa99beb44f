//! A volume, and a running shim that never outlives its test.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-init");

/// Asks until there is an answer; a machine may be slow, but not that slow.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match ask() {
            Some(answer) => return answer,
            None if Instant::now() > deadline => panic!("never: {what}"),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// A directory that stands for the service's tmpfs.
pub struct Volume(tempfile::TempDir);

impl Volume {
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn with(seq: u64, env: &[u8]) -> Self {
        let volume = Self::empty();
        volume.publish(seq, env);
        volume
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A generation that nothing points at.
    pub fn write(&self, seq: u64, env: &[u8]) {
        let dir = self.path().join(format!(".locket/{seq}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("env"), env).unwrap();
    }

    pub fn point(&self, text: &str) {
        let new = self.path().join(".new");
        symlink(text, &new).unwrap();
        fs::rename(new, self.path().join("..data")).unwrap();
    }

    pub fn publish(&self, seq: u64, env: &[u8]) {
        self.write(seq, env);
        self.point(&format!(".locket/{seq}"));
    }

    pub fn prune(&self, seq: u64) {
        fs::remove_dir_all(self.path().join(format!(".locket/{seq}"))).unwrap();
    }

    /// `LOCKET_SHIM` for this volume and whatever else.
    pub fn config(&self, more: &str) -> String {
        format!("path={};{more}", self.path().display())
    }
}

/// A command with the environment that a container has.
pub fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// The shim as Docker calls it.
pub fn shim(volume: &Volume, more: &str, args: &[&str]) -> Command {
    let mut command = bare(PROGRAM);
    command.env("LOCKET_SHIM", volume.config(more)).args(args);
    command
}

/// Has the child do something between fork and exec.
pub fn before_exec(command: &mut Command, mut act: impl FnMut() + Send + Sync + 'static) {
    // SAFETY: what the tests do there are plain system calls.
    unsafe {
        command.pre_exec(move || {
            act();
            Ok(())
        });
    }
}

#[derive(Debug)]
pub struct Output {
    /// The exit code; 1000 + n for a death by signal n, which is not what 128 + n says.
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Output {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Output {
    Running::start(command).end()
}

pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: i32) {
        signal_to(self.pid(), signal);
    }

    pub fn running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// The next line of its output.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let out = self.0.stdout.as_mut().unwrap();
        let mut byte = [0];
        loop {
            readable(&*out);
            if out.read(&mut byte).unwrap() == 0 || byte[0] == b'\n' {
                return String::from_utf8(line).unwrap();
            }
            line.push(byte[0]);
        }
    }

    pub fn lines(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.line()).collect()
    }

    pub fn say(&mut self, text: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Ends its input and waits for it. Output is small enough for a pipe, unless somebody reads it before.
    pub fn end(mut self) -> Output {
        drop(self.0.stdin.take());
        let mut out = Vec::new();
        let mut stdout = self.0.stdout.take().unwrap();
        loop {
            readable(&stdout);
            let mut chunk = [0; 4096];
            match stdout.read(&mut chunk).unwrap() {
                0 => break,
                n => out.extend_from_slice(&chunk[..n]),
            }
        }
        let status = eventually("the shim ends", || self.0.try_wait().unwrap());
        let mut err = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        let code = status.code().or(status.signal().map(|n| 1000 + n));
        Output {
            code: code.unwrap(),
            out,
            err,
        }
    }
}

/// Waits for output, or its end.
pub fn readable(fd: impl AsFd) {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let long = Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    assert_ne!(poll(&mut fds, Some(&long)).unwrap(), 0, "it says nothing");
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn signal_to(pid: u32, signal: i32) {
    // SAFETY: a plain system call.
    assert_eq!(unsafe { libc::kill(pid.try_into().unwrap(), signal) }, 0);
}

/// A line of a process's status, such as `SigBlk`.
pub fn status(pid: u32, name: &str) -> Option<String> {
    let all = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = all.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map(|rest| rest.trim().to_owned())
}

/// The shim at `pid` waits in the gate: it has blocked SIGTERM, and it watches the volume.
pub fn waits(pid: u32) {
    let term = 1 << (libc::SIGTERM - 1);
    eventually("it waits", || {
        let blocked = status(pid, "SigBlk")?;
        let blocked = u64::from_str_radix(&blocked, 16).unwrap() & term != 0;
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let is_watch = |link: PathBuf| link.as_os_str() == OsStr::new("anon_inode:inotify");
        let mut links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        (blocked && links.any(is_watch)).then_some(())
    });
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|it| status(*it, "PPid") == Some(pid.to_string()))
        .collect()
}
