//! How long, how large? Durations and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in whole milliseconds, written `500ms`, `30s`, `24h`, `7d` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

/// A size in bytes, written `512B`, `20GiB` or `5GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("{0:?} is not a number with a unit")]
    NotANumber(String),
    #[error("{0:?} has no unit")]
    NoUnit(String),
    #[error("{unit:?} in {text:?} is not a unit ({known})")]
    UnknownUnit { text: String, unit: String, known: &'static str },
    #[error("the units of {0:?} must grow smaller from left to right, each at most once")]
    Unordered(String),
    #[error("{0:?} is too large")]
    TooLarge(String),
}

const DURATIONS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl Millis {
    pub const fn new(millis: u64) -> Self {
        Millis(millis)
    }

    pub const fn seconds(seconds: u64) -> Self {
        Millis(seconds * 1_000)
    }

    pub const fn minutes(minutes: u64) -> Self {
        Millis(minutes * 60_000)
    }

    pub const fn hours(hours: u64) -> Self {
        Millis(hours * 3_600_000)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Bytes {
    pub const fn new(bytes: u64) -> Self {
        Bytes(bytes)
    }

    pub const fn kib(count: u64) -> Self {
        Bytes(count << 10)
    }

    pub const fn mib(count: u64) -> Self {
        Bytes(count << 20)
    }

    pub const fn gib(count: u64) -> Self {
        Bytes(count << 30)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// The size as a length in memory, held at the largest this machine can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Duration::from_millis(millis.0)
    }
}

impl FromStr for Millis {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut total = 0u64;
        let mut last = u64::MAX;
        let mut rest = text;
        while !rest.is_empty() || last == u64::MAX {
            let (count, unit, after) = part(text, rest, DURATIONS, "ms, s, m, h, d")?;
            if unit >= last {
                return Err(UnitError::Unordered(text.into()));
            }
            total = count
                .checked_mul(unit)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| UnitError::TooLarge(text.into()))?;
            last = unit;
            rest = after;
        }
        Ok(Millis(total))
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (count, unit, after) = part(text, text, SIZES, "B, kB, KiB, MB, MiB, GB, GiB, TB, TiB")?;
        if !after.is_empty() {
            return Err(UnitError::NotANumber(text.into()));
        }
        count.checked_mul(unit).map(Bytes).ok_or_else(|| UnitError::TooLarge(text.into()))
    }
}

/// The first number of `rest`, the worth of its unit, and what follows. `text` is the whole, for the message.
fn part<'a>(
    text: &str,
    rest: &'a str,
    units: &[(&str, u64)],
    known: &'static str,
) -> Result<(u64, u64, &'a str), UnitError> {
    let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    if digits.is_empty() {
        return Err(UnitError::NotANumber(text.into()));
    }
    let count = digits.parse().map_err(|_| UnitError::TooLarge(text.into()))?;
    let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
    if unit.is_empty() {
        return Err(UnitError::NoUnit(text.into()));
    }
    match units.iter().find(|(name, _)| *name == unit.trim_start()) {
        Some((_, worth)) => Ok((count, *worth, rest)),
        None => Err(UnitError::UnknownUnit { text: text.into(), unit: unit.trim_start().into(), known }),
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 24h reads better than 1d, and 30d better than 720h.
        let units = if self.0 >= 2 * 86_400_000 { DURATIONS } else { &DURATIONS[1..] };
        exactly(f, self.0, units, "0s")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        exactly(f, self.0, SIZES, "0B")
    }
}

/// Writes the amount in the largest unit that divides it, so that reading it back gives the same.
fn exactly(f: &mut fmt::Formatter<'_>, amount: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    for (name, worth) in units {
        if amount >= *worth && amount.is_multiple_of(*worth) {
            return write!(f, "{}{name}", amount / worth);
        }
    }
    f.write_str(zero)
}

macro_rules! as_text {
    ($($unit:ident),*) => {$(
        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
as_text!(Millis, Bytes);
