//! What is kept of what is heard, and what follows from it.

use super::*;
use crate::trade::Side;

#[test]
fn a_quote_is_kept_when_it_says_something_new() {
    let bps = 50_000_i64 * 1_000_000_000 / 10_000;
    for (passed, moved, kept) in [
        (0, 0, false),
        (99, 0, false),
        (99, bps - 1, false),
        (0, bps, true),
        (0, -bps, true),
        (100, 0, true),
        (-1, 0, true),
    ] {
        let mut case = Case::new();
        case.hears(Said::Quote(around(50_000)));
        case.passes(passed);
        let quote = around(50_000);
        let quote = Quote { bid: quote.bid + Price(moved), ask: quote.ask + Price(moved), ..quote };
        // Two clocks that went back together say nothing of which is newer; ours alone did here.
        let heard = Heard { said: Said::Quote(quote), source_at: START, received_at: case.now };
        let heard = if passed < 0 { Heard { source_at: case.now, ..heard } } else { heard };
        let judged = case.market.judge(&heard);
        if passed < 0 {
            assert_eq!(judged, Err(Unused::Outdated));
            continue;
        }
        assert_eq!(judged, if kept { Ok(()) } else { Err(Unused::Conflated) }, "{passed} ms, {moved}");
        assert_eq!(case.does(Command::Hear(vec![heard])), if kept { vec!["market_quote_seen"] } else { vec![] });
    }
}

#[test]
fn what_cannot_be_is_counted_and_refreshes_nothing() {
    let mut case = Case::warm();
    let last = case.market.quote;
    case.passes(3_000);
    let far = around(60_000);
    for (said, why) in [
        (Said::Quote(Quote { bid: far.ask, ask: far.bid, ..far }), Unused::Crossed),
        (Said::Quote(Quote { ask: far.bid, ..far }), Unused::Crossed),
        (Said::Quote(Quote { bid: Price(0), ..far }), Unused::NotPositive),
        (Said::Quote(Quote { bid: Price(-5), ask: Price(-4), ..far }), Unused::NotPositive),
        (Said::Quote(Quote { ask_size: Size(-1), ..far }), Unused::SizeInvalid),
        (Said::Mark(Price(0)), Unused::NotPositive),
        (Said::Index(Price(-1)), Unused::NotPositive),
        (Said::Deal(deal("a", 0, 1)), Unused::NotPositive),
        (Said::Deal(deal("a", 50_000, 0)), Unused::SizeInvalid),
        (Said::Deal(deal(&"x".repeat(65), 50_000, 1)), Unused::IdTooLong),
        (Said::BookWhole { seq: 1, bids: vec![], asks: vec![] }, Unused::BookOff),
    ] {
        let before = case.market.unused.of(why);
        assert_eq!(case.hears(said.clone()), ["market_unused_counted"], "{said:?}");
        assert_eq!(case.market.unused.of(why), before + 1, "{said:?}");
    }
    assert_eq!(case.market.quote, last);
    assert_eq!(case.features().quote_age, Some(Span::seconds(3)));
    assert_eq!((case.features().mark_index_div_bps, case.market.mark), (None, None));
}

#[test]
fn one_event_counts_all_that_a_message_had_of_it() {
    let mut case = Case::new();
    let crossed = Said::Quote(quote(5, 4));
    let heard = |said: &Said| Heard { said: said.clone(), source_at: START, received_at: START };
    let all = [&crossed, &Said::Quote(around(1)), &crossed, &Said::Quote(around(1))].map(heard).to_vec();
    assert_eq!(case.does(Command::Hear(all)), ["market_quote_seen", "market_phase_changed", "market_unused_counted"]);
    assert_eq!((case.market.unused.of(Unused::Crossed), case.market.unused.of(Unused::Conflated)), (2, 1));
    let mut unused = Tally::default();
    unused.add(Unused::Conflated, 40);
    assert_eq!(case.does(Command::Pass { unused }), ["market_unused_counted"]);
    assert_eq!(case.market.unused.of(Unused::Conflated), 41);
    assert_eq!(case.looks(), [""; 0]);
}

#[test]
fn a_stale_quote_stays_stale() {
    let mut case = Case::warm();
    case.passes(1_000);
    case.hears_late(Said::Quote(around(50_001)), 900);
    assert_eq!(case.features().quote_age, Some(Span::millis(900)), "as old as the venue says");
    // One that the venue said before the last one tells nothing of now, whenever it comes.
    case.passes(1_000);
    assert_eq!(case.hears_late(Said::Quote(around(40_000)), 2_500), ["market_unused_counted"]);
    assert_eq!(case.market.unused.of(Unused::Outdated), 1);
    assert_eq!(case.features().quote_age, Some(Span::millis(1_900)));
}

