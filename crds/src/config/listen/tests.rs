use expect_test::expect;

use super::*;
use crate::config::{Encoding, HostConfig, Piece, Timestamp};
use crate::diag::{SourceMap, render_text};

fn listen(text: &str) -> Listen {
    let text = format!("listen: {{ {text} }}");
    HostConfig::parse("locket.yaml", &text)
        .unwrap()
        .listen
        .unwrap()
}

fn problems(text: &str) -> String {
    let text = format!("listen: {{ {text} }}");
    let problems = HostConfig::parse("locket.yaml", &text).unwrap_err();
    let sources: SourceMap = [("locket.yaml".to_owned(), text)].into_iter().collect();
    render_text(&problems, &sources, false)
}

fn signature(text: &str) -> Signature {
    let it = listen(&format!(
        "address: '127.0.0.1:1', hooks: {{ a: {{ secret: {{ file: /s }}, signature: {text} }} }}"
    ));
    it.hooks["a"].signature.clone()
}

#[test]
fn nothing_listens_unless_it_is_asked_for() {
    assert_eq!(HostConfig::parse("f", "sources: {}").unwrap().listen, None);
    let it = listen("address: '127.0.0.1:9480'");
    assert_eq!((it.metrics, it.hooks.len()), (None, 0));
}

#[test]
fn everything_can_be_said() {
    let it = listen(
        "address: '0.0.0.0:9480', tls: { cert: /c.pem, key: /k.pem }, metrics: { token: { file: /t } }, hooks: { bao: { secret: { file: /h } }, op: { secret: { env: H }, signature: standard-webhooks } }",
    );
    assert_eq!(Vec::from_iter(it.files()), ["/c.pem", "/k.pem", "/t", "/h"]);
    assert_eq!(
        it.hooks["bao"].signature,
        Signature::named("locket").unwrap()
    );
    let spelled = signature(
        "{ header: X-Sig, prefix: 'v0=', encoding: base64, timestamp: { header: X-Time }, content: 'v0:{timestamp}:{X-Id}:{body}', tolerance: 1m }",
    );
    assert_eq!(
        spelled,
        Signature {
            header: "x-sig".into(),
            prefix: "v0=".into(),
            encoding: Encoding::Base64,
            timestamp: Some(Timestamp::Header("x-time".into())),
            content: vec![
                Piece::Text("v0:".into()),
                Piece::Timestamp,
                Piece::Text(":".into()),
                Piece::Header("x-id".into()),
                Piece::Text(":".into()),
                Piece::Body,
            ],
            tolerance: std::time::Duration::from_secs(60),
            encoded_secret: false,
        }
    );
    assert_eq!(
        signature("{ header: X-Hub-Signature-256, prefix: 'sha256=' }"),
        Signature::named("github").unwrap()
    );
}

#[test]
fn without_tls_only_this_machine_can_connect() {
    for address in [
        "127.0.0.1:1",
        "127.8.9.1:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        listen(&format!("address: '{address}'"));
    }
    for address in ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "[fe80::1]:1"] {
        let said = problems(&format!("address: '{address}'"));
        assert!(said.contains("there is no `tls`"), "{said}");
        listen(&format!(
            "address: '{address}', tls: {{ cert: /c, key: /k }}"
        ));
    }
}

#[test]
fn what_is_wrong_is_told_and_no_key_is_shown() {
    let text = "address: '0.0.0.0:9480', metrics: 1, hooks: { a: { secret: hunter2hunter2, signature: { header: 'a b', content: x, timestamp: {} } }, b: { secret: { file: /b }, signature: gitlab }, c: { secret: { file: /b }, signature: { header: x, timestamp: { part: 't=' }, content: '{body}' } }, d: { secret: { file: /b }, signature: { header: x, tolerance: 1h } } }";
    let said = problems(text);
    assert!(!said.contains("hunter2"), "{said}");
    let lines: Vec<&str> = said.lines().filter(|l| l.starts_with("error")).collect();
    expect![[r#"
        error[L005 invalid-value]: `'0.0.0.0:9480'` can be reached from elsewhere and there is no `tls`
        error[L004 wrong-type]: `metrics` is a number, not `true` or `false`
        error[L014 written-credential]: `secret` is written down here
        error[L005 invalid-value]: `'a b'` is no name of a header
        error[L006 missing-key]: `timestamp` names no one place
        error[L005 invalid-value]: there is no signature `gitlab`
        error[L005 invalid-value]: `'{body}'` leaves the timestamp out, so the signature would not cover it
        error[L005 invalid-value]: `1h` is not between 1s and 15m"#]].assert_eq(&lines.join("\n"));
    let said =
        problems("address: '127.0.0.1:1', tls: { cert: /c, key: '-----BEGIN PRIVATE KEY-----' }");
    assert!(
        said.contains("not an absolute path") && !said.contains("BEGIN"),
        "{said}"
    );
}
