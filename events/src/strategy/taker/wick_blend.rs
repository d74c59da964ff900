//! `wick_blend`: a bar touched the band and came back, and the quotes say so too.

use super::Refusal;
use super::family::{EntryProposal, Family, LossExit, Needs};
use super::flow::{Flow, along};
use super::param::{in_order, milli, params};
use super::plan::{Plan, share_of};
use super::quiet::Quiet;
use super::view::{View, price};
use crate::market::{Bar, Price, Ratio, Timeframe};
use crate::order::Way;
use crate::strategy::indicators::{Adx, Atr, Bollinger};
use crate::time::Span;
use crate::trade::Side;

const BARS: usize = 100;
const PERIOD: u32 = 14;

params! {
    /// Distances in pips and in average ranges (ATR 14), on M1.
    pub struct WickBlend {
        /// The last bar reaches at least so far from high to low.
        range_min_pips: Ratio = milli(1_000), milli(10) => milli(100_000);
        /// Its body is at most this share of that.
        body_max: Ratio = milli(750), Ratio::ZERO => Ratio::ONE;
        /// And its wick at the band at least this.
        wick_min: Ratio = milli(350), Ratio::ZERO => Ratio::ONE;
        /// The market is directed at most so much.
        adx_max: Ratio = milli(24_000), Ratio::ZERO => milli(100_000);
        /// How long the quotes are looked at.
        window_ms: u32 = 6_000, 500 => 30_000;
        /// Quotes in it.
        ticks_min: u32 = 4, 3 => 500;
        /// What they came back is at least this share of all their steps.
        reversal_min: Ratio = milli(280), Ratio::ZERO => Ratio::ONE;
        /// Stop, in average ranges.
        stop_range: Ratio = milli(850), milli(50) => milli(10_000);
        /// But not nearer.
        stop_min_pips: Ratio = milli(1_200), milli(10) => milli(100_000);
        /// And not farther.
        stop_max_pips: Ratio = milli(2_200), milli(10) => milli(100_000);
        /// Take, as a multiple of the stop; to the middle of the band where that is farther.
        take_stops: Ratio = milli(1_300), milli(100) => milli(20_000);
        /// The loss at which nothing is waited for any more.
        adverse_max_pips: Ratio = milli(6_000), milli(100) => milli(100_000);
        /// Out after this.
        time_stop_seconds: u32 = 900, 1 => 86_400;
    }
}

impl WickBlend {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.in_range()?;
        in_order(("stop_min_pips", self.stop_min_pips), ("stop_max_pips", self.stop_max_pips))?;
        in_order(("stop_max_pips", self.stop_max_pips), ("adverse_max_pips", self.adverse_max_pips))
    }

    /// Which way the last bar says that it goes.
    fn faded(&self, view: &View<'_>, bar: &Bar, band: &Bollinger) -> Result<Side, Quiet> {
        let range = bar.high - bar.low;
        if range < view.pips(self.range_min_pips) {
            return Err(Quiet::BarSmall);
        }
        if !is_at_most((bar.close - bar.open).abs(), range, self.body_max) {
            return Err(Quiet::BodyLarge);
        }
        let side = touched(bar, band).ok_or(Quiet::EdgeNotTouched)?;
        if is_at_least(wick(bar, side), range, self.wick_min) { Ok(side) } else { Err(Quiet::WickShort) }
    }

    fn turns(&self, view: &View<'_>, side: Side) -> Result<(), Quiet> {
        let seen = Flow::of(view.recent(Span::millis(self.window_ms.into())));
        let flow = seen.filter(|flow| flow.ticks >= self.ticks_min).ok_or(Quiet::TicksTooFew)?;
        if flow.came(side, self.reversal_min) { Ok(()) } else { Err(Quiet::NoReversal) }
    }
}

/// What to do at the edge of the band that the bar reached; of both, at the one that its close is farther from.
fn touched(bar: &Bar, band: &Bollinger) -> Option<Side> {
    match (bar.low.float() <= band.lower, bar.high.float() >= band.upper) {
        (true, true) if bar.high - bar.close > bar.close - bar.low => Some(Side::Sell),
        (true, _) => Some(Side::Buy),
        (false, true) => Some(Side::Sell),
        (false, false) => None,
    }
}

/// From the body to the low for what would be bought, else to the high.
pub(super) fn wick(bar: &Bar, side: Side) -> Price {
    match side {
        Side::Buy => bar.open.min(bar.close) - bar.low,
        Side::Sell => bar.high - bar.open.max(bar.close),
    }
}

pub(super) fn is_at_least(part: Price, whole: Price, share: Ratio) -> bool {
    i128::from(part.0) * i128::from(Ratio::ONE.0) >= i128::from(whole.0) * i128::from(share.0)
}

fn is_at_most(part: Price, whole: Price, share: Ratio) -> bool {
    i128::from(part.0) * i128::from(Ratio::ONE.0) <= i128::from(whole.0) * i128::from(share.0)
}

/// How directed the bars are and how far one reaches on average.
pub(super) fn directed_and_range(bars: &[Bar]) -> Option<(f64, f64)> {
    let (mut adx, mut atr) = (Adx::new(PERIOD), Atr::new(PERIOD));
    let mut last = (None, None);
    for bar in bars.iter() {
        last = (adx.push(bar), atr.push(bar));
    }
    Some((last.0?, last.1?))
}

impl Family for WickBlend {
    fn needs(&self) -> Needs {
        Needs { ticks: Span::millis(self.window_ms.into()), bars: Some((Timeframe::M1, BARS)) }
    }

    fn loss_exit(&self) -> Option<LossExit> {
        Some(LossExit { way: Way::Stop, pips_max: self.stop_max_pips })
    }

    fn on_tick(&self, view: &View<'_>) -> Result<EntryProposal, Quiet> {
        let bars = view.minutes(BARS)?;
        let bar = bars.last().ok_or(Quiet::BarsTooFew)?;
        let band = Bollinger::of(bars, 20, 2.0).ok_or(Quiet::BarsTooFew)?;
        let side = self.faded(view, bar, &band)?;
        self.turns(view, side)?;
        let (directed, range) = directed_and_range(bars).ok_or(Quiet::BarsTooFew)?;
        if directed > self.adx_max.float() {
            return Err(Quiet::TrendStrong);
        }
        let stop = view.of_range(range, self.stop_range, self.stop_min_pips, self.stop_max_pips);
        let to_middle = along(side, price(band.middle) - view.mid()?);
        let plan = Plan {
            stop: Some(stop),
            take: Some(Price(share_of(stop.0, self.take_stops)).max(to_middle)),
            adverse_max: Some(view.pips(self.adverse_max_pips)),
            time_stop: Some(Span::seconds(self.time_stop_seconds.into())),
            ..Plan::default()
        };
        let why = format!("a wick of {} at the band, and back", wick(bar, side));
        Ok(EntryProposal { side, plan, probability: None, why: why.into() })
    }
}
