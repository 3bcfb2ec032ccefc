//! Explains for logs why claims were rejected. The texts contain only names from the application's code and settings, and nothing
//! from the token.

use std::any::type_name;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::claim_name_case::{USUAL_NAMES, meant_field, probe};
use super::confirmation;
use super::json;
use super::private_names::has_private_name;
use super::required;
use super::rules::safe_text;
use super::stream::{AudienceClaim, Malformed, Wanted, plain};
use super::validate::Expected;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;

/// Adds the cause to an error about the claims of a payload. Returns other errors as they are.
pub(crate) fn explain_claims<C: DeserializeOwned>(
    error: AuthError,
    payload: &[u8],
    expected: &Expected,
) -> AuthError {
    let wanted = &expected.wanted;
    match error.kind() {
        AuthErrorKind::RevocationsUnavailable => error.with_retry_after(Duration::from_secs(1)),
        AuthErrorKind::WrongAudience => error.with_source(audience(payload, expected)),
        AuthErrorKind::WrongIssuer => error.with_source(match &expected.issuers[..] {
            [] => {
                "the key source does not name an issuer: set JwtVerifier::issuer or insecure_any_issuer".to_owned()
            }
            issuers => issuer(payload, issuers, wanted),
        }),
        AuthErrorKind::WrongClaim => error.with_source(required_claim(payload, expected)),
        AuthErrorKind::SenderConstrained => error.because(&FixedCause(
            "the token is bound to its sender (`cnf`), and the verifier does not support this binding: set \
             JwtVerifier::dpop or mtls, or insecure_ignore_confirmation if something else checks the sender",
        )),
        AuthErrorKind::MissingExpiry => error.because(&FixedCause(
            "the token has no `exp`: set one at the issuer, or set JwtVerifier::insecure_allow_missing_expiry",
        )),
        AuthErrorKind::InvalidClaims if error.is_unproven() => {
            error.with_source(explain_unproven(payload, wanted))
        }
        AuthErrorKind::InvalidClaims => error.with_source(explain::<C>(payload, wanted)),
        _ => error,
    }
}

/// Explains why a payload was rejected.
pub(crate) fn explain<C: DeserializeOwned>(payload: &[u8], wanted: &Wanted) -> String {
    match well_formed(payload, wanted) {
        Ok(payload) => explain_mismatch::<C>(payload),
        Err(cause) => cause,
    }
}

/// Explains an unverified payload. The application's type must not deserialize it.
fn explain_unproven(payload: &[u8], wanted: &Wanted) -> String {
    well_formed(payload, wanted).err().unwrap_or_else(|| REQUIRED_TWICE.to_owned())
}

const REQUIRED_TWICE: &str = "a required claim appears twice";
const CONFIRMATION: &str =
    "the `jkt` or `x5t#S256` in the claim `cnf` is not the base64url of a SHA-256 hash, or appears twice";
const OPTIONAL: &str = "make the field an `Option` or add `#[serde(default)]`";

/// Returns the payload, or an error that does not depend on the claims type.
fn well_formed<'p>(payload: &'p [u8], wanted: &Wanted) -> Result<&'p str, String> {
    let payload = safe_text(payload).map_err(|_| match json::object_text(payload) {
        Some(payload) if has_private_name(payload) => {
            "a member is named `$serde_json::private::..`, which serde_json would read as another value"
                .to_owned()
        }
        _ => "the payload is not a JSON object, or has too many nested values".to_owned(),
    })?;
    match plain(payload, wanted) {
        Ok(_) => Ok(payload),
        Err(Malformed { claim: Some(claim) }) => {
            Err(format!("the claim `{}` is malformed or appears twice", claim.name()))
        }
        Err(Malformed { claim: None }) => Err("the payload is not a JSON object".to_owned()),
    }
}

fn explain_mismatch<C: DeserializeOwned>(payload: &str) -> String {
    let whole = type_name::<C>();
    let known = fields_of::<C>();
    let names = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(payload).unwrap_or_default();
    let respelled = |field| {
        format!("unknown claim name: it differs from `{field}` only in case; `{whole}` reads `{field}`")
    };
    if let Some(field) = names.keys().find_map(|name| meant_field(name, known)) {
        return respelled(field);
    }
    let Err(error) = serde_json::from_str::<C>(payload) else {
        let other = if confirmation::is_malformed(payload) { CONFIRMATION } else { REQUIRED_TWICE };
        return probe::<C>(payload).map_or_else(|| other.to_owned(), respelled);
    };
    let message = error.to_string();
    let member = member_at(payload, offset(payload, &error));
    let claim = member.filter(|name| known.contains(name));
    match (claim, missing(&message, known, payload)) {
        (None, Some(name)) if known.contains(&name) => {
            format!("missing claim `{name}`: `{whole}` requires it; {OPTIONAL}")
        }
        // The missing field may be at any depth.
        (None, Some(name)) => format!("missing `{name}`: `{whole}` requires it; {OPTIONAL}"),
        (Some(claim), Some(name)) => {
            format!("the claim `{claim}` has no `{name}`: `{whole}` requires it; {OPTIONAL}")
        }
        (Some(claim), None) if message.starts_with(&format!("duplicate field `{claim}`")) => {
            format!("the claim `{claim}` appears twice")
        }
        (Some(claim), None) => format!("the claim `{claim}` does not fit `{whole}`"),
        // A type with `#[serde(flatten)]` does not tell its fields.
        (None, None) => match member.and_then(|name| USUAL_NAMES.into_iter().find(|usual| *usual == name)) {
            Some(claim) => format!("the claim `{claim}` does not fit `{whole}`"),
            None => format!("the claims do not fit `{whole}`"),
        },
    }
}

