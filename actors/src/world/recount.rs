//! The auditor's part about endpoints: who told what, recounted from what the world itself did and not from what the desk says.

use super::health::Patient;
use super::invariants::{Checked, Invariant, hold, violation};
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::endpoint::{Event, Outcome, ProbeOutcome, RequestFinished, Settings};
use tidehelm_events::envelope::Record;
use tidehelm_events::id::{EndpointId, StreamId, Version};
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::Tally;
use uuid::Uuid;

/// Where a request is told: at an endpoint, or at the proxy where none had it.
pub type Lane = Option<EndpointId>;

/// A request that came to its end, as the proxy knows it.
#[derive(Debug)]
struct Request {
    lane: Lane,
    finished: RequestFinished,
    counted: u32,
    acknowledged: bool,
}

/// A probe that came to its end, and by which settings it asked.
#[derive(Debug, Clone, Copy)]
struct Probe {
    endpoint: EndpointId,
    revision: Version,
    good: bool,
    taken: bool,
}

/// How many requests ended how, and their tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    outcomes: [u64; 5],
    input: u64,
    output: u64,
}

#[derive(Debug)]
struct Known {
    patient: Patient,
    revision: Version,
    name: String,
    host: String,
    is_there: bool,
}

#[derive(Debug, Default)]
pub struct Recount {
    requests: BTreeMap<Uuid, Request>,
    probes: Vec<Probe>,
    endpoints: BTreeMap<EndpointId, Known>,
    total: Sums,
    shares: BTreeMap<Lane, Sums>,
    touched: BTreeSet<EndpointId>,
    pub status_changes: u64,
}

impl Recount {
    /// A request is about to be told for the first time.
    pub fn told(&mut self, lane: Lane, finished: &RequestFinished) {
        let new = Request { lane, finished: finished.clone(), counted: 0, acknowledged: false };
        self.requests.insert(finished.request, new);
    }

    /// The desk says that it has it.
    pub fn acknowledged(&mut self, request: Uuid) -> Checked {
        let Some(known) = self.requests.get_mut(&request) else {
            return Err(violation(Invariant::Requests, format!("{request} was never told and is acknowledged")));
        };
        known.acknowledged = true;
        hold!(known.counted == 1, Requests, "{request} is acknowledged and counted {} times: {known:?}", known.counted);
        Ok(())
    }

    /// A probe came to its end; its number, which stands in the log.
    pub fn probed(&mut self, endpoint: EndpointId, revision: Version, good: bool) -> usize {
        self.probes.push(Probe { endpoint, revision, good, taken: false });
        self.probes.len() - 1
    }

    /// Reads an event that the fold has taken in.
    pub fn read(&mut self, stream: &StreamId, record: &Record, event: &Event, fold: &Fold) -> Checked {
        if let Event::RequestFinished(finished) = event {
            return self.counted(stream, record, finished, fold);
        }
        let StreamId::Endpoint(id) = stream else { return Ok(()) };
        self.touched.insert(*id);
        match event {
            Event::Registered(registered) => self.set(*id, &registered.settings, record),
            Event::Changed(changed) => self.set(*id, &changed.settings, record),
            Event::Removed(_) => {
                if let Some(known) = self.endpoints.get_mut(id) {
                    (known.is_there, known.revision) = (false, record.version);
                }
                Ok(())
            }
            Event::Reset(_) => {
                if let Some(known) = self.endpoints.get_mut(id) {
                    known.patient.reset(record.recorded_at);
                    // What was asked before says nothing any more.
                    known.revision = record.version;
                }
                Ok(())
            }
            Event::Probed(probed) => self.took(*id, record, &probed.outcome),
            Event::StatusChanged(_) => {
                self.status_changes += 1;
                Ok(())
            }
            Event::Identified(_) | Event::ModelsSynced(_) | Event::RequestFinished(_) | Event::ProxyChanged(_) => {
                Ok(())
            }
        }
    }

