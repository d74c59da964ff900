//! What holds for all copying: the defaults that groups and links set something else over, and the rules that decide.

use super::accounts::AsOf;
use super::auth::Caller;
use super::groups::{etag, only_set, seen, under};
use super::problem::Problem;
use super::{Answered, Data, Wish, body};
use actix_web::{HttpRequest, HttpResponse, get, put, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidehelm_events::copy::{self, Overrides, Rule};
use tidehelm_events::desk::{Access, Command};
use tidehelm_events::id::StreamId;
use tidehelm_events::view::Fold;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct CopySettings {
    pub position: u64,
    /// For `If-Match`.
    pub version: u64,
    /// Only what is set for the whole desk.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Every setting with its meaning, and what it is where nobody sets it.
    pub fields: Vec<FieldView>,
}

#[derive(Serialize, ToSchema)]
pub struct FieldView {
    pub name: &'static str,
    pub meaning: String,
    #[schema(value_type = Value)]
    pub default: Value,
}

fn settings_of(fold: &Fold) -> CopySettings {
    let desk = fold.truth.desk();
    let field = |copy::Field { name, meaning, default }| FieldView { name, meaning, default };
    CopySettings {
        position: fold.truth.position().0,
        version: desk.map_or(0, |desk| desk.revision.0),
        settings: desk.map_or_else(|| only_set(&Overrides::default()), |desk| only_set(&desk.copy_defaults)),
        fields: copy::fields().into_iter().map(field).collect(),
    }
}

fn answer(settings: CopySettings) -> HttpResponse {
    HttpResponse::Ok().insert_header(etag(settings.version)).json(settings)
}

/// How the whole desk copies, where no master, group, link or slave says otherwise; and what can be set at all.
#[utoipa::path(tag = "trade groups", params(AsOf), responses((status = 200, body = CopySettings), (status = 410, body = Problem)))]
#[get("/copy-settings")]
pub async fn defaults(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Result<HttpResponse, Problem> {
    Ok(answer(app.look(query.as_of.as_deref(), settings_of).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CopySettingsWish {
    /// All of them: what is left out is not set any more.
    #[schema(value_type = Object)]
    settings: Overrides,
    /// As `If-Match`, for who cannot set headers.
    #[serde(default)]
    version: Option<u64>,
}

/// Changes how the whole desk copies. Needs the version, as `If-Match` or in the body.
#[utoipa::path(tag = "trade groups", request_body = CopySettingsWish, responses((status = 200, body = CopySettings), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/copy-settings")]
pub async fn change_defaults(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "change how the desk copies").await?;
    let CopySettingsWish { settings, version } = body(&bytes)?;
    let known = || Ok(app.host.durable.read(|fold| fold.truth.desk().map_or(0, |desk| desk.revision.0)));
    let seen = seen(&app, &request, &caller, &StreamId::Desk, version, known)?;
    let command = Command::ChangeCopyDefaults(Box::new(settings));
    let changed = app.command(&request, &caller, Wish::desk(command, &bytes).at(seen)).await;
    changed.map_err(|problem| under("settings", problem))?;
    Ok(answer(app.host.durable.read(settings_of)))
}

#[derive(Serialize, ToSchema)]
pub struct Rules {
    pub rules: Vec<RuleView>,
}

#[derive(Serialize, ToSchema)]
pub struct RuleView {
    /// Never renamed.
    pub code: &'static str,
    /// `copied`, `resized`, `skipped`, `blocked` or `observed`.
    pub verdict: &'static str,
    pub sentence: &'static str,
    /// What a person can do; empty where nothing needs to be done.
    pub remedy: &'static str,
}

/// Every rule that can decide about a signal.
#[utoipa::path(tag = "why", responses((status = 200, body = Rules)))]
#[get("/rules")]
pub async fn rules(_caller: Caller) -> Answered<Rules> {
    let view = |rule: &Rule| RuleView {
        code: rule.code(),
        verdict: rule.verdict().as_str(),
        sentence: rule.sentence(),
        remedy: rule.remedy(),
    };
    Ok(web::Json(Rules { rules: Rule::ALL.iter().map(view).collect() }))
}
