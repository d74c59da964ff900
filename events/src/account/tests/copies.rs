//! From what a master does to what its slaves are told.

use super::scene::{Scene, pair};
use crate::copy::Step;
use crate::trade::{Instruction, Order};
use std::collections::BTreeSet;
use std::fmt::Write;

#[test]
fn a_trade_is_opened_changed_and_closed_by_the_copy() {
    pair().plays(
        "M open 1 buy EURUSD 0.5 sl 1.09 tp 1.12
         > S 1: copied
         > S #1 buy EURUSD 0.5 sl 1.09 tp 1.12
         S fills #1
         M modify 1 sl 1.095 tp 1.12
         > S 1: copied
         > S #2 modify #1 sl 1.095 tp 1.12
         S fills #2
         M close 1
         > S 1: copied
         > S #3 close #1
         S fills #3",
    );
}

#[test]
fn each_level_is_set_moved_and_removed_by_itself() {
    pair().plays(
        "M open 1 sell EURUSD 0.5
         > S 1: copied
         > S #1 sell EURUSD 0.5
         M modify 1 sl 1.11
         > S 1: copied
         > S #2 modify #1 sl 1.11
         M modify 1 sl 1.11 tp 1.05
         > S 1: copied
         > S #3 modify #1 sl 1.11 tp 1.05
         M modify 1 tp 1.05
         > S 1: copied
         > S #4 modify #1 tp 1.05
         M modify 1
         > S 1: copied
         > S #5 modify #1 no levels
         M modify 1
         > S 1: unchanged",
    );
}

#[test]
fn one_master_and_many_slaves_each_gets_its_own_order_once() {
    let mut given = String::from("master M\nmaster M_2\nslave Z of M_2");
    for slave in 1..=20 {
        write!(given, "\nslave ACC_{slave} of M {{\"volume\":{{\"fixed\":\"{slave}\"}}}}").unwrap();
    }
    let mut scene = Scene::new(&given);
    scene.does("M open 1 buy EURUSD 1").unwrap();
    let orders: Vec<_> =
        scene.issued().map(|(slave, order)| (slave.to_string(), order.id, order.instruction.clone())).collect();
    let ids: BTreeSet<_> = orders.iter().map(|(_, id, _)| *id).collect();
    assert_eq!((orders.len(), ids.len()), (20, 20));
    for (slave, _, instruction) in orders {
        let Instruction::Open { lots, .. } = instruction else { panic!("{instruction:?}") };
        assert_eq!(slave, format!("ACC_{lots}"), "each by the settings of its own link");
    }
}

/// ACC_12's name begins with ACC_1's; each hears of its own master only, though the tickets and symbols are the same.
#[test]
fn what_is_for_one_never_reaches_another() {
    let mut scene =
        Scene::new("master M_1\nmaster M_12\nslave ACC_1 of M_1\nslave ACC_12 of M_12\nslave B of M_1\nB follows M_12");
    scene.plays(
        "M_1 open 7 buy EURUSD 0.5
         > ACC_1 7: copied
         > ACC_1 #1 buy EURUSD 0.5
         > B 7: copied
         > B #1 buy EURUSD 0.5
         M_12 open 7 sell EURUSD 0.2
         > ACC_12 7: copied
         > ACC_12 #1 sell EURUSD 0.2
         > B 7: copied
         > B #2 sell EURUSD 0.2
         M_1 close 7
         > ACC_1 7: copied
         > ACC_1 #2 close #1
         > B 7: copied
         > B #3 close #1
         M_12 modify 7 sl 1.2
         > ACC_12 7: copied
         > ACC_12 #2 modify #1 sl 1.2
         > B 7: copied
         > B #4 modify #2 sl 1.2",
    );
}

