//! What one terminal is owed: wanted state, so that nothing is lost with a message that did not arrive.
//!
//! A terminal says with each poll which order it has: later ones are news, however often they were sent. One that does not say
//! it is offered an order once on each connection of each registration, and again after a while without a result. Either way
//! the terminal carries out each id once.

use std::collections::BTreeMap;
use tidehelm_events::account::{Account, Config};
use tidehelm_events::copy::StopDegree;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::Order;
use tidehelm_terminal::wire::{self, Delivery};

/// An answer to a poll has at most so many orders; the next one brings more.
const ORDERS_MAX: usize = 64;
/// What has no result for so long is offered again.
const OFFER_AGAIN: Span = Span::seconds(20);
/// What has no number cannot be told from what the terminal has, and no result of it can be recorded yet: it is offered so often,
/// whatever becomes of connections.
const UNNUMBERED_AGAIN: Span = Span::seconds(2);

/// What a terminal says that it has; zeros where it says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Has {
    pub order_seq: u64,
    pub config_version: u64,
}

#[derive(Debug, Default)]
pub struct Seat {
    pub epoch: u64,
    /// The registration before, and its last signal.
    pub previous: Option<(u64, u64)>,
    /// A heartbeat came in this registration: only then is the terminal ready for its configuration.
    heard: bool,
    config: Option<Box<Config>>,
    config_told: u64,
    /// The highest number that the log gave to an order, and the highest one of a terminal that the log was told of.
    order_seq: u64,
    ahead: u64,
    outbox: BTreeMap<u64, Issued>,
    /// What went out beside the log, until the log has it.
    unnumbered: Vec<Issued>,
    snapshot_wanted: bool,
    snapshot_asked: Option<Timestamp>,
    /// The connection of the last poll.
    pipe: Option<u64>,
}

#[derive(Debug)]
struct Issued {
    order: Box<Order>,
    durable_at: Timestamp,
    /// First time, and last time.
    sent_at: Option<(Timestamp, Timestamp)>,
}

impl Seat {
    /// The seat of a terminal as the log has it.
    pub fn of(account: &Account, now: Timestamp) -> Self {
        let book = account.slave_book.as_deref();
        let issued = |order: &Order| Issued { order: Box::new(order.clone()), durable_at: now, sent_at: None };
        let outbox = book.into_iter().flat_map(|book| book.outbox.iter().map(|(seq, order)| (*seq, issued(order))));
        let wanted = account.master_book.as_ref().map(|book| book.snapshot_wanted);
        let previous = account.master_book.as_ref().and_then(|book| book.previous);
        Seat {
            epoch: account.epoch,
            previous,
            heard: account.is_online(),
            config: Some(Box::new(account.config())),
            order_seq: book.map_or(0, |book| book.order_seq),
            outbox: outbox.collect(),
            snapshot_wanted: wanted.or_else(|| book.map(|book| book.snapshot_wanted)).unwrap_or(false),
            ..Seat::default()
        }
    }

    pub fn registered(&mut self, epoch: u64, previous: Option<(u64, u64)>) {
        let (outbox, unnumbered) = (std::mem::take(&mut self.outbox), std::mem::take(&mut self.unnumbered));
        let (config, snapshot_wanted, order_seq) = (self.config.take(), self.snapshot_wanted, self.order_seq);
        *self = Seat { epoch, previous, config, outbox, unnumbered, snapshot_wanted, order_seq, ..Seat::default() };
        self.offer_all_again();
    }

    /// True where something waits for the terminal because of it.
    pub fn heard(&mut self, epoch: u64) -> bool {
        let first = !self.heard && epoch == self.epoch;
        self.heard |= first;
        first
    }

    pub fn config_is(&mut self, config: Box<Config>) {
        if self.config.as_ref().is_none_or(|known| known.version < config.version) {
            self.config = Some(config);
        }
    }

    pub fn want_snapshot(&mut self) {
        (self.snapshot_wanted, self.snapshot_asked) = (true, None);
    }
    pub fn got_snapshot(&mut self) {
        self.snapshot_wanted = false;
    }

    pub fn issue(&mut self, order: Box<Order>, now: Timestamp) {
        self.unnumbered.retain(|issued| issued.order.id != order.id);
        self.order_seq = self.order_seq.max(order.seq);
        self.outbox.entry(order.seq).or_insert(Issued { order, durable_at: now, sent_at: None });
    }

    /// The terminal knows a number that the log never gave: the log is to know it. Once for each.
    pub fn is_behind(&self, has: Has) -> bool {
        has.order_seq > self.order_seq.max(self.ahead)
    }
    pub fn told_ahead(&mut self, has: Has) {
        self.ahead = has.order_seq;
    }

