//! An issuer and the verifier that trusts it, in one process.

use jsonwebtoken::Algorithm;
use serde::de::DeserializeOwned;

use super::TokenIssuer;
use super::signing_key::SigningKey;
use crate::verify::{JwtVerifier, KeyIssuer, KeySource, KeysRef};

impl TokenIssuer {
    /// An issuer for the tests of a service that takes tokens: with an Ed25519 key of its own, the name
    /// `https://issuer.test`, and tokens for `https://api.test`.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use serde_json::{Value, json};
    /// use tower_jwt_auth::{AuthErrorKind, JwtAuthLayer, TokenIssuer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = TokenIssuer::for_tests();
    /// let token = issuer.issue(&json!({"sub": "42"}))?;
    /// let verifier = issuer.verifier::<Value>();
    /// let layer = JwtAuthLayer::new(verifier.clone());
    /// assert_eq!(verifier.verify(token.as_str()).await?["sub"], "42");
    ///
    /// // Tokens that are no good: of another issuer's key, and of an hour ago.
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
    /// If no key can be [generated](SigningKey::generate).
    pub fn for_tests() -> Self {
        let key = SigningKey::generate(Algorithm::EdDSA).expect("this machine can make a key");
        Self::new(key, "https://issuer.test").audience("https://api.test")
    }

    /// A verifier in the same process that trusts this issuer's tokens, whatever keys it is given later. It demands the
    /// issuer and one of the audiences, and `at+jwt` where the issuer makes only such; it goes by the same clock.
    pub fn verifier<C>(&self) -> JwtVerifier<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let mut verifier = JwtVerifier::new(OwnKeys(self.clone()));
        for audience in self.settings.audience.iter() {
            verifier = verifier.add_audience(audience);
        }
        if self.settings.access_tokens {
            verifier = verifier.access_tokens_only();
        }
        match self.settings.clock.clone() {
            Some(clock) => verifier.clock(move || clock()),
            None => verifier,
        }
    }
}

/// The keys of an issuer, and for HMAC the secrets.
struct OwnKeys(TokenIssuer);

impl KeySource for OwnKeys {
    fn current(&self) -> KeysRef<'_> {
        let Self(issuer) = self;
        let published = issuer.keys.at(issuer.now(), issuer.settings.lifetime);
        KeysRef::from(published.verifying.clone())
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::Known(&self.0.settings.issuer)
    }
}
