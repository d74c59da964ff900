//! What an endpoint did, in figures: all of them from memory, however many requests there were.

use super::act::Models;
use super::{endpoint_id, millis, named, no_endpoint};
use crate::http::accounts::AsOf;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Answered, App, Data};
use actix_web::{get, web};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidehelm_actors::port::Clock;
use tidehelm_events::endpoint::Api;
use tidehelm_events::id::EndpointId;
use tidehelm_events::money::Factor;
use tidehelm_events::time::{Span, Timestamp, civil};
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::{Bucket, Row};
use utoipa::{IntoParams, ToSchema};

/// Days of which sums are kept.
const DAYS_MAX: i64 = 400;

/// Sums of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Sums {
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of the successes; none where there were none.
    pub average_response_ms: Option<u64>,
    /// Tokens a second, of those with a measure.
    #[schema(value_type = Option<String>)]
    pub tps: Option<Factor>,
}

impl From<&Bucket> for Sums {
    fn from(bucket: &Bucket) -> Self {
        let (tokens, micros) = bucket.speed;
        let average = bucket.duration.checked_div(bucket.success);
        Sums {
            total: bucket.success + bucket.failed,
            success: bucket.success,
            failed: bucket.failed,
            input_tokens: bucket.input_tokens,
            output_tokens: bucket.output_tokens,
            average_response_ms: average.map(|micros| millis(Span(i64::try_from(micros).unwrap_or(i64::MAX)))),
            tps: (micros > 0).then(|| tps(u128::from(tokens) * 1_000_000_000_000 / u128::from(micros))),
        }
    }
}

/// From millionths; to three places.
fn tps(millionths: u128) -> Factor {
    let thousandths = i64::try_from((millionths + 500) / 1_000).unwrap_or(i64::MAX);
    Factor::new(Decimal::new(thousandths, 3)).unwrap_or_default()
}

fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// What is durable of an endpoint that is there.
fn of<R>(app: &App, text: &str, look: impl FnOnce(&Fold, EndpointId) -> R) -> Answered<R> {
    let id = endpoint_id(text)?;
    let found = app.host.durable.read(|fold| {
        fold.truth.endpoint(id).filter(|endpoint| endpoint.is_there())?;
        Some(look(fold, id))
    });
    found.map(web::Json).ok_or_else(|| no_endpoint(id))
}

fn zone(fold: &Fold) -> String {
    fold.truth.proxy().map(|proxy| proxy.settings.zone.clone()).unwrap_or_else(|| "UTC".into())
}

/// The models of an endpoint.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path), AsOf), responses((status = 200, body = Models), (status = 404, body = Problem)))]
#[get("/endpoints/{id}/models")]
pub async fn listed(app: Data, _caller: Caller, path: web::Path<String>, query: web::Query<AsOf>) -> Answered<Models> {
    let id = endpoint_id(&path)?;
    let models = app.look(query.as_of.as_deref(), |fold| Models::of(fold, id)).await?;
    models.map(web::Json).ok_or_else(|| no_endpoint(id))
}

#[derive(Serialize, ToSchema)]
pub struct Day {
    /// In the zone whose days are counted.
    pub date: String,
    #[serde(flatten)]
    pub sums: Sums,
}

#[derive(Serialize, ToSchema)]
pub struct TodayStats {
    pub position: u64,
    pub zone: String,
    #[serde(flatten)]
    pub day: Day,
}

/// What an endpoint did today.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = TodayStats), (status = 404, body = Problem)))]
#[get("/endpoints/{id}/today-stats")]
pub async fn today_stats(app: Data, _caller: Caller, path: web::Path<String>) -> Answered<TodayStats> {
    let now = app.clock.now();
    of(&app, &path, |fold, id| {
        let today = tidehelm_events::view::Endpoints::today(&fold.truth, now);
        let day = days(fold, id, today, today).into_iter().next();
        let day = day.unwrap_or_else(|| Day { date: date(today), sums: Sums::default() });
        TodayStats { position: fold.truth.position().0, zone: zone(fold), day }
    })
}

