//! Prices that walk: one market that all simulated brokers look at.

use super::rng::Rng;
use rust_decimal::Decimal;
use tidehelm_events::money::{Factor, Lots, Money, Price};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Contract, Side};

/// What the world calls an instrument, and what it is like. Prices count in ticks of 10^-digits.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    pub name: &'static str,
    pub digits: u8,
    /// Where its walk begins.
    start: i64,
    pub spread: i64,
    /// It moves by no more than this at a time.
    stride: i64,
    /// Units in one lot.
    pub size: i64,
    /// Hundredths of a dollar that one lot gains by one tick.
    tick_cents: i64,
    /// Hundredths of a lot.
    step: i64,
    max: i64,
}

const fn of(name: &'static str, digits: u8, price: [i64; 3], lot: [i64; 4]) -> Instrument {
    let [start, spread, stride] = price;
    let [size, tick_cents, step, max] = lot;
    Instrument { name, digits, start, spread, stride, size, tick_cents, step, max }
}

pub const INSTRUMENTS: [Instrument; 10] = [
    of("EURUSD", 5, [108_432, 8, 6], [100_000, 100, 1, 5_000]),
    of("GBPUSD", 5, [127_115, 11, 8], [100_000, 100, 1, 5_000]),
    of("USDJPY", 3, [149_820, 9, 9], [100_000, 67, 1, 5_000]),
    of("AUDUSD", 5, [65_870, 9, 5], [100_000, 100, 1, 5_000]),
    of("USDCHF", 5, [88_240, 12, 5], [100_000, 113, 1, 5_000]),
    of("EURJPY", 3, [162_450, 14, 11], [100_000, 67, 1, 5_000]),
    of("XAUUSD", 2, [265_310, 22, 40], [100, 100, 1, 2_000]),
    of("XAGUSD", 3, [31_255, 25, 12], [5_000, 500, 1, 2_000]),
    of("US500", 1, [57_125, 5, 10], [10, 100, 10, 10_000]),
    of("GER40", 1, [190_340, 12, 30], [10, 108, 10, 10_000]),
];

impl Instrument {
    pub fn price(&self, ticks: i64) -> Price {
        exact(Price::new(Decimal::new(ticks, u32::from(self.digits))))
    }

    /// What one lot of it is, unless a broker has its own idea.
    pub fn contract(&self) -> Contract {
        let lots = |hundredths: i64| exact(Lots::new(Decimal::new(hundredths, 2)));
        Contract {
            lots_step: lots(self.step),
            lots_min: lots(self.step),
            lots_max: lots(self.max),
            size: exact(Factor::new(Decimal::from(self.size))),
            digits: self.digits,
            tick_value: exact(Money::new(Decimal::new(self.tick_cents, 2))),
            tick_size: self.price(1),
        }
    }
}

/// A decimal that is known to fit.
pub(super) fn exact<T, E: std::fmt::Display>(made: Result<T, E>) -> T {
    made.unwrap_or_else(|error| unreachable!("{error}"))
}

const MOVES_EVERY: Span = Span::millis(250);

#[derive(Debug, Clone)]
pub struct Market {
    rng: Rng,
    /// Bids, in ticks.
    bids: [i64; INSTRUMENTS.len()],
    moved_at: Timestamp,
    moves: u64,
}

impl Market {
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Market { rng: Rng::new(seed, u64::MAX), bids: INSTRUMENTS.map(|one| one.start), moved_at: now, moves: 0 }
    }

    /// Lets prices walk up to now: they are what the seed and the time make them, whoever looks how often.
    pub fn advance(&mut self, now: Timestamp) {
        let behind = (now.since(self.moved_at).0 / MOVES_EVERY.0).max(0);
        for _ in 0..behind {
            self.walk();
        }
        self.moved_at = self.moved_at + Span(behind * MOVES_EVERY.0);
    }

    /// How often prices have moved.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    pub fn bid(&self, instrument: usize) -> Price {
        INSTRUMENTS[instrument].price(self.bids[instrument])
    }
    pub fn ask(&self, instrument: usize) -> Price {
        let Instrument { spread, .. } = INSTRUMENTS[instrument];
        INSTRUMENTS[instrument].price(self.bids[instrument] + spread)
    }
    /// What somebody pays who deals on this side now.
    pub fn price(&self, instrument: usize, side: Side) -> Price {
        match side {
            Side::Buy => self.ask(instrument),
            Side::Sell => self.bid(instrument),
        }
    }
    /// A price so many ticks away.
    pub fn away(&self, instrument: usize, ticks: i64) -> Price {
        INSTRUMENTS[instrument].price(self.bids[instrument] + ticks)
    }

    /// One move of each. The further from its beginning, the likelier it turns back.
    fn walk(&mut self) {
        for (bid, instrument) in self.bids.iter_mut().zip(INSTRUMENTS) {
            let drift = (instrument.start - *bid) / 200;
            *bid = (*bid + drift + self.rng.between(-instrument.stride, instrument.stride)).max(1);
        }
        self.moves += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_walk_alike_for_one_seed_and_stay_believable() {
        let walk = |seed| {
            let mut market = Market::new(seed, Timestamp::ZERO);
            for second in 1..=3600 {
                market.advance(Timestamp::ZERO + Span::seconds(second));
            }
            market
        };
        let (one, same, other) = (walk(1), walk(1), walk(2));
        assert_eq!(one.moves(), 3600 * 4);
        assert_eq!(one.bids, same.bids);
        assert_ne!(one.bids, other.bids);
        for (at, instrument) in INSTRUMENTS.iter().enumerate() {
            let start = instrument.price(instrument.start).get();
            let gone = (one.bid(at).get() - start).abs() / start;
            assert!(gone > Decimal::ZERO && gone < Decimal::new(5, 2), "{}: {gone}", instrument.name);
            assert!(one.ask(at) > one.bid(at));
        }
    }

    #[test]
    fn contracts_are_what_a_broker_says_of_them() {
        let gold = INSTRUMENTS.iter().find(|one| one.name == "XAUUSD").unwrap().contract();
        let said = (gold.lots_step.to_string(), gold.size.to_string(), gold.tick_size.to_string());
        assert_eq!(said, ("0.01".into(), "100".into(), "0.01".into()));
        let index = INSTRUMENTS.iter().find(|one| one.name == "US500").unwrap().contract();
        assert_eq!(index.lots_min.to_string(), "0.1");
    }
}
