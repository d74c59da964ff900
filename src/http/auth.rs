//! Who is asking: sessions for people, tokens for programs, and the ways in.

use super::problem::Problem;
use super::{App, Data, Wish, body};
use crate::config::{Auth, Config};
use crate::keys::{KeyError, Kind};
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, post, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::{Mutex, PoisonError};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::Clock;
use tidehelm_events::desk::{self as events, Access, SessionEnd};
use tidehelm_events::id::{CredentialId, Principal, StreamId, UserName};
use tidehelm_events::time::{Span, Timestamp};
use utoipa::ToSchema;

const COOKIE: &str = "tidehelm_session";
/// Strangers beyond this many peers a minute are counted together.
const PEERS_MAX: usize = 256;
/// Wrong passwords for one name or from one peer in a minute before the next try has to wait.
const TRIES_MAX: u32 = 10;

/// Somebody whom we know.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub access: Access,
    pub session: Option<CredentialId>,
}

impl Caller {
    /// Lets the caller go on, or records that it was not allowed to.
    pub async fn need(&self, app: &App, needs: Access, action: &str) -> Result<(), Problem> {
        if self.access >= needs {
            return Ok(());
        }
        let note = events::AccessDenied { action: action.into(), needs };
        let now = app.clock.now();
        let order =
            Order::once(StreamId::Desk, self.principal.clone(), Command::Desk(events::Command::NoteDenied(note)), now);
        let reply = app.host.ask(order).await?;
        app.host.durable.shows(reply.position, super::SHOWN_WITHIN).await;
        let detail = format!("to {action}, you need the role {}; you are {}", needs.as_str(), self.access.as_str());
        Err(Problem::new(403, "role_too_low", detail))
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Caller, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(app) = request.app_data::<Data>() else {
            return ready(Err(Problem::new(500, "no_app", "the server is not set up")));
        };
        ready(identify(request, app, None).ok_or_else(|| stranger(request, app, false)))
    }
}

impl Caller {
    /// As any caller, or by a token among the subprotocols: the only header that a page can give a WebSocket.
    pub fn of_websocket(request: &HttpRequest, app: &App) -> Result<Self, Problem> {
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|value| value.to_str().ok());
        let token = offered.flat_map(|list| list.split(',')).find_map(|name| name.trim().strip_prefix("token."));
        identify(request, app, token).ok_or_else(|| stranger(request, app, token.is_some()))
    }
}

fn stranger(request: &HttpRequest, app: &App, presented: bool) -> Problem {
    let by_header = request.headers().contains_key(header::AUTHORIZATION) || request.cookie(COOKIE).is_some();
    if presented || by_header {
        app.metrics.strangers.inc();
        app.strangers.count(&peer(request), "unknown credential");
    }
    Problem::new(401, "login_needed", "log in, or send a token: `Authorization: Bearer thk_…`")
}

fn identify(request: &HttpRequest, app: &App, token: Option<&str>) -> Option<Caller> {
    if app.config.http.auth == Auth::Off {
        return Some(Caller { principal: Principal::Operator, access: Access::Admin, session: None });
    }
    if let Some(text) = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        return known(app, Credential::Token(app.keys.check(Kind::Token, bearer(text)?)?));
    }
    if let Some(token) = token {
        return known(app, Credential::Token(app.keys.check(Kind::Token, token)?));
    }
    let cookie = request.cookie(COOKIE)?;
    known(app, Credential::Session(app.keys.check(Kind::Session, cookie.value())?))
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

enum Credential {
    Token(CredentialId),
    Session(CredentialId),
}

/// Whose credential it is, as long as it is good.
fn known(app: &App, credential: Credential) -> Option<Caller> {
    let now = app.clock.now();
    app.host.durable.read(|fold| {
        let desk = fold.truth.desk()?;
        match credential {
            Credential::Token(id) => {
                let token = desk.tokens.get(&id).filter(|token| token.expires_at.is_none_or(|at| at > now))?;
                Some(Caller { principal: Principal::Token(id), access: token.access, session: None })
            }
            Credential::Session(id) => {
                let session = desk.sessions.get(&id).filter(|session| session.expires_at > now)?;
                let user = desk.users.get(&session.name)?;
                let principal = Principal::User(session.name.clone());
                Some(Caller { principal, access: user.access, session: Some(id) })
            }
        }
    })
}

