//! Client and session over a real pair of pipes: the store as CLI, gate and controller use it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::future::FutureExt;
use locket_provider::{ErrorKind, SecretStore};
use locket_providers::local::{ConfigFile, LocalClient, LocalStore, Lock};
use support::{Ending, Nobody, Sessions, value};

#[tokio::test]
async fn the_client_does_what_the_store_can() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(dir.path());
    let client = sessions.client();
    assert!(client.list("").await.unwrap().is_empty());
    assert_eq!(
        client.get("shop/db", None).await.err().unwrap().kind,
        ErrorKind::NotFound
    );

    let one = client.set("shop/db", &value(b"one\0")).await.unwrap();
    let two = client.set("shop/db", &value(b"two")).await.unwrap();
    client.set("/global", &value(b"")).await.unwrap();
    assert_eq!((one.version, one.size, two.version), (1, 4, 2));
    let got = client.get("shop/db", None).await.unwrap();
    assert_eq!(
        (got.value.expose(), &got.version),
        (&b"two"[..], &two.mark())
    );
    assert_eq!(
        client.get("shop/db", Some(1)).await.unwrap().value.expose(),
        b"one\0"
    );
    assert!(client.get("/global", None).await.unwrap().value.is_empty());
    let names: Vec<_> = client
        .list("")
        .await
        .unwrap()
        .into_iter()
        .map(|l| (l.name, l.versions))
        .collect();
    assert_eq!(
        names,
        [("/global".to_owned(), 1), ("shop/db".to_owned(), 2)]
    );
    assert_eq!(client.history("shop/db").await.unwrap(), [two, one]);
    assert_eq!(client.rollback("shop/db", None).await.unwrap().version, 3);
    assert_eq!(
        client.get("shop/db", None).await.unwrap().value.expose(),
        b"one\0"
    );

    let key: Vec<_> = std::fs::read_to_string(dir.path().join("key.txt"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let public = key
        .iter()
        .find_map(|l| l.strip_prefix("# public key: "))
        .unwrap()
        .to_owned();
    let sealed = client.export(&Lock::Keys(vec![public])).await.unwrap();
    let lock = || Lock::Keys(key.clone());
    client.remove("shop/db").await.unwrap();
    assert_eq!(
        client.remove("shop/db").await.err().unwrap().kind,
        ErrorKind::NotFound
    );
    let wrong = Lock::Keys(vec!["AGE-SECRET-KEY-1NONSENSE".to_owned()]);
    assert_eq!(
        client
            .import(sealed.clone(), &wrong)
            .await
            .err()
            .unwrap()
            .kind,
        ErrorKind::Unauthenticated
    );
    assert_eq!(client.import(sealed, &lock()).await.unwrap(), ["shop/db"]);
    assert_eq!(
        client.get("shop/db", None).await.unwrap().value.expose(),
        b"one\0"
    );
    assert_eq!(
        sessions.started.load(Ordering::SeqCst),
        1,
        "one connection serves all"
    );
}

#[tokio::test]
async fn configuration_and_credential_files_lie_beside_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let client = Sessions::new(dir.path()).client();
    assert_eq!(client.read_config(ConfigFile::Host).await.unwrap(), None);
    client
        .write_config(ConfigFile::Host, b"sources: {}\n")
        .await
        .unwrap();
    client.write_config(ConfigFile::Grants, b"").await.unwrap();
    assert_eq!(
        client.read_config(ConfigFile::Host).await.unwrap().unwrap(),
        b"sources: {}\n"
    );
    assert_eq!(
        client
            .read_config(ConfigFile::Grants)
            .await
            .unwrap()
            .unwrap(),
        b""
    );
    assert!(client.read_file("bao_secret_id").await.unwrap().is_none());
    client
        .write_file("bao_secret_id", &value(b"s.1"))
        .await
        .unwrap();
    assert_eq!(
        client
            .read_file("bao_secret_id")
            .await
            .unwrap()
            .unwrap()
            .expose(),
        b"s.1"
    );
    for bad in ["../key.txt", "", "..", "a/b"] {
        assert_eq!(
            client.read_file(bad).await.err().unwrap().kind,
            ErrorKind::Invalid,
            "{bad}"
        );
        assert_eq!(
            client
                .write_file(bad, &value(b"x"))
                .await
                .err()
                .unwrap()
                .kind,
            ErrorKind::Invalid,
            "{bad}"
        );
    }
    assert!(dir.path().join("keep").is_dir());
}

