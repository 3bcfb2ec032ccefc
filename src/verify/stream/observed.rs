//! The wrapper that records a member name or a registered claim while the application's type reads it.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::plain::{AudienceClaim, AudienceSeed, Claim};
use super::{NumericDate, Seen, Text};

/// Wraps the seed, the deserializer and the visitor of one read.
pub(super) struct Observed<'s, 'e, 'de, T> {
    pub(super) inner: T,
    pub(super) observer: Observer<'s, 'e, 'de>,
}

pub(super) struct Observer<'s, 'e, 'de> {
    pub(super) target: Target,
    pub(super) seen: &'s mut Seen<'e, 'de>,
    /// True after the target has been recorded.
    pub(super) noted: &'s mut bool,
}

/// The kind of text or value that is read.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// The name of a member.
    Name,
    /// The value of a registered claim that the verifier checks.
    Value(Claim),
    /// An element of an `aud` array.
    Element,
}

impl<'de> Observer<'_, '_, 'de> {
    /// Records a text. `kept` creates the stored copy.
    #[inline]
    fn text<E: de::Error>(&mut self, text: &str, kept: impl FnOnce() -> Cow<'de, str>) -> Result<(), E> {
        *self.noted = match self.target {
            Target::Name => self.seen.name(text).map(|()| true)?,
            Target::Value(claim) => self.seen.text(claim, kept()),
            Target::Element => self.seen.text(Claim::Audience, kept()),
        };
        Ok(())
    }

    fn date(&mut self, date: NumericDate) {
        *self.noted = matches!(self.target, Target::Value(claim) if self.seen.date(claim, date));
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Observed<'_, '_, 'de, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Observed { inner: deserializer, observer: self.observer })
    }
}

/// Deserializer methods that wrap the visitor. They keep the hint, because the value may depend on it.
macro_rules! observe {
    ($($method:ident)*) => {
        $(
            #[inline]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
                self.inner.$method(Observed { inner: visitor, observer: self.observer })
            }
        )*
    };
}

/// Deserializer methods that record nothing, so that the plain pass follows.
macro_rules! pass_on {
    ($($method:ident($($hint:ident: $type:ty),*))*) => {
        $(
            fn $method<V: Visitor<'de>>(self, $($hint: $type,)* visitor: V) -> Result<V::Value, D::Error> {
                self.inner.$method($($hint,)* visitor)
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Observed<'_, '_, 'de, D> {
    type Error = D::Error;

    observe! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier
    }

    // An `f32` would be rounded.
    pass_on! {
        deserialize_f32()
        deserialize_newtype_struct(name: &'static str)
        deserialize_unit_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    /// Reads a value that the application's type skips, into the type of the plain pass.
    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, D::Error> {
        let Observer { target, seen, noted } = &mut self.observer;
        **noted = match *target {
            Target::Name => return self.inner.deserialize_ignored_any(visitor),
            Target::Value(Claim::Audience) => {
                seen.registered.audience = AudienceSeed(&seen.wanted.audiences).deserialize(self.inner)?;
                true
            }
            Target::Value(claim @ (Claim::Expiry | Claim::NotBefore | Claim::IssuedAt)) => {
                seen.date(claim, NumericDate::deserialize(self.inner)?)
            }
            Target::Value(claim) => seen.text(claim, Text::deserialize(self.inner)?.0),
            Target::Element => seen.text(Claim::Audience, Text::deserialize(self.inner)?.0),
        };
        visitor.visit_unit()
    }
}

/// Visitor methods that record nothing, so that the plain pass follows.
macro_rules! hand_on {
    ($($method:ident($type:ty))*) => {
        $(
            fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
                self.inner.$method(value)
            }
        )*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Observed<'_, '_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_borrowed_str<E: de::Error>(mut self, text: &'de str) -> Result<V::Value, E> {
        self.observer.text(text, || Cow::Borrowed(text))?;
        self.inner.visit_borrowed_str(text)
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<V::Value, E> {
        self.observer.text(text, || Cow::Owned(text.to_owned()))?;
        self.inner.visit_str(text)
    }

    #[inline]
    fn visit_u64<E: de::Error>(mut self, seconds: u64) -> Result<V::Value, E> {
        self.observer.date(NumericDate::from_secs(seconds));
        self.inner.visit_u64(seconds)
    }

    fn visit_i64<E: de::Error>(mut self, seconds: i64) -> Result<V::Value, E> {
        self.observer.date(NumericDate::from_signed_secs(seconds));
        self.inner.visit_i64(seconds)
    }

    fn visit_f64<E: de::Error>(mut self, seconds: f64) -> Result<V::Value, E> {
        self.observer.date(NumericDate::from_fractional_secs(seconds));
        self.inner.visit_f64(seconds)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Observed { inner: deserializer, observer: self.observer })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        if !matches!(self.observer.target, Target::Value(Claim::Audience)) {
            return self.inner.visit_seq(items);
        }
        // An empty array is an audience that matches nobody.
        self.observer.seen.registered.audience = AudienceClaim::Nobody;
        *self.observer.noted = true;
        self.inner.visit_seq(Items { items, seen: self.observer.seen })
    }

    hand_on! { visit_bool(bool) visit_i128(i128) visit_u128(u128) visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) }

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

/// The sequence access of an `aud` array.
struct Items<'s, 'e, 'de, A> {
    items: A,
    seen: &'s mut Seen<'e, 'de>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, '_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.seen.watch(Target::Element, Option::is_none, |observer| {
            self.items.next_element_seed(Observed { inner: seed, observer })
        })
    }
}
