//! What fills were worth: each with the market around it, and sums by minute and hour in UTC.
//!
//! A pure fold that is fed in the order of the log: quotes, fills, and what else a window counts. The same order gives the same
//! rows, whether it is folded at once or bit by bit; a fill that is told late gets the marks that it would have had in time, as
//! long as the quotes around it are still kept. All times that come in are of one clock.

mod marks;
mod row;
mod window;

#[cfg(test)]
mod tests;

pub use marks::{HORIZONS, Marks, QUOTES_MAX};
pub use row::{Fill, Row};
pub use window::{Account, HOURS_MAX, MINUTES_MAX, Pnl, WORST, Window};

use crate::id::{MarketId, StrategyId};
use crate::market::{Cash, Quote, Size};
use crate::strategy::maker::Mode;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Rows that are kept to be looked at; all of them went to whoever asked for them when they were complete.
pub const ROWS_MAX: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fills {
    markets: BTreeMap<MarketId, Marks>,
    accounts: BTreeMap<(StrategyId, MarketId), Account>,
    rows: VecDeque<Row>,
}

impl Fills {
    /// A quote that was kept.
    pub fn quote(&mut self, market: &MarketId, quote: &Quote, at: Timestamp) {
        let mid = quote.mid();
        self.markets.entry(market.clone()).or_default().quote(mid, at);
        for ((_, of), account) in &mut self.accounts {
            if of == market {
                account.marked(mid, at);
            }
        }
    }

    pub fn fill(&mut self, fill: Fill) {
        let mid = self.markets.get(&fill.market).and_then(Marks::last);
        self.account(&fill.strategy, &fill.market).filled(&fill, mid);
        self.markets.entry(fill.market.clone()).or_default().fill(fill);
    }

    /// An order of the strategy was cancelled.
    pub fn cancelled(&mut self, strategy: &StrategyId, market: &MarketId, at: Timestamp) {
        self.account(strategy, market).at(at, |window| window.cancels += 1);
    }

    /// A maker's mode changed.
    pub fn turned(&mut self, strategy: &StrategyId, market: &MarketId, new: Mode, at: Timestamp) {
        if new == Mode::Pause {
            self.account(strategy, market).at(at, |window| window.pauses += 1);
        }
    }

    /// Funding that was received; below zero where it was paid.
    pub fn funded(&mut self, strategy: &StrategyId, market: &MarketId, amount: Cash, at: Timestamp) {
        self.account(strategy, market).at(at, |window| window.pnl.funding = window.pnl.funding + amount);
    }

    /// What is held was set right by so much, and nobody earned or lost by it.
    pub fn adjusted(&mut self, strategy: &StrategyId, market: &MarketId, by: Size) {
        self.account(strategy, market).adjusted(by);
    }

    /// The rows that are complete now, in the order in which the fills were told. Call it with the time of each record, or as often
    /// as rows are wanted.
    pub fn pass(&mut self, now: Timestamp) -> Vec<Row> {
        let mut done: Vec<Row> = self.markets.values_mut().flat_map(|marks| marks.complete(now)).collect();
        done.sort_by(|one, other| one.order().cmp(&other.order()));
        for row in &done {
            self.account(&row.fill.strategy, &row.fill.market).judged(row);
            self.rows.push_back(row.clone());
        }
        self.rows.drain(..self.rows.len().saturating_sub(ROWS_MAX));
        done
    }

    /// The last complete ones, oldest first.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter()
    }
    /// Those of which marks are still to come, as far as they are known.
    pub fn pending(&self) -> impl Iterator<Item = Row> {
        self.markets.values().flat_map(Marks::pending)
    }
    pub fn of(&self, strategy: &StrategyId, market: &MarketId) -> Option<&Account> {
        self.accounts.get(&(strategy.clone(), market.clone()))
    }
    pub fn accounts(&self) -> impl Iterator<Item = (&StrategyId, &MarketId, &Account)> {
        self.accounts.iter().map(|((strategy, market), account)| (strategy, market, account))
    }

    fn account(&mut self, strategy: &StrategyId, market: &MarketId) -> &mut Account {
        self.accounts.entry((strategy.clone(), market.clone())).or_default()
    }
}
