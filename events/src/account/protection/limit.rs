//! The limits, and how each is counted: what is used of it against what is allowed. It is hit when `used >= allowed`.

use super::marks::{Day, Figures, Marks};
use super::rules::{Amount, Daily, DayStart, Rules, TotalDrawdown, TotalFrom};
use crate::money::{Factor, Money, Number};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    DailyLoss,
    DailyDrawdown,
    TotalDrawdown,
    EquityFloor,
    EquityCeiling,
    DailyTarget,
    TotalTarget,
    MarginLevel,
    LotsMax,
    PositionsMax,
}

impl Limit {
    pub const ALL: [Limit; 10] = [
        Limit::DailyLoss,
        Limit::DailyDrawdown,
        Limit::TotalDrawdown,
        Limit::EquityFloor,
        Limit::EquityCeiling,
        Limit::DailyTarget,
        Limit::TotalTarget,
        Limit::MarginLevel,
        Limit::LotsMax,
        Limit::PositionsMax,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Limit::DailyLoss => "daily_loss",
            Limit::DailyDrawdown => "daily_drawdown",
            Limit::TotalDrawdown => "total_drawdown",
            Limit::EquityFloor => "equity_floor",
            Limit::EquityCeiling => "equity_ceiling",
            Limit::DailyTarget => "daily_target",
            Limit::TotalTarget => "total_target",
            Limit::MarginLevel => "margin_level",
            Limit::LotsMax => "lots_max",
            Limit::PositionsMax => "positions_max",
        }
    }

    /// What an account may hold. Being at such a limit is nothing bad: it is only told, ends by itself, and each entry is
    /// checked against what is held at that moment ([`Rules::refuses`]), not against the last heartbeat.
    pub fn is_cap(self) -> bool {
        matches!(self, Limit::LotsMax | Limit::PositionsMax)
    }

    /// What `used` and `allowed` count.
    pub fn unit(self) -> &'static str {
        match self {
            Limit::LotsMax => "lots",
            Limit::PositionsMax => "positions",
            _ => "money",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A limit as it is counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    used: Decimal,
    allowed: Decimal,
}

impl Reading {
    fn new(used: Decimal, allowed: Decimal) -> Self {
        Reading { used, allowed: floor(allowed, 8) }
    }

    pub fn used(&self) -> Number {
        number(self.used)
    }
    pub fn allowed(&self) -> Number {
        number(self.allowed)
    }
    pub fn is_exceeded(&self) -> bool {
        self.used >= self.allowed
    }
    /// That so many per cent of the limit are used. Where nothing is allowed, only what is exceeded can reach anything.
    pub fn reaches(&self, percent: Decimal) -> bool {
        times(self.used, Decimal::ONE_HUNDRED) >= times(self.allowed, percent)
    }
    /// How much of the limit is used, in per cent, rounded down to a tenth; zero while nothing is, none where nothing is allowed.
    pub fn percent(&self) -> Option<Factor> {
        if self.allowed <= Decimal::ZERO {
            return None;
        }
        let share = times(self.used.max(Decimal::ZERO), Decimal::ONE_HUNDRED).checked_div(self.allowed)?;
        Factor::new(floor(share, 1)).ok()
    }
}

/// The limit as these figures count it; `marks` have heard them already. None where the limit is not watched, or where it is a
/// share of nothing.
pub fn measure(limit: Limit, rules: &Rules, marks: &Marks, figures: &Figures) -> Option<Reading> {
    let equity = figures.equity.get();
    match limit {
        Limit::DailyLoss => {
            let (from, allowed) = daily(rules.daily_loss?, marks)?;
            Some(Reading::new(from - equity, allowed))
        }
        Limit::DailyTarget => {
            let (from, allowed) = daily(rules.daily_target?, marks)?;
            Some(Reading::new(equity - from, allowed))
        }
        Limit::DailyDrawdown => {
            let high = marks.day?.high.get();
            Some(Reading::new(high - equity, amount(rules.daily_drawdown?.amount, high, marks)?))
        }
        Limit::TotalDrawdown => total_drawdown(rules.total_drawdown?, marks, equity),
        Limit::EquityFloor => {
            let top = marks.top();
            Some(Reading::new(top - equity, top - rules.equity_floor?.equity.get()))
        }
        Limit::EquityCeiling => {
            let initial = marks.initial.get();
            Some(Reading::new(equity - initial, rules.equity_ceiling?.equity.get() - initial))
        }
        Limit::TotalTarget => {
            let initial = marks.initial.get();
            Some(Reading::new(equity - initial, amount(rules.total_target?.amount, initial, marks)?))
        }
        Limit::MarginLevel => margin(rules.margin_level?.percent, figures),
        Limit::LotsMax => Some(Reading::new(figures.open_lots?.get(), rules.lots_max?.get())),
        Limit::PositionsMax => Some(Reading::new(figures.open_positions.into(), rules.positions_max?.into())),
    }
}

