//! Everything that is said, in both directions.

use super::envelope::{Body, Kind, malformed};
use super::frame::FrameError;
use super::sign::{Key, KeyId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidehelm_events::account::{HeartbeatSeen, StateHash};
use tidehelm_events::codec;
use tidehelm_events::id::{AccountId, DeskId, Position};
use tidehelm_events::money::{Lots, Money, Price};
use tidehelm_events::reason::{RuntimeStatus, Warnings};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Affixes, Change, Contract, Holding, Order, OrderId, OrderResult, Symbol, Trade};

macro_rules! bodies {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$kind_doc:meta])* $variant:ident($body:ty) = $number:literal $text:literal v $schema:literal $($large:ident)?;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name { $($(#[$kind_doc])* $variant($body)),* }

        impl Body for $name {
            fn kind(&self) -> Kind {
                match self { $($name::$variant(_) => kind!($number $text $schema $($large)?)),* }
            }
            fn kinds() -> &'static [Kind] {
                &[$(kind!($number $text $schema $($large)?)),*]
            }
            fn write(&self, out: &mut Vec<u8>) {
                match self { $($name::$variant(body) => codec::write(body, out)),* }
            }
            fn read(kind: &Kind, bytes: &[u8]) -> Result<Self, FrameError> {
                match kind.number {
                    $($number => codec::read(bytes).map($name::$variant).map_err(|error| malformed($text, &error)),)*
                    _ => Err(FrameError::KindUnknown(kind.name.into())),
                }
            }
            fn read_json(kind: &Kind, text: &str) -> Result<Self, FrameError> {
                match kind.number {
                    $($number => serde_json::from_str(text).map($name::$variant).map_err(|error| malformed($text, &error)),)*
                    _ => Err(FrameError::KindUnknown(kind.name.into())),
                }
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $($name::$variant(body) => body.serialize(serializer)),* }
            }
        }
        $(impl From<$body> for $name {
            fn from(body: $body) -> Self {
                $name::$variant(body)
            }
        })*
    };
}

macro_rules! kind {
    ($number:literal $text:literal $schema:literal) => {
        Kind { number: $number, name: $text, schema: $schema, large: false }
    };
    ($number:literal $text:literal $schema:literal large) => {
        Kind { number: $number, name: $text, schema: $schema, large: true }
    };
}

bodies! {
    /// What a terminal says. `heartbeat` and `quote` go to `uplink`, the others to `session`.
    pub enum Request {
        /// Asks who the desk is, and for a nonce.
        Hello(Hello) = 1 "hello" v 1;
        /// Exchanges a code for the account's key.
        Pair(Pair) = 2 "pair" v 1;
        /// Says who the account is, and asks for an epoch.
        Register(Register) = 3 "register" v 1 large;
        Heartbeat(Heartbeat) = 4 "heartbeat" v 1;
        Quote(Quote) = 5 "quote" v 1;
        /// Goodbye.
        Unregister(Unregister) = 6 "unregister" v 1;
        RequestConfig(RequestConfig) = 7 "request_config" v 1;
        /// A master's trade changed.
        Signal(Signal) = 8 "signal" v 1;
        /// All that an account holds.
        PositionSnapshot(PositionSnapshot) = 9 "position_snapshot" v 1 large;
        /// What became of an order.
        OrderResult(OrderResult) = 10 "order_result" v 1;
        Ack(Ack) = 11 "ack" v 1;
        /// The long poll: waits until there is something for this terminal.
        Next(Next) = 12 "next" v 1;
    }
}

bodies! {
    /// What the desk answers.
    pub enum Answer {
        /// To `hello`.
        Welcome(Welcome) = 101 "welcome" v 1;
        /// To `pair`.
        Paired(Paired) = 102 "paired" v 1;
        /// To `register`.
        Registered(Registered) = 103 "registered" v 1;
        /// To whatever is on the record now.
        Accepted(Accepted) = 104 "accepted" v 1;
        Refused(Refused) = 105 "refused" v 1;
        /// To `next` and `request_config`.
        Deliveries(Deliveries) = 106 "deliveries" v 1 large;
    }
}

/// Bytes that are hex digits in JSON.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            pub fn to_hex(self) -> String {
                self.0.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            /// None unless the text is as many hex digits as it should be.
            pub fn from_hex(text: &str) -> Option<Self> {
                if text.len() != 2 * $size || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                let mut bytes = [0; $size];
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
                }
                Some(Self(bytes))
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.serialize_str(&self.to_hex()) } else { self.0.serialize(serializer) }
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return <[u8; $size]>::deserialize(deserializer).map(Self);
                }
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom(concat!("not ", $size, " bytes as hex digits")))
            }
        }
    };
}
pub(super) use hex_bytes;

