//! What an account remembers.

use super::book::{MasterBook, SlaveBook};
use super::event::{Event, HeartbeatSeen, QuoteSeen, Registered, StateHash};
use super::protection::{Protection, ProtectionEvent};
use super::settings::AccountSettings;
use super::status::{self, Evaluation, Inputs};
use crate::copy::settings::{Overrides, WindDown};
use crate::copy::{Funds, Quote};
use crate::id::{AccountId, Role, Version};
use crate::money::Money;
use crate::reason::{RuntimeStatus, Warnings};
use crate::stream::Stamp;
use crate::time::Timestamp;
use crate::trade::{Affixes, Contract, Holding, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A terminal that tells more symbols than this is believed for the first ones.
const QUOTES_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub role: Role,
    pub id: AccountId,
    pub identity: Option<Box<Identity>>,
    /// Number of the registration that counts.
    pub epoch: u64,
    pub intent: bool,
    /// A person has switched the account itself; until then a slave's first link does it.
    pub intent_by_person: bool,
    pub connection: Connection,
    pub figures: Option<Box<Figures>>,
    pub trade_allowed: bool,
    /// A slave's masters.
    pub links: BTreeMap<AccountId, Link>,
    /// A master's trade group.
    pub group: Option<Box<Group>>,
    /// None: as they are by default.
    pub settings: Option<Box<AccountSettings>>,
    pub status: RuntimeStatus,
    pub warnings: Warnings,
    /// What was raised and not cleared yet; part of the warnings.
    pub noticed: Warnings,
    pub master_book: Option<Box<MasterBook>>,
    pub slave_book: Option<Box<SlaveBook>>,
    /// What the limits are measured from; none while there are none.
    pub protection: Option<Box<Protection>>,
    /// What symbols cost, as the terminal said last.
    pub quotes: BTreeMap<Symbol, Quote>,
    /// Number of the configuration that the terminal should have.
    pub config_version: u64,
    /// Version of the last event that a person caused; what `If-Match` compares.
    pub revision: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    Never,
    Registered,
    Online,
    Lost,
    Unregistered,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub platform: String,
    pub broker: String,
    pub server: String,
    pub name: String,
    pub currency: String,
    pub leverage: u32,
    pub ea_version: String,
    pub holding: Holding,
    pub affixes: Affixes,
    pub contracts: BTreeMap<Symbol, Contract>,
}

/// What the last heartbeat said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub open_positions: u32,
    pub received_at: Timestamp,
}

/// One master that a slave follows: what people want of the link, and what the slave knows of the master.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub enabled: bool,
    pub settings: Box<Overrides>,
    /// The master's, as the desk told it last.
    pub master_status: RuntimeStatus,
    pub master_warnings: Warnings,
    /// The link's own.
    pub status: RuntimeStatus,
    pub warnings: Warnings,
    /// It was connected once, and what the master had open was looked at then.
    pub synced: bool,
    /// It is removed, and its copies are on their way out.
    pub winding: Option<WindDown>,
    /// Version of the last event that a person caused.
    pub revision: Version,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub settings: Box<Overrides>,
}

impl Account {
    pub fn new(role: Role, id: AccountId) -> Self {
        Account {
            role,
            id,
            identity: None,
            epoch: 0,
            intent: false,
            intent_by_person: false,
            connection: Connection::Never,
            figures: None,
            trade_allowed: false,
            links: BTreeMap::new(),
            group: None,
            settings: None,
            status: RuntimeStatus::Disabled,
            warnings: Warnings::NONE,
            noticed: Warnings::NONE,
            master_book: None,
            slave_book: None,
            protection: None,
            quotes: BTreeMap::new(),
            config_version: 0,
            revision: Version(0),
        }
    }

