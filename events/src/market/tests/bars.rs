//! Bars: when they close, what they hold, and what a seed does to them.

use super::*;

fn bar(minute: i64, open: i64, high: i64, low: i64, close: i64) -> Bar {
    let open_at = START + Span::seconds(60 * minute);
    let whole = Price::whole;
    Bar { open_at, open: whole(open), high: whole(high), low: whole(low), close: whole(close), ticks: 9 }
}

/// At each second a quote around the next of the prices.
fn told(case: &mut Case, mids: &[i64]) {
    for mid in mids {
        case.hears(Said::Quote(around(*mid)));
        case.passes(1_000);
    }
}

#[test]
fn a_bar_closes_on_time_without_a_word() {
    let mut case = Case::new();
    told(&mut case, &[100, 103, 98, 101]);
    case.now = START + Span::millis(59_999);
    assert!(!case.looks().contains(&"bars_closed"));
    case.passes(1);
    assert!(case.looks().contains(&"bars_closed"));
    assert_eq!(case.looks(), [""; 0]);
    let expected = Bar { ticks: 4, ..bar(0, 100, 103, 98, 101) };
    assert_eq!(case.market.bars(Timeframe::M1).finals(), [expected]);
    assert_eq!(case.market.frames().at(Timeframe::M1, START), Some(Candle::Final(expected)));
    assert_eq!(case.market.frames().at(Timeframe::M5, START), Some(Candle::Forming(expected)));
    assert_eq!(case.market.frames().at(Timeframe::M5, START + Span::seconds(300)), None);
    case.now = START + Span::seconds(300);
    assert_eq!(case.looks(), ["bars_closed"], "five minutes, four of them silent");
    assert_eq!(case.market.bars(Timeframe::M5).finals(), [expected]);
    assert_eq!(case.market.bars(Timeframe::M1).finals().len(), 1, "a silent minute has no bar");
}

#[test]
fn a_quote_closes_what_is_over_before_it() {
    let mut case = Case::new();
    told(&mut case, &[100]);
    case.now = START + Span::seconds(61);
    let told = case.hears(Said::Quote(around(200)));
    assert_eq!(told, ["market_phase_changed", "bars_closed", "market_quote_seen", "market_phase_changed"]);
    assert_eq!(case.market.bars(Timeframe::M1).finals(), [Bar { ticks: 1, ..bar(0, 100, 100, 100, 100) }]);
    assert_eq!(case.market.frames().forming(Timeframe::M1).unwrap().open, Price::whole(200));
    assert_eq!(case.market.frames().forming(Timeframe::D1).unwrap().high, Price::whole(200));
}

#[test]
fn gaps_are_said() {
    let mut case = Case::new();
    for minute in [0, 1, 4] {
        case.now = START + Span::seconds(60 * minute);
        case.hears(Said::Quote(around(100)));
    }
    case.now = START + Span::seconds(60 * 7 + 5);
    case.looks();
    let at = |minute: i64| START + Span::seconds(60 * minute);
    let stretches = case.market.frames().stretches(Timeframe::M1, case.now);
    let seen: Vec<_> = stretches
        .iter()
        .map(|stretch| match stretch {
            Stretch::Bar(bar) => (bar.open_at, bar.open_at + Span::seconds(60), true),
            Stretch::Gap { from, until } => (*from, *until, false),
        })
        .collect();
    let expected = [(0, 1, true), (1, 2, true), (2, 4, false), (4, 5, true), (5, 7, false)];
    assert_eq!(seen, expected.map(|(from, until, is_bar)| (at(from), at(until), is_bar)));
}

/// Bars of every timeframe, worked out here from the quotes alone.
#[test]
fn longer_bars_are_the_same_quotes() {
    let mut case = Case::new();
    let mut quotes = Vec::new();
    for step in 0..20_000_i64 {
        let mid = 1_000 + (step * step) % 613 - (step % 97);
        case.takes(around(mid));
        quotes.push((case.now, Price::whole(mid)));
        case.passes(11_003);
    }
    case.passes(86_400_000);
    case.looks();
    for timeframe in Timeframe::ALL {
        let mut expected: Vec<Bar> = Vec::new();
        for (at, mid) in &quotes {
            let open_at = timeframe.open_of(*at);
            match expected.last_mut().filter(|bar| bar.open_at == open_at) {
                Some(bar) => {
                    (bar.high, bar.low) = (bar.high.max(*mid), bar.low.min(*mid));
                    (bar.close, bar.ticks) = (*mid, bar.ticks + 1);
                }
                None => expected.push(Bar { open_at, open: *mid, high: *mid, low: *mid, close: *mid, ticks: 1 }),
            }
        }
        let kept = &expected[expected.len().saturating_sub(500)..];
        assert!(kept.len() > 2 && case.market.bars(timeframe).finals() == kept, "{timeframe:?}");
        assert_eq!(case.market.frames().forming(timeframe), None);
    }
}

