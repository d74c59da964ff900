//! What the process says of itself: logs and metrics.

use crate::config::{Log, LogFormat};
use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use tidehelm_actors::desk::{Gauges, Health, Histogram};
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error, once per process.
pub fn start_logs(log: &Log) -> Result<(), String> {
    let mut filter = EnvFilter::try_new(&log.level).map_err(|error| error.to_string())?;
    // What strangers send wakes nobody: it is an answer of 400, not an error of ours.
    if !log.level.contains("actix_http") {
        filter = filter.add_directive("actix_http=off".parse().map_err(|error| format!("{error}"))?);
    }
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match json {
        true => builder.json().flatten_event(true).try_init(),
        false => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// Metrics that are counted where they happen; the desk's own gauges are read when somebody asks.
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub strangers: IntCounter,
    pub sse_clients: IntGauge,
    pub logins_failed: IntCounter,
    pub live: LiveMetrics,
}

/// What the WebSocket sessions do.
pub struct LiveMetrics {
    pub sessions: IntGauge,
    pub messages: IntCounter,
    pub bytes: IntCounter,
    pub conflated: IntCounter,
    pub gaps: IntCounter,
    pub snapshots: IntCounter,
    closed: IntCounterVec,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Metrics {
            requests: IntCounterVec::new(
                Opts::new("tidehelm_http_requests_total", "HTTP requests by method, route and status"),
                &["method", "route", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new("tidehelm_http_request_seconds", "Time to answer, by route")
                    .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5]),
                &["route"],
            )?,
            strangers: IntCounter::new("tidehelm_strangers_refused_total", "Requests without a valid credential")?,
            sse_clients: IntGauge::new("tidehelm_sse_clients", "Clients that follow the event stream")?,
            logins_failed: IntCounter::new("tidehelm_logins_failed_total", "Logins with a wrong name or password")?,
            live: LiveMetrics::new(&registry)?,
            registry,
        };
        let all: [Box<dyn Collector>; 5] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.request_seconds.clone()),
            Box::new(metrics.strangers.clone()),
            Box::new(metrics.sse_clients.clone()),
            Box::new(metrics.logins_failed.clone()),
        ];
        all.into_iter().try_for_each(|collector| metrics.registry.register(collector))?;
        Ok(metrics)
    }

    /// The text that Prometheus scrapes.
    pub fn text(&self, desk: &[Line]) -> Result<String, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        let mut text = String::from_utf8_lossy(&out).into_owned();
        desk.iter().for_each(|line| line.write(&mut text));
        Ok(text)
    }
}

impl LiveMetrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let sessions = IntGauge::new("tidehelm_ws_sessions", "Open WebSocket sessions")?;
        registry.register(Box::new(sessions.clone()))?;
        let closed = Opts::new("tidehelm_ws_closed_total", "WebSocket sessions that ended, by reason");
        let closed = IntCounterVec::new(closed, &["reason"])?;
        registry.register(Box::new(closed.clone()))?;
        Ok(LiveMetrics {
            sessions,
            messages: counter("tidehelm_ws_messages_total", "Messages to WebSocket clients")?,
            bytes: counter("tidehelm_ws_sent_bytes_total", "Bytes of messages to WebSocket clients")?,
            conflated: counter(
                "tidehelm_ws_conflated_total",
                "Messages that newer ones replaced before a WebSocket client took them",
            )?,
            gaps: counter("tidehelm_ws_gaps_total", "Gaps that WebSocket clients were told of")?,
            snapshots: counter("tidehelm_ws_snapshots_again_total", "Times that a WebSocket client had to begin anew")?,
            closed,
        })
    }

    pub fn closed(&self, reason: &'static str) {
        self.closed.with_label_values(&[reason]).inc();
    }
}

/// A figure that is kept elsewhere.
pub struct Line {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    values: Vec<(String, f64)>,
}

impl Line {
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Line { name, kind: "gauge", help, values: vec![(String::new(), value)] }
    }
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Line { name, kind: "counter", help, values: vec![(String::new(), value as f64)] }
    }

    fn write(&self, text: &mut String) {
        use std::fmt::Write;
        let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {}", self.name, self.help, self.name, self.kind);
        for (suffix, value) in &self.values {
            let _ = writeln!(text, "{}{suffix} {value}", self.name);
        }
    }
}

/// The desk's figures as lines.
pub fn desk_lines(gauges: &Gauges) -> Vec<Line> {
    let tally = gauges.tally();
    let healthy = f64::from(u8::from(gauges.health() == Health::Serving));
    vec![
        Line::counter("tidehelm_orders_total", "Commands that reached a stream", tally.orders),
        Line::counter("tidehelm_refusals_total", "Commands that were refused", tally.refusals),
        Line::counter(
            "tidehelm_refusals_unrecorded_total",
            "Refused telemetry, which leaves no record",
            tally.unrecorded_refusals,
        ),
        Line::counter("tidehelm_repeats_total", "Repeated commands that got their recorded answer", tally.repeats),
        Line::counter("tidehelm_events_total", "Events appended since the start", tally.events),
        Line::counter("tidehelm_commits_total", "Commits since the start", tally.commits),
        Line::counter("tidehelm_reactions_total", "Reactions across streams", tally.reactions),
        Line::counter(
            "tidehelm_overloads_total",
            "Commands turned away because too much was under way",
            tally.overloads,
        ),
        Line::counter(
            "tidehelm_turned_away_total",
            "Commands turned away at a full mailbox or with too many under way",
            gauges.turned_away.load(Ordering::Relaxed),
        ),
        Line::counter(
            "tidehelm_commit_failures_total",
            "Commits that failed or were in doubt",
            gauges.failures.load(Ordering::Relaxed),
        ),
        Line::gauge(
            "tidehelm_account_actors",
            "Account actors that are running",
            gauges.accounts.load(Ordering::Relaxed) as f64,
        ),
        Line::gauge("tidehelm_ready", "1 while the log can be written", healthy),
        histogram(
            "tidehelm_commit_seconds",
            "Time from sealing a commit until it is durable",
            &gauges.commit_micros,
            1e-6,
        ),
        histogram("tidehelm_commit_events", "Events in a commit", &gauges.commit_events, 1.0),
    ]
}

fn histogram(name: &'static str, help: &'static str, from: &Histogram, unit: f64) -> Line {
    let (mut values, mut sum) = (Vec::new(), 0);
    for (power, bucket) in from.buckets.iter().enumerate() {
        sum += bucket.load(Ordering::Relaxed);
        let edge = ((1u64 << power) - 1) as f64 * unit;
        values.push((format!("_bucket{{le=\"{edge}\"}}"), sum as f64));
    }
    values.push(("_bucket{le=\"+Inf\"}".into(), sum as f64));
    values.push(("_sum".into(), from.sum.load(Ordering::Relaxed) as f64 * unit));
    values.push(("_count".into(), sum as f64));
    Line { name, kind: "histogram", help, values }
}