    /// What its status depends on, without its trades: cheap to copy and to try events on.
    pub(super) fn standing(&self) -> Account {
        Account {
            role: self.role,
            id: self.id.clone(),
            identity: None,
            epoch: self.epoch,
            intent: self.intent,
            intent_by_person: self.intent_by_person,
            connection: self.connection,
            figures: self.figures.clone(),
            trade_allowed: self.trade_allowed,
            links: self.links.clone(),
            group: self.group.clone(),
            settings: self.settings.clone(),
            status: self.status,
            warnings: self.warnings,
            noticed: self.noticed,
            master_book: None,
            slave_book: None,
            protection: self.protection.clone(),
            quotes: BTreeMap::new(),
            config_version: self.config_version,
            revision: self.revision,
        }
    }

    pub fn inputs(&self) -> Inputs {
        Inputs { intent: self.intent, online: self.is_online(), trade_allowed: self.trade_allowed }
    }
    pub fn is_online(&self) -> bool {
        self.connection == Connection::Online
    }
    /// Somebody knows it: a terminal, or a person who made its group.
    pub fn is_known(&self) -> bool {
        self.identity.is_some() || self.group.is_some()
    }
    pub fn requires_all_masters(&self) -> bool {
        self.settings.as_ref().is_none_or(|settings| settings.require_all_masters)
    }
    /// The links that people see: those that are not on their way out.
    pub fn members(&self) -> impl Iterator<Item = (&AccountId, &Link)> {
        self.links.iter().filter(|(_, link)| link.winding.is_none())
    }

    /// The status that the state should show.
    pub fn evaluate(&self) -> Evaluation {
        let evaluated = match self.role {
            Role::Master => status::own(Role::Master, self.inputs()),
            Role::Slave => {
                let any_enabled = self.members().next().is_none() || self.members().any(|(_, link)| link.enabled);
                let inputs = Inputs { intent: self.intent && any_enabled, ..self.inputs() };
                let enabled = self.members().filter(|(_, link)| link.enabled || !any_enabled);
                status::cluster(inputs, enabled.map(|(_, link)| link.master()), self.requires_all_masters())
            }
        };
        Evaluation { warnings: evaluated.warnings.union(self.noticed).union(self.limit_warnings()), ..evaluated }
    }

    /// The status that one link should show.
    pub fn evaluate_link(&self, link: &Link) -> Evaluation {
        let inputs = Inputs { intent: self.intent && link.enabled && link.winding.is_none(), ..self.inputs() };
        status::member(inputs, link.master())
    }

    /// New trades of this link's master may be opened.
    pub fn allows_new_orders(&self, link: &Link) -> bool {
        link.status == RuntimeStatus::Connected
            && (self.status == RuntimeStatus::Connected || !self.requires_all_masters())
    }

    /// When the account counts as lost unless a heartbeat comes; none while it is not online.
    pub fn deadline(&self, listening_since: Timestamp, timeout: crate::time::Span) -> Option<Timestamp> {
        if self.connection != Connection::Online {
            return None;
        }
        self.last_heartbeat_at().map(|last| last.max(listening_since) + timeout)
    }

