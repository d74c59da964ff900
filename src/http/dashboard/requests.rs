//! Single requests, from their table.

use super::number;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Answered, Data};
use crate::requests::filter::{Filter, FilterError};
use crate::requests::sheet::Format;
use crate::requests::{Export, RequestView, names};
use crate::store::{Model, Order, RequestQuery};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::{HttpResponse, get, web};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tidehelm_actors::port::Clock;
use tidehelm_events::id::Position;
use utoipa::{IntoParams, ToSchema};

const LIMIT_MAX: i64 = 1_000;
/// A page looks at no more rows than this; `next` says where to go on.
const SCAN_MAX: usize = 200_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Name or id of an endpoint; `none`: those that came to no endpoint.
    pub endpoint: Option<String>,
    pub model: Option<String>,
    /// `chat_completions`, `completions`, `embeddings`, `responses`, `models` or `other`.
    pub api: Option<String>,
    /// `success`, `upstream_error`, `timeout`, `client_gone`, `refused`, several parted by commas; `failed`: all but success.
    pub outcome: Option<String>,
    /// What the upstream said: 200 …
    pub status: Option<String>,
    /// Address of a client.
    pub client: Option<String>,
    /// Id of a key.
    pub key: Option<String>,
    /// Id of a request.
    pub request: Option<String>,
    /// Not before this: a position or a time, `1234`, `2026-01-31T12:00:00Z`, `10m ago`.
    pub from: Option<String>,
    /// Before this.
    pub until: Option<String>,
    /// `newest` first, or `oldest`. A list is newest first without it, a file oldest first.
    pub order: Option<String>,
    /// Where the page before said to go on.
    pub cursor: Option<String>,
    /// At most so many, 1 to 1000; 100 without it. Only of a list.
    pub limit: Option<String>,
    /// `csv`, `json` or `parquet`; only of a file.
    pub format: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Filter {
        let Wanted { endpoint, model, api, outcome, status, client, key, request, from, until, order, .. } = self;
        Filter {
            endpoint: endpoint.clone(),
            model: model.clone(),
            api: api.clone(),
            outcome: outcome.clone(),
            status: status.clone(),
            client: client.clone(),
            key: key.clone(),
            request: request.clone(),
            from: from.clone(),
            until: until.clone(),
            order: order.clone(),
        }
    }

    async fn query(&self, app: &Data, usual: Order) -> Result<RequestQuery, Problem> {
        let names = app.host.durable.read(names);
        let (reader, now) = (app.store.reader(), app.clock.now());
        let mut query = self.filter().query(&reader, &names, now, usual).await?;
        if let Some(text) = &self.cursor {
            let at = text.parse().map(Position);
            let at = at.map_err(|_| Problem::invalid("cursor", "a position, as `next` of the page before says"))?;
            match query.order {
                Order::NewestFirst => query.before = Some(query.before.map_or(at, |before| before.min(at))),
                Order::OldestFirst => query.after = query.after.max(at),
            }
        }
        Ok(query)
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Field { field, why } => Problem::invalid(field, why),
            FilterError::Store(fault) => fault.into(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Requests {
    /// The end of the log.
    pub position: u64,
    /// The table of requests has come so far; it follows within about a second.
    pub through: u64,
    pub requests: Vec<RequestView>,
    /// Go on with `cursor` set to this; none at the end. A page may be empty and yet have one: it looked at as many rows as it may.
    pub next: Option<u64>,
}

/// Requests that ended, newest first.
#[utoipa::path(tag = "dashboard", params(Wanted), responses((status = 200, body = Requests), (status = 422, body = Problem)))]
#[get("/dashboard/requests")]
pub async fn list(app: Data, _caller: Caller, wanted: web::Query<Wanted>) -> Answered<Requests> {
    if wanted.format.is_some() {
        return Err(Problem::invalid("format", "a list has none; /api/dashboard/requests/export writes files"));
    }
    let limit = number("limit", wanted.limit.as_deref(), 100, 1, LIMIT_MAX)? as usize;
    let query = wanted.query(&app, Order::NewestFirst).await?;
    let through = through(&app).await?;
    let page = app.store.reader().requests(&RequestQuery { limit, scan: SCAN_MAX, ..query }).await?;
    let names = app.host.durable.read(names);
    Ok(web::Json(Requests {
        position: app.host.durable.head().position.0,
        through: through.0,
        requests: page.rows.into_iter().map(|row| RequestView::of(row, &names)).collect(),
        next: page.next.map(|position| position.0),
    }))
}

/// How far the table has come.
async fn through(app: &Data) -> Result<Position, Problem> {
    let saved = app.store.reader().checkpoint(Model::Requests).await?;
    Ok(app.tables.position().max(saved.map_or(Position(0), |known| known.position)))
}

/// Requests as a file, oldest first, written while it is sent. One that breaks off is not whole: JSON and Parquet say so by
/// themselves, of CSV the connection does.
#[utoipa::path(tag = "dashboard", params(Wanted), responses((status = 200, content_type = "application/octet-stream"), (status = 422, body = Problem)))]
#[get("/dashboard/requests/export")]
pub async fn export(app: Data, _caller: Caller, wanted: web::Query<Wanted>) -> Result<HttpResponse, Problem> {
    if wanted.limit.is_some() {
        return Err(Problem::invalid("limit", "a file has all that was asked for; narrow it with `from` and `until`"));
    }
    let format = match wanted.format.as_deref() {
        None => Format::Csv,
        Some(text) => {
            let known = Format::ALL.into_iter().find(|format| format.as_str() == text);
            known.ok_or_else(|| Problem::invalid("format", "csv, json or parquet"))?
        }
    };
    let query = wanted.query(&app, Order::OldestFirst).await?;
    let (through, names) = (through(&app).await?, app.host.durable.read(names));
    let export = Export::new(app.store.reader(), query, through, names, format)?;
    let body = stream::unfold(Some(export), |export| async move {
        let mut export = export?;
        match export.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(export))),
            Err(error) => {
                tracing::warn!(%error, "an export of requests breaks off");
                Some((Err(Problem::from(error)), None))
            }
        }
    });
    let name = format!("attachment; filename=\"requests.{}\"", format.as_str());
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type()).insert_header((CONTENT_DISPOSITION, name));
    response.insert_header((CACHE_CONTROL, "no-store"));
    if format == Format::Parquet {
        response.insert_header(("content-encoding", "identity"));
    }
    Ok(response.streaming(body))
}
