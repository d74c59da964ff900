//! The terminal's only door to the clock.
#![allow(clippy::disallowed_methods, reason = "this is the one place that may ask")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tidehelm_events::time::Timestamp;

/// The machine's clock as it was at the start, carried on by the monotonic one: it never goes back.
pub(super) struct Clock {
    anchor: Instant,
    base: Timestamp,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { anchor: Instant::now(), base: wall() }
    }
    pub(super) fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.anchor.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.base.0.saturating_add(elapsed))
    }
}

/// What the machine's clock says.
pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
