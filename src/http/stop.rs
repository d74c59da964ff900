//! STOP in degrees, and the way back. STOP works while the log cannot be written, too; the way back does not.

use super::accounts::AsOf;
use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, App, Data, SHOWN_WITHIN, Wish, body, command_id};
use crate::emergency::{Press, Recorded};
use actix_web::{HttpRequest, get, post, web};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidehelm_actors::journal::{Fault, Reply};
use tidehelm_actors::node::Order;
use tidehelm_events::answer::Answer;
use tidehelm_events::copy::StopDegree;
use tidehelm_events::desk::{Access, Command};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CommandId, Position, Principal};
use tidehelm_events::react::stop_orders;
use tidehelm_events::reason::Reason;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::OrderReason;
use tidehelm_events::view::Fold;
use tidehelm_events::{account, desk};
use utoipa::ToSchema;
use uuid::Uuid;

/// STOP waits no longer than this for the log, and then for the emergency log.
const LOG_WITHIN: Duration = Duration::from_secs(1);
const FILE_WITHIN: Duration = Duration::from_secs(2);
/// What was pressed beside the log is told to it so often.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// Names a STOP by who pressed it and the command's id, so that a repeat is the same one.
const STOPS: Uuid = Uuid::from_u128(0x8c1f_52a0_7d33_4e6b_9b0e_41d7_aa62_0f19);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopWish {
    /// `pause`: nothing is opened. `cancel`: pending orders are cancelled, too. `flatten`: and everything copied is closed.
    #[schema(value_type = String)]
    degree: StopDegree,
    #[schema(value_type = String)]
    reason: Reason,
}

#[derive(Serialize, ToSchema)]
pub struct StopAnswer {
    /// `log`; `emergency_log` while the log cannot be written; `nowhere` if not even that could be: then nothing is opened and
    /// pending orders are cancelled, but a restart forgets it. Once the log is back, it takes the STOP in by itself.
    pub recorded: Recorded,
    /// As far as it was asked for.
    #[schema(value_type = String)]
    pub degree: StopDegree,
    /// As far as it has gone by now: less where it is recorded nowhere.
    #[schema(value_type = String)]
    pub acted: StopDegree,
    /// How many orders went out to terminals because of it; none where that is long ago.
    pub orders: Option<u64>,
    /// The last durable position.
    pub position: u64,
}

