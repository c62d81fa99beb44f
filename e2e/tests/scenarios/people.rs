//! Compose and people act on the same containers as the controller, at the same time and in ways that nobody has planned.
//! No twins on the fake engine, where the simulation does the like: here it is about what compose and the engine make of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use locket_e2e::{Container, Controller, Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  secrets: { key: local:key }
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  command: [sh, -c, "echo started; exec sleep 86400"]
  stop_signal: SIGKILL
services:
  locket: { provider: { type: locket } }
  api:
    <<: *app
    depends_on: [locket]
    x-locket: { env: { KEY: key }, on_change: { action: restart, stable: 500ms } }
  joined:
    <<: *app
    network_mode: "service:api"
    depends_on: [locket, api]
"#;

fn stored(scenario: &str, compose: &str) -> Project {
    let mut p = Project::new(scenario, compose);
    let value = p.canary("first");
    p.store("key", value);
    p
}

fn project(scenario: &str, compose: &str) -> (Project, Controller) {
    let p = stored(scenario, compose);
    let controller = p.controller(&[]);
    (p, controller)
}

/// A fresh value in the store.
fn rotate(p: &mut Project) -> String {
    let value = p.canary("next");
    p.store("key", value.clone());
    value
}

fn until_it_has(it: impl Fn() -> Container, value: &str) {
    eventually(60, "it runs with the value", || {
        (it().env("KEY").as_deref() == Some(value.as_bytes())).then_some(())
    });
}

fn starts(it: &Container) -> usize {
    it.logs().lines().filter(|line| *line == "started").count()
}

#[test]
fn fifty_ups_with_another_image_each_against_a_secret_that_rotates_all_the_time() {
    let (mut p, controller) = project("fifty-ups", COMPOSE);
    p.up(&[]);
    p.ready();
    // The search looks for what they have in common.
    let values = p.canary("values");
    let values: Vec<String> = (0..1000).map(|n| format!("{values}-{n}")).collect();
    let (over, set) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in &values {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let stored = p.locket(&["secret", "set", "key"]).stdin(value).any();
                assert_eq!(stored.code, 0, "{}", stored.all());
                set.fetch_add(1, Ordering::SeqCst);
            }
        });
        let ups = thread::Builder::new().spawn_scoped(scope, || {
            for turn in 0..50 {
                let (from, to) = match turn % 2 {
                    0 => ("locket-test/busybox", "locket-test/drops"),
                    _ => ("locket-test/drops", "locket-test/busybox"),
                };
                p.edit(
                    "compose.yaml",
                    &format!("image: {from}"),
                    &format!("image: {to}"),
                );
                let before = set.load(Ordering::SeqCst);
                p.compose(&["up", "-d", "--timeout", "0"]).ok();
                let it = p.container("api");
                assert_eq!(it.inspect["Config"]["Image"], to, "turn {turn}");
                // It may have been restarted for each value that came since, and for none twice.
                let values = set.load(Ordering::SeqCst) + 1 - before;
                assert!(
                    starts(&it) <= 1 + values,
                    "turn {turn}: {} starts, {values} values",
                    starts(&it)
                );
            }
        });
        let ended = ups.unwrap().join();
        over.store(true, Ordering::SeqCst);
        ended.unwrap();
    });
    let last = &values[set.load(Ordering::SeqCst) - 1];
    until_it_has(|| p.container("api"), last);
    p.ready();
    let it = p.container("api");
    holds(3, "it is not restarted again", || p.container("api") == it);
    // Whatever has become of the containers since: each restart was for a later generation than the one before.
    let log = controller.log();
    let stops = log
        .lines()
        .filter(|it| it.contains("step=stop ") && it.contains("-api-1,"));
    let restarted: Vec<u64> = log.lines().filter_map(restarted_for).collect();
    assert_eq!(restarted.len(), stops.count(), "each says for what: {log}");
    assert!(restarted.is_sorted_by(|a, b| a < b), "{restarted:?}");
    assert!(!log.contains("[StartUnknown]"), "{log}");
    controller.stop();
    p.finish();
}

/// The generation that a line of the controller's log says `api` is restarted for.
fn restarted_for(line: &str) -> Option<u64> {
    let (_, step) = line
        .split_once("step=stop ")
        .filter(|it| it.1.contains("api-1"))?;
    let (_, current) = step.split_once("current is ")?;
    current.split_whitespace().next()?.parse().ok()
}

