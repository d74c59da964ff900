//! Who can have a request: a table of the proxy's own, which follows what is durable. Nobody on the way of a request looks at
//! the desk's state.

use super::line::Target;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tidehelm_events::endpoint::routing::Candidate;
use tidehelm_events::endpoint::{Endpoint, Kind, ProxySettings, Settings, Status};
use tidehelm_events::id::{CredentialId, EndpointId, Version};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::view::Fold;

/// Gives what is sealed behind a secret.
pub type Open = Box<dyn Fn(CredentialId) -> Option<Arc<str>> + Send + Sync>;

/// What is known of endpoints at one moment.
#[derive(Default)]
pub struct Table {
    /// Everybody who has the model, by its name.
    by_model: HashMap<String, Vec<Arc<Place>>>,
    aliases: BTreeMap<String, String>,
    places: BTreeMap<EndpointId, Arc<Place>>,
    /// Keys of programs, and until when they are good.
    tokens: BTreeMap<CredentialId, Option<Timestamp>>,
}

/// An endpoint as it is set and how it is.
pub struct Place {
    pub seat: Arc<Seat>,
    pub settings: Arc<Settings>,
    pub status: Status,
    pub target: Arc<Target>,
    pub secret: Option<Arc<str>>,
    /// Of the settings: what a try says counts for these only.
    pub revision: Version,
    mark: Mark,
}

/// What of an endpoint changes with each request, and outlives a change of the table.
#[derive(Debug)]
pub struct Seat {
    pub id: EndpointId,
    in_flight: AtomicU32,
    /// Microseconds; below zero: nothing was measured.
    latency: AtomicI64,
    measured_at: AtomicI64,
    /// When the desk was first told that a try failed, and how often since then.
    noted_at: AtomicI64,
    noted: AtomicU32,
    failed_in_a_row: AtomicU32,
}

/// When it differs the place is built anew.
#[derive(Clone, PartialEq, Eq)]
struct Mark {
    revision: Version,
    status: Status,
    models_at: Option<Timestamp>,
    kind: Option<Kind>,
    sealed: bool,
}

const UNMEASURED: i64 = -1;

/// A request that an endpoint has. It counts as in flight until this is dropped.
pub struct Held(pub Arc<Seat>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Seat {
    fn new(id: EndpointId) -> Arc<Self> {
        Arc::new(Seat {
            id,
            in_flight: AtomicU32::new(0),
            latency: AtomicI64::new(UNMEASURED),
            measured_at: AtomicI64::new(UNMEASURED),
            noted_at: AtomicI64::new(0),
            noted: AtomicU32::new(0),
            failed_in_a_row: AtomicU32::new(0),
        })
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Takes one of so many; none where others were faster.
    pub fn take(self: &Arc<Self>, room: u32) -> Option<Held> {
        let next = |taken: u32| (taken < room).then_some(taken + 1);
        let took = self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        took.is_ok().then(|| Held(self.clone()))
    }

    fn learn(&self, endpoint: &Endpoint) {
        let micros = |value: Option<i64>| value.unwrap_or(UNMEASURED);
        self.latency.store(micros(endpoint.inference_latency().map(|span| span.0)), Ordering::Relaxed);
        self.measured_at.store(micros(endpoint.measured_at.map(|at| at.0)), Ordering::Relaxed);
    }

    pub fn tried(&self, good: bool) {
        match good {
            true => self.failed_in_a_row.store(0, Ordering::Relaxed),
            false => _ = self.failed_in_a_row.fetch_add(1, Ordering::Relaxed),
        }
    }
    pub fn failed_in_a_row(&self) -> u32 {
        self.failed_in_a_row.load(Ordering::Relaxed)
    }

    /// True so many times in so long: not every failure of a try is told.
    pub fn may_note(&self, now: Timestamp, every: Span, most: u32) -> bool {
        let first = self.noted_at.load(Ordering::Relaxed);
        let due = now.0.saturating_sub(first) >= every.0;
        if due && self.noted_at.compare_exchange(first, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.noted.store(0, Ordering::Relaxed);
        }
        self.noted.fetch_add(1, Ordering::Relaxed) < most
    }
}

impl Place {
    pub fn candidate(&self, ejected: bool) -> Candidate {
        let known = |value: &AtomicI64| Some(value.load(Ordering::Relaxed)).filter(|value| *value >= 0);
        Candidate {
            endpoint: self.seat.id,
            status: self.status,
            weight: self.settings.weight,
            in_flight: self.seat.in_flight(),
            in_flight_max: self.settings.in_flight_max,
            latency: known(&self.seat.latency).map(Span),
            measured_at: known(&self.seat.measured_at).map(Timestamp),
            ejected,
        }
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.inference_timeout_seconds))
    }
}

impl Table {
    /// The model that is meant by a name.
    pub fn meant<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// Who has it; none where nobody ever said so.
    pub fn having(&self, model: &str) -> Option<&[Arc<Place>]> {
        self.by_model.get(model).map(Vec::as_slice)
    }

