//! A small world that plans are carried out in: a clock, volumes with logs, containers, and the people who touch them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use locket_core::memory::Memory;
use locket_core::*;
use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{ChangeAction, ComposeService, Dependency, OnChange};

/// How far the two clocks of the machine are apart at first.
const OFFSET: u64 = 1_000_000_000_000;

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn name(s: &str) -> ServiceName {
    s.into()
}

/// The content of a value is one byte.
pub fn print(value: u8) -> Fingerprint {
    Fingerprint([value; 32])
}

pub struct World {
    pub now: Time,
    pub desired: Desired,
    pub observed: Observed,
    pub memory: Memory,
    pub policy: Policy,
    /// What every service's secret is; a service sees the highest of the secrets that it uses.
    pub values: BTreeMap<SecretRef, u8>,
    /// Values with which services do not become healthy.
    pub bad: BTreeSet<(ServiceName, u8)>,
    /// Containers that the engine does not start.
    pub refused: BTreeSet<String>,
    /// Containers that the engine does not stop.
    pub unstoppable: BTreeSet<String>,
    /// Hooks fail.
    pub hooks_fail: bool,
    /// What happened to containers: `stop api-1`, `start api-1`, …
    pub log: Vec<String>,
    seq: u64,
    /// How far the clocks are apart now.
    pub offset: u64,
    /// How much longer than usual a stop takes.
    pub stop_takes: Duration,
    /// How far the clock is set back while a stop of ours is under way.
    pub steps_back_while_stopping: Duration,
}

impl World {
    pub fn new() -> Self {
        let observed = Observed::default();
        let desired = Desired {
            project: "shop".into(),
            services: BTreeMap::new(),
            model: BTreeMap::new(),
        };
        Self {
            now: Time(1_000_000 * 1_000_000_000),
            desired,
            observed,
            memory: Memory::default(),
            policy: Policy::default(),
            values: BTreeMap::new(),
            bad: BTreeSet::new(),
            refused: BTreeSet::new(),
            unstoppable: BTreeSet::new(),
            hooks_fail: false,
            log: Vec::new(),
            seq: 0,
            offset: OFFSET,
            stop_takes: Duration::ZERO,
            steps_back_while_stopping: Duration::ZERO,
        }
    }

    /// Adds a service that uses secrets of source `local`, with one running container.
    pub fn service(&mut self, service: &str, action: ChangeAction, secrets: &[&str]) -> &mut Self {
        let references: BTreeSet<SecretRef> = secrets
            .iter()
            .map(|s| format!("local:{s}").parse().unwrap())
            .collect();
        for r in &references {
            self.values.entry(r.clone()).or_insert(1);
        }
        let on_change = OnChange {
            action,
            timeout: None,
            stable: None,
            settle: None,
            restart_every: None,
        };
        let wanted = DesiredService {
            path: "/run/secrets".into(),
            items: Vec::new(),
            references,
            on_change,
            digest: 7,
        };
        self.desired.services.insert(name(service), wanted);
        self.desired
            .model
            .insert(name(service), ComposeService::default());
        let seen = ObservedService {
            mounted: true,
            intact: true,
            ..ObservedService::default()
        };
        self.observed.services.insert(name(service), seen);
        self.replica(service, 1)
    }

    /// Adds a service without secrets.
    pub fn plain(&mut self, service: &str) -> &mut Self {
        self.desired
            .model
            .insert(name(service), ComposeService::default());
        self.replica(service, 1);
        self.container(&format!("{service}-1")).has_volume = false;
        self
    }

    pub fn replica(&mut self, service: &str, number: u32) -> &mut Self {
        let id = format!("{service}-{number}");
        self.observed.containers.push(ObservedContainer {
            id: ContainerId(id.clone()),
            name: id,
            service: name(service),
            number,
            oneoff: false,
            has_volume: true,
            has_shim: true,
            state: ContainerState::Running,
            started_at: Some(self.now),
            finished_at: None,
            health: Health::None,
            restart_count: 0,
            exit_code: 0,
            probed: None,
            operation: None,
            probing: false,
            touched: None,
            checked_within: None,
            kept_up: false,
            stop_grace: None,
        });
        self
    }

