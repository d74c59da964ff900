//! `macd_rsi_div`: relative strength was at an extreme, the histogram did not follow the price there, and strength comes back.

use super::Refusal;
use super::family::{EntryProposal, Family, LossExit, Needs};
use super::flow::along;
use super::param::{in_order, milli, params};
use super::plan::Plan;
use super::quiet::Quiet;
use super::view::View;
use crate::market::{Bar, Price, Ratio, Timeframe};
use crate::order::Way;
use crate::strategy::indicators::{Atr, Macd, Rsi};
use crate::time::Span;
use crate::trade::Side;

/// Enough for the averages to have forgotten where they began.
const BARS: usize = 120;
const PERIOD: u32 = 14;

params! {
    /// Distances in pips and in average ranges (ATR 14), on M1.
    pub struct MacdRsiDiv {
        /// Relative strength at or below it arms for buying; 100 less this, for selling.
        rsi_extreme: Ratio = milli(25_000), milli(1_000) => milli(49_000);
        /// Crossed upwards it is back; 100 less this downwards.
        rsi_back: Ratio = milli(30_000), milli(1_000) => milli(50_000);
        /// For so long it stays armed.
        armed_seconds: u32 = 420, 60 => 3_600;
        /// A pivot is beyond so many bars on each side.
        pivot_bars: u32 = 3, 1 => 10;
        /// The newer pivot is at most so many bars old.
        pivot_age_max: u32 = 8, 1 => 40;
        /// The two pivots are at most so many bars apart.
        pivots_apart_max: u32 = 40, 2 => 80;
        /// By how much the histogram is weaker, as a share of the greater one.
        strength_min: Ratio = milli(220), Ratio::ZERO => milli(2_000);
        /// Stop, in average ranges.
        stop_range: Ratio = milli(850), milli(50) => milli(10_000);
        /// But not nearer.
        stop_min_pips: Ratio = milli(700), milli(10) => milli(100_000);
        /// And not farther.
        stop_max_pips: Ratio = milli(3_500), milli(10) => milli(100_000);
        /// Take, in average ranges.
        take_range: Ratio = milli(1_100), milli(50) => milli(10_000);
        /// But not nearer.
        take_min_pips: Ratio = milli(800), milli(10) => milli(100_000);
        /// And not farther.
        take_max_pips: Ratio = milli(4_200), milli(10) => milli(100_000);
        /// Out after this.
        time_stop_seconds: u32 = 1_800, 1 => 86_400;
    }
}

/// What the indicators say of each bar.
struct Read {
    rsi: [Option<f64>; BARS],
    histogram: [Option<f64>; BARS],
    range: f64,
}

