//! How careful it is, trigger by trigger.

use super::*;
use crate::market::{Bps, Ratio};

type Change = fn(&mut Case);

/// What happens to one in NORMAL on the very next tick, just below each threshold and at it.
#[test]
fn every_trigger_has_its_mode_and_its_reason() {
    use Mode::*;
    let table: [(&str, Change, Mode, &[&str]); 29] = [
        ("nothing", |_| {}, Normal, &[]),
        ("1: as old as may be", |c| c.features.quote_age = Some(Span::millis(5_000)), Normal, &[]),
        ("1: older", |c| c.features.quote_age = Some(Span(5_000_001)), Pause, &["DATA_STALE"]),
        ("2: nearly", |c| c.features.mark_index_div_bps = "49.999".parse().ok(), Normal, &[]),
        ("2: apart", |c| c.features.mark_index_div_bps = Some(Bps::whole(50)), Pause, &["MARK_INDEX_DIVERGED"]),
        ("3: two", |c| c.features.liq_count_10s = Some(2), Normal, &[]),
        ("3: three", |c| c.features.liq_count_10s = Some(3), Pause, &["LIQUIDATION_SPIKE"]),
        ("4: at the limit", |c| c.inventory = "1".parse().ok(), Normal, &[]),
        ("4: above it", |c| c.inventory = "-1.000000001".parse().ok(), Normal, &["INVENTORY_LIMIT"]),
        ("4: at one and a half", |c| c.inventory = "1.5".parse().ok(), Normal, &["INVENTORY_LIMIT"]),
        (
            "4: past it",
            |c| c.inventory = "-1.500000001".parse().ok(),
            Pause,
            &["INVENTORY_LIMIT", "INVENTORY_EXCEEDED"],
        ),
        ("5: mark without index", |c| c.features.mark_index_div_bps = None, Normal, &["FEATURE_MISSING"]),
        ("5: no volatility", |c| c.features.vol_10s = None, Normal, &["FEATURE_MISSING"]),
        ("5: no imbalance", |c| c.features.imbalance_1s = None, Normal, &["FEATURE_MISSING"]),
        ("5: no quote", |c| c.features.quote = None, Normal, &["FEATURE_MISSING"]),
        ("5: no age", |c| c.features.quote_age = None, Normal, &["FEATURE_MISSING"]),
        ("5: no liquidations", |c| c.features.liq_count_10s = None, Normal, &["FEATURE_MISSING"]),
        ("6: venue", |c| c.outside = Reasons::of(Reason::VenueErrors), Pause, &["VENUE_ERRORS"]),
        ("6: log", |c| c.outside = Reasons::of(Reason::LogFailed), Pause, &["LOG_FAILED"]),
        ("6: guard", |c| c.outside = Reasons::of(Reason::Guard), Pause, &["GUARD"]),
        ("6: endpoint", |c| c.outside = Reasons::of(Reason::EndpointDown), Pause, &["ENDPOINT_DOWN"]),
        ("6: dead man", |c| c.outside = Reasons::of(Reason::DeadManUnarmed), Pause, &["DEAD_MAN_UNARMED"]),
        ("position unknown", |c| c.inventory = None, Pause, &["POSITION_UNKNOWN"]),
        ("cold", |c| c.warm = false, Pause, &["MARKET_COLD"]),
        ("7: nearly", |c| c.features.vol_10s = "49.999".parse().ok(), Normal, &[]),
        ("7: rough", |c| c.features.vol_10s = Some(Bps::whole(50)), Defensive, &["DEFENSIVE_VOL"]),
        ("8: nearly", |c| c.features.imbalance_1s = "-0.699999999".parse().ok(), Normal, &[]),
        ("8: one way", |c| c.features.imbalance_1s = "-0.7".parse().ok(), Defensive, &["DEFENSIVE_TOX"]),
        (
            "several at once: the most careful one wins, all are recorded",
            |c| {
                c.features.vol_10s = Some(Bps::whole(80));
                c.features.imbalance_1s = Some(Ratio::ONE);
                c.features.liq_count_10s = Some(9);
                c.inventory = "1.2".parse().ok();
            },
            Pause,
            &["LIQUIDATION_SPIKE", "INVENTORY_LIMIT", "DEFENSIVE_VOL", "DEFENSIVE_TOX"],
        ),
    ];
    for (name, change, mode, codes) in table {
        let mut case = Case::usual();
        change(&mut case);
        let events = case.tick();
        assert_eq!((case.maker.mode, case.maker.why.all.codes().as_slice()), (mode, codes), "{name}");
        let turned: Vec<_> = turns(&events);
        let expected = if mode == Mode::Normal { vec![] } else { vec![(mode, codes.to_vec())] };
        assert_eq!(turned, expected, "{name}: the change is an event with all its reasons");
    }
}

