//! The desk over HTTP: one file per resource, each handler a few lines between the request and the desk.

pub mod accounts;
pub mod alerts;
pub mod auth;
pub mod connections;
pub mod copying;
pub mod dashboard;
pub mod desk;
pub mod ea;
pub mod endpoints;
pub mod events;
pub mod frames;
pub mod groups;
pub mod live;
pub mod log;
pub mod ops;
pub mod people;
pub mod problem;
pub mod proxy;
pub mod proxy_keys;
pub mod secrets;
pub mod spec;
pub mod stop;
pub mod ui;
pub mod why;

use crate::ambient::{self, DeskClock};
use crate::config::Config;
use crate::emergency::Emergency;
use crate::endpoints::probe::HttpProber;
use crate::endpoints::secrets::Secrets;
use crate::history::{History, HistoryError};
use crate::keys::Keys;
use crate::nng;
use crate::pairing::Pairings;
use crate::proxy::Proxy;
use crate::store::{Sizes, Store};
use crate::telemetry::Metrics;
use crate::terminals::Terminals;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Compress, NormalizePath, TrailingSlash};
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use auth::{Caller, Strangers};
use problem::Problem;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidehelm_actors::desk::Host;
use tidehelm_actors::endpoint::Watchers;
use tidehelm_actors::journal::Reply;
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::Clock;
use tidehelm_events::answer::{Answer, BodyHash, Known};
use tidehelm_events::id::{CommandId, CredentialId, EndpointId, Position, StreamId, Version};
use tidehelm_events::time::Timestamp;
use tidehelm_events::truth::Slot;
use tidehelm_events::view::Fold;
use tracing::Instrument;

/// How long a write waits until the page would show it. It is durable either way.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// A request whose body comes slower than this, or whose answer takes longer, is given up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

fn too_slow() -> Problem {
    let seconds = ANSWERED_WITHIN.as_secs();
    Problem::new(
        408,
        "too_slow",
        format!("no answer within {seconds} seconds; send the same command again with the same id"),
    )
}

/// What every handler can reach.
pub struct App {
    pub host: Host,
    pub proxy: Arc<Proxy>,
    pub keys: Arc<Keys>,
    /// Of endpoints.
    pub secrets: Arc<Secrets>,
    pub prober: Arc<HttpProber>,
    pub watchers: Watchers,
    pub pairings: Arc<Pairings>,
    pub terminals: Arc<Terminals>,
    /// Of the sockets, once they are open.
    pub traffic: OnceLock<Arc<nng::Counters>>,
    pub emergency: Arc<Emergency>,
    pub history: History,
    pub clock: Arc<DeskClock>,
    pub config: Config,
    pub settings_shown: serde_json::Value,
    pub metrics: Metrics,
    pub strangers: Arc<Strangers>,
    pub sse: Arc<tokio::sync::Semaphore>,
    pub live: live::Live,
    /// How many more WebSocket sessions there may be.
    pub live_places: Arc<tokio::sync::Semaphore>,
    /// How far the tables that follow the log have come.
    pub tables: crate::tables::Reach,
    pub stopping: tokio::sync::watch::Receiver<bool>,
    /// For questions about the store itself.
    pub store: Store,
    /// The store's sizes and when they were looked at: looking costs.
    pub sizes: tokio::sync::Mutex<Option<(Timestamp, Sizes)>>,
}

pub type Data = web::Data<App>;
pub type Answered<T> = Result<web::Json<T>, Problem>;

