//! The fake's side of HTTP: queries in, answers out.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Answer = Response<Body>;

/// A status that is not a success, with the engine's words.
pub(crate) struct Refusal(pub u16, pub String);

impl Refusal {
    pub(crate) fn not_found(what: &str, name: &str) -> Self {
        Refusal(404, format!("No such {what}: {name}"))
    }
}

impl From<Refusal> for Answer {
    fn from(Refusal(status, message): Refusal) -> Self {
        document(status, &json!({ "message": message }))
    }
}

pub(crate) fn document(status: u16, value: &Value) -> Answer {
    answer(status, "application/json", Bytes::from(value.to_string()))
}

pub(crate) fn empty(status: u16) -> Answer {
    answer(status, "application/json", Bytes::new())
}

pub(crate) fn answer(status: u16, content_type: &'static str, bytes: Bytes) -> Answer {
    let body = Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    answer
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, content_type);
    answer
}

/// The query of a request, decoded.
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Query(
            pairs
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        matches!(self.get(key), Some("1" | "true"))
    }

    /// A number of seconds.
    pub(crate) fn seconds(&self, key: &str) -> Option<Duration> {
        self.get(key)?.parse().ok().map(Duration::from_secs)
    }

    /// One list of the `filters` document.
    pub(crate) fn filter(&self, key: &str) -> Vec<String> {
        let filters: Value = self
            .get("filters")
            .and_then(|f| serde_json::from_str(f).ok())
            .unwrap_or_default();
        let list = filters
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        list.iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    }

    /// Whether these labels pass the label filter.
    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.filter("label")
            .iter()
            .all(|wanted| match wanted.split_once('=') {
                Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
                None => labels.contains_key(wanted),
            })
    }
}

/// Undoes percent-encoding, and `+` for a blank.
pub(crate) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let hex: Vec<u8> = bytes.by_ref().take(2).collect();
                let hex = std::str::from_utf8(&hex).unwrap_or_default();
                out.push(u8::from_str_radix(hex, 16).unwrap_or(b'?'));
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
