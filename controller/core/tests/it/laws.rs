//! What holds for every world and every history.

use locket_core::*;
use locket_crds::spec::ChangeAction;
use proptest::prelude::*;

use crate::sim::*;

/// Something that happens between passes.
#[derive(Debug, Clone)]
enum Event {
    /// A secret gets a value.
    Set(usize, u8),
    /// Time goes by.
    Time(u64),
    /// A pass, wholly carried out.
    Pass,
    /// A pass of which only the first steps were carried out, and whose results are lost.
    Crash(usize),
    /// A user restarts a container that runs.
    Restart(usize),
    /// The engine does not start or stop a container for a while, or does again.
    Refuse(usize, bool),
    /// Compose opens or closes its gate.
    Gate(bool),
}

const SERVICES: [&str; 3] = ["db", "api", "web"];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..2usize, 1..4u8).prop_map(|(s, v)| Event::Set(s, v)),
        3 => (1..5000u64).prop_map(Event::Time),
        4 => Just(Event::Pass),
        2 => (0..3usize).prop_map(Event::Crash),
        1 => (0..3usize).prop_map(Event::Restart),
        1 => (0..3usize, any::<bool>()).prop_map(|(s, b)| Event::Refuse(s, b)),
        1 => any::<bool>().prop_map(Event::Gate),
    ]
}

fn action() -> impl Strategy<Value = ChangeAction> {
    prop_oneof![
        Just(ChangeAction::Auto),
        Just(ChangeAction::None),
        Just(ChangeAction::Signal("HUP".into())),
        Just(ChangeAction::Exec(vec!["hook".into()])),
        Just(ChangeAction::Restart),
    ]
}

fn world(actions: &[ChangeAction; 3], health: bool, tie: bool) -> World {
    let mut w = World::new();
    for (service, action) in SERVICES.iter().zip(actions) {
        w.service(service, action.clone(), &["a"]);
        if health {
            w.healthcheck(service);
        }
    }
    w.service("web", actions[2].clone(), &["b"])
        .observed
        .containers
        .pop();
    w.replica("api", 2)
        .depends("api", "db", tie)
        .depends("web", "api", tie);
    if health {
        w.healthcheck("api");
    }
    w.plain("bystander").settled();
    w
}

fn happen(w: &mut World, event: &Event) {
    match event {
        Event::Set(s, v) => drop(w.set(["a", "b"][*s], *v)),
        Event::Time(n) => {
            w.pass_time(ms(*n)).live();
        }
        Event::Pass => {
            let planned = w.plan();
            w.apply(planned);
        }
        Event::Crash(steps) => {
            let planned = w.plan();
            w.observed.results.clear();
            w.apply_first(planned, *steps);
            w.observed.results.clear();
        }
        Event::Restart(i) => {
            let id = format!("{}-1", SERVICES[*i]);
            if w.container(&id).state == ContainerState::Running {
                w.stop(&id);
                // The engine tells of it. Without that nobody could tell it from a crash that a restart policy has mended.
                let now = w.now;
                w.container(&id).touched = Some(now);
                w.start(&id);
                w.log.clear();
            }
        }
        Event::Refuse(i, yes) => {
            let id = format!("{}-1", SERVICES[*i]);
            if *yes {
                w.refused.insert(id.clone());
                w.unstoppable.insert(id);
            } else {
                w.refused.remove(&id);
                w.unstoppable.remove(&id);
            }
        }
        Event::Gate(open) => w.observed.gate_open = *open,
    }
    w.observed.last_compose_activity = None;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happened, it comes to rest; then everything has what it should have and everything runs.
    #[test]
    fn it_converges(
        actions in [action(), action(), action()],
        health in any::<bool>(),
        tie in any::<bool>(),
        events in prop::collection::vec(event(), 0..14),
    ) {
        let mut w = world(&actions, health, tie);
        events.iter().for_each(|e| happen(&mut w, e));
        w.observed.gate_open = false;
        w.refused.clear();
        w.unstoppable.clear();
        w.settle();
        w.pass_time(secs(7200)).settle();
        for (service, secret) in SERVICES.iter().zip(["a", "a", "b"]) {
            let value = w.values[&format!("local:{secret}").parse().unwrap()];
            prop_assert_eq!(w.current(service), value, "{}", service);
            let text = w.conditions(service);
            prop_assert!(text.contains("Ready=True"), "{service}\n{text}");
        }
        prop_assert!(w.observed.containers.iter().all(|it| it.state == ContainerState::Running));
        prop_assert!(!w.log.iter().any(|l| l.contains("bystander")));
        // At rest, hints do nothing.
        let planned = w.plan();
        prop_assert!(planned.now.is_empty(), "{planned}");
    }

    /// Without a change of a value there is no disruption, whoever restarts what and whenever we look.
    #[test]
    fn no_disruption_without_a_change(
        actions in [action(), action(), action()],
        events in prop::collection::vec(event().prop_filter("no change", |e| !matches!(e, Event::Set(..) | Event::Restart(_))), 0..14),
    ) {
        let mut w = world(&actions, true, true);
        events.iter().for_each(|e| happen(&mut w, e));
        w.observed.gate_open = false;
        w.refused.clear();
        w.unstoppable.clear();
        w.settle();
        prop_assert!(w.log.is_empty(), "{:?}", w.log);
    }

    /// A value that does not come up ends with the old one serving, whatever crashes meanwhile.
    #[test]
    fn a_bad_value_ends_with_the_old_one(health in any::<bool>(), crashes in prop::collection::vec(0..3usize, 0..10)) {
        let mut w = World::new();
        w.service("api", ChangeAction::Auto, &["a"]).replica("api", 2);
        if health {
            w.healthcheck("api");
        }
        w.settled().bad.insert((name("api"), 2));
        w.set("a", 2);
        for steps in crashes {
            happen(&mut w, &Event::Crash(steps));
            happen(&mut w, &Event::Time(1500));
        }
        w.settle();
        w.pass_time(secs(7200)).settle();
        prop_assert_eq!(w.current("api"), 1);
        prop_assert!(w.observed.containers.iter().all(|it| it.state == ContainerState::Running), "{:?}", w.log);
        prop_assert!(w.log.iter().filter(|l| l.starts_with("start")).count() <= 3, "{:?}", w.log);
    }
}