    pub fn last_heartbeat_at(&self) -> Option<Timestamp> {
        self.figures.as_ref().map(|figures| figures.received_at)
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::Registered(registered) => self.registered(registered),
            Event::Unregistered(_) => self.connection = Connection::Unregistered,
            Event::HeartbeatSeen(heartbeat) => self.heard(heartbeat, at),
            Event::IntentSet(intent) => {
                self.intent = intent.enabled;
                self.intent_by_person = true;
                self.revision = at.version;
            }
            Event::Connected(_) => {
                assert!(self.connection != Connection::Online, "{:?} came online twice", self.id);
                self.connection = Connection::Online;
            }
            Event::Disconnected(_) => {
                assert!(self.connection == Connection::Online, "{:?} was lost without being online", self.id);
                self.connection = Connection::Lost;
            }
            Event::StatusChanged(change) => {
                assert!(self.status == change.old, "{:?} changed from a status that it did not have", self.id);
                (self.status, self.warnings) = (change.new, change.warnings);
                self.config_version += 1;
            }
            Event::LinkAdded(_)
            | Event::LinkRemoved(_)
            | Event::MasterNoted(_)
            | Event::LinkSwitched(_)
            | Event::LinkChanged(_)
            | Event::LinkEnded(_)
            | Event::LinkStatusChanged(_)
            | Event::SyncWanted(_) => self.remember_link(event, at),
            Event::GroupCreated(group) => {
                assert!(self.group.is_none(), "{:?} got a second group", self.id);
                self.group = Some(Box::new(Group { name: group.name.clone(), settings: group.settings.clone() }));
                self.revision = at.version;
            }
            Event::GroupChanged(group) => {
                assert!(self.group.is_some(), "a group of {:?} was changed that is not there", self.id);
                self.group = Some(Box::new(Group { name: group.name.clone(), settings: group.settings.clone() }));
                self.revision = at.version;
            }
            Event::GroupRemoved(_) => {
                assert!(self.group.take().is_some(), "a group of {:?} was removed that is not there", self.id);
                self.intent = false;
                self.revision = at.version;
            }
            Event::SettingsChanged(change) => {
                self.settings = Some(change.settings.clone());
                self.revision = at.version;
            }
            Event::WarningRaised(raised) => self.noticed = self.noticed.with(raised.warning),
            Event::WarningCleared(cleared) => self.noticed = self.noticed.without(cleared.warning),
            Event::SignalTaken(signal) => self.master_book.get_or_insert_default().take(signal),
            Event::StateDiffered(_) => self.want_snapshot(true),
            Event::SnapshotTaken(snapshot) => {
                self.want_snapshot(false);
                if let Some(book) = &mut self.slave_book {
                    book.correct(&snapshot.drifted, snapshot.agreed);
                }
            }
            Event::CopyDecided(_) | Event::OrderIssued(_) | Event::OrderAnswered(_) => {
                self.slave_book.get_or_insert_default().remember(event, at);
            }
            Event::StopTaken(_) => {}
            Event::NumbersSkipped(skipped) => {
                self.want_snapshot(true);
                self.slave_book.get_or_insert_default().skip(skipped.through);
            }
            Event::QuoteSeen(quote) => self.quoted(quote),
            Event::DayStarted(event) => self.limited(ProtectionEvent::DayStarted(event.clone()), at),
            Event::LimitNear(event) => self.limited(ProtectionEvent::Near(event.clone()), at),
            Event::LimitHit(event) => self.limited(ProtectionEvent::Hit(event.clone()), at),
            Event::LimitCleared(event) => self.limited(ProtectionEvent::Cleared(event.clone()), at),
            Event::Rearmed(event) => self.limited(ProtectionEvent::Rearmed(event.clone()), at),
        }
    }

    fn remember_link(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::LinkAdded(added) => {
                let mut link = Link::new(added.enabled, added.settings.clone());
                link.revision = at.version;
                let known = self.links.insert(added.master.clone(), link);
                let winding = known.is_none_or(|known| known.winding.is_some());
                assert!(winding, "{:?} was linked twice to {:?}", self.id, added.master);
                self.revision = at.version;
                self.config_version += 1;
            }
            Event::LinkRemoved(removed) => {
                let link = self.links.get_mut(&removed.master);
                let Some(link) = link.filter(|link| link.winding.is_none()) else {
                    unreachable!("{:?} lost a link that it did not have", self.id)
                };
                link.winding = Some(removed.wind_down);
                self.revision = at.version;
                self.config_version += 1;
            }
            Event::LinkEnded(ended) => {
                assert!(self.links.remove(&ended.master).is_some(), "{:?} ended a link twice", self.id);
                if let Some(book) = &mut self.slave_book {
                    book.forget(&ended.master);
                }
            }
            Event::MasterNoted(note) => {
                let link = self.link(&note.master);
                (link.master_status, link.master_warnings) = (note.status, note.warnings);
            }
            Event::LinkSwitched(switched) => {
                let link = self.link(&switched.master);
                link.enabled = switched.enabled;
                link.revision = at.version;
                self.revision = at.version;
            }
            Event::LinkChanged(changed) => {
                let link = self.link(&changed.master);
                link.settings = changed.settings.clone();
                link.revision = at.version;
                self.revision = at.version;
            }
            Event::LinkStatusChanged(change) => {
                let link = self.link(&change.master);
                (link.status, link.warnings) = (change.new, change.warnings);
                self.config_version += 1;
            }
            Event::SyncWanted(wanted) => self.link(&wanted.master).synced = true,
            _ => {}
        }
    }

    fn link(&mut self, master: &AccountId) -> &mut Link {
        match self.links.get_mut(master) {
            Some(link) => link,
            None => unreachable!("{:?} heard of a master that it does not follow: {master:?}", self.id),
        }
    }

    fn want_snapshot(&mut self, wanted: bool) {
        match self.role {
            Role::Master => self.master_book.get_or_insert_default().snapshot_wanted = wanted,
            Role::Slave => self.slave_book.get_or_insert_default().snapshot_wanted = wanted,
        }
    }

    /// A registration begins anew: signals are counted from 1, and all positions are asked for.
    fn registered(&mut self, registered: &Registered) {
        let r = registered.clone();
        self.trade_allowed = r.trade_allowed;
        if self.connection != Connection::Online {
            self.connection = Connection::Registered;
        }
        if r.epoch > self.epoch {
            self.epoch = r.epoch;
            self.want_snapshot(true);
            if let Some(book) = &mut self.master_book {
                if book.signal_seq > 0 {
                    book.previous = Some((r.epoch - 1, book.signal_seq));
                }
                book.signal_seq = 0;
                book.agreed = None;
            }
        }
        self.identity = Some(Box::new(Identity {
            platform: r.platform,
            broker: r.broker,
            server: r.server,
            name: r.name,
            currency: r.currency,
            leverage: r.leverage,
            ea_version: r.ea_version,
            holding: r.holding,
            affixes: r.affixes,
            contracts: r.contracts,
        }));
    }

    fn heard(&mut self, heartbeat: &HeartbeatSeen, at: &Stamp) {
        let figures = self.figures.get_or_insert_with(|| {
            Box::new(Figures {
                balance: Money::ZERO,
                equity: Money::ZERO,
                free_margin: Money::ZERO,
                open_positions: 0,
                received_at: Timestamp::ZERO,
            })
        });
        figures.balance = heartbeat.balance;
        figures.equity = heartbeat.equity;
        figures.free_margin = heartbeat.free_margin;
        figures.open_positions = heartbeat.open_positions;
        figures.received_at = at.received_at.max(figures.received_at);
        self.trade_allowed = heartbeat.trade_allowed;
        // Also where no limits are set: whoever sets some later wants them measured from what was.
        let figures = self.protected_figures(heartbeat);
        self.protection.get_or_insert_default().heard(&figures, at.recorded_at);
        let (through, told) = (heartbeat.through_signal_seq, heartbeat.state_hash);
        if told == StateHash::default() {
            return;
        }
        if let Some(book) = self.master_book.as_mut().filter(|book| book.signal_seq == through) {
            book.agreed = Some(told);
        }
        if let Some(book) = self.slave_book.as_mut().filter(|book| book.order_seq == through && book.outbox.is_empty())
        {
            book.agreed = Some(told);
        }
    }

    fn quoted(&mut self, quote: &QuoteSeen) {
        if self.quotes.len() < QUOTES_MAX || self.quotes.contains_key(&quote.symbol) {
            self.quotes.insert(quote.symbol.clone(), Quote { bid: quote.bid, ask: quote.ask });
        }
    }

    fn limited(&mut self, event: ProtectionEvent, at: &Stamp) {
        self.protection.get_or_insert_default().remember(&event, at.recorded_at);
    }
}

impl Figures {
    pub fn funds(&self) -> Funds {
        let Figures { balance, equity, free_margin, received_at: at, .. } = *self;
        Funds { balance, equity, free_margin, at }
    }
}

impl Link {
    pub fn new(enabled: bool, settings: Box<Overrides>) -> Self {
        Link {
            enabled,
            settings,
            master_status: RuntimeStatus::Disabled,
            master_warnings: Warnings::NONE,
            status: RuntimeStatus::Disabled,
            warnings: Warnings::NONE,
            synced: false,
            winding: None,
            revision: Version(0),
        }
    }
    pub fn master(&self) -> Evaluation {
        Evaluation { status: self.master_status, warnings: self.master_warnings }
    }
}
