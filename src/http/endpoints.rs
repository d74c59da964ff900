//! Endpoints: upstream services that the desk watches and sends requests to.

pub mod act;
pub mod figures;

use super::accounts::AsOf;
use super::auth::Caller;
use super::groups::{etag, seen};
use super::problem::Problem;
use super::{Answered, App, Data, Wish, body, command_id};
use crate::endpoints::secrets::SecretError;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeSet;
use tidehelm_actors::journal::Reply;
use tidehelm_events::desk::Access;
use tidehelm_events::endpoint::{self, Capability, Command, Endpoint, Failure, Kind, Settings, normalise};
use tidehelm_events::id::{CredentialId, EndpointId, StreamId, Version};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::view::Fold;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EndpointView {
    pub id: String,
    pub name: String,
    pub base_url: String,
    /// As it is set, else as it says; none while nobody knows.
    pub kind: Option<&'static str>,
    /// What people set; without it what it answers says what it is.
    pub kind_set: Option<&'static str>,
    /// The version of the server, as far as it says.
    pub server_version: Option<String>,
    /// There is a secret. It is never shown.
    pub has_secret: bool,
    pub tags: BTreeSet<String>,
    pub notes: String,
    /// Empty: whatever is asked of it.
    #[schema(value_type = Vec<String>)]
    pub capabilities: BTreeSet<Capability>,
    pub health_interval_seconds: u32,
    pub probe_timeout_seconds: u32,
    pub inference_timeout_seconds: u32,
    pub success_threshold: u32,
    pub failure_threshold: u32,
    pub weight: u32,
    /// Zero: no limit.
    pub in_flight_max: u32,
    /// `pending`, `online`, `error`, `offline` or `half_open`.
    pub status: &'static str,
    #[schema(value_type = i64)]
    pub status_since: Timestamp,
    /// Of the last good probe, also while it is offline; rounded.
    pub latency_ms: Option<u64>,
    /// How long an answer to a request takes.
    pub inference_latency_ms: Option<u64>,
    #[schema(value_type = i64)]
    pub registered_at: Timestamp,
    /// When it last succeeded in something.
    #[schema(value_type = Option<i64>)]
    pub last_seen: Option<Timestamp>,
    pub last_error: Option<LastErrorView>,
    pub consecutive_failures: u32,
    #[schema(value_type = i64)]
    pub next_probe_at: Timestamp,
    pub models: usize,
    #[schema(value_type = Option<i64>)]
    pub models_at: Option<Timestamp>,
    /// Requests that it had, and how many of them succeeded.
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    /// For `If-Match`.
    pub version: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LastErrorView {
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// Who heard it: `probe` or `request`.
    pub by: &'static str,
    /// `connect`, `tls`, `timeout`, `broken`, `status` or `not_understood`.
    pub failure: &'static str,
    /// The status that it answered with, where that is what was wrong.
    pub http_status: Option<u16>,
    pub detail: String,
}

impl EndpointView {
    /// None where it is not registered, or was removed.
    pub fn of(fold: &Fold, id: EndpointId) -> Option<Self> {
        let endpoint = fold.truth.endpoint(id).filter(|endpoint| endpoint.is_there())?;
        let share = fold.views.endpoints.share(Some(id));
        let tally = share.map(|share| share.tally.clone()).unwrap_or_default();
        EndpointView::shown(endpoint, (tally.total(), tally.success()))
    }

    fn shown(endpoint: &Endpoint, (total, success): (u64, u64)) -> Option<Self> {
        let Settings {
            name,
            base_url,
            kind,
            secret,
            tags,
            notes,
            capabilities,
            health_interval_seconds,
            probe_timeout_seconds,
            inference_timeout_seconds,
            success_threshold,
            failure_threshold,
            weight,
            in_flight_max,
        } = endpoint.settings.as_deref()?.clone();
        Some(EndpointView {
            id: endpoint.id.to_string(),
            name,
            base_url,
            kind: endpoint.kind().map(Kind::as_str),
            kind_set: kind.map(Kind::as_str),
            server_version: endpoint.found.as_ref().and_then(|found| found.version.clone()),
            has_secret: secret.is_some(),
            tags,
            notes,
            capabilities,
            health_interval_seconds,
            probe_timeout_seconds,
            inference_timeout_seconds,
            success_threshold,
            failure_threshold,
            weight,
            in_flight_max,
            status: endpoint.health.status.as_str(),
            status_since: endpoint.health.since,
            latency_ms: endpoint.latency.map(millis),
            inference_latency_ms: endpoint.inference_latency().map(millis),
            registered_at: endpoint.registered_at,
            last_seen: endpoint.last_seen,
            last_error: endpoint.last_error.as_ref().map(LastErrorView::of),
            consecutive_failures: endpoint.health.failures,
            next_probe_at: endpoint.next_probe_at,
            models: endpoint.models.len(),
            models_at: endpoint.models_at,
            total,
            success,
            failed: total - success,
            version: endpoint.revision.0,
        })
    }
}

impl LastErrorView {
    fn of(error: &endpoint::LastError) -> Self {
        let (failure, http_status) = named(error.failure);
        let by = match error.by {
            endpoint::By::Probe => "probe",
            endpoint::By::Request => "request",
        };
        LastErrorView { at: error.at, by, failure, http_status, detail: error.detail.clone() }
    }
}

/// The name of a failure, and the status that the endpoint answered with, where that is what was wrong.
pub fn named(failure: Failure) -> (&'static str, Option<u16>) {
    match failure {
        Failure::Connect => ("connect", None),
        Failure::Tls => ("tls", None),
        Failure::Timeout => ("timeout", None),
        Failure::Broken => ("broken", None),
        Failure::Status(status) => ("status", Some(status)),
        Failure::NotUnderstood => ("not_understood", None),
    }
}

/// Rounded to the nearest.
pub fn millis(span: Span) -> u64 {
    (span.0.unsigned_abs() + 500) / 1_000
}

#[derive(Serialize, ToSchema)]
pub struct Endpoints {
    /// The position that this reflects.
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// In the order of their names.
    pub endpoints: Vec<EndpointView>,
}

/// Every endpoint.
#[utoipa::path(tag = "endpoints", params(AsOf), responses((status = 200, body = Endpoints), (status = 410, body = Problem)))]
#[get("/endpoints")]
pub async fn list(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<Endpoints> {
    let endpoints = app.look(query.as_of.as_deref(), |fold| {
        let endpoints = fold.truth.endpoints().filter_map(|endpoint| EndpointView::of(fold, endpoint.id)).collect();
        Endpoints { position: fold.truth.position().0, at: fold.truth.time(), endpoints }
    });
    Ok(web::Json(endpoints.await?))
}

/// One endpoint.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path), AsOf), responses((status = 200, body = EndpointView), (status = 404, body = Problem)))]
#[get("/endpoints/{id}")]
pub async fn one(
    app: Data,
    _caller: Caller,
    path: web::Path<String>,
    query: web::Query<AsOf>,
) -> Result<HttpResponse, Problem> {
    let id = endpoint_id(&path)?;
    let endpoint = app.look(query.as_of.as_deref(), |fold| EndpointView::of(fold, id)).await?;
    let endpoint = endpoint.ok_or_else(|| no_endpoint(id))?;
    Ok(HttpResponse::Ok().insert_header(etag(endpoint.version)).json(endpoint))
}

/// All settings of an endpoint: what is left out is as it is by default, but for the secret, which then stays.
#[derive(Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointBody {
    name: String,
    base_url: String,
    /// `xllm`, `lm_studio`, `ollama`, `vllm`, `llama_cpp`, `openai_compatible` or `http`; without it what it answers says what it
    /// is.
    #[schema(value_type = Option<String>)]
    kind: Option<Kind>,
    /// Is sent as `Authorization: Bearer`. Left out: stays as it is. `null`: there is none. It is never shown again.
    #[schema(value_type = Option<String>)]
    secret: SecretWish,
    tags: BTreeSet<String>,
    notes: String,
    /// `chat`, `completions`, `embeddings`, `responses`, `vision`, `tools`. Empty: whatever is asked of it.
    #[schema(value_type = Vec<String>)]
    capabilities: BTreeSet<Capability>,
    health_interval_seconds: u32,
    probe_timeout_seconds: u32,
    inference_timeout_seconds: u32,
    success_threshold: u32,
    failure_threshold: u32,
    weight: u32,
    in_flight_max: u32,
    /// As `If-Match`, for who cannot set headers.
    version: Option<u64>,
}

#[derive(Default)]
pub enum SecretWish {
    #[default]
    Keep,
    None,
    Set(Zeroizing<String>),
}

impl<'de> Deserialize<'de> for SecretWish {
    /// What is no text is refused without being repeated.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(SecretWish::None),
            Value::String(text) => Ok(SecretWish::Set(Zeroizing::new(text))),
            _ => Err(serde::de::Error::custom("a text, or null for none")),
        }
    }
}

