//! All streams together: the fold of the whole log. Live, on replay and in a test it is this one.

use crate::account::{self, Account};
use crate::alert::Alerts;
use crate::answer::Answers;
use crate::codec;
use crate::commit::Hash;
use crate::desk::{self, Desk};
use crate::endpoint::{self, Directory, Endpoint, Proxy};
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{
    AccountId, DeskId, EndpointId, MarketId, Position, Role, StrategyId, StreamId, StreamNo, VenueId, Version,
};
use crate::market::Market;
use crate::order::{self, Venue};
use crate::strategy::guard::Guard;
use crate::strategy::{Strategy, maker, taker};
use crate::stream::{Seen, Stream};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Schema of [`Truth`]'s bytes: snapshots of another one are not used.
pub const SCHEMA: u16 = 5;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    position: Position,
    /// When the event at this position was recorded.
    time: Timestamp,
    names: Names,
    slots: Vec<Slot>,
    /// Who follows a master, or still holds copies of its trades: derived from links, kept beside them for speed.
    followers: BTreeMap<AccountId, BTreeSet<AccountId>>,
    /// Names and addresses of endpoints: derived from their settings, kept beside them so that each is given once.
    directory: Directory,
    /// Strategies by what they trade, and venues: derived, kept beside for speed.
    trading: Trading,
    /// Streams whose records are not believed: their events are passed over, their commands refused.
    quarantined: BTreeSet<StreamId>,
}

/// Which streams of trading there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Trading {
    markets: BTreeSet<MarketId>,
    strategies: BTreeSet<StrategyId>,
    traders: BTreeMap<MarketId, BTreeSet<StrategyId>>,
    venues: BTreeSet<VenueId>,
}

impl Trading {
    fn enter(&mut self, strategy: &Strategy) {
        let Some(market) = strategy.market() else { return };
        self.strategies.insert(strategy.id.clone());
        self.traders.entry(market.clone()).or_default().insert(strategy.id.clone());
    }
}

/// One stream with what every stream has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub version: Version,
    /// Position of the stream's last event.
    pub touched: Position,
    pub answers: Answers,
    /// Cause of the last reaction that the stream took in: one at or before it does nothing.
    pub reacted: Position,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum State {
    Desk(Box<Desk>),
    Account(Box<Account>),
    Endpoint(Box<Endpoint>),
    Proxy(Box<Proxy>),
    Alerts(Box<Alerts>),
    Guard(Box<Guard>),
    Market(Box<Market>),
    Strategy(Box<Strategy>),
    Venue(Box<Venue>),
}

/// The numbers that the log gave to streams.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<StreamId>", into = "Vec<StreamId>")]
pub struct Names {
    ids: Vec<StreamId>,
    numbers: Numbers,
}

/// Looked up for every event and never iterated, so that its order can be seen nowhere.
#[allow(clippy::disallowed_types, reason = "a look-up with a fixed hash is the same on every machine")]
type Numbers = std::collections::HashMap<StreamId, StreamNo, std::hash::BuildHasherDefault<std::hash::DefaultHasher>>;

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids
    }
}
impl From<Vec<StreamId>> for Names {
    fn from(ids: Vec<StreamId>) -> Self {
        let numbers = ids.iter().enumerate().map(|(number, id)| (id.clone(), StreamNo(number as u32))).collect();
        Names { ids, numbers }
    }
}
impl From<Names> for Vec<StreamId> {
    fn from(names: Names) -> Self {
        names.ids
    }
}

/// When a message was sent, came in, and is decided about.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub now: Timestamp,
    pub received_at: Timestamp,
    pub sent_at: Timestamp,
}

/// A record that cannot follow what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    #[error("event {found} follows event {after}: the log has a hole")]
    Position { after: Position, found: Position },
    #[error("event {position} is version {found} of {stream}, which is at version {after}")]
    Version { position: Position, stream: StreamId, after: Version, found: Version },
    #[error("event {position} belongs to stream number {number}, which has no name")]
    Nameless { position: Position, number: StreamNo },
    #[error("stream number {number} is {known} and cannot become {claimed}")]
    Renamed { number: StreamNo, known: String, claimed: StreamId },
    #[error("event {position} is of a kind that does not belong to {stream}")]
    Foreign { position: Position, stream: StreamId },
}