#[test]
fn a_clock_that_is_ahead_makes_nothing_newer_than_its_coming() {
    let mut case = Case::new();
    case.hears_late(Said::Quote(around(50_000)), -3_600_000);
    case.passes(1_000);
    assert_eq!(case.features().quote_age, Some(Span::seconds(1)));
    assert_eq!(case.hears(Said::Quote(around(50_100))), ["market_quote_seen"], "its clock was put right");
}

#[test]
fn a_live_mark_does_not_make_a_silent_quote_fresh() {
    let mut case = Case::warm();
    for _ in 0..6 {
        case.passes(1_000);
        case.hears(Said::Mark(Price::whole(50_000)));
        case.hears(Said::Index(Price::whole(50_000)));
        case.hears(Said::Deal(Deal { id: "".into(), ..deal("", 50_000, 1) }));
    }
    let freshness = case.market.freshness(case.now);
    assert_eq!(freshness.quote, Some(Span::seconds(6)));
    assert_eq!([freshness.mark, freshness.index, freshness.deal], [Some(Span(0)); 3]);
    assert_eq!((freshness.funding, freshness.book), (None, None));
    assert_eq!(case.looks(), ["market_phase_changed"]);
    assert_eq!(case.market.phase, Phase::Stale);
}

#[test]
fn marks_and_indices_are_all_kept_and_the_newest_counts() {
    let mut case = Case::warm();
    case.hears(Said::Mark(Price::whole(50_100)));
    assert_eq!(case.features().mark_index_div_bps, None, "a mark without an index");
    assert_eq!(case.hears_late(Said::Mark(Price::whole(40_000)), 500), ["mark_seen"]);
    assert_eq!(case.market.mark.unwrap().value, Price::whole(50_100));
    case.hears(Said::Index(Price::whole(50_000)));
    assert_eq!(case.features().mark_index_div_bps, Some(Bps::whole(20)));
    assert_eq!(case.hears(Said::Funding { rate: Size(12_500), due_at: None }), ["funding_seen"]);
    case.passes(30_001);
    case.hears(Said::Quote(around(50_000)));
    assert_eq!(case.features().mark_index_div_bps, None, "both are older than they may be");
}

#[test]
fn the_same_deal_told_twice_is_one() {
    let mut case = Case::warm();
    let buy = Deal { taker: Some(Side::Buy), ..deal("17", 50_001, 3) };
    assert_eq!(case.hears(Said::Deal(buy.clone())), ["deal_seen"]);
    assert_eq!(case.hears(Said::Deal(buy)), ["market_unused_counted"]);
    case.hears(Said::Deal(Deal { taker: Some(Side::Sell), ..deal("18", 49_999, 1) }));
    assert_eq!((case.market.counts.deals, case.market.unused.of(Unused::Duplicate)), (2, 1));
    assert_eq!(case.features().imbalance_1s, Some(Ratio(500_000_000)));
    // Those without a name cannot be told from each other.
    assert_eq!(
        [case.hears(Said::Deal(deal("", 50_000, 1))), case.hears(Said::Deal(deal("", 50_000, 1)))].concat().len(),
        2
    );
}

#[test]
fn who_took_is_seen_by_the_price_where_the_venue_does_not_say() {
    for (price, ratio) in [(50_001, Ratio::ONE), (49_999, -Ratio::ONE), (50_000, Ratio::ZERO)] {
        let mut case = Case::warm();
        case.hears(Said::Deal(deal("1", price, 2)));
        assert_eq!(case.features().imbalance_1s, Some(ratio), "at {price}");
        case.passes(1_000);
        assert_eq!(case.features().imbalance_1s, Some(Ratio::ZERO), "a second later");
    }
}

#[test]
fn liquidations_count_and_what_is_told_late_does_not() {
    let mut case = Case::warm();
    for (id, kind) in [("1", DealKind::Liquidation), ("2", DealKind::Deleveraging), ("3", DealKind::Normal)] {
        case.hears(Said::Deal(Deal { kind, ..deal(id, 50_000, 1) }));
    }
    let late = Said::Deal(Deal { kind: DealKind::Liquidation, ..deal("4", 50_000, 1) });
    assert_eq!(case.hears_late(late, 5_001), ["deal_seen"]);
    assert_eq!(case.features().liq_count_10s, Some(2));
}

#[test]
fn what_is_missing_is_missing() {
    let mut case = Case::new();
    assert_eq!(case.features(), Features::default());
    case.hears(Said::Quote(around(50_000)));
    let features = case.features();
    assert_eq!((features.mid, features.spread_bps), (Some(Price::whole(50_000)), Some(Bps(200_000_000))));
    assert_eq!((features.imbalance_1s, features.vol_10s, features.liq_count_10s), (None, None, None));
    for second in 1..=10 {
        case.passes(1_000);
        case.hears(Said::Quote(around(50_000)));
        let features = case.features();
        assert_eq!(features.imbalance_1s, Some(Ratio::ZERO));
        assert_eq!((features.vol_10s.is_some(), features.liq_count_10s.is_some()), (second == 10, second == 10));
    }
}