impl Serialize for SecretWish {
    /// For the default in the document: whatever is wanted, nothing is shown.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl Default for EndpointBody {
    fn default() -> Self {
        let usual = Settings::default();
        EndpointBody {
            name: usual.name,
            base_url: usual.base_url,
            kind: usual.kind,
            secret: SecretWish::Keep,
            tags: usual.tags,
            notes: usual.notes,
            capabilities: usual.capabilities,
            health_interval_seconds: usual.health_interval_seconds,
            probe_timeout_seconds: usual.probe_timeout_seconds,
            inference_timeout_seconds: usual.inference_timeout_seconds,
            success_threshold: usual.success_threshold,
            failure_threshold: usual.failure_threshold,
            weight: usual.weight,
            in_flight_max: usual.in_flight_max,
            version: None,
        }
    }
}

impl EndpointBody {
    fn settings(&self, secret: Option<CredentialId>) -> Settings {
        Settings {
            name: self.name.clone(),
            base_url: self.base_url.clone(),
            kind: self.kind,
            secret,
            tags: self.tags.clone(),
            notes: self.notes.clone(),
            capabilities: self.capabilities.clone(),
            health_interval_seconds: self.health_interval_seconds,
            probe_timeout_seconds: self.probe_timeout_seconds,
            inference_timeout_seconds: self.inference_timeout_seconds,
            success_threshold: self.success_threshold,
            failure_threshold: self.failure_threshold,
            weight: self.weight,
            in_flight_max: self.in_flight_max,
        }
    }
}

