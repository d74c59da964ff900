//! The terminal's end of the conversation as a step machine: what happens goes in, what is to be done comes out. No clock, no
//! socket, no file, no thread.
//!
//! Whoever runs it calls the inputs as things happen, then takes [`Terminal::poll`] until it is empty and does what each output
//! says, in order; and calls [`Terminal::tick`] at [`Terminal::due`].
//!
//! What it promises: each order is executed at most once, however often the desk offers it, since its intent is remembered
//! before and its result after; signals arrive at the desk in order and once; what has no answer is said again with the same
//! bytes; a desk that is silent for too long gets no new positions opened.

mod hear;
mod memory;
mod orders;
mod say;
mod signals;
#[cfg(test)]
pub(crate) mod tests;

pub use memory::{Credentials, Recollection, Record, Remembered};

use crate::wire::{self, Codec, Config, Held, Identity, Notice, Quote, Refused};
use orders::Orders;
use say::Asked;
use signals::Signals;
use std::collections::{BTreeMap, VecDeque};
use tidehelm_events::account::StateHash;
use tidehelm_events::id::{AccountId, DeskId, Role};
use tidehelm_events::money::{Lots, Money};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Affixes, Change, Contract, Holding, Order, OrderId, OrderResult, Symbol, Ticket};

/// What a terminal is told before it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    pub account: AccountId,
    pub role: Role,
    pub identity: Identity,
    pub holding: Holding,
    pub affixes: Affixes,
    pub contracts: BTreeMap<Symbol, Contract>,
    pub codec: Codec,
    /// How long a poll waits for something.
    pub poll_ms: u32,
    /// What has no answer for so long is said again.
    pub answer_max: Span,
    /// A desk that is silent for so long gets no new positions opened.
    pub silence_max: Span,
    /// No order opens more than this, whatever the desk says.
    pub lots_max: Option<Lots>,
    /// Nothing is opened while there are so many.
    pub positions_max: Option<u32>,
    /// How many orders may be with the broker at a time.
    pub executions_max: usize,
}

impl Settings {
    pub fn new(account: AccountId, role: Role, identity: Identity) -> Self {
        Settings {
            account,
            role,
            identity,
            holding: Holding::Hedging,
            affixes: Affixes::default(),
            contracts: BTreeMap::new(),
            codec: Codec::Binary,
            poll_ms: 10_000,
            answer_max: Span::seconds(5),
            silence_max: Span::seconds(30),
            lots_max: None,
            positions_max: None,
            executions_max: 8,
        }
    }
}

/// The account as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub open_positions: u32,
    pub trade_allowed: bool,
    /// `tidehelm_events::trade::hash::state_hash` of all that the account holds, with every change that was told before.
    pub state_hash: StateHash,
}

/// Something to do. In this order, each before the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// To be sent on `uplink`. Nobody answers.
    Uplink(Vec<u8>),
    /// To be sent on `session`; the answer goes to [`Terminal::hear`] with the same tag. Several may be under way at once, and
    /// the desk takes them in the order in which they were sent. The tag's top bit is set: it is the id of the REQ.
    Ask { tag: u32, message: Vec<u8> },
    /// To be kept, for [`Recollection::apply`] after a restart. Where [`Record::must_last`] says so, it is on the disk before
    /// the next output is looked at.
    Remember(Record),
    /// To be done by the broker; then [`Terminal::done`].
    Execute(Box<Execution>),
    /// May have been done before a restart: to be looked up in positions, orders and history; then [`Terminal::done`], or
    /// [`Terminal::unproven`].
    Recover(Box<Execution>),
    /// [`Terminal::held`] is to be called with all that the account holds.
    ListTrades,
    /// For the person in front of the terminal.
    Show(Shown),
}

