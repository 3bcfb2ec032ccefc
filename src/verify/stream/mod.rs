//! Reads the registered claims and the application's claims of a payload in one pass.
//!
//! # Interface
//!
//! A [`Pass`] reads a payload with the [settings](Wanted) of the verifier. First it reads [the application's
//! type](Pass::claims) `C`, if the payload fits it. Then it returns the [registered claims](Pass::registered).
//!
//! # Guarantee
//!
//! The result equals that of two passes, [`plain`] and `serde_json::from_str::<C>`. The values are the same, and so is
//! the error. There are two exceptions:
//!
//! - `C` does not fit if a claim about roles or scopes differs in case from the field that should read it
//!   (`claim_name_case`).
//! - If the payload is not JSON, and `C` ignores the error inside a value, the pass may ignore it as well. The plain pass
//!   would reject the payload. Only an issuer that signs broken JSON can cause this.
//!
//! # How it works
//!
//! serde_json reads `C` through wrappers around the deserializer, the visitor and the map of the payload's members. A
//! wrapper forwards each call with the same hint, and each value unchanged. It records the names of members and the
//! values of registered claims. If `C` skips a value, the wrapper reads it into the type of the plain pass.
//!
//! # When it falls back
//!
//! A wrapper never rejects a token. It records only clearly valid values, and otherwise sets [`Seen::doubt`]. The
//! [`Pass`] then runs the plain pass, which alone can reject. There is doubt in these cases:
//!
//! - A registered claim appears twice.
//! - A name or the value of a registered claim was not recorded. It has another type, or `C` reads it in a way that is
//!   not observed: as an `f32` (rounded), an `enum`, a newtype or a `RawValue`.
//! - An error occurred between the members. A type can ignore such an error.
//!
//! The plain pass also runs if `C` does not fit, or did not read the payload as a map or a struct.
//!
//! # Why it is correct
//!
//! - The application's claims: `C` gets the same calls and values as without the wrappers. There is one exception: a
//!   type that requests something else than a map, such as a sequence, but accepts a map, gets the map.
//! - The registered claims, without a fallback: the wrapper recorded the name of each member, and each registered claim
//!   appeared once. It recorded each value with the conversion of the plain pass. `C` read all members, because
//!   serde_json fails if some are left.
//!
//! `tests.rs` and the fuzz target `stream` compare a [`Pass`] with the two passes for many types.
//!
//! # Requirements
//!
//! The payload must not be nested too deeply ([`is_shallow`](super::json::is_shallow)), and must not contain a private
//! name.
//!
//! The module needs only serde, serde_json and the imports of this file, because the fuzz target compiles it alone:
//!
//! - [`Text`], a string that is borrowed if possible
//! - [`NumericDate`]
//! - the check for names in another case
//! - the prefix of serde_json's private names

mod observed;
mod plain;
#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};

use self::observed::{Observed, Observer, Target};
use self::plain::Claim;
pub(crate) use self::plain::{AudienceClaim, Malformed, Registered, Wanted, plain};
use super::claim_name_case::{is_respelled, meant_field, probe};
use super::json::Text;
use super::private_names::PREFIX;
use crate::registered::NumericDate;

/// A single pass over a payload.
pub(crate) struct Pass<'e, 'de> {
    payload: &'de str,
    seen: Seen<'e, 'de>,
}

impl<'e, 'de> Pass<'e, 'de> {
    pub(crate) fn over(payload: &'de str, wanted: &'e Wanted) -> Self {
        Self { payload, seen: Seen::new(wanted) }
    }

    /// Reads the payload as the application's type, and records the registered claims.
    #[inline]
    pub(crate) fn claims<C>(&mut self) -> serde_json::Result<C>
    where
        C: DeserializeOwned + 'static,
    {
        let mut json = serde_json::Deserializer::from_str(self.payload);
        // Changes the result in place instead of using `?`: moving the claims costs more than many checks.
        let mut claims = C::deserialize(Payload { json: &mut json, seen: &mut self.seen });
        if claims.is_ok()
            && let Err(error) = self.finish::<C>(json)
        {
            claims = Err(error);
        }
        self.seen.doubt |= claims.is_err();
        claims
    }

    /// Runs the checks that follow after the type has read its claims.
    fn finish<C>(
        &mut self,
        mut json: serde_json::Deserializer<serde_json::de::StrRead<'de>>,
    ) -> serde_json::Result<()>
    where
        C: DeserializeOwned + 'static,
    {
        json.end()?;
        let is_respelled = self.seen.is_respelled || !self.seen.entered;
        if is_respelled && !is_json::<C>() && probe::<C>(self.payload).is_some() {
            return Err(de::Error::custom("a claim differs in case from a field"));
        }
        Ok(())
    }

