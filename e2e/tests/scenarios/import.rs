//! Values that are written in a project's files move into the store, and every service sees what it saw before.
//! No twin on the fake engine: it is about the user's files, and about compose's reading of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use locket_e2e::{Bao, Project};

const FILES: [&str; 4] = ["compose.yaml", ".env", "api.env", "token.txt"];

/// A project with values in all the places where people write them.
fn project(name: &str) -> Project {
    let mut p = Project::new(name, "services: {}\n");
    let mut canary = |name: &str| p.canary(name);
    let (db, key, smtp, token) = (canary("db"), canary("key"), canary("smtp"), canary("token"));
    let (pem, jwt) = (canary("pem"), canary("jwt"));
    p.write(
        "compose.yaml",
        format!(
            r#"# the shop
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  command: [sleep, "86400"]
x-env: &env
  JWT_SECRET: 'it''s {jwt} # ü'   # all of them
services:
  api:
    <<: *app
    env_file: api.env
    environment:
      <<: *env
      # the database
      DB_PASSWORD: ${{DB_PASSWORD}}
      DATABASE_URL: "postgres://app:${{DB_PASSWORD}}@db/app"
      LOG_LEVEL: info
    secrets: [token]
  web:
    <<: *app
    environment:
      - "API_KEY=a \"b\" $$HOME {key} # ü\\"
      - DB_PASSWORD
  job: {{ <<: *app, environment: *env }}
secrets:
  token: {{ file: ./token.txt }}
"#
        ),
    );
    p.write(
        ".env",
        format!("# for compose\nPLAIN=1\nexport DB_PASSWORD='$x {db} #\"'   # rotate me\n"),
    );
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    p.write(
        "api.env",
        format!("SMTP_PASSWORD=\"{smtp} \\\"q\\\"\"\nTLS_KEY=\"{pem}\"\nMODE=api"),
    );
    p.write("token.txt", format!("{token}\n"));
    for (name, mode) in FILES.iter().zip([0o644, 0o600, 0o640, 0o400]) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(p.dir().join(name), mode).unwrap();
    }
    p
}

type Seen = BTreeMap<(&'static str, &'static str), Vec<u8>>;

const VARIABLES: [(&str, &str); 10] = [
    ("api", "DB_PASSWORD"),
    ("api", "DATABASE_URL"),
    ("api", "SMTP_PASSWORD"),
    ("api", "TLS_KEY"),
    ("api", "MODE"),
    ("api", "LOG_LEVEL"),
    ("api", "JWT_SECRET"),
    ("web", "API_KEY"),
    ("web", "DB_PASSWORD"),
    ("job", "JWT_SECRET"),
];

/// What services would see before the import, as compose says. They are not started with it: Docker would keep the values on its disk.
fn meant(p: &Project) -> Seen {
    let said = p
        .compose(&["config", "--format", "json"])
        .says_values()
        .ok();
    let model: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let value = |(service, name): (&'static str, &'static str)| {
        let text = model["services"][service]["environment"][name]
            .as_str()
            .unwrap();
        ((service, name), text.replace("$$", "$").into_bytes())
    };
    let mut out: Seen = VARIABLES.into_iter().map(value).collect();
    out.insert(
        ("api", "file"),
        std::fs::read(p.dir().join("token.txt")).unwrap(),
    );
    out
}

/// What they see.
fn seen(p: &Project) -> Seen {
    let value = |(service, name): (&'static str, &'static str)| {
        (
            (service, name),
            p.container(service).env(name).unwrap_or_default(),
        )
    };
    let mut out: Seen = VARIABLES.into_iter().map(value).collect();
    let file = p.container("api").read("/run/secrets/token");
    out.insert(("api", "file"), file.unwrap_or_default());
    out
}

/// Bytes and modes of everything in the project's folder.
fn files(p: &Project) -> BTreeMap<String, (Vec<u8>, u32)> {
    let mut out = BTreeMap::new();
    let mut left = vec![p.dir().to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            let name = path.strip_prefix(p.dir()).unwrap().display().to_string();
            out.insert(name, (std::fs::read(&path).unwrap(), mode));
        }
    }
    out
}

/// Removes what the import has put into the store.
fn forget(p: &Project) {
    let all = [
        "api-key",
        "db-password",
        "jwt-secret",
        "locket-import-undo",
        "smtp-password",
        "tls-key",
        "token",
    ];
    p.locket(&[&["secret", "rm", "--yes"], &all[..]].concat())
        .ok();
}

