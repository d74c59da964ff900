//! Connections: who is at the other end of an account, what it has open and what is on its way, and what people set for it.

use super::accounts::AsOf;
use super::auth::Caller;
use super::groups::{account_id, etag, only_set, seen, under};
use super::problem::Problem;
use super::{Answered, App, Data, Wish, body};
use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidehelm_events::account::protection::Rearm;
use tidehelm_events::account::{self, Account, AccountSettings, Connection, Identity, SlaveBook};
use tidehelm_events::desk::Access;
use tidehelm_events::id::{AccountId, Role, StreamId};
use tidehelm_events::money::Money;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Affixes, Holding};
use tidehelm_events::view::Fold;
use utoipa::{IntoParams, ToSchema};

/// An account in one role, and its terminal.
#[derive(Serialize, ToSchema)]
pub struct ConnectionView {
    #[schema(value_type = String)]
    pub role: Role,
    pub account: String,
    /// `never`, `registered`, `online`, `lost` or `unregistered`.
    #[schema(value_type = String)]
    pub connection: Connection,
    /// Number of the registration that counts.
    pub epoch: u64,
    /// It has had a key: unsigned frames are refused.
    pub paired: bool,
    #[schema(value_type = Option<i64>)]
    pub last_heartbeat_at: Option<Timestamp>,
    pub enabled_flag: bool,
    pub runtime_status: u8,
    pub warning_codes: Vec<&'static str>,
    pub trade_allowed: Option<bool>,
    /// Number of the configuration that the terminal should have.
    pub config_version: u64,
    pub platform: Option<String>,
    pub broker: Option<String>,
    pub server: Option<String>,
    pub name: Option<String>,
    pub currency: Option<String>,
    pub leverage: Option<u32>,
    pub ea_version: Option<String>,
    /// `hedging` or `netting`.
    #[schema(value_type = Option<String>)]
    pub holding: Option<Holding>,
    #[schema(value_type = Option<String>)]
    pub balance: Option<Money>,
    #[schema(value_type = Option<String>)]
    pub equity: Option<Money>,
    #[schema(value_type = Option<String>)]
    pub free_margin: Option<Money>,
    pub open_positions: Option<u32>,
    /// Trades of a master that are open.
    pub open_trades: usize,
    /// Trades of its masters that a slave holds copies of, and orders without a result.
    pub open_copies: usize,
    pub orders_open: usize,
    /// For `If-Match`.
    pub version: u64,
}

/// The same with everything that is open.
#[derive(Serialize, ToSchema)]
pub struct ConnectionDetail {
    #[serde(flatten)]
    pub connection: ConnectionView,
    /// What the broker adds to the usual names of symbols.
    #[schema(value_type = Object)]
    pub affixes: Affixes,
    /// Symbols whose contracts the terminal told.
    pub symbols: usize,
    /// A master's open trades.
    #[schema(value_type = Vec<Object>)]
    pub trades: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    pub copies: Vec<Value>,
    /// Orders without a result, in their order.
    #[schema(value_type = Vec<Object>)]
    pub outbox: Vec<Value>,
    /// Each limit that is watched, with what of it is used.
    #[schema(value_type = Vec<Object>)]
    pub protection: Vec<Value>,
    #[schema(value_type = Object)]
    pub settings: Value,
}

impl ConnectionView {
    fn of(fold: &Fold, account: &Account) -> Self {
        let (identity, figures) = (account.identity.as_deref(), account.figures.as_deref());
        let text = |field: fn(&Identity) -> &String| identity.map(field).cloned();
        let book = account.slave_book.as_deref();
        ConnectionView {
            role: account.role,
            account: account.id.to_string(),
            connection: account.connection,
            epoch: account.epoch,
            paired: fold.truth.desk().is_some_and(|desk| desk.is_keyed(&account.id, account.role)),
            last_heartbeat_at: account.last_heartbeat_at(),
            enabled_flag: account.intent,
            runtime_status: account.status.code(),
            warning_codes: account.warnings.codes(),
            trade_allowed: identity.map(|_| account.trade_allowed),
            config_version: account.config_version,
            platform: text(|identity| &identity.platform),
            broker: text(|identity| &identity.broker),
            server: text(|identity| &identity.server),
            name: text(|identity| &identity.name),
            currency: text(|identity| &identity.currency),
            leverage: identity.map(|identity| identity.leverage),
            ea_version: text(|identity| &identity.ea_version),
            holding: identity.map(|identity| identity.holding),
            balance: figures.map(|figures| figures.balance),
            equity: figures.map(|figures| figures.equity),
            free_margin: figures.map(|figures| figures.free_margin),
            open_positions: figures.map(|figures| figures.open_positions),
            open_trades: account.master_book.as_ref().map_or(0, |book| book.trades.len()),
            open_copies: book.map_or(0, |book| book.all_copies().count()),
            orders_open: book.map_or(0, |book| book.outbox.len()),
            version: account.revision.0,
        }
    }
}

