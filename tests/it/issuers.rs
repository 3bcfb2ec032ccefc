//! Several issuers: which verifier gets a token, and the rejection if there is none.

#[cfg(feature = "remote-keys-core")]
mod resolver;
#[cfg(feature = "remote-keys-core")]
mod strangers;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{
    Expired, InvalidClaims, InvalidSignature, MalformedToken, TokenTooLarge, UnsupportedToken, WrongAudience,
    WrongIssuer,
};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::verifiers::Issuers;
use tower_jwt_auth::{Algorithm, AuthErrorKind, ConfigError, JwtAuthLayer, JwtVerifier, KeySet};

use crate::support::{AUDIENCE, NOW, SECRET, ask, at, base64url, bearer, claims_with, for_oracle, secret};

const A: &str = "https://a.example.com";
const B: &str = "https://b.example.com";

/// Returns the verifier for an issuer with one of the numbered secrets.
fn verifier(issuer: &str, number: u8) -> JwtVerifier<Value> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, secret::<32>(number)).unwrap())
        .issuer(issuer)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
}

fn sign(claims: &Value, number: u8) -> String {
    let key = EncodingKey::from_secret(&secret::<32>(number)).unwrap();
    jsonwebtoken::encode(&Header::new(for_oracle(Algorithm::HS256)), claims, &key).unwrap()
}

fn token(issuer: &str, number: u8) -> String {
    sign(&claims_with("iss", json!(issuer)), number)
}

