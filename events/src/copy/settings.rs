//! What people set about copying, layer upon layer: each layer says only what it changes, and the effective value knows where it
//! came from.
//!
//! Two rules hold everywhere: an empty list means "no filter", and zero means "no limit". A list is replaced as a whole by a
//! later layer, never merged.

use crate::money::{Factor, Lots, Price};
use crate::trade::Symbol;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Where a value was set. A later one wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    Default,
    Global,
    Master,
    Group,
    Link,
    Slave,
}

impl Layer {
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Default => "default",
            Layer::Global => "global",
            Layer::Master => "master",
            Layer::Group => "group",
            Layer::Link => "link",
            Layer::Slave => "slave",
        }
    }
}

/// A value that is in force, and where it was set.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Set<'a, T> {
    pub value: &'a T,
    pub from: Layer,
}

impl<T> Clone for Set<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> std::marker::Copy for Set<'_, T> {}

impl<T: std::marker::Copy> Set<'_, T> {
    pub fn get(self) -> T {
        *self.value
    }
}

/// A value that makes no sense, by its path in the JSON document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct Invalid {
    pub field: String,
    pub why: String,
}

/// What a field is called, what it means, and what it is if nobody sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    pub name: &'static str,
    pub meaning: String,
    pub default: serde_json::Value,
}

/// One line a field: name, type, default, what is refused.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, $check:expr;)*) => {
        /// What one layer sets; none leaves it to the layers before.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Overrides { $($(#[doc = $doc])* pub $name: Option<$type>),* }

        struct Defaults { $($name: $type),* }

        static DEFAULTS: LazyLock<Defaults> = LazyLock::new(|| Defaults { $($name: $default),* });

        /// All values in force.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct Effective<'a> { $($(#[doc = $doc])* pub $name: Set<'a, $type>),* }

        /// The values in force; the layers may come in any order.
        pub fn resolve<'a>(layers: &[(Layer, &'a Overrides)]) -> Effective<'a> {
            let defaults: &'static Defaults = &DEFAULTS;
            let mut effective = Effective { $($name: Set { value: &defaults.$name, from: Layer::Default }),* };
            for (layer, overrides) in layers {
                $(if let Some(value) = &overrides.$name && *layer >= effective.$name.from {
                    effective.$name = Set { value, from: *layer };
                })*
            }
            effective
        }

        /// Refuses what makes no sense in one layer.
        pub fn validate(overrides: &Overrides) -> Result<(), Invalid> {
            $(if let Some(value) = &overrides.$name {
                let check: fn(&$type) -> Checked = $check;
                check(value).map_err(|Wrong { at, why }| Invalid { field: format!("{}{at}", stringify!($name)), why })?;
            })*
            resolve(&[(Layer::Slave, overrides)]).check()
        }

        /// Every field, for forms and documents.
        pub fn fields() -> Vec<Field> {
            vec![$(Field {
                name: stringify!($name),
                meaning: [$($doc),*].map(str::trim).join(" "),
                default: serde_json::to_value(&DEFAULTS.$name).unwrap_or_default(),
            }),*]
        }
    };
}

