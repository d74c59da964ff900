//! What a venue's gateway goes by: limits that no strategy can switch off, and the bounds of each strategy within them.

use super::command::Refusal;
use crate::id::MarketId;
use crate::market::{Bps, Cash, Ratio, Size};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const MARKETS_MAX: usize = 200;
pub const STRATEGIES_MAX: usize = 200;
/// The most orders that may be at a venue at once.
pub const ORDERS_MAX: u32 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub limits: Limits,
    pub rate: Rate,
    /// A quote that is older lets no order out.
    pub data_age_max_ms: u32,
    /// Positions that nobody confirmed for longer are stale.
    pub positions_age_max_ms: u32,
    /// So long an order may be on its way before it counts that the venue does not know it.
    pub unknown_grace_ms: u32,
    /// The venue cancels by itself when it hears nothing, and nothing is quoted unless that is armed.
    pub dead_man: bool,
    pub guardian: GuardianSettings,
}

/// None of them can be switched off, and no strategy's bounds are wider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Of any market, in one order or held at worst.
    pub units_max: Size,
    /// Of single markets.
    pub units_max_of: BTreeMap<MarketId, Size>,
    pub loss_per_trade_max: Cash,
    pub drawdown_day_max: Cash,
    pub drawdown_total_max: Cash,
    /// What all that is held and ordered is worth at worst.
    pub exposure_max: Option<Cash>,
    /// The same of what goes one way.
    pub direction_max: Option<Cash>,
    /// How much more than its margin an order may be worth. None: the venue has no margin.
    pub leverage: Option<u32>,
    pub orders_max: u32,
    /// A drawdown halt gives everything up.
    pub halt_flattens: bool,
}

/// How often the venue may be asked for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
    /// Of the burst, what only cancels and exits may use.
    pub reserve: u32,
}

/// What the guardian does with what nobody looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardianSettings {
    /// An orphan is given up after so long, and sooner where its loss exit is reached.
    pub time_stop_ms: u32,
    /// An exit that is blocked for longer is escalated.
    pub escalate_after_ms: u32,
    /// As is one that the venue rejected so often.
    pub escalate_after_tries: u8,
}

/// What one strategy may do at the venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    pub shape: Shape,
    /// Trades open at once, those on their way included; a maker's orders at once.
    pub open_max: u32,
    pub units_max: Size,
    pub exposure_max: Option<Cash>,
    pub loss_max: Cash,
    /// From one entry to the next.
    pub cooldown_ms: u32,
    /// From the end of a trade to the next entry in its market.
    pub reentry_ms: u32,
    pub spread_max: Option<Bps>,
    /// An entry that is less likely right is refused.
    pub probability_min: Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Maker,
    Taker {
        /// It declares where its trades are given up.
        loss_exit: bool,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            rate: Rate::default(),
            data_age_max_ms: 3_000,
            positions_age_max_ms: 30_000,
            unknown_grace_ms: 10_000,
            dead_man: false,
            guardian: GuardianSettings::default(),
        }
    }
}

impl Default for Limits {
    /// Small: whoever wants more says so.
    fn default() -> Self {
        Limits {
            units_max: Size::whole(1),
            units_max_of: BTreeMap::new(),
            loss_per_trade_max: Cash::whole(100),
            drawdown_day_max: Cash::whole(500),
            drawdown_total_max: Cash::whole(1_000),
            exposure_max: None,
            direction_max: None,
            leverage: None,
            orders_max: 200,
            halt_flattens: false,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Rate { per_second: 10, burst: 40, reserve: 10 }
    }
}

impl Default for GuardianSettings {
    fn default() -> Self {
        GuardianSettings { time_stop_ms: 900_000, escalate_after_ms: 30_000, escalate_after_tries: 3 }
    }
}

pub(super) fn millis(ms: u32) -> Span {
    Span::millis(i64::from(ms))
}

impl Settings {
    pub fn units_max(&self, market: &MarketId) -> Size {
        self.limits.units_max_of.get(market).copied().unwrap_or(self.limits.units_max)
    }

