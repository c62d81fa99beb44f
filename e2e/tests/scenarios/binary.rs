//! The program itself: one static file, small, quick to start.
//! No twin on the fake engine: there is no program in it.

use std::process::Command;
use std::time::{Duration, Instant};

use locket_e2e::binary;

/// The goal is 8 MiB; docs/benchmarks.md says where it stands. This keeps it from growing unseen.
const BUDGET: usize = 13 << 20;

#[test]
fn the_binary_is_static_and_within_its_budget() {
    let program = std::fs::read(binary()).unwrap();
    assert!(
        program.len() <= BUDGET,
        "{} bytes, the budget is {BUDGET}",
        program.len()
    );
    // Program headers of a 64-bit ELF file; a segment of type 3 names a dynamic loader.
    let word = |at: usize| u64::from_le_bytes(program[at..at + 8].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes([program[at], program[at + 1]]));
    let (table, size, count) = (usize::try_from(word(32)).unwrap(), half(54), half(56));
    let kinds = (0..count).map(|i| program[table + i * size]);
    assert!(
        !kinds.into_iter().any(|kind| kind == 3),
        "it needs a dynamic loader"
    );
}

#[test]
fn the_version_comes_at_once() {
    let once = || {
        let begin = Instant::now();
        let out = Command::new(binary()).arg("--version").output().unwrap();
        assert!(out.status.success());
        let text = String::from_utf8(out.stdout).unwrap();
        assert_eq!(text.trim(), format!("locket {}", env!("CARGO_PKG_VERSION")));
        begin.elapsed()
    };
    // Fork and exec included, and other programs run: the best of some.
    let best = (0..20).map(|_| once()).min().unwrap();
    assert!(best < Duration::from_millis(10), "{best:?}");
}
