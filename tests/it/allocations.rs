//! How often a request allocates: part of what is promised.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use http::Request;
use serde::Deserialize;
use tower_jwt_auth::{Claims, JwtAuthLayer, JwtVerifier, KeySet, TokenCache};
use tower_layer::Layer;
use tower_service::Service;

use crate::support::{AUDIENCE, ISSUER, NOW, SECRET, at, bearer, claims_but, good_token, token};

/// Claims that allocate nothing.
#[derive(Deserialize)]
struct Expiry {
    exp: u64,
}

/// How often the second of two equal requests allocates: the first one makes ready what lasts.
fn allocations(verifier: &JwtVerifier<Expiry>, request: impl Fn() -> Request<String>, status: u16) -> u64 {
    let mut service =
        JwtAuthLayer::new(verifier.clone()).layer(tower::service_fn(async |request: Request<String>| {
            let claims = request.extensions().get::<Claims<Expiry>>().unwrap();
            assert!(claims.exp > NOW);
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }));
    let mut send = |request| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => assert_eq!(response.status(), status),
            Poll::Pending => panic!("nothing has to be waited for"),
        }
    };
    send(request());
    let second = request();
    measure(|| send(second)).count_total
}

#[test]
fn requests_allocate_no_more_than_is_said() {
    let keys = KeySet::hmac(tower_jwt_auth::Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    let cached = verifier.clone().cache(TokenCache::new());
    let (good, forged) = (good_token(), good_token().replace('.', ".A"));
    let expired = token(&claims_but("exp", (NOW - 300).into()));

    assert_eq!(allocations(&verifier, || bearer(&good), 200), 4, "accepted");
    assert_eq!(allocations(&cached, || bearer(&good), 200), 3, "accepted, remembered");
    assert_eq!(allocations(&verifier, || Request::new(String::new()), 401), 5, "no token");
    assert_eq!(allocations(&verifier, || bearer(&forged), 401), 5, "forged");
    assert_eq!(allocations(&cached, || bearer(&forged), 401), 5, "forged, with a cache");
    assert_eq!(allocations(&verifier, || bearer(&expired), 401), 5, "expired");
    assert_eq!(allocations(&verifier, || bearer("garbage"), 401), 5, "garbage");
}
