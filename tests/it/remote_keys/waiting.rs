//! Requests that wait for a fetch, and for how long.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, Verdict};

use super::{JWKS, Provider, at_once, key_set, pass, rejection, seconds, token, verifier};
use crate::keys::{jwk_of, signer};
use crate::support::{base64url, claims_with, for_oracle, good_claims};

/// Sends requests for tokens with one key each at once, and returns the verdicts.
async fn all_at_once(
    verifier: &JwtVerifier<serde_json::Value>,
    count: usize,
    kid: impl Fn(usize) -> String,
) -> Vec<Option<AuthErrorKind>> {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (verifier, kid) = (verifier.clone(), kid(number));
        tasks.spawn(async move { rejection(&verifier, &kid).await });
    }
    tasks.join_all().await
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_all_waiting_requests() {
    let provider = Provider::of(&["a"]);
    provider.delay(Duration::from_millis(100));
    let verifier = verifier(&provider.keys());
    let answers = all_at_once(&verifier, 500, |_| "a".to_owned()).await;
    assert_eq!(answers, [None; 500]);
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn fetches_only_from_configured_urls() {
    let provider = Provider::of(&["a"]);
    let verifier = verifier(&provider.keys());
    assert_eq!(rejection(&verifier, "a").await, None);
    for (place, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/chain.pem")),
        ("jwk", jwk_of(Algorithm::EdDSA)),
        ("iss", json!("https://evil.example")),
    ] {
        pass(60).await;
        let header = json!({"alg": "EdDSA", "kid": place, place: value});
        let claims = if place == "iss" { claims_with("iss", value.clone()) } else { good_claims() };
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let key = signer(Algorithm::EdDSA);
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &key, for_oracle(Algorithm::EdDSA)).unwrap();
        let token = format!("{signed}.{signature}");
        assert_eq!(super::rejection_of(&verifier, &token).await, Some(UnknownKey), "{place}");
    }
    let asked: Vec<_> = provider.0.lock().unwrap().requests.iter().map(|asked| asked.uri.clone()).collect();
    assert!(asked.len() > 2, "newer keys are looked for: {asked:?}");
    assert!(asked.iter().all(|uri| uri == JWKS), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_share_a_failure() {
    let provider = Provider::new();
    provider.delay(Duration::from_millis(100));
    let verifier = verifier(&provider.keys());
    let answers = all_at_once(&verifier, 500, |_| "a".to_owned()).await;
    assert_eq!(answers, [Some(KeysUnavailable); 500]);
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_does_not_end_the_fetch() {
    let provider = Provider::of(&["a"]);
    provider.delay(Duration::from_secs(1));
    let verifier = verifier(&provider.keys());
    let waiting =
        tokio::time::timeout(Duration::from_millis(500), verifier.verify(&token("a")).into_future());
    assert!(waiting.await.is_err());
    pass(1).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn request_with_a_held_key_never_waits() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    provider.hang();
    for _ in 0..100 {
        pass(60).await;
        assert!(at_once(verifier.verify(&token("a"))).is_ok());
    }
    assert!(provider.requests() > 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_kids_cause_bounded_fetches_per_cooldown() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    let start = Instant::now();
    for number in 0..3000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(rejection(&verifier, &format!("random-{number}")).await, Some(UnknownKey));
        assert!(at_once(verifier.verify(&token("a"))).is_ok());
    }
    // 150 s: two fetches at once, then after 30, 60, 90, 120 and possibly 150 s. None of them is scheduled.
    assert!((7..=8).contains(&provider.requests()), "{}", provider.requests());
    for three in provider.0.lock().unwrap().requests[1..].windows(3) {
        assert!(three[2].at - three[0].at >= seconds(30));
    }
    assert_eq!(start.elapsed(), seconds(150));
    let stats = keys.stats();
    assert_eq!(stats.unknown_keys(), 3000);
    assert_eq!(stats.cooldown_hits(), 3000 - (stats.fetches() - 1));
}

#[tokio::test(start_paused = true)]
async fn random_kids_leave_nothing_behind() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    for kid in ["b", "c"] {
        assert_eq!(rejection(&verifier, kid).await, Some(UnknownKey), "its own budget is unused");
    }
    let tokens: Vec<_> = (0..500).map(|number| token(&format!("random-{number}"))).collect();
    let used = allocation_counter::measure(|| {
        for token in &tokens {
            assert_eq!(at_once(verifier.verify(token)).err(), Some(UnknownKey));
        }
    });
    assert_eq!(used.bytes_current, 0);
}

#[tokio::test(start_paused = true)]
async fn hanging_provider_holds_requests_two_seconds() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    provider.hang();
    let start = Instant::now();
    let error = verifier.verify(&token("b")).await.unwrap_err();
    assert_eq!(error.kind(), KeysUnavailable);
    assert_eq!(start.elapsed(), seconds(2));
    assert!(error.retry_after().is_some());
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_first_fetch_until_deadline() {
    let provider = Provider::of(&["a"]);
    provider.delay(seconds(3));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    let start = Instant::now();
    assert_eq!(all_at_once(&verifier, 1000, |_| "a".to_owned()).await, [None; 1000]);
    assert_eq!((start.elapsed(), provider.requests()), (seconds(3), 1));

    // Also after a failed fetch, and after a purge.
    let provider = Provider::new();
    let keys = provider.keys().retry_between(seconds(1), seconds(1)).cooldown(seconds(1));
    let verifier = super::verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    provider.serve(&["a"]);
    provider.delay(seconds(3));
    pass(1).await;
    assert_eq!(rejection(&verifier, "a").await, None);
    keys.purge();
    assert_eq!(rejection(&verifier, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn hanging_first_fetch_holds_bounded_requests() {
    let provider = Provider::new();
    provider.hang();
    let keys = provider.keys();
    let verifier = verifier(&keys);
    let start = Instant::now();
    let answers = all_at_once(&verifier, 1500, |number| format!("random-{number}")).await;
    assert_eq!(answers, [Some(KeysUnavailable); 1500]);
    assert_eq!((start.elapsed(), provider.requests()), (seconds(5), 1));
    assert_eq!(keys.stats().rejected_waiters(), 500);
    let cause = keys.last_error().unwrap().to_string();
    assert!(cause.contains("timed out after 5 s"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn max_waiting_bounds_waiting_requests() {
    let provider = Provider::new();
    provider.hang();
    let keys = provider.keys().seed(key_set(&["b"])).max_waiting(10).wait_timeout(Duration::from_millis(700));
    let verifier = verifier(&keys);
    let waiting: Vec<_> = (0..10).map(|_| verifier.verify(&token("a"))).collect();
    assert!(waiting.iter().all(|verdict| matches!(verdict, Verdict::Pending(_))));
    for _ in 0..100 {
        assert_eq!(at_once(verifier.verify(&token("a"))).err(), Some(KeysUnavailable));
    }
    assert_eq!(keys.stats().rejected_waiters(), 100);
    // Requests that leave make room, whether they waited to the end or not.
    drop(waiting);
    let start = Instant::now();
    let answers = all_at_once(&verifier, 20, |_| "a".to_owned()).await;
    assert_eq!(answers, [Some(KeysUnavailable); 20]);
    assert_eq!(start.elapsed(), Duration::from_millis(700));
    assert_eq!(keys.stats().rejected_waiters(), 110);
    assert!(matches!(verifier.verify(&token("a")), Verdict::Pending(_)));
}

#[tokio::test(start_paused = true)]
async fn broken_token_causes_no_fetch() {
    let provider = Provider::of(&["a"]);
    let verifier = verifier(&provider.keys());
    let good = token("a");
    for broken in ["", "a.b.c", &good[..good.len() - 1], &format!("{good}="), &format!("{good}.x")] {
        assert!(at_once(verifier.verify(broken)).is_err(), "{broken}");
    }
    assert_eq!(verifier.verify(&"x".repeat(20_000)).await.unwrap_err().kind(), AuthErrorKind::TokenTooLarge);
}

#[tokio::test(start_paused = true)]
async fn ready_waits_through_failures_up_to_a_limit() {
    let provider = Provider::new();
    let keys = provider.keys().ready_timeout(seconds(60));
    let waiting = Arc::new(keys.clone());
    let ready = tokio::spawn(async move { waiting.ready().await });
    pass(10).await;
    assert!(!keys.is_ready());
    provider.serve(&["a"]);
    ready.await.unwrap().unwrap();
    assert!(keys.is_ready());

    let provider = Provider::new();
    let keys = provider.keys().ready_timeout(seconds(20));
    let start = Instant::now();
    let error = keys.ready().await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (KeysUnavailable, seconds(20)));
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "cannot fetch `https://id.example.com/jwks.json`: the request failed");
    assert_eq!(cause.source().unwrap().to_string(), "down");
}
