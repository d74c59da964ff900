//! What endpoints do and what requests add up to: from memory, at the cost of the number of endpoints, never of the number of
//! requests. Single requests are read from their table.

pub mod clients;
pub mod requests;
pub mod tokens;
mod view;

pub use view::OverviewView;

use super::accounts::AsOf;
use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, Data};
use crate::ambient;
use actix_web::{get, web};
use serde::Serialize;
use tidehelm_actors::port::Clock;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::{EndpointRow, Endpoints, Minute, Stats, TpsRow};
use utoipa::ToSchema;

/// When a state is looked at: a past one at the time of its last event.
fn moment(app: &Data, as_of: &AsOf, fold: &Fold) -> Timestamp {
    match as_of.as_of {
        Some(_) => fold.truth.time(),
        None => app.clock.now(),
    }
}

/// The dashboard in one piece.
#[utoipa::path(tag = "dashboard", params(AsOf), responses((status = 200, body = OverviewView), (status = 410, body = Problem)))]
#[get("/dashboard/overview")]
pub async fn overview(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<OverviewView> {
    let began = ambient::stopwatch();
    let look = |fold: &Fold| {
        let now = moment(&app, &query, fold);
        fold.views.endpoints.overview(&fold.truth, now, |id| app.in_flight(id))
    };
    let overview = app.look(query.as_of.as_deref(), look).await?;
    Ok(web::Json(OverviewView::of(overview, began.elapsed().as_secs_f64() * 1e3)))
}

#[derive(Serialize, ToSchema)]
pub struct EndpointsView {
    pub position: u64,
    #[schema(value_type = Vec<serde_json::Value>)]
    pub endpoints: Vec<EndpointRow>,
    #[schema(value_type = Vec<serde_json::Value>)]
    pub endpoint_tps: Vec<TpsRow>,
}

/// Endpoints with what they did.
#[utoipa::path(tag = "dashboard", params(AsOf), responses((status = 200, body = EndpointsView), (status = 410, body = Problem)))]
#[get("/dashboard/endpoints")]
pub async fn endpoints(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<EndpointsView> {
    let look = |fold: &Fold| {
        let now = moment(&app, &query, fold);
        fold.views.endpoints.overview(&fold.truth, now, |id| app.in_flight(id))
    };
    let found = app.look(query.as_of.as_deref(), look).await?;
    let (position, endpoint_tps) = (found.position.0, found.endpoint_tps);
    Ok(web::Json(EndpointsView { position, endpoints: found.endpoints, endpoint_tps }))
}

#[derive(Serialize, ToSchema)]
pub struct StatsView {
    pub position: u64,
    #[schema(value_type = serde_json::Value)]
    pub stats: Stats,
}

/// Totals of all requests that ever ended, and how long an answer takes.
#[utoipa::path(tag = "dashboard", params(AsOf), responses((status = 200, body = StatsView), (status = 410, body = Problem)))]
#[get("/dashboard/stats")]
pub async fn stats(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<StatsView> {
    let look = |fold: &Fold| StatsView {
        position: fold.truth.position().0,
        stats: fold.views.endpoints.stats(&fold.truth, moment(&app, &query, fold)),
    };
    app.look(query.as_of.as_deref(), look).await.map(web::Json)
}

#[derive(Serialize, ToSchema)]
pub struct HistoryView {
    pub position: u64,
    /// Sixty minutes in UTC, zero-filled, oldest first.
    #[schema(value_type = Vec<serde_json::Value>)]
    pub history: Vec<Minute>,
}

/// Successes and failures of the last hour, by the minute.
#[utoipa::path(tag = "dashboard", params(AsOf), responses((status = 200, body = HistoryView), (status = 410, body = Problem)))]
#[get("/dashboard/request-history")]
pub async fn request_history(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<HistoryView> {
    let look = |fold: &Fold| HistoryView {
        position: fold.truth.position().0,
        history: fold.views.endpoints.history(moment(&app, &query, fold)),
    };
    app.look(query.as_of.as_deref(), look).await.map(web::Json)
}

/// The last day of a span of days that ends today, and the first one.
fn days(fold: &Fold, now: Timestamp, days: i64) -> (i64, i64) {
    let today = Endpoints::today(&fold.truth, now);
    (today - days + 1, today)
}

/// A number of a query that must be in a range.
fn number(field: &str, text: Option<&str>, usual: i64, least: i64, most: i64) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(usual) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| Problem::invalid(field, format!("a number from {least} to {most}")))
}
