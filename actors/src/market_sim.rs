//! A made-up market: what a venue would say, from one seed. For the demo, for tests and for benchmarks.
//!
//! It knows calm hours, trends, wild minutes, chains of liquidations, and silence, in which marks may go on. Nothing in it is a claim
//! about any real market.

use crate::world::rng::Rng;
use tidehelm_events::market::{Deal, DealKind, Heard, Price, Quote, Said, Size};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::Side;

/// How the market is to be. All of it is in whole numbers, so that one seed is one market on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub seed: u64,
    pub start: Timestamp,
    /// Where the price begins, and where it is drawn back to over hours.
    pub price: Price,
    pub tick: Price,
    pub step: Size,
    /// Between bid and ask in calm hours.
    pub spread_ticks: i64,
    pub quotes_per_second: i64,
    pub deals_per_second: i64,
    /// How long the venue's words are on their way, at least and at most.
    pub latency_ms: (i64, i64),
    /// Of a thousand changes of the weather, so many bring liquidations, and so many silence.
    pub liquidations_permille: u64,
    pub silence_permille: u64,
    /// Words that are wrong: crossed quotes, quotes out of order, deals told twice. So many of 100,000 words.
    pub faults: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            start: Timestamp(1_769_850_900_000_000),
            price: Price::whole(50_000),
            tick: Price(100_000_000),
            step: Size(1_000_000),
            spread_ticks: 10,
            quotes_per_second: 20,
            deals_per_second: 4,
            latency_ms: (2, 30),
            liquidations_permille: 60,
            silence_permille: 40,
            faults: 0,
        }
    }
}

/// What the market is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Calm,
    Trend(Side),
    Wild,
    /// Who is liquidated takes this side, and pushes the price that way.
    Liquidations(Side),
    /// No quotes and no deals; the second says whether marks and indices go on.
    Silent {
        marks: bool,
    },
}

/// What a weather is like: per square root of a second and per second in hundredths of a basis point, spread and activity in percent.
struct Climate {
    wobble: i64,
    drift: i64,
    spread: i64,
    activity: i64,
    seconds: (i64, i64),
}

impl Weather {
    fn climate(self) -> Climate {
        let toward = |side, drift: i64| if side == Side::Buy { drift } else { -drift };
        let (wobble, drift, spread, activity, seconds) = match self {
            Weather::Calm => (40, 0, 100, 100, (30, 240)),
            Weather::Trend(side) => (70, toward(side, 15), 100, 150, (20, 90)),
            Weather::Wild => (1_800, 0, 300, 300, (5, 40)),
            Weather::Liquidations(side) => (500, toward(side, 600), 500, 500, (2, 12)),
            Weather::Silent { .. } => (40, 0, 100, 0, (2, 20)),
        };
        Climate { wobble, drift, spread, activity, seconds }
    }
}

/// Hundredths of a basis point in one.
const PARTS: i64 = 1_000_000;
const SECOND: i64 = 1_000_000;

/// An endless market, word by word.
#[derive(Debug, Clone)]
pub struct MarketSim {
    settings: Settings,
    rng: Rng,
    /// The price that nobody sees, in billionths.
    fair: i64,
    weather: Weather,
    until: Timestamp,
    /// When the price moved last.
    moved_at: Timestamp,
    last_received: Timestamp,
    next: Due,
    deals: u64,
    quote: Option<Quote>,
    said: Option<Heard>,
    /// How far the index is from the price, in hundredths of a basis point.
    basis: i64,
}

/// A word of one kind, and when the next of it is due.
type Say = fn(&mut MarketSim, Timestamp) -> Option<Said>;

#[derive(Debug, Clone, Copy)]
struct Due {
    quote: Timestamp,
    deal: Timestamp,
    mark: Timestamp,
    index: Timestamp,
    funding: Timestamp,
}

