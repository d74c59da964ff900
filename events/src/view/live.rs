//! What an event means to those who watch: which things look different now, and what happened that is told by itself.
//!
//! A *thing* (an account, a member …) is told whole, as it is when it is told, so that a watcher needs only the newest message
//! about each. A *happening* (anything that the log keeps for ever) is told once, in order. To add a kind of event is to add a
//! line to [`touches`] or [`happening`]; a record that touches nothing is told as a happening or not at all.

use crate::account;
use crate::desk;
use crate::endpoint;
use crate::envelope::Class;
use crate::event::Event;
use crate::id::{AccountId, EndpointId, Role, StreamId};
use crate::truth::Truth;
use std::collections::{BTreeMap, BTreeSet};

/// What a watcher may want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The desk itself: its lock and its settings.
    Desk,
    Accounts,
    /// Trade groups and their members.
    Groups,
    /// Endpoints, what they do, and what requests add up to.
    Endpoints,
    /// Business events as they are in the log.
    Events,
    /// What is raised, and what becomes of it.
    Alerts,
}

impl Topic {
    pub const ALL: &'static [Topic] =
        &[Topic::Desk, Topic::Accounts, Topic::Groups, Topic::Endpoints, Topic::Events, Topic::Alerts];

    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Desk => "desk",
            Topic::Accounts => "accounts",
            Topic::Groups => "groups",
            Topic::Endpoints => "endpoints",
            Topic::Events => "events",
            Topic::Alerts => "alerts",
        }
    }
}

/// A set of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topics(u8);

impl Topics {
    pub const NONE: Topics = Topics(0);

    pub fn all() -> Self {
        Topic::ALL.iter().copied().collect()
    }
    pub fn has(self, topic: Topic) -> bool {
        self.0 & (1 << topic as u8) != 0
    }
    /// True if everything of `other` is in it.
    pub fn covers(self, other: Topics) -> bool {
        other.0 & !self.0 == 0
    }
    pub fn iter(self) -> impl Iterator<Item = Topic> {
        Topic::ALL.iter().copied().filter(move |topic| self.has(*topic))
    }
}
impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        topics.into_iter().fold(Topics::NONE, |set, topic| Topics(set.0 | 1 << topic as u8))
    }
}

/// Something that is told whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Desk,
    Settings,
    Account(Role, AccountId),
    /// A master with its settings.
    Group(AccountId),
    /// One link.
    Member {
        slave: AccountId,
        master: AccountId,
    },
    Endpoint(EndpointId),
    /// What was counted of an endpoint.
    Counters(EndpointId),
    /// How fast an endpoint is.
    Speed(EndpointId),
    /// What was counted in all.
    Totals,
}

impl Thing {
    pub fn topic(&self) -> Topic {
        match self {
            Thing::Desk | Thing::Settings => Topic::Desk,
            Thing::Account(..) => Topic::Accounts,
            Thing::Group(_) | Thing::Member { .. } => Topic::Groups,
            Thing::Endpoint(_) | Thing::Counters(_) | Thing::Speed(_) | Thing::Totals => Topic::Endpoints,
        }
    }
}

/// How an event changes what a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    Changed(Thing),
    /// It was not there before.
    Added(Thing),
    /// Only figures that come again and again: told at leisure.
    Figures(Thing),
    /// Only counts that come again and again, of few things: told soon.
    Counts(Thing),
    /// Every link that a slave has.
    MembersOf(AccountId),
    /// Only figures of every link that a slave has.
    MemberFiguresOf(AccountId),
}