    /// Orders that the log does not have yet: they end something, and go out all the same.
    pub fn issue_unnumbered(&mut self, orders: Vec<Order>, now: Timestamp) {
        for order in orders {
            let known = self.outbox.values().chain(&self.unnumbered).any(|issued| issued.order.id == order.id);
            if !known && !order.instruction.is_entry() {
                self.unnumbered.push(Issued { order: Box::new(order), durable_at: now, sent_at: None });
            }
        }
    }

    /// Goes on with what the seat before owed beside the log.
    pub fn take_unnumbered(&mut self, before: Seat) {
        let mut issued = before.unnumbered;
        issued.retain(|issued| self.outbox.values().all(|known| known.order.id != issued.order.id));
        self.unnumbered = issued;
    }

    /// The log has all that counts.
    pub fn forget_unnumbered(&mut self) {
        self.unnumbered.clear();
    }

    /// When the order was durable and first sent. It is not offered any more.
    pub fn done(&mut self, seq: u64) -> Option<(Timestamp, Option<Timestamp>)> {
        let issued = self.outbox.remove(&seq)?;
        Some((issued.durable_at, issued.sent_at.map(|(first, _)| first)))
    }

    /// The same, before the result is recorded.
    pub fn times(&self, order: tidehelm_events::trade::OrderId) -> Option<(Timestamp, Option<Timestamp>)> {
        let issued = self.outbox.values().find(|issued| issued.order.id == order)?;
        Some((issued.durable_at, issued.sent_at.map(|(first, _)| first)))
    }

    /// A poll came by this connection: what the last one was told may be lost with it.
    pub fn polled_by(&mut self, pipe: u64) {
        if self.pipe.replace(pipe) != Some(pipe) {
            self.offer_all_again();
        }
    }

    fn offer_all_again(&mut self) {
        self.outbox.values_mut().for_each(|issued| {
            if let Some((_, last)) = &mut issued.sent_at {
                *last = Timestamp::ZERO;
            }
        });
        self.snapshot_asked = None;
        self.config_told = 0;
    }

    /// What is to be told now, and remembered as told. While entries are held, they wait, and what is behind them with them.
    pub fn deliver(&mut self, has: Has, (stopped, held): (Option<StopDegree>, bool), now: Timestamp) -> Vec<Delivery> {
        let mut list = Vec::new();
        if self.heard
            && let Some(config) =
                self.config.as_ref().filter(|config| config.version > self.config_told.max(has.config_version))
        {
            self.config_told = config.version;
            list.push(Delivery::Config(shown(config)));
        }
        if self.snapshot_wanted && self.snapshot_asked.is_none_or(|asked| now.since(asked) > OFFER_AGAIN) {
            self.snapshot_asked = Some(now);
            list.push(Delivery::RequestSnapshot {});
        }
        let due = |issued: &&mut Issued| match has.order_seq {
            0 => issued.sent_at.is_none_or(|(_, last)| now.since(last) > OFFER_AGAIN),
            through => issued.order.seq > through,
        };
        let again = |issued: &&mut Issued| issued.sent_at.is_none_or(|(_, last)| now.since(last) > UNNUMBERED_AGAIN);
        let unnumbered = self.unnumbered.iter_mut().filter(again);
        let goes = |issued: &&mut Issued| !held || !issued.order.instruction.is_entry();
        let numbered = self.outbox.values_mut().filter(due).take_while(goes);
        for issued in unnumbered.chain(numbered).take(ORDERS_MAX) {
            let first = issued.sent_at.map_or(now, |(first, _)| first);
            issued.sent_at = Some((first, now));
            list.push(Delivery::Order(in_time(&issued.order, stopped)));
        }
        list
    }

    /// The configuration, for who asks for it.
    pub fn config(&mut self) -> Option<wire::Config> {
        let config = self.config.as_ref()?;
        self.config_told = config.version;
        Some(shown(config))
    }
}

/// The order as it may be carried out now: one that opens and was stopped meanwhile ran out long ago, by every clock, and the
/// terminal says so.
fn in_time(order: &Order, stopped: Option<StopDegree>) -> Box<Order> {
    let mut order = Box::new(order.clone());
    if stopped.is_some() && order.instruction.is_entry() {
        order.deadline = Some(Timestamp::ZERO);
    }
    order
}

fn shown(config: &Config) -> wire::Config {
    let link = |link: &tidehelm_events::account::LinkConfig| wire::LinkConfig {
        master: link.master.clone(),
        runtime_status: link.runtime_status,
        warnings: link.warnings,
        allow_new_orders: link.allow_new_orders,
    };
    wire::Config {
        version: config.version,
        runtime_status: config.runtime_status,
        warnings: config.warnings,
        allow_new_orders: config.allow_new_orders,
        links: config.links.iter().map(link).collect(),
        lots_max: None,
        positions_max: None,
    }
}
