//! Trades: what a master has open, what a slave holds of it, and the orders that are on their way.

use super::event::{CopyDecided, Drift, Event, OrderAnswered, SignalTaken, StateHash};
use crate::copy::book::{Copy, Leg, LegState, minus, plus};
use crate::copy::settings::Mode;
use crate::copy::{Layer, Origin, Rule, Step};
use crate::id::AccountId;
use crate::money::Lots;
use crate::stream::Stamp;
use crate::trade::hash::state_hash;
use crate::trade::{Change, Instruction, Order, OrderId, OrderReason, OrderResult, Outcome, Ticket, Trade};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Results of so many past orders are known: a repeat of one is told from a stranger.
pub const ANSWERED_MAX: usize = 256;
/// So many positions that were left to their owner are told from strangers.
pub const RELEASED_MAX: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MasterBook {
    /// Number of the last signal that was taken in this epoch.
    pub signal_seq: u64,
    /// The last epoch before this one in which a signal was taken, and its last signal: so that a terminal that did not hear the
    /// answer does not tell it again under a new number.
    pub previous: Option<(u64, u64)>,
    pub trades: BTreeMap<Ticket, MasterTrade>,
    /// The hash that the terminal told while it was at our signal: as long as it tells the same, both agree.
    pub agreed: Option<StateHash>,
    pub snapshot_wanted: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MasterTrade {
    pub trade: Trade,
    /// All that was ever put into it.
    pub lots: Lots,
}

impl MasterBook {
    pub fn trade(&self, ticket: Ticket) -> Option<&Trade> {
        self.trades.get(&ticket).map(|known| &known.trade)
    }

    /// The hash that a terminal with these trades tells.
    pub fn hash(&self) -> StateHash {
        state_hash(self.trades.values().map(|known| &known.trade))
    }

    pub(super) fn take(&mut self, taken: &SignalTaken) {
        if taken.origin == Origin::Signal {
            assert!(taken.signal_seq == self.signal_seq + 1, "signal {} came out of order", taken.signal_seq);
            self.signal_seq = taken.signal_seq;
        }
        self.agreed = None;
        match &taken.change {
            Change::Open(trade) => {
                let lots = trade.lots;
                self.trades.insert(trade.ticket, MasterTrade { trade: trade.clone(), lots });
            }
            Change::Modify { ticket, price, sl, tp, lots } => {
                let Some(known) = self.trades.get_mut(ticket) else { unreachable!("{ticket} was modified unopened") };
                (known.trade.sl, known.trade.tp) = (*sl, *tp);
                known.trade.price = price.unwrap_or(known.trade.price);
                if let Some(lots) = *lots {
                    known.lots = plus([known.lots, minus(lots, known.trade.lots)]);
                    known.trade.lots = lots;
                }
            }
            Change::Close { ticket, .. } => {
                let Some(known) = self.trades.get_mut(ticket) else { unreachable!("{ticket} was closed unopened") };
                known.trade.lots = remaining(&known.trade, &taken.change);
                if known.trade.lots == Lots::ZERO {
                    self.trades.remove(ticket);
                }
            }
        }
    }
}

/// What a close leaves of a trade.
pub fn remaining(trade: &Trade, close: &Change) -> Lots {
    match close {
        Change::Close { remaining: Some(remaining), .. } => (*remaining).min(trade.lots),
        Change::Close { ratio: Some(ratio), remaining: None, .. } => {
            let left = (Decimal::ONE - ratio.get()).max(Decimal::ZERO);
            let left = trade.lots.get().checked_mul(left).map(|lots| lots.round_dp(8));
            left.and_then(|lots| Lots::new(lots).ok()).unwrap_or(Lots::ZERO)
        }
        Change::Close { .. } => Lots::ZERO,
        Change::Open(_) | Change::Modify { .. } => trade.lots,
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlaveBook {
    /// Number of the last order that was issued.
    pub order_seq: u64,
    /// Orders without a result, by their number.
    pub outbox: BTreeMap<u64, Order>,
    pub copies: BTreeMap<AccountId, BTreeMap<Ticket, Copy>>,
    /// The last results, oldest first.
    pub answered: VecDeque<Answered>,
    /// The hash of the terminal's positions when both last agreed; none after an order has changed them.
    pub agreed: Option<StateHash>,
    pub snapshot_wanted: bool,
    /// How often in a row a copy was corrected without success, so that it is not tried for ever.
    pub corrections: BTreeMap<OrderId, u8>,
    /// Orders whose positions were left to their owner when a link ended, oldest first; with their tickets where those are known.
    pub released: VecDeque<(OrderId, Option<Ticket>)>,
    /// Copies whose close was held back on purpose, and until when.
    pub withheld: BTreeMap<AccountId, BTreeMap<Ticket, Until>>,
}

/// What a close waits for that was held back on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The link is on and connected again.
    Link,
    /// The mode is not off any more that the group, the master or the desk set.
    Mode,
    /// The master has nothing left in the symbol.
    Symbol,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub order: OrderId,
    pub seq: u64,
    pub outcome: Outcome,
}

impl SlaveBook {
    pub fn copy(&self, master: &AccountId, ticket: Ticket) -> Option<&Copy> {
        self.copies.get(master)?.get(&ticket)
    }
    pub fn all_copies(&self) -> impl Iterator<Item = (&AccountId, Ticket, &Copy)> {
        self.copies.iter().flat_map(|(master, copies)| copies.iter().map(move |(ticket, copy)| (master, *ticket, copy)))
    }
    /// As the copy engine takes them.
    pub fn keyed(&self) -> impl Iterator<Item = ((&AccountId, Ticket), &Copy)> {
        self.all_copies().map(|(master, ticket, copy)| ((master, ticket), copy))
    }
    pub fn outstanding(&self, order: OrderId) -> Option<&Order> {
        self.outbox.values().find(|issued| issued.id == order)
    }
    pub fn answer_of(&self, order: OrderId) -> Option<&Answered> {
        self.answered.iter().rev().find(|answered| answered.order == order)
    }
    /// The copy that an order opened a part of.
    pub fn copy_of(&self, order: OrderId) -> Option<(&AccountId, Ticket, &Copy)> {
        self.all_copies().find(|(_, _, copy)| copy.leg(order).is_some())
    }
    /// Orders that concern a copy and have no result yet.
    pub fn is_under_way(&self, master: &AccountId, ticket: Ticket) -> bool {
        self.outbox.values().any(|order| order.master.as_ref() == Some(master) && order.ticket == Some(ticket))
    }

    /// Nothing is left of any copy of this master's trades, whether or not the master has some still.
    pub fn is_done_with(&self, master: &AccountId) -> bool {
        self.copies.get(master).is_none_or(|copies| copies.values().all(Copy::is_over))
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::CopyDecided(decided) => self.decided(decided),
            Event::OrderIssued(issued) => self.issued(&issued.order),
            Event::OrderAnswered(answered) => self.answered(answered, at),
            _ => unreachable!("not an event of a slave's book"),
        }
    }

    fn decided(&mut self, decided: &CopyDecided) {
        if let Some(start) = &decided.copy {
            let copies = self.copies.entry(decided.master.clone()).or_default();
            copies.insert(decided.ticket, start.as_ref().clone());
        }
        let Some(copies) = self.copies.get_mut(&decided.master) else { return };
        if let Some(copy) = copies.get_mut(&decided.ticket) {
            copy.follow(decided.master_lots, decided.master_left);
            copy.keep(decided.plan.asked);
            if let Some(until) = until(decided) {
                self.withheld.entry(decided.master.clone()).or_default().insert(decided.ticket, until);
            }
        }
        self.tidy(&decided.master, decided.ticket, !decided.orders.is_empty());
    }

    fn issued(&mut self, order: &Order) {
        assert!(order.seq == self.order_seq + 1, "order {} is out of order", order.seq);
        self.order_seq = order.seq;
        if let (OrderReason::Correction, Instruction::Close { of, .. }) = (order.reason, &order.instruction) {
            let tried = self.corrections.entry(*of).or_default();
            *tried = tried.saturating_add(1);
        }
        self.outbox.insert(order.seq, order.clone());
        let (Some(master), Some(ticket)) = (&order.master, order.ticket) else { return };
        let Some(copy) = self.copies.get_mut(master).and_then(|copies| copies.get_mut(&ticket)) else { return };
        match &order.instruction {
            Instruction::Open { entry, lots, price, sl, tp, .. } => {
                (copy.price, copy.sl, copy.tp) = (*price, *sl, *tp);
                copy.legs.push(Leg::sent(order.id, *entry, *lots));
                copy.ordered(*lots);
            }
            Instruction::Modify { price, sl, tp, .. } => {
                copy.price = price.unwrap_or(copy.price);
                (copy.sl, copy.tp) = (*sl, *tp);
            }
            Instruction::Close { of, lots } => {
                if let Some(leg) = copy.legs.iter_mut().find(|leg| leg.order == *of) {
                    let all = leg.opened();
                    leg.told_to_close = lots.map_or(all, |lots| plus([leg.told_to_close, lots]).min(all));
                }
                self.release(master, ticket);
            }
        }
    }

    fn release(&mut self, master: &AccountId, ticket: Ticket) {
        let Some(tickets) = self.withheld.get_mut(master) else { return };
        tickets.remove(&ticket);
        if tickets.is_empty() {
            self.withheld.remove(master);
        }
    }

    fn answered(&mut self, answered: &OrderAnswered, _: &Stamp) {
        let result = &answered.result;
        self.agreed = None;
        self.snapshot_wanted |= result.outcome == Outcome::Unknown;
        let order = self.outbox.remove(&answered.seq);
        self.answered.retain(|known| known.order != result.order);
        self.answered.push_back(Answered { order: result.order, seq: answered.seq, outcome: result.outcome });
        if self.answered.len() > ANSWERED_MAX {
            self.answered.pop_front();
        }
        let concerns = match &order {
            Some(Order { master: Some(master), ticket: Some(ticket), .. }) => Some((master.clone(), *ticket)),
            Some(_) => None,
            // A pending order that was placed before has gone on.
            None => self.copy_of(result.order).map(|(master, ticket, _)| (master.clone(), ticket)),
        };
        let Some((master, ticket)) = concerns else { return };
        let closing = match order.as_ref().map(|order| &order.instruction) {
            Some(Instruction::Close { of, .. }) => self.closing(*of),
            _ => Closing::default(),
        };
        if let Some(copy) = self.copies.get_mut(&master).and_then(|copies| copies.get_mut(&ticket)) {
            match order.as_ref().map(|order| &order.instruction) {
                Some(Instruction::Close { of, lots }) => closed(copy, *of, *lots, result, &closing),
                Some(Instruction::Modify { .. }) => modified(copy, result),
                Some(Instruction::Open { .. }) | None => opened(copy, result),
            }
        }
        if let Some(Instruction::Close { of, .. }) = order.as_ref().map(|order| &order.instruction)
            && matches!(result.outcome, Outcome::Filled | Outcome::Partial)
        {
            self.corrections.remove(of);
        }
        self.tidy(&master, ticket, false);
        self.snapshot_wanted |= self.is_to_be_looked_at(&master, ticket);
    }

    /// Something of it is unproven, and nothing is under way any more that a snapshot would leave alone.
    pub fn is_to_be_looked_at(&self, master: &AccountId, ticket: Ticket) -> bool {
        let unproven = |copy: &Copy| copy.legs.iter().any(|leg| leg.state == LegState::Unknown);
        let own = !self.is_under_way(master, ticket) && self.copy(master, ticket).is_some_and(unproven);
        own || (self.outbox.is_empty() && self.all_copies().any(|(_, _, copy)| unproven(copy)))
    }

    /// It was told to close all of this leg and has not answered.
    pub fn is_closing(&self, of: OrderId) -> bool {
        self.closing(of).all
    }

    /// Numbering goes on above what the terminal knows. What is outstanding gets new numbers; what its own number names is withdrawn.
    pub(super) fn skip(&mut self, through: u64) {
        self.order_seq = self.order_seq.max(through);
        self.agreed = None;
        self.corrections.clear();
        for order in std::mem::take(&mut self.outbox).into_values().filter(|order| !order.is_own()) {
            self.order_seq += 1;
            self.outbox.insert(self.order_seq, Order { seq: self.order_seq, ..order });
        }
        let legs: Vec<OrderId> =
            self.all_copies().flat_map(|(_, _, copy)| copy.legs.iter().map(|leg| leg.order)).collect();
        let closing: BTreeMap<OrderId, Closing> = legs.into_iter().map(|order| (order, self.closing(order))).collect();
        for leg in self.copies.values_mut().flat_map(BTreeMap::values_mut).flat_map(|copy| &mut copy.legs) {
            leg.told_to_close = closing.get(&leg.order).map_or(leg.told_to_close, |still| still.told(leg));
        }
    }

    /// What the terminal was told of a leg and has not answered yet.
    fn closing(&self, of: OrderId) -> Closing {
        let mut closing = Closing::default();
        for order in self.outbox.values() {
            closing.opens |= order.id == of;
            match &order.instruction {
                Instruction::Close { of: leg, lots: Some(lots) } if *leg == of => {
                    closing.lots = plus([closing.lots, *lots])
                }
                Instruction::Close { of: leg, lots: None } if *leg == of => closing.all = true,
                _ => {}
            }
        }
        closing
    }

    /// What the terminal has now counts, whatever it said before.
    pub(super) fn correct(&mut self, drifted: &[Drift], agreed: StateHash) {
        self.agreed = Some(agreed);
        self.corrections.clear();
        for drift in drifted {
            let found = self.all_copies().find(|(_, _, copy)| copy.leg(drift.order).is_some());
            let Some((master, ticket)) = found.map(|(master, ticket, _)| (master.clone(), ticket)) else { continue };
            let copy = self.copies.get_mut(&master).and_then(|copies| copies.get_mut(&ticket));
            let Some(leg) = copy.and_then(|copy| copy.legs.iter_mut().find(|leg| leg.order == drift.order)) else {
                continue;
            };
            leg.ticket = drift.ticket.or(leg.ticket);
            if drift.found == Lots::ZERO {
                over(leg);
            } else {
                // Less than was opened was closed by somebody; more was opened. Nothing is under way for what drifted.
                match leg.filled > Lots::ZERO && drift.found <= leg.filled {
                    true => leg.closed = minus(leg.filled, drift.found),
                    false => leg.filled = plus([leg.closed, drift.found]),
                }
                leg.told_to_close = leg.closed;
                leg.state = LegState::Open;
            }
            self.tidy(&master, ticket, false);
        }
    }

    /// A link has ended: what is left of its copies is their owner's.
    pub(super) fn forget(&mut self, master: &AccountId) {
        let gone = self.copies.remove(master).unwrap_or_default();
        let left = gone.values().flat_map(|copy| &copy.legs).filter(|leg| leg.state != LegState::Over);
        self.released.extend(left.map(|leg| (leg.order, leg.ticket)));
        self.released.drain(..self.released.len().saturating_sub(RELEASED_MAX));
        self.corrections.retain(|order, _| gone.values().all(|copy| copy.leg(*order).is_none()));
        self.withheld.remove(master);
    }

    /// A copy is forgotten when neither side has anything left of it.
    fn tidy(&mut self, master: &AccountId, ticket: Ticket, expects_orders: bool) {
        let Some(copies) = self.copies.get_mut(master) else { return };
        let over = |copy: &Copy| copy.is_over() && copy.master_left == Lots::ZERO;
        if !expects_orders
            && copies.get(&ticket).is_some_and(over)
            && let Some(gone) = copies.remove(&ticket)
        {
            self.corrections.retain(|order, _| gone.leg(*order).is_none());
            if copies.is_empty() {
                self.copies.remove(master);
            }
            self.release(master, ticket);
        }
    }
}

fn until(decided: &CopyDecided) -> Option<Until> {
    let of_others = |step: &Step| matches!(step, Step::Link { mode: Mode::Off, from, .. } if *from < Layer::Link);
    match decided.plan.rule {
        Rule::WaitsForSymbol => Some(Until::Symbol),
        Rule::ClosesOff if decided.plan.steps.iter().any(of_others) => Some(Until::Mode),
        Rule::ClosesOff => Some(Until::Link),
        _ => None,
    }
}

fn opened(copy: &mut Copy, result: &OrderResult) {
    let Some(leg) = copy.legs.iter_mut().find(|leg| leg.order == result.order) else { return };
    leg.ticket = result.ticket.or(leg.ticket);
    leg.price = result.price.or(leg.price);
    match result.outcome {
        Outcome::Placed => leg.state = LegState::Pending,
        Outcome::Filled | Outcome::Partial => {
            leg.filled = result.lots.unwrap_or(leg.asked);
            leg.told_to_close = leg.told_to_close.min(leg.filled);
            // A close that was answered first counts now.
            leg.closed = leg.closed.min(leg.filled);
            leg.state = if leg.closed == leg.filled { LegState::Over } else { LegState::Open };
        }
        Outcome::Rejected | Outcome::Expired | Outcome::Cancelled | Outcome::Nothing => leg.state = LegState::Over,
        Outcome::Unknown => leg.state = LegState::Unknown,
    }
}

/// What is under way for a leg beside the answer at hand.
#[derive(Debug, Default)]
struct Closing {
    /// Its opening order has no result yet.
    opens: bool,
    lots: Lots,
    all: bool,
}

impl Closing {
    /// What will be closed of the leg once all of that has happened.
    fn told(&self, leg: &Leg) -> Lots {
        let told = if self.all { leg.opened() } else { plus([leg.closed, self.lots]).min(leg.opened()) };
        told.max(leg.closed)
    }
}

fn closed(copy: &mut Copy, of: OrderId, lots: Option<Lots>, result: &OrderResult, still: &Closing) {
    let Some(leg) = copy.legs.iter_mut().find(|leg| leg.order == of) else { return };
    match result.outcome {
        Outcome::Filled | Outcome::Partial => {
            let base = leg.opened();
            let what = result.lots.or(lots).unwrap_or(minus(base, leg.closed));
            leg.closed = plus([leg.closed, what]).min(base);
            let all = lots.is_none() && result.outcome == Outcome::Filled;
            let gone = leg.closed >= leg.filled && leg.state == LegState::Open;
            if gone || (all && !still.opens) {
                over(leg);
            }
        }
        // An open that is not answered yet says itself whether there was something.
        Outcome::Cancelled | Outcome::Nothing if still.opens => {}
        // Whoever does not know what became of the opening finds nothing to close, which proves nothing.
        Outcome::Cancelled | Outcome::Nothing if leg.state == LegState::Unknown => {}
        Outcome::Cancelled | Outcome::Nothing => over(leg),
        // It is still there; the next look at the copy tries again.
        Outcome::Rejected | Outcome::Expired | Outcome::Placed => {}
        Outcome::Unknown => leg.state = LegState::Unknown,
    }
    leg.told_to_close = still.told(leg);
}

/// Nothing of it is left, whoever closed it.
fn over(leg: &mut Leg) {
    leg.state = LegState::Over;
    leg.closed = leg.filled;
    leg.told_to_close = leg.filled;
}

fn modified(copy: &mut Copy, result: &OrderResult) {
    if result.outcome == Outcome::Filled {
        (copy.sl, copy.tp) = (result.sl.or(copy.sl), result.tp.or(copy.tp));
    }
}
