//! What the process says of itself: logs and metrics.

mod endpoints;

pub use endpoints::{EndpointMetrics, endpoint_lines};

use crate::config::{Log, LogFormat};
use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use tidehelm_actors::desk::{Gauges, Health, Histogram};
use tidehelm_actors::evaluations::{Evaluations, Source};
use tidehelm_events::alert::{Alerts, Severity};
use tidehelm_events::id::{Position, Role};
use tidehelm_events::view::Fold;
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
    pub endpoints: EndpointMetrics,
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
            endpoints: EndpointMetrics::new(&registry)?,
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
    /// One counter for each value of a label.
    pub fn counters<'a>(
        name: &'static str,
        help: &'static str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Self {
        let labelled = |(of, value): (&str, u64)| (format!("{{{label}=\"{of}\"}}"), value as f64);
        Line { name, kind: "counter", help, values: values.into_iter().map(labelled).collect() }
    }

    /// One gauge for each value of a label.
    pub fn gauges<'a>(
        name: &'static str,
        help: &'static str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Self {
        Line { kind: "gauge", ..Line::counters(name, help, label, values) }
    }

    /// One value more, with its labels; one without a name is left out.
    fn labelled(&mut self, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels = labels.iter().filter(|(label, _)| !label.is_empty());
        let labels: Vec<String> = labels.map(|(label, of)| format!("{label}=\"{}\"", escaped(of))).collect();
        self.values.push((format!("{{{}}}", labels.join(",")), value));
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

/// What is raised and what is told of it. No subject is named.
pub fn alert_lines(fold: &Fold) -> Vec<Line> {
    let unused = Alerts::default();
    let alerts = fold.truth.alerts().unwrap_or(&unused);
    let tally = &alerts.tally;
    let open = |severity| {
        let open = |(_, _, at): (_, _, Position)| alerts.alerts.get(&at).is_some_and(|it| it.severity == severity);
        alerts.raised().filter(|raised| open(*raised)).count() as u64
    };
    vec![
        Line::gauges(
            "tidehelm_alerts_raised",
            "Alerts that are raised now",
            "severity",
            Severity::ALL.map(|severity| (severity.as_str(), open(severity))),
        ),
        Line::counter("tidehelm_alerts_raised_total", "Alerts that were raised since the log began", tally.raised),
        Line::counter("tidehelm_alerts_cleared_total", "Of them: those that were cleared", tally.cleared),
        Line::counters(
            "tidehelm_alert_deliveries_total",
            "Tries to hand a message over since the log began, by what became of them",
            "outcome",
            [("delivered", tally.delivered), ("failed", tally.failed), ("given_up", tally.given_up)],
        ),
        Line::gauge("tidehelm_alert_outbox", "Messages on their way", alerts.outbox.len() as f64),
        Line::gauge("tidehelm_alert_dead", "Messages that were given up", alerts.dead.len() as f64),
    ]
}

/// What the proxy holds, and what it could not take.
pub fn proxy_lines(proxy: &crate::proxy::Gauges) -> Vec<Line> {
    vec![
        Line::gauge(
            "tidehelm_proxy_places_taken",
            "Requests that are under way or that the log has not yet, of `proxy.untold_max`",
            proxy.places_taken as f64,
        ),
        Line::gauge("tidehelm_proxy_waiting", "Requests that wait for an endpoint with room", proxy.waiting as f64),
        Line::gauge("tidehelm_proxy_body_bytes", "Bytes of bodies that are held now", proxy.body_bytes as f64),
        Line::counter(
            "tidehelm_proxy_turned_away_total",
            "Requests that were answered 503 since too many were not in the log yet: they are in no log",
            proxy.turned_away,
        ),
        Line::counter("tidehelm_proxy_untold_total", "Requests that the desk did not take into its log", proxy.untold),
    ]
}

/// What passes between the desk and its terminals. No account is named.
pub fn terminal_lines(terminals: &crate::terminals::Counters, sockets: Option<&crate::nng::Counters>) -> Vec<Line> {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let counter = |name, help, count: &AtomicU64| Line::counter(name, help, read(count));
    let t = terminals;
    let mut lines = vec![
        counter("tidehelm_terminal_heartbeats_total", "Heartbeats taken in on uplink", &t.heartbeats),
        counter("tidehelm_terminal_quotes_total", "Quotes taken in on uplink", &t.quotes),
        counter(
            "tidehelm_terminal_uplink_dropped_total",
            "Frames on uplink that were old, of another registration, or that there was no room for",
            &t.uplink_dropped,
        ),
        counter("tidehelm_terminal_requests_total", "Requests on session", &t.requests),
        counter("tidehelm_terminal_refused_total", "Requests and frames that were refused", &t.refused),
        counter("tidehelm_terminal_polls_total", "Polls of terminals for what is new", &t.polls),
        counter("tidehelm_terminal_orders_sent_total", "Orders handed to terminals, repeats included", &t.orders_sent),
        counter("tidehelm_terminal_configs_sent_total", "Configurations handed to terminals", &t.configs_sent),
        counter("tidehelm_terminal_strangers_total", "Frames of those who are not who they claim to be", &t.strangers),
    ];
    if let Some(sockets) = sockets {
        lines.extend(socket_lines(sockets));
    }
    lines
}

fn socket_lines(sockets: &crate::nng::Counters) -> Vec<Line> {
    vec![
        Line::gauge("tidehelm_nng_pipes", "Connections of terminals that are there", sockets.pipes() as f64),
        Line::counter("tidehelm_nng_pipes_opened_total", "Connections that came", sockets.pipes_opened()),
        Line::counter("tidehelm_nng_pipes_refused_total", "Connections that were turned away", sockets.pipes_refused()),
        Line::counter("tidehelm_nng_session_received_total", "Messages on session", sockets.session_received()),
        Line::counter("tidehelm_nng_session_answered_total", "Answers on session", sockets.session_answered()),
        Line::counter(
            "tidehelm_nng_session_unsent_total",
            "Answers that had nobody to go to any more",
            sockets.session_unsent(),
        ),
        Line::counter(
            "tidehelm_nng_session_too_many_total",
            "Requests beyond those that one connection may have waiting",
            sockets.session_too_many(),
        ),
        Line::counter("tidehelm_nng_uplink_received_total", "Messages on uplink", sockets.uplink_received()),
        Line::counter(
            "tidehelm_nng_uplink_dropped_total",
            "Messages on uplink for which there was no room",
            sockets.uplink_dropped(),
        ),
        Line::counter("tidehelm_nng_feed_published_total", "Messages on feed", sockets.feed_published()),
        Line::counter(
            "tidehelm_nng_feed_dropped_total",
            "Messages that the feed itself could not take",
            sockets.feed_dropped(),
        ),
    ]
}

/// How often statuses were worked out, by what for.
pub fn evaluation_lines(status: &StatusMetrics) -> Vec<Line> {
    let by = |name, help, of: fn(&SourceMetrics) -> u64| {
        Line::counters(name, help, "source", status.by_source.iter().map(|(source, counts)| (*source, of(counts))))
    };
    vec![
        by("tidehelm_master_evaluations_total", "Statuses of masters that were worked out", |of| {
            of.master_evaluations_total
        }),
        by("tidehelm_master_evaluations_failed_total", "Of them: what they rest on could not be had", |of| {
            of.master_evaluations_failed
        }),
        by("tidehelm_slave_evaluations_total", "Statuses of slaves that were worked out", |of| {
            of.slave_evaluations_total
        }),
        by("tidehelm_slave_evaluations_failed_total", "Of them: what they rest on could not be had", |of| {
            of.slave_evaluations_failed
        }),
        by("tidehelm_slave_bundles_built_total", "Configurations that were made for slaves", |of| {
            of.slave_bundles_built
        }),
        Line::gauge(
            "tidehelm_last_cluster_size",
            "Masters of the slave that was looked at last",
            status.last_cluster_size as f64,
        ),
    ]
}

/// What the status engine did since the server began.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct StatusMetrics {
    pub master_evaluations_total: u64,
    /// Of them: the inputs could not be had, or the configuration could not be built.
    pub master_evaluations_failed: u64,
    pub slave_evaluations_total: u64,
    pub slave_evaluations_failed: u64,
    pub slave_bundles_built: u64,
    /// Masters of the slave that was looked at last.
    pub last_cluster_size: u64,
    /// `heartbeat`, `register`, `config_request`, `unregister`, `timeout`, `api_toggle`, `api_change`, `reaction`.
    pub by_source: BTreeMap<&'static str, SourceMetrics>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct SourceMetrics {
    pub master_evaluations_total: u64,
    pub master_evaluations_failed: u64,
    pub slave_evaluations_total: u64,
    pub slave_evaluations_failed: u64,
    pub slave_bundles_built: u64,
}

