//! What can happen to an endpoint, and to the proxy as a whole.

use super::detect::Found;
use super::health::{By, Status};
use super::proxy::ProxySettings;
use super::request::RequestFinished;
use super::settings::Settings;
use crate::event::events;
use crate::id::StreamId;
use crate::time::Span;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// Somebody told the desk of an endpoint; its settings.
        Registered(Registered) = 300 "endpoint_registered" v 1 Business;
        /// An endpoint's settings were changed; all of them as they are now.
        Changed(Changed) = 301 "endpoint_changed" v 1 Business;
        /// An endpoint was removed. What it did stays counted.
        Removed(Removed) = 302 "endpoint_removed" v 1 Business;
        /// An endpoint was asked whether it is there.
        Probed(Probed) = 303 "endpoint_probed" v 1 Telemetry;
        /// An endpoint's status changed, and what made it change.
        StatusChanged(StatusChanged) = 304 "endpoint_status_changed" v 1 Business;
        /// What kind of server an endpoint is, by what it answers.
        Identified(Identified) = 305 "endpoint_identified" v 1 Business;
        /// Which models an endpoint has; all of them as they are now.
        ModelsSynced(ModelsSynced) = 306 "endpoint_models_synced" v 1 Business;
        /// A person wants the failures of an endpoint forgotten; it is asked at once.
        Reset(Reset) = 307 "endpoint_reset" v 1 Business;
        /// A request came to its end. In the stream of the endpoint that had it, or of the proxy where none had.
        RequestFinished(Box<RequestFinished>) = 310 "request_finished" v 1 Volume;
        /// What the proxy goes by was changed; all of it as it is now.
        ProxyChanged(ProxyChanged) = 320 "proxy_settings_changed" v 1 Business;
    }
}

impl Event {
    /// True if the event may stand in such a stream.
    pub fn belongs_to(&self, stream: &StreamId) -> bool {
        match self {
            Event::RequestFinished(_) => matches!(stream, StreamId::Endpoint(_) | StreamId::Proxy),
            Event::ProxyChanged(_) => *stream == StreamId::Proxy,
            Event::Registered(_)
            | Event::Changed(_)
            | Event::Removed(_)
            | Event::Probed(_)
            | Event::StatusChanged(_)
            | Event::Identified(_)
            | Event::ModelsSynced(_)
            | Event::Reset(_) => matches!(stream, StreamId::Endpoint(_)),
        }
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

payloads! {
    Registered { settings: Box<Settings> }
    Changed { settings: Box<Settings> }
    Removed {}
    Probed {
        outcome: ProbeOutcome,
        /// The next one is due so much later.
        next_in: Span,
    }
    StatusChanged {
        old: Status,
        new: Status,
        why: Why,
        /// The next probe is due so much later, where this changes it.
        next_in: Option<Span>,
    }
    Identified { found: Found }
    ModelsSynced { models: Vec<Model> }
    Reset {}
    ProxyChanged { settings: Box<ProxySettings> }
    /// Something that an endpoint can be asked for.
    Model {
        id: String,
        /// Tokens that it can look at, where the endpoint says so.
        context: Option<u64>,
    }
}

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    Answered { took: Span },
    Failed { failure: Failure, detail: String },
}

/// In which way it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody there, or a name that nobody knows.
    Connect,
    Tls,
    Timeout,
    /// It broke off.
    Broken,
    /// It answered with this status.
    Status(u16),
    /// It answered with what nobody understands.
    NotUnderstood,
}

/// Why a status changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Succeeded(By),
    Failed(By),
    Reset,
    /// It has another address, of which nothing is known yet.
    Moved,
}
