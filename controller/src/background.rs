//! Long engine calls: they run beside the passes, which see them as observations.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use locket_core::{ContainerId, Operation, Probed, StepResult, StopOutcome, Time};
use locket_crds::id::Fingerprint;
use locket_delivery::layout::SHIM_PATH;
use locket_engine::watcher::Action;
use locket_engine::{Engine, ExecSpec, ExecStream, InspectCache, Kind};
use tokio::time::{Instant, sleep, timeout};

use crate::mutex::lock;
use crate::resolve::chain;

/// An event may be dated so much after the answer of the call that caused it.
const ECHO: Duration = Duration::from_secs(2);
/// The exit code of the shim's `probe` when the generation of PID 1 cannot be told.
const CANNOT_BE_TOLD: i64 = 3;
/// How often a process is asked before what it started with counts as unknown.
const PROBES: u32 = 5;
/// How long one of these may take.
const PROBE: Duration = Duration::from_secs(5);

/// What is under way in one project, and what has come of it since the last pass.
#[derive(Default)]
pub struct Background {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    operations: HashMap<ContainerId, Operation>,
    results: Vec<StepResult>,
    /// Starts and stops of ours, so that their events are not taken for somebody else's.
    ours: HashMap<ContainerId, Ours>,
    /// Containers that are being asked what they started with.
    probing: HashSet<ContainerId>,
    /// What they said, by the start of the run that was asked.
    probed: HashMap<ContainerId, (Option<Time>, Probed)>,
}

/// When we last stopped and started a container, on the engine's clock; `None` at the end: not over yet.
#[derive(Default)]
struct Ours {
    stop: Option<(Time, Option<Time>)>,
    start: Option<Time>,
}

/// What is under way in one project at one moment.
pub struct Now {
    /// What we are doing to containers.
    pub operations: HashMap<ContainerId, Operation>,
    /// What has come back, oldest first.
    pub results: Vec<StepResult>,
}

/// Asks for another pass.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

impl Background {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one insert or remove, so a panic elsewhere leaves nothing half done.
        lock(&self.state)
    }

    /// True while anything is under way.
    pub fn is_busy(&self) -> bool {
        let state = self.lock();
        !state.operations.is_empty() || !state.probing.is_empty()
    }

    /// What is under way now, and what has come back and is not forgotten yet: of one moment.
    pub fn now(&self) -> Now {
        let state = self.lock();
        Now {
            operations: state.operations.clone(),
            results: state.results.clone(),
        }
    }

    /// Forgets the oldest of them.
    pub fn forget_results(&self, count: usize) {
        let mut state = self.lock();
        let count = count.min(state.results.len());
        state.results.drain(..count);
    }

    /// Adds what has come back of a call that was not long.
    pub fn add_result(&self, result: StepResult) {
        self.lock().results.push(result);
    }

    /// True when this event at that time is the echo of what we did: a stop of ours is heard until a start of ours follows.
    pub fn is_ours(&self, container: &ContainerId, action: Action, at: Time) -> bool {
        let state = self.lock();
        let Some(Ours { stop, start }) = state.ours.get(container) else {
            return false;
        };
        match action {
            Action::Start => start.is_some_and(|begun| at >= begun),
            Action::Kill | Action::Die | Action::Stop | Action::Destroy => {
                stop.is_some_and(|(begun, ended)| {
                    let started = start.filter(|s| *s >= begun);
                    at >= begun
                        && ended.is_none_or(|e| at <= e.after(ECHO))
                        && started.is_none_or(|s| at < s)
                })
            }
            _ => false,
        }
    }

    /// What the process of this run has said of the generation that it started with.
    pub fn probed(&self, container: &ContainerId, run: Option<Time>) -> Option<Probed> {
        let state = self.lock();
        let (asked, answer) = state.probed.get(container)?;
        (*asked == run).then(|| answer.clone())
    }

    /// True while it is being asked.
    pub fn is_probing(&self, container: &ContainerId) -> bool {
        self.lock().probing.contains(container)
    }

    fn begin(&self, container: &ContainerId, operation: Operation, at: Time) {
        let mut state = self.lock();
        state.operations.insert(container.clone(), operation);
        let ours = state.ours.entry(container.clone()).or_default();
        match operation {
            Operation::Stopping => ours.stop = Some((at, None)),
            Operation::Starting => ours.start = Some(at),
            Operation::Hook => {}
        }
    }

    fn end(
        &self,
        container: &ContainerId,
        operation: Operation,
        at: Time,
        result: Option<StepResult>,
    ) {
        let mut state = self.lock();
        state.operations.remove(container);
        if let Some(Ours {
            stop: Some((_, ended)),
            ..
        }) = state
            .ours
            .get_mut(container)
            .filter(|_| operation == Operation::Stopping)
        {
            *ended = Some(at);
        }
        state.results.extend(result);
    }

    /// Forgets containers that are gone.
    pub fn retain(&self, living: impl Fn(&ContainerId) -> bool) {
        let mut state = self.lock();
        state.ours.retain(|id, _| living(id));
        state.probed.retain(|id, _| living(id));
    }
}

