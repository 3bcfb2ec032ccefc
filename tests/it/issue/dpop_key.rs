//! Proofs of a client's key.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower_jwt_auth::dpop::{Dpop, DpopKey};
use tower_jwt_auth::issue::SigningKey;
use tower_jwt_auth::token::Binding;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, ConfigErrorKind, JwtAuthLayer};

use super::{issuer_of, signing_key};
use crate::dpop::required_members;
use crate::keys::jwk_of;
use crate::support::{NOW, WITH_ORACLE, ask, at, base64url, for_oracle, get, is_hmac, supported};

const URL: &str = "https://api.example.com/orders";

fn dpop_key(algorithm: Algorithm) -> DpopKey {
    DpopKey::new(signing_key(algorithm)).unwrap().clock(|| at(NOW))
}

fn proof(key: &DpopKey, token: &str) -> String {
    key.proof(&Method::GET, URL, Some(token), None).unwrap()
}

/// Returns the decoded header and payload of a proof.
fn parts(proof: &str) -> [String; 2] {
    let mut parts = proof.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [(); 2].map(|()| String::from_utf8(parts.next().unwrap()).unwrap())
}

fn claims(proof: &str) -> Value {
    serde_json::from_str(&parts(proof)[1]).unwrap()
}

/// Returns the algorithms of keys that a client can have.
fn asymmetric() -> impl Iterator<Item = Algorithm> {
    supported().filter(|algorithm| !is_hmac(*algorithm))
}

#[tokio::test]
async fn services_accept_proofs_of_every_algorithm() {
    let issuer = issuer_of(signing_key(Algorithm::HS256));
    for algorithm in asymmetric() {
        let dpop = Dpop::new("https://api.example.com").unwrap().algorithms([algorithm]).unwrap();
        let layer = JwtAuthLayer::new(issuer.verifier::<Value>().dpop(dpop));
        let key = dpop_key(algorithm);
        let issuer = issuer.clone().bound_to(Binding::to_key(key.thumbprint()));
        let token = issuer.issue(&json!({"email": "eze@example.com"})).unwrap();
        let send = async |proof: String| {
            let mut request = get(&format!("DPoP {}", token.as_str()));
            request.headers_mut().insert("dpop", proof.parse().unwrap());
            ask(&layer, request).await
        };
        let response = send(proof(&key, token.as_str())).await;
        assert_eq!(response.body(), "Hello eze@example.com", "{algorithm}: {response:?}");

        // Rejects the signature of another proof.
        let [one, other] = [(); 2].map(|()| proof(&key, token.as_str()));
        let [(signed, _), (_, signature)] = [&one, &other].map(|proof| proof.rsplit_once('.').unwrap());
        let response = send(format!("{signed}.{signature}")).await;
        let kind = response.extensions().get().map(AuthError::kind);
        assert_eq!(kind, Some(AuthErrorKind::InvalidProofSignature), "{algorithm}");
    }
}

#[test]
fn jsonwebtoken_verifies_proofs() {
    for algorithm in WITH_ORACLE.into_iter().filter(|algorithm| !is_hmac(*algorithm)) {
        let proof = proof(&dpop_key(algorithm), "token");
        let header = jsonwebtoken::decode_header(&proof).unwrap();
        assert_eq!(header.typ.as_deref(), Some("dpop+jwt"), "{algorithm}");
        let key = DecodingKey::from_jwk(&header.jwk.unwrap()).unwrap();
        let mut validation = Validation::new(for_oracle(algorithm));
        validation.required_spec_claims = HashSet::new();
        let decoded = jsonwebtoken::decode::<Value>(&proof, &key, &validation).unwrap();
        assert_eq!(decoded.claims, claims(&proof), "{algorithm}");
    }
}

#[test]
fn header_has_only_required_members_of_the_key() {
    for algorithm in asymmetric() {
        let jwk = required_members(&jwk_of(algorithm));
        let key = dpop_key(algorithm);
        let [header, _] = parts(&proof(&key, "token"));
        assert_eq!(header, format!(r#"{{"typ":"dpop+jwt","alg":"{algorithm}","jwk":{jwk}}}"#));
        assert_eq!(key.thumbprint().to_string(), base64url(Sha256::digest(jwk)), "{algorithm}");
    }
}

#[test]
fn claims_describe_the_request() {
    let key = dpop_key(Algorithm::ES256);
    // The hash in RFC 9449, section 7.1.
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
    for (method, url, token, nonce, expected) in [
        (Method::GET, URL, None, None, json!({"htm": "GET", "htu": URL})),
        (Method::GET, URL, Some(token), None, json!({"htm": "GET", "htu": URL, "ath": ath})),
        (
            Method::POST,
            URL,
            Some(token),
            Some("a\"b"),
            json!({"htm": "POST", "htu": URL, "ath": ath, "nonce": "a\"b"}),
        ),
        (Method::GET, "https://a.test/b?c=d#e", None, None, json!({"htm": "GET", "htu": "https://a.test/b"})),
        (Method::GET, "https://a.test/b#e?c", None, None, json!({"htm": "GET", "htu": "https://a.test/b"})),
        (Method::GET, "https://a.test", None, None, json!({"htm": "GET", "htu": "https://a.test"})),
    ] {
        let mut claims = claims(&key.proof(&method, url, token, nonce).unwrap());
        let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(jti.as_str().unwrap()).unwrap().len(), 16, "{jti}");
        let mut expected = expected;
        expected["iat"] = json!(NOW);
        assert_eq!(claims, expected, "{method} {url}");
    }
}

#[test]
fn every_proof_has_a_unique_jti() {
    let key = dpop_key(Algorithm::EdDSA);
    let mut seen = HashSet::new();
    for _ in 0..100 {
        assert!(seen.insert(claims(&proof(&key, "token"))["jti"].to_string()));
    }
}

#[test]
fn thumbprints_match_rfc_8037_and_jsonwebtoken() {
    // The private key in RFC 8037, appendix A.1, and its thumbprint in A.3.
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let key = SigningKey::der(Algorithm::EdDSA, [&pkcs8[..], &seed].concat()).unwrap();
    let key = DpopKey::new(key.with_kid("another name")).unwrap();
    assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");

    for algorithm in WITH_ORACLE.into_iter().filter(|algorithm| !is_hmac(*algorithm)) {
        let jwk: Jwk = serde_json::from_value(jwk_of(algorithm)).unwrap();
        let expected = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
        assert_eq!(dpop_key(algorithm).thumbprint().to_string(), expected, "{algorithm}");
    }
}

#[test]
fn rejects_secrets() {
    for error in [
        DpopKey::new(signing_key(Algorithm::HS512)).unwrap_err(),
        DpopKey::generate(Algorithm::HS512).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ConfigErrorKind::WrongKeyType);
        assert_eq!(error.to_string(), "HS512 cannot sign DPoP proofs: the algorithm must be asymmetric");
    }
}

#[test]
fn debug_shows_only_public_parts() {
    let key = dpop_key(Algorithm::ES256);
    let expected = format!("DpopKey {{ thumbprint: {}, algorithm: ES256, .. }}", key.thumbprint());
    assert_eq!(format!("{key:?}"), expected);
}
