//! Access tokens: their claims and their issuer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, ConfigError};

use crate::error::ApiError;
use crate::users::User;

pub(crate) const ISSUER: &str = "https://demo.example";
const AUDIENCE: &str = "axum_demo";

/// Lifetime of a token. The refresh token gets the next one.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The claims of a token, in addition to those that the issuer sets.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct AccessToken {
    /// The ID of the user.
    pub(crate) sub: String,
    pub(crate) email: String,
    /// False: anyone can sign up with any email (OpenID Connect Core, section 5.1).
    #[serde(skip_deserializing)]
    email_verified: bool,
    /// The session, from sign-in to sign-out.
    pub(crate) sid: String,
}

/// The claims of any credential. Access tokens have an email as well.
#[derive(Debug, Deserialize)]
pub(crate) struct Caller {
    /// The ID of the user.
    pub(crate) sub: String,
    #[expect(dead_code, reason = "a credential with a malformed email is rejected")]
    email: Option<String>,
}

impl AccessToken {
    pub(crate) fn new(user: &User, sid: String) -> Self {
        Self { sub: user.id.to_string(), email: user.email.clone(), email_verified: false, sid }
    }

    pub(crate) fn sign(&self, issuer: &TokenIssuer) -> Result<String, ApiError> {
        Ok(issuer.issue(self).map_err(ApiError::internal)?.into_string())
    }
}

/// Creates an issuer that signs with HS256. Fails if the secret is shorter than 32 bytes.
pub(crate) fn issuer(secret: &[u8]) -> Result<TokenIssuer, ConfigError> {
    let key = SigningKey::hmac(Algorithm::HS256, secret)?;
    Ok(TokenIssuer::new(key, ISSUER).audience(AUDIENCE).lifetime(LIFETIME))
}
