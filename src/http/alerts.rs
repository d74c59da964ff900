//! What is raised, who hears of it, and whether they did.

use super::accounts::AsOf;
use super::auth::Caller;
use super::groups::{etag, seen};
use super::problem::Problem;
use super::{Answered, App, Data, Wish, body};
use crate::alerts::{Message, key_of, new_key, outbox};
use crate::ambient;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tidehelm_actors::port::Clock;
use tidehelm_events::alert::{
    self, Alert, Alerts, Channel, ChannelId, Command, Delivery, DeliveryId, Entry, Mute, Pattern, Rule, RuleId,
    Severity, Way, When,
};
use tidehelm_events::answer::Answer;
use tidehelm_events::desk::Access;
use tidehelm_events::event::Event;
use tidehelm_events::id::{CredentialId, Position, StreamId, Version};
use tidehelm_events::reason::Reason;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::view::Fold;
use utoipa::{IntoParams, ToSchema};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// No command of a person makes more events.
const SCAN: usize = 1_000;

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlertView {
    /// Position of the event that raised it.
    pub id: u64,
    pub rule: String,
    pub subject: String,
    pub condition: &'static str,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    pub title: String,
    pub detail: String,
    /// `raised` or `cleared`.
    pub state: &'static str,
    #[schema(value_type = i64)]
    pub since: Timestamp,
    #[schema(value_type = i64)]
    pub raised_at: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub cleared_at: Option<Timestamp>,
    /// Nobody was told, since somebody wanted it so.
    pub muted: bool,
    pub acknowledged_by: Option<String>,
    #[schema(value_type = Option<i64>)]
    pub acknowledged_at: Option<Timestamp>,
    pub note: Option<String>,
    /// Who is told.
    pub channels: Vec<String>,
}

