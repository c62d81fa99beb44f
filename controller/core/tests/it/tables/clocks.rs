//! Clocks that are set.

use locket_core::*;
use locket_crds::spec::ChangeAction::Auto;

use super::stopped;
use crate::sim::*;

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
