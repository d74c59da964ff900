//! Terminals at the desk: who may speak, what becomes of what they say, and what they are told. Which transport the bytes came
//! by does not matter here: NNG and HTTP carry the same frames.
//!
//! Bytes come in on the threads of the transports, are checked there (`gate`) and become orders to the desk (`translate`). What
//! goes out is the business of one thread, the hub: it holds a seat for each terminal (`seat`), hears the effects of each durable
//! commit and the desk's answers, and answers what waits. So nothing needs a lock that two of them would want, and an order
//! leaves only after the commit that holds it.

pub mod feed;
mod gate;
mod hub;
pub mod listen;
mod seat;
mod translate;

pub use gate::{Peer, Spoken};
pub use hub::{Hub, Job, Outbound};

use crate::ambient::DeskClock;
use crate::http::auth::Strangers;
use crate::keys::TerminalKeys;
use gate::{Gate, Stranger};
use hub::Waiting;
use seat::Has;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidehelm_actors::desk::Host;
use tidehelm_actors::port::Clock;
use tidehelm_events::id::{DeskId, StreamId};
use tidehelm_terminal::wire::{self, Envelope, Request, Socket};

/// Gives the bytes of an answer to who asked; one that is dropped leaves the request without an answer.
pub type Respond = Box<dyn FnOnce(Vec<u8>) + Send>;

/// Exchanges codes for keys. It waits for the log, so that it runs elsewhere and answers later.
pub trait Pairing: Send + Sync {
    fn pair(&self, asked: Asked, code: String, answer: Box<dyn FnOnce(Result<wire::Paired, wire::Refused>) + Send>);
}

/// Who wants to be paired.
#[derive(Debug, Clone)]
pub struct Asked {
    pub stream: StreamId,
    pub peer: Peer,
}

/// What of the traffic is counted.
#[derive(Debug, Default)]
pub struct Counters {
    pub heartbeats: AtomicU64,
    pub quotes: AtomicU64,
    /// Frames of `uplink` that were old, of another registration, or that the desk had no room for.
    pub uplink_dropped: AtomicU64,
    pub requests: AtomicU64,
    pub refused: AtomicU64,
    pub polls: AtomicU64,
    pub orders_sent: AtomicU64,
    pub configs_sent: AtomicU64,
    /// Terminals that asked for their configuration, masters and slaves.
    pub configs_asked: [AtomicU64; 2],
    /// Those for whom there was none to give.
    pub configs_missing: [AtomicU64; 2],
    pub strangers: AtomicU64,
}

/// All that a transport needs: what comes in, comes in here.
pub struct Terminals {
    host: Host,
    clock: Arc<DeskClock>,
    gate: Gate,
    hub: Outbound,
    pairing: Arc<dyn Pairing>,
    strangers: Arc<Strangers>,
    pub counters: Arc<Counters>,
}

/// What it is made of.
pub struct Parts {
    pub host: Host,
    pub clock: Arc<DeskClock>,
    pub keys: Arc<TerminalKeys>,
    pub desk: DeskId,
    pub hub: Outbound,
    pub pairing: Arc<dyn Pairing>,
    pub strangers: Arc<Strangers>,
}

impl Terminals {
    pub fn new(parts: Parts) -> Self {
        let Parts { host, clock, keys, desk, hub, pairing, strangers } = parts;
        let gate = Gate::new(desk, keys, host.durable.clone(), hub.passes.clone());
        let counters = hub.counters.clone();
        Terminals { host, clock, gate, hub, pairing, strangers, counters }
    }

    /// A message on `uplink`: a frame or a batch of them. Nobody answers; what cannot be believed is counted.
    pub fn uplink(&self, peer: &Peer, message: &[u8]) {
        for frame in wire::split(message) {
            let taken = frame.map_err(Stranger::from).and_then(|frame| self.uplink_frame(peer, frame));
            if let Err(stranger) = taken {
                self.note(peer, &stranger);
            }
        }
    }

