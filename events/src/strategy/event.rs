//! What can happen to a strategy of either shape.

use crate::event::events;
use crate::id::{EndpointId, Principal};
use crate::reason::Reason;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// A strategy needs an endpoint to be in service, or no longer does.
        EndpointBound(EndpointBound) = 570 "strategy_endpoint_bound" v 1 Business;
        /// A strategy's code failed; it decides nothing until it is restarted.
        Failed(Failed) = 571 "strategy_failed" v 1 Business;
        /// Somebody restarted a strategy that had failed, and why.
        Restarted(Restarted) = 572 "strategy_restarted" v 1 Business;
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointBound {
    pub endpoint: Option<EndpointId>,
    pub by: Principal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub why: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    pub reason: Reason,
    pub by: Principal,
}

/// One of every kind, in the order of their numbers, no two fields alike.
#[cfg(test)]
pub(crate) fn samples() -> Vec<Event> {
    use crate::sample::{endpoint::endpoint_id, reason, user};
    vec![
        Event::EndpointBound(EndpointBound { endpoint: Some(endpoint_id(3)), by: Principal::User(user("anna")) }),
        Event::Failed(Failed { why: "index out of bounds".into() }),
        Event::Restarted(Restarted { reason: reason("mended"), by: Principal::Operator }),
    ]
}
