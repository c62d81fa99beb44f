//! When containers are restarted, how many at once, and how often.

use expect_test::expect;
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, None as Nothing, Restart, Rollout, Signal};

use super::{check, check_story};
use crate::sim::*;

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

/// A container that joins another's network cannot be started while that one is down.
#[test]
fn while_compose_has_made_what_it_has_not_started_nothing_is_restarted_under_it() {
    let mut w = World::new();
    w.service("api", Auto, &["a"]).plain("joined");
    w.settled().set("a", 2);
    w.container("joined-1").state = ContainerState::Created;
    // Longer than a change waits otherwise.
    for _ in 0..25 {
        w.observed.last_compose_activity = Some(w.now);
        let planned = w.plan();
        assert!(!planned.to_string().contains("stop api-1"), "{planned}");
        w.apply(planned);
        w.pass_time(secs(4));
    }
    w.container("joined-1").state = ContainerState::Running;
    w.observed.last_compose_activity = Some(w.now);
    w.story_for(secs(4));
    assert_eq!(w.log.first().map(String::as_str), Some("stop api-1"));
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
