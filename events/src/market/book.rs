//! The book of a market: what stands at which price.

use super::number::{Price, Size};
use super::word::{Level, Quote};
use serde::{Deserialize, Serialize};

/// Prices of both sides, at the venue's number. Beyond the last level of a side that was cut off, nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    pub seq: u64,
    bids: Half,
    asks: Half,
}

/// Levels from the worst to the best, so that most changes are near the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Half {
    levels: Vec<Level>,
    /// What is worse than this is not known.
    known_to: Option<Price>,
}

/// Why a book is not believed any more. Only a whole one helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// Changes are missing.
    Gap,
    /// A bid at or above an ask.
    Crossed,
    /// Less than nothing stands somewhere, or a price is not above zero, or one is told twice.
    Invalid,
    /// A side ran out of the levels that were known.
    RanOut,
    /// It is to be kept in another way.
    Reset,
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq)]
enum Better {
    Higher,
    Lower,
}

impl Better {
    /// A number that grows as the price gets better.
    fn rank(self, price: Price) -> i64 {
        match self {
            Better::Higher => price.0,
            Better::Lower => -price.0,
        }
    }
}

/// The most levels of a side that a message may have.
pub(super) const LEVELS_MAX: usize = 10_000;

impl Book {
    pub(super) fn whole(seq: u64, bids: &[Level], asks: &[Level], levels_max: usize) -> Result<Book, Broken> {
        let book = Book {
            seq,
            bids: Half::whole(bids, Better::Higher, levels_max)?,
            asks: Half::whole(asks, Better::Lower, levels_max)?,
        };
        book.checked()
    }

    /// The changes between the venue's numbers. What is at or before ours was known; the first after a whole one may reach back
    /// where sizes are told as they are.
    pub(super) fn follows(&self, after: u64, seq: u64, adds: bool) -> Result<bool, Broken> {
        if seq <= self.seq {
            return Ok(false);
        }
        if after == self.seq || after < self.seq && !adds { Ok(true) } else { Err(Broken::Gap) }
    }

    /// On an error the book is of no use any more.
    pub(super) fn change(
        &mut self,
        seq: u64,
        bids: &[Level],
        asks: &[Level],
        adds: bool,
        levels_max: usize,
    ) -> Result<(), Broken> {
        self.bids.change(bids, Better::Higher, adds, levels_max)?;
        self.asks.change(asks, Better::Lower, adds, levels_max)?;
        self.seq = seq;
        if self.is_crossed() { Err(Broken::Crossed) } else { Ok(()) }
    }

    /// Best first.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = &Level> {
        self.bids.levels.iter().rev()
    }
    pub fn asks(&self) -> impl ExactSizeIterator<Item = &Level> {
        self.asks.levels.iter().rev()
    }
    /// The best of both sides, where there are both.
    pub fn quote(&self) -> Option<Quote> {
        let (bid, ask) = (self.bids.levels.last()?, self.asks.levels.last()?);
        Some(Quote { bid: bid.price, bid_size: bid.size, ask: ask.price, ask_size: ask.size })
    }

    fn is_crossed(&self) -> bool {
        self.quote().is_some_and(|quote| quote.bid >= quote.ask)
    }
    fn checked(self) -> Result<Book, Broken> {
        if self.is_crossed() { Err(Broken::Crossed) } else { Ok(self) }
    }
}

impl Half {
    fn whole(told: &[Level], better: Better, levels_max: usize) -> Result<Half, Broken> {
        let mut levels: Vec<Level> = told.iter().filter(|level| !level.size.is_zero()).copied().collect();
        if levels.iter().any(|level| level.price.0 <= 0 || level.size.0 < 0) {
            return Err(Broken::Invalid);
        }
        levels.sort_by_key(|level| better.rank(level.price));
        if levels.windows(2).any(|pair| pair[0].price == pair[1].price) {
            return Err(Broken::Invalid);
        }
        let mut half = Half { levels, known_to: None };
        half.cut(levels_max);
        Ok(half)
    }

