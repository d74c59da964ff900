//! The rules as JSON, what makes no sense in them, and what fits under the caps.

use super::*;
use serde_json::json;

const FULL: &str = r#"{
    "trading_day": {"zone": "America/New_York", "reset": "17:00"},
    "warn_at_percent": 75,
    "daily_loss": {"amount": {"percent": "5"}, "from": "balance", "action": "CLOSE_ONLY", "lasts": "rearm"},
    "daily_drawdown": {"amount": {"percent_of_initial": 4.5}, "action": "BLOCK_ENTRY"},
    "total_drawdown": {"amount": {"money": "2500"}, "from": "peak", "locks_at": "50000", "action": "FLATTEN"},
    "equity_floor": {"equity": "45000", "action": "FLATTEN"},
    "equity_ceiling": {"equity": "55000", "action": "FLATTEN"},
    "daily_target": {"amount": {"money": "1000"}, "action": "BLOCK_ENTRY"},
    "total_target": {"amount": {"percent": "150"}, "action": "FLATTEN"},
    "margin_level": {"percent": "150", "action": "CLOSE_ONLY"},
    "lots_max": "10",
    "positions_max": 20
}"#;

#[test]
fn rules_come_back_from_json_and_from_bytes() {
    for rules in [rules(FULL), Rules::default()] {
        let mut bytes = Vec::new();
        codec::write(&ProtectionSet { rules: rules.clone() }, &mut bytes);
        assert_eq!(codec::read::<ProtectionSet>(&bytes).unwrap().rules, rules);
        assert_eq!(serde_json::from_str::<Rules>(&serde_json::to_string(&rules).unwrap()).unwrap(), rules);
    }
    let full = rules(FULL);
    assert!(Limit::ALL.iter().all(|limit| full.has(*limit) && full.consequence(*limit).is_some()) && !full.is_empty());
    let daily = full.daily_drawdown.unwrap();
    assert_eq!((daily.amount, daily.lasts), (Amount::PercentOfInitial("4.5".parse().unwrap()), Lasts::Day));
}

#[test]
fn the_example_of_the_documentation_is_one() {
    let text = include_str!("../../../../../docs/protection.md");
    let (json, _) = text.split_once("```json").unwrap().1.split_once("```").unwrap();
    assert!(!rules(json).is_empty());
}

#[test]
fn nothing_set_is_nothing_watched() {
    let rules = rules("{}");
    assert_eq!((rules.is_empty(), rules.warn_at_percent, rules.trading_day.zone.as_str()), (true, 80, "UTC"));
    assert!(Limit::ALL.iter().all(|limit| rules.consequence(*limit).is_none()));
    let mut protection = Protection::default();
    assert_eq!(beat(&mut protection, &figures("100", "1"), &rules, at("2026-05-04T08:00:00Z")), []);
}

