//! What can be done with an endpoint besides changing it: ask it now, take its models in, forget its failures.

use super::{EndpointView, SecretWish, endpoint_id, millis, named, no_endpoint, view};
use crate::endpoints::secrets::SecretError;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Answered, App, Data, Wish, body};
use actix_web::{HttpRequest, post, web};
use serde::{Deserialize, Serialize};
use tidehelm_actors::endpoint::NoProbe;
use tidehelm_actors::port::{Probe, Question};
use tidehelm_events::desk::Access;
use tidehelm_events::endpoint::{Command, Kind, Model, ProbeOutcome, Settings};
use tidehelm_events::id::EndpointId;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Tested {
    pub ok: bool,
    /// How long the answer took, in thousandths of a second.
    pub latency_ms: Option<u64>,
    /// `connect`, `tls`, `timeout`, `broken`, `status` or `not_understood`; none where it went well.
    pub failure: Option<&'static str>,
    pub http_status: Option<u16>,
    /// What to do about it.
    pub detail: Option<String>,
    pub kind: Option<&'static str>,
    pub server_version: Option<String>,
    /// Those that it listed; none where it listed none.
    pub models: Option<Vec<ModelView>>,
    /// As it is now; none where it is not registered.
    pub endpoint: Option<EndpointView>,
}

#[derive(Serialize, ToSchema)]
pub struct ModelView {
    pub id: String,
    /// Tokens that it can look at, where the endpoint says so.
    pub context: Option<u64>,
}

impl ModelView {
    fn of(model: &Model) -> Self {
        ModelView { id: model.id.clone(), context: model.context }
    }
}

impl Tested {
    fn of(probe: Probe, endpoint: Option<EndpointView>) -> Self {
        let (latency_ms, failure, detail) = match probe.outcome {
            ProbeOutcome::Answered { took } => (Some(millis(took)), None, None),
            ProbeOutcome::Failed { failure, detail } => (None, Some(named(failure)), Some(detail)),
        };
        let known = endpoint.as_ref().and_then(|endpoint| endpoint.kind);
        let version = endpoint.as_ref().and_then(|endpoint| endpoint.server_version.clone());
        let (kind, server_version) = match probe.found {
            Some(found) => (Some(found.kind.as_str()), found.version),
            None => (known, version),
        };
        Tested {
            ok: failure.is_none(),
            latency_ms,
            failure: failure.map(|(name, _)| name),
            http_status: failure.and_then(|(_, status)| status),
            detail,
            kind,
            server_version,
            models: probe.models.map(|models| models.iter().map(ModelView::of).collect()),
            endpoint,
        }
    }
}

/// Asks an endpoint now. What it answers is recorded as any probe is.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = Tested), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[post("/endpoints/{id}/test")]
pub async fn test(app: Data, caller: Caller, path: web::Path<String>) -> Answered<Tested> {
    caller.need(&app, Access::Operator, "test endpoints").await?;
    let id = endpoint_id(&path)?;
    let probe = probe(&app, id).await?;
    Ok(web::Json(Tested::of(probe, Some(view(&app, id)?))))
}

async fn probe(app: &App, id: EndpointId) -> Result<Probe, Problem> {
    view(app, id)?;
    app.watchers.probe(id).await.map_err(|why| match why {
        NoProbe::Unknown(_) | NoProbe::Gone => Problem::new(503, "endpoint_not_watched", why.to_string()),
        NoProbe::Fault(fault) => fault.into(),
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    base_url: String,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    kind: Option<Kind>,
    /// It is kept nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    secret: SecretWish,
    #[serde(default)]
    probe_timeout_seconds: Option<u32>,
}

/// Asks what answers at an address that is not registered. Nothing is recorded.
#[utoipa::path(tag = "endpoints", request_body = Trial, responses((status = 200, body = Tested), (status = 422, body = Problem)))]
#[post("/endpoints/test")]
pub async fn try_out(app: Data, caller: Caller, bytes: web::Bytes) -> Answered<Tested> {
    caller.need(&app, Access::Operator, "test endpoints").await?;
    let Trial { base_url, kind, secret, probe_timeout_seconds } = body(&bytes)?;
    let usual = Settings::default();
    let probe_timeout_seconds = probe_timeout_seconds.unwrap_or(usual.probe_timeout_seconds);
    let health_interval_seconds = usual.health_interval_seconds.max(probe_timeout_seconds);
    let settings =
        Settings { name: "trial".into(), base_url, kind, probe_timeout_seconds, health_interval_seconds, ..usual };
    let settings = settings.checked().map_err(|refusal| Problem::from(refusal.denial()))?;
    let secret = match &secret {
        SecretWish::Set(plain) if crate::endpoints::secrets::is_secret(plain) => Some(plain.as_str()),
        SecretWish::Set(_) => return Err(Problem::invalid("secret", SecretError::Malformed)),
        SecretWish::Keep | SecretWish::None => None,
    };
    let question = Question { settings: Box::new(settings), found: None };
    let tested = Tested::of(app.prober.probe_with(&question, secret).await, None);
    Ok(web::Json(Tested { kind: tested.kind.or(kind.map(Kind::as_str)), ..tested }))
}

#[derive(Serialize, ToSchema)]
pub struct Models {
    /// The position that this reflects.
    pub position: u64,
    /// When they became what they are; none where none were ever taken in.
    #[schema(value_type = Option<i64>)]
    pub at: Option<Timestamp>,
    /// In the order of their ids.
    pub models: Vec<ModelView>,
}

impl Models {
    pub fn of(fold: &Fold, id: EndpointId) -> Option<Self> {
        let endpoint = fold.truth.endpoint(id).filter(|endpoint| endpoint.is_there())?;
        let models = endpoint.models.iter().map(ModelView::of).collect();
        Some(Models { position: fold.truth.position().0, at: endpoint.models_at, models })
    }
}

/// Asks an endpoint for its models now, and takes them in.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = Models), (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
#[post("/endpoints/{id}/sync")]
pub async fn sync(app: Data, caller: Caller, path: web::Path<String>) -> Answered<Models> {
    caller.need(&app, Access::Operator, "take in models").await?;
    let id = endpoint_id(&path)?;
    let probe = probe(&app, id).await?;
    if let ProbeOutcome::Failed { failure, detail } = probe.outcome {
        let why = format!("it did not answer ({}): {detail}", named(failure).0);
        return Err(Problem::new(502, "endpoint_failed", why));
    }
    if probe.models.is_none() {
        let kind = view(&app, id)?.kind.unwrap_or("of no known kind");
        let why = format!("it listed no models; it is {kind}, see that this is right");
        return Err(Problem::new(409, "models_not_listed", why));
    }
    app.host.durable.read(|fold| Models::of(fold, id)).map(web::Json).ok_or_else(|| no_endpoint(id))
}

/// Forgets the failures of an endpoint, and asks it at once.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = EndpointView), (status = 404, body = Problem), (status = 412, body = Problem)))]
#[post("/endpoints/{id}/reset")]
pub async fn reset(app: Data, request: HttpRequest, caller: Caller, path: web::Path<String>) -> Answered<EndpointView> {
    caller.need(&app, Access::Operator, "reset endpoints").await?;
    let id = endpoint_id(&path)?;
    app.command(&request, &caller, Wish::endpoint(id, Command::Reset, b"")).await?;
    Ok(web::Json(view(&app, id)?))
}
