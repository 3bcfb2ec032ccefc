//! Estimates the heap memory of claims, for the limit of a cache.
//!
//! The length of a payload tells little: `[1,1,1]` takes 2 bytes for each number, and a `serde_json::Value` 32 to 64. So
//! the type reads the payload once more, through wrappers that forward each call unchanged. They see the texts that
//! the type accepts, the number of elements, and the size of each element's type. A skipped claim counts nothing.
//!
//! # What is counted
//!
//! - **Text:** its length. If the type may own it, the overhead of an allocation as well.
//! - **Arrays and maps:** one and a half times the size of the elements, or of the names and values. `Vec` doubles
//!   its capacity and needs 1 to 2 times that size, `HashMap` 1.1 to 2.3 times, `BTreeMap` 1 to 2.1 times.
//! - **Boxed values:** their size, if the type reads something larger than what it returns.
//!
//! The sum is between half and twice the memory of the usual types. These are not seen:
//!
//! - memory that a `Deserialize` allocates without reading anything for it
//! - the size of types that serde reads from its own buffer: behind `flatten`, or in an `enum` that is untagged or has a
//!   `tag`. They count as `serde_json::Value`.
//! - a box around a value that is not larger than a pointer

#[cfg(feature = "api-keys")]
use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Formatter};

use serde::Deserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
#[cfg(feature = "api-keys")]
use serde_json::Map;
use serde_json::Value;

/// Returns the estimate for a payload that the type has read before.
pub(crate) fn heap_bytes<C: DeserializeOwned>(payload: &str) -> usize {
    let sum = Cell::new(0);
    let meter = Meter { sum: &sum, slot: size_of::<C>(), collects: false };
    let mut json = serde_json::Deserializer::from_str(payload);
    match C::deserialize(Measured { inner: &mut json, meter }) {
        Ok(_) => sum.get(),
        // The type depends on more than the payload, so nothing is known about its size.
        Err(_) => usize::MAX,
    }
}

/// Returns the estimate for claims of any type, if they are JSON.
#[cfg(feature = "api-keys")]
pub(crate) fn heap_bytes_of_json(claims: &dyn Any) -> Option<usize> {
    let of_map = || claims.downcast_ref().map(of_members);
    claims.downcast_ref().map(of_value).or_else(of_map)
}

#[cfg(feature = "api-keys")]
fn of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + ALLOCATION,
        Value::Array(elements) => {
            let room = room(elements.len(), size_of::<Value>());
            elements.iter().fold(room, |sum, element| sum + of_value(element))
        }
        Value::Object(members) => of_members(members),
        _ => 0,
    }
}

#[cfg(feature = "api-keys")]
fn of_members(members: &Map<String, Value>) -> usize {
    let room = room(members.len(), size_of::<(String, Value)>());
    members.iter().fold(room, |sum, (name, value)| sum + name.len() + ALLOCATION + of_value(value))
}

/// The overhead of an allocation: the allocator's header, and rounding.
const ALLOCATION: usize = 16;

/// Returns the memory for this many elements or members of one size: one and a half times their own, and that of six
/// at least.
fn room(count: usize, size: usize) -> usize {
    let halves = if count == 0 { 0 } else { (count * 3).max(12) };
    halves.saturating_mul(size) / 2
}

#[derive(Clone, Copy)]
struct Meter<'m> {
    sum: &'m Cell<usize>,
    /// The size of the value that is read, in the place where it is stored.
    slot: usize,
    /// True if the value stores its elements or members on the heap. A struct stores its fields inline.
    collects: bool,
}

impl Meter<'_> {
    fn add(&self, bytes: usize) {
        self.sum.set(self.sum.get().saturating_add(bytes));
    }

    /// Adds a text for a value of type `T`.
    fn add_text<T>(&self, len: usize) {
        // A smaller value has no pointer to an allocation of its own.
        let is_owned = size_of::<T>() >= size_of::<usize>();
        self.add(if is_owned { len + ALLOCATION } else { len });
    }

    /// Adds the room for one more element.
    fn add_element(&self, size: usize, count: &mut usize) {
        if self.collects {
            self.add(room(*count + 1, size) - room(*count, size));
            *count += 1;
        }
    }

    /// Measures a value of type `T` that a visitor returns. If it does not fit in its place, it is in a box.
    fn read<T>(self, collects: bool) -> Self {
        let size = size_of::<T>();
        // A `Box<[T]>` is read as a `Vec<T>`, which is a little larger. This is not a box around it.
        let is_slice = (self.slot, size) == (size_of::<Box<[u8]>>(), size_of::<Vec<u8>>());
        if size > self.slot && !is_slice {
            self.add(size + ALLOCATION);
        }
        Self { collects, slot: self.slot.max(size), ..self }
    }

    /// Measures a value of any form.
    fn read_any<T>(self) -> Self {
        // serde's buffer is not larger than a `Value`. With the feature `preserve_order`, it is smaller.
        if size_of::<T>() >= size_of::<[usize; 4]>() {
            self.add(size_of::<Value>().saturating_sub(size_of::<T>()) * 3 / 2);
        }
        self.read::<T>(true)
    }
}

