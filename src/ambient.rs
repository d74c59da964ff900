//! The only door to the clock and to chance.
#![allow(clippy::disallowed_methods, reason = "this is the one place that may ask")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidehelm_actors::port::Clock;
use tidehelm_events::time::{Span, Timestamp};
use uuid::Uuid;

/// A difference between the machine's clock and ours that is larger than this is a step, not drift.
const STEP_MIN: Span = Span::seconds(1);

/// Desk time: the machine's clock at the start, carried on by the monotonic one. Forward steps are taken over, backward ones
/// not, so that it never goes back and never stands still.
pub struct DeskClock {
    anchor: Instant,
    /// Desk time at the anchor, in microseconds.
    base: AtomicI64,
    /// The machine's clock less ours when we last looked.
    offset: Mutex<i64>,
}

impl Default for DeskClock {
    fn default() -> Self {
        DeskClock { anchor: Instant::now(), base: AtomicI64::new(wall().0), offset: Mutex::new(0) }
    }
}

impl Clock for DeskClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.anchor.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.base.load(Ordering::Relaxed).saturating_add(elapsed))
    }

    fn step(&self) -> Option<Span> {
        let mut known = self.offset.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let offset = wall().since(self.now()).0;
        let by = offset - *known;
        if by.abs() < STEP_MIN.0 {
            return None;
        }
        if offset > 0 {
            self.base.fetch_add(offset, Ordering::Relaxed);
            *known = 0;
        } else {
            *known = offset;
        }
        Some(Span(by))
    }

    fn at_least(&self, time: Timestamp) {
        let behind = time.since(self.now()).0;
        if behind > 0 {
            let mut known = self.offset.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            self.base.fetch_add(behind, Ordering::Relaxed);
            *known -= behind;
        }
    }
}

impl DeskClock {
    /// How far desk time is ahead of the machine's clock.
    pub fn ahead(&self) -> Span {
        self.now().since(wall())
    }
}

/// What the machine's clock says.
pub fn wall() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        Err(before) => Timestamp(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
    }
}

/// How long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

pub fn stopwatch() -> Stopwatch {
    Stopwatch(Instant::now())
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the system has no randomness to give: {error}");
    }
    bytes
}

/// A random uuid (version 4).
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// A uuid that sorts by time (version 7).
pub fn uuid_v7() -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(wall().millis().max(0) as u64, &random()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn desk_time_goes_on_from_the_log_when_the_machines_clock_is_behind() {
        let clock = DeskClock::default();
        let ahead = clock.now() + Span::hours(1);
        clock.at_least(ahead);
        let now = clock.now();
        assert!(now >= ahead && now < ahead + Span::seconds(60));
        assert_eq!(clock.step(), None, "starting from the log is no step of the clock");
        assert!(clock.ahead() > Span::seconds(3500));
    }
}
