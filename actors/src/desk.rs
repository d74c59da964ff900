//! The desk's actor: the front door to all accounts of this node, the clock's ticks, and the way of commits to the log.

use crate::account::{AccountActor, Deliver, Ticket};
use crate::durable::Durable;
use crate::journal::{self, Fault, Journal, Limits, Reply, Tally};
use crate::node::Order;
use crate::port::{AppendFault, Clock, Outlet, Store};
use crate::projector::{self, Task};
use crate::restore::Restored;
use crate::writer::{self, Job};
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidehelm_events::commit::Head;
use tidehelm_events::desk as events;
use tidehelm_events::id::{DeskId, Epoch, NodeId, Position, StreamId};
use tokio::sync::{mpsc, oneshot};

/// Seals what waits.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

/// The time for telemetry to wait is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Lapsed;

/// Refuses what is new, makes the rest durable, and says when that is done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop(pub oneshot::Sender<()>);

/// A snapshot is wanted now.
#[derive(Message)]
#[rtype(result = "()")]
struct Keep(oneshot::Sender<Position>);

/// What the desk needs to run.
pub struct Parts {
    pub store: Box<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub outlet: Box<dyn Outlet>,
    pub node: NodeId,
    /// The id that a new log gets.
    pub new_desk: DeskId,
    pub build: String,
    pub limits: Limits,
    pub policy: projector::Policy,
    pub mailbox: usize,
    pub inflight_max: usize,
    pub tick: Duration,
    /// An idle desk says so often that it lives: a few times a lease.
    pub renew_every: Duration,
    pub restored: Restored,
    pub head: Head,
}

/// The desk as the rest of the process sees it.
#[derive(Clone)]
pub struct Host {
    front: Addr<DeskActor>,
    pub durable: Arc<Durable>,
    pub gauges: Arc<Gauges>,
    inflight: Arc<tokio::sync::Semaphore>,
    /// Under which it first took over the log. No other server has it, now or later.
    pub began: Epoch,
}

/// What the desk says of itself, readable from every thread.
#[derive(Debug, Default)]
pub struct Gauges {
    tally: Mutex<Tally>,
    health: Mutex<Health>,
    pub commit_micros: Histogram,
    pub commit_events: Histogram,
    pub failures: AtomicU64,
    /// Orders turned away at a full mailbox, or because too many were under way.
    pub turned_away: AtomicU64,
    /// The last durable position, whether or not the read models show it yet.
    pub durable: AtomicU64,
    pub accounts: AtomicU64,
    /// Grows with every tick of the desk's clock: a desk that does not work off its mailbox stands still here.
    pub ticks: AtomicU64,
}

/// Counts by powers of two.
#[derive(Debug)]
pub struct Histogram {
    pub buckets: [AtomicU64; 32],
    pub sum: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn observe(&self, value: u64) {
        let bucket = (u64::BITS - value.leading_zeros()).min(31) as usize;
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Starting,
    Serving,
    /// The log cannot be written; the reason.
    Recovering(String),
    Stopping,
}

impl Gauges {
    pub fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
    fn set_tally(&self, tally: Tally) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }
}

impl Host {
    /// The recorded answer, once it is durable, or why there is none.
    pub async fn ask(&self, order: Order) -> Result<Reply, Fault> {
        let Ok(_permit) = self.inflight.try_acquire() else { return Err(self.turned_away()) };
        self.send(order)?.await.unwrap_or(Err(Fault::Stopping))
    }

