//! The state of every key, without a clock and without tasks: `now` is an argument.
//!
//! A key is in one slot, waiting, running, both (dirty: it waits for its own pass to end) or neither (only its failures are remembered).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::{Backoff, Rng};
use crate::reconciler::{Outcome, Request, Requeue, Retry, Trigger};

/// What a controller does right now, and has done; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Keys that are due and have not been started, also those that wait for their own pass to end.
    pub depth: usize,
    /// Keys that wait for a time.
    pub delayed: usize,
    /// Passes that run.
    pub running: usize,
    /// Requests since the start, merged ones included.
    pub adds: u64,
    /// Failures since the start that were given another try.
    pub retries: u64,
    /// How long the longest-waiting due key has been due.
    pub oldest: Option<Duration>,
}

/// No wait is longer. A backend's `Retry-After` may be any number, and an instant that overflows panics.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// All keys that wait, run or have failed.
///
/// Picking is a scan: a key is a compose project, so there are hundreds at most (1,000 take some microseconds),
/// and ordered indexes beside the slots would be a second truth to keep in step.
pub(crate) struct Queue<K> {
    slots: BTreeMap<K, Slot>,
    backoff: Backoff,
    rng: Rng,
    adds: u64,
    retries: u64,
}

#[derive(Default)]
struct Slot {
    waiting: Option<Waiting>,
    running: Option<Running>,
    /// Failures in a row.
    failures: u32,
}

struct Waiting {
    trigger: Trigger,
    due: Instant,
    /// Number of the request that began the wait: first come, first served among equals.
    order: u64,
}

struct Running {
    trigger: Trigger,
    /// Forgotten in the middle: the outcome is of no interest any more.
    forgotten: bool,
}

impl<K: Ord + Clone> Queue<K> {
    pub(crate) fn new(backoff: Backoff, seed: u64) -> Self {
        Self {
            slots: BTreeMap::new(),
            backoff,
            rng: Rng::new(seed),
            adds: 0,
            retries: 0,
        }
    }

    /// Asks for a pass after `delay`; merges with a request that waits already.
    pub(crate) fn add(&mut self, key: K, trigger: Trigger, delay: Duration, now: Instant) {
        self.adds += 1;
        let slot = self.slots.entry(key).or_default();
        slot.wait(trigger, now + delay.min(LONGEST), self.adds);
    }

    /// Takes the key that goes next, and marks it running.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Request<K>> {
        let free = self
            .slots
            .iter_mut()
            .filter(|(_, slot)| slot.running.is_none());
        let due = free.filter_map(|(key, slot)| match &slot.waiting {
            Some(w) if w.due <= now => {
                Some(((Reverse(w.trigger.priority), w.due, w.order), key, slot))
            }
            _ => None,
        });
        let (_, key, slot) = due.min_by_key(|(rank, ..)| *rank)?;
        let trigger = slot.waiting.take()?.trigger;
        slot.running = Some(Running {
            trigger: trigger.clone(),
            forgotten: false,
        });
        Some(Request {
            key: key.clone(),
            trigger,
        })
    }

    /// When [`Self::pop`] will next have something that it does not have now; `None` if only a request or the end of a pass can change that.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let free = self.slots.values().filter(|slot| slot.running.is_none());
        free.filter_map(|slot| slot.waiting.as_ref().map(|w| w.due))
            .min()
    }

    /// Ends the pass of a key.
    pub(crate) fn finish(&mut self, key: &K, outcome: Outcome, now: Instant) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(ran) = slot.running.take() else {
            return;
        };
        if !ran.forgotten {
            let next = match outcome {
                Outcome::Done(requeue) => {
                    slot.failures = 0;
                    match requeue {
                        Requeue::AwaitChange => None,
                        Requeue::After(delay) => Some((Trigger::change("timer"), delay)),
                    }
                }
                Outcome::Failed(Retry::Terminal) => None,
                Outcome::Failed(Retry::After(delay)) => Some((ran.trigger, delay)),
                Outcome::Failed(Retry::Backoff) => {
                    slot.failures = slot.failures.saturating_add(1);
                    Some((
                        ran.trigger,
                        self.backoff.delay(slot.failures, &mut self.rng),
                    ))
                }
            };
            self.retries += u64::from(matches!(
                outcome,
                Outcome::Failed(Retry::Backoff | Retry::After(_))
            ));
            if let Some((trigger, delay)) = next {
                // Not an add: nobody asked. It queues behind what is due by its time.
                slot.wait(trigger, now + delay.min(LONGEST), self.adds);
            }
        }
        self.tidy(key);
    }

    /// Forgets the failures of a key.
    pub(crate) fn reset(&mut self, key: &K) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.failures = 0;
        }
        self.tidy(key);
    }

    /// Drops what waits for a key; a running pass ends without consequence.
    pub(crate) fn forget(&mut self, key: &K) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.waiting = None;
            slot.failures = 0;
            if let Some(running) = &mut slot.running {
                running.forgotten = true;
            }
        }
        self.tidy(key);
    }

    /// The keys whose passes run, sorted.
    pub(crate) fn running(&self) -> Vec<K> {
        self.slots
            .iter()
            .filter(|(_, slot)| slot.running.is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(crate) fn stats(&self, now: Instant) -> Stats {
        let mut stats = Stats {
            adds: self.adds,
            retries: self.retries,
            ..Stats::default()
        };
        for slot in self.slots.values() {
            stats.running += usize::from(slot.running.is_some());
            match &slot.waiting {
                Some(w) if w.due <= now => {
                    stats.depth += 1;
                    stats.oldest = stats.oldest.max(Some(now - w.due));
                }
                Some(_) => stats.delayed += 1,
                None => {}
            }
        }
        stats
    }

    /// Removes a slot that holds nothing.
    fn tidy(&mut self, key: &K) {
        if self
            .slots
            .get(key)
            .is_some_and(|s| s.waiting.is_none() && s.running.is_none() && s.failures == 0)
        {
            self.slots.remove(key);
        }
    }
}

impl Slot {
    fn wait(&mut self, trigger: Trigger, due: Instant, order: u64) {
        match &mut self.waiting {
            None => {
                self.waiting = Some(Waiting {
                    trigger,
                    due,
                    order,
                })
            }
            Some(old) => {
                old.due = old.due.min(due);
                if trigger.priority > old.trigger.priority {
                    old.trigger = trigger;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
