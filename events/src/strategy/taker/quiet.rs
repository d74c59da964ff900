//! Why nothing was done: one code for each cause, never renamed.

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($( #[doc = $doc:literal] $name:ident $code:literal; )*) => {
        /// The first cause that was met.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Quiet { $( #[doc = $doc] #[serde(rename = $code)] $name ),* }

        impl Quiet {
            pub const ALL: &'static [Quiet] = &[$(Quiet::$name),*];
            pub fn code(self) -> &'static str {
                match self { $(Quiet::$name => $code),* }
            }
            /// What it says, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Quiet::$name => $doc.trim_ascii()),* }
            }
        }
    };
}

causes! {
    /// The leg failed and waits for somebody to restart it.
    LegFailed "LEG_FAILED";
    /// The market is not warm yet.
    MarketCold "MARKET_COLD";
    /// The guard allows no entries.
    EntryOff "ENTRY_OFF";
    /// The EXIT leg was not heard: nobody would look after the trade.
    ExitLegSilent "EXIT_LEG_SILENT";
    /// An entry is on its way.
    EntryPending "ENTRY_PENDING";
    /// As many trades are open as may be.
    TradesFull "TRADES_FULL";
    /// Since the last entry or exit too little time passed.
    Cooldown "COOLDOWN";
    /// The last entry was refused a moment ago.
    RefusedLately "REFUSED_LATELY";
    /// The last quote is too old.
    MarketStale "MARKET_STALE";
    /// Too few quotes in the stretch of time that is looked at.
    TicksTooFew "TICKS_TOO_FEW";
    /// Too few bars without a gap.
    BarsTooFew "BARS_TOO_FEW";
    /// The last bar is not the one before this one.
    BarsOld "BARS_OLD";
    /// Decided on bars only, and no new one is there.
    WaitsForBar "WAITS_FOR_BAR";
    /// The bar led to an entry already.
    BarUsed "BAR_USED";
    /// The spread is wider than the family trades.
    SpreadWide "SPREAD_WIDE";
    /// The middle did not move far enough.
    MoveSmall "MOVE_SMALL";
    /// Too few of the steps went its way.
    RatioLow "RATIO_LOW";
    /// Too few quotes a second.
    RateLow "RATE_LOW";
    /// It slowed down at the end.
    TailWeak "TAIL_WEAK";
    /// The longer stretch does not say the same.
    NotConfirmed "NOT_CONFIRMED";
    /// The averages stand the other way.
    AveragesAgainst "AVERAGES_AGAINST";
    /// The market is not directed enough.
    TrendWeak "TREND_WEAK";
    /// The market is too directed.
    TrendStrong "TREND_STRONG";
    /// Relative strength did not come back over its line.
    NoReclaim "NO_RECLAIM";
    /// Relative strength was not at an extreme lately.
    NotArmed "NOT_ARMED";
    /// Price and histogram went the same way.
    NoDivergence "NO_DIVERGENCE";
    /// The band is too wide, or has no width.
    BandWide "BAND_WIDE";
    /// The average range is outside of what the family trades.
    RangeOutside "RANGE_OUTSIDE";
    /// The box was not left far enough.
    NoBreak "NO_BREAK";
    /// The last bar is too small.
    BarSmall "BAR_SMALL";
    /// The last bar's body is too large.
    BodyLarge "BODY_LARGE";
    /// The last bar's wick is too short.
    WickShort "WICK_SHORT";
    /// The last bar did not reach the edge.
    EdgeNotTouched "EDGE_NOT_TOUCHED";
    /// The quotes do not turn yet.
    NoReversal "NO_REVERSAL";
    /// The market does not go to and fro in a range.
    NoRange "NO_RANGE";
    /// It wanted an entry without a loss exit, or with one beyond what it declared.
    LossExitMissing "LOSS_EXIT_MISSING";
    /// Nothing is held.
    Flat "FLAT";
    /// What is held is held on.
    Holds "HOLDS";
    /// An exit is on its way.
    ExitPending "EXIT_PENDING";
    /// The last exit was refused a moment ago.
    ExitWaits "EXIT_WAITS";
    /// The guard allows no exit but protective ones.
    ExitOff "EXIT_OFF";
}
