//! The hub: one thread that knows what every terminal is owed, and answers what waits.
//!
//! It hears of commits in their order, and of the desk's answers after the commit that holds them. Its queue is bounded by what
//! bounds its senders: the effects of open commits, the answers to open orders, and the unanswered requests of connections.

use super::gate::{About, Passes};
use super::seat::{Has, Seat};
use super::translate::{self, Kind};
use super::{Counters, Peer, Respond};
use crate::ambient::DeskClock;
use crate::emergency::Emergency;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tidehelm_actors::durable::Durable;
use tidehelm_actors::journal::{Fault, Reply};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::{Clock, Outlet};
use tidehelm_events::account;
use tidehelm_events::answer::Answer;
use tidehelm_events::copy::StopDegree;
use tidehelm_events::id::StreamId;
use tidehelm_events::react::Effect;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade;
use tidehelm_events::trade::OrderId;
use tidehelm_events::view::Fold;
use tidehelm_terminal::wire;

/// The desk asks terminals for a heartbeat so often.
const HEARTBEAT_MS: u32 = 1_000;
/// A replaced registration that still speaks after so long is another terminal, not a message that was late.
const DUPLICATE_AFTER: Span = Span::seconds(5);

pub enum Job {
    Restored(Vec<(StreamId, Box<Seat>)>, Option<StopDegree>),
    Effects(Vec<Effect>, Timestamp),
    /// Orders that go out beside the log, which cannot be written.
    Emergency(Vec<(StreamId, Vec<trade::Order>)>),
    /// The log has every STOP that was pressed beside it.
    EmergencyOver,
    /// The log has answered to a STOP, or does not: entries that were held back meanwhile go out as it is now.
    StopAnswered,
    Poll {
        waiting: Waiting,
        epoch: u64,
        seq: u64,
        wait_ms: u32,
        has: Has,
    },
    ConfigWanted {
        waiting: Waiting,
    },
    Answered {
        waiting: Waiting,
        kind: Kind,
        answer: Result<Reply, Fault>,
    },
    Heard {
        stream: StreamId,
        epoch: u64,
    },
    Superseded {
        stream: StreamId,
        at: Timestamp,
    },
    Gone {
        pipe: u64,
    },
    Stop,
}

/// A request that waits for its answer.
pub struct Waiting {
    pub about: About,
    pub stream: StreamId,
    pub respond: Respond,
    pub peer: Peer,
}

impl Waiting {
    pub fn answer(self, body: wire::Answer, now: Timestamp) {
        let bytes = self.about.encode(body, now);
        (self.respond)(bytes);
    }
    pub fn refuse(self, code: &str, detail: &str, now: Timestamp) {
        let bytes = self.about.refusal(code, detail, now);
        (self.respond)(bytes);
    }
}

/// When each outstanding order was durable, and when it was first sent.
type Times = HashMap<OrderId, (Timestamp, Option<Timestamp>)>;

/// The way to the hub.
#[derive(Clone)]
pub struct Outbound {
    jobs: mpsc::Sender<Job>,
    pub passes: Passes,
    pub counters: Arc<Counters>,
    emergency: Arc<Emergency>,
    clock: Arc<DeskClock>,
    /// When orders were durable and sent, for the results that come back: by order.
    times: Arc<Mutex<Times>>,
}

impl Outbound {
    pub fn send(&self, job: Job) {
        // The hub outlives the transports; after the end there is nobody to tell.
        let _ = self.jobs.send(job);
    }

    /// Holds back every entry until it is dropped: then until the hub has heard what the log said before.
    pub fn hold(&self) -> Hold {
        self.emergency.hold();
        Hold(self.jobs.clone())
    }

    /// Adds to a result when its order was durable and sent.
    pub fn stamp(&self, order: &mut Order) {
        if let Command::Account(account::Command::Result { result, durable_at, sent_at }) = &mut order.command {
            let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((durable, sent)) = times.get(&result.order) {
                (*durable_at, *sent_at) = (Some(*durable), *sent);
            }
        }
    }
}

pub struct Hold(mpsc::Sender<Job>);

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.send(Job::StopAnswered);
    }
}

impl Outlet for Outbound {
    fn restored(&mut self, fold: &Fold) {
        let now = self.clock.now();
        let seats = fold.truth.accounts().map(|(_, account)| {
            let stream = StreamId::Account(account.role, account.id.clone());
            self.passes.set(&stream, account.epoch);
            (stream, Box::new(Seat::of(account, now)))
        });
        let stopped = fold.truth.desk().and_then(|desk| desk.stopped.as_ref()).map(|stop| stop.degree);
        self.send(Job::Restored(seats.collect(), stopped));
    }
    fn release(&mut self, effects: Vec<Effect>) {
        self.send(Job::Effects(effects, self.clock.now()));
    }
    fn first(&mut self) -> Vec<Order> {
        self.emergency.orders()
    }
}

