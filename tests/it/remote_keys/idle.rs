//! Keys that nobody uses.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use tower_jwt_auth::AuthErrorKind::{Expired, KeysUnavailable, UnknownKey};
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
use tower_jwt_auth::{Algorithm, ConfigError, JwtVerifier};

use super::{Provider, at_once, jwks, pass, rejection, rejection_of, seconds, token, token_from, verifier};
use crate::keys::signer;
use crate::support::{AUDIENCE, ISSUER, NOW, at, claims_with, for_oracle};

const HOUR: u64 = 60 * 60;

/// Returns keys that nobody has used for long, with their verifier and the number of requests so far.
async fn idle(keys: RemoteKeys, provider: &Provider) -> (RemoteKeys, JwtVerifier<Value>, usize) {
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    // The token is remembered.
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    pass(4 * HOUR).await;
    (keys, verifier, provider.requests())
}

#[tokio::test(start_paused = true)]
async fn unused_keys_cause_no_fetches() {
    let provider = Provider::of(&["a"]);
    let (keys, verifier, requests) = idle(provider.keys(), &provider).await;
    assert!((18..=24).contains(&requests), "about one per ten minutes, for three hours: {requests}");
    pass(19 * HOUR).await;
    assert_eq!(provider.requests(), requests);
    assert_eq!(keys.stats().keys(), 1, "the keys are still held");

    // The first request waits for a fetch. Then everything is as before.
    assert_eq!(rejection(&verifier, "a").await, None);
    assert_eq!(provider.requests(), requests + 1);
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    pass(700).await;
    assert_eq!(provider.requests(), requests + 2);
    assert_eq!((keys.stats().unknown_keys(), keys.stats().failures()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn withdrawn_key_ends_while_idle() {
    let provider = Provider::of(&["a"]);
    let (_, verifier, _) = idle(provider.keys(), &provider).await;
    provider.serve(&["b"]);
    assert_eq!(rejection(&verifier, "a").await, Some(UnknownKey));
    assert!(at_once(verifier.verify(&token("b"))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn idle_keys_serve_during_outage_within_limit() {
    for hangs in [false, true] {
        let provider = Provider::of(&["a"]);
        let (_, verifier, requests) = idle(provider.keys(), &provider).await;
        if hangs {
            provider.hang()
        } else {
            provider.fail()
        }
        let start = Instant::now();
        assert_eq!(rejection(&verifier, "a").await, None, "hangs: {hangs}");
        assert_eq!(start.elapsed().as_secs(), if hangs { 5 } else { 0 }, "the timeout of a fetch");
        assert_eq!(provider.requests(), requests + 1);
        // The provider is known to be down: no other request waits.
        assert!(at_once(verifier.verify(&token("a"))).is_ok());
        assert_eq!(rejection(&verifier, "b").await, Some(KeysUnavailable));
        // They were last confirmed about an hour before.
        pass(24 * HOUR).await;
        assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable), "hangs: {hangs}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_keys_expire_at_outage_limit() {
    let provider = Provider::of(&["a"]);
    let (keys, verifier, requests) = idle(provider.keys(), &provider).await;
    pass(24 * HOUR).await;
    assert_eq!((keys.stats().keys(), provider.requests()), (0, requests));
    provider.fail();
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    provider.serve(&["a"]);
    pass(2).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
}

/// A provider that nobody needs is not asked forever.
#[tokio::test(start_paused = true)]
async fn failing_retries_end_without_use() {
    let provider = Provider::new();
    let verifier = verifier(&provider.keys());
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    pass(4 * HOUR).await;
    let requests = provider.requests();
    pass(24 * HOUR).await;
    assert_eq!(provider.requests(), requests);
    provider.serve(&["a"]);
    assert_eq!(rejection(&verifier, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_rest_before_they_are_ready() {
    let provider = Provider::new();
    let keys = provider.keys().ready_timeout(seconds(48 * HOUR));
    let ready = tokio::spawn({
        let keys = keys.clone();
        async move { keys.ready().await }
    });
    pass(4 * HOUR).await;
    provider.serve(&["a"]);
    assert!(ready.await.unwrap().is_ok());
    assert!(provider.keys().idle_timeout(Duration::ZERO).ready().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn used_keys_never_rest() {
    let provider = Provider::of(&["a"]);
    let (verified, probed) = (provider.keys(), provider.keys());
    let verifier = verifier(&verified);
    verified.ready().await.unwrap();
    for _ in 0..24 {
        assert!(at_once(verifier.verify(&token("a"))).is_ok());
        let _ = probed.is_ready();
        pass(2 * HOUR).await;
    }
    assert!(verified.stats().age().unwrap() <= seconds(600));
    assert!(probed.stats().age().unwrap() <= seconds(600));

    let never = provider.keys().idle_timeout(Duration::MAX);
    assert!(!never.is_ready());
    pass(100 * HOUR).await;
    assert!(never.stats().age().unwrap() <= seconds(600));
}

#[tokio::test(start_paused = true)]
async fn many_requests_after_rest_share_a_fetch() {
    let provider = Provider::of(&["a"]);
    provider.delay(seconds(1));
    let (keys, verifier, requests) = idle(provider.keys(), &provider).await;
    let header = jsonwebtoken::Header::new(for_oracle(Algorithm::EdDSA));
    let nameless =
        jsonwebtoken::encode(&header, &claims_with("iss", json!(ISSUER)), &signer(Algorithm::EdDSA)).unwrap();
    let mut waiting = Vec::new();
    for number in 0..100 {
        let (verifier, token) =
            (verifier.clone(), if number % 2 == 0 { token("a") } else { nameless.clone() });
        waiting.push(tokio::spawn(async move { rejection_of(&verifier, &token).await }));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for request in waiting {
        assert_eq!(request.await.unwrap(), None);
    }
    assert_eq!((provider.requests(), keys.stats().rejected_waiters()), (requests + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn hopeless_token_ends_no_rest() {
    let provider = Provider::of(&["a"]);
    let (_, verifier, requests) = idle(provider.keys(), &provider).await;
    let header = jsonwebtoken::Header {
        kid: Some("a".into()),
        ..jsonwebtoken::Header::new(for_oracle(Algorithm::EdDSA))
    };
    let expired =
        jsonwebtoken::encode(&header, &claims_with("exp", json!(1)), &signer(Algorithm::EdDSA)).unwrap();
    for _ in 0..3 {
        assert!(
            rejection_of(&verifier, &expired).await.is_some_and(|kind| [Expired, UnknownKey].contains(&kind))
        );
    }
    pass(10).await;
    assert_eq!(provider.requests(), requests);
}

#[tokio::test(start_paused = true)]
async fn readiness_probe_ends_rest() {
    let provider = Provider::of(&["a"]);
    let (keys, verifier, requests) = idle(provider.keys(), &provider).await;
    assert!(keys.is_ready(), "a pause is no reason to take the service out");
    pass(1).await;
    assert_eq!(provider.requests(), requests + 1);
    assert!(at_once(verifier.verify(&token("a"))).is_ok());

    let (keys, _, requests) = idle(provider.keys(), &provider).await;
    keys.purge();
    pass(1).await;
    assert_eq!((provider.requests(), keys.is_ready()), (requests + 1, true));
}

#[tokio::test(start_paused = true)]
async fn unchanged_keys_are_confirmed_by_etag() {
    let provider = Provider::new();
    provider.answer(|request| {
        let response = Response::builder().header("etag", "\"1\"");
        Ok(match request.headers().contains_key("if-none-match") {
            true => response.status(StatusCode::NOT_MODIFIED).body(Vec::new()),
            false => response.body(jwks(&["a"]).into()),
        }
        .unwrap())
    });
    let (keys, verifier, _) = idle(provider.keys(), &provider).await;
    assert_eq!(rejection(&verifier, "a").await, None);
    assert_eq!((keys.stats().failures(), keys.stats().age()), (0, Some(seconds(0))));
}

#[test]
fn rest_ends_without_a_runtime_of_the_caller() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let provider = Provider::of(&["a"]);
    let (keys, verifier, _) = runtime.block_on(idle(provider.keys(), &provider));
    assert_eq!(at_once(verifier.verify(&token("a"))).err(), Some(KeysUnavailable), "it cannot wait");
    runtime.block_on(pass(1));
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    assert_eq!(keys.stats().failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn idle_tenants_of_a_resolver_rest() {
    let provider = Provider::of(&["a"]);
    let name = |number: usize| format!("https://tenant-{number}.example.com");
    let tenants: Arc<HashMap<_, _>> =
        Arc::new((0..20).map(|number| (name(number), provider.keys())).collect());
    let known = Arc::clone(&tenants);
    let resolver = IssuerResolver::new(move |issuer: String| {
        let keys = known.get(&issuer).cloned();
        let verifier = keys
            .map(|keys| JwtVerifier::<Value>::new(keys).issuer(issuer).audience(AUDIENCE).clock(|| at(NOW)));
        async move { Ok::<_, ConfigError>(verifier) }
    });
    let issuers = Issuers::default().resolver(resolver);
    let ask =
        async |number| issuers.verify(&token_from(&name(number), "a")).await.err().map(|error| error.kind());
    for number in 0..20 {
        assert_eq!(ask(number).await, None);
    }
    for _ in 0..4 {
        pass(HOUR).await;
        assert_eq!(ask(7).await, None);
    }
    let fetches = || {
        tenants.iter().map(|(name, keys)| (name.clone(), keys.stats().fetches())).collect::<HashMap<_, _>>()
    };
    let before = fetches();
    pass(2 * HOUR).await;
    let after = fetches();
    for number in 0..20 {
        let is_refreshed = after[&name(number)] > before[&name(number)];
        assert_eq!(is_refreshed, number == 7, "{number}");
    }
    assert_eq!(ask(3).await, None);
    assert_eq!(fetches()[&name(3)], after[&name(3)] + 1);
}
