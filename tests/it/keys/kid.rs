//! Which keys are tried for a token.

use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tower_jwt_auth::keys::{KeySource, KeyStore};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, Key, KeySet};

use super::{
    SECRET, decode, der, fixture, jwk_of, jwk_with, read_jwk, read_set, rejection_with, set_of, signer,
    token, token_by,
};
use crate::support::{NOW, at, base64url, for_oracle, rejection, secret};

const UNKNOWN: Option<AuthErrorKind> = Some(AuthErrorKind::UnknownKey);
const UNSUPPORTED: Option<AuthErrorKind> = Some(AuthErrorKind::UnsupportedAlgorithm);
const INVALID: Option<AuthErrorKind> = Some(AuthErrorKind::InvalidSignature);

#[tokio::test]
async fn compares_kid_exactly() {
    let local = Key::hmac(Algorithm::HS256, SECRET).unwrap();
    let in_set = |kid: &str| read_set(set_of(&[jwk_with(Algorithm::HS256, json!({"kid": kid}))])).unwrap();
    let single = |kid: &str| read_jwk(jwk_with(Algorithm::HS256, json!({"kid": kid})).to_string()).unwrap();
    for (own, kid, expected) in [
        ("Key-1", Some("Key-1"), None),
        ("Key-1", None, None),
        ("Key-1", Some("key-1"), UNKNOWN),
        ("Key-1", Some("KEY-1"), UNKNOWN),
        ("Key-1", Some(" Key-1"), UNKNOWN),
        ("Key-1", Some("Key-1 "), UNKNOWN),
        ("Key-1", Some("Key-1\n"), UNKNOWN),
        ("Key-1", Some("Key-1\0"), UNKNOWN),
        ("Key-1", Some("Key-"), UNKNOWN),
        ("Key-1", Some("Key-10"), UNKNOWN),
        ("Key-1", Some(""), UNKNOWN),
        ("Key-1 ", Some("Key-1"), UNKNOWN),
        (" ", Some(""), UNKNOWN),
        ("", Some(""), None),
        ("", Some("Key-1"), UNKNOWN),
        ("", None, None),
        // A precomposed letter, and the same letter with a combining accent.
        ("cl\u{e9}", Some("cl\u{e9}"), None),
        ("cl\u{e9}", Some("cle\u{301}"), UNKNOWN),
        ("\"\\\n", Some("\"\\\n"), None),
    ] {
        let token = token(Algorithm::HS256, kid);
        let keys = [KeySet::from(local.clone().with_kid(own)), in_set(own), KeySet::from(single(own))];
        for keys in keys {
            assert_eq!(rejection_with(keys, &token).await, expected, "{own:?}, {kid:?}");
        }
    }
}

#[tokio::test]
async fn only_local_keys_without_kid_serve_every_token() {
    let jwk = jwk_of(Algorithm::HS256);
    let local = [
        Key::hmac(Algorithm::HS256, SECRET).unwrap().into(),
        read_jwk(jwk.to_string()).unwrap().into(),
        KeySet::hmac(Algorithm::HS256, SECRET).unwrap(),
    ];
    let in_set = read_set(set_of(&[jwk])).unwrap();
    for (kid, expected) in [(None, None), (Some("k1"), UNKNOWN), (Some(""), UNKNOWN)] {
        let token = token(Algorithm::HS256, kid);
        assert_eq!(rejection_with(in_set.clone(), &token).await, expected, "in a set, {kid:?}");
        for keys in local.clone() {
            assert_eq!(rejection_with(keys, &token).await, None, "local, {kid:?}");
        }
    }
}

#[tokio::test]
async fn remembered_key_stays_within_the_try_limit() {
    let key = |n: u8| Key::hmac(Algorithm::HS256, secret::<64>(n)).unwrap();
    let token = token_by(&EncodingKey::from_secret(&secret::<64>(9)).unwrap(), Algorithm::HS256, Some("x"));
    let store = KeyStore::new(KeySet::new([key(9)]));
    assert_eq!(rejection_with(store.clone(), &token).await, None);
    let used = KeySet::clone(&store.current());
    let larger = (1..5).fold(used, |keys, n| keys.add_key(key(n).with_kid("x")));
    assert_eq!(rejection_with(larger, &token).await, INVALID);
}

