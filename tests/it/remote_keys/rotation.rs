//! Key rotation while the provider responds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderValue, Response};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::AuthErrorKind::{InvalidSignature, KeysUnavailable, UnknownKey, UnsupportedAlgorithm};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::keys::JwksRules;

use super::{Provider, at_once, jwks, pass, rejection, seconds, token, verifier};
use crate::keys::{fixture, jwk_by, jwk_of, jwk_with, set_of, signer, token_with};
use crate::support::{for_oracle, good_claims, is_hmac, supported};

#[tokio::test(start_paused = true)]
async fn new_key_is_used_within_one_cooldown() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, None);
    // The worst case: the key is published just after a lookup.
    assert_eq!(rejection(&verifier, "b").await, Some(UnknownKey));
    provider.serve(&["a", "b"]);
    pass(29).await;
    assert_eq!(rejection(&verifier, "b").await, Some(UnknownKey));
    pass(1).await;
    assert_eq!(rejection(&verifier, "b").await, None);
    // During the overlap both keys work.
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    assert!(at_once(verifier.verify(&token("b"))).is_ok());
    assert_eq!(provider.requests(), 3);

    // At once if the last attempt was long ago.
    provider.serve(&["b", "c"]);
    pass(100).await;
    assert_eq!(rejection(&verifier, "c").await, None);
}

#[tokio::test(start_paused = true)]
async fn new_key_is_used_for_tokens_without_kid() {
    let other =
        jsonwebtoken::EncodingKey::from_rsa_pem(fixture("rsa2048-other.private.pem").as_bytes()).unwrap();
    let set = |key: &EncodingKey| set_of(&[jwk_by(key, Algorithm::RS256)]);
    let sign = |key: &EncodingKey| {
        jsonwebtoken::encode(&Header::new(for_oracle(Algorithm::RS256)), &good_claims(), key).unwrap()
    };
    let (old, new) = (set(&signer(Algorithm::RS256)), set(&other));

    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(old.clone().into())));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    let rejected = async |key: &EncodingKey| super::rejection_of(&verifier, &sign(key)).await;
    assert_eq!(rejected(&signer(Algorithm::RS256)).await, None);
    assert_eq!(rejected(&other).await, Some(InvalidSignature));
    provider.answer(move |_| Ok(Response::new(new.clone().into())));
    pass(31).await;
    assert_eq!(rejected(&other).await, None);

    // The held keys have judged the token, so the verdict is the same without newer keys.
    provider.fail();
    pass(31).await;
    assert_eq!(rejected(&signer(Algorithm::RS256)).await, Some(InvalidSignature));
    assert_eq!(rejected(&signer(Algorithm::RS256)).await, Some(InvalidSignature));
}

#[tokio::test(start_paused = true)]
async fn withdrawn_key_ends_within_the_refresh_age() {
    let provider = Provider::of(&["a", "b"]);
    let keys = provider.keys();
    let verifier = verifier(&keys).cache(CacheSettings::new());
    assert_eq!(rejection(&verifier, "a").await, None);
    assert_eq!(rejection(&verifier, "b").await, None);
    provider.serve(&["b"]);
    pass(1).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    pass(600).await;
    assert_eq!(rejection(&verifier, "a").await, Some(UnknownKey));
    assert_eq!(rejection(&verifier, "b").await, None);
}

#[tokio::test(start_paused = true)]
async fn purge_ends_a_key_at_once() {
    let provider = Provider::of(&["a", "b"]);
    let keys = provider.keys();
    let verifier = verifier(&keys).cache(CacheSettings::new());
    assert_eq!(rejection(&verifier, "a").await, None);
    provider.serve(&["b"]);
    // A purge does not wait for a cooldown.
    keys.purge();
    assert!(!keys.is_ready());
    assert_eq!(rejection(&verifier, "a").await, Some(UnknownKey));
    assert_eq!(rejection(&verifier, "b").await, None);
    assert_eq!(provider.requests(), 2);

    // Without a response from the provider there are no keys.
    provider.fail();
    keys.purge();
    assert_eq!(rejection(&verifier, "b").await, Some(KeysUnavailable));
}

#[tokio::test(start_paused = true)]
async fn purge_starts_its_own_fetch() {
    let provider = Provider::new();
    provider.hang();
    let keys = provider.keys().cooldown(seconds(3600)).retry_between(seconds(3600), seconds(3600));
    assert!(!keys.is_ready());
    pass(1).await;
    provider.serve(&["a"]);
    keys.purge();
    pass(5).await;
    assert_eq!(provider.requests(), 2);
    assert!(keys.is_ready());
}

