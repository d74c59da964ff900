//! What passes, what is made smaller and what is refused, in which order.

use super::*;
use crate::market::{Bps, Instrument, Ratio};

/// What is wrong with it: all that is listed from here on.
type Wrong = fn(&mut Case, &mut Intent);

/// In the order of the checks. Each is tried with all that come after it, so that the first wins.
const WRONGS: [(Check, Wrong); 18] = [
    (Check::Ids, |_, intent| intent.market = market("paper:DOGE-USD")),
    (Check::Terms, |_, intent| intent.terms.size = Size(-1)),
    // One of the same strategy and market is on its way.
    (Check::DuplicateIntent, |case, _| drop(case.sends(entry("0.01")))),
    (Check::Guard, |case, _| case.writes(guard::Scope::Desk, Some(false), None, None)),
    (Check::RiskHalt, |case, _| {
        for equity in ["10000", "9000"] {
            case.does(Command::TakeAccount { equity: cash(equity), margin_free: None });
        }
    }),
    (Check::Session, |case, _| drop(case.does(Command::SetSession { market: market(BTC), open: false }))),
    (Check::MarketData, |case, _| {
        let seen = case.quotes.get_mut(&market(BTC)).unwrap();
        seen.source_at = case.now - Span::millis(3_001);
    }),
    (Check::ValidUntil, |case, intent| intent.valid_until = Some(case.now)),
    (Check::SpreadCap, |case, _| bounds(case, |bounds| bounds.spread_max = Some(Bps::whole(99)))),
    (Check::Cooldown, |case, _| {
        bounds(case, |bounds| bounds.cooldown_ms = 5_000);
        case.venue.entered.insert(strategy(TAKER), case.now - Span::millis(4_999));
    }),
    (Check::Reentry, |case, _| {
        bounds(case, |bounds| bounds.reentry_ms = 5_000);
        let held = case.venue.book.markets.entry(market(BTC)).or_default();
        held.ended.insert(strategy(TAKER), case.now - Span::millis(4_999));
    }),
    (Check::OpenLimit, |case, _| {
        let trade = Trade {
            market: market("paper:ETH-USD"),
            side: Side::Buy,
            size: units("1"),
            entered: units("1"),
            cost: Cash::whole(1),
            cash: Cash::whole(-1),
            opened_at: START,
            loss_exit: None,
            exiting: Exiting::default(),
        };
        case.venue.book.trades.insert(TradeId(order(TAKER, 900)), trade);
    }),
    (Check::Exposure, |case, _| limits(case, |limits| limits.exposure_max = Some(Cash(1)))),
    (Check::Probability, |case, intent| {
        bounds(case, |bounds| bounds.probability_min = Ratio(600_000_000));
        intent.probability = Some("0.59".parse().unwrap());
    }),
    (Check::Margin, |case, _| limits(case, |limits| limits.leverage = Some(3))),
    (Check::MinUnits, |_, intent| intent.terms.size = intent.terms.size.min(units("0.0019"))),
    (Check::LossExit, |_, intent| intent.loss_exit = None),
    (Check::Rate, |case, _| case.venue.tokens.until = Some(case.now + Span::millis(1))),
];

fn bounds(case: &mut Case, change: impl FnOnce(&mut Bounds)) {
    change(case.venue.bounds.get_mut(&strategy(TAKER)).unwrap());
}
fn limits(case: &mut Case, change: impl FnOnce(&mut Limits)) {
    change(&mut case.venue.settings.as_mut().unwrap().limits);
}

#[test]
fn the_first_check_that_finds_something_wins() {
    for first in 0..WRONGS.len() {
        let (mut case, mut intent) = (Case::new(), entry("0.5"));
        // From the last to the first: an order that is on its way must have passed.
        for (_, wrong) in WRONGS[first..].iter().filter(|(check, _)| *check == Check::DuplicateIntent) {
            wrong(&mut case, &mut intent);
        }
        for (_, wrong) in WRONGS[first..].iter().filter(|(check, _)| *check != Check::DuplicateIntent) {
            wrong(&mut case, &mut intent);
        }
        let asked = case.asked.len();
        assert_eq!(case.finds(intent).check, WRONGS[first].0);
        assert_eq!(case.asked.len(), asked, "a refused order asks the venue nothing");
    }
}