#[tokio::test]
async fn tries_four_keys_for_a_token_without_kid() {
    let keys: Vec<_> = (1..=5_u8)
        .flat_map(|number| {
            let kid = format!("k{number}");
            [
                json!({"kty": "oct", "alg": "HS256", "k": base64url(secret::<32>(number)), "kid": kid}),
                json!({"kty": "oct", "alg": "HS384", "k": base64url(secret::<48>(number)), "kid": kid}),
            ]
        })
        .collect();
    let keys = read_set(set_of(&keys)).unwrap();
    for number in 1..=5_u8 {
        let key = EncodingKey::from_secret(&secret::<32>(number)).unwrap();
        let nameless = token_by(&key, Algorithm::HS256, None);
        let expected = if number <= 4 { None } else { INVALID };
        assert_eq!(rejection_with(keys.clone(), &nameless).await, expected, "key {number}");
        let named = token_by(&key, Algorithm::HS256, Some(&format!("k{number}")));
        assert_eq!(rejection_with(keys.clone(), &named).await, None, "key {number}, named");
    }
}

#[tokio::test]
async fn several_keys_may_share_a_kid() {
    let named = |byte: u8| Key::hmac(Algorithm::HS256, secret::<32>(byte)).unwrap().with_kid("k1");
    let keys = KeySet::new([1, 2, 3, 4, 5].map(named));
    for (byte, expected) in [(1, None), (2, None), (3, None), (4, None), (5, INVALID), (6, INVALID)] {
        let token =
            token_by(&EncodingKey::from_secret(&secret::<32>(byte)).unwrap(), Algorithm::HS256, Some("k1"));
        assert_eq!(rejection_with(keys.clone(), &token).await, expected, "{byte}");
    }
}

#[tokio::test]
async fn keys_of_several_algorithms_may_share_a_kid() {
    let kinds = [Algorithm::HS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
    let keys = kinds.map(|algorithm| jwk_with(algorithm, json!({"kid": "k1"})));
    let keys = read_set(set_of(&keys)).unwrap();
    for algorithm in kinds {
        assert_eq!(rejection_with(keys.clone(), &token(algorithm, Some("k1"))).await, None, "{algorithm:?}");
    }
    assert_eq!(rejection_with(keys.clone(), &token(Algorithm::RS512, Some("k1"))).await, UNSUPPORTED);
    assert_eq!(rejection_with(keys, &token(Algorithm::RS512, Some("k2"))).await, UNKNOWN);
}

#[tokio::test]
async fn header_never_decides_how_a_key_is_used() {
    let pem = fixture("rsa2048.public.pem");
    let jwk = jwk_with(Algorithm::RS256, json!({"kid": "k1"}));
    let local = KeySet::pem(Algorithm::RS256, &pem).unwrap();
    let named = read_set(set_of(std::slice::from_ref(&jwk))).unwrap();
    let open = jwk_with(Algorithm::RS256, json!({"kid": "k1", "alg": null}));
    let open = read_set(set_of(std::slice::from_ref(&open))).unwrap();
    // Every text that could serve as a secret if only the public key is known.
    for secret in [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        der(&pem),
        der(&fixture("rsa2048.pkcs1.pem")),
        decode(&jwk["n"]),
        jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        jwk.to_string().into_bytes(),
        // HMAC pads with zeros, so this is also the empty secret, which jsonwebtoken rejects.
        vec![0],
    ] {
        let secret = EncodingKey::from_secret(&secret).unwrap();
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(rejection_with(local.clone(), &token_by(&secret, algorithm, None)).await, UNKNOWN);
            for keys in [&named, &open] {
                let token = token_by(&secret, algorithm, Some("k1"));
                assert_eq!(rejection_with(keys.clone(), &token).await, UNSUPPORTED);
            }
        }
    }
}

