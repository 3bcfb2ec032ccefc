//! `POST /refresh`: the refresh token, which is in a cookie, for an access token and the next refresh token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::refresh_tokens::RefreshToken;
use crate::signin::SignIn;

/// So many at once; others are told to come again.
const PLACES: usize = 64;

#[derive(Clone)]
struct Refresh {
    sign_in: SignIn,
    places: Arc<Semaphore>,
}

pub(crate) fn routes(sign_in: SignIn) -> Router {
    let places = Arc::new(Semaphore::new(PLACES));
    Router::new().route("/refresh", post(refresh)).with_state(Refresh { sign_in, places })
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
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ApiError::TooBusy)?;
        // In a task of its own: a client that goes away in the midst of it must not keep what was found out from being
        // written down, nor give its place to others before that.
        let sign_ins = self.sign_in.sign_ins.clone();
        let refreshed = tokio::spawn(async move {
            let _place = place;
            sign_ins.refresh(token).await
        });
        let (response, user) = refreshed.await.map_err(ApiError::internal)??;
        self.sign_in.attempts.remember(&user.email, client).await;
        Ok(response)
    }
}
