//! The desk's orders: taken once, executed in the order of their numbers, their results told until the desk has them.

use super::memory::{Recollection, Record};
use super::{Execution, Output, Shown, Terminal};
use crate::wire::Refused;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Holding, Instruction, Order, OrderId, OrderResult, Outcome};

/// How many results may wait for their answer at once.
const UNDER_WAY_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Not begun, by their numbers.
    queue: BTreeMap<u64, (Order, Timestamp)>,
    /// Not begun, and without a number: each waits only for the order that it ends.
    unnumbered: Vec<(Order, Timestamp)>,
    /// The highest number of an order that came again: one that had none before may have one now.
    repeated_through: u64,
    /// With the broker, or looked up there.
    running: BTreeMap<OrderId, Running>,
    /// Were begun before a restart: to be looked up, or done again where that changes nothing.
    interrupted: Vec<(Order, bool)>,
    /// Results that the desk does not have, in the order in which they came.
    untold: VecDeque<OrderId>,
    /// Those of them that were sent.
    sent: BTreeSet<OrderId>,
}

#[derive(Debug)]
struct Running {
    seq: u64,
    received_at: Timestamp,
    is_entry: bool,
}

impl Orders {
    pub(super) fn after_restart(memory: &Recollection, holding: Holding) -> Self {
        let mut orders = Orders::default();
        let mut untold = Vec::new();
        for (id, remembered) in memory.orders() {
            match (&remembered.intent, remembered.told) {
                (Some(order), _) => orders.interrupted.push((Order::clone(order), is_repeatable(order, holding))),
                (None, false) if remembered.seq > 0 => untold.push((remembered.seq, id)),
                (None, _) => {}
            }
        }
        orders.interrupted.sort_by_key(|(order, _)| order.seq);
        untold.sort_unstable();
        orders.untold = untold.into_iter().map(|(_, id)| id).collect();
        orders
    }
    pub(super) fn is_settled(&self) -> bool {
        let begun = self.queue.is_empty() && self.unnumbered.is_empty() && self.interrupted.is_empty();
        begun && self.running.is_empty() && self.untold.is_empty()
    }
    pub(super) fn forget_sent(&mut self) {
        self.sent.clear();
    }
    /// Everything up to this number is done.
    pub(super) fn done_through(&self, memory: &Recollection) -> u64 {
        let queued = self.queue.first_key_value().map(|(seq, _)| *seq);
        let running = self.running.values().map(|running| running.seq);
        let interrupted = self.interrupted.iter().map(|(order, _)| order.seq);
        let unnumbered = self.unnumbered.iter().map(|(order, _)| order.seq);
        let first = running.chain(queued).chain(interrupted).chain(unnumbered).filter(|seq| *seq > 0).min();
        first.map_or(memory.seq_max(), |first| first.saturating_sub(1))
    }
    /// Waiting to be begun.
    fn waits(&self, order: OrderId) -> bool {
        let unnumbered = self.unnumbered.iter().map(|(waiting, _)| waiting.id);
        self.queue.values().map(|(queued, _)| queued.id).chain(unnumbered).any(|waiting| waiting == order)
    }
    /// The highest number that came. What was not begun is lost with a restart, and comes again.
    pub(super) fn received_through(&self, memory: &Recollection) -> u64 {
        let queued = self.queue.last_key_value().map(|(seq, _)| *seq);
        queued.unwrap_or_default().max(memory.seq_max()).max(self.repeated_through)
    }
    /// What has no result yet goes on under this number.
    fn number(&mut self, order: &Order) {
        self.repeated_through = self.repeated_through.max(order.seq);
        if let Some(running) = self.running.get_mut(&order.id) {
            running.seq = running.seq.max(order.seq);
        }
        if let Some((waiting, _)) = self.unnumbered.iter_mut().find(|(waiting, _)| waiting.id == order.id) {
            waiting.seq = waiting.seq.max(order.seq);
        }
    }
    fn entries_running(&self) -> usize {
        self.running.values().filter(|running| running.is_entry).count()
    }
    fn queue_untold(&mut self, order: OrderId) {
        self.sent.remove(&order);
        if !self.untold.contains(&order) {
            self.untold.push_back(order);
        }
    }
}

