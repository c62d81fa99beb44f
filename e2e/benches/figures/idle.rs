//! What a controller weighs and does while nothing happens, how soon it is ready after its start, and what an anchor weighs.

use std::time::{Duration, Instant};

use locket_e2e::{Controller, Project, eventually};
use serde_json::Value;

use crate::watch::{Weight, children, cpu, parent, weight};
use locket_e2e::table::{Table, mb, ms};

/// Long enough for passes by timer, and for the seconds after a start.
const CALM: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(30);
/// Projects that are brought up at once: the engine is the bottleneck.
const AT_ONCE: usize = 4;

const COMPOSE: &str = r#"
x-locket:
  secrets: { token: "local:token" }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    network_mode: none
    depends_on: [locket]
    x-locket: [token]
"#;

/// One project, then `many`.
pub fn controller(table: &mut Table, many: usize) {
    let mut first = Project::new("bench-idle", COMPOSE);
    first.store("token", "a value");
    first.up(&[]);
    let controller = first.controller(&[]);
    first.ready();
    let pid = u64::from(controller.pid());
    let alone = measure(table, pid, 1);
    anchor(table, &first);

    let more: Vec<Project> = (1..many)
        .map(|_| Project::new("bench-idle", COMPOSE))
        .collect();
    let up = |mut project: Project| {
        // Each has a store's prefix of its own, and its controller is the one of the first.
        project.store("token", "a value");
        project.up(&[]);
        project
    };
    let mut left = more;
    let mut all = Vec::new();
    while !left.is_empty() {
        let now: Vec<Project> = left.drain(..left.len().min(AT_ONCE)).collect();
        std::thread::scope(|scope| {
            let begun: Vec<_> = now
                .into_iter()
                .map(|p| scope.spawn(move || up(p)))
                .collect();
            all.extend(begun.into_iter().map(|it| it.join().unwrap()));
        });
    }
    if many > 1 {
        let all = measure(table, pid, many);
        let each = all.anon.saturating_sub(alone.anon) / (many as u64 - 1);
        table.plain("… for each further project", format!("{each} KiB"));
    }
    controller.stop();
    let controller = ready(table, &first, many);
    controller.stop();
    while !all.is_empty() {
        let now: Vec<Project> = all.drain(..all.len().min(AT_ONCE)).collect();
        std::thread::scope(|scope| {
            for project in now {
                scope.spawn(move || drop(project));
            }
        });
    }
}

/// A controller starts where everything is as it should be.
fn ready(table: &mut Table, first: &Project, projects: usize) -> Controller {
    let begun = Instant::now();
    let controller = first.controller(&[]);
    let took = eventually(120, "all projects are ready", || {
        let out = first.locket(&["status", "--all", "--json"]).any();
        let took = begun.elapsed();
        let all: Value = serde_json::from_slice(&out.stdout).ok()?;
        let is_ready = |it: &&Value| {
            let conditions = it["conditions"].as_array();
            conditions.is_some_and(|all| {
                all.iter()
                    .any(|c| c["type"] == "Ready" && c["status"] == true)
            })
        };
        let ready = all["projects"].as_array()?.iter().filter(is_ready).count();
        (ready == projects).then_some(took)
    });
    table.plain(
        format!(
            "from the start of a controller until `docker locket status --all` shows them ready, {}",
            of(projects)
        ),
        ms(took),
    );
    controller
}

fn of(projects: usize) -> String {
    match projects {
        1 => "1 project".to_owned(),
        n => format!("{n} projects"),
    }
}

fn measure(table: &mut Table, pid: u64, projects: usize) -> Weight {
    std::thread::sleep(CALM);
    let name = pid.to_string();
    let (begun, before) = (Instant::now(), cpu(&name));
    std::thread::sleep(WINDOW);
    let share = (cpu(&name).saturating_sub(before)).as_secs_f64() / begun.elapsed().as_secs_f64();
    let it = weight(pid);
    let Weight { rss, anon } = it;
    let of = of(projects);
    table.goal(
        format!("RSS of an idle controller, {of}"),
        "< 12 MB",
        format!("{}, of it {} not the program file's", mb(rss), mb(anon)),
        rss < 12 << 10,
    );
    table.goal(
        format!(
            "CPU of an idle controller, {of}, over {} s",
            WINDOW.as_secs()
        ),
        "< 0.5 % of a core",
        format!("{:.2} %", share * 100.0),
        share < 0.005,
    );
    it
}

fn anchor(table: &mut Table, project: &Project) {
    let anchors = project.anchors();
    let pid = anchors[0].inspect["State"]["Pid"].as_u64().unwrap();
    let idle = weight(pid);
    let shim = parent(pid).unwrap();
    // The session is an exec: a child of the containerd-shim beside the anchor's first process.
    let sessions = children(shim).into_iter().filter(|it| *it != pid);
    let session = sessions.map(weight).fold(Weight::default(), |a, b| Weight {
        rss: a.rss + b.rss,
        anon: a.anon + b.anon,
    });
    table.goal(
        "RSS of an anchor, its first process",
        "< 2 MB",
        format!(
            "{}, of it {} not the program file's",
            mb(idle.rss),
            mb(idle.anon)
        ),
        idle.rss < 2 << 10,
    );
    table.plain(
        "… the session of its controller, which shares the program file",
        format!(
            "{}, of it {} not the program file's",
            mb(session.rss),
            mb(session.anon)
        ),
    );
    table.plain(
        "… its containerd-shim, the engine's own",
        mb(weight(shim).rss),
    );
}
