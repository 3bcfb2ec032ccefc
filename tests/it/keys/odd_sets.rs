//! Sets as providers write them, and the rules for reading a set.

use std::fs;

use serde_json::{Value, json};
use tower_jwt_auth::keys::JwksRules;
use tower_jwt_auth::{Algorithm, AuthErrorKind, ConfigErrorKind, Key, KeySet};

use super::{
    SECRET, assert_error, decode, jwk_of, jwk_with, read_jwk, rejection_with, set_of, signer, token,
};
use crate::support::{base64url, for_oracle};

const SYMMETRIC: &str =
    "the JWK cannot be used: it is a symmetric key, which JwksRules::allow_symmetric_keys would accept";

/// Returns a good key named `k1` with these members inserted first.
fn with(members: &str) -> String {
    let good = jwk_with(Algorithm::ES256, json!({"kid": "k1"})).to_string();
    format!("{{{members},{}", &good[1..])
}

#[tokio::test]
async fn null_means_absent_in_each_optional_member() {
    const OPTIONAL: [&str; 14] =
        ["use", "key_ops", "alg", "kid", "x5u", "x5c", "x5t", "x5t#S256", "d", "p", "k", "oth", "crv", "exp"];
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let Value::Object(mut jwk) = jwk_of(algorithm) else { unreachable!() };
        jwk.remove("alg");
        for name in OPTIONAL {
            jwk.entry(name).or_insert(Value::Null);
        }
        let keys = KeySet::jwks(set_of(&[jwk.into()])).unwrap();
        assert_eq!(keys.len(), 1, "{algorithm:?}");
        assert_eq!(rejection_with(keys, &token(algorithm, None)).await, None, "{algorithm:?}");
    }
    let mut secret = jwk_with(Algorithm::HS256, json!({}));
    secret["kid"] = Value::Null;
    let key = read_jwk(secret.to_string()).unwrap();
    assert_eq!(rejection_with(KeySet::from(key), &token(Algorithm::HS256, Some("any"))).await, None);
}

