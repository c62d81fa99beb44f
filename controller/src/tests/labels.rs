//! Containers whose labels say what they ask for: no gate is called, and nothing is handed over.

use std::time::Duration;

use locket_crds::api::ConditionKind;
use locket_crds::labels::{NAME, SPEC};
use locket_engine::fake::{App, FakeImage};
use locket_engine::{CreateContainer, NewMount};
use tokio::time::sleep;

use crate::fake::World;

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s, refresh: 10s }
  secrets: { key: local:key, other: local:other }
services:
  api: { image: app, x-locket: [key] }
  mailer: { image: app, x-locket: [other] }
"#;

const ALONE: &str = r#"
x-locket: { defaults: { settle: 0s, restart_every: 0s, refresh: 10s }, secrets: { key: "local:KEY" } }
services: { web: { image: app, x-locket: { secrets: [key] } } }
"#;

async fn world(project: &str, text: &str) -> World {
    let mut world = World::alone(project, text).await;
    world.by_labels().await;
    world.app(&["key", "other"], App::default());
    world.backend.set("key", "one");
    world.backend.set("/key", "one");
    world.backend.set("other", "o");
    world.start_controller().await;
    world.up().await.unwrap();
    world
}

async fn has(world: &World, service: &str, key: &str) {
    let what = format!("{service} has {key}");
    world
        .until(&what, async |w| w.has(service, "key") == key)
        .await;
    world.ready().await;
}