impl StatusMetrics {
    pub fn of(counted: &Evaluations, terminals: &crate::terminals::Counters) -> Self {
        let mut all = StatusMetrics { last_cluster_size: counted.last_cluster_size, ..StatusMetrics::default() };
        for source in Source::ALL {
            let of = all.by_source.entry(source.as_str()).or_insert(SourceMetrics::of(counted, terminals, source));
            all.master_evaluations_total += of.master_evaluations_total;
            all.master_evaluations_failed += of.master_evaluations_failed;
            all.slave_evaluations_total += of.slave_evaluations_total;
            all.slave_evaluations_failed += of.slave_evaluations_failed;
            all.slave_bundles_built += of.slave_bundles_built;
        }
        all
    }
}

impl SourceMetrics {
    /// Terminals that ask for their configuration ask the hub, which has it ready.
    fn of(counted: &Evaluations, terminals: &crate::terminals::Counters, source: Source) -> Self {
        let (master, slave) = (counted.of(Role::Master, source), counted.of(Role::Slave, source));
        let asked = |counts: &[AtomicU64; 2], role: Role| match source {
            Source::ConfigRequest => counts[role as usize].load(Ordering::Relaxed),
            _ => 0,
        };
        let (all, missing) = (&terminals.configs_asked, &terminals.configs_missing);
        SourceMetrics {
            master_evaluations_total: master.total + asked(all, Role::Master),
            master_evaluations_failed: master.failed + asked(missing, Role::Master),
            slave_evaluations_total: slave.total + asked(all, Role::Slave),
            slave_evaluations_failed: slave.failed + asked(missing, Role::Slave),
            slave_bundles_built: counted.slave_bundles[source as usize]
                + asked(all, Role::Slave).saturating_sub(asked(missing, Role::Slave)),
        }
    }
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
