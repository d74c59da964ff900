//! What requests add up to: totals, shares, days, speeds, tokens and clients, folded from one event for each outcome.
//!
//! Nothing here is ever recounted from requests, so that what is shown costs the same after a million of them as after ten, and a
//! cut or the removal of an endpoint takes nothing away. All of it is whole numbers: times in microseconds, speeds in millionths
//! of a token a second. Each list has a bound; what does not fit goes into a sum that is shown as such.

mod clients;
mod days;
mod minutes;
mod overview;
mod speed;
mod tally;

#[cfg(test)]
mod tests;

pub use clients::{CLIENTS_MAX, Client, Clients};
pub use days::{Bucket, Days, ROWS_MAX, Row};
pub use minutes::{Average, AverageOf, Completions, Minute, Timeline};
pub use overview::{EndpointRow, ModelSpeed, Overview, RemovedRow, Stats, Tps, TpsRow};
pub use speed::{DaySpeed, ModelNo, Models, SPEEDS_MAX, Speeds};
pub use tally::{Tally, TokenSum};

use super::View;
use crate::account::protection::TradingDay;
use crate::endpoint::{Event as Of, Failure, ProbeOutcome, RequestFinished};
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{EndpointId, StreamId};
use crate::time::{Span, Timestamp, civil};
use crate::truth::Truth;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Endpoints that were removed are shown one by one, the last ones; what earlier ones did is one sum.
pub const REMOVED_MAX: usize = 100;
/// Probes that are kept for each endpoint.
pub const CHECKS_MAX: usize = 60;
const MONTHS_MAX: usize = 120;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Every request that ever ended.
    pub total: Tally,
    /// None: those that came to no endpoint.
    shares: BTreeMap<Option<EndpointId>, Share>,
    removed: BTreeMap<EndpointId, Gone>,
    earlier: Earlier,
    models: Models,
    speeds: Speeds,
    timeline: Timeline,
    completions: Completions,
    days: Days,
    /// Tokens by month: twelve times the year and the month from 0.
    months: BTreeMap<i64, TokenSum>,
    clients: Clients,
    /// Requests by the hour of the week in UTC, from Monday 0:00.
    hours: BTreeMap<u8, u64>,
    today: Today,
}

/// What went to one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub tally: Tally,
    pub speed: DaySpeed,
    pub last_request_at: Option<Timestamp>,
    /// Oldest first.
    pub checks: VecDeque<Check>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub at: Timestamp,
    pub took: Option<Span>,
    pub failure: Option<Failure>,
}

/// What went to an endpoint that is no longer there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    pub name: String,
    pub removed_at: Timestamp,
    pub tally: Tally,
}

/// What went to endpoints that were removed before those that are shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    pub endpoints: u64,
    pub tally: Tally,
}

/// The day that is counted now, so that the calendar is asked once a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Today {
    date: i64,
    begin: Timestamp,
    end: Timestamp,
}

impl View for Endpoints {
    const NAME: &'static str = "endpoints";

    fn apply(&mut self, record: &Record, truth: &Truth) {
        let Event::Endpoint(event) = &record.event else { return };
        let endpoint = match truth.names().get(record.stream) {
            Some(StreamId::Endpoint(id)) => Some(*id),
            _ => None,
        };
        match (event, endpoint) {
            (Of::RequestFinished(finished), _) => self.count(finished, endpoint, record.recorded_at, truth),
            (Of::Registered(_), Some(_)) => drop(self.shares.entry(endpoint).or_default()),
            (Of::Removed(_), Some(id)) => self.remove(id, record.recorded_at, truth),
            (Of::Probed(probed), Some(_)) => self.check(endpoint, &probed.outcome, record.recorded_at),
            (Of::ProxyChanged(_), _) => self.today = Today::default(),
            _ => {}
        }
    }
}

impl Endpoints {
    /// The share of an endpoint that is there; of none, what came to none.
    pub fn share(&self, endpoint: Option<EndpointId>) -> Option<&Share> {
        self.shares.get(&endpoint)
    }
    pub fn shares(&self) -> impl Iterator<Item = (Option<EndpointId>, &Share)> {
        self.shares.iter().map(|(id, share)| (*id, share))
    }
    pub fn removed(&self) -> impl Iterator<Item = (EndpointId, &Gone)> {
        self.removed.iter().map(|(id, gone)| (*id, gone))
    }
    pub fn removed_earlier(&self) -> &Earlier {
        &self.earlier
    }
    pub fn days(&self) -> &Days {
        &self.days
    }
    pub fn models(&self) -> &Models {
        &self.models
    }
    pub fn speeds(&self) -> &Speeds {
        &self.speeds
    }
    pub fn clients(&self) -> &Clients {
        &self.clients
    }
    /// The day that it is, as days are counted: since 1970-01-01, in the proxy's zone.
    pub fn today(truth: &Truth, now: Timestamp) -> i64 {
        counted_day(truth).date(now)
    }
    /// Tokens of each month that had some: year, month from 1, and what is known how.
    pub fn months(&self) -> impl Iterator<Item = (i64, u8, &TokenSum)> {
        self.months.iter().map(|(month, sum)| (month.div_euclid(12), month.rem_euclid(12) as u8 + 1, sum))
    }
    /// Requests by the hour of the week in UTC: Monday 0:00 is 0, Sunday 23:00 is 167.
    pub fn hours_of_the_week(&self) -> [u64; 168] {
        std::array::from_fn(|hour| self.hours.get(&(hour as u8)).copied().unwrap_or(0))
    }
    /// Of all endpoints, by the minute, zero-filled, oldest first; the last one is that of `now`.
    pub fn history(&self, now: Timestamp) -> Vec<Minute> {
        self.timeline.hour(now)
    }

