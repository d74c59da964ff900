//! From a request to its answer.

use super::asked::{Asked, api_of, path_of};
use super::line::{Body, Fault, Head, Line, is_hop_by_hop, pool};
use super::meter::{self, Meter, Tail};
use super::policy::Policy;
use super::refusal::Refusal;
use super::table::Place;
use super::ticket::{End, Ticket};
use super::{Proxy, Short};
use crate::ambient::stopwatch;
use crate::http::App;
use crate::http::auth;
use crate::keys::Kind;
use actix_web::body::{BodyStream, BoxBody, SizedStream};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidehelm_events::endpoint::{Api, Ending, Failure, Outcome};
use tidehelm_events::id::EndpointId;
use tokio::time::timeout;

/// A request goes to so many endpoints, one after the other, before its client hears that it failed.
const TRIES: usize = 2;
/// The body of a request that comes slower is given up.
const BODY_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection that had ended already breaks within this.
const STALE_WITHIN: Duration = Duration::from_secs(1);
/// What may pass between the end mark of a stream and its end.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Answers in one piece up to this size are passed on when they are there whole: until then another endpoint can take over.
const WHOLE_MAX: usize = 1 << 20;
/// A stream may take so many times what an answer in one piece may.
const STREAM_TIMES: u32 = 10;
/// The rest of an answer that waits for the log, after its end mark.
const REST_MAX: usize = 1 << 20;

/// Answers a request to `/v1/…`.
pub async fn serve(app: &App, request: &HttpRequest, payload: Payload) -> HttpResponse {
    let proxy = app.proxy.clone();
    let client = client_of(&proxy, request);
    let caller = match caller_of(&proxy, app, request) {
        Ok(caller) => caller,
        Err(refusal) => {
            app.metrics.strangers.inc();
            app.strangers.count(&client.to_string(), refusal.code);
            return refusal.response();
        }
    };
    let Some(turn) = proxy.teller.turn() else {
        return Refusal::new(503, "log_behind", "too many requests are not recorded yet; try again in a moment")
            .again_in(1)
            .response();
    };
    let api = api_of(request.path());
    let mut ticket = Ticket::new(proxy.clone(), turn, api.unwrap_or(Api::Other), Some(client.to_string()));
    let name = ticket.name();
    let mut response = match admitted(&proxy, request, api, caller, &mut ticket) {
        Err(refusal) => refused(ticket, &refusal).await,
        Ok(Api::Models) => listed(&proxy, request, ticket).await,
        Ok(api) => match asked(&proxy, request, payload, &ticket).await {
            Err(refusal) => refused(ticket, &refusal).await,
            Ok((asked, hold)) => {
                let response = proxied(&proxy, request, api, asked, ticket).await;
                drop(hold);
                response
            }
        },
    };
    if let Ok(name) = HeaderValue::from_str(&name.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("tidehelm-request"), name);
    }
    response
}

async fn refused(ticket: Ticket, refusal: &Refusal) -> HttpResponse {
    ticket.end_and_wait(End::nothing(Outcome::Refused, None)).await;
    refusal.response()
}

fn client_of(proxy: &Proxy, request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    proxy.trusted.client(peer, forwarded.collect::<Vec<_>>().into_iter())
}

/// The policy of the caller's key, or none where the desk asks for no key. Who is nobody takes no place and is in no list of
/// requests: strangers are counted by peer and minute, as everywhere.
fn caller_of(proxy: &Proxy, app: &App, request: &HttpRequest) -> Result<Option<Arc<Policy>>, Refusal> {
    let key = key_of(request.headers());
    let known = key.and_then(|key| proxy.keys.check(Kind::ApiKey, key));
    let known = known.filter(|key| proxy.table.get().is_good(*key, proxy.clock.now()));
    let policy = known.and_then(|key| proxy.policies.get(key, || proxy.keys.scope(key)));
    match (policy, key) {
        (Some(policy), _) => Ok(Some(policy)),
        (None, Some(_)) => {
            Err(Refusal::new(401, "invalid_api_key", "this key is not known, was revoked, or has run out"))
        }
        (None, None) if proxy.require_key => {
            let why = "send a key of this desk: `Authorization: Bearer thk_…`; `tidehelm key issue` makes one";
            Err(Refusal::new(401, "key_missing", why))
        }
        (None, None) => match auth::foreign(request, &app.config) {
            Some(problem) => Err(Refusal::new(403, "foreign_page", problem.detail)),
            None => Ok(None),
        },
    }
}

