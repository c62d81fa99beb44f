//! What each check says of which facts.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use locket_controller::leftovers::{Leftover, Object, Serving, Stranger, Survey};
use locket_controller::own::anchor::{COMPOSE_PROJECT, Volumes};
use locket_controller::sources::Problem;
use locket_crds::config::HostConfig;
use locket_crds::reference::SecretRef;
use locket_engine::{EngineInfo, Status, Volume};

use super::controller::Contained;
use super::files::Socket;
use super::plugin::Copy;
use super::*;

/// A line a finding: level, message, cure.
fn told(all: impl IntoIterator<Item = Finding>, expected: Expect) {
    let line = |it: Finding| {
        assert_eq!(
            it.cure.is_none(),
            it.level == Level::Ok,
            "there is a cure for all that is not well: {it:?}"
        );
        let cure = it.cure.map(|cure| format!(" -> {cure}"));
        format!("{}: {}{}", it.level, it.message, cure.unwrap_or_default())
    };
    let lines: Vec<String> = all.into_iter().map(line).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn seen(it: Result<Finding, Unseen>) -> Finding {
    it.unwrap_or_else(Finding::from)
}

#[test]
fn every_check_has_its_row() {
    let page = include_str!("../../../../docs/reference/doctor.md");
    let row = |c: &Check| format!("| `{}` | {} |", c.name, c.about);
    let rows: Vec<String> = CHECKS.iter().map(row).collect();
    let named = |line: &&str| line.starts_with("| `") && !line.contains("level");
    let table = page.split("## Checks").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    assert_eq!(table.lines().filter(named).collect::<Vec<_>>(), rows);
}

#[test]
fn the_example_of_the_page_is_what_is_printed() {
    let page = include_str!("../../../../docs/reference/doctor.md");
    let block = page.split("```json\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let it: Diagnosis = serde_json::from_str(block).unwrap();
    assert_eq!(serde_json::to_string_pretty(&it).unwrap(), block.trim_end());
}

#[test]
fn findings_are_lines_with_their_cures() {
    let named = |check: &str, it: Finding| Finding {
        check: check.into(),
        ..it
    };
    let all = [
        named("engine", finding::ok("Docker Engine 28 answers")),
        named(
            "swap",
            finding::note("swap is\u{1b}[2J on", "switch it off"),
        ),
        named(
            "leftovers",
            Finding {
                fixable: true,
                ..finding::warning("two\nlines", "one\nthe other")
            },
        ),
        named("store", finding::error("broken", "mend it")),
    ];
    let it = Diagnosis {
        version: FORMAT,
        locket: "1".into(),
        findings: all.to_vec(),
    };
    expect![[r#"
        ok       engine      Docker Engine 28 answers
        note     swap        swap is�[2J on
                             → switch it off
        warning  leftovers   two
          lines
                             → one
                               the other
        error    store       broken
                             → mend it

        1 error, 1 warning, 1 note; `docker locket doctor --fix` removes what is left over"#]]
    .assert_eq(&text(&it, |_, word| word.to_owned()));
    let well = Diagnosis {
        findings: vec![finding::ok("x")],
        ..it
    };
    assert_eq!(summary(&well), "all is well");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_ended_and_says_so() {
    let surroundings = crate::context::Surroundings {
        env: BTreeMap::new(),
        variables: Default::default(),
        dir: "/".into(),
    };
    let cx = Context::new(surroundings, Default::default(), None);
    let flags = ComposeFlags::default();
    let hangs = Check {
        name: "hangs",
        about: "",
        run: |_| std::future::pending().boxed_local(),
    };
    let found = examine(&hangs, &Patient::new(&cx, &flags)).await;
    assert_eq!(found[0].check, "hangs");
    told(
        found,
        expect![
            "warning: this could not be looked at: no answer after 20 s -> see the other findings, then run `docker locket doctor` again"
        ],
    );
}

#[test]
fn the_engine() {
    let info = EngineInfo {
        storage_driver: "overlay2".into(),
        log_driver: "json-file".into(),
        init_program: "docker-init".into(),
        ..EngineInfo::default()
    };
    told(
        [
            engine::runs_on(("linux", "amd64"), "amd64"),
            engine::runs_on(("linux", "arm64"), "amd64"),
            engine::runs_on(("windows", "amd64"), "amd64"),
            engine::set(&info),
            engine::set(&EngineInfo {
                log_driver: "none".into(),
                live_restore: true,
                ..info.clone()
            }),
            seen(engine::has_init(&info, true)),
            seen(engine::has_init(&info, false)),
            seen(engine::has_init(
                &EngineInfo {
                    init_answers: true,
                    ..info.clone()
                },
                false,
            )),
            seen(engine::has_init(&EngineInfo::default(), true)),
        ],
        expect![[r#"
            ok: the engine is linux/amd64, as this program
            error: the engine is linux/arm64, this program is linux/amd64 -> give the program for linux/arm64: `--image FILE`, or the variable LOCKET_IMAGE
            error: the engine runs windows containers -> switch it to Linux containers
            ok: storage overlay2, log driver json-file, live-restore off
            note: storage overlay2, log driver none, live-restore on: what the shim says of a container that waits is lost -> `"log-driver": "local"` in the engine's daemon.json
            ok: the engine's init is docker-init
            note: the engine's init is docker-init; whether it is there cannot be seen from here -> `docker run --rm --init IMAGE true` works if it is; else install `docker-init`, or set `init-path` in the engine's daemon.json
            ok: the engine's init is docker-init
            warning: the engine names no program for `init: true`, so containers with secrets may not start -> install `docker-init`, which comes with Docker Engine, or set `init-path` in the engine's daemon.json"#]],
    );
    told(
        engine::isolated(&info),
        expect!["ok: the engine runs as root on a machine of its own users"],
    );
    told(
        engine::isolated(&EngineInfo {
            rootless: true,
            remaps_users: true,
            operating_system: "Docker Desktop".into(),
            ..info
        }),
        expect![[r#"
            note: the engine is Docker Desktop's: it runs in a virtual machine, and so does a controller in a container -> give a backend on this machine an address that the engine's machine reaches, not `localhost`
            note: the engine is rootless: a controller in a container has the engine's network, not this machine's -> give a backend on this machine an address that the engine's machine reaches, not `localhost`
            note: users are remapped (`userns-remap`): `uid` and `gid` of a secret are those inside of the container -> nothing, as long as no program outside of containers is to read them"#]],
    );
}

#[test]
fn the_machine() {
    told(
        [
            "6.8.0-31-generic",
            "6.3",
            "6.1.0-18-amd64",
            "5.15.0",
            "next",
        ]
        .map(machine::knows_noswap),
        expect![[r#"
            ok: Linux 6.8.0-31-generic can keep a tmpfs out of swap
            ok: Linux 6.3 can keep a tmpfs out of swap
            note: Linux 6.1.0-18-amd64 cannot keep a tmpfs out of swap (`noswap` came with 6.3) -> keep swap off or encrypted on the engine's machine, or update its kernel
            note: Linux 5.15.0 cannot keep a tmpfs out of swap (`noswap` came with 6.3) -> keep swap off or encrypted on the engine's machine, or update its kernel
            note: the kernel calls itself "next", of which nothing is known -> keep swap off or encrypted on the engine's machine"#]],
    );
    let head = "Filename\tType\tSize\tUsed\tPriority\n";
    told(
        [
            "",
            "/dev/zram0 partition 1 0 100\n",
            "/dev/zram0 partition 1 0 100\n/swapfile file 1 0 -2\n",
        ]
        .map(|areas| machine::swaps(&format!("{head}{areas}"))),
        expect![[r#"
            ok: swap is off
            ok: swap is compressed memory only (zram)
            note: swap is on (/swapfile): under memory pressure secrets on a tmpfs may be written there -> encrypt the swap, or switch it off: `swapoff -a`, and its line in /etc/fstab"#]],
    );
    let now = 1_800_000_000_000;
    told(
        [
            machine::clocks(now + 5, now, now + 10),
            machine::clocks(now - 5_000, now, now + 10),
            machine::clocks(now + 5_000, now, now + 10),
            machine::clocks(now + 3_600_000, now, now + 10),
            machine::clocks(1_000, now, now + 10),
        ],
        expect![[r#"
            ok: the engine's clock and this machine's agree
            note: the engine's clock and this machine's are 5 s apart -> let both machines keep time with NTP: `timedatectl set-ntp true`
            note: the engine's clock and this machine's are 4 s apart -> let both machines keep time with NTP: `timedatectl set-ntp true`
            warning: the engine's clock and this machine's are 3599 s apart: certificates and tokens may seem expired, or not valid yet -> let both machines keep time with NTP: `timedatectl set-ntp true`
            warning: the engine's clock was never set -> let both machines keep time with NTP: `timedatectl set-ntp true`"#]],
    );
    told(
        machine::started_later([("a", now - 1)].into_iter(), now),
        expect![""],
    );
    told(
        machine::started_later([("a", now - 1), ("b", now + 9_000)].into_iter(), now),
        expect![
            "note: the engine's clock was set back: container b was started later than now -> nothing, if it is right now: what a container started with is asked of its process where clocks cannot tell"
        ],
    );
}

#[test]
fn the_socket_and_the_context() {
    let path = Path::new("/run/docker.sock");
    let socket = Socket {
        is_socket: true,
        is_usable: true,
        mode: 0o660,
        group: "docker".into(),
    };
    let rights = |found| files::rights(path, found);
    told(
        [
            rights(Ok(socket.clone())),
            rights(Ok(Socket {
                is_usable: false,
                ..socket.clone()
            })),
            rights(Ok(Socket {
                is_usable: false,
                group: "root".into(),
                ..socket.clone()
            })),
            rights(Ok(Socket {
                mode: 0o666,
                ..socket.clone()
            })),
            rights(Ok(Socket {
                is_socket: false,
                ..socket
            })),
            rights(Err(ErrorKind::NotFound)),
            rights(Err(ErrorKind::PermissionDenied)),
            files::agree("", None),
            files::agree("tcp://a:1", Some(("prod".into(), "ssh://b".into()))),
        ],
        expect![[r#"
            ok: this user may use /run/docker.sock (group docker, mode 0660)
            error: this user may not use /run/docker.sock, which belongs to group docker -> `sudo usermod -aG docker $USER` and a new login, or rootless Docker
            error: this user may not use /run/docker.sock, which belongs to group root -> `"group": "docker"` in the engine's daemon.json, `sudo usermod -aG docker $USER` and a new login; or rootless Docker
            warning: everybody on this machine may use /run/docker.sock, and so be root on the engine's machine -> `chmod o= /run/docker.sock`
            error: /run/docker.sock is no socket -> see what is in its place: a container that mounted it before the engine ran may have made a folder
            error: there is no socket /run/docker.sock -> start the engine (`systemctl start docker`), or name another one: `docker context use NAME`, `--context`, DOCKER_HOST
            error: this user may not see /run/docker.sock -> it belongs to another user's engine: name your own with `docker context use NAME` or DOCKER_HOST
            ok: flags, environment and docker contexts mean one engine
            note: DOCKER_HOST=tcp://a:1 counts, the current context `prod` (ssh://b) does not -> `unset DOCKER_HOST`, or `docker context use default`, so that shells without it do not speak to another engine"#]],
    );
}

#[test]
fn the_plugin() {
    let copy = |dir: &str, is_this, is_executable| Copy {
        path: Path::new(dir).join("docker-locket"),
        is_executable,
        is_this,
    };
    let (this, old) = (copy("/home", true, true), copy("/usr", false, true));
    let config = PathBuf::from("/root/.docker");
    let said = |copies: &[Copy], said: Option<&str>| plugin::installed(copies, said, &config);
    let now = Some(VERSION);
    told(
        [
            said(std::slice::from_ref(&this), now),
            said(&[], None),
            said(&[copy("/home", true, false)], None),
            said(std::slice::from_ref(&this), None),
            said(&[old.clone(), this.clone()], Some("0.0.1")),
            said(std::slice::from_ref(&old), Some("0.0.1")),
            said(&[this, old], now),
        ]
        .map(|it| Finding {
            message: it.message.replace(VERSION, "VERSION"),
            ..it
        }),
        expect![[r#"
            ok: `docker locket` is /home/docker-locket, version VERSION
            error: the docker CLI has no plugin `locket`, so `docker compose up` finds no gate -> `make install`, or put this program as docker-locket into /root/.docker/cli-plugins
            error: /home/docker-locket is not executable, so the docker CLI does not run it -> `chmod +x /home/docker-locket`
            error: `docker locket --version` does not work, though /home/docker-locket is there -> run `/home/docker-locket --version` to see why; `make install` puts it there anew
            warning: /usr/docker-locket is version 0.0.1 and hides this program (VERSION) in /home/docker-locket -> `rm /usr/docker-locket`
            warning: `docker locket` is version 0.0.1 (/usr/docker-locket), this program is VERSION -> install one of them: `make install`
            note: `docker locket` is /home/docker-locket, version VERSION; there are more copies: /usr/docker-locket -> remove those that are not needed: the first one counts, and an update of another has no effect"#]],
    );
}

#[test]
fn the_controller() {
    let contained = |status| Contained {
        is_ours: true,
        is_unhealthy: false,
        status,
    };
    let (runs, exited) = (contained(Status::Running), contained(Status::Exited));
    let restarting = contained(Status::Restarting);
    let ill = Contained {
        is_unhealthy: true,
        ..runs.clone()
    };
    let foreign = Contained {
        is_ours: false,
        ..runs.clone()
    };
    let answers = Some((VERSION, "socket /run/x"));
    let all = [
        (None, None),
        (answers, None),
        (answers, Some(&runs)),
        (answers, Some(&ill)),
        (Some(("0.0.1", "socket /run/x")), None),
        (None, Some(&runs)),
        (None, Some(&exited)),
        (None, Some(&restarting)),
        (answers, Some(&foreign)),
    ];
    told(
        all.map(|(answers, container)| {
            let it = controller::stands(answers, container);
            Finding {
                message: it.message.replace(VERSION, "VERSION"),
                ..it
            }
        }),
        expect![[r#"
            note: no controller runs: changes, and what a reboot has emptied, arrive by `docker locket apply` only -> `docker locket controller install`
            ok: a controller answers: socket /run/x, version VERSION
            ok: a controller answers: socket /run/x, version VERSION
            warning: the controller answers (socket /run/x), but its container is unhealthy -> `docker locket controller logs` says why
            warning: the controller (socket /run/x) is version 0.0.1, this program is VERSION -> `docker locket controller install` brings it to this version; a `controller run` is to be started anew
            error: container locket-controller runs, but its controller does not answer for this engine -> `docker locket controller logs` says why; `docker locket controller install` makes it anew
            warning: container locket-controller is exited: no change reaches a container by itself, and after a reboot nobody delivers -> `docker start locket-controller`; `docker locket controller logs` may say why it ended
            warning: container locket-controller is restarting: no change reaches a container by itself, and after a reboot nobody delivers -> it ends as soon as it is started: `docker locket controller logs` says why
            error: container locket-controller exists and is not locket's -> remove or rename it"#]],
    );
}

#[test]
fn the_store() {
    let volume = |labels: &[&str], options: &[(&str, &str)]| Volume {
        name: "x".into(),
        driver: "local".into(),
        labels: labels
            .iter()
            .map(|l| ((*l).to_owned(), String::new()))
            .collect(),
        options: options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        mountpoint: String::new(),
        created_at: None,
    };
    let key = volume(&[], &[]);
    told(
        [
            store::readable(Ok(0), None),
            store::readable(Ok(3), Some(&key)),
            store::readable(
                Err(("the key is missing".into(), Some("bring it back".into()))),
                None,
            ),
            store::readable(Err(("no answer".into(), None)), None),
        ],
        expect![[r#"
            ok: the store can be read; it is empty, its key beside it
            note: the store can be read: 3 in it, its key in the volume locket-key; whether there is a backup is not known -> `docker locket secret export --passphrase > secrets.age`, and keep it elsewhere
            error: the store cannot be read: the key is missing -> bring it back
            error: the store cannot be read: no answer -> see docs/guides/local-store.md; a backup comes back with `docker locket secret import`"#]],
    );
    told(store::placed(&key, None), expect![""]);
    told(
        store::placed(
            &volume(&[COMPOSE_PROJECT], &[("type", "tmpfs")]),
            Some(&volume(&[COMPOSE_PROJECT], &[])),
        ),
        expect![[r#"
            warning: the volume locket-state is in memory: the store is lost when the machine restarts -> `docker locket secret export`, make the volume anew without options, `docker locket secret import`
            warning: the volume locket-state belongs to a compose project, whose `down -v` would remove it -> take it out of the compose file, or mark it `external: true` there
            warning: the volume locket-key belongs to a compose project, so it does not count -> make it yourself: `docker volume create locket-key`"#]],
    );
}

#[test]
fn what_a_source_answers_the_controller() {
    let source = |name: &str, reason: &str| locket_crds::api::SourceStatus {
        source: name.into(),
        kind: "openbao".into(),
        ready: reason.is_empty(),
        last_contact: None,
        reason: reason.into(),
        message: format!("it is {reason}"),
    };
    // The client can reach what the controller cannot, and the other way round.
    told(
        sources::to_controller(&[
            source("well", ""),
            source("gone", "Unavailable"),
            source("stranger", "Unauthenticated"),
            source("other", "NotGranted"),
            source("empty", "NotFound"),
        ]),
        expect![[r#"
            error: source gone, asked by the controller: it is Unavailable -> see that its credential is where the controller runs, and that its `url` is reached from there; `docker locket refresh` asks again
            error: source stranger, asked by the controller: it is Unauthenticated -> see that its credential is where the controller runs, and that its `url` is reached from there; `docker locket refresh` asks again"#]],
    );
}

#[test]
fn the_sources() {
    let reference = |text: &str| text.parse::<SecretRef>().unwrap();
    let problem = |reason| Problem {
        reason,
        message: format!("it is {reason}"),
        help: None,
        retry_after: None,
    };
    let all = [
        ("a:x", None),
        ("a:y", Some(problem("NotFound"))),
        ("b:x", Some(problem("Denied"))),
        ("b:y", Some(problem("Unauthenticated"))),
        ("c:x", Some(problem("Throttled"))),
        ("d:x", Some(problem("Unavailable"))),
    ]
    .map(|(text, problem)| (reference(text), problem));
    told(
        sources::answered(all.iter().map(|(r, p)| (r, p.as_ref()))),
        expect![[r#"
            ok: source a answers (2 asked)
            error: source b: it is Unauthenticated -> renew the credential that `auth` of the source names
            warning: source c: it is Throttled -> wait, or ask the backend's operator for a higher limit; `refresh:` of the source asks less often
            error: source d: it is Unavailable -> see whether its `url` can be reached from this machine: `docker locket doctor` asks with your network"#]],
    );
    let text = "sources: { here: { type: file, root: /srv }, gone: { type: file, root: /gone }, \
                bao: { type: openbao, url: \"https://a\" }, other: { type: openbao, url: \"https://b\" } }\n\
                listen: { address: '127.0.0.1:1', hooks: { boa: HOOK, bao: HOOK, other: HOOK, local: HOOK } }\n";
    let text = text.replace("HOOK", "{ secret: { file: /f } }");
    let config = HostConfig::parse("locket.yaml", &text).unwrap();
    let (folders, probes) = sources::of_host(
        &config,
        |name| name.as_str() == "other",
        |root| root == "/srv",
    );
    told(
        folders,
        expect![[r#"
            note: source gone of the host configuration: the folder /gone is not on this machine -> make it, if a controller is to run here; correct `root` in locket.yaml otherwise
            note: hooks for boa are listened to, and no source is called so here -> correct its name under `listen.hooks` of locket.yaml, unless a project in another folder has such a source"#]],
    );
    let probes: Vec<String> = probes.iter().map(ToString::to_string).collect();
    assert_eq!(probes, ["bao:locket-doctor/no-such-secret#none"]);
}

#[test]
fn our_own_objects() {
    let serving = |name: &str, running, is_current| Serving {
        project: "shop".into(),
        name: name.into(),
        running,
        is_current,
        started_at: None,
    };
    let stranger = |kind, serves: Option<&str>| Stranger {
        kind,
        name: "x".into(),
        why: "its image is not locket's",
        serves: serves.map(Into::into),
    };
    told(
        leftovers::serve(&[], &[]),
        expect!["ok: no project with secrets has containers"],
    );
    told(
        leftovers::serve(&[serving("a-1", true, true)], &[]),
        expect!["ok: the anchor of 1 project serves"],
    );
    told(
        leftovers::serve(
            &[serving("a-1", false, true), serving("a-2", true, true)],
            &[],
        ),
        expect!["ok: the anchor of 1 project serves"],
    );
    told(
        leftovers::serve(
            &[serving("a-1", true, false)],
            &[
                stranger("container", Some("shop")),
                stranger("container", None),
            ],
        ),
        expect![[r#"
            note: a-1 runs another version of locket -> `docker compose up -d` in the project's folder, or `docker locket apply -p shop`, replaces it; nothing is restarted
            note: x is not this program's anchor: its image is not locket's -> `docker locket apply -p shop` makes one beside it, and removes it if it is of another version; `docker rm -f x` if it is nobody's"#]],
    );
    told(
        leftovers::serve(&[serving("a-1", false, true)], &[]),
        expect![
            "warning: a-1 does not run, so nothing keeps the secrets of project shop in memory -> `docker start a-1`, then `docker locket apply -p shop`"
        ],
    );
    let survey = Survey {
        leftovers: vec![Leftover {
            object: Object::Anchor("gone".into()),
            name: "locket-anchor-gone-1".into(),
            why: "the anchor of project gone, which has no containers".into(),
        }],
        strangers: vec![stranger("image", None), stranger("container", Some("shop"))],
        ..Survey::default()
    };
    told(
        leftovers::left(&survey),
        expect![[r#"
        note: container locket-anchor-gone-1: the anchor of project gone, which has no containers -> `docker locket doctor --fix` removes it
        note: image x looks like locket's, and is left alone: its image is not locket's -> `docker rmi x`, if you know it"#]],
    );
    told(
        leftovers::left(&Survey::default()),
        expect!["ok: nothing is left over"],
    );
    told(
        leftovers::kept(&[Volumes {
            project: "shop".into(),
            project_volume: "shop_locket".into(),
            services: [("api".into(), "shop_locket-api".into())].into(),
        }]),
        expect![
            "note: project shop has no containers; shop_locket remembers what was applied, paused and done -> nothing, if it comes back; else `docker volume rm shop_locket shop_locket-api`"
        ],
    );
    told(
        leftovers::kept(&[]),
        expect!["ok: every project that is remembered has containers"],
    );
}
