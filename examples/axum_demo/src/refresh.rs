//! `POST /refresh`: exchanges the refresh token in the cookie for new tokens.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use crate::AppState;
use crate::client_address::Client;
use crate::error::ApiError;
use crate::gate::{Bounds, Gate};
use crate::limits::Limits;
use crate::refresh_tokens::RefreshToken;

/// Number of concurrent refreshes. The same number can wait.
const PLACES: usize = 64;

/// Refreshes of one client. Some of them hold a place or wait for one, so a flood from one client leaves room for others.
const SHARE: usize = 80;
const RUNNING: usize = 16;

pub(crate) fn gate(limits: &Limits) -> Gate {
    let (share, running, places, line) = (SHARE, RUNNING, PLACES, PLACES);
    Gate::new(Bounds { share, running, places, kept: 0, line, longest_wait: limits.in_line })
}

pub(crate) async fn refresh(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let cookie = app.sign_ins.cookie;
    let refreshed = match cookie.find(&headers) {
        Some(token) => app.refresh(token, &app.proxies.client(peer, &headers)).await,
        None => Err(ApiError::REFRESH_INVALID),
    };
    match refreshed {
        Ok(response) => response,
        Err(error) if error.is(&ApiError::REFRESH_INVALID) => (cookie.remove(), error).into_response(),
        Err(error) => error.into_response(),
    }
}

impl AppState {
    async fn refresh(&self, token: RefreshToken, client: &Client) -> Result<Response, ApiError> {
        let _inside = self.refreshes.enter(self.refreshes.visit(client)?, false).await?;
        let (response, user) = self.sign_ins.refresh(token).await?;
        self.attempts.refreshed(&user.email, client).await;
        Ok(response)
    }
}
