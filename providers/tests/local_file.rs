//! The built-in store on disk: recoverable with the stock tool, never damaged by us.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use locket_providers::local::document::{Document, HISTORY, MAX_VALUE};
use locket_providers::local::file::StoreFile;
use locket_providers::local::{Error, Info, Lock, Name};
use zeroize::Zeroizing;

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_532_400 + second)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn set(store: &StoreFile, key: &str, value: &[u8], second: u64) -> Result<Info, Error> {
    store.change(at(second), |d, now| d.set(&name(key), value, now))
}

fn get(store: &StoreFile, key: &str) -> Vec<u8> {
    store
        .read()
        .unwrap()
        .get(&name(key), None)
        .unwrap()
        .0
        .to_vec()
}

fn bytes(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| {
            (
                e.file_name().into_string().unwrap(),
                fs::read(e.path()).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn values_are_kept_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    let large = vec![b'x'; MAX_VALUE];
    let values: [(&str, &[u8]); 6] = [
        ("a/empty", b""),
        ("a/nul", b"a\0b"),
        ("a/binary", &[0xff, 0x00, 0xfe]),
        ("a/newline", b"line\n"),
        ("/unicode", "pä$${x}'\"\u{2028}".as_bytes()),
        ("a/large", &large),
    ];
    for (key, value) in values {
        assert_eq!(set(&store, key, value, 0).unwrap().size, value.len());
    }
    for (key, value) in values {
        assert!(get(&store, key) == value, "{key}");
    }
}

#[test]
fn a_value_too_large_is_refused_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    assert!(matches!(
        set(&store, "a/b", &vec![0; MAX_VALUE + 1], 0),
        Err(Error::TooLarge { .. })
    ));
    assert!(!dir.path().join("store.age").exists() && !dir.path().join("key.txt").exists());
}

#[test]
fn store_and_key_are_for_root_only_and_hold_no_plaintext() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    set(&store, "a/b", b"canary-value", 0).unwrap();
    for file in ["store.age", "key.txt"] {
        assert_eq!(
            fs::metadata(dir.path().join(file))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600,
            "{file}"
        );
    }
    for (file, bytes) in bytes(dir.path()) {
        assert!(!bytes.windows(6).any(|w| w == b"canary"), "{file}");
    }
}

#[test]
fn the_stock_tool_opens_store_and_export() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    set(&store, "shop/smtp", "hünter2".as_bytes(), 0).unwrap();
    set(&store, "shop/bin", &[0, 0xff], 1).unwrap();
    // `make setup` says where it is; otherwise the system's own will do.
    let age = std::env::var("LOCKET_TEST_AGE").unwrap_or_else(|_| "age".to_owned());
    let keygen = format!("{age}-keygen");
    let mut stock = Command::new(&keygen);
    let stock = stock
        .arg("-o")
        .arg(dir.path().join("other.txt"))
        .output()
        .expect("age-keygen is installed: see `make setup`");
    assert!(stock.status.success());
    let public = Command::new(&keygen)
        .arg("-y")
        .arg(dir.path().join("other.txt"))
        .output()
        .unwrap();
    let public = String::from_utf8(public.stdout).unwrap();
    fs::write(
        dir.path().join("export.age"),
        store.export(&Lock::Keys(vec![public])).unwrap(),
    )
    .unwrap();
    for (key, file) in [("key.txt", "store.age"), ("other.txt", "export.age")] {
        let out = Command::new(&age)
            .arg("-d")
            .arg("-i")
            .arg(dir.path().join(key))
            .arg(dir.path().join(file))
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(out.stdout).unwrap().trim_end(),
            r#"{"format":"locket-store","version":1,"secrets":{"shop/bin":{"last":1,"versions":[{"version":1,"time":"2026-11-24T15:00:01.000Z","base64":"AP8="}]},"shop/smtp":{"last":1,"versions":[{"version":1,"time":"2026-11-24T15:00:00.000Z","text":"hünter2"}]}}}"#,
            "{file}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[test]
fn versions_rise_and_are_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    assert_eq!(set(&store, "a/b", b"one", 0).unwrap().version, 1);
    let two = set(&store, "a/b", b"two", 1).unwrap();
    assert_eq!(
        set(&store, "a/b", b"two", 2).unwrap(),
        two,
        "the value that is there is not set again"
    );
    store.change(at(3), |d, _| d.remove(&name("a/b"))).unwrap();
    let document = store.read().unwrap();
    assert!(matches!(
        document.get(&name("a/b"), None),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        document.history(&name("a/b")),
        Err(Error::NotFound { .. })
    ));
    assert!(document.list("").is_empty());
    assert_eq!(set(&store, "a/b", b"three", 4).unwrap().version, 3);
}