#[derive(Serialize, ToSchema)]
pub struct StopState {
    pub stopped: bool,
    #[schema(value_type = Option<String>)]
    pub degree: Option<StopDegree>,
    pub reason: Option<String>,
    /// Microseconds since 1970.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Timestamp>,
    pub recorded: Option<Recorded>,
    /// Orders of STOP in the log that have no result yet.
    pub orders_open: u64,
    pub position: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeWish {
    #[schema(value_type = String)]
    reason: Reason,
}

/// Whether the desk is stopped, how far, why and since when.
#[utoipa::path(tag = "desk", params(AsOf), responses((status = 200, body = StopState)))]
#[get("/stop")]
pub async fn stop_state(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<StopState> {
    let state = app.look(query.as_of.as_deref(), state_of).await?;
    Ok(web::Json(if query.as_of.is_none() { with_emergency(&app, state) } else { state }))
}

/// Stops the desk as far as the degree says. Works while the log cannot be written, by the emergency log.
#[utoipa::path(tag = "desk", request_body = StopWish, responses((status = 200, body = StopAnswer), (status = 409, body = Problem), (status = 422, body = Problem)))]
#[post("/stop")]
pub async fn stop_desk(app: Data, request: HttpRequest, caller: Caller, bytes: web::Bytes) -> Answered<StopAnswer> {
    caller.need(&app, Access::Operator, "stop the desk").await?;
    let StopWish { degree, reason } = body(&bytes)?;
    let id = command_id(&request)?;
    let stop = name(&caller.principal, id);
    let wish = Wish::desk(Command::Stop { degree, reason: reason.clone(), stop }, &bytes).with_its_own_version();
    let order = app.order(id, &request, &caller, wish)?;
    let held = app.terminals.hold_entries();
    let asked = tokio::time::timeout(LOG_WITHIN, app.host.ask(order.clone())).await;
    match asked.unwrap_or(Err(Fault::Unavailable)) {
        Ok(reply) => {
            drop(held);
            in_the_log(&app, &request, degree, reply).await.map(web::Json)
        }
        Err(fault) => {
            tracing::warn!(%fault, degree = degree.as_str(), "STOP goes beside the log");
            beside_the_log(&app, press(&app, order, degree, reason, stop)?).await.map(web::Json)
        }
    }
}

/// Takes STOP back. What was closed stays closed; what is opened from now on is copied again.
#[utoipa::path(tag = "desk", request_body = ResumeWish, responses((status = 200, body = StopState), (status = 409, body = Problem), (status = 503, body = Problem)))]
#[post("/resume")]
pub async fn resume_desk(app: Data, request: HttpRequest, caller: Caller, bytes: web::Bytes) -> Answered<StopState> {
    caller.need(&app, Access::Operator, "resume").await?;
    let ResumeWish { reason } = body(&bytes)?;
    if app.emergency.oldest().is_some() {
        let detail = "the log does not have the STOP yet, since it cannot be written; resume once it can";
        return Err(Problem::new(503, "stop_unrecorded", detail));
    }
    app.command(&request, &caller, Wish::desk(Command::Resume { reason }, &bytes).with_its_own_version()).await?;
    Ok(web::Json(with_emergency(&app, app.host.durable.read(state_of))))
}

/// Tells the log what was pressed beside it, until it has everything.
pub async fn keep(app: Data) {
    loop {
        let Some(press) = app.emergency.oldest() else {
            app.emergency.news().await;
            continue;
        };
        match app.host.ask(press.order()).await {
            Ok(reply) => taken(&app, press, &reply),
            Err(_) => tokio::time::sleep(TELL_EVERY).await,
        }
    }
}

/// The log has answered, and what follows from it is on its way to the terminals already.
fn taken(app: &Data, press: Press, reply: &Reply) {
    let recorded = matches!(reply.answer, Answer::Done { .. });
    tracing::warn!(degree = press.degree.as_str(), recorded, "the log has the STOP that was pressed beside it");
    app.emergency.taken(press.stop);
    app.terminals.emergency_over();
    let app = app.clone().into_inner();
    drop(tokio::task::spawn_blocking(move || {
        if let Err(error) = app.emergency.note_taken(press.stop) {
            tracing::warn!(%error, cause = ?std::error::Error::source(&error), "the emergency log keeps a STOP that the log has; that does no harm");
        }
    }));
}

async fn in_the_log(
    app: &Data,
    request: &HttpRequest,
    degree: StopDegree,
    reply: Reply,
) -> Result<StopAnswer, Problem> {
    let reply = app.shown(request, reply).await?;
    let orders = match reply.answer {
        Answer::Done { first, changed: true, .. } => orders_of(app, first).await,
        Answer::Done { .. } | Answer::Refused(_) => Some(0),
    };
    let position = app.host.durable.head().position.0;
    Ok(StopAnswer { recorded: Recorded::Log, degree, acted: degree, orders, position })
}

/// How many orders the reactions to a STOP gave, once all of them are there; none if they are not in memory any more.
async fn orders_of(app: &App, stop: Position) -> Option<u64> {
    let mut head = app.host.durable.subscribe();
    let drained = async {
        let worked_off = |_: &_| {
            let batches = app.host.durable.recent(Position(stop.0 - 1));
            batches.is_none_or(|batches| batches.last().is_some_and(|batch| batch.drained))
        };
        head.wait_for(worked_off).await.is_ok()
    };
    let _ = tokio::time::timeout(SHOWN_WITHIN, drained).await;
    let batches = app.host.durable.recent(Position(stop.0 - 1))?;
    let records = batches.iter().flat_map(|batch| &batch.records).filter(|record| record.correlation == stop);
    let orders = records.map(|record| match &record.event {
        Event::Account(account::Event::StopTaken(taken)) => u64::from(taken.orders),
        _ => 0,
    });
    Some(orders.sum())
}

/// Blocks at once, writes it down, and then acts: in this order, and as far as it could be written down.
async fn beside_the_log(app: &Data, press: Press) -> Result<StopAnswer, Problem> {
    let press = app.emergency.begin(press).map_err(|degree| {
        let refusal = desk::Refusal::StoppedAlready(degree);
        Problem::from(refusal.denial())
    })?;
    let written = write(app, &press).await;
    let acted = if written { press.degree } else { press.degree.min(StopDegree::Cancel) };
    // What is durable and not shown yet counts, too.
    let durable = Position(app.host.gauges.durable.load(Ordering::Relaxed));
    app.host.durable.shows(durable, LOG_WITHIN).await;
    let before = app.emergency.before(press.stop);
    let pressed = tidehelm_events::react::Pressed { degree: acted, stop: press.stop };
    let orders = app.host.durable.read(|fold| stop_orders(&fold.truth, &before, pressed, press.at));
    let count = orders.iter().map(|(_, orders)| orders.len() as u64).sum();
    app.terminals.emergency(orders);
    app.emergency.acted(press.stop, acted);
    let recorded = if written { Recorded::EmergencyLog } else { Recorded::Nowhere };
    tracing::warn!(?recorded, acted = acted.as_str(), orders = count, "STOP went beside the log");
    let position = app.host.durable.head().position.0;
    Ok(StopAnswer { recorded, degree: press.degree, acted, orders: Some(count), position })
}

/// True once it is on the disk.
async fn write(app: &Data, press: &Press) -> bool {
    let (app, press) = (app.clone().into_inner(), press.clone());
    let writing = tokio::task::spawn_blocking(move || app.emergency.write(&press));
    match tokio::time::timeout(FILE_WITHIN, writing).await {
        Ok(Ok(Ok(()))) => true,
        Ok(Ok(Err(error))) => {
            tracing::error!(%error, cause = ?std::error::Error::source(&error), "STOP could not be written anywhere; pending orders are cancelled and nothing is opened");
            false
        }
        Ok(Err(_)) | Err(_) => {
            tracing::error!("the emergency log does not answer; pending orders are cancelled and nothing is opened");
            false
        }
    }
}

fn press(app: &App, order: Order, degree: StopDegree, reason: Reason, stop: Uuid) -> Result<Press, Problem> {
    let desk = app.host.durable.read(|fold| fold.truth.desk_id());
    let desk = desk.ok_or_else(|| Problem::new(503, "starting", "the log has no desk yet; try again in a moment"))?;
    let command = order.id.unwrap_or(CommandId(stop));
    Ok(Press { desk, degree, reason, stop, by: order.by, command, body: order.body, at: order.received_at })
}

fn name(by: &Principal, id: CommandId) -> Uuid {
    Uuid::new_v5(&STOPS, format!("{by}/{id}").as_bytes())
}

pub(super) fn state_of(fold: &Fold) -> StopState {
    let stopped = fold.truth.desk().and_then(|desk| desk.stopped.as_ref());
    let outboxes = fold.truth.accounts().filter_map(|(_, account)| account.slave_book.as_deref());
    let open = outboxes.flat_map(|book| book.outbox.values()).filter(|order| order.reason == OrderReason::Stop);
    StopState {
        stopped: stopped.is_some(),
        degree: stopped.map(|stop| stop.degree),
        reason: stopped.map(|stop| stop.reason.to_string()),
        since: stopped.map(|stop| stop.since),
        recorded: stopped.map(|_| Recorded::Log),
        orders_open: open.count() as u64,
        position: fold.truth.position().0,
    }
}

/// The state with what was pressed beside the log, where that goes further.
pub(super) fn with_emergency(app: &App, state: StopState) -> StopState {
    let furthest = app.emergency.all().into_iter().max_by_key(|pending| pending.press.degree);
    let Some(pending) = furthest.filter(|pending| Some(pending.press.degree) > state.degree) else { return state };
    StopState {
        stopped: true,
        degree: Some(pending.press.degree),
        reason: Some(pending.press.reason.to_string()),
        since: Some(pending.press.at),
        recorded: Some(if pending.written { Recorded::EmergencyLog } else { Recorded::Nowhere }),
        ..state
    }
}
