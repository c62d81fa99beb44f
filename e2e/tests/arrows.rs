//! The house's arrows, read from `cargo metadata`: who may depend on whom.
//!
//! The rules are those of docs/architecture.md. If one makes the code ugly, move it there and here, and write an ADR.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crate → crates of ours that it may name; what those may name, it may name as well.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "locket",
        &[
            "locket-controller",
            "locket-providers",
            "locket-render",
            "locket-delivery",
            "locket-shim",
        ],
    ),
    (
        "locket-controller",
        &[
            "locket-engine",
            "locket-runtime",
            "locket-render",
            "locket-delivery",
            "locket-core",
            "locket-provider",
        ],
    ),
    ("locket-providers", &["locket-provider"]),
    ("locket-render", &["locket-provider", "locket-crds"]),
    ("locket-core", &["locket-crds"]),
    ("locket-provider", &["locket-crds"]),
    ("locket-shim", &["locket-delivery"]),
    ("locket-engine", &[]),
    ("locket-runtime", &[]),
    ("locket-delivery", &[]),
    ("locket-crds", &[]),
    ("locket-e2e", &["locket-controller"]),
    ("locket-fuzz", &[]),
];

/// Crate of ours that the tests of every room may name, and nothing of the product.
const FOR_TESTS: &str = "locket-fuzz";

/// Crate of others → the only crates of ours that may name it.
const FENCES: &[(&str, &[&str])] = &[
    ("bollard", &["locket-engine"]),
    ("reqwest", &["locket-providers"]),
    ("age", &["locket-providers"]),
    ("serde-saphyr", &["locket-crds"]),
    ("clap", &["locket"]),
    ("anyhow", &["locket", "locket-e2e"]),
];

/// Crate of ours → crates that must not be anywhere below it.
const ABSENT: &[(&str, &[&str])] = &[
    (
        "locket-delivery",
        &["tokio", "serde", "clap", "tracing", "anyhow"],
    ),
    (
        "locket-shim",
        &["tokio", "serde", "clap", "tracing", "anyhow"],
    ),
    ("locket-core", &["tokio", "bollard", "reqwest", "rustix"]),
    ("locket-crds", &["tokio", "bollard", "reqwest", "rustix"]),
    ("locket-runtime", &["bollard", "reqwest", "rustix"]),
];

/// What `cargo metadata` says, as far as it is asked here.
struct House {
    /// Package id → name.
    names: BTreeMap<String, String>,
    /// Ids of the workspace's own packages.
    ours: BTreeSet<String>,
    /// Id → (id of a dependency, whether a build of the product needs it).
    needs: BTreeMap<String, Vec<(String, bool)>>,
}

impl House {
    fn read() -> Self {
        let out = cargo(&["metadata", "--format-version", "1", "--locked"]);
        let all: Value = serde_json::from_slice(&out).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let list = |v: &Value| v.as_array().unwrap().clone().into_iter();
        Self {
            names: list(&all["packages"])
                .map(|p| (text(&p["id"]), text(&p["name"])))
                .collect(),
            ours: list(&all["workspace_members"])
                .map(|id| text(&id))
                .collect(),
            needs: list(&all["resolve"]["nodes"])
                .map(|node| {
                    let deps = list(&node["deps"]).map(|d| {
                        let product = list(&d["dep_kinds"]).any(|k| k["kind"].is_null());
                        (text(&d["pkg"]), product)
                    });
                    (text(&node["id"]), deps.collect())
                })
                .collect(),
        }
    }

    /// (crate of ours, what it names itself, whether the product needs it).
    fn named(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.ours.iter().flat_map(move |id| {
            self.needs[id].iter().map(move |(dep, product)| {
                (self.names[id].as_str(), self.names[dep].as_str(), *product)
            })
        })
    }
}

/// Names of everything below a crate in a build of that crate alone.
/// `cargo metadata` cannot tell: it turns on what any other room asks of a shared dependency.
fn below(name: &str) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "--edges", "normal"];
    let out = cargo(&[&tree[..], &["--prefix", "none", "-p", name]].concat());
    let text = String::from_utf8(out).unwrap();
    let first = |line: &str| line.split(' ').next().unwrap().to_owned();
    text.lines().map(first).collect()
}

fn cargo(args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO"));
    let out = command
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

/// What a crate may name: its arrows, and theirs.
fn allowed(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let arrows = |name: &str| {
        let line = ARROWS.iter().find(|(from, _)| *from == name);
        line.unwrap_or_else(|| panic!("{name} has no line in ARROWS"))
            .1
    };
    let mut left = arrows(name).to_vec();
    while let Some(to) = left.pop() {
        if found.insert(to) {
            left.extend(arrows(to));
        }
    }
    found
}

#[test]
fn arrows_go_one_way() {
    let house = House::read();
    let own: BTreeSet<&str> = house
        .ours
        .iter()
        .map(|id| house.names[id].as_str())
        .collect();
    assert_eq!(
        own,
        ARROWS.iter().map(|(name, _)| *name).collect(),
        "every crate has its line in ARROWS"
    );
    // A crate's tests may turn on a feature of the crate itself.
    let wrong: Vec<String> = house
        .named()
        .filter(|(from, to, _)| own.contains(to) && from != to && !allowed(from).contains(to))
        .filter(|(_, to, product)| *to != FOR_TESTS || *product)
        .map(|(from, to, _)| format!("{from} → {to}"))
        .collect();
    assert!(wrong.is_empty(), "arrows that run back: {wrong:?}");
}

#[test]
fn what_only_one_room_may_name() {
    let house = House::read();
    let wrong: Vec<String> = house
        .named()
        .filter(|(from, to, product)| {
            *product
                && FENCES
                    .iter()
                    .any(|(name, rooms)| name == to && !rooms.contains(from))
        })
        .map(|(from, to, _)| format!("{from} names {to}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_must_not_be_below_a_room() {
    let mut wrong = Vec::new();
    for (room, absent) in ABSENT {
        let below = below(room);
        let found = absent.iter().filter(|name| below.contains(**name));
        wrong.extend(found.map(|name| format!("{name} is below {room}")));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn nothing_of_the_fake_is_in_the_product() {
    let tree = ["tree", "--locked", "--edges", "normal,features"];
    let out = cargo(&[&tree[..], &["--prefix", "none", "-p", "locket"]].concat());
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("locket-engine feature"), "features are shown");
    let fakes: Vec<&str> = text.lines().filter(|l| l.contains("\"fake\"")).collect();
    assert!(fakes.is_empty(), "{fakes:?}");
}
