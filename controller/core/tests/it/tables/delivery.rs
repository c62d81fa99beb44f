//! What is published when, and what is left alone.

use expect_test::expect;
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, None as Nothing};

use super::{check, check_story, hook};
use crate::sim::*;

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
