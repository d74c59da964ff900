//! What can be wanted of a market, why it may be refused, and why something that was heard is not used.

use super::book::Broken;
use super::settings::Settings;
use super::word::{Bar, Heard, Timeframe};
use crate::answer::{Denial, Status};
use crate::id::MarketId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// All of them, as they are to be: of a market that is new, or that is known.
    Set(Box<Settings>),
    /// It is not listened to any more. Its past stays.
    Remove,
    /// What the venue said, in the order in which it came.
    Hear(Vec<Heard>),
    /// Bars of before we listened, oldest first, those that form included.
    Seed { timeframe: Timeframe, bars: Vec<Bar> },
    /// Time passed: bars close, silence is noticed. With what the feed did not use since the last time.
    Pass { unused: Tally },
    /// A message as it came.
    KeepRaw { text: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no market {0}; set it first")]
    MarketUnknown(MarketId),
    #[error("`{field}`: {why}")]
    SettingInvalid { field: &'static str, why: String },
    #[error("at most {0} messages can be told at a time")]
    HeardTooMany(usize),
    #[error("at most {0} bars can be seeded at a time")]
    BarsTooMany(usize),
    #[error("the bar of {open_at} {why}")]
    BarInvalid { open_at: Timestamp, why: &'static str },
}

impl Refusal {
    pub fn denial(&self) -> Denial {
        let (code, status, field) = match self {
            Refusal::MarketUnknown(_) => ("market_unknown", Status::NotFound, None),
            Refusal::SettingInvalid { field, .. } => ("setting_invalid", Status::Invalid, Some(*field)),
            Refusal::HeardTooMany(_) => ("heard_too_many", Status::Invalid, None),
            Refusal::BarsTooMany(_) => ("bars_too_many", Status::Invalid, Some("bars")),
            Refusal::BarInvalid { .. } => ("bar_invalid", Status::Invalid, Some("bars")),
        };
        Denial { code: code.into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}

macro_rules! unused {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// Why something that was heard is not used.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum Unused { $($(#[$doc])* $name),* }

        impl Unused {
            pub const ALL: &'static [Unused] = &[$(Unused::$name),*];
            /// Stable.
            pub fn code(self) -> &'static str {
                match self { $(Unused::$name => $code),* }
            }
        }
    };
}

unused! {
    /// Nobody listens to this market.
    MarketUnknown = "MARKET_UNKNOWN";
    /// Too soon after the last one, and too near to it.
    Conflated = "CONFLATED";
    /// The bid is at or above the ask.
    Crossed = "CROSSED";
    /// A price is not above zero.
    NotPositive = "NOT_POSITIVE";
    /// A size is below zero, or a deal is of nothing.
    SizeInvalid = "SIZE_INVALID";
    /// Older than the quote that is known.
    Outdated = "OUTDATED";
    /// Told before.
    Duplicate = "DUPLICATE";
    /// A name of more than 64 bytes.
    IdTooLong = "ID_TOO_LONG";
    /// No book is kept of this market.
    BookOff = "BOOK_OFF";
    /// There is no whole book that it could change.
    BookMissing = "BOOK_MISSING";
    /// Changes of before the book that is known.
    BookOld = "BOOK_OLD";
    /// Changes are missing between it and the book that is known, which is believed no more.
    BookGap = "BOOK_GAP";
    /// With it bids are at or above asks; the book is believed no more.
    BookCrossed = "BOOK_CROSSED";
    /// Something in it cannot be; the book is believed no more.
    BookInvalid = "BOOK_INVALID";
    /// After it no level is left that we know; the book is believed no more.
    BookRanOut = "BOOK_RAN_OUT";
    /// More levels than a message may have; the book is believed no more.
    BookTooLong = "BOOK_TOO_LONG";
}

impl Unused {
    /// It is not used, and still something to tell the market: its book is of no use any more.
    pub fn breaks_book(self) -> Option<Broken> {
        match self {
            Unused::BookGap => Some(Broken::Gap),
            Unused::BookCrossed => Some(Broken::Crossed),
            Unused::BookInvalid | Unused::BookTooLong => Some(Broken::Invalid),
            Unused::BookRanOut => Some(Broken::RanOut),
            Unused::MarketUnknown
            | Unused::Conflated
            | Unused::Crossed
            | Unused::NotPositive
            | Unused::SizeInvalid
            | Unused::Outdated
            | Unused::Duplicate
            | Unused::IdTooLong
            | Unused::BookOff
            | Unused::BookMissing
            | Unused::BookOld => None,
        }
    }
}
impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl From<Broken> for Unused {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gap => Unused::BookGap,
            Broken::Crossed => Unused::BookCrossed,
            Broken::Invalid | Broken::Reset => Unused::BookInvalid,
            Broken::RanOut => Unused::BookRanOut,
        }
    }
}

/// How often something was not used, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(pub BTreeMap<Unused, u64>);

impl Tally {
    pub fn count(&mut self, why: Unused) {
        self.add(why, 1);
    }
    pub fn add(&mut self, why: Unused, times: u64) {
        let known = self.0.entry(why).or_default();
        *known = known.saturating_add(times);
    }
    pub fn add_all(&mut self, other: &Tally) {
        other.0.iter().for_each(|(why, times)| self.add(*why, *times));
    }
    pub fn of(&self, why: Unused) -> u64 {
        self.0.get(&why).copied().unwrap_or(0)
    }
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|times| *times == 0)
    }
}
