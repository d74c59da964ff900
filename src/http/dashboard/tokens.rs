//! Tokens and models: what they add up to, by the day and by the month.

use super::{days, moment, number};
use crate::http::accounts::AsOf;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Answered, Data};
use crate::tables::gather::day;
use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidehelm_events::endpoint::TokensKnown;
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::{Bucket, TokenSum};
use utoipa::{IntoParams, ToSchema};

/// As many days as are kept in memory.
const DAYS_MAX: i64 = 400;
const DAYS_USUAL: i64 = 30;

/// Tokens, and how they are known.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    /// `reported` by the upstream, `counted` by the pieces of a stream, `estimated` by the length of texts, `unknown`.
    #[schema(value_type = serde_json::Value)]
    pub known: BTreeMap<TokensKnown, Part>,
}

#[derive(Serialize, ToSchema)]
pub struct Part {
    pub requests: u64,
    pub input: u64,
    pub output: u64,
}

impl Tokens {
    fn of(sum: &TokenSum) -> Self {
        let part = |known| {
            let part = sum.of(known);
            (known, Part { requests: part.requests, input: part.input, output: part.output })
        };
        Tokens { input: sum.input(), output: sum.output(), known: TokensKnown::ALL.into_iter().map(part).collect() }
    }
}

#[derive(Serialize, ToSchema)]
pub struct TokenStats {
    pub position: u64,
    pub tokens: Tokens,
}

/// Tokens of all requests that ever ended.
#[utoipa::path(tag = "dashboard", params(AsOf), responses((status = 200, body = TokenStats), (status = 410, body = Problem)))]
#[get("/dashboard/stats/tokens")]
pub async fn total(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<TokenStats> {
    let look = |fold: &Fold| TokenStats {
        position: fold.truth.position().0,
        tokens: Tokens::of(&fold.views.endpoints.total.tokens),
    };
    app.look(query.as_of.as_deref(), look).await.map(web::Json)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// So many days that end today, 1 to 400; 30 without it.
    pub days: Option<String>,
    /// A position or a time: `1234`, `2026-01-31T12:00:00Z`, `10m ago`. Without it, now.
    pub as_of: Option<String>,
}

impl Span {
    fn days(&self) -> Result<i64, Problem> {
        number("days", self.days.as_deref(), DAYS_USUAL, 1, DAYS_MAX)
    }
    fn as_of(&self) -> AsOf {
        AsOf { as_of: self.as_of.clone() }
    }
}

/// Sums of requests.
#[derive(Serialize, ToSchema)]
pub struct Sums {
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of the successes; none where there was none.
    pub average_response_ms: Option<f64>,
    /// Tokens a second, over the whole time of those that brought some.
    pub tps: Option<f64>,
}

impl Sums {
    pub fn of(sum: &Bucket) -> Self {
        let (tokens, micros) = sum.speed;
        Sums {
            total: sum.total(),
            success: sum.success,
            failed: sum.failed,
            input_tokens: sum.input_tokens,
            output_tokens: sum.output_tokens,
            average_response_ms: (sum.success > 0).then(|| round(sum.duration as f64 / sum.success as f64 / 1e3)),
            tps: (micros > 0).then(|| round(tokens as f64 * 1e6 / micros as f64)),
        }
    }
}

/// To three places.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[derive(Serialize, ToSchema)]
pub struct Daily {
    pub position: u64,
    /// The zone whose days these are.
    pub zone: String,
    /// Oldest first, zero-filled.
    pub days: Vec<Day>,
}

#[derive(Serialize, ToSchema)]
pub struct Day {
    /// `2026-01-31`
    pub day: String,
    pub sums: Sums,
}

/// Requests and tokens by the day.
#[utoipa::path(tag = "dashboard", params(Span), responses((status = 200, body = Daily), (status = 410, body = Problem), (status = 422, body = Problem)))]
#[get("/dashboard/stats/tokens/daily")]
pub async fn daily(app: Data, _caller: Caller, query: web::Query<Span>) -> Answered<Daily> {
    let count = query.days()?;
    let look = |fold: &Fold| {
        let (first, last) = days(fold, moment(&app, &query.as_of(), fold), count);
        let sums = fold.views.endpoints.days().sums(first, last, |date, _| Some(date));
        let none = Bucket::default();
        let one = |date| Day { day: day(date), sums: Sums::of(sums.get(&date).unwrap_or(&none)) };
        let zone = fold.truth.proxy().map_or_else(|| "UTC".into(), |proxy| proxy.settings.zone.clone());
        Daily { position: fold.truth.position().0, zone, days: (first..=last).map(one).collect() }
    };
    app.look(query.as_of.as_deref(), look).await.map(web::Json)
}

#[derive(Serialize, ToSchema)]
pub struct Monthly {
    pub position: u64,
    /// Those that had requests, oldest first; the last 120.
    pub months: Vec<Month>,
}

#[derive(Serialize, ToSchema)]
pub struct Month {
    /// `2026-01`
    pub month: String,
    pub tokens: Tokens,
}

/// Tokens by the month.
#[utoipa::path(tag = "dashboard", params(AsOf), responses((status = 200, body = Monthly), (status = 410, body = Problem)))]
#[get("/dashboard/stats/tokens/monthly")]
pub async fn monthly(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<Monthly> {
    let look = |fold: &Fold| {
        let months = fold.views.endpoints.months();
        let month = |(year, month, sum)| Month { month: format!("{year:04}-{month:02}"), tokens: Tokens::of(sum) };
        Monthly { position: fold.truth.position().0, months: months.map(month).collect() }
    };
    app.look(query.as_of.as_deref(), look).await.map(web::Json)
}

#[derive(Serialize, ToSchema)]
pub struct Models {
    pub position: u64,
    /// Most requests first.
    pub models: Vec<Model>,
}

#[derive(Serialize, ToSchema)]
pub struct Model {
    /// None: models beyond those that are told apart, and those that only refused requests named.
    pub model: Option<String>,
    pub sums: Sums,
    /// By the id of the endpoint; those that are not there any more are among them.
    pub endpoints: BTreeMap<String, u64>,
}

/// Requests by model.
#[utoipa::path(tag = "dashboard", params(Span), responses((status = 200, body = Models), (status = 410, body = Problem), (status = 422, body = Problem)))]
#[get("/dashboard/model-stats")]
pub async fn models(app: Data, _caller: Caller, query: web::Query<Span>) -> Answered<Models> {
    let count = query.days()?;
    let look = |fold: &Fold| {
        let view = &fold.views.endpoints;
        let ((first, last), names) = (days(fold, moment(&app, &query.as_of(), fold), count), view.models().names());
        let mut models = BTreeMap::<_, (Bucket, BTreeMap<String, u64>)>::new();
        for ((number, endpoint), sum) in view.days().sums(first, last, |_, row| Some((row.model, row.endpoint))) {
            let (all, endpoints) = models.entry(number).or_default();
            all.take_in(&sum);
            endpoints.extend(endpoint.map(|id| (id.to_string(), sum.total())));
        }
        let model = |(number, (sum, endpoints))| Model {
            model: names.get(&number).map(ToString::to_string),
            sums: Sums::of(&sum),
            endpoints,
        };
        let mut models: Vec<_> = models.into_iter().map(model).collect();
        models.sort_by_key(|model| std::cmp::Reverse(model.sums.total));
        Models { position: fold.truth.position().0, models }
    };
    app.look(query.as_of.as_deref(), look).await.map(web::Json)
}
