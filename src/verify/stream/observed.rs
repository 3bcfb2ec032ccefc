//! The value of a claim, noted on its way to whoever reads it.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Seen;
use super::plain::{AudienceClaim, AudienceSeed, Claim};
use crate::registered::NumericDate;
use crate::verify::json::Text;

/// Reads the value of a claim that is judged, and notes it: around the seed, the deserializer and the visitor alike.
pub(super) struct Observed<'s, 'e, 'de, T> {
    pub(super) inner: T,
    pub(super) observer: Observer<'s, 'e, 'de>,
}

pub(super) struct Observer<'s, 'e, 'de> {
    pub(super) claim: Claim,
    /// Whether the value is one of an array.
    pub(super) item: bool,
    pub(super) seen: &'s mut Seen<'e, 'de>,
    /// Set once the value has been noted.
    pub(super) noted: &'s mut bool,
}

impl<'de> Observer<'_, '_, 'de> {
    fn text(&mut self, text: Cow<'de, str>) {
        *self.noted = self.seen.text(self.claim, text);
    }

    fn date(&mut self, date: NumericDate) {
        *self.noted = self.seen.date(self.claim, date);
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Observed<'_, '_, 'de, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Observed { inner: deserializer, observer: self.observer })
    }
}

/// The same hint for the deserializer inside, since what it hands out may depend on it.
macro_rules! observe_with_the_same_hint {
    ($($method:ident)*) => {
        $(
            #[inline]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
                self.inner.$method(Observed { inner: visitor, observer: self.observer })
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Observed<'_, '_, 'de, D> {
    type Error = D::Error;

    observe_with_the_same_hint! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier
    }

    /// The application's type does not want the value, so it is read for our sake alone.
    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, D::Error> {
        match self.observer.claim {
            Claim::Audience if !self.observer.item => {
                let audience = AudienceSeed(&self.observer.seen.wanted.audiences).deserialize(self.inner)?;
                self.observer.seen.registered.audience = audience;
                *self.observer.noted = true;
            }
            Claim::Expiry | Claim::NotBefore | Claim::IssuedAt => {
                self.observer.date(NumericDate::deserialize(self.inner)?);
            }
            _ => self.observer.text(Text::deserialize(self.inner)?.0),
        }
        visitor.visit_unit()
    }

    // What is read in one of these ways is left to the plain pass: an `f32` because it may be rounded.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_f32(visitor)
    }

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

impl<'de, V: Visitor<'de>> Visitor<'de> for Observed<'_, '_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_borrowed_str<E: de::Error>(mut self, text: &'de str) -> Result<V::Value, E> {
        self.observer.text(Cow::Borrowed(text));
        self.inner.visit_borrowed_str(text)
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<V::Value, E> {
        self.observer.text(Cow::Owned(text.to_owned()));
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
        if self.observer.claim != Claim::Audience || self.observer.item {
            return self.inner.visit_seq(items);
        }
        // An empty array is an audience, too, in which nobody is expected.
        self.observer.seen.registered.audience = AudienceClaim::Nobody;
        *self.observer.noted = true;
        self.inner.visit_seq(Items { items, seen: self.observer.seen })
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
        let observer = Observer { claim: Claim::Audience, item: true, seen: self.seen, noted: &mut noted };
        let item = self.items.next_element_seed(Observed { inner: seed, observer });
        let at_end = matches!(item, Ok(None));
        self.seen.doubt |= item.is_err() || !(noted || at_end);
        item
    }
}
