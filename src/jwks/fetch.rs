//! One attempt to fetch the keys: discovery, then the JWK set.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::client::HttpClient;
use super::fetch_error::{FetchError, Problem};
use super::fetch_url::{FetchUrl, PlainHttp};
use super::freshness;
use super::schedule::after;
use crate::url::without_secrets;
use crate::verify::{JwksRules, KeySet, json};

/// The place that keys are fetched from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Directly from this URL.
    Jwks(FetchUrl),
    /// From the `jwks_uri` in the discovery document of this issuer.
    Issuer {
        issuer: String,
        /// The possible URLs of the discovery document.
        metadata: Vec<FetchUrl>,
        /// The rule for the `jwks_uri`.
        plain_http: PlainHttp,
    },
}

impl Origin {
    /// Returns the provider's name in logs and metrics.
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::Jwks(address) => address.without_query().into(),
            Self::Issuer { issuer, .. } => issuer.as_str().into(),
        }
    }
}

/// Fetches keys. It keeps the ETag between attempts.
pub(crate) struct Fetcher {
    client: Arc<dyn HttpClient>,
    origin: Origin,
    rules: JwksRules,
    /// Timeout of a whole attempt.
    limit: Duration,
    /// Maximum size of each response.
    max_document_bytes: usize,
    held: Option<Version>,
}

/// The ETag and lifetime of the current keys.
struct Version {
    address: FetchUrl,
    etag: HeaderValue,
    lifetime: Option<Duration>,
}

/// The result of a successful attempt.
pub(crate) struct Fetched {
    /// `None` if the current keys are unchanged.
    pub(crate) keys: Option<KeySet>,
    /// Freshness lifetime of the response.
    pub(crate) lifetime: Option<Duration>,
}

impl Fetcher {
    pub(crate) fn new(
        client: Arc<dyn HttpClient>,
        origin: Origin,
        rules: JwksRules,
        limit: Duration,
        max_document_bytes: usize,
    ) -> Self {
        Self { client, origin, rules, limit, max_document_bytes, held: None }
    }

    /// Makes one attempt. `holds_any` is true if keys of an earlier attempt are still in use.
    pub(crate) async fn fetch(&mut self, holds_any: bool) -> Result<Fetched, FetchError> {
        let end = after(Instant::now(), self.limit);
        let address = match &self.origin {
            Origin::Jwks(address) => address.clone(),
            // In every attempt: the `jwks_uri` may have changed.
            Origin::Issuer { issuer, metadata, plain_http } => {
                self.discover(issuer, metadata, *plain_http, end).await?
            }
        };
        // Restored on success only: after a failure or cancellation, the next request is unconditional.
        let held = self.held.take().filter(|held| holds_any && held.address == address);
        let response = self.get(&address, held.as_ref().map(|held| &held.etag), end).await?;
        let lifetime = freshness::lifetime(response.headers());
        let etag = response.headers().get(ETAG);
        match held {
            Some(held) if response.status() == StatusCode::NOT_MODIFIED => {
                if etag.is_some_and(|etag| !is_same(etag, &held.etag)) {
                    return Err(FetchError::new(&address, Problem::OtherVersion));
                }
                let lifetime = lifetime.or(held.lifetime);
                self.held = Some(Version { lifetime, ..held });
                Ok(Fetched { keys: None, lifetime })
            }
            _ => {
                let body = self.body_of(&address, &response)?;
                let keys = KeySet::jwks_with(body, &self.rules.for_public_sets());
                let keys = keys.map_err(|error| FetchError::new(&address, Problem::Keys(error)))?;
                self.held = etag.cloned().map(|etag| Version { address, etag, lifetime });
                Ok(Fetched { keys: Some(keys), lifetime })
            }
        }
    }

    /// Reads the `jwks_uri` from the issuer's discovery document.
    async fn discover(
        &self,
        issuer: &str,
        places: &[FetchUrl],
        plain_http: PlainHttp,
        end: Instant,
    ) -> Result<FetchUrl, FetchError> {
        let mut first_error = None;
        for place in places {
            let read = async {
                let response = self.get(place, None, end).await?;
                read_metadata(place, self.body_of(place, &response)?, issuer, plain_http)
            };
            match read.await {
                Ok(address) => return Ok(address),
                // No time is left for another URL.
                Err(error) if error.is_deadline() => return Err(error),
                // Report the most common URL: a person would look there first.
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.expect("an issuer has at least two discovery URLs"))
    }

    async fn get(
        &self,
        address: &FetchUrl,
        etag: Option<&HeaderValue>,
        end: Instant,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = address.uri().clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        let problem = match timeout_at(end, self.client.fetch(request, self.max_document_bytes)).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => Problem::Transport(error),
            Err(_) => Problem::Deadline(self.limit),
        };
        Err(FetchError::new(address, problem))
    }

    /// Returns the body of a complete and uncompressed 200 response.
    fn body_of<'r>(
        &self,
        address: &FetchUrl,
        response: &'r Response<Vec<u8>>,
    ) -> Result<&'r [u8], FetchError> {
        let (body, headers, limit) = (response.body(), response.headers(), self.max_document_bytes);
        let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let problem = if response.status() != StatusCode::OK {
            Problem::Status(response.status(), redirect_target(response))
        } else if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            Problem::Encoded
        } else if body.len() > limit {
            Problem::TooLarge { limit }
        } else if stated.is_some_and(|stated| stated != body.len()) {
            Problem::CutShort
        } else {
            return Ok(body);
        };
        Err(FetchError::new(address, problem))
    }
}

/// Returns the target of a redirect without user name and query: they may hold a secret.
fn redirect_target(response: &Response<Vec<u8>>) -> Option<String> {
    let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    let text: String = String::from_utf8_lossy(location.as_bytes()).chars().take(MAX_TARGET_CHARS).collect();
    Some(without_secrets(&text).escape_debug().to_string())
}

/// Maximum number of characters shown of a redirect's target.
const MAX_TARGET_CHARS: usize = 200;

/// Compares weakly, like `If-None-Match` (RFC 9110, section 8.8.3.2).
fn is_same(one: &HeaderValue, other: &HeaderValue) -> bool {
    opaque(one) == opaque(other)
}

/// Returns the ETag without its weakness prefix.
fn opaque(etag: &HeaderValue) -> &[u8] {
    let etag = etag.as_bytes();
    etag.strip_prefix(b"W/").unwrap_or(etag)
}

fn read_metadata(
    place: &FetchUrl,
    body: &[u8],
    issuer: &str,
    plain_http: PlainHttp,
) -> Result<FetchUrl, FetchError> {
    /// OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2.
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }

    let fail = |problem| FetchError::new(place, problem);
    let metadata: Metadata = json::object(body).ok_or_else(|| fail(Problem::NotMetadata))?;
    // Without this check an attacker could impersonate another issuer (RFC 8414, section 3.3).
    if metadata.issuer != issuer {
        return Err(fail(Problem::OtherIssuer { expected: issuer.to_owned(), got: metadata.issuer }));
    }
    FetchUrl::parse(&metadata.jwks_uri, plain_http).map_err(|error| fail(Problem::KeysAddress(error)))
}