    pub fn depends(&mut self, service: &str, on: &str, restart: bool) -> &mut Self {
        let dependency = Dependency {
            condition: "service_started".into(),
            restart,
            required: true,
        };
        self.model(service).depends_on.insert(name(on), dependency);
        self
    }

    pub fn healthcheck(&mut self, service: &str) -> &mut Self {
        for it in self
            .observed
            .containers
            .iter_mut()
            .filter(|it| it.service == name(service))
        {
            it.health = Health::Healthy;
            it.checked_within = Some(secs(1));
        }
        self
    }

    pub fn model(&mut self, service: &str) -> &mut ComposeService {
        self.desired.model.get_mut(&name(service)).unwrap()
    }

    pub fn container(&mut self, id: &str) -> &mut ObservedContainer {
        self.observed
            .containers
            .iter_mut()
            .find(|it| it.id.0 == id)
            .unwrap()
    }

    pub fn seen(&mut self, service: &str) -> &mut ObservedService {
        self.observed.services.get_mut(&name(service)).unwrap()
    }

    pub fn current(&self, service: &str) -> u8 {
        self.observed.services[&name(service)]
            .current()
            .unwrap()
            .fingerprint
            .0[0]
    }

    pub fn set(&mut self, secret: &str, value: u8) -> &mut Self {
        self.values
            .insert(format!("local:{secret}").parse().unwrap(), value);
        self
    }

    pub fn pass_time(&mut self, span: Duration) -> &mut Self {
        self.now = self.now.after(span);
        self
    }

    /// Delivers everything and lets it settle: the state that most tests begin with.
    pub fn settled(&mut self) -> &mut Self {
        self.settle();
        self.pass_time(secs(600)).settle();
        self.log.clear();
        self
    }

    fn versions(&self) -> BTreeMap<SecretRef, VersionSeen> {
        self.values
            .iter()
            .map(|(r, v)| (r.clone(), VersionSeen(v.to_string())))
            .collect()
    }

    /// One pass: needs, render, plan. Nothing is carried out.
    pub fn plan(&mut self) -> Planned {
        let versions = self.versions();
        let needs = needs(
            &self.desired,
            &self.memory,
            &self.observed.services,
            &versions,
        );
        for (service, wanted) in &self.desired.services {
            let rendered = if needs.services.contains(service) {
                let value = wanted
                    .references
                    .iter()
                    .map(|r| self.values[r])
                    .max()
                    .unwrap_or(0);
                let used = |r: &SecretRef| (r.clone(), versions[r].clone());
                Rendered::Ready {
                    fingerprint: print(value),
                    handle: u64::from(value),
                    metadata_only: false,
                    changed: Vec::new(),
                    versions: wanted.references.iter().map(used).collect(),
                }
            } else {
                Rendered::Unchanged
            };
            self.observed.services.get_mut(service).unwrap().rendered = rendered;
        }
        self.decide()
    }

    /// The plan for what is observed as it stands.
    pub fn decide(&mut self) -> Planned {
        self.observed.boot = self.now.0 - self.offset;
        let planned = plan(
            &self.desired,
            &self.observed,
            &self.memory,
            &self.policy,
            self.now,
        );
        let problems = lint(&self.desired, &self.observed, &self.memory, &planned);
        assert!(problems.is_empty(), "{problems:#?}\n{planned}");
        let again = plan(
            &self.desired,
            &self.observed,
            &self.memory,
            &self.policy,
            self.now,
        );
        assert_eq!(planned, again, "the planner is a function");
        planned
    }

    /// Carries a plan out; results of the pass before are used up.
    pub fn apply(&mut self, planned: Planned) {
        self.observed.results.clear();
        self.apply_first(planned, usize::MAX);
    }

