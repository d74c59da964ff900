//! Names of things. Each is checked once, when it is made.

use crate::trade::Symbol;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an account id has 1 to 64 characters of A-Z a-z 0-9 and _, got `{0}`")]
    Account(String),
    #[error("a user name has 1 to 64 characters of a-z 0-9 . _ @ and -, got `{0}`")]
    User(String),
    #[error(
        "a stream is `desk`, `master/ACCOUNT`, `slave/ACCOUNT`, `endpoint/ID`, `proxy`, `alerts`, `guard`, `market/VENUE:SYMBOL`, \
         `strategy/ID` or `venue/ID`, got `{0}`"
    )]
    Stream(String),
    #[error("a strategy's id has 1 to 32 characters of a-z 0-9 and _, got `{0}`")]
    Strategy(String),
    #[error("a venue's id has 1 to 32 characters of a-z 0-9 and _, got `{0}`")]
    Venue(String),
    #[error("a market is `VENUE:SYMBOL`, the symbol of 1 to 40 visible characters, got `{0}`")]
    Market(String),
    #[error("a role is `master` or `slave`, got `{0}`")]
    Role(String),
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $error:path, $longest:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text: String = text.into();
                let good: fn(char) -> bool = $good;
                if text.is_empty() || text.len() > $longest || !text.chars().all(good) {
                    return Err($error(text.chars().take(80).collect()));
                }
                Ok(Self(text.into_boxed_str()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

checked_text!(
    /// A trading account: broker and login, `IC_Markets_12345`.
    AccountId, IdError::Account, 64, |c| c.is_ascii_alphanumeric() || c == '_'
);
checked_text!(
    /// A person at the desk.
    UserName, IdError::User, 64, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '@' | '-')
);

checked_text!(
    /// A strategy, `btc_maker`.
    StrategyId, IdError::Strategy, 32, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
);
checked_text!(
    /// An account at a venue, `paper`.
    VenueId, IdError::Venue, 32, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
);

/// A symbol at a venue, `paper:BTC-USD`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MarketId {
    pub venue: VenueId,
    pub symbol: Symbol,
}

impl std::str::FromStr for MarketId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let unknown = || IdError::Market(text.chars().take(80).collect());
        let (venue, symbol) = text.split_once(':').ok_or_else(unknown)?;
        Ok(MarketId { venue: VenueId::new(venue)?, symbol: Symbol::new(symbol).map_err(|_| unknown())? })
    }
}
impl TryFrom<String> for MarketId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<MarketId> for String {
    fn from(id: MarketId) -> String {
        id.to_string()
    }
}
impl fmt::Display for MarketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.venue, self.symbol)
    }
}
impl fmt::Debug for MarketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AccountId {
    /// The id that a broker's name and a login make: ` `, `.` and `-` become `_`.
    pub fn of(broker: &str, login: u64) -> Result<Self, IdError> {
        let broker: String = broker.chars().map(|c| if matches!(c, ' ' | '.' | '-') { '_' } else { c }).collect();
        Self::new(format!("{broker}_{login}"))
    }
}

/// What an account does in a link. One account may be both, as two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Master,
    Slave,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Slave => "slave",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "master" => Ok(Role::Master),
            "slave" => Ok(Role::Slave),
            other => Err(IdError::Role(other.into())),
        }
    }
}

/// The stream that an event belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    Desk,
    Account(Role, AccountId),
    Endpoint(EndpointId),
    /// The proxy as a whole, with the requests that came to no endpoint.
    Proxy,
    /// Rules, channels, alerts and what is told of them.
    Alerts,
    /// What strategies may do, as people set it.
    Guard,
    Market(MarketId),
    Strategy(StrategyId),
    /// An account at a venue: the one way to it, and what is held there.
    Venue(VenueId),
}

