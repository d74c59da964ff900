//! `wick_pro`: a long wick at the edge of a range that is in use.

use super::Refusal;
use super::family::{EntryProposal, Family, LossExit, Needs};
use super::param::{in_order, milli, params};
use super::plan::{Plan, share_of};
use super::quiet::Quiet;
use super::view::View;
use super::wick_blend::{directed_and_range, is_at_least, wick};
use crate::market::{Bar, Price, Ratio, Timeframe};
use crate::order::Way;
use crate::strategy::indicators::{Bollinger, RangeBox, newest};
use crate::time::Span;
use crate::trade::Side;

const BARS: usize = 100;

params! {
    /// Distances in pips and in average ranges (ATR 14), on M1.
    pub struct WickPro {
        /// The last bar reaches at least so far from high to low.
        range_min_pips: Ratio = milli(2_000), milli(10) => milli(100_000);
        /// Its body is at most this.
        body_max_pips: Ratio = milli(900), Ratio::ZERO => milli(100_000);
        /// Its wick is at least this share of its range.
        wick_min: Ratio = milli(600), Ratio::ZERO => Ratio::ONE;
        /// The market is directed at most so much.
        adx_max: Ratio = milli(22_000), Ratio::ZERO => milli(100_000);
        /// From edge to edge, the band (20, 2) is at most this share of the price.
        width_max: Ratio = Ratio(1_100_000), Ratio(1_000) => milli(1_000);
        /// Bars before the last one that make the range.
        box_bars: u32 = 24, 4 => 64;
        /// Of a hundred so many lie beyond each edge of it.
        outside_percent: u32 = 5, 0 => 40;
        /// The range is at least so wide.
        box_min_pips: Ratio = milli(2_500), milli(10) => milli(100_000);
        /// Each edge was reached by at least so many of its bars.
        touches_min: u32 = 2, 1 => 30;
        /// A bar reaches an edge if it comes as near as this share of the range.
        touch_share: Ratio = milli(200), Ratio::ZERO => milli(490);
        /// Stop, in average ranges.
        stop_range: Ratio = milli(800), milli(50) => milli(10_000);
        /// But not nearer.
        stop_min_pips: Ratio = milli(1_100), milli(10) => milli(100_000);
        /// And not farther.
        stop_max_pips: Ratio = milli(1_900), milli(10) => milli(100_000);
        /// Take, in average ranges.
        take_range: Ratio = milli(1_000), milli(50) => milli(10_000);
        /// But not nearer.
        take_min_pips: Ratio = milli(1_400), milli(10) => milli(100_000);
        /// And not farther.
        take_max_pips: Ratio = milli(2_300), milli(10) => milli(100_000);
    }
}

impl WickPro {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.in_range()?;
        in_order(("stop_min_pips", self.stop_min_pips), ("stop_max_pips", self.stop_max_pips))?;
        in_order(("take_min_pips", self.take_min_pips), ("take_max_pips", self.take_max_pips))
    }

    /// Which way the wick of the last bar points away from.
    fn faded(&self, view: &View<'_>, bar: &Bar) -> Result<Side, Quiet> {
        let range = bar.high - bar.low;
        if range < view.pips(self.range_min_pips) {
            return Err(Quiet::BarSmall);
        }
        if (bar.close - bar.open).abs() > view.pips(self.body_max_pips) {
            return Err(Quiet::BodyLarge);
        }
        let side = if wick(bar, Side::Buy) >= wick(bar, Side::Sell) { Side::Buy } else { Side::Sell };
        if is_at_least(wick(bar, side), range, self.wick_min) { Ok(side) } else { Err(Quiet::WickShort) }
    }

    /// Both edges of the range were reached more than once, and the last bar's wick reached its own.
    fn in_range_of(&self, view: &View<'_>, bars: &[Bar], bar: &Bar, side: Side) -> Result<(), Quiet> {
        let before = &bars[..bars.len().saturating_sub(1)];
        let inside = RangeBox::of(before, self.box_bars as usize, self.outside_percent).ok_or(Quiet::BarsTooFew)?;
        let wide = inside.high - inside.low;
        if wide < view.pips(self.box_min_pips) {
            return Err(Quiet::NoRange);
        }
        let near = Price(share_of(wide.0, self.touch_share));
        let reaches = |bar: &Bar, side: Side| match side {
            Side::Buy => bar.low <= inside.low + near,
            Side::Sell => bar.high >= inside.high - near,
        };
        let made_of = newest(before, self.box_bars as usize);
        let touches = |side: Side| made_of.iter().filter(|bar| reaches(bar, side)).count() as u32;
        if touches(Side::Buy).min(touches(Side::Sell)) < self.touches_min {
            return Err(Quiet::NoRange);
        }
        if reaches(bar, side) { Ok(()) } else { Err(Quiet::EdgeNotTouched) }
    }
}

impl Family for WickPro {
    fn needs(&self) -> Needs {
        Needs { ticks: Span(0), bars: Some((Timeframe::M1, BARS)) }
    }

    fn loss_exit(&self) -> Option<LossExit> {
        Some(LossExit { way: Way::Stop, pips_max: self.stop_max_pips })
    }

    fn on_bar(&self, view: &View<'_>) -> Result<EntryProposal, Quiet> {
        let bars = view.minutes(BARS)?;
        let bar = bars.last().ok_or(Quiet::BarsTooFew)?;
        let side = self.faded(view, bar)?;
        let width = Bollinger::of(bars, 20, 2.0).ok_or(Quiet::BarsTooFew)?.width().ok_or(Quiet::BandWide)?;
        if width > self.width_max.float() {
            return Err(Quiet::BandWide);
        }
        let (directed, range) = directed_and_range(bars).ok_or(Quiet::BarsTooFew)?;
        if directed > self.adx_max.float() {
            return Err(Quiet::TrendStrong);
        }
        self.in_range_of(view, bars, bar, side)?;
        let stop = view.of_range(range, self.stop_range, self.stop_min_pips, self.stop_max_pips);
        let take = view.of_range(range, self.take_range, self.take_min_pips, self.take_max_pips);
        let plan = Plan { stop: Some(stop), take: Some(take), ..Plan::default() };
        let why = format!("a wick of {} at the edge of the range", wick(bar, side));
        Ok(EntryProposal { side, plan, probability: None, why: why.into() })
    }
}
