//! Allocations per request, a documented guarantee.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use http::{Request, Response};
use serde::Deserialize;
use tower::layer::util::Stack;
use tower_jwt_auth::policy::{HasScope, scope};
use tower_jwt_auth::reject::{Grpc, ProblemJson};
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{AuthErrorKind, Claims, JwtAuthLayer, JwtVerifier, KeySet, RequireLayer, Verdict};
use tower_layer::Layer;
use tower_service::Service;

use crate::support::*;

/// Claims without allocations.
#[derive(Deserialize)]
struct Expiry {
    exp: u64,
}

/// A value that a server inserts into the extensions of a request.
#[derive(Clone)]
struct Peer;

impl HasScope for Expiry {
    fn has_scope(&self, scope: &str) -> bool {
        scope == "held"
    }
}

/// Counts the allocations of the second of two equal requests: the first one initializes long-lived state.
fn allocations(verifier: &JwtVerifier<Expiry>, request: impl Fn() -> Request<String>, status: u16) -> u64 {
    through(&JwtAuthLayer::new(verifier.clone()), request, status)
}

fn through<L>(layer: &L, request: impl Fn() -> Request<String>, status: u16) -> u64
where
    L: Layer<InnerService>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let mut service = layer.layer(InnerService(answer));
    let mut send = |request| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => assert_eq!(response.status(), status),
            Poll::Pending => panic!("the future must be ready at once"),
        }
    };
    send(request());
    let second = request();
    measure(|| send(second)).count_total
}

/// Logging or counting a rejection may allocate more. That number is not documented.
#[track_caller]
fn assert_rejected_with(name: &str, allocations: u64, expected: u64) {
    if cfg!(any(feature = "metrics", feature = "tracing")) {
        assert!(allocations >= expected, "{name}: {allocations}");
    } else {
        assert_eq!(allocations, expected, "{name}");
    }
}

fn answer(request: &Request<String>) -> String {
    assert!(request.extensions().get::<Claims<Expiry>>().unwrap().exp > NOW);
    String::new()
}

#[test]
fn policy_allocates_only_for_its_rejection() {
    let keys = KeySet::hmac(tower_jwt_auth::Algorithm::HS256, SECRET).unwrap();
    let verifier =
        JwtVerifier::<Expiry>::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW)).without_cache();
    let layer = || JwtAuthLayer::new(verifier.clone());
    let route = |name| RequireLayer::<Expiry>::new(scope(name).or(scope("other")));
    let good = good_token();

    // An accepted request allocates four times, or once for its claims alone. A rejection allocates three
    // times with or without settings. It allocates once if the request has extensions, such as the claims.
    let on_route = |name, layer| Stack::new(route(name), layer);
    assert_eq!(through(&on_route("held", layer()), || bearer(&good), 200), 4, "on a route");
    assert_eq!(through(&layer().require(scope("held")), || bearer(&good), 200), 4, "in the layer");
    let rejected = through(&on_route("needed", layer()), || bearer(&good), 403);
    assert_rejected_with("on a route", rejected, 4 + 1);
    let rejected = through(&layer().require(scope("needed")), || bearer(&good), 403);
    assert_rejected_with("in the layer", rejected, 1 + 3);
    let settled = layer().realm("shop").unwrap();
    let rejected = through(&on_route("needed", settled), || bearer(&good), 403);
    assert_rejected_with("with a realm", rejected, 4 + 1);
}