impl StreamId {
    pub fn master(account: &AccountId) -> Self {
        StreamId::Account(Role::Master, account.clone())
    }
    pub fn slave(account: &AccountId) -> Self {
        StreamId::Account(Role::Slave, account.clone())
    }
    /// `desk`, `master`, `slave`, `endpoint`, `proxy`, `alerts`, `guard`, `market`, `strategy` or `venue`: a word for tables and
    /// metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            StreamId::Desk => "desk",
            StreamId::Account(role, _) => role.as_str(),
            StreamId::Endpoint(_) => "endpoint",
            StreamId::Proxy => "proxy",
            StreamId::Alerts => "alerts",
            StreamId::Guard => "guard",
            StreamId::Market(_) => "market",
            StreamId::Strategy(_) => "strategy",
            StreamId::Venue(_) => "venue",
        }
    }
    /// What distinguishes it among streams of its kind; empty where there is only one.
    pub fn key(&self) -> Cow<'_, str> {
        match self {
            StreamId::Desk | StreamId::Proxy | StreamId::Alerts | StreamId::Guard => Cow::Borrowed(""),
            StreamId::Account(_, account) => Cow::Borrowed(account.as_str()),
            StreamId::Strategy(strategy) => Cow::Borrowed(strategy.as_str()),
            StreamId::Venue(venue) => Cow::Borrowed(venue.as_str()),
            StreamId::Market(market) => Cow::Owned(market.to_string()),
            StreamId::Endpoint(endpoint) => Cow::Owned(endpoint.to_string()),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamId::Desk => f.write_str("desk"),
            StreamId::Account(role, account) => write!(f, "{}/{account}", role.as_str()),
            StreamId::Endpoint(endpoint) => write!(f, "endpoint/{endpoint}"),
            StreamId::Proxy => f.write_str("proxy"),
            StreamId::Alerts => f.write_str("alerts"),
            StreamId::Guard => f.write_str("guard"),
            StreamId::Market(market) => write!(f, "market/{market}"),
            StreamId::Strategy(strategy) => write!(f, "strategy/{strategy}"),
            StreamId::Venue(venue) => write!(f, "venue/{venue}"),
        }
    }
}
impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::str::FromStr for StreamId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let unknown = || IdError::Stream(text.chars().take(80).collect());
        match text.split_once('/') {
            None if text == "desk" => Ok(StreamId::Desk),
            None if text == "proxy" => Ok(StreamId::Proxy),
            None if text == "alerts" => Ok(StreamId::Alerts),
            None if text == "guard" => Ok(StreamId::Guard),
            Some(("market", id)) => id.parse().map(StreamId::Market),
            Some(("strategy", id)) => StrategyId::new(id).map(StreamId::Strategy),
            Some(("venue", id)) => VenueId::new(id).map(StreamId::Venue),
            Some((role @ ("master" | "slave"), account)) => {
                Ok(StreamId::Account(role.parse()?, AccountId::new(account)?))
            }
            Some(("endpoint", id)) => EndpointId::parse(id).map(StreamId::Endpoint).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }
}
impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl $name {
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Place of an event in the log: 1, 2, 3 … without gaps. 0 is before the first.
    Position(u64)
);
number!(
    /// Place of an event in its stream: 1, 2, 3 … without gaps.
    Version(u64)
);
number!(
    /// Number that the log gave a stream when it first appeared.
    StreamNo(u32)
);
number!(
    /// Generation of the log's writer: a writer with an older one is fenced off.
    Epoch(u64)
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_id!(
    /// Id of an event, derived from its place: see [`EventId::derive`].
    EventId
);
uuid_id!(
    /// Id that the sender of a command gave it; a repeat carries the same.
    CommandId
);
uuid_id!(
    /// Id of this desk, in its first event.
    DeskId
);
uuid_id!(
    /// A running server, as the log knows it.
    NodeId
);
uuid_id!(
    /// A row of the vault, which holds what no event may: hashes of passwords, tokens and codes, and sealed keys.
    CredentialId
);

uuid_id!(
    /// An upstream service that the desk watches and sends requests to.
    EndpointId
);

impl EndpointId {
    /// The id, where the text is one as it is written: one id has one text.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok().map(EndpointId)?;
        (id.to_string() == text).then_some(id)
    }
}

