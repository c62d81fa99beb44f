//! The gate: what it waits for, and what ends the wait.

use std::fs;
use std::time::{Duration, Instant};

use crate::shim::*;

const SHOW: &[&str] = &["--", "env", "-0"];

#[test]
fn the_command_gets_what_was_inherited_and_the_generation_over_it() {
    let volume = Volume::with(12, b"B=a=b \n\xff$HOME\0C=\0LONG_=x\0");
    let mut command = shim(&volume, "", SHOW);
    command.env("B", "inherited").env("LONG", "y");
    command.env("LOCKET_GENERATION", "3");
    let it = run(&mut command);
    assert_eq!((it.code, it.err.as_str()), (0, ""));
    assert_eq!(
        it.out.escape_ascii().to_string(),
        r"LONG=y\x00PATH=/usr/bin:/bin\x00B=a=b \n\xff$HOME\x00C=\x00LONG_=x\x00LOCKET_GENERATION=12\x00"
    );
}

#[test]
fn a_generation_that_comes_later_is_waited_for() {
    let volume = Volume::empty();
    let it = Running::start(&mut shim(&volume, "", SHOW));
    waits(it.pid());
    volume.publish(1, b"A=1\0");
    let it = it.end();
    assert_eq!((it.code, it.err.as_str()), (0, ""));
    assert!(
        it.text().contains("A=1\0LOCKET_GENERATION=1\0"),
        "{}",
        it.text()
    );
}

#[test]
fn a_volume_that_comes_later_is_waited_for() {
    let outer = Volume::empty();
    let path = outer.path().join("in/secrets");
    let mut command = bare(PROGRAM);
    command.env("LOCKET_SHIM", format!("path={}", path.display()));
    let mut it = Running::start(command.args(SHOW));
    eventually("it has set itself up", || {
        let fds = fs::read_dir(format!("/proc/{}/fd", it.pid())).ok()?;
        let mut links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        links.find(|link| link.as_os_str() == "anon_inode:[signalfd]")
    });
    assert!(it.running());
    let made = Volume::with(2, b"A=2\0");
    fs::create_dir(outer.path().join("in")).unwrap();
    std::os::unix::fs::symlink(made.path(), path).unwrap();
    let it = it.end();
    assert_eq!(it.code, 0, "{}", it.err);
    assert!(it.text().contains("A=2\0"));
}

#[test]
fn what_is_half_there_is_not_there() {
    let volume = Volume::empty();
    volume.point(".locket/4");
    let mut it = Running::start(&mut shim(&volume, "", SHOW));
    waits(it.pid());
    volume.publish(5, b"torn");
    volume.point("elsewhere");
    assert!(it.running());
    volume.publish(6, b"A=6\0");
    volume.prune(5);
    assert!(it.end().text().contains("A=6\0LOCKET_GENERATION=6\0"));
}

#[test]
fn generations_that_come_and_go_while_it_starts_never_lead_to_a_mixture() {
    let volume = Volume::with(1, b"A=1\0B=1\0");
    for seq in 2..60 {
        let it = Running::start(&mut shim(&volume, "", SHOW));
        let env = format!("A={seq}\0B={seq}\0");
        volume.publish(seq, env.as_bytes());
        volume.prune(seq - 1);
        let it = it.end();
        assert_eq!(it.code, 0, "{}", it.err);
        let whole = |n| {
            it.text()
                .contains(&format!("A={n}\0B={n}\0LOCKET_GENERATION={n}\0"))
        };
        assert!(whole(seq) || whole(seq - 1), "{}", it.text());
    }
}

#[test]
fn the_wait_has_an_end_and_says_why() {
    let volume = Volume::empty();
    let path = volume.path().display().to_string();
    let it = run(&mut shim(&volume, "wait=0s", SHOW));
    let said = format!("locket: no secrets in {path} after 0 s: nothing was delivered yet\n");
    assert_eq!((it.code, it.err, it.out), (75, said, vec![]));

    let began = Instant::now();
    let it = run(&mut shim(&volume, "wait=2500ms", SHOW));
    assert!(began.elapsed() >= Duration::from_millis(2500));
    let said = format!(
        "locket: waiting for secrets in {path}, 2 s at most: nothing was delivered yet\n\
         locket: no secrets in {path} after 2.5 s: nothing was delivered yet\n"
    );
    assert_eq!((it.code, it.err), (75, said), "it says once that it waits");
}

#[test]
fn what_is_damaged_is_told_without_a_value() {
    for env in [
        &b"KEY=canary"[..],
        b"canary\0",
        b"=canary\0",
        b"KEY=canary\0\0",
    ] {
        let volume = Volume::with(3, env);
        let it = run(&mut shim(&volume, "wait=0s", SHOW));
        assert_eq!(it.code, 75);
        assert!(
            it.err.ends_with(": .locket/3/env is damaged\n"),
            "{}",
            it.err
        );
        assert!(!it.err.contains("canary"), "{}", it.err);
    }
}

#[test]
fn a_signal_ends_the_wait_at_once() {
    // All that images have as their stop signal: the engine's own, nginx, Apache, systemd.
    let stop = [
        libc::SIGTERM,
        libc::SIGQUIT,
        libc::SIGWINCH,
        libc::SIGRTMIN() + 3,
    ];
    let others = [libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];
    for signal in stop.into_iter().chain(others) {
        for more in ["", "init=reap"] {
            let volume = Volume::empty();
            let it = Running::start(&mut shim(&volume, more, SHOW));
            waits(it.pid());
            it.signal(signal);
            let it = it.end();
            assert_eq!((it.code, it.err.as_str()), (128 + signal, ""), "{more}");
        }
    }
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let volume = Volume::empty();
    let mut command = shim(&volume, "", SHOW);
    before_exec(&mut command, || {
        // SAFETY: a plain system call.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    });
    let it = Running::start(&mut command);
    waits(it.pid());
    it.signal(libc::SIGHUP);
    volume.publish(1, b"");
    assert_eq!(it.end().code, 0);
}
