//! What went wrong, as RFC 9457 says it: with a stable code and a sentence that says what to do.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::fmt;
use tidehelm_actors::journal::Fault;
use tidehelm_actors::port::LogFault;
use tidehelm_events::answer::{Denial, Status};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// Stable, `snake_case`.
    pub code: String,
    pub detail: String,
    /// The field of the request that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Problem");
        Problem {
            kind: format!("urn:tidehelm:problem:{code}"),
            title: title.into(),
            status,
            code: code.into(),
            detail: detail.into(),
            field: None,
        }
    }

    pub fn invalid(field: &str, why: impl fmt::Display) -> Self {
        Problem { field: Some(field.into()), ..Problem::new(422, "invalid", why.to_string()) }
    }

    /// What the HTTP library refused by itself, before a handler saw it.
    pub fn of_framework<B>(response: &HttpResponse<B>) -> Option<Self> {
        let error = response.error().filter(|error| error.as_error::<Problem>().is_none())?;
        let status = response.status().as_u16();
        let code = match status {
            413 => "body_too_large",
            400..500 => "bad_request",
            _ => "failed",
        };
        Some(Problem::new(status, code, error.to_string()))
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Problem::new(404, "not_found", detail)
    }
}

pub async fn no_such_route(request: actix_web::HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(format!("there is no {} {}; see /api/openapi.json", request.method(), request.path())))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if self.status == 503 {
            response.insert_header((RETRY_AFTER, HeaderValue::from_static("1")));
        }
        if self.status == 401 {
            response.insert_header(("www-authenticate", "Bearer"));
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let status = match denial.status {
            Status::NotFound => 404,
            Status::Conflict => 409,
            Status::Stale => 412,
            Status::Invalid => 422,
            Status::Forbidden => 403,
        };
        Problem { field: denial.field, ..Problem::new(status, &denial.code, denial.detail) }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::Unavailable => "log_unavailable",
            Fault::Overloaded => "overloaded",
            Fault::Stopping => "stopping",
        };
        Problem::new(503, code, fault.to_string())
    }
}

impl From<LogFault> for Problem {
    fn from(fault: LogFault) -> Self {
        Problem::new(503, "store_unavailable", fault.to_string())
    }
}
