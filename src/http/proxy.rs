//! What the proxy goes by: the zone whose days are counted, and other names of models.

use super::accounts::AsOf;
use super::auth::Caller;
use super::groups::{etag, seen};
use super::problem::Problem;
use super::{Data, Wish, body};
use actix_web::{HttpRequest, HttpResponse, get, put, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidehelm_events::desk::Access;
use tidehelm_events::endpoint::{ProxyCommand, ProxySettings};
use tidehelm_events::id::StreamId;
use tidehelm_events::view::Fold;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct ProxySettingsView {
    /// The position that this reflects.
    pub position: u64,
    /// For `If-Match`.
    pub version: u64,
    /// The time zone whose days are counted.
    pub zone: String,
    /// Names that clients may use, and the model that is meant.
    pub aliases: BTreeMap<String, String>,
}

fn settings_of(fold: &Fold) -> ProxySettingsView {
    let proxy = fold.truth.proxy();
    let ProxySettings { zone, aliases } = proxy.map(|proxy| (*proxy.settings).clone()).unwrap_or_default();
    let version = proxy.map_or(0, |proxy| proxy.revision.0);
    ProxySettingsView { position: fold.truth.position().0, version, zone, aliases }
}

fn answer(settings: ProxySettingsView) -> HttpResponse {
    HttpResponse::Ok().insert_header(etag(settings.version)).json(settings)
}

/// What the proxy goes by.
#[utoipa::path(tag = "proxy", params(AsOf), responses((status = 200, body = ProxySettingsView), (status = 410, body = Problem)))]
#[get("/proxy/settings")]
pub async fn current_settings(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Result<HttpResponse, Problem> {
    Ok(answer(app.look(query.as_of.as_deref(), settings_of).await?))
}

/// All of it: what is left out is as it is by default.
#[derive(Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxySettingsBody {
    /// By its name in the IANA list. Days that were counted stay in the zone in which they were.
    zone: String,
    aliases: BTreeMap<String, String>,
    /// As `If-Match`, for who cannot set headers.
    version: Option<u64>,
}

impl Default for ProxySettingsBody {
    fn default() -> Self {
        let ProxySettings { zone, aliases } = ProxySettings::default();
        ProxySettingsBody { zone, aliases, version: None }
    }
}

/// Changes what the proxy goes by. Needs the version, as `If-Match` or in the body.
#[utoipa::path(tag = "proxy", request_body = ProxySettingsBody, responses((status = 200, body = ProxySettingsView), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/proxy/settings")]
pub async fn change_settings(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "change what the proxy goes by").await?;
    let ProxySettingsBody { zone, aliases, version } = body(&bytes)?;
    let known = || Ok(app.host.durable.read(settings_of).version);
    let seen = seen(&app, &request, &caller, &StreamId::Proxy, version, known)?;
    let command = ProxyCommand::Change(Box::new(ProxySettings { zone, aliases }));
    app.command(&request, &caller, Wish::proxy(command, &bytes).at(seen)).await?;
    Ok(answer(app.host.durable.read(settings_of)))
}
