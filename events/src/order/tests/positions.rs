//! What is held, and how well that is known.

use super::*;

fn view(case: &Case, name: &str) -> PositionView {
    case.venue.position(&strategy(name), &market(BTC), case.now)
}

#[test]
fn what_nobody_knows_is_never_flat() {
    let mut case = Case::empty();
    case.does(Command::Open(Box::new(settings())));
    assert_eq!(view(&case, TAKER), PositionView::Unavailable);
    let mut case = Case::new();
    assert_eq!(view(&case, TAKER), PositionView::Fresh(Size::ZERO));
    case.passes(30_001);
    assert_eq!(view(&case, TAKER), PositionView::Stale(Size::ZERO));
    assert_eq!(view(&case, TAKER).known(), None);
    case.does(Command::Link { up: false, why: "lost".into() });
    assert_eq!(view(&case, TAKER), PositionView::Unavailable);
}

#[test]
fn an_empty_answer_takes_nothing_away() {
    let mut case = Case::new();
    case.enters("0.5");
    for times in 0..5 {
        case.passes(1_000);
        let expected: &[&str] = if times == 0 { &["position_differs"] } else { &[] };
        assert_eq!(case.lists(vec![], &[]), expected);
        assert_eq!(view(&case, TAKER), PositionView::Stale(units("0.5")));
    }
    assert_eq!(case.finds(entry("0.1")).observed, Measure::Code("positions_unknown".into()));
    case.passes(1_000);
    assert_eq!(case.lists(vec![], &[(BTC, "0.5")]), ["positions_confirmed"]);
    assert_eq!(view(&case, TAKER), PositionView::Fresh(units("0.5")));
}

#[test]
fn the_venue_is_believed_when_it_says_the_same_twice() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    case.passes(1_000);
    assert_eq!(case.lists(vec![], &[(BTC, "0.2")]), ["position_differs"]);
    assert_eq!(case.lists(vec![], &[(BTC, "0.2")]), Vec::<&str>::new(), "asked at the same time is the same answer");
    case.passes(1_000);
    assert_eq!(case.lists(vec![], &[(BTC, "0.1")]), ["position_differs"], "it is moving");
    case.passes(1_000);
    assert_eq!(case.lists(vec![], &[(BTC, "0.1")]), ["position_adjusted", "positions_confirmed"]);
    assert_eq!(case.venue.book.trades[&trade].size, units("0.1"), "only one held anything there");
    // A zero that is said is a zero.
    case.passes(1_000);
    case.lists(vec![], &[(BTC, "0")]);
    case.passes(1_000);
    assert_eq!(case.lists(vec![], &[(BTC, "0")]), ["position_adjusted", "positions_confirmed"]);
    assert_eq!(view(&case, TAKER), PositionView::Fresh(Size::ZERO));
}

#[test]
fn a_fill_that_is_on_its_way_is_no_difference_yet() {
    let mut case = Case::new();
    let order = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    case.accepts(&order);
    case.passes(1_000);
    // The venue has it already, and we have not heard of it.
    let listed = |case: &mut Case, size: &str| {
        let positions = Some(vec![ListedPosition { market: market(BTC), size: units(size) }]);
        let listing = Listing { asked_at: case.now, orders: None, positions, fills: vec![] };
        case.does(Command::Reconcile(Box::new(listing)))
    };
    assert!(listed(&mut case, "0.3").is_empty());
    assert_eq!(view(&case, MAKER), PositionView::Fresh(Size::ZERO));
    assert_eq!(listed(&mut case, "0.6"), ["position_differs"], "more than it explains");
    // We have heard of it, and the venue was asked before.
    case.passes(1_000);
    let asked_at = case.now;
    case.fills(&order, "t", Side::Buy, "0.3", "99.5");
    let positions = Some(vec![ListedPosition { market: market(BTC), size: Size::ZERO }]);
    let before = Listing { asked_at, orders: None, positions, fills: vec![] };
    assert!(case.does(Command::Reconcile(Box::new(before))).is_empty());
    case.passes(1);
    assert_eq!(listed(&mut case, "0.3"), ["positions_confirmed"]);
    // What lasts is stale in time.
    case.passes(29_000);
    assert!(listed(&mut case, "0.4").is_empty());
    case.passes(1_001);
    assert_eq!(view(&case, MAKER), PositionView::Stale(units("0.3")));
}