#[test]
fn a_burst_of_fifty_opens_is_fifty_orders_in_order() {
    let mut scene = Scene::new("master M\nslave S of M\nslave S_2 of M");
    for ticket in 1..=50 {
        scene.does(&format!("M open {ticket} buy EURUSD 0.{ticket:02}")).unwrap();
    }
    for slave in ["S", "S_2"] {
        let of_slave: Vec<_> = scene.issued().filter(|(of, _)| of.as_str() == slave).collect();
        let seqs: Vec<u64> = of_slave.iter().map(|(_, order)| order.seq).collect();
        let tickets: Vec<u64> = of_slave.iter().map(|(_, order)| order.ticket.unwrap().0).collect();
        assert_eq!((seqs, tickets), ((1..=50).collect(), (1..=50).collect()));
        assert_eq!(scene.book(slave).outbox.len(), 50);
    }
}

#[test]
fn partial_closes_are_shares_of_what_is_left() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S fills #1
         M close 1 ratio 0.5
         > S 1: copied
         > S #2 close #1 0.5
         M close 1 ratio 0.5
         > S 1: copied
         > S #3 close #1 0.25
         S fills #2
         S fills #3
         M close 1 to 0.1
         > S 1: copied
         > S #4 close #1 0.15
         M close 1
         > S 1: copied
         > S #5 close #1
         S fills #4
         S fills #5",
    );
}

#[test]
fn a_late_close_goes_and_a_late_open_does_not() {
    pair().plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M open 2 buy EURUSD 0.5 seen 4900ms ago
         > S 2: copied
         > S #2 buy EURUSD 0.5
         M open 3 buy EURUSD 0.5 seen 6s ago
         > S 3: signal_late
         M modify 1 sl 1.09 seen 600s ago
         > S 1: copied
         > S #3 modify #1 sl 1.09
         S fills #1 0.5
         M close 1 ratio 0.4 seen 600s ago
         > S 1: copied
         > S #4 close #1 0.2
         M close 1 seen 600s ago
         > S 1: copied
         > S #5 close #1
         M close 3
         > S 3: not_copied",
    );
}

#[test]
fn a_late_open_waits_at_the_masters_price_where_that_is_wanted() {
    Scene::new("master M\nslave S of M {\"late_opens\":{\"pending\":{\"expires_ms\":60000}}}").plays(
        "M open 1 buy EURUSD 0.5 seen 6s ago
         > S 1: copied
         > S #1 buy EURUSD 0.5 limit at 1.1 for 60 s
         S quotes 1.0985 1.0987 EURUSD
         M open 2 buy EURUSD 0.5 seen 6s ago
         > S 2: copied
         > S #2 buy EURUSD 0.5",
    );
}

#[test]
fn a_close_passes_while_the_link_is_off_in_every_way() {
    for off in ["S link M off", "S off", "M off", "S bars", "M bars", "S lost", "M lost", "S leaves", "M leaves"] {
        let mut scene = pair();
        for line in ["M open 1 buy EURUSD 0.5", "S fills #1", off, "M open 2 buy EURUSD 0.5", "M modify 1 sl 1.09"] {
            scene.does(line).unwrap();
        }
        scene.does("M close 1").unwrap();
        let orders: Vec<u64> = scene.issued().map(|(_, order)| order.ticket.unwrap().0).collect();
        assert_eq!(orders, [1, 1, 1], "{off}: opened, changed and closed, and 2 was not opened");
    }
}

#[test]
fn a_close_is_held_back_where_that_is_wanted() {
    Scene::new("master M\nslave S of M {\"closes_when_off\":false}").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S fills #1
         S link M off
         > S is 2 → 0
         M close 1
         > S 1: closes_off
         S holds 801 buy EURUSD 0.5 #1
         > S told all
         S beats
         S link M on
         > S is 0 → 2
         > S #2 close #1 (correction)
         S rejects #2
         > S #3 close #1 (correction)
         S fills #3",
    );
}

