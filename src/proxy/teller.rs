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
#[derive(Default)]
struct Lane {
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

    /// Runs for as long as the desk does. It tells under the epoch in which this server first took over the log: no other server
    /// has it, also where one took over meanwhile.
    pub async fn keep(self: Arc<Self>, host: Host, clock: Arc<dyn Clock>) {
        let run = host.began.0;
        let mut lanes: BTreeMap<Option<EndpointId>, Lane> = BTreeMap::new();
        let mut flying: FuturesUnordered<LocalBoxFuture<'static, Said>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = self.wake.notified() => tokio::time::sleep(GATHER).await,
                Some((stream, said)) = flying.next(), if !flying.is_empty() => {
                    self.heard(&mut lanes, stream, said);
                }
            }
            let new = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
            for told in new {
                lanes.entry(told.endpoint).or_default().waiting.push_back(told);
            }
            for (stream, lane) in lanes.iter_mut().filter(|(_, lane)| lane.wants_to_tell()) {
                let order = lane.order(*stream, run, clock.as_ref());
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
                        lanes.entry(None).or_default().waiting.extend(batch);
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
            }
        }
    }
}

async fn ask(host: &Host, order: Order) -> Result<Reply, Fault> {
    host.send(order)?.await.unwrap_or(Err(Fault::Stopping))
}

impl Lane {
    fn wants_to_tell(&self) -> bool {
        !(self.flying || self.batch.is_empty() && self.waiting.is_empty())
    }

    /// What was told and not answered, as it was; else what waits, with its numbers.
    fn order(&mut self, stream: Option<EndpointId>, run: u64, clock: &dyn Clock) -> Order {
        if self.batch.is_empty() {
            let count = self.waiting.len().min(BATCH_MAX);
            self.batch.extend(self.waiting.drain(..count));
            for told in &mut self.batch {
                self.seq += 1;
                (told.finished.run, told.finished.seq) = (run, self.seq);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{DeskClock, wall};
    use crate::store::faulty::{Fault as Broken, FaultyLog, Script};
    use crate::store::{Mode, Store, StoreConfig};
    use tidehelm_actors::desk::{self, Parts};
    use tidehelm_actors::port::Outlet;
    use tidehelm_actors::{journal::Limits, projector::Policy, writer};
    use tidehelm_events::endpoint::{Api, Ending, Outcome, Settings, Tokens};
    use tidehelm_events::id::{DeskId, NodeId};
    use tidehelm_events::react::Effect;
    use tidehelm_events::time::Span;
    use tidehelm_events::view::Fold;
    use uuid::Uuid;

    struct Nobody;

    impl Outlet for Nobody {
        fn restored(&mut self, _: &Fold) {}
        fn release(&mut self, _: Vec<Effect>) {}
    }

    /// A desk on a log that goes wrong as the script says, with one endpoint.
    async fn desk(script: &Script, dir: &std::path::Path) -> (Host, Arc<DeskClock>, EndpointId) {
        let mut config = crate::config::Config::default();
        config.data.dir = dir.into();
        let store = Store::open(&StoreConfig::from(&config), Mode::Write, wall()).await.unwrap();
        let mut store = FaultyLog::new(store, script.clone());
        let node = NodeId(ambient::uuid_v7());
        let (restored, head, _) = writer::open(&mut store, node, &[]).await.unwrap();
        let clock = Arc::new(DeskClock::default());
        let parts = Parts {
            store: Box::new(store),
            clock: clock.clone(),
            outlet: Box::new(Nobody),
            node,
            new_desk: DeskId(ambient::uuid()),
            build: "test".into(),
            limits: Limits { telemetry_wait: Span::millis(1), ..Limits::default() },
            policy: Policy { every_events: 1 << 40, every: Span::hours(1) },
            mailbox: 256,
            inflight_max: 1000,
            tick: Duration::from_millis(250),
            renew_every: Duration::from_secs(60),
            restored,
            head,
        };
        let host = desk::start(parts).unwrap();
        let id = EndpointId(ambient::uuid());
        let settings = Settings { name: "a".into(), base_url: "http://127.0.0.1:9".into(), ..Settings::default() };
        let command = endpoint::Command::Register(Box::new(settings));
        let order = Order::once(StreamId::Endpoint(id), Principal::Operator, Command::Endpoint(command), clock.now());
        host.ask(order).await.unwrap();
        (host, clock, id)
    }

    fn finished() -> RequestFinished {
        RequestFinished {
            request: Uuid::nil(),
            run: 0,
            seq: 0,
            model: "m".into(),
            api: Api::ChatCompletions,
            outcome: Outcome::Success,
            http_status: Some(200),
            tokens: Tokens::default(),
            duration: Span::millis(1),
            first_byte: None,
            ending: Ending::Whole,
            client: None,
            key: None,
        }
    }

    /// Waits until so much is shown, and then whether more comes.
    async fn shows(host: &Host, endpoint: Option<EndpointId>, expected: u64) -> u64 {
        for _ in 0..2_000 {
            if total(host, endpoint) >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        total(host, endpoint)
    }

    fn total(host: &Host, endpoint: Option<EndpointId>) -> u64 {
        host.durable.read(|fold| fold.views.endpoints.share(endpoint).map_or(0, |share| share.tally.total()))
    }

    #[actix::test]
    async fn what_a_doubt_swallowed_is_told_again_and_counted_once() {
        for fault in [Broken::Refuse, Broken::DoubtWritten, Broken::DoubtLost, Broken::DoubtLate] {
            let (script, temp) = (Script::default(), tempfile::tempdir().unwrap());
            let (host, clock, id) = desk(&script, temp.path()).await;
            let teller = Teller::new(1_000);
            let keeping = actix::spawn(teller.clone().keep(host.clone(), clock));
            for round in 0..20 {
                if round % 4 == 1 {
                    script.then(fault.clone());
                }
                for at in 0..10 {
                    let turn = teller.turn().unwrap();
                    turn.tell(Some(id).filter(|_| at % 3 > 0), finished(), false);
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            assert_eq!(teller.drain(Duration::from_secs(20)).await, 0, "{fault:?}");
            let counted = (shows(&host, Some(id), 120).await, shows(&host, None, 80).await);
            assert_eq!((counted, script.played()), ((120, 80), 5), "{fault:?}");
            assert!(teller.turn().is_none() && teller.untold() == 0, "it takes no more");
            keeping.abort();
            host.stop().await;
        }
    }

    #[actix::test]
    async fn while_the_log_is_down_nothing_is_lost_and_at_the_bound_nobody_is_served() {
        let (script, temp) = (Script::default(), tempfile::tempdir().unwrap());
        let (host, clock, id) = desk(&script, temp.path()).await;
        let teller = Teller::new(50);
        let keeping = actix::spawn(teller.clone().keep(host.clone(), clock));
        script.down(true);
        while let Some(turn) = teller.turn() {
            turn.tell(Some(id), finished(), false);
        }
        assert_eq!((teller.taken(), teller.turned_away()), (50, 1));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(teller.taken(), 50);
        script.down(false);
        let told = async {
            while teller.taken() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.expect("all is told");
        assert_eq!(shows(&host, Some(id), 50).await, 50);
        // Whoever waits for it hears when it is durable.
        let heard = teller.turn().unwrap().tell(Some(id), finished(), true).unwrap();
        heard.await.unwrap();
        assert_eq!(shows(&host, Some(id), 51).await, 51);
        drop(teller.turn());
        assert_eq!(teller.taken(), 0, "a place that was not used is free again");
        keeping.abort();
        host.stop().await;
    }
}
