//! Tells the desk of every request that came to its end: each once, whatever becomes of the log meanwhile.
//!
//! A request takes a place here before it does anything else, and gives it back when the log has it. Where there is no place
//! nobody is served. For each stream there is one order under way at a time, with all that waited: so what a commit in doubt
//! swallowed is told again before anything later, under the same numbers, and the stream takes in what it has not.

use crate::ambient;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidehelm_actors::desk::Host;
use tidehelm_actors::journal::{Fault, Reply};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::Clock;
use tidehelm_events::answer::Answer;
use tidehelm_events::endpoint::{self, ProxyCommand, RequestFinished};
use tidehelm_events::id::{EndpointId, Principal, StreamId};
use tokio::sync::{Notify, oneshot};

/// What ends at about the same time is told together.
const GATHER: Duration = Duration::from_millis(2);
/// In one order.
const BATCH_MAX: usize = 2_000;
/// Before it is told again.
const RETRY: Duration = Duration::from_millis(50);

pub struct Teller {
    queue: Mutex<Vec<Told>>,
    wake: Notify,
    places: Places,
    /// Nobody keeps places any more: what has not been told by then will not be.
    closed: AtomicBool,
}

struct Places {
    taken: AtomicUsize,
    max: usize,
    /// Requests that found no place, ever. They are in no log.
    turned_away: AtomicU64,
    /// What the desk did not take, ever: its stream is quarantined.
    untold: AtomicU64,
}

struct Told {
    endpoint: Option<EndpointId>,
    finished: RequestFinished,
    /// Who waits until it is durable.
    heard: Option<oneshot::Sender<()>>,
}

/// A place for one request that is to be told.
pub struct Turn {
    teller: Arc<Teller>,
    spent: bool,
}

