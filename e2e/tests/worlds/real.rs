//! The real engine, with real compose and the program under test.

use std::collections::BTreeMap;
use std::time::Duration;

use locket_e2e::{Container, Controller, Project, eventually, holds};

use crate::worlds::{Compose, Found, Hand, Stack, World, changes};

pub struct RealWorld {
    // Before the project: whoever looks after it goes first.
    controller: Option<Controller>,
    project: Project,
    is_generated: bool,
}

impl RealWorld {
    fn only(&self, service: &str) -> Option<Container> {
        let mut all = self.project.containers(service);
        assert!(all.len() < 2, "containers of {service}: {all:?}");
        all.pop()
    }

    /// The names of all containers, by id.
    fn names(&self) -> BTreeMap<String, String> {
        let list = ["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"];
        let text = self.project.docker(&list).ok().text();
        let pair = |line: &str| {
            line.split_once(' ')
                .map(|(id, name)| (id.into(), name.into()))
        };
        text.lines().filter_map(pair).collect()
    }

    fn docker_anchors(&self, verb: &[&str]) {
        for anchor in self.project.anchors() {
            // One that a controller replaces meanwhile may be gone already.
            let _ = self.project.docker(&[verb, &[&anchor.id]].concat()).any();
        }
    }
}

impl World for RealWorld {
    fn new(scenario: &str, stack: &Stack) -> Self {
        Self {
            controller: None,
            project: Project::new(scenario, &stack.compose()),
            is_generated: false,
        }
    }

    fn value(&mut self, name: &str) -> String {
        let canary = self.project.canary(name);
        let value = format!("{name}-{canary}");
        self.project.guard(name, value.as_bytes());
        value
    }

    fn store(&mut self, name: &str, value: &str) {
        self.project.store(name, value);
    }

    fn try_up(&mut self) -> bool {
        if !std::mem::replace(&mut self.is_generated, true) {
            self.project.locket(&["generate", "--yes"]).ok();
        }
        self.project.compose(&["up", "-d"]).any().code == 0
    }

    fn compose(&mut self, what: Compose) {
        let words: &[&str] = match what {
            Compose::Stop => &["stop"],
            Compose::Start => &["start"],
            Compose::Restart => &["restart"],
            Compose::Down => &["down", "-v"],
        };
        self.project.compose(words).ok();
    }

    fn by_hand(&self, what: Hand, service: &str) {
        let id = self.container(service).id;
        match what {
            Hand::Stop => self.project.docker(&["stop", "-t", "0", &id]).ok(),
            Hand::Start => self.project.docker(&["start", &id]).ok(),
            Hand::Restart => self.project.docker(&["restart", "-t", "0", &id]).ok(),
            Hand::Remove => self
                .project
                .compose(&["rm", "--stop", "--force", service])
                .ok(),
        };
    }

    fn stop_anchors(&self) {
        self.docker_anchors(&["stop", "-t", "0"]);
    }

    fn remove_anchors(&self) {
        self.docker_anchors(&["rm", "-f"]);
    }

    fn restart_engine(&self) {
        // `e2e/run` leaves these scenarios out, and says so, where the engine is somebody else's.
        let setup = std::env::var("LOCKET_TEST_RESTART").expect(
            "LOCKET_TEST_RESTART names what restarts the engine that `make setup` has started",
        );
        self.project.program(&setup, &["restart"]).ok();
    }

    fn start_controller(&mut self) {
        self.controller = Some(self.project.controller(&[]));
    }

    fn kill_controller(&mut self) {
        self.controller.take().unwrap().kill();
    }

    fn apply(&self) {
        self.project.locket(&["apply"]).ok();
    }

    fn refresh(&self) {
        self.project.locket(&["refresh"]).ok();
    }

    fn find(&self, service: &str) -> Option<Found> {
        let it = self.only(service)?;
        Some(Found {
            running: it.running(),
            health: it.health().to_owned(),
            id: it.id,
            started_at: it.started_at,
        })
    }

    fn starts(&self, service: &str) -> usize {
        let logs = self.only(service).map(|it| it.logs()).unwrap_or_default();
        logs.lines().filter(|line| *line == "started").count()
    }

    fn env(&self, service: &str, name: &str) -> Option<String> {
        let value = self.only(service).filter(Container::running)?.env(name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn exec(&self, service: &str, argv: &[&str]) -> (i64, String) {
        let it = self.only(service).unwrap();
        let out = it.exec(argv).says_values().any();
        (
            out.code.into(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
        )
    }

    fn spoil(&self, service: &str, file: &str, text: &str) {
        let script = format!("printf %s {text} >\"$(readlink -f /v/{file})\"");
        self.project.in_volume(service, &script).ok();
    }

    fn anchors(&self) -> Vec<String> {
        let all = self.project.anchors();
        let running = all.iter().filter(|it| it.running());
        running.map(|it| it.name().to_owned()).collect()
    }

    fn left(&self) -> Vec<String> {
        self.project.left()
    }

    fn condition(&self, service: Option<&str>, kind: &str) -> Option<(bool, String, String)> {
        self.project.condition(service, kind)
    }

    fn ready(&self) {
        self.project.ready();
    }

    fn eventually<T>(
        &self,
        seconds: u64,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        eventually(seconds, what, || look(self))
    }

    fn holds(&self, seconds: u64, what: &str, mut look: impl FnMut(&Self) -> bool) {
        holds(seconds, what, || look(self));
    }

    fn pass_time(&self, millis: u64) {
        std::thread::sleep(Duration::from_millis(millis));
    }

    fn changes(&mut self, run: impl FnOnce(&mut Self)) -> Vec<String> {
        assert!(self.controller.is_none());
        let mut names = self.names();
        self.project.record();
        run(self);
        let requests = self.project.recorded();
        names.extend(self.names());
        changes(&requests, &names, self.project.name())
    }

    fn finish(self) {
        let Self {
            controller,
            project,
            ..
        } = self;
        if let Some(controller) = controller {
            controller.stop();
        }
        project.finish();
    }
}
