//! What can be wanted of a taker, and why it may be refused.

use super::legs::Leg;
use super::settings::Settings;
use crate::answer::{Denial, Status};
use crate::id::{MarketId, Principal};
use crate::market::{Cash, Price, Size};
use crate::order::{ClientOrderId, Life, TradeId};
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A taker for a market, with its first parameter set, which is active at once.
    Register {
        market: MarketId,
        settings: Box<Settings>,
        by: Principal,
        comment: Reason,
    },
    /// Another parameter set. It does nothing until it is activated.
    PutParams {
        settings: Box<Settings>,
        by: Principal,
        comment: Reason,
    },
    /// All of it at once, from the next tick on. Open trades keep the plan that they were opened with.
    ActivateParams {
        set: u32,
        by: Principal,
    },
    /// Only while nothing is held or on its way.
    Remove,
    /// The market moved, or it is time.
    Tick(Leg),
    /// What became of an order of a trade.
    HearOrder {
        trade: TradeId,
        order: ClientOrderId,
        news: News,
    },
    /// What the venue holds of a trade, where that is not what its fills add up to.
    CorrectTrade {
        trade: TradeId,
        held: Size,
    },
    /// Its code failed; the leg stands still.
    FailLeg {
        leg: Leg,
        why: Box<str>,
    },
    RestartLeg {
        leg: Leg,
        by: Principal,
        why: Reason,
    },
}

/// What the venue's stream says of an order, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    Submitted,
    /// By us, before the venue heard of it.
    Refused {
        code: Box<str>,
    },
    Filled {
        price: Price,
        size: Size,
        fee: Cash,
    },
    /// Nothing more comes of it.
    Over {
        life: Life,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such taker; register it first")]
    TakerUnknown,
    #[error("there is such a taker already; change its parameters, or choose another name")]
    TakerKnown,
    #[error("the taker was removed; register it under another name")]
    TakerRemoved,
    #[error("`{field}`: {why}")]
    ParamInvalid { field: &'static str, why: String },
    #[error("a taker needs a loss exit: a stop, a greatest loss or the like, with a distance above zero")]
    LossExitMissing,
    #[error("the family looks at more of the past than a market keeps: 60 s of quotes and 128 bars")]
    NeedsTooMuch,
    #[error("the taker is of the family {is}; register another one for {asked}")]
    FamilyDiffers { is: &'static str, asked: &'static str },
    #[error("there is no parameter set {0}; at most the last 32 are kept")]
    SetUnknown(u32),
    #[error("{0} trades are open or on their way; close them first")]
    TradesOpen(usize),
    #[error("there is no open trade {0:?}")]
    TradeUnknown(TradeId),
    #[error("the {0} leg did not fail")]
    LegRuns(&'static str),
}

impl Refusal {
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TakerUnknown => "taker_unknown",
            Refusal::TakerKnown => "taker_known",
            Refusal::TakerRemoved => "taker_removed",
            Refusal::ParamInvalid { .. } => "param_invalid",
            Refusal::LossExitMissing => "loss_exit_missing",
            Refusal::NeedsTooMuch => "needs_too_much",
            Refusal::FamilyDiffers { .. } => "family_differs",
            Refusal::SetUnknown(_) => "set_unknown",
            Refusal::TradesOpen(_) => "trades_open",
            Refusal::TradeUnknown(_) => "trade_unknown",
            Refusal::LegRuns(_) => "leg_runs",
        }
    }

    pub fn denial(&self) -> Denial {
        let (status, field) = match self {
            Refusal::TakerUnknown | Refusal::TakerRemoved => (Status::NotFound, None),
            Refusal::SetUnknown(_) | Refusal::TradeUnknown(_) => (Status::NotFound, None),
            Refusal::TakerKnown | Refusal::TradesOpen(_) | Refusal::LegRuns(_) => (Status::Conflict, None),
            Refusal::ParamInvalid { field, .. } => (Status::Invalid, Some(*field)),
            Refusal::LossExitMissing | Refusal::NeedsTooMuch => (Status::Invalid, None),
            Refusal::FamilyDiffers { .. } => (Status::Invalid, Some("family")),
        };
        Denial { code: self.code().into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
