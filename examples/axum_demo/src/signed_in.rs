//! The response to sign-in, sign-up and refresh: an access token, and a refresh token in a cookie.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_jwt_auth::issue::TokenIssuer;
use tower_jwt_auth::settings::AuthSettings;
use tower_jwt_auth::verifiers::{AnyOf, Issuers};
use tower_jwt_auth::{ConfigError, JwtVerifier, Verify};

use crate::cookies::RefreshCookie;
use crate::ending::Ending;
use crate::error::ApiError;
use crate::refresh_tokens::RefreshToken;
use crate::sessions::{Session, Sessions};
use crate::tokens::{AccessToken, Caller, LIFETIME};
use crate::users::User;

/// Starts and refreshes sessions. Clones share the state.
#[derive(Clone)]
pub(crate) struct SignIns {
    pub(crate) issuer: TokenIssuer,
    pub(crate) sessions: Sessions,
    pub(crate) cookie: RefreshCookie,
}

#[derive(Serialize)]
struct SignedIn {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
}

impl SignIns {
    /// Starts a session. Ends the session of the cookie that the response replaces.
    pub(crate) async fn begin(&self, user: User, headers: &HeaderMap) -> Result<Response, ApiError> {
        if let Some(cookie) = self.cookie.find(headers)
            && let Some(replaced) = self.sessions.find(&cookie).await?
        {
            // An error is no reason to reject the user: the session has ended here, and is written later.
            let _ = self.sessions.end(vec![Ending::of(replaced.sid)]).await;
        }
        self.answer(&self.sessions.begin(user).await?)
    }

    /// Returns the response and the user.
    pub(crate) async fn refresh(&self, token: RefreshToken) -> Result<(Response, User), ApiError> {
        let session = self.sessions.refresh(token).await?;
        Ok((self.answer(&session)?, session.user))
    }

    /// Returns the verifier of access tokens, which also rejects ended sessions.
    pub(crate) fn verifier<C>(&self) -> JwtVerifier<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        self.issuer.verifier().revocations(self.sessions.revocations.clone())
    }

    /// Returns the verifier of everyone who may have an account: users who have signed in, and other credentials.
    pub(crate) fn callers(&self, others: Option<&AuthSettings>) -> Result<AnyOf<Caller>, ConfigError> {
        let own = self.verifier::<Caller>();
        let Some(others) = others else {
            return Ok(AnyOf::new().jwt(own.clone()).opaque(own));
        };
        let others = others.clone().revocations(self.sessions.revocations.clone()).verifier::<Caller>()?;
        let issuers = Issuers::new([own])?;
        if !others.issuers().is_empty() {
            issuers.add(others.clone())?;
        }
        Ok(AnyOf::new().jwt(issuers).opaque(others))
    }

    fn answer(&self, session: &Session) -> Result<Response, ApiError> {
        let access_token = AccessToken::new(&session.user, session.sid.clone()).sign(&self.issuer)?;
        let body = SignedIn { access_token, token_type: "Bearer", expires_in: LIFETIME.as_secs() };
        let cookie = self.cookie.set(&session.refresh_token, session.lasts);
        Ok((cookie, Json(body)).into_response())
    }
}
