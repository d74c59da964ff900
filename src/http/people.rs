//! Users, sessions, invitations and tokens.

use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, Data, Wish, body};
use crate::keys::Kind;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put, web};
use serde::{Deserialize, Serialize};
use tidehelm_actors::port::Clock;
use tidehelm_events::desk::{Access, Command, Desk, SessionEnd};
use tidehelm_events::id::{CredentialId, Principal, UserName};
use tidehelm_events::time::{Span, Timestamp};
use utoipa::ToSchema;

/// An invitation is good for this long.
pub const INVITE_AGE: Span = Span::hours(24);

#[derive(Serialize, ToSchema)]
pub struct Users {
    pub position: u64,
    pub users: Vec<UserView>,
    pub invited: Vec<InvitedView>,
}

#[derive(Serialize, ToSchema)]
pub struct UserView {
    pub name: String,
    #[schema(value_type = String)]
    pub role: Access,
    #[schema(value_type = i64)]
    pub since: Timestamp,
    pub sessions: usize,
}

#[derive(Serialize, ToSchema)]
pub struct InvitedView {
    pub name: String,
    #[schema(value_type = String)]
    pub role: Access,
    #[schema(value_type = i64)]
    pub expires_at: Timestamp,
}

pub(super) fn desk<R>(app: &Data, look: impl FnOnce(u64, &Desk) -> R) -> R {
    app.host.durable.read(|fold| look(fold.truth.position().0, fold.truth.desk().unwrap_or(&Desk::default())))
}

/// Everybody who may use the desk, and who is invited.
#[utoipa::path(tag = "people", responses((status = 200, body = Users), (status = 403, body = Problem)))]
#[get("/users")]
pub async fn users(app: Data, caller: Caller) -> Answered<Users> {
    caller.need(&app, Access::Admin, "see users").await?;
    Ok(web::Json(desk(&app, |position, desk| {
        let count = |name: &UserName| desk.sessions.values().filter(|session| session.name == *name).count();
        let view = |(name, user): (&UserName, &tidehelm_events::desk::User)| UserView {
            name: name.to_string(),
            role: user.access,
            since: user.since,
            sessions: count(name),
        };
        let invited = desk.invites.values().map(|waiting| InvitedView {
            name: waiting.name.to_string(),
            role: waiting.access,
            expires_at: waiting.expires_at,
        });
        Users { position, users: desk.users.iter().map(view).collect(), invited: invited.collect() }
    })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    #[schema(value_type = String)]
    name: UserName,
    #[schema(value_type = String)]
    role: Access,
}

#[derive(Serialize, ToSchema)]
pub struct Invited {
    pub name: String,
    /// The path of the one-time link; the code in it is shown only now.
    pub path: String,
    #[schema(value_type = i64)]
    pub expires_at: Timestamp,
}

/// Invites a person: the answer holds the one-time link.
#[utoipa::path(tag = "people", request_body = Invitation, responses((status = 201, body = Invited), (status = 409, body = Problem)))]
#[post("/invites")]
pub async fn invite(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "invite people").await?;
    let Invitation { name, role } = body(&bytes)?;
    let expires_at = app.clock.now() + INVITE_AGE;
    let (credential, code) = app.keys.issue(Kind::Invite).await?;
    let command = Command::Invite { name: name.clone(), access: role, credential, expires_at };
    let reply = app.command(&request, &caller, Wish::desk(command, &bytes)).await?;
    if desk(&app, |shown, desk| shown >= reply.position.0 && !desk.invites.contains_key(&credential)) {
        return Err(spent(&app, credential).await?);
    }
    let path = format!("/#/welcome?code={code}");
    Ok(HttpResponse::Created().json(Invited { name: name.to_string(), path, expires_at }))
}

/// A repeat made a secret that the log does not know; the one that it knows was shown with the first answer.
pub(super) async fn spent(app: &Data, unused: CredentialId) -> Result<Problem, Problem> {
    app.keys.destroy(unused).await?;
    let why = "this was done before, and its secret was shown then and never again; make a new one with another id";
    Ok(Problem::new(409, "secret_shown_once", why))
}

fn user_name(text: &str) -> Result<UserName, Problem> {
    UserName::new(text).map_err(|error| Problem::invalid("name", error))
}

/// Removes a user; sessions end at once.
#[utoipa::path(tag = "people", params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[delete("/users/{name}")]
pub async fn remove(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "remove users").await?;
    let name = user_name(&path)?;
    let behind = desk(&app, |_, desk| {
        let theirs = desk.sessions.iter().filter(|(_, session)| session.name == name).map(|(id, _)| *id);
        theirs.chain(desk.users.get(&name).map(|user| user.credential)).collect::<Vec<CredentialId>>()
    });
    app.command(&request, &caller, Wish::desk(Command::RemoveUser { name }, b"")).await?;
    for id in behind {
        app.keys.destroy(id).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    #[schema(value_type = String)]
    role: Access,
}

/// Gives a user another role.
#[utoipa::path(tag = "people", params(("name" = String, Path)), request_body = NewRole, responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[put("/users/{name}/role")]
pub async fn change_role(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "change roles").await?;
    let NewRole { role } = body(&bytes)?;
    let command = Command::ChangeRole { name: user_name(&path)?, access: role };
    app.command(&request, &caller, Wish::desk(command, &bytes)).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// Needed for one's own; an admin sets another's without it.
    current: Option<String>,
    password: String,
}

