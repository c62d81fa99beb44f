//! What the fuzz targets of all rooms share. Tests only.
//!
//! A target is a property of bytes: it panics when something is wrong, and says whether the bytes were accepted.
//! It lies in its room's folder `fuzz`, its corpus in `fuzz/__fuzz__/<target>/corpus`, a file an input.
//!
//! [`target!`] makes a test of it. `cargo test` replays the corpus and goes on for a second or two with random bytes and with
//! [`edits`] of the corpus; `make fuzz TARGET=…` runs the same property under libFuzzer, guided by coverage.
//! [`growth`] is for what fuzzing does not find: work that grows faster than its input.
#![deny(missing_docs)]
#![allow(clippy::unwrap_used, reason = "tests only")]

pub mod edits;
pub mod growth;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub use bolero;

/// A property of bytes; true if they were accepted.
pub type Property = fn(&[u8]) -> bool;

/// What `bolero::check!` makes.
pub type Check =
    bolero::TestTarget<bolero::ByteSliceGenerator, bolero::DefaultEngine, bolero::BorrowedInput>;

/// Inputs of one kind in `cargo test`, at most. libFuzzer has its own limits.
const INPUTS: usize = 4000;
/// Time for inputs of one kind in `cargo test`, at most.
const TIME: Duration = Duration::from_millis(800);

/// Makes a test of a property.
///
/// The file `words` beside the corpus holds what the grammar knows, to be put in where chance would not find it. `reach` is the least share, in percent, of edited
/// inputs that must be accepted: a target that only ever sees the first check refuse tests nothing behind it.
#[macro_export]
macro_rules! target {
    ($name:ident, reach: $reach:literal, $property:path $(,)?) => {
        #[test]
        fn $name() {
            let name = stringify!($name);
            let folder = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/fuzz/__fuzz__/",
                stringify!($name)
            );
            $crate::bytes($crate::bolero::check!(name = name), $property);
            let edits = $crate::edits::Edits::of(folder);
            $crate::edited(
                $crate::bolero::check!(name = name),
                edits,
                $reach,
                $property,
            );
        }
    };
}

/// Replays the corpus and tries random bytes. Under libFuzzer this is all, and does not return.
pub fn bytes(check: Check, property: Property) {
    // A limit in time might leave out a part of the corpus.
    check
        .with_iterations(INPUTS / 8)
        .for_each(move |bytes: &[u8]| {
            property(bytes);
        });
}

/// Tries what is near the corpus.
///
/// # Panics
/// Also if less than `reach` percent was accepted.
pub fn edited(check: Check, edits: edits::Edits, reach: usize, property: Property) {
    let (all, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let check = check.with_iterations(INPUTS).with_test_time(TIME);
    check.with_generator(edits).for_each(|input| {
        all.fetch_add(1, Relaxed);
        accepted.fetch_add(property(&input.0).into(), Relaxed);
    });
    let (all, accepted) = (all.into_inner(), accepted.into_inner());
    println!("{accepted} of {all} edited inputs were accepted");
    assert!(
        accepted * 100 >= all * reach,
        "less than {reach} % reach what lies behind"
    );
}
