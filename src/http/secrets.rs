//! What is sealed, and the master key that opens it.

use super::auth::Caller;
use super::problem::Problem;
use super::{Answered, Data, Wish};
use crate::keys::Survey;
use actix_web::{HttpRequest, get, post, web};
use serde::Serialize;
use tidehelm_events::desk::{Access, Command, SecretsResealed};
use utoipa::ToSchema;

/// How it stands with what is sealed: which master key, and whether everything can be opened.
#[utoipa::path(tag = "operation", responses((status = 200, body = Survey), (status = 403, body = Problem)))]
#[get("/secrets")]
pub async fn status(app: Data, caller: Caller) -> Answered<Survey> {
    caller.need(&app, Access::Admin, "see what is sealed").await?;
    Ok(web::Json(app.keys.survey().await?))
}

#[derive(Serialize, ToSchema)]
pub struct Rotated {
    /// Id of the master key that everything is sealed with now.
    pub master_key: String,
    pub sealed: u32,
    /// File with the master key that was in use before: for backups that were made before.
    pub kept: String,
}

/// Makes a new master key, and seals everything anew with it.
#[utoipa::path(tag = "operation", responses((status = 200, body = Rotated), (status = 403, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
#[post("/secrets/rotate")]
pub async fn rotate(app: Data, request: HttpRequest, caller: Caller) -> Answered<Rotated> {
    caller.need(&app, Access::Admin, "rotate the master key").await?;
    let resealed = app.keys.rotate().await?;
    let (master_key, sealed) = (resealed.master.to_string(), resealed.count);
    let note = SecretsResealed { master_key: master_key.clone(), sealed };
    app.command_once(&request, &caller, Wish::desk(Command::NoteResealed(note), b"")).await?;
    Ok(web::Json(Rotated { master_key, sealed, kept: resealed.kept.display().to_string() }))
}
