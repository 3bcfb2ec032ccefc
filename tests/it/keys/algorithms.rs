//! `JwtVerifier::algorithms`.

use serde_json::{Value, json};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, KeySet};

use super::{jwk_with, read_set, set_of, token};
use crate::support::{NOW, at, rejection, supported};

const UNSUPPORTED: Option<AuthErrorKind> = Some(AuthErrorKind::UnsupportedAlgorithm);

/// Returns a key for each algorithm, with the algorithm's name as `kid`.
fn all_keys() -> KeySet {
    let named = |algorithm: Algorithm| jwk_with(algorithm, json!({"kid": algorithm}));
    read_set(set_of(&supported().map(named).collect::<Vec<_>>())).unwrap()
}

fn verifier() -> JwtVerifier<Value> {
    JwtVerifier::new(all_keys()).clock(|| at(NOW))
}

fn named_token(algorithm: Algorithm) -> String {
    token(algorithm, Some(algorithm.as_str()))
}

#[tokio::test]
async fn accepts_each_algorithm_unless_restricted() {
    let all = verifier();
    let two = verifier().algorithms([Algorithm::RS256, Algorithm::EdDSA]);
    let none = verifier().algorithms([]);
    let replaced = none.clone().algorithms([Algorithm::HS256]);
    for algorithm in supported() {
        for token in [named_token(algorithm), token(algorithm, None)] {
            let in_two = [Algorithm::RS256, Algorithm::EdDSA].contains(&algorithm);
            assert_eq!(rejection(&all, &token).await, None, "{algorithm:?}");
            assert_eq!(rejection(&two, &token).await, UNSUPPORTED.filter(|_| !in_two), "{algorithm:?}");
            assert_eq!(rejection(&none, &token).await, UNSUPPORTED, "{algorithm:?}");
            let is_hs256 = algorithm == Algorithm::HS256;
            assert_eq!(
                rejection(&replaced, &token).await,
                UNSUPPORTED.filter(|_| !is_hs256),
                "{algorithm:?}"
            );
        }
    }
}

#[tokio::test]
async fn restricts_tokens_with_a_remembered_header() {
    let usual = verifier();
    // Both share their keys, which remember headers.
    let restricted = usual.clone().algorithms([Algorithm::RS256]);
    let token = named_token(Algorithm::HS256);
    for _ in 0..2 {
        assert_eq!(rejection(&usual, &token).await, None);
        assert_eq!(rejection(&restricted, &token).await, UNSUPPORTED);
    }
}

#[tokio::test]
async fn restricts_cached_tokens() {
    let cached = verifier().cache(CacheSettings::new());
    let token = named_token(Algorithm::HS256);
    for _ in 0..3 {
        assert_eq!(rejection(&cached, &token).await, None);
    }
    assert!(cached.cache_stats().unwrap().hits() > 0);
    let restricted = cached.clone().algorithms([Algorithm::RS256]);
    for _ in 0..3 {
        assert_eq!(rejection(&restricted, &token).await, UNSUPPORTED);
        assert_eq!(rejection(&cached, &token).await, None);
    }
}

#[test]
fn reads_and_writes_names() {
    for algorithm in Algorithm::ALL {
        let json = serde_json::to_string(algorithm).unwrap();
        assert_eq!(json, format!("\"{algorithm}\""));
        assert_eq!(serde_json::from_str::<Algorithm>(&json).unwrap(), *algorithm);
        assert_eq!(algorithm.as_str().parse(), Ok(*algorithm));
    }
    // RFC 9864, section 2.2.
    assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
    assert_eq!(serde_json::from_value::<Algorithm>(json!("Ed25519")).unwrap(), Algorithm::EdDSA);
    assert_eq!(Algorithm::EdDSA.to_string(), "EdDSA");

    for (name, expected) in [
        ("eddsa", "unknown algorithm `eddsa`: names are case-sensitive, use `EdDSA`"),
        ("hs256", "unknown algorithm `hs256`: names are case-sensitive, use `HS256`"),
        (
            "none\n",
            "unknown algorithm `none\\n`: use one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
             ES384, ES512, EdDSA, ML-DSA-44, ML-DSA-65, ML-DSA-87",
        ),
    ] {
        assert_eq!(name.parse::<Algorithm>().unwrap_err().to_string(), expected);
        assert_eq!(serde_json::from_value::<Algorithm>(json!(name)).unwrap_err().to_string(), expected);
    }
    assert!(serde_json::from_value::<Algorithm>(json!({"HS256": null})).is_err());
}
