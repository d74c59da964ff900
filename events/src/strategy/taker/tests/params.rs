//! Parameter sets: what may stand in them, and which one is active.

use super::*;

const DOCS: &str = include_str!("../../../../../docs/takers.md");

#[test]
fn what_is_shipped_may_be_registered() {
    for family in AnyFamily::all() {
        Settings::of(family).checked().unwrap();
        let exit = family.family().loss_exit().unwrap();
        assert!(exit.way.is_protective(), "{}", family.as_str());
        assert_eq!(serde_json::from_str::<AnyFamily>(&format!("{{\"{}\": {{}}}}", family.as_str())).unwrap(), family);
    }
}

/// Every number of every family, one step below the least and one above the most.
#[test]
fn what_is_out_of_its_range_is_named() {
    let mut count = 0;
    for family in AnyFamily::all() {
        for range in family.ranges() {
            for (bound, is_least) in [(&range.least, true), (&range.most, false)] {
                let Some(beyond) = beyond(bound, is_least) else { continue };
                let text = format!("{{\"{}\": {{\"{}\": {beyond}}}}}", family.as_str(), range.field);
                let Ok(family) = serde_json::from_str::<AnyFamily>(&text) else { panic!("{text}") };
                let refusal = Settings::of(family).checked().unwrap_err();
                let Refusal::ParamInvalid { field, .. } = &refusal else { panic!("{text}: {refusal}") };
                assert_eq!((*field, refusal.code()), (range.field, "param_invalid"), "{text}");
                assert_eq!(refusal.denial().field.as_deref(), Some(range.field));
                count += 1;
            }
        }
    }
    assert!(count > 150, "{count}");
}

/// None for what no number of its type is beyond.
fn beyond(bound: &str, is_least: bool) -> Option<String> {
    if let Ok(whole) = bound.parse::<u32>()
        && !bound.contains('.')
        && whole > 1_000_000_000
    {
        return None;
    }
    let is_ratio = bound.parse::<u32>().is_err();
    match (bound.parse::<u32>(), is_least) {
        (Ok(0), true) => None,
        (Ok(whole), true) if !is_ratio => Some((whole - 1).to_string()),
        (Ok(whole), false) if !is_ratio => Some((whole + 1).to_string()),
        _ => {
            let ratio: Ratio = bound.parse().unwrap();
            Some(format!("\"{}\"", Ratio(ratio.0 + if is_least { -1 } else { 1 })))
        }
    }
}

