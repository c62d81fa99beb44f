//! Runs the passes: takes keys from the queue, each in a task of its own, and puts their outcomes back.

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;

use crate::backoff::Backoff;
use crate::queue::{Queue, Stats};
use crate::reconciler::{Outcome, Reconciler, Request, Retry, Trigger};

/// Settings of a controller.
#[derive(Debug, Clone)]
pub struct Config {
    /// Passes that may run at once, of different keys.
    pub concurrency: NonZeroUsize,
    /// How long running passes may go on after a stop.
    pub drain: Duration,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Seed of the jitter; different in every process, fixed in tests.
    pub seed: u64,
}

impl Config {
    /// Eight passes at once, 10 s to drain, backoff from 1 s to 5 min.
    pub fn new(seed: u64) -> Self {
        // A pass is mostly waiting for an engine or a backend, so this is about their load, not about cores.
        let concurrency = NonZeroUsize::MIN.saturating_add(7);
        Self {
            concurrency,
            drain: Duration::from_secs(10),
            backoff: Backoff::default(),
            seed,
        }
    }
}

/// Runs the passes of a [`Reconciler`]. Made with its first [`Handle`]; does nothing until [`Self::run`].
pub struct Controller<K, R> {
    shared: Arc<Shared<K>>,
    reconciler: Arc<R>,
    concurrency: usize,
    drain: Duration,
}

/// How a controller came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped<K> {
    /// Keys whose passes were cut off because the drain time was over, sorted.
    pub cut_off: Vec<K>,
}

/// Asks a controller for passes. Cheap to clone; works before the controller runs; after its stop nothing is started any more.
pub struct Handle<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    queue: Mutex<Queue<K>>,
    /// The queue has something new. One waiter (`run`), so a stored permit is never lost.
    news: Notify,
}

type Pass<K> = (K, Outcome);

impl<K, R> Controller<K, R>
where
    K: Ord + Clone + std::fmt::Debug + Send + 'static,
    R: Reconciler<K>,
{
    /// Makes a controller and a handle to it.
    pub fn new(reconciler: R, config: Config) -> (Self, Handle<K>) {
        let queue = Mutex::new(Queue::new(config.backoff, config.seed));
        let shared = Arc::new(Shared {
            queue,
            news: Notify::new(),
        });
        let controller = Self {
            shared: Arc::clone(&shared),
            reconciler: Arc::new(reconciler),
            concurrency: config.concurrency.get(),
            drain: config.drain,
        };
        (controller, Handle { shared })
    }

    /// Runs passes until `stop` is ready; then starts no more, and waits up to [`Config::drain`] for those that run.
    ///
    /// Needs a tokio runtime with time.
    ///
    /// # Cancel safety
    /// Dropping the future cuts off all passes at their next await.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Stopped<K> {
        let mut stop = pin!(stop);
        let mut passes = JoinSet::new();
        loop {
            let full = passes.len() >= self.concurrency;
            let due = if full {
                None
            } else {
                self.shared.queue().next_due()
            };
            // Every arm only wakes the loop or takes a finished result whole, so a dropped arm loses nothing.
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(joined) = passes.join_next() => self.finish(joined),
                () = self.shared.news.notified() => {}
                () = at(due) => {}
            }
            while passes.len() < self.concurrency
                && let Some(request) = self.shared.pop()
            {
                self.start(&mut passes, request);
            }
        }
        let ended = async {
            while let Some(joined) = passes.join_next().await {
                self.finish(joined);
            }
        };
        let in_time = timeout(self.drain, ended).await.is_ok();
        let cut_off = if in_time {
            Vec::new()
        } else {
            self.shared.queue().running()
        };
        passes.shutdown().await;
        Stopped { cut_off }
    }

    fn start(&self, passes: &mut JoinSet<Pass<K>>, request: Request<K>) {
        let Trigger { priority, reason } = &request.trigger;
        let span = tracing::info_span!("reconcile", key = ?request.key, priority = priority.as_str(), %reason);
        let reconciler = Arc::clone(&self.reconciler);
        let pass = async move {
            let key = request.key.clone();
            // The reconciler's state is behind `&self`, whose locks it guards against poison itself, and nothing else outlives the pass.
            let outcome = AssertUnwindSafe(async { reconciler.reconcile(request).await })
                .catch_unwind()
                .await;
            let outcome = outcome.unwrap_or_else(|_| {
                // The payload may be anything, so it stays out of the log.
                tracing::error!("Reconcile panicked");
                Outcome::Failed(Retry::Backoff)
            });
            (key, outcome)
        };
        passes.spawn(pass.instrument(span));
    }

    fn finish(&self, joined: Result<Pass<K>, JoinError>) {
        match joined {
            Ok((key, outcome)) => self.shared.queue().finish(&key, outcome, now()),
            // Passes catch their panics and are aborted only after the last call of this.
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "A pass vanished")
            }
        }
    }
}

impl<K: Ord + Clone> Handle<K> {
    /// Asks for a pass as soon as possible.
    pub fn enqueue(&self, key: K, trigger: Trigger) {
        self.enqueue_after(key, trigger, Duration::ZERO);
    }

    /// Asks for a pass after `delay`; an earlier request for the same key brings it earlier.
    pub fn enqueue_after(&self, key: K, trigger: Trigger, delay: Duration) {
        self.shared.queue().add(key, trigger, delay, now());
        self.shared.news.notify_one();
    }

    /// Forgets the failures of a key: its next failure waits as the first one does. Enqueues nothing.
    pub fn reset(&self, key: &K) {
        self.shared.queue().reset(key);
    }

    /// Drops a key: nothing of it waits any more, and a pass that runs now ends without a retry or a requeue.
    pub fn forget(&self, key: &K) {
        self.shared.queue().forget(key);
    }

    /// What the controller does right now.
    pub fn stats(&self) -> Stats {
        self.shared.queue().stats(now())
    }
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Ord + Clone> Shared<K> {
    /// The queue. Held only for single calls that neither wait nor call out, so poison could only come from a broken `Ord`.
    fn queue(&self) -> MutexGuard<'_, Queue<K>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self) -> Option<Request<K>> {
        self.queue().pop(now())
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the clock; tests pause it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
