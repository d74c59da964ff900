//! Where does the copy end: its stop-loss and take-profit?

use super::exact;
use super::settings::Levels;
use crate::money::Price;
use crate::trade::Side;

/// The prices that distances count from: where the master's trade and the slave's were opened, or will be.
#[derive(Debug, Clone, Copy)]
pub struct Anchors {
    pub master: Price,
    pub slave: Price,
}

impl Anchors {
    pub fn level(self, how: Levels, level: Option<Price>, digits: Option<u8>) -> Option<Price> {
        let level = level?;
        match how {
            Levels::Off => None,
            Levels::Price => exact::price(level.get(), digits),
            Levels::Distance => exact::price(level.get() + self.slave.get() - self.master.get(), digits),
        }
    }

    /// How far a level moves that keeps its distance; none if it stays.
    pub fn shift(self) -> Option<Price> {
        Price::new(self.slave.get() - self.master.get()).ok().filter(|shift| *shift != Price::ZERO)
    }
}

/// How far it is to a stop-loss that lies on the losing side.
pub fn risk(side: Side, price: Price, sl: Option<Price>) -> Option<Price> {
    let distance = match side {
        Side::Buy => price.get() - sl?.get(),
        Side::Sell => sl?.get() - price.get(),
    };
    Price::new(distance).ok().filter(|distance| *distance > Price::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn a_level_is_kept_or_keeps_its_distance() {
        let anchors = Anchors { master: price("1.1000"), slave: price("1.1004") };
        for (how, level, told) in [
            (Levels::Price, Some("1.09"), Some("1.09")),
            (Levels::Distance, Some("1.09"), Some("1.0904")),
            (Levels::Distance, Some("1.12345678"), Some("1.12386")),
            (Levels::Off, Some("1.09"), None),
            (Levels::Price, None, None),
            (Levels::Distance, None, None),
        ] {
            assert_eq!(anchors.level(how, level.map(price), Some(5)), told.map(price), "{how:?} {level:?}");
        }
    }

    #[test]
    fn a_risk_lies_on_the_losing_side() {
        for (side, sl, distance) in [
            (Side::Buy, Some("99"), Some("1")),
            (Side::Sell, Some("101.5"), Some("1.5")),
            (Side::Buy, Some("101"), None),
            (Side::Sell, Some("100"), None),
            (Side::Buy, None, None),
        ] {
            assert_eq!(risk(side, price("100"), sl.map(price)), distance.map(price), "{side:?} {sl:?}");
        }
    }
}
