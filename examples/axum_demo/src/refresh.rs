//! `POST /refresh`: the refresh token, which is in a cookie, for an access token and the next refresh token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::signed_in::SignIns;

/// So many at once; others are told to come again.
const PLACES: usize = 64;

#[derive(Clone)]
struct Refresh {
    sign_ins: SignIns,
    places: Arc<Semaphore>,
}

pub(crate) fn routes(sign_ins: SignIns) -> Router {
    let places = Arc::new(Semaphore::new(PLACES));
    Router::new().route("/refresh", post(refresh)).with_state(Refresh { sign_ins, places })
}

async fn refresh(State(app): State<Refresh>, headers: HeaderMap) -> Response {
    let refreshed = match app.sign_ins.cookie.find(&headers) {
        Some(token) => match app.places.try_acquire() {
            Ok(_place) => app.sign_ins.refresh(token).await,
            Err(_) => Err(ApiError::TooBusy),
        },
        None => Err(ApiError::RefreshInvalid),
    };
    match refreshed {
        Ok(response) => response,
        Err(ApiError::RefreshInvalid) => {
            (app.sign_ins.cookie.remove(), ApiError::RefreshInvalid).into_response()
        }
        Err(error) => error.into_response(),
    }
}
