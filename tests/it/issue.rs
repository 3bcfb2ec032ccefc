//! Issued tokens, and the keys published for them.

mod bound;
mod claims;
#[cfg(feature = "dpop")]
mod dpop_key;
mod keys;
mod rotation;
#[cfg(feature = "remote-keys")]
mod rotation_over_http;
mod service;
#[cfg(feature = "test-util")]
mod test_kit;
mod verifier;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation};
use serde_json::{Value, json};
use tower_jwt_auth::issue::{IssuedToken, SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};

use crate::keys::{SECRET, fixture};
use crate::support::{AUDIENCE, ISSUER, NOW, WITH_ORACLE, at, for_oracle, is_hmac, rejection, supported};

/// A clock that tests set.
#[derive(Clone)]
struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    /// Sets the clock to this many seconds after the start.
    fn set(&self, seconds: u64) {
        self.0.store(NOW + seconds, Ordering::Relaxed);
    }

    fn time(&self) -> std::time::SystemTime {
        at(self.0.load(Ordering::Relaxed))
    }
}

/// Returns the private key of the fixtures for this algorithm.
fn signing_key(algorithm: Algorithm) -> SigningKey {
    let name = match algorithm {
        _ if is_hmac(algorithm) => return SigningKey::hmac(algorithm, SECRET).unwrap(),
        Algorithm::ES256 => "p256.private.pem",
        Algorithm::ES384 => "p384.private.pem",
        Algorithm::ES512 => "p521.private.pem",
        Algorithm::EdDSA => "ed25519.private.pem",
        Algorithm::MlDsa44 => "mldsa44.private.pem",
        Algorithm::MlDsa65 => "mldsa65.private.pem",
        Algorithm::MlDsa87 => "mldsa87.private.pem",
        _ => "rsa2048.private.pem",
    };
    SigningKey::pem(algorithm, fixture(name)).unwrap()
}

