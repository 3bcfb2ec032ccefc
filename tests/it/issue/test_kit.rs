//! An issuer for tests of services.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier};

use crate::support::{ask, bearer, rejection};

#[tokio::test]
async fn tests_a_service_in_two_lines() {
    let app = |verifier: JwtVerifier<Value>| JwtAuthLayer::new(verifier);

    let issuer = TokenIssuer::for_tests();
    let layer = app(issuer.verifier());
    let token = issuer.issue(&json!({"email": "eze@example.com"})).unwrap();

    assert_eq!(ask(&layer, bearer(token.as_str())).await.body(), "Hello eze@example.com");
}

#[tokio::test]
async fn issues_bad_tokens_for_tests() {
    let issuer = TokenIssuer::for_tests();
    let verifier = issuer.verifier();
    let claims = json!({"sub": "42"});
    let ago = |seconds| issuer.clone().clock(move || SystemTime::now() - Duration::from_secs(seconds));
    let rejected =
        async |issuer: &TokenIssuer| rejection(&verifier, issuer.issue(&claims).unwrap().as_str()).await;
    assert_eq!(rejected(&issuer).await, None);
    assert_eq!(rejected(&TokenIssuer::for_tests()).await, Some(UnknownKey));
    assert_eq!(rejected(&ago(900)).await, None);
    assert_eq!(rejected(&ago(1000)).await, Some(Expired));
    assert_eq!(rejected(&issuer.clone().audience("other")).await, Some(WrongAudience));
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    issuer.rotate_at(key, SystemTime::now()).unwrap();
    assert_eq!(rejected(&issuer).await, None);
}
