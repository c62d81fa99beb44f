//! Files and env reach every kind of container, byte for byte.
//! No twin on the fake engine: it is about real images, kernels and programs.

use locket_e2e::{Container, Project, eventually};

const COMPOSE: &str = r#"
x-locket:
  secrets:
    dollar: local:dollar
    quotes: local:quotes
    lines: local:lines
    unicode: local:unicode
    binary: local:binary
    big: local:big
    pg: local:pg

x-app: &app
  image: locket-test/busybox
  pull_policy: never
  command: [sleep, "86400"]
  stop_signal: SIGKILL
  depends_on: [locket]
  x-locket: &all
    secrets: [dollar, quotes, lines, unicode, binary, big]
    env: { DOLLAR: dollar, QUOTES: quotes, LINES_: lines, UNICODE: unicode, URL: "postgres://u:{{ quotes | urlencode }}@db/app" }

services:
  locket: { provider: { type: locket } }
  box: *app
  scratch:
    <<: *app
    image: locket-test/scratch
    command: []
    healthcheck: { test: [CMD, /app, check, /run/secrets/dollar], interval: 1s }
  strict:
    <<: *app
    user: "1000:1000"
    read_only: true
  drops:
    <<: *app
    image: locket-test/drops
  tty:
    <<: *app
    tty: true
    stdin_open: true
  reaper:
    <<: *app
    init: true
  db:
    image: locket-test/postgres:15
    pull_policy: never
    depends_on: [locket]
    environment: { POSTGRES_PASSWORD_FILE: /run/secrets/pg }
    x-locket: { secrets: [pg], env: { PG: pg } }
    healthcheck:
      test: [CMD-SHELL, 'PGPASSWORD="$$PG" psql -h 127.0.0.1 -U postgres -Atc "select 1"']
      interval: 1s
      start_period: 30s
"#;

/// Name, variable, value. Values without a NUL go into env too.
fn values() -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    let text = |s: &str| s.as_bytes().to_vec();
    vec![
        (
            "dollar",
            Some("DOLLAR"),
            text("pa$$w0rd-${HOME}-$1-`id`-#x"),
        ),
        (
            "quotes",
            Some("QUOTES"),
            text(r#"it's "quoted" \ back\n {{ not }} a template"#),
        ),
        (
            "lines",
            Some("LINES_"),
            text("-----BEGIN-----\nfirst line here\n\nsecond = line: here\n"),
        ),
        (
            "unicode",
            Some("UNICODE"),
            text("pässwörd-ключ-鍵-🔑-\u{202e}end"),
        ),
        ("binary", None, (0..=255).chain([0, 10, 0]).collect()),
        ("big", None, "0123456789abcdef".repeat(1 << 16).into_bytes()),
    ]
}

#[test]
fn files_and_env_reach_every_kind_of_container() {
    let mut p = Project::new("reach", COMPOSE);
    let values = values();
    for (name, _, value) in &values {
        p.store(name, value);
    }
    let pg = p.canary("pg");
    p.store("pg", &pg);
    p.up(&["--wait", "--wait-timeout", "120"]);

    for service in ["box", "strict", "drops", "tty", "reaper", "scratch"] {
        let it = p.container(service);
        let scratch = service == "scratch";
        for (name, variable, value) in &values {
            let path = format!("/run/secrets/{name}");
            let read = if scratch {
                it.read_scratch(&path)
            } else {
                it.read(&path)
            };
            assert_eq!(read.as_ref(), Some(value), "file {name} in {service}");
            let Some(variable) = variable else { continue };
            let env = match service {
                "scratch" => it.env_scratch(variable),
                // PID 1 is the reaping init; the application is its child.
                "reaper" => child_env(&it, variable),
                _ => it.env(variable),
            };
            assert_eq!(env.as_ref(), Some(value), "{variable} in {service}");
            assert!(
                !it.inspect.to_string().contains(variable),
                "{variable} is in the inspect of {service}"
            );
            if !scratch {
                let shown = it.exec(&["env"]).ok().text();
                assert!(
                    !shown.contains(variable),
                    "{variable} is in docker exec {service} env"
                );
            }
        }
    }

    let it = p.container("box");
    assert_eq!(
        it.env("URL").unwrap(),
        br"postgres://u:it%27s%20%22quoted%22%20%5C%20back%5Cn%20%7B%7B%20not%20%7D%7D%20a%20template@db/app"
    );
    let mode = it
        .exec(&["stat", "-Lc", "%a %u:%g", "/run/secrets/dollar"])
        .ok()
        .text();
    assert_eq!(mode, "444 0:0");
    it.exec(&["touch", "/run/secrets/mine"]).fails();
    let mounts = it.exec(&["cat", "/proc/mounts"]).ok().text();
    assert!(mounts.contains("tmpfs /run/secrets tmpfs ro"), "{mounts}");
    let through = it.exec(&[
        "/sbin/docker-init",
        "with-env",
        "--",
        "sh",
        "-c",
        "printf %s \"$DOLLAR\"",
    ]);
    assert_eq!(
        through.says_values().ok().stdout,
        values[0].2,
        "with-env gives a command the variables"
    );

    for service in ["scratch", "db"] {
        assert_eq!(p.container(service).health(), "healthy", "{service}");
    }
    p.finish();
}

