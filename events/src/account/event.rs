//! What can happen to an account.

use super::protection::{LimitCleared, LimitHit, LimitNear, ProtectionRearmed, TradingDayStarted};
use super::settings::AccountSettings;
use crate::copy::book::Copy;
use crate::copy::settings::{Overrides, WindDown};
use crate::copy::stop::StopDegree;
use crate::copy::{Origin, Plan};
use crate::event::events;
use crate::id::{AccountId, Position};
use crate::money::{Lots, Money, Price};
use crate::reason::{RuntimeStatus, Warning, Warnings};
use crate::time::Timestamp;
use crate::trade::{Affixes, Change, Contract, Holding, Order, OrderId, OrderResult, Symbol, Ticket, Trade};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

events! {
    pub enum Event {
        /// A terminal said who it is.
        Registered(Registered) = 200 "account_registered" v 2 Business, lifts 1 from RegisteredV1;
        /// A terminal said goodbye.
        Unregistered(Unregistered) = 201 "account_unregistered" v 1 Business;
        /// A terminal said that it is alive, and its figures.
        HeartbeatSeen(HeartbeatSeen) = 202 "heartbeat_seen" v 2 Telemetry, lifts 1 from HeartbeatSeenV1;
        /// A person switched the account on or off.
        IntentSet(IntentSet) = 203 "intent_set" v 1 Business;
        /// The first heartbeat after a silence.
        Connected(Connected) = 204 "account_online" v 1 Business;
        /// No heartbeat for as long as the settings allow.
        Disconnected(Disconnected) = 205 "account_offline" v 1 Business;
        /// The computed status or its warnings changed.
        StatusChanged(StatusChanged) = 206 "status_changed" v 1 Business;
        /// A slave was told to follow a master.
        LinkAdded(LinkAdded) = 207 "link_added" v 2 Business, lifts 1 from LinkAddedV1;
        /// A slave was told to stop following a master; what becomes of the copies.
        LinkRemoved(LinkRemoved) = 208 "link_removed" v 2 Business, lifts 1 from LinkRemovedV1;
        /// A slave learned the status of a master that it follows.
        MasterNoted(MasterNoted) = 209 "master_noted" v 1 Business;
        /// A master got a trade group.
        GroupCreated(GroupCreated) = 210 "group_created" v 1 Business;
        /// A trade group's name or settings were changed; all of them as they are now.
        GroupChanged(GroupChanged) = 211 "group_changed" v 1 Business;
        /// A trade group was removed; its members go with it.
        GroupRemoved(GroupRemoved) = 212 "group_removed" v 1 Business;
        /// A person switched one link on or off.
        LinkSwitched(LinkSwitched) = 213 "link_switched" v 1 Business;
        /// A link's settings were changed; all of them as they are now.
        LinkChanged(LinkChanged) = 214 "link_settings_changed" v 1 Business;
        /// The last copy of a removed link is over.
        LinkEnded(LinkEnded) = 215 "link_ended" v 1 Business;
        /// The computed status of one link or its warnings changed.
        LinkStatusChanged(LinkStatusChanged) = 216 "link_status_changed" v 1 Business;
        /// A link was connected for the first time: the master's open trades are looked at.
        SyncWanted(SyncWanted) = 217 "sync_wanted" v 1 Business;
        /// An account's own settings were changed; all of them as they are now.
        SettingsChanged(SettingsChanged) = 218 "account_settings_changed" v 1 Business;
        /// Something about the account deserves a look.
        WarningRaised(WarningRaised) = 219 "warning_raised" v 1 Business;
        /// A warning no longer holds.
        WarningCleared(WarningCleared) = 220 "warning_cleared" v 1 Business;
        /// A terminal said what a symbol costs.
        QuoteSeen(QuoteSeen) = 221 "quote_seen" v 1 Telemetry;
        /// A master's trade was opened, modified or closed.
        SignalTaken(SignalTaken) = 230 "signal_taken" v 1 Business;
        /// A terminal's positions are not what the desk thinks; it is asked for all of them.
        StateDiffered(StateDiffered) = 231 "state_differed" v 1 Business;
        /// A terminal told all its positions, and what they differed in.
        SnapshotTaken(SnapshotTaken) = 232 "snapshot_taken" v 1 Business;
        /// What a slave does about one signal of one master, and why.
        CopyDecided(CopyDecided) = 240 "copy_decided" v 1 Business;
        /// An order for a slave's terminal; it stands until its result is here.
        OrderIssued(OrderIssued) = 241 "order_issued" v 1 Business;
        /// What became of an order, as the terminal says.
        OrderAnswered(OrderAnswered) = 242 "order_answered" v 1 Business;
        /// STOP reached this slave.
        StopTaken(StopTaken) = 243 "stop_taken" v 1 Business;
        /// A terminal knows higher order numbers than the log: numbering goes on above them.
        NumbersSkipped(NumbersSkipped) = 244 "order_numbers_skipped" v 1 Business;
        /// A trading day of the account began; what its limits are measured from.
        DayStarted(TradingDayStarted) = 250 "trading_day_started" v 1 Business;
        /// A limit of the account is nearly used up.
        LimitNear(LimitNear) = 251 "limit_near" v 1 Business;
        /// A limit of the account was reached, and what it forbids now.
        LimitHit(LimitHit) = 252 "limit_hit" v 1 Business;
        /// A limit is no longer near.
        LimitCleared(LimitCleared) = 253 "limit_cleared" v 1 Business;
        /// A person armed limits again after they were reached.
        Rearmed(ProtectionRearmed) = 254 "limits_rearmed" v 1 Business;
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub platform: String,
    pub broker: String,
    pub server: String,
    pub name: String,
    pub currency: String,
    pub leverage: u32,
    pub trade_allowed: bool,
    pub ea_version: String,
    pub holding: Holding,
    pub affixes: Affixes,
    /// What the broker trades, as far as the terminal said.
    pub contracts: BTreeMap<Symbol, Contract>,
    /// 1, 2, 3 …: what this terminal says until somebody registers again. The desk gives it.
    pub epoch: u64,
}

/// Before terminals said what they trade, and the desk numbered their registrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredV1 {
    pub platform: String,
    pub broker: String,
    pub server: String,
    pub name: String,
    pub currency: String,
    pub leverage: u32,
    pub trade_allowed: bool,
    pub ea_version: String,
}

