//! Giving up what is held: never vetoed, one at a time, and never more than there is.

use super::*;

#[test]
fn a_protective_exit_goes_out_whatever_is_wrong() {
    type Wrong = fn(&mut Case);
    let wrongs: [(&str, Wrong, [bool; 2]); 8] = [
        ("nothing", |_| (), [true, true]),
        (
            "exit off",
            |case| case.writes(guard::Scope::Strategy(strategy(TAKER)), None, Some(false), None),
            [false, true],
        ),
        ("locked", |case| case.writes(guard::Scope::Desk, None, None, Some(true)), [false, true]),
        ("control silent", |case| case.guard.heard_at = None, [true, true]),
        (
            "feed frozen",
            |case| {
                case.now = case.now + Span::seconds(10);
                case.guards(guard::Command::Beat);
            },
            [false, true],
        ),
        ("no feed at all", |case| case.quotes.clear(), [false, true]),
        (
            "positions not confirmed for long",
            |case| {
                case.passes(60_000);
                assert_eq!(case.venue.knowing(None, case.now), guard::Knowing::Stale);
            },
            [true, true],
        ),
        (
            "risk halt",
            |case| {
                for equity in ["10000", "9000"] {
                    case.does(Command::TakeAccount { equity: cash(equity), margin_free: None });
                }
            },
            [true, true],
        ),
    ];
    for (what, wrong, expected) in wrongs {
        for (way, passes) in [Way::Take, Way::MaxAdverse].into_iter().zip(expected) {
            let mut case = Case::new();
            let trade = case.enters("0.5");
            wrong(&mut case);
            let events = case.submits(exit(&trade, way, "0.5"));
            let sent = matches!(events.last(), Some(Event::OrderSubmitted(_)));
            assert_eq!(sent, passes, "{what}, {way:?}: {events:?}");
            if what != "nothing" {
                assert!(
                    what == "exit off" || !matches!(case.submits(entry("0.1")).last(), Some(Event::OrderSubmitted(_))),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn an_exit_that_a_flag_blocks_is_one_event_and_then_one_more() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    let asked = case.asked.len();
    case.writes(guard::Scope::Desk, None, Some(false), None);
    let mut events = Vec::new();
    for _ in 0..200 {
        events.extend(case.submits(exit(&trade, Way::Take, "0.5")));
        case.passes(200);
    }
    let [Event::ExitBlocked(blocked), Event::ExitEscalated(_)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(blocked.finding.observed, Measure::Code("desk_exit_off".into()));
    assert_eq!(case.asked.len(), asked);
    // Another reason is another event.
    case.does(Command::SetSession { market: market(BTC), open: false });
    case.writes(guard::Scope::Desk, None, Some(true), None);
    assert!(matches!(case.submits(exit(&trade, Way::Take, "0.5")).as_slice(), [Event::ExitBlocked(_)]));
    case.does(Command::SetSession { market: market(BTC), open: true });
    // It was blocked for long: it takes any price now.
    let limited = exit(&trade, Way::Take, "0.5");
    let limited = Intent { terms: Terms { price: Some(price("120")), ..limited.terms.clone() }, ..limited };
    let order = case.sends(limited);
    assert_eq!(case.venue.live[&order].terms.price, None);
}

#[test]
fn one_exit_at_a_time_and_what_must_be_takes_the_place_of_what_may_be() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    let take = case.sends(exit(&trade, Way::Take, "0.5"));
    case.accepts(&take);
    assert!(case.submits(exit(&trade, Way::Take, "0.5")).is_empty());
    assert!(case.submits(exit(&trade, Way::Partial, "0.1")).is_empty());
    let events = case.submits(exit(&trade, Way::Stop, "0.5"));
    let [Event::CancelRequested(CancelRequested { order, why: Why::Superseded })] = events.as_slice() else { panic!() };
    assert_eq!(*order, take);
    assert!(case.submits(exit(&trade, Way::Stop, "0.5")).is_empty(), "while the other may still be filled");
    // A part of it was, on the way out.
    case.fills(&take, "part", Side::Sell, "0.2", "101");
    case.reports(Report::Cancelled { order: take });
    let stop = case.sends(exit(&trade, Way::Stop, "0.5"));
    assert_eq!(case.venue.live[&stop].terms.size, units("0.3"), "never more than is left");
    assert!(case.submits(exit(&trade, Way::Stop, "0.5")).is_empty());
    assert!(case.submits(exit(&trade, Way::TimeStop, "0.5")).is_empty());
}

#[test]
fn an_exit_that_the_venue_rejects_is_tried_again_later_and_then_at_any_price() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    let limited = exit(&trade, Way::Stop, "0.5");
    let limited = Intent { terms: Terms { price: Some(price("100")), ..limited.terms.clone() }, ..limited };
    let mut waited = Vec::new();
    for tries in 1..=3 {
        let order = case.sends(limited.clone());
        assert_eq!(case.venue.live[&order].terms.price, Some(price("100")));
        let rejected = Report::Rejected { order, category: Category::Price, detail: "too far".into() };
        let expected: &[&str] = if tries == 3 { &["order_rejected", "exit_escalated"] } else { &["order_rejected"] };
        assert_eq!(case.reports(rejected), expected);
        let mut seconds = 0;
        while case.venue.book.trades[&trade].exiting.after > case.now {
            assert!(case.submits(limited.clone()).is_empty(), "it waits");
            case.passes(1_000);
            seconds += 1;
        }
        waited.push(seconds);
    }
    assert_eq!(waited, [1, 2, 4]);
    let order = case.sends(limited);
    assert_eq!(case.venue.live[&order].terms.price, None);
}

#[test]
fn an_exit_ends_the_entry_that_still_works() {
    let mut case = Case::new();
    let plain = entry("0.5");
    let limited = Intent { terms: Terms { price: Some(price("100")), ..plain.terms.clone() }, ..plain };
    let order = case.sends(limited);
    case.accepts(&order);
    case.fills(&order, "part", Side::Buy, "0.2", "100");
    let trade = TradeId(order.clone());
    let events = case.submits(exit(&trade, Way::Stop, "0.5"));
    let [Event::CancelRequested(cancel), Event::OrderSubmitted(submitted)] = events.as_slice() else { panic!() };
    assert_eq!((&cancel.order, cancel.why, submitted.terms.size), (&order, Why::TradeEnding, units("0.2")));
}

#[test]
fn a_part_and_then_the_rest() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    let part = case.sends(exit(&trade, Way::Partial, "0.2"));
    case.fills(&part, "part", Side::Sell, "0.2", "102");
    assert_eq!(case.venue.book.trades[&trade].size, units("0.3"));
    let rest = case.sends(exit(&trade, Way::Take, "0.5"));
    case.fills(&rest, "rest", Side::Sell, "0.3", "103");
    assert!(case.venue.book.trades.is_empty());
    assert_eq!(case.held(TAKER), Size::ZERO);
}

#[test]
fn an_orphan_is_given_up_at_its_loss_exit_and_after_a_time_in_any_case() {
    for (falls, waits) in [(true, 1_000), (false, 900_000)] {
        let mut case = Case::new();
        let trade = case.enters("0.5");
        assert_eq!(case.does(Command::Watch), Vec::<&str>::new(), "its strategy looks after it");
        let orphan = Command::Orphan { strategy: strategy(TAKER), why: Orphaned::LegSilent };
        assert_eq!(case.does(orphan), ["strategy_orphaned"]);
        assert_eq!(case.finds(entry("0.1")).check, Check::Guard, "an orphan enters nothing");
        case.passes(waits - 1);
        assert_eq!(case.does(Command::Watch), Vec::<&str>::new());
        case.passes(1);
        if falls {
            case.quotes("51", "52");
        }
        let events = case.tries(Command::Watch).unwrap();
        let [Event::OrderSubmitted(submitted)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(submitted.intent.purpose, Purpose::Exit(Way::Orphan));
        assert_eq!((submitted.intent.trade.as_ref(), submitted.terms.size), (Some(&trade), units("0.5")));
        assert!(case.tries(Command::Watch).unwrap().is_empty(), "once");
        case.fills(&submitted.order, "out", Side::Sell, "0.5", "51");
        assert!(case.venue.book.trades.is_empty());
    }
}

#[test]
fn a_trade_that_lost_as_much_as_any_may_is_given_up_whatever_its_strategy_does() {
    let limits = Limits { loss_per_trade_max: cash("10"), ..settings().limits };
    let mut case = Case::with(Settings { limits, ..settings() });
    // 0.2 at 101 and 0.27 of fees: what it would bring in at 52.35 is 10 less than what it cost.
    let trade = case.enters("0.2");
    for (bid, ask, expected) in [("53", "54", 0), ("52.5", "53", 0), ("52", "53", 1)] {
        case.quotes(bid, ask);
        let events = case.tries(Command::Watch).unwrap();
        assert_eq!(events.len(), expected, "{bid}: {events:?}");
        if let [Event::OrderSubmitted(submitted)] = events.as_slice() {
            assert_eq!(submitted.intent.purpose, Purpose::Exit(Way::RiskFlatten));
            assert_eq!(submitted.intent.trade.as_ref(), Some(&trade));
        }
    }
}

#[test]
fn close_only_cancels_what_could_grow_and_nothing_else() {
    let mut case = Case::new();
    let buy = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    case.fills(&buy, "t", Side::Buy, "0.2", "99.5");
    let reduce = Intent { purpose: Purpose::Reduce { level: 0 }, ..quoted(Side::Sell, "0.2", "102") };
    case.sends(reduce);
    case.stops(guard::Degree::BlockEntries);
    assert_eq!(case.does(Command::AcknowledgeControl), ["venue_control_acknowledged"]);
    assert!(case.does(Command::AcknowledgeControl).is_empty());
    case.stops(guard::Degree::CloseOnly);
    let events = case.tries(Command::AcknowledgeControl).unwrap();
    let [_, Event::CancelRequested(cancel)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&cancel.order, cancel.why), (&buy, Why::Control));
}

#[test]
fn what_a_stranger_holds_is_an_orphan_until_the_guard_knows_it_again() {
    let mut case = Case::new();
    case.enters("0.5");
    case.guards(guard::Command::Withdraw { strategy: strategy(TAKER) });
    assert_eq!(case.does(Command::Watch), ["strategy_orphaned"]);
    assert_eq!(case.does(Command::Watch), Vec::<&str>::new());
    let (strategy, flags) = (strategy(TAKER), guard::Flags::ON);
    case.guards(guard::Command::Enroll { strategy, flags, by: Principal::Operator });
    assert_eq!(case.does(Command::Watch), ["strategy_adopted"]);
    case.sends(quoted(Side::Buy, "0.1", "99.5"));
}

#[test]
fn who_is_unbound_leaves_an_orphan_and_finds_it_again() {
    let mut case = Case::new();
    let quote = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    case.accepts(&quote);
    case.fills(&quote, "t", Side::Buy, "0.2", "99.5");
    let unbound = ["venue_strategy_unbound", "strategy_orphaned", "order_cancel_requested"];
    assert_eq!(case.does(Command::Unbind { strategy: strategy(MAKER) }), unbound);
    case.reports(Report::Cancelled { order: quote });
    let (strategy, bounds) = (strategy(MAKER), Box::new(Bounds::maker(units("2"))));
    assert_eq!(case.does(Command::Bind { strategy, bounds }), ["venue_strategy_bound", "strategy_adopted"]);
    assert_eq!(case.held(MAKER), units("0.2"));
    case.sends(quoted(Side::Buy, "0.5", "99.5"));
}

#[test]
fn flatten_cancels_all_and_gives_up_all() {
    for by_desk in [false, true] {
        let mut case = Case::new();
        let trade = case.enters("0.5");
        let quote = case.sends(quoted(Side::Sell, "0.7", "102"));
        case.accepts(&quote);
        case.fills(&quote, "t", Side::Sell, "0.3", "102");
        if by_desk {
            case.stopped = Some(StopDegree::Flatten);
        } else {
            case.stops(guard::Degree::Flatten);
        }
        case.writes(guard::Scope::Desk, Some(false), Some(false), Some(true));
        let acknowledged = ["venue_control_acknowledged", "order_cancel_requested"];
        assert_eq!(case.does(Command::AcknowledgeControl), acknowledged);
        assert_eq!(case.venue.control, case.guard.revision);
        let events = case.tries(Command::Watch).unwrap();
        let sent: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::OrderSubmitted(submitted) => (
                    submitted.intent.trade.clone(),
                    submitted.terms.side,
                    submitted.terms.size,
                    submitted.terms.reduce_only,
                ),
                other => panic!("{other:?}"),
            })
            .collect();
        // The venue holds 0.2: an exit of 0.5 would turn it round, which one that may only reduce could not.
        let expected = [(Some(trade), Side::Sell, units("0.5"), false), (None, Side::Buy, units("0.3"), false)];
        assert_eq!(sent, expected);
        assert!(case.tries(Command::Watch).unwrap().is_empty());
        for event in events {
            let Event::OrderSubmitted(submitted) = event else { unreachable!() };
            let Terms { side, size, .. } = submitted.terms;
            case.fills(&submitted.order, &submitted.order.to_string(), side, &size.to_string(), "100");
        }
        assert_eq!((case.venue.book.net(&market(BTC)), case.venue.book.trades.len()), (Size::ZERO, 0));
        assert!(case.tries(Command::Watch).unwrap().is_empty());
    }
}

