//! One scrape: the instruments, and what can be read off the state of things at this moment.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use locket_core::Time;
use locket_crds::id::ProjectName;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{Counters, Labels};
use crate::service::Service;
use crate::view::View;

/// Of what [`text`] gives, <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;
type Gauges = Family<Labels, Gauge>;

/// Everything, in the text format of OpenMetrics.
pub fn text(service: &Service) -> String {
    let mut registry = Registry::with_prefix("locket");
    let version = service.answerer().locket;
    registry.register(
        "build",
        "This program",
        Info::new(vec![("version", version)]),
    );
    queue(&mut registry, service);
    instruments(&mut registry, service);
    Projects::new(&service.views()).register(&mut registry);
    let mut out = String::new();
    // A String takes everything.
    let _ = encode(&mut out, &registry);
    out
}

fn total(number: u64) -> Counter {
    let it = Counter::default();
    it.inc_by(number);
    it
}

fn gauge(number: f64) -> Gauge {
    let it = Gauge::default();
    it.set(number);
    it
}

fn queue(to: &mut Registry, service: &Service) {
    let stats = service.queue();
    let count = |number: usize| gauge(number as f64);
    let oldest = stats.oldest.unwrap_or_default().as_secs_f64();
    to.register(
        "queue_depth",
        "Projects that are due and wait for a pass",
        count(stats.depth),
    );
    to.register(
        "queue_delayed",
        "Projects whose next pass has a time",
        count(stats.delayed),
    );
    to.register(
        "queue_oldest_seconds",
        "How long the project that has waited longest has been due",
        gauge(oldest),
    );
    to.register(
        "queue_adds",
        "Hints that asked for a pass, merged ones included",
        total(stats.adds),
    );
    to.register(
        "queue_retries",
        "Failed passes that were given another try",
        total(stats.retries),
    );
    to.register("passes_in_flight", "Passes that run", count(stats.running));
}

fn instruments(to: &mut Registry, service: &Service) {
    let shared = service.shared();
    let (metrics, calls) = (&shared.metrics, shared.sources.calls());
    to.register(
        "pass_duration_seconds",
        "How long passes took, by how they ended: looked, absent (nothing to look after), held (somebody else writes), failed",
        metrics.passes.clone(),
    );
    to.register(
        "backend_call_duration_seconds",
        "How long sources took to answer for a batch of secrets, by operation: versions, values",
        calls.durations.clone(),
    );
    to.register(
        "backend_calls_in_flight",
        "Batches that sources have not answered yet",
        calls.in_flight.clone(),
    );
    to.register(
        "backend_errors",
        "Batches in whose answer there was this reason for why something cannot be had",
        calls.errors.clone(),
    );
    let inspects = Counters::default();
    let stats = shared.cache.stats();
    for (from, number) in [("memory", stats.remembered), ("engine", stats.asked)] {
        let labels = vec![("from", from.to_owned())];
        inspects.get_or_create(&labels).inc_by(number);
    }
    to.register(
        "container_inspects",
        "Looks at containers, by what answered them: memory, engine",
        inspects,
    );
    to.register(
        "hooks",
        "Pushes to the listener, by outcome: accepted, repeated, limited, refused; without a source for one that has no hook",
        metrics.hooks.clone(),
    );
    to.register(
        "listener_connections",
        "Connections to the listener",
        metrics.connections.clone(),
    );
}

/// What is known of each project.
#[derive(Default)]
struct Projects {
    conditions: Gauges,
    looked: Gauges,
    contacts: Gauges,
    generations: Gauges,
    published: Gauges,
    deliveries: Counters,
    restarts: Counters,
    rollbacks: Counters,
    versions: Counters,
}

impl Projects {
    fn new(views: &[(ProjectName, Arc<View>)]) -> Self {
        let it = Self::default();
        views.iter().for_each(|(name, view)| it.add(name, view));
        it
    }

    fn add(&self, project: &ProjectName, view: &View) {
        let of = |more: &[(&'static str, &str)]| -> Labels {
            let more = more
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()));
            std::iter::once(("project", project.to_string()))
                .chain(more)
                .collect()
        };
        let set = |to: &Gauges, labels: Labels, number: f64| {
            to.get_or_create(&labels).set(number);
        };
        let add = |to: &Counters, labels: Labels, number: u64| {
            to.get_or_create(&labels).inc_by(number);
        };
        let seconds = |at: Time| at.0 as f64 / 1e9;
        if let Some(at) = view.looked {
            set(&self.looked, of(&[]), seconds(at));
        }
        for it in view.status.iter().flat_map(|s| &s.conditions) {
            let kind = it.kind.to_string();
            let labels = of(&[("condition", &kind)]);
            set(&self.conditions, labels, f64::from(u8::from(it.status)));
        }
        for it in view.status.iter().flat_map(|s| &s.sources) {
            if let Some(at) = it.last_contact {
                let labels = of(&[("source", it.source.as_str())]);
                set(&self.contacts, labels, at.0 as f64 / 1e3);
            }
        }
        for it in view.status.iter().flat_map(|s| &s.services) {
            let labels = of(&[("service", it.service.as_str())]);
            set(&self.generations, labels, it.generation as f64);
        }
        for (service, at) in &view.published {
            let labels = of(&[("service", service.as_str())]);
            set(&self.published, labels, seconds(*at));
        }
        let tally = &view.tally;
        add(&self.deliveries, of(&[]), tally.deliveries);
        add(&self.rollbacks, of(&[]), tally.rollbacks);
        for (cause, number) in &tally.restarts {
            add(&self.restarts, of(&[("cause", cause)]), *number);
        }
        for (from, number) in [("memory", tally.remembered), ("backend", tally.asked)] {
            add(&self.versions, of(&[("from", from)]), number);
        }
    }

    fn register(self, to: &mut Registry) {
        to.register(
            "project_condition",
            "1 if a condition of the project is true, else 0",
            self.conditions,
        );
        to.register(
            "project_looked_timestamp_seconds",
            "When the last pass over the project did its work",
            self.looked,
        );
        to.register(
            "source_contact_timestamp_seconds",
            "When a source last answered for the project, whatever it said",
            self.contacts,
        );
        to.register(
            "generation",
            "Sequence number of what is delivered to a service, 0 for nothing",
            self.generations,
        );
        to.register(
            "generation_timestamp_seconds",
            "When what a service has was published",
            self.published,
        );
        to.register(
            "deliveries",
            "Generations that were published",
            self.deliveries,
        );
        to.register(
            "restarts",
            "Restarts that were begun, by the reason of their cause",
            self.restarts,
        );
        to.register(
            "rollbacks",
            "Times that the last good content was put back",
            self.rollbacks,
        );
        to.register(
            "versions",
            "Versions of secrets that passes needed, by where they were had: memory, backend",
            self.versions,
        );
    }
}
