//! Cold, being warmed up, warm, stale.

use super::*;
use Phase::*;

#[test]
fn a_market_is_warm_when_it_was_heard_long_enough() {
    let mut case = Case::new();
    assert_eq!(case.looks(), [""; 0]);
    assert_eq!(case.hears(Said::Mark(Price(1))), ["mark_seen"], "a mark warms nothing");
    assert_eq!(case.hears(Said::Quote(around(50_000))), ["market_quote_seen", "market_phase_changed"]);
    for (passed, phase) in
        [(5_000, Seeding), (4_900, Seeding), (100, Warm), (5_000, Warm), (5_001, Seeding), (9_999, Stale)]
    {
        case.passes(passed);
        if phase == Stale {
            case.looks();
        } else {
            case.hears(Said::Quote(around(50_000)));
        }
        assert_eq!(case.market.phase, phase, "after {passed} ms more");
    }
    assert_eq!(case.market.phase_since, case.now);
}

#[test]
fn silence_is_noticed_without_a_word_and_once() {
    let mut case = Case::warm();
    case.passes(5_000);
    assert_eq!((case.looks(), case.market.phase), (vec![], Warm));
    case.passes(1);
    assert_eq!((case.looks(), case.market.phase), (vec!["market_phase_changed"], Stale));
    assert_eq!(case.looks(), [""; 0]);
    assert_eq!(case.features().vol_10s, None);
    assert_eq!(case.features().quote_age, Some(Span::millis(5_001)));
}

#[test]
fn a_quote_after_a_silence_that_nobody_noticed_begins_anew() {
    let mut case = Case::warm();
    case.passes(6_000);
    let told = case.hears(Said::Quote(around(50_000)));
    assert_eq!(told, ["market_phase_changed", "market_quote_seen", "market_phase_changed"]);
    assert_eq!(case.market.phase, Seeding);
    assert_eq!(case.features().imbalance_1s, None, "it has not been heard for a second");
}

#[test]
fn a_quote_that_comes_in_old_warms_nothing() {
    let mut case = Case::new();
    assert_eq!(case.hears_late(Said::Quote(around(50_000)), 5_001), ["market_quote_seen"]);
    assert_eq!(case.market.phase, Cold);
    case.passes(10);
    case.hears(Said::Quote(around(50_100)));
    assert_eq!(case.market.phase, Seeding);
    case.passes(10_000);
    assert_eq!(case.hears_late(Said::Quote(around(50_000)), 5_001).len(), 2);
    assert_eq!(case.market.phase, Stale);
}

#[test]
fn bars_are_waited_for_where_they_are_wanted() {
    let mut case = Case::with(Settings { warm_ms: 0, warm_bars: 2, ..Settings::default() });
    let mut warm_at = None;
    for second in 0..300 {
        case.hears(Said::Quote(around(50_000)));
        if case.market.phase == Warm {
            warm_at = warm_at.or(Some(second));
        }
        case.passes(1_000);
    }
    assert_eq!(warm_at, Some(120));
    assert_eq!(case.market.bars(Timeframe::M1).finals().len(), 4);
}