    fn uplink_frame(&self, peer: &Peer, frame: &[u8]) -> Result<(), Stranger> {
        let now = self.clock.now();
        let Spoken { envelope, .. } = self.gate.admit(Socket::Uplink, peer, frame)?;
        let stream = StreamId::Account(envelope.role, envelope.account.clone());
        let Some(pass) = self.gate.passes.get(&stream).filter(|pass| pass.follows(envelope.epoch, envelope.seq)) else {
            self.counters.uplink_dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let Some(order) = translate::uplink(&envelope, now) else {
            self.counters.uplink_dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let heartbeat = matches!(envelope.body, Request::Heartbeat(_));
        if self.host.tell(order).is_err() {
            self.counters.uplink_dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let counter = if heartbeat { &self.counters.heartbeats } else { &self.counters.quotes };
        counter.fetch_add(1, Ordering::Relaxed);
        if heartbeat && pass.heard(envelope.epoch) {
            self.hub.send(Job::Heard { stream, epoch: envelope.epoch });
        }
        Ok(())
    }

    /// A request on `session`. Those of one terminal are to be handed over in the order in which it sent them.
    pub fn session(&self, peer: &Peer, message: &[u8], respond: Respond) {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        match self.gate.admit(Socket::Session, peer, message) {
            Ok(spoken) => self.request(peer, spoken, message, respond),
            Err(stranger) => {
                self.note(peer, &stranger);
                respond(self.gate.turn_away(&stranger, message, self.clock.now()));
            }
        }
    }

    fn request(&self, peer: &Peer, spoken: Spoken, message: &[u8], respond: Respond) {
        let now = self.clock.now();
        let stream = StreamId::Account(spoken.envelope.role, spoken.envelope.account.clone());
        let waiting = Waiting { about: spoken.about(), stream: stream.clone(), respond, peer: *peer };
        match &spoken.envelope.body {
            Request::Hello(_) => {
                let nonce = self.gate.nonce(&stream, now);
                waiting.answer(wire::Welcome { desk: self.gate.desk, nonce }.into(), now);
            }
            Request::Pair(pair) => self.pair(peer, pair.code.clone(), stream, waiting),
            Request::Register(register) => match self.gate.use_nonce(&register.nonce, &stream, now) {
                true => self.command(&spoken.envelope, message, now, waiting),
                false => waiting.refuse(
                    wire::code::NONCE_UNKNOWN,
                    "say hello, and register with the nonce of the answer",
                    now,
                ),
            },
            _ => match self.gate.epoch_of(&stream) {
                Some(epoch) if epoch == spoken.envelope.epoch => self.within_epoch(spoken, message, now, waiting),
                Some(epoch) if epoch > spoken.envelope.epoch && spoken.envelope.epoch > 0 => {
                    self.hub.send(Job::Superseded { stream, at: now });
                    waiting.refuse(
                        wire::code::EPOCH_SUPERSEDED,
                        "another terminal registered for this account after this one",
                        now,
                    );
                }
                _ => waiting.refuse(
                    wire::code::EPOCH_UNKNOWN,
                    "this registration is not known; say hello and register",
                    now,
                ),
            },
        }
    }

    fn within_epoch(&self, spoken: Spoken, message: &[u8], now: tidehelm_events::time::Timestamp, waiting: Waiting) {
        match &spoken.envelope.body {
            Request::Next(next) => {
                self.counters.polls.fetch_add(1, Ordering::Relaxed);
                let wait_ms = next.wait_ms.min(wire::WAIT_MS_MAX);
                let (epoch, seq) = (spoken.envelope.epoch, spoken.envelope.seq);
                let has = Has { order_seq: next.order_seq, config_version: next.config_version };
                self.hub.send(Job::Poll { waiting, epoch, seq, wait_ms, has });
            }
            Request::RequestConfig(_) => self.hub.send(Job::ConfigWanted { waiting }),
            _ => self.command(&spoken.envelope, message, now, waiting),
        }
    }

    /// Becomes an order to the desk, which answers once it is durable.
    fn command(
        &self,
        envelope: &Envelope<Request>,
        message: &[u8],
        now: tidehelm_events::time::Timestamp,
        waiting: Waiting,
    ) {
        let Some(mut order) = translate::session(envelope, message, now) else {
            return waiting.refuse("frame_wrong_socket", "heartbeats and quotes go to `uplink`", now);
        };
        self.hub.stamp(&mut order);
        let (hub, kind) = (self.hub.clone(), translate::Kind::of(&envelope.body));
        let answered = move |answer| hub.send(Job::Answered { waiting, kind, answer });
        if let Err(fault) = self.host.call(order, answered) {
            // The order and its answer are gone with the message; the terminal asks again, with the same bytes.
            tracing::debug!(%fault, "a terminal's request was turned away");
        }
    }

    fn pair(&self, peer: &Peer, code: String, stream: StreamId, waiting: Waiting) {
        if !peer.private {
            let why = "pair over TLS or on the desk's own machine: the key must not be read on the way";
            return waiting.refuse("pairing_exposed", why, self.clock.now());
        }
        let clock = self.clock.clone();
        let answered = move |paired: Result<wire::Paired, wire::Refused>| {
            let body = paired.map_or_else(wire::Answer::from, wire::Answer::from);
            waiting.answer(body, clock.now());
        };
        self.pairing.pair(Asked { stream, peer: *peer }, code, Box::new(answered));
    }

    /// The answer to a request of a connection that has too many unanswered ones.
    pub fn too_many(&self, peer: &Peer, message: &[u8]) -> Vec<u8> {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        match self.gate.admit(Socket::Session, peer, message) {
            Ok(spoken) => {
                let detail = "too many requests of this connection wait for an answer; send this one again later";
                spoken.about().refusal(wire::code::TOO_MANY_REQUESTS, detail, now)
            }
            Err(stranger) => self.gate.turn_away(&stranger, message, now),
        }
    }

    /// Orders that end something go out beside the log, which cannot be written.
    pub fn emergency(&self, orders: Vec<(StreamId, Vec<tidehelm_events::trade::Order>)>) {
        self.hub.send(Job::Emergency(orders));
    }
    /// Holds back every entry until the log has answered to a STOP.
    pub fn hold_entries(&self) -> impl Drop + use<> {
        self.hub.hold()
    }
    /// The log has every STOP that was pressed beside it.
    pub fn emergency_over(&self) {
        self.hub.send(Job::EmergencyOver);
    }

    /// A connection of `session` is gone: what waited on it waits no more.
    pub fn gone(&self, pipe: u64) {
        self.hub.send(Job::Gone { pipe });
    }

    fn note(&self, peer: &Peer, stranger: &Stranger) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        if stranger.is_strange() {
            self.counters.strangers.fetch_add(1, Ordering::Relaxed);
            self.strangers.count(&peer.name(), stranger.code());
        }
    }
}
