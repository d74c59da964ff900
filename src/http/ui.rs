//! The web page, embedded in the binary.

use super::problem::Problem;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$TIDEHELM_PAGE"]
struct Page;

/// A file of the page. What has no dot in its last part is a place within the page, which finds its own way from there;
/// one-time codes alone are in the fragment, so that they reach no server.
pub async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.path().trim_start_matches('/');
    let is_file = path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    let path = if is_file { path } else { "index.html" };
    let Some(file) = Page::get(path) else {
        return Err(Problem::not_found(format!("there is no page /{path}")));
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::new(405, "method_not_allowed", "this can only be read"));
    }
    let tag: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let caching = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, caching));
    if known {
        return Ok(response.finish());
    }
    Ok(response.content_type(file.metadata.mimetype()).body(file.data.into_owned()))
}
