//! `tick_imbalance`: quotes go one way in a market that goes that way.

use super::Refusal;
use super::family::{EntryProposal, Family, LossExit, Needs};
use super::flow::{Flow, along};
use super::param::{in_order, milli, params};
use super::plan::{Partial, Plan};
use super::quiet::Quiet;
use super::view::View;
use crate::market::{Price, Ratio, Timeframe};
use crate::order::Way;
use crate::strategy::indicators::{Adx, sma};
use crate::time::Span;
use crate::trade::Side;

const BARS: usize = 100;
const PERIOD: u32 = 14;

params! {
    /// Distances in pips; ADX 14 and the averages of closes on M1.
    pub struct TickImbalance {
        /// The market is directed at least so much.
        adx_min: Ratio = milli(18_000), Ratio::ZERO => milli(100_000);
        /// How long the quotes are looked at.
        window_ms: u32 = 4_500, 500 => 30_000;
        /// Quotes in it.
        ticks_min: u32 = 6, 3 => 500;
        /// Share of the steps that go one way.
        ratio_min: Ratio = milli(680), milli(500) => Ratio::ONE;
        /// How far they come at least.
        move_min_pips: Ratio = milli(450), milli(10) => milli(100_000);
        /// This long they went the same way.
        confirm_ms: u32 = 8_000, 500 => 60_000;
        /// Share of the steps that went that way in it.
        confirm_ratio_min: Ratio = milli(550), Ratio::ZERO => Ratio::ONE;
        /// The quicker average, in bars.
        fast_bars: u32 = 10, 2 => 100;
        /// The slower one.
        slow_bars: u32 = 20, 2 => 100;
        /// From this gain on a part is taken.
        partial_at_pips: Ratio = milli(900), milli(10) => milli(100_000);
        /// So much of it.
        partial_share: Ratio = milli(400), milli(10) => milli(990);
        /// Then the stop stands so far in profit.
        stop_to_pips: Ratio = milli(600), Ratio::ZERO => milli(100_000);
        /// What is taken.
        take_pips: Ratio = milli(2_000), milli(10) => milli(100_000);
        /// The loss at which it gives up.
        adverse_max_pips: Ratio = milli(4_000), milli(100) => milli(100_000);
        /// What is at a loss goes after this.
        losers_out_seconds: u32 = 420, 1 => 86_400;
    }
}

impl TickImbalance {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.in_range()?;
        in_order(("window_ms", self.window_ms), ("confirm_ms", self.confirm_ms))?;
        in_order(("fast_bars", self.fast_bars), ("slow_bars", self.slow_bars))?;
        in_order(("stop_to_pips", self.stop_to_pips), ("partial_at_pips", self.partial_at_pips))?;
        in_order(("partial_at_pips", self.partial_at_pips), ("take_pips", self.take_pips))
    }

    /// Which way the quotes go, and how far they came.
    fn flow(&self, view: &View<'_>) -> Result<(Side, Flow), Quiet> {
        let seen = Flow::of(view.recent(Span::millis(self.window_ms.into())));
        let flow = seen.filter(|flow| flow.ticks >= self.ticks_min).ok_or(Quiet::TicksTooFew)?;
        let side = flow.way().ok_or(Quiet::MoveSmall)?;
        if along(side, flow.change()) < view.pips(self.move_min_pips) {
            return Err(Quiet::MoveSmall);
        }
        if !flow.went(side, self.ratio_min) {
            return Err(Quiet::RatioLow);
        }
        let longer = Flow::of(view.recent(Span::millis(self.confirm_ms.into()))).ok_or(Quiet::TicksTooFew)?;
        let same_way = along(side, longer.change()) > Price::ZERO && longer.went(side, self.confirm_ratio_min);
        if same_way { Ok((side, flow)) } else { Err(Quiet::NotConfirmed) }
    }

    /// The market as its bars show it goes that way.
    fn regime(&self, view: &View<'_>, side: Side) -> Result<(), Quiet> {
        let bars = view.minutes(BARS)?;
        let mut adx = Adx::new(PERIOD);
        let directed = bars.iter().fold(None, |_, bar| adx.push(bar)).ok_or(Quiet::BarsTooFew)?;
        if directed < self.adx_min.float() {
            return Err(Quiet::TrendWeak);
        }
        let average = |count: u32| sma(bars, count as usize).ok_or(Quiet::BarsTooFew);
        let apart = average(self.fast_bars)? - average(self.slow_bars)?;
        if along(side, apart) > Price::ZERO { Ok(()) } else { Err(Quiet::AveragesAgainst) }
    }
}

impl Family for TickImbalance {
    fn needs(&self) -> Needs {
        Needs { ticks: Span::millis(self.confirm_ms.into()), bars: Some((Timeframe::M1, BARS)) }
    }

    fn loss_exit(&self) -> Option<LossExit> {
        Some(LossExit { way: Way::MaxAdverse, pips_max: self.adverse_max_pips })
    }

    fn on_tick(&self, view: &View<'_>) -> Result<EntryProposal, Quiet> {
        let (side, flow) = self.flow(view)?;
        self.regime(view, side)?;
        let partial = Partial {
            at: view.pips(self.partial_at_pips),
            share: self.partial_share,
            stop_to: view.pips(self.stop_to_pips),
        };
        let plan = Plan {
            take: Some(view.pips(self.take_pips)),
            adverse_max: Some(view.pips(self.adverse_max_pips)),
            losers_out: Some(Span::seconds(self.losers_out_seconds.into())),
            partial: Some(partial),
            ..Plan::default()
        };
        let why = format!("{} of the steps went over {}", flow.share(side), flow.change().abs());
        Ok(EntryProposal { side, plan, probability: None, why: why.into() })
    }
}
