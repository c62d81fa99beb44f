//! What a container started with, where that is not known.

use expect_test::expect;
use locket_core::*;
use locket_crds::spec::ChangeAction::{Auto, None as Nothing};

use super::{check, check_story};
use crate::sim::*;

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