impl From<RegisteredV1> for Registered {
    fn from(old: RegisteredV1) -> Self {
        Registered {
            platform: old.platform,
            broker: old.broker,
            server: old.server,
            name: old.name,
            currency: old.currency,
            leverage: old.leverage,
            trade_allowed: old.trade_allowed,
            ea_version: old.ea_version,
            ..Registered::default()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unregistered {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatSeen {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub open_positions: u32,
    pub trade_allowed: bool,
    pub state_hash: StateHash,
    /// The last signal that the state hash covers.
    pub through_signal_seq: u64,
}

/// Before terminals said up to which signal their state hash reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatSeenV1 {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub open_positions: u32,
    pub trade_allowed: bool,
    pub state_hash: StateHash,
}

impl From<HeartbeatSeenV1> for HeartbeatSeen {
    fn from(old: HeartbeatSeenV1) -> Self {
        HeartbeatSeen {
            balance: old.balance,
            equity: old.equity,
            free_margin: old.free_margin,
            open_positions: old.open_positions,
            trade_allowed: old.trade_allowed,
            state_hash: old.state_hash,
            through_signal_seq: 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentSet {
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnected {
    pub last_heartbeat_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChanged {
    pub old: RuntimeStatus,
    pub new: RuntimeStatus,
    pub warnings: Warnings,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAdded {
    pub master: AccountId,
    pub enabled: bool,
    pub settings: Box<Overrides>,
}

/// Before links had a switch and settings of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAddedV1 {
    pub master: AccountId,
}

impl From<LinkAddedV1> for LinkAdded {
    fn from(old: LinkAddedV1) -> Self {
        LinkAdded { master: old.master, enabled: true, settings: Box::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRemoved {
    pub master: AccountId,
    pub wind_down: WindDown,
}

/// Before links had copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRemovedV1 {
    pub master: AccountId,
}

impl From<LinkRemovedV1> for LinkRemoved {
    fn from(old: LinkRemovedV1) -> Self {
        LinkRemoved { master: old.master, wind_down: WindDown::Keep }
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

payloads! {
    GroupCreated { name: String, settings: Box<Overrides> }
    GroupChanged { name: String, settings: Box<Overrides> }
    GroupRemoved {
        /// As they were: what becomes of the copies goes by them, too.
        settings: Box<Overrides>,
    }
    LinkSwitched { master: AccountId, enabled: bool }
    LinkChanged { master: AccountId, settings: Box<Overrides> }
    LinkEnded { master: AccountId }
    LinkStatusChanged { master: AccountId, old: RuntimeStatus, new: RuntimeStatus, warnings: Warnings }
    SyncWanted { master: AccountId }
    SettingsChanged { settings: Box<AccountSettings> }
    WarningRaised { warning: Warning, why: String }
    WarningCleared { warning: Warning }
    QuoteSeen { symbol: Symbol, bid: Price, ask: Price }
    SignalTaken {
        /// Of the terminal's epoch; 0 where a snapshot showed it.
        signal_seq: u64,
        origin: Origin,
        change: Change,
        /// The trade as it was.
        before: Option<Box<Trade>>,
        broker_at: Option<Timestamp>,
        seen_at: Option<Timestamp>,
    }
    StateDiffered { through_signal_seq: u64, reported: StateHash, expected: StateHash }
    SnapshotTaken {
        trades: u32,
        through_signal_seq: u64,
        /// Copies that the terminal no longer has, and what is left of others.
        drifted: Vec<Drift>,
        /// Positions that no order of the desk opened.
        unknown: Vec<Ticket>,
        /// The hash that stands for what the terminal told; a slave's is compared with it from now on.
        agreed: StateHash,
    }
    CopyDecided {
        master: AccountId,
        /// Position of the master's signal.
        signal: Position,
        ticket: Ticket,
        origin: Origin,
        plan: Box<Plan>,
        orders: Vec<OrderId>,
        /// All that the master ever put into the trade, and what it has left of it now.
        master_lots: Lots,
        master_left: Lots,
        /// Where this begins a copy: the copy, without the orders that open it.
        copy: Option<Box<Copy>>,
    }
    OrderIssued { order: Box<Order> }
    OrderAnswered {
        seq: u64,
        result: Box<OrderResult>,
        /// When the order was in the log, and when it left for the terminal.
        durable_at: Option<Timestamp>,
        sent_at: Option<Timestamp>,
    }
    StopTaken { degree: StopDegree, orders: u32 }
    NumbersSkipped {
        /// The highest number that the terminal knows. Orders that are outstanding get the next ones, in their order; but those that
        /// their own number names are withdrawn, since the terminal may know another one by that name.
        through: u64,
    }
    /// What a terminal has of an order's position.
    Drift { order: OrderId, ticket: Option<Ticket>, expected: Lots, found: Lots }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterNoted {
    pub master: AccountId,
    pub status: RuntimeStatus,
    pub warnings: Warnings,
}

/// SHA-256 over a terminal's open positions; zero where it has not said.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StateHash(pub [u8; 32]);

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl Serialize for StateHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{self:?}"))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}
impl<'de> Deserialize<'de> for StateHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = StateHash;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SHA-256 hash: 64 hex digits")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<StateHash, E> {
                bytes.try_into().map(StateHash).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StateHash, E> {
                let hash = crate::commit::Hash::from_hex(text);
                hash.map(|hash| StateHash(hash.0))
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Bytes)
        } else {
            deserializer.deserialize_bytes(Bytes)
        }
    }
}
