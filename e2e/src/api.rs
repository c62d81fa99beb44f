//! Questions to the engine without the docker CLI, whose start takes more of a processor than all that is tested. For what a scenario
//! looks at again and again.
//!
//! <https://docs.docker.com/reference/api/engine/>

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::command::Transcript;

/// Of API 1.45, which each engine speaks that locket works with.
const VERSION: &str = "/v1.45";

/// The body of the answer; nothing where the engine has no Unix socket on this machine, does not answer, or has no such object.
pub(crate) fn get(path: &str, transcript: &Transcript) -> Option<Vec<u8>> {
    let host = std::env::var("DOCKER_HOST");
    let host = host.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let mut engine = UnixStream::connect(host.strip_prefix("unix://")?).ok()?;
    // By 1.0 the answer is one piece, and ends with the connection.
    let head = format!("GET {VERSION}{path} HTTP/1.0\r\nHost: engine\r\n\r\n");
    engine.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    engine.read_to_end(&mut answer).ok()?;
    transcript.note(path, &answer);
    let ends = memchr::memmem::find(&answer, b"\r\n\r\n")?;
    let is_good = answer.get(9..12)? == b"200";
    is_good.then(|| answer.split_off(ends + 4))
}

/// `a=b` for each label, as a query's `filters`.
pub(crate) fn with_labels(labels: &[(&str, &str)]) -> String {
    let all = labels.iter().map(|(key, value)| format!("{key}={value}"));
    let filters = serde_json::json!({ "label": all.collect::<Vec<_>>() }).to_string();
    let byte = |b: u8| match b {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    filters.bytes().map(byte).collect()
}

/// Both streams of a container without a terminal, first the one and then the other.
pub(crate) fn streams(mut frames: &[u8]) -> String {
    let mut all = [Vec::new(), Vec::new()];
    while let [kind, _, _, _, a, b, c, d, rest @ ..] = frames {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (text, next) = rest.split_at(length.min(rest.len()));
        all[usize::from(*kind == 2)].extend_from_slice(text);
        frames = next;
    }
    String::from_utf8_lossy(&all.concat()).into_owned()
}