#[test]
fn a_store_made_anew_gives_other_marks() {
    let mark = |second| {
        let dir = tempfile::tempdir().unwrap();
        set(&StoreFile::under(dir.path()), "a/b", b"x", second)
            .unwrap()
            .mark()
    };
    assert_ne!(mark(0), mark(1));
}

#[test]
fn history_is_bounded_and_can_be_gone_back() {
    let mut d = Document::default();
    let n = name("a/b");
    for i in 0..HISTORY + 3 {
        d.set(&n, format!("v{}", i + 1).as_bytes(), "t").unwrap();
    }
    let versions: Vec<u64> = d.history(&n).unwrap().iter().map(|i| i.version).collect();
    assert_eq!(versions, (4..=13).rev().collect::<Vec<_>>());
    assert_eq!(d.rollback(&n, None, "t").unwrap().version, 14);
    assert_eq!(*d.get(&n, None).unwrap().0, b"v12");
    d.rollback(&n, Some(6), "t").unwrap();
    assert_eq!(*d.get(&n, None).unwrap().0, b"v6");
    assert!(matches!(
        d.rollback(&n, Some(1), "t"),
        Err(Error::NoVersion { .. })
    ));
    let mut one = Document::default();
    one.set(&n, b"only", "t").unwrap();
    assert!(matches!(
        one.rollback(&n, None, "t"),
        Err(Error::NoVersion { .. })
    ));
}

#[test]
fn an_export_comes_back_by_key_and_by_passphrase() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, target) = (
        StoreFile::under(from.path()).with_passphrase_cost(10),
        StoreFile::under(to.path()),
    );
    set(&source, "a/x", b"1", 0).unwrap();
    set(&source, "a/x", b"2", 1).unwrap();
    set(&source, "a/same", b"s", 1).unwrap();
    set(&target, "a/x", b"mine", 2).unwrap();
    set(&target, "a/same", b"s", 2).unwrap();
    set(&target, "a/other", b"o", 2).unwrap();
    let passphrase = || Lock::Passphrase(Zeroizing::new("correct horse".into()));
    let sealed = source.export(&passphrase()).unwrap();
    let wrong = Lock::Passphrase(Zeroizing::new("wrong".into()));
    assert!(matches!(
        target.import(&sealed, &wrong, at(3)),
        Err(Error::WrongKey { .. })
    ));
    assert_eq!(get(&target, "a/x"), b"mine");
    assert_eq!(
        target.import(&sealed, &passphrase(), at(4)).unwrap(),
        ["a/x"]
    );
    assert_eq!(get(&target, "a/x"), b"2");
    assert_eq!(get(&target, "a/other"), b"o");
    assert_eq!(
        target.read().unwrap().history(&name("a/x")).unwrap().len(),
        2
    );

    // The store file of another machine with its key is an export, too.
    let key = fs::read_to_string(from.path().join("key.txt"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    set(&source, "a/new", b"n", 5).unwrap();
    let file = fs::read(from.path().join("store.age")).unwrap();
    assert_eq!(
        target.import(&file, &Lock::Keys(key), at(6)).unwrap(),
        ["a/new"]
    );
    assert!(matches!(
        source.export(&Lock::Keys(vec!["age1nonsense".into()])),
        Err(Error::Recipient { .. })
    ));
    assert!(matches!(
        source.export(&Lock::Keys(vec![])),
        Err(Error::NoRecipient)
    ));
}

#[test]
fn what_cannot_be_read_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    set(&store, "a/b", b"canary-value", 0).unwrap();
    let sealed = fs::read(store.path()).unwrap();
    let key = fs::read(dir.path().join("key.txt")).unwrap();
    let other = tempfile::tempdir().unwrap();
    set(&StoreFile::under(other.path()), "a/b", b"x", 0).unwrap();
    let foreign = fs::read(other.path().join("key.txt")).unwrap();

    type Case<'a> = (&'a str, Vec<u8>, Option<Vec<u8>>, fn(&Error) -> bool);
    let mut flipped = sealed.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases: [Case; 8] = [
        ("no key", sealed.clone(), None, |e| {
            matches!(e, Error::KeyMissing { .. })
        }),
        ("empty key", sealed.clone(), Some(vec![]), |e| {
            matches!(e, Error::KeyDamaged { .. })
        }),
        (
            "cut key",
            sealed.clone(),
            Some(key[..key.len() - 9].to_vec()),
            |e| matches!(e, Error::KeyDamaged { .. }),
        ),
        ("foreign key", sealed.clone(), Some(foreign), |e| {
            matches!(e, Error::WrongKey { .. })
        }),
        ("empty store", vec![], Some(key.clone()), |e| {
            matches!(e, Error::Damaged { .. })
        }),
        (
            "cut store",
            sealed[..sealed.len() - 1].to_vec(),
            Some(key.clone()),
            |e| matches!(e, Error::Damaged { .. }),
        ),
        ("flipped bit", flipped, Some(key.clone()), |e| {
            matches!(e, Error::Damaged { .. })
        }),
        (
            "other text",
            b"not an age file".to_vec(),
            Some(key.clone()),
            |e| matches!(e, Error::Damaged { .. }),
        ),
    ];
    for (case, sealed, key, expected) in cases {
        fs::write(store.path(), &sealed).unwrap();
        match &key {
            Some(key) => fs::write(dir.path().join("key.txt"), key).unwrap(),
            None => fs::remove_file(dir.path().join("key.txt")).unwrap(),
        }
        let before = bytes(dir.path());
        let results = [
            store.read().err(),
            set(&store, "a/b", b"new", 1).err(),
            store.export(&Lock::Keys(vec![])).err(),
        ];
        for e in results {
            let e = e.unwrap_or_else(|| panic!("{case}: no error"));
            assert!(expected(&e), "{case}: {e}");
            assert!(!e.to_string().contains("canary"), "{case}: {e}");
        }
        assert!(bytes(dir.path()) == before, "{case}: files have changed");
    }
}