/// line that switches the link off | what lets the close out
const HELD_BACK: &str = r#"
    S link M off                              | S link M on
    S link M off                              | S link M {"closes_when_off":true}
    S link M off                              | S unlinks M close_only_by_position
    S link M {"mode":"off","closes_when_off":false} | S link M {"closes_when_off":false}
    S off                                     | S on
    M off                                     | M on
    S bars                                    | S beats
    M lost                                    | M beats
    M group {"mode":"off"}                    | -
"#;

#[test]
fn a_close_that_was_held_back_goes_when_that_ends() {
    let mut count = 0;
    for row in HELD_BACK.lines().filter(|row| row.contains('|')) {
        let [off, on] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else { panic!("{row}") };
        let mut scene = Scene::new("master M\nslave S of M {\"closes_when_off\":false}");
        for line in ["M open 1 buy EURUSD 0.5", "S fills #1", off, "M close 1", "S quotes 1.1 1.2 EURUSD"] {
            scene.does(line).unwrap();
        }
        assert_eq!(scene.decision(1).plan.rule, crate::copy::Rule::ClosesOff, "{row}");
        assert_eq!(scene.issued().count(), 1, "{off}: held back");
        // Nothing that leaves it off lets it out.
        scene.does(r#"S settings {"copy":{"retries_max":4}}"#).unwrap();
        scene.does("S holds 801 buy EURUSD 0.5 #1").unwrap();
        assert_eq!(scene.issued().count(), 1, "{off}: still held back");
        if on != "-" {
            scene.does(on).unwrap();
            assert_eq!(scene.issued().count(), 2, "{on}");
            assert!(matches!(scene.order("S", 2).instruction, Instruction::Close { lots: None, .. }), "{on}");
        }
        count += 1;
    }
    assert_eq!(count, 9);
}

/// master | as is | reversed
const PENDING: &str = "
    buy EURUSD 0.5 limit at 1.09 sl 1.08 tp 1.12   | buy EURUSD 0.5 limit at 1.09 sl 1.08 tp 1.12   | sell EURUSD 0.5 stop at 1.09 sl 1.12 tp 1.08
    buy EURUSD 0.5 stop at 1.11 sl 1.08 tp 1.12    | buy EURUSD 0.5 stop at 1.11 sl 1.08 tp 1.12    | sell EURUSD 0.5 limit at 1.11 sl 1.12 tp 1.08
    sell EURUSD 0.5 limit at 1.11 sl 1.12 tp 1.08  | sell EURUSD 0.5 limit at 1.11 sl 1.12 tp 1.08  | buy EURUSD 0.5 stop at 1.11 sl 1.08 tp 1.12
    sell EURUSD 0.5 stop at 1.09 sl 1.12 tp 1.08   | sell EURUSD 0.5 stop at 1.09 sl 1.12 tp 1.08   | buy EURUSD 0.5 limit at 1.09 sl 1.08 tp 1.12
    buy EURUSD 0.5 sl 1.08 tp 1.12                 | buy EURUSD 0.5 sl 1.08 tp 1.12                 | sell EURUSD 0.5 sl 1.12 tp 1.08
";

#[test]
fn every_kind_of_order_is_copied_and_reversed() {
    let mut count = 0;
    for row in PENDING.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let [master, as_is, reversed] = parts.as_slice() else { panic!("{row}") };
        let mut scene = Scene::new("master M\nslave S of M\nslave T of M {\"reverse\":true}");
        scene.plays(&format!(
            "M open 1 {master}
             > S 1: copied
             > S #1 {as_is}
             > T 1: copied
             > T #1 {reversed}
             M close 1
             > S 1: copied
             > S #2 close #1
             > T 1: copied
             > T #2 close #1"
        ));
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn a_pending_order_is_moved_and_filled_whoever_is_first() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 0.5 limit at 1.09
         > S 1: copied
         > S #1 buy EURUSD 0.5 limit at 1.09
         S places #1
         M modify 1 at 1.085 sl 1.07
         > S 1: copied
         > S #2 modify #1 at 1.085 sl 1.07
         S fills #2",
    );
    let mut other = scene.clone();
    scene.plays(
        "S fills #1
         M open 1 buy EURUSD 0.5 at 1.085 sl 1.07
         > S 1: unchanged
         M close 1 ratio 0.5
         > S 1: copied
         > S #3 close #1 0.25",
    );
    other.plays(
        "M open 1 buy EURUSD 0.5 at 1.085 sl 1.07
         > S 1: pending_filled
         S fills #1
         M close 1 ratio 0.5
         > S 1: copied
         > S #3 close #1 0.25",
    );
}