/// Every route. The same list is the OpenAPI document's: a test compares them.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(ops::livez)
        .service(ops::readyz)
        .service(ops::metrics)
        .service(live::connect)
        .service(
            web::scope("/api")
                .service(spec::document)
                .service(auth::login)
                .service(auth::logout)
                .service(auth::welcome)
                .service(desk::status)
                .service(desk::lock)
                .service(stop::stop_state)
                .service(stop::stop_desk)
                .service(stop::resume_desk)
                .service(desk::settings)
                .service(desk::change_settings)
                .service(desk::activity)
                .service(accounts::list)
                .service(accounts::heartbeats)
                .service(accounts::one)
                .service(accounts::changes)
                .service(accounts::register)
                .service(accounts::unregister)
                .service(accounts::toggle)
                .service(accounts::link)
                .service(accounts::unlink)
                .service(frames::session)
                .service(frames::uplink)
                .service(groups::list)
                .service(groups::create)
                .service(groups::toggle)
                .service(groups::members)
                .service(groups::add_member)
                .service(groups::toggle_member)
                .service(groups::one_member)
                .service(groups::set_member)
                .service(groups::remove_member)
                .service(groups::one)
                .service(groups::change)
                .service(groups::remove)
                .service(endpoints::list)
                .service(endpoints::create)
                .service(endpoints::act::try_out)
                .service(endpoints::act::test)
                .service(endpoints::act::sync)
                .service(endpoints::act::reset)
                .service(endpoints::figures::listed)
                .service(endpoints::figures::today_stats)
                .service(endpoints::figures::daily_stats)
                .service(endpoints::figures::model_stats)
                .service(endpoints::figures::model_tps)
                .service(endpoints::figures::health_checks)
                .service(endpoints::one)
                .service(endpoints::set)
                .service(endpoints::remove)
                .service(proxy::current_settings)
                .service(proxy::change_settings)
                .service(connections::list)
                .service(connections::own_settings)
                .service(connections::change_settings)
                .service(connections::rearm)
                .service(connections::one)
                .service(copying::defaults)
                .service(copying::change_defaults)
                .service(copying::rules)
                .service(dashboard::overview)
                .service(dashboard::endpoints)
                .service(dashboard::stats)
                .service(dashboard::request_history)
                .service(dashboard::tokens::daily)
                .service(dashboard::tokens::monthly)
                .service(dashboard::tokens::total)
                .service(dashboard::tokens::models)
                .service(dashboard::clients::timeline)
                .service(dashboard::clients::models)
                .service(dashboard::clients::heat_map)
                .service(dashboard::clients::detail)
                .service(dashboard::clients::ranking)
                .service(dashboard::requests::export)
                .service(dashboard::requests::list)
                .service(why::about)
                .service(why::of_signal)
                .service(why::latency)
                .service(ops::evaluations)
                .service(events::list)
                .service(events::one)
                .service(events::log)
                .service(log::end)
                .service(log::fold)
                .service(log::snapshot)
                .service(desk::hash)
                .service(desk::state)
                .service(people::users)
                .service(people::invite)
                .service(people::remove)
                .service(people::change_role)
                .service(people::change_password)
                .service(people::sessions)
                .service(people::end_session)
                .service(people::tokens)
                .service(people::create_token)
                .service(people::revoke_token)
                .service(ea::open_pairing)
                .service(ea::cancel_pairing)
                .service(ea::pair)
                .service(ea::keys)
                .service(ea::revoke_key)
                .service(alerts::list)
                .service(alerts::list_rules)
                .service(alerts::one_rule)
                .service(alerts::set_rule)
                .service(alerts::remove_rule)
                .service(alerts::list_mutes)
                .service(alerts::add_mute)
                .service(alerts::remove_mute)
                .service(alerts::list_channels)
                .service(alerts::one_channel)
                .service(alerts::set_channel)
                .service(alerts::remove_channel)
                .service(alerts::test_channel)
                .service(alerts::list_deliveries)
                .service(alerts::list_dead)
                .service(alerts::replay_all)
                .service(alerts::replay)
                .service(alerts::one)
                .service(alerts::acknowledge)
                .service(proxy_keys::list)
                .service(proxy_keys::issue)
                .service(proxy_keys::revoke)
                .service(secrets::status)
                .service(secrets::rotate)
                .service(ops::config)
                .default_service(web::to(problem::no_such_route)),
        )
        .default_service(web::to(ui::file));
}