#[test]
fn reasons_from_outside_are_as_hard_as_they_are_set() {
    let values = Parameters {
        on_venue_errors: Response::Defensive,
        on_endpoint_down: Response::Defensive,
        ..Parameters::default()
    };
    for (reason, mode) in [
        (Reason::VenueErrors, Mode::Defensive),
        (Reason::EndpointDown, Mode::Defensive),
        (Reason::Guard, Mode::Pause),
        (Reason::RiskHalt, Mode::Pause),
        (Reason::ControlStale, Mode::Pause),
        // Not one that it is told.
        (Reason::DataStale, Mode::Normal),
    ] {
        let mut case = Case::normal(values.clone());
        case.outside = Reasons::of(reason);
        case.tick();
        assert_eq!(case.maker.mode, mode, "{reason:?}");
    }
}

#[test]
fn a_market_without_a_mark_is_quoted_where_none_is_expected() {
    let mut case = Case::with(Parameters { uses_mark_index: false, uses_liquidations: false, ..Parameters::default() });
    (case.features.mark_index_div_bps, case.features.liq_count_10s) = (None, None);
    case.rests();
    assert_eq!(case.maker.why.all, Reasons::NONE);
}

#[test]
fn without_parameters_nothing_is_quoted() {
    let mut case = Case::opened();
    let events = case.tick();
    assert_eq!((placed(&events), case.maker.mode), (vec![], Mode::Pause));
    assert!(decisions(&events).all(|decided| decided.verify), "the venue is asked what is there");
    case.none_left_at = Some(case.now);
    assert_eq!(placed(&case.ticks_for(60_000, 200)), []);
    assert_eq!(case.maker.why.all.codes(), ["NO_PARAMETERS"]);
    case.sets(Parameters::default());
    let activated_at = case.now;
    case.rests();
    assert!(case.now.since(activated_at) >= Span::seconds(20), "through PAUSE and DEFENSIVE, each with its time");
}

#[test]
fn a_pause_lasts_after_its_last_trigger_and_leads_to_defensive() {
    let mut case = Case::usual();
    case.quotes();
    case.passes(200);
    case.features.liq_count_10s = Some(3);
    let events = case.quotes();
    assert_eq!(cancelled(&events), [CancelWhy::Paused; 2]);
    assert_eq!(turns(&events).len(), 1);
    // The trigger goes on for 30 s: that time does not count.
    let events = case.ticks_for(30_000, 200);
    assert_eq!(turns(&events), []);
    assert!(decisions(&events).any(|decided| decided.verify));
    case.none_left_at = Some(case.now);
    case.features.liq_count_10s = Some(0);
    let events = case.ticks_for(5_000, 200);
    assert!(events.contains(&Event::Drained(Drained {})));
    // It comes again for one tick, and the time starts anew.
    case.features.liq_count_10s = Some(5);
    assert_eq!(turns(&case.tick()), []);
    case.features.liq_count_10s = Some(0);
    case.passes(200);
    assert!(case.tick().iter().any(|event| matches!(event, Event::ReasonsChanged(_))));
    assert_eq!(turns(&case.ticks_for(9_800, 200)), []);
    assert_eq!(turns(&case.ticks_for(200, 200)), [(Mode::Defensive, vec!["CLEARED"])]);
    assert_eq!(turns(&case.ticks_for(9_800, 200)), []);
    assert_eq!(turns(&case.ticks_for(200, 200)), [(Mode::Normal, vec!["CLEARED"])]);
}

#[test]
fn a_pause_ends_only_when_the_venue_says_that_nothing_is_left() {
    let mut case = Case::usual();
    case.quotes();
    case.passes(200);
    // From before the pause: it proves nothing.
    case.none_left_at = Some(case.now);
    case.passes(200);
    case.outside = Reasons::of(Reason::Guard);
    assert_eq!(cancelled(&case.tick()), [CancelWhy::Paused; 2]);
    case.outside = Reasons::NONE;
    // The cancels fail again and again.
    let events = case.ticks_for(20_000, 200);
    assert_eq!(cancelled(&events).len(), 2 * 20, "again each second");
    assert!(decisions(&events).all(|decided| !decided.verify), "it is not asked while something is known to be there");
    assert_eq!(case.maker.why.all.codes(), ["NOT_DRAINED"]);
    // One stays unknown.
    case.orders.truncate(1);
    case.orders[0].life = Life::Unknown;
    assert_eq!(decisions(&case.ticks_for(5_000, 200)).count(), 0, "there is nothing to do but wait");
    case.orders.clear();
    case.passes(200);
    let events = case.tick();
    assert!(decisions(&events).all(|decided| decided.verify) && decisions(&events).count() == 1);
    let asked_at = case.now;
    let events = case.ticks_for(6_000, 200);
    assert_eq!(decisions(&events).count(), 3, "asked again every two seconds");
    assert_eq!(case.maker.mode, Mode::Pause);
    case.none_left_at = Some(case.now);
    case.passes(200);
    assert!(case.none_left_at.unwrap() > asked_at);
    assert!(case.tick().contains(&Event::Drained(Drained {})));
    case.passes(200);
    assert_eq!(turns(&case.tick()), [(Mode::Defensive, vec!["CLEARED"])], "its time was over long ago");
}

