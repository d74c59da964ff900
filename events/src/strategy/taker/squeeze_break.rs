//! `squeeze_break`: a market that was pressed together leaves its box.

use super::Refusal;
use super::family::{EntryProposal, Family, LossExit, Needs};
use super::flow::Flow;
use super::param::{in_order, milli, params};
use super::plan::{Lock, Plan, share_of};
use super::quiet::Quiet;
use super::view::{View, price};
use crate::market::{Bar, Price, Ratio, Timeframe};
use crate::order::Way;
use crate::strategy::indicators::{Atr, BOX_MAX, Bollinger, RangeBox};
use crate::time::Span;
use crate::trade::Side;

const BARS: usize = 64;
const PERIOD: u32 = 14;
const _: () = assert!(BARS >= BOX_MAX);

params! {
    /// Distances in pips and in average ranges (ATR 14), on M1.
    pub struct SqueezeBreak {
        /// From edge to edge, the band (20, 2) is at most this share of the price.
        width_max: Ratio = Ratio(1_600_000), Ratio(1_000) => milli(1_000);
        /// The average range is at least this.
        range_min_pips: Ratio = milli(700), Ratio::ZERO => milli(100_000);
        /// And at most this.
        range_max_pips: Ratio = milli(4_200), milli(10) => milli(100_000);
        /// Bars that make the box.
        box_bars: u32 = 24, 4 => 64;
        /// Of a hundred so many lie beyond each edge of it.
        outside_percent: u32 = 5, 0 => 40;
        /// How far beyond its edge the middle is.
        break_min_pips: Ratio = milli(900), milli(10) => milli(100_000);
        /// How long the quotes are looked at.
        window_ms: u32 = 5_000, 500 => 30_000;
        /// Quotes in it.
        ticks_min: u32 = 5, 3 => 500;
        /// Share of the steps that go its way.
        ratio_min: Ratio = milli(600), milli(500) => Ratio::ONE;
        /// Stop, in average ranges.
        stop_range: Ratio = milli(850), milli(50) => milli(10_000);
        /// But not nearer.
        stop_min_pips: Ratio = milli(1_300), milli(10) => milli(100_000);
        /// And not farther.
        stop_max_pips: Ratio = milli(2_400), milli(10) => milli(100_000);
        /// Take, as a multiple of the stop.
        take_stops: Ratio = milli(1_450), milli(100) => milli(20_000);
        /// Or in average ranges, whichever is farther.
        take_range: Ratio = milli(1_350), milli(50) => milli(20_000);
        /// From this gain on a share of the best one is kept.
        lock_from_pips: Ratio = milli(1_200), milli(10) => milli(100_000);
        /// That share.
        lock_share: Ratio = milli(500), milli(10) => milli(990);
    }
}

impl SqueezeBreak {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.in_range()?;
        in_order(("range_min_pips", self.range_min_pips), ("range_max_pips", self.range_max_pips))?;
        in_order(("stop_min_pips", self.stop_min_pips), ("stop_max_pips", self.stop_max_pips))
    }

    /// The average range, where the bars are pressed together.
    fn squeezed(&self, view: &View<'_>, bars: &[Bar]) -> Result<f64, Quiet> {
        let width = Bollinger::of(bars, 20, 2.0).ok_or(Quiet::BarsTooFew)?.width().ok_or(Quiet::BandWide)?;
        if width > self.width_max.float() {
            return Err(Quiet::BandWide);
        }
        let mut atr = Atr::new(PERIOD);
        let range = bars.iter().fold(None, |_, bar| atr.push(bar)).ok_or(Quiet::BarsTooFew)?;
        let inside = price(range) >= view.pips(self.range_min_pips) && price(range) <= view.pips(self.range_max_pips);
        if inside { Ok(range) } else { Err(Quiet::RangeOutside) }
    }

    fn left(&self, view: &View<'_>, bars: &[Bar]) -> Result<Side, Quiet> {
        let inside = RangeBox::of(bars, self.box_bars as usize, self.outside_percent).ok_or(Quiet::BarsTooFew)?;
        let (mid, by) = (view.mid()?, view.pips(self.break_min_pips));
        if mid >= inside.high + by {
            return Ok(Side::Buy);
        }
        if mid <= inside.low - by { Ok(Side::Sell) } else { Err(Quiet::NoBreak) }
    }
}

impl Family for SqueezeBreak {
    fn needs(&self) -> Needs {
        Needs { ticks: Span::millis(self.window_ms.into()), bars: Some((Timeframe::M1, BARS)) }
    }

    fn loss_exit(&self) -> Option<LossExit> {
        Some(LossExit { way: Way::Stop, pips_max: self.stop_max_pips })
    }

    fn on_tick(&self, view: &View<'_>) -> Result<EntryProposal, Quiet> {
        let bars = view.minutes(BARS)?;
        let side = self.left(view, bars)?;
        let seen = Flow::of(view.recent(Span::millis(self.window_ms.into())));
        let flow = seen.filter(|flow| flow.ticks >= self.ticks_min).ok_or(Quiet::TicksTooFew)?;
        if !flow.went(side, self.ratio_min) {
            return Err(Quiet::RatioLow);
        }
        let range = self.squeezed(view, bars)?;
        let stop = view.of_range(range, self.stop_range, self.stop_min_pips, self.stop_max_pips);
        let take = Price(share_of(stop.0, self.take_stops)).max(price(range * self.take_range.float()));
        let lock = Lock { from: view.pips(self.lock_from_pips), share: self.lock_share };
        let plan = Plan { stop: Some(stop), take: Some(take), lock: Some(lock), ..Plan::default() };
        let why = format!("left the box of {} bars", self.box_bars);
        Ok(EntryProposal { side, plan, probability: None, why: why.into() })
    }
}
