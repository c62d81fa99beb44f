//! Exec hooks: before their dependants, once, and again when nobody knows.

use expect_test::expect;
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, Signal};

use super::{check, check_story, hook};
use crate::sim::*;

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

/// The memory was written, and its answer was lost: the same results come again.
#[test]
fn a_result_that_comes_again_acknowledges_nothing_else() {
    let signal = Signal("HUP".into());
    for (action, log) in [(hook(), "hook db-1"), (signal, "signal HUP db-1")] {
        let mut w = World::new();
        w.service("db", action, &["a"]).settled().set("a", 2);
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(secs(3));
        let planned = w.plan();
        w.apply(planned);
        assert_eq!(w.log, [log]);
        let result = std::mem::take(&mut w.observed.results);
        // Before it is known how that went, the next content is published and settles.
        w.container("db-1").operation = Some(Operation::Hook);
        w.set("a", 3);
        let planned = w.plan();
        w.apply(planned);
        w.pass_time(secs(5));
        assert_eq!(w.current("db"), 3);
        // One pass takes the result and begins the next one; of that, only the memory is written.
        w.container("db-1").operation = None;
        w.observed.results = result.clone();
        let planned = w.plan();
        w.apply_first(planned, 1);
        w.observed.results = result;
        let planned = w.plan();
        w.apply(planned);
        w.settle();
        assert_eq!(w.log, [log, log]);
    }
}
