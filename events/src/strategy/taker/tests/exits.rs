//! What a plan says of what is held, and that it says it once.

use super::*;

const TABLE: &str = include_str!("exits.txt");

fn mirrored(pips: &str) -> String {
    match pips.strip_prefix('-') {
        Some(rest) => rest.into(),
        None if pips == "0" => pips.into(),
        None => format!("-{pips}"),
    }
}

/// Ticks the EXIT leg at each quote and fills what it asks for.
fn play(side: Side, plan: Plan, quotes: &str) -> Vec<String> {
    let (mut case, _) = Case::holding(side, plan);
    let opened = case.now;
    let mut said = Vec::new();
    for (seconds, pips) in quotes.split_whitespace().map(|quote| quote.split_once(':').unwrap()) {
        case.now = opened + Span::seconds(seconds.parse().unwrap());
        let pips = if side == Side::Buy { pips.into() } else { mirrored(pips) };
        case.quotes(&pips);
        if let Event::ExitDecided(decided) = case.ticks(Leg::Exit) {
            for step in decided.steps {
                said.push(format!("{seconds}:{}", take_up(&mut case, side, step.action, &pips)));
            }
        }
    }
    said
}

fn take_up(case: &mut Case, side: Side, action: ExitAction, pips: &str) -> String {
    match action {
        ExitAction::Asked { order, intent } => {
            assert_eq!((intent.terms.side, intent.terms.reduce_only), (side.opposite(), true));
            let Purpose::Exit(way) = intent.purpose else { panic!("{intent:?}") };
            let size = intent.terms.size;
            case.news(&order, News::Submitted);
            case.fills(&order, pips, size.0 / Size::ONE.0);
            case.news(&order, News::Over { life: Life::Filled });
            format!("{} {size}", way_name(way))
        }
        ExitAction::StopMoved { to } => format!("moved {}", in_pips(flow::along(side, to - Price(BASE)))),
        ExitAction::PartialSkipped => "skipped".into(),
        ExitAction::HeldBack { way } => format!("held back {}", way_name(way)),
    }
}

#[test]
fn a_plan_does_what_its_table_says() {
    let mut count = 0;
    for row in rows(TABLE) {
        for side in [Side::Buy, Side::Sell] {
            assert_eq!(play(side, plan(row[0]), row[1]).join(" "), row[2], "{side:?} {row:?}");
        }
        count += 1;
    }
    assert_eq!(count, 22);
}

#[test]
fn where_it_is_given_up_is_the_nearer_of_what_was_said_and_of_the_fill() {
    for (side, filled, expected) in [
        // Bought dearer than thought: two pips below what was paid.
        (Side::Buy, "0.5", "-1.5"),
        // Cheaper: where it was said to end all the same.
        (Side::Buy, "-0.5", "-2"),
        (Side::Sell, "-0.5", "1.5"),
        (Side::Sell, "0.5", "2"),
    ] {
        let (mut case, order) = Case::holding(side, plan("stop 2 take 3"));
        let trade = &mut case.taker.trades[0];
        (trade.paid, trade.filled) = (at_pips(filled) * Size::whole(10), Size::whole(10));
        assert_eq!(trade.loss_level(), Some(at_pips(expected)), "{side:?} {filled}");
        assert_eq!(trade.id, TradeId(order));
    }
}