    /// Every name that can be asked for now.
    pub fn models(&self) -> BTreeSet<&str> {
        let serves = |model: &str| self.having(model).is_some_and(|places| places.iter().any(|it| it.status.serves()));
        let own = self.by_model.keys().map(String::as_str).filter(|model| serves(model));
        own.chain(self.aliases.iter().filter(|(_, model)| serves(model)).map(|(alias, _)| alias.as_str())).collect()
    }

    /// How many endpoints are in service.
    pub fn serving(&self) -> usize {
        self.places.values().filter(|place| place.status.serves()).count()
    }

    pub fn seat(&self, id: EndpointId) -> Option<&Arc<Seat>> {
        self.places.get(&id).map(|place| &place.seat)
    }

    /// True for a key that was not revoked and has not run out.
    pub fn is_good(&self, key: CredentialId, now: Timestamp) -> bool {
        self.tokens.get(&key).is_some_and(|until| until.is_none_or(|until| until > now))
    }

    /// As the desk is now; none where only what is measured has changed, which the seats know already.
    fn after(&self, fold: &Fold, open: &Open) -> Option<Table> {
        let truth = &fold.truth;
        let there = || truth.endpoints().filter(|endpoint| endpoint.is_there());
        let mut same = true;
        let mut count = 0;
        for endpoint in there() {
            count += 1;
            match self.places.get(&endpoint.id) {
                Some(place) => {
                    place.seat.learn(endpoint);
                    same &= place.mark == Mark::of(endpoint, place.secret.is_some());
                    same &= place.secret.is_some() || endpoint.settings.as_ref().is_some_and(|it| it.secret.is_none());
                }
                None => same = false,
            }
        }
        let usual = ProxySettings::default();
        let settings = truth.proxy().map_or(&usual, |proxy| &proxy.settings);
        let none = BTreeMap::new();
        let tokens = truth.desk().map_or(&none, |desk| &desk.tokens);
        let same_tokens = tokens.len() == self.tokens.len() && tokens.keys().eq(self.tokens.keys());
        if same && count == self.places.len() && settings.aliases == self.aliases && same_tokens {
            return None;
        }
        let mut table = Table {
            aliases: settings.aliases.clone(),
            tokens: tokens.iter().map(|(id, token)| (*id, token.expires_at)).collect(),
            ..Table::default()
        };
        for endpoint in there() {
            let Some(place) = self.place_of(endpoint, open).map(Arc::new) else { continue };
            table.places.insert(endpoint.id, place.clone());
            if endpoint.kind() != Some(Kind::Http) {
                for model in &endpoint.models {
                    table.by_model.entry(model.id.clone()).or_default().push(place.clone());
                }
            }
        }
        Some(table)
    }

    fn place_of(&self, endpoint: &Endpoint, open: &Open) -> Option<Place> {
        let settings = endpoint.settings.as_deref()?;
        let before = self.places.get(&endpoint.id);
        let target = Target::of(&settings.base_url)?;
        // The same one, so that connections that wait are good for it.
        let kept = before.map(|place| &place.target).filter(|known| ***known == target).cloned();
        let seat = before.map_or_else(|| Seat::new(endpoint.id), |place| place.seat.clone());
        seat.learn(endpoint);
        let secret = settings.secret.map(open);
        let status = match secret {
            // Without what opens it every request would fail there.
            Some(None) => Status::Offline,
            _ => endpoint.health.status,
        };
        let secret = secret.flatten();
        Some(Place {
            seat,
            status,
            target: kept.unwrap_or_else(|| Arc::new(target)),
            revision: endpoint.revision,
            mark: Mark::of(endpoint, secret.is_some()),
            secret,
            settings: Arc::new(settings.clone()),
        })
    }
}

impl Mark {
    fn of(endpoint: &Endpoint, sealed: bool) -> Self {
        Mark {
            revision: endpoint.revision,
            status: endpoint.health.status,
            models_at: endpoint.models_at,
            kind: endpoint.kind(),
            sealed,
        }
    }
}

/// The table as it is now, for everybody.
#[derive(Default)]
pub struct Shown {
    table: RwLock<Arc<Table>>,
    turn: Mutex<()>,
}

impl Shown {
    pub fn get(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes it what the desk says. Answers which endpoints came into service, or are there no more: what was held against them
    /// is over.
    pub fn learn(&self, fold: &Fold, open: &Open) -> Vec<EndpointId> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.get();
        let Some(after) = before.after(fold, open) else { return Vec::new() };
        let over = |place: &&Arc<Place>| match after.places.get(&place.seat.id) {
            Some(now) => now.status.serves() && !place.status.serves(),
            None => true,
        };
        let over = before.places.values().filter(over).map(|place| place.seat.id).collect();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(after);
        over
    }
}
