//! Required values of claims.

use std::fmt::{self, Formatter};

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::json::Text;
use crate::kind::AuthErrorKind;

/// A claim and its accepted values.
#[derive(Clone, Debug)]
pub(crate) struct RequiredClaim {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
}

/// Returns true if every required claim has one of its values.
pub(crate) fn are_met(payload: &str, claims: &[RequiredClaim]) -> Result<bool, AuthErrorKind> {
    let mut json = serde_json::Deserializer::from_str(payload);
    json.deserialize_map(ClaimsVisitor(claims)).map_err(|_| AuthErrorKind::InvalidClaims)
}

/// Names a claim that does not have a required value. Mentions only names and types.
pub(crate) fn explain(payload: &str, claims: &[RequiredClaim]) -> String {
    let found: Map<_, _> = serde_json::from_str(payload).unwrap_or_default();
    let is_met = |claim: &&RequiredClaim| {
        let value = found.get(&claim.name)?;
        IsOneOf::any(&claim.values).deserialize(value).ok()?.then_some(())
    };
    // A payload that `serde_json::Value` cannot represent gets a general text.
    let unmet = claims.iter().find(|claim| is_met(claim).is_none()).filter(|_| !found.is_empty());
    let Some(RequiredClaim { name, values }) = unmet else {
        return "the verifier requires other values of claims".to_owned();
    };
    let wanted =
        values.iter().map(json_type).reduce(|one, other| if one == other { one } else { "another value" });
    let wanted = wanted.unwrap_or("another value");
    match found.get(name) {
        _ if values.iter().all(Value::is_null) => {
            format!("the verifier requires `null` as the claim `{name}`, which no token can meet")
        }
        None => format!("the token has no claim `{name}`, and the verifier requires one"),
        Some(Value::Array(_)) => {
            format!("the claim `{name}` is an array without {wanted} that the verifier requires")
        }
        Some(value) if json_type(value) != wanted => {
            format!("the claim `{name}` is {}, and the verifier requires {wanted}", json_type(value))
        }
        Some(_) => {
            format!("the claim `{name}` has another value than the verifier requires")
        }
    }
}

/// Returns the type of a value with its article. `1` and `1.0` have different types.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction or an exponent",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct ClaimsVisitor<'e>(&'e [RequiredClaim]);

impl<'de> Visitor<'de> for ClaimsVisitor<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<bool, A::Error> {
        // For each required claim in the payload: true if its value matches.
        let mut met = vec![None; self.0.len()];
        while let Some(name) = claims.next_key::<Text<'_>>()? {
            let Some(position) = self.0.iter().position(|claim| claim.name == *name) else {
                claims.next_value::<IgnoredAny>()?;
                continue;
            };
            let is_met = claims.next_value_seed(IsOneOf::any(&self.0[position].values))?;
            if met[position].replace(is_met).is_some() {
                return Err(de::Error::custom("a claim appears twice"));
            }
        }
        Ok(met.into_iter().all(|met| met == Some(true)))
    }
}

/// Compares a value during parsing, without storing it.
#[derive(Clone, Copy)]
struct IsOneOf<'e> {
    values: &'e [Value],
    /// True if the value is a member of an array.
    is_item: bool,
}

impl<'e> IsOneOf<'e> {
    fn any(values: &'e [Value]) -> Self {
        Self { values, is_item: false }
    }

    fn has(self, found: &Value) -> bool {
        self.values.contains(found)
    }
}

impl<'de> DeserializeSeed<'de> for IsOneOf<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for IsOneOf<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        Ok(self.values.iter().any(|value| value == text))
    }

    fn visit_bool<E: de::Error>(self, found: bool) -> Result<bool, E> {
        Ok(self.has(&found.into()))
    }

    fn visit_u64<E: de::Error>(self, found: u64) -> Result<bool, E> {
        Ok(self.has(&found.into()))
    }

    fn visit_i64<E: de::Error>(self, found: i64) -> Result<bool, E> {
        Ok(self.has(&found.into()))
    }

    fn visit_f64<E: de::Error>(self, found: f64) -> Result<bool, E> {
        Ok(self.has(&found.into()))
    }

    /// `null` counts as absent.
    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        if self.is_item || self.values.iter().any(Value::is_array) {
            let items = Vec::deserialize(SeqAccessDeserializer::new(items))?;
            let is_member =
                !self.is_item && items.iter().any(|item: &Value| !item.is_null() && self.has(item));
            return Ok(is_member || self.has(&Value::Array(items)));
        }
        let mut found = false;
        while let Some(is_one) = items.next_element_seed(Self { is_item: true, ..self })? {
            found |= is_one;
        }
        Ok(found)
    }

    /// Reads an object, or a number if serde_json's `arbitrary_precision` is on.
    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<bool, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(members)).map(|found| self.has(&found))
    }
}
