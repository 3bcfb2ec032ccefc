//! A header that the application adds to the requests of a provider.

use std::error::Error;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};

use super::fetch_error::Problem;
use super::fetch_url::FetchUrl;

/// A header whose value is made for each request, and sent to one origin only.
#[derive(Clone)]
pub(crate) struct RequestHeader {
    name: HeaderName,
    value: Arc<MakeValue>,
    /// The call that runs. If it hangs, later requests wait for it, since another call would hang as well.
    running: Arc<Mutex<Option<JoinHandle<Made>>>>,
    /// A URL of the origin.
    home: FetchUrl,
}

type Made = Result<HeaderValue, Box<dyn Error + Send + Sync>>;
type MakeValue = dyn Fn() -> Made + Send + Sync;

impl RequestHeader {
    pub(super) fn new(
        name: HeaderName,
        value: impl Fn() -> Made + Send + Sync + 'static,
        home: FetchUrl,
    ) -> Self {
        Self { name, value: Arc::new(value), running: Arc::default(), home }
    }

    /// Adds the header to a request for this URL. A discovery document may name a URL of another origin, which must not get
    /// a secret.
    pub(super) async fn add_to(&self, headers: &mut HeaderMap, address: &FetchUrl) -> Result<(), Problem> {
        if !address.has_origin_of(&self.home) {
            return Ok(());
        }
        let make = Arc::clone(&self.value);
        let failed = |error| Problem::Header(self.name.clone(), error);
        // The function may read a file.
        let mut running = self.running.lock().await;
        let made = running.get_or_insert_with(|| spawn_blocking(move || make())).await;
        *running = None;
        let made = made.map_err(|_| failed("its function panicked".into()))?;
        let mut value = made.map_err(failed)?;
        value.set_sensitive(true);
        headers.insert(self.name.clone(), value);
        Ok(())
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for RequestHeader {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestHeader").field(&self.name).finish()
    }
}
