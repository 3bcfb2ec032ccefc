//! The JWK set over HTTP.

use std::time::Duration;

use http::{Request, Response};
use tower::ServiceExt;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::issue::TokenIssuer;

use super::{issuer_of, signing_key};

async fn ask(issuer: &TokenIssuer, method: &str) -> Response<String> {
    let request = Request::builder().method(method).uri("/.well-known/jwks.json").body(()).unwrap();
    let Ok(response) = issuer.jwks_service().oneshot(request).await;
    response
}

fn sent(response: &Response<String>) -> Vec<String> {
    let headers = response.headers().iter();
    headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

#[tokio::test]
async fn serves_the_jwk_set() {
    let issuer = issuer_of(signing_key(Algorithm::ES256));
    for method in ["GET", "HEAD"] {
        let response = ask(&issuer, method).await;
        assert_eq!(response.status(), 200, "{method}");
        let expected = [
            "content-type: application/jwk-set+json",
            "cache-control: public, max-age=300",
            "access-control-allow-origin: *",
        ];
        assert_eq!(sent(&response), expected, "{method}");
        assert_eq!(*response.body(), issuer.jwks(), "{method}");
    }
    let response = ask(&issuer, "POST").await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (405, ""));
    assert_eq!(sent(&response), ["allow: GET, HEAD, OPTIONS"]);
    let response = ask(&issuer, "OPTIONS").await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (204, ""));
    let expected = [
        "allow: GET, HEAD, OPTIONS",
        "access-control-allow-origin: *",
        "access-control-allow-methods: GET, HEAD, OPTIONS",
        "access-control-allow-headers: *",
    ];
    assert_eq!(sent(&response), expected);
}

#[tokio::test]
async fn cache_lifetime_allows_for_rotation() {
    for (ahead, max_age) in [(0, 0), (3, 0), (60, 15), (1200, 300), (1_000_000, 300)] {
        let issuer = issuer_of(signing_key(Algorithm::EdDSA)).publish_ahead(Duration::from_secs(ahead));
        let response = ask(&issuer, "GET").await;
        assert_eq!(response.headers()["cache-control"], format!("public, max-age={max_age}"), "{ahead}");
    }
}