/// Refuses in this order: what the key's policy says, no path of ours, another method.
fn admitted(
    proxy: &Proxy,
    request: &HttpRequest,
    api: Option<Api>,
    caller: Option<Arc<Policy>>,
    ticket: &mut Ticket,
) -> Result<Api, Refusal> {
    if let Some(policy) = caller {
        ticket.admit(policy.admit(api.unwrap_or(Api::Other), proxy.clock.now())?);
    }
    let Some(api) = api else {
        let why = "there is /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses and /v1/models";
        return Err(Refusal::new(404, "unknown_path", why));
    };
    let wanted = if api == Api::Models { Method::GET } else { Method::POST };
    if *request.method() != wanted {
        return Err(Refusal::new(405, "method_not_allowed", format!("this path takes {wanted}")));
    }
    Ok(api)
}

fn key_of(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or(""));
    let bearer = bearer.map(|text| match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => "",
    });
    // What other clients send.
    bearer.or_else(|| headers.get("x-api-key").map(|value| value.to_str().unwrap_or("")))
}

/// What can be asked for now.
async fn listed(proxy: &Proxy, _: &HttpRequest, ticket: Ticket) -> HttpResponse {
    let table = proxy.table.get();
    let opens = |name: &str| ticket.admitted.as_ref().is_none_or(|it| it.0.opens(&[name, table.meant(name)]));
    let names = table.models().into_iter().filter(|name| opens(name));
    let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "tidehelm"});
    let body = json!({"object": "list", "data": names.map(model).collect::<Vec<_>>()}).to_string();
    ticket.end_and_wait(End { ending: Ending::Whole, ..End::nothing(Outcome::Success, Some(200)) }).await;
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// Bytes of a body that are held, as long as this is.
struct Hold(Arc<Proxy>, usize);

impl Hold {
    fn more(&mut self, bytes: usize) -> Result<(), Refusal> {
        let max = self.0.settings.bodies_max.as_usize();
        let next = |held: usize| held.checked_add(bytes).filter(|held| *held <= max);
        if self.0.bodies.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_err() {
            let why = "too many large requests are under way; try again in a moment";
            return Err(Refusal::new(503, "bodies_full", why).again_in(1));
        }
        self.1 += bytes;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(self.1, Ordering::AcqRel);
    }
}

async fn asked(
    proxy: &Arc<Proxy>,
    request: &HttpRequest,
    payload: Payload,
    ticket: &Ticket,
) -> Result<(Asked, Hold), Refusal> {
    let mut hold = Hold(proxy.clone(), 0);
    let body = timeout(BODY_WITHIN, body(proxy, request, payload, &mut hold)).await;
    let seconds = BODY_WITHIN.as_secs();
    let slow = || Refusal::new(408, "body_slow", format!("the body did not come within {seconds} seconds"));
    let asked = Asked::read(body.map_err(|_| slow())??)?;
    let table = proxy.table.get();
    let names = [asked.model.as_str(), table.meant(&asked.model)];
    if ticket.admitted.as_ref().is_some_and(|admitted| !admitted.0.opens(&names)) {
        let why = format!("this key does not open the model `{}`", asked.model);
        return Err(Refusal::new(403, "model_not_allowed", why).of("model"));
    }
    Ok((asked, hold))
}

