//! What the market is like right now. One implementation for live, replay and analysis.

use super::number::{Bps, Price, Ratio};
use super::word::Quote;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// What is missing is None and never 0. Whole numbers only, so that it can stand in an event and is the same on every machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// The last good quote, and how old it is by the venue's clock or ours, whichever says older.
    pub quote: Option<Quote>,
    pub quote_age: Option<Span>,
    pub mid: Option<Price>,
    pub spread_bps: Option<Bps>,
    /// (bought - sold) / total over 1 s, from -1 to 1.
    pub imbalance_1s: Option<Ratio>,
    /// Volatility over 10 s, normalised by time.
    pub vol_10s: Option<Bps>,
    /// |mark - index| / mid.
    pub mark_index_div_bps: Option<Bps>,
    pub liq_count_10s: Option<u32>,
}

impl Features {
    /// What the quote alone says, and what mark and index say beside it.
    pub(super) fn of_quote(quote: Quote, age: Span, mark: Option<Price>, index: Option<Price>) -> Self {
        let of_mid = |difference: i64| bps_of_mid(difference, quote.mid_twice());
        let apart = mark.zip(index).map(|(mark, index)| (mark - index).abs());
        Features {
            quote: Some(quote),
            quote_age: Some(age),
            mid: Some(quote.mid()),
            spread_bps: Some(of_mid(quote.spread().0)),
            mark_index_div_bps: apart.map(|apart| of_mid(apart.0)),
            ..Features::default()
        }
    }
}

/// `difference` / mid in basis points, rounded down to a billionth.
fn bps_of_mid(difference: i64, mid_twice: i128) -> Bps {
    const TWICE: i128 = 2 * 10_000;
    let parts = i128::from(difference) * TWICE * i128::from(Bps::ONE.0);
    Bps(i64::try_from(parts / mid_twice).unwrap_or(i64::MAX))
}
