//! API keys.

mod file;
mod form;
mod lookup;

use std::error::Error;

use http::{HeaderName, Request, Response};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{self, *};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
use tower_jwt_auth::policy::scope;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::verifiers::AnyOf;
use tower_jwt_auth::{AuthError, JwtAuthLayer, TokenSource, Verify};

use crate::support::*;

pub(crate) const KEY: &str = "acme_4vJ8kQ2mX7Zp_Hk3TzN9wRb5LxYc1VgQ8dMfP6sJt2E0qOmv9";
pub(crate) const KEY_HASH: &str = "KW_T9YSaYpbNz_oWH2S5Gu0ImzK4_J4Gdr6fZbTZKdc";
const ID: &str = "4vJ8kQ2mX7Zp";

fn record() -> ApiKeyRecord<Value> {
    ApiKeyRecord::new(&ApiKey::parse(KEY).unwrap(), json!({"email": "eze@example.com", "scope": "read"}))
}

fn keys() -> ApiKeys<Value> {
    ApiKeys::new("acme", [record().name("ci")]).unwrap().clock(|| at(NOW))
}

/// Returns a key with this ID whose secret is not that of a record.
fn forged(id: &str) -> String {
    with_checksum(&format!("acme_{id}_{}", "x".repeat(30)))
}

/// Appends the CRC-32 of a text in base 62, computed bit by bit.
fn with_checksum(body: &str) -> String {
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    let digits: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let digit = |power| digits[(u64::from(!crc) / 62_u64.pow(power) % 62) as usize];
    let checksum: String = (0..6).rev().map(digit).collect();
    format!("{body}{checksum}")
}

async fn error_of<V: Verify<Claims = Value>>(keys: &V, key: &str) -> AuthError {
    keys.verify(key.into()).await.map(|claims| panic!("accepted: {:?}", *claims)).unwrap_err()
}

async fn kind_of<V: Verify<Claims = Value>>(keys: &V, key: &str) -> Option<AuthErrorKind> {
    keys.verify(key.into()).await.err().map(|error| error.kind())
}

fn api_key_header() -> HeaderName {
    HeaderName::from_static("x-api-key")
}

fn in_own_header(key: &str) -> Request<String> {
    Request::get("/").header(api_key_header(), key).body(String::new()).unwrap()
}

const INVALID: &str = r#"Bearer realm="api", error="invalid_token", error_description="#;

#[tokio::test]
async fn layer_answers_keys_in_both_headers() {
    let layer = JwtAuthLayer::new(keys()).add_token_source(TokenSource::header(api_key_header()));
    let unknown = (InvalidToken, "\"the token is not valid\"");
    let malformed = (MalformedApiKey, "\"the API key is mistyped or incomplete\"");
    for (name, key, expected) in [
        ("good", KEY.to_owned(), None),
        ("mistyped", KEY.replace("0qOmv9", "0qOmv8"), Some(malformed)),
        ("other prefix", with_checksum(&KEY.replace("acme", "sk")[..46]), Some(malformed)),
        ("JWT", good_token(), Some(malformed)),
        ("unknown", forged("000000000000"), Some(unknown)),
        ("wrong secret", forged(ID), Some(unknown)),
    ] {
        for request in [bearer(&key), in_own_header(&key)] {
            let response = ask(&layer, request).await;
            match expected {
                None => {
                    assert_eq!(
                        (response.status().as_u16(), &**response.body()),
                        (200, "Hello eze@example.com")
                    );
                }
                Some((kind, text)) => {
                    let challenge = format!("{INVALID}{text}");
                    assert_rejected(name, &response, 401, kind, &[("www-authenticate", &challenge)]);
                }
            }
        }
    }
}

#[tokio::test]
async fn unknown_key_looks_like_wrong_secret() {
    let responses = [forged("000000000000"), forged(ID)].map(async |key| {
        let response: Response<String> = ask(&JwtAuthLayer::new(keys()), bearer(&key)).await;
        (response.status(), response.headers().clone(), response.body().clone())
    });
    let [unknown, wrong] = responses;
    assert_eq!(unknown.await, wrong.await);
    // Only the operator can tell them apart.
    for (key, cause) in [
        (forged("000000000000"), "no API key has this ID"),
        (forged(ID), "the secret of the API key is wrong"),
    ] {
        assert_eq!(error_of(&keys(), &key).await.source().unwrap().to_string(), cause);
    }
}

