//! The registered claims, seen on their way into the application's type: one pass over the payload instead of two.
//!
//! Only what is plainly as it should be is seen here. Whatever is not (a claim that stands there twice, one of another
//! type, one read in a way that cannot be watched) is left to the plain pass, which alone refuses.

mod observed;
mod plain;
#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};

use self::observed::{Observed, Observer};
use self::plain::Claim;
pub(crate) use self::plain::{AudienceClaim, Malformed, Names, Registered, Wanted, plain};
use super::claim_name_case::{is_respelled, meant_field, probe};
use super::json::Text;
use super::private_names::PREFIX;
use crate::registered::NumericDate;

/// Reads the payload as the application's type, if it fits that, and the registered claims, whether it does or not.
pub(crate) fn read<'de, C>(
    payload: &'de str,
    wanted: &Wanted,
    registered: &mut Registered<'de>,
) -> Result<Option<C>, Malformed>
where
    C: DeserializeOwned + 'static,
{
    let mut seen = Seen::new(wanted, registered);
    let claims = observe(payload, &mut seen).ok();
    let respelled = seen.respelled || !seen.entered;
    if claims.is_none() || !seen.is_certain() {
        *registered = plain(payload, wanted)?;
    }
    Ok(claims.filter(|_| !respelled || is_json::<C>() || probe::<C>(payload).is_none()))
}

/// Returns true for types that have all claims by the names that the token has.
fn is_json<C: 'static>() -> bool {
    [TypeId::of::<Value>(), TypeId::of::<Map<String, Value>>()].contains(&TypeId::of::<C>())
}

fn observe<'de, C>(payload: &'de str, seen: &mut Seen<'_, 'de>) -> Result<C, serde_json::Error>
where
    C: Deserialize<'de>,
{
    let mut json = serde_json::Deserializer::from_str(payload);
    let claims = C::deserialize(Payload { json: &mut json, seen })?;
    json.end()?;
    Ok(claims)
}

/// What has been seen so far.
struct Seen<'e, 'de> {
    wanted: &'e Wanted,
    registered: &'e mut Registered<'de>,
    /// The claims that the application's type reads, if it is a struct.
    fields: &'static [&'static str],
    /// Whether a claim differs in case from a usual name, and the type does not tell which claims it reads.
    respelled: bool,
    /// One bit for each registered claim that has come by.
    claims: u16,
    /// Whether the members of the payload were read one by one at all.
    entered: bool,
    /// Whether something has to be looked at by the plain pass.
    doubt: bool,
}

impl<'e, 'de> Seen<'e, 'de> {
    fn new(wanted: &'e Wanted, registered: &'e mut Registered<'de>) -> Self {
        Self { wanted, registered, fields: &[], respelled: false, claims: 0, entered: false, doubt: false }
    }

    /// Whether all registered claims are seen, where the payload could be read.
    fn is_certain(&self) -> bool {
        self.entered && !self.doubt
    }

    /// Notes a name, and returns the registered claim of that name.
    fn name<E: de::Error>(&mut self, name: &str) -> Result<Option<Claim>, E> {
        if self.fields.is_empty() {
            self.respelled |= is_respelled(name);
        } else if meant_field(name, self.fields).is_some() {
            return Err(E::custom("a claim differs in case from a field"));
        }
        Ok(self.registered(name))
    }

    fn registered(&mut self, name: &str) -> Option<Claim> {
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
                let name = AudienceClaim::of(&text, &self.wanted.audiences);
                self.registered.audience = self.registered.audience.max(name);
            }
            Claim::TokenId => self.registered.names.token = Some(Text(text)),
            Claim::Session => self.registered.names.session = Some(Text(text)),
            Claim::Subject => self.registered.names.subject = Some(Text(text)),
            _ => return false,
        }
        true
    }

    /// Notes a date, if the claim is one.
    fn date(&mut self, claim: Claim, date: NumericDate) -> bool {
        match claim {
            Claim::Expiry => self.registered.expiry = Some(date),
            Claim::NotBefore => self.registered.not_before = Some(date),
            Claim::IssuedAt => self.registered.names.issued_at = Some(date),
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
        self.seen.fields = fields;
        self.json.deserialize_struct(name, fields, PayloadVisitor { visitor, seen: self.seen })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        // serde_json itself makes a `RawValue`.
        if name.starts_with(PREFIX) {
            return self.json.deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    // These two do not read the members one by one, so that nothing is seen.
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
        let key = self.members.next_key_seed(Name { inner: seed, seen: self.seen, claim: &mut self.claim });
        // The type may go on after an error as if there had been none: here and wherever something is read.
        self.seen.doubt |= key.is_err();
        key
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let mut noted = true;
        let value = match self.claim.filter(|claim| claim.is_judged(self.seen.wanted)) {
            None => self.members.next_value_seed(seed),
            Some(claim) => {
                noted = false;
                let observer = Observer { claim, item: false, seen: self.seen, noted: &mut noted };
                self.members.next_value_seed(Observed { inner: seed, observer })
            }
        };
        self.seen.doubt |= value.is_err() || !noted;
        value
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
        *self.claim = self.seen.name(name)?;
        self.inner.visit_borrowed_str(name)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<V::Value, E> {
        *self.claim = self.seen.name(name)?;
        self.inner.visit_str(name)
    }
}
