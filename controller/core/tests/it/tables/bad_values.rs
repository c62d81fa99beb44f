//! Content that does not come up: put back, and not tried again.

use expect_test::expect;
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, Restart};

use super::{check_story, hook};
use crate::sim::*;

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
fn who_goes_on_with_a_value_that_was_put_back_elsewhere_is_told() {
    let mut w = World::new();
    w.service("api", Auto, &["a"])
        .service("mailer", Auto, &["a", "b"])
        .service("cron", Auto, &["b"])
        .settled();
    w.bad.insert((name("api"), 2));
    w.set("a", 2).settle();
    let told = |w: &mut World| {
        let all = w.conditions("api");
        let line = all.lines().find(|it| it.starts_with("RolledOut"));
        line.unwrap().to_owned()
    };
    expect!["RolledOut=False/RolledBack: api-1 exited with code 1 with the new content; the last good content was put back; still with the new value: mailer"].assert_eq(&told(&mut w));
    assert!(w.conditions("mailer").contains("Ready=True"));
    // The same once more.
    w.memory.retry(&name("api"));
    w.settle();
    assert!(told(&mut w).ends_with("still with the new value: mailer"));
    w.set("a", 3).settle();
    assert_eq!(told(&mut w), "RolledOut=True/AsExpected");
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
    // The project tells the cause, and not who waits for it.
    let all = w.plan().report.conditions;
    let it = all
        .iter()
        .find(|it| it.kind == report::ConditionKind::RolledOut);
    let it = it.unwrap();
    assert_eq!(it.reason, "RolledBack");
    assert!(it.message.starts_with("db: db-1 exited"), "{}", it.message);
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