#[test]
fn an_order_that_passes_is_submitted_once() {
    let mut case = Case::new();
    let order = case.sends(entry("0.5"));
    let Some(Ask::Submit { order: asked, terms, .. }) = case.asked.pop() else { panic!() };
    assert_eq!((&asked, terms.size, terms.reduce_only), (&order, units("0.5"), false));
    let again = Command::Submit { order: order.clone(), intent: Box::new(entry("0.5")) };
    assert!(case.does(again).is_empty());
    assert!(matches!(case.venue.outcome(&order), Some(Outcome::Accepted(_))));
}

#[test]
fn what_is_refused_stays_refused_under_its_name() {
    let mut case = Case::new();
    case.writes(guard::Scope::Desk, Some(false), None, None);
    let finding = case.finds(entry("0.5"));
    let (id, code) = (order(TAKER, case.number), Measure::Code("desk_entry_off".into()));
    assert_eq!(finding, Finding { check: Check::Guard, observed: code, limit: Measure::Nothing });
    case.writes(guard::Scope::Desk, Some(true), None, None);
    assert!(case.does(Command::Submit { order: id.clone(), intent: Box::new(entry("0.5")) }).is_empty());
    assert!(matches!(case.venue.outcome(&id), Some(Outcome::Refused(_))));
    assert!(case.asked.is_empty());
}

#[test]
fn who_is_who_is_looked_at_first() {
    let mut case = Case::new();
    let trade = case.enters("0.5");
    let stranger = Intent { strategy: strategy("stranger"), ..entry("0.1") };
    let foreign = Intent { strategy: strategy(MAKER), ..exit(&trade, Way::Stop, "0.1") };
    for (what, wanted, code) in [
        ("a stranger", stranger, "strategy_not_bound"),
        ("a maker that enters", Intent { strategy: strategy(MAKER), ..entry("0.1") }, "entry_of_a_maker"),
        (
            "a taker that quotes",
            Intent { strategy: strategy(TAKER), ..quoted(Side::Buy, "0.1", "99") },
            "quote_of_a_taker",
        ),
        ("another's trade", foreign, "trade_of_another_strategy"),
        ("no such trade", exit(&TradeId(order(TAKER, 999)), Way::Stop, "0.1"), "trade_unknown"),
        ("the guardian's way", exit(&trade, Way::Orphan, "0.1"), "only_the_guardian_exits_orphans"),
    ] {
        let finding = case.finds(wanted);
        assert_eq!((finding.check, finding.observed), (Check::Ids, Measure::Code(code.into())), "{what}");
    }
    let another = Command::Submit { order: order(MAKER, 77), intent: Box::new(entry("0.1")) };
    assert_eq!(case.does(another), ["order_refused"], "an id of another strategy");
}