/// Registers an endpoint. Nobody has to be there yet: it is asked at once, and again and again.
#[utoipa::path(tag = "endpoints", request_body = EndpointBody, responses((status = 201, body = EndpointView), (status = 409, body = Problem), (status = 422, body = Problem)))]
#[post("/endpoints")]
pub async fn create(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "register endpoints").await?;
    let wanted: EndpointBody = body(&bytes)?;
    let id = new_id(&request, &caller)?;
    let stream = StreamId::Endpoint(id);
    let _turn = app.secrets.turn.lock().await;
    let made = match app.was_answered(&request, &caller, &stream)? {
        true => None,
        false => put(&app, &wanted.secret).await?,
    };
    let command = Command::Register(Box::new(wanted.settings(made)));
    change(&app, &request, &caller, (id, command, &without_secret(&bytes)), None, [made, None]).await?;
    let endpoint = view(&app, id)?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/endpoints/{id}")))
        .insert_header(etag(endpoint.version))
        .json(endpoint))
}

/// Changes an endpoint as a whole. Needs the version, as `If-Match` or in the body. Another address needs the secret anew, so that
/// none goes where it was not meant for.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), request_body = EndpointBody, responses((status = 200, body = EndpointView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/endpoints/{id}")]
pub async fn set(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "change endpoints").await?;
    let id = endpoint_id(&path)?;
    let wanted: EndpointBody = body(&bytes)?;
    let stream = StreamId::Endpoint(id);
    let _turn = app.secrets.turn.lock().await;
    let expected = seen(&app, &request, &caller, &stream, wanted.version, || Ok(view(&app, id)?.version))?;
    let before = settings_of(&app, id);
    let had = before.as_ref().and_then(|before| before.secret);
    let (secret, made) = match &wanted.secret {
        // A repeat is answered as it was, whatever it says of the secret.
        _ if expected.is_none() => (None, None),
        SecretWish::Keep => {
            stays(before.as_ref(), &wanted.base_url)?;
            (had, None)
        }
        SecretWish::None => (None, None),
        SecretWish::Set(_) => {
            let made = put(&app, &wanted.secret).await?;
            (made, made)
        }
    };
    let command = Command::Change(Box::new(wanted.settings(secret)));
    change(&app, &request, &caller, (id, command, &without_secret(&bytes)), expected, [made, had]).await?;
    let endpoint = view(&app, id)?;
    Ok(HttpResponse::Ok().insert_header(etag(endpoint.version)).json(endpoint))
}

#[derive(Serialize, ToSchema)]
pub struct Removed {
    pub position: u64,
}