impl Caller {
    /// True as long as the credential that the caller came with is good: for answers that go on.
    pub fn is_still_known(&self, app: &App) -> bool {
        match (&self.principal, self.session) {
            (Principal::Token(id), _) => known(app, Credential::Token(*id)).is_some(),
            (_, Some(session)) => known(app, Credential::Session(session)).is_some(),
            _ => app.config.http.auth == Auth::Off,
        }
    }
}

/// Requests that a foreign page makes in somebody's browser: by another origin, or by a name that only resolves to us.
pub fn foreign(request: &HttpRequest, config: &Config) -> Option<Problem> {
    let host = host_of(request, config);
    let allowed = |origin: &str| is_allowed(origin, config);
    if config.http.is_loopback()
        && !config.http.behind_tls_proxy
        && !is_this_machine(&host)
        && !allowed(&format!("http://{host}"))
        && !allowed(&format!("https://{host}"))
    {
        let why = format!("this desk is not served as `{host}`; add its address to http.allowed_origins");
        return Some(Problem::new(403, "host_unknown", why));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    origin_foreign(request, config)
}

/// A page of another origin, for what such a page may not even ask. Programs, which name none, may.
pub fn origin_foreign(request: &HttpRequest, config: &Config) -> Option<Problem> {
    let origin = request.headers().get(header::ORIGIN)?.to_str().unwrap_or("null");
    let same = origin.split_once("://").is_some_and(|(_, of)| of == host_of(request, config));
    (!same && !is_allowed(origin, config)).then(|| {
        Problem::new(403, "origin_foreign", format!("a page of {origin} may not do this; see http.allowed_origins"))
    })
}

fn is_allowed(origin: &str, config: &Config) -> bool {
    config.http.allowed_origins.iter().any(|allowed| allowed.trim_end_matches('/') == origin)
}

/// The name that the request was sent to. What a proxy says of it counts only where there is one.
fn host_of(request: &HttpRequest, config: &Config) -> String {
    if config.http.behind_tls_proxy {
        return request.connection_info().host().to_string();
    }
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = request.uri().authority().map(|authority| authority.as_str());
    asked.or(named).unwrap_or("").to_string()
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address that a request came from. Behind a proxy it is the proxy's, which is counted as one.
pub fn peer(request: &HttpRequest) -> String {
    request.peer_addr().map_or_else(|| "unknown".into(), |address| address.ip().to_string())
}

/// Strangers by peer, and wrong passwords, of the current minute.
#[derive(Default)]
pub struct Strangers {
    seen: Mutex<BTreeMap<(String, String), u32>>,
    tries: Mutex<(i64, BTreeMap<String, u32>)>,
}

impl Strangers {
    pub fn count(&self, peer: &str, why: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.contains_key(&(peer.to_string(), why.to_string()));
        let peer = if known || seen.len() < PEERS_MAX { peer } else { "others" };
        *seen.entry((peer.into(), why.into())).or_default() += 1;
    }

    /// What was counted, to be recorded once a minute.
    pub fn take(&self) -> Vec<events::StrangerRefused> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.into_iter().map(|((peer, why), count)| events::StrangerRefused { peer, count, why }).collect()
    }

    /// Counts a try and says whether it may go on: false once there were too many in this minute.
    pub fn may_try(&self, who: &[&str], now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000_000);
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.0 != minute || tries.1.len() > 4 * PEERS_MAX {
            *tries = (minute, BTreeMap::new());
        }
        if who.iter().any(|who| tries.1.get(*who).copied().unwrap_or(0) >= TRIES_MAX) {
            return false;
        }
        who.iter().for_each(|who| *tries.1.entry(who.to_string()).or_default() += 1);
        true
    }

    /// The password was right: the try does not count.
    pub fn was_right(&self, who: &[&str]) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        for who in who {
            if let Some(count) = tries.1.get_mut(*who) {
                *count = count.saturating_sub(1);
            }
        }
    }
}

pub fn too_many_tries() -> Problem {
    Problem::new(429, "too_many_tries", "too many wrong passwords; wait a minute and try again")
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    #[schema(value_type = String)]
    name: UserName,
    password: String,
}

#[derive(Serialize, ToSchema)]
pub struct Me {
    pub name: String,
    #[schema(value_type = String)]
    pub role: Access,
}

