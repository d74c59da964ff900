//! What a family sees.

use super::flow::mid;
use super::plan::share_of;
use super::quiet::Quiet;
use crate::market::{Bar, Instrument, Price, Ratio, Tick, Timeframe};
use crate::strategy::indicators::newest;
use crate::time::{Span, Timestamp};
use crate::trade::Side;

/// The market as its events made it, and the time of the tick.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub now: Timestamp,
    pub instrument: &'a Instrument,
    /// Kept quotes, oldest first.
    pub ticks: &'a [Tick],
    /// Final bars of each timeframe, in the order of [`Timeframe::ALL`], oldest first.
    pub bars: [&'a [Bar]; 5],
    /// The last quote is young enough to trade on.
    pub is_fresh: bool,
}

/// Indicators never reach over a hole of more bars than this.
const GAP_MAX: i64 = 5;

impl<'a> View<'a> {
    pub fn quote(&self) -> Result<&'a Tick, Quiet> {
        self.ticks.last().ok_or(Quiet::TicksTooFew)
    }
    /// The middle of the last quote.
    pub fn mid(&self) -> Result<Price, Quiet> {
        self.quote().map(mid)
    }
    /// The last quote, unless its spread is wider than so many pips.
    pub fn spread_within(&self, pips: Ratio) -> Result<&'a Tick, Quiet> {
        let quote = self.quote()?;
        if quote.ask - quote.bid > self.pips(pips) { Err(Quiet::SpreadWide) } else { Ok(quote) }
    }
    /// The quotes of so long, up to now.
    pub fn recent(&self, span: Span) -> &'a [Tick] {
        let from = self.now - span;
        &self.ticks[self.ticks.partition_point(|tick| tick.at < from)..]
    }
    /// So many pips as a price, rounded towards zero.
    pub fn pips(&self, pips: Ratio) -> Price {
        Price(share_of(self.instrument.pip.0, pips))
    }
    /// What one gets out at: the bid for what was bought.
    pub fn price_out(&self, side: Side) -> Option<Price> {
        let quote = self.ticks.last()?;
        Some(if side == Side::Buy { quote.bid } else { quote.ask })
    }
    /// What one gets in at.
    pub fn price_in(&self, side: Side) -> Option<Price> {
        self.price_out(side.opposite())
    }
    /// Exactly so many M1 bars up to the one before this minute's, so that it never matters how many are kept.
    pub fn minutes(&self, count: usize) -> Result<&'a [Bar], Quiet> {
        let all = self.bars[Timeframe::M1 as usize];
        let last = all.last().ok_or(Quiet::BarsTooFew)?;
        let span = Timeframe::M1.span();
        if last.open_at + span != Timeframe::M1.open_of(self.now) {
            return Err(Quiet::BarsOld);
        }
        let bars = newest(all, count);
        let opens = bars.iter().map(|bar| bar.open_at);
        let whole = opens.clone().zip(opens.skip(1)).all(|(one, next)| next.since(one).0 <= (GAP_MAX + 1) * span.0);
        if bars.len() < count || !whole { Err(Quiet::BarsTooFew) } else { Ok(bars) }
    }
    /// So much of an average range, kept between two numbers of pips.
    pub fn of_range(&self, range: f64, share: Ratio, least: Ratio, most: Ratio) -> Price {
        price(range * share.float()).max(self.pips(least)).min(self.pips(most))
    }
}

/// What an indicator says as a price, to the nearest billionth. What is no number is nothing.
pub(super) fn price(value: f64) -> Price {
    Price((value * Price::ONE.0 as f64).round() as i64)
}