/// Changes a password: one's own, or as an admin anybody's. Other sessions of that user end.
#[utoipa::path(tag = "people", params(("name" = String, Path)), request_body = NewPassword, responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem)))]
#[put("/users/{name}/password")]
pub async fn change_password(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let NewPassword { current, password } = body(&bytes)?;
    let name = user_name(&path)?;
    let own = caller.principal == Principal::User(name.clone());
    let old = desk(&app, |_, desk| desk.users.get(&name).map(|user| user.credential));
    if own {
        let who = [name.as_str()];
        if !app.strangers.may_try(&who, app.clock.now()) {
            return Err(super::auth::too_many_tries());
        }
        if !app.keys.check_password(old, current.unwrap_or_default()).await {
            let wrong = Problem::new(401, "login_wrong", "the current password is wrong");
            return Err(Problem { field: Some("current".into()), ..wrong });
        }
        app.strangers.was_right(&who);
    } else {
        caller.need(&app, Access::Admin, "change the password of others").await?;
    }
    let credential = app.keys.set_password(password).await?;
    let command = Command::ChangePassword { name: name.clone(), credential, keep: caller.session };
    let changed = app.command(&request, &caller, Wish::desk(command, b"")).await;
    let spent = match &changed {
        // After a repeat it is the new one that nobody uses.
        Ok(reply) => desk(&app, |shown, desk| {
            let in_use = desk.users.get(&name).map(|user| user.credential);
            let both = old.into_iter().chain([credential]);
            both.filter(|one| shown >= reply.position.0 && Some(*one) != in_use).collect()
        }),
        Err(problem) if problem.status < 500 => vec![credential],
        // It may have happened.
        Err(_) => vec![],
    };
    for credential in spent {
        app.keys.destroy(credential).await?;
    }
    changed.map(|_| HttpResponse::NoContent().finish())
}

#[derive(Serialize, ToSchema)]
pub struct Sessions {
    pub position: u64,
    pub sessions: Vec<SessionView>,
}

#[derive(Serialize, ToSchema)]
pub struct SessionView {
    pub id: String,
    pub name: String,
    pub peer: String,
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    #[schema(value_type = i64)]
    pub expires_at: Timestamp,
    /// The one that asks.
    pub own: bool,
}