pub struct Hub {
    jobs: mpsc::Receiver<Job>,
    out: Outbound,
    clock: Arc<DeskClock>,
    durable: Option<Arc<Durable>>,
    host: Option<tidehelm_actors::desk::Host>,
    stopped: Option<StopDegree>,
    seats: HashMap<StreamId, Seat>,
    polls: HashMap<StreamId, Poll>,
    /// When each poll runs out.
    deadlines: BTreeMap<(Timestamp, u64), StreamId>,
    polls_made: u64,
    /// Last poll of each connection, so that what waits on it ends with it.
    by_pipe: HashMap<u64, StreamId>,
    duplicates: HashMap<StreamId, Timestamp>,
}

struct Poll {
    waiting: Waiting,
    epoch: u64,
    seq: u64,
    until: (Timestamp, u64),
    has: Has,
}

impl Hub {
    pub fn new(clock: Arc<DeskClock>, emergency: Arc<Emergency>) -> (Hub, Outbound) {
        let (sender, jobs) = mpsc::channel();
        let out = Outbound {
            jobs: sender,
            passes: Passes::default(),
            counters: Arc::default(),
            emergency,
            clock: clock.clone(),
            times: Arc::default(),
        };
        let hub = Hub {
            jobs,
            out: out.clone(),
            clock,
            durable: None,
            host: None,
            stopped: None,
            seats: HashMap::new(),
            polls: HashMap::new(),
            deadlines: BTreeMap::new(),
            polls_made: 0,
            by_pipe: HashMap::new(),
            duplicates: HashMap::new(),
        };
        (hub, out)
    }

    /// Runs on a thread of its own until it is told to stop.
    pub fn start(mut self, host: tidehelm_actors::desk::Host) -> std::io::Result<std::thread::JoinHandle<()>> {
        self.durable = Some(host.durable.clone());
        self.host = Some(host);
        std::thread::Builder::new().name("terminals".into()).spawn(move || self.run())
    }