    /// Wherever an order is done: each endpoint that it touched is as the specification says.
    pub fn settle(&mut self, fold: &Fold) -> Checked {
        for id in std::mem::take(&mut self.touched) {
            let Some(known) = self.endpoints.get(&id).filter(|known| known.is_there) else { continue };
            let Some(endpoint) = fold.truth.endpoint(id) else {
                return Err(violation(Invariant::SameFold, format!("endpoint {id} has events and no state")));
            };
            let found = (endpoint.health.status.as_str(), endpoint.health.failures);
            let expected = (known.patient.status(), known.patient.bad_in_row());
            hold!(
                found == expected,
                EndpointHealth,
                "endpoint {id} is {found:?}, by what was heard it is {expected:?}"
            );
        }
        Ok(())
    }

    /// Every sum that people see is that of the same requests.
    pub fn sums(&self, fold: &Fold) -> Checked {
        let view = &fold.views.endpoints;
        let all: u64 = self.total.outcomes.iter().sum();
        let removed: u64 = view.removed().map(|(_, gone)| gone.tally.total()).sum();
        let shares: u64 = view.shares().map(|(_, share)| share.tally.total()).sum();
        let days: u64 =
            view.days().range(i64::MIN, i64::MAX).flat_map(|(_, rows)| rows.values()).map(|it| it.total()).sum();
        let months: u64 = view.months().map(|(_, _, sum)| sum.output()).sum();
        let found = [
            ("total", view.total.total(), all),
            ("shares", shares + removed + view.removed_earlier().tally.total(), all),
            ("days", days, all),
            ("hours of the week", view.hours_of_the_week().iter().sum(), all),
            ("tokens by month", months, self.total.output),
        ];
        for (what, found, expected) in found {
            hold!(found == expected, Requests, "{what}: {found}, recounted {expected}");
        }
        for (lane, sums) in &self.shares {
            let share = lane.is_none_or(|id| fold.truth.endpoint(id).is_some_and(|it| it.is_there()));
            if let Some(share) = view.share(*lane).filter(|_| share) {
                let found = Sums::of(&share.tally);
                hold!(found == *sums, Requests, "{lane:?} has {found:?}, recounted {sums:?}");
            }
        }
        let acknowledged = self.requests.values().filter(|known| known.acknowledged).count() as u64;
        let told = self.requests.len() as u64;
        hold!(acknowledged <= all && all <= told, Requests, "{acknowledged} acknowledged, {all} counted, {told} told");
        Ok(())
    }

    /// Requests in the log of which nobody heard that they are.
    pub fn unheard(&self) -> u64 {
        self.requests.values().filter(|known| known.counted > 0 && !known.acknowledged).count() as u64
    }
    /// Probes that came too late.
    pub fn stale_probes(&self) -> u64 {
        self.probes.iter().filter(|probe| !probe.taken).count() as u64
    }
    /// Those that are there and do not serve.
    pub fn ailing(&self) -> Vec<(EndpointId, &'static str)> {
        let there = self.endpoints.iter().filter(|(_, known)| known.is_there);
        there.map(|(id, known)| (*id, known.patient.status())).filter(|(_, status)| *status != "online").collect()
    }
    pub fn there(&self) -> Vec<EndpointId> {
        self.endpoints.iter().filter(|(_, known)| known.is_there).map(|(id, _)| *id).collect()
    }