/// What the master does not have the slave is not to have either: so it is closed, and the record of the decision says why.
#[test]
fn a_pending_order_is_cancelled_even_when_it_was_filled_meanwhile() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 0.5 limit at 1.09
         > S 1: copied
         > S #1 buy EURUSD 0.5 limit at 1.09
         S places #1
         M close 1
         > S 1: copied
         > S #2 close #1
         S fills #1
         S fills #2",
    );
    assert!(scene.decision(1).plan.steps.contains(&Step::CancelOrClose));
    assert!(scene.book("S").copies.is_empty());
    let mut filled = pair();
    for line in ["M open 1 buy EURUSD 0.5 limit at 1.09", "S fills #1", "M close 1"] {
        filled.does(line).unwrap();
    }
    assert!(!filled.decision(1).plan.steps.contains(&Step::CancelOrClose), "it was known to be filled");
}

#[test]
fn a_fill_is_copied_where_pending_orders_are_not() {
    Scene::new("master M\nslave S of M {\"copy_pending\":false}").plays(
        "M open 1 buy EURUSD 0.5 limit at 1.09
         > S 1: pending_off
         M open 1 buy EURUSD 0.5 at 1.09
         > S 1: copied
         > S #1 buy EURUSD 0.5",
    );
}

/// The slave's order was filled and its take-profit reached before the master's: the fill of the master opens nothing again.
#[test]
fn a_copy_that_has_come_and_gone_is_not_opened_again_by_the_masters_fill() {
    pair().plays(
        "M open 1 buy EURUSD 0.5 limit at 1.09 tp 1.1
         > S 1: copied
         > S #1 buy EURUSD 0.5 limit at 1.09 tp 1.1
         S places #1
         S fills #1
         S holds
         > S told all, 0 instead of 0.5
         M open 1 buy EURUSD 0.5 at 1.09 tp 1.1
         > S 1: copy_over",
    );
}

#[test]
fn a_netting_position_grows_by_another_leg() {
    Scene::new("master M\nslave S of M netting").plays(
        "M open 1 buy EURUSD 0.5 sl 1.05
         > S 1: copied
         > S #1 buy EURUSD 0.5 sl 1.05
         S fills #1
         M modify 1 sl 1.05 lots 0.8
         > S 1: copied
         > S #2 buy EURUSD 0.3 sl 1.05
         S fills #2
         M close 1 to 0.4
         > S 1: copied
         > S #3 close #1 0.4
         S fills #3
         M close 1
         > S 1: copied
         > S #4 close #1
         > S #5 close #2
         S fills #4
         S fills #5",
    );
}