impl MarketSim {
    pub fn new(settings: Settings) -> Self {
        let at = settings.start;
        MarketSim {
            rng: Rng::new(settings.seed),
            fair: settings.price.0,
            weather: Weather::Calm,
            until: at + Span::seconds(60),
            moved_at: at,
            last_received: at,
            next: Due { quote: at, deal: at, mark: at, index: at, funding: at },
            deals: 0,
            quote: None,
            said: None,
            basis: 0,
            settings,
        }
    }

    pub fn weather(&self) -> Weather {
        self.weather
    }

    fn one(&mut self) -> Heard {
        loop {
            let (at, what) = self.earliest();
            self.change_weather(at);
            self.move_price(at);
            if let Some(said) = what(self, at) {
                return self.hear(said, at);
            }
        }
    }

    /// What comes next, and when.
    fn earliest(&self) -> (Timestamp, Say) {
        let due = &self.next;
        let all: [(Timestamp, Say); 5] = [
            (due.quote, Self::say_quote),
            (due.deal, Self::say_deal),
            (due.mark, Self::say_mark),
            (due.index, Self::say_index),
            (due.funding, Self::say_funding),
        ];
        let mut first = all[0];
        for one in all {
            if one.0 < first.0 {
                first = one;
            }
        }
        first
    }

    fn change_weather(&mut self, at: Timestamp) {
        if at < self.until {
            return;
        }
        let side = if self.rng.permille(500) { Side::Buy } else { Side::Sell };
        let (silence, liquidations) = (self.settings.silence_permille, self.settings.liquidations_permille);
        self.weather = match self.rng.below(1_000) {
            drawn if drawn < silence => Weather::Silent { marks: self.rng.permille(500) },
            drawn if drawn < silence + liquidations => Weather::Liquidations(side),
            _ => match self.rng.below(10) {
                0..=5 => Weather::Calm,
                6..=8 => Weather::Trend(side),
                _ => Weather::Wild,
            },
        };
        let (least, most) = self.weather.climate().seconds;
        self.until = at + Span(self.rng.between(least * SECOND, most * SECOND));
    }

    /// A random walk whose size goes with the square root of the time, a drift, and a slow pull back to where it began.
    fn move_price(&mut self, at: Timestamp) {
        let passed = at.since(self.moved_at).0;
        if passed <= 0 {
            return;
        }
        self.moved_at = at;
        let climate = self.weather.climate();
        let root = (passed as u64).isqrt() as i64; // of microseconds: a thousand for a second
        let wobble = self.normal() * climate.wobble / 1_000 * root / 1_000;
        let drift = climate.drift * passed / SECOND;
        let away = (self.fair - self.settings.price.0) as i128 * PARTS as i128 / i128::from(self.settings.price.0);
        // Half of the way back in about two hours. A step is too short for whole numbers of it, so it comes by chance.
        let pull = away as i64 * passed / 10_000;
        let pull = (pull + self.rng.between(0, SECOND - 1)).div_euclid(SECOND);
        let by = i128::from(wobble + drift - pull) * i128::from(self.fair) / i128::from(PARTS);
        let floor = self.settings.tick.0 * 1_000;
        self.fair = self.fair.saturating_add(by as i64).max(floor);
        self.basis = (self.basis * 999 + self.rng.between(-3_000, 3_000)) / 1_000;
    }

    /// About normal, in thousandths.
    fn normal(&mut self) -> i64 {
        (0..12).map(|_| self.rng.between(-500, 500)).sum()
    }

    fn silent(&self) -> bool {
        matches!(self.weather, Weather::Silent { .. })
    }
    fn marks(&self) -> bool {
        self.weather != Weather::Silent { marks: false }
    }

    /// Half to one and a half times as long as it is on average.
    fn wait(&mut self, per_second: i64) -> Span {
        let activity = if self.silent() { 100 } else { self.weather.climate().activity };
        let mean = (SECOND * 100 / (per_second.max(1) * activity)).max(2);
        Span(self.rng.between(mean / 2, mean * 3 / 2))
    }

