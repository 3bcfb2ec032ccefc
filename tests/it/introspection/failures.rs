use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::{InvalidToken, Unavailable};
use tower_jwt_auth::verifiers::{AnyOf, LookupSettings};
use tower_jwt_auth::{JwtAuthLayer, Verdict};

use super::{ENDPOINT, Provider, TOKEN, active, is_ready, kind, rejection};
use crate::support::{NOW, ask, assert_rejected, at, bearer, good_token, verifier};

/// A header that does not matter.
const NONE: (&str, &str) = ("x", "y");

#[tokio::test(start_paused = true)]
async fn other_answers_are_failures() {
    let no_response = "the introspection response is not a JSON object with one boolean `active`";
    let large = format!(r#"{{"active":true,"a":"{}"}}"#, "a".repeat(64 * 1024));
    let of = |problem: &str| format!("cannot fetch `{ENDPOINT}`: {problem}");
    let credentials = |status: u16| {
        let of = of(&format!("the response has status {status}"));
        format!("the provider rejected the credentials of this service: {of}; check ClientAuth")
    };
    for (name, status, header, body, expected) in [
        ("HTML", 200, NONE, "<!doctype html>", no_response.to_owned()),
        ("empty", 200, NONE, "", no_response.to_owned()),
        ("array", 200, NONE, "[true]", no_response.to_owned()),
        ("no active", 200, NONE, r#"{"sub":"a"}"#, no_response.to_owned()),
        ("text", 200, NONE, r#"{"active":"true"}"#, no_response.to_owned()),
        ("number", 200, NONE, r#"{"active":1}"#, no_response.to_owned()),
        ("null", 200, NONE, r#"{"active":null}"#, no_response.to_owned()),
        ("twice", 200, NONE, r#"{"active":true,"active":true}"#, no_response.to_owned()),
        ("escaped", 200, NONE, r#"{"active":false,"\u0061ctive":true}"#, no_response.to_owned()),
        ("two objects", 200, NONE, r#"{"active":true}{}"#, no_response.to_owned()),
        ("large", 200, NONE, &large, of("the response is larger than 65536 bytes")),
        (
            "compressed",
            200,
            ("content-encoding", "gzip"),
            r#"{"active":true}"#,
            of("the response is compressed, but the request did not allow it"),
        ),
        (
            "cut short",
            200,
            ("content-length", "99"),
            r#"{"active":true}"#,
            of("the length of the response differs from its `Content-Length`"),
        ),
        ("201", 201, NONE, r#"{"active":true}"#, of("the response has status 201")),
        ("400", 400, NONE, r#"{"active":false}"#, of("the response has status 400")),
        ("400 client", 400, NONE, r#"{"error":"invalid_client"}"#, credentials(400)),
        ("401", 401, NONE, r#"{"active":false}"#, credentials(401)),
        ("403", 403, NONE, "", of("the response has status 403")),
        ("403 client", 403, NONE, r#"{"error":"unauthorized_client"}"#, credentials(403)),
        ("500", 500, NONE, r#"{"active":false}"#, of("the response has status 500")),
    ] {
        let provider = Provider::saying("");
        provider.respond(status, header, body);
        let (kind, cause) = rejection(&provider.verifier()).await;
        assert_eq!((kind, cause), (Unavailable, expected), "{name}");
        assert_eq!(provider.requests(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_concern_all_or_one() {
    for (name, status, header, body, all, retry) in [
        ("400", 400, NONE, "", false, 1),
        ("400 client", 400, NONE, r#"{"error":"invalid_client"}"#, true, 1),
        ("401", 401, NONE, "", true, 1),
        ("403", 403, NONE, "", false, 1),
        ("404", 404, NONE, "", false, 1),
        ("413", 413, NONE, "", false, 1),
        ("429", 429, ("retry-after", "20"), "", true, 20),
        ("302", 302, NONE, "", false, 1),
        ("403 client", 403, NONE, r#"{"error":"invalid_client"}"#, true, 1),
        // One odd token may cause these, in the provider or in a firewall.
        ("500", 500, NONE, "", false, 1),
        ("502", 502, NONE, "", false, 1),
        ("503", 503, ("retry-after", "7"), "", true, 7),
        ("HTML", 200, NONE, "<html>", false, 1),
    ] {
        let provider = Provider::saying("");
        provider.respond(status, header, body);
        let verifier = provider.verifier().insecure_any_audience();
        let error = verifier.verify(TOKEN).await.unwrap_err();
        assert_eq!(error.retry_after().unwrap().as_secs_f64().ceil() as u64, retry, "{name}");
        provider.say(active());
        let expected = all.then_some(Unavailable);
        assert_eq!(kind(&verifier, "another").await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_answers_many_requests() {
    let provider = Provider::saying(active());
    provider.delay(Duration::from_secs(1));
    let verifier = provider.verifier().insecure_any_audience();
    let verdicts: Vec<_> = (0..1000).map(|_| verifier.verify(TOKEN)).collect();
    for verdict in verdicts {
        assert!(verdict.await.is_ok());
    }
    assert_eq!((provider.requests(), verifier.lookup_stats().accepted()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn hanging_endpoint_stops_only_new_tokens() {
    let provider = Provider::saying(active());
    let opaque = provider.verifier().insecure_any_audience();
    let layer = JwtAuthLayer::new(AnyOf::new().jwt(verifier()).opaque(opaque.clone()));
    assert_eq!(ask(&layer, bearer(TOKEN)).await.status(), 200);
    provider.delay(Duration::from_secs(1_000_000));
    let began = Instant::now();
    let response = ask(&layer, bearer("new")).await;
    assert_rejected("new", &response, 503, Unavailable, &[("retry-after", "1")]);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let began = Instant::now();
    assert_eq!(ask(&layer, bearer(TOKEN)).await.status(), 200);
    assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 200);
    assert_eq!(ask(&layer, bearer("newer")).await.status(), 503);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(provider.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_bounded() {
    let provider = Provider::saying(active());
    provider.delay(Duration::from_secs(1_000_000));
    let settings = LookupSettings::new().max_waiting(20).max_in_flight(5);
    let verifier = provider.verifier().lookup_settings(settings);
    let verdicts: Vec<_> = (0..1000).map(|n| verifier.verify(&n.to_string())).collect();
    assert_eq!(verdicts.iter().filter(|verdict| !is_ready(verdict)).count(), 20);
    for verdict in verdicts {
        assert_eq!(verdict.await.unwrap_err().kind(), Unavailable);
    }
    assert_eq!(provider.requests(), 4, "one is reserved");
}

#[tokio::test(start_paused = true)]
async fn revoked_token_is_rejected_within_age() {
    let provider = Provider::saying(active());
    let began = Instant::now();
    let verifier = provider.verifier().insecure_any_audience().clock(move || at(NOW) + began.elapsed());
    assert_eq!(kind(&verifier, TOKEN).await, None);
    provider.say(json!({"active": false}));
    sleep(Duration::from_secs(44)).await;
    assert_eq!(kind(&verifier, TOKEN).await, None);
    sleep(Duration::from_secs(16)).await;
    assert_eq!(kind(&verifier, TOKEN).await, Some(InvalidToken));
    // A restored token works after a few seconds.
    provider.say(active());
    assert_eq!(kind(&verifier, TOKEN).await, Some(InvalidToken));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(kind(&verifier, TOKEN).await, None);
    verifier.forget(TOKEN);
    let before = provider.requests();
    assert_eq!(kind(&verifier, TOKEN).await, None);
    assert_eq!(provider.requests(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn settings_and_expiry_limit_the_memory() {
    let provider = Provider::saying(super::active_with("exp", json!(NOW + 10)));
    let began = Instant::now();
    let verifier = provider.verifier().insecure_any_audience().clock(move || at(NOW) + began.elapsed());
    let verifier = verifier.leeway(Duration::ZERO);
    assert_eq!(kind(&verifier, TOKEN).await, None);
    assert!(matches!(verifier.verify(TOKEN), Verdict::Ready(Ok(_))));
    assert!(!is_ready(&verifier.clone().audience("https://other.example.com").verify(TOKEN)));
    sleep(Duration::from_secs(10)).await;
    provider.fail();
    assert_eq!(kind(&verifier, TOKEN).await, Some(Unavailable));
}
