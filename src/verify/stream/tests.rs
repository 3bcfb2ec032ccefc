//! Whatever is seen on the way is what the plain pass sees, for every sort of type.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::IgnoredAny;
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

/// Swallows whatever goes wrong inside of it.
#[derive(Debug)]
struct Try<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Try<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).ok()))
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Lenient {
    #[serde(default = "nothing")]
    iss: Try<String>,
    #[serde(default = "nothing")]
    aud: Try<Vec<String>>,
    #[serde(default = "nothing")]
    nbf: Try<String>,
}

fn nothing<T>() -> Try<T> {
    Try(None)
}

/// Keeps the claims that are strings, and goes on after those that are not.
#[derive(Debug)]
struct Strings(#[expect(dead_code, reason = "shown by Debug")] Vec<(String, String)>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringsVisitor;

        impl<'de> Visitor<'de> for StringsVisitor {
            type Value = Strings;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Strings, A::Error> {
                let mut strings = Vec::new();
                while let Some(name) = claims.next_key()? {
                    if let Ok(value) = claims.next_value() {
                        strings.push((name, value));
                    }
                }
                Ok(Strings(strings))
            }
        }

        deserializer.deserialize_map(StringsVisitor)
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Rounded {
    exp: Option<f32>,
    nbf: Option<f32>,
}

/// Names of claims, as types of the application's own.
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct AnyName(String);

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum KnownName {
    Aud,
    Exp,
    Iss,
    Sub,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct HowMany {
    aud: Option<Vec<IgnoredAny>>,
}

/// Whether the claims are those that serde_json reads, and the registered claims those of the plain pass: with and
/// without those that only tell which token it is.
fn assert_agrees<'de, C: Deserialize<'de> + Debug>(payload: &'de str) -> Result<bool, TestCaseError> {
    let certain = assert_agrees_on::<C>(payload, true)?;
    prop_assert!(assert_agrees_on::<C>(payload, false)? || !certain, "{}", payload);
    Ok(certain)
}

fn assert_agrees_on<'de, C>(payload: &'de str, identity: bool) -> Result<bool, TestCaseError>
where
    C: Deserialize<'de> + Debug,
{
    let wanted = Wanted { audiences: vec!["a".to_owned(), "b".to_owned()], identity };
    let expected = serde_json::from_str::<C>(payload);
    let plain = plain(payload, &wanted);
    let mut registered = Registered::default();
    let mut seen = Seen::new(&wanted, &mut registered);
    match observe::<C>(payload, &mut seen) {
        Ok(claims) => {
            let certain = seen.is_certain();
            if certain {
                prop_assert_eq!(Some(&registered), plain.as_ref().ok(), "{}", payload);
            }
            // Where the plain pass refuses, nobody sees the claims.
            if plain.is_ok() {
                prop_assert_eq!(
                    format!("{:?}", Ok::<_, ()>(claims)),
                    format!("{:?}", expected.map_err(|_| ()))
                );
            }
            Ok(certain)
        }
        Err(_) => {
            // The judged claims that the type does not want are read all the same, so they may fail it, too.
            prop_assert!(expected.is_err() || plain.is_err(), "{}", payload);
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
    assert_agrees::<BTreeMap<AnyName, Value>>(payload)?;
    assert_agrees::<BTreeMap<KnownName, Value>>(payload)?;
    assert_agrees::<BTreeMap<Option<KnownName>, Value>>(payload)?;
    assert_agrees::<IgnoredAny>(payload)?;
    assert_agrees::<Box<RawValue>>(payload)?;
    assert_agrees::<Vec<Value>>(payload)?;
    assert_agrees::<u64>(payload)?;
    assert_agrees::<Issuer>(payload)?;
    assert_agrees::<Lenient>(payload)?;
    assert_agrees::<Try<Lenient>>(payload)?;
    assert_agrees::<Try<BTreeMap<String, u64>>>(payload)?;
    assert_agrees::<Try<BTreeMap<String, String>>>(payload)?;
    assert_agrees::<Try<RegisteredClaims>>(payload)?;
    assert_agrees::<Strings>(payload)?;
    assert_agrees::<Rounded>(payload)?;
    assert_agrees::<HowMany>(payload)?;
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
        "sid",
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
    let payload = r#"{"iss":"i","sub":"s","aud":["x","b"],"exp":1800000000,"nbf":1.5,"iat":1,"jti":"j","sid":"s","email":"e"}"#;
    assert!(assert_agrees::<Value>(payload).unwrap());
    assert!(assert_agrees::<RegisteredClaims>(payload).unwrap());
    assert!(assert_agrees::<Option<RegisteredClaims>>(payload).unwrap());
    assert!(assert_agrees::<Email>(payload).unwrap());
    assert!(assert_agrees::<Borrowed<'_>>(payload).unwrap());
    assert!(assert_agrees::<NewType>(payload).unwrap());
    assert!(assert_agrees::<Flattened>(payload).unwrap());
    assert!(assert_agrees::<Untagged>(payload).unwrap());
    assert!(!assert_agrees::<Raw>(payload).unwrap(), "left to the plain pass");
}