    /// Returns the registered claims. Call it after [`claims`](Self::claims).
    #[inline]
    pub(crate) fn registered(&mut self) -> Result<&Registered<'de>, Malformed> {
        if !self.seen.is_certain() {
            self.seen.registered = plain(self.payload, self.seen.wanted)?;
        }
        Ok(&self.seen.registered)
    }
}

/// Returns true for types that keep all claims with the names of the token.
fn is_json<C: 'static>() -> bool {
    [TypeId::of::<Value>(), TypeId::of::<Map<String, Value>>()].contains(&TypeId::of::<C>())
}

/// The claims recorded so far.
struct Seen<'e, 'de> {
    wanted: &'e Wanted,
    registered: Registered<'de>,
    /// The claims that the application's type reads, if it is a struct.
    fields: &'static [&'static str],
    /// True if a claim differs in case from a usual name, and the type does not list its fields.
    is_respelled: bool,
    /// The registered claim whose value comes next.
    claim: Option<Claim>,
    /// One bit for each registered claim that has appeared.
    claims: u16,
    /// True after the type has begun to read the members one by one.
    entered: bool,
    /// True if the plain pass must read the registered claims.
    doubt: bool,
}

impl<'e, 'de> Seen<'e, 'de> {
    fn new(wanted: &'e Wanted) -> Self {
        Self {
            wanted,
            registered: Registered::default(),
            fields: &[],
            is_respelled: false,
            claim: None,
            claims: 0,
            entered: false,
            doubt: false,
        }
    }

    /// Returns true if all registered claims were recorded, provided that the whole payload was read.
    fn is_certain(&self) -> bool {
        self.entered && !self.doubt
    }

    /// Calls `read` with an observer. There is doubt unless the observer records something, or the result is the end.
    #[inline]
    fn watch<T, E>(
        &mut self,
        target: Target,
        is_end: impl FnOnce(&T) -> bool,
        read: impl FnOnce(Observer<'_, 'e, 'de>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut noted = false;
        let result = read(Observer { target, seen: self, noted: &mut noted });
        self.doubt |= match &result {
            Ok(value) => !noted && !is_end(value),
            // The type may ignore the error.
            Err(_) => true,
        };
        result
    }

    /// Records the name of a member.
    fn name<E: de::Error>(&mut self, name: &str) -> Result<(), E> {
        self.claim = Claim::from_name(name);
        let Some(claim) = self.claim else {
            return self.other_name(name);
        };
        let bit = 1 << claim as u16;
        self.doubt |= self.claims & bit != 0;
        self.claims |= bit;
        self.registered.sender_constrained |= claim == Claim::Confirmation;
        Ok(())
    }

    /// Detects a claim about roles or scopes in another case.
    fn other_name<E: de::Error>(&mut self, name: &str) -> Result<(), E> {
        if self.fields.is_empty() {
            self.is_respelled |= is_respelled(name);
        } else if meant_field(name, self.fields).is_some() {
            return Err(E::custom("a claim differs in case from a field"));
        }
        Ok(())
    }

    /// Records a string. Returns false if the claim is not a string.
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

    /// Records a date. Returns false if the claim is not a date.
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

/// The deserializer of the whole payload.
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
        // serde_json itself creates a `RawValue`.
        if name.starts_with(PREFIX) {
            return self.json.deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    // These two do not read the members one by one, so nothing is recorded.
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

    // An object fits none of these hints.
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
        self.visitor.visit_map(Members { members, seen: self.seen })
    }
}

/// The map access of the payload.
struct Members<'s, 'e, 'de, A> {
    members: A,
    seen: &'s mut Seen<'e, 'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, '_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.seen.claim = None;
        self.seen.watch(Target::Name, Option::is_none, |observer| {
            self.members.next_key_seed(Observed { inner: seed, observer })
        })
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.seen.claim.filter(|claim| claim.is_judged(self.seen.wanted)) {
            Some(claim) => self.seen.watch(
                Target::Value(claim),
                |_| false,
                |observer| self.members.next_value_seed(Observed { inner: seed, observer }),
            ),
            None => {
                let value = self.members.next_value_seed(seed);
                self.seen.doubt |= value.is_err();
                value
            }
        }
    }
}
