//! Keys in every form, the tokens that they verify, and the errors for unusable ones.

mod algorithms;
mod aws_signer;
mod causes;
mod formats;
#[cfg(feature = "jsonwebtoken-12")]
mod jsonwebtoken_12;
mod jwk;
mod jwk_set;
#[cfg(feature = "settings")]
mod key_file;
mod kid;
#[cfg(feature = "issue")]
mod material;
mod ml_dsa;
mod numbers;
mod odd_sets;
#[cfg(feature = "issue")]
mod pem;

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{AlgorithmFamily, EncodingKey, Header};
use serde_json::{Value, json};
use tower_jwt_auth::keys::{JwksRules, KeySource, KeyStore};
use tower_jwt_auth::{Algorithm, AuthErrorKind, ConfigError, JwtVerifier, Key, KeySet};

use crate::support::{NOW, WITH_ORACLE, at, base64url, for_oracle, rejection};

/// A secret long enough for each HMAC.
pub(crate) const SECRET: &[u8; 64] = b"correct horse battery staple, and as many as HS512 asks for: 64.";

/// True if graviola checks the signatures: the only back end that does not accept every key.
pub(crate) const GRAVIOLA: bool = cfg!(not(any(feature = "aws-lc-rs", feature = "rust-crypto")));

/// Returns why a verifier with these keys rejects a token; `None` if it accepts it.
async fn rejection_with(keys: impl KeySource + 'static, token: &str) -> Option<AuthErrorKind> {
    let verifier = JwtVerifier::<Value>::new(keys).clock(|| at(NOW));
    rejection(&verifier, token).await
}

/// Returns a good token, signed with the private key of the fixtures for this algorithm.
fn token(algorithm: Algorithm, kid: Option<&str>) -> String {
    token_with(algorithm, kid, &json!({"sub": "42", "exp": NOW + 300}))
}

/// Like [`token`], with these claims.
pub(crate) fn token_with(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    if !WITH_ORACLE.contains(&algorithm) {
        return aws_signer::token(algorithm, kid, claims);
    }
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(for_oracle(algorithm)) };
    jsonwebtoken::encode(&header, claims, &signer(algorithm)).unwrap()
}

pub(crate) fn token_by(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(for_oracle(algorithm)) };
    jsonwebtoken::encode(&header, &json!({"sub": "42", "exp": NOW + 300}), key).unwrap()
}

/// Signs with the private key of the fixtures for this algorithm. Returns the signature in base64url.
#[cfg(feature = "dpop")]
pub(crate) fn sign(algorithm: Algorithm, message: &[u8]) -> String {
    match WITH_ORACLE.contains(&algorithm) {
        true => jsonwebtoken::crypto::sign(message, &signer(algorithm), for_oracle(algorithm)).unwrap(),
        false => base64url(aws_signer::sign(algorithm, message)),
    }
}

pub(crate) fn signer(algorithm: Algorithm) -> EncodingKey {
    let pem = |name| fixture(name).into_bytes();
    match for_oracle(algorithm).family() {
        AlgorithmFamily::Hmac => EncodingKey::from_secret(SECRET).unwrap(),
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(&pem("rsa2048.private.pem")).unwrap(),
        AlgorithmFamily::Ed => EncodingKey::from_ed_pem(&pem("ed25519.private.pem")).unwrap(),
        AlgorithmFamily::Ec if algorithm == Algorithm::ES256 => {
            EncodingKey::from_ec_pem(&pem("p256.private.pem")).unwrap()
        }
        AlgorithmFamily::Ec => EncodingKey::from_ec_pem(&pem("p384.private.pem")).unwrap(),
    }
}

/// Returns the JWK that verifies [`signer`]'s signatures, with `alg` and without `kid`.
pub(crate) fn jwk_of(algorithm: Algorithm) -> Value {
    match WITH_ORACLE.contains(&algorithm) {
        true => jwk_by(&signer(algorithm), algorithm),
        false => aws_signer::jwk(algorithm),
    }
}

/// Like [`jwk_of`], for another private key.
pub(crate) fn jwk_by(key: &EncodingKey, algorithm: Algorithm) -> Value {
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(key, for_oracle(algorithm)).unwrap();
    serde_json::to_value(jwk).unwrap()
}

/// Returns [`jwk_of`] with some members added or replaced; `null` removes one.
pub(crate) fn jwk_with(algorithm: Algorithm, changes: Value) -> Value {
    let (Value::Object(mut jwk), Value::Object(changes)) = (jwk_of(algorithm), changes) else {
        panic!("a JWK is an object, and so are changes to it");
    };
    jwk.extend(changes);
    jwk.retain(|_, value| !value.is_null());
    jwk.into()
}

pub(crate) fn set_of(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Reads a set and allows symmetric keys, because many tests sign with them.
pub(crate) fn read_set(json: impl AsRef<[u8]>) -> Result<KeySet, ConfigError> {
    KeySet::jwks_with(json, &JwksRules::new().allow_symmetric_keys())
}

/// Like [`read_set`], for a single JWK.
pub(crate) fn read_jwk(json: impl AsRef<[u8]>) -> Result<Key, ConfigError> {
    Key::jwk_with(json, &JwksRules::new().allow_symmetric_keys())
}

pub(crate) fn fixture(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Returns the DER in a PEM file.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

#[track_caller]
pub(crate) fn assert_error<T>(name: &str, result: Result<T, ConfigError>, expected: &str) {
    match result {
        Ok(_) => panic!("{name}: accepted"),
        Err(error) => assert_eq!(error.to_string(), expected, "{name}"),
    }
}

#[test]
fn debug_shows_no_secret() {
    let key = Key::hmac(Algorithm::HS512, SECRET).unwrap();
    assert_eq!(format!("{key:?}"), "Key { name: Any, algorithm: HS512, .. }");
    let keys = KeySet::from(key.with_kid("k1"));
    assert_eq!(
        format!("{keys:?}"),
        r#"KeySet { keys: [Key { name: Kid("k1"), algorithm: HS512, .. }], skipped: [] }"#,
    );

    let short = json!({"kty": "oct", "alg": "HS256", "k": base64url(&SECRET[..31])});
    let error = read_set(set_of(&[short])).unwrap_err();
    let store = KeyStore::new(keys.clone());
    let verifier = JwtVerifier::<Value>::new(keys).issuer("https://id.example.com");
    let shown =
        format!("{error} {error:?} {error:#?} {store:?} {:?} {verifier:?} {verifier:#?}", store.current());
    for secret in [
        "correct horse".to_owned(),
        base64url(&SECRET[..9]),
        format!("{:?}", &SECRET[..9]).trim_end_matches(']').to_owned(),
        SECRET[..9].iter().map(|byte| format!("{byte:02x}")).collect(),
    ] {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }
}
