//! What a fake engine tells: events, and a journal for the test.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::faults::EventFault;
use super::world::{World, text};
use crate::time::Time;

/// Events that the engine remembers for a `since`.
const REMEMBERED: usize = 256;

impl World {
    pub(crate) fn tell(&mut self, id: &str, action: &str, extra: Value) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        let mut attributes: Map<String, Value> = container
            .labels
            .iter()
            .map(|(k, v)| (k.clone(), json!(v)))
            .collect();
        attributes.insert("name".to_owned(), json!(container.name));
        attributes.insert("image".to_owned(), container.asked["Image"].clone());
        if let Value::Object(extra) = extra {
            attributes.extend(extra);
        }
        self.emit("container", action, id, Value::Object(attributes));
    }

    pub(crate) fn emit(&mut self, kind: &str, action: &str, id: &str, attributes: Value) {
        let now = self.clock.now();
        let event = json!({
            "Type": kind,
            "Action": action,
            "Actor": { "ID": id, "Attributes": attributes },
            "scope": "local",
            "time": now / 1_000_000_000,
            "timeNano": now,
        });
        self.note(&format!("> {}", event_subject(&event)));
        self.events.push_back(event.clone());
        if self.events.len() > REMEMBERED {
            self.events.pop_front();
        }
        self.listeners
            .retain(|listener| listener.send(event.clone()).is_ok());
    }

    /// Writes down what happens.
    pub(crate) fn note(&mut self, what: &str) {
        let at = self.clock.made.elapsed().as_secs_f64();
        self.journal.push(format!("{at:9.3} {what}"));
    }

    /// What was remembered since then, and what comes.
    pub(crate) fn listen(
        &mut self,
        since: Option<Time>,
    ) -> (Vec<Value>, mpsc::UnboundedReceiver<Value>) {
        let recent = |e: &&Value| since.is_some_and(|since| e["timeNano"].as_u64() >= Some(since));
        let remembered = self.events.iter().filter(recent).cloned().collect();
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.push(sender);
        (remembered, receiver)
    }

    pub(crate) fn drop_listeners(&mut self) {
        self.listeners.clear();
    }
}

/// Which event fault applies, and how often the event goes out.
pub(crate) fn event_subject(event: &Value) -> String {
    let name = event
        .pointer("/Actor/Attributes/name")
        .and_then(Value::as_str);
    let name = name.unwrap_or_else(|| {
        event
            .pointer("/Actor/ID")
            .and_then(Value::as_str)
            .unwrap_or_default()
    });
    format!("{} {} {name}", text(event, "/Type"), text(event, "/Action"))
}

/// Copies of an event to send, and the pause before.
pub(crate) fn copies(fault: Option<EventFault>) -> (usize, Duration) {
    match fault {
        None => (1, Duration::ZERO),
        Some(EventFault::Lose) => (0, Duration::ZERO),
        Some(EventFault::Double) => (2, Duration::ZERO),
        Some(EventFault::Delay(pause)) => (1, pause),
    }
}
