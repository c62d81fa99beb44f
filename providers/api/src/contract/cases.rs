//! The cases, one function each.

use std::time::Duration;

use locket_crds::reference::SecretRef;

use super::{CANARY, Case, Fault, Fixture};
use crate::{Error, ErrorKind, Fetched, SecretStore, SecretVersion};

/// Longer than a fixture's deadline, shorter than a test's patience.
const PATIENCE: Duration = Duration::from_secs(10);
const LARGE: usize = 1 << 20;

pub(super) async fn run(case: Case, f: &dyn Fixture) {
    match case {
        Case::Found => round_trip(f, "pä$${x}'\"\\ line\n").await,
        Case::EmptyValue => round_trip(f, "").await,
        Case::BinaryValue => bytes_round_trip(f, &[0xff, 0, 0xfe, b'\n']).await,
        Case::LargeValue => round_trip(f, &"x".repeat(LARGE)).await,
        Case::NotFound => not_found(f).await,
        Case::Batch => batch(f).await,
        Case::SharedRead => shared_read(f).await,
        Case::VersionChanges => version_changes(f).await,
        Case::Denied => denied(f).await,
        Case::ExpiredAuth => expired_auth(f).await,
        Case::Throttled => throttled(f).await,
        Case::Timeout => unavailable(f, Fault::Hang).await,
        Case::EndlessBody => unavailable(f, Fault::Endless).await,
        Case::PrivateCa => private_ca(f).await,
        Case::Redirect => redirect(f).await,
        Case::NoValueInErrors => no_value_in_errors(f).await,
        Case::ControlCharacters => control_characters(f).await,
    }
}

async fn fetch(store: &dyn SecretStore, reference: &SecretRef) -> Result<Fetched, Error> {
    let mut all = store.fetch(std::slice::from_ref(reference)).await;
    assert_eq!(all.len(), 1, "one answer for one reference");
    all.remove(0)
}

async fn version(store: &dyn SecretStore, reference: &SecretRef) -> Result<SecretVersion, Error> {
    let mut all = store.versions(std::slice::from_ref(reference)).await;
    assert_eq!(all.len(), 1, "one answer for one reference");
    all.remove(0)
}

async fn fails(store: &dyn SecretStore, reference: &SecretRef) -> Error {
    match fetch(store, reference).await {
        Ok(_) => panic!("{reference} was fetched"),
        Err(e) => e,
    }
}

#[track_caller]
fn good(result: Result<Fetched, Error>) -> Fetched {
    result.unwrap_or_else(|e| panic!("{e} ({:?})", e.kind))
}

async fn round_trip(f: &dyn Fixture, value: &str) {
    bytes_round_trip(f, value.as_bytes()).await;
}

async fn bytes_round_trip(f: &dyn Fixture, value: &[u8]) {
    let reference = f.put("one", value).await;
    let got = good(fetch(&*f.store().await, &reference).await);
    // Not assert_eq: a megabyte is not worth printing.
    assert!(
        got.value.expose() == value,
        "{} bytes came back for {}",
        got.value.len(),
        value.len()
    );
}

async fn not_found(f: &dyn Fixture) {
    let there = f.put("one", b"value").await;
    let store = f.store().await;
    let refs = [f.absent(), there];
    let got = store.fetch(&refs).await;
    assert!(
        matches!(&got[0], Err(e) if e.kind == ErrorKind::NotFound),
        "{:?}",
        got[0].as_ref().err()
    );
    assert!(got[1].is_ok(), "one that is missing spoils the others");
    assert_eq!(
        version(&*store, &refs[0]).await.map_err(|e| e.kind),
        Err(ErrorKind::NotFound)
    );
}

async fn batch(f: &dyn Fixture) {
    let mut refs = vec![];
    for i in 0..50 {
        refs.push(
            f.put(&format!("s{i}"), format!("value {i}").as_bytes())
                .await,
        );
    }
    // In another order, and one of them twice.
    refs.reverse();
    refs.push(refs[0].clone());
    let store = f.store().await;
    let got = store.fetch(&refs).await;
    assert_eq!(got.len(), refs.len());
    for (i, got) in got.into_iter().enumerate() {
        let expected = format!("value {}", if i == 50 { 49 } else { 49 - i });
        assert!(
            good(got).value.expose() == expected.as_bytes(),
            "answer {i} belongs to another reference"
        );
    }
    assert!(store.fetch(&[]).await.is_empty() && store.versions(&[]).await.is_empty());
}

