//! The crash matrix: the controller is killed before and after each of its calls to the engine and to the anchor, in the middle of
//! everything that it does; another one takes over. Nothing is lost, nothing is done twice, and what a user stopped stays stopped.
//!
//! A story is told once without a crash, which says what points there are; then once for each of them.
//! Everything that a controller does outside of its memory is such a call: it keeps no file of its own. State files and generations
//! go through the anchor (`before anchor write-state+publish`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use locket_controller::fake::{Runs, World};
use locket_engine::fake::{App, AppView, Verdict};
use locket_engine::{ExecSpec, Failpoints, Status};
use tokio::sync::Notify;
use tokio::time::sleep;

/// What is told with and without a crash.
struct Story {
    name: &'static str,
    compose: &'static str,
    /// What happens while the controller dies, and again afterwards if it was not over.
    act: fn(&mut World) -> Act<'_>,
    /// How often containers may have been started in the end, at least and at most, by service.
    starts: &'static [(&'static str, u32, u32)],
    /// The value that each service runs with in the end.
    values: &'static [(&'static str, &'static str)],
    /// The project is up before it begins.
    is_up: bool,
    /// What else holds in the end.
    also: fn(&World) -> Act<'_>,
}

type Act<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One of each service's containers in all stories: a user has stopped it before.
const STOPPED: &str = "stopped";
/// In this time a change has been seen, and whatever follows has begun.
const IT_TAKES: Duration = Duration::from_secs(20);

/// A name, and how often it is reached.
type Point = (String, usize);

/// The points that were reached, and the one at which it ends.
#[derive(Default)]
struct Points {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    counts: bool,
    reached: BTreeMap<String, usize>,
    ends_at: Option<Point>,
    dead: bool,
}

impl Points {
    fn failpoints(self: &Arc<Self>) -> Failpoints {
        let points = Arc::clone(self);
        Failpoints::new(move |name| points.reach(name))
    }

    fn reach(&self, name: &str) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.dead || !state.counts {
            return state.dead;
        }
        let times = state.reached.entry(name.to_owned()).or_default();
        *times += 1;
        let here = (name.to_owned(), *times);
        state.dead = state.ends_at.as_ref() == Some(&here);
        if state.dead {
            self.ended.notify_one();
        }
        state.dead
    }

    fn begin(&self, ends_at: Option<Point>) {
        let mut state = self.state.lock().unwrap();
        (state.counts, state.ends_at) = (true, ends_at);
    }

    fn end(&self) -> BTreeMap<String, usize> {
        let mut state = self.state.lock().unwrap();
        state.counts = false;
        std::mem::take(&mut state.reached)
    }

    fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }
}

fn judge(view: &AppView) -> Verdict {
    let bad = view.files.values().any(|bytes| bytes == b"bad");
    if bad { Verdict::Exit(3) } else { Verdict::Fine }
}

impl Story {
    async fn begin(&self, points: &Arc<Points>) -> World {
        let mut world = World::alone("shop", self.compose).await;
        let judged = App {
            judge: Some(Arc::new(judge)),
            reload_on: Some("SIGHUP".to_owned()),
            ..App::default()
        };
        world.app(&["key"], judged);
        for service in ["db", "api", "web", STOPPED] {
            let runs = Runs {
                tmpfs: vec!["/state".to_owned()],
                ..Runs::default()
            };
            world.runs(service, runs);
        }
        world.backend.set("key", "one");
        world.start_controller_with(points.failpoints()).await;
        if self.is_up {
            world.up().await.unwrap();
            world.ready().await;
            let stopped = world.container(STOPPED).await;
            world.engine.stop(&stopped.id, None).await.unwrap();
            // What compose and people have just done is over.
            sleep(Duration::from_secs(120)).await;
            world.ready().await;
        }
        world
    }