async fn body(proxy: &Proxy, request: &HttpRequest, mut payload: Payload, hold: &mut Hold) -> Result<Bytes, Refusal> {
    let max = proxy.settings.body_limit.as_usize();
    let long = || {
        let why = format!("the body is larger than {}, which is what this desk takes", proxy.settings.body_limit);
        Refusal::new(413, "body_too_large", why)
    };
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > max) {
        return Err(long());
    }
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(Refusal::new(415, "body_encoded", "send the body as it is, without a content-encoding"));
    }
    let mut whole: Option<BytesMut> = None;
    while let Some(piece) = payload.next().await {
        let broken = |_| Refusal::new(400, "body_broken", "the body broke off");
        let piece = piece.map_err(broken)?;
        hold.more(piece.len())?;
        if whole.is_none() && told == Some(piece.len()) {
            return Ok(piece);
        }
        let body = whole.get_or_insert_with(|| BytesMut::with_capacity(told.unwrap_or(0).min(1 << 20)));
        if body.len() + piece.len() > max {
            return Err(long());
        }
        body.extend_from_slice(&piece);
    }
    Ok(whole.unwrap_or_default().freeze())
}

/// Why a try came to nothing that the client has to hear of, if another one does better.
struct Failed {
    outcome: Outcome,
    http_status: Option<u16>,
    failure: Failure,
    why: String,
}

impl Failed {
    fn of(fault: &Fault) -> Self {
        let failure = match fault {
            Fault::Connect(_) => Failure::Connect,
            Fault::Tls(_) => Failure::Tls,
            Fault::Broken(_) => Failure::Broken,
            Fault::NotHttp(_) => Failure::NotUnderstood,
        };
        Failed { outcome: Outcome::UpstreamError, http_status: None, failure, why: fault.to_string() }
    }

    fn refusal(&self) -> Refusal {
        match self.outcome {
            _ if self.http_status == Some(429) => {
                Refusal::new(429, "upstream_busy", "every server with this model is busy; try again in a moment")
                    .again_in(1)
            }
            Outcome::Timeout => Refusal::new(504, "upstream_timeout", format!("the model's server {}", self.why)),
            _ => Refusal::new(502, "upstream_error", format!("the model's server failed: {}", self.why)),
        }
    }
}

/// What is sent to an upstream, whichever it is.
struct Sent<'a> {
    request: &'a HttpRequest,
    api: Api,
    body: Bytes,
    /// What it comes to, by its length.
    tokens: u64,
}

async fn proxied(
    proxy: &Arc<Proxy>,
    request: &HttpRequest,
    api: Api,
    asked: Asked,
    mut ticket: Ticket,
) -> HttpResponse {
    let model = proxy.table.get().meant(&asked.model).to_string();
    ticket.asks_for(&model);
    let sent = Sent { request, api, body: asked.meaning(&model), tokens: meter::of_request(&asked.body) };
    let mut tried: Vec<EndpointId> = Vec::new();
    let mut failed: Option<(Failed, Arc<Place>, bool)> = None;
    while tried.len() < TRIES {
        let known = proxy.table.get().having(&model).is_some();
        let find = |table: &super::Table| {
            let fits = |place: &&Arc<Place>| asked.fits(api, &place.settings) && !tried.contains(&place.seat.id);
            table.having(&model).unwrap_or_default().iter().filter(fits).cloned().collect::<Vec<_>>()
        };
        let serves = |place: &Arc<Place>| place.status.serves() && asked.fits(api, &place.settings);
        let has_spare =
            |table: &super::Table| table.having(&model).unwrap_or_default().iter().filter(|it| serves(it)).count() > 1;
        let chosen = match failed.is_some() {
            // The second try waits for nobody.
            true => proxy.choose(&find(&proxy.table.get()).iter().collect::<Vec<_>>()).map_err(|_| Short::Offline),
            false => proxy.choose_or_wait(find).await,
        };
        let (place, held) = match (chosen, &failed) {
            (Ok(chosen), _) => chosen,
            (Err(_), Some(_)) => break,
            (Err(short), None) => return refused(ticket, &short_of(&model, known, short)).await,
        };
        // Where nobody takes over it is told as the request's own end.
        if let Some((problem, before, ejected)) = failed.take().filter(|it| it.0.http_status != Some(429)) {
            proxy.note_failed_try(&before, problem.failure, &problem.why, ejected);
        }
        tried.push(place.seat.id);
        ticket.goes_to(held);
        let last = tried.len() == TRIES;
        let spare = !last && has_spare(&proxy.table.get());
        let took = timeout(place.timeout(), attempt(&place, &sent, &mut ticket, spare)).await;
        let took = took.unwrap_or_else(|_| {
            let why = format!("did not answer within {} seconds", place.settings.inference_timeout_seconds);
            Err(Failed { outcome: Outcome::Timeout, http_status: None, failure: Failure::Timeout, why })
        });
        match took {
            Ok(answer) => return answer.passed_on(ticket, &sent).await,
            Err(problem) => {
                let ejected = proxy.note(&place, false);
                // It may have begun to work on it: who waited so long hears of it now.
                let over = problem.outcome == Outcome::Timeout;
                failed = Some((problem, place, ejected));
                if over {
                    break;
                }
            }
        }
    }
    let Some((failed, ..)) = failed else { unreachable!("nobody was tried and nobody was missing") };
    ticket.end_and_wait(End::nothing(failed.outcome, failed.http_status)).await;
    failed.refusal().response()
}