    fn say_quote(&mut self, at: Timestamp) -> Option<Said> {
        self.next.quote = at + self.wait(self.settings.quotes_per_second);
        if self.silent() {
            return None;
        }
        let tick = self.settings.tick;
        let spread = (self.settings.spread_ticks * self.weather.climate().spread / 100).max(1);
        let wobbling = self.rng.between(0, spread / 4);
        let bid = Price(self.fair - tick.0 * spread / 2).floor_to(tick);
        let ask = bid + Price(tick.0 * (spread + wobbling));
        let (bid_size, ask_size) = (self.size(), self.size());
        let quote = Quote { bid, bid_size, ask, ask_size };
        self.quote = Some(quote);
        Some(Said::Quote(quote))
    }

    fn say_deal(&mut self, at: Timestamp) -> Option<Said> {
        self.next.deal = at + self.wait(self.settings.deals_per_second);
        let quote = self.quote.filter(|_| !self.silent())?;
        let buyers = match self.weather {
            Weather::Calm | Weather::Wild | Weather::Silent { .. } => 500,
            Weather::Trend(Side::Buy) => 650,
            Weather::Trend(Side::Sell) => 350,
            Weather::Liquidations(Side::Buy) => 900,
            Weather::Liquidations(Side::Sell) => 100,
        };
        let side = if self.rng.permille(buyers) { Side::Buy } else { Side::Sell };
        let price = quote.best(side.opposite());
        let kind = match self.weather {
            Weather::Liquidations(forced) if forced == side && self.rng.permille(500) => DealKind::Liquidation,
            _ => DealKind::Normal,
        };
        self.deals += 1;
        let taker = self.rng.permille(950).then_some(side);
        Some(Said::Deal(Deal { id: self.deals.to_string().into(), taker, price, size: self.size(), kind }))
    }

    /// In a chain of liquidations the mark, which follows this venue, runs away from the index.
    fn say_mark(&mut self, at: Timestamp) -> Option<Said> {
        self.next.mark = at + Span(self.rng.between(900_000, 1_100_000));
        let away = match self.weather {
            Weather::Liquidations(Side::Buy) => 6_000,
            Weather::Liquidations(Side::Sell) => -6_000,
            Weather::Calm | Weather::Trend(_) | Weather::Wild | Weather::Silent { .. } => 0,
        };
        self.marks().then(|| Said::Mark(self.off(away)))
    }
    fn say_index(&mut self, at: Timestamp) -> Option<Said> {
        self.next.index = at + Span(self.rng.between(900_000, 1_100_000));
        self.marks().then(|| Said::Index(self.off(self.basis)))
    }
    fn say_funding(&mut self, at: Timestamp) -> Option<Said> {
        const EIGHT_HOURS: i64 = 8 * 3_600 * SECOND;
        self.next.funding = at + Span::seconds(60);
        let due_at = Timestamp((at.0.div_euclid(EIGHT_HOURS) + 1) * EIGHT_HOURS);
        self.marks().then(|| Said::Funding { rate: Size(100_000 - self.basis * 100), due_at: Some(due_at) })
    }

    /// The price that nobody sees, so many hundredths of a basis point off, to the tick.
    fn off(&self, parts: i64) -> Price {
        let by = i128::from(self.fair) * i128::from(parts) / i128::from(PARTS);
        Price(self.fair + by as i64).floor_to(self.settings.tick)
    }

    /// Many small ones and a few large.
    fn size(&mut self) -> Size {
        let large = 1 + self.rng.below(30) * self.rng.below(30) * self.rng.below(30) / 27;
        Size(self.settings.step.0.saturating_mul(large as i64))
    }

    /// Words are not overtaken on the way.
    fn hear(&mut self, said: Said, at: Timestamp) -> Heard {
        let (least, most) = self.settings.latency_ms;
        let arrives = at + Span(self.rng.between(least * 1_000, most * 1_000));
        self.last_received = self.last_received.max(arrives);
        let heard = Heard { said, source_at: at, received_at: self.last_received };
        let heard = if self.rng.below(100_000) < self.settings.faults { self.spoil(heard) } else { heard };
        self.said = Some(heard.clone());
        heard
    }

