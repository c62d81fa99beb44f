//! Those whom docs/guides/security.md trusts with nothing: what they try, and that nothing is gained by it.
//! No twin on the fake engine: it is about real files, users and images. Backends are in `hostile_backend`, pushes in `push`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use locket_e2e::{Bao, FaultProxy, Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  sources: { @SOURCES@ }
  secrets: { key: "@REFERENCE@" }
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

/// A compose file that asks for one secret.
fn asks(sources: &str, reference: &str) -> String {
    COMPOSE
        .replace("@SOURCES@", sources)
        .replace("@REFERENCE@", reference)
}

#[test]
fn a_hostile_compose_file_reads_nothing_that_the_host_has_not_granted_and_sends_no_token_away() {
    let bao = Bao::start();
    let token = bao.token_file("shop").display().to_string();
    let trap = FaultProxy::trap();
    let elsewhere = trap.url();
    let mut p = Project::new("hostile-file", &asks("", "local:key"));
    for name in ["others", "file", "shop"] {
        let value = p.canary(name);
        match name {
            "file" => std::fs::write(p.values_dir().join("file"), value).unwrap(),
            "shop" => bao.put("shop/app", &[("key", &value)]),
            _ => p.store(&format!("/{}-others", p.name()), value),
        }
    }
    let others = format!("local:/{}-others", p.name());
    let (url, root) = (bao.url(), p.values_dir().display().to_string());
    p.write(
        "locket.yaml",
        format!(
            "sources:\n  bao: {{ type: openbao, url: '{url}', auth: {{ token: {{ file: '{token}' }} }} }}\n  files: {{ type: file, root: '{root}' }}\n  env: env\ngrants:\n  - {{ project: somebody, sources: [bao, files, env] }}\n"
        ),
    );
    let config = p.dir().join("locket.yaml").display().to_string();
    let controller = p.controller(&["--config", &config]);
    let key = "bao:secret/shop/app#key";
    let to = |name: &str, url: &str, auth: &str| {
        format!("{name}: {{ type: openbao, url: '{url}'{auth} }}")
    };
    let auth = format!(", auth: {{ token: {{ file: '{token}' }} }}");
    let metadata = to("meta", "http://169.254.169.254", &auth);
    let cases = [
        (
            "a file of the machine",
            "mine: { type: file, root: /etc }",
            "mine:shadow",
        ),
        ("a host's source", "files: file", "files:file"),
        ("the host's variables", "", "env:PATH"),
        ("another project's", "", &*others),
        ("a host's backend", "", key),
        ("a host's backend by its type", "bao: openbao", key),
        (
            "another address, with the host's login",
            &to("bao", &elsewhere, ""),
            key,
        ),
        (
            "another address, with the host's token",
            &to("bao", &elsewhere, &auth),
            key,
        ),
        ("another type", "bao: vault", key),
        (
            "the metadata service",
            &metadata,
            "meta:latest/meta-data#key",
        ),
    ];
    for (what, sources, reference) in cases {
        p.write("compose.yaml", asks(sources, reference));
        p.locket(&["generate", "--yes"]).any();
        let said = p.compose(&["up", "-d"]).fails().all();
        let needed = match what {
            "another type" => "is of type vault here",
            _ => "`docker locket trust` grants it",
        };
        let mut lines = said.lines();
        let line = lines.find(|l| l.contains("compose.yaml:5:") && l.contains(needed));
        assert!(line.is_some(), "{what}: {said}");
        assert!(p.containers("app").is_empty(), "{what}");
    }
    assert!(trap.asked().is_empty(), "{:#?}", trap.asked());

    // Who is granted a folder is not granted what lies beside it.
    std::os::unix::fs::symlink("/etc/shadow", p.values_dir().join("link")).unwrap();
    p.edit(
        "locket.yaml",
        "project: somebody",
        &format!("project: '{}'", p.name()),
    );
    controller.stop();
    let controller = p.controller(&["--config", &config]);
    for path in ["link", "../../../../etc/shadow", "/etc/shadow"] {
        p.write(
            "compose.yaml",
            asks("files: file", &format!("files:{path}")),
        );
        let said = p.compose(&["up", "-d"]).fails().all();
        assert!(said.contains("compose.yaml:5:"), "{path}: {said}");
        assert!(p.containers("app").is_empty(), "{path}");
    }
    p.write("compose.yaml", asks("files: file", "files:file"));
    p.compose(&["up", "-d"]).ok();
    controller.stop();
    p.finish();
}

/// Writes down that it was asked, whatever it was asked.
const IMPOSTOR: &str =
    r#"printf '#!/bin/sh\ncat >>/asked\n' >/locket && chmod 755 /locket && cp /locket /asking"#;

