//! What a market answers to a command, and what it takes of what it hears.

use super::bars::{BARS_MAX, Closed};
use super::book::{Book, Broken, LEVELS_MAX};
use super::command::{Command, Refusal, Tally, Unused};
use super::event::*;
use super::number::Bps;
use super::settings::Settings;
use super::state::{Funding, Market, Phase};
use super::word::{Bar, Deal, Heard, Level, Quote, Said, Timeframe, age};
use crate::id::Position;
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::Timestamp;

pub(super) const HEARD_MAX: usize = 1_000;
const ID_MAX: usize = 64;
const RAW_MAX: usize = 64 * 1024;

impl Stream for Market {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Set(settings) => self.set_to(*settings)?,
            Command::Remove => {
                self.listened()?;
                vec![Event::Removed(Removed {})]
            }
            Command::Hear(heard) => self.hear(heard, seen.now)?,
            Command::Seed { timeframe, bars } => self.seed(timeframe, bars, seen.now)?,
            Command::Pass { unused } => self.note_time(unused, seen.now)?,
            Command::KeepRaw { text } => self.keep_raw(text, seen.received_at)?,
        };
        Ok(events.into())
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Market {
    fn listened(&self) -> Result<&Settings, Refusal> {
        self.settings.as_deref().ok_or_else(|| Refusal::MarketUnknown(self.id.clone()))
    }

    fn set_to(&self, settings: Settings) -> Result<Vec<Event>, Refusal> {
        let settings = Box::new(settings.checked()?);
        let same = self.settings.as_ref() == Some(&settings);
        Ok(if same { vec![] } else { vec![Event::Set(Set { settings })] })
    }

    /// Whether it is used, and if not, why. A feed asks before it troubles the log, and counts what is not.
    pub fn judge(&self, heard: &Heard) -> Result<(), Unused> {
        let settings = self.settings.as_deref().ok_or(Unused::MarketUnknown)?;
        let positive = |fits: bool| if fits { Ok(()) } else { Err(Unused::NotPositive) };
        match &heard.said {
            Said::Quote(quote) => self.judge_quote(settings, quote, heard.source_at, heard.received_at),
            Said::Deal(deal) => self.judge_deal(deal),
            Said::Mark(price) | Said::Index(price) => positive(price.0 > 0),
            Said::Funding { .. } => Ok(()),
            Said::BookWhole { bids, asks, .. } => judge_levels(settings, bids, asks),
            Said::BookChanged { after, seq, bids, asks } => {
                judge_levels(settings, bids, asks)?;
                let book = self.book().ok_or(Unused::BookMissing)?;
                let news = book.follows(*after, *seq, settings.instrument.deltas_add)?;
                if news { Ok(()) } else { Err(Unused::BookOld) }
            }
        }
    }

    fn judge_quote(
        &self,
        settings: &Settings,
        quote: &Quote,
        source_at: Timestamp,
        received_at: Timestamp,
    ) -> Result<(), Unused> {
        if !quote.is_valid() {
            return Err(if quote.bid.0 <= 0 || quote.ask.0 <= 0 {
                Unused::NotPositive
            } else if quote.bid >= quote.ask {
                Unused::Crossed
            } else {
                Unused::SizeInvalid
            });
        }
        let Some(last) = &self.quote else { return Ok(()) };
        if last.is_newer_than(source_at, received_at) {
            return Err(Unused::Outdated);
        }
        let passed = received_at.since(last.received_at);
        let soon = passed.0 >= 0 && passed < settings.conflate();
        if soon && !has_moved(settings, &last.value, quote) { Err(Unused::Conflated) } else { Ok(()) }
    }

    fn judge_deal(&self, deal: &Deal) -> Result<(), Unused> {
        if deal.price.0 <= 0 {
            Err(Unused::NotPositive)
        } else if deal.size.0 <= 0 {
            Err(Unused::SizeInvalid)
        } else if deal.id.len() > ID_MAX {
            Err(Unused::IdTooLong)
        } else if !deal.id.is_empty() && self.deals.knows(&deal.id) {
            Err(Unused::Duplicate)
        } else {
            Ok(())
        }
    }

    /// Judges and remembers at once and makes no events: for replays of a tape, where `now` is when a thing came in. The state is
    /// the same as through [`Stream::decide`] and [`Stream::evolve`].
    pub fn take(&mut self, heard: &Heard) -> Result<(), Unused> {
        let (source_at, received_at) = (heard.source_at, heard.received_at);
        if let Err(unused) = self.judge(heard) {
            self.stop_believing(unused);
            return Err(unused);
        }
        match &heard.said {
            Said::Quote(quote) => self.take_quote(*quote, source_at, received_at),
            Said::Deal(deal) => self.keep_deal(deal, source_at, received_at),
            Said::Mark(price) => self.keep_mark(*price, source_at, received_at),
            Said::Index(price) => self.keep_index(*price, source_at, received_at),
            Said::Funding { rate, due_at } => {
                self.keep_funding(Funding { rate: *rate, due_at: *due_at }, source_at, received_at);
            }
            Said::BookWhole { seq, bids, asks } => {
                let taken = self.take_book(*seq, bids, asks, source_at, received_at);
                return self.went(taken, source_at, received_at);
            }
            Said::BookChanged { seq, bids, asks, .. } => {
                let taken = self.change_book(*seq, bids, asks, source_at, received_at);
                return self.went(taken, source_at, received_at);
            }
        }
        Ok(())
    }

    /// Time passed, in a replay.
    pub fn pass(&mut self, now: Timestamp) {
        let (next, closed) = self.after(now);
        if let Some(next) = next {
            self.turn(next, now);
        }
        if !closed.is_empty() {
            self.close_bars(&closed);
        }
    }

    fn take_quote(&mut self, quote: Quote, source_at: Timestamp, received_at: Timestamp) {
        if self.falls_silent(received_at) {
            self.turn(Phase::Stale, received_at);
        }
        let clock = self.clock_at(received_at);
        if self.frames.are_due(clock) {
            let closed = self.frames.closing(clock, self.heard_since);
            self.close_bars(&closed);
        }
        self.keep_quote(quote, source_at, received_at);
        let minutes = self.bars(Timeframe::M1).finals().len();
        if let Some(next) = self.next_phase(self.phase, self.heard_since, minutes, received_at, source_at, received_at)
        {
            self.turn(next, received_at);
        }
    }

    fn went(&mut self, taken: Result<(), Broken>, source_at: Timestamp, received_at: Timestamp) -> Result<(), Unused> {
        if let Err(broken) = taken {
            self.stop_believing(broken.into());
            return Err(broken.into());
        }
        if let Some(quote) = self.best_of(self.book(), source_at, received_at) {
            self.take_quote(quote, source_at, received_at);
        }
        Ok(())
    }

    fn stop_believing(&mut self, unused: Unused) {
        if let Some(broken) = unused.breaks_book().filter(|_| self.book.is_some()) {
            self.lose_book(broken);
        }
    }

    /// One by one, as if each came alone.
    fn hear(&self, heard: Vec<Heard>, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        self.listened()?;
        if heard.len() > HEARD_MAX {
            return Err(Refusal::HeardTooMany(HEARD_MAX));
        }
        let (mut events, mut unused) = (Vec::new(), Tally::default());
        if heard.len() == 1 {
            heard.into_iter().for_each(|one| self.hear_one(one, now, &mut events, &mut unused));
        } else {
            let mut then = self.clone();
            let at = Stamp { position: Position(0), version: self.revision, received_at: now, recorded_at: now };
            for one in heard {
                let from = events.len();
                then.hear_one(one, now, &mut events, &mut unused);
                events[from..].iter().for_each(|event| then.remember(event, &at));
            }
        }
        // What was conflated is nobody's fault: only a feed that counts for itself tells of it.
        if unused.0.keys().any(|why| *why != Unused::Conflated) {
            events.push(Event::UnusedCounted(UnusedCounted { unused }));
        }
        Ok(events)
    }

    fn hear_one(&self, heard: Heard, now: Timestamp, events: &mut Vec<Event>, unused: &mut Tally) {
        let book = match self.judge(&heard).and_then(|()| self.book_after(&heard.said)) {
            Ok(book) => book,
            Err(why) => {
                unused.count(why);
                let lost = why.breaks_book().filter(|_| self.book.is_some());
                events.extend(lost.map(|why| Event::BookLost(BookLost { why })));
                return;
            }
        };
        let Heard { said, source_at, received_at } = heard;
        events.push(match said {
            Said::Quote(quote) => return self.tell_quote(quote, (source_at, received_at), now, events),
            Said::Deal(deal) => Event::DealSeen(DealSeen { deal, source_at, received_at }),
            Said::Mark(price) => Event::MarkSeen(MarkSeen { price, source_at, received_at }),
            Said::Index(price) => Event::IndexSeen(IndexSeen { price, source_at, received_at }),
            Said::Funding { rate, due_at } => Event::FundingSeen(FundingSeen { rate, due_at, source_at, received_at }),
            Said::BookWhole { seq, bids, asks } => {
                Event::BookSeen(BookSeen { seq, bids, asks, source_at, received_at })
            }
            Said::BookChanged { after, seq, bids, asks } => {
                Event::BookChanged(BookChanged { after, seq, bids, asks, source_at, received_at })
            }
        });
        if let Some(quote) = self.best_of(book.as_ref(), source_at, received_at) {
            self.tell_quote(quote, (source_at, received_at), now, events);
        }
    }

    /// The steps of [`Market::take_quote`] as events.
    fn tell_quote(&self, quote: Quote, times: (Timestamp, Timestamp), now: Timestamp, events: &mut Vec<Event>) {
        let (source_at, received_at) = times;
        let (mut phase, mut heard_since) = (self.phase, self.heard_since);
        if self.falls_silent(now) {
            events.push(Event::PhaseChanged(PhaseChanged { old: phase, new: Phase::Stale }));
            (phase, heard_since) = (Phase::Stale, None);
        }
        let clock = self.clock_at(received_at);
        let mut minutes = self.bars(Timeframe::M1).finals().len();
        if self.frames.are_due(clock) {
            let closed = self.frames.closing(clock, heard_since);
            minutes += usize::from(closed.iter().any(|one| one.timeframe == Timeframe::M1));
            events.push(Event::BarsClosed(BarsClosed { closed }));
        }
        events.push(Event::QuoteSeen(QuoteSeen { quote, source_at, received_at }));
        minutes = minutes.min(BARS_MAX);
        if let Some(new) = self.next_phase(phase, heard_since, minutes, now, source_at, received_at) {
            events.push(Event::PhaseChanged(PhaseChanged { old: phase, new }));
        }
    }

    /// The book after the message; None where it is not about the book.
    fn book_after(&self, said: &Said) -> Result<Option<Book>, Unused> {
        let levels = self.book_levels();
        Ok(match said {
            Said::BookWhole { seq, bids, asks } => Some(Book::whole(*seq, bids, asks, levels)?),
            Said::BookChanged { seq, bids, asks, .. } => {
                let mut book = self.book().ok_or(Unused::BookMissing)?.clone();
                book.change(*seq, bids, asks, self.deltas_add(), levels)?;
                Some(book)
            }
            Said::Quote(_) | Said::Deal(_) | Said::Mark(_) | Said::Index(_) | Said::Funding { .. } => None,
        })
    }

    /// The quote that a book makes, where it is to make one and it is kept.
    fn best_of(&self, book: Option<&Book>, source_at: Timestamp, received_at: Timestamp) -> Option<Quote> {
        let settings = self.settings.as_deref().filter(|settings| settings.quote_from_book)?;
        let quote = book?.quote()?;
        self.judge_quote(settings, &quote, source_at, received_at).is_ok().then_some(quote)
    }

    /// It was heard, and what it said last says nothing of now.
    fn falls_silent(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Cold | Phase::Stale => false,
            Phase::Seeding | Phase::Warm => self.last_is_stale(now),
        }
    }

    fn last_is_stale(&self, now: Timestamp) -> bool {
        let Some(settings) = &self.settings else { return false };
        self.quote.is_none_or(|kept| kept.age(now) > settings.stale())
    }

    /// Where a market goes with a quote of these times.
    fn next_phase(
        &self,
        phase: Phase,
        heard_since: Option<Timestamp>,
        minutes: usize,
        now: Timestamp,
        source_at: Timestamp,
        received_at: Timestamp,
    ) -> Option<Phase> {
        let settings = self.settings.as_deref()?;
        let fresh = age(now, source_at, received_at) <= settings.stale();
        match (phase, fresh) {
            (Phase::Cold | Phase::Stale, true) => Some(Phase::Seeding),
            (Phase::Cold | Phase::Stale, false) | (Phase::Warm, true) => None,
            (Phase::Seeding | Phase::Warm, false) => Some(Phase::Stale),
            (Phase::Seeding, true) => {
                let long = heard_since.is_some_and(|since| now.since(since) >= settings.warm());
                (long && minutes >= settings.warm_bars.into()).then_some(Phase::Warm)
            }
        }
    }

    /// What time alone brings. Nothing while the market is cold: a recording that is read in closes its bars by its own time.
    fn after(&self, now: Timestamp) -> (Option<Phase>, Vec<Closed>) {
        let (Some(kept), Phase::Seeding | Phase::Warm | Phase::Stale) = (&self.quote, self.phase) else {
            return (None, vec![]);
        };
        if self.phase == Phase::Stale {
            return (None, self.frames.closing(now, None));
        }
        let minutes = self.bars(Timeframe::M1).finals().len();
        let next = self.next_phase(self.phase, self.heard_since, minutes, now, kept.source_at, kept.received_at);
        let heard_since = self.heard_since.filter(|_| next != Some(Phase::Stale));
        let closed = if self.frames.are_due(now) { self.frames.closing(now, heard_since) } else { vec![] };
        (next, closed)
    }

    fn note_time(&self, unused: Tally, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        self.listened()?;
        let (next, closed) = self.after(now);
        let mut events = Vec::new();
        events.extend(next.map(|new| Event::PhaseChanged(PhaseChanged { old: self.phase, new })));
        if !closed.is_empty() {
            events.push(Event::BarsClosed(BarsClosed { closed }));
        }
        if !unused.is_empty() {
            events.push(Event::UnusedCounted(UnusedCounted { unused }));
        }
        Ok(events)
    }

    fn seed(&self, timeframe: Timeframe, bars: Vec<Bar>, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        self.listened()?;
        if bars.len() > BARS_MAX {
            return Err(Refusal::BarsTooMany(BARS_MAX));
        }
        let mut before = None;
        for bar in &bars {
            if let Some(why) = fault_of(bar, before, timeframe, now) {
                return Err(Refusal::BarInvalid { open_at: bar.open_at, why });
            }
            before = Some(bar.open_at);
        }
        let (mut events, mut frames) = (Vec::new(), self.frames.clone());
        let closed = frames.closing(now, self.heard_since);
        if !closed.is_empty() {
            frames.close(&closed);
            events.push(Event::BarsClosed(BarsClosed { closed }));
        }
        let bars = frames.wanting(timeframe, &bars, self.heard_since, now);
        if !bars.is_empty() {
            events.push(Event::BarsSeeded(BarsSeeded { timeframe, bars, now }));
        }
        Ok(events)
    }

    fn keep_raw(&self, mut text: String, received_at: Timestamp) -> Result<Vec<Event>, Refusal> {
        if !self.listened()?.keep_raw {
            return Ok(vec![]);
        }
        let length = text.len() as u64;
        let end = (0..=RAW_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        Ok(vec![Event::RawSeen(RawSeen { text, length, received_at })])
    }
}

