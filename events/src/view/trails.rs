//! Where the decisions stand in the log, and the orders that came of them: an index, so that the question *why* needs no search.
//! What was decided is read from the log itself, where it is kept for ever.

use super::View;
use crate::account::{self, CopyDecided};
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{AccountId, Position, StreamNo};
use crate::trade::{Order, OrderId, OrderResult, Ticket};
use crate::truth::Truth;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The newest so many are known here; older ones are found by their position in the log.
pub const KEPT: usize = 20_000;
/// A pending order is placed and then filled; nobody answers one much more often.
const ANSWERS_MAX: usize = 8;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Vec<Trail>")]
pub struct Trails {
    trails: BTreeMap<Position, Trail>,
    by_signal: BTreeSet<(Position, Position)>,
    by_ticket: BTreeSet<(Ticket, Position)>,
    by_order: BTreeMap<OrderId, Position>,
}

/// One decision of one slave and what came of it; or one order that the slave's own state caused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// Of the decision, or of the order that nobody's signal caused.
    pub position: Position,
    pub slave: StreamNo,
    pub master: Option<AccountId>,
    /// What was decided about; none where no signal caused it.
    pub signal: Option<Position>,
    /// The master's.
    pub ticket: Option<Ticket>,
    pub orders: Vec<Given>,
}

/// An order of a trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    pub order: OrderId,
    pub issued: Position,
    pub answers: Vec<Position>,
    /// The slave's, as its terminal said: a pending order may have another one once it is filled.
    pub tickets: Vec<Ticket>,
}

impl View for Trails {
    const NAME: &'static str = "trails";

    fn apply(&mut self, record: &Record, _: &Truth) {
        self.take(record);
    }
}

impl Trails {
    /// Takes in the next record; most say nothing here.
    pub fn take(&mut self, record: &Record) {
        let Event::Account(event) = &record.event else { return };
        match event {
            account::Event::CopyDecided(decided) => self.decided(record, decided),
            account::Event::OrderIssued(issued) => self.issued(record, &issued.order),
            account::Event::OrderAnswered(answered) => self.answered(record.position, &answered.result),
            _ => {}
        }
    }

    pub fn get(&self, position: Position) -> Option<&Trail> {
        self.trails.get(&position)
    }
    pub fn len(&self) -> usize {
        self.trails.len()
    }
    pub fn is_empty(&self) -> bool {
        self.trails.is_empty()
    }
    /// What was decided about a signal, one for each link.
    pub fn of_signal(&self, signal: Position) -> impl Iterator<Item = &Trail> {
        let range = (signal, Position(0))..=(signal, Position(u64::MAX));
        self.by_signal.range(range).filter_map(|(_, position)| self.trails.get(position))
    }
    /// What concerns a ticket, the master's or the slave's, newest first.
    pub fn of_ticket(&self, ticket: Ticket) -> impl Iterator<Item = &Trail> {
        let range = (ticket, Position(0))..=(ticket, Position(u64::MAX));
        self.by_ticket.range(range).rev().filter_map(|(_, position)| self.trails.get(position))
    }
    pub fn of_order(&self, order: OrderId) -> Option<&Trail> {
        self.by_order.get(&order).and_then(|position| self.trails.get(position))
    }

    fn decided(&mut self, record: &Record, decided: &CopyDecided) {
        let given =
            |order: &OrderId| Given { order: *order, issued: Position(0), answers: Vec::new(), tickets: Vec::new() };
        self.add(Trail {
            position: record.position,
            slave: record.stream,
            master: Some(decided.master.clone()),
            signal: Some(decided.signal),
            ticket: Some(decided.ticket),
            orders: decided.orders.iter().map(given).collect(),
        });
    }

    fn issued(&mut self, record: &Record, order: &Order) {
        if let Some(given) = self.given(order.id) {
            given.issued = record.position;
            return;
        }
        if order.signal.is_some() {
            // Its decision is older than what is kept here.
            return;
        }
        self.add(Trail {
            position: record.position,
            slave: record.stream,
            master: order.master.clone(),
            signal: None,
            ticket: order.ticket,
            orders: vec![Given { order: order.id, issued: record.position, answers: Vec::new(), tickets: Vec::new() }],
        });
    }

    fn answered(&mut self, position: Position, result: &OrderResult) {
        let Some(given) = self.given(result.order) else { return };
        if given.answers.len() == ANSWERS_MAX {
            return;
        }
        given.answers.push(position);
        let new = result.ticket.filter(|ticket| !given.tickets.contains(ticket));
        given.tickets.extend(new);
        let trail = self.by_order.get(&result.order);
        self.by_ticket.extend(new.zip(trail.copied()));
    }

    fn given(&mut self, order: OrderId) -> Option<&mut Given> {
        let trail = self.trails.get_mut(self.by_order.get(&order)?)?;
        trail.orders.iter_mut().find(|given| given.order == order)
    }

    fn add(&mut self, trail: Trail) {
        let position = trail.position;
        self.by_signal.extend(trail.signal.map(|signal| (signal, position)));
        self.by_ticket.extend(trail.tickets().map(|ticket| (ticket, position)));
        self.by_order.extend(trail.orders.iter().map(|given| (given.order, position)));
        self.trails.insert(position, trail);
        if self.trails.len() > KEPT {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((position, trail)) = self.trails.pop_first() else { return };
        for ticket in trail.tickets() {
            self.by_ticket.remove(&(ticket, position));
        }
        for given in &trail.orders {
            self.by_order.remove(&given.order);
        }
        if let Some(signal) = trail.signal {
            self.by_signal.remove(&(signal, position));
        }
    }
}

impl Trail {
    /// The master's ticket, and the slave's.
    fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.ticket.into_iter().chain(self.orders.iter().flat_map(|given| given.tickets.iter().copied()))
    }

    /// Every event that tells of it.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        let orders = self.orders.iter().flat_map(|given| given.answers.iter().copied().chain([given.issued]));
        orders.chain([self.position]).chain(self.signal).filter(|position| position.0 > 0)
    }
}

impl From<Vec<Trail>> for Trails {
    fn from(trails: Vec<Trail>) -> Self {
        let mut all = Trails::default();
        trails.into_iter().for_each(|trail| all.add(trail));
        all
    }
}

impl Serialize for Trails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.trails.values())
    }
}