/// An order for the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    pub order: Order,
    /// The ticket of what a modification or a close is about; none where it was forgotten: the broker's comment has the short id.
    pub ticket: Option<Ticket>,
    pub received_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    Phase(Phase),
    Config(Box<Config>),
    Notice(Notice),
    /// The desk said no to something.
    Refused(&'static str, Refused),
    /// The terminal cannot prove what became of an order.
    Unknown(OrderId),
    /// No answer can be had that proves to be the desk's: the key, or another desk.
    Unproven,
}

/// How far the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not connected, or waiting for another try.
    Away,
    /// Hello is said.
    Greeting,
    Pairing,
    Registering,
    Live,
    /// Goodbye is said.
    Leaving,
    /// Unregistered, or another terminal took over. Nothing is said until [`Terminal::resume`].
    Gone,
}

/// How often something was odd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers to nothing that was asked, and second answers.
    pub answers_unasked: u64,
    /// Answers that did not prove to be the desk's.
    pub answers_unproven: u64,
    pub answers_unreadable: u64,
    /// Requests that were sent again.
    pub resent: u64,
    /// Orders that were offered again.
    pub orders_repeated: u64,
}

pub struct Terminal {
    settings: Settings,
    memory: Recollection,
    phase: Phase,
    connected: bool,
    /// Wants to be gone as soon as everything is said.
    leaving: bool,
    pairing_code: Option<String>,
    desk: Option<DeskId>,
    epoch: u64,
    session_seq: u64,
    uplink_seq: u64,
    tag: u32,
    asked: BTreeMap<u32, Asked>,
    signals: Signals,
    orders: Orders,
    snapshot: Option<wire::PositionSnapshot>,
    figures: Option<Figures>,
    config_version: u64,
    /// What was last told with `ack`.
    acknowledged: wire::Ack,
    heartbeat_every: Span,
    heartbeat_due: Timestamp,
    heartbeats: u64,
    /// When hello may be said again, and how long to wait after the next refusal.
    retry_at: Timestamp,
    retry_after: Span,
    heard_at: Option<Timestamp>,
    /// The desk's clock less ours.
    ahead: Span,
    counts: Counts,
    outputs: VecDeque<Output>,
}

const RETRY_MIN: Span = Span::seconds(1);
const RETRY_MAX: Span = Span::seconds(30);

/// Inputs.
impl Terminal {
    pub fn new(settings: Settings, memory: Recollection) -> Self {
        let orders = Orders::after_restart(&memory, settings.holding);
        Terminal {
            settings,
            desk: memory.credentials.as_ref().map(|credentials| credentials.desk),
            memory,
            phase: Phase::Away,
            connected: false,
            leaving: false,
            pairing_code: None,
            epoch: 0,
            session_seq: 0,
            uplink_seq: 0,
            tag: 0,
            asked: BTreeMap::new(),
            signals: Signals::default(),
            orders,
            snapshot: None,
            figures: None,
            config_version: 0,
            acknowledged: wire::Ack { order_seq: 0, config_version: 0 },
            heartbeat_every: Span::seconds(1),
            heartbeat_due: Timestamp::ZERO,
            heartbeats: 0,
            retry_at: Timestamp::ZERO,
            retry_after: RETRY_MIN,
            heard_at: None,
            ahead: Span(0),
            counts: Counts::default(),
            outputs: VecDeque::new(),
        }
    }