    /// Tells it until the controller dies at that point, or to its end; says which points there were.
    async fn tell(&self, ends_at: Option<Point>) -> (bool, BTreeMap<String, usize>) {
        let points = Arc::new(Points::default());
        let mut world = self.begin(&points).await;
        points.begin(ends_at);
        let over = async {
            (self.act)(&mut world).await;
            sleep(IT_TAKES).await;
            world.at_rest().await;
        };
        let over = tokio::select! {
            biased;
            () = points.ended.notified() => false,
            () = Box::pin(over) => true,
        };
        let reached = points.end();
        assert_eq!(over, !points.is_dead());
        if points.is_dead() {
            world.kill_controller().await;
            world.start_controller().await;
            (self.act)(&mut world).await;
            sleep(IT_TAKES).await;
            world.at_rest().await;
        }
        // Long enough for whatever might follow.
        sleep(Duration::from_secs(600)).await;
        self.check(&world).await;
        (!over, reached)
    }

    async fn check(&self, world: &World) {
        world.at_rest().await;
        for (service, value) in self.values {
            let volume = world.fake.volume_dir(&format!("shop_locket-{service}"));
            let delivered = std::fs::read_to_string(volume.unwrap().join("key"));
            assert_eq!(delivered.unwrap(), *value, "delivered to {service}");
            // It reads its file when it starts.
            if world.view(service).starts > 1 {
                assert_eq!(world.has(service, "key"), *value, "{service} runs with");
            }
            let status = world.container(service).await.state.status;
            assert_eq!(status, Status::Running, "{service}");
        }
        for (service, least, most) in self.starts {
            let starts = world.view(service).starts;
            assert!(
                (*least..=*most).contains(&starts),
                "{service} was started {starts} times"
            );
        }
        (self.also)(world).await;
        if self.is_up && !self.values.is_empty() {
            let stopped = world.container(STOPPED).await.state.status;
            assert_eq!(stopped, Status::Exited, "a user has stopped it");
            assert_eq!(world.view(STOPPED).starts, 1);
            assert_eq!(world.anchors().await.len(), 1);
        }
    }
}

/// Tells a story with a crash at each of its points.
fn matrix(story: &Story) {
    let run = |ends_at| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        // Debug builds make large futures.
        runtime.block_on(Box::pin(story.tell(ends_at)))
    };
    let (_, all) = run(None);
    assert!(!all.is_empty(), "{}: nothing happens", story.name);
    let mut kills = 0;
    for (name, times) in &all {
        let mut hit = 0;
        for nth in 1..=*times {
            let point = (name.clone(), nth);
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(Some(point))));
            let Ok((died, _)) = told else {
                panic!("{}: killed {name}, the {nth}. time", story.name);
            };
            hit += usize::from(died);
        }
        // What runs at once does not come equally often every time; but it comes.
        assert!(hit > 0, "{}: never killed {name}", story.name);
        kills += hit;
    }
    println!("{}: killed {kills} times: {all:#?}", story.name);
}

/// `settle` is short, so that a story has few pings in it.
macro_rules! compose {
    ($services:literal) => {
        concat!(
            r#"
x-locket:
  defaults: { settle: 100ms, restart_every: 0s, refresh: 10m }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  stopped: { image: app, depends_on: [locket], x-locket: [key] }
"#,
            $services
        )
    };
}

const ONE: &str = compose!("  api: { image: app, depends_on: [locket], x-locket: [key] }");
const THREE: &str = compose!(
    "  db: { image: app, depends_on: [locket], x-locket: [key] }
  api: { image: app, depends_on: [locket, db], x-locket: [key] }
  web: { image: app, depends_on: [locket, api], x-locket: [key] }"
);

fn nothing(_: &World) -> Act<'_> {
    Box::pin(async {})
}

fn set<'a>(world: &'a World, value: &'static str) -> Act<'a> {
    Box::pin(world.store("key", value))
}

#[test]
fn a_first_delivery() {
    matrix(&Story {
        name: "first delivery",
        compose: THREE,
        act: |w| Box::pin(async { w.up().await.unwrap() }),
        starts: &[("db", 1, 1), ("api", 1, 1), ("web", 1, 1)],
        values: &[("db", "one"), ("api", "one"), ("web", "one")],
        is_up: false,
        also: nothing,
    });
}

