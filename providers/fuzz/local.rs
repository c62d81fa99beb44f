//! The built-in store: frames from its client and its session, and what lies in the file, sealed and open.

use std::io::{self, Read};
use std::sync::LazyLock;

use locket_fuzz::growth::linear;

use super::Name;
use super::document::{Document, HISTORY};
use super::file::{open, parse_keys, seal};
use super::wire::{Frame, Reply, Request, read};

/// Gives a few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

/// A payload behind its length, however it arrives.
fn frames(bytes: &[u8]) -> bool {
    let framed = [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let size = 1 + bytes.len() % 7;
    let request = Frame::<Request>::decode(bytes);
    let pieces = read::<Request>(&mut Pieces(&framed, size));
    assert_eq!(request.is_ok(), pieces.is_ok());
    if let (Ok(a), Ok(Some(b))) = (&request, pieces) {
        assert_eq!(
            (a.id, &a.blobs, format!("{:?}", a.body)),
            (b.id, &b.blobs, format!("{:?}", b.body))
        );
        let again = Frame::<Request>::decode(&a.encode().unwrap()[4..]).unwrap();
        assert_eq!((a.id, &a.blobs), (again.id, &again.blobs));
    }
    let reply = Frame::<Reply>::decode(bytes);
    if let Ok(it) = &reply {
        let again = Frame::<Reply>::decode(&it.encode().unwrap()[4..]).unwrap();
        assert_eq!((it.id, &it.blobs), (again.id, &again.blobs));
    }
    request.is_ok() || reply.is_ok()
}

/// A document that is taken can be worked with: read, changed, put back, merged; and is then taken again.
fn document(bytes: &[u8]) -> bool {
    let load = || Document::from_json(bytes, "the store");
    let mut it = match load() {
        Ok(it) => it,
        Err(e) => {
            assert!(!e.to_string().contains("c4n4ry"), "{e}");
            return false;
        }
    };
    for listed in it.list("") {
        let name = super::Name::parse(&listed.name).unwrap();
        let (value, info) = it.get(&name, None).unwrap();
        assert_eq!((value.len(), &info), (info.size, &listed.current));
        assert_eq!(it.history(&name).unwrap().len(), listed.versions);
        let mark = info.mark();
        match it.set(&name, b"c4n4ry2", "2026-11-29T12:00:00.000Z") {
            Ok(now) => assert!(now.mark() != mark || *value == b"c4n4ry2"),
            Err(e) => assert!(!e.to_string().contains("c4n4ry"), "{e}"),
        }
        let _ = it.rollback(&name, None, "2026-11-29T12:00:01.000Z");
    }
    let changed = it.merge(load().unwrap(), "2026-11-29T12:00:02.000Z");
    assert!(changed.is_ok_and(|all| all.is_sorted()));
    let json = serde_json::to_vec(&it).unwrap();
    let again = Document::from_json(&json, "the store").unwrap();
    assert_eq!(again.list(""), it.list(""));
    assert!(
        again
            .list("")
            .iter()
            .all(|l| l.versions <= HISTORY.max(bytes.len()))
    );
    true
}

/// A sealed file is opened whole or not at all; a key file says what it holds or nothing.
fn sealed(bytes: &[u8]) -> bool {
    let (key, whole) = &*SEALED;
    let open = |bytes: &[u8]| open(bytes, &[key], "the store");
    if let Err(e) = open(bytes) {
        assert!(!e.to_string().contains("AGE-SECRET"), "{e}");
    }
    let parsed = parse_keys(&String::from_utf8_lossy(bytes));
    // The real thing, with one byte of it changed.
    let mut broken = whole.clone();
    if let (Some(flip), at) = (bytes.first(), bytes.len() % whole.len()) {
        broken[at] ^= flip;
        let opened = open(&broken);
        assert!(*flip == 0 || opened.is_err() || opened.unwrap() == open(whole).unwrap());
    }
    parsed.is_some()
}

/// A key, and an empty store that is sealed for it.
static SEALED: LazyLock<(age::x25519::Identity, Vec<u8>)> = LazyLock::new(|| {
    let key = age::x25519::Identity::generate();
    let recipient = key.to_public();
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let sealed = seal(&Document::default(), recipients).unwrap();
    (key, sealed)
});

/// A name, the largest size, and who makes an input of a size.
type Family = (&'static str, usize, fn(usize) -> String);

#[test]
fn work_with_frames_grows_as_they_do() {
    let all: [Family; 6] = [
        ("blobs", 1 << 18, |n| {
            let lengths = vec!["0"; n].join(",");
            format!(r#"{{"id":1,"blobs":[{lengths}],"body":{{"op":"list","prefix":""}}}}"#)
        }),
        ("names", 1 << 16, |n| {
            let names: Vec<String> = (0..n).map(|i| format!(r#"["shop/k{i}",null]"#)).collect();
            let names = names.join(",");
            format!(r#"{{"id":1,"blobs":[],"body":{{"op":"get","wanted":[{names}]}}}}"#)
        }),
        ("unknown keys", 1 << 16, |n| {
            let keys: String = (0..n).map(|i| format!(r#","k{i}":[{i}]"#)).collect();
            format!(r#"{{"id":1,"blobs":[],"body":{{"op":"list","prefix":""{keys}}}}}"#)
        }),
        ("escapes", 1 << 19, |n| {
            let text = "\\n".repeat(n);
            format!(r#"{{"id":1,"blobs":[],"body":{{"op":"list","prefix":"{text}"}}}}"#)
        }),
        ("faults", 1 << 15, |n| {
            let fault = r#"{"Err":{"kind":"NotFound","message":"m","help":null}}"#;
            let all = vec![fault; n].join(",");
            format!(r#"{{"id":1,"blobs":[],"body":{{"reply":"versions","versions":[{all}]}}}}"#)
        }),
        ("an open bracket", 1 << 20, |n| "[".repeat(n)),
    ];
    for (what, size, head) in all {
        let frame = |n| {
            let head = head(n);
            [&(head.len() as u32).to_be_bytes()[..], head.as_bytes()].concat()
        };
        linear(what, size, frame, |bytes| {
            frames(bytes);
        });
    }
}

#[test]
fn work_with_a_document_grows_as_it_does() {
    let of = |secrets: &[String]| {
        let all = secrets.join(",");
        format!(r#"{{"format":"locket-store","version":1,"secrets":{{{all}}}}}"#)
    };
    let version = |n: usize| format!(r#"{{"version":{n},"time":"t","text":"x"}}"#);
    let secret = |name: &str, versions: &[String]| {
        let (last, all) = (versions.len(), versions.join(","));
        format!(r#""{name}":{{"last":{last},"versions":[{all}]}}"#)
    };
    let load = |text: &String| Document::from_json(text.as_bytes(), "the store").unwrap();
    let many = |n: usize| {
        let one = |i| secret(&format!("shop/k{i}"), &[version(1)]);
        of(&(0..n).map(one).collect::<Vec<_>>())
    };
    linear("secrets", 1 << 14, many, |text| {
        let mut it = load(text);
        it.merge(load(text), "now").unwrap();
        for listed in it.list("shop/") {
            let name = Name::parse(&listed.name).unwrap();
            it.set(&name, b"y", "now").unwrap();
        }
    });
    // What somebody has written into it by hand.
    let old = |n: usize| {
        let versions: Vec<String> = (1..=n).map(version).collect();
        of(&[secret("shop/key", &versions)])
    };
    linear("versions", 1 << 16, old, |text| {
        let mut it = load(text);
        let name = Name::parse("shop/key").unwrap();
        it.history(&name).unwrap();
        it.set(&name, b"y", "now").unwrap();
        it.merge(load(text), "now").unwrap();
    });
}

locket_fuzz::target!(store_frames, reach: 5, frames);
locket_fuzz::target!(store_document, reach: 5, document);
locket_fuzz::target!(store_sealed, reach: 0, sealed);
