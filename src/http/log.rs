//! What tools need besides the log's entries: where it ends, and the folds that are kept beside it.

use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, Data};
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use tidehelm_actors::port::Saved;
use tidehelm_events::codec;
use tidehelm_events::commit::{Hash, Head};
use tidehelm_events::desk::Access;
use tidehelm_events::id::{Epoch, Position};
use tidehelm_events::time::Timestamp;
use utoipa::{IntoParams, ToSchema};

/// The end of the log, as it is written down to be compared later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeadView {
    pub position: u64,
    /// BLAKE3 of the last commit's header, in hex.
    pub hash: String,
    pub epoch: u64,
    /// Microseconds since 1970.
    #[schema(value_type = i64)]
    pub committed_at: Timestamp,
}

impl HeadView {
    pub fn of(head: &Head) -> Self {
        HeadView {
            position: head.position.0,
            hash: head.hash.to_string(),
            epoch: head.epoch.0,
            committed_at: head.committed_at,
        }
    }

    pub fn head(&self) -> Head {
        Head {
            position: Position(self.position),
            hash: Hash::from_hex(&self.hash).unwrap_or_default(),
            epoch: Epoch(self.epoch),
            committed_at: self.committed_at,
        }
    }
}

/// The end of the log: keep it somewhere else, and `tidehelm verify --against` tells whether history was rewritten.
#[utoipa::path(tag = "log", path = "/log/head", responses((status = 200, body = HeadView), (status = 401, body = Problem)))]
#[get("/log/head")]
pub async fn end(app: Data, _caller: Caller) -> Answered<HeadView> {
    Ok(web::Json(HeadView::of(&app.host.durable.head())))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct FoldQuery {
    /// The newest snapshot at or before this position.
    pub before: Option<u64>,
    /// Of this schema.
    pub schema: Option<u16>,
    /// The fold that replaces cut telemetry instead.
    #[serde(default)]
    pub base: bool,
}

/// A fold as it travels.
#[derive(Serialize, Deserialize)]
pub struct SavedWire(Position, u16, String, Timestamp, Hash, Vec<u8>);

impl SavedWire {
    fn of(saved: Saved) -> Self {
        SavedWire(saved.position, saved.schema, saved.build, saved.at, saved.hash, saved.bytes)
    }

    pub fn saved(self) -> Saved {
        let SavedWire(position, schema, build, at, hash, bytes) = self;
        Saved { position, schema, build, at, hash, bytes }
    }
}

/// A saved fold, for tools that restore from a server.
#[utoipa::path(tag = "log", path = "/log/fold", params(FoldQuery), responses((status = 200, content_type = "application/octet-stream"), (status = 204), (status = 403, body = Problem)))]
#[get("/log/fold")]
pub async fn fold(app: Data, caller: Caller, query: web::Query<FoldQuery>) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "read the log's bytes").await?;
    let last = app.host.durable.head().position;
    let before = query.before.map_or(last, |before| last.min(Position(before)));
    let wanted = (before, query.schema.unwrap_or(tidehelm_events::truth::SCHEMA));
    let Some(saved) = app.history.saved((!query.base).then_some(wanted)).await? else {
        return Ok(HttpResponse::NoContent().finish());
    };
    let mut bytes = Vec::new();
    codec::write(&SavedWire::of(saved), &mut bytes);
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(bytes))
}

#[derive(Serialize, ToSchema)]
pub struct SnapshotView {
    /// Where it stands.
    pub position: u64,
}

/// Writes a snapshot now, so that the next start reads less.
#[utoipa::path(tag = "log", path = "/snapshot", responses((status = 202, body = SnapshotView), (status = 403, body = Problem), (status = 503, body = Problem)))]
#[post("/snapshot")]
pub async fn snapshot(app: Data, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "write a snapshot").await?;
    let position = app.host.snapshot().await?;
    Ok(HttpResponse::Accepted().json(SnapshotView { position: position.0 }))
}