impl AlertView {
    pub fn of(at: Position, alert: &Alert) -> Self {
        let seen = alert.acknowledged.as_ref();
        AlertView {
            id: at.0,
            rule: alert.rule.to_string(),
            subject: alert.subject.to_string(),
            condition: alert.when.as_str(),
            severity: alert.severity.as_str(),
            title: alert.title.clone(),
            detail: alert.detail.clone(),
            state: if alert.cleared.is_some() { "cleared" } else { "raised" },
            since: alert.since,
            raised_at: alert.raised_at,
            cleared_at: alert.cleared.as_ref().map(|cleared| cleared.at),
            muted: alert.muted,
            acknowledged_by: seen.map(|seen| seen.by.clone()),
            acknowledged_at: seen.map(|seen| seen.at),
            note: seen.and_then(|seen| seen.note.as_ref()).map(ToString::to_string),
            channels: alert.channels.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Raised,
    Cleared,
    All,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AlertQuery {
    /// `raised` (the default), `cleared` or `all`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: Wanted,
    rule: Option<String>,
    /// At least so severe.
    #[param(value_type = Option<String>)]
    severity: Option<Severity>,
    /// A subject, in which `*` stands for anything.
    subject: Option<String>,
    /// Only those before this one: what `next` said.
    before: Option<u64>,
    /// 1 to 1000, 100 without it.
    limit: Option<usize>,
    /// A position or a time.
    as_of: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct AlertList {
    pub position: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// How many are raised in all.
    pub raised: usize,
    /// Newest first.
    pub alerts: Vec<AlertView>,
    /// For `before`, where there are more.
    pub next: Option<u64>,
}

/// Alerts, newest first. Of those that are cleared the last thousand are here; the log has them all.
#[utoipa::path(tag = "alerts", params(AlertQuery), responses((status = 200, body = AlertList), (status = 410, body = Problem), (status = 422, body = Problem)))]
#[get("/alerts")]
pub async fn list(app: Data, _caller: Caller, query: web::Query<AlertQuery>) -> Answered<AlertList> {
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("1 to {LIMIT_MAX}")));
    }
    let rule = query.rule.as_deref().map(|text| named::<RuleId>(text, "rule")).transpose()?;
    let subject = query.subject.as_deref().map(|text| named::<Pattern>(text, "subject")).transpose()?;
    let before = Position(query.before.unwrap_or(u64::MAX));
    let wanted = |alert: &Alert| {
        let state = match query.state {
            Wanted::Raised => alert.cleared.is_none(),
            Wanted::Cleared => alert.cleared.is_some(),
            Wanted::All => true,
        };
        state
            && rule.as_ref().is_none_or(|rule| alert.rule == *rule)
            && subject.as_ref().is_none_or(|subject| subject.matches(&alert.subject))
            && query.severity.is_none_or(|least| alert.severity >= least)
    };
    let found = app.look(query.as_of.as_deref(), |fold| {
        let known = alerts_of(fold);
        let mut found = known.alerts.range(..before).rev().filter(|(_, alert)| wanted(alert));
        let alerts: Vec<_> = found.by_ref().take(limit).map(|(at, alert)| AlertView::of(*at, alert)).collect();
        let next = found.next().and(alerts.last().map(|last| last.id));
        AlertList {
            position: fold.truth.position().0,
            at: fold.truth.time(),
            raised: known.raised_count(),
            alerts,
            next,
        }
    });
    Ok(web::Json(found.await?))
}

/// One alert.
#[utoipa::path(tag = "alerts", params(("id" = u64, Path), AsOf), responses((status = 200, body = AlertView), (status = 404, body = Problem)))]
#[get("/alerts/{id}")]
pub async fn one(app: Data, _caller: Caller, path: web::Path<u64>, query: web::Query<AsOf>) -> Answered<AlertView> {
    let id = Position(*path);
    let found = app.look(query.as_of.as_deref(), |fold| shown(fold, id)).await?;
    found.map(web::Json).ok_or_else(|| no_alert(id))
}

fn shown(fold: &Fold, id: Position) -> Option<AlertView> {
    fold.truth.alerts()?.alerts.get(&id).map(|alert| AlertView::of(id, alert))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What others should know.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    note: Option<Reason>,
}

/// Says that somebody has seen an alert.
#[utoipa::path(tag = "alerts", params(("id" = u64, Path)), request_body = Seen, responses((status = 200, body = AlertView), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[post("/alerts/{id}/ack")]
pub async fn acknowledge(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<u64>,
    bytes: web::Bytes,
) -> Answered<AlertView> {
    caller.need(&app, Access::Operator, "acknowledge alerts").await?;
    let Seen { note } = if bytes.is_empty() { Seen::default() } else { body(&bytes)? };
    let (alert, by) = (Position(*path), caller.principal.to_string());
    app.command(&request, &caller, Wish::alerts(Command::Acknowledge { alert, by, note }, &bytes)).await?;
    app.host.durable.read(|fold| shown(fold, alert)).map(web::Json).ok_or_else(|| no_alert(alert))
}

#[derive(Serialize, ToSchema)]
pub struct RuleView {
    pub id: String,
    /// For `If-Match`; 0 where nobody has changed a built-in rule.
    pub version: u64,
    #[serde(flatten)]
    pub rule: RuleBody,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// For people.
    pub title: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// One of `conditions`.
    #[schema(value_type = String)]
    pub when: When,
    /// In the unit of the condition; 0 where it has none.
    #[serde(default)]
    pub threshold: u64,
    /// Subjects, in which `*` stands for anything; none: all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub subjects: BTreeSet<Pattern>,
    /// It must hold for so long before it is raised.
    #[serde(default)]
    pub hold_seconds: u32,
    /// After it was raised for a subject, it is not raised for it again for so long.
    #[serde(default)]
    pub cooldown_seconds: u32,
    #[serde(default)]
    #[schema(value_type = String)]
    pub severity: Severity,
    /// Who hears of it; none: every channel.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub channels: BTreeSet<ChannelId>,
}

fn yes() -> bool {
    true
}

impl From<RuleBody> for Rule {
    fn from(body: RuleBody) -> Rule {
        let RuleBody { title, enabled, when, threshold, subjects, hold_seconds, cooldown_seconds, severity, channels } =
            body;
        Rule { title, enabled, when, threshold, subjects, hold_seconds, cooldown_seconds, severity, channels }
    }
}

impl RuleView {
    fn of(id: &RuleId, entry: &Entry<Rule>) -> Self {
        let Rule { title, enabled, when, threshold, subjects, hold_seconds, cooldown_seconds, severity, channels } =
            entry.is.as_ref().clone();
        let rule =
            RuleBody { title, enabled, when, threshold, subjects, hold_seconds, cooldown_seconds, severity, channels };
        RuleView { id: id.to_string(), version: entry.version.0, rule }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AlertRules {
    pub position: u64,
    pub rules: Vec<RuleView>,
    /// Everything that a rule can watch.
    pub conditions: Vec<ConditionView>,
}

#[derive(Serialize, ToSchema)]
pub struct ConditionView {
    /// Never renamed.
    pub when: &'static str,
    pub meaning: &'static str,
    /// Unit of the threshold; none where there is none.
    pub unit: Option<&'static str>,
}

/// Every rule, the built-in ones included, and what a rule can watch.
#[utoipa::path(tag = "alerts", responses((status = 200, body = AlertRules)))]
#[get("/alerts/rules")]
pub async fn list_rules(app: Data, _caller: Caller) -> Answered<AlertRules> {
    let condition = |when: &When| ConditionView {
        when: when.as_str(),
        meaning: when.meaning(),
        unit: when.threshold().map(|(_, _, unit)| unit),
    };
    let conditions = When::ALL.iter().map(condition).collect();
    Ok(web::Json(app.host.durable.read(|fold| AlertRules {
        position: fold.truth.position().0,
        rules: alerts_of(fold).rules().iter().map(|(id, entry)| RuleView::of(id, entry)).collect(),
        conditions,
    })))
}

/// One rule.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), responses((status = 200, body = RuleView), (status = 404, body = Problem)))]
#[get("/alerts/rules/{id}")]
pub async fn one_rule(app: Data, _caller: Caller, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer_rule(&app, &named(&path, "id")?, false)
}

fn answer_rule(app: &App, id: &RuleId, new: bool) -> Result<HttpResponse, Problem> {
    let found = app.host.durable.read(|fold| alerts_of(fold).rule(id).map(|entry| RuleView::of(id, &entry)));
    let rule = found.ok_or_else(|| no_rule(id))?;
    let mut answer = if new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.insert_header(etag(rule.version)).json(rule))
}

/// Makes a rule, or changes one as a whole. A change needs the version, as `If-Match`.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), request_body = RuleBody, responses((status = 200, body = RuleView), (status = 201, body = RuleView), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/alerts/rules/{id}")]
pub async fn set_rule(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "change rules of alerts").await?;
    let id: RuleId = named(&path, "id")?;
    let rule: Rule = body::<RuleBody>(&bytes)?.into();
    let known = app.host.durable.read(|fold| alerts_of(fold).rule(&id).map(|entry| entry.version));
    let expected = match known {
        Some(known) => seen(&app, &request, &caller, &StreamId::Alerts, None, || Ok(known.0))?,
        None => new_one(&request)?,
    };
    let command = Command::SetRule { id: id.clone(), rule: Box::new(rule), expected };
    app.command(&request, &caller, Wish::alerts(command, &bytes)).await?;
    answer_rule(&app, &id, known.is_none())
}

/// Removes a rule. What it raised is cleared.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem), (status = 428, body = Problem)))]
#[delete("/alerts/rules/{id}")]
pub async fn remove_rule(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "change rules of alerts").await?;
    let id: RuleId = named(&path, "id")?;
    let known = || {
        let known = app.host.durable.read(|fold| alerts_of(fold).rule(&id).map(|entry| entry.version.0));
        known.ok_or_else(|| no_rule(&id))
    };
    let expected = seen(&app, &request, &caller, &StreamId::Alerts, None, known)?;
    app.command(&request, &caller, Wish::alerts(Command::RemoveRule { id: id.clone(), expected }, b"")).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize, ToSchema)]
