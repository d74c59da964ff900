//! What a slave's terminal has against what its book says. Orders that are under way are left alone: their results are to come.

use super::book::SlaveBook;
use super::command::{Snapshot, SnapshotTrade};
use super::event::Drift;
use crate::copy::book::{Leg, LegState, minus};
use crate::money::Lots;
use crate::trade::{Holding, OrderId, Side, Symbol, Ticket};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Legs that are other than thought, as they are.
    pub drifted: Vec<Drift>,
    /// No order of ours opened these.
    pub unknown: Vec<Ticket>,
    /// Netted positions that are other than their copies together, and nobody can say which of them.
    pub odd: Vec<Symbol>,
}

/// More doubtful legs in one position than this are not told apart.
const DOUBTFUL_MAX: usize = 10;

pub fn compare(book: &SlaveBook, holding: Holding, snapshot: &Snapshot) -> Compared {
    match holding {
        Holding::Hedging => compare_hedging(book, snapshot),
        Holding::Netting => compare_netting(book, snapshot),
    }
}

/// Each order's position by itself.
fn compare_hedging(book: &SlaveBook, snapshot: &Snapshot) -> Compared {
    let mut drifted = Vec::new();
    let mut known: BTreeSet<Ticket> = BTreeSet::new();
    for (master, ticket, copy) in book.all_copies() {
        let busy = book.is_under_way(master, ticket);
        for leg in &copy.legs {
            let there = snapshot.trades.iter().find(|shown| is_of(shown, leg));
            known.extend(there.map(|shown| shown.trade.ticket));
            if busy || leg.state == LegState::Sent {
                continue;
            }
            let expected = leg.held();
            let ticket = there.map(|shown| shown.trade.ticket);
            let pending = there.is_some_and(|shown| shown.trade.entry.is_pending());
            let found = there.filter(|_| !pending).map_or(Lots::ZERO, |shown| shown.trade.lots);
            let as_thought = match leg.state {
                LegState::Pending => pending,
                LegState::Unknown => false,
                // What was filled waits no more: the snapshot is older than that.
                LegState::Open if pending => true,
                LegState::Open | LegState::Over | LegState::Sent => found == expected,
            };
            if !as_thought {
                drifted.push(Drift { order: leg.order, ticket, expected, found });
            }
        }
    }
    let strangers =
        snapshot.trades.iter().filter(|shown| !known.contains(&shown.trade.ticket) && !is_released(book, shown));
    Compared { drifted, unknown: strangers.map(|shown| shown.trade.ticket).collect(), odd: vec![] }
}

/// One position a symbol: it is compared with the sum of all copies in it, which may stand against each other.
fn compare_netting(book: &SlaveBook, snapshot: &Snapshot) -> Compared {
    let mut symbols: BTreeMap<&Symbol, Vec<(Side, &Leg)>> = BTreeMap::new();
    for (_, _, copy) in book.all_copies() {
        symbols.entry(&copy.symbol).or_default().extend(copy.legs.iter().map(|leg| (copy.side, leg)));
    }
    let stranger = |shown: &&SnapshotTrade| !symbols.contains_key(&shown.trade.symbol) && !is_released(book, shown);
    let strangers = snapshot.trades.iter().filter(stranger).map(|shown| shown.trade.ticket);
    let mut compared = Compared { unknown: strangers.collect(), ..Compared::default() };
    if !book.outbox.is_empty() {
        return compared;
    }
    for (symbol, legs) in symbols {
        let shown: Vec<_> = snapshot.trades.iter().filter(|shown| shown.trade.symbol == *symbol).collect();
        // Its owner has a part of this position: nobody can say how much.
        if shown.iter().any(|shown| !shown.trade.entry.is_pending() && is_released(book, shown)) {
            continue;
        }
        match compare_position(&legs, &shown) {
            Some(drifted) => compared.drifted.extend(drifted),
            None => compared.odd.push(symbol.clone()),
        }
    }
    compared
}

fn is_of(shown: &SnapshotTrade, leg: &Leg) -> bool {
    shown.order == Some(leg.order) || (leg.ticket.is_some() && leg.ticket == Some(shown.trade.ticket))
}

fn is_released(book: &SlaveBook, shown: &SnapshotTrade) -> bool {
    let same = |(order, ticket): &(OrderId, Option<Ticket>)| {
        shown.order == Some(*order) || *ticket == Some(shown.trade.ticket)
    };
    book.released.iter().any(same)
}

