//! The init that stays.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

use crate::shim::*;

/// The shim with its command already running under the init that stays.
fn started(volume: &Volume, script: &str) -> Running {
    Running::start(&mut shim(volume, "init=reap", &["--", "sh", "-c", script]))
}

#[test]
fn it_ends_as_its_command_ends() {
    let volume = Volume::with(1, b"KEY=value\0");
    for (script, code, out) in [
        (
            "printenv KEY LOCKET_GENERATION LOCKET_SHIM; exit 7",
            7,
            "value\n1\n",
        ),
        ("kill -KILL $$", 137, ""),
        ("kill -TERM $$", 143, ""),
        ("exit 255", 255, ""),
    ] {
        let it = started(&volume, script).end();
        assert_eq!(
            (it.code, it.text(), it.err.as_str()),
            (code, out, ""),
            "{script}"
        );
    }
}

#[test]
fn it_passes_every_signal_on() {
    let volume = Volume::with(1, b"");
    // A shell runs a trap at once only while it waits; it is done with setting traps when it says so.
    let script = "sleep 1000 <&- >/dev/null 2>&1 & for s in TERM HUP USR1 WINCH RTMIN; do trap \"echo got $s\" $s; done; \
                  trap 'kill $!; exit 9' INT; echo up; while :; do wait $!; done";
    let script = format!("exec bash -c '{}'", script.replace('\'', "'\\''"));
    let mut it = started(&volume, &script);
    assert_eq!(it.line(), "up");
    for (signal, name) in [
        (libc::SIGTERM, "TERM"),
        (libc::SIGHUP, "HUP"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGWINCH, "WINCH"),
        (libc::SIGRTMIN(), "RTMIN"),
    ] {
        it.signal(signal);
        assert_eq!(it.line(), format!("got {name}"));
    }
    it.signal(libc::SIGINT);
    assert_eq!(it.end().code, 9);
}

#[test]
fn it_takes_in_what_lost_its_parent() {
    let volume = Volume::with(1, b"");
    let mut it = started(
        &volume,
        "sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'; read x; exit 5",
    );
    let orphan: u32 = it.line().parse().unwrap();
    let init = it.pid().to_string();
    eventually("the orphan is the init's", || {
        (status(orphan, "PPid")? == init).then_some(())
    });
    signal_to(orphan, libc::SIGKILL);
    eventually("nothing is left of it", || {
        status(orphan, "State").is_none().then_some(())
    });
    assert!(it.running());
    it.say("\n");
    assert_eq!(it.end().code, 5);
}

#[test]
fn its_own_environment_tells_the_generation_and_no_value() {
    let volume = Volume::with(41, b"KEY=canary\0");
    let mut command = shim(&volume, "init=reap", &["--", "sh", "-c", "echo up; read x"]);
    let mut it = Running::start(command.env("LOCKET_GENERATION", "3"));
    assert_eq!(it.line(), "up");
    let environ = fs::read_to_string(format!("/proc/{}/environ", it.pid())).unwrap();
    assert!(environ.ends_with("\0LOCKET_GENERATION=41\0"), "{environ}");
    assert_eq!(environ.matches("LOCKET_GENERATION").count(), 1);
    assert!(!environ.contains("KEY"), "{environ}");
    assert_eq!(status(it.pid(), "Name").unwrap(), "docker-init");
    // The command may be quicker than the init.
    eventually("the init has wiped what it gave on", || {
        (memory(it.pid(), b"canary") == 0).then_some(())
    });
    let child = children(it.pid());
    assert_ne!(
        memory(child[0], b"canary"),
        0,
        "the search finds what is there"
    );
    assert_eq!(it.end().code, 1);
}

/// How often something is in the writable memory of a process.
fn memory(pid: u32, what: &[u8]) -> usize {
    use std::os::unix::fs::FileExt as _;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let writable = maps.lines().filter(|line| line.contains(" rw"));
    let found = writable.map(|line| {
        let range = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (from, to) = (number(range.0), number(range.1));
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        let read = memory.read_at(&mut bytes, from).unwrap_or(0);
        bytes[..read]
            .windows(what.len())
            .filter(|w| *w == what)
            .count()
    });
    found.sum()
}

#[test]
fn a_generation_that_went_between_its_two_starts_is_replaced_by_the_current_one() {
    let volume = Volume::with(8, b"KEY=8\0");
    let mut command = bare(PROGRAM);
    command
        .env("LOCKET_SHIM", volume.config("init=reap"))
        .env("LOCKET_GENERATION", "7");
    let it = run(command.args(["reap", "--", "printenv", "KEY", "LOCKET_GENERATION"]));
    assert_eq!((it.code, it.text()), (0, "8\n8\n"), "{}", it.err);
}

/// A terminal: the end that a person sits at, and the end that programs have. Neither is inherited by chance.
fn terminal() -> (File, File) {
    let open = |path: &str| {
        let mut options = File::options();
        let options = options.read(true).write(true);
        options.custom_flags(libc::O_NOCTTY).open(path).unwrap()
    };
    let ours = open("/dev/ptmx");
    let mut number: libc::c_int = 0;
    // SAFETY: plain system calls on an open terminal.
    unsafe {
        assert_eq!(libc::unlockpt(ours.as_raw_fd()), 0);
        assert_eq!(
            libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTN, &raw mut number),
            0
        );
    }
    (ours, open(&format!("/dev/pts/{number}")))
}

#[test]
fn the_command_is_in_the_foreground_of_its_terminal() {
    let volume = Volume::with(1, b"");
    let (mut ours, theirs) = terminal();
    let mut command = shim(
        &volume,
        "init=reap",
        &["--", "sh", "-c", "cat /proc/$$/stat; read x"],
    );
    before_exec(&mut command, || {
        // SAFETY: plain system calls; stdin is the terminal by now.
        unsafe {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
        }
    });
    let same = || Stdio::from(theirs.try_clone().unwrap());
    let mut child = command
        .stdin(same())
        .stdout(same())
        .stderr(same())
        .spawn()
        .unwrap();
    let mut text = String::new();
    while !text.ends_with('\n') {
        let mut byte = [0];
        readable(&ours);
        ours.read_exact(&mut byte).unwrap();
        text.push(byte[0].into());
    }
    // Behind the name: state, parent, process group, session, terminal, group in its foreground.
    let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
    let pid = text.split(' ').next().unwrap();
    assert_eq!((fields[2], fields[5]), (pid, pid), "{text}");
    assert_eq!(fields[1], child.id().to_string(), "its parent is the init");
    // What a person types to interrupt reaches the command from the terminal itself.
    std::io::Write::write_all(&mut ours, b"\x03").unwrap();
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(128 + libc::SIGINT));
}
