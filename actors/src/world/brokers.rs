//! Slaves' brokers, which fill, reject, fill in part and close behind everybody's back; and the terminals that stand before them,
//! with what they have written down: which orders they began, and what became of each.

use super::agenda::{MILLI, SECOND};
use super::invariants::{Checked, hold};
use super::masters::lots;
use super::mutants::Mutant;
use super::{Happening, World};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tidehelm_events::id::Role;
use tidehelm_events::money::Lots;
use tidehelm_events::trade::{Entry, Instruction, Order, OrderId, OrderResult, Outcome, Ticket, Trade};

/// So many orders are with the broker at a time.
const RUNNING_MAX: usize = 3;

#[derive(Debug, Default)]
pub struct Slave {
    /// What the broker holds, by which order, and what it did for each: it survives everything.
    pub positions: BTreeMap<Ticket, (OrderId, Trade)>,
    executed: BTreeMap<OrderId, u32>,
    history: BTreeMap<OrderId, OrderResult>,
    last_ticket: u64,
    /// What the terminal has written down.
    file: BTreeMap<OrderId, Kept>,
    seq_max: u64,
    /// Lost in a crash.
    queue: BTreeMap<u64, Order>,
    running: BTreeMap<OrderId, u64>,
    untold: VecDeque<OrderId>,
}

#[derive(Debug)]
struct Kept {
    order: Order,
    result: Option<OrderResult>,
    told: bool,
}

impl Slave {
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.running.is_empty() && self.untold.is_empty()
    }
    pub fn held_of(&self, order: OrderId) -> Lots {
        let open = self.positions.values().filter(|(of, trade)| *of == order && trade.entry == Entry::Market);
        lots(open.map(|(_, trade)| trade.lots.get()).sum())
    }
    fn position_of(&self, order: OrderId) -> Option<Ticket> {
        self.positions.iter().find(|(_, (of, _))| *of == order).map(|(ticket, _)| *ticket)
    }
}

impl World {
    pub(super) fn done_through(&self, terminal: usize) -> u64 {
        let slave = &self.terminals[terminal].slave;
        let open = slave.queue.keys().chain(slave.running.values()).min();
        open.map_or(slave.seq_max, |first| first.saturating_sub(1))
    }

    pub(super) fn held(&self, terminal: usize) -> Vec<(Trade, Option<OrderId>)> {
        let Self { terminals, .. } = self;
        match terminals[terminal].role() {
            Role::Master => terminals[terminal].master.trades.values().map(|trade| (trade.clone(), None)).collect(),
            Role::Slave => {
                let all = terminals[terminal].slave.positions.values();
                all.map(|(order, trade)| (trade.clone(), Some(*order))).collect()
            }
        }
    }

    /// An order is offered, perhaps not for the first time.
    pub(super) fn take_order(&mut self, terminal: usize, order: Order) {
        let forgetful = self.mutant == Some(Mutant::ExecutedIdsForgotten) && self.rng.permille(300);
        let slave = &mut self.terminals[terminal].slave;
        if slave.queue.contains_key(&order.seq) || slave.running.contains_key(&order.id) {
            return;
        }
        match slave.file.get(&order.id) {
            Some(kept) if !forgetful => {
                self.counts.orders_offered_again += 1;
                if kept.result.is_some() && !slave.untold.contains(&order.id) {
                    slave.untold.push_back(order.id);
                }
            }
            Some(_) | None => drop(slave.queue.insert(order.seq, order)),
        }
    }

    /// Begins what can be begun, in the order of the numbers. What speaks of an order that is under way waits, and all behind it.
    pub(super) fn work_orders(&mut self, terminal: usize) {
        loop {
            let slave = &self.terminals[terminal].slave;
            let Some((_, order)) = slave.queue.first_key_value() else { return };
            let waits = opener(order).is_some_and(|opener| slave.running.contains_key(&opener));
            if waits || slave.running.len() >= RUNNING_MAX {
                return;
            }
            let Some((seq, order)) = self.terminals[terminal].slave.queue.pop_first() else { return };
            let (desk_time, at) = self.terminals[terminal].desk_time;
            let desk_time = desk_time + tidehelm_events::time::Span(self.now - at);
            let late = order.deadline.is_some_and(|deadline| desk_time > deadline);
            let aged = order.stamps.decided.is_some_and(|decided| desk_time.since(decided).0 > 10 * SECOND);
            let slave = &mut self.terminals[terminal].slave;
            slave.seq_max = slave.seq_max.max(seq);
            if late || (aged && self.mutant == Some(Mutant::LateCloseExpires)) {
                self.counts.expired_orders += 1;
                let result = said(order.id, Outcome::Expired);
                slave.file.insert(order.id, Kept { order, result: Some(result.clone()), told: true });
                self.put_down(terminal, result);
                continue;
            }
            self.begin_order(terminal, order);
        }
    }

