//! When to ask a backend again: per secret, jittered, versions before values, and all users of a source in one batch.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use locket_core::VersionSeen;
use locket_crds::id::{ProjectName, SourceName};
use locket_crds::reference::SecretRef;
use locket_provider::SecretVersion;
use tokio::time::Instant;

use crate::sources::{Answers, Problem};

/// How soon a failure is asked about again; each further one in a row doubles it, up to the usual interval.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest that a backend can make us stay away.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// What a backend last said about one secret.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its version, or why there is none.
    pub answer: Result<SecretVersion, Problem>,
    /// When it said so.
    pub at: Instant,
    /// When it is asked again.
    next: Instant,
    /// The usual time between two questions.
    interval: Duration,
    /// Questions for the version that failed in a row, and fetches of the value. Each is ended by its own success only:
    /// a version that can be had says nothing of a value that cannot.
    failures: [u32; 2],
}

/// The kinds of questions that are counted apart in [`Seen`].
#[derive(Clone, Copy)]
enum Asked {
    Version,
    Value,
}

/// The last contact with one source.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// The last answer that came from the source itself, whatever it said.
    pub ok: Option<Instant>,
    /// Why the source cannot be used, as of the last batch.
    pub problem: Option<Problem>,
}

/// A source that wants to be left alone.
#[derive(Debug)]
struct Hold {
    until: Instant,
    problem: Problem,
}

/// What is known of the versions of one project's secrets.
#[derive(Debug, Default)]
pub struct Tracker {
    seen: BTreeMap<SecretRef, Seen>,
    contacts: BTreeMap<SourceName, Contact>,
    holds: BTreeMap<SourceName, Hold>,
    /// Counts the rounds, so that the jitter of one secret differs from round to round.
    round: u64,
    /// Whose it is, so that projects that begin together do not ask together for ever.
    project: ProjectName,
}

impl Tracker {
    /// Knows nothing yet.
    pub fn new(project: ProjectName) -> Self {
        Self {
            project,
            ..Self::default()
        }
    }

    /// The secrets to ask about now: those that are due, and those of the same source that are nearly due, for one batch.
    /// Of a source that wants to be left alone, none: what nobody has asked it for yet has its last word as the answer.
    pub fn due(
        &mut self,
        wanted: &BTreeSet<SecretRef>,
        now: Instant,
        refresh: impl Fn(&SecretRef) -> Duration,
    ) -> Vec<SecretRef> {
        self.holds.retain(|_, hold| now < hold.until);
        for reference in wanted {
            if let Some(hold) = self.holds.get(reference.source())
                && !self.seen.contains_key(reference)
            {
                let answer = Err(hold.problem.clone());
                let seen = Seen {
                    answer,
                    at: now,
                    next: hold.until,
                    interval: refresh(reference),
                    failures: [0; 2],
                };
                self.seen.insert(reference.clone(), seen);
            }
        }
        let is_due = |r: &SecretRef, slack: Duration| {
            !self.holds.contains_key(r.source())
                && self.seen.get(r).is_none_or(|s| s.next <= now + slack)
        };
        let sources: BTreeSet<&SourceName> = wanted
            .iter()
            .filter(|r| is_due(r, Duration::ZERO))
            .map(SecretRef::source)
            .collect();
        // What has failed is asked again more often: the rest of its source does not come along each time.
        let slack = |r: &SecretRef| match self.seen.get(r) {
            Some(seen) => seen.next.saturating_duration_since(seen.at) / 5,
            None => Duration::ZERO,
        };
        wanted
            .iter()
            .filter(|r| sources.contains(r.source()) && is_due(r, slack(r)))
            .cloned()
            .collect()
    }

    /// Makes everything of one source, or of all, due at once, or as soon as the source wants to hear of us again.
    pub fn expire(&mut self, source: Option<&SourceName>, now: Instant) {
        for (reference, seen) in &mut self.seen {
            if source.is_none_or(|s| s == reference.source()) {
                seen.next = now;
            }
        }
    }