async fn is_gone(world: &World, volumes: &[&str]) {
    assert_eq!(world.anchors().await, [""; 0]);
    for volume in volumes {
        assert!(
            world.engine.volume(volume).await.unwrap().is_none(),
            "{volume}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_without_a_gate_is_served_restarted_and_forgotten() {
    let mut world = world("shop", COMPOSE).await;
    has(&world, "api", "one").await;
    assert_eq!(world.view("api").starts, 1, "the shim has waited");
    let mailer = world.container("mailer").await;
    world.backend.set("key", "two");
    has(&world, "api", "two").await;
    assert_eq!(world.view("api").starts, 2);
    // Another controller reads the same labels, and finds everything as it should be.
    world.kill_controller().await;
    world.start_controller().await;
    world.ready().await;
    assert_eq!(world.view("api").starts, 2);
    let now = world.container("mailer").await;
    assert_eq!(now.state.started_at, mailer.state.started_at);

    // A container of other labels brings another spec.
    world.rm("api").await;
    world.edit("secrets: { key: local:key,", "secrets: { key: local:other,");
    world.up().await.unwrap();
    has(&world, "api", "o").await;
    world.rm("api").await;
    world.rm("mailer").await;
    sleep(Duration::from_secs(62)).await;
    is_gone(&world, &["shop_locket", "shop_locket-api"]).await;
    assert!(world.status().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_compose_did_not_make_is_a_project_of_its_own() {
    let world = world("run.web", &ALONE.replace("KEY", "key")).await;
    has(&world, "web", "one").await;
    let it = world.container("web").await;
    world.engine.stop(&it.id, None).await.unwrap();
    world.backend.set("key", "two");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        world.view("web").starts,
        1,
        "what somebody has stopped stays so"
    );
    world.engine.start(&it.id).await.unwrap();
    has(&world, "web", "two").await;
    assert_eq!(world.view("web").starts, 2);
    assert_eq!(world.anchors().await, ["locket-anchor-run.web-1"]);
    world.rm("web").await;
    sleep(Duration::from_secs(58)).await;
    assert_eq!(world.anchors().await.len(), 1, "it may be made anew");
    sleep(Duration::from_secs(4)).await;
    is_gone(&world, &["run.web_locket", "run.web_locket-web"]).await;
    // The same once more, at once.
    world.up().await.unwrap();
    has(&world, "web", "two").await;
}

#[tokio::test(start_paused = true)]
async fn what_only_a_grant_opens_stays_closed_to_labels_too() {
    let world = world("run.web", &ALONE.replace("KEY", "/key")).await;
    world
        .until("that it needs a grant is told", async |w| {
            let it = w.condition(None, ConditionKind::SourceReady).await;
            it.is_some_and(|it| it.reason == "NotGranted" && it.message.contains("run.web"))
        })
        .await;
    sleep(Duration::from_secs(600)).await;
    assert!(!world.view("web").ready, "it still waits, or has given up");
    assert_eq!(world.has("web", "key"), "");
}

#[tokio::test(start_paused = true)]
async fn labels_that_a_container_has_from_its_image_ask_for_nothing() {
    let mut world = world("run.web", &ALONE.replace("KEY", "key")).await;
    world.ready().await;
    let spec = world.container("web").await.labels[SPEC].clone();
    let image = FakeImage {
        labels: [
            (NAME.to_owned(), "evil".to_owned()),
            (SPEC.to_owned(), spec),
        ]
        .into(),
        ..FakeImage::default()
    };
    world.fake.add_image("evil", image);
    for name in [None, Some((NAME.to_owned(), "other".to_owned()))] {
        let create = CreateContainer {
            name: name.as_ref().map_or("evil", |_| "other").to_owned(),
            image: "evil".into(),
            labels: name.into_iter().collect(),
            mounts: vec![NewMount::Tmpfs {
                target: "/run/secrets".into(),
                size: None,
                mode: None,
            }],
            ..CreateContainer::default()
        };
        let id = world.engine.create(&create).await.unwrap();
        world.engine.start(&id).await.unwrap();
    }
    for is_gone in [false, true] {
        if is_gone {
            // A controller that has never seen it cannot tell what its containers have from it.
            world.kill_controller().await;
            world.fake.lose_image("evil");
            world.start_controller().await;
        }
        sleep(Duration::from_secs(60)).await;
        for volume in ["run.evil_locket", "run.other_locket"] {
            assert!(
                world.engine.volume(volume).await.unwrap().is_none(),
                "{volume}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_label_is_named_and_the_last_good_files_stay() {
    let mut world = world("shop", COMPOSE).await;
    has(&world, "api", "one").await;
    world.rm("api").await;
    world.edit(
        "api: { image: app, x-locket: [key] }",
        "api: { image: app, x-locket: [nowhere] }",
    );
    world.up().await.unwrap();
    world
        .until("the label is named", async |w| {
            let it = w.condition(Some("api"), ConditionKind::Resolved).await;
            it.is_some_and(|it| !it.status && it.message.contains("label locket.spec"))
        })
        .await;
    world
        .until("it starts with what there is", async |w| {
            w.has("api", "key") == "one"
        })
        .await;
    world.backend.set("other", "p");
    world
        .until("others go on", async |w| w.has("mailer", "other") == "p")
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_wins_and_the_difference_is_told() {
    let gate = COMPOSE.replace(
        "services:",
        "services:\n  locket: { provider: { type: locket } }",
    );
    let gate = gate.replace("image: app,", "image: app, depends_on: [locket],");
    let mut world = World::alone("shop", &gate).await;
    world.app(&["key"], App::default());
    world.backend.set("key", "one");
    world.backend.set("other", "o");
    world.start_controller().await;
    world.up().await.unwrap();
    world.ready().await;
    world.by_labels().await;
    let drifted = async |w: &World| w.condition(None, ConditionKind::Drifted).await.unwrap();
    // The same words are no difference.
    world.rm("api").await;
    world.add("api", 1).await;
    world.ready().await;
    assert!(!drifted(&world).await.status);
    world.rm("api").await;
    world.edit("secrets: { key: local:key,", "secrets: { key: local:other,");
    world.add("api", 1).await;
    world
        .until("it is told", async |w| drifted(w).await.status)
        .await;
    let it = drifted(&world).await;
    assert_eq!(it.reason, "LabelConflict");
    assert!(
        it.message.contains("shop-api-1: label locket.spec"),
        "{}",
        it.message
    );
    has(&world, "api", "one").await;
}
