//! Markets from the outside: what they are told, and what they make of it.

mod any_order;
mod bars;
mod books;
mod hearing;
mod phases;
mod records;

use super::*;
use crate::codec;
use crate::id::{Position, Version};
use crate::sample::START;
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

/// One market with a clock.
#[derive(Clone)]
struct Case {
    market: Market,
    now: Timestamp,
    version: u64,
}

pub(super) fn quote(bid: i64, ask: i64) -> Quote {
    Quote { bid: Price(bid), bid_size: Size::whole(1), ask: Price(ask), ask_size: Size::whole(2) }
}
/// With the middle there, in whole units.
fn around(mid: i64) -> Quote {
    quote(Price::whole(mid).0 - 500_000_000, Price::whole(mid).0 + 500_000_000)
}
fn deal(id: &str, price: i64, size: i64) -> Deal {
    Deal { id: id.into(), taker: None, price: Price::whole(price), size: Size::whole(size), kind: DealKind::Normal }
}

impl Case {
    fn unset() -> Self {
        Case { market: Market::new("paper:BTC-USD".parse().unwrap()), now: START, version: 0 }
    }
    fn with(settings: Settings) -> Self {
        let mut case = Case::unset();
        case.does(Command::Set(Box::new(settings)));
        case
    }
    fn new() -> Self {
        Case::with(Settings::default())
    }
    /// Heard for eleven seconds with the middle at 50,000.
    fn warm() -> Self {
        let mut case = Case::new();
        for _ in 0..12 {
            case.hears(Said::Quote(around(50_000)));
            case.passes(1_000);
        }
        case.hears(Said::Quote(around(50_000)));
        assert_eq!(case.market.phase, Phase::Warm);
        case
    }

    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let (desk, copy_defaults) = (crate::desk::Settings::default(), Default::default());
        let endpoints = crate::endpoint::Directory::default();
        let now = self.now;
        let seen = Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since: START,
            settings: &desk,
            locked: false,
            copy_defaults: &copy_defaults,
            stopped: None,
            endpoints: &endpoints,
        };
        let before = bytes_of(&self.market);
        let decided = self.market.decide(command, &seen);
        assert!(before == bytes_of(&self.market), "a decision changed something");
        let decided = decided?;
        assert_eq!(decided.effects, []);
        for event in &decided.events {
            self.version += 1;
            let (position, version) = (Position(self.version), Version(self.version));
            self.market.evolve(event, &Stamp { position, version, received_at: now, recorded_at: now });
        }
        Ok(decided.events)
    }
    fn does(&mut self, command: Command) -> Vec<&'static str> {
        self.tries(command).unwrap().iter().map(|event| event.kind().name).collect()
    }
    fn hears(&mut self, said: Said) -> Vec<&'static str> {
        self.hears_late(said, 0)
    }
    /// The venue said it so many milliseconds ago.
    fn hears_late(&mut self, said: Said, millis: i64) -> Vec<&'static str> {
        let heard = Heard { said, source_at: self.now - Span::millis(millis), received_at: self.now };
        self.does(Command::Hear(vec![heard]))
    }
    /// Without events, for many.
    fn takes(&mut self, quote: Quote) {
        let heard = Heard { said: Said::Quote(quote), source_at: self.now, received_at: self.now };
        self.market.take(&heard).unwrap();
    }
    fn looks(&mut self) -> Vec<&'static str> {
        self.does(Command::Pass { unused: Tally::default() })
    }
    fn passes(&mut self, millis: i64) {
        self.now = self.now + Span::millis(millis);
    }
    fn features(&self) -> Features {
        self.market.features(self.now)
    }
}

fn bytes_of(market: &Market) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::write(market, &mut bytes);
    bytes
}
