//! Read models in SQL: which there are, and what their rows say. The same for both databases.

use crate::store::StatusChange;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use tidehelm_events::endpoint::{Api, Ending, Event as Of, Outcome, RequestFinished, TokensKnown};
use tidehelm_events::envelope::Record;
use tidehelm_events::event::Event;
use tidehelm_events::id::{CredentialId, EndpointId, Position, StreamId};
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::endpoints::Bucket;
use uuid::Uuid;

/// A table that follows the log. How far it has come stands in `projections`, and moves in the transaction that moves the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// Every change of a status.
    StatusChanges,
    /// Every request that ended.
    Requests,
    /// Sums of requests by the day.
    RequestDays,
}

impl Model {
    pub const ALL: [Model; 3] = [Model::StatusChanges, Model::Requests, Model::RequestDays];

    /// The table, and the name of its checkpoint.
    pub const fn name(self) -> &'static str {
        match self {
            Model::StatusChanges => "status_changes",
            Model::Requests => "requests",
            Model::RequestDays => "request_days",
        }
    }

    /// A table of another schema is filled anew.
    pub const fn schema(self) -> u16 {
        match self {
            Model::StatusChanges | Model::Requests => 1,
            // 1 counted in UTC after a restart, whatever the zone was.
            Model::RequestDays => 2,
        }
    }

    /// Its rows come from events that a cut removes, so that no cut may overtake it.
    pub const fn holds_back_cuts(self) -> bool {
        match self {
            Model::StatusChanges => false,
            Model::Requests | Model::RequestDays => true,
        }
    }
}