async fn shared_read(f: &dyn Fixture) {
    let refs = f
        .put_fields(&[("user", "app"), ("password", "p"), ("empty", "")])
        .await;
    let store = f.store().await;
    let before = f.reads();
    let got = store.fetch(&refs).await;
    assert_eq!(f.reads() - before, 1, "reads of one path");
    let values: Vec<_> = got
        .into_iter()
        .map(|g| good(g).value.expose().to_vec())
        .collect();
    assert_eq!(values, [&b"app"[..], b"p", b""]);
    let missing = refs[0].with_field("nothing");
    assert_eq!(
        fails(&*store, &missing).await.kind,
        ErrorKind::NotFound,
        "a field that is not there"
    );
}

async fn version_changes(f: &dyn Fixture) {
    let reference = f.put("one", b"first").await;
    let other = f.put("other", b"same").await;
    let store = f.store().await;
    let first = good(fetch(&*store, &reference).await);
    let same = version(&*store, &other).await.ok();
    assert_eq!(
        version(&*store, &reference).await.ok().as_ref(),
        Some(&first.version),
        "versions and fetch agree"
    );
    f.put("one", b"second").await;
    let second = good(fetch(&*store, &reference).await);
    assert!(second.value.expose() == b"second", "an old value");
    assert_ne!(second.version, first.version);
    assert_eq!(
        version(&*store, &reference).await.ok().as_ref(),
        Some(&second.version)
    );
    assert!(
        same.is_some() && version(&*store, &other).await.ok() == same,
        "what has not changed has a new version"
    );
}

async fn denied(f: &dyn Fixture) {
    let reference = f.denied().await;
    let e = fails(&*f.store().await, &reference).await;
    assert_eq!(e.kind, ErrorKind::Denied, "{e}");
}

async fn expired_auth(f: &dyn Fixture) {
    let reference = f.put("one", b"value").await;
    let store = f.store().await;
    good(fetch(&*store, &reference).await);
    let before = f.logins();
    f.fault(Fault::ExpireAuth);
    good(fetch(&*store, &reference).await);
    assert_eq!(f.logins() - before, 1, "logins after one expiry");
    good(fetch(&*store, &reference).await);
    assert_eq!(f.logins() - before, 1, "logins with a good token");
}

async fn throttled(f: &dyn Fixture) {
    let reference = f.put("one", b"value").await;
    let store = f.store().await;
    let after = Duration::from_secs(17);
    f.fault(Fault::Throttle(after));
    assert_eq!(
        fails(&*store, &reference).await.kind,
        ErrorKind::Throttled { after: Some(after) }
    );
}

async fn unavailable(f: &dyn Fixture, fault: Fault) {
    let reference = f.put("one", b"value").await;
    let store = f.store().await;
    good(fetch(&*store, &reference).await);
    f.fault(fault);
    let e = match tokio::time::timeout(PATIENCE, fails(&*store, &reference)).await {
        Ok(e) => e,
        Err(_) => panic!("the store has no deadline"),
    };
    assert_eq!(e.kind, ErrorKind::Unavailable, "{e}");
}

async fn private_ca(f: &dyn Fixture) {
    let reference = f.put("one", b"value").await;
    let [with, without] = f.tls().await;
    assert!(good(fetch(&*with, &reference).await).value.expose() == b"value");
    assert_eq!(
        fails(&*without, &reference).await.kind,
        ErrorKind::Unavailable
    );
}

async fn redirect(f: &dyn Fixture) {
    let reference = f.put("one", b"value").await;
    let store = f.store().await;
    good(fetch(&*store, &reference).await);
    let token = f.token();
    assert!(!token.is_empty(), "the fixture knows no token");
    f.fault(Fault::Redirect);
    assert_eq!(
        fails(&*store, &reference).await.kind,
        ErrorKind::Unavailable
    );
    assert!(
        !f.strayed().contains(&token),
        "the token went to another host"
    );
}

async fn no_value_in_errors(f: &dyn Fixture) {
    let features = f.features();
    let reference = f.put("one", CANARY.as_bytes()).await;
    let store = f.store().await;
    let mut errors = vec![fails(&*store, &f.absent()).await];
    if features.denies {
        errors.push(fails(&*store, &f.denied().await).await);
    }
    if features.fields {
        let refs = f.put_fields(&[("password", CANARY), ("pin", CANARY)]).await;
        errors.push(fails(&*store, &refs[0].with_field("nothing")).await);
    }
    if features.http {
        for fault in [
            Fault::Throttle(Duration::from_secs(1)),
            Fault::Garbage,
            Fault::Endless,
        ] {
            f.fault(fault);
            errors.push(fails(&*store, &reference).await);
        }
    }
    for e in errors {
        assert!(
            !format!("{e} {e:?}").contains(CANARY),
            "a value is in an error of kind {:?}",
            e.kind
        );
    }
}

async fn control_characters(f: &dyn Fixture) {
    let reference = f.put("one", b"value").await;
    let store = f.store().await;
    f.fault(Fault::Garbage);
    let e = fails(&*store, &reference).await;
    let text = format!("{e}{}", e.help.as_deref().unwrap_or_default());
    assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
}
