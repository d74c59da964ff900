//! Fills from the outside: told in any order, and compared with what a second look at everything says.

use super::*;
use crate::codec;
use crate::market::{Bps, Features, Price};
use crate::order::Liquidity;
use crate::time::Span;
use crate::trade::Side;
use proptest::prelude::*;

/// 2026-01-31T09:00:00Z
const HOUR: Timestamp = Timestamp(1_769_850_000_000_000);

fn strategy() -> StrategyId {
    StrategyId::new("btc_maker").unwrap()
}
fn market() -> MarketId {
    "paper:BTC-USD".parse().unwrap()
}
fn at(millis: i64) -> Timestamp {
    HOUR + Span::millis(millis)
}
fn fill(id: u32, side: Side, price: &str, size: &str, at: Timestamp) -> Fill {
    Fill {
        strategy: strategy(),
        market: market(),
        id: id.to_string().into(),
        order: None,
        side,
        price: price.parse().unwrap(),
        size: size.parse().unwrap(),
        fee: "0.01".parse().unwrap(),
        liquidity: Liquidity::Maker,
        at,
        features: Features::default(),
        mode: Some(Mode::Normal),
        set: None,
    }
}
fn quote(mid: &str) -> Quote {
    let (mid, size) = (mid.parse::<Price>().unwrap(), Size::ONE);
    Quote { bid: mid - Price(1_000), bid_size: size, ask: mid + Price(1_000), ask_size: size }
}
fn quoted(fills: &mut Fills, quotes: &[(i64, &str)]) {
    quotes.iter().for_each(|(millis, mid)| fills.quote(&market(), &quote(mid), at(*millis)));
}
fn mids(row: &Row) -> [Option<String>; 4] {
    row.mids.map(|mid| mid.map(|mid| mid.to_string()))
}

#[test]
fn a_fill_is_marked_by_the_nearest_quote_within_reach() {
    // Fill at 0. Reach: ±500 ms, 1 s ± 500 ms, 10 s ± 1 s, 60 s ± 5 s.
    type Quotes = &'static [(i64, &'static str)];
    let table: [(&str, Quotes, [Option<&str>; 4]); 7] = [
        ("none", &[], [None; 4]),
        (
            "just out of reach",
            &[(-501, "1"), (1_501, "2"), (8_999, "3"), (11_001, "4"), (54_999, "5"), (65_001, "6")],
            [None; 4],
        ),
        (
            "at the ends of the reach",
            &[(-500, "1"), (1_500, "2"), (9_000, "3"), (65_000, "4")],
            [Some("1"), Some("2"), Some("3"), Some("4")],
        ),
        ("before or after, the nearer one", &[(-300, "1"), (200, "2"), (400, "3")], [Some("2"), None, None, None]),
        ("equally near: the one before", &[(-200, "1"), (200, "2")], [Some("1"), None, None, None]),
        ("one may be two marks", &[(500, "1")], [Some("1"), Some("1"), None, None]),
        ("none in the middle", &[(0, "1"), (1_000, "2"), (60_000, "4")], [Some("1"), Some("2"), None, Some("4")]),
    ];
    for (name, quotes, expected) in table {
        let mut fills = Fills::default();
        let before = quotes.iter().filter(|(millis, _)| *millis <= 0).copied().collect::<Vec<_>>();
        quoted(&mut fills, &before);
        fills.fill(fill(1, Side::Buy, "1", "1", at(0)));
        quoted(&mut fills, &quotes[before.len()..]);
        assert_eq!(fills.pass(at(65_000)), [], "{name}: a quote may still come");
        let rows = fills.pass(at(65_001));
        assert_eq!(rows.len(), 1, "{name}");
        assert_eq!(mids(&rows[0]), expected.map(|mid| mid.map(String::from)), "{name}");
        assert_eq!(fills.pass(at(99_000)), [], "{name}: each row once");
    }
}

#[test]
fn a_markout_is_good_where_it_is_above_zero() {
    let mut fills = Fills::default();
    quoted(&mut fills, &[(0, "100")]);
    fills.fill(fill(1, Side::Buy, "99.9", "2", at(0)));
    fills.fill(fill(2, Side::Sell, "100.1", "1", at(0)));
    quoted(&mut fills, &[(1_000, "100.05"), (10_000, "99.8"), (60_000, "100.3")]);
    let rows = fills.pass(at(70_000));
    let said = |row: &Row| [1, 2, 3].map(|horizon| row.markout(horizon).unwrap().to_string());
    assert_eq!(said(&rows[0]), ["15", "-10", "40"]);
    assert_eq!(said(&rows[1]), ["5", "30", "-20"]);
    assert_eq!(rows[0].spread().unwrap().to_string(), "0.2");
    assert_eq!(rows[0].adverse().unwrap().to_string(), "-0.4");
    assert_eq!(rows[1].adverse().unwrap().to_string(), "0.2");
}

