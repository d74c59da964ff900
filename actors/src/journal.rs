//! The one writer: numbers what is decided, gathers it into commits, and lets nothing out before its commit is durable.
//!
//! A step machine without clock or I/O. A host calls [`Journal::submit`] for each order, [`Journal::seal`] when it may write,
//! and [`Journal::durable`] or [`Journal::forget`] when it knows how that went. At most one commit is in flight.

use crate::evaluations::Evaluations;
use crate::node::{self, Order, Step};
use crate::restore::Restored;
use crate::watch::Watch;
use std::collections::VecDeque;
use std::sync::Arc;
use tidehelm_events::account;
use tidehelm_events::answer::{Answer, Answered, Denial};
use tidehelm_events::commit::{Commit, Head, Reacted, Sealing, pack};
use tidehelm_events::desk;
use tidehelm_events::envelope::{Class, Envelope, Record};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CommandId, Epoch, NodeId, Position, Principal, StreamId, StreamNo, Version};
use tidehelm_events::react::{Effect, Reaction, reactions};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::truth::Truth;

/// How much may be under way. Each bound has its rule.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A commit holds no more events than this; what follows goes into the next one.
    pub batch_events_max: usize,
    /// With more accepted and not yet durable, orders are told to come again; all but the desk's own, which come only once.
    pub open_events_max: usize,
    /// Telemetry alone waits this long for company.
    pub telemetry_wait: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { batch_events_max: 20_000, open_events_max: 100_000, telemetry_wait: Span::millis(20) }
    }
}

/// Why an order got no answer. Nothing of it was recorded; it may be sent again under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the log cannot be written now; send the same command again with the same id")]
    Unavailable,
    #[error("too much is under way; send the same command again in a moment with the same id")]
    Overloaded,
    #[error("the server is stopping; send the same command again with the same id")]
    Stopping,
}

/// An answer that may leave now.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub answer: Answer,
    /// The position that the answer reflects.
    pub position: Position,
}

/// A commit to be written, and where the log must end for it.
#[derive(Debug)]
pub struct Sealed {
    pub commit: Commit,
    pub audit: Vec<Envelope>,
    pub expected: Head,
}

/// What a durable commit lets out.
#[derive(Debug)]
pub struct Released<T> {
    pub replies: Vec<(T, Reply)>,
    pub effects: Vec<Effect>,
    pub batch: Arc<Batch>,
}

/// The events of a durable commit, for those who follow the log.
#[derive(Debug)]
pub struct Batch {
    pub head: Head,
    pub names: Vec<(StreamNo, StreamId)>,
    pub records: Vec<Record>,
    /// No reaction is owed at its end: a snapshot may be taken.
    pub drained: bool,
}

/// Figures about the journal's work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub orders: u64,
    pub refusals: u64,
    pub unrecorded_refusals: u64,
    pub repeats: u64,
    pub events: u64,
    pub commits: u64,
    pub reactions: u64,
    pub reactions_skipped: u64,
    pub overloads: u64,
    pub evaluations: Evaluations,
}

pub struct Journal<T> {
    truth: Truth,
    node: NodeId,
    epoch: Epoch,
    limits: Limits,
    now: Timestamp,
    durable: Head,
    /// Full, and waiting for the commit before them.
    closed: VecDeque<Closed<T>>,
    open: Open<T>,
    flight: Option<Flight<T>>,
    /// Reactions that are decided but not yet worked off, in the order of their causes.
    debts: VecDeque<Reaction>,
    watch: Watch,
    /// When a heartbeat was last turned away: before that, silence may be ours.
    deaf_until: Option<Timestamp>,
    tally: Tally,
    /// A bug that the world must notice: slaves that are offline are not told.
    #[cfg(test)]
    pub(crate) skip_offline: bool,
    /// Another one: what was closed before is forgotten.
    #[cfg(test)]
    pub(crate) forget_growth: bool,
    /// Others: what is made of a decision.
    #[cfg(test)]
    pub(crate) bend: Option<fn(Step, &Order) -> Step>,
}

/// Accepted since the last commit was closed.
struct Open<T> {
    names: Vec<(StreamNo, StreamId)>,
    records: Vec<Record>,
    replies: Vec<(T, Reply)>,
    effects: Vec<Effect>,
    urgent: bool,
    since: Timestamp,
}

/// What one commit will hold, and how far reactions had been worked off when it was full.
struct Closed<T> {
    open: Open<T>,
    reacted: Reacted,
}