#[tokio::test]
async fn null_header_member_is_absent_unless_unsafe() {
    use AuthErrorKind::*;

    let keys = KeySet::jwks(set_of(&[jwk_of(Algorithm::EdDSA)])).unwrap();
    for (member, expected) in [
        (r#""kid":null"#, None),
        (r#""typ":null"#, None),
        (r#""cty":null"#, None),
        (r#""kid":null,"typ":null,"x5c":null,"jwk":null"#, None),
        (r#""kid":null,"kid":null"#, Some(MalformedToken)),
        (r#""crit":null"#, Some(UnsupportedToken)),
        (r#""b64":null"#, Some(MalformedToken)),
    ] {
        let header = base64url(format!(r#"{{"alg":"EdDSA",{member}}}"#));
        let payload = token(Algorithm::EdDSA, None).split('.').nth(1).unwrap().to_owned();
        let signed = format!("{header}.{payload}");
        let signature = jsonwebtoken::crypto::sign(
            signed.as_bytes(),
            &signer(Algorithm::EdDSA),
            for_oracle(Algorithm::EdDSA),
        );
        let token = format!("{signed}.{}", signature.unwrap());
        for round in 0..2 {
            assert_eq!(rejection_with(keys.clone(), &token).await, expected, "{member}, round {round}");
        }
    }
}

#[tokio::test]
async fn unreadable_member_spoils_only_its_key() {
    let unreadable = "the JWK cannot be used: one of its members cannot be read: a lone surrogate, a control character, \
                      a byte that is not UTF-8, a number out of range or more than 128 levels";
    let deep = format!(r#""x":{}1{}"#, "[".repeat(200), "]".repeat(200));
    let good = jwk_with(Algorithm::EdDSA, json!({"kid": "good"})).to_string();
    for (name, odd, kid, reason) in [
        ("surrogate in kid", with(r#""kid":"\ud800""#), None, unreadable),
        ("surrogate elsewhere", with(r#""note":"\udfff""#), Some("k1"), unreadable),
        ("surrogate in a name", with(r#""\ud800":1"#), None, unreadable),
        ("control character in kid", with("\"kid\":\"a\u{1}\""), None, unreadable),
        ("line break in kid", with("\"kid\":\"a\nb\""), None, unreadable),
        ("control character after an escape", with("\"note\":\"\\\\\u{1}\""), Some("k1"), unreadable),
        ("escaped control character", with("\"note\":\"\\\u{1}\""), Some("k1"), unreadable),
        ("number out of range", with(r#""exp":1e400"#), Some("k1"), unreadable),
        ("too deep", with(&deep), Some("k1"), unreadable),
        (
            "member twice",
            with(r#""alg":"ES256""#),
            Some("k1"),
            "the JWK cannot be used: its `alg` appears twice",
        ),
        ("kid twice", with(r#""kid":"k1""#), None, "the JWK cannot be used: its `kid` appears twice"),
    ] {
        for (set, position) in [
            (format!(r#"{{"keys":[{odd},{good}]}}"#), 0),
            (format!(r#"{{"\ud800":1,"keys":[{odd},{good}]}}"#), 0),
            (format!("\u{feff}{{\"keys\":[{odd},{good}]}}"), 0),
            (format!(r#" {{ "a" : 1e400 , "keys" : [ {good} , {odd} ] , "b" : "\ud800" }} "#), 1),
        ] {
            let keys = KeySet::jwks(&set).unwrap_or_else(|error| panic!("{name}: {error}"));
            let [skipped] = keys.skipped_keys() else { panic!("{name}: {:?}", keys.skipped_keys()) };
            assert_eq!((skipped.index(), skipped.kid()), (position, kid), "{name}");
            assert_eq!(skipped.reason().to_string(), reason, "{name}");
            assert_eq!(rejection_with(keys, &token(Algorithm::EdDSA, Some("good"))).await, None, "{name}");
        }
    }
}

#[tokio::test]
async fn non_utf8_byte_spoils_only_its_key() {
    let good = jwk_with(Algorithm::EdDSA, json!({"kid": "good"})).to_string();
    let set = format!(r#"{{"note":"?","keys":[{},{good}]}}"#, with(r#""note":"?""#));
    // A single byte, one after a backslash, and an incomplete character.
    for bytes in [&b"J\xf6rg"[..], b"\\\xff", b"\xe2\x82"] {
        let set = set.as_bytes().split(|byte| *byte == b'?').collect::<Vec<_>>().join(bytes);
        let keys = KeySet::jwks(set).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        assert_eq!((keys.len(), keys.skipped_keys().len()), (1, 1), "{bytes:?}");
        assert_eq!(rejection_with(keys, &token(Algorithm::EdDSA, Some("good"))).await, None, "{bytes:?}");
    }
}

#[test]
fn texts_in_keys_do_not_split_them() {
    let note = r#"]},{\"keys\":[{"#;
    let set = format!(r#"{{"note":"{note}","keys":[{}]}}"#, with(&format!(r#""note":"{note}""#)));
    let keys = KeySet::jwks(set).unwrap();
    assert_eq!((keys.len(), keys.skipped_keys().len()), (1, 0));
}

#[test]
fn values_of_each_type_are_separate_elements() {
    let set = r#"{"keys":[1,-2.5e3,"a,b]",null,true,[1,{}],{},"",[],{"kty":"x,y"}]}"#;
    let error = KeySet::jwks(set).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::NoUsableKeys);
    let skipped = error.skipped_keys();
    assert_eq!(skipped.iter().map(|key| key.index()).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!(skipped[9].to_string(), "key 9: the JWK cannot be used: its `kty` `x,y` is not supported");
}

#[tokio::test]
async fn strips_leading_zeros_of_rsa_numbers() {
    let (n, e) = (decode(&jwk_of(Algorithm::RS256)["n"]), [0, 1, 0, 1]);
    let odd = json!({"n": base64url([&[0], &*n].concat()), "e": base64url(e), "kid": "k1"});
    let odd = jwk_with(Algorithm::RS256, odd);
    let token = token(Algorithm::RS256, Some("k1"));
    for (name, keys) in [
        ("set", KeySet::jwks(set_of(std::slice::from_ref(&odd))).unwrap()),
        ("JWK", Key::jwk(odd.to_string()).unwrap().into()),
        ("parsed JWK", Key::try_from(&odd).unwrap().into()),
    ] {
        assert_eq!(rejection_with(keys, &token).await, None, "{name}");
    }
}

#[tokio::test]
async fn symmetric_keys_are_skipped_unless_allowed() {
    let secret = jwk_with(Algorithm::HS256, json!({"kid": "s"}));
    let set = set_of(&[secret.clone(), jwk_with(Algorithm::ES256, json!({"kid": "k1"}))]);
    let mac = token(Algorithm::HS256, Some("s"));
    let path = std::env::temp_dir().join(format!("tower-jwt-auth-{}-symmetric.json", std::process::id()));
    fs::write(&path, &set).unwrap();
    let allowing = JwksRules::new().allow_symmetric_keys();
    let skipping = [KeySet::jwks(&set), KeySet::jwks_with(&set, &JwksRules::new()), KeySet::jwks_file(&path)];
    let allowed = [KeySet::jwks_with(&set, &allowing), KeySet::jwks_file_with(&path, &allowing)];
    fs::remove_file(&path).unwrap();
    for keys in skipping.map(Result::unwrap) {
        assert_eq!(keys.skipped_keys()[0].to_string(), format!("key 0 (`s`): {SYMMETRIC}"));
        assert_eq!(rejection_with(keys.clone(), &mac).await, Some(AuthErrorKind::UnknownKey));
        assert_eq!(rejection_with(keys, &token(Algorithm::ES256, Some("k1"))).await, None);
    }
    for keys in allowed.map(Result::unwrap) {
        assert_eq!((keys.len(), keys.skipped_keys().len()), (2, 0));
        assert_eq!(rejection_with(keys, &mac).await, None);
    }
    assert_error(
        "no other key",
        KeySet::jwks(set_of(std::slice::from_ref(&secret))),
        &format!("the JWK set has no usable key: key 0 (`s`): {SYMMETRIC}"),
    );
}

#[tokio::test]
async fn single_symmetric_jwk_must_be_allowed() {
    let secret = jwk_of(Algorithm::HS512);
    assert_error("Key::jwk", Key::jwk(secret.to_string()), SYMMETRIC);
    assert_error("parsed", Key::try_from(&secret), SYMMETRIC);
    let key = Key::jwk_with(secret.to_string(), &JwksRules::new().allow_symmetric_keys()).unwrap();
    assert_eq!(rejection_with(KeySet::from(key), &token(Algorithm::HS512, Some("any"))).await, None);
    // The same secret, given directly.
    let key = Key::hmac(Algorithm::HS512, SECRET).unwrap();
    assert_eq!(rejection_with(KeySet::from(key), &token(Algorithm::HS512, None)).await, None);
}

#[tokio::test]
async fn accepts_keys_with_an_added_use() {
    let svid = jwk_with(Algorithm::ES256, json!({"kid": "k1", "use": "jwt-svid"}));
    let tls = json!({"kty": "EC", "crv": "P-256", "use": "x509-svid", "x5c": ["MIIB"]});
    let bundle = json!({"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": [tls, svid]}).to_string();
    assert_error(
        "by default",
        KeySet::jwks(&bundle),
        "the JWK set has no usable key: \
         key 0: the JWK cannot be used: its `use` `x509-svid` is not supported; JwksRules::add_use allows it; \
         key 1 (`k1`): the JWK cannot be used: its `use` `jwt-svid` is not supported; JwksRules::add_use allows it",
    );
    let rules = JwksRules::new().add_use("jwt-svid");
    let keys = KeySet::jwks_with(&bundle, &rules).unwrap();
    assert_eq!((keys.len(), keys.skipped_keys().len()), (1, 1));
    assert_eq!(rejection_with(keys, &token(Algorithm::ES256, Some("k1"))).await, None);
    for purpose in [json!("sig"), Value::Null] {
        let set = set_of(&[jwk_with(Algorithm::ES256, json!({"use": purpose}))]);
        assert!(KeySet::jwks_with(set, &rules).is_ok(), "{purpose}");
    }
    for purpose in ["enc", "JWT-SVID", ""] {
        let set = set_of(&[jwk_with(Algorithm::ES256, json!({"use": purpose}))]);
        assert!(KeySet::jwks_with(set, &rules).is_err(), "{purpose}");
    }
}

#[test]
fn key_limit_applies_to_texts_if_set() {
    let key = jwk_with(Algorithm::EdDSA, json!({"kid": "k1"}));
    let set = set_of(&vec![key; 300]);
    assert_eq!(KeySet::jwks(&set).unwrap().len(), 300);
    assert_eq!(KeySet::jwks_with(&set, &JwksRules::new().max_keys(300)).unwrap().len(), 300);
    assert_error(
        "one fewer",
        KeySet::jwks_with(&set, &JwksRules::new().max_keys(299)),
        "the JWK set has 300 keys, but at most 299 are allowed; JwksRules::max_keys sets the limit",
    );
}

#[test]
fn explains_keys_that_are_only_certificates() {
    let rsa = json!({"kty": "RSA", "kid": "a", "x5c": ["MIIB"]});
    let bare = json!({"kid": "b", "x5c": ["MIIB"]});
    assert_error(
        "x5c",
        KeySet::jwks(set_of(&[rsa, bare])),
        "the JWK set has no usable key: \
         key 0 (`a`): the JWK cannot be used: its `n` is missing, and a certificate in `x5c` is not read; \
         key 1 (`b`): the JWK cannot be used: its `kty` is missing",
    );
}

#[test]
fn quotes_set_text_shortened_on_one_line() {
    let odd = json!({"kty": format!("A\n{}", "x".repeat(10_000))});
    let shown = KeySet::jwks(set_of(&[odd])).unwrap_err().to_string();
    let expected = format!("its `kty` `A\\n{}..` is not supported", "x".repeat(38));
    assert!(shown.ends_with(&expected), "{shown}");
}