    fn begin_order(&mut self, terminal: usize, order: Order) {
        let (id, seq) = (order.id, order.seq);
        let slave = &mut self.terminals[terminal].slave;
        slave.running.insert(id, seq);
        slave.file.insert(id, Kept { order, result: None, told: false });
        let takes = self.rng.between(5 * MILLI, self.climate.broker_slow);
        self.agenda.plan(self.now + takes, Happening::Broker { terminal, order: id });
    }

    /// The broker does it; the terminal hears of it unless one of them fails just now.
    pub(super) fn broker(&mut self, terminal: usize, id: OrderId) -> Checked {
        let slave = &self.terminals[terminal].slave;
        let Some(order) = slave.file.get(&id).filter(|kept| kept.result.is_none()).map(|kept| kept.order.clone())
        else {
            return Ok(());
        };
        if !slave.running.contains_key(&id) && self.rng.permille(500) {
            return Ok(());
        }
        if slave.history.contains_key(&id) && self.mutant != Some(Mutant::ExecutedIdsForgotten) {
            return Ok(());
        }
        self.execute(terminal, &order)
    }

    fn execute(&mut self, terminal: usize, order: &Order) -> Checked {
        let result = match &order.instruction {
            Instruction::Open { .. } => self.broker_opens(terminal, order),
            Instruction::Modify { of, price, sl, tp } => {
                let rejects = self.rejects();
                let slave = &mut self.terminals[terminal].slave;
                match slave.position_of(*of).and_then(|ticket| slave.positions.get_mut(&ticket)) {
                    Some(_) if rejects => said(order.id, Outcome::Rejected),
                    Some((_, trade)) => {
                        (trade.sl, trade.tp) = (*sl, *tp);
                        trade.price = price.filter(|_| trade.entry.is_pending()).unwrap_or(trade.price);
                        OrderResult { sl: *sl, tp: *tp, ..said(order.id, Outcome::Filled) }
                    }
                    None => said(order.id, Outcome::Nothing),
                }
            }
            Instruction::Close { of, lots } => self.broker_closes(terminal, order.id, *of, *lots),
        };
        self.note(format_args!(
            "broker of {}: {order:?} is {:?} {:?}",
            self.terminals[terminal].stream.clone(),
            result.outcome,
            result.lots
        ));
        let changes = result.lots.is_some_and(|lots| lots > Lots::ZERO) || result.outcome == Outcome::Placed;
        let slave = &mut self.terminals[terminal].slave;
        let times = slave.executed.entry(order.id).or_default();
        *times += u32::from(changes);
        hold!(*times <= 1, ExecutedOnce, "{order:?} was executed {times} times");
        slave.history.insert(order.id, result.clone());
        if slave.running.contains_key(&order.id) {
            self.put_down(terminal, result);
        }
        self.work_orders(terminal);
        self.converse(terminal);
        Ok(())
    }

    fn rejects(&mut self) -> bool {
        let chance = if self.is_stormy() { self.climate.rejects } else { 0 };
        let rejects = self.rng.permille(chance);
        self.counts.rejections += u64::from(rejects);
        rejects
    }

