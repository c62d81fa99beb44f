//! The machine stops, or the volume is full, before every single change of a file.

use super::tests::{Bed, K, bed, generation, known, swap};
use super::*;
use crate::clock::now;
use crate::dir::fault;
use crate::generation::Update;

/// More steps than any publish here takes.
const ENOUGH: u32 = 1000;

/// What comes before, and what is published then.
fn cases() -> Vec<(&'static str, Option<Generation>, Generation)> {
    use Update::{Inplace, Rename, Swap};
    vec![
        ("the first", None, swap(&[("a", "new"), ("d/b", "new")])),
        (
            "same names",
            Some(swap(&[("a", "old"), ("d/b", "old")])),
            swap(&[("a", "new"), ("d/b", "new")]),
        ),
        (
            "names come and go",
            Some(swap(&[("a", "old"), ("d/b", "old")])),
            swap(&[("a", "new"), ("e/f/c", "new")]),
        ),
        (
            "a file becomes a directory",
            Some(swap(&[("a", "old")])),
            swap(&[("a/b", "new")]),
        ),
        (
            "a directory becomes a file",
            Some(swap(&[("a/b", "old")])),
            swap(&[("a", "new")]),
        ),
        (
            "rename and inplace",
            Some(generation(&[
                ("r", "old", 0o444, Rename),
                ("i", "old", 0o444, Inplace),
                ("x/y", "old", 0o444, Inplace),
            ])),
            generation(&[
                ("r", "new", 0o444, Rename),
                ("i", "new", 0o400, Inplace),
                ("z/y", "new", 0o444, Inplace),
            ]),
        ),
        (
            "modes change",
            Some(generation(&[
                ("a", "old", 0o444, Rename),
                ("b", "old", 0o444, Swap),
                ("c", "old", 0o444, Inplace),
            ])),
            generation(&[
                ("a", "new", 0o444, Inplace),
                ("b", "new", 0o444, Rename),
                ("c", "new", 0o444, Swap),
            ]),
        ),
        (
            "the same content",
            Some(swap(&[("a", "same")])),
            swap(&[("a", "same")]),
        ),
    ]
}

fn start(before: Option<&Generation>) -> (Bed, u64) {
    let bed = bed();
    let seq = before.map_or(0, |g| bed.publish(0, g).seq);
    (bed, seq)
}

/// What an app reads through the one link that decides.
fn visible(bed: &Bed) -> Option<String> {
    bed.sees("..data/env")
}

