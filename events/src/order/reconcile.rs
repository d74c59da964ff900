//! The book beside the venue's own: what was missed is caught up on, what differs is seen, and what nobody said is not zero.

use super::command::{ListedOrder, ListedPosition, Listing};
use super::event::*;
use super::report::found;
use super::settings::millis;
use super::state::{FOREIGN_MAX, Venue};
use super::word::Life;
use crate::id::{MarketId, Position, Version};
use crate::market::Size;
use crate::stream::Stamp;
use crate::time::Timestamp;
use crate::trade::Side;
use std::collections::{BTreeMap, BTreeSet};

/// The venue as it is after each of the events.
struct Work {
    then: Venue,
    events: Vec<Event>,
    at: Stamp,
}

impl Venue {
    /// First the fills, then what became of orders, then positions: each sees what the one before did.
    pub(super) fn reconcile(&self, listing: Listing, now: Timestamp) -> Vec<Event> {
        let at = Stamp { position: Position(0), version: Version(0), received_at: now, recorded_at: now };
        let mut work = Work { then: self.clone(), events: Vec::new(), at };
        for fill in listing.fills {
            let events = work.then.fill(fill.order, fill.market, fill.what);
            work.take(events);
        }
        let fills = work.events.len();
        // What was asked before the connection came says nothing of now.
        if listing.asked_at < self.link.since {
            return work.events;
        }
        let whole = listing.orders.is_some() && listing.positions.is_some();
        if let Some(orders) = listing.orders {
            work.orders(orders, listing.asked_at);
        }
        let orders = work.events.len() - fills;
        let differences = match listing.positions {
            Some(positions) => work.positions(positions, listing.asked_at),
            None => 0,
        };
        if whole && self.link.up && !self.link.reconciled {
            let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            let (orders, fills, differences) = (count(orders), count(fills), count(differences));
            work.take(vec![Event::Reconciled(Reconciled { orders, fills, differences })]);
        }
        work.events
    }
}

impl Work {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            self.then.evolve(&event, &self.at);
            self.events.push(event);
        }
    }

    fn orders(&mut self, orders: Vec<ListedOrder>, asked_at: Timestamp) {
        let mut foreign = Vec::new();
        let mut there = BTreeSet::new();
        for listed in orders {
            match listed.order.clone().filter(|id| self.then.order(id).is_some()) {
                Some(id) => {
                    let event = self.standing(&listed, asked_at);
                    self.take(event);
                    there.insert(id);
                }
                None if foreign.len() < FOREIGN_MAX => foreign.push(listed),
                None => {}
            }
        }
        let missing: Vec<_> = self.then.live.keys().filter(|id| !there.contains(id)).cloned().collect();
        for id in missing {
            let event = self.missing(&id, asked_at);
            self.take(event);
        }
        foreign.sort_by(|one, other| one.venue_order.cmp(&other.venue_order));
        if foreign != self.then.foreign {
            self.take(vec![Event::ForeignOrdersSeen(ForeignOrdersSeen { orders: foreign })]);
        }
    }

    /// One of ours that stands there.
    fn standing(&self, listed: &ListedOrder, asked_at: Timestamp) -> Vec<Event> {
        let Some(order) = listed.order.as_ref().and_then(|id| self.then.order(id)) else { return vec![] };
        let name = Some(listed.venue_order.clone());
        let mut events = match order.life {
            Life::Submitted | Life::Unknown => vec![found(order.id.clone(), name)],
            // We thought that it was over, and not just now.
            Life::Rejected | Life::Cancelled | Life::Expired if asked_at > order.changed_at => {
                vec![found(order.id.clone(), name)]
            }
            _ => vec![],
        };
        if listed.filled > order.told.max(order.filled) {
            events.push(Event::OrderTold(OrderTold { order: order.id.clone(), filled: listed.filled }));
        }
        events
    }

    /// One that we thought stands there, and does not.
    fn missing(&self, id: &super::ClientOrderId, asked_at: Timestamp) -> Vec<Event> {
        let (Some(order), Some(settings)) = (self.then.live.get(id), &self.then.settings) else { return vec![] };
        match order.life {
            Life::Submitted | Life::Unknown => {
                let old = asked_at.since(order.submitted_at) >= millis(settings.unknown_grace_ms);
                match old {
                    true => vec![Event::OrderResolved(OrderResolved { order: id.clone(), found: Found::Never })],
                    false => vec![],
                }
            }
            _ if asked_at > order.changed_at => {
                let gone = OrderEnded { order: id.clone(), how: Ending::Gone, filled: order.filled };
                vec![Event::OrderEnded(gone)]
            }
            _ => vec![],
        }
    }

    /// It became another since the venue was asked, or an order that works explains the difference: its fill is on its way here.
    fn is_moving(&self, market: &MarketId, change: Size, asked_at: Timestamp) -> bool {
        let side = if change.0 > 0 { Side::Buy } else { Side::Sell };
        let working = |order: &&super::Order| order.intent.market == *market && order.terms.side == side;
        let working = self.then.live.values().filter(working).fold(Size::ZERO, |sum, order| sum + order.remaining());
        let changed = |held: &super::book::Held| held.changed_at >= asked_at && held.changed_at > Timestamp::ZERO;
        self.then.book.markets.get(market).is_some_and(changed) || working >= change.abs()
    }

    /// How many differ. The venue is believed when it says the same twice, and never where it says nothing: an empty answer may
    /// be one that failed.
    fn positions(&mut self, positions: Vec<ListedPosition>, asked_at: Timestamp) -> usize {
        let theirs: BTreeMap<_, _> = positions.into_iter().map(|listed| (listed.market, listed.size)).collect();
        let held = self.then.book.markets.iter().filter(|(_, held)| !held.net.is_zero()).map(|(market, _)| market);
        let markets: BTreeSet<_> = theirs.keys().chain(held).cloned().collect();
        let mut differences = 0;
        for market in markets {
            let (ours, theirs) = (self.then.book.net(&market), theirs.get(&market).copied());
            if theirs == Some(ours) || market.venue != self.then.id {
                continue;
            }
            if self.is_moving(&market, theirs.unwrap_or_default() - ours, asked_at) {
                differences += 1;
                continue;
            }
            let known = self.then.book.markets.get(&market).and_then(|held| held.drift);
            match known.filter(|known| (known.ours, known.theirs) == (ours, theirs)) {
                Some(known) if known.asked_at < asked_at => {
                    if let Some(theirs) = theirs {
                        let by = theirs - ours;
                        let (owner, why) = (self.then.book.explains(&market, by), Adjustment::Reconciled);
                        self.take(vec![Event::PositionAdjusted(PositionAdjusted { market, owner, by, why })]);
                        continue;
                    }
                }
                Some(_) => {}
                None => {
                    let differs = PositionDiffers { market, ours, theirs, asked_at };
                    self.take(vec![Event::PositionDiffers(differs)]);
                }
            }
            differences += 1;
        }
        if differences == 0 {
            self.take(vec![Event::PositionsConfirmed(PositionsConfirmed { asked_at })]);
        }
        differences
    }
}