impl ConnectionDetail {
    fn of(fold: &Fold, account: &Account) -> Self {
        let identity = account.identity.as_deref();
        let masters = account.master_book.iter().flat_map(|book| book.trades.values());
        let book = account.slave_book.as_deref();
        let rules = account.settings.as_ref().map(|settings| &settings.protection);
        let gauges = account.protection.as_ref().zip(rules).map(|(protection, rules)| protection.gauges(rules));
        ConnectionDetail {
            connection: ConnectionView::of(fold, account),
            affixes: identity.map(|identity| identity.affixes.clone()).unwrap_or_default(),
            symbols: identity.map_or(0, |identity| identity.contracts.len()),
            trades: masters.map(|held| shown(&held.trade)).collect(),
            copies: book.map(copies).unwrap_or_default(),
            outbox: book.iter().flat_map(|book| book.outbox.values()).map(shown).collect(),
            protection: gauges.iter().flatten().map(shown).collect(),
            settings: settings_of(account),
        }
    }
}

fn shown<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn copies(book: &SlaveBook) -> Vec<Value> {
    let shown = book.all_copies().map(|(master, ticket, copy)| {
        let mut copy = shown(copy);
        copy["master"] = json!(master);
        copy["ticket"] = json!(ticket);
        copy
    });
    shown.collect()
}

/// The account's own settings; what its copies leave to other layers is left out.
fn settings_of(account: &Account) -> Value {
    let settings = account.settings.as_deref().cloned().unwrap_or_default();
    let mut all = shown(&settings);
    all["copy"] = only_set(&settings.copy);
    all
}

#[derive(Serialize, ToSchema)]
pub struct Connections {
    /// The position that this reflects.
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub connections: Vec<ConnectionView>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// `master` or `slave`; without it both.
    #[param(value_type = Option<String>)]
    pub role: Option<Role>,
    /// A position or a time, as everywhere. Without it, now.
    pub as_of: Option<String>,
}

/// Every account with its terminal, masters first.
#[utoipa::path(tag = "connections", params(Which), responses((status = 200, body = Connections), (status = 410, body = Problem), (status = 422, body = Problem)))]
#[get("/connections")]
pub async fn list(app: Data, _caller: Caller, query: web::Query<Which>) -> Answered<Connections> {
    let found = app.look(query.as_of.as_deref(), |fold| {
        let wanted = |account: &&Account| query.role.is_none_or(|role| role == account.role);
        let mut accounts: Vec<&Account> = fold.truth.accounts().map(|(_, account)| account).filter(wanted).collect();
        accounts.sort_by(|a, b| (a.role, &a.id).cmp(&(b.role, &b.id)));
        let connections = accounts.into_iter().map(|account| ConnectionView::of(fold, account)).collect();
        Connections { position: fold.truth.position().0, at: fold.truth.time(), connections }
    });
    Ok(web::Json(found.await?))
}

#[derive(Serialize, ToSchema)]
pub struct OneConnection {
    pub position: u64,
    pub account: String,
    /// One for each role.
    pub connections: Vec<ConnectionDetail>,
}

/// An account in both roles, with everything that is open.
#[utoipa::path(tag = "connections", params(("account" = String, Path), AsOf), responses((status = 200, body = OneConnection), (status = 404, body = Problem)))]
#[get("/connections/{account}")]
pub async fn one(
    app: Data,
    _caller: Caller,
    path: web::Path<String>,
    query: web::Query<AsOf>,
) -> Answered<OneConnection> {
    let id = account_id(&path, "account")?;
    let found = app.look(query.as_of.as_deref(), |fold| {
        let roles = [Role::Master, Role::Slave].map(|role| fold.truth.account(&StreamId::Account(role, id.clone())));
        let connections = roles.into_iter().flatten().map(|account| ConnectionDetail::of(fold, account)).collect();
        OneConnection { position: fold.truth.position().0, account: id.to_string(), connections }
    });
    let found = found.await?;
    if found.connections.is_empty() {
        return Err(unknown(&id));
    }
    Ok(web::Json(found))
}

#[derive(Serialize, ToSchema)]
pub struct SettingsOfAccount {
    pub position: u64,
    /// For `If-Match`.
    pub version: u64,
    #[schema(value_type = Object)]
    pub settings: Value,
}

type Where = web::Path<(String, String)>;

