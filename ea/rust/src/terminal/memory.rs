//! What a terminal must still know after a restart: a fold over records that somebody keeps.

use crate::wire::{Key, KeyId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::id::DeskId;
use tidehelm_events::trade::{Instruction, Order, OrderId, OrderResult, Outcome, Ticket};

/// So many orders that are over are remembered, so that a repeat is answered with its result.
const ORDERS_MAX: usize = 4096;
/// So many tickets; an older one is looked up by the short id in the broker's comment.
const TICKETS_MAX: usize = 20_000;

/// What proves terminal and desk to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub desk: DeskId,
    pub key_id: KeyId,
    pub key: Key,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    Credentials(Credentials),
    /// The order is about to go to the broker.
    Intent(Box<Order>),
    /// What became of it.
    Result {
        seq: u64,
        result: Box<OrderResult>,
    },
    /// The desk has the result.
    Told(OrderId),
}

impl Record {
    /// Whether it has to be on the disk before anything else is done. Losing another costs a repetition.
    pub fn must_last(&self) -> bool {
        !matches!(self, Record::Told(_))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Zero while the desk has given none.
    pub seq: u64,
    /// The order itself while its result is not known.
    pub intent: Option<Box<Order>>,
    pub result: Option<Box<OrderResult>>,
    pub told: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recollection {
    pub credentials: Option<Credentials>,
    orders: BTreeMap<OrderId, Remembered>,
    /// Orders that are over and told, by their numbers: the first ones are forgotten first.
    over: BTreeSet<(u64, OrderId)>,
    tickets: BTreeMap<OrderId, (u64, Ticket)>,
    tickets_by_seq: BTreeSet<(u64, OrderId)>,
    seq_max: u64,
}

impl Recollection {
    /// Remembers.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Credentials(credentials) => self.credentials = Some(credentials.clone()),
            Record::Intent(order) => self.intend(order),
            Record::Result { seq, result } => self.conclude(*seq, result),
            Record::Told(order) => self.told(*order),
        }
    }

    pub fn order(&self, id: OrderId) -> Option<&Remembered> {
        self.orders.get(&id)
    }
    pub fn orders(&self) -> impl Iterator<Item = (OrderId, &Remembered)> {
        self.orders.iter().map(|(id, remembered)| (*id, remembered))
    }
    /// The ticket that an order opened.
    pub fn ticket(&self, order: OrderId) -> Option<Ticket> {
        self.tickets.get(&order).map(|(_, ticket)| *ticket)
    }
    /// The highest number of an order that was begun.
    pub fn seq_max(&self) -> u64 {
        self.seq_max
    }

    fn intend(&mut self, order: &Order) {
        self.seq_max = self.seq_max.max(order.seq);
        let intent = Some(Box::new(order.clone()));
        self.orders.insert(order.id, Remembered { seq: order.seq, intent, result: None, told: false });
    }

    fn conclude(&mut self, seq: u64, result: &OrderResult) {
        self.seq_max = self.seq_max.max(seq);
        let id = result.order;
        let before = self.orders.remove(&id);
        if let Some(before) = &before {
            self.over.remove(&(before.seq, id));
        }
        let opened =
            before.as_ref().and_then(|before| before.intent.as_ref()).is_none_or(|order| order.instruction.is_entry());
        if let (true, Some(ticket)) = (opened, result.ticket) {
            self.keep_ticket(seq, id, ticket);
        }
        if let Some(closed) =
            before.as_ref().and_then(closed_by).filter(|_| matches!(result.outcome, Outcome::Filled | Outcome::Nothing))
        {
            self.forget_ticket(closed);
        }
        self.orders.insert(id, Remembered { seq, intent: None, result: Some(Box::new(result.clone())), told: false });
    }

    fn told(&mut self, id: OrderId) {
        let Some(remembered) = self.orders.get_mut(&id) else { return };
        remembered.told = true;
        if remembered.result.as_ref().is_some_and(|result| result.outcome.is_final()) {
            self.over.insert((remembered.seq, id));
        }
        if self.over.len() > ORDERS_MAX
            && let Some((_, oldest)) = self.over.pop_first()
        {
            self.orders.remove(&oldest);
        }
    }

    fn keep_ticket(&mut self, seq: u64, order: OrderId, ticket: Ticket) {
        self.tickets.insert(order, (seq, ticket));
        self.tickets_by_seq.insert((seq, order));
        if self.tickets_by_seq.len() > TICKETS_MAX
            && let Some((_, oldest)) = self.tickets_by_seq.pop_first()
        {
            self.tickets.remove(&oldest);
        }
    }

    fn forget_ticket(&mut self, order: OrderId) {
        if let Some((seq, _)) = self.tickets.remove(&order) {
            self.tickets_by_seq.remove(&(seq, order));
        }
    }
}

/// The order whose position this one closes for good.
fn closed_by(remembered: &Remembered) -> Option<OrderId> {
    match remembered.intent.as_ref()?.instruction {
        Instruction::Close { of, lots: None } => Some(of),
        Instruction::Close { lots: Some(_), .. } | Instruction::Open { .. } | Instruction::Modify { .. } => None,
    }
}
