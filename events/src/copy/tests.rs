//! What must hold for every signal, whatever the terminals and the settings say.

use super::ask::*;
use super::book::{Copy, Leg, LegState};
use super::scenarios::{NOW, Scene, contract, number, symbol};
use super::settings::*;
use super::share::{MasterLots, master_after, target};
use super::stop::StopDegree;
use super::volume::{Fit, Sizes};
use super::wind::{cancel_pending, flatten_symbol, settle, stop, wind_down};
use super::{Plan, Rule, Step, Verdict, plan};
use crate::codec;
use crate::money::{Factor, Lots, Money, Number, Price};
use crate::reason::RuntimeStatus;
use crate::time::Timestamp;
use crate::trade::*;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

// ---- the order of the questions

#[test]
fn the_questions_are_asked_in_their_order() {
    let mut settings = serde_json::json!({
        "mode": "off", "signal_age_max_ms": 50, "sides": "sell", "symbols_allow": ["X"], "magics_allow": [1],
        "comment_contains": ["x"], "copy_pending": false, "source_lots_min": "2", "symbol_map": [{"from": "EURUSD", "to": "X"}],
        "volume": {"risk_percent": "1"}, "lots_total_max": "0.5", "positions_max": 1,
    });
    let facts = "held 4 lots, 4 positions, 4 here; stop pause";
    for (rule, field) in [
        (Rule::LinkOff, "mode"),
        (Rule::SignalLate, "signal_age_max_ms"),
        (Rule::SideFiltered, "sides"),
        (Rule::SymbolFiltered, "symbols_allow"),
        (Rule::MagicFiltered, "magics_allow"),
        (Rule::CommentFiltered, "comment_contains"),
        (Rule::PendingOff, "copy_pending"),
        (Rule::SourceLotsLow, "source_lots_min"),
        (Rule::SymbolUnmapped, "symbol_map"),
        (Rule::RiskNeedsSl, "volume"),
        (Rule::LotsTotalMax, "lots_total_max"),
        (Rule::PositionsMax, "positions_max"),
        (Rule::Stopped, ""),
    ] {
        let plan = Scene::new("buy limit 1 EURUSD", facts, &settings.to_string()).plan();
        assert_eq!(plan.rule, rule);
        settings.as_object_mut().unwrap().remove(field);
    }
}

#[test]
fn each_step_says_its_numbers_and_where_they_are_from() {
    let settings = r#"{"volume":{"ratio_equity":"1"},"copy_sl":"distance","lots_total_max":"5"}"#;
    let facts = "equity 5000/10000; quote 1.1002/1.1004; held 4 lots, 2 positions, 1 here";
    let plan = Scene::new("buy 0.33 EURUSD sl 1.09", facts, settings).plan();
    assert_eq!(
        plan.explain().steps,
        [
            "link: mode live (default), switched on, status 2",
            "age: 100 ms of at most 5000 ms (default)",
            "filters: none is set",
            "symbol: EURUSD → EURUSD by its name (default)",
            "stop-loss by distance (link), take-profit by price (default), shifted by 0.0004",
            "volume: 0.33 × 1 × equity 5000 / 10000 = 0.165 (ratio_equity, link)",
            "step 0.01, smallest 0.01, largest 50 → 0.16",
            "lots: 4 held + 0.16 = 4.16 of at most 5 (link)",
        ]
    );
    let plan = Scene::new("close 33.3333%", "copy 0.5/1", "{}").plan();
    let last = plan.explain().steps.pop().unwrap();
    assert_eq!(
        last,
        "the master has 0.666667 left of 1, so 0.5 × 0.666667 / 1 = 0.3333335 should be left of 0.5; step 0.01 → closes 0.16"
    );
}

// ---- the record

#[test]
fn a_decision_is_small() {
    let settings = r#"{"volume":{"ratio_equity":"1"},"slippage_max":"0.0003","reverse":true,"symbols_allow":["EURUSD"],
        "lots_total_max":"5","positions_max":20,"slave_affixes":{"fixed":{"prefix":"","suffix":""}}}"#;
    for (change, facts, settings, most) in [
        ("buy 0.33 EURUSD sl 1.09 tp 1.12 magic 20260131 comment Scalper-3", "equity 5432.1/10234.56", "{}", 160),
        ("buy 0.33 EURUSD sl 1.09 tp 1.12 magic 20260131 comment Scalper-3", "equity 5432.1/10234.56", settings, 240),
        ("close 50%", "copy 0.5/1", "{}", 60),
        ("sl 1.095 tp 1.13", "copy 0.5/1", "{}", 60),
        ("buy 1 EURUSD", "status 1", "{}", 15),
    ] {
        let mut bytes = Vec::new();
        codec::write(&Scene::new(change, facts, settings).plan(), &mut bytes);
        assert!(bytes.len() <= most, "{change}: {} bytes", bytes.len());
    }
}

