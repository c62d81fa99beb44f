//! Ending a program before or after something that it asks of the engine, or of an anchor, with SIGKILL.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use locket_delivery::protocol::{Request, frame_length};

use crate::tap::{Ear, Requests, Tap};

/// A socket that leads to the engine, and knows all points at which the program that uses it can be killed:
/// `before POST containers/NAME/stop`, `after anchor write-state+publish`.
pub struct Crash {
    tap: Tap,
    points: Arc<Mutex<Points>>,
}

#[derive(Default)]
struct Points {
    /// Process id of the program.
    victim: Option<u32>,
    reached: BTreeSet<String>,
    /// Where it is killed.
    at: Option<String>,
    killed: bool,
}

/// What has come by.
pub struct Passed {
    /// Every point.
    pub points: BTreeSet<String>,
    /// Whether the program was killed.
    pub struck: bool,
}

impl Crash {
    /// Listens in a directory.
    ///
    /// # Panics
    /// When the engine is not reached by a Unix socket.
    pub fn start(dir: &Path) -> Self {
        let points = Arc::<Mutex<Points>>::default();
        let told = Arc::clone(&points);
        let tap = Tap::start(dir, "crash.sock", move || {
            Arc::new(Connection {
                points: Arc::clone(&told),
                state: Mutex::default(),
            })
        });
        Self { tap, points }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        self.tap.host()
    }

    /// From now on points count: at `at`, if anywhere, the process is killed.
    pub fn arm(&self, victim: u32, at: Option<&str>) {
        *self.points.lock().unwrap() = Points {
            victim: Some(victim),
            at: at.map(str::to_owned),
            ..Points::default()
        };
    }

    /// True once it was killed.
    pub fn has_struck(&self) -> bool {
        self.points.lock().unwrap().killed
    }

    /// From now on no point counts. What was reached since [`Self::arm`], and whether it was killed there: perhaps only now.
    pub fn disarm(&self) -> Passed {
        let points = std::mem::take(&mut *self.points.lock().unwrap());
        Passed {
            points: points.reached,
            struck: points.killed,
        }
    }
}

impl Points {
    /// False if it was killed here, or before.
    fn reach(&mut self, moment: &str, what: &str) -> bool {
        let Some(victim) = self.victim else {
            return true;
        };
        let here = format!("{moment} {what}");
        if !self.killed && self.at.as_ref() == Some(&here) {
            self.killed = true;
            let killed = Command::new("kill")
                .args(["-9", &victim.to_string()])
                .status();
            assert!(killed.unwrap().success(), "process {victim} is ours");
        }
        self.reached.insert(here);
        !self.killed
    }
}

struct Connection {
    points: Arc<Mutex<Points>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: Requests,
    speaks: Speaks,
    /// What was asked and not yet answered.
    open: Option<String>,
    /// Of an exec stream: the beginning of a question.
    frames: Vec<u8>,
}

/// What is said on a connection.
#[derive(Default, PartialEq)]
enum Speaks {
    #[default]
    Http,
    /// An exec stream, perhaps to an anchor.
    Frames,
    /// Another exec stream.
    Other,
}

impl Ear for Connection {
    fn asked(&self, bytes: &[u8]) -> bool {
        let mut state = self.state.lock().unwrap();
        let names = match state.speaks {
            Speaks::Http => state
                .requests
                .read(bytes)
                .iter()
                .filter_map(|it| point(it))
                .collect(),
            Speaks::Frames => state.questions(bytes),
            Speaks::Other => Vec::new(),
        };
        names.into_iter().all(|name| {
            let goes_on = self.points.lock().unwrap().reach("before", &name);
            state.open = Some(name);
            goes_on
        })
    }

    fn answered(&self, bytes: &mut [u8]) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.speaks == Speaks::Http && bytes.starts_with(b"HTTP/1.1 101") {
            state.speaks = Speaks::Frames;
        }
        let open = state.open.take();
        open.is_none_or(|name| self.points.lock().unwrap().reach("after", &name))
    }
}