/// Sessions: an admin sees all, others their own.
#[utoipa::path(tag = "people", responses((status = 200, body = Sessions)))]
#[get("/sessions")]
pub async fn sessions(app: Data, caller: Caller) -> Answered<Sessions> {
    let all = caller.access == Access::Admin;
    let theirs = |name: &UserName| all || caller.principal == Principal::User(name.clone());
    Ok(web::Json(desk(&app, |position, desk| {
        let seen = desk.sessions.iter().filter(|(_, session)| theirs(&session.name));
        let view = |(id, session): (&CredentialId, &tidehelm_events::desk::Session)| SessionView {
            id: id.to_string(),
            name: session.name.to_string(),
            peer: session.peer.clone(),
            started_at: session.started_at,
            expires_at: session.expires_at,
            own: caller.session == Some(*id),
        };
        Sessions { position, sessions: seen.map(view).collect() }
    })))
}

pub(super) fn credential(text: &str) -> Result<CredentialId, Problem> {
    text.parse().map(CredentialId).map_err(|_| Problem::invalid("id", "a uuid"))
}

/// Ends a session: one's own, or as an admin anybody's.
#[utoipa::path(tag = "people", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
#[delete("/sessions/{id}")]
pub async fn end_session(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let session = credential(&path)?;
    let owner = desk(&app, |_, desk| desk.sessions.get(&session).map(|session| session.name.clone()));
    if owner.map(Principal::User) != Some(caller.principal.clone()) {
        caller.need(&app, Access::Admin, "end the sessions of others").await?;
    }
    let command = Command::EndSession { session, why: SessionEnd::Revoked };
    app.command(&request, &caller, Wish::desk(command, b"")).await?;
    app.keys.destroy(session).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize, ToSchema)]
pub struct Tokens {
    pub position: u64,
    pub tokens: Vec<TokenView>,
}

#[derive(Serialize, ToSchema)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    #[schema(value_type = String)]
    pub role: Access,
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub expires_at: Option<Timestamp>,
}

/// The keys of programs.
#[utoipa::path(tag = "people", responses((status = 200, body = Tokens)))]
#[get("/tokens")]
pub async fn tokens(app: Data, caller: Caller) -> Answered<Tokens> {
    caller.need(&app, Access::Admin, "see tokens").await?;
    Ok(web::Json(desk(&app, |position, desk| {
        let view = |(id, token): (&CredentialId, &tidehelm_events::desk::Token)| TokenView {
            id: id.to_string(),
            name: token.name.clone(),
            role: token.access,
            created_at: token.created_at,
            expires_at: token.expires_at,
        };
        let tokens = desk.tokens.iter().filter(|(id, _)| app.keys.scope(**id).is_none());
        Tokens { position, tokens: tokens.map(view).collect() }
    })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    name: String,
    #[schema(value_type = String)]
    role: Access,
    /// Without it the token does not expire.
    hours: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub struct TokenMade {
    pub id: String,
    /// Shown only now.
    pub token: String,
}

/// Makes a key for a program.
#[utoipa::path(tag = "people", request_body = NewToken, responses((status = 201, body = TokenMade), (status = 422, body = Problem)))]
#[post("/tokens")]
pub async fn create_token(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    bytes: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "make tokens").await?;
    let NewToken { name, role, hours } = body(&bytes)?;
    if hours == Some(0) {
        return Err(Problem::invalid("hours", "1 or more; without it the token does not expire"));
    }
    let expires_at = hours.map(|hours| app.clock.now() + Span::hours(i64::from(hours)));
    let (token, secret) = app.keys.issue(Kind::Token).await?;
    let command = Command::CreateToken { token, name, access: role, expires_at };
    let reply = app.command(&request, &caller, Wish::desk(command, &bytes)).await?;
    if desk(&app, |shown, desk| shown >= reply.position.0 && !desk.tokens.contains_key(&token)) {
        return Err(spent(&app, token).await?);
    }
    Ok(HttpResponse::Created().json(TokenMade { id: token.to_string(), token: secret }))
}

/// Revokes a program's key.
#[utoipa::path(tag = "people", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
#[delete("/tokens/{id}")]
pub async fn revoke_token(
    app: Data,
    request: HttpRequest,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.need(&app, Access::Admin, "revoke tokens").await?;
    let token = credential(&path)?;
    app.command(&request, &caller, Wish::desk(Command::RevokeToken { token }, b"")).await?;
    app.keys.destroy(token).await?;
    Ok(HttpResponse::NoContent().finish())
}
