//! `check --offline` of a large project, against compose, which reads the same files.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use locket_e2e::table::{Samples, Table, ratio};

const SERVICES: usize = 500;
const SECRETS: usize = 300;

/// Ten lines for each service.
fn compose_file() -> String {
    let mut text = "x-locket:\n  secrets:\n".to_owned();
    for n in 0..SECRETS {
        let _ = writeln!(text, "    s{n}: local:s{n}");
    }
    text.push_str("services:\n  locket: { provider: { type: locket } }\n");
    for n in 0..SERVICES {
        let secret = n % SECRETS;
        let _ = write!(
            text,
            "  svc{n}:\n    image: nginx:1.27\n    depends_on: [locket]\n    environment:\n      NUMBER: value-{n}\n      NEXT: http://svc{n}:80/\n    ports: ['80']\n    x-locket:\n      secrets: [s{secret}]\n      on_change: restart\n"
        );
    }
    text
}

fn run(dir: &Path, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Duration {
    let begun = Instant::now();
    let end = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(end.success(), "{args:?} ended with {end}");
    begun.elapsed()
}

/// The user's file, and the one that `generate` has made of it.
pub fn offline(table: &mut Table, rounds: usize) {
    let dir = tempfile::tempdir().unwrap();
    let text = compose_file();
    let own = text.lines().count();
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let binary = locket_e2e::binary();
    run(dir.path(), &binary, &["generate"]);
    let generated = std::fs::read_to_string(dir.path().join("compose.override.yaml")).unwrap();
    let (mut check, mut compose) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        check.add(run(dir.path(), &binary, &["check", "--offline"]));
        compose.add(run(dir.path(), "docker", &["compose", "config", "-q"]));
    }
    table.goal(
        format!(
            "`check --offline`, {SERVICES} services in {own} lines, and the {} that `generate` has added",
            generated.lines().count()
        ),
        "< 100 ms",
        format!("{check}; {} of compose", ratio(&check, &compose)),
        check.median() < Duration::from_millis(100),
    );
    table.plain(
        "… `docker compose config -q`, which reads the same files",
        compose.to_string(),
    );
}
