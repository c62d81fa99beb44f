//! What a role does to its own process, and the shim to nobody's.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whose files in `/proc/PID` tell whether a process can be dumped: root's can always belong to root.
const NOBODY: u32 = 65534;

/// A program for which `/proc/PID/status` belongs to its user exactly if it can be dumped.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null());
    command
}

/// A place that everybody may look into, with the program in it under another name.
fn named(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join(name);
    std::fs::copy(env!("CARGO_BIN_EXE_locket"), &program).unwrap();
    (dir, program)
}

fn core_limit(pid: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|l| l.starts_with("Max core file size"));
    line.and_then(|l| l.split_whitespace().nth(4))
        .unwrap()
        .to_owned()
}

#[test]
fn a_process_that_may_hold_values_leaves_no_dump() {
    let (dir, program) = named("locket");
    let socket = dir.path().join("controller.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    for role in ["anchor", "api"] {
        let mut child = command(&program)
            .arg(role)
            .env("LOCKET_SOCKET", &socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let found = loop {
            let owner = std::fs::metadata(format!("/proc/{}/status", child.id()))
                .unwrap()
                .uid();
            let found = (core_limit(child.id()), owner);
            if found == ("0".to_owned(), 0) || Instant::now() > until {
                break found;
            }
            std::thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, ("0".to_owned(), 0), "{role}");
    }
}

#[test]
fn an_application_inherits_nothing_of_that() {
    let (dir, shim) = named("docker-init");
    let volume = dir.path().join("v");
    std::fs::create_dir_all(volume.join(".locket/1")).unwrap();
    std::fs::write(volume.join(".locket/1/env"), "KEY=1\0").unwrap();
    symlink(".locket/1", volume.join("..data")).unwrap();
    let ask = ["sh", "-c", "ulimit -Sc; stat -c %u /proc/self/status"];
    // As much as is allowed: the limit of whoever runs the tests may be nothing already.
    let raised = |program: &Path| {
        let mut command = command(Path::new("sh"));
        let script = "ulimit -Sc $(ulimit -Hc); exec \"$@\"";
        command.args(["-c", script, "sh"]).arg(program);
        command
    };
    let expected = raised(Path::new(ask[0])).args(&ask[1..]).output().unwrap();
    let output = raised(&shim)
        .arg("--")
        .args(ask)
        .env("LOCKET_SHIM", format!("path={}", volume.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, expected.stdout);
    assert!(!expected.stdout.ends_with(b"\n0\n"), "{expected:?}");
}
