//! Compares one pass with two, for every kind of type. The fuzz target `stream` also compiles this file.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::registered::{Audience, RegisteredClaims};
use super::stream::{Pass, Wanted, plain};

/// Asserts that one pass over the payload gives the same result as two.
pub(super) fn check(payload: &str) {
    check_as::<Value>(payload);
    check_as::<RegisteredClaims>(payload);
    check_as::<Option<RegisteredClaims>>(payload);
    check_as::<Email>(payload);
    check_as::<Judged>(payload);
    check_as::<Flattened>(payload);
    check_as::<Raw>(payload);
    check_as::<NewType>(payload);
    check_as::<Odd>(payload);
    check_as::<Untagged>(payload);
    check_as::<BTreeMap<String, Box<RawValue>>>(payload);
    check_as::<BTreeMap<Option<String>, Value>>(payload);
    check_as::<BTreeMap<AnyName, Value>>(payload);
    check_as::<BTreeMap<KnownName, Value>>(payload);
    check_as::<BTreeMap<Option<KnownName>, Value>>(payload);
    check_as::<BTreeMap<u64, Value>>(payload);
    check_as::<IgnoredAny>(payload);
    check_as::<Box<RawValue>>(payload);
    check_as::<Vec<Value>>(payload);
    check_as::<u64>(payload);
    check_as::<Issuer>(payload);
    check_as::<Lenient>(payload);
    check_as::<Try<Lenient>>(payload);
    check_as::<Try<BTreeMap<String, u64>>>(payload);
    check_as::<Try<BTreeMap<String, String>>>(payload);
    check_as::<Try<RegisteredClaims>>(payload);
    check_as::<Strings>(payload);
    check_as::<Rounded>(payload);
    check_as::<Elements>(payload);
}

/// Compares both readers, with and without `jti`, `sid` and `sub`.
fn check_as<C: DeserializeOwned + Debug + 'static>(payload: &str) {
    for identity in [true, false] {
        let wanted = Wanted { audiences: vec!["a".to_owned(), "b".to_owned()], identity };
        let expected =
            plain(payload, &wanted).map(|registered| (registered, serde_json::from_str::<C>(payload).ok()));
        let mut pass = Pass::over(payload, &wanted);
        let claims = pass.claims::<C>().ok();
        let found = pass.registered().map(|registered| (registered, claims));
        let name = std::any::type_name::<C>();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{payload} as {name}, {identity}");
    }
}

/// Reads no judged claim.
#[derive(Debug, Deserialize)]
struct Email {
    #[expect(dead_code, reason = "shown by Debug")]
    email: Option<String>,
}

/// Reads the judged claims into types other than ours.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "shown by Debug")]
struct Judged {
    iss: Option<String>,
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

/// Swallows every error inside it.
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

/// Keeps claims that are strings, and continues after others.
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

/// Claim names as types of the application.
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
struct Elements {
    aud: Option<Vec<IgnoredAny>>,
}
