//! Long engine calls: what the engine refuses, what takes long, and what a user does meanwhile.

use std::sync::Arc;
use std::time::Duration;

use locket_core::{ContainerId, Probed, StepResult, Time};
use locket_crds::api::ConditionKind;
use locket_engine::Status;
use locket_engine::fake::{App, AppView, Fault, Verdict};
use locket_engine::watcher::Action;
use tokio::time::sleep;

use crate::background::{Background, Hands};
use crate::fake::{Runs, World};

fn compose(on_change: &str) -> String {
    format!(
        r#"
x-locket:
  defaults: {{ settle: 0s, restart_every: 0s, refresh: 5s }}
  secrets: {{ key: local:key }}
services:
  locket: {{ provider: {{ type: locket }} }}
  api: {{ image: app, depends_on: [locket], x-locket: {{ secrets: [key], on_change: {on_change} }} }}
"#
    )
}

async fn up(on_change: &str, runs: Runs, app: App) -> World {
    let mut world = World::new(&compose(on_change)).await;
    world.runs("api", runs);
    world.backend.set("key", "one");
    world.app(&["key"], app);
    world.up().await.unwrap();
    world.ready().await;
    sleep(Duration::from_secs(60)).await;
    world
}

async fn rolled_out(world: &World) -> String {
    let it = world.condition(Some("api"), ConditionKind::RolledOut).await;
    it.unwrap().reason
}

