//! `POST /signout` ends the session of the token. `POST /signout/everywhere` ends all sessions of its user.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tower_jwt_auth::reject::ProblemJson;
use tower_jwt_auth::{Claims, JwtAuthLayer};

use crate::error::ApiError;
use crate::signed_in::SignIns;
use crate::tokens::AccessToken;

pub(crate) fn routes(sign_ins: SignIns) -> Router {
    Router::new()
        .route("/signout", post(sign_out))
        .route("/signout/everywhere", post(sign_out_everywhere))
        .layer(JwtAuthLayer::new(sign_ins.verifier::<AccessToken>()).on_reject(ProblemJson::new()))
        .with_state(sign_ins)
}

async fn sign_out(State(sign_ins): State<SignIns>, token: Claims<AccessToken>) -> Result<Response, ApiError> {
    sign_ins.sessions.end(vec![token.sid.clone()]).await?;
    Ok(signed_out(&sign_ins))
}

async fn sign_out_everywhere(
    State(sign_ins): State<SignIns>,
    token: Claims<AccessToken>,
) -> Result<Response, ApiError> {
    let user_id = token.sub.parse().map_err(ApiError::internal)?;
    sign_ins.sessions.end_all(user_id, token.sid.clone()).await?;
    Ok(signed_out(&sign_ins))
}

fn signed_out(sign_ins: &SignIns) -> Response {
    (StatusCode::NO_CONTENT, sign_ins.cookie.remove()).into_response()
}
