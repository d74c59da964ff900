//! The fold: marks to measure from, and the limits that are near or hit. Live and on replay it is the same.

use super::event::{Cleared, LimitCleared, LimitHit, LimitNear, ProtectionEvent, ProtectionRearmed, TradingDayStarted};
use super::limit::{Limit, Reading, measure};
use super::marks::{Figures, Marks};
use super::rules::{Action, Lasts, Rules};
use crate::money::{Factor, Lots, Number};
use crate::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    pub marks: Marks,
    /// Limits that are near or hit; the others are armed.
    pub standings: BTreeMap<Limit, Standing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Near { since: Timestamp },
    Hit(Hit),
}

/// A limit that was hit, with the numbers of that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    pub since: Timestamp,
    /// The trading day in which it was hit.
    pub day: u32,
    pub used: Number,
    pub allowed: Number,
    pub action: Action,
    /// None where it ends once less is held.
    pub lasts: Option<Lasts>,
}

/// Why an account must not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub limit: Limit,
    pub action: Action,
    pub used: Number,
    pub allowed: Number,
}

/// A limit for people to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gauge {
    pub limit: Limit,
    pub used: Number,
    pub allowed: Number,
    /// None where nothing is allowed.
    pub percent: Option<Factor>,
    /// None while it is armed.
    pub standing: Option<Standing>,
}

/// A limit that was near is not near any more below nine tenths of the warning, so that one that wavers there does not warn
/// every second.
const EASED_TENTHS: u32 = 9;

impl Protection {
    /// What follows from a heartbeat, in the order in which it happened; the state has not heard it yet. Decides by the rules
    /// of now. Nothing is allocated where nothing follows, which is nearly always.
    ///
    /// `now` is what the event of the heartbeat will be recorded at. The caller records the heartbeat and these events; it may
    /// fold them in either order.
    pub fn observe(&self, figures: &Figures, rules: &Rules, now: Timestamp) -> Vec<ProtectionEvent> {
        let mut events = Vec::new();
        if figures.is_blank() || (rules.is_empty() && self.standings.is_empty()) {
            return events;
        }
        let mut marks = self.marks;
        if !rules.is_empty()
            && let Some(started) = marks.next_day(figures, now, || rules.trading_day.around(now))
        {
            marks.start_day(&started, now);
            events.push(ProtectionEvent::DayStarted(started));
        }
        marks.heard(figures, now);
        for limit in Limit::ALL {
            self.judge(limit, figures, rules, &marks, &mut events);
        }
        events
    }

    /// Remembers the figures of a heartbeat that was recorded at `at`, whatever limits there are.
    pub fn heard(&mut self, figures: &Figures, at: Timestamp) {
        self.marks.heard(figures, at);
    }

    /// Remembers an event that was recorded at `at`.
    pub fn remember(&mut self, event: &ProtectionEvent, at: Timestamp) {
        match event {
            ProtectionEvent::DayStarted(started) => self.day_started(started, at),
            ProtectionEvent::Near(near) => self.near(near, at),
            ProtectionEvent::Hit(hit) => self.hit(hit, at),
            ProtectionEvent::Cleared(cleared) => self.cleared(cleared),
            ProtectionEvent::Rearmed(rearmed) => self.rearmed(rearmed),
        }
    }

    pub fn day_started(&mut self, started: &TradingDayStarted, at: Timestamp) {
        let last = self.marks.day.map_or(0, |day| day.number);
        assert!(started.day == last.saturating_add(1), "day {} began after day {last}", started.day);
        self.marks.start_day(started, at);
    }

    pub fn near(&mut self, near: &LimitNear, at: Timestamp) {
        let known = self.standings.insert(near.limit, Standing::Near { since: at });
        assert!(known.is_none(), "{} came near without being armed", near.limit);
    }

    pub fn hit(&mut self, hit: &LimitHit, at: Timestamp) {
        let LimitHit { limit, used, allowed, action, lasts, .. } = *hit;
        let day = self.marks.day.map_or(0, |day| day.number);
        let known = self.standings.insert(limit, Standing::Hit(Hit { since: at, day, used, allowed, action, lasts }));
        assert!(!matches!(known, Some(Standing::Hit(_))), "{limit} was hit twice");
    }

    pub fn cleared(&mut self, cleared: &LimitCleared) {
        let known = self.standings.remove(&cleared.limit);
        assert!(known.is_some(), "{} was cleared without being near or hit", cleared.limit);
    }

    pub fn rearmed(&mut self, rearmed: &ProtectionRearmed) {
        for limit in &rearmed.limits {
            let known = self.standings.remove(limit);
            assert!(matches!(known, Some(Standing::Hit(_))), "{limit} was re-armed without being hit");
        }
        self.marks.rebase(&rearmed.baseline);
    }

