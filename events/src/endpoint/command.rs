//! What can be wanted of an endpoint, and why it may be refused.

use super::detect::Found;
use super::event::{Failure, Model, ProbeOutcome};
use super::request::RequestFinished;
use super::settings::Settings;
use crate::answer::{Denial, Status};
use crate::id::{EndpointId, Version};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Register(Box<Settings>),
    /// All of them, as they are to be.
    Change(Box<Settings>),
    Remove,
    /// What became of a probe.
    TakeProbe {
        outcome: ProbeOutcome,
        /// What the answer said of the server, where it said something.
        found: Option<Found>,
        /// The revision of the settings with which it was made: one of an older one says nothing of now.
        revision: Version,
        /// 0 to 999, as good as random.
        jitter: u16,
    },
    /// A try of a request failed here and was made good elsewhere, where the request is told.
    NoteFailedTry {
        failure: Failure,
        detail: String,
        /// The revision of the settings with which it was tried.
        revision: Version,
        /// 0 to 999, as good as random.
        jitter: u16,
    },
    /// A request that the endpoint had came to its end.
    FinishRequest {
        finished: Box<RequestFinished>,
        /// 0 to 999, as good as random.
        jitter: u16,
    },
    /// Several at once, in the order of their numbers: all of them are in the log after it, or none.
    FinishRequests {
        finished: Vec<RequestFinished>,
        jitter: u16,
    },
    /// Which models it has.
    SyncModels(Vec<Model>),
    /// Forget the failures and ask at once.
    Reset,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no endpoint {0}")]
    EndpointUnknown(EndpointId),
    #[error("endpoint {0} was removed; register it anew, under an id of its own")]
    EndpointRemoved(EndpointId),
    #[error("endpoint {0} is registered already")]
    EndpointKnown(EndpointId),
    #[error("`{field}`: {why}")]
    SettingInvalid { field: &'static str, why: String },
    #[error("an endpoint is called {name} already ({by}); choose another name")]
    NameTaken { name: String, by: EndpointId },
    #[error("{base_url} is the address of endpoint {by} already")]
    UrlTaken { base_url: String, by: EndpointId },
    #[error("a desk has at most {0} endpoints; remove one first")]
    Full(usize),
    #[error("at most {0} models can be told")]
    ModelsTooMany(usize),
}

impl Refusal {
    pub fn denial(&self) -> Denial {
        let (code, status, field) = match self {
            Refusal::EndpointUnknown(_) => ("endpoint_unknown", Status::NotFound, None),
            Refusal::EndpointRemoved(_) => ("endpoint_removed", Status::NotFound, None),
            Refusal::EndpointKnown(_) => ("endpoint_known", Status::Conflict, None),
            Refusal::SettingInvalid { field, .. } => ("setting_invalid", Status::Invalid, Some(*field)),
            Refusal::NameTaken { .. } => ("name_taken", Status::Conflict, Some("name")),
            Refusal::UrlTaken { .. } => ("url_taken", Status::Conflict, Some("base_url")),
            Refusal::Full(_) => ("full", Status::Conflict, None),
            Refusal::ModelsTooMany(_) => ("models_too_many", Status::Invalid, Some("models")),
        };
        Denial { code: code.into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
