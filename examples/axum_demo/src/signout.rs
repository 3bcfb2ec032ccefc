//! `POST /signout`: ends the session that the token belongs to.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use tower_jwt_auth::{Claims, JwtAuthLayer, TokenIssuer};

use crate::error::ApiError;
use crate::sessions::Sessions;
use crate::tokens::AccessToken;

pub(crate) fn routes(sessions: Sessions, issuer: &TokenIssuer) -> Router {
    let signed_in = JwtAuthLayer::new(issuer.verifier::<AccessToken>().revocations(sessions.revocations()));
    Router::new().route("/signout", post(sign_out)).layer(signed_in).with_state(sessions)
}

async fn sign_out(
    State(sessions): State<Sessions>,
    token: Claims<AccessToken>,
) -> Result<impl IntoResponse, ApiError> {
    sessions.end(token.sid.clone()).await?;
    Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]))
}
