//! Connections through a process. The first test needs a real engine and the docker CLI.

use std::ffi::OsString;
use std::time::Duration;

use futures_util::StreamExt;
use locket_engine::watcher::Event;
use locket_engine::{Endpoint, Engine, Kind};

fn dial(words: &[&str]) -> Endpoint {
    Endpoint::DialStdio {
        command: words.iter().map(OsString::from).collect(),
    }
}

#[tokio::test]
async fn a_real_engine_is_reached_through_the_docker_cli() {
    let endpoint = dial(&[
        "docker",
        "-H",
        "unix:///var/run/docker.sock",
        "system",
        "dial-stdio",
    ]);
    let engine = Engine::connect(endpoint).await.unwrap_or_else(|e| {
        panic!("no engine or no docker CLI to test with, try `make setup`: {e}")
    });
    let (info, list) = tokio::join!(engine.info(), engine.containers(&[]));
    assert!(!info.unwrap().id.is_empty());
    list.unwrap();
    let mut events = engine.events();
    let first = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    assert_eq!(first.unwrap(), Some(Event::Init));
}

#[tokio::test]
async fn a_dialer_that_fails_says_why() {
    let error = Engine::connect(dial(&["sh", "-c", "echo 'no context \"x\"' >&2; exit 1"]))
        .await
        .unwrap_err();
    assert!(error.message.contains("no context \"x\""), "{error}");
    assert!(error.is_refused(), "{error}");
}

#[tokio::test]
async fn a_dialer_that_is_not_there_is_refused() {
    let error = Engine::connect(dial(&["/nonexistent/docker"]))
        .await
        .unwrap_err();
    assert!(error.is_refused(), "{error}");
    let error = Engine::connect(dial(&[])).await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    let error = Engine::connect(Endpoint::Unix("/nonexistent.sock".into()))
        .await
        .unwrap_err();
    assert!(error.is_refused(), "{error}");
}

#[tokio::test]
async fn something_else_on_the_line_is_a_broken_answer() {
    let error = Engine::connect(dial(&["echo", "SSH-2.0-OpenSSH"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Protocol, "{error}");
}

#[tokio::test]
async fn an_old_engine_is_refused_in_one_line() {
    let answer = r#"{"Version":"24.0.7","ApiVersion":"1.43","MinAPIVersion":"1.12"}"#;
    let script = format!(
        "read line; printf 'HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n%s' '{answer}'; cat >/dev/null",
        answer.len()
    );
    let error = Engine::connect(dial(&["sh", "-c", &script]))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "connect to the engine: the engine is too old \
         (Docker Engine 26 or newer is needed (API 1.45); this is 24.0.7 (API 1.43))"
    );
}
