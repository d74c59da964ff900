//! Keys of the proxy's clients.

use super::auth::Caller;
use super::people::{credential, desk, spent};
use super::problem::Problem;
use super::{Answered, Data, Wish, body};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tidehelm_actors::port::Clock;
use tidehelm_events::desk::{Access, ApiKeyIssued, Command, KeyScope, Token};
use tidehelm_events::endpoint::Api;
use tidehelm_events::id::CredentialId;
use tidehelm_events::time::{Span, Timestamp};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct ApiKeys {
    pub position: u64,
    pub keys: Vec<ApiKeyView>,
}

#[derive(Serialize, ToSchema)]
pub struct ApiKeyView {
    pub id: String,
    pub name: String,
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub expires_at: Option<Timestamp>,
    /// Empty: every model.
    pub models: BTreeSet<String>,
    /// Empty: everything.
    #[schema(value_type = BTreeSet<String>)]
    pub apis: BTreeSet<Api>,
    /// Zero: no limit.
    pub requests_per_minute: u32,
    pub in_flight_max: u32,
    pub tokens_per_day: u64,
}

impl ApiKeyView {
    pub fn of(id: CredentialId, token: &Token, scope: KeyScope) -> Self {
        let KeyScope { models, apis, requests_per_minute, in_flight_max, tokens_per_day } = scope;
        let Token { name, created_at, expires_at, .. } = token.clone();
        let id = id.to_string();
        ApiKeyView {
            id,
            name,
            created_at,
            expires_at,
            models,
            apis,
            requests_per_minute,
            in_flight_max,
            tokens_per_day,
        }
    }
}

/// The keys of the proxy's clients.
#[utoipa::path(tag = "proxy", responses((status = 200, body = ApiKeys), (status = 403, body = Problem)))]
#[get("/proxy/keys")]
pub async fn list(app: Data, caller: Caller) -> Answered<ApiKeys> {
    caller.need(&app, Access::Admin, "see the keys of the proxy").await?;
    Ok(web::Json(desk(&app, |position, desk| {
        let keys = desk.tokens.iter().filter_map(|(id, token)| Some(ApiKeyView::of(*id, token, app.keys.scope(*id)?)));
        ApiKeys { position, keys: keys.collect() }
    })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    name: String,
    /// Without it the key does not expire.
    hours: Option<u32>,
    /// Names that may be asked for; one that ends in `*` stands for all that begin so. Without it: every model.
    #[serde(default)]
    models: BTreeSet<String>,
    /// `chat_completions`, `completions`, `embeddings`, `responses`, `models`. Without it: everything.
    #[serde(default)]
    #[schema(value_type = BTreeSet<String>)]
    apis: BTreeSet<Api>,
    /// Zero, as without it: no limit.
    #[serde(default)]
    requests_per_minute: u32,
    #[serde(default)]
    in_flight_max: u32,
    /// Of a UTC day, input and output together, as far as upstreams say or as they are estimated.
    #[serde(default)]
    tokens_per_day: u64,
}

#[derive(Serialize, ToSchema)]
pub struct ApiKeyMade {
    pub id: String,
    /// Shown only now.
    pub key: String,
}

/// Makes a key for a client of the proxy.
#[utoipa::path(tag = "proxy", request_body = NewApiKey, responses((status = 201, body = ApiKeyMade), (status = 422, body = Problem)))]
#[post("/proxy/keys")]
pub async fn issue(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "make keys of the proxy").await?;
    let NewApiKey { name, hours, models, apis, requests_per_minute, in_flight_max, tokens_per_day } = body(&bytes)?;
    if hours == Some(0) {
        return Err(Problem::invalid("hours", "1 or more; without it the key does not expire"));
    }
    let expires_at = hours.map(|hours| app.clock.now() + Span::hours(i64::from(hours)));
    let scope = KeyScope { models, apis, requests_per_minute, in_flight_max, tokens_per_day };
    let (key, secret) = app.keys.issue_api_key(&scope).await?;
    let command = Command::IssueApiKey(ApiKeyIssued { key, name, scope: Box::new(scope), expires_at });
    let issued = app.command(&request, &caller, Wish::desk(command, &bytes)).await;
    let reply = app.or_destroy(issued, key).await?;
    if desk(&app, |shown, desk| shown >= reply.position.0 && !desk.tokens.contains_key(&key)) {
        return Err(spent(&app, key).await?);
    }
    app.proxy.look();
    Ok(HttpResponse::Created().json(ApiKeyMade { id: key.to_string(), key: secret }))
}

/// Revokes a key of the proxy: it opens nothing from now on.
#[utoipa::path(tag = "proxy", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
#[delete("/proxy/keys/{id}")]
pub async fn revoke(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "revoke keys of the proxy").await?;
    let key = credential(&path)?;
    app.command(&request, &caller, Wish::desk(Command::RevokeToken { token: key }, b"")).await?;
    app.keys.destroy(key).await?;
    app.proxy.forget_key(key);
    Ok(HttpResponse::NoContent().finish())
}