/// Explains why the `aud` was rejected.
fn audience(payload: &[u8], expected: &Expected) -> String {
    let registered = safe_text(payload).and_then(|payload| Ok(plain(payload, &expected.wanted)?));
    let found = registered.map_or(AudienceClaim::Stranger, |registered| registered.audience);
    let wanted = || listed(&expected.wanted.audiences);
    match (found, expected.wanted.audiences.is_empty()) {
        (AudienceClaim::Nobody, true) => {
            "the `aud` of the token is empty, and the verifier expects no `aud`; \
             set JwtVerifier::insecure_any_audience to accept it"
                .to_owned()
        }
        (_, true) => "the token names an audience and the verifier expects none: set JwtVerifier::audience, \
            or insecure_any_audience"
            .to_owned(),
        (AudienceClaim::Missing, false) => format!(
            "the token has no `aud`, expected {}; if another claim names the API, set JwtVerifier::require_claim for \
             it and insecure_any_audience",
            wanted()
        ),
        (AudienceClaim::Nobody, false) => format!("the `aud` of the token is empty, expected {}", wanted()),
        (_, false) => format!("the verifier expects the audience {}", wanted()),
    }
}

/// Explains why the `iss` was rejected.
fn issuer(payload: &[u8], expected: &[String], wanted: &Wanted) -> String {
    let registered = safe_text(payload).and_then(|payload| Ok(plain(payload, wanted)?));
    let is_missing = registered.is_ok_and(|registered| registered.issuer.is_none());
    let start = if is_missing { "the token has no `iss`, and " } else { "" };
    format!("{start}the verifier expects the issuer {}", listed(expected))
}

/// Explains which required claim does not match.
fn required_claim(payload: &[u8], expected: &Expected) -> String {
    required::explain(safe_text(payload).unwrap_or_default(), &expected.claims)
}

/// Formats names from the settings as a list.
pub(crate) fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the field that serde reports as missing, unless the name may come from the token.
///
/// A custom error of the application may look like serde's and contain a string of the token.
fn missing<'m>(message: &'m str, known: &[&str], payload: &str) -> Option<&'m str> {
    let (name, _) = message.strip_prefix("missing field `")?.split_once('`')?;
    let is_of_the_token = || payload.contains(&format!("\"{name}\"")) || payload.contains('\\');
    (known.contains(&name) || !is_of_the_token()).then_some(name)
}

/// Returns the offset in bytes at which serde_json stopped.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    before + error.column()
}

/// Returns the name of the top-level member that contains this offset, as it is written.
fn member_at(json: &str, bytes: usize) -> Option<&str> {
    let (mut depth, mut name, mut name_is_next) = (0_usize, None, false);
    let mut at = 0;
    while let Some(&byte) = json.as_bytes().get(at).filter(|_| at < bytes) {
        match byte {
            b'"' => {
                let length = string_length(&json.as_bytes()[at + 1..])?;
                if depth == 1 && std::mem::take(&mut name_is_next) {
                    name = json.get(at + 1..at + 1 + length);
                }
                at += length + 1;
            }
            b'{' | b'[' => {
                depth += 1;
                name_is_next |= depth == 1;
            }
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 1 => name_is_next = true,
            _ => {}
        }
        at += 1;
    }
    name.filter(|_| depth > 0)
}

/// Returns the length of a string in bytes, up to its closing quotation mark.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

/// Returns the field names of a struct without `#[serde(flatten)]`, or nothing for other types.
fn fields_of<C: DeserializeOwned>() -> &'static [&'static str] {
    const NOTHING: &str = "there is nothing to read";

    struct Fields<'f>(&'f mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom(NOTHING))
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            visitor: V,
        ) -> Result<V::Value, Error> {
            visitor.visit_newtype_struct(self)
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom(NOTHING))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &[&str] = &[];
    let _ = C::deserialize(Fields(&mut fields));
    fields
}