#[test]
fn each_limit_makes_an_order_smaller_and_the_steps_are_told() {
    type Tighter = fn(&mut Case, &mut Intent);
    let rows: [(&str, Tighter, Check, &str); 9] = [
        (
            "units of the venue",
            |case, _| limits(case, |limits| limits.units_max = units("0.3")),
            Check::MaxUnits,
            "0.3",
        ),
        (
            "units of the market",
            |case, _| limits(case, |limits| limits.units_max_of = [(market(BTC), units("0.31"))].into()),
            Check::MaxUnits,
            "0.31",
        ),
        (
            "units of the strategy",
            |case, _| bounds(case, |bounds| bounds.units_max = units("0.32")),
            Check::MaxUnits,
            "0.32",
        ),
        // 0.5 at 101 with 50 to lose: a loss of 5 buys 0.1.
        ("loss of the strategy", |case, _| bounds(case, |bounds| bounds.loss_max = cash("5")), Check::LossCap, "0.1"),
        (
            "loss of the venue",
            |case, _| limits(case, |limits| limits.loss_per_trade_max = cash("10")),
            Check::LossCap,
            "0.2",
        ),
        ("exposure", |case, _| limits(case, |limits| limits.exposure_max = Some(cash("40.4"))), Check::Exposure, "0.4"),
        ("one way", |case, _| limits(case, |limits| limits.direction_max = Some(cash("30.3"))), Check::Exposure, "0.3"),
        (
            "margin",
            |case, _| {
                limits(case, |limits| limits.leverage = Some(2));
                case.does(Command::TakeAccount { equity: cash("100"), margin_free: Some(cash("10.1")) });
            },
            Check::Margin,
            "0.2",
        ),
        ("how likely", |_, intent| intent.probability = Some("0.6".parse().unwrap()), Check::Probability, "0.3"),
    ];
    for (what, tighter, check, left) in rows {
        let (mut case, mut intent) = (Case::new(), entry("0.5"));
        tighter(&mut case, &mut intent);
        let events = case.submits(intent);
        let [Event::OrderSubmitted(submitted)] = events.as_slice() else { panic!("{what}: {events:?}") };
        assert_eq!(submitted.terms.size, units(left), "{what}");
        assert_eq!(submitted.intent.terms.size, units("0.5"), "{what}: what was wanted is kept");
        assert_eq!(submitted.steps, [Step { check, from: units("0.5"), to: units(left) }], "{what}");
    }
}

