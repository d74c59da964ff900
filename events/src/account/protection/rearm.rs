//! Putting hit limits back to work.

use super::event::ProtectionRearmed;
use super::limit::{Limit, measure};
use super::marks::Baseline;
use super::rules::Rules;
use super::state::{Protection, Standing};
use crate::money::{Money, Number};
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

/// A person wants hit limits to be watched again, or limits to be measured from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rearm {
    #[serde(default)]
    pub limits: Vec<Limit>,
    #[serde(default)]
    pub baseline: Baseline,
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RearmRefusal {
    #[error("name a limit to re-arm, or what limits are to be measured from")]
    NothingAsked,
    #[error("`{field}` has to be above zero")]
    BaselineInvalid { field: &'static str },
    #[error("no trading day has begun, so that it has no figures to set; leave out what begins with `day_`")]
    NoDay,
    #[error("{0} is not hit")]
    NotHit(Limit),
    #[error("{0} ends by itself once less is held; close something")]
    EndsByItself(Limit),
    #[error(
        "{limit} is still exceeded: {used} of {allowed} {unit}; change the limit, or say what it is measured from now",
        unit = .limit.unit()
    )]
    StillExceeded { limit: Limit, used: Number, allowed: Number },
}

impl RearmRefusal {
    pub fn code(&self) -> &'static str {
        match self {
            RearmRefusal::NothingAsked => "nothing_asked",
            RearmRefusal::BaselineInvalid { .. } => "baseline_invalid",
            RearmRefusal::NoDay => "no_trading_day",
            RearmRefusal::NotHit(_) => "limit_not_hit",
            RearmRefusal::EndsByItself(_) => "limit_ends_by_itself",
            RearmRefusal::StillExceeded { .. } => "limit_still_exceeded",
        }
    }
}

impl Protection {
    /// The event that re-arms the limits, each named once, in their order.
    ///
    /// A limit that is still exceeded is not re-armed: a second later it would be hit again, and with `FLATTEN` close whatever
    /// had been opened in between. That is also what a limit is for: it holds against its owner in the minutes after the loss.
    /// Who means it has three ways, each on record with a name: change the limit, take it away, or say with a baseline what it
    /// is measured from now (a payout that looked like a loss; a new beginning after a total drawdown, which no trading
    /// could bring back). After a baseline only what is still exceeded then is refused. Limits that are hit and not named stay
    /// hit.
    ///
    /// Refuses in this order: nothing asked, a baseline that cannot be, then each limit: not hit, ends by itself, still exceeded.
    pub fn rearm(&self, rearm: Rearm, rules: &Rules) -> Result<ProtectionRearmed, RearmRefusal> {
        let Rearm { mut limits, baseline, reason } = rearm;
        if limits.is_empty() && baseline.is_empty() {
            return Err(RearmRefusal::NothingAsked);
        }
        self.check(&baseline)?;
        limits.sort();
        limits.dedup();
        let mut marks = self.marks;
        marks.rebase(&baseline);
        for limit in &limits {
            let Some(Standing::Hit(_)) = self.standings.get(limit) else { return Err(RearmRefusal::NotHit(*limit)) };
            if limit.is_cap() {
                return Err(RearmRefusal::EndsByItself(*limit));
            }
            let reading = marks.last.and_then(|last| measure(*limit, rules, &marks, &last.figures));
            if let Some(reading) = reading.filter(|reading| reading.is_exceeded()) {
                let (used, allowed) = (reading.used(), reading.allowed());
                return Err(RearmRefusal::StillExceeded { limit: *limit, used, allowed });
            }
        }
        Ok(ProtectionRearmed { limits, baseline, reason })
    }

    fn check(&self, baseline: &Baseline) -> Result<(), RearmRefusal> {
        let of_day = [
            ("day_balance", baseline.day_balance),
            ("day_equity", baseline.day_equity),
            ("day_high", baseline.day_high),
        ];
        let of_account = [
            ("initial_balance", baseline.initial_balance),
            ("peak", baseline.peak),
            ("end_of_day_peak", baseline.end_of_day_peak),
        ];
        for (field, value) in of_account.into_iter().chain(of_day) {
            if value.is_some_and(|value| value <= Money::ZERO) {
                return Err(RearmRefusal::BaselineInvalid { field });
            }
        }
        let sets_day = of_day.iter().any(|(_, value)| value.is_some());
        if sets_day && self.marks.day.is_none() { Err(RearmRefusal::NoDay) } else { Ok(()) }
    }
}