/// Each growth asks for less than the slave can open: what is kept adds up, and a partial close leaves its share of it.
#[test]
fn what_a_growth_is_too_small_for_is_kept_for_the_next_one() {
    Scene::new("master M\nslave S of M {\"volume\":{\"multiplier\":\"0.4\"}}").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.2
         S fills #1
         M modify 1 lots 0.51
         > S 1: growth_kept
         M modify 1 lots 0.52
         > S 1: growth_kept
         M modify 1 sl 1.05 lots 0.53
         > S 1: copied
         > S #2 buy EURUSD 0.01 sl 1.05
         > S #3 modify #1 sl 1.05
         S fills #2
         S fills #3
         M modify 1 sl 1.05 lots 0.55
         > S 1: copied
         > S #4 buy EURUSD 0.01 sl 1.05
         S fills #4
         M close 1 ratio 0.5
         > S 1: copied
         > S #5 close #1 0.11
         S fills #5
         M modify 1 sl 1.05 lots 0.3
         > S 1: copied
         > S #6 buy EURUSD 0.01 sl 1.05
         S fills #6
         M close 1
         > S 1: copied
         > S #7 close #1
         > S #8 close #2
         > S #9 close #4
         > S #10 close #6
         S fills #7
         S fills #8
         S fills #9
         S fills #10",
    );
}

/// A hundred growths that are too small one by one: the slave never differs from the rule by a step.
#[test]
fn any_row_of_growths_stays_within_a_step() {
    for multiplier in ["0.03", "0.1", "0.37", "0.999", "1.7"] {
        let mut scene =
            Scene::new(&format!("master M\nslave S of M {{\"volume\":{{\"multiplier\":\"{multiplier}\"}}}}"));
        let factor: rust_decimal::Decimal = multiplier.parse().unwrap();
        let hundredths = |number: i64| rust_decimal::Decimal::new(number, 2);
        scene.does("M open 1 buy EURUSD 1").unwrap();
        for growth in 1..=100 {
            scene.does(&format!("M modify 1 lots {}", hundredths(100 + growth))).unwrap();
            let held = scene.book("S").all_copies().next().unwrap().2.left().get();
            let off = hundredths(100 + growth) * factor - held;
            assert!(
                off >= hundredths(0) && off < hundredths(1),
                "{multiplier}: holds {held} after {growth}, {off} off"
            );
        }
    }
}

/// At a master that holds one position a symbol, what is too small may grow until it is not.
#[test]
fn a_position_that_was_too_small_is_copied_once_it_has_grown() {
    Scene::new("master M netting\nslave S of M {\"volume\":{\"multiplier\":\"0.1\"}}").plays(
        "M open 1 buy EURUSD 0.05
         > S 1: lot_below_min
         > S warns lot_below_min
         M modify 1 lots 0.09
         > S 1: growth_kept
         M modify 1 lots 0.12
         > S 1: copied
         > S #1 buy EURUSD 0.01
         > S clears lot_below_min
         S fills #1
         M close 1 to 0.06
         > S 1: close_waits
         M close 1
         > S 1: copied
         > S #2 close #1
         S fills #2
         M open 2 buy EURUSD 0.05
         > S 2: lot_below_min
         > S warns lot_below_min
         M close 2 ratio 0.5
         > S 2: not_copied
         M close 2
         > S 2: not_copied",
    );
    // Elsewhere a position never grows, and nothing is remembered of it.
    let mut scene = Scene::new("master M\nslave S of M {\"volume\":{\"multiplier\":\"0.1\"}}");
    scene.does("M open 1 buy EURUSD 0.05").unwrap();
    assert!(scene.book("S").copies.is_empty());
}