    /// Keeps what the backends said. The next question comes after 80–100 % of `refresh`; after a failure sooner, but never
    /// before the backend allows it.
    pub fn record(
        &mut self,
        answers: Answers<SecretVersion>,
        now: Instant,
        refresh: impl Fn(&SecretRef) -> Duration,
    ) {
        self.round += 1;
        let batch = self.said(&answers, now);
        for (reference, answer) in answers {
            let failures = self.seen.get(&reference).map_or([0; 2], |s| s.failures);
            let mut seen = Seen {
                answer,
                at: now,
                next: now,
                interval: refresh(&reference),
                failures,
            };
            let whose = (&self.project, reference.source(), self.round);
            seen.plan(Asked::Version, whose, now);
            self.seen.insert(reference, seen);
        }
        self.judge(batch);
    }

    /// Keeps what fetching values told: newer versions than the last question did, or that a value cannot be had although
    /// its version is known. When a version is asked for next stays as it was, unless the fetch failed.
    pub fn fetched(&mut self, answers: Answers<SecretVersion>, now: Instant) {
        let batch = self.said(&answers, now);
        for (reference, answer) in answers {
            let Some(seen) = self.seen.get_mut(&reference) else {
                continue;
            };
            (seen.answer, seen.at) = (answer, now);
            match seen.answer {
                Ok(_) => seen.failures = [0; 2],
                Err(_) => {
                    let whose = (&self.project, reference.source(), self.round);
                    seen.plan(Asked::Value, whose, now);
                }
            }
        }
        self.judge(batch);
    }

    /// What a batch says of its sources: who answered, who wants to be left alone, and the worst that is wrong with each.
    fn said(
        &mut self,
        answers: &Answers<SecretVersion>,
        now: Instant,
    ) -> BTreeMap<SourceName, Option<Problem>> {
        let mut batch: BTreeMap<SourceName, Option<Problem>> = BTreeMap::new();
        for (reference, answer) in answers {
            let source = reference.source();
            let worst = batch.entry(source.clone()).or_default();
            let contact = self.contacts.entry(source.clone()).or_default();
            let Err(problem) = answer else {
                contact.ok = Some(now);
                continue;
            };
            let rank = of_source(problem);
            // "No such secret" is an answer: the source itself is well.
            if rank.is_none() && problem.reason != NOT_GRANTED {
                contact.ok = Some(now);
            }
            if rank > worst.as_ref().and_then(of_source) {
                *worst = Some(problem.clone());
            }
            if let Some(after) = problem.retry_after {
                let until = now + after.min(LONGEST_HOLD);
                if self.holds.get(source).is_none_or(|h| h.until < until) {
                    let problem = problem.clone();
                    self.holds.insert(source.clone(), Hold { until, problem });
                }
            }
        }
        batch
    }