pub struct Mutes {
    pub position: u64,
    pub mutes: Vec<MuteView>,
}

#[derive(Serialize, ToSchema)]
pub struct MuteView {
    pub id: u64,
    pub rule: Option<String>,
    pub subject: Option<String>,
    #[schema(value_type = i64)]
    pub since: Timestamp,
    #[schema(value_type = i64)]
    pub until: Timestamp,
    pub reason: String,
}

fn mute_view(id: u64, mute: &Mute) -> MuteView {
    MuteView {
        id,
        rule: mute.of.rule.as_ref().map(ToString::to_string),
        subject: mute.of.subject.as_ref().map(ToString::to_string),
        since: mute.since,
        until: mute.of.until,
        reason: mute.of.reason.to_string(),
    }
}

fn mutes_of(fold: &Fold) -> Vec<MuteView> {
    alerts_of(fold).mutes.iter().map(|(id, mute)| mute_view(*id, mute)).collect()
}

/// What is muted, and until when.
#[utoipa::path(tag = "alerts", responses((status = 200, body = Mutes)))]
#[get("/alerts/mutes")]
pub async fn list_mutes(app: Data, _caller: Caller) -> Answered<Mutes> {
    let look = |fold: &Fold| Mutes { position: fold.truth.position().0, mutes: mutes_of(fold) };
    Ok(web::Json(app.host.durable.read(look)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMute {
    /// None: every rule.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    rule: Option<RuleId>,
    /// A subject, in which `*` stands for anything. None: every subject.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    subject: Option<Pattern>,
    /// Up to 30 days.
    seconds: u32,
    #[schema(value_type = String)]
    reason: Reason,
}

/// Mutes a rule, a subject, or one for the other. What is raised meanwhile is told when the mute is over, if it still holds.
#[utoipa::path(tag = "alerts", request_body = NewMute, responses((status = 201, body = MuteView), (status = 404, body = Problem), (status = 422, body = Problem)))]
#[post("/alerts/mutes")]
pub async fn add_mute(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "mute alerts").await?;
    let NewMute { rule, subject, seconds, reason } = body(&bytes)?;
    let until = app.clock.now() + Span::seconds(i64::from(seconds));
    let command = Command::Mute { rule, subject, until, reason };
    let reply = app.command(&request, &caller, Wish::alerts(command, &bytes)).await?;
    Ok(HttpResponse::Created().json(mute_made(&app, &reply.answer).await?))
}

/// The mute that a command made, whoever made another one meanwhile, as the log has it.
async fn mute_made(app: &App, answer: &Answer) -> Result<MuteView, Problem> {
    let Answer::Done { first, last, .. } = answer else { unreachable!("a refusal makes no mute") };
    let mut made = None;
    app.history
        .scan(Position(first.0.saturating_sub(1)), SCAN, |reading| {
            if let Event::Alert(alert::Event::Muted(muted)) = &reading.record.event {
                let since = reading.record.recorded_at;
                made = Some(mute_view(muted.mute, &Mute { of: muted.clone(), since }));
            }
            made.is_none() && reading.record.position < *last
        })
        .await?;
    made.ok_or_else(|| Problem::new(404, "mute_unknown", "the mute is not in the log any more"))
}

/// Ends a mute.
#[utoipa::path(tag = "alerts", params(("id" = u64, Path)), responses((status = 204), (status = 404, body = Problem)))]
#[delete("/alerts/mutes/{id}")]
pub async fn remove_mute(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<u64>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "mute alerts").await?;
    app.command(&request, &caller, Wish::alerts(Command::Unmute { mute: *path }, b"")).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize, ToSchema)]