    /// What blocks the account now: the strictest action of the limits that are hit, and of several with it the first one.
    pub fn blocks(&self) -> Option<Block> {
        let strictest = self.hits().filter(|(limit, _)| !limit.is_cap());
        let (limit, hit) = strictest.max_by_key(|(limit, hit)| (hit.action, Reverse(hit.since), Reverse(*limit)))?;
        Some(Block { limit, action: hit.action, used: hit.used, allowed: hit.allowed })
    }

    /// Why everything has to be closed, as long as something is open. Orders that are on their way already are the caller's
    /// business.
    pub fn flatten_due(&self, open_positions: u32) -> Option<Block> {
        self.blocks().filter(|block| block.action == Action::Flatten && open_positions > 0)
    }

    /// The limits that are hit, in their order.
    pub fn hits(&self) -> impl Iterator<Item = (Limit, &Hit)> {
        self.standings.iter().filter_map(|(limit, standing)| match standing {
            Standing::Hit(hit) => Some((*limit, hit)),
            Standing::Near { .. } => None,
        })
    }

    /// Every limit that is watched, by the last figures.
    pub fn gauges(&self, rules: &Rules) -> Vec<Gauge> {
        let Some(last) = self.marks.last else { return Vec::new() };
        let gauge = |limit: &Limit| {
            let reading = measure(*limit, rules, &self.marks, &last.figures)?;
            Some(Gauge {
                limit: *limit,
                used: reading.used(),
                allowed: reading.allowed(),
                percent: reading.percent(),
                standing: self.standings.get(limit).copied(),
            })
        };
        Limit::ALL.iter().filter_map(gauge).collect()
    }

    fn judge(&self, limit: Limit, figures: &Figures, rules: &Rules, marks: &Marks, events: &mut Vec<ProtectionEvent>) {
        let reading = measure(limit, rules, marks, figures);
        let mut standing = self.standings.get(&limit);
        if let Some(why) = standing.and_then(|standing| released(limit, standing, reading, rules, marks)) {
            events.push(ProtectionEvent::Cleared(LimitCleared { limit, why }));
            standing = None;
        }
        let (Some(reading), Some((action, lasts))) = (reading, rules.consequence(limit)) else { return };
        match standing {
            Some(Standing::Hit(_)) => {}
            None | Some(Standing::Near { .. }) if reading.is_exceeded() => {
                let Figures { balance, equity, .. } = *figures;
                let (used, allowed) = (reading.used(), reading.allowed());
                events.push(ProtectionEvent::Hit(LimitHit { limit, used, allowed, balance, equity, action, lasts }));
            }
            None if reading.reaches(rules.warn_at_percent.into()) => {
                let percent = reading.percent().unwrap_or(Factor::ZERO);
                let (used, allowed) = (reading.used(), reading.allowed());
                events.push(ProtectionEvent::Near(LimitNear { limit, used, allowed, percent }));
            }
            None | Some(Standing::Near { .. }) => {}
        }
    }
}

/// Why a limit that is near or hit is neither any more.
fn released(
    limit: Limit,
    standing: &Standing,
    reading: Option<Reading>,
    rules: &Rules,
    marks: &Marks,
) -> Option<Cleared> {
    if !rules.has(limit) {
        return Some(Cleared::Removed);
    }
    let today = marks.day.map_or(0, |day| day.number);
    match standing {
        Standing::Hit(_) if limit.is_cap() => {
            reading.is_none_or(|reading| !reading.is_exceeded()).then_some(Cleared::Eased)
        }
        Standing::Hit(hit) => (hit.lasts == Some(Lasts::Day) && hit.day != today).then_some(Cleared::NewDay),
        Standing::Near { .. } => {
            let eased = Decimal::new(i64::from(EASED_TENTHS) * i64::from(rules.warn_at_percent), 1);
            let still = reading.is_some_and(|reading| reading.is_exceeded() || reading.reaches(eased));
            (!still).then_some(Cleared::Eased)
        }
    }
}

impl Rules {
    /// Why an entry of so many lots does not fit beside what is held, counted with the orders that are on their way. Exactly
    /// the limit fits.
    pub fn refuses(&self, open_lots: Lots, open_positions: u32, lots: Lots) -> Option<Block> {
        let above = |limit, asked: Decimal, max: Decimal| {
            let number = |value| Number::new(value).unwrap_or(Number::ZERO);
            let block = || Block { limit, action: Action::BlockEntry, used: number(asked), allowed: number(max) };
            (asked > max).then(block)
        };
        let by_lots = self.lots_max.and_then(|max| above(Limit::LotsMax, open_lots.get() + lots.get(), max.get()));
        let positions = Decimal::from(open_positions) + Decimal::ONE;
        by_lots.or_else(|| self.positions_max.and_then(|max| above(Limit::PositionsMax, positions, max.into())))
    }
}
