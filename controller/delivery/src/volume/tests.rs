use std::cell::Cell;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::clock::now;
use crate::generation::{GenFile, Update};

pub(super) const K: [u8; 32] = [7; 32];

pub(super) fn known() -> Known<'static> {
    Known {
        key: &K,
        clock: &now,
        given: &|| Ok(0),
    }
}

/// A volume in a directory of its own.
pub(super) struct Bed {
    dir: TempDir,
    pub(super) volume: Volume,
}

pub(super) fn bed() -> Bed {
    // Where there is one, in memory as volumes are: a disk is slow to make thousands of directories.
    let shm = std::path::Path::new("/dev/shm");
    let dir = match shm.is_dir() {
        true => tempfile::tempdir_in(shm).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let volume = Volume::open(dir.path(), true).unwrap().unwrap();
    Bed { dir, volume }
}

impl Bed {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What an app reads at a name; `None` when it can read nothing.
    pub(super) fn sees(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    pub(super) fn publish(&self, expect: u64, generation: &Generation) -> Entry {
        self.volume.publish(&known(), expect, generation).unwrap()
    }

    pub(super) fn verify(&self) -> Verdict {
        self.volume.verify(&known()).unwrap()
    }

    pub(super) fn log(&self) -> Vec<Entry> {
        let (entries, key_matches) = self.volume.log(&known()).unwrap();
        assert!(key_matches);
        entries
    }

    fn seqs(&self) -> Vec<u64> {
        self.log().iter().map(|e| e.seq).collect()
    }

    /// The names in our directory, sorted.
    pub(super) fn home(&self) -> Vec<String> {
        self.volume
            .root
            .dir(HOME)
            .map_or(Vec::new(), |home| home.names().unwrap())
    }
}

/// Files by path, content, mode and update, and a variable for each that says what generation it is.
pub(super) fn generation(files: &[(&str, &str, u32, Update)]) -> Generation {
    let owner = Owner::of_process(0);
    let file = |(path, content, mode, update): &(&str, &str, u32, Update)| GenFile {
        path: (*path).into(),
        bytes: Zeroizing::new((*content).into()),
        mode: *mode,
        uid: owner.uid,
        gid: owner.gid,
        update: *update,
    };
    let all: String = files.iter().map(|f| f.1).collect();
    Generation {
        files: files.iter().map(file).collect(),
        env: vec![("ALL".into(), Zeroizing::new(all.into()))],
    }
}

pub(super) fn swap(files: &[(&str, &str)]) -> Generation {
    generation(
        &files
            .iter()
            .map(|(path, content)| (*path, *content, 0o444, Update::Swap))
            .collect::<Vec<_>>(),
    )
}

fn kind(result: Result<Entry, Refusal>) -> RefusalKind {
    result.unwrap_err().kind
}

#[test]
fn a_generation_is_visible_whole_with_owners_and_modes() {
    let bed = bed();
    let mut g = generation(&[
        ("a", "1", 0o440, Update::Swap),
        ("tls/key.pem", "2", 0o400, Update::Swap),
    ]);
    if rustix::process::geteuid().is_root() {
        (g.files[0].uid, g.files[0].gid) = (1000, 1001);
    }
    let entry = bed.publish(0, &g);
    assert_eq!(entry.seq, 1);
    assert_eq!(entry.fingerprint, fingerprint(&K, &g));
    assert_eq!(
        (bed.sees("a"), bed.sees("tls/key.pem")),
        (Some("1".into()), Some("2".into()))
    );
    let meta = bed.path("a").metadata().unwrap();
    assert_eq!(
        (meta.mode() & 0o7777, meta.uid(), meta.gid()),
        (0o440, g.files[0].uid, g.files[0].gid)
    );
    let mode = |name: &str| bed.path(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("tls/key.pem"), 0o400);
    assert_eq!(
        (mode("tls"), mode(".locket"), mode(".locket/1/files/tls")),
        (0o755, 0o755, 0o755)
    );
    assert_eq!(
        (
            mode("..data/env"),
            mode("..data/manifest"),
            mode(".locket/log")
        ),
        (0o444, 0o600, 0o600)
    );
    assert_eq!(bed.sees("..data/env").unwrap(), "ALL=12\0");
    assert_eq!(
        bed.path("..data").read_link().unwrap(),
        PathBuf::from(".locket/1")
    );
    assert_eq!(bed.home(), ["1", "log"]);
    assert_eq!((bed.verify(), bed.log()), (Verdict::Intact, vec![entry]));
}

#[test]
fn names_come_and_go_with_generations() {
    let bed = bed();
    bed.publish(0, &swap(&[("a", "1"), ("d/x", "1"), ("d/e/y", "1")]));
    bed.publish(1, &swap(&[("a", "2"), ("d/z", "2")]));
    assert_eq!(
        (bed.sees("a"), bed.sees("d/z")),
        (Some("2".into()), Some("2".into()))
    );
    assert!(!bed.path("d/e").exists() && bed.path("d/x").symlink_metadata().is_err());
    bed.publish(2, &Generation::default());
    assert_eq!(bed.volume.root.names().unwrap(), ["..data", ".locket"]);
    assert_eq!((bed.verify(), bed.seqs()), (Verdict::Intact, vec![1, 2, 3]));
}

#[test]
fn a_file_may_turn_into_a_directory_and_back() {
    let bed = bed();
    bed.publish(0, &swap(&[("a", "1")]));
    bed.publish(1, &swap(&[("a/b/c", "2")]));
    assert_eq!(
        (bed.sees("a/b/c"), bed.verify()),
        (Some("2".into()), Verdict::Intact)
    );
    bed.publish(2, &generation(&[("a", "3", 0o444, Update::Rename)]));
    assert_eq!(
        (bed.sees("a"), bed.verify()),
        (Some("3".into()), Verdict::Intact)
    );
    bed.publish(3, &generation(&[("a/b", "4", 0o444, Update::Inplace)]));
    assert_eq!(
        (bed.sees("a/b"), bed.verify()),
        (Some("4".into()), Verdict::Intact)
    );
}

#[test]
fn only_who_knows_the_current_one_publishes() {
    let bed = bed();
    let g = swap(&[("a", "1")]);
    let publish = |expect| bed.volume.publish(&known(), expect, &g);
    assert_eq!(kind(publish(1)), RefusalKind::Conflict { current: 0 });
    assert_eq!(bed.home(), [""; 0]);
    bed.publish(0, &g);
    assert_eq!(kind(publish(0)), RefusalKind::Conflict { current: 1 });
    let more = Known {
        given: &|| Ok(40),
        ..known()
    };
    assert_eq!(bed.volume.publish(&more, 1, &g).unwrap().seq, 41);
    let bad = swap(&[("../x", "1")]);
    assert_eq!(
        kind(bed.volume.publish(&known(), 41, &bad)),
        RefusalKind::Invalid
    );
    let all = Known {
        given: &|| Ok(u64::MAX),
        ..known()
    };
    assert_eq!(kind(bed.volume.publish(&all, 41, &g)), RefusalKind::Invalid);
}

#[test]
fn the_time_of_an_entry_is_that_of_the_last_visible_change() {
    let bed = bed();
    let calls = Cell::new(0);
    let swapped = Cell::new(None);
    let clock = || {
        calls.set(calls.get() + 1);
        swapped.set(bed.sees("a"));
        Stamp {
            realtime: calls.get(),
            boottime: 100,
        }
    };
    let entry = bed
        .volume
        .publish(
            &Known {
                clock: &clock,
                ..known()
            },
            0,
            &swap(&[("a", "1")]),
        )
        .unwrap();
    assert_eq!(
        entry.at,
        Stamp {
            realtime: calls.get(),
            boottime: 100
        }
    );
    assert_eq!(
        swapped.take(),
        Some("1".into()),
        "everything was visible when the clock was read last"
    );
    assert_eq!(bed.log(), [entry]);
}

#[test]
fn rename_gives_a_new_inode_and_inplace_the_same() {
    let bed = bed();
    let g = |content| {
        generation(&[
            ("r", content, 0o444, Update::Rename),
            ("i", content, 0o640, Update::Inplace),
        ])
    };
    let inodes = || {
        ["r", "i"]
            .map(|n| bed.path(n).symlink_metadata().unwrap())
            .map(|m| (m.ino(), m.is_file()))
    };
    bed.publish(0, &g("1"));
    let [(r, true), (i, true)] = inodes() else {
        panic!("they are no files of their own")
    };
    bed.publish(1, &g("2, longer"));
    let after = inodes();
    assert_ne!(after[0].0, r);
    assert_eq!(after[1].0, i);
    assert_eq!(
        (bed.sees("r"), bed.sees("i")),
        (Some("2, longer".into()), Some("2, longer".into()))
    );
    bed.publish(2, &g("2, longer"));
    assert_eq!(inodes(), after, "what has not changed is not touched");
    bed.publish(3, &g(""));
    assert_eq!(
        (bed.sees("r"), bed.sees("i"), bed.verify()),
        (Some("".into()), Some("".into()), Verdict::Intact)
    );
    bed.volume.restore(&known(), 1, 4).unwrap();
    assert_eq!(
        (bed.sees("r"), bed.sees("i"), bed.verify()),
        (Some("1".into()), Some("1".into()), Verdict::Intact)
    );
}

#[test]
fn any_update_mode_follows_any_other_and_kept_generations_stay_as_they_were() {
    const MODES: [Update; 3] = [Update::Swap, Update::Rename, Update::Inplace];
    for from in MODES {
        for to in MODES {
            let bed = bed();
            let old = bed.publish(0, &generation(&[("a", "1", 0o444, from)]));
            bed.publish(1, &generation(&[("a", "2", 0o444, to)]));
            assert_eq!(
                (bed.sees("a"), bed.verify()),
                (Some("2".into()), Verdict::Intact),
                "{from:?} {to:?}"
            );
            let back = bed.volume.restore(&known(), 1, 2).unwrap();
            assert_eq!(
                (bed.sees("a"), bed.verify()),
                (Some("1".into()), Verdict::Intact),
                "{from:?} {to:?}"
            );
            assert_eq!(back.fingerprint, old.fingerprint, "{from:?} {to:?}");
            bed.publish(3, &Generation::default());
            assert!(bed.path("a").symlink_metadata().is_err(), "{from:?} {to:?}");
        }
    }
}

#[test]
fn only_a_kept_generation_that_is_what_it_was_is_restored() {
    let bed = bed();
    bed.publish(0, &swap(&[("a", "1")]));
    bed.publish(1, &swap(&[("a", "2")]));
    let restore = |seq, expect| bed.volume.restore(&known(), seq, expect);
    assert_eq!(kind(restore(1, 1)), RefusalKind::Conflict { current: 2 });
    assert_eq!(kind(restore(7, 2)), RefusalKind::Invalid);
    std::fs::write(bed.path(".locket/1/files/a"), "evil").unwrap();
    assert_eq!(kind(restore(1, 2)), RefusalKind::Invalid);
    assert_eq!(bed.sees("a"), Some("2".into()));
}

#[test]
fn pruning_leaves_the_current_and_the_named_ones() {
    let bed = bed();
    for seq in 0..5 {
        bed.publish(
            seq,
            &generation(&[("a", &seq.to_string(), 0o444, Update::Rename)]),
        );
    }
    bed.volume.prune(&known(), &[2, 77]).unwrap();
    assert_eq!(
        (bed.seqs(), bed.home()),
        (vec![2, 5], vec!["2".into(), "5".into(), "log".to_owned()])
    );
    bed.volume.prune(&known(), &[]).unwrap();
    assert_eq!(
        (bed.seqs(), bed.sees("a"), bed.verify()),
        (vec![5], Some("4".into()), Verdict::Intact)
    );
}

#[test]
fn a_cleared_volume_is_empty() {
    let bed = bed();
    assert_eq!(
        (bed.verify(), bed.volume.highest(0).unwrap()),
        (Verdict::Empty, 0)
    );
    bed.publish(0, &swap(&[("a/b", "1")]));
    assert_eq!(bed.volume.highest(0).unwrap(), 1);
    bed.volume.clear().unwrap();
    assert_eq!((bed.verify(), bed.log()), (Verdict::Empty, vec![]));
    assert_eq!(bed.volume.root.names().unwrap(), [""; 0]);
}

#[test]
fn drift_is_told_and_the_same_content_published_again_repairs_it() {
    type Damage = fn(&Bed);
    let damages: &[(&str, Damage)] = &[
        (".locket/1", |b| {
            std::fs::write(b.path(".locket/1/files/a"), "x").unwrap()
        }),
        (".locket/1", |b| {
            std::fs::write(b.path(".locket/1/env"), "ALL=x\0").unwrap()
        }),
        (".locket/1/env", |b| {
            std::fs::write(b.path(".locket/1/env"), "x").unwrap()
        }),
        (".locket/1/files/a", |b| {
            std::fs::remove_file(b.path(".locket/1/files/a")).unwrap()
        }),
        (".locket/1/files/a", |b| {
            std::fs::set_permissions(
                b.path(".locket/1/files/a"),
                std::fs::Permissions::from_mode(0o777),
            )
            .unwrap();
        }),
        ("a", |b| std::fs::remove_file(b.path("a")).unwrap()),
        ("a", |b| {
            std::fs::remove_file(b.path("a")).unwrap();
            symlink("/etc/passwd", b.path("a")).unwrap();
        }),
        ("d/i", |b| std::fs::write(b.path("d/i"), "x").unwrap()),
        ("d/i", |b| std::fs::remove_dir_all(b.path("d")).unwrap()),
        ("d/i", |b| {
            std::fs::set_permissions(b.path("d"), std::fs::Permissions::from_mode(0o700)).unwrap()
        }),
        ("r", |b| {
            std::fs::create_dir_all({
                std::fs::remove_file(b.path("r")).unwrap();
                b.path("r/x")
            })
            .unwrap()
        }),
        ("old", |b| {
            symlink("..data/files/old", b.path("old")).unwrap()
        }),
        ("..data", |b| {
            std::fs::remove_file(b.path("..data")).unwrap()
        }),
        ("..data", |b| {
            std::fs::remove_file(b.path("..data")).unwrap();
            std::fs::create_dir(b.path("..data")).unwrap();
        }),
        ("..data", |b| {
            std::fs::remove_dir_all(b.path(".locket/1")).unwrap()
        }),
        ("..data", |b| {
            std::fs::write(b.path(".locket/1/manifest"), "x").unwrap()
        }),
    ];
    for (i, (told, damage)) in damages.iter().enumerate() {
        let bed = bed();
        let g = generation(&[
            ("a", "1", 0o444, Update::Swap),
            ("d/i", "2", 0o444, Update::Inplace),
            ("r", "3", 0o444, Update::Rename),
        ]);
        let entry = bed.publish(0, &g);
        damage(&bed);
        assert_eq!(bed.verify(), Verdict::Drifted(vec![(*told).into()]), "{i}");
        assert_eq!(bed.log(), [entry], "{i}");
        let repaired = bed.publish(1, &g);
        assert_eq!(
            (repaired.seq, repaired.fingerprint),
            (2, entry.fingerprint),
            "{i}"
        );
        assert_eq!(bed.verify(), Verdict::Intact, "{i}");
        assert_eq!(
            (bed.sees("a"), bed.sees("d/i"), bed.sees("r")),
            (Some("1".into()), Some("2".into()), Some("3".into()))
        );
    }
}

#[test]
fn links_pipes_and_devices_that_were_planted_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file");
    std::fs::write(&file, "outside").unwrap();
    let bed = bed();
    symlink(outside.path(), bed.path("d")).unwrap();
    symlink(&file, bed.path("i")).unwrap();
    symlink(outside.path(), bed.path(".locket")).unwrap();
    let pipe = |name: &str| {
        rustix::fs::mkfifoat(rustix::fs::CWD, bed.path(name), 0o666.into()).unwrap();
    };
    pipe("r");
    let _socket = std::os::unix::net::UnixListener::bind(bed.path("s")).unwrap();
    let g = generation(&[
        ("d/x", "1", 0o444, Update::Swap),
        ("i", "1", 0o444, Update::Inplace),
        ("r", "1", 0o444, Update::Rename),
        ("s", "1", 0o444, Update::Inplace),
    ]);
    bed.publish(0, &g);
    assert_eq!(bed.verify(), Verdict::Intact);
    assert_eq!(
        (bed.sees("d/x"), bed.sees("i"), bed.sees("s")),
        (Some("1".into()), Some("1".into()), Some("1".into()))
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "outside");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);

    std::fs::remove_file(bed.path(".locket/log")).unwrap();
    std::fs::create_dir_all(bed.path(".locket/log/x")).unwrap();
    std::fs::write(bed.path(".locket/stage"), "").unwrap();
    bed.publish(1, &g);
    assert_eq!(bed.verify(), Verdict::Intact);

    for name in [".locket/log", ".locket/2/env", ".locket/2/files/i"] {
        std::fs::remove_file(bed.path(name)).unwrap();
        pipe(name);
    }
    // Nothing to read in any of them, and nobody waits for a writer.
    assert!(matches!(
        bed.volume.verify(&known()).unwrap(),
        Verdict::Drifted(_)
    ));
    bed.volume.clear().unwrap();
    bed.publish(0, &g);
    symlink(&file, bed.path(".locket/new")).unwrap();
    symlink(outside.path(), bed.path(".locket/2")).unwrap();
    bed.publish(1, &swap(&[("d/x", "2")]));
    assert_eq!(
        (bed.sees("d/x"), bed.verify()),
        (Some("2".into()), Verdict::Intact)
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "outside");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_ours_stays() {
    let bed = bed();
    std::fs::write(bed.path("theirs"), "x").unwrap();
    symlink("elsewhere", bed.path("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, bed.path("pipe"), 0o666.into()).unwrap();
    bed.publish(0, &swap(&[("a", "1")]));
    bed.publish(1, &swap(&[("b", "2")]));
    assert_eq!(bed.verify(), Verdict::Intact);
    assert_eq!(bed.sees("theirs"), Some("x".into()));
    assert!(bed.path("link").is_symlink());
    assert!(bed.path("pipe").metadata().unwrap().file_type().is_fifo());
}

/// A directory in a directory, and so on; by one handle, as no path is so long.
fn nested(at: &std::path::Path, depth: u32) {
    let mode = rustix::fs::Mode::RWXU;
    std::fs::create_dir_all(at).unwrap();
    let mut dir = rustix::fs::open(at, rustix::fs::OFlags::RDONLY, mode).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&dir, "d", mode).unwrap();
        dir = rustix::fs::openat(&dir, "d", rustix::fs::OFlags::RDONLY, mode).unwrap();
    }
}

#[test]
fn a_tree_of_any_depth_is_walked_around_or_removed() {
    let bed = bed();
    let g = swap(&[("a", "1")]);
    bed.publish(0, &g);
    nested(&bed.path("theirs"), 3000);
    assert_eq!(bed.verify(), Verdict::Intact);
    for name in ["stage", "77", "new", "1/files/a"] {
        let place = bed.path(&format!(".locket/{name}"));
        let _ = std::fs::remove_file(&place);
        nested(&place, 3000);
        std::fs::write(place.join("1.up"), "").unwrap();
        std::fs::create_dir(place.join("3.up")).unwrap();
        let current = bed.log().last().unwrap().seq;
        bed.publish(current, &g);
        assert_eq!(bed.verify(), Verdict::Intact, "{name}");
    }
    bed.volume.prune(&known(), &[]).unwrap();
    assert_eq!(bed.home().len(), 2, "{:?}", bed.home());
    std::fs::remove_file(bed.path("a")).unwrap();
    nested(&bed.path("a"), 3000);
    bed.volume.clear().unwrap();
    assert_eq!(bed.volume.root.names().unwrap(), [""; 0]);
}

#[test]
fn the_volume_itself_can_be_walked_through_again() {
    let bed = bed();
    bed.publish(0, &swap(&[("a", "1")]));
    let mode = |bed: &Bed| bed.path("").metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode(&bed), 0o755);
    for wrong in [0o000, 0o777, 0o1777] {
        std::fs::set_permissions(bed.path(""), PermissionsExt::from_mode(wrong)).unwrap();
        assert_eq!(bed.log().len(), 1);
        assert_eq!(mode(&bed), 0o755, "{wrong:o}");
    }
}

