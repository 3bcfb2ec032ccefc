//! ML-DSA keys. They are longer than others, and only one back end supports them.

use serde_json::{Value, json};
use tower_jwt_auth::{Algorithm, Key};

use super::{assert_error, decode, der, fixture, jwk_of, jwk_with};
use crate::support::base64url;

const ALL: [(Algorithm, &str, usize); 3] = [
    (Algorithm::MlDsa44, "mldsa44.public.pem", 2420),
    (Algorithm::MlDsa65, "mldsa65.public.pem", 3309),
    (Algorithm::MlDsa87, "mldsa87.public.pem", 4627),
];

#[cfg(feature = "aws-lc-rs")]
mod tokens;

#[cfg(not(feature = "aws-lc-rs"))]
#[test]
fn other_back_ends_name_the_supporting_one() {
    let back_end = if super::GRAVIOLA { "graviola" } else { "rust-crypto" };
    for (algorithm, name, _) in ALL {
        let expected = format!("{back_end} does not support {algorithm}; enable the feature `aws-lc-rs`");
        assert_error(name, Key::pem(algorithm, fixture(name)), &expected);
        assert_error(name, Key::jwk(jwk_of(algorithm).to_string()), &expected);
        let good = jwk_with(Algorithm::EdDSA, json!({"kid": "good"}));
        let keys =
            tower_jwt_auth::KeySet::jwks(super::set_of(&[jwk_with(algorithm, json!({"kid": "k1"})), good]))
                .unwrap();
        assert_eq!(keys.skipped_keys()[0].to_string(), format!("key 0 (`k1`): {expected}"));
    }
}

#[test]
fn key_type_must_match_algorithm() {
    for (algorithm, name, key) in [
        (Algorithm::MlDsa44, "mldsa65.public.pem", "an ML-DSA-65 key"),
        (Algorithm::MlDsa65, "mldsa44.public.pem", "an ML-DSA-44 key"),
        (Algorithm::ES256, "mldsa87.public.pem", "an ML-DSA-87 key"),
        (Algorithm::HS256, "mldsa44.public.pem", "an ML-DSA-44 key"),
        (Algorithm::MlDsa44, "ed25519.public.pem", "an Ed25519 key"),
        (Algorithm::MlDsa87, "rsa2048.public.pem", "an RSA key"),
    ] {
        let (pem, expected) = (fixture(name), format!("{algorithm} cannot be used with {key}"));
        assert_error(name, Key::pem(algorithm, &pem), &expected);
        assert_error(name, Key::der(algorithm, der(&pem)), &expected);
    }
    let secret = "ML-DSA-44 cannot be used with a symmetric secret";
    assert_error("secret", Key::hmac(Algorithm::MlDsa44, super::SECRET), secret);
}

#[test]
fn rejects_other_jwks() {
    let private = "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key";
    let unusable = |reason: &str| format!("the JWK cannot be used: {reason}");
    let length = |text: &str| format!("the key cannot be read: {text}");
    let public = decode(&jwk_of(Algorithm::MlDsa44)["pub"]);
    let with = |changes: Value| jwk_with(Algorithm::MlDsa44, changes).to_string();
    let no_pub = unusable("its `pub` is missing or not base64url");
    for (name, jwk, expected) in [
        ("private", with(json!({"priv": base64url([1; 32])})), private.to_owned()),
        ("no alg", with(json!({"alg": null})), unusable("an AKP key needs an `alg` (RFC 9964, section 3)")),
        ("no pub", with(json!({"pub": null})), no_pub.clone()),
        ("pub padded", with(json!({"pub": "AA=="})), no_pub),
        ("pub a number", with(json!({"pub": 1})), unusable("its `pub` is not a string")),
        ("cut", with(json!({"pub": base64url(&public[1..])})), length("an ML-DSA-44 key has 1312 bytes")),
        ("alg of another set", with(json!({"alg": "ML-DSA-65"})), length("an ML-DSA-65 key has 1952 bytes")),
        (
            "alg of another type",
            with(json!({"alg": "ES256"})),
            "ES256 cannot be used with an AKP key".to_owned(),
        ),
        (
            "alg of another key",
            jwk_with(Algorithm::EdDSA, json!({"alg": "ML-DSA-87"})).to_string(),
            "ML-DSA-87 cannot be used with an Ed25519 key".to_owned(),
        ),
        (
            "alg that is not supported",
            with(json!({"alg": "SLH-DSA-SHA2-128s"})),
            unusable("its `alg` `SLH-DSA-SHA2-128s` is not supported"),
        ),
        (
            "alg in lower case",
            with(json!({"alg": "ml-dsa-44"})),
            unusable("its `alg` `ml-dsa-44` is not supported: names are case-sensitive, `ML-DSA-44` is"),
        ),
    ] {
        assert_error(name, Key::jwk(jwk), &expected);
    }
}

