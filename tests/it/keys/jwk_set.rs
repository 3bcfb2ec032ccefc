//! Sets of JSON Web Keys, and replaced keys.

use std::path::{Path, PathBuf};
use std::{fs, process};

use serde_json::{Value, json};
use tower_jwt_auth::keys::{KeyIssuer, KeyLookup, KeySource, KeyStore, KeysRef, Refresh};
use tower_jwt_auth::{Algorithm, AuthErrorKind, ConfigErrorKind, JwtVerifier, Key, KeySet};

use super::{assert_error, fixture, jwk_of, jwk_with, read_set, rejection_with, set_of, token};
use crate::support::{NOW, at, base64url, rejection};

/// Returns a good key with the `kid` `good`.
fn good() -> Value {
    jwk_with(Algorithm::ES256, json!({"kid": "good"}))
}

#[tokio::test]
async fn odd_key_does_not_spoil_others() {
    let unusable = |reason: &str| format!("the JWK cannot be used: {reason}");
    let short = json!({"kty": "oct", "alg": "HS256", "k": base64url(&super::SECRET[..31]), "kid": "k1"});
    for (name, odd, kid, reason) in [
        ("use", jwk_with(Algorithm::RS256, json!({"use": "enc", "kid": "k1"})), "k1", unusable("its `use` is not `sig`")),
        ("kty", json!({"kty": "ANY", "kid": "k1"}), "k1", unusable("its `kty` `ANY` is not supported")),
        ("crv", json!({"kty": "EC", "crv": "secp256k1", "kid": "k1"}), "k1", unusable("its `crv` `secp256k1` is not supported")),
        ("alg", jwk_with(Algorithm::RS256, json!({"alg": "RSA-OAEP", "kid": "k1"})), "k1", unusable("its `alg` `RSA-OAEP` is not supported")),
        ("wrong alg", jwk_with(Algorithm::RS256, json!({"alg": "ES256", "kid": "k1"})), "k1", "ES256 cannot be used with an RSA key".into()),
        ("no number", json!({"kty": "RSA", "kid": "k1"}), "k1", unusable("its `n` is missing or not base64url")),
        ("too short", short, "k1", "HS256 needs a secret of at least 32 bytes, got 31".into()),
        (
            "private",
            jwk_with(Algorithm::RS256, json!({"d": "AQAB", "kid": "k1"})),
            "k1",
            "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key".into(),
        ),
        ("kid a number", jwk_with(Algorithm::RS256, json!({"kid": 1})), "", unusable("its `kid` is not a string")),
        ("no kid", json!({"kty": "ANY"}), "", unusable("its `kty` `ANY` is not supported")),
        ("no members", json!({}), "", unusable("its `kty` is missing")),
        ("null", json!(null), "", "invalid JWK: expected a JSON object".into()),
        ("a string", json!("k1"), "", "invalid JWK: expected a JSON object".into()),
        ("an array", json!([good()]), "", "invalid JWK: expected a JSON object".into()),
    ] {
        let kid = Some(kid).filter(|kid| !kid.is_empty());
        for (keys, position) in [([odd.clone(), good()], 0), ([good(), odd.clone()], 1)] {
            let keys = read_set(set_of(&keys)).unwrap();
            assert_eq!((keys.len(), keys.is_empty()), (1, false), "{name}");
            let [skipped] = keys.skipped_keys() else { panic!("{name}: {:?}", keys.skipped_keys()) };
            assert_eq!((skipped.index(), skipped.kid()), (position, kid), "{name}");
            assert_eq!(skipped.reason().to_string(), reason, "{name}");
            let shown = kid.map(|kid| format!(" (`{kid}`)")).unwrap_or_default();
            assert_eq!(skipped.to_string(), format!("key {position}{shown}: {reason}"), "{name}");
            assert_eq!(rejection_with(keys, &token(Algorithm::ES256, Some("good"))).await, None, "{name}");
        }
    }
}

#[test]
fn shows_a_skipped_key_on_one_line() {
    let odd = json!({"kty": "ANY", "kid": "k1\r\nlevel=info"});
    let keys = KeySet::jwks(set_of(&[odd, good()])).unwrap();
    assert_eq!(keys.skipped_keys()[0].kid(), Some("k1\r\nlevel=info"));
    assert_eq!(
        keys.skipped_keys()[0].to_string(),
        r"key 0 (`k1\r\nlevel=info`): the JWK cannot be used: its `kty` `ANY` is not supported",
    );
}

#[test]
fn truncates_long_kid_of_a_skipped_key() {
    let odd = json!({"kty": "ANY", "kid": "\u{1}".repeat(80_000)});
    let keys = KeySet::jwks(set_of(&[odd, good()])).unwrap();
    let shown = keys.skipped_keys()[0].to_string();
    let kid = format!("key 0 (`{}..`): ", r"\u{1}".repeat(40));
    assert!(shown.starts_with(&kid) && shown.len() < 400, "{shown}");
}