/// The application with everything around it: request ids, logs, metrics, headers, compression.
pub fn application(
    app: Data,
) -> actix_web::App<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl actix_web::body::MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let limit = app.config.http.body_limit.as_usize();
    let (measured, beside) = (app.clone(), app.clone());
    actix_web::App::new()
        .app_data(app)
        .app_data(web::PayloadConfig::new(limit))
        .app_data(web::PathConfig::default().error_handler(|error, _| Problem::invalid("path", error).into()))
        .app_data(web::QueryConfig::default().error_handler(|error, _| Problem::invalid("query", error).into()))
        .wrap(Compress::default())
        .wrap_fn(move |request, service| {
            let app = measured.clone();
            let id = request_id(request.headers());
            request.extensions_mut().insert(RequestId(id.clone()));
            let started = ambient::stopwatch();
            let method = request.method().to_string();
            let span = tracing::info_span!("request", %method, path = request.path(), id = %id);
            let answer = match auth::foreign(request.request(), &app.config) {
                Some(problem) => Err(request.into_response(problem.error_response()).map_into_right_body()),
                None => Ok(service.call(request)),
            };
            async move {
                let mut response = match answer {
                    Ok(answer) => {
                        let Ok(answered) = tokio::time::timeout(ANSWERED_WITHIN, answer).await else {
                            return Err(too_slow().into());
                        };
                        let response = answered?;
                        match Problem::of_framework(response.response()) {
                            Some(problem) => response.into_response(problem.error_response()).map_into_right_body(),
                            None => response.map_into_left_body(),
                        }
                    }
                    Err(refused) => refused,
                };
                finish(&app, &mut response, &id, &method, started.elapsed());
                Ok(response)
            }
            .instrument(span)
        })
        .wrap(NormalizePath::new(TrailingSlash::Trim))
        // Outside of everything else: what passes through the proxy is neither compressed nor logged, and may take its time.
        .wrap_fn(move |request, service| {
            let app = beside.clone();
            let answer = match request.path().starts_with("/v1/") {
                true => Err(request.into_parts()),
                false => Ok(service.call(request)),
            };
            async move {
                match answer {
                    // A command is carried to its end, though the client has gone meanwhile.
                    Ok(answer) => match actix_web::rt::spawn(answer).await {
                        Ok(answered) => answered.map(ServiceResponse::map_into_left_body),
                        Err(error) => Err(actix_web::error::ErrorInternalServerError(error)),
                    },
                    Err((request, payload)) => {
                        let response = crate::proxy::serve(&app, &request, payload).await;
                        Ok(ServiceResponse::new(request, response.map_into_right_body()))
                    }
                }
            }
        })
        .configure(routes)
}

#[derive(Clone)]
pub struct RequestId(pub String);

/// The events that answer a command, for the header `tidehelm-events`: a repeat shows the same ones.
#[derive(Clone, Copy)]
struct Happened(Option<(Position, Position)>);

impl Happened {
    fn header(self) -> Option<HeaderValue> {
        let text = self.0.map_or_else(|| "none".into(), |(first, last)| format!("{first}..{last}"));
        HeaderValue::from_str(&text).ok()
    }
}

/// The caller's id where it is a decent one, else a new one.
fn request_id(headers: &header::HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let decent = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given.filter(decent).map_or_else(|| ambient::uuid_v7().to_string(), ToString::to_string)
}

fn finish<B>(app: &App, response: &mut ServiceResponse<B>, id: &str, method: &str, took: Duration) {
    let route = response.request().match_pattern().unwrap_or_else(|| "other".into());
    let status = response.status();
    app.metrics.requests.with_label_values(&[known_method(method), route.as_str(), status.as_str()]).inc();
    app.metrics.request_seconds.with_label_values(&[route.as_str()]).observe(took.as_secs_f64());
    tracing::debug!(status = status.as_u16(), micros = took.as_micros() as u64, "answered");
    let happened = response.request().extensions().get::<Happened>().and_then(|happened| happened.header());
    let headers = response.headers_mut();
    if let Some(happened) = happened {
        headers.insert(HeaderName::from_static("tidehelm-events"), happened);
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        (
            "content-security-policy",
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}

/// Anybody can make up methods; metrics have a bounded number of labels.
fn known_method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" => method,
        _ => "other",
    }
}

