//! What was looked at on the way to a decision, as numbers for the log and as sentences for people.

use super::ask::{Block, Origin};
use super::plan::Plan;
use super::rule::Rule;
use super::settings::{Layer, Levels, Mode, Sides, SyncMode, Volume, WindDown};
use super::symbol::Way;
use super::volume::{Fit, Inputs};
use crate::money::{Lots, Number, Price};
use crate::reason::RuntimeStatus;
use crate::trade::{Entry, Side, Symbol};
use serde::{Deserialize, Serialize};

/// One question, with its inputs, the setting in force and where that was set. New ones go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Link {
        mode: Mode,
        from: Layer,
        enabled: bool,
        status: RuntimeStatus,
        winding: Option<WindDown>,
    },
    ClosesOff {
        from: Layer,
    },
    Age {
        age_ms: i64,
        max_ms: u32,
        from: Layer,
    },
    Late {
        expires_ms: u32,
        from: Layer,
    },
    Unfiltered,
    Sides {
        side: Side,
        sides: Sides,
        from: Layer,
    },
    SymbolsAllow {
        symbol: Symbol,
        found: bool,
        count: u32,
        from: Layer,
    },
    SymbolsDeny {
        symbol: Symbol,
        found: bool,
        count: u32,
        from: Layer,
    },
    MagicsAllow {
        magic: i64,
        found: bool,
        count: u32,
        from: Layer,
    },
    MagicsDeny {
        magic: i64,
        found: bool,
        count: u32,
        from: Layer,
    },
    CommentContains {
        found: Option<String>,
        count: u32,
        from: Layer,
    },
    CommentExcludes {
        found: Option<String>,
        count: u32,
        from: Layer,
    },
    Pending {
        entry: Entry,
        allowed: bool,
        from: Layer,
    },
    SourceLots {
        lots: Lots,
        min: Lots,
        max: Lots,
        from: Layer,
    },
    Symbol {
        master: Symbol,
        plain: Option<Symbol>,
        slave: Symbol,
        way: Way,
        from: Layer,
    },
    SymbolMissing {
        master: Symbol,
        tried: Vec<Symbol>,
    },
    Reversed {
        side: Side,
        entry: Entry,
        from: Layer,
    },
    Sync {
        origin: Origin,
        mode: SyncMode,
        from: Layer,
    },
    Wait {
        price: Price,
        seen: Option<Price>,
        at_once: bool,
    },
    Near {
        price: Price,
        seen: Option<Price>,
        distance_max: Price,
    },
    Levels {
        sl: Levels,
        sl_from: Layer,
        tp: Levels,
        tp_from: Layer,
        shift: Option<Price>,
    },
    Volume {
        mode: Volume,
        from: Layer,
        master_lots: Lots,
        inputs: Inputs,
        lots: Lots,
    },
    VolumeRefused {
        mode: Volume,
        from: Layer,
        master_lots: Lots,
    },
    Fitted {
        lots_step: Lots,
        lots_min: Lots,
        lots_max: Lots,
        fit: Fit,
        /// Of the setting that decided, if one did.
        from: Option<Layer>,
        lots: Lots,
        orders: u8,
    },
    LotsTotal {
        held: Lots,
        adding: Lots,
        max: Lots,
        from: Layer,
    },
    Positions {
        held: u32,
        adding: u32,
        max: u32,
        from: Layer,
    },
    PositionsPerSymbol {
        held: u32,
        adding: u32,
        max: u32,
        from: Layer,
    },
    Barred(Block),
    PendingFilled,
    Grown {
        from: Lots,
        by: Lots,
    },
    CloseAll {
        lots: Lots,
    },
    ClosePart {
        /// What the master had, and what should be left of the copy so far.
        before: Lots,
        master_left: Lots,
        due: Lots,
        target: Lots,
        left: Lots,
        step: Lots,
        closing: Lots,
    },
    /// What earlier growths were too small for, and what is due with this one.
    Kept {
        kept: Number,
        due: Lots,
    },
    /// Something of the copy waits for its price, and may be filled before the order to end it arrives.
    CancelOrClose,
}

/// A decision in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub verdict: super::Verdict,
    pub rule: Rule,
    pub sentence: &'static str,
    pub remedy: &'static str,
    pub steps: Vec<String>,
}

impl Plan {
    /// The decision in words, with every number.
    pub fn explain(&self) -> Explanation {
        Explanation {
            verdict: self.verdict,
            rule: self.rule,
            sentence: self.rule.sentence(),
            remedy: self.rule.remedy(),
            steps: self.steps.iter().map(Step::sentence).collect(),
        }
    }
}