/// `d` is a private member only in other key types.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn ignores_members_of_other_types() {
    let jwk = jwk_with(Algorithm::MlDsa44, json!({"d": "AQAB", "crv": "P-256", "use": "sig"}));
    assert_eq!(Key::jwk(jwk.to_string()).unwrap().algorithm(), Algorithm::MlDsa44);
}

#[cfg(feature = "issue")]
mod private {
    use tower_jwt_auth::issue::SigningKey;

    use super::*;

    #[cfg(feature = "aws-lc-rs")]
    #[test]
    fn seed_and_expanded_key_are_the_same_key() {
        let read = |name: &str| {
            let pem = fixture(name);
            let key =
                SigningKey::pem(Algorithm::MlDsa44, &pem).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(SigningKey::der(Algorithm::MlDsa44, der(&pem)).unwrap().kid(), key.kid(), "{name}");
            key.kid().unwrap().to_owned()
        };
        let kid = read("mldsa44.private.pem");
        assert_eq!(read("mldsa44.both-private.pem"), kid);
        assert_eq!(read("mldsa44.expanded-private.pem"), kid);
    }

    #[cfg(feature = "aws-lc-rs")]
    #[test]
    fn rejects_weak_and_mismatched_private_keys() {
        let private = |name: &str| der(&fixture(name));
        let no_key = "the key cannot be read: its numbers are not those of a private key";
        let repeated =
            "the key cannot be read: it is one byte repeated, which anyone can guess; generate a random key";
        let mut seed = private("mldsa44.private.pem");
        let place = seed.len() - 32;
        seed[place..].fill(7);
        let both = private("mldsa44.both-private.pem");
        let (mut other_seed, mut other_expanded) = (both.clone(), both);
        other_seed[40] ^= 1;
        *other_expanded.last_mut().unwrap() ^= 1;
        let mut short = private("mldsa44.private.pem");
        short.pop();
        for place in [1, 19, 21] {
            short[place] -= 1;
        }
        for (name, key, expected) in [
            ("one byte repeated", seed, repeated),
            ("another seed", other_seed, no_key),
            ("another expanded key", other_expanded, no_key),
            ("a short seed", short, no_key),
        ] {
            assert_error(name, SigningKey::der(Algorithm::MlDsa44, key), expected);
        }
    }

    #[test]
    fn private_key_type_must_match_algorithm() {
        for (algorithm, name, expected) in [
            (Algorithm::MlDsa65, "mldsa44.private.pem", "ML-DSA-65 cannot be used with an ML-DSA-44 key"),
            (Algorithm::ES256, "mldsa44.private.pem", "ES256 cannot be used with an ML-DSA-44 key"),
            (Algorithm::MlDsa44, "ed25519.private.pem", "ML-DSA-44 cannot be used with an Ed25519 key"),
        ] {
            assert_error(name, SigningKey::pem(algorithm, fixture(name)), expected);
        }
    }

    #[cfg(not(feature = "aws-lc-rs"))]
    #[test]
    fn other_back_ends_do_not_sign_ml_dsa() {
        let back_end = if super::super::GRAVIOLA { "graviola" } else { "rust-crypto" };
        let expected = format!("{back_end} does not support ML-DSA-44; enable the feature `aws-lc-rs`");
        assert_error("PEM", SigningKey::pem(Algorithm::MlDsa44, fixture("mldsa44.private.pem")), &expected);
        assert_error("generated", SigningKey::generate(Algorithm::MlDsa44), &expected);
    }
}
