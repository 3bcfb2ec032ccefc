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
    /// If your service accepts tokens that are bound to a key (feature `dpop`), the test is also the client:
    ///
    #[cfg_attr(feature = "dpop", doc = "```")]
    #[cfg_attr(not(feature = "dpop"), doc = "```ignore")]
    /// use std::time::{Duration, SystemTime};
    /// use http::{Method, Request};
    /// use serde_json::{Value, json};
    /// # use tower::{Layer, ServiceExt};
    /// use tower_jwt_auth::dpop::{Dpop, DpopKey};
    /// use tower_jwt_auth::issue::TokenIssuer;
    /// use tower_jwt_auth::token::Binding;
    /// use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, JwtAuthLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = TokenIssuer::for_tests();
    /// let layer = JwtAuthLayer::new(issuer.verifier::<Value>().dpop(Dpop::new("https://api.test")?));
    ///
    /// let key = DpopKey::generate(Algorithm::ES256)?;
    /// let token = issuer.bound_to(Binding::to_key(key.thumbprint())).issue(&json!({"sub": "42"}))?;
    /// let request = |key: &DpopKey| {
    ///     let proof = key.proof(&Method::GET, "https://api.test/orders", Some(token.as_str()), None).unwrap();
    ///     let authorization = format!("DPoP {}", token.as_str());
    ///     Request::get("/orders").header("authorization", authorization).header("dpop", proof).body(()).unwrap()
    /// };
    /// let good = request(&key);
    ///
    /// // Requests that are rejected: one of a thief without the key, and one with a proof from an hour ago.
    /// let theft = request(&DpopKey::generate(Algorithm::ES256)?);
    /// let old = request(&key.clone().clock(|| SystemTime::now() - Duration::from_secs(3600)));
    /// # let app = tower::service_fn(async |_| Ok::<_, std::convert::Infallible>(http::Response::new(String::new())));
    /// # let kind = async |request| {
    /// #     let response = layer.layer(app).oneshot(request).await.unwrap();
    /// #     response.extensions().get::<AuthError>().map(AuthError::kind)
    /// # };
    /// # assert_eq!(kind(good).await, None);
    /// # assert_eq!(kind(theft).await, Some(AuthErrorKind::WrongProofKey));
    /// # assert_eq!(kind(old).await, Some(AuthErrorKind::WrongProofTime));
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
