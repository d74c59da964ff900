//! What is said when, and said again.

use super::{Output, Phase, Terminal};
use crate::wire::{self, Direction, Envelope, Heartbeat, Place, Request, Socket};
use tidehelm_events::id::Role;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::OrderResult;

/// Who an account is, is said in every so many heartbeats.
const IDENTITY_EVERY: u64 = 30;
const TAG_TOP: u32 = 1 << 31;

/// A request that has no answer yet.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) what: What,
    /// As it was sent; said again, it is the same.
    message: Vec<u8>,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    /// When it is to be sent again.
    pub(super) due: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Hello,
    Pair,
    Register,
    Signal(u64),
    Result(Box<OrderResult>),
    Snapshot,
    Ack,
    Next,
    Unregister,
}

impl Terminal {
    /// Does what there is to do: after every input.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        self.work(now);
        if !self.connected {
            return;
        }
        match self.phase {
            Phase::Away if self.leaving && self.is_settled() => self.enter(Phase::Gone),
            // Who registers says whether trade is allowed: that must be known.
            Phase::Away if now >= self.retry_at && self.figures.is_some() => {
                self.enter(Phase::Greeting);
                self.ask(What::Hello, wire::Hello {}.into(), now);
            }
            Phase::Live => self.converse(now),
            Phase::Away | Phase::Greeting | Phase::Pairing | Phase::Registering | Phase::Leaving | Phase::Gone => {}
        }
    }

    fn converse(&mut self, now: Timestamp) {
        while let Some(signal) = self.signals.take_next() {
            self.ask(What::Signal(signal.signal_seq), signal.into(), now);
        }
        while let Some(result) = self.next_untold() {
            self.ask(What::Result(Box::new(result.clone())), result.into(), now);
        }
        if self.signals.is_empty()
            && let Some(snapshot) = self.snapshot.take()
        {
            self.ask(What::Snapshot, snapshot.into(), now);
        }
        if self.leaving && self.is_settled() {
            self.enter(Phase::Leaving);
            return self.ask(What::Unregister, wire::Unregister {}.into(), now);
        }
        if !self.asked.values().any(|asked| matches!(asked.what, What::Next)) {
            let (wait_ms, order_seq) = (self.settings.poll_ms, self.orders.received_through(&self.memory));
            let next = wire::Next { wait_ms, order_seq, config_version: self.config_version };
            self.ask(What::Next, next.into(), now);
        }
        if now >= self.heartbeat_due {
            self.acknowledge(now);
            self.heartbeat(now);
        }
    }

    fn acknowledge(&mut self, now: Timestamp) {
        let order_seq = self.orders.done_through(&self.memory);
        let ack = wire::Ack { order_seq, config_version: self.config_version };
        if ack != self.acknowledged {
            self.acknowledged = ack.clone();
            self.ask(What::Ack, ack.into(), now);
        }
    }

    fn heartbeat(&mut self, now: Timestamp) {
        self.heartbeat_due = now + self.heartbeat_every;
        let Some(figures) = self.figures.clone() else { return };
        let identity = self.heartbeats.is_multiple_of(IDENTITY_EVERY).then(|| self.settings.identity.clone());
        self.heartbeats += 1;
        let heartbeat = Heartbeat {
            balance: figures.balance,
            equity: figures.equity,
            free_margin: figures.free_margin,
            open_positions: figures.open_positions,
            trade_allowed: figures.trade_allowed,
            state_hash: figures.state_hash,
            through_signal_seq: self.through(),
            identity,
        };
        self.say_on_uplink(heartbeat.into(), now);
    }

    /// How far what is told of trades reaches: the last signal, or the last order that was carried out.
    pub(super) fn through(&self) -> u64 {
        match self.settings.role {
            Role::Master => self.signals.last_seq(),
            Role::Slave => self.orders.done_through(&self.memory),
        }
    }

    pub(super) fn say_on_uplink(&mut self, body: Request, now: Timestamp) {
        self.uplink_seq += 1;
        let frame = self.frame(Socket::Uplink, (self.epoch, self.uplink_seq), body, now);
        self.outputs.push_back(Output::Uplink(frame));
    }

    pub(super) fn ask(&mut self, what: What, body: Request, now: Timestamp) {
        self.session_seq += 1;
        self.tag = self.tag.wrapping_add(1) | TAG_TOP;
        let seq = self.session_seq;
        let epoch = if matches!(what, What::Hello | What::Pair | What::Register) { 0 } else { self.epoch };
        let message = self.frame(Socket::Session, (epoch, seq), body, now);
        self.outputs.push_back(Output::Ask { tag: self.tag, message: message.clone() });
        let due = now + self.patience(&what);
        self.asked.insert(self.tag, Asked { what, message, epoch, seq, due });
    }

    fn patience(&self, what: &What) -> Span {
        match what {
            What::Next => Span(self.settings.answer_max.0 + Span::millis(i64::from(self.settings.poll_ms)).0),
            _ => self.settings.answer_max,
        }
    }

    fn frame(&self, socket: Socket, (epoch, seq): (u64, u64), body: Request, now: Timestamp) -> Vec<u8> {
        let (account, role) = (self.settings.account.clone(), self.settings.role);
        let envelope = Envelope { account, role, epoch, seq, sent_at: now, body };
        let inner = wire::encode(&envelope, self.settings.codec);
        match &self.memory.credentials {
            None => inner,
            Some(own) => {
                wire::sign(&inner, own.key_id, &own.key, &Place { socket, direction: Direction::Up, desk: own.desk })
            }
        }
    }

    /// After a new connection: what the old one may have lost, in the same order. A poll is asked anew.
    pub(super) fn ask_all_again(&mut self, now: Timestamp) {
        self.asked.retain(|_, asked| !matches!(asked.what, What::Next));
        let tags: Vec<u32> = self.asked.keys().copied().collect();
        for tag in tags {
            self.ask_again(tag, now);
        }
    }

    pub(super) fn ask_late_again(&mut self, now: Timestamp) {
        if !self.connected {
            return;
        }
        let late: Vec<u32> = self.asked.iter().filter(|(_, asked)| asked.due <= now).map(|(tag, _)| *tag).collect();
        for tag in late {
            self.ask_again(tag, now);
        }
    }

    /// The same message, under its number. What the account held is an exception: the desk has taken in results since, and
    /// would take what is not in the old list for gone, so that it is listed anew.
    fn ask_again(&mut self, tag: u32, now: Timestamp) {
        let Some(what) = self.asked.get(&tag).map(|asked| asked.what.clone()) else { return };
        self.counts.resent += 1;
        if matches!(what, What::Snapshot) {
            self.asked.remove(&tag);
            return self.outputs.push_back(Output::ListTrades);
        }
        let due = now + self.patience(&what);
        let Some(asked) = self.asked.get_mut(&tag) else { return };
        asked.due = due;
        self.outputs.push_back(Output::Ask { tag, message: asked.message.clone() });
    }
}
