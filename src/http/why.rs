//! Why something was copied or was not, and how long it took.

use super::accounts::AsOf;
use super::auth::Caller;
use super::groups::account_id;
use super::problem::Problem;
use super::{Answered, Data};
use crate::why::{Question, Story, find, with_names};
use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use tidehelm_events::id::{AccountId, Position, StreamNo};
use tidehelm_events::trade::{OrderId, Ticket};
use tidehelm_events::view::{Fold, Spread, Stages};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub struct Why {
    /// The position that this reflects.
    pub position: u64,
    /// In the order of signals.
    pub stories: Vec<Story>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The master's ticket, or a slave's.
    pub ticket: Option<u64>,
    /// Whose ticket it is, where several brokers have the same number.
    pub account: Option<String>,
    /// An order's id.
    pub order: Option<String>,
}

impl Asked {
    fn question(&self) -> Result<Question, Problem> {
        let account = self.account.as_deref().map(|account| account_id(account, "account")).transpose()?;
        match (self.ticket, &self.order) {
            (Some(ticket), None) => Ok(Question::Ticket { ticket: Ticket(ticket), account }),
            (None, Some(_)) if account.is_some() => Err(Problem::invalid("account", "only a ticket is an account's")),
            (None, Some(order)) => match order.parse() {
                Ok(order) => Ok(Question::Order(OrderId(order))),
                Err(_) => Err(Problem::invalid("order", "the id of an order: a uuid")),
            },
            (Some(_), Some(_)) => Err(Problem::invalid("order", "ask by `ticket` or by `order`, not by both")),
            (None, None) => Err(Problem::invalid("ticket", "say what is meant: `ticket` or `order`")),
        }
    }
}

/// What was decided about a ticket or an order, and why.
#[utoipa::path(tag = "why", params(Asked), responses((status = 200, body = Why), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[get("/why")]
pub async fn about(app: Data, _caller: Caller, query: web::Query<Asked>) -> Answered<Why> {
    answer(&app, query.question()?).await
}

/// What each link made of a signal, and why. The position of a decision leads to its signal.
#[utoipa::path(tag = "why", params(("signal" = u64, Path)), responses((status = 200, body = Why), (status = 404, body = Problem)))]
#[get("/why/{signal}")]
pub async fn of_signal(app: Data, _caller: Caller, path: web::Path<u64>) -> Answered<Why> {
    answer(&app, Question::Position(Position(path.into_inner()))).await
}

async fn answer(app: &Data, question: Question) -> Answered<Why> {
    let (position, mut found) = app.host.durable.read(|fold| (fold.truth.position(), find(fold, &question)));
    if let Question::Position(signal) = question
        && found.is_empty()
        && (1..=position.0).contains(&signal.0)
    {
        let trails = app.history.search(signal).await?;
        found = app.host.durable.read(|fold| with_names(fold, trails));
    }
    if found.is_empty() {
        return Err(Problem::new(404, "why_unknown", nothing(&question)));
    }
    let stories = app.history.tell(found).await?;
    Ok(web::Json(Why { position: position.0, stories }))
}

/// Where nothing is found: what to try.
pub fn nothing(question: &Question) -> String {
    match question {
        Question::Position(position) => {
            format!("no signal stands at position {position}, or nobody followed its master then")
        }
        Question::Ticket { ticket, account: None } => format!(
            "nothing was decided lately about ticket {ticket}; older decisions are found by the position of their signal"
        ),
        Question::Ticket { ticket, account: Some(account) } => format!(
            "nothing was decided lately about ticket {ticket} of {account}; older decisions are found by the position of their signal"
        ),
        Question::Order(order) => {
            format!("no order {order} was given lately; older ones are found by the position of their signal")
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Latencies {
    pub position: u64,
    pub links: Vec<LinkLatency>,
}

#[derive(Serialize, ToSchema)]
pub struct LinkLatency {
    pub master: String,
    pub slave: String,
    #[serde(flatten)]
    pub latency: LatencyView,
}

/// How long orders of a link take, since the link is. Percentiles are right to within an eighth.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LatencyView {
    pub stages: Vec<StageView>,
    /// Times that would be below zero, because the clocks of the desk and of the slave's terminal differ; they are in no stage.
    pub clocks_apart: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StageView {
    /// `received_to_decided`, `decided_to_durable`, `durable_to_sent`, `sent_to_filled` or `received_to_filled`.
    pub stage: &'static str,
    pub count: u64,
    /// Microseconds; none where nothing was measured.
    pub p50: Option<u64>,
    pub p99: Option<u64>,
    pub max: Option<u64>,
}

impl LatencyView {
    fn of(stages: &Stages) -> Self {
        let view = |(stage, spread): (&'static str, &Spread)| StageView {
            stage,
            count: spread.count,
            p50: spread.quantile(500),
            p99: spread.quantile(990),
            max: (spread.count > 0).then_some(spread.max),
        };
        LatencyView { stages: stages.named().map(view).into(), clocks_apart: stages.clocks_apart }
    }

    /// None where nothing was measured yet.
    pub fn of_link(fold: &Fold, slave: StreamNo, master: &AccountId) -> Option<Self> {
        fold.views.latency.of(slave, master).map(LatencyView::of)
    }
}

/// How long copied orders take from station to station, for each link.
#[utoipa::path(tag = "why", params(AsOf), responses((status = 200, body = Latencies), (status = 410, body = Problem)))]
#[get("/latency")]
pub async fn latency(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<Latencies> {
    let found = app.look(query.as_of.as_deref(), |fold| {
        let link = |(slave, master, stages): (StreamNo, &AccountId, &Stages)| {
            let slave = fold.truth.names().get(slave)?.key().to_string();
            Some(LinkLatency { master: master.to_string(), slave, latency: LatencyView::of(stages) })
        };
        let mut links: Vec<LinkLatency> = fold.views.latency.links().filter_map(link).collect();
        links.sort_by(|a, b| (&a.master, &a.slave).cmp(&(&b.master, &b.slave)));
        Latencies { position: fold.truth.position().0, links }
    });
    Ok(web::Json(found.await?))
}