#[test]
fn an_imported_project_sees_what_it_saw_and_can_be_taken_back() {
    let mut p = project("import");
    let (before, meant_before) = (files(&p), meant(&p));
    assert!(meant_before.values().all(|it| !it.is_empty()));

    let said = p.locket(&["init", "--import"]).fails();
    assert!(said.all().contains("DB_PASSWORD"), "{}", said.all());
    assert!(
        said.all().contains("--yes"),
        "nobody is here to ask: {}",
        said.all()
    );
    assert_eq!(files(&p), before, "nothing was written");

    p.locket(&["init", "--import", "--yes"]).ok();
    assert!(!p.dir().join("token.txt").exists());
    p.compose(&["up", "-d"]).ok();
    assert!(seen(&p) == meant_before, "every service sees the same");
    // In files, in what was printed, in the engine's answers: nowhere.
    assert_eq!(p.search(), []);

    // What people change themselves is theirs.
    let ours = std::fs::read_to_string(p.dir().join("compose.yaml")).unwrap();
    p.write("compose.yaml", format!("{ours}# mine\n"));
    let said = p.locket(&["init", "--undo", "--yes"]).fails();
    assert!(said.all().contains("compose.yaml"), "{}", said.all());
    p.write("compose.yaml", ours);
    p.locket(&["init", "--undo", "--yes"]).ok();
    assert!(files(&p) == before, "bytes and modes are those from before");
    p.locket(&["init", "--undo", "--yes"]).fails();
    assert!(meant(&p) == meant_before);

    // A value that was set since is nowhere else, and stays.
    p.locket(&["init", "--import", "--yes"]).ok();
    let newer = p.canary("newer");
    p.store("db-password", newer);
    let said = p.locket(&["init", "--undo", "--yes"]).ok();
    assert!(
        said.all().contains("was set after the import"),
        "{}",
        said.all()
    );
    assert!(files(&p) == before);
    let list = p.locket(&["secret", "list"]).ok().all();
    assert!(list.contains("db-password"), "{list}");

    // And the same again, so that nothing of it is left in a file.
    p.locket(&["init", "--import", "--yes"]).ok();
    p.compose(&["up", "-d"]).ok();
    assert!(seen(&p) == meant_before);
    forget(&p);
    p.finish();
}

#[test]
fn an_import_that_is_killed_is_taken_back() {
    let p = project("import-killed");
    let before = files(&p);
    let program = locket_e2e::binary().display().to_string();
    // What is killed leaves its temporary files, which have names in them and no value.
    let temporary = tempfile::tempdir().unwrap();
    let place = temporary.path().display().to_string();
    let script = r#"TMPDIR="$3" timeout -s KILL "$1" "$2" init --import --yes"#;
    let (mut killed, mut changed) = (0, 0);
    // From before the first write to after the last one, however long that takes here.
    for step in 1..=60 {
        let after = format!("{:.2}", f64::from(step) * 0.1);
        let ended = p.shell(script, &[&after, &program, &place]).any();
        killed += usize::from(ended.code == 137);
        changed += usize::from(ended.code == 137 && files(&p) != before);
        let undone = p.locket(&["init", "--undo", "--yes"]).any();
        let none = undone.all().contains("nothing was imported");
        assert!(undone.code == 0 || none, "{}", undone.all());
        assert!(
            files(&p) == before,
            "killed after {after} s: {:?}",
            files(&p).keys()
        );
        if ended.code == 0 {
            break;
        }
    }
    assert!(killed > 0 && changed > 0);
    p.locket(&["init", "--import", "--yes"]).ok();
    assert_eq!(p.search(), []);
    forget(&p);
    p.finish();
}

/// What was printed for people to run.
fn commands(said: &[u8], begins: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(said).into_owned();
    let all = text.lines().filter(|it| it.starts_with(begins));
    all.map(str::to_owned).collect()
}

/// A plugin of the docker CLI that answers `docker dso secret get PROJECT/PATH` from this folder, as DSO does.
fn stand_in_for_dso(p: &Project, values: &std::path::Path) {
    let script = format!(
        r#"#!/bin/sh
case "$1" in
  docker-cli-plugin-metadata) echo '{{"SchemaVersion":"0.1.0","Vendor":"test","Version":"1"}}' ;;
  *) [ "$2 $3" = "secret get" ] && exec cat "{}/$4" ;;
