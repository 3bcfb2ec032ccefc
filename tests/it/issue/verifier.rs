//! The verifier for an issuer in the same process.

use serde_json::json;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};

use crate::support::{SECRET, rejection};

#[tokio::test]
async fn verifier_requires_the_claims_of_the_issuer() {
    let key = || SigningKey::hmac(Algorithm::HS256, SECRET).unwrap();
    let issuer = TokenIssuer::new(key(), "https://a.test");
    let token = |issuer: &TokenIssuer| issuer.issue(&json!({})).unwrap();
    let rejected =
        async |by: &TokenIssuer, of: &TokenIssuer| rejection(&by.verifier(), token(of).as_str()).await;
    assert_eq!(rejected(&issuer, &issuer).await, None);
    assert_eq!(rejected(&issuer, &TokenIssuer::new(key(), "https://b.test")).await, Some(WrongIssuer));
    let for_two = issuer.clone().audience("x").add_audience("y");
    assert_eq!(rejected(&for_two, &for_two).await, None);
    assert_eq!(rejected(&for_two, &issuer.clone().audience("y")).await, None);
    assert_eq!(rejected(&for_two, &issuer).await, Some(WrongAudience));
    let access = issuer.clone().access_tokens_only();
    assert_eq!(rejected(&access, &access).await, None);
    assert_eq!(rejected(&issuer, &access).await, None);
    assert_eq!(rejected(&access, &issuer).await, Some(WrongTokenType));
}
