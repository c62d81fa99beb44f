//! Ways of delivery and of adoption that need real programs, a real file system or a real terminal-less docker CLI: no twin
//! on the fake engine.

use locket_e2e::{Bao, Container, Project, eventually, holds};

const MODES: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket:
      on_change: none
      secrets:
        - { source: key, target: swapped }
        - { source: key, target: renamed, update: rename }
        - { source: key, target: overwritten, update: inplace }
"#;

fn inode(it: &Container, name: &str) -> String {
    let path = format!("/run/secrets/{name}");
    it.exec(&["stat", "-c", "%F %i", &path]).ok().text()
}

#[test]
fn files_are_replaced_as_their_readers_need_it() {
    let mut p = Project::new("modes", MODES);
    let (first, second) = (p.canary("first"), p.canary("second"));
    p.store("key", &first);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let it = p.container("app");
    let names = ["swapped", "renamed", "overwritten"];
    let before = names.map(|name| inode(&it, name));
    assert!(before[0].starts_with("symbolic link"), "{before:?}");
    assert!(
        before[1..].iter().all(|i| i.starts_with("regular file")),
        "{before:?}"
    );
    p.store("key", &second);
    for name in names {
        eventually(20, "the new value is in every file", || {
            (it.read(&format!("/run/secrets/{name}"))? == second.as_bytes()).then_some(())
        });
    }
    let after = names.map(|name| inode(&it, name));
    assert_ne!(after[1], before[1], "rename: another file");
    assert_eq!(after[2], before[2], "inplace: the same file");
    p.ready();
    assert_eq!(p.container("app"), it, "on_change: none restarts nothing");
    controller.stop();
    p.finish();
}

const FILES: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s, refresh: 10m }
  sources: { disk: { type: file, root: "@ROOT@" } }
  secrets: { key: disk:app/key }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { env: { KEY: key } }
"#;

#[test]
fn a_file_that_changes_is_seen_at_once_and_a_pause_holds_everything() {
    let mut p = Project::new("files", FILES);
    let root = p.values_dir();
    p.edit("compose.yaml", "@ROOT@", root.to_str().unwrap());
    let write = |value: &str| {
        std::fs::create_dir_all(root.join("app")).unwrap();
        // As editors and deployment tools do: a new file in the place of the old one.
        std::fs::write(root.join("app/.new"), value).unwrap();
        std::fs::rename(root.join("app/.new"), root.join("app/key")).unwrap();
    };
    let (first, second, third) = (p.canary("first"), p.canary("second"), p.canary("third"));
    write(&first);
    p.grant();
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    assert_eq!(p.container("app").env("KEY").unwrap(), first.as_bytes());
    write(&second);
    // Polling would take ten minutes.
    eventually(20, "the change arrives", || {
        (p.container("app").env("KEY")? == second.as_bytes()).then_some(())
    });
    p.ready();

    p.locket(&["pause"]).ok();
    let paused = p.container("app");
    write(&third);
    let (status, ..) = eventually(10, "status says that it is paused", || {
        p.condition(None, "Paused").filter(|(status, ..)| *status)
    });
    assert!(status);
    holds(5, "nothing happens while it is paused", || {
        p.container("app") == paused
    });
    p.locket(&["resume"]).ok();
    eventually(20, "then it goes on", || {
        (p.container("app").env("KEY")? == third.as_bytes()).then_some(())
    });
    p.ready();
    let events = p.locket(&["events"]).ok().text();
    assert!(events.contains("Restarted"), "{events}");
    controller.stop();
    p.finish();
}

const FIELDS: &str = r#"x-locket:
  sources:
    bao: { type: openbao, url: "@URL@", auth: { token: { file: @TOKEN@ } } }
  secrets:
    key: bao:secret/shop/app#kee
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

#[test]
fn a_missing_field_names_the_line_and_the_fields_that_there_are() {
    let bao = Bao::start();
    let text = FIELDS
        .replace("@URL@", &bao.url())
        .replace("@TOKEN@", bao.token_file("shop").to_str().unwrap());
    let mut p = Project::new("field", &text);
    let key = p.canary("key");
    bao.put("shop/app", &[("key", &key)]);
    p.locket(&["generate", "--yes"]).ok();
    let said = p.compose(&["up", "-d"]).fails().all();
    let line = said
        .lines()
        .find(|l| l.contains("compose.yaml:5:") && l.contains("kee"));
    assert!(line.is_some_and(|l| l.contains("key")), "{said}");
    assert!(p.containers("app").is_empty());
    p.edit("compose.yaml", "#kee", "#key");
    p.compose(&["up", "-d"]).ok();
    assert_eq!(
        p.container("app").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    p.finish();
}

const PLAIN: &str = r#"# A project that has never heard of locket.
services:
  app:
    image: locket-test/busybox   # any image
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    x-locket: { env: { KEY: "local:key" } }
"#;

#[test]
fn init_makes_a_project_ready_and_keeps_what_was_written() {
    let mut p = Project::new("init", PLAIN);
    let key = p.canary("key");
    p.store("key", &key);
    p.locket(&["init", "--yes"]).ok();
    let text = std::fs::read_to_string(p.dir().join("compose.yaml")).unwrap();
    for kept in [
        "# A project that has never heard of locket.",
        "# any image",
        "x-locket: { env: { KEY: \"local:key\" } }",
    ] {
        assert!(text.contains(kept), "{text}");
    }
    assert!(
        text.contains("provider") && text.contains("$schema"),
        "{text}"
    );
    p.compose(&["up", "-d"]).ok();
    assert_eq!(p.container("app").env("KEY").unwrap(), key.as_bytes());
    p.locket(&["init", "--yes"]).ok();
    let again = std::fs::read_to_string(p.dir().join("compose.yaml")).unwrap();
    assert_eq!(again, text, "a second time changes nothing");
    p.finish();
}

/// Ends with the first line of a command that goes on for ever, if it fits; with 124 if none does in time.
const FIRST_LINE: &str =
    r#"exec 3< <(exec "$LOCKET_BIN" $1); grep -m1 -E "$2" <&3; code=$?; kill $!; exit $code"#;

#[test]
fn what_goes_on_shows_what_happens() {
    let mut p = Project::new("follow", MODES);
    let (first, second) = (p.canary("first"), p.canary("second"));
    p.store("key", &first);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let line = |command: &str, pattern: &str| {
        let words = ["30", "bash", "-c", FIRST_LINE, "bash", command, pattern];
        p.program("timeout", &words).any()
    };
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| line("status --watch", "^app +2 "));
        let followed = scope.spawn(|| line("events --follow", "Published.*local:key changed"));
        let lines = line("status --watch", "^app +1 ");
        assert_eq!(lines.code, 0, "{}", lines.all());
        p.locket(&["secret", "set", "key"]).stdin(&second).ok();
        for it in [watched, followed] {
            let lines = it.join().unwrap();
            assert_eq!(lines.code, 0, "{}", lines.all());
        }
    });
    // What a poll would find later, a word finds now; an unknown source is the user's problem.
    p.locket(&["refresh", "--source", "local"]).ok();
    let unknown = p.locket(&["refresh", "--source", "nobody"]).any();
    assert_eq!(unknown.code, 1, "{}", unknown.all());
    p.locket(&["pause"]).ok();
    let words = ["wait", "--for=Paused=ByUser", "--timeout", "10s"];
    p.locket(&words).ok();
    p.locket(&["resume"]).ok();
    controller.stop();
    p.finish();
}
