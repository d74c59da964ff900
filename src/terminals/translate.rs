//! From what a terminal says to what the desk is asked, and back.

use tidehelm_actors::node::{Command, Order};
use tidehelm_events::account::{self, QuoteSeen, Registered, Snapshot, SnapshotTrade};
use tidehelm_events::answer::{Answer, BodyHash, Denial};
use tidehelm_events::id::{CommandId, Principal, StreamId};
use tidehelm_events::time::Timestamp;
use tidehelm_terminal::wire::{self, Envelope, Refused, Request};
use uuid::Uuid;

/// Names the commands of terminals: by account, role, registration and number.
const COMMANDS: Uuid = Uuid::from_u128(0x5f7d_2c11_90aa_4be2_bb1d_0c2f_77e3_1d55);

/// What kind of answer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Registration,
    Signal,
    Other,
}

impl Kind {
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Register(_) => Kind::Registration,
            Request::Signal(_) => Kind::Signal,
            _ => Kind::Other,
        }
    }
}

/// What is told without an answer.
pub fn uplink(envelope: &Envelope<Request>, now: Timestamp) -> Option<Order> {
    let command = match &envelope.body {
        Request::Heartbeat(heartbeat) => account::Command::Heartbeat(heartbeat.seen()),
        Request::Quote(quote) => {
            account::Command::Quote(QuoteSeen { symbol: quote.symbol.clone(), bid: quote.bid, ask: quote.ask })
        }
        _ => return None,
    };
    Some(order(envelope, command, now))
}

/// What is asked, with an id that a repeat of the same bytes has too.
pub fn session(envelope: &Envelope<Request>, message: &[u8], now: Timestamp) -> Option<Order> {
    let command = match &envelope.body {
        Request::Register(register) => account::Command::Register(Box::new(registered(register))),
        Request::Unregister(_) => account::Command::Unregister,
        Request::Signal(signal) => account::Command::Signal(Box::new(account::Signal {
            signal_seq: signal.signal_seq,
            change: signal.change.clone(),
            broker_at: signal.broker_at,
            seen_at: Some(signal.seen_at),
        })),
        Request::PositionSnapshot(snapshot) => account::Command::Snapshot(Box::new(Snapshot {
            trades: snapshot
                .trades
                .iter()
                .map(|held| SnapshotTrade { trade: held.trade.clone(), order: held.order })
                .collect(),
            through_signal_seq: snapshot.through_signal_seq,
        })),
        Request::OrderResult(result) => {
            account::Command::Result { result: Box::new(result.clone()), durable_at: None, sent_at: None }
        }
        Request::Ack(ack) => {
            return Some(order(envelope, account::Command::Ack { order_seq: ack.order_seq }, now));
        }
        Request::Hello(_)
        | Request::Pair(_)
        | Request::Heartbeat(_)
        | Request::Quote(_)
        | Request::RequestConfig(_)
        | Request::Next(_) => return None,
    };
    let mut order = order(envelope, command, now);
    order.id = Some(command_id(envelope));
    order.body = BodyHash::of(inner(message));
    Some(order)
}

/// The bytes without a signature, which is another one under another key.
fn inner(message: &[u8]) -> &[u8] {
    wire::open(message).map_or(message, |frame| frame.inner)
}

fn command_id(envelope: &Envelope<Request>) -> CommandId {
    let Envelope { account, role, epoch, seq, body, .. } = envelope;
    let name = match body {
        Request::Register(register) => format!("{account}/{}/register/{}", role.as_str(), register.nonce.to_hex()),
        _ => format!("{account}/{}/{epoch}/{seq}", role.as_str()),
    };
    CommandId(Uuid::new_v5(&COMMANDS, name.as_bytes()))
}

fn order(envelope: &Envelope<Request>, command: account::Command, now: Timestamp) -> Order {
    Order {
        to: StreamId::Account(envelope.role, envelope.account.clone()),
        command: Command::Account(command),
        by: Principal::Terminal,
        id: None,
        body: BodyHash(0),
        expected: None,
        occurred_at: if envelope.sent_at == Timestamp::ZERO { now } else { envelope.sent_at },
        received_at: now,
    }
}

fn registered(register: &wire::Register) -> Registered {
    let identity = &register.identity;
    Registered {
        platform: identity.platform.clone(),
        broker: identity.broker.clone(),
        server: identity.server.clone(),
        name: identity.name.clone(),
        currency: identity.currency.clone(),
        leverage: identity.leverage,
        trade_allowed: register.trade_allowed,
        ea_version: identity.ea_version.clone(),
        holding: register.holding,
        affixes: register.affixes.clone(),
        contracts: register.contracts.clone(),
        epoch: 0,
    }
}

/// What the terminal is told of an answer that is none of its own kind.
pub fn answered(answer: &Answer) -> wire::Answer {
    match answer {
        Answer::Done { last, changed, .. } => wire::Accepted { position: changed.then_some(*last) }.into(),
        Answer::Refused(denial) => refused(denial, None).into(),
    }
}

pub fn refused(denial: &Denial, expected: Option<u64>) -> Refused {
    let code = match denial.code.as_str() {
        "command_id_reused" => wire::code::SEQ_REUSED,
        code => code,
    };
    Refused { code: code.into(), detail: denial.detail.clone(), field: denial.field.clone(), expected }
}