    /// As [`Host::ask`], without waiting; the receiver gets the answer.
    pub fn send(&self, order: Order) -> Result<oneshot::Receiver<Result<Reply, Fault>>, Fault> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.front.try_send(Deliver { order, ticket: Ticket::Ask(sender) });
        sent.map(|()| receiver).map_err(|_| self.turned_away())
    }

    /// As [`Host::send`], for who cannot wait: the answer is given to `call` on the desk's thread.
    pub fn call(&self, order: Order, call: impl FnOnce(Result<Reply, Fault>) + Send + 'static) -> Result<(), Fault> {
        let sent = self.front.try_send(Deliver { order, ticket: Ticket::Call(Box::new(call)) });
        sent.map_err(|_| self.turned_away())
    }

    /// Without an answer: what the desk says to it is in the log, or nowhere.
    pub fn tell(&self, order: Order) -> Result<(), Fault> {
        self.front.try_send(Deliver { order, ticket: Ticket::Tell }).map_err(|_| self.turned_away())
    }

    fn turned_away(&self) -> Fault {
        self.gauges.turned_away.fetch_add(1, Ordering::Relaxed);
        Fault::Overloaded
    }

    /// Writes a snapshot as soon as it can be, and says where it stands.
    pub async fn snapshot(&self) -> Result<Position, Fault> {
        let (sender, receiver) = oneshot::channel();
        self.front.try_send(Keep(sender)).map_err(|_| Fault::Overloaded)?;
        receiver.await.map_err(|_| Fault::Overloaded)
    }

    /// Makes durable what was accepted, saves a snapshot and gives the log back.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        self.front.do_send(Stop(sender));
        let _ = receiver.await;
    }
}

/// Starts the desk on the current arbiter.
pub fn start(parts: Parts) -> std::io::Result<Host> {
    let Parts {
        store,
        clock,
        mut outlet,
        node,
        new_desk,
        build,
        limits,
        policy,
        mailbox,
        inflight_max,
        tick,
        renew_every,
        restored,
        head,
    } = parts;
    clock.at_least(head.committed_at);
    let durable = Durable::new(restored.fold.clone(), head);
    outlet.restored(&restored.fold);
    let gauges = Arc::new(Gauges::default());
    let quarantined = restored.fold.truth.quarantined().cloned().collect();
    let (jobs, _writer) = writer::spawn(store, node, quarantined)?;
    let (tasks, _projector) = projector::spawn(durable.clone(), jobs.clone(), clock.clone(), policy)?;
    let shard = Rc::new(Shard {
        journal: RefCell::new(Some(Journal::new(restored, head, node, limits))),
        clock,
        flushing: Cell::new(false),
        stopping: Cell::new(false),
        desk: RefCell::new(None),
    });
    let desk = DeskActor {
        shard,
        accounts: HashMap::new(),
        jobs,
        tasks,
        unseen: None,
        outlet,
        durable: durable.clone(),
        gauges: gauges.clone(),
        node,
        new_desk,
        build,
        limits,
        mailbox,
        tick,
        renew_every,
        epoch: head.epoch,
        stopped: Vec::new(),
        waiting: false,
        recovery: None,
    };
    let inflight = Arc::new(tokio::sync::Semaphore::new(inflight_max));
    let capacity = limits.open_events_max.min(1 << 16);
    let front = DeskActor::create(|context| {
        context.set_mailbox_capacity(capacity);
        desk
    });
    Ok(Host { front, durable, gauges, inflight, began: head.epoch })
}

/// What all actors of this arbiter share: the journal, which one of them uses at a time.
pub struct Shard {
    journal: RefCell<Option<Journal<Ticket>>>,
    clock: Arc<dyn Clock>,
    /// Set while a flush is on its way: behind everything that is in the desk's mailbox now.
    flushing: Cell<bool>,
    stopping: Cell<bool>,
    desk: RefCell<Option<Addr<DeskActor>>>,
}

impl Shard {
    pub(crate) fn submit(&self, order: Order, ticket: Ticket) {
        if self.stopping.get() {
            return ticket.answer(Err(Fault::Stopping));
        }
        match self.journal.borrow_mut().as_mut() {
            Some(journal) => {
                if let Err((ticket, fault)) = journal.submit(order, ticket, self.clock.now()) {
                    ticket.answer(Err(fault));
                }
            }
            None => ticket.answer(Err(Fault::Unavailable)),
        }
        self.flush_soon();
    }

    fn flush_soon(&self) {
        if !self.flushing.replace(true)
            && let Some(desk) = self.desk.borrow().as_ref()
        {
            desk.do_send(Flush);
        }
    }
}

