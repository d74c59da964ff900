//! What a run on a tape came to: worth over time, fills and what became of the price after them, time in each state.

use super::drive::{Driven, Row, Watch};
use super::matching::Holding;
use super::venue::{Counts, Paper};
use super::word::{Fill, MarketNo, Name, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use tidehelm_events::market::{Bps, Cash, Price, Said, Size};
use tidehelm_events::order::Liquidity;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::Side;

/// Points that the curve keeps at most: when it has more, every second one goes and they are taken half as often.
const POINTS_MAX: usize = 2_000;
/// Fills that are kept one by one, the first; all are counted.
const FILLS_MAX: usize = 1_000_000;
/// Changes of state that are kept one by one, the first; the time in each is whole.
const CHANGES_MAX: usize = 10_000;

/// After which time the middle is looked at, and how far from it a quote may be.
pub const HORIZONS: [(Span, Span); 4] = [
    (Span::seconds(0), Span::millis(500)),
    (Span::seconds(1), Span::millis(500)),
    (Span::seconds(10), Span::seconds(1)),
    (Span::seconds(60), Span::seconds(5)),
];
/// Which of them says what was lost to those who knew better.
const ADVERSE: usize = 2;

/// Looks on while a trader is driven over a tape.
pub struct Ledger {
    every: Span,
    next_point_at: Timestamp,
    curve: Vec<Point>,
    peak: Cash,
    drawdown: Cash,
    fills: Vec<Filled>,
    filled_whole: u64,
    markets: Vec<Market>,
    states: BTreeMap<&'static str, Span>,
    state: Option<(&'static str, Timestamp)>,
    changes: Vec<Change>,
}

/// What all was worth at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub at: Timestamp,
    pub worth: Cash,
    /// What is held in the first market.
    pub held: Size,
    pub mid: Option<Price>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    pub number: u64,
    pub order: Box<str>,
    pub market: MarketNo,
    pub at: Timestamp,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    pub fee: Cash,
    pub liquidity: Liquidity,
    /// The middle at each of the horizons, by the nearest quote; None without one near enough.
    pub mids: [Option<Price>; HORIZONS.len()],
}

impl Filled {
    /// What the fill was good for by then, in basis points of the middle at the fill; rounded towards zero.
    pub fn markout(&self, horizon: usize) -> Option<Bps> {
        let (then, mid) = (self.mids[horizon]?, self.mids[0]?);
        let gain = match self.side {
            Side::Buy => i128::from(then.0) - i128::from(self.price.0),
            Side::Sell => i128::from(self.price.0) - i128::from(then.0),
        };
        let bps = gain * 10_000 * i128::from(Bps::ONE.0) / i128::from(mid.0);
        i64::try_from(bps).ok().map(Bps)
    }
    /// How much better than the price the middle was at the horizon.
    fn edge(&self, horizon: usize) -> Option<Cash> {
        let gain = match self.side {
            Side::Buy => self.mids[horizon]? - self.price,
            Side::Sell => self.price - self.mids[horizon]?,
        };
        Some(gain * self.size)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub at: Timestamp,
    pub state: Box<str>,
}

/// What came of it. The parts of the profit add up to it: profit = spread + adverse + inventory - fees - funding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub began_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub rows: u64,
    pub counts: Counts,
    pub profit: Cash,
    /// What the prices of the fills were better than the middle then.
    pub spread: Cash,
    /// What the middle did in the ten seconds after each fill, for us or against us.
    pub adverse: Cash,
    /// What it did beyond that, for what was held.
    pub inventory: Cash,
    pub fees: Cash,
    pub funding: Cash,
    /// The most that it was below its peak, looked at with each fill and each point of the curve.
    pub drawdown: Cash,
    pub turnover: Cash,
    pub filled_whole: u64,
    pub holdings: Vec<Holding>,
    pub markouts: Vec<Markout>,
    pub states: BTreeMap<Box<str>, Span>,
    pub changes: Vec<Change>,
    pub curve: Vec<Point>,
    pub fills: Vec<Filled>,
}

/// How fills looked some time later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Markout {
    pub after: Span,
    /// Fills with a quote near enough.
    pub known: u64,
    pub average: Option<Bps>,
    pub p10: Option<Bps>,
    pub p50: Option<Bps>,
    pub p90: Option<Bps>,
}

