//! The last hour by minutes, and how long answers take.

use crate::endpoint::{Outcome, RequestFinished};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MINUTES: i64 = 60;
const MINUTE_MICROS: i64 = 60_000_000;

/// Successes and failures by the minute in UTC.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    minutes: BTreeMap<i64, (u64, u64)>,
}

/// One minute of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    pub at: Timestamp,
    pub success: u64,
    pub failed: u64,
}

impl Timeline {
    /// Sixty minutes, zero-filled, oldest first; the last one is that of `now`.
    pub fn hour(&self, now: Timestamp) -> Vec<Minute> {
        let last = minute(now);
        let of = |number| {
            let (success, failed) = self.minutes.get(&number).copied().unwrap_or_default();
            Minute { at: Timestamp(number.saturating_mul(MINUTE_MICROS)), success, failed }
        };
        (last - MINUTES + 1..=last).map(of).collect()
    }

    pub(super) fn add(&mut self, finished: &RequestFinished, at: Timestamp) {
        let (success, failed) = self.minutes.entry(minute(at)).or_default();
        match finished.outcome {
            Outcome::Success => *success += 1,
            _ => *failed += 1,
        }
        forget_old(&mut self.minutes);
    }
}

/// How long those requests took that succeeded, by the minute: the sixty minutes that end with the last one that did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Completions {
    minutes: BTreeMap<i64, (u64, u64)>,
}

/// How long an answer takes, and what that was measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Average {
    pub took: Span,
    pub of: AverageOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AverageOf {
    /// Requests of the last 60 minutes.
    LastHour,
    /// There was none: requests of the last 60 minutes that had some.
    EarlierHour,
    /// There never was one: probes of the endpoints that are online.
    Probes,
}

impl Completions {
    /// Of the last 60 minutes, else of the last 60 that had some; none where there never was one.
    pub fn average(&self, now: Timestamp) -> Option<Average> {
        let after = minute(now) - MINUTES;
        let sum = |minutes: &mut dyn Iterator<Item = &(u64, u64)>| {
            minutes.fold((0u64, 0u64), |(count, micros), (more, took)| (count + more, micros.saturating_add(*took)))
        };
        let recent = sum(&mut self.minutes.range(after + 1..).map(|(_, minute)| minute));
        let (found, of) = match recent {
            (0, _) => (sum(&mut self.minutes.values()), AverageOf::EarlierHour),
            found => (found, AverageOf::LastHour),
        };
        let (count, micros) = found;
        (count > 0).then(|| Average { took: mean(micros, count), of })
    }

    pub(super) fn add(&mut self, finished: &RequestFinished, at: Timestamp) {
        if finished.outcome == Outcome::Success {
            let (count, micros) = self.minutes.entry(minute(at)).or_default();
            *count += 1;
            *micros = micros.saturating_add(finished.duration.0.unsigned_abs());
            forget_old(&mut self.minutes);
        }
    }
}

/// Rounded to the nearest microsecond.
pub(super) fn mean(micros: u64, count: u64) -> Span {
    let half = count / 2;
    Span(i64::try_from(micros.saturating_add(half) / count.max(1)).unwrap_or(i64::MAX))
}

fn forget_old(minutes: &mut BTreeMap<i64, (u64, u64)>) {
    let Some(newest) = minutes.last_key_value().map(|(minute, _)| *minute) else { return };
    while minutes.first_key_value().is_some_and(|(minute, _)| *minute <= newest - MINUTES) {
        minutes.pop_first();
    }
}

fn minute(at: Timestamp) -> i64 {
    at.micros().div_euclid(MINUTE_MICROS)
}