fn count(world: &World, what: &str) -> usize {
    world
        .fake
        .requests()
        .iter()
        .filter(|r| r.contains(what))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_is_said_and_is_not_tried_in_a_loop() {
    let world = up(
        "{ action: restart, stable: 5s }",
        Runs::default(),
        App::default(),
    )
    .await;
    let start = format!("POST /containers/{}/start", world.container("api").await.id);
    let before = count(&world, &start);
    world.fake.faults().on(&start, Fault::Status(500), 1000);
    world.backend.set("key", "two");
    world
        .until("it is said", async |w| rolled_out(w).await == "StartFailed")
        .await;
    assert!(!world.is_ready().await);
    sleep(Duration::from_secs(300)).await;
    let tries = count(&world, &start) - before;
    assert!((8..20).contains(&tries), "{tries} tries");
    world.fake.faults().clear();
    world
        .until("it runs with the last good value", async |w| {
            w.container("api").await.state.status == Status::Running && w.has("api", "key") == "one"
        })
        .await;
    world.backend.set("key", "three");
    world
        .until("another value is tried", async |w| {
            w.has("api", "key") == "three"
        })
        .await;
    world.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_cannot_be_written_down_is_none() {
    let world = up("restart", Runs::default(), App::default()).await;
    let is_paused = async |world: &World| {
        let it = world.condition(None, ConditionKind::Paused).await;
        it.is_some_and(|it| it.status)
    };
    // Nothing can be written where a folder is.
    let volume = world.fake.volume_dir("shop_locket").unwrap();
    let folder = volume.join("state/switches.json");
    std::fs::create_dir(&folder).unwrap();
    let refused = world.pause(true).await.unwrap_err();
    assert_eq!(refused.reason, "Unavailable");
    world.backend.set("key", "two");
    world
        .until("it is restarted", async |w| w.has("api", "key") == "two")
        .await;
    assert!(!is_paused(&world).await);
    std::fs::remove_dir(&folder).unwrap();
    world.pause(true).await.unwrap();
    world.until("it is paused", is_paused).await;
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    world.pause(false).await.unwrap_err();
    sleep(Duration::from_secs(60)).await;
    assert!(is_paused(&world).await);
}

#[tokio::test(start_paused = true)]
async fn a_long_grace_period_is_waited_for_and_asked_for_once() {
    let runs = Runs {
        stop_timeout: Some(120),
        ..Runs::default()
    };
    let app = App {
        stop_takes: Duration::from_secs(100),
        ..App::default()
    };
    let world = up("restart", runs, app).await;
    let before = count(&world, "/stop");
    world.backend.set("key", "two");
    world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    assert_eq!(count(&world, "/stop") - before, 1);
    assert_eq!(
        world.container("api").await.state.exit_code,
        0,
        "it ended by itself"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_runs_on_is_said_to_have_failed_and_is_not_started_again() {
    let world = up(
        "{ exec: [sleep, \"200\"], timeout: 20s }",
        Runs::default(),
        App::default(),
    )
    .await;
    let exec = format!("POST /containers/{}/exec", world.container("api").await.id);
    let before = count(&world, &exec);
    world.backend.set("key", "two");
    world
        .until("it is said", async |w| rolled_out(w).await == "HookFailed")
        .await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(count(&world, &exec) - before, 1, "it still runs");
    world.ready().await;
    assert_eq!(count(&world, &exec) - before, 1, "it succeeded after all");
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_print_what_it_likes() {
    let world = up(
        "{ exec: [print, \"5000000\"] }",
        Runs::default(),
        App::default(),
    )
    .await;
    let exec = format!("POST /containers/{}/exec", world.container("api").await.id);
    let before = count(&world, &exec);
    world.backend.set("key", "two");
    world
        .until("it has run", async |w| count(w, &exec) > before)
        .await;
    world.ready().await;
    assert_eq!(count(&world, &exec) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_user_stops_right_after_our_start_stays_stopped() {
    let world = up(
        "{ action: restart, stable: 10s }",
        Runs::default(),
        App::default(),
    )
    .await;
    world.backend.set("key", "two");
    world
        .until("it was started", async |w| w.has("api", "key") == "two")
        .await;
    let id = world.container("api").await.id;
    world.engine.stop(&id, None).await.unwrap();
    sleep(Duration::from_secs(120)).await;
    assert_eq!(world.container("api").await.state.status, Status::Exited);
    assert_ne!(rolled_out(&world).await, "RolledBack");
}

/// Cron runs `docker compose run` in the project, for ever.
#[tokio::test(start_paused = true)]
async fn one_off_containers_neither_hold_a_rotation_nor_hide_a_bad_value() {
    let judge = |view: &AppView| match view.files.values().any(|v| v.starts_with(b"bad")) {
        true => Verdict::Exit(1),
        false => Verdict::Fine,
    };
    let app = App {
        judge: Some(Arc::new(judge)),
        ..App::default()
    };
    let world = up("{ action: restart, stable: 5s }", Runs::default(), app).await;
    world.backend.set("key", "bad");
    let cron = async {
        loop {
            let id = world.run("api").await;
            sleep(Duration::from_secs(1)).await;
            world.engine.remove(&id, true).await.unwrap();
        }
    };
    let rolled_back = world.until("it is rolled back", async |w| {
        rolled_out(w).await == "RolledBack" && w.has("api", "key") == "one"
    });
    tokio::select! {
        () = cron => {}
        () = rolled_back => {}
    }
    assert_eq!(world.view("api").starts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_is_made_again() {
    let world = up("restart", Runs::default(), App::default()).await;
    let it = world.container("api").await;
    let (id, run) = (ContainerId(it.id), it.state.started_at.map(Time));
    let answer = async |faults: usize| {
        let exec = format!("POST /containers/{}/exec", id.0);
        world.fake.faults().on(&exec, Fault::Status(500), faults);
        let background = Arc::new(Background::default());
        let hands = Hands {
            engine: world.fake.connect().await.unwrap(),
            cache: Arc::default(),
            background: Arc::clone(&background),
            wake: Arc::new(|| {}),
            now: Time(0),
        };
        hands.probe(id.clone(), run);
        assert!(background.is_probing(&id) && background.is_busy());
        while background.is_probing(&id) {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(background.probed(&id, None), None, "another run");
        background.probed(&id, run)
    };
    assert_eq!(answer(3).await, Some(Probed::Seq(1)));
    assert_eq!(answer(5).await, Some(Probed::Unknown));
}

#[tokio::test(start_paused = true)]
async fn echoes_are_told_by_what_they_say() {
    let world = up("restart", Runs::default(), App::default()).await;
    let id = ContainerId(world.container("api").await.id);
    let background = Arc::new(Background::default());
    let hands = |now| Hands {
        engine: world.engine.clone(),
        cache: Arc::default(),
        background: Arc::clone(&background),
        wake: Arc::new(|| {}),
        now,
    };
    let at = |seconds: u64| Time(1_000_000_000 * seconds);
    let ours = |action, time| background.is_ours(&id, action, time);
    assert!(!ours(Action::Stop, at(100)));
    let run = world.container("api").await.state.started_at.map(Time);
    hands(at(90)).stop(id.clone(), None, Duration::from_secs(10));
    while background.now().operations.contains_key(&id) {
        sleep(Duration::from_millis(1)).await;
    }
    let now = world.container("api").await.state;
    assert_eq!(
        now.status,
        Status::Running,
        "another run than the one that was judged is left alone"
    );
    assert!(background.now().results.is_empty());
    hands(at(100)).stop(id.clone(), run, Duration::from_secs(10));
    assert!(ours(Action::Kill, at(100)) && ours(Action::Stop, at(105)));
    assert!(!ours(Action::Stop, at(99)) && !ours(Action::Create, at(100)));
    while background.now().operations.contains_key(&id) {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(ours(Action::Stop, at(101)) && !ours(Action::Stop, at(110)));
    hands(at(101)).start(id.clone());
    assert!(ours(Action::Start, at(101)));
    assert!(
        !ours(Action::Stop, at(101)),
        "a stop after our start is somebody else's"
    );
    assert!(ours(Action::Stop, at(100)), "a late echo");
    while background.now().operations.contains_key(&id) {
        sleep(Duration::from_millis(1)).await;
    }
    let all = background.now().results;
    assert!(
        matches!(all.as_slice(), [StepResult::Stopped { .. }]),
        "{all:?}"
    );
}
