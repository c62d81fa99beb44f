//! The checks. Each leaves nothing behind when it passes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use locket_engine::watcher::{Action, Event};
use locket_engine::{
    Container, CreateContainer, Health, Healthcheck, InspectCache, Kind, NewMount, RestartPolicy,
    Status, StopOutcome,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::place::{IMAGE, PASSWD, Place, argv_of};

/// Long enough for any engine that works.
const PATIENCE: Duration = Duration::from_secs(20);

async fn inspect(place: &Place, id: &str) -> Container {
    place
        .engine
        .inspect(id)
        .await
        .unwrap()
        .expect("the container is there")
}

/// Looks until the container is as it should be.
async fn until(place: &Place, id: &str, is: impl Fn(&Container) -> bool) -> Container {
    let began = Instant::now();
    loop {
        let container = inspect(place, id).await;
        if is(&container) {
            return container;
        }
        assert!(began.elapsed() < PATIENCE, "still {:?}", container.state);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn volume(source: &str, target: &str) -> NewMount {
    NewMount::Volume {
        source: source.into(),
        target: target.into(),
        subpath: None,
        read_only: false,
        nocopy: true,
    }
}

pub async fn says_what_it_is(place: &Place) {
    let version = place.engine.version().await.unwrap();
    assert_eq!(version.api_version, "1.45");
    assert_eq!(version.os, "linux");
    let info = place.engine.info().await.unwrap();
    assert!(!info.id.is_empty() && info.docker_root_dir.starts_with('/'));
    assert!(info.system_time.is_some());
}

pub async fn a_container_lives_and_dies(place: &Place) {
    let engine = &place.engine;
    let id = engine.create(&place.sleeper()).await.unwrap();
    let made = inspect(place, &id).await;
    assert_eq!(made.state.status, Status::Created);
    assert_eq!(
        (made.state.started_at, made.state.finished_at),
        (None, None)
    );

    engine.start(&id).await.unwrap();
    engine
        .start(&id)
        .await
        .expect("starting what runs is no error");
    let first = inspect(place, &id).await;
    assert_eq!(first.state.status, Status::Running);
    assert!(first.state.pid > 0 && first.state.started_at.is_some());

    let grace = Some(Duration::from_secs(5));
    assert_eq!(engine.stop(&id, grace).await.unwrap(), StopOutcome::Stopped);
    assert_eq!(
        engine.stop(&id, grace).await.unwrap(),
        StopOutcome::AlreadyStopped
    );
    let ended = inspect(place, &id).await;
    assert_eq!(
        (ended.state.status, ended.state.exit_code),
        (Status::Exited, 143)
    );
    assert!(ended.state.finished_at > first.state.started_at);

    engine.start(&id).await.unwrap();
    let second = inspect(place, &id).await;
    assert!(
        second.state.started_at > first.state.started_at,
        "a new incarnation"
    );

    engine.remove(&id, true).await.unwrap();
    engine
        .remove(&id, true)
        .await
        .expect("removing what is gone is no error");
    assert_eq!(engine.inspect(&id).await.unwrap(), None);
}

pub async fn a_stop_ends_in_a_kill(place: &Place) {
    let mut spec = place.sleeper();
    // As PID 1 itself, sleep does not hear SIGTERM.
    spec.init = None;
    spec.labels.insert("stubborn".into(), "1".into());
    let id = place.run(&spec).await;
    let grace = Some(Duration::from_secs(1));
    assert_eq!(
        place.engine.stop(&id, grace).await.unwrap(),
        StopOutcome::Stopped
    );
    assert_eq!(inspect(place, &id).await.state.exit_code, 137);
    place.clean(&[&id], &[]).await;
}

pub async fn refusals_have_their_kinds(place: &Place) {
    let engine = &place.engine;
    let kind = |result: locket_engine::Result<()>| result.expect_err("it is refused").kind;
    let nobody = place.name("nobody");
    assert_eq!(kind(engine.start(&nobody).await), Kind::NotFound);
    assert_eq!(
        kind(engine.stop(&nobody, None).await.map(drop)),
        Kind::NotFound
    );
    assert_eq!(kind(engine.kill(&nobody, "HUP").await), Kind::NotFound);
    assert_eq!(
        kind(engine.exec(&nobody, &argv_of(&["cat"])).await.map(drop)),
        Kind::NotFound
    );
    assert_eq!(engine.inspect(&nobody).await.unwrap(), None);
    assert_eq!(engine.inspect("../volumes").await.unwrap(), None);

    let no_image = CreateContainer {
        image: "leng-no-such-image".into(),
        ..place.sleeper()
    };
    assert_eq!(
        kind(engine.create(&no_image).await.map(drop)),
        Kind::NotFound
    );

    let spec = place.sleeper();
    let id = place.run(&spec).await;
    assert_eq!(kind(engine.create(&spec).await.map(drop)), Kind::Conflict);
    assert_eq!(kind(engine.remove(&id, false).await), Kind::Conflict);
    engine
        .stop(&id, Some(Duration::from_secs(5)))
        .await
        .unwrap();
    assert_eq!(kind(engine.kill(&id, "HUP").await), Kind::Conflict);
    assert_eq!(
        kind(engine.exec(&id, &argv_of(&["cat"])).await.map(drop)),
        Kind::Conflict
    );

    let data = place.name("data");
    engine
        .create_volume(&data, &BTreeMap::new(), &place.labels())
        .await
        .unwrap();
    let mut missing_part = place.sleeper();
    missing_part.mounts = vec![NewMount::Volume {
        source: data.clone(),
        target: "/data".into(),
        subpath: Some("shim/init".into()),
        read_only: true,
        nocopy: true,
    }];
    let other = engine
        .create(&missing_part)
        .await
        .expect("a subpath is looked up at the start");
    let refused = engine
        .start(&other)
        .await
        .expect_err("there is no such subpath");
    assert!(
        refused.is_not_found() && refused.message.contains("cannot access path"),
        "{refused}"
    );
    assert_eq!(
        kind(engine.remove_volume(&data, true).await),
        Kind::Conflict
    );
    place.clean(&[&id, &other], &[&data]).await;
}

pub async fn inspect_shows_what_was_asked_for(place: &Place) {
    let (data, part) = (place.name("data"), place.name("part"));
    let healthcheck = Healthcheck {
        test: vec!["CMD".into(), "true".into()],
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        start_period: Duration::from_secs(3),
        retries: 4,
    };
    let spec = CreateContainer {
        entrypoint: Some(vec!["sleep".into()]),
        cmd: Some(vec!["999".into()]),
        user: Some("1000:1000".into()),
        env: vec!["CANARY=leng-canary-value".into()],
        mounts: vec![
            volume(&data, "/data"),
            NewMount::Volume {
                source: part.clone(),
                target: "/part".into(),
                subpath: Some("a/b".into()),
                read_only: true,
                nocopy: true,
            },
            NewMount::Tmpfs {
                target: "/scratch".into(),
                size: Some(1 << 20),
                mode: Some(0o700),
            },
        ],
        read_only: true,
        cap_drop: vec!["ALL".into()],
        cap_add: vec!["CHOWN".into()],
        pids_limit: Some(64),
        no_log: true,
        no_new_privileges: true,
        group_add: vec!["33".into()],
        restart_policy: RestartPolicy::OnFailure(3),
        healthcheck: Some(healthcheck.clone()),
        stop_signal: Some("SIGINT".into()),
        stop_timeout: Some(7),
        ..place.sleeper()
    };
    let id = place.engine.create(&spec).await.unwrap();
    let got = inspect(place, &id).await;
    let image = place.engine.image(IMAGE).await.unwrap().unwrap();
    assert_eq!(
        (got.id.as_str(), got.name.as_str()),
        (id.as_str(), spec.name.as_str())
    );
    assert_eq!((got.image.as_str(), got.image_id), (IMAGE, image.id));
    // Beside those of the image.
    assert!(has_all(&got.labels, &spec.labels));
    assert_eq!(got.user, "1000:1000");
    assert_eq!(
        (got.entrypoint, got.cmd),
        (vec!["sleep".into()], vec!["999".into()])
    );
    assert_eq!(
        (got.init, got.read_only, got.auto_remove),
        (Some(true), true, false)
    );
    assert_eq!(got.network_mode, "none");
    assert_eq!(got.restart_policy, RestartPolicy::OnFailure(3));
    assert_eq!(got.healthcheck, Some(healthcheck));
    assert_eq!(got.stop_grace, Some(Duration::from_secs(7)));
    assert_eq!(got.stop_signal.as_deref(), Some("SIGINT"));
    let mounts: Vec<_> = got
        .mounts
        .iter()
        .map(|m| {
            (
                m.target.as_str(),
                m.kind.as_str(),
                m.source.as_str(),
                m.subpath.as_deref(),
                m.rw,
            )
        })
        .collect();
    assert_eq!(
        mounts,
        [
            ("/data", "volume", data.as_str(), None, true),
            ("/part", "volume", part.as_str(), Some("a/b"), false),
            ("/scratch", "tmpfs", "", None, true),
        ]
    );
    let again = format!("{:?}", inspect(place, &id).await);
    assert!(
        !again.contains("leng-canary-value"),
        "the environment is not taken in"
    );
    place.clean(&[&id], &[&data, &part]).await;
}

pub async fn lists_select_by_label(place: &Place) {
    let mut other = place.sleeper();
    other.labels.insert("leng.kind".into(), "other".into());
    let a = place.engine.create(&other).await.unwrap();
    let b = place.run(&place.sleeper()).await;
    let list = async |labels: &[&str]| -> Vec<(String, Status)> {
        let found = place.engine.containers(labels).await.unwrap();
        found.into_iter().map(|c| (c.id, c.state)).collect()
    };
    let ours = place.label();
    assert_eq!(
        list(&[&ours]).await,
        [(a.clone(), Status::Created), (b.clone(), Status::Running)]
    );
    assert_eq!(
        list(&[&ours, "leng.kind"]).await,
        [(a.clone(), Status::Created)]
    );
    assert_eq!(list(&[&ours, "leng.kind=else"]).await, []);
    let everything = place.engine.containers(&[]).await.unwrap();
    assert!(
        everything
            .iter()
            .any(|c| c.id == b && has_all(&c.labels, &place.labels()))
    );
    place.clean(&[&a, &b], &[]).await;
}

pub async fn names_and_policies_change(place: &Place) {
    let engine = &place.engine;
    let id = place.run(&place.sleeper()).await;
    let other = engine.create(&place.sleeper()).await.unwrap();
    let name = place.name("renamed");
    engine.rename(&id, &name).await.unwrap();
    assert_eq!(inspect(place, &name).await.id, id);
    assert!(
        engine
            .rename(&other, &name)
            .await
            .unwrap_err()
            .is_conflict()
    );
    engine
        .update_restart_policy(&id, RestartPolicy::UnlessStopped)
        .await
        .unwrap();
    assert_eq!(
        inspect(place, &id).await.restart_policy,
        RestartPolicy::UnlessStopped
    );
    place.clean(&[&id, &other], &[]).await;
}

pub async fn a_policy_starts_again_after_a_failure(place: &Place) {
    let spec = CreateContainer {
        cmd: Some(vec!["false".into()]),
        restart_policy: RestartPolicy::OnFailure(2),
        ..place.sleeper()
    };
    let id = place.run(&spec).await;
    let given_up = |c: &Container| c.state.status == Status::Exited && c.state.restart_count == 2;
    assert_eq!(until(place, &id, given_up).await.state.exit_code, 1);
    place.clean(&[&id], &[]).await;
}

/// See [`Engine::kill`](locket_engine::Engine::kill): this is a trap, and it must stay known.
pub async fn a_signal_switches_the_policy_off(place: &Place) {
    let mut spec = CreateContainer {
        restart_policy: RestartPolicy::Always,
        ..place.sleeper()
    };
    let dead = place.run(&spec).await;
    place.engine.kill(&dead, "HUP").await.unwrap();
    until(place, &dead, |c| c.state.status == Status::Exited).await;

    spec = CreateContainer {
        stop_signal: Some("SIGTERM".into()),
        restart_policy: RestartPolicy::Always,
        ..place.sleeper()
    };
    let alive = place.run(&spec).await;
    place.engine.kill(&alive, "HUP").await.unwrap();
    let again = |c: &Container| c.state.status == Status::Running && c.state.restart_count == 1;
    until(place, &alive, again).await;
    assert_eq!(
        inspect(place, &dead).await.state.status,
        Status::Exited,
        "it stays down"
    );
    place.clean(&[&dead, &alive], &[]).await;
}

pub async fn a_tmpfs_volume_lives_as_long_as_its_users(place: &Place) {
    let engine = &place.engine;
    let (memory, disk) = (place.name("memory"), place.name("disk"));
    let options = [
        ("type", "tmpfs"),
        ("device", "tmpfs"),
        ("o", "size=1m,mode=0755"),
    ];
    let options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    engine
        .create_volume(&memory, &options, &place.labels())
        .await
        .unwrap();
    engine
        .create_volume(&disk, &BTreeMap::new(), &place.labels())
        .await
        .unwrap();
    let spec = || CreateContainer {
        mounts: vec![volume(&memory, "/memory"), volume(&disk, "/disk")],
        ..place.sleeper()
    };
    let (a, b) = (place.run(&spec()).await, place.run(&spec()).await);
    place.write(&a, "/memory/file", "m").await;
    place.write(&a, "/disk/file", "d").await;
    let grace = Some(Duration::from_secs(5));
    engine.stop(&a, grace).await.unwrap();
    assert_eq!(
        place.exec(&b, &["cat", "/memory/file"]).await,
        (0, "m".into()),
        "b still uses it"
    );
    engine.stop(&b, grace).await.unwrap();
    engine.start(&b).await.unwrap();
    assert_eq!(
        place.exec(&b, &["cat", "/memory/file"]).await.0,
        1,
        "nobody used it"
    );
    assert_eq!(
        place.exec(&b, &["cat", "/disk/file"]).await,
        (0, "d".into())
    );
    place.clean(&[&a, &b], &[&memory, &disk]).await;
}

pub async fn volumes_are_made_once(place: &Place) {
    let engine = &place.engine;
    let name = place.name("v");
    let options: BTreeMap<_, _> = [
        ("type".into(), "tmpfs".into()),
        ("device".into(), "tmpfs".into()),
    ]
    .into();
    assert_eq!(engine.volume(&name).await.unwrap(), None);
    let made = engine
        .create_volume(&name, &options, &place.labels())
        .await
        .unwrap();
    assert_eq!(
        (made.name.as_str(), made.driver.as_str()),
        (name.as_str(), "local")
    );
    assert_eq!((&made.options, &made.labels), (&options, &place.labels()));
    let again = engine
        .create_volume(&name, &options, &place.labels())
        .await
        .unwrap();
    assert_eq!(again.created_at, made.created_at);
    assert_eq!(engine.volume(&name).await.unwrap().as_ref(), Some(&made));
    assert_eq!(engine.volumes(&[&place.label()]).await.unwrap(), [made]);
    assert_eq!(
        engine
            .volumes(&[&place.label(), "leng.other"])
            .await
            .unwrap(),
        []
    );
    engine.remove_volume(&name, false).await.unwrap();
    engine
        .remove_volume(&name, false)
        .await
        .expect("removing what is gone is no error");
    assert_eq!(engine.volume(&name).await.unwrap(), None);
}

pub async fn execs_carry_bytes_both_ways(place: &Place) {
    let id = place.run(&place.sleeper()).await;
    let mut cat = place.engine.exec(&id, &argv_of(&["cat"])).await.unwrap();

    let mut fastest = Duration::MAX;
    for n in 0..200_u64 {
        let sent = Instant::now();
        cat.input.write_all(&n.to_be_bytes()).await.unwrap();
        let mut back = [0; 8];
        cat.output.read_exact(&mut back).await.unwrap();
        assert_eq!(back, n.to_be_bytes());
        fastest = fastest.min(sent.elapsed());
    }
    // 0.02 to 0.2 ms in practice; a delayed write (Nagle and its kin) would show as 40 ms.
    assert!(
        fastest < Duration::from_millis(10),
        "a round trip takes {fastest:?}"
    );
    println!("fastest round trip: {fastest:?}");

    let big: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    let sending = big.clone();
    let mut input = cat.input;
    let sender = tokio::spawn(async move {
        input.write_all(&sending).await.unwrap();
        input.shutdown().await.unwrap();
    });
    // Half closed: the answer still comes, all of it.
    let mut back = Vec::new();
    cat.output.read_to_end(&mut back).await.unwrap();
    sender.await.unwrap();
    assert!(
        back == big,
        "{} of {} bytes came back",
        back.len(),
        big.len()
    );
    assert_eq!(cat.handle.wait().await.unwrap(), 0);
    place.clean(&[&id], &[]).await;
}

pub async fn execs_report_their_end(place: &Place) {
    let engine = &place.engine;
    let id = place.run(&place.sleeper()).await;
    let speaks = argv_of(&["sh", "-c", "echo out; echo err >&2; exit 3"]);
    let output = engine.exec_output(&id, &speaks, 4, PATIENCE).await.unwrap();
    assert_eq!(
        (output.code, output.stdout, output.stderr),
        (3, b"out\n".to_vec(), b"err\n".to_vec())
    );
    let error = engine
        .exec_output(&id, &speaks, 3, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge);

    let cat = engine.exec(&id, &argv_of(&["cat"])).await.unwrap();
    engine.remove(&id, true).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, cat.wait()).await;
    assert_ne!(
        end.expect("the stream ends with the container").ok(),
        Some(0)
    );
}

pub async fn images_are_imported(place: &Place) {
    let engine = &place.engine;
    let (one, two) = (place.name("image:1"), place.name("image:2"));
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o755);
    tar.append_data(&mut header, "program", b"bytes".as_slice())
        .unwrap();
    let tar = Bytes::from(tar.into_inner().unwrap());
    let changes = ["ENTRYPOINT [\"/program\"]", "LABEL a=b", "USER 5:5"];
    let first = engine
        .import_image(tar.clone(), &one, &changes)
        .await
        .unwrap();
    let second = engine.import_image(tar, &two, &[]).await.unwrap();
    let image = engine.image(&one).await.unwrap().expect("it was imported");
    assert_eq!(image.id, first);
    assert_eq!(
        (image.entrypoint, image.user.as_str()),
        (vec!["/program".to_owned()], "5:5")
    );
    assert_eq!(image.labels, [("a".to_owned(), "b".to_owned())].into());
    assert_eq!(image.tags, std::slice::from_ref(&one));
    let other = engine.image(&second).await.unwrap().expect("by its id too");
    assert_eq!(image.layers.len(), 1);
    assert_eq!(
        image.layers, other.layers,
        "the layer depends on the archive alone"
    );
    for name in [&one, &two] {
        engine.remove_image(name).await.unwrap();
        engine
            .remove_image(name)
            .await
            .expect("removing what is gone is no error");
        assert_eq!(engine.image(name).await.unwrap(), None);
    }
}

pub async fn small_files_are_read(place: &Place) {
    let engine = &place.engine;
    let id = engine.create(&place.sleeper()).await.unwrap();
    let passwd = engine
        .read_file(&id, "/etc/passwd", 4096)
        .await
        .unwrap()
        .expect("it is there");
    assert!(passwd.starts_with(PASSWD.as_bytes()));
    assert_eq!(
        engine.read_file(&id, "/etc/nothing", 4096).await.unwrap(),
        None
    );
    let error = engine.read_file(&id, "/etc/passwd", 5).await.unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge);
    place.clean(&[&id], &[]).await;
}