    fn counted(&mut self, stream: &StreamId, record: &Record, finished: &RequestFinished, fold: &Fold) -> Checked {
        let lane = match stream {
            StreamId::Endpoint(id) => Some(*id),
            _ => None,
        };
        let position = record.position;
        let Some(known) = self.requests.get_mut(&finished.request) else {
            return Err(violation(Invariant::Requests, format!("event {position} is of a request that nobody told")));
        };
        known.counted += 1;
        hold!(known.counted == 1, Requests, "event {position} counts {} again", finished.request);
        let as_told = RequestFinished { run: 0, seq: 0, ..finished.clone() };
        hold!(
            known.lane == lane && known.finished == as_told,
            Requests,
            "event {position} is {as_told:?}, told: {known:?}"
        );
        self.total.add(finished);
        let share = self.shares.entry(lane).or_default();
        share.add(finished);
        let view = &fold.views.endpoints;
        let total = Sums::of(&view.total);
        hold!(total == self.total, Requests, "the total is {total:?} at {position}, recounted {:?}", self.total);
        let shown = lane.and_then(|id| view.removed().find(|(gone, _)| *gone == id)).map(|(_, gone)| &gone.tally);
        if let Some(shown) = shown.or(view.share(lane).map(|share| &share.tally)) {
            let shown = Sums::of(shown);
            hold!(shown == *share, Requests, "{stream} has {shown:?} at {position}, recounted {share:?}");
        }
        let Some((id, known)) = lane.and_then(|id| Some((id, self.endpoints.get_mut(&id)?))) else { return Ok(()) };
        self.touched.insert(id);
        match (finished.outcome, finished.http_status) {
            (Outcome::Success, _) => known.patient.succeeds(false, record.recorded_at),
            (Outcome::Timeout, _) | (Outcome::UpstreamError, None) => known.patient.fails(record.recorded_at),
            (Outcome::UpstreamError, Some(status)) if status >= 500 => known.patient.fails(record.recorded_at),
            (Outcome::UpstreamError | Outcome::ClientGone | Outcome::Refused, _) => {}
        }
        Ok(())
    }

    fn set(&mut self, id: EndpointId, settings: &Settings, record: &Record) -> Checked {
        let at = record.recorded_at;
        let (name, host) = (settings.name.trim().to_lowercase(), host(&settings.base_url));
        let same = |known: &Known| known.is_there && (known.name == name || known.host == host);
        let other = self.endpoints.iter().find(|(other, known)| **other != id && same(known));
        hold!(other.is_none(), GivenOnce, "endpoint {id} is {name} at {host}, and so is {other:?}");
        let patient = match self.endpoints.remove(&id) {
            Some(known) => {
                let mut patient = known.patient;
                patient.set(settings, at);
                patient
            }
            None => Patient::new(settings, at),
        };
        self.endpoints.insert(id, Known { patient, revision: record.version, name, host, is_there: true });
        Ok(())
    }

    /// Each probe has a number: in the time that it took, or in what was wrong.
    fn took(&mut self, id: EndpointId, record: &Record, outcome: &ProbeOutcome) -> Checked {
        let (good, number) = match outcome {
            ProbeOutcome::Answered { took } => (true, usize::try_from(took.0).ok()),
            ProbeOutcome::Failed { detail, .. } => (false, detail.parse().ok()),
        };
        let position = record.position;
        let known = self.endpoints.get_mut(&id).zip(number.and_then(|number| self.probes.get_mut(number)));
        let Some((known, probe)) = known else {
            return Err(violation(Invariant::StaleProbes, format!("event {position} is a probe that nobody made")));
        };
        let fresh = probe.endpoint == id && probe.revision == known.revision && known.is_there;
        hold!(fresh, StaleProbes, "event {position} is {probe:?}, the endpoint is at {}", known.revision);
        hold!(probe.good == good, StaleProbes, "event {position} says good: {good}, it was {probe:?}");
        hold!(
            !std::mem::replace(&mut probe.taken, true),
            StaleProbes,
            "event {position} is {probe:?}, for the second time"
        );
        match good {
            true => known.patient.succeeds(true, record.recorded_at),
            false => known.patient.fails(record.recorded_at),
        }
        Ok(())
    }
}

impl Sums {
    fn of(tally: &Tally) -> Self {
        let outcomes = Outcome::ALL.map(|outcome| tally.of(outcome));
        Sums { outcomes, input: tally.tokens.input(), output: tally.tokens.output() }
    }

    fn add(&mut self, finished: &RequestFinished) {
        let at = Outcome::ALL.iter().position(|outcome| *outcome == finished.outcome).unwrap_or_default();
        self.outcomes[at] += 1;
        self.input += finished.tokens.input;
        self.output += finished.tokens.output;
    }
}

/// The machine that an address of this world is at, however it is written.
pub fn host(url: &str) -> String {
    let small = url.to_lowercase();
    let rest = small.split_once("://").map_or(small.as_str(), |(_, rest)| rest);
    rest.chars().take_while(|c| !matches!(c, ':' | '/')).collect()
}
