//! A controller comes later, in a container or on the host, and goes again: no restart, no change missed.
//! No twin on the fake engine: it is about where a real controller runs, what it may use there, and the real store.

use locket_e2e::{Bao, Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  sources:
    bao: { type: openbao, url: "@URL@", auth: { token: { file: @TOKEN@ } }, refresh: 1s }
  secrets: { local_key: local:key, bao_key: bao:secret/shop/app#key }
services:
  locket: { provider: { type: locket } }
  near:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { env: { KEY: local_key } }
  far:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { env: { KEY: bao_key } }
"#;

struct Uninstall<'a>(&'a Project);

impl Drop for Uninstall<'_> {
    fn drop(&mut self) {
        let _ = self.0.locket(&["controller", "uninstall"]).any();
    }
}

#[test]
fn a_controller_that_is_installed_later_takes_over_without_a_restart() {
    let bao = Bao::start();
    let token = bao.token_file("shop");
    let text = COMPOSE
        .replace("@URL@", &bao.url())
        .replace("@TOKEN@", token.to_str().unwrap());
    let mut p = Project::new("installed", &text);
    let (near_key, far_key) = (p.canary("near"), p.canary("far"));
    let (near_next, far_next) = (p.canary("near-next"), p.canary("far-next"));
    p.store("key", &near_key);
    bao.put("shop/app", &[("key", &far_key)]);
    p.up(&[]);
    let before = (p.container("near"), p.container("far"));

    p.locket(&["controller", "install"]).ok();
    let installed = Uninstall(&p);
    eventually(30, "it answers", || {
        (p.locket(&["controller", "status"]).any().code == 0).then_some(())
    });
    let (_, reason, _) = eventually(30, "the source without a grant is named", || {
        p.condition(None, "SourceReady")
            .filter(|(status, ..)| !status)
    });
    assert_eq!(reason, "NotGranted");
    let status = p.locket(&["status"]).ok().text();
    assert!(
        status.contains(&bao.url()),
        "the lines that would grant it: {status}"
    );
    holds(3, "what was delivered stays", || {
        (p.container("near"), p.container("far")) == before
    });
    assert_eq!(before.1.env("KEY").unwrap(), far_key.as_bytes());

    p.grant();
    p.ready();
    assert_eq!(
        (p.container("near"), p.container("far")),
        before,
        "a grant restarts nothing"
    );

    // It looks after both sources from where it is: the store tells it, OpenBao is asked with a copy of the token.
    p.locket(&["secret", "set", "key"]).stdin(&near_next).ok();
    bao.put("shop/app", &[("key", &far_next)]);
    eventually(30, "both changes arrive", || {
        let arrived = p.container("near").env("KEY")? == near_next.as_bytes()
            && p.container("far").env("KEY")? == far_next.as_bytes();
        arrived.then_some(())
    });
    p.ready();
    let log = p.locket(&["controller", "logs", "--tail", "50"]).ok().all();
    assert!(log.contains("publish near"), "{log}");
    let printed = p.locket(&["controller", "install", "--print"]).ok().text();
    p.write("controller.yaml", &printed);
    let file = ["-f", "controller.yaml", "config", "--services"];
    assert_eq!(p.compose(&file).ok().text(), "controller");

    // An engine that refuses the next one leaves the one that is there.
    let id = || {
        p.docker(&["inspect", "-f", "{{.Id}}", "locket-controller"])
            .ok()
            .text()
    };
    let there = id();
    let refused = p
        .locket(&["controller", "install", "--socket", "no/path"])
        .any();
    assert_eq!(refused.code, 2, "{}", refused.all());
    assert_eq!(id(), there);
    p.locket(&["controller", "status"]).ok();

    let before = (p.container("near"), p.container("far"));
    drop(installed);
    assert_eq!(
        (p.container("near"), p.container("far")),
        before,
        "uninstalling restarts nothing"
    );

    // A change while no controller is there is not missed by the next one, here on the host.
    let new = p.canary("new");
    bao.put("shop/app", &[("key", &new)]);
    let near = p.container("near");
    let controller = p.controller(&[]);
    eventually(30, "the change arrives", || {
        (p.container("far").env("KEY")? == new.as_bytes()).then_some(())
    });
    p.ready();
    assert_eq!(p.container("near"), near);
    controller.stop();
    p.finish();
}

#[test]
fn the_store_is_the_same_with_and_without_a_controller() {
    let mut p = Project::new("store", "services: {}\n");
    let (first, second) = (p.canary("first"), p.canary("second"));
    p.store("thing", &first);
    let get = |p: &Project| {
        p.locket(&["secret", "get", "thing"])
            .says_values()
            .ok()
            .stdout
    };
    assert_eq!(get(&p), first.as_bytes());
    let controller = p.controller(&[]);
    assert_eq!(get(&p), first.as_bytes());
    p.store("thing", &second);
    assert_eq!(get(&p), second.as_bytes());
    controller.stop();
    assert_eq!(get(&p), second.as_bytes());
    let history = p.locket(&["secret", "history", "thing"]).ok().text();
    assert_eq!(
        history
            .lines()
            .filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_digit()))
            .count(),
        2,
        "{history}"
    );
    p.locket(&["secret", "rollback", "thing"]).ok();
    assert_eq!(get(&p), first.as_bytes());

    // The stock tool opens an export, without any of our programs.
    let age = std::env::var("LOCKET_TEST_AGE")
        .expect("LOCKET_TEST_AGE names the age program: run `make setup`");
    let keys = p.values_dir().join("key.txt");
    let keygen = format!("{age}-keygen");
    let made = p.program(&keygen, &["-o", keys.to_str().unwrap()]).ok();
    let recipient = made.stderr.trim().rsplit(' ').next().unwrap().to_owned();
    let export = p
        .locket(&["secret", "export", "--recipient", &recipient])
        .says_values()
        .ok()
        .stdout;
    let opened = p
        .program(&age, &["-d", "-i", keys.to_str().unwrap()])
        .stdin(export.clone())
        .says_values()
        .ok()
        .text();
    assert!(opened.contains(&first), "the export holds the value");

    // And comes back from there.
    p.locket(&["secret", "rm", "--yes", "thing"]).ok();
    let file = p.values_dir().join("export.age");
    std::fs::write(&file, export).unwrap();
    let import = [
        "secret",
        "import",
        "-i",
        keys.to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    p.locket(&import).ok();
    assert_eq!(get(&p), first.as_bytes());
    p.finish();
}