/// The next event about one of this check's objects.
async fn next(place: &Place, events: &mut (impl Stream<Item = Event> + Unpin)) -> Event {
    let prefix = place.name("");
    let ours = async {
        loop {
            let event = events.next().await.expect("it never ends");
            match &event {
                Event::Container(e) if !e.name.starts_with(&prefix) => {}
                Event::Volume(e) if !e.name.starts_with(&prefix) => {}
                Event::InitApply(c) if !c.name.starts_with(&prefix) => {}
                _ => return event,
            }
        }
    };
    tokio::time::timeout(PATIENCE, ours)
        .await
        .expect("an event comes")
}

pub async fn events_follow_the_list(place: &Place) {
    let engine = &place.engine;
    let old = engine.create(&place.sleeper()).await.unwrap();
    let mut events = engine.events();
    assert_eq!(next(place, &mut events).await, Event::Init);
    let Event::InitApply(listed) = next(place, &mut events).await else {
        panic!("the list comes first");
    };
    assert_eq!((listed.id, listed.state), (old.clone(), Status::Created));
    assert_eq!(next(place, &mut events).await, Event::InitDone);

    // Before anybody polls on: it is not lost, for the stream begins before the list.
    let disk = place.name("disk");
    let spec = CreateContainer {
        mounts: vec![volume(&disk, "/disk")],
        ..place.sleeper()
    };
    let id = place.run(&spec).await;
    assert_eq!(place.exec(&id, &["cat"]).await.0, 0);
    engine
        .stop(&id, Some(Duration::from_secs(5)))
        .await
        .unwrap();
    place.clean(&[&id, &old], &[&disk]).await;

    let mut seen = Vec::new();
    loop {
        match next(place, &mut events).await {
            Event::Container(event) if event.id == id => {
                assert_eq!(event.name, spec.name);
                assert!(event.time > 0);
                assert_eq!(
                    event.attributes.get("leng.check"),
                    spec.labels.get("leng.check")
                );
                seen.push(event.action);
            }
            Event::Volume(event) => {
                assert_eq!(event.name, disk);
                seen.push(event.action);
                if event.action == Action::Destroy {
                    break;
                }
            }
            _ => {}
        }
    }
    // The engine does not promise in which order "stop" and "die" come.
    seen[4..6].sort_by_key(|action| *action == Action::Stop);
    let (create, destroy) = (Action::Create, Action::Destroy);
    assert_eq!(
        seen,
        [
            create,
            create,
            Action::Start,
            Action::Kill,
            Action::Die,
            Action::Stop,
            destroy,
            destroy
        ]
    );
}

