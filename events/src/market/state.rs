//! What a market remembers.

use super::bars::{Bars, Closed, Frames};
use super::book::{Book, Broken};
use super::command::Tally;
use super::event::Event;
use super::features::Features;
use super::flow::Flow;
use super::number::{Price, Size};
use super::settings::Settings;
use super::volatility::Volatility;
use super::window::{Lately, Window};
use super::word::{Deal, DealKind, Level, Quote, Tick, Timeframe, age};
use crate::id::{MarketId, Version};
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use serde::{Deserialize, Serialize};

/// Ticks are kept for so long …
pub const TICKS_SPAN: Span = Span::seconds(90);
/// … and no more than so many.
pub const TICKS_MAX: usize = 8_192;

/// How far a market is heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing fresh was ever heard.
    #[default]
    Cold,
    /// It is heard, and the windows fill.
    Seeding,
    /// Strategies may start.
    Warm,
    /// It was heard, and is silent.
    Stale,
}

/// Something that the venue said, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept<T> {
    pub value: T,
    pub source_at: Timestamp,
    pub received_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    pub rate: Size,
    pub due_at: Option<Timestamp>,
}

/// How old the last of each is, by the venue's clock or ours, whichever says older. None was never heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    pub quote: Option<Span>,
    pub deal: Option<Span>,
    pub mark: Option<Span>,
    pub index: Option<Span>,
    pub funding: Option<Span>,
    pub book: Option<Span>,
}

/// How much was kept since the market is listened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub quotes: u64,
    pub deals: u64,
    pub marks: u64,
    pub indices: u64,
    pub fundings: u64,
    pub books: u64,
    pub book_changes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Market {
    pub id: MarketId,
    /// None: nobody wants it listened to.
    pub settings: Option<Box<Settings>>,
    pub phase: Phase,
    pub phase_since: Timestamp,
    /// Since when it has been heard without a break.
    pub(super) heard_since: Option<Timestamp>,
    /// When the last thing came in. It does not go back where a clock does.
    clock: Timestamp,
    pub quote: Option<Kept<Quote>>,
    pub mark: Option<Kept<Price>>,
    pub index: Option<Kept<Price>>,
    pub funding: Option<Kept<Funding>>,
    deal: Option<Kept<()>>,
    pub(super) book: Option<Kept<Book>>,
    /// Why there is none, where there was one.
    pub book_lost: Option<Broken>,
    pub(super) frames: Frames,
    ticks: Window<Tick>,
    flow: Flow,
    volatility: Volatility,
    pub(super) deals: Lately,
    pub counts: Counts,
    pub unused: Tally,
    /// Version of the last event that a person caused; what `If-Match` compares.
    pub revision: Version,
}

impl<T> Kept<T> {
    pub fn age(&self, now: Timestamp) -> Span {
        age(now, self.source_at, self.received_at)
    }
    /// When it was true, as far as both clocks go: a venue's clock that is ahead does not make it newer than its coming.
    fn when(&self) -> Timestamp {
        self.source_at.min(self.received_at)
    }
    pub(super) fn is_newer_than(&self, source_at: Timestamp, received_at: Timestamp) -> bool {
        self.when() > source_at.min(received_at)
    }
}

impl Market {
    pub fn new(id: MarketId) -> Self {
        Market {
            id,
            settings: None,
            phase: Phase::Cold,
            phase_since: Timestamp::ZERO,
            heard_since: None,
            clock: Timestamp::ZERO,
            quote: None,
            mark: None,
            index: None,
            funding: None,
            deal: None,
            book: None,
            book_lost: None,
            frames: Frames::default(),
            ticks: Window::default(),
            flow: Flow::default(),
            volatility: Volatility::default(),
            deals: Lately::default(),
            counts: Counts::default(),
            unused: Tally::default(),
            revision: Version(0),
        }
    }

    /// One that is listened to and that no log has, for a replay of a tape.
    pub fn with(id: MarketId, settings: Settings) -> Result<Self, super::Refusal> {
        let settings = Some(Box::new(settings.checked()?));
        Ok(Market { settings, ..Market::new(id) })
    }

