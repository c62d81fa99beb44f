//! `init` on projects as people write them: compose reads what it read before, and what was added.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::projects;

fn run(dir: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        // Neither needs an engine for it.
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match out.status.success() {
        true => Ok(text(&out.stdout)),
        false => Err(text(&out.stderr)),
    }
}

fn model(dir: &Path) -> Result<Value, String> {
    let args = ["compose", "--profile", "*", "config", "--format", "json"];
    let text = run(
        dir,
        "docker",
        &[&args[..], &["--no-env-resolution"]].concat(),
    )?;
    serde_json::from_str(&text).map_err(|e| e.to_string())
}

/// What is there no more, or is another.
fn lost(path: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, it) in before {
                let path = format!("{path}.{key}");
                match after.get(key) {
                    Some(now) => lost(&path, it, now, out),
                    None => out.push(path),
                }
            }
            let added = after.keys().filter(|key| !before.contains_key(*key));
            out.extend(
                added
                    .filter(|key| !is_ours(path, key))
                    .map(|key| format!("{path}.{key} is new")),
            );
        }
        (Value::Array(before), Value::Array(after)) if path.ends_with(".volumes") => {
            let missing = before.iter().filter(|it| !after.contains(it));
            out.extend(missing.map(|it| format!("{path}: {it}")));
        }
        // A check that uses variables of ours is called through the shim: the same words at its end.
        (Value::Array(before), Value::Array(after)) if path.ends_with(".healthcheck.test") => {
            if before != after && before.last() != after.last() {
                out.push(path.to_owned());
            }
        }
        _ if before == after => {}
        _ => out.push(format!("{path}: {before} is {after}")),
    }
}

/// Whether a key may be new there.
fn is_ours(path: &str, key: &str) -> bool {
    let parts: Vec<&str> = path.split('.').skip(1).collect();
    match parts.as_slice() {
        [] => matches!(key, "volumes" | "services"),
        ["volumes"] => key.starts_with("locket"),
        ["services"] => key.starts_with("locket"),
        ["services", _] => matches!(
            key,
            "depends_on" | "environment" | "init" | "volumes" | "stop_signal"
        ),
        ["services", _, "depends_on"] => key.starts_with("locket"),
        ["services", _, "environment"] => key.starts_with("LOCKET_"),
        _ => false,
    }
}

/// Every second project, because each takes a second.
fn init_adds_and_changes_nothing(rest: usize) {
    let mut changed = 0;
    let all = projects::all().into_iter().enumerate();
    for (_, (name, mut files)) in all.filter(|(n, _)| n % 2 == rest) {
        let dir = tempfile::tempdir().unwrap();
        // The generated file is still to come.
        for (_, text) in &mut files {
            *text = text.replace(":compose.locket.yaml", "");
        }
        projects::write(dir.path(), &files);
        let models = |n: usize| -> Vec<Value> {
            let one = |_| model(dir.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
            (0..n).map(one).collect()
        };
        // Compose 2.40 reads `!reset` below `extends` now one way and now another: one of ten times, without anybody's doing.
        let resets = files.iter().any(|(_, text)| text.contains("!reset"));
        let tries = if resets { 12 } else { 1 };
        let before = models(tries);
        let locket = env!("CARGO_BIN_EXE_locket");
        run(dir.path(), locket, &["init", "--yes"]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let after = models(1).remove(0);
        let differences = before.iter().map(|before| {
            let mut out = Vec::new();
            lost("", before, &after, &mut out);
            out
        });
        let least = differences.min_by_key(Vec::len).unwrap();
        assert_eq!(least, Vec::<String>::new(), "{name}");
        changed += usize::from(!before.contains(&after));
        let check = ["check", "--strict"];
        run(dir.path(), locket, &check).unwrap_or_else(|e| panic!("{name}: {e}"));
        // A second run has nothing to do.
        let files = |dir: &Path| {
            run(
                dir,
                "sh",
                &["-c", "find . -type f | sort | xargs sha256sum"],
            )
        };
        let once = files(dir.path());
        run(dir.path(), locket, &["init", "--yes"]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(files(dir.path()), once, "{name}");
    }
    assert!(changed >= 10, "{changed} had something to add");
}

#[test]
fn real_compose_reads_what_it_read_before_and_what_init_has_added() {
    init_adds_and_changes_nothing(0);
}

#[test]
fn real_compose_reads_the_same_of_the_other_half() {
    init_adds_and_changes_nothing(1);
}