/// The things that look different after an event. More than look different do no harm, fewer do.
pub fn touches(stream: &StreamId, event: &Event) -> Vec<Touch> {
    use Touch::{Added, Changed, Figures, MemberFiguresOf, MembersOf};
    use account::Event as Of;
    match (stream, event) {
        (StreamId::Account(role, id), Event::Account(event)) => {
            let account = Thing::Account(*role, id.clone());
            let member = |master: &AccountId| Thing::Member { slave: id.clone(), master: master.clone() };
            match (role, event) {
                (_, Of::HeartbeatSeen(_) | Of::QuoteSeen(_)) => vec![Figures(account)],
                (_, Of::SignalTaken(_) | Of::StateDiffered(_) | Of::StopTaken(_)) => vec![Figures(account)],
                // What these end may be of any master.
                (_, Of::OrderAnswered(_) | Of::SnapshotTaken(_)) => {
                    vec![Figures(account), MemberFiguresOf(id.clone())]
                }
                (_, Of::CopyDecided(decided)) => vec![Figures(account), Figures(member(&decided.master))],
                (_, Of::OrderIssued(issued)) => {
                    let of = issued.order.master.as_ref().map(|master| Figures(member(master)));
                    [Some(Figures(account)), of].into_iter().flatten().collect()
                }
                (
                    _,
                    Of::LinkSwitched(account::LinkSwitched { master, .. })
                    | Of::LinkChanged(account::LinkChanged { master, .. })
                    | Of::LinkStatusChanged(account::LinkStatusChanged { master, .. }),
                ) => {
                    vec![Changed(account), Changed(member(master))]
                }
                (_, Of::LinkEnded(ended)) => vec![Changed(account), Changed(member(&ended.master))],
                (_, Of::MasterNoted(note)) => vec![Changed(account), Changed(member(&note.master))],
                (_, Of::LinkAdded(link)) => {
                    vec![Changed(account), MembersOf(id.clone()), Added(member(&link.master))]
                }
                (_, Of::LinkRemoved(link)) => {
                    vec![Changed(account), MembersOf(id.clone()), Changed(member(&link.master))]
                }
                (Role::Master, _) => vec![Changed(account), Changed(Thing::Group(id.clone()))],
                (Role::Slave, _) => vec![Changed(account), MembersOf(id.clone())],
            }
        }
        (StreamId::Endpoint(id), Event::Endpoint(event)) => of_endpoint(*id, event),
        (StreamId::Proxy, Event::Endpoint(_)) => vec![Touch::Counts(Thing::Totals)],
        (StreamId::Desk, Event::Desk(desk::Event::Opened(_))) => {
            vec![Changed(Thing::Settings), Changed(Thing::Desk), Changed(Thing::Totals)]
        }
        (StreamId::Desk, Event::Desk(desk::Event::SettingsChanged(_))) => {
            vec![Changed(Thing::Settings), Changed(Thing::Desk)]
        }
        (
            StreamId::Desk,
            Event::Desk(
                desk::Event::Locked(_) | desk::Event::Unlocked(_) | desk::Event::Stopped(_) | desk::Event::Resumed(_),
            ),
        ) => vec![Changed(Thing::Desk)],
        (StreamId::Desk, Event::Desk(desk::Event::CopyDefaultsChanged(_))) => vec![Changed(Thing::Settings)],
        _ => Vec::new(),
    }
}

fn of_endpoint(id: EndpointId, event: &endpoint::Event) -> Vec<Touch> {
    use Touch::{Added, Changed, Counts};
    use endpoint::Event as Of;
    match event {
        Of::Registered(_) => vec![Added(Thing::Endpoint(id)), Changed(Thing::Speed(id)), Changed(Thing::Totals)],
        Of::Removed(_) | Of::StatusChanged(_) => vec![Changed(Thing::Endpoint(id)), Changed(Thing::Totals)],
        Of::Changed(_) | Of::Identified(_) | Of::ModelsSynced(_) | Of::Reset(_) | Of::ProxyChanged(_) => {
            vec![Changed(Thing::Endpoint(id))]
        }
        Of::Probed(_) => vec![Counts(Thing::Endpoint(id)), Counts(Thing::Totals)],
        Of::RequestFinished(finished) => {
            let speed = finished.speed().map(|_| Counts(Thing::Speed(id)));
            [Counts(Thing::Counters(id)), Counts(Thing::Totals)].into_iter().chain(speed).collect()
        }
    }
}

/// Topic and type of the message that tells an event by itself; none for what is told as a thing only.
pub fn happening(event: &Event) -> Option<(Topic, &'static str)> {
    match event {
        Event::Account(account::Event::SignalTaken(_)) => return Some((Topic::Events, "signal_received")),
        Event::Account(account::Event::CopyDecided(_)) => return Some((Topic::Events, "copy_decided")),
        Event::Account(account::Event::OrderAnswered(_)) => return Some((Topic::Events, "order_result")),
        Event::Alert(event) => return Some((Topic::Alerts, event.name())),
        _ => {}
    }
    match event.class() {
        Class::Business => Some((Topic::Events, "event")),
        Class::Volume | Class::Telemetry => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Changed,
    Added,
}

/// What has changed and is not told yet: each thing once, however often it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    things: BTreeMap<Thing, How>,
    members_of: BTreeSet<AccountId>,
    member_figures_of: BTreeSet<AccountId>,
    figures: Waiting,
    counts: Waiting,
}

/// Things that wait until they are due, and since which turn; who waits longest is told first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Waiting {
    things: BTreeMap<Thing, u64>,
    turns: BTreeMap<u64, Thing>,
    next_turn: u64,
    /// What has waited since an earlier turn is due.
    due_before: u64,
}

