//! `ping`: a burst of quotes one way is followed, or a sweep that turns is faded.

use super::family::{EntryProposal, Family, LossExit, Needs};
use super::flow::{Flow, along, mid};
use super::param::{in_order, milli, params};
use super::plan::{Plan, share_of};
use super::quiet::Quiet;
use super::view::View;
use super::{ExitProposal, Refusal, Trade};
use crate::market::{Price, Ratio, Tick};
use crate::order::Way;
use crate::strategy::indicators::newest;
use crate::time::Span;
use crate::trade::Side;

params! {
    /// Distances in pips, shares as ratios.
    pub struct Ping {
        /// How long a burst may take.
        window_ms: u32 = 1_200, 200 => 10_000;
        /// Quotes in it.
        ticks_min: u32 = 5, 3 => 200;
        /// How far it comes at least.
        move_min_pips: Ratio = milli(800), milli(10) => milli(100_000);
        /// And so much farther than the spread is wide.
        over_spread_pips: Ratio = milli(120), Ratio::ZERO => milli(100_000);
        /// Share of the steps that go its way.
        ratio_min: Ratio = milli(600), milli(500) => Ratio::ONE;
        /// Quotes a second.
        rate_min: Ratio = milli(4_000), Ratio::ZERO => milli(1_000_000);
        /// The last quotes of it, as a share of all.
        tail_share: Ratio = milli(380), milli(50) => milli(900);
        /// The share of the move that they carry at least.
        tail_move_min: Ratio = milli(280), Ratio::ZERO => Ratio::ONE;
        /// How long a sweep with its turn may take.
        sweep_window_ms: u32 = 2_800, 200 => 30_000;
        /// How far it reaches at least.
        sweep_min_pips: Ratio = milli(550), milli(10) => milli(100_000);
        /// How long the turn may take.
        turn_window_ms: u32 = 800, 100 => 10_000;
        /// How far it comes back at least.
        turn_min_pips: Ratio = milli(200), milli(10) => milli(100_000);
        /// Where both are there, the turn wins from this multiple of the burst's score on.
        turn_edge: Ratio = milli(1_080), milli(100) => milli(10_000);
        /// No entry at a wider spread.
        spread_max_pips: Ratio = milli(850), milli(10) => milli(100_000);
        /// What is taken, as a share of the move or sweep.
        take_share: Ratio = milli(500), milli(10) => milli(5_000);
        /// But not less.
        take_min_pips: Ratio = milli(300), milli(10) => milli(100_000);
        /// And not more.
        take_max_pips: Ratio = milli(1_000), milli(10) => milli(100_000);
        /// The loss at which it gives up.
        adverse_max_pips: Ratio = milli(3_500), milli(100) => milli(100_000);
        /// Out after this.
        time_stop_ms: u32 = 150_000, 1_000 => 86_400_000;
    }
}

/// Something that was seen: which way to trade it, how far it came, and how much farther than it had to.
struct Seen {
    side: Side,
    came: Price,
    score: Ratio,
    what: &'static str,
}

