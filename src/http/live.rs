//! `/ws`: what changes, pushed. `docs/live.md` says how to speak it.
//!
//! The hub follows the log and makes each message once, into the feed. A session is an actor that holds a number: how far its
//! client was told. It takes from the feed what its client's credit allows; nothing waits in memory for a slow one.

mod credit;
mod feed;
mod flow;
mod frame;
mod hub;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod view;

pub use hub::{Live, keep};
pub use socket::prepare;

use super::Data;
use super::auth::{self, Caller};
use super::problem::Problem;
use actix_web::{HttpRequest, HttpResponse, get, web};
use actix_web_actors::ws::{HandshakeError, WsResponseBuilder, handshake};
use feed::Why;
use flow::Flow;
use serde::Deserialize;
use session::Session;
use tidehelm_events::id::Position;
use tidehelm_events::view::live::{Topic, Topics};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

/// The subprotocol that is spoken here.
pub const PROTOCOL: &str = "tidehelm.1";
/// What a client says is short.
const HEARD_BYTES_MAX: usize = 4 << 10;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Go on after this position. Without it, or where that is too far back, a snapshot comes first.
    pub since: Option<u64>,
    /// Topics, `desk,accounts,groups,endpoints,events,alerts`; all without it.
    pub subscribe: Option<String>,
}

/// A WebSocket: the state and every change of it, as `docs/live.md` describes. Known by cookie, by `Authorization`, or by a
/// subprotocol `token.thk_…` beside `tidehelm.1`.
#[utoipa::path(tag = "live", params(Wanted), responses((status = 101), (status = 401, body = Problem), (status = 403, body = Problem), (status = 426, body = Problem), (status = 503, body = Problem)))]
#[get("/ws")]
pub async fn connect(
    app: Data,
    request: HttpRequest,
    query: web::Query<Wanted>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    if let Some(problem) = auth::origin_foreign(&request, &app.config) {
        return Err(problem);
    }
    let caller = Caller::of_websocket(&request, &app)?;
    let topics = match &query.subscribe {
        Some(names) => topics_of(names.split(',')).map_err(|unknown| Problem::invalid("subscribe", unknown))?,
        None => Topics::all(),
    };
    handshake(&request).map_err(|error| not_a_websocket(&error))?;
    let place = Place::take(&app)?;
    let backlog = match query.since {
        Some(since) => hub::resume(&app, Position(since), topics).await,
        None => app.live.snapshot(&app.host.durable, topics, Why::Connected),
    };
    let flow = Flow::new(app.config.http.ws_window.get(), topics, backlog);
    let session = Session::new(app, caller, flow, place);
    let response =
        WsResponseBuilder::new(session, &request, payload).protocols(&[PROTOCOL]).frame_size(HEARD_BYTES_MAX);
    response.start().map_err(|error| Problem::new(400, "bad_request", error.to_string()))
}

fn not_a_websocket(error: &HandshakeError) -> Problem {
    Problem::new(426, "upgrade_needed", format!("this speaks WebSocket, version 13: {error}"))
}

fn topics_of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Topics, String> {
    let one = |name: &str| {
        let known = Topic::ALL.iter().copied().find(|topic| topic.as_str() == name);
        known.ok_or_else(|| {
            let all: Vec<_> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
            format!("there is no topic `{}`; there are {}", name.chars().take(80).collect::<String>(), all.join(", "))
        })
    };
    names.map(one).collect()
}

/// A place among the sessions: counted while it is held.
struct Place {
    app: Data,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(app: &Data) -> Result<Self, Problem> {
        let permit = app.live_places.clone().try_acquire_owned().map_err(|_| {
            let limit = app.config.http.ws_clients_max;
            let why = format!("{limit} sessions are open, as many as there may be; see http.ws_clients_max");
            Problem::new(503, "too_many_sessions", why)
        })?;
        app.live.change(|feed| feed.enter());
        app.metrics.live.sessions.inc();
        Ok(Place { app: app.clone(), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.live.change(|feed| feed.leave());
        self.app.metrics.live.sessions.dec();
    }
}
