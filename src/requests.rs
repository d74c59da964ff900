//! Requests that ended, as people read them: in lists, and in files that are written piece by piece.

pub mod filter;
pub mod sheet;

use crate::store::models::{RequestQuery, RequestRow};
use crate::store::{Order, Reader};
use bytes::Bytes;
use serde::Serialize;
use sheet::{Format, Sheet};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidehelm_actors::port::LogFault;
use tidehelm_events::id::Position;
use tidehelm_events::view::Fold;
use utoipa::ToSchema;

/// A piece of a file looks at so many rows.
const PIECE_ROWS: usize = 5_000;

/// A request that ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RequestView {
    pub position: i64,
    /// When its end was recorded, in microseconds since 1970.
    pub at: i64,
    pub request: String,
    /// None: it came to no endpoint.
    pub endpoint: Option<String>,
    /// As it is called now, or was called when it was removed.
    pub endpoint_name: Option<String>,
    pub model: String,
    pub api: String,
    pub outcome: String,
    pub http_status: Option<i64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub tokens_known: String,
    pub duration_ms: f64,
    pub first_byte_ms: Option<f64>,
    pub ending: String,
    pub client: Option<String>,
    pub key: Option<String>,
}

/// The names of endpoints by their ids, removed ones included as far as they are known.
pub type Names = Arc<BTreeMap<String, Named>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    /// It was removed: another one may be called so by now.
    pub removed: bool,
}

pub fn names(fold: &Fold) -> Names {
    let gone = fold.views.endpoints.removed();
    let gone = gone.map(|(id, gone)| (id.to_string(), Named { name: gone.name.clone(), removed: true }));
    let there = fold.truth.endpoints().filter_map(|endpoint| {
        let settings = endpoint.settings.as_ref()?;
        Some((endpoint.id.to_string(), Named { name: settings.name.clone(), removed: !endpoint.is_there() }))
    });
    Arc::new(gone.chain(there).collect())
}

impl RequestView {
    pub fn of(row: RequestRow, names: &Names) -> Self {
        let millis = |micros: i64| micros as f64 / 1e3;
        let endpoint_name = row.endpoint_id.as_ref().and_then(|id| names.get(id)).map(|it| it.name.clone());
        RequestView {
            position: row.position,
            at: row.at_us,
            request: row.request_id,
            endpoint: row.endpoint_id,
            endpoint_name,
            model: row.model,
            api: row.api,
            outcome: row.outcome,
            http_status: row.http_status,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            tokens_known: row.tokens_known,
            duration_ms: millis(row.duration_us),
            first_byte_ms: row.first_byte_us.map(millis),
            ending: row.ending,
            client: row.client,
            key: row.key_id,
        }
    }
}

/// Requests on their way into a file: a piece at a time, so that no more than that is in memory.
pub struct Export {
    reader: Reader,
    query: RequestQuery,
    names: Names,
    sheet: Option<Sheet>,
}

impl Export {
    /// Everything that the query asks for, up to a position that is not passed however much comes meanwhile.
    pub fn new(
        reader: Reader,
        query: RequestQuery,
        through: Position,
        names: Names,
        format: Format,
    ) -> Result<Self, LogFault> {
        let before = query.before.unwrap_or(through.next()).min(through.next());
        let query = RequestQuery { before: Some(before), limit: PIECE_ROWS, scan: PIECE_ROWS * 10, ..query };
        Ok(Export { reader, query, names, sheet: Some(Sheet::new(format)?) })
    }

    /// The next piece of the file, which may be empty; none after the last one.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LogFault> {
        let Some(mut sheet) = self.sheet.take() else { return Ok(None) };
        let page = self.reader.requests(&self.query).await?;
        for row in page.rows {
            sheet.push(RequestView::of(row, &self.names))?;
        }
        match (page.next, self.query.order) {
            (None, _) => return sheet.finish().map(Some),
            (Some(next), Order::OldestFirst) => self.query.after = next,
            (Some(next), Order::NewestFirst) => self.query.before = Some(next),
        }
        let piece = sheet.take()?;
        self.sheet = Some(sheet);
        Ok(Some(piece))
    }
}
