//! `POST /refresh`: exchanges the refresh token in the cookie for new tokens.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::error::ApiError;
use crate::gate::{Bounds, Gate};
use crate::limits::Limits;
use crate::refresh_tokens::RefreshToken;
use crate::signin::SignIn;

/// Number of concurrent refreshes. The same number can wait.
const PLACES: usize = 64;

/// Concurrent refreshes of one client. A flood from one client leaves room for others.
const SHARE: usize = 16;

#[derive(Clone)]
struct Refresh {
    sign_in: SignIn,
    gate: Gate,
}

pub(crate) fn routes(sign_in: SignIn, limits: &Limits) -> Router {
    let gate = Gate::new(Bounds {
        places: PLACES,
        line: PLACES,
        share: SHARE,
        client_line: PLACES,
        client_lines: limits.client_lines(),
        longest_wait: limits.in_line,
    });
    Router::new().route("/refresh", post(refresh)).with_state(Refresh { sign_in, gate })
}

async fn refresh(
    State(app): State<Refresh>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let cookie = app.sign_in.sign_ins.cookie;
    let refreshed = match cookie.find(&headers) {
        Some(token) => app.refresh(token, &app.sign_in.proxies.client(peer, &headers)).await,
        None => Err(ApiError::RefreshInvalid),
    };
    match refreshed {
        Ok(response) => response,
        Err(ApiError::RefreshInvalid) => (cookie.remove(), ApiError::RefreshInvalid).into_response(),
        Err(error) => error.into_response(),
    }
}

impl Refresh {
    async fn refresh(&self, token: RefreshToken, client: &str) -> Result<Response, ApiError> {
        let inside = self.gate.enter(client).await?;
        // A task completes even if the client disconnects. Reuse of a token must reach the database, and the place
        // stays taken until then.
        let sign_ins = self.sign_in.sign_ins.clone();
        let refreshed = tokio::spawn(async move {
            let _inside = inside;
            sign_ins.refresh(token).await
        });
        let (response, user) = refreshed.await.map_err(ApiError::internal)??;
        self.sign_in.attempts.remember(&user.email, client).await;
        Ok(response)
    }
}