/// What the day is measured from, and how far from it equity may go.
fn daily(rule: Daily, marks: &Marks) -> Option<(Decimal, Decimal)> {
    let from = day_start(rule.from, &marks.day?);
    Some((from, amount(rule.amount, from, marks)?))
}

fn day_start(from: DayStart, day: &Day) -> Decimal {
    match from {
        DayStart::Balance => day.balance.get(),
        DayStart::Equity => day.equity.get(),
        DayStart::Higher => day.balance.max(day.equity).get(),
    }
}

/// The line is so much below what it is measured from, but never above `locks_at`.
fn total_drawdown(rule: TotalDrawdown, marks: &Marks, equity: Decimal) -> Option<Reading> {
    let from = match rule.from {
        TotalFrom::Initial => marks.initial.get(),
        TotalFrom::Peak => marks.top(),
        TotalFrom::EndOfDay => marks.initial.max(marks.end_of_day_peak).get(),
    };
    let line = from.saturating_sub(amount(rule.amount, from, marks)?);
    let line = rule.locks_at.map_or(line, |locks_at| line.min(locks_at.get()));
    Some(Reading::new(from - equity, from.saturating_sub(line)))
}

/// `equity / margin <= level` said without a division by the margin: the margin in use against the most that this equity
/// bears. None without margin in use.
fn margin(level: Factor, figures: &Figures) -> Option<Reading> {
    let margin = figures.equity.get() - figures.free_margin.get();
    if margin <= Decimal::ZERO {
        return None;
    }
    let bears = times(figures.equity.get(), Decimal::ONE_HUNDRED).checked_div(level.get())?;
    Some(Reading::new(margin, bears))
}

fn amount(amount: Amount, from: Decimal, marks: &Marks) -> Option<Decimal> {
    match amount {
        Amount::Money(money) => Some(money.get()),
        Amount::Percent(percent) => share(from, percent),
        Amount::PercentOfInitial(percent) => share(marks.initial.get(), percent),
    }
}

/// None of nothing or less: five per cent of an empty account would be lost before anything is.
fn share(of: Decimal, percent: Factor) -> Option<Decimal> {
    (of > Decimal::ZERO).then(|| times(times(of, percent.get()), Decimal::new(1, 2)))
}

/// The product, or the end of the numbers: no setting, however absurd, stops the fold.
fn times(one: Decimal, other: Decimal) -> Decimal {
    let negative = one.is_sign_negative() != other.is_sign_negative();
    one.checked_mul(other).unwrap_or(if negative { Decimal::MIN } else { Decimal::MAX })
}

fn floor(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, RoundingStrategy::ToNegativeInfinity)
}

/// As a record can hold it: as many places as fit, and no further than the numbers go.
fn number(value: Decimal) -> Number {
    let fitting = [12, 8, 4, 2, 0].into_iter().find_map(|places| Number::new(floor(value, places)).ok());
    let end = if value.is_sign_negative() { i64::MIN } else { i64::MAX };
    fitting.or_else(|| Number::new(end.into()).ok()).unwrap_or(Number::ZERO)
}

impl Marks {
    /// The highest that the account has been.
    fn top(&self) -> Decimal {
        self.initial.max(self.peak).max(Money::ZERO).get()
    }
}