/// What operations work with.
#[derive(Clone)]
pub struct Hands {
    /// The engine.
    pub engine: Engine,
    /// Inspects, which each operation puts in doubt.
    pub cache: Arc<InspectCache>,
    /// Where results go.
    pub background: Arc<Background>,
    /// Called when one has ended.
    pub wake: Wake,
    /// The engine's clock at the pass.
    pub now: Time,
}

impl Hands {
    /// Stops this run of it with this grace period. If another one runs by now, it is not what was judged: nothing is done, and
    /// the next pass sees it.
    pub fn stop(self, container: ContainerId, run: Option<Time>, grace: Duration) {
        self.run(
            container,
            Operation::Stopping,
            move |engine, id, _| async move {
                match engine.inspect(&id.0).await {
                    Ok(Some(now)) if now.state.started_at.map(Time) != run => return None,
                    Ok(_) => {}
                    Err(e) => return Some(refused(id, Operation::Stopping, &e)),
                }
                // Whole seconds: half a second must not become none.
                let grace = Duration::from_secs(grace.as_secs_f64().ceil() as u64);
                match engine.stop(&id.0, Some(grace)).await {
                    Ok(outcome) => {
                        let outcome = match outcome {
                            locket_engine::StopOutcome::Stopped => StopOutcome::Stopped,
                            locket_engine::StopOutcome::AlreadyStopped => {
                                StopOutcome::AlreadyStopped
                            }
                        };
                        Some(StepResult::Stopped {
                            container: id,
                            outcome,
                        })
                    }
                    Err(e) => Some(refused(id, Operation::Stopping, &e)),
                }
            },
        );
    }

    /// Starts.
    pub fn start(self, container: ContainerId) {
        self.run(container, Operation::Starting, |engine, id, _| async move {
            let e = engine.start(&id.0).await.err()?;
            Some(refused(id, Operation::Starting, &e))
        });
    }

    /// Runs a hook. Its output is dropped: it may hold a value. One that runs on after its time has failed, which is said
    /// once; until it has ended it is under way, so that no second one runs beside it.
    pub fn hook(
        self,
        container: ContainerId,
        argv: Vec<String>,
        content: Fingerprint,
        time: Duration,
    ) {
        self.run(
            container,
            Operation::Hook,
            move |engine, id, tell| async move {
                let program = argv.first().cloned().unwrap_or_default();
                let result = |exit_code, message: String| {
                    if exit_code != Some(0) {
                        tracing::warn!(container = %id.0, error = message, "Hook failed");
                    }
                    StepResult::Hook {
                        container: id.clone(),
                        content,
                        exit_code,
                        message,
                    }
                };
                let spec = ExecSpec {
                    argv,
                    ..ExecSpec::default()
                };
                let mut end = std::pin::pin!(async {
                    let stream = engine.exec(&id.0, &spec).await?;
                    exit_code(stream).await
                });
                let (ended, is_late) = match timeout(time, &mut end).await {
                    Ok(ended) => (ended, false),
                    Err(_) => {
                        let text = format!("{program} has not ended within {} s", time.as_secs());
                        tell(result(None, text));
                        (end.await, true)
                    }
                };
                match ended {
                    Ok(0) => Some(result(Some(0), String::new())),
                    _ if is_late => None,
                    Ok(code) => {
                        let text = format!("{program} ended with code {code}");
                        Some(result(Some(code), text))
                    }
                    Err(e) => {
                        let text = format!("{program} could not be run: {}", chain(&e));
                        Some(result(None, text))
                    }
                }
            },
        );
    }