impl Step {
    pub fn sentence(&self) -> String {
        match self {
            Step::Link { mode, from, enabled, status, winding } => {
                let switched = if *enabled { "on" } else { "off" };
                let status = status.code();
                let winding = winding.map(|winding| format!(", being wound down ({})", winding.as_str()));
                format!(
                    "link: mode {} ({}), switched {switched}, status {status}{}",
                    mode.as_str(),
                    from.as_str(),
                    winding.unwrap_or_default()
                )
            }
            Step::ClosesOff { from } => format!("closes while the link is off: not wanted ({})", from.as_str()),
            Step::Age { age_ms, max_ms: 0, from } => format!("age: {age_ms} ms, no limit ({})", from.as_str()),
            Step::Age { age_ms, max_ms, from } => {
                format!("age: {age_ms} ms of at most {max_ms} ms ({})", from.as_str())
            }
            Step::Late { expires_ms, from } => format!(
                "too late to go at once; waits at the master's price{} ({})",
                for_so_long(*expires_ms),
                from.as_str()
            ),
            Step::Unfiltered => "filters: none is set".into(),
            Step::Sides { side, sides, from } => {
                format!("side: {}, copied: {} ({})", side.as_str(), sides.as_str(), from.as_str())
            }
            Step::SymbolsAllow { symbol, found, count, from } => {
                format!("symbol: {symbol} is {} the {count} allowed ({})", among(*found), from.as_str())
            }
            Step::SymbolsDeny { symbol, found, count, from } => {
                format!("symbol: {symbol} is {} the {count} denied ({})", among(*found), from.as_str())
            }
            Step::MagicsAllow { magic, found, count, from } => {
                format!("magic number: {magic} is {} the {count} allowed ({})", among(*found), from.as_str())
            }
            Step::MagicsDeny { magic, found, count, from } => {
                format!("magic number: {magic} is {} the {count} denied ({})", among(*found), from.as_str())
            }
            Step::CommentContains { found, count, from } => {
                format!("comment: {} the {count} texts that must be in it ({})", has(found), from.as_str())
            }
            Step::CommentExcludes { found, count, from } => {
                format!("comment: {} the {count} texts that must not be in it ({})", has(found), from.as_str())
            }
            Step::Pending { entry, allowed, from } => format!(
                "pending order ({}): {} ({})",
                entry_word(*entry),
                if *allowed { "copied" } else { "not copied" },
                from.as_str()
            ),
            Step::SourceLots { lots, min, max, from } => format!(
                "the master's volume: {lots}, copied from {min} to {} ({})",
                if *max == Lots::ZERO { "any".to_string() } else { max.to_string() },
                from.as_str()
            ),
            Step::Symbol { master, plain, slave, way, from } => {
                let plain = plain.as_ref().map(|plain| format!(" = {plain}")).unwrap_or_default();
                format!("symbol: {master}{plain} → {slave} by {} ({})", way_word(*way), from.as_str())
            }
            Step::SymbolMissing { master, tried } => {
                let tried: Vec<&str> = tried.iter().map(Symbol::as_str).collect();
                format!(
                    "symbol: {master} → none of the slave's; looked for {}",
                    if tried.is_empty() { "it".to_string() } else { tried.join(", ") }
                )
            }
            Step::Reversed { side, entry, from } => format!(
                "reversed: {} {}, stop-loss and take-profit exchanged ({})",
                side.as_str(),
                entry_word(*entry),
                from.as_str()
            ),
            Step::Sync { origin, mode, from } => {
                format!("{}: {} ({})", origin_words(*origin), sync_words(*mode), from.as_str())
            }
            Step::Wait { price, seen, at_once } => {
                let seen = seen.map_or("is not known".to_string(), |seen| format!("is {seen}"));
                format!(
                    "the slave's price {seen}, the master's was {price}: {}",
                    if *at_once { "as good, so at once" } else { "a limit order waits there" }
                )
            }
            Step::Near { price, seen: Some(seen), distance_max } => format!(
                "the slave's price {seen} is {} from the master's {price}; at most {distance_max}",
                (seen.get() - price.get()).abs().normalize()
            ),
            Step::Near { price, seen: None, distance_max } => format!(
                "the slave's price is not known here; its terminal allows {distance_max} from the master's {price}"
            ),
            Step::Levels { sl, sl_from, tp, tp_from, shift } => {
                let shift = shift.map(|shift| format!(", shifted by {shift}")).unwrap_or_default();
                format!(
                    "stop-loss by {} ({}), take-profit by {} ({}){shift}",
                    sl.as_str(),
                    sl_from.as_str(),
                    tp.as_str(),
                    tp_from.as_str()
                )
            }
            Step::Volume { mode, from, master_lots, inputs, lots } => format!(
                "volume: {} = {lots} ({}, {})",
                formula(*mode, *master_lots, *inputs),
                mode.as_str(),
                from.as_str()
            ),
            Step::VolumeRefused { mode, from, master_lots } => format!(
                "volume: {} {} of the master's {master_lots} cannot be worked out ({})",
                mode.as_str(),
                mode.number().normalize(),
                from.as_str()
            ),
            Step::Fitted { lots_step, lots_min, lots_max, fit, from, lots, orders } => {
                let bounds = format!("step {lots_step}, smallest {lots_min}, largest {lots_max}");
                let from = from.map(|from| format!(" ({})", from.as_str())).unwrap_or_default();
                format!("{bounds} → {}{from}", fit_words(*fit, *lots, *orders))
            }
            Step::LotsTotal { held, adding, max, from } => format!(
                "lots: {held} held + {adding} = {} of at most {max} ({})",
                (held.get() + adding.get()).normalize(),
                from.as_str()
            ),
            Step::Positions { held, adding, max, from } => {
                format!("positions: {held} held + {adding} of at most {max} ({})", from.as_str())
            }
            Step::PositionsPerSymbol { held, adding, max, from } => {
                format!("positions of the symbol: {held} held + {adding} of at most {max} ({})", from.as_str())
            }
            Step::Barred(Block::Stop(degree)) => format!("STOP ({}) is in force", degree.as_str()),
            Step::Barred(Block::Protection { limit, seen, bound }) => {
                format!("protection: {limit} is {seen}, the limit is {bound}")
            }
            Step::PendingFilled => "the master's pending order was filled; the copy has its own".into(),
            Step::Grown { from, by } => format!("the master's position grew from {from} by {by}"),
            Step::CloseAll { lots } => format!("the master has nothing left: closes all {lots}"),
            Step::ClosePart { before, master_left, due, target, left, step, closing } => format!(
                "the master has {master_left} left of {before}, so {due} × {master_left} / {before} = {target} should be left of {left}; step {step} → closes {closing}"
            ),
            Step::CancelOrClose => {
                "what waits is cancelled, and closed if it was filled meanwhile: the master does not have it".into()
            }
            Step::Kept { kept, due } => format!("kept from before: {kept}, so {due} is due"),
        }
    }
}