    /// Something that a venue or a line may do: the same word again, a quote of before, or one that cannot be.
    fn spoil(&mut self, heard: Heard) -> Heard {
        match (self.rng.below(3), &heard.said) {
            (0, Said::Quote(quote)) => {
                let crossed = Quote { bid: quote.ask, ask: quote.bid, ..*quote };
                Heard { said: Said::Quote(crossed), ..heard }
            }
            (1, Said::Quote(_)) => Heard { source_at: heard.source_at - Span::seconds(3), ..heard },
            _ => match self.said.clone() {
                Some(before) => Heard { received_at: heard.received_at, ..before },
                None => heard,
            },
        }
    }
}

impl Iterator for MarketSim {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        Some(self.one())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::market::{self, Market, Phase, Unused};

    fn sim(seed: u64) -> MarketSim {
        MarketSim::new(Settings { seed, ..Settings::default() })
    }

    #[test]
    fn one_seed_is_one_market() {
        let first = |seed| sim(seed).take(5_000).collect::<Vec<_>>();
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn without_faults_every_word_can_be() {
        for seed in 0..5 {
            let settings = Settings { seed, ..Settings::default() };
            let mut last = settings.start;
            for heard in MarketSim::new(settings.clone()).take(50_000) {
                assert!(last <= heard.received_at && heard.source_at < heard.received_at, "{heard:?}");
                last = heard.received_at;
                if let Said::Quote(quote) = heard.said {
                    assert!(quote.is_valid() && quote.bid.is_multiple_of(settings.tick), "{quote:?}");
                    let far = (quote.mid().0 - settings.price.0).abs();
                    assert!(far < settings.price.0 / 2, "it ran away: {quote:?}");
                }
            }
        }
    }

    /// All that a maker has to bear comes by within a few hours.
    #[test]
    fn its_weather_is_felt() {
        let mut sim = MarketSim::new(Settings { faults: 100, ..Settings::default() });
        let mut market = Market::with("paper:SIM".parse().unwrap(), market::Settings::default()).unwrap();
        let (mut unused, mut phases, mut wildest, mut calmest) =
            (market::Tally::default(), Vec::new(), 0.0f64, 99.0f64);
        let (mut liquidations, mut apart, mut one_sided, mut silent_with_marks) = (0, 0.0f64, 0.0f64, false);
        for _ in 0..400_000 {
            let heard = sim.next().unwrap();
            if let Err(why) = market.take(&heard) {
                unused.count(why);
            }
            market.pass(heard.received_at);
            if phases.last() != Some(&market.phase) {
                phases.push(market.phase);
            }
            let features = market.features(heard.received_at);
            let vol = features.vol_10s.map(|vol| vol.float());
            wildest = wildest.max(vol.unwrap_or(0.0));
            calmest = calmest.min(vol.unwrap_or(99.0));
            liquidations = liquidations.max(features.liq_count_10s.unwrap_or(0));
            apart = apart.max(features.mark_index_div_bps.map_or(0.0, |bps| bps.float()));
            one_sided = one_sided.max(features.imbalance_1s.map_or(0.0, |ratio| ratio.float().abs()));
            let freshness = market.freshness(heard.received_at);
            silent_with_marks |= freshness.quote > Some(Span::seconds(5)) && freshness.mark < Some(Span::seconds(2));
        }
        assert_eq!(phases[..2], [Phase::Seeding, Phase::Warm]);
        assert!(phases.contains(&Phase::Stale) && silent_with_marks);
        assert!(calmest < 3.0 && wildest > 50.0, "{calmest} to {wildest}");
        assert!(liquidations >= 3 && apart >= 50.0 && one_sided >= 0.7, "{liquidations} {apart} {one_sided}");
        for why in [Unused::Conflated, Unused::Crossed, Unused::Outdated, Unused::Duplicate] {
            assert!(unused.of(why) > 0, "{why}: {unused:?}");
        }
    }
}
