//! Claims that an application may set, and claims that the issuer sets.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tower_jwt_auth::issue::{IssueErrorKind, TokenIssuer};
use tower_jwt_auth::{Algorithm, RegisteredClaims};

use super::{issuer_of, json_parts, parts, signing_key};
use crate::support::{AUDIENCE, ISSUER, NOW, at};

fn issuer() -> TokenIssuer {
    issuer_of(signing_key(Algorithm::HS256))
}

#[track_caller]
fn assert_rejected<C: Serialize>(claims: &C, kind: IssueErrorKind, expected: &str) {
    match issuer().issue(claims) {
        Ok(token) => panic!("{}", parts(&token).1),
        Err(error) => assert_eq!((error.kind(), &*error.to_string()), (kind, expected)),
    }
}

#[test]
fn rejects_claims_that_are_not_an_object() {
    for claims in [json!(null), json!("42"), json!(42), json!([["sub", "42"]]), json!(true)] {
        assert_rejected(&claims, IssueErrorKind::NotAnObject, "the claims are not a JSON object");
    }
    assert_rejected(&(), IssueErrorKind::NotAnObject, "the claims are not a JSON object");
    assert_rejected(&Some("sub"), IssueErrorKind::NotAnObject, "the claims are not a JSON object");
}

#[test]
fn rejects_claims_that_the_issuer_sets() {
    for name in ["iss", "aud", "iat", "exp", "jti"] {
        let expected = format!("reserved claim `{name}`: the issuer sets it; remove it from your claims");
        for value in [json!("x"), json!(null), json!(1)] {
            assert_rejected(&json!({"sub": "42", name: value}), IssueErrorKind::ReservedClaim, &expected);
        }
    }
    let registered = RegisteredClaims { iss: Some(ISSUER.to_owned()), ..RegisteredClaims::default() };
    assert_rejected(
        &registered,
        IssueErrorKind::ReservedClaim,
        "reserved claim `iss`: the issuer sets it; remove it from your claims",
    );
    // In any spelling.
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    assert_rejected(
        &raw(r#"{"\u0065xp": 1}"#),
        IssueErrorKind::ReservedClaim,
        "reserved claim `exp`: the issuer sets it; remove it from your claims",
    );
    assert_rejected(&raw(r#"{"a": 1, "\u0061": 2}"#), IssueErrorKind::DuplicateClaim, "duplicate claim `a`");
}

#[test]
fn rejects_duplicate_claims() {
    #[derive(Serialize)]
    struct Twice {
        role: &'static str,
        #[serde(flatten)]
        more: Value,
    }
    assert_rejected(
        &Twice { role: "a", more: json!({"role": "b"}) },
        IssueErrorKind::DuplicateClaim,
        "duplicate claim `role`",
    );
}

#[test]
fn rejects_claims_that_cannot_be_json() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("the database is down"))
        }
    }
    assert_rejected(&Broken, IssueErrorKind::Serialization, "the claims cannot be serialized as JSON");
    let error = issuer().issue(&Broken).unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the database is down");
}

/// A verifier would reject the token.
#[test]
fn rejects_private_names_of_serde_json() {
    let expected =
        "the claims have a member `$serde_json::private::..`, which serde_json reads as another value";
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    for claims in [
        r#"{"profile":{"$serde_json::private::RawValue":"1"}}"#,
        r#"{"a":[{"\u0024serde_json::private::Number":"1"}]}"#,
        r#"{"$serde_json::private::RawValue":"1"}"#,
    ] {
        assert_rejected(&raw(claims), IssueErrorKind::ReservedName, expected);
    }
    let claims = json!({"text": "$serde_json::private::RawValue"});
    assert_eq!(json_parts(&issuer().issue(&claims).unwrap()).1["text"], claims["text"]);
}

#[test]
fn writes_other_claims_unchanged() {
    let claims = json!({
        "sub": "42", "nbf": NOW, "exp.": 1, "EXP": 2, "nested": {"exp": 3, "iss": ["x"]}, "empty": {}, "text": "}{\"\\",
    });
    let (_, payload) = json_parts(&issuer().issue(&claims).unwrap());
    for (name, value) in claims.as_object().unwrap() {
        assert_eq!(payload[name], *value, "{name}");
    }
    assert_eq!(payload.as_object().unwrap().len(), 7 + 5);
    // A custom type, and one without claims.
    let registered = RegisteredClaims { sub: Some("42".to_owned()), ..RegisteredClaims::default() };
    assert_eq!(json_parts(&issuer().issue(&registered).unwrap()).1["sub"], "42");
    let (_, payload) = json_parts(&issuer().issue(&RegisteredClaims::default()).unwrap());
    assert_eq!(payload.as_object().unwrap().len(), 5);
    // In a box of an unsized type.
    let unsized_claims: &serde_json::value::RawValue =
        serde_json::from_str(" { \"sub\" : \"42\" } ").unwrap();
    assert_eq!(json_parts(&issuer().issue(unsized_claims).unwrap()).1["sub"], "42");
}

#[test]
fn token_has_the_configured_lifetime() {
    let exp =
        |issuer: &TokenIssuer| json_parts(&issuer.issue(&json!({})).unwrap()).1["exp"].as_u64().unwrap();
    let lasting = |lifetime| exp(&issuer().lifetime(lifetime));
    assert_eq!(exp(&issuer()), NOW + 900);
    assert_eq!(lasting(Duration::from_secs(60)), NOW + 60);
    assert_eq!(lasting(Duration::from_millis(1999)), NOW + 1);
    assert_eq!(lasting(Duration::ZERO), NOW);
    // Up to the end of the year 9999.
    assert_eq!(lasting(Duration::MAX), 253_402_300_799);
    let token = issuer().issue_with_lifetime(Duration::from_secs(5), &json!({})).unwrap();
    assert_eq!(json_parts(&token).1["exp"], NOW + 5);
    assert_eq!(token.expires_at(), at(NOW + 5));
    // Fractions of a second are rounded down, and a time before 1970 counts as 1970.
    let late = issuer().clock(|| at(NOW) + Duration::from_millis(999));
    let (_, payload) = json_parts(&late.issue(&json!({})).unwrap());
    assert_eq!((&payload["iat"], &payload["exp"]), (&json!(NOW), &json!(NOW + 900)));
    let early = issuer().clock(|| std::time::UNIX_EPOCH - Duration::from_secs(1));
    assert_eq!(json_parts(&early.issue(&json!({})).unwrap()).1["iat"], 0);
}

#[test]
fn clones_have_independent_settings() {
    let issuer = issuer();
    let other = issuer.clone().audience("other").lifetime(Duration::from_secs(1));
    let claims = |issuer: &TokenIssuer| json_parts(&issuer.issue(&json!({})).unwrap()).1;
    assert_eq!((&claims(&issuer)["aud"], &claims(&issuer)["exp"]), (&json!(AUDIENCE), &json!(NOW + 900)));
    assert_eq!((&claims(&other)["aud"], &claims(&other)["exp"]), (&json!("other"), &json!(NOW + 1)));
}