hex_bytes!(
    /// Used once, so that a `register` cannot be played back.
    #[derive(Debug)]
    Nonce, 16
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Of the `welcome` before.
    pub nonce: Nonce,
    pub identity: Identity,
    pub holding: Holding,
    pub trade_allowed: bool,
    #[serde(default)]
    pub affixes: Affixes,
    /// By the broker's names.
    #[serde(default)]
    pub contracts: BTreeMap<Symbol, Contract>,
}

/// Who an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub platform: String,
    pub account_number: u64,
    pub broker: String,
    pub server: String,
    pub name: String,
    pub currency: String,
    pub leverage: u32,
    pub ea_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub open_positions: u32,
    pub trade_allowed: bool,
    /// Over all positions and pending orders: `tidehelm_events::trade::hash`.
    pub state_hash: StateHash,
    /// The last signal that the hash covers.
    pub through_signal_seq: u64,
    /// In every 30th.
    pub identity: Option<Identity>,
}

impl Heartbeat {
    pub fn seen(&self) -> HeartbeatSeen {
        HeartbeatSeen {
            balance: self.balance,
            equity: self.equity,
            free_margin: self.free_margin,
            open_positions: self.open_positions,
            trade_allowed: self.trade_allowed,
            state_hash: self.state_hash,
            through_signal_seq: self.through_signal_seq,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub symbol: Symbol,
    pub bid: Price,
    pub ask: Price,
    pub source_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unregister {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestConfig {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// 1, 2, 3 … without gaps in each epoch.
    pub signal_seq: u64,
    pub change: Change,
    /// When the broker did it, by the broker's clock.
    pub broker_at: Option<Timestamp>,
    /// When the terminal saw it.
    pub seen_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionSnapshot {
    pub trades: Vec<Held>,
    /// The last signal that it covers.
    pub through_signal_seq: u64,
}

/// A position or pending order in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub trade: Trade,
    /// The order of the desk that it came from.
    pub order: Option<OrderId>,
}

/// How far a terminal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// All orders up to this one are done.
    pub order_seq: u64,
    pub config_version: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// How long to wait for something, at most [`WAIT_MS_MAX`].
    pub wait_ms: u32,
    /// The highest order that the terminal has. Only later ones are news; a desk that never gave this one has forgotten.
    #[serde(default)]
    pub order_seq: u64,
    /// The configuration that the terminal has. Only a later one is news.
    #[serde(default)]
    pub config_version: u64,
}

/// The longest that a poll waits.
pub const WAIT_MS_MAX: u32 = 25_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub desk: DeskId,
    pub nonce: Nonce,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    pub key_id: KeyId,
    pub key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub epoch: u64,
    /// The desk's clock.
    pub now: Timestamp,
    pub heartbeat_ms: u32,
    /// The last signal that was ever taken, and in which epoch, so that none is sent twice.
    pub previous: Option<Previous>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    pub epoch: u64,
    pub signal_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Where it stands in the log; none where nothing had to be recorded.
    pub position: Option<Position>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Stable; see [`super::code`].
    pub code: String,
    /// A sentence that says what to do.
    pub detail: String,
    /// What of the body is at fault, where something is.
    pub field: Option<String>,
    /// The signal that would be taken instead.
    pub expected: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Orders in the order of their numbers; empty where the poll ran out.
    pub list: Vec<Delivery>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    Config(Config),
    Order(Box<Order>),
    /// The desk wants to know all that the account holds.
    RequestSnapshot {},
    Notice(Notice),
}

/// All that a terminal is to know. The highest version counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub version: u64,
    pub runtime_status: RuntimeStatus,
    pub warnings: Warnings,
    pub allow_new_orders: bool,
    /// A slave's masters; none for a master.
    pub links: Vec<LinkConfig>,
    /// The desk's own limits for the account; the terminal's count besides.
    pub lots_max: Option<Lots>,
    pub positions_max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkConfig {
    pub master: AccountId,
    pub runtime_status: RuntimeStatus,
    pub warnings: Warnings,
    pub allow_new_orders: bool,
}

/// Something for the person in front of the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub code: String,
    pub detail: String,
}