settings! {
    /// Whether trades are copied (`live`), only decided and recorded (`observe`), or neither (`off`).
    mode: Mode = Mode::Live, any;
    /// How old a signal to open may be, in milliseconds.
    signal_age_max_ms: u32 = 5_000, span;
    /// What becomes of a signal to open that is too old.
    late_opens: LateOpens = LateOpens::Skip, late_opens;
    /// Which of the master's sides are copied.
    sides: Sides = Sides::Both, any;
    /// Only these symbols, by the master's name with or without what its broker adds.
    symbols_allow: BTreeSet<Symbol> = BTreeSet::new(), few;
    /// Not these symbols.
    symbols_deny: BTreeSet<Symbol> = BTreeSet::new(), few;
    /// Only trades with these magic numbers.
    magics_allow: BTreeSet<i64> = BTreeSet::new(), few;
    /// Not trades with these magic numbers.
    magics_deny: BTreeSet<i64> = BTreeSet::new(), few;
    /// Only trades whose comment has one of these in it; case does not count.
    comment_contains: Vec<String> = Vec::new(), |list| texts(list);
    /// Not trades whose comment has one of these in it; case does not count.
    comment_excludes: Vec<String> = Vec::new(), |list| texts(list);
    /// Whether pending orders are copied. If not, their fills are.
    copy_pending: bool = true, any;
    /// The smallest volume of the master that is copied.
    source_lots_min: Lots = Lots::ZERO, any;
    /// The largest volume of the master that is copied.
    source_lots_max: Lots = Lots::ZERO, any;
    /// The slave's name for the master's symbol, where it differs; wins over everything else.
    symbol_map: Vec<Mapping> = Vec::new(), |map| mappings(map);
    /// Names for the same instrument, such as `XAUUSD` and `GOLD`.
    synonyms: Vec<Vec<Symbol>> = Vec::new(), |all| groups(all);
    /// What the master's broker adds to names, if its terminal says it wrongly.
    master_affixes: Naming = Naming::Reported, naming;
    /// What the slave's broker adds to names, if its terminal says it wrongly.
    slave_affixes: Naming = Naming::Reported, naming;
    /// Sells where the master buys, and the other way round.
    reverse: bool = false, any;
    /// How the slave's volume follows.
    volume: Volume = Volume::Multiplier(Factor::ONE), volume;
    /// What one unit of the master's currency is in the slave's; zero: not said. Needed by the ratio modes if the two differ.
    currency_rate: Factor = Factor::ZERO, any;
    /// How old the balance, equity and margin that a volume is computed from may be, in milliseconds.
    figures_age_max_ms: u32 = 60_000, span;
    /// What becomes of a volume below the slave's smallest.
    below_min: BelowMin = BelowMin::Skip, any;
    /// What becomes of a volume above the slave's largest.
    above_max: AboveMax = AboveMax::Clamp, any;
    /// The most lots that the slave holds in copies.
    lots_total_max: Lots = Lots::ZERO, any;
    /// The most positions and orders that the slave holds in copies.
    positions_max: u32 = 0, any;
    /// The same for each symbol.
    positions_per_symbol_max: u32 = 0, any;
    /// How far from the master's price a market order may be filled, as a distance of prices.
    slippage_max: Price = Price::ZERO, distance;
    /// How often the terminal tries again after a requote.
    retries_max: u8 = 3, retries;
    /// The stop-loss: at the master's price, as far from the slave's own price, or not at all.
    copy_sl: Levels = Levels::Price, any;
    /// The take-profit, likewise.
    copy_tp: Levels = Levels::Price, any;
    /// What becomes of trades that were open before the link was, or that were missed.
    sync_mode: SyncMode = SyncMode::Skip, sync_mode;
    /// What becomes of the copies when the link is removed.
    wind_down: WindDown = WindDown::Keep, any;
    /// Whether closes and modifications pass while the link is off or the master is away.
    closes_when_off: bool = true, any;
    /// How long an order to open is good for, in milliseconds from the decision.
    order_deadline_ms: u32 = 10_000, span;
}

impl Effective<'_> {
    /// Refuses values that make no sense together.
    pub fn check(&self) -> Result<(), Invalid> {
        let (min, max) = (self.source_lots_min.get(), self.source_lots_max.get());
        if max > Lots::ZERO && min > max {
            let why = format!("is {min}, above `source_lots_max`, which is {max}");
            return Err(Invalid { field: "source_lots_min".into(), why });
        }
        let (each, all) = (self.positions_per_symbol_max.get(), self.positions_max.get());
        if all > 0 && each > all {
            let why = format!("is {each}, above `positions_max`, which is {all}");
            return Err(Invalid { field: "positions_per_symbol_max".into(), why });
        }
        Ok(())
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $word:ident = $text:literal),* $(,)? })*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$each])* $word),* }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $($name::$word => $text),* }
            }
        })*
    };
}

