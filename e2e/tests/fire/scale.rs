//! A lot to do, on the fake engine: many projects, many services and secrets, many events at once. Nothing is lost, nobody is
//! overrun, and nothing is kept that is not needed.

use std::fmt::Write as _;
use std::time::Duration;

use locket_controller::fake::World;
use locket_e2e::alloc;
use locket_engine::fake::App;
use tokio::time::{Instant, sleep};

use super::work::Work;

const PROJECTS: usize = 50;
const SERVICES: usize = 10;
const EVENTS: usize = 5000;
/// What they tell, in turn.
const TOLD: [&str; 5] = [
    "update",
    "start",
    "health_status: healthy",
    "rename",
    "exec_die",
];
/// Passes that may run at once (`locket_runtime::Config`); each of these asks one source here, once at a time.
const AT_ONCE: usize = 8;
/// Long enough for whatever follows from something, and shorter than the look at all files that comes by itself.
const OVER: Duration = Duration::from_secs(20);

const HEAD: &str = "x-locket:
  defaults: { settle: 100ms, restart_every: 0s, refresh: 10m }
";

/// A project whose services all use one secret.
fn small() -> String {
    let mut text = format!(
        "{HEAD}  secrets: {{ key: local:key }}\nservices:\n  locket: {{ provider: {{ type: locket }} }}\n"
    );
    for n in 0..SERVICES {
        let _ = writeln!(
            text,
            "  s{n}: {{ image: app, depends_on: [locket], x-locket: [key] }}"
        );
    }
    text
}

/// A project whose services use secrets of their own, so many each.
fn large(services: usize, each: usize) -> String {
    let mut text = format!("{HEAD}  secrets:\n");
    for n in 0..services * each {
        let _ = writeln!(text, "    k{n}: local:k{n}");
    }
    text.push_str("services:\n  locket: { provider: { type: locket } }\n");
    for service in 0..services {
        let own = service * each..(service + 1) * each;
        let names: Vec<String> = own.map(|n| format!("k{n}")).collect();
        let _ = writeln!(
            text,
            "  s{service}: {{ image: app, depends_on: [locket], x-locket: [{}] }}",
            names.join(", ")
        );
    }
    text
}

fn run(test: impl Future<Output = ()>) {
    let group = alloc::Group::begin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .on_thread_start(move || group.join())
        .build()
        .unwrap();
    // Debug builds make large futures.
    runtime.block_on(Box::pin(test));
}

/// Bytes that this test holds when everything is over.
async fn held(world: &World) -> i64 {
    sleep(OVER).await;
    world.fake.forget_requests();
    alloc::here().live
}

/// Every project has been brought up, and then a controller was started.
async fn fifty() -> Vec<World> {
    let first = World::alone("p0", &small()).await;
    let app = App {
        stop_takes: Duration::from_millis(500),
        ..App::default()
    };
    first.app(&["key"], app);
    first.backend.set("key", "one");
    let mut worlds = vec![first];
    for n in 1..PROJECTS {
        let next = worlds[0].beside(&format!("p{n}"), &small()).await;
        worlds.push(next);
    }
    for world in &worlds {
        world.up().await.unwrap();
    }
    // What compose has just done is over.
    sleep(Duration::from_secs(60)).await;
    worlds[0].backend.take(Duration::from_millis(20));
    worlds
}

/// Everybody has this value, after so many starts.
async fn all_have(worlds: &[World], value: &str, starts: u32) {
    for world in worlds {
        world.ready().await;
        for n in 0..SERVICES {
            let service = format!("s{n}");
            assert_eq!(world.has(&service, "key"), value, "{service}");
            assert_eq!(world.view(&service).starts, starts, "{service}");
        }
    }
}