    /// Asks a process which generation it started with, until it has said so or cannot. As root with all capabilities, because
    /// an image may have given up its user without anybody being able to tell from outside; the program is ours, mounted
    /// read-only.
    pub fn probe(self, container: ContainerId, run: Option<Time>) {
        if !self.background.lock().probing.insert(container.clone()) {
            return;
        }
        tokio::spawn(async move {
            let answer = ask(&self.engine, &container).await;
            let mut state = self.background.lock();
            state.probing.remove(&container);
            if let Some(answer) = answer {
                state.probed.insert(container, (run, answer));
            }
            drop(state);
            (self.wake)();
        });
    }

    fn run<F>(
        self,
        container: ContainerId,
        operation: Operation,
        call: impl FnOnce(Engine, ContainerId, Box<dyn Fn(StepResult) + Send + Sync>) -> F,
    ) where
        F: Future<Output = Option<StepResult>> + Send + 'static,
    {
        let (background, wake) = (Arc::clone(&self.background), Arc::clone(&self.wake));
        let tell = Box::new(move |result| {
            background.add_result(result);
            wake();
        });
        let work = call(self.engine, container.clone(), tell);
        self.background.begin(&container, operation, self.now);
        tokio::spawn(async move {
            let begun = Instant::now();
            let result = work.await;
            self.cache.forget(&container.0);
            let at = self.now.after(begun.elapsed());
            self.background.end(&container, operation, at, result);
            (self.wake)();
        });
    }
}

/// The engine's own words, without the operation and the id, which are said beside them.
fn refused(container: ContainerId, operation: Operation, e: &locket_engine::Error) -> StepResult {
    tracing::warn!(container = %container.0, error = chain(e), "The engine refused");
    let message = if e.message.is_empty() {
        e.kind.to_string()
    } else {
        e.message.clone()
    };
    StepResult::Refused {
        container,
        operation,
        message,
    }
}

/// Waits for the end of a program, however long that takes; a broken connection is not its end.
async fn exit_code(stream: ExecStream) -> Result<i64, locket_engine::Error> {
    let handle = stream.handle.clone();
    let mut ended = stream.wait().await;
    while let Err(e) = &ended
        && e.is_transient()
    {
        sleep(Duration::from_secs(1)).await;
        ended = handle.wait().await;
    }
    ended
}

/// `None`: it does not run any more, or it is gone.
async fn ask(engine: &Engine, container: &ContainerId) -> Option<Probed> {
    let spec = ExecSpec {
        argv: vec![SHIM_PATH.to_owned(), "probe".to_owned()],
        user: Some("0:0".to_owned()),
        privileged: true,
        ..ExecSpec::default()
    };
    let mut pause = Duration::from_millis(500);
    for _ in 0..PROBES {
        match engine.exec_output(&container.0, &spec, 64, PROBE).await {
            Ok(out) if out.code == CANNOT_BE_TOLD => return Some(Probed::Unknown),
            Ok(out) if out.code == 0 => {
                let said = String::from_utf8(out.stdout).ok();
                if let Some(seq) = said.and_then(|s| s.trim().parse().ok()) {
                    return Some(Probed::Seq(seq));
                }
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind, Kind::NotFound | Kind::Conflict) => return None,
            Err(e) => tracing::debug!(container = %container.0, error = chain(&e), "Probe failed"),
        }
        sleep(pause).await;
        pause *= 2;
    }
    Some(Probed::Unknown)
}
