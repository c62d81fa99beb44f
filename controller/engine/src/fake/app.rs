//! What runs in a fake container.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::Shared;
use super::path_in;
use crate::containers::{Health, Healthcheck};

/// A program: takes its process, and ends with an exit code. It is dropped when it is killed.
pub type Program = Arc<dyn Fn(Process) -> BoxFuture<'static, i64> + Send + Sync>;

/// The process of one incarnation of a container.
pub struct Process {
    /// The container's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Entrypoint and command.
    pub argv: Vec<String>,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Its user.
    pub user: String,
    /// Its healthcheck, if it has one that is not switched off.
    pub healthcheck: Option<Healthcheck>,
    /// Mount points and the directories of this machine that stand for them.
    pub mounts: BTreeMap<String, PathBuf>,
    /// Signals, as `SIGTERM`. SIGKILL is not among them: it ends the process.
    pub signals: UnboundedReceiver<String>,
    /// 1 at the container's first start.
    pub start: u32,
    pub(crate) incarnation: u64,
    pub(crate) shared: Weak<Shared>,
}

impl Process {
    /// The path on this machine of a path under one of the mounts.
    pub fn path(&self, path: &str) -> Option<PathBuf> {
        path_in(&self.mounts, path)
    }

    /// Reads a file under one of the mounts.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(path)?).ok()
    }

    /// What the healthcheck would say from now on. Without a healthcheck nothing happens.
    pub fn set_health(&self, health: Health) {
        if let Some(shared) = self.shared.upgrade() {
            shared
                .world()
                .set_health(&self.id, self.incarnation, health);
        }
    }

    /// Changes what [`Fake::view`](super::Fake::view) shows.
    pub fn show(&self, change: impl FnOnce(&mut AppView)) {
        if let Some(shared) = self.shared.upgrade()
            && let Some(container) = shared.world().containers.get_mut(&self.id)
        {
            change(&mut container.view);
        }
    }
}

/// What an [`App`] has seen and done, over all starts of its container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppView {
    /// What it read last; a file that was not there is left out.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The variables that it was given by what it waited for ([`App::boot`]) at its latest start.
    pub env: BTreeMap<String, Vec<u8>>,
    /// It has read its files since its latest start.
    pub ready: bool,
    /// How often its container was started.
    pub starts: u32,
    /// Signals that it got, in order.
    pub signals: Vec<String>,
}

/// What an [`App`] makes of what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Fine,
    /// It runs, and its healthcheck fails.
    Unhealthy,
    /// It ends with this code.
    Exit(i64),
}

/// What a process is started through: gives the variables that it adds, or nothing yet.
pub type Boot = Arc<dyn Fn(&Process) -> Option<BTreeMap<String, Vec<u8>>> + Send + Sync>;

/// What runs the program of a healthcheck; true is healthy.
pub type Check = Arc<dyn Fn(&Process, &Healthcheck) -> bool + Send + Sync>;

/// Makes a verdict of what an application has read.
pub type Judge = Arc<dyn Fn(&AppView) -> Verdict + Send + Sync>;

/// A small scripted application. `Default` reads nothing, is healthy at once, runs until it is
/// told to stop and then ends within 10 ms.
#[derive(Clone)]
pub struct App {
    /// Files that it reads at its start, by their path in the container.
    pub reads: Vec<String>,
    /// It does not start before this file is there; meanwhile it runs.
    pub waits_for: Option<String>,
    /// It does not start before this gives its variables; meanwhile it runs.
    pub boot: Option<Boot>,
    /// So long it waits for its start, then it ends with this code.
    pub boot_within: (Duration, i64),
    /// Its healthcheck, if its container has one, says so after this time.
    pub healthy_after: Duration,
    /// Runs its healthcheck, if its container has one, as often as that says. It then decides, and not the verdict.
    pub check: Option<Check>,
    /// It ends by itself, so long after its start, with this code.
    pub exits_after: Option<(Duration, i64)>,
    /// What it makes of what it has read.
    pub judge: Option<Judge>,
    /// The signal at which it reads its files again.
    pub reload_on: Option<String>,
    /// Time that it takes to end once it is told to; more than the grace period means SIGKILL.
    pub stop_takes: Duration,
}

impl Default for App {
    fn default() -> Self {
        App {
            reads: Vec::new(),
            waits_for: None,
            boot: None,
            boot_within: (NEVER, 0),
            check: None,
            healthy_after: Duration::ZERO,
            exits_after: None,
            judge: None,
            reload_on: None,
            stop_takes: Duration::from_millis(10),
        }
    }
}

/// When a waiting app looks for its file: after this time, then after twice as long, and so on up to the last.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