    fn broker_opens(&mut self, terminal: usize, order: &Order) -> OrderResult {
        let Instruction::Open { symbol, side, entry, lots: asked, price, sl, tp, magic, expires_at, .. } =
            &order.instruction
        else {
            return said(order.id, Outcome::Rejected);
        };
        if self.rejects() {
            return OrderResult { error: Some("no money".into()), ..said(order.id, Outcome::Rejected) };
        }
        let partial = self.is_stormy() && *entry == Entry::Market && self.rng.permille(self.climate.partial_fills);
        let share = Decimal::new(self.rng.between(1, 9), 1);
        let step = super::terminals::step(symbol);
        let some = asked.get() * share;
        let filled = if partial { lots((some - some % step).max(step).min(asked.get())) } else { *asked };
        let slave = &mut self.terminals[terminal].slave;
        slave.last_ticket += 1;
        let ticket = Ticket(slave.last_ticket);
        let (symbol, side, entry, price, sl, tp, magic) = (symbol.clone(), *side, *entry, *price, *sl, *tp, *magic);
        let comment = order.id.short();
        let trade = Trade { ticket, symbol, side, entry, lots: filled, price, sl, tp, magic, comment };
        slave.positions.insert(ticket, (order.id, trade));
        let result =
            OrderResult { ticket: Some(ticket), price: Some(price), sl, tp, ..said(order.id, Outcome::Placed) };
        if entry.is_pending() {
            let wait = self.rng.between(100 * MILLI, 30 * SECOND);
            let expires = expires_at.is_some();
            self.agenda.plan(self.now + wait, Happening::Triggered { terminal, ticket, expires });
            return result;
        }
        let outcome = if filled < *asked { Outcome::Partial } else { Outcome::Filled };
        self.counts.partial_fills += u64::from(filled < *asked);
        OrderResult { outcome, lots: Some(filled), ..result }
    }

    fn broker_closes(&mut self, terminal: usize, id: OrderId, of: OrderId, part: Option<Lots>) -> OrderResult {
        let rejects = self.rejects();
        let slave = &mut self.terminals[terminal].slave;
        let Some(ticket) = slave.position_of(of) else { return said(id, Outcome::Nothing) };
        if rejects {
            return said(id, Outcome::Rejected);
        }
        let Some((_, trade)) = slave.positions.get_mut(&ticket) else { return said(id, Outcome::Nothing) };
        if trade.entry.is_pending() {
            slave.positions.remove(&ticket);
            return OrderResult { ticket: Some(ticket), ..said(id, Outcome::Cancelled) };
        }
        let closed = part.unwrap_or(trade.lots).min(trade.lots);
        trade.lots = lots(trade.lots.get() - closed.get());
        if trade.lots == Lots::ZERO {
            slave.positions.remove(&ticket);
        }
        OrderResult { ticket: Some(ticket), lots: Some(closed), ..said(id, Outcome::Filled) }
    }

    /// The price of a pending order was reached, or its time was over.
    pub(super) fn triggered(&mut self, terminal: usize, ticket: Ticket, expires: bool) {
        if self.is_quiet() {
            return;
        }
        let over = expires && self.rng.permille(500);
        let slave = &mut self.terminals[terminal].slave;
        let Some((order, trade)) = slave.positions.get_mut(&ticket).filter(|(_, trade)| trade.entry.is_pending())
        else {
            return;
        };
        let (order, lots) = (*order, trade.lots);
        trade.entry = Entry::Market;
        let result = OrderResult { ticket: Some(ticket), price: Some(trade.price), ..said(order, Outcome::Filled) };
        let result = match over {
            true => {
                slave.positions.remove(&ticket);
                said(order, Outcome::Expired)
            }
            false => OrderResult { lots: Some(lots), ..result },
        };
        self.counts.pending_fills += 1;
        slave.history.insert(order, result.clone());
        if !self.terminals[terminal].line.down {
            self.put_down(terminal, result);
            self.converse(terminal);
        }
    }

    /// Somebody at the broker closes a position, or a part, or moves its levels.
    pub(super) fn by_hand(&mut self, terminal: usize) {
        if !self.is_stormy() {
            return;
        }
        let pause = self.rng.between(SECOND, self.climate.by_hand_every);
        self.agenda.plan(self.now + pause, Happening::ByHand { terminal });
        let all: Vec<Ticket> = self.terminals[terminal].slave.positions.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let ticket = self.rng.pick(&all);
        let (whole, levels) = (self.rng.permille(400), self.rng.permille(300));
        self.counts.by_hand += 1;
        let slave = &mut self.terminals[terminal].slave;
        let Some((order, trade)) = slave.positions.get_mut(&ticket) else { return };
        let step = super::terminals::step(&trade.symbol);
        let order = *order;
        if levels {
            (trade.sl, trade.tp) = (None, Some(trade.price));
        } else if whole || trade.entry.is_pending() || trade.lots.get() <= step {
            let waited = trade.entry.is_pending();
            slave.positions.remove(&ticket);
            if waited {
                slave.history.insert(order, said(order, Outcome::Cancelled));
                if !self.terminals[terminal].line.down {
                    self.put_down(terminal, said(order, Outcome::Cancelled));
                }
            }
        } else {
            trade.lots = lots(trade.lots.get() - step);
        }
        self.auditor.ledger.disturb(order);
        self.note(format_args!("{}: {ticket} changes by hand", self.terminals[terminal].stream.clone()));
    }

