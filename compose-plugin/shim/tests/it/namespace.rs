//! As PID 1, where the kernel drops signals that have no handler, and where `probe` and `with-env` have somebody to ask.

use std::process::Command;

use crate::shim::*;

/// `unshare` into a PID namespace with its own `/proc`; `None` where this user may not.
fn unshare(command: &Command) -> Option<Command> {
    let options = [&["-pf", "--mount-proc"][..], &["-Urpf", "--mount-proc"]];
    let allowed = options.iter().find(|options| {
        let mut probe = bare("unshare");
        probe.args(**options).arg("true");
        probe.output().is_ok_and(|it| it.status.success())
    });
    let Some(options) = allowed else {
        eprintln!("not run: this user may not make a PID namespace");
        return None;
    };
    let mut all = bare("unshare");
    all.args(*options)
        .arg(command.get_program())
        .args(command.get_args());
    all.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    Some(all)
}

#[test]
fn a_waiting_pid_1_obeys_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        let volume = Volume::empty();
        let Some(mut command) = unshare(&shim(&volume, "", &["--", "env"])) else {
            return;
        };
        let it = Running::start(&mut command);
        let inner = eventually("it is there", || children(it.pid()).pop());
        waits(inner);
        signal_to(inner, signal);
        assert_eq!(it.end().code, 128 + signal);
    }
}

#[test]
fn pid_1_tells_its_generation_whether_it_is_the_command_or_the_init() {
    for (more, name) in [("", "sh"), ("init=reap", "docker-init")] {
        let volume = Volume::with(6, b"KEY=old\0");
        // A child of the command stands in for `docker exec`, which has the configuration and not the variables.
        let exec = format!("env -u KEY LOCKET_SHIM='{}' {PROGRAM}", volume.config(more));
        let show = "printenv KEY LOCKET_GENERATION";
        let script = format!(
            "cat /proc/1/comm; {exec} probe; for i in 1 2 3; do {exec} with-env -- {show}; read x; done; exit 4"
        );
        let Some(mut command) = unshare(&shim(&volume, more, &["--", "sh", "-c", &script])) else {
            return;
        };
        let mut it = Running::start(&mut command);
        assert_eq!(it.lines(4), [name, "6", "old", "6"], "{more}");
        volume.publish(7, b"KEY=new\0");
        it.say("\n");
        assert_eq!(
            it.lines(2),
            ["old", "6"],
            "what PID 1 has, not what is current"
        );
        volume.prune(6);
        it.say("\n");
        assert_eq!(it.lines(2), ["new", "7"], "its own is gone");
        assert_eq!(it.end().code, 4, "and the exit code is the command's");
    }
}

#[test]
fn a_pid_1_that_does_not_tell_is_unknown() {
    let volume = Volume::with(6, b"KEY=value\0");
    for variable in ["OTHER=1", "LOCKET_GENERATION=", "LOCKET_GENERATION=06"] {
        let probe = [variable, "sh", "-c", "\"$0\" probe; echo $?", PROGRAM];
        let mut command = bare("env");
        let Some(mut command) = unshare(command.args(probe)) else {
            return;
        };
        let it = run(&mut command);
        let said = "locket: PID 1 does not tell with which generation it started\n";
        assert_eq!((it.text(), it.err.as_str()), ("3\n", said), "{variable}");
    }
    // Another container's PID 1: it may be asked, but it speaks of another volume.
    let script = format!("exec unshare -m {PROGRAM} probe");
    if let Some(mut command) = unshare(&shim(&volume, "init=reap", &["--", "sh", "-c", &script])) {
        assert_eq!(run(&mut command).code, 3);
    }
}