#[test]
fn an_image_with_our_labels_becomes_no_service_and_no_anchor() {
    let mut p = Project::new("hostile-image", &asks("", "local:key"));
    let (first, second) = (p.canary("first"), p.canary("second"));
    p.store("key", &first);
    let image = format!("{}-image", p.name());
    let run = ["run", "--name", &image, "locket-test/busybox", "sh", "-c"];
    p.docker(&[&run[..], &[IMPOSTOR]].concat()).ok();
    let labels = [
        format!("com.docker.compose.project={}", p.name()),
        "com.docker.compose.service=app".to_owned(),
        "com.docker.compose.config-hash=0000".to_owned(),
        "com.docker.compose.container-number=2".to_owned(),
        format!("locket.project={}", p.name()),
        "locket.role=anchor".to_owned(),
        format!("locket.name={}-hostile", p.name()),
        "locket.secrets=key=local:key".to_owned(),
    ];
    let changes = labels
        .iter()
        .flat_map(|it| ["--change".to_owned(), format!("LABEL {it}")]);
    let changes: Vec<String> = changes.collect();
    let mut commit = vec!["commit"];
    commit.extend(changes.iter().map(String::as_str));
    commit.extend([&*image, &*image]);
    p.docker(&commit).ok();
    p.docker(&["rm", &image]).ok();
    // Whoever may use the engine can say so of a container, too; they gain nothing that they could not have, but by mistake.
    let claims = format!("locket-anchor-{}-7", p.name());
    let role = ["--label", "locket.role=anchor", "--label", &labels[4]];
    let run = ["run", "-d", "--name", &claims];
    p.docker(&[&run[..], &role, &["locket-test/busybox", "sleep", "86400"]].concat())
        .ok();

    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    // Compose itself takes the image's labels for its own, so it comes when compose is done.
    let hostile = format!("{}-hostile", p.name());
    let words = [
        "run", "-d", "--init", "--name", &hostile, &image, "sleep", "86400",
    ];
    p.docker(&words).ok();
    let before = p.named(&hostile).unwrap();
    p.store("key", &second);
    let app = || {
        p.containers("app")
            .into_iter()
            .find(|it| it.id != before.id)
    };
    eventually(30, "the service has the new value", || {
        (app()?.read("/run/secrets/key")? == second.as_bytes()).then_some(())
    });
    p.ready();
    let status = p.status().unwrap();
    let containers = status["services"][0]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1, "{containers:?}");
    let (_, _, told) = p.condition(None, "Drifted").unwrap();
    assert!(told.contains(&claims), "it is told: {told}");
    holds(3, "it is left alone", || {
        p.named(&hostile).as_ref() == Some(&before) && before.read("/asked").is_none()
    });
    assert!(before.read("/asking").is_some(), "it would have told");
    assert_eq!(before.read("/run/secrets/key"), None);

    assert!(p.named(&claims).unwrap().running());
    p.docker(&["rm", "-f", &hostile, &claims]).ok();
    p.docker(&["rmi", &image]).ok();
    controller.stop();
    p.finish();
}

const TWO: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { mine: local:mine, theirs: local:theirs }
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  user: "0:0"
  command: [sleep, "86400"]
  stop_signal: SIGKILL
  depends_on: [locket]
services:
  locket: { provider: { type: locket } }
  bad:
    <<: *app
    x-locket: { secrets: [mine], on_change: none }
  good:
    <<: *app
    x-locket: { secrets: [theirs], on_change: none }
"#;

/// What root in a container that has the volume for writing does to it.
const SPOILS: [&str; 11] = [
    "chmod 000 /v; chown 1234:1234 /v",
    "rm -rf /v/* /v/..data",
    "for f in /v/*; do rm -f $f; ln -s ../good/theirs $f; done",
    "for d in /v/.locket /v/..data; do rm -rf $d; ln -s ../good $d; done",
    "find /v/.locket -type f | while read f; do echo spoilt >$f; done",
    "rm -rf /v/.locket; mkfifo /v/.locket; rm -f /v/mine; mkfifo /v/mine",
    "ln -s /etc /v/etc; chmod 777 /v; chown -R 1000:1000 /v; echo wrong >/v/mine",
    "truncate -s 1G /v/.locket/log; truncate -s 1G /v/..data/manifest; truncate -s 1G /v/..data/files/mine",
    "mkdir /v/.locket/18446744073709551614",
    "cp -r /v/.locket/[0-9]* /v/.locket/18446744073709551613 && ln -sfn .locket/18446744073709551613 /v/..data",
    "for d in /v/deep /v/.locket/stage; do mkdir -p $d; cd $d; n=0; \
       while [ $n -lt 3000 ]; do mkdir d; cd -P d; n=$((n + 1)); done; done",
];