pub struct DeskActor {
    shard: Rc<Shard>,
    accounts: HashMap<StreamId, Addr<AccountActor>>,
    jobs: mpsc::Sender<Job>,
    tasks: SyncSender<Task>,
    /// A batch that the projector had no room for: nothing is sealed until it has.
    unseen: Option<Task>,
    outlet: Box<dyn Outlet>,
    durable: Arc<Durable>,
    gauges: Arc<Gauges>,
    node: NodeId,
    new_desk: DeskId,
    build: String,
    limits: Limits,
    mailbox: usize,
    tick: Duration,
    renew_every: Duration,
    epoch: Epoch,
    stopped: Vec<oneshot::Sender<()>>,
    waiting: bool,
    /// The wait for the log to be usable again.
    recovery: Option<actix::SpawnHandle>,
}

impl Actor for DeskActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.gauges.set_health(Health::Serving);
        self.gauges.durable.store(self.durable.head().position.0, Ordering::Relaxed);
        *self.shard.desk.borrow_mut() = Some(context.address());
        self.note_start();
        context.run_interval(self.tick, Self::ticked);
        context.run_interval(self.renew_every, Self::renew);
    }
}

impl Handler<Deliver> for DeskActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Context<Self>) {
        match &deliver.order.to {
            StreamId::Desk
            | StreamId::Endpoint(_)
            | StreamId::Proxy
            | StreamId::Alerts
            | StreamId::Guard
            | StreamId::Market(_)
            | StreamId::Strategy(_)
            | StreamId::Venue(_) => self.shard.submit(deliver.order, deliver.ticket),
            account @ StreamId::Account(..) => {
                let actor = self.actor_of(account.clone());
                if let Err(error) = actor.try_send(deliver) {
                    self.gauges.turned_away.fetch_add(1, Ordering::Relaxed);
                    error.into_inner().ticket.answer(Err(Fault::Overloaded));
                }
            }
        }
    }
}

impl Handler<Flush> for DeskActor {
    type Result = ();

    fn handle(&mut self, _: Flush, context: &mut Context<Self>) {
        self.shard.flushing.set(false);
        self.flush(context);
    }
}

impl Handler<Lapsed> for DeskActor {
    type Result = ();

    fn handle(&mut self, _: Lapsed, context: &mut Context<Self>) {
        self.waiting = false;
        self.flush(context);
    }
}

impl Handler<Keep> for DeskActor {
    type Result = ();

    /// Where the projector has no room the sender is dropped, which is the answer.
    fn handle(&mut self, keep: Keep, _: &mut Context<Self>) {
        if self.make_room() {
            let _ = self.tasks.try_send(Task::Snapshot(keep.0));
        }
    }
}

impl Handler<Stop> for DeskActor {
    type Result = ();

    fn handle(&mut self, stop: Stop, context: &mut Context<Self>) {
        self.shard.stopping.set(true);
        self.gauges.set_health(Health::Stopping);
        self.stopped.push(stop.0);
        self.flush(context);
    }
}

impl DeskActor {
    fn actor_of(&mut self, account: StreamId) -> &Addr<AccountActor> {
        let (shard, mailbox, gauges) = (&self.shard, self.mailbox, &self.gauges);
        self.accounts.entry(account).or_insert_with(|| {
            gauges.accounts.fetch_add(1, Ordering::Relaxed);
            AccountActor::begin(shard.clone(), mailbox)
        })
    }

    fn order(&self, command: events::Command) -> Order {
        let now = self.shard.clock.now();
        Order::own(command, now)
    }

    /// A new log is opened by its first event.
    fn note_start(&mut self) {
        let is_new = self.shard.journal.borrow().as_ref().is_some_and(|journal| journal.truth().desk_id().is_none());
        if is_new {
            let open = events::Command::Open { desk: self.new_desk, build: self.build.clone() };
            self.shard.submit(self.order(open), Ticket::Tell);
        }
        let started = events::ServerStarted {
            node: self.node.to_string(),
            build: self.build.clone(),
            desk_time: self.shard.clock.now(),
        };
        self.shard.submit(self.order(events::Command::NoteStart(started)), Ticket::Tell);
        for order in self.outlet.first() {
            self.shard.submit(order, Ticket::Tell);
        }
    }

