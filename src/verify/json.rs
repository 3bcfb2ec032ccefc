//! JSON parsing that is stricter than serde_json and does not copy.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use memchr::memchr3_iter;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a JSON object. A derived `Deserialize` would take an array of the same members, too.
#[inline]
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let text = object_text(json)?;
    serde_json::from_str(text).ok()
}

/// The text of what is UTF-8 and begins as a JSON object does.
#[inline]
pub(crate) fn object_text(json: &[u8]) -> Option<&str> {
    let first = json.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    if first != Some(&b'{') {
        return None;
    }
    std::str::from_utf8(json).ok()
}

/// Splits an array that is a member of a JSON object, and appears in it once, into the texts of its elements.
///
/// No element is read: one that serde_json cannot read (a lone surrogate, a number out of range) spoils no other.
pub(crate) fn elements<'a>(json: &'a [u8], name: &str) -> Option<Vec<&'a str>> {
    let text = object_text(json)?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    member(text, name).filter(|array| array.starts_with('[')).and_then(parts)
}

/// Returns the text of a member that appears in an object exactly once. The text must be a JSON object.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    for member in parts(object)?.chunks_exact(2) {
        // A name with a lone surrogate never matches.
        let is_named = serde_json::from_str::<Text<'_>>(member[0]).is_ok_and(|text| *text == *name);
        if is_named && found.replace(member[1]).is_some() {
            return None;
        }
    }
    found
}

/// Removes a byte order mark, which a parser may ignore (RFC 8259, section 8.1).
pub(crate) fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json)
}

/// Replaces invalid UTF-8, and control characters in strings, with the escape of a lone surrogate. Such a string still cannot be
/// read, but [`elements`] finds its end.
pub(crate) fn with_unreadable_marked(json: &[u8]) -> String {
    const MARK: &str = "\\ud800";
    let mut marked = String::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for chunk in json.utf8_chunks() {
        let invalid = (!chunk.invalid().is_empty()).then_some('\0');
        for character in chunk.valid().chars().chain(invalid) {
            match character {
                // The mark begins with the backslash that is already there.
                '\0'..='\x1f' if is_escaped => marked.push_str(&MARK[1..]),
                '\0'..='\x1f' if in_string => marked.push_str(MARK),
                _ => marked.push(character),
            }
            in_string ^= character == '"' && !is_escaped;
            is_escaped = in_string && character == '\\' && !is_escaped;
        }
    }
    marked
}

/// Splits an array into its elements, or an object into names and values. The text must be JSON.
pub(crate) fn parts(container: &str) -> Option<Vec<&str>> {
    let mut rest = container.trim_start().get(1..)?;
    let mut parts = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', ',', ':']);
        if rest.starts_with([']', '}']) {
            return Some(parts);
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (part, behind) = rest.split_at_checked(values.byte_offset())?;
        parts.push(part);
        rest = behind;
    }
}

/// The most arrays, objects and escapes in a payload, nested or not.
const MOST_CONTAINERS: usize = 1024;

/// Returns true if parsing the text cannot exhaust the stack, for any type.
///
/// serde_json has a limit of 128 levels. With its feature `raw_value`, which axum enables, a `Value` parses the text in
/// `{"$serde_json::private::RawValue": ".."}` as JSON and counts from zero again. A bracket in that text may be an escape.
#[inline]
pub(crate) fn is_shallow(text: &str) -> bool {
    text.len() <= 2 * MOST_CONTAINERS
        || memchr3_iter(b'[', b'{', b'\\', text.as_bytes()).take(MOST_CONTAINERS + 1).count()
            <= MOST_CONTAINERS
}

/// Reads a member that may be missing but not `null`: `#[serde(default, deserialize_with = "some")]`.
pub(crate) fn some<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A string that borrows from the JSON unless it has escapes.
///
/// serde always copies a `Cow` inside an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            #[inline]
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Any JSON value, with all members in their order, duplicates included. Numbers and booleans are not stored.
#[derive(Debug)]
pub(crate) enum Loose<'a> {
    Text(Text<'a>),
    Array(Vec<Self>),
    Object(Vec<(Text<'a>, Self)>),
    Null,
    Other,
}

impl<'a> Loose<'a> {
    pub(crate) fn as_text(&self) -> Option<&Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseVisitor;

        impl<'de> Visitor<'de> for LooseVisitor {
            type Value = Loose<'de>;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Loose<'de>, E> {
                Ok(Loose::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Loose<'de>, E> {
                Ok(Loose::Text(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Loose<'de>, E> {
                Ok(Loose::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose<'de>, A::Error> {
                let mut array = Vec::new();
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Loose::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Loose<'de>, A::Error> {
                let mut object = Vec::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Loose::Object(object))
            }
        }

        deserializer.deserialize_any(LooseVisitor)
    }
}