#[test]
fn all_that_works_or_is_on_its_way_counts_at_worst() {
    let mut case = Case::new();
    bounds(&mut case, |bounds| bounds.units_max = units("2"));
    // 1.2 held, 0.5 on its way: 0.3 of 2 are left for one that buys.
    let held = case.sends(quoted(Side::Buy, "1.2", "99.5"));
    case.accepts(&held);
    case.fills(&held, "t1", Side::Buy, "1.2", "99.5");
    case.sends(quoted(Side::Buy, "0.5", "99.5"));
    let events = case.submits(entry("1"));
    let [Event::OrderSubmitted(submitted)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(submitted.terms.size, units("0.3"));
    // And to sell, what is held goes first.
    let sale = case.sends(quoted(Side::Sell, "1.5", "102"));
    assert_eq!(case.venue.live[&sale].terms.size, units("1.5"));
}

#[test]
fn a_maker_has_one_order_for_each_side_and_level() {
    let mut case = Case::new();
    let first = case.sends(quoted(Side::Buy, "0.1", "99.5"));
    assert_eq!(case.finds(quoted(Side::Buy, "0.1", "99")).check, Check::DuplicateIntent);
    let reduce = Intent { purpose: Purpose::Reduce { level: 0 }, ..quoted(Side::Buy, "0.1", "99") };
    assert_eq!(case.finds(reduce).check, Check::DuplicateIntent);
    case.sends(quoted(Side::Sell, "0.1", "102"));
    case.sends(Intent { purpose: Purpose::Quote { level: 1 }, ..quoted(Side::Buy, "0.1", "99") });
    // A cancel that is asked for, and one that failed, still stand in the way.
    case.accepts(&first);
    case.does(Command::Cancel { order: first.clone(), by: Some(strategy(MAKER)) });
    assert_eq!(case.finds(quoted(Side::Buy, "0.1", "99")).check, Check::DuplicateIntent);
    let detail = "slow".into();
    case.reports(Report::CancelRejected { order: first.clone(), category: Category::Network, detail });
    assert_eq!(case.finds(quoted(Side::Buy, "0.1", "99")).check, Check::DuplicateIntent);
    case.reports(Report::Cancelled { order: first });
    case.sends(quoted(Side::Buy, "0.1", "99"));
}

#[test]
fn quotes_are_post_only_on_a_tick_and_need_a_dead_man() {
    let mut case = Case::new();
    let plain = quoted(Side::Buy, "0.1", "99.5");
    let taking = Intent { terms: Terms { post_only: false, ..plain.terms.clone() }, ..plain.clone() };
    let off = Intent { terms: Terms { price: Some(price("99.25")), ..plain.terms.clone() }, ..plain.clone() };
    assert_eq!(case.finds(taking).check, Check::Terms);
    let tick =
        Finding { check: Check::Terms, observed: Measure::Price(price("99.25")), limit: Measure::Price(price("0.5")) };
    assert_eq!(case.finds(off), tick);

    case.venue.settings.as_mut().unwrap().dead_man = true;
    assert_eq!(case.finds(plain.clone()).check, Check::DeadMan);
    case.reports(Report::DeadManArmed { until: case.now + Span::seconds(10) });
    let quote = case.sends(plain.clone());
    case.accepts(&quote);
    assert_eq!(
        case.reports(Report::DeadManFailed { why: "refused".into() }),
        ["venue_dead_man_failed", "order_cancel_requested"]
    );
    case.reports(Report::Cancelled { order: quote });
    assert_eq!(case.finds(plain.clone()).check, Check::DeadMan);
    case.reports(Report::DeadManArmed { until: case.now + Span::seconds(10) });
    case.passes(10_000);
    assert_eq!(case.finds(plain).check, Check::DeadMan, "it ran out");
    assert!(matches!(case.submits(entry("0.1")).as_slice(), [Event::OrderSubmitted(_)]), "a taker needs none");
}

#[test]
fn in_a_storm_cancels_still_go_out() {
    let mut case = Case::with(Settings { rate: Rate { per_second: 1, burst: 6, reserve: 2 }, ..settings() });
    bounds(&mut case, |bounds| bounds.open_max = 50);
    case.venue.bounds.get_mut(&strategy(MAKER)).unwrap().open_max = 50;
    let quote = |level| Intent { purpose: Purpose::Quote { level }, ..quoted(Side::Buy, "0.01", "99.5") };
    let sent: Vec<_> = (0..4).map(|level| case.sends(quote(level))).collect();
    assert_eq!(case.finds(quote(9)), Finding::of(Check::Rate, Measure::Count(2), Measure::Count(2)));
    for order in &sent {
        assert_eq!(case.does(Command::Cancel { order: order.clone(), by: None }), ["order_cancel_requested"]);
    }
    // What went out beyond the budget is paid back before anything new.
    case.passes(2_000);
    assert_eq!(case.finds(quote(9)).check, Check::Rate);
    case.passes(3_000);
    case.sends(quote(9));
    // The venue's own word counts, too.
    case.passes(60_000);
    case.confirms();
    let last = case.sends(quote(10));
    case.reports(Report::Rejected { order: last, category: Category::RateLimit, detail: "429".into() });
    assert_eq!(case.finds(quote(11)).check, Check::Rate);
    assert_eq!(case.does(Command::CancelAll { strategy: None, market: None, by: None }), ["order_cancel_requested"]);
    case.passes(1_000);
    case.sends(quote(11));
}

#[test]
fn a_cooldown_starts_with_an_order_or_a_fill_and_never_with_a_refusal() {
    let mut case = Case::new();
    bounds(&mut case, |bounds| (bounds.cooldown_ms, bounds.reentry_ms, bounds.open_max) = (5_000, 20_000, 9));
    case.writes(guard::Scope::Desk, Some(false), None, None);
    assert_eq!(case.finds(entry("0.1")).check, Check::Guard);
    case.writes(guard::Scope::Desk, Some(true), None, None);
    let order = case.sends(entry("0.1"));
    case.reports(Report::Rejected { order, category: Category::Margin, detail: "no".into() });
    case.passes(4_999);
    assert_eq!(case.finds(entry("0.1")).check, Check::Cooldown, "it was submitted");
    case.passes(1);
    let order = case.sends(entry("0.1"));
    case.passes(4_000);
    case.fills(&order, "late", Side::Buy, "0.1", "101");
    case.passes(4_999);
    assert_eq!(case.finds(entry("0.1")).check, Check::Cooldown, "from the fill on");
    let stop = case.sends(exit(&TradeId(order), Way::Stop, "0.1"));
    case.fills(&stop, "out", Side::Sell, "0.1", "100");
    case.passes(6_000);
    assert_eq!(case.finds(entry("0.1")).check, Check::Reentry);
    case.passes(14_000);
    case.confirms();
    case.sends(entry("0.1"));
}

#[test]
fn an_entry_says_where_it_is_given_up_and_on_the_right_side() {
    let mut case = Case::new();
    for loss_exit in [None, Some(price("0")), Some(price("101")), Some(price("102"))] {
        assert_eq!(case.finds(Intent { loss_exit, ..entry("0.1") }).check, Check::LossExit, "{loss_exit:?}");
    }
    let taker = Bounds { shape: Shape::Taker { loss_exit: false }, ..Bounds::taker(units("1")) };
    let (strategy, bounds) = (strategy("careless"), Box::new(taker));
    assert_eq!(case.refuses(Command::Bind { strategy, bounds }), "loss_exit_missing");
}

#[test]
fn what_cannot_be_switched_off_is_not() {
    let mut case = Case::empty();
    assert_eq!(case.refuses(Command::AcknowledgeControl), "venue_unknown");
    type Off = fn(&mut Limits);
    let offs: [Off; 5] = [
        |limits| limits.units_max = Size::ZERO,
        |limits| limits.loss_per_trade_max = Cash::ZERO,
        |limits| limits.drawdown_day_max = Cash::ZERO,
        |limits| limits.drawdown_total_max = Cash::whole(-1),
        |limits| limits.units_max_of = [(market(BTC), Size::ZERO)].into(),
    ];
    for off in offs {
        let mut settings = settings();
        off(&mut settings.limits);
        assert_eq!(case.refuses(Command::Open(Box::new(settings))), "setting_invalid");
    }
    case.does(Command::Open(Box::new(samples::settings())));
    let market = market("other:BTC-USD");
    let instrument = Box::new(Instrument::plain());
    assert_eq!(case.refuses(Command::ListMarket { market, instrument }), "market_unknown");
}

#[test]
fn an_amendment_passes_the_checks_and_is_never_larger() {
    let mut case = Case::new();
    let quote = case.sends(quoted(Side::Buy, "1.5", "99.5"));
    let amend = |to: &str, size: &str| Command::Amend {
        order: quote.clone(),
        price: price(to),
        size: units(size),
        by: Some(strategy(MAKER)),
    };
    assert_eq!(case.refuses(amend("99", "1.5")), "not_amendable", "nobody knows yet whether it is there");
    case.accepts(&quote);
    assert_eq!(case.refuses(amend("99.1", "1.5")), "amend_invalid");
    assert_eq!(case.refuses(amend("99", "1.6")), "amend_invalid");
    assert_eq!(case.does(amend("99", "1.5")), ["order_amend_requested"]);
    assert_eq!(case.refuses(amend("98", "1.5")), "not_amendable", "one at a time");
    let (order, size) = (quote.clone(), units("1.5"));
    case.reports(Report::Amended { order, price: price("99"), size });
    assert_eq!(case.venue.live[&quote].terms.price, Some(price("99")));
    case.writes(guard::Scope::Desk, Some(false), None, None);
    assert_eq!(case.refuses(amend("98", "1.5")), "amend_refused");
    let by = Some(strategy(TAKER));
    assert_eq!(
        case.refuses(Command::Amend { order: quote.clone(), price: price("98"), size, by: by.clone() }),
        "not_owner"
    );
    assert_eq!(case.refuses(Command::Cancel { order: quote, by }), "not_owner");
}
