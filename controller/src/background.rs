//! Long engine calls: they run beside the passes, which see them as observations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use locket_core::{ContainerId, Operation, StepResult, StopOutcome, Time};
use locket_engine::{Engine, ExecSpec, InspectCache};

use crate::resolve::chain;

/// A hook that takes longer has failed.
const HOOK: Duration = Duration::from_secs(60);
/// Bytes of a hook's output that are read; none of them is kept.
const HOOK_OUTPUT: usize = 1 << 20;

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
    ours: HashMap<ContainerId, Time>,
}

/// Asks for another pass.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

impl Background {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one insert or remove, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What we are doing to a container.
    pub fn operation(&self, container: &ContainerId) -> Option<Operation> {
        self.lock().operations.get(container).copied()
    }

    /// True while anything is under way.
    pub fn is_busy(&self) -> bool {
        !self.lock().operations.is_empty()
    }

    /// What has come back and is not forgotten yet, oldest first.
    pub fn results(&self) -> Vec<StepResult> {
        self.lock().results.clone()
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

    /// True when an event at that time may be the echo of what we did.
    pub fn is_ours(&self, container: &ContainerId, at: Time) -> bool {
        let state = self.lock();
        state.operations.contains_key(container)
            || state
                .ours
                .get(container)
                .is_some_and(|last| at <= last.after(Duration::from_secs(2)))
    }

    fn begin(&self, container: &ContainerId, operation: Operation) {
        self.lock().operations.insert(container.clone(), operation);
    }

    fn end(&self, container: &ContainerId, at: Time, result: Option<StepResult>) {
        let mut state = self.lock();
        state.operations.remove(container);
        state.ours.insert(container.clone(), at);
        state.results.extend(result);
    }

    /// Forgets containers that are gone.
    pub fn retain(&self, living: impl Fn(&ContainerId) -> bool) {
        self.lock().ours.retain(|id, _| living(id));
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
    /// Stops with the container's own grace period.
    pub fn stop(self, container: ContainerId) {
        self.run(container, Operation::Stopping, |engine, id| async move {
            match engine.stop(&id.0, None).await {
                Ok(outcome) => {
                    let outcome = match outcome {
                        locket_engine::StopOutcome::Stopped => StopOutcome::Stopped,
                        locket_engine::StopOutcome::AlreadyStopped => StopOutcome::AlreadyStopped,
                    };
                    Some(StepResult::Stopped {
                        container: id,
                        outcome,
                    })
                }
                Err(e) => {
                    tracing::warn!(container = %id.0, error = chain(&e), "Stop failed");
                    None
                }
            }
        });
    }

    /// Starts.
    pub fn start(self, container: ContainerId) {
        self.run(container, Operation::Starting, |engine, id| async move {
            if let Err(e) = engine.start(&id.0).await {
                tracing::warn!(container = %id.0, error = chain(&e), "Start failed");
            }
            None
        });
    }

    /// Runs a hook. Of its output nothing is kept: it may hold a value.
    pub fn hook(self, container: ContainerId, argv: Vec<String>) {
        self.run(container, Operation::Hook, |engine, id| async move {
            let program = argv.first().cloned().unwrap_or_default();
            let spec = ExecSpec {
                argv,
                ..ExecSpec::default()
            };
            let (exit_code, message) =
                match engine.exec_output(&id.0, &spec, HOOK_OUTPUT, HOOK).await {
                    Ok(out) if out.code == 0 => (Some(0), String::new()),
                    Ok(out) => (
                        Some(out.code),
                        format!("{program} ended with code {}", out.code),
                    ),
                    Err(e) => (None, format!("{program} could not be run: {}", chain(&e))),
                };
            if exit_code != Some(0) {
                tracing::warn!(container = %id.0, error = message, "Hook failed");
            }
            Some(StepResult::Hook {
                container: id,
                exit_code,
                message,
            })
        });
    }

    fn run<F>(
        self,
        container: ContainerId,
        operation: Operation,
        call: impl FnOnce(Engine, ContainerId) -> F,
    ) where
        F: Future<Output = Option<StepResult>> + Send + 'static,
    {
        let work = call(self.engine, container.clone());
        self.background.begin(&container, operation);
        tokio::spawn(async move {
            let begun = tokio::time::Instant::now();
            let result = work.await;
            self.cache.forget(&container.0);
            self.background
                .end(&container, self.now.after(begun.elapsed()), result);
            (self.wake)();
        });
    }
}
