//! What the middle did in a few seconds, in whole numbers.

use crate::market::{Price, Ratio, Tick};
use crate::trade::Side;

/// The middle of the quotes, rounded down to a billionth, from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    pub ticks: u32,
    /// Steps up and down; a quote that left the middle where it was is neither.
    pub ups: u32,
    pub downs: u32,
    pub first: Price,
    pub last: Price,
    pub highest: Price,
    pub lowest: Price,
    /// All steps together, whichever way.
    pub travel: Price,
}

pub(super) fn mid(tick: &Tick) -> Price {
    Price((i128::from(tick.bid.0) + i128::from(tick.ask.0)).div_euclid(2) as i64)
}

impl Flow {
    /// None of nothing.
    pub fn of(ticks: &[Tick]) -> Option<Flow> {
        let first = mid(ticks.first()?);
        let mut flow =
            Flow { ticks: 0, ups: 0, downs: 0, first, last: first, highest: first, lowest: first, travel: Price::ZERO };
        for tick in ticks.iter() {
            flow.take(mid(tick));
        }
        Some(flow)
    }

    fn take(&mut self, mid: Price) {
        self.ticks += 1;
        self.ups += u32::from(mid > self.last);
        self.downs += u32::from(mid < self.last);
        self.travel = self.travel + (mid - self.last).abs();
        self.last = mid;
        self.highest = self.highest.max(mid);
        self.lowest = self.lowest.min(mid);
    }

    /// How far it came; below zero where it fell.
    pub fn change(&self) -> Price {
        self.last - self.first
    }
    /// None where it ended where it began.
    pub fn way(&self) -> Option<Side> {
        match self.change().0 {
            0 => None,
            1.. => Some(Side::Buy),
            _ => Some(Side::Sell),
        }
    }
    /// At least this share of the steps went that way. Without steps it is not true.
    pub fn went(&self, side: Side, share: Ratio) -> bool {
        let steps = i128::from(self.ups) + i128::from(self.downs);
        let with = match side {
            Side::Buy => self.ups,
            Side::Sell => self.downs,
        };
        steps > 0 && i128::from(with) * i128::from(Ratio::ONE.0) >= steps * i128::from(share.0)
    }
    /// What it came that way is at least this share of all steps together. Without steps it is not true.
    pub fn came(&self, side: Side, share: Ratio) -> bool {
        let came = along(side, self.change());
        self.travel.0 > 0
            && i128::from(came.0) * i128::from(Ratio::ONE.0) >= i128::from(self.travel.0) * i128::from(share.0)
    }
    /// The share of steps that went that way, for people.
    pub fn share(&self, side: Side) -> Ratio {
        let steps = i64::from(self.ups) + i64::from(self.downs);
        let with = i64::from(if side == Side::Buy { self.ups } else { self.downs });
        Ratio(if steps == 0 { 0 } else { with * Ratio::ONE.0 / steps })
    }
}

/// A difference of prices as a gain for who holds that side.
pub(super) fn along(side: Side, change: Price) -> Price {
    match side {
        Side::Buy => change,
        Side::Sell => -change,
    }
}