impl State {
    /// The names of the questions to an anchor that these bytes bring to their end.
    fn questions(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        self.frames.extend_from_slice(bytes);
        while let Some(prefix) = self.frames.first_chunk::<4>() {
            // The store's frames are not an anchor's: their lengths are written the other way round.
            let Ok(length) = frame_length(*prefix) else {
                self.speaks = Speaks::Other;
                return names;
            };
            let Some(payload) = self.frames.get(4..4 + length) else {
                return names;
            };
            match Request::decode(payload) {
                Ok(Request::Ping) => {}
                Ok(request) => names.push(format!("anchor {}", request.name())),
                Err(_) => self.speaks = Speaks::Other,
            }
            self.frames.drain(..4 + length);
        }
        names
    }
}

/// `POST /v1.48/containers/4f2a…/stop?t=3` is `POST containers/NAME/stop`; nothing for what only looks whether the engine is there.
fn point(request: &str) -> Option<String> {
    let (method, path) = request.split_once(" /")?;
    let path = path.split('?').next()?;
    let mut words: Vec<&str> = path.split('/').collect();
    if words.first().is_some_and(|w| w.starts_with("v1.")) {
        words.remove(0);
    }
    // What stands between the kind and the verb is a name.
    let verbs = [
        "json", "create", "start", "stop", "kill", "exec", "top", "load", "wait",
    ];
    let kind = *words.first()?;
    if matches!(kind, "_ping" | "version" | "info" | "events") {
        return None;
    }
    // A container may have the name of a verb.
    let verb = words
        .last()
        .filter(|last| method != "DELETE" && words.len() > 1 && verbs.contains(*last));
    Some(match verb {
        Some(verb) if words.len() > 2 => format!("{method} {kind}/NAME/{verb}"),
        Some(verb) => format!("{method} {kind}/{verb}"),
        None if words.len() > 1 => format!("{method} {kind}/NAME"),
        None => format!("{method} {kind}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_by_what_is_asked_and_not_of_whom() {
        let names = [
            (
                "POST /v1.48/containers/4f2a/stop?t=3",
                "POST containers/NAME/stop",
            ),
            ("GET /containers/json?all=true", "GET containers/json"),
            (
                "DELETE /v1.48/containers/stop?force=true",
                "DELETE containers/NAME",
            ),
            ("POST /v1.48/volumes/create", "POST volumes/create"),
            ("GET /v1.48/volumes", "GET volumes"),
        ];
        for (request, name) in names {
            assert_eq!(point(request).as_deref(), Some(name), "{request}");
        }
        assert_eq!(point("GET /v1.48/events?filters=x"), None);
    }

    #[test]
    fn a_body_without_a_line_end_is_no_part_of_the_next_request() {
        let bytes = b"POST /exec HTTP/1.1\r\n\r\n{\"Cmd\":[\"GET /x\"]}POST /a/start HTTP/1.1\r\n";
        let found = Requests::default().read(bytes);
        assert_eq!(found, ["POST /exec", "POST /a/start"]);
    }

    #[test]
    fn questions_to_an_anchor_are_told_from_the_store_s_and_may_come_in_pieces() {
        let mut state = State::default();
        let hello = locket_delivery::protocol::frame(&Request::Hello { protocol: 1 }.encode());
        let key = locket_delivery::protocol::frame(&Request::Key.encode());
        let both = [&hello[..], &key].concat();
        assert!(state.questions(&both[..3]).is_empty());
        assert_eq!(state.questions(&both[3..]), ["anchor hello", "anchor key"]);
        assert!(
            state
                .questions(&[0, 0, 0, 20, 0, 0, 0, 16, b'{'])
                .is_empty()
        );
        assert!(state.speaks == Speaks::Other);
    }
}
