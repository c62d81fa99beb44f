//! The figures of docs/benchmarks.md: `make bench`.
//!
//! Each figure stands beside a baseline that was taken in the same run, interleaved with it, because the machine is shared
//! and no absolute time means anything without one. Needs root and an engine on this machine: it reads files through
//! `/proc/PID/root`, and what processes weigh.
//!
//! ```text
//! bench [--write] [--projects N] [PART…]     parts: files restart idle start pass templates check
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench, whose report of a failure is a panic, and which reads the clock and starts programs"
)]

mod check;
mod deliver;
mod idle;
mod pass;
mod start;
mod templates;
mod watch;

use std::path::Path;

use locket_e2e::alloc::Counting;
use locket_e2e::table::Table;

/// What a pass on the fake engine allocates is counted. What runs as a program of its own is not touched by it.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Where the figures are written to, and what they stand between.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
const BEGIN: &str = "<!-- figures, written by `bench --write` -->\n";
const END: &str = "<!-- end of the figures -->\n";

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    // What cargo adds by itself.
    take(&mut words, "--bench");
    let write = take(&mut words, "--write");
    let projects = value(&mut words, "--projects").unwrap_or(10);
    let wants = |part: &str| words.is_empty() || words.iter().any(|w| w == part);
    let mut table = Table::default();
    if wants("files") || wants("restart") {
        let bare = deliver::Bare::connect();
        if wants("files") {
            deliver::files(&mut table, &bare, 300);
        }
        if wants("restart") {
            deliver::restarts(&mut table, &bare, 25);
        }
    }
    if wants("pass") {
        pass::planner(&mut table);
        pass::whole(&mut table, 1, 1);
        pass::whole(&mut table, 100, 10);
        pass::whole(&mut table, 1000, 10);
    }
    if wants("idle") {
        idle::controller(&mut table, projects);
    }
    if wants("start") {
        start::binary(&mut table);
        start::shim(&mut table, 15);
    }
    if wants("templates") {
        templates::rotate(&mut table, 1, 20);
        templates::rotate(&mut table, 1000, 3);
    }
    if wants("check") {
        check::offline(&mut table, 25);
    }
    let text = format!("{}\n\n{}", machine(), table.markdown());
    println!("{text}");
    if write {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page
            .split_once(BEGIN)
            .expect("the page has a place for them");
        let (_, after) = rest.split_once(END).expect("the place has an end");
        std::fs::write(PAGE, format!("{before}{BEGIN}\n{text}\n{END}{after}")).unwrap();
    }
}

fn engine_version() -> String {
    let args = ["version", "--format", "{{.Server.Version}}"];
    let out = std::process::Command::new("docker")
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// What the figures were measured on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|l| l.strip_prefix("model name\t: "));
    let engine = engine_version();
    format!(
        "{cores} cores of {}, Linux {}, Docker Engine {engine}; load at the end: {}.",
        model.unwrap_or("an unknown make"),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg")
            .split(' ')
            .take(3)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn take(words: &mut Vec<String>, flag: &str) -> bool {
    let before = words.len();
    words.retain(|w| w != flag);
    words.len() != before
}

fn value(words: &mut Vec<String>, flag: &str) -> Option<usize> {
    let at = words.iter().position(|w| w == flag)?;
    let found = words.drain(at..(at + 2).min(words.len())).nth(1);
    Some(
        found
            .and_then(|n| n.parse().ok())
            .expect("a number after it"),
    )
}
