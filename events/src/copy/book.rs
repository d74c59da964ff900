//! What a slave holds of its masters' trades.

use crate::money::{Factor, Lots, Number, Price};
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
    /// What the rule asks for beyond what was ordered, exactly: less than the slave can open, so that it waits for the next growth.
    /// Below zero where more was ordered than the rule asks for. It shrinks with the master's trade.
    pub kept: Number,
    /// As last told to the terminal.
    pub price: Price,
    pub sl: Option<Price>,
    pub tp: Option<Price>,
    /// One for each order that opened a part of it, in their order. None while all that was asked for is kept.
    pub legs: Vec<Leg>,
}

/// What one order opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub order: OrderId,
    pub entry: Entry,
    /// What was asked for.
    pub asked: Lots,
    /// The part of it that should be left, by what the master closed since.
    pub share: Factor,
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
            share: Factor::ONE,
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
    /// It was too small to be opened so far; growth may begin it.
    pub fn is_unbegun(&self) -> bool {
        self.legs.is_empty()
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

impl Copy {
    /// The master has so much now: what should be left of each leg, and what is kept, shrink with it.
    pub fn follow(&mut self, master_lots: Lots, master_left: Lots) {
        if master_left < self.master_left {
            let (left, before) = (master_left.get(), self.master_left.get());
            for leg in &mut self.legs {
                let share = scaled(leg.share.get(), left, before, 12);
                leg.share = share.and_then(|share| Factor::new(share).ok()).unwrap_or_default();
            }
            let kept = scaled(self.kept.get(), left, before, 8).and_then(|kept| Number::new(kept).ok());
            self.kept = kept.unwrap_or_default();
        }
        (self.master_lots, self.master_left) = (master_lots, master_left);
    }

    /// The rule asks for so much more, before it is rounded.
    pub fn keep(&mut self, asked: Lots) {
        self.kept = sum(self.kept, asked.get());
    }

    /// So much of it was ordered.
    pub fn ordered(&mut self, lots: Lots) {
        self.kept = sum(self.kept, -lots.get());
    }
}

fn sum(kept: Number, more: Decimal) -> Number {
    let sum = kept.get().saturating_add(more);
    Number::new(sum).or_else(|_| Number::new(sum.trunc())).unwrap_or_default()
}

/// Cut after so many places, so that never more is left than should be.
fn scaled(value: Decimal, left: Decimal, before: Decimal, places: u32) -> Option<Decimal> {
    value.checked_mul(left)?.checked_div(before).map(|scaled| scaled.trunc_with_scale(places))
}

/// The difference, or zero.
pub fn minus(from: Lots, what: Lots) -> Lots {
    Lots::new((from.get() - what.get()).max(Decimal::ZERO)).unwrap_or(Lots::ZERO)
}

pub fn plus(parts: impl IntoIterator<Item = Lots>) -> Lots {
    let sum = parts.into_iter().fold(Decimal::ZERO, |sum, lots| sum + lots.get());
    Lots::new(sum).unwrap_or(Lots::ZERO)
}
