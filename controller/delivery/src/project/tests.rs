use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::dir::fault;

fn project() -> (TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    (dir, project)
}

fn mode(dir: &TempDir, name: &str) -> u32 {
    dir.path()
        .join(name)
        .metadata()
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

fn key(project: &Project) -> ([u8; 32], bool) {
    let (key, new) = project.key(&project.work().unwrap()).unwrap();
    (*key.0, new)
}

#[test]
fn the_key_is_made_once_and_for_root_only() {
    let (dir, project) = project();
    let (first, true) = key(&project) else {
        panic!("it was there")
    };
    assert_ne!(first, [0; 32]);
    assert_eq!(key(&project), (first, false));
    assert_eq!(key(&Project::open(dir.path()).unwrap()), (first, false));
    assert_eq!(mode(&dir, "key"), 0o600);
    std::fs::write(dir.path().join("key"), "short").unwrap();
    let (second, true) = key(&project) else {
        panic!("it was no key")
    };
    assert_ne!(first, second);
}

#[test]
fn state_is_read_as_it_was_written_last() {
    let (dir, project) = project();
    assert_eq!(project.state("spec.json").unwrap(), None);
    for content in [&b"one"[..], b"", b"three"] {
        project
            .write_state(&project.work().unwrap(), "spec.json", content, true)
            .unwrap();
        assert_eq!(
            project.state("spec.json").unwrap().as_deref(),
            Some(content)
        );
    }
    assert_eq!(
        (mode(&dir, "state"), mode(&dir, "state/spec.json")),
        (0o700, 0o600)
    );
    for bad in ["", "..", "a/b", ".x", "A"] {
        assert_eq!(
            project.state(bad).unwrap_err().kind,
            RefusalKind::Invalid,
            "{bad}"
        );
    }
    let large = vec![0; STATE_LIMIT + 1];
    let refused = project
        .write_state(&project.work().unwrap(), "x", &large, true)
        .unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Invalid);
}

#[test]
fn a_crash_at_any_step_leaves_the_old_state_or_the_new_and_the_key_as_it_was() {
    for steps in 0.. {
        let (_dir, project) = project();
        let work = project.work().unwrap();
        project.write_state(&work, "s", b"old", true).unwrap();
        let (made, stopped) = fault::after(steps, || project.key(&work));
        let at_crash = made.ok().map(|(key, _)| *key.0);
        let (key, _) = project.key(&work).unwrap();
        assert!(at_crash.is_none_or(|k| *key.0 == k), "{steps}");
        let (written, stopped_too) =
            fault::after(steps, || project.write_state(&work, "s", b"new", true));
        let state = project.state("s").unwrap().unwrap();
        assert!(
            state == b"new" || (written.is_err() && state == b"old"),
            "{steps}"
        );
        project.write_state(&work, "s", b"newer", true).unwrap();
        assert_eq!(project.state("s").unwrap().unwrap(), b"newer");
        if !stopped && !stopped_too {
            break;
        }
    }
}

#[test]
fn state_that_is_not_durable_is_read_until_a_durable_one_follows() {
    let (dir, project) = project();
    let work = project.work().unwrap();
    let write = |bytes: &[u8], durable| project.write_state(&work, "s", bytes, durable).unwrap();
    let read = || project.state("s").unwrap();
    let soon = dir.path().join("state/.s.soon");
    write(b"1", false);
    assert_eq!(read().as_deref(), Some(&b"1"[..]), "there is none before");
    write(b"2", true);
    assert!(!soon.exists());
    write(b"3", false);
    write(b"4", false);
    assert_eq!(read().as_deref(), Some(&b"4"[..]));
    let left = std::fs::read(&soon).unwrap();
    // What a machine that stopped may leave of it.
    for length in 0..left.len() {
        std::fs::write(&soon, &left[..length]).unwrap();
        assert_eq!(read().as_deref(), Some(&b"2"[..]), "{length}");
    }
    write(b"5", true);
    std::fs::write(&soon, &left).unwrap();
    assert_eq!(
        read().as_deref(),
        Some(&b"5"[..]),
        "it follows an older one"
    );
}

