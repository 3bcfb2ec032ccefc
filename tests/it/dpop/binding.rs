//! The token and its binding (RFC 9449, section 4.3, check 12, and sections 7.1 and 7.2).

use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{AuthError, Credential, TokenSource};

use super::*;

const OTHER_TOKEN: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof is not for this token""#;
const OTHER_KEY: &str = r#"error="invalid_token", error_description="the token is bound to another key than that of the DPoP proof""#;
const NOT_BOUND: &str = r#"error="invalid_token", error_description="the token is not bound to a key or certificate of the sender""#;
const EXPIRED: &str = r#"error="invalid_token", error_description="the token has expired""#;
const AS_BEARER: &str = r#"Bearer realm="api", error="invalid_token", error_description="the token is bound to a key and cannot be used as a bearer token""#;

/// Returns the challenge of the scheme `DPoP` without an error.
fn bare() -> String {
    format!(r#"DPoP realm="api", {ALGS}"#)
}

#[tokio::test]
async fn proof_must_hash_the_token() {
    let other = token(&claims_with("cnf", json!({"jkt": thumbprint(&public_jwk(Algorithm::ES256)), "a": 1})));
    let good = hash(&bound_token());
    for (name, ath) in [
        ("of another token", hash(&other)),
        ("of the scheme and the token", hash(&format!("DPoP {}", bound_token()))),
        ("padded", format!("{good}=")),
        ("cut", good[..42].to_owned()),
        ("in lower case", good.to_lowercase()),
        ("empty", String::new()),
        ("the token", bound_token()),
    ] {
        let response = try_proof(&layer(), |proof| proof.claim("ath", ath)).await;
        assert_refused(name, &response, WrongProofToken, OTHER_TOKEN);
    }
}

#[tokio::test]
async fn key_must_be_that_of_the_token() {
    let token = bound_token();
    for algorithm in [Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256] {
        let response = ask(&layer(), send(&token, &Proof::by(algorithm, &token).sign())).await;
        assert_refused(algorithm.as_str(), &response, WrongProofKey, OTHER_KEY);
    }
}

#[tokio::test]
async fn rejects_bound_tokens_as_bearer() {
    let token = bound_token();
    let mut with_proof = bearer(&token);
    with_proof.headers_mut().insert("dpop", Proof::of(&token).sign().parse().unwrap());
    for (name, request) in [("without a proof", bearer(&token)), ("with a proof", with_proof)] {
        let challenges = [("www-authenticate", AS_BEARER), ("www-authenticate", &*bare())];
        assert_rejected(name, &ask(&layer(), request).await, 401, SenderConstrained, &challenges);
    }
}

#[tokio::test]
async fn rejects_unbound_tokens_as_dpop() {
    let token = good_token();
    let response = ask(&layer(), send(&token, &Proof::of(&token).sign())).await;
    assert_refused("with a proof", &response, MissingBinding, NOT_BOUND);
    let response = ask(&layer(), get(&format!("DPoP {token}"))).await;
    assert_refused("without a proof", &response, MissingBinding, NOT_BOUND);
}

#[tokio::test]
async fn rejects_malformed_bindings() {
    let jkt = thumbprint(&public_jwk(Algorithm::ES256));
    let malformed =
        "the `jkt` or `x5t#S256` in the claim `cnf` is not the base64url of a SHA-256 hash, or appears twice";
    let other = "the token is bound to its sender (`cnf`), and the verifier does not support this binding: set \
                 JwtVerifier::dpop or mtls, or insecure_ignore_confirmation if something else checks the sender";
    for (cnf, kind, expected) in [
        (json!(null), InvalidClaims, malformed),
        (json!("x"), InvalidClaims, malformed),
        (json!([]), InvalidClaims, malformed),
        (json!({"jkt": 7}), InvalidClaims, malformed),
        (json!({"jkt": ""}), InvalidClaims, malformed),
        (json!({"jkt": format!("{jkt}=")}), InvalidClaims, malformed),
        (json!({"jkt": &jkt[..42]}), InvalidClaims, malformed),
        (json!({"jkt": [jkt]}), InvalidClaims, malformed),
        (json!({"jkt": jkt, "x5t#S256": 7}), InvalidClaims, malformed),
        (json!({"JKT": jkt}), SenderConstrained, other),
        (json!({}), SenderConstrained, other),
        (json!({"kid": "k1"}), SenderConstrained, other),
    ] {
        let mut claims = good_claims();
        claims["cnf"] = cnf.clone();
        let token = token(&claims);
        for request in [send(&token, &Proof::of(&token).sign()), bearer(&token)] {
            let response = ask(&layer(), request).await;
            let error = response.extensions().get::<AuthError>().unwrap();
            let cause = std::error::Error::source(error).unwrap().to_string();
            assert_eq!((error.kind(), &*cause), (kind, expected), "{cnf}");
        }
    }
}

/// Without the feature or setting for certificates, half of the binding could not be checked.
#[tokio::test]
async fn rejects_unsupported_second_binding() {
    let jkt = thumbprint(&public_jwk(Algorithm::ES256));
    let token = token(&claims_with("cnf", json!({"jkt": jkt, "x5t#S256": jkt})));
    let response = ask(&layer(), send(&token, &Proof::of(&token).sign())).await;
    let error = r#"error="invalid_token", error_description="the token is bound to a key and cannot be used as a bearer token""#;
    assert_refused("both", &response, SenderConstrained, error);
}

#[tokio::test]
async fn accepts_bearer_tokens_unless_binding_is_required() {
    assert_accepted("optional", &ask(&layer(), bearer(&good_token())).await);
    let required = layer_with(dpop().required());
    let only = [("www-authenticate", &*bare())];
    let response = ask(&required, Request::get("/orders").body(String::new()).unwrap()).await;
    assert_rejected("no token", &response, 401, MissingCredential, &only);
    // The layer does not offer the scheme `Bearer`, so it does not read this token.
    assert_rejected("bearer", &ask(&required, bearer(&good_token())).await, 401, MissingCredential, &only);
    let token = bound_token();
    assert_accepted("bound", &ask(&required, send(&token, &Proof::of(&token).sign())).await);
}

/// The error is in the challenge of the scheme that the client used (RFC 9449, section 7.2).
#[tokio::test]
async fn challenges_name_both_schemes() {
    let expired = |claims: Value| token(&claims);
    let none = Request::get("/orders").body(String::new()).unwrap();
    let both = [("www-authenticate", BEARER), ("www-authenticate", &*bare())];
    assert_rejected("no token", &ask(&layer(), none).await, 401, MissingCredential, &both);

    let as_bearer = ask(&layer(), bearer(&expired(claims_with("exp", json!(NOW - 300))))).await;
    let error = format!(r#"Bearer realm="api", {EXPIRED}"#);
    let challenges = [("www-authenticate", &*error), ("www-authenticate", &*bare())];
    assert_rejected("bearer", &as_bearer, 401, Expired, &challenges);

    let mut claims = claims_with("exp", json!(NOW - 300));
    claims["cnf"] = json!({"jkt": thumbprint(&public_jwk(Algorithm::ES256))});
    let token = expired(claims);
    let as_dpop = ask(&layer(), send(&token, &Proof::of(&token).sign())).await;
    assert_refused("DPoP", &as_dpop, Expired, EXPIRED);

    let mut two = bearer(&good_token());
    two.headers_mut().append("authorization", format!("DPoP {}", bound_token()).parse().unwrap());
    assert_eq!(ask(&layer(), two).await.status(), 400);
}

#[tokio::test]
async fn challenge_lists_configured_algorithms() {
    let layer = layer_with(dpop().algorithms([Algorithm::ES256, Algorithm::EdDSA]).unwrap());
    let request = Request::get("/orders").body(String::new()).unwrap();
    let challenges =
        [("www-authenticate", BEARER), ("www-authenticate", r#"DPoP realm="api", algs="ES256 EdDSA""#)];
    assert_rejected("no token", &ask(&layer, request).await, 401, MissingCredential, &challenges);
}

#[tokio::test]
async fn token_without_request_is_rejected() {
    let error = verifier().dpop(dpop()).verify(&bound_token()).await.unwrap_err();
    assert_eq!(error.kind(), SenderConstrained);
    let token = bound_token();
    let credential = Credential::new(Scheme::DPOP, token.as_bytes());
    let error = verifier().dpop(dpop()).verify(credential).await.unwrap_err();
    assert_eq!(error.kind(), MissingProof);
}

/// The scheme is not for proxies (RFC 9449, section 7.1).
#[tokio::test]
async fn ignores_proxy_authorization() {
    let token = bound_token();
    let request = Request::get("/orders").header("proxy-authorization", format!("DPoP {token}"));
    let request = request.header("dpop", Proof::of(&token).sign()).body(String::new()).unwrap();
    let both = [("www-authenticate", BEARER), ("www-authenticate", &*bare())];
    assert_rejected("proxy", &ask(&layer(), request).await, 401, MissingCredential, &both);
}

/// Cookies, query parameters and other headers have no scheme, so their tokens are bearer tokens.
#[tokio::test]
async fn bound_tokens_need_the_scheme() {
    let token = bound_token();
    let layer = layer().token_source(TokenSource::cookie("token").unwrap());
    let request = Request::get("/orders").header("cookie", format!("token={token}"));
    let request = request.header("dpop", Proof::of(&token).sign()).body(String::new()).unwrap();
    let response = ask(&layer, request).await;
    let error = response.extensions().get::<AuthError>().unwrap();
    assert_eq!((response.status().as_u16(), error.kind()), (401, SenderConstrained));
}