    /// The result is written down and told until the desk has it.
    fn put_down(&mut self, terminal: usize, result: OrderResult) {
        let lost = self.mutant == Some(Mutant::ResultDropped) && self.rng.permille(100);
        let slave = &mut self.terminals[terminal].slave;
        let id = result.order;
        slave.running.remove(&id);
        if let Some(kept) = slave.file.get_mut(&id) {
            (kept.result, kept.told) = (Some(result), lost);
        }
        if !lost && !slave.untold.contains(&id) {
            slave.untold.push_back(id);
        }
    }

    /// The next result that is not under way.
    pub(super) fn next_result(&mut self, terminal: usize) -> Option<OrderResult> {
        let line = &self.terminals[terminal].line;
        let slave = &self.terminals[terminal].slave;
        let next = slave.untold.iter().find(|id| !line.is_telling(**id))?;
        slave.file.get(next)?.result.clone()
    }

    /// The desk has it, or will never take it.
    pub(super) fn result_told(&mut self, terminal: usize, result: &OrderResult) {
        self.counts.results_told += 1;
        let slave = &mut self.terminals[terminal].slave;
        if let Some(kept) = slave.file.get_mut(&result.order).filter(|kept| kept.result.as_ref() == Some(result)) {
            kept.told = true;
            slave.untold.retain(|id| *id != result.order);
        }
    }

    pub(super) fn forget_orders(&mut self, terminal: usize) {
        let slave = &mut self.terminals[terminal].slave;
        (slave.queue, slave.running, slave.untold) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
    }

    /// What was begun before a crash is looked up at the broker: found, done again where that changes nothing, or not provable.
    pub(super) fn recover_orders(&mut self, terminal: usize) {
        let slave = &self.terminals[terminal].slave;
        let untold = slave.file.values().filter(|kept| kept.result.is_some() && !kept.told);
        let mut untold: Vec<(u64, OrderId)> = untold.map(|kept| (kept.order.seq, kept.order.id)).collect();
        untold.sort_unstable();
        let begun: BTreeSet<OrderId> =
            slave.file.values().filter(|kept| kept.result.is_none()).map(|kept| kept.order.id).collect();
        self.terminals[terminal].slave.untold = untold.into_iter().map(|(_, id)| id).collect();
        for id in begun {
            let slave = &self.terminals[terminal].slave;
            let Some(order) = slave.file.get(&id).map(|kept| kept.order.clone()) else { continue };
            let found = slave.history.get(&id).cloned();
            let readable = !self.rng.permille(self.climate.comments_rewritten);
            let result = match (found, readable) {
                (Some(found), true) => found,
                (None, true) => {
                    // It never got there; and it is put down before anybody can send it again.
                    let result = said(id, Outcome::Rejected);
                    self.terminals[terminal].slave.history.insert(id, result.clone());
                    result
                }
                (found, false) => {
                    if found.is_none() {
                        self.terminals[terminal].slave.history.insert(id, said(id, Outcome::Unknown));
                    }
                    self.counts.unproven_orders += 1;
                    self.auditor.ledger.disturb(opener(&order).unwrap_or(id));
                    said(id, Outcome::Unknown)
                }
            };
            self.put_down(terminal, result);
        }
        self.catch_up(terminal);
    }

    /// Pending orders that went on while the terminal was away.
    fn catch_up(&mut self, terminal: usize) {
        let slave = &self.terminals[terminal].slave;
        let changed = slave.file.iter().filter_map(|(id, kept)| {
            let placed = kept.result.as_ref()?.outcome == Outcome::Placed;
            let now = slave.history.get(id)?;
            (placed && now.outcome != Outcome::Placed).then(|| now.clone())
        });
        let changed: Vec<OrderResult> = changed.collect();
        changed.into_iter().for_each(|result| self.put_down(terminal, result));
    }
}

/// The order that opened what this one is about.
fn opener(order: &Order) -> Option<OrderId> {
    match order.instruction {
        Instruction::Modify { of, .. } | Instruction::Close { of, .. } => Some(of),
        Instruction::Open { .. } => None,
    }
}

fn said(order: OrderId, outcome: Outcome) -> OrderResult {
    let (ticket, price, lots, sl, tp, error) = (None, None, None, None, None, None);
    OrderResult { order, outcome, ticket, price, lots, sl, tp, error, received_at: None, done_at: None }
}