    fn change(&mut self, told: &[Level], better: Better, adds: bool, levels_max: usize) -> Result<(), Broken> {
        for level in told {
            self.change_one(level, better, adds)?;
        }
        self.cut(levels_max);
        if self.levels.is_empty() && self.known_to.is_some() { Err(Broken::RanOut) } else { Ok(()) }
    }

    fn change_one(&mut self, told: &Level, better: Better, adds: bool) -> Result<(), Broken> {
        if told.price.0 <= 0 {
            return Err(Broken::Invalid);
        }
        let rank = better.rank(told.price);
        if self.known_to.is_some_and(|edge| rank < better.rank(edge)) {
            return Ok(());
        }
        let found = self.place(rank, better);
        let stood = found.map_or(0, |at| self.levels[at].size.0);
        let size = if adds { stood.checked_add(told.size.0).ok_or(Broken::Invalid)? } else { told.size.0 };
        match (found, size) {
            (_, ..0) => return Err(Broken::Invalid),
            (Ok(at), 0) => drop(self.levels.remove(at)),
            (Err(_), 0) => {}
            (Ok(at), size) => self.levels[at].size = Size(size),
            (Err(at), size) => self.levels.insert(at, Level { price: told.price, size: Size(size) }),
        }
        Ok(())
    }

    /// From the best on: a change is nearly always near it.
    fn place(&self, rank: i64, better: Better) -> Result<usize, usize> {
        for (at, level) in self.levels.iter().enumerate().rev().take(8) {
            match better.rank(level.price).cmp(&rank) {
                std::cmp::Ordering::Equal => return Ok(at),
                std::cmp::Ordering::Less => return Err(at + 1),
                std::cmp::Ordering::Greater => {}
            }
        }
        self.levels.binary_search_by_key(&rank, |level| better.rank(level.price))
    }

