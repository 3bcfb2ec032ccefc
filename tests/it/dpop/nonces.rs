//! Nonces of the service (RFC 9449, sections 8 and 9, and section 4.3, check 10).

use std::convert::Infallible;
use std::time::Duration;

use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;

use super::*;

const USE_NONCE: &str =
    r#"error="use_dpop_nonce", error_description="the DPoP proof needs the nonce of this server""#;

fn with_nonces() -> Dpop {
    dpop().nonces(SECRET).unwrap()
}

/// Sends a proof of this time with this nonce.
async fn try_nonce(layer: &Layer, time: u64, nonce: impl Into<Value>) -> Response<String> {
    let token = long_lived_token();
    let proof = Proof::of(&token).claim("iat", time).claim("nonce", nonce).sign();
    ask(layer, send(&token, &proof)).await
}

fn nonce_in(response: &Response<String>) -> Option<&str> {
    response.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap())
}

/// Asserts a rejection with exactly one nonce, and returns it.
#[track_caller]
fn assert_nonce(name: &str, response: &Response<String>) -> String {
    let nonce = nonce_in(response).unwrap_or_else(|| panic!("{name}: no nonce in {response:?}"));
    let challenge = format!(r#"DPoP realm="api", {USE_NONCE}, {ALGS}"#);
    let headers = [("www-authenticate", BEARER), ("www-authenticate", &*challenge), ("dpop-nonce", nonce)];
    assert_rejected(name, response, 401, WrongProofNonce, &headers);
    nonce.to_owned()
}

#[tokio::test]
async fn client_repeats_a_request_with_the_nonce() {
    let layer = layer_with(with_nonces());
    let nonce = assert_nonce("no nonce", &try_nonce(&layer, NOW, json!(null)).await);
    let is_nonce = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    assert!(nonce.bytes().all(is_nonce), "{nonce} has another syntax than in section 8.1");
    // A client uses a nonce for many requests.
    for _ in 0..3 {
        let response = try_nonce(&layer, NOW, &*nonce).await;
        assert_accepted("with the nonce", &response);
        assert_eq!(nonce_in(&response), None);
    }
}

#[tokio::test]
async fn rejects_wrong_nonces() {
    let layer = layer_with(with_nonces());
    let good = assert_nonce("no nonce", &try_nonce(&layer, NOW, json!(null)).await);
    let other_secret = layer_with(dpop().nonces(secret::<32>(7)).unwrap());
    let foreign = assert_nonce("another service", &try_nonce(&other_secret, NOW, json!(null)).await);
    for (name, nonce) in [
        ("empty", String::new()),
        ("of another service", foreign),
        ("made up", base64url([7; 40])),
        ("cut", good[1..].to_owned()),
        ("longer", format!("{good}A")),
        ("padded", format!("{good}=")),
        ("in lower case", good.to_lowercase()),
        ("not ASCII", "é".repeat(20)),
    ] {
        assert_nonce(name, &try_nonce(&layer, NOW, nonce).await);
    }
}

#[tokio::test]
async fn nonce_ends_and_is_renewed_before() {
    let clock = Clock::new();
    let layer = clock.layer(with_nonces());
    let first = assert_nonce("no nonce", &try_nonce(&layer, NOW, json!(null)).await);
    for (age, is_renewed) in [(0, false), (149, false), (150, true), (299, true)] {
        clock.set(NOW + age);
        let response = try_nonce(&layer, NOW + age, &*first).await;
        assert_accepted("in time", &response);
        assert_eq!(nonce_in(&response).is_some(), is_renewed, "{age}");
        let is_uncacheable = response.headers().get("cache-control").is_some_and(|value| value == "no-store");
        assert_eq!(is_uncacheable, is_renewed, "{age}");
        if let Some(new) = nonce_in(&response) {
            assert_ne!(new, first);
            assert_eq!(
                nonce_in(&try_nonce(&layer, NOW + age, new).await),
                None,
                "{age}: the new one is fresh"
            );
        }
    }
    clock.set(NOW + 300);
    let second = assert_nonce("too old", &try_nonce(&layer, NOW + 300, &*first).await);
    assert_accepted("the second", &try_nonce(&layer, NOW + 300, &*second).await);
}

#[tokio::test]
async fn lifetime_of_nonces_is_a_setting() {
    let clock = Clock::new();
    let layer = clock.layer(with_nonces().nonce_lifetime(Duration::from_secs(10)));
    let nonce = assert_nonce("no nonce", &try_nonce(&layer, NOW, json!(null)).await);
    for (age, status, is_renewed) in [(4, 200, false), (5, 200, true), (9, 200, true), (10, 401, true)] {
        clock.set(NOW + age);
        let response = try_nonce(&layer, NOW + age, &*nonce).await;
        assert_eq!(
            (response.status().as_u16(), nonce_in(&response).is_some()),
            (status, is_renewed),
            "{age}"
        );
    }
}

/// The clocks of two processes may differ by a minute.
#[tokio::test]
async fn processes_with_one_secret_share_nonces() {
    let (first, second) = (Clock::new(), Clock::new());
    let (ahead, behind) = (first.layer(with_nonces()), second.layer(with_nonces()));
    for (skew, is_accepted) in [(0, true), (60, true), (61, false)] {
        first.set(NOW + skew);
        let nonce = assert_nonce("no nonce", &try_nonce(&ahead, NOW + skew, json!(null)).await);
        let response = try_nonce(&behind, NOW, &*nonce).await;
        assert_eq!(response.status() == 200, is_accepted, "{skew}");
    }
}

/// A shared cache must not repeat the nonce (RFC 9449, section 8.2).
#[tokio::test]
async fn new_nonce_overrides_headers_of_the_service() {
    let clock = Clock::new();
    let layer = clock.layer(with_nonces());
    let nonce = assert_nonce("no nonce", &try_nonce(&layer, NOW, json!(null)).await);
    clock.set(NOW + 200);
    let service = ServiceBuilder::new().layer(layer).service_fn(|_: Request<String>| async {
        let response = Response::builder().header("cache-control", "public, max-age=600");
        Ok::<_, Infallible>(response.header("dpop-nonce", "of-the-handler").body(String::new()).unwrap())
    });
    let token = long_lived_token();
    let proof = Proof::of(&token).claim("iat", NOW + 200).claim("nonce", nonce).sign();
    let Ok(response) = service.oneshot(send(&token, &proof)).await;
    let all = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(all("cache-control"), ["no-store"]);
    assert_eq!(all("dpop-nonce").len(), 1);
    assert_ne!(all("dpop-nonce"), ["of-the-handler"]);
}

/// Only proofs need a nonce.
#[tokio::test]
async fn other_answers_have_no_nonce() {
    let layer = layer_with(with_nonces());
    let expired = token(&claims_with("exp", json!(NOW - 300)));
    for (name, request, status) in [
        ("bearer", bearer(&good_token()), 200),
        ("expired", bearer(&expired), 401),
        ("no proof", get(&format!("DPoP {}", bound_token())), 401),
        ("no token", Request::get("/orders").body(String::new()).unwrap(), 401),
    ] {
        let response = ask(&layer, request).await;
        assert_eq!((response.status().as_u16(), nonce_in(&response)), (status, None), "{name}");
    }
}

#[test]
fn rejects_unusable_secrets() {
    for (name, secret) in [
        ("short", vec![7; 31]),
        ("empty", Vec::new()),
        ("a key", crate::keys::fixture("p256.private.pem").into_bytes()),
        ("a certificate", crate::keys::fixture("rsa2048.certificate.pem").into_bytes()),
    ] {
        assert!(dpop().nonces(secret).is_err(), "{name}");
    }
}