/// `0.33 × 5000 / 10000 × 1`
fn formula(mode: Volume, master_lots: Lots, inputs: Inputs) -> String {
    let number = mode.number().normalize();
    match inputs {
        Inputs::Nothing => match mode {
            Volume::Fixed(_) => format!("{number}"),
            Volume::Multiplier(_)
            | Volume::RatioEquity(_)
            | Volume::RatioBalance(_)
            | Volume::RatioFreeMargin(_)
            | Volume::MultiplierNotional(_)
            | Volume::RiskPercent(_)
            | Volume::Leverage(_) => format!("{master_lots} × {number}"),
        },
        Inputs::Funds { slave, master, rate } if rate.get() == rust_decimal::Decimal::ONE => {
            format!("{master_lots} × {number} × {} {slave} / {master}", figure(mode))
        }
        Inputs::Funds { slave, master, rate } => format!("{master_lots} × {number} × {slave} / ({master} × {rate})"),
        Inputs::Sizes { slave, master } => format!("{master_lots} × {number} × {master} / {slave} units in a lot"),
        Inputs::Risk { equity, distance, tick_size, tick_value } => {
            format!("{number} % of {equity} / ({distance} / {tick_size} × {tick_value} a lot)")
        }
        Inputs::Worth { equity, price, tick_size, tick_value } => {
            format!("{number} × {equity} / ({price} / {tick_size} × {tick_value} a lot)")
        }
    }
}

fn figure(mode: Volume) -> &'static str {
    match mode {
        Volume::RatioBalance(_) => "balance",
        Volume::RatioFreeMargin(_) => "free margin",
        Volume::RatioEquity(_)
        | Volume::Fixed(_)
        | Volume::Multiplier(_)
        | Volume::MultiplierNotional(_)
        | Volume::RiskPercent(_)
        | Volume::Leverage(_) => "equity",
    }
}

fn fit_words(fit: Fit, lots: Lots, orders: u8) -> String {
    match fit {
        Fit::Step => format!("{lots}"),
        Fit::Forced => format!("below the smallest, so {lots}"),
        Fit::Clamped => format!("above the largest, so {lots}"),
        Fit::Split => format!("{lots} in {orders} orders"),
        Fit::SplitCapped => format!("{lots} in {orders} orders, which is as many as may be"),
        Fit::TooSmall => "below the smallest".into(),
    }
}

fn for_so_long(expires_ms: u32) -> String {
    if expires_ms == 0 { String::new() } else { format!(" for {expires_ms} ms") }
}

fn among(found: bool) -> &'static str {
    if found { "among" } else { "not among" }
}

fn has(found: &Option<String>) -> String {
    found.as_ref().map_or("has none of".into(), |text| format!("has `{text}`, of"))
}

fn way_word(way: Way) -> &'static str {
    match way {
        Way::Name => "its name",
        Way::Map => "the map",
        Way::Synonym => "a synonym",
    }
}

fn entry_word(entry: Entry) -> &'static str {
    match entry {
        Entry::Market => "market",
        Entry::Limit => "limit",
        Entry::Stop => "stop",
    }
}

fn origin_words(origin: Origin) -> &'static str {
    match origin {
        Origin::Signal => "a signal",
        Origin::Sync => "open before the link was",
        Origin::Snapshot => "seen in a snapshot",
    }
}

fn sync_words(mode: SyncMode) -> String {
    match mode {
        SyncMode::Skip => "skipped".into(),
        SyncMode::LimitOrder { expires_ms } => format!("a limit order{}", for_so_long(expires_ms)),
        SyncMode::MarketOrder { distance_max } => format!("at once within {distance_max}"),
    }
}