/// Nothing is known of a stop until the program has ended, but that it was told to.
#[test]
fn a_stop_that_takes_its_time_is_not_undone_by_a_rotation() {
    let compose = COMPOSE
        .replace(
            "echo started; exec sleep 86400",
            "trap 'touch /told' TERM; echo started; while :; do sleep 0.1; done",
        )
        .replace("  stop_signal: SIGKILL\n", "")
        .replace("{ env: {", "{ secrets: [key], env: {");
    let (mut p, controller) = project("slow-stop", &compose);
    p.up(&[]);
    p.ready();
    let (before, value) = (p.container("api"), p.canary("next"));
    thread::scope(|scope| {
        let stop = scope.spawn(|| p.docker(&["stop", "--time", "8", &before.id]).ok());
        eventually(10, "it has been told", || before.peek("/told"));
        p.locket(&["secret", "set", "key"]).stdin(&value).ok();
        eventually(7, "the file has it", || {
            (before.peek("/run/secrets/key")? == value.as_bytes()).then_some(())
        });
        stop.join().unwrap();
    });
    let stopped = || !p.container("api").running();
    holds(5, "it stays stopped", stopped);
    assert_eq!(starts(&p.container("api")), 1);
    // Nothing stands in the way of the next start.
    p.docker(&["start", &before.id]).ok();
    until_it_has(|| p.container("api"), &value);
    p.ready();
    controller.stop();
    p.finish();
}

#[test]
fn two_projects_with_the_same_service_names_and_changes_within_a_moment() {
    let compose = COMPOSE
        .replace("key: local:key }", "key: local:key, other: local:other }")
        .replace("env: { KEY: key }", "env: { KEY: key, OTHER: other }");
    let (mut one, controller) = project("twin-one", &compose);
    let mut two = Project::new("twin-two", &compose);
    let other = two.canary("first");
    two.store("key", &other);
    for p in [&mut one, &mut two] {
        let value = p.canary("other");
        p.store("other", value);
    }
    for p in [&one, &two] {
        p.up(&[]);
    }
    one.ready();
    let untouched = two.container("api");
    // Both at once, by two programs: they are stored a few milliseconds apart.
    let both = [one.canary("key"), one.canary("other")];
    thread::scope(|scope| {
        for (name, value) in ["key", "other"].iter().zip(&both) {
            let set = one.locket(&["secret", "set", name]).stdin(value);
            scope.spawn(move || set.ok());
        }
    });
    until_it_has(|| one.container("api"), &both[0]);
    one.ready();
    let it = one.container("api");
    assert_eq!(it.env("OTHER").as_deref(), Some(both[1].as_bytes()));
    let after_both = starts(&it);
    assert!(after_both <= 1 + 2, "{after_both} starts for two values");
    // A change while the restart for another one is under way.
    rotate(&mut one);
    eventually(30, "it is restarted", || {
        let it = one.container("api");
        (!it.running() || starts(&it) > after_both).then_some(())
    });
    let last = rotate(&mut one);
    until_it_has(|| one.container("api"), &last);
    one.ready();
    let it = one.container("api");
    assert_eq!(it.env("OTHER").as_deref(), Some(both[1].as_bytes()));
    let restarts = starts(&it) - after_both;
    assert!(restarts <= 2, "{restarts} restarts for two values");
    assert_eq!(
        two.container("api"),
        untouched,
        "the other project has nothing to do with it"
    );
    assert_eq!(
        two.container("api").env("KEY").as_deref(),
        Some(other.as_bytes())
    );
    two.finish();
    controller.stop();
    one.finish();
}

#[test]
fn who_shares_the_network_of_a_restarted_container_is_restarted_with_it() {
    let (mut p, controller) = project("joined", COMPOSE);
    p.up(&[]);
    p.ready();
    let joined = p.container("joined");
    let value = rotate(&mut p);
    until_it_has(|| p.container("api"), &value);
    p.ready();
    assert_ne!(
        p.container("joined"),
        joined,
        "its network was the old container's"
    );
    assert_eq!(starts(&p.container("joined")), 2);
    controller.stop();
    p.finish();
}

