//! A backend that is polled rarely says by a signed hook that something has changed.
//! No twin on the fake engine: it is about a real backend, and programs that sign; the listener's bounds are tested in its room.

use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use locket_e2e::{Bao, Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  sources:
    bao: { type: openbao, url: "@URL@", auth: { token: { file: @TOKEN@ } }, refresh: 1h }
  secrets: { key: bao:secret/shop/app#key }
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

/// As docs/guides/push-and-metrics.md has it; answers the status.
const PUSH: &str = r#"
t=$(date +%s)
body='{}'
signature=$(printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$(cat "$1")" | sed 's/^.* //')
curl -s -o /dev/null -w '%{http_code}' -H "x-locket-signature: t=$t,v1=$signature" -d "$body" "$2"
"#;

#[test]
fn a_signed_hook_brings_a_rotation_at_once_and_an_unsigned_one_nothing() {
    let bao = Bao::start();
    let token = bao.token_file("shop");
    let text = COMPOSE
        .replace("@URL@", &bao.url())
        .replace("@TOKEN@", token.to_str().unwrap());
    let mut p = Project::new("push", &text);
    let (key, new) = (p.canary("key"), p.canary("new"));
    bao.put("shop/app", &[("key", &key)]);
    p.grant();

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let file = |name: &str| p.dir().join(name).display().to_string();
    let (config, secret, wrong) = (file("locket.yaml"), file("hook"), file("wrong"));
    p.write("hook", "a-secret-that-both-sides-know\n");
    p.write("wrong", "another-secret-that-nobody-knows\n");
    p.write(
        "locket.yaml",
        format!("listen: {{ address: '{address}', metrics: true, hooks: {{ bao: {{ secret: {{ file: {secret} }} }} }} }}\n"),
    );
    let controller = p.controller(&["--config", &config]);
    p.up(&[]);
    p.ready();
    let app = p.container("app");

    let url = format!("http://{address}/v1/hooks/bao");
    let push = |secret: &str| {
        p.program("sh", &["-c", PUSH, "sh", secret, &url])
            .ok()
            .text()
    };
    let plain = [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-d",
        "{}",
        &url,
    ];
    bao.put("shop/app", &[("key", &new)]);
    assert_eq!(push(&wrong), "401");
    assert_eq!(p.program("curl", &plain).ok().text(), "401");
    holds(3, "nobody is asked", || p.container("app") == app);

    let begin = Instant::now();
    assert_eq!(push(&secret), "202");
    eventually(30, "the value arrives", || {
        (p.container("app").env("KEY")? == new.as_bytes()).then_some(())
    });
    assert!(begin.elapsed().as_secs() < 15, "{:?}", begin.elapsed());
    p.ready();

    let scrape = format!("http://{address}/metrics");
    let text = p.program("curl", &["-s", &scrape]).ok().text();
    for line in [
        r#"locket_hooks_total{source="bao",outcome="refused"} 2"#,
        r#"locket_hooks_total{source="bao",outcome="accepted"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
    let restarts = format!(
        r#"locket_restarts_total{{project="{}",cause="ValueChanged"}} 1"#,
        p.name()
    );
    assert!(text.contains(&restarts), "{text}");
    assert!(!controller.log().contains("hooks"), "strangers fill no log");
    controller.stop();
    p.finish();
}

#[test]
fn a_listener_that_cannot_be_is_one_clear_line_and_takes_nobody_s_secrets_away() {
    let source = COMPOSE.lines().find(|l| l.contains("openbao")).unwrap();
    let text = COMPOSE
        .replace(&format!("  sources:\n{source}\n"), "")
        .replace("bao:secret/shop/app#key", "local:key");
    let mut p = Project::new("no-listener", &text);
    let value = p.canary("key");
    p.store("key", value);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = p.dir().join("locket.yaml").display().to_string();
    let write = |p: &Project, listen: &str| {
        let text = format!("listen: {{ address: '{listen}', metrics: true }}\n");
        p.write("locket.yaml", text);
    };
    // One that says what must not be is refused as a whole.
    write(&p, "0.0.0.0:9480");
    let out = p
        .locket(&["controller", "run", "--config", &config])
        .fails();
    let out = out.all();
    let errors: Vec<&str> = out.lines().filter(|l| l.starts_with("error")).collect();
    let said = "can be reached from elsewhere and there is no `tls`";
    assert!(matches!(&errors[..], [it] if it.contains(said)), "{out}");

    write(&p, &address.to_string());
    let controller = p.controller(&["--config", &config]);
    p.up(&[]);
    p.ready();
    let said = "cannot be listened at: Address already in use";
    let log = controller.log();
    let errors: Vec<&str> = log.lines().filter(|l| l.contains("ERROR")).collect();
    assert!(matches!(&errors[..], [it] if it.contains(said)), "{log}");
    for command in [&["controller", "status"][..], &["doctor"]] {
        let told = p.locket(command).any().all();
        assert!(told.contains(said), "{told}");
    }
    // Once nothing is in the way, it listens without anybody's help.
    drop(taken);
    eventually(60, "it listens", || TcpStream::connect(address).ok());
    controller.stop();
    p.finish();
}
