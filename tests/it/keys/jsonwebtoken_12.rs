//! Conversions to and from the types of jsonwebtoken.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde_json::{Value, json};
use tower_jwt_auth::{Algorithm, AuthErrorKind, Key, KeySet};

use super::{assert_error, jwk_of, jwk_with, read_jwk, rejection_with, token};
use crate::support::{WITH_ORACLE, for_oracle, is_hmac};

fn parse(jwk: Value) -> Jwk {
    serde_json::from_value(jwk).unwrap()
}

#[test]
fn converts_algorithms_both_ways() {
    for &ours in Algorithm::ALL {
        match jsonwebtoken::Algorithm::try_from(ours) {
            Ok(theirs) => {
                assert_eq!(theirs, for_oracle(ours));
                assert_eq!(Algorithm::try_from(theirs), Ok(ours));
            }
            Err(error) => {
                assert!(!WITH_ORACLE.contains(&ours), "{ours}");
                assert_eq!(error.to_string(), format!("jsonwebtoken 12 does not support {ours}"));
            }
        }
    }
}

#[tokio::test]
async fn converts_public_keys() {
    for algorithm in WITH_ORACLE {
        if is_hmac(algorithm) {
            continue;
        }
        let json = jwk_with(algorithm, json!({"kid": "k1"}));
        let key = Key::try_from(&parse(json.clone())).unwrap();
        assert_eq!(format!("{key:?}"), format!("{:?}", read_jwk(json.to_string()).unwrap()));
        assert_eq!(
            rejection_with(KeySet::from(key), &token(algorithm, Some("k1"))).await,
            None,
            "{algorithm}"
        );
    }
}

#[test]
fn rejects_unusable_keys() {
    let rsa = |changes| parse(jwk_with(Algorithm::RS256, changes));
    for (name, jwk, expected) in [
        ("enc", rsa(json!({"use": "enc"})), "the JWK cannot be used: its `use` is not `sig`"),
        (
            "alg forgotten",
            rsa(json!({"alg": "RS1"})),
            "the JWK cannot be used: its `alg` `UNKNOWN_ALGORITHM` is not supported",
        ),
        ("n", rsa(json!({"n": "AQ=="})), "the JWK cannot be used: its `n` is missing or not base64url"),
        (
            "symmetric",
            parse(jwk_of(Algorithm::HS512)),
            "the JWK cannot be used: it is a symmetric key, which JwksRules::allow_symmetric_keys would accept",
        ),
    ] {
        assert_error(name, Key::try_from(&jwk), expected);
    }
}

#[tokio::test]
async fn converts_sets() {
    let odd = jwk_with(Algorithm::RS256, json!({"use": "enc", "kid": "k1"}));
    let good = jwk_with(Algorithm::ES256, json!({"kid": "good"}));
    let parsed = JwkSet { keys: vec![parse(odd.clone()), parse(good)] };
    let keys = KeySet::try_from(&parsed).unwrap();
    assert_eq!(
        keys.skipped_keys()[0].to_string(),
        "key 0 (`k1`): the JWK cannot be used: its `use` is not `sig`"
    );
    assert_eq!(rejection_with(keys.clone(), &token(Algorithm::ES256, Some("good"))).await, None);
    let other = rejection_with(keys, &token(Algorithm::ES256, Some("k1"))).await;
    assert_eq!(other, Some(AuthErrorKind::UnknownKey));

    assert_error(
        "no usable key",
        KeySet::try_from(&JwkSet { keys: vec![parse(odd)] }),
        "the JWK set has no usable key: key 0 (`k1`): the JWK cannot be used: its `use` is not `sig`",
    );
    assert_error("no key", KeySet::try_from(&JwkSet { keys: Vec::new() }), "the JWK set is empty");
}