pub struct ChannelView {
    pub id: String,
    /// For `If-Match`.
    pub version: u64,
    /// `webhook`, `telegram` or `email`.
    pub kind: &'static str,
    #[schema(value_type = Object)]
    pub way: Way,
    pub enabled: bool,
    #[schema(value_type = String)]
    pub severity_min: Severity,
    pub attempts_max: u32,
    pub retry_seconds: u32,
    pub has_secret: bool,
    /// Of a webhook, where it was just made: it is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl ChannelView {
    fn of(id: &ChannelId, entry: &Entry<Channel>) -> Self {
        let channel = entry.is.as_ref();
        ChannelView {
            id: id.to_string(),
            version: entry.version.0,
            kind: channel.way.kind(),
            way: channel.way.clone(),
            enabled: channel.enabled,
            severity_min: channel.severity_min,
            attempts_max: channel.attempts_max,
            retry_seconds: channel.retry_seconds,
            has_secret: channel.secret.is_some(),
            secret: None,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Channels {
    pub position: u64,
    pub channels: Vec<ChannelView>,
}

/// The ways to people. Secrets are not shown.
#[utoipa::path(tag = "alerts", responses((status = 200, body = Channels), (status = 403, body = Problem)))]
#[get("/alerts/channels")]
pub async fn list_channels(app: Data, caller: Caller) -> Answered<Channels> {
    caller.need(&app, Access::Operator, "see channels of alerts").await?;
    Ok(web::Json(app.host.durable.read(|fold| Channels {
        position: fold.truth.position().0,
        channels: alerts_of(fold).channels.iter().map(|(id, entry)| ChannelView::of(id, entry)).collect(),
    })))
}

/// One channel.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), responses((status = 200, body = ChannelView), (status = 403, body = Problem), (status = 404, body = Problem)))]
#[get("/alerts/channels/{id}")]
pub async fn one_channel(app: Data, caller: Caller, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Operator, "see channels of alerts").await?;
    let id: ChannelId = named(&path, "id")?;
    let channel = known_channel(&app, &id).ok_or_else(|| no_channel(&id))?;
    Ok(HttpResponse::Ok().insert_header(etag(channel.version.0)).json(ChannelView::of(&id, &channel)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelBody {
    /// `{"webhook": {"url"}}`, `{"telegram": {"base_url", "chat"}}` or `{"email": {"host", "port", "tls", "user", "from", "to"}}`.
    #[schema(value_type = Object)]
    way: Way,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    #[schema(value_type = String)]
    severity_min: Severity,
    #[serde(default = "eight")]
    attempts_max: u32,
    #[serde(default = "five")]
    retry_seconds: u32,
    /// `whsec_…` of a webhook, the token of a bot, the password of a mail server. Without it the one that is there stays; a new
    /// webhook gets one.
    #[serde(default)]
    secret: Option<String>,
}

fn eight() -> u32 {
    8
}

fn five() -> u32 {
    5
}

/// Makes a channel, or changes one as a whole. A change needs the version, as `If-Match`.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), request_body = ChannelBody, responses((status = 200, body = ChannelView), (status = 201, body = ChannelView), (status = 403, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 428, body = Problem)))]
#[put("/alerts/channels/{id}")]
pub async fn set_channel(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "change channels of alerts").await?;
    let id: ChannelId = named(&path, "id")?;
    let ChannelBody { way, enabled, severity_min, attempts_max, retry_seconds, secret } = body(&bytes)?;
    let known = known_channel(&app, &id);
    let expected = match &known {
        Some(known) => seen(&app, &request, &caller, &StreamId::Alerts, None, || Ok(known.version.0))?,
        None => new_one(&request)?,
    };
    addresses(&way)?;
    let before = known.as_ref().filter(|known| known.is.way.kind() == way.kind()).and_then(|known| known.is.secret);
    if secret.is_none() && before.is_some() && known.as_ref().is_some_and(|known| known.is.way.place() != way.place()) {
        let why = "the kept secret would be used with another host: give it again";
        return Err(Problem { field: Some("secret".into()), ..Problem::new(422, "secret_needed", why) });
    }
    let (plain, shown) = match (secret, &way) {
        (Some(secret), Way::Webhook { .. }) if key_of(&secret).is_none() => {
            return Err(Problem::invalid("secret", "`whsec_` and 24 to 64 bytes in base64"));
        }
        (Some(secret), _) if secret.is_empty() || secret.len() > 1_000 => {
            return Err(Problem::invalid("secret", "1 to 1000 bytes"));
        }
        (Some(secret), _) => (Some(zeroize::Zeroizing::new(secret)), None),
        (None, Way::Webhook { .. }) if before.is_none() => {
            let made = new_key();
            (Some(made.clone()), Some(made.to_string()))
        }
        (None, _) => (None, None),
    };
    let made = match &plain {
        Some(plain) => Some(app.keys.seal_text(crate::keys::Kind::ChannelSecret, plain).await?),
        None => None,
    };
    let channel = Channel { way, enabled, severity_min, attempts_max, retry_seconds, secret: made.or(before) };
    let command = Command::SetChannel { id: id.clone(), channel: Box::new(channel), expected };
    let set = app.command_once(&request, &caller, Wish::alerts(command, b"")).await;
    let reply = match made {
        Some(made) => app.or_destroy(set, made).await?,
        None => set?,
    };
    destroy_unreferred(&app, reply.position, known.as_ref().and_then(|known| known.is.secret)).await?;
    let now = known_channel(&app, &id).ok_or_else(|| no_channel(&id))?;
    let view = ChannelView { secret: shown, ..ChannelView::of(&id, &now) };
    let mut answer = if known.is_none() { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.insert_header(etag(view.version)).json(view))
}

/// Those of mail, as the mail itself needs them.
fn addresses(way: &Way) -> Result<(), Problem> {
    let Way::Email { from, to, .. } = way else { return Ok(()) };
    let good = |field: &str, text: &str| match text.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::invalid(field, format!("`{text}`: {error}"))),
    };
    good("way.email.from", from)?;
    to.iter().try_for_each(|to| good("way.email.to", to))
}

/// A request that is repeated says what was done long ago: a secret that a channel has now stays. What is not shown yet is found by
/// the next start.
async fn destroy_unreferred(app: &App, done: Position, secret: Option<CredentialId>) -> Result<(), Problem> {
    let Some(secret) = secret.filter(|_| app.host.durable.head().position >= done) else { return Ok(()) };
    let refers = |channel: &Entry<Channel>| channel.is.secret == Some(secret);
    match app.host.durable.read(|fold| alerts_of(fold).channels.values().any(refers)) {
        true => Ok(()),
        false => Ok(app.keys.destroy(secret).await?),
    }
}

/// Removes a channel that no rule names. What was on its way there is forgotten, its secret destroyed.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 428, body = Problem)))]
#[delete("/alerts/channels/{id}")]
pub async fn remove_channel(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "change channels of alerts").await?;
    let id: ChannelId = named(&path, "id")?;
    let known = known_channel(&app, &id);
    let version = || known.as_ref().map(|known| known.version.0).ok_or_else(|| no_channel(&id));
    let expected = seen(&app, &request, &caller, &StreamId::Alerts, None, version)?;
    let remove = Command::RemoveChannel { id: id.clone(), expected };
    let reply = app.command(&request, &caller, Wish::alerts(remove, b"")).await?;
    destroy_unreferred(&app, reply.position, known.and_then(|known| known.is.secret)).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize, ToSchema)]
