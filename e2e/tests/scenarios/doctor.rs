//! `docker locket doctor` on a real engine: what it says of a healthy one, of none, and what it takes away.
//! No twin on the fake engine: it is about a real machine, the docker CLI and its plugins.

use std::time::{Duration, Instant};

use locket_e2e::{Output, Project, Run, eventually};
use serde_json::Value;

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: [key]
"#;

/// The findings, each with check, level and message.
fn findings(output: &Output) -> Vec<(String, String, String)> {
    let it: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(it["version"], 1);
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    let all = it["findings"].as_array().unwrap();
    all.iter()
        .map(|it| {
            assert_eq!(it["cure"].is_null(), it["level"] == "ok", "{it}");
            (text(it, "check"), text(it, "level"), text(it, "message"))
        })
        .collect()
}

fn of<'a>(all: &'a [(String, String, String)], check: &str) -> Vec<&'a (String, String, String)> {
    all.iter().filter(|(name, ..)| name == check).collect()
}

/// Findings that name this, and are not `ok`.
fn about(all: &[(String, String, String)], name: &str) -> Vec<(String, String, String)> {
    let is_about = |it: &&(String, String, String)| it.1 != "ok" && it.2.contains(name);
    all.iter().filter(is_about).cloned().collect()
}

#[test]
fn a_healthy_machine_has_no_error_and_a_broken_one_says_what_and_how() {
    let mut p = Project::new("doctor", COMPOSE);
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let out = p.locket(&["doctor", "--json"]).ok();
    let all = findings(&out);
    assert!(all.iter().all(|(_, level, _)| level != "error"), "{all:?}");
    for check in [
        "engine", "platform", "compose", "plugin", "sources", "clock",
    ] {
        let found = of(&all, check);
        assert!(!found.is_empty(), "{check}");
        assert!(found.iter().all(|(_, level, _)| level == "ok"), "{found:?}");
    }
    assert_eq!(about(&all, p.name()), [], "other projects may be there");
    let text = p.locket(&["doctor"]).ok().text();
    assert!(text.contains("source local answers"), "{text}");

    // Without its anchor nothing keeps the secrets; without its file the source is none.
    let anchor = p.anchors().remove(0);
    p.docker(&["stop", "--time", "1", &anchor.id]).ok();
    let all = findings(&p.locket(&["doctor", "--json"]).ok());
    let found = about(&all, anchor.name());
    assert_eq!(found[0].1, "warning", "{all:?}");
    p.docker(&["start", &anchor.id]).ok();
    p.edit("compose.yaml", "local:key", "file:nothing/here");
    let all = findings(&p.locket(&["doctor", "--json"]).any());
    assert_eq!(
        of(&all, "sources")[0].1,
        "ok",
        "a missing secret is no fault of its source"
    );
    p.finish();
}

#[test]
fn without_an_engine_it_says_so_within_seconds() {
    let p = Project::new("no-engine", COMPOSE);
    let begin = Instant::now();
    let run = p.locket(&["doctor", "--json"]);
    let out = run.env("DOCKER_HOST", "unix:///nowhere/docker.sock").any();
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(out.code, 1, "{}", out.all());
    let all = findings(&out);
    for (check, level) in [
        ("engine", "error"),
        ("socket", "error"),
        ("compose", "ok"),
        ("plugin", "ok"),
        ("store", "note"),
    ] {
        assert_eq!(of(&all, check)[0].1, level, "{check}: {all:?}");
    }
}

/// Containers and images that are not locket's business, or that only look like it.
struct Planted<'a>(&'a Project, Vec<String>);

impl Drop for Planted<'_> {
    fn drop(&mut self) {
        let names: Vec<&str> = self.1.iter().map(String::as_str).collect();
        let _ = self.0.docker(&[&["rm", "-fv"], &names[..]].concat()).any();
    }
}

#[test]
fn fix_removes_what_is_ours_and_left_over_and_nothing_else() {
    let mut p = Project::new("leftovers", COMPOSE);
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let anchor = p.anchors().remove(0).name().to_owned();

    // A look-alike in every label and name, on a foreign image; and one of an earlier version's.
    let alike = "locket-store-0123456789ab".to_owned();
    let old = old_store(&p);
    let planted = Planted(&p, vec![alike.clone(), old.clone()]);
    let mount = "type=volume,source=locket-state,target=/s,volume-nocopy";
    let create = [
        "create",
        "--name",
        &alike,
        "--label",
        "locket.role=store",
        "--network",
        "none",
        "--mount",
        mount,
    ];
    p.docker(&[&create[..], &["locket-test/busybox", "store"]].concat())
        .ok();

    let out = p.locket(&["doctor", "--fix", "--yes"]).ok().all();
    assert!(out.contains(&format!("removed container {old}")), "{out}");
    assert!(
        out.contains(&format!("container {alike} looks like locket's")),
        "{out}"
    );
    assert!(
        !is_there(&p, &old) && is_there(&p, &alike) && is_there(&p, &anchor),
        "{out}"
    );

    // The project dies without a word.
    let app = p.container("app").id;
    p.docker(&["rm", "-f", &app]).ok();
    let found = eventually(30, "the anchor is old enough to be left over", || {
        let text = p.locket(&["doctor"]).ok().text();
        text.contains(&format!("container {anchor}: the anchor of project"))
            .then_some(text)
    });
    assert!(
        found.contains("`docker locket doctor --fix` removes it"),
        "{found}"
    );
    p.locket(&["doctor", "--fix"]).fails();
    assert!(is_there(&p, &anchor), "nobody was here to ask");
    p.locket(&["doctor", "--fix", "--yes"]).ok();
    assert!(!is_there(&p, &anchor));
    let volume = format!("{}_locket", p.name());
    p.docker(&["volume", "inspect", &volume]).ok();
    p.docker(&["volume", "inspect", "locket-state"]).ok();
    drop(planted);
    p.up(&[]);
    assert_eq!(
        p.container("app").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    p.finish();
}

fn is_there(p: &Project, container: &str) -> bool {
    p.docker(&["container", "inspect", container]).any().code == 0
}

/// The ended store container of another version: this program with some bytes more, as it is imported.
fn old_store(p: &Project) -> String {
    let binary = p.dir().join("locket-old");
    let mut bytes = std::fs::read(locket_e2e::binary()).unwrap();
    bytes.extend(b"another version");
    std::fs::write(&binary, bytes).unwrap();
    let run: Run = p.program("chmod", &["+x", binary.to_str().unwrap()]);
    run.ok();
    let list = [
        "ps",
        "-a",
        "--filter",
        "label=locket.role=store",
        "--format",
        "{{.Names}}",
    ];
    let before = p.docker(&list).ok().text();
    p.locket(&["--image", binary.to_str().unwrap(), "secret", "list"])
        .ok();
    std::fs::remove_file(binary).unwrap();
    let after = p.docker(&list).ok().text();
    let name = after.lines().find(|it| !before.lines().any(|b| b == *it));
    let name = name
        .unwrap_or_else(|| panic!("{before} {after}"))
        .to_owned();
    eventually(30, "the store's container has ended", || {
        let state = p
            .docker(&["inspect", "--format", "{{.State.Status}}", &name])
            .ok()
            .text();
        (state.trim() == "exited").then_some(())
    });
    name
}
