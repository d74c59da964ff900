//! Metrics of endpoints. Their names are labels, of so many at most; no key, client or model is named.

use super::Line;
use crate::store::models::finished;
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidehelm_events::endpoint::{Endpoint, Outcome, Status};
use tidehelm_events::envelope::Record;
use tidehelm_events::id::{EndpointId, Position, StreamId};
use tidehelm_events::truth::Truth;
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::Tally;

/// Endpoints with labels of their own: those that were registered first. What the others do is one sum.
pub const LABELLED_MAX: usize = 100;
const OTHER: &str = "(other)";
/// Requests that came to no endpoint.
const NONE: &str = "(none)";
const REMOVED: &str = "(removed)";

/// How long requests take. Each endpoint's histograms are made once and kept.
pub struct EndpointMetrics {
    seconds: HistogramVec,
    first_byte: HistogramVec,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What was observed already is not observed again.
    seen: Position,
    children: BTreeMap<String, Children>,
}

#[derive(Clone)]
struct Children {
    seconds: Histogram,
    first_byte: Histogram,
}

impl EndpointMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let histogram = |name: &str, help: &str| {
            let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
            let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), &["endpoint"])?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        Ok(EndpointMetrics {
            seconds: histogram(
                "tidehelm_endpoint_request_seconds",
                "How long requests took that succeeded, since the server began",
            )?,
            first_byte: histogram(
                "tidehelm_endpoint_first_byte_seconds",
                "Time to the first byte of an answer, since the server began",
            )?,
            known: Mutex::default(),
        })
    }

    /// Takes in a record, once.
    pub fn take_in(&self, record: &Record, stream: &StreamId, truth: &Truth) {
        let Some((endpoint, finished)) = finished(record, stream) else { return };
        let mut known = self.known();
        if record.position <= known.seen {
            return;
        }
        known.seen = record.position;
        let seconds = |span: tidehelm_events::time::Span| span.0.max(0) as f64 / 1e6;
        let children = self.children(&mut known, &label(endpoint, truth));
        if finished.outcome == Outcome::Success {
            children.seconds.observe(seconds(finished.duration));
        }
        if let Some(first) = finished.first_byte {
            children.first_byte.observe(seconds(first));
        }
    }

    fn children(&self, known: &mut Known, name: &str) -> Children {
        if let Some(children) = known.children.get(name) {
            return children.clone();
        }
        let name = if known.children.len() < LABELLED_MAX { name } else { OTHER };
        let make = || Children {
            seconds: self.seconds.with_label_values(&[name]),
            first_byte: self.first_byte.with_label_values(&[name]),
        };
        known.children.entry(name.into()).or_insert_with(make).clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn label(endpoint: Option<EndpointId>, truth: &Truth) -> String {
    let Some(id) = endpoint else { return NONE.into() };
    match truth.endpoint(id) {
        Some(endpoint) if endpoint.is_there() => name(endpoint),
        _ => REMOVED.into(),
    }
}

fn name(endpoint: &Endpoint) -> String {
    endpoint.settings.as_ref().map(|settings| settings.name.clone()).unwrap_or_default()
}

/// What one label shows.
#[derive(Default)]
struct Shown {
    tally: BTreeMap<Outcome, u64>,
    tokens: (u64, u64),
    in_flight: u64,
    status: BTreeMap<Status, u64>,
    speed: Option<f64>,
    probe: Option<f64>,
}

impl Shown {
    fn add(&mut self, tally: &Tally) {
        for outcome in Outcome::ALL {
            *self.tally.entry(outcome).or_default() += tally.of(outcome);
        }
        self.tokens.0 = self.tokens.0.saturating_add(tally.tokens.input());
        self.tokens.1 = self.tokens.1.saturating_add(tally.tokens.output());
    }
}

/// A label, its word, and a value; a label without a name is left out.
type Labelled = (&'static str, &'static str, f64);
type Values<'a> = &'a dyn Fn(&Shown) -> Vec<Labelled>;

/// What the dashboard shows of endpoints, as lines. Counters go on after a restart: they are folds of the log.
pub fn endpoint_lines(fold: &Fold, in_flight: impl Fn(EndpointId) -> u32) -> Vec<Line> {
    let shown = shown(fold, in_flight);
    let all = |name, kind, help, values: Values<'_>| {
        let mut line = Line { name, kind, help, values: Vec::new() };
        for (endpoint, shown) in &shown {
            for (label, word, value) in values(shown) {
                line.labelled(&[("endpoint", endpoint), (label, word)], value);
            }
        }
        line
    };
    let one = |value: Option<f64>| value.map(|value| ("", "", value)).into_iter().collect::<Vec<_>>();
    vec![
        all("tidehelm_endpoint_requests_total", "counter", "Requests that ended, by outcome", &|of| {
            of.tally.iter().map(|(outcome, count)| ("outcome", outcome.as_str(), *count as f64)).collect()
        }),
        all("tidehelm_endpoint_tokens_total", "counter", "Tokens of requests", &|of| {
            vec![("direction", "input", of.tokens.0 as f64), ("direction", "output", of.tokens.1 as f64)]
        }),
        all("tidehelm_endpoint_in_flight", "gauge", "Requests that are under way", &|of| {
            one(Some(of.in_flight as f64).filter(|_| !of.status.is_empty()))
        }),
        all(
            "tidehelm_endpoint_status",
            "gauge",
            "1 for the status that an endpoint has; of the others together, how many",
            &|of| of.status.iter().map(|(status, count)| ("status", status.as_str(), *count as f64)).collect(),
        ),
        all("tidehelm_endpoint_tokens_per_second", "gauge", "Tokens a second on the last day that had some", &|of| {
            one(of.speed)
        }),
        all("tidehelm_endpoint_probe_seconds", "gauge", "How long the last good probe took", &|of| one(of.probe)),
    ]
}

