//! What becomes of orders, whatever is heard of them in whatever order.

use super::*;

#[test]
fn an_order_whose_reply_timed_out_is_adopted_and_never_doubled() {
    let mut case = Case::new();
    let order = case.sends(entry("0.5"));
    assert_eq!(case.reports(Report::TimedOut { order: order.clone() }), ["order_unknown"]);
    assert!(matches!(case.venue.outcome(&order), Some(Outcome::Unknown(_))));
    assert_eq!(case.asked.last(), Some(&Ask::Query { order: order.clone() }));
    assert_eq!(case.finds(entry("0.5")).check, Check::DuplicateIntent);
    let submitted = |case: &Case| case.asked.iter().filter(|ask| matches!(ask, Ask::Submit { .. })).count();
    assert_eq!(submitted(&case), 1);
    // Too early an answer says nothing.
    let not_there = |case: &Case| Report::NotThere { order: order.clone(), asked_at: case.now };
    case.passes(9_999);
    assert!(case.reports(not_there(&case)).is_empty());
    let listed = ListedOrder {
        order: Some(order.clone()),
        venue_order: "v1".into(),
        market: market(BTC),
        side: Side::Buy,
        price: None,
        size: units("0.5"),
        filled: units("0.2"),
    };
    assert_eq!(case.lists(vec![listed], &[]), ["order_resolved", "order_fill_told", "positions_confirmed"]);
    assert_eq!((case.life(&order), submitted(&case)), (Life::Accepted, 1));
    assert_eq!(case.fills(&order, "t", Side::Buy, "0.5", "101"), ["order_filled"]);
    assert_eq!(case.life(&order), Life::Filled);
}

#[test]
fn an_order_that_never_came_is_over_and_is_taken_in_again_if_it_came_after_all() {
    let mut case = Case::new();
    let order = case.sends(entry("0.5"));
    case.reports(Report::TimedOut { order: order.clone() });
    case.passes(10_000);
    let asked_at = case.now;
    assert_eq!(case.reports(Report::NotThere { order: order.clone(), asked_at }), ["order_resolved"]);
    assert_eq!(case.life(&order), Life::Rejected);
    assert_eq!(case.reports(Report::Accepted { order: order.clone(), venue_order: None }), ["order_resolved"]);
    assert_eq!(case.life(&order), Life::Accepted);
    assert_eq!(case.finds(entry("0.5")).check, Check::DuplicateIntent);
}

#[test]
fn a_fill_that_comes_as_a_trade_and_as_an_update_is_one_fill_at_the_trades_price() {
    for update_first in [false, true] {
        let mut case = Case::new();
        let order = case.sends(entry("0.5"));
        case.accepts(&order);
        let update = Report::Told { order: order.clone(), filled: units("0.5") };
        if update_first {
            assert_eq!(case.reports(update.clone()), ["order_fill_told"]);
            assert_eq!(case.held(TAKER), Size::ZERO, "an update has no price");
        }
        assert_eq!(case.fills(&order, "t1", Side::Buy, "0.5", "100.5"), ["order_filled"]);
        assert!(case.fills(&order, "t1", Side::Buy, "0.5", "100.5").is_empty());
        assert!(case.reports(update).is_empty());
        assert_eq!((case.held(TAKER), case.life(&order)), (units("0.5"), Life::Filled));
        assert_eq!(case.venue.book.trades[&TradeId(order)].price(), Some(price("100.5")));
    }
}

#[test]
fn a_fill_before_the_acceptance_and_one_after_the_end_are_fills() {
    let mut case = Case::new();
    let order = case.sends(entry("0.5"));
    case.fills(&order, "t1", Side::Buy, "0.2", "101");
    assert_eq!(case.life(&order), Life::PartiallyFilled);
    assert!(case.reports(Report::Accepted { order: order.clone(), venue_order: None }).is_empty());
    case.does(Command::Cancel { order: order.clone(), by: None });
    assert_eq!(case.reports(Report::Cancelled { order: order.clone() }), ["order_ended"]);
    case.fills(&order, "t2", Side::Buy, "0.1", "101");
    assert_eq!((case.life(&order), case.held(TAKER)), (Life::Cancelled, units("0.3")));
    assert!(case.reports(Report::Cancelled { order }).is_empty());
}

