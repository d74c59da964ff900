//! What stands in the market, as far as the tape tells: the best prices alone or all levels.

use tidehelm_events::market::{Level, Price, Quote, Size};
use tidehelm_events::trade::Side;

/// More than this deep nothing is kept on a side.
const DEPTH_MAX: usize = 512;

/// Prices with what stands there. From a tape with the best prices alone, a level that was best before is remembered until a worse
/// price is the best.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The best at the end.
    bids: Vec<Level>,
    asks: Vec<Level>,
    /// Levels come from whole books and their changes, and quotes say nothing new.
    whole: bool,
    seq: u64,
    /// A change was missed: nothing is known until the next whole book.
    torn: bool,
}

impl Book {
    pub fn side(&self, side: Side) -> &[Level] {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
    pub fn best(&self, side: Side) -> Option<Level> {
        self.side(side).last().copied()
    }
    pub fn quote(&self) -> Option<Quote> {
        let (bid, ask) = (self.bids.last()?, self.asks.last()?);
        Some(Quote { bid: bid.price, bid_size: bid.size, ask: ask.price, ask_size: ask.size })
    }
    pub fn is_whole(&self) -> bool {
        self.whole
    }
    /// What stands at the price; None where that was never told.
    pub fn size_at(&self, side: Side, price: Price) -> Option<Size> {
        let levels = self.side(side);
        if let Some(level) = levels.iter().rev().take_while(|level| !worse(side, level.price, price)).last()
            && level.price == price
        {
            return Some(level.size);
        }
        let best = levels.last()?.price;
        let told = self.whole && levels.len() < DEPTH_MAX || worse(side, best, price);
        told.then_some(Size::ZERO)
    }

    /// The best of both sides.
    pub fn quoted(&mut self, quote: &Quote) {
        top(&mut self.bids, Side::Buy, Level { price: quote.bid, size: quote.bid_size });
        top(&mut self.asks, Side::Sell, Level { price: quote.ask, size: quote.ask_size });
    }

    pub fn told(&mut self, seq: u64, bids: &[Level], asks: &[Level]) {
        *self = Book { whole: true, seq, ..Book::default() };
        for level in bids {
            set(&mut self.bids, Side::Buy, *level);
        }
        for level in asks {
            set(&mut self.asks, Side::Sell, *level);
        }
    }

    /// Whether the change followed on what is known. `adds` where levels say by how much they changed.
    pub fn changed(&mut self, after: u64, seq: u64, bids: &[Level], asks: &[Level], adds: bool) -> bool {
        if !self.whole || self.torn || after != self.seq {
            *self = Book { whole: true, torn: true, ..Book::default() };
            return false;
        }
        self.seq = seq;
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            for level in levels {
                let mut level = *level;
                if adds {
                    level.size = level.size + self.size_at(side, level.price).unwrap_or_default();
                }
                set(if side == Side::Buy { &mut self.bids } else { &mut self.asks }, side, level);
            }
        }
        true
    }
}

/// Whether the price is worse for the other side to take: further from the middle.
pub fn worse(side: Side, price: Price, than: Price) -> bool {
    match side {
        Side::Buy => price < than,
        Side::Sell => price > than,
    }
}

fn top(levels: &mut Vec<Level>, side: Side, best: Level) {
    while let Some(last) = levels.last_mut() {
        if last.price == best.price {
            last.size = best.size;
            return;
        }
        if worse(side, last.price, best.price) {
            break;
        }
        levels.pop();
    }
    push(levels, best);
}

fn push(levels: &mut Vec<Level>, level: Level) {
    if levels.len() >= DEPTH_MAX {
        levels.drain(..DEPTH_MAX / 2);
    }
    levels.push(level);
}

fn set(levels: &mut Vec<Level>, side: Side, level: Level) {
    // From the best on, since that is where a book changes.
    let behind = levels.iter().rev().take_while(|known| worse(side, level.price, known.price)).count();
    let place = levels.len() - behind;
    let known = place > 0 && levels[place - 1].price == level.price;
    match (known, level.size.0 > 0) {
        (true, true) => levels[place - 1].size = level.size,
        (true, false) => drop(levels.remove(place - 1)),
        (false, true) if place == levels.len() => push(levels, level),
        (false, true) if levels.len() < DEPTH_MAX => levels.insert(place, level),
        (false, true) if place > 0 => {
            levels.remove(0);
            levels.insert(place - 1, level);
        }
        (false, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, size: i64) -> Level {
        Level { price: Price(price), size: Size(size) }
    }
    fn quote(bid: i64, bid_size: i64, ask: i64, ask_size: i64) -> Quote {
        Quote { bid: Price(bid), bid_size: Size(bid_size), ask: Price(ask), ask_size: Size(ask_size) }
    }

    #[test]
    fn a_level_that_was_best_is_remembered_until_a_worse_one_is() {
        let mut book = Book::default();
        book.quoted(&quote(100, 5, 103, 6));
        book.quoted(&quote(101, 3, 104, 2));
        assert_eq!(book.side(Side::Buy), [level(100, 5), level(101, 3)]);
        assert_eq!(book.side(Side::Sell), [level(104, 2)], "103 is gone");
        assert_eq!(book.size_at(Side::Buy, Price(100)), Some(Size(5)));
        assert_eq!(book.size_at(Side::Buy, Price(102)), Some(Size(0)), "better than the best");
        assert_eq!(book.size_at(Side::Buy, Price(99)), None, "never told");
        book.quoted(&quote(99, 1, 104, 2));
        assert_eq!(book.side(Side::Buy), [level(99, 1)]);
    }

    #[test]
    fn changes_follow_one_another_or_nothing_is_known() {
        let mut book = Book::default();
        assert!(!book.changed(0, 1, &[level(1, 1)], &[], false), "before any whole book");
        book.told(7, &[level(99, 1), level(98, 2)], &[level(101, 4), level(102, 1)]);
        assert_eq!(book.quote(), Some(quote(99, 1, 101, 4)));
        assert!(book.changed(7, 8, &[level(99, 0), level(97, 3)], &[level(100, 2)], false));
        assert_eq!(book.quote(), Some(quote(98, 2, 100, 2)));
        assert!(book.changed(8, 9, &[level(98, 5)], &[level(100, -1)], true), "by how much");
        assert_eq!(book.quote(), Some(quote(98, 7, 100, 1)));
        assert_eq!(book.size_at(Side::Buy, Price(90)), Some(Size(0)), "a whole book tells all");
        assert!(!book.changed(10, 11, &[], &[], false));
        assert_eq!(book.quote(), None);
        assert!(!book.changed(11, 12, &[level(1, 1)], &[], false), "until the next whole one");
        book.told(20, &[level(99, 1)], &[level(101, 4)]);
        assert!(book.changed(20, 21, &[], &[], false));
    }

    #[test]
    fn a_side_is_bounded_and_keeps_its_best() {
        let mut book = Book::default();
        let bids: Vec<Level> = (1..=2_000).map(|price| level(price, 1)).collect();
        let asks: Vec<Level> = (3_000..=5_000).map(|price| level(price, 1)).collect();
        book.told(1, &bids, &asks);
        assert!(book.side(Side::Buy).len() <= DEPTH_MAX && book.side(Side::Sell).len() <= DEPTH_MAX);
        assert_eq!(book.quote(), Some(quote(2_000, 1, 3_000, 1)));
        assert!(book.side(Side::Sell).is_sorted_by(|a, b| a.price > b.price));
    }
}
