//! What is planned, case by case.

use expect_test::{Expect, expect};
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, Exec, None as Nothing, Restart, Rollout, Signal};

use crate::sim::*;

#[track_caller]
fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.plan().to_string());
}

#[track_caller]
fn check_story(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.story());
}

fn hook() -> locket_crds::spec::ChangeAction {
    Exec(vec!["psql".into(), "-f".into(), "rotate.sql".into()])
}

#[test]
fn first_delivery_restarts_nothing() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]);
    check_story(
        &mut w,
        expect![[r#"
          0.0 publish api 010101010101 after generation 0, there is no generation [FirstDelivery]
    "#]],
    );
    check(&mut w, expect![[r#""#]]);
}

#[test]
fn a_changed_value_is_delivered_at_once_and_restarts_after_settling() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    check_story(
        &mut w,
        expect![[r#"
          0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
          2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
          2.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
    "#]],
    );
    check(&mut w, expect![[r#""#]]);
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=True/AsExpected
        Ready=True/AsExpected
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
}

#[test]
fn three_changes_inside_settle_cause_one_restart() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    for value in 2..5 {
        w.set("a", value);
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(ms(700));
    }
    w.settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
}

#[test]
fn replicas_go_one_by_one_and_dependencies_go_first() {
    let mut w = World::new();
    w.service("db", Restart, &["a"])
        .service("api", Auto, &["a"])
        .replica("api", 2)
        .depends("api", "db", false);
    w.healthcheck("db").healthcheck("api").settled().set("a", 2);
    check_story(
        &mut w,
        expect![[r#"
            0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
            0.0 publish db 020202020202 after generation 2, local:a changed [ValueChanged]
            2.0 stop db-1, it started with generation 2, current is 4 [ValueChanged]
            2.2 start db-1, it started with generation 2, current is 4 [RestartUnderWay]
            4.4 stop api-1, it started with generation 1, current is 3 [ValueChanged]
            4.6 start api-1, it started with generation 1, current is 3 [RestartUnderWay]
            6.9 stop api-2, it started with generation 1, current is 3 [ValueChanged]
            7.1 start api-2, it started with generation 1, current is 3 [RestartUnderWay]
        "#]],
    );
}

#[test]
fn what_a_volume_did_not_take_is_not_told_as_published() {
    let mut w = World::new();
    w.service("api", hook(), &["a"]);
    let events = |w: &World| {
        let one = |e: &memory::Event| format!("{:?} ×{}: {}", e.kind, e.count, e.result);
        w.memory.events.iter().map(one).collect::<Vec<_>>()
    };
    let refuse = |w: &mut World| {
        let planned = w.plan();
        w.apply_first(planned, 1);
        w.memory.not_delivered(&name("api"), "no space left");
    };
    refuse(&mut w);
    w.pass_time(secs(60)).set("a", 2);
    refuse(&mut w);
    refuse(&mut w);
    let (first, again) = (
        "NotDelivered ×1: no space left",
        "NotDelivered ×2: no space left",
    );
    assert_eq!(events(&w), [first, again]);
    w.settle();
    assert_eq!(events(&w), [first, again, "Delivered ×1: published"]);
    assert!(
        w.log.is_empty(),
        "nothing was there that a hook could change"
    );

    w.set("a", 3);
    refuse(&mut w);
    check_story(
        &mut w,
        expect![[r#"
        0.0 publish api 030303030303 after generation 1, local:a changed [ValueChanged]
        2.0 exec in api-1 ["psql", "-f", "rotate.sql"], its content changed [HookDue]
    "#]],
    );
}

#[test]
fn a_service_that_was_not_part_of_up_is_in_nobodys_way() {
    let mut w = World::new();
    w.service("api", Auto, &["a"])
        .service("job", Auto, &["a"])
        .service("tool", Auto, &["a"]);
    w.model("job").profiles = vec!["jobs".to_owned()];
    for absent in ["job", "tool"] {
        w.seen(absent).mounted = false;
        w.observed
            .containers
            .retain(|it| it.service != name(absent));
    }
    w.settled();
    check(
        &mut w,
        expect![[r#"
        later: tool publish, its volume is not there [NotMounted]
    "#]],
    );
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/NotStarted: it was not part of `up`
        RolledOut=True/NotStarted: it was not part of `up`
        Ready=True/NotStarted: it was not part of `up`
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("job"));
    let ready = w.plan().report.conditions;
    assert!(
        ready
            .iter()
            .any(|c| c.kind == report::ConditionKind::Ready && c.status),
        "{ready:?}"
    );
}

#[test]
fn metadata_alone_is_delivered_without_a_restart() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    w.plan();
    if let Rendered::Ready { metadata_only, .. } = &mut w.seen("api").rendered {
        *metadata_only = true;
    }
    let planned = w.decide();
    expect![[r#"
        remember
        publish api 020202020202 after generation 1, only mode, owner or update mode differ [MetadataChanged]
    "#]]
    .assert_eq(&planned.to_string());
    w.apply(planned);
    w.settle();
    assert!(w.log.is_empty());
    // The next real change acts, and going back to the first owner does not.
    w.set("a", 3).settle();
    assert_eq!(w.log.len(), 2);
}

#[test]
fn drift_is_repaired_without_a_restart() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.seen("api").intact = false;
    check_story(
        &mut w,
        expect![[r#"
          0.0 publish api 010101010101 after generation 1, files are not as they were published [FilesDrifted]
    "#]],
    );
}

#[test]
fn none_signals_and_unsupported_actions() {
    let mut w = World::new();
    w.service("a", Nothing, &["a"])
        .service("b", Signal("HUP".into()), &["a"])
        .service("c", Rollout, &["a"]);
    w.settled().set("a", 2);
    check_story(
        &mut w,
        expect![[r#"
          0.0 publish a 020202020202 after generation 1, local:a changed [ValueChanged]
          0.0 publish b 020202020202 after generation 2, local:a changed [ValueChanged]
          0.0 publish c 020202020202 after generation 3, local:a changed [ValueChanged]
          2.0 signal HUP to b-1, it started with generation 2, current is 5 [ValueChanged]
    "#]],
    );
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/NotSupportedYet: c-1 runs with an old value; recreate and rollout are not done yet
        Ready=False/NotSupportedYet: c-1 runs with an old value; recreate and rollout are not done yet
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]].assert_eq(&w.conditions("c"));
}

#[test]
fn a_hook_comes_before_its_dependants_delivery() {
    let mut w = World::new();
    w.service("db", hook(), &["a"])
        .service("api", Auto, &["a"])
        .service("other", Auto, &["b"]);
    w.depends("api", "db", false)
        .depends("other", "db", false)
        .settled()
        .set("a", 2)
        .set("b", 2);
    check_story(
        &mut w,
        expect![[r#"
          0.0 publish db 020202020202 after generation 2, local:a changed [ValueChanged]
          0.0 publish other 020202020202 after generation 3, local:b changed [ValueChanged]
          2.0 exec in db-1 ["psql", "-f", "rotate.sql"], its content changed [HookDue]
          2.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
          2.0 stop other-1, it started with generation 3, current is 5 [ValueChanged]
          2.2 start other-1, it started with generation 3, current is 5 [RestartUnderWay]
          4.0 stop api-1, it started with generation 1, current is 6 [ValueChanged]
          4.2 start api-1, it started with generation 1, current is 6 [RestartUnderWay]
    "#]],
    );
    assert_eq!(w.current("api"), 2);
}

#[test]
fn a_failing_hook_keeps_dependants_on_the_old_generation() {
    let mut w = World::new();
    w.service("db", hook(), &["a"])
        .service("api", Auto, &["a"])
        .depends("api", "db", false)
        .settled();
    w.hooks_fail = true;
    w.set("a", 2);
    for _ in 0..12 {
        let planned = w.plan();
        w.now = planned
            .wake_at
            .filter(|_| planned.now.is_empty())
            .unwrap_or(w.now)
            .after(ms(1));
        w.apply(planned);
    }
    assert_eq!((w.current("db"), w.current("api")), (2, 1));
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/HookFailed: exit code 1
        Ready=False/HookFailed: exit code 1
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("db"));
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=False/HookPending: the hook of db comes first
        RolledOut=True/AsExpected
        Ready=False/HookPending: the hook of db comes first
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
    w.hooks_fail = false;
    w.settle();
    assert_eq!(w.current("api"), 2);
}

#[test]
fn a_hook_that_may_have_run_runs_again_when_the_value_goes_back() {
    let mut w = World::new();
    w.service("db", hook(), &["a"]).settled();
    w.hooks_fail = true;
    w.set("a", 2);
    for _ in 0..4 {
        let planned = w.plan();
        w.now = planned
            .wake_at
            .filter(|_| planned.now.is_empty())
            .unwrap_or(w.now)
            .after(ms(1));
        w.apply(planned);
    }
    w.hooks_fail = false;
    w.set("a", 1).log.clear();
    w.settle();
    assert_eq!(w.log, ["hook db-1"]);
}

#[test]
fn a_bad_value_is_put_back_and_not_tried_again() {
    for check in [false, true] {
        let mut w = World::new();
        w.service("api", Auto, &["a"]);
        if check {
            w.healthcheck("api");
        }
        w.settled().bad.insert((name("api"), 2));
        w.set("a", 2);
        let expected = if check {
            expect![[r#"
                0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
                2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
                2.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
                63.4 restore api 010101010101 of generation 1 after generation 2, api-1 not healthy within 61 s [BadValue]
                63.4 stop api-1, api-1 not healthy within 61 s [BadValue]
                63.6 start api-1, api-1 not healthy within 61 s [RestartUnderWay]
            "#]]
        } else {
            expect![[r#"
                0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
                2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
                2.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
                14.4 restore api 010101010101 of generation 1 after generation 2, api-1 exited with code 1 [BadValue]
                14.4 start api-1, api-1 exited with code 1 [RestartUnderWay]
            "#]]
        };
        check_story(&mut w, expected);
        assert_eq!(w.current("api"), 1);
        assert_eq!(w.container("api-1").state, ContainerState::Running);
        w.pass_time(secs(3600)).settle();
        assert_eq!(w.log.iter().filter(|l| l.starts_with("start")).count(), 2);
        let expected = if check {
            expect![[r#"
                SourceReady=True/AsExpected
                Resolved=True/AsExpected
                Delivered=True/AsExpected
                RolledOut=False/RolledBack: api-1 not healthy within 61 s with the new content; the last good content was put back
                Ready=False/RolledBack: api-1 not healthy within 61 s with the new content; the last good content was put back
                Stale=False/AsExpected
                Drifted=False/AsExpected
                Paused=False/AsExpected
            "#]]
        } else {
            expect![[r#"
            SourceReady=True/AsExpected
            Resolved=True/AsExpected
            Delivered=True/AsExpected
            RolledOut=False/RolledBack: api-1 exited with code 1 with the new content; the last good content was put back
            Ready=False/RolledBack: api-1 exited with code 1 with the new content; the last good content was put back
            Stale=False/AsExpected
            Drifted=False/AsExpected
            Paused=False/AsExpected
        "#]]
        };
        expected.assert_eq(&w.conditions("api"));
        w.set("a", 3).settle();
        assert_eq!(w.current("api"), 3);
        assert!(
            w.conditions("api").contains("Ready=True"),
            "{}",
            w.conditions("api")
        );
    }
}

#[test]
fn the_order_stops_at_a_bad_value() {
    let mut w = World::new();
    w.service("db", Restart, &["a"])
        .service("api", Auto, &["a"])
        .depends("api", "db", false)
        .settled();
    w.bad.insert((name("db"), 2));
    w.set("a", 2).settle();
    assert!(!w.log.iter().any(|l| l.contains("api")), "{:?}", w.log);
}

#[test]
fn a_clock_that_is_set_back_does_not_put_a_verdict_off() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.bad.insert((name("api"), 2));
    w.set("a", 2);
    while w.container("api-1").state != ContainerState::Exited
        || w.container("api-1").exit_code == 0
    {
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(ms(500)).live();
    }
    w.step_back(secs(600));
    let planned = w.plan();
    w.apply(planned);
    assert_eq!(w.current("api"), 1, "the last good content is put back");
}

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
fn what_a_user_tries_again_while_it_is_put_back_is_tried_once_more_and_not_for_ever() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.bad.insert((name("api"), 2));
    w.set("a", 2);
    while w.current("api") != 2 || w.container("api-1").exit_code != 1 {
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(ms(500)).live();
    }
    while w.current("api") != 1 {
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(ms(500));
    }
    w.memory.retry(&name("api"));
    w.settle();
    assert_eq!(w.current("api"), 1);
    assert_eq!(w.container("api-1").state, ContainerState::Running);
    let starts = w.log.iter().filter(|l| *l == "start api-1").count();
    assert_eq!(starts, 3, "{:?}", w.log);
}

#[test]
fn what_a_user_tries_again_before_it_is_put_back_does_not_stay_down() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).healthcheck("api").settled();
    w.bad.insert((name("api"), 2));
    w.set("a", 2).story_for(secs(30));
    w.pass_time(secs(60));
    // It has failed, and nothing is put back: the engine refuses. Then somebody asks for one more try.
    let planned = w.plan();
    w.memory = planned.memory;
    w.memory.retry(&name("api"));
    w.settle();
    assert_eq!(w.current("api"), 1);
    assert_eq!(w.container("api-1").state, ContainerState::Running);
}

#[test]
fn a_value_that_failed_just_as_the_next_one_came_is_not_held_against_it() {
    let mut w = World::new();
    w.service("db", Auto, &["a"])
        .service("api", Auto, &["a"])
        .depends("api", "db", true)
        .healthcheck("db")
        .settled();
    w.bad.insert((name("db"), 2));
    w.set("a", 2).story_for(secs(30));
    // Nobody has looked for a while: that db has failed and that there is a new value is seen at once.
    w.pass_time(secs(60));
    w.set("a", 3).settle();
    assert_eq!((w.current("db"), w.current("api")), (3, 3));
    assert_eq!(
        w.log,
        [
            "stop db-1",
            "start db-1",
            "stop db-1",
            "start db-1",
            "stop api-1",
            "start api-1"
        ]
    );
    let conditions = w.conditions("db") + &w.conditions("api");
    assert!(!conditions.contains("RolledBack"), "{conditions}");
}

#[test]
fn the_first_check_of_a_slow_healthcheck_is_waited_for() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).healthcheck("api").settled();
    // As an image says it, or the file: start period and interval.
    w.container("api-1").checked_within = Some(secs(90));
    w.bad.insert((name("api"), 2));
    w.set("a", 2);
    check_story(
        &mut w,
        expect![[r#"
            0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
            2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
            2.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
            152.4 restore api 010101010101 of generation 1 after generation 2, api-1 not healthy within 150 s [BadValue]
            152.4 stop api-1, api-1 not healthy within 150 s [BadValue]
            152.6 start api-1, api-1 not healthy within 150 s [RestartUnderWay]
        "#]],
    );
}

#[test]
fn after_a_reboot_rejected_content_is_better_than_none() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).healthcheck("api").settled();
    w.bad.insert((name("api"), 2));
    w.set("a", 2).settle();
    assert_eq!(w.current("api"), 1);
    w.reboot();
    check_story(
        &mut w,
        expect![[r#"
            0.0 publish api 020202020202 after generation 0, there is no generation [FirstDelivery]
        "#]],
    );
    assert_eq!(w.current("api"), 2);
    w.set("a", 3).settle();
    assert_eq!(w.current("api"), 3);
}

#[test]
fn without_an_older_generation_nothing_is_put_back() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.memory.services.clear();
    w.bad.extend([(name("api"), 2), (name("api"), 1)]);
    w.container("api-1").health = Health::Unhealthy;
    w.container("api-1").checked_within = Some(secs(0));
    w.set("a", 2).settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/NotHealthy: api-1 not healthy within 60 s with the new content; there is no older good content to put back
        Ready=False/NotHealthy: api-1 not healthy within 60 s with the new content; there is no older good content to put back
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]].assert_eq(&w.conditions("api"));
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

/// Up to the moment at which a stop of ours has ended.
fn stopped(w: &mut World) {
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    let planned = w.plan();
    w.apply(planned);
    w.pass_time(secs(3));
    let planned = w.plan();
    w.apply(planned);
    assert_eq!(w.log, ["stop api-1"]);
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

#[test]
fn a_clock_that_is_stepped_during_a_restart_neither_leaves_nor_blocks_the_container() {
    for back in [secs(1), secs(600)] {
        // While it is stopping: it ended before it was decided on.
        let mut w = World::new();
        w.steps_back_while_stopping = back;
        stopped(&mut w);
        w.settle();
        assert_eq!(w.log, ["stop api-1", "start api-1"], "{back:?}");
        // Between stop and start: it started before it ended.
        let mut w = World::new();
        stopped(&mut w);
        w.step_back(back);
        w.settle();
        assert_eq!(w.log, ["stop api-1", "start api-1"], "{back:?}");
        w.pass_time(secs(120)).set("a", 3).settle();
        assert_eq!(
            w.log.len(),
            4,
            "the next change restarts it again: {:?}",
            w.log
        );
        assert_eq!(w.memory.intent(&ContainerId("api-1".into())), None);
    }
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_for_as_long_as_that() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    w.settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
    w.step_back(secs(600));
    w.set("a", 3);
    // No longer than the usual pause between two restarts, and what a restart takes.
    for _ in 0..60 {
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(secs(2));
    }
    assert_eq!(w.log.len(), 4, "{:?}", w.log);
    assert_eq!(w.memory.intent(&ContainerId("api-1".into())), None);
}

#[test]
fn holds() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    let planned = w.plan();
    w.apply(planned);
    w.pass_time(secs(3));
    w.observed.gate_open = true;
    check(
        &mut w,
        expect![[r#"
        later: api restart api-1, compose is bringing the project up [GateOpen]
    "#]],
    );
    w.observed.gate_open = false;
    w.observed.last_compose_activity = Some(w.now);
    check(
        &mut w,
        expect![[r#"
            remember
            later: api restart api-1, containers were changed just now; it waits for 5 s without a change, and 60 s at the most [ComposeBusy]
        "#]],
    );
    w.pass_time(secs(6)).policy.act = false;
    check(
        &mut w,
        expect![[r#"
        later: api restart api-1, no controller acts on this project [NoController]
    "#]],
    );
    w.policy.act = true;
    w.observed.paused = true;
    w.set("a", 3);
    check(
        &mut w,
        expect![[r#"
        later: api publish, the project is paused [Paused]
        later: api restart api-1, the project is paused [Paused]
    "#]],
    );
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=False/Paused: the project is paused
        RolledOut=False/Paused: restart api-1: the project is paused
        Ready=False/Paused: the project is paused
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=True/ByUser
    "#]]
    .assert_eq(&w.conditions("api"));
}

#[test]
fn restarts_are_bounded_and_the_bound_widens() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    let begin = w.now;
    let mut at = Vec::new();
    for value in 2..7 {
        w.set("a", value);
        let before = w.log.len();
        w.settle();
        assert_eq!(w.log.len(), before + 2);
        at.push(
            w.container("api-1")
                .started_at
                .unwrap()
                .since(begin)
                .as_secs(),
        );
    }
    expect![[r#"
        [
            2,
            62,
            182,
            422,
            902,
        ]
    "#]]
    .assert_debug_eq(&at);
}

#[test]
fn a_restart_reaches_those_who_asked_for_it() {
    let mut w = World::new();
    w.service("db", Auto, &["a"])
        .plain("web")
        .plain("vpn")
        .plain("idle");
    w.depends("web", "db", true).depends("idle", "db", false);
    w.model("vpn").joins.push(name("db"));
    w.settled().set("a", 2);
    check_story(
        &mut w,
        expect![[r#"
        0.0 publish db 020202020202 after generation 1, local:a changed [ValueChanged]
        2.0 stop db-1, it started with generation 1, current is 2 [ValueChanged]
        2.2 start db-1, it started with generation 1, current is 2 [RestartUnderWay]
        12.4 stop vpn-1, db was restarted with new content [DependencyRestarted]
        12.4 stop web-1, db was restarted with new content [DependencyRestarted]
        12.8 start vpn-1, db was restarted with new content [RestartUnderWay]
        12.8 start web-1, db was restarted with new content [RestartUnderWay]
    "#]],
    );
}

#[test]
fn after_a_reboot_a_first_delivery_restarts_no_dependants() {
    let mut w = World::new();
    w.service("db", Auto, &["a"]).plain("web").plain("vpn");
    w.depends("web", "db", true).settled();
    w.model("vpn").joins.push(name("db"));
    w.reboot();
    w.settle();
    assert!(w.log.is_empty(), "{:?}", w.log);
    // It still counts from then on.
    w.set("a", 2).settle();
    let restarts =
        ["db-1", "vpn-1", "web-1"].map(|it| [format!("stop {it}"), format!("start {it}")]);
    let mut log = w.log.clone();
    log.sort();
    let mut all = restarts.concat();
    all.sort();
    assert_eq!(log, all);
}

#[test]
fn none_does_not_restart_its_dependants() {
    let mut w = World::new();
    w.service("db", Nothing, &["a"])
        .plain("web")
        .depends("web", "db", true)
        .settled()
        .set("a", 2)
        .settle();
    assert!(w.log.is_empty(), "{:?}", w.log);
}

#[test]
fn who_joins_a_namespace_follows_a_rollback_too() {
    let mut w = World::new();
    w.service("db", Auto, &["a"]).plain("vpn");
    w.model("vpn").joins.push(name("db"));
    w.settled().bad.insert((name("db"), 2));
    w.set("a", 2).settle();
    assert_eq!(
        w.log,
        [
            "stop db-1",
            "start db-1",
            "start db-1",
            "stop vpn-1",
            "start vpn-1"
        ]
    );
}

#[test]
fn an_ambiguous_start_is_asked_about() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.stop("api-1");
    w.start("api-1");
    // A gate publishes before anybody has looked at the new run.
    w.pass_time(ms(1500))
        .set("a", 2)
        .publish("api", 1, print(2));
    check_story(
        &mut w,
        expect![[r#"
            1.0 probe api-1, a generation was published just after it started [StartAmbiguous]
            2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
            2.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
        "#]],
    );
}

#[test]
fn an_unknown_start_costs_one_restart() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.memory = Memory::default();
    w.container("api-1").probed = Some(Probed::Unknown);
    check_story(
        &mut w,
        expect![[r#"
          0.0 stop api-1, what it started with cannot be known [StartUnknown]
          0.2 start api-1, what it started with cannot be known [RestartUnderWay]
    "#]],
    );
}

#[test]
fn delivery_waits_for_a_container_that_has_just_started() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.stop("api-1");
    w.start("api-1");
    w.pass_time(ms(300)).set("a", 2);
    check(
        &mut w,
        expect![[r#"
        remember
        later: api publish, api-1 has just started [JustStarted]
    "#]],
    );
}

#[test]
fn others_are_never_touched() {
    let mut w = World::new();
    w.service("api", Auto, &["a"])
        .replica("api", 2)
        .replica("api", 3)
        .replica("api", 4);
    w.container("api-1").has_volume = false;
    w.container("api-2").oneoff = true;
    w.container("api-3").state = ContainerState::Paused;
    w.container("api-4").state = ContainerState::Exited;
    w.settled().set("a", 2).settle();
    assert!(w.log.is_empty());
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/NotMounted: api-1 does not mount the service's volume
        Ready=False/NotMounted: api-1 does not mount the service's volume
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
}

#[test]
fn a_failed_rendering_keeps_the_last_good() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.plan();
    w.seen("api").rendered = Rendered::Failed {
        reason: "EmptyValue".into(),
        message: "compose.yaml:3:5: local:a is empty".into(),
    };
    let planned = w.decide();
    assert!(planned.now.is_empty());
    let text: Vec<_> = planned.report.services[&name("api")]
        .conditions
        .iter()
        .map(ToString::to_string)
        .collect();
    expect![[r#"
        [
            "SourceReady=True/AsExpected",
            "Resolved=False/EmptyValue: compose.yaml:3:5: local:a is empty",
            "Delivered=False/Unresolved: its secrets cannot be read or rendered now",
            "RolledOut=True/AsExpected",
            "Ready=False/EmptyValue: compose.yaml:3:5: local:a is empty",
            "Stale=True/EmptyValue: the last good generation stays",
            "Drifted=False/AsExpected",
            "Paused=False/AsExpected",
        ]
    "#]]
    .assert_debug_eq(&text);
}

#[test]
fn a_clock_step_costs_at_most_one_restart_where_nobody_can_be_asked() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.memory.containers.clear();
    w.container("api-1").has_shim = false;
    w.offset += 10_000_000_000;
    w.settle();
    w.pass_time(secs(7200)).settle();
    assert_eq!(w.log, ["stop api-1", "start api-1"]);
}

#[test]
fn a_start_that_the_engine_refuses_is_retried_and_then_counts_as_a_bad_value() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    w.refused.insert("api-1".into());
    let story = w.story_for(secs(20));
    expect![[r#"
        0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
        2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
        2.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
        3.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
        5.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
        9.2 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
        17.3 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
    "#]]
    .assert_eq(&story);
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/StartFailed: api-1: port is already allocated
        Ready=False/StartFailed: api-1: port is already allocated
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
    let story = w.story_for(secs(200));
    expect![[r#"
        0.0 start api-1, it started with generation 1, current is 2 [RestartUnderWay]
        0.0 restore api 010101010101 of generation 1 after generation 2, api-1 could not be started (port is already allocated) [BadValue]
        0.0 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        1.0 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        3.0 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        7.1 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        15.1 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        31.1 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        63.1 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        123.1 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
        183.1 start api-1, api-1 could not be started (port is already allocated) [RestartUnderWay]
    "#]].assert_eq(&story);
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/StartFailed: api-1: port is already allocated
        Ready=False/StartFailed: api-1: port is already allocated
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
    assert_eq!(w.current("api"), 1);
    // Whoever has the port gives it back.
    w.refused.clear();
    w.settle();
    assert_eq!(w.container("api-1").state, ContainerState::Running);
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/RolledBack: api-1 could not be started (port is already allocated) with the new content; the last good content was put back
        Ready=False/RolledBack: api-1 could not be started (port is already allocated) with the new content; the last good content was put back
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]].assert_eq(&w.conditions("api"));
}

#[test]
fn new_content_is_tried_at_once_where_the_old_could_not_be_started() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    w.refused.insert("api-1".into());
    w.story_for(secs(20));
    w.refused.clear();
    w.set("a", 3).log.clear();
    w.settle();
    assert_eq!(
        (w.current("api"), w.log.as_slice()),
        (3, &["start api-1".to_owned()][..])
    );
    assert!(w.conditions("api").contains("Ready=True"));
}

#[test]
fn a_follower_that_cannot_be_started_is_in_the_projects_conditions() {
    let mut w = World::new();
    w.service("db", Auto, &["a"])
        .plain("web")
        .depends("web", "db", true);
    w.settled().set("a", 2);
    w.refused.insert("web-1".into());
    w.story_for(secs(100));
    let ready = w.plan().report.conditions[4].to_string();
    expect!["Ready=False/StartFailed: web: web-1: port is already allocated"].assert_eq(&ready);
    w.refused.clear();
    w.settle();
    assert_eq!(w.container("web-1").state, ContainerState::Running);
}

#[test]
fn a_stop_that_the_engine_refuses_is_not_tried_in_a_loop() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    w.unstoppable.insert("api-1".into());
    expect![[r#"
        0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
        2.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
        3.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
        5.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
        9.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
        17.0 stop api-1, it started with generation 1, current is 2 [ValueChanged]
    "#]]
    .assert_eq(&w.story_for(secs(20)));
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/StopFailed: api-1: port is already allocated
        Ready=False/StopFailed: api-1: port is already allocated
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
    w.unstoppable.clear();
    w.settle();
    assert!(w.conditions("api").contains("Ready=True"));
}

/// A bad value; meanwhile somebody runs one-off containers in the same project for ever.
#[test]
fn what_happens_to_other_containers_does_not_hide_a_bad_value() {
    let mut w = World::new();
    w.service("api", Auto, &["a"])
        .settled()
        .bad
        .insert((name("api"), 2));
    w.set("a", 2);
    while !w.log.iter().any(|l| l == "start api-1") {
        w.story_for(ms(1));
    }
    w.pass_time(secs(1));
    w.observed.last_compose_activity = Some(w.now);
    w.settle();
    assert_eq!(w.current("api"), 1);
    assert_eq!(w.container("api-1").state, ContainerState::Running);
}

#[test]
fn compose_that_is_never_quiet_holds_a_change_for_a_bounded_time() {
    let mut w = World::new();
    w.service("api", Auto, &["a"])
        .service("web", Signal("HUP".into()), &["a"]);
    w.settled().set("a", 2);
    let begin = w.now;
    while w.log.len() < 3 && w.now.since(begin) < secs(600) {
        w.observed.last_compose_activity = Some(w.now);
        w.story_for(secs(4));
        w.now = w
            .now
            .max(w.observed.last_compose_activity.unwrap().after(secs(4)));
    }
    let at = w.now.since(begin).as_secs();
    assert!((60..=70).contains(&at), "{at}");
    assert_eq!(w.log, ["stop api-1", "signal HUP web-1", "start api-1"]);
    // The next change waits anew.
    w.observed.last_compose_activity = None;
    w.settle();
    w.pass_time(secs(600)).set("a", 3);
    w.story_for(ms(1));
    w.pass_time(secs(3));
    w.observed.last_compose_activity = Some(w.now);
    let planned = w.plan().to_string();
    assert!(planned.contains("restart api-1, containers were changed just now; it waits for 5 s without a change, and 60 s at the most"), "{planned}");
}

#[test]
fn a_stop_has_the_containers_own_grace_period() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled().set("a", 2);
    w.model("api").stop_grace = Some(secs(30));
    let graces = |w: &mut World| {
        let planned = w.plan();
        let grace = planned.now.iter().find_map(|s| match &s.action {
            Action::Stop { grace, .. } => Some(*grace),
            _ => None,
        });
        (
            grace.unwrap(),
            planned
                .memory
                .intent(&ContainerId("api-1".into()))
                .unwrap()
                .deadline
                .since(w.now),
        )
    };
    w.story_for(ms(1));
    w.pass_time(secs(100));
    assert_eq!(graces(&mut w), (secs(30), secs(40)));
    w.container("api-1").stop_grace = Some(secs(120));
    assert_eq!(graces(&mut w), (secs(120), secs(130)));
}

#[test]
fn a_hook_may_take_as_long_as_is_said() {
    for (said, is) in [(None, 60), (Some(secs(300)), 300)] {
        let mut w = World::new();
        w.service("db", hook(), &["a"]);
        w.desired
            .services
            .get_mut(&name("db"))
            .unwrap()
            .on_change
            .timeout = said;
        w.settled().set("a", 2);
        w.story_for(ms(1));
        w.pass_time(secs(3));
        let planned = w.plan();
        let found = planned.now.iter().find_map(|s| match &s.action {
            Action::Exec { timeout, .. } => Some(*timeout),
            _ => None,
        });
        assert_eq!(found, Some(secs(is)));
    }
}

#[test]
fn a_process_that_is_being_asked_is_not_asked_again() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).settled();
    w.stop("api-1");
    w.start("api-1");
    w.pass_time(ms(1500))
        .set("a", 2)
        .publish("api", 1, print(2));
    w.pass_time(secs(2));
    w.container("api-1").probing = true;
    check(
        &mut w,
        expect![[r#"
        remember
        later: api probe api-1, a generation was published just after it started [StartAmbiguous]
    "#]],
    );
}

#[test]
fn what_cannot_be_known_keeps_a_few_for_who_could_read_them() {
    for (shim, kept) in [(true, vec![3, 4, 5]), (false, vec![5])] {
        let mut w = World::new();
        w.service("api", Nothing, &["a"]).settled();
        w.memory.containers.clear();
        w.container("api-1").has_shim = shim;
        w.container("api-1").probed = Some(Probed::Unknown);
        for value in 2..6 {
            w.set("a", value).settle();
        }
        w.memory.services.get_mut(&name("api")).unwrap().accepted = None;
        assert_eq!(w.plan().report.keep[&name("api")], kept);
    }
}

#[test]
fn a_service_that_is_never_acted_on_is_asked_too_so_that_its_volume_does_not_fill() {
    let mut w = World::new();
    w.service("api", Nothing, &["a"]).settled();
    w.stop("api-1");
    w.start("api-1");
    w.pass_time(secs(3)).set("a", 2).publish("api", 1, print(2));
    check_story(
        &mut w,
        expect![[r#"
        1.0 probe api-1, a generation was published just after it started [StartAmbiguous]
    "#]],
    );
    for value in 3..9 {
        w.set("a", value).settle();
    }
    assert_eq!(w.plan().report.keep[&name("api")], [1, 8]);
}

#[test]
fn a_hook_does_not_begin_in_a_container_that_is_being_stopped() {
    let mut w = World::new();
    w.service("db", hook(), &["a"]).settled().set("a", 2);
    let planned = w.plan();
    w.apply(planned);
    w.container("db-1").operation = Some(Operation::Stopping);
    w.pass_time(secs(3));
    check(
        &mut w,
        expect![[r#"
            later: db hook, db-1 is being restarted [HookPending]
        "#]],
    );
}

#[test]
fn a_restart_says_which_secrets_it_was_made_for() {
    let mut w = World::new();
    w.service("api", Auto, &["a", "b"]).settled();
    w.set("a", 2).story_for(ms(1));
    w.set("b", 3).story_for(ms(1));
    w.settle();
    w.pass_time(secs(600));
    w.bad.insert((name("api"), 9));
    w.set("a", 9).settle();
    let mut out = String::new();
    for e in w.memory.events.iter() {
        let changed: Vec<_> = e
            .changed
            .iter()
            .map(|c| {
                let word = |v: &Option<VersionSeen>| v.as_ref().map_or("?".into(), |v| v.0.clone());
                format!("{} {} → {}", c.reference, word(&c.from), word(&c.to))
            })
            .collect();
        out += &format!("{:?}: {}\n", e.kind, changed.join(", "));
    }
    expect![[r#"
        Delivered: 
        Delivered: local:a 1 → 2
        Delivered: local:b 1 → 3
        Restarted: local:a 1 → 2, local:b 1 → 3
        Delivered: local:a 2 → 9
        RestartFailed: local:a 2 → 9
        RolledBack: local:a 9 → 2
    "#]]
    .assert_eq(&out);
}

/// What dependants that share the secret get while a value is bad.
#[test]
fn dependants_of_a_service_with_a_bad_value() {
    // For `restart` the order stops: they are delivered to, as everybody is, and keep running with what they have.
    let mut w = World::new();
    w.service("db", Restart, &["a"])
        .service("api", Auto, &["a"])
        .depends("api", "db", false);
    w.healthcheck("db").healthcheck("api").settled();
    w.bad.insert((name("db"), 2));
    w.set("a", 2);
    check_story(
        &mut w,
        expect![[r#"
            0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
            0.0 publish db 020202020202 after generation 2, local:a changed [ValueChanged]
            2.0 stop db-1, it started with generation 2, current is 4 [ValueChanged]
            2.2 start db-1, it started with generation 2, current is 4 [RestartUnderWay]
            63.4 restore db 010101010101 of generation 2 after generation 4, db-1 not healthy within 61 s [BadValue]
            63.4 stop db-1, db-1 not healthy within 61 s [BadValue]
            63.6 start db-1, db-1 not healthy within 61 s [RestartUnderWay]
        "#]],
    );
    expect![[r#"
        SourceReady=True/AsExpected
        Resolved=True/AsExpected
        Delivered=True/AsExpected
        RolledOut=False/DependencyFailed: restart api-1: db did not come up with its new content
        Ready=False/DependencyFailed: restart api-1: db did not come up with its new content
        Stale=False/AsExpected
        Drifted=False/AsExpected
        Paused=False/AsExpected
    "#]]
    .assert_eq(&w.conditions("api"));
    w.set("a", 3);
    check_story(
        &mut w,
        expect![[r#"
        0.0 publish api 030303030303 after generation 3, local:a changed [ValueChanged]
        0.0 publish db 030303030303 after generation 5, local:a changed [ValueChanged]
        2.0 stop db-1, it started with generation 5, current is 7 [ValueChanged]
        2.2 start db-1, it started with generation 5, current is 7 [RestartUnderWay]
        4.4 stop api-1, it started with generation 1, current is 6 [ValueChanged]
        4.6 start api-1, it started with generation 1, current is 6 [RestartUnderWay]
    "#]],
    );
    // For a hook they are not even delivered to before it has succeeded.
    let mut w = World::new();
    w.service("db", hook(), &["a"])
        .service("api", Auto, &["a"])
        .depends("api", "db", false);
    w.settled().hooks_fail = true;
    w.set("a", 2);
    let story = w.story_for(secs(10));
    expect![[r#"
        0.0 publish db 020202020202 after generation 2, local:a changed [ValueChanged]
        2.0 exec in db-1 ["psql", "-f", "rotate.sql"], its content changed [HookDue]
        4.0 exec in db-1 ["psql", "-f", "rotate.sql"], its content changed [HookDue]
        8.0 exec in db-1 ["psql", "-f", "rotate.sql"], its content changed [HookDue]
    "#]]
    .assert_eq(&story);
    w.hooks_fail = false;
    check_story(
        &mut w,
        expect![[r#"
        0.0 exec in db-1 ["psql", "-f", "rotate.sql"], its content changed [HookDue]
        0.0 publish api 020202020202 after generation 1, local:a changed [ValueChanged]
        2.0 stop api-1, it started with generation 1, current is 4 [ValueChanged]
        2.2 start api-1, it started with generation 1, current is 4 [RestartUnderWay]
    "#]],
    );
}
