//! Terminals and their keys: a code is made here, and exchanged for a key.

use super::auth::{self, Caller};
use super::people::{credential, desk, spent};
use super::problem::Problem;
use super::{Answered, App, Data, Wish, body};
use crate::pairing::{Asked, CODE_AGE, PairingError, Peer, Way, follow, pairings};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use tidehelm_actors::port::Clock;
use tidehelm_events::desk::{Access, Command, Pairing, PairingOpened, TRIES_MAX, TerminalKey};
use tidehelm_events::id::{AccountId, CredentialId, Role};
use tidehelm_events::time::Timestamp;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPairing {
    /// Without it the code is for any account that has never had a key.
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// `master` or `slave`; without it the terminal says which.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
}

#[derive(Serialize, ToSchema)]
pub struct PairingMade {
    pub id: String,
    /// To be entered in the terminal; shown only now.
    pub code: String,
    pub account: Option<String>,
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    #[schema(value_type = i64)]
    pub expires_at: Timestamp,
}

/// Makes a code with which a terminal fetches its key: good once, for ten minutes, and for five tries.
#[utoipa::path(tag = "terminals", request_body = NewPairing, responses((status = 201, body = PairingMade), (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
#[post("/ea/pairings")]
pub async fn open_pairing(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "pair terminals").await?;
    let NewPairing { account, role } = body(&bytes)?;
    // A key that could not be sealed would be refused in the terminal, where nobody can do anything about it.
    app.keys.ready_to_seal().await?;
    let (expires_at, before) = (app.clock.now() + CODE_AGE, pairings(&app.host));
    let (pairing, code) = app.keys.issue_code().await?;
    let opened = PairingOpened { pairing, account: account.clone(), role, expires_at };
    let answered = app.command(&request, &caller, Wish::desk(Command::OpenPairing(opened), &bytes)).await;
    let reply = app.or_destroy(answered, pairing).await?;
    if desk(&app, |shown, desk| shown >= reply.position.0 && !desk.pairings.contains_key(&pairing)) {
        return Err(spent(&app, pairing).await?);
    }
    for ended in before.difference(&pairings(&app.host)) {
        app.keys.destroy(*ended).await?;
    }
    let (id, account) = (pairing.to_string(), account.map(String::from));
    Ok(HttpResponse::Created().json(PairingMade { id, code: code.to_string(), account, role, expires_at }))
}

/// Ends a code that nobody used.
#[utoipa::path(tag = "terminals", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[delete("/ea/pairings/{id}")]
pub async fn cancel_pairing(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "pair terminals").await?;
    let pairing = credential(&path)?;
    app.command(&request, &caller, Wish::desk(Command::CancelPairing { pairing }, b"")).await?;
    app.keys.destroy(pairing).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PairWish {
    code: String,
    #[schema(value_type = String)]
    account: AccountId,
    #[schema(value_type = String)]
    role: Role,
}

#[derive(Serialize, ToSchema)]
pub struct Paired {
    /// Goes with each message, so that the desk knows which key to check it with.
    pub key: String,
    /// 32 bytes in hexadecimal, for HMAC-SHA256; shown only now.
    pub secret: String,
    /// Id of this desk, which each MAC covers.
    pub desk: Option<String>,
    pub account: String,
    #[schema(value_type = String)]
    pub role: Role,
}

/// Exchanges a code for the key of a terminal. Needs no login: the code is what proves that somebody let the terminal in.
#[utoipa::path(tag = "terminals", request_body = PairWish, responses((status = 200, body = Paired), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
#[post("/ea/pair")]
pub async fn pair(app: Data, request: HttpRequest, bytes: web::Bytes) -> Result<HttpResponse, Problem> {
    let PairWish { code, account, role } = body(&bytes)?;
    let (asked, peer) = (Asked { code, account, role }, peer(&app, &request));
    let paired = match app.pairings.exchange(&asked, &peer).await {
        Ok(paired) => paired,
        Err(error) => {
            if matches!(error, PairingError::Refused(_) | PairingError::TooMany) {
                app.strangers.count(&peer.address, "wrong pairing code");
            }
            return Err(error.into());
        }
    };
    let secret = paired.secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(Paired {
        key: paired.key.to_string(),
        secret,
        desk: desk(&app, |_, desk| desk.id.map(|id| id.to_string())),
        account: asked.account.into(),
        role,
    }))
}