/// Removes an endpoint. What it did stays counted; its secret is destroyed.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = Removed), (status = 404, body = Problem), (status = 412, body = Problem), (status = 428, body = Problem)))]
#[delete("/endpoints/{id}")]
pub async fn remove(app: Data, request: HttpRequest, caller: Caller, path: web::Path<String>) -> Answered<Removed> {
    caller.need(&app, Access::Operator, "remove endpoints").await?;
    let id = endpoint_id(&path)?;
    let stream = StreamId::Endpoint(id);
    let _turn = app.secrets.turn.lock().await;
    let expected = seen(&app, &request, &caller, &stream, None, || Ok(view(&app, id)?.version))?;
    let had = settings_of(&app, id).and_then(|settings| settings.secret);
    let reply = change(&app, &request, &caller, (id, Command::Remove, b""), expected, [None, had]).await?;
    Ok(web::Json(Removed { position: reply.position.0 }))
}

type Change<'a> = (EndpointId, Command, &'a [u8]);

/// Changes an endpoint. Of these secrets those go that it does not refer to afterwards.
async fn change(
    app: &App,
    request: &HttpRequest,
    caller: &Caller,
    (id, command, body): Change<'_>,
    expected: Option<Version>,
    [made, had]: [Option<CredentialId>; 2],
) -> Result<Reply, Problem> {
    let wish = Wish::endpoint(id, command, body).at(expected);
    let reply = match app.command(request, caller, wish).await {
        Ok(reply) => reply,
        Err(problem) => {
            // Where nobody knows what became of it, the next start knows what is referred to.
            if let (Some(made), true) = (made, problem.status < 500) {
                app.secrets.destroy(made).await?;
            }
            return Err(problem);
        }
    };
    if app.host.durable.head().position >= reply.position {
        let refers = settings_of(app, id).and_then(|settings| settings.secret);
        for secret in [made, had].into_iter().flatten().filter(|secret| Some(*secret) != refers) {
            app.secrets.destroy(secret).await?;
        }
    }
    Ok(reply)
}

async fn put(app: &App, secret: &SecretWish) -> Result<Option<CredentialId>, Problem> {
    let SecretWish::Set(plain) = secret else { return Ok(None) };
    let made = app.secrets.put(plain).await.map_err(|error| match error {
        SecretError::Malformed => Problem::invalid("secret", error),
        SecretError::Key(why) => why.into(),
    })?;
    Ok(Some(made))
}

/// A secret stays with the address that it was meant for.
fn stays(before: Option<&Settings>, base_url: &str) -> Result<(), Problem> {
    let Some(before) = before.filter(|before| before.secret.is_some()) else { return Ok(()) };
    match normalise(base_url) {
        Ok(url) if url != before.base_url => {
            let why = "the kept secret would be sent to another address: give it again, or `null` for none";
            Err(Problem { field: Some("secret".into()), ..Problem::new(422, "secret_needed", why) })
        }
        _ => Ok(()),
    }
}

/// The body for the record of what was asked: the hash of a secret would be one, too.
fn without_secret(bytes: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else { return Vec::new() };
    if let Some(secret @ Value::String(_)) = fields.get_mut("secret") {
        *secret = Value::Bool(true);
    }
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// A new endpoint's id follows from the command's and who sent it, so that a repeat means the same one.
fn new_id(request: &HttpRequest, caller: &Caller) -> Result<EndpointId, Problem> {
    let command = command_id(request)?;
    Ok(EndpointId(Uuid::new_v5(&command.0, format!("endpoint of {}", caller.principal).as_bytes())))
}

fn settings_of(app: &App, id: EndpointId) -> Option<Settings> {
    app.host.durable.read(|fold| {
        let endpoint = fold.truth.endpoint(id).filter(|endpoint| endpoint.is_there())?;
        endpoint.settings.as_deref().cloned()
    })
}

fn view(app: &App, id: EndpointId) -> Result<EndpointView, Problem> {
    app.host.durable.read(|fold| EndpointView::of(fold, id)).ok_or_else(|| no_endpoint(id))
}

pub fn endpoint_id(text: &str) -> Result<EndpointId, Problem> {
    EndpointId::parse(text).ok_or_else(|| Problem::invalid("id", "the id of an endpoint: a uuid, in small letters"))
}

pub fn no_endpoint(id: EndpointId) -> Problem {
    Problem::new(404, "endpoint_unknown", format!("there is no endpoint {id}; see GET /api/endpoints"))
}
