//! The introspection endpoint, as it was set or as the issuer's discovery document names it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config_error::ConfigError;
use crate::jwks::HttpClient;
use crate::jwks::discovery::{Discovery, Endpoint as Wanted};
use crate::jwks::documents::{Documents, LimitSettings};
use crate::jwks::fetch_error::FetchError;
use crate::jwks::fetch_url::{FetchUrl, PlainHttp};

/// The place of the endpoint.
pub(super) enum Endpoint {
    Fixed(FetchUrl),
    Discovered(Box<Discovered>),
}

/// The endpoint of an issuer. One call at a time reads the discovery document.
pub(super) struct Discovered {
    discovery: Discovery,
    found: Mutex<Option<Found>>,
    /// True after a failed call: the endpoint may have moved.
    is_doubtful: AtomicBool,
}

struct Found {
    url: FetchUrl,
    /// The time to read the document again.
    until: Instant,
}

/// The document is read again after this time.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// The known endpoint is used for this long if the document cannot be read again.
const RETRY: Duration = Duration::from_secs(60);
/// The timeout of the first discovery. The call has one of its own, which is usually shorter.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout if an endpoint is known. It leaves time for the call itself.
const AGAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum size of the document.
const MAX_BYTES: usize = 512 * 1024;

impl Endpoint {
    pub(super) fn fixed(url: &str, client: &dyn HttpClient) -> Result<Self, ConfigError> {
        let rule = PlainHttp::for_settings(client.allows_plain_http());
        FetchUrl::parse(url, rule).map(Self::Fixed).map_err(ConfigError::about_introspection)
    }

    pub(super) fn of_issuer(issuer: &str, client: &dyn HttpClient) -> Result<Self, ConfigError> {
        let discovery = Discovery::new(issuer, client).map_err(ConfigError::about_introspection)?;
        let (found, is_doubtful) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Self::Discovered(Box::new(Discovered { discovery, found, is_doubtful })))
    }

    /// Returns the issuer of the discovery document.
    pub(super) fn issuer(&self) -> Option<&str> {
        match self {
            Self::Fixed(_) => None,
            Self::Discovered(discovered) => Some(discovered.discovery.issuer()),
        }
    }

    /// Returns the URL for logs, if it was set.
    pub(super) fn url(&self) -> Option<String> {
        match self {
            Self::Fixed(url) => Some(url.without_query()),
            Self::Discovered(_) => None,
        }
    }

    pub(super) async fn locate(&self, client: &Arc<dyn HttpClient>) -> Result<FetchUrl, FetchError> {
        match self {
            Self::Fixed(url) => Ok(url.clone()),
            Self::Discovered(discovered) => discovered.locate(client).await,
        }
    }

    /// Has the document read again before the next call, unless the guard is told that the endpoint works.
    pub(super) fn doubt(&self) -> Doubt<'_> {
        Doubt(match self {
            Self::Fixed(_) => None,
            Self::Discovered(discovered) => Some(&discovered.is_doubtful),
        })
    }
}

impl Discovered {
    async fn locate(&self, client: &Arc<dyn HttpClient>) -> Result<FetchUrl, FetchError> {
        let mut found = self.found.lock().await;
        let is_doubtful = self.is_doubtful.swap(false, Ordering::Relaxed);
        let now = Instant::now();
        if let Some(found) = found.as_ref().filter(|found| !is_doubtful && now < found.until) {
            return Ok(found.url.clone());
        }
        let limit = if found.is_some() { AGAIN_TIMEOUT } else { FIRST_TIMEOUT };
        let settings = LimitSettings { deadline: None, size: None };
        let documents =
            Documents { client: Arc::clone(client), header: None, limit, max_bytes: MAX_BYTES, settings };
        let located = self.discovery.locate(Wanted::Introspection, &documents, now + limit).await;
        let (url, until) = match (located, found.take()) {
            (Ok(url), _) => (url, now + LIFETIME),
            // The endpoint may still work.
            (Err(_), Some(old)) => (old.url, now + RETRY),
            (Err(error), None) => return Err(error),
        };
        *found = Some(Found { url: url.clone(), until });
        Ok(url)
    }
}

/// Marks the endpoint as doubtful when dropped, also if the call is cancelled at its timeout.
pub(super) struct Doubt<'a>(Option<&'a AtomicBool>);

impl Doubt<'_> {
    /// Records that the endpoint works.
    pub(super) fn dispel(mut self) {
        self.0 = None;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(is_doubtful) = self.0 {
            is_doubtful.store(true, Ordering::Relaxed);
        }
    }
}