fn issuer_of(key: SigningKey) -> TokenIssuer {
    TokenIssuer::new(key, ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

/// Returns the decoded header and payload of a token.
fn parts(token: &IssuedToken) -> (String, String) {
    let mut parts = token.as_str().split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut part = || String::from_utf8(parts.next().unwrap()).unwrap();
    (part(), part())
}

fn json_parts(token: &IssuedToken) -> (Value, Value) {
    let (header, payload) = parts(token);
    (serde_json::from_str(&header).unwrap(), serde_json::from_str(&payload).unwrap())
}

/// Returns a verifier that trusts the keys in this set.
fn verifier_of(jwks: &str) -> JwtVerifier<Value> {
    JwtVerifier::new(KeySet::jwks(jwks).unwrap()).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

/// Returns the names of the published keys in their order.
fn published(issuer: &TokenIssuer) -> Vec<String> {
    let set: Value = serde_json::from_str(&issuer.jwks()).unwrap();
    let kids = set["keys"].as_array().unwrap().iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned());
    kids.collect()
}

fn kid(token: &IssuedToken) -> String {
    json_parts(token).0["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn published_keys_verify_tokens_of_every_algorithm() {
    for algorithm in supported() {
        let issuer = issuer_of(signing_key(algorithm));
        let token = issuer.issue(&json!({"sub": "42"})).unwrap();
        let verifier = match is_hmac(algorithm) {
            true => {
                assert_eq!(issuer.jwks(), r#"{"keys":[]}"#, "{algorithm:?}");
                JwtVerifier::new(KeySet::hmac(algorithm, SECRET).unwrap())
                    .issuer(ISSUER)
                    .audience(AUDIENCE)
                    .clock(|| at(NOW))
            }
            false => verifier_of(&issuer.jwks()),
        };
        let claims =
            verifier.verify(token.as_str()).await.unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        assert_eq!(claims["sub"], "42", "{algorithm:?}");
        assert_eq!(rejection(&issuer.verifier(), token.as_str()).await, None, "{algorithm:?}");

        // Rejects the signature of other claims.
        let other = issuer.issue(&json!({"sub": "43"})).unwrap();
        let (signed, _) = token.as_str().rsplit_once('.').unwrap();
        let (_, signature) = other.as_str().rsplit_once('.').unwrap();
        assert!(rejection(&verifier, &format!("{signed}.{signature}")).await.is_some(), "{algorithm:?}");
    }
}

#[test]
fn jsonwebtoken_accepts_issued_tokens() {
    for algorithm in WITH_ORACLE {
        let token = issuer_of(signing_key(algorithm)).issue(&json!({"sub": "42"})).unwrap();
        // With a key that jsonwebtoken has read itself.
        let public = |name: &str| fixture(name).into_bytes();
        let oracle = match for_oracle(algorithm).family() {
            AlgorithmFamily::Hmac => DecodingKey::from_secret(SECRET).unwrap(),
            AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(&public("rsa2048.public.pem")).unwrap(),
            AlgorithmFamily::Ed => DecodingKey::from_ed_pem(&public("ed25519.public.pem")).unwrap(),
            AlgorithmFamily::Ec if algorithm == Algorithm::ES256 => {
                DecodingKey::from_ec_pem(&public("p256.public.pem")).unwrap()
            }
            AlgorithmFamily::Ec => DecodingKey::from_ec_pem(&public("p384.public.pem")).unwrap(),
        };
        let mut validation = Validation::new(for_oracle(algorithm));
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false; // uses the system's clock
        let decoded = jsonwebtoken::decode::<Value>(token.as_str(), &oracle, &validation).unwrap();
        assert_eq!(decoded.claims["sub"], "42", "{algorithm:?}");
    }
}

#[tokio::test]
async fn published_keys_match_those_of_jsonwebtoken() {
    for algorithm in WITH_ORACLE {
        if is_hmac(algorithm) {
            continue;
        }
        let set: Value = serde_json::from_str(&issuer_of(signing_key(algorithm)).jwks()).unwrap();
        let mut expected = crate::keys::jwk_of(algorithm);
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(expected.clone()).unwrap();
        expected["kid"] = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap().into();
        expected["use"] = "sig".into();
        assert_eq!(set, json!({"keys": [expected]}), "{algorithm:?}");
    }
}

#[test]
fn header_and_payload_have_exact_members() {
    let key = signing_key(Algorithm::EdDSA);
    let kid = "2RAN0H_37V9Fyjy6N2GXIhR0JuSsCggZw5poCrcgRPc";
    assert_eq!(key.kid(), Some(kid));
    let token = issuer_of(key).issue(&json!({"sub": "42"})).unwrap();
    let (header, payload) = parts(&token);
    assert_eq!(header, format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#));
    let jti = token.jti();
    let expected = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","iat":{NOW},"exp":{},"jti":"{jti}","sub":"42"}}"#,
        NOW + 900
    );
    assert_eq!(payload, expected);
    assert_eq!(token.expires_at(), at(NOW + 900));
    assert_eq!(URL_SAFE_NO_PAD.decode(jti).unwrap().len(), 16);

    // A secret has no `kid` unless one is set.
    let secret = || signing_key(Algorithm::HS256);
    assert_eq!(secret().kid(), None);
    let bare = TokenIssuer::new(secret(), ISSUER).access_tokens_only().clock(|| at(NOW));
    let token = bare.issue(&json!({})).unwrap();
    let (header, payload) = parts(&token);
    assert_eq!(header, r#"{"alg":"HS256","typ":"at+jwt"}"#);
    let expected = format!(r#"{{"iss":"{ISSUER}","iat":{NOW},"exp":{},"jti":"{}"}}"#, NOW + 900, token.jti());
    assert_eq!(payload, expected);
    let token = issuer_of(secret().with_kid("a \"name\"")).add_audience("other").issue(&json!({})).unwrap();
    let (header, payload) = json_parts(&token);
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT", "kid": "a \"name\""}));
    assert_eq!(payload["aud"], json!([AUDIENCE, "other"]));
}

#[test]
fn every_token_has_a_unique_jti() {
    let issuer = issuer_of(signing_key(Algorithm::HS256));
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        assert!(seen.insert(issuer.issue(&json!({})).unwrap().jti().to_owned()));
    }
}