struct Flight<T> {
    head: Head,
    batch: Arc<Batch>,
    replies: Vec<(T, Reply)>,
    effects: Vec<Effect>,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Open {
            names: Vec::new(),
            records: Vec::new(),
            replies: Vec::new(),
            effects: Vec::new(),
            urgent: false,
            since: Timestamp::ZERO,
        }
    }
}

impl<T> Journal<T> {
    /// Goes on where the log ends. `head` is what `take_over` said.
    pub fn new(restored: Restored, head: Head, node: NodeId, limits: Limits) -> Self {
        assert_eq!(restored.fold.truth.position(), head.position, "restored up to another position than the log's end");
        let mut journal = Journal {
            watch: Watch::over(&restored.fold.truth),
            truth: restored.fold.truth,
            node,
            epoch: head.epoch,
            limits,
            now: head.committed_at,
            durable: head,
            closed: VecDeque::new(),
            open: Open::default(),
            flight: None,
            debts: restored.debts.into(),
            deaf_until: None,
            tally: Tally::default(),
            #[cfg(test)]
            skip_offline: false,
            #[cfg(test)]
            forget_growth: false,
            #[cfg(test)]
            bend: None,
        };
        journal.work_off();
        journal
    }

    /// The accepted state: for decisions and reactions only, never for people.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }
    pub fn durable_head(&self) -> Head {
        self.durable
    }
    pub fn tally(&self) -> Tally {
        self.tally
    }
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
    pub fn is_flying(&self) -> bool {
        self.flight.is_some()
    }
    pub fn is_idle(&self) -> bool {
        self.flight.is_none() && self.closed.is_empty() && self.open.records.is_empty() && self.open.replies.is_empty()
    }
    pub fn debts(&self) -> usize {
        self.debts.len()
    }
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Decides the order and accepts what follows. The ticket comes back with the reply once that is durable, or at once with
    /// the fault.
    pub fn submit(&mut self, order: Order, ticket: T, now: Timestamp) -> Result<(), (T, Fault)> {
        self.advance(now);
        self.tally.orders += 1;
        if self.under_way() >= self.limits.open_events_max && order.by != Principal::Desk {
            self.tally.overloads += 1;
            if let node::Command::Account(account::Command::Heartbeat(_)) = order.command {
                self.deaf_until = Some(self.now);
            }
            return Err((ticket, Fault::Overloaded));
        }
        self.make_room();
        let answer = self.answer(&order, None, None);
        let position = self.truth.position();
        self.open.replies.push((ticket, Reply { answer, position }));
        self.work_off();
        Ok(())
    }

    /// Accounts whose silence has lasted too long: each is to be asked by [`check_silence`]. After heartbeats were turned away
    /// everybody has a timeout's grace, as after a start.
    pub fn silent(&mut self, now: Timestamp) -> Vec<StreamId> {
        self.advance(now);
        let timeout = self.truth.desk().map_or(Span::default(), |desk| desk.settings.timeout());
        if self.deaf_until.is_some_and(|until| self.now < until + timeout) {
            return Vec::new();
        }
        self.watch.due(&self.truth, self.now)
    }

    /// When the host should seal at the latest; none while nothing waits or a commit is in flight.
    pub fn wants_seal(&self) -> Option<Timestamp> {
        if self.flight.is_some() || self.is_idle() {
            return None;
        }
        if let Some(closed) = self.closed.front() {
            return Some(closed.open.since);
        }
        let full = self.open.records.len() >= self.limits.batch_events_max;
        let at_once = self.open.urgent || full || self.open.records.is_empty();
        Some(if at_once { self.open.since } else { self.open.since + self.limits.telemetry_wait })
    }

    /// Replies that need nothing more to be durable than is.
    pub fn release_ready(&mut self) -> Vec<(T, Reply)> {
        if self.flight.is_none() && self.closed.is_empty() && self.open.records.is_empty() {
            return std::mem::take(&mut self.open.replies);
        }
        Vec::new()
    }

    /// Makes the next commit, if there is something for it and none is in flight.
    pub fn seal(&mut self, now: Timestamp) -> Option<Sealed> {
        self.advance(now);
        if self.flight.is_some() || (self.closed.is_empty() && self.open.records.is_empty()) {
            return None;
        }
        let Closed { open, reacted } = match self.closed.pop_front() {
            Some(closed) => closed,
            None => self.close(),
        };
        let sealing = Sealing { previous: self.durable, now: self.now, node: self.node, epoch: self.epoch, reacted };
        let commit = pack(&open.names, &open.records, &sealing);
        let audit = self.audit_rows(&open.records);
        let drained = reacted == Reacted::all_through(commit.header.last);
        let batch = Arc::new(Batch { head: commit.head(), names: open.names, records: open.records, drained });
        self.flight = Some(Flight { head: commit.head(), batch, replies: open.replies, effects: open.effects });
        self.work_off();
        Some(Sealed { commit, audit, expected: self.durable })
    }