    /// Carries out the first steps of a plan, as a crash would.
    pub fn apply_first(&mut self, planned: Planned, steps: usize) {
        for step in planned.now.into_iter().take(steps) {
            match step.action {
                Action::Remember => {
                    let file = serde_json::to_vec(&planned.memory).unwrap();
                    self.memory = serde_json::from_slice(&file).unwrap();
                    assert_eq!(self.memory, planned.memory, "memory survives its file");
                }
                Action::Publish {
                    service,
                    expect,
                    fingerprint,
                    ..
                }
                | Action::Restore {
                    service,
                    expect,
                    fingerprint,
                    ..
                } => {
                    self.publish(service.as_str(), expect, fingerprint);
                }
                Action::Probe { container } => {
                    let seq = self.really_started_with(&container).unwrap_or(0);
                    self.container(&container.0).probed = Some(Probed::Seq(seq));
                }
                Action::Stop { container, .. } if self.unstoppable.contains(&container.0) => {
                    self.refuse(container, Operation::Stopping);
                }
                Action::Start { container } if self.refused.contains(&container.0) => {
                    self.refuse(container, Operation::Starting);
                }
                Action::Stop { container, .. } => self.stop_by_us(&container.0),
                Action::Start { container } => self.start(&container.0),
                Action::Signal {
                    container,
                    signal,
                    content,
                } => {
                    self.log.push(format!("signal {signal} {}", container.0));
                    self.observed
                        .results
                        .push(StepResult::Signalled { container, content });
                }
                Action::Exec {
                    container, content, ..
                } => {
                    self.log.push(format!("hook {}", container.0));
                    let exit_code = Some(i64::from(self.hooks_fail));
                    self.observed.results.push(StepResult::Hook {
                        container,
                        content,
                        exit_code,
                        message: String::new(),
                    });
                }
            }
        }
    }

    fn refuse(&mut self, container: ContainerId, operation: Operation) {
        self.log
            .push(format!("{operation:?} {} refused", container.0));
        self.observed.results.push(StepResult::Refused {
            container,
            operation,
            message: "port is already allocated".into(),
        });
    }

    pub fn publish(&mut self, service: &str, expect: u64, fingerprint: Fingerprint) {
        self.pass_time(ms(1));
        let (at, boot) = (self.now, self.now.0 - self.offset);
        self.seq += 1;
        let seq = self.seq;
        let seen = self.seen(service);
        assert_eq!(seen.current().map_or(0, |p| p.seq), expect);
        seen.log.push(Published {
            seq,
            fingerprint,
            at,
            boot,
        });
        seen.intact = true;
    }

    fn really_started_with(&self, container: &ContainerId) -> Option<u64> {
        let it = self
            .observed
            .containers
            .iter()
            .find(|it| it.id == *container)?;
        let log = &self.observed.services[&it.service].log;
        let started = it.started_at?.after(ms(100));
        log.iter()
            .rev()
            .find(|p| p.at <= started)
            .or(log.first())
            .map(|p| p.seq)
    }

    fn stop_by_us(&mut self, id: &str) {
        let outcome = if self.container(id).state == ContainerState::Exited {
            StopOutcome::AlreadyStopped
        } else {
            StopOutcome::Stopped
        };
        if outcome == StopOutcome::Stopped {
            self.step_back(self.steps_back_while_stopping);
            self.pass_time(self.stop_takes);
            self.stop(id);
        }
        self.observed.results.push(StepResult::Stopped {
            container: ContainerId(id.into()),
            outcome,
        });
    }

    /// Sets the engine's clock back; the time since boot goes on.
    pub fn step_back(&mut self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap();
        self.now.0 -= nanos;
        self.offset -= nanos;
    }

    pub fn stop(&mut self, id: &str) {
        self.log.push(format!("stop {id}"));
        self.pass_time(ms(200));
        let now = self.now;
        let it = self.container(id);
        it.state = ContainerState::Exited;
        it.finished_at = Some(now);
    }

    /// The machine goes down and comes up: what was in memory is gone, and containers wait for their first generation.
    pub fn reboot(&mut self) {
        self.pass_time(secs(60));
        self.offset = self.now.0;
        let now = self.now;
        for seen in self.observed.services.values_mut() {
            seen.log.clear();
        }
        for it in &mut self.observed.containers {
            let runs = it.state == ContainerState::Running;
            if runs {
                (it.started_at, it.finished_at, it.probed) = (Some(now), Some(now), None);
            }
            if runs && it.health != Health::None {
                it.health = Health::Starting;
            }
        }
    }