#[test]
fn root_in_an_application_gains_nothing_and_spoils_its_own_volume_only() {
    let mut p = Project::new("hostile-app", TWO);
    let (mut mine, mut theirs) = (p.canary("mine"), p.canary("theirs"));
    p.store("mine", &mine);
    p.store("theirs", &theirs);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let (bad, good) = (p.container("bad"), p.container("good"));
    for attempt in [
        "echo x >/run/secrets/mine",
        "rm -f /run/secrets/mine",
        "mount -o remount,rw /run/secrets",
        "echo x >/sbin/docker-init",
        "cat /run/secrets/theirs",
        "ls /var/run/docker.sock",
    ] {
        bad.exec(&["sh", "-c", attempt]).fails();
    }
    let tree = |p: &Project, service: &str| {
        let list = "cd /run/secrets && find . | sed 's|/[0-9]*/|/N/|; s|/[0-9]*$|/N|' | sort -u && stat -c '%n %a %u' *";
        p.container(service).exec(&["sh", "-c", list]).ok().text()
    };
    let before = tree(&p, "good");
    for spoil in SPOILS {
        p.in_volume("bad", spoil).ok();
        (mine, theirs) = (p.canary("next"), p.canary("theirs"));
        p.store("mine", &mine);
        p.store("theirs", &theirs);
        p.locket(&["refresh"]).ok();
        for (service, name, value) in [("good", "theirs", &theirs), ("bad", "mine", &mine)] {
            eventually(30, &format!("{spoil}: what it should be"), || {
                let seen = p.container(service).read(&format!("/run/secrets/{name}"))?;
                (seen == value.as_bytes()).then_some(())
            });
        }
        p.ready();
        assert_eq!(tree(&p, "good"), before, "{spoil}");
        let own = ["sh", "-c", "cat /run/secrets/*"];
        let all = p.container("bad").exec(&own).says_values().any().text();
        assert!(!all.contains(&theirs), "{spoil}");
    }
    assert_eq!((p.container("bad"), p.container("good")), (bad, good));
    let anchor = p.anchors().remove(0);
    let host = &anchor.inspect["HostConfig"];
    assert_eq!(host["NetworkMode"], "none");
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    controller.stop();
    p.finish();
}

#[test]
fn a_volume_that_an_application_has_filled_holds_up_nobody_else() {
    let mut p = Project::new("hostile-full", TWO);
    let (mine, theirs) = (p.canary("mine"), p.canary("theirs"));
    p.store("mine", &mine);
    p.store("theirs", &theirs);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    p.in_volume("bad", "dd if=/dev/zero of=/v/fill bs=1M; true")
        .ok();
    let next = p.canary("next");
    p.store("mine", &next);
    eventually(30, "it cannot be delivered", || {
        let (status, reason, _) = p.condition(Some("bad"), "Delivered")?;
        (!status && reason == "Refused").then_some(())
    });
    let (_, reason, why) = p.condition(None, "Ready").unwrap();
    assert!(
        reason == "Refused" && why.contains("bad: "),
        "{reason}: {why}"
    );
    let good = p.container("good").id;
    p.docker(&["stop", &good]).ok();
    let said = p.compose(&["up", "-d"]).ok().all();
    assert!(
        said.contains("bad keeps its last good generation"),
        "{said}"
    );
    assert!(p.container("good").running());
    let read = || p.container("bad").read("/run/secrets/mine");
    assert_eq!(read().as_deref(), Some(mine.as_bytes()));
    p.in_volume("bad", "rm /v/fill").ok();
    p.locket(&["refresh"]).ok();
    eventually(60, "there is room again", || {
        (read()? == next.as_bytes()).then_some(())
    });
    p.ready();
    controller.stop();
    p.finish();
}

#[test]
fn another_user_of_the_machine_asks_nobody_and_reads_nothing() {
    let mut p = Project::new("hostile-user", &asks("", "local:key"));
    let key = p.canary("key");
    p.store("key", &key);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let socket = p.socket();
    // The folder of the test is nobody else's business; the socket has to stand alone.
    let folder = socket.parent().unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = socket.display().to_string();
    let ask = [
        "curl",
        "-sS",
        "--unix-socket",
        &socket,
        "http://locket/v1/status",
    ];
    let as_user = |words: &[&str]| {
        let who = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        p.program("setpriv", &[&who, words].concat())
    };
    // https://everything.curl.dev/cmdline/exitcode.html: it could not connect.
    assert_eq!(as_user(&ask).any().code, 7);
    assert_eq!(p.program(ask[0], &ask[1..]).ok().code, 0, "root may");
    let who = std::fs::metadata(&socket).unwrap();
    let group = who.gid();
    let engine = std::fs::metadata("/var/run/docker.sock").unwrap();
    assert_eq!(group, engine.gid(), "the engine's own group");
    assert_eq!(who.permissions().mode() & 0o777, 0o660);
    if group != 0 {
        let who = format!("--groups={group}");
        let words = [&["--reuid=65534", "--regid=65534", &who], &ask[..]].concat();
        p.program("setpriv", &words).ok();
    }

    let own = controller.pid().to_string();
    let volume = |name: &str| format!("/var/lib/docker/volumes/{name}/_data");
    let project = volume(&format!("{}_locket-app", p.name()));
    for path in [
        volume("locket-state"),
        project,
        format!("/proc/{own}/environ"),
        format!("/proc/{own}/mem"),
        format!("/proc/{own}/root/"),
    ] {
        assert!(std::path::Path::new(&path).exists(), "{path}");
        as_user(&["sh", "-c", "ls \"$1/\" || head -c1 \"$1\"", "sh", &path]).fails();
    }
    controller.stop();
    p.finish();
}
