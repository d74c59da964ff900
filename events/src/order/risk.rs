//! How much was lost, and whether that is too much. Nobody at the desk's strategies can switch it off.

use super::event::*;
use super::settings::Limits;
use crate::market::Cash;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400_000_000;

/// Against what a loss is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// What the account was worth when the day began, in UTC. Over with the day.
    Day,
    /// The most that it was ever worth. Over when a person says so.
    Total,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    pub observed: Cash,
    pub limit: Cash,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    pub equity: Option<Cash>,
    pub margin_free: Option<Cash>,
    pub seen_at: Option<Timestamp>,
    /// Days since 1970, in UTC.
    pub day: Option<i64>,
    pub day_start: Cash,
    pub peak: Cash,
    pub day_halt: Option<Halted>,
    pub total_halt: Option<Halted>,
}

impl Risk {
    pub fn halted(&self) -> Option<&Halted> {
        self.total_halt.as_ref().or(self.day_halt.as_ref())
    }

    /// What follows from what the account is worth now. A day begins with what the one before ended with.
    pub(super) fn take(&self, equity: Cash, margin_free: Option<Cash>, limits: &Limits, now: Timestamp) -> Vec<Event> {
        let day = now.0.div_euclid(DAY);
        let new_day = self.day != Some(day);
        if !new_day && (self.equity, self.margin_free) == (Some(equity), margin_free) {
            return vec![];
        }
        let mut events = Vec::new();
        let start = if new_day { self.equity.unwrap_or(equity) } else { self.day_start };
        if new_day {
            events.push(Event::DayBegan(DayBegan { day, equity: start }));
        }
        events.push(Event::AccountSeen(AccountSeen { equity, margin_free }));
        let peak = if self.equity.is_some() { self.peak.max(equity) } else { equity };
        let halted_today = !new_day && self.day_halt.is_some();
        for (halt, already, observed, limit) in [
            (Halt::Day, halted_today, start - equity, limits.drawdown_day_max),
            (Halt::Total, self.total_halt.is_some(), peak - equity, limits.drawdown_total_max),
        ] {
            if !already && observed >= limit {
                events.push(Event::RiskHalted(RiskHalted { halt, observed, limit }));
            }
        }
        events
    }

    pub(super) fn seen(&mut self, seen: &AccountSeen, at: Timestamp) {
        self.peak = if self.equity.is_some() { self.peak.max(seen.equity) } else { seen.equity };
        (self.equity, self.margin_free, self.seen_at) = (Some(seen.equity), seen.margin_free, Some(at));
    }

    pub(super) fn began(&mut self, began: &DayBegan) {
        (self.day, self.day_start, self.day_halt) = (Some(began.day), began.equity, None);
    }

    pub(super) fn halt(&mut self, halted: &RiskHalted, at: Timestamp) {
        let known = Halted { observed: halted.observed, limit: halted.limit, at };
        match halted.halt {
            Halt::Day => self.day_halt = Some(known),
            Halt::Total => self.total_halt = Some(known),
        }
    }

    /// Losses count anew from here.
    pub(super) fn cleared(&mut self) {
        if let (Some(equity), true) = (self.equity, self.day_halt.is_some()) {
            self.day_start = equity;
        }
        if let (Some(equity), true) = (self.equity, self.total_halt.is_some()) {
            self.peak = equity;
        }
        (self.day_halt, self.total_halt) = (None, None);
    }
}