#[test]
fn every_rule_has_a_code_a_sentence_and_says_what_to_do() {
    let mut codes = BTreeSet::new();
    for rule in Rule::ALL {
        let code = rule.code();
        assert!(codes.insert(code) && code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        assert_eq!(serde_json::to_string(rule).unwrap(), format!("\"{code}\""));
        assert!(!rule.sentence().is_empty() && !rule.sentence().ends_with('.'), "{code}");
        let silent = matches!(
            rule,
            Rule::NotCopied
                | Rule::CopyOver
                | Rule::CloseWaits
                | Rule::PendingIndivisible
                | Rule::WaitsForFill
                | Rule::GrowthKept
        );
        let needs = !matches!(rule.verdict(), Verdict::Copied) && !silent;
        assert_eq!(!rule.remedy().is_empty(), needs, "{code}");
    }
}

#[test]
fn what_stands_in_the_log_as_a_number_keeps_it() {
    assert_eq!((Rule::Copied as u8, Rule::SignalLate as u8, Rule::WoundDown as u8), (0, 13, 45));
    let first = |value: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        value(&mut bytes);
        bytes[0]
    };
    let lots = Lots::ZERO;
    assert_eq!(first(&|out| codec::write(&Step::CloseAll { lots }, out)), 30);
    assert_eq!(first(&|out| codec::write(&Step::Unfiltered, out)), 4);
    assert_eq!(first(&|out| codec::write(&Volume::Leverage(Factor::ZERO), out)), 7);
    assert_eq!(first(&|out| codec::write(&Layer::Slave, out)), 5);
    assert_eq!(first(&|out| codec::write(&Fit::TooSmall, out)), 5);
    assert_eq!(first(&|out| codec::write(&Verdict::Observed, out)), 4);
    assert_eq!(first(&|out| codec::write(&StopDegree::Flatten, out)), 2);
}

// ---- settings