pub struct Tested {
    pub taken: bool,
    /// What the receiver answered, where it has such a number.
    pub status: Option<u16>,
    /// Why it was not taken.
    pub why: Option<String>,
}

/// Sends a test to a channel, once, and says what became of it.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), responses((status = 200, body = Tested), (status = 403, body = Problem), (status = 404, body = Problem)))]
#[post("/alerts/channels/{id}/test")]
pub async fn test_channel(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Answered<Tested> {
    caller.need(&app, Access::Admin, "test channels of alerts").await?;
    let id: ChannelId = named(&path, "id")?;
    app.command_once(&request, &caller, Wish::alerts(Command::TestChannel { id: id.clone() }, b"")).await?;
    let channel = known_channel(&app, &id).ok_or_else(|| no_channel(&id))?;
    let (desk, name) = app.host.durable.read(|fold| {
        let desk = fold.truth.desk();
        (fold.truth.desk_id(), desk.map(|desk| desk.settings.name.clone()).unwrap_or_default())
    });
    let desk = desk.map(|desk| desk.to_string()).unwrap_or_default();
    let message = Message::test(&desk, &name, format!("msg_{}", ambient::uuid().simple()), app.clock.now());
    Ok(web::Json(match outbox::attempt(&app, *channel.is, message, ()).await {
        Ok(sent) => Tested { taken: true, status: sent.status, why: None },
        Err(failed) => Tested { taken: false, status: None, why: Some(failed.why) },
    }))
}

#[derive(Serialize, ToSchema)]
pub struct DeliveryView {
    pub id: String,
    /// The receiver knows it by this.
    pub webhook_id: String,
    pub alert: u64,
    pub edge: &'static str,
    pub channel: String,
    /// `waiting`, `dead` or `done`.
    pub state: &'static str,
    pub attempts: u32,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub due_at: Option<Timestamp>,
    pub last_error: Option<String>,
    pub status: Option<u16>,
}

#[derive(Serialize, ToSchema)]
pub struct Deliveries {
    pub position: u64,
    pub deliveries: Vec<DeliveryView>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// Only of this alert.
    alert: Option<u64>,
}

fn deliveries_of(fold: &Fold, alert: Option<u64>, all: bool) -> Deliveries {
    let alerts = alerts_of(fold);
    let desk = fold.truth.desk_id();
    let webhook_id = |id: &DeliveryId| desk.map(|desk| id.webhook_id(desk)).unwrap_or_default();
    let open = |state: &'static str| {
        move |(id, delivery): (&DeliveryId, &Delivery)| DeliveryView {
            id: id.to_string(),
            webhook_id: webhook_id(id),
            alert: id.alert.0,
            edge: id.edge.as_str(),
            channel: id.channel.to_string(),
            state,
            attempts: delivery.attempts,
            at: delivery.created_at,
            due_at: (state == "waiting").then_some(delivery.due_at),
            last_error: delivery.last_error.clone(),
            status: None,
        }
    };
    let mut deliveries: Vec<DeliveryView> = alerts.dead.iter().map(open("dead")).collect();
    if all {
        deliveries.extend(alerts.outbox.iter().map(open("waiting")));
        deliveries.extend(alerts.done.iter().rev().map(|done| DeliveryView {
            id: done.delivery.to_string(),
            webhook_id: webhook_id(&done.delivery),
            alert: done.delivery.alert.0,
            edge: done.delivery.edge.as_str(),
            channel: done.delivery.channel.to_string(),
            state: "done",
            attempts: done.attempts,
            at: done.at,
            due_at: None,
            last_error: None,
            status: done.status,
        }));
    }
    deliveries.retain(|delivery| alert.is_none_or(|alert| delivery.alert == alert));
    Deliveries { position: fold.truth.position().0, deliveries }
}