impl Names {
    pub fn get(&self, number: StreamNo) -> Option<&StreamId> {
        self.ids.get(number.0 as usize)
    }
    pub fn number(&self, id: &StreamId) -> Option<StreamNo> {
        self.numbers.get(id).copied()
    }
    pub fn len(&self) -> usize {
        self.ids.len()
    }
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
    pub fn iter(&self) -> impl Iterator<Item = (StreamNo, &StreamId)> {
        self.ids.iter().enumerate().map(|(number, id)| (StreamNo(number as u32), id))
    }
    /// Gives the next number to the stream.
    pub fn add(&mut self, id: StreamId) -> StreamNo {
        let number = StreamNo(self.ids.len() as u32);
        self.numbers.insert(id.clone(), number);
        self.ids.push(id);
        number
    }
    /// Takes over a name from the log: the next number, or one that is known under the same name.
    pub fn learn(&mut self, number: StreamNo, id: &StreamId) -> Result<(), Unbelievable> {
        match self.get(number) {
            Some(known) if known == id => Ok(()),
            None if number.0 as usize == self.ids.len() && !self.numbers.contains_key(id) => {
                self.add(id.clone());
                Ok(())
            }
            known => {
                let known = known.map_or_else(|| "not the next number".into(), ToString::to_string);
                Err(Unbelievable::Renamed { number, known, claimed: id.clone() })
            }
        }
    }
}

impl Slot {
    fn new(id: &StreamId) -> Self {
        let state = match id {
            StreamId::Desk => State::Desk(Box::default()),
            StreamId::Account(role, account) => State::Account(Box::new(Account::new(*role, account.clone()))),
            StreamId::Endpoint(endpoint) => State::Endpoint(Box::new(Endpoint::new(*endpoint))),
            StreamId::Proxy => State::Proxy(Box::default()),
            StreamId::Alerts => State::Alerts(Box::default()),
            StreamId::Guard => State::Guard(Box::default()),
            StreamId::Market(market) => State::Market(Box::new(Market::new(market.clone()))),
            StreamId::Strategy(strategy) => State::Strategy(Box::new(Strategy::new(strategy.clone()))),
            StreamId::Venue(venue) => State::Venue(Box::new(Venue::new(venue.clone()))),
        };
        Slot { version: Version(0), touched: Position(0), answers: Answers::default(), reacted: Position(0), state }
    }

    /// What `If-Match` is compared with.
    pub fn revision(&self) -> Version {
        match &self.state {
            State::Desk(desk) => desk.revision,
            State::Account(account) => account.revision,
            State::Endpoint(endpoint) => endpoint.revision,
            State::Proxy(proxy) => proxy.revision,
            State::Alerts(alerts) => alerts.revision,
            State::Guard(guard) => guard.revision,
            State::Market(market) => market.revision,
            State::Strategy(strategy) => strategy.revision,
            State::Venue(venue) => venue.revision,
        }
    }
}