impl EventId {
    /// A uuid v7 whose time is `recorded_at` and whose other 74 bits are a bijection of the position, keyed by the desk.
    pub fn derive(desk: DeskId, position: Position, recorded_at: crate::time::Timestamp) -> Self {
        let seed = u64::from_be_bytes(desk.0.as_bytes()[..8].try_into().unwrap_or([0; 8]));
        let mixed = mix(position.0 ^ seed);
        let millis = recorded_at.millis().max(0) as u128 & 0xffff_ffff_ffff;
        let top = (mixed >> 62) as u128;
        let rest = (mixed & 0x3fff_ffff_ffff_ffff) as u128;
        EventId(Uuid::from_u128(millis << 80 | 0x7 << 76 | top << 64 | 0b10 << 62 | rest))
    }
}

impl CommandId {
    /// The id itself where the text is a uuid, else one derived from it: any `Idempotency-Key` will do.
    pub fn from_key(key: &str) -> Self {
        const KEYS: Uuid = Uuid::from_u128(0x7f1c_5d0e_2b7b_4f0c_9a53_d1ce_0f5e_11a9);
        CommandId(Uuid::try_parse(key).unwrap_or_else(|_| Uuid::new_v5(&KEYS, key.as_bytes())))
    }
}

/// SplitMix64's finaliser: every input has its own output.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Who wants something. Answers are kept per principal, so that nobody can ask for another's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// The desk's own timers and reactions.
    Desk,
    /// The terminal of the account whose stream this is.
    Terminal,
    /// Somebody with the data directory in hand.
    Operator,
    User(UserName),
    Token(CredentialId),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Desk => f.write_str("desk"),
            Principal::Terminal => f.write_str("terminal"),
            Principal::Operator => f.write_str("operator"),
            Principal::User(name) => write!(f, "user:{name}"),
            Principal::Token(id) => write!(f, "token:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use std::collections::BTreeSet;

    #[test]
    fn an_account_is_broker_and_login() {
        assert_eq!(AccountId::of("IC Markets-Live.01", 12345).unwrap().as_str(), "IC_Markets_Live_01_12345");
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(AccountId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stream_reads_as_it_is_written() {
        for (text, kind, key) in [
            ("desk", "desk", ""),
            ("master/A_1", "master", "A_1"),
            ("slave/A_12", "slave", "A_12"),
            ("proxy", "proxy", ""),
            ("alerts", "alerts", ""),
            ("guard", "guard", ""),
            ("market/paper:BTC/USD", "market", "paper:BTC/USD"),
            ("strategy/btc_maker", "strategy", "btc_maker"),
            ("venue/paper", "venue", "paper"),
            ("endpoint/0e000000-0000-7000-8000-000000000001", "endpoint", "0e000000-0000-7000-8000-000000000001"),
        ] {
            let stream: StreamId = text.parse().unwrap();
            assert_eq!((stream.to_string().as_str(), stream.kind(), stream.key().as_ref()), (text, kind, key));
        }
        let bad = [
            "",
            "desk/",
            "master",
            "master/",
            "owner/A",
            "slave/a b",
            "endpoint",
            "endpoint/7",
            "proxy/",
            "alerts/",
            "guard/",
            "market/BTC",
            "market/paper:",
            "market/P:BTC",
            "strategy/",
            "strategy/a-b",
            "venue/A",
        ];
        let twice = "endpoint/0E000000-0000-7000-8000-000000000001";
        for bad in bad.into_iter().chain([twice]) {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn event_ids_are_unique_version_7_and_sorted_by_time() {
        let desk = DeskId(Uuid::from_u128(0xfeed << 100));
        let mut seen = BTreeSet::new();
        for position in 1..5000 {
            let id = EventId::derive(desk, Position(position), Timestamp::from_millis(1_700_000_000_000));
            assert_eq!(id.0.get_version_num(), 7);
            assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            assert!(seen.insert(id));
        }
        let later = EventId::derive(desk, Position(1), Timestamp::from_millis(1_700_000_000_001));
        assert!(seen.iter().all(|id| *id < later));
    }
}
