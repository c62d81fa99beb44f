//! What is found to be left over, and what is taken, on the fake engine.

use std::collections::BTreeMap;

use locket_engine::fake::{App, FakeImage};
use locket_engine::{CreateContainer, Engine, NewMount};
use tokio::time::sleep;

use super::*;
use crate::fake::World;
use crate::link::Link;
use crate::own::image::Binary;
use crate::own::store::VOLUME;

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  api: { image: app, depends_on: [locket], x-locket: [key] }
"#;

fn program(more: &[u8]) -> Binary {
    let mut bytes = crate::fake::programs::binary();
    bytes.extend(more);
    Binary::new(bytes).unwrap()
}

/// This program, and one of an earlier version, on one engine.
fn hosts(engine: &Engine) -> (Host, Host) {
    let (new, old) = (program(b""), program(b"old"));
    (
        Host::new(engine.clone(), new, "test"),
        Host::new(engine.clone(), old, "0.0.1"),
    )
}

/// A project whose containers were removed, and whose controller was killed.
async fn gone() -> World {
    let mut world = World::new(COMPOSE).await;
    world.backend.set("key", "one");
    world.app(&["key"], App::default());
    world.up().await.unwrap();
    world.ready().await;
    world.kill_controller().await;
    let id = world.container("api").await.id;
    world.engine.remove(&id, true).await.unwrap();
    world
}