impl Truth {
    pub fn position(&self) -> Position {
        self.position
    }
    pub fn time(&self) -> Timestamp {
        self.time
    }
    pub fn names(&self) -> &Names {
        &self.names
    }
    pub fn slot(&self, number: StreamNo) -> Option<&Slot> {
        self.slots.get(number.0 as usize)
    }
    pub fn slot_of(&self, id: &StreamId) -> Option<&Slot> {
        self.names.number(id).and_then(|number| self.slot(number))
    }
    pub fn account(&self, id: &StreamId) -> Option<&Account> {
        let State::Account(account) = &self.slot_of(id)?.state else { return None };
        Some(account)
    }
    pub fn accounts(&self) -> impl Iterator<Item = (&Slot, &Account)> {
        self.slots.iter().filter_map(|slot| match &slot.state {
            State::Account(account) => Some((slot, account.as_ref())),
            _ => None,
        })
    }
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        let State::Endpoint(endpoint) = &self.slot_of(&StreamId::Endpoint(id))?.state else { return None };
        Some(endpoint)
    }
    /// Those that are there, in the order of their names.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.directory.iter().filter_map(|id| self.endpoint(id))
    }
    /// None before anything happened to it: then all is as it is by default.
    pub fn proxy(&self) -> Option<&Proxy> {
        let State::Proxy(proxy) = &self.slot_of(&StreamId::Proxy)?.state else { return None };
        Some(proxy)
    }
    /// None before anything happened to them: then only the built-in rules are there.
    pub fn alerts(&self) -> Option<&Alerts> {
        let State::Alerts(alerts) = &self.slot_of(&StreamId::Alerts)?.state else { return None };
        Some(alerts)
    }
    /// None before anything happened to it: then nothing is let in.
    pub fn guard(&self) -> Option<&Guard> {
        let State::Guard(guard) = &self.slot_of(&StreamId::Guard)?.state else { return None };
        Some(guard)
    }
    pub fn market(&self, id: &MarketId) -> Option<&Market> {
        let State::Market(market) = &self.slot_of(&StreamId::Market(id.clone()))?.state else { return None };
        Some(market)
    }
    pub fn strategy(&self, id: &StrategyId) -> Option<&Strategy> {
        let State::Strategy(strategy) = &self.slot_of(&StreamId::Strategy(id.clone()))?.state else { return None };
        Some(strategy)
    }
    pub fn venue(&self, id: &VenueId) -> Option<&Venue> {
        let State::Venue(venue) = &self.slot_of(&StreamId::Venue(id.clone()))?.state else { return None };
        Some(venue)
    }
    /// All that were ever set, by their ids.
    pub fn markets(&self) -> impl Iterator<Item = &Market> {
        self.trading.markets.iter().filter_map(|id| self.market(id))
    }
    /// All that were ever set up, by their ids.
    pub fn strategies(&self) -> impl Iterator<Item = &Strategy> {
        self.trading.strategies.iter().filter_map(|id| self.strategy(id))
    }
    /// Those that trade in a market, also where they were given up.
    pub fn strategies_of(&self, market: &MarketId) -> impl Iterator<Item = &Strategy> {
        self.trading.traders.get(market).into_iter().flatten().filter_map(|id| self.strategy(id))
    }
    pub fn venues(&self) -> impl Iterator<Item = &Venue> {
        self.trading.venues.iter().filter_map(|id| self.venue(id))
    }
    /// Names and addresses of the endpoints.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    pub fn desk(&self) -> Option<&Desk> {
        // The desk is the first stream of every log that a server began.
        let slot = match self.names.ids.first() {
            Some(StreamId::Desk) => self.slots.first(),
            _ => self.slot_of(&StreamId::Desk),
        };
        let State::Desk(desk) = &slot?.state else { return None };
        Some(desk)
    }
    pub fn desk_id(&self) -> Option<DeskId> {
        self.desk().and_then(|desk| desk.id)
    }
    pub fn slaves_of(&self, master: &AccountId) -> impl Iterator<Item = &AccountId> {
        self.followers.get(master).into_iter().flatten()
    }
    pub fn is_quarantined(&self, id: &StreamId) -> bool {
        self.quarantined.contains(id)
    }
    /// Something is missing here that the log has: such a state is never saved.
    pub fn has_quarantined(&self) -> bool {
        !self.quarantined.is_empty()
    }
    pub fn quarantined(&self) -> impl Iterator<Item = &StreamId> {
        self.quarantined.iter()
    }
    pub fn quarantine(&mut self, id: StreamId) {
        self.quarantined.insert(id);
    }

    /// What a decision may look at.
    pub fn seen<'a>(&'a self, times: Times, unopened: &'a Desk) -> Seen<'a> {
        let desk = self.desk().unwrap_or(unopened);
        Seen {
            now: times.now,
            received_at: times.received_at,
            sent_at: times.sent_at,
            listening_since: desk.listening_since,
            settings: &desk.settings,
            locked: desk.locked.is_some(),
            copy_defaults: &desk.copy_defaults,
            stopped: desk.stopped.as_ref().map(|stop| stop.degree),
            endpoints: &self.directory,
        }
    }

    /// The accounts on the way from one to another by who copies whom, where a new link from `master` to `slave` would close a
    /// circle: the slave's account is a master, too, and what it does comes back to it.
    pub fn circle(&self, slave: &AccountId, master: &AccountId) -> Option<Vec<AccountId>> {
        let mut from: BTreeMap<&AccountId, &AccountId> = BTreeMap::new();
        let mut open = vec![slave];
        while let Some(at) = open.pop() {
            if at == master {
                let mut way = vec![master.clone()];
                let mut step = at;
                while let Some(before) = from.get(step) {
                    way.push((*before).clone());
                    step = before;
                }
                way.reverse();
                return Some(way);
            }
            for next in self.slaves_of(at) {
                if next != slave && !from.contains_key(next) {
                    from.insert(next, at);
                    open.push(next);
                }
            }
        }
        None
    }

    /// The number of the stream and whether it is new.
    pub fn enter(&mut self, id: &StreamId) -> (StreamNo, bool) {
        if let Some(number) = self.names.number(id) {
            return (number, false);
        }
        let number = self.names.add(id.clone());
        self.slots.push(Slot::new(id));
        (number, true)
    }

    pub fn learn(&mut self, names: &[(StreamNo, StreamId)]) -> Result<(), Unbelievable> {
        for (number, id) in names {
            self.names.learn(*number, id)?;
            if self.slots.len() < self.names.len() {
                self.slots.push(Slot::new(id));
            }
        }
        Ok(())
    }

    /// Takes in the next record of the log.
    pub fn apply(&mut self, record: &Record) -> Result<(), Unbelievable> {
        if record.position != self.position.next() {
            return Err(Unbelievable::Position { after: self.position, found: record.position });
        }
        let index = record.stream.0 as usize;
        let (Some(slot), Some(id)) = (self.slots.get_mut(index), self.names.ids.get(index)) else {
            return Err(Unbelievable::Nameless { position: record.position, number: record.stream });
        };
        self.position = record.position;
        self.time = record.recorded_at;
        if !self.quarantined.is_empty() && self.quarantined.contains(id) {
            return Ok(());
        }
        if record.version != slot.version.next() {
            let (position, stream, after, found) = (record.position, id.clone(), slot.version, record.version);
            return Err(Unbelievable::Version { position, stream, after, found });
        }
        slot.version = record.version;
        slot.touched = record.position;
        if let Some(cause) = record.causation {
            slot.reacted = slot.reacted.max(cause);
        }
        match (&mut slot.state, &record.event) {
            (State::Account(account), Event::Account(event)) => {
                account.evolve(event, &record.stamp());
                if let StreamId::Account(Role::Slave, slave) = id {
                    follow(&mut self.followers, slave, account, event);
                }
            }
            (State::Desk(desk), Event::Desk(event)) => desk.evolve(event, &record.stamp()),
            (_, Event::Answered(answered)) => slot.answers.remember(answered, &record.stamp()),
            (_, Event::Unknown(_)) => {}
            (State::Endpoint(endpoint), Event::Endpoint(event)) if event.belongs_to(id) => {
                endpoint.evolve(event, &record.stamp());
                list(&mut self.directory, endpoint, event);
            }
            (State::Proxy(proxy), Event::Endpoint(event)) if event.belongs_to(id) => {
                proxy.evolve(event, &record.stamp());
            }
            (State::Alerts(alerts), Event::Alert(event)) => alerts.evolve(event, &record.stamp()),
            (State::Guard(guard), Event::Guard(event)) => guard.evolve(event, &record.stamp()),
            (State::Market(market), Event::Market(event)) => {
                market.evolve(event, &record.stamp());
                if let StreamId::Market(id) = id
                    && !self.trading.markets.contains(id)
                {
                    self.trading.markets.insert(id.clone());
                }
            }
            (State::Strategy(strategy), Event::Strategy(event)) => strategy.evolve(event, &record.stamp()),
            (State::Strategy(strategy), Event::Maker(event)) => {
                strategy.evolve_maker(event, &record.stamp());
                if let maker::Event::Opened(_) = event {
                    self.trading.enter(strategy);
                }
            }
            (State::Strategy(strategy), Event::Taker(event)) => {
                strategy.evolve_taker(event, &record.stamp());
                if let taker::Event::Registered(_) = event {
                    self.trading.enter(strategy);
                }
            }
            (State::Venue(venue), Event::Venue(event)) => {
                venue.evolve(event, &record.stamp());
                if let order::Event::Opened(_) = event {
                    self.trading.venues.insert(venue.id.clone());
                }
            }
            (
                _,
                Event::Desk(_)
                | Event::Account(_)
                | Event::Endpoint(_)
                | Event::Alert(_)
                | Event::Guard(_)
                | Event::Market(_)
                | Event::Strategy(_)
                | Event::Maker(_)
                | Event::Taker(_)
                | Event::Venue(_),
            ) => {
                return Err(Unbelievable::Foreign { position: record.position, stream: id.clone() });
            }
        }
        Ok(())
    }

    /// Hash of sorted (stream, schema, state bytes): equal states have equal hashes on every machine and store.
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::new();
        let mut sorted: Vec<_> = self.names.ids.iter().zip(&self.slots).collect();
        sorted.sort_unstable_by_key(|(id, _)| *id);
        for (id, slot) in sorted {
            bytes.clear();
            codec::write(&(id, SCHEMA, slot), &mut bytes);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(&bytes);
        }
        Hash(*hasher.finalize().as_bytes())
    }

    /// The state of one stream for people.
    pub fn describe(&self, id: &StreamId) -> Option<serde_json::Value> {
        let slot = self.slot_of(id)?;
        let state = match &slot.state {
            State::Desk(desk) => crate::event::json(&DeskView::of(desk)),
            State::Account(account) => crate::event::json(account),
            State::Endpoint(endpoint) => crate::event::json(endpoint),
            State::Proxy(proxy) => crate::event::json(proxy),
            State::Alerts(alerts) => crate::event::json(alerts),
            State::Guard(guard) => crate::event::json(guard),
            State::Market(market) => crate::event::json(market),
            State::Strategy(strategy) => crate::event::json(strategy),
            State::Venue(venue) => crate::event::json(venue),
        };
        Some(serde_json::json!({
            "stream": id.to_string(),
            "version": slot.version,
            "last_position": slot.touched,
            "answers": slot.answers.len(),
            "state": state,
        }))
    }
}