#[test]
fn fifty_projects_and_five_thousand_events_at_once() {
    run(async {
        let mut worlds = fifty().await;
        let before = Work::so_far(&worlds[0]).await;
        let begun = Instant::now();
        worlds[0].start_controller().await;
        let first = &worlds[0];
        until_ready(first, PROJECTS).await;
        println!("all are ready {:?} after the start", begun.elapsed());
        all_have(&worlds, "one", 1).await;
        let work = Work::since(before, first).await;
        println!("a controller starts: {work:?}");
        assert_eq!(work.reads.versions, PROJECTS, "one batch a project");
        assert_eq!(work.reads.values, 0, "nothing has changed");

        let before = Work::so_far(first).await;
        first.store("key", "two").await;
        sleep(OVER).await;
        all_have(&worlds, "two", 2).await;
        let work = Work::since(before, first).await;
        println!("a secret of all changes: {work:?}");
        assert_eq!(work.reads.versions, PROJECTS);
        assert_eq!(work.reads.values, PROJECTS, "one batch a project");

        let before = Work::so_far(first).await;
        burst(&worlds);
        sleep(OVER).await;
        let work = Work::since(before, first).await;
        println!("{EVENTS} events at once: {work:?}");
        // One that was on its way when the first events came, one for the rest, and one that comes by itself.
        assert!(work.passes <= PROJECTS * 4, "{work:?}");
        let inspects = PROJECTS * SERVICES;
        assert!(work.calls <= work.passes * 2 + inspects * 2, "{work:?}");
        assert_eq!((work.reads.versions, work.reads.values), (0, 0));
        // Buffers and connections have what a burst needs by now; more of them add nothing that stays.
        let mut after = Vec::new();
        for _ in 0..5 {
            burst(&worlds);
            after.push(held(first).await);
        }
        println!("held after each of five more: {after:?}");
        assert!(after[4] - after[0] < after[0] / 10, "{after:?}");

        // What changes in the middle of a burst is not lost in it.
        burst(&worlds);
        first.store("key", "three").await;
        burst(&worlds);
        sleep(OVER).await;
        all_have(&worlds, "three", 3).await;

        let most = first.backend.reads().most;
        println!("reads at once: {most} at most");
        assert!((2..=AT_ONCE).contains(&most), "{most} reads at once");
    });
}

async fn ready_projects(world: &World) -> usize {
    let metrics = world.metrics().await;
    let is_ready = |line: &&str| {
        line.starts_with("locket_project_condition{")
            && line.contains("condition=\"Ready\"")
            && line.ends_with(" 1.0")
    };
    metrics.lines().filter(is_ready).count()
}

/// Waits until so many projects are ready, by what a controller shows of itself: whoever asks for the status of a project that was
/// not looked at yet makes it look.
async fn until_ready(world: &World, projects: usize) {
    let deadline = Instant::now() + OVER;
    while ready_projects(world).await < projects {
        assert!(Instant::now() < deadline, "not ready in time");
        sleep(Duration::from_millis(10)).await;
    }
}

/// So many events in one moment, of all containers in turn.
fn burst(worlds: &[World]) {
    for turn in 0..EVENTS / PROJECTS / SERVICES {
        for (n, world) in worlds.iter().enumerate() {
            for service in 0..SERVICES {
                world
                    .fake
                    .tell(&format!("p{n}-s{service}-1"), TOLD[turn % TOLD.len()]);
            }
        }
    }
}

#[test]
fn a_thousand_services_with_ten_thousand_secrets() {
    const SERVICES: usize = 1000;
    const EACH: usize = 10;
    run(async {
        let mut world = World::alone("shop", &large(SERVICES, EACH)).await;
        world.app(&["k0", "k10"], App::default());
        let set_all = |world: &World, value: &str| {
            for n in 0..SERVICES * EACH {
                world.backend.set(&format!("k{n}"), value);
            }
        };
        set_all(&world, "one");
        world.up().await.unwrap();
        sleep(Duration::from_secs(60)).await;
        world.backend.take(Duration::from_millis(20));

        let before = Work::so_far(&world).await;
        world.start_controller().await;
        until_ready(&world, 1).await;
        let work = Work::since(before, &world).await;
        println!("a controller starts: {work:?}");
        assert_eq!((work.reads.versions, work.reads.values), (1, 0));

        // A pass that finds nothing to do.
        let before = Work::so_far(&world).await;
        world.refresh().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let work = Work::since(before, &world).await;
        println!("nothing to do: {work:?}");
        assert!(work.calls <= 5 * work.passes, "{work:?}");
        assert_eq!((work.reads.versions, work.reads.values), (1, 0));

        // One of ten thousand.
        let before = Work::so_far(&world).await;
        world.store("k10", "two").await;
        sleep(OVER).await;
        world.ready().await;
        let work = Work::since(before, &world).await;
        println!("one secret changes: {work:?}");
        // A service is rendered whole, and no value was kept.
        assert_eq!((work.reads.values, work.reads.secrets), (1, EACH));
        assert_eq!(world.has("s1", "k10"), "two");
        assert_eq!((world.view("s0").starts, world.view("s1").starts), (1, 2));

        // All of them, twice.
        let mut after = Vec::new();
        for (value, starts) in [("three", 2), ("four", 3)] {
            let before = Work::so_far(&world).await;
            set_all(&world, value);
            world.store("k0", value).await;
            sleep(OVER).await;
            world.ready().await;
            let work = Work::since(before, &world).await;
            println!("all secrets change: {work:?}");
            assert_eq!(work.reads.secrets, SERVICES * EACH, "each once");
            assert_eq!(world.has("s0", "k0"), value);
            assert_eq!(world.view("s999").starts, starts);
            assert!(work.reads.most <= AT_ONCE, "{work:?}");
            after.push(held(&world).await);
        }
        println!("held after each: {after:?}");
        assert!(after[1] - after[0] < after[0] / 20, "{after:?}");
    });
}
