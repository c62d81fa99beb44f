use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::reconciler::Priority;

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Outcome = Outcome::Done(Requeue::AwaitChange);
const FAILED: Outcome = Outcome::Failed(Retry::Backoff);

fn queue() -> (Queue<&'static str>, Instant) {
    (Queue::new(Backoff::default(), 1), Instant::now())
}

/// The keys that start at `now`, in order, each ended at once.
fn drain(queue: &mut Queue<&'static str>, now: Instant) -> Vec<&'static str> {
    let keys: Vec<_> = std::iter::from_fn(|| queue.pop(now).map(|r| r.key)).collect();
    keys.iter().for_each(|key| queue.finish(key, IDLE, now));
    keys
}

#[test]
fn a_waiting_key_waits_once() {
    let (mut queue, now) = queue();
    (0..3).for_each(|_| queue.add("a", Trigger::change("x"), Duration::ZERO, now));
    assert_eq!(drain(&mut queue, now), ["a"]);
    assert_eq!(
        queue.stats(now),
        Stats {
            adds: 3,
            ..Stats::default()
        }
    );
}

#[test]
fn higher_priorities_go_first_and_equals_in_order() {
    let (mut queue, now) = queue();
    queue.add("resync", Trigger::resync(""), Duration::ZERO, now);
    queue.add("change", Trigger::change(""), Duration::ZERO, now);
    queue.add("push 1", Trigger::push(""), Duration::ZERO, now);
    queue.add("user", Trigger::user(""), Duration::ZERO, now);
    queue.add("a push 2", Trigger::push(""), Duration::ZERO, now);
    assert_eq!(
        drain(&mut queue, now),
        ["user", "push 1", "a push 2", "change", "resync"]
    );
}

#[test]
fn a_merge_keeps_the_highest_priority_and_the_shortest_delay() {
    let (mut queue, now) = queue();
    queue.add("a", Trigger::user("apply"), 10 * SECOND, now);
    queue.add("a", Trigger::resync("resync"), SECOND, now);
    queue.add("a", Trigger::user("another"), 5 * SECOND, now);
    assert_eq!(queue.next_due(), Some(now + SECOND));
    assert!(queue.pop(now).is_none());
    assert_eq!(
        queue.pop(now + SECOND).unwrap().trigger,
        Trigger::user("apply")
    );
}

#[test]
fn a_request_during_a_pass_waits_for_its_end_and_others_do_not() {
    let (mut queue, now) = queue();
    queue.add("a", Trigger::change("one"), Duration::ZERO, now);
    assert_eq!(queue.pop(now).unwrap().key, "a");
    queue.add("a", Trigger::change("two"), Duration::ZERO, now);
    queue.add("a", Trigger::push("three"), Duration::ZERO, now);
    queue.add("b", Trigger::resync(""), Duration::ZERO, now);
    assert_eq!(queue.pop(now).unwrap().key, "b");
    assert!(queue.pop(now).is_none());
    assert_eq!(
        queue.next_due(),
        None,
        "a loop that waited for a running key would spin"
    );
    queue.finish(&"a", Outcome::Done(Requeue::After(9 * SECOND)), now);
    assert_eq!(queue.pop(now).unwrap().trigger, Trigger::push("three"));
}

#[test]
fn failures_back_off_until_a_success_or_a_reset() {
    let (mut queue, mut now) = queue();
    queue.add("a", Trigger::user("apply"), Duration::ZERO, now);
    let mut fail = |queue: &mut Queue<_>, times: u32| {
        for _ in 0..times {
            now = queue.next_due().unwrap_or(now);
            queue.pop(now).unwrap();
            queue.finish(&"a", FAILED, now);
        }
        queue.slots["a"].failures
    };
    assert_eq!(fail(&mut queue, 9), 9);
    queue.reset(&"a");
    assert_eq!(fail(&mut queue, 1), 1);
    assert!(queue.next_due().unwrap() <= now + SECOND);
    assert_eq!(queue.stats(now).retries, 10);

    now = queue.next_due().unwrap();
    assert_eq!(
        queue.pop(now).unwrap().trigger,
        Trigger::user("apply"),
        "a retry keeps its trigger"
    );
    queue.finish(&"a", IDLE, now);
    assert!(queue.slots.is_empty(), "a success leaves nothing behind");
}

#[test]
fn each_outcome_has_its_time() {
    let cases = [
        (IDLE, None),
        (Outcome::Done(Requeue::After(3 * SECOND)), Some(3 * SECOND)),
        (Outcome::Failed(Retry::Terminal), None),
        (Outcome::Failed(Retry::After(7 * SECOND)), Some(7 * SECOND)),
        (Outcome::Failed(Retry::After(Duration::MAX)), Some(LONGEST)),
    ];
    for (outcome, wait) in cases {
        let (mut queue, now) = queue();
        queue.add("a", Trigger::change(""), Duration::ZERO, now);
        queue.pop(now).unwrap();
        queue.finish(&"a", outcome, now);
        assert_eq!(queue.next_due(), wait.map(|w| now + w), "{outcome:?}");
    }
}

#[test]
fn a_hint_brings_a_backed_off_key_at_once_and_does_not_reset_it() {
    let (mut queue, now) = queue();
    queue.add("a", Trigger::change(""), Duration::ZERO, now);
    queue.pop(now).unwrap();
    queue.finish(&"a", FAILED, now);
    queue.add("a", Trigger::change(""), Duration::ZERO, now);
    queue.pop(now).unwrap();
    queue.finish(&"a", FAILED, now);
    assert_eq!(queue.slots["a"].failures, 2);
}

#[test]
fn a_forgotten_key_comes_back_only_when_asked_for() {
    let (mut queue, now) = queue();
    queue.add("waits", Trigger::change(""), Duration::ZERO, now);
    queue.forget(&"waits");
    assert!(queue.slots.is_empty());

    for ask_again in [false, true] {
        queue.add("runs", Trigger::change(""), Duration::ZERO, now);
        queue.pop(now).unwrap();
        queue.add("runs", Trigger::change("before"), Duration::ZERO, now);
        queue.forget(&"runs");
        if ask_again {
            queue.add("runs", Trigger::change("after"), Duration::ZERO, now);
        }
        assert!(queue.pop(now).is_none(), "its pass has not ended");
        queue.finish(&"runs", FAILED, now);
        assert_eq!(
            drain(&mut queue, now),
            if ask_again { vec!["runs"] } else { vec![] }
        );
        assert!(queue.slots.is_empty());
    }
}

#[test]
fn stats_tell_due_from_delayed() {
    let (mut queue, now) = queue();
    queue.add("runs", Trigger::change(""), Duration::ZERO, now);
    queue.pop(now).unwrap();
    queue.add("runs", Trigger::change("dirty"), SECOND, now);
    queue.add("due", Trigger::resync(""), 2 * SECOND, now);
    queue.add("later", Trigger::resync(""), 60 * SECOND, now);
    let stats = Stats {
        depth: 2,
        delayed: 1,
        running: 1,
        adds: 4,
        retries: 0,
        oldest: Some(4 * SECOND),
    };
    assert_eq!(queue.stats(now + 5 * SECOND), stats);
    assert_eq!(queue.running(), ["runs"]);
}

#[derive(Debug, Clone)]
enum Op {
    Add(u8, Priority, u32),
    Pop,
    Finish(usize, Outcome),
    Advance(u32),
    Reset(u8),
    Forget(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let priority = prop::sample::select(vec![
        Priority::Resync,
        Priority::Change,
        Priority::Push,
        Priority::User,
    ]);
    let outcome = prop::sample::select(vec![
        IDLE,
        Outcome::Done(Requeue::After(SECOND)),
        FAILED,
        Outcome::Failed(Retry::Terminal),
        Outcome::Failed(Retry::After(SECOND)),
    ]);
    prop_oneof![
        4 => (0..5_u8, priority, 0..20_u32).prop_map(|(k, p, d)| Op::Add(k, p, d)),
        4 => Just(Op::Pop),
        4 => (any::<usize>(), outcome).prop_map(|(i, o)| Op::Finish(i, o)),
        2 => (0..10_u32).prop_map(Op::Advance),
        1 => (0..5_u8).prop_map(Op::Reset),
        1 => (0..5_u8).prop_map(Op::Forget),
    ]
}

proptest! {
    /// No interleaving starts a key that runs, loses a request, or starts a request before its time without reason.
    #[test]
    fn no_key_is_lost_doubled_or_early(ops in prop::collection::vec(op(), 0..120)) {
        let mut queue = Queue::new(Backoff::default(), 1);
        let mut now = Instant::now();
        let mut running = Vec::<u8>::new();
        let mut owed = BTreeSet::<u8>::new();
        for op in ops {
            match op {
                Op::Add(key, priority, delay) => {
                    queue.add(key, Trigger { priority, reason: "".into() }, SECOND * delay, now);
                    owed.insert(key);
                }
                Op::Pop => {
                    let due = queue.next_due();
                    let popped = queue.pop(now);
                    prop_assert_eq!(popped.is_some(), due.is_some_and(|at| at <= now));
                    if let Some(Request { key, .. }) = popped {
                        prop_assert!(!running.contains(&key));
                        running.push(key);
                        owed.remove(&key);
                    }
                }
                Op::Finish(index, outcome) if !running.is_empty() => {
                    let key = running.swap_remove(index % running.len());
                    queue.finish(&key, outcome, now);
                }
                Op::Finish(..) => {}
                Op::Advance(seconds) => now += SECOND * seconds,
                Op::Reset(key) => queue.reset(&key),
                Op::Forget(key) => {
                    queue.forget(&key);
                    owed.remove(&key);
                }
            }
            prop_assert_eq!(queue.running().len(), running.len());
        }
        now += 1000 * SECOND;
        running.drain(..).for_each(|key| queue.finish(&key, IDLE, now));
        while let Some(Request { key, .. }) = queue.pop(now) {
            owed.remove(&key);
            queue.finish(&key, IDLE, now);
        }
        prop_assert!(owed.is_empty(), "lost: {:?}", owed);
        prop_assert_eq!(queue.next_due(), None);
    }
}