    fn count(&mut self, finished: &RequestFinished, endpoint: Option<EndpointId>, at: Timestamp, truth: &Truth) {
        let date = self.date(at, truth);
        let model = match endpoint {
            Some(_) => self.models.number(&finished.model),
            // Whoever is turned away may name what they like.
            None => self.models.known(&finished.model),
        };
        self.total.add(finished);
        self.add_to_share(finished, endpoint, date, at);
        self.timeline.add(finished, at);
        self.completions.add(finished, at);
        self.days.add(date, Row { endpoint, model, api: finished.api }, finished);
        self.add_to_month(finished, date);
        self.clients.add(finished, model, at);
        *self.hours.entry(hour_of_the_week(at)).or_default() += 1;
        if let (Some(id), true) = (endpoint, self.shares.contains_key(&endpoint)) {
            self.speeds.add(id, model, finished);
        }
    }

    fn add_to_share(&mut self, finished: &RequestFinished, endpoint: Option<EndpointId>, date: i64, at: Timestamp) {
        let gone = endpoint.filter(|_| !self.shares.contains_key(&endpoint));
        if let Some(id) = gone {
            // It was removed while the request was under way.
            match self.removed.get_mut(&id) {
                Some(gone) => gone.tally.add(finished),
                None => self.earlier.tally.add(finished),
            }
            return;
        }
        let share = self.shares.entry(endpoint).or_default();
        share.tally.add(finished);
        share.speed.add(finished, date);
        share.last_request_at = Some(at);
    }

    fn add_to_month(&mut self, finished: &RequestFinished, date: i64) {
        let (year, month, _) = civil(date);
        self.months.entry(year * 12 + month - 1).or_default().add(&finished.tokens);
        if self.months.len() > MONTHS_MAX {
            self.months.pop_first();
        }
    }

    fn remove(&mut self, id: EndpointId, at: Timestamp, truth: &Truth) {
        let tally = self.shares.remove(&Some(id)).unwrap_or_default().tally;
        let settings = truth.endpoint(id).and_then(|endpoint| endpoint.settings.as_ref());
        let name = settings.map(|settings| settings.name.clone()).unwrap_or_default();
        self.removed.insert(id, Gone { name, removed_at: at, tally });
        self.speeds.forget(id);
        if self.removed.len() > REMOVED_MAX {
            let oldest = self.removed.iter().min_by_key(|(id, gone)| (gone.removed_at, **id)).map(|(id, _)| *id);
            if let Some(gone) = oldest.and_then(|id| self.removed.remove(&id)) {
                self.earlier.endpoints += 1;
                self.earlier.tally.take_in(&gone.tally);
            }
        }
    }

    fn check(&mut self, endpoint: Option<EndpointId>, outcome: &ProbeOutcome, at: Timestamp) {
        let Some(share) = self.shares.get_mut(&endpoint) else { return };
        let (took, failure) = match outcome {
            ProbeOutcome::Answered { took } => (Some(*took), None),
            ProbeOutcome::Failed { failure, .. } => (None, Some(*failure)),
        };
        share.checks.push_back(Check { at, took, failure });
        if share.checks.len() > CHECKS_MAX {
            share.checks.pop_front();
        }
    }

    fn date(&mut self, at: Timestamp, truth: &Truth) -> i64 {
        if !(self.today.begin <= at && at < self.today.end) {
            let day = counted_day(truth);
            let (begin, end) = day.around(at);
            self.today = Today { date: day.date(at), begin, end };
        }
        self.today.date
    }
}

/// Which days are counted.
fn counted_day(truth: &Truth) -> TradingDay {
    truth.proxy().map(|proxy| proxy.settings.day()).unwrap_or_default()
}

fn hour_of_the_week(at: Timestamp) -> u8 {
    // 1970-01-01 was a Thursday.
    let hours = at.micros().div_euclid(3_600_000_000) + 3 * 24;
    hours.rem_euclid(168) as u8
}
