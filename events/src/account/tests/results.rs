//! What terminals say of their orders, in any order and more than once.

use super::scene::pair;
use crate::account::book::ANSWERED_MAX;
use crate::sample::trade::lots;
use crate::trade::Instruction;

#[test]
fn an_order_stands_until_its_result_is_here() {
    let mut scene = pair();
    scene.does("M open 1 buy EURUSD 0.5").unwrap();
    let order = scene.order("S", 1);
    assert_eq!(scene.book("S").outbox.values().collect::<Vec<_>>(), [&order]);
    assert!(order.deadline.is_some_and(|deadline| deadline > scene.log.now), "only entries run out");
    scene.does("S fills #1").unwrap();
    assert!(scene.book("S").outbox.is_empty());
    scene.does("M close 1").unwrap();
    assert_eq!(scene.order("S", 2).deadline, None, "closes never expire");
}

#[test]
fn a_repeat_changes_nothing_and_another_result_is_refused() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S fills #x
         > refused order_unknown
         S fills #1",
    );
    let before = scene.book("S").clone();
    scene.plays(
        "S fills #1
         S rejects #1
         > refused order_answered
         S unknown #1
         > refused order_answered
         S fills #x
         > refused order_unknown",
    );
    assert_eq!(*scene.book("S"), before);
}

#[test]
fn a_placed_order_goes_on_and_is_told_of_twice() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 0.5 limit at 1.09
         > S 1: copied
         > S #1 buy EURUSD 0.5 limit at 1.09
         S places #1
         S places #1
         S fills #1 0.5
         S fills #1 0.5
         S places #1
         > refused order_answered",
    );
    let copy = scene.book("S").all_copies().next().unwrap().2;
    assert_eq!((copy.held(), copy.legs.len()), (lots("0.5"), 1));
}

#[test]
fn a_placed_order_that_the_broker_ends_is_over() {
    for end in ["S cancels #1", "S expires #1", "S rejects #1"] {
        let mut scene = pair();
        scene.plays(&format!(
            "M open 1 buy EURUSD 0.5 limit at 1.09
             > S 1: copied
             > S #1 buy EURUSD 0.5 limit at 1.09
             S places #1
             {end}
             M close 1
             > S 1: copy_over"
        ));
        assert!(scene.book("S").copies.is_empty(), "{end}");
    }
}

#[test]
fn a_result_that_comes_after_hundreds_of_others_is_no_stranger_while_its_order_waits() {
    let mut scene = pair();
    scene.does("M open 1 buy EURUSD 0.5 limit at 1.09").unwrap();
    scene.does("S places #1").unwrap();
    for ticket in 2..=ANSWERED_MAX as u64 + 10 {
        scene.does(&format!("M open {ticket} buy EURUSD 0.01")).unwrap();
        scene.does(&format!("S fills #{ticket}")).unwrap();
    }
    scene.does("S fills #1").unwrap();
    assert_eq!(scene.does("S fills #2"), Err("order_unknown".into()), "forgotten, and final");
}

#[test]
fn a_partial_fill_is_closed_by_its_share() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S part #1 0.6
         M close 1 ratio 0.5
         > S 1: copied
         > S #2 close #1 0.3
         S fills #2
         M close 1
         > S 1: copied
         > S #3 close #1
         S fills #3",
    );
}

/// The master closed half while the open was on its way: what was filled decides, and what is too much goes afterwards.
#[test]
fn a_part_waits_until_its_open_is_answered_and_is_corrected_by_what_was_filled() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         M close 1 ratio 0.5
         > S 1: waits_for_fill
         S fills #1 1
         > S #2 close #1 0.5 (correction)
         S part #2 0.3
         > S #3 close #1 0.2 (correction)
         S fills #3",
    );
}

#[test]
fn results_of_an_open_and_its_close_may_come_the_other_way_round() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         M close 1
         > S 1: copied
         > S #2 close #1
         S fills #2 1
         S fills #1 1",
    );
    assert!(scene.book("S").copies.is_empty());
}

/// The terminal can only have meant that the open was still to come: what the open says counts.
#[test]
fn a_close_that_found_nothing_before_the_open_was_answered_is_tried_again() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         M close 1
         > S 1: copied
         > S #2 close #1
         S nothing #2
         S fills #1 1
         > S #3 close #1 (correction)
         S fills #3",
    );
}

/// Somebody closed the copy by hand: the terminal has nothing to close, and nothing is tried again.
#[test]
fn a_copy_that_was_closed_by_hand_is_over_once_the_terminal_says_so() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S fills #1
         M close 1 ratio 0.5
         > S 1: copied
         > S #2 close #1 0.5
         S nothing #2
         M close 1
         > S 1: copy_over",
    );
    assert!(scene.book("S").copies.is_empty());
}

