//! Brokers: what each calls the instruments, how fast it is, and what goes wrong there.

use super::market::{INSTRUMENTS, exact};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidehelm_events::money::Lots;
use tidehelm_events::trade::{Affixes, Contract, Symbol};

#[derive(Debug, Clone)]
pub struct House {
    pub name: &'static str,
    pub server: &'static str,
    pub affixes: Affixes,
    pub listings: BTreeMap<Symbol, Listing>,
    pub leverage: u32,
    /// Milliseconds from a request to its answer, least and most.
    pub latency: [i64; 2],
    pub comments: Comments,
    pub faults: Faults,
}

#[derive(Debug, Clone)]
pub struct Listing {
    /// Which of the market's instruments it is.
    pub instrument: usize,
    pub contract: Contract,
}

/// What a broker does with the comment of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    Kept,
    /// Something is added at the end, as some do for partial closes and bonuses.
    Longer,
    /// Now and then it is lost.
    SometimesLost,
}

/// How often, in a thousand requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The price has changed, try again.
    pub requote: u64,
    /// No, and no again.
    pub reject: u64,
    /// Less than was asked for is filled.
    pub partial: u64,
    /// The answer comes seconds later.
    pub late: u64,
    /// It was done, and the answer never comes.
    pub lost: u64,
}

impl Faults {
    pub const NONE: Faults = Faults { requote: 0, reject: 0, partial: 0, late: 0, lost: 0 };
    pub const CHAOS: Faults = Faults { requote: 30, reject: 4, partial: 20, late: 15, lost: 8 };
}

impl House {
    pub fn listing(&self, symbol: &Symbol) -> Option<&Listing> {
        self.listings.get(symbol)
    }
    /// What this broker calls an instrument.
    pub fn symbol(&self, instrument: usize) -> Option<(&Symbol, &Listing)> {
        self.listings.iter().find(|(_, listing)| listing.instrument == instrument)
    }
}

/// A house as it is written down here.
struct Sketch {
    name: &'static str,
    server: &'static str,
    prefix: &'static str,
    suffix: &'static str,
    specials: &'static [(&'static str, &'static str)],
    leverage: u32,
    latency: [i64; 2],
    comments: Comments,
    /// Hundredths of a lot that indices are traded in.
    index_step: i64,
}

const SKETCHES: [Sketch; 6] = [
    Sketch {
        name: "Harbor Markets",
        server: "HarborMarkets-Live",
        prefix: "",
        suffix: "",
        specials: &[],
        leverage: 100,
        latency: [8, 40],
        comments: Comments::Kept,
        index_step: 10,
    },
    Sketch {
        name: "Tidal Prime",
        server: "TidalPrime-Live02",
        prefix: "",
        suffix: ".pro",
        specials: &[],
        leverage: 200,
        latency: [15, 80],
        comments: Comments::Longer,
        index_step: 10,
    },
    Sketch {
        name: "North-Quay.FX",
        server: "NorthQuayFX-Real",
        prefix: "",
        suffix: "m",
        specials: &[("US500", "SPX500m")],
        leverage: 500,
        latency: [20, 120],
        comments: Comments::Kept,
        index_step: 1,
    },
    Sketch {
        name: "Meridian",
        server: "Meridian-MT5",
        prefix: "",
        suffix: "",
        specials: &[("XAUUSD", "GOLD"), ("XAGUSD", "SILVER"), ("US500", "SP500"), ("GER40", "DAX")],
        leverage: 100,
        latency: [10, 60],
        comments: Comments::SometimesLost,
        index_step: 10,
    },
    Sketch {
        name: "Blue Anchor",
        server: "BlueAnchor-03",
        prefix: "FX_",
        suffix: "",
        specials: &[("XAUUSD", "CMD_GOLD")],
        leverage: 100,
        latency: [30, 200],
        comments: Comments::Longer,
        index_step: 10,
    },
    Sketch {
        name: "Kelp Street",
        server: "KelpStreet-Demo",
        prefix: "#",
        suffix: ".r",
        specials: &[],
        leverage: 50,
        latency: [5, 25],
        comments: Comments::Kept,
        index_step: 100,
    },
];

/// All brokers of a fleet.
pub fn houses(faults: Faults) -> Vec<Arc<House>> {
    SKETCHES.iter().map(|sketch| Arc::new(sketch.house(faults))).collect()
}

impl Sketch {
    fn house(&self, faults: Faults) -> House {
        let symbol = |name: String| exact(Symbol::new(name));
        let specials: BTreeMap<&str, &str> = self.specials.iter().copied().collect();
        let mut listings = BTreeMap::new();
        for (instrument, one) in INSTRUMENTS.iter().enumerate() {
            let usual = || format!("{}{}{}", self.prefix, one.name, self.suffix);
            let name = specials.get(one.name).map_or_else(usual, |special| (*special).to_string());
            listings.insert(symbol(name), Listing { instrument, contract: self.contract(instrument) });
        }
        let specials = specials.iter().map(|(usual, own)| (symbol((*usual).into()), symbol((*own).into())));
        House {
            name: self.name,
            server: self.server,
            affixes: Affixes { prefix: self.prefix.into(), suffix: self.suffix.into(), specials: specials.collect() },
            listings,
            leverage: self.leverage,
            latency: self.latency,
            comments: self.comments,
            faults,
        }
    }

    fn contract(&self, instrument: usize) -> Contract {
        let contract = INSTRUMENTS[instrument].contract();
        match INSTRUMENTS[instrument].name {
            "US500" | "GER40" => {
                let step = exact(Lots::new(Decimal::new(self.index_step, 2)));
                Contract { lots_step: step, lots_min: step, ..contract }
            }
            _ => contract,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_house_lists_every_instrument_under_a_name_of_its_own() {
        let houses = houses(Faults::NONE);
        for house in &houses {
            assert_eq!(house.listings.len(), INSTRUMENTS.len(), "{}", house.name);
            for instrument in 0..INSTRUMENTS.len() {
                let (symbol, _) = house.symbol(instrument).unwrap();
                assert_eq!(house.listing(symbol).unwrap().instrument, instrument);
            }
        }
        let calls = |house: usize, name: &str| {
            let instrument = INSTRUMENTS.iter().position(|one| one.name == name).unwrap();
            houses[house].symbol(instrument).unwrap().0.to_string()
        };
        assert_eq!((calls(0, "XAUUSD"), calls(1, "XAUUSD")), ("XAUUSD".into(), "XAUUSD.pro".into()));
        assert_eq!((calls(3, "XAUUSD"), calls(5, "EURUSD")), ("GOLD".into(), "#EURUSD.r".into()));
    }
}
