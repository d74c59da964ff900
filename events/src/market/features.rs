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
