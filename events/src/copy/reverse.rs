//! What is the other side of a trade?

use crate::money::Price;
use crate::trade::{Entry, Side};

/// What a copy does of a trade: which way, how it comes about, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub side: Side,
    pub entry: Entry,
    pub sl: Option<Price>,
    pub tp: Option<Price>,
}

/// Sells where the other buys. Where one loses the other gains: the distance of the stop-loss becomes that of the take-profit, so
/// that both end at the same prices. A limit order waits on the far side of the price where a stop order of the other side does.
pub fn reverse(shape: Shape) -> Shape {
    Shape { side: shape.side.opposite(), entry: mirrored(shape.entry), sl: shape.tp, tp: shape.sl }
}

fn mirrored(entry: Entry) -> Entry {
    match entry {
        Entry::Market => Entry::Market,
        Entry::Limit => Entry::Stop,
        Entry::Stop => Entry::Limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_pending_kinds_and_the_two_others() {
        let price = |text: &str| Some(text.parse::<Price>().unwrap());
        for (side, entry, other_side, other_entry) in [
            (Side::Buy, Entry::Market, Side::Sell, Entry::Market),
            (Side::Sell, Entry::Market, Side::Buy, Entry::Market),
            (Side::Buy, Entry::Limit, Side::Sell, Entry::Stop),
            (Side::Sell, Entry::Limit, Side::Buy, Entry::Stop),
            (Side::Buy, Entry::Stop, Side::Sell, Entry::Limit),
            (Side::Sell, Entry::Stop, Side::Buy, Entry::Limit),
        ] {
            for (sl, tp) in [(price("1.09"), price("1.12")), (None, price("1.12")), (price("1.09"), None), (None, None)]
            {
                let shape = Shape { side, entry, sl, tp };
                let other = Shape { side: other_side, entry: other_entry, sl: tp, tp: sl };
                assert_eq!(reverse(shape), other);
                assert_eq!(reverse(other), shape, "twice is the same again");
            }
        }
    }
}
