//! The registered claims, seen on their way into the application's type: one pass over the payload instead of two.
//!
//! Only what is plainly as it should be is seen here. Whatever is not (a claim that stands there twice, one of another
//! type, one read in a way that cannot be watched) is left to the plain pass in `validate.rs`, which alone refuses.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::json::Text;
use super::validate::{AudienceClaim, AudienceSeed, Claim, Registered};
use crate::registered::NumericDate;

/// Reads the payload into the application's type, and the registered claims with it if all of them could be seen.
///
/// # Errors
///
/// If the payload is no JSON, or does not fit the type.
pub(crate) fn read<'de, C>(
    payload: &'de str,
    audiences: &[String],
) -> Result<(C, Option<Registered<'de>>), serde_json::Error>
where
    C: Deserialize<'de>,
{
    let mut seen =
        Seen { audiences, registered: Registered::default(), claims: 0, entered: false, doubt: false };
    let mut json = serde_json::Deserializer::from_str(payload);
    let claims = C::deserialize(Payload { json: &mut json, seen: &mut seen })?;
    json.end()?;
    let certain = seen.entered && !seen.doubt;
    Ok((claims, certain.then_some(seen.registered)))
}

/// What has been seen so far.
struct Seen<'e, 'de> {
    audiences: &'e [String],
    registered: Registered<'de>,
    /// One bit for each registered claim that has come by.
    claims: u16,
    /// Whether the members of the payload were read one by one at all.
    entered: bool,
    /// Whether something has to be looked at by the plain pass.
    doubt: bool,
}

impl<'de> Seen<'_, 'de> {
    fn name(&mut self, name: &str) -> Option<Claim> {
        let claim = Claim::from_name(name)?;
        let bit = 1 << claim as u16;
        self.doubt |= self.claims & bit != 0;
        self.claims |= bit;
        self.registered.sender_constrained |= claim == Claim::Confirmation;
        Some(claim)
    }

    /// Notes a string, if the claim is one.
    fn text(&mut self, claim: Claim, text: Cow<'de, str>) -> bool {
        match claim {
            Claim::Issuer => self.registered.issuer = Some(Text(text)),
            Claim::Audience => {
                let name = AudienceClaim::of(&text, self.audiences);
                self.registered.audience = self.registered.audience.max(name);
            }
            _ => return false,
        }
        true
    }

    /// Notes a date, if the claim is one.
    fn date(&mut self, claim: Claim, date: NumericDate) -> bool {
        match claim {
            Claim::Expiry => self.registered.expiry = Some(date),
            Claim::NotBefore => self.registered.not_before = Some(date),
            _ => return false,
        }
        true
    }
}

/// The payload as a whole.
struct Payload<'j, 's, 'e, 'de> {
    json: &'j mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
    seen: &'s mut Seen<'e, 'de>,
}

impl<'de> Deserializer<'de> for Payload<'_, '_, '_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_any(PayloadVisitor { visitor, seen: self.seen })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_map(PayloadVisitor { visitor, seen: self.seen })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.json.deserialize_struct(name, fields, PayloadVisitor { visitor, seen: self.seen })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    // These three do not read the members one by one, so that nothing is seen.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.json.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.json.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_ignored_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct identifier
    }
}

struct PayloadVisitor<'s, 'e, 'de, V> {
    visitor: V,
    seen: &'s mut Seen<'e, 'de>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for PayloadVisitor<'_, '_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.seen.entered = true;
        self.visitor.visit_map(Members { members, seen: self.seen, claim: None })
    }
}

/// The members of the payload, one by one.
struct Members<'s, 'e, 'de, A> {
    members: A,
    seen: &'s mut Seen<'e, 'de>,
    /// The registered claim whose value comes next.
    claim: Option<Claim>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, '_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.claim = None;
        self.members.next_key_seed(Name { inner: seed, seen: self.seen, claim: &mut self.claim })
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.claim.filter(|claim| claim.is_judged()) {
            None => self.members.next_value_seed(seed),
            Some(claim) => {
                let mut noted = false;
                let watch = Watch { claim, item: false, seen: self.seen, noted: &mut noted };
                let value = self.members.next_value_seed(Watched { inner: seed, watch })?;
                self.seen.doubt |= !noted;
                Ok(value)
            }
        }
    }
}

/// Reads a name, and notes which registered claim it is.
struct Name<'s, 'e, 'de, T> {
    inner: T,
    seen: &'s mut Seen<'e, 'de>,
    claim: &'s mut Option<Claim>,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<'_, '_, 'de, K> {
    type Value = K::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
        self.inner.deserialize(Name { inner: deserializer, seen: self.seen, claim: self.claim })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Name<'_, '_, 'de, D> {
    type Error = D::Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(Name { inner: visitor, seen: self.seen, claim: self.claim })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.seen.doubt = true;
        self.inner.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Name<'_, '_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<V::Value, E> {
        *self.claim = self.seen.name(name);
        self.inner.visit_borrowed_str(name)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<V::Value, E> {
        *self.claim = self.seen.name(name);
        self.inner.visit_str(name)
    }
}

/// Reads the value of a claim that is judged, and notes it: around the seed, the deserializer and the visitor alike.
struct Watched<'s, 'e, 'de, T> {
    inner: T,
    watch: Watch<'s, 'e, 'de>,
}