    fn ticked(&mut self, context: &mut Context<Self>) {
        self.gauges.ticks.fetch_add(1, Ordering::Relaxed);
        if let Some(by) = self.shard.clock.step() {
            tracing::warn!(by_ms = by.0 / 1000, "the machine's clock was set; accounts get a new grace period");
            let note = events::Command::NoteClockStep(events::ClockStepped { by });
            self.shard.submit(self.order(note), Ticket::Tell);
        }
        let now = self.shard.clock.now();
        let silent = self.shard.journal.borrow_mut().as_mut().map(|journal| journal.silent(now)).unwrap_or_default();
        for account in silent {
            self.shard.submit(journal::check_silence(account, now), Ticket::Tell);
        }
        self.flush(context);
    }

    fn flush(&mut self, context: &mut Context<Self>) {
        if !self.make_room() {
            return self.flush_in(Duration::from_millis(1), context);
        }
        let now = self.shard.clock.now();
        let mut slot = self.shard.journal.borrow_mut();
        let Some(journal) = slot.as_mut() else {
            drop(slot);
            return self.finish(context);
        };
        for (ticket, reply) in journal.release_ready() {
            ticket.answer(Ok(reply));
        }
        let due = journal.wants_seal().is_some_and(|at| at <= now || self.shard.stopping.get());
        let sealed = if due { journal.seal(now) } else { None };
        let wait = journal.wants_seal().map(|at| at.since(now));
        let idle = journal.is_idle();
        drop(slot);
        if let Some(sealed) = sealed {
            return self.write(sealed, context);
        }
        if let Some(wait) = wait {
            let wait = Duration::from_micros(wait.0.clamp(100, 1_000_000) as u64);
            self.flush_in(wait, context);
        }
        if idle {
            self.finish(context);
        }
    }

    fn flush_in(&mut self, wait: Duration, context: &mut Context<Self>) {
        if !std::mem::replace(&mut self.waiting, true) {
            context.notify_later(Lapsed, wait);
        }
    }

    /// True where the projector has taken everything so far.
    fn make_room(&mut self) -> bool {
        if let Some(task) = self.unseen.take()
            && let Err(TrySendError::Full(task)) = self.tasks.try_send(task)
        {
            self.unseen = Some(task);
        }
        self.unseen.is_none()
    }

    fn write(&mut self, sealed: journal::Sealed, context: &mut Context<Self>) {
        let (done, outcome) = oneshot::channel();
        let (jobs, started, epoch) = (self.jobs.clone(), self.shard.clock.now(), self.epoch);
        let job = Job::Append(Box::new(sealed), done);
        let written = async move {
            match jobs.send(job).await {
                Ok(()) => outcome.await.unwrap_or_else(|_| Err(AppendFault::InDoubt("the writer is gone".into()))),
                Err(_) => Err(AppendFault::Unavailable("the writer is gone".into())),
            }
        };
        context.spawn(written.into_actor(self).map(move |outcome, desk, context| match outcome {
            // A renewal may have found out first that the log is lost: then this commit is forgotten already.
            _ if desk.epoch != epoch => {}
            Ok(()) => desk.written(started, context),
            Err(fault) => desk.failed(&fault, context),
        }));
    }

    fn written(&mut self, started: tidehelm_events::time::Timestamp, context: &mut Context<Self>) {
        let released = match self.shard.journal.borrow_mut().as_mut() {
            Some(journal) => {
                let released = journal.durable();
                self.gauges.set_tally(journal.tally());
                released
            }
            None => return,
        };
        let took = self.shard.clock.now().since(started);
        self.gauges.commit_micros.observe(took.0.max(0) as u64);
        self.gauges.commit_events.observe(released.batch.records.len() as u64);
        self.gauges.durable.store(released.batch.head.position.0, Ordering::Relaxed);
        self.unseen = Some(Task::Show(released.batch));
        self.make_room();
        if !released.effects.is_empty() {
            self.outlet.release(released.effects);
        }
        for (ticket, reply) in released.replies {
            ticket.answer(Ok(reply));
        }
        self.flush(context);
    }

