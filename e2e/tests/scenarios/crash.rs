//! The controller is killed with SIGKILL before and after everything that it asks of a real engine and of a real anchor; another one
//! takes over. Each point that has an effect once in each story, the others in the middle of a rotation and while an anchor is
//! made; `tests/fire/crash.rs` has them all, every time that they are reached, on the fake engine.

use std::collections::BTreeSet;

use locket_e2e::{Controller, Crash, Project, Run, eventually};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s, refresh: 10m }
  secrets: { key: local:key }
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  command:
    - sh
    - -c
    - "trap 'exit 0' TERM; trap 'cp /run/secrets/key /state/key; echo reloaded' HUP; cp /run/secrets/key /state/key; echo started; while :; do sleep 86400 & wait $$!; done"
  tmpfs: [/state]
services:
  locket: { provider: { type: locket } }
  db:
    <<: *app
    depends_on: [locket]
    x-locket: { secrets: [key], on_change: { exec: [cp, /run/secrets/key, /state/key] } }
  api:
    <<: *app
    depends_on: [locket, db]
    x-locket: &restarts { secrets: [key], on_change: { action: restart, stable: 500ms } }
  web:
    <<: *app
    depends_on: [locket, api]
    x-locket: *restarts
  told:
    <<: *app
    depends_on: [locket]
    x-locket: { secrets: [key], on_change: "signal:SIGHUP" }
  stopped:
    <<: *app
    depends_on: [locket]
    x-locket: [key]
"#;

/// Who runs, and how often a rotation starts it.
const RUNNING: [(&str, usize); 4] = [("db", 0), ("api", 1), ("web", 1), ("told", 0)];

/// What is done while the controller dies.
struct Story {
    act: fn(&mut Fire),
    /// The same once more, after a crash.
    again: fn(&mut Fire),
    is_over: fn(&Fire) -> bool,
    /// So that it can be told once more.
    reset: fn(&mut Fire),
    /// What must be true besides. It is given what was true before.
    check: fn(&Fire, &Counts),
    /// Points that another story has as well are struck in one of them.
    skips: fn(&str) -> bool,
}

/// Starts and reloads so far, by service.
type Counts = Vec<(usize, usize)>;

/// A project, its controller, and the socket between that and the engine.
struct Fire {
    project: Project,
    crash: Crash,
    controller: Option<Controller>,
    value: String,
    /// How often a service was added.
    added: usize,
}

impl Fire {
    fn new(scenario: &str) -> Self {
        let mut project = Project::new(scenario, COMPOSE);
        let value = project.canary("first");
        project.store("key", &value);
        project.locket(&["generate", "--yes"]).ok();
        let crash = project.crash();
        let mut it = Self {
            project,
            crash,
            controller: None,
            value,
            added: 0,
        };
        it.takes_over();
        it
    }

    /// Another controller, which remembers nothing of the one before.
    fn takes_over(&mut self) {
        self.controller = Some(self.project.controller_through(&self.crash));
    }

    fn up(&mut self) {
        self.project.compose(&["up", "-d"]).ok();
        self.project.ready();
        let stopped = self.project.container("stopped").id;
        self.project.docker(&["stop", &stopped]).ok();
    }

    fn rotate(&mut self) {
        self.value = self.project.canary("next");
        self.project.store("key", self.value.clone());
    }

    /// One service more, in the place of the one that was added before.
    fn add(&mut self) {
        self.added += 1;
        let it = format!(
            "  {}:\n    <<: *app\n    depends_on: [locket]\n    x-locket: [key]\n",
            self.newest()
        );
        self.project.write("compose.yaml", format!("{COMPOSE}{it}"));
        self.project.locket(&["generate", "--yes"]).ok();
    }

    fn newest(&self) -> String {
        format!("more{}", self.added)
    }

    fn up_with_newest(&self) -> Run {
        let newest = self.newest();
        let args = ["up", "-d", "--remove-orphans", &newest];
        self.project.compose(&args)
    }

