//! When trading days begin, above all where clocks change.

use super::*;

/// zone and reset | a moment (UTC) | the day that it is in (UTC)
const DAYS: &str = "
    UTC 00:00              | 2026-05-04T00:00:00Z        | 2026-05-04T00:00Z 2026-05-05T00:00Z
    UTC 00:00              | 2026-05-03T23:59:59.999999Z | 2026-05-03T00:00Z 2026-05-04T00:00Z
    UTC 23:59              | 2026-12-31T23:59:00Z        | 2026-12-31T23:59Z 2027-01-01T23:59Z
    Asia/Tokyo 00:00       | 2026-07-01T14:59:59Z        | 2026-06-30T15:00Z 2026-07-01T15:00Z
    Asia/Tokyo 00:00       | 2026-07-01T15:00:00Z        | 2026-07-01T15:00Z 2026-07-02T15:00Z
    Asia/Kolkata 09:15     | 2026-07-01T03:45:00Z        | 2026-07-01T03:45Z 2026-07-02T03:45Z
    america/new_york 17:00 | 2026-03-06T22:00:00Z        | 2026-03-06T22:00Z 2026-03-07T22:00Z

    forward in New York on 2026-03-08, 02:00 becomes 03:00: a day of 23 hours
    America/New_York 17:00 | 2026-03-07T22:00:00Z        | 2026-03-07T22:00Z 2026-03-08T21:00Z
    America/New_York 17:00 | 2026-03-08T21:00:00Z        | 2026-03-08T21:00Z 2026-03-09T21:00Z
    02:30 does not exist: the first instant after the gap
    America/New_York 02:30 | 2026-03-08T06:59:59Z        | 2026-03-07T07:30Z 2026-03-08T07:00Z
    America/New_York 02:30 | 2026-03-08T07:00:00Z        | 2026-03-08T07:00Z 2026-03-09T06:30Z
    America/New_York 02:00 | 2026-03-08T07:00:00Z        | 2026-03-08T07:00Z 2026-03-09T06:00Z
    America/New_York 03:00 | 2026-03-08T07:00:00Z        | 2026-03-08T07:00Z 2026-03-09T07:00Z

    back in New York on 2026-11-01, 02:00 becomes 01:00: a day of 25 hours
    America/New_York 17:00 | 2026-11-01T12:00:00Z        | 2026-10-31T21:00Z 2026-11-01T22:00Z
    01:30 is there twice: the first one, and no new day at the second
    America/New_York 01:30 | 2026-11-01T05:29:59Z        | 2026-10-31T05:30Z 2026-11-01T05:30Z
    America/New_York 01:30 | 2026-11-01T05:30:00Z        | 2026-11-01T05:30Z 2026-11-02T06:30Z
    America/New_York 01:30 | 2026-11-01T06:30:00Z        | 2026-11-01T05:30Z 2026-11-02T06:30Z

    midnight that does not exist (Beirut goes forward at 00:00)
    Asia/Beirut 00:00      | 2026-03-28T22:00:00Z        | 2026-03-28T22:00Z 2026-03-29T21:00Z
    half an hour of daylight saving
    Australia/Lord_Howe 02:15 | 2026-10-03T15:30:00Z     | 2026-10-03T15:30Z 2026-10-04T15:15Z

    Apia left out 2011-12-30 altogether: the 31st follows the 29th
    Pacific/Apia 00:00     | 2011-12-30T09:59:59Z        | 2011-12-29T10:00Z 2011-12-30T10:00Z
    Pacific/Apia 00:00     | 2011-12-30T10:00:00Z        | 2011-12-30T10:00Z 2011-12-31T10:00Z
    Pacific/Apia 17:00     | 2011-12-30T10:00:00Z        | 2011-12-30T03:00Z 2011-12-31T03:00Z
    Pacific/Apia 00:00     | 2026-06-01T11:00:00Z        | 2026-06-01T11:00Z 2026-06-02T11:00Z

    daylight saving in a far year
    America/New_York 17:00 | 2150-07-01T21:00:00Z        | 2150-07-01T21:00Z 2150-07-02T21:00Z
