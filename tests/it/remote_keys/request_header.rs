//! A header of the application in requests to the provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde_json::json;
use tower_jwt_auth::AuthErrorKind::KeysUnavailable;
use tower_jwt_auth::jwks::RemoteKeys;

use super::{JWKS, Provider, jwks, pass, rejection, verifier};
use crate::support::ISSUER;

/// Adds the token of a file that rotates with each read.
fn with_token(keys: RemoteKeys) -> RemoteKeys {
    let reads = AtomicUsize::new(0);
    keys.request_header(AUTHORIZATION, move || {
        Ok(HeaderValue::try_from(format!("Bearer s3cret-{}", reads.fetch_add(1, Ordering::Relaxed)))?)
    })
}

/// Returns the URL and the header of each request.
fn sent(provider: &Provider) -> Vec<(String, Option<String>)> {
    let state = provider.0.lock().unwrap();
    let values = state.requests.iter().map(|request| {
        assert!(request.headers.contains_key(ACCEPT));
        let value = request.headers.get(AUTHORIZATION);
        assert!(value.is_none_or(HeaderValue::is_sensitive), "logs must not show it");
        (request.uri.clone(), value.map(|value| value.to_str().unwrap().to_owned()))
    });
    values.collect()
}

#[tokio::test(start_paused = true)]
async fn header_is_made_for_each_request() {
    let provider = Provider::of(&["a"]);
    let keys = with_token(provider.keys());
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, None);
    pass(600).await;
    let value = |number| (JWKS.to_owned(), Some(format!("Bearer s3cret-{number}")));
    assert_eq!(sent(&provider), [value(0), value(1)]);
}

/// Each call takes a thread of the runtime, so there is only one.
#[tokio::test]
async fn function_that_hangs_is_called_once() {
    let provider = Provider::of(&["a"]);
    let calls = Arc::new(AtomicUsize::new(0));
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (counted, released) = (Arc::clone(&calls), std::sync::Mutex::new(released));
    let keys = provider
        .keys()
        .fetch_timeout(Duration::from_millis(20))
        .retry_between(Duration::from_millis(5), Duration::from_millis(5))
        .request_header(AUTHORIZATION, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            // Ends when the test has ended.
            let _ = released.lock().unwrap().recv();
            Ok(HeaderValue::from_static("Bearer s3cret"))
        });
    assert!(!keys.is_ready());
    while keys.stats().failures() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn other_origins_get_no_header() {
    for (keys_at, gets_header) in [
        ("https://id.example.com/jwks", true),
        ("https://id.example.com:443/jwks", true),
        ("https://id.example.com:8443/jwks", false),
        ("https://keys.example.com/jwks", false),
        ("https://id.example.com.evil.example/jwks", false),
    ] {
        let provider = Provider::new();
        provider.answer(move |request| {
            Ok(Response::new(match request.uri().path() {
                "/jwks" => jwks(&["a"]).into(),
                _ => json!({"issuer": ISSUER, "jwks_uri": keys_at}).to_string().into(),
            }))
        });
        for keys in [
            RemoteKeys::discover_with(ISSUER, provider.clone()).unwrap(),
            RemoteKeys::discover_at_with(ISSUER, "https://id.example.com/metadata", provider.clone())
                .unwrap(),
        ] {
            with_token(keys).ready().await.unwrap();
        }
        for pair in sent(&provider).chunks(2) {
            assert_eq!(pair[0].1.as_deref(), Some("Bearer s3cret-0"), "the document of {keys_at}");
            assert_eq!(pair[1].1.is_some(), gets_header, "{keys_at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failed_header_is_a_failed_fetch() {
    let provider = Provider::of(&["a"]);
    let failing = provider.keys().request_header(AUTHORIZATION, || Err("no such file".into()));
    let panicking = provider.keys().request_header(AUTHORIZATION, || panic!("a bug in the application"));
    for (keys, cause) in [(failing, "no such file"), (panicking, "its function panicked")] {
        assert_eq!(rejection(&verifier(&keys), "a").await, Some(KeysUnavailable));
        let error = keys.last_error().unwrap();
        let expected = format!("cannot fetch `{JWKS}`: the request header `authorization` cannot be set");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.source().unwrap().to_string(), cause);
    }
    assert_eq!(provider.requests(), 0, "no request without it");
}

#[tokio::test(start_paused = true)]
async fn header_value_is_in_no_output() {
    let provider = Provider::new();
    let keys = with_token(provider.keys());
    let error = keys.ready().await.unwrap_err();
    let causes = (keys.last_error(), keys.stats());
    let shown = format!("{keys:?} {error:?} {error} {causes:?}");
    assert!(!shown.contains("s3cret") && shown.contains("RemoteKeys"), "{shown}");
    let request = format!("{:?}", provider.0.lock().unwrap().requests[0].headers);
    assert!(!request.contains("s3cret"), "{request}");
}