    /// Everybody has the value, also in its process, and nothing is left to do.
    fn runs(&self) -> bool {
        let wanted = Some(self.value.as_bytes());
        let all = self.project.everybody();
        let has = |service: &str| {
            let it = all.iter().find(|it| it.service() == service);
            let read = |path| it.and_then(|it| it.peek(path));
            read("/run/secrets/key").as_deref() == wanted && read("/state/key").as_deref() == wanted
        };
        let ready = || self.project.condition(None, "Ready");
        RUNNING.iter().all(|(service, _)| has(service)) && ready().is_some_and(|it| it.0)
    }

    fn counts(&self) -> Counts {
        let count = |(service, _): &(&str, usize)| {
            let all = self.project.containers(service);
            let logs = all.first().map(|it| it.logs()).unwrap_or_default();
            let of = |word: &str| logs.lines().filter(|line| *line == word).count();
            (of("started"), of("reloaded"))
        };
        RUNNING.iter().map(count).collect()
    }

    /// What is passed every time that this happens without a crash. Once is not enough to know: what others have left may be
    /// removed just then.
    fn points(&mut self, story: &Story) -> BTreeSet<String> {
        let mut pass = || {
            let pid = self.controller.as_ref().unwrap().pid();
            self.crash.arm(pid, None);
            (story.act)(self);
            eventually(60, "it is over", || (story.is_over)(self).then_some(()));
            let points = self.crash.disarm().points;
            (story.reset)(self);
            points
        };
        let points = &pass() & &pass();
        assert!(!points.is_empty(), "nothing happens");
        points
    }

    /// Lets it happen with a crash at that point. False if the point was not reached.
    fn strike(&mut self, story: &Story, at: &str) -> bool {
        let before = self.counts();
        let pid = self.controller.as_ref().unwrap().pid();
        self.crash.arm(pid, Some(at));
        (story.act)(self);
        let what = format!("killed {at}, or it is over");
        eventually(60, &what, || {
            (self.crash.has_struck() || (story.is_over)(self)).then_some(())
        });
        let struck = self.crash.disarm().struck;
        if struck {
            self.controller.take().unwrap().kill();
            self.takes_over();
            (story.again)(self);
        }
        eventually(90, &format!("killed {at}: it is over"), || {
            (story.is_over)(self).then_some(())
        });
        (story.check)(self, &before);
        struck
    }

    /// Each point once. What runs at once does not come the same way every time, so that some points need several tries.
    fn tell(mut self, story: &Story) {
        let points = self.points(story);
        let mut struck = Vec::new();
        for at in points.iter().filter(|at| !(story.skips)(at)) {
            let hit = (0..5).any(|_| {
                let hit = self.strike(story, at);
                (story.reset)(&mut self);
                hit
            });
            assert!(hit, "never killed {at}");
            struck.push(at);
        }
        println!("killed at {} points: {struck:#?}", struck.len());
        self.controller.take().unwrap().stop();
        self.forget_added();
        self.project.finish();
    }

    /// The volumes of services that are in the compose file no more: compose leaves them, as it does with all such.
    fn forget_added(&self) {
        self.project.compose(&["down", "-v", "--timeout", "2"]).ok();
        for n in 1..=self.added {
            let volume = format!("{}_locket-more{n}", self.project.name());
            self.project.docker(&["volume", "rm", "-f", &volume]).ok();
        }
    }
}

/// What has no effect is struck in the middle of a rotation, and while a way in is opened anew.
fn has_no_effect(point: &str) -> bool {
    let effects = [
        "acquire",
        "anchor key",
        "clear",
        "recompute",
        "publish",
        "write-state",
        "install-shim",
        "restore",
        "prune",
        "release",
    ];
    let exec = point.contains("exec");
    point.contains(" GET ")
        || exec
        || (point.contains("anchor ") && !effects.iter().any(|it| point.contains(it)))
}

