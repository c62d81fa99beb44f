use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::*;

fn headers(all: &[(&str, &str)]) -> HeaderMap {
    let one = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    all.iter().map(one).collect()
}

fn named(name: &str, secret: &str) -> Verifier {
    let signature = Signature::named(name).unwrap();
    Verifier::new(secret.as_bytes(), signature).unwrap()
}

const SECRET: &str = "sixteen-bytes-or-more";
const BODY: &str = r#"{"event":"secrets.modified","timestamp":1700000000000}"#;
const AT: u64 = 1_700_000_000;
/// `printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET"`
const OF_BODY: &str = "36f3f828e28e1fef0ddc930dd07d692611fe7e721f90b6056aca50d8a871d0fe";
/// `printf %s "$AT.$BODY" | openssl dgst -sha256 -hmac "$SECRET"`
const OF_BOTH: &str = "1a1651b4480fa23b60c4d0cd18e1f49b16ac9cfb5b032d7e6ba12549353e7350";

#[test]
fn the_published_examples_are_right() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, testing
    let github = named("github", "It's a Secret to Everybody");
    let said = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let good = headers(&[("X-Hub-Signature-256", said)]);
    assert!(github.verify(&good, b"Hello, World!", 0).is_some());
    assert!(github.verify(&good, b"Hello, World", 0).is_none());
    // The example of the Standard Webhooks libraries.
    let standard = named(
        "standard-webhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    let with = |signature: &str, id: &str| {
        let all = [
            ("webhook-id", id),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ];
        standard.verify(&headers(&all), br#"{"test": 2432232314}"#, 1_614_265_330)
    };
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert!(with(good, id).is_some());
    assert!(with(good, "another").is_none());
    // https://docs.slack.dev/authentication/verifying-requests-from-slack, spelled out as locket-yaml.md does it.
    let yaml = "listen: { address: '127.0.0.1:1', hooks: { a: { secret: { file: /s }, signature: { header: X-Slack-Signature, prefix: 'v0=', timestamp: { header: X-Slack-Request-Timestamp }, content: 'v0:{timestamp}:{body}' } } } }";
    let config = locket_crds::config::HostConfig::parse("f", yaml).unwrap();
    let spelled = config.listen.unwrap().hooks["a"].signature.clone();
    let slack = Verifier::new(b"8f742231b10e8888abcd99yyyzzz85a5", spelled).unwrap();
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let all = [
        (
            "x-slack-signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
        ("x-slack-request-timestamp", "1531420618"),
    ];
    assert!(
        slack
            .verify(&headers(&all), body.as_bytes(), 1_531_420_618)
            .is_some()
    );
    // While a secret is being changed there are two.
    let two = format!("v1,{} {good} v1a,x", STANDARD.encode([7; 32]));
    assert!(with(&two, id).is_some());
}

#[test]
fn what_openssl_signs_is_right() {
    let check = |scheme: &str, header: &str, value: String| {
        let it = named(scheme, SECRET);
        it.verify(&headers(&[(header, &value)]), BODY.as_bytes(), AT)
    };
    let mac = check(
        "doppler",
        "x-doppler-signature",
        format!("sha256={OF_BODY}"),
    );
    assert_eq!(mac.map(hex::encode).as_deref(), Some(OF_BODY));
    let infisical = format!("t=1700000000000;{OF_BODY}");
    assert!(check("infisical", "x-infisical-signature", infisical).is_some());
    let locket = format!("t={AT},v1={OF_BOTH}");
    assert!(check("locket", "X-Locket-Signature", locket).is_some());
    for bad in [
        format!("t={},v1={OF_BOTH}", AT + 1),
        format!("v1={OF_BOTH}"),
        format!("t={AT},v1={OF_BODY}"),
        format!("t={AT},v1={}", &OF_BOTH[..62]),
        format!("t={AT},v1="),
        format!("t={AT}"),
        "v1=zz,t=x,,;;".to_owned(),
        String::new(),
    ] {
        assert!(
            check("locket", "x-locket-signature", bad.clone()).is_none(),
            "{bad}"
        );
    }
}

#[test]
fn the_time_must_be_near_and_is_what_was_signed() {
    let it = named("locket", SECRET);
    let good = headers(&[("x-locket-signature", &format!("t={AT},v1={OF_BOTH}"))]);
    for (now, expected) in [
        (AT - 301, false),
        (AT - 300, true),
        (AT + 300, true),
        (AT + 301, false),
    ] {
        let found = it.verify(&good, BODY.as_bytes(), now).is_some();
        assert_eq!(found, expected, "{now}");
    }
    assert_eq!(it.keep(), Duration::from_secs(600));
}

#[test]
fn a_header_that_is_there_twice_proves_nothing() {
    let it = named("doppler", SECRET);
    let good = format!("sha256={OF_BODY}");
    let mut twice = headers(&[("x-doppler-signature", &good)]);
    twice.append("x-doppler-signature", HeaderValue::from_static("sha256=00"));
    assert!(it.verify(&twice, BODY.as_bytes(), AT).is_none());
}

#[test]
fn only_so_many_signatures_are_looked_at() {
    let it = named("doppler", SECRET);
    let many = |n: usize| {
        let wrong = format!("sha256={},", hex::encode([1; 32])).repeat(n);
        let all = headers(&[("x-doppler-signature", &format!("{wrong}sha256={OF_BODY}"))]);
        it.verify(&all, BODY.as_bytes(), AT).is_some()
    };
    assert!(many(CANDIDATES - 1));
    assert!(!many(CANDIDATES));
}

#[test]
fn a_secret_that_can_be_guessed_is_refused() {
    let refused = |name: &str, secret: &[u8]| {
        let signature = Signature::named(name).unwrap();
        Verifier::new(secret, signature).err()
    };
    for secret in [&b""[..], b"short"] {
        assert!(refused("locket", secret).unwrap().contains("16 bytes"));
    }
    assert!(refused("standard-webhooks", b"whsec_no base64 at all").is_some());
    assert!(refused("standard-webhooks", b"whsec_AAAA").is_some());
}
