//! Reads the registered claims and the application's claims of a payload in one pass.
//!
//! # Interface
//!
//! A [`Pass`] goes over a payload with what the verifier [wants](Wanted). First it reads [the application's
//! type](Pass::claims) `C`, if the payload fits it. Then it returns the [registered claims](Pass::registered).
//!
//! # Guarantee
//!
//! The result is that of two passes, [`plain`] and `serde_json::from_str::<C>`: the same values and the same error. There is one
//! exception, which refuses more: `C` counts as not fitting if a claim about roles or scopes differs in case from the field that
//! should read it (`claim_name_case`).
//!
//! # How it works
//!
//! serde_json reads `C` through wrappers around the deserializer, the visitor and the map of the payload's members. A wrapper
//! passes each call on with the same hint, and each value unchanged. On the way it notes the names of members and the values of
//! registered claims. If `C` skips a value, the wrapper reads it instead, into the type of the plain pass.
//!
//! # When it falls back
//!
//! A wrapper never decides that a token is bad. It notes only what it has seen to be plainly right; otherwise it sets
//! [`Seen::doubt`], and the [`Pass`] runs the plain pass, which alone can refuse. There is doubt if
//!
//! - a registered claim appears twice;
//! - a name or the value of a registered claim was not noted: it has another type, or `C` reads it in a way that is not watched,
//!   such as an `f32` (rounded), an `enum`, a newtype or a `RawValue`;
//! - an error occurred below a member, which a type can swallow.
//!
//! The plain pass also runs if `C` does not fit, or did not read the payload as a map or a struct.
//!
//! # Why it is right
//!
//! - The application's claims: `C` sees the calls and the values that serde_json makes without the wrappers. (Except that a type
//!   which asks for anything but a map, such as a sequence, and takes a map all the same, gets it.)
//! - The registered claims, without a fallback: the name of each member was noted, each registered claim appeared once, and each
//!   value was noted by the conversion that the plain pass uses. `C` read all members, since serde_json fails on those that are
//!   left.
//!
//! `tests.rs` and the fuzz target `stream` compare a [`Pass`] with the two passes for many types.
//!
//! # What it needs
//!
//! serde and serde_json, and what this file imports from outside: [`Text`], a string that is borrowed if it can be;
//! [`NumericDate`]; the check for names in another case; and the prefix of serde_json's private names. The fuzz target compiles
//! the module with nothing else.
//!
//! The payload must not be nested too deeply ([`is_shallow`](super::json::is_shallow)), nor have a private name.

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

/// One pass over a payload.
pub(crate) struct Pass<'e, 'de> {
    payload: &'de str,
    seen: Seen<'e, 'de>,
}

impl<'e, 'de> Pass<'e, 'de> {
    pub(crate) fn over(payload: &'de str, wanted: &'e Wanted) -> Self {
        Self { payload, seen: Seen::new(wanted) }
    }

    /// Reads the payload as the application's type, and notes the registered claims.
    #[inline]
    pub(crate) fn claims<C>(&mut self) -> serde_json::Result<C>
    where
        C: DeserializeOwned + 'static,
    {
        let mut json = serde_json::Deserializer::from_str(self.payload);
        // Changed in place and not passed through `?`, since moving the claims costs more than many checks.
        let mut claims = C::deserialize(Payload { json: &mut json, seen: &mut self.seen });
        if claims.is_ok()
            && let Err(error) = self.finish::<C>(json)
        {
            claims = Err(error);
        }
        self.seen.doubt |= claims.is_err();
        claims
    }

    /// Checks what remains once the type has taken its claims.
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

    /// Returns the registered claims, once the payload has been read.
    #[inline]
    pub(crate) fn registered(&mut self) -> Result<&Registered<'de>, Malformed> {
        if !self.seen.is_certain() {
            self.seen.registered = plain(self.payload, self.seen.wanted)?;
        }
        Ok(&self.seen.registered)
    }
}

/// Returns true for types that have all claims by the names that the token has.
fn is_json<C: 'static>() -> bool {
    [TypeId::of::<Value>(), TypeId::of::<Map<String, Value>>()].contains(&TypeId::of::<C>())
}

/// What has been seen so far.
struct Seen<'e, 'de> {
    wanted: &'e Wanted,
    registered: Registered<'de>,
    /// The claims that the application's type reads, if it is a struct.
    fields: &'static [&'static str],
    /// True if a claim differs in case from a usual name, and the type does not tell which claims it reads.
    is_respelled: bool,
    /// The registered claim whose value comes next.
    claim: Option<Claim>,
    /// One bit for each registered claim whose name was read.
    claims: u16,
    /// True once the members of the payload are read one by one.
    entered: bool,
    /// True if only the plain pass can tell the registered claims.
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

    /// Returns true if all registered claims were seen, provided that the whole payload could be read.
    fn is_certain(&self) -> bool {
        self.entered && !self.doubt
    }

    /// Has something read with an observer. There is doubt unless it is noted, or is the end of what is read.
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
            // The type may go on as if there had been none.
            Err(_) => true,
        };
        result
    }

    /// Notes the name of a member.
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

    /// Looks for a claim about roles or scopes in another case.
    fn other_name<E: de::Error>(&mut self, name: &str) -> Result<(), E> {
        if self.fields.is_empty() {
            self.is_respelled |= is_respelled(name);
        } else if meant_field(name, self.fields).is_some() {
            return Err(E::custom("a claim differs in case from a field"));
        }
        Ok(())
    }

    /// Notes a string, and returns true if the claim is one.
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

    /// Notes a date, and returns true if the claim is one.
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

    // An object fits none of these, whatever the hint.
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

/// The members of the payload, one by one.
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