impl MacdRsiDiv {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.in_range()?;
        in_order(("rsi_extreme", self.rsi_extreme), ("rsi_back", self.rsi_back))?;
        in_order(("pivot_bars", self.pivot_bars), ("pivot_age_max", self.pivot_age_max))?;
        in_order(("stop_min_pips", self.stop_min_pips), ("stop_max_pips", self.stop_max_pips))?;
        in_order(("take_min_pips", self.take_min_pips), ("take_max_pips", self.take_max_pips))
    }

    /// Strength crossed its line with the last bar.
    fn reclaim(&self, read: &Read) -> Option<Side> {
        let (before, last) = (read.rsi[BARS - 2]?, read.rsi[BARS - 1]?);
        let (low, high) = (self.rsi_back.float(), 100.0 - self.rsi_back.float());
        match (before < low && last >= low, before > high && last <= high) {
            (true, _) => Some(Side::Buy),
            (_, true) => Some(Side::Sell),
            (false, false) => None,
        }
    }

    fn is_armed(&self, read: &Read, side: Side) -> bool {
        let bars = (self.armed_seconds / 60) as usize + 1;
        let (low, high) = (self.rsi_extreme.float(), 100.0 - self.rsi_extreme.float());
        read.rsi[BARS.saturating_sub(bars)..].iter().flatten().any(|rsi| match side {
            Side::Buy => *rsi <= low,
            Side::Sell => *rsi >= high,
        })
    }

    /// By how much the histogram at the newer pivot is weaker than at the one before, where the price went farther.
    fn divergence(&self, bars: &[Bar], read: &Read, side: Side) -> Option<f64> {
        let mut pivots = (0..BARS).rev().filter(|place| self.is_pivot(bars, *place, side));
        let newer = pivots.next().filter(|place| BARS - 1 - place <= self.pivot_age_max as usize)?;
        let older = pivots.next().filter(|place| newer - place <= self.pivots_apart_max as usize)?;
        let farther = along(side, edge(bars, older, side)? - edge(bars, newer, side)?) > Price::ZERO;
        let (before, now) = (read.histogram[older]?, read.histogram[newer]?);
        let weaker = if side == Side::Buy { now - before } else { before - now };
        let greater = before.abs().max(now.abs());
        (farther && greater > 0.0).then(|| weaker / greater)
    }

    /// Beyond all bars on its left, and not short of any on its right: of equal ones the first counts.
    fn is_pivot(&self, bars: &[Bar], place: usize, side: Side) -> bool {
        let reach = self.pivot_bars as usize;
        if place < reach || place + reach >= BARS {
            return false;
        }
        let Some(here) = edge(bars, place, side) else { return false };
        let beyond = |other: usize| edge(bars, other, side).map(|there| along(side, there - here));
        (place - reach..place).all(|left| beyond(left).is_some_and(|by| by > Price::ZERO))
            && (place + 1..=place + reach).all(|right| beyond(right).is_some_and(|by| by >= Price::ZERO))
    }
}

/// The low for what would be bought, else the high.
fn edge(bars: &[Bar], place: usize, side: Side) -> Option<Price> {
    bars.get(place).map(|bar| if side == Side::Buy { bar.low } else { bar.high })
}

fn read(bars: &[Bar]) -> Option<Read> {
    let (mut rsi, mut macd, mut atr) = (Rsi::new(PERIOD), Macd::new(12, 26, 9), Atr::new(PERIOD));
    let mut read = Read { rsi: [None; BARS], histogram: [None; BARS], range: 0.0 };
    let mut range = None;
    for (place, bar) in bars.iter().enumerate().take(BARS) {
        let close = bar.close.float();
        (read.rsi[place], read.histogram[place]) = (rsi.push(close), macd.push(close));
        range = atr.push(bar);
    }
    read.range = range?;
    Some(read)
}

impl Family for MacdRsiDiv {
    fn needs(&self) -> Needs {
        Needs { ticks: Span(0), bars: Some((Timeframe::M1, BARS)) }
    }

    fn loss_exit(&self) -> Option<LossExit> {
        Some(LossExit { way: Way::Stop, pips_max: self.stop_max_pips })
    }

    fn on_bar(&self, view: &View<'_>) -> Result<EntryProposal, Quiet> {
        let bars = view.minutes(BARS)?;
        let read = read(bars).ok_or(Quiet::BarsTooFew)?;
        let side = self.reclaim(&read).ok_or(Quiet::NoReclaim)?;
        if !self.is_armed(&read, side) {
            return Err(Quiet::NotArmed);
        }
        let strength = self.divergence(bars, &read, side).ok_or(Quiet::NoDivergence)?;
        if strength < self.strength_min.float() {
            return Err(Quiet::NoDivergence);
        }
        let stop = view.of_range(read.range, self.stop_range, self.stop_min_pips, self.stop_max_pips);
        let take = view.of_range(read.range, self.take_range, self.take_min_pips, self.take_max_pips);
        let time_stop = Some(Span::seconds(self.time_stop_seconds.into()));
        let plan = Plan { stop: Some(stop), take: Some(take), time_stop, ..Plan::default() };
        let why = "strength came back after a divergence".into();
        Ok(EntryProposal { side, plan, probability: None, why })
    }
}
