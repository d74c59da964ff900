//! What a strategy wants of a venue, and what the venue says of it.

use crate::id::{MarketId, StrategyId};
use crate::market::{Cash, Price, Size};
use crate::money::Factor;
use crate::time::Timestamp;
use crate::trade::Side;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The desk's name of an order at a venue, `btc_maker-01JD2N6Z5V8Q3W4E5R6T7Y8U9P`: the strategy and a ULID. The ULID's time is that
/// of its cause and its other 80 bits follow from the cause, so that it is the same however often it is worked out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientOrderId {
    pub strategy: StrategyId,
    pub ulid: u128,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a client order id is a strategy, `-` and 26 characters of a ULID, got `{0}`")]
pub struct ClientOrderIdError(String);

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ULID_LENGTH: usize = 26;

impl ClientOrderId {
    /// The id of the order that the cause makes as its `index`-th.
    pub fn derive(strategy: &StrategyId, cause: Uuid, index: u32, at: Timestamp) -> Self {
        let named = Uuid::new_v5(&cause, format!("{strategy}/{index}").as_bytes());
        let millis = at.millis().max(0) as u128 & 0xffff_ffff_ffff;
        ClientOrderId { strategy: strategy.clone(), ulid: millis << 80 | named.as_u128() & ((1 << 80) - 1) }
    }
    /// When its cause was recorded, to the millisecond.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis((self.ulid >> 80) as i64)
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let character = |place: usize| char::from(ALPHABET[(self.ulid >> (5 * place) & 31) as usize]);
        let ulid: String = (0..ULID_LENGTH).rev().map(character).collect();
        write!(f, "{}-{ulid}", self.strategy)
    }
}
impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for ClientOrderId {
    type Err = ClientOrderIdError;
    /// As it is written and no other way: one id has one text.
    fn from_str(text: &str) -> Result<Self, ClientOrderIdError> {
        let read = || {
            let (strategy, digits) = text.split_once('-')?;
            let first = *digits.as_bytes().first()?;
            if digits.len() != ULID_LENGTH || first > b'7' {
                return None;
            }
            let mut ulid: u128 = 0;
            for byte in digits.bytes() {
                let digit = ALPHABET.iter().position(|known| *known == byte)?;
                ulid = ulid << 5 | digit as u128;
            }
            Some(ClientOrderId { strategy: StrategyId::new(strategy).ok()?, ulid })
        };
        read().ok_or_else(|| ClientOrderIdError(text.chars().take(80).collect()))
    }
}
impl TryFrom<String> for ClientOrderId {
    type Error = ClientOrderIdError;
    fn try_from(text: String) -> Result<Self, ClientOrderIdError> {
        text.parse()
    }
}
impl From<ClientOrderId> for String {
    fn from(id: ClientOrderId) -> String {
        id.to_string()
    }
}

/// A position that one entry opened and one strategy owns: the entry's id names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TradeId(pub ClientOrderId);

/// What an order is for. The guard goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// One side of a maker's quotes, 0 being the level next to the middle.
    Quote {
        level: u8,
    },
    /// A quote that can only make the inventory smaller.
    Reduce {
        level: u8,
    },
    Entry,
    Exit(Way),
}

impl Purpose {
    /// No flag vetoes it.
    pub fn is_protective(self) -> bool {
        matches!(self, Purpose::Exit(way) if way.is_protective())
    }
}

/// Why a position is given up, in whole or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Take,
    Partial,
    Trail,
    Signal,
    Stop,
    MaxAdverse,
    TimeStop,
    RiskFlatten,
    /// The guardian's, for what nobody looks after.
    Orphan,
}

impl Way {
    pub fn is_protective(self) -> bool {
        match self {
            Way::Take | Way::Partial | Way::Trail | Way::Signal => false,
            Way::Stop | Way::MaxAdverse | Way::TimeStop | Way::RiskFlatten | Way::Orphan => true,
        }
    }
}