/// Bought 2 at 99.9 around 100; ten seconds later the middle is 99.8, at the end 100.3.
#[test]
fn profit_is_split_and_its_parts_are_all_of_it() {
    let mut fills = Fills::default();
    quoted(&mut fills, &[(0, "100")]);
    fills.fill(fill(1, Side::Buy, "99.9", "2", at(0)));
    quoted(&mut fills, &[(10_000, "99.8"), (50_000, "100.3")]);
    fills.funded(&strategy(), &market(), "-0.05".parse().unwrap(), at(50_000));
    let net = |fills: &Fills| fills.of(&strategy(), &market()).unwrap().minutes().next().unwrap().pnl.net().to_string();
    assert_eq!(net(&fills), "0.74", "2 x (100.3 - 99.9) - 0.01 - 0.05, before the marks are there");
    fills.pass(at(70_000));
    let pnl = fills.of(&strategy(), &market()).unwrap().hours().next().unwrap().pnl;
    let said = [pnl.spread, pnl.adverse, pnl.inventory, pnl.fees, pnl.funding].map(|part| part.to_string());
    assert_eq!(said, ["0.2", "-0.4", "1", "-0.01", "-0.05"]);
    assert_eq!(net(&fills), "0.74", "and after");
}

#[test]
fn what_was_set_right_is_neither_profit_nor_loss() {
    let mut fills = Fills::default();
    quoted(&mut fills, &[(0, "100")]);
    fills.fill(fill(1, Side::Buy, "100", "2", at(0)));
    fills.adjusted(&strategy(), &market(), "-1".parse().unwrap());
    quoted(&mut fills, &[(1_000, "101")]);
    let account = fills.of(&strategy(), &market()).unwrap();
    assert_eq!(account.held, Size::ONE);
    assert_eq!(account.minutes().next().unwrap().pnl.inventory.to_string(), "1");
}

#[test]
fn windows_are_half_open_and_count_what_is_in_them() {
    let mut fills = Fills::default();
    for (id, millis) in [(1, 0), (2, 59_999), (3, 60_000), (4, 3_599_999), (5, 3_600_000)] {
        fills.fill(fill(id, Side::Buy, "100", "1", at(millis)));
    }
    fills.cancelled(&strategy(), &market(), at(59_999));
    fills.turned(&strategy(), &market(), Mode::Pause, at(60_000));
    fills.turned(&strategy(), &market(), Mode::Defensive, at(60_000));
    let account = fills.of(&strategy(), &market()).unwrap();
    let said = |window: &Window| (window.begin.since(HOUR).0 / 60_000_000, window.fills, window.cancels, window.pauses);
    assert_eq!(
        account.minutes().map(said).collect::<Vec<_>>(),
        [(0, 2, 1, 0), (1, 1, 0, 1), (59, 1, 0, 0), (60, 1, 0, 0)]
    );
    assert_eq!(account.hours().map(said).collect::<Vec<_>>(), [(0, 4, 1, 1), (60, 1, 0, 0)]);
    assert_eq!(account.hours().next().unwrap().traded.to_string(), "400");
}

/// Bought at 100 with the middle there at the fill; ten seconds later it is 100 + markout / 100.
fn with_markouts(markouts: &[i64]) -> Fills {
    let mut fills = Fills::default();
    for (index, markout) in markouts.iter().enumerate() {
        let begin = index as i64 * 20_000;
        quoted(&mut fills, &[(begin, "100")]);
        fills.fill(fill(index as u32, Side::Buy, "100", "1", at(begin)));
        let then = Price::whole(100) + Price(markout * 10_000_000);
        quoted(&mut fills, &[(begin + 10_000, &then.to_string())]);
    }
    fills.pass(at(10_000_000));
    fills
}

#[test]
fn percentiles_and_the_worst_are_those_of_the_hour() {
    let fills = with_markouts(&[7, -3, 10, 1, -9, 4, 2, -5, 8, 6]);
    let hour = fills.of(&strategy(), &market()).unwrap().hours().next().unwrap();
    // In order: -9 -5 -3 1 2 4 6 7 8 10
    assert_eq!(hour.markouts(), [-9, 2, 8].map(|bps| Some(Bps::whole(bps))));
    let worst: Vec<_> = hour.worst.iter().map(|row| row.markout(2).unwrap()).collect();
    assert_eq!(worst, [-9, -5, -3, 1, 2].map(Bps::whole));
    let none = with_markouts(&[]);
    assert!(none.of(&strategy(), &market()).is_none());
}