impl App {
    /// Sends a command on behalf of the caller and waits until it is answered, durable and shown.
    pub async fn command(&self, request: &HttpRequest, caller: &Caller, wish: Wish<'_>) -> Result<Reply, Problem> {
        self.command_as(command_id(request)?, request, caller, wish).await
    }

    /// As [`App::command`], under an id that cannot be repeated: for what hands out a new secret each time.
    pub async fn command_once(&self, request: &HttpRequest, caller: &Caller, wish: Wish<'_>) -> Result<Reply, Problem> {
        self.command_as(CommandId(ambient::uuid_v7()), request, caller, wish).await
    }

    async fn command_as(
        &self,
        id: CommandId,
        request: &HttpRequest,
        caller: &Caller,
        wish: Wish<'_>,
    ) -> Result<Reply, Problem> {
        let order = self.order(id, request, caller, wish)?;
        let reply = self.host.ask(order).await?;
        self.shown(request, reply).await
    }

    /// The command on its way to the desk, in the name of the caller.
    fn order(&self, id: CommandId, request: &HttpRequest, caller: &Caller, wish: Wish<'_>) -> Result<Order, Problem> {
        let now = self.clock.now();
        let asked = [request.method().as_str().as_bytes(), request.path().as_bytes(), wish.body].join(&b"\n"[..]);
        Ok(Order {
            to: wish.to,
            command: wish.command,
            by: caller.principal.clone(),
            id: Some(id),
            body: BodyHash::of(&asked),
            expected: if wish.own_version { wish.seen } else { wish.seen.or(expected(request)?) },
            occurred_at: now,
            received_at: now,
        })
    }

    /// What the desk answered, once people see it.
    async fn shown(&self, request: &HttpRequest, reply: Reply) -> Result<Reply, Problem> {
        match reply.answer {
            Answer::Refused(denial) => Err(denial.into()),
            Answer::Done { first, last, changed } => {
                request.extensions_mut().insert(Happened(changed.then_some((first, last))));
                self.host.durable.shows(reply.position, SHOWN_WITHIN).await;
                Ok(reply)
            }
        }
    }

    /// True for the repeat of a command: what it rested on then need not hold any more, and its answer stands.
    pub fn was_answered(&self, request: &HttpRequest, caller: &Caller, to: &StreamId) -> Result<bool, Problem> {
        if !request.headers().contains_key("idempotency-key") {
            return Ok(false);
        }
        let (id, now) = (command_id(request)?, self.clock.now());
        let known = |slot: &Slot| !matches!(slot.answers.look_up(&caller.principal, id, BodyHash(0), now), Known::New);
        Ok(self
            .host
            .durable
            .read(|fold| [to, &StreamId::Desk].into_iter().filter_map(|at| fold.truth.slot_of(at)).any(known)))
    }

    /// Hands an outcome on. Where it is a refusal, the secret that was made for it goes; where it is unknown, it stays.
    pub async fn or_destroy<T>(&self, outcome: Result<T, Problem>, made: CredentialId) -> Result<T, Problem> {
        if outcome.as_ref().is_err_and(|problem| problem.status != 503) {
            self.keys.destroy(made).await?;
        }
        outcome
    }

    /// Looks at the state that the request asks for: now, or as it was.
    pub async fn look<R>(&self, as_of: Option<&str>, look: impl FnOnce(&Fold) -> R) -> Result<R, Problem> {
        let Some(text) = as_of else { return Ok(self.host.durable.read(look)) };
        let head = self.host.durable.head().position;
        let position = self.moment(text).await?;
        if position > head {
            return Err(Problem::invalid("as_of", format!("position {position} lies ahead; the log ends at {head}")));
        }
        let fold = self.history.fold_at(position).await?;
        Ok(look(&fold))
    }

    /// Requests that an endpoint is at.
    pub fn in_flight(&self, endpoint: EndpointId) -> u32 {
        self.proxy.in_flight(endpoint)
    }