    fn run(mut self) {
        loop {
            let wait = self.deadlines.keys().next().map_or(1_000_000, |(at, _)| at.since(self.clock.now()).0);
            match self.jobs.recv_timeout(Duration::from_micros(wait.clamp(0, 1_000_000) as u64)) {
                Ok(Job::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return self.end(),
                Ok(job) => self.take(job),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.run_out();
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Restored(seats, stopped) => self.restored(seats, stopped),
            Job::Effects(effects, at) => self.effects(effects, at),
            Job::Emergency(orders) => self.emergency(orders),
            Job::EmergencyOver => self.emergency_over(),
            Job::StopAnswered => {
                self.out.emergency.release();
                self.serve_all();
            }
            Job::Poll { waiting, epoch, seq, wait_ms, has } => self.poll(waiting, (epoch, seq), wait_ms, has),
            Job::ConfigWanted { waiting } => self.config_wanted(waiting),
            Job::Answered { waiting, kind, answer } => self.answered(waiting, kind, answer),
            Job::Heard { stream, epoch } => {
                if self.seat(&stream).heard(epoch) {
                    self.serve(&stream);
                }
            }
            Job::Superseded { stream, at } => self.superseded(stream, at),
            Job::Gone { pipe } => self.gone(pipe),
            Job::Stop => {}
        }
    }

    fn seat(&mut self, stream: &StreamId) -> &mut Seat {
        if !self.seats.contains_key(stream) {
            self.seats.insert(stream.clone(), Seat::default());
        }
        self.seats.entry(stream.clone()).or_default()
    }

    /// The desk stands somewhere else now; who waits goes on to wait.
    fn restored(&mut self, seats: Vec<(StreamId, Box<Seat>)>, stopped: Option<StopDegree>) {
        self.stopped = stopped;
        let mut before = std::mem::take(&mut self.seats);
        for (stream, mut seat) in seats {
            before.remove(&stream).into_iter().for_each(|before| seat.take_unnumbered(before));
            self.seats.insert(stream, *seat);
        }
        self.out.times.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.serve_all();
    }

    fn serve_all(&mut self) {
        let waiting: Vec<StreamId> = self.polls.keys().cloned().collect();
        waiting.iter().for_each(|stream| self.serve(stream));
    }

    fn effects(&mut self, effects: Vec<Effect>, at: Timestamp) {
        let mut concerned: Vec<StreamId> = Vec::new();
        for effect in effects {
            let stream = match effect {
                Effect::Registered { stream, epoch, previous } => {
                    self.out.passes.set(&stream, epoch);
                    self.seat(&stream).registered(epoch, previous);
                    self.supersede(&stream, epoch);
                    stream
                }
                Effect::ConfigDue { stream, config } => {
                    self.seat(&stream).config_is(config);
                    stream
                }
                Effect::SnapshotDue { stream } => {
                    self.seat(&stream).want_snapshot();
                    stream
                }
                Effect::SnapshotDone { stream } => {
                    self.seat(&stream).got_snapshot();
                    continue;
                }
                Effect::OrderDue { stream, order } => {
                    self.times(|times| times.insert(order.id, (at, None)));
                    self.seat(&stream).issue(order, at);
                    stream
                }
                Effect::OrderDone { stream, order, seq } => {
                    self.times(|times| times.remove(&order));
                    self.seat(&stream).done(seq);
                    continue;
                }
                // The gateway's.
                Effect::VenueAsked { .. } => continue,
                Effect::StopChanged { degree } => {
                    self.stopped = degree;
                    continue;
                }
            };
            if concerned.last() != Some(&stream) {
                concerned.push(stream);
            }
        }
        concerned.iter().for_each(|stream| self.serve(stream));
    }

    fn emergency(&mut self, orders: Vec<(StreamId, Vec<trade::Order>)>) {
        let now = self.clock.now();
        for (stream, orders) in orders {
            self.seat(&stream).issue_unnumbered(orders, now);
            self.serve(&stream);
        }
    }

    fn emergency_over(&mut self) {
        self.seats.values_mut().for_each(Seat::forget_unnumbered);
        self.out.emergency.lift();
    }

    fn times<T>(&self, change: impl FnOnce(&mut Times) -> T) -> T {
        change(&mut self.out.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers the poll of a terminal that has something waiting.
    fn serve(&mut self, stream: &StreamId) {
        let Some(has) = self.polls.get(stream).map(|poll| poll.has) else { return };
        let now = self.clock.now();
        let stopped = self.stopped.max(self.out.emergency.degree());
        let held = self.out.emergency.is_held();
        let list = self.seat(stream).deliver(has, (stopped, held), now);
        if list.is_empty() {
            return;
        }
        let Some(poll) = self.unpark(stream) else { return };
        self.count(&list, now);
        poll.waiting.answer(wire::Deliveries { list }.into(), now);
    }

    fn count(&self, list: &[wire::Delivery], now: Timestamp) {
        let orders = list.iter().filter_map(|delivery| match delivery {
            wire::Delivery::Order(order) => Some(order.id),
            _ => None,
        });
        let (mut sent, mut configs) = (0, 0);
        self.times(|times| {
            for order in orders {
                sent += 1;
                if let Some((_, first)) = times.get_mut(&order) {
                    first.get_or_insert(now);
                }
            }
        });
        configs += list.iter().filter(|delivery| matches!(delivery, wire::Delivery::Config(_))).count() as u64;
        self.out.counters.orders_sent.fetch_add(sent, Ordering::Relaxed);
        self.out.counters.configs_sent.fetch_add(configs, Ordering::Relaxed);
    }

    /// A newer poll of the same registration takes the older one's place.
    fn poll(&mut self, waiting: Waiting, (epoch, seq): (u64, u64), wait_ms: u32, has: Has) {
        let now = self.clock.now();
        let stream = waiting.stream.clone();
        if self.polls.get(&stream).is_some_and(|known| (known.epoch, known.seq) > (epoch, seq)) {
            return waiting.refuse(wire::code::SUPERSEDED, "a newer poll of this terminal waits", now);
        }
        if let Some(older) = self.unpark(&stream) {
            older.waiting.refuse(wire::code::SUPERSEDED, "a newer poll of this terminal waits", now);
        }
        let pipe = waiting.peer.pipe;
        self.seat(&stream).polled_by(pipe);
        self.note_ahead(&stream, has, now);
        self.by_pipe.insert(pipe, stream.clone());
        self.polls_made += 1;
        let until = (now + Span::millis(i64::from(wait_ms)), self.polls_made);
        self.deadlines.insert(until, stream.clone());
        self.polls.insert(stream.clone(), Poll { waiting, epoch, seq, until, has });
        self.serve(&stream);
    }

    /// A terminal knows orders that the log does not have: no number of theirs may be given again.
    fn note_ahead(&mut self, stream: &StreamId, has: Has, now: Timestamp) {
        if !self.seat(stream).is_behind(has) {
            return;
        }
        let ack = Command::Account(account::Command::Ack { order_seq: has.order_seq });
        let order = Order::once(stream.clone(), tidehelm_events::id::Principal::Terminal, ack, now);
        match self.host.as_ref().map(|host| host.tell(order)) {
            Some(Err(fault)) => {
                tracing::debug!(%fault, "that a terminal is ahead was not noted; its next poll says it again")
            }
            _ => self.seat(stream).told_ahead(has),
        }
    }

    fn unpark(&mut self, stream: &StreamId) -> Option<Poll> {
        let poll = self.polls.remove(stream)?;
        self.deadlines.remove(&poll.until);
        self.by_pipe.remove(&poll.waiting.peer.pipe);
        Some(poll)
    }

    /// Polls whose time is over get an empty answer.
    fn run_out(&mut self) {
        let now = self.clock.now();
        while let Some((until, stream)) =
            self.deadlines.first_key_value().map(|(until, stream)| (*until, stream.clone()))
            && until.0 <= now
        {
            self.serve(&stream);
            if let Some(poll) = self.unpark(&stream) {
                poll.waiting.answer(wire::Deliveries { list: Vec::new() }.into(), now);
            }
            self.deadlines.remove(&until);
        }
    }

    fn supersede(&mut self, stream: &StreamId, epoch: u64) {
        let now = self.clock.now();
        self.duplicates.insert(stream.clone(), now);
        if self.polls.get(stream).is_some_and(|poll| poll.epoch < epoch)
            && let Some(poll) = self.unpark(stream)
        {
            let why = "another terminal registered for this account after this one";
            poll.waiting.refuse(wire::code::EPOCH_SUPERSEDED, why, now);
        }
    }

    /// Somebody speaks under a registration that was replaced: said once for each.
    fn superseded(&mut self, stream: StreamId, at: Timestamp) {
        let Some(since) = self.duplicates.get(&stream).copied() else { return };
        if at.since(since) < DUPLICATE_AFTER {
            return;
        }
        self.duplicates.remove(&stream);
        let note = Command::Account(account::Command::NoteStaleEpoch);
        let order = Order::once(stream, tidehelm_events::id::Principal::Desk, note, at);
        if let Some(Err(fault)) = self.host.as_ref().map(|host| host.tell(order)) {
            tracing::debug!(%fault, "a second terminal was not noted");
        }
    }

    fn config_wanted(&mut self, waiting: Waiting) {
        let now = self.clock.now();
        let stream = waiting.stream.clone();
        let list: Vec<_> = self.seat(&stream).config().map(wire::Delivery::Config).into_iter().collect();
        if let StreamId::Account(role, _) = &stream {
            let (asked, missing) = (&self.out.counters.configs_asked, &self.out.counters.configs_missing);
            asked[*role as usize].fetch_add(1, Ordering::Relaxed);
            missing[*role as usize].fetch_add(u64::from(list.is_empty()), Ordering::Relaxed);
        }
        self.count(&list, now);
        waiting.answer(wire::Deliveries { list }.into(), now);
    }

    fn answered(&mut self, waiting: Waiting, kind: Kind, answer: Result<Reply, Fault>) {
        let now = self.clock.now();
        let reply = match answer {
            Ok(reply) => reply,
            Err(fault) => return waiting.refuse(wire::code::UNAVAILABLE, &fault.to_string(), now),
        };
        let stream = waiting.stream.clone();
        let body = match (&reply.answer, kind) {
            (Answer::Done { .. }, Kind::Registration) => self.registration(&stream, now).into(),
            (Answer::Refused(denial), Kind::Signal) if denial.code == wire::code::SIGNAL_GAP => {
                translate::refused(denial, self.next_signal(&stream)).into()
            }
            (answer, _) => translate::answered(answer),
        };
        if matches!(reply.answer, Answer::Refused(_)) {
            self.out.counters.refused.fetch_add(1, Ordering::Relaxed);
        }
        waiting.answer(body, now);
    }

    fn registration(&mut self, stream: &StreamId, now: Timestamp) -> wire::Registered {
        let seat = self.seat(stream);
        let previous = seat.previous.map(|(epoch, signal_seq)| wire::Previous { epoch, signal_seq });
        wire::Registered { epoch: seat.epoch, now, heartbeat_ms: HEARTBEAT_MS, previous }
    }

    /// The signal that would be taken, as far as the log shows it by now. It is never too late: a repeat is answered again.
    fn next_signal(&self, stream: &StreamId) -> Option<u64> {
        let durable = self.durable.as_ref()?;
        durable
            .read(|fold| Some(fold.truth.account(stream)?.master_book.as_ref().map_or(1, |book| book.signal_seq + 1)))
    }

    fn gone(&mut self, pipe: u64) {
        if let Some(stream) = self.by_pipe.get(&pipe).cloned() {
            self.unpark(&stream);
        }
    }

    /// Everybody who waits hears that the desk is going.
    fn end(mut self) {
        let now = self.clock.now();
        let waiting: Vec<StreamId> = self.polls.keys().cloned().collect();
        for stream in waiting {
            if let Some(poll) = self.unpark(&stream) {
                poll.waiting.refuse(wire::code::UNAVAILABLE, "the desk is stopping; ask again in a moment", now);
            }
        }
    }
}
