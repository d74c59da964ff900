//! What can be wanted of a strategy, and why it may be refused.

use super::{maker, taker};
use crate::answer::{Denial, Status};
use crate::id::{EndpointId, Principal, StrategyId};
use crate::reason::Reason;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Maker(maker::Command),
    Taker(taker::Command),
    /// What became of a taker's order, in the order in which it did.
    Hear(Vec<taker::Command>),
    /// Something that it looks at changed, or time passed. Orders are named after the cause.
    Tick {
        cause: Uuid,
    },
    BindEndpoint {
        endpoint: Option<EndpointId>,
        by: Principal,
    },
    /// Its code failed while it decided.
    Fail {
        why: Box<str>,
    },
    Restart {
        reason: Reason,
        by: Principal,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no strategy {0}; set it up first")]
    StrategyUnknown(StrategyId),
    #[error("strategy {0} is a {1}; give another id")]
    ShapeDiffers(StrategyId, &'static str),
    #[error("strategy {0} did not fail")]
    NotFailed(StrategyId),
}

impl Refusal {
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::StrategyUnknown(_) => "strategy_unknown",
            Refusal::ShapeDiffers(..) => "shape_differs",
            Refusal::NotFailed(_) => "strategy_not_failed",
        }
    }
    pub fn denial(&self) -> Denial {
        let status = match self {
            Refusal::StrategyUnknown(_) => Status::NotFound,
            Refusal::ShapeDiffers(..) | Refusal::NotFailed(_) => Status::Conflict,
        };
        Denial { code: self.code().into(), detail: self.to_string(), status, field: None }
    }
}
