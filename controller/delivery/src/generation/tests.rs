use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const K: [u8; 32] = [7; 32];

fn file(path: &str, bytes: &str) -> GenFile {
    GenFile {
        path: path.into(),
        bytes: Zeroizing::new(bytes.into()),
        mode: 0o444,
        uid: 0,
        gid: 0,
        update: Update::Swap,
    }
}

fn variable(name: &str, value: &str) -> Variable {
    (name.into(), Zeroizing::new(value.into()))
}

fn sample() -> Generation {
    Generation {
        files: vec![file("a", "1"), file("b/c", "2")],
        env: vec![variable("A", "1"), variable("B", "")],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Acknowledgements in project volumes hold fingerprints: were they computed in another way, every container would be restarted.
#[test]
fn fingerprints_stay_what_they_are() {
    let sample = sample();
    assert_eq!(
        hex(&fingerprint(&K, &sample)),
        "81bdf58d828efa50567e95eed5dc0ed0741642ca3fbc0ed6609af6131fdbc4ac"
    );
    assert_eq!(
        hex(&content_fingerprint(&K, &sample)),
        "583c432697f1b93d83ed7d5389497b68335e64c533764b677127c1e7e274ccbd"
    );
    assert_eq!(
        hex(&fingerprint(&K, &Generation::default())),
        "c18a2b6209970b4c3361f97743d07e1e862093acfa28825ef5de6db501fdd6cb"
    );
}

#[test]
fn everything_that_counts_changes_the_fingerprint() {
    type Change = fn(&mut Generation);
    // What changes, and whether a running process could tell.
    let changes: &[(bool, Change)] = &[
        (true, |g| g.files[0].path = "z".into()),
        (true, |g| g.files[0].bytes = Zeroizing::new(b"x".to_vec())),
        (true, |g| drop(g.files.pop())),
        (true, |g| g.files.push(file("d", ""))),
        (true, |g| g.env[0].0 = "C".into()),
        (true, |g| g.env[0].1 = Zeroizing::new(b"x".to_vec())),
        (true, |g| drop(g.env.pop())),
        (true, |g| g.env.push(variable("D", ""))),
        (false, |g| g.files[0].mode = 0o400),
        (false, |g| g.files[0].uid = 1),
        (false, |g| g.files[0].gid = 1),
        (false, |g| g.files[0].update = Update::Rename),
        (false, |g| g.files[0].update = Update::Inplace),
    ];
    for (i, (told, change)) in changes.iter().enumerate() {
        let (before, mut after) = (sample(), sample());
        change(&mut after);
        assert_ne!(fingerprint(&K, &before), fingerprint(&K, &after), "{i}");
        assert_eq!(
            content_fingerprint(&K, &before) != content_fingerprint(&K, &after),
            *told,
            "{i}"
        );
    }
    assert_ne!(fingerprint(&K, &sample()), fingerprint(&[8; 32], &sample()));
}

#[test]
fn bytes_that_only_break_differently_are_kept_apart() {
    let one = Generation {
        files: vec![file("ab", "c")],
        env: vec![],
    };
    let two = Generation {
        files: vec![file("a", "bc")],
        env: vec![],
    };
    let three = Generation {
        files: vec![],
        env: vec![variable("ab", "c")],
    };
    let four = Generation {
        files: vec![],
        env: vec![variable("a", "bc")],
    };
    let all = [one, two, three, four].map(|g| content_fingerprint(&K, &g));
    for (i, a) in all.iter().enumerate() {
        assert!(!all[..i].contains(a), "{i}");
    }
}

#[test]
fn what_cannot_be_delivered_is_told_without_its_value() {
    let with = |files: Vec<GenFile>, env: Vec<Variable>| Generation { files, env }.check().err();
    let mode = GenFile {
        mode: 0o4755,
        ..file("a", "v4lue")
    };
    let large = "v4lue".repeat(ENV_LIMIT / 5);
    for (problem, said) in [
        (
            with(vec![file("../a", "v4lue")], vec![]),
            "\"../a\" is no path that a file can be delivered at",
        ),
        (with(vec![mode], vec![]), "\"a\" has a mode beyond 0777"),
        (
            with(vec![file("a", "v4lue"), file("a", "v4lue")], vec![]),
            "\"a\" and \"a\" cannot both be files",
        ),
        (
            with(
                vec![file("a/b", "v4lue"), file("a", "v4lue"), file("a.b", "")],
                vec![],
            ),
            "\"a\" and \"a/b\" cannot both be files",
        ),
        (
            with(vec![], vec![variable("A=B", "v4lue")]),
            "\"A=B\" is no name for a variable",
        ),
        (
            with(vec![], vec![variable("A", "v4lue\0")]),
            "the variable A holds a NUL",
        ),
        (
            with(vec![], vec![variable("A", &large)]),
            "the variable A is larger than 128 KiB",
        ),
        (
            with(vec![], vec![variable("A", "v4lue"), variable("A", "x")]),
            "the variable A is given twice",
        ),
    ] {
        assert_eq!(problem.as_deref(), Some(said));
    }
    assert_eq!(sample().check(), Ok(()));
    assert_eq!(
        with(vec![], vec![variable("A", &large[..ENV_LIMIT - 3])]),
        None,
        "with its NUL it just fits"
    );
}

#[test]
fn nothing_that_is_shown_holds_a_value() {
    let g = Generation {
        files: vec![file("a", "v4lue")],
        env: vec![variable("A", "v4lue")],
    };
    let shown = format!("{g:?} {g:#?} {:?}", g.files);
    let bytes = format!("{:?}", b"v4lue");
    assert!(
        !shown.contains("v4lue") && !shown.contains("118") && !shown.contains(&bytes),
        "{shown}"
    );
    assert!(shown.contains("\"a\"") && shown.contains("\"A\""));
}

#[test]
fn only_what_was_written_is_read_as_variables() {
    for bad in [&b"A=1"[..], b"A\0", b"A=1\0B", b"\xff=1\0", b"\0"] {
        assert!(Generation::parse_env(bad).is_none(), "{bad:?}");
    }
    assert_eq!(Generation::parse_env(b""), Some(vec![]));
}

/// Any generation that passes the check or not.
pub(crate) fn any_generation() -> impl Strategy<Value = Generation> {
    let update = prop_oneof![
        Just(Update::Swap),
        Just(Update::Rename),
        Just(Update::Inplace)
    ];
    let file = (
        "\\PC{0,12}",
        vec(any::<u8>(), 0..40),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        update,
    );
    let file = file.prop_map(|(path, bytes, mode, uid, gid, update)| {
        let bytes = Zeroizing::new(bytes);
        GenFile {
            path,
            bytes,
            mode,
            uid,
            gid,
            update,
        }
    });
    let variable = (
        "\\PC{0,12}",
        vec(any::<u8>(), 0..40).prop_map(Zeroizing::new),
    );
    (vec(file, 0..5), vec(variable, 0..5)).prop_map(|(files, env)| Generation { files, env })
}

proptest! {
    #[test]
    fn a_generation_is_read_back_as_it_was_written(g in any_generation()) {
        let bytes = g.to_bytes();
        prop_assert_eq!(bytes.capacity(), bytes.len(), "a buffer that moved has left a copy");
        let mut source = Source(&bytes);
        prop_assert_eq!(Generation::read(&mut source).unwrap(), g);
        prop_assert!(source.end().is_ok());
    }

    #[test]
    fn the_order_of_files_and_variables_does_not_count(
        names in proptest::collection::btree_set("[a-z]{1,4}", 1..6),
        seed in any::<u64>(),
    ) {
        let files = || names.iter().map(|n| file(n, n));
        let env = || names.iter().map(|n| variable(n, n));
        let sorted = Generation { files: files().collect(), env: env().collect() };
        let mut shuffled = Generation { files: files().collect(), env: env().collect() };
        let key = |name: &str| name.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        shuffled.files.sort_by_key(|f| key(&f.path));
        shuffled.env.sort_by_key(|(n, _)| key(n).reverse_bits());
        prop_assert_eq!(fingerprint(&K, &sorted), fingerprint(&K, &shuffled));
        prop_assert_eq!(content_fingerprint(&K, &sorted), content_fingerprint(&K, &shuffled));
        prop_assert_eq!(sorted.env_bytes(), shuffled.env_bytes());
    }

    #[test]
    fn variables_are_read_back_as_the_shim_sees_them(
        env in proptest::collection::btree_map("[A-Z_]{1,8}", vec(1u8.., 0..40), 0..6),
    ) {
        let env: Vec<Variable> = env.into_iter().map(|(n, v)| (n, Zeroizing::new(v))).collect();
        let g = Generation { files: vec![], env };
        prop_assert_eq!(Generation::parse_env(&g.env_bytes()), Some(g.env));
    }
}