#[test]
fn error_lists_at_most_five_unusable_keys() {
    let odd = |kid: usize| json!({"kty": "ANY", "kid": kid.to_string()});
    let shown = |number: usize| {
        KeySet::jwks(set_of(&(0..number).map(odd).collect::<Vec<_>>())).unwrap_err().to_string()
    };
    let five = "the JWK set has no usable key: \
         key 0 (`0`): the JWK cannot be used: its `kty` `ANY` is not supported; \
         key 1 (`1`): the JWK cannot be used: its `kty` `ANY` is not supported; \
         key 2 (`2`): the JWK cannot be used: its `kty` `ANY` is not supported; \
         key 3 (`3`): the JWK cannot be used: its `kty` `ANY` is not supported; \
         key 4 (`4`): the JWK cannot be used: its `kty` `ANY` is not supported";
    assert_eq!(shown(5), five);
    assert_eq!(shown(1000), format!("{five}; and 995 more"));
}

#[tokio::test]
async fn uses_all_good_keys_of_a_set() {
    let algorithms = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    let keys = read_set(set_of(&algorithms.map(jwk_of))).unwrap();
    assert_eq!((keys.len(), keys.skipped_keys().len()), (4, 0));
    for algorithm in algorithms {
        assert_eq!(rejection_with(keys.clone(), &token(algorithm, None)).await, None, "{algorithm:?}");
    }
}

