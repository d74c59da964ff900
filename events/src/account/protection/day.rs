//! When a trading day begins: a time of day in a time zone. The zones are compiled in.

use super::rules::RulesError;
use crate::time::{Span, Timestamp};
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A trading day begins at this time of day in this zone, on every day of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradingDay {
    /// Name in the IANA list: `America/New_York`.
    pub zone: String,
    pub reset: TimeOfDay,
}

/// Hour and minute: `17:00`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is written like 17:00, from 00:00 to 23:59")]
pub struct TimeOfDayError;

/// The longest names of the list have about half of this.
const NAME_MAX: usize = 64;
const DAY_SECONDS: i32 = 86_400;

impl Default for TradingDay {
    fn default() -> Self {
        TradingDay { zone: "UTC".into(), reset: TimeOfDay::default() }
    }
}

impl TradingDay {
    pub fn validate(&self) -> Result<(), RulesError> {
        if zone(&self.zone).is_some() {
            return Ok(());
        }
        let shown: String = self.zone.chars().take(NAME_MAX).collect();
        let why = match near(&self.zone) {
            Some(name) => format!("no time zone is called `{shown}`; did you mean `{name}`?"),
            None => format!("no time zone is called `{shown}`; name a place of the IANA list, like `Europe/Athens`"),
        };
        Err(RulesError { field: "trading_day.zone", why })
    }

    /// The beginning of the day that `now` is in, and the beginning of the next one: `begin <= now < end`.
    ///
    /// Where the clock skips the time of the reset, the day begins with the first instant after the gap; where the clock shows
    /// it twice, with the first. A date that a zone left out altogether makes no day. A zone that this build does not know
    /// counts as UTC: `validate` lets none in, so that it can only be one that a later list has dropped.
    pub fn around(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let zone = zone(&self.zone).unwrap_or(TimeZone::UTC);
        self.around_in(&zone, now).unwrap_or((now, now + Span::hours(24)))
    }

    /// The date that the zone's calendar shows at `now`, in days since 1970-01-01.
    pub fn date(&self, now: Timestamp) -> i64 {
        let zone = zone(&self.zone).unwrap_or(TimeZone::UTC);
        let instant = jiff::Timestamp::from_microsecond(now.micros()).ok();
        let date = instant.map(|instant| zone.to_datetime(instant).date());
        let days = date.and_then(|date| Date::constant(1970, 1, 1).until(date).ok());
        days.map_or(now.micros().div_euclid(86_400_000_000), |days| days.get_days().into())
    }

    /// None at the ends of the calendar.
    fn around_in(&self, zone: &TimeZone, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let today = zone.to_datetime(jiff::Timestamp::from_microsecond(now.micros()).ok()?).date();
        let (mut begin, mut end) = (None, None);
        for days in -2..=2 {
            let date = today.checked_add(jiff::Span::new().days(days)).ok();
            match date.and_then(|date| self.reset_on(zone, date)) {
                Some(reset) if reset <= now => begin = Some(reset),
                later => end = end.or(later),
            }
        }
        Some((begin?, end?))
    }

    /// None on a date that the zone left out.
    fn reset_on(&self, zone: &TimeZone, date: Date) -> Option<Timestamp> {
        let time = Time::new(self.reset.hour as i8, self.reset.minute as i8, 0, 0).ok()?;
        let local = date.to_datetime(time);
        let instant = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok()?,
            AmbiguousOffset::Gap { before, after } if after.seconds() - before.seconds() >= DAY_SECONDS => return None,
            // Read with the offset of after the gap, the time lies before it: the next change of the zone is the gap.
            AmbiguousOffset::Gap { after, .. } => zone.following(after.to_timestamp(local).ok()?).next()?.timestamp(),
        };
        Some(Timestamp(instant.as_microsecond()))
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if name.len() > NAME_MAX { None } else { TimeZoneDatabase::bundled().get(name).ok() }
}

/// The name that was probably meant. None with a digit is proposed: `Etc/GMT+3` is the opposite of what people mean by it.
fn near(name: &str) -> Option<String> {
    let wanted: String =
        name.chars().take(NAME_MAX).map(|c| if c == ' ' { '_' } else { c.to_ascii_lowercase() }).collect();
    let mistakes_max = (wanted.chars().count() / 3).clamp(1, 3);
    let known = TimeZoneDatabase::bundled();
    let names = known.available().map(|name| name.as_str().to_string());
    let priced = names.filter(|name| !name.contains(|c: char| c.is_ascii_digit())).map(|name| {
        let lower = name.to_ascii_lowercase();
        let place = lower.rsplit('/').next().unwrap_or(&lower);
        (mistakes(&wanted, &lower).min(mistakes(&wanted, place)), name)
    });
    priced.min().filter(|(mistakes, _)| *mistakes <= mistakes_max).map(|(_, name)| name)
}

/// Letters to insert, remove or replace until one is the other.
fn mistakes(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

impl TimeOfDay {
    pub fn new(hour: u8, minute: u8) -> Result<Self, TimeOfDayError> {
        if hour > 23 || minute > 59 { Err(TimeOfDayError) } else { Ok(TimeOfDay { hour, minute }) }
    }
}
impl TryFrom<String> for TimeOfDay {
    type Error = TimeOfDayError;
    fn try_from(text: String) -> Result<Self, TimeOfDayError> {
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        match text.split_once(':') {
            Some((hour, minute)) if digits(hour) && digits(minute) => {
                let number = |part: &str| part.parse().map_err(|_| TimeOfDayError);
                TimeOfDay::new(number(hour)?, number(minute)?)
            }
            _ => Err(TimeOfDayError),
        }
    }
}
impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        time.to_string()
    }
}
impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}
