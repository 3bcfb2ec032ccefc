//! Detects roles and scopes whose claim name differs from the field only in case.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};

/// The usual names of claims with roles and scopes.
pub(crate) const USUAL_NAMES: [&str; 8] =
    ["groups", "permissions", "realm_access", "resource_access", "role", "roles", "scope", "scp"];

/// Returns the field that a claim seems to be meant for. Serde would ignore the claim and leave the field empty, so that
/// `role("suspended").not()` would permit a suspended user.
#[inline]
pub(crate) fn meant_field<'f>(name: &str, fields: &[&'f str]) -> Option<&'f str> {
    if usual_name(name).is_none() || fields.contains(&name) {
        return None;
    }
    fields.iter().copied().find(|field| field.eq_ignore_ascii_case(name))
}

/// Returns true if a name differs from a usual one only in case.
#[inline]
pub(crate) fn is_respelled(name: &str) -> bool {
    usual_name(name).is_some_and(|usual| usual != name)
}

#[inline]
fn usual_name(name: &str) -> Option<&'static str> {
    USUAL_NAMES.into_iter().find(|usual| usual.eq_ignore_ascii_case(name))
}

/// Returns the usual name of a respelled claim that the type reads. It is for types that do not tell their fields, such as enums and
/// types with `#[serde(flatten)]`.
///
/// The type must accept the payload. The probe adds the claim under its usual name, twice and as `[[0]]`, which is neither roles nor
/// scopes. A map accepts that. A type that reads the claim rejects it.
#[cold]
pub(crate) fn probe<C: DeserializeOwned>(payload: &str) -> Option<&'static str> {
    let names: BTreeMap<String, IgnoredAny> = serde_json::from_str(payload).ok()?;
    let members = payload.trim_end().strip_suffix('}')?;
    let is_read = |usual: &&str| {
        let claim = format!(r#""{usual}":[[0]]"#);
        serde_json::from_str::<C>(&format!("{members},{claim},{claim}}}")).is_err()
    };
    // One probe for each usual name, however many spellings a payload has.
    let is_meant = |usual: &&str| names.keys().any(|name| name != usual && name.eq_ignore_ascii_case(usual));
    USUAL_NAMES.into_iter().filter(is_meant).find(is_read)
}
