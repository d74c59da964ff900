//! A trade: one entry, what was filled of it, and what its exit did so far.

use super::plan::Plan;
use crate::market::{Cash, Price, Size};
use crate::order::{ClientOrderId, TradeId, Way};
use crate::time::Timestamp;
use crate::trade::Side;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Its entry's name.
    pub id: TradeId,
    pub side: Side,
    /// The parameter set that it was opened with.
    pub set: u32,
    pub plan: Plan,
    /// Where its entry said that it is given up.
    pub loss_exit: Price,
    pub proposed_at: Timestamp,
    pub entry: Entry,
    pub filled: Size,
    /// For what was filled, without fees.
    pub paid: Cash,
    /// What left it again, and for how much.
    pub closed: Size,
    pub received: Cash,
    /// Of both ways; below zero where we were paid.
    pub fees: Cash,
    /// First fill.
    pub opened_at: Option<Timestamp>,
    /// The best price that one could have got out at.
    pub peak: Option<Price>,
    /// Where the stop was moved to.
    pub stop: Option<Price>,
    pub partial: PartialStep,
    /// The one exit that is under way.
    pub exit: Option<Exit>,
    /// Of exits, in a row.
    pub refusals: u32,
    pub refused: Option<Way>,
    pub retry_at: Timestamp,
    /// The exit that a flag holds back, so that it is told once.
    pub held_back: Option<Way>,
    pub last_way: Option<Way>,
    /// Somebody else changed what is held, so that the result is not the whole truth.
    pub is_corrected: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Proposed,
    Submitted,
    Over,
}

/// A partial take is asked for once, and once again only if nothing came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialStep {
    Due,
    Asked,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub order: ClientOrderId,
    pub way: Way,
    pub size: Size,
    pub filled: Size,
    pub asked_at: Timestamp,
}

impl Trade {
    /// What is in the market of it.
    pub fn held(&self) -> Size {
        (self.filled - self.closed).max(Size::ZERO)
    }
    /// What it was filled at on average, rounded towards zero.
    pub fn entry_price(&self) -> Option<Price> {
        self.paid.price_of(self.filled)
    }
    /// What it brought, fees taken off. Only what is closed counts, at the average of the entry.
    pub fn result(&self) -> Cash {
        let cost = match self.filled.0 {
            0 => Cash::ZERO,
            // Both are exact where all of it is closed.
            filled if filled == self.closed.0 => self.paid,
            filled => part(self.paid, self.closed.0, filled),
        };
        let gain = match self.side {
            Side::Buy => self.received - cost,
            Side::Sell => cost - self.received,
        };
        gain - self.fees
    }
    /// Nothing of it is in the market and nothing can come.
    pub fn is_over(&self) -> bool {
        self.entry == Entry::Over && self.held().is_zero() && self.exit.is_none()
    }
    pub fn is_pending(&self) -> bool {
        self.entry != Entry::Over
    }
}

/// `part` of `whole` of the amount, rounded towards zero and without leaving 128 bits.
fn part(amount: Cash, part: i64, whole: i64) -> Cash {
    let (part, whole) = (i128::from(part), i128::from(whole));
    Cash((amount.0 / whole).saturating_mul(part).saturating_add((amount.0 % whole).saturating_mul(part) / whole))
}
