use std::thread;

use tempfile::TempDir;

use super::*;
use crate::generation::{GenFile, Generation, Update};
use crate::log::Entry;
use crate::protocol::Verdict;

pub(super) struct World {
    _dir: TempDir,
    pub(super) roots: Roots,
    services: PathBuf,
}

pub(super) fn world(services: &[&str]) -> World {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots {
        project: dir.path().join("p"),
        services: Services::Under(dir.path().join("v")),
        any_filesystem: true,
    };
    let root = Dir::open(dir.path()).unwrap();
    root.make_dir("p", 0o755).unwrap();
    let v = root.make_dir("v", 0o755).unwrap();
    for service in services {
        v.make_dir(service, 0o755).unwrap();
    }
    let services = dir.path().join("v");
    World {
        _dir: dir,
        roots,
        services,
    }
}

fn generation(content: &str) -> Generation {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    Generation {
        files: vec![GenFile {
            path: "password".into(),
            bytes: Zeroizing::new(content.into()),
            mode: 0o444,
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            update: Update::Swap,
        }],
        env: vec![("A".into(), Zeroizing::new(content.into()))],
    }
}

/// A session that is asked without a transport.
pub(super) struct Client(Session);

impl Client {
    pub(super) fn new(world: &World) -> Self {
        let clock = || Stamp {
            realtime: 7,
            boottime: 3,
        };
        let mut client = Self(Session::open(&world.roots, Box::new(clock)).unwrap());
        let hello = Request::Hello {
            protocol: protocol::VERSION,
        };
        let now = Stamp {
            realtime: 7,
            boottime: 3,
        };
        assert_eq!(
            client.ask(&hello),
            Response::Hello {
                protocol: protocol::VERSION,
                now
            }
        );
        client
    }

    fn ask(&mut self, request: &Request) -> Response {
        Response::decode(&self.0.answer(request.encode()).unwrap()).unwrap()
    }

    pub(super) fn acquire(&mut self, holder: &str) -> Response {
        self.ask(&Request::Acquire {
            holder: holder.into(),
        })
    }