#[test]
fn a_document_that_breaks_the_rules_is_damaged() {
    let read = |json: &str| {
        Document::from_json(json.as_bytes(), "it")
            .err()
            .map(|e| e.to_string())
    };
    let with =
        |secrets: &str| format!(r#"{{"format":"locket-store","version":1,"secrets":{secrets}}}"#);
    assert_eq!(read(&with("{}")), None);
    assert_eq!(
        read(r#"{"format":"locket-store","version":2,"later":1}"#).unwrap(),
        "it was written by a newer locket"
    );
    for bad in [
        "canary".to_owned(),
        r#"{"format":"other","version":1,"secrets":{}}"#.to_owned(),
        with(r#"{"canary":{"last":1,"versions":[]}}"#),
        with(r#"{"a/b":{"last":1,"versions":[{"version":1,"time":"t","base64":"canary!"}]}}"#),
        with(r#"{"a/b":{"last":1,"versions":[{"version":1,"time":"t"}]}}"#),
        with(r#"{"a/b":{"last":1,"versions":[{"version":2,"time":"t","text":"x"}]}}"#),
        // There would be no number for the next value.
        with(r#"{"a/b":{"last":18446744073709551615,"versions":[]}}"#),
        with(
            r#"{"a/b":{"last":2,"versions":[{"version":2,"time":"t","text":"x"},{"version":1,"time":"t","text":"y"}]}}"#,
        ),
    ] {
        assert_eq!(read(&bad).unwrap(), "it is damaged", "{bad}");
    }
}

#[test]
fn writers_do_not_lose_each_others_writes() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = StoreFile::under(dir.path());
            scope.spawn(move || {
                for i in 0..5 {
                    set(&store, &format!("w{writer}/s{i}"), b"v", 0).unwrap();
                }
            });
        }
    });
    assert_eq!(
        StoreFile::under(dir.path()).read().unwrap().list("").len(),
        20
    );
}

#[test]
fn what_a_crash_left_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::under(dir.path());
    set(&store, "a/b", b"old", 0).unwrap();
    fs::write(dir.path().join("store.age.new"), b"half a fi").unwrap();
    assert_eq!(get(&store, "a/b"), b"old");
    set(&store, "a/b", b"new", 1).unwrap();
    assert_eq!(get(&store, "a/b"), b"new");
    assert!(!dir.path().join("store.age.new").exists());
}

#[test]
fn the_key_may_be_elsewhere() {
    let (dir, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = StoreFile::under(dir.path()).with_key(keys.path().join("my.key"));
    set(&store, "a/b", b"x", 0).unwrap();
    assert!(keys.path().join("my.key").exists() && !dir.path().join("key.txt").exists());
    assert_eq!(get(&store, "a/b"), b"x");
    assert!(matches!(
        StoreFile::under(dir.path()).read(),
        Err(Error::KeyMissing { .. })
    ));
}