    /// Nothing is guessed: what was not durable is forgotten, and the log says what is true.
    fn failed(&mut self, fault: &AppendFault, context: &mut Context<Self>) {
        let Some(journal) = self.shard.journal.borrow_mut().take() else { return };
        tracing::error!(%fault, "a commit failed; the desk starts again from the log");
        self.gauges.failures.fetch_add(1, Ordering::Relaxed);
        self.gauges.set_health(Health::Recovering(fault.to_string()));
        for ticket in journal.forget() {
            ticket.answer(Err(Fault::Unavailable));
        }
        let (done, recovered) = oneshot::channel();
        let jobs = self.jobs.clone();
        let recovery = async move {
            jobs.send(Job::Recover(done)).await.ok()?;
            recovered.await.ok()
        };
        let recovery = recovery.into_actor(self).map(|recovered, desk, context| match recovered {
            Some((restored, head)) => desk.recovered(restored, head, context),
            None => actix::System::current().stop_with_code(1),
        });
        self.recovery = Some(context.spawn(recovery));
        self.finish(context);
    }

    fn recovered(&mut self, restored: Restored, head: Head, context: &mut Context<Self>) {
        tracing::info!(position = head.position.0, epoch = head.epoch.0, "the desk goes on");
        self.recovery = None;
        self.shard.clock.at_least(head.committed_at);
        self.unseen = None;
        self.durable.reset(restored.fold.clone(), head);
        self.outlet.restored(&restored.fold);
        self.epoch = head.epoch;
        *self.shard.journal.borrow_mut() = Some(Journal::new(restored, head, self.node, self.limits));
        self.gauges.set_health(Health::Serving);
        self.note_start();
        self.flush(context);
    }

    fn renew(&mut self, context: &mut Context<Self>) {
        let idle = self.shard.journal.borrow().as_ref().is_some_and(|journal| !journal.is_flying());
        if !idle {
            return;
        }
        let (done, outcome) = oneshot::channel();
        let (jobs, epoch) = (self.jobs.clone(), self.epoch);
        let renewal = async move {
            jobs.send(Job::Renew(epoch, done)).await.ok()?;
            outcome.await.ok()
        };
        context.spawn(renewal.into_actor(self).map(move |outcome, desk, context| {
            if let Some(Err(fault @ AppendFault::Fenced { .. })) = outcome
                && desk.epoch == epoch
                && desk.shard.journal.borrow().is_some()
            {
                desk.failed(&fault, context);
            }
        }));
    }

    /// If somebody waits for the end: everything is durable or forgotten, so show it, save it and give the log back.
    fn finish(&mut self, context: &mut Context<Self>) {
        if self.stopped.is_empty() {
            return;
        }
        // A log that cannot be written now will not keep us: what was accepted for it is refused already.
        if let Some(recovery) = self.recovery.take() {
            context.cancel_future(recovery);
        }
        let waiting = std::mem::take(&mut self.stopped);
        let (tasks, jobs, epoch) = (self.tasks.clone(), self.jobs.clone(), self.epoch);
        let unseen = self.unseen.take();
        let ending = async move {
            let (saved, snapshot) = oneshot::channel();
            let handed = tokio::task::spawn_blocking(move || {
                unseen.into_iter().chain([Task::Snapshot(saved)]).try_for_each(|task| tasks.send(task))
            });
            if handed.await.is_ok_and(|handed| handed.is_ok()) {
                let _ = snapshot.await;
            }
            let (done, released) = oneshot::channel();
            if jobs.send(Job::Release(epoch, done)).await.is_ok() {
                let _ = released.await;
            }
            for waiting in waiting {
                let _ = waiting.send(());
            }
        };
        context.spawn(ending.into_actor(self).map(|(), _, context| context.stop()));
    }
}