#[test]
fn a_later_layer_wins_and_says_so() {
    let overrides = |text: &str| serde_json::from_str::<Overrides>(text).unwrap();
    let (global, group) = (overrides(r#"{"reverse":true,"retries_max":7}"#), overrides(r#"{"retries_max":9}"#));
    for layers in
        [[(Layer::Global, &global), (Layer::Group, &group)], [(Layer::Group, &group), (Layer::Global, &global)]]
    {
        let effective = resolve(&layers);
        assert_eq!((effective.reverse.get(), effective.reverse.from), (true, Layer::Global));
        assert_eq!((effective.retries_max.get(), effective.retries_max.from), (9, Layer::Group));
        assert_eq!((effective.mode.get(), effective.mode.from), (Mode::Live, Layer::Default));
    }
    let json = serde_json::to_value(resolve(&[(Layer::Slave, &group)])).unwrap();
    assert_eq!(json["retries_max"], serde_json::json!({"value": 9, "from": "slave"}));
}

#[test]
fn what_nobody_sets_copies_one_to_one() {
    let effective = resolve(&[]);
    assert_eq!(*effective.volume.value, Volume::Multiplier(number("1")));
    assert_eq!((effective.mode.get(), effective.closes_when_off.get()), (Mode::Live, true));
    assert_eq!((effective.copy_sl.get(), effective.copy_tp.get()), (Levels::Price, Levels::Price));
    assert_eq!(effective.signal_age_max_ms.get(), 5000);
}

#[test]
fn what_makes_no_sense_is_refused_by_its_path() {
    for (json, field) in [
        (r#"{"volume":{"multiplier":"0"}}"#, "volume.multiplier"),
        (r#"{"volume":{"ratio_equity":"0.0"}}"#, "volume.ratio_equity"),
        (r#"{"volume":{"fixed":0}}"#, "volume.fixed"),
        (r#"{"volume":{"risk_percent":"100.1"}}"#, "volume.risk_percent"),
        (r#"{"volume":{"leverage":"100001"}}"#, "volume.leverage"),
        (r#"{"slippage_max":"-0.1"}"#, "slippage_max"),
        (r#"{"sync_mode":{"market_order":{"distance_max":-1}}}"#, "sync_mode.market_order.distance_max"),
        (r#"{"sync_mode":{"limit_order":{"expires_ms":2592000001}}}"#, "sync_mode.limit_order.expires_ms"),
        (r#"{"late_opens":{"pending":{"expires_ms":2592000001}}}"#, "late_opens.pending.expires_ms"),
        (r#"{"signal_age_max_ms":2592000001}"#, "signal_age_max_ms"),
        (r#"{"order_deadline_ms":2592000001}"#, "order_deadline_ms"),
        (r#"{"figures_age_max_ms":2592000001}"#, "figures_age_max_ms"),
        (r#"{"retries_max":21}"#, "retries_max"),
        (r#"{"source_lots_min":"2","source_lots_max":"1"}"#, "source_lots_min"),
        (r#"{"positions_max":2,"positions_per_symbol_max":3}"#, "positions_per_symbol_max"),
        (r#"{"comment_contains":["a",""]}"#, "comment_contains[1]"),
        (r#"{"comment_excludes":["a\nb"]}"#, "comment_excludes[0]"),
        (r#"{"symbol_map":[{"from":"A","to":"B"},{"from":"C","to":"B"},{"from":"A","to":"D"}]}"#, "symbol_map[2].from"),
        (r#"{"synonyms":[["A","B"],["C"]]}"#, "synonyms[1]"),
        (r#"{"synonyms":[["A","B"],["C","A"]]}"#, "synonyms[1][1]"),
        (r#"{"slave_affixes":{"fixed":{"prefix":"","suffix":"123456789012345678901"}}}"#, "slave_affixes.fixed.suffix"),
    ] {
        let overrides: Overrides = serde_json::from_str(json).unwrap();
        assert_eq!(validate(&overrides).unwrap_err().field, field, "{json}");
    }
    for unreadable in [
        r#"{"volume":{"multiplier":"-1"}}"#,
        r#"{"volume":{"multiplier":"NaN"}}"#,
        r#"{"volume":{"guess":"1"}}"#,
        r#"{"positions_max":-1}"#,
        r#"{"mode":"on"}"#,
        r#"{"nonsense":1}"#,
        r#"{"symbol_map":[{"from":"","to":"B"}]}"#,
        r#"{"symbol_map":[{"from":"A","to":"B","x":1}]}"#,
    ] {
        assert!(serde_json::from_str::<Overrides>(unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn a_list_has_an_end() {
    let mapping = |index: usize| Mapping { from: symbol(&format!("S{index}")), to: symbol("T") };
    let with = |count| Overrides { symbol_map: Some((0..count).map(mapping).collect()), ..Overrides::default() };
    assert_eq!(validate(&with(LIST_MAX)), Ok(()));
    assert_eq!(validate(&with(LIST_MAX + 1)).unwrap_err().field, "symbol_map");
    let magics = Overrides { magics_deny: Some((0..=LIST_MAX as i64).collect()), ..Overrides::default() };
    assert_eq!(validate(&magics).unwrap_err().field, "magics_deny");
}

#[test]
fn layers_that_disagree_are_found_together() {
    let min = Overrides { source_lots_min: Some(number("2")), ..Overrides::default() };
    let max = Overrides { source_lots_max: Some(number("1")), ..Overrides::default() };
    assert!(validate(&min).is_ok() && validate(&max).is_ok());
    assert_eq!(resolve(&[(Layer::Global, &min), (Layer::Link, &max)]).check().unwrap_err().field, "source_lots_min");
}

#[test]
fn every_field_is_described() {
    let fields = fields();
    let json = serde_json::to_value(Overrides::default()).unwrap();
    assert_eq!(fields.len(), json.as_object().unwrap().len());
    for field in fields {
        assert!(
            json.get(field.name).is_some() && field.meaning.ends_with('.') && !field.default.is_null(),
            "{field:?}"
        );
        let set: Overrides = serde_json::from_value(serde_json::json!({ field.name: field.default })).unwrap();
        assert_eq!(validate(&set), Ok(()), "the default of {} is allowed", field.name);
    }
}

// ---- what ends copies without their master

fn leg(id: u128, entry: Entry, state: LegState, asked: &str, filled: &str) -> Leg {
    Leg {
        order: OrderId(Uuid::from_u128(id)),
        entry,
        asked: number(asked),
        share: Factor::ONE,
        state,
        filled: number(filled),
        told_to_close: Lots::ZERO,
        closed: Lots::ZERO,
        ticket: None,
        price: None,
    }
}

/// The master closed a part after everything was opened.
fn copy(master_lots: &str, master_left: &str, legs: Vec<Leg>) -> Copy {
    let mut copy = Copy {
        symbol: symbol("EURUSD"),
        side: Side::Buy,
        master_lots: number(master_lots),
        master_left: number(master_lots),
        kept: Number::ZERO,
        price: number("1.1"),
        sl: None,
        tp: None,
        legs,
    };
    copy.follow(number(master_lots), number(master_left));
    copy
}

fn told(orders: &[Instruction]) -> Vec<(u128, Option<String>)> {
    let close = |order: &Instruction| match order {
        Instruction::Close { of, lots } => (of.0.as_u128(), lots.map(|lots| lots.to_string())),
        Instruction::Open { .. } | Instruction::Modify { .. } => panic!("only closes, not {order:?}"),
    };
    orders.iter().map(close).collect()
}

#[test]
fn stop_and_wind_down_go_as_far_as_they_say() {
    use LegState::{Open, Over, Pending, Sent, Unknown};
    let open = copy("1", "1", vec![leg(1, Entry::Market, Open, "1", "1"), leg(2, Entry::Market, Over, "1", "0")]);
    let waiting = copy("1", "1", vec![leg(3, Entry::Limit, Pending, "1", "0"), leg(4, Entry::Stop, Sent, "1", "0")]);
    let filled = copy("1", "1", vec![leg(5, Entry::Limit, Open, "1", "1"), leg(6, Entry::Market, Sent, "1", "0")]);
    let unknown = copy("1", "1", vec![leg(7, Entry::Market, Unknown, "1", "0")]);
    let mut other = copy("1", "1", vec![leg(8, Entry::Market, Open, "1", "1")]);
    other.symbol = symbol("GOLD");
    let copies = || [("a", &open), ("b", &waiting), ("c", &filled), ("d", &unknown), ("e", &other)];
    let of = |orders: Vec<(&str, Instruction)>| -> Vec<u128> {
        let orders: Vec<_> = orders.into_iter().map(|(_, order)| order).collect();
        told(&orders).into_iter().map(|(id, lots)| if lots.is_none() { id } else { 0 }).collect()
    };
    let all = vec![1, 3, 4, 5, 6, 7, 8];
    assert_eq!(of(stop(StopDegree::Pause, copies())), Vec::<u128>::new());
    assert_eq!(of(stop(StopDegree::Cancel, copies())), [3, 4]);
    assert_eq!(of(stop(StopDegree::Flatten, copies())), all);
    assert_eq!(of(wind_down(WindDown::Keep, copies())), Vec::<u128>::new());
    assert_eq!(of(wind_down(WindDown::CloseOnlyByPosition, copies())), [3, 4]);
    assert_eq!(of(wind_down(WindDown::CloseOnlyBySymbol, copies())), [3, 4]);
    assert_eq!(of(wind_down(WindDown::CloseNow, copies())), all);
    assert_eq!(of(flatten_symbol(&symbol("GOLD"), copies())), [8]);
    assert_eq!(cancel_pending(copies()).iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["b", "b"]);
}

#[test]
fn too_much_is_closed_and_too_little_is_left() {
    let contract = contract("0.01", "50", "100000", 5, "0.00001");
    let closed = |mut leg: Leg, told: &str, closed: &str| {
        (leg.told_to_close, leg.closed) = (number(told), number(closed));
        leg
    };
    let open = |id, filled| leg(id, Entry::Market, LegState::Open, filled, filled);
    for (why, left, legs, orders) in [
        ("just right", "0.5", vec![closed(open(1, "1"), "0.5", "0.5")], vec![]),
        ("a partial close failed", "0.5", vec![closed(open(1, "1"), "0.5", "0.2")], vec![(1, Some("0.3"))]),
        ("less than a step too much", "0.505", vec![closed(open(1, "1"), "0.49", "0.49")], vec![]),
        ("a full close failed", "0", vec![closed(open(1, "1"), "1", "0.4")], vec![(1, None)]),
        ("too little", "0.5", vec![closed(open(1, "1"), "0.9", "0.9")], vec![]),
        (
            "a pending order, filled after the master closed half",
            "0.5",
            vec![leg(1, Entry::Limit, LegState::Open, "1", "1")],
            vec![(1, Some("0.5"))],
        ),
        (
            "two legs, the first one goes first",
            "0.4",
            vec![open(1, "0.5"), open(2, "0.5")],
            vec![(1, None), (2, Some("0.1"))],
        ),
        ("one still waits", "0", vec![leg(1, Entry::Limit, LegState::Pending, "1", "0")], vec![(1, None)]),
        ("nobody knows", "0", vec![leg(1, Entry::Market, LegState::Unknown, "1", "0")], vec![]),
    ] {
        let orders: Vec<_> =
            orders.into_iter().map(|(id, lots): (u128, Option<&str>)| (id, lots.map(String::from))).collect();
        assert_eq!(told(&settle(&copy("1", left, legs), Some(&contract))), orders, "{why}");
    }
}

#[test]
fn a_broker_gets_no_part_that_it_does_not_take() {
    let mut contract = contract("0.01", "50", "100000", 5, "0.00001");
    contract.lots_min = number("0.1");
    for (left, orders) in [
        ("0.95", vec![]),
        ("0.9", vec![(1, Some("0.1"))]),
        ("0.85", vec![(1, Some("0.15"))]),
        ("0.05", vec![(1, Some("0.9"))]),
        ("0", vec![(1, None)]),
    ] {
        let copy = copy("1", left, vec![leg(1, Entry::Market, LegState::Open, "1", "1")]);
        let orders: Vec<_> =
            orders.into_iter().map(|(id, lots): (u128, Option<&str>)| (id, lots.map(String::from))).collect();
        assert_eq!(told(&settle(&copy, Some(&contract))), orders, "{left} left");
    }
}

// ---- properties

fn decimal() -> BoxedStrategy<Decimal> {
    let wild = (any::<i64>(), 0u32..=12).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale));
    let tame = (0i64..=100_000, 0u32..=4).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale));
    prop_oneof![1 => wild, 1 => Just(Decimal::ZERO), 8 => tame].boxed()
}
fn lots() -> BoxedStrategy<Lots> {
    decimal().prop_map(|value| Lots::new(value.abs()).unwrap_or_default()).boxed()
}
fn factor() -> BoxedStrategy<Factor> {
    decimal().prop_map(|value| Factor::new(value.abs()).unwrap_or_default()).boxed()
}
fn money() -> BoxedStrategy<Money> {
    decimal().prop_map(|value| Money::new(value).unwrap()).boxed()
}
fn price() -> BoxedStrategy<Price> {
    decimal().prop_map(|value| Price::new(value).unwrap()).boxed()
}
fn any_symbol() -> BoxedStrategy<Symbol> {
    prop::sample::select(vec!["A", "B", "A.m", "#A", "GOLD"]).prop_map(symbol).boxed()
}
fn time() -> BoxedStrategy<Timestamp> {
    prop_oneof![4 => (-10_000_000i64..10_000_000).prop_map(|ago| Timestamp(NOW.0 - ago)), 1 => any::<i64>().prop_map(Timestamp)].boxed()
}

fn any_contract() -> BoxedStrategy<Contract> {
    let step = prop_oneof![4 => prop::sample::select(vec!["0.01", "0.1", "1", "0.001"]).prop_map(number), 1 => lots()];
    let max = prop_oneof![4 => prop::sample::select(vec!["5", "50", "500"]).prop_map(number), 1 => lots()];
    let min = prop_oneof![4 => prop::sample::select(vec!["0.01", "0.1", "0.25"]).prop_map(number), 1 => lots()];
    (step, min, max, factor(), any::<u8>(), money(), price())
        .prop_map(|parts| {
            let (lots_step, lots_min, lots_max, size, digits, tick_value, tick_size) = parts;
            Contract { lots_step, lots_min, lots_max, size, digits, tick_value, tick_size }
        })
        .boxed()
}

fn trade() -> BoxedStrategy<Trade> {
    let side = prop::sample::select(vec![Side::Buy, Side::Sell]);
    let entry = prop::sample::select(vec![Entry::Market, Entry::Limit, Entry::Stop]);
    let parts = (any_symbol(), side, entry, lots(), price(), prop::option::of(price()), prop::option::of(price()));
    (parts, any::<i64>(), ".{0,40}")
        .prop_map(|((symbol, side, entry, lots, price, sl, tp), magic, comment)| Trade {
            ticket: Ticket(1),
            symbol,
            side,
            entry,
            lots,
            price,
            sl,
            tp,
            magic,
            comment,
        })
        .boxed()
}

fn change() -> BoxedStrategy<Change> {
    let (ticket, maybe) = (Ticket(1), || prop::option::of(price()));
    prop_oneof![
        3 => trade().prop_map(Change::Open),
        2 => (maybe(), maybe(), maybe(), prop::option::of(lots()))
            .prop_map(move |(price, sl, tp, lots)| Change::Modify { ticket, price, sl, tp, lots }),
        2 => (prop::option::of(factor()), prop::option::of(lots()))
            .prop_map(move |(ratio, remaining)| Change::Close { ticket, ratio, remaining, price: None }),
    ]
    .boxed()
}

fn any_leg() -> BoxedStrategy<Leg> {
    use LegState::{Open, Over, Pending, Sent, Unknown};
    let entry = prop::sample::select(vec![Entry::Market, Entry::Limit, Entry::Stop]);
    let state = prop::sample::select(vec![Sent, Pending, Open, Over, Unknown]);
    let parts = (any::<u128>(), entry, state, lots(), lots(), lots(), lots(), prop::option::of(price()), factor());
    parts
        .prop_map(|(id, entry, state, asked, filled, told_to_close, closed, price, share)| Leg {
            order: OrderId(Uuid::from_u128(id)),
            entry,
            asked,
            share,
            state,
            filled,
            told_to_close,
            closed,
            ticket: None,
            price,
        })
        .boxed()
}

fn any_copy() -> BoxedStrategy<Copy> {
    let maybe = || prop::option::of(price());
    let kept = decimal().prop_map(|value| Number::new(value).unwrap());
    let parts = (any_symbol(), any::<bool>(), lots(), lots(), kept, price(), maybe(), maybe());
    (parts, prop::collection::vec(any_leg(), 0..4))
        .prop_map(|((symbol, buys, master_lots, master_left, kept, price, sl, tp), legs)| {
            let side = if buys { Side::Buy } else { Side::Sell };
            Copy { symbol, side, master_lots, master_left, kept, price, sl, tp, legs }
        })
        .boxed()
}

fn volume() -> BoxedStrategy<Volume> {
    prop_oneof![
        lots().prop_map(Volume::Fixed),
        factor().prop_map(Volume::Multiplier),
        factor().prop_map(Volume::RatioEquity),
        factor().prop_map(Volume::RatioBalance),
        factor().prop_map(Volume::RatioFreeMargin),
        factor().prop_map(Volume::MultiplierNotional),
        factor().prop_map(Volume::RiskPercent),
        factor().prop_map(Volume::Leverage),
    ]
    .boxed()
}

prop_compose! {
    fn sizes()(
        volume in volume(),
        force in any::<bool>(),
        split in any::<bool>(),
        currency_rate in factor(),
        lots_total_max in lots(),
        (positions_max, positions_per_symbol_max) in (0u32..4, 0u32..4),
        limited in any::<bool>(),
    ) -> Overrides {
        Overrides {
            volume: Some(volume),
            below_min: Some(if force { BelowMin::Force } else { BelowMin::Skip }),
            above_max: Some(if split { AboveMax::Split } else { AboveMax::Clamp }),
            currency_rate: Some(currency_rate),
            lots_total_max: limited.then_some(lots_total_max),
            positions_max: limited.then_some(positions_max),
            positions_per_symbol_max: limited.then_some(positions_per_symbol_max),
            ..Overrides::default()
        }
    }
}

prop_compose! {
    fn ways()(
        mode in prop_oneof![1 => Just(Mode::Off), 1 => Just(Mode::Observe), 18 => Just(Mode::Live)],
        late in prop::option::of(any::<u32>()),
        sync in prop_oneof![
            Just(SyncMode::Skip),
            any::<u32>().prop_map(|expires_ms| SyncMode::LimitOrder { expires_ms }),
            price().prop_map(|distance_max| SyncMode::MarketOrder { distance_max }),
        ],
        levels in prop::sample::select(vec![Levels::Price, Levels::Distance, Levels::Off]),
        (reverse, closes_when_off) in (any::<bool>(), any::<bool>()),
        slippage_max in price(),
        mapped in any::<bool>(),
        rest in sizes().boxed(),
    ) -> Overrides {
        Overrides {
            mode: Some(mode),
            late_opens: late.map(|expires_ms| LateOpens::Pending { expires_ms }),
            sync_mode: Some(sync),
            copy_sl: Some(levels),
            copy_tp: Some(levels),
            reverse: Some(reverse),
            closes_when_off: Some(closes_when_off),
            slippage_max: Some(slippage_max),
            symbol_map: mapped.then(|| vec![Mapping { from: symbol("B"), to: symbol("GOLD") }]),
            ..rest
        }
    }
}

#[derive(Debug)]
struct World {
    change: Change,
    before: Option<Trade>,
    copy: Option<Copy>,
    overrides: Overrides,
    origin: Origin,
    at: Timestamp,
    link: LinkFacts,
    funds: [Option<Funds>; 2],
    contracts: [Contract; 2],
    quote: Option<Quote>,
    exposure: Exposure,
    netting: bool,
}

prop_compose! {
    fn funds()(balance in money(), equity in money(), free_margin in money(), at in time()) -> Funds {
        Funds { balance, equity, free_margin, at }
    }
}

prop_compose! {
    fn world()(
        (change, before, copy) in (change(), prop::option::of(trade()), prop::option::weighted(0.8, any_copy())),
        fresh in prop::bool::weighted(0.8),
        overrides in ways().boxed(),
        origin in prop::sample::select(vec![Origin::Signal, Origin::Signal, Origin::Sync, Origin::Snapshot]),
        at in time(),
        status in prop_oneof![1 => Just(RuntimeStatus::Disabled), 1 => Just(RuntimeStatus::Enabled), 18 => Just(RuntimeStatus::Connected)],
        winding in prop::option::weighted(0.05, prop::sample::select(vec![WindDown::Keep, WindDown::CloseOnlyByPosition, WindDown::CloseOnlyBySymbol, WindDown::CloseNow])),
        funds in [prop::option::weighted(0.9, funds().boxed()), prop::option::weighted(0.9, funds().boxed())],
        contracts in [any_contract(), any_contract()],
        quote in prop::option::of((price(), price())),
        (held, positions, netting) in (lots(), 0u32..3, any::<bool>()),
    ) -> World {
        let exposure = Exposure { lots: held, positions, symbols: BTreeMap::new() };
        let link = LinkFacts { enabled: true, status, winding };
        let quote = quote.map(|(bid, ask)| Quote { bid, ask });
        let copy = copy.filter(|_| !(fresh && matches!(change, Change::Open(_))));
        World { change, before, copy, overrides, origin, at, link, funds, contracts, quote, exposure, netting }
    }
}

impl World {
    fn plan(&self) -> Plan {
        let [master, slave] = &self.contracts;
        let symbols: BTreeMap<_, _> = ["A", "GOLD"].map(|name| (symbol(name), slave.clone())).into();
        let quotes: BTreeMap<_, _> = self.quote.iter().map(|quote| (symbol("A"), *quote)).collect();
        let affixes = Affixes { prefix: "#".into(), suffix: ".m".into(), specials: BTreeMap::new() };
        let settings = resolve(&[(Layer::Link, &self.overrides)]);
        plan(&Ask {
            change: &self.change,
            origin: self.origin,
            signal_at: self.at,
            now: NOW,
            before: self.before.as_ref(),
            copy: self.copy.as_ref(),
            link: self.link,
            settings: &settings,
            master: MasterFacts {
                funds: self.funds[0],
                currency: "USD",
                affixes: &affixes,
                holding: Holding::Netting,
                contract: Some(master),
                others_in_symbol: 0,
            },
            slave: SlaveFacts {
                funds: self.funds[1],
                currency: "USD",
                affixes: &Affixes::default(),
                symbols: &symbols,
                quotes: &quotes,
                holding: if self.netting { Holding::Netting } else { Holding::Hedging },
                exposure: &self.exposure,
                block: None,
            },
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever comes in: no panic, a bounded record that can be read back and explained, and only volumes that the broker takes.
    #[test]
    fn every_signal_is_decided(world in world().boxed()) {
        let plan = world.plan();
        let explained = plan.explain();
        prop_assert_eq!(explained.steps.len(), plan.steps.len());
        prop_assert!(plan.steps.len() <= 20 && plan.instructions.len() <= 30);
        let mut bytes = Vec::new();
        codec::write(&plan, &mut bytes);
        prop_assert_eq!(&codec::read::<Plan>(&bytes).unwrap(), &plan);
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Plan>(&json).unwrap(), &plan);
        prop_assert!(world.plan() == plan, "the same again");

        let opens: Vec<Lots> = plan.instructions.iter().filter_map(|order| match order {
            Instruction::Open { lots, .. } => Some(*lots),
            Instruction::Modify { .. } | Instruction::Close { .. } => None,
        }).collect();
        let first = plan.instructions.iter().take(opens.len());
        prop_assert!(first.into_iter().all(Instruction::is_entry), "what opens comes first");
        for lots in &opens {
            let Sizes { step, min, max } = Sizes::of(&world.contracts[1]).unwrap();
            prop_assert!(lots.get() % step == Decimal::ZERO, "{lots} is no multiple of {step}");
            prop_assert!(min <= lots.get() && lots.get() <= max, "{lots} is not within {min} and {max}");
        }
        if !opens.is_empty() {
            prop_assert_eq!(world.overrides.mode, Some(Mode::Live));
            prop_assert_eq!((world.link.status, world.link.winding), (RuntimeStatus::Connected, None));
        }
        let ends = matches!(plan.verdict, Verdict::Skipped | Verdict::Blocked);
        prop_assert!(!ends || plan.instructions.is_empty(), "what is not copied sends nothing");
    }

    /// A copy that nobody filtered, of a link that is as it likes, ends when its master does.
    #[test]
    fn a_full_close_closes_everything(mut world in world().boxed(), copy in any_copy()) {
        world.change = Change::Close { ticket: Ticket(1), ratio: None, remaining: None, price: None };
        world.overrides.closes_when_off = Some(true);
        world.link.winding = None;
        let closed: BTreeSet<OrderId> = {
            world.copy = Some(copy.clone());
            let close = |order: Instruction| match order {
                Instruction::Close { of, lots: None } => of,
                other => panic!("{other:?} does not close all"),
            };
            world.plan().instructions.into_iter().map(close).collect()
        };
        for leg in &copy.legs {
            let there = leg.left() > Lots::ZERO || leg.state == LegState::Unknown;
            prop_assert_eq!(closed.contains(&leg.order), there && !copy.is_over());
        }
    }

    /// What was reversed, reversed again, is what was not reversed at all.
    #[test]
    fn reversed_twice_is_the_same(mut world in world().boxed(), trade in trade()) {
        world.copy = None;
        world.origin = Origin::Signal;
        world.at = NOW;
        world.overrides.copy_sl = Some(Levels::Price);
        world.overrides.copy_tp = Some(Levels::Price);
        world.overrides.volume = Some(Volume::Multiplier(number("1")));
        world.change = Change::Open(trade.clone());
        world.overrides.reverse = Some(false);
        let straight = world.plan().instructions;
        world.overrides.reverse = Some(true);
        let once = world.plan().instructions;
        prop_assert_eq!(once.len(), straight.len());
        let Some(Instruction::Open { side, entry, sl, tp, .. }) = once.into_iter().next() else { return Ok(()) };
        prop_assert_eq!(side, trade.side.opposite());
        world.change = Change::Open(Trade { side, entry, sl, tp, ..trade });
        prop_assert_eq!(world.plan().instructions, straight);
    }

    /// Any number of partial closes stay within one step of the master's share, never beyond it, and the last one leaves nothing.
    #[test]
    fn partial_closes_keep_the_ratio(
        (master, slave) in (1i64..=10_000, 1i64..=10_000),
        parts in prop::collection::vec((1u32..=99, any::<bool>()), 0..30),
        legs in 1usize..=3,
    ) {
        let hundredths = |value: i64| Lots::new(Decimal::new(value, 2)).unwrap();
        let legs = (0..legs).map(|id| {
            let lots = hundredths(slave).to_string();
            leg(id as u128, Entry::Market, LegState::Open, &lots, &lots)
        });
        let mut copy = copy("1", "1", legs.collect());
        (copy.master_lots, copy.master_left) = (hundredths(master), hundredths(master));
        let (opened, step) = (copy.opened(), Decimal::new(1, 2));
        let symbols = BTreeMap::from([(symbol("EURUSD"), contract("0.01", "50", "100000", 5, "0.00001"))]);
        for (percent, absolute) in parts {
            let rest = copy.master_left.get() * Decimal::from(100 - percent) / Decimal::ONE_HUNDRED;
            let (ratio, remaining) = if absolute {
                (None, Some(Lots::new(rest.round_dp(2)).unwrap()))
            } else {
                (Some(Factor::new(Decimal::new(i64::from(percent), 2)).unwrap()), None)
            };
            follow(&mut copy, Change::Close { ticket: Ticket(1), ratio, remaining, price: None }, &symbols);
            let exact = target(opened.get(), copy.master_lots, copy.master_left).unwrap();
            let held = copy.left().get();
            prop_assert!(exact <= held && held - exact < step, "holds {held} where {exact} are due");
        }
        follow(&mut copy, Change::Close { ticket: Ticket(1), ratio: None, remaining: None, price: None }, &symbols);
        prop_assert_eq!(copy.left(), Lots::ZERO);
    }
}

/// The copy after the plan was carried out.
fn follow(copy: &mut Copy, change: Change, symbols: &BTreeMap<Symbol, Contract>) {
    let settings = resolve(&[]);
    let (affixes, exposure) = (Affixes::default(), Exposure::default());
    let plan = plan(&Ask {
        change: &change,
        origin: Origin::Signal,
        signal_at: NOW,
        now: NOW,
        before: None,
        copy: Some(copy),
        link: LinkFacts { enabled: true, status: RuntimeStatus::Connected, winding: None },
        settings: &settings,
        master: MasterFacts {
            funds: None,
            currency: "",
            affixes: &affixes,
            holding: Holding::Hedging,
            contract: None,
            others_in_symbol: 0,
        },
        slave: SlaveFacts {
            funds: None,
            currency: "",
            affixes: &affixes,
            symbols,
            quotes: &BTreeMap::new(),
            holding: Holding::Hedging,
            exposure: &exposure,
            block: None,
        },
    });
    let MasterLots { lots, left } = master_after(copy, &change);
    copy.follow(lots, left);
    for order in plan.instructions {
        let Instruction::Close { of, lots } = order else { panic!("{order:?} closes nothing") };
        let leg = copy.legs.iter_mut().find(|leg| leg.order == of).unwrap();
        let goes = lots.unwrap_or(leg.left());
        assert!(goes <= leg.left(), "no more than there is");
        leg.told_to_close = super::book::plus([leg.told_to_close, goes]);
        leg.closed = leg.told_to_close;
    }
}
