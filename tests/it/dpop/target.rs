//! The method and the URL of the request (RFC 9449, section 4.3, checks 8 and 9). The comparison of URLs has unit tests.

use axum::Router;
use axum::routing::get as route;
use http::Method;
use tower::ServiceExt;
use tower_jwt_auth::AuthErrorKind::*;

use super::*;

const WRONG: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof is not for this request""#;

#[tokio::test]
async fn method_must_match() {
    for (method, htm) in [
        ("GET", "POST"),
        ("GET", "get"),
        ("GET", ""),
        ("GET", " GET"),
        ("POST", "GET"),
        ("HEAD", "GET"),
        ("get", "GET"),
    ] {
        let token = bound_token();
        let mut request = send(&token, &Proof::of(&token).claim("htm", htm).sign());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        assert_refused(&format!("{method} {htm}"), &ask(&layer(), request).await, WrongProofRequest, WRONG);
    }
}

#[tokio::test]
async fn url_must_match() {
    for htu in [
        "https://api.example.com/order",
        "https://api.example.com/orders/",
        "https://api.example.com/Orders",
        "http://api.example.com/orders",
        "https://evil.example/orders",
        "https://api.example.com.evil.example/orders",
        "https://api.example.com:8443/orders",
        "https://api.example.com",
        "/orders",
        "",
    ] {
        let response = try_proof(&layer(), |proof| proof.claim("htu", htu)).await;
        assert_refused(htu, &response, WrongProofRequest, WRONG);
    }
}

#[tokio::test]
async fn query_and_fragment_do_not_count() {
    let layer = layer();
    for (path, htu) in [
        ("/orders?page=2", "https://api.example.com/orders"),
        ("/orders", "https://api.example.com/orders?page=2#top"),
        ("/orders?page=2", "https://api.example.com/orders?page=3"),
        ("/orders", "HTTPS://API.EXAMPLE.COM:443/%6frders"),
    ] {
        let token = bound_token();
        let mut request = send(&token, &Proof::of(&token).claim("htu", htu).sign());
        *request.uri_mut() = path.parse().unwrap();
        assert_accepted(&format!("{path} {htu}"), &ask(&layer, request).await);
    }
}

/// Clients remove dot segments and routers do not: the proof would be for another handler.
#[tokio::test]
async fn rejects_paths_with_dot_segments() {
    for (path, htu) in [
        ("/public/../orders", "https://api.example.com/orders"),
        ("/public/%2e%2E/orders", "https://api.example.com/orders"),
        ("/./orders", "https://api.example.com/orders"),
        ("/orders/.", "https://api.example.com/orders/"),
    ] {
        let token = bound_token();
        let mut request = send(&token, &Proof::of(&token).claim("htu", htu).sign());
        *request.uri_mut() = path.parse().unwrap();
        assert_refused(path, &ask(&layer(), request).await, WrongProofRequest, WRONG);
    }
}

/// A client could send any host.
#[tokio::test]
async fn ignores_the_host_of_the_request() {
    let token = bound_token();
    let proof = || Proof::of(&token).claim("htu", "https://evil.example/orders").sign();
    for name in ["host", "forwarded", "x-forwarded-host", "x-original-host"] {
        let mut request = send(&token, &proof());
        let value = if name == "forwarded" { "host=evil.example;proto=https" } else { "evil.example" };
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_refused(name, &ask(&layer(), request).await, WrongProofRequest, WRONG);
    }
    let mut request = send(&token, &proof());
    *request.uri_mut() = "https://evil.example/orders".parse().unwrap();
    assert_refused("absolute form", &ask(&layer(), request).await, WrongProofRequest, WRONG);
}

#[tokio::test]
async fn service_may_have_several_urls() {
    let layer = layer_with(dpop().add_public_url("https://eu.example.com/v1").unwrap());
    for (htu, is_accepted) in [
        ("https://api.example.com/orders", true),
        ("https://eu.example.com/v1/orders", true),
        ("https://eu.example.com/orders", false),
        ("https://api.example.com/v1/orders", false),
    ] {
        let response = try_proof(&layer, |proof| proof.claim("htu", htu)).await;
        assert_eq!(response.status() == 200, is_accepted, "{htu}");
    }
}

#[tokio::test]
async fn proxy_may_state_the_url() {
    let layer = layer_with(dpop().public_url_from(|request| {
        let host = request.headers().get("x-forwarded-host")?;
        Some(format!("https://{}", host.to_str().ok()?))
    }));
    for (host, htu, is_accepted) in [
        (None, "https://api.example.com/orders", true),
        (Some("shop.example.com"), "https://shop.example.com/orders", true),
        (Some("shop.example.com/v2"), "https://shop.example.com/v2/orders", true),
        // The configured URL no longer counts.
        (Some("shop.example.com"), "https://api.example.com/orders", false),
        (Some("shop example com"), "https://api.example.com/orders", false),
        (Some(""), "https:///orders", false),
    ] {
        let token = bound_token();
        let mut request = send(&token, &Proof::of(&token).claim("htu", htu).sign());
        if let Some(host) = host {
            request.headers_mut().insert("x-forwarded-host", host.parse().unwrap());
        }
        assert_eq!(ask(&layer, request).await.status() == 200, is_accepted, "{host:?} {htu}");
    }
}

/// Inside axum's `nest` the layer does not see the prefix, so the public URL has it.
#[tokio::test]
async fn nested_routes_need_the_prefix() {
    for (public_url, status) in [("https://api.example.com/v1", 200), ("https://api.example.com", 401)] {
        let orders = Router::new().route("/orders", route(|| async {}));
        let nested = Router::new().nest("/v1", orders.layer(layer_with(Dpop::new(public_url).unwrap())));
        let token = bound_token();
        let proof = Proof::of(&token).claim("htu", "https://api.example.com/v1/orders").sign();
        let (mut parts, _) = send(&token, &proof).into_parts();
        parts.uri = "/v1/orders".parse().unwrap();
        let request = Request::from_parts(parts, axum::body::Body::empty());
        assert_eq!(nested.oneshot(request).await.unwrap().status(), status, "{public_url}");
    }
}
