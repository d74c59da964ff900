//! Parameter sets: checked, written down, activated whole.

use super::*;
use crate::market::{Bps, Cash, Ratio};
use crate::strategy::maker::model::Glft;

fn set(values: Parameters, activate: bool, expected: Option<SetId>) -> Command {
    let (comment, by) = (reason("a try"), Principal::Operator);
    Command::SetParameters { values: Box::new(values), comment, by, activate, expected }
}

#[test]
fn each_number_is_within_its_range_at_its_default_and_refused_beyond() {
    let usual = Parameters::default();
    assert_eq!(usual.clone().checked().as_ref(), Ok(&usual));
    let mut names = std::collections::BTreeSet::new();
    for number in usual.numbers() {
        assert!(names.insert(number.name) && number.least < number.most, "{number:?}");
        assert!(number.least <= number.value && number.value <= number.most, "{number:?}");
        assert_eq!(usual.clone().with(number.name, number.value).as_ref(), Ok(&usual));
        for beyond in [Cash(number.least.0 - 1), Cash(number.most.0 + 1)] {
            let Ok(values) = usual.clone().with(number.name, beyond) else { continue };
            assert!(
                matches!(values.checked(), Err(Refusal::ParameterInvalid { field, .. }) if field == number.name),
                "{beyond} for {}",
                number.name
            );
        }
        for beyond in [number.least - Cash::whole(1), number.most + Cash::whole(1)] {
            let refused = usual.clone().with(number.name, beyond).and_then(Parameters::checked);
            assert!(
                matches!(refused, Err(Refusal::ParameterInvalid { field, .. }) if field == number.name),
                "{beyond} for {}",
                number.name
            );
        }
    }
    assert_eq!(names.len(), 22);
    assert!(matches!(usual.with("nonsense", Cash::ZERO), Err(Refusal::ParameterUnknown(_))));
}

#[test]
fn the_defaults_are_those_that_are_promised() {
    let said = serde_json::to_value(Parameters::default()).unwrap();
    for (name, value) in [
        ("base_half_spread_bps", "\"10\""),
        ("vol_spread_gain", "\"1\""),
        ("tox_spread_gain", "\"1\""),
        ("quote_size", "\"20\""),
        ("refresh_interval_ms", "1000"),
        ("stale_cancel_ms", "5000"),
        ("max_inventory", "\"1\""),
        ("inventory_skew_gain", "\"5\""),
        ("pause_mark_index_bps", "\"50\""),
        ("pause_liq_count_10s", "3"),
        ("levels", "1"),
        ("min_requote_bps", "\"1\""),
        ("tick_ms", "200"),
        ("pause_min_duration_ms", "10000"),
        ("pause_inventory_ratio", "\"1.5\""),
        ("defensive_vol_bps", "\"50\""),
        ("defensive_imbalance", "\"0.7\""),
        ("defensive_widen", "\"2\""),
        ("defensive_shrink", "\"0.5\""),
        ("model", "\"linear\""),
    ] {
        assert_eq!(said[name].to_string(), value, "{name}");
    }
}

#[test]
fn what_is_left_out_is_as_usual_and_what_is_unknown_is_refused() {
    let read = |text: &str| serde_json::from_str::<Parameters>(text);
    let values = read(r#"{"levels": 2, "model": {"ladder": {"widening": "2", "growth": 1.5}}}"#).unwrap();
    assert_eq!((values.levels, values.refresh_interval_ms), (2, 1_000));
    assert!(values.checked().is_ok());
    for bad in [r#"{"level": 2}"#, r#"{"model": "best"}"#, r#"{"levels": -1}"#, r#"{"quote_size": "much"}"#] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_model_s_own_numbers_are_checked_too() {
    let glft = Glft { risk_aversion: Ratio::ZERO, decay: Ratio::ONE, arrival: Ratio::ONE, units: 10 };
    let values = Parameters { model: Model::Glft(glft), ..Parameters::default() };
    let refused = Case::opened().refuses(set(values, true, None));
    assert_eq!(refused.code(), "parameter_invalid");
    assert_eq!(refused.denial().field.as_deref(), Some("model.glft.risk_aversion"));
}

#[test]
fn a_set_counts_once_it_is_activated_and_every_decision_names_it() {
    let mut case = Case::usual();
    assert_eq!(case.maker.active_set(), Some(SetId(1)));
    let wide = Parameters { base_half_spread_bps: Bps::whole(90), ..Parameters::default() };
    assert_eq!(case.does(set(wide, false, None)).len(), 1);
    let events = case.quotes();
    assert_eq!(decisions(&events).map(|decided| decided.set).collect::<Vec<_>>(), [Some(SetId(1))]);
    let activate = |set, expected| Command::Activate { set: SetId(set), by: Principal::Operator, expected };
    assert_eq!(case.refuses(activate(2, Some(SetId(7)))), Refusal::ActiveChanged { active: SetId(1) });
    assert_eq!(case.refuses(activate(3, None)), Refusal::SetUnknown(SetId(3)));
    assert_eq!(case.does(activate(2, Some(SetId(1)))).len(), 1);
    assert_eq!(case.does(activate(2, None)), [], "it is already");
    case.passes(1_000);
    let events = case.quotes();
    assert_eq!(cancelled(&events), [CancelWhy::Moved; 2]);
    case.passes(200);
    let events = case.quotes();
    assert_eq!(decisions(&events).map(|decided| decided.set).collect::<Vec<_>>(), [Some(SetId(2))]);
    assert_eq!(placed(&events)[0].1, "99.04", "95.2 bps below 100");
}

#[test]
fn old_sets_go_and_the_active_one_stays() {
    let mut case = Case::usual();
    for _ in 0..SETS_MAX + 5 {
        case.does(set(Parameters::default(), false, None));
    }
    assert_eq!(case.maker.sets.len(), SETS_MAX);
    assert!(case.maker.set(SetId(1)).is_some(), "the active one");
    assert!(case.maker.set(SetId(2)).is_none());
    assert_eq!(case.maker.active_set(), Some(SetId(1)));
}

#[test]
fn a_strategy_is_set_up_once() {
    let mut case = Case::opened();
    assert_eq!(case.refuses(Command::Open { market: market() }), Refusal::StrategyKnown(strategy()));
    let mut none = Case { maker: Maker::new(strategy()), ..case };
    assert_eq!(none.refuses(set(Parameters::default(), true, None)), Refusal::StrategyUnknown(strategy()));
    assert_eq!(none.tick(), []);
}