fn judge_levels(settings: &Settings, bids: &[Level], asks: &[Level]) -> Result<(), Unused> {
    if settings.book_levels == 0 {
        Err(Unused::BookOff)
    } else if bids.len().max(asks.len()) > LEVELS_MAX {
        Err(Unused::BookTooLong)
    } else {
        Ok(())
    }
}

/// The middle moved far enough for a quote to be kept before its time.
fn has_moved(settings: &Settings, last: &Quote, quote: &Quote) -> bool {
    const TEN_THOUSAND: i128 = 10_000 * Bps::ONE.0 as i128;
    let moved = (quote.mid_twice() - last.mid_twice()).abs();
    moved * TEN_THOUSAND >= i128::from(settings.conflate_bps.0) * last.mid_twice()
}

/// What is wrong with a bar that somebody else saw.
fn fault_of(bar: &Bar, before: Option<Timestamp>, timeframe: Timeframe, now: Timestamp) -> Option<&'static str> {
    let body = [bar.open, bar.close];
    if timeframe.open_of(bar.open_at) != bar.open_at {
        Some("does not begin where bars of its timeframe do")
    } else if before.is_some_and(|before| before >= bar.open_at) {
        Some("does not come after the one before it")
    } else if bar.open_at > now {
        Some("has not begun")
    } else if bar.low.0 <= 0 || body.iter().any(|price| *price < bar.low || *price > bar.high) {
        Some("opens or closes beyond its high or low, or is not above 0")
    } else {
        None
    }
}
