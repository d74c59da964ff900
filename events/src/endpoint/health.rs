//! How an endpoint is, by what was heard of it: one step at a time.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing good was heard of it yet.
    #[default]
    Pending,
    Online,
    /// It failed, and not often enough in a row to be offline: it still gets requests, fewer.
    Error,
    Offline,
    /// It was offline and answers again: it gets a few requests until it has proved itself.
    HalfOpen,
}

impl Status {
    pub const ALL: [Status; 5] = [Status::Pending, Status::Online, Status::Error, Status::Offline, Status::HalfOpen];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Online => "online",
            Status::Error => "error",
            Status::Offline => "offline",
            Status::HalfOpen => "half_open",
        }
    }
    /// It gets requests.
    pub fn serves(self) -> bool {
        matches!(self, Status::Online | Status::Error | Status::HalfOpen)
    }
}

/// Who tells of a success or a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Probe,
    /// A request of a client.
    Request,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: Status,
    pub since: Timestamp,
    /// In a row, up to now.
    pub failures: u32,
    pub successes: u32,
    /// Probes that failed since it was last in service: the next one waits the longer.
    pub retries: u32,
}

/// A request mends an `error` no sooner than this after the last change, so that an endpoint where now and then one fails does
/// not fill the log with its status.
const STANDS: Span = Span::seconds(1);

impl Health {
    /// The statuses that it passes through after what was heard, which is taken in already; the last one stands.
    ///
    /// What is offline comes back by a probe: requests that were under way say nothing of now.
    pub fn next(&self, by: By, thresholds: (u32, u32), now: Timestamp) -> Vec<Status> {
        let (successes, failures) = thresholds;
        let proved = self.successes >= successes;
        let given_up = self.failures >= failures;
        let stood = by == By::Probe || now.since(self.since) >= STANDS;
        match (self.status, self.failures > 0) {
            (Status::Pending | Status::Online | Status::Error, true) if given_up => vec![Status::Offline],
            (Status::Online, true) => vec![Status::Error],
            (Status::HalfOpen, true) => vec![Status::Offline],
            (Status::Pending | Status::Error | Status::Offline, true) => vec![],
            (Status::Pending, false) => vec![Status::Online],
            (Status::Error, false) if stood => vec![Status::Online],
            (Status::Offline, false) if by == By::Probe && proved => vec![Status::HalfOpen, Status::Online],
            (Status::Offline, false) if by == By::Probe => vec![Status::HalfOpen],
            (Status::HalfOpen, false) if proved => vec![Status::Online],
            (Status::Online | Status::Error | Status::Offline | Status::HalfOpen, false) => vec![],
        }
    }

    /// Takes in what was heard, without a change of status.
    pub fn hear(&mut self, good: bool, by: By) {
        if good {
            self.failures = 0;
            // Late successes of requests from before the outage are no step of the way back.
            if by == By::Probe || self.status != Status::Offline {
                self.successes = self.successes.saturating_add(1);
            }
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        if by == By::Probe && self.status == Status::Offline {
            self.retries = self.retries.saturating_add(1);
        }
    }

    pub fn turn(&mut self, status: Status, now: Timestamp) {
        (self.status, self.since) = (status, now);
        match status {
            Status::Pending | Status::Online => self.retries = 0,
            Status::Offline => self.retries = self.retries.saturating_add(1),
            Status::Error | Status::HalfOpen => {}
        }
    }

    /// When the next probe is due after one. `jitter` is 0 to 999 and as good as random.
    pub fn next_probe_in(&self, interval: Span, jitter: u16) -> Span {
        match self.status {
            Status::Pending | Status::Online | Status::Error => interval,
            Status::HalfOpen => interval.min(HALF_OPEN_EVERY),
            Status::Offline => backoff(self.retries, interval, jitter),
        }
    }
}

/// What came back proves itself soon.
const HALF_OPEN_EVERY: Span = Span::seconds(5);
/// An endpoint with a longer interval is asked at its interval.
const BACKOFF_MAX: Span = Span::seconds(120);

/// How long to wait after so many failed tries: the interval, doubled each time up to two minutes, and up to a quarter less or
/// more, so that those who failed together do not come back together.
pub fn backoff(retries: u32, interval: Span, jitter: u16) -> Span {
    let doubled = interval.0.saturating_mul(1 << retries.saturating_sub(1).min(20));
    let base = doubled.min(BACKOFF_MAX.0).max(interval.0);
    Span(base.saturating_mul(750 + i64::from(jitter.min(999)) / 2) / 1_000)
}
