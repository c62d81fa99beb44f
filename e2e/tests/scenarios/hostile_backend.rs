//! A real OpenBao behind a machine that drops, slows, truncates, refuses and never ends.
//! No twin on the fake engine: it is about what goes over a wire; how each kind of backend reads an answer is its contract's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use locket_e2e::{Bao, Controller, Fault, FaultProxy, Project, eventually, holds};

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s }
  sources:
    bao: { type: openbao, url: "@URL@", auth: { token: { file: @TOKEN@ } }, refresh: 1s, timeout: 2s }
  secrets: { key: bao:secret/shop/app#key }
services:
  locket: { provider: { type: locket, options: { timeout: 5s } } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { secrets: [key], on_change: none }
"#;

/// The shortest pause between two questions: the jitter takes a fifth of `refresh` at most.
const PAUSE: Duration = Duration::from_millis(800);

struct Bed {
    bao: Bao,
    proxy: FaultProxy,
    project: Project,
    value: String,
}

impl Bed {
    fn new(scenario: &str) -> Self {
        let bao = Bao::start();
        let proxy = FaultProxy::before(&bao.url());
        let project = project(scenario, &bao, &proxy);
        let mut it = Self {
            bao,
            proxy,
            project,
            value: String::new(),
        };
        it.rotates();
        it
    }

    fn rotates(&mut self) {
        self.value = self.project.canary("value");
        self.bao.put("shop/app", &[("key", &self.value)]);
    }

    fn delivered(&self) -> Option<Vec<u8>> {
        self.project.container("app").peek("/run/secrets/key")
    }

    fn arrives(&self, after: &Fault) {
        eventually(40, &format!("after {after:?} the value arrives"), || {
            (self.delivered()? == self.value.as_bytes()).then_some(())
        });
    }

    /// Nothing was asked more often since then than the pauses between two questions allow. In one question a request may be made
    /// for version and value, and each of them twice, where a token may be void.
    fn asks_no_more_than(&self, fault: &Fault, before: usize, since: Instant) {
        // Two more: the one that was under way, and the one that is.
        let rounds = since.elapsed().as_secs_f64() / PAUSE.as_secs_f64() + 2.0;
        let most = (4.0 * rounds) as usize;
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for it in self.proxy.asked().split_off(before) {
            let line = it.head.lines().next().unwrap_or_default().to_owned();
            *times.entry(line).or_default() += 1;
        }
        assert!(
            times.values().all(|asked| *asked <= most),
            "{fault:?}: each at most {most} times: {times:#?}"
        );
    }

    /// What is said of it, once it is known for that reason.
    fn refused(&self, fault: &Fault, wanted: &str) -> String {
        let what = format!("{fault:?} is {wanted}");
        eventually(30, &what, || {
            let (status, reason, message) = self.project.condition(None, "Ready")?;
            (!status && reason == wanted).then_some(message)
        })
    }
}

fn project(scenario: &str, bao: &Bao, proxy: &FaultProxy) -> Project {
    let token = bao.token_file("shop");
    let text = COMPOSE
        .replace("@URL@", &proxy.url())
        .replace("@TOKEN@", token.to_str().unwrap());
    let it = Project::new(scenario, &text);
    it.grant();
    it
}

/// What a program has taken of the machine's memory at most, in MiB.
fn peak(controller: &Controller) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", controller.pid())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
    kib.unwrap() / 1024
}

#[test]
fn whatever_a_backend_does_the_last_good_value_stays_and_the_next_one_arrives() {
    let mut bed = Bed::new("hostile-backend");
    let controller = bed.project.controller(&[]);
    bed.project.up(&[]);
    bed.project.ready();
    let app = bed.project.container("app");
    let trap = FaultProxy::trap();
    let commands = "\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{0}".to_owned();
    let elsewhere = format!("{}/v1/secret/data/shop/app", trap.url());
    let bodies = ["{\"data\":", "[]", "null", "{}", "<html>", ""];
    let mut faults = vec![
        (Fault::Drop, "Unavailable"),
        (Fault::Silence, "Unavailable"),
        (Fault::Drip(Duration::from_millis(100)), "Unavailable"),
        (Fault::Truncate, "Unavailable"),
        (Fault::Endless, "Unavailable"),
        (Fault::Redirect(elsewhere), "Unavailable"),
        (Fault::Say(500, commands.clone()), "Unavailable"),
        (Fault::Say(403, commands.clone()), "Unauthenticated"),
        (Fault::Say(404, commands), "NotFound"),
        (Fault::TooMany(2), "Throttled"),
    ];
    faults.extend(bodies.map(|body| (Fault::Say(200, body.to_owned()), "Unavailable")));
    for (fault, wanted) in faults {
        let before = bed.value.clone();
        let (asked, since) = (bed.proxy.asked().len(), Instant::now());
        bed.proxy.set(fault.clone());
        bed.rotates();
        let message = bed.refused(&fault, wanted);
        let tame = |text: &str| {
            !text
                .chars()
                .any(|c| c == '\u{202e}' || (c.is_control() && c != '\n'))
        };
        assert!(tame(&message), "{fault:?}: {message:?}");
        let begin = Instant::now();
        let status = bed.project.locket(&["status"]).any().all();
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "{fault:?}: status takes {:?}",
            begin.elapsed()
        );
        assert!(tame(&status), "{fault:?}: {status:?}");
        assert_eq!(bed.delivered(), Some(before.into_bytes()), "{fault:?}");
        // Time enough for a loop without pauses to be told from one with them.
        while since.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(50));
        }
        bed.asks_no_more_than(&fault, asked, since);
        bed.proxy.set(Fault::None);
        bed.arrives(&fault);
    }
    let late = Fault::Late(Duration::from_millis(700));
    bed.proxy.set(late.clone());
    bed.rotates();
    bed.arrives(&late);
    bed.proxy.set(Fault::None);
    bed.project.ready();
    assert_eq!(bed.project.container("app"), app, "nobody was restarted");
    assert!(trap.asked().is_empty(), "{:#?}", trap.asked());
    assert!(
        bed.proxy.sent() < 200 << 20,
        "{} bytes were taken",
        bed.proxy.sent()
    );
    assert!(peak(&controller) < 96, "{} MiB", peak(&controller));
    assert!(!controller.log().contains('\u{7}'));
    controller.stop();
    bed.project.finish();
}