#[tokio::test]
async fn a_file_of_the_configuration_is_replaced_only_over_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = ConfigFile::Grants;
    let (one, two) = (
        Sessions::new(dir.path()).client(),
        Sessions::new(dir.path()).client(),
    );
    assert!(one.replace_config(file, b"", b"one").await.unwrap());
    // The other one has read before that.
    assert!(!two.replace_config(file, b"", b"two").await.unwrap());
    assert_eq!(two.read_config(file).await.unwrap().unwrap(), b"one");
    assert!(two.replace_config(file, b"one", b"both").await.unwrap());
    assert_eq!(one.read_config(file).await.unwrap().unwrap(), b"both");
}

#[tokio::test]
async fn a_change_by_another_session_is_a_hint_to_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = (
        Sessions::new(dir.path()),
        Sessions::new(dir.path()).client(),
    );
    let mut hints = LocalStore::new(reader.client(), "shop".into())
        .watch()
        .unwrap();
    hints.next().await.unwrap();
    writer.set("shop/db", &value(b"1")).await.unwrap();
    hints.next().await.unwrap();
    writer.write_config(ConfigFile::Grants, b"x").await.unwrap();
    hints.next().await.unwrap();
    reader.cut();
    while hints.next().await.is_some() {}
}

#[tokio::test]
async fn a_change_of_the_configuration_is_told_from_one_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = (
        Sessions::new(dir.path()).client(),
        Sessions::new(dir.path()).client(),
    );
    let mut changes = reader.watch();
    let mut next = async || changes.next().await.unwrap().configuration;
    assert!(next().await, "what happened before is not known");
    writer.set("shop/db", &value(b"1")).await.unwrap();
    assert!(!next().await);
    writer.write_config(ConfigFile::Host, b"x").await.unwrap();
    assert!(next().await);
}

#[tokio::test]
async fn a_broken_connection_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(dir.path());
    let client = sessions.client();
    client.set("shop/db", &value(b"1")).await.unwrap();
    sessions.cut();
    // The break may be noticed by the call or before it; either way at most one call fails.
    if let Err(e) = client.list("").await {
        assert_eq!(e.kind, ErrorKind::Unavailable);
    }
    assert_eq!(
        client.get("shop/db", None).await.unwrap().value.expose(),
        b"1"
    );
    assert_eq!(sessions.started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_container_that_ends_while_a_session_begins_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let ending = |times: usize| {
        let sessions = Sessions::new(dir.path());
        LocalClient::new(Arc::new(Ending(times.into(), sessions)))
    };
    ending(2).set("shop/db", &value(b"1")).await.unwrap();
    let e = ending(9).list("").await.err().unwrap();
    assert_eq!(e.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn callers_share_the_connection_and_may_go_away() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(dir.path());
    let client = sessions.client();
    client
        .set("shop/0", &value(&vec![b'x'; 1 << 18]))
        .await
        .unwrap();
    // Polled once, then dropped, with a large answer on its way.
    for _ in 0..3 {
        let call = client.get("shop/0", None);
        assert!(call.now_or_never().is_none());
    }
    let calls = (1..12).map(|i| {
        let client = client.clone();
        async move {
            let name = format!("shop/{i}");
            client.set(&name, &value(name.as_bytes())).await.unwrap();
            assert_eq!(
                client.get(&name, None).await.unwrap().value.expose(),
                name.as_bytes()
            );
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(sessions.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unavailable() {
    let e = LocalClient::new(Arc::new(Nobody))
        .list("")
        .await
        .err()
        .unwrap();
    assert_eq!(e.kind, ErrorKind::Unavailable);
    assert_eq!(
        e.message,
        "cannot reach the local store: no engine\u{fffd}[31m"
    );
    assert!(
        LocalStore::new(LocalClient::new(Arc::new(Nobody)), "shop".into())
            .watch()
            .unwrap()
            .next()
            .await
            .is_none()
    );
}
