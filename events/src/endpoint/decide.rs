//! What an endpoint answers to a command.

use super::command::{Command, Refusal};
use super::event::*;
use super::health::{By, Health, Status};
use super::request::{RequestFinished, shortened};
use super::settings::Settings;
use super::state::Endpoint;
use crate::id::Position;
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

pub(super) const ENDPOINTS_MAX: usize = 1_000;
pub(super) const MODELS_MAX: usize = 1_000;
const MODEL_ID_MAX: usize = 200;
const DETAIL_MAX: usize = 200;

impl Stream for Endpoint {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Register(settings) => self.register(*settings, seen)?,
            // It was there when it had the request: that counts whatever became of it meanwhile.
            Command::FinishRequest { finished, jitter } => {
                self.settings.as_ref().ok_or(Refusal::EndpointUnknown(self.id))?;
                self.finish(*finished, jitter, seen.now)
            }
            Command::FinishRequests { finished, jitter } => {
                self.settings.as_ref().ok_or(Refusal::EndpointUnknown(self.id))?;
                self.finish_all(finished, jitter, seen.now)
            }
            Command::Change(settings) => self.change(*settings, seen)?,
            Command::Remove => {
                self.settings()?;
                vec![Event::Removed(Removed {})]
            }
            Command::TakeProbe { outcome, found, revision, jitter } => {
                let settings = self.settings()?;
                match revision == self.revision {
                    true => self.take_probe(settings, outcome, found, jitter, seen.now),
                    false => vec![],
                }
            }
            Command::NoteFailedTry { failure, detail, revision, jitter } => {
                let settings = self.settings()?;
                match revision == self.revision && self.health.status.serves() {
                    true => self.note_failed_try(settings, failure, detail, jitter, seen.now),
                    false => vec![],
                }
            }
            Command::SyncModels(models) => self.sync(models)?,
            Command::Reset => self.reset()?,
        };
        Ok(events.into())
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Endpoint {
    fn settings(&self) -> Result<&Settings, Refusal> {
        match (&self.settings, self.removed_at) {
            (None, _) => Err(Refusal::EndpointUnknown(self.id)),
            (Some(_), Some(_)) => Err(Refusal::EndpointRemoved(self.id)),
            (Some(settings), None) => Ok(settings),
        }
    }

    /// Refuses in this order: known, removed, too many, a setting at fault, a name or an address that another one has.
    fn register(&self, settings: Settings, seen: &Seen<'_>) -> Result<Vec<Event>, Refusal> {
        match self.settings() {
            Ok(_) => return Err(Refusal::EndpointKnown(self.id)),
            Err(Refusal::EndpointRemoved(id)) => return Err(Refusal::EndpointRemoved(id)),
            Err(_) => {}
        }
        if seen.endpoints.len() >= ENDPOINTS_MAX {
            return Err(Refusal::Full(ENDPOINTS_MAX));
        }
        let settings = self.free(settings, seen)?;
        Ok(vec![Event::Registered(Registered { settings: Box::new(settings) })])
    }

    /// Another address is another place: all that was known of the old one is forgotten, and it is asked at once.
    fn change(&self, settings: Settings, seen: &Seen<'_>) -> Result<Vec<Event>, Refusal> {
        let known = self.settings()?;
        let settings = self.free(settings, seen)?;
        if settings == *known {
            return Ok(vec![]);
        }
        let moved = settings.base_url != known.base_url;
        let mut events = vec![Event::Changed(Changed { settings: Box::new(settings) })];
        if moved && self.health.status != Status::Pending {
            events.push(self.turn(Status::Pending, Why::Moved));
        }
        Ok(events)
    }

    fn free(&self, settings: Settings, seen: &Seen<'_>) -> Result<Settings, Refusal> {
        let settings = settings.checked()?;
        if let Some(by) = seen.endpoints.by_name(&settings.name).filter(|by| *by != self.id) {
            return Err(Refusal::NameTaken { name: settings.name, by });
        }
        if let Some(by) = seen.endpoints.by_url(&settings.base_url).filter(|by| *by != self.id) {
            return Err(Refusal::UrlTaken { base_url: settings.base_url, by });
        }
        Ok(settings)
    }

    fn turn(&self, new: Status, why: Why) -> Event {
        Event::StatusChanged(StatusChanged { old: self.health.status, new, why, next_in: None })
    }

    fn take_probe(
        &self,
        settings: &Settings,
        outcome: ProbeOutcome,
        found: Option<super::detect::Found>,
        jitter: u16,
        now: Timestamp,
    ) -> Vec<Event> {
        let outcome = bounded(outcome);
        let good = matches!(outcome, ProbeOutcome::Answered { .. });
        let (health, turns) = self.heard(settings, good, By::Probe, now);
        let next_in = health.next_probe_in(settings.health_interval(), jitter);
        let mut events = vec![Event::Probed(Probed { outcome, next_in })];
        if let Some(found) = found.map(|found| found.bounded()).filter(|found| Some(found) != self.found.as_ref()) {
            events.push(Event::Identified(Identified { found }));
        }
        events.extend(turns.into_iter().map(Event::StatusChanged));
        events
    }

    /// A failure as a request tells one. The next probe stays where it is, unless the status changes.
    fn note_failed_try(
        &self,
        settings: &Settings,
        failure: Failure,
        detail: String,
        jitter: u16,
        now: Timestamp,
    ) -> Vec<Event> {
        let (health, mut turns) = self.heard(settings, false, By::Request, now);
        if let Some(down) = turns.last_mut().filter(|last| last.new == Status::Offline) {
            down.next_in = Some(health.next_probe_in(settings.health_interval(), jitter));
        }
        let outcome = bounded(ProbeOutcome::Failed { failure, detail });
        let noted = Event::Probed(Probed { outcome, next_in: self.next_probe_at.since(now) });
        std::iter::once(noted).chain(turns.into_iter().map(Event::StatusChanged)).collect()
    }

    /// What was told before changes nothing.
    fn finish(&self, finished: RequestFinished, jitter: u16, now: Timestamp) -> Vec<Event> {
        if self.told.has(&finished) {
            return vec![];
        }
        let finished = finished.bounded();
        let says = finished.says();
        let mut events = vec![Event::RequestFinished(Box::new(finished))];
        if let (Some((good, by)), Ok(settings)) = (says, self.settings()) {
            let (health, mut turns) = self.heard(settings, good, by, now);
            if let Some(down) = turns.last_mut().filter(|last| last.new == Status::Offline) {
                down.next_in = Some(health.next_probe_in(settings.health_interval(), jitter));
            }
            events.extend(turns.into_iter().map(Event::StatusChanged));
        }
        events
    }

    /// As if they were told one after the other.
    fn finish_all(&self, finished: Vec<RequestFinished>, jitter: u16, now: Timestamp) -> Vec<Event> {
        let mut then = self.clone();
        let at = Stamp { position: Position(0), version: self.revision, received_at: now, recorded_at: now };
        let mut events = Vec::with_capacity(finished.len());
        for one in finished {
            let from = events.len();
            events.extend(then.finish(one, jitter, now));
            events[from..].iter().for_each(|event| then.remember(event, &at));
        }
        events
    }

    /// How it is after what was heard, and the changes of its status on the way.
    fn heard(&self, settings: &Settings, good: bool, by: By, now: Timestamp) -> (Health, Vec<StatusChanged>) {
        let mut health = self.health;
        health.hear(good, by);
        let why = if good { Why::Succeeded(by) } else { Why::Failed(by) };
        let mut turns = Vec::new();
        for new in health.next(by, (settings.success_threshold, settings.failure_threshold), now) {
            turns.push(StatusChanged { old: health.status, new, why, next_in: None });
            health.turn(new, now);
        }
        (health, turns)
    }

    fn sync(&self, mut models: Vec<Model>) -> Result<Vec<Event>, Refusal> {
        self.settings()?;
        models.retain(|model| !model.id.is_empty() && model.id.chars().count() <= MODEL_ID_MAX);
        models.sort_by(|one, other| one.id.cmp(&other.id));
        models.dedup_by(|one, other| one.id == other.id);
        if models.len() > MODELS_MAX {
            return Err(Refusal::ModelsTooMany(MODELS_MAX));
        }
        let same = models == self.models && self.models_at.is_some();
        Ok(if same { vec![] } else { vec![Event::ModelsSynced(ModelsSynced { models })] })
    }

    fn reset(&self) -> Result<Vec<Event>, Refusal> {
        self.settings()?;
        let mut events = vec![Event::Reset(Reset {})];
        if self.health.status != Status::Pending {
            events.push(self.turn(Status::Pending, Why::Reset));
        }
        Ok(events)
    }
}

fn bounded(outcome: ProbeOutcome) -> ProbeOutcome {
    match outcome {
        ProbeOutcome::Answered { took } => ProbeOutcome::Answered { took: took.max(Span(0)) },
        ProbeOutcome::Failed { failure, detail } => {
            ProbeOutcome::Failed { failure, detail: shortened(&detail, DETAIL_MAX) }
        }
    }
}