#[test]
fn an_open_that_was_rejected_leaves_nothing() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         M close 1
         > S 1: copied
         > S #2 close #1
         S rejects #1
         S nothing #2
         M open 2 buy EURUSD 1
         > S 2: copied
         > S #3 buy EURUSD 1
         S rejects #3
         M modify 2 sl 1.09
         > S 2: copy_over
         M close 2
         > S 2: copy_over",
    );
    assert!(scene.book("S").copies.is_empty());
}

#[test]
fn a_close_that_is_rejected_is_tried_again_five_times() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S fills #1
         M close 1
         > S 1: copied
         > S #2 close #1
         S rejects #2
         > S #3 close #1 (correction)
         S rejects #3
         > S #4 close #1 (correction)
         S rejects #4
         > S #5 close #1 (correction)
         S rejects #5
         > S #6 close #1 (correction)
         S rejects #6
         > S #7 close #1 (correction)
         S rejects #7
         > S warns volume_drift
         S holds 801 buy EURUSD 1 #1
         > S told all
         > S #8 close #1 (correction)
         > S clears volume_drift
         S fills #8",
    );
    assert!(scene.book("S").copies.is_empty());
}

/// What ends an order that waits is tried again like a close, whatever it was that wanted it gone.
#[test]
fn a_cancel_that_is_rejected_is_tried_again() {
    for (ends, first) in [
        ("stop cancel", "#2 close #1 (stop)"),
        ("S unlinks M close_only_by_position", "#2 close #1 (wind_down)"),
        ("S unlinks M close_only_by_symbol", "#2 close #1 (wind_down)"),
        ("S unlinks M close_now", "#2 close #1 (wind_down)"),
    ] {
        let mut scene = pair();
        for line in ["M open 1 buy EURUSD 1 limit at 1.09", "S places #1", ends] {
            scene.does(line).unwrap();
        }
        let second = scene.order("S", 2);
        let reason = crate::event::json(&second.reason);
        assert_eq!(first, format!("#2 close #1 ({})", reason.as_str().unwrap()));
        scene.plays(
            "S rejects #2
             > S #3 close #1 (correction)
             S rejects #3
             > S #4 close #1 (correction)
             S rejects #4
             > S #5 close #1 (correction)
             S rejects #5
             > S #6 close #1 (correction)
             S rejects #6
             > S #7 close #1 (correction)
             S rejects #7
             > S warns volume_drift",
        );
        scene.does("S holds 801 buy EURUSD 1 limit at 1.09 #1").unwrap();
        let again = scene.order("S", 8);
        assert!(matches!(again.instruction, Instruction::Close { lots: None, .. }), "{ends}: a snapshot begins anew");
        scene.does("S cancels #8").unwrap();
        scene.does("M close 1").unwrap();
        assert!(scene.book("S").copies.is_empty(), "{ends}");
    }
}

/// Two parts are on their way; one is rejected. What the other closes is not closed again.
#[test]
fn a_rejected_part_does_not_forget_the_one_that_is_under_way() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S fills #1
         M close 1 to 0.8
         > S 1: copied
         > S #2 close #1 0.2
         M close 1 to 0.6
         > S 1: copied
         > S #3 close #1 0.2
         S rejects #2
         M close 1 to 0.5
         > S 1: copied
         > S #4 close #1 0.3
         S fills #3
         S fills #4",
    );
}

#[test]
fn what_cannot_be_proven_is_shown_until_a_snapshot_clears_it() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S unknown #1
         > S warns order_unproven
         > S is asked for all",
    );
    let (mut there, mut gone) = (scene.clone(), scene);
    there.plays(
        "S holds 801 buy EURUSD 1 #1
         > S told all, 1 instead of 0
         > S warns volume_drift
         > S clears order_unproven
         M close 1
         > S 1: copied
         > S #2 close #1
         S fills #2",
    );
    assert!(there.book("S").copies.is_empty());
    gone.plays(
        "S holds
         > S told all, 0 instead of 0
         > S clears order_unproven
         M close 1
         > S 1: copy_over",
    );
    assert!(gone.book("S").copies.is_empty());
}

#[test]
fn what_cannot_be_proven_is_closed_with_the_masters_trade_all_the_same() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S unknown #1
         > S warns order_unproven
         > S is asked for all
         M close 1
         > S 1: copied
         > S #2 close #1
         S fills #2 1
         M open 2 buy EURUSD 1
         > S 2: copied
         > S #3 buy EURUSD 1",
    );
}

#[test]
fn only_slaves_have_orders() {
    pair().plays(
        "M fills #x
         > refused not_a_slave",
    );
}
