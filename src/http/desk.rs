//! The desk: how it is, its settings and its lock.

use super::accounts::AsOf;
use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, Data, Wish, body};
use actix_web::{HttpRequest, get, post, put, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidehelm_actors::desk::Health;
use tidehelm_actors::port::Clock;
use tidehelm_events::copy::StopDegree;
use tidehelm_events::desk::{Access, Command, Settings};
use tidehelm_events::event::Event;
use tidehelm_events::id::StreamId;
use tidehelm_events::reason::Reason;
use tidehelm_events::time::Timestamp;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct DeskStatus {
    pub desk_id: Option<String>,
    pub name: String,
    pub version: &'static str,
    /// The position that this reflects.
    pub position: u64,
    pub ready: bool,
    /// `serving`, `starting`, `recovering` or `stopping`.
    pub health: &'static str,
    /// Why it is not ready.
    pub why: Option<String>,
    pub locked: bool,
    pub lock_reason: Option<String>,
    /// By STOP, in the log or beside it.
    pub stopped: bool,
    /// `pause`, `cancel` or `flatten`.
    #[schema(value_type = Option<String>)]
    pub stop_degree: Option<StopDegree>,
    pub stop_reason: Option<String>,
    pub accounts: usize,
    /// Microseconds since 1970.
    #[schema(value_type = i64)]
    pub now: Timestamp,
    pub user: Option<super::auth::Me>,
}

/// How the desk is.
#[utoipa::path(tag = "desk", params(AsOf), responses((status = 200, body = DeskStatus), (status = 401, body = Problem)))]
#[get("/status")]
pub async fn status(app: Data, caller: Caller, query: web::Query<AsOf>) -> Answered<DeskStatus> {
    let (health, why) = match app.host.gauges.health() {
        Health::Starting => ("starting", None),
        Health::Serving => ("serving", None),
        Health::Recovering(why) => ("recovering", Some(why)),
        Health::Stopping => ("stopping", None),
    };
    let now = app.clock.now();
    let name = match &caller.principal {
        tidehelm_events::id::Principal::User(name) => name.to_string(),
        other => other.to_string(),
    };
    let status = app.look(query.as_of.as_deref(), |fold| {
        let stop = super::stop::state_of(fold);
        let stop = if query.as_of.is_none() { super::stop::with_emergency(&app, stop) } else { stop };
        let desk = fold.truth.desk();
        let locked = desk.and_then(|desk| desk.locked.as_ref());
        DeskStatus {
            desk_id: fold.truth.desk_id().map(|id| id.to_string()),
            name: desk.map(|desk| desk.settings.name.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            position: fold.truth.position().0,
            ready: health == "serving",
            health,
            why,
            locked: locked.is_some(),
            lock_reason: locked.map(ToString::to_string),
            stopped: stop.stopped,
            stop_degree: stop.degree,
            stop_reason: stop.reason,
            accounts: fold.truth.accounts().count(),
            now,
            user: Some(super::auth::Me { name, role: caller.access }),
        }
    });
    Ok(web::Json(status.await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockWish {
    locked: bool,
    #[schema(value_type = String)]
    reason: Reason,
}

#[derive(Serialize, ToSchema)]
pub struct LockState {
    pub locked: bool,
    pub lock_reason: Option<String>,
    pub position: u64,
}

/// Locks the desk, so that nothing can be switched on, or unlocks it.
#[utoipa::path(tag = "desk", request_body = LockWish, responses((status = 200, body = LockState), (status = 409, body = Problem)))]
#[post("/lock")]
pub async fn lock(app: Data, request: HttpRequest, caller: Caller, bytes: web::Bytes) -> Answered<LockState> {
    caller.need(&app, Access::Operator, "lock the desk").await?;
    let LockWish { locked, reason } = body(&bytes)?;
    let command = if locked { Command::Lock { reason } } else { Command::Unlock { reason } };
    app.command(&request, &caller, Wish::desk(command, &bytes)).await?;
    Ok(web::Json(app.host.durable.read(|fold| {
        let why = fold.truth.desk().and_then(|desk| desk.locked.as_ref()).map(ToString::to_string);
        LockState { locked: why.is_some(), lock_reason: why, position: fold.truth.position().0 }
    })))
}

#[derive(Serialize, ToSchema)]
pub struct SettingsView {
    pub position: u64,
    /// For `If-Match`.
    pub revision: u64,
    pub settings: SettingsBody,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsBody {
    pub name: String,
    /// A terminal that is silent for longer is lost: 2 to 3600.
    pub timeout_seconds: u32,
    /// A session lasts this long: 1 to 720.
    pub session_hours: u32,
}

pub fn settings_of(fold: &tidehelm_events::view::Fold) -> SettingsView {
    let desk = fold.truth.desk().cloned().unwrap_or_default();
    let Settings { name, timeout_seconds, session_hours } = desk.settings;
    SettingsView {
        position: fold.truth.position().0,
        revision: desk.revision.0,
        settings: SettingsBody { name, timeout_seconds, session_hours },
    }
}

/// What people can set while the desk runs.
#[utoipa::path(tag = "desk", params(AsOf), responses((status = 200, body = SettingsView)))]
#[get("/settings")]
pub async fn settings(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<SettingsView> {
    Ok(web::Json(app.look(query.as_of.as_deref(), settings_of).await?))
}

/// Changes all settings at once. `If-Match` with the revision is needed.
#[utoipa::path(tag = "desk", request_body = SettingsBody, responses((status = 200, body = SettingsView), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/settings")]
pub async fn change_settings(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Answered<SettingsView> {
    caller.need(&app, Access::Admin, "change settings").await?;
    if !request.headers().contains_key("if-match") {
        return Err(Problem::new(428, "if_match_needed", "send `If-Match` with the revision that you saw"));
    }
    let SettingsBody { name, timeout_seconds, session_hours } = body(&bytes)?;
    let command = Command::ChangeSettings(Settings { name, timeout_seconds, session_hours });
    app.command(&request, &caller, Wish::desk(command, &bytes)).await?;
    Ok(web::Json(app.host.durable.read(settings_of)))
}

#[derive(Serialize, ToSchema)]
pub struct ActivityView {
    pub position: u64,
    /// Events of each kind since the log began.
    pub kinds: BTreeMap<String, u64>,
    pub refusals: BTreeMap<String, u64>,
    pub commands: u64,
    pub reactions: u64,
    /// Events in each of the last 60 minutes, oldest first.
    pub hour: Vec<u64>,
}

/// How much happened.
#[utoipa::path(tag = "desk", params(AsOf), responses((status = 200, body = ActivityView)))]
#[get("/activity")]
pub async fn activity(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<ActivityView> {
    let minute = app.clock.now().0.div_euclid(60_000_000);
    let names: BTreeMap<u16, &str> = Event::kinds().into_iter().map(|kind| (kind.number, kind.name)).collect();
    let name = |number: &u16| names.get(number).map_or_else(|| format!("kind_{number}"), ToString::to_string);
    let view = app.look(query.as_of.as_deref(), |fold| {
        let activity = &fold.views.activity;
        ActivityView {
            position: fold.truth.position().0,
            kinds: activity.kinds.iter().map(|(number, count)| (name(number), *count)).collect(),
            refusals: activity.refusals.clone(),
            commands: activity.commands,
            reactions: activity.reactions,
            hour: activity.hour(minute).into_iter().map(|(_, count)| count).collect(),
        }
    });
    Ok(web::Json(view.await?))
}

#[derive(Serialize, ToSchema)]
pub struct StateHashView {
    pub position: u64,
    /// BLAKE3 over all streams, in hex: equal states have equal hashes on every machine and store.
    pub hash: String,
    pub streams: usize,
}

/// The hash of the whole state.
#[utoipa::path(tag = "desk", params(AsOf), responses((status = 200, body = StateHashView), (status = 410, body = Problem)))]
#[get("/state")]
pub async fn hash(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<StateHashView> {
    let view = app.look(query.as_of.as_deref(), |fold| StateHashView {
        position: fold.truth.position().0,
        hash: fold.truth.hash().to_string(),
        streams: fold.truth.names().len(),
    });
    Ok(web::Json(view.await?))
}

/// The state of one stream: `desk`, `master/ACCOUNT` or `slave/ACCOUNT`.
#[utoipa::path(tag = "desk", params(("stream" = String, Path), AsOf), responses((status = 200, body = serde_json::Value), (status = 404, body = Problem)))]
#[get("/state/{stream:.+}")]
pub async fn state(
    app: Data,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<AsOf>,
) -> Answered<serde_json::Value> {
    let stream: StreamId = path.parse().map_err(|error| Problem::invalid("stream", error))?;
    if stream == StreamId::Desk {
        caller.need(&app, Access::Admin, "see users and sessions").await?;
    }
    let found = app.look(query.as_of.as_deref(), |fold| {
        let mut state = fold.truth.describe(&stream)?;
        state["position"] = fold.truth.position().0.into();
        Some(state)
    });
    found.await?.map(web::Json).ok_or_else(|| Problem::not_found(format!("no stream {stream} was ever seen")))
}
