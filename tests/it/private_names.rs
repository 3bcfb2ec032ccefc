//! Member names that serde_json treats specially, in every document that is read into claims.
//!
//! With serde_json's feature `raw_value`, a `Value` that meets the name of a `RawValue` first reads the JSON in its text
//! instead of the object. With `#[serde(flatten)]`, this hides the other claims.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Debug;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tower_jwt_auth::AuthErrorKind::{InvalidClaims, MalformedToken};
use tower_jwt_auth::verifiers::{AnyOf, Issuers};
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims, Verify};

use crate::support::*;

/// A forged value, as the text of a `RawValue`.
const ADMIN: &str = r#""{\"scope\":\"admin\",\"email\":\"eze@example.com\",\"kind\":\"User\"}""#;

#[derive(Debug, Deserialize)]
struct Flat<R> {
    #[serde(flatten)]
    _registered: RegisteredClaims,
    #[serde(flatten)]
    rest: R,
}

#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(rename = "email")]
    _email: String,
    #[serde(rename = "profile")]
    _profile: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Newtype(#[expect(dead_code, reason = "it is there to be read")] Value);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Numbers(#[expect(dead_code, reason = "it is there to be read")] BTreeMap<String, u64>),
    Any(#[expect(dead_code, reason = "it is there to be read")] Value),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    User(#[expect(dead_code, reason = "it is there to be read")] Value),
}

#[derive(Debug, Deserialize)]
#[serde(from = "Value")]
struct Converted(#[expect(dead_code, reason = "it is there to be read")] Value);

impl From<Value> for Converted {
    fn from(claims: Value) -> Self {
        Self(claims)
    }
}

/// Returns good claims with these members in front, or at the end.
fn payload(members: &str, is_first: bool) -> String {
    let mut claims = good_claims();
    claims["kind"] = json!("User");
    claims["scope"] = json!("orders:read");
    let claims = claims.to_string();
    let claims = claims.trim_matches(['{', '}']);
    if is_first { format!("{{{members},{claims}}}") } else { format!("{{{claims},{members}}}") }
}

fn verifier_of<C>() -> JwtVerifier<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

/// Asserts the verdict of a verifier for the claims type `C`, alone and behind the others that choose it.
async fn assert_verdict<C>(payload: &str, is_good: bool)
where
    C: DeserializeOwned + Debug + Send + Sync + 'static,
{
    let token = token_of(r#"{"alg":"HS256"}"#, payload);
    let name = std::any::type_name::<C>();
    let verifier = verifier_of::<C>();
    let issuers = Issuers::new([verifier_of::<C>()]).unwrap();
    let any = AnyOf::new().jwt(verifier_of::<C>());
    for verdict in [
        verifier.verify(&token).await,
        issuers.verify(&token).await,
        Verify::verify(&any, (&*token).into()).await,
    ] {
        match verdict {
            Ok(_) => assert!(is_good, "{name} accepts {payload}"),
            Err(error) => {
                assert!(!is_good, "{name} rejects {payload}: {error} ({:?})", error.source());
                assert_eq!(error.kind(), InvalidClaims, "{name}: {payload}");
            }
        }
    }
}

async fn assert_verdict_of_every_type(payload: &str, is_good: bool) {
    assert_verdict::<Flat<Value>>(payload, is_good).await;
    assert_verdict::<Flat<Map<String, Value>>>(payload, is_good).await;
    assert_verdict::<Flat<HashMap<String, Value>>>(payload, is_good).await;
    assert_verdict::<Flat<Untagged>>(payload, is_good).await;
    assert_verdict::<Flat<Tagged>>(payload, is_good).await;
    assert_verdict::<Flat<Option<Fields>>>(payload, is_good).await;
    assert_verdict::<Value>(payload, is_good).await;
    assert_verdict::<Option<Box<Value>>>(payload, is_good).await;
    assert_verdict::<Map<String, Value>>(payload, is_good).await;
    assert_verdict::<HashMap<String, Value>>(payload, is_good).await;
    assert_verdict::<BTreeMap<String, Box<RawValue>>>(payload, is_good).await;
    assert_verdict::<Box<RawValue>>(payload, is_good).await;
    assert_verdict::<RegisteredClaims>(payload, is_good).await;
    assert_verdict::<Fields>(payload, is_good).await;
    assert_verdict::<Newtype>(payload, is_good).await;
    assert_verdict::<Untagged>(payload, is_good).await;
    assert_verdict::<Tagged>(payload, is_good).await;
    assert_verdict::<Converted>(payload, is_good).await;
    assert_verdict::<IgnoredAny>(payload, is_good).await;
}

/// Returns a name in JSON with its characters from `from` to `to` as escapes.
fn escaped(name: &str, from: usize, to: usize) -> String {
    let spell = |(at, character): (usize, char)| match (from..to).contains(&at) {
        // Both cases of hexadecimal digits.
        true if at % 2 == 0 => format!("\\u{:04x}", u32::from(character)),
        true => format!("\\u{:04X}", u32::from(character)),
        false => character.to_string(),
    };
    name.chars().enumerate().map(spell).collect()
}

/// The spellings of the names that serde_json knows today, and of one that it may know tomorrow.
pub(crate) fn spellings() -> Vec<String> {
    let names = ["RawValue", "Number", "Other", ""].map(|name| format!("$serde_json::private::{name}"));
    let spellings = names.iter().flat_map(|name| {
        [(0, 0), (0, 1), (1, 2), (5, 9), (21, 22), (22, 26), (0, 22), (0, 40)]
            .map(|(from, to)| escaped(name, from, to))
    });
    spellings.chain([r"$serde_json::private::\ud83d\ude00".to_owned()]).collect()
}

#[tokio::test]
async fn rejects_private_names_for_every_type() {
    for name in spellings() {
        assert_verdict_of_every_type(&payload(&format!(r#""{name}":{ADMIN}"#), true), false).await;
    }
    let name = "$serde_json::private::RawValue";
    for member in [
        format!(r#""{name}":{ADMIN}"#),
        format!("\"{name}\" \n\t\r:{ADMIN}"),
        format!(r#""profile":{{"{name}":{ADMIN}}}"#),
        format!(r#""profile":{{"a":[[],{{"b":"\\","{name}":{ADMIN}}}]}}"#),
        format!(r#""profile":{}{{"{name}":{ADMIN}}}{}"#, "[".repeat(90), "]".repeat(90)),
    ] {
        for is_first in [true, false] {
            assert_verdict_of_every_type(&payload(&member, is_first), false).await;
        }
    }
}

#[tokio::test]
async fn accepts_texts_and_similar_names() {
    for member in [
        r#""x":"$serde_json::private::RawValue""#,
        r#""x":["\u0024serde_json::private::RawValue","$"]"#,
        r#""x":"{\"$serde_json::private::RawValue\":\"1\"}""#,
        r#""$serde_json::privat":"1""#,
        r#""$Serde_json::private::RawValue":"1""#,
        r#"" $serde_json::private::RawValue":"1""#,
        r#""\\u0024serde_json::private::RawValue":"1""#,
        r#""x$serde_json::private::RawValue":"1""#,
        r#""$schema":"\/""#,
    ] {
        for is_first in [true, false] {
            assert_verdict_of_every_type(&payload(member, is_first), true).await;
        }
    }
}

/// Headers and keys are never read as a `Value`: such a member is not the one that it replaces.
#[tokio::test]
async fn private_names_mean_nothing_in_headers_and_keys() {
    let raw = |value: &Value| json!({"$serde_json::private::RawValue": value.to_string()});
    let header = json!({"alg": "HS256", "typ": "JWT"});
    for name in ["alg", "typ"] {
        let mut forged = header.clone();
        forged[name] = raw(&header[name]);
        let token = token_of(&forged.to_string(), &good_claims().to_string());
        assert_eq!(rejection(&verifier(), &token).await, Some(MalformedToken), "{name}");
    }
    let token = token_of(&raw(&header).to_string(), &good_claims().to_string());
    assert_eq!(rejection(&verifier(), &token).await, Some(MalformedToken));

    let jwk = crate::keys::jwk_of(Algorithm::ES256);
    for name in ["kty", "crv", "x", "y"] {
        let mut forged = jwk.clone();
        forged[name] = raw(&jwk[name]);
        assert!(KeySet::jwks(crate::keys::set_of(&[forged])).is_err(), "{name}");
    }
    for set in
        [json!({"keys": [raw(&jwk)]}), json!({"keys": raw(&json!([jwk]))}), raw(&json!({"keys": [jwk]}))]
    {
        assert!(KeySet::jwks(set.to_string()).is_err(), "{set}");
    }
}

/// The case that the rejections prevent: a rule would see another scope.
#[test]
fn serde_json_hides_claims_behind_a_private_name() {
    let payload = payload(&format!(r#""$serde_json::private::RawValue":{ADMIN}"#), true);
    let claims: Flat<Value> = serde_json::from_str(&payload).unwrap();
    assert_eq!(claims.rest["scope"], "admin");
}