#[test]
fn a_rotation() {
    matrix(&Story {
        name: "rotation",
        compose: ONE,
        act: |w| set(w, "two"),
        starts: &[("api", 2, 2)],
        values: &[("api", "two")],
        is_up: true,
        also: nothing,
    });
}

#[test]
fn an_ordered_restart_of_three() {
    matrix(&Story {
        name: "ordered restart",
        compose: THREE,
        act: |w| set(w, "two"),
        starts: &[("db", 2, 2), ("api", 2, 2), ("web", 2, 2)],
        values: &[("db", "two"), ("api", "two"), ("web", "two")],
        is_up: true,
        also: nothing,
    });
}

#[test]
fn a_signal() {
    matrix(&Story {
        name: "signal",
        compose: compose!(
            "  api: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: 'signal:SIGHUP' } }"
        ),
        act: |w| set(w, "two"),
        starts: &[("api", 1, 1)],
        values: &[("api", "two")],
        is_up: true,
        // At least once; a second time only if it died before it could write down that it was sent.
        also: |w| {
            assert!(matches!(w.view("api").signals.len(), 1..=2));
            nothing(w)
        },
    });
}

#[test]
fn a_hook_and_who_waits_for_it() {
    matrix(&Story {
        name: "hook",
        compose: compose!(
            "  db: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: { exec: [cp, /run/secrets/key, /state/key] } } }
  api: { image: app, depends_on: [locket, db], x-locket: [key] }"
        ),
        act: |w| set(w, "two"),
        starts: &[("db", 1, 1), ("api", 2, 2)],
        values: &[("db", "two"), ("api", "two")],
        is_up: true,
        also: |w| {
            Box::pin(async {
                let db = w.container("db").await.id;
                let cat = ExecSpec {
                    argv: ["cat", "/state/key"].map(str::to_owned).to_vec(),
                    ..ExecSpec::default()
                };
                let second = Duration::from_secs(1);
                let out = w.engine.exec_output(&db, &cat, 100, second).await;
                assert_eq!(out.unwrap().stdout, b"two", "what the hook did");
            })
        },
    });
}

#[test]
fn an_anchor_that_is_replaced_for_a_new_service() {
    matrix(&Story {
        name: "anchor replacement",
        compose: compose!("  api: { image: app, depends_on: [locket], x-locket: [key] }\n"),
        act: |w| {
            if w.spec().services.len() == 2 {
                w.edit(
                    "  api:",
                    "  web: { image: app, depends_on: [locket], x-locket: [key] }\n  api:",
                );
            }
            // Compose would start what is stopped as well.
            Box::pin(async { w.up_of(&["api", "web"]).await.unwrap() })
        },
        starts: &[("api", 1, 1), ("web", 1, 1)],
        values: &[("api", "one"), ("web", "one")],
        is_up: true,
        also: nothing,
    });
}

#[test]
fn a_bad_value_is_put_back() {
    matrix(&Story {
        name: "bad value",
        compose: compose!(
            "  api: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: { action: restart, stable: 2s } } }"
        ),
        act: |w| set(w, "bad"),
        starts: &[("api", 3, 3)],
        values: &[("api", "one")],
        is_up: true,
        also: nothing,
    });
}

#[test]
fn down() {
    matrix(&Story {
        name: "down",
        compose: ONE,
        act: |w| Box::pin(async { w.down().await.unwrap() }),
        starts: &[],
        values: &[],
        is_up: true,
        also: |w| {
            Box::pin(async {
                assert_eq!(of_the_project(w).await, [""; 0], "it is gone");
                sleep(Duration::from_secs(3600)).await;
                assert_eq!(of_the_project(w).await, [""; 0], "nothing comes back");
            })
        },
    });
}

/// Containers, anchors and volumes of the project.
async fn of_the_project(world: &World) -> Vec<String> {
    let containers = world.engine.containers(&[]).await.unwrap();
    let volumes = world.engine.volumes(&[]).await.unwrap();
    let containers = containers.into_iter().map(|it| it.name);
    let all = containers.chain(volumes.into_iter().map(|it| it.name));
    all.filter(|name| name.contains("shop")).collect()
}
