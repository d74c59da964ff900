//! What follows from the desk's answers.

use super::memory::{Credentials, Record};
use super::say::{Asked, What};
use super::{Output, Phase, RETRY_MIN, Shown, Terminal};
use crate::wire::{self, Answer, Delivery, Direction, Envelope, Place, Refused, Registered, Socket, Welcome, code};
use tidehelm_events::time::{Span, Timestamp};

impl Terminal {
    pub(super) fn take_answer(&mut self, tag: u32, message: &[u8], now: Timestamp) {
        let Ok(envelope) = wire::open(message).and_then(|frame| wire::decode(frame.inner)) else {
            self.counts.answers_unreadable += 1;
            return;
        };
        let Some(asked) = self.asked.get(&tag).filter(|asked| self.is_to(&envelope, asked)) else {
            self.counts.answers_unasked += 1;
            return;
        };
        if !self.is_proven(message, &asked.what) {
            return self.doubt(tag, envelope.body, now);
        }
        self.heard_at = Some(now);
        self.ahead = envelope.sent_at.since(now);
        self.follow(tag, envelope.body, now);
    }

    fn is_to(&self, answer: &Envelope<Answer>, asked: &Asked) -> bool {
        let Envelope { account, role, epoch, seq, .. } = answer;
        let own = &self.settings;
        *account == own.account && *role == own.role && (*epoch, *seq) == (asked.epoch, asked.seq)
    }

    /// A welcome proves nothing and need not: only who has the key can answer the `register` that follows.
    fn is_proven(&self, message: &[u8], what: &What) -> bool {
        let Some(own) = &self.memory.credentials else { return true };
        let place = Place { socket: Socket::Session, direction: Direction::Down, desk: own.desk };
        let by_desk = |frame: wire::Frame<'_>| frame.key() == Some(own.key_id) && frame.is_by(&own.key, &place);
        matches!(what, What::Hello) || wire::open(message).is_ok_and(by_desk)
    }

    /// Anybody may have said it, so nothing follows from it but that it is shown. The request is sent again.
    fn doubt(&mut self, tag: u32, answer: Answer, now: Timestamp) {
        self.counts.answers_unproven += 1;
        if let Some(asked) = self.asked.get_mut(&tag) {
            asked.due = now + self.settings.answer_max;
        }
        self.show(match answer {
            Answer::Refused(refused) => Shown::Refused("unproven", refused),
            _ => Shown::Unproven,
        });
    }

    fn follow(&mut self, tag: u32, answer: Answer, now: Timestamp) {
        if let Answer::Refused(refused) = answer {
            return self.take_refusal(tag, refused, now);
        }
        let Some(asked) = self.asked.remove(&tag) else { return };
        match (asked.what, answer) {
            (What::Hello, Answer::Welcome(welcome)) => self.take_welcome(&welcome, now),
            (What::Pair, Answer::Paired(paired)) => self.take_key(&paired, now),
            (What::Register, Answer::Registered(registered)) => self.take_epoch(&registered, now),
            (What::Signal(seq), Answer::Accepted(_)) => self.signals.taken(seq),
            (What::Result(result), Answer::Accepted(_)) => self.told(&result),
            (What::Next, Answer::Deliveries(deliveries)) => self.take_deliveries(deliveries.list, now),
            (What::Unregister, Answer::Accepted(_)) => self.enter(Phase::Gone),
            (What::Snapshot | What::Ack, Answer::Accepted(_)) => {}
            _ => self.counts.answers_unreadable += 1,
        }
    }

    fn take_welcome(&mut self, welcome: &Welcome, now: Timestamp) {
        if self.memory.credentials.as_ref().is_some_and(|own| own.desk != welcome.desk) {
            self.show(Shown::Unproven);
            return self.retry_later(now);
        }
        self.desk = Some(welcome.desk);
        match (&self.memory.credentials, self.pairing_code.take()) {
            (None, Some(code)) => {
                self.enter(Phase::Pairing);
                self.ask(What::Pair, wire::Pair { code }.into(), now);
            }
            (None, None) | (Some(_), _) => self.register(welcome, now),
        }
    }