/// Whether doing it twice is the same as doing it once. A part is not, and neither is a whole that was netted with others.
fn is_repeatable(order: &Order, holding: Holding) -> bool {
    match order.instruction {
        Instruction::Modify { .. } => true,
        Instruction::Close { lots: None, .. } => holding == Holding::Hedging,
        Instruction::Close { lots: Some(_), .. } | Instruction::Open { .. } => false,
    }
}

impl Terminal {
    /// A repeat gets its result told again; an unknown order with a number that was used is from a desk that forgot.
    pub(super) fn take_order(&mut self, order: Order, now: Timestamp) {
        if self.memory.order(order.id).is_some() || self.orders.waits(order.id) {
            self.counts.orders_repeated += 1;
            self.repeat(&order);
        } else if order.seq == 0 {
            self.take_unnumbered(order, now);
        } else if order.seq <= self.memory.seq_max() {
            let why = "order_seq_used: another order had this number";
            self.conclude(&order, Outcome::Unknown, Some(why), now);
            self.show(Shown::Unknown(order.id));
        } else {
            self.orders.queue.insert(order.seq, (order, now));
        }
    }

    /// The desk may have a number for it now that it had not before.
    fn repeat(&mut self, order: &Order) {
        self.orders.number(order);
        let known = self.memory.order(order.id);
        let Some((seq, result)) = known.and_then(|known| Some((known.seq, known.result.clone()?))) else { return };
        if seq < order.seq {
            self.remember(Record::Result { seq: order.seq, result });
        }
        self.tell(order.id, order.seq);
    }

    /// The desk hears of the result; but not before its log has the order, which has a number then.
    fn tell(&mut self, order: OrderId, seq: u64) {
        if seq > 0 {
            self.orders.queue_untold(order);
        }
    }

    /// The desk cannot write its log, and ends something all the same. It will number the order later.
    fn take_unnumbered(&mut self, order: Order, now: Timestamp) {
        match order.instruction.is_entry() {
            true => self.conclude(
                &order,
                Outcome::Rejected,
                Some("entry_unnumbered: nothing is opened without a number"),
                now,
            ),
            false => self.orders.unnumbered.push((order, now)),
        }
    }

    pub(super) fn take_result(&mut self, mut result: OrderResult) {
        let running = self.orders.running.remove(&result.order);
        let known = self.memory.order(result.order).map(|known| known.seq);
        let Some(seq) = running.as_ref().map(|running| running.seq).or(known) else { return };
        let received_at = running.map(|running| running.received_at);
        result.received_at = result.received_at.or(received_at);
        let order = result.order;
        self.remember(Record::Result { seq, result: Box::new(result) });
        self.tell(order, seq);
    }

    pub(super) fn give_up(&mut self, order: OrderId, now: Timestamp) {
        if !self.orders.running.contains_key(&order) {
            return;
        }
        let why = "unproven: it was begun before a restart and cannot be found";
        self.take_result(said(order, Outcome::Unknown, Some(why), now));
        self.show(Shown::Unknown(order));
    }

    /// Begins what can be begun. An order that speaks of one that is still under way waits, and all behind it wait with it.
    pub(super) fn work(&mut self, now: Timestamp) {
        for (order, repeatable) in std::mem::take(&mut self.orders.interrupted) {
            self.run(&order, now);
            let execution = self.execution(order, now);
            self.outputs.push_back(if repeatable { Output::Execute(execution) } else { Output::Recover(execution) });
        }
        // What ends an order that could not even begin need not wait for the next time.
        self.work_unnumbered(now);
        self.work_numbered(now);
        self.work_unnumbered(now);
    }

    fn work_numbered(&mut self, now: Timestamp) {
        while self.orders.running.len() < self.settings.executions_max.max(1) {
            let Some((_, (order, received_at))) = self.orders.queue.first_key_value() else { return };
            let received_at = *received_at;
            if opener(order).is_some_and(|opener| self.orders.running.contains_key(&opener)) {
                return;
            }
            let Some((_, (order, _))) = self.orders.queue.pop_first() else { return };
            self.begin(order, received_at, now);
        }
    }

    /// What ends an order goes at once, unless that order itself is still to come or under way.
    fn work_unnumbered(&mut self, now: Timestamp) {
        for (order, received_at) in std::mem::take(&mut self.orders.unnumbered) {
            let open = |opener: OrderId| self.orders.running.contains_key(&opener) || self.orders.waits(opener);
            match opener(&order).is_some_and(open) {
                true => self.orders.unnumbered.push((order, received_at)),
                false => self.begin(order, received_at, now),
            }
        }
    }