#[test]
fn ticks_reach_back_a_minute_and_end() {
    let mut case = Case::new();
    for step in 0..2_000 {
        case.takes(around(50_000 + step % 7));
        case.passes(100);
    }
    let ticks = case.market.ticks();
    assert!(ticks.windows(2).all(|pair| pair[0].at <= pair[1].at) && ticks.len() <= 901, "{}", ticks.len());
    assert!(ticks.last().unwrap().at.since(ticks[0].at) >= Span::seconds(89));
    for step in 0..20_000 {
        case.takes(around(50_000 + 1_000 * (step % 2)));
    }
    assert_eq!(case.market.ticks().len(), 8_192);
}

#[test]
fn a_market_that_nobody_set_hears_nothing() {
    let mut case = Case::unset();
    let heard = Heard { said: Said::Mark(Price(1)), source_at: START, received_at: START };
    assert_eq!(case.market.judge(&heard), Err(Unused::MarketUnknown));
    assert_eq!(case.market.clone().take(&heard), Err(Unused::MarketUnknown));
    let unknown = Refusal::MarketUnknown(case.market.id.clone());
    let pass = Command::Pass { unused: Tally::default() };
    let seed = Command::Seed { timeframe: Timeframe::M1, bars: vec![] };
    for command in [Command::Hear(vec![heard]), Command::Remove, pass, seed, Command::KeepRaw { text: "x".into() }] {
        assert_eq!(case.tries(command), Err(unknown.clone()));
    }
    assert_eq!(unknown.denial().code, "market_unknown");
    let too_many = vec![Heard { said: Said::Mark(Price(1)), source_at: START, received_at: START }; 1_001];
    assert_eq!(Case::new().tries(Command::Hear(too_many)), Err(Refusal::HeardTooMany(1_000)));
}

#[test]
fn settings_stay_in_their_ranges() {
    let plain = Settings::default;
    let with = |instrument| Settings { instrument, ..plain() };
    let instrument = Instrument::plain;
    for (settings, at_fault) in [
        (with(Instrument { tick: Price(0), ..instrument() }), "instrument"),
        (with(Instrument { step: Size(-1), ..instrument() }), "instrument"),
        (with(Instrument { pip: Price(0), ..instrument() }), "instrument"),
        (with(Instrument { size_min: Size(-1), ..instrument() }), "instrument"),
        (with(Instrument { size_min: Size(2), size_max: Some(Size(1)), ..instrument() }), "instrument"),
        (with(Instrument { notional_min: Some(Cash(-1)), ..instrument() }), "instrument"),
        (with(Instrument { fee_taker: 100_001, ..instrument() }), "instrument"),
        (Settings { conflate_bps: Bps(-1), ..plain() }, "conflate_bps"),
        (Settings { conflate_ms: 60_001, ..plain() }, "conflate_ms"),
        (Settings { stale_ms: 99, ..plain() }, "stale_ms"),
        (Settings { reference_stale_ms: 3_600_001, ..plain() }, "reference_stale_ms"),
        (Settings { warm_ms: 3_600_001, ..plain() }, "warm_ms"),
        (Settings { warm_bars: 501, ..plain() }, "warm_bars"),
        (Settings { book_levels: 1_001, ..plain() }, "book_levels"),
        (Settings { quote_from_book: true, ..plain() }, "quote_from_book"),
    ] {
        let refused = Case::unset().tries(Command::Set(Box::new(settings))).unwrap_err();
        assert_eq!(refused.denial().field.as_deref(), Some(at_fault), "{refused}");
    }
    let mut case = Case::new();
    assert_eq!(case.does(Command::Set(Box::default())), [""; 0], "nothing changed");
    assert_eq!(case.does(Command::Set(Box::new(Settings { warm_ms: 1, ..plain() }))), ["market_set"]);
    assert_eq!(case.market.revision, Version(2));
    assert_eq!(case.does(Command::Remove), ["market_removed"]);
    let mut nothing = Case::unset().market;
    nothing.revision = Version(3);
    assert_eq!(case.market, nothing);
}

#[test]
fn what_came_raw_is_kept_where_it_is_wanted() {
    let mut case = Case::new();
    assert_eq!(case.does(Command::KeepRaw { text: "{}".into() }), [""; 0]);
    let mut case = Case::with(Settings { keep_raw: true, ..Settings::default() });
    let long = "é".repeat(40_000);
    let events = case.tries(Command::KeepRaw { text: long.clone() }).unwrap();
    let Event::RawSeen(raw) = &events[0] else { panic!("{events:?}") };
    assert_eq!((raw.text.len(), raw.length), (65_536, 80_000));
    assert!(long.starts_with(&raw.text));
}
