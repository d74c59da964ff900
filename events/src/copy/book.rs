//! What a slave holds of its masters' trades.

use crate::money::{Lots, Price};
use crate::trade::{Entry, OrderId, Side, Symbol, Ticket};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A slave's copy of one trade of one master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// By the slave's names.
    pub symbol: Symbol,
    pub side: Side,
    /// All that the master ever put into the trade, and what it has left.
    pub master_lots: Lots,
    pub master_left: Lots,
    /// As last told to the terminal.
    pub price: Price,
    pub sl: Option<Price>,
    pub tp: Option<Price>,
    /// One for each order that opened a part of it, in their order.
    pub legs: Vec<Leg>,
}

/// What one order opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub order: OrderId,
    pub entry: Entry,
    /// What was asked for.
    pub asked: Lots,
    pub state: LegState,
    /// What the broker opened; zero until it says so.
    pub filled: Lots,
    /// What the terminal was told to close, whether or not it has.
    pub told_to_close: Lots,
    /// What the broker closed.
    pub closed: Lots,
    pub ticket: Option<Ticket>,
    pub price: Option<Price>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// The terminal has not said anything yet.
    Sent,
    /// A pending order waits at the broker.
    Pending,
    Open,
    /// Closed, cancelled, rejected, or gone at the broker's.
    Over,
    /// The terminal cannot prove what became of it.
    Unknown,
}

impl Leg {
    pub fn sent(order: OrderId, entry: Entry, asked: Lots) -> Self {
        Leg {
            order,
            entry,
            asked,
            state: LegState::Sent,
            filled: Lots::ZERO,
            told_to_close: Lots::ZERO,
            closed: Lots::ZERO,
            ticket: None,
            price: None,
        }
    }

    /// What it will be once everything that was told has happened: what was asked for counts as filled until the broker says.
    pub fn left(&self) -> Lots {
        let base = match self.state {
            LegState::Sent | LegState::Pending => self.asked,
            LegState::Open => self.filled,
            LegState::Over | LegState::Unknown => return Lots::ZERO,
        };
        minus(base, self.told_to_close.max(self.closed))
    }

    /// What the broker holds, as far as it said.
    pub fn held(&self) -> Lots {
        match self.state {
            LegState::Open | LegState::Over => minus(self.filled, self.closed),
            LegState::Sent | LegState::Pending | LegState::Unknown => Lots::ZERO,
        }
    }

    /// What it opened, or will have.
    pub fn opened(&self) -> Lots {
        match self.state {
            LegState::Sent | LegState::Pending => self.asked,
            LegState::Open | LegState::Over | LegState::Unknown => self.filled,
        }
    }
}

impl Copy {
    pub fn left(&self) -> Lots {
        plus(self.legs.iter().map(Leg::left))
    }
    pub fn held(&self) -> Lots {
        plus(self.legs.iter().map(Leg::held))
    }
    pub fn opened(&self) -> Lots {
        plus(self.legs.iter().map(Leg::opened))
    }
    pub fn leg(&self, order: OrderId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.order == order)
    }
    /// Nothing of it is left or under way.
    pub fn is_over(&self) -> bool {
        self.legs.iter().all(|leg| leg.state == LegState::Over)
    }
    /// Only pending orders are left of it.
    pub fn is_pending(&self) -> bool {
        let mut open = self.legs.iter().filter(|leg| leg.left() > Lots::ZERO).peekable();
        open.peek().is_some() && open.all(|leg| leg.entry.is_pending() && leg.state != LegState::Open)
    }
}

/// The difference, or zero.
pub fn minus(from: Lots, what: Lots) -> Lots {
    Lots::new((from.get() - what.get()).max(Decimal::ZERO)).unwrap_or(Lots::ZERO)
}

pub fn plus(parts: impl IntoIterator<Item = Lots>) -> Lots {
    let sum = parts.into_iter().fold(Decimal::ZERO, |sum, lots| sum + lots.get());
    Lots::new(sum).unwrap_or(Lots::ZERO)
}
