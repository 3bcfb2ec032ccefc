//! Reads texts one by one without storing each.

use std::fmt::{self, Formatter};

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

/// Calls a function with a text and returns its answer.
pub(super) struct TextSeed<F>(pub(super) F);

impl<'de, F: FnOnce(&str) -> bool> DeserializeSeed<'de> for TextSeed<F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: FnOnce(&str) -> bool> Visitor<'_> for TextSeed<F> {
    type Value = bool;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(self.0(text))
    }
}
