//! The rules that can decide about a signal, each with its code, a sentence, and what a person can do.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What came of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As the settings say.
    Copied,
    /// Copied, but not in the volume that the settings ask for.
    Resized,
    /// Not copied: the settings say so, or something that they need is missing.
    Skipped,
    /// Not copied: the link, a limit or STOP stands against it.
    Blocked,
    /// Decided, and nothing was sent.
    Observed,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Copied => "copied",
            Verdict::Resized => "resized",
            Verdict::Skipped => "skipped",
            Verdict::Blocked => "blocked",
            Verdict::Observed => "observed",
        }
    }
}

/// New rules go to the end: their place is their number in the log.
macro_rules! rules {
    ($($name:ident $verdict:ident $code:literal $sentence:literal $remedy:literal;)*) => {
        /// Which rule decided. Codes are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rule { $(#[serde(rename = $code)] $name),* }

        impl Rule {
            pub const ALL: &'static [Rule] = &[$(Rule::$name),*];
            pub fn code(self) -> &'static str {
                match self { $(Rule::$name => $code),* }
            }
            pub fn verdict(self) -> Verdict {
                match self { $(Rule::$name => Verdict::$verdict),* }
            }
            pub fn sentence(self) -> &'static str {
                match self { $(Rule::$name => $sentence),* }
            }
            /// What a person can do; empty where nothing needs to be done.
            pub fn remedy(self) -> &'static str {
                match self { $(Rule::$name => $remedy),* }
            }
        }
    };
}

