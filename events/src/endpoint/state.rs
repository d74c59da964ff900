//! What an endpoint remembers.

use super::detect::Found;
use super::ema::Ema;
use super::event::{Event, Failure, Model, ProbeOutcome, StatusChanged};
use super::health::{By, Health};
use super::request::{Outcome, RequestFinished};
use super::routing::Candidate;
use super::settings::{Kind, Settings};
use super::told::Told;
use crate::id::{EndpointId, Version};
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: EndpointId,
    /// None: it was never registered. Those of one that was removed stay.
    pub settings: Option<Box<Settings>>,
    pub registered_at: Timestamp,
    pub removed_at: Option<Timestamp>,
    /// What it says that it is.
    pub found: Option<Found>,
    pub health: Health,
    /// How long the last good probe took; kept while it is offline.
    pub latency: Option<Span>,
    /// Time of a good answer to a request, in microseconds.
    pub inference: Ema,
    /// When it last gave a good answer to a request.
    pub measured_at: Option<Timestamp>,
    /// When it last succeeded in something.
    pub last_seen: Option<Timestamp>,
    pub last_error: Option<LastError>,
    pub next_probe_at: Timestamp,
    pub models: Vec<Model>,
    pub models_at: Option<Timestamp>,
    /// How far each run of a proxy told its requests.
    pub told: Told,
    /// Version of the last event that a person caused; what `If-Match` compares.
    pub revision: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    pub at: Timestamp,
    pub by: By,
    pub failure: Failure,
    pub detail: String,
}

impl Endpoint {
    pub fn new(id: EndpointId) -> Self {
        Endpoint {
            id,
            settings: None,
            registered_at: Timestamp::ZERO,
            removed_at: None,
            found: None,
            health: Health::default(),
            latency: None,
            inference: Ema::default(),
            measured_at: None,
            last_seen: None,
            last_error: None,
            next_probe_at: Timestamp::ZERO,
            models: Vec::new(),
            models_at: None,
            told: Told::default(),
            revision: Version(0),
        }
    }

    /// It is registered, and not removed.
    pub fn is_there(&self) -> bool {
        self.settings.is_some() && self.removed_at.is_none()
    }
    /// As it is set, else as it says; none while nobody knows.
    pub fn kind(&self) -> Option<Kind> {
        let set = self.settings.as_ref().and_then(|settings| settings.kind);
        set.or(self.found.as_ref().map(|found| found.kind))
    }
    /// When it is to be asked again; none where it is not asked at all.
    pub fn probe_due(&self) -> Option<Timestamp> {
        self.is_there().then_some(self.next_probe_at)
    }
    /// How long an answer takes, as far as requests showed.
    pub fn inference_latency(&self) -> Option<Span> {
        self.inference.value().map(|micros| Span(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    pub fn has_model(&self, id: &str) -> bool {
        self.models.binary_search_by(|model| model.id.as_str().cmp(id)).is_ok()
    }
    /// As one of those that a request may go to; none where it is not there. Only the proxy knows the rest.
    pub fn candidate(&self, in_flight: u32, ejected: bool) -> Option<Candidate> {
        let settings = self.settings.as_ref().filter(|_| self.is_there())?;
        Some(Candidate {
            endpoint: self.id,
            status: self.health.status,
            weight: settings.weight,
            in_flight,
            in_flight_max: settings.in_flight_max,
            latency: self.inference_latency(),
            measured_at: self.measured_at,
            ejected,
        })
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::Registered(registered) => {
                assert!(self.settings.is_none(), "endpoint {} was registered twice", self.id);
                self.settings = Some(registered.settings.clone());
                (self.registered_at, self.next_probe_at) = (at.recorded_at, at.recorded_at);
                self.health.since = at.recorded_at;
                self.revision = at.version;
            }
            Event::Changed(changed) => self.changed(&changed.settings, at),
            Event::Removed(_) => {
                self.removed_at = Some(at.recorded_at);
                (self.models, self.revision) = (Vec::new(), at.version);
            }
            Event::Probed(probed) => {
                self.probed(&probed.outcome, at);
                self.next_probe_at = at.recorded_at + probed.next_in;
            }
            Event::StatusChanged(change) => self.turned(change, at),
            Event::Identified(identified) => self.found = Some(identified.found.clone()),
            Event::ModelsSynced(synced) => {
                (self.models, self.models_at) = (synced.models.clone(), Some(at.recorded_at));
            }
            Event::Reset(_) => {
                self.start_anew(at);
                self.revision = at.version;
            }
            Event::RequestFinished(finished) => self.finished(finished, at),
            Event::ProxyChanged(_) => unreachable!("an event of the proxy in the stream of endpoint {}", self.id),
        }
    }

    fn changed(&mut self, settings: &Settings, at: &Stamp) {
        if let Some(known) = self.settings.replace(Box::new(settings.clone())) {
            self.went_over(&known, settings, at);
        }
        self.revision = at.version;
    }

    /// What was measured and found at another address says nothing of the new one. With another secret or of another kind it is
    /// asked at once, and a shorter interval does not begin with the end of a longer one.
    fn went_over(&mut self, known: &Settings, settings: &Settings, at: &Stamp) {
        if known.base_url != settings.base_url {
            (self.found, self.latency) = (None, None);
            (self.inference, self.measured_at) = (Ema::default(), None);
            (self.models, self.models_at) = (Vec::new(), None);
            self.start_anew(at);
        }
        if (known.secret, known.kind) != (settings.secret, settings.kind) {
            self.next_probe_at = at.recorded_at;
        }
        if known.health_interval_seconds != settings.health_interval_seconds {
            self.next_probe_at = self.next_probe_at.min(at.recorded_at + settings.health_interval());
        }
    }

    fn probed(&mut self, outcome: &ProbeOutcome, at: &Stamp) {
        match outcome {
            ProbeOutcome::Answered { took } => {
                self.latency = Some(*took);
                self.last_seen = Some(at.recorded_at);
                self.health.hear(true, By::Probe);
            }
            ProbeOutcome::Failed { failure, detail } => {
                let (failure, detail) = (*failure, detail.clone());
                self.last_error = Some(LastError { at: at.recorded_at, by: By::Probe, failure, detail });
                self.health.hear(false, By::Probe);
            }
        }
    }

    fn turned(&mut self, change: &StatusChanged, at: &Stamp) {
        assert_eq!(change.old, self.health.status, "endpoint {} changed from a status that it had not", self.id);
        self.health.turn(change.new, at.recorded_at);
        if let Some(next_in) = change.next_in {
            self.next_probe_at = at.recorded_at + next_in;
        }
    }

    fn start_anew(&mut self, at: &Stamp) {
        (self.health.failures, self.health.successes, self.health.retries) = (0, 0, 0);
        self.last_error = None;
        self.next_probe_at = at.recorded_at;
    }

    fn finished(&mut self, finished: &RequestFinished, at: &Stamp) {
        self.told.note(finished);
        if finished.outcome == Outcome::Success {
            self.inference.add(finished.duration.0.unsigned_abs());
            (self.measured_at, self.last_seen) = (Some(at.recorded_at), Some(at.recorded_at));
        }
        let Some((good, by)) = finished.says() else { return };
        self.health.hear(good, by);
        if !good {
            let failure = match (finished.outcome, finished.http_status) {
                (Outcome::Timeout, _) => Failure::Timeout,
                (_, Some(status)) => Failure::Status(status),
                (_, None) if finished.first_byte.is_some() => Failure::Broken,
                (_, None) => Failure::Connect,
            };
            self.last_error = Some(LastError { at: at.recorded_at, by, failure, detail: String::new() });
        }
    }
}
