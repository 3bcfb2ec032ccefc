//! An issuer for the tests of a service.

use super::TokenIssuer;
use super::signing_key::SigningKey;
use crate::algorithm::Algorithm;

impl TokenIssuer {
    /// Creates an issuer for the tests of a service that accepts tokens.
    ///
    /// It has a new Ed25519 key, the name `https://issuer.test` and the audience `https://api.test`.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use serde_json::{Value, json};
    /// use tower_jwt_auth::issue::TokenIssuer;
    /// use tower_jwt_auth::{AuthErrorKind, JwtAuthLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = TokenIssuer::for_tests();
    /// let token = issuer.issue(&json!({"sub": "42"}))?;
    /// let verifier = issuer.verifier::<Value>();
    /// let layer = JwtAuthLayer::new(verifier.clone());
    /// assert_eq!(verifier.verify(token.as_str()).await?["sub"], "42");
    ///
    /// // Tokens that are rejected: one signed with another key, and one from an hour ago.
    /// let forged = TokenIssuer::for_tests().issue(&json!({"sub": "42"}))?;
    /// let earlier = issuer.clone().clock(|| SystemTime::now() - Duration::from_secs(3600));
    /// let expired = earlier.issue(&json!({"sub": "42"}))?;
    /// # let kind = async |token: &str| verifier.verify(token).await.unwrap_err().kind();
    /// assert_eq!(kind(forged.as_str()).await, AuthErrorKind::UnknownKey);
    /// assert_eq!(kind(expired.as_str()).await, AuthErrorKind::Expired);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If no key can be [generated](SigningKey::generate) on this machine.
    pub fn for_tests() -> Self {
        let key = SigningKey::generate(Algorithm::EdDSA).expect("a key can be generated on this machine");
        Self::new(key, "https://issuer.test").audience("https://api.test")
    }
}
