//! What can be wanted of a maker, and why it may be refused.

use super::parameter::Parameters;
use super::state::SetId;
use crate::answer::{Denial, Status};
use crate::id::{MarketId, Principal, StrategyId};
use crate::reason::Reason as Text;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Open {
        market: MarketId,
    },
    /// All of them, as they are to be. They count at once where they are activated with it.
    SetParameters {
        values: Box<Parameters>,
        comment: Text,
        by: Principal,
        activate: bool,
        /// The set that the writer saw active.
        expected: Option<SetId>,
    },
    Activate {
        set: SetId,
        by: Principal,
        /// The set that the writer saw active.
        expected: Option<SetId>,
    },
    Close {
        reason: Text,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no strategy {0}")]
    StrategyUnknown(StrategyId),
    #[error("strategy {0} exists already; give another id")]
    StrategyKnown(StrategyId),
    #[error("strategy {0} was closed; set up another one")]
    StrategyClosed(StrategyId),
    #[error("`{field}`: {why}")]
    ParameterInvalid { field: &'static str, why: String },
    #[error("no parameter is called `{0}`")]
    ParameterUnknown(String),
    #[error("there is no parameter set {0}, or it is too old and kept no longer")]
    SetUnknown(SetId),
    #[error("set {active} is active, not the one that you saw; look again")]
    ActiveChanged { active: SetId },
}

impl Refusal {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::StrategyUnknown(_) => "strategy_unknown",
            Refusal::StrategyKnown(_) => "strategy_known",
            Refusal::StrategyClosed(_) => "strategy_closed",
            Refusal::ParameterInvalid { .. } => "parameter_invalid",
            Refusal::ParameterUnknown(_) => "parameter_unknown",
            Refusal::SetUnknown(_) => "parameter_set_unknown",
            Refusal::ActiveChanged { .. } => "active_set_changed",
        }
    }

    pub fn denial(&self) -> Denial {
        let (status, field) = match self {
            Refusal::StrategyUnknown(_) => (Status::NotFound, None),
            Refusal::StrategyKnown(_) | Refusal::StrategyClosed(_) => (Status::Conflict, None),
            Refusal::ParameterInvalid { field, .. } => (Status::Invalid, Some(*field)),
            Refusal::ParameterUnknown(_) => (Status::Invalid, Some("name")),
            Refusal::SetUnknown(_) => (Status::NotFound, Some("set")),
            Refusal::ActiveChanged { .. } => (Status::Conflict, Some("expected")),
        };
        Denial { code: self.code().into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
