//! Compose's provider protocol: nothing but JSON lines on standard output, whatever happens.

use std::process::{Command, Output};

fn call(args: &[&str], dir: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_locket"))
        .args(args)
        .current_dir(dir)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("DOCKER_CONFIG", dir)
        .env("LOCKET_SOCKET", dir.join("none.sock"))
        .env_remove("COMPOSE_FILE")
        .output()
        .unwrap()
}

/// The lines as (type, message); fails at the first that is no such line.
fn lines(output: &Output) -> Vec<(String, String)> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let one = |line: &str| {
        let it: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        let text = |key: &str| {
            it[key]
                .as_str()
                .unwrap_or_else(|| panic!("{line:?} has no {key}"))
                .to_owned()
        };
        (text("type"), text("message"))
    };
    text.lines().map(one).collect()
}

#[test]
fn metadata_is_one_json_object() {
    let dir = tempfile::tempdir().unwrap();
    let output = call(&["compose", "metadata"], dir.path());
    assert!(output.status.success());
    let it: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(it["up"]["parameters"][0]["name"], "file");
    assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), 1);
}

#[test]
fn every_failure_is_one_error_line_and_a_bad_end() {
    let dir = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("compose.yaml"),
        "services: { locket: { provider: { type: locket } } }\n",
    )
    .unwrap();
    let cases: [(&[&str], &std::path::Path, &str); 6] = [
        (&["compose"], dir.path(), "asks for nothing"),
        (&["compose", "pull"], dir.path(), "does not know"),
        (&["compose", "up", "locket"], dir.path(), "names no project"),
        (
            &["compose", "--project-name=p", "up", "locket"],
            empty.path(),
            "no compose file",
        ),
        (
            &[
                "compose",
                "--project-name=p",
                "up",
                "--file=none.yaml",
                "locket",
            ],
            dir.path(),
            "none.yaml",
        ),
        (
            &["compose", "--project-name=p", "down", "locket"],
            dir.path(),
            "no engine answers at unix:///nowhere/docker.sock",
        ),
    ];
    for (args, dir, wanted) in cases {
        let output = call(args, dir);
        let said = lines(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said:?}");
        assert_eq!(said.len(), 1, "{args:?}: {said:?}");
        assert!(
            said[0].0 == "error" && said[0].1.contains(wanted),
            "{args:?}: {said:?}"
        );
    }
}

#[test]
fn stop_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = call(
        &["compose", "--project-name=p", "stop", "locket"],
        dir.path(),
    );
    assert!(output.status.success() && output.stdout.is_empty());
}

#[test]
fn the_docker_cli_finds_a_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let output = call(&["docker-cli-plugin-metadata"], dir.path());
    let it: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(it["SchemaVersion"], "0.1.0");
    for args in [
        &["--version"][..],
        &["locket", "--version"],
        &["--context", "x", "locket", "--version"],
    ] {
        let text = String::from_utf8(call(args, dir.path()).stdout).unwrap();
        assert_eq!(
            text.trim(),
            concat!("locket ", env!("CARGO_PKG_VERSION")),
            "{args:?}"
        );
    }
}