#[test]
fn names_are_found_by_affixes_map_and_synonyms() {
    let given = "master M suffix .pro
        slave S of M prefix m. suffix .x
        slave T of M GER40.cash GOLD EURUSD {\"symbol_map\":[{\"from\":\"DE40\",\"to\":\"GER40.cash\"}],\"synonyms\":[[\"XAUUSD\",\"GOLD\"]]}";
    Scene::new(given).plays(
        "M open 1 buy EURUSD.pro 0.5
         > S 1: copied
         > S #1 buy m.EURUSD.x 0.5
         > T 1: copied
         > T #1 buy EURUSD 0.5
         M open 2 buy DE40.pro 0.5
         > S 2: symbol_unmapped
         > S warns symbol_unmapped
         > T 2: copied
         > T #2 buy GER40.cash 0.5
         M open 3 sell XAUUSD.pro 0.5
         > S 3: symbol_unmapped
         > T 3: copied
         > T #3 sell GOLD 0.5
         M open 4 sell GBPUSD.pro 0.5
         > S 4: copied
         > S #2 sell m.GBPUSD.x 0.5
         > S clears symbol_unmapped
         > T 4: symbol_unmapped
         > T warns symbol_unmapped",
    );
}

#[test]
fn a_hundred_mappings_are_looked_up() {
    let mapping = |number| format!(r#"{{"from":"A{number}","to":"B{number}"}}"#);
    let mappings: Vec<String> = (0..100).map(mapping).collect();
    let names: Vec<String> = (0..100).map(|number| format!("B{number}")).collect();
    let settings = format!(r#"{{"symbol_map":[{}]}}"#, mappings.join(","));
    let mut scene = Scene::new(&format!("master M\nslave S of M {} {settings}", names.join(" ")));
    for number in [0, 50, 99] {
        scene.does(&format!("M open {} buy A{number} 0.5", number + 1)).unwrap();
    }
    scene.does("M open 1000 buy A100 0.5").unwrap();
    let symbols: Vec<String> = scene.issued().map(|(_, order)| symbol_of(order)).collect();
    assert_eq!(symbols, ["B0", "B50", "B99"]);
}

fn symbol_of(order: &Order) -> String {
    let Instruction::Open { symbol, .. } = &order.instruction else { panic!("{order:?}") };
    symbol.to_string()
}

#[test]
fn an_empty_list_is_no_filter() {
    let empty = r#"{"symbols_allow":[],"symbols_deny":[],"magics_allow":[],"magics_deny":[],"comment_contains":[],"comment_excludes":[],"symbol_map":[],"synonyms":[]}"#;
    Scene::new(&format!("master M\nslave S of M {empty}")).plays(
        "M open 1 buy EURUSD 0.5 magic 3 comment x
         > S 1: copied
         > S #1 buy EURUSD 0.5",
    );
}

#[test]
fn the_layers_of_settings_win_in_their_order_and_the_record_says_which_did() {
    let mut scene = pair();
    let mut ticket = 0;
    for (line, lots, from) in [
        ("wait 0s", "0.5", "default"),
        (r#"desk {"volume":{"fixed":"0.01"}}"#, "0.01", "global"),
        (r#"M settings {"copy":{"volume":{"fixed":"0.02"}}}"#, "0.02", "master"),
        (r#"M group {"volume":{"fixed":"0.03"}}"#, "0.03", "group"),
        (r#"S link M {"volume":{"fixed":"0.04"}}"#, "0.04", "link"),
        (r#"S settings {"copy":{"volume":{"fixed":"0.05"}}}"#, "0.05", "slave"),
        (r#"desk {"volume":{"fixed":"0.06"}}"#, "0.05", "slave"),
    ] {
        ticket += 1;
        scene.does(line).unwrap();
        scene.does(&format!("M open {ticket} buy EURUSD 0.5")).unwrap();
        let order = scene.order("S", ticket);
        let Instruction::Open { lots: found, .. } = order.instruction else { panic!("{order:?}") };
        let plan = scene.decision(ticket).plan;
        let step = plan.steps.iter().find_map(|step| match step {
            Step::Volume { from, .. } => Some(from.as_str()),
            _ => None,
        });
        assert_eq!((found.to_string().as_str(), step), (lots, Some(from)), "{line}");
    }
}

#[test]
fn a_link_that_observes_records_and_sends_nothing() {
    Scene::new("master M\nslave S of M {\"mode\":\"observe\"}").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: observed
         M close 1
         > S 1: not_copied",
    );
}

#[test]
fn one_strategy_and_several_masters_on_one_slave_wait_for_all_unless_told_otherwise() {
    let mut scene = Scene::new("master M_1\nmaster M_2\nslave S of M_1\nS follows M_2");
    scene.plays(
        "M_2 off
         > M_2 is 2 → 0
         > S is 2 → 1
         M_1 open 1 buy EURUSD 0.5
         > S 1: master_not_connected
         S settings {\"require_all_masters\":false}
         > S is 1 → 2
         M_1 open 2 buy EURUSD 0.5
         > S 2: copied
         > S #1 buy EURUSD 0.5
         M_2 open 3 buy EURUSD 0.5
         > S 3: master_not_connected",
    );
}

#[test]
fn what_was_open_before_is_looked_at_once() {
    for (mode, expected) in [
        ("\"skip\"", "> S 1: sync_off\n> S 2: sync_off"),
        (
            "{\"market_order\":{\"distance_max\":\"0\"}}",
            "> S 1: copied\n> S #1 buy EURUSD 0.5 sl 1.09 (sync)\n> S 2: copied\n> S #2 sell GBPUSD 0.2 limit at 1.3 (sync)",
        ),
        (
            "{\"limit_order\":{\"expires_ms\":60000}}",
            "> S 1: copied\n> S #1 buy EURUSD 0.5 limit at 1.1 sl 1.09 for 60 s (sync)\n> S 2: copied\n> S #2 sell GBPUSD 0.2 limit at 1.3 (sync)",
        ),
    ] {
        let mut scene =
            Scene::new("master M\nslave S\nM open 1 buy EURUSD 0.5 sl 1.09\nM open 2 sell GBPUSD 0.2 limit at 1.3");
        scene.plays(&format!(
            "S follows M {{\"sync_mode\":{mode}}}
             > S follows M
             > S is 0 → 1
             > S looks at M
             > S is 1 → 2
             {expected}
             M off
             > M is 2 → 0
             > S is 2 → 1
             M on
             > M is 0 → 2
             > S is 1 → 2"
        ));
    }
}

#[test]
fn every_signal_has_one_decision_for_each_link() {
    let mut scene = Scene::new("master M\nslave S of M\nslave T of M {\"mode\":\"off\"}\nslave U of M\nU link M off");
    for line in
        ["M open 1 buy EURUSD 0.5", "M modify 1 sl 1.09", "M modify 1 sl 1.09", "M close 1 ratio 0.5", "M close 1"]
    {
        let before = scene.decisions().count();
        scene.does(line).unwrap();
        assert_eq!(scene.decisions().count(), before + 3, "{line}");
    }
    let asked: BTreeSet<_> = scene.decisions().map(|(slave, decided)| (slave, decided.signal)).collect();
    assert_eq!(asked.len(), 15);
}

/// The mode of the group is told with a change of the master's, of whichever trade.
#[test]
fn what_a_groups_mode_held_back_goes_when_the_next_trade_tells_that_it_is_over() {
    Scene::new("master M\nslave S of M {\"closes_when_off\":false}").plays(
        r#"M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S fills #1
         M group {"mode":"off"}
         M close 1
         > S 1: closes_off
         M group {"mode":"live"}
         M open 2 buy EURUSD 0.2
         > S 2: copied
         > S #2 buy EURUSD 0.2
         > S #3 close #1 (correction)"#,
    );
}

/// The link was to end with the last trade in the symbol, and then it was not to end at all.
#[test]
fn what_waited_for_its_symbol_goes_when_the_link_lives_on() {
    Scene::new("master M\nslave S of M").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S fills #1
         M open 2 buy EURUSD 0.2
         > S 2: copied
         > S #2 buy EURUSD 0.2
         S fills #2
         S unlinks M close_only_by_symbol
         > S leaves M: close_only_by_symbol
         > S is 2 → 1
         M close 1
         > S 1: waits_for_symbol
         S follows M
         > S follows M
         > S #3 close #1 (correction)
         > S looks at M
         > S is 1 → 2
         > S 2: unchanged",
    );
}
