//! What is done about the quotes: when something is placed, replaced and taken off.

use super::*;
use crate::market::{Bps, Price};

fn moves(case: &mut Case, millionths: i64) {
    let quote = case.features.quote.as_mut().unwrap();
    let by = Price(millionths * 1_000);
    (quote.bid, quote.ask) = (quote.bid + by, quote.ask + by);
}

/// Drifts by 2 bps a second for 30 s; each cancel is done by the next tick.
#[test]
fn a_drifting_middle_is_followed_once_per_refresh_interval() {
    let mut case = Case::usual();
    let mut placed_at = Vec::new();
    for _ in 0..150 {
        moves(&mut case, 4_000);
        let events = case.quotes();
        if !placed(&events).is_empty() {
            placed_at.push(case.now);
        }
        case.passes(200);
    }
    assert!(placed_at.windows(2).all(|two| two[1].since(two[0]) >= Span::millis(1_000)));
    // Cancel on one tick, place on the next: one every 1200 ms.
    assert_eq!(placed_at.len(), 25);
}

#[test]
fn a_target_that_hardly_moved_leaves_the_order_alone() {
    let mut case = Case::normal(Parameters { min_requote_bps: Bps::whole(2), ..Parameters::default() });
    assert_eq!(placed(&case.quotes()).len(), 2);
    moves(&mut case, 10_000);
    assert_eq!(case.ticks_for(4_800, 200), [], "one tick, which is one basis point, and a step less of size");
    moves(&mut case, 20_000);
    case.passes(200);
    assert_eq!(cancelled(&case.tick()), [CancelWhy::Moved; 2]);
}

#[test]
fn an_order_that_is_clearly_too_large_is_replaced_in_its_turn() {
    let mut case = Case::usual();
    case.quotes();
    case.passes(200);
    case.sets(Parameters { quote_size: crate::market::Cash::whole(18), ..Parameters::default() });
    assert_eq!(case.ticks_for(600, 200), []);
    assert_eq!(cancelled(&case.ticks_for(200, 200)), [CancelWhy::Moved; 2]);
}

#[test]
fn an_order_does_not_stand_for_longer_than_it_may() {
    let mut case = Case::usual();
    case.quotes();
    assert_eq!(cancelled(&case.ticks_for(5_000, 200)), []);
    case.passes(200);
    assert_eq!(cancelled(&case.quotes()), [CancelWhy::Aged; 2]);
    case.passes(200);
    assert_eq!(placed(&case.quotes()).len(), 2);
}

#[test]
fn a_filled_side_is_back_within_a_refresh_interval() {
    let mut case = Case::usual();
    case.quotes();
    case.passes(400);
    case.orders.retain(|order| order.side == Side::Sell);
    let events = case.ticks_for(1_000, 200);
    assert_eq!(placed(&events).len(), 1, "placed once, 1 s after it was placed before");
    assert!(placed(&events).iter().all(|(side, ..)| *side == Side::Buy));
    // One that was placed long ago is back at the next tick.
    case.venue_does(&events);
    case.passes(2_000);
    case.orders.retain(|order| order.side == Side::Buy);
    case.passes(200);
    assert_eq!(placed(&case.tick()).len(), 1);
}

#[test]
fn a_decision_that_is_on_its_way_is_not_made_twice() {
    let mut case = Case::usual();
    let before = case.version;
    case.carried_through = Some(Position(before));
    assert_eq!(placed(&case.tick()).len(), 2);
    assert_eq!(placed(&case.ticks_for(20_000, 200)), [], "whatever time passes");
    case.carried_through = None;
    case.passes(200);
    assert_eq!(placed(&case.tick()).len(), 2, "it came there and was refused");
}

#[test]
fn what_is_between_blocks_and_is_left_alone() {
    for life in [Life::Intended, Life::Submitted, Life::Unknown, Life::CancelRequested] {
        let mut case = Case::usual();
        case.quotes();
        case.orders.iter_mut().for_each(|order| order.life = life);
        moves(&mut case, 5_000_000);
        assert_eq!(decisions(&case.ticks_for(30_000, 200)).count(), 0, "{life:?}");
    }
}

#[test]
fn a_failed_cancel_blocks_the_replacement_and_is_tried_again() {
    let mut case = Case::usual();
    case.quotes();
    moves(&mut case, 500_000);
    case.passes(1_000);
    assert_eq!(cancelled(&case.tick()), [CancelWhy::Moved; 2]);
    let events = case.ticks_for(3_000, 200);
    assert_eq!((placed(&events), cancelled(&events).len()), (vec![], 6), "again each second");
    case.orders.clear();
    case.passes(200);
    assert_eq!(placed(&case.tick()).len(), 2);
}

