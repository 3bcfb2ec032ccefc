//! The `cnf` claim (RFC 7800, section 3.1).

use serde::Deserialize;

use super::json::{self, Text};
use crate::binding::{Binding, Thumbprint};

/// The supported members. Others are ignored (RFC 7800, section 3.1), but do not count as a binding.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "json::some")]
    jkt: Option<Text<'a>>,
    #[serde(rename = "x5t#S256", borrow, default, deserialize_with = "json::some")]
    certificate: Option<Text<'a>>,
}

/// Reads the `cnf` of a payload that has one.
///
/// Returns `Ok(None)` if it has no supported member, and an error if such a member is malformed or appears twice.
pub(super) fn binding(payload: &str) -> Result<Option<Binding>, Malformed> {
    let confirmation = json::member(payload, "cnf").ok_or(Malformed)?;
    let members: Members<'_> = json::object(confirmation.as_bytes()).ok_or(Malformed)?;
    let read = |text: Option<Text<'_>>| text.map(|text| Thumbprint::read(&text).ok_or(Malformed)).transpose();
    Ok(Binding::of(read(members.jkt)?, read(members.certificate)?))
}

/// Returns true for a payload with one `cnf` that cannot be read.
pub(super) fn is_malformed(payload: &str) -> bool {
    json::member(payload, "cnf").is_some() && binding(payload).is_err()
}

/// The error for a `cnf` that cannot be read.
#[derive(Debug, PartialEq)]
pub(super) struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    const B: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";

    #[test]
    fn reads_supported_members() {
        let [a, b] = [A, "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0"];
        let thumbprint = |text: &str| Thumbprint::read(text);
        for (confirmation, expected) in [
            (format!(r#"{{"jkt":"{a}"}}"#), Ok(Binding::of(thumbprint(a), None))),
            (format!(r#"{{"x5t#S256":"{b}"}}"#), Ok(Binding::of(None, thumbprint(b)))),
            (
                format!(r#"{{"jkt":"{a}","kid":"k","x5t#S256":"{b}"}}"#),
                Ok(Binding::of(thumbprint(a), thumbprint(b))),
            ),
            (format!(r#"{{"j\u006bt":"{a}"}}"#), Ok(Binding::of(thumbprint(a), None))),
            (r#"{"kid":"k"}"#.to_owned(), Ok(None)),
            ("{}".to_owned(), Ok(None)),
            ("null".to_owned(), Err(Malformed)),
            (format!("[\"{a}\"]"), Err(Malformed)),
            (format!("\"{a}\""), Err(Malformed)),
            (format!(r#"{{"jkt":"{a}","jkt":"{a}"}}"#), Err(Malformed)),
            (format!(r#"{{"jkt":"{a}","x5t#S256":null}}"#), Err(Malformed)),
            (r#"{"jkt":7}"#.to_owned(), Err(Malformed)),
            (r#"{"jkt":""}"#.to_owned(), Err(Malformed)),
            (format!(r#"{{"jkt":"{B}"}}"#), Err(Malformed)),
        ] {
            assert_eq!(
                binding(&format!(r#"{{"sub":"eze","cnf":{confirmation}}}"#)),
                expected,
                "{confirmation}"
            );
        }
    }
}
