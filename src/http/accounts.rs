//! Accounts: who they are, whether they are wanted and there, and what people may do with them.

use super::auth::Caller;
use super::groups::effective;
use super::problem::Problem;
use super::{Answered, App, Data, SHOWN_WITHIN, Wish, body};
use actix_web::{HttpRequest, delete, get, post, put, web};
use serde::{Deserialize, Serialize};
use tidehelm_actors::journal::Fault;
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::Clock;
use tidehelm_events::account::{self, Account, Connection, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::answer::{Answer, BodyHash};
use tidehelm_events::desk::Access;
use tidehelm_events::id::{AccountId, Position, Principal, Role, StreamId};
use tidehelm_events::money::Money;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;
use utoipa::{IntoParams, ToSchema};

/// A batch of heartbeats has at most this many.
const HEARTBEATS_MAX: usize = 10_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// A position or a time: `1234`, `2026-01-31T12:00:00Z`, `10m ago`. Without it, now.
    pub as_of: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Accounts {
    /// The position that this reflects.
    pub position: u64,
    /// When the event at that position was recorded, in microseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub accounts: Vec<AccountView>,
}

#[derive(Serialize, ToSchema)]
pub struct AccountView {
    #[schema(value_type = String)]
    pub role: Role,
    pub account: String,
    pub name: Option<String>,
    pub broker: Option<String>,
    pub server: Option<String>,
    pub currency: Option<String>,
    pub ea_version: Option<String>,
    /// What a person wants.
    pub enabled_flag: bool,
    #[schema(value_type = String)]
    pub connection: Connection,
    /// 0 DISABLED, 1 ENABLED, 2 CONNECTED.
    pub runtime_status: u8,
    pub allow_new_orders: bool,
    /// Sorted by priority.
    pub warning_codes: Vec<&'static str>,
    #[schema(value_type = Option<String>)]
    pub balance: Option<Money>,
    #[schema(value_type = Option<String>)]
    pub equity: Option<Money>,
    #[schema(value_type = Option<String>)]
    pub free_margin: Option<Money>,
    pub open_positions: Option<u32>,
    pub trade_allowed: Option<bool>,
    /// Microseconds since 1970.
    #[schema(value_type = Option<i64>)]
    pub last_heartbeat_at: Option<Timestamp>,
    pub masters: Vec<MasterView>,
    /// For `If-Match`.
    pub revision: u64,
}

#[derive(Serialize, ToSchema)]
pub struct MasterView {
    pub account: String,
    pub runtime_status: u8,
    pub warning_codes: Vec<&'static str>,
}

impl AccountView {
    pub fn of(account: &Account) -> Self {
        let (identity, figures) = (account.identity.as_deref(), account.figures.as_deref());
        let text = |field: fn(&account::Identity) -> &String| identity.map(field).cloned();
        AccountView {
            role: account.role,
            account: account.id.to_string(),
            name: text(|identity| &identity.name),
            broker: text(|identity| &identity.broker),
            server: text(|identity| &identity.server),
            currency: text(|identity| &identity.currency),
            ea_version: text(|identity| &identity.ea_version),
            enabled_flag: account.intent,
            connection: account.connection,
            runtime_status: account.status.code(),
            allow_new_orders: account.status.code() == 2,
            warning_codes: account.warnings.codes(),
            balance: figures.map(|figures| figures.balance),
            equity: figures.map(|figures| figures.equity),
            free_margin: figures.map(|figures| figures.free_margin),
            open_positions: figures.map(|figures| figures.open_positions),
            trade_allowed: identity.map(|_| account.trade_allowed),
            last_heartbeat_at: account.last_heartbeat_at(),
            masters: account
                .members()
                .map(|(id, followed)| MasterView {
                    account: id.to_string(),
                    runtime_status: followed.master_status.code(),
                    warning_codes: followed.master_warnings.codes(),
                })
                .collect(),
            revision: account.revision.0,
        }
    }
}

/// Every account, masters first.
#[utoipa::path(tag = "accounts", params(AsOf), responses((status = 200, body = Accounts), (status = 410, body = Problem)))]
#[get("/accounts")]
pub async fn list(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<Accounts> {
    let accounts = app.look(query.as_of.as_deref(), |fold| {
        let mut accounts: Vec<_> = fold.truth.accounts().map(|(_, account)| AccountView::of(account)).collect();
        accounts.sort_by(|a, b| (a.role, &a.account).cmp(&(b.role, &b.account)));
        Accounts { position: fold.truth.position().0, at: fold.truth.time(), accounts }
    });
    Ok(web::Json(accounts.await?))
}

#[derive(Serialize, ToSchema)]
pub struct OneAccount {
    pub position: u64,
    pub account: AccountView,
}

fn one_of(fold: &Fold, stream: &StreamId) -> Result<OneAccount, Problem> {
    let account = fold.truth.account(stream).map(AccountView::of);
    let account = account.ok_or_else(|| Problem::not_found(format!("no account {stream} was ever seen")))?;
    Ok(OneAccount { position: fold.truth.position().0, account })
}

type Where = web::Path<(String, String)>;

fn stream_of(path: &Where) -> Result<StreamId, Problem> {
    let role: Role = path.0.parse().map_err(|error| Problem::invalid("role", error))?;
    Ok(StreamId::Account(role, AccountId::new(path.1.as_str()).map_err(|error| Problem::invalid("account", error))?))
}

/// One account.
#[utoipa::path(tag = "accounts", params(("role" = String, Path), ("account" = String, Path), AsOf), responses((status = 200, body = OneAccount), (status = 404, body = Problem)))]
#[get("/accounts/{role}/{account}")]
pub async fn one(app: Data, _caller: Caller, path: Where, query: web::Query<AsOf>) -> Answered<OneAccount> {
    let stream = stream_of(&path)?;
    app.look(query.as_of.as_deref(), |fold| one_of(fold, &stream)).await?.map(web::Json)
}

#[derive(Serialize, ToSchema)]
pub struct Changes {
    pub position: u64,
    /// How often the status ever changed.
    pub total: u64,
    /// The last changes, oldest first.
    pub changes: Vec<Change>,
}

#[derive(Serialize, ToSchema)]
pub struct Change {
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub old: u8,
    pub new: u8,
    pub warning_codes: Vec<&'static str>,
}

/// The last changes of an account's status.
#[utoipa::path(tag = "accounts", params(("role" = String, Path), ("account" = String, Path), AsOf), responses((status = 200, body = Changes), (status = 404, body = Problem)))]
#[get("/accounts/{role}/{account}/changes")]
pub async fn changes(app: Data, _caller: Caller, path: Where, query: web::Query<AsOf>) -> Answered<Changes> {
    let stream = stream_of(&path)?;
    let changes = app.look(query.as_of.as_deref(), |fold| {
        let number = fold.truth.names().number(&stream)?;
        let (total, last) = fold.views.history.of(number);
        let changes = last.map(|change| Change {
            position: change.position.0,
            at: change.at,
            old: change.old.code(),
            new: change.new.code(),
            warning_codes: change.warnings.codes(),
        });
        Some(Changes { position: fold.truth.position().0, total, changes: changes.collect() })
    });
    changes.await?.map(web::Json).ok_or_else(|| Problem::not_found(format!("no account {stream} was ever seen")))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    platform: String,
    broker: String,
    server: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    leverage: u32,
    trade_allowed: bool,
    #[serde(default)]
    ea_version: String,
}

/// A terminal says who it is. Needs the role operator, until terminals have keys of their own.
#[utoipa::path(tag = "accounts", params(("role" = String, Path), ("account" = String, Path)), request_body = Registration, responses((status = 200, body = OneAccount), (status = 409, body = Problem)))]
#[post("/accounts/{role}/{account}/register")]
pub async fn register(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: Where,
    bytes: web::Bytes,
) -> Answered<OneAccount> {
    caller.need(&app, Access::Operator, "change accounts").await?;
    let r: Registration = body(&bytes)?;
    let registered = Registered {
        platform: r.platform,
        broker: r.broker,
        server: r.server,
        name: r.name,
        currency: r.currency,
        leverage: r.leverage,
        trade_allowed: r.trade_allowed,
        ea_version: r.ea_version,
        ..Registered::default()
    };
    change(&app, &request, &caller, stream_of(&path)?, account::Command::Register(Box::new(registered)), &bytes).await
}

/// A terminal says goodbye.
#[utoipa::path(tag = "accounts", params(("role" = String, Path), ("account" = String, Path)), responses((status = 200, body = OneAccount), (status = 404, body = Problem)))]
#[post("/accounts/{role}/{account}/unregister")]
pub async fn unregister(app: Data, request: HttpRequest, caller: Caller, path: Where) -> Answered<OneAccount> {
    change(&app, &request, &caller, stream_of(&path)?, account::Command::Unregister, b"").await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Toggle {
    enabled: bool,
}

/// Switches an account on or off. `If-Match` with the revision is optional.
#[utoipa::path(tag = "accounts", params(("role" = String, Path), ("account" = String, Path)), request_body = Toggle, responses((status = 200, body = OneAccount), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[post("/accounts/{role}/{account}/toggle")]
pub async fn toggle(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: Where,
    bytes: web::Bytes,
) -> Answered<OneAccount> {
    caller.need(&app, Access::Operator, "change accounts").await?;
    let Toggle { enabled } = body(&bytes)?;
    change(&app, &request, &caller, stream_of(&path)?, account::Command::SetIntent { enabled }, &bytes).await
}

type LinkPath = web::Path<(String, String)>;

fn link_of(path: &LinkPath) -> Result<(AccountId, AccountId), Problem> {
    let slave = AccountId::new(path.0.as_str()).map_err(|error| Problem::invalid("account", error))?;
    let master = AccountId::new(path.1.as_str()).map_err(|error| Problem::invalid("master", error))?;
    Ok((slave, master))
}

/// Lets a slave follow a master.
#[utoipa::path(tag = "accounts", params(("account" = String, Path), ("master" = String, Path)), responses((status = 200, body = OneAccount), (status = 409, body = Problem)))]
#[put("/links/{account}/{master}")]
pub async fn link(app: Data, request: HttpRequest, caller: Caller, path: LinkPath) -> Answered<OneAccount> {
    let (slave, master) = link_of(&path)?;
    change(
        &app,
        &request,
        &caller,
        StreamId::slave(&slave),
        account::Command::Link { master, enabled: true, settings: Box::default() },
        b"",
    )
    .await
}

/// Lets a slave no longer follow a master.
#[utoipa::path(tag = "accounts", params(("account" = String, Path), ("master" = String, Path)), responses((status = 200, body = OneAccount), (status = 404, body = Problem)))]
#[delete("/links/{account}/{master}")]
pub async fn unlink(app: Data, request: HttpRequest, caller: Caller, path: LinkPath) -> Answered<OneAccount> {
    let (slave, master) = link_of(&path)?;
    let settled = app.host.durable.read(|fold| effective(fold, &master, &slave, |known| known.wind_down.get()));
    let unlink = account::Command::Unlink { master, wind_down: Some(settled), expected: None };
    change(&app, &request, &caller, StreamId::slave(&slave), unlink, b"").await
}

async fn change(
    app: &App,
    request: &HttpRequest,
    caller: &Caller,
    stream: StreamId,
    command: account::Command,
    body: &[u8],
) -> Answered<OneAccount> {
    caller.need(app, Access::Operator, "change accounts").await?;
    app.command(request, caller, Wish::account(stream.clone(), command, body)).await?;
    app.host.durable.read(|fold| one_of(fold, &stream)).map(web::Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    #[schema(value_type = String)]
    role: Role,
    #[schema(value_type = String)]
    account: AccountId,
    #[schema(value_type = String)]
    balance: Money,
    #[schema(value_type = String)]
    equity: Money,
    #[schema(value_type = String)]
    free_margin: Money,
    open_positions: u32,
    trade_allowed: bool,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    state_hash: Option<StateHash>,
    #[serde(default)]
    through_signal_seq: u64,
    /// Microseconds since 1970, by the terminal's clock.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    sent_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub struct HeartbeatsTaken {
    /// The position of the last one; all of them are durable.
    pub position: u64,
    pub accepted: usize,
    pub refused: Vec<HeartbeatRefused>,
}

#[derive(Serialize, ToSchema)]
pub struct HeartbeatRefused {
    pub index: usize,
    pub code: String,
    pub detail: String,
}

/// Takes in a list of heartbeats and answers once all of them are durable. 200 with `refused` where only some could be taken.
#[utoipa::path(tag = "accounts", request_body = Vec<Heartbeat>, responses((status = 200, body = HeartbeatsTaken), (status = 503, body = Problem)))]
#[post("/heartbeats")]
pub async fn heartbeats(app: Data, caller: Caller, bytes: web::Bytes) -> Answered<HeartbeatsTaken> {
    caller.need(&app, Access::Operator, "send heartbeats").await?;
    let heartbeats: Vec<Heartbeat> = body(&bytes)?;
    if heartbeats.len() > HEARTBEATS_MAX {
        return Err(Problem::invalid("body", format!("at most {HEARTBEATS_MAX} heartbeats at once")));
    }
    let now = app.clock.now();
    let waiting: Vec<_> = heartbeats.into_iter().map(|heartbeat| app.host.send(order(heartbeat, now))).collect();
    let mut taken = HeartbeatsTaken { position: 0, accepted: 0, refused: Vec::new() };
    let mut faults = Vec::new();
    for (index, waiting) in waiting.into_iter().enumerate() {
        let answered = match waiting {
            Ok(receiver) => receiver.await.unwrap_or(Err(Fault::Stopping)),
            Err(fault) => Err(fault),
        };
        let (code, detail) = match answered {
            Ok(reply) => match reply.answer {
                Answer::Done { last, .. } => {
                    taken.accepted += 1;
                    taken.position = taken.position.max(last.0);
                    continue;
                }
                Answer::Refused(denial) => (denial.code, denial.detail),
            },
            Err(fault) => {
                faults.push(fault);
                let problem = Problem::from(fault);
                (problem.code, problem.detail)
            }
        };
        taken.refused.push(HeartbeatRefused { index, code, detail });
    }
    if let Some(fault) = faults.first()
        && taken.accepted == 0
        && faults.len() == taken.refused.len()
    {
        return Err((*fault).into());
    }
    app.host.durable.shows(Position(taken.position), SHOWN_WITHIN).await;
    Ok(web::Json(taken))
}

fn order(heartbeat: Heartbeat, now: Timestamp) -> Order {
    let seen = HeartbeatSeen {
        balance: heartbeat.balance,
        equity: heartbeat.equity,
        free_margin: heartbeat.free_margin,
        open_positions: heartbeat.open_positions,
        trade_allowed: heartbeat.trade_allowed,
        state_hash: heartbeat.state_hash.unwrap_or_default(),
        through_signal_seq: heartbeat.through_signal_seq,
    };
    Order {
        to: StreamId::Account(heartbeat.role, heartbeat.account),
        command: Command::Account(account::Command::Heartbeat(seen)),
        by: Principal::Terminal,
        id: None,
        body: BodyHash(0),
        expected: None,
        occurred_at: heartbeat.sent_at.unwrap_or(now),
        received_at: now,
    }
}
