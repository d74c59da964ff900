//! Whatever the market does and whatever is heard of orders, in whatever order.

use super::*;
use proptest::prelude::*;

fn any_family() -> impl Strategy<Value = AnyFamily> {
    prop::sample::select(AnyFamily::all().to_vec())
}

/// Prices with nothing sensible about them, the ends of the range included.
fn any_price() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => BASE - 40 * PIP..BASE + 40 * PIP,
        1 => Just(1i64),
        1 => Just(i64::MAX / 2),
        1 => any::<i64>(),
    ]
}

/// What the venue's stream may say next of an order that is under way.
fn next_news(what: u8, left: Size, price: Price) -> News {
    let part = Size((left.0 / 3).max(1).min(left.0));
    match what % 8 {
        0 => News::Refused { code: "X".into() },
        1 => News::Over { life: Life::Rejected },
        2 => News::Over { life: Life::Expired },
        3 | 4 if !left.is_zero() => News::Filled { price, size: part, fee: Cash(1) },
        5 if !left.is_zero() => News::Filled { price, size: left, fee: Cash(1) },
        _ => News::Submitted,
    }
}

/// What must hold of a trade that is open, whatever happened.
fn is_sound(trade: &Trade) {
    assert!(trade.held() >= Size::ZERO && trade.held() <= trade.filled);
    let Some(level) = trade.stop_level() else { return };
    // A stop never comes to stand where more is lost than was said.
    assert!(flow::along(trade.side, level - trade.loss_exit) >= Price::ZERO, "{trade:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// No family panics, and what it wants has a loss exit within what it declared.
    #[test]
    fn nothing_makes_a_family_panic(
        family in any_family(),
        bars in prop::collection::vec([any_price(), any_price(), any_price(), any_price()], 100..130),
        ticks in prop::collection::vec((0i64..400_000, any_price(), any_price()), 0..40),
        pip in prop_oneof![Just(0i64), Just(PIP), Just(i64::MAX), Just(-5)],
    ) {
        let mut case = Case::of(family);
        case.instrument.pip = Price(pip);
        let count = bars.len() as i64;
        for (place, [open, high, low, close]) in bars.into_iter().enumerate() {
            let open_at = START - Span::seconds(60 * (count - place as i64));
            let [open, high, low, close] = [open, high, low, close].map(Price);
            case.bars.push(Bar { open_at, open, high, low, close, ticks: 1 });
        }
        for (after, bid, ask) in ticks {
            case.now = case.now + Span(after);
            case.ticks.push(Tick { at: case.now, bid: Price(bid), ask: Price(ask) });
        }
        case.ticks(Leg::Exit);
        if let Event::EntryProposed(proposed) = case.ticks(Leg::Entry) {
            prop_assert!(proposed.intent.loss_exit.is_some_and(|level| level > Price::ZERO));
            prop_assert!(proposed.plan.loss().is_some_and(|loss| loss > Price::ZERO));
        }
    }

    /// One exit at a time, one partial take in a trade, stops that only come nearer, sizes that add up; with a restart after each event.
    #[test]
    fn a_trade_is_looked_after_whatever_is_heard(
        is_sell in any::<bool>(),
        steps in prop::collection::vec((0u8..12, 100i64..5_000, -60i64..60), 1..60),
    ) {
        let side = if is_sell { Side::Sell } else { Side::Buy };
        let mut case = Case::of(AnyFamily::Ping(Ping::default()));
        let mut proposed = sample::proposed();
        proposed.plan = plan("adverse 4 take 3 losers 40s partial 0.4 at 0.9 then 0.6 lock 0.5 from 2");
        proposed.intent.terms.side = side;
        proposed.intent.loss_exit = Some(Price(BASE) - flow::along(side, proposed.plan.loss().unwrap()));
        let entry = proposed.order.clone();
        case.hears(&Event::EntryProposed(Box::new(proposed)));
        let (mut partial_filled, mut asked) = (Size::ZERO, 1);
        let mut stop = None;
        for (what, millis, tenths) in steps {
            case.passes(millis);
            let price = Price(BASE + tenths * PIP / 10);
            case.ticks.push(Tick { at: case.now, bid: price, ask: price });
            let Some(trade) = case.taker.trades.first().cloned() else { break };
            if what < 4 {
                let before = trade.exit.clone();
                if let Some(Event::ExitDecided(decided)) = case.tries(Command::Tick(Leg::Exit)).unwrap().first() {
                    for step in &decided.steps {
                        if let ExitAction::Asked { intent, .. } = &step.action {
                            prop_assert_eq!(&before, &None, "two exits at a time");
                            prop_assert!(intent.terms.size <= trade.held() && intent.terms.size > Size::ZERO);
                            let is_partial = intent.purpose == Purpose::Exit(Way::Partial);
                            prop_assert!(!is_partial || partial_filled.is_zero(), "a second partial take");
                            asked += 1;
                        }
                    }
                }
            } else if let Some(exit) = trade.exit.filter(|_| what < 9) {
                let news = next_news(what, exit.size - exit.filled, price);
                if let (News::Filled { size, .. }, Way::Partial) = (&news, exit.way) {
                    partial_filled = partial_filled + *size;
                }
                case.news(&exit.order, news);
            } else if trade.entry != Entry::Over {
                case.news(&entry, next_news(what, Size::whole(9) - trade.filled, price));
            }
            for trade in &case.taker.trades {
                is_sound(trade);
                if let (Some(before), Some(moved)) = (stop, trade.stop) {
                    prop_assert!(flow::along(side, moved - before) >= Price::ZERO, "a stop went away");
                }
                stop = trade.stop;
            }
            prop_assert_eq!(case.taker.orders, asked);
        }
    }
}