#[test]
fn a_paused_container_a_renamed_one_and_one_with_another_policy_are_still_looked_after() {
    let (mut p, controller) = project("by-hand", COMPOSE);
    p.up(&[]);
    p.ready();
    let id = p.container("api").id;
    p.docker(&["pause", &id]).ok();
    let value = rotate(&mut p);
    // It cannot be told, and is not killed for that.
    holds(4, "a paused container is left alone", || {
        p.container("api").inspect["State"]["Paused"] == true
    });
    p.docker(&["unpause", &id]).ok();
    until_it_has(|| p.container("api"), &value);
    p.docker(&["rename", &id, &format!("{}-renamed", p.name())])
        .ok();
    p.docker(&["update", "--restart", "unless-stopped", &id])
        .ok();
    let value = rotate(&mut p);
    until_it_has(|| p.container("api"), &value);
    p.ready();
    let it = p.container("api");
    assert_eq!(
        it.inspect["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    assert_eq!(
        (it.id.as_str(), starts(&it)),
        (id.as_str(), 3),
        "once for each value"
    );
    controller.stop();
    p.finish();
}

#[test]
fn a_job_that_is_over_is_not_started_again() {
    let (mut p, controller) = project("job", COMPOSE);
    p.up(&[]);
    p.compose(&[
        "run",
        "-T",
        "--name",
        &format!("{}-job", p.name()),
        "api",
        "true",
    ])
    .ok();
    let value = rotate(&mut p);
    until_it_has(
        || {
            let all = p.containers("api");
            all.into_iter()
                .find(|it| !it.name().ends_with("-job"))
                .unwrap()
        },
        &value,
    );
    p.ready();
    let all = p.containers("api");
    let job = all.iter().find(|it| it.name().ends_with("-job")).unwrap();
    assert_eq!(job.exit_code(), Some(0));
    assert!(!job.running());
    p.docker(&["rm", &job.id]).ok();
    controller.stop();
    p.finish();
}

#[test]
fn a_folder_that_is_moved_and_then_deleted_takes_nothing_along() {
    let (mut p, controller) = project("folder", COMPOSE);
    p.up(&[]);
    p.ready();
    let (before, joined) = (p.container("api"), p.container("joined"));
    p.moved(&format!("{}-elsewhere", p.name()));
    let name = p.name().to_owned();
    let said = p.compose(&["-p", &name, "up", "-d"]).ok().all();
    assert!(!said.contains("until now"), "there is no other one: {said}");
    assert_eq!(
        (p.container("api"), p.container("joined")),
        (before, joined),
        "nothing is recreated"
    );
    p.deleted();
    let value = p.canary("next");
    let secret = format!("{name}/key");
    p.locket(&["secret", "set", &secret]).stdin(&value).ok();
    until_it_has(|| p.container("api"), &value);
    p.locket(&["status", "--all"]).ok();
    // Compose knows the project by its labels; it does not know the gate, which is no container. So the anchor still holds the
    // volumes, which compose takes for a warning; it goes once the controller has seen that the containers have.
    let down = || p.without_files(&["down", "-v", "--timeout", "0"]);
    let first = down();
    assert_eq!(first.code, 0, "{}", first.all());
    let in_use = first.all().contains("still in use");
    assert!(in_use, "the anchor holds the volumes: {}", first.all());
    assert!(p.containers("api").is_empty());
    eventually(120, "nothing is left of the project", || {
        let again = down();
        assert_eq!(again.code, 0, "{}", again.all());
        p.left().is_empty().then_some(())
    });
    p.write("compose.yaml", COMPOSE);
    controller.stop();
    p.finish();
}

#[test]
fn a_folder_that_is_copied_with_its_name_is_the_same_project_and_that_is_told() {
    let (mut p, controller) = project("copied", COMPOSE);
    p.up(&[]);
    p.ready();
    let before = (p.container("api"), p.container("joined"));
    let first = p.copied();
    let second = p.dir().to_owned();
    let until_now = |it: &Path| format!("until now this project was applied from {}", it.display());
    let not_here = |it: &Path| format!("was applied from {}, not from this", it.display());

    let here = p.locket(&["status"]).ok().text();
    assert!(here.contains(&not_here(&first)), "{here}");
    let said = p.compose(&["up", "-d"]).ok().all();
    assert!(said.contains(&until_now(&first)), "{said}");
    let said = p.compose(&["up", "-d"]).ok().all();
    assert!(!said.contains("until now"), "it is told once: {said}");
    let here = p.locket(&["status"]).ok().text();
    assert!(!here.contains("was applied from"), "{here}");
    let there = p.locket(&["status"]).dir(&first).ok().text();
    assert!(there.contains(&not_here(&second)), "{there}");
    let said = p.locket(&["apply"]).dir(&first).ok().all();
    assert!(said.contains(&until_now(&second)), "{said}");
    let now = (p.container("api"), p.container("joined"));
    assert_eq!(now, before, "nobody is restarted for it");
    controller.stop();
    p.finish();
}

#[test]
fn two_ups_at_once_and_an_up_beside_a_down_end_in_one_of_the_two_states() {
    let (p, controller) = project("at-once", COMPOSE);
    at_once(&p);
    controller.stop();
    p.finish();
}

#[test]
fn without_a_controller_two_gates_at_once_end_in_one_of_the_two_states() {
    let p = stored("gates-at-once", COMPOSE);
    at_once(&p);
    p.finish();
}

fn at_once(p: &Project) {
    p.locket(&["generate", "--yes"]).ok();
    // Compose itself may lose such a race; nothing of ours may make it worse.
    let at_once = |first: &[&str], second: &[&str]| {
        thread::scope(|scope| {
            let other = scope.spawn(|| p.compose(first).any());
            p.compose(second).any();
            other.join().unwrap();
        });
    };
    at_once(&["up", "-d"], &["up", "-d"]);
    p.compose(&["up", "-d"]).ok();
    p.ready();
    assert_eq!(p.anchors().len(), 1);
    at_once(&["down", "-v", "--timeout", "0"], &["up", "-d"]);
    p.compose(&["up", "-d"]).ok();
    p.ready();
    assert_eq!((p.anchors().len(), p.containers("api").len()), (1, 1));
    at_once(&["up", "-d"], &["down", "-v", "--timeout", "0"]);
    p.compose(&["down", "-v", "--timeout", "0"]).ok();
    eventually(30, "nothing is left", || p.left().is_empty().then_some(()));
}