    /// The position that `POSITION | time` names.
    pub async fn moment(&self, text: &str) -> Result<Position, Problem> {
        use crate::cli::time::{Moment, parse};
        match parse(text, self.clock.now().millis()).map_err(|error| Problem::invalid("as_of", error))? {
            Moment::Position(position) => Ok(Position(position)),
            Moment::TimeMs(ms) if ms > self.clock.now().millis() => {
                Err(Problem::invalid("as_of", "this moment has not come yet"))
            }
            Moment::TimeMs(ms) => Ok(self.history.position_at(ms).await?),
        }
    }
}

/// A command and the body that it came with.
pub struct Wish<'a> {
    pub to: StreamId,
    pub command: Command,
    /// Empty where the body holds a secret: its hash would be one too.
    pub body: &'a [u8],
    /// The command says itself which version it is for: one of a part, not of the whole stream.
    own_version: bool,
    /// The version that the caller saw, where it does not stand in a header.
    seen: Option<Version>,
}

impl<'a> Wish<'a> {
    pub fn desk(command: tidehelm_events::desk::Command, body: &'a [u8]) -> Self {
        Wish { to: StreamId::Desk, command: Command::Desk(command), body, own_version: false, seen: None }
    }
    pub fn account(to: StreamId, command: tidehelm_events::account::Command, body: &'a [u8]) -> Self {
        Wish { to, command: Command::Account(command), body, own_version: false, seen: None }
    }
    /// Each of its commands says itself which version it is for.
    pub fn alerts(command: tidehelm_events::alert::Command, body: &'a [u8]) -> Self {
        Wish { to: StreamId::Alerts, command: Command::Alerts(command), body, own_version: true, seen: None }
    }
    pub fn endpoint(to: EndpointId, command: tidehelm_events::endpoint::Command, body: &'a [u8]) -> Self {
        let (to, command) = (StreamId::Endpoint(to), Command::Endpoint(command));
        Wish { to, command, body, own_version: false, seen: None }
    }
    pub fn proxy(command: tidehelm_events::endpoint::ProxyCommand, body: &'a [u8]) -> Self {
        Wish { to: StreamId::Proxy, command: Command::Proxy(command), body, own_version: false, seen: None }
    }
    pub fn with_its_own_version(self) -> Self {
        Wish { own_version: true, ..self }
    }
    pub fn at(self, seen: Option<Version>) -> Self {
        Wish { seen, ..self }
    }
}

fn command_id(request: &HttpRequest) -> Result<CommandId, Problem> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(CommandId(ambient::uuid_v7())) };
    match key.to_str() {
        Ok(key) if (1..=128).contains(&key.len()) => Ok(CommandId::from_key(key)),
        _ => Err(Problem::invalid("Idempotency-Key", "1 to 128 printable ASCII characters")),
    }
}

fn expected(request: &HttpRequest) -> Result<Option<Version>, Problem> {
    let Some(value) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim().trim_matches('"');
    if text == "*" {
        return Ok(None);
    }
    let revision = text.parse().map(Version).map(Some);
    revision.map_err(|_| Problem::invalid("If-Match", "a revision such as \"12\", as the resource shows it"))
}

/// The body as what it should be, or a problem that names the field.
pub fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // Where the text breaks off there is no field to name.
        let path = path.trim_end_matches('?').trim_end_matches('.');
        let field = if path.is_empty() { "body" } else { path };
        Problem::invalid(field, error.into_inner())
    })?;
    deserializer.end().map_err(|error| Problem::invalid("body", error))?;
    Ok(parsed)
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Cut { .. } => Problem::new(410, "telemetry_cut", error.to_string()),
            HistoryError::Busy => Problem::new(503, "history_busy", error.to_string()),
            HistoryError::Log(_) | HistoryError::Restore(_) => {
                tracing::warn!(%error, "the log could not be read");
                Problem::new(503, "log_unreadable", error.to_string())
            }
        }
    }
}