/// Logs in. The session is a cookie that scripts cannot read.
#[utoipa::path(tag = "session", request_body = Login, responses((status = 200, body = Me), (status = 401, body = Problem), (status = 429, body = Problem)))]
#[post("/login")]
pub async fn login(app: Data, request: HttpRequest, bytes: web::Bytes) -> Result<HttpResponse, Problem> {
    let Login { name, password } = body(&bytes)?;
    let peer = peer(&request);
    let keys = [peer.as_str(), name.as_str()];
    if !app.strangers.may_try(&keys, app.clock.now()) {
        return Err(too_many_tries());
    }
    let known = app.host.durable.read(|fold| {
        fold.truth.desk().and_then(|desk| desk.users.get(&name)).map(|user| (user.credential, user.access))
    });
    if !app.keys.check_password(known.map(|known| known.0), password).await {
        app.metrics.logins_failed.inc();
        app.strangers.count(&peer, "wrong name or password");
        return Err(Problem::new(401, "login_wrong", "the name or the password is wrong"));
    }
    app.strangers.was_right(&keys);
    let access = known.map_or(Access::Viewer, |known| known.1);
    start_session(&app, &request, name, access).await
}

async fn start_session(
    app: &App,
    request: &HttpRequest,
    name: UserName,
    access: Access,
) -> Result<HttpResponse, Problem> {
    let hours = app.host.durable.read(|fold| fold.truth.desk().map_or(12, |desk| desk.settings.session_hours));
    let expires_at = app.clock.now() + Span::hours(i64::from(hours));
    let (session, secret) = app.keys.issue(Kind::Session).await?;
    let command = events::Command::StartSession { session, name: name.clone(), expires_at, peer: peer(request) };
    let caller = Caller { principal: Principal::User(name.clone()), access, session: None };
    let started = app.command_once(request, &caller, Wish::desk(command, session.0.as_bytes())).await;
    app.or_destroy(started, session).await?;
    let secure = app.config.http.tls().is_some() || app.config.http.behind_tls_proxy;
    let cookie = Cookie::build(COOKIE, secret)
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Strict)
        .max_age(time::Duration::hours(i64::from(hours)))
        .finish();
    Ok(HttpResponse::Ok().cookie(cookie).json(Me { name: name.to_string(), role: access }))
}

/// Ends the caller's session.
#[utoipa::path(tag = "session", responses((status = 204)))]
#[post("/logout")]
pub async fn logout(app: Data, request: HttpRequest, caller: Caller) -> Result<HttpResponse, Problem> {
    if let Some(session) = caller.session {
        let command = events::Command::EndSession { session, why: SessionEnd::LoggedOut };
        app.command(&request, &caller, Wish::desk(command, session.0.as_bytes())).await?;
        app.keys.destroy(session).await?;
    }
    let mut gone = Cookie::build(COOKIE, "").path("/").finish();
    gone.make_removal();
    Ok(HttpResponse::NoContent().cookie(gone).finish())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// The code of the one-time link.
    code: String,
    #[schema(value_type = String)]
    name: UserName,
    password: String,
}

/// Comes in by a one-time link: makes the user and logs in.
#[utoipa::path(tag = "session", request_body = Welcome, responses((status = 200, body = Me), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[post("/welcome")]
pub async fn welcome(app: Data, request: HttpRequest, bytes: web::Bytes) -> Result<HttpResponse, Problem> {
    let Welcome { code, name, password } = body(&bytes)?;
    let unknown = || {
        app.strangers.count(&peer(&request), "unknown invitation");
        let refusal = events::Refusal::InviteUnknown;
        Problem::from(refusal.denial())
    };
    let invite = app.keys.check(Kind::Invite, &code).ok_or_else(unknown)?;
    let access =
        app.host.durable.read(|fold| Some(fold.truth.desk()?.invites.get(&invite)?.access)).ok_or_else(unknown)?;
    let credential = app.keys.set_password(password).await?;
    let command = events::Command::AcceptInvite { invite, name: name.clone(), credential };
    let caller = Caller { principal: Principal::User(name.clone()), access, session: None };
    let accepted = app.command_once(&request, &caller, Wish::desk(command, credential.0.as_bytes())).await;
    app.or_destroy(accepted, credential).await?;
    app.keys.destroy(invite).await?;
    start_session(&app, &request, name, access).await
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::PasswordLength => Problem::invalid("password", error),
            KeyError::Hash(_) => Problem::new(500, "hash_failed", error.to_string()),
            KeyError::Seal(ref why) | KeyError::Row { source: ref why, .. } => {
                Problem::new(503, why.code(), error.to_string())
            }
            KeyError::NothingSealed => Problem::new(409, "nothing_sealed", error.to_string()),
            KeyError::Store(fault) => fault.into(),
        }
    }
}