#[test]
fn requests_stay_within_documented_allocations() {
    let keys = KeySet::hmac(tower_jwt_auth::Algorithm::HS256, SECRET).unwrap();
    let cached = JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    let verifier = cached.clone().without_cache();
    let (good, forged) = (good_token(), good_token().replace('.', ".A"));
    let expired = token(&claims_with("exp", (NOW - 300).into()));
    let revocations = Revocations::new();
    for n in 0..1000 {
        drop(revocations.revoke_token(ISSUER, &format!("revoked-{n}"), at(NOW + 300)));
        drop(revocations.revoke_subject(ISSUER, &format!("revoked-{n}"), at(NOW), at(NOW + 300)));
    }
    let (listed, listed_cached) =
        (verifier.clone().revocations(revocations.clone()), cached.clone().revocations(revocations));

    assert_eq!(allocations(&verifier, || bearer(&good), 200), 4, "accepted");
    assert_eq!(allocations(&cached, || bearer(&good), 200), 3, "accepted, cached");
    assert_eq!(allocations(&listed, || bearer(&good), 200), 4, "with a revocation list");
    assert_eq!(allocations(&listed_cached, || bearer(&good), 200), 3, "cached, with a revocation list");
    // With a closure the layer keeps a copy of the request head for rejections by handlers.
    let layer = || JwtAuthLayer::new(verifier.clone());
    assert_eq!(through(&layer().on_reject(ProblemJson::new()), || bearer(&good), 200), 4, "problem details");
    assert_eq!(through(&layer().on_reject(Grpc::new()), || bearer(&good), 200), 4, "gRPC");
    let closure = layer().reject_with(|error, _| error.response(String::new()));
    assert_eq!(through(&closure, || bearer(&good), 200), 4 + 5, "a copy of the head");
    // Two for headers, unless the request has some. Three for the error, or one if the request has
    // extensions.
    assert_rejected_with("no header", allocations(&verifier, || Request::new(String::new()), 401), 5);
    let with_header = || Request::builder().header("host", "api.example.com");
    let without_token = || with_header().body(String::new()).unwrap();
    assert_rejected_with("no token", allocations(&verifier, without_token, 401), 3);
    let from_a_peer = || with_header().extension(Peer).body(String::new()).unwrap();
    assert_rejected_with("request with extensions", allocations(&verifier, from_a_peer, 401), 1);
    assert_rejected_with("forged", allocations(&verifier, || bearer(&forged), 401), 3);
    assert_rejected_with("forged, with a cache", allocations(&cached, || bearer(&forged), 401), 3);
    assert_rejected_with("expired", allocations(&verifier, || bearer(&expired), 401), 3);
    assert_rejected_with("garbage", allocations(&verifier, || bearer("garbage"), 401), 3);
}

#[cfg(feature = "dpop")]
#[test]
fn cached_dpop_tokens_need_no_more_allocations() {
    use aws_lc_rs::digest::{SHA256, digest};
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;
    use tower_jwt_auth::dpop::Dpop;

    let client = EncodingKey::from_ed_pem(include_bytes!("../fixtures/ed25519.private.pem")).unwrap();
    let jwk = Jwk::from_encoding_key(&client, jsonwebtoken::Algorithm::EdDSA).unwrap();
    let jkt = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
    let token = token(&claims_with("cnf", json!({ "jkt": jkt })));
    let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.typ = Some("dpop+jwt".to_owned());
    header.jwk = Some(jwk);
    let ath = base64url(digest(&SHA256, token.as_bytes()));
    let (jti, htu) = (std::cell::Cell::new(0), "https://api.example.com/orders");
    let request = || {
        jti.set(jti.get() + 1);
        let claims = json!({"jti": jti.get().to_string(), "htm": "GET", "htu": htu, "iat": NOW, "ath": ath});
        let proof = jsonwebtoken::encode(&header, &claims, &client).unwrap();
        let request = Request::get("/orders").header("authorization", format!("DPoP {token}"));
        request.header("dpop", proof).body(String::new()).unwrap()
    };

    let keys = KeySet::hmac(tower_jwt_auth::Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<Expiry>::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    let verifier = verifier.dpop(Dpop::new("https://api.example.com").unwrap());
    let layer = JwtAuthLayer::new(verifier.clone());
    // The memory of proofs allocates for the first proof in each of its 64 parts, and as it grows. Of 100 requests, some
    // meet a part with room.
    let least = (0..100).map(|_| through(&layer, request, 200)).min();
    assert_eq!(least, Some(3), "as for a cached bearer token");
    let layer = JwtAuthLayer::new(verifier.without_cache());
    let least = (0..100).map(|_| through(&layer, request, 200)).min();
    assert_eq!(least, Some(4 + 4), "three for a list of the payload's members, one for the binding");
    assert_eq!(through(&layer, || bearer(&good_token()), 200), 4, "a bearer token");
}

/// With or without logging and metrics.
#[test]
fn oversized_token_is_not_read() {
    let keys = KeySet::hmac(tower_jwt_auth::Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<Expiry>::new(keys).clock(|| at(NOW));
    let header = format!(r#"{{"alg":"HS256","x":"{}"}}"#, "a".repeat(300_000));
    let long = format!("{}.e30.AAAA", base64url(header));
    let measured = measure(|| {
        let Verdict::Ready(Err(error)) = verifier.verify(&long) else { panic!("the token is too large") };
        assert_eq!(error.kind(), AuthErrorKind::TokenTooLarge);
    });
    assert!(measured.bytes_total < 1024, "{measured:?}");
}

/// Reading the certificates of the operating system takes milliseconds and thousands of allocations.
#[cfg(feature = "remote-keys")]
#[test]
fn discovery_shares_root_certificates() {
    use tower_jwt_auth::jwks::{HttpsClient, RemoteKeys};

    let discover = || drop(RemoteKeys::discover("https://id.example.com").unwrap());
    discover();
    let measured = measure(discover);
    assert!(measured.bytes_total < 8 * 1024, "{measured:?}");
    let measured = measure(|| drop(HttpsClient::new()));
    assert!(measured.bytes_total < 1024, "{measured:?}");
}