#[derive(Default)]
struct Market {
    before: Option<(Timestamp, Price)>,
    /// Which fills are its own, in their order, and from which on each horizon waits for a quote.
    own: Vec<usize>,
    next: [usize; HORIZONS.len()],
    due_at: Option<Timestamp>,
}

impl Ledger {
    /// Takes a point of the curve so often, to begin with.
    pub fn new(every: Span) -> Self {
        Ledger {
            every: Span(every.0.max(1)),
            next_point_at: Timestamp(i64::MIN),
            curve: Vec::new(),
            peak: Cash::ZERO,
            drawdown: Cash::ZERO,
            fills: Vec::new(),
            filled_whole: 0,
            markets: Vec::new(),
            states: BTreeMap::new(),
            state: None,
            changes: Vec::new(),
        }
    }

    pub fn close<Id: Name>(mut self, paper: &Paper<Id>, driven: &Driven) -> Outcome {
        for market in &mut self.markets {
            market.finish(&mut self.fills);
        }
        if let Some(ended_at) = driven.ended_at {
            self.point(ended_at, paper);
            self.spent(ended_at);
        }
        let holdings: Vec<Holding> = paper.markets().iter().map(|market| *market.holding()).collect();
        let sum = |part: fn(&Holding) -> Cash| holdings.iter().map(part).fold(Cash::ZERO, |sum, part| sum + part);
        let (fees, funding, turnover) = (sum(|one| one.fees), sum(|one| one.funding), sum(|one| one.turnover));
        let profit = self.worth(paper);
        let edge = |horizon| self.fills.iter().filter_map(move |fill| Some((fill.edge(0)?, fill.edge(horizon)?)));
        let spread = self.fills.iter().filter_map(|fill| fill.edge(0)).fold(Cash::ZERO, |sum, edge| sum + edge);
        let adverse = edge(ADVERSE).fold(Cash::ZERO, |sum, (then, later)| sum + (later - then));
        Outcome {
            began_at: driven.began_at,
            ended_at: driven.ended_at,
            rows: driven.rows,
            counts: paper.counts(),
            profit,
            spread,
            adverse,
            inventory: profit + fees + funding - spread - adverse,
            fees,
            funding,
            drawdown: self.drawdown,
            turnover,
            filled_whole: self.filled_whole,
            markouts: (0..HORIZONS.len()).map(|horizon| markout(&self.fills, horizon)).collect(),
            states: self.states.iter().map(|(state, span)| ((*state).into(), *span)).collect(),
            changes: self.changes,
            curve: self.curve,
            fills: self.fills,
            holdings,
        }
    }

    /// By the last middle of each market; what is held where there never was one counts nothing.
    fn worth<Id: Name>(&self, paper: &Paper<Id>) -> Cash {
        let mid = |index: usize| self.markets.get(index).and_then(|market| market.before).map(|(_, mid)| mid);
        let worth =
            |(index, market): (usize, &super::Market<Id>)| market.holding().worth(mid(index).unwrap_or_default());
        paper.markets().iter().enumerate().map(worth).fold(Cash::ZERO, |sum, worth| sum + worth)
    }

    fn weigh(&mut self, worth: Cash) {
        self.peak = self.peak.max(worth);
        self.drawdown = self.drawdown.max(self.peak - worth);
    }

    fn point<Id: Name>(&mut self, at: Timestamp, paper: &Paper<Id>) {
        let worth = self.worth(paper);
        self.weigh(worth);
        let held = paper.markets().first().map_or(Size::ZERO, |market| market.holding().size);
        let mid = self.markets.first().and_then(|market| market.before).map(|(_, mid)| mid);
        self.curve.push(Point { at, worth, held, mid });
        if self.curve.len() > POINTS_MAX {
            let mut index = 0;
            self.curve.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every = Span(self.every.0.saturating_mul(2));
        }
        self.next_point_at = at + self.every;
    }

    fn spent(&mut self, now: Timestamp) {
        if let Some((state, since)) = &mut self.state {
            let span = self.states.entry(state).or_default();
            *span = Span(span.0 + now.since(*since).0.max(0));
            *since = now.max(*since);
        }
    }
}