/// Names of what is left over, one line each.
async fn left(host: &Host) -> String {
    let found = survey(host).await.unwrap();
    let lines = found.leftovers.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

async fn remove_all(host: &Host) {
    for it in survey(host).await.unwrap().leftovers {
        remove(host, &it, "a test").await.unwrap();
    }
}

/// A container as the store's of some program would be, on an image of some program.
async fn store_container(engine: &Engine, name: &str, image: &str) {
    let spec = CreateContainer {
        name: name.into(),
        image: image.into(),
        cmd: Some(vec!["store".into()]),
        labels: [(ROLE.to_owned(), "store".to_owned())].into(),
        mounts: vec![NewMount::Volume {
            source: VOLUME.into(),
            target: "/s".into(),
            subpath: None,
            read_only: false,
            nocopy: true,
        }],
        network_mode: Some("none".into()),
        ..CreateContainer::default()
    };
    engine.create(&spec).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_anchor_of_a_project_without_containers_is_released_and_its_memory_stays() {
    let world = gone().await;
    let (host, _) = hosts(&world.engine);
    assert_eq!(left(&host).await, "", "an `up` may be about to begin");
    sleep(YOUNG).await;
    assert_eq!(left(&host).await, "container locket-anchor-shop-1");
    let remembered = survey(&host).await.unwrap().remembered;
    assert_eq!(remembered.len(), 1, "{remembered:?}");
    remove_all(&host).await;
    assert_eq!(left(&host).await, "");
    assert!(world.engine.volume("shop_locket").await.unwrap().is_some());
    // Nobody uses it any more.
    world
        .engine
        .remove_volume("shop_locket", false)
        .await
        .unwrap();
    assert_eq!(left(&host).await, "volume shop_locket-api");
    let orphan = world.engine.volume("shop_locket-api").await.unwrap();
    remove_all(&host).await;
    assert_eq!(left(&host).await, "");
    let none = world.engine.volume("shop_locket-api").await.unwrap();
    assert!(none.is_none());
    // `up` makes the volumes first, in any order: this one waits for the others.
    let it = orphan.unwrap();
    let made = world
        .engine
        .create_volume(&it.name, &it.options, &it.labels);
    made.await.unwrap();
    assert_eq!(left(&host).await, "");
    sleep(YOUNG).await;
    assert_eq!(left(&host).await, "volume shop_locket-api");
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_that_was_set_back_says_nothing_about_is_left_alone() {
    let hour = 3_600 * 1_000_000_000;
    let world = gone().await;
    let (host, _) = hosts(&world.engine);
    world.fake.set_clock_offset(-hour);
    sleep(YOUNG).await;
    assert_eq!(left(&host).await, "", "it began in the future");
    world.fake.set_clock_offset(0);
    let mut known = Vec::new();
    for name in world.anchors().await {
        known.extend(world.engine.inspect(&name).await.unwrap());
    }
    world.engine.remove(&known[0].id, true).await.unwrap();
    // One that somebody has made, and died before it was started.
    let again = CreateContainer {
        name: known[0].name.clone(),
        image: known[0].image.clone(),
        cmd: Some(known[0].cmd.clone()),
        labels: known[0].labels.clone(),
        ..CreateContainer::default()
    };
    world.engine.create(&again).await.unwrap();
    assert_eq!(left(&host).await, "", "it may be started yet");
    sleep(YOUNG).await;
    assert_eq!(left(&host).await, "container locket-anchor-shop-1");
}

#[tokio::test(start_paused = true)]
async fn a_project_that_somebody_works_on_is_left_alone() {
    let world = gone().await;
    sleep(YOUNG).await;
    let (host, _) = hosts(&world.engine);
    let found = survey(&host).await.unwrap();
    let works = Link::open(&host, &"shop".into(), "somebody").await.unwrap();
    assert!(works.is_some());
    let refused = remove(&host, &found.leftovers[0], "a test").await;
    assert!(
        matches!(&refused, Err(Error::Busy(by)) if by == "somebody"),
        "{refused:?}"
    );
    assert_eq!(left(&host).await, "container locket-anchor-shop-1");
}

#[tokio::test(start_paused = true)]
async fn an_anchor_in_use_is_none() {
    let mut world = World::new(COMPOSE).await;
    world.backend.set("key", "one");
    world.app(&["key"], App::default());
    world.up().await.unwrap();
    world.ready().await;
    world.kill_controller().await;
    sleep(YOUNG).await;
    let (host, old) = hosts(&world.engine);
    let found = survey(&host).await.unwrap();
    assert_eq!(found.leftovers, []);
    assert!(found.serving[0].running && found.serving[0].is_current);
    let other = survey(&old).await.unwrap();
    assert_eq!(
        (other.leftovers, other.strangers.len()),
        (vec![], 1),
        "another version's anchor is nobody's to remove"
    );
    let id = world.container("api").await.id;
    world.engine.stop(&id, None).await.unwrap();
    assert_eq!(left(&host).await, "", "a stopped container is one, too");
}

#[tokio::test]
async fn what_other_versions_left_is_told_by_the_name_of_their_store_container() {
    let fake = locket_engine::fake::Fake::new();
    let engine = fake.connect().await.unwrap();
    let (host, old) = hosts(&engine);
    for host in [&host, &old] {
        host.ensure_image().await.unwrap();
    }
    let none = BTreeMap::new();
    engine.create_volume(VOLUME, &none, &none).await.unwrap();
    let digest = |host: &Host| host.binary.layer()["sha256:".len()..][..12].to_owned();
    let names = [&host, &old].map(|host| format!("locket-store-{}", digest(host)));
    store_container(&engine, &names[0], "locket:test").await;
    assert_eq!(left(&host).await, "", "its own, and what is not proven");
    let strangers = survey(&host).await.unwrap().strangers;
    assert_eq!(
        (strangers[0].kind, &*strangers[0].name),
        ("image", "locket:0.0.1")
    );

    // A name of ours on somebody's image, and our image under somebody's name.
    let entrypoint = vec![PROGRAM.to_owned()];
    let image = FakeImage {
        entrypoint,
        ..FakeImage::default()
    };
    fake.add_image("evil", image);
    store_container(&engine, &names[1], "evil").await;
    store_container(&engine, "locket-store-mine", "locket:0.0.1").await;
    assert_eq!(left(&host).await, "");
    for name in [&*names[1], "locket-store-mine"] {
        engine.remove(name, true).await.unwrap();
    }

    store_container(&engine, &names[1], "locket:0.0.1").await;
    let expected = format!("container {}\nimage locket:0.0.1", names[1]);
    assert_eq!(left(&host).await, expected);
    engine.start(&names[1]).await.unwrap();
    assert_eq!(left(&host).await, "", "it is in use");
    engine.stop(&names[1], None).await.unwrap();
    remove_all(&host).await;
    assert_eq!(left(&host).await, "");
    let stays = [&names[0], &names[1]].map(|name| engine.inspect(name));
    let [own, other] = futures_util::future::join_all(stays)
        .await
        .try_into()
        .unwrap();
    assert!(own.unwrap().is_some() && other.unwrap().is_none());
    assert!(engine.volume(VOLUME).await.unwrap().is_some());
}

#[tokio::test]
async fn a_container_that_was_made_to_read_an_image_is_left_over_if_it_was_never_started() {
    let fake = locket_engine::fake::Fake::new();
    fake.add_image("app", FakeImage::default());
    let engine = fake.connect().await.unwrap();
    let (host, _) = hosts(&engine);
    let image = engine.image("app").await.unwrap().unwrap().id;
    let digest = &image["sha256:".len()..];
    let name = format!("locket-accounts-{}", digest.get(..12).unwrap_or(digest));
    for (name, cmd) in [
        (name.as_str(), "/locket-never-started"),
        ("mine", "/locket-never-started"),
    ] {
        let spec = CreateContainer {
            name: name.into(),
            image: image.clone(),
            cmd: Some(vec![cmd.into()]),
            labels: [(ROLE.to_owned(), owners::ROLE.to_owned())].into(),
            ..CreateContainer::default()
        };
        engine.create(&spec).await.unwrap();
    }
    assert_eq!(left(&host).await, format!("container {name}"));
}