#[test]
fn a_quote_that_reduces_goes_when_there_is_nothing_left_to_reduce() {
    let mut case = Case::new();
    let quote = case.sends(quoted(Side::Buy, "0.5", "99.5"));
    case.fills(&quote, "t", Side::Buy, "0.5", "99.5");
    let reduce = Intent { purpose: Purpose::Reduce { level: 0 }, ..quoted(Side::Sell, "0.9", "102") };
    let order = case.sends(reduce.clone());
    let terms = case.venue.live[&order].terms.clone();
    assert_eq!((terms.size, terms.reduce_only), (units("0.5"), true));
    let other = Intent { purpose: Purpose::Reduce { level: 1 }, ..reduce };
    assert_eq!(case.finds(other).check, Check::Held, "the first one gives up all of it");
    let grow = Intent { purpose: Purpose::Reduce { level: 1 }, ..quoted(Side::Buy, "0.1", "99.5") };
    assert_eq!(case.finds(grow).check, Check::Held, "it would make it larger");
    assert!(case.tries(Command::Watch).unwrap().is_empty());
    // A person sold half of it at the venue.
    let execution = execution("by hand", Side::Sell, "0.2", "100");
    case.reports(Report::Filled { order: None, market: market(BTC), execution });
    assert_eq!(case.held(MAKER), units("0.3"));
    let events = case.tries(Command::Watch).unwrap();
    assert!(matches!(events.as_slice(), [Event::CancelRequested(CancelRequested { why: Why::NothingHeld, .. })]));
}
