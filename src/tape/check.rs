//! What cannot be in a tape, and what may be overlooked.

use super::{Fault, Word, Words};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use tidehelm_events::id::MarketId;
use tidehelm_events::market::{Heard, Price, Said};
use tidehelm_events::time::{Span, Timestamp};

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Its bid is at or above its ask.
    Crossed,
    /// A price is not above zero, or a size is below it.
    Negative,
    /// It came in before the row before it.
    Unsorted,
    /// The same row, or the same deal, again.
    Duplicate,
    /// Nothing came in before it for longer than allowed.
    Gap,
}

impl Flaw {
    pub const ALL: [Flaw; 5] = [Flaw::Crossed, Flaw::Negative, Flaw::Unsorted, Flaw::Duplicate, Flaw::Gap];

    pub fn code(self) -> &'static str {
        match self {
            Flaw::Crossed => "CROSSED",
            Flaw::Negative => "NEGATIVE",
            Flaw::Unsorted => "UNSORTED",
            Flaw::Duplicate => "DUPLICATE",
            Flaw::Gap => "GAP",
        }
    }
}
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Crossed => "has a bid at or above its ask",
            Flaw::Negative => "has a price that is not above zero, or a size below it",
            Flaw::Unsorted => "came in before the row before it: sort the file by `received_at`",
            Flaw::Duplicate => "was there before",
            Flaw::Gap => "comes after a silence that is longer than allowed",
        })
    }
}

/// What is asked of a tape.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A longer silence of a market is a gap; None: no silence is.
    pub gap: Option<Span>,
    /// These are counted and do not end the reading. A word after a gap is used; one with another flaw is not.
    pub overlook: Vec<Flaw>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { gap: Some(Span::seconds(60)), overlook: Vec::new() }
    }
}

/// How many words were used, and what was overlooked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub words: u64,
    pub flaws: BTreeMap<Flaw, u64>,
    /// When the first and the last word came in.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// Words of which each can be, in the order in which they came in.
pub struct Checked {
    words: Words,
    rules: Rules,
    rows: u64,
    markets: BTreeMap<Arc<MarketId>, Before>,
    last: Option<Timestamp>,
    found: Found,
    failed: bool,
}

/// What is known of the words of a market so far.
#[derive(Default)]
struct Before {
    at: Option<Timestamp>,
    /// The last words that came in at one time.
    same_time: Vec<Heard>,
    deals: HashSet<Box<str>>,
    order: VecDeque<Box<str>>,
}

/// Deals by which a repeat is known.
const DEALS_MAX: usize = 65_536;
const SAME_TIME_MAX: usize = 64;

impl Checked {
    pub fn new(words: Words, rules: Rules) -> Self {
        let found = Found::default();
        Checked { words, rules, rows: 0, markets: BTreeMap::new(), last: None, found, failed: false }
    }
    /// What was found so far.
    pub fn found(&self) -> &Found {
        &self.found
    }

    fn take(&mut self, word: Word) -> Result<Option<Word>, Fault> {
        self.rows += 1;
        let row = self.rows;
        let flaw = self.flaw_of(&word);
        if let Some(flaw) = flaw {
            if !self.rules.overlook.contains(&flaw) {
                return Err(Fault::Flawed { row, flaw });
            }
            *self.found.flaws.entry(flaw).or_default() += 1;
        }
        if flaw.is_some_and(|flaw| flaw != Flaw::Gap) {
            return Ok(None);
        }
        let at = word.heard.received_at;
        self.last = Some(at);
        self.markets.entry(word.market.clone()).or_default().learn(&word.heard);
        self.found.words += 1;
        self.found.span = Some((self.found.span.map_or(at, |(first, _)| first), at));
        Ok(Some(word))
    }

    /// The first in this order: what cannot be, what came before its time, what was there, what is missing.
    fn flaw_of(&self, word: &Word) -> Option<Flaw> {
        let at = word.heard.received_at;
        if let Some(flaw) = flaw_alone(&word.heard.said) {
            return Some(flaw);
        }
        if self.last.is_some_and(|last| at < last) {
            return Some(Flaw::Unsorted);
        }
        let before = self.markets.get(&word.market)?;
        if before.had(&word.heard) {
            return Some(Flaw::Duplicate);
        }
        let silence = at.since(before.at?);
        self.rules.gap.is_some_and(|most| silence > most).then_some(Flaw::Gap)
    }
}

impl Iterator for Checked {
    type Item = Result<Word, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let taken = self.words.next()?.and_then(|word| self.take(word));
            self.failed = taken.is_err();
            match taken {
                Ok(None) => {}
                Ok(Some(word)) => return Some(Ok(word)),
                Err(fault) => return Some(Err(fault)),
            }
        }
        None
    }
}

impl Before {
    fn had(&self, heard: &Heard) -> bool {
        let again = |deal: &tidehelm_events::market::Deal| !deal.id.is_empty() && self.deals.contains(&deal.id);
        match &heard.said {
            // Two deals without a name may be two deals, however alike they are.
            Said::Deal(deal) => again(deal),
            _ => self.same_time.contains(heard),
        }
    }

    fn learn(&mut self, heard: &Heard) {
        if self.at != Some(heard.received_at) || self.same_time.len() >= SAME_TIME_MAX {
            self.same_time.clear();
        }
        self.at = Some(heard.received_at);
        match &heard.said {
            Said::Deal(deal) if !deal.id.is_empty() => {
                if self.order.len() >= DEALS_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.deals.remove(&oldest);
                }
                self.deals.insert(deal.id.clone());
                self.order.push_back(deal.id.clone());
            }
            Said::Deal(_) => {}
            _ => self.same_time.push(heard.clone()),
        }
    }
}

/// What cannot be, whatever came before it. Sizes of book changes may be below zero, where a venue tells them so.
fn flaw_alone(said: &Said) -> Option<Flaw> {
    let bad = |price: Price| price.0 <= 0;
    let negative = match said {
        Said::Quote(quote) => bad(quote.bid) || bad(quote.ask) || quote.bid_size.0 < 0 || quote.ask_size.0 < 0,
        Said::Deal(deal) => bad(deal.price) || deal.size.0 <= 0,
        Said::Mark(price) | Said::Index(price) => bad(*price),
        Said::Funding { .. } => false,
        Said::BookWhole { bids, asks, .. } => bids.iter().chain(asks).any(|level| bad(level.price) || level.size.0 < 0),
        Said::BookChanged { bids, asks, .. } => bids.iter().chain(asks).any(|level| bad(level.price)),
    };
    if negative {
        return Some(Flaw::Negative);
    }
    let crossed = match said {
        Said::Quote(quote) => quote.bid >= quote.ask,
        Said::BookWhole { bids, asks, .. } => {
            let best_bid = bids.iter().filter(|level| level.size.0 > 0).map(|level| level.price).max();
            let best_ask = asks.iter().filter(|level| level.size.0 > 0).map(|level| level.price).min();
            best_bid.zip(best_ask).is_some_and(|(bid, ask)| bid >= ask)
        }
        Said::Deal(_) | Said::Mark(_) | Said::Index(_) | Said::Funding { .. } | Said::BookChanged { .. } => false,
    };
    crossed.then_some(Flaw::Crossed)
}