#[test]
fn what_stands_beside_another_order_or_at_no_level_is_cancelled() {
    let mut case = Case::usual();
    let events = case.quotes();
    let twice = decisions(&events).next().unwrap().place[0].clone();
    case.accepts(&twice);
    case.accepts(&Place { level: 5, ..twice.clone() });
    case.accepts(&Place { level: 200, ..twice });
    case.passes(200);
    let mut why = cancelled(&case.tick());
    why.sort();
    assert_eq!(why, [CancelWhy::NotWanted, CancelWhy::NotWanted, CancelWhy::Doubled]);
}

#[test]
fn over_the_limit_the_growing_side_goes_at_once_and_comes_back_inside() {
    let mut case = Case::usual();
    case.quotes();
    case.inventory = "1.5".parse().ok();
    case.passes(200);
    assert_eq!(cancelled(&case.quotes()), [CancelWhy::ReduceOnly]);
    assert!(case.orders.iter().all(|order| order.side == Side::Sell));
    let events = case.ticks_for(4_000, 200);
    assert!(placed(&events).iter().all(|(side, ..)| *side == Side::Sell), "{events:?}");
    case.venue_does(&events);
    case.orders.clear();
    case.passes(2_000);
    let events = case.quotes();
    let reduces: Vec<_> =
        decisions(&events).flat_map(|decided| &decided.place).map(|place| place.reduce_only).collect();
    assert_eq!(reduces, [true]);
    case.inventory = "0.999".parse().ok();
    case.passes(200);
    assert_eq!(placed(&case.quotes())[0].0, Side::Buy);
}

#[test]
fn together_they_sell_no_more_than_is_held() {
    let max_inventory = "0.5".parse().unwrap();
    let unskewed = Parameters { levels: 4, max_inventory, inventory_skew_gain: Bps::ZERO, ..Parameters::default() };
    let mut case = Case::normal(unskewed);
    assert_eq!(placed(&case.quotes()).len(), 8);
    case.inventory = "0.55".parse().ok();
    case.passes(200);
    let events = case.tick();
    // Four of 0.2 are asked for; two fit, and the rest go.
    assert_eq!(cancelled(&events).len(), 4 + 2);
    case.venue_does(&events);
    case.passes(2_000);
    let events = case.quotes();
    assert_eq!(placed(&events).iter().map(|(.., size)| size.as_str()).collect::<Vec<_>>(), ["0.15"]);
    let left: i64 = case.orders.iter().map(|order| order.left.0).sum();
    assert_eq!(Size(left), "0.55".parse().unwrap());
}

#[test]
fn what_stands_already_counts_before_more_is_sold() {
    let quote_size = crate::market::Cash::whole(60);
    let unskewed = Parameters { levels: 2, quote_size, inventory_skew_gain: Bps::ZERO, ..Parameters::default() };
    let mut case = Case::normal(unskewed);
    case.quotes();
    // The ask next to the middle is filled; the other one, of 0.6, is still there.
    case.orders.retain(|order| order.side == Side::Sell && order.level == 1);
    case.inventory = "1.1".parse().ok();
    case.passes(2_000);
    let events = case.tick();
    assert_eq!(placed(&events).into_iter().map(|(_, _, size)| size).collect::<Vec<_>>(), ["0.5"]);
    // As long as that one is on its way it counts too.
    case.carried_through = Some(Position(0));
    case.orders.clear();
    case.passes(2_000);
    assert_eq!(placed(&case.tick()), []);
}

#[test]
fn it_does_not_deal_with_itself() {
    let mut case = Case::usual();
    case.quotes();
    // The bid is filled, and the middle is far above the ask that still stands.
    case.orders.retain(|order| order.side == Side::Sell);
    moves(&mut case, 2_000_000);
    case.passes(1_000);
    let events = case.tick();
    assert_eq!((placed(&events), cancelled(&events)), (vec![], vec![CancelWhy::Moved]));
    case.venue_does(&events);
    case.passes(200);
    assert_eq!(placed(&case.tick()).len(), 2);
}

#[test]
fn a_rough_market_takes_bold_quotes_off_at_once() {
    let mut case = Case::usual();
    case.quotes();
    case.passes(200);
    case.features.vol_10s = Some(Bps::whole(60));
    assert_eq!(cancelled(&case.quotes()), [CancelWhy::TooBold; 2]);
    case.passes(800);
    let events = case.quotes();
    // 2 x (10 + 60 + 0.2) = 140.4 bps, half the size
    assert_eq!(
        placed(&events),
        [(Side::Buy, "98.59".into(), "0.1".into()), (Side::Sell, "101.41".into(), "0.1".into())]
    );
}

#[test]
fn an_intent_is_post_only_and_good_for_a_while() {
    let mut case = Case::usual();
    let events = case.tick();
    let (strategy, market) = (strategy(), market());
    let intents: Vec<_> = decisions(&events).flat_map(|decided| decided.intents(&strategy, &market)).collect();
    assert_eq!(intents.len(), 2);
    for intent in intents {
        assert!(intent.terms.post_only && !intent.terms.reduce_only);
        assert_eq!(intent.valid_until, Some(case.now + Span::seconds(5)));
        assert_eq!(intent.purpose, crate::order::Purpose::Quote { level: 0 });
    }
}