#[test]
fn a_restart_between_a_partial_take_and_what_follows_repeats_nothing() {
    let (mut case, _) = Case::holding(Side::Buy, plan("adverse 4 take 2 partial 0.4 at 0.9 then 0.6"));
    case.quotes("1");
    let steps = case.steps();
    let [ExitStep { action: ExitAction::Asked { order, intent }, .. }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((intent.purpose, intent.terms.size), (Purpose::Exit(Way::Partial), Size::whole(4)));
    // Whatever is heard next, at each of these events the desk may have been started anew; it is, each time.
    for (news, expected) in [
        (None, "EXIT_PENDING"),
        (Some(News::Submitted), "EXIT_PENDING"),
        (Some(News::Filled { price: at_pips("1"), size: Size::whole(1), fee: Cash::ZERO }), "EXIT_PENDING"),
    ] {
        news.map(|news| case.news(order, news));
        case.passes(1_000);
        case.quotes("1");
        assert_eq!(case.quiet(Leg::Exit), expected);
    }
    case.news(order, News::Over { life: Life::Expired });
    case.passes(1_000);
    case.quotes("1");
    let steps = case.steps();
    assert_eq!(steps.len(), 1);
    assert!(matches!(steps[0].action, ExitAction::StopMoved { to } if to == at_pips("0.6")), "{steps:?}");
    for _ in 0..5 {
        case.passes(1_000);
        case.quotes("1.5");
        case.quiet(Leg::Exit);
    }
    assert_eq!((case.taker.trades[0].held(), case.taker.orders), (Size::whole(9), 2), "the entry and one exit");
}

#[test]
fn a_partial_take_that_came_to_nothing_is_asked_for_again() {
    let (mut case, _) = Case::holding(Side::Buy, plan("adverse 4 take 2 partial 0.4 at 0.9 then 0.6"));
    case.quotes("1");
    let asked = |steps: Vec<ExitStep>| match &steps[0].action {
        ExitAction::Asked { order, intent } => (order.clone(), intent.purpose),
        other => panic!("{other:?}"),
    };
    let (first, _) = asked(case.steps());
    case.news(&first, News::Refused { code: "RATE_LIMIT".into() });
    assert_eq!(case.taker.denied[0].code.as_ref(), "RATE_LIMIT");
    case.passes(900);
    case.quotes("1");
    assert_eq!(case.quiet(Leg::Exit), "EXIT_WAITS");
    case.passes(100 + 100);
    case.quotes("1");
    let (second, purpose) = asked(case.steps());
    assert_eq!(purpose, Purpose::Exit(Way::Partial));
    assert_ne!(first, second);
}

#[test]
fn a_refused_exit_waits_longer_each_time_and_what_protects_does_not_wait_for_what_does_not() {
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    let mut waits = Vec::new();
    for _ in 0..8 {
        case.quotes("3");
        let steps = case.steps();
        let ExitAction::Asked { order, .. } = &steps[0].action else { panic!("{steps:?}") };
        case.news(order, News::Over { life: Life::Rejected });
        let wait = case.taker.trades[0].retry_at.since(case.now);
        waits.push(wait.0 / 1_000_000);
        case.passes(wait.0 / 1_000);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    case.quotes("3");
    let steps = case.steps();
    let ExitAction::Asked { order, .. } = &steps[0].action else { panic!("{steps:?}") };
    case.news(order, News::Refused { code: "MARKET_STALE".into() });
    case.passes(200);
    case.quotes("2.9");
    assert_eq!(case.quiet(Leg::Exit), "HOLDS", "it no longer wants to");
    case.passes(200);
    case.quotes("-2");
    let steps = case.steps();
    let ExitAction::Asked { order, intent } = &steps[0].action else { panic!("{steps:?}") };
    assert_eq!(intent.purpose, Purpose::Exit(Way::Stop), "at once");
    case.news(order, News::Over { life: Life::Rejected });
    assert_eq!(case.taker.trades[0].retry_at.since(case.now), Span::seconds(5), "and no later than that");
    case.passes(1_000);
    case.quotes("-2");
    assert_eq!(case.quiet(Leg::Exit), "EXIT_WAITS");
}

#[test]
fn an_exit_that_a_flag_holds_back_is_told_once_and_what_protects_goes() {
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    case.allowed.exit = false;
    case.quotes("3");
    let steps = case.steps();
    assert_eq!(steps[0].action, ExitAction::HeldBack { way: Way::Take });
    for _ in 0..1_000 {
        case.passes(200);
        case.quotes("3");
        assert_eq!(case.quiet(Leg::Exit), "EXIT_OFF");
    }
    case.passes(200);
    case.quotes("-2");
    let steps = case.steps();
    assert!(matches!(&steps[0].action, ExitAction::Asked { intent, .. } if intent.purpose == Purpose::Exit(Way::Stop)));
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    case.allowed.exit = false;
    case.quotes("3");
    case.steps();
    case.allowed.exit = true;
    case.passes(200);
    case.quotes("3");
    let steps = case.steps();
    assert!(matches!(&steps[0].action, ExitAction::Asked { intent, .. } if intent.purpose == Purpose::Exit(Way::Take)));
}

#[test]
fn an_old_quote_lets_only_what_protects_out() {
    for (pips, millis, expected) in [
        ("3", 3_001, None),
        ("-2", 3_001, Some(Way::Stop)),
        ("3", 3_000, Some(Way::Take)),
        ("1", 900_000, Some(Way::TimeStop)),
    ] {
        let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3 out 900s"));
        case.quotes(pips);
        case.passes(millis);
        match (case.ticks(Leg::Exit), expected) {
            (Event::Ticked(ticked), None) => assert_eq!(ticked.quiet, Quiet::Holds),
            (Event::ExitDecided(decided), Some(way)) => {
                let ExitAction::Asked { intent, .. } = &decided.steps[0].action else { panic!("{decided:?}") };
                assert_eq!(intent.purpose, Purpose::Exit(way), "{pips} {millis}");
            }
            (other, expected) => panic!("{pips} {millis}: {other:?}, not {expected:?}"),
        }
    }
}

#[test]
fn with_no_quote_at_all_time_still_passes() {
    let (mut case, _) = Case::holding(Side::Sell, plan("stop 2 take 3 out 900s"));
    assert_eq!(case.quiet(Leg::Exit), "HOLDS");
    case.passes(900_000);
    let steps = case.steps();
    assert!(
        matches!(&steps[0].action, ExitAction::Asked { intent, .. } if intent.purpose == Purpose::Exit(Way::TimeStop))
    );
}

#[test]
fn more_than_the_venue_takes_at_once_leaves_in_parts() {
    let (mut case, _) = Case::holding(Side::Buy, plan("stop 2 take 3"));
    case.instrument.size_max = Some(Size::whole(6));
    for expected in [6, 4] {
        case.passes(1_000);
        case.quotes("-3");
        let steps = case.steps();
        let ExitAction::Asked { order, intent } = &steps[0].action else { panic!("{steps:?}") };
        assert_eq!(intent.terms.size, Size::whole(expected));
        case.fills(order, "-3", expected);
        case.news(order, News::Over { life: Life::Filled });
    }
    assert!(case.taker.trades.is_empty());
}
