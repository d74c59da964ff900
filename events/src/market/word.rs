//! What a venue says of a market, and what it asks of orders there.

use super::number::{Price, Size};
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use serde::{Deserialize, Serialize};

/// The best prices of a book and how much stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub bid: Price,
    pub bid_size: Size,
    pub ask: Price,
    pub ask_size: Size,
}

impl Quote {
    /// Above zero, not crossed, with sizes that are none below zero. A locked one (bid = ask) is not used either.
    pub fn is_valid(&self) -> bool {
        self.bid.0 > 0 && self.bid < self.ask && self.bid_size.0 >= 0 && self.ask_size.0 >= 0
    }
    /// Twice the middle, so that nothing is rounded.
    pub fn mid_twice(&self) -> i128 {
        i128::from(self.bid.0) + i128::from(self.ask.0)
    }
    /// The middle, rounded down to a billionth.
    pub fn mid(&self) -> Price {
        Price(self.mid_twice().div_euclid(2) as i64)
    }
    pub fn spread(&self) -> Price {
        self.ask - self.bid
    }
    pub fn best(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.bid,
            Side::Sell => self.ask,
        }
    }
}

/// A trade of others that the venue tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// The venue's own name of it; the same one told twice is one.
    pub id: Box<str>,
    /// Who took, where the venue says so.
    pub taker: Option<Side>,
    pub price: Price,
    pub size: Size,
    pub kind: DealKind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DealKind {
    #[default]
    Normal,
    /// Somebody was liquidated.
    Liquidation,
    /// Somebody's position was reduced against his will.
    Deleveraging,
}

/// One price of a book and how much stands there; no size takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub price: Price,
    pub size: Size,
}

/// What a venue said, before anything was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Quote(Quote),
    Deal(Deal),
    Mark(Price),
    Index(Price),
    /// What longs pay to shorts, in billionths of the position, and when it is due.
    Funding {
        rate: Size,
        due_at: Option<Timestamp>,
    },
    /// The whole book, at the venue's number.
    BookWhole {
        seq: u64,
        bids: Vec<Level>,
        asks: Vec<Level>,
    },
    /// What changed in the book between the venue's numbers.
    BookChanged {
        after: u64,
        seq: u64,
        bids: Vec<Level>,
        asks: Vec<Level>,
    },
}

/// What a venue said, when it said so by its own clock, and when it came in by ours. Nobody rewrites either time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub said: Said,
    pub source_at: Timestamp,
    pub received_at: Timestamp,
}

/// A quote that was kept, and when it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub at: Timestamp,
    pub bid: Price,
    pub ask: Price,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timeframe {
    M1,
    M5,
    H1,
    H4,
    D1,
}

impl Timeframe {
    pub const ALL: [Timeframe; 5] = [Timeframe::M1, Timeframe::M5, Timeframe::H1, Timeframe::H4, Timeframe::D1];

    pub const fn span(self) -> Span {
        Span::seconds(match self {
            Timeframe::M1 => 60,
            Timeframe::M5 => 300,
            Timeframe::H1 => 3_600,
            Timeframe::H4 => 14_400,
            Timeframe::D1 => 86_400,
        })
    }
    /// When the bar began that the time is in, in UTC.
    pub const fn open_of(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_euclid(self.span().0) * self.span().0)
    }
}

/// What the middle did in a stretch of time. A stretch without a quote has no bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub open_at: Timestamp,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// Quotes in it.
    pub ticks: u32,
}

/// What a venue asks of orders in a market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Prices are multiples of it.
    pub tick: Price,
    /// Sizes are multiples of it.
    pub step: Size,
    pub size_min: Size,
    pub size_max: Option<Size>,
    /// What a price times a size is at least, in the quote currency.
    pub notional_min: Option<super::Cash>,
    /// One pip, for strategies that reckon in pips.
    pub pip: Price,
    /// What of an amount a maker and a taker pays, in hundredths of a basis point; below zero where one is paid.
    pub fee_maker: i32,
    pub fee_taker: i32,
    /// Levels of the book changes: sizes as they are now, or by how much they changed.
    pub deltas_add: bool,
}

impl Instrument {
    /// One that any price and size fits.
    pub fn plain() -> Self {
        Instrument {
            tick: Price(1),
            step: Size(1),
            size_min: Size(1),
            size_max: None,
            notional_min: None,
            pip: Price(100_000),
            fee_maker: 0,
            fee_taker: 0,
            deltas_add: false,
        }
    }
}

/// How old something is by the venue's clock and ours, whichever says older.
pub fn age(now: Timestamp, source_at: Timestamp, received_at: Timestamp) -> Span {
    let (ours, theirs) = (now.since(received_at), now.since(source_at));
    if ours.0 > theirs.0 { ours } else { theirs }
}