#[test]
fn what_is_kept_has_a_bound_and_settled_percentiles_stay() {
    let mut fills = with_markouts(&[7, -3, 10]);
    let before = fills.of(&strategy(), &market()).unwrap().minutes().next().unwrap().markouts();
    assert_eq!(before.map(|markout| markout.is_some()), [true; 3]);
    for minute in 10..MINUTES_MAX as i64 + 9 {
        fills.cancelled(&strategy(), &market(), at(minute * 60_000));
    }
    let account = fills.of(&strategy(), &market()).unwrap();
    assert_eq!(account.minutes().count(), MINUTES_MAX);
    assert_eq!(account.minutes().next().unwrap().markouts(), before);
    fills.cancelled(&strategy(), &market(), at(100_000_000));
    // Older than all that is kept: it is counted nowhere.
    fills.cancelled(&strategy(), &market(), at(-60_000));
    let account = fills.of(&strategy(), &market()).unwrap();
    assert_eq!((account.minutes().count(), account.minutes().next().unwrap().fills), (MINUTES_MAX, 0));
}

#[derive(Debug, Clone)]
enum Told {
    Quote(i64),
    /// It happened so long before it is told, in milliseconds.
    Fill(Side, i64, i64, i64),
    Pass,
}

fn any_told() -> impl Strategy<Value = Told> {
    prop_oneof![
        6 => (9_900i64..10_100).prop_map(Told::Quote),
        2 => (any::<bool>(), 9_900i64..10_100, 1i64..5, prop_oneof![Just(0i64), 0i64..3_000]).prop_map(|(buys, price, size, late)| {
            Told::Fill(if buys { Side::Buy } else { Side::Sell }, price, size, late)
        }),
        1 => Just(Told::Pass),
    ]
}

proptest! {
    /// A second look at all quotes finds the same marks; stopping and going on changes nothing; nor does how often it is asked.
    #[test]
    fn bit_by_bit_is_the_same_as_at_once_and_as_a_second_look(told in prop::collection::vec((1i64..4_000, any_told()), 1..120)) {
        let (mut now, mut often, mut once) = (0, Fills::default(), Fills::default());
        let (mut quotes, mut filled, mut rows) = (vec![], vec![], vec![]);
        let (mut cash, mut held, mut last) = (Cash::ZERO, Size::ZERO, None);
        for (id, (millis, what)) in told.iter().enumerate() {
            now += millis;
            match what {
                Told::Quote(cents) => {
                    let mid = Price(cents * 10_000_000);
                    let quote = Quote { bid: mid - Price(5), bid_size: Size::ONE, ask: mid + Price(5), ask_size: Size::ONE };
                    often.quote(&market(), &quote, at(now));
                    once.quote(&market(), &quote, at(now));
                    quotes.push((at(now), mid));
                    last = Some(mid);
                }
                Told::Fill(side, cents, size, late) => {
                    let price = Price(cents * 10_000_000);
                    let fill = Fill { price, size: Size::whole(*size), ..fill(id as u32, *side, "1", "1", at(now - late)) };
                    cash = cash - fill.gain(price) - fill.fee;
                    held = held + fill.signed();
                    last = last.or(Some(price));
                    often.fill(fill.clone());
                    once.fill(fill.clone());
                    filled.push(fill);
                }
                Told::Pass => {
                    rows.extend(often.pass(at(now)));
                    let mut bytes = Vec::new();
                    codec::write(&often, &mut bytes);
                    often = codec::read(&bytes).unwrap();
                }
            }
        }
        let end = at(now + 70_000);
        rows.extend(often.pass(end));
        let at_once = once.pass(end);
        prop_assert_eq!(often.of(&strategy(), &market()), once.of(&strategy(), &market()));
        prop_assert_eq!(rows.len(), filled.len());
        prop_assert_eq!(at_once.len(), filled.len());
        for row in &rows {
            prop_assert!(at_once.contains(row));
            for (mid, (after, within)) in row.mids.iter().zip(HORIZONS) {
                let wanted = row.fill.at + after;
                let away = |at: &Timestamp| (at.0 - wanted.0).abs();
                let nearest = quotes.iter().filter(|(at, _)| away(at) <= within.0).min_by_key(|(at, _)| away(at));
                prop_assert_eq!(*mid, nearest.map(|(_, mid)| *mid));
            }
        }
        // All that was earned: what was paid and got, and what is held at the last middle.
        if let (Some(account), Some(last)) = (often.of(&strategy(), &market()), last) {
            let net = account.hours().fold(Cash::ZERO, |sum, hour| sum + hour.pnl.net());
            prop_assert_eq!(net, cash + last * held);
            let minutes = account.minutes().fold(Cash::ZERO, |sum, minute| sum + minute.pnl.net());
            prop_assert_eq!(net, minutes);
        }
    }
}