    /// The commit in flight is durable: what waited for it may leave.
    pub fn durable(&mut self) -> Released<T> {
        let Some(flight) = self.flight.take() else { unreachable!("no commit is in flight") };
        self.durable = flight.head;
        self.tally.commits += 1;
        let mut replies = flight.replies;
        replies.extend(self.release_ready());
        Released { replies, effects: flight.effects, batch: flight.batch }
    }

    /// A commit failed or is in doubt: nothing of it leaves, and nothing that was built on it. The journal is of no use after
    /// this; a new one is restored from the log.
    pub fn forget(self) -> Vec<T> {
        let flying = self.flight.into_iter().flat_map(|flight| flight.replies);
        let closed = self.closed.into_iter().flat_map(|closed| closed.open.replies);
        flying.chain(closed).chain(self.open.replies).map(|(ticket, _)| ticket).collect()
    }

    fn under_way(&self) -> usize {
        let closed: usize = self.closed.iter().map(|closed| closed.open.records.len()).sum();
        self.open.records.len() + closed + self.flight.as_ref().map_or(0, |flight| flight.batch.records.len())
    }

    /// Closes the open commit while it is full; what is owed goes into the next one first.
    fn make_room(&mut self) {
        while self.open.records.len() >= self.limits.batch_events_max {
            let closed = self.close();
            self.closed.push_back(closed);
            self.work_off();
        }
    }

    fn close(&mut self) -> Closed<T> {
        Closed { reacted: self.reacted(), open: std::mem::take(&mut self.open) }
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.open.records.is_empty() && self.open.replies.is_empty() {
            self.open.since = self.now;
        }
    }

    /// Steps the stream and accepts the outcome, with the answer's record where the order has an id.
    fn answer(&mut self, order: &Order, causation: Option<Position>, correlation: Option<Position>) -> Answer {
        let chain = Chain { causation, correlation };
        let stream = self.truth.names().number(&order.to);
        let step = node::step(&self.truth, order, stream, self.now);
        #[cfg(test)]
        let step = match self.bend {
            Some(bend) => bend(step, order),
            None => step,
        };
        match step {
            Step::Said(answer) => {
                self.tally.repeats += 1;
                answer
            }
            Step::Refused(denial) => {
                if let (StreamId::Account(role, _), node::Command::Account(command)) = (&order.to, &order.command)
                    && self.truth.is_quarantined(&order.to)
                {
                    self.tally.evaluations.unresolvable(*role, command);
                }
                self.refuse(order, denial, chain)
            }
            Step::Decided { events, effects } => self.accept(order, stream, events, effects, chain),
        }
    }

    fn accept(
        &mut self,
        order: &Order,
        stream: Option<StreamNo>,
        events: Vec<Event>,
        effects: Vec<Effect>,
        chain: Chain,
    ) -> Answer {
        let (before, changed) = (self.truth.position(), !events.is_empty());
        let evaluated = self.count_evaluation(order, &events, &effects);
        let mut root = chain;
        for event in events {
            let stream = stream.unwrap_or_else(|| self.enter(&order.to));
            let position = self.append(order, stream, event, root);
            root.correlation.get_or_insert(position);
        }
        if let Some(account) = self.truth.account(&order.to).filter(|_| evaluated) {
            self.tally.evaluations.cluster(account);
        }
        self.open.effects.extend(effects);
        let last = self.truth.position();
        let first = if changed { before.next() } else { last };
        let answer = Answer::Done { first, last, changed };
        if let Some(id) = order.id {
            self.record_answer(order, id, answer.clone(), root);
        }
        answer
    }

    /// True where a status was worked out.
    fn count_evaluation(&mut self, order: &Order, events: &[Event], effects: &[Effect]) -> bool {
        match (&order.to, &order.command) {
            (StreamId::Account(role, _), node::Command::Account(command)) => {
                self.tally.evaluations.decided(*role, command, events, effects)
            }
            _ => false,
        }
    }

    fn refuse(&mut self, order: &Order, denial: Denial, chain: Chain) -> Answer {
        self.tally.refusals += 1;
        let answer = Answer::Refused(denial);
        match order.id {
            Some(id) => self.record_answer(order, id, answer.clone(), chain),
            None => self.tally.unrecorded_refusals += 1,
        }
        answer
    }

