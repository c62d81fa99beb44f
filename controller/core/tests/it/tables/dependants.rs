//! Who follows a restart of another service.

use expect_test::expect;
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, None as Nothing};

use super::check_story;
use crate::sim::*;

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
