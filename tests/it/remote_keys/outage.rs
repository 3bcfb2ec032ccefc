//! Outages of the provider, and unusable responses.

use std::time::Duration;

use http::Response;
use serde_json::json;
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtAuthLayer};

use super::{Provider, at_once, jwks, key_set, pass, rejection, seconds, token, verifier};
use crate::keys::{jwk_with, set_of};
use crate::support::{ask, assert_rejected, bearer};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test(start_paused = true)]
async fn keeps_stale_keys_for_a_day_of_outage() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    provider.fail();
    pass(DAY - 1).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    assert!(keys.stats().stale_uses() > 0);
    pass(2).await;
    let stale_uses = keys.stats().stale_uses();
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    assert_eq!((keys.is_ready(), keys.stats().age()), (false, None));
    assert_eq!(keys.stats().stale_uses(), stale_uses, "there are none that could be");

    // Recovery restores the keys.
    provider.serve(&["a"]);
    pass(5 * 60).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn outage_limit_holds_while_the_provider_hangs() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys().outage_limit(seconds(1000)).fetch_timeout(seconds(100_000));
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    provider.hang();
    pass(999).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    pass(2).await;
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
}

#[tokio::test(start_paused = true)]
async fn seeded_keys_serve_at_once_until_outage_limit() {
    let provider = Provider::new();
    let keys = provider.keys().seed(key_set(&["a"])).outage_limit(seconds(1000));
    let verifier = verifier(&keys);
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    keys.ready().await.unwrap();
    pass(999).await;
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    pass(2).await;
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
}