esac
"#,
        values.display()
    );
    let plugin = p.dir().parent().unwrap();
    let plugin = plugin.join("docker/cli-plugins/docker-dso");
    std::fs::write(&plugin, script).unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn references_of_dso_are_taken_over() {
    let mut p = Project::new(
        "import-dso",
        r#"services:
  api:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    labels: { dso.reloader: "true", dso.update.strategy: signal, kept: "1" }
    environment:
      DB_PASSWORD: dso://db/password
      TOKEN: dso://token   # of this project
      KEY_FILE: dsofile://edge/key
      LOG_LEVEL: info
"#,
    );
    let values = p.values_dir();
    let own = format!("{}/token", p.name());
    let all = ["db/password", "edge/key", &own].map(|path| {
        let value = p.canary(path);
        let file = values.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &value).unwrap();
        value.into_bytes()
    });
    let [password, key, token] = all;
    stand_in_for_dso(&p, &values);
    let before = files(&p);

    p.locket(&["init", "--import", "--skip", "TOKEN"]).fails();
    assert!(files(&p) == before, "nobody has said yes");
    let said = p.locket(&["init", "--import", "--yes"]).ok();
    let moves = commands(&said.stdout, "docker dso ");
    assert_eq!(moves.len(), 3, "{moves:?}");
    for command in &moves {
        p.shell(command, &[]).ok();
    }
    p.compose(&["up", "-d"]).ok();
    let api = p.container("api");
    assert!(api.env("DB_PASSWORD") == Some(password));
    assert!(api.env("TOKEN") == Some(token));
    assert_eq!(
        api.env("KEY_FILE").as_deref(),
        Some(b"/run/secrets/edge-key".as_slice())
    );
    assert!(api.read("/run/secrets/edge-key") == Some(key));
    assert_eq!(api.env("LOG_LEVEL").as_deref(), Some(b"info".as_slice()));
    let labels = &api.inspect["Config"]["Labels"];
    assert_eq!(labels["kept"], "1");
    assert!(!labels.to_string().contains("dso."), "{labels}");
    assert_eq!(p.search(), []);

    p.compose(&["down", "-v"]).ok();
    p.locket(&["init", "--undo", "--yes"]).ok();
    assert!(files(&p) == before, "bytes and modes are those from before");
    p.locket(&["secret", "rm", "--yes", "db-password", "edge-key", "token"])
        .ok();
    p.finish();
}