    /// `session` has a connection.
    pub fn connected(&mut self, now: Timestamp) {
        if !std::mem::replace(&mut self.connected, true) {
            self.ask_all_again(now);
            self.go_on(now);
        }
    }
    /// `session` has lost its connection.
    pub fn disconnected(&mut self, now: Timestamp) {
        self.connected = false;
        if !matches!(self.phase, Phase::Live | Phase::Gone) {
            self.away(now);
        }
    }
    /// An answer came on `session`.
    pub fn hear(&mut self, tag: u32, message: &[u8], now: Timestamp) {
        self.take_answer(tag, message, now);
        self.go_on(now);
    }
    /// It is later.
    pub fn tick(&mut self, now: Timestamp) {
        self.ask_late_again(now);
        self.go_on(now);
    }
    /// The account is so now. The next heartbeat says it; before the first of these it says nothing to the desk at all.
    pub fn figures(&mut self, figures: Figures) {
        self.figures = Some(figures);
    }
    /// A master's trade changed.
    pub fn changed(&mut self, change: Change, broker_at: Option<Timestamp>, now: Timestamp) {
        self.signals.add(change, broker_at, now);
        self.go_on(now);
    }
    pub fn quoted(&mut self, quote: Quote, now: Timestamp) {
        if self.phase == Phase::Live {
            self.say_on_uplink(quote.into(), now);
        }
    }
    /// The broker is done with an order, or says more of a pending one.
    pub fn done(&mut self, result: OrderResult, now: Timestamp) {
        self.take_result(result);
        self.go_on(now);
    }
    /// What became of an order before the restart cannot be found out.
    pub fn unproven(&mut self, order: OrderId, now: Timestamp) {
        self.give_up(order, now);
        self.go_on(now);
    }
    /// All that the account holds, after [`Output::ListTrades`].
    pub fn held(&mut self, trades: Vec<Held>, now: Timestamp) {
        let through_signal_seq = self.through();
        self.snapshot = Some(wire::PositionSnapshot { trades, through_signal_seq });
        self.go_on(now);
    }
    /// A person typed in a pairing code.
    pub fn pair(&mut self, code: String, now: Timestamp) {
        self.pairing_code = Some(code);
        self.resume(now);
    }
    /// Says goodbye once every signal and every result is told.
    pub fn leave(&mut self, now: Timestamp) {
        self.leaving = true;
        self.go_on(now);
    }
    /// Begins anew after [`Phase::Gone`], or at once after a refusal.
    pub fn resume(&mut self, now: Timestamp) {
        self.leaving = false;
        if self.phase != Phase::Live {
            self.away(now);
            self.retry_at = now;
        }
        self.go_on(now);
    }
}

/// What follows.
impl Terminal {
    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
    /// When [`Terminal::tick`] is to be called next, if nothing happens before.
    pub fn due(&self) -> Option<Timestamp> {
        if !self.connected {
            return None;
        }
        let late = self.asked.values().map(|asked| asked.due).min();
        let other = match self.phase {
            Phase::Away => self.figures.as_ref().map(|_| self.retry_at),
            Phase::Live => Some(self.heartbeat_due),
            Phase::Greeting | Phase::Pairing | Phase::Registering | Phase::Leaving | Phase::Gone => None,
        };
        late.into_iter().chain(other).min()
    }
    pub fn phase(&self) -> Phase {
        self.phase
    }
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    pub fn counts(&self) -> Counts {
        self.counts
    }
    pub fn memory(&self) -> &Recollection {
        &self.memory
    }
    /// Nothing is heard of the desk for too long: nothing new is opened.
    pub fn is_desk_silent(&self, now: Timestamp) -> bool {
        self.heard_at.is_none_or(|heard| now.since(heard) > self.settings.silence_max)
    }
    /// Every signal and every result is with the desk.
    pub fn is_settled(&self) -> bool {
        self.signals.is_empty() && self.orders.is_settled()
    }

    fn show(&mut self, shown: Shown) {
        self.outputs.push_back(Output::Show(shown));
    }
    fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.show(Shown::Phase(phase));
        }
    }
    fn remember(&mut self, record: Record) {
        self.memory.apply(&record);
        self.outputs.push_back(Output::Remember(record));
    }
    /// From the beginning: what was asked in the old epoch is not asked any more.
    fn away(&mut self, now: Timestamp) {
        self.asked.clear();
        self.signals.forget_sent();
        self.orders.forget_sent();
        self.retry_at = self.retry_at.max(now);
        self.enter(Phase::Away);
    }
    fn retry_later(&mut self, now: Timestamp) {
        self.away(now);
        self.retry_at = now + self.retry_after;
        self.retry_after = Span((self.retry_after.0 * 2).min(RETRY_MAX.0));
    }
}