    /// Quotes of at least the last minute, oldest first.
    pub fn ticks(&self) -> &[Tick] {
        self.ticks.as_slice()
    }
    pub fn bars(&self, timeframe: Timeframe) -> &Bars {
        self.frames.of(timeframe)
    }
    pub fn frames(&self) -> &Frames {
        &self.frames
    }
    /// The book, while it is believed.
    pub fn book(&self) -> Option<&Book> {
        self.book.as_ref().map(|kept| &kept.value)
    }
    /// The venue is to be asked for a whole book.
    pub fn wants_book(&self) -> bool {
        self.book.is_none() && self.settings.as_ref().is_some_and(|settings| settings.book_levels > 0)
    }
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        Freshness {
            quote: self.quote.map(|kept| kept.age(now)),
            deal: self.deal.map(|kept| kept.age(now)),
            mark: self.mark.map(|kept| kept.age(now)),
            index: self.index.map(|kept| kept.age(now)),
            funding: self.funding.map(|kept| kept.age(now)),
            book: self.book.as_ref().map(|kept| kept.age(now)),
        }
    }

    /// What the market is like now: it changes nothing, and asking twice gives the same.
    pub fn features(&self, now: Timestamp) -> Features {
        let (Some(kept), Some(settings)) = (&self.quote, &self.settings) else { return Features::default() };
        let reference = |kept: &Option<Kept<Price>>| {
            kept.filter(|kept| kept.age(now) <= settings.reference_stale()).map(|kept| kept.value)
        };
        let mut features = Features::of_quote(kept.value, kept.age(now), reference(&self.mark), reference(&self.index));
        if self.has_heard(now, super::flow::IMBALANCE_SPAN) {
            features.imbalance_1s = Some(self.flow.imbalance(now));
        }
        if self.has_heard(now, super::flow::LIQUIDATIONS_SPAN) {
            features.liq_count_10s = Some(self.flow.liquidations(now));
        }
        if self.has_heard(now, super::volatility::SPAN) {
            features.vol_10s = self.volatility.over_window(now);
        }
        features
    }

    /// It was heard in all of that time.
    fn has_heard(&self, now: Timestamp, span: Span) -> bool {
        self.heard_since.is_some_and(|since| now.since(since) >= span)
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::Set(set) => {
                self.set(&set.settings);
                self.revision = at.version;
            }
            Event::Removed(_) => *self = Market { revision: at.version, ..Market::new(self.id.clone()) },
            Event::QuoteSeen(seen) => self.keep_quote(seen.quote, seen.source_at, seen.received_at),
            Event::DealSeen(seen) => self.keep_deal(&seen.deal, seen.source_at, seen.received_at),
            Event::MarkSeen(seen) => self.keep_mark(seen.price, seen.source_at, seen.received_at),
            Event::IndexSeen(seen) => self.keep_index(seen.price, seen.source_at, seen.received_at),
            Event::FundingSeen(seen) => {
                let funding = Funding { rate: seen.rate, due_at: seen.due_at };
                self.keep_funding(funding, seen.source_at, seen.received_at);
            }
            Event::BookSeen(seen) => {
                let kept = self.take_book(seen.seq, &seen.bids, &seen.asks, seen.source_at, seen.received_at);
                assert_eq!(kept, Ok(()), "a book of {} that cannot be", self.id);
            }
            Event::BookChanged(seen) => {
                let kept = self.change_book(seen.seq, &seen.bids, &seen.asks, seen.source_at, seen.received_at);
                assert_eq!(kept, Ok(()), "changes of the book of {} that cannot be", self.id);
            }
            Event::BookLost(lost) => self.lose_book(lost.why),
            Event::BarsClosed(closed) => self.close_bars(&closed.closed),
            Event::BarsSeeded(seeded) => self.frames.seed(seeded.timeframe, &seeded.bars, seeded.now),
            Event::PhaseChanged(change) => {
                assert_eq!(change.old, self.phase, "{} changed from a phase that it was not in", self.id);
                self.turn(change.new, at.recorded_at);
            }
            Event::UnusedCounted(counted) => self.unused.add_all(&counted.unused),
            Event::RawSeen(_) => {}
        }
    }

    /// A book that is kept in another way begins anew.
    fn set(&mut self, settings: &Settings) {
        let way = |settings: &Settings| (settings.book_levels, settings.instrument.deltas_add);
        if self.book.is_some() && self.settings.as_ref().is_some_and(|known| way(known) != way(settings)) {
            self.lose_book(Broken::Reset);
        }
        self.settings = Some(Box::new(settings.clone()));
    }

    /// The time that a thing counts from. Windows run by our clock, since the venue's may be anywhere.
    fn clock_of(&mut self, received_at: Timestamp) -> Timestamp {
        self.clock = self.clock.max(received_at);
        self.clock
    }

    pub(super) fn keep_quote(&mut self, quote: Quote, source_at: Timestamp, received_at: Timestamp) {
        let at = self.clock_of(received_at);
        self.quote = Some(Kept { value: quote, source_at, received_at });
        self.counts.quotes += 1;
        self.frames.add(at, quote.mid());
        self.volatility.add(at, quote.mid_twice());
        self.ticks.push(Tick { at, bid: quote.bid, ask: quote.ask });
        while self.ticks.len() > TICKS_MAX || self.ticks.first().is_some_and(|tick| at.since(tick.at) > TICKS_SPAN) {
            self.ticks.forget_first();
        }
    }

    /// A deal that was told late says nothing of this second, and is kept all the same.
    pub(super) fn keep_deal(&mut self, deal: &Deal, source_at: Timestamp, received_at: Timestamp) {
        let at = self.clock_of(received_at);
        self.deal = Some(Kept { value: (), source_at, received_at });
        self.counts.deals += 1;
        if !deal.id.is_empty() {
            self.deals.learn(&deal.id);
        }
        if self.settings.as_ref().is_some_and(|settings| received_at.since(source_at) > settings.stale()) {
            return;
        }
        self.flow.add(at, self.taker_of(deal), deal.size);
        match deal.kind {
            DealKind::Normal => {}
            DealKind::Liquidation | DealKind::Deleveraging => self.flow.add_liquidation(at),
        }
    }

    /// As the venue says; else a buyer took above the middle, and a seller below.
    fn taker_of(&self, deal: &Deal) -> Option<Side> {
        let guess = || match (2 * i128::from(deal.price.0)).cmp(&self.quote?.value.mid_twice()) {
            std::cmp::Ordering::Greater => Some(Side::Buy),
            std::cmp::Ordering::Less => Some(Side::Sell),
            std::cmp::Ordering::Equal => None,
        };
        deal.taker.or_else(guess)
    }

    pub(super) fn keep_mark(&mut self, price: Price, source_at: Timestamp, received_at: Timestamp) {
        self.clock_of(received_at);
        self.counts.marks += 1;
        keep(&mut self.mark, price, source_at, received_at);
    }
    pub(super) fn keep_index(&mut self, price: Price, source_at: Timestamp, received_at: Timestamp) {
        self.clock_of(received_at);
        self.counts.indices += 1;
        keep(&mut self.index, price, source_at, received_at);
    }
    pub(super) fn keep_funding(&mut self, funding: Funding, source_at: Timestamp, received_at: Timestamp) {
        self.clock_of(received_at);
        self.counts.fundings += 1;
        keep(&mut self.funding, funding, source_at, received_at);
    }

    pub(super) fn take_book(
        &mut self,
        seq: u64,
        bids: &[Level],
        asks: &[Level],
        source_at: Timestamp,
        received_at: Timestamp,
    ) -> Result<(), Broken> {
        let value = Book::whole(seq, bids, asks, self.book_levels())?;
        self.clock_of(received_at);
        (self.book, self.book_lost) = (Some(Kept { value, source_at, received_at }), None);
        self.counts.books += 1;
        Ok(())
    }

    pub(super) fn change_book(
        &mut self,
        seq: u64,
        bids: &[Level],
        asks: &[Level],
        source_at: Timestamp,
        received_at: Timestamp,
    ) -> Result<(), Broken> {
        let (adds, levels) = (self.deltas_add(), self.book_levels());
        let book = self.book.as_mut().ok_or(Broken::Gap)?;
        book.value.change(seq, bids, asks, adds, levels)?;
        (book.source_at, book.received_at) = (source_at, received_at);
        self.clock_of(received_at);
        self.counts.book_changes += 1;
        Ok(())
    }

    pub(super) fn lose_book(&mut self, why: Broken) {
        (self.book, self.book_lost) = (None, Some(why));
    }
    pub(super) fn book_levels(&self) -> usize {
        self.settings.as_ref().map_or(0, |settings| settings.book_levels.into())
    }
    pub(super) fn deltas_add(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.instrument.deltas_add)
    }

    /// What comes in after this belongs to bars after these.
    pub(super) fn close_bars(&mut self, closed: &[Closed]) {
        self.frames.close(closed);
        for one in closed {
            self.clock = self.clock.max(one.bar.open_at + one.timeframe.span());
        }
    }
    /// The time that something counts from that comes in then.
    pub(super) fn clock_at(&self, received_at: Timestamp) -> Timestamp {
        self.clock.max(received_at)
    }

    pub(super) fn turn(&mut self, new: Phase, at: Timestamp) {
        (self.phase, self.phase_since) = (new, at);
        match new {
            Phase::Seeding => self.heard_since = self.quote.map(|kept| kept.received_at),
            Phase::Stale | Phase::Cold => self.heard_since = None,
            Phase::Warm => {}
        }
    }
}

fn keep<T: Copy>(known: &mut Option<Kept<T>>, value: T, source_at: Timestamp, received_at: Timestamp) {
    if known.is_none_or(|known| !known.is_newer_than(source_at, received_at)) {
        *known = Some(Kept { value, source_at, received_at });
    }
}
