//! Values of any format, before they are checked.

use std::fmt::{self, Formatter};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::verify::private_names::PREFIX;

/// A value of any format.
///
/// The settings are read as such a tree first. Otherwise errors would come from serde, and they quote values, which may be
/// secrets. A table with the same name twice is an error.
pub(super) enum Raw {
    Null,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
}

impl Raw {
    /// Returns true if a name at any depth is one that serde_json treats specially: a `Value` would read another value there.
    pub(super) fn has_private_name(&self) -> bool {
        match self {
            Self::List(items) => items.iter().any(Self::has_private_name),
            Self::Table(entries) => {
                entries.iter().any(|(name, value)| name.starts_with(PREFIX) || value.has_private_name())
            }
            _ => false,
        }
    }
}

impl From<Raw> for Value {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::Null => Self::Null,
            Raw::Flag(flag) => flag.into(),
            Raw::Number(number) => number.into(),
            Raw::Text(text) => text.into(),
            Raw::List(items) => items.into_iter().map(Self::from).collect(),
            Raw::Table(entries) => {
                entries.into_iter().map(|(name, raw)| (name, raw.into())).collect::<Map<_, _>>().into()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

const TOO_LARGE: &str = "a number is out of range; put a text in quotes";

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a table of settings")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    // The default methods quote the value, which may be a secret.
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Raw, E> {
        Err(E::custom(TOO_LARGE))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Raw, E> {
        Err(E::custom(TOO_LARGE))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("a setting is not a text, but bytes"))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Raw, E> {
        Number::from_f64(number).map(Raw::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut table: Vec<(String, Raw)> = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            if table.iter().any(|(known, _)| *known == name) {
                return Err(de::Error::custom(format_args!("duplicate setting `{}`", name.escape_debug())));
            }
            table.push((name, entries.next_value()?));
        }
        // A number of JSON, with serde_json's feature `arbitrary_precision`.
        if let [(name, Raw::Text(number))] = &table[..]
            && name.strip_prefix(PREFIX) == Some("Number")
            && let Ok(number) = number.parse()
        {
            return Ok(Raw::Number(number));
        }
        Ok(Raw::Table(table))
    }
}
