//! What can happen to an account.

use crate::event::events;
use crate::id::AccountId;
use crate::money::Money;
use crate::reason::{RuntimeStatus, Warnings};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

events! {
    pub enum Event {
        /// A terminal said who it is.
        Registered(Registered) = 200 "account_registered" v 1 Business;
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
        LinkAdded(LinkAdded) = 207 "link_added" v 1 Business;
        /// A slave was told to stop following a master.
        LinkRemoved(LinkRemoved) = 208 "link_removed" v 1 Business;
        /// A slave learned the status of a master that it follows.
        MasterNoted(MasterNoted) = 209 "master_noted" v 1 Business;
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub platform: String,
    pub broker: String,
    pub server: String,
    pub name: String,
    pub currency: String,
    pub leverage: u32,
    pub trade_allowed: bool,
    pub ea_version: String,
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRemoved {
    pub master: AccountId,
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
