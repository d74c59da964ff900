//! What can happen in protection.

use super::limit::Limit;
use super::marks::Baseline;
use super::rules::{Action, Lasts, Rules};
use crate::money::{Factor, Money, Number};
use crate::reason::Reason;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What [`super::Protection::observe`] and [`super::Protection::rearm`] have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtectionEvent {
    DayStarted(TradingDayStarted),
    Near(LimitNear),
    Hit(LimitHit),
    Cleared(LimitCleared),
    Rearmed(ProtectionRearmed),
}

/// A person set the limits of the account; all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectionSet {
    pub rules: Rules,
}

/// A trading day began, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradingDayStarted {
    pub day: u32,
    pub started_at: Timestamp,
    pub next_reset_at: Timestamp,
    pub balance: Money,
    pub equity: Money,
}

/// A limit is used up as far as the warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitNear {
    pub limit: Limit,
    pub used: Number,
    pub allowed: Number,
    pub percent: Factor,
}

/// A limit was reached, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    pub limit: Limit,
    pub used: Number,
    pub allowed: Number,
    pub balance: Money,
    pub equity: Money,
    pub action: Action,
    /// None where it ends once less is held.
    pub lasts: Option<Lasts>,
}

/// A limit is neither near nor hit any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitCleared {
    pub limit: Limit,
    pub why: Cleared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleared {
    /// It was near and is not, or less is held again.
    Eased,
    /// It was hit for a day, and that is over.
    NewDay,
    /// It is not watched any more.
    Removed,
}

/// A person put hit limits back to work, or moved what limits are measured from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectionRearmed {
    pub limits: Vec<Limit>,
    pub baseline: Baseline,
    pub reason: Reason,
}
