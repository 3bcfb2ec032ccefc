//! One request to the introspection endpoint, and whom its failure concerns.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use form_urlencoded::Serializer;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::client_auth::ClientAuth;
use super::endpoint::Endpoint;
use crate::jwks::HttpClient;
use crate::jwks::documents::{Documents, LimitSettings};
use crate::jwks::fetch_error::FetchError;
use crate::lookups::{Blame, Failure};
use crate::verify::json;

/// The provider that judges the tokens.
pub(super) struct Provider {
    pub(super) endpoint: Endpoint,
    pub(super) auth: ClientAuth,
    pub(super) client: Arc<dyn HttpClient>,
}

/// The form of the response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// Signed (RFC 9701).
    Jwt,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Jwt => "application/token-introspection+jwt",
        }
    }
}

/// Maximum size of a response.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// Calls end earlier, at the timeout of the lookup.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

impl Provider {
    /// Returns the body of the response about a token.
    pub(super) async fn ask(&self, token: &str, form: Form, now: SystemTime) -> Result<Vec<u8>, Failure> {
        let doubt = self.endpoint.doubt();
        let url =
            self.endpoint.locate(&self.client).await.map_err(|error| failure(error, Blame::Everybody))?;
        let audience = self.endpoint.issuer().map_or_else(|| url.uri().to_string(), str::to_owned);
        let request =
            self.request(token, form, &audience, now).map_err(|error| failure(error, Blame::Everybody))?;
        let settings = LimitSettings { deadline: None, size: None };
        let documents = Documents {
            client: Arc::clone(&self.client),
            header: None,
            limit: LONGEST,
            max_bytes: MAX_BYTES,
            settings,
        };
        let sent = documents.send(&url, request, Instant::now() + LONGEST).await;
        // A firewall may have closed the connection because of this token.
        let response = sent.map_err(|error| failure(error, Blame::Unclear))?;
        match documents.body_of(&url, &response) {
            Ok(_) if form == Form::Jwt && !is_jwt(response.headers()) => {
                doubt.dispel();
                Err(failure(NOT_SIGNED, Blame::Unclear))
            }
            Ok(_) => {
                doubt.dispel();
                Ok(response.into_body())
            }
            Err(error) => {
                let failure = of_response(&response, error);
                if !may_have_moved(response.status()) {
                    doubt.dispel();
                }
                Err(failure)
            }
        }
    }

    /// Creates the request of RFC 7662, section 2.1.
    fn request(
        &self,
        token: &str,
        form: Form,
        audience: &str,
        now: SystemTime,
    ) -> Result<Request<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(form.media_type()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let mut body = Serializer::new(String::new());
        body.append_pair("token", token).append_pair("token_type_hint", "access_token");
        self.auth.authenticate(&mut body, &mut headers, audience, now)?;
        let mut request = Request::new(body.finish().into_bytes());
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

pub(super) fn failure(cause: impl Into<Box<dyn Error + Send + Sync>>, blame: Blame) -> Failure {
    Failure { cause: cause.into(), blame, retry_after: None }
}

/// Returns true for a status that another server than the endpoint may have sent.
fn may_have_moved(status: StatusCode) -> bool {
    status.is_redirection() || !matches!(status.as_u16(), 200 | 400 | 413 | 429 | 500)
}

/// Classifies a response without a usable body.
fn of_response(response: &Response<Vec<u8>>, error: FetchError) -> Failure {
    let status = response.status();
    let is_client_rejected =
        status == StatusCode::UNAUTHORIZED || (status.is_client_error() && rejects_client(response.body()));
    if is_client_rejected {
        let cause =
            format!("the provider rejected the credentials of this service: {error}; check ClientAuth");
        return failure(cause, Blame::Everybody);
    }
    let asks_to_wait = response.headers().contains_key(RETRY_AFTER);
    let blame = match status {
        StatusCode::TOO_MANY_REQUESTS => Blame::Everybody,
        StatusCode::SERVICE_UNAVAILABLE if asks_to_wait => Blame::Everybody,
        // A firewall may reject this token.
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Blame::Unclear,
        _ if status.is_client_error() => Blame::Credential,
        // One token may make the endpoint fail.
        _ => Blame::Unclear,
    };
    Failure { cause: error.into(), blame, retry_after: retry_after(response.headers()) }
}

/// Returns true for the errors of RFC 6749, section 5.2 that concern the client.
fn rejects_client(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
    }

    json::object::<Problem>(body)
        .is_some_and(|problem| matches!(&*problem.error, "invalid_client" | "unauthorized_client"))
}

/// Returns the `Retry-After` in seconds. A date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_jwt(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(Form::Jwt.media_type())
}

const NOT_SIGNED: &str = "the introspection response is not signed: its `Content-Type` is not \
    `application/token-introspection+jwt`; configure the provider to sign responses for this client";