#[test]
fn an_order_that_turns_up_in_a_pause_is_cancelled_and_the_venue_asked_anew() {
    let mut case = Case::usual();
    case.outside = Reasons::of(Reason::Guard);
    case.tick();
    case.none_left_at = Some(case.now);
    case.passes(200);
    case.tick();
    assert!(case.maker.drained);
    case.accepts(&Place {
        side: Side::Buy,
        level: 0,
        price: "99".parse().unwrap(),
        size: Size::ONE,
        reduce_only: false,
    });
    case.passes(200);
    let events = case.quotes();
    assert_eq!(cancelled(&events), [CancelWhy::Paused]);
    assert!(!case.maker.drained);
    case.passes(200);
    assert!(decisions(&case.tick()).all(|decided| decided.verify));
}

#[test]
fn an_order_of_which_nothing_is_known_is_not_nothing() {
    let mut case = Case::usual();
    case.outside = Reasons::of(Reason::Guard);
    assert!(decisions(&case.tick()).all(|decided| decided.verify));
    // It turns up after the venue was asked, and before its answer counts.
    case.none_left_at = Some(case.now + Span::millis(100));
    case.accepts(&Place {
        side: Side::Buy,
        level: 0,
        price: "99".parse().unwrap(),
        size: Size::ONE,
        reduce_only: false,
    });
    case.orders[0].life = Life::Unknown;
    case.passes(200);
    assert_eq!(case.tick(), []);
    case.orders.clear();
    case.passes(200);
    assert_eq!(case.tick(), [Event::Drained(Drained {})]);
}

#[test]
fn what_is_not_known_any_more_is_not_over() {
    let mut case = Case::usual();
    case.features.vol_10s = Some(Bps::whole(60));
    case.tick();
    case.features.vol_10s = None;
    case.ticks_for(4_000, 200);
    assert_eq!(case.maker.why.all.codes(), ["FEATURE_MISSING", "DEFENSIVE_VOL"]);
    case.features.vol_10s = Some(Bps::whole(5));
    assert_eq!(turns(&case.ticks_for(9_800, 200)), [], "its time counts from when it is known to be over");
}

#[test]
fn defensive_ends_after_a_while_clearly_below_its_threshold() {
    let mut case = Case::usual();
    let vol = |case: &mut Case, text: &str, millis: i64| {
        case.features.vol_10s = text.parse().ok();
        turns(&case.ticks_for(millis, 200)).into_iter().map(|(mode, _)| mode).collect::<Vec<_>>()
    };
    assert_eq!(vol(&mut case, "50", 200), [Mode::Defensive]);
    assert_eq!(vol(&mut case, "40", 60_000), [], "less, but not by the hysteresis of a fifth");
    assert_eq!(vol(&mut case, "39.9", 9_000), [], "below, but not for long enough");
    assert_eq!(vol(&mut case, "45", 60_000), [Mode::Normal], "between the two what is over does not begin again");
}

#[test]
fn a_missing_feature_takes_the_quotes_off_and_pauses_in_time() {
    let mut case = Case::usual();
    assert_eq!(placed(&case.quotes()).len(), 2);
    case.features.mark_index_div_bps = None;
    case.passes(200);
    assert_eq!(cancelled(&case.quotes()), [CancelWhy::NotWanted; 2]);
    let events = case.ticks_for(5_000, 200);
    assert_eq!((turns(&events), placed(&events)), (vec![], vec![]));
    assert_eq!(turns(&case.ticks_for(200, 200)), [(Mode::Pause, vec!["FEATURE_MISSING"])]);
}

#[test]
fn it_comes_back_from_a_short_gap_without_a_pause() {
    let mut case = Case::usual();
    case.quotes();
    case.features.vol_10s = None;
    case.passes(200);
    case.quotes();
    case.ticks_for(4_000, 200);
    case.features.vol_10s = Some(Bps::whole(5));
    let events = case.ticks_for(200, 200);
    assert_eq!((turns(&events), placed(&events).len()), (vec![], 2));
    // A later gap counts from its own begin.
    case.features.vol_10s = None;
    assert_eq!(turns(&case.ticks_for(5_000, 200)), []);
}

#[test]
fn a_closed_maker_cancels_and_says_no() {
    let mut case = Case::usual();
    case.quotes();
    case.does(Command::Close { reason: reason("over") });
    case.passes(200);
    let events = case.quotes();
    assert_eq!((case.maker.mode, cancelled(&events)), (Mode::Pause, vec![CancelWhy::Paused; 2]));
    assert_eq!(case.maker.why.all.codes(), ["CLOSED"]);
    let again = Command::Close { reason: reason("over") };
    assert_eq!(case.refuses(again), Refusal::StrategyClosed(strategy()));
}

#[test]
fn a_quiet_maker_says_that_it_is_there() {
    let mut case = Case::usual();
    case.instrument.size_min = Size::whole(1_000);
    case.tick();
    let events = case.ticks_for(60_000, 200);
    assert_eq!(events, vec![Event::Ticked(Ticked {}); 12]);
}
