//! The log as people and programs read it: pages, a live stream, and the bytes themselves for tools.

use super::auth::Caller;
use super::problem::Problem;
use super::{App, Data};
use crate::history::Reading;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tidehelm_events::desk::Access;
use tidehelm_events::envelope::{Envelope, Record};
use tidehelm_events::id::{DeskId, Position, StreamId};
use tidehelm_events::truth::Names;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

const LIMIT_MAX: usize = 10_000;
/// A page looks at no more events than this; `next` says where to go on.
const SCAN_MAX: usize = 200_000;
const PING_EVERY: Duration = Duration::from_secs(10);

#[derive(Deserialize, IntoParams, Default, Clone)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Events after this position; for a live stream without it, from now on.
    pub from: Option<u64>,
    /// The last so many events instead.
    pub tail: Option<usize>,
    /// At most so many, 100 without it.
    pub limit: Option<usize>,
    /// `desk`, `master/ACCOUNT`, `slave/ACCOUNT`, or a kind of stream: `master`.
    pub stream: Option<String>,
    /// Kinds of events: `a,b`, or all but some: `!a,b`.
    pub kind: Option<String>,
    /// `business`, `volume` or `telemetry`.
    pub class: Option<String>,
    /// Who wanted it, as the events show it: `user:ann`.
    pub by: Option<String>,
    /// Of the chain that this position began.
    pub correlation: Option<u64>,
}

impl Filter {
    pub fn passes(&self, record: &Record, stream: &StreamId) -> bool {
        let kind = record.event.kind();
        self.stream.as_deref().is_none_or(|wanted| wanted == stream.kind() || *wanted == stream.to_string())
            && self.kind.as_deref().is_none_or(|wanted| match wanted.strip_prefix('!') {
                Some(unwanted) => unwanted.split(',').all(|name| name != kind.name),
                None => wanted.split(',').any(|name| name == kind.name),
            })
            && self.class.as_deref().is_none_or(|wanted| format!("{:?}", kind.class).eq_ignore_ascii_case(wanted))
            && self.by.as_deref().is_none_or(|wanted| record.by.to_string() == wanted)
            && self.correlation.is_none_or(|wanted| record.correlation.0 == wanted)
    }

    /// Nonsense is said, not silently without a result.
    pub fn check(&self) -> Result<(), Problem> {
        use tidehelm_events::event::Event;
        if let Some(stream) = &self.stream
            && !matches!(stream.as_str(), "desk" | "master" | "slave")
        {
            stream.parse::<StreamId>().map_err(|error| Problem::invalid("stream", error))?;
        }
        for name in self.kind.iter().flat_map(|kinds| kinds.trim_start_matches('!').split(',')) {
            if name != "unknown" && !Event::kinds().iter().any(|kind| kind.name == name) {
                return Err(Problem::invalid("kind", format!("no event kind is called `{name}`; see docs/events.md")));
            }
        }
        if self.class.as_deref().is_some_and(|class| !matches!(class, "business" | "telemetry" | "volume")) {
            return Err(Problem::invalid("class", "business, volume or telemetry"));
        }
        Ok(())
    }
}

#[derive(Serialize, ToSchema)]
pub struct Events {
    /// The end of the log.
    pub position: u64,
    #[schema(value_type = Vec<serde_json::Value>)]
    pub events: Vec<Envelope>,
    /// Go on with `from` set to this; none at the end of the log.
    pub next: Option<u64>,
    /// Telemetry up to here was cut and is not in the list.
    pub cut_through: u64,
}

/// Events by position. With `Accept: text/event-stream` they go on live.
#[utoipa::path(tag = "log", params(Filter), responses((status = 200, body = Events), (status = 422, body = Problem)))]
#[get("/events")]
pub async fn list(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let filter = query.into_inner();
    filter.check()?;
    let live = request.headers().get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"));
    match live {
        true => follow(app, &request, caller, filter),
        false => Ok(HttpResponse::Ok().json(page(&app, &filter).await?)),
    }
}

async fn page(app: &App, filter: &Filter) -> Result<Events, Problem> {
    let limit = filter.tail.or(filter.limit).unwrap_or(100);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("1 to {LIMIT_MAX}")));
    }
    let end = app.host.durable.head().position;
    let cut_through = app.host.durable.read(|fold| fold.truth.desk().map_or(0, |desk| desk.cut_through.0));
    let mut events = VecDeque::new();
    if filter.tail.is_some() {
        let mut window = limit as u64;
        loop {
            let from = Position(end.0.saturating_sub(window));
            events.clear();
            let read = app.history.scan(from, SCAN_MAX, |reading| {
                take(reading, filter, &mut events);
                if events.len() > limit {
                    events.pop_front();
                }
                true
            });
            read.await?;
            if events.len() >= limit || from.0 == 0 || window >= SCAN_MAX as u64 / 4 {
                break;
            }
            window *= 8;
        }
        return Ok(Events { position: end.0, events: events.into(), next: None, cut_through });
    }
    let from = Position(filter.from.unwrap_or(0));
    let last = app
        .history
        .scan(from, SCAN_MAX, |reading| {
            take(reading, filter, &mut events);
            events.len() < limit
        })
        .await?;
    let next = (last < end).then_some(last.0);
    Ok(Events { position: end.0, events: events.into(), next, cut_through })
}

fn take(reading: &Reading<'_>, filter: &Filter, events: &mut VecDeque<Envelope>) {
    if filter.passes(reading.record, reading.stream) {
        events.push_back(reading.record.envelope(reading.desk, reading.stream));
    }
}

