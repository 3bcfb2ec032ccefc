//! DPoP on the resource server (RFC 9449). The proofs are made here, so these tests run with every back end.

mod accepted;
mod binding;
mod claims;
mod header;
mod hostile;
mod known_keys;
mod layers;
mod nonces;
mod replay;
mod replay_store;
#[cfg(feature = "introspection")]
mod rfc;
mod target;
mod time;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, JwtAuthLayer, JwtVerifier};

use crate::keys::{jwk_with, sign};
use crate::support::*;

/// The public URL of the service.
pub(crate) const URL: &str = "https://api.example.com";
/// The challenge for bearer tokens.
pub(crate) const BEARER: &str = r#"Bearer realm="api""#;
pub(crate) const ALGS: &str = r#"algs="ES256 ES384 EdDSA PS256 RS256""#;

pub(crate) type Layer = JwtAuthLayer<JwtVerifier<Value>>;

pub(crate) fn dpop() -> Dpop {
    Dpop::new(URL).unwrap()
}

pub(crate) fn layer() -> Layer {
    layer_with(dpop())
}

pub(crate) fn layer_with(dpop: Dpop) -> Layer {
    JwtAuthLayer::new(verifier().dpop(dpop))
}

/// A proof for `GET /orders` before it is signed. Each is good and has a new `jti`.
#[derive(Clone)]
pub(crate) struct Proof {
    algorithm: Algorithm,
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Proof {
    /// Creates a proof for a token with the key for ES256.
    pub(crate) fn of(token: &str) -> Self {
        Self::by(Algorithm::ES256, token)
    }

    pub(crate) fn by(algorithm: Algorithm, token: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let jti = format!("proof-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            algorithm,
            header: json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": public_jwk(algorithm)}),
            claims: json!({
                "jti": jti, "htm": "GET", "htu": format!("{URL}/orders"), "iat": NOW, "ath": hash(token),
            }),
        }
    }

    /// Changes a member of the header. `null` removes it.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        change(&mut self.header, name, value.into());
        self
    }

    /// Changes a claim. `null` removes it.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        change(&mut self.claims, name, value.into());
        self
    }

    pub(crate) fn sign(&self) -> String {
        self.sign_text(self.header.to_string(), self.claims.to_string())
    }

    /// Signs exactly this header and payload.
    pub(crate) fn sign_text(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        format!("{signed}.{}", sign(self.algorithm, signed.as_bytes()))
    }
}

fn change(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().unwrap();
    match value {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.to_owned(), value)),
    }
}

/// Returns the public key as clients present it. Only a key for ML-DSA needs `alg`.
pub(crate) fn public_jwk(algorithm: Algorithm) -> Value {
    let jwk = jwk_with(algorithm, json!({}));
    if jwk["kty"] == "AKP" { jwk } else { jwk_with(algorithm, json!({"alg": null})) }
}

/// Returns the required members of a public key as JSON, sorted by name (RFC 7638, section 3.2).
pub(crate) fn required_members(jwk: &Value) -> String {
    let names: &[&str] = match jwk["kty"].as_str().unwrap() {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => &["alg", "kty", "pub"],
    };
    let members: Vec<_> = names.iter().map(|name| format!(r#""{name}":{}"#, jwk[name])).collect();
    format!("{{{}}}", members.join(","))
}

/// Returns the thumbprint of a public key (RFC 7638, section 3.1).
pub(crate) fn thumbprint(jwk: &Value) -> String {
    hash(&required_members(jwk))
}

/// Returns the hash of a text: `ath` for a token.
pub(crate) fn hash(text: &str) -> String {
    base64url(Sha256::digest(text))
}

/// Returns a token that is bound to the key for ES256.
pub(crate) fn bound_token() -> String {
    token_bound_to(Algorithm::ES256)
}

pub(crate) fn token_bound_to(algorithm: Algorithm) -> String {
    let jkt = thumbprint(&public_jwk(algorithm));
    token(&claims_with("cnf", json!({ "jkt": jkt })))
}

/// Returns a request with a token and a proof.
pub(crate) fn send(token: &str, proof: &str) -> Request<String> {
    let mut request = get(&format!("DPoP {token}"));
    request.headers_mut().insert("dpop", proof.parse().unwrap());
    request
}

/// Returns a bound token that is valid for an hour.
pub(crate) fn long_lived_token() -> String {
    let mut claims = claims_with("exp", json!(NOW + 3600));
    claims["cnf"] = json!({"jkt": thumbprint(&public_jwk(Algorithm::ES256))});
    token(&claims)
}

/// A clock that tests set.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn layer(&self, dpop: Dpop) -> Layer {
        let clock = self.clone();
        JwtAuthLayer::new(verifier().dpop(dpop).clock(move || at(clock.0.load(Ordering::Relaxed))))
    }
}

pub(crate) fn kind_of(response: &Response<String>) -> Option<AuthErrorKind> {
    response.extensions().get::<AuthError>().map(AuthError::kind)
}

/// Sends the bound token with a proof that has been changed.
pub(crate) async fn try_proof(layer: &Layer, change: impl FnOnce(Proof) -> Proof) -> Response<String> {
    let token = bound_token();
    let proof = change(Proof::of(&token)).sign();
    ask(layer, send(&token, &proof)).await
}

#[track_caller]
pub(crate) fn assert_accepted(name: &str, response: &Response<String>) {
    assert_eq!(response.body(), "Hello eze@example.com", "{name}: {response:?}");
    assert_eq!(response.status(), 200, "{name}");
}

/// Asserts the rejection of a proof or of its token, whose error is in the challenge of the scheme `DPoP`.
#[track_caller]
pub(crate) fn assert_refused(name: &str, response: &Response<String>, kind: AuthErrorKind, error: &str) {
    let challenge = format!(r#"DPoP realm="api", {error}, {ALGS}"#);
    let challenges = [("www-authenticate", BEARER), ("www-authenticate", &*challenge)];
    assert_rejected(name, response, 401, kind, &challenges);
}
