//! Quotes: prices on the venue's ticks that cross nobody, and sizes that it takes.

use super::model::{ONE, Scene, Spread, times};
use super::parameter::Parameters;
use super::reason::{Reason, Reasons};
use crate::market::{Bps, Instrument, Price, Quote, Size};
use crate::trade::Side;

/// Levels of each side, at most.
pub const LEVELS_MAX: usize = 8;

/// Where one order is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub price: Price,
    pub size: Size,
}

/// What is wanted at each side and level, and why something is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Quotes {
    /// Buy, then sell; the level next to the middle first.
    pub sides: [[Option<Target>; LEVELS_MAX]; 2],
    pub reasons: Reasons,
}

/// How careful the quotes are to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Care {
    pub defensive: bool,
    /// Only what makes the inventory smaller.
    pub reduce_only: bool,
}

impl Quotes {
    pub fn of(scene: &Scene<'_>, spread: Spread, quote: &Quote, instrument: &Instrument, care: Care) -> Quotes {
        let mut quotes = Quotes::default();
        for side in [Side::Buy, Side::Sell] {
            if let Some(most) = most_of(side, scene.inventory, care) {
                quotes.fill(side, most, &Spot { scene, spread, quote, instrument, care });
            }
        }
        quotes
    }

    pub fn at(&self, side: Side, level: u8) -> Option<Target> {
        self.sides[index(side)].get(usize::from(level)).copied().flatten()
    }

    fn fill(&mut self, side: Side, mut most: Size, spot: &Spot<'_>) {
        let mut last = None;
        for level in 0..spot.scene.parameters.levels.min(LEVELS_MAX as u8) {
            match spot.target(side, level, last, most) {
                Ok(target) => {
                    self.sides[index(side)][usize::from(level)] = Some(target);
                    last = Some(target.price);
                    most = most - target.size;
                }
                Err(reason) => {
                    self.reasons = self.reasons.with(reason);
                    return;
                }
            }
        }
    }
}

pub(super) fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

/// How much a side may be quoted for in all; none at all on the growing side where it is only to get less.
fn most_of(side: Side, inventory: Size, care: Care) -> Option<Size> {
    match (care.reduce_only, side) {
        (false, _) => Some(Size::MAX),
        (true, Side::Buy) => (inventory.0 < 0).then(|| inventory.abs()),
        (true, Side::Sell) => (inventory.0 > 0).then_some(inventory),
    }
}

struct Spot<'a> {
    scene: &'a Scene<'a>,
    spread: Spread,
    quote: &'a Quote,
    instrument: &'a Instrument,
    care: Care,
}

impl Spot<'_> {
    /// `last` is the price of the level before: no two levels have the same.
    fn target(&self, side: Side, level: u8, last: Option<Price>, most: Size) -> Result<Target, Reason> {
        let Parameters { model, defensive_widen, defensive_shrink, .. } = self.scene.parameters;
        let (mut half, mut share) = model.level(level, self.spread.half, self.scene.parameters);
        if self.care.defensive {
            half = Bps(times(half.0, *defensive_widen));
            share.0 = times(share.0, *defensive_shrink);
        }
        let price = self.price(side, half, last).ok_or(Reason::PriceOutOfRange)?;
        let whole = self.scene.parameters.quote_size.size_at(self.quote.mid()).ok_or(Reason::PriceOutOfRange)?;
        let size = Size(times(whole.0, share)).min(most);
        let size = sized(size, price, self.instrument).ok_or(Reason::SizeBelowMinimum)?;
        Ok(Target { price, size })
    }

    /// Bids are rounded down and asks up. A bid is at least a tick below the best ask, an ask at least a tick above the best bid.
    fn price(&self, side: Side, half: Bps, last: Option<Price>) -> Option<Price> {
        const WHOLE: i128 = 10_000 * ONE;
        let (half, skew) = (i128::from(half.0), i128::from(self.spread.skew.0));
        if half >= WHOLE || skew.abs() >= WHOLE {
            return None;
        }
        let (tick, twice) = (self.instrument.tick, self.quote.mid_twice());
        let price = match side {
            Side::Buy => {
                let exact = (twice * (WHOLE - half - skew)).div_euclid(2 * WHOLE);
                let most = last.unwrap_or(self.quote.ask) - tick;
                Price(i64::try_from(exact).ok()?).min(most).floor_to(tick)
            }
            Side::Sell => {
                let exact = -(-(twice * (WHOLE + half - skew))).div_euclid(2 * WHOLE);
                let least = last.unwrap_or(self.quote.bid) + tick;
                Price(i64::try_from(exact).ok()?).max(least).ceil_to(tick)
            }
        };
        (price.0 > 0 && price < Price::MAX && price.is_multiple_of(tick)).then_some(price)
    }
}

/// The size on the venue's steps, never more than asked; none where it is less than the venue takes.
pub(super) fn sized(size: Size, price: Price, instrument: &Instrument) -> Option<Size> {
    let size = instrument.size_max.map_or(size, |most| size.min(most)).floor_to(instrument.step);
    let worth = instrument.notional_min.is_none_or(|least| price * size >= least);
    (size.0 > 0 && size >= instrument.size_min && worth).then_some(size)
}
