//! A backend that is down, sealed, or does not know us: the last good generation stays, and a condition says why.
//! No twin on the fake engine: it is about how a real OpenBao fails; the loop's part is in locket-controller's own tests.

use locket_e2e::{Bao, Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  sources:
    bao: { type: openbao, url: "@URL@", auth: { token: { file: @TOKEN@ } }, refresh: 1s }
  secrets: { key: bao:secret/shop/app#key }
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

fn project(scenario: &str, bao: &Bao) -> (Project, String) {
    let token = bao.token_file("shop");
    let text = COMPOSE
        .replace("@URL@", &bao.url())
        .replace("@TOKEN@", token.to_str().unwrap());
    let mut p = Project::new(scenario, &text);
    let key = p.canary("key");
    bao.put("shop/app", &[("key", &key)]);
    p.grant();
    (p, key)
}

#[test]
fn a_backend_that_is_down_at_the_first_start_is_one_clear_line() {
    let mut bao = Bao::start();
    let (p, key) = project("down-first", &bao);
    bao.stop();
    p.locket(&["generate", "--yes"]).ok();
    let said = p.compose(&["up", "-d"]).fails().all();
    assert!(
        said.contains("bao") && said.contains("compose.yaml:"),
        "{said}"
    );
    assert!(p.containers("app").is_empty(), "the app was not started");
    bao.resume();
    bao.token_file("shop");
    bao.put("shop/app", &[("key", &key)]);
    // The new server's token is in the same file.
    p.compose(&["up", "-d"]).ok();
    assert_eq!(
        p.container("app").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    p.finish();
}

#[test]
fn a_backend_that_goes_down_later_is_a_warning_and_a_condition() {
    let mut bao = Bao::start();
    let (mut p, key) = project("down-later", &bao);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let app = p.container("app");

    bao.stop();
    let (_, reason, message) = eventually(30, "the condition says so", || {
        p.condition(None, "SourceReady")
            .filter(|(status, ..)| !status)
    });
    assert_eq!(reason, "Unavailable", "{message}");
    p.compose(&["up", "-d"]).ok();
    holds(3, "the last good generation stays", || {
        p.container("app") == app && app.read("/run/secrets/key").as_deref() == Some(key.as_bytes())
    });

    bao.resume();
    bao.token_file("shop");
    let new = p.canary("new");
    bao.put("shop/app", &[("key", &new)]);
    eventually(30, "it converges by itself", || {
        (p.container("app").env("KEY")? == new.as_bytes()).then_some(())
    });
    p.ready();
    controller.stop();
    p.finish();
}

#[test]
fn a_sealed_backend_and_a_void_token_are_told_apart() {
    let bao = Bao::start();
    let (mut p, key) = project("sealed", &bao);
    let controller = p.controller(&[]);
    p.up(&[]);
    p.ready();
    let app = p.container("app");
    let unchanged = |p: &Project| {
        p.container("app") == app && app.read("/run/secrets/key").as_deref() == Some(key.as_bytes())
    };
    let reason = |p: &Project, wanted: &str| {
        eventually(30, wanted, || {
            let (status, reason, _) = p.condition(None, "SourceReady")?;
            (!status && reason == wanted).then_some(())
        });
    };

    bao.seal();
    reason(&p, "Unavailable");
    assert!(unchanged(&p));
    bao.unseal();
    p.ready();

    bao.revoke("shop");
    reason(&p, "Unauthenticated");
    assert!(unchanged(&p));
    let status = p.locket(&["status"]).ok().text();
    assert!(status.contains("Unauthenticated"), "{status}");

    bao.token_file("shop");
    let new = p.canary("new");
    bao.put("shop/app", &[("key", &new)]);
    eventually(30, "a replaced token file is read again", || {
        (p.container("app").env("KEY")? == new.as_bytes()).then_some(())
    });
    p.ready();
    controller.stop();
    p.finish();
}
