//! Trade groups, which are masters with their settings, and their members, which are links to slaves.

use super::accounts::AsOf;
use super::auth::Caller;
use super::problem::Problem;
use super::why::LatencyView;
use super::{Answered, App, Data, Wish, body};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidehelm_events::account::{self, Account, Link};
use tidehelm_events::copy::Overrides;
use tidehelm_events::copy::settings::{self, Effective, Layer, WindDown};
use tidehelm_events::desk::Access;
use tidehelm_events::id::{AccountId, StreamId, Version};
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::Fold;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TradeGroup {
    pub master_account: String,
    pub display_name: String,
    /// The same as `enabled_flag`.
    pub enabled: bool,
    /// What people want.
    pub enabled_flag: bool,
    /// 0 or 2, computed.
    pub master_runtime_status: u8,
    pub warning_codes: Vec<&'static str>,
    pub members: Vec<Member>,
    /// Only what is set here; `GET /api/copy-settings` lists all fields with their meaning.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// For `If-Match`.
    pub version: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Member {
    /// The master's account.
    pub trade_group_id: String,
    pub slave_account: String,
    pub enabled_flag: bool,
    /// Of this link: 0, 1 or 2, computed.
    pub runtime_status: u8,
    /// The same as `runtime_status`.
    pub status: u8,
    /// Of the slave over all its links.
    pub cluster_status: u8,
    pub allow_new_orders: bool,
    pub warning_codes: Vec<&'static str>,
    #[schema(value_type = Object)]
    pub slave_settings: Value,
    /// Copies that the slave holds of this master's trades, and orders without a result.
    pub open_copies: usize,
    pub orders_open: usize,
    /// For `If-Match`.
    pub version: u64,
}

impl TradeGroup {
    /// None where the master has no group.
    pub fn of(fold: &Fold, master: &AccountId) -> Option<Self> {
        let account = fold.truth.account(&StreamId::master(master))?;
        let group = account.group.as_ref()?;
        let slaves = fold.truth.slaves_of(master);
        Some(TradeGroup {
            master_account: master.to_string(),
            display_name: group.name.clone(),
            enabled: account.intent,
            enabled_flag: account.intent,
            master_runtime_status: account.status.code(),
            warning_codes: account.warnings.codes(),
            members: slaves.filter_map(|slave| Member::of(fold, master, slave)).collect(),
            settings: only_set(&group.settings),
            version: account.revision.0,
        })
    }
}

impl Member {
    /// None where there is no such link, or where it is on its way out.
    pub fn of(fold: &Fold, master: &AccountId, slave: &AccountId) -> Option<Self> {
        let account = fold.truth.account(&StreamId::slave(slave))?;
        account.member(master).map(|link| Member::shown(account, master, link))
    }

    fn shown(account: &Account, master: &AccountId, link: &Link) -> Self {
        let book = account.slave_book.as_deref();
        let orders = book.into_iter().flat_map(|book| book.outbox.values());
        Member {
            trade_group_id: master.to_string(),
            slave_account: account.id.to_string(),
            enabled_flag: link.enabled,
            runtime_status: link.status.code(),
            status: link.status.code(),
            cluster_status: account.status.code(),
            allow_new_orders: account.allows_new_orders(link),
            warning_codes: link.warnings.codes(),
            slave_settings: only_set(&link.settings),
            open_copies: book.and_then(|book| book.copies.get(master)).map_or(0, |copies| copies.len()),
            orders_open: orders.filter(|order| order.master.as_ref() == Some(master)).count(),
            version: link.revision.0,
        }
    }
}

/// What a layer sets, without what it leaves to others.
pub fn only_set(overrides: &Overrides) -> Value {
    match serde_json::to_value(overrides) {
        Ok(Value::Object(fields)) => Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        _ => Value::Object(serde_json::Map::new()),
    }
}

#[derive(Serialize, ToSchema)]
pub struct TradeGroups {
    /// The position that this reflects.
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub trade_groups: Vec<TradeGroup>,
}

/// Every trade group with its members.
#[utoipa::path(tag = "trade groups", params(AsOf), responses((status = 200, body = TradeGroups), (status = 410, body = Problem)))]
#[get("/trade-groups")]
pub async fn list(app: Data, _caller: Caller, query: web::Query<AsOf>) -> Answered<TradeGroups> {
    let groups = app.look(query.as_of.as_deref(), |fold| {
        let masters = fold.truth.accounts().filter(|(_, account)| account.group.is_some());
        let mut ids: Vec<&AccountId> = masters.map(|(_, account)| &account.id).collect();
        ids.sort();
        let trade_groups = ids.into_iter().filter_map(|id| TradeGroup::of(fold, id)).collect();
        TradeGroups { position: fold.truth.position().0, at: fold.truth.time(), trade_groups }
    });
    Ok(web::Json(groups.await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    #[schema(value_type = String)]
    master_account: AccountId,
    /// Without it the account's id.
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Overrides,
}

/// Gives a master a trade group. Its terminal may come later.
#[utoipa::path(tag = "trade groups", request_body = NewGroup, responses((status = 201, body = TradeGroup), (status = 409, body = Problem), (status = 422, body = Problem)))]
#[post("/trade-groups")]
pub async fn create(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let NewGroup { master_account, display_name, enabled, settings } = body(&bytes)?;
    let name = display_name.unwrap_or_else(|| master_account.to_string());
    let command = account::Command::CreateGroup { name, settings: Box::new(settings), enabled };
    let group = change_group(&app, &request, &caller, &master_account, command, &bytes).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/trade-groups/{master_account}")))
        .insert_header(etag(group.version))
        .json(group))
}

/// One trade group.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path), AsOf), responses((status = 200, body = TradeGroup), (status = 404, body = Problem)))]
#[get("/trade-groups/{master}")]
pub async fn one(
    app: Data,
    _caller: Caller,
    path: web::Path<String>,
    query: web::Query<AsOf>,
) -> Result<HttpResponse, Problem> {
    let master = account_id(&path, "master")?;
    let group = app.look(query.as_of.as_deref(), |fold| TradeGroup::of(fold, &master)).await?;
    let group = group.ok_or_else(|| no_group(&master))?;
    Ok(HttpResponse::Ok().insert_header(etag(group.version)).json(group))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupBody {
    display_name: String,
    /// Left as it is where it is not said.
    #[serde(default)]
    enabled: Option<bool>,
    /// All of them: what is left out is not set any more.
    #[schema(value_type = Object)]
    settings: Overrides,
    /// As `If-Match`, for who cannot set headers.
    #[serde(default)]
    version: Option<u64>,
}

/// Changes a trade group as a whole. Needs the version, as `If-Match` or in the body.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path)), request_body = GroupBody, responses((status = 200, body = TradeGroup), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/trade-groups/{master}")]
pub async fn change(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let master = account_id(&path, "master")?;
    let GroupBody { display_name, enabled, settings, version } = body(&bytes)?;
    caller.need(&app, Access::Operator, "change trade groups").await?;
    let stream = StreamId::master(&master);
    let seen = seen(&app, &request, &caller, &stream, version, || known_group(&app, &master))?;
    let command = account::Command::ChangeGroup { name: display_name, settings: Box::new(settings), enabled };
    app.command(&request, &caller, Wish::account(stream, command, &bytes).at(seen)).await?;
    let group = app.host.durable.read(|fold| TradeGroup::of(fold, &master)).ok_or_else(|| no_group(&master))?;
    Ok(HttpResponse::Ok().insert_header(etag(group.version)).json(group))
}

#[derive(Serialize, ToSchema)]
pub struct Removed {
    pub position: u64,
}

/// Removes a trade group and the links of its members; each slave's copies go as its settings say. The terminals are told.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path)), responses((status = 200, body = Removed), (status = 404, body = Problem), (status = 412, body = Problem), (status = 428, body = Problem)))]
#[delete("/trade-groups/{master}")]
pub async fn remove(app: Data, request: HttpRequest, caller: Caller, path: web::Path<String>) -> Answered<Removed> {
    caller.need(&app, Access::Operator, "remove trade groups").await?;
    let master = account_id(&path, "master")?;
    let stream = StreamId::master(&master);
    let seen = seen(&app, &request, &caller, &stream, None, || known_group(&app, &master))?;
    let wish = Wish::account(stream, account::Command::RemoveGroup, b"").at(seen);
    let reply = app.command(&request, &caller, wish).await?;
    Ok(web::Json(Removed { position: reply.position.0 }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Toggle {
    enabled: bool,
}

/// Switches a master on or off. `If-Match` is optional.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path)), request_body = Toggle, responses((status = 200, body = TradeGroup), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[post("/trade-groups/{master}/toggle")]
pub async fn toggle(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Answered<TradeGroup> {
    let master = account_id(&path, "master")?;
    let Toggle { enabled } = body(&bytes)?;
    if app.host.durable.read(|fold| TradeGroup::of(fold, &master).is_none()) {
        return Err(no_group(&master));
    }
    let command = account::Command::SetIntent { enabled };
    change_group(&app, &request, &caller, &master, command, &bytes).await.map(web::Json)
}

async fn change_group(
    app: &App,
    request: &HttpRequest,
    caller: &Caller,
    master: &AccountId,
    command: account::Command,
    bytes: &[u8],
) -> Result<TradeGroup, Problem> {
    caller.need(app, Access::Operator, "change trade groups").await?;
    app.command(request, caller, Wish::account(StreamId::master(master), command, bytes)).await?;
    app.host.durable.read(|fold| TradeGroup::of(fold, master)).ok_or_else(|| no_group(master))
}

#[derive(Serialize, ToSchema)]
pub struct Members {
    pub position: u64,
    pub members: Vec<Member>,
}

/// The members of a trade group.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path), AsOf), responses((status = 200, body = Members), (status = 404, body = Problem)))]
#[get("/trade-groups/{master}/members")]
pub async fn members(
    app: Data,
    _caller: Caller,
    path: web::Path<String>,
    query: web::Query<AsOf>,
) -> Answered<Members> {
    let master = account_id(&path, "master")?;
    let members = app.look(query.as_of.as_deref(), |fold| {
        let group = TradeGroup::of(fold, &master)?;
        Some(Members { position: fold.truth.position().0, members: group.members })
    });
    members.await?.map(web::Json).ok_or_else(|| no_group(&master))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    #[schema(value_type = String)]
    slave_account: AccountId,
    /// Off unless said: nothing is copied by surprise.
    #[serde(default, alias = "enabled_flag")]
    enabled: bool,
    #[serde(default)]
    #[schema(value_type = Object)]
    slave_settings: Overrides,
}

/// Lets a slave copy this master. The first member that is switched on switches on the slave's account, too.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path)), request_body = NewMember, responses((status = 201, body = Member), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
#[post("/trade-groups/{master}/members")]
pub async fn add_member(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let master = account_id(&path, "master")?;
    let NewMember { slave_account, enabled, slave_settings } = body(&bytes)?;
    if app.host.durable.read(|fold| TradeGroup::of(fold, &master).is_none()) {
        return Err(no_group(&master));
    }
    let settings = Box::new(slave_settings);
    let command = account::Command::Link { master: master.clone(), enabled, settings };
    let member = change_member(&app, &request, &caller, (&master, &slave_account), command, &bytes).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/trade-groups/{master}/members/{slave_account}")))
        .insert_header(etag(member.version))
        .json(member))
}

type MemberPath = web::Path<(String, String)>;

fn both(path: &MemberPath) -> Result<(AccountId, AccountId), Problem> {
    Ok((account_id(&path.0, "master")?, account_id(&path.1, "slave")?))
}

#[derive(Serialize, ToSchema)]
pub struct OneMember {
    #[serde(flatten)]
    pub member: Member,
    /// Every setting as it is in force, and the layer that it comes from.
    #[schema(value_type = Object)]
    pub effective: Value,
    /// None where no order was measured yet.
    pub latency: Option<LatencyView>,
}

/// One member, with every setting in force and where it comes from.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path), ("slave" = String, Path), AsOf), responses((status = 200, body = OneMember), (status = 404, body = Problem)))]
#[get("/trade-groups/{master}/members/{slave}")]
pub async fn one_member(
    app: Data,
    _caller: Caller,
    path: MemberPath,
    query: web::Query<AsOf>,
) -> Result<HttpResponse, Problem> {
    let (master, slave) = both(&path)?;
    let found = app.look(query.as_of.as_deref(), |fold| {
        let member = Member::of(fold, &master, &slave)?;
        let effective =
            effective(fold, &master, &slave, |effective| serde_json::to_value(effective).unwrap_or_default());
        let slave = fold.truth.names().number(&StreamId::slave(&slave));
        let latency = slave.and_then(|slave| LatencyView::of_link(fold, slave, &master));
        Some(OneMember { member, effective, latency })
    });
    let found = found.await?.ok_or_else(|| no_member(&master, &slave))?;
    Ok(HttpResponse::Ok().insert_header(etag(found.member.version)).json(found))
}

/// The settings that a link goes by, by the same layers as its decisions.
pub fn effective<R>(fold: &Fold, master: &AccountId, slave: &AccountId, look: impl FnOnce(&Effective<'_>) -> R) -> R {
    let of_master = fold.truth.account(&StreamId::master(master));
    let of_slave = fold.truth.account(&StreamId::slave(slave));
    let mut layers: Vec<(Layer, &Overrides)> = Vec::new();
    layers.extend(fold.truth.desk().map(|desk| (Layer::Global, desk.copy_defaults.as_ref())));
    layers.extend(of_master.and_then(|known| known.settings.as_ref()).map(|known| (Layer::Master, &known.copy)));
    layers
        .extend(of_master.and_then(|known| known.group.as_ref()).map(|group| (Layer::Group, group.settings.as_ref())));
    layers.extend(of_slave.and_then(|known| known.links.get(master)).map(|link| (Layer::Link, link.settings.as_ref())));
    layers.extend(of_slave.and_then(|known| known.settings.as_ref()).map(|known| (Layer::Slave, &known.copy)));
    look(&settings::resolve(&layers))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberBody {
    /// Left as it is where it is not said.
    #[serde(default, alias = "enabled_flag")]
    enabled: Option<bool>,
    /// All of them: what is left out is not set any more.
    #[schema(value_type = Object)]
    slave_settings: Overrides,
    /// As `If-Match`, for who cannot set headers.
    #[serde(default)]
    version: Option<u64>,
}

/// Changes a member as a whole. Needs the version, as `If-Match` or in the body.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path), ("slave" = String, Path)), request_body = MemberBody, responses((status = 200, body = Member), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/trade-groups/{master}/members/{slave}")]
pub async fn set_member(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: MemberPath,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let (master, slave) = both(&path)?;
    let MemberBody { enabled, slave_settings, version } = body(&bytes)?;
    caller.need(&app, Access::Operator, "change members").await?;
    let stream = StreamId::slave(&slave);
    let expected = seen(&app, &request, &caller, &stream, version, || known_member(&app, &master, &slave))?;
    let settings = Box::new(slave_settings);
    let command = account::Command::ChangeLink { master: master.clone(), settings, enabled, expected };
    let member = change_member(&app, &request, &caller, (&master, &slave), command, &bytes).await?;
    Ok(HttpResponse::Ok().insert_header(etag(member.version)).json(member))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// What becomes of the copies: `keep`, `close_only_by_position`, `close_only_by_symbol` or `close_now`. Without it as the
    /// settings say.
    #[param(value_type = Option<String>)]
    pub wind_down: Option<WindDown>,
}

/// Removes a member. The slave's terminal is told.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path), ("slave" = String, Path), Removal), responses((status = 200, body = Removed), (status = 404, body = Problem), (status = 412, body = Problem), (status = 428, body = Problem)))]
#[delete("/trade-groups/{master}/members/{slave}")]
pub async fn remove_member(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: MemberPath,
    query: web::Query<Removal>,
) -> Answered<Removed> {
    caller.need(&app, Access::Operator, "change members").await?;
    let (master, slave) = both(&path)?;
    let stream = StreamId::slave(&slave);
    let expected = seen(&app, &request, &caller, &stream, None, || known_member(&app, &master, &slave))?;
    let settled = app.host.durable.read(|fold| effective(fold, &master, &slave, |known| known.wind_down.get()));
    let wind_down = Some(query.wind_down.unwrap_or(settled));
    let command = account::Command::Unlink { master, wind_down, expected };
    let asked = request.query_string().as_bytes().to_vec();
    let wish = Wish::account(stream, command, &asked).with_its_own_version();
    let reply = app.command(&request, &caller, wish).await?;
    Ok(web::Json(Removed { position: reply.position.0 }))
}

/// Switches a member on or off. `If-Match` is optional.
#[utoipa::path(tag = "trade groups", params(("master" = String, Path), ("slave" = String, Path)), request_body = Toggle, responses((status = 200, body = Member), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
#[post("/trade-groups/{master}/members/{slave}/toggle")]
pub async fn toggle_member(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: MemberPath,
    bytes: web::Bytes,
) -> Answered<Member> {
    let (master, slave) = both(&path)?;
    let Toggle { enabled } = body(&bytes)?;
    known_member(&app, &master, &slave)?;
    let expected = super::expected(&request)?;
    let command = account::Command::SwitchLink { master: master.clone(), enabled, expected };
    change_member(&app, &request, &caller, (&master, &slave), command, &bytes).await.map(web::Json)
}

async fn change_member(
    app: &App,
    request: &HttpRequest,
    caller: &Caller,
    (master, slave): (&AccountId, &AccountId),
    command: account::Command,
    bytes: &[u8],
) -> Result<Member, Problem> {
    caller.need(app, Access::Operator, "change members").await?;
    let wish = Wish::account(StreamId::slave(slave), command, bytes).with_its_own_version();
    app.command(request, caller, wish).await?;
    app.host.durable.read(|fold| Member::of(fold, master, slave)).ok_or_else(|| no_member(master, slave))
}

fn known_member(app: &App, master: &AccountId, slave: &AccountId) -> Result<u64, Problem> {
    let version = app.host.durable.read(|fold| {
        TradeGroup::of(fold, master)?;
        Member::of(fold, master, slave).map(|member| member.version)
    });
    version.ok_or_else(|| no_member(master, slave))
}

fn known_group(app: &App, master: &AccountId) -> Result<u64, Problem> {
    let version = app.host.durable.read(|fold| TradeGroup::of(fold, master).map(|group| group.version));
    version.ok_or_else(|| no_group(master))
}

/// The version that the caller saw of a thing that is there; none for a repeat, which is answered as it was.
pub fn seen(
    app: &App,
    request: &HttpRequest,
    caller: &Caller,
    stream: &StreamId,
    in_body: Option<u64>,
    known: impl FnOnce() -> Result<u64, Problem>,
) -> Result<Option<Version>, Problem> {
    match app.was_answered(request, caller, stream)? {
        true => Ok(None),
        false => needs_version(request, in_body, known()?).map(Some),
    }
}

/// The version that the caller saw. Without one a change of a whole thing is refused: it would undo what others did meanwhile.
fn needs_version(request: &HttpRequest, in_body: Option<u64>, known: u64) -> Result<Version, Problem> {
    let given = match super::expected(request)? {
        None if request.headers().contains_key(header::IF_MATCH) => return Ok(Version(known)),
        Some(version) => Some(version),
        None => in_body.map(Version),
    };
    let Some(seen) = given else {
        let detail = "say which version you saw: `If-Match: \"VERSION\"`, as the resource shows it";
        return Err(Problem { field: Some("If-Match".into()), ..Problem::new(428, "version_required", detail) });
    };
    if seen.0 == known {
        return Ok(seen);
    }
    let detail = format!("it was changed meanwhile: you saw version {seen}, it is at {known}; read it again");
    let in_header = request.headers().contains_key(header::IF_MATCH);
    Err(Problem::new(if in_header { 412 } else { 409 }, "revision_stale", detail))
}

pub fn etag(version: u64) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

/// The field of a setting that was refused, as it stands in the request's body.
pub fn under(part: &str, problem: Problem) -> Problem {
    match problem.field {
        Some(field) if problem.code == "setting_invalid" => {
            Problem { field: Some(format!("{part}.{field}")), ..problem }
        }
        _ => problem,
    }
}

pub fn account_id(text: &str, field: &str) -> Result<AccountId, Problem> {
    AccountId::new(text).map_err(|error| Problem::invalid(field, error))
}

fn no_group(master: &AccountId) -> Problem {
    Problem::new(404, "group_unknown", format!("{master} has no trade group"))
}

fn no_member(master: &AccountId, slave: &AccountId) -> Problem {
    Problem::new(404, "link_unknown", format!("{slave} is no member of the trade group of {master}"))
}
