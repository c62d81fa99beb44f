//! Plain docker compose agrees with us before, during and after. Hardly any controller runs here.
//! No twins on the fake engine: all of it is about what compose itself makes of our file, and what is said to its user.

use locket_e2e::{Project, eventually};

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key, other: local:other } }
x-app: &app
  image: locket-test/busybox
  pull_policy: never
  command: [sleep, "86400"]
  stop_signal: SIGKILL
  depends_on: [locket]
services:
  locket: { provider: { type: locket } }
  api:
    <<: *app
    x-locket: { secrets: [key], env: { KEY: key } }
  worker:
    <<: *app
    x-locket: [other]
  plain:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
"#;

fn project(scenario: &str) -> (Project, String) {
    let mut p = Project::new(scenario, COMPOSE);
    let (key, other) = (p.canary("key"), p.canary("other"));
    p.store("key", &key);
    p.store("other", &other);
    (p, key)
}

fn all(p: &Project) -> Vec<locket_e2e::Container> {
    ["api", "worker", "plain"]
        .iter()
        .flat_map(|s| p.containers(s))
        .collect()
}

#[test]
fn an_unchanged_up_recreates_nothing_and_knows_no_orphans() {
    let (p, _) = project("up-twice");
    p.up(&[]);
    let (before, anchors) = (all(&p), p.anchors());
    assert_eq!((before.len(), anchors.len()), (3, 1));
    for _ in 0..2 {
        let said = p.compose(&["up", "-d"]).ok().all();
        assert!(
            !said.contains("Recreat") && !said.to_lowercase().contains("orphan"),
            "{said}"
        );
    }
    assert_eq!(all(&p), before);
    assert_eq!(p.anchors(), anchors);
    assert_eq!(
        p.compose(&["ps", "--services"]).ok().text().lines().count(),
        3
    );
    p.locket(&["generate", "--check"]).ok();
    p.finish();
}

#[test]
fn without_a_controller_up_says_what_it_did_not_do() {
    let (mut p, _) = project("one-pass");
    p.up(&[]);
    let new = p.canary("new");
    p.store("key", &new);
    let said = p.compose(&["up", "-d"]).ok().all();
    assert!(
        said.contains("api") && said.contains("docker locket apply"),
        "{said}"
    );
    assert_eq!(p.locket(&["plan", "--detailed-exitcode"]).any().code, 3);
    let (true_, reason, _) = p.condition(Some("api"), "RolledOut").unwrap();
    assert_eq!((true_, reason.as_str()), (false, "NoController"));
    p.locket(&["apply"]).ok();
    p.locket(&["plan", "--detailed-exitcode"]).ok();
    p.finish();
}

#[test]
fn a_changed_image_and_a_changed_secret_arrive_together() {
    let (mut p, _) = project("both");
    p.up(&[]);
    let worker = p.container("worker");
    let new = p.canary("new");
    p.store("key", &new);
    p.edit(
        "compose.yaml",
        "  api:\n    <<: *app\n",
        "  api:\n    <<: *app\n    image: locket-test/drops\n",
    );
    p.compose(&["up", "-d"]).ok();
    let it = p.container("api");
    assert_eq!(it.inspect["Config"]["Image"], "locket-test/drops");
    assert_eq!(it.env("KEY").unwrap(), new.as_bytes());
    assert_eq!(p.container("worker"), worker);
    p.finish();
}

#[test]
fn create_run_and_scale_work() {
    let (p, key) = project("create-run");
    p.locket(&["generate", "--yes"]).ok();
    p.compose(&["create"]).ok();
    p.compose(&["start"]).ok();
    let it = p.container("api");
    assert_eq!(
        eventually(20, "the application has taken over", || it.env("KEY")),
        key.as_bytes()
    );

    let run = p.compose(&["run", "--rm", "-T", "api", "sh", "-c", "printf %s \"$KEY\""]);
    assert_eq!(run.says_values().ok().stdout, key.as_bytes());

    p.compose(&["up", "-d", "--scale", "api=3"]).ok();
    let replicas = p.containers("api");
    assert_eq!(replicas.len(), 3);
    for it in replicas {
        assert_eq!(
            eventually(20, "each replica has it", || it.env("KEY")),
            key.as_bytes()
        );
    }
    p.finish();
}

