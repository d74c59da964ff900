//! The OpenAPI document of everything under `/api`.

use super::{
    accounts, alerts, auth, connections, copying, dashboard, desk, ea, endpoints, events, frames, groups, live, log,
    ops, people, proxy, proxy_keys, secrets, stop, why,
};
use actix_web::{HttpResponse, get};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidehelm",
        description = "A self-hosted, event-sourced control plane for automated trading. Times are microseconds since 1970, \
                       decimals are strings, errors are RFC 9457 problems with a stable `code`. Commands take an \
                       `Idempotency-Key`: a repeat gets the recorded answer.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        document,
        ops::livez,
        ops::readyz,
        ops::metrics,
        live::connect,
        ops::config,
        auth::login,
        auth::logout,
        auth::welcome,
        desk::status,
        desk::lock,
        stop::stop_state,
        stop::stop_desk,
        stop::resume_desk,
        desk::settings,
        desk::change_settings,
        desk::activity,
        desk::hash,
        desk::state,
        accounts::list,
        accounts::one,
        accounts::changes,
        accounts::register,
        accounts::unregister,
        accounts::toggle,
        accounts::link,
        accounts::unlink,
        accounts::heartbeats,
        groups::list,
        groups::create,
        groups::one,
        groups::change,
        groups::remove,
        groups::toggle,
        groups::members,
        groups::add_member,
        groups::one_member,
        groups::set_member,
        groups::remove_member,
        groups::toggle_member,
        endpoints::list,
        endpoints::create,
        endpoints::one,
        endpoints::set,
        endpoints::remove,
        endpoints::act::try_out,
        endpoints::act::test,
        endpoints::act::sync,
        endpoints::act::reset,
        endpoints::figures::listed,
        endpoints::figures::today_stats,
        endpoints::figures::daily_stats,
        endpoints::figures::model_stats,
        endpoints::figures::model_tps,
        endpoints::figures::health_checks,
        proxy::current_settings,
        proxy::change_settings,
        connections::list,
        connections::one,
        connections::own_settings,
        connections::change_settings,
        connections::rearm,
        copying::defaults,
        copying::change_defaults,
        copying::rules,
        dashboard::overview,
        dashboard::endpoints,
        dashboard::stats,
        dashboard::request_history,
        dashboard::tokens::total,
        dashboard::tokens::daily,
        dashboard::tokens::monthly,
        dashboard::tokens::models,
        dashboard::clients::ranking,
        dashboard::clients::timeline,
        dashboard::clients::models,
        dashboard::clients::heat_map,
        dashboard::clients::detail,
        dashboard::requests::list,
        dashboard::requests::export,
        why::about,
        why::of_signal,
        why::latency,
        ops::evaluations,
        frames::session,
        frames::uplink,
        events::list,
        events::one,
        events::log,
        log::end,
        log::fold,
        log::snapshot,
        people::users,
        people::invite,
        people::remove,
        people::change_role,
        people::change_password,
        people::sessions,
        people::end_session,
        proxy_keys::list,
        proxy_keys::issue,
        proxy_keys::revoke,
        people::tokens,
        people::create_token,
        people::revoke_token,
        ea::open_pairing,
        ea::cancel_pairing,
        ea::pair,
        ea::keys,
        ea::revoke_key,
        alerts::list,
        alerts::one,
        alerts::acknowledge,
        alerts::list_rules,
        alerts::one_rule,
        alerts::set_rule,
        alerts::remove_rule,
        alerts::list_mutes,
        alerts::add_mute,
        alerts::remove_mute,
        alerts::list_channels,
        alerts::one_channel,
        alerts::set_channel,
        alerts::remove_channel,
        alerts::test_channel,
        alerts::list_deliveries,
        alerts::list_dead,
        alerts::replay_all,
        alerts::replay,
        secrets::status,
        secrets::rotate
    )
)]
struct Document;

/// The document as it is committed in `docs/openapi.json`.
pub fn json() -> String {
    let mut whole = Document::openapi();
    let under_api = |path: &str| !matches!(path, "/livez" | "/readyz" | "/metrics" | "/ws");
    let paths = std::mem::take(&mut whole.paths.paths);
    whole.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (if under_api(&path) { format!("/api{path}") } else { path }, item))
        .collect();
    whole.to_pretty_json().map_or_else(|error| unreachable!("a document that is no JSON: {error}"), |json| json + "\n")
}

/// This document.
#[utoipa::path(tag = "operation", responses((status = 200, body = serde_json::Value)))]
#[get("/openapi.json")]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(json())
}