async fn rejection(issuers: &Issuers<Value>, token: &str) -> Option<AuthErrorKind> {
    issuers.verify(token).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn explains_unknown_issuers() {
    let issuers = Issuers::new([verifier(A, 1)]).unwrap();
    for (claims, expected) in [
        (
            claims_with("iss", json!("https://c.example.com")),
            "no verifier for the token's `iss`; add one with Issuers::new or Issuers::add",
        ),
        (claims_with("iss", Value::Null), "the token has no `iss`: Issuers selects the verifier by it"),
    ] {
        let error = issuers.verify(&sign(&claims, 1)).await.unwrap_err();
        assert_eq!(error.kind(), WrongIssuer);
        assert_eq!(std::error::Error::source(&error).expect("a cause").to_string(), expected);
    }
}

#[tokio::test]
async fn each_token_goes_only_to_its_issuers_verifier() {
    let issuers = Issuers::new([verifier(A, 1), verifier(B, 2)]).unwrap();
    let header = base64url(r#"{"alg":"HS256"}"#);
    let of_payload = |payload: &str| format!("{header}.{}.{}", base64url(payload), base64url([0; 32]));
    for (name, token, expected) in [
        ("a's", token(A, 1), None),
        ("b's", token(B, 2), None),
        ("says it is a's, signed by b", token(A, 2), Some(InvalidSignature)),
        ("says it is b's, signed by a", token(B, 1), Some(InvalidSignature)),
        ("unknown issuer", token("https://c.example.com", 1), Some(WrongIssuer)),
        ("a's, nearly", token("https://a.example.com/", 1), Some(WrongIssuer)),
        ("no issuer", sign(&claims_with("iss", Value::Null), 1), Some(WrongIssuer)),
        ("two in an array", sign(&claims_with("iss", json!([A, B])), 1), Some(InvalidClaims)),
        (
            "two, one after the other",
            of_payload(&format!(r#"{{"iss":"{A}","iss":"{B}"}}"#)),
            Some(InvalidClaims),
        ),
        ("written with escapes", sign(&claims_with("iss", json!(A)), 1), None),
        ("other audience", sign(&with_issuer(A, "aud", json!("https://x")), 1), Some(WrongAudience)),
        ("expired", sign(&with_issuer(A, "exp", json!(NOW - 100)), 1), Some(Expired)),
        ("not JSON", of_payload("iss"), Some(InvalidClaims)),
        ("no object", of_payload(r#"["iss"]"#), Some(InvalidClaims)),
        ("no base64url", format!("{header}.A.AAAA"), Some(MalformedToken)),
        ("two parts", "a.b".to_owned(), Some(MalformedToken)),
        ("five parts", "a.b.c.d.e".to_owned(), Some(UnsupportedToken)),
        ("nothing", String::new(), Some(MalformedToken)),
        ("too large", "x".repeat(20_000), Some(TokenTooLarge)),
    ] {
        assert_eq!(rejection(&issuers, &token).await, expected, "{name}");
    }
    let escaped = format!(r#"{{"iss":"\u0068ttps://a.example.com","aud":"{AUDIENCE}","exp":{}}}"#, NOW + 9);
    let signed = format!("{header}.{}", base64url(escaped));
    let key = EncodingKey::from_secret(&secret::<32>(1)).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &key, for_oracle(Algorithm::HS256)).unwrap();
    assert_eq!(rejection(&issuers, &format!("{signed}.{signature}")).await, None);
}

fn with_issuer(issuer: &str, name: &str, value: Value) -> Value {
    let mut claims = claims_with(name, value);
    claims["iss"] = json!(issuer);
    claims
}

#[tokio::test]
async fn each_verifier_has_its_own_limits_and_cache() {
    let cached = verifier(A, 1).cache(CacheSettings::new());
    let issuers = Issuers::new([cached.clone(), verifier(B, 2).max_token_bytes(40_000)])
        .unwrap()
        .max_token_bytes(40_000);
    for _ in 0..2 {
        assert_eq!(rejection(&issuers, &token(A, 1)).await, None);
    }
    assert_eq!(cached.cache_stats().unwrap().hits(), 1);
    let long = |issuer, secret| sign(&with_issuer(issuer, "email", json!("x".repeat(20_000))), secret);
    assert_eq!(rejection(&issuers, &long(B, 2)).await, None);
    assert_eq!(rejection(&issuers, &long(A, 1)).await, Some(TokenTooLarge));

    let long = long(B, 2);
    for (limit, expected) in [(long.len(), None), (long.len() - 1, Some(TokenTooLarge))] {
        let issuers = Issuers::new([verifier(B, 2).max_token_bytes(limit)]).unwrap().max_token_bytes(40_000);
        assert_eq!(rejection(&issuers, &long).await, expected, "{limit}");
        let issuers = Issuers::new([verifier(B, 2).max_token_bytes(40_000)]).unwrap().max_token_bytes(limit);
        assert_eq!(rejection(&issuers, &long).await, expected, "{limit}");
    }
}

#[tokio::test]
async fn issuers_can_change_while_in_use() {
    let issuers = Issuers::new([verifier(A, 1)]).unwrap();
    let layer = JwtAuthLayer::new(issuers.clone());
    let status = async |token: &str| ask(&layer, bearer(token)).await.status().as_u16();
    assert_eq!((status(&token(A, 1)).await, status(&token(B, 2)).await), (200, 401));
    issuers.add(verifier(B, 2)).unwrap();
    assert_eq!((status(&token(A, 1)).await, status(&token(B, 2)).await), (200, 200));
    assert!(issuers.remove(A));
    assert!(!issuers.remove(A));
    assert_eq!((status(&token(A, 1)).await, status(&token(B, 2)).await), (401, 200));
    // Replaces the verifier of `B`.
    issuers.add(verifier(B, 3)).unwrap();
    assert_eq!((status(&token(B, 3)).await, status(&token(B, 2)).await), (200, 401));
}

#[test]
fn rejects_ambiguous_issuers() {
    let anonymous = JwtVerifier::<Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap());
    let several = verifier(A, 1).add_issuer(B);
    for (name, result, expected) in [
        (
            "no issuer",
            Issuers::new([anonymous.clone()]).map(|_| ()),
            "a verifier has no issuer: each of several verifiers needs one; set JwtVerifier::issuer",
        ),
        (
            "no issuer, added",
            Issuers::default().add(anonymous),
            "a verifier has no issuer: each of several verifiers needs one; set JwtVerifier::issuer",
        ),
        (
            "twice",
            Issuers::new([several.clone(), verifier(B, 2)]).map(|_| ()),
            "duplicate verifier for the issuer `https://b.example.com`; remove one",
        ),
        (
            "too many",
            Issuers::default().max_issuers(1).add(several),
            "at most 1 issuers can be configured; Issuers::max_issuers sets the limit",
        ),
    ] {
        assert_eq!(result.unwrap_err().to_string(), expected, "{name}");
    }
    let issuers = Issuers::new((0..1000).map(|n| verifier(&n.to_string(), 1))).unwrap();
    let error: ConfigError = issuers.add(verifier(A, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at most 1000 issuers can be configured; Issuers::max_issuers sets the limit"
    );
    assert!(issuers.remove("7"));
    issuers.add(verifier(A, 1)).unwrap();
}

#[tokio::test]
async fn clones_share_verifiers_but_not_limits() {
    let issuers = Issuers::new([verifier(A, 1)]).unwrap();
    let narrow = issuers.clone().max_issuers(1).max_token_bytes(10);
    assert!(narrow.add(verifier(B, 2)).is_err());
    issuers.clone().max_issuers(5).max_token_bytes(20).add(verifier(B, 2)).unwrap();
    assert_eq!(rejection(&issuers, &token(B, 2)).await, None);
    assert_eq!(rejection(&narrow, &token(B, 2)).await, Some(AuthErrorKind::TokenTooLarge));
    narrow.add(verifier(B, 3)).unwrap();
    assert_eq!(rejection(&issuers, &token(B, 3)).await, None, "replaced, though there are too many");
    assert!(narrow.remove(B));
    assert_eq!(rejection(&issuers, &token(B, 3)).await, Some(WrongIssuer));
}

#[test]
fn more_than_a_thousand_issuers_can_be_configured() {
    let issuers = Issuers::new((0..1001).map(|n| verifier(&n.to_string(), 1))).unwrap();
    assert!(issuers.add(verifier(A, 1)).is_err());
    issuers.max_issuers(1002).add(verifier(A, 1)).unwrap();
    let issuers = Issuers::default().max_issuers(1001);
    (0..1001).for_each(|n| issuers.add(verifier(&n.to_string(), 1)).unwrap());
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn hanging_issuer_does_not_delay_others() {
    use tower_jwt_auth::AuthErrorKind::KeysUnavailable;
    use tower_jwt_auth::Verdict;

    use crate::remote_keys::Provider;

    let (good, hung) = (Provider::of(&["a"]), Provider::new());
    hung.hang();
    let remote = |issuer: &str, provider: &Provider| {
        JwtVerifier::<Value>::new(provider.keys()).issuer(issuer).audience(AUDIENCE).clock(|| at(NOW))
    };
    let issuers = Issuers::new([remote(A, &good), remote(B, &hung)]).unwrap();
    let named = |issuer: &str| crate::remote_keys::token_from(issuer, "a");
    assert_eq!(rejection(&issuers, &named(A)).await, None);

    let waiting: Vec<_> = (0..500).map(|_| tokio::spawn(issuers.verify(&named(B)).into_future())).collect();
    tokio::task::yield_now().await;
    for _ in 0..100 {
        assert!(matches!(issuers.verify(&named(A)), Verdict::Ready(Ok(_))));
    }
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap_err().kind(), KeysUnavailable);
    }
    let requests = (good.requests(), hung.requests());
    assert_eq!(rejection(&issuers, &named("https://c.example.com")).await, Some(WrongIssuer));
    assert_eq!((good.requests(), hung.requests()), requests);
    assert_eq!(
        rejection(&issuers, &crate::remote_keys::token_from(A, "b")).await,
        Some(AuthErrorKind::UnknownKey)
    );
}