/// Messages: those that were given up, those on their way, and the last ones that were taken.
#[utoipa::path(tag = "alerts", params(DeliveryQuery), responses((status = 200, body = Deliveries)))]
#[get("/alerts/deliveries")]
pub async fn list_deliveries(app: Data, _caller: Caller, query: web::Query<DeliveryQuery>) -> Answered<Deliveries> {
    Ok(web::Json(app.host.durable.read(|fold| deliveries_of(fold, query.alert, true))))
}

/// Messages that were given up.
#[utoipa::path(tag = "alerts", responses((status = 200, body = Deliveries)))]
#[get("/alerts/deliveries/dead")]
pub async fn list_dead(app: Data, _caller: Caller) -> Answered<Deliveries> {
    Ok(web::Json(app.host.durable.read(|fold| deliveries_of(fold, None, false))))
}

#[derive(Serialize, ToSchema)]
pub struct Replayed {
    pub position: u64,
    pub replayed: usize,
}

/// Tries a message that was given up again, under the same id.
#[utoipa::path(tag = "alerts", params(("id" = String, Path)), responses((status = 200, body = Replayed), (status = 404, body = Problem)))]
#[post("/alerts/deliveries/{id}/replay")]
pub async fn replay(app: Data, request: HttpRequest, caller: Caller, path: web::Path<String>) -> Answered<Replayed> {
    caller.need(&app, Access::Operator, "replay messages of alerts").await?;
    let delivery: DeliveryId = path.parse().map_err(|error: String| Problem::invalid("id", error))?;
    let reply = app.command(&request, &caller, Wish::alerts(Command::Replay { delivery }, b"")).await?;
    Ok(web::Json(Replayed { position: reply.position.0, replayed: 1 }))
}

