//! How long things may take, so that a slow client cannot hold on to the server.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::timeout;

use crate::error::ApiError;

/// The time limits of the server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Until the headers of a request are there, also of the next one on a connection kept open: 10 seconds.
    pub headers: Duration,
    /// From there until the answer, the request's body included: 10 seconds.
    pub request: Duration,
    /// For requests under way when the server is told to stop: 5 seconds.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            request: Duration::from_secs(10),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Middleware: answers 408 when the limit is over.
pub(crate) async fn time_limit(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    timeout(limit, next.run(request)).await.map_err(|_| ApiError::TimedOut)
}