/// Far away.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl App {
    /// The program that behaves so.
    pub fn program(self) -> Program {
        Arc::new(move |process| self.clone().run(process).boxed())
    }

    async fn run(self, mut process: Process) -> i64 {
        let gives_up_at = Instant::now() + self.boot_within.0;
        let mut pause = LOOKS.0;
        let env = loop {
            if let Some(env) = self.starts(&process) {
                break env;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => pause = LOOKS.1.min(pause * 2),
                () = tokio::time::sleep_until(gives_up_at) => return self.boot_within.1,
                Some(signal) = process.signals.recv() => {
                    if let Some(code) = self.take(&process, &signal).await {
                        return code;
                    }
                }
            }
        };
        process.show(|view| view.env = env);
        let started = Instant::now();
        let ends_at = started + self.exits_after.map_or(NEVER, |(after, _)| after);
        let mut verdict = self.read(&process);
        let mut judged_at = Some(started + self.healthy_after);
        let mut checks = Checks::new(&self, &process);
        loop {
            if let Verdict::Exit(code) = verdict {
                return code;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(checks.next.unwrap_or(started + NEVER)) => checks.run(&process),
                () = tokio::time::sleep_until(judged_at.unwrap_or(started + NEVER)), if checks.next.is_none() => {
                    judged_at = None;
                    process.set_health(match verdict {
                        Verdict::Fine => Health::Healthy,
                        Verdict::Unhealthy | Verdict::Exit(_) => Health::Unhealthy,
                    });
                }
                () = tokio::time::sleep_until(ends_at) => {
                    return self.exits_after.map_or(0, |(_, code)| code);
                }
                Some(signal) = process.signals.recv() => {
                    if self.reload_on.as_deref() == Some(signal.as_str()) {
                        process.show(|view| view.signals.push(signal));
                        verdict = self.read(&process);
                        judged_at = Some(Instant::now());
                    } else if let Some(code) = self.take(&process, &signal).await {
                        return code;
                    }
                }
            }
        }
    }

    /// The variables to start with, once there is everything that it waits for.
    fn starts(&self, process: &Process) -> Option<BTreeMap<String, Vec<u8>>> {
        let is_there = |path: &String| process.path(path).is_some_and(|path| path.exists());
        if !self.waits_for.as_ref().is_none_or(is_there) {
            return None;
        }
        match &self.boot {
            Some(boot) => boot(process),
            None => Some(BTreeMap::new()),
        }
    }

    fn read(&self, process: &Process) -> Verdict {
        let read = self
            .reads
            .iter()
            .filter_map(|path| Some((path.clone(), process.read(path)?)));
        let files = read.collect();
        let mut judged = AppView::default();
        process.show(|view| {
            view.files = files;
            view.ready = true;
            judged = view.clone();
        });
        self.judge
            .as_ref()
            .map_or(Verdict::Fine, |judge| judge(&judged))
    }

    /// Takes a signal; the exit code if it is the end.
    async fn take(&self, process: &Process, signal: &str) -> Option<i64> {
        process.show(|view| view.signals.push(signal.to_owned()));
        let number = match signal {
            "SIGHUP" => 1,
            "SIGINT" => 2,
            "SIGQUIT" => 3,
            "SIGTERM" => 15,
            _ => return None,
        };
        tokio::time::sleep(self.stop_takes).await;
        Some(128 + number)
    }
}

/// The healthcheck of one incarnation.
struct Checks {
    check: Option<(Check, Healthcheck)>,
    counts_from: Instant,
    failures: u64,
    next: Option<Instant>,
}

impl Checks {
    /// The engine counts from the start of the container, which is a wait ago: nobody has looked at that closely yet.
    fn new(app: &App, process: &Process) -> Self {
        let check = app.check.clone().zip(process.healthcheck.clone());
        let now = Instant::now();
        let mut it = Self {
            counts_from: now + check.as_ref().map_or(NEVER, |(_, c)| c.start_period),
            check,
            failures: 0,
            next: None,
        };
        it.schedule();
        it
    }

    fn schedule(&mut self) {
        let every = self.check.as_ref().map(|(_, c)| match c.interval {
            Duration::ZERO => Duration::from_secs(30),
            interval => interval,
        });
        self.next = every.map(|every| Instant::now() + every);
    }

    fn run(&mut self, process: &Process) {
        let Some((check, healthcheck)) = &self.check else {
            return;
        };
        let most = match healthcheck.retries {
            0 => 3,
            retries => retries,
        };
        match check(process, healthcheck) {
            true => {
                self.failures = 0;
                process.set_health(Health::Healthy);
            }
            false if Instant::now() < self.counts_from => {}
            false => {
                self.failures += 1;
                if self.failures >= most {
                    process.set_health(Health::Unhealthy);
                }
            }
        }
        self.schedule();
    }
}
