//! Carries the desk's orders to the broker, and finds out what became of them where no answer comes.

use crate::fleet::broker::{Answer, Broker, By, Done, Past, Reject, Request, Tag, What};
use crate::fleet::house::Comments;
use crate::fleet::market::exact;
use std::collections::BTreeMap;
use tidehelm_events::id::AccountId;
use tidehelm_events::money::Lots;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Entry, Holding, Instruction, OrderId, OrderResult, Outcome, Side, Symbol, Ticket};
use tidehelm_terminal::terminal::{Execution, Terminal};

/// An answer that does not come for so long is not waited for: the account is looked at.
const ANSWER_MAX: Span = Span::seconds(12);
/// A close or a modification is tried so often; an entry as often as the desk says.
const TRIES_MAX: u32 = 20;

/// What an executor keeps beside the terminal's own memory.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    /// What orders opened and what is left of it, where positions are netted.
    pieces: BTreeMap<OrderId, Piece>,
    /// A position's volume before a close was sent.
    before: BTreeMap<OrderId, Lots>,
    /// Orders that wait at the broker.
    pending: BTreeMap<Ticket, OrderId>,
    /// What opened a position.
    opener: BTreeMap<Ticket, OrderId>,
}

#[derive(Debug, Clone)]
struct Piece {
    symbol: Symbol,
    side: Side,
    left: Lots,
}

#[derive(Debug)]
struct Job {
    execution: Execution,
    tries: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked {
        request: u64,
        until: Timestamp,
    },
    /// To be tried again then.
    Again {
        at: Timestamp,
    },
    /// To be looked up once nothing is on its way to the broker.
    Lost,
}

#[derive(Debug)]
pub(super) struct Executor {
    pub(super) file: File,
    jobs: BTreeMap<OrderId, Job>,
    requests: BTreeMap<u64, OrderId>,
}