    /// A refusal for a stream that does not exist is kept by the desk, so that a typing error makes no stream.
    fn record_answer(&mut self, order: &Order, id: CommandId, answer: Answer, chain: Chain) {
        let known = self.truth.names().number(&order.to).is_some() && !self.truth.is_quarantined(&order.to);
        let (to, command_id) = match known {
            true => (order.to.clone(), id),
            false => (StreamId::Desk, node::kept_by_desk(order, id)),
        };
        let answered = Answered { principal: order.by.clone(), command_id, body: order.body, answer };
        let stream = self.enter(&to);
        self.append(order, stream, Event::Answered(Box::new(answered)), chain);
    }

    /// The number of the stream; a new one is named in the open commit.
    fn enter(&mut self, to: &StreamId) -> StreamNo {
        let (stream, new) = self.truth.enter(to);
        if new {
            self.open.names.push((stream, to.clone()));
        }
        stream
    }

    fn append(&mut self, order: &Order, stream: StreamNo, event: Event, chain: Chain) -> Position {
        #[cfg(test)]
        let event = if self.forget_growth { without_growth(event) } else { event };
        if self.open.records.is_empty() {
            self.open.since = self.now;
        }
        self.open.urgent |= event.class().is_kept();
        let position = self.truth.position().next();
        let version = self.truth.slot(stream).map_or(Version(1), |slot| slot.version.next());
        let record = Record {
            position,
            stream,
            version,
            occurred_at: order.occurred_at,
            received_at: order.received_at,
            recorded_at: self.now,
            by: order.by.clone(),
            command: order.id,
            causation: chain.causation,
            correlation: chain.correlation.unwrap_or(position),
            event,
        };
        if let Err(unbelievable) = self.truth.apply(&record) {
            unreachable!("the journal made a record that does not follow: {unbelievable}");
        }
        self.debts.extend(reactions(&self.truth, &record));
        match &record.event {
            Event::Account(account::Event::Connected(_)) => self.watch.arm(&self.truth, stream),
            Event::Desk(desk::Event::SettingsChanged(_)) => self.watch = Watch::over(&self.truth),
            _ => {}
        }
        self.open.records.push(record);
        self.tally.events += 1;
        position
    }

    /// Works off reactions into the open commit until it is full.
    fn work_off(&mut self) {
        while self.open.records.len() < self.limits.batch_events_max {
            let Some(reaction) = self.debts.pop_front() else { return };
            self.react(reaction);
        }
    }

    fn react(&mut self, reaction: Reaction) {
        let cause = reaction.through.cause;
        if self.truth.slot_of(&reaction.to).is_some_and(|slot| slot.reacted >= cause) {
            self.tally.reactions_skipped += 1;
            return;
        }
        #[cfg(test)]
        if self.skip_offline && self.truth.account(&reaction.to).is_some_and(|slave| !slave.inputs().online) {
            return;
        }
        let order = Order::once(reaction.to, Principal::Desk, reaction.command, self.now);
        self.tally.reactions += 1;
        self.answer(&order, Some(cause), Some(reaction.correlation));
    }

    fn reacted(&self) -> Reacted {
        match self.debts.front() {
            Some(owed) => Reacted { cause: owed.through.cause, index: owed.through.index - 1 },
            None => Reacted::all_through(self.truth.position()),
        }
    }

    fn audit_rows(&self, records: &[Record]) -> Vec<Envelope> {
        let Some(desk) = self.truth.desk_id() else { return Vec::new() };
        let business = records.iter().filter(|record| record.event.class() == Class::Business);
        business.filter_map(|record| Some(record.envelope(desk, self.truth.names().get(record.stream)?))).collect()
    }
}

/// Where an event stands in a chain of causes.
#[derive(Debug, Clone, Copy)]
struct Chain {
    causation: Option<Position>,
    correlation: Option<Position>,
}

/// A growth that was too small has never been.
#[cfg(test)]
fn without_growth(mut event: Event) -> Event {
    if let Event::Account(account::Event::CopyDecided(decided)) = &mut event
        && decided.plan.rule == tidehelm_events::copy::Rule::GrowthKept
    {
        decided.plan.asked = tidehelm_events::money::Lots::ZERO;
    }
    event
}

/// An order of the desk's own timer: is this account's silence too long?
pub fn check_silence(to: StreamId, now: Timestamp) -> Order {
    Order::once(to, Principal::Desk, node::Command::Account(account::Command::CheckSilence), now)
}
