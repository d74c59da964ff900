//! What keeps a leg from looking at all, what it leaves in the log, and how one knows that it lives.

use super::*;

/// A burst that has just come.
fn bursting() -> Case {
    let mut case = Case::of(AnyFamily::Ping(Ping::default()));
    case.ticks(Leg::Exit);
    case.burst();
    case
}

impl Case {
    /// Five quotes up within 1.2 s.
    fn burst(&mut self) {
        for pips in ["0", "0.2", "0.5", "0.8", "1.2"] {
            self.passes(300);
            self.ticks.push(quote(self.now, at_pips(pips), "0.4"));
        }
    }

    fn enters(&mut self) -> EntryProposed {
        match self.ticks(Leg::Entry) {
            Event::EntryProposed(proposed) => *proposed,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_entry_says_all_that_the_checks_and_the_exit_need() {
    let mut case = bursting();
    let proposed = case.enters();
    assert_eq!(proposed.order, ClientOrderId::derive(&taker_id(), Uuid::from_u128(7), 0, case.now));
    let intent = &proposed.intent;
    assert_eq!((&intent.strategy, &intent.market, intent.purpose), (&taker_id(), &market(), Purpose::Entry));
    assert_eq!((intent.terms.side, intent.terms.size, intent.terms.price), (Side::Buy, Size::whole(10), None));
    assert_eq!(intent.loss_exit.unwrap().to_string(), "1.09979");
    assert_eq!(intent.valid_until, Some(case.now + Span::seconds(2)));
    assert_eq!(intent.why.as_ref(), "a burst over 0.00012, 1.5 of what it takes");
    assert_eq!((proposed.set, proposed.saw), (1, *case.ticks.last().unwrap()));
    assert_eq!(case.taker.trades[0].id, TradeId(proposed.order));
}

/// Each in the order in which they are looked at: the later one shows only once the earlier is gone.
#[test]
fn what_keeps_it_quiet_in_this_order() {
    let mut case = bursting();
    case.quote_age = Some(Span::millis(3_001));
    case.taker.refused_until = case.now + Span::hours(1);
    case.taker.cooldown_until = case.now + Span::hours(1);
    let (other, _) = Case::holding(Side::Buy, plan("stop 2"));
    let mut pending = other.taker.trades[0].clone();
    pending.entry = Entry::Submitted;
    case.taker.trades.push(pending);
    case.passes(60_000);
    case.allowed.entry = false;
    case.is_warm = false;
    type Cure = fn(&mut Case);
    let cures: [(&str, Cure); 8] = [
        ("MARKET_COLD", |case| case.is_warm = true),
        ("ENTRY_OFF", |case| case.allowed.entry = true),
        ("EXIT_LEG_SILENT", |case| _ = case.ticks(Leg::Exit)),
        ("ENTRY_PENDING", |case| case.taker.trades[0].entry = Entry::Over),
        ("TRADES_FULL", |case| case.taker.trades.clear()),
        ("COOLDOWN", |case| case.taker.cooldown_until = Timestamp::ZERO),
        ("REFUSED_LATELY", |case| case.taker.refused_until = Timestamp::ZERO),
        ("MARKET_STALE", |case| case.quote_age = Some(Span::millis(3_000))),
    ];
    for (expected, cure) in cures {
        assert_eq!(case.quiet(Leg::Entry), expected);
        cure(&mut case);
        case.passes(200);
    }
    case.burst();
    case.enters();
}

#[test]
fn a_leg_that_failed_does_nothing_until_it_is_restarted() {
    let restart = |leg| Command::RestartLeg { leg, by: Principal::Operator, why: reason("fixed") };
    let mut case = bursting();
    assert_eq!(
        case.does(Command::FailLeg { leg: Leg::Entry, why: "index out\nof bounds".into() }),
        ["taker_leg_failed"]
    );
    assert_eq!(case.taker.leg(Leg::Entry).status(case.now), LegStatus::Failed);
    assert_eq!(case.taker.leg(Leg::Entry).failed.as_ref().unwrap().1.as_ref(), "index outof bounds");
    assert_eq!(case.does(Command::FailLeg { leg: Leg::Entry, why: "again".into() }), [""; 0]);
    assert_eq!(case.does(Command::Tick(Leg::Entry)), [""; 0]);
    assert_eq!((case.taker.is_due(Leg::Entry, case.now), case.taker.due_at(Leg::Entry)), (false, None));
    assert_eq!(case.refuses(restart(Leg::Exit)), "leg_runs");
    assert_eq!(case.does(restart(Leg::Entry)), ["taker_leg_restarted"]);
    case.enters();
}

#[test]
fn without_an_exit_leg_nothing_is_entered_and_what_is_held_is_the_guardians() {
    let mut case = bursting();
    case.enters();
    let (mut case, order) = Case::holding(Side::Buy, plan("stop 2"));
    assert_eq!(case.taker.unguarded(case.now).count(), 1, "its EXIT leg was never heard");
    case.quotes("0");
    case.ticks(Leg::Exit);
    assert_eq!(case.taker.leg(Leg::Exit).status(case.now), LegStatus::Alive);
    assert_eq!(case.taker.unguarded(case.now).count(), 0);
    case.passes(15_000);
    assert_eq!(case.taker.unguarded(case.now).count(), 0);
    case.passes(1);
    assert_eq!(case.taker.leg(Leg::Exit).status(case.now), LegStatus::Silent);
    let left: Vec<&TradeId> = case.taker.unguarded(case.now).map(|trade| &trade.id).collect();
    assert_eq!(left, [&TradeId(order.clone())]);
    // What the guardian closes is closed.
    let guardians = sample::order(99);
    let fill = News::Filled { price: at_pips("-1"), size: Size::whole(10), fee: Cash::ZERO };
    let hear = Command::HearOrder { trade: TradeId(order), order: guardians, news: fill };
    let told = case.tries(hear).unwrap();
    assert!(matches!(&told[1], Event::TradeClosed(closed) if closed.way.is_none()), "{told:?}");
}

#[test]
fn a_leg_is_heard_at_most_as_often_as_set_and_the_exit_leg_rarely_while_there_is_nothing() {
    let mut case = Case::of(AnyFamily::Ping(Ping::default()));
    assert_eq!(case.taker.due_at(Leg::Entry), Some(Timestamp::ZERO));
    case.ticks(Leg::Exit);
    case.ticks(Leg::Entry);
    assert_eq!(
        (case.taker.due_at(Leg::Entry), case.taker.due_at(Leg::Exit)),
        (Some(case.now + Span::millis(200)), Some(case.now + Span::seconds(1)),)
    );
    case.passes(199);
    assert_eq!((case.does(Command::Tick(Leg::Entry)), case.does(Command::Tick(Leg::Exit))), (vec![], vec![]));
    case.passes(1);
    assert_eq!(case.does(Command::Tick(Leg::Entry)), ["taker_ticked"]);
    assert_eq!(case.does(Command::Tick(Leg::Exit)), [""; 0]);
    case.passes(800);
    assert_eq!(case.does(Command::Tick(Leg::Exit)), ["taker_ticked"]);
    // A clock that goes back does not put it off.
    case.passes(-3_600_000);
    assert_eq!(case.does(Command::Tick(Leg::Exit)), ["taker_ticked"]);
}

#[test]
fn what_kept_it_quiet_is_counted() {
    let mut case = bursting();
    case.is_warm = false;
    for _ in 0..3 {
        case.quiet(Leg::Entry);
        case.passes(200);
    }
    case.is_warm = true;
    case.ticks.clear();
    assert_eq!(case.quiet(Leg::Entry), "MARKET_STALE", "no quote is no fresh quote");
    let count = |cause| case.taker.quiet_count(cause);
    assert_eq!((count(Quiet::MarketCold), count(Quiet::MarketStale), count(Quiet::Flat)), (3, 1, 1));
    assert_eq!(count(Quiet::ExitOff), 0);
    assert_eq!(case.taker.last_quiet, [Some(Quiet::MarketStale), Some(Quiet::Flat)]);
}

#[test]
fn one_bar_leads_to_one_entry() {
    let host = Host { size: Size::whole(10), trades_max: 2, cooldown_ms: 0, reentry_ms: 0, ..Host::default() };
    let mut case = Case::with(Settings { family: AnyFamily::SqueezeBreak(SqueezeBreak::default()), host });
    for place in 0..64 {
        let price = |pips: i64| Price(BASE + pips * PIP / 4);
        let close = if place % 2 == 0 { 2 } else { -2 };
        let open_at = START - Span::seconds(60 * (64 - place));
        case.bars.push(Bar {
            open_at,
            open: price(-close),
            high: price(3),
            low: price(-3),
            close: price(close),
            ticks: 9,
        });
    }
    let break_out = |case: &mut Case| {
        for pips in ["0.5", "0.9", "1.2", "1.3", "1.7"] {
            case.passes(300);
            case.ticks.push(quote(case.now, at_pips(pips), "0.4"));
        }
        case.ticks(Leg::Exit);
    };
    break_out(&mut case);
    let order = case.enters().order;
    case.news(&order, News::Submitted);
    case.fills(&order, "1.9", 10);
    case.news(&order, News::Over { life: Life::Filled });
    break_out(&mut case);
    assert_eq!(case.quiet(Leg::Entry), "BAR_USED");
    let Bar { open, high, low, close, .. } = *case.bars.last().unwrap();
    case.bars.push(Bar { open_at: START, open, high, low, close, ticks: 1 });
    case.now = START + Span::seconds(60);
    break_out(&mut case);
    case.enters();
    assert_eq!(case.taker.trades.len(), 2);
}

#[test]
fn a_bar_is_asked_about_once() {
    let mut case = Case::of(AnyFamily::MacdRsiDiv(MacdRsiDiv::default()));
    case.quotes("0");
    case.ticks(Leg::Exit);
    assert_eq!(case.quiet(Leg::Entry), "WAITS_FOR_BAR");
    let price = Price(BASE);
    case.bars.push(Bar {
        open_at: START - Span::seconds(60),
        open: price,
        high: price,
        low: price,
        close: price,
        ticks: 1,
    });
    for expected in ["BARS_TOO_FEW", "WAITS_FOR_BAR", "WAITS_FOR_BAR"] {
        case.passes(200);
        case.quotes("0");
        assert_eq!(case.quiet(Leg::Entry), expected);
    }
    assert_eq!(case.taker.bar_heard, Some(START - Span::seconds(60)));
}