impl Ping {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.in_range()?;
        in_order(("take_min_pips", self.take_min_pips), ("take_max_pips", self.take_max_pips))?;
        in_order(("turn_window_ms", self.turn_window_ms), ("sweep_window_ms", self.sweep_window_ms))
    }

    fn burst(&self, view: &View<'_>, spread: Price) -> Result<Seen, Quiet> {
        let ticks = view.recent(Span::millis(self.window_ms.into()));
        let flow = Flow::of(ticks).filter(|flow| flow.ticks >= self.ticks_min).ok_or(Quiet::TicksTooFew)?;
        let needed = view.pips(self.move_min_pips).max(spread + view.pips(self.over_spread_pips));
        let side = flow.way().ok_or(Quiet::MoveSmall)?;
        let came = along(side, flow.change());
        if came < needed {
            return Err(Quiet::MoveSmall);
        }
        if !flow.went(side, self.ratio_min) {
            return Err(Quiet::RatioLow);
        }
        if i128::from(flow.ticks) * 1_000 * ONE < i128::from(self.window_ms) * i128::from(self.rate_min.0) {
            return Err(Quiet::RateLow);
        }
        if i128::from(self.tail(ticks, side).0) * ONE < i128::from(came.0) * i128::from(self.tail_move_min.0) {
            return Err(Quiet::TailWeak);
        }
        Ok(Seen { side, came, score: score(came, needed), what: "a burst" })
    }

    /// How far the last steps of it came. Their number is rounded up.
    fn tail(&self, ticks: &[Tick], side: Side) -> Price {
        let steps = (ticks.len() as i128 * i128::from(self.tail_share.0) + ONE - 1) / ONE;
        let steps = (steps as usize).min(ticks.len() - 1);
        Flow::of(newest(ticks, steps + 1)).map_or(Price::ZERO, |flow| along(side, flow.change()))
    }

    /// The longer of a sweep up that falls and a sweep down that rises.
    fn turn(&self, view: &View<'_>) -> Result<Seen, Quiet> {
        let ticks = view.recent(Span::millis(self.sweep_window_ms.into()));
        let sweep = Flow::of(ticks).filter(|flow| flow.ticks >= self.ticks_min).ok_or(Quiet::TicksTooFew)?;
        let turning = self.turning(view, ticks);
        let fall = Seen { side: Side::Sell, came: sweep.highest - sweep.first, ..Seen::turn() };
        let rise = Seen { side: Side::Buy, came: sweep.first - sweep.lowest, ..Seen::turn() };
        let (least, back) = (view.pips(self.sweep_min_pips), view.pips(self.turn_min_pips));
        let falls = fall.came >= least && turning.highest - turning.last >= back;
        let rises = rise.came >= least && turning.last - turning.lowest >= back;
        let seen = match (falls, rises) {
            (true, true) if rise.came > fall.came => rise,
            (true, _) => fall,
            (false, true) => rise,
            (false, false) => return Err(Quiet::NoReversal),
        };
        Ok(Seen { score: score(seen.came, least), ..seen })
    }

    /// The last moments of a sweep, and the quote that stood when they began.
    fn turning(&self, view: &View<'_>, ticks: &[Tick]) -> Flow {
        let turning = view.recent(Span::millis(self.turn_window_ms.into())).len();
        let with_before = newest(ticks, turning + 1);
        let still = |price| Flow {
            ticks: 0,
            ups: 0,
            downs: 0,
            first: price,
            last: price,
            highest: price,
            lowest: price,
            travel: Price::ZERO,
        };
        Flow::of(with_before).unwrap_or_else(|| still(ticks.last().map_or(Price::ZERO, mid)))
    }
}

impl Seen {
    fn turn() -> Seen {
        Seen { side: Side::Buy, came: Price::ZERO, score: Ratio::ZERO, what: "a sweep that turned" }
    }
}

const ONE: i128 = Ratio::ONE.0 as i128;

fn score(came: Price, needed: Price) -> Ratio {
    Ratio((i128::from(came.0) * ONE / i128::from(needed.0.max(1))).min(i64::MAX.into()) as i64)
}

impl Family for Ping {
    fn needs(&self) -> Needs {
        Needs { ticks: Span::millis(self.window_ms.max(self.sweep_window_ms).into()), bars: None }
    }

    fn loss_exit(&self) -> Option<LossExit> {
        Some(LossExit { way: Way::MaxAdverse, pips_max: self.adverse_max_pips })
    }

    fn on_tick(&self, view: &View<'_>) -> Result<EntryProposal, Quiet> {
        let quote = view.spread_within(self.spread_max_pips)?;
        let seen = match (self.burst(view, quote.ask - quote.bid), self.turn(view)) {
            (Ok(burst), Ok(turn)) if turn.score.0 < share_of(burst.score.0, self.turn_edge) => burst,
            (_, Ok(turn)) => turn,
            (Ok(burst), Err(_)) => burst,
            (Err(quiet), Err(_)) => return Err(quiet),
        };
        let take = Price(share_of(seen.came.0, self.take_share));
        let plan = Plan {
            take: Some(take.max(view.pips(self.take_min_pips)).min(view.pips(self.take_max_pips))),
            adverse_max: Some(view.pips(self.adverse_max_pips)),
            time_stop: Some(Span::millis(self.time_stop_ms.into())),
            ..Plan::default()
        };
        let why = format!("{} over {}, {} of what it takes", seen.what, seen.came, seen.score);
        Ok(EntryProposal { side: seen.side, plan, probability: None, why: why.into() })
    }

    fn on_position(&self, view: &View<'_>, trade: &Trade) -> Option<ExitProposal> {
        trade.by_plan(view)
    }
}