#[tokio::test]
async fn header_with_another_algorithm_finds_no_key() {
    let claims = base64url(json!({"exp": NOW + 300}).to_string());
    for (algorithm, alg, expected) in [
        (Algorithm::RS256, "RS256", None),
        (Algorithm::RS256, "PS256", UNSUPPORTED),
        (Algorithm::RS256, "RS384", UNSUPPORTED),
        (Algorithm::PS256, "RS256", UNSUPPORTED),
        (Algorithm::HS256, "HS512", UNSUPPORTED),
        (Algorithm::HS256, "hs256", UNSUPPORTED),
        (Algorithm::HS256, "HS256 ", UNSUPPORTED),
        (Algorithm::HS256, "none", UNSUPPORTED),
        (Algorithm::HS256, "None", UNSUPPORTED),
        (Algorithm::HS256, "", UNSUPPORTED),
        (Algorithm::ES256, "ES256K", UNSUPPORTED),
        (Algorithm::ES256, "ES384", UNSUPPORTED),
        (Algorithm::EdDSA, "EdDSA", None),
        (Algorithm::EdDSA, "Ed25519", None),
        (Algorithm::EdDSA, "Ed448", UNSUPPORTED),
        (Algorithm::EdDSA, "eddsa", UNSUPPORTED),
    ] {
        let header = base64url(json!({"alg": alg, "kid": "k1"}).to_string());
        let signed = format!("{header}.{claims}");
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &signer(algorithm), for_oracle(algorithm)).unwrap();
        let keys = read_set(set_of(&[jwk_with(algorithm, json!({"kid": "k1"}))])).unwrap();
        let rejection = rejection_with(keys, &format!("{signed}.{signature}")).await;
        assert_eq!(rejection, expected, "{algorithm:?}, {alg:?}");
    }
}

#[tokio::test]
async fn key_with_the_exact_kid_is_tried_first() {
    let others = (0..4).map(|n| Key::hmac(Algorithm::HS256, secret::<32>(n)).unwrap());
    let keys =
        KeySet::new(others).add_keys(Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("k1").into());
    assert_eq!(keys.len(), 5);
    assert_eq!(rejection_with(keys.clone(), &token(Algorithm::HS256, Some("k1"))).await, None);
    let unnamed = token(Algorithm::HS256, None);
    let alone = KeySet::from(Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("k1"));
    assert_eq!(rejection_with(alone.clone(), &unnamed).await, None);
    let others = (0..4).map(|n| Key::hmac(Algorithm::HS256, secret::<32>(n)).unwrap());
    let after_use = KeySet::new(others).add_keys(alone);
    assert_eq!(
        rejection_with(after_use, &unnamed).await,
        Some(AuthErrorKind::InvalidSignature),
        "also with a remembered header"
    );
    assert_eq!(
        rejection_with(keys, &unnamed).await,
        Some(AuthErrorKind::InvalidSignature),
        "the fifth key of its algorithm"
    );
}

/// A key remembers the header of the first token that it verifies. This must not change any verdict.
#[tokio::test]
async fn repeated_header_is_read_the_same() {
    let named = |number: u8| Key::hmac(Algorithm::HS256, secret::<32>(number)).unwrap().with_kid("k1");
    let key = |number: u8| EncodingKey::from_secret(&secret::<32>(number)).unwrap();
    let of = |number: u8, kid: Option<&str>| token_by(&key(number), Algorithm::HS256, kid);
    let verifier = JwtVerifier::<Value>::new(KeySet::new([named(1), named(2)])).clock(|| at(NOW));
    let kid = async |token: &str| {
        let claims = verifier.verify(token).await.map_err(|error| error.kind())?;
        Ok::<_, AuthErrorKind>(claims.token().kid().map(str::to_owned))
    };
    for round in 0..3 {
        for (name, token, expected) in [
            ("the first key", of(1, Some("k1")), Ok(Some("k1".to_owned()))),
            ("the second key, the same header", of(2, Some("k1")), Ok(Some("k1".to_owned()))),
            ("no key, the same header", of(3, Some("k1")), Err(AuthErrorKind::InvalidSignature)),
            ("another header", of(2, None), Ok(None)),
            ("another name", of(1, Some("k2")), Err(AuthErrorKind::UnknownKey)),
        ] {
            assert_eq!(kid(&token).await, expected, "{name}, round {round}");
        }
        let broken = of(1, Some("k1")) + "=";
        assert_eq!(kid(&broken).await, Err(AuthErrorKind::MalformedToken), "round {round}");
    }

    let strict = verifier.clone().access_tokens_only();
    assert_eq!(
        rejection(&strict, &of(1, Some("k1"))).await,
        Some(AuthErrorKind::WrongTokenType),
        "the settings still hold"
    );

    let renamed = named(1);
    let keys = KeySet::new([renamed.clone()]);
    assert_eq!(rejection_with(keys, &of(1, Some("k1"))).await, None);
    let renamed = renamed.with_kid("k2");
    assert_eq!(renamed.kid(), Some("k2"));
    let keys = KeySet::new([renamed]);
    assert_eq!(
        rejection_with(keys, &of(1, Some("k1"))).await,
        Some(AuthErrorKind::UnknownKey),
        "the kid is no longer known"
    );
}