impl Executor {
    pub(super) fn new(file: File) -> Self {
        Executor { file, jobs: BTreeMap::new(), requests: BTreeMap::new() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        let due = |job: &Job| match job.stage {
            Stage::Asked { until, .. } => until,
            Stage::Again { at } => at,
            Stage::Lost => Timestamp::ZERO,
        };
        self.jobs.values().map(due).min()
    }

    /// The order that a position or pending order came from.
    pub(super) fn order_of(&self, ticket: Ticket) -> Option<OrderId> {
        self.file.pending.get(&ticket).or(self.file.opener.get(&ticket)).copied()
    }

    /// What an order is about, as far as that can be said.
    pub(super) fn symbol_of(&self, execution: &Execution) -> Option<Symbol> {
        match &execution.order.instruction {
            Instruction::Open { symbol, .. } => Some(symbol.clone()),
            Instruction::Modify { of, .. } | Instruction::Close { of, .. } => {
                self.file.pieces.get(of).map(|piece| piece.symbol.clone())
            }
        }
    }

    pub(super) fn execute(
        &mut self,
        execution: Execution,
        broker: &mut Broker,
        terminal: &mut Terminal,
        now: Timestamp,
    ) {
        let job = Job { execution, tries: 0, stage: Stage::Again { at: now } };
        self.attempt(job, broker, terminal, now);
    }

    /// May have been done before a restart.
    pub(super) fn recover(&mut self, execution: Execution) {
        self.jobs.insert(execution.order.id, Job { execution, tries: 0, stage: Stage::Lost });
    }

    pub(super) fn answered(&mut self, answer: Answer, broker: &mut Broker, terminal: &mut Terminal, now: Timestamp) {
        let Some(order) = self.requests.remove(&answer.request) else { return };
        let asked = |job: &Job| matches!(job.stage, Stage::Asked { request, .. } if request == answer.request);
        if !self.jobs.get(&order).is_some_and(asked) {
            return;
        }
        let Some(mut job) = self.jobs.remove(&order) else { return };
        match answer.said {
            Ok(done) => self.finish(&job, done, broker, terminal, now),
            Err(why) if self.is_worth_another_try(&job, why) => {
                job.stage = Stage::Again { at: now + Span::millis(150) };
                self.jobs.insert(order, job);
            }
            Err(why) => self.refuse(&job, why, terminal, now),
        }
    }

    pub(super) fn tick(&mut self, broker: &mut Broker, terminal: &mut Terminal, now: Timestamp) {
        self.look_after_pending(broker, terminal, now);
        let ready = |job: &&Job| match job.stage {
            Stage::Asked { until, .. } => until <= now,
            Stage::Again { at } => at <= now,
            Stage::Lost => true,
        };
        let ready: Vec<OrderId> = self.jobs.values().filter(ready).map(|job| job.execution.order.id).collect();
        for order in ready {
            let Some(job) = self.jobs.remove(&order) else { continue };
            match job.stage {
                Stage::Again { .. } => self.attempt(job, broker, terminal, now),
                Stage::Asked { .. } | Stage::Lost if broker.is_idle() => self.look_up(job, broker, terminal, now),
                Stage::Asked { .. } | Stage::Lost => {
                    self.jobs.insert(order, job);
                }
            }
        }
    }

    fn attempt(&mut self, mut job: Job, broker: &mut Broker, terminal: &mut Terminal, now: Timestamp) {
        let order = job.execution.order.id;
        if self.waits_for_another(&job) {
            job.stage = Stage::Again { at: now + Span::millis(20) };
            self.jobs.insert(order, job);
            return;
        }
        // What it is about may have come out of a pending order just now.
        self.look_after_pending(broker, terminal, now);
        let Some(request) = self.request(&job.execution, broker) else {
            return self.say(&job, Outcome::Nothing, Done::default(), None, terminal, now);
        };
        if let Request::Close { ticket, .. } = &request {
            let before = broker.trade(*ticket).map(|trade| trade.lots);
            self.file.before.extend(before.map(|lots| (order, lots)));
        }
        let number = broker.send(now, request, Some(tag(&job.execution)));
        job.tries += 1;
        job.stage = Stage::Asked { request: number, until: now + ANSWER_MAX };
        self.requests.insert(number, order);
        self.jobs.insert(order, job);
    }

    /// An earlier order about the same position is under way, or the one that opens it: what it leaves is not known yet.
    fn waits_for_another(&self, job: &Job) -> bool {
        let (own, seq) = (about(&job.execution), job.execution.order.seq);
        let concerns = |other: &Job| about(&other.execution) == own || Some(other.execution.order.id) == own;
        own.is_some() && self.jobs.values().any(|other| other.execution.order.seq < seq && concerns(other))
    }

    /// What to ask of the broker; none where there is nothing to close or modify.
    fn request(&self, execution: &Execution, broker: &Broker) -> Option<Request> {
        let short = execution.order.id.short();
        match &execution.order.instruction {
            Instruction::Open {
                symbol,
                side,
                entry,
                lots,
                price,
                sl,
                tp,
                slippage_max,
                magic,
                comment,
                expires_at,
                ..
            } => {
                let (symbol, comment) = (symbol.clone(), format!("{short} {comment}"));
                let (side, lots, sl, tp, magic) = (*side, *lots, *sl, *tp, *magic);
                Some(match entry {
                    Entry::Market => {
                        let near = slippage_max.map(|far| (*price, far));
                        Request::Deal { symbol, side, lots, near, sl, tp, magic, comment }
                    }
                    Entry::Limit | Entry::Stop => {
                        let (entry, price, expires_at) = (*entry, *price, *expires_at);
                        Request::Place { symbol, side, entry, lots, price, sl, tp, magic, comment, expires_at }
                    }
                })
            }
            Instruction::Modify { of, price, sl, tp } => {
                let trade = broker.trade(self.ticket(execution, *of, broker)?)?;
                let price = price.filter(|_| trade.entry.is_pending());
                Some(Request::Modify { ticket: trade.ticket, price, sl: *sl, tp: *tp })
            }
            Instruction::Close { of, lots } => self.closing(execution, *of, *lots, &short, broker),
        }
    }

    fn closing(
        &self,
        execution: &Execution,
        of: OrderId,
        lots: Option<Lots>,
        short: &str,
        broker: &Broker,
    ) -> Option<Request> {
        let trade = execution.ticket.or_else(|| found(broker, of)).and_then(|ticket| broker.trade(ticket));
        if let Some(trade) = trade.filter(|trade| trade.entry.is_pending()) {
            return Some(Request::Cancel { ticket: trade.ticket });
        }
        if broker.holding == Holding::Hedging {
            let trade = trade?;
            return Some(Request::Close { ticket: trade.ticket, lots: lots.filter(|lots| *lots < trade.lots) });
        }
        let piece = self.file.pieces.get(&of).filter(|piece| piece.left > Lots::ZERO)?;
        Some(Request::Deal {
            symbol: piece.symbol.clone(),
            side: piece.side.opposite(),
            lots: lots.map_or(piece.left, |lots| lots.min(piece.left)),
            near: None,
            sl: None,
            tp: None,
            magic: 0,
            comment: short.into(),
        })
    }

    /// What a modification is about: where positions are netted, whatever its symbol has.
    fn ticket(&self, execution: &Execution, of: OrderId, broker: &Broker) -> Option<Ticket> {
        let own = execution.ticket.or_else(|| found(broker, of));
        if own.is_some_and(|own| broker.trade(own).is_some()) || broker.holding == Holding::Hedging {
            return own;
        }
        let piece = self.file.pieces.get(&of).filter(|piece| piece.left > Lots::ZERO)?;
        let of_symbol = broker.trades().find(|trade| trade.symbol == piece.symbol && !trade.entry.is_pending());
        of_symbol.map(|trade| trade.ticket)
    }

    fn is_worth_another_try(&self, job: &Job, why: Reject) -> bool {
        match &job.execution.order.instruction {
            Instruction::Open { retries_max, .. } => why.passes() && job.tries <= u32::from(*retries_max),
            // A pending order that is filled while it is being cancelled is a position, which can be closed.
            Instruction::Close { .. } => (why.passes() || why == Reject::UnknownTicket) && job.tries < TRIES_MAX,
            Instruction::Modify { .. } => why.passes() && job.tries < TRIES_MAX,
        }
    }

    /// The broker did it.
    fn finish(&mut self, job: &Job, done: Done, broker: &Broker, terminal: &mut Terminal, now: Timestamp) {
        let order = job.execution.order.id;
        let outcome = match &job.execution.order.instruction {
            Instruction::Open { entry: Entry::Market, symbol, side, lots, .. } => {
                self.opened(order, symbol, *side, &done);
                if done.lots < *lots { Outcome::Partial } else { Outcome::Filled }
            }
            Instruction::Open { .. } => {
                self.file.pending.extend(done.ticket.map(|ticket| (ticket, order)));
                Outcome::Placed
            }
            Instruction::Modify { .. } => Outcome::Filled,
            Instruction::Close { of, .. } => {
                self.closed(*of, &done, broker);
                Outcome::Filled
            }
        };
        self.say(job, outcome, done, None, terminal, now);
    }

    fn opened(&mut self, order: OrderId, symbol: &Symbol, side: Side, done: &Done) {
        self.file.pieces.insert(order, Piece { symbol: symbol.clone(), side, left: done.lots });
        self.file.opener.extend(done.ticket.map(|ticket| (ticket, order)));
    }

    fn closed(&mut self, of: OrderId, done: &Done, broker: &Broker) {
        if let Some(ticket) = done.ticket.filter(|ticket| broker.trade(*ticket).is_none()) {
            self.file.pending.remove(&ticket);
            self.file.opener.remove(&ticket);
        }
        let Some(piece) = self.file.pieces.get_mut(&of) else { return };
        piece.left = exact(Lots::new((piece.left.get() - done.lots.get()).max(Lots::ZERO.get())));
        if piece.left == Lots::ZERO {
            self.file.pieces.remove(&of);
        }
    }

    fn refuse(&mut self, job: &Job, why: Reject, terminal: &mut Terminal, now: Timestamp) {
        let entry = job.execution.order.instruction.is_entry();
        let outcome = if why == Reject::UnknownTicket && !entry { Outcome::Nothing } else { Outcome::Rejected };
        self.say(job, outcome, Done::default(), Some(why.to_string()), terminal, now);
    }

    /// No answer came, or the terminal was away. The account and its history say what happened, or nobody does.
    fn look_up(&mut self, job: Job, broker: &mut Broker, terminal: &mut Terminal, now: Timestamp) {
        let order = job.execution.order.id;
        let known = broker.find(&order.short()).cloned();
        match (&job.execution.order.instruction, known) {
            (Instruction::Modify { .. }, _) => self.attempt(job, broker, terminal, now),
            (_, Some(Past { done, .. })) => self.finish(&job, done, broker, terminal, now),
            (Instruction::Close { of, .. }, None) if broker.holding == Holding::Hedging => {
                let of = *of;
                self.compare(job, of, broker, terminal, now);
            }
            (_, None) if broker.house.comments == Comments::SometimesLost => terminal.unproven(order, now),
            (Instruction::Close { .. }, None) => self.attempt(job, broker, terminal, now),
            (Instruction::Open { .. }, None) => {
                let why = "there is no trace of it at the broker".to_string();
                self.say(&job, Outcome::Rejected, Done::default(), Some(why), terminal, now);
            }
        }
    }

    /// A close, by what the position was before and is now.
    fn compare(&mut self, job: Job, of: OrderId, broker: &mut Broker, terminal: &mut Terminal, now: Timestamp) {
        let order = job.execution.order.id;
        let ticket = job.execution.ticket.or_else(|| found(broker, of));
        let left = ticket.and_then(|ticket| broker.trade(ticket)).map(|trade| trade.lots);
        match (self.file.before.get(&order).copied(), left) {
            (Some(before), left) if left.is_none_or(|left| left < before) => {
                let closed = exact(Lots::new(before.get() - left.unwrap_or(Lots::ZERO).get()));
                let done = Done { ticket, lots: closed, ..Done::default() };
                self.finish(&job, done, broker, terminal, now);
            }
            (None, None) | (Some(_), _) => self.attempt(job, broker, terminal, now),
            // It was never sent, or it is to cancel what still waits.
            (None, Some(_)) => self.attempt(job, broker, terminal, now),
        }
    }

    /// Pending orders that were filled, ran out, or were cancelled at the broker's.
    fn look_after_pending(&mut self, broker: &Broker, terminal: &mut Terminal, now: Timestamp) {
        let waits = |ticket: &Ticket| broker.trade(*ticket).is_some_and(|trade| trade.entry.is_pending());
        let over: Vec<(Ticket, OrderId)> =
            self.file.pending.iter().filter(|(ticket, _)| !waits(ticket)).map(|(a, b)| (*a, *b)).collect();
        for (ticket, order) in over {
            self.file.pending.remove(&ticket);
            let result = |outcome, lots, price| OrderResult {
                order,
                outcome,
                ticket: Some(ticket),
                price,
                lots,
                sl: None,
                tp: None,
                error: None,
                received_at: None,
                done_at: Some(now),
            };
            match became(broker, ticket) {
                Some((What::Triggered { lots, .. }, Some((symbol, side, price)))) => {
                    let done = Done { ticket: Some(ticket), lots, price: Some(price), sl: None, tp: None };
                    self.opened(order, &symbol, side, &done);
                    terminal.done(result(Outcome::Filled, Some(lots), Some(price)), now);
                }
                Some((What::Withdrawn { by: By::Expiry, .. }, _)) => {
                    terminal.done(result(Outcome::Expired, None, None), now);
                }
                _ => {}
            }
        }
    }

    fn say(
        &mut self,
        job: &Job,
        outcome: Outcome,
        done: Done,
        error: Option<String>,
        terminal: &mut Terminal,
        now: Timestamp,
    ) {
        let order = job.execution.order.id;
        self.file.before.remove(&order);
        let lots = Some(done.lots).filter(|lots| *lots > Lots::ZERO);
        let Done { ticket, price, sl, tp, .. } = done;
        let (received_at, done_at) = (Some(job.execution.received_at), Some(now));
        let result = OrderResult { order, outcome, ticket, price, lots, sl, tp, error, received_at, done_at };
        terminal.done(result, now);
    }
}

type Deal = (Symbol, Side, tidehelm_events::money::Price);

/// How a pending order ended, as the account's history says, and the deal that it led to.
fn became(broker: &Broker, ticket: Ticket) -> Option<(What, Option<Deal>)> {
    let executions = broker.executions();
    let at = executions.iter().rposition(|execution| match &execution.what {
        What::Triggered { ticket: known, .. } | What::Withdrawn { ticket: known, .. } => *known == ticket,
        _ => false,
    })?;
    let deal = executions.get(at + 1).and_then(|next| match &next.what {
        What::Dealt { symbol, side, price, by: By::Pending, .. } => Some((symbol.clone(), *side, *price)),
        _ => None,
    });
    Some((executions[at].what.clone(), deal))
}

/// The order that opened what this one is about.
fn about(execution: &Execution) -> Option<OrderId> {
    match execution.order.instruction {
        Instruction::Modify { of, .. } | Instruction::Close { of, .. } => Some(of),
        Instruction::Open { .. } => None,
    }
}

fn found(broker: &Broker, order: OrderId) -> Option<Ticket> {
    broker.find(&order.short()).and_then(|past| past.done.ticket)
}

fn tag(execution: &Execution) -> Tag {
    let order = &execution.order;
    // What the desk does of its own accord copies nobody's trade.
    let nobody = || exact(AccountId::new("desk"));
    Tag {
        order: order.id,
        master: order.master.clone().unwrap_or_else(nobody),
        ticket: order.ticket.unwrap_or(Ticket(0)),
        opens: order.instruction.is_entry(),
    }
}
