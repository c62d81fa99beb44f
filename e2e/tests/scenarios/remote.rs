//! Engines that are elsewhere: named by context, environment and flags, over TLS; and one of another architecture.
//! No twin on the fake engine: it is about the docker CLI's own ways to an engine.

use std::collections::BTreeSet;

use locket_e2e::{Project, Recorder, SecondEngine, Way, eventually};

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
    x-locket: { secrets: [key], env: { KEY: key } }
"#;

/// Everything that this machine's own engine has, one line each.
fn held() -> BTreeSet<String> {
    let lists: [&[&str]; 4] = [
        &["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"],
        &["volume", "ls", "-q"],
        &["network", "ls", "-q"],
        &["images", "-aq", "--no-trunc"],
    ];
    let ask = |list: &[&str]| {
        let out = std::process::Command::new("docker").args(list).output();
        String::from_utf8(out.unwrap().stdout).unwrap()
    };
    let text = lists.map(ask).concat();
    text.lines().map(str::to_owned).collect()
}

/// What it has once the store's container of the scenario before has ended itself.
fn settled() -> BTreeSet<String> {
    let stores = ["ps", "-q", "--filter", "label=locket.role=store"];
    eventually(30, "no store's container runs", || {
        let out = std::process::Command::new("docker")
            .args(stores)
            .output()
            .unwrap();
        out.stdout.is_empty().then_some(())
    });
    held()
}

/// A context of that name in the project's own docker configuration.
fn context(p: &Project, engine: &SecondEngine) {
    let create = ["context", "create", "far", "--docker", &engine.context()];
    p.docker(&create).ok();
}

#[test]
fn with_a_context_all_is_done_on_its_engine_and_nothing_is_asked_of_the_other() {
    let before = settled();
    let engine = SecondEngine::start(&["locket-test/busybox"]);
    let mut p = Project::new("far", COMPOSE);
    context(&p, &engine);
    // The environment leads to the other engine, and the flag counts.
    let decoy = tempfile::tempdir().unwrap();
    let decoy = Recorder::start(decoy.path());
    p.goes(Way::flags(["--context", "far"]).env("DOCKER_HOST", decoy.host()));

    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let it = p.container("app");
    let there = engine.beside(&["ps", "-q", "--no-trunc"]).text();
    assert!(there.contains(&it.id), "{there}");
    assert_eq!(it.read("/run/secrets/key").unwrap(), key.as_bytes());
    assert_eq!(it.env("KEY").unwrap(), key.as_bytes());

    let controller = p.controller(&[]);
    p.ready();
    let new = p.canary("new");
    p.store("key", &new);
    eventually(30, "the application runs with the new value", || {
        (p.container("app").env("KEY")? == new.as_bytes()).then_some(())
    });
    p.ready();
    assert_eq!(
        p.container("app").id,
        it.id,
        "it was restarted, not made anew"
    );
    controller.stop();
    p.finish();

    assert_eq!(decoy.take(), [""; 0], "asked of the other engine");
    assert_eq!(held(), before, "the other engine is as it was");
}

#[test]
fn every_way_to_name_an_engine_leads_to_it() {
    let before = settled();
    let engine = SecondEngine::start(&["locket-test/busybox"]);
    let round = |name: &str, way: Way| {
        let mut p = Project::new(name, COMPOSE);
        if name == "far-current" {
            context(&p, &engine);
            p.docker(&["context", "use", "far"]).ok();
        }
        p.goes(way);
        let key = p.canary("key");
        p.store("key", &key);
        p.up(&[]);
        let it = p.container("app");
        assert_eq!(it.read("/run/secrets/key").unwrap(), key.as_bytes());
        let there = engine.beside(&["ps", "-q", "--no-trunc"]).text();
        assert!(there.contains(&it.id), "{name}: {there}");
        p.compose(&["down", "-v", "--timeout", "1"]).ok();
        assert_eq!(p.left(), [""; 0], "{name}");
    };
    round("far-current", Way::default());
    round("far-flags", engine.by_flags());
    round("far-env", engine.by_environment(&engine.certificates()));
    assert_eq!(held(), before, "the other engine is as it was");
}

#[test]
fn a_certificate_that_is_not_trusted_is_one_clear_error() {
    let engine = SecondEngine::start(&["locket-test/busybox"]);
    let mut p = Project::new("far-stranger", COMPOSE);
    p.goes(engine.by_environment(&engine.strange_certificates()));
    for words in [&["status"][..], &["apply"], &["controller", "run"]] {
        let said = p.locket(words).fails().stderr;
        let errors = said.lines().filter(|it| it.starts_with("error:"));
        assert_eq!(errors.count(), 1, "{said}");
        assert!(said.contains("certificate"), "{said}");
        assert!(said.contains("DOCKER_CERT_PATH"), "{said}");
    }
    assert_eq!(engine.beside(&["ps", "-aq"]).text(), "");
    // For the end of the project.
    p.goes(engine.by_environment(&engine.certificates()));
}

#[test]
fn an_engine_of_another_architecture_is_refused_before_anything_is_changed() {
    let (ours, theirs) = match std::env::consts::ARCH {
        "x86_64" => ("linux/amd64", "linux/arm64"),
        _ => ("linux/arm64", "linux/amd64"),
    };
    let line = format!(
        "the engine is {theirs}, this program is {ours}: give the program for {theirs} with --image FILE"
    );
    let mut p = Project::new("other-arch", COMPOSE);
    p.locket(&["generate", "--yes"]).ok();
    p.record_disguised();
    let refused: [&[&str]; 3] = [
        &["secret", "set", "--allow-empty", "key"],
        &["secret", "ls"],
        &["controller", "install"],
    ];
    for words in refused {
        let said = p.locket(words).fails().stderr;
        assert!(said.contains(&line), "{words:?}: {said}");
    }
    let changes = |p: &mut Project| {
        let asked = p.recorded();
        assert!(!asked.is_empty());
        let changes = asked.into_iter().filter(|it| !it.starts_with("GET"));
        let changes = changes.filter(|it| !it.starts_with("HEAD"));
        changes.collect::<Vec<_>>()
    };
    assert_eq!(changes(&mut p), [""; 0]);

    // Compose makes networks and volumes before it starts the gate; then nobody makes anything.
    p.record_disguised();
    let said = p.compose(&["up", "-d"]).fails().all();
    assert!(said.contains(&line), "{said}");
    let made = changes(&mut p);
    let ours = |it: &&String| !it.contains("/networks/create") && !it.contains("/volumes/create");
    assert_eq!(made.iter().find(ours), None, "{made:?}");
    assert!(p.anchors().is_empty() && p.containers("app").is_empty());
    p.finish();
}