    fn begin(&mut self, order: Order, received_at: Timestamp, now: Timestamp) {
        if let Some((outcome, why)) = self.objection(&order, now) {
            return self.conclude(&order, outcome, Some(why), now);
        }
        self.remember(Record::Intent(Box::new(order.clone())));
        self.run(&order, received_at);
        let execution = self.execution(order, received_at);
        self.outputs.push_back(Output::Execute(execution));
    }

    fn run(&mut self, order: &Order, received_at: Timestamp) {
        let running = Running { seq: order.seq, received_at, is_entry: order.instruction.is_entry() };
        self.orders.running.insert(order.id, running);
    }

    fn execution(&self, order: Order, received_at: Timestamp) -> Box<Execution> {
        let ticket = opener(&order).and_then(|opener| self.memory.ticket(opener));
        Box::new(Execution { order, ticket, received_at })
    }

    /// Why the terminal does not even ask its broker. In this order: too late, the desk is silent, too large, too many; and for
    /// what is about an earlier order, that nothing came of it. Closes and modifications know no other reason.
    fn objection(&self, order: &Order, now: Timestamp) -> Option<(Outcome, &'static str)> {
        let Instruction::Open { lots, .. } = &order.instruction else {
            let earlier = self.memory.order(opener(order)?)?.result.as_ref()?;
            let nothing = earlier.ticket.is_none() && earlier.outcome != Outcome::Unknown;
            return nothing.then_some((Outcome::Nothing, "nothing came of the order that opens it"));
        };
        if order.deadline.is_some_and(|deadline| now + self.ahead > deadline) {
            return Some((Outcome::Expired, "the deadline had passed"));
        }
        if self.is_desk_silent(now) {
            return Some((Outcome::Rejected, "desk_silent: nothing is opened while the desk is silent"));
        }
        if self.settings.lots_max.is_some_and(|max| *lots > max) {
            return Some((Outcome::Rejected, "local_lots_max: more than the terminal's own limit"));
        }
        let open = self.figures.as_ref().map_or(0, |figures| figures.open_positions as usize);
        if self.settings.positions_max.is_some_and(|max| open + self.orders.entries_running() >= max as usize) {
            return Some((Outcome::Rejected, "local_positions_max: as many positions as the terminal's own limit"));
        }
        None
    }

    fn conclude(&mut self, order: &Order, outcome: Outcome, why: Option<&str>, now: Timestamp) {
        let result = Box::new(said(order.id, outcome, why, now));
        self.remember(Record::Result { seq: order.seq, result });
        self.tell(order.id, order.seq);
    }

    pub(super) fn next_untold(&mut self) -> Option<OrderResult> {
        if self.orders.sent.len() >= UNDER_WAY_MAX {
            return None;
        }
        let next = self.orders.untold.iter().find(|id| !self.orders.sent.contains(id)).copied()?;
        self.orders.sent.insert(next);
        self.memory.order(next)?.result.as_deref().cloned()
    }

    /// The desk has it, or will never take it. What came since is told again.
    pub(super) fn told(&mut self, result: &OrderResult) {
        let known = self.memory.order(result.order).and_then(|known| known.result.as_deref());
        if known.is_some_and(|known| known == result) {
            self.orders.untold.retain(|id| *id != result.order);
            self.orders.sent.remove(&result.order);
            self.remember(Record::Told(result.order));
        }
    }

    pub(super) fn refused_result(&mut self, result: &OrderResult, refused: Refused) {
        self.told(result);
        self.show(Shown::Refused("order_result", refused));
    }
}

/// The order that opened what this one is about.
fn opener(order: &Order) -> Option<OrderId> {
    match order.instruction {
        Instruction::Modify { of, .. } | Instruction::Close { of, .. } => Some(of),
        Instruction::Open { .. } => None,
    }
}

fn said(order: OrderId, outcome: Outcome, why: Option<&str>, now: Timestamp) -> OrderResult {
    let error = why.map(str::to_string);
    let (received_at, done_at) = (Some(now), Some(now));
    OrderResult {
        order,
        outcome,
        ticket: None,
        price: None,
        lots: None,
        sl: None,
        tp: None,
        error,
        received_at,
        done_at,
    }
}
