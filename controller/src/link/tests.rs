//! Two versions of the program on one project, on the fake engine.

use locket_engine::Engine;
use locket_engine::fake::App;

use super::*;
use crate::fake::World;
use crate::own::image::Binary;

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  api: { image: app, depends_on: [locket], x-locket: [key] }
"#;

/// A program of that version.
fn host(engine: &Engine, version: &str) -> Host {
    let mut bytes = crate::fake::programs::binary();
    bytes.extend(version.as_bytes());
    Host::new(engine.clone(), Binary::new(bytes).unwrap(), version)
}

/// A project that is up, and that nobody looks after.
async fn up() -> World {
    let mut world = World::new(COMPOSE).await;
    world.backend.set("key", "one");
    world.app(&["key"], App::default());
    world.up().await.unwrap();
    world.ready().await;
    world.kill_controller().await;
    world
}

/// Goes into the project as a command does, and out again: through which anchor, and which shim it has then.
async fn visit(host: &Host, project: &ProjectName) -> (String, Option<[u8; 32]>) {
    let link = Link::open(host, project, "a test").await.unwrap().unwrap();
    assert!(link.term().is_some(), "it holds the lease");
    assert_eq!(link.spec().await.unwrap().unwrap().spec.project, *project);
    let Response::ShimDigest(shim) = link.call(&Request::ShimDigest).await.unwrap() else {
        panic!("something else than a digest");
    };
    link.call(&Request::Release).await.unwrap();
    (link.session.anchor.clone(), shim)
}

async fn anchors(world: &World) -> Vec<String> {
    let label = format!("{}=anchor", crate::own::ROLE);
    let all = world.engine.containers(&[&label]).await.unwrap();
    all.into_iter().map(|it| it.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_newer_program_replaces_an_older_anchor_and_an_older_one_goes_through_the_newer() {
    let world = up().await;
    let project = world.name();
    let (old, new) = (host(&world.engine, "0.9.0"), host(&world.engine, "0.10.0"));
    let api = world.container("api").await;

    let (first, shim) = visit(&old, &project).await;
    assert_eq!(shim, Some(old.binary.sha256()));
    let (second, shim) = visit(&new, &project).await;
    assert_ne!(second, first);
    assert_eq!(
        anchors(&world).await.as_slice(),
        std::slice::from_ref(&second)
    );
    assert_eq!(shim, Some(new.binary.sha256()));

    let (third, shim) = visit(&old, &project).await;
    assert_eq!(third, second, "the newer one stays, and serves");
    assert_eq!(
        anchors(&world).await.as_slice(),
        std::slice::from_ref(&second)
    );
    assert_eq!(shim, Some(new.binary.sha256()), "the newer shim stays");
    assert_eq!(visit(&new, &project).await.0, second);

    let it = world.container("api").await;
    assert_eq!((it.id, it.state.started_at), (api.id, api.state.started_at));
}

#[tokio::test(start_paused = true)]
async fn a_newer_anchor_that_does_not_run_is_replaced() {
    let world = up().await;
    let project = world.name();
    let (old, new) = (host(&world.engine, "0.9.0"), host(&world.engine, "0.10.0"));
    let (newer, _) = visit(&new, &project).await;
    world.engine.stop(&newer, None).await.unwrap();
    let (older, _) = visit(&old, &project).await;
    assert_ne!(older, newer);
    assert_eq!(anchors(&world).await, [older]);
}