fn shown(fold: &Fold, in_flight: impl Fn(EndpointId) -> u32) -> BTreeMap<String, Shown> {
    let view = &fold.views.endpoints;
    let mut endpoints: Vec<&Endpoint> = fold.truth.endpoints().collect();
    endpoints.sort_by_key(|endpoint| (endpoint.registered_at, endpoint.id));
    let mut shown = BTreeMap::<String, Shown>::new();
    for (rank, endpoint) in endpoints.into_iter().enumerate() {
        let own = rank < LABELLED_MAX;
        let at = shown.entry(if own { name(endpoint) } else { OTHER.into() }).or_default();
        at.in_flight += u64::from(in_flight(endpoint.id));
        for status in Status::ALL {
            *at.status.entry(status).or_default() += u64::from(status == endpoint.health.status);
        }
        let share = view.share(Some(endpoint.id));
        share.iter().for_each(|share| at.add(&share.tally));
        if own {
            at.speed = share.and_then(|share| share.speed.value()).map(|millionths| millionths as f64 / 1e6);
            at.probe = endpoint.latency.map(|span| span.0 as f64 / 1e6);
        }
    }
    view.share(None).iter().for_each(|share| shown.entry(NONE.into()).or_default().add(&share.tally));
    let gone = view.removed().map(|(_, gone)| &gone.tally).chain([&view.removed_earlier().tally]);
    gone.filter(|tally| tally.total() > 0).for_each(|tally| shown.entry(REMOVED.into()).or_default().add(tally));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_and_children_are_kept() {
        let metrics = EndpointMetrics::new(&Registry::new()).unwrap();
        let mut known = Known::default();
        for number in 0..300 {
            metrics.children(&mut known, &format!("box {number}")).seconds.observe(1.0);
        }
        assert_eq!(known.children.len(), LABELLED_MAX + 1, "and one for all others");
        let other = metrics.children(&mut known, OTHER).seconds;
        assert_eq!(other.get_sample_count(), 200);
        metrics.children(&mut known, "box 7").seconds.observe(1.0);
        assert_eq!(metrics.children(&mut known, "box 7").seconds.get_sample_count(), 2);
    }

    #[test]
    fn a_label_says_what_it_says_whatever_is_in_it() {
        let mut line = Line { name: "x", kind: "gauge", help: "x", values: Vec::new() };
        line.labelled(&[("endpoint", "a\"b\\c\nd"), ("", "")], 1.5);
        let mut text = String::new();
        line.write(&mut text);
        assert!(text.ends_with("x{endpoint=\"a\\\"b\\\\c\\nd\"} 1.5\n"), "{text}");
    }
}