/// Rows on their way into their table.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    StatusChanges(&'a [StatusChange]),
    Requests(&'a [RequestRow]),
    /// Each is added to the row that is there.
    RequestDays(&'a [DayRow]),
}

impl Rows<'_> {
    pub fn model(&self) -> Model {
        match self {
            Rows::StatusChanges(_) => Model::StatusChanges,
            Rows::Requests(_) => Model::Requests,
            Rows::RequestDays(_) => Model::RequestDays,
        }
    }
    pub fn len(&self) -> usize {
        match self {
            Rows::StatusChanges(rows) => rows.len(),
            Rows::Requests(rows) => rows.len(),
            Rows::RequestDays(rows) => rows.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A request that ended: its fields are the columns of `requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub struct RequestRow {
    pub position: i64,
    pub at_us: i64,
    pub request_id: String,
    pub endpoint_id: Option<String>,
    pub model: String,
    pub api: String,
    pub outcome: String,
    pub http_status: Option<i64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub tokens_known: String,
    pub duration_us: i64,
    pub first_byte_us: Option<i64>,
    pub ending: String,
    pub client: Option<String>,
    pub key_id: Option<String>,
}

pub const REQUEST_COLUMNS: [&str; 16] = [
    "position",
    "at_us",
    "request_id",
    "endpoint_id",
    "model",
    "api",
    "outcome",
    "http_status",
    "input_tokens",
    "output_tokens",
    "tokens_known",
    "duration_us",
    "first_byte_us",
    "ending",
    "client",
    "key_id",
];

impl RequestRow {
    /// The row that an event makes, if it is the end of a request.
    pub fn of(record: &Record, stream: &StreamId) -> Option<Self> {
        let (endpoint, finished) = finished(record, stream)?;
        Some(RequestRow {
            position: signed(record.position.0),
            at_us: record.recorded_at.0,
            request_id: finished.request.to_string(),
            endpoint_id: endpoint.map(|id| id.to_string()),
            model: finished.model.clone(),
            api: api_str(finished.api).into(),
            outcome: finished.outcome.as_str().into(),
            http_status: finished.http_status.map(i64::from),
            input_tokens: signed(finished.tokens.input),
            output_tokens: signed(finished.tokens.output),
            tokens_known: known_str(finished.tokens.known).into(),
            duration_us: finished.duration.0,
            first_byte_us: finished.first_byte.map(|span| span.0),
            ending: ending_str(finished.ending).into(),
            client: finished.client.clone(),
            key_id: finished.key.map(|id| id.to_string()),
        })
    }

    pub fn position(&self) -> Position {
        Position(self.position.unsigned_abs())
    }
    pub fn at(&self) -> Timestamp {
        Timestamp(self.at_us)
    }
}

/// The request that an event is the end of, and the endpoint that had it.
pub fn finished<'a>(record: &'a Record, stream: &StreamId) -> Option<(Option<EndpointId>, &'a RequestFinished)> {
    let Event::Endpoint(Of::RequestFinished(finished)) = &record.event else { return None };
    match stream {
        StreamId::Endpoint(id) => Some((Some(*id), finished)),
        _ => Some((None, finished)),
    }
}

/// Sums of one day: its fields are the columns of `request_days`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub struct DayRow {
    pub day: String,
    pub endpoint_id: String,
    pub model: String,
    pub api: String,
    pub success: i64,
    pub failed: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub duration_us: i64,
    pub speed_tokens: i64,
    pub speed_us: i64,
}

pub const DAY_COLUMNS: [&str; 11] = [
    "day",
    "endpoint_id",
    "model",
    "api",
    "success",
    "failed",
    "input_tokens",
    "output_tokens",
    "duration_us",
    "speed_tokens",
    "speed_us",
];
/// Of them, those that say whose row it is.
pub const DAY_KEY: usize = 4;

impl DayRow {
    pub fn of(day: String, endpoint: Option<EndpointId>, model: &str, api: Api, sum: &Bucket) -> Self {
        DayRow {
            day,
            endpoint_id: endpoint.map(|id| id.to_string()).unwrap_or_default(),
            // Whoever is turned away may name what they like.
            model: if endpoint.is_some() { model.into() } else { String::new() },
            api: api_str(api).into(),
            success: signed(sum.success),
            failed: signed(sum.failed),
            input_tokens: signed(sum.input_tokens),
            output_tokens: signed(sum.output_tokens),
            duration_us: signed(sum.duration),
            speed_tokens: signed(sum.speed.0),
            speed_us: signed(sum.speed.1),
        }
    }
}

/// Which requests are wanted: each field that is given narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestQuery {
    /// Only before this position.
    pub before: Option<Position>,
    /// Only after this position.
    pub after: Position,
    pub endpoint: Option<Whose>,
    pub model: Option<String>,
    pub api: Option<Api>,
    /// One of these; none: any.
    pub outcomes: Vec<Outcome>,
    pub http_status: Option<u16>,
    pub client: Option<String>,
    pub key: Option<CredentialId>,
    pub request: Option<Uuid>,
    pub order: super::Order,
    pub limit: usize,
    /// So many rows are looked at at most.
    pub scan: usize,
}

impl RequestQuery {
    /// It asks for some requests only, wherever they stand.
    pub fn narrows(&self) -> bool {
        let RequestQuery { endpoint, model, api, outcomes, http_status, client, key, request, .. } = self;
        let words = model.is_some() || client.is_some() || !outcomes.is_empty();
        words || endpoint.is_some() || api.is_some() || http_status.is_some() || key.is_some() || request.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Endpoint(EndpointId),
    /// Those that came to none.
    Nobody,
}

/// Rows that were found, and where to go on: none at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPage {
    pub rows: Vec<RequestRow>,
    pub next: Option<Position>,
}

fn signed(number: u64) -> i64 {
    super::rows::signed(number)
}

pub fn api_str(api: Api) -> &'static str {
    match api {
        Api::ChatCompletions => "chat_completions",
        Api::Completions => "completions",
        Api::Embeddings => "embeddings",
        Api::Responses => "responses",
        Api::Models => "models",
        Api::Other => "other",
    }
}

pub const APIS: [Api; 6] =
    [Api::ChatCompletions, Api::Completions, Api::Embeddings, Api::Responses, Api::Models, Api::Other];

fn known_str(known: TokensKnown) -> &'static str {
    match known {
        TokensKnown::Reported => "reported",
        TokensKnown::Counted => "counted",
        TokensKnown::Estimated => "estimated",
        TokensKnown::Unknown => "unknown",
    }
}

fn ending_str(ending: Ending) -> &'static str {
    match ending {
        Ending::Nothing => "nothing",
        Ending::Whole => "whole",
        Ending::StreamEnded => "stream_ended",
        Ending::StreamCut => "stream_cut",
        Ending::StreamLeft => "stream_left",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_in_sql_are_the_words_of_the_log() {
        for api in APIS {
            assert_eq!(json!(api), json!(api_str(api)));
        }
        for known in TokensKnown::ALL {
            assert_eq!(json!(known), json!(known_str(known)));
        }
        use Ending::*;
        for ending in [Nothing, Whole, StreamEnded, StreamCut, StreamLeft] {
            assert_eq!(json!(ending), json!(ending_str(ending)));
        }
        for outcome in Outcome::ALL {
            assert_eq!(json!(outcome), json!(outcome.as_str()));
        }
    }
}
