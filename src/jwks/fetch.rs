//! One attempt to fetch the keys: discovery, then the JWK set.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use tokio::time::Instant;

use super::discovery::{Discovery, Endpoint};
use super::documents::Documents;
use super::fetch_error::{FetchError, Problem};
use super::fetch_url::FetchUrl;
use super::freshness;
use super::schedule::after;
use crate::verify::{JwksRules, KeySet};

/// The place that keys are fetched from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Directly from this URL.
    Jwks(FetchUrl),
    /// From the `jwks_uri` in the discovery document of this issuer.
    Issuer(Discovery),
}

impl Origin {
    /// Returns the provider's name in logs and metrics.
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::Jwks(address) => address.without_query().into(),
            Self::Issuer(discovery) => discovery.issuer().into(),
        }
    }

    /// Returns the URL that the application has chosen, as far as it matters for its origin.
    pub(super) fn address(&self) -> &FetchUrl {
        match self {
            Self::Jwks(address) => address,
            Self::Issuer(discovery) => discovery.address(),
        }
    }
}

/// Fetches keys. It keeps the ETag between attempts.
pub(crate) struct Fetcher {
    documents: Documents,
    origin: Origin,
    rules: JwksRules,
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
    pub(crate) fn new(documents: Documents, origin: Origin, rules: JwksRules) -> Self {
        Self { documents, origin, rules, held: None }
    }

    /// Makes one attempt. `holds_any` is true if keys of an earlier attempt are still in use.
    pub(crate) async fn fetch(&mut self, holds_any: bool) -> Result<Fetched, FetchError> {
        let end = after(Instant::now(), self.documents.limit);
        let address = match &self.origin {
            Origin::Jwks(address) => address.clone(),
            // In every attempt: the `jwks_uri` may have changed.
            Origin::Issuer(discovery) => discovery.locate(Endpoint::Jwks, &self.documents, end).await?,
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
                let body = self.documents.body_of(&address, &response)?;
                let keys = KeySet::jwks_with(body, &self.rules.for_public_sets());
                let keys = keys.map_err(|error| FetchError::new(&address, Problem::Keys(error)))?;
                self.held = etag.cloned().map(|etag| Version { address, etag, lifetime });
                Ok(Fetched { keys: Some(keys), lifetime })
            }
        }
    }

    async fn get(
        &self,
        address: &FetchUrl,
        etag: Option<&HeaderValue>,
        end: Instant,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        let mut request = Request::new(Vec::new());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        self.documents.send(address, request, end).await
    }
}

/// Compares weakly, like `If-None-Match` (RFC 9110, section 8.8.3.2).
fn is_same(one: &HeaderValue, other: &HeaderValue) -> bool {
    opaque(one) == opaque(other)
}

/// Returns the ETag without its weakness prefix.
fn opaque(etag: &HeaderValue) -> &[u8] {
    let etag = etag.as_bytes();
    etag.strip_prefix(b"W/").unwrap_or(etag)
}
