//! When? A place in the log, or a time of the calendar. All calendar times are UTC unless they name an offset.

use std::fmt;

use super::output::CliError;
use crate::config::{Millis, UnitError};

/// Where in history a command is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Position(u64),
    /// Milliseconds since 1970-01-01 UTC.
    TimeMs(i64),
}

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    #[error("{0:?} is not a position or a time")]
    Unreadable(String),
    #[error("{0:?} is not in the calendar or on the clock")]
    NotInCalendar(String),
    #[error("{text:?} is not a time ago")]
    Ago { text: String, source: UnitError },
    #[error("{0:?} is too far away")]
    TooFar(String),
}

/// Digits alone below this are a position, from here on milliseconds since 1970 (this one is in 2001).
const POSITIONS_END: u64 = 1_000_000_000_000;
const DAY_MS: i64 = 86_400_000;

/// The moment a text names: `1234` (a position), `1767225600000` (milliseconds since 1970), `2026-01-31T12:00:00Z`,
/// `2026-01-31 12:00`, `10m ago`, `now`.
pub fn parse(text: &str, now_ms: i64) -> Result<Moment, MomentError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return parse_digits(text);
    }
    if text == "now" {
        return Ok(Moment::TimeMs(now_ms));
    }
    if let Some(span) = text.strip_suffix("ago") {
        return parse_ago(text, span.trim(), now_ms);
    }
    let Some(stamp) = Stamp::read(text) else { return Err(MomentError::Unreadable(text.into())) };
    stamp.to_ms().map(Moment::TimeMs).ok_or_else(|| MomentError::NotInCalendar(text.into()))
}

/// The time in RFC 3339, UTC, with milliseconds: `2026-01-31T12:00:00.000Z`.
pub fn format_ms(ms: i64) -> String {
    let (year, month, day) = date_of(ms.div_euclid(DAY_MS));
    let rest = ms.rem_euclid(DAY_MS);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Position(position) => write!(f, "position {position}"),
            Moment::TimeMs(ms) => f.write_str(&format_ms(*ms)),
        }
    }
}

impl From<MomentError> for CliError {
    fn from(error: MomentError) -> Self {
        let message = error.to_string();
        let usage = CliError::usage(message).hint(
            "write a position (1234), a time (2026-01-31T12:00:00Z or \"2026-01-31 12:00\", both UTC), \
             milliseconds since 1970, or \"10m ago\"",
        );
        match error {
            MomentError::Ago { source, .. } => usage.caused_by(source),
            MomentError::Unreadable(_) | MomentError::NotInCalendar(_) | MomentError::TooFar(_) => usage,
        }
    }
}

fn parse_digits(text: &str) -> Result<Moment, MomentError> {
    let too_far = || MomentError::TooFar(text.into());
    let number: u64 = text.parse().map_err(|_| too_far())?;
    if number < POSITIONS_END {
        return Ok(Moment::Position(number));
    }
    i64::try_from(number).map(Moment::TimeMs).map_err(|_| too_far())
}

fn parse_ago(text: &str, span: &str, now_ms: i64) -> Result<Moment, MomentError> {
    let span: Millis = span.parse().map_err(|source| MomentError::Ago { text: text.into(), source })?;
    let then = i64::try_from(span.get()).ok().and_then(|span| now_ms.checked_sub(span));
    then.map(Moment::TimeMs).ok_or_else(|| MomentError::TooFar(text.into()))
}

/// A time as it is written, not yet known to be in the calendar.
struct Stamp {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
    offset_minutes: i64,
}

impl Stamp {
    /// Reads `YYYY-MM-DD`, `T` or a space, `HH:MM`, then `:SS` with a fraction or not, and `Z`, an offset or nothing.
    fn read(text: &str) -> Option<Stamp> {
        let mut rest = Rest(text);
        let (year, month, day) = (rest.digits(4)?, rest.after('-')?.digits(2)?, rest.after('-')?.digits(2)?);
        let (hour, minute) = (rest.after_any("Tt ")?.digits(2)?, rest.after(':')?.digits(2)?);
        let (mut second, mut milli) = (0, 0);
        if rest.after(':').is_some() {
            second = rest.digits(2)?;
            if rest.after('.').is_some() {
                milli = rest.fraction()?;
            }
        }
        let offset_minutes = rest.offset()?;
        rest.0.is_empty().then_some(Stamp { year, month, day, hour, minute, second, milli, offset_minutes })
    }

    fn to_ms(&self) -> Option<i64> {
        let fits = (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        let clock = ((self.hour * 60 + self.minute - self.offset_minutes) * 60 + self.second) * 1_000 + self.milli;
        fits.then(|| days_to(self.year, self.month, self.day) * DAY_MS + clock)
    }
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    fn after(&mut self, c: char) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(c)?;
        Some(self)
    }

    fn after_any(&mut self, any: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(|c| any.contains(c))?;
        Some(self)
    }

    /// The milliseconds of a fraction of any length, cut and not rounded.
    fn fraction(&mut self) -> Option<i64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        if digits.is_empty() {
            return None;
        }
        self.0 = rest;
        format!("{digits:0<3}")[..3].parse().ok()
    }

    /// The minutes east of UTC of `Z`, `+05:30` or nothing.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.after_any("Zz").is_some() {
            return Some(0);
        }
        let sign = if self.after('+').is_some() {
            1
        } else {
            self.after('-')?;
            -1
        };
        let (hours, minutes) = (self.digits(2)?, self.after(':')?.digits(2)?);
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from 1970-01-01 to a date, counted in eras of 400 years whose years begin in March, so that the leap day is
/// the last of its year.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