fn peer(app: &App, request: &HttpRequest) -> Peer {
    let local = request.peer_addr().is_some_and(|address| address.ip().to_canonical().is_loopback());
    let way = match (app.config.http.tls().is_some() || app.config.http.behind_tls_proxy, local) {
        (true, _) => Way::Tls,
        (false, true) => Way::ThisMachine,
        (false, false) => Way::Open,
    };
    Peer { address: auth::peer(request), way }
}

impl From<PairingError> for Problem {
    fn from(error: PairingError) -> Self {
        let (code, said) = (error.code().to_string(), error.to_string());
        match error {
            PairingError::Open => Problem::new(403, &code, said),
            PairingError::TooMany => Problem::new(429, &code, said),
            PairingError::Refused(denial) => denial.into(),
            // What is wrong with the master key, and where it is, is for those who may see it.
            PairingError::Key(_) => Problem::new(503, &code, "the desk cannot seal keys now; ask who runs it"),
            PairingError::Fault(fault) => fault.into(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Keys {
    pub position: u64,
    pub keys: Vec<KeyView>,
    /// Codes that wait for their terminal.
    pub pairings: Vec<PairingView>,
}

#[derive(Serialize, ToSchema)]
pub struct KeyView {
    pub id: String,
    pub account: String,
    #[schema(value_type = String)]
    pub role: Role,
    #[schema(value_type = i64)]
    pub issued_at: Timestamp,
    /// Why messages with this key are refused; none as long as it is good.
    pub refused: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct PairingView {
    pub id: String,
    pub account: Option<String>,
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    #[schema(value_type = i64)]
    pub opened_at: Timestamp,
    #[schema(value_type = i64)]
    pub expires_at: Timestamp,
    pub tries_left: u8,
}

/// The keys of terminals, without their secrets, and the codes that are open.
#[utoipa::path(tag = "terminals", responses((status = 200, body = Keys), (status = 403, body = Problem)))]
#[get("/ea/keys")]
pub async fn keys(app: Data, caller: Caller) -> Answered<Keys> {
    caller.need(&app, Access::Operator, "see the keys of terminals").await?;
    let (table, now) = (&app.keys.terminals, app.clock.now());
    let key = |(id, key): (&CredentialId, &TerminalKey)| KeyView {
        id: id.to_string(),
        account: key.account.to_string(),
        role: key.role,
        issued_at: key.issued_at,
        refused: table.find(*id).is_none().then(|| table.why_not(*id).to_string()),
    };
    let pairing = |(id, pairing): (&CredentialId, &Pairing)| PairingView {
        id: id.to_string(),
        account: pairing.account.as_ref().map(ToString::to_string),
        role: pairing.role,
        opened_at: pairing.opened_at,
        expires_at: pairing.expires_at,
        tries_left: TRIES_MAX.saturating_sub(pairing.tries),
    };
    Ok(web::Json(desk(&app, |position, desk| {
        let open = desk.pairings.iter().filter(|(_, pairing)| pairing.expires_at > now);
        Keys { position, keys: desk.terminal_keys.iter().map(key).collect(), pairings: open.map(pairing).collect() }
    })))
}

/// Revokes the key of a terminal. From now on its messages are refused; it must be paired again.
#[utoipa::path(tag = "terminals", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[delete("/ea/keys/{id}")]
pub async fn revoke_key(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "revoke the keys of terminals").await?;
    let key = credential(&path)?;
    app.command(&request, &caller, Wish::desk(Command::RevokeKey { key }, b"")).await?;
    app.keys.destroy(key).await?;
    follow(&app.host, &app.keys).await?;
    Ok(HttpResponse::NoContent().finish())
}