#[test]
fn a_crash_at_any_step_leaves_state_that_was_written_or_is_being_written() {
    for steps in 0.. {
        let (_dir, project) = project();
        let work = project.work().unwrap();
        project.write_state(&work, "s", b"1", true).unwrap();
        let mut last = 1;
        let (done, stopped) = fault::after(steps, || {
            for (n, durable) in [(2, false), (3, false), (4, true), (5, false), (6, true)] {
                let bytes = n.to_string();
                project.write_state(&work, "s", bytes.as_bytes(), durable)?;
                last = n;
            }
            Ok::<_, Refusal>(())
        });
        let state = project.state("s").unwrap().unwrap();
        let state: u8 = std::str::from_utf8(&state).unwrap().parse().unwrap();
        assert!(
            state == last || (done.is_err() && state == last + 1),
            "{steps}: {state} after {last}"
        );
        if !stopped {
            break;
        }
    }
}

#[test]
fn a_term_is_never_given_twice_whenever_the_machine_stops() {
    for steps in 0.. {
        let (_dir, project) = project();
        let work = project.work().unwrap();
        let mut lease = None;
        let (granted, stopped) = fault::after(steps, || project.acquire(&work, &mut lease, "one"));
        let first = match granted {
            Ok(Acquired::Granted { term }) => term,
            Ok(held) => panic!("{held:?}"),
            Err(_) => {
                assert!(lease.is_none(), "{steps}: nothing was granted");
                0
            }
        };
        drop(lease);
        let mut lease = None;
        let second = project.acquire(&work, &mut lease, "two").unwrap();
        let Acquired::Granted { term } = second else {
            panic!("{second:?}")
        };
        assert!(term > first, "{steps}");
        if !stopped {
            break;
        }
    }
}

#[test]
fn a_damaged_holder_file_stops_nobody() {
    let (dir, project) = project();
    let work = project.work().unwrap();
    let mut lease = None;
    project.acquire(&work, &mut lease, "one").unwrap();
    let term = lease.as_ref().unwrap().term();
    project.check(lease.as_ref(), term).unwrap();
    std::fs::write(dir.path().join("holder"), [0xff; 9]).unwrap();
    assert_eq!(
        project.check(lease.as_ref(), term).unwrap_err().kind,
        RefusalKind::OldTerm
    );
    assert_eq!(
        project.acquire(&work, &mut lease, "one").unwrap(),
        Acquired::Granted { term: 1 }
    );
    project.check(lease.as_ref(), 1).unwrap();
}

#[test]
fn the_shim_is_installed_by_rename_and_only_when_it_is_another() {
    use std::os::unix::fs::MetadataExt as _;
    let (dir, project) = project();
    let work = project.work().unwrap();
    let inode = || dir.path().join(SHIM_FILE).metadata().unwrap().ino();
    let digest = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
    let install = |bytes: &[u8]| project.install_shim(&work, bytes, &digest(bytes));
    assert_eq!(project.shim_digest(&work).unwrap(), None);
    install(b"one").unwrap();
    assert_eq!(project.shim_digest(&work).unwrap(), Some(digest(b"one")));
    assert_eq!((mode(&dir, "shim"), mode(&dir, SHIM_FILE)), (0o755, 0o755));
    let first = inode();
    install(b"one").unwrap();
    assert_eq!(inode(), first);
    install(b"two").unwrap();
    assert_ne!(inode(), first);
    let refused = project
        .install_shim(&work, b"three", &digest(b"two"))
        .unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Invalid);
    assert_eq!(std::fs::read(dir.path().join(SHIM_FILE)).unwrap(), b"two");
    std::fs::set_permissions(
        dir.path().join(SHIM_FILE),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert_eq!(
        project.shim_digest(&work).unwrap(),
        None,
        "what cannot be started is not installed"
    );
    install(b"two").unwrap();
    assert_eq!(mode(&dir, SHIM_FILE), 0o755);
}

#[test]
fn a_sequence_number_that_makes_no_sense_counts_as_none() {
    let (dir, project) = project();
    let work = project.work().unwrap();
    assert_eq!(project.sequence(&work, "api").unwrap(), 0);
    project.remember_sequence(&work, "api", 7).unwrap();
    assert_eq!(
        (
            project.sequence(&work, "api").unwrap(),
            project.sequence(&work, "db").unwrap()
        ),
        (7, 0)
    );
    std::fs::write(dir.path().join("seq/api.n"), "").unwrap();
    assert_eq!(project.sequence(&work, "api").unwrap(), 0);
}
