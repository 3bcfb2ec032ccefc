//! The access tokens: what they say, and the issuer that signs them and knows how they are checked.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, ConfigError};

use crate::error::ApiError;
use crate::users::User;

pub(crate) const ISSUER: &str = "https://demo.example";
const AUDIENCE: &str = "axum_demo";

/// How long a token is good for. Whoever is still there gets the next one with the refresh token.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The longest that any token of ours may live: the earlier versions gave out some for a day.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The claims of a token, besides those that the issuer sets.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct AccessToken {
    /// The id of the user.
    pub(crate) sub: String,
    pub(crate) email: String,
    /// The session that began with a sign-in, and ends with a sign-out.
    pub(crate) sid: String,
}

impl AccessToken {
    pub(crate) fn new(user: &User, sid: String) -> Self {
        Self { sub: user.id.to_string(), email: user.email.clone(), sid }
    }

    pub(crate) fn sign(&self, issuer: &TokenIssuer) -> Result<String, ApiError> {
        Ok(issuer.issue(self).map_err(ApiError::internal)?.into_string())
    }
}

/// The issuer that signs with HS256. A secret shorter than 32 bytes is refused.
pub(crate) fn issuer(secret: &[u8]) -> Result<TokenIssuer, ConfigError> {
    let key = SigningKey::hmac(Algorithm::HS256, secret)?;
    Ok(TokenIssuer::new(key, ISSUER).audience(AUDIENCE).lifetime(LIFETIME))
}
