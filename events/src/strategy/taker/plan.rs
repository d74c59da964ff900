//! What an entry brings along for its exit. A trade keeps the plan that it was opened with, whatever is set later.

use crate::market::{Price, Ratio};
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Distances from the entry, all above zero. What is None is not watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub stop: Option<Price>,
    /// Farther than a stop, or in its place: the loss at which nothing is waited for any more.
    pub adverse_max: Option<Price>,
    pub take: Option<Price>,
    /// Out after this, with whatever result.
    pub time_stop: Option<Span>,
    /// Out after this, if it is at a loss.
    pub losers_out: Option<Span>,
    pub partial: Option<Partial>,
    pub lock: Option<Lock>,
}

/// A share is taken once, then the stop stands in profit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    pub at: Price,
    pub share: Ratio,
    /// Where the stop goes to.
    pub stop_to: Price,
}

/// From a profit on, a share of the best one is not given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub from: Price,
    pub share: Ratio,
}

impl Plan {
    /// The loss at which it is given up: the nearer of the two. None is no plan.
    pub fn loss(&self) -> Option<Price> {
        match (self.stop, self.adverse_max) {
            (Some(stop), Some(adverse)) => Some(stop.min(adverse)),
            (stop, adverse) => stop.or(adverse),
        }
    }
}

/// So much of it, rounded towards zero.
pub(super) fn share_of(units: i64, share: Ratio) -> i64 {
    let product = i128::from(units) * i128::from(share.0) / i128::from(Ratio::ONE.0);
    product.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}