struct Watch<'s, 'e, 'de> {
    claim: Claim,
    /// Whether the value is one of an array.
    item: bool,
    seen: &'s mut Seen<'e, 'de>,
    /// Set once the value has been noted.
    noted: &'s mut bool,
}

impl<'de> Watch<'_, '_, 'de> {
    fn text(&mut self, text: Cow<'de, str>) {
        *self.noted = self.seen.text(self.claim, text);
    }

    fn date(&mut self, date: NumericDate) {
        *self.noted = self.seen.date(self.claim, date);
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Watched<'_, '_, 'de, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Watched { inner: deserializer, watch: self.watch })
    }
}

/// The same hint for the deserializer inside, since what it hands out may depend on it.
macro_rules! watch_with_the_same_hint {
    ($($method:ident)*) => {
        $(
            #[inline]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
                self.inner.$method(Watched { inner: visitor, watch: self.watch })
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watched<'_, '_, 'de, D> {
    type Error = D::Error;

    watch_with_the_same_hint! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier
    }

    /// The application's type does not want the value, so it is read for our sake alone.
    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, D::Error> {
        match self.watch.claim {
            Claim::Audience if !self.watch.item => {
                let audience = AudienceSeed(self.watch.seen.audiences).deserialize(self.inner)?;
                self.watch.seen.registered.audience = audience;
                *self.watch.noted = true;
            }
            Claim::Issuer | Claim::Audience => self.watch.text(Text::deserialize(self.inner)?.0),
            _ => self.watch.date(NumericDate::deserialize(self.inner)?),
        }
        visitor.visit_unit()
    }

    // What is read in one of these ways is left to the plain pass.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, '_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_borrowed_str<E: de::Error>(mut self, text: &'de str) -> Result<V::Value, E> {
        self.watch.text(Cow::Borrowed(text));
        self.inner.visit_borrowed_str(text)
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<V::Value, E> {
        self.watch.text(Cow::Owned(text.to_owned()));
        self.inner.visit_str(text)
    }

    #[inline]
    fn visit_u64<E: de::Error>(mut self, seconds: u64) -> Result<V::Value, E> {
        self.watch.date(NumericDate::from_secs(seconds));
        self.inner.visit_u64(seconds)
    }

    fn visit_i64<E: de::Error>(mut self, seconds: i64) -> Result<V::Value, E> {
        self.watch.date(NumericDate::from_signed_secs(seconds));
        self.inner.visit_i64(seconds)
    }

    fn visit_f64<E: de::Error>(mut self, seconds: f64) -> Result<V::Value, E> {
        self.watch.date(NumericDate::from_fractional_secs(seconds));
        self.inner.visit_f64(seconds)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Watched { inner: deserializer, watch: self.watch })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        if self.watch.claim != Claim::Audience || self.watch.item {
            return self.inner.visit_seq(items);
        }
        // An empty array is an audience, too, in which nobody is expected.
        self.watch.seen.registered.audience = AudienceClaim::Stranger;
        *self.watch.noted = true;
        self.inner.visit_seq(Items { items, seen: self.watch.seen })
    }

    // What follows is handed on as it is, and is left to the plain pass.
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        self.inner.visit_bool(value)
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<V::Value, E> {
        self.inner.visit_i128(value)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<V::Value, E> {
        self.inner.visit_u128(value)
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<V::Value, E> {
        self.inner.visit_bytes(value)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, value: &'de [u8]) -> Result<V::Value, E> {
        self.inner.visit_borrowed_bytes(value)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(members)
    }
}

/// The members of an `aud` array, one by one.
struct Items<'s, 'e, 'de, A> {
    items: A,
    seen: &'s mut Seen<'e, 'de>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, '_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let mut noted = false;
        let watch = Watch { claim: Claim::Audience, item: true, seen: self.seen, noted: &mut noted };
        let item = self.items.next_element_seed(Watched { inner: seed, watch })?;
        self.seen.doubt |= item.is_some() && !noted;
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;
    use crate::registered::{Audience, RegisteredClaims};
    use crate::verify::validate::plain;

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
        match read::<C>(payload, &audiences) {
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
        let payload = r#"{"iss":"i","sub":"s","aud":["x","b"],"exp":1800000000,"nbf":1.5,"iat":1,"jti":"j","email":"e"}"#;
        assert!(assert_agrees::<Value>(payload).unwrap());
        assert!(assert_agrees::<RegisteredClaims>(payload).unwrap());
        assert!(assert_agrees::<Option<RegisteredClaims>>(payload).unwrap());
        assert!(assert_agrees::<Email>(payload).unwrap());
        assert!(assert_agrees::<Borrowed<'_>>(payload).unwrap());
        assert!(assert_agrees::<Flattened>(payload).unwrap());
        assert!(assert_agrees::<Untagged>(payload).unwrap());
        assert!(!assert_agrees::<Raw>(payload).unwrap(), "left to the plain pass");
    }
}
