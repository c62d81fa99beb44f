//! A value changes in OpenBao; a database rotates with its hook; whoever depends on it follows, once, in order.
//! No twin on the fake engine: it is about OpenBao, PostgreSQL and what its clients can log in with.

use locket_e2e::{Bao, Container, Project, eventually};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  sources:
    bao: { type: openbao, url: "@URL@", auth: { token: { file: @TOKEN@ } }, refresh: 1s }
  secrets:
    db_password: bao:secret/shop/db#password
    smtp: bao:secret/shop/smtp#password
    cert: bao:secret/shop/cert#pem

services:
  locket: { provider: { type: locket } }
  db:
    image: locket-test/postgres:15
    pull_policy: never
    depends_on: [locket]
    environment: { POSTGRES_PASSWORD_FILE: /run/secrets/db_password }
    healthcheck: { test: [CMD, pg_isready, -q, -h, 127.0.0.1], interval: 1s, start_period: 30s }
    x-locket:
      secrets: [db_password]
      templates: [{ content: "ALTER ROLE postgres PASSWORD {{ db_password | sql_quote }};", target: rotate.sql }]
      on_change: { exec: [psql, -v, ON_ERROR_STOP=1, -U, postgres, -f, /run/secrets/rotate.sql] }
  api:
    image: locket-test/postgres:15
    pull_policy: never
    user: "1000:1000"
    read_only: true
    stop_signal: SIGKILL
    entrypoint: [sleep, "86400"]
    depends_on: { locket: { condition: service_started }, db: { condition: service_healthy } }
    healthcheck:
      test: [CMD-SHELL, 'PGCONNECT_TIMEOUT=2 psql "$$DATABASE_URL" -Atc "select 1"']
      interval: 1s
    x-locket:
      env: { DATABASE_URL: "postgres://postgres:{{ db_password | urlencode }}@db/postgres" }
  mailer:
    image: locket-test/busybox
    pull_policy: never
    stop_signal: SIGKILL
    command: [sleep, "86400"]
    depends_on: [locket]
    x-locket: [smtp]
  proxy:
    image: locket-test/busybox
    pull_policy: never
    init: true
    command: [sh, -c, 'trap "cat /run/secrets/cert >/state/seen" HUP; touch /state/seen; while :; do sleep 1 & wait; done']
    tmpfs: [/state]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { secrets: [cert], on_change: "signal:HUP" }
"#;

fn connects(db: &Container, password: &str) -> bool {
    let script =
        "read -r PGPASSWORD; export PGPASSWORD; psql -h 127.0.0.1 -U postgres -Atc 'select 1'";
    db.exec(&["sh", "-c", script])
        .stdin(format!("{password}\n"))
        .any()
        .code
        == 0
}

#[test]
fn a_database_rotates_and_its_dependants_follow_once() {
    let bao = Bao::start();
    let text = COMPOSE
        .replace("@URL@", &bao.url())
        .replace("@TOKEN@", bao.token_file("shop").to_str().unwrap());
    let mut p = Project::new("rotation", &text);
    let (first, second) = (p.canary("first"), format!("it's-{}", p.canary("second")));
    p.guard("second", second.as_bytes());
    let (smtp, cert, renewed) = (p.canary("smtp"), p.canary("cert"), p.canary("renewed"));
    bao.put("shop/db", &[("password", &first)]);
    bao.put("shop/smtp", &[("password", &smtp)]);
    bao.put("shop/cert", &[("pem", &cert)]);
    p.grant();
    let controller = p.controller(&[]);
    p.up(&["--wait", "--wait-timeout", "120"]);
    p.ready();

    let (db, api, mailer, proxy) = (
        p.container("db"),
        p.container("api"),
        p.container("mailer"),
        p.container("proxy"),
    );
    assert!(connects(&db, &first));

    bao.put("shop/db", &[("password", &second)]);
    let restarted = eventually(60, "api runs anew with the new password", || {
        let now = p.container("api");
        let url = now.running().then(|| now.env("DATABASE_URL")).flatten()?;
        (now != api && !String::from_utf8_lossy(&url).contains(&first)).then_some(now)
    });
    assert_eq!(restarted.id, api.id, "a restart keeps the container");
    let db_now = p.container("db");
    assert_eq!(db_now, db, "the database is told, not restarted");
    assert_eq!(
        db_now.read("/run/secrets/db_password").unwrap(),
        second.as_bytes()
    );
    assert!(connects(&db_now, &second), "the new password is good");
    assert!(!connects(&db_now, &first), "the old one is not");
    eventually(
        30,
        "api is healthy: it logs in with what it started with",
        || (p.container("api").health() == "healthy").then_some(()),
    );
    p.ready();
    assert_eq!(p.container("api"), restarted, "once");
    assert_eq!(
        (p.container("mailer"), p.container("proxy")),
        (mailer.clone(), proxy.clone()),
        "others are untouched"
    );

    let why = p.locket(&["explain", "api"]).ok().text();
    assert!(
        why.contains("db_password") && why.contains("restart"),
        "{why}"
    );

    bao.put("shop/cert", &[("pem", &renewed)]);
    eventually(
        30,
        "the proxy was told by a signal and has read the new certificate",
        || {
            let seen = proxy.exec(&["cat", "/state/seen"]).says_values().any();
            (seen.stdout == renewed.as_bytes()).then_some(())
        },
    );
    p.ready();
    let now = (
        p.container("db"),
        p.container("api"),
        p.container("mailer"),
        p.container("proxy"),
    );
    assert_eq!(
        now,
        (db, restarted, mailer, proxy),
        "a signal restarts nothing, here or elsewhere"
    );
    controller.stop();
    p.finish();
}
