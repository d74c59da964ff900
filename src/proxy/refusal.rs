//! What clients hear when there is no answer: errors in the form that clients of OpenAI understand.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde_json::json;

#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// The part of the request that is at fault.
    pub param: Option<&'static str>,
    /// Seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into(), param: None, retry_after: None }
    }
    pub fn of(self, param: &'static str) -> Self {
        Refusal { param: Some(param), ..self }
    }
    pub fn again_in(self, seconds: u32) -> Self {
        Refusal { retry_after: Some(seconds), ..self }
    }

    fn kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        }
    }

    pub fn response(&self) -> HttpResponse {
        let Refusal { code, message, param, .. } = self;
        let error = json!({"error": {"message": message, "type": self.kind(), "param": param, "code": code}});
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status).content_type("application/json").body(error.to_string());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