/// Tries everything that was given up again.
#[utoipa::path(tag = "alerts", responses((status = 200, body = Replayed)))]
#[post("/alerts/deliveries/replay")]
pub async fn replay_all(app: Data, request: HttpRequest, caller: Caller) -> Answered<Replayed> {
    caller.need(&app, Access::Operator, "replay messages of alerts").await?;
    let dead: Vec<DeliveryId> = app.host.durable.read(|fold| alerts_of(fold).dead.keys().cloned().collect());
    let (mut position, mut replayed) = (app.host.durable.head().position, 0);
    for delivery in dead {
        match app.command_once(&request, &caller, Wish::alerts(Command::Replay { delivery }, b"")).await {
            Ok(reply) => (position, replayed) = (reply.position, replayed + 1),
            // Somebody else was quicker.
            Err(problem) if problem.status == 404 => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(web::Json(Replayed { position: position.0, replayed }))
}

/// What is made is at version 0 until then: of two who make the same one at once, the second is told so.
fn new_one(request: &HttpRequest) -> Result<Option<Version>, Problem> {
    Ok(Some(super::expected(request)?.unwrap_or(Version(0))))
}

/// What the log says of alerts; nothing but the built-in rules where it says nothing.
fn alerts_of(fold: &Fold) -> &Alerts {
    static UNUSED: std::sync::LazyLock<Alerts> = std::sync::LazyLock::new(Alerts::default);
    fold.truth.alerts().unwrap_or(&UNUSED)
}

fn known_channel(app: &App, id: &ChannelId) -> Option<Entry<Channel>> {
    app.host.durable.read(|fold| alerts_of(fold).channels.get(id).cloned())
}

fn named<T: std::str::FromStr>(text: &str, field: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Problem::invalid(field, error))
}

fn no_alert(id: Position) -> Problem {
    Problem::new(
        404,
        "alert_unknown",
        format!("there is no alert {id}, or it is cleared and forgotten; the log still has it"),
    )
}

fn no_rule(id: &RuleId) -> Problem {
    Problem::new(404, "rule_unknown", format!("there is no rule `{id}`"))
}

fn no_channel(id: &ChannelId) -> Problem {
    Problem::new(404, "channel_unknown", format!("there is no channel `{id}`"))
}
