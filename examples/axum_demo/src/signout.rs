//! `POST /signout` ends the session of the refresh cookie and that of the access token. `POST /signout/everywhere` ends
//! all sessions of their users.
//!
//! Both may be repeated until they succeed, so they accept the cookie or the token of a session that has ended.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tower_jwt_auth::reject::ProblemJson;
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer};

use crate::error::ApiError;
use crate::sessions::Known;
use crate::signed_in::SignIns;
use crate::tokens::AccessToken;

type Token = Result<Claims<AccessToken>, AuthError>;

pub(crate) fn routes(sign_ins: SignIns) -> Router {
    // Without the revocation list, which has the session after the first try.
    let token = JwtAuthLayer::new(sign_ins.issuer.verifier::<AccessToken>());
    Router::new()
        .route("/signout", post(sign_out))
        .route("/signout/everywhere", post(sign_out_everywhere))
        .layer(token.on_reject(ProblemJson::new()).allow_invalid())
        .with_state(sign_ins)
}

async fn sign_out(
    State(sign_ins): State<SignIns>,
    headers: HeaderMap,
    token: Token,
) -> Result<Response, Response> {
    let presented = presented(&sign_ins, &headers, token).await?;
    let sids = presented.into_iter().map(|session| session.sid).collect();
    sign_ins.sessions.end(sids).await.map_err(ApiError::into_response)?;
    Ok(signed_out(&sign_ins))
}

async fn sign_out_everywhere(
    State(sign_ins): State<SignIns>,
    headers: HeaderMap,
    token: Token,
) -> Result<Response, Response> {
    for session in presented(&sign_ins, &headers, token).await? {
        sign_ins.sessions.end_all(session).await.map_err(ApiError::into_response)?;
    }
    Ok(signed_out(&sign_ins))
}

/// Returns the sessions of the cookie and of the token: one, or two if a user has changed accounts.
async fn presented(sign_ins: &SignIns, headers: &HeaderMap, token: Token) -> Result<Vec<Known>, Response> {
    let of_cookie = match sign_ins.cookie.find(headers) {
        Some(token) => sign_ins.sessions.find(&token).await,
        None => Ok(None),
    };
    let of_token = token.map(|token| Known {
        sid: token.sid.clone(),
        // An access token of this issuer has the ID of a user.
        user_id: token.sub.parse().unwrap_or_default(),
        is_used: false,
    });
    match (of_cookie, of_token) {
        (Ok(None), Err(rejection)) => Err(rejection.into_response()),
        (Ok(of_cookie), of_token) => Ok(of_cookie.into_iter().chain(of_token.ok()).collect()),
        (Err(error), of_token) => {
            // The token becomes invalid even if the session of the cookie cannot be found.
            if let Ok(session) = of_token {
                let _ = sign_ins.sessions.end(vec![session.sid]).await;
            }
            Err(ApiError::from(error).into_response())
        }
    }
}

fn signed_out(sign_ins: &SignIns) -> Response {
    (StatusCode::NO_CONTENT, sign_ins.cookie.remove()).into_response()
}
