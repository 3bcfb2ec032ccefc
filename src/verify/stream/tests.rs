//! Whatever is seen on the way is what the plain pass sees, for every sort of type.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::registered::{Audience, RegisteredClaims};

/// Wants nothing that is judged.
#[derive(Debug, Deserialize)]
struct Email {
    #[expect(dead_code, reason = "shown by Debug")]
    email: Option<String>,
}

/// Wants the judged claims, borrowed and in other types than ours.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Borrowed<'a> {
    #[serde(borrow)]
    iss: Option<Cow<'a, str>>,
    aud: Option<Audience>,
    exp: u32,
    nbf: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Flattened {
    email: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Raw {
    iss: Option<Box<RawValue>>,
    exp: Option<Box<RawValue>>,
    aud: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct NewType(RegisteredClaims);

#[derive(Debug, Deserialize)]
struct Seconds(#[expect(dead_code, reason = "shown by Debug")] i64);

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Odd {
    exp: Option<Seconds>,
    nbf: Option<i128>,
    aud: Option<(String, String)>,
    iss: Issuer,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Hash)]
enum Issuer {
    #[serde(rename = "me")]
    Me,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "shown by Debug")]
enum Untagged {
    User { email: String },
    Other(BTreeMap<String, Value>),
}

/// Whether the claims are those that serde_json reads, and the registered claims those of the plain pass.
fn assert_agrees<'de, C: Deserialize<'de> + Debug>(payload: &'de str) -> Result<bool, TestCaseError> {
    let audiences = ["a".to_owned(), "b".to_owned()];
    let expected = serde_json::from_str::<C>(payload);
    match watch::<C>(payload, &audiences) {
        Ok((claims, registered)) => {
            prop_assert!(expected.is_ok(), "{}", payload);
            prop_assert_eq!(format!("{:?}", claims), format!("{:?}", expected.unwrap()));
            if let Some(registered) = &registered {
                let plain = plain(payload, &audiences);
                prop_assert_eq!(Some(registered), plain.as_ref().ok(), "{}", payload);
            }
            Ok(registered.is_some())
        }
        Err(_) => {
            // The type is read before the judged claims that it does not want, so these may fail it, too.
            prop_assert!(expected.is_err() || plain(payload, &audiences).is_err(), "{}", payload);
            Ok(false)
        }
    }
}

fn assert_all_agree(payload: &str) -> Result<(), TestCaseError> {
    assert_agrees::<Value>(payload)?;
    assert_agrees::<RegisteredClaims>(payload)?;
    assert_agrees::<Option<RegisteredClaims>>(payload)?;
    assert_agrees::<Email>(payload)?;
    assert_agrees::<Borrowed<'_>>(payload)?;
    assert_agrees::<Flattened>(payload)?;
    assert_agrees::<Raw>(payload)?;
    assert_agrees::<NewType>(payload)?;
    assert_agrees::<Odd>(payload)?;
    assert_agrees::<Untagged>(payload)?;
    assert_agrees::<BTreeMap<&str, &RawValue>>(payload)?;
    assert_agrees::<BTreeMap<Option<String>, Value>>(payload)?;
    assert_agrees::<IgnoredAny>(payload)?;
    assert_agrees::<Box<RawValue>>(payload)?;
    assert_agrees::<Vec<Value>>(payload)?;
    assert_agrees::<u64>(payload)?;
    assert_agrees::<Issuer>(payload)?;
    Ok(())
}

fn members() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "cnf",
        "email",
        "\\u0069ss",
        "e\\u0078p",
        "is",
        "",
    ]);
    let value = proptest::sample::select(vec![
        "\"a\"",
        "\"b\"",
        "\"c\"",
        "\"\\u0061\"",
        "\"me\"",
        "\"\"",
        "1800000000",
        "1800000000",
        "0",
        "-1",
        "1.5",
        "1e300",
        "-1e300",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "null",
        "true",
        "[]",
        "[\"a\"]",
        "[\"c\",\"b\"]",
        "[\"c\",1]",
        "[[\"a\"]]",
        "[null]",
        "{}",
        "{\"a\":[1]}",
        "1e999",
        "x",
    ]);
    proptest::collection::vec((name, value), 0..7).prop_map(|members| {
        let members: Vec<_> =
            members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        members.join(",")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_plain_pass(members in members(), end in proptest::sample::select(vec!["}", "} ", "}}", ",}", ""])) {
        assert_all_agree(&format!("{{{members}{end}"))?;
    }
}

#[test]
fn ordinary_claims_are_seen() {
    let payload =
        r#"{"iss":"i","sub":"s","aud":["x","b"],"exp":1800000000,"nbf":1.5,"iat":1,"jti":"j","email":"e"}"#;
    assert!(assert_agrees::<Value>(payload).unwrap());
    assert!(assert_agrees::<RegisteredClaims>(payload).unwrap());
    assert!(assert_agrees::<Option<RegisteredClaims>>(payload).unwrap());
    assert!(assert_agrees::<Email>(payload).unwrap());
    assert!(assert_agrees::<Borrowed<'_>>(payload).unwrap());
    assert!(assert_agrees::<Flattened>(payload).unwrap());
    assert!(assert_agrees::<Untagged>(payload).unwrap());
    assert!(!assert_agrees::<Raw>(payload).unwrap(), "left to the plain pass");
}