#[tokio::test]
async fn one_policy_serves_keys_and_tokens() {
    let keys = ApiKeys::new("acme", [record()]).unwrap();
    let layer = JwtAuthLayer::new(AnyOf::new().prefix("acme_", keys).unwrap().jwt(verifier()));
    let (read, write) = (layer.clone().require(scope("read")), layer.require(scope("write")));
    let token = token(&claims_with("scope", json!("read")));
    for credential in [KEY, &token] {
        assert_eq!(ask(&read, bearer(credential)).await.body(), "Hello eze@example.com");
        let response = ask(&write, bearer(credential)).await;
        let challenge = r#"Bearer realm="api", error="insufficient_scope", error_description="the token does not permit this request", scope="write""#;
        assert_rejected(credential, &response, 403, InsufficientScope, &[("www-authenticate", challenge)]);
    }
    // A key whose prefix is mistyped is not a JWT either.
    assert_eq!(ask(&read, bearer(&KEY.replace("acme", "acne"))).await.status(), 401);
}

#[tokio::test]
async fn token_info_names_prefix_id_and_expiry() {
    let keys = ApiKeys::new("acme", [record().expires_at(at(NOW + 1))]).unwrap().clock(|| at(NOW));
    let claims = keys.verify(KEY.into()).await.unwrap();
    let token = claims.token();
    assert_eq!([token.issuer(), token.kid()], [Some("acme"), Some(ID)]);
    assert_eq!(token.expires_at(), Some(at(NOW + 1)));
}

#[tokio::test]
async fn expired_keys_are_rejected_without_leeway() {
    let expires = |seconds| record().expires_at(at(seconds));
    for (name, record, now, expected) in [
        ("no expiry", record(), NOW, None),
        ("no expiry, no clock", record(), 0, None),
        ("not yet", expires(NOW + 1), NOW, None),
        ("now", expires(NOW), NOW, Some(Expired)),
        ("long ago", expires(1), NOW, Some(Expired)),
        ("far away", expires(u64::from(u32::MAX) * 2), NOW, None),
    ] {
        let keys = ApiKeys::new("acme", [record]).unwrap().clock(move || at(now));
        assert_eq!(kind_of(&keys, KEY).await, expected, "{name}");
        // Strangers do not learn that it has expired.
        assert_eq!(kind_of(&keys, &forged(ID)).await, Some(InvalidToken), "{name}");
    }
    let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_secs(1);
    let keys = ApiKeys::new("acme", [expires(NOW)]).unwrap().clock(move || before_1970);
    assert_eq!(kind_of(&keys, KEY).await, Some(Expired));
}

#[tokio::test]
async fn revoked_keys_are_rejected() {
    let revocations = Revocations::new();
    let other = ApiKey::generate("acme").unwrap();
    let records = [record(), ApiKeyRecord::new(&other, json!({}))];
    let keys = ApiKeys::new("acme", records).unwrap().revocations(revocations.clone());
    drop(revocations.revoke_token("acm", ID, None));
    drop(revocations.revoke_token("acme", "4vJ8kQ2mX7Zq", None));
    assert_eq!(kind_of(&keys, KEY).await, None);
    drop(revocations.revoke_token("acme", ID, None));
    assert_eq!(kind_of(&keys, KEY).await, Some(Revoked));
    assert_eq!(kind_of(&keys.clone(), KEY).await, Some(Revoked));
    assert_eq!(kind_of(&keys, &forged(ID)).await, Some(InvalidToken));
    assert_eq!(kind_of(&keys, other.expose()).await, None);
}

