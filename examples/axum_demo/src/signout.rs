//! `POST /signout` ends the session of the refresh cookie and that of the access token. `POST /signout/everywhere` ends
//! all sessions of their users.
//!
//! Both may be repeated until they succeed, so they accept the cookie or the token of a session that is over. It ends no
//! other sessions then: the token may have leaked since.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tower_jwt_auth::reject::ProblemJson;
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer};

use crate::ending::Ending;
use crate::error::ApiError;
use crate::sessions::Known;
use crate::signed_in::SignIns;
use crate::tokens::{AccessToken, ISSUER};

type Token = Result<Claims<AccessToken>, AuthError>;

pub(crate) fn routes(sign_ins: SignIns) -> Router {
    // Without the revocation list, which has the session after the first try.
    let token = JwtAuthLayer::new(sign_ins.issuer.verifier::<AccessToken>());
    Router::new()
        .route("/signout", post(|state, headers, token| end(state, headers, token, false)))
        .route("/signout/everywhere", post(|state, headers, token| end(state, headers, token, true)))
        .layer(token.on_reject(ProblemJson::new()).allow_invalid())
        .with_state(sign_ins)
}

async fn end(
    State(SignIns { sessions, cookie, .. }): State<SignIns>,
    headers: HeaderMap,
    token: Token,
    is_everywhere: bool,
) -> Result<Response, Response> {
    let ending = |known: Known| {
        let is_good = known.is_open && !known.is_used || sessions.is_unwritten(&known);
        Ending { sid: known.sid, user_id: (is_everywhere && is_good).then_some(known.user_id) }
    };
    let of_token = token.map(|token| {
        ending(Known {
            sid: token.sid.clone(),
            // Access tokens have the ID of a user.
            user_id: token.sub.parse().unwrap_or_default(),
            is_used: false,
            is_open: sessions.revocations.check_session(ISSUER, &token.sid).is_ok(),
        })
    });
    let of_cookie = match cookie.find(&headers) {
        Some(token) => sessions.find(&token).await.map(|known| known.map(ending)),
        None => Ok(None),
    };
    let (endings, failure) = match (of_cookie, of_token) {
        (Ok(None), Err(rejection)) => return Err(rejection.into_response()),
        (Ok(of_cookie), of_token) => (of_cookie.into_iter().chain(of_token.ok()).collect(), None),
        // The session of the token ends even if that of the cookie cannot be found.
        (Err(error), of_token) => (of_token.into_iter().collect(), Some(ApiError::from(error))),
    };
    let ended = sessions.end(endings).await;
    match failure.map_or(ended, Err) {
        Ok(()) => Ok((StatusCode::NO_CONTENT, cookie.remove()).into_response()),
        Err(error) => Err(error.into_response()),
    }
}