    fn publish(&mut self, term: u64, expect: u64, content: &str) -> Result<Entry, RefusalKind> {
        let Response::Key { key, .. } = self.ask(&Request::Key) else {
            panic!("no key")
        };
        let generation = generation(content);
        let fingerprint = fingerprint(&key.0, &generation);
        let service = "api".into();
        match self.ask(&Request::Publish {
            service,
            term,
            expect,
            generation,
            fingerprint,
        }) {
            Response::Published(entry) => Ok(entry),
            Response::Refused(refusal) => Err(refusal.kind),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&mut self, request: &Request) -> RefusalKind {
        match self.ask(request) {
            Response::Refused(refusal) => refusal.kind,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_first_word_is_hello_in_our_version() {
    let world = world(&[]);
    let mut session = Session::open(&world.roots, Box::new(clock::now)).unwrap();
    assert!(session.answer(Request::Ping.encode()).is_err());
    let answer = session
        .answer(Request::Hello { protocol: 99 }.encode())
        .unwrap();
    assert!(matches!(
        Response::decode(&answer),
        Ok(Response::Hello {
            protocol: protocol::VERSION,
            ..
        })
    ));
    assert!(
        session.answer(Request::Ping.encode()).is_err(),
        "the client is told our version and no more"
    );
}

#[test]
fn a_generation_goes_in_and_is_seen() {
    let world = world(&["api", "db"]);
    let mut client = Client::new(&world);
    let services = vec!["api".to_owned(), "db".to_owned()];
    assert_eq!(
        client.ask(&Request::Volumes),
        Response::Volumes { services }
    );
    assert_eq!(client.acquire("me"), Response::Granted { term: 1 });
    let entry = client.publish(1, 0, "s3cret").unwrap();
    assert_eq!(entry.seq, 1);
    assert_eq!(
        std::fs::read(world.services.join("api/password")).unwrap(),
        b"s3cret"
    );
    let log = Response::Log {
        entries: vec![entry],
        key_matches: true,
    };
    assert_eq!(
        client.ask(&Request::Log {
            service: "api".into()
        }),
        log
    );
    let verify = Request::Verify {
        service: "api".into(),
    };
    assert_eq!(client.ask(&verify), Response::Verified(Verdict::Intact));
    assert_eq!(
        client.publish(1, 0, "other"),
        Err(RefusalKind::Conflict { current: 1 })
    );
    let restore = Request::Restore {
        service: "api".into(),
        term: 1,
        seq: 1,
        expect: 1,
    };
    assert!(matches!(
        client.ask(&restore),
        Response::Published(Entry { seq: 2, .. })
    ));
}

#[test]
fn one_session_writes_and_the_others_are_told_who() {
    let world = world(&["api"]);
    let (mut one, mut two) = (Client::new(&world), Client::new(&world));
    assert_eq!(one.acquire("one"), Response::Granted { term: 1 });
    assert_eq!(
        two.acquire("two"),
        Response::Held {
            holder: "one".into(),
            term: 1
        }
    );
    assert_eq!(one.acquire("one, moved"), Response::Granted { term: 1 });
    assert_eq!(
        two.acquire("two"),
        Response::Held {
            holder: "one, moved".into(),
            term: 1
        }
    );
    assert_eq!(
        two.publish(1, 0, "x"),
        Err(RefusalKind::OldTerm),
        "the term is known, but not its own"
    );
    assert_eq!(
        (one.0.silence(), two.0.silence()),
        (HOLDER_SILENCE, SILENCE)
    );

    assert_eq!(one.ask(&Request::Release), Response::Done);
    assert_eq!(one.publish(1, 0, "x"), Err(RefusalKind::OldTerm));
    assert_eq!(two.acquire("two"), Response::Granted { term: 2 });
    assert_eq!(two.publish(1, 0, "x"), Err(RefusalKind::OldTerm));
    assert!(two.publish(2, 0, "x").is_ok());
    drop(two);
    assert_eq!(one.acquire("one"), Response::Granted { term: 3 });
}

#[test]
fn whoever_writes_needs_the_lease() {
    let world = world(&["api"]);
    let mut client = Client::new(&world);
    let service = || "api".to_owned();
    for request in [
        Request::Restore {
            service: service(),
            term: 0,
            seq: 1,
            expect: 1,
        },
        Request::Prune {
            service: service(),
            term: 0,
            keep: vec![],
        },
        Request::Clear {
            service: service(),
            term: 0,
        },
        Request::WriteState {
            name: "spec.json".into(),
            term: 0,
            bytes: vec![],
            durable: true,
        },
    ] {
        assert_eq!(client.refusal(&request), RefusalKind::OldTerm);
    }
}

#[test]
fn a_batch_ends_at_its_first_refusal() {
    let world = world(&["api"]);
    let mut client = Client::new(&world);
    let Response::Granted { term } = client.acquire("me") else {
        panic!("no lease")
    };
    let state = |name: &str| Request::WriteState {
        name: name.into(),
        term,
        bytes: b"{}".to_vec(),
        durable: false,
    };
    let Response::Batch(answers) = client.ask(&Request::Batch(vec![
        state("first.json"),
        Request::Log {
            service: "nobody".into(),
        },
        state("last.json"),
    ])) else {
        panic!("no batch")
    };
    assert_eq!(answers[0], Response::Done);
    assert!(matches!(
        &answers[1..],
        [Response::Refused(Refusal {
            kind: RefusalKind::NotMounted,
            ..
        })]
    ));
    let mut there = |name: &str| client.ask(&Request::ReadState { name: name.into() });
    assert_eq!(there("first.json"), Response::State(Some(b"{}".to_vec())));
    assert_eq!(there("last.json"), Response::State(None));
}

#[test]
fn a_lease_whose_lock_was_replaced_is_over() {
    let world = world(&["api"]);
    let (mut one, mut two) = (Client::new(&world), Client::new(&world));
    assert_eq!(one.acquire("one"), Response::Granted { term: 1 });
    Dir::open(&world.roots.project)
        .unwrap()
        .remove("lease")
        .unwrap();
    assert_eq!(two.acquire("two"), Response::Granted { term: 2 });
    assert_eq!(one.publish(1, 0, "x"), Err(RefusalKind::OldTerm));
    assert_eq!(
        one.acquire("one"),
        Response::Held {
            holder: "two".into(),
            term: 2
        }
    );
}

#[test]
fn what_makes_no_sense_is_refused_and_the_session_goes_on() {
    let world = world(&["api"]);
    let mut client = Client::new(&world);
    assert_eq!(client.acquire("x"), Response::Granted { term: 1 });
    let service = || "api".to_owned();
    let log = |service: &str| Request::Log {
        service: service.into(),
    };
    for (request, kind) in [
        (log("db"), RefusalKind::NotMounted),
        (log("../p"), RefusalKind::Invalid),
        (log(".."), RefusalKind::Invalid),
        (
            Request::ReadState {
                name: "../key".into(),
            },
            RefusalKind::Invalid,
        ),
        (
            Request::WriteState {
                name: ".x".into(),
                term: 1,
                bytes: vec![],
                durable: true,
            },
            RefusalKind::Invalid,
        ),
        (
            Request::InstallShim {
                bytes: vec![1],
                sha256: [0; 32],
            },
            RefusalKind::Invalid,
        ),
        (
            Request::Acquire {
                holder: "x".repeat(5000),
            },
            RefusalKind::Invalid,
        ),
        (
            Request::Restore {
                service: service(),
                term: 1,
                seq: 7,
                expect: 0,
            },
            RefusalKind::Invalid,
        ),
    ] {
        assert_eq!(client.refusal(&request), kind, "{request:?}");
    }
    let generation = generation("x");
    let publish = Request::Publish {
        service: service(),
        term: 1,
        expect: 0,
        generation,
        fingerprint: [0; 32],
    };
    assert_eq!(
        client.refusal(&publish),
        RefusalKind::Invalid,
        "the client thinks that it is something else"
    );
}

#[test]
fn without_a_directory_for_services_there_are_none() {
    let mut world = world(&[]);
    world.roots.services = Services::Under(world.services.join("not there"));
    let services = Vec::new();
    assert_eq!(
        Client::new(&world).ask(&Request::Volumes),
        Response::Volumes { services }
    );
}

#[test]
fn volumes_that_are_no_tmpfs_or_no_service_are_not_there() {
    let mut world = world(&["api", "b c"]);
    std::os::unix::fs::symlink("api", world.services.join("link")).unwrap();
    let mut client = Client::new(&world);
    assert_eq!(
        client.ask(&Request::Volumes),
        Response::Volumes {
            services: vec!["api".into()]
        }
    );
    let in_memory = Dir::open(&world.services).unwrap().is_in_memory().unwrap();
    world.roots.any_filesystem = false;
    let mut client = Client::new(&world);
    let services = if in_memory {
        vec!["api".to_owned()]
    } else {
        vec![]
    };
    assert_eq!(
        client.ask(&Request::Volumes),
        Response::Volumes { services }
    );
    if !in_memory {
        assert_eq!(
            client.refusal(&Request::Log {
                service: "api".into()
            }),
            RefusalKind::NotMounted
        );
    }
}

#[test]
fn numbers_go_on_after_a_volume_was_emptied() {
    let world = world(&["api"]);
    let mut client = Client::new(&world);
    assert_eq!(client.acquire("x"), Response::Granted { term: 1 });
    assert_eq!(client.publish(1, 0, "a").unwrap().seq, 1);
    assert_eq!(client.publish(1, 1, "b").unwrap().seq, 2);
    assert_eq!(
        client.ask(&Request::Clear {
            service: "api".into(),
            term: 1
        }),
        Response::Done
    );
    let verify = Request::Verify {
        service: "api".into(),
    };
    assert_eq!(client.ask(&verify), Response::Verified(Verdict::Empty));
    assert_eq!(client.publish(1, 0, "b").unwrap().seq, 3);
    Dir::open(&world.services.join("api"))
        .unwrap()
        .remove_all()
        .unwrap();
    assert_eq!(client.publish(1, 0, "b").unwrap().seq, 4);
}

#[test]
fn a_new_key_is_noticed_and_the_log_recomputed() {
    let world = world(&["api"]);
    let mut client = Client::new(&world);
    assert_eq!(client.acquire("x"), Response::Granted { term: 1 });
    let old = client.publish(1, 0, "a").unwrap();
    Dir::open(&world.roots.project)
        .unwrap()
        .remove("key")
        .unwrap();
    assert!(matches!(
        client.ask(&Request::Key),
        Response::Key { new: true, .. }
    ));
    let log = Request::Log {
        service: "api".into(),
    };
    let service = || "api".to_owned();
    assert_eq!(
        client.ask(&log),
        Response::Log {
            entries: vec![old],
            key_matches: false
        }
    );
    assert!(matches!(
        client.ask(&Request::Verify { service: service() }),
        Response::Verified(Verdict::Drifted(_))
    ));
    assert_eq!(
        client.ask(&Request::Recompute { service: service() }),
        Response::Done
    );
    let Response::Log {
        entries,
        key_matches: true,
    } = client.ask(&log)
    else {
        panic!("no log")
    };
    assert_eq!((entries[0].seq, entries[0].at), (old.seq, old.at));
    assert_ne!(entries[0].fingerprint, old.fingerprint);
    assert_eq!(
        client.ask(&Request::Verify { service: service() }),
        Response::Verified(Verdict::Intact)
    );
}

#[test]
fn volumes_may_each_have_a_place_of_their_own() {
    let world = world(&["volume-1"]);
    let each = [
        ("api", world.services.join("volume-1")),
        ("gone", world.services.join("volume-2")),
    ];
    let each = each.map(|(service, path)| (service.to_owned(), path));
    let roots = Roots {
        services: Services::Each(each.into()),
        ..world.roots.clone()
    };
    let world = World { roots, ..world };
    let mut client = Client::new(&world);
    let services = vec!["api".to_owned()];
    assert_eq!(
        client.ask(&Request::Volumes),
        Response::Volumes { services }
    );
    assert_eq!(client.acquire("x"), Response::Granted { term: 1 });
    assert_eq!(client.publish(1, 0, "a").unwrap().seq, 1);
}

#[test]
fn who_looks_while_another_publishes_sees_whole_generations_only() {
    let world = world(&["api"]);
    let mut writer = Client::new(&world);
    assert_eq!(writer.acquire("x"), Response::Granted { term: 1 });
    writer.publish(1, 0, "0").unwrap();
    let (app, done) = (
        world.services.join("api"),
        std::sync::atomic::AtomicBool::new(false),
    );
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut reader = Client::new(&world);
            let verify = Request::Verify {
                service: "api".into(),
            };
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(reader.ask(&verify), Response::Verified(Verdict::Intact));
            }
        });
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // A generation is kept open for as long as somebody looks at it through a handle.
                let dir = Dir::open(&app.join("..data")).unwrap();
                let Ok((env, _)) = dir.read("env") else {
                    continue; // Pruned meanwhile.
                };
                let Ok((file, _)) = dir.read("files/password") else {
                    continue;
                };
                assert_eq!(**env, [b"A=", &**file, b"\0"].concat());
            }
        });
        let publish = |seq: u64| {
            let entry = writer.publish(1, seq, &seq.to_string());
            let keep = Request::Prune {
                service: "api".into(),
                term: 1,
                keep: vec![],
            };
            (entry, writer.ask(&keep))
        };
        let answers: Vec<_> = (1..=40).map(publish).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(answers.iter().all(|a| a.0.is_ok() && a.1 == Response::Done));
    });
}