    fn register(&mut self, welcome: &Welcome, now: Timestamp) {
        let own = &self.settings;
        let register = wire::Register {
            nonce: welcome.nonce,
            identity: own.identity.clone(),
            holding: own.holding,
            trade_allowed: self.figures.as_ref().is_some_and(|figures| figures.trade_allowed),
            affixes: own.affixes.clone(),
            contracts: own.contracts.clone(),
        };
        self.enter(Phase::Registering);
        self.ask(What::Register, register.into(), now);
    }

    /// Hello is said again, now with the key.
    fn take_key(&mut self, paired: &wire::Paired, now: Timestamp) {
        let Some(desk) = self.desk else { return };
        let (key_id, key) = (paired.key_id, paired.key);
        self.remember(Record::Credentials(Credentials { desk, key_id, key }));
        self.away(now);
        self.retry_at = now;
    }

    fn take_epoch(&mut self, registered: &Registered, now: Timestamp) {
        if let Some(previous) = registered.previous.as_ref().filter(|previous| previous.epoch == self.epoch) {
            self.signals.taken(previous.signal_seq);
        }
        self.signals.renumber();
        self.epoch = registered.epoch;
        (self.session_seq, self.uplink_seq, self.heartbeats) = (0, 0, 0);
        self.acknowledged = wire::Ack { order_seq: 0, config_version: 0 };
        self.heartbeat_every = Span::millis(i64::from(registered.heartbeat_ms.max(10)));
        self.heartbeat_due = now;
        self.retry_after = RETRY_MIN;
        self.enter(Phase::Live);
    }

    fn take_deliveries(&mut self, list: Vec<Delivery>, now: Timestamp) {
        for delivery in list {
            match delivery {
                Delivery::Config(config) if config.version > self.config_version => {
                    self.config_version = config.version;
                    self.show(Shown::Config(Box::new(config)));
                }
                Delivery::Config(_) => {}
                Delivery::Order(order) => self.take_order(*order, now),
                Delivery::RequestSnapshot {} => self.outputs.push_back(Output::ListTrades),
                Delivery::Notice(notice) => self.show(Shown::Notice(notice)),
            }
        }
    }

    fn take_refusal(&mut self, tag: u32, refused: Refused, now: Timestamp) {
        if matches!(refused.code.as_str(), code::UNAVAILABLE | code::TOO_MANY_REQUESTS) {
            if let Some(asked) = self.asked.get_mut(&tag) {
                asked.due = now + Span::seconds(1);
            }
            return;
        }
        let Some(asked) = self.asked.remove(&tag) else { return };
        match refused.code.as_str() {
            code::EPOCH_SUPERSEDED if asked.epoch > 0 => {
                self.show(Shown::Refused("epoch", refused));
                self.away(now);
                self.enter(Phase::Gone);
            }
            code::EPOCH_UNKNOWN if asked.epoch > 0 => self.away(now),
            _ => self.take_other_refusal(asked.what, refused, now),
        }
    }

    fn take_other_refusal(&mut self, what: What, refused: Refused, now: Timestamp) {
        match what {
            What::Hello | What::Register => {
                self.show(Shown::Refused("register", refused));
                self.retry_later(now);
            }
            What::Pair => {
                self.show(Shown::Refused("pair", refused));
                self.away(now);
                self.enter(Phase::Gone);
            }
            What::Signal(seq) => self.take_signal_refusal(seq, refused),
            What::Result(result) => self.refused_result(&result, refused),
            What::Next if refused.code == code::SUPERSEDED => {}
            What::Snapshot | What::Ack | What::Next => self.show(Shown::Refused("session", refused)),
            What::Unregister => self.enter(Phase::Gone),
        }
    }

    fn take_signal_refusal(&mut self, seq: u64, refused: Refused) {
        match refused.expected {
            Some(expected) if refused.code == code::SIGNAL_GAP => self.again(expected),
            _ => {
                self.signals.drop_refused(seq);
                self.forget_signals_asked();
                self.show(Shown::Refused("signal", refused));
                // What the desk would not hear of, it learns from the whole.
                self.outputs.push_back(Output::ListTrades);
            }
        }
    }

    fn again(&mut self, expected: u64) {
        self.signals.again_from(expected);
        self.forget_signals_asked();
    }

    /// Their numbers are no longer what they were.
    fn forget_signals_asked(&mut self) {
        self.asked.retain(|_, asked| !matches!(asked.what, What::Signal(_)));
    }
}
