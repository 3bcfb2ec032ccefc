//! An issuer for the tests of services, and the verifier that trusts it.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, SigningKey, TokenIssuer};

use crate::support::{SECRET, ask, bearer, refusal};

#[tokio::test]
async fn a_service_is_tested_in_two_lines() {
    let app = |verifier: JwtVerifier<Value>| JwtAuthLayer::new(verifier);

    let issuer = TokenIssuer::for_tests();
    let layer = app(issuer.verifier());
    let token = issuer.issue(&json!({"email": "eze@example.com"})).unwrap();

    assert_eq!(ask(&layer, bearer(token.as_str())).await.body(), "Hello eze@example.com");
}

#[tokio::test]
async fn tokens_that_are_no_good_are_as_easy() {
    let issuer = TokenIssuer::for_tests();
    let verifier = issuer.verifier();
    let claims = json!({"sub": "42"});
    let ago = |seconds| issuer.clone().clock(move || SystemTime::now() - Duration::from_secs(seconds));
    let refused =
        async |issuer: &TokenIssuer| refusal(&verifier, issuer.issue(&claims).unwrap().as_str()).await;
    assert_eq!(refused(&issuer).await, None);
    assert_eq!(refused(&TokenIssuer::for_tests()).await, Some(UnknownKey));
    assert_eq!(refused(&ago(900)).await, None);
    assert_eq!(refused(&ago(1000)).await, Some(Expired));
    assert_eq!(refused(&issuer.clone().audience("other")).await, Some(WrongAudience));
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    issuer.rotate_at(key, SystemTime::now()).unwrap();
    assert_eq!(refused(&issuer).await, None);
}

#[tokio::test]
async fn the_verifier_demands_what_the_issuer_says() {
    let key = || SigningKey::hmac(Algorithm::HS256, SECRET).unwrap();
    let issuer = TokenIssuer::new(key(), "https://a.test");
    let token = |issuer: &TokenIssuer| issuer.issue(&json!({})).unwrap();
    let refused =
        async |by: &TokenIssuer, of: &TokenIssuer| refusal(&by.verifier(), token(of).as_str()).await;
    assert_eq!(refused(&issuer, &issuer).await, None);
    assert_eq!(refused(&issuer, &TokenIssuer::new(key(), "https://b.test")).await, Some(WrongIssuer));
    let for_two = issuer.clone().audience("x").add_audience("y");
    assert_eq!(refused(&for_two, &for_two).await, None);
    assert_eq!(refused(&for_two, &issuer.clone().audience("y")).await, None);
    assert_eq!(refused(&for_two, &issuer).await, Some(WrongAudience));
    let access = issuer.clone().access_tokens();
    assert_eq!(refused(&access, &access).await, None);
    assert_eq!(refused(&issuer, &access).await, None);
    assert_eq!(refused(&access, &issuer).await, Some(WrongTokenType));
}