    pub(super) fn checked(self) -> Result<Self, Refusal> {
        let no = |field, why: &str| Err(Refusal::SettingInvalid { field, why: why.into() });
        let limits = &self.limits;
        if limits.units_max.0 <= 0 || limits.units_max_of.values().any(|units| units.0 <= 0) {
            return no("units_max", "more than zero; it cannot be switched off");
        }
        if limits.units_max_of.len() > MARKETS_MAX {
            return no("units_max_of", "at most 200 markets");
        }
        for (field, cash) in [
            ("loss_per_trade_max", limits.loss_per_trade_max),
            ("drawdown_day_max", limits.drawdown_day_max),
            ("drawdown_total_max", limits.drawdown_total_max),
        ] {
            if cash.0 <= 0 {
                return no(field, "more than zero; it cannot be switched off");
            }
        }
        if limits.exposure_max.is_some_and(|cash| cash.0 <= 0) || limits.direction_max.is_some_and(|cash| cash.0 <= 0) {
            return no("exposure_max", "more than zero, or left out");
        }
        if limits.leverage.is_some_and(|times| !(1..=1_000).contains(&times)) {
            return no("leverage", "1 to 1000, or left out");
        }
        if !(1..=ORDERS_MAX).contains(&limits.orders_max) {
            return no("orders_max", "1 to 1000");
        }
        let rate = &self.rate;
        if !(1..=10_000).contains(&rate.per_second)
            || !(1..=100_000).contains(&rate.burst)
            || rate.reserve >= rate.burst
        {
            return no("rate", "per_second 1 to 10000, burst 1 to 100000, reserve less than burst");
        }
        if !(100..=60_000).contains(&self.data_age_max_ms) {
            return no("data_age_max_ms", "100 to 60000");
        }
        if !(1_000..=600_000).contains(&self.positions_age_max_ms) {
            return no("positions_age_max_ms", "1000 to 600000");
        }
        if !(1_000..=600_000).contains(&self.unknown_grace_ms) {
            return no("unknown_grace_ms", "1000 to 600000");
        }
        if !(1_000..=86_400_000).contains(&self.guardian.time_stop_ms) {
            return no("time_stop_ms", "1000 to 86400000");
        }
        if !(1_000..=3_600_000).contains(&self.guardian.escalate_after_ms) || self.guardian.escalate_after_tries == 0 {
            return no("escalate_after_ms", "1000 to 3600000, and at least one try");
        }
        Ok(self)
    }
}

impl Bounds {
    pub fn maker(units_max: Size) -> Self {
        Bounds {
            shape: Shape::Maker,
            open_max: 20,
            units_max,
            exposure_max: None,
            loss_max: Cash::whole(100),
            cooldown_ms: 0,
            reentry_ms: 0,
            spread_max: None,
            probability_min: Ratio::ZERO,
        }
    }
    pub fn taker(units_max: Size) -> Self {
        Bounds { shape: Shape::Taker { loss_exit: true }, open_max: 1, ..Bounds::maker(units_max) }
    }

    pub(super) fn checked(self) -> Result<Self, Refusal> {
        let no = |field, why: &str| Err(Refusal::SettingInvalid { field, why: why.into() });
        if self.shape == (Shape::Taker { loss_exit: false }) {
            return Err(Refusal::LossExitMissing);
        }
        if !(1..=ORDERS_MAX).contains(&self.open_max) {
            return no("open_max", "1 to 1000");
        }
        if self.units_max.0 <= 0 {
            return no("units_max", "more than zero");
        }
        if self.loss_max.0 <= 0 {
            return no("loss_max", "more than zero");
        }
        if self.exposure_max.is_some_and(|cash| cash.0 <= 0) {
            return no("exposure_max", "more than zero, or left out");
        }
        if self.cooldown_ms > 86_400_000 || self.reentry_ms > 86_400_000 {
            return no("cooldown_ms", "at most 86400000");
        }
        if self.spread_max.is_some_and(|bps| bps.0 <= 0) {
            return no("spread_max", "more than zero, or left out");
        }
        if self.probability_min < Ratio::ZERO || self.probability_min > Ratio::ONE {
            return no("probability_min", "0 to 1");
        }
        Ok(self)
    }
}