    /// Keeps the best.
    fn cut(&mut self, levels_max: usize) {
        if self.levels.len() > levels_max {
            self.levels.drain(..self.levels.len() - levels_max);
            self.known_to = self.levels.first().map(|worst| worst.price);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn level(price: i64, size: i64) -> Level {
        Level { price: Price(price), size: Size(size) }
    }

    fn book() -> Book {
        Book::whole(7, &[level(99, 5), level(100, 3)], &[level(103, 2), level(102, 4)], 100).unwrap()
    }

    #[test]
    fn changes_follow_in_the_venues_order() {
        let book = book();
        for (after, seq, adds, expected) in [
            (7, 8, false, Ok(true)),
            (7, 9, true, Ok(true)),
            (5, 7, false, Ok(false)),
            (5, 9, false, Ok(true)),
            (5, 9, true, Err(Broken::Gap)),
            (8, 9, false, Err(Broken::Gap)),
        ] {
            assert_eq!(book.follows(after, seq, adds), expected, "after {after} to {seq}, adds {adds}");
        }
    }

    #[test]
    fn what_a_change_means_is_the_venues_way() {
        let (mut absolute, mut additive) = (book(), book());
        absolute.change(8, &[level(100, 2)], &[level(102, 0)], false, 100).unwrap();
        additive.change(8, &[level(100, 2)], &[level(102, -4)], true, 100).unwrap();
        assert_eq!(absolute.bids().copied().collect::<Vec<_>>(), [level(100, 2), level(99, 5)]);
        assert_eq!(additive.bids().copied().collect::<Vec<_>>(), [level(100, 5), level(99, 5)]);
        assert_eq!(absolute.asks().copied().collect::<Vec<_>>(), [level(103, 2)]);
        assert_eq!(additive.asks().copied().collect::<Vec<_>>(), [level(103, 2)]);
    }

    #[test]
    fn a_book_that_cannot_be_is_broken() {
        let change = |bids: &[Level], asks: &[Level], adds| book().change(8, bids, asks, adds, 100);
        assert_eq!(change(&[level(102, 1)], &[], false), Err(Broken::Crossed));
        assert_eq!(change(&[level(99, -6)], &[], true), Err(Broken::Invalid));
        assert_eq!(change(&[level(99, -1)], &[], false), Err(Broken::Invalid));
        assert_eq!(change(&[], &[level(0, 1)], false), Err(Broken::Invalid));
        assert_eq!(change(&[level(100, i64::MAX)], &[], true), Err(Broken::Invalid));
        assert_eq!(Book::whole(1, &[level(5, 1)], &[level(5, 1)], 9), Err(Broken::Crossed));
        assert_eq!(Book::whole(1, &[level(5, 1), level(5, 2)], &[], 9), Err(Broken::Invalid));
    }

    #[test]
    fn a_side_that_was_cut_runs_out() {
        let bids: Vec<_> = (1..=10).map(|price| level(price, 1)).collect();
        let mut book = Book::whole(1, &bids, &[level(20, 1)], 3).unwrap();
        assert_eq!(book.bids().map(|level| level.price.0).collect::<Vec<_>>(), [10, 9, 8]);
        book.change(2, &[level(7, 9)], &[], false, 3).unwrap();
        assert_eq!(book.bids().len(), 3, "what is beyond is not known, whatever is told of it");
        book.change(3, &[level(10, 0), level(9, 0)], &[], false, 3).unwrap();
        assert_eq!(book.change(4, &[level(8, 0)], &[], false, 3), Err(Broken::RanOut));
    }

    proptest! {
        /// Against a book that is nothing but two maps: the same levels where ours knows, in the venue's own meaning.
        #[test]
        fn it_is_the_book_that_somebody_else_builds(
            changes in prop::collection::vec((any::<bool>(), 0i64..30, -6i64..12), 1..150),
            adds in any::<bool>(),
            levels_max in prop::sample::select(vec![4usize, 100]),
        ) {
            let start: Vec<_> = (80..100).map(|price| level(price, 5)).collect();
            let stop: Vec<_> = (110..130).map(|price| level(price, 5)).collect();
            let mut ours = Book::whole(0, &start, &stop, levels_max).unwrap();
            let mut sides = [start, stop].map(|side| side.iter().map(|one| (one.price.0, one.size.0)).collect::<BTreeMap<_, _>>());
            for (number, (bid, offset, size)) in changes.into_iter().enumerate() {
                let price = if bid { 75 + offset } else { 135 - offset };
                let theirs = &mut sides[usize::from(!bid)];
                let size = if adds { size } else { size.max(0) };
                let stands = if adds { theirs.get(&price).copied().unwrap_or(0) + size } else { size };
                if stands < 0 {
                    continue;
                }
                if stands == 0 { theirs.remove(&price); } else { theirs.insert(price, stands); }
                let told = [level(price, size)];
                let (bids, asks): (&[Level], &[Level]) = if bid { (&told, &[]) } else { (&[], &told) };
                let crossed = sides[0].keys().next_back() >= sides[1].keys().next() && sides.iter().all(|side| !side.is_empty());
                let result = ours.change(number as u64 + 1, bids, asks, adds, levels_max);
                if crossed || result.is_err() {
                    prop_assert!(result == Err(Broken::Crossed) && crossed || result == Err(Broken::RanOut) && levels_max == 4);
                    return Ok(());
                }
                let expected: Vec<_> = sides[0].iter().rev().take(ours.bids().len()).map(|(p, s)| level(*p, *s)).collect();
                prop_assert_eq!(ours.bids().copied().collect::<Vec<_>>(), expected);
                let expected: Vec<_> = sides[1].iter().take(ours.asks().len()).map(|(p, s)| level(*p, *s)).collect();
                prop_assert_eq!(ours.asks().copied().collect::<Vec<_>>(), expected);
                if levels_max == 100 {
                    prop_assert_eq!((ours.bids().len(), ours.asks().len()), (sides[0].len(), sides[1].len()));
                }
                let mut bytes = Vec::new();
                codec::write(&ours, &mut bytes);
                prop_assert_eq!(&codec::read::<Book>(&bytes).unwrap(), &ours);
            }
        }
    }
}
