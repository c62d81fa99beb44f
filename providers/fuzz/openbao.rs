//! What a server of OpenBao may answer, through what reads it. A server that means harm gets words of an answer into no error.

use locket_crds::reference::SecretRef;
use locket_fuzz::growth::linear;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::api::{judge, parse};
use super::auth::{LoggedIn, Looked, renew_at};
use super::mount::Found;
use super::{Data, KvTwo, Metadata, field, mark};
use crate::fields::Fields;
use crate::hold;
use crate::http::Response;

/// A status (the first byte, times two and a hundred more), and a body.
fn body(bytes: &[u8]) -> bool {
    let Some((status, body)) = bytes.split_first() else {
        return false;
    };
    let whole = |body: &[u8]| body.to_vec().into();
    let status = StatusCode::from_u16(100 + 2 * u16::from(*status)).unwrap();
    let good = judge(
        Response {
            status,
            retry_after: None,
            body: whole(body),
        },
        "bao:kv/x",
    );
    assert_eq!(good.is_ok(), status.is_success());
    if let Err(e) = good {
        silent(&e.to_string());
    }
    let secret: Result<Data<KvTwo>, _> = parse(body, "kv/x");
    let mut accepted = secret.is_ok();
    if let Ok(Data {
        data: KvTwo { data, metadata },
    }) = secret
    {
        metadata
            .into_iter()
            .for_each(|m| drop(mark(m.version, &m.created_time)));
        data.iter().for_each(taken_apart);
    }
    match parse::<Data<Fields>>(body, "kv/x") {
        Ok(it) => {
            accepted = true;
            taken_apart(&it.data);
        }
        Err(e) => silent(&format!("{e} {:?}", e.help)),
    }
    accepted |= parse::<Data<Metadata>>(body, "x").is_ok() | parse::<Found>(body, "x").is_ok();
    accepted |= parse::<LoggedIn>(body, "x").is_ok_and(|it| {
        renew_at(it.auth.lease_duration, it.auth.renewable);
        true
    });
    accepted |= parse::<Looked>(body, "x").is_ok_and(|it| {
        renew_at(it.data.ttl, it.data.renewable);
        true
    });
    accepted
}

/// Every field that is told of can be asked for, as far as a reference can say its name.
fn taken_apart(fields: &Fields) {
    assert!(!fields.names().contains(|c: char| c.is_control()));
    let whole: SecretRef = "bao:kv/x".parse().unwrap();
    let e = field(fields, &whole).err().unwrap();
    assert!(!e.to_string().contains(char::is_control));
    // A reference has no control characters.
    for name in fields.all().filter(|it| !it.contains(char::is_control)) {
        match fields.get(name, "kv/x") {
            Ok(value) => assert!(std::str::from_utf8(value.expose()).is_ok()),
            Err(e) => assert!(!e.to_string().contains(char::is_control), "{e:?}"),
        }
    }
}

fn silent(text: &str) {
    assert!(!text.contains("c4n4ry"), "{text}");
}

/// `Retry-After`, and behind a line feed `Date`.
fn wish(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |b| *b == b'\n');
    let mut headers = HeaderMap::new();
    for (name, part) in [RETRY_AFTER, DATE].into_iter().zip(&mut parts) {
        if let Ok(value) = HeaderValue::from_bytes(part) {
            headers.insert(name, value);
        }
    }
    hold::retry_after(&headers).is_some()
}

/// A name, the largest size, and who makes an input of a size.
type Family = (&'static str, usize, fn(usize) -> String);

#[test]
fn work_with_an_answer_grows_as_it_does() {
    fn many(n: usize, one: impl Fn(usize) -> String) -> String {
        (0..n).map(one).collect::<Vec<_>>().join(",")
    }
    let all: [Family; 8] = [
        ("fields", 1 << 15, |n| {
            format!(
                r#"{{"data":{{{}}}}}"#,
                many(n, |i| format!(r#""k{i}":"v""#))
            )
        }),
        ("one field again and again", 1 << 16, |n| {
            format!(r#"{{"data":{{{}}}}}"#, many(n, |_| r#""k":"v""#.to_owned()))
        }),
        ("fields of a version", 1 << 15, |n| {
            let fields = many(n, |i| format!(r#""k{i}":"v""#));
            format!(
                r#"{{"data":{{"data":{{{fields}}},"metadata":{{"version":1,"created_time":"t"}}}}}}"#
            )
        }),
        ("versions", 1 << 15, |n| {
            let versions = many(n, |i| format!(r#""{i}":{{"created_time":"t"}}"#));
            format!(r#"{{"data":{{"current_version":1,"versions":{{{versions}}}}}}}"#)
        }),
        ("a field of many parts", 1 << 16, |n| {
            let parts = many(n, |i| format!(r#"{{"k{i}":[{i}]}}"#));
            format!(r#"{{"data":{{"k":[{parts}]}}}}"#)
        }),
        ("escapes", 1 << 19, |n| {
            format!(r#"{{"data":{{"k":"{}"}}}}"#, "\\u0041".repeat(n))
        }),
        ("names that are not shown as they are", 1 << 15, |n| {
            let fields = many(n, |i| format!(r#""{i}\u001b":null"#));
            format!(r#"{{"data":{{{fields}}}}}"#)
        }),
        ("an open bracket", 1 << 20, |n| "[".repeat(n)),
    ];
    for (what, size, text) in all {
        // 200, and the body.
        let answer = |n| [&[50], text(n).as_bytes()].concat();
        linear(what, size, answer, |bytes| {
            body(bytes);
        });
    }
}

locket_fuzz::target!(provider_json, reach: 5, body);
locket_fuzz::target!(retry_after, reach: 5, wish);
