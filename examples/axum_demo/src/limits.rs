//! How long things may take and how many may be open, so that slow clients cannot hold on to the server.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::timeout;

use crate::error::ApiError;

/// The limits of the server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections may be open; others wait until one closes: 1,000.
    pub connections: usize,
    /// How long a connection is kept open, also for a client that does not read its answers: 60 seconds.
    pub connection: Duration,
    /// Until the headers of a request are there, also of the next one on a connection kept open: 10 seconds.
    pub headers: Duration,
    /// From there until the answer, the request's body included: 10 seconds.
    pub request: Duration,
    /// How long a request to sign in, sign up or refresh waits for its turn: 5 seconds.
    pub in_line: Duration,
    /// How many sessions a user may have; the oldest ends when there is one more: 50.
    pub sessions: usize,
    /// How many failed attempts to sign in to an account are free, before each has to wait longer for the next: 5.
    pub account_failures: u32,
    /// The same of a client's address, also of attempts to sign up: 30.
    pub address_failures: u32,
    /// How many attempts to sign up are free of an address, whether they fail or not: 100.
    pub address_sign_ups: u32,
    /// The longest that an attempt has to wait: a minute.
    pub longest_delay: Duration,
    /// How many counts of failed attempts are kept: 100,000.
    pub attempt_rows: u32,
    /// How long the start waits for Redis: 3 seconds.
    pub redis_start: Duration,
    /// For a request under way when its connection is to close, or the server to stop: 5 seconds.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            connection: Duration::from_secs(60),
            headers: Duration::from_secs(10),
            request: Duration::from_secs(10),
            in_line: Duration::from_secs(5),
            sessions: 50,
            account_failures: 5,
            address_failures: 30,
            address_sign_ups: 100,
            longest_delay: Duration::from_secs(60),
            attempt_rows: 100_000,
            redis_start: Duration::from_secs(3),
            shutdown: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// Requests that may wait because of others of their own clients: half of the connections, so that the other half
    /// stays free.
    pub(crate) fn client_lines(&self) -> usize {
        self.connections / 2
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