#[cfg(feature = "shared-revocations")]
#[tokio::test(start_paused = true)]
async fn keys_wait_for_an_outdated_revocation_list() {
    use tower_jwt_auth::revocation::{
        Revocation, RevocationPage, RevocationStore, SharedRevocations, StoreFuture,
    };

    struct Away;

    impl RevocationStore for Away {
        fn write(&self, _: Vec<Revocation>) -> StoreFuture<()> {
            Box::pin(async { Err("away".into()) })
        }

        fn read(&self, _: Option<String>) -> StoreFuture<RevocationPage> {
            Box::pin(async { Err("away".into()) })
        }
    }

    let keys = keys().revocations(SharedRevocations::new(Away).start().unwrap());
    let layer = JwtAuthLayer::new(keys);
    let response = ask(&layer, bearer(KEY)).await;
    assert_rejected("good", &response, 503, RevocationsUnavailable, &[("retry-after", "1")]);
    let challenge = format!("{INVALID}\"the token is not valid\"");
    let response = ask(&layer, bearer(&forged(ID))).await;
    assert_rejected("forged", &response, 401, InvalidToken, &[("www-authenticate", &challenge)]);
}

#[tokio::test]
async fn fixed_keys_need_no_allocation() {
    let keys = keys();
    let measured = allocation_counter::measure(|| {
        assert!(matches!(keys.verify(KEY.into()), tower_jwt_auth::Verdict::Ready(Ok(_))));
    });
    assert_eq!(measured.count_total, 0);
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn logs_name_only_keys_that_exist() {
    const REJECTED: &str = " INFO tower_jwt_auth: request rejected: ";
    let revocations = Revocations::new();
    let layer = JwtAuthLayer::new(keys().revocations(revocations.clone())).require(scope("write"));
    let about = format!(r#"issuer="acme" kid="{ID}" key_name="ci""#);
    let expect =
        |text: &str, kind: &str, rest: &str| format!("{REJECTED}{text} kind=\"{kind}\" status={rest}\n");
    let lack =
        expect("the token does not permit this request", "insufficient_scope", &format!("403 {about}"));
    let invalid = |rest: &str| expect("the token is not valid", "invalid_token", &format!("401 {rest}"));
    for (name, key, expected) in [
        ("no scope", KEY.to_owned(), lack),
        (
            "wrong secret",
            forged(ID),
            invalid(&format!(r#"{about} cause="the secret of the API key is wrong""#)),
        ),
        ("unknown", forged("hunter2hunte"), invalid(r#"issuer="acme" cause="no API key has this ID""#)),
        (
            "mistyped",
            KEY.replace("Hk3T", "Hk3t"),
            expect(
                "the API key is mistyped or incomplete",
                "malformed_api_key",
                "401 cause=\"the checksum does not match the other characters\"",
            ),
        ),
    ] {
        let log = crate::events::Log::begin();
        ask(&layer, bearer(&key)).await;
        assert_eq!(log.take(), expected, "{name}");
    }
    drop(revocations.revoke_token("acme", ID, None));
    let log = crate::events::Log::begin();
    ask(&layer, bearer(KEY)).await;
    assert_eq!(log.take(), expect("the token has been revoked", "revoked", &format!("401 {about}")));
}

#[tokio::test]
async fn no_output_contains_a_secret_of_a_key() {
    #[cfg(feature = "tracing")]
    let log = crate::events::Log::begin();
    let keys = keys();
    let layer = JwtAuthLayer::new(keys.clone());
    let mut seen = format!("{keys:?}{layer:?}{:?}{:?}", record(), ApiKey::parse(KEY).unwrap());
    let mut presented: Vec<_> = form::malformed().into_iter().map(|(_, key, _)| key).collect();
    presented.extend([KEY.to_owned(), forged(ID), forged("hunter2hunte")]);
    presented.retain(|key| key.len() < 1000 && http::HeaderValue::try_from(key).is_ok());
    for key in &presented {
        let response = ask(&layer, bearer(key)).await;
        let error = response.extensions().get::<AuthError>();
        let source = error.and_then(Error::source).map(ToString::to_string);
        seen += &format!("{error:?}{source:?}{response:?}");
        if let Err(error) = ApiKey::parse(key) {
            seen += &format!("{error:?}{error}");
        }
    }
    #[cfg(feature = "tracing")]
    {
        let logged = log.take();
        assert!(logged.lines().count() > 15, "{logged}");
        seen += &logged;
    }
    for secret in ["Hk3T", "Hk3t", "xxxxxxxx", "hunter2", "0qOmv", "J2E", KEY_HASH] {
        assert!(!seen.contains(secret), "{secret} is in {seen}");
    }
}
