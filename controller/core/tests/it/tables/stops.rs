//! Whose stop it was: ours is finished, a user's is heeded.

use locket_core::*;
use locket_crds::spec::ChangeAction::Auto;

use super::stopped;
use crate::sim::*;

#[test]
fn what_is_down_although_the_engine_keeps_it_up_was_stopped_by_somebody() {
    for kept_up in [true, false] {
        let mut w = World::new();
        w.service("api", Auto, &["a"]).settled();
        w.container("api-1").kept_up = kept_up;
        w.set("a", 2);
        while !w.log.contains(&"start api-1".to_owned()) {
            let planned = w.plan();
            w.apply(planned);
            w.pass_time(ms(500));
        }
        // The event of it is lost.
        let now = w.now;
        let it = w.container("api-1");
        (it.state, it.finished_at, it.exit_code) = (ContainerState::Exited, Some(now), 143);
        w.settle();
        let starts = w.log.iter().filter(|l| *l == "start api-1").count();
        let expected = if kept_up { (1, 2) } else { (2, 1) };
        assert_eq!((starts, w.current("api")), expected, "{:?}", w.log);
    }
}

#[test]
fn what_a_user_stops_stays_stopped() {
    // Between observation and stop: the engine says 304 on the first try.
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    let planned = w.plan();
    w.apply(planned);
    w.pass_time(secs(3));
    let planned = w.plan();
    w.stop("api-1");
    w.apply(planned);
    w.settle();
    assert_eq!(w.log, ["stop api-1"]);
}

#[test]
fn what_a_user_stops_while_it_is_verified_stays_stopped() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    while !w.log.iter().any(|l| l == "start api-1") {
        let planned = w.plan();
        w.now = planned
            .wake_at
            .filter(|_| planned.now.is_empty())
            .unwrap_or(w.now)
            .after(ms(1));
        w.apply(planned);
    }
    w.pass_time(secs(1)).stop("api-1");
    w.container("api-1").touched = Some(w.now);
    w.settle();
    assert_eq!(w.log, ["stop api-1", "start api-1", "stop api-1"]);
    assert_eq!(w.current("api"), 2);
}

#[test]
fn a_stop_of_ours_is_finished_after_a_crash() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    let planned = w.plan();
    w.apply(planned);
    w.pass_time(secs(3));
    let planned = w.plan();
    w.apply(planned);
    // Everything but memory and world is lost.
    w.observed.results.clear();
    w.pass_time(secs(300)).settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
    assert_eq!(w.container("api-1").state, ContainerState::Running);
}

#[test]
fn a_stop_that_took_longer_than_it_should_is_still_ours() {
    let mut w = World::new();
    w.stop_takes = secs(25);
    stopped(&mut w);
    w.settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
}

#[test]
fn a_stop_whose_answer_is_on_its_way_is_nobody_elses() {
    // Over a slow way the moment of a decision is taken for later than it was: the container has ended before it.
    let mut w = World::new();
    w.steps_back_while_stopping = ms(500);
    stopped(&mut w);
    let answer = std::mem::take(&mut w.observed.results);
    w.container("api-1").operation = Some(Operation::Stopping);
    let planned = w.plan();
    w.apply(planned);
    w.container("api-1").operation = None;
    w.observed.results = answer;
    w.settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
}

/// The engine says `running` for as long as a program takes to end; that it is to end was heard at once.
#[test]
fn a_stop_of_a_user_that_takes_its_time_is_not_joined() {
    for ends in [true, false] {
        let mut w = World::new();
        w.service("api", Auto, &["a"]).settled().set("a", 2);
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(secs(1));
        let heard = w.now;
        w.container("api-1").touched = Some(heard);
        w.pass_time(secs(9));
        let planned = w.plan();
        assert_eq!(planned.later[0].cause.reason, Reason::StoppedByUser);
        assert_eq!(planned.wake_at, Some(heard.after(secs(60))));
        w.apply(planned);
        if ends {
            w.stop("api-1");
        }
        w.settle();
        // One that lives on after a minute was not stopped: it has taken a signal for something else.
        let expected: &[&str] = if ends {
            &["stop api-1"]
        } else {
            &["stop api-1", "start api-1"]
        };
        assert_eq!(w.log, expected);
    }
}

/// What was bad is not put back into what somebody is stopping.
#[test]
fn a_rollback_does_not_start_what_a_user_is_stopping() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.container("api-1").checked_within = Some(secs(1));
    w.set("a", 2);
    while !w.log.contains(&"start api-1".to_owned()) {
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(ms(500));
    }
    let now = w.now;
    let it = w.container("api-1");
    (it.health, it.touched) = (Health::Unhealthy, Some(now.after(secs(58))));
    w.pass_time(secs(62));
    let planned = w.plan();
    w.apply(planned);
    let planned = w.plan();
    w.apply(planned);
    w.pass_time(secs(3));
    w.stop("api-1");
    w.settle();
    let starts = w.log.iter().filter(|l| *l == "start api-1").count();
    assert_eq!(starts, 1, "{:?}", w.log);
}

/// The controller that has asked for the stop is gone, and so is the reason for it; the engine goes on with it.
#[test]
fn a_stop_of_a_dead_controller_that_is_not_wanted_any_more_is_ours_too() {
    for happens in [true, false] {
        let mut w = World::new();
        w.service("api", Auto, &["a"]).settled().set("a", 2);
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(secs(3));
        let planned = w.plan();
        w.apply_first(planned, 1);
        assert!(w.memory.intent(&ContainerId("api-1".into())).is_some());
        // Told to end it is, but not by the one that looks now.
        let now = w.now;
        w.container("api-1").touched = Some(now);
        w.set("a", 1);
        for _ in 0..3 {
            let planned = w.plan();
            w.apply(planned);
        }
        w.pass_time(secs(5));
        if happens {
            w.stop("api-1");
        }
        w.settle();
        let expected: &[&str] = if happens {
            &["stop api-1", "start api-1"]
        } else {
            &[]
        };
        assert_eq!(w.log, expected);
        assert!(w.memory.intent(&ContainerId("api-1".into())).is_none());
    }
}
