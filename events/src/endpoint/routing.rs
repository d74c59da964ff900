//! Which endpoint a request goes to: power of two choices, on what waits there and how long it takes.
//!
//! Pure: what is as good as random comes in as numbers. Who is asked, and what became of it, is the proxy's to know.

mod outliers;

pub use outliers::Outliers;

use super::health::Status;
use crate::id::EndpointId;
use crate::time::{Span, Timestamp};

/// An endpoint that could have the request: it has the model, and the caller may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub endpoint: EndpointId,
    pub status: Status,
    pub weight: u32,
    pub in_flight: u32,
    /// Zero: no limit.
    pub in_flight_max: u32,
    /// None: nothing was measured yet.
    pub latency: Option<Span>,
    /// When it last had a request that it finished.
    pub measured_at: Option<Timestamp>,
    /// It failed much more than the others: see [`Outliers`].
    pub ejected: bool,
}

/// As good as random, each of them evenly spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    pub explore: u32,
    pub first: u32,
    pub second: u32,
}

/// Why nobody can have the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoChoice {
    /// Nobody is in service.
    AllOffline,
    /// Who is in service has as much as it takes: wait for a place.
    AllBusy,
}

/// One request in so many goes to an endpoint of which nothing is known, or nothing new.
const EXPLORE_ONE_IN: u32 = 16;
/// What was measured longer ago may have changed.
const STALE: Span = Span::seconds(60);
/// An endpoint in `error`, or that came back, counts a quarter of its weight.
const DOUBT: u128 = 4;
/// What it gets while it proves itself, where it has no limit of its own; else a quarter of that.
const HALF_OPEN_MAX: u32 = 4;
/// Where nothing at all was measured, all are alike.
const UNMEASURED: Span = Span::millis(1);

/// The place of the choice in the list.
///
/// Who is offline never gets it. Who is ejected only gets it where nobody else is in service: then a bad endpoint is better than
/// none.
pub fn choose(candidates: &[Candidate], chance: Chance, now: Timestamp) -> Result<usize, NoChoice> {
    let serving = |ejected: bool| {
        let able = candidates.iter().enumerate().filter(move |(_, it)| it.status.serves() && it.ejected == ejected);
        able.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let mut open = serving(false);
    if open.is_empty() {
        open = serving(true);
    }
    if open.is_empty() {
        return Err(NoChoice::AllOffline);
    }
    open.retain(|place| candidates[*place].has_room());
    match open.as_slice() {
        [] => Err(NoChoice::AllBusy),
        [only] => Ok(*only),
        _ => Ok(explored(candidates, &open, chance, now).unwrap_or_else(|| better_of_two(candidates, &open, chance))),
    }
}

/// One that wants to be measured and has nothing to do, now and then.
fn explored(candidates: &[Candidate], open: &[usize], chance: Chance, now: Timestamp) -> Option<usize> {
    if !chance.explore.is_multiple_of(EXPLORE_ONE_IN) {
        return None;
    }
    let unknown: Vec<usize> = open.iter().copied().filter(|place| candidates[*place].is_unknown(now)).collect();
    // Where nobody is known, the usual choice explores.
    (!unknown.is_empty() && unknown.len() < open.len()).then(|| unknown[draw(chance.first, unknown.len())])
}

fn better_of_two(candidates: &[Candidate], open: &[usize], chance: Chance) -> usize {
    let first = draw(chance.first, open.len());
    let step = 1 + draw(chance.second, open.len() - 1);
    let (one, other) = (open[first], open[(first + step) % open.len()]);
    let usual = usual_latency(candidates, open);
    let cost = |place: usize| candidates[place].cost(usual);
    // Compared as fractions: what waits × how long it takes ÷ weight.
    let ((wait, weight), (other_wait, other_weight)) = (cost(one), cost(other));
    if wait.saturating_mul(other_weight) <= other_wait.saturating_mul(weight) { one } else { other }
}

/// What is expected of those that were not measured: the mean of the others.
fn usual_latency(candidates: &[Candidate], open: &[usize]) -> Span {
    let measured: Vec<i64> = open.iter().filter_map(|place| candidates[*place].latency).map(|span| span.0).collect();
    let sum: i128 = measured.iter().map(|micros| i128::from(*micros)).sum();
    match measured.len() {
        0 => UNMEASURED,
        count => Span(i64::try_from(sum / count as i128).unwrap_or(i64::MAX)),
    }
}

/// Evenly from 0 up to `count`, which is at least 1.
fn draw(chance: u32, count: usize) -> usize {
    ((u64::from(chance) * count as u64) >> 32) as usize
}

impl Candidate {
    /// How many requests it may have at a time, as it is now.
    pub fn room(&self) -> u32 {
        match (self.status, self.in_flight_max) {
            (Status::HalfOpen, 0) => HALF_OPEN_MAX,
            (Status::HalfOpen, limit) => (limit / 4).max(1),
            (_, 0) => u32::MAX,
            (_, limit) => limit,
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight < self.room()
    }

    /// Nothing is known of it, or nothing new, and nothing is under way to find out.
    fn is_unknown(&self, now: Timestamp) -> bool {
        let old = self.measured_at.is_none_or(|at| now.since(at) > STALE);
        self.in_flight == 0 && (self.latency.is_none() || old)
    }

    /// (in flight + 1) × expected latency, and the weight to divide it by.
    fn cost(&self, usual: Span) -> (u128, u128) {
        let latency = self.latency.unwrap_or(usual).0.max(1).unsigned_abs();
        let wait = (u128::from(self.in_flight) + 1) * u128::from(latency);
        let doubt = if self.status == Status::Online { 1 } else { DOUBT };
        (wait.saturating_mul(doubt), u128::from(self.weight.max(1)))
    }
}