    /// A source cannot be used if the last batch says so; if something of it is not granted; or if all of it is denied.
    fn judge(&mut self, batch: BTreeMap<SourceName, Option<Problem>>) {
        for (source, worst) in batch {
            let all = || {
                let of = self.seen.iter().filter(|(r, _)| *r.source() == source);
                of.map(|(_, s)| s.answer.as_ref().err())
            };
            let first = |reason: &str| all().flatten().find(|p| p.reason == reason).cloned();
            let denied = all().all(|p| p.is_some_and(|p| p.reason == "Denied"));
            let problem = worst
                .or_else(|| first(NOT_GRANTED))
                .or_else(|| first("Denied").filter(|_| denied));
            self.contacts.entry(source).or_default().problem = problem;
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
        let used: BTreeSet<&SourceName> = wanted.iter().map(SecretRef::source).collect();
        self.contacts.retain(|s, _| used.contains(s));
        // A hold outlives its users: a source that they come back to a moment later has not forgotten it.
    }

    /// When the next question is due.
    pub fn next_due(&self) -> Option<Instant> {
        let next = |(r, s): (&SecretRef, &Seen)| match self.holds.get(r.source()) {
            Some(hold) => s.next.max(hold.until),
            None => s.next,
        };
        self.seen.iter().map(next).min()
    }

    /// Why a source may not be asked for anything now, because it wants to be left alone.
    pub fn held(&self, source: &SourceName, now: Instant) -> Option<&Problem> {
        let hold = self.holds.get(source).filter(|hold| now < hold.until);
        hold.map(|hold| &hold.problem)
    }
}

impl Seen {
    /// Counts the answer, and says when to ask next.
    fn plan(&mut self, asked: Asked, whose: (&ProjectName, &SourceName, u64), now: Instant) {
        let count = &mut self.failures[asked as usize];
        let wait = match &self.answer {
            Ok(_) => {
                *count = 0;
                self.interval
            }
            Err(_) => {
                let wait = FIRST_RETRY.saturating_mul(1 << (*count).min(16));
                *count = count.saturating_add(1);
                wait.min(self.interval)
            }
        };
        self.next = now + jitter(wait, whose);
    }
}

/// The reason of what the host configuration does not allow.
const NOT_GRANTED: &str = "NotGranted";

/// How bad it is, if it is the whole source that cannot be used, and not one secret.
fn of_source(problem: &Problem) -> Option<u8> {
    match problem.reason {
        "Unavailable" => Some(3),
        "Unauthenticated" => Some(2),
        "Throttled" => Some(1),
        _ => None,
    }
}

/// 80–100 % of the interval; the same for the same project, source and round, so that tests repeat.
fn jitter(interval: Duration, whose: (&ProjectName, &SourceName, u64)) -> Duration {
    let mut hasher = DefaultHasher::new();
    whose.hash(&mut hasher);
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
    async fn projects_that_begin_together_do_not_ask_together_for_ever() {
        let wanted = refs(&["bao:a"]);
        let start = Instant::now();
        let next = |project: &str| {
            let mut tracker = Tracker::new(project.into());
            tracker.due(&wanted, start, |_| MINUTE);
            tracker.record(ok(&wanted), start, |_| MINUTE);
            tracker.next_due().unwrap()
        };
        let all: BTreeSet<Instant> = ["a", "b", "c", "d"].map(next).into();
        assert!(all.len() > 2, "{all:?}");
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

    fn problem(reason: &'static str, retry_after: Option<Duration>) -> Problem {
        Problem {
            reason,
            message: String::new(),
            help: None,
            retry_after,
        }
    }

    fn answers(all: &[(&str, &'static str)]) -> Answers<SecretVersion> {
        let one = |(r, reason): &(&str, &'static str)| {
            let answer = match *reason {
                "" => Ok(SecretVersion("1".into())),
                reason => Err(problem(reason, None)),
            };
            (r.parse().unwrap(), answer)
        };
        all.iter().map(one).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_is_throttled_holds_the_whole_source() {
        let wanted = refs(&["bao:a", "bao:b", "file:c"]);
        let mut tracker = Tracker::default();
        let start = Instant::now();
        tracker.record(ok(&wanted), start, |_| MINUTE);
        let throttled = problem("Throttled", Some(5 * MINUTE));
        let failed = [("bao:a".parse().unwrap(), Err(throttled))].into();
        tracker.fetched(failed, start);
        let only_file = Vec::from_iter(refs(&["file:c"]));
        let due = |t: &mut Tracker, wanted: &_, at| t.due(wanted, start + at, |_| MINUTE);
        assert_eq!(due(&mut tracker, &wanted, MINUTE), only_file);
        // Nor does a hint, or a secret that is new, make anybody ask.
        tracker.expire(None, start);
        let more = refs(&["bao:a", "bao:b", "bao:new", "file:c"]);
        assert_eq!(due(&mut tracker, &more, 4 * MINUTE), only_file);
        let new = &tracker.seen()[&"bao:new".parse().unwrap()];
        assert_eq!(new.answer.as_ref().unwrap_err().reason, "Throttled");
        let bao = SourceName::from("bao");
        assert!(tracker.held(&bao, start + 4 * MINUTE).is_some());
        assert_eq!(
            tracker.contacts()[&bao].problem.as_ref().unwrap().reason,
            "Throttled"
        );
        tracker.retain(&refs(&["bao:a"]));
        assert_eq!(tracker.next_due(), Some(start + 5 * MINUTE));
        assert_eq!(due(&mut tracker, &more, 5 * MINUTE).len(), 4);
        assert!(tracker.held(&bao, start + 5 * MINUTE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_for_all_eternity_is_not_obeyed() {
        let wanted = refs(&["bao:a"]);
        let mut tracker = Tracker::default();
        let start = Instant::now();
        let throttled = problem("Throttled", Some(Duration::MAX));
        let all = wanted.iter().map(|r| (r.clone(), Err(throttled.clone())));
        tracker.record(all.collect(), start, |_| MINUTE);
        assert_eq!(
            tracker.due(&wanted, start + LONGEST_HOLD, |_| MINUTE).len(),
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_asked_about_soon_and_then_less_and_less_often() {
        let wanted = refs(&["bao:a"]);
        for (asked, fetches) in [("versions", false), ("values", true)] {
            let mut tracker = Tracker::default();
            let mut now = Instant::now();
            let mut waits = Vec::new();
            for _ in 0..8 {
                if fetches {
                    // The version can be had each time, the value cannot.
                    tracker.record(ok(&wanted), now, |_| MINUTE);
                    tracker.fetched(answers(&[("bao:a", "Denied")]), now);
                } else {
                    tracker.record(answers(&[("bao:a", "Unavailable")]), now, |_| MINUTE);
                }
                let next = tracker.next_due().unwrap();
                waits.push(next.duration_since(now));
                now = next;
            }
            for (wait, most) in waits.iter().zip([2, 4, 8, 16, 32, 60, 60, 60]) {
                let most = Duration::from_secs(most);
                assert!(
                    *wait <= most && *wait >= most.mul_f64(0.8),
                    "{asked} {waits:?}"
                );
            }
            tracker.fetched(ok(&wanted), now);
            tracker.record(ok(&wanted), now, |_| MINUTE);
            assert!(tracker.next_due().unwrap() >= now + MINUTE.mul_f64(0.8));
            tracker.record(answers(&[("bao:a", "Unavailable")]), now, |_| MINUTE);
            assert!(tracker.next_due().unwrap() <= now + FIRST_RETRY);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_secret_that_fails_does_not_take_the_others_along() {
        let wanted = refs(&["bao:a", "bao:b"]);
        let mut tracker = Tracker::default();
        let start = Instant::now();
        let both = [("bao:a", "NotFound"), ("bao:b", "")];
        tracker.record(answers(&both), start, |_| MINUTE);
        let due = tracker.due(&wanted, start + FIRST_RETRY, |_| MINUTE);
        assert_eq!(due, Vec::from_iter(refs(&["bao:a"])));
    }

    #[test]
    fn the_problem_of_a_source_is_the_worst_that_is_the_sources_own() {
        for (batches, expected) in [
            (
                &[&[("bao:a", "Unavailable")][..], &[("bao:a", "NotFound")]][..],
                None,
            ),
            (
                &[&[("bao:a", "Unavailable")], &[("bao:a", "Invalid")]],
                None,
            ),
            (&[&[("bao:a", "Unavailable")], &[("bao:a", "")]], None),
            (&[&[("bao:a", "Denied"), ("bao:b", "")]], None),
            (&[&[("bao:a", ""), ("bao:b", "Denied")]], None),
            (&[&[("bao:a", "Denied"), ("bao:b", "NotFound")]], None),
            (
                &[&[("bao:a", "Denied"), ("bao:b", "Denied")]],
                Some("Denied"),
            ),
            // In a batch of its own it is still one of several.
            (
                &[
                    &[("bao:a", "Denied"), ("bao:b", "")],
                    &[("bao:a", "Denied")],
                ],
                None,
            ),
            (
                &[&[
                    ("bao:a", "Throttled"),
                    ("bao:b", "Unavailable"),
                    ("bao:c", ""),
                ]],
                Some("Unavailable"),
            ),
            (
                &[&[
                    ("bao:a", "Unavailable"),
                    ("bao:b", "Throttled"),
                    ("bao:c", "Denied"),
                ]],
                Some("Unavailable"),
            ),
            (
                &[&[("bao:a", "Unauthenticated"), ("bao:b", "Throttled")]],
                Some("Unauthenticated"),
            ),
            (
                &[&[("bao:a", "NotGranted"), ("bao:b", "")]],
                Some("NotGranted"),
            ),
            (
                &[&[("bao:a", ""), ("bao:b", "NotGranted")], &[("bao:a", "")]],
                Some("NotGranted"),
            ),
        ] {
            let mut tracker = Tracker::default();
            let now = Instant::now();
            for batch in batches {
                tracker.record(answers(batch), now, |_| MINUTE);
            }
            let found = &tracker.contacts()[&SourceName::from("bao")].problem;
            assert_eq!(found.as_ref().map(|p| p.reason), expected, "{batches:?}");
        }
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
