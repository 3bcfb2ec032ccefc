//! The tokens: what they say, how they are signed and how they are checked.

use jsonwebtoken::{EncodingKey, Header};
use serde::{Deserialize, Serialize};
use tower_jwt_auth::{Algorithm, ConfigError, JwtVerifier, KeySet, Revocations};

use crate::error::ApiError;
use crate::users::User;

pub(crate) const ISSUER: &str = "https://demo.example";
const AUDIENCE: &str = "axum_demo";

/// How long a token is good for, in seconds: 24 hours.
pub(crate) const LIFETIME: u64 = 24 * 60 * 60;

/// The claims of a token.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct AccessToken {
    pub(crate) iss: String,
    /// The id of the user.
    pub(crate) sub: String,
    pub(crate) aud: String,
    pub(crate) email: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    /// Tells tokens apart that are otherwise equal.
    pub(crate) jti: String,
    /// The session that began with a sign-in, and ends with a sign-out.
    pub(crate) sid: String,
}

/// The two sides of one secret: what checks tokens, and what signs them.
#[derive(Clone, Debug)]
pub(crate) struct TokenKeys {
    checking: KeySet,
    signing: EncodingKey,
}

impl TokenKeys {
    /// Keys for HS256. A secret shorter than 32 bytes is refused.
    pub(crate) fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self {
            checking: KeySet::hmac(Algorithm::HS256, secret)?,
            signing: EncodingKey::from_secret(secret),
        })
    }

    pub(crate) fn verifier(&self, revocations: Revocations) -> JwtVerifier<AccessToken> {
        JwtVerifier::new(self.checking.clone()).issuer(ISSUER).audience(AUDIENCE).revocations(revocations)
    }

    pub(crate) fn sign(&self, user: &User) -> Result<String, ApiError> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = AccessToken {
            iss: ISSUER.to_owned(),
            sub: user.id.to_string(),
            aud: AUDIENCE.to_owned(),
            email: user.email.clone(),
            iat: now,
            exp: now + LIFETIME,
            jti: random_id()?,
            sid: random_id()?,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(ApiError::internal)
    }
}

/// 128 random bits, so that no two are ever the same.
fn random_id() -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
