//! What operators and their tools ask: is it alive, is it ready, how much does it do, how is it configured.

use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, Data};
use crate::store::Sizes;
use crate::telemetry::{
    Line, StatusMetrics, alert_lines, desk_lines, endpoint_lines, evaluation_lines, proxy_lines, terminal_lines,
};
use actix_web::{HttpResponse, get, web};
use std::sync::atomic::Ordering;
use tidehelm_actors::desk::Health;
use tidehelm_actors::port::Clock;
use tidehelm_events::desk::Access;
use tidehelm_events::time::Span;

/// The process answers.
#[utoipa::path(tag = "operation", responses((status = 200, body = String)))]
#[get("/livez")]
pub async fn livez() -> &'static str {
    "alive\n"
}

/// The log can be written and the page shows what is in it.
#[utoipa::path(tag = "operation", responses((status = 200, body = String), (status = 503, body = String)))]
#[get("/readyz")]
pub async fn readyz(app: Data) -> HttpResponse {
    match app.host.gauges.health() {
        Health::Serving => HttpResponse::Ok().body(format!("ready\n{}", shut(&app))),
        Health::Starting => HttpResponse::ServiceUnavailable().body("starting\n"),
        Health::Recovering(why) => {
            HttpResponse::ServiceUnavailable().body(format!("the log cannot be written: {why}\n"))
        }
        Health::Stopping => HttpResponse::ServiceUnavailable().body("stopping\n"),
    }
}

/// Terminals whose keys cannot be opened are turned away, and endpoints whose secrets cannot be are not asked; the others are
/// served, so that the desk is ready all the same.
fn shut(app: &Data) -> String {
    let line = |what: &str, (all, shut): (usize, usize), troubles: Vec<&str>| match shut {
        0 => String::new(),
        _ => {
            let why = troubles.join(", ");
            format!("{shut} of {all} {what} cannot be opened ({why}): see `tidehelm secrets status`\n")
        }
    };
    let terminals = line("keys of terminals", app.keys.terminals.count(), app.keys.terminals.troubles());
    terminals + &line("secrets of endpoints", app.secrets.count(), app.secrets.troubles())
}

/// Metrics in the format of Prometheus. They name no account.
#[utoipa::path(tag = "operation", responses((status = 200, body = String)))]
#[get("/metrics")]
pub async fn metrics(app: Data) -> Result<HttpResponse, Problem> {
    let mut lines = desk_lines(&app.host.gauges);
    let head = app.host.durable.head();
    let shown = app.host.durable.read(|fold| fold.truth.position());
    let lag = app.host.gauges.durable.load(Ordering::Relaxed).saturating_sub(shown.0);
    lines.push(Line::gauge("tidehelm_position", "Position of the last durable event", head.position.0 as f64));
    lines.push(Line::gauge(
        "tidehelm_projection_lag_events",
        "Durable events that the read models do not show yet",
        lag as f64,
    ));
    lines.push(Line::gauge(
        "tidehelm_clock_ahead_seconds",
        "Desk time less the machine's clock",
        app.clock.ahead().0 as f64 / 1e6,
    ));
    let stopped = app.host.durable.read(|fold| fold.truth.desk().and_then(|desk| desk.stopped.as_ref()?.degree.into()));
    let stopped = stopped.max(app.emergency.degree()).map_or(0.0, |degree| degree as u8 as f64 + 1.0);
    let what = "How far STOP goes: 0 not at all, 1 pause, 2 cancel, 3 flatten";
    lines.push(Line::gauge("tidehelm_stop_degree", what, stopped));
    let beside = app.emergency.all().len() as f64;
    lines.push(Line::gauge("tidehelm_stops_beside_the_log", "STOPs that the log does not have yet", beside));
    lines.push(Line::gauge("tidehelm_epoch", "Generation of the log's writer", head.epoch.0 as f64));
    let age = app.clock.now().since(head.committed_at).0.max(0) as f64 / 1e6;
    lines.push(Line::gauge("tidehelm_last_commit_age_seconds", "Time since the last commit", age));
    let (all, shut) = app.keys.terminals.count();
    lines.push(Line::gauge("tidehelm_terminal_keys", "Keys of terminals that are good", all as f64));
    lines.push(Line::gauge("tidehelm_terminal_keys_shut", "Of them, those that cannot be opened", shut as f64));
    lines.extend(app.host.durable.read(alert_lines));
    lines.extend(evaluation_lines(&status_metrics(&app)));
    let (_, shut) = app.secrets.count();
    let what = "Secrets of endpoints that cannot be opened: these endpoints are not asked";
    lines.push(Line::gauge("tidehelm_endpoint_secrets_shut", what, shut as f64));
    lines.extend(terminal_lines(&app.terminals.counters, app.traffic.get().map(AsRef::as_ref)));
    lines.extend(app.host.durable.read(|fold| endpoint_lines(fold, |id| app.in_flight(id))));
    lines.extend(proxy_lines(&app.proxy.gauges()));
    if let Some(sizes) = sizes(&app).await {
        lines.extend(size_lines(&sizes));
    }
    let text = app.metrics.text(&lines).map_err(|error| Problem::new(500, "metrics", error.to_string()))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
}

/// How often statuses were worked out since the server began, what for, and how often that was not possible.
#[utoipa::path(tag = "operation", responses((status = 200, body = StatusMetrics)))]
#[get("/runtime-status-metrics")]
pub async fn evaluations(app: Data, _caller: Caller) -> Answered<StatusMetrics> {
    Ok(web::Json(status_metrics(&app)))
}

fn status_metrics(app: &Data) -> StatusMetrics {
    StatusMetrics::of(&app.host.gauges.tally().evaluations, &app.terminals.counters)
}

/// The configuration in force, with the origin of every value. Secrets are masked.
#[utoipa::path(tag = "operation", responses((status = 200, body = serde_json::Value), (status = 403, body = Problem)))]
#[get("/config")]
pub async fn config(app: Data, caller: Caller) -> Answered<serde_json::Value> {
    caller.need(&app, Access::Admin, "see the configuration").await?;
    Ok(web::Json(app.settings_shown.clone()))
}

/// The store's sizes, looked at no more than every ten seconds.
async fn sizes(app: &Data) -> Option<Sizes> {
    let mut known = app.sizes.lock().await;
    let now = app.clock.now();
    if known.is_none_or(|(at, _)| now.since(at) >= Span::seconds(10)) {
        match app.store.sizes().await {
            Ok(sizes) => *known = Some((now, sizes)),
            Err(error) => tracing::warn!(%error, "the store's size cannot be read"),
        }
    }
    known.map(|(_, sizes)| sizes)
}

fn size_lines(sizes: &Sizes) -> Vec<Line> {
    vec![
        Line::gauge("tidehelm_store_bytes", "Everything that the store keeps", sizes.total as f64),
        Line::gauge("tidehelm_store_free_bytes", "Of it, room that is free for what comes", sizes.free as f64),
        Line::gauge("tidehelm_store_wal_bytes", "The write-ahead log beside the file", sizes.wal as f64),
    ]
}