/// Each day from the first to the last, with zeros where nothing was.
fn days(fold: &Fold, id: EndpointId, first: i64, last: i64) -> Vec<Day> {
    let of_it = |day, row: &Row| (row.endpoint == Some(id)).then_some(day);
    let sums = fold.views.endpoints.days().sums(first, last, of_it);
    let day = |day: i64| Day { date: date(day), sums: sums.get(&day).map(Sums::from).unwrap_or_default() };
    (first..=last).map(day).collect()
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LastDays {
    /// Today and the days before it, 1 to 400; 30 if it is not said.
    pub days: Option<i64>,
}

impl LastDays {
    fn checked(&self) -> Result<i64, Problem> {
        let days = self.days.unwrap_or(30);
        match (1..=DAYS_MAX).contains(&days) {
            true => Ok(days),
            false => Err(Problem::invalid("days", format!("1 to {DAYS_MAX}"))),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct DailyStats {
    pub position: u64,
    /// In which the days are counted.
    pub zone: String,
    /// Oldest first, with zeros where nothing was.
    pub days: Vec<Day>,
}

/// What an endpoint did, day by day.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path), LastDays), responses((status = 200, body = DailyStats), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[get("/endpoints/{id}/daily-stats")]
pub async fn daily_stats(
    app: Data,
    _caller: Caller,
    path: web::Path<String>,
    query: web::Query<LastDays>,
) -> Answered<DailyStats> {
    let (count, now) = (query.checked()?, app.clock.now());
    of(&app, &path, |fold, id| {
        let today = tidehelm_events::view::Endpoints::today(&fold.truth, now);
        let days = days(fold, id, today - count + 1, today);
        DailyStats { position: fold.truth.position().0, zone: zone(fold), days }
    })
}

#[derive(Serialize, ToSchema)]
pub struct ModelSums {
    /// None: models beyond those that are told apart.
    pub model: Option<String>,
    /// The part of the interface.
    #[schema(value_type = String)]
    pub api: Api,
    #[serde(flatten)]
    pub sums: Sums,
}

#[derive(Serialize, ToSchema)]
pub struct ModelStats {
    pub position: u64,
    /// In the order of their names.
    pub models: Vec<ModelSums>,
}

/// What an endpoint did by model and part of the interface, over the last days.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path), LastDays), responses((status = 200, body = ModelStats), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[get("/endpoints/{id}/model-stats")]
pub async fn model_stats(
    app: Data,
    _caller: Caller,
    path: web::Path<String>,
    query: web::Query<LastDays>,
) -> Answered<ModelStats> {
    let (count, now) = (query.checked()?, app.clock.now());
    of(&app, &path, |fold, id| {
        let today = tidehelm_events::view::Endpoints::today(&fold.truth, now);
        let (view, names) = (&fold.views.endpoints, fold.views.endpoints.models().names());
        let key = |_, row: &Row| (row.endpoint == Some(id)).then_some((row.model, row.api));
        let sums: BTreeMap<_, Bucket> = view.days().sums(today - count + 1, today, key);
        let model = |((model, api), bucket): (&(_, Api), &Bucket)| ModelSums {
            model: names.get(model).map(ToString::to_string),
            api: *api,
            sums: bucket.into(),
        };
        let mut models: Vec<_> = sums.iter().map(model).collect();
        models.sort_by(|one, other| (&one.model, one.api).cmp(&(&other.model, other.api)));
        ModelStats { position: fold.truth.position().0, models }
    })
}

#[derive(Serialize, ToSchema)]
pub struct ModelTps {
    /// None: models beyond those that are told apart.
    pub model: Option<String>,
    #[schema(value_type = String)]
    pub api: Api,
    /// Tokens a second: an average in which the last answers count most.
    #[schema(value_type = String)]
    pub tps: Factor,
    pub samples: u64,
}

#[derive(Serialize, ToSchema)]
pub struct Speeds {
    pub position: u64,
    pub models: Vec<ModelTps>,
}

/// How fast an endpoint is, by model and part of the interface. It stays while the endpoint is offline.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = Speeds), (status = 404, body = Problem)))]
#[get("/endpoints/{id}/model-tps")]
pub async fn model_tps(app: Data, _caller: Caller, path: web::Path<String>) -> Answered<Speeds> {
    of(&app, &path, |fold, id| {
        let (view, names) = (&fold.views.endpoints, fold.views.endpoints.models().names());
        let models = view.speeds().of(id).map(|(model, api, average)| ModelTps {
            model: names.get(&model).map(ToString::to_string),
            api,
            tps: tps(average.value().unwrap_or(0).into()),
            samples: average.samples(),
        });
        let mut models: Vec<_> = models.collect();
        models.sort_by(|one, other| (&one.model, one.api).cmp(&(&other.model, other.api)));
        Speeds { position: fold.truth.position().0, models }
    })
}

#[derive(Serialize, ToSchema)]
pub struct CheckView {
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub ok: bool,
    pub latency_ms: Option<u64>,
    /// `connect`, `tls`, `timeout`, `broken`, `status` or `not_understood`; none where it went well.
    pub failure: Option<&'static str>,
    pub http_status: Option<u16>,
}

#[derive(Serialize, ToSchema)]
pub struct Checks {
    pub position: u64,
    /// The last sixty, oldest first.
    pub checks: Vec<CheckView>,
}

/// The last probes of an endpoint.
#[utoipa::path(tag = "endpoints", params(("id" = String, Path)), responses((status = 200, body = Checks), (status = 404, body = Problem)))]
#[get("/endpoints/{id}/health-checks")]
pub async fn health_checks(app: Data, _caller: Caller, path: web::Path<String>) -> Answered<Checks> {
    of(&app, &path, |fold, id| {
        let checks = fold.views.endpoints.share(Some(id)).into_iter().flat_map(|share| &share.checks);
        let checks = checks.map(|check| CheckView {
            at: check.at,
            ok: check.failure.is_none(),
            latency_ms: check.took.map(millis),
            failure: check.failure.map(|failure| named(failure).0),
            http_status: check.failure.and_then(|failure| named(failure).1),
        });
        Checks { position: fold.truth.position().0, checks: checks.collect() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_shown_with_its_average_and_its_speed() {
        let bucket = Bucket {
            success: 3,
            failed: 1,
            input_tokens: 40,
            output_tokens: 100,
            duration: 3_001_500,
            speed: (100, 2_000_000),
        };
        let sums = Sums::from(&bucket);
        assert_eq!((sums.total, sums.success, sums.failed), (4, 3, 1));
        assert_eq!((sums.average_response_ms, sums.tps.unwrap().to_string()), (Some(1_001), "50".into()));
        assert_eq!(Sums::from(&Bucket::default()), Sums::default(), "nothing measured is null, not zero");
        assert_eq!(date(20_454), "2026-01-01");
    }
}
