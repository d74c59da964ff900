//! How much of a copy goes when the master closes a part?
//!
//! Always worked out from totals: each leg of a copy should have left the share of what it opened that the master's partial closes
//! have left of what it had. What goes is rounded down, so that never more than the share is closed; what could not be closed goes
//! with the next part. So any number of partial closes stay within one step of the exact share.

use super::book::{Copy, Leg, LegState, minus};
use super::exact::{floor_to, lots, ratio};
use super::volume::Sizes;
use crate::money::{Factor, Lots};
use crate::trade::{Change, Contract, Entry, Instruction};
use rust_decimal::Decimal;

/// All that a master ever put into a trade, and what it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterLots {
    pub lots: Lots,
    pub left: Lots,
}

/// What the master has of the trade after the change. Growth counts whether or not the copy followed it.
pub fn master_after(copy: &Copy, change: &Change) -> MasterLots {
    let before = MasterLots { lots: copy.master_lots, left: copy.master_left };
    match change {
        Change::Open(trade) => resized(before, trade.lots),
        Change::Modify { lots: Some(lots), .. } => resized(before, *lots),
        Change::Modify { lots: None, .. } => before,
        Change::Close { ratio, remaining, .. } => {
            let left = remaining.or_else(|| ratio.map(|ratio| less(before.left, ratio))).unwrap_or(Lots::ZERO);
            MasterLots { lots: before.lots, left: left.min(before.left) }
        }
    }
}

fn resized(before: MasterLots, now: Lots) -> MasterLots {
    let grown = minus(now, before.left);
    let all = before.lots.get().checked_add(grown.get()).and_then(lots).unwrap_or(before.lots);
    MasterLots { lots: all, left: now }
}

/// What remains after so much of it went.
fn less(left: Lots, ratio: Factor) -> Lots {
    let rest = (Decimal::ONE - ratio.get()).max(Decimal::ZERO);
    left.get().checked_mul(rest).and_then(|rest| lots(rest.round_dp(8))).unwrap_or(left)
}

/// What should be left of the legs by what the master closed so far, exactly; none if that cannot be said.
pub fn due<'a>(legs: impl IntoIterator<Item = &'a Leg>, volume: fn(&Leg) -> Lots) -> Option<Decimal> {
    let due = |leg: &Leg| volume(leg).get().checked_mul(leg.share.get());
    legs.into_iter().try_fold(Decimal::ZERO, |sum, leg| sum.checked_add(due(leg)?))
}

/// What should be left once the master has so much of what it had.
pub fn target(due: Decimal, before: Lots, left: Lots) -> Option<Decimal> {
    if left == Lots::ZERO { Some(Decimal::ZERO) } else { ratio(&[due, left.get()], &[before.get()]) }
}

/// What a copy of a symbol whose contract is unknown is cut by.
pub fn sizes(contract: Option<&Contract>) -> Sizes {
    let usual = Decimal::new(1, 2);
    contract.and_then(|contract| Sizes::of(contract).ok()).unwrap_or(Sizes { step: usual, min: usual, max: usual })
}

/// The orders that close so much of the legs, the oldest first, as far as the broker's sizes let; and how much that is.
pub fn close_part(legs: &[Leg], volume: fn(&Leg) -> Lots, need: Decimal, sizes: Sizes) -> (Vec<Instruction>, Decimal) {
    let (mut orders, mut closing) = (Vec::new(), Decimal::ZERO);
    for leg in legs.iter().filter(|leg| divisible(leg)) {
        let (rest, has) = (need - closing, volume(leg).get());
        let part = part(rest, has, sizes);
        if part > Decimal::ZERO {
            closing += part;
            orders.push(Instruction::Close { of: leg.order, lots: if part < has { lots(part) } else { None } });
        }
    }
    (orders, closing)
}

/// What goes of one leg: the broker wants neither a part nor a rest below its smallest volume.
fn part(need: Decimal, has: Decimal, Sizes { step, min, .. }: Sizes) -> Decimal {
    if need >= has {
        return has;
    }
    let most = need.min(has - min).max(Decimal::ZERO);
    floor_to(most, step).filter(|part| *part >= min).unwrap_or(Decimal::ZERO)
}

/// A pending order can only be cancelled as a whole.
fn divisible(leg: &Leg) -> bool {
    !waits(leg)
}

/// An order that waits for its price, or is on its way to do so.
pub fn waits(leg: &Leg) -> bool {
    leg.entry != Entry::Market && matches!(leg.state, LegState::Sent | LegState::Pending)
}

/// The orders that end a copy. What a terminal could not prove is closed, too, since it may be there.
pub fn close_all(copy: &Copy) -> Vec<Instruction> {
    let there = |leg: &&Leg| leg.left() > Lots::ZERO || leg.state == LegState::Unknown;
    copy.legs.iter().filter(there).map(|leg| Instruction::Close { of: leg.order, lots: None }).collect()
}