impl Waiting {
    fn wait(&mut self, thing: Thing) {
        if !self.things.contains_key(&thing) {
            self.things.insert(thing.clone(), self.next_turn);
            self.turns.insert(self.next_turn, thing);
            self.next_turn += 1;
        }
    }

    fn forget(&mut self, thing: &Thing) {
        if let Some(turn) = self.things.remove(thing) {
            self.turns.remove(&turn);
        }
    }

    /// The next one that is due.
    fn take(&mut self) -> Option<Thing> {
        let first = self.turns.first_entry().filter(|first| *first.key() < self.due_before)?;
        let thing = first.remove();
        self.things.remove(&thing);
        Some(thing)
    }

    fn has_due(&self) -> bool {
        self.turns.first_key_value().is_some_and(|(turn, _)| *turn < self.due_before)
    }
}

impl Changes {
    pub fn take_in(&mut self, stream: &StreamId, event: &Event) {
        for touch in touches(stream, event) {
            match touch {
                Touch::Changed(thing) => {
                    self.things.entry(thing).or_insert(How::Changed);
                }
                Touch::Added(thing) => {
                    self.things.insert(thing, How::Added);
                }
                Touch::Figures(thing) => self.figures.wait(thing),
                Touch::Counts(thing) => self.counts.wait(thing),
                Touch::MembersOf(slave) => {
                    self.members_of.insert(slave);
                }
                Touch::MemberFiguresOf(slave) => {
                    self.member_figures_of.insert(slave);
                }
            }
        }
    }

    pub fn has_figures(&self) -> bool {
        !self.figures.things.is_empty()
    }
    pub fn has_figures_due(&self) -> bool {
        self.figures.has_due()
    }
    /// All figures that wait now are due.
    pub fn figures_are_due(&mut self) {
        self.figures.due_before = self.figures.next_turn;
    }
    pub fn has_counts(&self) -> bool {
        !self.counts.things.is_empty()
    }
    pub fn has_counts_due(&self) -> bool {
        self.counts.has_due()
    }
    /// All counts that wait now are due.
    pub fn counts_are_due(&mut self) {
        self.counts.due_before = self.counts.next_turn;
    }

    /// Takes out what is to be told now. Figures and counts wait, unless their thing is told anyway, or they are due and among
    /// the first `waiting_max`, counts before figures. `truth` is a state at or after the events that were taken in.
    pub fn told(&mut self, truth: &Truth, waiting_max: usize) -> BTreeMap<Thing, How> {
        let mut things = std::mem::take(&mut self.things);
        for slave in std::mem::take(&mut self.members_of) {
            for member in members_of(truth, &slave) {
                things.entry(member).or_insert(How::Changed);
            }
        }
        for slave in std::mem::take(&mut self.member_figures_of) {
            members_of(truth, &slave).for_each(|member| self.figures.wait(member));
        }
        for thing in things.keys() {
            self.figures.forget(thing);
            self.counts.forget(thing);
        }
        for _ in 0..waiting_max {
            let Some(thing) = self.counts.take().or_else(|| self.figures.take()) else { break };
            things.insert(thing, How::Changed);
        }
        things
    }
}

