//! What a person sets for an account: which limits it has, and what is done when one is reached.

use super::day::TradingDay;
use super::limit::Limit;
use crate::money::{Factor, Lots, Money};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The limits of one account. A limit that is not there is not watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// A change of it counts from the next reset on, so that nobody gets a new day by moving the clock.
    pub trading_day: TradingDay,
    /// A limit is near from here on; at 100 nothing is ever near.
    pub warn_at_percent: u8,
    pub daily_loss: Option<Daily>,
    pub daily_drawdown: Option<DailyDrawdown>,
    pub total_drawdown: Option<TotalDrawdown>,
    pub equity_floor: Option<Equity>,
    pub equity_ceiling: Option<Equity>,
    pub daily_target: Option<Daily>,
    pub total_target: Option<Target>,
    pub margin_level: Option<Margin>,
    /// Open volume of the whole account. An entry that would bring it above this is blocked.
    pub lots_max: Option<Lots>,
    /// Open positions of the whole account.
    pub positions_max: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            trading_day: TradingDay::default(),
            warn_at_percent: 80,
            daily_loss: None,
            daily_drawdown: None,
            total_drawdown: None,
            equity_floor: None,
            equity_ceiling: None,
            daily_target: None,
            total_target: None,
            margin_level: None,
            lots_max: None,
            positions_max: None,
        }
    }
}

/// What is done when a limit is reached; each includes the ones before it. Closing is never blocked, nor is a change of
/// stop-loss and take-profit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Nothing new is opened, placed or enlarged. Pending orders that wait already may still be filled.
    BlockEntry,
    /// And pending orders are cancelled.
    CloseOnly,
    /// And every position is closed, also one that appears later.
    Flatten,
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    Money(Money),
    /// Of what the limit is measured from: the day's start, the day's high, the peak.
    Percent(Factor),
    /// Of the initial balance, wherever it is measured from.
    PercentOfInitial(Factor),
}

/// A loss or a gain since the day's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Daily {
    pub amount: Amount,
    #[serde(default)]
    pub from: DayStart,
    pub action: Action,
    #[serde(default)]
    pub lasts: Lasts,
}

/// Which figure of the day's start counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayStart {
    Balance,
    Equity,
    /// The higher of the two.
    #[default]
    Higher,
}

/// How long a limit stays hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasts {
    /// Until the next trading day, or until it is re-armed.
    #[default]
    Day,
    /// Until it is re-armed.
    Rearm,
}

/// A loss since the day's highest equity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyDrawdown {
    pub amount: Amount,
    pub action: Action,
    #[serde(default)]
    pub lasts: Lasts,
}

/// A loss since the account began, or since its peak. Stays hit until it is re-armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotalDrawdown {
    pub amount: Amount,
    pub from: TotalFrom,
    /// The line that equity must not touch follows a peak up to here and no further.
    #[serde(default)]
    pub locks_at: Option<Money>,
    pub action: Action,
}

/// What a total drawdown is measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalFrom {
    /// The initial balance: the line stands still.
    Initial,
    /// The highest equity ever: the line follows each new high at once.
    Peak,
    /// The highest balance with which a trading day ended: the line moves once a day.
    EndOfDay,
}

/// A fixed equity. Stays hit until it is re-armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equity {
    pub equity: Money,
    pub action: Action,
}

/// A gain since the account began. Stays hit until it is re-armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub amount: Amount,
    pub action: Action,
}

/// The lowest margin level: equity in per cent of margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    pub percent: Factor,
    pub action: Action,
    #[serde(default)]
    pub lasts: Lasts,
}

/// The one setting that cannot be, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {why}")]
pub struct RulesError {
    pub field: &'static str,
    pub why: String,
}

impl Rules {
    /// The first setting that makes no sense, in the order in which they are written.
    pub fn validate(&self) -> Result<(), RulesError> {
        self.trading_day.validate()?;
        check((1..=100).contains(&self.warn_at_percent), "warn_at_percent", "from 1 to 100")?;
        self.daily_loss.map_or(Ok(()), |rule| loss(rule.amount, "daily_loss.amount"))?;
        self.daily_drawdown.map_or(Ok(()), |rule| loss(rule.amount, "daily_drawdown.amount"))?;
        self.total_drawdown.map_or(Ok(()), total)?;
        self.levels()?;
        self.daily_target.map_or(Ok(()), |rule| gain(rule.amount, "daily_target.amount"))?;
        self.total_target.map_or(Ok(()), |rule| gain(rule.amount, "total_target.amount"))?;
        self.margin_level.map_or(Ok(()), |rule| percent(rule.percent, 10_000, "margin_level.percent"))?;
        check(
            self.lots_max != Some(Lots::ZERO),
            "lots_max",
            "above zero; to block all entries switch the account off",
        )?;
        check(self.positions_max != Some(0), "positions_max", "at least 1; to block all entries switch the account off")
    }

