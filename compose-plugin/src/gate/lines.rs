//! What is said to compose: one JSON object a line.

use std::io::Write;

use locket_provider::printable;
use serde::Serialize;
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

/// The line to compose.
pub struct Lines<W> {
    out: W,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Something worth knowing.
    pub fn info(&mut self, text: &str) {
        self.say("info", &line(text));
    }

    /// Something that is not as it should be. The protocol has no word for it.
    pub fn warning(&mut self, text: &str) {
        self.say("info", &format!("warning: {}", line(text)));
    }

    /// What has gone wrong.
    pub fn error(&mut self, text: &str) {
        self.say("error", &line(text));
    }

    /// A variable for dependants; compose puts the service's name in front.
    pub fn setenv(&mut self, name: &str, value: &str) {
        let pair = Zeroizing::new(format!("{name}={value}"));
        self.say("setenv", &pair);
    }

    /// JSON that was made elsewhere, in one line.
    pub fn raw(&mut self, json: &str) {
        self.put(json.as_bytes());
    }

    fn say(&mut self, kind: &str, message: &str) {
        // Escaping makes at most six bytes of one: the buffer never grows, so no copy of a value stays behind.
        let mut json = Zeroizing::new(Vec::with_capacity(64 + 6 * message.len()));
        if serde_json::to_writer(&mut *json, &Message { kind, message }).is_ok() {
            self.put(&json);
        }
    }

    fn put(&mut self, json: &[u8]) {
        // Compose may have been interrupted: then nobody is there to be told, and the work goes on to its end.
        let _ = self
            .out
            .write_all(json)
            .and_then(|()| self.out.write_all(b"\n"))
            .and_then(|()| self.out.flush());
    }
}

/// One line of printable text: compose shows no second one.
fn line(text: &str) -> String {
    let joined: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    printable(&joined.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_json_and_nothing_else() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        lines.info("a\nb");
        lines.warning("\u{1b}[2J");
        lines.error("x:\n\n  y");
        lines.setenv("KEY", "a\"b\nc\u{1}");
        let text = String::from_utf8(out).unwrap();
        expect_test::expect![[r#"
            {"type":"info","message":"a b"}
            {"type":"info","message":"warning: �[2J"}
            {"type":"error","message":"x: y"}
            {"type":"setenv","message":"KEY=a\"b\nc\u0001"}
        "#]]
        .assert_eq(&text);
        for line in text.lines() {
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok(),
                "{line}"
            );
        }
    }
}