#[test]
fn one_service_alone_gets_only_its_own() {
    let (p, key) = project("alone");
    p.locket(&["generate", "--yes"]).ok();
    p.compose(&["up", "-d", "api"]).ok();
    assert_eq!(
        p.container("api").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    assert_eq!(p.container("api").read("/run/secrets/other"), None);
    assert!(p.containers("worker").is_empty());
    p.compose(&["up", "-d"]).ok();
    assert!(p.container("worker").read("/run/secrets/other").is_some());
    p.finish();
}

/// Compose enables the profile of a service that is named, and of no other.
#[test]
fn a_service_of_a_profile_that_is_started_by_name_gets_its_own() {
    let (mut p, key) = project("by-name");
    p.edit(
        "compose.yaml",
        "  plain:\n",
        "  job:\n    <<: *app\n    profiles: [jobs]\n    x-locket: { env: { KEY: key } }\n  plain:\n",
    );
    p.locket(&["generate", "--yes"]).ok();
    p.compose(&["up", "-d"]).ok();
    assert!(p.containers("job").is_empty());
    let print = ["run", "--rm", "-T", "job", "sh", "-c", "printf %s \"$KEY\""];
    let run = p.compose(&print).says_values().ok();
    assert_eq!(run.stdout, key.as_bytes());
    p.compose(&["up", "-d", "job"]).ok();
    assert_eq!(p.container("job").env("KEY").unwrap(), key.as_bytes());
    // It goes on when the others are brought up without it.
    let controller = p.controller(&[]);
    p.compose(&["up", "-d"]).ok();
    let next = p.canary("next");
    p.store("key", &next);
    eventually(60, "the job has the next value", || {
        (p.container("job").env("KEY")? == next.as_bytes()).then_some(())
    });
    controller.stop();
    // Compose's own `down` leaves what it is not told of.
    p.compose(&["--profile", "jobs", "down", "-v"]).ok();
    p.finish();
}

#[test]
fn no_deps_before_anything_exists_is_a_clear_error() {
    let (p, key) = project("no-deps");
    p.locket(&["generate", "--yes"]).ok();
    // The gate is not asked, so nothing can have put the program there that the container starts with.
    let said = p.compose(&["up", "-d", "--no-deps", "api"]).fails().all();
    assert!(said.contains("docker-init"), "{said}");
    p.compose(&["up", "-d"]).ok();
    assert_eq!(p.container("api").env("KEY").unwrap(), key.as_bytes());
    p.finish();
}

#[test]
fn a_project_in_which_nothing_was_generated_is_refused_at_the_gate() {
    let (p, _) = project("bare");
    let said = p.compose(&["up", "-d"]).fails().all();
    assert!(said.contains("docker locket generate"), "{said}");
    assert!(p.containers("api").is_empty(), "an app never starts bare");
    p.locket(&["generate", "--yes"]).ok();
    let said = p.compose(&["-f", "compose.yaml", "up", "-d"]).fails().all();
    assert!(said.contains("add `-f compose.override.yaml`"), "{said}");
    p.finish();
}

/// The volumes of locket are what `docker volume prune` must not take while a project is up.
#[test]
fn a_prune_takes_nothing_of_ours() {
    let (p, key) = project("prune");
    p.up(&[]);
    let label = format!("label=com.docker.compose.project={}", p.name());
    let listed =
        |p: &Project| -> locket_e2e::Run { p.docker(&["volume", "ls", "-q", "--filter", &label]) };
    let before = listed(&p).ok().text();
    // Only this project's: other people's volumes are none of a test's business.
    p.docker(&["volume", "prune", "-af", "--filter", &label])
        .ok();
    assert_eq!(listed(&p).ok().text(), before);
    assert_eq!(
        p.container("api").read("/run/secrets/key").unwrap(),
        key.as_bytes()
    );
    p.finish();
}