fn with_status_302() -> Response<Vec<u8>> {
    Response::builder().status(302).body(Vec::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn document_size_limit_can_be_set() {
    let padded = format!("{}{}", jwks(&["a"]), " ".repeat(512 * 1024));
    let length = padded.len();
    for (limit, expected) in
        [(None, Some(512 * 1024)), (Some(length), None), (Some(length - 1), Some(length - 1))]
    {
        let provider = Provider::new();
        let body = padded.clone();
        provider.answer(move |_| Ok(Response::new(body.clone().into())));
        let keys = limit.into_iter().fold(provider.keys(), |keys, limit| keys.max_document_bytes(limit));
        assert_eq!(rejection(&verifier(&keys), "a").await.is_some(), expected.is_some());
        let error = keys.last_error().map(|error| error.to_string());
        let expected = expected.map(|bytes| {
            format!(
                "cannot fetch `https://id.example.com/jwks.json`: the response is larger than {bytes} bytes; \
                 RemoteKeys::max_document_bytes sets the limit"
            )
        });
        assert_eq!(error, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn bad_response_never_replaces_good_keys() {
    let ok = |body: &str| Response::new(body.as_bytes().to_vec());
    let with = |name: &'static str, value: &'static str, body: &str| {
        let mut response = ok(body);
        response.headers_mut().insert(name, value.parse().unwrap());
        response
    };
    let status = |status: u16, body: &str| {
        let mut response = ok(body);
        *response.status_mut() = status.try_into().unwrap();
        response
    };
    let redirect = |to: &str| {
        let mut response = with_status_302();
        response.headers_mut().insert("location", to.parse().unwrap());
        response
    };
    let other = jwks(&["b"]);
    let many: Vec<_> = (0..101).map(|n| jwk_with(Algorithm::EdDSA, json!({"kid": n.to_string()}))).collect();
    let padded = format!("{other}{}", " ".repeat(512 * 1024));
    for (name, answer, expected) in [
        ("status 500", status(500, &other), "the response has status 500"),
        ("status 404", status(404, &other), "the response has status 404"),
        ("status 204", status(204, ""), "the response has status 204"),
        ("status 206", status(206, &other), "the response has status 206"),
        ("redirect", status(302, &other), "the response has status 302"),
        (
            "redirect elsewhere",
            redirect("https://user:word@login.example.com/jwks?key=s3cret"),
            "the response has status 302 and redirects to `https://..@login.example.com/jwks?..`; \
             redirects are not followed",
        ),
        (
            "redirect to a path",
            redirect("/login"),
            "the response has status 302 and redirects to `/login`; redirects are not followed",
        ),
        (
            "redirect to something long",
            redirect(&format!("/{}", "x".repeat(1000))),
            &*format!(
                "the response has status 302 and redirects to `/{}`; redirects are not followed",
                "x".repeat(199)
            ),
        ),
        ("unasked for 304", status(304, ""), "the response has status 304"),
        ("empty", ok(""), "the JWK set is invalid"),
        ("not JSON", ok("<html>"), "the JWK set is invalid"),
        ("cut short", ok(&other[..other.len() - 1]), "the JWK set is invalid"),
        (
            "shorter than said",
            with("content-length", "10000", &other),
            "the length of the response differs from its `Content-Length`",
        ),
        (
            "longer than said",
            with("content-length", "10", &other),
            "the length of the response differs from its `Content-Length`",
        ),
        ("an array", ok("[]"), "the JWK set is invalid"),
        ("no keys", ok("{}"), "the JWK set is invalid"),
        ("empty set", ok(r#"{"keys":[]}"#), "the JWK set is invalid"),
        ("an error", ok(r#"{"error":"server_error"}"#), "the JWK set is invalid"),
        ("twice keys", ok(r#"{"keys":[],"keys":[]}"#), "the JWK set is invalid"),
        ("only odd keys", ok(r#"{"keys":[{"kty":"x"},7]}"#), "the JWK set is invalid"),
        ("101 keys", ok(&set_of(&many)), "the JWK set is invalid"),
        (
            "too large",
            ok(&padded),
            "the response is larger than 524288 bytes; RemoteKeys::max_document_bytes sets the limit",
        ),
        (
            "compressed",
            with("content-encoding", "gzip", &other),
            "the response is compressed, but the request did not allow it",
        ),
    ] {
        let provider = Provider::of(&["a"]);
        let keys = provider.keys();
        keys.ready().await.unwrap();
        let verifier = verifier(&keys);
        provider.answer(move |_| Ok(answer.clone()));
        pass(700).await;
        assert!(provider.requests() > 1 && keys.stats().failures() > 0, "{name}");
        assert!(at_once(verifier.verify(&token("a"))).is_ok(), "{name}");
        assert_eq!(rejection(&verifier, "b").await, Some(KeysUnavailable), "{name}");
        let error = keys.last_error().unwrap().to_string();
        assert_eq!(error, format!("cannot fetch `https://id.example.com/jwks.json`: {expected}"), "{name}");
        // It recovers completely.
        provider.serve(&["a", "b"]);
        pass(600).await;
        assert!(at_once(verifier.verify(&token("b"))).is_ok(), "{name}");
        assert!(keys.last_error().is_none(), "{name}");
    }

    let provider = Provider::new();
    provider.answer(move |_| Ok(ok(&set_of(&many[1..]))));
    let keys = provider.keys();
    keys.ready().await.unwrap();
    assert_eq!(keys.stats().keys(), 100, "the maximum number");
}

#[tokio::test(start_paused = true)]
async fn each_fetch_attempt_has_a_deadline() {
    let provider = Provider::of(&["a"]);
    provider.delay(seconds(6));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    pass(4).await;
    assert_eq!(
        keys.last_error().unwrap().to_string(),
        "cannot fetch `https://id.example.com/jwks.json`: timed out after 5 s; \
         RemoteKeys::fetch_timeout sets the limit"
    );
    assert_eq!(keys.stats().failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_with_jitter_to_a_cap() {
    let mut firsts = Vec::new();
    for _ in 0..20 {
        let provider = Provider::new();
        let keys = provider.keys();
        assert!(!keys.is_ready());
        pass(3600).await;
        let state = provider.0.lock().unwrap();
        let gaps: Vec<_> = state.requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        for (number, gap) in gaps.iter().enumerate() {
            let longest = seconds((1 << number.min(16)).min(300));
            // Timers have a resolution of one millisecond.
            let slack = Duration::from_millis(2);
            assert!(*gap >= longest / 2 && *gap <= longest + slack, "{number}: {gap:?} of {longest:?}");
        }
        assert!((16..=30).contains(&gaps.len()), "{}", gaps.len());
        firsts.push(gaps[3]);
    }
    firsts.sort();
    assert!(firsts[19] - firsts[0] > seconds(1), "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn undecidable_token_is_503_and_bad_token_401() {
    const FORGED: &str = r#"Bearer realm="api", error="invalid_token", error_description="the token is not signed with a known key""#;

    let provider = Provider::new();
    let layer = JwtAuthLayer::new(verifier(&provider.keys()));
    let response = ask(&layer, bearer(&token("a"))).await;
    assert_rejected("nothing fetched yet", &response, 503, KeysUnavailable, &[("retry-after", "1")]);

    provider.serve(&["a"]);
    pass(2).await;
    assert_eq!(ask(&layer, bearer(&token("a"))).await.status(), 200);
    let response = ask(&layer, bearer(&token("b"))).await;
    assert_rejected("fetched, without the key", &response, 401, UnknownKey, &[("www-authenticate", FORGED)]);

    provider.fail();
    pass(40).await;
    let response = ask(&layer, bearer(&token("b"))).await;
    assert_rejected("failed since", &response, 503, KeysUnavailable, &[("retry-after", "1")]);
    let response = ask(&layer, bearer(&token("b"))).await;
    assert_rejected("failed, in the cooldown", &response, 503, KeysUnavailable, &[("retry-after", "1")]);
    assert_eq!(ask(&layer, bearer(&token("a"))).await.status(), 200, "a key that is held");

    let forged = format!("{}A", &token("a")[..token("a").len() - 1]);
    assert_eq!(ask(&layer, bearer(&forged)).await.status(), 401, "a key that is held, and a forgery");
    let gone = ask(&layer, bearer("x")).await;
    assert_eq!(gone.status(), 401, "no token at all");
}

#[tokio::test(start_paused = true)]
async fn extreme_durations_neither_overflow_nor_spin() {
    for extreme in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let provider = Provider::of(&["a"]);
        let keys = provider
            .keys()
            .refresh_between(extreme, extreme)
            .retry_between(extreme, extreme)
            .cooldown(extreme)
            .outage_limit(Duration::MAX)
            .max_waiting(usize::MAX);
        let verifier = verifier(&keys);
        assert_eq!(rejection(&verifier, "a").await, None, "{extreme:?}");
        pass(100).await;
        provider.fail();
        pass(100).await;
        assert_eq!(rejection(&verifier, "a").await, None, "{extreme:?}");
        assert!(provider.requests() <= 2100, "{extreme:?}: {}", provider.requests());
    }
    for extreme in [Duration::ZERO, Duration::MAX] {
        let provider = Provider::of(&["a"]);
        provider.delay(Duration::from_millis(10));
        let keys = provider.keys().outage_limit(extreme).wait_timeout(extreme).fetch_timeout(extreme);
        let keys = keys.ready_timeout(extreme);
        let held = extreme > Duration::ZERO;
        assert_eq!(keys.ready().await.is_ok(), held);
        assert_eq!(rejection(&verifier(&keys), "a").await, (!held).then_some(KeysUnavailable));
        pass(100).await;
        assert!(provider.requests() < 1100, "{extreme:?}: {}", provider.requests());
    }
}

#[tokio::test(start_paused = true)]
async fn wall_clock_ends_tokens_but_not_keys() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    keys.ready().await.unwrap();
    for (moment, expected) in
        [(0, Some(AuthErrorKind::NotYetValid)), (u64::MAX / 4, Some(AuthErrorKind::Expired))]
    {
        let verifier = verifier(&keys).clock(move || std::time::UNIX_EPOCH + Duration::from_secs(moment));
        let rejected = rejection(&verifier, "a").await;
        assert!(rejected == expected || moment == 0, "{rejected:?}");
    }
    pass(100).await;
    assert_eq!((keys.is_ready(), provider.requests()), (true, 1));
}

/// An error of the client whose drop reads the keys.
struct LooksOnDrop(std::sync::Arc<std::sync::OnceLock<tower_jwt_auth::jwks::RemoteKeys>>);

impl std::fmt::Debug for LooksOnDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LooksOnDrop")
    }
}

impl std::fmt::Display for LooksOnDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for LooksOnDrop {}

impl Drop for LooksOnDrop {
    fn drop(&mut self) {
        if let Some(keys) = self.0.get() {
            keys.purge();
        }
    }
}

struct FailingClient(std::sync::Arc<std::sync::OnceLock<tower_jwt_auth::jwks::RemoteKeys>>);

impl tower_jwt_auth::jwks::HttpClient for FailingClient {
    fn fetch(&self, _: http::Request<Vec<u8>>, _: usize) -> tower_jwt_auth::jwks::ClientFuture {
        let error = LooksOnDrop(std::sync::Arc::clone(&self.0));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Err(error.into())
        })
    }
}

#[test]
fn dropped_client_errors_may_use_the_keys() {
    crate::support::without_deadlock(|| async {
        let cell = std::sync::Arc::new(std::sync::OnceLock::new());
        let client = FailingClient(std::sync::Arc::clone(&cell));
        let keys = tower_jwt_auth::jwks::RemoteKeys::jwks_with(super::JWKS, client).unwrap();
        assert!(cell.set(keys.clone()).is_ok());
        for _ in 0..3 {
            // The second error replaces the first. An error of a purged fetch replaces none.
            let _ = rejection(&verifier(&keys), "a").await;
            pass(20).await;
            keys.purge();
            tokio::time::sleep(Duration::from_millis(5)).await;
            keys.purge();
        }
        assert!(keys.stats().failures() > 3);
    });
}
