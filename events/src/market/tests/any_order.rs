//! Whatever is told in whatever order.

use super::*;
use crate::trade::Side;
use proptest::prelude::*;

fn any_said() -> impl Strategy<Value = Said> {
    let level = || (90i64..110, -2i64..9).prop_map(|(price, size)| Level { price: Price(price), size: Size(size) });
    let levels = move || prop::collection::vec(level(), 0..4);
    prop_oneof![
        6 => (1i64..2_000, -2i64..40).prop_map(|(bid, spread)| Said::Quote(quote(bid, bid + spread))),
        4 => (0u16..400, 0i64..2_000, -1i64..9, 0u8..5).prop_map(|(id, price, size, kind)| Said::Deal(Deal {
            id: if id == 0 { "".into() } else { id.to_string().into() },
            taker: [None, Some(Side::Buy), Some(Side::Sell)][usize::from(kind % 3)],
            price: Price(price),
            size: Size(size),
            kind: if kind == 4 { DealKind::Liquidation } else { DealKind::Normal },
        })),
        1 => (-1i64..2_000).prop_map(|price| Said::Mark(Price(price))),
        1 => (-1i64..2_000).prop_map(|price| Said::Index(Price(price))),
        1 => (-1i64..2_000).prop_map(|rate| Said::Funding { rate: Size(rate), due_at: None }),
        1 => (0u64..6, levels(), levels()).prop_map(|(seq, bids, asks)| Said::BookWhole { seq, bids, asks }),
        3 => (0u64..9, 0u64..3, levels(), levels())
            .prop_map(|(after, more, bids, asks)| Said::BookChanged { after, seq: after + more, bids, asks }),
    ]
}

/// Said, how long after the one before it, how old it comes in, and whether the clock is looked at after it.
fn any_tape() -> impl Strategy<Value = Vec<(Said, i64, i64, bool)>> {
    let passed = prop_oneof![8 => 0i64..300, 2 => 0i64..9_000, 1 => 0i64..9_000_000, 1 => -2_000i64..0];
    let late = prop_oneof![4 => Just(0i64), 2 => 0i64..900, 1 => -9_000i64..20_000];
    prop::collection::vec((any_said(), passed, late, prop::bool::weighted(0.2)), 1..120)
}

fn any_settings() -> impl Strategy<Value = Settings> {
    (0u16..5, any::<bool>(), any::<bool>(), 0u16..2).prop_map(|(book_levels, quotes, deltas_add, warm_bars)| Settings {
        instrument: Instrument { deltas_add, ..Instrument::plain() },
        book_levels,
        quote_from_book: quotes && book_levels > 0,
        warm_bars,
        ..Settings::default()
    })
}

proptest! {
    /// One message at a time through events, all of them in a few commands, and straight into the state: the same to the last byte.
    /// Its bytes are the whole of it: read back in the middle, it goes on as if nothing had been.
    #[test]
    fn there_is_one_way_to_be(tape in any_tape(), settings in any_settings()) {
        let mut by_events = Case::with(settings.clone());
        let mut straight = Market::with("paper:BTC-USD".parse().unwrap(), settings).unwrap();
        straight.revision = by_events.market.revision;
        let mut unused = Tally::default();
        for (said, passed, late, looks) in tape {
            by_events.passes(passed);
            let now = by_events.now;
            let heard = Heard { said, source_at: now - Span::millis(late), received_at: now };
            if let Err(why) = straight.take(&heard) {
                unused.count(why);
            }
            by_events.does(Command::Hear(vec![heard]));
            if looks {
                by_events.looks();
                straight.pass(now);
            }
            prop_assert_eq!(by_events.features(), straight.features(now));
            by_events.market = codec::read_large(&bytes_of(&by_events.market)).unwrap();
        }
        // Conflation is not told message by message.
        unused.0.remove(&Unused::Conflated);
        prop_assert_eq!(&by_events.market.unused, &unused);
        straight.unused = unused;
        prop_assert!(by_events.market == straight && bytes_of(&by_events.market) == bytes_of(&straight));
    }

    #[test]
    fn many_at_once_are_one_after_the_other(tape in any_tape(), settings in any_settings(), at_once in 2usize..9) {
        let (mut one_by_one, mut together) = (Case::with(settings.clone()), Case::with(settings));
        for chunk in tape.chunks(at_once) {
            let now = one_by_one.now + Span::millis(chunk[0].1.abs());
            (one_by_one.now, together.now) = (now, now);
            let heard = |(said, _, late, _): &(Said, i64, i64, bool)| {
                Heard { said: said.clone(), source_at: now - Span::millis(*late), received_at: now }
            };
            let heard: Vec<_> = chunk.iter().map(heard).collect();
            heard.iter().for_each(|one| drop(one_by_one.does(Command::Hear(vec![one.clone()]))));
            together.does(Command::Hear(heard));
        }
        for case in [&mut one_by_one, &mut together] {
            case.market.unused.0.remove(&Unused::Conflated);
        }
        prop_assert!(one_by_one.market == together.market);
    }

    /// Bars never overlap and never change order, the quote is always a good one, and the past of the book is never invented.
    #[test]
    fn what_it_says_can_be_believed(tape in any_tape(), settings in any_settings()) {
        let mut case = Case::with(settings);
        for (said, passed, late, looks) in tape {
            case.passes(passed);
            let before = case.market.quote;
            let is_bad = matches!(&said, Said::Quote(quote) if !quote.is_valid());
            case.hears_late(said, late);
            if is_bad {
                prop_assert!(case.market.quote == before, "a quote that cannot be was used");
            }
            if looks {
                case.looks();
            }
            prop_assert!(case.market.quote.is_none_or(|kept| kept.value.is_valid()));
            prop_assert!(case.market.book().and_then(Book::quote).is_none_or(|quote| quote.bid < quote.ask));
            for timeframe in Timeframe::ALL {
                let finals = case.market.bars(timeframe).finals();
                let span = timeframe.span();
                prop_assert!(finals.windows(2).all(|pair| pair[0].open_at + span <= pair[1].open_at));
                let last = finals.last().map(|bar| bar.open_at + span);
                let forming = case.market.frames().forming(timeframe).map(|bar| bar.open_at);
                prop_assert!(forming.zip(last).is_none_or(|(forming, last)| last <= forming));
            }
            prop_assert!(case.market.ticks().windows(2).all(|pair| pair[0].at <= pair[1].at));
        }
    }
}