/// They do not open: <https://man7.org/linux/man-pages/man2/open.2.html>, `ENXIO`.
#[test]
fn sockets_in_the_place_of_our_files_are_replaced() {
    let bed = bed();
    let g = swap(&[("a", "1")]);
    for name in [
        ".locket/log",
        "..data/manifest",
        "..data/env",
        "..data/files/a",
    ] {
        let current = bed.log().last().map_or(0, |e| e.seq);
        bed.publish(current, &g);
        let place = bed.path(name);
        std::fs::remove_file(&place).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&place).unwrap();
        let current = bed.log().last().map_or(0, |e| e.seq);
        bed.publish(current, &g);
        assert_eq!(bed.verify(), Verdict::Intact, "{name}");
    }
}

#[test]
fn files_that_are_larger_than_any_of_ours_are_none_of_ours() {
    let bed = bed();
    let g = generation(&[
        ("a", "1", 0o444, Update::Swap),
        ("i", "2", 0o444, Update::Inplace),
    ]);
    for name in [
        ".locket/log",
        "..data/manifest",
        "..data/env",
        "..data/files/a",
        "i",
    ] {
        let current = bed.log().last().map_or(0, |e| e.seq);
        bed.publish(current, &g);
        let file = std::fs::OpenOptions::new();
        let file = file.clone().write(true).open(bed.path(name)).unwrap();
        file.set_len(1 << 30).unwrap();
        let current = bed.log().last().unwrap().seq;
        if name != ".locket/log" {
            assert!(matches!(bed.verify(), Verdict::Drifted(_)), "{name}");
        }
        bed.publish(current, &g);
        assert_eq!(bed.verify(), Verdict::Intact, "{name}");
    }
}