#[test]
fn bounds_that_stand_the_wrong_way_round_are_named() {
    for (text, field) in [
        (r#"{"ping": {"take_min_pips": "2"}}"#, "take_min_pips"),
        (r#"{"ping": {"turn_window_ms": 3000}}"#, "turn_window_ms"),
        (r#"{"macd_rsi_div": {"rsi_extreme": "31"}}"#, "rsi_extreme"),
        (r#"{"macd_rsi_div": {"pivot_bars": 9}}"#, "pivot_bars"),
        (r#"{"macd_rsi_div": {"stop_min_pips": "4"}}"#, "stop_min_pips"),
        (r#"{"tick_imbalance": {"window_ms": 9000}}"#, "window_ms"),
        (r#"{"tick_imbalance": {"fast_bars": 21}}"#, "fast_bars"),
        (r#"{"tick_imbalance": {"stop_to_pips": "1"}}"#, "stop_to_pips"),
        (r#"{"tick_imbalance": {"partial_at_pips": "3"}}"#, "partial_at_pips"),
        (r#"{"squeeze_break": {"range_min_pips": "5"}}"#, "range_min_pips"),
        (r#"{"wick_blend": {"stop_max_pips": "7"}}"#, "stop_max_pips"),
        (r#"{"wick_pro": {"take_max_pips": "1"}}"#, "take_min_pips"),
    ] {
        let family: AnyFamily = serde_json::from_str(text).unwrap();
        let refusal = Settings::of(family).checked().unwrap_err();
        assert!(matches!(refusal, Refusal::ParamInvalid { field: at, .. } if at == field), "{text}: {refusal}");
    }
}

#[test]
fn what_nobody_knows_is_not_read() {
    for text in [
        r#"{"ping": {"spread_max": "1"}}"#,
        r#"{"pong": {}}"#,
        r#"{"ping": {"spread_max_pips": "NaN"}}"#,
        r#"{"ping": {"window_ms": -1}}"#,
        r#"{"ping": {"window_ms": 1.5}}"#,
    ] {
        assert!(serde_json::from_str::<AnyFamily>(text).is_err(), "{text}");
    }
    let whole = r#"{"family": {"ping": {}}, "host": {"size": "0.5"}}"#;
    let settings: Settings = serde_json::from_str(whole).unwrap();
    assert_eq!(settings.host.size.to_string(), "0.5");
    let nothing = Settings { host: Host { size: Size::ZERO, ..Host::default() }, ..settings };
    assert!(matches!(nothing.checked(), Err(Refusal::ParamInvalid { field: "size", .. })));
}

struct Careless {
    exit: Option<LossExit>,
    needs: Needs,
}

impl Family for Careless {
    fn needs(&self) -> Needs {
        self.needs
    }
    fn loss_exit(&self) -> Option<LossExit> {
        self.exit
    }
}

#[test]
fn a_family_without_a_loss_exit_is_not_admitted() {
    let exit = |way, pips_max| Some(LossExit { way, pips_max });
    let short = Needs { ticks: Span::seconds(60), bars: None };
    let code = |exit, needs| admit(&Careless { exit, needs }).map_err(|refusal| refusal.code());
    assert_eq!(code(None, short), Err("loss_exit_missing"));
    assert_eq!(code(exit(Way::Take, Ratio::ONE), short), Err("loss_exit_missing"), "that is none");
    assert_eq!(code(exit(Way::Stop, Ratio::ZERO), short), Err("loss_exit_missing"));
    assert_eq!(code(exit(Way::Stop, Ratio::ONE), short), Ok(()));
    assert_eq!(code(exit(Way::Stop, Ratio::ONE), Needs { ticks: Span(60_000_001), ..short }), Err("needs_too_much"));
    let bars = Some((crate::market::Timeframe::H1, 129));
    assert_eq!(code(exit(Way::Stop, Ratio::ONE), Needs { bars, ..short }), Err("needs_too_much"));
}

fn ping(spread: &str) -> Box<Settings> {
    Box::new(Settings::of(AnyFamily::Ping(Ping { spread_max_pips: spread.parse().unwrap(), ..Ping::default() })))
}

fn put(settings: Settings) -> Command {
    Command::PutParams { settings: Box::new(settings), by: Principal::Operator, comment: reason("another one") }
}
fn activate(set: u32) -> Command {
    Command::ActivateParams { set, by: Principal::Operator }
}

#[test]
fn a_taker_is_registered_once_and_removed_once() {
    let mut case = Case::empty();
    let register = |spread| Command::Register {
        market: market(),
        settings: ping(spread),
        by: Principal::Operator,
        comment: reason("a comment"),
    };
    assert_eq!(case.refuses(Command::Tick(Leg::Entry)), "taker_unknown");
    assert_eq!(case.refuses(register("0")), "param_invalid");
    assert_eq!(case.does(register("0.7")), ["taker_registered"]);
    assert_eq!(case.taker.set().unwrap().comment, reason("a comment"));
    assert_eq!(case.refuses(register("0.7")), "taker_known");
    assert_eq!(case.does(Command::Remove), ["taker_removed"]);
    assert_eq!(case.refuses(Command::Remove), "taker_removed");
    assert_eq!(case.refuses(register("0.7")), "taker_removed");
    assert_eq!(case.taker.due_at(Leg::Exit), None);
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2"));
    assert_eq!(case.refuses(Command::Remove), "trades_open");
}

#[test]
fn a_set_does_nothing_until_it_is_activated_and_then_all_of_it() {
    let mut case = Case::with(*ping("0.5"));
    assert_eq!(case.does(put(*ping("0.7"))), ["taker_params_put"]);
    assert_eq!((case.taker.active, case.taker.sets.len()), (1, 2));
    assert_eq!(case.does(activate(2)), ["taker_params_activated"]);
    assert_eq!(case.does(activate(2)), [""; 0]);
    assert_eq!(case.taker.set().unwrap().settings, *ping("0.7"));
    assert_eq!(case.refuses(activate(3)), "set_unknown");
    let other = Settings::of(AnyFamily::WickPro(WickPro::default()));
    assert_eq!(case.refuses(put(other)), "family_differs");
    assert_eq!(case.refuses(put(*ping("0"))), "param_invalid");
    // The active one stays, however many come.
    for _ in 0..40 {
        case.does(put(*ping("0.6")));
    }
    assert_eq!((case.taker.sets.len(), case.taker.active, case.taker.set().unwrap().no), (32, 2, 2));
    assert_eq!(case.refuses(activate(5)), "set_unknown");
    assert_eq!(case.does(activate(42)), ["taker_params_activated"]);
}

#[test]
fn an_open_trade_keeps_its_plan() {
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    let wide = AnyFamily::Ping(Ping { adverse_max_pips: "90".parse().unwrap(), ..Ping::default() });
    case.does(put(Settings::of(wide)));
    case.does(activate(2));
    case.quotes("-2");
    assert!(matches!(&case.steps()[0].action, ExitAction::Asked { .. }));
}

/// The documents show each parameter with its default and its range, and each code.
#[test]
fn the_documents_say_what_is_so() {
    let mut count = 0;
    let mut ranges: Vec<Range> = AnyFamily::all().iter().flat_map(AnyFamily::ranges).collect();
    ranges.extend(Host::ranges());
    for Range { field, default, least, most, doc } in ranges {
        let row = format!("| `{field}` | {default} | {least} … {most} | {doc} |");
        assert!(DOCS.contains(&row), "missing in docs/takers.md:\n{row}");
        count += 1;
    }
    assert_eq!(DOCS.lines().filter(|line| line.starts_with("| `") && line.contains(" … ")).count(), count);
    for quiet in Quiet::ALL {
        let row = format!("| `{}` | {} |", quiet.code(), quiet.meaning());
        assert!(DOCS.contains(&row), "missing in docs/takers.md:\n{row}");
    }
}

#[test]
fn samples_are_one_of_each_kind_and_are_read_as_they_were_written() {
    let samples = sample::samples();
    let numbers: Vec<u16> = samples.iter().map(Event::number).collect();
    assert_eq!(numbers, Event::KINDS.iter().map(|kind| kind.number).collect::<Vec<u16>>());
    assert!(numbers.iter().all(|number| (575..600).contains(number)));
    for event in &samples {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let kind = event.kind();
        assert_eq!(&Event::decode(kind.number, kind.schema, &bytes).unwrap().unwrap(), event);
        assert_eq!(&Event::from_json(kind.name, &event.to_json()).unwrap().unwrap(), event);
    }
    let mut words = Vec::new();
    sample::words(&mut words);
    assert_eq!(words.len(), Quiet::ALL.len() + 2 + 4 + 4 + 6);
}
