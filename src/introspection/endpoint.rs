//! The introspection endpoint of a provider, and requests to it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client_auth::ClientAuth;
use crate::config_error::ConfigError;
use crate::jwks::{Discovery, Documents, Endpoint as Member, FetchError, FetchUrl, HttpClient, PlainHttp};
use crate::lookups::{Blame, Failure};
use crate::verify::json;

/// The endpoint, with everything that a request needs.
pub(super) struct Endpoint {
    address: Address,
    auth: ClientAuth,
    documents: Documents,
}

enum Address {
    Given(FetchUrl),
    /// Found at the first use, and looked for again after an hour or a failure.
    Discovered(Discovery, Mutex<Option<(FetchUrl, Instant)>>),
}

const LARGEST_RESPONSE: usize = 64 * 1024;
const LARGEST_DISCOVERY: usize = 512 * 1024;
/// The lookup has its own, shorter timeout.
const NO_DEADLINE: Duration = Duration::from_secs(3600);
const DISCOVERY_AGE: Duration = Duration::from_secs(3600);

impl Endpoint {
    pub(super) fn given(
        url: &str,
        auth: ClientAuth,
        client: Arc<dyn HttpClient>,
    ) -> Result<Self, ConfigError> {
        let address = FetchUrl::parse(url, PlainHttp::for_settings(client.allows_plain_http()))?;
        Ok(Self::new(Address::Given(address), auth, client))
    }

    pub(super) fn discovered(
        issuer: &str,
        auth: ClientAuth,
        client: Arc<dyn HttpClient>,
    ) -> Result<Self, ConfigError> {
        let discovery = Discovery::new(issuer, &*client)?;
        Ok(Self::new(Address::Discovered(discovery, Mutex::default()), auth, client))
    }

    fn new(address: Address, auth: ClientAuth, client: Arc<dyn HttpClient>) -> Self {
        let documents = Documents { client, limit: NO_DEADLINE, max_bytes: LARGEST_RESPONSE };
        Self { address, auth, documents }
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        match &self.address {
            Address::Given(_) => None,
            Address::Discovered(discovery, _) => Some(discovery.issuer()),
        }
    }

    pub(super) fn client_id(&self) -> &str {
        self.auth.client_id()
    }

    /// Asks about a token. Returns the body of the response.
    pub(super) async fn ask(&self, token: &str, accept: &'static str) -> Result<Vec<u8>, Failure> {
        let address = self.address().await.map_err(failed)?;
        let audience = self.issuer().map_or_else(|| address.without_query(), str::to_owned);
        let credentials = self.auth.credentials(&audience).map_err(|cause| Failure {
            cause: cause.into(),
            blame: Blame::Everybody,
            retry_after: None,
        })?;
        let mut request = Request::new(credentials.body(token));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = credentials.authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        let sent = self.documents.send(&address, request, Instant::now() + NO_DEADLINE).await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                self.forget_address().await;
                return Err(failed(error));
            }
        };
        if response.status() != StatusCode::OK {
            if response.status() == StatusCode::NOT_FOUND {
                self.forget_address().await;
            }
            return Err(refused(&address, &response));
        }
        let body = self.documents.body_of(&address, &response);
        body.map(<[u8]>::to_vec).map_err(|error| Failure { blame: Blame::Unclear, ..failed(error) })
    }

    async fn address(&self) -> Result<FetchUrl, FetchError> {
        let (discovery, found) = match &self.address {
            Address::Given(address) => return Ok(address.clone()),
            Address::Discovered(discovery, found) => (discovery, found),
        };
        let mut found = found.lock().await;
        let now = Instant::now();
        match &*found {
            Some((address, until)) if now < *until => return Ok(address.clone()),
            _ => {}
        }
        let documents = Documents { max_bytes: LARGEST_DISCOVERY, ..self.documents.clone() };
        let located = discovery.locate(Member::Introspection, &documents, now + NO_DEADLINE).await;
        let address = match (located, &*found) {
            (Ok(address), _) => address,
            // An endpoint that was known stays in use.
            (Err(_), Some((address, _))) => return Ok(address.clone()),
            (Err(error), None) => return Err(error),
        };
        *found = Some((address.clone(), now + DISCOVERY_AGE));
        Ok(address)
    }

    /// Looks for the endpoint again at the next call.
    async fn forget_address(&self) {
        if let Address::Discovered(_, found) = &self.address
            && let Some((_, until)) = &mut *found.lock().await
        {
            *until = Instant::now();
        }
    }
}

/// A failure of the connection or of the discovery.
fn failed(error: FetchError) -> Failure {
    Failure { cause: error.into(), blame: Blame::Everybody, retry_after: None }
}

/// A response with another status than 200.
fn refused(address: &FetchUrl, response: &Response<Vec<u8>>) -> Failure {
    let status = response.status();
    let (blame, advice) = match status {
        // Providers reject a token of the wrong form, such as a JWT, in this way.
        StatusCode::BAD_REQUEST => (Blame::Credential, ""),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (Blame::Everybody, "; check the client's ID, secret and authentication method")
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (Blame::Everybody, ""),
        status if status.is_server_error() => (Blame::Unclear, ""),
        _ => (Blame::Everybody, "; check the URL of the endpoint"),
    };
    let code = error_code(response.body()).map(|code| format!(" (`{code}`)")).unwrap_or_default();
    let cause = format!(
        "cannot introspect the token at `{}`: the response has status {}{code}{advice}",
        address.without_query(),
        status.as_u16()
    );
    Failure { cause: cause.into(), blame, retry_after: retry_after(response) }
}

/// Returns the `error` of a response (RFC 6749, section 5.2), if it is one of the usual words.
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: String,
    }

    let Body { error } = json::object(body)?;
    let is_word = error.len() <= 40 && error.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
    is_word.then_some(error)
}

/// Returns the `Retry-After` of a response, if it is in seconds.
fn retry_after(response: &Response<Vec<u8>>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