fn stream_of(path: &Where) -> Result<StreamId, Problem> {
    let role = path.0.parse().map_err(|error| Problem::invalid("role", error))?;
    Ok(StreamId::Account(role, account_id(&path.1, "account")?))
}

fn settings_view(fold: &Fold, stream: &StreamId) -> Option<SettingsOfAccount> {
    let account = fold.truth.account(stream)?;
    let (position, version) = (fold.truth.position().0, account.revision.0);
    Some(SettingsOfAccount { position, version, settings: settings_of(account) })
}

fn answer(found: Option<SettingsOfAccount>, stream: &StreamId) -> Result<HttpResponse, Problem> {
    let found = found.ok_or_else(|| unknown_stream(stream))?;
    Ok(HttpResponse::Ok().insert_header(etag(found.version)).json(found))
}

/// What people set for one account: how it copies, whether it waits for all its masters, and its limits.
#[utoipa::path(tag = "connections", params(("role" = String, Path), ("account" = String, Path), AsOf), responses((status = 200, body = SettingsOfAccount), (status = 404, body = Problem)))]
#[get("/connections/{role}/{account}/settings")]
pub async fn own_settings(
    app: Data,
    _caller: Caller,
    path: Where,
    query: web::Query<AsOf>,
) -> Result<HttpResponse, Problem> {
    let stream = stream_of(&path)?;
    let found = app.look(query.as_of.as_deref(), |fold| settings_view(fold, &stream)).await?;
    answer(found, &stream)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsWish {
    /// All of them: what is left out is as it is by default.
    #[schema(value_type = Object)]
    settings: AccountSettings,
    /// As `If-Match`, for who cannot set headers.
    #[serde(default)]
    version: Option<u64>,
}

/// Changes an account's settings as a whole. Needs the version, as `If-Match` or in the body.
#[utoipa::path(tag = "connections", params(("role" = String, Path), ("account" = String, Path)), request_body = SettingsWish, responses((status = 200, body = SettingsOfAccount), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/connections/{role}/{account}/settings")]
pub async fn change_settings(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: Where,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "change an account's settings").await?;
    let stream = stream_of(&path)?;
    let SettingsWish { settings, version } = body(&bytes)?;
    let seen = seen(&app, &request, &caller, &stream, version, || known(&app, &stream))?;
    let command = account::Command::ChangeSettings(Box::new(settings));
    let changed = app.command(&request, &caller, Wish::account(stream.clone(), command, &bytes).at(seen)).await;
    changed.map_err(|problem| under("settings", problem))?;
    answer(app.host.durable.read(|fold| settings_view(fold, &stream)), &stream)
}

#[derive(Serialize, ToSchema)]
pub struct Rearmed {
    pub position: u64,
    /// Each limit that is watched, as it is now.
    #[schema(value_type = Vec<Object>)]
    pub protection: Vec<Value>,
}

/// The body of a re-arming, for the document.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct RearmWish {
    /// Limits that were hit: `daily_loss`, `total_drawdown` …
    limits: Option<Vec<String>>,
    /// What limits are measured from now on.
    baseline: Option<serde_json::Map<String, Value>>,
    reason: String,
}

/// Arms limits again that were hit, or says what they are measured from. Needs a reason.
#[utoipa::path(tag = "connections", params(("role" = String, Path), ("account" = String, Path)), request_body = RearmWish, responses((status = 200, body = Rearmed), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
#[post("/connections/{role}/{account}/rearm")]
pub async fn rearm(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: Where,
    bytes: web::Bytes,
) -> Answered<Rearmed> {
    caller.need(&app, Access::Operator, "re-arm limits").await?;
    let stream = stream_of(&path)?;
    let wish: Rearm = body(&bytes)?;
    known(&app, &stream)?;
    let command = account::Command::Rearm(Box::new(wish));
    let reply = app.command(&request, &caller, Wish::account(stream.clone(), command, &bytes)).await?;
    let protection = app.host.durable.read(|fold| {
        let detail = fold.truth.account(&stream).map(|account| ConnectionDetail::of(fold, account));
        detail.map(|detail| detail.protection).unwrap_or_default()
    });
    Ok(web::Json(Rearmed { position: reply.position.0, protection }))
}

fn known(app: &App, stream: &StreamId) -> Result<u64, Problem> {
    let version = app.host.durable.read(|fold| fold.truth.account(stream).map(|account| account.revision.0));
    version.ok_or_else(|| unknown_stream(stream))
}

fn unknown(account: &AccountId) -> Problem {
    Problem::new(404, "account_unknown", format!("no account {account} was ever seen"))
}

fn unknown_stream(stream: &StreamId) -> Problem {
    Problem::new(404, "account_unknown", format!("no account {stream} was ever seen"))
}
