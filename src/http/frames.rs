//! The frames of terminals over HTTP, for those without sockets: the same bytes as over NNG, one request each.

use super::Data;
use super::problem::Problem;
use crate::terminals::Peer;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};
use std::sync::atomic::{AtomicU64, Ordering};
use tidehelm_terminal::wire;
use tokio::sync::oneshot;

/// Each request is a connection of its own; these numbers are far from those of sockets.
static REQUESTS: AtomicU64 = AtomicU64::new(1 << 48);

/// One frame for `session`; the answer is its answer. A poll waits as long as it says, at most 25 seconds.
#[utoipa::path(tag = "terminals", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, description = "the frame that answers"), (status = 413, body = Problem), (status = 503, body = Problem)))]
#[post("/ea/v1/session")]
pub async fn session(app: Data, request: HttpRequest, bytes: web::Bytes) -> Result<HttpResponse, Problem> {
    check(&bytes)?;
    let peer = peer(&app, &request);
    let (sender, answer) = oneshot::channel();
    app.terminals.session(&peer, &bytes, Box::new(move |bytes| drop(sender.send(bytes))));
    let gone = Gone { app: &app, pipe: peer.pipe };
    let answer = answer.await;
    drop(gone);
    match answer {
        Ok(bytes) => {
            let kind = if bytes.first() == Some(&b'{') { "application/json" } else { "application/octet-stream" };
            Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, kind)).body(bytes))
        }
        Err(_) => Err(Problem::new(503, "unavailable", "the desk has no room for this now; send the same frame again")),
    }
}

/// Frames for `uplink`: one, or a batch. Nothing is answered; what cannot be believed is counted.
#[utoipa::path(tag = "terminals", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 204, description = "taken in"), (status = 413, body = Problem)))]
#[post("/ea/v1/uplink")]
pub async fn uplink(app: Data, request: HttpRequest, bytes: web::Bytes) -> Result<HttpResponse, Problem> {
    check(&bytes)?;
    app.terminals.uplink(&peer(&app, &request), &bytes);
    Ok(HttpResponse::NoContent().finish())
}

/// A client that went away waits no more.
struct Gone<'a> {
    app: &'a Data,
    pipe: u64,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.app.terminals.gone(self.pipe);
    }
}

fn check(bytes: &[u8]) -> Result<(), Problem> {
    let max = wire::MESSAGE_MAX;
    match bytes.len() {
        0 => Err(Problem::invalid("body", "a frame: see docs/ea.md")),
        size if size > max => {
            Err(Problem::new(413, "frame_too_large", format!("{size} bytes; a frame has at most {max}")))
        }
        _ => Ok(()),
    }
}

/// Behind a proxy everybody comes from its address, so nobody counts as local there.
fn peer(app: &Data, request: &HttpRequest) -> Peer {
    let address = request.peer_addr();
    let proxied = app.config.http.behind_tls_proxy;
    let local = !proxied && address.is_some_and(|address| address.ip().is_loopback());
    let private = local || proxied || app.config.http.tls().is_some();
    Peer { pipe: REQUESTS.fetch_add(1, Ordering::Relaxed), address, local, private }
}