#[test]
fn unknown_words_are_refused() {
    for json in [
        r#"{"daily_los": null}"#,
        r#"{"trading_day": {"zone": "UTC", "reset": "17:00", "dst": true}}"#,
        r#"{"trading_day": {"zone": "UTC", "reset": "5 pm"}}"#,
        r#"{"daily_loss": {"amount": {"money": "5"}, "action": "STOP"}}"#,
        r#"{"daily_loss": {"amount": {"money": "5"}, "action": "FLATTEN", "locks_at": "5"}}"#,
        r#"{"daily_loss": {"amount": {"money": "5"}}}"#,
        r#"{"daily_loss": {"amount": {"money": "5", "percent": "5"}, "action": "FLATTEN"}}"#,
        r#"{"daily_loss": {"amount": "5", "action": "FLATTEN"}}"#,
        r#"{"total_drawdown": {"amount": {"money": "5"}, "action": "FLATTEN"}}"#,
        r#"{"margin_level": {"percent": "-5", "action": "FLATTEN"}}"#,
    ] {
        assert!(serde_json::from_str::<Rules>(json).is_err(), "{json}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_field() {
    let block = "BLOCK_ENTRY";
    let of = |amount: serde_json::Value| json!({"amount": amount, "action": block});
    let total = |from: &str, locks_at: &str| json!({"amount": {"money": "5"}, "from": from, "locks_at": locks_at, "action": block});
    for (rules, field) in [
        (json!({"trading_day": {"zone": "Nowhere", "reset": "00:00"}}), "trading_day.zone"),
        (json!({"warn_at_percent": 0}), "warn_at_percent"),
        (json!({"warn_at_percent": 101}), "warn_at_percent"),
        (json!({"daily_loss": of(json!({"money": "0"}))}), "daily_loss.amount"),
        (json!({"daily_loss": of(json!({"money": "-5"}))}), "daily_loss.amount"),
        (json!({"daily_loss": of(json!({"percent": "0"}))}), "daily_loss.amount"),
        (json!({"daily_loss": of(json!({"percent": "100.1"}))}), "daily_loss.amount"),
        (json!({"daily_loss": of(json!({"percent": "1.00001"}))}), "daily_loss.amount"),
        (json!({"daily_drawdown": of(json!({"percent_of_initial": "101"}))}), "daily_drawdown.amount"),
        (json!({"total_drawdown": total("peak", "0")}), "total_drawdown.locks_at"),
        (json!({"total_drawdown": total("initial", "5")}), "total_drawdown.locks_at"),
        (json!({"equity_floor": {"equity": "0", "action": block}}), "equity_floor.equity"),
        (json!({"equity_ceiling": {"equity": "-1", "action": block}}), "equity_ceiling.equity"),
        (
            json!({"equity_floor": {"equity": "5", "action": block}, "equity_ceiling": {"equity": "5", "action": block}}),
            "equity_ceiling.equity",
        ),
        (json!({"daily_target": of(json!({"percent": "10001"}))}), "daily_target.amount"),
        (json!({"total_target": of(json!({"money": "0"}))}), "total_target.amount"),
        (json!({"margin_level": {"percent": "0", "action": block}}), "margin_level.percent"),
        (json!({"lots_max": "0"}), "lots_max"),
        (json!({"positions_max": 0}), "positions_max"),
    ] {
        let refused = serde_json::from_value::<Rules>(rules.clone()).unwrap().validate().unwrap_err();
        assert_eq!(refused.field, field, "{rules}: {refused}");
    }
}

#[test]
fn the_sentence_of_a_refusal_says_what_to_write() {
    let refused = |json: &str| serde_json::from_str::<Rules>(json).unwrap().validate().unwrap_err().to_string();
    assert_eq!(refused(r#"{"warn_at_percent": 0}"#), "`warn_at_percent`: must be from 1 to 100");
    let loss = r#"{"daily_loss": {"amount": {"percent": "250"}, "action": "FLATTEN"}}"#;
    assert_eq!(refused(loss), "`daily_loss.amount`: must be above 0 and at most 100 per cent");
}

/// most lots and positions | open lots and positions, lots of the entry | what refuses it
const ENTRIES: &str = "
    10 -  | 9.5 99 0.5  | -
    10 -  | 9.5 99 0.51 | lots_max 10.01 of 10
    10 -  | 12 0 0.01   | lots_max 12.01 of 10
    -  5  | 99 4 1      | -
    -  5  | 0 5 0.01    | positions_max 6 of 5
    10 5  | 10 5 1      | lots_max 11 of 10
    -  -  | 99 99 99    | -
";

#[test]
fn an_entry_fits_up_to_the_cap() {
    for line in ENTRIES.lines().filter(|line| line.contains('|')) {
        let columns: Vec<Vec<&str>> = line.split('|').map(|column| column.split_whitespace().collect()).collect();
        let lots_max = columns[0][0].parse().ok();
        let positions_max = columns[0][1].parse().ok();
        let rules = Rules { lots_max, positions_max, ..Rules::default() };
        let found = rules.refuses(lots(columns[1][0]), columns[1][1].parse().unwrap(), lots(columns[1][2]));
        let shown = found.map_or("-".into(), |block| {
            assert_eq!(block.action, Action::BlockEntry);
            format!("{} {} of {}", block.limit, block.used, block.allowed)
        });
        assert_eq!(shown, columns[2].join(" "), "{line}");
    }
}

#[test]
fn flattening_is_due_while_something_is_open() {
    let rules = rules(r#"{"equity_floor": {"equity": "90", "action": "FLATTEN"}}"#);
    let mut protection = Protection::default();
    let now = at("2026-05-04T08:00:00Z");
    beat(&mut protection, &figures("100", "91"), &rules, now);
    assert_eq!(protection.flatten_due(3), None);
    beat(&mut protection, &figures("100", "89"), &rules, now + Span::seconds(1));
    assert_eq!(protection.flatten_due(3).unwrap().limit, Limit::EquityFloor);
    assert_eq!(protection.flatten_due(0), None);
    assert!(protection.blocks().is_some());
}

#[test]
fn a_block_that_only_blocks_entries_flattens_nothing() {
    for action in ["BLOCK_ENTRY", "CLOSE_ONLY"] {
        let rules = rules(&format!(r#"{{"equity_floor": {{"equity": "90", "action": "{action}"}}}}"#));
        let mut protection = Protection::default();
        beat(&mut protection, &figures("100", "89"), &rules, at("2026-05-04T08:00:00Z"));
        assert!(protection.blocks().is_some() && protection.flatten_due(3).is_none());
    }
}

#[test]
fn gauges_show_each_limit_that_is_watched() {
    let rules = rules(FULL);
    let mut protection = Protection::default();
    assert_eq!(protection.gauges(&rules), []);
    let now = at("2026-05-04T08:00:00Z");
    beat(&mut protection, &figures("50000", "50000"), &rules, now);
    beat(&mut protection, &figures("50000", "48000"), &rules, now + Span::seconds(1));
    let shown: Vec<String> = protection
        .gauges(&rules)
        .iter()
        .map(|gauge| {
            let percent = gauge.percent.map_or("-".into(), |percent| percent.to_string());
            let standing = match gauge.standing {
                None => "armed",
                Some(Standing::Near { .. }) => "near",
                Some(Standing::Hit(_)) => "hit",
            };
            format!("{} {} of {} {percent} % {standing}", gauge.limit, gauge.used, gauge.allowed)
        })
        .collect();
    let expected = [
        "daily_loss 2000 of 2500 80 % near",
        "daily_drawdown 2000 of 2250 88.8 % near",
        "total_drawdown 2000 of 2500 80 % near",
        "equity_floor 2000 of 5000 40 % armed",
        "equity_ceiling -2000 of 5000 0 % armed",
        "daily_target -2000 of 1000 0 % armed",
        "total_target -2000 of 75000 0 % armed",
        "positions_max 0 of 20 0 % armed",
    ];
    assert_eq!(shown, expected);
}

fn refused(protection: &Protection, rules: &Rules, json: &str) -> RearmRefusal {
    protection.rearm(serde_json::from_str(json).unwrap(), rules).unwrap_err()
}

#[test]
fn a_rearm_is_refused_in_this_order() {
    let rules = rules(r#"{"equity_floor": {"equity": "90", "action": "FLATTEN"}, "positions_max": 1}"#);
    let mut protection = Protection::default();
    let says = |protection: &Protection, json: &str| refused(protection, &rules, json).to_string();
    assert_eq!(refused(&protection, &rules, r#"{"reason": "x"}"#), RearmRefusal::NothingAsked);
    assert_eq!(refused(&protection, &rules, r#"{"baseline": {"day_high": "5"}, "reason": "x"}"#), RearmRefusal::NoDay);
    let now = at("2026-05-04T08:00:00Z");
    beat(&mut protection, &Figures { open_positions: 1, ..figures("100", "89.5") }, &rules, now);
    let invalid = r#"{"limits": ["daily_loss"], "baseline": {"peak": "0"}, "reason": "x"}"#;
    assert_eq!(refused(&protection, &rules, invalid), RearmRefusal::BaselineInvalid { field: "peak" });
    assert_eq!(
        says(&protection, r#"{"limits": ["positions_max", "daily_loss"], "reason": "x"}"#),
        "daily_loss is not hit"
    );
    assert_eq!(
        says(&protection, r#"{"limits": ["positions_max", "equity_floor"], "reason": "x"}"#),
        "equity_floor is still exceeded: 10.5 of 10 money; change the limit, or say what it is measured from now"
    );
    assert_eq!(
        refused(&protection, &rules, r#"{"limits": ["positions_max"], "reason": "x"}"#),
        RearmRefusal::EndsByItself(Limit::PositionsMax)
    );
    beat(&mut protection, &figures("100", "90.5"), &rules, now + Span::seconds(1));
    let twice = r#"{"limits": ["equity_floor", "equity_floor"], "reason": " sold "}"#;
    let rearmed = protection.rearm(serde_json::from_str(twice).unwrap(), &rules).unwrap();
    assert_eq!((rearmed.limits, rearmed.reason.as_str()), (vec![Limit::EquityFloor], "sold"));
}

#[test]
fn a_rearm_needs_a_reason() {
    for json in [r#"{"limits": ["daily_loss"]}"#, r#"{"limits": ["daily_loss"], "reason": "  "}"#] {
        assert!(serde_json::from_str::<Rearm>(json).is_err(), "{json}");
    }
}

#[test]
fn a_baseline_moves_what_it_names_and_nothing_else() {
    let rules = rules(r#"{"daily_loss": {"amount": {"percent": "5"}, "action": "FLATTEN"}}"#);
    let mut protection = Protection::default();
    let now = at("2026-05-04T08:00:00Z");
    beat(&mut protection, &figures("1000", "1000"), &rules, now);
    let before = protection.marks;
    let json = r#"{"baseline": {"initial_balance": "2000", "peak": "10"}, "reason": "began elsewhere"}"#;
    let rearmed = protection.rearm(serde_json::from_str(json).unwrap(), &rules).unwrap();
    protection.remember(&ProtectionEvent::Rearmed(rearmed), now);
    let expected = Marks { initial: money("2000"), ..before };
    assert_eq!(protection.marks, expected, "a peak below the last equity is raised to it");
}

/// A record that cannot follow stops the fold.
#[test]
fn an_unbelievable_record_stops_the_fold() {
    let rules = rules(r#"{"equity_floor": {"equity": "90", "action": "FLATTEN"}}"#);
    let now = at("2026-05-04T08:00:00Z");
    let mut hit = Protection::default();
    let events = beat(&mut hit, &figures("100", "80"), &rules, now);
    let cleared = |limit| ProtectionEvent::Cleared(LimitCleared { limit, why: Cleared::Eased });
    let rearmed = |limit| ProtectionRearmed {
        limits: vec![limit],
        baseline: Baseline::default(),
        reason: Reason::new("x").unwrap(),
    };
    let mut unbelievable = events;
    unbelievable.push(cleared(Limit::DailyLoss));
    unbelievable.push(ProtectionEvent::Rearmed(rearmed(Limit::DailyLoss)));
    assert_eq!(unbelievable.len(), 4, "a day, a hit, and two that never came near");
    for event in unbelievable {
        let mut protection = hit.clone();
        let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| protection.remember(&event, now)));
        assert!(folded.is_err(), "{event:?} was believed");
    }
}