/// The desk with keys that JSON can have.
#[derive(Serialize)]
struct DeskView<'a> {
    id: Option<DeskId>,
    settings: &'a desk::Settings,
    locked: &'a Option<crate::reason::Reason>,
    copy_defaults: &'a crate::copy::settings::Overrides,
    stopped: &'a Option<desk::Stop>,
    users: BTreeMap<String, &'a desk::User>,
    invites: Vec<&'a desk::Invite>,
    sessions: BTreeMap<String, &'a desk::Session>,
    tokens: BTreeMap<String, &'a desk::Token>,
    listening_since: Timestamp,
    cut_through: Position,
    revision: Version,
}

impl<'a> DeskView<'a> {
    fn of(desk: &'a Desk) -> Self {
        DeskView {
            id: desk.id,
            settings: &desk.settings,
            locked: &desk.locked,
            copy_defaults: &desk.copy_defaults,
            stopped: &desk.stopped,
            users: desk.users.iter().map(|(name, user)| (name.to_string(), user)).collect(),
            invites: desk.invites.values().collect(),
            sessions: desk.sessions.iter().map(|(id, session)| (id.to_string(), session)).collect(),
            tokens: desk.tokens.iter().map(|(id, token)| (id.to_string(), token)).collect(),
            listening_since: desk.listening_since,
            cut_through: desk.cut_through,
            revision: desk.revision,
        }
    }
}

/// A removed link is followed until its last copy is over.
fn follow(
    followers: &mut BTreeMap<AccountId, BTreeSet<AccountId>>,
    slave: &AccountId,
    account: &Account,
    event: &account::Event,
) {
    let (account::Event::LinkAdded(account::LinkAdded { master, .. })
    | account::Event::LinkEnded(account::LinkEnded { master })) = event
    else {
        return;
    };
    if account.links.contains_key(master) {
        followers.entry(master.clone()).or_default().insert(slave.clone());
    } else if let Some(slaves) = followers.get_mut(master) {
        slaves.remove(slave);
        if slaves.is_empty() {
            followers.remove(master);
        }
    }
}

/// One that was removed gives its name and address back.
fn list(directory: &mut Directory, endpoint: &Endpoint, event: &endpoint::Event) {
    match event {
        endpoint::Event::Registered(endpoint::Registered { settings })
        | endpoint::Event::Changed(endpoint::Changed { settings }) => {
            directory.enter(endpoint.id, &settings.name, &settings.base_url);
        }
        endpoint::Event::Removed(_) => directory.leave(endpoint.id),
        _ => {}
    }
}

mod decide;
#[cfg(test)]
mod tests;
mod trading;

pub use decide::Command;