/// Everything on the volume agrees with one of the two, and the log says which. True if it is the new one.
fn agrees_with_one(
    bed: &Bed,
    before: Option<&Generation>,
    new: &Generation,
    expect: u64,
    what: &str,
) -> bool {
    let log = bed.log();
    let seq = log.last().map_or(0, |e| e.seq);
    let is_new = seq > expect;
    let generation = if is_new { Some(new) } else { before };
    assert_eq!(
        log.last().map(|e| e.fingerprint),
        generation.map(|g| fingerprint(&K, g)),
        "{what}"
    );
    let verdict = if generation.is_some() {
        Verdict::Intact
    } else {
        Verdict::Empty
    };
    assert_eq!(bed.verify(), verdict, "{what}");
    for file in generation.iter().flat_map(|g| &g.files) {
        let seen = bed.sees(&file.path).map(String::into_bytes);
        assert_eq!(
            seen.as_deref(),
            Some(&**file.bytes),
            "{what}: {}",
            file.path
        );
    }
    let mut home: Vec<String> = log.iter().map(|e| e.seq.to_string()).collect();
    home.extend((!log.is_empty()).then(|| "log".to_owned()));
    assert_eq!(bed.home(), home, "{what}: leftovers");
    let names = |g: &Generation| {
        g.files
            .iter()
            .map(|f| f.path.split('/').next().unwrap().to_owned())
            .collect()
    };
    let mut names: Vec<String> = generation.map_or(Vec::new(), names);
    names.extend(
        (bed.volume.root.names().unwrap().contains(&HOME.to_owned())).then(|| HOME.to_owned()),
    );
    names.extend(generation.map(|_| CURRENT.to_owned()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        bed.volume.root.names().unwrap(),
        names,
        "{what}: dead names"
    );
    is_new
}

#[test]
fn a_crash_at_any_step_leaves_one_of_the_two_and_the_log_tells_which() {
    for (name, before, new) in cases() {
        let mut ends = Vec::new();
        for steps in 0..ENOUGH {
            let what = format!("{name}, {steps} steps");
            let (bed, expect) = start(before.as_ref());
            let earlier = now();
            let old = visible(&bed);
            let (result, stopped) =
                fault::after(steps, || bed.volume.publish(&known(), expect, &new));
            assert!(stopped || result.is_ok(), "{what}");
            // Before anybody repairs anything.
            let env = String::from_utf8(new.env_bytes().to_vec()).unwrap();
            let seen = visible(&bed);
            assert!(seen == old || seen == Some(env), "{what}");
            let is_new = agrees_with_one(&bed, before.as_ref(), &new, expect, &what);
            assert!(
                is_new || result.is_err(),
                "{what}: what was promised is gone"
            );
            if let Some(entry) = bed.log().last().filter(|_| is_new) {
                assert!(
                    entry.at.realtime >= earlier.realtime && entry.at.realtime <= now().realtime,
                    "{what}"
                );
            }
            ends.push(is_new);
            let current = bed.log().last().map_or(0, |e| e.seq);
            bed.publish(current, &new);
            assert!(agrees_with_one(&bed, before.as_ref(), &new, current, &what));
            if !stopped {
                break;
            }
        }
        assert!(
            ends.len() < ENOUGH as usize && ends.is_sorted(),
            "{name}: {ends:?}"
        );
        assert!(
            ends.contains(&false) && ends.iter().filter(|e| **e).count() > 1,
            "{name}: {ends:?}"
        );
    }
}

#[test]
fn a_crash_during_the_repair_is_repaired_too() {
    for (name, before, new) in cases() {
        for steps in (0..ENOUGH).step_by(3) {
            for repair in (0..ENOUGH).step_by(2) {
                let what = format!("{name}, {steps} and {repair} steps");
                let (bed, expect) = start(before.as_ref());
                let (_, stopped) =
                    fault::after(steps, || bed.volume.publish(&known(), expect, &new));
                let (_, again) = fault::after(repair, || bed.volume.log(&known()));
                agrees_with_one(&bed, before.as_ref(), &new, expect, &what);
                if !stopped {
                    return;
                }
                if !again {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_full_volume_at_any_step_leaves_the_old_generation() {
    for (name, before, new) in cases() {
        for steps in 0..ENOUGH {
            let what = format!("{name}, {steps} steps");
            let (bed, expect) = start(before.as_ref());
            let (result, failed) =
                fault::once(steps, || bed.volume.publish(&known(), expect, &new));
            let is_new = agrees_with_one(&bed, before.as_ref(), &new, expect, &what);
            match result {
                Ok(entry) => assert!(is_new && bed.log().last() == Some(&entry), "{what}"),
                Err(refusal) => assert!(!is_new && refusal.kind == RefusalKind::NoSpace, "{what}"),
            }
            if !failed {
                break;
            }
        }
    }
}

/// A volume that was swapped and settled, but not logged, and the clocks before that.
fn swapped() -> (Bed, Stamp) {
    for steps in 0..ENOUGH {
        let (bed, before) = (bed(), now());
        let _ = fault::after(steps, || {
            bed.volume.publish(&known(), 0, &swap(&[("a", "1")]))
        });
        if visible(&bed).is_some() && bed.sees("a").is_some() {
            assert!(bed.sees(".locket/log").is_none());
            return (bed, before);
        }
    }
    panic!("it was never swapped");
}

#[test]
fn an_entry_that_was_lost_gets_the_time_of_the_swap_unless_a_clock_was_set() {
    const HOUR: u64 = 3_600_000_000_000;
    let later = |realtime, boottime| {
        let now = now();
        Stamp {
            realtime: now.realtime + realtime,
            boottime: now.boottime + boottime,
        }
    };
    let (bed, before) = swapped();
    let (log, _) = bed
        .volume
        .log(&Known {
            clock: &|| later(HOUR, HOUR),
            ..known()
        })
        .unwrap();
    let (at, after) = (log[0].at, now());
    // Each clock was read after the other: a millisecond is far more than lies between.
    assert!(
        before.realtime <= at.realtime && at.realtime <= after.realtime + 10_000_000,
        "{at:?}"
    );
    assert!(
        before.boottime <= at.boottime + 1_000_000 && at.boottime <= after.boottime + 11_000_000,
        "{at:?}"
    );

    let (bed, _) = swapped();
    let stepped = later(2 * HOUR, HOUR);
    let (log, _) = bed
        .volume
        .log(&Known {
            clock: &|| stepped,
            ..known()
        })
        .unwrap();
    assert_eq!(log[0].at, stepped);
}

#[test]
fn a_crash_while_pruning_or_clearing_is_repaired() {
    for steps in 0..ENOUGH {
        let (bed, _) = start(Some(&swap(&[("a", "1")])));
        bed.publish(1, &swap(&[("a", "2")]));
        let (_, stopped) = fault::after(steps, || bed.volume.prune(&known(), &[]));
        let seqs: Vec<String> = bed.log().iter().map(|e| e.seq.to_string()).collect();
        assert!(seqs == ["1", "2"] || seqs == ["2"], "{steps}");
        let home: Vec<String> = seqs.into_iter().chain(["log".to_owned()]).collect();
        assert_eq!(
            (bed.home(), bed.verify()),
            (home, Verdict::Intact),
            "{steps}"
        );
        if !stopped {
            break;
        }
    }
    for steps in 0..ENOUGH {
        let (bed, _) = start(Some(&swap(&[("a", "1"), ("d/b", "1")])));
        let (_, stopped) = fault::after(steps, || bed.volume.clear());
        // It is there as a whole, or it is not there at all for who looks through the link.
        let seen = bed.sees("..data/env");
        assert!(seen.is_none() || bed.verify() == Verdict::Intact, "{steps}");
        bed.volume.clear().unwrap();
        assert_eq!(
            (bed.verify(), bed.home()),
            (Verdict::Empty, vec![]),
            "{steps}"
        );
        if !stopped {
            break;
        }
    }
}

#[test]
fn a_tmpfs_that_is_full_says_so_and_can_be_used_on() {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    let dir = tempfile::tempdir().unwrap();
    // Only this thread sees the mount, and it goes with it.
    // SAFETY: changes the mounts of the calling thread and no memory.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return; // Not root; the test above fills the volume at every step.
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let mounted = mount_change("/", private).and_then(|()| {
        mount(
            "tmpfs",
            dir.path(),
            "tmpfs",
            MountFlags::empty(),
            c"size=352k",
        )
    });
    if mounted.is_err() {
        return; // A container without the right to mount.
    }
    let volume = Volume::open(dir.path(), false).unwrap().unwrap();
    let content = "x".repeat(100_000);
    let (small, large) = (swap(&[("a", "1")]), swap(&[("a", &content)]));
    volume.publish(&known(), 0, &small).unwrap();
    volume.publish(&known(), 1, &large).unwrap();
    let refused = volume.publish(&known(), 2, &large);
    let refused = refused.and_then(|_| volume.publish(&known(), 3, &large));
    assert_eq!(refused.unwrap_err().kind, RefusalKind::NoSpace);
    assert_eq!(volume.verify(&known()).unwrap(), Verdict::Intact);
    let current = volume.log(&known()).unwrap().0.last().unwrap().seq;
    // What cannot be written in place is noticed before anything can be seen of it.
    let inplace = generation(&[("a", &content, 0o444, Update::Inplace)]);
    volume.prune(&known(), &[]).unwrap();
    assert_eq!(
        volume
            .publish(&known(), current, &inplace)
            .unwrap_err()
            .kind,
        RefusalKind::NoSpace
    );
    assert_eq!(volume.verify(&known()).unwrap(), Verdict::Intact);
    volume.publish(&known(), current, &small).unwrap();
    volume.prune(&known(), &[]).unwrap();
    volume.publish(&known(), current + 1, &inplace).unwrap();
    assert_eq!(volume.verify(&known()).unwrap(), Verdict::Intact);
}
