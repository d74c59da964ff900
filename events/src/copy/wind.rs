//! What ends copies without their master: the end of a link, STOP, protection, and results that differ from what was asked.

use super::book::{Copy, Leg};
use super::settings::WindDown;
use super::share::{close_all, close_part, due, sizes, waits};
use super::stop::StopDegree;
use crate::money::Lots;
use crate::trade::{Contract, Instruction, Symbol};

/// An order, and whose copy it is for; the caller says what names a copy.
pub type For<K> = (K, Instruction);

/// What goes out at once when a link is removed. What comes later, `plan` decides with the same mode in `LinkFacts::winding`.
pub fn wind_down<'a, K: Clone>(mode: WindDown, copies: impl IntoIterator<Item = (K, &'a Copy)>) -> Vec<For<K>> {
    match mode {
        WindDown::Keep => Vec::new(),
        WindDown::CloseOnlyByPosition | WindDown::CloseOnlyBySymbol => cancel_pending(copies),
        WindDown::CloseNow => flatten(copies),
    }
}

/// What goes out when STOP is pressed.
pub fn stop<'a, K: Clone>(degree: StopDegree, copies: impl IntoIterator<Item = (K, &'a Copy)>) -> Vec<For<K>> {
    match degree {
        StopDegree::Pause => Vec::new(),
        StopDegree::Cancel => cancel_pending(copies),
        StopDegree::Flatten => flatten(copies),
    }
}

/// Closes and cancels everything.
pub fn flatten<'a, K: Clone>(copies: impl IntoIterator<Item = (K, &'a Copy)>) -> Vec<For<K>> {
    each(copies, close_all)
}

/// Closes and cancels everything of one symbol, by the slave's name: the rest of a link that is wound down by symbol, once the
/// master has nothing left in it.
pub fn flatten_symbol<'a, K: Clone>(symbol: &Symbol, copies: impl IntoIterator<Item = (K, &'a Copy)>) -> Vec<For<K>> {
    flatten(copies.into_iter().filter(|(_, copy)| copy.symbol == *symbol))
}

/// Cancels the orders that wait.
pub fn cancel_pending<'a, K: Clone>(copies: impl IntoIterator<Item = (K, &'a Copy)>) -> Vec<For<K>> {
    each(copies, |copy| {
        let waiting = copy.legs.iter().filter(|leg| waits(leg) && leg.left() > Lots::ZERO);
        waiting.map(|leg| Instruction::Close { of: leg.order, lots: None }).collect()
    })
}

fn each<'a, K: Clone>(
    copies: impl IntoIterator<Item = (K, &'a Copy)>,
    orders: fn(&Copy) -> Vec<Instruction>,
) -> Vec<For<K>> {
    let of = |(key, copy): (K, &Copy)| orders(copy).into_iter().map(move |order| (key.clone(), order));
    copies.into_iter().flat_map(of).collect()
}

/// What is too much once all results are in: closes what the broker holds beyond the master's share, if that is a step or more.
/// Never opens. Every volume that the broker said is taken at its word, so ask only when nothing is under way; and since a broker
/// may refuse again and again, the caller bounds how often.
pub fn settle(copy: &Copy, contract: Option<&Contract>) -> Vec<Instruction> {
    if copy.master_left == Lots::ZERO {
        let there = copy.legs.iter().filter(|leg| leg.held() > Lots::ZERO || waits(leg));
        return there.map(|leg| Instruction::Close { of: leg.order, lots: None }).collect();
    }
    let Some(target) = due(copy.legs.iter().filter(|leg| !waits(leg)), |leg| leg.filled) else { return Vec::new() };
    let excess = copy.held().get() - target;
    close_part(&copy.legs, Leg::held, excess, sizes(contract)).0
}
