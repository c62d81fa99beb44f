//! Scenarios on a real engine with real Compose, one after the other: `make e2e`.
//!
//! Each one is phrased as what must hold, drives the product by its command line, and looks at states.
//! Those of `both` run on the fake engine as well (`fake.rs`). Those of `scenarios` have no twin there: each file says why.
#![allow(clippy::unwrap_used, reason = "tests")]

mod both;
#[path = "worlds/real.rs"]
mod world;
mod worlds;

mod real {
    crate::both::all_in!(crate::world::RealWorld);
}

mod scenarios {
    mod backend;
    mod binary;
    mod compose;
    mod controller;
    mod crash;
    mod doctor;
    mod editor;
    mod engine;
    mod generate;
    mod hostile_backend;
    mod import;
    mod interrupt;
    mod people;
    mod push;
    mod reach;
    mod refused;
    mod remote;
    mod rotation;
    mod scale;
    mod search;
    mod threats;
    mod trust;
    mod versions;
    mod via_compose;
    mod ways;
    mod without_gate;
}

/// A scenario that nobody named above would never run.
#[test]
fn no_scenario_is_forgotten() {
    let folders = [
        ("scenarios", include_str!("main.rs")),
        ("both", include_str!("both/mod.rs")),
    ];
    for (folder, text) in folders {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(path.join("tests").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let line = format!("mod {};", name.trim_end_matches(".rs"));
            assert!(name == "mod.rs" || text.contains(&line), "{folder}/{name}");
        }
    }
}
