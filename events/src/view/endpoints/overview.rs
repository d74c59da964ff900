//! The dashboard in one piece: from memory, at the cost of the number of endpoints, never of the number of requests.

use super::minutes::{Average, AverageOf, Minute, mean};
use super::{Endpoints, ModelNo, Share};
use crate::endpoint::{Api, Endpoint, Kind, LastError, Outcome, Status};
use crate::id::{EndpointId, Position};
use crate::money::Factor;
use crate::time::{Span, Timestamp};
use crate::truth::Truth;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// In the order of their names.
    pub endpoints: Vec<EndpointRow>,
    pub stats: Stats,
    /// Sixty minutes in UTC, oldest first.
    pub history: Vec<Minute>,
    pub endpoint_tps: Vec<TpsRow>,
    pub generated_at: Timestamp,
    pub position: Position,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRow {
    pub id: EndpointId,
    pub name: String,
    pub base_url: String,
    pub kind: Option<Kind>,
    pub tags: BTreeSet<String>,
    pub status: Status,
    pub status_since: Timestamp,
    /// Of the last good probe, also while it is offline; rounded.
    pub latency_ms: Option<u64>,
    pub inference_latency_ms: Option<u64>,
    pub last_seen: Option<Timestamp>,
    pub last_error: Option<LastError>,
    pub consecutive_failures: u32,
    pub models: u64,
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub tps: Option<Tps>,
    pub in_flight: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    pub outcomes: BTreeMap<Outcome, u64>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub endpoints: BTreeMap<Status, u64>,
    pub average_response_ms: Option<u64>,
    pub average_response_of: Option<AverageOf>,
    /// Requests that came to no endpoint.
    pub without_endpoint: u64,
    /// What went to endpoints that are no longer there, the last ones first.
    pub removed: Vec<RemovedRow>,
    /// What went to those that were removed before these.
    pub removed_earlier: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedRow {
    pub id: EndpointId,
    pub name: String,
    pub removed_at: Timestamp,
    pub total: u64,
    pub success: u64,
    pub failed: u64,
}

/// Tokens a second of an endpoint's last day on which something was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tps {
    pub value: Factor,
    /// It is of the current day.
    pub today: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TpsRow {
    pub endpoint: EndpointId,
    pub tps: Option<Tps>,
    pub models: Vec<ModelSpeed>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpeed {
    /// None: models beyond those that are told apart.
    pub model: Option<String>,
    pub api: Api,
    pub tps: Factor,
    pub samples: u64,
}

impl Endpoints {
    /// All of the dashboard as it is at `now`. Only the proxy knows what is in flight.
    pub fn overview(&self, truth: &Truth, now: Timestamp, in_flight: impl Fn(EndpointId) -> u32) -> Overview {
        let (today, names) = (Self::today(truth, now), self.models.names());
        let (mut endpoints, mut endpoint_tps) = (Vec::new(), Vec::new());
        for endpoint in truth.endpoints() {
            endpoints.extend(self.row(endpoint, today, in_flight(endpoint.id)));
            endpoint_tps.push(self.speed_row(endpoint, today, &names));
        }
        let (stats, history) = (self.stats(truth, now), self.history(now));
        Overview { endpoints, stats, history, endpoint_tps, generated_at: now, position: truth.position() }
    }

    /// One endpoint as the overview shows it; none where it is not there.
    pub fn one(&self, truth: &Truth, id: EndpointId, now: Timestamp, in_flight: u32) -> Option<EndpointRow> {
        let endpoint = truth.endpoint(id).filter(|endpoint| endpoint.is_there())?;
        self.row(endpoint, Self::today(truth, now), in_flight)
    }

    /// The speeds of one endpoint as the overview shows them; none where it is not there.
    pub fn speeds_of(&self, truth: &Truth, id: EndpointId, now: Timestamp) -> Option<TpsRow> {
        let endpoint = truth.endpoint(id).filter(|endpoint| endpoint.is_there())?;
        let models: BTreeSet<ModelNo> = self.speeds.of(id).map(|(model, ..)| model).collect();
        Some(self.speed_row(endpoint, Self::today(truth, now), &self.models.names_of(&models)))
    }

    fn row(&self, endpoint: &Endpoint, today: i64, in_flight: u32) -> Option<EndpointRow> {
        let unused = Share::default();
        let share = self.share(Some(endpoint.id)).unwrap_or(&unused);
        row(endpoint, share, tps(share, today), in_flight)
    }

    fn speed_row(&self, endpoint: &Endpoint, today: i64, names: &BTreeMap<ModelNo, &str>) -> TpsRow {
        let models = self.speeds.of(endpoint.id).map(|(model, api, average)| ModelSpeed {
            model: names.get(&model).map(ToString::to_string),
            api,
            tps: per_second(average.value().unwrap_or(0)),
            samples: average.samples(),
        });
        let share = self.share(Some(endpoint.id));
        TpsRow { endpoint: endpoint.id, tps: share.and_then(|share| tps(share, today)), models: models.collect() }
    }

    pub fn stats(&self, truth: &Truth, now: Timestamp) -> Stats {
        let mut endpoints: BTreeMap<Status, u64> = Status::ALL.iter().map(|status| (*status, 0)).collect();
        for endpoint in truth.endpoints() {
            *endpoints.entry(endpoint.health.status).or_default() += 1;
        }
        let average = self.average_response(truth, now);
        let removed = self.removed().map(|(id, gone)| RemovedRow {
            id,
            name: gone.name.clone(),
            removed_at: gone.removed_at,
            total: gone.tally.total(),
            success: gone.tally.success(),
            failed: gone.tally.failed(),
        });
        let mut removed: Vec<_> = removed.collect();
        removed.sort_by_key(|row| (std::cmp::Reverse(row.removed_at), row.id));
        Stats {
            total: self.total.total(),
            success: self.total.success(),
            failed: self.total.failed(),
            outcomes: Outcome::ALL.iter().map(|outcome| (*outcome, self.total.of(*outcome))).collect(),
            input_tokens: self.total.tokens.input(),
            output_tokens: self.total.tokens.output(),
            endpoints,
            average_response_ms: average.map(|average| millis(average.took)),
            average_response_of: average.map(|average| average.of),
            without_endpoint: self.share(None).map_or(0, |share| share.tally.total()),
            removed,
            removed_earlier: self.removed_earlier().tally.total(),
        }
    }

    /// How long an answer takes: by the requests of the last hour, else of the last hour that had some, else by the probes of
    /// the endpoints that are online, else nobody knows.
    pub fn average_response(&self, truth: &Truth, now: Timestamp) -> Option<Average> {
        self.completions.average(now).or_else(|| {
            let online = truth.endpoints().filter(|endpoint| endpoint.health.status == Status::Online);
            let probes: Vec<u64> =
                online.filter_map(|endpoint| endpoint.latency).map(|span| span.0.unsigned_abs()).collect();
            let sum = probes.iter().fold(0u64, |sum, micros| sum.saturating_add(*micros));
            let count = probes.len() as u64;
            (count > 0).then(|| Average { took: mean(sum, count), of: AverageOf::Probes })
        })
    }
}

fn tps(share: &Share, today: i64) -> Option<Tps> {
    share.speed.value().map(|value| Tps { value: per_second(value), today: share.speed.date == today })
}

fn row(endpoint: &Endpoint, share: &Share, tps: Option<Tps>, in_flight: u32) -> Option<EndpointRow> {
    let settings = endpoint.settings.as_ref()?;
    Some(EndpointRow {
        id: endpoint.id,
        name: settings.name.clone(),
        base_url: settings.base_url.clone(),
        kind: endpoint.kind(),
        tags: settings.tags.clone(),
        status: endpoint.health.status,
        status_since: endpoint.health.since,
        latency_ms: endpoint.latency.map(millis),
        inference_latency_ms: endpoint.inference_latency().map(millis),
        last_seen: endpoint.last_seen,
        last_error: endpoint.last_error.clone(),
        consecutive_failures: endpoint.health.failures,
        models: endpoint.models.len() as u64,
        total: share.tally.total(),
        success: share.tally.success(),
        failed: share.tally.failed(),
        input_tokens: share.tally.tokens.input(),
        output_tokens: share.tally.tokens.output(),
        tps,
        in_flight,
    })
}

/// Rounded to the nearest.
fn millis(span: Span) -> u64 {
    (span.0.unsigned_abs() + 500) / 1_000
}

/// From millionths; to three places.
fn per_second(millionths: u64) -> Factor {
    let thousandths = i64::try_from(millionths.saturating_add(500) / 1_000).unwrap_or(i64::MAX);
    Factor::new(Decimal::new(thousandths, 3)).unwrap_or_default()
}
