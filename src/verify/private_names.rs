//! Member names that serde_json treats specially.
//!
//! With serde_json's feature `raw_value`, which axum enables, a `Value` reads `{"$serde_json::private::RawValue": "[1]"}` as
//! `[1]`. With `arbitrary_precision` it reads numbers in the same way. Anyone who can put an object into a claim could then decide
//! what the claim says.

use memchr::{memchr2, memmem};

pub(crate) const PREFIX: &str = "$serde_json::private::";

/// Returns true if a member at any depth has such a name, in any spelling.
#[inline]
pub(crate) fn has_private_name(json: &str) -> bool {
    // Ordinary claims have neither byte.
    memchr2(b'$', b'\\', json.as_bytes()).is_some_and(|first| has_one_from(json, first))
}

#[cold]
fn has_one_from(json: &str, mut at: usize) -> bool {
    let bytes = json.as_bytes();
    let may_be_escaped = memchr::memchr(b'\\', &bytes[at..]).is_some();
    if !may_be_escaped && memmem::find(&bytes[at..], PREFIX.as_bytes()).is_none() {
        return false;
    }
    // Both bytes occur only in strings. This is the first one in its string, so no quotation mark before it is escaped.
    loop {
        let Some(end) = end_of_string(bytes, at) else {
            return false;
        };
        if bytes[..at].ends_with(b"\"") && is_name(bytes, end) && is_private(&json[at - 1..=end]) {
            return true;
        }
        match memchr2(b'$', b'\\', &bytes[end..]) {
            Some(next) => at = end + next,
            None => return false,
        }
    }
}

/// Returns the end of the string that contains this place.
fn end_of_string(json: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Returns true if the string that ends here is a member name.
fn is_name(json: &[u8], end: usize) -> bool {
    json[end + 1..].trim_ascii_start().first() == Some(&b':')
}

fn is_private(quoted: &str) -> bool {
    // No type can read an invalid name either.
    serde_json::from_str::<String>(quoted).is_ok_and(|name| name.starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Reads every string of the text that a colon follows, wherever it begins.
    fn names_of(json: &str) -> Vec<String> {
        let quotes: Vec<_> = json.match_indices('"').map(|(at, _)| at).collect();
        let pairs = quotes.iter().flat_map(|start| quotes.iter().map(move |end| (*start, *end)));
        let name = |(start, end): (usize, usize)| {
            let is_followed = json[end + 1..].trim_start().starts_with(':');
            let text = json.get(start..=end).filter(|_| start < end && is_followed)?;
            serde_json::from_str(text).ok()
        };
        pairs.filter_map(name).collect()
    }

    #[test]
    fn finds_private_names_in_any_spelling() {
        for (json, expected) in [
            (r#"{"$serde_json::private::RawValue":"1"}"#, true),
            (r#"{"$serde_json::private::Number":"1"}"#, true),
            (r#"{"a":[{"b":{"$serde_json::private::RawValue" : "1"}}]}"#, true),
            (r#"{"\u0024serde_json::private::RawValue":"1"}"#, true),
            (r#"{"$serde_json\u003a:private::\u0052awValue":"1"}"#, true),
            ("{\"\\u0024serde_json::private::Number\"\n\t\r :1}", true),
            (r#"{"x":"\"","$serde_json::private::RawValue":"1"}"#, true),
            (r#"{"x":"$","y":"\\","\u0024serde_json::private::RawValue":"1"}"#, true),
            (r#"{"x\\":1,"\u0024serde_json::private::RawValue":"1"}"#, true),
            (r#"{"x":"$serde_json::private::RawValue"}"#, false),
            (r#"{"x":["\u0024serde_json::private::RawValue","a"]}"#, false),
            (r#"{"x":"\"$serde_json::private::RawValue\":1"}"#, false),
            (r#"{"x\"$serde_json::private::RawValue":1}"#, false),
            (r#"{"$schema":"a","price":"$5","\\u0024serde_json::private::RawValue":1}"#, false),
            (r#"{"$serde_json::privat":1,"\ud800":1,"$":"\\"}"#, false),
            (r#"{"iss":"https:\/\/id.example.com"}"#, false),
            ("{}", false),
            (r#"{"$serde_json::private::RawValue"#, false),
            (r#"{"\"#, false),
            ("\"\\", false),
        ] {
            assert_eq!(has_private_name(json), expected, "{json}");
        }
    }

    fn quoted() -> impl Strategy<Value = String> {
        proptest::sample::select(vec![
            r#""a""#,
            r#""\"""#,
            r#""\\""#,
            r#""$""#,
            r#""\u0024""#,
            r#""$serde_json::private::Number""#,
            r#""\u0024serde_json::private::x""#,
            r#""x$serde_json::private::x""#,
        ])
        .prop_map(str::to_owned)
    }

    fn json() -> impl Strategy<Value = String> {
        quoted().prop_recursive(4, 24, 4, |value| {
            let colon = proptest::sample::select(vec![":", " : ", "\n:"]);
            let member =
                (quoted(), colon, value.clone()).prop_map(|(name, colon, value)| name + colon + &value);
            prop_oneof![
                proptest::collection::vec(value, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(member, 0..4)
                    .prop_map(|members| format!("{{{}}}", members.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn finds_what_reading_all_names_finds(json in json()) {
            let expected = names_of(&json).iter().any(|name| name.starts_with(PREFIX));
            prop_assert_eq!(has_private_name(&json), expected, "{}", json);
        }

        #[test]
        fn reads_any_text(text in r#"[\\"$:{}a \n]{0,40}"#) {
            has_private_name(&text);
        }

        #[test]
        fn finds_none_in_ordinary_claims(text in ".{0,60}") {
            let claims = serde_json::json!({ "name": text, "x": [text] });
            prop_assert!(!has_private_name(&Value::to_string(&claims)));
        }
    }
}