#[test]
fn what_a_backend_asks_for_is_obeyed_by_all_projects_together() {
    let mut bed = Bed::new("throttled");
    let other = project("throttled-too", &bed.bao, &bed.proxy);
    let controller = bed.project.controller(&[]);
    bed.project.up(&[]);
    other.locket(&["generate", "--yes"]).ok();
    let socket = bed.project.socket();
    let up = other.compose(&["up", "-d"]).env("LOCKET_SOCKET", &socket);
    up.ok();
    bed.project.ready();

    bed.rotates();
    bed.proxy.set(Fault::TooMany(6));
    bed.refused(&Fault::TooMany(6), "Throttled");
    let count = bed.proxy.asked().len();
    // Users who ask again and again do not get past it.
    holds(3, "nobody asks", || {
        bed.project.locket(&["refresh"]).any();
        bed.proxy.asked().len() == count
    });
    bed.proxy.set(Fault::None);
    bed.arrives(&Fault::TooMany(6));
    let asked = bed.proxy.asked();
    let pause = asked[count].at - asked[count - 1].at;
    assert!(pause >= Duration::from_millis(5_900), "{pause:?}");
    controller.stop();
    other.finish();
    bed.project.finish();
}

#[test]
fn a_first_up_against_a_backend_that_hangs_ends_with_the_gate_s_time() {
    let bed = Bed::new("hangs");
    let p = &bed.project;
    p.locket(&["generate", "--yes"]).ok();
    for with_controller in [false, true] {
        let controller = with_controller.then(|| p.controller(&[]));
        bed.proxy.set(Fault::Silence);
        let begin = Instant::now();
        let said = p.compose(&["up", "-d"]).fails().all();
        let took = begin.elapsed();
        assert!(
            said.contains("bao") && said.contains("compose.yaml:"),
            "{said}"
        );
        assert!(took < Duration::from_secs(9), "it takes {took:?}");
        assert!(p.containers("app").is_empty(), "the app was not started");
        bed.proxy.set(Fault::None);
        p.compose(&["up", "-d"]).ok();
        assert_eq!(bed.delivered().as_deref(), Some(bed.value.as_bytes()));
        p.compose(&["down", "-v"]).ok();
        if let Some(it) = controller {
            it.stop();
        }
    }
    bed.project.finish();
}