pub async fn the_cache_asks_once(place: &Place) {
    let engine = &place.engine;
    let cache = InspectCache::default();
    let id = place.run(&place.sleeper()).await;
    let summary = async || {
        let list = engine.containers(&[&place.label()]).await.unwrap();
        list.into_iter().find(|c| c.id == id).expect("it is listed")
    };
    let calls_for = async |summary: &_| {
        let before = engine.calls();
        let found = cache.inspect(engine, summary).await.unwrap();
        (engine.calls() - before, found)
    };
    let listed = summary().await;
    let (calls, first) = calls_for(&listed).await;
    assert_eq!((calls, first.unwrap().state.health), (1, Health::None));
    assert_eq!(calls_for(&listed).await.0, 0, "nothing has happened");

    engine
        .stop(&id, Some(Duration::from_secs(5)))
        .await
        .unwrap();
    assert_eq!(
        calls_for(&summary().await).await.0,
        1,
        "the list says that it has ended"
    );
    engine.rename(&id, &place.name("new")).await.unwrap();
    assert_eq!(
        calls_for(&summary().await).await.0,
        1,
        "the list says that it has a new name"
    );
    cache.forget(&id);
    assert_eq!(calls_for(&summary().await).await.0, 1, "we have changed it");
    cache.observe(&Event::Init);
    assert_eq!(
        calls_for(&summary().await).await.0,
        1,
        "something may have been missed"
    );
    cache.observe(&Event::Lost);
    for _ in 0..2 {
        let calls = calls_for(&summary().await).await.0;
        assert_eq!(calls, 1, "nobody would hear of a change");
    }
    cache.observe(&Event::Init);
    assert_eq!(calls_for(&summary().await).await.0, 1);
    assert_eq!(
        calls_for(&summary().await).await.0,
        0,
        "somebody listens again"
    );

    let last = summary().await;
    place.clean(&[&id], &[]).await;
    cache.forget(&id);
    assert_eq!(calls_for(&last).await, (1, None));
}

fn has_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
