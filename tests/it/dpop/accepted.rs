//! Good proofs, with each algorithm.

use http::Method;
use serde_json::{Value, json};
use tower_jwt_auth::policy::when;
use tower_jwt_auth::token::Binding;
use tower_jwt_auth::{Algorithm, Claims};

use super::*;

const DEFAULT: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256];

#[tokio::test]
async fn accepts_every_default_algorithm() {
    let layer = layer();
    for algorithm in DEFAULT {
        let token = token_bound_to(algorithm);
        let response = ask(&layer, send(&token, &Proof::by(algorithm, &token).sign())).await;
        assert_accepted(algorithm.as_str(), &response);
    }
}

#[tokio::test]
async fn accepts_both_names_of_ed25519() {
    let token = token_bound_to(Algorithm::EdDSA);
    for name in ["EdDSA", "Ed25519"] {
        let proof = Proof::by(Algorithm::EdDSA, &token).header("alg", name).sign();
        assert_accepted(name, &ask(&layer(), send(&token, &proof)).await);
    }
}

#[tokio::test]
async fn accepts_every_configured_algorithm() {
    for algorithm in supported().filter(|algorithm| !is_hmac(*algorithm)) {
        let layer = layer_with(dpop().algorithms([algorithm]).unwrap());
        let token = token_bound_to(algorithm);
        let response = ask(&layer, send(&token, &Proof::by(algorithm, &token).sign())).await;
        assert_accepted(algorithm.as_str(), &response);
    }
}

#[tokio::test]
async fn accepts_every_method() {
    let layer = layer();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"] {
        let token = bound_token();
        let mut request = send(&token, &Proof::of(&token).claim("htm", method).sign());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        assert_accepted(method, &ask(&layer, request).await);
    }
}

/// A proof may have more header parameters and claims (RFC 9449, section 4.2).
#[tokio::test]
async fn ignores_unknown_members() {
    let layer = layer();
    let jwk = |name: &str, value: Value| {
        let mut jwk = public_jwk(Algorithm::ES256);
        jwk[name] = value;
        jwk
    };
    for (name, change) in [
        (
            "header",
            Box::new(|proof: Proof| proof.header("kid", "k1").header("x5u", "https://evil.example"))
                as Change,
        ),
        (
            "claims",
            Box::new(|proof| proof.claim("sub", "42").claim("aud", 7).claim("nested", json!({"a": [1]}))),
        ),
        ("key", Box::new(|proof| proof.header("jwk", jwk("kid", json!("k1"))))),
        ("alg of the key", Box::new(|proof| proof.header("jwk", jwk("alg", json!("ES256"))))),
        ("use of the key", Box::new(|proof| proof.header("jwk", jwk("use", json!("sig"))))),
        ("exp and nbf", Box::new(|proof| proof.claim("exp", NOW + 1).claim("nbf", NOW))),
        ("nonce that nobody asked for", Box::new(|proof| proof.claim("nonce", "eyJ7S_zG"))),
    ] {
        assert_accepted(name, &try_proof(&layer, change).await);
    }
}

type Change<'a> = Box<dyn FnOnce(Proof) -> Proof + 'a>;

#[tokio::test]
async fn scheme_and_header_ignore_case() {
    let layer = layer();
    for (scheme, header) in [("dpop", "DPoP"), ("DPOP", "dpop"), ("dPoP", "DPOP")] {
        let token = bound_token();
        let mut request = get(&format!("{scheme} {token}"));
        let name = http::HeaderName::from_bytes(header.as_bytes()).unwrap();
        request.headers_mut().insert(name, Proof::of(&token).sign().parse().unwrap());
        assert_accepted(scheme, &ask(&layer, request).await);
    }
}

#[tokio::test]
async fn policy_sees_the_binding() {
    let jkt = thumbprint(&public_jwk(Algorithm::ES256)).parse().unwrap();
    let is_bound = move |claims: &Claims<Value>, _: tower_jwt_auth::Head<'_>| {
        claims.token().binding() == Some(&Binding::to_key(jkt))
    };
    let layer = layer().require(when(is_bound));
    let token = bound_token();
    assert_accepted("bound", &ask(&layer, send(&token, &Proof::of(&token).sign())).await);
    assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 403);
}
