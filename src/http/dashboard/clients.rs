//! Who asks: the clients that asked last one by one, all others in one sum.

use super::number;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Answered, Data};
use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidehelm_actors::port::Clock;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::Client;
use utoipa::{IntoParams, ToSchema};

const HOUR: i64 = 3_600_000_000;
const HOURS: i64 = 24;

#[derive(Serialize, ToSchema)]
pub struct Clients {
    pub position: u64,
    /// Clients that are told apart: at most 1000, those that asked last.
    pub known: u64,
    /// Most requests first.
    pub clients: Vec<ClientView>,
    /// Those that gave way to others, and requests that named no client.
    pub others: Counts,
}

#[derive(Serialize, ToSchema)]
pub struct Counts {
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

#[derive(Serialize, ToSchema)]
pub struct ClientView {
    pub client: String,
    pub counts: Counts,
    /// Since it is known, this time; microseconds since 1970.
    #[schema(value_type = i64)]
    pub first_seen: Timestamp,
    #[schema(value_type = i64)]
    pub last_seen: Timestamp,
}

macro_rules! counts {
    ($sum:expr) => {
        Counts {
            total: $sum.total(),
            success: $sum.success,
            failed: $sum.failed,
            input_tokens: $sum.input_tokens,
            output_tokens: $sum.output_tokens,
        }
    };
}

impl ClientView {
    fn of(name: &str, client: &Client) -> Self {
        let (first_seen, last_seen) = (client.first_seen, client.last_seen);
        ClientView { client: name.into(), counts: counts!(client.sum), first_seen, last_seen }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Most {
    /// At most so many, 1 to 1000; 100 without it.
    pub limit: Option<String>,
}

/// Who asks most.
#[utoipa::path(tag = "dashboard", params(Most), responses((status = 200, body = Clients), (status = 422, body = Problem)))]
#[get("/dashboard/clients")]
pub async fn ranking(app: Data, _caller: Caller, query: web::Query<Most>) -> Answered<Clients> {
    let limit = number("limit", query.limit.as_deref(), 100, 1, 1000)? as usize;
    let look = |fold: &Fold| {
        let clients = fold.views.endpoints.clients();
        let ranking = clients.ranking().into_iter().take(limit);
        Clients {
            position: fold.truth.position().0,
            known: clients.len() as u64,
            clients: ranking.map(|(name, client)| ClientView::of(name, client)).collect(),
            others: counts!(clients.others),
        }
    };
    Ok(web::Json(app.host.durable.read(look)))
}

#[derive(Serialize, ToSchema)]
pub struct Timeline {
    pub position: u64,
    /// The last 24 hours in UTC, oldest first, zero-filled.
    pub hours: Vec<Hour>,
}

#[derive(Serialize, ToSchema)]
pub struct Hour {
    /// Its beginning, in microseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub requests: u64,
    /// Clients that asked.
    pub clients: u64,
}

/// Requests of the known clients by the hour, and how many clients there were.
#[utoipa::path(tag = "dashboard", responses((status = 200, body = Timeline)))]
#[get("/dashboard/clients/timeline")]
pub async fn timeline(app: Data, _caller: Caller) -> Answered<Timeline> {
    let now = app.clock.now();
    let look = |fold: &Fold| {
        let mut sums = BTreeMap::<i64, (u64, u64)>::new();
        for (_, client) in fold.views.endpoints.clients().ranking() {
            for (hour, requests) in &client.hours {
                let (all, clients) = sums.entry(*hour).or_default();
                *all += requests;
                *clients += 1;
            }
        }
        Timeline { position: fold.truth.position().0, hours: hours(now, |hour| sums.get(&hour).copied()) }
    };
    Ok(web::Json(app.host.durable.read(look)))
}

fn hours(now: Timestamp, of: impl Fn(i64) -> Option<(u64, u64)>) -> Vec<Hour> {
    let last = now.micros().div_euclid(HOUR);
    let hour = |hour: i64| {
        let (requests, clients) = of(hour).unwrap_or_default();
        Hour { at: Timestamp(hour * HOUR), requests, clients }
    };
    (last - HOURS + 1..=last).map(hour).collect()
}

#[derive(Serialize, ToSchema)]
pub struct ByModel {
    pub position: u64,
    pub models: Vec<ModelCount>,
}

#[derive(Serialize, ToSchema)]
pub struct ModelCount {
    /// None: models that are not told apart.
    pub model: Option<String>,
    pub requests: u64,
    pub clients: u64,
}

/// Which models the known clients ask for.
#[utoipa::path(tag = "dashboard", responses((status = 200, body = ByModel)))]
#[get("/dashboard/clients/models")]
pub async fn models(app: Data, _caller: Caller) -> Answered<ByModel> {
    let look = |fold: &Fold| {
        let view = &fold.views.endpoints;
        let (mut sums, names) = (BTreeMap::<_, (u64, u64)>::new(), view.models().names());
        for (_, client) in view.clients().ranking() {
            for (number, requests) in client.models() {
                let (all, clients) = sums.entry(number).or_default();
                *all += requests;
                *clients += 1;
            }
        }
        let count = |(number, (requests, clients))| ModelCount {
            model: names.get(&number).map(ToString::to_string),
            requests,
            clients,
        };
        let mut models: Vec<_> = sums.into_iter().map(count).collect();
        models.sort_by_key(|model| std::cmp::Reverse(model.requests));
        ByModel { position: fold.truth.position().0, models }
    };
    Ok(web::Json(app.host.durable.read(look)))
}

#[derive(Serialize, ToSchema)]
pub struct HeatMap {
    pub position: u64,
    /// Requests that ever ended, by day of the week, from Monday, and hour of the day, in UTC.
    #[schema(value_type = Vec<Vec<u64>>)]
    pub week: Vec<Vec<u64>>,
}

/// When requests come, by the hour of the week.
#[utoipa::path(tag = "dashboard", responses((status = 200, body = HeatMap)))]
#[get("/dashboard/clients/heatmap")]
pub async fn heat_map(app: Data, _caller: Caller) -> Answered<HeatMap> {
    let look = |fold: &Fold| HeatMap {
        position: fold.truth.position().0,
        week: fold.views.endpoints.hours_of_the_week().chunks(24).map(<[u64]>::to_vec).collect(),
    };
    Ok(web::Json(app.host.durable.read(look)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Its address.
    pub client: String,
}

#[derive(Serialize, ToSchema)]
pub struct Detail {
    pub position: u64,
    pub client: ClientView,
    /// The last 24 hours in UTC, oldest first, zero-filled.
    pub hours: Vec<Hour>,
    /// Most first.
    pub models: Vec<ModelCount>,
}

/// One client. Its single requests: `/api/dashboard/requests?client=…`.
#[utoipa::path(tag = "dashboard", params(Which), responses((status = 200, body = Detail), (status = 404, body = Problem)))]
#[get("/dashboard/clients/detail")]
pub async fn detail(app: Data, _caller: Caller, query: web::Query<Which>) -> Answered<Detail> {
    let now = app.clock.now();
    let look = |fold: &Fold| {
        let (view, name) = (&fold.views.endpoints, query.client.as_str());
        let (client, names) = (view.clients().get(name)?, view.models().names());
        let count = |(number, requests)| ModelCount {
            model: names.get(&number).map(ToString::to_string),
            requests,
            clients: 1,
        };
        Some(Detail {
            position: fold.truth.position().0,
            client: ClientView::of(name, client),
            hours: hours(now, |hour| client.hours.get(&hour).map(|requests| (*requests, 1))),
            models: client.models().into_iter().map(count).collect(),
        })
    };
    let unknown = || {
        let why =
            "this client is not among the last 1000 that asked; its requests may still be in /api/dashboard/requests";
        Problem::new(404, "client_unknown", why)
    };
    app.host.durable.read(look).map(web::Json).ok_or_else(unknown)
}
