//! How the client and the fake behave when things go wrong. All time is virtual.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use locket_engine::fake::{App, AppView, EventFault, Fake, FakeImage, Fault, Verdict};
use locket_engine::watcher::{Action, Event};
use locket_engine::{
    Container, CreateContainer, Engine, ExecSpec, Health, Healthcheck, Kind, NewMount,
    RestartPolicy, Status, StopOutcome,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

fn healthcheck() -> Healthcheck {
    Healthcheck {
        test: vec!["CMD".into(), "check".into()],
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        start_period: Duration::ZERO,
        retries: 1,
    }
}

/// An engine with the image `app`, which has a healthcheck and runs this.
async fn engine_with(app: App) -> (Fake, Engine) {
    let fake = Fake::new();
    let image = FakeImage {
        healthcheck: Some(healthcheck()),
        ..FakeImage::default()
    };
    fake.add_image("app", image);
    fake.set_program("app", app.program());
    let engine = fake.connect().await.unwrap();
    (fake, engine)
}

fn spec(name: &str) -> CreateContainer {
    CreateContainer {
        name: name.into(),
        image: "app".into(),
        ..CreateContainer::default()
    }
}

fn mount(source: &str, target: &str) -> NewMount {
    NewMount::Volume {
        source: source.into(),
        target: target.into(),
        subpath: None,
        read_only: true,
        nocopy: true,
    }
}

async fn run(engine: &Engine, spec: &CreateContainer) -> String {
    let id = engine.create(spec).await.unwrap();
    engine.start(&id).await.unwrap();
    id
}

async fn inspect(engine: &Engine, id: &str) -> Container {
    engine.inspect(id).await.unwrap().unwrap()
}

async fn tmpfs(engine: &Engine, name: &str) {
    let options = [("type".to_owned(), "tmpfs".to_owned())].into();
    engine
        .create_volume(name, &options, &BTreeMap::new())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_fault_has_its_kind() {
    let (fake, engine) = engine_with(App::default()).await;
    let id = run(&engine, &spec("a")).await;
    let kind = async |fault| {
        fake.faults().on("/json", fault, 1);
        engine.inspect(&id).await.unwrap_err().kind
    };
    assert_eq!(kind(Fault::Break).await, Kind::Protocol);
    assert_eq!(kind(Fault::Status(500)).await, Kind::Engine(500));
    assert_eq!(kind(Fault::Status(409)).await, Kind::Conflict);
    assert_eq!(kind(Fault::LoseAnswer).await, Kind::Protocol);
    assert_eq!(kind(Fault::HalfBody).await, Kind::Protocol);
    assert_eq!(
        kind(Fault::Delay(Duration::from_secs(31))).await,
        Kind::Timeout
    );

    fake.faults()
        .on("/json", Fault::Delay(Duration::from_secs(29)), 1);
    assert!(
        engine.inspect(&id).await.unwrap().is_some(),
        "slow is not broken"
    );

    // bollard's calls go the same ways.
    fake.faults().on("/containers/json", Fault::HalfBody, 1);
    assert_eq!(
        engine.containers(&[]).await.unwrap_err().kind,
        Kind::Protocol
    );
    fake.faults()
        .on("/containers/json", Fault::Delay(Duration::from_secs(31)), 1);
    assert_eq!(
        engine.containers(&[]).await.unwrap_err().kind,
        Kind::Timeout
    );

    fake.go_down();
    assert_eq!(engine.inspect(&id).await.unwrap_err().kind, Kind::Refused);
    assert_eq!(
        engine.containers(&[]).await.unwrap_err().kind,
        Kind::Refused
    );
    assert!(fake.connect().await.unwrap_err().is_refused());
    fake.come_up();
    assert!(
        engine.inspect(&id).await.unwrap().is_some(),
        "the same client goes on"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_undo_the_step() {
    let (fake, engine) = engine_with(App::default()).await;
    let id = engine.create(&spec("a")).await.unwrap();
    fake.faults().on("/start", Fault::LoseAnswer, 1);
    assert!(engine.start(&id).await.unwrap_err().is_transient());
    assert_eq!(inspect(&engine, &id).await.state.status, Status::Running);
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_its_grace_period_and_not_a_moment_more() {
    let app = App {
        stop_takes: Duration::from_secs(3000),
        ..App::default()
    };
    let (_fake, engine) = engine_with(app).await;
    let id = run(&engine, &spec("a")).await;
    let began = Instant::now();
    let hour = Duration::from_secs(3600);
    assert_eq!(
        engine.stop(&id, Some(hour)).await.unwrap(),
        StopOutcome::Stopped
    );
    assert_eq!(began.elapsed().as_secs(), 3000);
    assert_eq!(inspect(&engine, &id).await.state.exit_code, 143);

    engine.start(&id).await.unwrap();
    let began = Instant::now();
    engine
        .stop(&id, Some(Duration::from_secs(60)))
        .await
        .unwrap();
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(inspect(&engine, &id).await.state.exit_code, 137);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_gets_no_answer_times_out_after_its_grace_period() {
    let (fake, engine) = engine_with(App::default()).await;
    let id = run(&engine, &spec("a")).await;
    fake.faults()
        .on("/stop", Fault::Delay(Duration::from_secs(3600)), 1);
    let began = Instant::now();
    let error = engine
        .stop(&id, Some(Duration::from_secs(40)))
        .await
        .unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_restarts_keeps_what_a_real_one_keeps() {
    let (fake, engine) = engine_with(App::default()).await;
    tmpfs(&engine, "memory").await;
    let with = |name: &str, restart_policy| CreateContainer {
        restart_policy,
        mounts: vec![mount("memory", "/memory"), mount("disk", "/disk")],
        ..spec(name)
    };
    let always = run(&engine, &with("always", RestartPolicy::Always)).await;
    let stopped = run(&engine, &with("stopped", RestartPolicy::Always)).await;
    let unless = run(&engine, &with("unless", RestartPolicy::UnlessStopped)).await;
    let unless_stopped = run(
        &engine,
        &with("unless-stopped", RestartPolicy::UnlessStopped),
    )
    .await;
    let never = run(&engine, &with("never", RestartPolicy::No)).await;
    for id in [&stopped, &unless_stopped] {
        engine.stop(id, None).await.unwrap();
    }
    for volume in ["memory", "disk"] {
        std::fs::write(fake.volume_dir(volume).unwrap().join("file"), "x").unwrap();
    }
    let before = inspect(&engine, &always).await.state.started_at;

    let somebodys = [("whose".to_owned(), "somebody's".to_owned())].into();
    let none = BTreeMap::new();
    let marked = engine.create_volume("marked", &none, &somebodys);
    marked.await.unwrap();

    fake.restart_engine();
    // The first call may find its connection broken, as with a real engine.
    let answers = async { while engine.version().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), answers)
        .await
        .unwrap();

    let status = async |id: &str| inspect(&engine, id).await.state.status;
    assert_eq!(status(&always).await, Status::Running);
    assert_eq!(
        status(&stopped).await,
        Status::Running,
        "always means always"
    );
    assert_eq!(status(&unless).await, Status::Running);
    assert_eq!(status(&unless_stopped).await, Status::Exited);
    assert_eq!(status(&never).await, Status::Exited);
    assert!(inspect(&engine, &always).await.state.started_at > before);
    assert!(!fake.volume_dir("memory").unwrap().join("file").exists());
    assert!(fake.volume_dir("disk").unwrap().join("file").exists());

    let ours = [("ours".to_owned(), "yes".to_owned())].into();
    let of_another = engine.create_volume("marked", &none, &ours);
    assert_eq!(
        of_another.await.unwrap().labels["whose"],
        "somebody's",
        "also before anybody has looked at it"
    );
}

/// What is in the stream up to the next `InitDone`.
async fn relisted(events: &mut (impl Stream<Item = Event> + Unpin)) -> Vec<Event> {
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        let done = event == Event::InitDone;
        seen.push(event);
        if done {
            break;
        }
    }
    seen
}

fn action(event: Option<Event>) -> Option<Action> {
    match event? {
        Event::Container(event) => Some(event.action),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_event_stream_is_a_relist() {
    let (fake, engine) = engine_with(App::default()).await;
    let mut events = engine.events();
    assert_eq!(relisted(&mut events).await, [Event::Init, Event::InitDone]);
    let id = run(&engine, &spec("a")).await;
    assert_eq!(action(events.next().await), Some(Action::Create));

    fake.break_event_streams();
    // What was on its way is gone with the stream, so the list says it.
    let again = relisted(&mut events).await;
    let lost = again.iter().position(|e| *e == Event::Lost);
    assert_eq!(lost.map(|n| &again[n + 1]), Some(&Event::Init));
    let listed = again.iter().find_map(|e| match e {
        Event::InitApply(c) => Some((c.id.clone(), c.state)),
        _ => None,
    });
    assert_eq!(listed, Some((id.clone(), Status::Running)));

    fake.go_down();
    let (seen, ()) = tokio::join!(relisted(&mut events), async {
        sleep(Duration::from_secs(120)).await;
        fake.come_up();
    });
    assert_eq!(
        seen[..2],
        [Event::Lost, Event::Init],
        "it waits for the engine"
    );
    engine.start(&id).await.unwrap();
    assert_eq!(action(events.next().await), Some(Action::Start));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_between_list_and_stream() {
    let (fake, engine) = engine_with(App::default()).await;
    let id = engine.create(&spec("a")).await.unwrap();
    let mut events = engine.events();
    assert_eq!(relisted(&mut events).await.len(), 3);
    // The stream is not open yet: the next poll opens it.
    engine.start(&id).await.unwrap();
    assert_eq!(action(events.next().await), Some(Action::Start));
    let asked: Vec<_> = fake
        .requests()
        .into_iter()
        .filter(|r| r.contains("/events"))
        .collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_doubled_and_late_when_told_to() {
    let (fake, engine) = engine_with(App::default()).await;
    let id = engine.create(&spec("a")).await.unwrap();
    let mut events = engine.events();
    relisted(&mut events).await;
    fake.faults()
        .on_event("container start a", EventFault::Lose, 1);
    fake.faults()
        .on_event("container kill a", EventFault::Double, 1);
    let minute = Duration::from_secs(60);
    fake.faults()
        .on_event("container die a", EventFault::Delay(minute), 1);
    engine.start(&id).await.unwrap();
    engine.stop(&id, None).await.unwrap();
    let began = Instant::now();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(action(events.next().await));
    }
    let health = Action::Health(Health::Healthy);
    assert_eq!(
        seen,
        [
            health,
            Action::Kill,
            Action::Kill,
            Action::Die,
            Action::Stop
        ]
    );
    assert!(began.elapsed() >= minute);
}

#[tokio::test(start_paused = true)]
async fn an_app_waits_reads_and_judges() {
    let app = App {
        reads: vec!["/run/secrets/password".into()],
        waits_for: Some("/run/secrets/password".into()),
        healthy_after: Duration::from_secs(5),
        reload_on: Some("SIGHUP".into()),
        judge: Some(Arc::new(|view: &AppView| {
            match view.files.get("/run/secrets/password").map(Vec::as_slice) {
                Some(b"good") => Verdict::Fine,
                Some(b"bad") => Verdict::Unhealthy,
                _ => Verdict::Exit(78),
            }
        })),
        ..App::default()
    };
    let (fake, engine) = engine_with(app).await;
    tmpfs(&engine, "secrets").await;
    let id = run(
        &engine,
        &CreateContainer {
            mounts: vec![mount("secrets", "/run/secrets")],
            stop_signal: Some("SIGTERM".into()),
            restart_policy: RestartPolicy::OnFailure(1),
            ..spec("a")
        },
    )
    .await;
    let password = fake.volume_dir("secrets").unwrap().join("password");
    let state = async || inspect(&engine, &id).await.state;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        (state().await.status, state().await.health),
        (Status::Running, Health::Starting)
    );
    assert!(!fake.view("a").unwrap().ready);

    std::fs::write(&password, "good").unwrap();
    sleep(Duration::from_secs(4)).await;
    assert!(fake.view("a").unwrap().ready);
    assert_eq!(state().await.health, Health::Starting);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(state().await.health, Health::Healthy);

    std::fs::write(&password, "bad").unwrap();
    engine.kill(&id, "HUP").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(state().await.health, Health::Unhealthy);

    std::fs::write(&password, "useless").unwrap();
    engine.kill(&id, "SIGHUP").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    // It has ended, its policy has started it, and with the end its volume was emptied.
    assert_eq!(
        (state().await.status, state().await.restart_count),
        (Status::Running, 1)
    );
    let view = fake.view("a").unwrap();
    assert_eq!((view.starts, view.ready, view.signals.len()), (2, false, 2));
    assert!(!password.exists());
}

#[tokio::test(start_paused = true)]
async fn restarts_by_policy_come_slower_and_slower() {
    let app = App {
        exits_after: Some((Duration::from_millis(1), 1)),
        ..App::default()
    };
    let (fake, engine) = engine_with(app).await;
    run(
        &engine,
        &CreateContainer {
            restart_policy: RestartPolicy::Always,
            ..spec("a")
        },
    )
    .await;
    sleep(Duration::from_secs(1)).await;
    let early = fake.view("a").unwrap().starts;
    sleep(Duration::from_secs(600)).await;
    let late = fake.view("a").unwrap().starts;
    assert!((4..=6).contains(&early), "{early}");
    assert!((12..=22).contains(&late), "{late}");
    fake.crash("a", 1);
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_steps_and_incarnations_stay_apart() {
    let (fake, engine) = engine_with(App::default()).await;
    let id = run(&engine, &spec("a")).await;
    let started = async || inspect(&engine, &id).await.state.started_at.unwrap();
    let first = started().await;
    engine.remove("nobody", true).await.unwrap();
    engine.kill(&id, "KILL").await.unwrap();
    engine.start(&id).await.unwrap();
    let second = started().await;
    assert!(second > first, "no virtual time has passed");
    fake.set_clock_offset(-3_600_000_000_000);
    engine.kill(&id, "KILL").await.unwrap();
    engine.start(&id).await.unwrap();
    assert!(started().await < first);
}

#[tokio::test(start_paused = true)]
async fn execs_end_with_their_container_and_with_the_engine() {
    let (fake, engine) = engine_with(App::default()).await;
    fake.on_exec(Arc::new(|_, mut call| {
        async move {
            let mut chunk = [0; 64];
            while let Ok(n @ 1..) = call.stream.read(&mut chunk).await {
                if call.stream.write_all(&chunk[..n]).await.is_err() {
                    break;
                }
            }
            7
        }
        .boxed()
    }));
    let exec = ExecSpec {
        argv: vec!["echo".into()],
        ..ExecSpec::default()
    };
    let id = run(&engine, &spec("a")).await;

    let stream = engine.exec(&id, &exec).await.unwrap();
    assert_eq!(
        stream.wait().await.unwrap(),
        7,
        "end of file, then its own code"
    );

    let mut stream = engine.exec(&id, &exec).await.unwrap();
    fake.crash("a", 1);
    let mut rest = Vec::new();
    stream.output.read_to_end(&mut rest).await.unwrap();
    assert_eq!(stream.handle.wait().await.unwrap(), 137);

    engine.start(&id).await.unwrap();
    let mut stream = engine.exec(&id, &exec).await.unwrap();
    stream.input.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    stream.output.read_exact(&mut hello).await.unwrap();
    fake.break_connections();
    // A broken connection is an end or an error, and never a silence.
    let _ = stream.output.read_to_end(&mut rest).await;
    assert!(stream.input.write_all(b"hello").await.is_err() || rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_program_that_talks_for_ever_is_cut_off() {
    let (fake, engine) = engine_with(App::default()).await;
    fake.on_exec(Arc::new(|_, mut call| {
        async move {
            while call.stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            0
        }
        .boxed()
    }));
    let id = run(&engine, &spec("a")).await;
    let exec = ExecSpec {
        argv: vec!["yes".into()],
        ..ExecSpec::default()
    };
    let minute = Duration::from_secs(60);
    let error = engine
        .exec_output(&id, &exec, 10_000, minute)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge);

    fake.on_exec(Arc::new(|_, _| std::future::pending().boxed()));
    let error = engine
        .exec_output(&id, &exec, 10_000, minute)
        .await
        .unwrap_err();
    assert!(error.is_timeout());
}