    pub fn start(&mut self, id: &str) {
        self.log.push(format!("start {id}"));
        self.pass_time(ms(200));
        let now = self.now;
        let has_check = self.container(id).health != Health::None;
        let it = self.container(id);
        (it.state, it.started_at, it.probed) = (ContainerState::Running, Some(now), None);
        it.health = if has_check {
            Health::Starting
        } else {
            Health::None
        };
    }

    /// Lets containers become what they become two seconds after their start.
    pub fn live(&mut self) {
        let now = self.now;
        let ids: Vec<_> = self
            .observed
            .containers
            .iter()
            .map(|it| it.id.clone())
            .collect();
        for id in ids {
            let Some(wanted) = self
                .observed
                .containers
                .iter()
                .find(|it| it.id == id)
                .map(|it| it.service.clone())
            else {
                continue;
            };
            let value = self
                .desired
                .services
                .contains_key(&wanted)
                .then(|| self.really_started_with(&id))
                .flatten();
            let value = value
                .and_then(|seq| {
                    self.observed.services[&wanted]
                        .log
                        .iter()
                        .find(|p| p.seq == seq)
                })
                .map(|p| p.fingerprint.0[0]);
            let is_bad = value.is_some_and(|v| self.bad.contains(&(wanted, v)));
            let it = self.container(&id.0);
            if it.state != ContainerState::Running || now.since(it.started_at.unwrap()) < secs(2) {
                continue;
            }
            match (is_bad, it.health) {
                (true, Health::None) => {
                    (it.state, it.finished_at, it.exit_code) =
                        (ContainerState::Exited, Some(now), 1);
                }
                (true, _) => it.health = Health::Unhealthy,
                (false, Health::Starting) => it.health = Health::Healthy,
                _ => {}
            }
        }
    }

    /// Passes until nothing is to be done and nothing is waited for that could change it; returns how many.
    pub fn settle(&mut self) -> usize {
        for round in 0..400 {
            let planned = self.plan();
            let (idle, wake) = (planned.now.is_empty(), planned.wake_at);
            self.apply(planned);
            if !idle {
                self.pass_time(ms(10));
                self.live();
                continue;
            }
            match wake {
                Some(at) => {
                    let at = if self.someone_starts() {
                        at.min(self.now.after(secs(1)))
                    } else {
                        at
                    };
                    // Half the way at times, so that passes in between change nothing.
                    self.now = self.now.after(ms(1)).max(if round % 3 == 0 {
                        Time(self.now.0.midpoint(at.0))
                    } else {
                        at
                    });
                    self.live();
                }
                None if self.someone_starts() => {
                    self.pass_time(secs(1)).live();
                }
                None => return round,
            }
        }
        let planned = self.plan();
        panic!("it does not come to rest:\n{planned}{:#?}", self.log);
    }

    fn someone_starts(&self) -> bool {
        self.observed
            .containers
            .iter()
            .any(|it| it.health == Health::Starting && it.state == ContainerState::Running)
    }

    /// The story of a whole settling, plan by plan.
    pub fn story(&mut self) -> String {
        self.story_for(secs(1_000_000))
    }

    /// The same, for so long.
    pub fn story_for(&mut self, span: Duration) -> String {
        let mut out = String::new();
        let begin = self.now;
        for _ in 0..200 {
            if self.now.since(begin) >= span {
                break;
            }
            let planned = self.plan();
            if planned.now.is_empty() {
                let Some(at) = planned.wake_at else { break };
                let at = if self.someone_starts() {
                    at.min(self.now.after(secs(1)))
                } else {
                    at
                };
                self.now = self.now.after(ms(1)).max(at);
                self.live();
                continue;
            }
            for step in planned.now.iter().filter(|s| s.action != Action::Remember) {
                let _ = writeln!(out, "{:.1} {step}", self.now.since(begin).as_secs_f64());
            }
            self.apply(planned);
            self.pass_time(ms(10));
            self.live();
        }
        out
    }

    pub fn conditions(&mut self, service: &str) -> String {
        let report = self.plan().report;
        let mut out = String::new();
        for c in &report.services[&name(service)].conditions {
            let _ = writeln!(out, "{c}");
        }
        out
    }
}
