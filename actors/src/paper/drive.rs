//! A trader on a tape: both sides of the wire in one loop, each at its own time.
//!
//! At one and the same time the desk hears the market first, then the venue's reports, then its own timer; after it the venue's
//! market moves, and requests arrive last.

use super::venue::Paper;
use super::word::{Fill, MarketNo, Name, Report, Request};
use serde::{Deserialize, Serialize};
use tidehelm_events::market::Heard;
use tidehelm_events::time::Timestamp;

/// One line of a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub market: MarketNo,
    pub heard: Heard,
}

/// What trades: live behind the desk's streams, here alone with a tape.
pub trait Trader {
    type Id: Name;

    /// The market is heard, at `received_at`.
    fn heard(&mut self, row: &Row, desk: &mut Desk<'_, Self::Id>);
    fn told(&mut self, report: &Report<Self::Id>, desk: &mut Desk<'_, Self::Id>);
    /// The time has come that it wanted to be woken at.
    fn woken(&mut self, _desk: &mut Desk<'_, Self::Id>) {}
    /// What it is doing, for the report: `NORMAL`, `PAUSE`.
    fn state(&self) -> &'static str {
        "RUNNING"
    }
}

/// Looks on and changes nothing.
pub trait Watch<Id> {
    /// The market moved at the venue.
    fn moved(&mut self, _row: &Row, _at: Timestamp, _paper: &Paper<Id>) {}
    fn filled(&mut self, _fill: &Fill<Id>, _paper: &Paper<Id>) {}
    /// A report reached the desk.
    fn told(&mut self, _report: &Report<Id>, _now: Timestamp) {}
    fn state(&mut self, _state: &'static str, _now: Timestamp) {}
}

impl<Id> Watch<Id> for () {}

/// What a trader may do.
pub struct Desk<'a, Id> {
    pub now: Timestamp,
    paper: &'a mut Paper<Id>,
    wake_at: &'a mut Option<Timestamp>,
}

impl<Id: Name> Desk<'_, Id> {
    pub fn ask(&mut self, request: Request<Id>) {
        self.paper.ask(request, self.now);
    }
    /// Once, then; the last word counts.
    pub fn wake_at(&mut self, at: Timestamp) {
        *self.wake_at = Some(at.max(self.now));
    }
}

/// What was driven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Driven {
    pub rows: u64,
    pub reports: u64,
    pub began_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// Drives the trader over the whole tape. The tape is in the order in which it was received; the venue's times in it may go back a
/// little, and count as the latest then. What is on its way when the tape ends never arrives.
pub fn drive<T: Trader, W: Watch<T::Id>>(
    tape: &[Row],
    paper: &mut Paper<T::Id>,
    trader: &mut T,
    watch: &mut W,
) -> Driven {
    const NEVER: Timestamp = Timestamp(i64::MAX);
    let (mut at_venue, mut at_desk, mut wake_at) = (0, 0, None);
    let mut driven = Driven::default();
    let mut fills = paper.fills();
    let (mut venue_clock, mut desk_clock) = (Timestamp(i64::MIN), Timestamp(i64::MIN));
    let mut state = "";
    while at_venue < tape.len() || at_desk < tape.len() {
        let desk_row = tape.get(at_desk).map_or(NEVER, |row| row.heard.received_at.max(desk_clock));
        let venue_row = tape.get(at_venue).map_or(NEVER, |row| row.heard.source_at.max(venue_clock));
        let report = paper.next_report_at().unwrap_or(NEVER);
        let arrival = paper.next_at().unwrap_or(NEVER);
        let woken = wake_at.unwrap_or(NEVER);
        let at_desk_next = desk_row.min(report).min(woken);
        if at_desk_next <= venue_row && at_desk_next <= arrival {
            let now = at_desk_next.max(desk_clock);
            desk_clock = now;
            if desk_row == at_desk_next {
                let row = &tape[at_desk];
                at_desk += 1;
                trader.heard(row, &mut Desk { now, paper, wake_at: &mut wake_at });
            } else if report == at_desk_next {
                if let Some(report) = paper.told(report) {
                    driven.reports += 1;
                    watch.told(&report, now);
                    trader.told(&report, &mut Desk { now, paper, wake_at: &mut wake_at });
                }
            } else {
                wake_at = None;
                trader.woken(&mut Desk { now, paper, wake_at: &mut wake_at });
            }
            let does = trader.state();
            if !std::ptr::eq(does, state) {
                state = does;
                watch.state(state, now);
            }
        } else if venue_row <= arrival {
            let row = &tape[at_venue];
            at_venue += 1;
            venue_clock = venue_row;
            driven.rows += 1;
            driven.began_at.get_or_insert(venue_row);
            driven.ended_at = Some(venue_row);
            paper.heard(row.market, &row.heard.said, venue_row, row.heard.received_at);
            watch.moved(row, venue_row, paper);
        } else {
            venue_clock = venue_clock.max(arrival);
            paper.elapse(arrival);
        }
        if paper.fills() != fills {
            for fill in paper.fills_after(fills) {
                watch.filled(fill, paper);
            }
            fills = paper.fills();
        }
    }
    driven
}
