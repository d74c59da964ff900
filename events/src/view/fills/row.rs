//! A fill with what was around it.

use crate::id::{MarketId, StrategyId};
use crate::market::{Bps, Cash, Features, Price, Size};
use crate::order::{ClientOrderId, Liquidity};
use crate::strategy::maker::{Mode, SetId};
use crate::time::Timestamp;
use crate::trade::Side;
use serde::{Deserialize, Serialize};

/// A fill, and how its strategy and its market were then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub strategy: StrategyId,
    pub market: MarketId,
    /// The venue's own name of it.
    pub id: Box<str>,
    pub order: Option<ClientOrderId>,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    /// What we paid; below zero where we were paid.
    pub fee: Cash,
    pub liquidity: Liquidity,
    pub at: Timestamp,
    pub features: Features,
    pub mode: Option<Mode>,
    pub set: Option<SetId>,
}

/// One row of `fills_enriched`. What is not known is none and never 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub fill: Fill,
    /// The middle of the nearest quote to the fill, and to 1, 10 and 60 s later.
    pub mids: [Option<Price>; 4],
    /// In the order in which fills were told.
    pub(super) number: u64,
}

impl Fill {
    /// An amount by which we are better off where the price is higher by so much.
    pub(super) fn gain(&self, higher: Price) -> Cash {
        match self.side {
            Side::Buy => higher * self.size,
            Side::Sell => -(higher * self.size),
        }
    }
    pub(super) fn signed(&self) -> Size {
        match self.side {
            Side::Buy => self.size,
            Side::Sell => -self.size,
        }
    }
}

impl Row {
    pub fn mid(&self) -> Option<Price> {
        self.mids[0]
    }
    /// How much better the middle was than our price so long after the fill, in basis points of the middle at the fill; rounded
    /// towards zero. `horizon` counts from 1: 1, 10, 60 s.
    pub fn markout(&self, horizon: usize) -> Option<Bps> {
        let (then, before) = (self.mids.get(horizon).copied().flatten()?, self.mid()?);
        let better = match self.fill.side {
            Side::Buy => then.0 as i128 - self.fill.price.0 as i128,
            Side::Sell => self.fill.price.0 as i128 - then.0 as i128,
        };
        let parts = better * 10_000 * i128::from(Bps::ONE.0);
        i64::try_from(parts.checked_div(before.0.into())?).ok().map(Bps)
    }
    /// What the distance from the middle was worth.
    pub fn spread(&self) -> Option<Cash> {
        Some(self.fill.gain(self.mid()? - self.fill.price))
    }
    /// What the move of the middle in the ten seconds after was worth; below zero where whoever dealt with us knew more.
    pub fn adverse(&self) -> Option<Cash> {
        Some(self.fill.gain(self.mids[2]? - self.mid()?))
    }

    pub(super) fn order(&self) -> (Timestamp, &MarketId, u64) {
        (self.fill.at, &self.fill.market, self.number)
    }
}