/// All that was opened in one symbol against what is there. None where they differ and it cannot be said in what.
fn compare_position(legs: &[(Side, &Leg)], shown: &[&SnapshotTrade]) -> Option<Vec<Drift>> {
    let position = shown.iter().find(|shown| !shown.trade.entry.is_pending()).map(|shown| &shown.trade);
    let found = position.map_or(Decimal::ZERO, |trade| signed(trade.side, trade.lots));
    let sure: Decimal = legs.iter().map(|(side, leg)| signed(*side, leg.held())).sum();
    let waits = |leg: &Leg| shown.iter().any(|shown| shown.trade.entry.is_pending() && is_of(shown, leg));
    let doubtful: Vec<(Side, &Leg)> = legs.iter().filter(|(_, leg)| is_doubtful(leg, waits(leg))).copied().collect();
    let drift = |leg: &Leg, found: Lots| {
        let ticket = position.map(|trade| trade.ticket).filter(|_| found > Lots::ZERO);
        Drift { order: leg.order, ticket, expected: leg.held(), found }
    };
    if let Some(values) = tell_apart(&doubtful, found - sure) {
        return Some(doubtful.iter().zip(values).map(|((_, leg), found)| drift(leg, found)).collect());
    }
    if !shown.is_empty() {
        return None;
    }
    let gone = legs.iter().filter(|(_, leg)| leg.held() > Lots::ZERO || is_doubtful(leg, false));
    Some(gone.map(|(_, leg)| drift(leg, Lots::ZERO)).collect())
}

/// Either nothing is left of it or what it may have at most, or after an unproven close anything between.
fn is_doubtful(leg: &Leg, waits: bool) -> bool {
    leg.state == LegState::Unknown || (leg.state == LegState::Pending && !waits)
}

fn at_most(leg: &Leg) -> Lots {
    if leg.filled > Lots::ZERO { minus(leg.filled, leg.closed) } else { leg.asked }
}

/// What is left of each, where the sum leaves no choice.
fn tell_apart(doubtful: &[(Side, &Leg)], sum: Decimal) -> Option<Vec<Lots>> {
    if let [(side, leg)] = doubtful {
        let value = Lots::new(if *side == Side::Buy { sum } else { -sum }).ok()?;
        // What is between was opened by somebody else, or is what an unproven close has left.
        let is_possible =
            [Lots::ZERO, at_most(leg)].contains(&value) || (leg.filled > Lots::ZERO && value < at_most(leg));
        return is_possible.then(|| vec![value]);
    }
    if doubtful.len() > DOUBTFUL_MAX {
        return None;
    }
    let values = |mask: u32| -> Vec<Lots> {
        let all = doubtful.iter().enumerate();
        all.map(|(at, (_, leg))| if mask >> at & 1 == 1 { at_most(leg) } else { Lots::ZERO }).collect()
    };
    let fits = |mask: &u32| {
        let sides = doubtful.iter().map(|(side, _)| *side);
        sides.zip(values(*mask)).map(|(side, lots)| signed(side, lots)).sum::<Decimal>() == sum
    };
    let mut fitting = (0..1 << doubtful.len()).filter(fits);
    let only = fitting.next()?;
    fitting.next().is_none().then(|| values(only))
}

fn signed(side: Side, lots: Lots) -> Decimal {
    if side == Side::Buy { lots.get() } else { -lots.get() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trade::{Entry, OrderId};
    use uuid::Uuid;

    fn lots(text: &str) -> Lots {
        text.parse().unwrap()
    }

    /// `buy 0.5`: an unproven opening; `buy 0.5 of 0.7`: an unproven close of what had 0.7.
    fn leg(text: &str) -> (Side, Leg) {
        let words: Vec<&str> = text.split(' ').collect();
        let side = if words[0] == "buy" { Side::Buy } else { Side::Sell };
        let mut leg = Leg::sent(OrderId(Uuid::nil()), Entry::Market, lots(words[1]));
        leg.state = LegState::Unknown;
        if let Some(filled) = words.get(3) {
            leg.filled = lots(filled);
        }
        (side, leg)
    }

    /// doubtful legs | what is there beyond the sure ones | what is left of each
    #[test]
    fn a_doubtful_leg_is_what_the_sum_leaves() {
        for row in [
            "                  | 0    |",
            "                  | 0.1  | -",
            "buy 0.5           | 0    | 0",
            "buy 0.5           | 0.5  | 0.5",
            "buy 0.5           | 0.2  | -",
            "buy 0.5           | 0.6  | -",
            "buy 0.5           | -0.1 | -",
            "sell 0.5          | -0.5 | 0.5",
            "buy 0.5 of 0.7    | 0.4  | 0.4",
            "buy 0.5, buy 0.3  | 0.3  | 0 0.3",
            "buy 0.5, buy 0.3  | 0.8  | 0.5 0.3",
            "buy 0.5, buy 0.3  | 0.1  | -",
            "buy 0.5, buy 0.5  | 0.5  | -",
            "buy 0.5, sell 0.3 | 0.2  | 0.5 0.3",
            "buy 0.5, sell 0.5 | 0    | -",
        ] {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let legs: Vec<(Side, Leg)> = cells[0].split(", ").filter(|text| !text.is_empty()).map(leg).collect();
            let legs: Vec<(Side, &Leg)> = legs.iter().map(|(side, leg)| (*side, leg)).collect();
            let values = tell_apart(&legs, cells[1].parse().unwrap());
            let told =
                values.map(|values| values.iter().map(|lots| lots.get().to_string()).collect::<Vec<_>>().join(" "));
            assert_eq!(told.unwrap_or("-".into()), cells[2], "{row}");
        }
    }
}
