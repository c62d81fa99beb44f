//! What the loop promises, from the first delivery to the end.

use std::time::Duration;

use locket_crds::api::ConditionKind;
use locket_engine::CreateContainer;
use locket_engine::fake::{App, FakeImage, Fault, Verdict};
use locket_provider::ErrorKind;
use tokio::time::sleep;

use crate::fake::World;

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 1s, restart_every: 0s, refresh: 10s }
  secrets: { key: local:key, other: local:other }
services:
  locket: { provider: { type: locket } }
  api: { image: app, depends_on: [locket], x-locket: [key] }
  mailer: { image: app, depends_on: [locket], x-locket: [other] }
"#;

async fn up() -> World {
    let world = World::new(COMPOSE).await;
    world.backend.set("key", "one");
    world.backend.set("other", "o");
    world.app(&["key", "other"], App::default());
    world.up().await.unwrap();
    world.ready().await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_change_restarts_who_uses_it_once_and_nobody_else() {
    let world = up().await;
    assert_eq!(world.has("api", "key"), "one");
    let (api, mailer) = (
        world.container("api").await,
        world.container("mailer").await,
    );
    world.backend.set("key", "two");
    world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    world.ready().await;
    let now = world.container("api").await;
    assert_eq!((now.id, world.view("api").starts), (api.id, 2));
    assert_eq!(
        world.container("mailer").await.state.started_at,
        mailer.state.started_at
    );
}

/// `docker compose -f` with some of the files, or without a profile: what is up and not meant goes on.
#[tokio::test(start_paused = true)]
async fn who_is_left_out_of_an_up_is_looked_after_as_before() {
    let mut world = up().await;
    let mailer = "  mailer: { image: app, depends_on: [locket], x-locket: [other] }\n";
    let entry = ", other: local:other";
    world.edit(mailer, "");
    world.edit(entry, "");
    world.up().await.unwrap();
    world.ready().await;
    assert_eq!(world.view("mailer").starts, 1);
    world.backend.set("other", "p");
    world
        .until("the value arrives", async |w| {
            w.has("mailer", "other") == "p"
        })
        .await;
    world.ready().await;
    assert_eq!(world.view("mailer").starts, 2);
    world.edit("key: local:key", "key: local:key, other: local:other");
    world.edit("services:\n", &format!("services:\n{mailer}"));
    world.up().await.unwrap();
    world.ready().await;
    assert_eq!(world.view("mailer").starts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_nobody_uses_cannot_be_asked_again() {
    let world = up().await;
    assert!(world.refresh_source("local").await.is_ok());
    let e = world.refresh_source("nobody").await.unwrap_err();
    assert_eq!(
        (e.reason.as_str(), &e.hints[..]),
        ("NotFound", &["there is local".to_owned()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_how_many_there_are_aside() {
    let compose = COMPOSE.replace("local:", "bao:kv/");
    let world = World::new(&compose).await;
    let e = world.up().await.unwrap_err();
    let first = e.message.lines().next().unwrap();
    assert!(first.contains("`docker locket trust` grants it"), "{first}");
    assert_eq!(first.matches("bao:kv/").count(), 1, "{first}");
    assert_eq!(e.hints, ["1 more: `docker locket plan` names all"]);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_cannot_be_read_holds_up_nobody_else() {
    let world = up().await;
    let volume = world.fake.volume_dir("shop_locket-api").unwrap();
    let aside = volume.with_extension("aside");
    std::fs::rename(&volume, &aside).unwrap();
    // No kernel takes such a name.
    std::os::unix::fs::symlink("x".repeat(300), &volume).unwrap();
    world.backend.set("key", "two");
    world.backend.set("other", "p");
    world
        .until("the other service has its value", async |w| {
            w.has("mailer", "other") == "p"
        })
        .await;
    let it = world
        .condition(Some("api"), ConditionKind::Delivered)
        .await
        .unwrap();
    assert_eq!((it.status, it.reason.as_str()), (false, "Refused"));
    assert!(it.message.starts_with("its volume is spoilt"), "{it:?}");
    assert_eq!(world.view("api").starts, 1);
    std::fs::remove_file(&volume).unwrap();
    std::fs::rename(&aside, &volume).unwrap();
    world
        .until("it is mended", async |w| w.has("api", "key") == "two")
        .await;
    world.ready().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_asks_for_no_values_and_restarts_nothing() {
    let world = up().await;
    let fetched = world.backend.reads().values;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.backend.reads().values, fetched, "versions do");
    assert_eq!(world.view("api").starts, 1);
}

#[tokio::test(start_paused = true)]
async fn another_controller_goes_on_where_the_first_was_killed() {
    let mut world = up().await;
    world.kill_controller().await;
    world.start_controller().await;
    world.ready().await;
    assert_eq!(world.view("api").starts, 1, "nothing is restarted for it");
    // A change while nobody looks is not missed.
    world.backend.set("key", "two");
    world.kill_controller().await;
    world.start_controller().await;
    world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    world.ready().await;
    assert_eq!(world.view("api").starts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_down_changes_nothing_but_a_condition() {
    let world = up().await;
    world.backend.fail_with(Some(ErrorKind::Unavailable));
    world
        .until("the condition says so", async |w| {
            !w.condition(None, ConditionKind::SourceReady)
                .await
                .unwrap()
                .status
        })
        .await;
    assert_eq!(
        world
            .condition(None, ConditionKind::SourceReady)
            .await
            .unwrap()
            .reason,
        "Unavailable"
    );
    sleep(Duration::from_secs(600)).await;
    assert_eq!(
        (world.has("api", "key").as_str(), world.view("api").starts),
        ("one", 1)
    );
    world.backend.fail_with(None);
    world.backend.set("key", "two");
    world
        .until("it converges", async |w| w.has("api", "key") == "two")
        .await;
    world.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_names_what_keeps_services_from_their_secrets_before_and_after_the_first_delivery() {
    let world = World::new(COMPOSE).await;
    world.backend.set("other", "o");
    let problems = world.plan().await.unwrap().problems;
    assert!(
        matches!(&problems[..], [it] if it.starts_with("api: ") && it.contains("local:key")),
        "{problems:?}"
    );
    world.backend.set("key", "one");
    assert_eq!(world.plan().await.unwrap().problems, [""; 0]);
    world.app(&["key", "other"], App::default());
    world.up().await.unwrap();
    world.ready().await;
    world.backend.set("key", "");
    let problems = world.plan().await.unwrap().problems;
    assert!(
        matches!(&problems[..], [it] if it.starts_with("api: ") && it.contains("empty")),
        "{problems:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_restarted_along_can_be_explained_too() {
    let text = COMPOSE.to_owned()
        + "  dep: { image: app, depends_on: { api: { condition: service_started, restart: true } } }\n";
    let world = World::new(&text).await;
    world.backend.set("key", "one");
    world.backend.set("other", "o");
    world.app(&["key", "other"], App::default());
    world.up().await.unwrap();
    world.ready().await;
    world.backend.set("key", "two");
    world
        .until("both are restarted", async |w| w.view("dep").starts == 2)
        .await;
    world.ready().await;
    let dep = world.explain("dep").await.unwrap();
    assert_eq!((dep.history.len(), dep.service.conditions.len()), (1, 0));
    let e = world.explain("nosuch").await.unwrap_err();
    assert!(e.to_string().contains("has no service nosuch"), "{e}");
}

#[tokio::test(start_paused = true)]
async fn an_old_failure_gives_way_to_a_new_one() {
    let world = up().await;
    world.backend.set("key", "");
    let reason = async |w: &World| {
        let it = w.condition(Some("api"), ConditionKind::Resolved).await;
        it.map(|c| c.reason)
    };
    world
        .until("the empty value is refused", async |w| {
            reason(w).await.is_some_and(|it| it.contains("Empty"))
        })
        .await;
    world.backend.fail_with(Some(ErrorKind::NotFound));
    world
        .until("the secret is not there", async |w| {
            reason(w).await.as_deref() == Some("NotFound")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_has_its_labels_from_its_image_is_nobodys() {
    let world = up().await;
    let compose =
        |(name, value): (&str, &str)| (format!("com.docker.compose.{name}"), value.into());
    let built = [("project", "shop"), ("service", "api")];
    let hostile = [("config-hash", "made up"), ("container-number", "7")];
    let all = built.into_iter().chain(hostile);
    for (name, labels) in [
        ("built", built.map(compose).into()),
        ("hostile", all.map(compose).collect()),
    ] {
        let image = FakeImage {
            labels,
            ..FakeImage::default()
        };
        world.fake.add_image(name, image);
        let create = CreateContainer {
            name: name.into(),
            image: name.into(),
            ..CreateContainer::default()
        };
        let id = world.engine.create(&create).await.unwrap();
        world.engine.start(&id).await.unwrap();
    }
    assert_eq!(
        world.taken_for_ours().await,
        ["shop-api-1", "shop-mailer-1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_has_the_name_of_an_anchor_is_in_nobodys_way() {
    let world = World::new(COMPOSE).await;
    world.backend.set("key", "one");
    world.backend.set("other", "o");
    world.app(&["key", "other"], App::default());
    let says = |it: &str| {
        (
            format!("locket.{it}"),
            if it == "role" { "anchor" } else { "shop" }.to_owned(),
        )
    };
    for (number, labels) in [
        ("1", vec![]),
        ("2", vec![]),
        ("18446744073709551615", vec![says("role"), says("project")]),
    ] {
        let create = CreateContainer {
            name: format!("locket-anchor-shop-{number}"),
            image: "app".into(),
            labels: labels.into_iter().collect(),
            ..CreateContainer::default()
        };
        world.engine.create(&create).await.unwrap();
    }
    world.up().await.unwrap();
    world.ready().await;
    let (id, _) = world
        .engine
        .containers(&["locket.project=shop"])
        .await
        .unwrap()
        .into_iter()
        .map(|it| (it.id, it.name))
        .find(|(_, name)| name == "locket-anchor-shop-3")
        .unwrap();
    world.engine.remove(&id, true).await.unwrap();
    world.backend.set("key", "two");
    world
        .until("there is another, and it serves", async |w| {
            w.has("api", "key") == "two"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_controller_without_an_engine_does_not_say_that_it_is_well() {
    let world = up().await;
    assert!(world.health().await.is_ok());
    world.fake.go_down();
    assert_eq!(world.health().await.unwrap_err().reason, "Unavailable");
    world.fake.come_up();
    assert!(world.health().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_engine_restarts_and_everything_comes_back() {
    let world = up().await;
    world.fake.restart_engine();
    for service in ["api", "mailer"] {
        let id = world.container(service).await.id;
        world.engine.start(&id).await.unwrap();
    }
    world
        .until("the application has its value again", async |w| {
            w.view("api").ready && w.has("api", "key") == "one"
        })
        .await;
    world.ready().await;
    assert_eq!(
        world.view("api").starts,
        2,
        "it waited in the gate, so it needed no restart"
    );
}

#[tokio::test(start_paused = true)]
async fn events_are_heard_while_the_engine_takes_its_time_over_volumes() {
    let world = up().await;
    let slow = Fault::Delay(Duration::from_secs(30));
    world.fake.faults().on("GET /volumes/many", slow, 20);
    for n in 0..20 {
        let name = format!("many-{n}");
        let none = std::collections::BTreeMap::new();
        let made = world.engine.create_volume(&name, &none, &none);
        made.await.unwrap();
    }
    let before = tokio::time::Instant::now();
    let anchor = "locket-anchor-shop-1";
    world.engine.remove(anchor, true).await.unwrap();
    world
        .until("another anchor runs", async |w| {
            w.engine.inspect(anchor).await.unwrap().is_some()
        })
        .await;
    assert!(before.elapsed() < Duration::from_secs(5));
}

/// The engine makes a volume that a container is to mount and that is not there.
#[tokio::test(start_paused = true)]
async fn what_a_down_removes_while_an_anchor_is_made_does_not_come_back() {
    let world = up().await;
    let slow = Fault::Delay(Duration::from_secs(5));
    let create = "POST /containers/create?name=locket-anchor";
    world.fake.faults().on(create, slow, 1);
    world
        .engine
        .remove("locket-anchor-shop-1", true)
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    for service in ["api", "mailer"] {
        let name = format!("shop-{service}-1");
        world.engine.remove(&name, true).await.unwrap();
    }
    let volumes = async |w: &World| {
        let all = w.engine.volumes(&[]).await.unwrap();
        let mut names: Vec<String> = all.into_iter().map(|it| it.name).collect();
        names.retain(|it| it.starts_with("shop_"));
        names
    };
    for name in volumes(&world).await {
        world.engine.remove_volume(&name, true).await.unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(volumes(&world).await, [""; 0]);
    assert_eq!(world.anchors().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_anchor_is_replaced_and_nothing_restarts() {
    let world = up().await;
    world
        .engine
        .remove("locket-anchor-shop-1", true)
        .await
        .unwrap();
    world
        .until("another anchor runs", async |w| {
            w.engine
                .inspect("locket-anchor-shop-1")
                .await
                .unwrap()
                .is_some()
        })
        .await;
    world.backend.set("key", "two");
    world
        .until("a change still arrives", async |w| {
            w.has("api", "key") == "two"
        })
        .await;
    world.ready().await;
    assert_eq!(world.view("mailer").starts, 1);
}

const PICKY: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s, refresh: 5s }
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  api: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: { action: restart, stable: 5s } } }
"#;

#[tokio::test(start_paused = true)]
async fn an_anchor_that_cannot_be_started_is_tried_less_and_less_often() {
    let world = up().await;
    let anchor = world.anchors().await.remove(0);
    world
        .fake
        .faults()
        .on("/start", Fault::Status(500), usize::MAX);
    world.engine.remove(&anchor, true).await.unwrap();
    let tries = || {
        let all = world.fake.requests();
        all.iter().filter(|r| r.contains("/start")).count()
    };
    let before = tries();
    sleep(Duration::from_secs(120)).await;
    let tries = tries() - before;
    assert!((2..12).contains(&tries), "{tries} tries in two minutes");
    world.fake.faults().clear();
    world.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_update_mode_is_delivered_and_restarts_nothing() {
    let mut world = up().await;
    let file = world
        .fake
        .volume_dir("shop_locket-mailer")
        .unwrap()
        .join("other");
    assert!(file.is_symlink());
    world.edit(
        "x-locket: [other]",
        "x-locket: { secrets: [{ source: other, update: inplace }] }",
    );
    world.up().await.unwrap();
    world.ready().await;
    assert!(file.is_file() && !file.is_symlink());
    assert_eq!(world.view("mailer").starts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_ends_the_application_is_rolled_back() {
    let world = World::new(PICKY).await;
    world.backend.set("key", "good");
    let judge = |view: &locket_engine::fake::AppView| match view
        .files
        .values()
        .any(|v| v.starts_with(b"bad"))
    {
        true => Verdict::Exit(1),
        false => Verdict::Fine,
    };
    world.app(
        &["key"],
        App {
            judge: Some(std::sync::Arc::new(judge)),
            ..App::default()
        },
    );
    world.up().await.unwrap();
    world.ready().await;
    sleep(Duration::from_secs(20)).await;
    world.backend.set("key", "bad");
    world
        .until("the old value serves again", async |w| {
            w.condition(Some("api"), ConditionKind::RolledOut)
                .await
                .unwrap()
                .reason
                == "RolledBack"
                && w.has("api", "key") == "good"
        })
        .await;
    let starts = world.view("api").starts;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.view("api").starts, starts, "it is not tried again");
    world.backend.set("key", "better");
    world
        .until("another value is", async |w| {
            w.has("api", "key") == "better"
        })
        .await;
    world.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_down_is_released() {
    let world = up().await;
    world.release().await.unwrap();
    for service in ["api", "mailer"] {
        let id = world.container(service).await.id;
        world.engine.remove(&id, true).await.unwrap();
    }
    sleep(Duration::from_secs(300)).await;
    let anchors = world
        .engine
        .containers(&["locket.role=anchor"])
        .await
        .unwrap();
    assert_eq!(anchors, [], "nothing is brought back");
    for volume in ["locket", "locket-api", "locket-mailer"] {
        world
            .engine
            .remove_volume(&format!("shop_{volume}"), false)
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_applies_from_another_directory_is_told_of_the_first() {
    let mut world = up().await;
    let first = world.spec().working_dir.clone();
    assert_eq!(world.gate().await.unwrap().moved_from, None);
    world.move_to("/elsewhere");
    assert_eq!(world.gate().await.unwrap().moved_from, Some(first));
    assert_eq!(world.gate().await.unwrap().moved_from, None);
    // What was applied last has no other directory.
    assert_eq!(world.apply().await.unwrap().moved_from, None);
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_removed_without_a_word_is_released_too() {
    let world = up().await;
    for service in ["api", "mailer"] {
        let id = world.container(service).await.id;
        world.engine.remove(&id, true).await.unwrap();
    }
    world
        .until("its anchor is gone", async |w| {
            w.engine
                .containers(&["locket.role=anchor"])
                .await
                .unwrap()
                .is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_written_in_a_project_volume_makes_nobody_another_project() {
    let mut world = up().await;
    world.kill_controller().await;
    // Any container of the project may mount the volume and write there.
    let volume = world.fake.volume_dir("shop_locket").unwrap();
    let mut todo = vec![volume];
    let mut forged = 0;
    while let Some(it) = todo.pop() {
        if it.is_dir() {
            todo.extend(std::fs::read_dir(it).unwrap().map(|e| e.unwrap().path()));
        } else if it.ends_with("spec.json") {
            let text = std::fs::read_to_string(&it).unwrap();
            assert!(text.contains("\"project\":\"shop\""), "{text}");
            let text = text.replace("\"project\":\"shop\"", "\"project\":\"bank\"");
            std::fs::write(&it, text).unwrap();
            forged += 1;
        }
    }
    assert_eq!(forged, 1);
    world.start_controller().await;
    world.backend.set("key", "two");
    world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    assert_eq!(world.backend.asked_for(), ["shop".into()].into());
}

/// A step that fails is tried again after ever longer pauses; others do not wait for that.
#[tokio::test(start_paused = true)]
async fn what_fails_for_one_service_holds_up_no_other() {
    let mut world = World::alone("shop", COMPOSE).await;
    world.edit(
        "api: { image: app, depends_on: [locket], x-locket: [key] }",
        "api: { image: app, depends_on: [locket], x-locket: { secrets: [key], on_change: 'signal:SIGHUP' } }",
    );
    world.backend.set("key", "one");
    world.backend.set("other", "o");
    world.app(&["key", "other"], App::default());
    world.start_controller().await;
    world.up().await.unwrap();
    world.ready().await;
    let id = world.container("api").await.id;
    let signal = format!("/containers/{id}/exec");
    world.fake.faults().on(&signal, Fault::Status(500), 1000);
    world.backend.set("key", "two");
    sleep(Duration::from_secs(300)).await;
    world.backend.set("other", "p");
    world.store("other", "p").await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.has("mailer", "other"), "p");
    assert_eq!(world.view("mailer").starts, 2);
}
