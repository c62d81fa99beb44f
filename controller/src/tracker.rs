//! When to ask a backend again: per secret, jittered, versions before values, and all users of a source in one batch.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use locket_core::VersionSeen;
use locket_crds::id::SourceName;
use locket_crds::reference::SecretRef;
use locket_provider::SecretVersion;
use tokio::time::Instant;

use crate::sources::{Answers, Problem};

/// What a backend last said about one secret.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its version, or why there is none.
    pub answer: Result<SecretVersion, Problem>,
    /// When it said so.
    pub at: Instant,
    /// When it is asked again.
    next: Instant,
}

/// The last contact with one source.
#[derive(Debug, Clone)]
pub struct Contact {
    /// The last answer of any kind that was not an error.
    pub ok: Option<Instant>,
    /// The last error, if it came after that.
    pub problem: Option<Problem>,
}

/// What is known of the versions of one project's secrets.
#[derive(Debug, Default)]
pub struct Tracker {
    seen: BTreeMap<SecretRef, Seen>,
    contacts: BTreeMap<SourceName, Contact>,
    /// Counts the rounds, so that the jitter of one secret differs from round to round.
    round: u64,
}

impl Tracker {
    /// The secrets to ask about now: those that are due, and those of the same source that are nearly due, for one batch.
    pub fn due(
        &self,
        wanted: &BTreeSet<SecretRef>,
        now: Instant,
        refresh: impl Fn(&SecretRef) -> Duration,
    ) -> Vec<SecretRef> {
        let is_due =
            |r: &SecretRef, slack: Duration| self.seen.get(r).is_none_or(|s| s.next <= now + slack);
        let sources: BTreeSet<&SourceName> = wanted
            .iter()
            .filter(|r| is_due(r, Duration::ZERO))
            .map(SecretRef::source)
            .collect();
        wanted
            .iter()
            .filter(|r| sources.contains(r.source()) && is_due(r, refresh(r) / 5))
            .cloned()
            .collect()
    }

    /// Makes everything of one source, or of all, due at once.
    pub fn expire(&mut self, source: Option<&SourceName>, now: Instant) {
        for (reference, seen) in &mut self.seen {
            if source.is_none_or(|s| s == reference.source()) {
                seen.next = now;
            }
        }
    }

    /// Keeps what the backends said. The next question comes after 80–100 % of `refresh`, or when the backend allows it.
    pub fn record(
        &mut self,
        answers: Answers<SecretVersion>,
        now: Instant,
        refresh: impl Fn(&SecretRef) -> Duration,
    ) {
        self.round += 1;
        for (reference, answer) in answers {
            let contact = self
                .contacts
                .entry(reference.source().clone())
                .or_insert(Contact {
                    ok: None,
                    problem: None,
                });
            match &answer {
                Ok(_) => {
                    *contact = Contact {
                        ok: Some(now),
                        problem: None,
                    }
                }
                // "No such secret" is an answer: the source itself is well.
                Err(p) if p.reason == "NotFound" || p.reason == "Invalid" => contact.ok = Some(now),
                Err(p) => contact.problem = Some(p.clone()),
            }
            let interval = jitter(refresh(&reference), &reference, self.round);
            let wait = answer
                .as_ref()
                .err()
                .and_then(|p| p.retry_after)
                .map_or(interval, |after| after.max(interval));
            self.seen.insert(
                reference,
                Seen {
                    answer,
                    at: now,
                    next: now + wait,
                },
            );
        }
    }

    /// A fetch told newer versions than the last question did. When the next question is due stays as it was.
    pub fn refine(&mut self, answers: Answers<SecretVersion>, now: Instant) {
        for (reference, answer) in answers {
            if let Some(seen) = self.seen.get_mut(&reference) {
                (seen.answer, seen.at) = (answer, now);
            }
        }
    }

    /// A fetch failed although the version was known: the failure is what the backend said last.
    pub fn record_failure(&mut self, reference: &SecretRef, problem: Problem) {
        if let Some(seen) = self.seen.get_mut(reference) {
            seen.answer = Err(problem);
        }
    }

    /// What is known about each secret.
    pub fn seen(&self) -> &BTreeMap<SecretRef, Seen> {
        &self.seen
    }

    /// The last known version of every secret that has one.
    pub fn versions(&self) -> BTreeMap<SecretRef, VersionSeen> {
        let version = |(r, s): (&SecretRef, &Seen)| {
            Some((r.clone(), VersionSeen(s.answer.as_ref().ok()?.0.clone())))
        };
        self.seen.iter().filter_map(version).collect()
    }

    /// The last contact with each source.
    pub fn contacts(&self) -> &BTreeMap<SourceName, Contact> {
        &self.contacts
    }

    /// Forgets secrets that nobody wants any more.
    pub fn retain(&mut self, wanted: &BTreeSet<SecretRef>) {
        self.seen.retain(|r, _| wanted.contains(r));
        self.contacts
            .retain(|s, _| wanted.iter().any(|r| r.source() == s));
    }

    /// When the next question is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.seen.values().map(|s| s.next).min()
    }
}

/// 80–100 % of the interval; the same for the same secret and round, so that tests repeat.
fn jitter(interval: Duration, reference: &SecretRef, round: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (reference.source(), round).hash(&mut hasher);
    interval.mul_f64(0.8 + 0.2 * (hasher.finish() % 1000) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn refs(all: &[&str]) -> BTreeSet<SecretRef> {
        all.iter().map(|r| r.parse().unwrap()).collect()
    }

    fn ok(all: &BTreeSet<SecretRef>) -> Answers<SecretVersion> {
        all.iter()
            .map(|r| (r.clone(), Ok(SecretVersion("1".into()))))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_asked_for_once_an_interval_and_never_later_than_that() {
        let wanted = refs(&["local:a", "local:b", "file:c"]);
        let mut tracker = Tracker::default();
        let start = Instant::now();
        assert_eq!(tracker.due(&wanted, start, |_| MINUTE).len(), 3);
        tracker.record(ok(&wanted), start, |_| MINUTE);
        assert_eq!(
            tracker.due(&wanted, start + MINUTE / 2, |_| MINUTE).len(),
            0
        );
        assert_eq!(tracker.due(&wanted, start + MINUTE, |_| MINUTE).len(), 3);
        assert!(tracker.next_due().unwrap() >= start + MINUTE.mul_f64(0.8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_asks_for_time_gets_it() {
        let wanted = refs(&["local:a"]);
        let mut tracker = Tracker::default();
        let start = Instant::now();
        let problem = Problem {
            reason: "Throttled",
            message: "slow down".into(),
            help: None,
            retry_after: Some(5 * MINUTE),
        };
        tracker.record(
            wanted
                .iter()
                .map(|r| (r.clone(), Err(problem.clone())))
                .collect(),
            start,
            |_| MINUTE,
        );
        assert!(
            tracker
                .due(&wanted, start + 4 * MINUTE, |_| MINUTE)
                .is_empty()
        );
        assert_eq!(
            tracker.due(&wanted, start + 5 * MINUTE, |_| MINUTE).len(),
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_makes_one_source_due() {
        let wanted = refs(&["local:a", "file:c"]);
        let mut tracker = Tracker::default();
        let start = Instant::now();
        tracker.record(ok(&wanted), start, |_| MINUTE);
        tracker.expire(Some(&"file".into()), start);
        assert_eq!(
            tracker.due(&wanted, start, |_| MINUTE),
            Vec::from_iter(refs(&["file:c"]))
        );
    }
}
