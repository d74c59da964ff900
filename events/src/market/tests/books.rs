//! The book in the stream: what it follows, when it is lost, and the quotes that it makes.

use super::*;

fn levels(from: &[(i64, i64)]) -> Vec<Level> {
    from.iter().map(|(price, size)| Level { price: Price::whole(*price), size: Size::whole(*size) }).collect()
}
fn whole(seq: u64) -> Said {
    Said::BookWhole { seq, bids: levels(&[(99, 5), (100, 3)]), asks: levels(&[(102, 4), (103, 1)]) }
}
fn change(after: u64, seq: u64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Said {
    Said::BookChanged { after, seq, bids: levels(bids), asks: levels(asks) }
}
fn with_book() -> Case {
    Case::with(Settings { book_levels: 10, quote_from_book: true, ..Settings::default() })
}

#[test]
fn changes_that_miss_something_want_a_whole_book() {
    let mut case = with_book();
    assert!(case.market.wants_book());
    assert_eq!(case.hears(change(1, 2, &[], &[])), ["market_unused_counted"]);
    assert_eq!(case.hears(whole(7)), ["book_seen", "market_quote_seen", "market_phase_changed"]);
    assert!(!case.market.wants_book());
    assert_eq!(case.hears(change(7, 8, &[(100, 1)], &[])), ["book_changed"], "its middle is where it was");
    assert_eq!(case.hears(change(7, 8, &[(100, 9)], &[])), ["market_unused_counted"], "told again");
    assert_eq!(case.market.book().unwrap().bids().next().unwrap().size, Size::whole(1));
    assert_eq!(case.hears(change(9, 10, &[], &[])), ["book_lost", "market_unused_counted"]);
    assert_eq!((case.market.wants_book(), case.market.book_lost), (true, Some(Broken::Gap)));
    assert_eq!(case.hears(change(10, 11, &[], &[])), ["market_unused_counted"], "one event for one loss");
    assert_eq!(case.hears(whole(12)), ["book_seen"]);
    assert_eq!((case.market.wants_book(), case.market.book_lost), (false, None));
    let counts = [Unused::BookMissing, Unused::BookOld, Unused::BookGap].map(|why| case.market.unused.of(why));
    assert_eq!(counts, [2, 1, 1]);
}

#[test]
fn the_best_of_a_book_are_quotes() {
    let mut case = with_book();
    case.hears(whole(1));
    assert_eq!(case.market.quote.unwrap().value, {
        let (bid, ask) = (Price::whole(100), Price::whole(102));
        Quote { bid, bid_size: Size::whole(3), ask, ask_size: Size::whole(4) }
    });
    case.passes(10);
    assert_eq!(case.hears(change(1, 2, &[(101, 1)], &[])), ["book_changed", "market_quote_seen"]);
    assert_eq!(case.market.quote.unwrap().value.bid, Price::whole(101));
    assert_eq!(case.market.freshness(case.now).book, Some(Span(0)));
    // A side that is empty makes no quote, and the last one grows old.
    case.passes(1_000);
    assert_eq!(case.hears(change(2, 3, &[(101, 0), (100, 0), (99, 0)], &[])), ["book_changed"]);
    assert_eq!(case.features().quote_age, Some(Span::seconds(1)));
}

#[test]
fn a_book_that_cannot_be_is_lost() {
    for (said, why) in [
        (change(1, 2, &[(102, 1)], &[]), Broken::Crossed),
        (change(1, 2, &[(99, -1)], &[]), Broken::Invalid),
        (Said::BookWhole { seq: 2, bids: levels(&[(5, 1)]), asks: levels(&[(5, 1)]) }, Broken::Crossed),
        (Said::BookWhole { seq: 2, bids: levels(&[(5, 1); 10_001]), asks: vec![] }, Broken::Invalid),
    ] {
        let mut case = with_book();
        case.hears(whole(1));
        assert_eq!(case.hears(said), ["book_lost", "market_unused_counted"]);
        assert_eq!(case.market.book_lost, Some(why));
    }
    let mut case = with_book();
    case.hears(whole(1));
    case.does(Command::Set(Box::new(Settings { book_levels: 5, ..Settings::default() })));
    assert_eq!((case.market.wants_book(), case.market.book_lost), (true, Some(Broken::Reset)));
}
