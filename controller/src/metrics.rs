//! What a controller counts, in the words of Prometheus. Instruments live where the numbers are born; [`scrape`] puts them
//! together with what can be read off the state of things.
//!
//! Labels are names of projects, services and sources, and bounded words: never the name of a secret, never a value.

pub mod scrape;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use locket_core::{Action, Step};
use locket_crds::id::SourceName;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use crate::mutex::lock;

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Seconds, from a pass with nothing to do to one that waits for a backend twice.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];
/// Names of sources that are told apart. Compose files may invent any number of them.
const SOURCES: usize = 100;
/// The name that all others go by.
const OTHERS: &str = "(others)";

fn durations() -> Histograms {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

/// What happens to passes and to hooks.
#[derive(Clone)]
pub struct Metrics {
    passes: Histograms,
    hooks: Counters,
    connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let passes = durations();
        // A series that is not there and one that is zero are different things to a dashboard.
        for outcome in PassOutcome::ALL {
            drop(passes.get_or_create(&outcome.labels()));
        }
        Self {
            passes,
            hooks: Counters::default(),
            connections: Gauge::default(),
        }
    }
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassOutcome {
    /// The project was looked at.
    Looked,
    /// There is nothing to look after.
    Absent,
    /// Somebody else writes to the project.
    Held,
    /// It could not do its work, and is tried again.
    Failed,
}

impl PassOutcome {
    const ALL: [Self; 4] = [Self::Looked, Self::Absent, Self::Held, Self::Failed];

    fn labels(self) -> Labels {
        let word = match self {
            Self::Looked => "looked",
            Self::Absent => "absent",
            Self::Held => "held",
            Self::Failed => "failed",
        };
        vec![("outcome", word.to_owned())]
    }
}

/// What becomes of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOutcome {
    /// The source is asked.
    Accepted,
    /// The same signature was there before.
    Repeated,
    /// Too many in a short time; the source is asked all the same.
    Limited,
    /// No such source, no signature, a wrong one, or an old one.
    Refused,
}

impl HookOutcome {
    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }
}

impl Metrics {
    /// A pass has ended.
    pub fn passed(&self, begin: Instant, outcome: PassOutcome) {
        let passes = self.passes.get_or_create(&outcome.labels());
        passes.observe(begin.elapsed().as_secs_f64());
    }

    /// A push has come for a source; without a name for one that has no hook.
    pub fn pushed(&self, source: Option<&SourceName>, outcome: HookOutcome) {
        let source = source.map(ToString::to_string).unwrap_or_default();
        let labels = vec![("source", source), ("outcome", outcome.word().to_owned())];
        self.hooks.get_or_create(&labels).inc();
    }

    /// Somebody has connected to the listener, for as long as this is kept.
    pub fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }
}

/// See [`Metrics::connected`].
pub struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Questions to backends.
#[derive(Clone)]
pub struct Calls {
    durations: Histograms,
    errors: Counters,
    in_flight: Family<Labels, Gauge>,
    names: Arc<Mutex<BTreeSet<SourceName>>>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            durations: durations(),
            errors: Counters::default(),
            in_flight: Family::default(),
            names: Arc::default(),
        }
    }
}

/// A question that is not answered yet, or not any more.
pub struct Call<'a> {
    calls: &'a Calls,
    source: String,
    operation: &'static str,
    begin: Instant,
}

impl Calls {
    /// A source is asked.
    pub fn begin(&self, source: &SourceName, operation: &'static str) -> Call<'_> {
        let call = Call {
            calls: self,
            source: self.name(source),
            operation,
            begin: Instant::now(),
        };
        let in_flight = self.in_flight.get_or_create(&call.labels());
        in_flight.inc();
        call
    }

    fn name(&self, source: &SourceName) -> String {
        let mut names = lock(&self.names);
        if names.len() < SOURCES {
            names.insert(source.clone());
        }
        match names.contains(source) {
            true => source.to_string(),
            false => OTHERS.to_owned(),
        }
    }
}

impl Call<'_> {
    fn labels(&self) -> Labels {
        vec![
            ("source", self.source.clone()),
            ("operation", self.operation.to_owned()),
        ]
    }

    /// It was answered, with these reasons among the answers for why something cannot be had.
    pub fn end(self, reasons: impl Iterator<Item = &'static str>) {
        let durations = self.calls.durations.get_or_create(&self.labels());
        durations.observe(self.begin.elapsed().as_secs_f64());
        for reason in reasons.collect::<BTreeSet<_>>() {
            let mut labels = self.labels();
            labels.push(("reason", reason.to_owned()));
            self.calls.errors.get_or_create(&labels).inc();
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let in_flight = self.calls.in_flight.get_or_create(&self.labels());
        in_flight.dec();
    }
}

/// What was done for one project since this process looks after it; gone with the project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Generations that were published.
    pub deliveries: u64,
    /// Restarts that were begun, by the reason of their cause.
    pub restarts: BTreeMap<String, u64>,
    /// Times that the last good content was put back.
    pub rollbacks: u64,
    /// Versions of secrets that a pass knew from before.
    pub remembered: u64,
    /// Versions of secrets that a pass asked a backend for.
    pub asked: u64,
}

impl Tally {
    /// A step was done, or begun.
    pub fn step(&mut self, step: &Step) {
        match &step.action {
            Action::Publish { .. } => self.deliveries += 1,
            Action::Restore { .. } => self.rollbacks += 1,
            Action::Stop { .. } => {
                let reason = step.cause.reason.to_string();
                *self.restarts.entry(reason).or_default() += 1;
            }
            _ => {}
        }
    }

    /// A pass needed so many versions, and asked for some of them.
    pub fn versions(&mut self, needed: usize, asked: usize) {
        self.asked += asked as u64;
        self.remembered += needed.saturating_sub(asked) as u64;
    }
}
