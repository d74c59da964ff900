//! What an account remembers.

use super::event::{Event, HeartbeatSeen, Registered};
use super::status::{self, Evaluation, Inputs};
use crate::id::{AccountId, Role, Version};
use crate::money::Money;
use crate::reason::{RuntimeStatus, Warnings};
use crate::stream::Stamp;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub role: Role,
    pub id: AccountId,
    pub identity: Option<Box<Identity>>,
    pub intent: bool,
    pub connection: Connection,
    pub figures: Option<Box<Figures>>,
    pub trade_allowed: bool,
    pub masters: BTreeMap<AccountId, MasterSeen>,
    pub status: RuntimeStatus,
    pub warnings: Warnings,
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

/// What a slave knows of a master: none until the desk has told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterSeen {
    pub status: RuntimeStatus,
    pub warnings: Warnings,
}

impl Account {
    pub fn new(role: Role, id: AccountId) -> Self {
        Account {
            role,
            id,
            identity: None,
            intent: false,
            connection: Connection::Never,
            figures: None,
            trade_allowed: false,
            masters: BTreeMap::new(),
            status: RuntimeStatus::Disabled,
            warnings: Warnings::NONE,
            revision: Version(0),
        }
    }

    pub fn inputs(&self) -> Inputs {
        Inputs { intent: self.intent, online: self.connection == Connection::Online, trade_allowed: self.trade_allowed }
    }

    /// The status that the state should show.
    pub fn evaluate(&self) -> Evaluation {
        match self.role {
            Role::Master => status::own(Role::Master, self.inputs()),
            Role::Slave => {
                let seen = |master: &MasterSeen| Evaluation { status: master.status, warnings: master.warnings };
                status::cluster(self.inputs(), self.masters.values().map(seen))
            }
        }
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
            }
            Event::LinkAdded(link) => {
                let unknown = MasterSeen { status: RuntimeStatus::Disabled, warnings: Warnings::NONE };
                let known = self.masters.insert(link.master.clone(), unknown);
                assert!(known.is_none(), "{:?} was linked twice to {:?}", self.id, link.master);
                self.revision = at.version;
            }
            Event::LinkRemoved(link) => {
                let known = self.masters.remove(&link.master);
                assert!(known.is_some(), "{:?} lost a link that it did not have", self.id);
                self.revision = at.version;
            }
            Event::MasterNoted(note) => {
                let seen = MasterSeen { status: note.status, warnings: note.warnings };
                let known = self.masters.insert(note.master.clone(), seen);
                assert!(known.is_some(), "{:?} heard of a master that it does not follow", self.id);
            }
        }
    }

    fn registered(&mut self, registered: &Registered) {
        let r = registered.clone();
        self.trade_allowed = r.trade_allowed;
        if self.connection != Connection::Online {
            self.connection = Connection::Registered;
        }
        self.identity = Some(Box::new(Identity {
            platform: r.platform,
            broker: r.broker,
            server: r.server,
            name: r.name,
            currency: r.currency,
            leverage: r.leverage,
            ea_version: r.ea_version,
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
    }
}