impl<Id: Name + Display> Watch<Id> for Ledger {
    #[inline]
    fn moved(&mut self, row: &Row, at: Timestamp, paper: &Paper<Id>) {
        let index = row.market.index();
        if self.markets.len() <= index {
            self.markets.resize_with(index + 1, Market::default);
        }
        let quote = match &row.heard.said {
            Said::Quote(quote) => Some(*quote),
            Said::BookWhole { .. } | Said::BookChanged { .. } => {
                paper.market(row.market).and_then(|market| market.book().quote())
            }
            Said::Deal(_) | Said::Mark(_) | Said::Index(_) | Said::Funding { .. } => None,
        };
        if let Some(quote) = quote.filter(|quote| quote.is_valid()) {
            self.markets[index].quoted(at, quote.mid(), &mut self.fills);
        }
        if at >= self.next_point_at {
            self.point(at, paper);
        }
    }

    fn filled(&mut self, fill: &Fill<Id>, paper: &Paper<Id>) {
        self.filled_whole += u64::from(fill.leaves.is_zero());
        let worth = self.worth(paper);
        self.weigh(worth);
        if self.fills.len() >= FILLS_MAX {
            return;
        }
        let index = self.fills.len();
        self.fills.push(Filled {
            number: fill.number,
            order: fill.order.to_string().into_boxed_str(),
            market: fill.market,
            at: fill.at,
            side: fill.side,
            price: fill.price,
            size: fill.size,
            fee: fill.fee,
            liquidity: fill.liquidity,
            mids: [None; HORIZONS.len()],
        });
        if let Some(market) = self.markets.get_mut(fill.market.index()) {
            market.own.push(index);
            market.due_at = Some(market.due_at.map_or(fill.at, |due_at| due_at.min(fill.at)));
        }
    }

    fn told(&mut self, _report: &Report<Id>, _now: Timestamp) {}

    fn state(&mut self, state: &'static str, now: Timestamp) {
        if self.state.is_some_and(|(known, _)| known == state) {
            return;
        }
        self.spent(now);
        self.state = Some((state, now));
        if self.changes.len() < CHANGES_MAX {
            self.changes.push(Change { at: now, state: state.into() });
        }
    }
}

impl Market {
    #[inline]
    fn quoted(&mut self, at: Timestamp, mid: Price, fills: &mut [Filled]) {
        if self.due_at.is_some_and(|due_at| due_at <= at) {
            self.look(at, Some((at, mid)), fills);
        }
        self.before = Some((at, mid));
    }

    /// The tape is over: what was quoted last is the nearest.
    fn finish(&mut self, fills: &mut [Filled]) {
        self.look(Timestamp(i64::MAX), None, fills);
    }

    fn look(&mut self, until: Timestamp, now: Option<(Timestamp, Price)>, fills: &mut [Filled]) {
        self.due_at = None;
        for (horizon, (after, tolerance)) in HORIZONS.into_iter().enumerate() {
            while let Some(index) = self.own.get(self.next[horizon]).copied() {
                let target = fills[index].at + after;
                if target > until {
                    self.due_at = Some(self.due_at.map_or(target, |due_at| due_at.min(target)));
                    break;
                }
                self.next[horizon] += 1;
                let distance = |known: &(Timestamp, Price)| known.0.since(target).0.saturating_abs();
                let nearest = [self.before, now].into_iter().flatten().min_by_key(distance);
                fills[index].mids[horizon] = nearest.filter(|near| distance(near) <= tolerance.0).map(|near| near.1);
            }
        }
    }
}

fn markout(fills: &[Filled], horizon: usize) -> Markout {
    let mut all: Vec<i64> = fills.iter().filter_map(|fill| fill.markout(horizon)).map(|bps| bps.0).collect();
    all.sort_unstable();
    let sum: i128 = all.iter().map(|bps| i128::from(*bps)).sum();
    // The nearest rank.
    let rank = |percent: usize| Some(Bps(*all.get((all.len() * percent).div_ceil(100).max(1) - 1)?));
    Markout {
        after: HORIZONS[horizon].0,
        known: all.len() as u64,
        average: i64::try_from(sum / (all.len().max(1) as i128)).ok().filter(|_| !all.is_empty()).map(Bps),
        p10: rank(10),
        p50: rank(50),
        p90: rank(90),
    }
}

#[cfg(test)]
mod tests;