/// The date so many days from 1970-01-01: the way back of `days_to`.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::output::Exit;

    const NOW: i64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z

    #[test]
    fn a_moment_is_a_position_or_a_time() {
        for (text, moment) in [
            ("0", Moment::Position(0)),
            (" 1234 ", Moment::Position(1234)),
            ("999999999999", Moment::Position(999_999_999_999)),
            ("1000000000000", Moment::TimeMs(1_000_000_000_000)),
            ("1767225600123", Moment::TimeMs(NOW + 123)),
            ("now", Moment::TimeMs(NOW)),
            ("10m ago", Moment::TimeMs(NOW - 600_000)),
            ("90s ago", Moment::TimeMs(NOW - 90_000)),
            ("1h30m ago", Moment::TimeMs(NOW - 5_400_000)),
            ("2dago", Moment::TimeMs(NOW - 2 * DAY_MS)),
            ("2026-01-01T00:00:00Z", Moment::TimeMs(NOW)),
            ("2026-01-01t00:00:00z", Moment::TimeMs(NOW)),
            ("2026-01-01 00:00:00Z", Moment::TimeMs(NOW)),
            ("2026-01-01T00:00:00.5Z", Moment::TimeMs(NOW + 500)),
            ("2026-01-01T00:00:00.001999999Z", Moment::TimeMs(NOW + 1)),
            ("2026-01-01T05:30:00+05:30", Moment::TimeMs(NOW)),
            ("2025-12-31T19:00:00-05:00", Moment::TimeMs(NOW)),
            ("2026-01-01 00:00", Moment::TimeMs(NOW)),
            ("2026-01-01 00:00:07", Moment::TimeMs(NOW + 7_000)),
            ("2026-01-01T00:01", Moment::TimeMs(NOW + 60_000)),
            ("1970-01-01 00:00", Moment::TimeMs(0)),
            ("1969-12-31 23:59:59.999", Moment::TimeMs(-1)),
            ("2024-02-29 00:00", Moment::TimeMs(1_709_164_800_000)),
            ("2000-02-29 00:00", Moment::TimeMs(951_782_400_000)),
        ] {
            assert_eq!(parse(text, NOW), Ok(moment), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_says_why() {
        for text in [
            "",
            "ten",
            "-5",
            "2026-01-01",
            "2026-1-1 00:00",
            "2026-01-01 0:00",
            "2026-01-01 00:00:",
            "2026-01-01 00:00:00.",
            "2026-01-01 00:00 +1",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Zjunk",
            "2026-01-01\u{e9}00:00",
            "٢٠٢٦-01-01 00:00",
        ] {
            assert_eq!(parse(text, NOW), Err(MomentError::Unreadable(text.into())), "{text}");
        }
        for text in [
            "2026-02-29 00:00",
            "1900-02-29 00:00",
            "2026-04-31 00:00",
            "2026-00-01 00:00",
            "2026-13-01 00:00",
            "2026-01-00 00:00",
            "2026-01-01 24:00",
            "2026-01-01 00:60",
            "2026-01-01 00:00:60",
        ] {
            assert_eq!(parse(text, NOW), Err(MomentError::NotInCalendar(text.into())), "{text}");
        }
        for text in ["ago", "10 ago", "soon ago"] {
            assert!(matches!(parse(text, NOW), Err(MomentError::Ago { .. })), "{text}");
        }
        for text in ["99999999999999999999", "9999999999999999999", "18446744073709551615ms ago"] {
            assert_eq!(parse(text, NOW), Err(MomentError::TooFar(text.into())), "{text}");
        }
        let error = CliError::from(parse("10 ago", NOW).unwrap_err());
        assert_eq!((error.exit, error.message.as_str()), (Exit::Usage, "\"10 ago\" is not a time ago"));
        assert!(error.hint.is_some() && error.source.is_some());
    }

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (NOW + 1, "2026-01-01T00:00:00.001Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format_ms(ms), text);
        }
        assert_eq!(Moment::Position(7).to_string(), "position 7");
        assert_eq!(Moment::TimeMs(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    /// Day after day from the year 0 to 2800, beside a calendar that is only counted.
    #[test]
    fn the_calendar_is_the_counted_one() {
        let (mut year, mut month, mut day) = (0, 1, 1);
        let first = days_to(0, 1, 1);
        for days in first..first + 2_800 * 366 {
            assert_eq!((days_to(year, month, day), date_of(days)), (days, (year, month, day)));
            day += 1;
            if day > days_in(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    proptest! {
        #[test]
        fn a_time_that_is_written_is_read_back(ms in -62_167_219_200_000i64..253_402_300_800_000) {
            prop_assert_eq!(parse(&format_ms(ms), 0), Ok(Moment::TimeMs(ms)));
        }

        #[test]
        fn no_text_and_no_time_breaks_it(text in ".{0,30}|[0-9TZ:. +-]{0,30}( ago)?", ms: i64) {
            let _ = (parse(&text, ms), format_ms(ms));
        }
    }
}