fn members_of<'a>(truth: &'a Truth, slave: &'a AccountId) -> impl Iterator<Item = Thing> + 'a {
    let account = truth.account(&StreamId::slave(slave));
    let masters = account.into_iter().flat_map(|account| account.members().map(|(master, _)| master));
    masters.map(|master| Thing::Member { slave: slave.clone(), master: master.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, account_id};
    use proptest::prelude::*;

    fn account(role: Role, id: &str) -> Thing {
        Thing::Account(role, account_id(id))
    }
    fn member(slave: &str, master: &str) -> Thing {
        Thing::Member { slave: account_id(slave), master: account_id(master) }
    }

    /// What comes so often that it is told at leisure.
    const QUIET: [&str; 9] = [
        "heartbeat_seen",
        "quote_seen",
        "signal_taken",
        "state_differed",
        "snapshot_taken",
        "copy_decided",
        "order_issued",
        "order_answered",
        "stop_taken",
    ];

    #[test]
    fn an_event_of_an_account_touches_the_account() {
        for event in sample::account_events() {
            for role in [Role::Master, Role::Slave] {
                let stream = StreamId::Account(role, account_id("A_1"));
                let own = account(role, "A_1");
                let touches = touches(&stream, &Event::Account(event.clone()));
                let quiet = QUIET.contains(&event.kind().name);
                let expected = if quiet { Touch::Figures(own) } else { Touch::Changed(own) };
                assert_eq!(touches.first(), Some(&expected), "{event:?}");
                let rest =
                    touches.iter().skip(1).all(|touch| matches!(touch, Touch::Figures(_) | Touch::MemberFiguresOf(_)));
                assert!(!quiet || rest, "what comes again and again is told at leisure: {event:?}");
            }
        }
    }

    #[test]
    fn what_the_log_keeps_for_ever_is_told_by_itself_and_a_heartbeat_is_not() {
        for event in sample::events() {
            let told = match event.kind().name {
                "signal_taken" => (Topic::Events, "signal_received"),
                "copy_decided" => (Topic::Events, "copy_decided"),
                "order_answered" => (Topic::Events, "order_result"),
                name if name.starts_with("alert_") => (Topic::Alerts, name),
                _ => (Topic::Events, "event"),
            };
            let expected = (event.class() == Class::Business).then_some(told);
            assert_eq!(happening(&event), expected, "{event:?}");
        }
    }

    #[test]
    fn a_thing_that_changed_often_is_told_once_and_stays_new() {
        let slave = StreamId::slave(&account_id("B_1"));
        let mut log = sample::log::Log::new();
        log.account(
            &slave,
            account::Command::Link { master: account_id("A_1"), enabled: true, settings: Box::default() },
        )
        .unwrap();
        let mut changes = Changes::default();
        for record in &log.records {
            changes.take_in(log.fold.truth.names().get(record.stream).unwrap(), &record.event);
        }
        let told = changes.told(&log.fold.truth, 0);
        let expected = [
            (Thing::Desk, How::Changed),
            (Thing::Settings, How::Changed),
            (account(Role::Slave, "B_1"), How::Changed),
            (member("B_1", "A_1"), How::Added),
            (Thing::Totals, How::Changed),
        ];
        assert_eq!(told, expected.into());
        assert_eq!(changes.told(&log.fold.truth, 0), BTreeMap::new());
    }

    #[test]
    fn figures_wait_until_they_are_due_or_their_account_is_told() {
        let log = sample::log::Log::new();
        let beat = Event::Account(account::Event::HeartbeatSeen(sample::heartbeat(true)));
        let mut changes = Changes::default();
        let beats = |changes: &mut Changes, id: &str| changes.take_in(&StreamId::master(&account_id(id)), &beat);
        let told = |changes: &mut Changes, max| {
            let told = changes.told(&log.fold.truth, max).into_keys();
            told.filter(|thing| matches!(thing, Thing::Account(..))).collect::<Vec<_>>()
        };
        for id in ["A_4", "A_1", "A_3", "A_2", "A_1"] {
            beats(&mut changes, id);
        }
        assert_eq!(told(&mut changes, 9), [], "none are due");
        changes.figures_are_due();
        beats(&mut changes, "A_0");
        let intent = account::Event::IntentSet(account::IntentSet { enabled: true });
        changes.take_in(&StreamId::master(&account_id("A_1")), &Event::Account(intent));
        assert_eq!(told(&mut changes, 0), [account(Role::Master, "A_1")]);
        assert_eq!(
            told(&mut changes, 2),
            [account(Role::Master, "A_3"), account(Role::Master, "A_4")],
            "who waits longest"
        );
        beats(&mut changes, "A_3");
        assert_eq!(told(&mut changes, 9), [account(Role::Master, "A_2")]);
        assert!(!changes.has_figures_due() && changes.has_figures());
        changes.figures_are_due();
        assert_eq!(told(&mut changes, 9), [account(Role::Master, "A_0"), account(Role::Master, "A_3")]);
        assert!(!changes.has_figures());
    }

    #[test]
    fn counts_are_told_before_figures_and_each_in_its_own_time() {
        let log = sample::log::Log::new();
        let id = sample::endpoint::endpoint_id;
        let mut changes = Changes::default();
        let finished = Event::Endpoint(endpoint::Event::RequestFinished(Box::new(sample::endpoint::finished(1))));
        let beat = Event::Account(account::Event::HeartbeatSeen(sample::heartbeat(true)));
        changes.take_in(&StreamId::master(&account_id("A_1")), &beat);
        changes.take_in(&StreamId::Endpoint(id(1)), &finished);
        let told = |changes: &mut Changes, max| changes.told(&log.fold.truth, max).into_keys().collect::<Vec<_>>();
        changes.take_in(&StreamId::Endpoint(id(1)), &finished);
        assert_eq!(told(&mut changes, 9), [], "none are due");
        changes.figures_are_due();
        changes.counts_are_due();
        assert!(changes.has_counts_due() && changes.has_figures_due());
        assert_eq!(told(&mut changes, 2), [Thing::Counters(id(1)), Thing::Totals]);
        assert_eq!(told(&mut changes, 2), [account(Role::Master, "A_1"), Thing::Speed(id(1))]);
        assert!(!changes.has_counts() && !changes.has_figures());
    }

    /// Everything that the messages about things show, as text.
    fn looks(truth: &Truth) -> BTreeMap<Thing, String> {
        let mut looks = BTreeMap::new();
        let desk = truth.desk().cloned().unwrap_or_default();
        looks.insert(Thing::Desk, format!("{:?} {:?} {}", desk.locked, desk.stopped, desk.settings.name));
        looks.insert(Thing::Settings, format!("{:?} {:?}", desk.settings, desk.revision));
        for it in truth.endpoints() {
            let seen = (it.kind(), it.health.status, it.health.since, it.latency, &it.models, it.revision);
            looks.insert(Thing::Endpoint(it.id), format!("{:?} {seen:?}", it.settings));
            let more = (&it.inference, it.last_seen, &it.last_error, it.health.failures, &it.told);
            looks.insert(Thing::Counters(it.id), format!("{more:?}"));
        }
        for (_, it) in truth.accounts() {
            let masters: Vec<_> =
                it.members().map(|(id, link)| (id, link.master_status, link.master_warnings)).collect();
            let seen = (it.connection, it.intent, it.status, it.warnings, it.trade_allowed, it.revision);
            let more = (&it.identity, &it.figures, masters);
            looks.insert(account(it.role, it.id.as_str()), format!("{seen:?} {more:?}"));
            if let Some(group) = &it.group {
                let seen = (it.intent, it.status, it.warnings, group, it.revision);
                looks.insert(Thing::Group(it.id.clone()), format!("{seen:?}"));
            }
            for (master, link) in it.members() {
                let book = it.slave_book.as_deref();
                let copies = book.and_then(|book| book.copies.get(master)).map_or(0, |copies| copies.len());
                let of_master = |order: &&crate::trade::Order| order.master.as_ref() == Some(master);
                let orders = book.map_or(0, |book| book.outbox.values().filter(of_master).count());
                let seen = (link.enabled, link.status, link.warnings, &link.settings, link.revision);
                let more = (it.status, it.allows_new_orders(link), copies, orders);
                looks.insert(member(it.id.as_str(), master.as_str()), format!("{seen:?} {more:?}"));
            }
        }
        looks
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever looks different after an event is among what the event touches.
        #[test]
        fn nothing_changes_its_looks_untold(steps in prop::collection::vec(any::<sample::log::Step>(), 1..150)) {
            let log = sample::log::day(&steps);
            let (mut fold, mut before) = (crate::view::Fold::default(), looks(&Truth::default()));
            let names: Vec<_> = log.fold.truth.names().iter().map(|(number, id)| (number, id.clone())).collect();
            for record in &log.records {
                fold.truth.learn(&names[..=record.stream.0 as usize]).unwrap();
                fold.apply(record).unwrap();
                let stream = fold.truth.names().get(record.stream).unwrap();
                let mut changes = Changes::default();
                changes.take_in(stream, &record.event);
                let mut told = changes.told(&fold.truth, 0);
                changes.figures_are_due();
                changes.counts_are_due();
                told.extend(changes.told(&fold.truth, usize::MAX));
                // An endpoint is told with everything that was counted of it.
                let endpoints = told.keys().filter_map(|thing| match thing {
                    Thing::Endpoint(id) => Some(Thing::Counters(*id)),
                    _ => None,
                });
                let endpoints: Vec<_> = endpoints.collect();
                told.extend(endpoints.into_iter().map(|thing| (thing, How::Changed)));
                let after = looks(&fold.truth);
                for thing in before.keys().chain(after.keys()) {
                    let same = before.get(thing) == after.get(thing);
                    prop_assert!(
                        same || told.contains_key(thing),
                        "{:?} of {} changes {:?} untold:\n{:?}\n{:?}",
                        record.event, stream, thing, before.get(thing), after.get(thing)
                    );
                }
                before = after;
            }
        }
    }

    #[test]
    fn topics_are_a_set() {
        let some: Topics = [Topic::Groups, Topic::Desk].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [Topic::Desk, Topic::Groups]);
        assert!(Topics::all().covers(some) && !some.covers(Topics::all()) && some.covers(Topics::NONE));
    }
}