    /// That no limit is watched.
    pub fn is_empty(&self) -> bool {
        Limit::ALL.iter().all(|limit| !self.has(*limit))
    }

    pub fn has(&self, limit: Limit) -> bool {
        match limit {
            Limit::DailyLoss => self.daily_loss.is_some(),
            Limit::DailyDrawdown => self.daily_drawdown.is_some(),
            Limit::TotalDrawdown => self.total_drawdown.is_some(),
            Limit::EquityFloor => self.equity_floor.is_some(),
            Limit::EquityCeiling => self.equity_ceiling.is_some(),
            Limit::DailyTarget => self.daily_target.is_some(),
            Limit::TotalTarget => self.total_target.is_some(),
            Limit::MarginLevel => self.margin_level.is_some(),
            Limit::LotsMax => self.lots_max.is_some(),
            Limit::PositionsMax => self.positions_max.is_some(),
        }
    }

    /// What is done when the limit is reached, and how long that lasts (none: until less is held). None where the limit is not
    /// watched.
    pub fn consequence(&self, limit: Limit) -> Option<(Action, Option<Lasts>)> {
        let rearm = Some(Lasts::Rearm);
        match limit {
            Limit::DailyLoss => self.daily_loss.map(|rule| (rule.action, Some(rule.lasts))),
            Limit::DailyDrawdown => self.daily_drawdown.map(|rule| (rule.action, Some(rule.lasts))),
            Limit::TotalDrawdown => self.total_drawdown.map(|rule| (rule.action, rearm)),
            Limit::EquityFloor => self.equity_floor.map(|rule| (rule.action, rearm)),
            Limit::EquityCeiling => self.equity_ceiling.map(|rule| (rule.action, rearm)),
            Limit::DailyTarget => self.daily_target.map(|rule| (rule.action, Some(rule.lasts))),
            Limit::TotalTarget => self.total_target.map(|rule| (rule.action, rearm)),
            Limit::MarginLevel => self.margin_level.map(|rule| (rule.action, Some(rule.lasts))),
            Limit::LotsMax => self.lots_max.map(|_| (Action::BlockEntry, None)),
            Limit::PositionsMax => self.positions_max.map(|_| (Action::BlockEntry, None)),
        }
    }

    fn levels(&self) -> Result<(), RulesError> {
        let positive = |rule: Option<Equity>| rule.is_none_or(|rule| rule.equity > Money::ZERO);
        check(positive(self.equity_floor), "equity_floor.equity", "above zero")?;
        check(positive(self.equity_ceiling), "equity_ceiling.equity", "above zero")?;
        let crossed = matches!((self.equity_floor, self.equity_ceiling), (Some(floor), Some(ceiling)) if floor.equity >= ceiling.equity);
        check(!crossed, "equity_ceiling.equity", "above `equity_floor.equity`")
    }
}

fn total(rule: TotalDrawdown) -> Result<(), RulesError> {
    loss(rule.amount, "total_drawdown.amount")?;
    let locks = rule.locks_at.is_none_or(|line| line > Money::ZERO);
    check(locks, "total_drawdown.locks_at", "above zero")?;
    let follows = rule.locks_at.is_none() || rule.from != TotalFrom::Initial;
    check(follows, "total_drawdown.locks_at", "left out where `from` is `initial`: that line stands still anyway")
}

/// More than everything cannot be lost.
fn loss(amount: Amount, field: &'static str) -> Result<(), RulesError> {
    positive(amount, 100, field)
}

fn gain(amount: Amount, field: &'static str) -> Result<(), RulesError> {
    positive(amount, 10_000, field)
}

fn positive(amount: Amount, percent_max: u32, field: &'static str) -> Result<(), RulesError> {
    match amount {
        Amount::Money(money) => check(money > Money::ZERO, field, "above zero"),
        Amount::Percent(share) | Amount::PercentOfInitial(share) => percent(share, percent_max, field),
    }
}

/// Four decimal places, so that a share of any amount is exact.
fn percent(share: Factor, max: u32, field: &'static str) -> Result<(), RulesError> {
    let within = share > Factor::ZERO && share.get() <= Decimal::from(max);
    check(within, field, &format!("above 0 and at most {max} per cent"))?;
    check(share.get().scale() <= 4, field, "written with at most 4 decimal places")
}

fn check(holds: bool, field: &'static str, must_be: &str) -> Result<(), RulesError> {
    if holds { Ok(()) } else { Err(RulesError { field, why: format!("must be {must_be}") }) }
}
