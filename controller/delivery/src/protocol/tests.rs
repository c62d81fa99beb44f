use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::clock::Stamp;
use crate::generation::tests::any_generation;
use crate::log::Entry;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

/// A message that has no fields.
fn only<T: std::fmt::Debug>(make: fn() -> T) -> impl Strategy<Value = T> {
    Just(()).prop_map(move |()| make())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..64)
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        9 => one_request(),
        1 => vec(one_request(), 0..5).prop_map(Request::Batch),
    ]
}

fn one_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any::<u16>().prop_map(|protocol| Request::Hello { protocol }),
        only(|| Request::Ping),
        only(|| Request::Volumes),
        text().prop_map(|holder| Request::Acquire { holder }),
        only(|| Request::Release),
        text().prop_map(|service| Request::Log { service }),
        (
            text(),
            any::<u64>(),
            any::<u64>(),
            any_generation(),
            any::<[u8; 32]>()
        )
            .prop_map(|(service, term, expect, generation, fingerprint)| {
                Request::Publish {
                    service,
                    term,
                    expect,
                    generation,
                    fingerprint,
                }
            }),
        (text(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(service, term, seq, expect)| Request::Restore {
                service,
                term,
                seq,
                expect
            }
        ),
        text().prop_map(|service| Request::Verify { service }),
        (text(), any::<u64>(), vec(any::<u64>(), 0..5)).prop_map(|(service, term, keep)| {
            Request::Prune {
                service,
                term,
                keep,
            }
        }),
        (text(), any::<u64>()).prop_map(|(service, term)| Request::Clear { service, term }),
        only(|| Request::Key),
        text().prop_map(|name| Request::ReadState { name }),
        (text(), any::<u64>(), bytes(), any::<bool>()).prop_map(|(name, term, bytes, durable)| {
            Request::WriteState {
                name,
                term,
                bytes,
                durable,
            }
        }),
        (bytes(), any::<[u8; 32]>())
            .prop_map(|(bytes, sha256)| Request::InstallShim { bytes, sha256 }),
        only(|| Request::ShimDigest),
        text().prop_map(|service| Request::Recompute { service }),
    ]
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (any::<u64>(), any::<u64>()).prop_map(|(realtime, boottime)| Stamp { realtime, boottime })
}

fn entry() -> impl Strategy<Value = Entry> {
    (any::<u64>(), any::<[u8; 32]>(), any::<[u8; 32]>(), stamp()).prop_map(
        |(seq, fingerprint, content_fingerprint, at)| Entry {
            seq,
            fingerprint,
            content_fingerprint,
            at,
        },
    )
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let kind = prop_oneof![
        Just(RefusalKind::OldTerm),
        any::<u64>().prop_map(|current| RefusalKind::Conflict { current }),
        Just(RefusalKind::NotMounted),
        Just(RefusalKind::Invalid),
        Just(RefusalKind::NoSpace),
        Just(RefusalKind::Io),
    ];
    (kind, text()).prop_map(|(kind, message)| Refusal { kind, message })
}

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        9 => one_response(),
        1 => vec(one_response(), 0..5).prop_map(Response::Batch),
    ]
}