fn short_of(model: &str, known: bool, short: Short) -> Refusal {
    match (short, known) {
        (_, false) => {
            let why = format!("no endpoint has a model `{model}`; `GET /v1/models` lists those that there are");
            Refusal::new(404, "model_not_found", why).of("model")
        }
        (Short::Offline, true) => {
            let why = format!("no endpoint that can do this with `{model}` is in service; try again later");
            Refusal::new(503, "no_endpoint", why).again_in(5)
        }
        (Short::QueueFull, true) => {
            let why = format!("every endpoint with `{model}` is busy, and as many wait as may; try again in a moment");
            Refusal::new(429, "queue_full", why).again_in(1)
        }
        (Short::TooLong, true) => {
            let why = format!("every endpoint with `{model}` was busy for too long; try again in a moment");
            Refusal::new(429, "queue_timeout", why).again_in(1)
        }
    }
}

/// An answer that is to be passed on.
struct Answer {
    place: Arc<Place>,
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    rest: Rest,
}

enum Rest {
    Whole(Bytes),
    /// What was read of it, and where the others come from.
    Pieces {
        first: Bytes,
        line: Line,
        body: Body,
        keep: bool,
        events: bool,
    },
}

/// `spare`: there is another endpoint that could have it.
async fn attempt(place: &Arc<Place>, sent: &Sent<'_>, ticket: &mut Ticket, spare: bool) -> Result<Answer, Failed> {
    let head = head_of(place, sent);
    let (mut line, mut answer) = exchange(place, &head, &sent.body).await.map_err(|fault| Failed::of(&fault))?;
    ticket.first_byte();
    let status = answer.status;
    let broken = |why: String| Failed {
        outcome: Outcome::UpstreamError,
        http_status: Some(status),
        failure: Failure::Status(status),
        why,
    };
    match status {
        200..=299 => {}
        // Not the client's key: the desk's own.
        401 | 403 => return Err(broken(format!("it does not take the desk's secret ({status})"))),
        // The other one may have room.
        429 if spare => return Err(broken("it is busy".into())),
        400..=499 => {}
        _ => return Err(broken(format!("it answered {status}"))),
    }
    let of =
        |name: HeaderName| answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes());
    let kind = of(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let plain = of(header::CONTENT_ENCODING).is_none_or(|value| value.eq_ignore_ascii_case(b"identity"));
    let events = plain && kind.starts_with(b"text/event-stream");
    let json = plain && memchr::memmem::find(&kind, b"json").is_some() && (200..=299).contains(&status);
    let is = |fault: Fault| Failed { http_status: Some(status), ..Failed::of(&fault) };
    let mut whole: Option<BytesMut> = None;
    loop {
        let piece = line.next(&mut answer.body).await.map_err(is)?;
        let ended = answer.body == Body::Done;
        let first = match (piece, whole.as_mut()) {
            (None, _) => whole.take().unwrap_or_default().freeze(),
            (Some(piece), None) if ended || events => piece,
            (Some(piece), None) => {
                whole = Some(BytesMut::from(&piece[..]));
                continue;
            }
            (Some(piece), Some(before)) => {
                before.extend_from_slice(&piece);
                if !ended && before.len() <= WHOLE_MAX {
                    continue;
                }
                whole.take().unwrap_or_default().freeze()
            }
        };
        let headers = answer.headers.into_iter().filter(|(name, _)| passes_back(name)).collect();
        let rest = match ended && !events {
            true if json && !meter::is_json(&first) => return Err(broken("its answer is no JSON".into())),
            true => {
                if answer.keep {
                    pool::put(place.seat.id, &place.target, line);
                }
                Rest::Whole(first)
            }
            false => Rest::Pieces { first, line, body: answer.body, keep: answer.keep, events },
        };
        return Ok(Answer { place: place.clone(), status, headers, rest });
    }
}

