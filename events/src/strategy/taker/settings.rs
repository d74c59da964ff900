//! Parameter sets of a taker.

use super::command::Refusal;
use super::family::{Family, admit};
use super::param::Range;
use super::{MacdRsiDiv, Ping, SqueezeBreak, TickImbalance, WickBlend, WickPro};
use crate::id::Principal;
use crate::market::Size;
use crate::reason::Reason;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// One of those that are shipped, with its parameters. `{"ping": {"spread_max_pips": "0.7"}}`; what is not said is by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnyFamily {
    Ping(Ping),
    MacdRsiDiv(MacdRsiDiv),
    TickImbalance(TickImbalance),
    SqueezeBreak(SqueezeBreak),
    WickBlend(WickBlend),
    WickPro(WickPro),
}

impl AnyFamily {
    /// Each with its defaults.
    pub fn all() -> [AnyFamily; 6] {
        [
            AnyFamily::Ping(Ping::default()),
            AnyFamily::MacdRsiDiv(MacdRsiDiv::default()),
            AnyFamily::TickImbalance(TickImbalance::default()),
            AnyFamily::SqueezeBreak(SqueezeBreak::default()),
            AnyFamily::WickBlend(WickBlend::default()),
            AnyFamily::WickPro(WickPro::default()),
        ]
    }
    pub fn as_str(&self) -> &'static str {
        match self {
            AnyFamily::Ping(_) => "ping",
            AnyFamily::MacdRsiDiv(_) => "macd_rsi_div",
            AnyFamily::TickImbalance(_) => "tick_imbalance",
            AnyFamily::SqueezeBreak(_) => "squeeze_break",
            AnyFamily::WickBlend(_) => "wick_blend",
            AnyFamily::WickPro(_) => "wick_pro",
        }
    }
    pub fn family(&self) -> &dyn Family {
        match self {
            AnyFamily::Ping(family) => family,
            AnyFamily::MacdRsiDiv(family) => family,
            AnyFamily::TickImbalance(family) => family,
            AnyFamily::SqueezeBreak(family) => family,
            AnyFamily::WickBlend(family) => family,
            AnyFamily::WickPro(family) => family,
        }
    }
    /// Its parameters with defaults and ranges.
    pub fn ranges(&self) -> Vec<Range> {
        match self {
            AnyFamily::Ping(_) => Ping::ranges(),
            AnyFamily::MacdRsiDiv(_) => MacdRsiDiv::ranges(),
            AnyFamily::TickImbalance(_) => TickImbalance::ranges(),
            AnyFamily::SqueezeBreak(_) => SqueezeBreak::ranges(),
            AnyFamily::WickBlend(_) => WickBlend::ranges(),
            AnyFamily::WickPro(_) => WickPro::ranges(),
        }
    }
    fn check(&self) -> Result<(), Refusal> {
        match self {
            AnyFamily::Ping(family) => family.check(),
            AnyFamily::MacdRsiDiv(family) => family.check(),
            AnyFamily::TickImbalance(family) => family.check(),
            AnyFamily::SqueezeBreak(family) => family.check(),
            AnyFamily::WickBlend(family) => family.check(),
            AnyFamily::WickPro(family) => family.check(),
        }
    }
}

/// All that a taker goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub family: AnyFamily,
    #[serde(default)]
    pub host: Host,
}

super::param::params! {
    /// What is the same for every family.
    pub struct Host {
        /// Of the base, for each entry; the checks before the order may make it smaller.
        size: Size = Size::ONE, Size(1) => Size::whole(1_000_000_000);
        /// Trades at a time.
        trades_max: u32 = 1, 1 => 16;
        /// Each leg decides at most this often.
        tick_ms: u32 = 200, 10 => 60_000;
        /// No second entry so long after one was submitted or filled.
        cooldown_ms: u32 = 60_000, 0 => 86_400_000;
        /// No entry so long after a trade was closed.
        reentry_ms: u32 = 30_000, 0 => 86_400_000;
        /// No entry and no discretionary exit on a quote that is older.
        stale_ms: u32 = 3_000, 100 => 60_000;
        /// An entry that was not submitted by then is not submitted at all.
        valid_ms: u32 = 2_000, 100 => 60_000;
    }
}

impl Host {
    pub fn tick(&self) -> Span {
        Span::millis(self.tick_ms.into())
    }
    pub fn cooldown(&self) -> Span {
        Span::millis(self.cooldown_ms.into())
    }
    pub fn reentry(&self) -> Span {
        Span::millis(self.reentry_ms.into())
    }
    pub fn stale(&self) -> Span {
        Span::millis(self.stale_ms.into())
    }
    pub fn valid(&self) -> Span {
        Span::millis(self.valid_ms.into())
    }
}

impl Settings {
    pub fn of(family: AnyFamily) -> Self {
        Settings { family, host: Host::default() }
    }
    /// Refuses the first field that is at fault, then a family without a loss exit.
    pub fn checked(self) -> Result<Self, Refusal> {
        self.host.in_range()?;
        self.family.check()?;
        admit(self.family.family())?;
        Ok(self)
    }
}

/// A parameter set as it is kept. Its number is its place among those of its taker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    pub no: u32,
    pub by: Principal,
    pub comment: Reason,
    pub settings: Settings,
}