fn one_response() -> impl Strategy<Value = Response> {
    prop_oneof![
        (any::<u16>(), stamp()).prop_map(|(protocol, now)| Response::Hello { protocol, now }),
        stamp().prop_map(|now| Response::Pong { now }),
        vec(text(), 0..5).prop_map(|services| Response::Volumes { services }),
        any::<u64>().prop_map(|term| Response::Granted { term }),
        (text(), any::<u64>()).prop_map(|(holder, term)| Response::Held { holder, term }),
        only(|| Response::Done),
        (vec(entry(), 0..5), any::<bool>()).prop_map(|(entries, key_matches)| Response::Log {
            entries,
            key_matches
        }),
        entry().prop_map(Response::Published),
        only(|| Response::Verified(Verdict::Intact)),
        vec(text(), 0..5).prop_map(|paths| Response::Verified(Verdict::Drifted(paths))),
        only(|| Response::Verified(Verdict::Empty)),
        (any::<[u8; 32]>(), any::<bool>()).prop_map(|(key, new)| Response::Key {
            key: Key(Zeroizing::new(key)),
            new
        }),
        option::of(bytes()).prop_map(Response::State),
        option::of(any::<[u8; 32]>()).prop_map(Response::ShimDigest),
        refusal().prop_map(Response::Refused),
    ]
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_written_and_no_part_of_it(request in request()) {
        let bytes = request.encode();
        prop_assert_eq!(bytes.capacity(), bytes.len(), "a buffer that moved has left a copy");
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
        for cut in 0..bytes.len() {
            prop_assert!(Request::decode(&bytes[..cut]).is_err(), "{}", cut);
        }
        prop_assert!(Request::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_response_is_read_as_it_was_written_and_no_part_of_it(response in response()) {
        let bytes = response.encode();
        prop_assert_eq!(bytes.capacity(), bytes.len(), "a buffer that moved has left a copy");
        prop_assert_eq!(Response::decode(&bytes), Ok(response));
        for cut in 0..bytes.len() {
            prop_assert!(Response::decode(&bytes[..cut]).is_err(), "{}", cut);
        }
        prop_assert!(Response::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn garbage_is_an_error_or_a_message_that_is_written_like_that(tag in 0u8..20, rest in bytes()) {
        let garbage = [&[tag], &rest[..]].concat();
        if let Ok(request) = Request::decode(&garbage) {
            prop_assert_eq!(&*request.encode(), &garbage);
        }
        if let Ok(response) = Response::decode(&garbage) {
            prop_assert_eq!(&*response.encode(), &garbage);
        }
    }

    #[test]
    fn a_changed_byte_does_no_harm(request in request(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = request.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes);
        }
    }
}

#[test]
fn a_batch_is_not_in_a_batch() {
    let deep = Request::Batch(vec![Request::Batch(vec![Request::Ping])]);
    assert!(Request::decode(&deep.encode()).is_err());
    let deep = Response::Batch(vec![Response::Batch(vec![Response::Done])]);
    assert!(Response::decode(&deep.encode()).is_err());
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // A publish with 4 billion files, and one file of 4 GiB.
    for lie in [&[6, 0, 0, 0, 0][..], &[14]] {
        let zeros = [0; 16];
        let payload = [
            lie,
            &zeros[..if lie.len() > 1 { 16 } else { 0 }],
            &[255; 4],
            &[0; 8],
        ]
        .concat();
        assert!(Request::decode(&payload).is_err());
    }
}

/// Programs of two versions talk to each other: these bytes stay.
#[test]
fn the_first_words_stay_what_they_are() {
    let hello = Request::Hello { protocol: 1 };
    assert_eq!(**frame(&hello.encode()), [3, 0, 0, 0, 0, 1, 0]);
    let now = Stamp {
        realtime: 2,
        boottime: 3,
    };
    let hello = Response::Hello { protocol: 1, now };
    assert_eq!(
        **hello.encode(),
        [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn a_frame_says_how_long_it_is_and_is_not_too_long() {
    assert_eq!(**frame(b"ab"), [2, 0, 0, 0, b'a', b'b']);
    assert_eq!(frame_length([2, 1, 0, 0]).unwrap(), 258);
    let limit = u32::try_from(LIMIT).unwrap();
    assert_eq!(frame_length(limit.to_le_bytes()).unwrap(), LIMIT);
    assert!(frame_length((limit + 1).to_le_bytes()).is_err());
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", Key(Zeroizing::new([42; 32]))), "Key(..)");
}

#[test]
fn a_full_disk_is_told_apart_from_a_broken_one() {
    let kind = |e: io::ErrorKind| Refusal::io("x", &e.into()).kind;
    assert_eq!(kind(io::ErrorKind::StorageFull), RefusalKind::NoSpace);
    assert_eq!(kind(io::ErrorKind::PermissionDenied), RefusalKind::Io);
}