fn once(it: &Fire, before: &Counts) {
    for ((service, starts), (was, now)) in RUNNING.iter().zip(before.iter().zip(it.counts())) {
        assert_eq!(now.0, was.0 + starts, "starts of {service}");
        let reloads = now.1 - was.1;
        // At least once; a second time only if it died before it could write down that it was sent.
        let expected = if *service == "told" { 1..=2 } else { 0..=0 };
        assert!(
            expected.contains(&reloads),
            "{service} was told {reloads} times"
        );
    }
    is_left_alone(it);
}

fn never(it: &Fire, before: &Counts) {
    assert_eq!(&it.counts(), before, "nobody is restarted or told");
    is_left_alone(it);
}

fn is_left_alone(it: &Fire) {
    assert!(
        !it.project.container("stopped").running(),
        "a user has stopped it"
    );
    assert_eq!(it.project.anchors().len(), 1);
}

#[test]
fn a_controller_that_is_killed_anywhere_in_a_first_delivery_has_a_successor_that_ends_it() {
    Fire::new("crash-first").tell(&Story {
        // Its gate may fail with the controller; whoever says `up` once more gets what they want.
        act: |it| drop(it.project.compose(&["up", "-d"]).any()),
        again: |it| drop(it.project.compose(&["up", "-d"]).ok()),
        is_over: Fire::runs,
        reset: |it| drop(it.project.compose(&["down", "-v"]).ok()),
        check: |it, _| {
            assert!(it.counts().iter().all(|it| *it == (1, 0)), "started once");
            assert_eq!(it.project.anchors().len(), 1);
        },
        skips: |at| has_no_effect(at) && !at.contains("exec"),
    });
}

#[test]
fn a_controller_that_is_killed_anywhere_in_a_rotation_has_a_successor_that_ends_it() {
    let mut it = Fire::new("crash-rotation");
    it.up();
    it.tell(&Story {
        act: Fire::rotate,
        again: |_| {},
        is_over: Fire::runs,
        reset: |_| {},
        check: once,
        skips: |_| false,
    });
}

#[test]
fn a_controller_that_is_killed_anywhere_while_an_anchor_is_made_has_a_successor_that_ends_it() {
    let mut it = Fire::new("crash-anchor");
    it.up();
    it.tell(&Story {
        act: |it| {
            for anchor in it.project.anchors() {
                it.project.docker(&["rm", "-f", &anchor.id]).ok();
            }
        },
        again: |_| {},
        is_over: |it| it.project.anchors().iter().any(|it| it.running()) && it.runs(),
        reset: |_| {},
        check: never,
        skips: |_| false,
    });
}

#[test]
fn a_controller_that_is_killed_anywhere_while_an_anchor_is_replaced_has_a_successor_that_ends_it() {
    let mut it = Fire::new("crash-replaced");
    it.up();
    it.tell(&Story {
        // A new service has a volume that the anchor does not hold, and the stopped one's must be held all the time.
        act: |it| {
            it.add();
            drop(it.up_with_newest().any());
        },
        again: |it| drop(it.up_with_newest().ok()),
        is_over: |it| {
            let all = it.project.containers(&it.newest());
            let read = all.first().and_then(|it| it.peek("/state/key"));
            let has = read.as_deref() == Some(it.value.as_bytes());
            has && it.project.anchors().len() == 1 && it.runs()
        },
        reset: |_| {},
        check: |it, before| {
            never(it, before);
            let kept = it.project.in_volume("stopped", "cat /v/key").says_values();
            assert_eq!(kept.ok().text(), it.value);
        },
        skips: has_no_effect,
    });
}

#[test]
fn a_controller_that_is_killed_anywhere_in_a_down_leaves_nothing_behind() {
    let mut it = Fire::new("crash-down");
    it.up();
    it.tell(&Story {
        act: |it| drop(it.project.compose(&["down", "-v"]).any()),
        again: |it| drop(it.project.compose(&["down", "-v"]).ok()),
        is_over: |it| it.project.left().is_empty(),
        reset: Fire::up,
        check: |_, _| {},
        skips: has_no_effect,
    });
}
