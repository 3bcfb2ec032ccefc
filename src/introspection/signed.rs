//! Signed responses (RFC 9701).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::registered::NumericDate;
use crate::verify::{JwtVerifier, KeyIssuer, KeySource};

/// The media type of signed responses.
pub(super) const MEDIA_TYPE: &str = "application/token-introspection+jwt";
const TYPE: &str = "token-introspection+jwt";
/// Maximum age of a response, in addition to the leeway.
const LONGEST_AGE: Duration = Duration::from_secs(300);
const LARGEST: usize = 64 * 1024;

/// Verifies signed responses.
#[derive(Clone)]
pub(super) struct SignedResponses {
    verifier: JwtVerifier<SignedResponse>,
    /// True if the key source names its issuer, which the verifier requires.
    knows_issuer: bool,
}

/// The claims of a signed response (RFC 9701, section 5).
#[derive(Deserialize)]
pub(super) struct SignedResponse {
    iss: String,
    iat: NumericDate,
    token_introspection: Map<String, Value>,
}

impl SignedResponses {
    pub(super) fn new(keys: impl KeySource + 'static, client_id: &str) -> Self {
        let knows_issuer = matches!(keys.issuer(), KeyIssuer::Known(_));
        let verifier = JwtVerifier::new(keys)
            .audience(client_id)
            .token_type(TYPE)
            .insecure_allow_missing_expiry()
            .max_token_bytes(LARGEST)
            .without_cache();
        // `read` compares the issuer.
        let verifier = if knows_issuer { verifier } else { verifier.insecure_any_issuer() };
        Self { verifier, knows_issuer }
    }

    /// Verifies a response, and returns the response about the token as JSON text.
    ///
    /// `issuers` are the expected ones, and `now` is the time since 1970.
    pub(super) async fn read(
        &self,
        body: &[u8],
        issuers: &[String],
        now: Duration,
        leeway: Duration,
    ) -> Result<String, AuthError> {
        let invalid = |cause: &str| AuthError::new(AuthErrorKind::InvalidClaims).with_source(cause);
        let body = std::str::from_utf8(body).map_err(|_| AuthErrorKind::MalformedToken)?;
        let response = self.verifier.verify(body.trim_ascii()).await?;
        if !self.knows_issuer && issuers.is_empty() {
            return Err(invalid("no issuer is known: set Introspection::issuer"));
        }
        if !issuers.is_empty() && !issuers.contains(&response.iss) {
            return Err(invalid("the signed response is from another issuer"));
        }
        let age = now.saturating_sub(response.iat.since_epoch());
        if age > LONGEST_AGE.saturating_add(leeway) {
            return Err(invalid("the signed response is too old"));
        }
        if response.iat.since_epoch() > now.saturating_add(leeway) {
            return Err(invalid("the signed response is from the future: compare the clocks"));
        }
        Ok(Value::Object(response.token_introspection.clone()).to_string())
    }
}
