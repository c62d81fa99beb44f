//! What `generate` adds, as real compose reads it: the same whichever way it is added, and nothing of the user's is lost.
//! No twin on the fake engine: it is about the file that is written, and about compose's parsing.

use locket_e2e::Project;

/// Everything that can be generated: a plain service, one with env and a check, one with a path and its own `init`.
const COMPOSE: &str = r#"# the shop
x-locket: { secrets: { key: local:key } }
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  command: [sleep, "86400"]
services:
  plain:
    <<: *app
    x-locket: [key]
  api:
    <<: *app
    environment: [A=1]                # as before
    healthcheck: { test: 'test -n "$$KEY" && echo ${HOME}', interval: 2s }
    x-locket: { env: { KEY: key } }
  job:
    <<: *app
    profiles: [jobs]
    init: true
    x-locket: { secrets: [key], path: /etc/app }
"#;

/// The same by hand.
const BY_HAND: &str = r#"
services:
  locket: { provider: { type: locket } }
  plain:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    depends_on: [locket]
    init: true
    volumes:
      - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }
      - { type: volume, source: locket-plain, target: /run/secrets, read_only: true, volume: { nocopy: true } }
  api:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    depends_on: [locket]
    environment: [A=1]
    init: true
    healthcheck:
      test: [CMD, /sbin/docker-init, with-env, --, /bin/sh, -c, 'test -n "$$KEY" && echo ${HOME}']
      interval: 2s
    volumes:
      - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }
      - { type: volume, source: locket-api, target: /run/secrets, read_only: true, volume: { nocopy: true } }
  job:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    profiles: [jobs]
    depends_on: [locket]
    environment: [LOCKET_SHIM=path=/etc/app;init=reap]
    init: true
    volumes:
      - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }
      - { type: volume, source: locket-job, target: /etc/app, read_only: true, volume: { nocopy: true } }
volumes:
  locket: {}
  locket-plain: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
  locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
  locket-job: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
"#;

/// What decides whether compose recreates a container, and the volumes.
fn hashes(p: &Project) -> String {
    let args = ["--profile", "*", "config", "--hash", "*"];
    let all = p.compose(&args).env("HOME", "/root").ok().text();
    let volumes = p.compose(&["config", "--format", "json"]).ok().text();
    let model: serde_json::Value = serde_json::from_str(&volumes).unwrap();
    let mut volumes = model["volumes"].clone();
    for it in volumes.as_object_mut().unwrap().values_mut() {
        it.as_object_mut().unwrap().remove("name");
    }
    format!("{}\n{volumes}", all.trim())
}

#[test]
fn whatever_way_it_is_added_compose_reads_the_same() {
    let p = Project::new("same", BY_HAND);
    let by_hand = hashes(&p);
    p.finish();

    let p = Project::new("same-file", COMPOSE);
    p.locket(&["generate"]).fails();
    p.locket(&["generate", "--check"]).fails();
    p.locket(&["generate", "--yes"]).ok();
    assert_eq!(hashes(&p), by_hand, "a generated file");
    p.locket(&["generate", "--check"]).ok();
    let (own, generated) = (read(&p, "compose.yaml"), read(&p, "compose.override.yaml"));
    for line in COMPOSE.lines() {
        assert!(own.lines().any(|l| l == line), "{line} is lost in\n{own}");
    }
    p.locket(&["generate"]).ok();
    assert_eq!(
        (read(&p, "compose.yaml"), read(&p, "compose.override.yaml")),
        (own, generated),
        "again: no change"
    );
    p.finish();

    let p = Project::new("same-inline", COMPOSE);
    p.locket(&["generate", "--yes", "--inline"]).ok();
    assert!(!p.dir().join("compose.override.yaml").exists());
    assert_eq!(hashes(&p), by_hand, "the user's own file");
    p.locket(&["generate", "--check"]).ok();
    p.finish();

    let p = Project::new("same-beside", COMPOSE);
    p.write(
        "compose.override.yaml",
        "services: { plain: { labels: { x: \"y\" } } }\n",
    );
    p.write(".env", "MINE=1\n");
    p.locket(&["generate", "--yes"]).ok();
    assert_eq!(
        read(&p, ".env"),
        "MINE=1\nCOMPOSE_FILE=compose.yaml:compose.override.yaml:compose.locket.yaml\n"
    );
    let plain = |text: &str| {
        text.lines()
            .find(|l| l.starts_with("plain "))
            .map(str::to_owned)
    };
    let both = hashes(&p);
    assert_ne!(
        plain(&both),
        plain(&by_hand),
        "the user's override is still read"
    );
    assert_eq!(
        both.lines()
            .filter(|l| !l.starts_with("plain "))
            .collect::<Vec<_>>(),
        by_hand
            .lines()
            .filter(|l| !l.starts_with("plain "))
            .collect::<Vec<_>>(),
        "and so is ours"
    );
    p.locket(&["generate", "--check"]).ok();
    p.finish();
}

/// Hashes of Compose 2.40. If one changes with the same Compose, everybody's containers would be recreated.
const FROZEN: &str = r#"
api e51a880177cc0f49ae14cd8b7248ba831716c908c6ea6d5a73bfd60488d6ca5d
job 9e61402bcfaa4494f28fa2f562e553a030a66e320f223df4f5bfbe156b204691
locket c2ac73673ddec0177ba8fc331683fd69d525661aa18edf360e6a24a5c098666b
plain 5b90c6823a1f28d0767d85ce08a6d0ed550ac79f211a13d0f3bcdab55b3a3ccd
{"locket":{},"locket-api":{"driver":"local","driver_opts":{"device":"tmpfs","o":"size=64m,mode=0755,nosuid,nodev,noexec","type":"tmpfs"}},"locket-plain":{"driver":"local","driver_opts":{"device":"tmpfs","o":"size=64m,mode=0755,nosuid,nodev,noexec","type":"tmpfs"}}}
"#;

#[test]
fn the_config_hashes_are_frozen() {
    let p = Project::new("frozen", COMPOSE);
    p.locket(&["generate", "--yes"]).ok();
    let found = hashes(&p);
    let version = p.compose(&["version", "--short"]).ok().text();
    if version.starts_with("2.40.") {
        assert_eq!(found.trim(), FROZEN.trim());
    } else {
        // Another Compose may hash another way: then all that can be said is said above, against what is written by hand.
        assert!(!found.is_empty());
    }
    p.finish();
}

#[test]
fn up_adds_the_same_in_memory() {
    let mut p = Project::new("memory", COMPOSE);
    let key = p.canary("key");
    p.store("key", &key);
    p.locket(&["up", "-d", "plain"]).ok();
    let it = p.container("plain");
    assert_eq!(it.read("/run/secrets/key").unwrap(), key.as_bytes());
    assert_eq!(read(&p, "compose.yaml"), COMPOSE, "nothing is written");
    p.locket(&["generate", "--yes"]).ok();
    p.compose(&["up", "-d", "plain"]).ok();
    assert_eq!(p.container("plain"), it, "a generated file changes nothing");
    p.finish();
}

fn read(p: &Project, name: &str) -> String {
    std::fs::read_to_string(p.dir().join(name)).unwrap()
}
