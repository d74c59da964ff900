//! The proxy: `/v1/…` of the desk, in front of all endpoints. Bodies pass through as they are, and every request ends in exactly
//! one event.
//!
//! A request takes its place at the [`teller`] first, and looks at nothing but the [`table`], which follows what is durable. No
//! database is asked on its way. Connections to upstreams belong to the thread that serves the client: no request changes
//! threads.

mod answer;
pub mod asked;
pub mod client;
pub mod line;
pub mod meter;
pub mod policy;
mod queue;
pub mod refusal;
pub mod table;
pub mod teller;
mod ticket;

pub use answer::serve;

use crate::ambient;
use crate::config;
use crate::fleet::rng::Rng;
use crate::keys::Keys;
use client::Trusted;
use policy::Policies;
use queue::Queue;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::{Held, Open, Place, Shown, Table};
use teller::Teller;
use tidehelm_actors::desk::Host;
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::Clock;
use tidehelm_events::endpoint::routing::{Chance, NoChoice, Outliers, choose};
use tidehelm_events::endpoint::{self, Failure};
use tidehelm_events::id::{CredentialId, EndpointId, Principal, StreamId};
use tidehelm_events::time::{Span, Timestamp};
use uuid::Uuid;

/// How often the table looks at the desk at most.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Of failures of tries that were made good elsewhere no more are told in this time than make an endpoint offline.
const NOTE_EVERY: Span = Span::millis(100);
/// Who waits for an endpoint looks so often, even if nobody says that one has room.
const PEEK_EVERY: Duration = Duration::from_millis(250);

pub struct Parts {
    pub host: Host,
    pub clock: Arc<dyn Clock>,
    pub keys: Arc<Keys>,
    /// Gives the secrets of endpoints.
    pub open: Open,
    pub settings: config::Proxy,
    /// A client without a key is refused.
    pub require_key: bool,
}

pub struct Proxy {
    host: Host,
    clock: Arc<dyn Clock>,
    keys: Arc<Keys>,
    open: Open,
    settings: config::Proxy,
    require_key: bool,
    trusted: Trusted,
    table: Shown,
    teller: Arc<Teller>,
    policies: Policies,
    outliers: Mutex<Outliers>,
    queue: Queue,
    /// Bytes of bodies that are held now.
    bodies: AtomicUsize,
    /// Names requests: random once, then counted.
    names: (u64, AtomicU64),
    stopping: AtomicBool,
}

/// What the proxy says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Requests under way, and those that the log has not yet.
    pub places_taken: usize,
    /// Requests that were answered 503 since too many were not in the log yet: they are in no log.
    pub turned_away: u64,
    /// Requests that the desk did not take.
    pub untold: u64,
    pub waiting: usize,
    pub body_bytes: usize,
}