/// What is done to a volume, and how.
type Spoil = (&'static str, fn(&Bed));

/// Whoever can write the volume must not be able to use the numbers up: what was given stands on the project volume.
#[test]
fn numbers_that_were_never_given_are_taken_away() {
    let last = u64::MAX - 1;
    let spoils: [Spoil; 3] = [
        ("a directory", |bed| {
            std::fs::create_dir(bed.path(&format!(".locket/{}", u64::MAX - 1))).unwrap();
        }),
        ("a visible generation", |bed| {
            let forged = bed.path(&format!(".locket/{}", u64::MAX - 1));
            std::fs::rename(bed.path(".locket/1"), forged).unwrap();
            std::fs::remove_file(bed.path("..data")).unwrap();
            symlink(format!(".locket/{}", u64::MAX - 1), bed.path("..data")).unwrap();
        }),
        ("an entry of the log", |bed| {
            let (mut entries, _) = bed.volume.log(&known()).unwrap();
            entries[0].seq = u64::MAX - 1;
            std::fs::write(bed.path(".locket/log"), log::format(&entries, &K)).unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        let bed = bed();
        let g = swap(&[("a", "1")]);
        bed.publish(0, &g);
        spoil(&bed);
        assert_eq!(bed.volume.highest(1).unwrap(), 1, "{what}");
        let current = bed.log().last().map_or(0, |e| e.seq);
        assert!(current < last, "{what}: {current}");
        let entry = bed.publish(current, &g);
        assert!(entry.seq <= 2, "{what}: {}", entry.seq);
        assert_eq!(bed.verify(), Verdict::Intact, "{what}");
        assert!(!bed.home().contains(&last.to_string()), "{what}");
    }
}

#[test]
fn a_new_key_is_told_and_a_publish_or_recompute_brings_the_log_to_it() {
    let bed = bed();
    let g = swap(&[("a", "1")]);
    bed.publish(0, &g);
    let other = [8; 32];
    let other_key = Known {
        key: &other,
        ..known()
    };
    assert!(!bed.volume.log(&other_key).unwrap().1);
    assert_eq!(
        bed.volume.verify(&other_key).unwrap(),
        Verdict::Drifted(vec![".locket/log".into()])
    );
    bed.volume
        .publish(&other_key, 1, &swap(&[("a", "2")]))
        .unwrap();
    let (entries, true) = bed.volume.log(&other_key).unwrap() else {
        panic!("still the old key")
    };
    assert_eq!(entries[0].fingerprint, fingerprint(&other, &g));
    std::fs::remove_file(bed.path(".locket/1/env")).unwrap();
    bed.volume.recompute(&known()).unwrap();
    assert_eq!(
        bed.seqs(),
        [2],
        "whose generation cannot be read is dropped"
    );
    assert_eq!(bed.verify(), Verdict::Intact);
}
