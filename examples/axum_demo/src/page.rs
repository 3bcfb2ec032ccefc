//! `GET /`: the page, with a content security policy that allows only its own script and style.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Html;
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("page.html");

pub(crate) fn routes() -> Router {
    let policy = HeaderValue::try_from(content_security_policy(PAGE)).expect("base64 is text for a header");
    let text = HeaderValue::from_static;
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CACHE_CONTROL, text("no-cache")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (HeaderName::from_static("cross-origin-opener-policy"), text("same-origin")),
        (header::REFERRER_POLICY, text("no-referrer")),
    ];
    Router::new().route("/", get(async move || (headers, Html(PAGE))))
}

fn content_security_policy(page: &str) -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
        script = hash(page, "script"),
        style = hash(page, "style"),
    )
}

/// Hashes the text between the tags, byte for byte, as browsers do.
fn hash(page: &str, tag: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("<{tag}>")).expect("the page has the element, without attributes");
    let (content, _) = rest.split_once(&format!("</{tag}>")).expect("the element ends");
    BASE64_STANDARD.encode(Sha256::digest(content))
}