#[test]
fn rejects_text_that_is_not_a_jwk_set() {
    let not_a_set = "invalid JWK set: expected a JSON object with an array `keys`";
    let set = set_of(&[good()]);
    for (name, text, expected) in [
        ("empty set", r#"{"keys":[]}"#.to_owned(), "the JWK set is empty"),
        ("empty object", "{}".to_owned(), not_a_set),
        ("keys null", r#"{"keys":null}"#.to_owned(), not_a_set),
        ("keys an object", format!(r#"{{"keys":{{"0":{}}}}}"#, good()), not_a_set),
        ("keys a string", r#"{"keys":"k1"}"#.to_owned(), not_a_set),
        ("keys of another case", set.replace("keys", "Keys"), not_a_set),
        ("keys twice", format!(r#"{{"keys":[],{}"#, &set[1..]), not_a_set),
        ("a single JWK", good().to_string(), not_a_set),
        ("an array of JWKs", json!([good()]).to_string(), not_a_set),
        ("an array of members", json!([[good()]]).to_string(), not_a_set),
        ("more behind", format!("{set}{set}"), not_a_set),
        ("a letter behind", format!("{set}x"), not_a_set),
        ("cut", set[..set.len() - 1].to_owned(), not_a_set),
        ("PEM", fixture("p256.public.pem"), not_a_set),
        ("HTML", "<html><body>Service unavailable</body></html>".to_owned(), not_a_set),
        ("null", "null".to_owned(), not_a_set),
        ("empty", String::new(), not_a_set),
        ("a control character outside a string", format!("\u{1}{set}"), not_a_set),
    ] {
        assert_error(name, KeySet::jwks(text), expected);
    }
    assert!(KeySet::jwks(format!(" \n{set}\n")).is_ok());
    assert!(KeySet::jwks(format!(r#"{{"issuer":"me",{}"#, &set[1..])).is_ok());
}

#[test]
fn explains_a_set_without_usable_keys() {
    let odd = [
        jwk_with(Algorithm::RS256, json!({"kid": "k1", "use": "enc"})),
        json!({"kty": "EC", "crv": "secp256k1"}),
        json!(7),
    ];
    let result = KeySet::jwks(set_of(&odd));
    let error = result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::NoUsableKeys);
    assert_eq!(error.skipped_keys().iter().map(|key| key.index()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_error(
        "three odd keys",
        result,
        "the JWK set has no usable key: \
         key 0 (`k1`): the JWK cannot be used: its `use` is not `sig`; \
         key 1: the JWK cannot be used: its `crv` `secp256k1` is not supported; \
         key 2: invalid JWK: expected a JSON object",
    );
}

#[tokio::test]
async fn reads_sets_from_parsed_json() {
    let odd = jwk_with(Algorithm::RS256, json!({"use": "enc", "kid": "k1"}));
    let keys = KeySet::try_from(&json!({"keys": [odd, good()]})).unwrap();
    assert_eq!(
        keys.skipped_keys()[0].to_string(),
        "key 0 (`k1`): the JWK cannot be used: its `use` is not `sig`"
    );
    assert_eq!(rejection_with(keys, &token(Algorithm::ES256, Some("good"))).await, None);

    assert_error(
        "no usable key",
        KeySet::try_from(&json!({"keys": [odd]})),
        "the JWK set has no usable key: key 0 (`k1`): the JWK cannot be used: its `use` is not `sig`",
    );
    assert_error("no key", KeySet::try_from(&json!({"keys": []})), "the JWK set is empty");
}

#[tokio::test]
async fn empty_set_accepts_nothing() {
    let token = token(Algorithm::HS256, None);
    assert!(KeySet::new([]).is_empty());
    assert_eq!(rejection_with(KeySet::new([]), &token).await, Some(AuthErrorKind::UnknownKey));
    assert_eq!(rejection_with(KeySet::new([]), &token).await, Some(AuthErrorKind::UnknownKey));
    let keys = KeySet::new([]).add_key(Key::hmac(Algorithm::HS256, super::SECRET).unwrap());
    assert_eq!(rejection_with(keys, &token).await, None);
}

#[tokio::test]
async fn replaces_keys_while_in_use() {
    let pem = |algorithm, name| KeySet::pem(algorithm, fixture(name)).unwrap();
    let store = KeyStore::new(pem(Algorithm::ES256, "p256.public.pem"));
    let (old, new) = (token(Algorithm::ES256, None), token(Algorithm::EdDSA, None));
    assert_eq!(rejection_with(store.clone(), &old).await, None);
    assert_eq!(rejection_with(store.clone(), &new).await, Some(AuthErrorKind::UnknownKey));

    let held = store.current();
    store.clone().replace(pem(Algorithm::EdDSA, "ed25519.public.pem"));
    assert_eq!(rejection_with(store.clone(), &old).await, Some(AuthErrorKind::UnknownKey));
    assert_eq!(rejection_with(store.clone(), &new).await, None);
    // A guard taken earlier keeps the old keys.
    assert_eq!(format!("{:?}", *held), format!("{:?}", pem(Algorithm::ES256, "p256.public.pem")));

    assert!(matches!(store.refresh(KeyLookup::missing(None)), Refresh::Unchanged));
    assert_eq!(store.issuer(), KeyIssuer::Any);
}

/// A key source that implements only the required method.
struct Own(std::sync::Arc<KeySet>);

impl Own {
    fn new() -> Self {
        Self(KeySet::pem(Algorithm::ES256, fixture("p256.public.pem")).unwrap().into())
    }
}

impl KeySource for Own {
    fn current(&self) -> KeysRef<'_> {
        self.0.clone().into()
    }
}

#[tokio::test]
async fn custom_key_source_needs_an_issuer() {
    let token = token(Algorithm::ES256, Some("k1"));
    assert_eq!(rejection_with(Own::new(), &token).await, Some(AuthErrorKind::WrongIssuer));
    assert_eq!(
        rejection_with(std::sync::Arc::new(Own::new()), &token).await,
        Some(AuthErrorKind::WrongIssuer)
    );
    let added = JwtVerifier::<Value>::new(KeySet::new([])).add_keys(Own::new()).unwrap().clock(|| at(NOW));
    assert_eq!(rejection(&added, &token).await, Some(AuthErrorKind::WrongIssuer));
    assert_eq!(rejection(&added.insecure_any_issuer(), &token).await, None);
}

#[tokio::test]
async fn custom_key_source_may_accept_any_issuer() {
    struct Chosen(Own);

    impl KeySource for Chosen {
        fn current(&self) -> KeysRef<'_> {
            self.0.current()
        }

        fn issuer(&self) -> KeyIssuer<'_> {
            KeyIssuer::Any
        }
    }

    assert_eq!(rejection_with(Chosen(Own::new()), &token(Algorithm::ES256, Some("k1"))).await, None);
}

#[tokio::test]
async fn bad_file_leaves_the_keys_unchanged() {
    let file = TempFile::new("jwks.json");
    fs::write(&file.0, set_of(&[good()])).unwrap();
    let store = KeyStore::new(KeySet::jwks_file(&file.0).unwrap());
    let reload = || KeySet::jwks_file(&file.0).map(|keys| store.replace(keys));
    let good = token(Algorithm::ES256, Some("good"));

    fs::write(&file.0, "{").unwrap();
    assert_error("cut", reload(), "invalid JWK set: expected a JSON object with an array `keys`");
    assert_eq!(rejection_with(store.clone(), &good).await, None);
    fs::write(&file.0, r#"{"keys":[]}"#).unwrap();
    assert_error("empty", reload(), "the JWK set is empty");
    assert_eq!(rejection_with(store.clone(), &good).await, None);
    fs::remove_file(&file.0).unwrap();
    assert_error("gone", reload(), &format!("cannot read `{}`", file.0.display()));
    assert_eq!(rejection_with(store.clone(), &good).await, None);

    fs::write(&file.0, set_of(&[jwk_with(Algorithm::EdDSA, json!({"kid": "new"}))])).unwrap();
    reload().unwrap();
    assert_eq!(rejection_with(store.clone(), &good).await, Some(AuthErrorKind::UnknownKey));
    assert_eq!(rejection_with(store.clone(), &token(Algorithm::EdDSA, Some("new"))).await, None);
}

#[test]
fn unreadable_file_error_has_a_source() {
    let path = Path::new("/no/such/jwks.json");
    let error = KeySet::jwks_file(path).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/no/such/jwks.json`");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("No such file or directory"), "{source}");
}

/// A file for this process in the temporary folder. Dropping it deletes the file.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("tower-jwt-auth-{}-{name}", process::id())))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