#[test]
fn a_provider_of_the_other_locket_becomes_the_gate() {
    let mut p = Project::new("import-peer", "services: {}\n");
    let bao = Bao::start();
    let (role, secret) = bao.approle("shop");
    let (password, token) = (p.canary("password"), p.canary("token"));
    bao.put("shop/db", &[("password", &password), ("name", "orders")]);
    bao.put("shop/api", &[("token", &token)]);
    let services = r#"    pull_policy: never
    command: [sleep, "86400"]
"#;
    let text = format!(
        r#"services:
  secrets:
    provider:
      type: locket
      options:
        provider: bao
        bao-url: {url}
        bao-role-id: {role}
        bao-secret-id: file:{secret}
        env:
          - DB_PASSWORD={{{{ bao://secret/shop/db/password }}}}
          - URL=postgres://app:{{{{ bao://secret/shop/db/password }}}}@db/{{{{ bao://secret/shop/db/name }}}}
  api:
    image: locket-test/busybox
{services}    depends_on: [secrets]
    environment: {{ TOKEN: "bao://secret/shop/api/token" }}
  web:
    image: locket-test/busybox
{services}    depends_on: [secrets]
"#,
        url = bao.url(),
        secret = secret.display(),
    );
    p.write("compose.yaml", text);
    let before = files(&p);
    p.locket(&["init", "--import", "--yes"]).ok();
    p.compose(&["up", "-d"]).ok();
    let url = format!("postgres://app:{password}@db/orders");
    for service in ["api", "web"] {
        let it = p.container(service);
        assert!(it.env("SECRETS_DB_PASSWORD") == Some(password.clone().into_bytes()));
        assert!(it.env("SECRETS_URL") == Some(url.clone().into_bytes()));
        let shown = it.inspect["Config"]["Env"].to_string();
        assert!(!shown.contains("SECRETS_"), "{shown}");
    }
    assert!(p.container("api").env("TOKEN") == Some(token.into_bytes()));
    assert_eq!(p.search(), []);
    p.compose(&["down", "-v"]).ok();
    p.locket(&["init", "--undo", "--yes"]).ok();
    assert!(files(&p) == before, "bytes and modes are those from before");
    // For the end: a project whose provider is none of ours cannot be taken down by ours.
    p.locket(&["init", "--import", "--yes"]).ok();
    p.locket(&["secret", "rm", "--yes", "locket-import-undo"])
        .ok();
    p.finish();
}

#[test]
fn values_that_are_in_a_vault_are_referred_to_and_others_stay() {
    let mut p = Project::new("import-vault", "services: {}\n");
    let bao = Bao::start();
    let token = bao.token_file("shop");
    let (password, key) = (p.canary("password"), p.canary("key"));
    p.write(
        "compose.yaml",
        format!(
            r#"services:
  api:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    environment:
      DATABASE_URL: "postgres://app:${{DB_PASSWORD}}@db/app"
    secrets: [key]
secrets:
  key: {{ file: ./key.txt }}
x-locket:
  sources:
    bao: {{ type: openbao, url: "{}", auth: {{ token: {{ file: {} }} }} }}
"#,
            bao.url(),
            token.display()
        ),
    );
    p.write(".env", format!("DB_PASSWORD='{password} \"q\"'\n"));
    p.write("key.txt", format!("{key}\n"));
    let before = files(&p);
    let import = ["init", "--import", "--vault", "bao:secret/shop", "--yes"];
    // Another value is not the value.
    bao.put("shop/db-password", &[("value", "another")]);
    let said = p.locket(&import).fails();
    assert!(
        files(&p) == before,
        "nothing changes before the values are there"
    );
    let moves = commands(&said.stdout, "docker locket ");
    assert_eq!(moves.len(), 2, "{moves:?}");
    bao.operator(p.shell(&moves[0], &[])).ok();
    let said = p.locket(&import).fails();
    assert!(files(&p) == before, "one of two is not both");
    assert_eq!(commands(&said.stdout, "docker locket "), moves[1..]);
    bao.operator(p.shell(&moves[1], &[])).ok();

    p.locket(&import).ok();
    assert!(!p.dir().join("key.txt").exists());
    p.compose(&["up", "-d"]).ok();
    let api = p.container("api");
    let url = format!("postgres://app:{password} \"q\"@db/app");
    assert!(api.env("DATABASE_URL") == Some(url.into_bytes()));
    assert!(api.read("/run/secrets/key") == Some(format!("{key}\n").into_bytes()));
    assert_eq!(p.search(), []);
    let stored = p.locket(&["secret", "list"]).ok().text();
    assert!(!stored.contains("db-password"), "{stored}");
    p.locket(&["init", "--undo", "--yes"]).ok();
    assert!(files(&p) == before, "bytes and modes are those from before");
    p.locket(&import).ok();
    p.locket(&["secret", "rm", "--yes", "locket-import-undo"])
        .ok();
    p.finish();
}

#[test]
fn a_service_whose_profile_is_off_keeps_nobody_from_starting() {
    let mut p = Project::new(
        "import-profile",
        "services:\n  app: { image: locket-test/busybox, pull_policy: never, command: [sleep, \"86400\"], environment: { APP_PASSWORD: PLACE_A } }\n  debug: { image: locket-test/busybox, pull_policy: never, command: [sleep, \"86400\"], profiles: [debug], environment: { DEBUG_PASSWORD: PLACE_B } }\n",
    );
    for (place, name) in [("PLACE_A", "app"), ("PLACE_B", "debug")] {
        let value = p.canary(name);
        p.edit("compose.yaml", place, &value);
    }
    p.locket(&["init", "--import", "--yes"]).ok();
    p.compose(&["up", "-d"]).ok();
    assert!(p.container("app").running());
    assert!(p.containers("debug").is_empty());
    p.compose(&["--profile", "debug", "up", "-d"]).ok();
    assert!(p.container("debug").running());
    p.compose(&["--profile", "debug", "down", "-v", "--timeout", "1"])
        .ok();
    let all = ["app-password", "debug-password", "locket-import-undo"];
    p.locket(&[&["secret", "rm", "--yes"], &all[..]].concat())
        .ok();
    p.finish();
}