/// Sends the request and hears the beginning of the answer. A connection that waited may have ended without our knowing: then
/// a new one is made, once. One that breaks later was good, and the upstream may have begun to work.
async fn exchange(place: &Place, head: &[u8], body: &[u8]) -> Result<(Line, Head), Fault> {
    if let Some(mut line) = pool::take(place.seat.id, &place.target) {
        let (began, sent) = (stopwatch(), line.send(head, body).await);
        match line.head().await {
            Ok(answer) => return Ok((line, answer)),
            Err(Fault::Broken(_)) if began.elapsed() < STALE_WITHIN && (sent.is_err() || line.is_untouched()) => {}
            Err(fault) => return Err(fault),
        }
    }
    let mut line = match timeout(CONNECT_WITHIN, Line::open(&place.target)).await {
        Ok(line) => line?,
        Err(_) => return Err(Fault::Connect(std::io::ErrorKind::TimedOut.into())),
    };
    let sent = line.send(head, body).await;
    match (line.head().await, sent) {
        (Ok(answer), _) => Ok((line, answer)),
        (Err(_), Err(why)) => Err(Fault::Broken(why)),
        (Err(fault), Ok(())) => Err(fault),
    }
}

/// The head of the request as the upstream gets it.
fn head_of(place: &Place, sent: &Sent<'_>) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| head.extend_from_slice(piece));
    put(&[b"POST ", place.target.base.as_bytes(), path_of(sent.api).as_bytes()]);
    if let Some(query) = sent.request.uri().query() {
        put(&[b"?", query.as_bytes()]);
    }
    put(&[b" HTTP/1.1\r\nhost: ", place.target.authority.as_bytes(), b"\r\ncontent-length: "]);
    put(&[sent.body.len().to_string().as_bytes(), b"\r\n"]);
    if let Some(secret) = &place.secret {
        put(&[b"authorization: Bearer ", secret.as_bytes(), b"\r\n"]);
    }
    let headers = sent.request.headers();
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for (name, value) in headers.iter().filter(|(name, _)| passes_on(name.as_str())) {
        if !named.iter().any(|known| known == name.as_str()) {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    put(&[b"\r\n"]);
    head
}

/// Of the client's headers: not what counts for its connection only, not what we say ourselves, and nothing that opens
/// something.
fn passes_on(name: &str) -> bool {
    const KEPT: [&str; 13] = [
        "host",
        "content-length",
        "authorization",
        "x-api-key",
        "api-key",
        "cookie",
        "accept-encoding",
        "expect",
        "forwarded",
        "via",
        "origin",
        "referer",
        "x-real-ip",
    ];
    !(KEPT.contains(&name) || is_hop_by_hop(name) || name.starts_with("x-forwarded-") || name.starts_with("tidehelm-"))
}

/// Of the upstream's headers: nothing that a browser would keep for the desk.
fn passes_back(name: &HeaderName) -> bool {
    let kept = [header::SERVER, header::DATE, header::SET_COOKIE, header::STRICT_TRANSPORT_SECURITY, header::ALT_SVC];
    !kept.contains(name) && !name.as_str().starts_with("access-control-") && !name.as_str().starts_with("tidehelm-")
}

impl Answer {
    async fn passed_on(self, ticket: Ticket, sent: &Sent<'_>) -> HttpResponse {
        let Answer { place, status, headers, rest } = self;
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let good = code.is_success();
        let mut response = match rest {
            Rest::Whole(body) => {
                ticket.proxy().note(&place, true);
                let tokens = if good { meter::of_whole(&body, sent.tokens) } else { Default::default() };
                let outcome = if good { Outcome::Success } else { Outcome::UpstreamError };
                ticket.end_and_wait(End { outcome, http_status: Some(status), tokens, ending: Ending::Whole }).await;
                HttpResponse::with_body(code, body).map_into_boxed_body()
            }
            Rest::Pieces { first, line, body, keep, events } => {
                let length = match body {
                    Body::Length(left) if !events => Some(first.len() as u64 + left),
                    _ => None,
                };
                let flow = Flow::new(place, status, ticket, sent.tokens, first, line, body, keep, events);
                let pieces = flow.pieces();
                match length {
                    Some(length) => {
                        HttpResponse::with_body(code, BoxBody::new(SizedStream::new(length, Box::pin(pieces))))
                    }
                    None => HttpResponse::with_body(code, BoxBody::new(BodyStream::new(Box::pin(pieces)))),
                }
            }
        };
        let own = response.headers_mut();
        headers.into_iter().for_each(|(name, value)| own.append(name, value));
        response
    }
}

/// An answer that passes through.
struct Flow {
    place: Arc<Place>,
    status: u16,
    /// None: it was told how it ended.
    ticket: Option<Ticket>,
    asked: u64,
    first: Option<Bytes>,
    line: Option<Line>,
    body: Body,
    keep: bool,
    count: Count,
    /// What waits for the log.
    held: BytesMut,
    deadline: tokio::time::Instant,
    /// When the end mark came.
    ended_at: Option<tokio::time::Instant>,
}

enum Count {
    Events(Meter),
    Tail(Tail),
}

#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off")]
struct Cut;

impl Flow {
    #[allow(clippy::too_many_arguments, reason = "it is put together in one place")]
    fn new(
        place: Arc<Place>,
        status: u16,
        mut ticket: Ticket,
        asked: u64,
        first: Bytes,
        line: Line,
        body: Body,
        keep: bool,
        events: bool,
    ) -> Self {
        ticket.answering = true;
        let count = if events { Count::Events(Meter::default()) } else { Count::Tail(Tail::default()) };
        let deadline = tokio::time::Instant::now() + place.timeout() * STREAM_TIMES;
        let (ticket, first, line) = (Some(ticket), Some(first).filter(|it| !it.is_empty()), Some(line));
        Flow {
            place,
            status,
            ticket,
            asked,
            first,
            line,
            body,
            keep,
            count,
            held: BytesMut::new(),
            deadline,
            ended_at: None,
        }
    }

    fn pieces(self) -> impl Stream<Item = Result<Bytes, Cut>> {
        stream::unfold(self, |mut flow| async move { flow.step().await.map(|piece| (piece, flow)) })
    }

    /// The next piece for the client; none at the end.
    async fn step(&mut self) -> Option<Result<Bytes, Cut>> {
        loop {
            let ticket = self.ticket.as_ref()?;
            // Also where data never ends, and where the client takes it slowly.
            if self.body != Body::Done && self.ended_at.is_none() && tokio::time::Instant::now() >= self.deadline {
                return self.cut(Outcome::Timeout);
            }
            let durable = ticket.proxy().settings.durable_answers;
            let next = match self.first.take() {
                Some(first) => Ok(Ok(Some(first))),
                None => self.next().await,
            };
            match next {
                Ok(Ok(Some(piece))) => {
                    self.count(&piece);
                    let over = self.body == Body::Done;
                    if durable && (over || self.has_ended()) {
                        self.held.extend_from_slice(&piece);
                        if !over && self.held.len() <= REST_MAX {
                            continue;
                        }
                        self.line = self.line.take().filter(|_| over);
                    } else {
                        return Some(Ok(piece));
                    }
                }
                Ok(Ok(None)) => {}
                // All was said: only the line does not end as it should.
                Ok(Err(_)) | Err(_) if self.ended_at.is_some() => self.line = None,
                Ok(Err(_)) => return self.cut(Outcome::UpstreamError),
                Err(_) => return self.cut(Outcome::Timeout),
            }
            self.end().await;
            let held = self.held.split().freeze();
            return (!held.is_empty()).then_some(Ok(held));
        }
    }

    async fn next(&mut self) -> Result<Result<Option<Bytes>, Fault>, tokio::time::error::Elapsed> {
        let until = match self.ended_at {
            Some(ended_at) => ended_at + END_WITHIN,
            None => self.deadline.min(tokio::time::Instant::now() + self.place.timeout()),
        };
        match &mut self.line {
            Some(line) => tokio::time::timeout_at(until, line.next(&mut self.body)).await,
            None => Ok(Ok(None)),
        }
    }

    fn count(&mut self, piece: &[u8]) {
        match &mut self.count {
            Count::Events(meter) => meter.take(piece),
            Count::Tail(tail) => tail.take(piece),
        }
        let (tokens, whole) = (self.tokens(), self.is_good());
        if self.has_ended() {
            self.ended_at.get_or_insert_with(tokio::time::Instant::now);
        }
        if let Some(ticket) = &mut self.ticket {
            ticket.so_far(self.status, tokens, whole);
        }
    }

    fn tokens(&self) -> tidehelm_events::endpoint::Tokens {
        match &self.count {
            Count::Events(meter) => meter.tokens(self.asked),
            Count::Tail(_) => Default::default(),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(&self.count, Count::Events(meter) if meter.has_ended())
    }

    /// A stream that came to its end mark, and is a success.
    fn is_good(&self) -> bool {
        let whole = matches!(&self.count, Count::Events(meter) if meter.has_ended() && meter.is_whole());
        whole && (200..=299).contains(&self.status)
    }

    /// The upstream has said all.
    async fn end(&mut self) {
        let (tokens, whole, ending) = match &self.count {
            Count::Events(meter) => (meter.tokens(self.asked), meter.is_whole(), Ending::StreamEnded),
            Count::Tail(tail) => (tail.tokens(), true, Ending::Whole),
        };
        let good = whole && (200..=299).contains(&self.status);
        if let Some(line) = self.line.take().filter(|_| self.keep) {
            pool::put(self.place.seat.id, &self.place.target, line);
        }
        let Some(ticket) = self.ticket.take() else { return };
        ticket.proxy().note(&self.place, whole);
        let outcome = if good { Outcome::Success } else { Outcome::UpstreamError };
        let ending = if whole { ending } else { Ending::StreamCut };
        ticket.end_and_wait(End { outcome, http_status: Some(self.status), tokens, ending }).await;
    }

    /// It broke off: so does what the client gets, for that it is no end that anybody could take for a good one.
    fn cut(&mut self, outcome: Outcome) -> Option<Result<Bytes, Cut>> {
        let tokens = self.tokens();
        self.line = None;
        if let Some(ticket) = self.ticket.take() {
            ticket.proxy().note(&self.place, false);
            ticket.end(End { outcome, http_status: Some(self.status), tokens, ending: Ending::StreamCut });
        }
        Some(Err(Cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_something_stays_here() {
        for (name, passes) in [
            ("authorization", false),
            ("cookie", false),
            ("x-api-key", false),
            ("connection", false),
            ("transfer-encoding", false),
            ("x-forwarded-for", false),
            ("accept-encoding", false),
            ("content-type", true),
            ("accept", true),
            ("openai-organization", true),
            ("x-request-id", true),
            ("user-agent", true),
        ] {
            assert_eq!(passes_on(name), passes, "{name}");
        }
        for (name, passes) in
            [("set-cookie", false), ("access-control-allow-origin", false), ("x-ratelimit-remaining", true)]
        {
            assert_eq!(passes_back(&HeaderName::from_static(name)), passes, "{name}");
        }
    }
}