fn child_env(it: &Container, variable: &str) -> Option<Vec<u8>> {
    let script = format!(
        "for p in $(pidof sleep); do tr '\\0' '\\n' </proc/$p/environ | grep -q ^{variable}= && cat /proc/$p/environ && break; done"
    );
    let all = it.exec(&["sh", "-c", &script]).says_values().any().stdout;
    let prefix = format!("{variable}=");
    let mut lines = all.split(|b| *b == 0);
    lines
        .find_map(|line| line.strip_prefix(prefix.as_bytes()))
        .map(<[u8]>::to_vec)
}

const OWNERS: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    user: "1000:1000"
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket:
      path: /etc/app
      secrets:
        - { source: key, target: plain }
        - { source: key, target: deep/er/by-number, uid: 33, gid: 33, mode: 0440 }
        - { source: key, target: by-name, uid: www-data, gid: www-data, mode: "0400" }
        - { source: key, target: of-service, uid: service, gid: service, mode: 0400 }
      templates:
        - { content: "password = {{ key | json_string }}\n", target: app.conf }
        - { source: ./main.tpl, target: main.conf }
"#;

#[test]
fn owner_mode_path_and_templates_are_as_asked() {
    let mut p = Project::new("owners", OWNERS);
    p.write("main.tpl", "[main]\nkey={{ key }}\nliteral={{ \"{{\" }}\n");
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let it = p.container("app");
    let stat = |name: &str| {
        it.exec(&["stat", "-Lc", "%a %u:%g", &format!("/etc/app/{name}")])
            .ok()
            .text()
    };
    assert_eq!(stat("plain"), "444 0:0");
    assert_eq!(stat("deep/er/by-number"), "440 33:33");
    assert_eq!(stat("by-name"), "400 33:33");
    assert_eq!(stat("of-service"), "400 1000:1000");
    assert_eq!(it.read("/etc/app/of-service").unwrap(), key.as_bytes());
    assert_eq!(
        it.read("/etc/app/by-name"),
        None,
        "not readable by another user"
    );
    assert_eq!(
        it.read("/etc/app/app.conf").unwrap(),
        format!("password = \"{key}\"\n").as_bytes()
    );
    assert_eq!(
        it.read("/etc/app/main.conf").unwrap(),
        format!("[main]\nkey={key}\nliteral={{{{\n").as_bytes()
    );
    p.finish();
}

const UPGRADED: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  app:
    image: IMAGE:1
    pull_policy: never
    user: owner
    command: [sh, -c, 'cat /run/secrets/key >/tmp/seen || exit 1; exec sleep 86400']
    depends_on: [locket]
    x-locket: { secrets: [{ source: key, uid: owner, mode: "0400" }] }
"#;

/// The number behind a user's name is the new image's before its container is there, and without a controller.
#[test]
fn an_image_in_which_the_owner_has_another_number_is_served() {
    let mut p = Project::new("upgraded", UPGRADED);
    let image = format!("{}-image", p.name());
    p.edit("compose.yaml", "IMAGE", &image);
    let tags = [("1", "1000"), ("2", "2000")].map(|(tag, uid)| {
        let tag = format!("{image}:{tag}");
        let line = format!("echo owner:x:{uid}:{uid}::/:/bin/sh >>/etc/passwd");
        let made = [
            "run",
            "--name",
            &image,
            "locket-test/busybox",
            "sh",
            "-c",
            &line,
        ];
        p.docker(&made).ok();
        p.docker(&["commit", &image, &tag]).ok();
        p.docker(&["rm", &image]).ok();
        tag
    });
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let seen = |p: &Project| {
        eventually(30, "the application has read its file", || {
            p.container("app").read("/tmp/seen")
        })
    };
    assert_eq!(seen(&p), key.as_bytes());
    p.edit("compose.yaml", &tags[0], &tags[1]);
    p.up(&[]);
    assert_eq!(seen(&p), key.as_bytes());
    let owner = ["stat", "-Lc", "%u", "/run/secrets/key"];
    assert_eq!(p.container("app").exec(&owner).ok().text(), "2000");
    // Images are nobody's business at the end of a scenario but of the one that makes them.
    p.compose(&["rm", "-sf", "app"]).ok();
    p.docker(&["rmi", &tags[0], &tags[1]]).ok();
    p.finish();
}

const WAITS: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    restart: on-failure
    command: [sh, -c, 'trap "exit 7" TERM; while :; do sleep 1 & wait; done']
    depends_on: [locket]
    x-locket: { env: { KEY: key } }
"#;

#[test]
fn signals_and_exit_codes_pass_the_shim() {
    let mut p = Project::new("signals", WAITS);
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let it = p.container("app");
    eventually(10, "the application has taken over", || it.env("KEY"));
    assert_eq!(
        it.exec(&["cat", "/proc/1/comm"]).ok().text(),
        "sh",
        "PID 1 is the application itself"
    );
    p.compose(&["stop", "app"]).ok();
    assert_eq!(
        p.container("app").exit_code(),
        Some(7),
        "it got SIGTERM, and its code is the container's"
    );
    p.finish();
}