rules! {
    Copied Copied "copied" "copied as the settings say" "";
    PendingFilled Copied "pending_filled" "the master's pending order was filled; the copy's own pending order stands for it" "";
    Unchanged Copied "unchanged" "the copy is as the master's trade is; nothing to tell" "";
    Observed Observed "observed" "the link only observes: decided and recorded, nothing sent" "set `mode` to `live` to copy";
    BelowMinForced Resized "below_min_forced" "the volume was below the slave's smallest, which was taken instead" "raise the number of `volume`, or set `below_min` to `skip`";
    AboveMaxClamped Resized "above_max_clamped" "the volume was above the slave's largest, which was taken instead" "set `above_max` to `split`, or lower the number of `volume`";
    SplitCapped Resized "split_capped" "the volume would have taken more orders than one signal may make" "lower the number of `volume`";
    LinkOff Blocked "link_off" "the link's mode is off" "set `mode` to `live`";
    LinkDisabled Blocked "link_disabled" "the link is switched off" "switch the member on";
    SlaveNotReady Blocked "slave_not_ready" "the slave is switched off, offline, or may not trade" "see the slave's warnings: switch it on, start its terminal, or allow algorithmic trading there";
    MasterNotConnected Blocked "master_not_connected" "the master is switched off, offline, or may not trade" "see the master's warnings: switch it on, start its terminal, or allow algorithmic trading there";
    LinkWindingDown Blocked "link_winding_down" "the link was removed and is being wound down; it opens nothing" "add the link again";
    ClosesOff Blocked "closes_off" "the link is not connected, and `closes_when_off` forbids closes and modifications meanwhile" "set `closes_when_off` to true, or close the copy by hand";
    SignalLate Skipped "signal_late" "the signal to open came too late" "raise `signal_age_max_ms`, or set `late_opens` to `pending`; look at the clocks and at the connection";
    SyncOff Skipped "sync_off" "the trade was open before, and `sync_mode` is skip" "set `sync_mode` to `limit_order` or `market_order`";
    SyncTooFar Skipped "sync_too_far" "the price is too far from where the master opened" "raise `distance_max` of `sync_mode`";
    SideFiltered Skipped "side_filtered" "`sides` leaves this side out" "set `sides` to `both`";
    SymbolFiltered Skipped "symbol_filtered" "the symbol lists leave this symbol out" "change `symbols_allow` or `symbols_deny`";
    MagicFiltered Skipped "magic_filtered" "the magic number lists leave this trade out" "change `magics_allow` or `magics_deny`";
    CommentFiltered Skipped "comment_filtered" "the comment lists leave this trade out" "change `comment_contains` or `comment_excludes`";
    PendingOff Skipped "pending_off" "pending orders are not copied; the fill will be" "set `copy_pending` to true";
    SourceLotsLow Skipped "source_lots_low" "the master's volume is below the smallest that is copied" "lower `source_lots_min`";
    SourceLotsHigh Skipped "source_lots_high" "the master's volume is above the largest that is copied" "raise `source_lots_max`";
    SymbolsUnknown Skipped "symbols_unknown" "the slave's terminal has not told its symbols" "start the slave's terminal, so that it registers";
    SymbolUnmapped Skipped "symbol_unmapped" "the slave has no such symbol" "add the slave's name to `symbol_map`, or show the symbol in the slave's market watch";
    ContractInvalid Skipped "contract_invalid" "the slave's broker gives a volume step, smallest or largest volume, or tick that cannot be" "let the slave's terminal register again, and ask its broker";
    FiguresUnknown Skipped "figures_unknown" "the volume needs figures of an account that has not told any" "wait for the heartbeats of both terminals, or use `multiplier`";
    FiguresOld Skipped "figures_old" "the figures that the volume needs are too old" "look why the heartbeats fail, or raise `figures_age_max_ms`";
    FiguresNotPositive Skipped "figures_not_positive" "a figure that the volume needs is zero or below" "fund the account, or use `multiplier`";
    CurrencyDiffers Skipped "currency_differs" "the accounts have different currencies, so that their figures cannot be compared" "set `currency_rate`, or use another `volume`";
    MasterContractUnknown Skipped "master_contract_unknown" "the master's terminal has not told what a lot of the symbol is" "start the master's terminal, so that it registers, or use `multiplier`";
    RiskNeedsSl Skipped "risk_needs_sl" "the volume is computed from the stop-loss, and the copy would have none on the losing side" "set a stop-loss at the master, do not switch `copy_sl` off, or use another `volume`";
    LotBelowMin Skipped "lot_below_min" "the volume is below the slave's smallest" "set `below_min` to `force`, or raise the number of `volume`";
    VolumeZero Skipped "volume_zero" "the settings ask for no volume at all" "raise the number of `volume`";
    NumberOverflow Skipped "number_overflow" "a number is too large to be computed exactly" "look at the settings and at what the terminals report; open or close by hand";
    LotsTotalMax Blocked "lots_total_max" "the slave would hold more lots than it may" "close something, or raise `lots_total_max`";
    PositionsMax Blocked "positions_max" "the slave would hold more positions than it may" "close something, or raise `positions_max`";
    PositionsPerSymbolMax Blocked "positions_per_symbol_max" "the slave would hold more positions of the symbol than it may" "close something, or raise `positions_per_symbol_max`";
    Stopped Blocked "stopped" "STOP was pressed; nothing is opened" "resume, once it is safe";
    Protected Blocked "protected" "a limit that protects the account forbids to open" "see the account's protection; arm it again with a reason";
    NotCopied Skipped "not_copied" "the slave holds no copy of this trade" "";
    CopyOver Skipped "copy_over" "the copy of this trade has ended before" "";
    CloseWaits Skipped "close_waits" "the part to close is smaller than the slave can close; it is closed together with the next one" "";
    PendingIndivisible Skipped "pending_indivisible" "a pending order cannot be made smaller; what is too much is closed once it is filled" "";
    WaitsForSymbol Skipped "waits_for_symbol" "the removed link closes its copies when the master has nothing left in the symbol" "close the copy by hand, if you do not want to wait";
    WoundDown Skipped "wound_down" "the link was removed and its copies were kept; the master does not manage them any more" "close the copy by hand, or add the link again";
    WaitsForFill Skipped "waits_for_fill" "the opening is not answered yet, and it may be filled in part: what is too much is closed as soon as it is" "";
    GrowthKept Skipped "growth_kept" "the growth is smaller than the slave can open; it is kept for the next growth" "";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
