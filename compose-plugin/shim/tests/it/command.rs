//! What is executed, and in which state.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::shim::*;

#[test]
fn the_program_is_looked_for_where_the_application_would_look() {
    let volume = Volume::empty();
    let bin = volume.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("hello"), "#!/bin/sh\necho \"hello $*\"\n").unwrap();
    fs::set_permissions(bin.join("hello"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(bin.join("bare"), "echo \"bare $0 $*\"\n").unwrap();
    fs::set_permissions(bin.join("bare"), fs::Permissions::from_mode(0o755)).unwrap();
    volume.publish(1, format!("PATH=/nowhere:{}\0", bin.display()).as_bytes());
    let it = run(&mut shim(&volume, "", &["--", "hello", "--", "a b"]));
    assert_eq!((it.code, it.text()), (0, "hello -- a b\n"), "{}", it.err);
    // A script without a first line for the kernel, as `execvp` has it.
    let it = run(&mut shim(&volume, "", &["--", "bare", "x"]));
    assert_eq!(
        it.text(),
        format!("bare {} x\n", bin.join("bare").display())
    );
}

#[test]
fn what_cannot_be_executed_is_told_as_an_init_tells_it() {
    let volume = Volume::with(1, b"KEY=canary\0");
    let plain = volume.path().join("plain");
    fs::write(&plain, "echo no").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let plain = plain.to_str().unwrap();
    for more in ["", "init=reap"] {
        for (program, code, why) in [
            (
                "no-such-program",
                127,
                "No such file or directory (os error 2)",
            ),
            (
                "/no/such/program",
                127,
                "No such file or directory (os error 2)",
            ),
            ("/bin/sh/x", 127, "Not a directory (os error 20)"),
            ("", 127, "No such file or directory (os error 2)"),
            (plain, 126, "Permission denied (os error 13)"),
            ("/", 126, "Permission denied (os error 13)"),
        ] {
            let it = run(&mut shim(&volume, more, &["--", program]));
            let said = format!("locket: exec {program:?} failed: {why}\n");
            assert_eq!((it.code, it.err), (code, said), "{more}");
        }
    }
}

#[test]
fn arguments_and_configuration_that_make_no_sense_are_refused() {
    let volume = Volume::with(1, b"");
    for (more, args, said) in [
        ("", &["--"][..], "there is no command to run"),
        ("", &["-s", "env"], "there is no -- before the command"),
        (
            "wiat=1s",
            &["--", "env"],
            "LOCKET_SHIM: \"wiat=1s\" has a key that is not known",
        ),
        (
            "wiat=1s",
            &["with-env", "env"],
            "LOCKET_SHIM: \"wiat=1s\" has a key that is not known",
        ),
    ] {
        let it = run(&mut shim(&volume, more, args));
        assert_eq!(
            (it.code, it.err),
            (64, format!("locket: {said}\n")),
            "{args:?}"
        );
    }
}

#[test]
fn a_variable_may_be_as_large_as_the_kernel_takes_it() {
    let value = vec![b'x'; 131_072 - "BIG=".len() - 1];
    let volume = Volume::with(1, &[b"BIG=", &value[..], b"\0"].concat());
    let it = run(&mut shim(&volume, "", &["--", "printenv", "BIG"]));
    assert_eq!(it.out.len(), value.len() + 1, "{}", it.err);

    let many: Vec<u8> = (10..70)
        .flat_map(|n| [format!("BIG{n}=").as_bytes(), &value[2..], b"\0"].concat())
        .collect();
    let it = run(&mut shim(
        &Volume::with(1, &many),
        "wait=0s",
        &["--", "true"],
    ));
    let refused = it.code == 75 && it.err.ends_with("is damaged\n");
    assert!(
        refused,
        "more than a process can have: {} {}",
        it.code, it.err
    );
    let it = run(&mut shim(
        &Volume::with(1, &many[..30 * 131_072]),
        "",
        &["--", "true"],
    ));
    assert_eq!(
        (it.code, it.err.as_str()),
        (
            126,
            "locket: exec \"true\" failed: Argument list too long (os error 7)\n"
        ),
        "more than this process can have with its stack limit"
    );
}

/// The lines that tell masks and dispositions.
fn signals(mut command: std::process::Command, odd: bool) -> String {
    // Also where there is nothing to do: without it another way to start a process is taken, which may ignore signals of glibc's.
    before_exec(&mut command, move || {
        // SAFETY: plain system calls on a set of this frame.
        unsafe {
            if !odd {
                return;
            }
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGRTMIN());
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        }
    });
    let it = run(command.args(["grep", "^Sig[BIC]", "/proc/self/status"]));
    assert_eq!(it.code, 0, "{}", it.err);
    it.text().to_owned()
}

#[test]
fn the_command_starts_with_the_signals_that_were_inherited() {
    let volume = Volume::with(1, b"");
    let mut plains = Vec::new();
    for odd in [false, true] {
        // `env` becomes its command without touching a signal.
        let plain = signals(bare("env"), odd);
        plains.push(plain.clone());
        for more in ["", "init=reap"] {
            assert_eq!(signals(shim(&volume, more, &["--"]), odd), plain, "{more}");
        }
        assert_eq!(signals(shim(&volume, "", &["with-env", "--"]), odd), plain);
    }
    assert_ne!(plains[0], plains[1], "the odd start is one");
}

#[test]
fn the_command_starts_with_no_descriptor_of_ours() {
    // Whoever runs the tests may have left some open.
    let plain = run(bare("env").args(["ls", "/proc/self/fd"]));
    let volume = Volume::empty();
    for more in ["", "init=reap"] {
        let it = Running::start(&mut shim(&volume, more, &["--", "ls", "/proc/self/fd"]));
        if more.is_empty() {
            waits(it.pid());
            volume.publish(1, b"");
        }
        assert_eq!(it.end().text(), plain.text(), "{more}");
    }
}

#[test]
fn with_env_does_not_wait() {
    let volume = Volume::empty();
    let args = ["with-env", "--", "printenv", "KEY"];
    let it = run(&mut shim(&volume, "wait=1h", &args));
    let path = volume.path().display();
    let said = format!("locket: no secrets in {path}: nothing was delivered yet\n");
    assert_eq!((it.code, it.err), (75, said));
    // PID 1 of the machine is not of this volume, or not ours to read.
    volume.publish(9, b"KEY=value\0");
    let it = run(&mut shim(&volume, "init=reap", &args));
    assert_eq!((it.code, it.text()), (0, "value\n"), "{}", it.err);
}