#[tokio::test(start_paused = true)]
async fn keys_purged_while_waiting_count_as_unavailable() {
    let provider = Provider::of(&["a"]);
    provider.delay(seconds(1));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    let waiting = verifier.verify(&token("a")).into_future();
    let mut waiting = std::pin::pin!(waiting);
    assert!(poll_once(waiting.as_mut()).await.is_pending());
    pass(1).await;
    while !keys.is_ready() {
        tokio::task::yield_now().await;
    }
    provider.fail();
    keys.purge();
    assert_eq!(waiting.await.unwrap_err().kind(), KeysUnavailable);
}

/// Polls a future once.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test(start_paused = true)]
async fn purge_discards_a_fetch_in_flight() {
    let provider = Provider::of(&["a", "b"]);
    provider.delay(seconds(1));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    let ready = tokio::spawn({
        let keys = keys.clone();
        async move { keys.ready().await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    provider.serve(&["b"]);
    keys.purge();
    ready.await.unwrap().unwrap();
    assert_eq!(provider.requests(), 2);
    assert_eq!(rejection(&verifier, "a").await, Some(UnknownKey));
    assert_eq!(rejection(&verifier, "b").await, None);
}

#[tokio::test(start_paused = true)]
async fn odd_keys_are_skipped_and_counted() {
    let eddsa = |changes| jwk_with(Algorithm::EdDSA, changes);
    let set = set_of(&[
        eddsa(json!({"kid": "good"})),
        eddsa(json!({"kid": "encryption", "use": "enc"})),
        eddsa(json!({"kid": "signing", "key_ops": ["sign"]})),
        eddsa(json!({"kid": "other", "alg": "ES256"})),
        eddsa(json!({"kid": "unknown", "alg": "XX999"})),
        eddsa(json!({"kid": "private", "d": "AAAA"})),
        eddsa(json!({"kid": "short", "x": "AAAA"})),
        json!({"kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0IHRoYXQgZXZlcnlib2R5IGNhbiByZWFkLi4u"}),
        json!({"kty": "RSA", "kid": "small", "alg": "RS256", "n": "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0", "e": "AQAB"}),
        json!("not a key"),
    ]);
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "good").await, None);
    for kid in ["encryption", "signing", "other", "unknown", "private", "short"] {
        assert_eq!(rejection(&verifier, kid).await, Some(UnknownKey), "{kid}");
    }
    let mac = Header { kid: Some("secret".to_owned()), ..Header::new(for_oracle(Algorithm::HS256)) };
    let key = EncodingKey::from_secret(b"secret that everybody can read...").unwrap();
    let mac = jsonwebtoken::encode(&mac, &good_claims(), &key).unwrap();
    assert_eq!(super::rejection_of(&verifier, &mac).await, Some(UnknownKey));
    assert_eq!((keys.stats().keys(), keys.stats().skipped()), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn each_key_serves_only_its_own_algorithm() {
    let all: Vec<_> = supported().filter(|algorithm| !is_hmac(*algorithm)).collect();
    let named = |algorithm: &Algorithm| jwk_with(*algorithm, json!({"kid": algorithm}));
    let set = set_of(&all.iter().map(named).collect::<Vec<_>>());
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let verifier = verifier(&provider.keys());
    for &algorithm in &all {
        for &named in &all {
            let token = token_with(algorithm, Some(named.as_str()), &good_claims());
            let expected = (algorithm != named).then_some(UnsupportedAlgorithm);
            assert_eq!(super::rejection_of(&verifier, &token).await, expected, "{algorithm}, {named}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rules_choose_algorithm_of_rsa_keys_without_alg() {
    let mut jwk = jwk_of(Algorithm::RS256);
    jwk.as_object_mut().unwrap().remove("alg");
    let set = set_of(&[jwk]);
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let sign = |algorithm| {
        jsonwebtoken::encode(&Header::new(for_oracle(algorithm)), &good_claims(), &signer(algorithm)).unwrap()
    };
    for (rules, algorithm, other) in [
        (JwksRules::new(), Algorithm::RS256, Algorithm::PS256),
        (JwksRules::new().rsa_algorithm(Algorithm::PS256), Algorithm::PS256, Algorithm::RS256),
    ] {
        let verifier = verifier(&provider.keys().rules(rules));
        assert_eq!(super::rejection_of(&verifier, &sign(algorithm)).await, None);
        assert_eq!(super::rejection_of(&verifier, &sign(other)).await, Some(UnknownKey));
    }
}

/// Returns the seconds until keys fetched with these headers are fetched again.
async fn until_refresh(headers: &[(&'static str, &'static str)]) -> u64 {
    let headers = headers.to_vec();
    let provider = Provider::new();
    provider.answer(move |_| {
        let mut response = Response::new(jwks(&["a"]).into());
        for (name, value) in &headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        Ok(response)
    });
    let keys = provider.keys();
    keys.ready().await.unwrap();
    let start = tokio::time::Instant::now();
    while provider.requests() == 1 {
        pass(1).await;
    }
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn provider_sets_refresh_age_within_bounds() {
    for (headers, longest) in [
        (&[][..], 600),
        (&[("cache-control", "max-age=300")], 300),
        (&[("cache-control", "public, max-age=300"), ("age", "100")], 200),
        (&[("cache-control", "max-age=1")], 60),
        (&[("cache-control", "no-store")], 60),
        (&[("cache-control", "max-age=31536000")], 3600),
    ] {
        let taken = until_refresh(headers).await;
        assert!((longest * 8 / 10..=longest + 1).contains(&taken), "{headers:?}: {taken}");
    }
}

/// Serves keys with this name and ETag, or 304 with the ETag `unchanged`.
fn with_etag(provider: &Provider, kid: &'static str, etag: &'static str, unchanged: &'static str) {
    provider.answer(move |request| {
        let mut response = Response::new(Vec::new());
        let is_unchanged = request.headers().contains_key("if-none-match");
        if is_unchanged {
            *response.status_mut() = http::StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = jwks(&[kid]).into();
            response.headers_mut().insert("cache-control", HeaderValue::from_static("max-age=60"));
        }
        let etag = if is_unchanged { unchanged } else { etag };
        response.headers_mut().insert("etag", HeaderValue::from_static(etag));
        Ok(response)
    });
}

#[tokio::test(start_paused = true)]
async fn unchanged_keys_get_their_lifetime_again() {
    let provider = Provider::new();
    with_etag(&provider, "a", "\"1\"", "W/\"1\"");
    let keys = provider.keys();
    keys.ready().await.unwrap();
    pass(600).await;
    assert!(provider.requests() >= 10, "{}", provider.requests());
    assert_eq!(keys.stats().failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn not_modified_with_other_etag_causes_full_fetch() {
    let provider = Provider::new();
    with_etag(&provider, "a", "\"1\"", "\"2\"");
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, None);
    with_etag(&provider, "b", "\"2\"", "\"2\"");
    pass(70).await;
    assert_eq!(rejection(&verifier, "b").await, None);
    assert_eq!(keys.stats().failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn unchanged_keys_are_not_sent_again() {
    let provider = Provider::new();
    let unchanged = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&unchanged);
    provider.answer(move |request| {
        let mut response = Response::new(Vec::new());
        if request.headers().get("if-none-match").is_some_and(|etag| etag == "\"v1\"") {
            count.fetch_add(1, Ordering::Relaxed);
            *response.status_mut() = http::StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = jwks(&["a"]).into();
            response.headers_mut().insert("etag", HeaderValue::from_static("\"v1\""));
        }
        Ok(response)
    });
    let keys = provider.keys();
    let verifier = verifier(&keys);
    keys.ready().await.unwrap();
    assert!(provider.0.lock().unwrap().requests[0].headers.get("if-none-match").is_none());
    pass(1900).await;
    assert_eq!(unchanged.load(Ordering::Relaxed), provider.requests() - 1);
    assert!(provider.requests() >= 4);
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    assert!(keys.stats().age().unwrap() <= seconds(600));
    assert_eq!(keys.stats().failures(), 0);

    // After a purge the fetch is unconditional.
    keys.purge();
    assert_eq!(rejection(&verifier, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn tries_all_keys_that_share_a_kid() {
    let other = EncodingKey::from_rsa_pem(fixture("rsa2048-other.private.pem").as_bytes()).unwrap();
    let rsa = |key: &EncodingKey| {
        let mut jwk = jwk_by(key, Algorithm::RS256);
        jwk["kid"] = "same".into();
        jwk
    };
    let set = set_of(&[
        rsa(&signer(Algorithm::RS256)),
        rsa(&other),
        jwk_with(Algorithm::EdDSA, json!({"kid": "same"})),
    ]);
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let verifier = verifier(&provider.keys());
    let header = Header { kid: Some("same".to_owned()), ..Header::new(for_oracle(Algorithm::RS256)) };
    for token in [
        jsonwebtoken::encode(&header, &good_claims(), &signer(Algorithm::RS256)).unwrap(),
        jsonwebtoken::encode(&header, &good_claims(), &other).unwrap(),
        token("same"),
    ] {
        assert_eq!(super::rejection_of(&verifier, &token).await, None);
    }
}