/// What a venue is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub side: Side,
    pub size: Size,
    /// None takes what is there.
    pub price: Option<Price>,
    /// Rejected by the venue rather than filled at once.
    pub post_only: bool,
    /// Can only make the position smaller.
    pub reduce_only: bool,
}

/// What a strategy wants, before anybody checked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub strategy: StrategyId,
    pub market: MarketId,
    pub purpose: Purpose,
    pub terms: Terms,
    /// The trade that an exit is of.
    pub trade: Option<TradeId>,
    /// How likely the strategy thinks that it is right, where it says so.
    pub probability: Option<Factor>,
    /// Where an entry is given up. An entry without one is refused.
    pub loss_exit: Option<Price>,
    pub valid_until: Option<Timestamp>,
    /// In the strategy's words.
    pub why: Box<str>,
}

/// Where an order is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    Intended,
    Submitted,
    /// It timed out; the venue is asked, nothing is sent again.
    Unknown,
    Accepted,
    PartiallyFilled,
    CancelRequested,
    Filled,
    Cancelled,
    Expired,
    /// By the venue.
    Rejected,
    /// By us.
    Refused,
}

impl Life {
    /// Nothing can come of it any more.
    pub fn is_over(self) -> bool {
        match self {
            Life::Intended
            | Life::Submitted
            | Life::Unknown
            | Life::Accepted
            | Life::PartiallyFilled
            | Life::CancelRequested => false,
            Life::Filled | Life::Cancelled | Life::Expired | Life::Rejected | Life::Refused => true,
        }
    }
}

/// Why a venue says no, by its code and never by its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Policy,
    Margin,
    Price,
    Protection,
    Duplicate,
    Closed,
    PostOnly,
    RateLimit,
    Auth,
    Network,
    Ambiguous,
    Bug,
}

impl Category {
    pub const ALL: [Category; 12] = [
        Category::Policy,
        Category::Margin,
        Category::Price,
        Category::Protection,
        Category::Duplicate,
        Category::Closed,
        Category::PostOnly,
        Category::RateLimit,
        Category::Auth,
        Category::Network,
        Category::Ambiguous,
        Category::Bug,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Category::Policy => "policy",
            Category::Margin => "margin",
            Category::Price => "price",
            Category::Protection => "protection",
            Category::Duplicate => "duplicate",
            Category::Closed => "closed",
            Category::PostOnly => "post_only",
            Category::RateLimit => "rate_limit",
            Category::Auth => "auth",
            Category::Network => "network",
            Category::Ambiguous => "ambiguous",
            Category::Bug => "bug",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liquidity {
    Maker,
    Taker,
}

/// A trade of ours, as the venue tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The venue's own name of it: one that is told twice is one fill.
    pub id: Box<str>,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    /// What we paid; below zero where we were paid.
    pub fee: Cash,
    pub liquidity: Liquidity,
    /// The venue's time.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_of_the_same_cause_has_the_same_name() {
        let strategy = StrategyId::new("btc_maker").unwrap();
        let (cause, at) = (Uuid::from_u128(7), Timestamp::from_millis(1_700_000_000_123));
        let id = ClientOrderId::derive(&strategy, cause, 0, at);
        assert_eq!(ClientOrderId::derive(&strategy, cause, 0, at), id);
        assert_ne!(ClientOrderId::derive(&strategy, cause, 1, at), id);
        assert_eq!((id.at(), id.to_string().parse::<ClientOrderId>().unwrap()), (at, id.clone()));
        assert!(id.to_string().len() <= 32 + 1 + 26, "{id}");
        for bad in [
            "",
            "btc_maker",
            "btc_maker-",
            "-01JD2N6Z5V8Q3W4E5R6T7Y8U9P",
            "a-81JD2N6Z5V8Q3W4E5R6T7Y8U9P",
            "a-01jd2n6z5v8q3w4e5r6t7y8u9p",
        ] {
            assert!(bad.parse::<ClientOrderId>().is_err(), "{bad}");
        }
    }
}