#[test]
fn a_failed_cancel_is_asked_for_again_and_not_at_once() {
    let mut case = Case::new();
    let order = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    case.accepts(&order);
    let cancel = Command::Cancel { order: order.clone(), by: Some(strategy(MAKER)) };
    assert_eq!(case.does(cancel.clone()), ["order_cancel_requested"]);
    assert!(case.does(cancel.clone()).is_empty());
    let rejected = Report::CancelRejected { order: order.clone(), category: Category::Network, detail: "".into() };
    assert_eq!(case.reports(rejected.clone()), ["order_cancel_rejected"]);
    assert!(case.reports(rejected).is_empty());
    assert_eq!(case.life(&order), Life::Accepted);
    assert!(case.does(cancel.clone()).is_empty());
    case.passes(1_000);
    assert_eq!(case.does(cancel), ["order_cancel_requested"]);
    let stranger = Report::Cancelled { order: self::order(MAKER, 999) };
    assert_eq!(case.refuses(Command::Report(Box::new(stranger))), "order_unknown");
}

#[test]
fn after_a_start_orders_are_what_the_venue_says() {
    let mut case = Case::new();
    let there = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    let never = case.sends(quoted(Side::Sell, "0.5", "102"));
    let gone = case.sends(Intent { purpose: Purpose::Quote { level: 1 }, ..quoted(Side::Buy, "0.5", "99") });
    case.accepts(&gone);
    case.does(Command::Link { up: false, why: "stopped".into() });
    assert_eq!(case.finds(entry("0.1")).check, Check::Guard, "nobody knows what is held");
    case.passes(20_000);
    case.does(Command::Link { up: true, why: "logged in".into() });
    assert_eq!(case.finds(entry("0.1")).check, Check::Guard);
    let listed = |order, name: &str, side| ListedOrder {
        order,
        venue_order: name.into(),
        market: market(BTC),
        side,
        price: Some(price("99.5")),
        size: units("0.5"),
        filled: Size::ZERO,
    };
    let missed =
        Listed { order: Some(gone.clone()), market: market(BTC), what: execution("m", Side::Buy, "0.5", "99") };
    let listing = Listing {
        asked_at: case.now,
        orders: Some(vec![listed(Some(there.clone()), "v1", Side::Buy), listed(None, "x9", Side::Sell)]),
        positions: Some(vec![ListedPosition { market: market(BTC), size: units("0.5") }]),
        fills: vec![missed],
    };
    let expected = [
        "order_filled",
        "order_resolved",
        "order_resolved",
        "venue_foreign_orders_seen",
        "positions_confirmed",
        "venue_reconciled",
    ];
    assert_eq!(case.does(Command::Reconcile(Box::new(listing.clone()))), expected);
    assert_eq!(case.life(&there), Life::Accepted);
    assert_eq!(case.life(&never), Life::Rejected);
    assert_eq!(case.life(&gone), Life::Filled);
    assert_eq!(case.does(Command::Reconcile(Box::new(listing))), ["positions_confirmed"], "twice is the same");
    assert_eq!(case.venue.foreign.len(), 1);
    case.sends(entry("0.1"));
}

#[test]
fn a_listing_from_before_says_nothing_of_what_came_since() {
    let mut case = Case::new();
    let asked_at = case.now;
    case.passes(50);
    let order = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    case.accepts(&order);
    let listing = Listing { asked_at, orders: Some(vec![]), positions: None, fills: vec![] };
    assert!(case.does(Command::Reconcile(Box::new(listing.clone()))).is_empty());
    assert_eq!(case.life(&order), Life::Accepted);
    case.passes(50);
    let later = Listing { asked_at: case.now, ..listing };
    assert_eq!(case.does(Command::Reconcile(Box::new(later))), ["order_ended"]);
    assert_eq!(case.life(&order), Life::Cancelled);
}
