//! Limits on time and numbers, so slow clients cannot exhaust the server.

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
    /// Maximum number of open connections. Others wait until one closes. The default is 1,000.
    ///
    /// A closed connection counts until its request ends.
    pub connections: usize,
    /// Maximum number of connections of one IPv4 address or IPv6 /64 network. A /48 gets twice as many. Others are
    /// closed at once. The default is 100. There is no such limit with `PUBLIC_URL` or trusted proxies: the connections
    /// of a proxy are those of all clients.
    pub connections_of_a_peer: usize,
    /// Maximum age of a connection, even if the client reads no responses. The default is 60 seconds.
    pub connection: Duration,
    /// Time limit for the headers of each request on a connection. The default is 10 seconds.
    pub headers: Duration,
    /// Time limit from the headers to the response, including the request body. The default is 10 seconds.
    pub request: Duration,
    /// Maximum wait of a sign-in, sign-up or refresh for its turn. The default is 5 seconds.
    pub in_line: Duration,
    /// Maximum number of sessions of a user. One more ends the oldest. The default is 50.
    pub sessions: usize,
    /// Failed sign-ins of an account in a minute, from new addresses or from one known address. The default is 5.
    pub account_failures: u32,
    /// Failed sign-ins and sign-ups of an address in a minute. The default is 20.
    pub address_failures: u32,
    /// Failed sign-ins and sign-ups of an IPv6 /48 network in a minute. The default is 30.
    pub network_failures: u32,
    /// Sign-ups of an address, or of an IPv6 /48 network, in an hour, whether they fail or not. The default is 100.
    pub address_sign_ups: u32,
    /// Refreshes of a session in a minute. The default is 30.
    pub session_refreshes: u32,
    /// Maximum wait for Redis at start-up. The default is 3 seconds.
    pub redis_start: Duration,
    /// Time limit for a running request when its connection or the server closes. The default is 5 seconds.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            connections_of_a_peer: 100,
            connection: Duration::from_secs(60),
            headers: Duration::from_secs(10),
            request: Duration::from_secs(10),
            in_line: Duration::from_secs(5),
            sessions: 50,
            account_failures: 5,
            address_failures: 20,
            network_failures: 30,
            address_sign_ups: 100,
            session_refreshes: 30,
            redis_start: Duration::from_secs(3),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Middleware that responds with 408 after the time limit.
pub(crate) async fn time_limit(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    timeout(limit, next.run(request)).await.map_err(|_| ApiError::TIMED_OUT)
}