#[test]
fn to_seed_twice_is_to_seed_once() {
    let mut case = Case::new();
    case.passes(10 * 60_000 + 30_000);
    told(&mut case, &[100, 101]);
    let seeds: Vec<_> = (-3..=10).map(|minute| bar(minute, 90, 120, 80, 95)).collect();
    let seed = Command::Seed { timeframe: Timeframe::M1, bars: seeds.clone() };
    assert_eq!(case.does(seed.clone()), ["bars_seeded"]);
    let once = case.market.clone();
    assert_eq!(case.does(seed.clone()), [""; 0]);
    assert_eq!(case.market, once);
    assert_eq!(case.market.bars(Timeframe::M1).finals(), &seeds[..13]);
    // What forms was seen by us from its middle on: its beginning and its extremes are the seed's, its end is ours.
    let forming = case.market.frames().forming(Timeframe::M1).unwrap();
    assert_eq!((forming.open, forming.high, forming.low, forming.close), {
        let whole = Price::whole;
        (whole(90), whole(120), whole(80), whole(101))
    });
    case.passes(60_000);
    case.looks();
    assert_eq!(case.does(seed), ["bars_seeded"], "it was over before the seed came, and not whole");
    assert_eq!(case.market.bars(Timeframe::M1).finals().last(), Some(&seeds[13]));
}

#[test]
fn what_was_seen_as_a_whole_stays() {
    let mut case = Case::new();
    case.passes(-5_000);
    told(&mut case, &vec![100; 70]);
    let ours = *case.market.bars(Timeframe::M1).finals().last().unwrap();
    assert_eq!(ours.open_at, START);
    let seeds = vec![bar(0, 1, 1, 1, 1), bar(1, 1, 1, 1, 1)];
    assert_eq!(case.does(Command::Seed { timeframe: Timeframe::M1, bars: seeds }), [""; 0]);
    assert_eq!(case.market.bars(Timeframe::M1).finals().last(), Some(&ours));
    // A longer one that we have no more of than its end is replaced when it is over.
    let seeds = vec![Bar { open_at: Timeframe::H1.open_of(START), ..bar(-15, 7, 200, 5, 8) }];
    case.now = START + Span::hours(2);
    case.looks();
    assert_eq!(case.does(Command::Seed { timeframe: Timeframe::H1, bars: seeds.clone() }), ["bars_seeded"]);
    assert_eq!(case.market.bars(Timeframe::H1).finals(), seeds);
}

#[test]
fn a_full_store_takes_nothing_older() {
    let mut case = Case::new();
    case.passes(1_000 * 60_000);
    let seeds = |from: i64, count: i64| (from..from + count).map(|minute| bar(minute, 5, 5, 5, 5)).collect::<Vec<_>>();
    let seed = |case: &mut Case, bars| case.does(Command::Seed { timeframe: Timeframe::M1, bars });
    assert_eq!(seed(&mut case, seeds(100, 500)), ["bars_seeded"]);
    assert_eq!(seed(&mut case, seeds(0, 100)), [""; 0]);
    assert_eq!(seed(&mut case, seeds(650, 50)), ["bars_seeded"]);
    let finals = case.market.bars(Timeframe::M1).finals();
    assert_eq!((finals.len(), finals[0], finals[499]), (500, bar(150, 5, 5, 5, 5), bar(699, 5, 5, 5, 5)));
}

#[test]
fn bars_that_cannot_be_are_refused() {
    let good = bar(-1, 10, 12, 8, 11);
    for bad in [
        Bar { open_at: good.open_at + Span(1), ..good },
        bar(-1, 13, 12, 8, 11),
        bar(-1, 10, 12, 8, 7),
        bar(-1, 10, 12, 0, 11),
        bar(1, 10, 12, 8, 11),
    ] {
        let refused = Case::new().tries(Command::Seed { timeframe: Timeframe::M1, bars: vec![bad] }).unwrap_err();
        assert_eq!(refused.denial().code, "bar_invalid", "{bad:?}");
    }
    let seed = |bars| Case::new().tries(Command::Seed { timeframe: Timeframe::M1, bars });
    assert!(matches!(seed(vec![good, good]), Err(Refusal::BarInvalid { .. })));
    assert_eq!(seed(vec![good; 501]), Err(Refusal::BarsTooMany(500)));
    assert!(seed(vec![good]).is_ok());
}
