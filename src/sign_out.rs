//! Revokes the token, the session or the subject of verified claims.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::revocation::{Revocation, RevocationWrite, RevocationWriteError, Revocations};

/// Revocation by the claims of a request.
impl Revocations {
    /// Revokes the session of these claims: all tokens with their issuer and `sid`.
    ///
    /// Use it to sign a user out. `lifetime` is the longest lifetime of the issuer's tokens: the entry lasts until the
    /// tokens issued up to now have expired. End the session at the issuer first, so that it gets no new tokens.
    ///
    #[cfg_attr(feature = "axum", doc = "```")]
    #[cfg_attr(not(feature = "axum"), doc = "```ignore")]
    /// use std::time::Duration;
    ///
    /// use axum::{extract::State, http::StatusCode};
    /// use tower_jwt_auth::revocation::Revocations;
    /// use tower_jwt_auth::{AuthError, Claims};
    ///
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct User {
    ///     sid: String,
    /// }
    ///
    /// const LIFETIME: Duration = Duration::from_secs(15 * 60);
    ///
    /// async fn sign_out(list: State<Revocations>, user: Claims<User>) -> Result<StatusCode, AuthError> {
    ///     list.revoke_session_of(&user, LIFETIME)?.await?;
    ///     Ok(StatusCode::NO_CONTENT)
    /// }
    /// ```
    ///
    /// The `sid` is read from the serialized claims, so the claims type needs a field that is serialized as `sid`. The
    /// entry never expires if the expiry of the token is [not known](crate::token::TokenInfo::expires_at).
    ///
    /// # Errors
    ///
    /// Nothing is revoked in these cases. The [source](std::error::Error::source) of the error has the reason.
    ///
    /// - [`InvalidClaims`](AuthErrorKind::InvalidClaims) (401): the serialized claims have no string `sid`, or an empty one.
    /// - [`WrongIssuer`](AuthErrorKind::WrongIssuer) (401): the claims have no issuer.
    /// - [`RevocationsUnavailable`](AuthErrorKind::RevocationsUnavailable) (503): the entry would not revoke this token.
    ///   The verifier of the token uses another list, or the claims type has changed the `sid`. This is only noticed if
    ///   the verifier uses a list.
    pub fn revoke_session_of<C>(
        &self,
        claims: &Claims<C>,
        lifetime: Duration,
    ) -> Result<RevocationWrite, AuthError>
    where
        C: Serialize, // Derive `serde::Serialize` for the claims type: the ID of the session is read from it.
    {
        let last_expiry = last_expiry(claims, self.time(), lifetime);
        self.revoke_named(claims, "sid", |issuer, sid| Revocation::session(issuer, sid, last_expiry))
    }

    /// Revokes the token of these claims, by its issuer and `jti`.
    ///
    /// Other tokens of the same user stay valid. To sign a user out, use
    /// [`revoke_session_of`](Self::revoke_session_of).
    ///
    /// The `jti` is read from the serialized claims. The entry ends with the token.
    ///
    /// # Errors
    ///
    /// The same as for [`revoke_session_of`](Self::revoke_session_of), with `jti` instead of `sid`.
    pub fn revoke_token_of<C>(&self, claims: &Claims<C>) -> Result<RevocationWrite, AuthError>
    where
        C: Serialize, // Derive `serde::Serialize` for the claims type: the ID of the token is read from it.
    {
        let expires_at = claims.token().expires_at();
        self.revoke_named(claims, "jti", |issuer, jti| Revocation::token(issuer, jti, expires_at))
    }

    /// Revokes all tokens that the subject of these claims has received up to now.
    ///
    /// These are the tokens with their issuer and `sub`. Use it to sign a user out everywhere. `lifetime` is the longest
    /// lifetime of the issuer's tokens. Now is the time of the list's clock, or the `iat` of this token if that is later.
    /// If the issuer's clock may be ahead, other tokens may be missed: see [`revoke_subject`](Self::revoke_subject).
    ///
    /// End the sessions of the user at the issuer first. Otherwise a refresh token gets a new access token.
    ///
    /// The `sub` is read from the serialized claims.
    ///
    /// # Errors
    ///
    /// The same as for [`revoke_session_of`](Self::revoke_session_of), with `sub` instead of `sid`.
    pub fn revoke_subject_of<C>(
        &self,
        claims: &Claims<C>,
        lifetime: Duration,
    ) -> Result<RevocationWrite, AuthError>
    where
        C: Serialize, // Derive `serde::Serialize` for the claims type: the ID of the subject is read from it.
    {
        let now = self.time();
        let issued_until = now.max(claims.conditions().revocable.issued_at());
        let last_expiry = last_expiry(claims, now, lifetime);
        self.revoke_named(claims, "sub", |issuer, sub| {
            Revocation::subject(issuer, sub, issued_until, last_expiry)
        })
    }

    fn revoke_named<C: Serialize>(
        &self,
        claims: &Claims<C>,
        name: &str,
        entry: impl FnOnce(&str, &str) -> Revocation,
    ) -> Result<RevocationWrite, AuthError> {
        let json = serde_json::to_value(&**claims)
            .map_err(|error| Claims::reject(claims, AuthErrorKind::InvalidClaims).with_source(error))?;
        let Some(id) = json.get(name).and_then(Value::as_str).filter(|id| !id.is_empty()) else {
            let cause = format!("cannot revoke: the serialized claims have no string `{name}`");
            return Err(Claims::reject(claims, AuthErrorKind::InvalidClaims).with_source(cause));
        };
        let token = &claims.conditions().revocable;
        let issuer = match claims.token().issuer() {
            Some(issuer) => issuer,
            // The verifier accepts tokens without `iss`, and lists them without an issuer.
            None if token.has_id() => "",
            None => {
                let cause = "cannot revoke: the claims have no issuer";
                return Err(Claims::reject(claims, AuthErrorKind::WrongIssuer).with_source(cause));
            }
        };
        let revocation = entry(issuer, id);
        if token.has_id() && !self.is_about(&revocation, token) {
            let cause = format!(
                "cannot revoke: the verifier uses another revocation list, or its token has another `{name}` than the claims"
            );
            return Err(Claims::reject(claims, AuthErrorKind::RevocationsUnavailable).with_source(cause));
        }
        Ok(self.revoke(revocation))
    }
}

/// Returns the latest `exp` of the tokens that were issued up to now, or `None` if one may never expire.
fn last_expiry<C>(claims: &Claims<C>, now: SystemTime, lifetime: Duration) -> Option<SystemTime> {
    Some(claims.token().expires_at()?.max(now.checked_add(lifetime)?))
}

/// Creates a 503 [`RevocationsUnavailable`](AuthErrorKind::RevocationsUnavailable), for a handler that awaits a
/// [`RevocationWrite`].
impl From<RevocationWriteError> for AuthError {
    fn from(error: RevocationWriteError) -> Self {
        Self::new(AuthErrorKind::RevocationsUnavailable).with_source(error)
    }
}