/// One event.
#[utoipa::path(tag = "log", params(("position" = u64, Path)), responses((status = 200, body = serde_json::Value), (status = 404, body = Problem)))]
#[get("/events/{position}")]
pub async fn one(app: Data, _caller: Caller, path: web::Path<u64>) -> Result<HttpResponse, Problem> {
    let position = path.into_inner();
    let mut found = None;
    let after = Position(position.saturating_sub(1));
    app.history
        .scan(after, 1, |reading| {
            if reading.record.position.0 == position {
                found = Some(reading.record.envelope(reading.desk, reading.stream));
            }
            false
        })
        .await?;
    let none =
        || Problem::not_found(format!("there is no event at position {position}: it is ahead of the log, or was cut"));
    Ok(HttpResponse::Ok().json(found.ok_or_else(none)?))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Entries after this position.
    pub after: u64,
    /// At most so many entries, 64 without it.
    pub limit: Option<usize>,
}

/// Entries of the log as they are stored, for tools that check them: see `docs/audit.md`.
#[utoipa::path(tag = "log", params(LogQuery), responses((status = 200, content_type = "application/octet-stream"), (status = 403, body = Problem)))]
#[get("/log")]
pub async fn log(app: Data, caller: Caller, query: web::Query<LogQuery>) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "read the log's bytes").await?;
    let limit = query.limit.unwrap_or(64).clamp(1, 1000);
    let bytes = app.history.raw(Position(query.after), limit).await?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(bytes))
}

/// What one follower has seen. It reads at its own pace: nothing waits in memory for it.
struct Follower {
    app: Data,
    caller: Caller,
    filter: Filter,
    seen: Position,
    head: tokio::sync::watch::Receiver<tidehelm_events::commit::Head>,
    stopping: tokio::sync::watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
    ended: bool,
}

fn follow(app: Data, request: &HttpRequest, caller: Caller, filter: Filter) -> Result<HttpResponse, Problem> {
    let permit = app.sse.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::new(503, "too_many_followers", "too many clients follow the log; see http.sse_clients_max")
    })?;
    let resumed = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let head = app.host.durable.subscribe();
    let seen = Position(resumed.or(filter.from).unwrap_or_else(|| head.borrow().position.0));
    let end = head.borrow().position;
    if seen > end {
        let why = format!("position {seen} lies ahead; the log ends at {end}. Was an older backup restored? Read anew");
        return Err(Problem::new(409, "ahead_of_log", why));
    }
    app.metrics.sse_clients.inc();
    let stopping = app.stopping.clone();
    let follower = Follower { app, caller, filter, seen, head, stopping, _permit: permit, ended: false };
    let body = stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Problem>(piece), follower))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("content-encoding", "identity"))
        .streaming(body))
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.app.metrics.sse_clients.dec();
    }
}

impl Follower {
    /// The next piece of the stream: events, or a sign of life.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended || *self.stopping.borrow() {
            return None;
        }
        loop {
            if !self.caller.is_still_known(&self.app) {
                let problem = Problem::new(
                    401,
                    "login_needed",
                    "the credential that this stream was opened with is no longer good",
                );
                return self.end_with(&problem);
            }
            let pieces = match self.app.host.durable.recent(self.seen) {
                Some(batches) if !batches.is_empty() => self.pieces_in_memory(&batches),
                Some(_) => String::new(),
                None if self.head.borrow().position > self.seen => match self.pieces_in_log().await {
                    Ok(pieces) => pieces,
                    Err(problem) => return self.end_with(&problem),
                },
                None => String::new(),
            };
            if !pieces.is_empty() {
                return Some(pieces.into());
            }
            let seen = self.seen;
            let end = self.head.borrow().position;
            tokio::select! {
                changed = self.head.wait_for(|head| head.position > seen) => { changed.ok()?; }
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                () = tokio::time::sleep(PING_EVERY) => return Some(format!(": {end}\n\n").into()),
            }
        }
    }

    fn end_with(&mut self, problem: &Problem) -> Option<Bytes> {
        self.ended = true;
        Some(format!("event: problem\ndata: {}\n\n", serde_json::to_string(problem).ok()?).into())
    }

    fn pieces_in_memory(&mut self, batches: &[Arc<tidehelm_actors::journal::Batch>]) -> String {
        let mut text = String::new();
        let (filter, seen) = (&self.filter, &mut self.seen);
        self.app.host.durable.read(|fold| {
            let Some(desk) = fold.truth.desk_id() else { return };
            for batch in batches {
                for record in batch.records.iter().filter(|record| record.position > *seen) {
                    write(&mut text, filter, record, fold.truth.names(), desk);
                }
                *seen = (*seen).max(batch.head.position);
                if text.len() > 1 << 18 {
                    break;
                }
            }
        });
        text
    }

    async fn pieces_in_log(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        let filter = &self.filter;
        let last = self.app.history.scan(self.seen, 10_000, |reading| {
            if filter.passes(reading.record, reading.stream) {
                message(&mut text, &reading.record.envelope(reading.desk, reading.stream));
            }
            text.len() < 1 << 18
        });
        self.seen = last.await?;
        Ok(text)
    }
}

fn write(text: &mut String, filter: &Filter, record: &Record, names: &Names, desk: DeskId) {
    if let Some(stream) = names.get(record.stream)
        && filter.passes(record, stream)
    {
        message(text, &record.envelope(desk, stream));
    }
}

fn message(text: &mut String, envelope: &Envelope) {
    use std::fmt::Write;
    if let Ok(json) = serde_json::to_string(envelope) {
        let _ = write!(text, "id: {}\ndata: {json}\n\n", envelope.position);
    }
}
