//! Two hundred containers use one secret, and it changes. No twin here: on the fake engine it is `fire/scale.rs`, with more of all.

use std::collections::BTreeMap;

use locket_e2e::{Project, eventually};
use serde_json::Value;

const SERVICES: usize = 10;
const REPLICAS: usize = 20;

/// The cheapest containers there are: no network, and an end at once.
fn compose() -> String {
    let mut text = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: "local:key" }
services:
  locket: { provider: { type: locket } }
"#
    .to_owned();
    for n in 0..SERVICES {
        text += &format!(
            r#"  s{n}:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    scale: {REPLICAS}
    network_mode: none
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: {{ secrets: [key], on_change: {{ action: restart, stable: 0s }} }}
"#
        );
    }
    text
}

/// When a container went down last, and when it came up: moments on the engine's clock, as texts that sort.
#[derive(Debug, Clone, PartialEq)]
struct Life {
    service: String,
    down: String,
    up: String,
}

/// All of them, by id, with one question.
fn lives(p: &Project) -> BTreeMap<String, Life> {
    let project = format!("label=com.docker.compose.project={}", p.name());
    let ids = p.docker(&["ps", "-q", "--no-trunc", "--filter", &project]);
    let ids = ids.ok().text();
    let ids: Vec<&str> = ids.lines().collect();
    let out = p.docker(&[&["inspect"], &ids[..]].concat()).ok();
    let all: Vec<Value> = serde_json::from_slice(&out.stdout).unwrap();
    let life = |it: &Value| {
        let text = |pointer: &str| it.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let life = Life {
            service: text("/Config/Labels/com.docker.compose.service"),
            down: sortable(&text("/State/FinishedAt")),
            up: sortable(&text("/State/StartedAt")),
        };
        (text("/Id"), life)
    };
    all.iter().map(life).collect()
}

/// The engine leaves zeros at the end of a fraction out.
fn sortable(time: &str) -> String {
    let (seconds, fraction) = time
        .trim_end_matches('Z')
        .split_once('.')
        .unwrap_or((time, ""));
    format!("{seconds}.{fraction:0<9}")
}

/// How many were down at once, at most.
fn down_at_once<'a>(lives: impl Iterator<Item = &'a Life>) -> i32 {
    let changes = lives.flat_map(|it| [(&it.down, 1), (&it.up, -1)]);
    let mut changes: Vec<_> = changes.collect();
    changes.sort();
    let mut now = 0;
    let counts = changes.into_iter().map(|(_, change)| {
        now += change;
        now
    });
    counts.max().unwrap_or(0)
}

#[test]
fn two_hundred_containers_follow_a_secret_one_replica_at_a_time() {
    let mut p = Project::new("scale", &compose());
    p.store_in_the_open("key", "one");
    let controller = p.controller(&[]);
    p.up(&[]);
    let wait = ["wait", "--for=Ready", "--timeout", "240s"];
    p.locket(&wait).ok();
    let before = lives(&p);
    assert_eq!(before.len(), SERVICES * REPLICAS);

    let began = std::time::Instant::now();
    p.store_in_the_open("key", "two");
    eventually(30, "the change is seen", || {
        let status = p.status()?;
        (status["services"][0]["generation"] == 2).then_some(())
    });
    p.locket(&wait).ok();
    let took = began.elapsed();

    let after = lives(&p);
    assert_eq!(after.len(), before.len(), "all run");
    for (id, life) in &after {
        let old = &before[id];
        assert!(
            life.down > old.up && life.up > life.down,
            "{old:?} {life:?}"
        );
    }
    for n in 0..SERVICES {
        let service = format!("s{n}");
        let of = after.values().filter(|it| it.service == service);
        assert_eq!(down_at_once(of), 1, "replicas of {service} down at once");
        let explained = p.locket(&["explain", &service, "--json"]).ok();
        let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
        let acts = explained["history"].as_array().unwrap();
        let restarts = acts.iter().filter(|act| act["action"] == "restart").count();
        assert_eq!(restarts, REPLICAS, "restarts of {service}");
    }
    let most = down_at_once(after.values());
    println!("{} restarts within {took:?}, {most} at once", after.len());
    assert!(usize::try_from(most).unwrap() <= SERVICES);
    controller.stop();
}
