//! What goes wrong on purpose.

use std::sync::Mutex;
use std::time::Duration;

use super::lock;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before anything is done.
    Break,
    /// Nothing is done, and this is the answer's status.
    Status(u16),
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// It is done, and the connection breaks in the middle of the answer's body.
    HalfBody,
    /// It is done after this time.
    Delay(Duration),
}

/// What happens to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFault {
    /// Nobody is told.
    Lose,
    /// Everybody is told twice.
    Double,
    /// Everybody is told after this time.
    Delay(Duration),
}

struct Rule<F> {
    pattern: String,
    fault: F,
    left: usize,
}

/// The faults that are waiting for their moment.
#[derive(Default)]
pub struct Faults {
    requests: Mutex<Vec<Rule<Fault>>>,
    events: Mutex<Vec<Rule<EventFault>>>,
}

impl Faults {
    /// The next `times` requests that contain `pattern` go wrong. They are compared as
    /// `METHOD /path?query` without the version: `POST /containers/`, `/stop`, `GET /info`.
    /// The first rule that fits is used, and of that only.
    pub fn on(&self, pattern: &str, fault: Fault, times: usize) {
        lock(&self.requests).push(Rule {
            pattern: pattern.to_owned(),
            fault,
            left: times,
        });
    }

    /// The next `times` events that contain `pattern` go wrong. They are compared as
    /// `TYPE ACTION NAME`: `container die shop-db-1`.
    pub fn on_event(&self, pattern: &str, fault: EventFault, times: usize) {
        lock(&self.events).push(Rule {
            pattern: pattern.to_owned(),
            fault,
            left: times,
        });
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        lock(&self.requests).clear();
        self.clear_events();
    }

    /// No more events go wrong.
    pub fn clear_events(&self) {
        lock(&self.events).clear();
    }

    pub(crate) fn for_request(&self, request: &str) -> Option<Fault> {
        take(&mut lock(&self.requests), request)
    }

    pub(crate) fn for_event(&self, event: &str) -> Option<EventFault> {
        take(&mut lock(&self.events), event)
    }
}

fn take<F: Copy>(rules: &mut Vec<Rule<F>>, subject: &str) -> Option<F> {
    rules.retain(|rule| rule.left > 0);
    let rule = rules
        .iter_mut()
        .find(|rule| subject.contains(&rule.pattern))?;
    rule.left -= 1;
    Some(rule.fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_used_up() {
        let faults = Faults::default();
        faults.on("/stop", Fault::Break, 1);
        faults.on("POST", Fault::Status(500), 1);
        assert_eq!(faults.for_request("GET /info"), None);
        assert_eq!(
            faults.for_request("POST /containers/a/stop"),
            Some(Fault::Break)
        );
        assert_eq!(
            faults.for_request("POST /containers/a/stop"),
            Some(Fault::Status(500))
        );
        assert_eq!(faults.for_request("POST /containers/a/stop"), None);
    }
}
