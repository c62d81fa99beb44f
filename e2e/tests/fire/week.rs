//! A week of a controller, on a paused clock: many projects, a secret of all that changes every hour, an engine that restarts every
//! night. What is remembered does not grow, and each start of a container has its reason.
//!
//! `LOCKET_WEEK_PROJECTS` is the number of projects, 3 if nothing is said: each takes ten seconds or more of a core.
//! `LOCKET_WEEK_DAYS` is that of days, 7 if nothing is said.

use std::path::Path;
use std::time::Duration;

use locket_controller::fake::{Runs, World};
use locket_e2e::alloc;
use locket_engine::RestartPolicy;
use locket_engine::fake::App;
use tokio::time::{Instant, sleep, sleep_until};

use super::work::Work;

const HOUR: Duration = Duration::from_secs(3600);
/// Events of a project that are kept: docs/reference/conditions.md.
const EVENTS: usize = 256;
/// Days until the history of a project is full.
const FULL: u32 = 3;

const COMPOSE: &str = "
x-locket:
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  db: { image: app, depends_on: [locket], x-locket: [key] }
  api: { image: app, depends_on: [locket, db], x-locket: [key] }
";
const SERVICES: [&str; 2] = ["db", "api"];

fn number(variable: &str, usual: u32) -> u32 {
    std::env::var(variable).map_or(usual, |n| n.parse().unwrap())
}

async fn begin(projects: u32) -> Vec<World> {
    let mut first = World::alone("p0", COMPOSE).await;
    first.app(&["key"], App::default());
    first.backend.set("key", "first");
    first.start_controller().await;
    let mut worlds = vec![first];
    for n in 1..projects {
        let next = worlds[0].beside(&format!("p{n}"), COMPOSE).await;
        worlds.push(next);
    }
    for world in &mut worlds {
        for service in SERVICES {
            let runs = Runs {
                restart: RestartPolicy::UnlessStopped,
                ..Runs::default()
            };
            world.runs(service, runs);
        }
        world.up().await.unwrap();
    }
    worlds
}

/// One day, with a new value every hour, and an engine that restarts at its end.
async fn day(worlds: &[World], day: u32) {
    let first = &worlds[0];
    let begun = Instant::now();
    for hour in 0..24 {
        sleep_until(begun + HOUR * hour + HOUR / 2).await;
        first
            .store("key", &format!("of day {day}, hour {hour}"))
            .await;
    }
    sleep_until(begun + HOUR * 24 - Duration::from_secs(600)).await;
    first.fake.go_down();
    sleep(Duration::from_secs(30)).await;
    first.fake.come_up();
    sleep_until(begun + HOUR * 24).await;
    first.fake.forget_requests();
}

/// How many restarts of a service since then, in milliseconds since 1970, are explained.
async fn explained(world: &World, service: &str, since: u64) -> usize {
    let history = world.explain(service).await.unwrap().history;
    let restarts = history
        .iter()
        .filter(|act| act.time.0 > since && act.action == "restart");
    restarts
        .inspect(|act| {
            assert!(
                act.container.is_some() && act.result == "running",
                "{act:?}"
            );
            assert!(act.cause.contains("local:key"), "{act:?}");
        })
        .count()
}

fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|it| match it.metadata().unwrap() {
            meta if meta.is_dir() => size(&it.path()),
            meta => meta.len(),
        })
        .sum()
}

async fn week(projects: u32, days: u32) {
    let worlds = begin(projects).await;
    let before = Work::so_far(&worlds[0]).await;
    // Compose has started each once.
    let mut starts = vec![[0; SERVICES.len()]; worlds.len()];
    let mut by_others = 1;
    let (mut held, mut written) = (Vec::new(), Vec::new());
    for n in 0..days {
        let since = worlds[0].fake.now() / 1_000_000;
        day(&worlds, n).await;
        by_others += 1;
        for (world, starts) in worlds.iter().zip(&mut starts) {
            assert!(world.is_ready().await, "{}", world.report().await);
            for (service, before) in SERVICES.iter().zip(starts) {
                let value = format!("of day {n}, hour 23");
                assert_eq!(world.has(service, "key"), value);
                let now = world.view(service).starts;
                let why = explained(world, service, since).await;
                assert_eq!(why, 24, "restarts of {service} on day {n}");
                assert_eq!(now - *before, why as u32 + by_others, "starts of {service}");
                *before = now;
            }
            let events = world.events().await.unwrap().len();
            assert!(events <= EVENTS, "{events} events");
        }
        // Only the engine from here on.
        by_others = 0;
        let volume = |world: &World| {
            size(
                &world
                    .fake
                    .volume_dir(&format!("{}_locket", world.spec().project))
                    .unwrap(),
            )
        };
        held.push(alloc::here().live);
        written.push(worlds.iter().map(volume).sum::<u64>());
    }
    println!("{:?}", Work::since(before, &worlds[0]).await);
    println!("held after each day: {held:?}; on the project volumes: {written:?}");
    let (Some(full), Some(end)) = (held.get(FULL as usize), held.last()) else {
        return;
    };
    assert!(end - full < full / 20, "{held:?}");
    let (full, end) = (written[FULL as usize], written[written.len() - 1]);
    assert!(end < full + full / 20, "{written:?}");
}

#[test]
fn a_week() {
    let (projects, days) = (
        number("LOCKET_WEEK_PROJECTS", 3),
        number("LOCKET_WEEK_DAYS", 7),
    );
    let group = alloc::Group::begin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .on_thread_start(move || group.join())
        .build()
        .unwrap();
    // Debug builds make large futures.
    runtime.block_on(Box::pin(week(projects, days)));
}
