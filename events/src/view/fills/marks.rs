//! The middle around fills: for each point in time the nearest quote, if one is near enough.

use super::row::{Fill, Row};
use crate::market::Price;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How long after the fill, and how near a quote has to be.
pub const HORIZONS: [(Span, Span); 4] = [
    (Span::seconds(0), Span::millis(500)),
    (Span::seconds(1), Span::millis(500)),
    (Span::seconds(10), Span::seconds(1)),
    (Span::seconds(60), Span::seconds(5)),
];
/// Quotes that are kept for fills that are told late, at most; and for how long.
pub const QUOTES_MAX: usize = 8_192;
const KEPT: Span = Span::seconds(90);
/// Of more fills at once the oldest are complete with what is known.
const PENDING_MAX: usize = 10_000;

/// One market's quotes, and the fills there of which marks are still to come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// Oldest first.
    quotes: VecDeque<(Timestamp, Price)>,
    /// In the order in which they were told.
    pending: VecDeque<Pending>,
    told: u64,
    /// No row is complete before.
    due: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pending {
    number: u64,
    fill: Fill,
    /// The nearest so far: how far away in time, and the middle.
    nearest: [Option<(Span, Price)>; 4],
}

impl Marks {
    /// The middle that was last told.
    pub fn last(&self) -> Option<Price> {
        self.quotes.back().map(|(_, mid)| *mid)
    }

    pub fn quote(&mut self, mid: Price, at: Timestamp) {
        self.quotes.push_back((at, mid));
        while self.quotes.len() > QUOTES_MAX || self.quotes.front().is_some_and(|(old, _)| at.since(*old) > KEPT) {
            self.quotes.pop_front();
        }
        self.pending.iter_mut().for_each(|pending| pending.see(mid, at));
    }

    pub fn fill(&mut self, fill: Fill) {
        self.told += 1;
        let mut pending = Pending { number: self.told, fill, nearest: [None; 4] };
        self.quotes.iter().for_each(|(at, mid)| pending.see(*mid, *at));
        let due = pending.due();
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
        self.pending.push_back(pending);
    }

    /// Rows to which no quote can be nearer any more.
    pub fn complete(&mut self, now: Timestamp) -> Vec<Row> {
        let over = self.pending.len().saturating_sub(PENDING_MAX);
        if over == 0 && self.due.is_none_or(|due| now <= due) {
            return Vec::new();
        }
        let mut rows: Vec<Row> = self.pending.drain(..over).map(Pending::row).collect();
        self.pending.retain(|pending| {
            let done = now > pending.due();
            if done {
                rows.push(pending.clone().row());
            }
            !done
        });
        self.due = self.pending.iter().map(Pending::due).min();
        rows
    }

    pub fn pending(&self) -> impl Iterator<Item = Row> {
        self.pending.iter().map(|pending| pending.clone().row())
    }
}

impl Pending {
    /// Of two that are equally near the one that was told first.
    fn see(&mut self, mid: Price, at: Timestamp) {
        for (nearest, (after, within)) in self.nearest.iter_mut().zip(HORIZONS) {
            let away = at.since(self.fill.at + after);
            let away = Span(away.0.saturating_abs());
            if away <= within && nearest.is_none_or(|(before, _)| away < before) {
                *nearest = Some((away, mid));
            }
        }
    }

    fn due(&self) -> Timestamp {
        let (after, within) = HORIZONS[3];
        self.fill.at + after + within
    }

    fn row(self) -> Row {
        Row { fill: self.fill, mids: self.nearest.map(|nearest| nearest.map(|(_, mid)| mid)), number: self.number }
    }
}