";

fn day(text: &str) -> TradingDay {
    let (zone, reset) = text.split_once(' ').unwrap();
    TradingDay { zone: zone.into(), reset: TimeOfDay::try_from(reset.to_string()).unwrap() }
}

#[test]
fn a_day_begins_where_its_zone_says() {
    let mut rows = 0;
    for line in DAYS.lines().filter(|line| line.contains('|')) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let (begin, end) = columns[2].split_once(' ').unwrap();
        let minute = |text: &str| at(&text.replace('Z', ":00Z"));
        assert_eq!(day(columns[0]).around(at(columns[1])), (minute(begin), minute(end)), "{line}");
        rows += 1;
    }
    assert!(rows >= 20);
}

/// Every five hours through two years, in zones that change their clocks at all kinds of hours.
#[test]
fn every_moment_is_in_one_day_and_the_days_follow_each_other() {
    for zone in ["America/New_York", "Europe/London", "Pacific/Apia", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Gaza"]
    {
        for reset in ["00:00", "00:30", "01:30", "02:00", "02:30", "17:00"] {
            let day = day(&format!("{zone} {reset}"));
            let mut now = at("2011-01-01T00:00:00Z");
            let mut last = day.around(now);
            while now < at("2013-01-01T00:00:00Z") {
                now = now + Span::hours(5);
                let found = day.around(now);
                assert!(found.0 <= now && now < found.1, "{zone} {reset} {now}: {found:?}");
                assert!(found == last || found.0 == last.1, "{zone} {reset} {now}: {last:?} then {found:?}");
                last = found;
            }
        }
    }
}

#[test]
fn the_ends_of_the_calendar_have_days_of_24_hours() {
    for now in [Timestamp(i64::MIN), Timestamp(i64::MAX), at("9999-12-30T12:00:00Z"), at("-009999-01-02T12:00:00Z")] {
        let (begin, end) = day("America/New_York 17:00").around(now);
        assert!(begin <= now && end.since(begin) <= Span::hours(25), "{now:?}: {begin:?} {end:?}");
    }
}

#[test]
fn a_zone_that_this_build_does_not_know_counts_as_utc() {
    let now = at("2026-05-04T09:00:00Z");
    assert_eq!(day("Mars/Olympus 00:00").around(now), day("UTC 00:00").around(now));
}

#[test]
fn a_wrong_zone_is_named_with_the_one_that_was_probably_meant() {
    for (wrong, meant) in [
        ("America/New_Yrok", Some("America/New_York")),
        ("New York", Some("America/New_York")),
        ("Tokio", Some("Asia/Tokyo")),
        ("Europe/Londn", Some("Europe/London")),
        ("prague", Some("Europe/Prague")),
        ("US Eastern", Some("US/Eastern")),
        ("GMT+3", None),
        ("UTC+2", None),
        ("Server time", None),
        ("", None),
    ] {
        let refused = TradingDay { zone: wrong.into(), reset: TimeOfDay::default() }.validate().unwrap_err();
        let expected = match meant {
            Some(meant) => format!("no time zone is called `{wrong}`; did you mean `{meant}`?"),
            None => {
                format!("no time zone is called `{wrong}`; name a place of the IANA list, like `Europe/Athens`")
            }
        };
        assert_eq!((refused.field, refused.why), ("trading_day.zone", expected));
    }
    let long = TradingDay { zone: "é/".repeat(100_000), reset: TimeOfDay::default() };
    assert!(long.validate().unwrap_err().why.len() < 300);
}

#[test]
fn a_time_of_day_is_hours_and_minutes() {
    for good in ["00:00", "09:05", "23:59"] {
        assert_eq!(TimeOfDay::try_from(good.to_string()).unwrap().to_string(), good);
    }
    for bad in ["24:00", "17:60", "5:00", "17", "17:0", "17:00:00", "+7:00", "-1:00", "", "１７:00", "17h00"] {
        assert!(TimeOfDay::try_from(bad.to_string()).is_err(), "{bad}");
    }
}