#[test]
fn what_nobody_ordered_is_nobodys_and_is_seen() {
    let mut case = Case::new();
    let execution = execution("by hand", Side::Buy, "0.4", "100");
    case.reports(Report::Filled { order: None, market: market(BTC), execution });
    let held = &case.venue.book.markets[&market(BTC)];
    assert_eq!(
        (held.net, held.unowned, view(&case, TAKER)),
        (units("0.4"), units("0.4"), PositionView::Fresh(Size::ZERO))
    );
    case.stops(guard::Degree::Flatten);
    assert!(case.tries(Command::Watch).unwrap().is_empty(), "a person's own is left alone");
    let by = Principal::Operator;
    let adjust = |owner, size| Command::Adjust {
        market: market(BTC),
        owner,
        size: units(size),
        reason: reason("it is the maker's"),
        by: by.clone(),
    };
    assert_eq!(case.does(adjust(Owner::Nobody, "0")), ["position_adjusted"]);
    assert_eq!(case.does(adjust(Owner::Inventory(strategy(MAKER)), "0.4")), ["position_adjusted"]);
    assert_eq!(case.held(MAKER), units("0.4"));
    let stranger = Owner::Trade(TradeId(order(TAKER, 99)));
    assert_eq!(case.refuses(adjust(stranger, "1")), "nothing_to_adjust");
}

#[test]
fn what_somebody_else_closed_is_not_closed_again() {
    let mut case = Case::new();
    let one = case.enters("0.5");
    case.venue.bounds.get_mut(&strategy(TAKER)).unwrap().open_max = 2;
    let other = case.enters("0.3");
    // Nobody knows of which, but it is gone.
    let execution = execution("by hand", Side::Sell, "0.4", "100");
    case.reports(Report::Filled { order: None, market: market(BTC), execution });
    assert_eq!(case.venue.book.markets[&market(BTC)].unowned, units("-0.4"));
    let order = case.sends(exit(&one, Way::Stop, "0.5"));
    assert_eq!(case.venue.live[&order].terms.size, units("0.1"));
    let blocked = case.submits(exit(&other, Way::Stop, "0.3"));
    assert!(matches!(blocked.as_slice(), [Event::ExitBlocked(blocked)] if blocked.finding.check == Check::Held));
}

#[test]
fn more_than_was_ordered_is_held_all_the_same() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    let order = case.sends(exit(&trade, Way::Stop, "0.5"));
    case.fills(&order, "out", Side::Sell, "0.7", "100");
    let held = &case.venue.book.markets[&market(BTC)];
    assert_eq!((held.net, held.unowned), (units("-0.2"), units("-0.2")));
    assert!(case.venue.book.trades.is_empty());
}

#[test]
fn a_fill_that_is_older_than_all_that_is_known_is_doubted() {
    let mut case = Case::new();
    let before = case.now;
    case.passes(1_000);
    for number in 0..=book::FILLS_MAX {
        let execution = Execution { at: case.now, ..execution(&format!("x{number}"), Side::Buy, "0.001", "100") };
        let owner = Owner::Nobody;
        let filled = OrderFilled { order: None, owner, market: market(BTC), execution, left: Size::ZERO };
        let stamp = case.stamp();
        case.venue.evolve(&Event::OrderFilled(Box::new(filled)), &stamp);
    }
    let held = case.venue.book.net(&market(BTC));
    let old = Execution { at: before, ..execution("x0", Side::Buy, "0.001", "100") };
    let report = Report::Filled { order: None, market: market(BTC), execution: old };
    assert_eq!(case.reports(report.clone()), ["order_fill_doubted"]);
    assert!(case.reports(report).is_empty(), "once");
    assert_eq!(case.venue.book.net(&market(BTC)), held);
    let execution = Execution { size: Size::ZERO, ..execution("none", Side::Buy, "1", "100") };
    let nothing = Report::Filled { order: None, market: market(BTC), execution };
    assert_eq!(case.refuses(Command::Report(Box::new(nothing))), "fill_invalid");
}