impl Turn {
    /// Tells it. The place is free again once the log has it; then the receiver hears of it.
    pub fn tell(
        mut self,
        endpoint: Option<EndpointId>,
        finished: RequestFinished,
        durable: bool,
    ) -> Option<oneshot::Receiver<()>> {
        self.spent = true;
        let (sender, receiver) = if durable { Some(oneshot::channel()) } else { None }.unzip();
        let mut queue = self.teller.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(Told { endpoint, finished, heard: sender });
        if queue.len() == 1 {
            self.teller.wake.notify_one();
        }
        receiver
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.spent {
            self.teller.places.taken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What waits to be told to one stream.
struct Lane {
    run: u64,
    seq: u64,
    waiting: VecDeque<Told>,
    /// Numbered, and told at least once if `asked`.
    batch: Vec<Told>,
    flying: bool,
    /// How it went was not known the last time.
    in_doubt: bool,
}

type Said = (Option<EndpointId>, Result<Reply, Fault>);

impl Teller {
    pub fn new(places_max: usize) -> Arc<Self> {
        Arc::new(Teller {
            queue: Mutex::default(),
            wake: Notify::new(),
            places: Places {
                taken: AtomicUsize::new(0),
                max: places_max,
                turned_away: AtomicU64::new(0),
                untold: AtomicU64::new(0),
            },
            closed: AtomicBool::new(false),
        })
    }

    /// A place, if there is one.
    pub fn turn(self: &Arc<Self>) -> Option<Turn> {
        let max = self.places.max;
        let took = self
            .places
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < max).then_some(taken + 1));
        if took.is_err() || self.closed.load(Ordering::Acquire) {
            if took.is_ok() {
                self.places.taken.fetch_sub(1, Ordering::AcqRel);
            }
            self.places.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Turn { teller: self.clone(), spent: false })
    }

    /// Requests under way, and those that the log has not yet.
    pub fn taken(&self) -> usize {
        self.places.taken.load(Ordering::Acquire)
    }
    pub fn turned_away(&self) -> u64 {
        self.places.turned_away.load(Ordering::Relaxed)
    }
    pub fn untold(&self) -> u64 {
        self.places.untold.load(Ordering::Relaxed)
    }

    /// Takes no more, and waits until all is told, or the time is over: how many were not.
    pub async fn drain(&self, within: Duration) -> usize {
        self.closed.store(true, Ordering::Release);
        let empty = async {
            while self.taken() > 0 {
                self.wake.notify_one();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(within, empty).await;
        self.taken()
    }

    /// Runs for as long as the desk does.
    pub async fn keep(self: Arc<Self>, host: Host, clock: Arc<dyn Clock>) {
        let run = first_run(&host);
        let mut lanes: BTreeMap<Option<EndpointId>, Lane> = BTreeMap::new();
        let mut flying: FuturesUnordered<LocalBoxFuture<'static, Said>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = self.wake.notified() => tokio::time::sleep(GATHER).await,
                Some((stream, said)) = flying.next(), if !flying.is_empty() => {
                    self.heard(&host, &mut lanes, stream, said);
                }
            }
            let new = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
            for told in new {
                lanes.entry(told.endpoint).or_insert_with(|| Lane::new(run)).waiting.push_back(told);
            }
            for (stream, lane) in lanes.iter_mut().filter(|(_, lane)| lane.wants_to_tell()) {
                let order = lane.order(*stream, clock.as_ref());
                let (host, stream, again) = (host.clone(), *stream, lane.in_doubt);
                flying.push(Box::pin(async move {
                    if again {
                        tokio::time::sleep(RETRY).await;
                    }
                    (stream, ask(&host, order).await)
                }));
            }
        }
    }

    fn heard(
        &self,
        host: &Host,
        lanes: &mut BTreeMap<Option<EndpointId>, Lane>,
        stream: Option<EndpointId>,
        said: Result<Reply, Fault>,
    ) {
        let Some(lane) = lanes.get_mut(&stream) else { return };
        lane.flying = false;
        match said {
            Ok(Reply { answer: Answer::Done { .. }, .. }) => {
                lane.in_doubt = false;
                let batch = std::mem::take(&mut lane.batch);
                self.places.taken.fetch_sub(batch.len(), Ordering::AcqRel);
                batch.into_iter().filter_map(|told| told.heard).for_each(|heard| _ = heard.send(()));
            }
            Ok(Reply { answer: Answer::Refused(denial), .. }) => {
                let batch = std::mem::take(&mut lane.batch);
                lane.in_doubt = false;
                match stream {
                    // It is counted without its endpoint rather than not at all.
                    Some(endpoint) => {
                        tracing::warn!(%endpoint, count = batch.len(), why = denial.detail, "requests are told to the proxy's own stream");
                        let run = lane.run;
                        lanes.entry(None).or_insert_with(|| Lane::new(run)).waiting.extend(batch);
                    }
                    None => {
                        tracing::warn!(count = batch.len(), why = denial.detail, "requests could not be recorded");
                        self.places.untold.fetch_add(batch.len() as u64, Ordering::Relaxed);
                        self.places.taken.fetch_sub(batch.len(), Ordering::AcqRel);
                    }
                }
            }
            Err(fault) => {
                tracing::debug!(%fault, count = lane.batch.len(), "requests are told again");
                lane.in_doubt = true;
                lane.yield_to(told(host, stream));
            }
        }
    }
}

async fn ask(host: &Host, order: Order) -> Result<Reply, Fault> {
    host.send(order)?.await.unwrap_or(Err(Fault::Stopping))
}

/// Later than any that the log knows.
fn first_run(host: &Host) -> u64 {
    host.durable.read(|fold| {
        let endpoints = fold.truth.endpoints().map(|endpoint| endpoint.told.0);
        endpoints.chain(fold.truth.proxy().map(|proxy| proxy.told.0)).max().unwrap_or(0) + 1
    })
}

fn told(host: &Host, stream: Option<EndpointId>) -> (u64, u64) {
    host.durable
        .read(|fold| match stream {
            Some(id) => fold.truth.endpoint(id).map(|endpoint| endpoint.told),
            None => fold.truth.proxy().map(|proxy| proxy.told),
        })
        .unwrap_or_default()
}

impl Lane {
    fn new(run: u64) -> Self {
        Lane { run, seq: 0, waiting: VecDeque::new(), batch: Vec::new(), flying: false, in_doubt: false }
    }

    fn wants_to_tell(&self) -> bool {
        !(self.flying || self.batch.is_empty() && self.waiting.is_empty())
    }

    /// What was told and not answered, as it was; else what waits, with its numbers.
    fn order(&mut self, stream: Option<EndpointId>, clock: &dyn Clock) -> Order {
        if self.batch.is_empty() {
            let count = self.waiting.len().min(BATCH_MAX);
            self.batch.extend(self.waiting.drain(..count));
            for told in &mut self.batch {
                self.seq += 1;
                (told.finished.run, told.finished.seq) = (self.run, self.seq);
            }
        }
        self.flying = true;
        let finished = self.batch.iter().map(|told| told.finished.clone()).collect();
        let (to, command) = match stream {
            Some(id) => {
                let jitter = u16::from_le_bytes(ambient::random()) % 1000;
                (StreamId::Endpoint(id), Command::Endpoint(endpoint::Command::FinishRequests { finished, jitter }))
            }
            None => (StreamId::Proxy, Command::Proxy(ProxyCommand::FinishRequests(finished))),
        };
        Order::once(to, Principal::Desk, command, clock.now())
    }

    /// While somebody else wrote the log, they told of their own requests under later runs: then ours are told anew.
    fn yield_to(&mut self, told: (u64, u64)) {
        if told.0 <= self.run {
            return;
        }
        tracing::warn!(count = self.batch.len(), "another server wrote meanwhile: some requests may be counted twice");
        (self.run, self.seq) = (told.0 + 1, 0);
        for one in &mut self.batch {
            self.seq += 1;
            (one.finished.run, one.finished.seq) = (self.run, self.seq);
        }
    }
}
