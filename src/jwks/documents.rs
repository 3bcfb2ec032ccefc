//! Fetching one document, within a deadline and a size limit.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::client::HttpClient;
use super::fetch_error::{FetchError, Problem};
use super::fetch_url::FetchUrl;
use super::request_header::RequestHeader;
use crate::url::without_secrets;

/// Fetches documents with a client.
#[derive(Clone)]
pub(crate) struct Documents {
    pub(crate) client: Arc<dyn HttpClient>,
    pub(crate) header: Option<RequestHeader>,
    /// Timeout of a whole attempt, for the error.
    pub(crate) limit: Duration,
    /// Maximum size of each response.
    pub(crate) max_bytes: usize,
    /// The settings of both limits, for the error.
    pub(crate) settings: LimitSettings,
}

/// The names of the settings that set the limits. `None` if a limit is fixed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitSettings {
    pub(crate) deadline: Option<&'static str>,
    pub(crate) size: Option<&'static str>,
}

impl Documents {
    /// Sends a request until `end`.
    pub(crate) async fn send(
        &self,
        address: &FetchUrl,
        mut request: Request<Vec<u8>>,
        end: Instant,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        *request.uri_mut() = address.uri().clone();
        let sent = async {
            if let Some(header) = &self.header {
                header.add_to(request.headers_mut(), address).await?;
            }
            self.client.fetch(request, self.max_bytes).await.map_err(Problem::Transport)
        };
        let sent = timeout_at(end, sent).await;
        let deadline = || Problem::Deadline(self.limit, self.settings.deadline);
        sent.unwrap_or_else(|_| Err(deadline())).map_err(|problem| FetchError::new(address, problem))
    }

    /// Returns the body of a complete and uncompressed 200 response.
    pub(crate) fn body_of<'r>(
        &self,
        address: &FetchUrl,
        response: &'r Response<Vec<u8>>,
    ) -> Result<&'r [u8], FetchError> {
        let (body, headers, limit) = (response.body(), response.headers(), self.max_bytes);
        let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let problem = if response.status() != StatusCode::OK {
            Problem::Status(response.status(), redirect_target(response))
        } else if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            Problem::Encoded
        } else if body.len() > limit {
            Problem::TooLarge { limit, setting: self.settings.size }
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