impl Proxy {
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { host, clock, keys, open, settings, require_key } = parts;
        let proxy = Proxy {
            trusted: Trusted::of(&settings.trusted_proxies),
            teller: Teller::new(settings.untold_max),
            table: Shown::default(),
            policies: Policies::default(),
            outliers: Mutex::default(),
            queue: Queue::default(),
            bodies: AtomicUsize::new(0),
            names: (u64::from_le_bytes(ambient::random()), AtomicU64::new(0)),
            stopping: AtomicBool::new(false),
            host,
            clock,
            keys,
            open,
            settings,
            require_key,
        };
        proxy.look();
        Arc::new(proxy)
    }

    /// Requests that an endpoint has now.
    pub fn in_flight(&self, endpoint: EndpointId) -> u32 {
        self.table.get().seat(endpoint).map_or(0, |seat| seat.in_flight())
    }

    pub fn gauges(&self) -> Gauges {
        Gauges {
            places_taken: self.teller.taken(),
            turned_away: self.teller.turned_away(),
            untold: self.teller.untold(),
            waiting: self.queue.len(),
            body_bytes: self.bodies.load(Ordering::Relaxed),
        }
    }

    /// Follows the desk and tells it of requests, for as long as it runs.
    pub async fn keep(self: Arc<Self>) {
        let teller = self.teller.clone().keep(self.host.clone(), self.clock.clone());
        let mut head = self.host.durable.subscribe();
        let follower = async {
            while head.changed().await.is_ok() {
                self.look();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::join!(teller, follower);
    }

    /// From now on, what breaks off was broken off by us.
    pub fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// A key was revoked.
    pub fn forget_key(&self, key: CredentialId) {
        self.policies.forget(key);
        self.look();
    }

    /// Waits until the log has everything that was served: how much it has not.
    pub async fn drain(&self, within: Duration) -> usize {
        self.teller.drain(within).await
    }

    /// Looks at the desk now: who has just changed something need not wait until it is followed.
    pub fn look(&self) {
        let back = self.host.durable.read(|fold| self.table.learn(fold, &self.open));
        if !back.is_empty() {
            let mut outliers = self.outliers();
            back.into_iter().for_each(|endpoint| outliers.forget(endpoint));
        }
    }

    fn outliers(&self) -> MutexGuard<'_, Outliers> {
        self.outliers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_name(&self) -> Uuid {
        let number = self.names.1.fetch_add(1, Ordering::Relaxed);
        uuid::Builder::from_random_bytes((u128::from(self.names.0) << 64 | u128::from(number)).to_be_bytes())
            .into_uuid()
    }

    /// One of those that have the model, with a place there. Who was tried before is left out.
    fn choose(&self, places: &[&Arc<Place>]) -> Result<(Arc<Place>, Held), NoChoice> {
        let now = self.clock.now();
        let mut candidates: Vec<_> = {
            let outliers = self.outliers();
            places.iter().map(|place| place.candidate(outliers.is_ejected(place.seat.id, now))).collect()
        };
        loop {
            let at = choose(&candidates, chance(), now)?;
            let room = candidates[at].room();
            match places[at].seat.take(room) {
                Some(held) => return Ok((places[at].clone(), held)),
                // Somebody else was faster: it is full.
                None => candidates[at].in_flight = room,
            }
        }
    }

    /// As [`Proxy::choose`], and waits where all have as much as they take, behind those who came before.
    async fn choose_or_wait(&self, find: impl Fn(&Table) -> Vec<Arc<Place>>) -> Result<(Arc<Place>, Held), Short> {
        let ids = |places: &[Arc<Place>]| places.iter().map(|place| place.seat.id).collect::<Vec<_>>();
        let places = find(&self.table.get());
        if !self.queue.has_others(|| ids(&places)) {
            match self.choose(&places.iter().collect::<Vec<_>>()) {
                Ok(chosen) => return Ok(chosen),
                Err(NoChoice::AllOffline) => return Err(Short::Offline),
                Err(NoChoice::AllBusy) => {}
            }
        }
        let waiting = self.queue.enter(ids(&places), self.settings.queue_max).ok_or(Short::QueueFull)?;
        let in_turn = async {
            let mut called = false;
            // It looks before it waits: somebody may have left before it stood in the queue.
            loop {
                let places = find(&self.table.get());
                let may_take = called || waiting.is_first(&ids(&places));
                match may_take {
                    true => match self.choose(&places.iter().collect::<Vec<_>>()) {
                        Ok(chosen) => {
                            waiting.served();
                            return Ok(chosen);
                        }
                        Err(NoChoice::AllOffline) => return Err(Short::Offline),
                        Err(NoChoice::AllBusy) => waiting.again(ids(&places)),
                    },
                    false if places.iter().any(|place| place.status.serves()) => {}
                    false => return Err(Short::Offline),
                }
                called = waiting.turn(PEEK_EVERY).await;
            }
        };
        tokio::time::timeout(self.settings.queue_wait.into(), in_turn).await.unwrap_or(Err(Short::TooLong))
    }

    /// An endpoint has room again.
    fn freed(&self, held: Held) {
        let endpoint = held.0.id;
        drop(held);
        self.queue.freed(endpoint);
    }

    /// Takes in how a try at an endpoint went. True if it gets no requests for a while now.
    fn note(&self, place: &Place, good: bool) -> bool {
        let (serving, now) = (self.table.get().serving(), self.clock.now());
        place.seat.tried(good);
        let ejected = self.outliers().note(place.seat.id, good, serving, now);
        if ejected {
            tracing::warn!(
                endpoint = place.settings.name,
                "it fails much more than the others and gets no requests for a while"
            );
        }
        ejected
    }

    /// Tells the desk of a try that failed and was made good elsewhere: it counts as a request that failed there, and
    /// the request itself is told only once, where it ended.
    fn note_failed_try(&self, place: &Place, failure: Failure, detail: &str, ejected: bool) {
        let (now, threshold) = (self.clock.now(), place.settings.failure_threshold);
        // Who gets no requests any more says nothing more either: one that did nothing but fail goes offline at once.
        let count = match ejected && place.seat.failed_in_a_row() >= threshold {
            true => threshold,
            false => u32::from(place.seat.may_note(now, NOTE_EVERY, threshold)),
        };
        for _ in 0..count {
            self.tell_failed_try(place, failure, detail, now);
        }
    }

    fn tell_failed_try(&self, place: &Place, failure: Failure, detail: &str, now: Timestamp) {
        let detail = format!("a request: {detail}");
        let jitter = u16::from_le_bytes(ambient::random()) % 1000;
        let command = endpoint::Command::NoteFailedTry { failure, detail, revision: place.revision, jitter };
        let to = StreamId::Endpoint(place.seat.id);
        // It is a hint: the next failure or probe says the same.
        let _ = self.host.tell(Order::once(to, Principal::Desk, Command::Endpoint(command), now));
    }
}

/// Why nobody has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Short {
    Offline,
    QueueFull,
    TooLong,
}

fn chance() -> Chance {
    thread_local! {
        static RNG: RefCell<Rng> = RefCell::new(Rng::new(u64::from_le_bytes(ambient::random()), 0));
    }
    RNG.with_borrow_mut(|rng| {
        let mut draw = || (rng.draw() >> 32) as u32;
        Chance { explore: draw(), first: draw(), second: draw() }
    })
}
