//! What becomes of orders, and what a trade brought.

use super::*;

fn closing(case: &mut Case, pips: &str, size: i64) -> ClientOrderId {
    case.passes(1_000);
    case.quotes(pips);
    let steps = case.steps();
    let ExitAction::Asked { order, .. } = &steps[0].action else { panic!("{steps:?}") };
    let fee = News::Filled { price: at_pips(pips), size: Size::whole(size), fee: "0.0001".parse().unwrap() };
    case.news(order, News::Submitted);
    case.news(order, fee);
    order.clone()
}

#[test]
fn a_trade_ends_when_nothing_is_held_and_nothing_can_come() {
    let (mut case, id) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    let order = closing(&mut case, "3", 10);
    let over = News::Over { life: Life::Filled };
    let events = case.tries(Command::HearOrder { trade: TradeId(id.clone()), order, news: over }).unwrap();
    let Event::TradeClosed(closed) = &events[1] else { panic!("{events:?}") };
    // 3 pips of 10 are 0.003; 0.0001 is the fee.
    assert_eq!((closed.result.to_string().as_str(), closed.way), ("0.0029", Some(Way::Take)));
    assert_eq!((&closed.trade, closed.is_corrected, closed.opened_at), (&TradeId(id), false, START));
    assert_eq!((case.taker.trades.len(), case.taker.closed, case.taker.result), (0, 1, closed.result));
    assert!(case.taker.cooldown_until > case.now, "no entry at once");
}

#[test]
fn what_was_sold_brings_what_it_falls() {
    let (mut case, _) = Case::holding(Side::Sell, plan("stop 2 take 3"));
    let order = closing(&mut case, "-3.5", 10);
    case.news(&order, News::Over { life: Life::Filled });
    assert_eq!(case.taker.result.to_string(), "0.0034");
}

#[test]
fn an_entry_that_came_to_nothing_leaves_nothing_and_cools_nothing_down() {
    let mut case = Case::of(AnyFamily::Ping(Ping::default()));
    let propose = |case: &mut Case, index| {
        let mut proposed = sample::proposed();
        proposed.order = sample::order(index);
        case.hears(&Event::EntryProposed(Box::new(proposed)));
        sample::order(index)
    };
    let order = propose(&mut case, 0);
    assert_eq!(case.news(&order, News::Refused { code: "SPREAD_CAP".into() }), ["taker_order_heard"]);
    assert_eq!((case.taker.trades.len(), case.taker.cooldown_until), (0, Timestamp::ZERO));
    assert_eq!(case.taker.refused_until, case.now + Span::seconds(1), "and is not asked for five times a second");
    assert_eq!(case.taker.denied.back().unwrap().code.as_ref(), "SPREAD_CAP");
    let order = propose(&mut case, 1);
    case.news(&order, News::Submitted);
    assert_eq!(case.taker.cooldown_until, case.now + Span::seconds(60));
    case.news(&order, News::Over { life: Life::Rejected });
    assert_eq!((case.taker.trades.len(), case.taker.closed), (0, 0));
    assert_eq!(case.taker.denied.back().unwrap().code.as_ref(), "REJECTED");
}

#[test]
fn an_entry_that_is_filled_in_parts_is_looked_after_from_the_first_on() {
    let mut case = Case::of(AnyFamily::Ping(Ping::default()));
    let mut proposed = sample::proposed();
    proposed.plan = plan("stop 2 take 3");
    proposed.intent.loss_exit = Some(at_pips("-2"));
    let order = proposed.order.clone();
    case.hears(&Event::EntryProposed(Box::new(proposed)));
    case.news(&order, News::Submitted);
    case.quotes("0");
    assert_eq!(case.quiet(Leg::Exit), "FLAT");
    case.fills(&order, "0", 3);
    let exit = closing(&mut case, "-2", 3);
    case.fills(&order, "0", 4);
    assert_eq!(case.news(&exit, News::Over { life: Life::Filled }), ["taker_order_heard"], "more came meanwhile");
    let exit = closing(&mut case, "-2.5", 4);
    case.news(&exit, News::Over { life: Life::Filled });
    assert_eq!(case.taker.trades.len(), 1, "its entry may bring more");
    assert_eq!(case.news(&order, News::Over { life: Life::Cancelled }), ["taker_order_heard", "taker_trade_closed"]);
}

#[test]
fn what_the_venue_holds_is_what_is_held() {
    let (mut case, order) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    let trade = || TradeId(order.clone());
    let correct = |held| Command::CorrectTrade { trade: trade(), held: Size::whole(held) };
    assert_eq!(case.does(correct(10)), [""; 0]);
    assert_eq!(case.does(correct(4)), ["taker_trade_corrected"]);
    let exit = closing(&mut case, "-2", 4);
    let events = case
        .tries(Command::HearOrder { trade: trade(), order: exit, news: News::Over { life: Life::Filled } })
        .unwrap();
    assert!(matches!(&events[1], Event::TradeClosed(closed) if closed.is_corrected), "{events:?}");
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    assert_eq!(case.does(correct(0)), ["taker_trade_corrected", "taker_trade_closed"]);
    assert_eq!(case.refuses(correct(0)), "trade_unknown");
}

#[test]
fn news_of_what_it_does_not_know() {
    let mut case = Case::of(AnyFamily::Ping(Ping::default()));
    let (trade, order) = (sample::trade_id(), sample::order(3));
    let fill = News::Filled { price: at_pips("0"), size: Size::ONE, fee: Cash::ZERO };
    let hear = |news| Command::HearOrder { trade: trade.clone(), order: order.clone(), news };
    assert_eq!(case.refuses(hear(fill)), "trade_unknown", "the order's stream knows what to do with an orphan");
    assert_eq!(case.does(hear(News::Over { life: Life::Filled })), [""; 0]);
    assert_eq!(case.does(hear(News::Submitted)), [""; 0]);
}

#[test]
fn the_denied_are_the_last_sixteen() {
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    for _ in 0..20 {
        case.now = case.now.max(case.taker.trades[0].retry_at) + Span::seconds(1);
        case.quotes("-2");
        let steps = case.steps();
        let ExitAction::Asked { order, .. } = &steps[0].action else { panic!("{steps:?}") };
        case.news(order, News::Refused { code: "x".repeat(500).into() });
    }
    assert_eq!((case.taker.denied.len(), case.taker.denied[0].code.len()), (16, 200));
    assert_eq!(case.taker.orders, 21);
}
