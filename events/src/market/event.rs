//! What can happen to a market.

use super::bars::Closed;
use super::book::Broken;
use super::command::Tally;
use super::number::{Price, Size};
use super::settings::Settings;
use super::state::Phase;
use super::word::{Bar, Deal, Level, Quote, Timeframe};
use crate::event::events;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// Somebody wants a market listened to, or in another way; its settings.
        Set(Set) = 500 "market_set" v 1 Business;
        /// A market is not listened to any more. Its past stays.
        Removed(Removed) = 501 "market_removed" v 1 Business;
        /// Best prices of a market, as they survived conflation.
        QuoteSeen(QuoteSeen) = 502 "market_quote_seen" v 1 Volume;
        /// A trade of others.
        DealSeen(DealSeen) = 503 "deal_seen" v 1 Volume;
        /// The venue's mark price.
        MarkSeen(MarkSeen) = 504 "mark_seen" v 1 Volume;
        /// The price of the index that a market follows.
        IndexSeen(IndexSeen) = 505 "index_seen" v 1 Volume;
        /// What longs pay to shorts.
        FundingSeen(FundingSeen) = 506 "funding_seen" v 1 Volume;
        /// A whole book.
        BookSeen(BookSeen) = 507 "book_seen" v 1 Volume;
        /// What changed in a book.
        BookChanged(BookChanged) = 508 "book_changed" v 1 Volume;
        /// A book is believed no more; the venue is asked for a whole one.
        BookLost(BookLost) = 509 "book_lost" v 1 Volume;
        /// Bars came to their end.
        BarsClosed(BarsClosed) = 510 "bars_closed" v 1 Volume;
        /// Bars of before the market was listened to, as far as they were lacking.
        BarsSeeded(BarsSeeded) = 511 "bars_seeded" v 1 Volume;
        /// A market became warm or stale, or is being warmed up.
        PhaseChanged(PhaseChanged) = 512 "market_phase_changed" v 1 Business;
        /// How much of what was heard was not used, by reason.
        UnusedCounted(UnusedCounted) = 513 "market_unused_counted" v 1 Telemetry;
        /// A message of the venue as it came.
        RawSeen(RawSeen) = 514 "market_raw_seen" v 1 Telemetry;
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

// `source_at` is the venue's time and `received_at` ours. Neither is rewritten, wherever the event is copied to.
payloads! {
    Set { settings: Box<Settings> }
    Removed {}
    QuoteSeen { quote: Quote, source_at: Timestamp, received_at: Timestamp }
    DealSeen { deal: Deal, source_at: Timestamp, received_at: Timestamp }
    MarkSeen { price: Price, source_at: Timestamp, received_at: Timestamp }
    IndexSeen { price: Price, source_at: Timestamp, received_at: Timestamp }
    FundingSeen { rate: Size, due_at: Option<Timestamp>, source_at: Timestamp, received_at: Timestamp }
    BookSeen { seq: u64, bids: Vec<Level>, asks: Vec<Level>, source_at: Timestamp, received_at: Timestamp }
    BookChanged {
        after: u64,
        seq: u64,
        bids: Vec<Level>,
        asks: Vec<Level>,
        source_at: Timestamp,
        received_at: Timestamp,
    }
    BookLost { why: Broken }
    /// The longer ones after the shorter.
    BarsClosed { closed: Vec<Closed> }
    BarsSeeded {
        timeframe: Timeframe,
        bars: Vec<Bar>,
        /// What ends later is forming.
        now: Timestamp,
    }
    PhaseChanged { old: Phase, new: Phase }
    UnusedCounted { unused: Tally }
    RawSeen {
        text: String,
        /// In bytes; more than the text has where it was cut.
        length: u64,
        received_at: Timestamp,
    }
}

/// One of every kind, in the order of their numbers, no two fields alike.
#[cfg(test)]
pub(crate) fn samples() -> Vec<Event> {
    use super::command::Unused;
    use super::number::{Bps, Cash};
    use super::word::{DealKind, Instrument};
    use crate::sample::START;
    use crate::time::Span;
    use crate::trade::Side;

    let (source_at, received_at) = (START, START + Span::millis(12));
    let level = |price: i64, size: i64| Level { price: Price::whole(price), size: Size::whole(size) };
    let instrument = Instrument {
        tick: Price(100_000_000),
        step: Size(1_000_000),
        size_min: Size(10_000_000),
        size_max: Some(Size::whole(50)),
        notional_min: Some(Cash::whole(5)),
        pip: Price::ONE,
        fee_maker: -50,
        fee_taker: 450,
        deltas_add: true,
    };
    let settings = Settings {
        instrument,
        conflate_ms: 250,
        conflate_bps: Bps(500_000_000),
        stale_ms: 4_000,
        reference_stale_ms: 20_000,
        warm_ms: 15_000,
        warm_bars: 30,
        book_levels: 40,
        quote_from_book: true,
        keep_raw: true,
    };
    let bar = Bar {
        open_at: Timeframe::M5.open_of(START),
        open: Price::whole(50_000),
        high: Price::whole(50_020),
        low: Price::whole(49_990),
        close: Price::whole(50_010),
        ticks: 17,
    };
    let deal = Deal {
        id: "7781".into(),
        taker: Some(Side::Sell),
        price: Price(49_999_500_000_000),
        size: Size(250_000_000),
        kind: DealKind::Liquidation,
    };
    let quote = Quote {
        bid: Price::whole(50_000),
        bid_size: Size(1_500_000_000),
        ask: Price::whole(50_001),
        ask_size: Size(700_000_000),
    };
    let (bids, asks) = (vec![level(50_000, 2), level(49_999, 3)], vec![level(50_001, 4)]);
    let mut unused = Tally::default();
    [(Unused::Conflated, 412), (Unused::Crossed, 2)].into_iter().for_each(|(why, times)| unused.add(why, times));
    vec![
        Event::Set(Set { settings: Box::new(settings) }),
        Event::Removed(Removed {}),
        Event::QuoteSeen(QuoteSeen { quote, source_at, received_at }),
        Event::DealSeen(DealSeen { deal, source_at, received_at }),
        Event::MarkSeen(MarkSeen { price: Price::whole(50_002), source_at, received_at }),
        Event::IndexSeen(IndexSeen { price: Price::whole(50_003), source_at, received_at }),
        Event::FundingSeen(FundingSeen {
            rate: Size(12_500),
            due_at: Some(START + Span::hours(3)),
            source_at,
            received_at,
        }),
        Event::BookSeen(BookSeen { seq: 900, bids: bids.clone(), asks: asks.clone(), source_at, received_at }),
        Event::BookChanged(BookChanged { after: 900, seq: 903, bids: asks, asks: bids, source_at, received_at }),
        Event::BookLost(BookLost { why: Broken::Gap }),
        Event::BarsClosed(BarsClosed { closed: vec![Closed { timeframe: Timeframe::M5, bar, whole: true }] }),
        Event::BarsSeeded(BarsSeeded { timeframe: Timeframe::M5, bars: vec![bar], now: START }),
        Event::PhaseChanged(PhaseChanged { old: Phase::Seeding, new: Phase::Warm }),
        Event::UnusedCounted(UnusedCounted { unused }),
        Event::RawSeen(RawSeen { text: "{\"e\":\"trade\"}".into(), length: 13, received_at }),
    ]
}