/// Wraps a deserializer, a visitor or one of their parts.
struct Measured<'m, T> {
    inner: T,
    meter: Meter<'m>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Measured<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let meter = Meter { slot: size_of::<S::Value>(), collects: false, ..self.meter };
        self.inner.deserialize(Measured { inner: deserializer, meter })
    }
}

/// Deserializer methods for values that have no elements, or store them as told.
macro_rules! measure {
    ($collects:literal: $($method:ident($($hint:ident: $type:ty),*))*) => {
        $(
            fn $method<V: Visitor<'de>>(self, $($hint: $type,)* visitor: V) -> Result<V::Value, D::Error> {
                let meter = self.meter.read::<V::Value>($collects);
                self.inner.$method($($hint,)* Measured { inner: visitor, meter })
            }
        )*
    };
}

/// Deserializer methods for values without elements, and for wrappers of others.
macro_rules! forward {
    ($($method:ident($($hint:ident: $type:ty),*))*) => {
        $(
            fn $method<V: Visitor<'de>>(self, $($hint: $type,)* visitor: V) -> Result<V::Value, D::Error> {
                let meter = self.meter.read::<V::Value>(self.meter.collects);
                self.inner.$method($($hint,)* Measured { inner: visitor, meter })
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Measured<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let meter = self.meter.read_any::<V::Value>();
        self.inner.deserialize_any(Measured { inner: visitor, meter })
    }

    measure! { true: deserialize_seq() deserialize_map() }

    measure! { false:
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    forward! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64()
        deserialize_u128() deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
    }

    /// Reads the name of a field or variant, which is not stored. Behind `flatten`, other names are.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if size_of::<V::Value>() < size_of::<usize>() {
            return self.inner.deserialize_identifier(visitor);
        }
        self.inner.deserialize_identifier(Measured { inner: visitor, meter: self.meter })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Visitor methods that count nothing.
macro_rules! hand_on {
    ($($method:ident($type:ty))*) => {
        $(
            fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
                self.inner.$method(value)
            }
        )*
    };
}

/// Visitor methods for texts.
macro_rules! text {
    ($($method:ident($type:ty))*) => {
        $(
            fn $method<E: de::Error>(self, text: $type) -> Result<V::Value, E> {
                self.meter.add_text::<V::Value>(text.len());
                self.inner.$method(text)
            }
        )*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Measured<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    hand_on! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128) visit_u8(u8)
        visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32) visit_f64(f64) visit_char(char)
    }

    text! {
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Measured { inner: deserializer, meter: self.meter })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Measured { inner: deserializer, meter: self.meter })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Counted { inner: elements, meter: self.meter, count: 0, name: (0, 1) })
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Counted { inner: members, meter: self.meter, count: 0, name: (0, 1) })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Measured { inner: variant, meter: self.meter })
    }
}

/// The elements of an array, or the members of an object.
struct Counted<'m, A> {
    inner: A,
    meter: Meter<'m>,
    count: usize,
    /// The size and the alignment of the last name.
    name: (usize, usize),
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let element = self.inner.next_element_seed(Measured { inner: seed, meter: self.meter })?;
        if element.is_some() {
            self.meter.add_element(size_of::<S::Value>(), &mut self.count);
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.name = (size_of::<S::Value>(), align_of::<S::Value>());
        self.inner.next_key_seed(Measured { inner: seed, meter: self.meter })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let (size, align) = self.name;
        let pair = (size + size_of::<S::Value>()).next_multiple_of(align.max(align_of::<S::Value>()).max(1));
        self.meter.add_element(pair, &mut self.count);
        self.inner.next_value_seed(Measured { inner: seed, meter: self.meter })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'m, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Measured<'m, A> {
    type Error = A::Error;
    type Variant = Measured<'m, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, variant) = self.inner.variant_seed(seed)?;
        Ok((name, Measured { inner: variant, meter: self.meter }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Measured<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Measured { inner: seed, meter: self.meter })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Measured { inner: visitor, meter: self.meter })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Measured { inner: visitor, meter: self.meter })
    }
}