words! {
    Mode { Off = "off", Observe = "observe", Live = "live" }
    Sides { Both = "both", Buy = "buy", Sell = "sell" }
    BelowMin {
        Skip = "skip",
        /// The smallest volume instead.
        Force = "force",
    }
    AboveMax {
        /// The largest volume instead.
        Clamp = "clamp",
        /// Several orders.
        Split = "split",
    }
    Levels { Price = "price", Distance = "distance", Off = "off" }
    WindDown {
        /// The copies stay as they are and are nobody's any more.
        Keep = "keep",
        /// Each is closed when its master's trade is; pending orders are cancelled.
        CloseOnlyByPosition = "close_only_by_position",
        /// All of a symbol are closed when the master has nothing left in it; pending orders are cancelled.
        CloseOnlyBySymbol = "close_only_by_symbol",
        CloseNow = "close_now",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LateOpens {
    Skip,
    /// An order waits at the master's price for so long.
    Pending {
        expires_ms: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SyncMode {
    Skip,
    /// An order waits at the master's price for so long.
    LimitOrder {
        expires_ms: u32,
    },
    /// At once, unless the price is farther than this from the master's.
    MarketOrder {
        distance_max: Price,
    },
}

/// How a slave's volume follows, with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// Always so many lots.
    Fixed(Lots),
    /// So many times the master's lots.
    Multiplier(Factor),
    /// The master's lots by the ratio of equities, times this.
    #[serde(alias = "margin_ratio")]
    RatioEquity(Factor),
    RatioBalance(Factor),
    RatioFreeMargin(Factor),
    /// As many units of the base as the master trades, times this, whatever a lot is at either broker.
    MultiplierNotional(Factor),
    /// As much as loses so many per cent of the equity at the stop-loss.
    RiskPercent(Factor),
    /// As much as is worth so many times the equity.
    Leverage(Factor),
}

impl Volume {
    pub fn as_str(self) -> &'static str {
        match self {
            Volume::Fixed(_) => "fixed",
            Volume::Multiplier(_) => "multiplier",
            Volume::RatioEquity(_) => "ratio_equity",
            Volume::RatioBalance(_) => "ratio_balance",
            Volume::RatioFreeMargin(_) => "ratio_free_margin",
            Volume::MultiplierNotional(_) => "multiplier_notional",
            Volume::RiskPercent(_) => "risk_percent",
            Volume::Leverage(_) => "leverage",
        }
    }
    pub fn number(self) -> Decimal {
        match self {
            Volume::Fixed(lots) => lots.get(),
            Volume::Multiplier(factor)
            | Volume::RatioEquity(factor)
            | Volume::RatioBalance(factor)
            | Volume::RatioFreeMargin(factor)
            | Volume::MultiplierNotional(factor)
            | Volume::RiskPercent(factor)
            | Volume::Leverage(factor) => factor.get(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    pub from: Symbol,
    pub to: Symbol,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Naming {
    /// As the terminal said when it registered.
    Reported,
    Fixed {
        prefix: String,
        suffix: String,
    },
}

/// The most mappings, and entries of a list.
pub const LIST_MAX: usize = 1_000;
const TEXT_MAX: usize = 100;
const AFFIX_MAX: usize = 20;
const GROUP_MAX: usize = 50;
const RETRIES_MAX: u8 = 20;
/// 30 days.
const SPAN_MAX_MS: u32 = 2_592_000_000;
/// The largest number of any volume mode.
const NUMBER_MAX: i64 = 100_000;

type Checked = Result<(), Wrong>;

/// Where within the field, and why.
struct Wrong {
    at: String,
    why: String,
}

fn wrong<T>(at: impl Into<String>, why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at: at.into(), why: why.into() })
}

fn any<T>(_: &T) -> Checked {
    Ok(())
}

fn span(ms: &u32) -> Checked {
    if *ms > SPAN_MAX_MS { wrong("", format!("is {ms}, above 30 days ({SPAN_MAX_MS})")) } else { Ok(()) }
}

fn retries(count: &u8) -> Checked {
    if *count > RETRIES_MAX { wrong("", format!("is {count}, above {RETRIES_MAX}")) } else { Ok(()) }
}

fn distance(price: &Price) -> Checked {
    if *price < Price::ZERO { wrong("", format!("is a distance and cannot be negative, got {price}")) } else { Ok(()) }
}

fn few<T>(list: &BTreeSet<T>) -> Checked {
    count(list.len(), LIST_MAX)
}

fn count(len: usize, max: usize) -> Checked {
    if len > max { wrong("", format!("has {len} entries, more than {max}")) } else { Ok(()) }
}

fn texts(list: &[String]) -> Checked {
    count(list.len(), LIST_MAX)?;
    for (index, text) in list.iter().enumerate() {
        let long = text.chars().count() > TEXT_MAX || text.chars().any(char::is_control);
        if text.is_empty() || long {
            return wrong(format!("[{index}]"), format!("has 1 to {TEXT_MAX} characters and no control characters"));
        }
    }
    Ok(())
}

fn late_opens(late: &LateOpens) -> Checked {
    match late {
        LateOpens::Skip => Ok(()),
        LateOpens::Pending { expires_ms } => within(".pending.expires_ms", span(expires_ms)),
    }
}

fn sync_mode(mode: &SyncMode) -> Checked {
    match mode {
        SyncMode::Skip => Ok(()),
        SyncMode::LimitOrder { expires_ms } => within(".limit_order.expires_ms", span(expires_ms)),
        SyncMode::MarketOrder { distance_max } => within(".market_order.distance_max", distance(distance_max)),
    }
}

fn within(path: &str, checked: Checked) -> Checked {
    checked.map_err(|Wrong { at, why }| Wrong { at: format!("{path}{at}"), why })
}

fn volume(volume: &Volume) -> Checked {
    let (at, number) = (format!(".{}", volume.as_str()), volume.number());
    let max = if let Volume::RiskPercent(_) = volume { 100 } else { NUMBER_MAX };
    if number.is_zero() {
        return wrong(at, "is zero, which copies nothing: set `mode` to `off` instead");
    }
    if number > Decimal::from(max) { wrong(at, format!("is {number}, above {max}")) } else { Ok(()) }
}

fn mappings(map: &[Mapping]) -> Checked {
    count(map.len(), LIST_MAX)?;
    let mut seen = BTreeSet::new();
    for (index, mapping) in map.iter().enumerate() {
        if !seen.insert(&mapping.from) {
            return wrong(format!("[{index}].from"), format!("maps {} a second time", mapping.from));
        }
    }
    Ok(())
}

fn groups(groups: &[Vec<Symbol>]) -> Checked {
    count(groups.len(), LIST_MAX)?;
    let mut seen = BTreeSet::new();
    for (index, group) in groups.iter().enumerate() {
        if group.len() < 2 || group.len() > GROUP_MAX {
            return wrong(format!("[{index}]"), format!("has {} names; a group has 2 to {GROUP_MAX}", group.len()));
        }
        for (inner, name) in group.iter().enumerate() {
            if !seen.insert(name) {
                return wrong(format!("[{index}][{inner}]"), format!("is {name}, which stands in a group already"));
            }
        }
    }
    Ok(())
}

fn naming(naming: &Naming) -> Checked {
    let Naming::Fixed { prefix, suffix } = naming else { return Ok(()) };
    for (at, text) in [(".fixed.prefix", prefix), (".fixed.suffix", suffix)] {
        if text.chars().count() > AFFIX_MAX || text.chars().any(char::is_control) {
            return wrong(at, format!("has at most {AFFIX_MAX} characters and no control characters"));
        }
    }
    Ok(())
}
